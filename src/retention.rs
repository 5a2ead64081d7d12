//! Which events are kept when there is no room for all: of the path that has most, the oldest goes.
//!
//! Whoever makes one bundle change all day, or four hundred of them, drives out the events of these: what
//! happened once to another stays. Among paths that have equally many the oldest event goes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::event::{Action, Event, State};

/// The numbers of the events that are kept, by path.
#[derive(Debug, Default)]
pub struct Kept {
    /// A path's number is nobody's to choose, so none can be made to share another's.
    number: RandomState,
    paths: HashMap<u64, VecDeque<i64>>,
    /// How many each path has, its oldest, and its number: the last has most.
    ranks: BTreeSet<(usize, Reverse<i64>, u64)>,
    count: usize,
}

impl Kept {
    /// Counts an event, newer than all those before.
    pub fn add(&mut self, path: &str, id: i64) {
        let number = self.number.hash_one(path);
        let ids = self.paths.entry(number).or_default();
        if let Some(oldest) = ids.front() {
            self.ranks.remove(&(ids.len(), Reverse(*oldest), number));
        }
        ids.push_back(id);
        let oldest = ids.front().copied().unwrap_or(id);
        self.ranks.insert((ids.len(), Reverse(oldest), number));
        self.count = self.count.saturating_add(1);
    }

    /// Takes out the event that goes first; nothing when none is kept.
    pub fn take(&mut self) -> Option<i64> {
        let (_, Reverse(id), number) = self.ranks.pop_last()?;
        self.count = self.count.saturating_sub(1);
        if let Some(ids) = self.paths.get_mut(&number) {
            ids.pop_front();
            match ids.front() {
                Some(oldest) => {
                    self.ranks.insert((ids.len(), Reverse(*oldest), number));
                }
                None => {
                    self.paths.remove(&number);
                }
            }
        }
        Some(id)
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.count
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
        (count > 0).then(|| Event {
            id: self.id,
            time: self.time,
            action: Action::Dropped,
            path: String::new(),
            changed: String::new(),
            seen: None,
            state: State {
                error: format!("limit: of the events up to this one, {count} are no longer kept"),
                ..State::default()
            },
            previous_hash: String::new(),
            stood_ms: None,
            kept: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(paths: &[&str]) -> Kept {
        let mut kept = Kept::default();
        for (id, path) in (1_i64..).zip(paths) {
            kept.add(path, id);
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
            kept.add(&format!("busy {}", id % 400), id);
            if kept.count() > 5_000 {
                gone.extend(kept.take());
            }
        }
        assert_eq!(kept.count(), 5_000);
        assert!(gone.iter().all(|id| *id > 2), "{:?}", gone.iter().min());
    }

    #[test]
    fn each_is_taken_once_and_the_count_holds() {
        let mut kept = Kept::default();
        for id in 0..500_i64 {
            kept.add(&format!("{}", id * id % 37), id);
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
            row.state.error,
            "limit: of the events up to this one, 2 are no longer kept"
        );
    }
}
