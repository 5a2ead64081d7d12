//! More entries than are remembered as they were found: while nothing changes they are not read again, and the rows
//! stay as they are.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::{ARM64E, Disk, PLUGINS, Plugin, chmod, mach_header, sparse};

use super::mapped::Mapped;
use crate::common::{Row, query_in};

/// As `Memory` keeps them whole.
const REMEMBERED: usize = 24_000;

/// Bundles of so many small files and a sparse executable each.
fn disk_of(bundles: usize, files: usize, executable: u64) -> Disk {
    assert!(bundles * files > REMEMBERED);
    let disk = Disk::new();
    for number in 0..bundles {
        let name = format!("B{number:04}");
        let bundle = Plugin::new(&name).write(disk.plugin(""));
        let code = bundle.join("Contents/MacOS").join(&name);
        sparse(code, &mach_header(ARM64E), executable);
        for file in 0..files {
            fs::File::create(bundle.join(format!("Contents/r{file}"))).unwrap();
        }
    }
    disk
}

/// Until what was written is no news.
pub fn settle() {
    std::thread::sleep(Duration::from_millis(2_500));
}

pub fn scanner(disk: &Disk, limits: Limits) -> Scanner {
    Scanner::new(Root::open(disk.path()).unwrap(), limits).remembering()
}

pub fn rows(snapshot: &Snapshot) -> Vec<Row> {
    query_in(snapshot, "SELECT * FROM dsplug_bundles ORDER BY path")
}

fn files(snapshot: &Snapshot) -> Vec<Row> {
    query_in(snapshot, "SELECT * FROM dsplug_files ORDER BY path")
}

/// The names of the bundles whose rows differ.
fn changed(old: &[Row], new: &[Row]) -> Vec<String> {
    assert_eq!(old.len(), new.len());
    let differs = old.iter().zip(new).filter(|(old, new)| old != new);
    let path = differs.map(|(_, new)| new["path"].rsplit('/').next().unwrap().to_owned());
    path.collect()
}

#[test]
fn what_is_more_than_is_remembered_whole_is_not_read_again_until_it_changes() {
    let disk = disk_of(500, 55, 1 << 20);
    settle();
    let mut scanner = scanner(&disk, Limits::PATIENT);
    let first = scanner.scan();
    assert_eq!(first.status.files_read, 500 * 57);
    let (usual, usual_files) = (rows(&first), files(&first));
    assert!(usual.iter().all(|row| row["hash"].len() == 64));
    drop(first);
    for _ in 0..2 {
        let again = scanner.scan();
        assert_eq!(again.status.files_read, 0);
        assert_eq!(again.status.files_reused, 500 * 57);
        assert_eq!(rows(&again), usual);
        assert!(files(&again) == usual_files);
    }
    // One that is written is read, and some files of its own with it.
    let path = |name: &str| disk.plugin(format!("{name}.dsplug/Contents"));
    fs::write(path("B0499").join("r7"), "x").unwrap();
    let written = scanner.scan();
    assert!(written.status.files_read < 10);
    assert_eq!(changed(&usual, &rows(&written)), ["B0499.dsplug"]);
    // Neither their sizes nor their times tell that one was exchanged and one written, but for the change of status.
    settle();
    let usual = rows(&scanner.scan());
    let exchanged = path("B0498").join("MacOS/B0498");
    let written = path("B0497").join("MacOS/B0497");
    let times = [&exchanged, &written].map(|code| fs::metadata(code).unwrap().modified().unwrap());
    let new = disk.at("new");
    sparse(
        &new,
        &[mach_header(ARM64E).as_slice(), b"other"].concat(),
        1 << 20,
    );
    fs::rename(&new, &exchanged).unwrap();
    let open = |path| fs::File::options().write(true).open(path).unwrap();
    open(&written).write_all_at(b"other", 4_096).unwrap();
    for (code, time) in [&exchanged, &written].into_iter().zip(times) {
        open(code).set_modified(time).unwrap();
    }
    // What goes and what comes is no part of what was known.
    fs::remove_file(path("B0496").join("r3")).unwrap();
    fs::create_dir(path("B0495").join("new")).unwrap();
    let other = scanner.scan();
    assert_eq!(
        changed(&usual, &rows(&other)),
        [
            "B0495.dsplug",
            "B0496.dsplug",
            "B0497.dsplug",
            "B0498.dsplug"
        ]
    );
}

/// Each scan goes on where the last one stopped, and once all is known there is nothing more to be cut.
#[test]
fn where_a_scan_is_cut_rows_are_the_same_from_scan_to_scan_in_the_end() {
    let disk = disk_of(320, 85, 2 << 20);
    settle();
    let limits = Limits {
        scan_bytes: 128 << 20,
        time: Duration::from_secs(60),
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    let unread = |rows: &[Row]| rows.iter().filter(|r| r["hash"].is_empty()).count();
    let left: Vec<usize> = (0..8).map(|_| unread(&rows(&scanner.scan()))).collect();
    assert!(left[0] > 200, "{left:?}");
    assert!(left.is_sorted_by(|a, b| a >= b), "{left:?}");
    assert_eq!(left.last(), Some(&0), "{left:?}");
    let usual = rows(&scanner.scan());
    for _ in 0..2 {
        assert_eq!(changed(&usual, &rows(&scanner.scan())), [""; 0]);
    }
}

/// Directories outside, each read for its own bundle, and files in them to which other links lead.
#[test]
fn what_links_lead_to_is_not_read_again_either() {
    let disk = Disk::new();
    for number in 0..10 {
        let outside = disk.dir(format!("Users/Shared/{number}/sub"));
        for file in 0..3_000 {
            fs::File::create(outside.join(format!("r{file}"))).unwrap();
        }
        sparse(outside.join("code"), &mach_header(ARM64E), 1 << 20);
        let bundle = format!("{PLUGINS}/B{number}.dsplug/Contents");
        disk.link(format!("{bundle}/all"), format!("/Users/Shared/{number}"));
        disk.link(
            format!("{bundle}/code"),
            format!("/Users/Shared/{number}/sub/code"),
        );
    }
    settle();
    let mut scanner = scanner(&disk, Limits::PATIENT);
    let first = scanner.scan();
    let usual = rows(&first);
    assert!(usual.iter().all(|row| row["linked_hash"].len() == 64));
    assert!(first.status.files_read > 30_000);
    drop(first);
    for _ in 0..2 {
        let again = scanner.scan();
        assert_eq!(again.status.files_read, 0);
        assert_eq!(rows(&again), usual);
    }
    fs::write(disk.at("Users/Shared/9/sub/code"), "other").unwrap();
    let other = scanner.scan();
    assert_eq!(other.status.files_read, 1);
    assert_eq!(changed(&usual, &rows(&other)), ["B9.dsplug"]);
}

/// Reading it again takes the bytes of a scan, which do not suffice for all.
#[test]
fn code_that_there_is_no_room_to_read_again_for_its_age_is_as_it_was() {
    let disk = Disk::new();
    for name in ["A", "B", "C"] {
        let bundle = Plugin::new(name).write(disk.plugin(""));
        let code = bundle.join("Contents/MacOS").join(name);
        sparse(code, &mach_header(ARM64E), 40 << 20);
    }
    settle();
    let limits = Limits {
        scan_bytes: 100 << 20,
        time: Duration::from_secs(60),
        code_age: Duration::from_secs(5),
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    scanner.scan();
    let usual = rows(&scanner.scan());
    assert!(usual.iter().all(|row| row["hash"].len() == 64));
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(5_100));
        let again = scanner.scan();
        assert!(again.status.files_read >= 2);
        assert_eq!(changed(&usual, &rows(&again)), [""; 0]);
    }
}

/// A file of any size takes no room on a disk, and one that was never read costs nothing to read again.
#[test]
fn what_was_never_read_holds_up_no_code_that_is_due() {
    let disk = Disk::new();
    for name in ["A", "B", "C", "V"] {
        let bundle = Plugin::new(name).write(disk.plugin(""));
        if name != "V" {
            let code = bundle.join("Contents/MacOS/large");
            sparse(&code, &mach_header(ARM64E), 1 << 40);
            chmod(code, 0o755);
        }
    }
    settle();
    let limits = Limits {
        code_age: Duration::from_secs(3),
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    scanner.scan();
    assert_eq!(scanner.scan().status.files_read, 0);
    std::thread::sleep(Duration::from_millis(3_100));
    // Of each the main executable.
    assert!(scanner.scan().status.files_read >= 4);
}

/// What takes a whole scan to read again does so beside the others.
#[test]
fn code_that_takes_long_to_read_again_holds_up_no_other() {
    let disk = Disk::new();
    for name in ["A", "B", "C", "V", "W"] {
        let bundle = Plugin::new(name).write(disk.plugin(""));
        if name < "V" {
            let code = bundle.join("Contents/MacOS").join(name);
            sparse(code, &mach_header(ARM64E), 130 << 20);
        }
    }
    settle();
    let limits = Limits {
        code_age: Duration::from_secs(4),
        time: Duration::from_secs(60),
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    scanner.scan();
    let usual = scanner.scan();
    assert_eq!(usual.status.files_read, 0);
    assert!(rows(&usual).iter().all(|row| row["hash"].len() == 64));
    std::thread::sleep(Duration::from_millis(4_100));
    // Of each the main executable, and the Info.plist for the signature.
    let read = scanner.scan().status.files_read;
    assert_eq!(read, 2 * 3, "one that is large, and both that are small");
}

/// Bundle `A`, with a file of code that is all that one scan reads again of its size; it is to grow beyond what is read
/// of any.
fn with_a_large_one(disk: &Disk) {
    Plugin::new("A").without_executable().write(disk.plugin(""));
    let large = disk.plugin("A.dsplug/Contents/large");
    sparse(&large, &mach_header(ARM64E), 128 << 20);
    chmod(&large, 0o755);
}

/// It grows beyond what is read of any, and nothing of it is read from then on; what it was is as it was known.
#[test]
fn what_cannot_be_read_again_holds_up_no_code_that_is_due() {
    let disk = Disk::new();
    with_a_large_one(&disk);
    Plugin::new("V").write(disk.plugin(""));
    settle();
    let limits = Limits {
        code_age: Duration::from_secs(3),
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    scanner.scan();
    sparse(disk.plugin("A.dsplug/Contents/k"), b"", 3 << 30);
    settle();
    let usual = rows(&scanner.scan());
    let (a, v) = (&usual[0], &usual[1]);
    assert_eq!((&*a["hash"], v["hash"].len()), ("", 64));
    assert!(a["error"].starts_with("limit: "), "{}", a["error"]);
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(3_100));
        let again = scanner.scan();
        // V's main executable and its Info.plist, whatever of A is tried.
        assert!(
            (2..=4).contains(&again.status.files_read),
            "{}",
            again.status.files_read
        );
        // And what is told of A is told still.
        assert_eq!(changed(&usual, &rows(&again)), [""; 0]);
    }
}

/// Of the same size it takes the room once, and then the other has its turn.
#[test]
fn what_could_not_be_read_again_stands_behind_what_was_not_tried() {
    let disk = Disk::new();
    with_a_large_one(&disk);
    let v = Plugin::new("V").write(disk.plugin(""));
    sparse(v.join("Contents/MacOS/V"), &mach_header(ARM64E), 9 << 20);
    settle();
    let limits = Limits {
        code_age: Duration::from_secs(4),
        ..Limits::STANDARD
    };
    let mut scanner = scanner(&disk, limits);
    scanner.scan();
    sparse(disk.plugin("A.dsplug/Contents/k"), b"", 3 << 30);
    settle();
    scanner.scan();
    std::thread::sleep(Duration::from_millis(4_100));
    let [first, second] = [(); 2].map(|()| scanner.scan().status.files_read);
    // V's main executable, and its Info.plist for the signature.
    assert!(second >= first + 2, "{first} and {second}");
}

/// Nobody has written to it by any time that is told, as through a mapping whose page was dirty before.
#[test]
fn code_that_was_read_again_is_not_taken_for_what_it_was() {
    let disk = Disk::new();
    let path = Plugin::new("V").executable("good").write(disk.plugin(""));
    sparse(path.join("Contents/k"), b"", 3 << 30);
    let code = path.join("Contents/MacOS/V");
    let limits = Limits {
        code_age: Duration::from_secs(3),
        ..Limits::STANDARD
    };
    let mut mapped = Mapped::new(&code);
    settle();
    let mut scanner = scanner(&disk, limits);
    let first = rows(&scanner.scan());
    let error = first[0]["error"].clone();
    assert_eq!(first[0]["executable_hash"].len(), 64);
    assert!(error.starts_with("limit: "), "{error}");
    std::thread::sleep(Duration::from_millis(3_100));
    mapped.write(0, b"evil");
    let second = rows(&scanner.scan());
    assert_ne!(first[0]["executable_hash"], second[0]["executable_hash"]);
    assert_eq!(second[0]["error"], error);
}
