//! What was told of each bundle, what looks have seen since, and the events that make up for it.
//!
//! While a bundle is being written, no two looks see the same. It is told as soon as it is still for a
//! moment, and again when it has settled and is not what was told. What goes before that is told by
//! the last whole state that was seen of it, and a state in which a bundle stood only in between is
//! told as well. What is left of a bundle while it is deleted is no state of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::{Key, Records, is_rest, records};
use crate::bundle::Bundle;
use crate::event::{Action, Event, Known, LINKED, Seen, State};
use crate::journal::Change;
use crate::text::escape;

/// A new bundle that is still for so long is told.
pub const STILL: Duration = Duration::from_millis(60);
/// A new bundle is told after so long at the latest.
pub const APPEARED: Duration = Duration::from_millis(250);
/// Nobody has written to a bundle for so long: it has settled.
pub const SETTLED: Duration = Duration::from_millis(300);
/// A bundle that does not settle is told after so long.
pub const UNSETTLED: Duration = Duration::from_secs(2);
/// What changes behind a bundle's links alone, again and again, is told after so long at the latest.
pub const RESTLESS: Duration = Duration::from_secs(600);

/// What is said of a bundle of which nothing was seen whole.
const TOO_SOON: &str = "changed: it was gone before it could be read whole";

/// The time of a look, by the clock that cannot be set and by the one that can.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The one that cannot.
    pub steady: Instant,
    /// Milliseconds of Unix time.
    pub wall_ms: i64,
}

/// A whole or partial state that was seen, and what the bundle held.
#[derive(Clone, Debug)]
struct Sight {
    state: State,
    records: Records,
}

/// A bundle that looks have seen change and that has not settled.
#[derive(Debug)]
struct Moving {
    began: Instant,
    still_since: Instant,
    seen: Seen,
    now: Sight,
    /// The last whole state since `began` that is neither what was told nor the rest of another.
    best: Option<Sight>,
    /// Copies that were made: digests, and where.
    kept: Vec<(String, String)>,
    /// True when it is told later, however still it is.
    waits: bool,
}

#[derive(Debug)]
struct Watched {
    /// What events say it is; nothing when it has not been told yet.
    told: Option<Sight>,
    since: Option<Instant>,
    since_ms: Option<i64>,
    last: Key,
    moving: Option<Moving>,
    links: Option<Links>,
    /// How it was seen to be gone.
    gone: Option<Seen>,
}

/// When what links lead to was told last, and how long it is not told again. A link to somebody's busy log
/// makes a bundle change all day, at no cost to whoever planted it.
#[derive(Clone, Copy, Debug)]
struct Links {
    told: Instant,
    pause: Duration,
}

impl Links {
    /// After one more that is told now: whoever changes again soon waits twice as long.
    fn after(last: Option<Self>, now: Instant) -> Self {
        let again = last.filter(|last| {
            let calm = last.pause.saturating_mul(2);
            now.saturating_duration_since(last.told) < calm
        });
        let pause = again.map_or(UNSETTLED, |last| last.pause.saturating_mul(2));
        Self {
            told: now,
            pause: pause.min(RESTLESS),
        }
    }

    fn is_early(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.told) < self.pause
    }
}

/// All bundles that are watched, by path.
#[derive(Debug)]
pub struct Tracker {
    bundles: BTreeMap<Vec<u8>, Watched>,
    /// Names that came and went between two looks.
    fleeting: Vec<Vec<u8>>,
}

impl Tracker {
    /// Begins with what was known when the last process ended: the first look is compared with
    /// that. Of a bundle that is not among them nothing is said when they are `cut`.
    pub fn begin(
        known: Vec<(Vec<u8>, Known)>,
        bundles: &[Arc<Bundle>],
        cut: bool,
        now: Now,
    ) -> Self {
        let mut tracker = Self::base_line(&[], now);
        // As if each had been still for long: it is told at once.
        let before = now.steady.checked_sub(UNSETTLED).unwrap_or(now.steady);
        let mut known: BTreeMap<Vec<u8>, Known> = known.into_iter().collect();
        for bundle in bundles {
            let path = &bundle.evidence.candidate.path;
            let last = Key::of(bundle);
            let mut sight = Sight {
                state: last.state(bundle),
                records: records(bundle),
            };
            if let Some(known) = known.get(path) {
                sight.state.keep_links(&known.state);
            }
            let (told, since_ms, is_new) = match known.remove(path) {
                Some(known) => {
                    let records = sight.records.clone();
                    let state = known.state;
                    (Some(Sight { state, records }), known.since_ms, true)
                }
                None if cut => (Some(sight.clone()), None, false),
                None => (None, Some(now.wall_ms), true),
            };
            let moving = is_new.then(|| Moving {
                began: before,
                still_since: before,
                seen: Seen::Start,
                best: None,
                now: sight,
                kept: Vec::new(),
                waits: false,
            });
            let watched = Watched {
                since: told.is_none().then_some(now.steady),
                told,
                since_ms,
                last,
                moving,
                links: None,
                gone: None,
            };
            tracker.bundles.insert(path.clone(), watched);
        }
        for (path, known) in known {
            let watched = Watched {
                told: Some(Sight {
                    state: known.state,
                    records: Box::default(),
                }),
                since: None,
                since_ms: known.since_ms,
                last: Key::none(),
                moving: None,
                links: None,
                gone: Some(Seen::Start),
            };
            tracker.bundles.insert(path, watched);
        }
        tracker
    }

    /// Begins with what stands there: nothing is said of it.
    pub fn base_line(bundles: &[Arc<Bundle>], now: Now) -> Self {
        let bundles = bundles.iter().map(|bundle| {
            let path = bundle.evidence.candidate.path.clone();
            (path, Watched::new(bundle, true, Seen::Start, now))
        });
        Self {
            bundles: bundles.collect(),
            fleeting: Vec::new(),
        }
    }

    /// Takes in what a look saw. `is_gone` says whether nothing stands at a path that the look does
    /// not have: it may have been cut short.
    pub fn see(
        &mut self,
        bundles: &[Arc<Bundle>],
        seen: Seen,
        now: Now,
        is_gone: &dyn Fn(&[u8]) -> bool,
    ) {
        let mut there: BTreeSet<&[u8]> = BTreeSet::new();
        for bundle in bundles {
            let path = bundle.evidence.candidate.path.as_slice();
            there.insert(path);
            match self.bundles.get_mut(path) {
                // What there was no time to look at is no change.
                Some(_) if bundle.evidence.is_unsurveyed => {}
                Some(watched) => watched.see(bundle, seen, now),
                None => {
                    let watched = Watched::new(bundle, false, seen, now);
                    self.bundles.insert(path.to_owned(), watched);
                }
            }
        }
        for (path, watched) in &mut self.bundles {
            if !there.contains(path.as_slice()) && watched.gone.is_none() && is_gone(path) {
                watched.gone = Some(seen);
            }
        }
    }

    /// Takes in a name that the system told of. When no look has seen it, it came and went.
    pub fn name(&mut self, path: Vec<u8>) {
        if !self.bundles.contains_key(&path) && !self.fleeting.contains(&path) {
            self.fleeting.push(path);
        }
    }

    /// The bundles of which a copy may be wanted: paths, and the digest that they have now.
    pub fn unsettled(&self) -> Vec<(Vec<u8>, String)> {
        let moving = self.bundles.iter().filter(|(_, w)| w.gone.is_none());
        let wanted = moving.filter_map(|(path, watched)| {
            let moving = watched.moving.as_ref()?;
            let state = &moving.now.state;
            let copied = moving.kept.iter().any(|(hash, _)| *hash == state.hash);
            let told = watched.told.as_ref().map_or("", |t| t.state.hash.as_str());
            let wanted = state.is_whole()
                && state.exception.is_empty()
                && !copied
                && told != state.hash
                && moving
                    .best
                    .as_ref()
                    .is_none_or(|b| b.state.hash == state.hash);
            wanted.then(|| (path.clone(), state.hash.clone()))
        });
        wanted.collect()
    }

    /// Says where a copy of a bundle with that digest is kept; gives the copies that are of no use
    /// now, because nothing will be told of what they hold.
    pub fn copied(&mut self, path: &[u8], hash: &str, place: String) {
        let moving = self.bundles.get_mut(path).and_then(|w| w.moving.as_mut());
        if let Some(moving) = moving {
            moving.kept.push((hash.to_owned(), place));
        }
    }

    /// The events of all that has settled or gone, and what is known after them.
    pub fn settle(&mut self, now: Now) -> (Vec<Event>, Vec<Change>) {
        let mut events = Vec::new();
        let mut changes = Vec::new();
        for (path, watched) in &mut self.bundles {
            let before = events.len();
            watched.settle(path, now, &mut events);
            if watched.gone.is_some() {
                changes.push((path.clone(), None));
            } else if events.len() > before {
                changes.push((path.clone(), watched.known()));
            }
        }
        self.bundles.retain(|_, watched| watched.gone.is_none());
        for path in std::mem::take(&mut self.fleeting) {
            let state = State {
                error: TOO_SOON.to_owned(),
                ..State::default()
            };
            for action in [Action::Appeared, Action::Gone] {
                events.push(event(&path, action, Seen::Watched, state.clone(), now));
            }
        }
        (events, changes)
    }

    /// All that is known.
    pub fn known(&self) -> Vec<Change> {
        let known = self.bundles.iter().filter(|(_, w)| w.gone.is_none());
        known
            .filter_map(|(path, watched)| Some((path.clone(), Some(watched.known()?))))
            .collect()
    }

    /// True when something has not settled, and is not to wait.
    pub fn is_moving(&self) -> bool {
        let mut moving = self.bundles.values().filter_map(|w| w.moving.as_ref());
        moving.any(|moving| !moving.waits)
    }
}

impl Watched {
    fn new(bundle: &Bundle, base_line: bool, seen: Seen, now: Now) -> Self {
        let last = Key::of(bundle);
        let sight = Sight {
            state: last.state(bundle),
            records: records(bundle),
        };
        if base_line {
            return Self {
                told: Some(sight),
                since: None,
                since_ms: None,
                last,
                moving: None,
                links: None,
                gone: None,
            };
        }
        let moving = Moving {
            began: now.steady,
            still_since: now.steady,
            seen,
            best: sight.state.is_whole().then(|| sight.clone()),
            now: sight,
            kept: Vec::new(),
            waits: false,
        };
        Self {
            told: None,
            since: Some(now.steady),
            since_ms: Some(now.wall_ms),
            last,
            moving: Some(moving),
            links: None,
            gone: None,
        }
    }

    fn see(&mut self, bundle: &Bundle, seen: Seen, now: Now) {
        let key = Key::of(bundle);
        if key == self.last {
            return;
        }
        let mut sight = Sight {
            state: key.state(bundle),
            records: records(bundle),
        };
        if let Some(told) = &self.told {
            sight.state.keep_links(&told.state);
        }
        self.last = key;
        let moving = self.moving.get_or_insert_with(|| Moving {
            began: now.steady,
            still_since: now.steady,
            seen,
            now: sight.clone(),
            best: None,
            kept: Vec::new(),
            waits: false,
        });
        if std::mem::take(&mut moving.waits) {
            // What comes now has the time that anything has to settle.
            moving.began = now.steady;
        }
        moving.still_since = now.steady;
        let old = moving.best.as_ref().or(self.told.as_ref());
        let is_rest = old.is_some_and(|old| is_rest(&sight.records, &old.records));
        let told = self.told.as_ref();
        let is_told = told.is_some_and(|t| t.state.differences(&sight.state).is_empty());
        if sight.state.is_whole() && !is_rest && !is_told {
            moving.best = Some(sight.clone());
        }
        moving.now = sight;
    }

    fn known(&self) -> Option<Known> {
        let told = self.told.as_ref()?;
        Some(Known {
            state: told.state.clone(),
            since_ms: self.since_ms,
        })
    }

    fn settle(&mut self, path: &[u8], now: Now, events: &mut Vec<Event>) {
        if let Some(seen) = self.gone {
            return self.go(path, seen, now, events);
        }
        let Some(moving) = &mut self.moving else {
            return;
        };
        let still = now.steady.saturating_duration_since(moving.still_since);
        let age = now.steady.saturating_duration_since(moving.began);
        let settled = still >= SETTLED;
        // Of what is being written a whole state says more than one that could not be read.
        let sight = match &moving.best {
            Some(best) if !settled && !moving.now.state.is_whole() => best.clone(),
            _ => moving.now.clone(),
        };
        let Some(told) = &self.told else {
            if still >= STILL || age >= APPEARED {
                events.push(moving.event(path, Action::Appeared, &sight.state, now));
                self.told = Some(sight);
                moving.best = None;
                moving.began = now.steady;
                if settled {
                    self.moving = None;
                }
            }
            return;
        };
        if !settled && age < UNSETTLED {
            return;
        }
        let between = moving.best.as_ref().filter(|best| {
            told.state.differences(&sight.state).is_empty()
                && !told.state.differences(&best.state).is_empty()
        });
        let mut changes = Vec::new();
        let mut old = &told.state;
        for step in between.into_iter().chain([&sight]) {
            let changed = old.differences(&step.state);
            if !changed.is_empty() {
                changes.push((old, &step.state, changed));
                old = &step.state;
            }
        }
        if !changes.is_empty() && changes.iter().all(|(_, _, changed)| changed == LINKED) {
            if self.links.is_some_and(|links| links.is_early(now.steady)) {
                moving.waits = true;
                return;
            }
            self.links = Some(Links::after(self.links, now.steady));
        }
        for (old, new, changed) in changes {
            let mut event = moving.event(path, Action::Changed, new, now);
            event.changed = changed;
            event.previous_hash.clone_from(&old.hash);
            events.push(event);
        }
        let tells = !told.state.differences(&sight.state).is_empty();
        if tells || sight.state.is_whole() {
            self.told = Some(sight);
        }
        if settled {
            self.moving = None;
        } else if let Some(moving) = &mut self.moving {
            moving.began = now.steady;
            moving.best = None;
        }
    }

    fn go(&mut self, path: &[u8], seen: Seen, now: Now, events: &mut Vec<Event>) {
        let mut last = self.told.take().map(|told| told.state);
        if let Some(moving) = &self.moving {
            let best = moving.best.as_ref().map(|best| &best.state);
            match &last {
                None => {
                    let mut state = best.unwrap_or(&moving.now.state).clone();
                    if !state.is_whole() && state.error.is_empty() {
                        state.error = TOO_SOON.to_owned();
                    }
                    events.push(moving.event(path, Action::Appeared, &state, now));
                    last = Some(state);
                }
                Some(told) => {
                    let changed = best.map(|best| (best, told.differences(best)));
                    if let Some((best, changed)) = changed.filter(|(_, c)| !c.is_empty()) {
                        let mut event = moving.event(path, Action::Changed, best, now);
                        event.changed = changed;
                        event.previous_hash.clone_from(&told.hash);
                        events.push(event);
                        // It may have been what was told again, before it went.
                        let now_state = &moving.now.state;
                        let changed = best.differences(told);
                        let is_back = now_state.is_whole()
                            && told.differences(now_state).is_empty()
                            && !changed.is_empty();
                        if is_back {
                            let mut event = moving.event(path, Action::Changed, told, now);
                            event.changed = changed;
                            event.previous_hash.clone_from(&best.hash);
                            events.push(event);
                        } else {
                            last = Some(best.clone());
                        }
                    }
                }
            }
        }
        let state = last.unwrap_or_default();
        let mut event = event(path, Action::Gone, seen, state, now);
        event.previous_hash.clone_from(&event.state.hash);
        event.stood_ms = match (self.since, self.since_ms) {
            (Some(since), _) => {
                let stood = now.steady.saturating_duration_since(since).as_millis();
                i64::try_from(stood).ok()
            }
            // By the clock that can be set: one that was set back proves nothing. When it went while
            // nothing ran, nobody knows.
            (None, Some(since)) if seen != Seen::Start => {
                now.wall_ms.checked_sub(since).filter(|ms| *ms >= 0)
            }
            _ => None,
        };
        events.push(event);
    }
}

impl Moving {
    fn event(&self, path: &[u8], action: Action, state: &State, now: Now) -> Event {
        let mut event = event(path, action, self.seen, state.clone(), now);
        let kept = self.kept.iter().find(|(hash, _)| *hash == state.hash);
        event.kept = kept.map_or_else(String::new, |(_, place)| place.clone());
        event
    }
}

fn event(path: &[u8], action: Action, seen: Seen, state: State, now: Now) -> Event {
    Event {
        id: 0,
        time: now.wall_ms / 1000,
        action,
        path: escape(path),
        changed: String::new(),
        seen: Some(seen),
        state,
        previous_hash: String::new(),
        stood_ms: None,
        kept: String::new(),
    }
}
