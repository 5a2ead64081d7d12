//! Scans whose time, bytes or room do not suffice: what stands outside of one bundle is looked at whatever another has there
//! to be read.

use std::fs;
use std::time::Duration;

use dsplug::limits::Limits;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, set_mtime, sparse};

use super::remembered::{rows, scanner, settle};

/// Gigabytes in other bundles take longer to read than a scan has.
#[test]
fn what_takes_long_to_read_takes_no_digest_from_what_links_of_others_lead_to() {
    let disk = Disk::new();
    disk.file("Users/Shared/fw/a", "a");
    for number in 0..8 {
        Plugin::new(&format!("V{number}")).write(disk.plugin(""));
        let link = format!("{PLUGINS}/V{number}.dsplug/Contents/l");
        disk.link(link, "/Users/Shared/fw");
    }
    for number in 0..4 {
        let bundle = Plugin::new(&format!("A{number}")).write(disk.plugin(""));
        sparse(bundle.join("Contents/data"), b"", 1_400 << 20);
    }
    let limits = Limits {
        time: Duration::from_millis(1_500),
        ..Limits::STANDARD
    };
    settle();
    let mut scanner = scanner(&disk, limits);
    let first = rows(&scanner.scan());
    assert!(
        first[3]["error"].contains("time of the scan is spent"),
        "{}: it does not suffice here",
        first[3]["error"]
    );
    for row in &first[4..] {
        assert_eq!(row["linked_hash"].len(), 64, "{row:#?}");
        assert_eq!(row["error"], "");
    }
    assert_eq!(rows(&scanner.scan())[4..], first[4..]);
}

/// Where links of others lead to more, their turn comes after.
#[test]
fn what_changes_where_links_lead_is_read_before_what_is_larger() {
    let disk = Disk::new();
    let files = [("A", 200), ("B", 150)].map(|(name, megabytes)| {
        Plugin::new(name).write(disk.plugin(""));
        let directory = disk.dir(format!("Users/Shared/{name}"));
        let link = format!("{PLUGINS}/{name}.dsplug/Contents/l");
        disk.link(link, format!("/Users/Shared/{name}"));
        let file = directory.join("data");
        sparse(&file, name.as_bytes(), megabytes << 20);
        file
    });
    let limits = Limits {
        scan_bytes: 300 << 20,
        time: Duration::from_secs(60),
        ..Limits::STANDARD
    };
    settle();
    let mut scanner = scanner(&disk, limits);
    scanner.scan();
    let known = rows(&scanner.scan());
    assert!(known.iter().all(|row| row["linked_hash"].len() == 64));
    for file in files {
        let bytes = fs::metadata(&file).unwrap().len();
        sparse(&file, b"new", bytes);
    }
    let changed = rows(&scanner.scan());
    assert_eq!(changed[0]["linked_hash"], "");
    assert_eq!(changed[1]["linked_hash"].len(), 64);
    assert_ne!(changed[1]["linked_hash"], known[1]["linked_hash"]);
}

/// What had room for its ways has it again.
#[test]
fn where_there_is_no_room_for_what_all_lead_to_it_is_the_same_bundles_that_have_it() {
    let disk = Disk::new();
    for number in 0..8 {
        Plugin::new(&format!("B{number}")).write(disk.plugin(""));
        let far = format!("Users/Shared/{number}{}", "/long".repeat(20));
        disk.file(format!("{far}/data"), vec![b'x'; 100 - number]);
        let link = format!("{PLUGINS}/B{number}.dsplug/Contents/l");
        disk.link(link, format!("/{far}"));
    }
    let limits = Limits {
        ways: 2 << 10,
        ..Limits::STANDARD
    };
    settle();
    let mut scanner = scanner(&disk, limits);
    let first = rows(&scanner.scan());
    let are_cut = first.iter().filter(|row| row["linked_hash"].is_empty());
    assert!((1..8).contains(&are_cut.count()), "{first:#?}");
    for _ in 0..2 {
        assert_eq!(rows(&scanner.scan()), first);
    }
}

/// Gigabytes that are written all the time, behind links of bundles that hold less than another.
#[test]
fn what_was_never_seen_whole_has_its_turn_whatever_links_of_others_lead_to() {
    let disk = Disk::new();
    let large: Vec<_> = (0..24)
        .map(|number| {
            let name = format!("A{number:02}");
            Plugin::new(&name).write(disk.plugin(""));
            let link = format!("{PLUGINS}/{name}.dsplug/Contents/l");
            disk.link(link, format!("/Users/Shared/{name}"));
            let file = disk.file(format!("Users/Shared/{name}"), "");
            sparse(&file, b"", 250 << 20);
            file
        })
        .collect();
    let bundle = Plugin::new("Z").write(disk.plugin(""));
    fs::write(bundle.join("Contents/data"), vec![b'z'; 1 << 20]).unwrap();
    let library = disk.file("Users/Shared/fw/a", "a");
    disk.link(format!("{PLUGINS}/Z.dsplug/Contents/l"), "/Users/Shared/fw");
    let limits = Limits {
        time: Duration::from_millis(600),
        ..Limits::STANDARD
    };
    settle();
    let mut scanner = scanner(&disk, limits);
    let mut times = 1..;
    let mut scan = || {
        let time = times.next().unwrap();
        // What is new each time takes nobody's turn either.
        let name = format!("N{time:02}");
        Plugin::new(&name).write(disk.plugin(""));
        let link = format!("{PLUGINS}/{name}.dsplug/Contents/l");
        disk.link(link, "/Users/Shared/A00");
        large.iter().for_each(|file| set_mtime(file, time));
        rows(&scanner.scan()).pop().unwrap()["linked_hash"].clone()
    };
    assert_eq!(scan(), "", "the time of a scan suffices here");
    // What has waited, and leads to little, is next.
    let first = scan();
    assert_eq!(first.len(), 64);
    // Whatever leads to so little comes first from now on.
    fs::write(library, "b").unwrap();
    let second = scan();
    assert_eq!(second.len(), 64);
    assert_ne!(second, first);
    assert_eq!(scan(), second);
}
