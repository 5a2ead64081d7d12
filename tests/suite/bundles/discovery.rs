//! Which candidates a folder has, and by which way.

use crate::common::{Row, bundle, only_bundle, query};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, SYSTEM_PLUGINS, chmod};

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

/// A CoreFoundation before "The Monterey Merge" lists the top level of a folder that the one since takes for a
/// wrapped bundle, and a list whose comment it ends elsewhere names other languages to it.
#[test]
fn of_what_older_macos_lists_in_another_way_nothing_is_proved_not_to_be_listed() {
    let wrapped = Disk::new();
    Plugin::new("A").write(wrapped.plugin(""));
    Plugin::new("B").write(wrapped.plugin("Wrapper/PlugIns"));
    wrapped.link(wrapped.plugin("WrappedBundle"), "Wrapper/PlugIns");
    let listed = Disk::new();
    Plugin::new("A").write(listed.plugin("below"));
    let languages = "<key>CFBundleLocalizations</key><array><string>../x</string></array>";
    let list = format!("<plist><dict><!--->{languages}<!-- --></dict></plist>");
    listed.file(format!("{PLUGINS}/Info.plist"), list);
    for disk in [&wrapped, &listed] {
        let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
        assert!(folder["error"].contains("older"), "{folder:?}");
        let rows = query(
            disk.path(),
            "SELECT * FROM dsplug_bundles WHERE kind <> 'folder'",
        );
        let mut verdicts = rows.iter().map(|row| &row["load_verdict"]);
        assert!(
            verdicts.all(|verdict| verdict != "not_loadable"),
            "{rows:?}"
        );
    }
    // A link that leads nowhere makes no bundle of it to either.
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    Plugin::new("B").write(disk.plugin("Wrapper"));
    disk.link(disk.plugin("WrappedBundle"), "nowhere");
    expect_found(
        &disk,
        &[
            ("A.dsplug", "top_level", "listed"),
            ("Wrapper/B.dsplug", "nested", "not_listed"),
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
    disk.file("private/tmp/other", "");
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

/// Of a place that another path leads to, which is listed, it is not proved that nothing there loads.
#[test]
fn what_is_listed_by_another_path_may_load() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin("hidden"));
    disk.link(format!("{PLUGINS}/A.dsplug"), "hidden/A.dsplug");
    // A link that the loader does not list proves nothing either way.
    disk.link(format!("{PLUGINS}/deep/B.dsplug"), "../hidden/B.dsplug");
    Plugin::new("B").write(disk.plugin("hidden"));
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    let told = |end: &str| {
        let row = rows.iter().find(|r| r["path"].ends_with(end)).unwrap();
        (row["load_verdict"].as_str(), row["load_reasons"].as_str())
    };
    assert_eq!(told("/PlugIns/A.dsplug"), ("loadable", ""));
    assert_eq!(told("/hidden/A.dsplug"), ("unknown", "maybe_listed"));
    assert_eq!(told("/hidden/B.dsplug"), ("not_loadable", "not_listed"));
    assert_eq!(told("/deep/B.dsplug"), ("not_loadable", "not_listed"));
}

/// Which of them counts follows from the order of a hash table.
#[test]
fn of_a_region_that_is_overridden_twice_any_may_be_read() {
    let disk = Disk::new();
    let mut list = "<plist version=\"1.0\"><dict>".to_owned();
    for (name, suffix) in [("D", "-macos"), ("F", "-macos-macos")] {
        Plugin::new(name).write(disk.at(format!("Users/Shared/{name}.lproj")));
        list += &format!(
            "<key>CFBundleDevelopmentRegion{suffix}</key><string>../../../Users/Shared/{name}</string>"
        );
    }
    list += "</dict></plist>";
    disk.file(format!("{PLUGINS}/Info.plist"), list);
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    let names: Vec<&str> = rows.iter().map(|r| r["plugin_name"].as_str()).collect();
    assert_eq!(names, ["D", "F"], "{rows:#?}");
    assert!(rows.iter().all(|r| r["load_verdict"] == "unknown"));
}
