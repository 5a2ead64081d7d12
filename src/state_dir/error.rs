//! Why a place cannot hold state.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a place cannot hold state, in one line: what, where and what to do.
#[derive(Debug)]
pub enum StateDirError {
    /// The system refused, at this path.
    Io(&'static str, PathBuf, io::Error),
    /// Something on the way could be changed by others, for this reason.
    Unsafe(PathBuf, String),
    /// The place stands below the root that is read.
    BelowRoot(PathBuf),
}

impl fmt::Display for StateDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(what, path, error) => {
                let error = error.to_string();
                let why = error.split(" (os error").next().unwrap_or_default();
                write!(f, "cannot {what} {}: {why}", path.display())
            }
            Self::Unsafe(path, why) => write!(
                f,
                "no state is kept where others could change it: {} {why}",
                path.display()
            ),
            Self::BelowRoot(path) => write!(
                f,
                "{} stands below --root, where nothing is written; name another place with --state-dir",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StateDirError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, _, error) => Some(error),
            Self::Unsafe(..) | Self::BelowRoot(_) => None,
        }
    }
}
