//! The `discovery` of a pack: queries that must each give a row, or the pack does not run.

use crate::engine::{Engine, EngineError};
use crate::scan::Snapshot;

/// Discovery queries that can be asked here, in their order.
pub struct Discovery(Vec<String>);

impl Discovery {
    /// Leaves out what needs a table of osquery's, and tells it. Nobody here knows what osqueryd would
    /// be answered, and a pack that a person names is run rather than silently not: its queries are
    /// what may find something.
    pub fn new(engine: &Engine, mut queries: Vec<String>, tell: impl Fn(&str)) -> Self {
        queries.retain(|sql| match engine.names_foreign_table(sql) {
            None => true,
            Some(table) => {
                tell(&format!(
                    "not asked, and taken as met: the discovery query {sql:?} needs osquery's table {table}"
                ));
                false
            }
        });
        Self(queries)
    }

    /// The first query that gives no row; none when the pack runs (osquery: `Pack::checkDiscovery`).
    ///
    /// # Errors
    /// When one fails: osqueryd does not run the pack then.
    pub fn unmet(
        &self,
        engine: &mut Engine,
        snapshot: &Snapshot,
    ) -> Result<Option<&str>, (&str, EngineError)> {
        for sql in &self.0 {
            match engine.cells(sql, snapshot) {
                Ok((_, rows)) if rows.is_empty() => return Ok(Some(sql)),
                Ok(_) => {}
                Err(error) => return Err((sql, error)),
            }
        }
        Ok(None)
    }
}
