//! The main executable and the Info.plist, as CoreFoundation resolves them.

use std::fs;
use std::os::unix::fs::symlink;

use crate::common::{bundle, only_bundle};
use dsplug::directory::ReadError;
use dsplug::root::{Found, Root};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

#[test]
fn an_executable_outside_is_resolved_as_corefoundation_does() {
    for (executable, resolved) in [
        ("../../../../../../Users/x", "/Users/x"),
        ("/Users/x", "/Users/x"),
        ("../../A.dsplug/Contents/Info.plist", ""),
    ] {
        let disk = Disk::new();
        Plugin::new("A")
            .key("CFBundleExecutable", executable)
            .without_executable()
            .write(disk.at(PLUGINS));
        disk.file("Users/x", "abc");
        let row = only_bundle(disk.path());
        if resolved.is_empty() {
            // `..` leads back into the bundle.
            assert_eq!(row["executable_outside"], "0", "{executable}");
            assert_eq!(
                row["executable"],
                format!("/{PLUGINS}/A.dsplug/Contents/Info.plist")
            );
        } else {
            assert_eq!(row["executable_outside"], "1", "{executable}");
            assert_eq!(row["executable"], resolved);
            // printf abc | sha256sum
            assert_eq!(
                row["executable_hash"],
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            );
        }
    }
}

#[test]
fn the_way_down_from_an_open_directory_leads_where_the_whole_way_does() {
    let disk = Disk::new();
    disk.file("opt/x", "");
    disk.file("bundle/Contents/MacOS/X", "");
    disk.link("bundle/up", "../opt");
    disk.link("bundle/Contents/far", "/bundle/Contents/MacOS/X");
    disk.link("bundle/loop", "loop");
    let root = Root::open(disk.path()).unwrap();
    let bundle = root.find_dir(b"/bundle").unwrap();
    let mut found_some = 0;
    for path in [
        "/bundle",
        "/bundle/",
        "/bundle/Contents/MacOS/X",
        "/bundle//Contents/./MacOS/X",
        "/bundle/Contents/MacOS/X/",
        "/bundle/Contents/MacOS/X/below",
        "/bundle/Contents/../../opt/x",
        "/bundle/../../../opt/x",
        "/bundle/up/x",
        "/bundle/up/../bundle/Contents",
        "/bundle/Contents/far",
        "/bundle/loop",
        "/bundle/none",
        "/bundles",
        "/opt/x",
    ] {
        let told = |found: Result<Found, ReadError>| found.map(|f| (f.path(), f.meta, f.links));
        let below = told(root.find_below(&bundle, path.as_bytes()));
        let whole = told(root.find(path.as_bytes()));
        found_some += usize::from(whole.is_ok());
        assert_eq!(below.ok(), whole.ok(), "{path}");
    }
    assert_eq!(found_some, 10);
}

#[test]
fn an_executable_that_is_a_link_out_of_the_bundle_is_outside() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .without_executable()
        .write(disk.at(PLUGINS));
    disk.file("usr/local/x", "abc");
    fs::create_dir(path.join("Contents/MacOS")).unwrap();
    symlink("/usr/local/x", path.join("Contents/MacOS/A")).unwrap();
    let row = only_bundle(disk.path());
    assert_eq!(
        (
            row["executable"].as_str(),
            row["executable_outside"].as_str()
        ),
        ("/usr/local/x", "1")
    );
}

#[test]
fn executables_are_looked_for_in_three_places_and_by_three_names() {
    for place in ["Contents/MacOS/A", "Contents/A", "A"] {
        let disk = Disk::new();
        Plugin::new("A")
            .executable_at(place)
            .write(disk.at(PLUGINS));
        assert_eq!(
            only_bundle(disk.path())["executable"],
            format!("/{PLUGINS}/A.dsplug/{place}")
        );
    }
    // NSExecutable, and the bundle's base name.
    let disk = Disk::new();
    let plugin = Plugin::new("A").without("CFBundleExecutable");
    plugin
        .clone()
        .key("NSExecutable", "old")
        .executable_at("Contents/MacOS/old")
        .write_as(disk.plugin("N.dsplug"));
    plugin.write_as(disk.plugin("A.dsplug"));
    assert!(bundle(disk.path(), "N.dsplug")["executable"].ends_with("/Contents/MacOS/old"));
    assert!(bundle(disk.path(), "A.dsplug")["executable"].ends_with("/Contents/MacOS/A"));
}

#[test]
fn the_effective_info_plist() {
    let id = |plugin: Plugin| {
        let disk = Disk::new();
        plugin.write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        (
            row["bundle_identifier"].clone(),
            row["info_plist"].replace(&format!("/{PLUGINS}/A.dsplug/"), ""),
        )
    };
    let other = Plugin::new("other").info_plist();
    let a = ("com.example.A".to_owned(), "Contents/Info.plist".to_owned());
    assert_eq!(id(Plugin::new("A")), a);
    assert_eq!(id(Plugin::new("A").binary_plist()), a);
    assert_eq!(id(Plugin::new("A").flat()).1, "Info.plist");
    assert_eq!(
        id(Plugin::new("A").flat().plist_at("iNFO.PLIST")).1,
        "iNFO.PLIST"
    );
    assert_eq!(
        id(Plugin::new("A").flat().plist_at("Resources/Info.plist")).1,
        "Resources/Info.plist"
    );
    assert_eq!(
        id(Plugin::new("A").flat().plist_at("Support Files/Info.plist")).1,
        "Support Files/Info.plist"
    );
    // A decoy in the root of a bundle that has Contents is not read.
    assert_eq!(id(Plugin::new("A").file("Info.plist", other.clone())), a);
    // Info-macos.plist wins.
    let (identifier, path) = id(Plugin::new("A").file("Contents/Info-macos.plist", other));
    assert_eq!(
        (identifier.as_str(), path.as_str()),
        ("com.example.other", "Contents/Info-macos.plist")
    );
}

#[test]
fn platform_keys_override_but_two() {
    let disk = Disk::new();
    Plugin::new("A")
        .key("CFPluginNameString-macos", "Shadow")
        .key("CFBundleShortVersionString-macos", "9")
        .key("CFBundleIdentifier-macos", "com.apple.decoy")
        .key("CFBundleExecutable-macos", "decoy")
        .write(disk.at(PLUGINS));
    let row = only_bundle(disk.path());
    assert_eq!(row["plugin_name"], "Shadow");
    assert_eq!(row["version"], "9");
    assert_eq!(row["bundle_identifier"], "com.example.A");
    assert!(row["executable"].ends_with("/MacOS/A"));
}
