//! What was told of each bundle, what looks have seen since, and the events that make up for it.
//!
//! While a bundle is being written, no two looks see the same. It is told as soon as it is still for a
//! moment, and again when it has settled and is not what was told. What goes before that is told by
//! the last whole state that was seen of it, and a state in which a bundle stood only in between is
//! told as well. What is left of a bundle while it is deleted is no state of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::code::Code;
use super::crowd::{Crowd, is_bare};
use super::lists::Lists;
use super::moving::{Moving, Sight};
use super::now::Now;
use super::state::{Key, Print, event};
use super::watched::{COMES_AND_GOES, TOO_SOON, UNSETTLED, Watched};
use crate::bundle::Bundle;
use crate::event::{Action, Event, Known, Seen, State};
use crate::exceptions::List;
use crate::journal::Change;
use crate::order;

/// Bundles that may stand though the last look does not have them: they are held beside those that it has.
const MOST_HIDDEN: usize = 1_000;

/// States that have passed of all bundles together, beside one of each: of those that wait for a line, and of those that
/// have not settled.
const MOST_WAITING: usize = 512;
const MOST_MOVING: usize = 512;

/// Says whether nothing stands at a path that a look does not have.
pub type IsGone<'a> = &'a dyn Fn(&[u8]) -> bool;

/// All bundles that are watched, by path.
#[derive(Debug)]
pub struct Tracker {
    bundles: BTreeMap<Vec<u8>, Watched>,
    /// How many looks there were.
    looks: u64,
    /// Those that were let go of while they may stand, and of which is known what was told.
    let_go: Vec<Vec<u8>>,
    /// Names that came and went between two looks.
    fleeting: Vec<Vec<u8>>,
    /// Names that the system told of and that no look has, though something stands there.
    unshown: BTreeSet<Vec<u8>>,
    crowd: Crowd,
    /// The path of the first that had no line the last time: its turn is next.
    turn: Vec<u8>,
    lists: Lists,
}

impl Tracker {
    /// Begins with what was known when the last process ended: the first look is compared with
    /// that. Of a bundle that is not among them nothing is said when they are `cut`. `is_gone` is as in
    /// [`see`](Self::see).
    pub fn begin(
        mut known: Vec<(Vec<u8>, Known)>,
        bundles: &[Arc<Bundle>],
        cut: bool,
        now: Now,
        is_gone: IsGone<'_>,
    ) -> Self {
        let mut tracker = Self::base_line(&[], now);
        tracker.lists = Lists::begin(&mut known);
        // As if each had been still for long: it is told at once.
        let before = now.steady.checked_sub(UNSETTLED).unwrap_or(now.steady);
        let mut known: BTreeMap<Vec<u8>, Known> = order::gather(known);
        for bundle in bundles {
            let path = &bundle.evidence.candidate.path;
            let key = Key::of(bundle);
            let like = known.get(path).map(|known| known.state.as_ref());
            let mut state = key.state(bundle, like);
            if let Some(known) = known.get(path) {
                state.keep_links(&known.state);
            }
            // What was known of it may have been more.
            let was_bare = known.get(path).is_none_or(|known| {
                let known = &known.state;
                known.is_whole() && known.hash == state.hash && known.executable.is_empty()
            });
            let is_bare = was_bare && is_bare(bundle);
            let sight = Sight::new(state, bundle);
            let (told, since_ms, is_new) = match known.remove(path) {
                Some(known) => {
                    let records = sight.records.clone();
                    let mut state = known.state;
                    if state.lacks(&sight.state) {
                        Arc::make_mut(&mut state).learn(&sight.state);
                    }
                    // What stands there may be other code than what was told.
                    let is_same = state.hash == sight.state.hash;
                    let code = is_same.then(|| sight.code.clone());
                    let told = Sight {
                        state,
                        records,
                        code: code.unwrap_or_default(),
                        is_bare: false,
                    };
                    (Some(told), known.since_ms, true)
                }
                None if cut => (Some(sight.clone()), None, false),
                None => (None, Some(now.wall_ms), true),
            };
            let moving = is_new.then(|| Moving::new(before, Seen::Start, sight));
            let watched = Watched {
                since: told.is_none().then_some(now.steady),
                told,
                since_ms,
                last: key.print(),
                moving,
                links: None,
                is_bare,
                is_paid: false,
                look: 0,
                gone: None,
            };
            tracker.bundles.insert(path.clone(), watched);
        }
        for (path, known) in known {
            let watched = Watched {
                told: Some(Sight {
                    state: known.state,
                    records: Arc::default(),
                    code: Code::default(),
                    is_bare: false,
                }),
                since: None,
                since_ms: known.since_ms,
                last: Print::default(),
                moving: None,
                links: None,
                is_bare: false,
                is_paid: false,
                look: 0,
                gone: is_gone(&path).then_some(Seen::Start),
            };
            tracker.bundles.insert(path, watched);
        }
        let there = bundles.iter().map(|b| b.evidence.candidate.path.as_slice());
        tracker.let_go(&order::gather(there));
        tracker
    }

    /// Begins with what stands there: nothing is said of it.
    pub fn base_line(bundles: &[Arc<Bundle>], now: Now) -> Self {
        let mut last: Option<Arc<State>> = None;
        let bundles = bundles.iter().map(|bundle| {
            let path = bundle.evidence.candidate.path.clone();
            let mut watched = Watched::new(bundle, true, Seen::Start, now);
            if let Some(told) = &mut watched.told {
                // Of thousands most have many words in common.
                if let Some(last) = &last {
                    Arc::make_mut(&mut told.state).share(last);
                }
                last = Some(Arc::clone(&told.state));
            }
            (path, watched)
        });
        Self {
            bundles: bundles.collect(),
            looks: 0,
            let_go: Vec::new(),
            fleeting: Vec::new(),
            unshown: BTreeSet::new(),
            crowd: Crowd::default(),
            turn: Vec::new(),
            lists: Lists::default(),
        }
    }

    /// Takes in what a look saw. `is_gone` says whether nothing stands at a path that the look does
    /// not have: it may have been cut short.
    pub fn see(&mut self, bundles: &[Arc<Bundle>], seen: Seen, now: Now, is_gone: IsGone<'_>) {
        self.looks = self.looks.saturating_add(1);
        let mut there: BTreeSet<&[u8]> = BTreeSet::new();
        // What waits for nothing holds what has passed for a moment alone: whoever has thousands wait takes no room of it.
        let (mut waiting, mut moving) = (0_usize, 0_usize);
        for watched in self.bundles.values_mut() {
            if !watched.waits() {
                moving = moving.saturating_add(watched.held());
                continue;
            }
            if waiting.saturating_add(watched.held()) > MOST_WAITING {
                watched.hold_one();
            }
            waiting = waiting.saturating_add(watched.held());
        }
        for bundle in bundles {
            let path = bundle.evidence.candidate.path.as_slice();
            there.insert(path);
            match self.bundles.get_mut(path) {
                // What there was no time to look at is no change.
                Some(_) if bundle.evidence.is_unsurveyed => {}
                Some(watched) => {
                    let (held, most) = match watched.waits() {
                        true => (&mut waiting, MOST_WAITING),
                        false => (&mut moving, MOST_MOVING),
                    };
                    *held = held.saturating_sub(watched.held());
                    watched.see(bundle, seen, most.saturating_sub(*held), now);
                    *held = held.saturating_add(watched.held());
                }
                None => {
                    let watched = Watched::new(bundle, false, seen, now);
                    self.bundles.insert(path.to_owned(), watched);
                }
            }
            if let Some(watched) = self.bundles.get_mut(path) {
                watched.look = self.looks;
            }
        }
        for (path, watched) in &mut self.bundles {
            if !there.contains(path.as_slice()) && watched.gone.is_none() && is_gone(path) {
                watched.gone = Some(seen);
            }
        }
        self.let_go(&there);
        for path in std::mem::take(&mut self.unshown) {
            self.name(path, is_gone);
        }
    }

    /// Lets go of what may stand and has not been shown for long, where there is too much of it: there is no end to
    /// what can be planted beyond the candidates that one look has. What was never told goes first. One that is
    /// shown again has appeared again.
    fn let_go(&mut self, there: &BTreeSet<&[u8]>) {
        let hidden = self.bundles.iter();
        let hidden =
            hidden.filter(|(path, w)| w.gone.is_none() && !there.contains(path.as_slice()));
        let mut hidden: Vec<_> = hidden
            .map(|(path, w)| (w.told.is_some(), w.look, path.clone()))
            .collect();
        let Some(over @ 1..) = hidden.len().checked_sub(MOST_HIDDEN) else {
            return;
        };
        order::sort(&mut hidden);
        for (is_told, _, path) in hidden.into_iter().take(over) {
            self.bundles.remove(&path);
            if is_told {
                self.let_go.push(path);
            }
        }
    }

    /// Takes in the lists of exceptions that scans have seen.
    pub fn see_lists(&mut self, lists: &[Arc<List>], seen: Seen) {
        self.lists.see(lists, seen);
    }

    /// Takes in a name that the system told of. When no look has seen it, it came and went; unless it stands, and
    /// is left out of what a look has: the row of the folder says that, and here is told when it goes.
    pub fn name(&mut self, path: Vec<u8>, is_gone: IsGone<'_>) {
        if self.bundles.contains_key(&path) || self.fleeting.contains(&path) {
            return;
        }
        if is_gone(&path) {
            self.fleeting.push(path);
        } else if self.unshown.len() < MOST_HIDDEN {
            self.unshown.insert(path);
        }
    }

    /// The bundles of which a copy may be wanted: paths, and the digest that they have now.
    pub fn unsettled(&self) -> Vec<(Vec<u8>, String)> {
        let moving = self.bundles.iter().filter(|(_, w)| w.gone.is_none());
        let wanted = moving.filter_map(|(path, watched)| {
            let moving = watched.moving.as_ref()?;
            let state = &moving.now.state;
            let copied = moving.kept.iter().any(|(hash, _)| state.hash == **hash);
            let told = watched.told.as_ref();
            let wanted = state.is_whole()
                && state.exception.is_empty()
                && !copied
                && told.is_none_or(|told| told.state.hash != state.hash)
                && moving
                    .best
                    .as_ref()
                    .is_none_or(|b| b.state.hash == state.hash);
            wanted.then(|| (path.clone(), state.hash.to_string()))
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
        // Who waits longest is the first to have a line: names are whoever's to choose.
        let turn = std::mem::take(&mut self.turn);
        let parts = [
            (Bound::Included(&turn), Bound::Unbounded),
            (Bound::Unbounded, Bound::Excluded(&turn)),
        ];
        for part in parts {
            for (path, watched) in self.bundles.range_mut::<Vec<u8>, _>(part) {
                let before = events.len();
                let was_told = watched.told.is_some();
                watched.settle(path, now, &mut self.crowd, &mut events);
                // What merely waits for its own time holds up nobody's turn.
                if self.crowd.has_refused() && self.turn.is_empty() {
                    self.turn.clone_from(path);
                }
                // Of what was never told nothing is known; and what went is known no more, whether that is told or not.
                let has_gone = was_told && watched.gone.is_some();
                if events.len() == before && !has_gone {
                    continue;
                }
                let known = match watched.gone {
                    Some(_) => None,
                    None => watched.known(),
                };
                changes.push((path.clone(), known));
            }
        }
        self.bundles.retain(|_, watched| watched.gone.is_none());
        let let_go = std::mem::take(&mut self.let_go);
        changes.extend(let_go.into_iter().map(|path| (path, None)));
        for path in std::mem::take(&mut self.fleeting) {
            if !self.crowd.takes_unseen(COMES_AND_GOES, now.steady) {
                self.crowd.leave_out_unseen(&path, Seen::Watched);
                continue;
            }
            let state = Arc::new(State {
                error: TOO_SOON.into(),
                ..State::default()
            });
            for action in [Action::Appeared, Action::Gone] {
                events.push(event(&path, action, Seen::Watched, state.clone(), now));
            }
        }
        self.crowd.settle(now, &mut events);
        changes.extend(self.lists.settle(now, &mut events));
        (events, changes)
    }

    /// The events that wait for their time alone, when nobody looks any more.
    pub fn end(&mut self, now: Now) -> (Vec<Event>, Vec<Change>) {
        let mut events = Vec::new();
        self.crowd.tell(now, &mut events);
        let changes = self.lists.tell(now, &mut events);
        (events, changes.into_iter().collect())
    }

    /// All that is known.
    pub fn known(&self) -> Vec<Change> {
        let known = self.bundles.iter().filter(|(_, w)| w.gone.is_none());
        known
            .filter_map(|(path, watched)| Some((path.clone(), Some(watched.known()?))))
            .chain(self.lists.known())
            .collect()
    }

    /// True when something has not settled, and is not to wait.
    pub fn is_moving(&self) -> bool {
        let mut moving = self.bundles.values().filter_map(|w| w.moving.as_ref());
        moving.any(|moving| !moving.waits)
    }
}
