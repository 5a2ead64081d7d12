//! What is on the way to what a bundle reaches outside of it: links, the directories above, and what is not
//! there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{Disk, Plugin};

use super::{Line, Watcher, make};

/// Shorter than the clock that asks for looks.
const SOON: Duration = Duration::from_secs(10);

fn library(marker: &[u8]) -> Vec<u8> {
    let mut code = MachO::bundle(Cpu::X86_64).unsigned();
    code.extend_from_slice(marker);
    code
}

/// Puts a link in the place of another at once.
fn relink(link: &Path, target: &str) {
    let new = link.with_extension("new");
    symlink(target, &new).unwrap();
    fs::rename(new, link).unwrap();
}

/// A bundle whose code names a library.
fn naming(disk: &Disk, name: &str, path: &str) {
    let code = MachO::bundle(Cpu::X86_64).dylib_path(path).unsigned();
    Plugin::new(name)
        .executable(code)
        .write_as(disk.plugin(format!("{name}.dsplug")));
}

#[track_caller]
fn soon(watcher: &Watcher, name: &str, words: &str) -> Line {
    let begun = Instant::now();
    let line = watcher.wait("changed", name);
    assert!(begun.elapsed() < SOON, "by the clock: {line:?}");
    assert_eq!(
        (&*line["changed"], &*line["seen"]),
        (words, "watched"),
        "{line:?}"
    );
    line
}

/// An event that a start tells: the link is not the one that it was.
#[track_caller]
fn rewritten_at_the_start(watcher: &Watcher, name: &str) {
    let line = watcher.wait("changed", name);
    assert_eq!(
        (&*line["changed"], &*line["seen"]),
        ("rewritten", "start"),
        "{line:?}"
    );
}

/// Every framework is reached through its `Versions/Current`.
#[test]
fn a_link_in_the_middle_is_watched() {
    let mut watcher = Watcher::new(Disk::new());
    let disk = &watcher.disk;
    let framework = "Library/Frameworks/V.framework";
    disk.file(format!("{framework}/Versions/A/V"), library(b"good"));
    disk.file(format!("{framework}/Versions/B/V"), library(b"evil"));
    let current = disk.at(format!("{framework}/Versions/Current"));
    symlink("A", &current).unwrap();
    symlink("Versions/Current/V", disk.at(format!("{framework}/V"))).unwrap();
    naming(disk, "A", "/Library/Frameworks/V.framework/V");
    watcher.start();
    relink(&current, "B");
    soon(&watcher, "A.dsplug", "linked");
    watcher.stop();
    // And sooner than anybody looks: the link is not the one that it was.
    relink(&current, "A");
    relink(&current, "B");
    watcher.start();
    rewritten_at_the_start(&watcher, "A.dsplug");
    watcher.stop();
}

/// One at `/` too, which is there by `synthetic.conf`. The system's own there an update of the system makes anew.
#[test]
fn a_link_at_the_root_that_is_exchanged_and_put_back_is_told() {
    let mut watcher = Watcher::new(Disk::new());
    let disk = &watcher.disk;
    for place in ["Users/Shared/a", "Users/Shared/b", "private/var/c"] {
        disk.file(format!("{place}/l.dylib"), library(b"good"));
    }
    let links = [("foo", "/Users/Shared/a"), ("var", "private/var")];
    for (name, target) in links {
        symlink(target, disk.at(name)).unwrap();
    }
    naming(disk, "A", "/foo/l.dylib");
    naming(disk, "B", "/var/c/l.dylib");
    let at = |name: &str| disk.at(name);
    let (foo, var) = (at("foo"), at("var"));
    watcher.start();
    watcher.stop();
    relink(&foo, "/Users/Shared/b");
    relink(&foo, "/Users/Shared/a");
    relink(&var, "private/var");
    watcher.start();
    rewritten_at_the_start(&watcher, "A.dsplug");
    watcher.stop();
    let of_b = "SELECT path FROM dsplug_events WHERE path LIKE '%/B.dsplug'";
    assert!(watcher.query(of_b).is_empty());
}

/// A directory above that is renamed, of a link, of an executable outside and of a candidate.
#[test]
fn a_directory_above_is_watched() {
    let mut watcher = Watcher::new(Disk::new());
    let disk = &watcher.disk;
    for (place, marker) in [("a", b"good"), ("b", b"evil")] {
        disk.file(
            format!("Users/Shared/{place}/in/fw/l.dylib"),
            library(marker),
        );
        disk.file(format!("Users/Shared/{place}/in/run"), library(marker));
    }
    let bundle = make(&disk.plugin("A.dsplug"), b"code");
    symlink("/Users/Shared/a/in/fw", bundle.join("Contents/Frameworks")).unwrap();
    Plugin::new("E")
        .key("CFBundleExecutable", "/Users/Shared/a/in/run")
        .write_as(disk.plugin("E.dsplug"));
    watcher.start();
    let at = |name: &str| watcher.disk.at(format!("Users/Shared/{name}"));
    fs::rename(at("a"), at("c")).unwrap();
    fs::rename(at("b"), at("a")).unwrap();
    let begun = Instant::now();
    let mut left = vec![("A.dsplug", "linked"), ("E.dsplug", "executable")];
    while !left.is_empty() {
        let line = watcher.wait("changed", ".dsplug");
        left.retain(|(name, word)| {
            !(line["path"].ends_with(name) && line["changed"].contains(word))
        });
    }
    assert!(begun.elapsed() < SOON);
    watcher.stop();
}

/// A library, an executable and a candidate that are not there.
#[test]
fn what_is_not_there_is_watched() {
    let mut watcher = Watcher::new(Disk::new());
    let disk = &watcher.disk;
    disk.dir("Users/Shared/x");
    naming(disk, "L", "/Users/Shared/x/y/l.dylib");
    Plugin::new("E")
        .key("CFBundleExecutable", "/Users/Shared/x/run")
        .without_executable()
        .write_as(disk.plugin("E.dsplug"));
    symlink("/Users/Shared/x/C.dsplug", disk.plugin("C.dsplug")).unwrap();
    watcher.start();
    watcher
        .disk
        .file("Users/Shared/x/y/l.dylib", library(b"evil"));
    soon(&watcher, "L.dsplug", "linked");
    watcher.disk.file("Users/Shared/x/run", library(b"evil"));
    let line = watcher.wait("changed", "E.dsplug");
    assert_eq!(line["seen"], "watched");
    assert_eq!(line["executable"], "/Users/Shared/x/run");
    let candidate = watcher.disk.at("Users/Shared/x/C.dsplug");
    make(&candidate, b"evil");
    let line = watcher.wait("changed", "C.dsplug");
    assert_eq!(line["seen"], "watched");
    fs::remove_dir_all(candidate).unwrap();
    let line = watcher.wait("changed", "C.dsplug");
    assert_eq!(line["seen"], "watched");
    watcher.stop();
}

/// A plug-in folder that is reached through a link.
#[test]
fn a_link_on_the_way_to_the_folder_is_watched() {
    let mut watcher = Watcher::new(Disk::new());
    let folder = watcher.disk.at("Library/DirectoryServices/PlugIns");
    fs::remove_dir_all(&folder).unwrap();
    let at = |name: &str| watcher.disk.at(format!("Users/Shared/{name}"));
    watcher.disk.dir("Users/Shared/v1/in");
    make(&at("v2/in/B.dsplug"), b"evil");
    symlink("v1", at("cur")).unwrap();
    symlink("/Users/Shared/cur/in", folder).unwrap();
    watcher.start();
    relink(&watcher.disk.at("Users/Shared/cur"), "v2");
    let begun = Instant::now();
    let line = watcher.wait("appeared", "B.dsplug");
    assert!(begun.elapsed() < SOON);
    assert_eq!(line["seen"], "watched");
    relink(&watcher.disk.at("Users/Shared/cur"), "v1");
    watcher.wait("gone", "B.dsplug");
    watcher.stop();
}

fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let rest = stat.rsplit(')').next().unwrap();
    let numbers: Vec<&str> = rest.split_whitespace().collect();
    numbers[11..13]
        .iter()
        .map(|n| n.parse::<u64>().unwrap())
        .sum()
}

/// A directory on the way that others write to all day costs next to nothing, and tells nothing.
#[test]
fn a_busy_directory_on_the_way_is_no_news() {
    let mut watcher = Watcher::new(Disk::new());
    watcher
        .disk
        .file("usr/local/lib/v/l.dylib", library(b"good"));
    symlink("v/l.dylib", watcher.disk.at("usr/local/lib/l.dylib")).unwrap();
    naming(&watcher.disk, "A", "/usr/local/lib/l.dylib");
    naming(&watcher.disk, "B", "/usr/local/lib/none.dylib");
    watcher.start();
    thread::sleep(Duration::from_secs(1));
    let id = watcher.id();
    let before = ticks(id);
    let begun = Instant::now();
    for number in 0_u32.. {
        let other = watcher
            .disk
            .at(format!("usr/local/lib/other{}", number % 7));
        fs::write(&other, "other").unwrap();
        thread::sleep(Duration::from_millis(2));
        fs::remove_file(other).unwrap();
        if begun.elapsed() > Duration::from_secs(4) {
            break;
        }
    }
    let added = ticks(id) - before;
    println!("ticks of a hundredth of a second in 4 s: {added}");
    // A look for each hint would be eight times as much: debug builds take some 15 ms for one.
    assert!(added < 40, "{added}");
    assert_eq!(watcher.stop(), Vec::<Line>::new());
    // Nor is what was written news to the next.
    watcher.start();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(watcher.stop(), Vec::<Line>::new());
}

/// A directory that is exchanged and put back leaves nothing that lasts, so that its watch is all there is.
#[test]
fn another_bundle_takes_the_watch_off_no_way() {
    let mut watcher = Watcher::new(Disk::new());
    let disk = &watcher.disk;
    let junk = make(&disk.plugin("AAA.dsplug"), b"code");
    for number in 0..40 {
        let file = disk.file(format!("Users/Shared/a{number:02}/f"), "x");
        let target = Path::new("/").join(file.strip_prefix(disk.path()).unwrap());
        symlink(target, junk.join(format!("Contents/l{number:02}"))).unwrap();
    }
    for (place, marker) in [("fw", b"good"), ("fw2", b"evil")] {
        let code = format!("Users/Shared/zz/{place}/sub/code");
        disk.file(code, library(marker));
    }
    let legit = make(&disk.plugin("Legit.dsplug"), b"code");
    for bundle in [junk, legit] {
        symlink("/Users/Shared/zz/fw/sub/code", bundle.join("Contents/z")).unwrap();
    }
    watcher.start();
    let at = |name: &str| watcher.disk.at(format!("Users/Shared/zz/{name}"));
    for (away, comes) in [("fw3", "fw2"), ("fw2", "fw3")] {
        fs::rename(at("fw"), at(away)).unwrap();
        fs::rename(at(comes), at("fw")).unwrap();
        soon(&watcher, "Legit.dsplug", "linked");
        // What changes behind links is told again after a while.
        thread::sleep(Duration::from_secs(3));
    }
    watcher.stop();
}
