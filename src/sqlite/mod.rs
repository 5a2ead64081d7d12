//! The room of SQLite: nothing outside of it knows that there is one.
//!
//! - [`engine`] queries our tables for those who have no osquery;
//! - [`store`] is the file in which the journal of events lasts.

pub mod engine;
pub mod store;
