//! Which events are kept when there is no room for all: of the path that has most the oldest goes, and of
//! those first one that says nothing of the bundle's own content.
//!
//! Whoever makes one bundle change all day, or four hundred of them, drives out the events of these: what
//! happened once to another stays. Among paths that have equally many the oldest event goes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};

use crate::event::{Action, Event, State, is_minor};
use crate::order;

/// The numbers of one path's events, oldest first, each with that of its text: those that are minor, and the others.
#[derive(Debug, Default)]
struct Numbers {
    minor: VecDeque<(i64, u64)>,
    major: VecDeque<(i64, u64)>,
}

impl Numbers {
    fn count(&self) -> usize {
        self.minor.len().saturating_add(self.major.len())
    }

    /// The one that goes first.
    fn first(&self) -> Option<i64> {
        let first = self.minor.front().or_else(|| self.major.front());
        first.map(|(id, _)| *id)
    }

    fn take(&mut self) -> Option<i64> {
        let first = self.minor.pop_front().or_else(|| self.major.pop_front());
        first.map(|(id, _)| id)
    }
}

/// The numbers of the events that are kept, by path.
#[derive(Debug, Default)]
pub struct Kept {
    /// The number of a path or a text is nobody's to choose, so none can be made to share another's.
    number: RandomState,
    paths: HashMap<u64, Numbers>,
    /// How many each path has, which of them goes first, and the path's number: the last has most.
    ranks: BTreeSet<(usize, Reverse<i64>, u64)>,
    count: usize,
}

impl Kept {
    /// Counts an event, newer than all those before, by its path and what it says has changed; `text` is all that it says.
    pub fn add(&mut self, path: &str, changed: &str, id: i64, text: impl Hash) {
        let text = self.number.hash_one(text);
        let number = self.number.hash_one(path);
        let numbers = self.paths.entry(number).or_default();
        if let Some(first) = numbers.first() {
            self.ranks
                .remove(&(numbers.count(), Reverse(first), number));
        }
        if is_minor(changed) {
            numbers.minor.push_back((id, text));
        } else {
            numbers.major.push_back((id, text));
        }
        let first = numbers.first().unwrap_or(id);
        self.ranks.insert((numbers.count(), Reverse(first), number));
        self.count = self.count.saturating_add(1);
    }

    /// Takes out the event that goes first; nothing when none is kept.
    pub fn take(&mut self) -> Option<i64> {
        let (_, _, number) = self.ranks.pop_last()?;
        let numbers = self.paths.get_mut(&number)?;
        let id = numbers.take()?;
        self.count = self.count.saturating_sub(1);
        match numbers.first() {
            Some(first) => {
                self.ranks.insert((numbers.count(), Reverse(first), number));
            }
            None => {
                self.paths.remove(&number);
            }
        }
        Some(id)
    }

    /// What each of them says.
    pub fn texts(&self) -> Texts {
        let all = self.paths.values();
        let all = all.flat_map(|numbers| numbers.minor.iter().chain(&numbers.major).copied());
        let mut of: Vec<(i64, u64)> = all.collect();
        order::sort(&mut of);
        Texts {
            number: self.number.clone(),
            of,
        }
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// What each event says, by its number: whoever reads them tells by it which were changed, or put there, by others.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    number: RandomState,
    of: Vec<(i64, u64)>,
}

impl Texts {
    /// True for an event that is kept, and says that.
    pub fn have(&self, id: i64, text: impl Hash) -> bool {
        let own = (id, self.number.hash_one(text));
        self.of.binary_search(&own).is_ok()
    }

    /// The numbers of all of them.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        self.of.iter().map(|(id, _)| *id)
    }
}

/// What is no longer kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many events.
    pub count: i64,
    /// The highest number among them.
    pub id: i64,
    /// When that one was seen, in seconds of Unix time.
    pub time: i64,
}

impl Dropped {
    /// Counts one more event.
    pub fn add(&mut self, id: i64, time: i64) {
        self.count = self.count.saturating_add(1);
        if id > self.id {
            (self.id, self.time) = (id, time);
        }
    }

    /// The row that says so; nothing when all are kept.
    pub fn event(&self) -> Option<Event> {
        let count = self.count;
        (count > 0).then(|| {
            let state = State {
                error: format!("limit: of the events up to this one, {count} are no longer kept")
                    .into(),
                ..State::default()
            };
            Event {
                id: self.id,
                ..Event::new(self.time, Action::Dropped, String::new(), state.into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(paths: &[&str]) -> Kept {
        let mut kept = Kept::default();
        for (id, path) in (1_i64..).zip(paths) {
            kept.add(path, "", id, "");
        }
        kept
    }

    fn taken(mut kept: Kept) -> Vec<i64> {
        std::iter::from_fn(|| kept.take()).collect()
    }

    #[test]
    fn the_path_that_has_most_gives_first() {
        assert_eq!(
            taken(kept(&["evil", "a", "a", "b", "a", "b"])),
            [2, 3, 4, 1, 5, 6]
        );
        assert_eq!(taken(kept(&["a", "b", "c"])), [1, 2, 3]);
        assert_eq!(taken(kept(&["a", "a", "a"])), [1, 2, 3]);
    }

    #[test]
    fn what_happened_once_outlasts_any_number_of_busy_paths() {
        let mut kept = kept(&["evil", "evil"]);
        let mut gone = Vec::new();
        for id in 3_i64..20_000 {
            kept.add(&format!("busy {}", id % 400), "content", id, "");
            if kept.count() > 5_000 {
                gone.extend(kept.take());
            }
        }
        assert_eq!(kept.count(), 5_000);
        assert!(gone.iter().all(|id| *id > 2), "{:?}", gone.iter().min());
    }

    /// Its own noise drives out what a path tells of its content last.
    #[test]
    fn of_one_path_what_says_nothing_of_its_content_goes_first() {
        let mut kept = Kept::default();
        kept.add("evil", "content;executable", 1, "");
        kept.add("evil", "linked", 2, "");
        kept.add("evil", "content;linked", 3, "");
        kept.add("evil", "mode;owner", 4, "");
        kept.add("evil", "", 5, "");
        assert_eq!(taken(kept), [2, 4, 1, 3, 5]);
    }

    #[test]
    fn each_is_taken_once_and_the_count_holds() {
        let mut kept = Kept::default();
        for id in 0..500_i64 {
            kept.add(&format!("{}", id * id % 37), "", id, "");
        }
        assert_eq!(kept.count(), 500);
        let mut ids = taken(kept);
        ids.sort_unstable();
        assert_eq!(ids, (0..500).collect::<Vec<i64>>());
    }

    #[test]
    fn the_row_of_what_is_gone_bears_the_highest_number() {
        let mut gone = Dropped::default();
        assert_eq!(gone.event(), None);
        gone.add(7, 70);
        gone.add(3, 30);
        assert_eq!(
            gone,
            Dropped {
                count: 2,
                id: 7,
                time: 70
            }
        );
        let row = gone.event().expect("a row");
        assert_eq!((row.id, row.time, row.action), (7, 70, Action::Dropped));
        assert_eq!(
            &*row.state.error,
            "limit: of the events up to this one, 2 are no longer kept"
        );
    }
}
