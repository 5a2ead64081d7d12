//! The candidates that an earlier scan had rows of, of one plug-in folder, and those that have gone since.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use super::candidate::{Candidate, Via};
use super::room::RESERVED;
use crate::limits::Limits;

/// For so long what has gone comes back before what is new.
const DEPARTED: Duration = Duration::from_secs(24 * 3600);
/// Of so many it is known: of as many as there is room kept for.
const MOST_DEPARTED: usize = Limits::STANDARD.candidates / RESERVED;

/// What had a row and was gone.
#[derive(Clone, Copy, Debug)]
struct Departed {
    /// Since which turn it had been known.
    since: u32,
    at: Instant,
    /// Bytes of its path.
    length: usize,
}

/// They, each held once: they stand beside all that the next scan finds.
#[derive(Debug, Default)]
pub struct Known {
    /// In order of path, and since which turn each is known.
    candidates: Vec<(Candidate, u32)>,
    /// What had a row and was gone, by numbers that nobody outside can foresee. Where there is no room, those stay that were
    /// known first: whoever has a crowd come and go pushes out none that stood before.
    departed: BTreeMap<u64, Departed>,
    secret: RandomState,
    /// How often it became others.
    turn: u32,
}

impl Known {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// That of a path.
    pub fn get(&self, path: &[u8]) -> Option<&Candidate> {
        self.at(path).map(|(candidate, _)| candidate)
    }

    fn at(&self, path: &[u8]) -> Option<&(Candidate, u32)> {
        let search = |(known, _): &(Candidate, u32)| known.path.as_slice().cmp(path);
        let at = self.candidates.binary_search_by(search).ok()?;
        self.candidates.get(at)
    }

    fn number(&self, path: &[u8]) -> u64 {
        self.secret.hash_one(path)
    }

    /// True for a path that had a row lately and was gone.
    pub fn has_departed(&self, path: &[u8]) -> bool {
        self.departed.contains_key(&self.number(path))
    }

    /// What had a row where the loader looks and does not stand among what was found: the bytes of each path, of that first
    /// which was known first.
    pub fn away<'p>(&self, found: impl Iterator<Item = &'p [u8]>) -> Vec<usize> {
        let found: BTreeSet<u64> = found.map(|path| self.number(path)).collect();
        let listed = self.candidates.iter();
        let listed = listed.filter(|(candidate, _)| candidate.via != Via::Nested);
        let known = listed.map(|(c, since)| (self.number(&c.path), *since, c.path.len()));
        let departed = self.departed.iter();
        let departed = departed.map(|(number, one)| (*number, one.since, one.length));
        let away = known.chain(departed);
        let away = away.filter(|(number, ..)| !found.contains(number));
        let mut away: Vec<_> = away.map(|(_, since, length)| (since, length)).collect();
        away.sort_unstable();
        away.into_iter().map(|(_, length)| length).collect()
    }

    /// All of them, in order of path.
    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().map(|(candidate, _)| candidate)
    }

    /// Takes others in their place; where they are the same, as mostly, nothing is made anew.
    pub fn replace<'c>(&mut self, by: impl Iterator<Item = &'c Candidate> + Clone) {
        let is_known = |candidate: &Candidate| self.get(&candidate.path) == Some(candidate);
        if by.clone().count() == self.candidates.len() && by.clone().all(is_known) {
            return;
        }
        self.turn = self.turn.saturating_add(1);
        let since = |candidate: &Candidate| {
            let departed = || self.departed.get(&self.number(&candidate.path));
            let since = self.at(&candidate.path).map(|(_, since)| *since);
            let since = since.or_else(|| departed().map(|departed| departed.since));
            since.unwrap_or(self.turn)
        };
        let mut candidates: Vec<_> = by.map(|c| (c.clone(), since(c))).collect();
        candidates.sort_unstable_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        let before = std::mem::replace(&mut self.candidates, candidates);
        self.depart(&before);
    }

    fn depart(&mut self, before: &[(Candidate, u32)]) {
        let now = Instant::now();
        self.departed
            .retain(|_, departed| now.saturating_duration_since(departed.at) < DEPARTED);
        for (candidate, since) in before {
            let number = self.number(&candidate.path);
            if candidate.via != Via::Nested && self.get(&candidate.path).is_none() {
                let departed = Departed {
                    since: *since,
                    at: now,
                    length: candidate.path.len(),
                };
                self.departed.insert(number, departed);
            }
        }
        for (candidate, _) in &self.candidates {
            self.departed.remove(&self.number(&candidate.path));
        }
        let Some(over @ 1..) = self.departed.len().checked_sub(MOST_DEPARTED) else {
            return;
        };
        let mut last: BTreeSet<(u32, u64)> = self
            .departed
            .iter()
            .map(|(n, one)| (one.since, *n))
            .collect();
        for (_, number) in std::iter::from_fn(|| last.pop_last()).take(over) {
            self.departed.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(names: impl IntoIterator<Item = usize>) -> Vec<Candidate> {
        let path = |n| format!("/Library/DirectoryServices/PlugIns/{n:05}.dsplug");
        names
            .into_iter()
            .filter_map(|n| Candidate::remembered(path(n).as_bytes()))
            .collect()
    }

    #[test]
    fn no_crowd_that_comes_and_goes_pushes_out_what_was_known_before() {
        let mut known = Known::none();
        let first = candidates([0]);
        let path = &first[0].path;
        known.replace(first.iter());
        known.replace(candidates(0..1).iter().chain(&candidates(1..MOST_DEPARTED)));
        assert!(known.get(path).is_some() && !known.has_departed(path));
        known.replace([].iter());
        assert!(known.get(path).is_none() && known.has_departed(path));
        for crowd in 1..4 {
            let names = crowd * MOST_DEPARTED..(crowd + 1) * MOST_DEPARTED;
            known.replace(candidates(names).iter());
        }
        assert!(known.has_departed(path));
        assert_eq!(known.departed.len(), MOST_DEPARTED);
        // It is the first that was known still.
        known.replace(first.iter());
        assert!(!known.has_departed(path));
        known.replace(candidates(1..2).iter());
        assert!(known.has_departed(path));
    }
}
