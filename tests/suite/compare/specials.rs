//! Sockets, FIFOs and devices: the bundle digest says of none which it is, and each is another to who opens it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dsplug_fixtures::{Disk, Plugin, chmod, device, fifo, needs_root, socket};
use tempfile::TempDir;

use super::archives::rewritten_by;
use super::{collect, compare, differences, is_same, path, told, unknown};

/// A disk with a plug-in that has a FIFO at a place, and what was collected of it.
struct Held {
    disk: Disk,
    archive: PathBuf,
    at: PathBuf,
    place: TempDir,
}

impl Held {
    fn at(of: impl FnOnce(&Disk, &Path) -> PathBuf) -> Self {
        let (disk, place) = (Disk::new(), tempfile::tempdir().unwrap());
        let bundle = Plugin::new("A").write(disk.plugin(""));
        let at = of(&disk, &bundle);
        fifo(&at);
        chmod(&at, 0o644);
        Self {
            archive: collect(&disk, "--all", place.path().join("a.tar.gz")),
            disk,
            at,
            place,
        }
    }

    fn becomes(&self, make: impl FnOnce(&Path)) {
        fs::remove_file(&self.at).unwrap();
        make(&self.at);
        chmod(&self.at, 0o644);
    }

    fn differences(&self) -> Vec<String> {
        let archive = &self.archive;
        differences(&compare(&self.disk, &path("A.dsplug"), archive), 1)
    }

    /// What is collected of it now is the same.
    fn is_itself(&self) {
        let now = collect(&self.disk, "--all", self.place.path().join("now.tar.gz"));
        is_same(&compare(&self.disk, &path("A.dsplug"), &now));
        fs::remove_file(now).unwrap();
    }
}

#[test]
fn one_that_takes_the_place_of_another_is_not_called_the_same() {
    let held = Held::at(|_, bundle| bundle.join("Contents/Info-macos.plist"));
    held.is_itself();
    let line = |now: &str| {
        [format!(
            "altered   Contents/Info-macos.plist  {now}, was FIFO"
        )]
    };
    held.becomes(|at| socket(at));
    assert_eq!(held.differences(), line("socket"));
    held.is_itself();
    if !needs_root("devices are made by root") {
        return;
    }
    for (kind, minor, shown) in [
        ("c", 3, "character device 1:3"),
        ("b", 5, "block device 1:5"),
        ("b", 6, "block device 1:6"),
    ] {
        held.becomes(|at| device(at, kind, 1, minor));
        assert_eq!(held.differences(), line(shown));
        held.is_itself();
    }
}

#[test]
fn one_outside_that_takes_the_place_of_another_is_not_called_the_same() {
    let held = Held::at(|disk, bundle| {
        symlink("/opt/fw", bundle.join("Contents/Frameworks")).unwrap();
        disk.dir("opt/fw").join("l.dylib")
    });
    held.is_itself();
    held.becomes(|at| socket(at));
    let altered = [("altered".to_owned(), "/opt/fw".to_owned())];
    assert_eq!(told(&held.differences()), altered);
    held.is_itself();
}

/// What an earlier version has collected does not say which it was.
#[test]
fn of_one_that_an_archive_does_not_tell_it_is_not_known() {
    for is_outside in [false, true] {
        let held = Held::at(|disk, bundle| {
            if !is_outside {
                return bundle.join("Contents/pipe");
            }
            symlink("/opt/fw", bundle.join("Contents/Frameworks")).unwrap();
            disk.dir("opt/fw").join("pipe")
        });
        let old = rewritten_by(
            &held.archive,
            |_, _| (),
            |header| header.set_mode(header.mode().unwrap() & 0o7777),
            |_, _| (),
        );
        let output = compare(&held.disk, &path("A.dsplug"), &old);
        let lines = unknown(&output);
        let name = if is_outside {
            "/opt/fw"
        } else {
            "Contents/pipe"
        };
        assert!(lines.len() == 1 && lines[0].contains(name), "{lines:#?}");
    }
}
