//! What has not changed is not read again, and what has changed is, whatever its times say.
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

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Row, query_in};
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, macho, set_mtime, sparse};

/// A disk of two plug-ins whose last change is long enough ago to be trusted.
fn settled() -> (Disk, Scanner) {
    let disk = Disk::new();
    let twenty = "x".repeat(20);
    Plugin::new("A")
        .file("Contents/Resources/x", twenty)
        .write(disk.at(PLUGINS));
    Plugin::new("B").write(disk.at(PLUGINS));
    settle();
    let scanner = Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD);
    (disk, scanner.remembering())
}

/// A change within the last two seconds is not trusted.
fn settle() {
    std::thread::sleep(Duration::from_millis(2100));
}

fn counts(snapshot: &Snapshot) -> (u64, u64) {
    (snapshot.status.files_read, snapshot.status.files_reused)
}

fn rows(snapshot: &Snapshot) -> Vec<Row> {
    query_in(snapshot, "SELECT * FROM dsplug_bundles")
}

#[test]
fn an_unchanged_disk_is_not_read_again() {
    let (_disk, mut scanner) = settled();
    let first = scanner.scan();
    assert_eq!(counts(&first), (5, 0));
    let second = scanner.scan();
    assert_eq!(counts(&second), (0, 5));
    assert_eq!(rows(&first), rows(&second));
    assert!(second.bundles.iter().all(|b| b.evidence.is_unchanged));
    let files = |s| query_in(s, "SELECT * FROM dsplug_files");
    assert_eq!(files(&first), files(&second));
}

#[test]
fn a_recent_change_is_read_again_until_it_has_settled() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    let mut scanner =
        Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD).remembering();
    assert_eq!(counts(&scanner.scan()), (2, 0));
    assert_eq!(counts(&scanner.scan()), (2, 0));
    settle();
    assert_eq!(counts(&scanner.scan()), (2, 0));
    assert_eq!(counts(&scanner.scan()), (0, 2));
}

/// A file that a link leads to, in a directory that another leads to, is among what that holds.
#[test]
fn a_file_that_is_linked_twice_is_not_read_again() {
    let disk = Disk::new();
    disk.file("Users/Shared/fw/sub/x", "twice");
    disk.file("Users/Shared/fw/y", "once");
    let bundle = Plugin::new("A").write(disk.at(PLUGINS));
    std::os::unix::fs::symlink("/Users/Shared/fw", bundle.join("Contents/fw")).unwrap();
    std::os::unix::fs::symlink("/Users/Shared/fw/sub/x", bundle.join("Contents/x")).unwrap();
    settle();
    let scanner = Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD);
    let mut scanner = scanner.remembering();
    let first = scanner.scan();
    assert_eq!(first.status.files_read, 4);
    for _ in 0..2 {
        let again = scanner.scan();
        assert_eq!(again.status.files_read, 0);
        assert_eq!(rows(&again), rows(&first));
    }
    // And when it changes, it is.
    fs::write(disk.at("Users/Shared/fw/sub/x"), "other").unwrap();
    let changed = scanner.scan();
    assert_eq!(changed.status.files_read, 1);
    assert_ne!(
        rows(&changed)[0]["linked_hash"],
        rows(&first)[0]["linked_hash"]
    );
}

#[test]
fn the_same_size_and_a_forged_time_hide_no_change() {
    let (disk, mut scanner) = settled();
    let x = disk.plugin("A.dsplug/Contents/Resources/x");
    set_mtime(&x, 1_000_000_000);
    settle();
    let before = rows(&scanner.scan());
    fs::write(&x, "y".repeat(20)).unwrap();
    set_mtime(&x, 1_000_000_000);
    let after = rows(&scanner.scan());
    assert_ne!(before[0]["hash"], after[0]["hash"]);
    assert_eq!(before[1], after[1]);
}

#[test]
fn only_what_changed_is_read_again() {
    let (disk, mut scanner) = settled();
    scanner.scan();
    fs::write(disk.plugin("A.dsplug/Contents/Resources/new"), "n").unwrap();
    let snapshot = scanner.scan();
    // The new file, and the Info.plist, whose bytes the judgement needs.
    assert_eq!(counts(&snapshot), (2, 4));
    settle();
    scanner.scan();
    assert_eq!(counts(&scanner.scan()), (0, 6));
}

#[test]
fn a_change_of_mode_or_owner_alone_shows() {
    let (disk, mut scanner) = settled();
    assert_ne!(rows(&scanner.scan())[1]["writable_by"], "others");
    chmod(disk.plugin("B.dsplug"), 0o777);
    assert_eq!(rows(&scanner.scan())[1]["writable_by"], "others");
}

#[test]
fn a_name_shadowed_by_a_newcomer_shows_on_an_unchanged_bundle() {
    let (disk, mut scanner) = settled();
    assert_eq!(rows(&scanner.scan())[0]["load_verdict"], "loadable");
    Plugin::new("C")
        .key("CFPluginNameString", "A")
        .write(disk.at(PLUGINS));
    let snapshot = scanner.scan();
    assert!(snapshot.bundles[0].evidence.is_unchanged);
    assert_eq!(rows(&snapshot)[0]["load_reasons"], "name_shadowed");
}

#[test]
fn a_bundle_replaced_by_another_of_the_same_name_is_read() {
    let (disk, mut scanner) = settled();
    let before = rows(&scanner.scan());
    fs::rename(disk.plugin("A.dsplug"), disk.at("away")).unwrap();
    fs::rename(disk.plugin("B.dsplug"), disk.plugin("A.dsplug")).unwrap();
    let after = rows(&scanner.scan());
    assert_eq!(after.len(), 1);
    assert_eq!(after[0]["hash"], before[1]["hash"]);
    assert_eq!(after[0]["bundle_identifier"], "com.example.B");
}

#[test]
fn an_executable_outside_that_changes_shows() {
    let disk = Disk::new();
    Plugin::new("A")
        .key("CFBundleExecutable", "/opt/x")
        .without_executable()
        .write(disk.at(PLUGINS));
    disk.file("opt/x", "one");
    settle();
    let mut scanner =
        Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD).remembering();
    let first = rows(&scanner.scan());
    let second = scanner.scan();
    assert_eq!(second.status.files_read, 0);
    assert_eq!(rows(&second), first);
    disk.file("opt/x", "two");
    let third = rows(&scanner.scan());
    assert_eq!(third[0]["hash"], first[0]["hash"]);
    assert_ne!(third[0]["executable_hash"], first[0]["executable_hash"]);
}

#[test]
fn a_cut_scan_goes_on_where_it_stopped() {
    let disk = Disk::new();
    for name in ["A", "B", "C"] {
        Plugin::new(name)
            .file("Contents/big", vec![0; 1 << 20])
            .write(disk.at(PLUGINS));
    }
    settle();
    let limits = Limits {
        scan_bytes: 3 << 19,
        ..Limits::STANDARD
    };
    let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), limits).remembering();
    for known in 1..=3 {
        let rows = rows(&scanner.scan());
        let whole = rows.iter().filter(|r| !r["hash"].is_empty()).count();
        assert_eq!(whole, known, "{rows:#?}");
    }
}

/// What could not be read is as unknown to the next scan, which says so too.
#[test]
fn a_trouble_is_told_by_every_scan() {
    let disk = Disk::new();
    let malformed = Plugin::new("A").write(disk.at(PLUGINS));
    fs::write(malformed.join("Contents/Info.plist"), "<plist><dict>").unwrap();
    Plugin::new("B")
        .key("CFBundleExecutable", "/opt/large")
        .without_executable()
        .write(disk.at(PLUGINS));
    // A hole in a file takes no space on the disk.
    let large = disk.file("opt/large", "");
    let large = fs::File::options().write(true).open(large).unwrap();
    large.set_len(Limits::STANDARD.candidate_bytes + 1).unwrap();
    settle();
    let mut scanner =
        Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD).remembering();
    let first = rows(&scanner.scan());
    assert!(first[0]["error"].starts_with("malformed: "), "{first:#?}");
    assert!(first[1]["error"].starts_with("limit: "), "{first:#?}");
    for _ in 0..2 {
        assert_eq!(rows(&scanner.scan()), first);
    }
}

/// A page that is dirty already and is written through a shared mapping: no time of the file changes.
#[test]
fn code_that_was_written_through_a_mapping_shows_when_it_is_read_again() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("B").write(disk.at(PLUGINS));
    let script = "import mmap, sys, time\n\
        f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0)\n\
        m[0] = m[0]; time.sleep(2.2); print(1, flush=True); sys.stdin.readline()\n\
        m[20] ^= 255; print(1, flush=True); sys.stdin.readline()";
    let mut writer = Command::new("python3")
        .args(["-c", script])
        .arg(path.join("Contents/MacOS/A"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(writer.stdout.take().unwrap());
    let mut say = writer.stdin.take().unwrap();
    let mut hear = || told.read_line(&mut String::new()).unwrap();
    let mut go_on = || say.write_all(b"\n").unwrap();
    let limits = Limits {
        code_age: Duration::from_secs(1),
        ..Limits::STANDARD
    };
    let read = |limits| Scanner::new(Root::open(disk.path()).unwrap(), limits).remembering();
    let (mut usual, mut often) = (read(Limits::STANDARD), read(limits));
    hear();
    let before = rows(&often.scan());
    usual.scan();
    let meta = fs::metadata(path.join("Contents/MacOS/A")).unwrap();
    go_on();
    hear();
    let now = fs::metadata(path.join("Contents/MacOS/A")).unwrap();
    assert_eq!(meta.modified().unwrap(), now.modified().unwrap());
    std::thread::sleep(Duration::from_millis(1100));
    let after = often.scan();
    let known = usual.scan();
    go_on();
    writer.wait().unwrap();
    assert_ne!(before[0]["hash"], rows(&after)[0]["hash"]);
    assert_eq!(before[1], rows(&after)[1]);
    // By the times alone nothing would have been read: the standard waits for half an hour.
    assert_eq!(known.status.files_read, 0);
    // An hour's work is shared out: nothing that is no code was read again but what a judgement needs.
    assert_eq!(after.status.files_read, 4);
}

/// What a program held at most, in KB, by the system's own count.
fn most_held(root: &std::path::Path) -> u64 {
    let script = "import resource, subprocess, sys\n\
        subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let out = Command::new("python3")
        .args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_dsplug"),
            "query",
            "--root",
        ])
        .arg(root)
        .arg("SELECT hash, signature_state, error FROM dsplug_bundles")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let held = text.trim().parse::<u64>().unwrap();
    // macOS counts bytes.
    if cfg!(target_os = "macos") {
        held / 1024
    } else {
        held
    }
}

/// As many entries as one scan takes, beside all that is read with them.
#[test]
fn many_entries_stay_within_64_megabytes() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for directory in 0..100 {
        let at = path.join(format!(
            "Contents/Resources/directory of some name {directory}"
        ));
        fs::create_dir_all(&at).unwrap();
        for number in 0..400 {
            fs::write(
                at.join(format!("a file with a name of some length {number}")),
                "",
            )
            .unwrap();
        }
    }
    let held = most_held(disk.path());
    assert!(held < 64 << 10, "{held} KB");
}

/// Each reading thread may come upon a signature as large as a check allows, at the same time.
#[test]
fn many_large_signatures_stay_within_64_megabytes() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let size = 20_u32 << 20;
    let head = macho::head_of_signature(size);
    for number in 0..16 {
        let at = path.join(format!("Contents/MacOS/{number}"));
        sparse(at, &head, macho::HEAD + u64::from(size));
    }
    let held = most_held(disk.path());
    assert!(held < 64 << 10, "{held} KB");
}

/// A section `__info_plist` may be as large as all that is held of a file, and there is one a file.
#[test]
fn many_large_info_plist_sections_stay_within_64_megabytes() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let size = 20_u32 << 20;
    let head = macho::head_of_info_plist(size);
    for number in 0..8 {
        let at = path.join(format!("Contents/MacOS/{number}"));
        sparse(at, &head, macho::HEAD + u64::from(size));
    }
    let held = most_held(disk.path());
    assert!(held < 64 << 10, "{held} KB");
}
