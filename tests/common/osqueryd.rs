//! Questions to a real osqueryd.

use std::time::Duration;

use dsplug::extension::{Row, manager::Manager};
use dsplug_fixtures::osqueryd::Osqueryd;

/// One query over osquery's socket, by our own client: it takes a millisecond.
pub fn query(osqueryd: &Osqueryd, sql: &str) -> Result<Vec<Row>, String> {
    Manager::connect(&osqueryd.at("em"), Duration::from_secs(10))
        .and_then(|mut manager| manager.query(sql))
        .map_err(|error| error.to_string())
}
