//! The connections that threads answer, and which of them ends where others need the room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answers::Answers;
use super::connection::Connection;

/// How many are answered at once: in the places that are left of all a ping comes, our own too, however many ask and do
/// not read.
const MOST: usize = 56;

/// How long one that has no whole request yet is no idle one where threads have no room for more.
const FRESH: Duration = Duration::from_millis(500);

/// Who goes first where one has to go: a stranger before osquery, and of those the one that is idle longest.
pub(super) type Rank = (bool, Instant);

/// All of them, by number.
#[derive(Default)]
pub(super) struct Answered(Mutex<BTreeMap<u64, Arc<Connection>>>);

impl Answered {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one in, for which another ends where there are as many as may be; true when it is the only one. None where
    /// it `yields` and there is nobody who is idle or slow: whoever asks ever anew has no thread begun each time.
    pub(super) fn enter(
        &self,
        number: u64,
        connection: Arc<Connection>,
        yields: bool,
        answers: &Answers,
    ) -> Option<bool> {
        if self.len() >= MOST && !self.end_one(yields, answers) && yields {
            return None;
        }
        let mut all = self.lock();
        all.insert(number, connection);
        Some(all.len() == 1)
    }

    /// This one is answered.
    pub(super) fn leave(&self, number: u64) {
        self.lock().remove(&number);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// True where others than osquery are answered.
    pub(super) fn has_strangers(&self) -> bool {
        self.lock().values().any(|one| !one.is_osquerys)
    }

    /// The first to go of those that are idle.
    pub(super) fn idle(&self) -> Option<Rank> {
        first_idle(&self.lock()).map(|(rank, _)| rank)
    }

    /// Ends one: the one that has been idle longest, or takes its answer slowest, or, where these are not `alone`, came
    /// first; and osquery's own only where there is no other. False where there is none.
    pub(super) fn end_one(&self, alone: bool, answers: &Answers) -> bool {
        let mut all = self.lock();
        let is_osquerys = all.values().all(|one| one.is_osquerys);
        let may_end = |number: &u64| {
            all.get(number)
                .is_some_and(|c| c.is_osquerys == is_osquerys)
        };
        // Of one that has just come the request is being read.
        let idle = first_idle(&all).filter(|((_, since), _)| since.elapsed() >= FRESH);
        let idle = idle.map(|(_, number)| number).filter(may_end);
        let slowest = || answers.slowest(may_end);
        let first = || all.keys().copied().find(|number| !alone && may_end(number));
        let number = idle.or_else(slowest).or_else(first);
        let ended = number.and_then(|number| all.remove(&number));
        drop(all);
        let Some(connection) = ended else {
            return false;
        };
        connection.end();
        answers.ended();
        true
    }
}

fn first_idle(all: &BTreeMap<u64, Arc<Connection>>) -> Option<(Rank, u64)> {
    let idle = |(number, one): (&u64, &Arc<Connection>)| {
        Some(((one.is_osquerys, one.idle_since()?), *number))
    };
    all.iter().filter_map(idle).min()
}
