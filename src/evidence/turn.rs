//! How far that to which links and code lead has been read again for its age: of much of it one scan reads a part, the
//! rest is as it was, and the next scan goes on there.

use super::again::Again;
use super::entry::Entry;
use super::facts::Evidence;
use super::known::{Before, is_known, with_old};
use super::opener::Opener;
use super::read_at::Turn;
use super::recall::{recall_entries, take_over};
use crate::limits::Budget;

/// What is read again of one place: by number, with the bytes that come before it.
pub type Due = Vec<(usize, u64)>;

/// The part that one scan reads again.
#[derive(Debug)]
pub struct Part {
    is_due: bool,
    /// Bytes of what the scans before have read again.
    skip: u64,
    passed: u64,
    /// Bytes before the first that was left.
    left: Option<u64>,
}

impl Part {
    /// The part of a scan in which it is due or not.
    pub fn of(before: Option<Before<'_>>) -> Self {
        let turn = before.and_then(|before| before.evidence.linked_turn);
        Self {
            is_due: before.is_some_and(|before| before.is_due),
            skip: turn.map_or(0, |turn| turn.passed),
            passed: 0,
            left: None,
        }
    }

    /// Fills in what is known of the entries of one place, but for what is to be read again now.
    pub fn recall(
        &mut self,
        open: &mut Opener<'_>,
        entries: &mut [Entry],
        olds: &[Entry],
        before: Before<'_>,
        crowded: &[usize],
        budget: &Budget,
    ) -> Due {
        let before = before.evidence;
        let mut due = Due::new();
        if self.is_due {
            let again = Again::of_place(open, entries, olds, before, budget);
            if again.is_cut() {
                self.leave(self.passed);
            }
            for (number, entry, old) in with_old(&*entries, olds) {
                if !again.includes(number, old) || !is_known(entry, old, before) {
                    continue;
                }
                if self.passed >= self.skip || again.is_new(number) {
                    due.push((number, self.passed));
                }
                self.passed = self.passed.saturating_add(entry.meta.size);
            }
        }
        recall_entries(entries, olds, before, |number, _| {
            at(&due, number).is_some() || crowded.binary_search(&number).is_ok()
        });
        due
    }

    /// Leaves what there was no room to read again as it was; false for what was to be read for another reason.
    pub fn give_up(
        &mut self,
        due: &Due,
        number: usize,
        entry: &mut Entry,
        old: Option<&Entry>,
    ) -> bool {
        let (Some(at), Some(old)) = (at(due, number), old) else {
            return false;
        };
        self.leave(at);
        take_over(entry, old);
        true
    }

    fn leave(&mut self, at: u64) {
        self.left = Some(self.left.map_or(at, |left| left.min(at)));
    }

    /// Keeps where the next scan goes on. `is_cut` where there was no time to come upon all of it.
    pub fn end(mut self, evidence: &mut Evidence, before: &Evidence, is_cut: bool) {
        if !self.is_due {
            evidence.linked_turn = before.linked_turn;
            evidence.linked_read_at = before.linked_read_at;
            return;
        }
        if is_cut {
            // What never comes further begins anew.
            let is_stuck = self.left.is_none() && self.passed <= self.skip;
            self.leave(if is_stuck { 0 } else { self.passed });
        }
        let began = before
            .linked_turn
            .map_or(evidence.linked_read_at, |turn| turn.began);
        evidence.linked_turn = self.left.map(|passed| Turn { passed, began });
        evidence.linked_read_at = match self.left {
            Some(_) => before.linked_read_at,
            None => began,
        };
    }
}

fn at(due: &Due, number: usize) -> Option<u64> {
    let found = due
        .binary_search_by_key(&number, |(number, _)| *number)
        .ok()?;
    due.get(found).map(|(_, at)| *at)
}
