//! What others do to the rows while the file is open: root can, and SQLite tells that somebody wrote
//! (`PRAGMA data_version`), not what.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::StoreError;
use super::events::{self, hold_to_bounds};
use crate::event::Event;
use crate::order;
use crate::retention::{Kept, Texts};

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
    /// Events that were taken out or changed, and are no longer at hand.
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
        let ours: BTreeSet<i64> = order::gather(kept.texts().ids());
        let recent = self.recent.iter();
        recent
            .filter(|event| ours.contains(&event.id))
            .cloned()
            .collect()
    }

    /// Looks whether others have written, and puts right what can be; nothing when none has. `kept` are the events that
    /// this process knows to be there, and those that are there then; none when that is not known.
    pub fn heed(
        &mut self,
        connection: &mut Connection,
        kept: &mut Option<Kept>,
    ) -> Result<Option<Altered>, StoreError> {
        let version = version(connection)?;
        if version == self.version {
            return Ok(None);
        }
        hold_to_bounds(connection)?;
        let mut altered = Altered::default();
        let immediate = TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(immediate)?;
        if let Some(kept) = kept.take() {
            let texts = kept.texts();
            let mut ours: BTreeSet<i64> = order::gather(texts.ids());
            let remove = |id: &i64| transaction.execute("DELETE FROM events WHERE id = ?", [id]);
            // First, for they may be longer than anything that can be read.
            for id in ids(&transaction)?.difference(&ours) {
                remove(id)?;
                altered.foreign = altered.foreign.saturating_add(1);
            }
            for (id, is_ours) in rows(&transaction, &texts)? {
                if is_ours {
                    ours.remove(&id);
                } else {
                    // As it is now it would be told again.
                    remove(&id)?;
                }
            }
            let gone = ours;
            altered.lost = gone.len();
            for event in self.recent.iter().filter(|event| gone.contains(&event.id)) {
                let text = serde_json::to_string(event)?;
                transaction.execute(
                    "INSERT INTO events (id, time, path, event) VALUES (?, ?, ?, ?)",
                    params![event.id, event.time, event.path, text],
                )?;
                altered.restored = altered.restored.saturating_add(1);
                altered.lost = altered.lost.saturating_sub(1);
            }
        }
        // Whoever writes again at once changes nothing that is taken for ours.
        let there = events::kept(&transaction)?;
        transaction.commit()?;
        *kept = Some(there);
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

/// The number of each row, and whether it says what ours of that number does.
fn rows(connection: &Connection, ours: &Texts) -> Result<Vec<(i64, bool)>, StoreError> {
    let mut statement = connection.prepare("SELECT id, time, path, event FROM events")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((row.get(0)?, events::is_one_of(row, ours)));
    }
    Ok(all)
}
