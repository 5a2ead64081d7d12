//! What is known of the bundles after the events: as much as events leave room for.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::{StoreError, too_many};
use super::events::make_room;
use super::json;
use super::notes::{note, set_note};
use super::schema::PAGE;
use crate::event::Known;
use crate::retention::Kept;

/// What is known of a bundle after an event, by its path; nothing when it went.
pub type Change = (Vec<u8>, Option<Known>);

/// The same of many, by path.
pub type Changes = BTreeMap<Vec<u8>, Option<Known>>;

/// All bundles that are known, by path.
pub type AllKnown = Vec<(Vec<u8>, Known)>;

/// Known bundles that are read: more than one watch has. Each takes more memory than its text does, whoever wrote it.
pub const MOST_KNOWN: i64 = 3_650;
/// Of known bundles no more than take this much room are kept: events need the rest.
const KNOWN_BYTES: i64 = 4 << 20;
/// For how many bytes one counts that has less, so that no more are kept than are read.
const LEAST: i64 = KNOWN_BYTES / MOST_KNOWN;
/// Bytes of a known bundle that stand in the tree itself, of a file with such pages; of a longer one some
/// do, and the rest has pages of its own (SQLite's file format, "Cell Payload Overflow Pages").
const IN_TREE: i64 = 1_002;

/// The room that the known bundles of a file take.
#[derive(Debug)]
pub struct Room {
    /// Bytes of those that are there.
    taken: i64,
    /// Bytes that those would take for which there was none, by path.
    left_out: BTreeMap<Vec<u8>, i64>,
    /// True when the file says that not all is known.
    is_cut: bool,
}

impl Room {
    /// That of a file, which must have no more than this program writes.
    pub fn of(connection: &Connection) -> Result<Self, StoreError> {
        let mut statement = connection.prepare(SIZES)?;
        let sizes = statement.query_map([], |row| row.get(0))?;
        let rooms = sizes.map(|size| size.map(room));
        let taken = rooms.sum::<Result<i64, _>>()?;
        let count = "SELECT count(*) FROM known";
        let count = connection.query_row(count, [], |row| row.get::<_, i64>(0))?;
        if taken > KNOWN_BYTES || count > MOST_KNOWN {
            return Err(too_many("known bundles"));
        }
        Ok(Self {
            taken,
            left_out: BTreeMap::new(),
            is_cut: is_cut(connection)?,
        })
    }

    /// True when the file says that not all is known.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// True when there is enough by now for bundles that were left out.
    pub fn is_there_again(&self) -> bool {
        let left_out = self.left_out.values().copied();
        let all = left_out.fold(self.taken, i64::saturating_add);
        self.is_cut && all <= KNOWN_BYTES
    }

    /// Takes in what became of a write, once that is on the disk.
    pub fn written(&mut self, written: Written<'_>) {
        self.taken = written.taken;
        self.is_cut = written.is_cut;
        if written.is_all {
            self.left_out.clear();
        }
        for (path, bytes) in written.left_out {
            match bytes {
                Some(bytes) => self.left_out.insert(path.to_owned(), bytes),
                None => self.left_out.remove(path),
            };
        }
    }
}

/// What a write makes of the room.
#[derive(Debug)]
pub struct Written<'a> {
    taken: i64,
    /// Of each path what it would take, when there was no room for it.
    left_out: Vec<(&'a [u8], Option<i64>)>,
    is_all: bool,
    is_cut: bool,
}

/// True when all that is known was told once.
pub fn is_told(connection: &Connection) -> Result<bool, StoreError> {
    Ok(note(connection, "looked")? != 0)
}

/// All that is known, and whether that is not all that was; nothing when it was never told whole.
pub fn all(connection: &Connection) -> Result<Option<(AllKnown, bool)>, StoreError> {
    if !is_told(connection)? {
        return Ok(None);
    }
    let mut known = Vec::new();
    each(connection, &mut |path, bundle| known.push((path, bundle)))?;
    Ok(Some((known, is_cut(connection)?)))
}

/// Passes each bundle that is known to `take`.
///
/// # Errors
/// When one cannot be read.
pub fn each(
    connection: &Connection,
    take: &mut dyn FnMut(Vec<u8>, Known),
) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT path, bundle FROM known")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        take(row.get(0)?, json::read(&text)?);
    }
    Ok(())
}

/// Writes what has changed, for as long as there is room, for which events go; `is_all` says that it is all that
/// is known, and nothing else is known any longer.
pub fn write<'a>(
    connection: &Connection,
    changes: &'a Changes,
    is_all: bool,
    room_of: &Room,
    kept: &mut Kept,
) -> Result<Written<'a>, StoreError> {
    let mut taken = room_of.taken;
    let mut left_out: Vec<(&[u8], Option<i64>)> = Vec::new();
    let mut size = connection.prepare_cached(&format!("{SIZES} WHERE path = ?"))?;
    let mut forget = connection.prepare_cached("DELETE FROM known WHERE path = ?")?;
    let mut keep =
        connection.prepare_cached("INSERT OR REPLACE INTO known (path, bundle) VALUES (?, ?)")?;
    if is_all {
        for (path, bytes) in unnamed(connection, changes)? {
            forget.execute([path])?;
            taken = taken.saturating_sub(room(bytes));
        }
    }
    for (path, bundle) in changes {
        let old: Option<i64> = size.query_row([path], |row| row.get(0)).optional()?;
        taken = taken.saturating_sub(old.map_or(0, room));
        let text = bundle.as_ref().map(serde_json::to_string).transpose()?;
        let Some(text) = text else {
            forget.execute([path])?;
            left_out.push((path, None));
            continue;
        };
        let new = i64::try_from(path.len().saturating_add(text.len())).map_or(i64::MAX, room);
        if taken.saturating_add(new) > KNOWN_BYTES {
            forget.execute([path])?;
            set_note(connection, "known_cut", 1)?;
            left_out.push((path, Some(new)));
            continue;
        }
        taken = taken.saturating_add(new);
        make_room(connection, kept)?;
        keep.execute(params![path, text])?;
        left_out.push((path, None));
    }
    if is_all && left_out.iter().all(|(_, bytes)| bytes.is_none()) {
        set_note(connection, "known_cut", 0)?;
    }
    if is_all {
        set_note(connection, "looked", 1)?;
    }
    Ok(Written {
        taken,
        left_out,
        is_all,
        is_cut: is_cut(connection)?,
    })
}

/// The known bundles that are not among those named, with their bytes.
fn unnamed(connection: &Connection, named: &Changes) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT path, octet_length(path) + octet_length(bundle) FROM known")?;
    let mut rows = statement.query([])?;
    let mut unnamed = Vec::new();
    while let Some(row) = rows.next()? {
        let path: Vec<u8> = row.get(0)?;
        if !named.contains_key(&path) {
            unnamed.push((path, row.get(1)?));
        }
    }
    Ok(unnamed)
}

fn is_cut(connection: &Connection) -> Result<bool, StoreError> {
    Ok(note(connection, "known_cut")? != 0)
}

/// What [`room`] goes by.
const SIZES: &str = "SELECT octet_length(path) + octet_length(bundle) FROM known";

/// Bytes that a known bundle of so many bytes takes in a file.
fn room(bytes: i64) -> i64 {
    if bytes < IN_TREE {
        return LEAST;
    }
    let pages = (bytes / PAGE).saturating_add(1);
    IN_TREE.saturating_add(pages.saturating_mul(PAGE))
}
