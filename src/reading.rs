//! How much is read of one thing, and until when. A hole in a file takes no disk and has any size: whoever plants one
//! lets nobody wait for its end.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::text::escape;

/// Bounds on what is read of each thing.
#[derive(Debug)]
pub struct Reading {
    /// Entries of one thing.
    pub entries: usize,
    /// Bytes of its files.
    bytes: u64,
    /// When nothing is read any more.
    until: Option<Instant>,
    was_short: Cell<bool>,
}

/// What is left for one thing.
#[derive(Debug)]
pub struct Portion<'r> {
    reading: &'r Reading,
    left: u64,
}

impl Reading {
    /// So much of each thing, whatever time that takes.
    pub fn new(entries: usize, bytes: u64) -> Self {
        Self {
            entries,
            bytes,
            until: None,
            was_short: Cell::new(false),
        }
    }

    /// The same for all things together no longer than that from now.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self {
            until: Instant::now().checked_add(time),
            ..self
        }
    }

    /// True when the time for all of them is spent.
    pub fn is_spent(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Begins with a thing.
    pub fn portion(&self) -> Portion<'_> {
        Portion {
            reading: self,
            left: self.bytes,
        }
    }

    /// Forgets that it did not suffice.
    pub fn begin(&self) {
        self.was_short.set(false);
    }

    /// True when it did not suffice for something since.
    pub fn was_short(&self) -> bool {
        self.was_short.get()
    }
}

impl Portion<'_> {
    /// Says before a file is read whether there is room for it.
    ///
    /// # Errors
    /// With a line when there is not, or no time: nothing is known of what it holds.
    pub fn room(&self, size: u64, path: impl FnOnce() -> Vec<u8>) -> Result<(), String> {
        let why = if size > self.left {
            format!("has {size} bytes, with which it is larger than is read")
        } else if self.reading.is_spent() {
            "was not read to its end, for the time for what was interrupted is spent".to_owned()
        } else {
            return Ok(());
        };
        self.reading.was_short.set(true);
        Err(format!(
            "{} {why}; see what it is, and --thorough reads all",
            escape(&path())
        ))
    }

    /// Counts bytes that are read.
    ///
    /// # Errors
    /// As [`room`](Self::room).
    pub fn take(&mut self, count: u64, path: impl FnOnce() -> Vec<u8>) -> Result<(), String> {
        self.room(count, path)?;
        self.left = self.left.saturating_sub(count);
        Ok(())
    }
}
