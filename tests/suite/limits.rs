//! What a hostile disk may cost, in memory, time and descriptors, and that it hides nothing by it.

mod again;
mod attributes;
mod beside;
mod entries;
mod exceptions;
mod late;
mod many;
mod mapped;
mod names;
mod remembered;
mod seals;
mod signatures;

use crate::common;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{Row, bundle, query};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, needs_root, skipped};

/// Memory that is promised, in KB.
const MOST_HELD: u64 = 64 << 10;
/// Seconds of the processor. Eight are promised of the program as it is shipped; here it is built to be
/// debugged.
const MOST_SECONDS: f64 = 16.0;

/// Runs the program in a process of its own, holds what it cost against the promise, and gives what it
/// said.
#[track_caller]
fn within_the_promise(root: &Path, arguments: &[&str]) -> String {
    let script = "import resource, subprocess, sys\n\
        out = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE).stdout\n\
        used = resource.getrusage(resource.RUSAGE_CHILDREN)\n\
        sys.stderr.write('%d %f' % (used.ru_maxrss, used.ru_utime + used.ru_stime))\n\
        sys.stdout.buffer.write(out)";
    let out = Command::new("python3")
        .args(["-c", script, env!("CARGO_BIN_EXE_dsplug")])
        .args(arguments)
        .arg("--root")
        .arg(root)
        .env("RUST_LOG", "off")
        .output()
        .unwrap();
    let told = String::from_utf8(out.stderr).unwrap();
    let used = told.lines().last().unwrap_or_default();
    let (held, seconds) = used.split_once(' ').expect(&told);
    // macOS counts bytes.
    let unit = if cfg!(target_os = "macos") { 1024 } else { 1 };
    let held = held.parse::<u64>().unwrap() / unit;
    let seconds = seconds.parse::<f64>().unwrap();
    eprintln!("{held} KB, {seconds:.2} s");
    assert!(held < MOST_HELD, "{held} KB");
    assert!(seconds < MOST_SECONDS, "{seconds} s");
    String::from_utf8(out.stdout).unwrap()
}

/// The rows of all bundles, within the promise.
#[track_caller]
fn rows(disk: &Disk) -> Vec<Row> {
    let sql = "SELECT * FROM dsplug_bundles";
    let text = within_the_promise(disk.path(), &["query", "--format", "json", sql]);
    serde_json::from_str(&text).unwrap()
}

/// The program, with no more descriptors than these.
fn with_few_descriptors(root: &Path, most: u32, sql: &str) -> Vec<Row> {
    let out = Command::new("sh")
        .args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh"])
        .args([env!("CARGO_BIN_EXE_dsplug"), "query", "--format", "json"])
        .arg("--root")
        .args([root.as_os_str(), sql.as_ref()])
        .output()
        .unwrap();
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)))
}

#[test]
fn a_deep_way_takes_few_descriptors() {
    let disk = Disk::new();
    Plugin::new("Evil").write(disk.at(PLUGINS));
    let deep = format!("/x{}", "/d".repeat(100));
    disk.dir(deep.trim_start_matches('/'));
    disk.link(format!("{PLUGINS}/a.lproj"), &deep);
    let up = format!("{deep}{}", "/..".repeat(5));
    disk.link(format!("{PLUGINS}/b.lproj"), &up);
    let sql = "SELECT length(hash) AS digits, load_verdict, error FROM dsplug_bundles";
    let rows = with_few_descriptors(disk.path(), 40, sql);
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["digits"], "64", "{rows:#?}");
}

/// Moves a directory to the end of a chain of links that lead ever deeper, as deep as a Mac goes, and gives the path by
/// which it is found there.
fn at_the_end_of_links(disk: &Disk, moved: &Path) -> String {
    let script = "import os, sys\n\
        top, moved = sys.argv[1:]\n\
        at = os.open(top, os.O_RDONLY)\n\
        for link in range(31):\n    \
            for _ in range(450):\n        \
                os.mkdir('a', dir_fd=at)\n        \
                below = os.open('a', os.O_RDONLY, dir_fd=at)\n        \
                os.close(at)\n        \
                at = below\n    \
            if link < 30:\n        \
                os.symlink('a/' * 450 + 'l', 'l', dir_fd=at)\n\
        os.rename(moved, 'l', dst_dir_fd=at)";
    let top = disk.dir("Users/Shared");
    let made = Command::new("python3")
        .args(["-c", script])
        .args([&top, moved])
        .status();
    assert!(made.unwrap().success());
    format!("/Users/Shared/{}l", "a/".repeat(450))
}

/// Whoever leads the folder, or one link in it, as deep as a Mac goes takes no time of others.
#[test]
fn what_stands_however_deep_costs_little_and_blinds_nothing() {
    for is_folder in [true, false] {
        let disk = Disk::new();
        let evil = Plugin::new("Evil").write(disk.plugin(""));
        if is_folder {
            let end = at_the_end_of_links(&disk, &disk.plugin(""));
            disk.link(PLUGINS, &end);
        } else {
            let other = Plugin::new("Other").write(disk.at("Users"));
            let end = at_the_end_of_links(&disk, &other);
            disk.link(format!("{PLUGINS}/A.dsplug"), &end);
        }
        let rows = rows(&disk);
        // Nothing else here can remove it.
        let top = disk.at("Users");
        let removed = Command::new("rm").arg("-rf").arg(top).status();
        assert!(removed.unwrap().success());
        let name = evil.file_name().unwrap().to_str().unwrap();
        let row = rows.iter().find(|row| row["path"].ends_with(name)).unwrap();
        assert_eq!(row["hash"].len(), 64, "{row:#?}");
        assert_eq!(row["load_verdict"], "loadable", "{row:#?}");
        assert_eq!((&*row["unread"], &*row["error"]), ("", ""), "{row:#?}");
    }
}

/// The files at the ends of deep branches, read by several threads.
#[test]
fn deep_files_take_few_descriptors() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for branch in 0..4 {
        let deep = path.join(format!("Contents/{branch}{}", "/d".repeat(90)));
        fs::create_dir_all(&deep).unwrap();
        for file in 0..8 {
            fs::write(deep.join(file.to_string()), vec![0; 100_000]).unwrap();
        }
    }
    let sql = "SELECT length(hash) AS digits, error FROM dsplug_bundles";
    let rows = with_few_descriptors(disk.path(), 150, sql);
    assert_eq!(rows[0]["digits"], "64", "{rows:#?}");
}

/// What the loader would read and cannot be read is told, and all else stands.
#[test]
fn a_directory_that_cannot_be_read_blinds_nothing() {
    if !needs_root("only root can become another user") {
        return;
    }
    let ask = |disk: &Disk| {
        let out = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args([env!("CARGO_BIN_EXE_dsplug"), "query", "--format", "json"])
            .arg("--root")
            .arg(disk.path())
            .arg("SELECT path, kind, error, load_verdict, load_reasons FROM dsplug_bundles")
            .output()
            .unwrap();
        out.status.success().then_some(out.stdout)
    };
    for closed in [
        "Contents",
        "Contents/Resources",
        "Resources",
        "Support Files/Resources",
        "Support Files/Resources/Non-localized Resources",
        "en.lproj",
    ] {
        let disk = Disk::new();
        Plugin::new("Evil").write(disk.at(PLUGINS));
        chmod(disk.path(), 0o755);
        if ask(&disk).is_none() {
            return skipped("another user cannot run the binary here");
        }
        let at = disk.dir(format!("{PLUGINS}/{closed}"));
        chmod(&at, 0o000);
        let rows = ask(&disk).unwrap_or_else(|| panic!("{closed}"));
        let rows: Vec<Row> = serde_json::from_slice(&rows).unwrap();
        chmod(&at, 0o755);
        assert_eq!(rows.len(), 2, "{closed}: {rows:#?}");
        assert_eq!(rows[0]["kind"], "folder", "{closed}: {rows:#?}");
        let error = &rows[0]["error"];
        assert!(error.contains("Permission denied"), "{closed}: {error}");
        assert!(rows[1]["path"].ends_with("/Evil.dsplug"), "{rows:#?}");
    }
}

/// What a long text in an Info.plist becomes: whole for a program that asks, and short in a log.
#[test]
fn a_long_text_is_whole_where_there_is_room() {
    let disk = Disk::new();
    let long = |end: char| format!("{}{end}", "n".repeat(700_000));
    for (name, end) in [("A", 'x'), ("B", 'y'), ("C", 'x')] {
        Plugin::new(name)
            .key("CFPluginNameString", long(end))
            .write(disk.at(PLUGINS));
    }
    let whole = rows(&disk);
    // The third is beyond the room of a scan.
    assert_eq!(whole[0]["plugin_name"], long('x'));
    assert_eq!(whole[1]["plugin_name"], long('y'));
    assert_eq!(whole[0]["error"], "");
    let cut = &whole[2]["plugin_name"];
    assert!(cut.len() < 700, "{} bytes", cut.len());
    assert!(cut.contains("… (700001 bytes, sha256 "), "{cut}");
    let error = &whole[2]["error"];
    assert!(
        error.starts_with("limit: of CFPluginNameString in "),
        "{error}"
    );
    // By the whole text, and not by what is shown alike.
    let reasons: Vec<&str> = whole.iter().map(|r| r["load_reasons"].as_str()).collect();
    assert_eq!(reasons, ["name_shadowed", "", "name_shadowed"]);
    let short = query(disk.path(), "SELECT * FROM dsplug_bundles");
    let names: Vec<&str> = short.iter().map(|r| r["plugin_name"].as_str()).collect();
    assert!(names.iter().all(|name| name.len() < 9_000));
    assert_ne!(names[0], names[1]);
    for (name, arguments) in [
        ("detect", &["detect"][..]),
        ("list", &["list"]),
        ("explain", &["explain", "A.dsplug"]),
        ("query", &["query", "SELECT * FROM dsplug_bundles"]),
    ] {
        let told = within_the_promise(disk.path(), arguments);
        let longest = told.lines().map(str::len).max().unwrap_or_default();
        assert!(longest < 100_000, "{name}: {longest}");
    }
}

/// Neither what `detect` writes nor what it remembers is held as it is.
#[test]
fn long_rows_by_the_thousand_are_remembered() {
    let disk = with_evil();
    let fill = "n".repeat(500);
    let keys = [
        "CFBundleIdentifier",
        "CFBundleName",
        "CFPluginNameString",
        "CFBundleShortVersionString",
    ];
    for number in 0..2_000 {
        let plugin = Plugin::new(&format!("{}{number}", "A".repeat(200)));
        let plugin = keys.iter().fold(plugin, |p, key| p.key(key, fill.as_str()));
        plugin.write(disk.at(PLUGINS));
    }
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let state = state.to_str().unwrap();
    let told = within_the_promise(disk.path(), &["detect", "--state", state]);
    assert!(told.lines().count() > 3_000);
}

/// Room is taken by those who come first, and by none whose texts are short.
#[test]
fn long_texts_of_many_leave_room_for_short_ones() {
    let disk = with_evil();
    // Each sign is four where it is shown, and takes five in JSON.
    let fill = "\u{1}".repeat(2_000);
    for number in 0..2_300 {
        Plugin::new(&format!("A{number}"))
            .binary_plist()
            .key("CFBundleIdentifier", fill.as_str())
            .key("CFBundleName", fill.as_str())
            .key("CFPluginNameString", fill.as_str())
            .key("CFBundleShortVersionString", fill.as_str())
            .write(disk.at(PLUGINS));
    }
    Plugin::new("Z")
        .key("CFBundleName", "z".repeat(512))
        .write(disk.at(PLUGINS));
    let rows = rows(&disk);
    shows_evil(&rows);
    assert_eq!(rows.len(), 2_302);
    let last = &rows[2_301];
    assert_eq!(last["bundle_name"], "z".repeat(512));
    let is_cut = |row: &&Row| row["error"].starts_with("limit: of ");
    assert!(rows.iter().filter(is_cut).count() > 1_000);
}

/// CoreFoundation takes `./` out before a Mac is asked. Where there is no room for the text, who knows
/// what loads.
#[test]
fn an_executable_of_a_long_path_is_found_or_not_said_to_be_missing() {
    let disk = Disk::new();
    let path = |length: usize| format!("{}A", "./".repeat(length));
    for (name, length) in [("A", 4_000), ("B", 1_500_000)] {
        Plugin::new("A")
            .key("CFBundleExecutable", path(length))
            .write_as(disk.plugin(format!("{name}.dsplug")));
    }
    let found = bundle(disk.path(), "A.dsplug");
    assert!(found["executable"].ends_with("/A.dsplug/Contents/MacOS/A"));
    assert_eq!(found["error"], "", "{found:#?}");
    let long = bundle(disk.path(), "B.dsplug");
    assert_eq!(long["load_verdict"], "unknown", "{long:#?}");
    assert!(long["error"].starts_with("limit: "), "{long:#?}");
    Plugin::new("C")
        .key("CFBundleExecutable", path(4_000))
        .write(disk.at(PLUGINS));
    let missing = bundle(disk.path(), "C.dsplug");
    assert_eq!(missing["load_reasons"], "no_executable", "{missing:#?}");
}

#[test]
fn long_texts_in_property_lists() {
    let disk = Disk::new();
    for number in 0..6 {
        Plugin::new(&format!("N{number}"))
            .binary_plist()
            .key("CFBundleIdentifier", "\u{1}".repeat(4_000_000))
            .write(disk.at(PLUGINS));
    }
    for number in 0..10 {
        let pieces = (0..60).map(|_| "n".repeat(1_000));
        let node = || dsplug_fixtures::plugin::node(pieces.clone());
        let nodes = (0..64).map(|_| node()).collect();
        Plugin::new(&format!("M{number}"))
            .key("DSNodesToRegister", plist::Value::Array(nodes))
            .write(disk.at(PLUGINS));
    }
    // One that would have room by itself, and is four times as long where it is shown.
    Plugin::new("L")
        .binary_plist()
        .key("CFBundleName", "\u{1}".repeat(700_000))
        .key("CFBundleIdentifier", "\u{1}".repeat(1_300_000))
        .write(disk.at(PLUGINS));
    let rows = rows(&disk);
    assert_eq!(rows.len(), 17);
}

/// A name of control characters is four times as long where it is shown.
fn long_name(length: usize) -> String {
    "\u{1}".repeat(length)
}

/// Makes directories of long names, one in another: the path of the last is longer than any that the
/// system takes at once.
fn deep(at: &Path, depth: usize, name: &str, files: usize, file: impl Fn(usize) -> String) {
    let mut dir = rustix::fs::open(
        at,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    for _ in 0..depth {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        rustix::fs::mkdirat(&dir, name, 0o755.into()).unwrap();
        dir = rustix::fs::openat(&dir, name, flags, rustix::fs::Mode::empty()).unwrap();
    }
    for number in 0..files {
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CREATE;
        rustix::fs::openat(&dir, file(number), flags, 0o644.into()).unwrap();
    }
}

/// `Evil.dsplug` has its digest and its verdict, or the folder's own row says that it may be left out.
#[track_caller]
fn shows_evil(rows: &[Row]) {
    let folder = rows
        .iter()
        .any(|r| r["kind"] == "folder" && !r["error"].is_empty());
    let evil = rows
        .iter()
        .find(|r| r["path"].ends_with("/PlugIns/Evil.dsplug"));
    match evil {
        Some(evil) => {
            assert_eq!(evil["hash"].len(), 64, "{evil:#?}");
            assert_ne!(evil["load_verdict"], "", "{evil:#?}");
        }
        None => assert!(folder, "{} rows", rows.len()),
    }
}

fn with_evil() -> Disk {
    let disk = Disk::new();
    Plugin::new("Evil").write(disk.at(PLUGINS));
    disk
}

#[test]
fn files_of_long_paths_in_a_bundle() {
    let disk = with_evil();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    deep(&path.join("Contents"), 90, &"d".repeat(250), 3_000, |n| {
        format!("{n:0240}")
    });
    let rows = rows(&disk);
    shows_evil(&rows);
    assert!(
        rows[0]["error"].starts_with("limit: more than "),
        "{}",
        rows[0]["error"]
    );
    assert_eq!(rows[0]["hash"], "");
}

#[test]
fn links_of_long_texts_in_a_bundle() {
    let disk = with_evil();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for number in 0..7_000 {
        let text = format!("{}{number}", "t".repeat(2_000));
        std::os::unix::fs::symlink(text, path.join(format!("Contents/l{number}"))).unwrap();
    }
    let rows = rows(&disk);
    shows_evil(&rows);
    assert!(
        rows[0]["error"].starts_with("limit: more than "),
        "{}",
        rows[0]["error"]
    );
}

/// In many bundles, deeper than is gone down: what is held of them is held for all at once.
#[test]
fn links_that_stand_too_deep() {
    let disk = with_evil();
    let target = format!("/{}", vec!["t".repeat(250); 4].join("/"));
    for number in 0..60 {
        let path = Plugin::new("A").write(disk.at(format!("{PLUGINS}/{number}")));
        let top = disk.plugin(format!("B{number}.dsplug"));
        fs::rename(path, &top).unwrap();
        let links = disk.dir(format!("links{number}"));
        for link in 0..120 {
            let name = links.join(format!("{link}{}", "n".repeat(200)));
            std::os::unix::fs::symlink(format!("{target}/{number}/{link}"), name).unwrap();
        }
        // By steps: the whole path is longer than a call takes.
        let mut below = links;
        for level in 0..110 {
            let above = disk.at(format!("above{number}-{level}"));
            fs::create_dir(&above).unwrap();
            fs::rename(
                &below,
                above.join("d".repeat(if level < 15 { 250 } else { 1 })),
            )
            .unwrap();
            below = above;
        }
        fs::rename(below, top.join("Contents/Frameworks")).unwrap();
    }
    let rows = rows(&disk);
    shows_evil(&rows);
    assert_eq!(rows.len(), 61);
}

#[test]
fn candidates_of_long_paths() {
    let disk = with_evil();
    deep(&disk.at(PLUGINS), 60, &long_name(250), 300, |n| {
        format!("{}{n}.dsplug", long_name(200))
    });
    deep(
        &disk.at(PLUGINS),
        14,
        &format!("b{}", long_name(240)),
        600,
        |n| format!("{}{n}.dsplug", long_name(200)),
    );
    let rows = rows(&disk);
    shows_evil(&rows);
    assert_eq!(rows[0]["kind"], "folder");
    within_the_promise(disk.path(), &["detect"]);
}

#[test]
fn deep_candidates_by_the_thousand() {
    let disk = with_evil();
    let at = disk.dir(format!("{PLUGINS}/n{}", "/d".repeat(88)));
    for number in 0..2_000 {
        fs::write(at.join(format!("{number}.dsplug")), "").unwrap();
    }
    let rows = rows(&disk);
    shows_evil(&rows);
    assert!(rows.iter().any(|r| r["path"].ends_with("/Evil.dsplug")));
}

#[test]
fn languages_that_lead_far() {
    let disk = with_evil();
    let far = format!("/x{}", "/d".repeat(140));
    disk.dir(far.trim_start_matches('/'));
    for places in [
        "",
        "Contents/Resources/",
        "Resources/",
        "Support Files/Resources/",
    ] {
        for number in 0..300 {
            disk.link(format!("{PLUGINS}/{places}{number}.lproj"), &far);
        }
    }
    let rows = rows(&disk);
    shows_evil(&rows);
    assert_eq!(rows[0]["kind"], "folder");
    // By the number of links, or on a slow machine by the time of the search.
    let error = &rows[0]["error"];
    let words = ["256 .lproj are links", "the time of the search is spent"];
    assert!(words.iter().any(|word| error.contains(word)), "{error}");
}

#[test]
fn links_that_lead_far_or_too_far() {
    let disk = with_evil();
    let far = format!("/x{}", "/d".repeat(140));
    disk.dir(far.trim_start_matches('/'));
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for number in 0..1_200 {
        // The same place, by another text each.
        let text = format!("{}{far}", "/".repeat(number + 1));
        std::os::unix::fs::symlink(text, path.join(format!("Contents/f{number}"))).unwrap();
        let text = format!("/{}", "../".repeat(170));
        std::os::unix::fs::symlink(text, path.join(format!("Contents/t{number}"))).unwrap();
    }
    let rows = rows(&disk);
    shows_evil(&rows);
    assert_eq!(rows[0]["linked_hash"], "");
    assert!(!rows[0]["error"].is_empty());
}

/// Files that are small and of which there is much to be known.
#[test]
fn files_of_many_slices() {
    let disk = with_evil();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let mut fat = Vec::new();
    for word in [0xcafe_babe_u32, 2_000] {
        fat.extend(word.to_be_bytes());
    }
    for slice in 0..2_000_u32 {
        for word in [0x0100_0007, slice, 65_536 + 64 * slice, 64, 2] {
            fat.extend(word.to_be_bytes());
        }
    }
    let mut header = dsplug_fixtures::mach_header(dsplug_fixtures::X86_64);
    header.resize(64, 0);
    fat.resize(65_536, 0);
    for _ in 0..2_000 {
        fat.extend(&header);
    }
    for number in 0..60 {
        fs::write(path.join(format!("Contents/MacOS/{number}")), &fat).unwrap();
    }
    shows_evil(&rows(&disk));
}

/// More factories than are told apart: whether another has them too is not known.
#[test]
fn factories_by_the_thousand() {
    let disk = with_evil();
    for bundle in 0..80 {
        let mut plugin = Plugin::new(&format!("N{bundle}")).binary_plist();
        let factories = (0..1_030).map(|n| {
            (
                format!("{:08x}", bundle * 2_000 + n),
                plist::Value::from("F"),
            )
        });
        let factories: plist::Dictionary = factories.collect();
        plugin = plugin.key("CFPlugInFactories", plist::Value::Dictionary(factories));
        plugin.write(disk.at(PLUGINS));
    }
    let rows = rows(&disk);
    shows_evil(&rows);
    let reasons = &rows[1]["load_reasons"];
    assert!(reasons.contains("factory_taken"), "{reasons}");
}

mod junk {
    use super::*;
    use proptest::prelude::*;

    /// Kinds of junk, each as dear as it can be made in little time.
    fn plant(disk: &Disk, kind: u8, count: usize) {
        let at = |name: &str| format!("{PLUGINS}/{name}");
        match kind {
            0 => (0..count * 20).for_each(|n| drop(disk.file(at(&format!("A{n}.dsplug")), "x"))),
            1 => {
                (0..count * 20).for_each(|n| drop(disk.link(at(&format!("{n}.lproj")), "/Library")))
            }
            2 => deep(
                &disk.at(PLUGINS),
                count,
                &format!("k{}", long_name(100)),
                count,
                |n| format!("{n}.dsplug"),
            ),
            3 => drop(disk.file(at("A.dsplug/Contents/Info.plist"), vec![b'<'; count << 12])),
            4 => drop(disk.link(at("Contents"), "/nowhere")),
            5 => (0..count).for_each(|n| drop(disk.link(at(&format!("B.dsplug/{n}")), "/Library"))),
            6 => drop(disk.link(at("AAA.dsplug"), "/")),
            7 => names::names(
                &disk.at(PLUGINS),
                (0..count * 20).map(|n| names::cyrillic(&n.to_string())),
            ),
            8 => {
                let big = disk.at("Users/Shared/big");
                names::names(&big, (0..count * 20).map(|n| n.to_string()));
                let links = (0..count * 4).map(|n| at(&format!("B{n}.dsplug")));
                links.for_each(|link| drop(disk.link(link, "/Users/Shared/big")));
            }
            _ => drop(disk.dir(at(&format!("AAA{}", "/d".repeat(count + 60))))),
        }
    }

    /// A scan with small limits of a disk with this junk has the row that it must have.
    #[track_caller]
    fn shows_it(junk: impl IntoIterator<Item = (u8, usize)>, candidates: usize, entries: usize) {
        let disk = with_evil();
        for (kind, count) in junk {
            plant(&disk, kind, count);
        }
        let limits = dsplug::limits::Limits {
            candidates,
            candidate_entries: entries,
            scan_entries: entries * 2,
            candidate_paths: candidates * 100,
            folder_entries: entries,
            ..dsplug::limits::Limits::STANDARD
        };
        let snapshot = common::scan_with(disk.path(), limits);
        shows_evil(&common::query_in(&snapshot, "SELECT * FROM dsplug_bundles"));
    }

    /// Files have no entries beside what each is, and what is cut anyway takes what is left last.
    #[test]
    fn what_was_found_once_is_shown() {
        shows_it([(0, 3)], 97, 20);
        shows_it([(1, 1), (6, 1)], 3, 20);
        shows_it([(8, 1)], 3, 20);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever stands beside it.
        #[test]
        fn evil_is_shown(
            junk in prop::collection::btree_map(0_u8..10, 1_usize..40, 0..5),
            candidates in 3_usize..200,
            entries in 20_usize..2_000,
        ) {
            shows_it(junk, candidates, entries);
        }
    }
}
