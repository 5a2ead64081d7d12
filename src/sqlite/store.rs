//! The file in which the journal of events lasts: a database of SQLite, bounded, and whole whenever
//! it is looked at.
//!
//! An event and what is known of its bundle after it are written in one transaction, to the disk
//! before anybody is shown them. So a kill, or a loss of power, at any point leaves both or neither.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params,
};

use crate::event::{Event, Known};
use crate::retention::{Dropped, Kept};

/// Says that a database is ours: `dspl` in the file's header.
const APPLICATION: i32 = 0x6473_706c;
/// The version of what is in it.
const VERSION: i32 = 1;
/// Events that are kept.
const MOST_EVENTS: usize = 10_000;
/// Bytes of one page.
const PAGE: i64 = 4096;
/// Known bundles that are read: more than one scan finds.
const MOST_KNOWN: i64 = 12_000;
/// Pages of the file, which with its log of writes stays within 16 MB.
const MOST_PAGES: i64 = 3_500;
/// Pages in use beyond which events go.
const PAGES: i64 = 3_000;
/// Of known bundles no more than take this much room are kept: events need the rest.
const KNOWN_BYTES: i64 = 5 << 20;
/// Bytes of a known bundle that stand in the tree itself, of a file with such pages; of a longer one some
/// do, and the rest has pages of its own (SQLite's file format, "Cell Payload Overflow Pages").
const IN_TREE: i64 = 1_002;
/// Pages of the log of writes after which it is put into the file.
const LOG_PAGES: i64 = 128;
/// A number that no event has: they begin with the milliseconds of the time, and grow by one.
pub const MOST_ID: i64 = 1 << 53;
/// Bytes of the longest row: ten times as long as one of ours can be. A longer one was put there by others, to
/// be held in memory.
const LONGEST: i32 = 1 << 20;
/// Bytes of all events that are read: more than the file may have.
const MOST_READ: usize = 24 << 20;
/// How long a reader or writer waits for the other.
const PATIENCE: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
CREATE TABLE events (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, path TEXT NOT NULL, event TEXT NOT NULL);
CREATE TABLE known (path BLOB PRIMARY KEY, bundle TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
";

/// Why the store cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// It is not one of ours, or damaged: no use in trying again.
    Damaged(String),
    /// It was written by a newer version of this program.
    Newer(i32),
    /// A number that is to be written is taken: others have put events into it.
    Taken(String),
    /// It could not be opened, read or written this time.
    Failed(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) => write!(f, "the journal is damaged: {why}"),
            Self::Newer(version) => write!(
                f,
                "the journal is of version {version}, and this program knows {VERSION}"
            ),
            Self::Taken(why) | Self::Failed(why) => {
                write!(f, "the journal cannot be used: {why}")
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // The last ones are a table that is missing, a row longer than any of ours, and one that is
            // not what was written.
            Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::Unknown
                | ErrorCode::TooBig,
            )
            | None => Self::Damaged(error.to_string()),
            Some(ErrorCode::ConstraintViolation) => Self::Taken(error.to_string()),
            Some(_) => Self::Failed(error.to_string()),
        }
    }
}

/// What is known of a bundle after an event, by its path; nothing when it went.
pub type Change = (Vec<u8>, Option<Known>);

/// All bundles that are known, by path.
pub type AllKnown = Vec<(Vec<u8>, Known)>;

/// The store, open to be written.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// Which events are kept; nothing when a write failed, and the file has to be asked again.
    events: Option<Kept>,
    /// Bytes that the known bundles take.
    known: i64,
    /// Bytes that those would take for which there was no room, by path.
    left_out: BTreeMap<Vec<u8>, i64>,
    /// True when the file says that not all is known.
    is_cut: bool,
}

impl Store {
    /// Opens a file to write it, and makes of an empty one a store.
    ///
    /// # Errors
    /// When it is damaged, another's, a newer version's, or cannot be used.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let empty = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
            row.get::<_, i64>(0)
        })? == 0;
        if empty {
            connection.execute_batch(&format!(
                "PRAGMA page_size = {PAGE}; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
            ))?;
        }
        check(&connection)?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
             PRAGMA wal_autocheckpoint = {LOG_PAGES}; PRAGMA journal_size_limit = 1048576;
             PRAGMA max_page_count = {MOST_PAGES}; PRAGMA cache_size = -512;"
        ))?;
        if empty {
            connection.execute_batch(&format!("BEGIN;{SCHEMA}COMMIT;"))?;
        }
        check_schema(&connection)?;
        let state: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if state != "ok" {
            return Err(StoreError::Damaged(state));
        }
        let known = known_room(&connection)?;
        hold_to_bounds(&connection, known)?;
        let store = Self {
            events: Some(kept(&connection)?),
            left_out: BTreeMap::new(),
            is_cut: is_known_cut(&connection)?,
            known,
            connection,
        };
        let last = store.last_id()?;
        if last >= MOST_ID {
            return Err(StoreError::Damaged(format!("{last} is no event's number")));
        }
        Ok(store)
    }

    /// The highest number that was ever given to an event in it; 0 when none was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_id(&self) -> Result<i64, StoreError> {
        let newest = "SELECT coalesce(max(id), 0) FROM events";
        let newest: i64 = self.connection.query_row(newest, [], |row| row.get(0))?;
        Ok(newest.max(dropped(&self.connection)?.id))
    }

    /// Passes each event that is kept to `sink`, oldest first, whose own error ends it.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn each(
        &self,
        sink: &mut dyn FnMut(Event) -> Result<(), String>,
    ) -> Result<(), StoreError> {
        each(&self.connection, sink)
    }

    /// Writes all that is in it to another file, which is there and empty.
    ///
    /// # Errors
    /// When it cannot be read, or that file not be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_str().ok_or_else(|| {
            StoreError::Failed("its place is no path that SQLite can take".to_owned())
        })?;
        self.connection.execute("VACUUM INTO ?", [path])?;
        Ok(())
    }

    /// What was last known of the bundles; nothing when nobody has looked yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn known(&self) -> Result<Option<AllKnown>, StoreError> {
        if note(&self.connection, "looked")? == 0 {
            return Ok(None);
        }
        let mut statement = self.connection.prepare("SELECT path, bundle FROM known")?;
        let mut rows = statement.query([])?;
        let mut known = Vec::new();
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            let bundle = serde_json::from_str(&text).map_err(damaged)?;
            known.push((row.get(0)?, bundle));
        }
        Ok(Some(known))
    }

    /// True when not all bundles that stood there are among those known.
    pub fn is_known_cut(&self) -> bool {
        self.is_cut
    }

    /// True when there is room by now for bundles that were left out: all that is known had better be
    /// written again.
    pub fn has_room_again(&self) -> bool {
        let left_out = self.left_out.values().copied();
        let all = left_out.fold(self.known, i64::saturating_add);
        self.is_cut && all <= KNOWN_BYTES
    }

    /// Writes events and what is known after them, all or nothing; `is_all` says that the changes
    /// have all that is known. When it returns, they are on the disk.
    ///
    /// # Errors
    /// When they could not be written; the store is then as it was before.
    pub fn write(
        &mut self,
        events: &[Event],
        changes: &[Change],
        is_all: bool,
    ) -> Result<(), StoreError> {
        let mut kept = match self.events.take() {
            Some(kept) => kept,
            None => kept(&self.connection)?,
        };
        let mut known = self.known;
        let mut left_out: Vec<(&[u8], Option<i64>)> = Vec::new();
        // One that has read already would not wait for another who writes.
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate)?;
        {
            let mut add = transaction
                .prepare_cached("INSERT INTO events (id, time, path, event) VALUES (?, ?, ?, ?)")?;
            for event in events {
                // Room is made first: the file never grows past its bound.
                make_room(&transaction, &mut kept)?;
                let text = serde_json::to_string(event).map_err(damaged)?;
                add.execute(params![event.id, event.time, event.path, text])?;
                kept.add(&event.path, &event.changed, event.id);
            }
            let mut size = transaction.prepare_cached(&format!("{KNOWN_SIZES} WHERE path = ?"))?;
            let mut forget = transaction.prepare_cached("DELETE FROM known WHERE path = ?")?;
            let mut keep = transaction
                .prepare_cached("INSERT OR REPLACE INTO known (path, bundle) VALUES (?, ?)")?;
            for (path, bundle) in changes {
                let old: Option<i64> = size.query_row([path], |row| row.get(0)).optional()?;
                known = known.saturating_sub(old.map_or(0, room));
                let text = bundle.as_ref().map(serde_json::to_string).transpose();
                let Some(text) = text.map_err(damaged)? else {
                    forget.execute([path])?;
                    left_out.push((path, None));
                    continue;
                };
                let new =
                    i64::try_from(path.len().saturating_add(text.len())).map_or(i64::MAX, room);
                if known.saturating_add(new) > KNOWN_BYTES {
                    forget.execute([path])?;
                    set_note(&transaction, "known_cut", 1)?;
                    left_out.push((path, Some(new)));
                    continue;
                }
                known = known.saturating_add(new);
                make_room(&transaction, &mut kept)?;
                keep.execute(params![path, text])?;
                left_out.push((path, None));
            }
            if is_all && left_out.iter().all(|(_, bytes)| bytes.is_none()) {
                set_note(&transaction, "known_cut", 0)?;
            }
            set_note(&transaction, "looked", 1)?;
        }
        transaction.commit()?;
        (self.events, self.known) = (Some(kept), known);
        for (path, bytes) in left_out {
            match bytes {
                Some(bytes) => self.left_out.insert(path.to_owned(), bytes),
                None => self.left_out.remove(path),
            };
        }
        self.is_cut = is_known_cut(&self.connection)?;
        Ok(())
    }
}

/// What [`room`] goes by.
const KNOWN_SIZES: &str = "SELECT octet_length(path) + octet_length(bundle) FROM known";

/// Bytes that all known bundles take in a file.
fn known_room(connection: &Connection) -> Result<i64, StoreError> {
    let mut statement = connection.prepare(KNOWN_SIZES)?;
    let sizes = statement.query_map([], |row| row.get(0))?;
    let rooms = sizes.map(|size| size.map(room));
    Ok(rooms.sum::<Result<i64, _>>()?)
}

/// Bytes that a known bundle of so many bytes takes in a file.
fn room(bytes: i64) -> i64 {
    if bytes < IN_TREE {
        return bytes;
    }
    let pages = (bytes / PAGE).saturating_add(1);
    IN_TREE.saturating_add(pages.saturating_mul(PAGE))
}

/// That there is no more in it than this program writes: what others have put into it would be held in memory, and
/// what was known of bundles that never stood there would be told as gone.
fn hold_to_bounds(connection: &Connection, known: i64) -> Result<(), StoreError> {
    let count = |table| {
        let count = format!("SELECT count(*) FROM {table}");
        connection.query_row(&count, [], |row| row.get::<_, i64>(0))
    };
    let most_events = i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX);
    if count("events")? > most_events {
        return Err(too_many("events"));
    }
    if known > KNOWN_BYTES || count("known")? > MOST_KNOWN {
        return Err(too_many("known bundles"));
    }
    Ok(())
}

fn too_many(what: &str) -> StoreError {
    StoreError::Damaged(format!("it has more {what} than this program writes"))
}

/// Which events a file keeps.
fn kept(connection: &Connection) -> Result<Kept, StoreError> {
    let mut statement = connection
        .prepare("SELECT id, path, coalesce(event ->> 'changed', '') FROM events ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut kept = Kept::default();
    while let Some(row) = rows.next()? {
        let (path, changed): (String, String) = (row.get(1)?, row.get(2)?);
        kept.add(&path, &changed, row.get(0)?);
    }
    Ok(kept)
}

/// Lets events go where the next one would be one too many, or take too much room.
fn make_room(connection: &Connection, kept: &mut Kept) -> Result<(), StoreError> {
    let pages = |what| connection.query_row(what, [], |row| row.get::<_, i64>(0));
    let mut gone = dropped(connection)?;
    let before = gone;
    loop {
        let used = pages("PRAGMA page_count")?.saturating_sub(pages("PRAGMA freelist_count")?);
        if kept.count() < MOST_EVENTS && used < PAGES {
            break;
        }
        let Some(id) = kept.take() else {
            break;
        };
        let time: i64 = connection
            .prepare_cached("DELETE FROM events WHERE id = ? RETURNING time")?
            .query_row([id], |row| row.get(0))?;
        gone.add(id, time);
    }
    if gone != before {
        set_note(connection, "dropped", gone.count)?;
        set_note(connection, "dropped_id", gone.id)?;
        set_note(connection, "dropped_time", gone.time)?;
    }
    Ok(())
}

/// The events that are kept in a file, and that of what is no longer kept, by their numbers;
/// each is passed to `sink`, whose own error ends it.
///
/// # Errors
/// When the file is damaged, another's, a newer version's, or cannot be read.
pub fn read(
    path: &Path,
    sink: &mut dyn FnMut(Event) -> Result<(), String>,
) -> Result<(), StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // All of it is read as it was at one moment.
    connection.execute_batch("BEGIN")?;
    check(&connection)?;
    check_schema(&connection)?;
    let mut gone = dropped(&connection)?.event();
    each(&connection, &mut |event| {
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

/// Passes each event of a file to `sink`, by number.
fn each(
    connection: &Connection,
    sink: &mut dyn FnMut(Event) -> Result<(), String>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT id, event FROM events ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut left = MOST_READ;
    let mut count = 0_usize;
    while let Some(row) = rows.next()? {
        count = count.saturating_add(1);
        if count > MOST_EVENTS {
            return Err(too_many("events"));
        }
        let text: String = row.get(1)?;
        left = left.checked_sub(text.len()).ok_or_else(|| {
            StoreError::Damaged(format!("its events have more than {MOST_READ} bytes"))
        })?;
        let mut event: Event = serde_json::from_str(&text).map_err(damaged)?;
        event.id = row.get(0)?;
        sink(event).map_err(StoreError::Failed)?;
    }
    Ok(())
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
    // What stands in the file's schema is not ours to trust.
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    for program in [
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
    ] {
        connection.set_db_config(program, false)?;
    }
    Ok(connection)
}

/// That nothing stands in the schema but our own: a trigger can take events out of it as they come, and a
/// view in a table's place need never end.
fn check_schema(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY rowid")?;
    let found = statement.query_map([], |row| row.get::<_, Option<String>>(0))?;
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let ours = SCHEMA.trim().lines().map(|line| line.trim_end_matches(';'));
    if found.iter().map(Option::as_deref).eq(ours.map(Some)) {
        return Ok(());
    }
    Err(StoreError::Damaged(
        "its schema is not that of this program".into(),
    ))
}

/// That a database is one of ours and of our version.
fn check(connection: &Connection) -> Result<(), StoreError> {
    let number = |what| connection.query_row(what, [], |row| row.get::<_, i32>(0));
    if number("PRAGMA application_id")? != APPLICATION {
        return Err(StoreError::Damaged(
            "it is not one of this program's".into(),
        ));
    }
    match number("PRAGMA user_version")? {
        VERSION => Ok(()),
        newer if newer > VERSION => Err(StoreError::Newer(newer)),
        other => Err(StoreError::Damaged(format!("its version is {other}"))),
    }
}

fn is_known_cut(connection: &Connection) -> Result<bool, StoreError> {
    Ok(note(connection, "known_cut")? != 0)
}

fn dropped(connection: &Connection) -> Result<Dropped, StoreError> {
    Ok(Dropped {
        count: note(connection, "dropped")?,
        id: note(connection, "dropped_id")?,
        time: note(connection, "dropped_time")?,
    })
}

fn note(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    let number = connection
        .prepare_cached("SELECT number FROM notes WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(number.unwrap_or_default())
}

fn set_note(connection: &Connection, name: &str, number: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO notes (name, number) VALUES (?, ?)")?
        .execute(params![name, number])?;
    Ok(())
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(is_too_big(read(&path, &mut |_| Ok(())).unwrap_err()));
        assert!(is_too_big(Store::open(&path).unwrap_err()));
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
            (known(900, long), false),
            (known(1_100, long), true),
        ] {
            let (_folder, path) = planted(&sql);
            let mut count = 0;
            let read = read(&path, &mut |_| {
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
