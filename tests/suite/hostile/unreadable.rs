//! What cannot be read, or changes while it is.

use crate::common;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::mounts::Mounted;
use crate::common::{bundle, only_bundle, query, scan};
use dsplug::Linked;
use dsplug::bundle::Bundle;
use dsplug::engine::{Engine, EngineError};
use dsplug::limits::Limits;
use dsplug::meta::{Kind, Meta, Special};
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, fifo, needs_root, skipped};

#[test]
fn fifos_devices_and_sockets_are_never_opened() {
    let disk = Disk::new();
    fifo(disk.plugin("F.dsplug"));
    let path = Plugin::new("A")
        .without_plist()
        .without_executable()
        .write(disk.at(PLUGINS));
    fs::create_dir_all(path.join("Contents/MacOS")).unwrap();
    fifo(path.join("Contents/Info.plist"));
    fifo(path.join("Contents/MacOS/A"));
    let row = bundle(disk.path(), "F.dsplug");
    assert_eq!((row["kind"].as_str(), row["hash"].as_str()), ("other", ""));
    assert!(
        row["error"].starts_with("not_regular: "),
        "{}",
        row["error"]
    );
    let row = bundle(disk.path(), "A.dsplug");
    assert_eq!(row["load_verdict"], "not_loadable");
    assert_eq!(row["hash"].len(), 64);
}

#[test]
fn a_plug_in_folder_that_is_a_fifo_or_a_file_fails_the_query() {
    for make in [
        |d: &Disk| fifo(d.at(PLUGINS)),
        |d: &Disk| {
            d.file(PLUGINS, "");
        },
    ] {
        let disk = Disk::empty();
        disk.dir("Library/DirectoryServices");
        make(&disk);
        let snapshot = scan(disk.path());
        let of_the_pack = include_str!("../../../packs/queries/folder_changed.sql");
        for sql in [
            "SELECT * FROM dsplug_bundles",
            "SELECT * FROM dsplug_files",
            of_the_pack,
        ] {
            let answer = Engine::new().unwrap().query(sql, &snapshot);
            assert!(
                matches!(answer, Err(EngineError::Unreadable(_))),
                "{answer:?}"
            );
        }
        let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
        assert!(folder["error"].starts_with("unreadable: "), "{folder:?}");
        assert_eq!(folder["exists"], "0");
    }
}

#[test]
fn damaged_property_lists_give_a_row() {
    let deep = format!("<plist>{}", "<array>".repeat(200_000));
    let damaged = ("malformed_info_plist", "malformed: ");
    // A limit is no proof that CoreFoundation reads nothing.
    let too_deep = ("unreadable", "limit: ");
    for (content, told) in [
        (&b""[..], damaged),
        (b"\0\0\0", damaged),
        (b"bplist00", damaged),
        (b"<plist><string>x</string></plist>", damaged),
        (deep.as_bytes(), too_deep),
    ] {
        let disk = Disk::new();
        Plugin::new("A")
            .without_plist()
            .file("Contents/Info.plist", content)
            .write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        assert_eq!(row["load_reasons"], told.0);
        assert!(row["error"].starts_with(told.1), "{}", row["error"]);
        assert_eq!(row["hash"].len(), 64);
    }
}

/// While files grow, vanish, and turn into links to a FIFO, every scan ends, and every row stands.
#[test]
fn a_disk_in_motion() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .file("Contents/Resources/x", vec![0; 1 << 20])
        .write(disk.at(PLUGINS));
    disk.file("private/tmp/other", "");
    let outside = disk.dir("outside");
    fifo(outside.join("x"));
    let stop = Arc::new(AtomicBool::new(false));
    let (seen, inner) = (Arc::clone(&stop), path.join("Contents/Resources"));
    let mover = std::thread::spawn(move || {
        let aside = inner.with_extension("aside");
        let mut round = 0_u32;
        while !seen.load(Ordering::SeqCst) {
            round += 1;
            let _ = fs::write(inner.join("x"), vec![1; 4096 * (round as usize % 64)]);
            let _ = fs::write(inner.join(format!("y{}", round % 7)), "y");
            let _ = fs::remove_file(inner.join(format!("y{}", (round + 3) % 7)));
            if fs::rename(&inner, &aside).is_ok() {
                let _ = symlink(&outside, &inner);
                std::thread::sleep(Duration::from_micros(200));
                let _ = fs::remove_file(&inner);
                fs::rename(&aside, &inner).unwrap();
            }
        }
    });
    for _ in 0..200 {
        let row = only_bundle(disk.path());
        assert_eq!(row["hash"].is_empty(), !row["error"].is_empty(), "{row:#?}");
    }
    stop.store(true, Ordering::SeqCst);
    mover.join().unwrap();
    assert_eq!(only_bundle(disk.path())["error"], "");
}

/// Runs as someone who is not root: root reads everything.
#[test]
fn what_may_not_be_read_is_an_error_and_a_row() {
    if !needs_root("only root can become another user") {
        return;
    }
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("B").write(disk.at(PLUGINS));
    chmod(disk.path(), 0o755);
    let ask = |sql: &str| {
        let out = Command::new("setpriv")
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                env!("CARGO_BIN_EXE_dsplug"),
            ])
            .args(["query", "--format", "json", "--root"])
            .arg(disk.path())
            .arg(sql)
            .output();
        out.unwrap()
    };
    // The binary itself may stand where nobody else may go.
    if !ask("SELECT 1").status.success() {
        skipped("another user cannot run the binary here");
        return;
    }
    chmod(path.join("Contents/MacOS/A"), 0o000);
    chmod(disk.plugin("B.dsplug"), 0o000);
    let out = ask("SELECT path, hash, error, load_verdict, signature_state FROM dsplug_bundles");
    let rows: Vec<common::Row> = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert!(row["error"].starts_with("unreadable: "), "{row:#?}");
        assert_eq!(
            (row["hash"].as_str(), row["load_verdict"].as_str()),
            ("", "unknown"),
            "{row:#?}"
        );
        assert_eq!(row["signature_state"], "unreadable", "{row:#?}");
    }
    // The folder itself: the query fails.
    chmod(disk.at(PLUGINS), 0o000);
    let out = ask("SELECT * FROM dsplug_bundles");
    assert_eq!(out.status.code(), Some(1));
    assert!(
        String::from_utf8(out.stderr)
            .unwrap()
            .contains("Permission denied")
    );
    chmod(disk.at(PLUGINS), 0o755);
}

#[test]
fn one_entry_that_cannot_be_looked_at_blinds_nothing_else() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let inner = Plugin::new("B").write(disk.plugin(""));
    let mounts = [
        disk.plugin("aaa"),
        disk.plugin("C.dsplug"),
        inner.join("Contents/x"),
    ];
    let Some(_mounts) = mounts
        .into_iter()
        .map(|at| Mounted::new(at, "gone"))
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[1]["error"].as_str(), rows[1]["hash"].len()), ("", 64));
    // The folder's own row says what of it was not searched.
    assert_eq!(rows[0]["kind"], "folder");
    for row in [&rows[0], &rows[2], &rows[3]] {
        assert!(
            row["error"].starts_with("unreadable: cannot stat"),
            "{row:#?}"
        );
        assert_eq!(row["hash"], "");
    }
    let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
    assert!(
        folder["error"].starts_with("unreadable: cannot stat"),
        "{folder:#?}"
    );
    assert_eq!(
        (folder["exists"].as_str(), folder["candidates"].as_str()),
        ("1", "3")
    );
}

#[test]
fn another_volume_is_told_and_not_searched() {
    let disk = Disk::new();
    let inner = Plugin::new("A").write(disk.plugin(""));
    let mounts = [
        disk.plugin("aaa"),
        inner.join("Contents"),
        disk.plugin("B.dsplug"),
    ];
    let Some(_mounts) = mounts
        .into_iter()
        .map(|at| Mounted::new(at, "tmpfs"))
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    Plugin::new("Hidden").write(disk.plugin("aaa"));
    Plugin::new("B").write(disk.plugin(""));
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    assert_eq!(rows.len(), 3, "{rows:#?}");
    assert_eq!(rows[0]["kind"], "folder");
    assert!(
        rows[0]["error"].contains("/PlugIns/aaa and was not searched"),
        "{rows:#?}"
    );
    let rows = &rows[1..];
    assert!(
        rows[0]["error"].contains("mount: a volume is mounted at"),
        "{rows:#?}"
    );
    let told = ["hash", "load_verdict"].map(|column| rows[0][column].as_str());
    assert_eq!(told, ["", "unknown"]);
    assert!(rows[1]["error"].starts_with("mount: "), "{rows:#?}");
    // What is mounted in the candidate's own place is what the loader would find there.
    assert_eq!(rows[1]["hash"].len(), 64);
    let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
    assert!(
        folder["error"].contains("/PlugIns/aaa and was not searched"),
        "{folder:#?}"
    );
    assert!(folder["anomalies"].contains("mount"));
}

/// Once it could be made unreadable, it could be changed unseen.
#[test]
fn what_is_made_unreadable_still_shows_its_changes() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    File::create(path.join("Contents/hole"))
        .unwrap()
        .set_len(10 << 30)
        .unwrap();
    let first = only_bundle(disk.path());
    assert_eq!(
        (first["hash"].as_str(), first["executable_hash"].len()),
        ("", 64)
    );
    assert!(first["unread"].starts_with("ctime="), "{}", first["unread"]);
    assert!(first["unread"].ends_with(";limit"), "{}", first["unread"]);
    assert_eq!(only_bundle(disk.path())["unread"], first["unread"]);
    fs::write(path.join("Contents/MacOS/A"), "other code").unwrap();
    let second = only_bundle(disk.path());
    assert_ne!(second["executable_hash"], first["executable_hash"]);
    fs::write(path.join("Contents/helper"), "x").unwrap();
    let third = only_bundle(disk.path());
    assert_ne!(third["unread"], second["unread"]);
    fs::remove_file(path.join("Contents/hole")).unwrap();
    assert_eq!(only_bundle(disk.path())["unread"], "");
    assert!(include_str!("../../../packs/queries/modified.sql").contains("unread"));
}

/// What stands at a place outside of a bundle.
fn linked<'a>(bundle: &'a mut Bundle, at: &[u8]) -> &'a mut Linked {
    let reach = Arc::make_mut(&mut bundle.evidence.reach);
    let mut places = reach.places.iter_mut();
    places.find(|(path, _)| *path == at).unwrap().1
}

/// One status change in the future, by a clock that was set or on a volume of one's own, must not stand
/// for all that is written afterwards. The times are put in by hand: nobody sets them on a disk.
#[test]
fn any_write_to_what_is_not_read_shows_whatever_the_newest_time_is() {
    let disk = Disk::new();
    let hole = |at: &Path, bytes: u64| File::create(at).unwrap().set_len(bytes).unwrap();
    let path = Plugin::new("A")
        .key("CFBundleExecutable", "/opt/code")
        .without_executable()
        .file("Contents/marker", "m")
        .file("Contents/Frameworks/l.dylib", "code")
        .write(disk.at(PLUGINS));
    disk.file("opt/code", "code");
    hole(&path.join("Contents/hole"), 10 << 30);
    disk.file("Users/Shared/fw/l.dylib", "code");
    hole(&disk.at("Users/Shared/fw/hole"), 300 << 20);
    symlink("/Users/Shared/fw", path.join("Contents/out")).unwrap();
    let root = Root::open(disk.path()).unwrap();
    let snapshot = Scanner::new(root, Limits::STANDARD).scan();
    let mut bundle = Bundle::clone(&snapshot.bundles[0]);
    assert_eq!((bundle.digest, bundle.linked_digest()), (None, None));
    let at = |bundle: &Bundle, name: &[u8]| {
        let mut entries = bundle.evidence.entries.iter();
        entries.position(|e| *e.path == *name).unwrap()
    };
    let marker = at(&bundle, b"Contents/marker");
    Arc::make_mut(&mut bundle.evidence.entries)[marker]
        .meta
        .ctime
        .seconds = 4_070_908_800;
    let before = bundle.unread();
    assert!(before.starts_with("ctime=4070908800."), "{before}");
    let dylib = at(&bundle, b"Contents/Frameworks/l.dylib");
    let fw = b"/Users/Shared/fw".as_slice();
    let changes: [fn(&mut Meta); 6] = [
        |m| m.size += 1,
        |m| m.mtime.nanoseconds += 1,
        |m| m.ctime.nanoseconds += 1,
        |m| m.ino += 1,
        |m| m.mode ^= 0o100,
        |m| m.kind = Kind::Other(Special::Fifo),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let places: [&dyn Fn(&mut Bundle); 4] = [
            &|b| change(&mut Arc::make_mut(&mut b.evidence.entries)[dylib].meta),
            &|b| change(&mut linked(b, fw).entries[1].meta),
            &|b| change(&mut linked(b, fw).meta),
            &|b| change(&mut b.evidence.executable.as_mut().unwrap().meta),
        ];
        for (place, written) in places.into_iter().enumerate() {
            let mut other = bundle.clone();
            written(&mut other);
            assert_ne!(other.unread(), before, "change {number} at {place}");
        }
    }
    // A Mac that starts anew numbers its volumes otherwise: nobody has written.
    let mut other = bundle.clone();
    Arc::make_mut(&mut other.evidence.entries)[dylib].meta.dev += 1;
    assert_eq!(other.unread(), before);
}

#[test]
fn a_long_attribute_is_its_own_error() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let long = "x".repeat(2000);
    for at in [path.clone(), path.join("Contents/MacOS/A")] {
        let name = "user.com.apple.quarantine";
        rustix::fs::setxattr(&at, name, long.as_bytes(), rustix::fs::XattrFlags::empty()).unwrap();
    }
    let row = only_bundle(disk.path());
    assert_eq!((row["hash"].len(), row["executable_hash"].len()), (64, 64));
    let told = "com.apple.quarantine has more than 1024 bytes";
    assert!(row["error"].contains(told), "{}", row["error"]);
    assert_eq!(row["load_verdict"], "loadable");
    let sql = "SELECT hash, error FROM dsplug_files WHERE error <> ''";
    let files = query(disk.path(), sql);
    assert_eq!((files.len(), files[0]["hash"].len()), (1, 64));
    assert!(files[0]["error"].contains(told), "{files:?}");
}
