//! The judgement as it goes on: what each entry and each Mach-O file has turned out to be, and what work
//! is left.

use std::time::Instant;

use super::ere::Automata;
use super::rules::Compiled;
use super::signature::Sealed;
use super::view::{BundleView, EntryKind};
use crate::codesign::verdict::{CodeFacts, Findings, ProblemCode, SignatureState};

/// Bounds on the work that one bundle's seals may cost.
#[derive(Clone, Copy, Debug)]
pub struct SealLimits {
    /// Bytes of all the seals that are parsed, nested bundles' included.
    pub seal_bytes: u64,
    /// Nested bundles, one inside of the other.
    pub depth: u32,
    /// Rules of one seal.
    pub rules: usize,
    /// Bytes of paths matched against rules, over all of the bundle: each costs one step of an
    /// automaton, whose making has bounds of its own ([`ere`](super::ere)).
    pub matched_bytes: u64,
    /// When to leave off, whatever is left to judge.
    pub until: Option<Instant>,
}

impl Default for SealLimits {
    fn default() -> Self {
        Self {
            seal_bytes: 16 << 20,
            depth: 8,
            rules: 48,
            matched_bytes: 64 << 20,
            until: None,
        }
    }
}

/// The judgement of a view as it goes on.
pub(super) struct Judge<'j, 'v> {
    pub view: &'j BundleView<'v>,
    pub limits: &'j SealLimits,
    /// What the seals say of each entry.
    pub words: Vec<Sealed>,
    /// The facts of each Mach-O file, once its place is judged.
    pub code: Vec<Option<CodeFacts>>,
    pub compiled: Compiled<'j>,
    /// Bytes of paths that may still be matched against rules.
    pub matching_left: u64,
    /// True once the time was spent.
    pub is_cut_off: bool,
    /// Bytes of seals that may still be parsed.
    pub seal_bytes_left: u64,
    /// Cdhashes of nested bundles that may still wait to be compared.
    pub pinned_left: usize,
}

/// Cdhashes that wait at a time until the bundles that they pin are judged, over all bundles that are judged inside of each
/// other: 1 MB of them.
const MOST_PINNED: usize = 50_000;

/// What was found about one bundle or one file.
pub(super) struct Outcome {
    pub state: SignatureState,
    /// The facts of its code.
    pub code: Option<CodeFacts>,
    pub findings: Findings,
}

impl<'j, 'v> Judge<'j, 'v> {
    pub fn new(view: &'j BundleView<'v>, limits: &'j SealLimits, automata: &'j Automata) -> Self {
        Self {
            view,
            limits,
            words: view
                .entries
                .iter()
                .map(|entry| match entry.kind {
                    EntryKind::Directory => Sealed::Excluded,
                    _ => Sealed::Unknown,
                })
                .collect(),
            code: vec![None; view.entries.len()],
            compiled: Compiled::new(automata),
            matching_left: limits.matched_bytes,
            is_cut_off: false,
            seal_bytes_left: limits.seal_bytes,
            pinned_left: MOST_PINNED,
        }
    }

    /// True, and said of the folder, when the time is spent.
    pub fn is_late(&mut self, folder: &[u8], findings: &mut Findings) -> bool {
        if !self.is_over() {
            return false;
        }
        let why = "the time of the scan was spent before all was judged";
        findings.unreadable(ProblemCode::Limit, folder, why);
        true
    }

    /// True when the time is spent, or was before.
    pub fn is_over(&mut self) -> bool {
        let until = self.limits.until;
        self.is_cut_off |= until.is_some_and(|until| Instant::now() >= until);
        self.is_cut_off
    }

    /// How much there was to judge, in about microseconds: as measured with seals of dear rules, of long paths and
    /// of many entries.
    pub fn work(&self) -> u64 {
        let matched = self.limits.matched_bytes.saturating_sub(self.matching_left);
        let parsed = self.limits.seal_bytes.saturating_sub(self.seal_bytes_left);
        let compiled = crate::codesign::bytes::count(self.compiled.bytes());
        (matched / 200)
            .saturating_add(parsed / 10)
            .saturating_add(compiled / 40)
    }

    pub fn keep_code(&mut self, index: usize, code: &CodeFacts) {
        if let Some(kept) = self.code.get_mut(index) {
            *kept = Some(code.clone());
        }
    }

    pub fn mark(&mut self, index: usize, word: Sealed) {
        if let Some(kept) = self.words.get_mut(index) {
            *kept = word;
        }
    }

    /// Marks all that is no directory below `directory`.
    pub fn mark_below(&mut self, directory: &[u8], word: Sealed) {
        self.mark_range(self.view.below(directory), word);
    }

    /// Marks all that is no directory in a range of entries.
    pub fn mark_range(&mut self, range: std::ops::Range<usize>, word: Sealed) {
        for index in range {
            if self
                .view
                .entries
                .get(index)
                .is_some_and(|e| e.kind != EntryKind::Directory)
            {
                self.mark(index, word);
            }
        }
    }
}

/// The facts of a file that is no main executable.
pub(super) fn standalone(facts: &CodeFacts) -> CodeFacts {
    let mut code = facts.clone();
    code.judge_standalone();
    code
}
