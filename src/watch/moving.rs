//! What looks have seen of one bundle since it began to move: what it is now, and what stood there in between.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::code::{Code, ran_another};
use super::crowd::is_bare;
use super::now::Now;
use super::state::{Records, event, records};
use crate::bundle::Bundle;
use crate::event::{Action, Event, Seen, State};

/// Code that has run, or could have, for so long is told even if other code took its place since.
pub const STOOD: Duration = Duration::from_millis(250);
/// So many of them between what was told and what is told next: there is time for no more, unless what is told
/// ever more rarely waits.
const MOST_PASSED: usize = 8;
/// Of so many of the last it is known how long they stood by turns.
const MOST_TURNS: usize = 16;

/// A whole or partial state that was seen, and what the bundle held. What was seen, what was told and what is to be
/// told next are mostly one and the same.
#[derive(Clone, Debug)]
pub struct Sight {
    pub state: Arc<State>,
    pub records: Records,
    pub code: Code,
    /// True when it holds nothing.
    pub is_bare: bool,
}

impl Sight {
    /// What a bundle holds, and the state that it is.
    pub fn new(state: State, bundle: &Bundle) -> Self {
        Self {
            state: Arc::new(state),
            records: records(bundle),
            code: Code::of(bundle),
            is_bare: is_bare(bundle),
        }
    }

    /// Shares what is the same in `old`: of thousands of bundles several are held, mostly alike.
    pub fn share(&mut self, old: &Self) {
        Arc::make_mut(&mut self.state).share(&old.state);
        if self.records == old.records {
            self.records = Arc::clone(&old.records);
        }
        if self.code == old.code {
            self.code = old.code.clone();
        }
    }
}

/// A bundle that looks have seen change and that has not settled.
#[derive(Debug)]
pub struct Moving {
    pub began: Instant,
    pub still_since: Instant,
    pub seen: Seen,
    pub now: Sight,
    /// The gravest whole state since `began`, of equals the last, that is neither what was told nor the
    /// rest of another.
    pub best: Option<Sight>,
    /// Since when the bundle has had the code that it has.
    pub code_since: Instant,
    /// How many milliseconds it had other code before, by turns.
    turns: VecDeque<(u64, u32)>,
    /// Whole states with other code that stood for long enough, or whose code is nowhere else, and that no longer
    /// stand.
    pub passed: Vec<Sight>,
    /// Copies that were made: digests, and where.
    pub kept: Vec<(String, String)>,
    /// True when it is told later, however still it is.
    pub waits: bool,
    /// True when nothing of it could be looked at for a while.
    pub was_hidden: bool,
}

impl Moving {
    /// One that begins to move.
    pub fn new(began: Instant, seen: Seen, now: Sight) -> Box<Self> {
        Box::new(Self {
            began,
            still_since: began,
            seen,
            now,
            best: None,
            code_since: began,
            turns: VecDeque::new(),
            passed: Vec::new(),
            kept: Vec::new(),
            waits: false,
            was_hidden: false,
        })
    }

    /// How many of what has passed it holds beside one.
    pub fn held(&self) -> usize {
        self.passed.len().saturating_sub(1)
    }

    /// Takes in that `new` is seen: where that has other code, what stood until now has passed. `room` is how many more
    /// than one may be held of that.
    pub fn pass(&mut self, told: Option<&Sight>, new: &Sight, room: usize, at: Instant) {
        if self.now.state.code() == new.state.code() {
            return;
        }
        let stood = self.stood(at);
        let old = &self.now;
        let code = |sight: &Sight| sight.state.code() == old.state.code();
        if self.passed.iter().any(code) {
            return;
        }
        // What is being written is another at each look, and what is deleted is there in part.
        let has_stood = |told: &Sight| {
            let is_other = old.state.holds_other_code_than(&told.state);
            is_other && (stood >= STOOD || ran_another(&old.state, &told.state, &new.state))
        };
        let known = told
            .into_iter()
            .chain(&self.passed)
            .map(|known| &known.code);
        let is_lost = || old.state.is_whole() && old.code.is_lost(&new.code, known);
        if !told.is_some_and(has_stood) && !is_lost() {
            return;
        }
        // Where they are too many, the least grave goes, and of equals the first.
        if self.passed.len() >= MOST_PASSED.min(room.saturating_add(1)) {
            match self.least_grave(told) {
                Some((least, at)) if least <= gravity(told, old) => drop(self.passed.remove(at)),
                _ => return,
            }
        }
        let old = self.now.clone();
        self.passed.reserve_exact(1);
        self.passed.push(old);
    }

    /// Holds the gravest alone of what has passed.
    pub fn hold_one(&mut self, told: Option<&Sight>) {
        while self.passed.len() > 1
            && let Some((_, at)) = self.least_grave(told)
        {
            self.passed.remove(at);
        }
        self.passed.shrink_to_fit();
    }

    /// How grave the least grave is of what has passed, and where that is.
    fn least_grave(&self, told: Option<&Sight>) -> Option<(Option<u8>, usize)> {
        let all = self.passed.iter().zip(0..);
        all.map(|(passed, at)| (gravity(told, passed), at)).min()
    }

    /// How long the code that it had until now stood, all turns together.
    fn stood(&mut self, at: Instant) -> Duration {
        let mut code = DefaultHasher::new();
        self.now.state.code().hash(&mut code);
        let code = code.finish();
        let stood = at.saturating_duration_since(self.code_since);
        self.code_since = at;
        let stood = u32::try_from(stood.as_millis()).unwrap_or(u32::MAX);
        if let Some((_, all)) = self.turns.iter_mut().find(|(known, _)| *known == code) {
            *all = all.saturating_add(stood);
            return Duration::from_millis(u64::from(*all));
        }
        if self.turns.len() >= MOST_TURNS {
            self.turns.pop_front();
        }
        self.turns.push_back((code, stood));
        Duration::from_millis(u64::from(stood))
    }

    /// What has passed and is none of what is told after it.
    pub fn passed_before<'a, 'e>(
        &'a self,
        ends: &'e [Option<&'e Arc<State>>],
    ) -> impl Iterator<Item = &'a Arc<State>> {
        let is_end = |state: &State| ends.iter().flatten().any(|end| end.code() == state.code());
        let passed = self.passed.iter().map(|passed| &passed.state);
        passed.filter(move |state| !is_end(state))
    }

    pub fn event(&self, path: &[u8], action: Action, state: &Arc<State>, now: Now) -> Event {
        let mut event = event(path, action, self.seen, Arc::clone(state), now);
        let kept = self.kept.iter().find(|(hash, _)| state.hash == **hash);
        event.kept = kept.map_or_else(String::new, |(_, place)| place.clone());
        event
    }

    pub fn changed(
        &self,
        path: &[u8],
        old: &State,
        new: &Arc<State>,
        changed: String,
        now: Now,
    ) -> Event {
        let mut event = self.event(path, Action::Changed, new, now);
        event.changed = changed;
        event.previous_hash.clone_from(&old.hash);
        event
    }
}

fn gravity(told: Option<&Sight>, sight: &Sight) -> Option<u8> {
    told.map(|told| told.state.gravity_of(&sight.state))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where thousands wait, the gravest code that has passed is not lost of any.
    #[test]
    fn without_room_one_state_is_held() {
        let begun = Instant::now();
        let sight = |executable: &str, code: &str| Sight {
            state: Arc::new(State {
                hash: executable.into(),
                executable_hash: executable.into(),
                code_hash: code.into(),
                ..State::default()
            }),
            records: Arc::default(),
            code: Code::default(),
            is_bare: false,
        };
        let told = sight("told", "c");
        for (room, held) in [(0, vec!["grave"]), (8, vec!["grave", "told", "told"])] {
            let mut moving = Moving::new(begun, Seen::Watched, sight("grave", "c"));
            let states = [sight("told", "d"), sight("told", "e"), sight("told", "f")];
            for (new, n) in states.iter().zip(1..) {
                moving.pass(Some(&told), new, room, begun + STOOD * n);
                moving.now = new.clone();
            }
            let passed = moving.passed.iter();
            let passed: Vec<_> = passed
                .map(|p| p.state.executable_hash.to_string())
                .collect();
            assert_eq!(passed, held, "{room}");
        }
    }
}
