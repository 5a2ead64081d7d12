//! Load commands whose text leads elsewhere for dyld than it reads: what dyld makes of it was read in dyld/Loader.cpp
//! and dyld/DyldProcessConfig.cpp of dyld-1378, and seen on no Mac.

use std::fs;

use super::{A, code};
use crate::common::{Row, only_bundle};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

fn plugin(disk: &Disk, dylibs: &[&str], rpaths: &[&str]) {
    let plugin = Plugin::new("A").executable(code(dylibs, rpaths));
    plugin.write(disk.at(PLUGINS));
}

/// What a bundle says that names these, on a disk with a library at this path.
#[track_caller]
fn reads(disk: &Disk, library: &str, is_sure: bool) -> Row {
    disk.file(library, "library");
    let row = only_bundle(disk.path());
    assert_eq!(row["linked_paths"], format!("/{library}"));
    assert_ne!(row["loads_outside"], "");
    assert_eq!(row["error"].is_empty(), is_sure, "{}", row["error"]);
    assert_eq!(!row["unread"].contains("unwatched="), is_sure);
    assert_eq!(row["linked_hash"].len(), if is_sure { 64 } else { 0 });
    row
}

/// A Mac's disk takes a long s for an s: what is spelled so may be what root writes.
#[test]
fn a_letter_that_folds_to_one_of_asciis_takes_no_library_off_the_list() {
    for directory in [
        "System/Library/\u{17f}peech",
        "System/Library/A\u{17f}sets",
        "usr/libexec/cup\u{17f}",
        "usr/\u{17f}hare/snmp",
        "usr/lib/\u{17f}wift",
    ] {
        let disk = Disk::new();
        plugin(&disk, &[&format!("/{directory}/x.dylib")], &[]);
        // A disk that tells them apart, as a Mac's does not, has it under that name.
        let row = reads(&disk, &format!("{directory}/x.dylib"), true);
        assert_eq!(row["loads_outside"], format!("/{directory}/x.dylib"));
        // An image whose directory has the plain name.
        let plain = directory.replace('\u{17f}', "s");
        fs::remove_dir_all(disk.at(directory.split_once('/').unwrap().0)).unwrap();
        disk.file(format!("{plain}/x.dylib"), "library");
        assert_ne!(only_bundle(disk.path())["loads_outside"], "");
    }
    // The same below run paths.
    let disk = Disk::new();
    plugin(
        &disk,
        &["@rpath/x.dylib"],
        &["/System/Library/\u{17f}peech"],
    );
    reads(&disk, "System/Library/\u{17f}peech/x.dylib", true);
}

/// `expandAtLoaderPath` copies into a buffer of `PATH_MAX`, and opens what is in it.
#[test]
fn a_path_that_dyld_cuts_is_followed_as_dyld_does_and_never_sure() {
    let evil = "/Users/Shared/evil.dylib";
    let at = format!("{A}/Contents/Frameworks/Support");
    // Without what is cut off, this is the library; with it, something in the bundle.
    let cut = |word: &str, directory: &str, up: usize| {
        let tail = format!("{}{evil}", "/..".repeat(up));
        let slashes = "/".repeat(1_023 - directory.len() - tail.len());
        format!("{word}{slashes}{tail}/../../..{A}/x")
    };
    let inner = |disk: &Disk, dylib: &str, rpaths: &[&str]| {
        Plugin::new("A").write(disk.at(PLUGINS));
        disk.file(
            format!("{at}/x.dylib").trim_start_matches('/'),
            code(&[dylib], rpaths),
        );
    };
    let disk = Disk::new();
    let text = cut("@loader_path", &at, at.matches('/').count());
    assert!(text.len() < 1_024);
    inner(&disk, &text, &[]);
    let row = reads(&disk, &evil[1..], false);
    assert!(row["error"].contains("longer path than dyld opens"));
    // Where the run path is long, and what follows it.
    let disk = Disk::new();
    let above = format!("/Users/{}", "/".repeat(500));
    let tail = format!("{}Shared/evil.dylib", "/".repeat(1_024 - above.len() - 17));
    inner(&disk, &format!("@rpath{tail}/../../x"), &[&above]);
    reads(&disk, &evil[1..], false);
    // What is as long as a path may be is none of that.
    let disk = Disk::new();
    let slashes = "/".repeat(1_023 - evil.len());
    plugin(&disk, &[&format!("{slashes}{evil}")], &[]);
    reads(&disk, &evil[1..], true);
}

/// `expandAndNormalizeAtExecutablePath` takes off two dots whatever follows them.
#[test]
fn two_dots_with_more_behind_lead_up_from_the_program() {
    let disk = Disk::new();
    plugin(&disk, &["@executable_path/..evil/x.dylib"], &[]);
    reads(&disk, "usrevil/x.dylib", true);
}

/// Any path that does not begin with `@`, and any run path, is tried behind `/System/Volumes/Preboot/Cryptexes/OS`
/// as well: there `..` leads elsewhere.
#[test]
fn what_leads_out_of_the_systems_cryptex_is_followed() {
    let library = "System/Volumes/Data/opt/x.dylib";
    let dylib = "/../../../Data/opt/x.dylib";
    for (dylib, rpaths) in [
        (dylib, [].as_slice()),
        ("@rpath/x.dylib", &["/../../../Data/opt"]),
        ("@rpath/../../Data/opt/x.dylib", &["/../"]),
        // dyld puts no slash between them.
        ("evil/../../../Data/opt/x.dylib", &[]),
    ] {
        let disk = Disk::new();
        disk.dir("System/Volumes/Preboot/Cryptexes/OS");
        disk.dir("System/Volumes/Preboot/Cryptexes/OSevil");
        plugin(&disk, &[dylib], rpaths);
        // Beside the system's own cryptexes another volume may be meant.
        let row = if dylib.starts_with("evil") {
            disk.file(library, "library");
            let row = only_bundle(disk.path());
            let preboot = "mount: another volume may be meant by /System/Volumes/Preboot";
            assert_eq!(row["error"], preboot);
            row
        } else {
            reads(&disk, library, true)
        };
        assert!(row["loads_outside"].contains(&format!("/{library}")));
    }
    // The same path without the cryptex in front leads to what may be another volume.
    let disk = Disk::new();
    disk.dir("System/Volumes/Preboot/Cryptexes/OS");
    let other = "@rpath/../../Volumes/Data/opt/x.dylib";
    plugin(&disk, &[other], &["/../.."]);
    disk.file(library, "library");
    let row = only_bundle(disk.path());
    assert_eq!(row["linked_paths"], format!("/{library}"));
    let why = "unreadable: cannot look on another volume for /opt";
    assert!(row["error"].starts_with(why), "{}", row["error"]);
    // An image of the data volume alone.
    let disk = Disk::new();
    plugin(&disk, &[dylib], &[]);
    reads(&disk, "opt/x.dylib", true);
    // By a link, to something that reads as if it were the system's.
    let disk = Disk::new();
    disk.dir("System/Volumes/Preboot/Cryptexes/OS");
    disk.dir("System/Volumes/Data/opt/d1/d2/d3/d4/d5");
    disk.link("System/Volumes/Data/opt/L", "d1/d2/d3/d4/d5");
    let up = "../".repeat(4);
    let dylib = format!("/../../../Data/opt/L/{up}usr/lib/x.dylib");
    plugin(&disk, &[&dylib], &[]);
    reads(&disk, "System/Volumes/Data/opt/d1/usr/lib/x.dylib", true);
    // What stays in it is the system's.
    let disk = Disk::new();
    disk.dir("usr/lib/swift");
    plugin(&disk, &["@rpath/../x.dylib"], &["/usr/lib/swift"]);
    assert_eq!(only_bundle(disk.path())["loads_outside"], "");
}

/// Beside the system's cryptexes root can write on their volume.
#[test]
fn what_stands_nowhere_yet_beside_the_systems_cryptexes_is_told() {
    for (there, dylib, told) in [
        ("Cryptexes/OS", "x.dylib", "x.dylib"),
        ("Cryptexes/OS", "Cryptexes/x.dylib", "Cryptexes/x.dylib"),
        (
            "Cryptexes/OS",
            "Cryptexes/OSx/x.dylib",
            "Cryptexes/OSx/x.dylib",
        ),
        (
            "",
            "Cryptexes/Incoming/x.dylib",
            "Cryptexes/Incoming/x.dylib",
        ),
        (
            "Cryptexes/OS",
            "Cryptexes/OS/../x.dylib",
            "Cryptexes/x.dylib",
        ),
        ("", "Cryptexes/OS/../x.dylib", "Cryptexes/x.dylib"),
        ("Cryptexes/OS", "Cryptexes/OS/usr/lib/x.dylib", ""),
        ("", "Cryptexes/OS/usr/lib/x.dylib", ""),
        ("Cryptexes/App", "Cryptexes/App/usr/lib/x.dylib", ""),
    ] {
        let preboot = "System/Volumes/Preboot";
        let disk = Disk::new();
        disk.dir(format!("{preboot}/{there}"));
        plugin(&disk, &[&format!("/{preboot}/{dylib}")], &[]);
        let told = match told {
            "" => String::new(),
            told => format!("/{preboot}/{told}"),
        };
        let row = only_bundle(disk.path());
        assert_eq!(row["loads_outside"], told, "{there} {dylib}");
    }
}

/// A path with dots is the system's when it leads there, and not by its text.
#[test]
fn dots_that_read_as_the_systems_and_lead_nowhere_yet_are_told() {
    let disk = Disk::new();
    disk.dir("usr/lib");
    plugin(&disk, &["/Users/L/../../usr/lib/x.dylib"], &[]);
    assert_eq!(
        only_bundle(disk.path())["loads_outside"],
        "/usr/lib/x.dylib"
    );
    disk.dir("Users/L");
    assert_eq!(only_bundle(disk.path())["loads_outside"], "");
    // In the bundle the disk tells all.
    let disk = Disk::new();
    let dylib = "@loader_path/../Frameworks/../none/x.dylib";
    plugin(&disk, &[dylib], &[]);
    assert_eq!(only_bundle(disk.path())["loads_outside"], "");
}

/// The system's volume has links to the data volume, and an image of the data volume alone has not.
#[test]
fn what_leads_through_a_link_that_an_image_lacks_is_told() {
    for (dylib, library) in [
        ("/usr/lib/cron/tabs/x.dylib", "private/var/at/tabs/x.dylib"),
        ("/usr/X11/lib/x.dylib", "opt/X11/lib/x.dylib"),
        (
            "/System/Library/User Template/x.dylib",
            "Library/User Template/x.dylib",
        ),
    ] {
        let disk = Disk::new();
        plugin(&disk, &[dylib], &[]);
        disk.link("private/var/select/X11", "/opt/X11");
        let row = reads(&disk, library, true);
        assert_eq!(row["loads_outside"], dylib);
    }
    // By a link that is not known here.
    let disk = Disk::new();
    plugin(&disk, &["/usr/lib/later/x.dylib"], &[]);
    let told = &only_bundle(disk.path())["loads_outside"];
    assert_eq!(told, "/usr/lib/later/x.dylib");
    // One that is there, and what stands behind it is not yet.
    let disk = Disk::new();
    disk.dir("usr/lib");
    disk.dir("private/var/at/tabs");
    disk.link("usr/lib/cron", "../../private/var/at");
    plugin(&disk, &["/usr/lib/cron/tabs/x.dylib"], &[]);
    let told = &only_bundle(disk.path())["loads_outside"];
    assert_eq!(told, "/private/var/at/tabs/x.dylib");
    // The system's own libraries are on no disk since macOS 11.
    let disk = Disk::new();
    let own = [
        "/usr/lib/libz.1.dylib",
        "/usr/lib/swift/libswiftCore.dylib",
        "/System/Library/Frameworks/Security.framework/Versions/A/Security",
        "@executable_path/../Frameworks/x.dylib",
    ];
    plugin(&disk, &own, &[]);
    assert_eq!(only_bundle(disk.path())["loads_outside"], "");
}

/// An executable on a volume that an image lacks is not known to be missing.
#[test]
fn an_executable_on_a_volume_that_an_image_lacks_is_unknown() {
    for path in [
        "/Volumes/USB/x",
        "../../../../../../Volumes/USB/x",
        "/System/Library/X.bundle/Contents/MacOS/x",
        "/usr/lib/later/x",
    ] {
        let disk = Disk::new();
        let plugin = Plugin::new("A").key("CFBundleExecutable", path);
        plugin.write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        assert_eq!(row["load_verdict"], "unknown", "{path}");
        assert_eq!(row["load_reasons"], "unreadable");
        assert!(row["unread"].contains("unwatched="), "{}", row["unread"]);
    }
    // Through a link of the system's volume to what is in the image.
    let disk = Disk::new();
    let plugin = Plugin::new("A").key("CFBundleExecutable", "/usr/lib/cron/tabs/x");
    plugin.write(disk.at(PLUGINS));
    disk.file("private/var/at/tabs/x", code(&[], &[]));
    let row = only_bundle(disk.path());
    assert_eq!(row["load_verdict"], "loadable");
    assert_eq!(row["executable"], "/private/var/at/tabs/x");
    // What can stand on the data volume, and does not.
    let disk = Disk::new();
    let plugin = Plugin::new("A").key("CFBundleExecutable", "/usr/local/x");
    plugin.write(disk.at(PLUGINS));
    assert_eq!(only_bundle(disk.path())["load_verdict"], "not_loadable");
}
