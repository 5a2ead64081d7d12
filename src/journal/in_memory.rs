//! What the process itself holds: the events that are not in the file, and what is known of that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ids::Ids;
use super::remembered::Remembered;
use super::status::Errors;
use crate::event::Event;
use crate::order;
use crate::retention::{Dropped, Kept, Texts};
use crate::sqlite::store::StoreError;

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
    /// Events that this process has written into the file last, by number: they are shown as they were, whatever root
    /// makes of the file's bytes.
    pub written: Vec<Event>,
    /// What each event in the file says: one that says something else was changed by others, and is not shown.
    pub texts: Option<Texts>,
    kept: Kept,
    bytes: usize,
    dropped: Dropped,
    /// The file that is open to be written: what stands in its place is not read for it.
    pub file: Option<Ids>,
    /// True when all that is known is held, and what stands in the file's place is not read.
    pub is_apart: bool,
    /// What the file had when it was read last.
    pub remembered: Option<Remembered>,
    /// True when whoever read the file last found it damaged.
    pub is_damaged: bool,
    /// Why those who read the file cannot, and since when: another holds a lock on it, has put something
    /// where SQLite looks for what is beside it, or what nobody reads into it.
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
    pub fn read(&mut self, read: &Result<(), StoreError>, now: Instant) {
        self.is_damaged |= matches!(read, Err(StoreError::Damaged(_)));
        let Err(error @ (StoreError::Failed(_) | StoreError::Damaged(_))) = read else {
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

    /// The file was looked through, and opened.
    pub fn opened(&mut self, ids: Ids, texts: Option<Texts>) {
        (self.file, self.is_apart) = (Some(ids), false);
        self.unread = None;
        self.wrote(texts);
    }

    /// The file was written, and has these.
    pub fn wrote(&mut self, texts: Option<Texts>) {
        self.texts = texts;
        // It may have been read before.
        self.remembered = None;
    }

    /// True when the file could not be read last.
    pub fn is_unread(&self) -> bool {
        self.unread.is_some()
    }

    /// That events were dropped because there was no room, if any were.
    pub fn dropped(&self) -> Option<Event> {
        self.dropped.event()
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
        self.kept.add(&event.path, &event.changed, event.id, ());
        self.events.insert(event.id, event);
        while self.events.len() > MOST_HELD || self.bytes > HELD_BYTES {
            let Some(gone) = self.kept.take().and_then(|id| self.events.remove(&id)) else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(gone.weight());
            self.dropped.add(gone.id, gone.time);
        }
    }

    /// What is held and what was written last, by number; of the latter nothing where the file is not read.
    pub fn all(&self) -> Vec<&Event> {
        let written = self.written.iter().filter(|_| !self.is_apart);
        let mut all: Vec<&Event> = self.events.values().chain(written).collect();
        order::sort_by_key(&mut all, |event| event.id);
        all.dedup_by_key(|event| event.id);
        all
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
