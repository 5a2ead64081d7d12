//! `dsplug_bundles` on real directories: enumeration, evidence, and evasions by name.
//!
//! What is expected is written out by hand from the loader's and CoreFoundation's rules; digests and
//! sizes come from `sha256sum`, `stat` and the shell.

mod discovery;
mod executable;
mod load;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::common::{only_bundle, query};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, fifo, set_mtime, skipped};

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
