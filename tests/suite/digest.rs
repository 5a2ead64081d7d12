//! The bundle digest against the README's shell lines, which share no code with it.

use crate::common;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{only_bundle, scan_with};
use dsplug::limits::Limits;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, fifo};
use proptest::prelude::*;

/// The lines between the README's markers.
fn recipe() -> String {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- digest:begin -->\n```sh\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// What the README's lines print for a bundle.
fn by_shell(bundle: &Path) -> String {
    let out = Command::new("bash")
        .args(["-c", &format!("{}\ndigest \"$1\"", recipe()), "bash"])
        .arg(bundle)
        .output()
        .unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[track_caller]
fn agree(disk: &Disk, name: &str) {
    let row = only_bundle(disk.path());
    assert_eq!(row["error"], "");
    assert_eq!(row["hash"], by_shell(&disk.plugin(name)));
}

#[test]
fn a_plain_bundle() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    agree(&disk, "A.dsplug");
}

#[test]
fn names_that_shells_trip_over() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .file("Contents/Resources/with space", "1")
        .file("Contents/Resources/new\nline", "2")
        .file("Contents/Resources/trailing\n", "3")
        .file("Contents/Resources/-rf", "4")
        .file("Contents/Resources/back\\slash", "5")
        .file("Contents/Resources/%s%d\\0", "6")
        .file("Contents/Resources/$(id)`id`", "7")
        .file("Contents/Resources/'\"*?[", "8")
        .file("Contents/Resources/é\u{202e}", "9")
        .file("Contents/Resources/empty", "")
        .file("Contents.x", "sorts before Contents/ by its dot")
        .write(disk.at(PLUGINS));
    let raw = std::ffi::OsStr::from_bytes(b"Contents/Resources/\xff\xfe");
    fs::write(path.join(raw), "10").unwrap();
    agree(&disk, "A.dsplug");
}

#[test]
fn links_and_what_is_no_file() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    symlink("target\n", path.join("Contents/newline")).unwrap();
    symlink("/nowhere at all", path.join("Contents/broken")).unwrap();
    symlink("../Contents", path.join("Contents/loop")).unwrap();
    symlink("-n", path.join("Contents/dash")).unwrap();
    fs::create_dir(path.join("Contents/empty")).unwrap();
    fifo(path.join("Contents/pipe"));
    std::os::unix::net::UnixListener::bind(path.join("Contents/s")).unwrap();
    agree(&disk, "A.dsplug");
}

#[test]
fn an_empty_bundle_a_file_and_links_to_both() {
    let disk = Disk::new();
    disk.dir(format!("{PLUGINS}/A.dsplug"));
    agree(&disk, "A.dsplug");

    let disk = Disk::new();
    disk.file(format!("{PLUGINS}/F.dsplug"), "abc");
    agree(&disk, "F.dsplug");
    // printf 'f %s .\0' "$(printf abc | sha256sum | cut -d ' ' -f 1)" | sha256sum
    let record = "adcaefed7e6f8751a5058d6c02406c5613e35bd6215b4b1f59d24941d8f08e84";
    assert_eq!(only_bundle(disk.path())["hash"], record);
    // printf abc | sha256sum
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let files = common::query(disk.path(), "SELECT hash FROM dsplug_files");
    assert_eq!(files[0]["hash"], abc);

    let disk = Disk::new();
    Plugin::new("T").write(disk.at("opt"));
    // Relative, so that the shell on this machine follows it as the Mac would.
    disk.link(format!("{PLUGINS}/L.dsplug"), "../../../opt/T.dsplug");
    agree(&disk, "L.dsplug");
}

/// The records of a bundle, written into a file, are no digest of that bundle.
#[test]
fn no_file_has_a_bundles_digest() {
    let disk = Disk::new();
    let zeros = "0".repeat(64);
    disk.dir(format!("{PLUGINS}/A.dsplug/Contents"));
    let bundle = only_bundle(disk.path())["hash"].clone();
    let disk = Disk::new();
    disk.file(
        format!("{PLUGINS}/A.dsplug"),
        format!("d {zeros} ./Contents\0"),
    );
    assert_ne!(only_bundle(disk.path())["hash"], bundle);
}

/// Whether a directory stands there decides how CoreFoundation reads a bundle.
#[test]
fn an_empty_directory_counts() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let before = only_bundle(disk.path())["hash"].clone();
    fs::create_dir(path.join("Resources")).unwrap();
    agree(&disk, "A.dsplug");
    let with = only_bundle(disk.path())["hash"].clone();
    fs::rename(path.join("Resources"), path.join("Support Files")).unwrap();
    let renamed = only_bundle(disk.path())["hash"].clone();
    assert!(before != with && with != renamed && before != renamed);
}

#[test]
fn the_time_and_the_mode_are_no_part_of_it() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let before = only_bundle(disk.path())["hash"].clone();
    dsplug_fixtures::chmod(path.join("Contents/MacOS/A"), 0o600);
    dsplug_fixtures::set_mtime(path.join("Contents/MacOS/A"), 1);
    assert_eq!(only_bundle(disk.path())["hash"], before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Any tree of names and contents.
    #[test]
    fn any_tree(entries in prop::collection::btree_map(
        prop::collection::vec("[ -~\u{e9}\n]{1,6}", 1..4), (any::<Vec<u8>>(), any::<bool>()), 0..12)) {
        let disk = Disk::new();
        let top = disk.dir(format!("{PLUGINS}/A.dsplug"));
        for (path, (content, link)) in entries {
            let names: Vec<String> = path.iter().map(|n| n.replace('/', "_")).filter(|n| n != "." && n != "..").collect();
            let Some((name, directories)) = names.split_last() else { continue };
            let directory = directories.iter().fold(top.clone(), |d, n| d.join(n));
            // A name that is a file already cannot be a directory too.
            if fs::create_dir_all(&directory).is_err() || directory.join(name).exists() {
                continue;
            }
            let text: String = content.iter().map(|b| char::from(b % 64 + 32)).collect();
            if link && !text.is_empty() {
                let _ = symlink(text, directory.join(name));
            } else {
                fs::write(directory.join(name), content).unwrap();
            }
        }
        agree(&disk, "A.dsplug");
    }
}

/// Reading leaves a core free where a scan is osqueryd's, and uses all where a person waits.
#[test]
fn it_does_not_depend_on_how_many_threads_read() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for i in 0..200 {
        fs::write(path.join(format!("Contents/{i}")), i.to_string()).unwrap();
    }
    let hashes = [0, usize::MAX].map(|spare_cores| {
        let limits = Limits {
            spare_cores,
            ..Limits::STANDARD
        };
        let snapshot = scan_with(disk.path(), limits);
        common::query_in(&snapshot, "SELECT hash FROM dsplug_bundles")
    });
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0][0]["hash"].len(), 64);
}
