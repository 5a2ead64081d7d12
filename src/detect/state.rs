//! What `detect` remembers between two calls, in a file that is whole or absent whenever it is
//! looked at, in a directory that nobody else can write: who puts an older one in its place has `detect` forget.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeSeed as _;

use super::reading::Reading;
use crate::bounded_json::Bounded;
use crate::differential::{MOST_PACKED, Memory};
use crate::given;
use crate::state_dir::{StateDir, StateDirError};

/// The format of the file, so that a later one is not misread.
const VERSION: u32 = 1;

/// The most that is read of a state, in bytes.
const MOST_BYTES: u64 = 256 << 20;

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
    /// The file cannot be read, or others could have written it.
    Unreadable(PathBuf, StateDirError),
    /// The file cannot be written; the one before it stands.
    Unwritable(PathBuf, StateDirError),
    /// It is not a state.
    Damaged(PathBuf, String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                let why = why(error, path);
                write!(f, "cannot read the state {}: {why}", path.display())
            }
            Self::Unwritable(path, error) => write!(
                f,
                "cannot write the state {}: {}; what was told comes again with the next run",
                path.display(),
                why(error, path)
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

/// Why, with the path where that is another than the state's own.
fn why(error: &StateDirError, state: &Path) -> String {
    match error {
        StateDirError::Io(_, path, error) if path.starts_with(state) => given::why(error),
        other => other.to_string(),
    }
}

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
        let Some(file) =
            open(path).map_err(|error| StateError::Unreadable(path.to_owned(), error))?
        else {
            return Ok(Self::default());
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
                let error = StateDirError::Io("read", path.to_owned(), error.into());
                return Err(StateError::Unreadable(path.to_owned(), error));
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

    fn write(&self, path: &Path) -> Result<(), StateDirError> {
        let (directory, name) = StateDir::of_file(path)?;
        let beside = format!("{name}.new");
        let io = |what, error| StateDirError::Io(what, path.to_owned(), error);
        let Some(file) = directory.create_anew(&beside)? else {
            let why = "another call of detect is writing there; each needs a state of its own";
            return Err(io("write", io::Error::other(why)));
        };
        if let Err(error) = self.write_to(&file) {
            // Half a state is of no use, and where the disk is full it takes the room.
            let _ = directory.remove(&beside);
            return Err(io("write", error));
        }
        directory.rename(&beside, &name)?;
        directory.sync()
    }

    fn write_to(&self, file: &File) -> io::Result<()> {
        let mut out = io::BufWriter::new(file);
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")?;
        // Dropping it would write as well, and tell nobody that it could not.
        out.flush()?;
        file.sync_all()
    }
}

/// Opens a state that nobody else could have written, whatever stands in its place and however long that is; `None`
/// when it is not there.
fn open(path: &Path) -> Result<Option<impl Read>, StateDirError> {
    let (directory, name) = StateDir::of_file(path)?;
    let Some(file) = directory.file_to_read(&name)? else {
        return Ok(None);
    };
    let io = |error| StateDirError::Io("read", path.to_owned(), error);
    if file.metadata().map_err(io)?.len() > MOST_BYTES {
        let why = format!("it is larger than {MOST_BYTES} bytes");
        return Err(io(io::Error::new(io::ErrorKind::FileTooLarge, why)));
    }
    // One that grows meanwhile is cut off, and so no state.
    Ok(Some(file.take(MOST_BYTES)))
}
