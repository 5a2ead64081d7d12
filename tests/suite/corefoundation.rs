//! The readers against the answers of Apple's published CoreFoundation, built and run on Linux:
//! `tests/corefoundation` says where they come from.

mod cases;
mod property_lists;
mod trees;
