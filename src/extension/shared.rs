//! One scan for all calls within a few seconds.
//!
//! osquery keeps no rows of an extension: a join calls `generate` once for each
//! row of the other table, and a query over two of our tables calls it twice. All these calls
//! are to see one scan, or a query would compare what never stood side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// For how long a failure answers further calls, at most.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// A call so soon after another may belong to the same query.
const SAME_QUERY: Duration = Duration::from_millis(250);
/// How long a scan waits until nobody makes rows of the last one any more, and how often it looks.
const MOST_MADE: Duration = Duration::from_secs(1);
const LOOKS: Duration = Duration::from_millis(2);

/// The outcome of a scan, shared by all who asked for it.
type Outcome<T> = Result<Arc<T>, String>;

/// Where the thread that scans takes its orders.
type Inbox<T> = Receiver<Arc<Running<T>>>;

type Scan<T> = Box<dyn Fn() -> Result<T, String> + Send>;

/// A scan whose outcome serves every call for a while after it.
///
/// The scan has a thread of its own. Callers that come while it runs wait for it, and none of them
/// longer than the scan was given: a dead file system answers no call, and can hold that
/// thread for ever. A panic in the scan is a failure, and a call after it scans again.
pub struct Shared<T> {
    holds: Duration,
    patience: Duration,
    /// How soon a call follows another of the same query.
    same_query: Duration,
    state: Mutex<State<T>>,
}

/// The scan that runs, and the last one.
struct State<T> {
    last: Option<Last<T>>,
    running: Option<Arc<Running<T>>>,
    /// Where a scan is ordered; dropping it ends the thread.
    orders: Sender<Arc<Running<T>>>,
    /// Taken by the thread once there is one.
    waiting: Option<(Scan<T>, Inbox<T>)>,
}

/// A scan that was ordered.
struct Running<T> {
    since: Instant,
    outcome: Mutex<Option<Outcome<T>>>,
    ended: Condvar,
}

/// The last scan.
struct Last<T> {
    ended: Instant,
    /// When a call last had its outcome.
    called: Instant,
    outcome: Outcome<T>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// A scan whose success answers for `holds` after it ended, and for as long again to calls
    /// that follow each other closely; it is waited for as long as `patience`.
    pub fn new(
        holds: Duration,
        patience: Duration,
        scan: impl Fn() -> Result<T, String> + Send + 'static,
    ) -> Self {
        let (orders, inbox) = channel();
        Self {
            holds,
            patience,
            same_query: SAME_QUERY,
            state: Mutex::new(State {
                last: None,
                running: None,
                orders,
                waiting: Some((Box::new(scan), inbox)),
            }),
        }
    }

    /// The outcome at hand, or that of the scan that runs, or of a new one.
    ///
    /// # Errors
    /// The scan's own message, that it panicked, or that it has not come back in time.
    pub fn get(&self) -> Result<Arc<T>, String> {
        let running = match self.begin(false)? {
            Ok(outcome) => return outcome,
            Err(running) => running,
        };
        let left = self.patience.saturating_sub(running.since.elapsed());
        self.settle(&running, left).unwrap_or_else(|| {
            let seconds = running.since.elapsed().as_secs();
            Err(format!("the scan has not come back after {seconds} s"))
        })
    }

    /// The outcome of a scan that begins now; it answers the calls after it as well.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn renew(&self) -> Result<Arc<T>, String> {
        let asked = Instant::now();
        loop {
            let running = match self.begin(true)? {
                Ok(outcome) => return outcome,
                Err(running) => running,
            };
            let left = self.patience.saturating_sub(running.since.elapsed());
            let Some(outcome) = self.settle(&running, left) else {
                let seconds = running.since.elapsed().as_secs();
                return Err(format!("the scan has not come back after {seconds} s"));
            };
            // One that ran already may have passed by what is asked for.
            if running.since >= asked {
                return outcome;
            }
        }
    }

    /// The outcome at hand, or that of a new scan if that takes no longer than `most`; a scan that
    /// runs is not waited for.
    pub fn get_soon(&self, most: Duration) -> Option<Arc<T>> {
        if self.running_for().is_some() {
            return None;
        }
        match self.begin(false).ok()? {
            Ok(outcome) => outcome.ok(),
            Err(running) => self.settle(&running, most)?.ok(),
        }
    }

    /// For how long the scan that runs has been running; `None` when none does.
    pub fn running_for(&self) -> Option<Duration> {
        let mut state = lock(&self.state);
        self.collect(&mut state);
        state.running.as_ref().map(|r| r.since.elapsed())
    }

    /// Lets go of an outcome that has answered long enough; true when there still is one, or a scan
    /// that runs.
    pub fn tick(&self) -> bool {
        let mut state = lock(&self.state);
        self.collect(&mut state);
        state.last.take_if(|last| !self.answers(last));
        state.last.is_some() || state.running.is_some()
    }

    /// The outcome at hand, or else the scan that runs, which may be a new one. What is at hand is
    /// not asked for `anew`.
    fn begin(&self, anew: bool) -> Result<Result<Outcome<T>, Arc<Running<T>>>, String> {
        let mut state = lock(&self.state);
        self.collect(&mut state);
        if let Some(running) = &state.running {
            return Ok(Err(Arc::clone(running)));
        }
        if let Some(last) = state.last.as_mut().filter(|_| !anew)
            && self.answers(last)
        {
            last.called = Instant::now();
            return Ok(Ok(last.outcome.clone()));
        }
        // What the last scan held goes before the next one fills memory.
        state.last = None;
        if let Some((scan, inbox)) = state.waiting.take() {
            thread::Builder::new()
                .name("scan".to_owned())
                .spawn(move || serve(&scan, &inbox))
                .map_err(|error| format!("no thread can be started for the scan: {error}"))?;
        }
        let running = Arc::new(Running {
            since: Instant::now(),
            outcome: Mutex::default(),
            ended: Condvar::new(),
        });
        state
            .orders
            .send(Arc::clone(&running))
            .map_err(|_| "the thread that scans has ended".to_owned())?;
        state.running = Some(Arc::clone(&running));
        Ok(Err(running))
    }

    /// Waits for a scan; `None` when it takes longer than `most`.
    fn settle(&self, running: &Arc<Running<T>>, most: Duration) -> Option<Outcome<T>> {
        let outcome = lock(&running.outcome);
        let waited = running
            .ended
            .wait_timeout_while(outcome, most, |outcome| outcome.is_none());
        let outcome = waited.unwrap_or_else(PoisonError::into_inner).0.clone();
        self.collect(&mut lock(&self.state));
        outcome
    }

    /// Makes a scan that has ended the last one.
    fn collect(&self, state: &mut State<T>) {
        let ended = state.running.take_if(|r| lock(&r.outcome).is_some());
        let outcome = ended.and_then(|running| lock(&running.outcome).clone());
        if let Some(outcome) = outcome {
            let ended = Instant::now();
            state.last = Some(Last {
                ended,
                called: ended,
                outcome,
            });
        }
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

/// Scans for each order, until nobody is left who could give one.
fn serve<T>(scan: &Scan<T>, inbox: &Inbox<T>) {
    let mut last = Weak::new();
    for running in inbox {
        await_release(&last);
        let outcome = match catch_unwind(AssertUnwindSafe(scan)) {
            Ok(outcome) => outcome.map(Arc::new),
            Err(panic) => Err(format!("the scan failed inside: {}", message(&*panic))),
        };
        last = outcome
            .as_ref()
            .map_or_else(|_| Weak::new(), Arc::downgrade);
        *lock(&running.outcome) = Some(outcome);
        running.ended.notify_all();
    }
}

/// Waits for those who make rows of an outcome: what they hold would stand in memory beside what the next scan
/// finds.
fn await_release<T>(outcome: &Weak<T>) {
    let began = Instant::now();
    while outcome.strong_count() > 0 && began.elapsed() < MOST_MADE {
        thread::sleep(LOOKS);
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
        let shared = Shared::new(LONG, LONG, move || {
            Ok(counted.fetch_add(1, Ordering::SeqCst))
        });
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
        let shared = Shared::new(Duration::ZERO, LONG, move || {
            Ok(scans.fetch_add(1, Ordering::SeqCst))
        });
        let first = shared.get().unwrap();
        shared.tick();
        // The thread that scanned lets go of it a moment later.
        let begun = Instant::now();
        while Arc::strong_count(&first) > 1 {
            assert!(begun.elapsed() < Duration::from_secs(5));
            thread::yield_now();
        }
        assert_eq!(shared.get().map(|scan| *scan), Ok(1));
    }

    #[test]
    fn a_scan_begins_when_nobody_makes_rows_of_the_last_one() {
        let held: Arc<Mutex<Weak<()>>> = Arc::default();
        let before = Arc::clone(&held);
        // How many hold the last outcome when the next scan begins.
        let shared = Shared::new(Duration::ZERO, LONG, move || {
            Ok(Arc::new(lock(&before).strong_count()))
        });
        let (began, rows) = (Instant::now(), Arc::new(()));
        *lock(&held) = Arc::downgrade(&rows);
        let first = shared.get().unwrap();
        let maker = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            drop(rows);
            drop(first);
        });
        assert_eq!(shared.renew().map(|holders| **holders), Ok(0));
        assert!(began.elapsed() < MOST_MADE);
        maker.join().unwrap();
        // One that is never let go of is waited for no longer than that.
        let kept = shared.renew().unwrap();
        let began = Instant::now();
        shared.renew().unwrap();
        assert!(began.elapsed() >= MOST_MADE);
        drop(kept);
    }

    /// A scan as if it had ended `ended` ago, and was asked for `called` ago: is it served again?
    fn is_served(ended: Duration, called: Duration) -> bool {
        let scans = AtomicU32::new(0);
        let shared = Shared::new(Duration::from_secs(40), LONG, move || {
            Ok(scans.fetch_add(1, Ordering::SeqCst))
        });
        let _ = shared.get();
        if let Some(last) = &mut shared.state.lock().unwrap().last {
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
    fn a_renewed_scan_is_new_and_answers_the_calls_after_it() {
        let scans = AtomicU32::new(0);
        let shared = Shared::new(LONG, LONG, move || Ok(scans.fetch_add(1, Ordering::SeqCst)));
        assert_eq!(shared.get().map(|scan| *scan), Ok(0));
        assert_eq!(shared.renew().map(|scan| *scan), Ok(1));
        assert_eq!(shared.get().map(|scan| *scan), Ok(1));
    }

    #[test]
    fn callers_wait_for_the_scan_that_runs() {
        let scans = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&scans);
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let begun = Arc::new(Barrier::new(2));
        let inside = Arc::clone(&begun);
        let shared = Arc::new(Shared::new(LONG, LONG, move || {
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
        let shared = Shared::new(Duration::ZERO, LONG, move || {
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

    /// A file system that is dead answers no call, ever.
    #[test]
    fn a_scan_that_does_not_come_back_is_an_error_and_holds_nobody() {
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let patience = Duration::from_millis(100);
        let shared = Shared::new(LONG, patience, move || {
            gate.lock().unwrap().recv().unwrap();
            Ok(())
        });
        assert_eq!(shared.running_for(), None);
        let begun = Instant::now();
        assert!(shared.get_soon(Duration::from_millis(1)).is_none());
        assert!(begun.elapsed() < patience);
        assert!(shared.get().unwrap_err().contains("has not come back"));
        assert!(shared.running_for().unwrap() >= patience);
        // Those who come later do not wait that long again, and no second scan is begun.
        let begun = Instant::now();
        for _ in 0..5 {
            assert!(shared.get().is_err());
            assert!(shared.get_soon(LONG).is_none());
        }
        assert!(begun.elapsed() < patience);
        go.send(()).unwrap();
        while shared.running_for().is_some() {
            thread::yield_now();
        }
        assert!(shared.get().is_ok() && shared.get_soon(LONG).is_some());
    }
}
