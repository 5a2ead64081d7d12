//! What is written at once: events, and what is known after them.

use crate::event::Event;
use crate::sqlite::store::Change;

/// What is written at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events, in order.
    pub events: Vec<Event>,
    /// What is known after them, where that changed.
    pub changes: Vec<Change>,
    /// True when `changes` has all that is known.
    pub is_all: bool,
}

impl Batch {
    /// Adds what came after it.
    pub fn extend(&mut self, later: Self) {
        self.events.extend(later.events);
        self.changes.extend(later.changes);
        self.is_all |= later.is_all;
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.changes.is_empty() && !self.is_all
    }
}
