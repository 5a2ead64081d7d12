//! The rows of events: which are kept, and how they are read.

use rusqlite::{Connection, Row, params};

use super::error::{StoreError, too_many};
use super::json;
use super::notes::{dropped, set_note};
use crate::event::Event;
use crate::retention::{Kept, Texts};

/// Events that are kept.
pub const MOST_EVENTS: usize = 10_000;
/// Pages in use beyond which events go.
const PAGES: i64 = 3_000;
/// A number that no event has: they begin with the milliseconds of the time, and grow by one. Half of those that every
/// reader of JSON tells apart, so that those which follow one that was put there are as well.
pub const MOST_ID: i64 = 1 << 52;
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
        let all = (event.time, event.path.as_str(), text.as_str());
        kept.add(&event.path, &event.changed, event.id, all);
    }
    Ok(())
}

/// Which events a file keeps, each of which whoever reads them can take: one that nobody can would blind all.
pub fn kept(connection: &Connection) -> Result<Kept, StoreError> {
    let mut kept = Kept::default();
    let mut statement =
        connection.prepare("SELECT id, path, time, event FROM events ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut room = MOST_READ;
    while let Some(row) = rows.next()? {
        let path: String = row.get(1)?;
        // What is dropped is told with its time.
        let time: i64 = row.get(2)?;
        let event = read(row, 3, &mut room)?;
        let text: String = row.get(3)?;
        let all = (time, path.as_str(), text.as_str());
        kept.add(&path, &event.changed, event.id, all);
    }
    Ok(kept)
}

/// True for a row of number, time, path and text that is one of `ours`.
pub fn is_one_of(row: &Row<'_>, ours: &Texts) -> bool {
    let text = |column| row.get_ref(column).and_then(|value| Ok(value.as_str()?));
    let (id, time) = (row.get::<_, i64>(0), row.get::<_, i64>(1));
    match (id, time, text(2), text(3)) {
        (Ok(id), Ok(time), Ok(path), Ok(text)) => ours.have(id, (time, path, text)),
        _ => false,
    }
}

/// The event of a row, which begins with its number.
fn read(row: &Row<'_>, column: usize, room: &mut usize) -> Result<Event, StoreError> {
    let text: String = row.get(column)?;
    *room = room.checked_sub(text.len()).ok_or_else(|| {
        StoreError::Damaged(format!("its events have more than {MOST_READ} bytes"))
    })?;
    let mut event: Event = json::read(&text)?;
    event.id = row.get(0)?;
    Ok(event)
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

/// Passes each event of a file to `sink`, by number; of those that are not `ours` none, where it is known which are.
pub fn each(
    connection: &Connection,
    ours: Option<&Texts>,
    sink: &mut dyn FnMut(Event) -> Result<(), String>,
) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare("SELECT id, time, path, event FROM events ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut left = MOST_READ;
    let mut count = 0_usize;
    while let Some(row) = rows.next()? {
        count = count.saturating_add(1);
        if count > MOST_EVENTS {
            return Err(too_many("events"));
        }
        let is_ours = |ours: &Texts| is_one_of(row, ours);
        if !ours.is_none_or(is_ours) {
            continue;
        }
        sink(read(row, 3, &mut left)?).map_err(StoreError::Failed)?;
    }
    Ok(())
}
