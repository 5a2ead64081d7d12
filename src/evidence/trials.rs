//! Walks that end where a candidate is larger than what has its turn: what they looked at is looked at again
//! later, and so they have a budget.

use std::collections::BTreeMap;

use super::facts::Evidence;
use super::walk;
use crate::limits::Budget;
use crate::meta::FileId;

/// Entries of which a walk costs so little that every candidate has it.
pub const TURN: usize = 64;
/// Entries beyond those that may be looked at in vain.
const MOST_IN_VAIN: usize = 400_000;

/// What was learned of candidates that are larger.
#[derive(Debug)]
pub struct Trials {
    /// Directories that have more entries than so many, by device and number: links by the thousand lead
    /// to one.
    larger: BTreeMap<FileId, usize>,
    left: usize,
}

impl Default for Trials {
    fn default() -> Self {
        Self {
            larger: BTreeMap::new(),
            left: MOST_IN_VAIN,
        }
    }
}

impl Trials {
    /// True when a directory is known to have more entries than so many.
    pub fn has_more(&self, directory: FileId, most: usize) -> bool {
        self.larger
            .get(&directory)
            .is_some_and(|than| *than >= most)
    }

    /// Walks through a candidate that is a directory, unless it is known to have more entries than `most`,
    /// or there is no room to find out: then it is cut.
    pub(super) fn walk(&mut self, evidence: &mut Evidence, most: usize, budget: &Budget) {
        let id = evidence.resolved_meta.map(|m| m.id()).unwrap_or_default();
        if self.has_more(id, most) || (most > TURN && self.left == 0) {
            evidence.is_cut = true;
            return;
        }
        walk::walk(evidence, most, budget);
        if evidence.is_cut {
            self.larger.insert(id, most);
            if most > TURN {
                self.left = self.left.saturating_sub(evidence.entries.len());
            }
        }
    }
}
