//! Why the store cannot be used.

use std::fmt;

use rusqlite::ErrorCode;

/// Why the store cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// It is not one of ours, or damaged: no use in trying again.
    Damaged(String),
    /// It was written by a newer version of this program.
    Newer {
        /// The version of what is in it.
        version: i32,
        /// The newest that this program knows.
        known: i32,
    },
    /// A number that is to be written is taken: others have put events into it.
    Taken(String),
    /// Another process has it locked, for longer than one of ours would.
    Locked(String),
    /// It could not be opened, read or written this time.
    Failed(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) => write!(f, "the journal is damaged: {why}"),
            Self::Newer { version, known } => write!(
                f,
                "the journal is of version {version}, and this program knows {known}"
            ),
            Self::Taken(why) | Self::Locked(why) | Self::Failed(why) => {
                write!(f, "the journal cannot be used: {why}")
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // The last ones are a table that is missing, a row longer than any of ours, and one that is
            // not what was written.
            Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::Unknown
                | ErrorCode::TooBig,
            )
            | None => Self::Damaged(error.to_string()),
            Some(ErrorCode::ConstraintViolation) => Self::Taken(error.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Locked(error.to_string())
            }
            Some(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// More than this program writes: what others have put into it would be held in memory, and what was known of
/// bundles that never stood there would be told as gone.
pub fn too_many(what: &str) -> StoreError {
    StoreError::Damaged(format!("it has more {what} than this program writes"))
}
