//! The tables: every column declared once, with its name, type, meaning and accessor.
//!
//! osquery's routes, the SQLite tables, `schema`, JSON and the page `README.md` beside this file all iterate these.

mod bundles;
mod column;
mod events;
mod exceptions;
mod files;
mod folders;
mod quarantine;
mod status;

pub(crate) use bundles::BUNDLES;
pub use column::{Column, Heading, Sink, Table, TableOf, Texts, Type, Value};
pub(crate) use events::EVENTS;
pub(crate) use exceptions::EXCEPTIONS;
pub(crate) use files::{FILES, FileRow};
pub(crate) use folders::FOLDERS;
pub(crate) use quarantine::QUARANTINE;
pub(crate) use status::STATUS;

/// Every table.
pub const TABLES: &[&dyn Table] = &[
    &BUNDLES,
    &FILES,
    &FOLDERS,
    &STATUS,
    &EXCEPTIONS,
    &EVENTS,
    &QUARANTINE,
];

/// The table of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Table> {
    TABLES.iter().copied().find(|t| t.name() == name)
}
