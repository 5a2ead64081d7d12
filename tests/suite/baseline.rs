//! The list that `baseline` writes: it is one that is read, whatever the bundles are called and however many.

use std::fs;
use std::process::Command;

use dsplug::exceptions::{LOCAL, baseline};
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::{Disk, Plugin, chmod, needs_root};

fn scan(disk: &Disk) -> Snapshot {
    Scanner::new(Root::open(disk.path()).unwrap(), Limits::THOROUGH).scan()
}

/// Puts the base line of a disk in force there, and gives what it left out.
fn pin(disk: &Disk) -> Vec<String> {
    let baseline = baseline::write(&scan(disk)).unwrap();
    chmod(disk.file(&LOCAL[1..], &baseline.plist), 0o644);
    baseline.left_out
}

fn accepted(disk: &Disk) -> usize {
    let snapshot = scan(disk);
    assert_eq!(snapshot.exceptions.state(), "active");
    let bundles = snapshot.bundles.iter();
    bundles.filter(|b| b.exception.is_some()).count()
}

/// `U+FFFE` and `U+FFFF` have no place in XML: readers that hold to its rules refuse all of a file for one.
#[test]
fn a_name_that_xml_cannot_bear_is_left_out_and_the_list_holds() {
    let disk = Disk::new();
    for name in [
        "A",
        "no\u{ffff}",
        "\u{fffe}no",
        "yes\u{fffd}\u{1fffe}\u{7f}<&>\"'\u{1}\r\n",
    ] {
        Plugin::new("A").write_as(disk.plugin(format!("{name}.dsplug")));
    }
    let left_out = pin(&disk);
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    for line in &left_out {
        assert!(line.contains("no"), "{line}");
        let why = "is not in the baseline: its id has a character that XML does not have";
        assert!(line.contains(why), "{line}");
    }
    let list = disk.at(&LOCAL[1..]);
    // By expat, which holds to the rules.
    let script =
        "import plistlib, sys\nprint(len(plistlib.load(open(sys.argv[1], 'rb'))['Exceptions']))";
    let read = Command::new("python3")
        .args(["-c", script])
        .arg(&list)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout), "2\n", "{read:?}");
    if needs_root("a file of exceptions must belong to root") {
        assert_eq!(accepted(&disk), 2);
    }
}

#[test]
fn a_long_name_is_pinned_by_an_id_that_is_cut() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let disk = Disk::new();
    for sign in ["\u{1}", "n"] {
        Plugin::new("A").write_as(disk.plugin(format!("{}.dsplug", sign.repeat(248))));
    }
    assert_eq!(pin(&disk), Vec::<String>::new());
    assert_eq!(accepted(&disk), 2);
}

/// More than a list may have would leave it with none.
#[test]
fn of_too_many_bundles_the_first_are_pinned_and_the_list_holds() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let disk = Disk::new();
    for number in 0..4_100 {
        fs::write(disk.plugin(format!("{number:04}.dsplug")), "").unwrap();
    }
    let left_out = pin(&disk);
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    let why = "/4096.dsplug is not in the baseline: a list has 4096 entries at most";
    assert!(left_out[0].ends_with(why), "{left_out:?}");
    assert_eq!(accepted(&disk), 4_096);
}

/// As is a list of more bytes than are read of one.
#[test]
fn of_long_paths_as_many_are_pinned_as_a_list_has_room_for() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let disk = Disk::new();
    for number in 0..2_500 {
        let name = format!("{number:04}{}", "\u{1}".repeat(244));
        fs::write(disk.plugin(format!("{name}.dsplug")), "").unwrap();
    }
    let left_out = pin(&disk);
    let length = fs::metadata(disk.at(&LOCAL[1..])).unwrap().len();
    assert!((4_000_000..=4 << 20).contains(&length), "{length}");
    assert!(
        left_out[0].ends_with("the list has no room for it: 4194304 bytes of one are read"),
        "{left_out:?}"
    );
    assert_eq!(accepted(&disk) + left_out.len(), 2_500);
}
