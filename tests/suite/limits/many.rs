//! Bundles by the thousand, and lists of many values.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::names::names;
use super::{MOST_HELD, rows, shows_evil, with_evil, within_the_promise};
use crate::common::query_in;
use dsplug::journal::Ahead;
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::binary_list::binary_list;
use dsplug_fixtures::{ARM64E, Disk, PLUGINS, Plugin, mach_header, skipped};

/// As many bundles as have rows.
const ROWS: usize = 2_400;

/// The beginning of a list, with one text for each name of a plug-in.
fn texts(text: &str) -> String {
    let keys = [
        "CFBundleIdentifier",
        "CFBundleName",
        "CFBundleShortVersionString",
        "CFPluginNameString",
    ];
    let texts = keys.map(|key| format!("<key>{key}</key><string>{text}</string>"));
    format!("<plist><dict>{}", texts.concat())
}

/// As many factories that no other bundle has.
fn factories(bundle: usize, count: usize) -> String {
    let each = (0..count).map(|factory| {
        format!("<key>AAAAAAAA-0000-0000-{factory:04}-{bundle:012}</key><string>F</string>")
    });
    let each: String = each.collect();
    format!("<key>CFPlugInFactories</key><dict>{each}</dict>")
}

/// As many bundles as there may be, each with texts that are just short enough to be kept whatever there is of others.
fn full_of_bundles() -> Disk {
    let disk = with_evil();
    let code = disk.file("code", mach_header(ARM64E));
    for number in 0..ROWS {
        let bundle = disk.plugin(format!("{number:05}{}.dsplug", "n".repeat(30)));
        fs::create_dir_all(bundle.join("Contents/MacOS")).unwrap();
        fs::hard_link(&code, bundle.join("Contents/MacOS/X")).unwrap();
        let mut list = texts(&format!("{number:0125}"));
        let executable = format!("{}X", "./".repeat(100));
        let _ = write!(
            list,
            "<key>CFBundleExecutable</key><string>{executable}</string>"
        );
        list.push_str("<key>DSNodesToRegister</key><array>");
        for _ in 0..16 {
            list.push_str("<dict><key>DSNodeToRegisterType</key><integer>1</integer><key>DSNodeToRegisterPath</key><array><string>aaaaaaaaaaaa</string></array></dict>");
        }
        list.push_str("</array><key>CFPlugInTypes</key><dict/>");
        list.push_str(&factories(number, 12));
        list.push_str("</dict></plist>");
        fs::write(bundle.join("Contents/Info.plist"), list).unwrap();
    }
    disk
}

/// The most memory that a command has held, one that does not end by itself, in KB.
pub fn for_some_seconds(root: &Path, arguments: &[&str], meanwhile: impl FnOnce() + Send) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(arguments)
        .arg("--root")
        .arg(root)
        .env("RUST_LOG", "off")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    meanwhile();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak = peak.trim().trim_end_matches(" kB").parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    peak
}

/// Asked for, and under a watch while all change: what it knows of each stands beside what a scan finds.
#[test]
fn bundles_by_the_thousand() {
    let disk = full_of_bundles();
    let all = rows(&disk);
    assert!(all.len() > 2_200, "{}", all.len());
    shows_evil(&all);
    within_the_promise(disk.path(), &["query", "SELECT * FROM dsplug_bundles"]);
    if cfg!(not(target_os = "linux")) {
        return skipped("the memory of a process is read from /proc");
    }
    let peak = for_some_seconds(disk.path(), &["watch"], || {
        std::thread::sleep(Duration::from_secs(8));
        for entry in fs::read_dir(disk.at(PLUGINS)).unwrap() {
            let list = entry.unwrap().path().join("Contents/Info.plist");
            let _ = fs::File::options()
                .append(true)
                .open(list)
                .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH));
        }
        std::thread::sleep(Duration::from_secs(8));
    });
    eprintln!("{peak} KB under a watch");
    assert!(peak < MOST_HELD, "{peak} KB");
}

/// Under a watch, while one file outside that all of them run becomes another again and again: all but one wait for a
/// line, and each has states that have passed meanwhile.
#[test]
fn bundles_by_the_thousand_that_wait() {
    if cfg!(not(target_os = "linux")) {
        return skipped("the memory of a process is read from /proc");
    }
    let disk = with_evil();
    let code = |round: u8| [mach_header(ARM64E).as_slice(), &[round]].concat();
    let outside = disk.file("Users/Shared/code", code(0));
    for number in 0..ROWS {
        let macos = disk.dir(format!("{PLUGINS}/{number:05}.dsplug/Contents/MacOS"));
        let list = format!(
            "<plist><dict><key>CFBundleIdentifier</key><string>{number}</string></dict></plist>"
        );
        fs::write(macos.with_file_name("Info.plist"), list).unwrap();
        disk.link(
            format!("{PLUGINS}/{number:05}.dsplug/Contents/MacOS/{number:05}"),
            "/Users/Shared/code",
        );
    }
    let peak = for_some_seconds(disk.path(), &["watch"], || {
        std::thread::sleep(Duration::from_secs(8));
        for round in 1..10 {
            let new = disk.file("Users/Shared/new", code(round));
            fs::rename(new, &outside).unwrap();
            std::thread::sleep(Duration::from_secs(5));
        }
    });
    eprintln!("{peak} KB under a watch");
    assert!(peak < MOST_HELD, "{peak} KB");
}

/// Under a watch, beside a list of exceptions, while the code of all is exchanged again and again: each has libraries, links
/// that lead out, factories and long texts, and what it was stands beside what it is.
#[test]
fn bundles_by_the_thousand_whose_code_is_exchanged() {
    code_is_exchanged(ROWS, 3);
}

/// The same of some hundred that have as much code as is read.
#[test]
fn bundles_full_of_code_that_is_exchanged() {
    code_is_exchanged(500, 140);
}

fn code_is_exchanged(bundles: usize, libraries: u8) {
    if cfg!(not(target_os = "linux")) {
        return skipped("the memory of a process is read from /proc");
    }
    let disk = with_evil();
    let entries: Vec<_> = (0..2_800)
        .map(|n| format!("<dict><key>id</key><string>{n:0100}</string><key>path</key><string>/{n:0700}</string><key>reason</key><string>{n:0500}</string></dict>"))
        .collect();
    let list = format!(
        "<plist><dict><key>Exceptions</key><array>{}</array></dict></plist>",
        entries.concat()
    );
    fs::write(
        disk.dir("Library/Application Support/dsplug")
            .join("exceptions.plist"),
        list,
    )
    .unwrap();
    let code = |number: usize, round: u8| {
        let head = mach_header(ARM64E);
        [head.as_slice(), &number.to_le_bytes(), &[round]].concat()
    };
    for number in 0..bundles {
        let macos = disk.dir(format!("{PLUGINS}/{number:05}.dsplug/Contents/MacOS"));
        let list = texts(&format!("{number:0180}")) + &factories(number, 10) + "</dict></plist>";
        fs::write(macos.with_file_name("Info.plist"), list).unwrap();
        fs::write(macos.join(format!("{number:05}")), code(number, 0)).unwrap();
        for library in 0..libraries {
            fs::write(macos.join(format!("{library:040}")), code(number, library)).unwrap();
        }
        for link in ["a", "b"] {
            disk.link(
                format!("{PLUGINS}/{number:05}.dsplug/Contents/{link}"),
                format!("/Users/Shared/{link}/{number:060}"),
            );
        }
    }
    let peak = for_some_seconds(disk.path(), &["watch"], || {
        std::thread::sleep(Duration::from_secs(8));
        for round in 1..6 {
            for number in 0..bundles {
                let new = disk.file("Users/Shared/new", code(number, round));
                let old = format!("{PLUGINS}/{number:05}.dsplug/Contents/MacOS/{number:05}");
                fs::rename(new, disk.at(&old)).unwrap();
            }
            std::thread::sleep(Duration::from_secs(4));
        }
    });
    eprintln!("{peak} KB under a watch");
    assert!(peak < MOST_HELD, "{peak} KB");
}

/// Each within the bytes of a list that is read, and each of as many values as its form can have there.
#[test]
fn lists_of_very_many_values() {
    let pairs: String = (0..299_000).map(|n| format!("{n:05x}=b;")).collect();
    let texts: Vec<String> = (0..590_000).map(|n| format!("{n:05x}")).collect();
    let words: String = (0..440_000).map(|_| "<string/>").collect();
    let keys: String = (0..160_000)
        .map(|n| format!("<key>{n:05x}</key><true/>"))
        .collect();
    let lists = [
        (
            format!("{{CFBundleIdentifier=a;{pairs}}}").into_bytes(),
            true,
        ),
        (
            format!("{{CFBundleIdentifier=a;A=({});}}", texts.join(",")).into_bytes(),
            true,
        ),
        (
            format!("<plist><dict><key>A</key><array>{words}</array></dict></plist>").into_bytes(),
            false,
        ),
        (
            format!("<plist><dict>{keys}</dict></plist>").into_bytes(),
            true,
        ),
        (repeated_text(590_000), true),
    ];
    for (list, is_too_much) in lists {
        let disk = with_evil();
        disk.file(format!("{PLUGINS}/A.dsplug/Contents/Info.plist"), list);
        let rows = rows(&disk);
        shows_evil(&rows);
        let one = rows
            .iter()
            .find(|row| row["path"].ends_with("/A.dsplug"))
            .unwrap();
        assert_eq!(one["error"].contains("limit: "), is_too_much, "{one:#?}");
        let verdict = if is_too_much {
            "unknown"
        } else {
            "not_loadable"
        };
        assert_eq!(one["load_verdict"], verdict, "{one:#?}");
    }
}

/// A list that is read by itself, and not where little room is left: it takes thirty times its values meanwhile.
#[test]
fn a_list_of_many_values_is_read_where_there_is_room() {
    let disk = Disk::new();
    disk.file(
        format!("{PLUGINS}/A.dsplug/Contents/Info.plist"),
        repeated_text(150_000),
    );
    let read = |snapshot: &Snapshot| {
        let sql = "SELECT error FROM dsplug_bundles WHERE path LIKE '%/A.dsplug'";
        let error = query_in(snapshot, sql)[0]["error"].clone();
        assert!(
            error.is_empty() || error.contains("too many values"),
            "{error}"
        );
        error.is_empty()
    };
    let scanner = |limits| Scanner::new(Root::open(disk.path()).unwrap(), limits);
    assert!(read(&scanner(Limits::PATIENT).scan()));
    // What an earlier process knew is held for as long as one scan.
    let mut knowing = scanner(Limits::PATIENT).remembering();
    knowing.know(&Ahead {
        paths: Vec::new(),
        held: 64 << 20,
    });
    assert!(!read(&knowing.scan()));
    assert!(read(&knowing.scan()));
    // So is each of very many entries.
    let little = Limits {
        found: 2 << 20,
        ..Limits::PATIENT
    };
    assert!(read(&scanner(little).scan()));
    names(
        &disk.at(format!("{PLUGINS}/Many.dsplug")),
        (0..15_000).map(|n| n.to_string()),
    );
    assert!(read(&scanner(little).scan()));
    for half in ["a", "b", "c"] {
        names(
            &disk.at(format!("{PLUGINS}/Many{half}.dsplug")),
            (0..15_000).map(|n| n.to_string()),
        );
    }
    assert!(!read(&scanner(little).scan()));
}

/// Lists that are small, so that they are read before others, and name their arrays again and again: each costs
/// as much as one of half a megabyte.
#[test]
fn small_lists_of_very_many_values() {
    let disk = with_evil();
    let list = repeated_arrays(40, 12_000);
    assert!(list.len() < 16 << 10);
    for number in 0..300 {
        disk.file(
            format!("{PLUGINS}/A{number}.dsplug/Contents/Info.plist"),
            &list,
        );
    }
    let rows = rows(&disk);
    let evil = rows
        .iter()
        .find(|row| row["path"].ends_with("/Evil.dsplug"));
    assert_eq!((evil.unwrap()["error"].as_str(), rows.len()), ("", 301));
}

/// A binary list of an array that names one text so many times.
fn repeated_text(times: usize) -> Vec<u8> {
    // A dictionary of one key; references have three bytes.
    let count = u32::try_from(times).unwrap().to_be_bytes();
    let array = [&[0xaf, 0x12][..], &count, &[0, 0, 3].repeat(times)].concat();
    let text = [&b"\x5f\x10\x1b"[..], &[b'x'; 27]].concat();
    binary_list(3, &[&[0xd1, 0, 0, 1, 0, 0, 2], b"\x51A", &array, &text])
}

/// One of an array that names an array of `members` so many times.
fn repeated_arrays(times: u8, members: u16) -> Vec<u8> {
    let outer = [&[0xaf, 0x10, times][..], &vec![3; usize::from(times)]].concat();
    let [high, low] = members.to_be_bytes();
    let inner = [&[0xaf, 0x11, high, low][..], &vec![4; usize::from(members)]].concat();
    binary_list(1, &[&[0xd1, 1, 2], b"\x51A", &outer, &inner, b"\x09"])
}

/// For each report of one bundle the pack was asked about all of them.
#[test]
fn evidence_on_bundles_by_the_hundred() {
    let disk = Disk::new();
    for number in 0..400 {
        Plugin::new(&format!("A{number}")).write(disk.plugin(""));
    }
    let place = Disk::new();
    let archive = place.at("evidence.tar.gz");
    let output = archive.to_str().unwrap();
    within_the_promise(disk.path(), &["collect", "--all", "--output", output]);
    assert!(archive.exists());
}
