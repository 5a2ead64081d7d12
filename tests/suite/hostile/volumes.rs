//! Images that hold one of a Mac's volumes and not the others, or what root put in their places.

use std::fs;
use std::process::Command;

use dsplug_fixtures::{Disk, PLUGINS, Plugin};

use crate::common::{bundle, only_bundle, query};

/// What is said of one bundle that has such an executable, on a disk that `fill` fills.
fn verdict(executable: &str, fill: impl FnOnce(&Disk)) -> (String, String) {
    let disk = Disk::new();
    let plugin = Plugin::new("A").key("CFBundleExecutable", executable);
    plugin.write(disk.at(PLUGINS));
    fill(&disk);
    let row = only_bundle(disk.path());
    (row["load_verdict"].clone(), row["error"].clone())
}

#[test]
fn what_an_image_lacks_of_another_volume_is_not_absent() {
    for path in [
        "/System/Volumes/Preboot/x",
        "/System/Volumes/Evil/x",
        "/system/VOLUMES/vm/x",
        "/net/192.0.2.1/s/x",
        "/Network/Servers/h/x",
        "/home/u/x",
        "/USR/lib/later/x",
        "/system/library/Q/x",
        "/usr/lib/../lib/x",
        "/bin/x",
        // Where a volume may be mounted.
        "/Users/Shared/empty/x",
    ] {
        let (verdict, error) = verdict(path, |disk| {
            disk.dir("Users/Shared/empty");
            disk.dir("System/Library/Caches");
        });
        assert_eq!(verdict, "unknown", "{path}");
        assert!(error.contains("cannot look on another volume"), "{error}");
    }
    let (verdict_up, error) = verdict("/System/Volumes/Data/../VM/x", |_| ());
    assert_eq!(verdict_up, "unknown");
    assert!(error.contains("cannot go up on the data volume"), "{error}");
    for path in ["/Users/Shared/x", "/usr/local/x", "/usr/lib/../local/x"] {
        let (verdict, _) = verdict(path, |disk| {
            disk.file("Users/Shared/other", "");
            disk.file("usr/local/other", "");
        });
        let is_by_lib = path.contains("..");
        let expected = if is_by_lib { "unknown" } else { "not_loadable" };
        assert_eq!(verdict, expected, "{path}");
    }
}

/// On the data volume root can have what he likes below the names of the system's.
#[test]
fn a_decoy_in_the_place_of_another_volume_is_no_proof() {
    for path in [
        "/usr/lib/cron/tabs/x",
        "/usr/X11/x",
        "/usr/share/zoneinfo/x",
        "/System/Library/User Template/x",
        "/System/Volumes/Preboot/x",
        "/Volumes/Other/x",
        "/usr/bin/x",
    ] {
        let (verdict, error) = verdict(path, |disk| {
            disk.dir("private/var/at/tabs");
            disk.file(&path[1..], "decoy");
        });
        assert_eq!(verdict, "unknown", "{path}");
        assert_ne!(error, "", "{path}");
    }
    // A link there that is the system's own, and one that is not.
    for (text, expected) in [
        ("../../private/var/at", "loadable"),
        ("/Users/Shared/at", "unknown"),
        ("../private/var/at", "unknown"),
    ] {
        let (verdict, _) = verdict("/usr/lib/cron/x", |disk| {
            let bundle = disk.at(format!("{PLUGINS}/A.dsplug/Contents"));
            let code = fs::read_dir(bundle.join("MacOS")).unwrap().next().unwrap();
            let code = fs::read(code.unwrap().path()).unwrap();
            for at in ["private/var/at", "Users/Shared/at", "usr/private/var/at"] {
                disk.file(format!("{at}/x"), &code);
            }
            disk.link("usr/lib/cron", text);
        });
        assert_eq!(verdict, expected, "{text}");
    }
    // By any other link there.
    let (verdict, _) = verdict("/usr/share/x", |disk| {
        disk.file("Users/Shared/decoy", "decoy");
        disk.link("usr/share/x", "/Users/Shared/decoy");
    });
    assert_eq!(verdict, "unknown");
    let disk = Disk::new();
    disk.file("usr/lib/A.dsplug", "decoy");
    disk.link(disk.plugin("A.dsplug"), "/usr/lib/A.dsplug");
    assert_eq!(only_bundle(disk.path())["load_verdict"], "unknown");
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.at(PLUGINS));
    disk.file("usr/share/list", "<plist><dict/></plist>");
    disk.link(bundle.join("Contents/Info-macos.plist"), "/usr/share/list");
    assert_eq!(only_bundle(disk.path())["load_verdict"], "unknown");
}

/// As a volume group lies on the disk: the system's volume has an empty directory for each firm link.
#[test]
fn what_stands_on_the_data_volume_beside_a_firm_links_place_is_told() {
    let data = "System/Volumes/Data";
    // What is there twice.
    let disk = Disk::new();
    Plugin::new("A")
        .without("CFPlugInTypes")
        .write(disk.at(PLUGINS));
    Plugin::new("Evil").write(disk.dir(format!("{data}/{PLUGINS}")));
    let row = bundle(disk.path(), "A.dsplug");
    assert_eq!(row["load_verdict"], "unknown");
    assert_eq!(
        row["error"],
        "mount: another volume may be meant by /Library"
    );
    let rows = query(disk.path(), "SELECT anomalies, error FROM dsplug_folders");
    assert!(rows[0]["anomalies"].contains("mount"), "{rows:#?}");
    // What is on the data volume alone.
    for (path, there) in [
        ("/Users/Shared/x", "Users/Shared/x"),
        ("/usr/local/x", "usr/local/x"),
    ] {
        let (verdict, _) = verdict(path, |disk| {
            disk.dir("Users");
            disk.dir("usr/local");
            disk.file(format!("{data}/{there}"), "code");
        });
        assert_eq!(verdict, "unknown", "{path}");
    }
    // A data volume that is a link, or has nothing, says nothing.
    for fill in [
        (|disk: &Disk| _ = disk.dir("System/Volumes/Data")) as fn(&Disk),
        |disk| _ = disk.link("System/Volumes/Data", "/"),
    ] {
        let (verdict, error) = verdict("/Users/Shared/x", |disk| {
            disk.file("Users/Shared/x", "no code");
            disk.dir("System/Volumes");
            fill(disk);
        });
        assert_eq!((&*verdict, &*error), ("not_loadable", ""));
    }
}

#[test]
fn the_systems_volume_without_the_data_is_no_mac() {
    let said = |disk: &Disk| {
        let mut dsplug = Command::new(env!("CARGO_BIN_EXE_dsplug"));
        let out = dsplug.args(["list", "--root"]).arg(disk.path()).output();
        let out = out.unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8(out.stderr).unwrap()
    };
    let disk = Disk::empty();
    disk.dir("Library");
    disk.dir("System/Volumes/Data");
    let told = said(&disk);
    assert!(
        told.contains("nothing is in its System/Volumes/Data"),
        "{told}"
    );
    Plugin::new("Evil").write(disk.dir(format!("System/Volumes/Data/{PLUGINS}")));
    let told = said(&disk);
    assert!(
        told.contains("its Library is in its System/Volumes/Data"),
        "{told}"
    );
    // That volume by itself is one.
    let data = disk.at("System/Volumes/Data");
    assert_eq!(only_bundle(&data)["load_verdict"], "loadable");
}

/// By the volume's own name, or one that the Mac makes itself, the same is meant as by another.
#[test]
fn a_decoy_by_another_name_of_what_runs_is_no_proof() {
    let data = "System/Volumes/Data/Users/Shared";
    for (path, decoy) in [
        (
            "/System/Volumes/Data/Users/Shared/x",
            Some(format!("{data}/x")),
        ),
        (
            "/System/Volumes/Data/Users/Shared/x",
            Some(format!("{data}/y")),
        ),
        (
            "/System/Volumes/Data/Volumes/W/x",
            Some("System/Volumes/Data/Volumes/W/x".into()),
        ),
        ("/made/x", Some("made/x".into())),
        ("/made/x", None),
        ("/.nofollow/Users/Shared/x", None),
    ] {
        for list in ["private/etc/synthetic.conf", "private/etc/Synthetic.d/x"] {
            let (verdict, error) = verdict(path, |disk| {
                disk.file("Users/Shared/x", "decoy");
                disk.file(list, "made\tUsers/Shared");
                if let Some(decoy) = &decoy {
                    disk.file(decoy, "decoy");
                }
            });
            assert_eq!(verdict, "unknown", "{path} {decoy:?}");
            assert_ne!(error, "", "{path}");
        }
    }
}

/// Whatever stands above a link of the system's, its end is not absent.
#[test]
fn what_stands_in_the_way_of_the_systems_links_is_no_proof() {
    let fills: [fn(&Disk); 4] = [
        |disk| _ = disk.file("usr/lib", ""),
        |disk| _ = disk.link("usr/lib", "/none"),
        |disk| _ = disk.link("usr/lib", "lib"),
        |disk| _ = disk.link("usr/lib", "/Users"),
    ];
    for fill in fills {
        let (verdict, _) = verdict("/usr/lib/cron/x", |disk| {
            disk.file("private/var/at/x", "code");
            disk.dir("usr");
            disk.dir("Users/Shared");
            fill(disk);
        });
        assert_eq!(verdict, "unknown");
    }
    for entry in ["A.dsplug", "A.dsplug/Contents"] {
        let disk = Disk::new();
        Plugin::new("A").write(disk.dir("private/var/at"));
        disk.file("usr/lib", "");
        let text = format!("/usr/lib/cron/{entry}");
        disk.link(format!("{PLUGINS}/{entry}"), text);
        assert_eq!(
            only_bundle(disk.path())["load_verdict"],
            "unknown",
            "{entry}"
        );
    }
}

/// Where the loader looks for others by way of another volume nothing is proved not to be listed.
#[test]
fn what_the_folder_reaches_on_another_volume_proves_nothing() {
    for (link, target) in [
        ("Resources", "/usr/share/R"),
        ("Resources", "/Volumes/W/R"),
        ("Resources", "/System/Volumes/Preboot/R"),
    ] {
        let disk = Disk::new();
        Plugin::new("A").write(disk.at(PLUGINS));
        Plugin::new("X").write(disk.dir(&target[1..]));
        disk.link(format!("{PLUGINS}/{link}"), target);
        let sql = "SELECT load_verdict FROM dsplug_bundles WHERE path LIKE '%/A.dsplug'";
        assert_eq!(
            query(disk.path(), sql)[0]["load_verdict"],
            "unknown",
            "{target}"
        );
        let rows = query(disk.path(), "SELECT anomalies, error FROM dsplug_folders");
        assert!(rows[0]["anomalies"].contains("mounted"), "{rows:#?}");
        assert!(
            rows[0]["error"].contains("by way of another volume"),
            "{rows:#?}"
        );
    }
}

#[test]
fn an_image_that_is_merged_by_links_is_read() {
    let disk = Disk::empty();
    Plugin::new("A").write(disk.dir(format!("System/Volumes/Data/{PLUGINS}")));
    disk.link("Library", "System/Volumes/Data/Library");
    let row = only_bundle(disk.path());
    assert_eq!((&*row["load_verdict"], &*row["error"]), ("loadable", ""));
}
