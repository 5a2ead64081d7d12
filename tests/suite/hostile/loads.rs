//! Libraries that load commands name outside of a bundle. Where dyld looks was read in dyld/Loader.cpp of
//! dyld-1378, and seen on no Mac.

use std::fs;
use std::os::unix::fs::symlink;

use crate::common::{only_bundle, scan};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

const A: &str = "/Library/DirectoryServices/PlugIns/A.dsplug";

fn code(dylibs: &[&str], rpaths: &[&str]) -> Vec<u8> {
    let code = MachO::bundle(Cpu::X86_64);
    let code = dylibs.iter().fold(code, |code, path| code.dylib_path(path));
    let code = rpaths.iter().fold(code, |code, path| code.rpath(path));
    code.unsigned()
}

#[track_caller]
fn leads(dylib: &str, rpaths: &[&str], outside: &str) {
    let disk = Disk::new();
    let plugin = Plugin::new("A").executable(code(&[dylib], rpaths));
    plugin
        .file("Contents/Frameworks/x.dylib", "library")
        .write(disk.at(PLUGINS));
    let row = only_bundle(disk.path());
    assert_eq!(row["loads_outside"], outside, "{dylib} {rpaths:?}");
    assert_eq!((row["error"].as_str(), row["unread"].as_str()), ("", ""));
}

#[test]
fn where_dyld_looks_is_told_when_that_is_outside() {
    // The system's own, and what stays in the bundle.
    leads("/usr/lib/libSystem.B.dylib", &[], "");
    leads(
        "/System/Library/Frameworks/Security.framework/Versions/A/Security",
        &[],
        "",
    );
    leads("@loader_path/../Frameworks/x.dylib", &[], "");
    leads(
        "@rpath/x.dylib",
        &["@loader_path/../Frameworks", "/usr/lib/swift"],
        "",
    );
    leads("@executable_path/../Frameworks/x.dylib", &[], "");
    leads("@rpath/none.dylib", &[], "");
    leads(&format!("{A}/Contents/Frameworks/x.dylib"), &[], "");
    // By a path, whatever it begins with.
    leads("/Users/Shared/x.dylib", &[], "/Users/Shared/x.dylib");
    leads(
        "/usr/lib/../../Users/Shared/x.dylib",
        &[],
        "/Users/Shared/x.dylib",
    );
    leads("/usr/local/lib/x.dylib", &[], "/usr/local/lib/x.dylib");
    leads(
        "/System/Library/Caches/x.dylib",
        &[],
        "/System/Library/Caches/x.dylib",
    );
    leads(
        "/Library/Frameworks/X.framework/Versions/A/X",
        &[],
        "/Library/Frameworks/X.framework/Versions/A/X",
    );
    // By the working directory.
    leads("x.dylib", &[], "/x.dylib");
    leads("usr/lib/../../Users/x.dylib", &[], "/Users/x.dylib");
    leads("@loader_pathx/x.dylib", &[], "/@loader_pathx/x.dylib");
    // By what stands for a directory.
    leads(
        "@loader_path/../../../x.dylib",
        &[],
        "/Library/DirectoryServices/PlugIns/x.dylib",
    );
    leads(
        "@loader_path/../Frameworks/../../../../x.dylib",
        &[],
        "/Library/DirectoryServices/x.dylib",
    );
    leads(
        "@executable_path/../../Users/Shared/x.dylib",
        &[],
        "/Users/Shared/x.dylib",
    );
    leads(
        "@executable_path/../local/x.dylib",
        &[],
        "/usr/local/x.dylib",
    );
    leads(
        "@executable_path/cups/x.dylib",
        &[],
        "/usr/libexec/cups/x.dylib",
    );
    // By run paths, the first of which is the attacker's.
    leads(
        "@rpath/x.dylib",
        &[
            "/Users/Shared",
            "@loader_path/../Frameworks",
            "@loader_path/../../..",
            "opt",
        ],
        "/Library/DirectoryServices/PlugIns/x.dylib;/Users/Shared/x.dylib;/opt/x.dylib",
    );
    leads("@rpath/../x.dylib", &["/usr/lib"], "/usr/x.dylib");
}

#[test]
fn a_library_outside_is_a_place_that_is_read() {
    let disk = Disk::new();
    let slices = [
        (
            Cpu::X86_64,
            code(&["/Users/Shared/x.dylib", "/opt/directory"], &["/opt/run"]),
        ),
        (
            Cpu::Arm64e,
            MachO::bundle(Cpu::Arm64e)
                .dylib_path("/Users/Shared/l.dylib")
                .unsigned(),
        ),
    ];
    // Not the main executable alone: what it loads in the bundle names libraries as well.
    let inner = MachO::dylib(Cpu::X86_64)
        .dylib_path("@rpath/inner.dylib")
        .unsigned();
    Plugin::new("A")
        .executable(Fat::of(&slices).build())
        .file("Contents/Frameworks/inner.dylib", inner)
        .write(disk.at(PLUGINS));
    for at in ["Users/Shared/x.dylib", "real/l.dylib", "opt/directory/file"] {
        disk.file(at, "library");
    }
    disk.link("Users/Shared/l.dylib", "/real/l.dylib");
    let first = only_bundle(disk.path());
    assert_eq!(
        first["loads_outside"],
        "/Users/Shared/l.dylib;/Users/Shared/x.dylib;/opt/directory;/opt/run/inner.dylib"
    );
    assert_eq!(first["linked_paths"], "/Users/Shared/x.dylib;/real/l.dylib");
    assert_eq!(
        (first["linked_hash"].len(), first["links_outside"].as_str()),
        (64, "0")
    );
    for at in ["Users/Shared/x.dylib", "real/l.dylib"] {
        let before = only_bundle(disk.path());
        disk.file(at, "another");
        let after = only_bundle(disk.path());
        assert_ne!(before["linked_hash"], after["linked_hash"], "{at}");
        assert_eq!(before["hash"], after["hash"]);
    }
    assert!(scan(disk.path()).bundles[0].evidence.reaches_out());
}

/// A link on the way, of the system's volume or in the bundle, hides nothing.
#[test]
fn links_on_the_way_are_followed() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .executable(code(
            &[
                "@loader_path/../out/x.dylib",
                "@loader_path/../out/../y.dylib",
            ],
            &[],
        ))
        .write(disk.at(PLUGINS));
    disk.file("Users/Shared/fw/x.dylib", "library");
    disk.file("Users/Shared/y.dylib", "library");
    symlink("/Users/Shared/fw", path.join("Contents/out")).unwrap();
    let row = only_bundle(disk.path());
    assert_eq!(
        row["linked_paths"],
        "/Users/Shared/fw;/Users/Shared/y.dylib"
    );
    assert_eq!(row["links_outside"], "1");
    assert!(
        row["loads_outside"].ends_with("y.dylib"),
        "{}",
        row["loads_outside"]
    );
    fs::remove_file(path.join("Contents/out")).unwrap();
    assert_eq!(only_bundle(disk.path())["loads_outside"], "");
}

/// More libraries than are looked up are said, and accepted by nobody.
#[test]
fn libraries_by_the_thousand() {
    let many: Vec<String> = (0..2_000).map(|n| format!("/usr/lib/{n}")).collect();
    let long = format!("/{}x", "./".repeat(600));
    for dylibs in [
        many.iter()
            .map(String::as_str)
            .chain(["/Users/Shared/x"])
            .collect(),
        vec![long.as_str()],
        ["/Users/Shared/x"].repeat(100),
    ] {
        let disk = Disk::new();
        Plugin::new("A")
            .executable(code(&dylibs, &[]))
            .write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        assert!(
            row["error"].starts_with("limit: code names more"),
            "{}",
            row["error"]
        );
        assert!(row["unread"].contains("unwatched="), "{}", row["unread"]);
    }
}
