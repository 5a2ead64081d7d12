//! What those who take the pack's files do with them: Elastic, Fleet, Sigma's back ends, and osquery
//! of other versions. Expected behaviour comes from their sources, or from their own programs.
#![allow(
    clippy::explicit_write,
    reason = "a panic is a test's report, and what is printed with a macro is hidden"
)]

mod cost;
mod elastic;
mod file_events;
use crate::common::pack as files;
mod programs;
use crate::common::python;
mod versions;
