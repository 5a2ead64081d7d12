//! Which files stand at the journal's names: root can put others there, and SQLite finds them by these.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The file.
pub const FILE: &str = "journal.db";

/// What SQLite adds to the name of a file for what it puts beside it.
pub const BESIDE: [&str; 3] = [LOG, "-shm", ROLLBACK];

/// What it adds to that of its log of writes.
pub const LOG: &str = "-wal";

/// What it adds to that of the journal it would roll back. Ours has none, since the log of writes is in its place, but
/// SQLite looks for one at each opening, and would wait for ever for a FIFO: what stands there is none of ours.
pub const ROLLBACK: &str = "-journal";

/// Device and inode of a file.
pub type Id = (u64, u64);

/// Those of the journal's file and of what SQLite keeps beside it for as long as that is open; nothing for what
/// is not there. Whoever opens it anew finds what is beside it by its name, and whoever has it open does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids([Option<Id>; 4]);

impl Ids {
    /// Those of what stands there now, none of which is followed.
    pub fn at(path: &Path) -> Self {
        let mut files = files(path).map(|file| id_at(&file));
        Self(std::array::from_fn(|_| files.next().flatten()))
    }

    /// That of the file itself.
    pub fn file(&self) -> Option<Id> {
        let [file, ..] = self.0;
        file
    }

    /// What became of the first of the files that has lost its place, for people.
    pub fn displaced(&self, path: &Path) -> Option<String> {
        let there = Self::at(path);
        let mut files = files(path).zip(self.0.iter().zip(there.0));
        let (file, (open, there)) = files.find(|(_, (open, there))| *open != there)?;
        Some(became(&file, *open, there))
    }
}

/// What became of a file that was `open`, if any, by what stands in its place.
pub fn became(file: &Path, open: Option<Id>, there: Option<Id>) -> String {
    let became = match (open, there) {
        (_, None) => "taken away",
        (None, _) => "put there by another",
        _ => "replaced by another file",
    };
    format!("{} was {became} while the journal was open", file.display())
}

/// That of what stands at a path, which is not followed.
pub fn id_at(path: &Path) -> Option<Id> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// A file and what SQLite puts beside it.
fn files(path: &Path) -> impl Iterator<Item = PathBuf> {
    [""].into_iter().chain(BESIDE).map(|suffix| {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        PathBuf::from(file)
    })
}
