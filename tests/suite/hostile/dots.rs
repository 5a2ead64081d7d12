//! Names that lead up: CoreFoundation reads `..` by the text, the kernel by what stands there.

use std::fs;
use std::os::unix::fs::symlink;

use super::code;
use crate::common::{Row, only_bundle, query, scan};
use dsplug::exceptions::baseline;
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

/// A bundle that names such an executable, and has code there.
fn bundle(name: &str, places: &[(&str, &[u8])], links: &[(&str, &str)]) -> Disk {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .key("CFBundleExecutable", name)
        .without_executable()
        .write(disk.plugin(""));
    fs::create_dir_all(path.join("Contents/MacOS")).unwrap();
    for (place, content) in places {
        disk.file(
            place.replace("A/", &format!("{PLUGINS}/A.dsplug/Contents/")),
            content,
        );
    }
    for (place, target) in links {
        symlink(target, path.join("Contents").join(place)).unwrap();
    }
    disk
}

/// Where CoreFoundation finds it, as one that was built from its sources answers for these very names.
#[test]
fn a_relative_executable_is_found_by_its_text() {
    let (code, text) = (&*code(&[], &[]), b"text".as_slice());
    let up = format!("x//{}evil/e", "../".repeat(7));
    type Pairs<'a, T> = &'a [(&'a str, &'a T)];
    type Case<'a> = (&'a str, &'a str, Pairs<'a, [u8]>, Pairs<'a, str>);
    let cases: [Case<'_>; 7] = [
        (&up, "Library/evil/e", &[("Library/evil/e", code)], &[]),
        (
            &up,
            "Library/evil/e",
            &[("Library/evil/e", code), ("evil/e", text)],
            &[],
        ),
        (
            "l//../x",
            "A/MacOS/l/x",
            &[("A/MacOS/l/x", code), ("A/MacOS/x", text)],
            &[],
        ),
        (
            "l//../x",
            "Users/Shared/p/x",
            &[("Users/Shared/p/x", code), ("A/MacOS/x", code)],
            &[("MacOS/l", "/Users/Shared/p")],
        ),
        (
            "l/../x",
            "A/x",
            &[
                ("A/x", code),
                ("Users/Shared/x", text),
                ("Users/Shared/d/y", text),
            ],
            &[("MacOS/l", "/Users/Shared/d")],
        ),
        (
            "l/../x",
            "A/x",
            &[
                ("A/x", code),
                ("A/Resources/x", text),
                ("A/Resources/d/y", text),
            ],
            &[("MacOS/l", "../Resources/d")],
        ),
        (
            "../../../x/l/d/../../run",
            "Library/DirectoryServices/x/run",
            &[
                ("Library/DirectoryServices/x/run", code),
                ("Library/DirectoryServices/PlugIns/x/y", text),
                ("srv/e/run", text),
                ("srv/e/f/d/y", text),
            ],
            &[("../../x/l", "/srv/e/f")],
        ),
    ];
    for (name, found, places, links) in cases {
        let disk = bundle(name, places, links);
        let row = only_bundle(disk.path());
        let found = found.replace("A/", &format!("{PLUGINS}/A.dsplug/Contents/"));
        assert_eq!(row["executable"], format!("/{found}"), "{name}");
        assert_eq!(row["load_verdict"], "loadable", "{name}: {row:#?}");
        told_to_be_doubtful(&disk, &row);
    }
}

/// No Mac was seen to read such a name.
#[test]
fn a_name_that_leads_up_to_nothing_is_no_proof() {
    for (name, places, links) in [
        ("../x", &[][..], &[][..]),
        (
            "x//../../../../../../../../evil/e",
            &[("evil/e", b"text".as_slice())],
            &[],
        ),
        // What the kernel finds is code, and what CoreFoundation finds is none.
        (
            "l/../x",
            &[
                ("A/MacOS/x", b"text".as_slice()),
                ("srv/x", &code(&[], &[])),
                ("srv/d/y", b""),
            ],
            &[("MacOS/l", "/srv/d")],
        ),
    ] {
        let disk = bundle(name, places, links);
        let row = only_bundle(disk.path());
        assert_eq!(row["load_verdict"], "unknown", "{name}: {row:#?}");
        told_to_be_doubtful(&disk, &row);
    }
}

/// Where all ways to read a name lead to one file it is as any other.
#[test]
fn a_name_that_leads_up_to_one_file_alone_is_certain() {
    let disk = bundle("../MacOS/./x", &[("A/MacOS/x", &code(&[], &[]))], &[]);
    let row = only_bundle(disk.path());
    assert_eq!([&*row["load_verdict"], &*row["error"]], ["loadable", ""]);
    assert!(
        baseline::write(&scan(disk.path()))
            .unwrap()
            .left_out
            .is_empty()
    );
}

#[track_caller]
fn told_to_be_doubtful(disk: &Disk, row: &Row) {
    assert!(row["error"].contains("CFBundleExecutable"), "{row:#?}");
    let left_out = baseline::write(&scan(disk.path())).unwrap().left_out;
    assert_eq!(left_out.len(), 1, "{row:#?}");
}

/// The loader lists what the kernel finds and loads by the text, as a CoreFoundation that was built from its sources does.
#[test]
fn what_a_language_lists_in_one_place_is_shown_where_it_loads_from() {
    let real = "Library/DirectoryServices/PlugIns";
    for (region, lists, loads, link) in [
        (
            "l/../../../../Users/Shared/z",
            "Users/Shared/Users/Shared/z.lproj",
            "Users/Shared/z.lproj",
            true,
        ),
        (
            "q//../../s/z",
            "Library/DirectoryServices/s/z.lproj",
            "PlugIns/s/z.lproj",
            false,
        ),
        ("q/", "PlugIns/q.lproj", "PlugIns/q/.lproj", false),
        (
            "/",
            "Library/DirectoryServices/PlugIns.lproj",
            "PlugIns/.lproj",
            false,
        ),
    ] {
        let disk = Disk::new();
        let [lists, loads] = [lists, loads].map(|place| match place.strip_prefix("PlugIns") {
            Some(below) => format!("{real}{below}"),
            None => place.to_owned(),
        });
        disk.file(format!("{lists}/X.dsplug"), "");
        Plugin::new("X").write(disk.dir(&loads));
        disk.dir(format!("{real}/q"));
        if link {
            disk.dir("Users/Shared/a/b/c/d");
            disk.link(format!("{real}/l"), "/Users/Shared/a/b/c/d");
        }
        put_region(&disk, region);
        let row = bundle_at(&disk, &format!("/{loads}/X.dsplug"));
        assert_eq!(row["load_verdict"], "unknown", "{region}: {row:#?}");
        bundle_at(&disk, &format!("/{lists}/X.dsplug"));
    }
}

/// What is behind a NUL is no part of a path that is listed. One that was built from CoreFoundation's sources lists `q` and
/// loads `qX.dsplug` then.
#[test]
fn what_a_language_with_a_nul_may_load_is_shown_and_not_taken_for_unlisted() {
    for place in ["Users/Shared", "Library/DirectoryServices/PlugIns/other"] {
        let disk = Disk::new();
        disk.file(format!("{place}/q/X.dsplug"), "");
        Plugin::new("X").write_as(disk.at(format!("{place}/qX.dsplug")));
        let region = format!("../../../{place}/q\0z");
        let list = plist::Dictionary::from_iter([("CFBundleDevelopmentRegion".to_owned(), region)]);
        plist::to_file_binary(disk.plugin("Info.plist"), &list).unwrap();
        let row = bundle_at(&disk, &format!("/{place}/qX.dsplug"));
        assert_eq!(row["load_verdict"], "unknown", "{place}: {row:#?}");
        let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
        let is_told = |row: &Row| row["error"].contains("has a NUL in it");
        assert!(rows.iter().any(is_told), "{rows:#?}");
    }
}

/// Of a bundle whose own path has nothing between two slashes `..` takes away that.
#[test]
fn an_executable_that_leads_up_from_a_path_with_empty_names_is_doubtful() {
    let disk = Disk::new();
    Plugin::new("X")
        .key("CFBundleExecutable", "../../../../../e")
        .without_executable()
        .file("Contents/MacOS/y", "")
        .write(disk.plugin("q/s.lproj"));
    disk.file(format!("{PLUGINS}/e"), code(&[], &[]));
    put_region(&disk, "q//s");
    let row = only_bundle(disk.path());
    told_to_be_doubtful(&disk, &row);
}

fn put_region(disk: &Disk, region: &str) {
    let list = plist::Dictionary::from_iter([("CFBundleDevelopmentRegion".to_owned(), region)]);
    plist::to_file_xml(disk.plugin("Info.plist"), &list).unwrap();
}

#[track_caller]
fn bundle_at(disk: &Disk, path: &str) -> Row {
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    let row = rows.iter().find(|row| row["path"] == path);
    row.unwrap_or_else(|| panic!("{path} in {rows:#?}")).clone()
}
