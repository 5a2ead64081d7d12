//! Volumes that are mounted over what is watched, which is no event of the directory that they cover.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dsplug_fixtures::{Disk, skipped};

use super::{Line, Watcher, make, sha256};
use crate::hostile::mounts::Mounted;

/// A directory over another, for as long as it lives.
struct Bound(PathBuf);

impl Bound {
    /// Nothing where this machine does not let one mount.
    fn new(of: &Path, over: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        let out = mount.arg("--rbind").args([of, over]).output().unwrap();
        if !out.status.success() {
            let why = String::from_utf8_lossy(&out.stderr);
            skipped(format_args!("no mount: {why}"));
            return None;
        }
        Some(Self(over.to_owned()))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_volume_over_the_folder_or_a_bundle_is_told_both_ways() {
    let mut watcher = Watcher::new(Disk::new());
    let honest = watcher.make("A.dsplug", b"good");
    let shared = watcher.disk.dir("Users/Shared");
    make(&shared.join("v/E.dsplug"), b"evil");
    make(&shared.join("w/A.dsplug"), b"evil");
    watcher.start();
    let begun = Instant::now();
    let folder = watcher.disk.at("Library/DirectoryServices/PlugIns");
    let Some(bound) = Bound::new(&shared.join("v"), &folder) else {
        return;
    };
    let line = watcher.wait("appeared", "E.dsplug");
    assert_eq!(line["executable_hash"], sha256(b"evil"));
    drop(bound);
    // The other was covered, and had not gone.
    watcher.wait("gone", "E.dsplug");
    let Some(bound) = Bound::new(&shared.join("w/A.dsplug"), &honest) else {
        return;
    };
    let line = watcher.wait_for(|line| line["executable_hash"] == sha256(b"evil"));
    assert_eq!(line["action"], "changed");
    drop(bound);
    let line = watcher.wait_for(|line| line["executable_hash"] == sha256(b"good"));
    assert_eq!(line["action"], "changed");
    assert!(begun.elapsed() < Duration::from_secs(20), "by the clock");
    watcher.stop();
    let gone = watcher
        .query("SELECT path FROM dsplug_events WHERE action = 'gone' AND path LIKE '%.dsplug'");
    assert_eq!(gone.len(), 1);
    assert!(gone[0]["path"].ends_with("/E.dsplug"), "{gone:?}");
}

/// The volume may have the folder's own number and times, and show dsplug nothing.
#[test]
fn a_volume_over_a_folder_that_has_a_row_for_another_reason_is_told_both_ways() {
    let mut watcher = Watcher::new(Disk::new());
    let folder = watcher.disk.at("Library/DirectoryServices/PlugIns");
    let Some(_mild) = Mounted::new(folder.join("docs"), "tmpfs") else {
        return;
    };
    watcher.start();
    let is_of_folder =
        |line: &Line| line["path"].ends_with("/PlugIns") && line["action"] == "changed";
    for _ in 0..2 {
        let Some(bound) = Bound::new(&folder, &folder) else {
            return;
        };
        watcher.wait_for(is_of_folder);
        drop(bound);
        watcher.wait_for(is_of_folder);
    }
}

/// What goes by the hundred takes no line from what a volume covers, and what had none is counted.
#[test]
fn what_a_volume_covers_is_told_whatever_else_goes() {
    let mut watcher = Watcher::new(Disk::new());
    watcher.make("Z.dsplug", b"good");
    let folder = watcher.disk.at("Library/DirectoryServices/PlugIns");
    for number in 0..300 {
        watcher.make(&format!("{number}.dsplug"), format!("{number}").as_bytes());
    }
    let empty = watcher.disk.dir("Users/Shared/empty");
    watcher.start();
    for number in 0..300 {
        std::fs::remove_dir_all(folder.join(format!("{number}.dsplug"))).unwrap();
    }
    watcher.wait("gone", ".dsplug");
    std::thread::sleep(Duration::from_secs(3));
    let Some(bound) = Bound::new(&empty, &folder) else {
        return;
    };
    let is_of_z = |line: &Line| line["path"].ends_with("/Z.dsplug");
    let line = watcher.wait_for(is_of_z);
    assert_eq!(
        (&*line["action"], &*line["executable_hash"]),
        ("changed", "")
    );
    drop(bound);
    let line = watcher.wait_for(is_of_z);
    assert_eq!(line["executable_hash"], sha256(b"good"));
}
