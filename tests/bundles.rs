//! `dsplug_bundles` on real directories: enumeration, evidence, and evasions by name.
//!
//! What is expected is written out by hand from the loader's and CoreFoundation's rules; digests and
//! sizes come from `sha256sum`, `stat` and the shell.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a panic is a test's report"
)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use common::{Row, bundle, only_bundle, query};
use dsplug::directory::ReadError;
use dsplug::root::{Found, Root};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, SYSTEM_PLUGINS, chmod, fifo, set_mtime, skipped};
use plist::Value;

/// Where each candidate of a disk was found, by path below the plug-in folder.
fn found(disk: &Disk) -> Vec<(String, String, String)> {
    let prefix = format!("/{PLUGINS}/");
    query(disk.path(), "SELECT * FROM dsplug_bundles")
        .into_iter()
        .map(|r| {
            let path = r["path"].strip_prefix(&prefix).unwrap_or(&r["path"]);
            let listed = !r["load_reasons"].split(';').any(|w| w == "not_listed");
            let listed = if listed { "listed" } else { "not_listed" };
            (
                path.to_owned(),
                r["discovered_via"].clone(),
                listed.to_owned(),
            )
        })
        .collect()
}

#[track_caller]
fn expect_found(disk: &Disk, expected: &[(&str, &str, &str)]) {
    let found = found(disk);
    let found: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
        .collect();
    assert_eq!(found, expected);
}

/// What is unusual about a folder. To who is not root, what they write is `writable` by another
/// than root, and no news.
fn anomalies(folder: &Row) -> Vec<&str> {
    let root = rustix::process::geteuid().is_root();
    folder["anomalies"]
        .split(';')
        .filter(|word| !word.is_empty() && (root || *word != "writable"))
        .collect()
}

#[test]
fn no_folder_is_no_rows() {
    let disk = Disk::empty();
    disk.dir("Library");
    assert!(query(disk.path(), "SELECT * FROM dsplug_bundles").is_empty());
    let folders = query(
        disk.path(),
        r#"SELECT path, "exists", error FROM dsplug_folders"#,
    );
    assert_eq!(folders.len(), 2);
    assert!(
        folders
            .iter()
            .all(|f| f["exists"] == "0" && f["error"].is_empty())
    );
}

#[test]
fn the_top_level_and_the_system_s_folder() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("B").write(disk.at(SYSTEM_PLUGINS));
    expect_found(
        &disk,
        &[
            ("A.dsplug", "top_level", "listed"),
            (
                &format!("/{SYSTEM_PLUGINS}/B.dsplug"),
                "top_level",
                "listed",
            ),
        ],
    );
}

#[test]
fn base_and_language_lproj_are_listed_beside_the_top_level() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("B").write(disk.plugin("Base.lproj"));
    Plugin::new("F").write(disk.plugin("fr.lproj"));
    expect_found(
        &disk,
        &[
            ("A.dsplug", "top_level", "listed"),
            ("Base.lproj/B.dsplug", "lproj", "listed"),
            ("fr.lproj/F.dsplug", "lproj", "listed"),
        ],
    );
    let french = bundle(disk.path(), "F.dsplug");
    assert!(french["load_reasons"].split(';').any(|w| w == "language"));
}

#[test]
fn contents_takes_the_place_of_the_top_level() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("C").write(disk.plugin("contents/Resources"));
    Plugin::new("L").write(disk.plugin("contents/Resources/Base.lproj"));
    expect_found(
        &disk,
        &[
            ("A.dsplug", "top_level", "not_listed"),
            ("contents/Resources/Base.lproj/L.dsplug", "lproj", "listed"),
            (
                "contents/Resources/C.dsplug",
                "contents_resources",
                "listed",
            ),
        ],
    );
}

#[test]
fn resources_hide_the_top_level_only_when_they_hold_some() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    disk.dir(format!("{PLUGINS}/Resources"));
    expect_found(&disk, &[("A.dsplug", "top_level", "listed")]);
    Plugin::new("R").write(disk.plugin("Resources"));
    expect_found(
        &disk,
        &[
            ("A.dsplug", "top_level", "not_listed"),
            ("Resources/R.dsplug", "resources", "listed"),
        ],
    );
}

/// CoreFoundation, asked, lists no name that is no UTF-8, and then goes on as if it were not there.
#[test]
fn a_name_that_is_no_text_may_not_be_listed() {
    use std::os::unix::ffi::OsStrExt as _;
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    let name = std::ffi::OsStr::from_bytes(b"\xff.dsplug");
    Plugin::new("R").write_as(disk.plugin("Resources").join(name));
    let rows = query(disk.path(), "SELECT load_reasons FROM dsplug_bundles");
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["load_reasons"], "maybe_listed");
    }
}

#[test]
fn support_files_take_the_place_of_the_top_level() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("S").write(disk.plugin("Support Files/Resources"));
    expect_found(
        &disk,
        &[
            ("A.dsplug", "top_level", "not_listed"),
            (
                "Support Files/Resources/S.dsplug",
                "support_files",
                "listed",
            ),
        ],
    );
}

#[test]
fn anything_deeper_is_shown_and_not_listed() {
    let disk = Disk::new();
    Plugin::new("Deep").write(disk.plugin("a/b/c"));
    // Nothing inside of a candidate is another one.
    Plugin::new("Outer")
        .file("Contents/PlugIns/Inner.dsplug/x", "x")
        .write(disk.at(PLUGINS));
    expect_found(
        &disk,
        &[
            ("Outer.dsplug", "top_level", "listed"),
            ("a/b/c/Deep.dsplug", "nested", "not_listed"),
        ],
    );
}

#[test]
fn symlinked_contents_are_followed_and_named() {
    let disk = Disk::new();
    Plugin::new("X").write(disk.at("private/hidden/Resources"));
    disk.link(format!("{PLUGINS}/Contents"), "/private/hidden");
    let row = only_bundle(disk.path());
    assert_eq!(
        row["path"],
        format!("/{PLUGINS}/Contents/Resources/X.dsplug")
    );
    assert_eq!(row["resolved_path"], "/private/hidden/Resources/X.dsplug");
    assert_eq!(row["discovered_via"], "contents_resources");
    let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
    assert_eq!(anomalies(folder), ["contents", "symlinked_contents"]);
}

#[test]
fn a_symlinked_plug_in_folder_is_followed_and_named() {
    let disk = Disk::empty();
    Plugin::new("X").write(disk.at("private/hidden"));
    disk.link(PLUGINS, "../../private/hidden");
    let row = only_bundle(disk.path());
    assert_eq!(row["path"], format!("/{PLUGINS}/X.dsplug"));
    assert_eq!(row["resolved_path"], "/private/hidden/X.dsplug");
    let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
    assert_eq!(anomalies(folder), ["symlinked"]);
    assert_eq!(folder["resolved_path"], "/private/hidden");
}

#[test]
fn the_framework_s_own_links_are_no_anomaly() {
    let disk = Disk::new();
    let framework = "System/Library/Frameworks/DirectoryService.framework";
    Plugin::new("S").write(disk.at(format!("{framework}/Versions/A/Resources/Plugins")));
    disk.link(format!("{framework}/Versions/Current"), "A");
    disk.link(
        format!("{framework}/Resources"),
        "Versions/Current/Resources",
    );
    let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[1];
    assert!(anomalies(folder).is_empty(), "{folder:?}");
    assert_eq!(folder["candidates"], "1");
}

#[test]
fn look_alike_names_are_shown_and_do_not_load() {
    let disk = Disk::new();
    for name in [
        "A.DSPLUG",
        "B.dsplug ",
        "C.d\u{455}plug",
        "D.dsplug\u{202e}",
    ] {
        Plugin::new("X").write_as(disk.plugin(name));
    }
    disk.dir(format!("{PLUGINS}/E.dsplug.bak"));
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    assert_eq!(rows.len(), 4);
    for row in &rows {
        assert!(row["load_reasons"].starts_with("name"), "{row:#?}");
        assert_eq!(row["load_verdict"], "not_loadable");
    }
    assert!(
        rows.iter()
            .any(|r| r["path"].ends_with("D.dsplug\\u{202e}"))
    );
}

#[test]
fn a_link_out_of_the_root_stays_inside() {
    let outside = Disk::empty();
    Plugin::new("Outside").write_as(outside.at("secret"));
    let disk = Disk::new();
    disk.link(format!("{PLUGINS}/a.dsplug"), outside.at("secret"));
    disk.link(
        format!("{PLUGINS}/b.dsplug"),
        format!("{}{}", "../".repeat(40), outside.at("secret").display()),
    );
    for row in query(disk.path(), "SELECT * FROM dsplug_bundles") {
        assert!(row["error"].starts_with("broken_symlink: "), "{row:#?}");
        assert_eq!(row["load_reasons"], "broken_symlink");
        assert_eq!(row["hash"], "");
    }
}

#[test]
fn an_absolute_link_resolves_inside_of_the_root() {
    let disk = Disk::new();
    Plugin::new("Real").write(disk.at("Users/Shared"));
    disk.link(format!("{PLUGINS}/X.dsplug"), "/Users/Shared/Real.dsplug");
    chmod(disk.at("Users/Shared/Real.dsplug"), 0o775);
    let row = only_bundle(disk.path());
    assert_eq!(row["kind"], "symlink");
    assert_eq!(row["symlink_target"], "/Users/Shared/Real.dsplug");
    assert_eq!(row["resolved_path"], "/Users/Shared/Real.dsplug");
    assert_eq!(row["bundle_identifier"], "com.example.Real");
    assert_eq!(row["writable_by"], "group");
    assert_eq!(row["executable_outside"], "0");
    assert_eq!(
        row["executable"],
        format!("/{PLUGINS}/X.dsplug/Contents/MacOS/Real")
    );
    // The digest is the target's.
    let real = Disk::new();
    Plugin::new("Real").write(real.at(PLUGINS));
    assert_eq!(row["hash"], only_bundle(real.path())["hash"]);
    assert_eq!(row["hash"].len(), 64);
}

#[test]
fn an_inner_change_shows_although_the_bundle_s_own_time_stays() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .file("Contents/Resources/x", "1")
        .write(disk.at(PLUGINS));
    let before = only_bundle(disk.path());
    fs::write(path.join("Contents/Resources/x"), "2").unwrap();
    set_mtime(path.join("Contents/Resources/x"), 4_000_000_000);
    let after = only_bundle(disk.path());
    assert_eq!(before["bundle_mtime"], after["bundle_mtime"]);
    assert_ne!(before["hash"], after["hash"]);
    assert_eq!(after["mtime"], "4000000000");
    assert_eq!(
        after["newest_path"],
        format!("/{PLUGINS}/A.dsplug/Contents/Resources/x")
    );
}

#[test]
fn a_forged_time_leaves_its_ctime() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    for path in [
        "Contents/Info.plist",
        "Contents/MacOS/A",
        "Contents/MacOS",
        "Contents",
        "",
    ] {
        set_mtime(disk.plugin("A.dsplug").join(path), 1_000_000_000);
    }
    let row = only_bundle(disk.path());
    assert_eq!(row["mtime"], "1000000000");
    let ctime = fs::metadata(path).unwrap().ctime();
    assert!(row["ctime"].parse::<i64>().unwrap() >= ctime);
}

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
    assert_eq!(found_some, 11);
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

#[test]
fn owners_and_writers() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let expect = |writable: &str, mode: &str| {
        let row = only_bundle(disk.path());
        assert_eq!(
            (row["writable_by"].as_str(), row["mode"].as_str()),
            (writable, mode)
        );
    };
    let root = fs::metadata(&path).unwrap().uid() == 0;
    let alone = if root { "root" } else { "owner" };
    expect(alone, "0755");
    chmod(&path, 0o4775);
    expect("group", "4775");
    chmod(&path, 0o777);
    expect("others", "0777");
    chmod(&path, 0o755);
    chmod(disk.at(PLUGINS), 0o777);
    expect("others", "0755");
    chmod(disk.at(PLUGINS), 0o755);
    if root {
        std::os::unix::fs::chown(&path, Some(501), Some(20)).unwrap();
        expect("owner", "0755");
        let row = only_bundle(disk.path());
        assert_eq!((row["uid"].as_str(), row["gid"].as_str()), ("501", "20"));
    }
}

#[test]
fn quarantine_is_shown() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    let value = b"0083;5f3d2a1b;Safari;7E2C0F6E";
    let set = rustix::fs::setxattr(
        &path,
        "user.com.apple.quarantine",
        value,
        rustix::fs::XattrFlags::empty(),
    );
    if let Err(error) = set {
        skipped(format_args!("the file system takes no attributes: {error}"));
        return;
    }
    let row = only_bundle(disk.path());
    assert_eq!(
        row["quarantine"],
        "flags=0083;time=1597843995;agent=Safari;uuid=7E2C0F6E"
    );
}

#[test]
fn files_folders_and_counts() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .file("Contents/Resources/two", "22")
        .write(disk.at(PLUGINS));
    symlink("two", path.join("Contents/Resources/link")).unwrap();
    fifo(path.join("Contents/Resources/pipe"));
    let files = query(disk.path(), "SELECT * FROM dsplug_files");
    let paths: Vec<&str> = files
        .iter()
        .map(|f| f["path"].rsplit("A.dsplug/").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "Contents",
            "Contents/Info.plist",
            "Contents/MacOS",
            "Contents/MacOS/A",
            "Contents/Resources",
            "Contents/Resources/link",
            "Contents/Resources/pipe",
            "Contents/Resources/two"
        ]
    );
    assert_eq!(files[5]["kind"], "symlink");
    assert_eq!(files[5]["symlink_target"], "two");
    assert_eq!(files[6]["kind"], "other");
    // printf 22 | sha256sum
    assert_eq!(
        files[7]["hash"],
        "785f3ec7eb32f30b90cd0fcf3657d388b5ff4297f2f9716ff66e9b69c05ddd09"
    );
    let row = only_bundle(disk.path());
    assert_eq!(row["files"], "3");
    let info = fs::metadata(path.join("Contents/Info.plist"))
        .unwrap()
        .len();
    let code = fs::metadata(path.join("Contents/MacOS/A")).unwrap().len();
    assert_eq!(row["bytes"], (info + code + 2).to_string());
    let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
    assert_eq!(
        (folder["entries"].as_str(), folder["candidates"].as_str()),
        ("1", "1")
    );
}

#[test]
fn rows_are_unique_and_in_order_of_path() {
    let disk = Disk::new();
    for name in ["b", "a", "a b", "a\nb", "a\\x0ab", "é", "Z", "a.b"] {
        Plugin::new("X").write_as(disk.plugin(format!("{name}.dsplug")));
    }
    let rows = query(disk.path(), "SELECT path FROM dsplug_bundles");
    let paths: Vec<String> = rows.iter().map(|r| r["path"].clone()).collect();
    let mut sorted = paths.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(paths, sorted);
    assert_eq!(paths.len(), 8);
}

#[test]
fn load_reasons_one_by_one() {
    let reasons = |plugin: Plugin| {
        let disk = Disk::new();
        plugin.write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        (row["load_verdict"].clone(), row["load_reasons"].clone())
    };
    let no = |reason: &str| ("not_loadable".to_owned(), reason.to_owned());
    let a = || Plugin::new("A");
    assert_eq!(reasons(a()), ("loadable".into(), String::new()));
    assert_eq!(reasons(a().flat()), ("loadable".into(), String::new()));
    assert_eq!(reasons(a().without_plist()), no("no_info_plist"));
    assert_eq!(
        reasons(a().without_plist().file("Contents/Info.plist", "x")),
        no("malformed_info_plist")
    );
    assert_eq!(reasons(a().without_executable()), no("no_executable"));
    assert_eq!(reasons(a().executable("#!/bin/sh\n")), no("not_mach_o"));
    assert_eq!(
        reasons(
            a().executable(
                [
                    dsplug_fixtures::mach_header(dsplug_fixtures::I386),
                    vec![0; 4]
                ]
                .concat()
            )
        ),
        no("no_64bit_slice")
    );
    assert_eq!(reasons(a().without("CFPlugInTypes")), no("no_plugin_types"));
    assert_eq!(
        reasons(a().without("CFPlugInFactories")),
        no("no_plugin_factories")
    );
    assert_eq!(
        reasons(a().without("CFBundleShortVersionString")),
        no("no_version")
    );
    assert_eq!(
        reasons(a().without("CFPluginNameString")),
        no("no_plugin_name")
    );
    let empty = plist::Dictionary::new();
    assert_eq!(
        reasons(a().key("CFPlugInTypes", Value::Dictionary(empty.clone()))),
        no("no_module_factory")
    );
    assert_eq!(
        reasons(a().key("CFPlugInFactories", Value::Dictionary(empty.clone()))),
        no("no_module_factory")
    );
    assert_eq!(
        reasons(
            a().key("CFPlugInFactories", Value::Dictionary(empty))
                .key("CFPlugInDynamicRegistration", "YES")
        ),
        ("unknown".into(), "dynamic_registration".into())
    );
    // CFStringCompare folds the long s as well.
    for (value, may_register) in [("yEs", true), ("YE\u{17f}", true), ("NO", false)] {
        let none = plist::Dictionary::new();
        let plugin = a().key("CFPlugInFactories", Value::Dictionary(none));
        let (verdict, _) = reasons(plugin.key("CFPlugInDynamicRegistration", value));
        assert_eq!(verdict == "unknown", may_register, "{value}");
    }
    assert_eq!(
        reasons(
            a().without("CFBundleShortVersionString")
                .without("CFPluginNameString")
        ),
        no("no_version;no_plugin_name")
    );
    // CoreFoundation's own case: the loader crashed on an array here, as published.
    for key in ["CFBundleConfigAvail", "CFBundleConfigFile"] {
        assert_eq!(
            reasons(a().key(key, Value::Array(Vec::new()))),
            ("unknown".into(), "odd_type".into())
        );
        assert_eq!(
            reasons(a().key(key, "x")),
            ("loadable".into(), String::new())
        );
    }
}

/// What CoreFoundation, built from its source, finds in the head of a file, against what could be mapped.
#[test]
fn heads_that_the_loader_takes_and_nothing_else_are_unknown() {
    let verdict = |executable: Vec<u8>| {
        let disk = Disk::new();
        Plugin::new("A")
            .executable(executable)
            .write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        (row["load_verdict"].clone(), row["load_reasons"].clone())
    };
    let odd = ("unknown".to_owned(), "odd_mach_o".to_owned());
    // A universal header in the other order of bytes.
    let mut little = [0xbe_ba_fe_ca_u32, 0x0100_0000, 0x0700_0001, 0, 0, 0, 0]
        .map(u32::to_be_bytes)
        .concat();
    little.resize(4096, 0);
    assert_eq!(verdict(little), odd);
    // A slice that is not there.
    let mut empty = [0xcafe_babe_u32, 1, 0x0100_0007, 3, 4096, 32, 12]
        .map(u32::to_be_bytes)
        .concat();
    empty.resize(64, 0);
    assert_eq!(verdict(empty), odd);
    // Headers of 64-bit offsets, which it does not know and dyld does.
    let thin = dsplug_fixtures::mach_header(dsplug_fixtures::X86_64);
    let mut wide = [0xcafe_babf_u32, 1, 0x0100_0007, 3, 0, 4096, 0, 32, 12, 0]
        .map(u32::to_be_bytes)
        .concat();
    wide.resize(4096, 0);
    wide.extend_from_slice(thin.as_ref());
    assert_eq!(verdict(wide), odd);
}

/// CoreFoundation's answers for such lists were `version_string`, `name_string` and, for the NUL on a Mac,
/// `no_executable`.
#[test]
fn a_text_that_the_loader_cannot_use_leaves_it_unknown() {
    let (module, factory) = (
        dsplug_fixtures::plugin::MODULE_TYPE,
        dsplug_fixtures::plugin::factory("A"),
    );
    let verdict = |version: &str, name: &str, executable: &str| {
        let disk = Disk::new();
        let list = format!(
            "{{ CFBundleShortVersionString = \"{version}\"; CFPluginNameString = \"{name}\";
                CFBundleExecutable = \"{executable}\";
                CFPlugInTypes = {{ \"{module}\" = (\"{factory}\"); }};
                CFPlugInFactories = {{ \"{factory}\" = F; }}; }}"
        );
        let plugin = Plugin::new("A").without_plist();
        plugin
            .file("Contents/Info.plist", list)
            .write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        (row["load_verdict"].clone(), row["load_reasons"].clone())
    };
    let odd = ("unknown".to_owned(), "odd_type".to_owned());
    assert_eq!(verdict("1", "A", "A"), ("loadable".into(), String::new()));
    assert_eq!(verdict("1\\Ud800", "A", "A"), odd);
    assert_eq!(verdict("1", "A\\Ud800", "A"), odd);
    assert_eq!(verdict("1", "A", "A\\U0000B"), odd);
    assert_eq!(
        verdict("1", "A", "A\\U0000"),
        ("loadable".into(), String::new())
    );
}

#[test]
fn what_two_bundles_claim_is_unknown_for_both() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("B")
        .key("CFPluginNameString", "A")
        .write(disk.at(PLUGINS));
    let said = |name: &str| {
        let row = bundle(disk.path(), name);
        (row["load_verdict"].clone(), row["load_reasons"].clone())
    };
    // The order of the disk decides which of them is asked first.
    let shadowed = ("unknown".to_owned(), "name_shadowed".to_owned());
    assert_eq!(said("A.dsplug"), shadowed);
    assert_eq!(said("B.dsplug"), shadowed);
    // One that cannot load takes no name.
    Plugin::new("C")
        .key("CFPluginNameString", "D")
        .without("CFPlugInTypes")
        .write(disk.at(PLUGINS));
    Plugin::new("D").write(disk.at(PLUGINS));
    assert_eq!(said("D.dsplug").0, "loadable");
    // A factory is taken by whatever bundle is opened first, one that then does not load included.
    Plugin::new("E")
        .factory(&dsplug_fixtures::plugin::factory("D"))
        .without("CFPlugInTypes")
        .write(disk.at(PLUGINS));
    let taken = ("unknown".to_owned(), "factory_taken".to_owned());
    assert_eq!(said("D.dsplug"), taken);
    assert_eq!(said("E.dsplug").0, "not_loadable");
    // But not by one that the loader does not look at.
    fs::remove_dir_all(disk.plugin("E.dsplug")).unwrap();
    Plugin::new("F")
        .factory(&dsplug_fixtures::plugin::factory("D"))
        .write(disk.at(PLUGINS).join("sub"));
    assert_eq!(said("D.dsplug").0, "loadable");
}
