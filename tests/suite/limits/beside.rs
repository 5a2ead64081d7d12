//! What is planted beside a bundle of very many entries, which all of it stands beside in memory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use dsplug::exceptions::{LOCAL, MANAGED};
use dsplug_fixtures::{Disk, PLUGINS, chmod, needs_root, skipped};

use super::many::for_some_seconds;
use super::names::names;
use super::{MOST_HELD, with_evil};

/// More entries than a candidate may have.
const ENTRIES: usize = 100_000;
/// A sign of NeXT's encoding that takes three bytes as UTF-8.
const SIGN: u8 = 0xae;

/// Under a watch that has seen a bundle of very many entries and `act`s on them after that, once a round.
fn beside_very_many(act: impl Fn(&Disk, u32) + Sync) {
    if cfg!(not(target_os = "linux")) {
        return skipped("the memory of a process is read from /proc");
    }
    let disk = with_evil();
    let all = disk.at(format!("{PLUGINS}/Z.dsplug/Contents/Resources"));
    names(&all, (0..ENTRIES).map(|n| n.to_string()));
    std::thread::sleep(Duration::from_secs(3));
    let peak = for_some_seconds(disk.path(), &["watch"], || {
        std::thread::sleep(Duration::from_secs(8));
        for round in 0..3 {
            act(&disk, round);
            std::thread::sleep(Duration::from_secs(5));
        }
    });
    eprintln!("{peak} KB under a watch");
    assert!(peak < MOST_HELD, "{peak} KB");
}

/// Exchanges one file of that bundle.
fn change_one(disk: &Disk, round: u32) {
    let file = format!("{PLUGINS}/Z.dsplug/Contents/Resources/0");
    let new = disk.file("new", round.to_string());
    fs::rename(new, disk.at(&file)).unwrap();
}

/// A list in NeXT's encoding of so many bytes, most of which are those of one text.
fn of_next_step(values: usize, length: usize) -> Vec<u8> {
    let head = format!(
        "<?xml version='1.0' encoding='x-nextstep'?><plist><dict><key>A</key><array>{}</array><key>B</key><string>",
        "<true/>".repeat(values)
    );
    let tail = b"</string></dict></plist>";
    let text = vec![SIGN; length - head.len() - tail.len()];
    [head.as_bytes(), &text, tail].concat()
}

/// What was known of all others stands beside what is found.
#[test]
fn one_of_very_many_entries_is_exchanged() {
    beside_very_many(change_one);
}

/// They are names of one file: of none what was known holds.
#[test]
fn all_of_very_many_entries_change() {
    beside_very_many(|disk, round| {
        let file = disk.at(format!("{PLUGINS}/Z.dsplug/Contents/Resources/1"));
        fs::set_permissions(file, fs::Permissions::from_mode(0o640 + round)).unwrap();
    });
}

/// The list that the folder itself has is read before all else.
#[test]
fn a_list_of_the_folder_beside_very_many_entries() {
    for list in [
        of_next_step(300_000, 4 << 20),
        of_next_step(0, 400_000),
        format!(
            "<plist><array>{}</array></plist>",
            "<true/>".repeat(595_000)
        )
        .into_bytes(),
    ] {
        beside_very_many(|disk, round| {
            change_one(disk, round);
            disk.file(format!("{PLUGINS}/Info.plist"), &list);
        });
    }
}

/// The list of that bundle.
#[test]
fn a_list_of_a_bundle_of_very_many_entries() {
    let list = of_next_step(300_000, 4 << 20);
    beside_very_many(|disk, round| {
        change_one(disk, round);
        disk.file(format!("{PLUGINS}/Z.dsplug/Contents/Info.plist"), &list);
    });
}

/// Two lists, each of as many entries as it may have.
#[test]
fn lists_of_exceptions_beside_very_many_entries() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let list = |length| {
        let entry = |n| {
            let path = format!("<key>Path</key><string>/{PLUGINS}/Q{n}.dsplug</string>");
            [
                format!("<dict>{path}<key>Reason</key><string>").as_bytes(),
                &vec![SIGN; length],
                b"</string></dict>",
            ]
            .concat()
        };
        let entries: Vec<_> = (0..4_000).map(entry).collect();
        [
            b"<?xml version='1.0' encoding='x-nextstep'?><plist><dict><key>Exceptions</key><array>",
            entries.concat().as_slice(),
            b"</array></dict></plist>",
        ]
        .concat()
    };
    for list in [list(380), list(80)] {
        beside_very_many(|disk, round| {
            change_one(disk, round);
            for source in [MANAGED, LOCAL] {
                chmod(disk.file(&source[1..], &list), 0o644);
            }
        });
    }
}
