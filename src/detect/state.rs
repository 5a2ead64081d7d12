//! What `detect` remembers between two calls, in a file that is whole or absent whenever it is
//! looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::Serialize;
use serde::de::DeserializeSeed as _;

use super::reading::Reading;
use crate::bounded_json::Bounded;
use crate::differential::{MOST_PACKED, Memory};

/// The format of the file, so that a later one is not misread.
const VERSION: u32 = 1;

/// The most that is read of a state, in bytes.
const MOST_BYTES: u64 = 256 << 20;
/// Permission bits that a state must not have: writable by the group, writable by others.
const WRITABLE: u32 = 0o022;

/// The memory of every query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    version: u32,
    /// What is remembered of each differential query, by its scheduled name.
    pub queries: BTreeMap<String, Memory>,
    /// When each snapshot was logged last, in seconds of Unix time.
    pub snapshots: BTreeMap<String, u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            queries: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        }
    }
}

/// Why there is no state.
#[derive(Debug)]
pub enum StateError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The file cannot be written; the one before it stands.
    Unwritable(PathBuf, io::Error),
    /// It is not a state.
    Damaged(PathBuf, String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "cannot read the state {}: {error}", path.display())
            }
            Self::Unwritable(path, error) => write!(
                f,
                "cannot write the state {}: {error}; what was told comes again with the next run",
                path.display()
            ),
            Self::Damaged(path, why) => write!(
                f,
                "the state {} is damaged: {why}; put back a copy, or move it away to begin with a new base line",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StateError {}

impl State {
    /// Bytes that the rows of a query may take, packed, beside those of the others.
    pub fn room_for(&self, query: &str) -> usize {
        let others = self.queries.iter().filter(|(name, _)| *name != query);
        others.fold(MOST_PACKED, |room, (_, memory)| {
            room.saturating_sub(memory.rows.size())
        })
    }

    /// Reads what a state has of the queries that are wanted, by their scheduled names; one that has never been
    /// written is empty. More is held of none than a run could have left.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is not a state.
    pub fn load(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Self, StateError> {
        let file = match open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(StateError::Unreadable(path.to_owned(), error)),
        };
        let damaged = |why: String| StateError::Damaged(path.to_owned(), why);
        let texts = io::BufReader::new(Bounded::new(file));
        let mut from = serde_json::Deserializer::from_reader(texts);
        let read = Reading(is_wanted).deserialize(&mut from);
        let read = read.and_then(|fields| from.end().map(|()| fields));
        let fields = match read {
            Ok(fields) => fields,
            Err(error)
                if error
                    .io_error_kind()
                    .is_some_and(|kind| kind != io::ErrorKind::InvalidData) =>
            {
                return Err(StateError::Unreadable(path.to_owned(), error.into()));
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        if fields.version != VERSION {
            return Err(damaged(format!(
                "its version is {}, and this program knows {VERSION}",
                fields.version
            )));
        }
        Ok(Self {
            version: VERSION,
            queries: fields.queries,
            snapshots: fields.snapshots,
        })
    }

    /// Writes a state: beside its place, to the disk, and then into its place at once.
    ///
    /// # Errors
    /// When it cannot be written; what was there before stands.
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        self.write(path)
            .map_err(|error| StateError::Unwritable(path.to_owned(), error))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut beside = name.to_owned();
        beside.push(".new");
        let beside = directory.join(beside);
        if let Err(error) = self.write_file(&beside) {
            // Half a state is of no use, and where the disk is full it takes the room.
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
        fs::rename(&beside, path)?;
        // The new name itself must reach the disk too.
        File::open(directory)?.sync_all()
    }

    fn write_file(&self, path: &Path) -> io::Result<()> {
        let new = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(libc_flags(OFlags::NOFOLLOW | OFlags::CLOEXEC))
                .open(path)
        };
        let file = match new() {
            // What a crash has left, or somebody who can write the folder: it is never written to.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(path)?;
                new()?
            }
            other => other?,
        };
        let mut out = io::BufWriter::new(&file);
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")?;
        // Dropping it would write as well, and tell nobody that it could not.
        out.flush()?;
        file.sync_all()
    }
}

/// Opens a state that nobody else could have written, whatever stands in its place and however long
/// that is; a FIFO is not waited for.
fn open(path: &Path) -> io::Result<impl Read> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    let is_link = fs::symlink_metadata(path)?.file_type().is_symlink();
    if is_link {
        return refused("it is a symbolic link".into());
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc_flags(flags))
        .open(path)?;
    // Asked of the open file: what stands under the name may be swapped meanwhile.
    let meta = file.metadata()?;
    if !meta.is_file() {
        return refused("it is no regular file".into());
    }
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != own && meta.uid() != 0 {
        return refused(format!(
            "it belongs to uid {}, who could have written anything",
            meta.uid()
        ));
    }
    if meta.mode() & WRITABLE != 0 {
        return refused(format!(
            "others can write it (mode {:04o})",
            meta.mode() & 0o7777
        ));
    }
    if meta.len() > MOST_BYTES {
        return refused(format!("it is larger than {MOST_BYTES} bytes"));
    }
    // One that grows meanwhile is cut off, and so no state.
    Ok(file.take(MOST_BYTES))
}

/// The flags as the standard library takes them.
fn libc_flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}
