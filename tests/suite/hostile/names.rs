//! Names that mean something to whoever shows them.

use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::common::only_bundle;
use dsplug_fixtures::{Disk, Plugin};

#[test]
fn hostile_names_are_escaped_everywhere() {
    let disk = Disk::new();
    let name = std::ffi::OsStr::from_bytes(b"a\n\xff\x1b[31m.dsplug");
    Plugin::new("A")
        .key("CFBundleIdentifier", "x\u{202e}\ty")
        .write_as(disk.plugin(name));
    let row = only_bundle(disk.path());
    assert!(
        row["path"].ends_with("/a\\x0a\\xff\\x1b[31m.dsplug"),
        "{}",
        row["path"]
    );
    assert_eq!(row["bundle_identifier"], "x\\u{202e}\\x09y");
    assert!(
        row.values()
            .all(|v| !v.contains(['\n', '\x1b', '\u{202e}']))
    );
}

/// A spreadsheet runs what looks like a formula.
#[test]
fn a_cell_of_csv_is_no_formula() {
    let disk = Disk::new();
    // A spreadsheet in an East Asian locale takes the full-width signs alike.
    let names = ["=1+1", "+1", "-1a", "@x", "＝1+1", "＋1", "－1", "＠x"];
    for (number, name) in names.iter().enumerate() {
        Plugin::new("A")
            .key("CFBundleName", *name)
            .write_as(disk.plugin(format!("{number}.dsplug")));
    }
    let out = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["query", "--format", "csv", "--root"])
        .arg(disk.path())
        .arg("SELECT bundle_name, -1 AS n FROM dsplug_bundles ORDER BY path")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let guarded = names.map(|name| format!("'{name},-1\n")).concat();
    assert_eq!(text, format!("bundle_name,n\n{guarded}"));
}
