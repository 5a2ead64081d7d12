//! Disks that tell letter case apart, as a volume of that kind does on a Mac: CoreFoundation lists in any letter case, and
//! opens what it has listed by the name that it knows.

use std::fs;

use dsplug::exceptions::baseline;
use dsplug::limits::Limits;

use crate::common::{only_bundle, query, scan_with};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

/// One that was built from CoreFoundation's sources reads `Info.plist` on such a disk.
#[test]
fn a_list_for_macos_in_another_letter_case_proves_nothing() {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.plugin(""));
    let decoy = bundle.join("Contents/INFO-MACOS.PLIST");
    fs::write(&decoy, "<plist><dict/></plist>").unwrap();
    let row = only_bundle(disk.path());
    assert_eq!(row["load_verdict"], "unknown", "{row:#?}");
    assert!(row["error"].starts_with("ambiguous: "), "{row:#?}");
    let snapshot = scan_with(disk.path(), Limits::STANDARD);
    let base_line = baseline::write(&snapshot).unwrap();
    let left_out = base_line.left_out.concat();
    assert!(left_out.contains("could not be read whole"), "{left_out}");
    // Where it has the very name it is read on any disk.
    fs::rename(decoy, bundle.join("Contents/Info-macos.plist")).unwrap();
    let row = only_bundle(disk.path());
    assert_eq!(row["load_verdict"], "not_loadable", "{row:#?}");
    assert_eq!(row["error"], "");
}

#[test]
fn a_folders_list_for_macos_in_another_letter_case_hides_no_language() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.dir("Users/Shared/e.lproj"));
    let list = "<plist><dict><key>CFBundleDevelopmentRegion</key>\
                <string>../../../Users/Shared/e</string></dict></plist>";
    fs::write(disk.plugin("Info.plist"), list).unwrap();
    disk.file(
        format!("{PLUGINS}/INFO-MACOS.PLIST"),
        "<plist><dict/></plist>",
    );
    let rows = query(disk.path(), "SELECT path, load_verdict FROM dsplug_bundles");
    let row = rows.iter().find(|r| r["path"].ends_with("/A.dsplug"));
    assert_eq!(row.unwrap()["load_verdict"], "unknown", "{rows:#?}");
    let sql = "SELECT anomalies, error FROM dsplug_folders";
    let folders = query(disk.path(), sql);
    let is_told = |f: &crate::common::Row| f["error"].contains("tells letter case apart");
    assert!(
        folders.iter().any(is_told) || rows.iter().any(|r| r["path"] == format!("/{PLUGINS}")),
        "{folders:#?}"
    );
}
