//! Where state is kept: only where nobody but root and the caller can change it, and never below
//! the root.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use dsplug::root::Root;
use dsplug::state_dir::{self, StateDir, StateDirError};
use dsplug_fixtures::{Disk, chmod, fifo, needs_root, safe_umask};
use tempfile::TempDir;

fn root(disk: &Disk) -> Root {
    Root::open(disk.path()).unwrap()
}

fn temporary() -> TempDir {
    safe_umask();
    tempfile::tempdir().unwrap()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[track_caller]
fn refused(place: &Path, why: &str) {
    let error = StateDir::open(place, &root(&Disk::new())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(why), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn it_is_made_for_its_owner_alone_and_found_again() {
    let (disk, outside) = (Disk::new(), temporary());
    let place = outside.path().join("state");
    assert!(StateDir::find(&place, &root(&disk)).unwrap().is_none());
    let far = outside.path().join("none/state");
    assert!(StateDir::find(&far, &root(&disk)).unwrap().is_none());
    let state = StateDir::open(&place, &root(&disk)).unwrap();
    assert_eq!(mode(&place), 0o700);
    let vault = state.folder("vault").unwrap();
    assert_eq!(mode(place.join("vault")), 0o700);
    let mut file = vault.create("one").unwrap();
    file.write_all(b"1").unwrap();
    assert_eq!(mode(place.join("vault/one")), 0o600);
    assert!(vault.create("one").is_err(), "what is there stays");
    vault.rename("one", "two").unwrap();
    vault.sync().unwrap();
    assert_eq!(vault.names(9).unwrap(), (vec![b"two".to_vec()], 0));
    assert!(vault.file("one").unwrap().is_none());
    assert!(vault.file_to_read("two").unwrap().is_some());
    vault.remove("two").unwrap();
    vault.remove("two").unwrap();
    state.remove_folder("vault").unwrap();
    assert!(state.find_folder("vault").unwrap().is_none());
    assert!(StateDir::find(&place, &root(&disk)).unwrap().is_some());
}

#[test]
fn a_directory_above_that_is_missing_is_an_error() {
    let outside = temporary();
    refused(&outside.path().join("none/state"), "No such file");
    refused(Path::new("/"), "is no place of its own");
}

#[test]
fn what_others_could_change_is_refused() {
    let outside = temporary();
    for bits in [0o775, 0o757] {
        let place = outside.path().join(format!("{bits:o}"));
        fs::create_dir(&place).unwrap();
        chmod(&place, bits);
        refused(&place, "can be written by others");
        refused(&place.join("below"), "can be written by others");
        assert!(!place.join("below").exists());
    }
}

#[test]
fn what_belongs_to_another_is_refused() {
    if !needs_root("a directory is given to another user") {
        return;
    }
    let outside = temporary();
    let place = outside.path().join("foreign");
    fs::create_dir(&place).unwrap();
    chown(&place, Some(12_345), None).unwrap();
    refused(&place, "belongs to uid 12345");
    refused(&place.join("below"), "belongs to uid 12345");
}

#[test]
fn a_link_in_its_place_is_refused_and_one_above_is_followed_when_it_is_ours() {
    let outside = temporary();
    fs::create_dir(outside.path().join("real")).unwrap();
    let link = outside.path().join("link");
    symlink("real", &link).unwrap();
    refused(&link, "is a symlink");
    let state = StateDir::open(&link.join("state"), &root(&Disk::new())).unwrap();
    let real = fs::canonicalize(outside.path()).unwrap().join("real/state");
    assert_eq!(state.path(), real);
    if needs_root("a link is given to another user") {
        std::os::unix::fs::lchown(&link, Some(12_345), None).unwrap();
        refused(&link.join("other"), "belongs to uid 12345");
    }
}

#[test]
fn in_a_directory_with_the_sticky_bit_the_entry_itself_counts() {
    let outside = temporary();
    let shared = outside.path().join("shared");
    fs::create_dir(&shared).unwrap();
    chmod(&shared, 0o1777);
    StateDir::open(&shared.join("mine"), &root(&Disk::new())).unwrap();
    refused(&shared, "can be written by others");
}

#[test]
fn files_that_others_could_have_written_are_refused() {
    let outside = temporary();
    let place = outside.path().join("state");
    let state = StateDir::open(&place, &root(&Disk::new())).unwrap();
    fs::write(place.join("open"), "").unwrap();
    chmod(place.join("open"), 0o666);
    symlink("open", place.join("link")).unwrap();
    fifo(place.join("fifo"));
    for (name, why) in [
        ("open", "can be written by others"),
        ("link", "is a symlink"),
        ("fifo", "is no regular file"),
    ] {
        let text = state.file(name).unwrap_err().to_string();
        assert!(text.contains(why), "{text}");
        let text = state.file_to_read(name).unwrap_err().to_string();
        assert!(text.contains(why), "{text}");
    }
    let text = state.folder("open").unwrap_err().to_string();
    assert!(text.contains("is no directory"), "{text}");
}

#[test]
fn it_is_never_below_the_root() {
    let disk = Disk::new();
    let before = fs::metadata(disk.path()).unwrap().mtime_nsec();
    let outside = temporary();
    symlink(disk.path(), outside.path().join("link")).unwrap();
    for place in [
        disk.at("state"),
        disk.at("Library/state"),
        disk.at("Library/../state"),
        outside.path().join("link/Library/state"),
        disk.path().to_owned(),
    ] {
        let error = StateDir::open(&place, &root(&disk)).unwrap_err();
        assert!(matches!(error, StateDirError::BelowRoot(_)), "{error}");
    }
    assert_eq!(fs::metadata(disk.path()).unwrap().mtime_nsec(), before);
    // Beside it is no matter.
    StateDir::open(&disk.at("../").join(outside.path().join("s")), &root(&disk)).unwrap();
}

#[test]
fn one_holds_a_lock_at_a_time() {
    let outside = temporary();
    let state = StateDir::open(&outside.path().join("state"), &root(&Disk::new())).unwrap();
    let first = state.lock("lock").unwrap();
    assert!(first.is_some());
    assert!(state.lock("lock").unwrap().is_none());
    drop(first);
    assert!(state.lock("lock").unwrap().is_some());
}

#[test]
fn nothing_is_kept_of_another_disk_unless_a_place_is_named() {
    let disk = Disk::new();
    assert_eq!(state_dir::place(None, &root(&disk)), None);
    let named = Path::new("/x");
    let place = state_dir::place(Some(named), &root(&disk));
    assert_eq!(place.as_deref(), Some(named));
    let own = state_dir::place(None, &Root::open(Path::new("/")).unwrap());
    let expected = cfg!(target_os = "macos").then(|| Path::new(state_dir::PLACE));
    assert_eq!(own.as_deref(), expected);
}
