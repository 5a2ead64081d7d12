//! Sockets, FIFOs and devices. The bundle digest says of none which it is; CoreFoundation waits at a FIFO, and passes a
//! socket over.

use std::fs;
use std::path::Path;

use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug_fixtures::{Disk, Plugin, Watch, chmod, device, fifo, needs_root, socket};

use super::A;
use crate::common::bundle;

/// A plug-in with a good Info.plist, and a FIFO where another is looked for first.
fn disk() -> (Disk, std::path::PathBuf) {
    let disk = Disk::new();
    let at = Plugin::new("A")
        .write(disk.plugin(""))
        .join("Contents/Info-macos.plist");
    becomes(&at, |at| fifo(at));
    (disk, at)
}

fn becomes(at: &Path, make: impl FnOnce(&Path)) {
    let _ = fs::remove_file(at);
    make(at);
    chmod(at, 0o644);
}

fn looked_at(disk: &Disk) -> (String, String, String) {
    let row = bundle(disk.path(), "A.dsplug");
    let of = |name: &str| row[name].clone();
    (of("hash"), of("unread"), of("error"))
}

#[test]
fn which_it_is_is_told_by_name_and_its_exchange_by_what_was_not_read() {
    let (disk, at) = disk();
    let (hash, mut before, error) = looked_at(&disk);
    let says = |name: &str| format!("not_regular: {A}/Contents/Info-macos.plist is a {name}");
    assert_eq!(error, says("FIFO"));
    assert!(before.starts_with("specials="), "{before}");
    type Make = fn(&Path);
    let makes: [(&str, Make); 4] = [
        ("socket", |at| socket(at)),
        ("character device 1:3", |at| device(at, "c", 1, 3)),
        ("character device 1:5", |at| device(at, "c", 1, 5)),
        ("block device 1:5", |at| device(at, "b", 1, 5)),
    ];
    for (name, make) in makes {
        if name != "socket" && !needs_root("devices are made by root") {
            return;
        }
        becomes(&at, make);
        let (now, unread, error) = looked_at(&disk);
        assert_eq!((now, error), (hash.clone(), says(name)));
        assert_ne!(unread, before, "{name}");
        before = unread;
    }
    // Another of the same is no other.
    becomes(&at, |at| device(at, "b", 1, 5));
    assert_eq!(looked_at(&disk).1, before);
}

#[test]
fn a_scan_that_remembers_sees_it_exchanged() {
    let (disk, at) = disk();
    let root = Root::open(disk.path()).unwrap();
    let mut scanner = Scanner::new(root, Limits::STANDARD).remembering();
    let mut unread = || scanner.scan().bundles[0].unread();
    let before = unread();
    assert_eq!(unread(), before);
    becomes(&at, |at| socket(at));
    assert_ne!(unread(), before);
}

#[test]
fn its_exchange_is_a_line_of_detection() {
    let (disk, at) = disk();
    let watch = Watch::new(env!("CARGO_BIN_EXE_dsplug"), disk);
    watch.told();
    becomes(&at, |at| socket(at));
    let told = watch.told();
    let line = ("modified".to_owned(), "added".to_owned(), A.to_owned());
    assert!(told.contains(&line), "{told:?}");
    assert_eq!(watch.told(), []);
}

#[test]
fn no_base_line_pins_it() {
    let (disk, _) = disk();
    let root = Root::open(disk.path()).unwrap();
    let snapshot = Scanner::new(root, Limits::STANDARD).scan();
    let baseline = dsplug::exceptions::baseline::write(&snapshot).unwrap();
    let line = format!(
        "{A} is not in the baseline: a socket, FIFO or device stands in it, or where it leads, and no digest tells one from another"
    );
    assert_eq!(baseline.left_out, [line]);
}
