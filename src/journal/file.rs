//! The journal's file: opened by one process at a time, and put aside when it is damaged.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::root::Root;
use crate::sqlite::store::{Store, StoreError};
use crate::state_dir::{Lock, StateDir, StateDirError};

/// The file.
pub const FILE: &str = "journal.db";
/// What SQLite puts beside it.
const BESIDE: [&str; 2] = ["journal.db-wal", "journal.db-shm"];
/// What was in files that lost their place, on the way to that.
const SAVED: &str = "journal.saved";
/// Locked by the process that writes.
const LOCK: &str = "journal.lock";
/// What the name of a file that was put aside begins with.
const ASIDE: &str = "journal.aside-";
/// Files that were put aside and are kept, the newest; each has at most [`LARGEST`] bytes.
const MOST_ASIDE: usize = 2;
/// A larger file is none of ours, in bytes.
const LARGEST: u64 = 32 << 20;
/// Names in the directory that are looked through for files put aside.
const MOST_NAMES: usize = 1_000;
/// Why there is no journal to be written.
#[derive(Debug)]
pub enum Refusal {
    /// The place cannot hold it.
    Place(StateDirError),
    /// The file cannot be used.
    Store(StoreError),
    /// Another process writes it.
    Busy(PathBuf),
    /// It was tried a moment ago, and what is wrong has been said.
    Said,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Busy(path) => {
                write!(f, "another dsplug writes the journal in {}", path.display())
            }
            Self::Said => f.write_str("the journal cannot be used yet"),
        }
    }
}

impl From<StateDirError> for Refusal {
    fn from(error: StateDirError) -> Self {
        Self::Place(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The file, open to be written.
#[derive(Debug)]
pub struct Open {
    /// What it holds.
    pub store: Store,
    /// Another file in its place, or in that of what is beside it, is noticed by them.
    pub ids: Ids,
    /// Where it is.
    pub path: PathBuf,
    _lock: Lock,
}

impl Open {
    /// What became of the first of its files that has lost its place, for people.
    pub fn displaced(&self) -> Option<String> {
        let there = Ids::at(&self.path);
        let mut files = files(&self.path).zip(self.ids.0.iter().zip(there.0));
        let (file, (_, there)) = files.find(|(_, (open, there))| *open != there)?;
        let became = match there {
            Some(_) => "replaced by another file",
            None => "taken away",
        };
        Some(format!("{} was {became}", file.display()))
    }
}

/// Device and inode of a file.
type Id = (u64, u64);

/// Those of the journal's file and of what SQLite keeps beside it for as long as that is open; nothing for what
/// is not there. Whoever opens it anew finds what is beside it by its name, and whoever has it open does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids([Option<Id>; 3]);

impl Ids {
    /// Those of what stands there now, none of which is followed.
    pub fn at(path: &Path) -> Self {
        let mut files = files(path).map(|file| id_at(&file));
        Self(std::array::from_fn(|_| files.next().flatten()))
    }
}

/// A file and what SQLite puts beside it.
fn files(path: &Path) -> impl Iterator<Item = PathBuf> {
    let beside = BESIDE.map(|name| path.with_file_name(name));
    [path.to_owned()].into_iter().chain(beside)
}

fn id_at(path: &Path) -> Option<Id> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// What became of the files that were open last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// They stand where they stood.
    InPlace,
    /// They have lost their place: what stands there is none of ours.
    Displaced,
    /// So they have, and what they held was [saved](save).
    Saved,
}

/// Saves what files hold that have lost their place.
pub fn save(open: &Open, place: &Path, root: &Root) -> Result<(), Refusal> {
    let state = StateDir::open(place, root)?;
    // An older one, if any.
    let _ = state.remove(SAVED);
    drop(state.create(SAVED)?);
    let copied = open.store.copy_to(&state.path().join(SAVED));
    if copied.is_err() {
        // It takes room that may be what is lacking.
        let _ = state.remove(SAVED);
    }
    Ok(copied?)
}

/// Opens the journal in a place; with it, why a file was put aside.
pub fn open(place: &Path, root: &Root, last: Last) -> Result<(Open, Option<String>), Refusal> {
    let state = StateDir::open(place, root)?;
    let lock = state.lock(LOCK)?;
    let lock = lock.ok_or_else(|| Refusal::Busy(state.path().to_owned()))?;
    let path = state.path().join(FILE);
    let mut displaced = None;
    // What was saved may stand there already.
    let is_there = last == Last::Saved && id_at(&state.path().join(SAVED)).is_none();
    if last != Last::InPlace && !is_there {
        if id_at(&path).is_some() {
            let aside = state.path().join(put_aside(&state)?);
            let aside = aside.display();
            displaced = Some(format!("what stood in its place is kept aside as {aside}"));
        } else {
            // SQLite would take what is left there for its own. There may be none.
            BESIDE.iter().for_each(|name| drop(state.remove(name)));
        }
        if last == Last::Saved {
            state.rename(SAVED, FILE)?;
            state.sync()?;
        }
    }
    let ((store, ids), aside) = match open_store(&state) {
        Err(Refusal::Store(StoreError::Damaged(why))) => {
            let name = put_aside(&state)?;
            let aside = state.path().join(name);
            let why = format!(
                "the journal was damaged ({why}); it is kept aside as {} and a new one begun",
                aside.display()
            );
            (open_store(&state)?, Some(why))
        }
        other => (other?, displaced),
    };
    let open = Open {
        store,
        ids,
        path,
        _lock: lock,
    };
    Ok((open, aside))
}

fn damaged(why: String) -> Refusal {
    Refusal::Store(StoreError::Damaged(why))
}

fn open_store(state: &StateDir) -> Result<(Store, Ids), Refusal> {
    for name in [FILE].into_iter().chain(BESIDE) {
        match state.file(name) {
            Ok(Some(file)) => {
                let size = file.metadata().map_or(u64::MAX, |m| m.len());
                if size > LARGEST {
                    return Err(damaged(format!("{name} has {size} bytes")));
                }
            }
            Ok(None) if name == FILE => drop(state.create(FILE)?),
            Ok(None) => {}
            // Neither followed nor waited for.
            Err(StateDirError::Unsafe(_, why)) => return Err(damaged(format!("{name} {why}"))),
            Err(error) => return Err(error.into()),
        }
    }
    let path = state.path().join(FILE);
    let before = id_at(&path);
    let store = Store::open(&path)?;
    // Whoever exchanges it in this moment is noticed as well.
    let ids = Ids::at(&path);
    if before.is_some() && ids.0.first() == Some(&before) {
        Ok((store, ids))
    } else {
        Err(damaged("another file has taken its place".to_owned()))
    }
}

/// Renames the journal's file and what is beside it; gives the new name.
fn put_aside(state: &StateDir) -> Result<String, StateDirError> {
    let name = format!("{ASIDE}{}", now_ms());
    state.rename(FILE, &name)?;
    for beside in BESIDE {
        let suffix = beside.strip_prefix(FILE).unwrap_or_default();
        match state.rename(beside, &format!("{name}{suffix}")) {
            Err(StateDirError::Io(_, _, error)) if error.kind() == std::io::ErrorKind::NotFound => {
            }
            other => other?,
        }
    }
    let (names, _) = state.names(MOST_NAMES)?;
    let names: Vec<String> = names
        .into_iter()
        .filter_map(|name| String::from_utf8(name).ok())
        .filter(|name| name.starts_with(ASIDE))
        .collect();
    let times = names
        .iter()
        .filter(|name| !name.contains("-wal") && !name.contains("-shm"));
    let old = times.clone().count().saturating_sub(MOST_ASIDE);
    for stale in times.take(old) {
        for name in names.iter().filter(|name| name.starts_with(stale.as_str())) {
            // One that is a directory stays.
            let _ = state.remove(name);
        }
    }
    state.sync()?;
    Ok(name)
}

/// Milliseconds of Unix time.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
