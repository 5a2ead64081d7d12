//! One bundle that is watched: what was told of it, what looks have seen since, and the events that make
//! up for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::alike::Step;
use super::crowd::{Crowd, Told, is_bare};
use super::moving::{Moving, Sight};
use super::now::Now;
use super::state::{Key, Print, event, is_rest};
use crate::bundle::Bundle;
use crate::event::{Action, Event, Known, REWRITTEN, Seen, State, is_minor, is_paced};

/// A new bundle that is still for so long is told.
pub const STILL: Duration = Duration::from_millis(60);
/// A new bundle is told after so long at the latest.
pub const APPEARED: Duration = Duration::from_millis(250);
/// Nobody has written to a bundle for so long: it has settled.
pub const SETTLED: Duration = Duration::from_millis(300);
/// A bundle that does not settle is told after so long.
pub const UNSETTLED: Duration = Duration::from_secs(2);
/// What changes behind a bundle's links alone, or is written and stays what it is, again and again, is told
/// after so long at the latest.
pub const RESTLESS: Duration = Duration::from_secs(600);

/// Lines of what comes and goes: who is told of its coming is told of its going.
pub const COMES_AND_GOES: u32 = 2;

/// What is said of a bundle of which nothing was seen whole.
pub const TOO_SOON: &str = "changed: it was gone before it could be read whole";

#[derive(Debug)]
pub struct Watched {
    /// What events say it is; nothing when it has not been told yet.
    pub told: Option<Sight>,
    pub since: Option<Instant>,
    pub since_ms: Option<i64>,
    /// What the last look had.
    pub last: Print,
    pub moving: Option<Box<Moving>>,
    pub links: Option<Links>,
    /// True when it has held nothing since it came.
    pub is_bare: bool,
    /// True when the line for its going was taken when it came.
    pub is_paid: bool,
    /// The look that had it last, by number.
    pub look: u64,
    /// How it was seen to be gone.
    pub gone: Option<Seen>,
}

/// When what links lead to was told last, and how long it is not told again. A link to somebody's busy log
/// makes a bundle change all day, at no cost to whoever planted it.
#[derive(Clone, Copy, Debug)]
pub struct Links {
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

impl Watched {
    pub fn new(bundle: &Bundle, base_line: bool, seen: Seen, now: Now) -> Self {
        let key = Key::of(bundle);
        let last = key.print();
        let sight = Sight::new(key.state(bundle, None), bundle);
        if base_line {
            return Self {
                told: Some(sight),
                since: None,
                since_ms: None,
                last,
                moving: None,
                links: None,
                is_bare: is_bare(bundle),
                is_paid: false,
                look: 0,
                gone: None,
            };
        }
        let mut moving = Moving::new(now.steady, seen, sight.clone());
        moving.best = Some(sight).filter(|sight| sight.state.is_whole());
        Self {
            told: None,
            since: Some(now.steady),
            since_ms: Some(now.wall_ms),
            last,
            moving: Some(moving),
            links: None,
            is_bare: is_bare(bundle),
            is_paid: false,
            look: 0,
            gone: None,
        }
    }

    /// True when it waits for a line.
    pub fn waits(&self) -> bool {
        self.moving.as_ref().is_some_and(|moving| moving.waits)
    }

    /// How much of what has passed it holds beside what each may.
    pub fn held(&self) -> usize {
        self.moving.as_ref().map_or(0, |moving| moving.held())
    }

    /// Holds no more of it than each may.
    pub fn hold_one(&mut self) {
        if let Some(moving) = &mut self.moving {
            moving.hold_one(self.told.as_ref());
        }
    }

    /// Takes in what a look saw. `room` is how much more of what has passed may be held of all bundles.
    pub fn see(&mut self, bundle: &Bundle, seen: Seen, room: usize, now: Now) {
        let key = Key::of(bundle);
        let print = key.print();
        if print == self.last {
            return;
        }
        let last = self.moving.as_ref().map(|moving| &moving.now);
        let like = last
            .or(self.told.as_ref())
            .map(|sight| sight.state.as_ref());
        let mut state = key.state(bundle, like);
        if let Some(told) = &mut self.told {
            state.keep_links(&told.state);
            if told.state.lacks(&state) {
                Arc::make_mut(&mut told.state).learn(&state);
            }
        }
        let mut sight = Sight::new(state, bundle);
        for old in self.told.iter().chain(self.moving.as_ref().map(|m| &m.now)) {
            sight.share(old);
        }
        self.is_bare &= sight.is_bare;
        self.last = print;
        let moving = self
            .moving
            .get_or_insert_with(|| Moving::new(now.steady, seen, sight.clone()));
        moving.pass(self.told.as_ref(), &sight, room, now.steady);
        moving.was_hidden |= moving.now.state.is_hidden();
        if std::mem::take(&mut moving.waits) {
            // What comes now has the time that anything has to settle.
            moving.began = now.steady;
        }
        moving.still_since = now.steady;
        let old = moving.best.as_ref().or(self.told.as_ref());
        // While it lacks a file it may run other code: then it is no mere rest of what it was.
        let is_rest = old.is_some_and(|old| {
            is_rest(&sight.records, &old.records) && !sight.state.runs_other_code_than(&old.state)
        });
        let gravity = |new: &Sight| match &self.told {
            Some(told) => told.state.gravity_of(&new.state),
            None => 5,
        };
        let is_told = gravity(&sight) == 0;
        // What weighs less takes the place of nothing.
        let is_noise = moving
            .best
            .as_ref()
            .is_some_and(|best| gravity(best) > gravity(&sight));
        if sight.state.is_whole() && !is_rest && !is_told && !is_noise {
            moving.best = Some(sight.clone());
        }
        moving.now = sight;
    }

    pub fn known(&self) -> Option<Known> {
        let told = self.told.as_ref()?;
        Some(Known {
            state: told.state.clone(),
            since_ms: self.since_ms,
        })
    }

    /// The events of it, once it has settled or gone. Where it holds nothing, as the crowd has lines for it.
    pub fn settle(&mut self, path: &[u8], now: Now, crowd: &mut Crowd, events: &mut Vec<Event>) {
        if let Some(seen) = self.gone {
            return self.go(path, seen, now, crowd, events);
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
                let is_told = self.is_told(crowd, now);
                let Some(moving) = &mut self.moving else {
                    return;
                };
                moving.waits = is_told == Told::Later;
                if moving.waits {
                    return;
                }
                self.is_paid = is_told == Told::Taken;
                tell_appeared(path, moving, &sight.state, now, events);
                self.told = Some(sight);
                moving.best = None;
                moving.passed.clear();
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
            let now = told.state.differences(&sight.state);
            let then = told.state.differences(&best.state);
            let is_back = now.is_empty() || now == REWRITTEN;
            is_back && !then.is_empty() || is_minor(&now) && !is_minor(&then)
        });
        let between = between.map(|best| &best.state);
        let ends = [between, Some(&sight.state)];
        let then = moving
            .passed_before(&ends)
            .chain(ends.into_iter().flatten());
        let changes = steps(&told.state, then);
        let is_paced = changes.iter().all(|(_, _, changed)| is_paced(changed));
        if !changes.is_empty() {
            let is_early = self.links.is_some_and(|links| links.is_early(now.steady));
            let is_early = is_paced && is_early;
            if is_early || !tells(&changes, self.is_bare, sight.is_bare, now, crowd) {
                moving.waits = true;
                return;
            }
            if is_paced {
                self.links = Some(Links::after(self.links, now.steady));
            }
        }
        // A volume that covered it, and is gone before there was a line for that.
        if changes.is_empty() && moving.was_hidden {
            crowd.leave_out_hidden(path, moving.seen);
        }
        for (old, new, changed) in changes {
            events.push(moving.changed(path, old, new, changed, now));
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
            moving.passed.clear();
            moving.was_hidden = false;
        }
    }

    /// Whether its coming and its going are told. What stood there and does not any more has no line, so that whatever
    /// comes after it is told at once.
    fn is_told(&self, crowd: &mut Crowd, now: Now) -> Told {
        if self.is_bare {
            let has_lines = crowd.takes(COMES_AND_GOES, now.steady);
            return if has_lines { Told::Taken } else { Told::Later };
        }
        let moving = self.moving.as_ref().filter(|moving| {
            let best = moving.best.as_ref();
            best.is_none_or(|best| best.state.hash == moving.now.state.hash)
        });
        let all = moving.map(|moving| {
            let ends = [Some(&moving.now.state)];
            let passed = moving.passed_before(&ends).map(AsRef::as_ref);
            passed.chain([moving.now.state.as_ref()]).collect()
        });
        let all: Vec<&State> = all.unwrap_or_default();
        let changes = u32::try_from(all.len().saturating_sub(1)).unwrap_or(u32::MAX);
        crowd.comes(&all, COMES_AND_GOES.saturating_add(changes), now.steady)
    }

    fn go(
        &mut self,
        path: &[u8],
        seen: Seen,
        now: Now,
        crowd: &mut Crowd,
        events: &mut Vec<Event>,
    ) {
        let state = match &self.told {
            None if self.is_told(crowd, now) == Told::Later => {
                return crowd.leave_out(path, seen);
            }
            None => self.come_and_go(path, now, events),
            Some(told) => {
                let mut steps = self.last_steps(&told.state);
                let last = steps.last().map_or(&told.state, |(_, new, _)| *new);
                let last = Arc::clone(last);
                let is_news = !steps.is_empty() && tells(&steps, self.is_bare, false, now, crowd);
                if !is_news && !steps.is_empty() {
                    steps.clear();
                    crowd.leave_out(path, seen);
                }
                // Who is told of something new is told of its going.
                if !is_news && !self.is_paid && !crowd.takes_going(1, now.steady) {
                    crowd.goes(&told.state, now.steady);
                    return crowd.leave_out_going(path, seen);
                }
                for (old, new, changed) in steps {
                    if let Some(moving) = &self.moving {
                        events.push(moving.changed(path, old, new, changed, now));
                    }
                }
                last
            }
        };
        crowd.goes(&state, now.steady);
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

    /// Tells that it came, of what nobody was told of and that has gone; gives what it was.
    fn come_and_go(&self, path: &[u8], now: Now, events: &mut Vec<Event>) -> Arc<State> {
        let Some(moving) = &self.moving else {
            return Arc::default();
        };
        let best = moving.best.as_ref().map(|best| &best.state);
        let mut state = best.unwrap_or(&moving.now.state).clone();
        if !state.is_whole() && state.error.is_empty() {
            Arc::make_mut(&mut state).error = TOO_SOON.into();
        }
        tell_appeared(path, moving, &state, now, events);
        state
    }

    /// What became of what was told before it went.
    fn last_steps<'a>(&'a self, told: &'a Arc<State>) -> Vec<Step<'a>> {
        let Some(moving) = &self.moving else {
            return Vec::new();
        };
        let best = moving.best.as_ref().map(|best| &best.state);
        let mut steps = steps(told, moving.passed_before(&[best]).chain(best));
        // It may have been what was told again.
        let now = &moving.now.state;
        if let Some(best) = best {
            let changed = best.differences(told);
            let is_back = now.is_whole()
                && told.differences(now).is_empty()
                && !told.differences(best).is_empty()
                && !changed.is_empty();
            if is_back {
                steps.push((best, told, changed));
            }
        }
        steps
    }
}

/// What became of one state by way of others.
fn steps<'a>(told: &'a Arc<State>, then: impl Iterator<Item = &'a Arc<State>>) -> Vec<Step<'a>> {
    let mut old = told;
    let steps = then.filter_map(|new| {
        let changed = old.differences(new);
        (!changed.is_empty()).then(|| (std::mem::replace(&mut old, new), new, changed))
    });
    steps.collect()
}

/// Tells that it came as what it was first, and what became of that.
fn tell_appeared(
    path: &[u8],
    moving: &Moving,
    state: &Arc<State>,
    now: Now,
    events: &mut Vec<Event>,
) {
    let ends = [Some(state)];
    let mut all = moving.passed_before(&ends).chain([state]);
    let Some(first) = all.next() else {
        return;
    };
    events.push(moving.event(path, Action::Appeared, first, now));
    for (old, new, changed) in steps(first, all) {
        events.push(moving.changed(path, old, new, changed, now));
    }
}

/// True when what became of something is told now.
fn tells(steps: &[Step<'_>], is_bare: bool, ends_bare: bool, now: Now, crowd: &mut Crowd) -> bool {
    let lines = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    match steps {
        _ if is_bare => crowd.takes(lines, now.steady),
        // Where a directory goes that the links of thousands lead into, each of them is emptied.
        [_] if ends_bare => crowd.takes_going(lines, now.steady),
        // Where a volume comes to cover thousands, nothing of them can be looked at.
        [(old, new, _)] if new.is_hidden() => {
            let has_lines = crowd.takes_hidden(lines, now.steady);
            if has_lines {
                crowd.goes(old, now.steady);
            }
            has_lines
        }
        _ => crowd.becomes(steps, lines, now.steady) != Told::Later,
    }
}
