//! The rows of events: which are kept, and how they are read.

use rusqlite::{Connection, params};

use super::error::{StoreError, too_many};
use super::json;
use super::notes::{dropped, set_note};
use crate::event::Event;
use crate::retention::Kept;

/// Events that are kept.
pub const MOST_EVENTS: usize = 10_000;
/// Pages in use beyond which events go.
const PAGES: i64 = 3_000;
/// A number that no event has: they begin with the milliseconds of the time, and grow by one.
pub const MOST_ID: i64 = 1 << 53;
/// Bytes of all events that are read: more than the file may have.
const MOST_READ: usize = 24 << 20;

/// That there are no more than this program writes.
pub fn hold_to_bounds(connection: &Connection) -> Result<(), StoreError> {
    let count = "SELECT count(*) FROM events";
    let count = connection.query_row(count, [], |row| row.get::<_, i64>(0))?;
    if count > i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX) {
        return Err(too_many("events"));
    }
    Ok(())
}

/// The highest number that was ever given to one; 0 when none was.
pub fn last_id(connection: &Connection) -> Result<i64, StoreError> {
    let newest = "SELECT coalesce(max(id), 0) FROM events";
    let newest: i64 = connection.query_row(newest, [], |row| row.get(0))?;
    Ok(newest.max(dropped(connection)?.id))
}

/// Writes events, and lets others go where there is no room.
pub fn add(connection: &Connection, events: &[Event], kept: &mut Kept) -> Result<(), StoreError> {
    let mut add = connection
        .prepare_cached("INSERT INTO events (id, time, path, event) VALUES (?, ?, ?, ?)")?;
    for event in events {
        // Room is made first: the file never grows past its bound.
        make_room(connection, kept)?;
        let text = serde_json::to_string(event)?;
        add.execute(params![event.id, event.time, event.path, text])?;
        kept.add(&event.path, &event.changed, event.id);
    }
    Ok(())
}

/// Which events a file keeps.
pub fn kept(connection: &Connection) -> Result<Kept, StoreError> {
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
pub fn make_room(connection: &Connection, kept: &mut Kept) -> Result<(), StoreError> {
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

/// Passes each event of a file to `sink`, by number.
pub fn each(
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
        let mut event: Event = json::read(&text)?;
        event.id = row.get(0)?;
        sink(event).map_err(StoreError::Failed)?;
    }
    Ok(())
}
