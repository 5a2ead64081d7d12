//! What the tests of the tables share: a disk in, rows out.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod osqueryd;
pub mod pack;
pub mod python;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use dsplug::engine::Engine;
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};

/// The program.
pub const DSPLUG: &str = env!("CARGO_BIN_EXE_dsplug");

/// A call of the program over a disk.
pub fn call(command: &str, root: &Path) -> Command {
    let mut call = Command::new(DSPLUG);
    call.arg(command).arg("--root").arg(root);
    call
}

/// A row: column names to values as text.
pub type Row = BTreeMap<String, String>;

/// One scan of a disk.
pub fn scan(root: &Path) -> Snapshot {
    scan_with(root, Limits::STANDARD)
}

/// One scan of a disk within other limits.
pub fn scan_with(root: &Path, limits: Limits) -> Snapshot {
    Scanner::new(Root::open(root).unwrap(), limits).scan()
}

/// The rows that a query gives over one scan of a disk.
pub fn query(root: &Path, sql: &str) -> Vec<Row> {
    query_in(&scan(root), sql)
}

/// The rows that a query gives over a snapshot.
pub fn query_in(snapshot: &Snapshot, sql: &str) -> Vec<Row> {
    let answer = Engine::new().unwrap().query(sql, snapshot).unwrap();
    let names = &answer.columns;
    let row = |values: Vec<String>| names.iter().cloned().zip(values).collect();
    answer.rows.into_iter().map(row).collect()
}

/// The one row of `dsplug_bundles` for a disk with one candidate.
#[track_caller]
pub fn only_bundle(root: &Path) -> Row {
    let mut rows = query(root, "SELECT * FROM dsplug_bundles");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows.remove(0)
}

/// The row of the candidate whose path ends so.
#[track_caller]
pub fn bundle(root: &Path, path_end: &str) -> Row {
    let rows = query(root, "SELECT * FROM dsplug_bundles");
    let found: Vec<Row> = rows
        .iter()
        .filter(|r| r["path"].ends_with(path_end))
        .cloned()
        .collect();
    assert_eq!(found.len(), 1, "{path_end} in {rows:#?}");
    found[0].clone()
}
