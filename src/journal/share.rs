//! What the thread that writes shares with those who read, and for how long each has been at it: a call of the
//! system, made on a file that root has put there, may never come back.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::in_memory::Held;
use crate::since::{Running, Since};

/// For how long those who read wait for whoever has it. A whole journal is read, or written anew, in less.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const REST: Duration = Duration::from_millis(10);

/// What is not in the file, which one thread at a time has.
#[derive(Debug, Default)]
pub(super) struct Share {
    held: Mutex<Held>,
    taken: Since,
    writes: Since,
}

impl Share {
    pub fn new(held: Held) -> Self {
        Self {
            held: Mutex::new(held),
            ..Self::default()
        }
    }

    /// Takes hold of it, however long that takes.
    pub fn lock(&self) -> Hold<'_> {
        self.hold(self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same, within some seconds.
    ///
    /// # Errors
    /// When another has it for longer.
    pub fn lock_soon(&self) -> Result<Hold<'_>, String> {
        let begun = Instant::now();
        loop {
            match self.held.try_lock() {
                Ok(held) => return Ok(self.hold(held)),
                Err(TryLockError::Poisoned(held)) => return Ok(self.hold(held.into_inner())),
                Err(TryLockError::WouldBlock) => {}
            }
            let long = begun
                .elapsed()
                .max(self.taken.elapsed().unwrap_or_default());
            if long >= PATIENCE {
                return Err(no_answer(long));
            }
            thread::sleep(REST);
        }
    }

    // A panic of another thread leaves it as good as it was.
    fn hold<'a>(&'a self, held: MutexGuard<'a, Held>) -> Hold<'a> {
        Hold {
            _running: self.taken.begin(),
            held,
        }
    }

    /// Says that the thread that writes is at work, until what is given is dropped.
    pub fn writing(&self) -> Running<'_> {
        self.writes.begin()
    }

    /// What has not come back for longer than `most`, for people.
    pub fn hung(&self, most: Duration) -> Option<String> {
        let longest = self.taken.elapsed().max(self.writes.elapsed());
        longest.filter(|long| *long > most).map(no_answer)
    }

    /// As if whoever has it had taken it so long ago.
    #[cfg(test)]
    pub fn taken_before(&self, long: Duration) {
        self.taken.begun_before(long);
    }
}

fn no_answer(long: Duration) -> String {
    format!("the journal has not answered for {} s", long.as_secs())
}

/// It, for as long as one has it.
pub(super) struct Hold<'a> {
    // Dropped first: whoever has it next begins.
    _running: Running<'a>,
    held: MutexGuard<'a, Held>,
}

impl Deref for Hold<'_> {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

impl DerefMut for Hold<'_> {
    fn deref_mut(&mut self) -> &mut Held {
        &mut self.held
    }
}
