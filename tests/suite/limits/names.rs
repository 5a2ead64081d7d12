//! Directories of many names, of long ones, and the many links that lead to one of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dsplug::limits::Limits;

use super::{Disk, PLUGINS, Plugin, Row, common, rows, with_evil};

/// A plug-in folder of systems that are older.
const OLDER: &str = "System/Library/Frameworks/DirectoryService.framework/Resources/Plugins";

/// Names of one file, which cost the disk nothing but their own room.
pub fn names(at: &Path, all: impl Iterator<Item = String>) {
    fs::create_dir_all(at).unwrap();
    let mut first = None;
    for (index, name) in all.enumerate() {
        let path = at.join(name);
        // ext4 gives a file 65,000 names.
        match first.as_ref().filter(|_| index % 60_000 != 0) {
            Some(first) => fs::hard_link(first, &path).unwrap(),
            None => {
                fs::write(&path, "").unwrap();
                first = Some(path);
            }
        }
    }
}

/// A name of 255 bytes that is dear to fold, and its end.
pub fn cyrillic(end: &str) -> String {
    let letters = 255_usize.saturating_sub(end.len()) / 2;
    "\u{455}".repeat(letters) + end
}

/// The rows within the promise, and those that a scan gives that no clock ends: what it looks at is bounded
/// all the same, and on a busy machine the clock may come before.
fn bounded(disk: &Disk) -> Vec<Row> {
    assert!(!rows(disk).is_empty());
    let snapshot = common::scan_with(disk.path(), Limits::PATIENT);
    common::query_in(&snapshot, "SELECT * FROM dsplug_bundles")
}

#[track_caller]
fn evil(rows: &[Row]) -> &Row {
    let evil = rows.iter().find(|r| r["path"].ends_with("Evil.dsplug"));
    let evil = evil.unwrap_or_else(|| panic!("{rows:#?}"));
    assert_eq!(evil["hash"].len(), 64, "{evil:#?}");
    evil
}

#[test]
fn long_names_in_the_folders() {
    let disk = with_evil();
    for folder in [PLUGINS, OLDER] {
        let all = (0..25_000).map(|n| match n % 50 {
            0 => cyrillic(&format!("{n}.dsplug")),
            1 => cyrillic(&format!("{n}.dsplu\u{261}")),
            _ => cyrillic(&format!("{n:07}")),
        });
        names(&disk.at(folder), all);
    }
    let rows = bounded(&disk);
    let evil = evil(&rows);
    assert_ne!(evil["load_verdict"], "not_loadable", "{evil:#?}");
}

/// Each link is looked for in the directory under other spellings.
#[test]
fn links_to_what_a_large_directory_does_not_hold() {
    let disk = with_evil();
    names(
        &disk.at("Users/Shared/big"),
        (0..12_000).map(|n| cyrillic(&n.to_string())),
    );
    for number in 0..300 {
        let target = format!("/Users/Shared/big/{}", cyrillic(&format!("x{number}")));
        disk.link(format!("{PLUGINS}/A{number}.dsplug"), target);
    }
    let rows = bounded(&disk);
    let evil = evil(&rows);
    assert_eq!(evil["load_verdict"], "loadable", "{evil:#?}");
    // Beyond the names that are looked at, it is not known that a link leads nowhere.
    let broken = rows
        .iter()
        .filter(|r| r["load_reasons"] == "broken_symlink");
    let unknown = rows.iter().filter(|r| r["load_verdict"] == "unknown");
    assert_eq!(broken.count() + unknown.clone().count(), 300);
    assert!(unknown.clone().count() > 100);
    assert!(unknown.map(|r| &r["error"]).all(|e| !e.is_empty()));
}

/// The directories that wait to be searched are held.
#[test]
fn languages_that_lead_to_one_large_directory() {
    let disk = with_evil();
    let big = disk.dir("Users/Shared/big");
    for number in 0..3_000 {
        fs::create_dir(big.join(cyrillic(&number.to_string()))).unwrap();
    }
    for number in 0..250 {
        disk.link(format!("{PLUGINS}/{number}.lproj"), "/Users/Shared/big");
    }
    let rows = bounded(&disk);
    assert_eq!(evil(&rows)["load_verdict"], "loadable");
    assert!(rows.iter().any(|r| r["kind"] == "folder"));
}

/// A directory costs its entries once, however many links lead to it.
#[test]
fn links_to_one_large_directory() {
    let disk = Disk::new();
    names(
        &disk.at("Users/Shared/big"),
        (0..60_000).map(|n| format!("f{n}")),
    );
    for number in 0..2_000 {
        let link = disk.plugin(format!("a{number:05}.dsplug"));
        symlink("/Users/Shared/big", link).unwrap();
    }
    Plugin::new("zz Evil").write(disk.plugin(""));
    let rows = bounded(&disk);
    assert_eq!(rows.len(), 2_001);
    let evil = evil(&rows);
    assert_eq!(evil["load_verdict"], "loadable", "{evil:#?}");
    assert_eq!(evil["error"], "", "{evil:#?}");
    assert!(
        rows.iter()
            .filter(|r| r["hash"].is_empty())
            .all(|r| !r["error"].is_empty())
    );
}

/// With where a link leads its Info.plist and its executable are named as well.
#[test]
fn links_that_lead_far_down() {
    let disk = with_evil();
    // No kernel follows a longer text.
    let down = ["n".repeat(220).as_str(); 3].join("/");
    let first = Plugin::new("P").write(disk.dir("Users/Shared"));
    let bundle = |number: usize| {
        let path = format!("Users/Shared/{down}/{number:05}");
        let contents = disk.dir(format!("{path}/Contents/MacOS"));
        let at = |name: &str| contents.parent().unwrap().join(name);
        for file in ["Info.plist", "MacOS/P"] {
            fs::hard_link(first.join("Contents").join(file), at(file)).unwrap();
        }
        path
    };
    for number in 0..2_300 {
        let link = disk.plugin(format!("{number:05}.dsplug"));
        symlink(format!("{}/{}", "/.".repeat(100), bundle(number)), link).unwrap();
    }
    let rows = bounded(&disk);
    assert_eq!(rows.len(), 2_301);
    assert_eq!(evil(&rows)["load_verdict"], "loadable");
    let (whole, cut): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["error"].is_empty());
    assert!(
        whole.len() > 100 && cut.len() > 100,
        "{} whole",
        whole.len()
    );
    for row in cut {
        assert!(row["error"].starts_with("limit: "), "{row:#?}");
        assert_ne!(row["load_verdict"], "not_loadable", "{row:#?}");
    }
}

/// The list of a bundle is looked for in its `Contents`, which may hold any number of names.
#[test]
fn links_to_a_bundle_of_large_contents() {
    let disk = Disk::new();
    let big = Plugin::new("B").write(disk.dir("Users/Shared"));
    names(&big.join("Contents"), (0..80_000).map(|n| format!("f{n}")));
    for number in 0..100 {
        let link = disk.plugin(format!("a{number:05}.dsplug"));
        symlink("/Users/Shared/B.dsplug", link).unwrap();
    }
    Plugin::new("zz Evil").write(disk.plugin(""));
    let rows = bounded(&disk);
    let evil = evil(&rows);
    assert_eq!(evil["load_verdict"], "loadable", "{evil:#?}");
    let links: Vec<_> = rows.iter().filter(|r| r["kind"] == "symlink").collect();
    assert_eq!(links.len(), 100);
    assert!(
        links.iter().all(|r| r["load_verdict"] != "not_loadable"),
        "{:#?}",
        links[0]
    );
}
