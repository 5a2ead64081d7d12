//! What earlier scans found whole has its entries before what is new: whoever plants bundles by the thousand, each
//! smaller, takes none from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::evidence::Evidence;
use crate::order;

/// Which part of a scan's entries have a seat: less than is left of them to the largest crowd.
const PART: usize = 8;
/// Entries more than it had that each may have, beside a quarter.
const MORE: usize = 16;

/// For how many entries each counted that was found whole, by the candidate's path.
#[derive(Debug, Default)]
pub struct Seats(BTreeMap<Vec<u8>, usize>);

impl Seats {
    /// For how many entries one may count before what is new has any: what it had and some more, so that an update of it
    /// fits; whoever fattens it has no more than that.
    pub fn of(&self, path: &[u8]) -> Option<usize> {
        self.0.get(path).copied().map(room)
    }

    /// Keeps the seats of what stands there still, as long as it does, and gives those that are left to what was found
    /// whole, the smallest first.
    pub fn keep(&mut self, bundles: &[Arc<Bundle>], scan_entries: usize) {
        let had = std::mem::take(&mut self.0);
        let evidence = || bundles.iter().map(|b| b.evidence.as_ref());
        let old = evidence().filter_map(|e| {
            let path = &e.candidate.path;
            Some((path.clone(), *had.get(path)?))
        });
        self.0 = order::gather(old);
        let taken = self.0.values().copied().map(room);
        let mut left = (scan_entries / PART).saturating_sub(taken.fold(0, usize::saturating_add));
        let whole = evidence().filter(|e| is_known_whole(e));
        let mut whole: Vec<_> = whole.map(|e| (e.weight(), &e.candidate.path)).collect();
        order::sort_by_key(&mut whole, |(weight, path)| {
            (!had.contains_key(*path), *weight)
        });
        for (weight, path) in whole {
            let old = self.of(path).unwrap_or_default();
            if let Some(rest) = left.saturating_add(old).checked_sub(room(weight)) {
                left = rest;
                self.0.insert(path.clone(), weight);
            }
        }
    }
}

/// What one takes that had so many entries.
fn room(entries: usize) -> usize {
    entries.saturating_add(entries / 4).saturating_add(MORE)
}

fn is_known_whole(evidence: &Evidence) -> bool {
    let is_part = evidence.is_left_out || evidence.is_unsurveyed || evidence.is_blind;
    !is_part && !evidence.is_folder()
}
