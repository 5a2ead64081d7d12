//! What others do to the rows while the file is open: root can, and SQLite tells that somebody wrote
//! (`PRAGMA data_version`), not what.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::error::StoreError;
use super::events::hold_to_bounds;
use crate::event::Event;
use crate::order;
use crate::retention::Kept;

/// Bytes of events that can be written anew, about.
const MOST_BYTES: usize = 128 << 10;

/// Whether others have written, and what was written last.
#[derive(Debug)]
pub struct Others {
    version: i64,
    recent: VecDeque<Event>,
    bytes: usize,
}

/// What others have done, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Altered {
    /// Events that were put there, and are taken out.
    foreign: usize,
    /// Events that were taken out or changed, and are as they were.
    restored: usize,
    /// Events that were taken out, and are no longer at hand.
    lost: usize,
}

impl fmt::Display for Altered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            foreign,
            restored,
            lost,
        } = self;
        write!(
            f,
            "another process wrote into the journal: {restored} events are written anew, {lost} are lost, {foreign} of its own are taken out"
        )
    }
}

impl Others {
    pub fn new(connection: &Connection) -> Result<Self, StoreError> {
        Ok(Self {
            version: version(connection)?,
            recent: VecDeque::new(),
            bytes: 0,
        })
    }

    /// Takes in what was written.
    pub fn wrote(&mut self, events: &[Event]) {
        for event in events {
            self.bytes = self.bytes.saturating_add(event.weight());
            self.recent.push_back(event.clone());
            while self.bytes > MOST_BYTES
                && let Some(first) = self.recent.pop_front()
            {
                self.bytes = self.bytes.saturating_sub(first.weight());
            }
        }
    }

    /// Those of what was written last that are kept, oldest first.
    pub fn recent(&self, kept: &Kept) -> Vec<Event> {
        if self.recent.is_empty() {
            return Vec::new();
        }
        let ours: BTreeSet<i64> = order::gather(kept.ids());
        let recent = self.recent.iter();
        recent
            .filter(|event| ours.contains(&event.id))
            .cloned()
            .collect()
    }

    /// Looks whether others have written, and puts right what can be; nothing when none has. `kept` are the events that
    /// this process knows to be there.
    pub fn heed(
        &mut self,
        connection: &mut Connection,
        kept: Option<&Kept>,
    ) -> Result<Option<Altered>, StoreError> {
        let version = version(connection)?;
        if version == self.version {
            return Ok(None);
        }
        hold_to_bounds(connection)?;
        let mut altered = Altered::default();
        let immediate = TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(immediate)?;
        if let Some(kept) = kept {
            let ours: BTreeSet<i64> = order::gather(kept.ids());
            let there = ids(&transaction)?;
            for id in there.difference(&ours) {
                transaction.execute("DELETE FROM events WHERE id = ?", [id])?;
                altered.foreign = altered.foreign.saturating_add(1);
            }
            altered.lost = ours.difference(&there).count();
            for event in self.recent.iter().filter(|event| ours.contains(&event.id)) {
                let text = serde_json::to_string(event)?;
                let found: Option<String> = transaction
                    .query_row(
                        "SELECT event FROM events WHERE id = ? AND time = ? AND path = ?",
                        params![event.id, event.time, event.path],
                        |row| row.get(0),
                    )
                    .optional()?;
                if found.as_ref() == Some(&text) {
                    continue;
                }
                transaction.execute(
                    "INSERT OR REPLACE INTO events (id, time, path, event) VALUES (?, ?, ?, ?)",
                    params![event.id, event.time, event.path, text],
                )?;
                altered.restored = altered.restored.saturating_add(1);
                if !there.contains(&event.id) {
                    altered.lost = altered.lost.saturating_sub(1);
                }
            }
        }
        transaction.commit()?;
        self.version = self::version(connection)?;
        Ok(Some(altered))
    }
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA data_version", [], |row| row.get(0))?)
}

fn ids(connection: &Connection) -> Result<BTreeSet<i64>, StoreError> {
    let mut statement = connection.prepare("SELECT id FROM events")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    let mut all = BTreeSet::new();
    for id in ids {
        all.insert(id?);
    }
    Ok(all)
}
