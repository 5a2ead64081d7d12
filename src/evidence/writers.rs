//! Who can write, or exchange, what runs of a candidate.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::entry::Entry;
use super::facts::Evidence;
use super::paths::directory_of;
use super::trouble::Trouble;
use crate::limits::Budget;
use crate::meta::{Kind, Meta, WritableBy};
use crate::order;
use crate::root::Root;
use crate::text::escape;

/// Takes into account who can write what runs of it: code and executables in it with the directories
/// on their way, a main executable outside, and every directory above what stands elsewhere.
pub fn weigh_writers(root: &Root, evidence: &mut Evidence, budget: &Budget) {
    let executable = evidence.executable.as_ref();
    let own = weakest(&evidence.entries).max(evidence.writable_by);
    let own = executable.map_or(own, |e| own.max(WritableBy::of(&e.meta)));
    let target = (evidence.kind() == Kind::Symlink).then_some(&evidence.resolved_path);
    let outside = executable.filter(|e| e.is_outside()).map(|e| &e.path);
    let paths = target.into_iter().chain(outside).cloned().collect();
    evidence.writable_by = own;
    weigh_above(root, evidence, &paths, budget);
}

/// Takes into account who can write what is reached from it and runs, and the ways there: every directory above that, and
/// above the links on them. Whoever can exchange a link writes to nothing that stands behind it.
pub fn weigh_ways(root: &Root, evidence: &mut Evidence, budget: &Budget) {
    let reach = Arc::clone(&evidence.reach);
    let mut by = evidence.writable_by;
    let mut directories =
        order::gather::<BTreeSet<_>, _>(reach.ways.linked_in().map(<[u8]>::to_vec));
    for (path, place) in reach.places.iter() {
        by = by.max(weakest(&place.entries));
        if place.meta.kind == Kind::Directory {
            by = by.max(WritableBy::of(&place.meta));
        }
        directories.insert(directory_of(path).to_vec());
    }
    evidence.writable_by = by;
    let paths = directories.into_iter();
    let paths = paths.map(|dir| [&dir, b"/x".as_slice()].concat()).collect();
    weigh_above(root, evidence, &paths, budget);
}

/// Who can write any code or executable of these, or a directory that may be on the way to it.
fn weakest(entries: &[Entry]) -> WritableBy {
    let runs = |e: &&Entry| {
        let is_code = e.content.code().is_some() || e.meta.is_executable();
        e.meta.kind == Kind::Directory || (e.meta.kind == Kind::File && is_code)
    };
    let metas = entries.iter().filter(runs).map(|e| WritableBy::of(&e.meta));
    metas.fold(WritableBy::Root, WritableBy::max)
}

/// Takes into account who can write the directories above these paths.
fn weigh_above(root: &Root, evidence: &mut Evidence, paths: &BTreeSet<Vec<u8>>, budget: &Budget) {
    let mut by = evidence.writable_by;
    if paths.is_empty() || by == WritableBy::Others {
        return;
    }
    let mut weigh = |meta: &Meta| by = by.max(WritableBy::of(meta));
    // What cannot be looked at is told where it is read.
    let is_asked = !budget.is_late() && root.each_above(paths, &mut weigh);
    evidence.writable_by = by;
    if !is_asked {
        let path = escape(&evidence.candidate.path);
        evidence.trouble(Trouble::Limit(format!(
            "who can write above what {path} leads to was not asked: the scan has no time for it, or it stands too deep"
        )));
    }
}
