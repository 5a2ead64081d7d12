//! Extended attributes by the megabyte, on one file and on many.

use std::fs;
use std::process::Command;

use super::within_the_promise;
use crate::common::Row;
use dsplug_fixtures::{Disk, Plugin, attribute, skipped};

/// Bytes that do not become fewer when they are packed.
fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut number = u32::try_from(seed).unwrap().wrapping_mul(2_654_435_761) | 1;
    let next = || {
        number ^= number << 13;
        number ^= number >> 17;
        number ^= number << 5;
        number.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A bundle with a file that has 64 MB of them, a thousand files that have one each, and a file that has what an
/// honest one has; `None` where a file cannot have as many.
fn full_of_attributes() -> Option<Disk> {
    let disk = Disk::with_room_for_attributes()?;
    let bundle = Plugin::new("A").write(disk.plugin(""));
    let many = bundle.join("Contents/-many");
    fs::write(&many, "").unwrap();
    let value = noise(0, 65_000);
    for number in 0..1_000 {
        attribute(&many, &format!("user.{number:04}"), &value);
    }
    attribute(&many, "user.com.apple.quarantine", "0081;00000000;;");
    for number in 0..1_100 {
        let file = bundle.join(format!("Contents/{number:04}"));
        fs::write(&file, "").unwrap();
        attribute(&file, "user.large", noise(number, 65_000));
    }
    let last = bundle.join("Contents/z");
    fs::write(&last, "").unwrap();
    attribute(&last, "user.com.apple.quarantine", "0081;00000000;;");
    Some(disk)
}

#[test]
fn attributes_by_the_megabyte_are_taken_in_part_and_said() {
    let Some(disk) = full_of_attributes() else {
        return skipped("no file system here has room for them");
    };
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let output = archive.to_str().unwrap();
    within_the_promise(disk.path(), &["collect", "--all", "--output", output]);
    let size = archive.metadata().unwrap().len();
    assert!((40 << 20..80 << 20).contains(&size), "{size}");
    let tar = |more: &str| {
        let mut tar = Command::new("tar");
        tar.arg("-xzOf").arg(&archive).args(["--wildcards", more]);
        String::from_utf8(tar.output().unwrap().stdout).unwrap()
    };
    let manifest: serde_json::Value = serde_json::from_str(&tar("*/manifest.json")).unwrap();
    let left_out = manifest["left_out"].as_array().unwrap();
    let of = |name: &str| {
        let mut lines = left_out.iter().map(|line| line.as_str().unwrap());
        let found = lines.find(|line| line.contains(name));
        found.unwrap_or_default().to_owned()
    };
    let many = of("/-many: for ");
    assert!(
        many.contains("of its extended attributes there is no room"),
        "{many}"
    );
    assert!(
        of("Contents/1099: for 1 ").contains("no room"),
        "{left_out:?}"
    );
    assert_eq!(of("Contents/0000"), "");
    // Nobody takes room from what others have of a usual size.
    assert_eq!(of("Contents/z"), "");
    let members = manifest["members"].as_array().unwrap();
    let last = members
        .iter()
        .find(|m| m["member"].as_str().unwrap().ends_with("/z"));
    let attributes = last.unwrap()["attributes_hex"].as_object().unwrap();
    assert!(
        attributes.contains_key("user.com.apple.quarantine"),
        "{attributes:?}"
    );
    let many = members
        .iter()
        .find(|m| m["member"].as_str().unwrap().ends_with("/-many"));
    let kept = many.unwrap()["attributes"].as_u64().unwrap();
    assert!((20..40).contains(&kept), "{kept}");
}

/// What the evidence lacks stands in the vault, for it is renamed.
#[test]
fn quarantine_says_what_the_evidence_lacks_and_keeps_it() {
    let Some(disk) = full_of_attributes() else {
        return skipped("no file system here has room for them");
    };
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let state = place.path().join("state");
    let state = state.to_str().unwrap();
    let path = "/Library/DirectoryServices/PlugIns/A.dsplug";
    let more = ["--state-dir", state];
    let call = [&["quarantine", path, "--yes-write-image"][..], &more].concat();
    let told = within_the_promise(disk.path(), &call);
    assert!(told.contains("lacks       "), "{told}");
    let list = [&["quarantine", "--list", "--format", "json"][..], &more].concat();
    let rows: Vec<Row> = serde_json::from_str(&within_the_promise(disk.path(), &list)).unwrap();
    let id = &rows[0]["id"];
    let many = format!("{state}/vault/{id}/item/Contents/-many");
    let mut names = Vec::with_capacity(64 << 10);
    rustix::fs::listxattr(many, rustix::buffer::spare_capacity(&mut names)).unwrap();
    assert_eq!(names.iter().filter(|b| **b == 0).count(), 1_001);
}
