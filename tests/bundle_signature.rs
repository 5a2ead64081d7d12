//! The judgement of a whole bundle: each check and each way to break it, by its name.
//!
//! Where nothing else is said, what is expected is what `codesign --verify --deep --strict` does by
//! Apple's published sources; nobody ran it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

#[path = "bundle_signature/apple.rs"]
mod apple;
#[path = "bundle_signature/check.rs"]
mod check;
#[path = "bundle_signature/detached.rs"]
mod detached;
#[path = "bundle_signature/hostile.rs"]
mod hostile;
#[path = "bundle_signature/load.rs"]
mod load;
#[path = "bundle_signature/rcodesign.rs"]
mod rcodesign;
#[path = "bundle_signature/signed.rs"]
mod signed;
#[path = "bundle_signature/tampered.rs"]
mod tampered;
#[path = "bundle_signature/ticket.rs"]
mod ticket;
