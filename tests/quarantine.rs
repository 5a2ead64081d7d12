//! Out of the folder and back: exactly, once, and whatever befalls.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a panic is a test's report"
)]

mod common;

#[path = "faults/strace.rs"]
#[allow(dead_code, reason = "it uses a part of it")]
mod strace;

#[path = "quarantine/scene.rs"]
mod scene;

#[path = "quarantine/moves.rs"]
mod moves;

#[path = "quarantine/interrupted.rs"]
mod interrupted;

#[path = "quarantine/model.rs"]
mod model;
