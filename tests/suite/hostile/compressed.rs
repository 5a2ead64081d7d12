//! Files that a Mac's file system has compressed: there the kernel unpacks them, and who reads their bytes elsewhere
//! sees what does not run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::code;
use crate::common::{Row, call, only_bundle, query};
use dsplug::exceptions::LOCAL;
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, compress, needs_root, skipped};

const SAID: &str = "is compressed by the file system (com.apple.decmpfs), and is not unpacked here: read it on a Mac";

fn disk() -> Option<Disk> {
    let disk = Disk::with_room_for_attributes();
    if disk.is_none() {
        skipped("the file system has no extended attributes");
    }
    disk
}

/// Holds that this is said of the only bundle, of which nothing is proved then.
#[track_caller]
fn is_not_read(disk: &Disk, file: &str) -> Row {
    let row = only_bundle(disk.path());
    let said = format!("unreadable: /{file} {SAID}");
    assert!(row["error"].contains(&said), "{}", row["error"]);
    row
}

fn plugin(name: &str) -> String {
    format!("{PLUGINS}/A.dsplug/{name}")
}

#[test]
fn an_executable_that_is_compressed_is_not_read() {
    let Some(disk) = disk() else { return };
    Plugin::new("A").write(disk.plugin(""));
    let file = plugin("Contents/MacOS/A");
    let good = fs::read(disk.at(&file)).unwrap();
    compress(disk.at(&file), "evil");
    // Whether the data fork is empty, as a Mac has it, or a decoy.
    for decoy in [Vec::new(), good] {
        fs::write(disk.at(&file), decoy).unwrap();
        let row = is_not_read(&disk, &file);
        assert_eq!(row["load_verdict"], "unknown");
        assert_eq!(row["load_reasons"], "unreadable");
        assert_eq!(row["signature_state"], "unreadable");
        assert_eq!((&*row["hash"], &*row["executable_hash"]), ("", ""));
        assert_ne!(row["unread"], "");
    }
}

#[test]
fn an_info_plist_that_is_compressed_is_not_read() {
    let Some(disk) = disk() else { return };
    Plugin::new("A").write(disk.plugin(""));
    let file = plugin("Contents/Info.plist");
    let good = fs::read(disk.at(&file)).unwrap();
    compress(disk.at(&file), &good);
    for decoy in [Vec::new(), good] {
        fs::write(disk.at(&file), decoy).unwrap();
        let row = is_not_read(&disk, &file);
        assert_eq!(row["load_verdict"], "unknown");
        assert_eq!(row["load_reasons"], "unreadable");
        assert_eq!((&*row["hash"], &*row["bundle_identifier"]), ("", ""));
    }
}

/// A language of that list leads the loader anywhere.
#[test]
fn a_list_of_the_folder_that_is_compressed_names_no_languages_for_sure() {
    let Some(disk) = disk() else { return };
    let language = disk.dir(format!("{PLUGINS}/Resources/xx.lproj"));
    Plugin::new("A").write(language);
    let file = format!("{PLUGINS}/Resources/Info.plist");
    let list =
        "<plist><dict><key>CFBundleDevelopmentRegion</key><string>xx</string></dict></plist>";
    compress(disk.file(&file, ""), list);
    let folders = query(
        disk.path(),
        "SELECT error FROM dsplug_folders WHERE error <> ''",
    );
    let said = format!("/{file} {SAID}");
    assert!(
        folders.iter().any(|row| row["error"].contains(&said)),
        "{folders:?}"
    );
}

#[test]
fn a_library_outside_that_is_compressed_is_not_read() {
    let Some(disk) = disk() else { return };
    let names = code(&["/Users/Shared/x.dylib"], &[]);
    Plugin::new("A").executable(names).write(disk.plugin(""));
    let file = "Users/Shared/x.dylib";
    compress(disk.file(file, code(&[], &[])), code(&[], &[]));
    let row = is_not_read(&disk, file);
    assert_eq!((&*row["linked_hash"], row["hash"].len()), ("", 64));
}

#[test]
fn what_a_link_leads_to_that_is_compressed_is_not_read() {
    let Some(disk) = disk() else { return };
    let bundle = Plugin::new("A").write(disk.plugin(""));
    symlink("/Users/Shared/fw", bundle.join("Contents/fw")).unwrap();
    let file = "Users/Shared/fw/x";
    compress(disk.file(file, ""), "x");
    assert_eq!(is_not_read(&disk, file)["linked_hash"], "");
}

#[test]
fn an_executable_outside_that_is_compressed_is_not_read() {
    let Some(disk) = disk() else { return };
    let file = "Users/Shared/x";
    compress(disk.file(file, ""), "x");
    Plugin::new("A")
        .key("CFBundleExecutable", "/Users/Shared/x")
        .write(disk.plugin(""));
    let row = is_not_read(&disk, file);
    assert_eq!(
        (&*row["load_verdict"], &*row["executable_hash"]),
        ("unknown", "")
    );
}

fn except(disk: &Disk, keys: &[(&str, &str)]) {
    let keys: String = [("id", "one")]
        .iter()
        .chain(keys)
        .map(|(key, value)| format!("<key>{key}</key><string>{value}</string>"))
        .collect();
    let list = format!(
        "<plist><dict><key>Exceptions</key><array><dict>{keys}</dict></array></dict></plist>"
    );
    chmod(disk.file(&LOCAL[1..], list), 0o644);
}

/// An exception by digests was made of a compressed bundle, or of its decoy, and the code exchanged.
#[test]
fn no_exception_accepts_code_that_is_compressed() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let Some(disk) = disk() else { return };
    chmod(disk.path(), 0o755);
    Plugin::new("A").executable("").write(disk.plugin(""));
    let file = disk.plugin("A.dsplug/Contents/MacOS/A");
    let hashes = |path: &Path| {
        let row = only_bundle(path);
        (row["hash"].clone(), row["executable_hash"].clone())
    };
    let (hash, executable) = hashes(disk.path());
    except(&disk, &[("hash", &hash), ("executable_hash", &executable)]);
    assert_eq!(only_bundle(disk.path())["exception"], "one");
    for code in ["good", "evil"] {
        compress(&file, code);
        let row = only_bundle(disk.path());
        assert_eq!((&*row["exception"], &*row["hash"]), ("", ""));
    }
}

/// Of a library outside a digest of the bundle says nothing: one is accepted with what it reaches.
#[test]
fn no_exception_accepts_a_library_that_is_compressed() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let Some(disk) = disk() else { return };
    chmod(disk.path(), 0o755);
    let names = code(&["/Users/Shared/x.dylib"], &[]);
    Plugin::new("A").executable(names).write(disk.plugin(""));
    let library = disk.file("Users/Shared/x.dylib", "");
    let row = only_bundle(disk.path());
    except(
        &disk,
        &[("hash", &row["hash"]), ("linked_hash", &row["linked_hash"])],
    );
    assert_eq!(only_bundle(disk.path())["exception"], "one");
    compress(library, code(&[], &[]));
    assert_eq!(only_bundle(disk.path())["exception"], "");
}

#[test]
fn a_list_of_exceptions_that_is_compressed_accepts_nothing() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let Some(disk) = disk() else { return };
    chmod(disk.path(), 0o755);
    let code = MachO::bundle(Cpu::X86_64).unsigned();
    Plugin::new("A").executable(code).write(disk.plugin(""));
    let path = format!("/{}", plugin("").trim_end_matches('/'));
    except(&disk, &[("path", &path)]);
    assert_eq!(only_bundle(disk.path())["exception"], "one");
    let list = disk.at(&LOCAL[1..]);
    let decoy = fs::read(&list).unwrap();
    compress(&list, "other");
    fs::write(&list, decoy).unwrap();
    assert_eq!(only_bundle(disk.path())["exception"], "");
    let rows = query(disk.path(), "SELECT error FROM dsplug_exceptions");
    assert!(
        rows.iter().any(|row| row["error"].contains(SAID)),
        "{rows:?}"
    );
}

/// What is no proof is evidence all the same.
#[test]
fn what_is_compressed_is_collected_and_put_into_the_vault_and_back() {
    let Some(disk) = disk() else { return };
    let bundle = Plugin::new("A").write(disk.plugin(""));
    let file = bundle.join("Contents/MacOS/A");
    compress(&file, "evil");
    let place = tempfile::tempdir().unwrap();
    let path = format!("/{}", plugin("").trim_end_matches('/'));
    let state = place.path().join("state");
    let done = |command: &str, arguments: &[&str]| {
        let mut call = call(command, disk.path());
        let output = call.args(arguments).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        output.stdout
    };
    let archive = place.path().join("a.tar.gz");
    done("collect", &[&path, "--output", archive.to_str().unwrap()]);
    let state = ["--yes-write-image", "--state-dir", state.to_str().unwrap()];
    done("quarantine", &[&[path.as_str()], state.as_slice()].concat());
    assert!(!bundle.exists());
    let list = ["--list", "--format", "json"];
    let ledger = done("quarantine", &[&list, &state[1..]].concat());
    let ledger: Vec<Row> = serde_json::from_slice(&ledger).unwrap();
    done(
        "restore",
        &[&[ledger[0]["id"].as_str()], state.as_slice()].concat(),
    );
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(&file, "user.com.apple.decmpfs", &mut value).unwrap();
    assert!(value[..length].ends_with(b"evil"));
}
