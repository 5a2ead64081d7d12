//! A disk, a place for vault and ledger, and a picture of everything that a file system knows.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dsplug_fixtures::{Disk, PLUGINS};

use crate::common::Row;

pub const DSPLUG: &str = env!("CARGO_BIN_EXE_dsplug");

/// A disk and a state directory beside it.
pub struct Scene {
    pub disk: Disk,
    pub place: tempfile::TempDir,
}

impl Scene {
    pub fn new(disk: Disk) -> Self {
        let place = tempfile::tempdir().unwrap();
        Self { disk, place }
    }

    /// The state directory on another volume, where there is one.
    pub fn across(disk: Disk) -> Option<Self> {
        let place = tempfile::tempdir_in("/dev/shm").ok()?;
        let device = |path: &Path| path.metadata().unwrap().dev();
        if device(place.path()) == device(disk.path()) {
            return None;
        }
        Some(Self { disk, place })
    }

    pub fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    pub fn arguments(&self, arguments: &[&str]) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec![DSPLUG.into()];
        all.extend(arguments.iter().map(Into::into));
        all.extend(["--root".into(), self.disk.path().into()]);
        all.extend(["--state-dir".into(), self.state().into()]);
        if matches!(arguments[0], "quarantine" | "restore") && !arguments.contains(&"--list") {
            all.push("--yes-write-image".into());
        }
        all
    }

    pub fn call(&self, arguments: &[&str]) -> Output {
        let all = self.arguments(arguments);
        Command::new(&all[0]).args(&all[1..]).output().unwrap()
    }

    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A call that must fail with one line, which it gives.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    }

    /// The rows of the ledger.
    pub fn ledger(&self) -> Vec<Row> {
        let text = self.done(&["quarantine", "--list", "--format", "json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// The path of a bundle as the Mac names it.
    pub fn path(name: &str) -> String {
        format!("/{PLUGINS}/{name}")
    }

    /// Everything on the disk, times of the directories apart in which names come and go.
    pub fn picture(&self) -> Picture {
        let mut all = picture(self.disk.path());
        for way in ["", "opt", PLUGINS] {
            all.remove(Path::new(way));
        }
        all
    }
}

/// Everything that a file system knows of a tree.
pub type Picture = BTreeMap<PathBuf, String>;

pub fn picture(top: &Path) -> Picture {
    let mut all = Picture::new();
    for entry in walkdir::WalkDir::new(top) {
        let entry = entry.unwrap();
        let meta = entry.path().symlink_metadata().unwrap();
        let kind = meta.file_type();
        let content = if kind.is_symlink() {
            fs::read_link(entry.path())
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec()
        } else if kind.is_file() {
            let content = fs::read(entry.path()).unwrap();
            ring::digest::digest(&ring::digest::SHA256, &content)
                .as_ref()
                .to_vec()
        } else {
            vec![u8::from(kind.is_fifo()), u8::from(kind.is_socket())]
        };
        let mut attributes = Vec::with_capacity(4096);
        if kind.is_file() || kind.is_dir() {
            let mut names = Vec::with_capacity(4096);
            let _ = rustix::fs::listxattr(entry.path(), rustix::buffer::spare_capacity(&mut names));
            for name in names.split(|b| *b == 0).filter(|n| !n.is_empty()) {
                let mut value = Vec::with_capacity(4096);
                let spare = rustix::buffer::spare_capacity(&mut value);
                rustix::fs::getxattr(entry.path(), name, spare).unwrap();
                attributes.push((name.to_vec(), value));
            }
        }
        attributes.sort();
        let size = if kind.is_dir() { 0 } else { meta.size() };
        let links = if kind.is_dir() { 0 } else { meta.nlink() };
        let text = format!(
            "{:o} {}:{} {size} {links} {}.{:09} {content:02x?} {attributes:02x?}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        all.insert(entry.path().strip_prefix(top).unwrap().to_owned(), text);
    }
    all
}
