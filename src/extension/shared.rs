//! One scan for all calls within a few seconds.
//!
//! osquery keeps no rows of an extension: a join calls `generate` once for each
//! row of the other table, and a query over two of our tables calls it twice. All these calls
//! are to see one scan, or a query would compare what never stood side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// For how long a failure answers further calls, at most.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// A call so soon after another may belong to the same query.
const SAME_QUERY: Duration = Duration::from_millis(250);

/// The outcome of a scan, shared by all who asked for it.
type Outcome<T> = Result<Arc<T>, String>;

type Scan<T> = Box<dyn Fn() -> Result<T, String> + Send + Sync>;

/// A scan whose outcome serves every call for a while after it.
///
/// Callers that come while a scan runs wait for that one. A panic in the scan
/// is a failure, and a call after it scans again.
pub struct Shared<T> {
    scan: Scan<T>,
    holds: Duration,
    /// How soon a call follows another of the same query.
    same_query: Duration,
    /// Locked for as long as a scan runs.
    last: Mutex<Option<Last<T>>>,
}

/// The last scan.
struct Last<T> {
    ended: Instant,
    /// When a call last had its outcome.
    called: Instant,
    outcome: Outcome<T>,
}

impl<T> Shared<T> {
    /// A scan whose success answers for `holds` after it ended, and for as long again to calls
    /// that follow each other closely.
    pub fn new(
        holds: Duration,
        scan: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            scan: Box::new(scan),
            holds,
            same_query: SAME_QUERY,
            last: Mutex::default(),
        }
    }

    /// The outcome at hand, or that of the scan that runs, or of a new one.
    ///
    /// # Errors
    /// The scan's own message, or that it panicked.
    pub fn get(&self) -> Result<Arc<T>, String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &mut *last
            && self.answers(last)
        {
            last.called = Instant::now();
            return last.outcome.clone();
        }
        // What the last scan held goes before the next one fills memory.
        *last = None;
        let outcome = match catch_unwind(AssertUnwindSafe(&self.scan)) {
            Ok(outcome) => outcome.map(Arc::new),
            Err(panic) => Err(format!("the scan failed inside: {}", message(&*panic))),
        };
        let ended = Instant::now();
        *last = Some(Last {
            ended,
            called: ended,
            outcome: outcome.clone(),
        });
        outcome
    }

    /// Lets go of an outcome that has answered long enough. Does not wait for a
    /// scan that runs.
    pub fn tick(&self) {
        let mut last = match self.last.try_lock() {
            Ok(last) => last,
            Err(TryLockError::Poisoned(last)) => last.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        last.take_if(|last| !self.answers(last));
    }

    fn answers(&self, last: &Last<T>) -> bool {
        let holds = match last.outcome {
            Ok(_) if last.called.elapsed() < self.same_query => self.holds.saturating_mul(2),
            Ok(_) => self.holds,
            Err(_) => self.holds.min(FAILURE_HOLDS),
        };
        last.ended.elapsed() < holds
    }
}

/// What a panic said.
pub(super) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Barrier, mpsc};

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn calls_within_the_window_share_one_scan() {
        let scans = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&scans);
        let shared = Shared::new(LONG, move || Ok(counted.fetch_add(1, Ordering::SeqCst)));
        for _ in 0..100 {
            assert_eq!(shared.get().map(|scan| *scan), Ok(0));
        }
        shared.tick();
        assert_eq!(shared.get().map(|scan| *scan), Ok(0));
        assert_eq!(scans.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn after_the_window_a_call_scans_again_and_a_tick_frees_memory() {
        let scans = AtomicU32::new(0);
        let shared = Shared::new(Duration::ZERO, move || {
            Ok(scans.fetch_add(1, Ordering::SeqCst))
        });
        let first = shared.get().unwrap();
        shared.tick();
        assert_eq!(Arc::strong_count(&first), 1);
        assert_eq!(shared.get().map(|scan| *scan), Ok(1));
    }

    /// A scan as if it had ended `ended` ago, and was asked for `called` ago: is it served again?
    fn is_served(ended: Duration, called: Duration) -> bool {
        let scans = AtomicU32::new(0);
        let shared = Shared::new(Duration::from_secs(40), move || {
            Ok(scans.fetch_add(1, Ordering::SeqCst))
        });
        let _ = shared.get();
        if let Some(last) = &mut *shared.last.lock().unwrap() {
            last.ended -= ended;
            last.called -= called;
        }
        shared.get().map(|scan| *scan) == Ok(0)
    }

    #[test]
    fn the_calls_of_one_query_are_not_parted_by_the_end_of_the_window() {
        let seconds = Duration::from_secs;
        assert!(is_served(seconds(41), Duration::ZERO));
        // Another query, later, has a scan of its own; and so has one that never ends.
        assert!(!is_served(seconds(41), seconds(1)));
        assert!(!is_served(seconds(81), Duration::ZERO));
        assert!(is_served(seconds(39), seconds(39)));
    }

    #[test]
    fn callers_wait_for_the_scan_that_runs() {
        let scans = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&scans);
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let begun = Arc::new(Barrier::new(2));
        let inside = Arc::clone(&begun);
        let shared = Arc::new(Shared::new(LONG, move || {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            if number == 0 {
                inside.wait();
                gate.lock().unwrap().recv().unwrap();
            }
            Ok(number)
        }));
        let first = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.get())
        };
        begun.wait();
        let waiters: Vec<_> = (0..8)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.get())
            })
            .collect();
        go.send(()).unwrap();
        assert_eq!(first.join().unwrap().map(|scan| *scan), Ok(0));
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().map(|scan| *scan), Ok(0));
        }
        assert_eq!(scans.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_panic_is_a_failure_and_the_next_scan_is_new() {
        let scans = AtomicU32::new(0);
        let shared = Shared::new(Duration::ZERO, move || {
            assert_ne!(
                scans.fetch_add(1, Ordering::SeqCst),
                0,
                "the first one breaks"
            );
            Ok(())
        });
        let error = shared.get().unwrap_err();
        assert!(error.contains("the first one breaks"), "{error}");
        assert!(shared.get().is_ok());
    }
}
