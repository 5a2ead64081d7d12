//! Numbers that the store notes beside its rows: whether anybody has looked, what was left out, what has gone.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use crate::retention::Dropped;

pub fn dropped(connection: &Connection) -> Result<Dropped, StoreError> {
    Ok(Dropped {
        count: note(connection, "dropped")?,
        id: note(connection, "dropped_id")?,
        time: note(connection, "dropped_time")?,
    })
}

/// A note, 0 where there is none, and where root has put less.
pub fn note(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    let number = connection
        .prepare_cached("SELECT number FROM notes WHERE name = ?")?
        .query_row([name], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(number.unwrap_or_default().max(0))
}

pub fn set_note(connection: &Connection, name: &str, number: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO notes (name, number) VALUES (?, ?)")?
        .execute(params![name, number])?;
    Ok(())
}
