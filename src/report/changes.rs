//! What changed of a bundle since `detect` ran last, by the state that it left.

use std::path::Path;

use super::document::or_say;
use crate::detect::state::State;
use crate::differential::{self, Row};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::given;
use crate::pack::conf::{self, Scheduled};
use crate::scan::Snapshot;

/// The differential query whose memory tells what changed.
const MODIFIED: &str = "pack_dsplug_modified";

/// What is said where nothing is given to compare with.
pub const NO_STATE: &str = "No state was given: --state FILE compares with the last run of detect.";

/// The state that `detect` left. One that is not there, or that another pack left, says nothing of
/// what was there before.
pub fn memory(path: &Path) -> Result<State, Failure> {
    let shown = path.display();
    if let Err(error) = std::fs::symlink_metadata(path) {
        let why = given::why(&error);
        return Err(Failure::new(format!(
            "cannot read the state {shown}: {why}"
        )));
    }
    let pack = conf::read(conf::NAME, conf::EMBEDDED)?.queries;
    let state = State::load(path, |name| pack.iter().any(|query| query.name == name))?;
    if !state.queries.contains_key(MODIFIED) {
        return Err(Failure::new(format!(
            "the state {shown} remembers nothing of the query modified: it is not one that dsplug detect wrote with its own pack"
        )));
    }
    Ok(state)
}

/// What differs from the last run of `detect`, column by column.
pub fn changes(
    engine: &mut Engine,
    pack: &[Scheduled],
    snapshot: &Snapshot,
    path: &str,
    state: Option<&State>,
) -> Result<Vec<String>, Failure> {
    let Some(state) = state else {
        return Ok(vec![NO_STATE.into()]);
    };
    let Some(query) = pack.iter().find(|q| q.name == MODIFIED) else {
        return Ok(Vec::new());
    };
    let (columns, rows) = engine.cells(&query.sql, snapshot)?;
    let rows = rows
        .into_iter()
        .map(|cells| differential::row(&columns, cells));
    let is_it = |row: &Row| row.get("path").is_some_and(|p| p.to_string() == path);
    let mut old = None;
    if let Some(memory) = state.queries.get(MODIFIED) {
        memory.rows.each(|row| {
            if old.is_none() && is_it(&row) {
                old = Some(row);
            }
        })?;
    }
    let new = rows.into_iter().find(is_it);
    Ok(match (old, new) {
        (None, None) => {
            vec![
                "An exception accepts it now; when detect ran last it was accepted or not there."
                    .into(),
            ]
        }
        (None, Some(_)) => {
            vec!["It was not there, or was accepted, when detect ran last.".into()]
        }
        (Some(_), None) => {
            vec!["An exception accepts it now; it did not when detect ran last.".into()]
        }
        (Some(old), Some(new)) => or_say(
            new.iter()
                .filter(|(column, value)| old.get(*column) != Some(*value))
                .map(|(column, value)| match old.get(column) {
                    Some(was) => format!("{column}: was '{was}', is '{value}'"),
                    None => format!("{column}: is '{value}'; what it was is not in that state"),
                })
                .collect(),
            "Nothing of what the query modified compares, since detect ran last.",
        ),
    })
}
