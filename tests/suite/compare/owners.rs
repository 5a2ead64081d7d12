//! Who owns it decides who can write it, and as whom it runs. A copy belongs to whoever made it.

use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::{Path, PathBuf};

use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{Disk, Plugin, needs_root};
use tempfile::TempDir;

use super::{collect, compare, differences, is_same, path, told};

/// A plug-in with a library outside, and an archive of both.
struct Owned {
    disk: Disk,
    live: PathBuf,
    place: TempDir,
    archive: PathBuf,
}

impl Owned {
    fn new() -> Option<Self> {
        if !needs_root("others are to own it") {
            return None;
        }
        let disk = Disk::new();
        let loads = MachO::bundle(Cpu::X86_64).dylib_path("/opt/l.dylib");
        let live = Plugin::new("A")
            .file("Contents/code", loads.unsigned())
            .write(disk.plugin(""));
        symlink("code", live.join("Contents/link")).unwrap();
        disk.file("opt/l.dylib", MachO::bundle(Cpu::X86_64).unsigned());
        let place = tempfile::tempdir().unwrap();
        let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
        Some(Self {
            disk,
            live,
            place,
            archive,
        })
    }

    fn lines(&self, other: &Path, code: i32) -> Vec<String> {
        differences(&compare(&self.disk, &path("A.dsplug"), other), code)
    }
}

fn owner(path: &str) -> [(String, String); 1] {
    [("owner".to_owned(), path.to_owned())]
}

#[test]
fn an_owner_that_differs_is_not_called_the_same() {
    let Some(owned) = Owned::new() else {
        return;
    };
    let (live, archive) = (&owned.live, &owned.archive);
    // One has no room in the header of an archive.
    for (user, group) in [
        (Some(501), None),
        (None, Some(20)),
        (Some(3_000_000_000), None),
    ] {
        for (shown, file) in [
            ("Contents/MacOS/A", live.join("Contents/MacOS/A")),
            (".", live.clone()),
            ("Contents/link", live.join("Contents/link")),
            ("/opt/l.dylib", owned.disk.at("opt/l.dylib")),
        ] {
            lchown(&file, user, group).unwrap();
            let lines = owned.lines(archive, 1);
            assert_eq!(told(&lines), owner(shown), "{lines:#?}");
            let now = collect(&owned.disk, "--all", owned.place.path().join("now.tar.gz"));
            is_same(&compare(&owned.disk, &path("A.dsplug"), &now));
            lchown(&file, Some(0), Some(0)).unwrap();
            fs::remove_file(now).unwrap();
        }
    }
}

#[test]
fn the_owner_of_a_link_outside_that_differs_is_not_called_the_same() {
    if !needs_root("others are to own it") {
        return;
    }
    let (disk, place) = (Disk::new(), tempfile::tempdir().unwrap());
    let live = Plugin::new("A").write(disk.plugin(""));
    symlink("/opt/fw", live.join("Contents/Frameworks")).unwrap();
    disk.file("opt/fw/l", "l");
    disk.link("opt/fw/link", "l");
    let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
    let lines = |archive: &Path, code| {
        let output = compare(&disk, &path("A.dsplug"), archive);
        differences(&output, code)
    };
    assert_eq!(lines(&archive, 0).len(), 1);
    lchown(disk.at("opt/fw/link"), Some(501), None).unwrap();
    let found = lines(&archive, 1);
    assert_eq!(told(&found), owner("/opt/fw"), "{found:#?}");
    let now = collect(&disk, "--all", place.path().join("now.tar.gz"));
    assert_eq!(lines(&now, 0).len(), 1);
}

/// A line for each would say no more.
#[test]
fn all_that_belongs_to_another_is_told_in_one_line() {
    let Some(owned) = Owned::new() else {
        return;
    };
    let all = |user| {
        for path in [
            "",
            "Contents",
            "Contents/MacOS",
            "Contents/MacOS/A",
            "Contents/code",
            "Contents/link",
            "Contents/Info.plist",
        ] {
            lchown(owned.live.join(path), Some(user), Some(20)).unwrap();
        }
    };
    all(501);
    let lines = owned.lines(&owned.archive, 1);
    assert_eq!(lines, ["owner     . and all in it  501:20, was 0:0"]);
    chown(owned.live.join("Contents/code"), Some(502), None).unwrap();
    assert_eq!(owned.lines(&owned.archive, 1).len(), 7);
}

/// The vendor's in a responder's home is his.
#[test]
fn a_copy_is_the_same_whoever_owns_it_and_a_line_says_so() {
    let Some(owned) = Owned::new() else {
        return;
    };
    fs::remove_file(owned.live.join("Contents/code")).unwrap();
    let copy = Plugin::new("A").write(owned.place.path());
    symlink("code", copy.join("Contents/link")).unwrap();
    chown(copy.join("Contents/MacOS/A"), Some(501), Some(20)).unwrap();
    let lines = owned.lines(&copy, 0);
    let note = "note      owners differ in 1 of 6, as Contents/MacOS/A  0:0, was 501:20: a copy belongs to whoever made it, and that does not count";
    assert_eq!(lines[0], note);
    assert!(lines[1].starts_with("same "), "{lines:#?}");
}
