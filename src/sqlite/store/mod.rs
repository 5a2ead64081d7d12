//! The file in which the journal of events lasts: a database of SQLite, bounded, and whole whenever
//! it is looked at.
//!
//! An event and what is known of its bundle after it are written in one transaction, to the disk
//! before anybody is shown them. So a kill, or a loss of power, at any point leaves both or neither.
//!
//! - `schema` opens a file and looks through it, and `others` heeds who else writes it;
//! - `events` and `known` are its rows, `json` what these hold, `notes` what it says of them;
//! - `error` is why it cannot be used.

mod error;
mod events;
mod json;
mod known;
mod notes;
mod others;
mod schema;

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

pub use error::StoreError;
pub use events::MOST_ID;
pub use known::{AllKnown, Change, Changes};

use crate::event::Event;
use crate::retention::{Kept, Texts};
use known::Room;
pub use others::Altered;
use others::Others;

/// The store, open to be written.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// Which events are kept; nothing when a write failed, and the file has to be asked again.
    events: Option<Kept>,
    known: Room,
    others: Others,
}

impl Store {
    /// Opens a file to write it, and makes of an empty one a store.
    ///
    /// # Errors
    /// When it is damaged, another's, a newer version's, or cannot be used.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open(path)?;
        let known = Room::of(&connection)?;
        // All that is read later, by whomever: what opens and cannot be read would be put aside by nobody.
        known::each(&connection, &mut |_, _| ())?;
        events::hold_to_bounds(&connection)?;
        let last = events::last_id(&connection)?;
        if last >= MOST_ID {
            return Err(StoreError::Damaged(format!("{last} is no event's number")));
        }
        Ok(Self {
            events: Some(events::kept(&connection)?),
            known,
            others: Others::new(&connection)?,
            connection,
        })
    }

    /// The highest number that was ever given to an event in it; 0 when none was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_id(&self) -> Result<i64, StoreError> {
        events::last_id(&self.connection)
    }

    /// What each event says that this process has written, or has found when it opened the file; nothing when that is not
    /// known.
    pub fn texts(&self) -> Option<Texts> {
        self.events.as_ref().map(Kept::texts)
    }

    /// Passes each event that is kept to `sink`, oldest first, whose own error ends it.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn each(
        &self,
        sink: &mut dyn FnMut(Event) -> Result<(), String>,
    ) -> Result<(), StoreError> {
        events::each(&self.connection, self.texts().as_ref(), sink)
    }

    /// Writes all that is in it to another file, which is there and empty.
    ///
    /// # Errors
    /// When it cannot be read, or that file not be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        schema::look_beside(path)?;
        let path = path.to_str().ok_or_else(|| {
            StoreError::Failed("its place is no path that SQLite can take".to_owned())
        })?;
        self.connection.execute("VACUUM INTO ?", [path])?;
        Ok(())
    }

    /// True when all that is known of the bundles was told to it once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_told(&self) -> Result<bool, StoreError> {
        known::is_told(&self.connection)
    }

    /// What was last known of the bundles, and whether that is not all that was; nothing when it was never
    /// told whole.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn known(&self) -> Result<Option<(AllKnown, bool)>, StoreError> {
        known::all(&self.connection)
    }

    /// True when there is no room for all that is known.
    pub fn is_cut(&self) -> bool {
        self.known.is_cut()
    }

    /// True when there is room by now for bundles that were left out: all that is known had better be
    /// written again.
    pub fn has_room_again(&self) -> bool {
        self.known.is_there_again()
    }

    /// Those of the events written last that are kept, oldest first: whoever changes them in the file changes nothing of
    /// these.
    pub fn recent(&self) -> Vec<Event> {
        let kept = self.events.as_ref();
        kept.map_or_else(Vec::new, |kept| self.others.recent(kept))
    }

    /// Looks whether another process has written since, and puts right what can be; nothing when none has. What is
    /// known of the bundles is to be written again then.
    ///
    /// # Errors
    /// When it cannot be read or written, or is damaged by now.
    pub fn heed_others(&mut self) -> Result<Option<Altered>, StoreError> {
        self.others.heed(&mut self.connection, &mut self.events)
    }

    /// Writes events and what is known after them, all or nothing; `is_all` says that the changes
    /// have all that is known, and that nothing else is. When it returns, they are on the disk.
    ///
    /// # Errors
    /// When they could not be written; the store is then as it was before.
    pub fn write(
        &mut self,
        events: &[Event],
        changes: &Changes,
        is_all: bool,
    ) -> Result<(), StoreError> {
        schema::hold_log_to_bounds(&self.connection)?;
        let mut kept = match self.events.take() {
            Some(kept) => kept,
            None => events::kept(&self.connection)?,
        };
        // One that has read already would not wait for another who writes.
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate)?;
        events::add(&transaction, events, &mut kept)?;
        let written = known::write(&transaction, changes, is_all, &self.known, &mut kept)?;
        transaction.commit()?;
        self.events = Some(kept);
        self.known.written(written);
        self.others.wrote(events);
        Ok(())
    }
}

/// The events that are kept in a file, and that of what is no longer kept, by their numbers;
/// each is passed to `sink`, whose own error ends it. Of those that are not `ours` none is, where it is known which are.
///
/// # Errors
/// When the file is damaged, another's, a newer version's, or cannot be read.
pub fn read(
    path: &Path,
    ours: Option<&Texts>,
    sink: &mut dyn FnMut(Event) -> Result<(), String>,
) -> Result<(), StoreError> {
    let connection = schema::open_to_read(path)?;
    let mut gone = notes::dropped(&connection)?.event();
    events::each(&connection, ours, &mut |event| {
        if let Some(gone) = gone.take_if(|gone| gone.id < event.id) {
            sink(gone)?;
        }
        sink(event)
    })?;
    match gone {
        Some(gone) => sink(gone).map_err(StoreError::Failed),
        None => Ok(()),
    }
}

/// What a file that another process writes last knew of the bundles, as [`Store::known`] has it.
///
/// # Errors
/// When the file is damaged, another's, a newer version's, or cannot be read.
pub fn read_known(path: &Path) -> Result<Option<(AllKnown, bool)>, StoreError> {
    let connection = schema::open_to_read(path)?;
    Room::of(&connection)?;
    known::all(&connection)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::events::MOST_EVENTS;
    use super::known::MOST_KNOWN;
    use super::*;
    use crate::event::Known;

    /// Its bounds are counted in pages.
    #[test]
    fn a_file_with_pages_of_another_size_is_none_of_ours() {
        for size in [512, 4096, 65_536] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.db");
            std::fs::File::create(&path).unwrap();
            drop(Store::open(&path).unwrap());
            let other = Connection::open(&path).unwrap();
            let sql = format!("PRAGMA journal_mode = DELETE; PRAGMA page_size = {size}; VACUUM");
            other.execute_batch(&sql).unwrap();
            drop(other);
            let is_damaged = matches!(Store::open(&path), Err(StoreError::Damaged(_)));
            assert_eq!(is_damaged, size != 4096, "{size}");
        }
    }

    #[test]
    fn a_row_longer_than_any_of_ours_is_damage_and_not_held_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(&path, b"").unwrap();
        drop(Store::open(&path).unwrap());
        let other = Connection::open(&path).unwrap();
        let sql = "INSERT INTO events VALUES (1, 1, '/a', '{\"a\":\"' || hex(zeroblob(5000000)) || '\"}')";
        other.execute(sql, []).unwrap();
        let is_too_big =
            |error| matches!(error, StoreError::Damaged(why) if why.contains("too big"));
        assert!(is_too_big(read(&path, None, &mut |_| Ok(())).unwrap_err()));
        assert!(is_too_big(Store::open(&path).unwrap_err()));
    }

    /// Whoever opens it, to whatever end: SQLite would wait for ever, or take it for its own.
    #[test]
    fn nothing_is_opened_that_others_put_where_sqlite_looks() {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.db");
            let other = folder.path().join("other.db");
            std::fs::write(&other, b"").unwrap();
            let store = Store::open(&other).unwrap();
            if !suffix.is_empty() {
                std::fs::write(&path, b"").unwrap();
            }
            dsplug_fixtures::fifo(format!("{}{suffix}", path.display()));
            let (sender, answers) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                for answer in [
                    Store::open(&path).map(drop),
                    read(&path, None, &mut |_| Ok(())),
                    store.copy_to(&path),
                ] {
                    let _ = sender.send(answer);
                }
            });
            for _ in 0..3 {
                let answer = answers.recv_timeout(std::time::Duration::from_secs(10));
                let error = answer.expect("it waits for ever").unwrap_err();
                let name = format!("journal.db{suffix} ");
                assert!(
                    matches!(&error, StoreError::Failed(why) if why.contains(&name)),
                    "{error}"
                );
            }
        }
    }

    /// Fills a new store by a statement of SQLite's, as whoever is root can.
    fn planted(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(&path, b"").unwrap();
        drop(Store::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        (folder, path)
    }

    /// A file that opens and that nobody can read would blind all events.
    #[test]
    fn what_no_reader_takes_is_damage_when_it_is_opened() {
        let sound = r#"{"time":1,"action":"gone","path":"/a","changed":"","seen":null,"state":{},"previous_hash":"","stood_ms":null,"kept":""}"#;
        let event = |time: &str, text: &str| {
            format!("INSERT INTO events VALUES (7, {time}, '/a', '{text}')")
        };
        let known = |path: &str, text: &str| format!("INSERT INTO known VALUES ({path}, '{text}')");
        for (sql, is_damage) in [
            (event("1", sound), false),
            (event("1", r#"{"action":"x","changed":""}"#), true),
            (event("1", r#"{"changed":""}"#), true),
            (event("1", "["), true),
            (event("'x'", sound), true),
            (known("x'2f'", "{}"), false),
            (known("'/b'", "{}"), true),
            (known("x'2f'", r#"{"state":1}"#), true),
            (known("x'2f'", "["), true),
            (
                format!(
                    "INSERT INTO events VALUES ({}, 1, '/a', '{sound}')",
                    i64::MAX
                ),
                true,
            ),
            (
                format!(
                    "INSERT INTO events VALUES ({}, 1, '/a', '{sound}')",
                    (1_i64 << 53) - 1
                ),
                true,
            ),
        ] {
            let (_folder, path) = planted(&sql);
            let open = Store::open(&path);
            let damaged = matches!(open, Err(StoreError::Damaged(_)));
            assert_eq!(damaged, is_damage, "{sql} {open:?}");
        }
    }

    /// However short they are.
    #[test]
    fn no_more_known_bundles_are_written_than_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(&path, b"").unwrap();
        let mut store = Store::open(&path).unwrap();
        let known = |n: i64| (n.to_string().into_bytes(), Some(Known::default()));
        let most = MOST_KNOWN;
        store
            .write(&[], &(0..most).map(known).collect(), true)
            .unwrap();
        assert!(!store.is_cut());
        store
            .write(&[], &(most..2 * most).map(known).collect(), false)
            .unwrap();
        assert!(store.is_cut());
        drop(store);
        let store = Store::open(&path).unwrap();
        let (all, is_cut) = store.known().unwrap().unwrap();
        assert_eq!(Ok(all.len()), usize::try_from(most));
        assert!(is_cut);
    }

    #[test]
    fn more_than_this_program_writes_is_damage_and_not_held_in_memory() {
        let numbers = |most: usize| {
            format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})"
            )
        };
        let events = |most| {
            let event = r#"{"time":1,"action":"gone","path":"/a","changed":"","seen":null,"state":{},"previous_hash":"","stood_ms":null,"kept":""}"#;
            format!(
                "INSERT INTO events {} SELECT i, 1, '/a', '{event}' FROM n",
                numbers(most)
            )
        };
        let known = |most, text: &str| {
            format!(
                "INSERT INTO known {} SELECT CAST(i AS BLOB), {text} FROM n",
                numbers(most)
            )
        };
        let small = "'{}'";
        let long = r#"'{"state":{"kind":"' || hex(zeroblob(1000)) || '"}}'"#;
        let most_known = usize::try_from(MOST_KNOWN).unwrap();
        for (sql, is_damage) in [
            (events(MOST_EVENTS), false),
            (events(MOST_EVENTS + 1), true),
            (known(most_known, small), false),
            (known(most_known + 1, small), true),
            (known(800, long), false),
            (known(900, long), true),
        ] {
            let (_folder, path) = planted(&sql);
            let mut count = 0;
            let read = read(&path, None, &mut |_| {
                count += 1;
                Ok(())
            });
            assert!(count <= MOST_EVENTS);
            let is_of_events = sql.contains("INTO events");
            assert_eq!(read.is_err(), is_damage && is_of_events, "{sql:.60}");
            let open = Store::open(&path);
            let open = open.and_then(|store| store.known().map(|_| ()));
            let damaged = matches!(open, Err(StoreError::Damaged(_)));
            assert_eq!(damaged, is_damage, "{sql:.60} {open:?}");
        }
    }
}
