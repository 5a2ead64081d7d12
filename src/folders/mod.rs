//! The plug-in folders, and what stands in them that the loader, or a person, would take for a plug-in.
//!
//! The loader asks CoreFoundation for resources of type `dsplug` and treats the folder itself as
//! a bundle, so that `Contents/Resources`, `Resources`, `Support Files/Resources`, a wrapped bundle or
//! a `.lproj`, in it or elsewhere, can hold what loads. An attacker may use any of them, or a link in
//! their place.

mod anomaly;
mod candidate;
mod claim;
mod finder;
mod known;
mod language;
mod languages;
mod left_out;
mod listing;
mod loader;
mod localized;
mod nested;
mod only;
mod room;
mod shown;
mod way;

pub use anomaly::Anomaly;
pub use candidate::{Candidate, FOLDERS, Folder, FolderError, Listed, Via};
pub use known::Known;
pub use room::Room;
pub use shown::entry;

use std::collections::BTreeSet;

use crate::limits::Budget;
use crate::meta::WritableBy;
use crate::name::Suffix;
use crate::root::Root;
use finder::Finder;

/// Lists one plug-in folder, by its index in [`FOLDERS`].
///
/// What the loader lists is taken first, whole, in whatever layout; then what stands anywhere else.
/// Where more stands than can be looked at, what an earlier scan had a row of keeps it, and one more candidate is the
/// folder itself, and says how much was left out.
pub fn list(
    root: &Root,
    index: usize,
    budget: &Budget,
    known: &Known,
    room: Room,
) -> (Folder, Vec<Candidate>) {
    let path = FOLDERS.get(index).copied().unwrap_or_default();
    let mut folder = Folder {
        path,
        exists: false,
        resolved_path: Vec::new(),
        meta: None,
        writable_by: WritableBy::Root,
        way: None,
        entries: 0,
        candidates: 0,
        listed_in: Vec::new(),
        anomalies: BTreeSet::new(),
        error: None,
    };
    let mut finder = Finder::new(root, budget, index, known, room);
    match finder.run(path, &mut folder) {
        // What a volume shows nobody here it may show the loader.
        Err(error) if error.leads_nowhere() && finder.way.is_mounted => {}
        // Absent, or a link to nothing: the loader finds nothing there either.
        Err(error) if error.leads_nowhere() && folder.meta.is_none() => {
            // Where a part of the very path is not there, no link is.
            let below = path.as_bytes().strip_prefix(error.path.as_slice());
            let is_part = below.is_some_and(|b| b.is_empty() || b.starts_with(b"/"));
            let is_plain = error.is_absent() && is_part;
            if !is_plain && root.find_entry(path.as_bytes()).is_ok() {
                finder.anomalies.insert(Anomaly::BrokenSymlink);
            }
        }
        Err(error) => folder.error = Some(FolderError::Unreadable(error)),
        Ok(()) => {}
    }
    let Finder {
        mut found,
        listed_in,
        anomalies,
        left_out,
        way,
        ..
    } = finder;
    // Of the system's own folder that is not there, each update of the system would be news.
    if folder.exists || !path.starts_with("/System/") {
        folder.way = Some(way.digest());
    }
    folder.listed_in = listed_in;
    folder.anomalies = anomalies;
    folder.candidates = found.len().saturating_add(left_out.count());
    let left_out = left_out.errors();
    if folder.error.is_none() && !left_out.is_empty() {
        // A volume or an entry before a count: those have a cure.
        folder.error = left_out.get(1).or(left_out.first()).cloned();
        let itself = Candidate {
            path: path.into(),
            via: Via::TopLevel,
            suffix: Suffix::Other,
            listed: Listed::Maybe,
            folder: index,
            ancestors_writable_by: folder.writable_by,
            is_double: false,
            has_empty_names: false,
            left_out,
        };
        found.insert(path.into(), itself);
    }
    (folder, found.into_values().collect())
}
