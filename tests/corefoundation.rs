//! The readers against the answers of Apple's published CoreFoundation, built and run on Linux:
//! `tests/corefoundation` says where they come from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a panic is a test's report"
)]

#[path = "corefoundation/cases.rs"]
mod cases;
mod common;
#[path = "corefoundation/property_lists.rs"]
mod property_lists;
#[path = "corefoundation/trees.rs"]
mod trees;
