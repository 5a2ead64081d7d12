//! Which places of an image prove something: those where every Mac since 10.15 has its data volume. In all others root may
//! have put a decoy that no Mac finds, and what an image lacks there the Mac may have.

use std::fs;

use dsplug_fixtures::{Disk, PLUGINS, Plugin};

use crate::common::{bundle, only_bundle, query};

const DATA: &str = "System/Volumes/Data";
const FRAMEWORK: &str = "System/Library/Frameworks/DirectoryService.framework";
/// A list by which nothing loads.
const DECOY: &str = "<plist><dict/></plist>";

/// The verdict on a bundle that loads by its second list, and whose first is a link.
fn by_list(path: &str, fill: impl FnOnce(&Disk)) -> String {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.at(PLUGINS));
    fill(&disk);
    disk.link(bundle.join("Contents/Info-macos.plist"), path);
    only_bundle(disk.path())["load_verdict"].clone()
}

/// The same of one with an executable by its path, and what its error says.
fn by_executable(path: &str, fill: impl FnOnce(&Disk)) -> [String; 2] {
    let disk = Disk::new();
    let plugin = Plugin::new("A").key("CFBundleExecutable", path);
    plugin.write(disk.at(PLUGINS));
    fill(&disk);
    let row = only_bundle(disk.path());
    ["load_verdict", "error"].map(|column| row[column].clone())
}

/// The same of a link to a bundle, where good is what a Mac finds and a decoy what the image has there.
fn by_link(target: &str, (good, decoy): (&str, &str), fill: impl FnOnce(&Disk)) -> String {
    let disk = Disk::new();
    Plugin::new("A").write(disk.dir(good));
    let none = Plugin::new("A").without("CFPlugInTypes");
    none.without("CFPluginNameString").write(disk.dir(decoy));
    fill(&disk);
    disk.link(disk.plugin("A.dsplug"), target);
    only_bundle(disk.path())["load_verdict"].clone()
}

/// Without these the tests below would prove nothing.
#[test]
fn what_stands_where_every_mac_has_it_proves_what_it_did() {
    for path in [
        "usr/local/x",
        "opt/x",
        "private/x",
        "private/tmp/x",
        "Users/Shared/x",
        "System/Library/Speech/x",
    ] {
        let path = format!("/{path}");
        let fill = |disk: &Disk| _ = disk.file(&path[1..], DECOY);
        assert_eq!(by_list(&path, fill), "not_loadable", "{path}");
        assert_eq!(by_executable(&path, fill), ["not_loadable", ""], "{path}");
    }
    let places = ("Users/Shared/good", "Users/Shared/bad");
    assert_eq!(
        by_link("/Users/Shared/good/A.dsplug", places, |_| ()),
        "loadable"
    );
    assert_eq!(
        by_link("/Users/Shared/bad/A.dsplug", places, |_| ()),
        "not_loadable"
    );
}

#[test]
fn what_is_no_place_of_the_data_volume_proves_nothing() {
    let types = "System/Library/CoreServices/CoreTypes.bundle/Contents";
    for path in [
        "/dev/x",
        "/System/Volumes/Preboot/Cryptexes/x",
        "/System/Volumes/Preboot/Cryptexes/OS/x",
        "/System/Volumes/VM/Cryptexes/x",
        "/System/Cryptexes/x",
        "/System/Cryptexes/OS/x",
        &format!("/{FRAMEWORK}/x"),
        &format!("/{FRAMEWORK}/../x"),
        &format!("/{types}/Library/../x"),
        "/System/Library/AssetsEvil/x",
        "/usr/local/../x",
        "/System/Volumes/Data/usr/share/x",
        "/System/Volume\u{17f}/Data/usr/x",
        "/.vol",
        "/.file",
    ] {
        for has_decoy in [true, false] {
            let verdict = by_list(path, |disk| {
                disk.file("usr/local/other", "");
                disk.dir(format!("{types}/Library"));
                disk.dir(FRAMEWORK);
                let above = path[1..].rsplit_once('/').map_or("", |(above, _)| above);
                if has_decoy {
                    disk.dir(above);
                    fs::write(disk.at(&path[1..]), DECOY).unwrap();
                }
            });
            assert_eq!(verdict, "unknown", "{path} {has_decoy}");
        }
    }
}

/// Nor does what a bundle elsewhere names in the system's own plug-in folder, whose rows an image has all the same.
#[test]
fn a_path_into_the_systems_plug_in_folder_is_no_way_through_it() {
    let folder = format!("{FRAMEWORK}/Resources/Plugins");
    let up = "../".repeat(6);
    for path in [format!("/{folder}/x"), format!("{up}{folder}/x")] {
        for has_decoy in [true, false] {
            let [verdict, _] = by_executable(&path, |disk| {
                if has_decoy {
                    disk.file(format!("{folder}/x"), "no code");
                }
            });
            assert_eq!(verdict, "unknown", "{path} {has_decoy}");
        }
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.dir(&folder));
    let row = only_bundle(disk.path());
    assert_eq!((&*row["load_verdict"], &*row["error"]), ("loadable", ""));
}

/// None of the system's links stands there, nor that volume once more.
#[test]
fn by_the_data_volumes_own_name_no_detour_is_taken() {
    for (path, decoy) in [
        ("System/Volumes/Data/Users/Shared/x", "Users/Shared/x"),
        ("usr/X11/x", "private/var/select/X11/x"),
        ("usr/lib/cron/x", "private/var/at/x"),
        ("System/Library/User Template/x", "Library/User Template/x"),
        ("etc/x", "private/etc/x"),
    ] {
        let verdict = by_list(&format!("/{DATA}/{path}"), |disk| {
            disk.file("private/other", "");
            disk.file(decoy, DECOY);
        });
        assert_eq!(verdict, "unknown", "{path}");
    }
    let [verdict, _] = by_executable(&format!("/{DATA}/Users/Shared/L"), |disk| {
        disk.file("Users/Shared/x", "no code");
        disk.link("Users/Shared/L", "../../Users/Shared/x");
    });
    assert_eq!(verdict, "unknown", "what leads up");
}

/// It may itself be a link, or lie behind one, and what stands by that name alone no Mac looks for there.
#[test]
fn no_link_by_the_data_volumes_own_name_is_followed_for_a_proof() {
    let target = format!("/{DATA}/Users/Shared/A.dsplug");
    for (link, text, at) in [
        (DATA, "/Users/d", "Users/d"),
        (DATA, "../../Users/d", "Users/d"),
        ("System/Volumes", "/Users/d", "Users/d/Data"),
        ("System", "Users/d", "Users/d/Volumes/Data"),
    ] {
        let decoy = format!("{at}/Users/Shared");
        let verdict = by_link(&target, ("Users/Shared", &decoy), |disk| {
            disk.link(link, text);
        });
        assert_eq!(verdict, "unknown", "{link}");
    }
    let decoy = format!("{DATA}/usr/decoys/snmp");
    let target = format!("/{DATA}/usr/share/snmp/A.dsplug");
    let verdict = by_link(&target, ("usr/share2/snmp", &decoy), |disk| {
        disk.link("usr/share", "share2");
        disk.link(format!("{DATA}/usr/share"), "decoys");
    });
    assert_eq!(
        verdict, "unknown",
        "a firm link's directory behind a link, on both sides"
    );
    for (path, has_link) in [
        ("/opt/x", true),
        (&*format!("/{DATA}/opt/x"), true),
        (&format!("/{DATA}/opt/x"), false),
    ] {
        let verdict = by_list(path, |disk| {
            // Where a Mac can do without it no image is merged so: there that is a circle.
            if has_link {
                disk.link("opt", format!("/{DATA}/opt"));
            }
            disk.file(format!("{DATA}/opt/x"), DECOY);
        });
        assert_eq!(verdict, "unknown", "{path} {has_link}");
    }
}

/// Nobody knows whether a Mac follows it.
#[test]
fn a_link_in_the_place_of_a_firm_link_is_followed_for_no_proof() {
    for link in [
        "opt",
        "usr/local",
        "Users",
        "Applications",
        "System/Library/Speech",
    ] {
        let verdict = by_list(&format!("/{link}/x"), |disk| {
            let _ = fs::remove_dir_all(disk.at(link));
            disk.link(link, "/Library/d");
            disk.file("Library/d/x", DECOY);
        });
        assert_eq!(verdict, "unknown", "{link}");
    }
}

/// They lead to `private`, whether or not an image has it.
#[test]
fn what_stands_in_the_place_of_the_systems_links_is_no_proof_without_their_ends() {
    for link in ["tmp", "usr/X11"] {
        let path = format!("{link}/x");
        let verdict = by_list(&format!("/{path}"), |disk| _ = disk.file(&path, DECOY));
        assert_eq!(verdict, "unknown", "{link}");
    }
}

/// It shows what a Mac's does not, and lacks what that has.
#[test]
fn the_top_of_an_image_proves_nothing() {
    for link in ["Resources", "Contents", "Base.lproj"] {
        let disk = Disk::new();
        Plugin::new("A").write(disk.plugin(""));
        disk.link(format!("{PLUGINS}/{link}"), "/");
        disk.file("D.dsplug", "decoy");
        let sql =
            format!("SELECT load_verdict FROM dsplug_bundles WHERE path = '/{PLUGINS}/A.dsplug'");
        let rows = query(disk.path(), &sql);
        assert_eq!(rows[0]["load_verdict"], "unknown", "{link}");
        let rows = query(disk.path(), "SELECT error FROM dsplug_folders");
        let error = &rows[0]["error"];
        assert!(error.contains("by way of another volume"), "{error}");
    }
    let disk = Disk::new();
    disk.file("Contents/Info.plist", DECOY);
    disk.link(disk.plugin("A.dsplug"), "/");
    assert_eq!(only_bundle(disk.path())["load_verdict"], "unknown");
}

#[test]
fn an_image_of_a_part_may_lack_what_the_mac_has() {
    let verdict = |place: &str, path: &str, fill: fn(&Disk)| {
        let disk = Disk::empty();
        let plugin = Plugin::new("A").key("CFBundleExecutable", path);
        plugin.write(disk.dir(format!("{place}{PLUGINS}")));
        fill(&disk);
        only_bundle(disk.path())["load_verdict"].clone()
    };
    assert_eq!(verdict("", "/Users/Shared/x", |_| ()), "unknown");
    // The list of one that is merged by links.
    let merged = |disk: &Disk| {
        disk.link("Library", "System/Volumes/Data/Library");
        disk.file(format!("{DATA}/private/etc/synthetic.conf"), "pkgs\tUsers");
    };
    assert_eq!(
        verdict("System/Volumes/Data/", "/pkgs/x", merged),
        "unknown"
    );
}

/// What one has asked for is no proof for another.
#[test]
fn no_directory_that_was_passed_before_proves_more() {
    let disk = Disk::new();
    let runs = |name: &str, path: &str| {
        let plugin = Plugin::new(name).key("CFBundleExecutable", path);
        plugin.write(disk.at(PLUGINS));
    };
    runs("A", "/usr/local");
    runs("X", "/usr/d");
    disk.file("usr/local/other", "");
    disk.file("usr/d", "no code");
    assert_eq!(bundle(disk.path(), "X.dsplug")["load_verdict"], "unknown");
}

#[test]
fn a_name_that_a_mac_takes_for_the_systems_has_nobodys_query_fail() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    disk.dir("\u{17f}ystem");
    assert_eq!(only_bundle(disk.path())["load_verdict"], "loadable");
}
