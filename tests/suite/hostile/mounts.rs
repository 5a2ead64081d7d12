//! Volumes that are mounted where a Mac has none: what their server gives may be another thing for each who asks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::query;
use dsplug::exceptions::LOCAL;
use dsplug::root::Root;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, needs_root, skipped};
use plist::{Dictionary, Value};

/// A volume that is mounted while it lives. Nothing answers for it: what is asked of it waits for
/// ever, or is an error once its server has gone.
pub struct Mounted(PathBuf);

impl Mounted {
    /// A file system whose server has gone, and a memory file system; `None` where this machine
    /// does not let one mount.
    pub fn new(at: PathBuf, of: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let line = match of {
            "gone" => {
                "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none \"$1\""
            }
            _ => "mount -t tmpfs none \"$1\"",
        };
        let mut mount = Command::new("bash");
        mount.args(["-c", line, "bash"]).arg(&at);
        Self::by(mount, at)
    }

    /// A directory over another, which its device does not tell from that.
    pub fn bound(of: &Path, over: PathBuf) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.arg("--bind").args([of, &over]);
        Self::by(mount, over)
    }

    fn by(mut mount: Command, at: PathBuf) -> Option<Self> {
        let out = mount.output().unwrap();
        if !out.status.success() {
            let why = String::from_utf8_lossy(&out.stderr);
            skipped(format_args!("no mount: {why}"));
            return None;
        }
        Some(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It may have gone with the one above it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Accepts what has these digests, and nothing else.
pub fn accept(disk: &Disk, hash: &str, linked_hash: &str) {
    let mut entry = Dictionary::new();
    for (key, text) in [("id", "one"), ("hash", hash), ("linked_hash", linked_hash)] {
        if !text.is_empty() {
            entry.insert(key.into(), text.into());
        }
    }
    let entries = Value::Array(vec![Value::Dictionary(entry)]);
    let mut bytes = Vec::new();
    let list = Value::Dictionary(Dictionary::from_iter([("Exceptions", entries)]));
    list.to_writer_xml(&mut bytes).unwrap();
    chmod(disk.file(&LOCAL[1..], bytes), 0o644);
}

/// The digest, the exception and the error of the only bundle.
pub fn told(disk: &Disk) -> [String; 4] {
    let rows = query(
        disk.path(),
        "SELECT * FROM dsplug_bundles WHERE kind <> 'folder'",
    );
    assert_eq!(rows.len(), 1, "{rows:#?}");
    ["hash", "linked_hash", "exception", "error"].map(|column| rows[0][column].clone())
}

fn anomalies(disk: &Disk) -> String {
    query(disk.path(), "SELECT anomalies FROM dsplug_folders")[0]["anomalies"].clone()
}

#[test]
fn what_a_volume_over_the_folder_serves_is_told_and_no_exception_accepts_it() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    for place in [PLUGINS, "Library/DirectoryServices"] {
        let disk = Disk::new();
        let write = || Plugin::new("A").write(disk.plugin(""));
        write();
        let honest = told(&disk);
        accept(&disk, &honest[0], "");
        assert_eq!(told(&disk)[2], "one");
        assert_eq!(anomalies(&disk), "");
        let Some(mounted) = Mounted::new(disk.at(place), "tmpfs") else {
            return;
        };
        // It may hide the folder from some alone.
        let words = anomalies(&disk);
        assert!(words.split(';').any(|word| word == "mounted"), "{words}");
        write();
        let why = format!("mount: a volume is mounted at /{place}");
        assert_eq!(told(&disk), [&honest[0], "", "", &why]);
        // Another layout it may show to dsplug alone.
        disk.dir(format!("{PLUGINS}/Contents/Resources"));
        let sql = "SELECT load_verdict, load_reasons FROM dsplug_bundles WHERE kind <> 'folder'";
        let rows = query(disk.path(), sql);
        assert_eq!(rows[0]["load_verdict"], "unknown");
        assert_eq!(rows[0]["load_reasons"], "maybe_listed");
        drop(mounted);
        assert_eq!(told(&disk)[2..], ["one", ""]);
    }
}

/// A directory over itself has its own number and times.
#[test]
fn a_volume_that_looks_as_what_it_covers_is_in_the_way() {
    if !cfg!(target_os = "linux") {
        return skipped("no system but Linux has such mounts");
    }
    let way = |disk: &Disk| query(disk.path(), "SELECT way FROM dsplug_folders")[0]["way"].clone();
    for place in [PLUGINS, "Library/DirectoryServices"] {
        let disk = Disk::new();
        disk.dir(PLUGINS);
        let before = way(&disk);
        let Some(bound) = Mounted::bound(&disk.at(place), disk.at(place)) else {
            return;
        };
        let with = way(&disk);
        assert_ne!(with, before, "{place}");
        assert_eq!(way(&disk), with);
        drop(bound);
        assert_eq!(way(&disk), before);
    }
}

#[test]
fn what_a_volume_covers_has_not_gone() {
    for place in [PLUGINS, "Library/DirectoryServices"] {
        let disk = Disk::new();
        Plugin::new("A").write(disk.plugin(""));
        let has_gone = |name: &str| {
            let root = Root::open(disk.path()).unwrap();
            root.has_gone(format!("/{PLUGINS}/{name}").as_bytes())
        };
        assert!(has_gone("B.dsplug") && !has_gone("A.dsplug"));
        let Some(mounted) = Mounted::new(disk.at(place), "tmpfs") else {
            return;
        };
        assert!(!has_gone("A.dsplug"), "{place}");
        drop(mounted);
        fs::remove_dir_all(disk.plugin("A.dsplug")).unwrap();
        assert!(has_gone("A.dsplug"));
    }
}

/// A directory of the same volume over another: its device tells nothing, and Linux says that it is mounted.
#[test]
fn a_directory_of_the_same_volume_over_another_is_told_on_linux() {
    if !cfg!(target_os = "linux") {
        return skipped("no system but Linux has such mounts");
    }
    for (place, covered) in [
        (PLUGINS, true),
        ("Library/DirectoryServices", true),
        (&format!("{PLUGINS}/A.dsplug"), false),
        ("Users/Shared/fw", false),
    ] {
        let disk = Disk::new();
        let bundle = Plugin::new("A").write(disk.plugin(""));
        disk.file("Users/Shared/fw/libx.dylib", "code");
        symlink("/Users/Shared/fw", bundle.join("Contents/Frameworks")).unwrap();
        let copy = disk.at("copy");
        let copied = Command::new("cp")
            .arg("-a")
            .args([&disk.at(place), &copy])
            .status();
        assert!(copied.unwrap().success());
        assert_eq!((&*told(&disk)[3], &*anomalies(&disk)), ("", ""));
        let Some(mounted) = Mounted::bound(&copy, disk.at(place)) else {
            return;
        };
        let why = format!("mount: a volume is mounted at /{place}");
        assert_eq!(told(&disk)[3], why);
        let words = anomalies(&disk);
        let is_told = words.split(';').any(|word| word == "mounted");
        assert_eq!(is_told, covered, "{place}: {words}");
        drop(mounted);
        assert_eq!((&*told(&disk)[3], &*anomalies(&disk)), ("", ""));
    }
}

#[test]
fn what_a_volume_serves_behind_links_is_told_and_no_exception_accepts_it() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    // A link that the volume serves leads on to what it does not.
    for (target, library) in [
        ("/Users/Shared/fw", "Users/Shared/fw/libx.dylib"),
        ("/Users/Shared/fw/../fw", "Users/Shared/fw/libx.dylib"),
        ("/Users/Shared/fw/on", "Users/Shared/other/libx.dylib"),
        (
            "/System/Volumes/Data/Users/Shared/fw",
            "Users/Shared/fw/libx.dylib",
        ),
    ] {
        let disk = Disk::new();
        let bundle = Plugin::new("A").write(disk.plugin(""));
        symlink(target, bundle.join("Contents/Frameworks")).unwrap();
        let write = || {
            disk.file(library, "code");
            disk.dir("Users/Shared/fw");
            let _ = symlink("../other", disk.at("Users/Shared/fw/on"));
        };
        write();
        let honest = told(&disk);
        accept(&disk, &honest[0], &honest[1]);
        assert_eq!(told(&disk)[2..], ["one", ""], "{target}");
        let Some(mounted) = Mounted::new(disk.at("Users/Shared/fw"), "tmpfs") else {
            return;
        };
        write();
        let why = "mount: a volume is mounted at /Users/Shared/fw";
        assert_eq!(told(&disk), [&honest[0], &honest[1], "", why], "{target}");
        drop(mounted);
        assert_eq!(told(&disk)[2..], ["one", ""], "{target}");
    }
}

/// Of what has `/System` in its path root writes some, and the system mounts nothing there.
#[test]
fn what_a_volume_serves_below_the_systems_paths_is_told_and_no_exception_accepts_it() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    for place in [
        "/System/Library/Assets/fw",
        "/System/Library/AssetsV2/fw",
        "/System/Library/Caches/fw",
        "/system/library/CACHES/fw",
        "/System/Library/CoreServices/CoreTypes.bundle/Contents/Library/fw",
        "/System/Library/PreinstalledAssets/fw",
        "/System/Library/PreinstalledAssetsV2/fw",
        "/System/Library/Speech/fw",
        "/System/Volumes/VM/x",
        "/System/Volumes/Preboot/x",
        "/System/Volumes/Update/x",
        "/System/Volumes/xarts/x",
        "/System/Volumes/iSCPreboot/x",
        "/System/Volumes/Hardware/x",
        "/usr/local/fw",
    ] {
        let disk = Disk::new();
        // In an image nothing but a volume is known to be what a Mac has there.
        let volume = place.strip_suffix("/x").map(|volume| {
            let mounted = Mounted::new(disk.at(&volume[1..]), "tmpfs");
            chmod(disk.at(&volume[1..]), 0o755);
            mounted
        });
        if matches!(volume, Some(None)) {
            return;
        }
        let bundle = Plugin::new("A").write(disk.plugin(""));
        symlink(place, bundle.join("Contents/Frameworks")).unwrap();
        let write = || disk.file(format!("{}/libx.dylib", &place[1..]), "code");
        write();
        let honest = told(&disk);
        accept(&disk, &honest[0], &honest[1]);
        assert_eq!(told(&disk)[2..], ["one", ""], "{place}");
        let Some(mounted) = Mounted::new(disk.at(&place[1..]), "tmpfs") else {
            return;
        };
        write();
        let why = format!("mount: a volume is mounted at {place}");
        assert_eq!(told(&disk), [&honest[0], &honest[1], "", &why], "{place}");
        drop(mounted);
        assert_eq!(told(&disk)[2..], ["one", ""], "{place}");
    }
}

#[test]
fn a_main_executable_that_a_volume_serves_is_told() {
    let disk = Disk::new();
    let Some(_mounted) = Mounted::new(disk.at("Users/Shared/bin"), "tmpfs") else {
        return;
    };
    disk.file("Users/Shared/bin/A", "code");
    let executable = "../../../../../../../Users/Shared/bin/A";
    Plugin::new("A")
        .key("CFBundleExecutable", executable)
        .write(disk.plugin(""));
    let [.., error] = told(&disk);
    assert_eq!(error, "mount: a volume is mounted at /Users/Shared/bin");
}

/// The data volume is another than that of the system, and the path shows what is mounted in `/Volumes`.
#[test]
fn where_a_mac_has_volumes_nothing_is_told() {
    let disk = Disk::empty();
    let places = [
        "Library",
        "Users",
        "Volumes/Work",
        "usr/local",
        "System/Library/Caches",
        "System/Library/AssetsV2",
        "System/Volumes/VM",
        "System/Volumes/Preboot",
        "System/Volumes/Preboot/Cryptexes/OS",
    ];
    let mounts = places.map(|place| Mounted::new(disk.at(place), "tmpfs"));
    if mounts.iter().any(Option::is_none) {
        return;
    }
    // That of a tmpfs is anybody's to write, and a Mac's is not.
    for place in places {
        chmod(disk.at(place), 0o755);
    }
    let bundle = Plugin::new("A").write(disk.plugin(""));
    for (name, target) in [
        ("a", "/Volumes/Work/x"),
        ("b", "/usr/local/lib/x"),
        ("c", "/Users/Shared/x"),
        ("d", "/Library/Frameworks/x"),
        ("e", "/System/Library/Caches/x"),
        ("f", "/System/Library/AssetsV2/x/y"),
        ("g", "/System/Volumes/VM/x"),
        ("h", "/System/Volumes/Preboot/Cryptexes/OS/x"),
    ] {
        disk.file(&target[1..], "code");
        symlink(target, bundle.join("Contents").join(name)).unwrap();
    }
    assert_eq!(told(&disk)[3], "");
    assert_eq!(anomalies(&disk), "");
    // A root is no finding, whatever it stands on.
    let disk = Disk::empty();
    let Some(_mounted) = Mounted::new(disk.at("image"), "tmpfs") else {
        return;
    };
    let image = disk.at("image");
    fs::create_dir_all(image.join(PLUGINS)).unwrap();
    Plugin::new("A").write(image.join(PLUGINS));
    for table in ["error FROM dsplug_bundles", "anomalies FROM dsplug_folders"] {
        let rows = query(&image, &format!("SELECT {table}"));
        let mut all = rows.iter().flat_map(|row| row.values());
        assert!(all.all(String::is_empty), "{rows:#?}");
    }
}

/// A Mac has the same directory at `/Users` and on the data volume, and here one is mounted in both places: by what
/// leads up from it, it is the shorter path that counts.
#[test]
fn what_leads_up_from_behind_a_firm_link_leads_to_what_is_above_that() {
    let disk = Disk::new();
    for dir in ["private/tmp", "System/Volumes/Data/tmp"] {
        Plugin::new("A").write(disk.dir(dir));
    }
    disk.link("tmp", "private/tmp");
    disk.dir("Users/Shared");
    let at = disk.dir("System/Volumes/Data/Users");
    let mut mount = Command::new("mount");
    let out = mount.arg("--bind").arg(disk.at("Users")).arg(&at).output();
    let _mounted = Mounted(at);
    if let Some(why) = out.map_or_else(
        |error| Some(error.to_string()),
        |out| (!out.status.success()).then(|| String::from_utf8_lossy(&out.stderr).into_owned()),
    ) {
        return skipped(format_args!("no mount: {why}"));
    }
    for target in [
        "/System/Volumes/Data/Users/../tmp/A.dsplug",
        "/System/Volumes/Data/Users/Shared/../../tmp/A.dsplug",
        "/system/volumes/data/users/../private/tmp/A.dsplug",
    ] {
        let link = disk.at(format!("{PLUGINS}/A.dsplug"));
        let _ = fs::remove_file(&link);
        symlink(target, &link).unwrap();
        let rows = query(
            disk.path(),
            "SELECT resolved_path, error FROM dsplug_bundles",
        );
        assert_eq!(
            (&*rows[0]["resolved_path"], &*rows[0]["error"]),
            ("/private/tmp/A.dsplug", ""),
            "{target}"
        );
    }
    // No kernel counts a firm link as a link: twice as many as this would be too many.
    Plugin::new("A").write(disk.at("Users/Shared"));
    for number in 0..20 {
        let next = match number {
            19 => "A.dsplug".to_owned(),
            _ => format!("{}", number + 1),
        };
        let text = format!("/System/Volumes/Data/Users/Shared/{next}");
        disk.link(format!("Users/Shared/{number}"), text);
    }
    let link = disk.at(format!("{PLUGINS}/A.dsplug"));
    fs::remove_file(&link).unwrap();
    symlink("/Users/Shared/0", &link).unwrap();
    let rows = query(disk.path(), "SELECT load_verdict FROM dsplug_bundles");
    assert_eq!(rows[0]["load_verdict"], "loadable");
}

/// A server shows each who asks what it likes.
#[test]
fn what_a_volume_serves_where_the_folder_leads_proves_nothing() {
    let disk = Disk::new();
    let Some(_mounted) = Mounted::new(disk.dir("Users/Shared/m"), "tmpfs") else {
        return;
    };
    chmod(disk.at("Users/Shared/m"), 0o755);
    Plugin::new("A").write(disk.at(PLUGINS));
    Plugin::new("X").write(disk.dir("Users/Shared/m/R"));
    disk.link(format!("{PLUGINS}/Resources"), "/Users/Shared/m/R");
    let sql = "SELECT load_verdict FROM dsplug_bundles WHERE path LIKE '%/A.dsplug'";
    assert_eq!(query(disk.path(), sql)[0]["load_verdict"], "unknown");
    assert!(anomalies(&disk).contains("mounted"));
    // Nor that nothing is there.
    let disk = Disk::empty();
    let Some(_mounted) = Mounted::new(disk.dir("Users/Shared/m"), "tmpfs") else {
        return;
    };
    disk.dir("Library/DirectoryServices");
    disk.link(PLUGINS, "/Users/Shared/m/P");
    let rows = query(disk.path(), "SELECT kind, error FROM dsplug_bundles");
    assert_eq!(rows[0]["kind"], "folder", "{rows:#?}");
}
