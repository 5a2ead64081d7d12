//! The lists of exceptions that scans have seen, and the events that tell of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::now::Now;
use super::state::event;
use super::watched::RESTLESS;
use crate::event::{Action, Event, Known, Seen, State};
use crate::exceptions::List;
use crate::journal::Change;
use crate::order;

/// Under what the list that was told last is kept among the bundles that are known: no path of one.
const KEY: &[u8] = b"exceptions";
/// Lists that wait to be told. Whoever can write them can also make the next ones: the first stay.
const MOST: usize = 8;
/// Once one was told the next is told so much later at the earliest, and ever later where there is no end to
/// them.
const PAUSE: Duration = Duration::from_secs(60);

/// What was told of the list, and what scans have seen since.
#[derive(Debug, Default)]
pub struct Lists {
    told: Option<Arc<State>>,
    /// The number of the last list that was taken in.
    number: u64,
    waiting: Vec<Waiting>,
    /// When one was told last, and for how long no other is.
    pause: Option<(Instant, Duration)>,
}

/// A list that waits to be told.
#[derive(Debug)]
struct Waiting {
    list: Arc<List>,
    seen: Seen,
    left_out: LeftOut,
}

/// How many lists are told by no event between one that waits and the one before it.
#[derive(Clone, Copy, Debug, Default)]
struct LeftOut {
    /// Those whose digest another event tells.
    again: u64,
    /// All others.
    others: u64,
}

impl LeftOut {
    fn add(&mut self, more: Self) {
        self.again = self.again.saturating_add(more.again);
        self.others = self.others.saturating_add(more.others);
    }

    /// What an event says of them; empty when there are none.
    fn error(self) -> String {
        let all = self.again.saturating_add(self.others);
        let before = format!("limit: {all} lists were left out before it");
        match (all, self.others) {
            (0, _) => String::new(),
            (_, 0) => format!("{before}, with digests that others have"),
            (_, others) => format!("{before}, {others} of them not told"),
        }
    }
}

impl Lists {
    /// Takes what was told by an earlier process out of all that is known.
    pub fn begin(known: &mut Vec<(Vec<u8>, Known)>) -> Self {
        let mut own = known.extract_if(.., |(key, _)| key == KEY);
        Self {
            told: own.next().map(|(_, known)| known.state),
            ..Self::default()
        }
    }

    /// Takes in what scans have seen, oldest first; what the first of them saw is the base line where nothing
    /// was told before.
    pub fn see(&mut self, lists: &[Arc<List>], seen: Seen) {
        for list in lists {
            if list.number <= self.number {
                continue;
            }
            let missed = list.number.saturating_sub(self.number);
            self.waiting.push(Waiting {
                list: Arc::clone(list),
                seen,
                left_out: LeftOut {
                    again: 0,
                    others: missed.saturating_sub(1),
                },
            });
            self.number = list.number;
            if self.told.is_none() {
                self.told = self.waiting.pop().map(|first| state(&first.list));
            }
            if self.waiting.len() > MOST {
                self.leave_one_out();
            }
        }
    }

    /// Makes room: of those that wait one goes whose digest is told already, or by one before it. Where there
    /// is none, it is the newest but the last, which says what holds now. The one behind it says so.
    fn leave_one_out(&mut self) {
        let told = self.told.as_ref().map(|told| told.hash.to_string());
        let mut before: BTreeSet<&String> = order::gather(&told);
        let all_but_last = self.waiting.len().saturating_sub(1);
        let mut earlier = self.waiting.iter().take(all_but_last);
        let again = earlier.position(|waiting| !before.insert(&waiting.list.digest));
        let Some(at) = again.or_else(|| all_but_last.checked_sub(1)) else {
            return;
        };
        let mut left_out = self.waiting.remove(at).left_out;
        left_out.add(match again {
            Some(_) => LeftOut {
                again: 1,
                others: 0,
            },
            None => LeftOut {
                again: 0,
                others: 1,
            },
        });
        if let Some(next) = self.waiting.get_mut(at) {
            next.left_out.add(left_out);
        }
    }

    /// An event for each that is another than the one before, once it is time.
    pub fn settle(&mut self, now: Now, events: &mut Vec<Event>) -> Option<Change> {
        let at = now.steady;
        let early = |(told, pause): (Instant, Duration)| at.saturating_duration_since(told) < pause;
        if self.pause.is_some_and(early) {
            return None;
        }
        let known = self.tell(now, events)?;
        let again = self
            .pause
            .filter(|(told, pause)| at.saturating_duration_since(*told) < pause.saturating_mul(4));
        let pause = again.map_or(PAUSE, |(_, pause)| pause.saturating_mul(2).min(RESTLESS));
        self.pause = Some((at, pause));
        Some(known)
    }

    /// Likewise, whether it is time or not.
    pub fn tell(&mut self, now: Now, events: &mut Vec<Event>) -> Option<Change> {
        let before = events.len();
        for waiting in std::mem::take(&mut self.waiting) {
            let Waiting {
                list,
                seen,
                left_out,
            } = waiting;
            let new = state(&list);
            let old = self.told.replace(Arc::clone(&new)).unwrap_or_default();
            let error = left_out.error();
            if old.hash == new.hash && error.is_empty() {
                continue;
            }
            // One that has gone is told where it stood.
            let path = if new.resolved_path.is_empty() {
                &old.resolved_path
            } else {
                &new.resolved_path
            };
            let told = if error.is_empty() {
                Arc::clone(&new)
            } else {
                Arc::new(State {
                    error: error.into(),
                    ..State::clone(&new)
                })
            };
            let mut event = event(path.as_bytes(), Action::Exceptions, seen, told, now);
            event.time = list.time;
            event.previous_hash.clone_from(&old.hash);
            events.push(event);
        }
        (events.len() > before).then(|| self.known()).flatten()
    }

    /// The list that was told last.
    pub fn known(&self) -> Option<Change> {
        let state = self.told.clone()?;
        let known = Known {
            state,
            since_ms: None,
        };
        Some((KEY.to_vec(), Some(known)))
    }
}

fn state(list: &List) -> Arc<State> {
    Arc::new(State {
        kind: list.state.into(),
        hash: list.digest.as_str().into(),
        resolved_path: list.path.as_str().into(),
        ..State::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(number: u64, digest: &str) -> Arc<List> {
        Arc::new(List {
            number,
            time: i64::try_from(number).unwrap(),
            path: if digest.is_empty() { "" } else { "/x" }.to_owned(),
            state: "active",
            digest: digest.to_owned(),
        })
    }

    /// Each event in short.
    fn told(lists: &mut Lists, at: Duration, begun: Instant) -> Vec<String> {
        let now = Now {
            steady: begun + at,
            wall_ms: 0,
        };
        let mut events = Vec::new();
        let known = lists.settle(now, &mut events);
        assert_eq!(known.is_some(), !events.is_empty());
        let short =
            |e: &Event| format!("{} {} {}>{}", e.time, e.path, e.previous_hash, e.state.hash);
        events.iter().map(short).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_that_was_away_for_a_moment_is_told() {
        let begun = Instant::now();
        let mut lists = Lists::begin(&mut Vec::new());
        lists.see(&[list(1, "a")], Seen::Start);
        assert_eq!(told(&mut lists, SECOND, begun), [""; 0]);
        // Between two looks of the watch.
        let seen = [list(1, "a"), list(2, ""), list(3, "a")];
        lists.see(&seen, Seen::Scan);
        assert_eq!(told(&mut lists, SECOND, begun), ["2 /x a>", "3 /x >a"]);
        lists.see(&seen, Seen::Scan);
        assert_eq!(told(&mut lists, SECOND * 1_000, begun), [""; 0]);
    }

    #[test]
    fn what_waits_is_told_at_the_end() {
        let begun = Instant::now();
        let mut lists = Lists::begin(&mut Vec::new());
        lists.see(&[list(1, "a"), list(2, "b")], Seen::Start);
        assert_eq!(told(&mut lists, SECOND, begun), ["2 /x a>b"]);
        lists.see(&[list(3, "evil"), list(4, "b")], Seen::Scan);
        assert_eq!(told(&mut lists, SECOND * 2, begun), [""; 0]);
        let now = Now {
            steady: begun + SECOND * 3,
            wall_ms: 0,
        };
        let mut events = Vec::new();
        assert!(lists.tell(now, &mut events).is_some());
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].state.hash, "evil");
        assert!(lists.tell(now, &mut events).is_none());
    }

    #[test]
    fn what_changed_while_nothing_ran_is_told_and_a_base_line_is_not() {
        let begun = Instant::now();
        let mut lists = Lists::begin(&mut Vec::new());
        lists.see(&[list(1, "a")], Seen::Start);
        let mut known: Vec<(Vec<u8>, Known)> = lists
            .known()
            .map(|(key, known)| (key, known.unwrap()))
            .into_iter()
            .collect();
        known.push((b"/a".to_vec(), Known::default()));
        let mut same = Lists::begin(&mut known.clone());
        same.see(&[list(1, "a")], Seen::Start);
        assert_eq!(told(&mut same, SECOND, begun), [""; 0]);
        let mut other = Lists::begin(&mut known);
        assert_eq!(known.len(), 1);
        other.see(&[list(1, "b")], Seen::Start);
        assert_eq!(told(&mut other, SECOND, begun), ["1 /x a>b"]);
    }

    #[test]
    fn lists_without_end_are_told_ever_more_rarely() {
        let begun = Instant::now();
        let mut lists = Lists::begin(&mut Vec::new());
        lists.see(&[list(1, "0")], Seen::Start);
        let mut count = 0;
        for number in 2..86_400 {
            lists.see(&[list(number, &number.to_string())], Seen::Scan);
            count += told(&mut lists, SECOND * u32::try_from(number).unwrap(), begun).len();
        }
        assert!((1_000..1_300).contains(&count), "{count}");
        // And after a while of peace at once.
        lists.see(&[list(100_000, "last")], Seen::Scan);
        let at = SECOND * 100_000;
        let last = told(&mut lists, at, begun);
        assert!(last.last().unwrap().ends_with(">last"), "{last:?}");
        lists.see(&[list(100_001, "admin")], Seen::Scan);
        assert_eq!(told(&mut lists, at + PAUSE / 2, begun), [""; 0]);
        assert_eq!(
            told(&mut lists, at + PAUSE, begun),
            ["100001 /x last>admin"]
        );
    }

    /// What is told of lists that were seen a second apart while events of lists paused.
    fn told_after_pause(digests: &[&str]) -> Vec<Event> {
        let begun = Instant::now();
        let mut lists = Lists::begin(&mut Vec::new());
        lists.see(&[list(1, "admin")], Seen::Start);
        lists.see(&[list(2, ""), list(3, "admin")], Seen::Scan);
        assert_eq!(told(&mut lists, SECOND, begun).len(), 2);
        for (number, digest) in (4..).zip(digests) {
            lists.see(&[list(number, digest)], Seen::Scan);
            assert_eq!(told(&mut lists, SECOND * 2, begun), [""; 0]);
        }
        let now = Now {
            steady: begun + PAUSE * 2,
            wall_ms: 0,
        };
        let mut events = Vec::new();
        lists.settle(now, &mut events);
        assert!(events.len() <= MOST);
        // What is kept as known is that of the last, and says nothing of others.
        let (_, known) = lists.known().unwrap();
        let known = known.unwrap().state;
        assert_eq!(&known.hash, digests.last().unwrap());
        assert_eq!(&*known.error, "");
        for pair in events.windows(2) {
            assert_eq!(pair[1].previous_hash, pair[0].state.hash);
        }
        events
    }

    /// Whoever has it come and go: all lists but one are of those that everybody knows.
    #[test]
    fn no_coming_and_going_of_known_lists_takes_the_place_of_another() {
        let flicker = ["", "admin"].repeat(5);
        let mut digests = vec!["", "admin", "evil"];
        digests.extend(&flicker);
        digests.extend(["other"]);
        digests.extend(&flicker);
        let events = told_after_pause(&digests);
        let told = |hash: &str| events.iter().filter(|e| e.state.hash == hash).count();
        assert_eq!((told("evil"), told("other")), (1, 1));
        let evil = events.iter().find(|e| e.state.hash == "evil").unwrap();
        assert_eq!(evil.time, 6);
        assert_eq!(events.last().unwrap().state.hash, "admin");
        let told = i64::try_from(events.len()).unwrap();
        let all = i64::try_from(digests.len()).unwrap();
        assert_eq!(left_out(&events), all - told);
        assert!(events.iter().all(|e| !e.state.error.contains("not told")));
    }

    #[test]
    fn of_too_many_lists_it_is_told_how_many_are_left_out() {
        let numbers: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let digests: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let events = told_after_pause(&digests);
        let hashes: Vec<String> = events.iter().map(|e| e.state.hash.to_string()).collect();
        assert_eq!(hashes, ["0", "1", "2", "3", "4", "5", "6", "19"]);
        assert_eq!(
            &*events.last().unwrap().state.error,
            "limit: 12 lists were left out before it, 12 of them not told"
        );
        assert_eq!(left_out(&events), 12);
        // Where it is again what it was, this is told all the same.
        let mut digests = digests;
        digests.truncate(9);
        digests.push("6");
        let events = told_after_pause(&digests);
        let last = events.last().unwrap();
        assert_eq!(
            (
                &*last.state.hash.to_string(),
                &*last.previous_hash.to_string()
            ),
            ("6", "6")
        );
        assert_eq!(left_out(&events), 2);
    }

    #[test]
    fn what_the_scans_themselves_remember_no_more_is_counted() {
        let begun = Instant::now();
        let mut lists = Lists::begin(&mut Vec::new());
        lists.see(&[list(1, "a")], Seen::Start);
        lists.see(&[list(5, "b"), list(6, "a")], Seen::Scan);
        let now = Now {
            steady: begun,
            wall_ms: 0,
        };
        let mut events = Vec::new();
        lists.settle(now, &mut events);
        let errors: Vec<&str> = events.iter().map(|e| &*e.state.error).collect();
        let why = "limit: 3 lists were left out before it, 3 of them not told";
        assert_eq!(errors, [why, ""]);
    }

    /// How many lists events say were left out.
    fn left_out(events: &[Event]) -> i64 {
        let words = events
            .iter()
            .filter_map(|e| e.state.error.split(' ').nth(1));
        words.map(|word| word.parse::<i64>().unwrap()).sum()
    }
}
