//! More than can be looked at: what is left out is said, and starves nothing else.

use crate::common;

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use crate::common::{bundle, only_bundle, query, scan_with};
use dsplug::codesign::Roots;
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::cms::Signer;
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signature::{Signature, blob};
use dsplug_fixtures::signed_bundle::SignedBundle;
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

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

/// Lists are read with the smallest first, as contents are.
#[test]
fn dear_lists_take_the_time_of_nothing_cheaper() {
    let disk = Disk::new();
    let mut list = b"<plist><dict>".to_vec();
    for number in 0..8_000 {
        list.extend(format!("<key>k{number}</key><array><true/></array>").into_bytes());
    }
    list.extend_from_slice(b"<key>CFPluginNameString</key><string>D</string></dict></plist>");
    assert!(list.len() < 2 << 20, "{}", list.len());
    let one = disk.file("list", list);
    for number in 0..240 {
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
        of_known(&first) < 241,
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
    let all_are_known = (0..100).any(|_| of_known(&common::query_in(&scanner.scan(), sql)) == 241);
    assert!(all_are_known, "what was read before is not kept");
}

#[test]
fn what_links_lead_to_takes_the_bytes_of_no_bundle() {
    let disk = Disk::new();
    // Of the bytes that are read, it and B do not both fit: whichever comes first is read.
    let hole = disk.file("Users/Shared/hole", "");
    File::options()
        .write(true)
        .open(hole)
        .unwrap()
        .set_len((4 << 20) - (64 << 10))
        .unwrap();
    let decoy = disk.dir(format!("{PLUGINS}/A.dsplug"));
    std::os::unix::fs::symlink("/Users/Shared/hole", decoy.join("link")).unwrap();
    Plugin::new("B")
        .file("Contents/data", vec![0; 3 << 20])
        .write(disk.at(PLUGINS));
    let limits = Limits {
        scan_bytes: 4 << 20,
        ..Limits::STANDARD
    };
    let rows = common::query_in(
        &scan_with(disk.path(), limits),
        "SELECT path, hash, linked_hash, error FROM dsplug_bundles",
    );
    assert!(rows[1]["path"].ends_with("/B.dsplug"));
    assert_eq!((rows[1]["hash"].len(), rows[1]["error"].as_str()), (64, ""));
    assert_eq!(rows[0]["linked_hash"], "");
    assert!(rows[0]["error"].starts_with("limit: "), "{rows:?}");
}

/// A disk with bundles whose signatures are dear to judge.
fn with_dear_signatures(signer: &Signer) -> Disk {
    let disk = Disk::new();
    for number in 0..12 {
        let bundle = SignedBundle::full(&format!("S{number}")).signer(signer);
        // Rules that are dear to compile, and a file that each is held against.
        let bundle = bundle.edit_seal(move |seal| {
            let rules = seal["rules2"].as_dictionary_mut().unwrap();
            for rule in 0..8 {
                rules.insert(format!("^(.?){{90}}{number}-{rule}$"), true.into());
            }
        });
        bundle.write(disk.at(PLUGINS));
    }
    disk
}

/// Signatures that are dear to judge take no digest from what comes after them, and what is said of those for which
/// there is no room is the same with each scan.
#[test]
fn dear_signatures_take_no_digest_from_others() {
    let signer = Signer::developer_id("Anyone", "TEAM123456");
    let disk = with_dear_signatures(&signer);
    let evil = Plugin::new("Evil").executable(vec![b'x'; 1 << 20]);
    evil.write(disk.at(PLUGINS));
    let limits = Limits {
        judging: 8_000,
        ..Limits::STANDARD
    };
    let scanner = || {
        let root = Root::open(disk.path()).unwrap();
        Scanner::new(root, limits).with_roots(Roots::of(signer.roots()))
    };
    let sql = "SELECT path, hash, signature_state, error FROM dsplug_bundles";
    let rows = |snapshot: &Snapshot| common::query_in(snapshot, sql);
    let snapshot = scanner().scan();
    let first = rows(&snapshot);
    let unknown = |rows: &[common::Row]| {
        rows.iter()
            .filter(|row| row["signature_state"] == "unreadable")
            .count()
    };
    assert!(
        first.iter().all(|row| row["hash"].len() == 64),
        "{first:#?}"
    );
    assert!((2..12).contains(&unknown(&first)), "{first:#?}");
    for row in &first {
        let is_told = row["error"].contains(" was not ");
        assert_eq!(is_told, row["signature_state"] == "unreadable", "{row:#?}");
    }
    // One cause is told once.
    for bundle in &snapshot.bundles {
        let told = bundle.evidence.troubles.iter().map(ToString::to_string);
        assert!(told.filter(|told| told.contains("sign")).count() <= 1);
    }
    assert_eq!(rows(&scanner().scan()), first);
    // Who remembers has judged all of them in the end. What was written a moment ago is read again.
    std::thread::sleep(Duration::from_millis(2_500));
    let mut scanner = scanner().remembering();
    let left: Vec<usize> = (0..12).map(|_| unknown(&rows(&scanner.scan()))).collect();
    assert!(left.is_sorted_by(|a, b| a >= b), "{left:?}");
    assert_eq!(left.last(), Some(&0), "{left:?}");
}

/// Entitlements that take long to take apart count as judging, and take no digest from others either.
#[test]
fn dear_entitlements_are_compared_while_there_is_time() {
    let disk = Disk::new();
    let list = format!(
        "<plist><dict><key>a</key><array>{}</array></dict></plist>",
        "<true/>".repeat(15_000)
    );
    assert!(list.len() > 64 << 10);
    for number in 0..12 {
        let signature = Signature::adhoc("a").part(5, blob(0xfade_7171, list.as_bytes()));
        let code = MachO::bundle(Cpu::X86_64).signed(&signature);
        let plugin = Plugin::new(&format!("E{number:02}")).executable(code);
        plugin.write(disk.at(PLUGINS));
    }
    let limits = Limits {
        judging: 4_000,
        ..Limits::STANDARD
    };
    let rows = || {
        let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), limits);
        let sql = "SELECT hash, signature_problems AS problems, error FROM dsplug_bundles";
        common::query_in(&scanner.scan(), sql)
    };
    let first = rows();
    let is_left = |row: &&common::Row| row["problems"].split(';').any(|problem| problem == "limit");
    let left = first.iter().filter(is_left).count();
    assert!((1..12).contains(&left), "{first:#?}");
    for row in &first {
        assert_eq!(row["hash"].len(), 64);
        assert_eq!(
            is_left(&row),
            row["error"].contains(" was not "),
            "{row:#?}"
        );
    }
    assert_eq!(rows(), first);
}

/// Code that is read again for its age alone, and is what it was, has been judged.
#[test]
fn what_was_judged_needs_no_room_when_its_code_is_read_again() {
    let signer = Signer::developer_id("Anyone", "TEAM123456");
    let disk = with_dear_signatures(&signer);
    std::thread::sleep(Duration::from_millis(2_500));
    let limits = Limits {
        judging: 8_000,
        code_age: Duration::from_secs(2),
        ..Limits::STANDARD
    };
    let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), limits)
        .with_roots(Roots::of(signer.roots()))
        .remembering();
    let rows = |snapshot: &Snapshot| {
        let sql = "SELECT path, hash, signature_state, anchor, error FROM dsplug_bundles";
        common::query_in(snapshot, sql)
    };
    let judged = (0..12).map(|_| rows(&scanner.scan())).last().unwrap();
    assert!(
        judged.iter().all(|row| row["error"].is_empty()),
        "{judged:#?}"
    );
    std::thread::sleep(Duration::from_millis(2_100));
    let again = scanner.scan();
    assert!(again.status.files_read >= 12);
    assert_eq!(rows(&again), judged);
}
