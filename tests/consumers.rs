//! What those who take the pack's files do with them: Elastic, Fleet, Sigma's back ends, and osquery
//! of other versions. Expected behaviour comes from their sources, or from their own programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::explicit_write,
    missing_docs,
    reason = "a panic is a test's report, and what is printed with a macro is hidden"
)]

#[path = "consumers/cost.rs"]
mod cost;
#[path = "consumers/elastic.rs"]
mod elastic;
#[path = "consumers/file_events.rs"]
mod file_events;
#[path = "common/pack.rs"]
mod files;
#[path = "consumers/programs.rs"]
mod programs;
#[path = "common/python.rs"]
mod python;
#[path = "consumers/versions.rs"]
mod versions;
