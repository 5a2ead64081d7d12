//! Disks that were laid out to hang, blind, crash or mislead: always a row and an error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a panic is a test's report"
)]

mod common;

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{bundle, only_bundle, query, scan, scan_with};
use dsplug::bundle::Bundle;
use dsplug::engine::{Engine, EngineError};
use dsplug::limits::Limits;
use dsplug::meta::{Kind, Meta};
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
        let of_the_pack = include_str!("../packs/queries/folder_changed.sql");
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
fn loops_of_links_end() {
    let disk = Disk::new();
    disk.link(format!("{PLUGINS}/a.dsplug"), "b.dsplug");
    disk.link(format!("{PLUGINS}/b.dsplug"), "a.dsplug");
    disk.link(format!("{PLUGINS}/self.dsplug"), "self.dsplug");
    disk.link(format!("{PLUGINS}/up.dsplug"), ".");
    disk.link(format!("{PLUGINS}/Contents"), "Contents");
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    assert_eq!(rows.len(), 4);
    for row in rows.iter().filter(|r| !r["path"].ends_with("up.dsplug")) {
        assert!(row["error"].starts_with("broken_symlink: "), "{row:#?}");
    }
}

/// Whoever could make every query fail by one link would have silenced the pack.
#[test]
fn a_link_that_leads_nowhere_blinds_nothing() {
    let targets = ["none", "Contents", &"x".repeat(300), &"x/".repeat(200)];
    for target in targets {
        let disk = Disk::new();
        Plugin::new("A").write(disk.plugin(""));
        for name in [
            "Contents",
            "Resources",
            "Support Files",
            "en.lproj",
            "other",
        ] {
            disk.link(format!("{PLUGINS}/{name}"), target);
        }
        let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
        assert_eq!(rows.len(), 1, "{target}");
        // Such a link tells the layout all the same, where the disk says what is a link.
        let told = ["load_verdict", "load_reasons"].map(|column| rows[0][column].as_str());
        assert_eq!(told, ["unknown", "maybe_listed"], "{target}");
        // The folder itself: nothing loads from it.
        let disk = Disk::empty();
        let target = target.replace("Contents", "PlugIns");
        disk.link(PLUGINS, target);
        assert!(query(disk.path(), "SELECT * FROM dsplug_bundles").is_empty());
        let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
        let told = ["exists", "anomalies", "error"].map(|column| folder[column].as_str());
        assert_eq!(told, ["0", "broken_symlink", ""]);
    }
}

#[test]
fn a_huge_sparse_file_starves_only_itself() {
    let disk = Disk::new();
    let path = Plugin::new("Big").write(disk.at(PLUGINS));
    File::create(path.join("Contents/hole"))
        .unwrap()
        .set_len(10 << 30)
        .unwrap();
    File::create(disk.plugin("File.dsplug"))
        .unwrap()
        .set_len(10 << 30)
        .unwrap();
    Plugin::new("Small").write(disk.at(PLUGINS));
    for name in ["Big.dsplug", "File.dsplug"] {
        let row = bundle(disk.path(), name);
        assert_eq!(row["hash"], "");
        assert!(row["error"].starts_with("limit: "), "{}", row["error"]);
        assert!(row["bytes"].parse::<u64>().unwrap() >= 10 << 30);
    }
    let row = bundle(disk.path(), "Small.dsplug");
    assert_eq!((row["hash"].len(), row["error"].as_str()), (64, ""));
}

#[test]
fn too_many_entries_are_cut_and_said() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for i in 0..50 {
        fs::write(path.join(format!("Contents/{i}")), "").unwrap();
    }
    let limits = Limits {
        candidate_entries: 20,
        ..Limits::STANDARD
    };
    let rows = common::query_in(
        &scan_with(disk.path(), limits),
        "SELECT * FROM dsplug_bundles",
    );
    assert_eq!(rows[0]["hash"], "");
    assert!(
        rows[0]["error"].starts_with("limit: more than 20 entries"),
        "{}",
        rows[0]["error"]
    );
}

#[test]
fn a_bundle_of_many_entries_starves_only_itself() {
    let disk = Disk::new();
    let path = Plugin::new("AAA").write(disk.at(PLUGINS));
    for i in 0..600 {
        fs::write(path.join(format!("Contents/{i}")), "").unwrap();
    }
    Plugin::new("Small").write(disk.at(PLUGINS));
    let limits = Limits {
        candidate_entries: 700,
        scan_entries: 600,
        ..Limits::STANDARD
    };
    let rows = common::query_in(
        &scan_with(disk.path(), limits),
        "SELECT * FROM dsplug_bundles",
    );
    assert!(
        rows[0]["error"].starts_with("limit: more than "),
        "{}",
        rows[0]["error"]
    );
    assert_eq!((rows[1]["hash"].len(), rows[1]["error"].as_str()), (64, ""));
}

#[test]
fn what_is_large_takes_the_bytes_of_nothing_smaller() {
    let disk = Disk::new();
    for (name, len) in [("A", 1 << 20), ("B", 1 << 10)] {
        Plugin::new(name)
            .file("Contents/data", vec![0; len])
            .write(disk.plugin(""));
    }
    // As many as the larger one needs, which has the first name.
    let bytes = &query(disk.path(), "SELECT bytes FROM dsplug_bundles")[0]["bytes"];
    let limits = Limits {
        scan_bytes: bytes.parse().unwrap(),
        ..Limits::STANDARD
    };
    let rows = common::query_in(
        &scan_with(disk.path(), limits),
        "SELECT hash FROM dsplug_bundles",
    );
    assert_eq!((rows[0]["hash"].len(), rows[1]["hash"].len()), (0, 64));
}

#[test]
fn depth_is_cut_and_said() {
    let disk = Disk::new();
    let mut path = Plugin::new("A").write(disk.at(PLUGINS));
    for _ in 0..150 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    let row = only_bundle(disk.path());
    assert_eq!(row["hash"], "");
    assert!(
        row["error"].starts_with("limit: deeper than 96"),
        "{}",
        row["error"]
    );
}

#[test]
fn hostile_names_are_escaped_everywhere() {
    let disk = Disk::new();
    let name = std::ffi::OsStr::from_bytes(b"a\n\xff\x1b[31m.dsplug");
    Plugin::new("A")
        .key("CFBundleIdentifier", "x\u{202e}\ty")
        .write_as(disk.plugin(name));
    let row = only_bundle(disk.path());
    assert!(
        row["path"].ends_with("/a\\x0a\\xff\\x1b[31m.dsplug"),
        "{}",
        row["path"]
    );
    assert_eq!(row["bundle_identifier"], "x\\u{202e}\\x09y");
    assert!(
        row.values()
            .all(|v| !v.contains(['\n', '\x1b', '\u{202e}']))
    );
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

#[cfg(target_os = "linux")]
#[test]
fn of_many_files_that_the_judgement_wants_few_are_kept() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for i in 0..60 {
        let directory = path.join(format!("Contents/{i}/_CodeSignature"));
        fs::create_dir_all(&directory).unwrap();
        File::create(directory.join("CodeResources"))
            .unwrap()
            .set_len(4 << 20)
            .unwrap();
    }
    // What is not resident counts too here: stacks, and the allocator's arenas of each thread.
    let out = Command::new("sh")
        .args(["-c", "ulimit -v 327680 && exec \"$0\" query --root \"$1\" --format json 'SELECT hash, error FROM dsplug_bundles'"])
        .arg(env!("CARGO_BIN_EXE_dsplug"))
        .arg(disk.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let rows: Vec<common::Row> = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((rows[0]["hash"].len(), rows[0]["error"].as_str()), (64, ""));
}

#[test]
fn without_time_nothing_is_said_to_be_unsigned() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    let limits = Limits {
        time: Duration::ZERO,
        ..Limits::STANDARD
    };
    let rows = common::query_in(
        &scan_with(disk.path(), limits),
        "SELECT * FROM dsplug_bundles",
    );
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["signature_state"], "unreadable");
    assert_eq!(rows[0]["hash"], "");
    assert!(
        rows[0]["error"].starts_with("limit: "),
        "{}",
        rows[0]["error"]
    );
}

#[test]
fn an_info_plist_of_gigabytes_is_not_read() {
    let disk = Disk::new();
    let path = Plugin::new("A").without_plist().write(disk.at(PLUGINS));
    File::create(path.join("Contents/Info.plist"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    let row = only_bundle(disk.path());
    assert!(row["error"].starts_with("limit: "), "{}", row["error"]);
    assert_eq!(row["load_verdict"], "unknown");
}

/// While files grow, vanish, and turn into links to a FIFO, every scan ends, and every row stands.
#[test]
fn a_disk_in_motion() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .file("Contents/Resources/x", vec![0; 1 << 20])
        .write(disk.at(PLUGINS));
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

/// A volume that is mounted while it lives. Nothing answers for it: what is asked of it waits for
/// ever, or is an error once its server has gone.
struct Mounted(std::path::PathBuf);

impl Mounted {
    /// A file system whose server has gone, and a memory file system; `None` where this machine
    /// does not let one mount.
    fn new(at: std::path::PathBuf, of: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let line = match of {
            "gone" => {
                "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none \"$1\""
            }
            _ => "mount -t tmpfs none \"$1\"",
        };
        let mut mount = Command::new("bash");
        let out = mount.args(["-c", line, "bash"]).arg(&at).output().unwrap();
        if !out.status.success() {
            skipped(format_args!(
                "no mount: {}",
                String::from_utf8_lossy(&out.stderr)
            ));
            return None;
        }
        Some(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
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

#[test]
fn many_bundles_do_not_use_up_the_descriptors() {
    let disk = Disk::new();
    for number in 0..100 {
        Plugin::new(&format!("Many{number}")).write(disk.at(PLUGINS));
    }
    // A launchd job has 256 of them; fewer show the same.
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_dsplug"))
        .args(["query", "--format", "csv", "--root"])
        .arg(disk.path())
        .arg("SELECT count(*) FROM dsplug_bundles WHERE hash != '' AND error = ''")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("100"), "{text}");
}

/// A link of more components than are followed hides nothing but itself, and is said.
#[test]
fn a_link_too_long_to_follow_blinds_nothing() {
    for name in ["Contents", "Resources", "Support Files", "en.lproj"] {
        let disk = Disk::new();
        Plugin::new("A").write(disk.at(PLUGINS));
        disk.dir(format!("{PLUGINS}/sub"));
        let far = "sub/../".repeat(100);
        disk.link(format!("{PLUGINS}/{name}"), format!("{far}sub"));
        assert_eq!(bundle(disk.path(), "A.dsplug")["hash"].len(), 64);
        // The folder says so, in its own table and by a row among the bundles.
        let folder = query(disk.path(), "SELECT error FROM dsplug_folders");
        let row = query(
            disk.path(),
            "SELECT error FROM dsplug_bundles WHERE kind = 'folder'",
        );
        for error in [&folder[0]["error"], &row[0]["error"]] {
            assert!(error.starts_with("limit: cannot follow so far"), "{error}");
        }
    }
}

/// A Mac may follow it, and load what is there.
#[test]
fn a_candidate_that_is_a_link_too_long_to_follow_is_not_called_broken() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.dir("opt"));
    let far = "opt/../".repeat(100);
    disk.link(format!("{PLUGINS}/L.dsplug"), format!("/{far}opt/A.dsplug"));
    let row = only_bundle(disk.path());
    assert!(row["error"].starts_with("limit: "), "{}", row["error"]);
    assert_eq!(row["load_verdict"], "unknown");
    assert_eq!(row["signature_state"], "unreadable");
}

/// Lists are read with the smallest first, as contents are.
#[test]
fn dear_lists_take_the_time_of_nothing_cheaper() {
    let disk = Disk::new();
    let mut list = b"<plist><dict>".to_vec();
    for number in 0..50_000 {
        list.extend(format!("<key>k{number}</key><array><true/></array>").into_bytes());
    }
    list.extend_from_slice(b"<key>CFPluginNameString</key><string>D</string></dict></plist>");
    assert!(list.len() < 2 << 20, "{}", list.len());
    let one = disk.file("list", list);
    for number in 0..60 {
        let path = disk.dir(format!("{PLUGINS}/A{number}.dsplug/Contents"));
        fs::hard_link(&one, path.join("Info.plist")).unwrap();
    }
    let evil = Plugin::new("Evil").write(disk.plugin(""));
    let limits = Limits {
        time: Duration::from_millis(700),
        ..Limits::STANDARD
    };
    let root = dsplug::root::Root::open(disk.path()).unwrap();
    let mut scanner = dsplug::scan::Scanner::new(root, limits).remembering();
    let sql = "SELECT path, hash, plugin_name, load_verdict, error FROM dsplug_bundles ORDER BY path DESC";
    let first = common::query_in(&scanner.scan(), sql);
    assert_eq!(
        (first[0]["hash"].len(), first[0]["error"].as_str()),
        (64, "")
    );
    assert_eq!(first[0]["plugin_name"], "Evil");
    let of_known =
        |rows: &[common::Row]| rows.iter().filter(|r| !r["plugin_name"].is_empty()).count();
    assert!(
        of_known(&first) < 61,
        "the time was enough for all: nothing was shown"
    );
    for row in first.iter().filter(|r| r["plugin_name"].is_empty()) {
        assert!(
            row["error"].contains("the time of the scan is spent"),
            "{row:#?}"
        );
        assert_eq!(row["load_verdict"], "unknown", "{row:#?}");
    }
    // A change of the other is seen, and what was read before is kept.
    fs::write(evil.join("Contents/more"), "x").unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    let second = common::query_in(&scanner.scan(), sql);
    assert_ne!(first[0]["hash"], second[0]["hash"]);
    assert_eq!(second[0]["hash"].len(), 64);
    // Each scan goes on where the last one stopped, however much of its time the machine gave.
    let all_are_known = (0..100).any(|_| of_known(&common::query_in(&scanner.scan(), sql)) == 61);
    assert!(all_are_known, "what was read before is not kept");
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
    assert!(include_str!("../packs/queries/modified.sql").contains("unread"));
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
    bundle.evidence.entries[marker].meta.ctime.seconds = 4_070_908_800;
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
        |m| m.kind = Kind::Other,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let places: [&dyn Fn(&mut Bundle); 4] = [
            &|b| change(&mut b.evidence.entries[dylib].meta),
            &|b| change(&mut b.evidence.linked.get_mut(fw).unwrap().entries[1].meta),
            &|b| change(&mut b.evidence.linked.get_mut(fw).unwrap().meta),
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
    other.evidence.entries[dylib].meta.dev += 1;
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

#[test]
fn what_a_link_leads_to_outside_is_digested() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    disk.file("Users/Shared/fw/x.dylib", "one");
    disk.link("Users/Shared/fw/on", "/opt/y");
    disk.file("opt/y", "two");
    symlink("/Users/Shared/fw", path.join("Contents/Frameworks")).unwrap();
    symlink("MacOS/A", path.join("Contents/inside")).unwrap();
    symlink("../../A.dsplug/Contents", path.join("Contents/back")).unwrap();
    symlink("/nowhere", path.join("Contents/broken")).unwrap();
    let first = only_bundle(disk.path());
    assert_eq!(first["linked_paths"], "/Users/Shared/fw;/opt/y");
    assert_eq!(
        (first["linked_hash"].len(), first["error"].as_str()),
        (64, "")
    );
    for (at, content) in [("Users/Shared/fw/x.dylib", "other"), ("opt/y", "another")] {
        let before = only_bundle(disk.path());
        disk.file(at, content);
        let after = only_bundle(disk.path());
        assert_ne!(before["linked_hash"], after["linked_hash"], "{at}");
        assert_eq!(before["hash"], after["hash"]);
    }
    // More than is read is an error, and never the digest of a part.
    for number in 0..5_000 {
        fs::write(disk.at(format!("Users/Shared/fw/{number}")), "").unwrap();
    }
    let row = only_bundle(disk.path());
    assert_eq!((row["linked_hash"].as_str(), row["hash"].len()), ("", 64));
    assert!(
        row["error"].starts_with("limit: more than 4096 entries"),
        "{}",
        row["error"]
    );
    assert!(row["unread"].ends_with(";limit"), "{}", row["unread"]);
}

/// Neither more time nor more work for links that lead to each other, or up.
#[test]
fn links_that_lead_out_everywhere_end() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    symlink("../..", path.join("Contents/up")).unwrap();
    for number in 0..200 {
        let at = format!("opt/{number}");
        disk.dir(&at);
        let next = format!("/opt/{}", (number + 1) % 200);
        symlink(next, disk.at(&at).join("next")).unwrap();
        symlink(
            format!("/opt/{number}"),
            path.join(format!("Contents/{number}")),
        )
        .unwrap();
    }
    let row = only_bundle(disk.path());
    assert!(
        row["error"].contains("more than 32 places"),
        "{}",
        row["error"]
    );
    assert_eq!((row["linked_hash"].as_str(), row["hash"].len()), ("", 64));
}

#[test]
fn who_can_write_what_runs_is_told() {
    let disk = Disk::new();
    let told = || only_bundle(disk.path())["writable_by"].clone();
    let path = Plugin::new("A")
        .file("Contents/Frameworks/x", "data")
        .write(disk.at(PLUGINS));
    let usual = told();
    for at in ["Contents/MacOS/A", "Contents/Frameworks"] {
        let at = path.join(at);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&at).unwrap().permissions());
        chmod(&at, mode | 0o022);
        assert_eq!(told(), "others", "{at:?}");
        chmod(&at, mode & 0o755);
    }
    // Data that others write is no code.
    chmod(path.join("Contents/Frameworks/x"), 0o666);
    assert_eq!(told(), usual);
    // What stands elsewhere is written by who can write the way there.
    fs::remove_dir_all(&path).unwrap();
    Plugin::new("A").write(disk.at("Users/Shared/x"));
    disk.link(format!("{PLUGINS}/A.dsplug"), "/Users/Shared/x/A.dsplug");
    assert_eq!(told(), usual);
    chmod(disk.at("Users/Shared"), 0o777);
    assert_eq!(told(), "others");
    fs::remove_file(disk.plugin("A.dsplug")).unwrap();
    Plugin::new("A")
        .key("CFBundleExecutable", "/Users/Shared/run")
        .without_executable()
        .write(disk.at(PLUGINS));
    disk.file("Users/Shared/run", "code");
    assert_eq!(told(), "others");
}

/// A spreadsheet runs what looks like a formula.
#[test]
fn a_cell_of_csv_is_no_formula() {
    let disk = Disk::new();
    for name in ["=1+1", "+1", "-1a", "@x"] {
        Plugin::new("A")
            .key("CFBundleName", name)
            .write_as(disk.plugin(format!("{}.dsplug", &name[1..])));
    }
    let out = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["query", "--format", "csv", "--root"])
        .arg(disk.path())
        .arg("SELECT bundle_name, -1 AS n FROM dsplug_bundles ORDER BY path")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text, "bundle_name,n\n'=1+1,-1\n'+1,-1\n'-1a,-1\n'@x,-1\n");
}
