//! What a Mac's file system has compressed: the bytes that are read elsewhere say nothing of what it holds.

use super::*;
use dsplug_fixtures::compress;

const SAID: &str = "is compressed by the file system (com.apple.decmpfs), and is not unpacked here";

/// A bundle and its copy on a disk that takes attributes.
fn pair() -> Option<(Disk, PathBuf, PathBuf)> {
    let Some(disk) = Disk::with_room_for_attributes() else {
        skipped("the file system has no extended attributes");
        return None;
    };
    let live = Plugin::new("A").write(disk.plugin(""));
    let known = Plugin::new("A").write(disk.dir("Users/Shared"));
    Some((disk, live, known))
}

#[test]
fn what_is_compressed_is_not_known_to_be_the_same() {
    let Some((disk, live, known)) = pair() else {
        return;
    };
    let file = "Contents/MacOS/A";
    let place = tempfile::tempdir().unwrap();
    for bundle in [&live, &known] {
        compress(bundle.join(file), "good");
    }
    let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
    compress(live.join(file), "evil");
    for other in [&known, &archive] {
        let lines = unknown(&compare(&disk, &path("A.dsplug"), other));
        assert!(!lines.is_empty(), "{lines:#?}");
        let of = |line: &&String| line.contains(file) && line.contains(SAID);
        assert_eq!(lines.iter().filter(of).count(), 2, "{lines:#?}");
    }
}

/// The archive alone has it: good code in the data fork would be the same, and is no difference either.
#[test]
fn an_archive_of_what_is_compressed_is_not_known_to_be_the_same() {
    let Some((disk, live, _)) = pair() else {
        return;
    };
    let file = live.join("Contents/MacOS/A");
    let good = fs::read(&file).unwrap();
    compress(&file, "evil");
    fs::write(&file, &good).unwrap();
    let place = tempfile::tempdir().unwrap();
    let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
    fs::remove_file(&file).unwrap();
    fs::write(&file, &good).unwrap();
    chmod(&file, 0o755);
    let lines = unknown(&compare(&disk, &path("A.dsplug"), &archive));
    assert!(lines.iter().any(|line| line.contains(SAID)), "{lines:#?}");
}

#[test]
fn what_is_compressed_outside_is_not_known_to_be_the_same() {
    let Some((disk, live, _)) = pair() else {
        return;
    };
    std::os::unix::fs::symlink("/opt/fw", live.join("Contents/fw")).unwrap();
    let file = disk.file("opt/fw/x", "");
    compress(&file, "good");
    let place = tempfile::tempdir().unwrap();
    let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
    let is_told = |lines: Vec<String>| {
        assert!(
            lines.iter().any(|line| line.contains("/opt/fw")),
            "{lines:#?}"
        );
    };
    compress(&file, "evil");
    is_told(unknown(&compare(&disk, &path("A.dsplug"), &archive)));
    // And where it was compressed when it was collected alone.
    fs::remove_file(&file).unwrap();
    fs::write(&file, "").unwrap();
    is_told(unknown(&compare(&disk, &path("A.dsplug"), &archive)));
}
