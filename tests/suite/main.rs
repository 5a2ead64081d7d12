//! The tests of the library and of the program, one file a noun, in one binary: what takes long is to
//! build and link each by itself. What needs a process to itself stands beside this folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a panic is a test's report"
)]

#[path = "../common/mod.rs"]
mod common;

mod baseline;
mod bundle_signature;
mod bundles;
mod codesign;
mod collect;
mod columns;
mod command_line;
mod compare;
mod consumers;
mod corefoundation;
mod detect;
mod differential;
mod digest;
mod doctor;
mod enumeration;
mod evasions;
mod events;
mod exception_rules;
mod exceptions;
mod explain;
mod faults;
mod fleet_scripts;
mod hostile;
mod hunting;
mod install;
mod limits;
mod manager_answers;
mod osqueryd;
mod pack;
mod pack_osqueryd;
mod pages;
mod pasted;
mod peer;
mod policies_osqueryd;
mod quarantine;
mod release;
mod rooms;
mod sample;
mod second_oracle;
mod state_dir;
