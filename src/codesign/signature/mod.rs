//! The parts of a signature, each by itself: what holds them, and what they say of the code.

pub(super) mod code_directory;
pub(super) mod entitlements;
pub(super) mod pages;
pub(super) mod superblob;
