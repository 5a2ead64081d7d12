//! Code that is read again for its age, because a page that was dirty already can be written without any time of the
//! file telling it: whatever else stands there, a change shows.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dsplug::limits::Limits;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{
    ARM64E, Disk, PLUGINS, Plugin, attribute, chmod, mach_header, skipped, sparse,
};

use super::mapped::Mapped;
use super::remembered::{self, rows, settle};

/// After how long code is read again here.
const AGE: Duration = Duration::from_secs(3);

fn scanner(disk: &Disk, limits: Limits) -> Scanner {
    let limits = Limits {
        code_age: AGE,
        ..limits
    };
    remembered::scanner(disk, limits)
}

/// The same where megabytes are read again, by a program that is built to be debugged.
const LATER: Duration = Duration::from_secs(12);

fn patient(disk: &Disk) -> Scanner {
    let limits = Limits {
        code_age: LATER,
        time: Duration::from_secs(60),
        ..Limits::STANDARD
    };
    remembered::scanner(disk, limits)
}

/// Files of code where a link of bundle `A` leads.
fn behind_a_link<const N: usize>(disk: &Disk, names: [&str; N], bytes: u64) -> [PathBuf; N] {
    disk.link(format!("{PLUGINS}/A.dsplug/Contents/l"), "/Users/Shared/d");
    names.map(|name| {
        let file = disk.dir("Users/Shared/d").join(name);
        sparse(&file, &mach_header(ARM64E), bytes);
        chmod(&file, 0o755);
        file
    })
}

/// A Mach-O file whose first four bytes are yet to be written.
fn not_yet() -> Vec<u8> {
    let mut code = mach_header(ARM64E);
    code[..4].fill(0);
    code
}

/// What is no code by any time of it becomes some: the main executable, a library where a link leads, one in a directory
/// where another leads, and one that nothing names.
#[test]
fn what_becomes_code_through_a_mapping_shows_when_code_is_read_again() {
    let disk = Disk::new();
    let main = Plugin::new("A")
        .executable(not_yet())
        .write(disk.plugin(""));
    let main = main.join("Contents/MacOS/A");
    chmod(&main, 0o644);
    let library = disk.file("Users/Shared/l.dylib", not_yet());
    let inner = disk.file("Users/Shared/fw/sub/l.dylib", not_yet());
    for (name, target) in [("B", "l.dylib"), ("C", "fw")] {
        Plugin::new(name).write(disk.plugin(""));
        disk.link(
            format!("{PLUGINS}/{name}.dsplug/Contents/l"),
            format!("/Users/Shared/{target}"),
        );
    }
    let own = Plugin::new("D")
        .file("Contents/lib/l", not_yet())
        .write(disk.plugin(""));
    let own = own.join("Contents/lib/l");
    let all = [&main, &library, &inner, &own];
    let mut mapped = all.map(|path| Mapped::new(path));
    settle();
    let mut scanner = scanner(&disk, Limits::STANDARD);
    let first = rows(&scanner.scan());
    assert_eq!(first[0]["load_verdict"], "not_loadable");
    let times = all.map(|path| fs::metadata(path).unwrap().modified().unwrap());
    for mapped in &mut mapped {
        mapped.write(0, &mach_header(ARM64E)[..4]);
    }
    assert_eq!(
        times,
        all.map(|path| fs::metadata(path).unwrap().modified().unwrap())
    );
    std::thread::sleep(AGE);
    let second = rows(&scanner.scan());
    assert_eq!(second[0]["load_verdict"], "loadable");
    for (row, column) in [
        (0, "executable_hash"),
        (1, "linked_hash"),
        (2, "linked_hash"),
        (3, "hash"),
    ] {
        assert_eq!(first[row][column].len(), 64, "{row}");
        assert_eq!(second[row][column].len(), 64, "{row}");
        assert_ne!(first[row][column], second[row][column], "{row}");
    }
    // What nothing was written to is looked at, and not read.
    std::thread::sleep(AGE);
    assert_eq!(rows(&scanner.scan()), second);
}

/// Code of which there is so much to know that no room is left for any other: libraries with long names, and small files
/// that take the last bytes.
fn fill_room_for_facts(disk: &Disk, name: &str) {
    let mut plugin = Plugin::new(name);
    for file in 0..24 {
        let path = |i: usize| format!("@loader_path/{}/{file}.{i}", "x".repeat(200));
        let code = MachO::dylib(Cpu::Arm64e);
        let code = (0..64).fold(code, |code, i| code.dylib_path(&path(i)));
        plugin = plugin.file(&format!("Contents/lib/{file}"), code.unsigned());
    }
    for file in 0..200 {
        plugin = plugin.file(&format!("Contents/more/{file}"), mach_header(ARM64E));
    }
    plugin.write(disk.plugin(""));
}

/// Room for what is known of code, for tests.
const ROOM: usize = 256 << 10;

/// It was read to its end, and is not what it was: that there is no room to say what it is says no less.
#[test]
fn code_that_changed_shows_though_another_takes_all_room_for_what_is_known_of_code() {
    let disk = Disk::new();
    let path = Plugin::new("V").write(disk.plugin(""));
    sparse(path.join("Contents/k"), b"", 24 << 20);
    let code = path.join("Contents/MacOS/V");
    fs::write(&code, [mach_header(ARM64E), b"good".to_vec()].concat()).unwrap();
    let library = disk.file(
        "Users/Shared/l.dylib",
        [mach_header(ARM64E), b"good".to_vec()].concat(),
    );
    disk.link(
        format!("{PLUGINS}/V.dsplug/Contents/l"),
        "/Users/Shared/l.dylib",
    );
    let mut mapped = [&code, &library].map(|path| Mapped::new(path));
    settle();
    let limits = Limits {
        code_facts: ROOM,
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    let first = rows(&scanner.scan());
    assert_eq!(first[0]["executable_hash"].len(), 64);
    fill_room_for_facts(&disk, "A");
    settle();
    let usual = rows(&scanner.scan());
    assert!(
        usual[0]["error"].contains("no room for what is known of its code"),
        "{}",
        usual[0]["error"]
    );
    assert_eq!(usual[1], first[0]);
    // While it is the same it is told to be.
    std::thread::sleep(AGE);
    assert_eq!(rows(&scanner.scan()), usual);
    mapped[0].write(mach_header(ARM64E).len(), b"evil");
    mapped[1].write(mach_header(ARM64E).len(), b"evil");
    std::thread::sleep(AGE);
    let second = rows(&scanner.scan());
    for column in ["executable_hash", "hash", "linked_hash"] {
        assert_ne!(second[1][column], first[0][column], "{column}");
        assert_eq!(second[1][column].len(), 64, "{column}");
    }
}

/// More than one scan reads behind the links of one bundle: the next goes on where it stopped, and what has not had its
/// turn is as it was.
#[test]
fn what_links_lead_to_is_read_again_in_parts_and_no_row_lacks_it() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let files = behind_a_link(&disk, ["a", "b", "c"], 100 << 20);
    let mut mapped = Mapped::new(&files[2]);
    settle();
    let mut scanner = patient(&disk);
    scanner.scan();
    let first = rows(&scanner.scan());
    assert_eq!(first[0]["linked_hash"].len(), 64);
    std::thread::sleep(LATER);
    // The main executable, the Info.plist for its signature, and two of the three; then the third.
    for files in [4, 1, 0] {
        let again = scanner.scan();
        assert_eq!(again.status.files_read, files);
        assert_eq!(rows(&again), first);
    }
    mapped.write(3_000, b"evil");
    std::thread::sleep(LATER);
    let [second, third] = [(); 2].map(|()| rows(&scanner.scan()));
    assert_eq!(second, first);
    assert_eq!(third[0]["linked_hash"].len(), 64);
    assert_ne!(third[0]["linked_hash"], first[0]["linked_hash"]);
}

/// However much whoever planted it has there to be read again.
#[test]
fn what_links_lead_to_holds_up_no_code_of_the_bundle_itself() {
    let disk = Disk::new();
    let bundle = Plugin::new("A")
        .executable([mach_header(ARM64E), vec![0; 4_096]].concat())
        .write(disk.plugin(""));
    behind_a_link(&disk, ["a", "b", "c", "d", "e"], 140 << 20);
    let mut mapped = Mapped::new(&bundle.join("Contents/MacOS/A"));
    settle();
    let mut scanner = patient(&disk);
    while rows(&scanner.scan())[0]["linked_hash"].is_empty() {}
    std::thread::sleep(LATER);
    // One file of each scan; then the next round of the bundle's own comes in the midst of it.
    let first = rows(&scanner.scan());
    mapped.write(3_000, b"evil");
    std::thread::sleep(LATER);
    let second = rows(&scanner.scan());
    assert_ne!(second[0]["executable_hash"], first[0]["executable_hash"]);
    assert_eq!(second[0]["linked_hash"], first[0]["linked_hash"]);
}

/// Each is smaller than those before, and so has its turn before them, with more to know of its code than there is room
/// for.
#[test]
fn bundles_that_come_one_by_one_take_no_more_room_for_what_is_known_of_code() {
    let disk = Disk::new();
    let limits = Limits {
        code_facts: ROOM,
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    let facts = |snapshot: &Snapshot| {
        let bundles = snapshot.bundles.iter();
        bundles.map(|b| b.evidence.code_facts()).sum::<usize>()
    };
    for (number, name) in ["E", "D", "C", "B"].into_iter().enumerate() {
        fill_room_for_facts(&disk, name);
        let pad = disk.plugin(format!("{name}.dsplug/Contents/pad"));
        sparse(pad, b"", (100 - 10 * number as u64) << 10);
        settle();
        for _ in 0..3 {
            let held = facts(&scanner.scan());
            assert!(held <= ROOM, "{name}: {held}");
        }
    }
    // What is small has room all the same.
    Plugin::new("V").write(disk.plugin(""));
    settle();
    let first = rows(&scanner.scan());
    assert_eq!((&*first[4]["error"], first[4]["hash"].len()), ("", 64));
    assert_eq!(rows(&scanner.scan())[4], first[4]);
}

/// Likewise for the texts of extended attributes.
#[test]
fn bundles_that_come_one_by_one_take_no_more_room_for_attributes() {
    let Some(disk) = Disk::with_room_for_attributes() else {
        return skipped("no file system here has room for them");
    };
    const MOST: usize = 32 << 10;
    let limits = Limits {
        attributes: MOST,
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    for (number, name) in ["E", "D", "C", "B"].into_iter().enumerate() {
        let bundle = Plugin::new(name).write(disk.plugin(""));
        sparse(
            bundle.join("Contents/pad"),
            b"",
            (100 - 10 * number as u64) << 10,
        );
        for file in 0..100 {
            let path = bundle.join(format!("Contents/{file}"));
            fs::write(&path, "").unwrap();
            let agent = format!("{name}{file}{}", "x".repeat(300));
            let text = format!("0081;00000000;{agent};");
            attribute(&path, "user.com.apple.quarantine", text);
        }
        settle();
        for _ in 0..3 {
            let snapshot = scanner.scan();
            let bundles = snapshot.bundles.iter();
            let held: usize = bundles.map(|b| b.evidence.attributes_held()).sum();
            assert!(held > MOST / 2, "{name}: {held}");
            assert!(held < MOST + (4 << 10), "{name}: {held}");
        }
    }
}
