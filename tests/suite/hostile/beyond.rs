//! What lies beyond a limit: it is not read, and nobody writes there unseen.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::common::{Row, only_bundle, query_in, scan_with};
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

fn row(disk: &Disk, limits: Limits) -> Row {
    let rows = query_in(
        &scan_with(disk.path(), limits),
        "SELECT * FROM dsplug_bundles",
    );
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows.into_iter().next().unwrap()
}

/// A write to a file shows, a rename to it and a file beside it, and else nothing does. All of it was looked
/// at; that code beyond a bundle's own limits may name libraries is told `daily`.
#[track_caller]
fn is_watched(disk: &Disk, file: &Path, limits: Limits, daily: bool) {
    let first = row(disk, limits);
    assert!(first["unread"].ends_with(";limit"), "{first:#?}");
    let unread = &first["unread"];
    assert_eq!(unread.contains("unwatched"), daily, "{unread}");
    assert_eq!(row(disk, limits)["unread"], first["unread"]);
    let mut told = first["unread"].clone();
    let mut differs = |what: &str| {
        let now = row(disk, limits)["unread"].clone();
        assert_ne!(now, told, "{what}");
        told = now;
    };
    fs::write(file, "written in place").unwrap();
    differs("a write");
    let new = file.with_file_name(".new");
    fs::write(&new, "renamed").unwrap();
    fs::rename(&new, file).unwrap();
    differs("a rename");
    fs::write(file.with_file_name("beside"), "").unwrap();
    differs("a file beside it");
    assert_eq!(row(disk, limits)["unread"], told);
}

fn library_at(directory: PathBuf) -> PathBuf {
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join("payload.dylib");
    fs::write(&file, "library").unwrap();
    file
}

#[test]
fn deeper_than_is_gone_down() {
    for depth in [100, 400] {
        let disk = Disk::new();
        let path = Plugin::new("A").write(disk.at(PLUGINS));
        let file = library_at(path.join(format!("Contents/Frameworks{}", "/d".repeat(depth))));
        is_watched(&disk, &file, Limits::STANDARD, true);
    }
}

#[test]
fn more_entries_than_are_taken() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for number in 0..200 {
        fs::write(path.join(format!("Contents/{number}")), "").unwrap();
    }
    let file = library_at(path.join("Contents/Resources/z"));
    for limits in [
        Limits {
            candidate_entries: 100,
            ..Limits::STANDARD
        },
        Limits {
            scan_entries: 100,
            ..Limits::STANDARD
        },
    ] {
        is_watched(&disk, &file, limits, true);
        fs::remove_file(file.with_file_name("beside")).unwrap();
    }
}

#[test]
fn more_entries_behind_a_link_than_are_taken() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for number in 0..5_000 {
        disk.file(format!("Users/Shared/fw/a{number}"), "");
    }
    let file = library_at(disk.at("Users/Shared/fw/z"));
    symlink("/Users/Shared/fw", path.join("Contents/Frameworks")).unwrap();
    is_watched(&disk, &file, Limits::STANDARD, false);
}

#[test]
fn more_places_than_are_read() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for number in 0..40 {
        disk.file(format!("Users/Shared/l{number}"), "");
        let link = path.join(format!("Contents/l{number}"));
        symlink(format!("/Users/Shared/l{number}"), link).unwrap();
    }
    for number in 0..40 {
        let before = only_bundle(disk.path());
        assert!(!before["unread"].contains("unwatched"), "{before:#?}");
        disk.file(format!("Users/Shared/l{number}"), "written");
        let after = only_bundle(disk.path());
        assert_ne!(before["unread"], after["unread"], "{number}");
    }
    // Directories too.
    for number in 0..40 {
        let file = library_at(disk.at(format!("opt/{number}")));
        let link = path.join(format!("Contents/d{number}"));
        symlink(
            file.parent()
                .unwrap()
                .strip_prefix(disk.path())
                .map(|p| Path::new("/").join(p))
                .unwrap(),
            link,
        )
        .unwrap();
    }
    is_watched(
        &disk,
        &disk.at("opt/0/payload.dylib"),
        Limits::STANDARD,
        false,
    );
    is_watched(
        &disk,
        &disk.at("opt/39/payload.dylib"),
        Limits::STANDARD,
        false,
    );
}

/// A link that stands beyond a limit itself.
#[test]
fn behind_a_link_that_stands_too_deep() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let deep = path.join(format!("Contents/Frameworks{}", "/d".repeat(100)));
    fs::create_dir_all(&deep).unwrap();
    let file = library_at(disk.at("Users/Shared/fw"));
    symlink("/Users/Shared/fw", deep.join("out")).unwrap();
    let first = only_bundle(disk.path());
    assert_eq!(first["linked_paths"], "/Users/Shared/fw");
    fs::write(file, "written").unwrap();
    assert_ne!(
        only_bundle(disk.path())["linked_hash"],
        first["linked_hash"]
    );
    // And one deep in a place that a link leads to.
    let far = disk.dir(format!("opt{}", "/d".repeat(100)));
    let file = library_at(disk.at("Users/Guest/fw"));
    symlink("/Users/Guest/fw", far.join("out")).unwrap();
    symlink("/opt", path.join("Contents/opt")).unwrap();
    is_watched(&disk, &file, Limits::STANDARD, true);
}

/// A link straight to a library, whatever another leads to above it.
#[test]
fn a_file_that_a_link_names_is_read_before_what_stands_above_it() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for number in 0..4_200 {
        disk.file(format!("Users/Shared/a{number}"), "");
    }
    let file = library_at(disk.at("Users/Shared/z"));
    symlink("/Users/Shared", path.join("Contents/A")).unwrap();
    symlink(
        "/Users/Shared/z/payload.dylib",
        path.join("Contents/z.dylib"),
    )
    .unwrap();
    // It would take all bytes that are read of such places.
    dsplug_fixtures::sparse(disk.at("Users/Shared/0"), b"", 256 << 20);
    let snapshot = scan_with(disk.path(), Limits::STANDARD);
    let linked = &snapshot.bundles[0].evidence.reach.places;
    let direct = linked.get(b"/Users/Shared/z/payload.dylib").unwrap();
    assert!(direct.is_whole && direct.entries[0].content.sha256().is_some());
    is_watched(&disk, &file, Limits::STANDARD, false);
    // Where all above it is read, it is a part of that, whichever link comes first.
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    library_at(disk.at("Users/Shared/z"));
    for (one, other) in [("a", "b"), ("b", "a")] {
        symlink("/Users/Shared", path.join("Contents").join(one)).unwrap();
        symlink(
            "/Users/Shared/z/payload.dylib",
            path.join("Contents").join(other),
        )
        .unwrap();
        let row = only_bundle(disk.path());
        assert_eq!(
            (row["linked_paths"].as_str(), row["linked_hash"].len()),
            ("/Users/Shared", 64)
        );
        assert_eq!(row["unread"], "");
        fs::remove_file(path.join("Contents/a")).unwrap();
        fs::remove_file(path.join("Contents/b")).unwrap();
    }
}

fn day() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400
}

#[track_caller]
fn is_blind(row: &Row) {
    let words = [
        format!(";unwatched={};", day()),
        format!(";unwatched={};", day() - 1),
    ];
    assert!(words.iter().any(|w| row["unread"].contains(w)), "{row:#?}");
}

/// Where this ends as well, the word of the day says that nothing can be watched: for that bundle alone.
#[test]
fn what_cannot_be_watched_is_told_daily() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    library_at(path.join(format!("Contents/Frameworks{}", "/d".repeat(100))));
    let few = Limits {
        watched_entries: 50,
        ..Limits::STANDARD
    };
    let first = row(&disk, few);
    is_blind(&first);
    assert_eq!(row(&disk, few)["unread"], first["unread"]);
    Plugin::new("B").write(disk.at(PLUGINS));
    let rows = query_in(&scan_with(disk.path(), few), "SELECT * FROM dsplug_bundles");
    is_blind(&rows[0]);
    assert_eq!(
        (rows[1]["unread"].as_str(), rows[1]["hash"].len()),
        ("", 64)
    );
}

#[test]
fn what_cannot_be_followed_is_told_daily() {
    let disk = Disk::new();
    let far = disk.too_far();
    disk.file(".file", "");
    for target in [far.as_str(), "/.vol/1/2", "/.file/id=1.2", "/dev/fd/3"] {
        let place = "Contents/zz";
        let path = Plugin::new("A").write(disk.at(PLUGINS));
        symlink(target, path.join(place)).unwrap();
        is_blind(&only_bundle(disk.path()));
        fs::remove_dir_all(path).unwrap();
        let plugin = Plugin::new("A").key("CFBundleExecutable", target);
        let path = plugin.without_executable().write(disk.at(PLUGINS));
        is_blind(&only_bundle(disk.path()));
        fs::remove_dir_all(path).unwrap();
        disk.link(format!("{PLUGINS}/L.dsplug"), target);
        is_blind(&only_bundle(disk.path()));
        fs::remove_file(disk.plugin("L.dsplug")).unwrap();
    }
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for number in 0..1_100 {
        let link = path.join(format!("Contents/{number}"));
        symlink(format!("/nowhere/{number}"), link).unwrap();
    }
    is_blind(&only_bundle(disk.path()));
}

/// Paths that every kernel follows: below 1,024 bytes, of hundreds of steps.
#[test]
fn a_path_of_hundreds_of_steps_is_followed() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    disk.file("Users/Shared/x", "library");
    let far = |name: &str| format!("{}/Users/Shared/{name}", "/Users/..".repeat(85));
    let up = format!("{}/Users/Shared/x", "/..".repeat(330));
    assert!(up.len() < 1_024 && far("x").len() < 1_024);
    symlink(up, path.join("Contents/up")).unwrap();
    symlink(far("x"), path.join("Contents/zz")).unwrap();
    let row = only_bundle(disk.path());
    assert_eq!(
        (row["linked_paths"].as_str(), row["linked_hash"].len()),
        ("/Users/Shared/x", 64)
    );
    assert_eq!((row["unread"].as_str(), row["error"].as_str()), ("", ""));
    fs::remove_dir_all(path).unwrap();
    let plugin = Plugin::new("A").key("CFBundleExecutable", far("x"));
    let path = plugin.without_executable().write(disk.at(PLUGINS));
    let row = only_bundle(disk.path());
    assert_eq!(
        (row["executable"].as_str(), row["executable_hash"].len()),
        ("/Users/Shared/x", 64)
    );
    fs::remove_dir_all(path).unwrap();
    Plugin::new("E").write(disk.at("Users/Shared"));
    disk.link(format!("{PLUGINS}/A.dsplug"), far("E.dsplug"));
    let row = only_bundle(disk.path());
    assert_eq!(
        (row["resolved_path"].as_str(), row["hash"].len()),
        ("/Users/Shared/E.dsplug", 64)
    );
}

/// A link to a large directory is no reason to be told of daily.
#[test]
fn a_link_to_a_large_directory_is_quiet() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let large = disk.dir("Library/Application Support/Acme");
    for number in 0..20_000 {
        fs::write(large.join(number.to_string()), "").unwrap();
    }
    symlink(
        "/Library/Application Support/Acme",
        path.join("Contents/Resources"),
    )
    .unwrap();
    let mut scanner =
        Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD).remembering();
    let unread = [(); 3].map(|()| scanner.scan().bundles[0].unread());
    assert!(!unread[0].contains("unwatched"), "{unread:?}");
    assert!(unread.iter().all(|u| *u == unread[0]), "{unread:?}");
}
