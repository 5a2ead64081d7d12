//! What is compared is what was named, and is said: whoever wrote the disk puts nothing else in its place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsplug_fixtures::{Disk, PLUGINS, Plugin, needs_root, skipped};
use tempfile::TempDir;

use super::{collect, compare, differences, is_same, lines, path, refused, told};
use crate::common::{DSPLUG, call};

/// A name with a blank that is none, and how the tables show it.
const REAL: &str = "Good\u{a0}AD.dsplug";
const SHOWN: &str = "Good\\u{a0}AD.dsplug";
/// How they show a name that is written as that one is shown.
const DECOY: &str = "Good\\x5cu{a0}AD.dsplug";

fn good() -> Plugin {
    Plugin::new("Good")
}

fn evil() -> Plugin {
    good().file("Contents/evil", "")
}

/// A good copy on this computer.
fn vendor() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let copy = good().write(place.path());
    (place, copy)
}

/// What is told of the evil one.
fn added() -> [(String, String); 1] {
    [("added".to_owned(), "Contents/evil".to_owned())]
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A plug-in that is not as the vendor's, and beside it a copy of that which is called as it is shown.
#[test]
fn what_the_tables_show_is_compared_and_no_decoy() {
    let (place, copy) = vendor();
    let disk = Disk::new();
    evil().write_as(disk.plugin(REAL));
    good().write_as(disk.plugin(SHOWN));
    let both = collect(&disk, "--all", place.path().join("both.tar.gz"));
    let through = disk.plugin(SHOWN);
    for shown in [path(SHOWN), path(REAL), text(&through).to_owned()] {
        let found = compare(&disk, &shown, &copy);
        assert_eq!(told(&differences(&found, 1)), added(), "{shown}");
        // Of an archive as well: that one holds it.
        is_same(&compare(&disk, &shown, &both));
        // And on the other side.
        let found = compare(&disk, text(&copy), Path::new(&shown));
        assert_eq!(told(&differences(&found, 1))[0].0, "missing", "{shown}");
    }
    let decoy = path(DECOY);
    is_same(&compare(&disk, &decoy, &copy));
    is_same(&compare(&disk, &decoy, &both));
    let between = compare(&disk, &path(SHOWN), Path::new(&decoy));
    assert_eq!(told(&differences(&between, 1)), added());
    // The one is gone: its name is the other's own.
    fs::remove_dir_all(disk.plugin(REAL)).unwrap();
    is_same(&compare(&disk, &path(SHOWN), &copy));
    is_same(&compare(&disk, &path(SHOWN), &both));
}

/// The line that `explain` ends in, pasted as it stands.
#[test]
fn the_line_that_explain_prints_compares_what_it_explains() {
    let (_place, copy) = vendor();
    for name in [REAL, "Good\n.dsplug", "G'\\x41\u{7f}.dsplug"] {
        let disk = Disk::new();
        evil().write_as(disk.plugin(name));
        let report = call("explain", disk.path()).arg(disk.plugin(name)).output();
        let report = String::from_utf8(report.unwrap().stdout).unwrap();
        let mut lines = report.lines().map(str::trim_start);
        let line = lines.find(|line| line.starts_with("dsplug compare "));
        let line = line.unwrap();
        let line = line.replacen("dsplug", DSPLUG, 1);
        let line = line.replace(" OTHER", &format!(" '{}'", copy.display()));
        let pasted = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(told(&differences(&pasted, 1)), added(), "{line}");
    }
}

/// There is no telling what stands at a path of the image: that is not this computer's to answer.
#[test]
fn what_cannot_be_read_below_the_root_is_not_taken_from_this_computer() {
    let (place, copy) = vendor();
    let other = good().write_as(place.path().join("Other.dsplug"));
    let disk = Disk::new();
    // A Mac follows the one, and the other leads to the good copy of this computer alone.
    disk.link(&text(&copy)[1..], "/.vol/16777220/1234");
    let link = disk.link(format!("{PLUGINS}/Good.dsplug"), &copy);
    for named in [text(&copy), &path("Good.dsplug"), text(&link)] {
        let error = refused(&compare(&disk, named, &other), 1);
        let below = format!("below --root {}", disk.path().display());
        assert!(error.contains(&below), "{named}: {error}");
    }
    fs::remove_file(disk.at(&text(&copy)[1..])).unwrap();
    // A directory of the image that leads to a place of this computer.
    fs::remove_dir_all(disk.at(PLUGINS)).unwrap();
    disk.link(PLUGINS, place.path());
    let [case, folder] = ["case", "folder"].map(|name| place.path().join(name));
    symlink(disk.path(), &case).unwrap();
    symlink(case.join(PLUGINS), &folder).unwrap();
    let last = place.path().join("last");
    symlink("folder/Good.dsplug", &last).unwrap();
    let plugin = folder.join("Good.dsplug");
    let through = [case.join(PLUGINS).join("Good.dsplug"), plugin, last, link];
    let through = through.iter().map(|path| text(path).to_owned());
    for named in through.chain([path("Good.dsplug")]) {
        let error = refused(&compare(&disk, &named, &other), 2);
        assert!(error.contains("below --root"), "{named}: {error}");
    }
}

/// This computer has the vendor's plug-in itself, and the image something that is not followed, or nothing.
#[test]
fn no_plug_in_of_this_computer_stands_in_for_one_of_an_image() {
    if !needs_root("the root of this computer is changed") {
        return;
    }
    let computer = Disk::new();
    good().write(computer.plugin(""));
    good().write(computer.dir("vendor"));
    let image = format!("img/{PLUGINS}");
    computer.link(format!("{image}/Good.dsplug"), "/.vol/16777220/1234");
    computer.dir("cwd");
    computer.dir("proc");
    let libraries = Command::new("ldd").arg(DSPLUG).output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let libraries = libraries.split_whitespace().filter(|w| w.starts_with('/'));
    for file in libraries.chain([DSPLUG]) {
        let to = computer.at(&file[1..]);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    let compare = |path: &str, other: &str| {
        let mut call = Command::new("chroot");
        let call = call.arg(computer.path()).args([DSPLUG, "compare"]);
        call.args([path, other, "--root", "/img"]).output().unwrap()
    };
    let (plugin, vendor) = (path("Good.dsplug"), "/vendor/Good.dsplug");
    if compare(vendor, vendor).status.code() != Some(0) {
        return skipped("the program does not run with another root");
    }
    let dots = format!("..{plugin}");
    assert!(refused(&compare(&plugin, vendor), 1).contains("file number"));
    assert!(refused(&compare(&dots, vendor), 2).contains("this computer's own"));
    assert!(refused(&compare(vendor, &dots), 2).contains("this computer's own"));
    fs::remove_file(computer.at(format!("{image}/Good.dsplug"))).unwrap();
    assert!(refused(&compare(&plugin, vendor), 2).contains("below --root /img"));
    // Both have it: which of them is meant?
    evil().write_as(computer.at(format!("{image}/Good.dsplug")));
    assert_eq!(told(&differences(&compare(&plugin, vendor), 1)), added());
    let error = refused(&compare(vendor, &plugin), 2);
    assert!(error.contains(&format!("/img{plugin}")), "{error}");
}

#[test]
fn a_path_that_names_two_things_is_refused() {
    let (place, copy) = vendor();
    let disk = Disk::new();
    evil().write(disk.plugin(""));
    let other = good().write_as(place.path().join("Other.dsplug"));
    let decoy = disk.at(&text(&copy)[1..]);
    evil().write_as(&decoy);
    let error = refused(&compare(&disk, text(&copy), &other), 2);
    assert!(error.contains(text(&decoy)), "{error}");
    let compared = |named: &str| {
        let mut call = call("compare", disk.path());
        call.current_dir(place.path())
            .arg(named)
            .arg("Other.dsplug");
        call.output().unwrap()
    };
    // A name alone is that of the plug-in, as for the other commands, or of what stands here.
    let error = refused(&compared("Good.dsplug"), 2);
    assert!(error.contains("./Good.dsplug"), "{error}");
    is_same(&compared("./Good.dsplug"));
    let found = compared(text(&decoy));
    assert_eq!(told(&differences(&found, 1)), added());
    fs::remove_dir_all(&copy).unwrap();
    assert_eq!(told(&differences(&compared("Good.dsplug"), 1)), added());
}

/// Silence about it could deceive.
#[test]
fn what_each_side_is_read_from_is_said() {
    let (place, copy) = vendor();
    let disk = Disk::new();
    let live = good().write(disk.plugin(""));
    let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
    let link = disk.link("Users/Shared/link", path("Good.dsplug"));
    let root = disk.path().display();
    let plugin = path("Good.dsplug");
    let sources = |named: &str, other: &Path| {
        let mut lines = lines(&compare(&disk, named, other), 0);
        lines.split_off(lines.len() - 2)
    };
    let (copy, archive) = (text(&copy), text(&archive));
    let below = format!("path      {plugin}, below --root {root}");
    for named in [&plugin, text(&live)] {
        let here = format!("other     {copy}, on this computer");
        assert_eq!(sources(named, Path::new(copy)), [below.clone(), here]);
    }
    let kept = format!("other     {archive}, on this computer: {plugin} as it was collected");
    assert_eq!(sources(&plugin, Path::new(archive)), [below, kept]);
    assert_eq!(
        sources(text(&link), Path::new(&plugin)),
        [
            format!("path      /Users/Shared/link, which leads to {plugin}, below --root {root}"),
            format!("other     {plugin}, below --root {root}"),
        ]
    );
}

/// The archive that a responder has made, in the place of what it was made of.
#[test]
fn an_archive_in_a_plug_in_folder_is_a_file() {
    let (place, copy) = vendor();
    let disk = Disk::new();
    let live = good().write(disk.plugin(""));
    let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
    fs::remove_dir_all(&live).unwrap();
    fs::copy(&archive, &live).unwrap();
    symlink(&live, place.path().join("link")).unwrap();
    for named in [
        path("Good.dsplug"),
        text(&place.path().join("link")).to_owned(),
    ] {
        for other in [&copy, &archive] {
            let found = differences(&compare(&disk, &named, other), 1);
            let altered = ("altered".to_owned(), ".".to_owned());
            assert_eq!(told(&found)[0], altered, "{found:#?}");
        }
    }
}
