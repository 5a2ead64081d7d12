//! What was told a moment ago, and what stood somewhere and went: the same once more holds nothing new.
//!
//! Whoever writes what is compared here wants two things to pass for one. So each counts with all that is told of it,
//! what could not be read with what the file system says of it, and by a number that nobody outside can foresee.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{NOT_LOOKED, State};

/// One change among those of a bundle: from what, to what, and the words for it.
pub type Step<'a> = (&'a Arc<State>, &'a Arc<State>, String);

/// For so long at least it is known what was told: what comes back later has come anew.
const TOLD: Duration = Duration::from_secs(600);
/// The same of what stood somewhere, and has not been written to since.
const STOOD: Duration = Duration::from_secs(12 * 3600);
/// So much is known of each at least: twice as much as one look has candidates, and what each of them came to.
const MOST_TOLD: usize = 16_384;
const MOST_STOOD: usize = 10_240;

/// What holds nothing new.
#[derive(Debug)]
pub struct Alike {
    secret: RandomState,
    /// What was told, of whatever path.
    told: Lately<()>,
    /// What became of bundles to which nobody wrote: what stands beside them decides whether they load.
    beside: Lately<()>,
    /// What went or was told, by path and by what the file system says of all of it.
    stood: Lately<Stood>,
}

impl Default for Alike {
    fn default() -> Self {
        Self {
            secret: RandomState::new(),
            told: Lately::new(MOST_TOLD, TOLD),
            beside: Lately::new(MOST_TOLD, STOOD),
            stood: Lately::new(MOST_STOOD, STOOD),
        }
    }
}

/// What was known of that.
#[derive(Debug)]
struct Stood {
    hash: u64,
    executable: u64,
    linked: u64,
}

impl Alike {
    /// True of what comes as something that was told a moment ago, or that stood at the very place: else it is new, and
    /// is told.
    pub fn comes(&mut self, state: &State, at: Instant) -> bool {
        let what = self.what([state], "");
        if self.stood_as(state, at) || what.is_some_and(|what| self.told.get(what, at).is_some()) {
            return true;
        }
        if let Some(what) = what {
            self.told.insert(what, (), at);
        }
        self.stands(state, at);
        false
    }

    /// The same of what became of a bundle, where each step of that is known.
    pub fn becomes(&mut self, steps: &[Step<'_>], at: Instant) -> bool {
        if let [(old, new, _)] = steps
            && old.is_hidden()
            && self.stood_as(new, at)
        {
            return true;
        }
        let numbers = steps.iter().map(|(old, new, words)| {
            let what = self.what([old.as_ref(), new.as_ref()], words)?;
            let what = self.outside(old, new, words).unwrap_or(what);
            // What stands beside it has done that, where nobody has written to it.
            let untouched = old.hash == new.hash
                && old.fingerprint == new.fingerprint
                && old.linked_fingerprint == new.linked_fingerprint
                && old.way_fingerprint == new.way_fingerprint;
            let beside = untouched.then(|| self.number((what, &old.fingerprint)));
            Some((what, beside))
        });
        let numbers: Option<Vec<_>> = numbers.collect();
        let Some(numbers) = numbers else {
            return false;
        };
        let is_known = numbers.iter().all(|(what, beside)| {
            let is_beside = beside.is_some_and(|beside| self.beside.get(beside, at).is_some());
            is_beside || self.told.get(*what, at).is_some()
        });
        for (what, beside) in numbers.into_iter().filter(|_| !is_known) {
            self.told.insert(what, (), at);
            if let Some(beside) = beside {
                self.beside.insert(beside, (), at);
            }
        }
        is_known
    }

    /// Takes in what was told of a place, or stood there before anybody looked.
    pub fn stands(&mut self, state: &State, at: Instant) {
        // One that an earlier version kept.
        if state.fingerprint.is_empty() {
            return;
        }
        let stood = Stood {
            hash: self.number(&state.hash),
            executable: self.number(&state.executable_hash),
            linked: self.number(state.linked()),
        };
        let place = self.place(state);
        self.stood.insert(place, stood, at);
    }

    /// A number for a place, and for what was made of what stood there: by what stands beside it that may be another.
    fn place(&self, state: &State) -> u64 {
        self.number((&state.fingerprint, state.judged()))
    }

    /// True when all that is known of it is what was known of what stood at its place. Whoever serves a volume has the
    /// file system say what they like; and what is yet to be read is compared once it was.
    fn stood_as(&mut self, state: &State, at: Instant) -> bool {
        let place = self.place(state);
        let is_linked_late = state.linked_fingerprint == NOT_LOOKED;
        let (hash, executable) = (&state.hash, &state.executable_hash);
        let numbers = [
            self.number(hash),
            self.number(executable),
            self.number(state.linked()),
        ];
        let [own, run, linked] = numbers;
        self.stood.get(place, at).is_some_and(|stood| {
            (hash.is_empty() || stood.hash == own)
                && (executable.is_empty() || stood.executable == run)
                && (is_linked_late || stood.linked == linked)
        })
    }

    /// A number for states and the words for them, wherever each stands or leads; nothing where not all of them is known.
    fn what<'a>(&self, states: impl IntoIterator<Item = &'a State>, words: &str) -> Option<u64> {
        let each = states.into_iter().map(|state| {
            let is_known = state.is_whole() || state.unread.is_some();
            if !is_known || state.linked_fingerprint == NOT_LOOKED {
                return None;
            }
            let digests = [&state.hash, &state.executable_hash, &state.info_plist_hash];
            let untold = (&state.specials, &state.unread);
            Some(self.number((digests, state.judged(), state.linked_bytes(), untold)))
        });
        let each: Option<Vec<u64>> = each.collect();
        Some(self.number((words, each?)))
    }

    /// A number for what changed outside of a bundle that is itself the same, whatever that is: one write changes the
    /// executable of a thousand that hold nothing else alike, and one rename moves what a thousand lead to.
    fn outside(&self, old: &State, new: &State, words: &str) -> Option<u64> {
        if old.is_moved_to(new) {
            return Some(self.number((words, "moved")));
        }
        let is_own = old.is_whole() && old.hash == new.hash;
        let is_outside = old.executable_hash != new.executable_hash || old.linked() != new.linked();
        if !is_own || !is_outside {
            return None;
        }
        let digests = [
            (&old.executable_hash, &new.executable_hash),
            (&old.linked_code_hash, &new.linked_code_hash),
            (old.linked(), new.linked()),
        ];
        let digests = digests.map(|(old, new)| (old != new).then_some((old, new)));
        let texts = old.judged().into_iter().zip(new.judged());
        let texts: Vec<_> = texts
            .map(|(old, new)| (old != new).then_some((old, new)))
            .collect();
        Some(self.number((words, "outside", digests, texts)))
    }

    fn number(&self, of: impl Hash) -> u64 {
        self.secret.hash_one(of)
    }
}

/// What was taken in lately: where that is too much, or was too long ago, what is older than the younger half goes.
#[derive(Debug)]
struct Lately<T> {
    most: usize,
    time: Duration,
    young: BTreeMap<u64, T>,
    old: BTreeMap<u64, T>,
    /// Since when the young ones are taken in.
    begun: Option<Instant>,
}

impl<T> Lately<T> {
    fn new(most: usize, time: Duration) -> Self {
        Self {
            most,
            time,
            young: BTreeMap::new(),
            old: BTreeMap::new(),
            begun: None,
        }
    }

    fn insert(&mut self, number: u64, of: T, at: Instant) {
        self.age(at);
        if self.young.len() >= self.most {
            self.turn(at);
        }
        self.old.remove(&number);
        self.young.insert(number, of);
    }

    fn get(&mut self, number: u64, at: Instant) -> Option<&T> {
        self.age(at);
        self.young.get(&number).or_else(|| self.old.get(&number))
    }

    fn age(&mut self, at: Instant) {
        let begun = *self.begun.get_or_insert(at);
        let passed = at.saturating_duration_since(begun);
        if passed >= self.time {
            self.turn(at);
        }
        if passed >= self.time.saturating_mul(2) {
            self.old.clear();
        }
    }

    fn turn(&mut self, at: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.begun = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_younger_half_goes() {
        let begun = Instant::now();
        let mut lately = Lately::new(10, TOLD);
        (0..25).for_each(|number| lately.insert(number, (), begun));
        let known = (0..25).filter(|number| lately.get(*number, begun).is_some());
        assert_eq!(known.collect::<Vec<_>>(), (10..25).collect::<Vec<_>>());
        let later = begun + TOLD;
        lately.insert(30, (), later);
        assert!(lately.get(24, later).is_some() && lately.get(10, later).is_none());
        assert!(lately.get(24, later + TOLD).is_none());
        assert!(lately.get(30, later + TOLD).is_some());
        assert!(lately.get(30, later + TOLD * 3).is_none());
    }

    /// No two states are taken for one by what is not known of them.
    #[test]
    fn what_is_not_known_is_never_alike() {
        let at = Instant::now();
        let state = |change: fn(&mut State)| {
            let mut state = State {
                hash: "a".into(),
                ..State::default()
            };
            change(&mut state);
            state
        };
        let mut alike = Alike::default();
        assert!(!alike.comes(&state(|_| ()), at) && alike.comes(&state(|_| ()), at));
        let unknown: [fn(&mut State); 2] = [
            |state| state.hash = "".into(),
            |state| state.linked_fingerprint = NOT_LOOKED.into(),
        ];
        for change in unknown {
            assert!(!alike.comes(&state(change), at) && !alike.comes(&state(change), at));
        }
        let others: [fn(&mut State); 10] = [
            |state| state.linked_fingerprint = "b".into(),
            |state| state.linked_hash = "c".into(),
            |state| state.executable_hash = "b".into(),
            |state| state.linked_code_hash = "b".into(),
            |state| state.load_verdict = "loadable".into(),
            |state| state.specials = Some(Box::new("b".into())),
            |state| state.specials = Some(Box::new("c".into())),
            |state| state.signature_state = "broken".into(),
            |state| (state.hash, state.unread) = ("".into(), Some(Box::new([1; 32]))),
            |state| (state.hash, state.unread) = ("".into(), Some(Box::new([2; 32]))),
        ];
        for change in others {
            assert!(!alike.comes(&state(change), at) && alike.comes(&state(change), at));
        }
        // The same that stands elsewhere.
        let other = state(|s| (s.symlink_target, s.resolved_path) = ("/x".into(), "/x".into()));
        assert!(alike.comes(&other, at));
        let with = |place: &str, content: u8| State {
            linked_hash: place.into(),
            linked_content: Some([content; 16]),
            ..state(|_| ())
        };
        assert!(!alike.comes(&with("x", 1), at) && alike.comes(&with("y", 1), at));
        assert!(!alike.comes(&with("y", 2), at));
    }
}
