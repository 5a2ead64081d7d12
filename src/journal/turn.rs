//! Whose turn it is to write the journal: that of the process which took its lock, until it ends.
//!
//! Root can put a file of its own, locked, in the lock's place. The lock that was taken is good all the same,
//! and is let go of for none: whoever had to ask for it again would be kept from the journal.

use std::path::{Path, PathBuf};

use super::ids::{became, id_at};
use crate::root::Root;
use crate::state_dir::{Lock, StateDir, StateDirError};

/// Locked by the process that writes.
const LOCK: &str = "journal.lock";

/// The lock of the process that writes.
#[derive(Debug)]
pub struct Turn {
    lock: Lock,
    path: PathBuf,
}

impl Turn {
    /// Takes it; nothing when another process has it.
    pub fn take(state: &StateDir) -> Result<Option<Self>, StateDirError> {
        let path = state.path().join(LOCK);
        let lock = state.lock(LOCK)?;
        Ok(lock.map(|lock| Self { lock, path }))
    }

    /// What became of the lock's file, when another or none stands in its place, for people. What stands there is
    /// locked as well, unless another process has done so.
    pub fn heed(&mut self, place: &Path, root: &Root) -> Option<String> {
        let there = id_at(&self.path);
        if there.is_some() && there == self.lock.id() {
            return None;
        }
        let became = became(&self.path, self.lock.id(), there);
        let again = StateDir::open(place, root).and_then(|state| Self::take(&state));
        let now = match again {
            Ok(Some(turn)) => {
                *self = turn;
                "it is locked anew".to_owned()
            }
            Ok(None) => {
                "another process holds what stands there, and this one goes on to write".to_owned()
            }
            Err(error) => format!("{error}, and this process goes on to write"),
        };
        Some(format!("{became}; {now}"))
    }
}
