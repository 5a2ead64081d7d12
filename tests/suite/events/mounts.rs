//! Volumes that are mounted over what is watched, which is no event of the directory that they cover.

use std::fs;
use std::time::{Duration, Instant};

use dsplug::event::{Action, Event};
use dsplug_fixtures::{Disk, PLUGINS};

use super::crowd::{AT_ONCE, Crowd};
use super::{Line, Watcher, make, sha256};
use crate::hostile::mounts::Mounted;

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
    let Some(bound) = Mounted::bound(&shared.join("v"), folder) else {
        return;
    };
    let line = watcher.wait("appeared", "E.dsplug");
    assert_eq!(line["executable_hash"], sha256(b"evil"));
    drop(bound);
    // The other was covered, and had not gone.
    watcher.wait("gone", "E.dsplug");
    let Some(bound) = Mounted::bound(&shared.join("w/A.dsplug"), honest) else {
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
        let Some(bound) = Mounted::bound(&folder, folder.clone()) else {
            return;
        };
        watcher.wait_for(is_of_folder);
        drop(bound);
        watcher.wait_for(is_of_folder);
    }
}

/// What goes by the hundred takes no line from what a volume covers.
#[test]
fn what_a_volume_covers_is_told_whatever_else_goes() {
    let mut crowd = Crowd::begin(filled(300));
    let folder = crowd.disk.at(PLUGINS);
    let shared = crowd.disk.dir("Users/Shared");
    (1..300).for_each(|n| fs::remove_dir_all(folder.join(name(n))).unwrap());
    assert_eq!(count(&crowd.settled(), Action::Gone), AT_ONCE);
    let Some(bound) = Mounted::bound(&shared, folder) else {
        return;
    };
    let is_told = |crowd: &mut Crowd, code: &str| {
        let events = crowd.settled();
        let one = events.iter().find(|e| e.path.ends_with("/0.dsplug"));
        let one = one.unwrap_or_else(|| panic!("{events:#?}"));
        assert_eq!(one.action, Action::Changed);
        assert_eq!(&*one.state.executable_hash.to_string(), code);
    };
    is_told(&mut crowd, "");
    drop(bound);
    is_told(&mut crowd, &sha256(b"0"));
}

/// What a volume covered and what had no line for that is counted.
#[test]
fn what_a_volume_covered_is_counted() {
    let mut crowd = Crowd::begin(filled(300));
    let folder = crowd.disk.at(PLUGINS);
    let shared = crowd.disk.dir("Users/Shared");
    let Some(bound) = Mounted::bound(&shared, folder) else {
        return;
    };
    assert_eq!(of_bundles(&crowd.settled(), Action::Changed), AT_ONCE);
    drop(bound);
    let events = [crowd.settled(), crowd.after(60_000)].concat();
    assert_eq!(of_bundles(&events, Action::Changed), AT_ONCE);
    let more = events.iter().find(|e| e.action == Action::More).unwrap();
    let error = &more.state.error;
    assert!(
        error.contains("60 more were covered for a while"),
        "{error}"
    );
}

/// What comes from under a volume as it was is nothing new: it takes the lines of what was told before.
#[test]
fn what_comes_from_under_a_volume_is_told_as_what_is_known() {
    let mut crowd = Crowd::begin(filled(300));
    let folder = crowd.disk.at(PLUGINS);
    let (shared, away) = (crowd.disk.dir("Users/Shared"), crowd.disk.at("Away"));
    let is_all = |crowd: &mut Crowd, action| of_bundles(&crowd.settled(), action);
    fs::rename(&folder, &away).unwrap();
    assert_eq!(is_all(&mut crowd, Action::Gone), AT_ONCE);
    fs::rename(&away, &folder).unwrap();
    assert!(is_all(&mut crowd, Action::Appeared) < AT_ONCE);
    let Some(bound) = Mounted::bound(&shared, folder) else {
        return;
    };
    assert!(is_all(&mut crowd, Action::Changed) > 100);
    drop(bound);
    assert_eq!(is_all(&mut crowd, Action::Changed), 0);
}

/// A disk with so many bundles.
fn filled(bundles: usize) -> Disk {
    let disk = Disk::new();
    for number in 0..bundles {
        make(&disk.plugin(name(number)), number.to_string().as_bytes());
    }
    disk
}

fn name(number: usize) -> String {
    format!("{number}.dsplug")
}

fn count(events: &[Event], action: Action) -> usize {
    events.iter().filter(|e| e.action == action).count()
}

fn of_bundles(events: &[Event], action: Action) -> usize {
    let of_bundles = events.iter().filter(|e| e.path.ends_with(".dsplug"));
    of_bundles.filter(|e| e.action == action).count()
}
