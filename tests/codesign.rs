//! The check of one Mach-O file: what holds is said to hold, and each way to break it is named.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod codesign {
    mod adhoc;
    mod check;
    mod container;
    mod flips;
    mod real;
    mod signed;
}
