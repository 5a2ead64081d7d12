//! The events as they are read, and those that are held in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ids::{FILE, Ids};
use super::remembered::{self, Remembered};
use super::status::{Errors, Status};
use crate::event::Event;
use crate::retention::{Dropped, Kept};
use crate::sqlite::store::StoreError;
use crate::state_dir::StateDir;

/// Events that are held in memory.
const MOST_HELD: usize = 10_000;
/// Bytes of them.
const HELD_BYTES: usize = 6 << 20;
/// A file that cannot be read for so long will not be read again.
const LASTING: Duration = Duration::from_secs(20);

/// What is not in the file.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Events, by number.
    pub events: BTreeMap<i64, Event>,
    kept: Kept,
    bytes: usize,
    dropped: Dropped,
    /// The file that is open to be written: what stands in its place is not read for it.
    pub file: Option<Ids>,
    /// True when all that is known is held, and what stands in the file's place is not read.
    pub is_apart: bool,
    /// What the file had when it was read last.
    remembered: Option<Remembered>,
    /// True when whoever read the file last found it damaged.
    pub is_damaged: bool,
    /// Why those who read the file cannot, and since when: another holds a lock on it, or has put something
    /// where SQLite looks for what is beside it.
    unread: Option<(String, Instant)>,
    /// True when that has lasted.
    is_unreadable: bool,
    /// The journal's file, for people; empty when nothing is kept.
    pub path: String,
    /// See [`Status::state`].
    pub state: &'static str,
    /// What went wrong.
    pub errors: Errors,
}

impl Held {
    /// Takes in what became of a reading of the file that was tried at `now`.
    fn read(&mut self, read: &Result<(), StoreError>, now: Instant) {
        self.is_damaged |= matches!(read, Err(StoreError::Damaged(_)));
        let Err(error @ StoreError::Failed(_)) = read else {
            self.unread = None;
            return;
        };
        let why = error.to_string();
        let since = self.unread.take().map_or(now, |(_, since)| since);
        if self.errors.failed(&why) {
            log::error!("events cannot be read: {why}");
        }
        self.is_unreadable |= now.saturating_duration_since(since) >= LASTING;
        self.unread = Some((why, since));
    }

    /// Why the file has not been readable for long, once.
    pub fn take_unreadable(&mut self) -> Option<String> {
        let is_unreadable = std::mem::take(&mut self.is_unreadable);
        let (why, _) = self.unread.take_if(|_| is_unreadable)?;
        Some(why)
    }

    /// As if it had begun so long ago that it cannot be read.
    #[cfg(test)]
    pub fn unread_since(&mut self, long: Duration) {
        let since = self.unread.as_mut().map(|(_, since)| since);
        since.into_iter().for_each(|since| *since -= long);
    }

    /// Adds one, and drops others where there is no room.
    pub fn push(&mut self, event: Event) {
        self.bytes = self.bytes.saturating_add(event.weight());
        self.kept.add(&event.path, &event.changed, event.id);
        self.events.insert(event.id, event);
        while self.events.len() > MOST_HELD || self.bytes > HELD_BYTES {
            let Some(gone) = self.kept.take().and_then(|id| self.events.remove(&id)) else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(gone.weight());
            self.dropped.add(gone.id, gone.time);
        }
    }

    /// Lets go of all.
    pub fn clear(&mut self) {
        drop(self.take());
    }

    /// Gives all away, oldest first.
    pub fn take(&mut self) -> impl Iterator<Item = Event> + use<> {
        self.kept = Kept::default();
        self.bytes = 0;
        std::mem::take(&mut self.events).into_values()
    }
}

/// The events as they are read: those of the file, and those that are held by the process itself.
#[derive(Clone, Debug, Default)]
pub struct Events {
    pub(super) file: Option<PathBuf>,
    pub(super) held: Option<Arc<Mutex<Held>>>,
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
        let mut held = lock(held);
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
        let mut gone = held.and_then(|held| held.dropped.event());
        let mut pass = |event: &Event| {
            if let Some(gone) = gone.take_if(|gone| gone.id < event.id) {
                sink(&gone)?;
            }
            sink(event)
        };
        let mut waiting = held.into_iter().flat_map(|h| h.events.values()).peekable();
        if let Some(path) = self
            .file
            .as_ref()
            .filter(|_| !held.is_some_and(|h| h.is_apart))
        {
            let is_there = std::fs::symlink_metadata(path).is_ok_and(|m| m.len() > 0);
            if is_there {
                remembered::each(path, remembered, &mut |event| {
                    while let Some(held) = waiting.next_if(|held| held.id < event.id) {
                        pass(held)?;
                    }
                    let _ = waiting.next_if(|held| held.id == event.id);
                    pass(event)
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
        let held = lock(held);
        Status {
            path: held.path.clone(),
            // What nobody can read is not kept for anybody.
            state: if held.unread.is_some() {
                "error"
            } else {
                held.state
            },
            error: held.errors.text(),
        }
    }
}

/// What is said where the file that is open to be written has lost its place. An answer without what that
/// holds would have it told again later.
fn displaced() -> StoreError {
    StoreError::Failed(
        "the file was replaced or taken away; within a minute what it held is written anew".into(),
    )
}

/// Takes hold of them; a panic of another thread leaves them as good as they were.
pub(super) fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
