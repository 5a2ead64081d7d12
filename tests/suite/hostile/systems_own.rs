//! Libraries whose path is the system's own, and what stands in the way to them: a link of the system's volume that
//! leads to the data volume, as that of MobileDevice.framework is taken to, or a volume that somebody mounted there.

use super::code;
use super::mounts::{Mounted, accept, told};
use crate::common::{bundle, only_bundle};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, needs_root};

/// A disk with a bundle whose code names a library.
fn naming(library: &str, rpaths: &[&str]) -> Disk {
    let disk = Disk::new();
    let main = code(&[library, "/usr/lib/libSystem.B.dylib"], rpaths);
    Plugin::new("A").executable(main).write(disk.at(PLUGINS));
    disk
}

#[test]
fn a_link_in_the_way_of_the_systems_own_library_is_followed() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let own = "/Library/Apple/System/Library/PrivateFrameworks/MobileDevice.framework";
    let framework = "/System/Library/PrivateFrameworks/MobileDevice.framework";
    let library = format!("{framework}/Versions/A/MobileDevice");
    let outside = format!("{own}/Versions/A/MobileDevice");
    let swift = "/usr/lib/swift/libx.dylib";
    let kernel = "/System/Library/Frameworks/Kernel.framework/Versions/A/Kernel";
    for (library, rpaths, link, target, really) in [
        (library.as_str(), &[][..], framework, own, outside.as_str()),
        (kernel, &[], kernel, "/Users/Shared/x", "/Users/Shared/x"),
        (
            kernel,
            &[],
            "/System/Library/Frameworks/Kernel.framework/Versions",
            "/Users/Shared",
            "/Users/Shared/A/Kernel",
        ),
        (swift, &[], swift, "/Users/Shared/x", "/Users/Shared/x"),
        (
            "@rpath/libx.dylib",
            &["/usr/lib/swift"],
            "/usr/lib/swift",
            "/Users/Shared/swift",
            "/Users/Shared/swift/libx.dylib",
        ),
        (
            "/usr/lib/libx.dylib",
            &[],
            "/usr/lib/libx.dylib",
            "/Users/Shared/x",
            "/Users/Shared/x",
        ),
    ] {
        let disk = naming(library, rpaths);
        disk.link(&link[1..], target);
        let outside = || only_bundle(disk.path())["loads_outside"].clone();
        assert_ne!(outside(), "", "{link}");
        disk.file(&really[1..], "good");
        assert_eq!(outside(), library.replace("@rpath", link), "{link}");
        assert_eq!(only_bundle(disk.path())["linked_paths"], really, "{link}");
        let honest = told(&disk);
        accept(&disk, &honest[0], &honest[1]);
        assert_eq!(told(&disk)[2..], ["one", ""], "{link}");
        disk.file(&really[1..], "evil");
        let [hash, linked_hash, exception, _] = told(&disk);
        assert_eq!((hash, exception.as_str()), (honest[0].clone(), ""));
        assert_ne!(linked_hash, honest[1], "{link}");
    }
}

#[test]
fn a_volume_over_the_systems_own_libraries_is_told_and_what_it_serves_is_read() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let frameworks = "/System/Library/Frameworks";
    for (library, rpaths, place) in [
        (
            "/System/Library/Frameworks/Kernel.framework/Versions/A/Kernel",
            &[][..],
            format!("{frameworks}/Kernel.framework"),
        ),
        (
            "/System/Library/Frameworks/Kernel.framework/Versions/A/Kernel",
            &[],
            format!("{frameworks}/Kernel.framework/Versions/A"),
        ),
        (
            "/System/Library/PrivateFrameworks/X.framework/Versions/A/X",
            &[],
            "/System/Library/PrivateFrameworks/X.framework".to_owned(),
        ),
        (
            "/System/Library/PrivateFrameworks/X.framework/Versions/A/X",
            &[],
            "/System/Library".to_owned(),
        ),
        (
            "/usr/lib/swift/libx.dylib",
            &[],
            "/usr/lib/swift".to_owned(),
        ),
        (
            "@rpath/libx.dylib",
            &["/usr/lib/swift"],
            "/usr/lib/swift".to_owned(),
        ),
        ("/usr/lib/libx.dylib", &[], "/usr/lib".to_owned()),
    ] {
        let really = library.replace("@rpath", "/usr/lib/swift");
        let disk = naming(library, rpaths);
        disk.file(&really[1..], "good");
        let honest = told(&disk);
        accept(&disk, &honest[0], "");
        assert_eq!(told(&disk)[1..], ["", "one", ""], "{place}");
        let Some(_mounted) = Mounted::new(disk.at(&place[1..]), "tmpfs") else {
            return;
        };
        let why = format!("mount: a volume is mounted at {place}");
        assert_eq!(told(&disk), [&honest[0], "", "", &why], "{place}");
        disk.file(&really[1..], "good");
        let [_, good, exception, error] = told(&disk);
        assert_eq!((exception, error), (String::new(), why), "{place}");
        let row = bundle(disk.path(), "/A.dsplug");
        assert_eq!(row["linked_paths"], really);
        disk.file(&really[1..], "evil");
        assert_ne!(told(&disk)[1], good, "{place}");
    }
}

/// A framework has links in it, and what it is in is a directory as others are.
#[test]
fn what_leads_from_the_systems_own_to_the_systems_own_is_no_place_outside() {
    for name in ["Versions/A/X", "Versions/Current/X", "X"] {
        let disk = naming(
            &format!("/System/Library/Frameworks/X.framework/{name}"),
            &["/usr/lib/swift"],
        );
        let framework = "System/Library/Frameworks/X.framework";
        for is_there in [false, true] {
            if is_there {
                disk.file(format!("{framework}/Versions/A/X"), "library");
            } else {
                disk.dir(format!("{framework}/Versions/A"));
                disk.link(format!("{framework}/Versions/Current"), "A");
                disk.link(format!("{framework}/X"), "Versions/Current/X");
            }
            let row = only_bundle(disk.path());
            for column in ["loads_outside", "linked_hash", "error", "unread"] {
                assert_eq!(row[column], "", "{name}: {column}");
            }
        }
    }
}

/// Whoever has more of them named than is kept has links in the way of the rest.
#[test]
fn more_of_the_systems_libraries_than_are_kept_are_told() {
    let told = |count: usize| {
        let names: Vec<_> = (0..count)
            .map(|n| format!("/usr/lib/lib{n}.dylib"))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let disk = Disk::new();
        let main = code(&names, &[]);
        Plugin::new("A").executable(main).write(disk.at(PLUGINS));
        only_bundle(disk.path())["error"].clone()
    };
    assert_eq!(told(200), "");
    assert!(told(1_000).contains("code names more libraries"));
}
