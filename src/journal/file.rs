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
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Busy(path) => {
                write!(f, "another dsplug writes the journal in {}", path.display())
            }
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
    /// Device and inode: another file in its place is noticed.
    pub id: (u64, u64),
    /// Where it is.
    pub path: PathBuf,
    _lock: Lock,
}

/// Opens the journal in a place; with it, why a file was put aside.
pub fn open(place: &Path, root: &Root) -> Result<(Open, Option<String>), Refusal> {
    let state = StateDir::open(place, root)?;
    let lock = state.lock(LOCK)?;
    let lock = lock.ok_or_else(|| Refusal::Busy(state.path().to_owned()))?;
    let (store, aside) = match open_store(&state) {
        Err(Refusal::Store(StoreError::Damaged(why))) => {
            let name = put_aside(&state)?;
            let aside = state.path().join(name);
            let why = format!(
                "the journal was damaged ({why}); it is kept aside as {} and a new one begun",
                aside.display()
            );
            (open_store(&state)?, Some(why))
        }
        other => (other?, None),
    };
    let path = state.path().join(FILE);
    let file = state.file_to_read(FILE)?;
    let meta = file.and_then(|file| file.metadata().ok());
    let id = meta.map(|m| (m.dev(), m.ino()));
    let open = Open {
        store,
        id: id.unwrap_or_default(),
        path,
        _lock: lock,
    };
    Ok((open, aside))
}

fn open_store(state: &StateDir) -> Result<Store, Refusal> {
    let damaged = |why: String| Refusal::Store(StoreError::Damaged(why));
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
    Ok(Store::open(&state.path().join(FILE))?)
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
