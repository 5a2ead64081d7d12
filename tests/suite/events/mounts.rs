//! Volumes that are mounted over what is watched, which is no event of the directory that they cover.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dsplug_fixtures::{Disk, skipped};

use super::{Watcher, make, sha256};

/// A directory over another, for as long as it lives.
struct Bound(PathBuf);

impl Bound {
    /// Nothing where this machine does not let one mount.
    fn new(of: &Path, over: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        let out = mount.arg("--bind").args([of, over]).output().unwrap();
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
