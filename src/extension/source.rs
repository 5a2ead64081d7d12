//! What the extension asks of the rest of the program: tables and their rows.

use super::rows::Rows;
use crate::table::Type;

/// One table as osquery sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableSpec {
    /// The name that a query uses.
    pub name: &'static str,
    /// Each column's name and type, in their order. `BIGINT` is the only number:
    /// osquery cuts its `INTEGER` to 32 bits.
    pub columns: Vec<(&'static str, Type)>,
}

/// Where the rows come from.
pub trait Source: Send + Sync + 'static {
    /// The tables to register, asked for once at the start.
    fn tables(&self) -> Vec<TableSpec>;

    /// Gives every row of one table to `rows`.
    ///
    /// osquery calls once for each row of a table it is joined with: see
    /// [`Shared`](super::Shared). The calls come one after the other.
    ///
    /// # Errors
    /// The message with which the query fails. Rows that could not be read must
    /// be an error: osquery logs an empty success as "everything was removed".
    fn generate(&self, table: &str, rows: &mut Rows) -> Result<(), String>;

    /// True for a table that is answered without waiting for what the others wait for.
    fn is_ready(&self, _table: &str) -> bool {
        false
    }

    /// Somebody asked for a table and did not take the answer.
    fn not_taken(&self, _table: &str) {}

    /// Why the process has to end: what makes the rows has not come back for too long.
    fn hangs(&self) -> Option<String> {
        None
    }

    /// Called once in a while: the time to let go of what is held too long. True when it is to be called
    /// again in ten seconds at the most, which else may be thirty.
    fn tick(&self) -> bool {
        false
    }
}
