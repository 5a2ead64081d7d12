//! Which candidates are walked through, in which order, and how far.

use std::time::Instant;

use super::Scanner;
use crate::evidence::{self, Evidence, ReadAt, TURN, Trials};
use crate::folders::{Candidate, Via};
use crate::limits::{self, Budget};
use crate::order;
use crate::root::Root;

/// How many entries of a candidate are taken before the next one has its turn: first about as many as an
/// honest plug-in has.
const ROUNDS: [usize; 4] = [TURN, SMALL, 8_192, usize::MAX];
const SMALL: usize = 512;

/// Parts of a hundred of the scan's time after which what the loader does not list is surveyed no more, and
/// what is large: all else is to be read in the rest.
const SURVEY: u32 = 30;
impl Scanner {
    /// Surveys all candidates, those with few entries before those with many: whoever plants a
    /// huge one, or a thousand links to it, cannot take the entries or the time that the others need. What was found
    /// whole before comes before all, with about as many as it had.
    #[expect(
        clippy::vec_box,
        reason = "each goes on into its bundle, and thousands are not to be held twice on the way"
    )]
    pub(super) fn survey(
        &self,
        root: &Root,
        candidates: Vec<Candidate>,
        now: &ReadAt,
        budget: &mut Budget,
    ) -> Vec<Box<Evidence>> {
        let mut surveyed = Vec::new();
        let mut candidates = candidates;
        // However many there are, some of their entries are looked at.
        let most = budget.entries().saturating_sub(budget.entries() / 4);
        let own = candidates.len().saturating_mul(limits::CANDIDATE);
        budget.take_entries(own.min(most));
        // What the loader may list comes before what only stands there, and what is near before what is
        // deep: each directory on the way to it is opened.
        order::sort_by_key(&mut candidates, |c| {
            let depth = c.path.iter().filter(|b| **b == b'/').count();
            (c.via == Via::Nested, depth, c.path.clone())
        });
        // With the directory that each is, once that is known.
        let mut waiting: Vec<_> = candidates.into_iter().map(|c| (c, None)).collect();
        let until = budget.after(SURVEY);
        let is_over = || until.is_some_and(|until| Instant::now() >= until);
        let mut trials = Trials::default();
        for round in std::iter::once(None).chain(ROUNDS.map(Some)) {
            for (candidate, directory) in std::mem::take(&mut waiting) {
                let Some(round) = round.or_else(|| self.seat(&candidate.path)) else {
                    waiting.push((candidate, directory));
                    continue;
                };
                let most = round.min(self.limits.candidate_entries);
                let is_last = round == usize::MAX;
                // One for which too little is left takes the rest once all have had their turn.
                let is_short = round < self.limits.candidate_entries || budget.entries() < most;
                let is_trial = !is_last && is_short;
                if is_trial && directory.is_some_and(|d| trials.has_more(d, most)) {
                    waiting.push((candidate, directory));
                    continue;
                }
                let has_share = candidate.via == Via::Nested || round > SMALL;
                if candidate.left_out.is_empty() && (budget.is_late() || has_share && is_over()) {
                    surveyed.push(Box::new(evidence::unsurveyed(candidate)));
                    continue;
                }
                let most = most.min(budget.entries());
                self.at.set(&candidate.path);
                let before = self.before(&candidate.path, now);
                let trials = is_trial.then_some(&mut trials);
                let mut evidence = evidence::survey(root, candidate, most, trials, before, budget);
                if evidence.is_cut && is_trial {
                    waiting.push((evidence.candidate, evidence.resolved_meta.map(|m| m.id())));
                } else {
                    // What it is itself is counted beside its entries already.
                    budget.take_entries(evidence.weight().saturating_sub(1));
                    evidence::settle(&mut evidence, budget);
                    surveyed.push(Box::new(evidence));
                }
            }
        }
        surveyed
    }
}
