//! The events as they are read: those of the file, and those that are held in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ids::{FILE, Ids};
use super::in_memory::Held;
use super::remembered::{self, Remembered};
use super::share::Share;
use super::status::Status;
use crate::event::Event;
use crate::sqlite::store::StoreError;
use crate::state_dir::StateDir;

/// The events as they are read: those of the file, and those that are held by the process itself.
#[derive(Clone, Debug, Default)]
pub struct Events {
    pub(super) file: Option<PathBuf>,
    pub(super) held: Option<Arc<Share>>,
    /// Why they cannot be read.
    pub(super) refused: Option<String>,
}

impl Events {
    /// The events that are kept in a directory, for those who only read.
    pub fn kept_in(state: &StateDir) -> Self {
        Self {
            file: Some(state.path().join(FILE)),
            ..Self::default()
        }
    }

    /// Events that cannot be read, for this reason.
    pub fn refused(why: String) -> Self {
        Self {
            refused: Some(why),
            ..Self::default()
        }
    }

    /// Passes each event to `sink`, oldest first.
    ///
    /// # Errors
    /// When they cannot be read; the sink's own error as well.
    pub fn each(&self, sink: &mut dyn FnMut(&Event) -> Result<(), String>) -> Result<(), String> {
        if let Some(why) = &self.refused {
            return Err(why.clone());
        }
        let Some(held) = &self.held else {
            let read = self.merged(None, &mut None, sink);
            return read.map_err(|error| error.to_string());
        };
        // Held for as long as the file is read: what moves from here to there in between is
        // seen at least once, and told once.
        let mut held = held.lock_soon()?;
        let mut remembered = held.remembered.take();
        let is_displaced = |held: &Held| {
            let (path, ids) = (self.file.as_ref(), held.file.as_ref());
            path.zip(ids)
                .is_some_and(|(path, ids)| Ids::at(path) != *ids)
        };
        let mut is_refused = false;
        let mut read = if is_displaced(&held) {
            return Err(displaced().to_string());
        } else {
            self.merged(Some(&held), &mut remembered, &mut |event| {
                sink(event).inspect_err(|_| is_refused = true)
            })
        };
        if is_displaced(&held) {
            // It may have been another that was read.
            read = read.and_then(|()| Err(displaced()));
        } else {
            held.remembered = remembered;
            // That the one who asked takes no more says nothing of the file.
            if !is_refused {
                held.read(&read, Instant::now());
            }
        }
        read.map_err(|error| error.to_string())
    }

    /// Those of the file and those that are held, each at its number's place.
    fn merged(
        &self,
        held: Option<&Held>,
        remembered: &mut Option<Remembered>,
        sink: &mut dyn FnMut(&Event) -> Result<(), String>,
    ) -> Result<(), StoreError> {
        let mut gone = held.and_then(|held| held.dropped());
        let mut pass = |event: &Event| {
            if let Some(gone) = gone.take_if(|gone| gone.id < event.id) {
                sink(&gone)?;
            }
            sink(event)
        };
        let waiting = held.map(Held::all).unwrap_or_default();
        let mut waiting = waiting.into_iter().peekable();
        if let Some(path) = self
            .file
            .as_ref()
            .filter(|_| !held.is_some_and(|h| h.is_apart))
        {
            let is_there =
                std::fs::symlink_metadata(path).is_ok_and(|m| !m.is_file() || m.len() > 0);
            if is_there {
                let ours = held.and_then(|held| held.texts.as_ref());
                remembered::each(path, ours, remembered, &mut |event| {
                    while let Some(held) = waiting.next_if(|held| held.id < event.id) {
                        pass(held)?;
                    }
                    let held = waiting.next_if(|held| held.id == event.id);
                    pass(held.unwrap_or(event))
                })?;
            }
        }
        waiting
            .try_for_each(&mut pass)
            .map_err(StoreError::Failed)?;
        gone.map_or(Ok(()), |gone| sink(&gone))
            .map_err(StoreError::Failed)
    }

    /// How it stands with them.
    pub fn status(&self) -> Status {
        let Some(held) = &self.held else {
            return Status::default();
        };
        let held = match held.lock_soon() {
            Ok(held) => held,
            Err(error) => {
                let path = self.file.as_ref();
                return Status {
                    path: path.map_or_else(String::new, |p| p.to_string_lossy().into_owned()),
                    state: "error",
                    error,
                };
            }
        };
        Status {
            path: held.path.clone(),
            // What nobody can read is not kept for anybody.
            state: if held.is_unread() {
                "error"
            } else {
                held.state
            },
            error: held.errors.text(),
        }
    }

    /// What whoever reads or writes them waits for, when it has not come back for longer than `most`, for people:
    /// a call of the system. Nothing but a new process will have it back.
    pub fn hung(&self, most: Duration) -> Option<String> {
        self.held.as_ref()?.hung(most)
    }
}

/// What is said where the file that is open to be written has lost its place. An answer without what that
/// holds would have it told again later.
fn displaced() -> StoreError {
    StoreError::Failed(
        "the file or one beside it was replaced or taken away; within a minute what it held is written anew".into(),
    )
}
