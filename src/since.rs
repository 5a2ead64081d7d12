//! For how long something has been at work: a call of the system, made on what root has put there or mounted, may never
//! come back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When what runs now began.
#[derive(Debug, Default)]
pub(crate) struct Since(Mutex<Option<Instant>>);

impl Since {
    /// Begins now, until what is given is dropped.
    pub fn begin(&self) -> Running<'_> {
        self.runs();
        Running(self)
    }

    /// For how long it runs; nothing when it does not.
    pub fn elapsed(&self) -> Option<Duration> {
        let since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }

    /// Runs not while it waits for something, and from then on anew.
    pub fn rests<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.set(None);
        let waited = wait();
        self.runs();
        waited
    }

    /// Runs from now on anew: it has come back from something.
    pub fn runs(&self) {
        self.set(Some(Instant::now()));
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// As if what runs had begun so long ago.
    #[cfg(test)]
    pub fn begun_before(&self, long: Duration) {
        self.set(Some(Instant::now() - long));
    }
}

/// What runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Since);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
