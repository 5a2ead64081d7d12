//! What stands where it stood, though a scan did not show it: whoever plants more than is shown has not taken it away.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use crate::differential::Row;
use crate::engine::Cell;
use crate::folders::FOLDERS;
use crate::journal::Ahead;
use crate::pack::conf::Scheduled;
use crate::root::Root;
use crate::scan::Snapshot;
use crate::text::unescape;

use super::state::State;

/// The tables whose rows are of bundles, or of what is in one.
const OF_BUNDLES: &str = "dsplug_bundles";
const OF_FILES: &str = "dsplug_files";

/// Bytes that a path takes beside its own.
const PATH: usize = 64;

/// A scan that left something out.
pub struct Standing<'s> {
    root: Root,
    shown: BTreeSet<&'s [u8]>,
}

impl<'s> Standing<'s> {
    /// That of a snapshot; none where it shows all.
    pub fn beside(snapshot: &'s Snapshot, root: &Root) -> Option<Self> {
        if snapshot.folders.iter().all(|f| f.error.is_none()) {
            return None;
        }
        let candidates = snapshot.bundles.iter().map(|b| &b.evidence.candidate);
        Some(Self {
            root: root.clone(),
            shown: candidates
                .filter(|c| c.left_out.is_empty())
                .map(|c| c.path.as_slice())
                .collect(),
        })
    }

    /// True when a row that did not come again is of what was not shown and has not gone: no query was asked of that.
    pub fn has(&self, row: &Row) -> bool {
        path(row).is_some_and(|path| !self.is_shown(&path) && !self.root.has_gone(&path))
    }

    /// True for the path of a bundle that was shown, or of what is in it.
    fn is_shown(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let ends = ends.map(|(at, _)| at).chain([path.len()]);
        let mut above = ends.filter_map(|end| path.get(..end));
        above.any(|above| self.shown.contains(above))
    }
}

/// True for a query whose rows may be of bundles, or of what is in one.
pub fn is_of_bundles(query: &Scheduled) -> bool {
    names(query, OF_BUNDLES) || names(query, OF_FILES)
}

/// What the first scan is to know of the call before: what had a row keeps it. No more than so many bytes of paths, for a state
/// may hold what no run has left, packed.
pub fn ahead(state: &State, queries: &[Scheduled], most: usize) -> std::io::Result<Ahead> {
    let of_bundles = |query: &&Scheduled| names(query, OF_BUNDLES) && !names(query, OF_FILES);
    // A path's number is nobody's to choose.
    let number = RandomState::new();
    let (mut seen, mut paths) = (HashSet::new(), Vec::new());
    let mut left = most;
    for query in queries.iter().filter(of_bundles) {
        let Some(memory) = state.queries.get(&query.name) else {
            continue;
        };
        memory.rows.each(|row| {
            let Some(path) = path(&row) else { return };
            let Some(rest) = left.checked_sub(path.len().saturating_add(PATH)) else {
                return;
            };
            if seen.insert(number.hash_one(&path)) {
                left = rest;
                paths.push(path);
            }
        })?;
    }
    Ok(Ahead { paths, held: 0 })
}

fn names(query: &Scheduled, table: &str) -> bool {
    query.sql.to_ascii_lowercase().contains(table)
}

/// The path that a row has, but for that of a plug-in folder itself.
fn path(row: &Row) -> Option<Vec<u8>> {
    let Some(Cell::Text(path)) = row.get("path") else {
        return None;
    };
    let path = unescape(path.as_bytes())?;
    let is_folder = FOLDERS.iter().any(|folder| folder.as_bytes() == path);
    (!is_folder && path.starts_with(b"/")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::conf;

    /// A state may hold, packed, what no run has left.
    #[test]
    fn no_more_paths_are_taken_in_than_there_is_room_for() {
        let queries = conf::read(conf::NAME, conf::EMBEDDED).unwrap().queries;
        let rows: Vec<_> = (0..5_000)
            .map(|n| serde_json::json!({ "path": format!("/{}/{n}.dsplug", "A".repeat(1_000)) }))
            .collect();
        let memory = serde_json::json!({ "counter": 0, "rows": rows });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state");
        let state = serde_json::json!({
            "version": 1,
            "queries": { "pack_dsplug_presence": memory },
            "snapshots": {},
        });
        std::fs::write(&file, state.to_string()).unwrap();
        dsplug_fixtures::chmod(&file, 0o600);
        let state = State::load(&file, |_| true).unwrap();
        let count = |most| ahead(&state, &queries, most).unwrap().paths.len();
        assert_eq!(count(usize::MAX), 5_000);
        let some = count(1 << 20);
        assert!((900..1_048).contains(&some), "{some}");
    }
}
