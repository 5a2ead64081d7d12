//! Disks that are full, for real: a small file system in memory.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dsplug::event::{Action, Event};
use dsplug::journal::{Batch, Journal};
use dsplug::root::Root;
use dsplug_fixtures::watch::{lines_of, told};
use dsplug_fixtures::{Disk, Plugin, skipped};

const DSPLUG: &str = env!("CARGO_BIN_EXE_dsplug");
/// Small enough that neither the state of a hundred bundles nor a table of thousands of rows fits.
const SMALL: &str = "size=64k";

/// A file system in memory; it goes when this does.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(options: &str) -> Result<Self, String> {
        let place = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", options, "tmpfs"], place.path())?;
        Ok(Self(place))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn mount(options: &[&str], place: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(options).arg(place).output();
    let output = output.map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

#[test]
fn a_full_disk_keeps_the_state_of_before() {
    let place = match Mount::new(SMALL) {
        Ok(place) => place,
        Err(why) => return skipped(format_args!("cannot mount: {why}")),
    };
    dsplug_fixtures::chmod(place.0.path(), 0o700);
    let state = place.0.path().join("state.json");
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let call = || {
        let mut call = Command::new(DSPLUG);
        call.args(["detect", "--root"]).arg(disk.path());
        call.arg("--state").arg(&state).output().unwrap()
    };
    assert!(call().status.success());
    let before = fs::read(&state).unwrap();
    for number in 0..100 {
        Plugin::new(&format!("N{number}")).write(disk.plugin(""));
    }
    let first = call();
    let error = String::from_utf8_lossy(&first.stderr);
    assert_eq!(first.status.code(), Some(1), "{error}");
    let line = format!(
        "dsplug: cannot write the state {}: No space left",
        state.display()
    );
    assert!(error.contains(&line), "{error}");
    assert_eq!(fs::read(&state).unwrap(), before);
    // Nothing is left of the attempt.
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 1);
    mount(&["-o", "remount,size=4m"], place.0.path()).unwrap();
    let second = call();
    assert!(second.status.success());
    assert_eq!(told(&lines_of(&second)), told(&lines_of(&first)));
    assert_eq!(told(&lines_of(&call())), []);
}

#[test]
fn a_query_that_finds_no_room_says_where_it_looks_for_some() {
    let place = match Mount::new(SMALL) {
        Ok(place) => place,
        Err(why) => return skipped(format_args!("cannot mount: {why}")),
    };
    let disk = Disk::new();
    let bundle = disk.dir("Library/DirectoryServices/PlugIns/A.dsplug");
    // More rows than SQLite keeps in memory.
    for number in 0..10_000 {
        fs::write(bundle.join(format!("{number:0>100}")), "").unwrap();
    }
    let call = |place: &Path| {
        let mut call = Command::new(DSPLUG);
        call.env("TMPDIR", place).args(["query", "--root"]);
        call.arg(disk.path());
        call.arg("SELECT count(*) FROM dsplug_files")
            .output()
            .unwrap()
    };
    let full = call(place.0.path());
    assert_eq!((full.status.code(), full.stdout.len()), (Some(1), 0));
    let error = String::from_utf8(full.stderr).unwrap();
    let line = "dsplug: the query could not be run: database or disk is full; SQLite needs room for a \
                temporary file, in TMPDIR or /var/tmp\n";
    assert_eq!(error, line);
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(call(elsewhere.path()).status.success());
}

/// A write that failed is taken back, which looks as if another process had written.
#[test]
fn a_full_disk_is_nobody_elses_doing() {
    let place = match Mount::new("size=600k,mode=700") {
        Ok(place) => place,
        Err(why) => return skipped(format_args!("cannot mount: {why}")),
    };
    let disk = Disk::new();
    let root = Root::open(disk.path()).unwrap();
    let mut journal = Journal::kept_at(&place.0.path().join("state"), &root);
    let many = |from: usize| Batch {
        events: (from..from + 100)
            .map(|n| {
                let path = format!("/{n} {}", "x".repeat(900));
                Event::new(1, Action::Appeared, path, Arc::default())
            })
            .collect(),
        ..Batch::default()
    };
    for round in 0..20 {
        journal.write(many(round * 100));
        journal.tick();
    }
    let status = journal.events().status();
    assert!(status.error.contains("full"), "{status:?}");
    assert!(!status.error.contains("another process"), "{status:?}");
}
