//! A month of a fleet: the result log that osqueryd would write on 20,000 Macs, and what becomes of it
//! in Elastic.
//!
//! - [`dice`] is chance that comes out the same each time, [`schedule`] says when a Mac is awake and
//!   when osqueryd runs a query there;
//! - [`site`] is the disk of one Mac with the vendors' plug-ins on it, [`attack`] the forty attacks;
//! - [`asker`] asks the pack's queries of one state of a disk, [`story`] is the states that a disk goes
//!   through, each scanned and asked once, [`history`] what the extension's journal says of them;
//! - [`plan`] says what happens to each Mac and when, [`host`] lives through it and writes its lines,
//!   [`log`] puts the lines of all into one file;
//! - [`kql`] reads the conditions of Elastic's rules, [`rules`] raises their alerts over the file, and
//!   [`report`] holds those against what happened.
//!
//! Rows come from dsplug's scanner, engine and tracker over real bundles on real disks, and
//! differences from its `differential`. What is made up is who has what, and when.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a panic is this program's report"
)]

pub mod asker;
pub mod attack;
pub mod dice;
pub mod history;
pub mod host;
pub mod kql;
pub mod log;
pub mod plan;
pub mod report;
pub mod rules;
pub mod schedule;
pub mod site;
pub mod story;

/// The first second of the month: 2026-10-01 00:00:00 UTC, by `date -u -d 2026-10-01 +%s`.
pub const BEGIN: i64 = 1_790_812_800;
/// Seconds of a day.
pub const DAY: i64 = 86_400;
