//! The lists of exceptions that scans have seen, and the events that tell of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::now::Now;
use super::watched::{RESTLESS, event};
use crate::event::{Action, Event, Known, Seen, State};
use crate::exceptions::List;
use crate::journal::Change;

/// Under what the list that was told last is kept among the bundles that are known: no path of one.
const KEY: &[u8] = b"exceptions";
/// Lists that wait to be told.
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
    waiting: VecDeque<(Arc<List>, Seen)>,
    /// When one was told last, and for how long no other is.
    pause: Option<(Instant, Duration)>,
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
        for list in lists.iter().filter(|list| list.number > self.number) {
            self.waiting.push_back((Arc::clone(list), seen));
        }
        self.number = lists.last().map_or(self.number, |last| last.number);
        if self.told.is_none() {
            self.told = self.waiting.pop_front().map(|(list, _)| state(&list));
        }
        let over = self.waiting.len().saturating_sub(MOST);
        self.waiting.drain(..over);
    }

    /// An event for each that is another than the one before, once it is time.
    pub fn settle(&mut self, now: Now, events: &mut Vec<Event>) -> Option<Change> {
        let at = now.steady;
        let early = |(told, pause): (Instant, Duration)| at.saturating_duration_since(told) < pause;
        if self.pause.is_some_and(early) {
            return None;
        }
        let before = events.len();
        for (list, seen) in std::mem::take(&mut self.waiting) {
            let new = state(&list);
            let old = self.told.replace(Arc::clone(&new)).unwrap_or_default();
            if old.hash == new.hash {
                continue;
            }
            // One that has gone is told where it stood.
            let path = if new.resolved_path.is_empty() {
                &old.resolved_path
            } else {
                &new.resolved_path
            };
            let mut event = event(
                path.as_bytes(),
                Action::Exceptions,
                seen,
                Arc::clone(&new),
                now,
            );
            event.time = list.time;
            event.previous_hash.clone_from(&old.hash);
            events.push(event);
        }
        if events.len() == before {
            return None;
        }
        let again = self
            .pause
            .filter(|(told, pause)| at.saturating_duration_since(*told) < pause.saturating_mul(4));
        let pause = again.map_or(PAUSE, |(_, pause)| pause.saturating_mul(2).min(RESTLESS));
        self.pause = Some((at, pause));
        self.known()
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
        kind: list.state.to_owned(),
        hash: list.digest.clone(),
        resolved_path: list.path.clone(),
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
        assert_eq!(
            told(&mut lists, at, begun).last().unwrap(),
            "100000 /x 86399>last"
        );
        lists.see(&[list(100_001, "admin")], Seen::Scan);
        assert_eq!(told(&mut lists, at + PAUSE / 2, begun), [""; 0]);
        assert_eq!(
            told(&mut lists, at + PAUSE, begun),
            ["100001 /x last>admin"]
        );
    }
}
