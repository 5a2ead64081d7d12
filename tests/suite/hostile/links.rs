//! Links that lead nowhere, in loops, too far, or out.

use std::fs::{self};
use std::os::unix::fs::symlink;

use super::code;
use crate::common::{bundle, only_bundle, query};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod};

#[test]
fn loops_of_links_end() {
    let disk = Disk::new();
    disk.link(format!("{PLUGINS}/a.dsplug"), "b.dsplug");
    disk.link(format!("{PLUGINS}/b.dsplug"), "a.dsplug");
    disk.link(format!("{PLUGINS}/self.dsplug"), "self.dsplug");
    disk.link(format!("{PLUGINS}/up.dsplug"), ".");
    disk.link(format!("{PLUGINS}/Contents"), "Contents");
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    assert_eq!(rows.len(), 4);
    for row in rows.iter().filter(|r| !r["path"].ends_with("up.dsplug")) {
        assert!(row["error"].starts_with("broken_symlink: "), "{row:#?}");
    }
}

/// Whoever could make every query fail by one link would have silenced the pack.
#[test]
fn a_link_that_leads_nowhere_blinds_nothing() {
    let targets = ["none", "Contents", &"x".repeat(300), &"x/".repeat(200)];
    for target in targets {
        let disk = Disk::new();
        Plugin::new("A").write(disk.plugin(""));
        for name in [
            "Contents",
            "Resources",
            "Support Files",
            "en.lproj",
            "other",
        ] {
            disk.link(format!("{PLUGINS}/{name}"), target);
        }
        let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
        assert_eq!(rows.len(), 1, "{target}");
        // Such a link tells the layout all the same, where the disk says what is a link.
        let told = ["load_verdict", "load_reasons"].map(|column| rows[0][column].as_str());
        assert_eq!(told, ["unknown", "maybe_listed"], "{target}");
        // The folder itself: nothing loads from it.
        let disk = Disk::empty();
        let target = target.replace("Contents", "PlugIns");
        disk.link(PLUGINS, target);
        assert!(query(disk.path(), "SELECT * FROM dsplug_bundles").is_empty());
        let folder = &query(disk.path(), "SELECT * FROM dsplug_folders")[0];
        let told = ["exists", "anomalies", "error"].map(|column| folder[column].as_str());
        assert_eq!(told, ["0", "broken_symlink", ""]);
    }
}

/// A link of more components than are followed hides nothing but itself, and is said.
#[test]
fn a_link_too_long_to_follow_blinds_nothing() {
    for name in ["Contents", "Resources", "Support Files", "en.lproj"] {
        let disk = Disk::new();
        Plugin::new("A").write(disk.at(PLUGINS));
        disk.dir(format!("{PLUGINS}/sub"));
        let far = disk.too_far();
        disk.link(format!("{PLUGINS}/{name}"), format!("{far}/{PLUGINS}/sub"));
        assert_eq!(bundle(disk.path(), "A.dsplug")["hash"].len(), 64);
        // The folder says so, in its own table and by a row among the bundles.
        let folder = query(disk.path(), "SELECT error FROM dsplug_folders");
        let row = query(
            disk.path(),
            "SELECT error FROM dsplug_bundles WHERE kind = 'folder'",
        );
        for error in [&folder[0]["error"], &row[0]["error"]] {
            assert!(error.starts_with("limit: cannot follow so far"), "{error}");
        }
    }
}

/// A Mac may follow it, and load what is there.
#[test]
fn a_candidate_that_is_a_link_too_long_to_follow_is_not_called_broken() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.dir("opt"));
    let far = disk.too_far();
    disk.link(format!("{PLUGINS}/L.dsplug"), format!("{far}/opt/A.dsplug"));
    let row = only_bundle(disk.path());
    assert!(row["error"].starts_with("limit: "), "{}", row["error"]);
    assert_eq!(row["load_verdict"], "unknown");
    assert_eq!(row["signature_state"], "unreadable");
}

#[test]
fn what_a_link_leads_to_outside_is_digested() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    disk.file("Users/Shared/fw/x.dylib", "one");
    disk.link("Users/Shared/fw/on", "/opt/y");
    disk.file("opt/y", "two");
    symlink("/Users/Shared/fw", path.join("Contents/Frameworks")).unwrap();
    symlink("MacOS/A", path.join("Contents/inside")).unwrap();
    symlink("../../A.dsplug/Contents", path.join("Contents/back")).unwrap();
    symlink("/nowhere", path.join("Contents/broken")).unwrap();
    let first = only_bundle(disk.path());
    assert_eq!(first["linked_paths"], "/Users/Shared/fw;/opt/y");
    assert_eq!(
        (first["linked_hash"].len(), first["error"].as_str()),
        (64, "")
    );
    for (at, content) in [("Users/Shared/fw/x.dylib", "other"), ("opt/y", "another")] {
        let before = only_bundle(disk.path());
        disk.file(at, content);
        let after = only_bundle(disk.path());
        assert_ne!(before["linked_hash"], after["linked_hash"], "{at}");
        assert_eq!(before["hash"], after["hash"]);
    }
    // More than is read is an error, and never the digest of a part.
    for number in 0..5_000 {
        fs::write(disk.at(format!("Users/Shared/fw/{number}")), "").unwrap();
    }
    let row = only_bundle(disk.path());
    assert_eq!((row["linked_hash"].as_str(), row["hash"].len()), ("", 64));
    assert!(
        row["error"].starts_with("limit: more than 4096 entries"),
        "{}",
        row["error"]
    );
    assert!(row["unread"].ends_with(";limit"), "{}", row["unread"]);
}

/// Neither more time nor more work for links that lead to each other, or up.
#[test]
fn links_that_lead_out_everywhere_end() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    symlink("../..", path.join("Contents/up")).unwrap();
    for number in 0..200 {
        let at = format!("opt/{number}");
        disk.dir(&at);
        let next = format!("/opt/{}", (number + 1) % 200);
        symlink(next, disk.at(&at).join("next")).unwrap();
        symlink(
            format!("/opt/{number}"),
            path.join(format!("Contents/{number}")),
        )
        .unwrap();
    }
    let row = only_bundle(disk.path());
    assert!(
        row["error"].contains("more than 32 places"),
        "{}",
        row["error"]
    );
    assert_eq!((row["linked_hash"].as_str(), row["hash"].len()), ("", 64));
}

#[test]
fn who_can_exchange_what_leads_to_what_runs_is_told() {
    type Make = fn(&Disk);
    let ways: [(&str, Make); 6] = [
        ("candidate", |disk| {
            Plugin::new("A").write(disk.at("Library/Good"));
            disk.link("w/l", "/Library/Good/A.dsplug");
            disk.link(format!("{PLUGINS}/A.dsplug"), "/w/l");
        }),
        ("folder", |disk| {
            fs::remove_dir(disk.at(PLUGINS)).unwrap();
            Plugin::new("A").write(disk.at("Library/Good"));
            disk.link("w/l", "/Library/Good");
            disk.link(PLUGINS, "/w/l");
        }),
        ("executable", |disk| {
            let plugin = Plugin::new("A").key("CFBundleExecutable", "/w/l");
            plugin.without_executable().write(disk.at(PLUGINS));
            disk.file("Library/Good/run", "code");
            disk.link("w/l", "/Library/Good/run");
        }),
        ("executable by a link in it", |disk| {
            let plugin = Plugin::new("A").without_executable();
            let path = plugin.write(disk.at(PLUGINS));
            fs::create_dir_all(path.join("Contents/MacOS")).unwrap();
            disk.file("Library/Good/run", "code");
            disk.link("w/l", "/Library/Good/run");
            let link = format!("{PLUGINS}/A.dsplug/Contents/MacOS/A");
            disk.link(link, "/w/l");
        }),
        ("library", |disk| {
            let code = MachO::bundle(Cpu::X86_64).dylib_path("/w/l");
            let plugin = Plugin::new("A").executable(code.unsigned());
            plugin.write(disk.at(PLUGINS));
            disk.file("Library/Good/l", MachO::dylib(Cpu::X86_64).unsigned());
            disk.link("w/l", "/Library/Good/l");
        }),
        ("place", |disk| {
            Plugin::new("A").write(disk.at(PLUGINS));
            disk.file("w/l/x", MachO::dylib(Cpu::X86_64).unsigned());
            let link = format!("{PLUGINS}/A.dsplug/Contents/Frameworks");
            disk.link(link, "/w/l");
        }),
    ];
    for (what, make) in ways {
        let disk = Disk::new();
        for dir in [PLUGINS, "w", "Library/Good"] {
            fs::create_dir_all(disk.at(dir)).unwrap();
            chmod(disk.at(dir), 0o755);
        }
        make(&disk);
        let told = || only_bundle(disk.path())["writable_by"].clone();
        let usual = told();
        assert_ne!(usual, "others", "{what}");
        chmod(disk.at("w"), 0o777);
        assert_eq!(told(), "others", "{what}");
    }
}

#[test]
fn who_can_write_a_library_outside_is_told() {
    let disk = Disk::new();
    let code = MachO::bundle(Cpu::X86_64).dylib_path("/w/l");
    let plugin = Plugin::new("A").executable(code.unsigned());
    plugin.write(disk.at(PLUGINS));
    let library = disk.file("w/l", MachO::dylib(Cpu::X86_64).unsigned());
    let data = disk.file("w/data", "data");
    disk.link(format!("{PLUGINS}/A.dsplug/Contents/data"), "/w/data");
    let told = || only_bundle(disk.path())["writable_by"].clone();
    let usual = told();
    assert_ne!(usual, "others");
    chmod(&library, 0o777);
    assert_eq!(told(), "others");
    chmod(&library, 0o644);
    // Data that others write is no code.
    chmod(&data, 0o666);
    assert_eq!(told(), usual);
}

#[test]
fn who_can_write_what_runs_is_told() {
    let disk = Disk::new();
    let told = || only_bundle(disk.path())["writable_by"].clone();
    let path = Plugin::new("A")
        .file("Contents/Frameworks/x", "data")
        .write(disk.at(PLUGINS));
    let usual = told();
    for at in ["Contents/MacOS/A", "Contents/Frameworks"] {
        let at = path.join(at);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&at).unwrap().permissions());
        chmod(&at, mode | 0o022);
        assert_eq!(told(), "others", "{at:?}");
        chmod(&at, mode & 0o755);
    }
    // Data that others write is no code.
    chmod(path.join("Contents/Frameworks/x"), 0o666);
    assert_eq!(told(), usual);
    // What stands elsewhere is written by who can write the way there.
    fs::remove_dir_all(&path).unwrap();
    Plugin::new("A").write(disk.at("Users/Shared/x"));
    disk.link(format!("{PLUGINS}/A.dsplug"), "/Users/Shared/x/A.dsplug");
    assert_eq!(told(), usual);
    chmod(disk.at("Users/Shared"), 0o777);
    assert_eq!(told(), "others");
    fs::remove_file(disk.plugin("A.dsplug")).unwrap();
    Plugin::new("A")
        .key("CFBundleExecutable", "/Users/Shared/run")
        .without_executable()
        .write(disk.at(PLUGINS));
    disk.file("Users/Shared/run", "code");
    assert_eq!(told(), "others");
}

/// What stands behind a firm link of a Mac has the link's directory above it, by whatever path one comes
/// (`cache_lookup_path` of xnu's `bsd/vfs/vfs_cache.c`): `/System/Volumes/Data/Users/../tmp` is `/tmp`. Which directories
/// these are, a copy of the disk does not say.
#[test]
fn what_leads_up_on_the_data_volume_of_an_image_is_not_what_stands_above_it_there() {
    let around = "/System/Volumes/Data/Users/../tmp";
    let disk = Disk::new();
    for dir in ["private/tmp", "System/Volumes/Data/tmp"] {
        Plugin::new("A").write(disk.dir(dir));
        disk.file(format!("{dir}/x"), code(&[], &[]));
    }
    disk.link("tmp", "private/tmp");
    disk.dir("System/Volumes/Data/Users/Shared/deep");
    disk.link(format!("{PLUGINS}/A.dsplug"), format!("{around}/A.dsplug"));
    Plugin::new("B")
        .key("CFBundleExecutable", format!("{around}/x"))
        .write(disk.plugin(""));
    let path = Plugin::new("C").without_executable().write(disk.plugin(""));
    fs::create_dir_all(path.join("Contents/MacOS")).unwrap();
    symlink(format!("{around}/x"), path.join("Contents/MacOS/C")).unwrap();
    Plugin::new("D")
        .executable(code(&[&format!("{around}/x")], &[]))
        .write(disk.plugin(""));
    // By its own place, which the kernel tells dyld by the shorter path.
    let at = "System/Volumes/Data/Users/Shared";
    disk.file(format!("{at}/E"), code(&["@loader_path/../../tmp/x"], &[]));
    let path = Plugin::new("E").without_executable().write(disk.plugin(""));
    fs::create_dir_all(path.join("Contents/MacOS")).unwrap();
    symlink(format!("/{at}/E"), path.join("Contents/MacOS/E")).unwrap();
    let sql =
        "SELECT path, load_verdict, signature_state, executable_hash, error FROM dsplug_bundles";
    let rows = query(disk.path(), sql);
    assert_eq!(rows.len(), 5);
    for row in rows {
        let (path, error) = (&row["path"], &row["error"]);
        assert!(
            error.contains("go up on the data volume in"),
            "{path}: {error:?}"
        );
        assert_ne!(row["load_verdict"], "not_loadable", "{path}");
        if !path.ends_with("D.dsplug") && !path.ends_with("E.dsplug") {
            assert_eq!(row["executable_hash"], "", "{path}");
        }
    }
}

/// The kernel takes nothing but a directory for what a link's text ends in with a slash or a dot (Linux's says ENOTDIR as
/// a Mac's does), and CoreFoundation goes on to the next place.
#[test]
fn a_link_that_asks_for_a_directory_leads_to_no_file() {
    for text in [
        "real/",
        "real/.",
        "real//",
        "./real/",
        "/Users/Shared/file/",
        "by",
    ] {
        let disk = Disk::new();
        disk.file("Users/Shared/file", "decoy");
        let bundle = Plugin::new("A").write(disk.at(PLUGINS));
        let macos = bundle.join("Contents/MacOS");
        fs::rename(macos.join("A"), bundle.join("Contents/A")).unwrap();
        fs::write(macos.join("real"), "decoy").unwrap();
        symlink("real/", macos.join("by")).unwrap();
        symlink(text, macos.join("A")).unwrap();
        let row = only_bundle(disk.path());
        assert_eq!(row["load_verdict"], "loadable", "{text}");
        assert!(row["executable"].ends_with("/A.dsplug/Contents/A"));
    }
    // So with lists, of a bundle and of the folder.
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.at(PLUGINS));
    let region = "<key>CFBundleDevelopmentRegion</key><string>../../../Users/Shared/e</string>";
    for (directory, region) in [(bundle.join("Contents"), ""), (disk.at(PLUGINS), region)] {
        fs::write(directory.join("h"), "<plist><dict/></plist>").unwrap();
        symlink("h/", directory.join("Info-macos.plist")).unwrap();
        if !region.is_empty() {
            let list = format!("<plist><dict>{region}</dict></plist>");
            fs::write(directory.join("Info.plist"), list).unwrap();
        }
    }
    Plugin::new("Evil").write(disk.dir("Users/Shared/e.lproj"));
    let rows = query(disk.path(), "SELECT path, load_verdict FROM dsplug_bundles");
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row["path"].as_str(), row["load_verdict"].as_str()))
        .collect();
    let expected = [
        ("/Library/DirectoryServices/PlugIns/A.dsplug", "loadable"),
        ("/Users/Shared/e.lproj/Evil.dsplug", "unknown"),
    ];
    assert_eq!(rows, expected);
}
