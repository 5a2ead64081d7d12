//! Every system call of a scan, and of what `detect` remembers, failing in turn: what could not be
//! read is said, and nothing is lost, invented or half.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a panic is a test's report"
)]

#[path = "faults/strace.rs"]
mod strace;

#[path = "faults/scan.rs"]
mod scan;

#[path = "faults/state.rs"]
mod state;

#[path = "faults/room.rs"]
mod room;
