//! The pings of osquery: when the last was answered, and who is told when none comes.
//!
//! osquery pings once an interval, for as long as it runs. Whoever answers knows first that one is late,
//! for he waits for them anyway; nobody else wakes for that.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::manager::Status;
use super::wire::{Kind, Output, Type};

/// The bytes of a ping before its sequence number; after that comes the end of its empty arguments.
const PING: &[u8] = b"\x80\x01\0\x01\0\0\0\x04ping";

/// The sequence number of a ping, where the bytes are one, whole, and nothing else.
pub(super) fn sequence(bytes: &[u8]) -> Option<i32> {
    let (sequence, rest) = bytes.strip_prefix(PING)?.split_first_chunk()?;
    (rest == [0]).then(|| i32::from_be_bytes(*sequence))
}

/// The answer to a ping that is made once for all of them, but for the sequence number.
pub(super) struct Pong(Vec<u8>);

impl Default for Pong {
    fn default() -> Self {
        Self(pong(0))
    }
}

impl Pong {
    /// The answer to the one of that number, which stands where it stands in a ping.
    pub(super) fn to(&mut self, sequence: i32) -> &[u8] {
        if let Some(number) = self.0.get_mut(PING.len()..PING.len().saturating_add(4)) {
            number.copy_from_slice(&sequence.to_be_bytes());
        }
        &self.0
    }
}

/// The answer to a ping.
pub(super) fn pong(sequence: i32) -> Vec<u8> {
    let mut output = Output::message(Kind::Reply, "ping", sequence);
    output.field(Type::Struct, 0);
    Status::default().write(&mut output);
    output.stop();
    output.bytes().to_vec()
}

/// How much longer than an interval a ping is waited for.
const LATE: Duration = Duration::from_millis(500);

/// What is known of the pings.
pub(super) struct Pings {
    /// The longest time between two of them.
    longest: Duration,
    state: Mutex<State>,
    missed: Condvar,
}

#[derive(Default)]
struct State {
    last: Option<Instant>,
    /// True once it was told that the one after it is late.
    is_told: bool,
    /// True for as long as nobody has heard of that.
    is_news: bool,
}

impl Pings {
    /// Pings that come once an interval.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            longest: interval.saturating_add(LATE.min(interval)),
            state: Mutex::default(),
            missed: Condvar::new(),
        }
    }

    /// One was answered.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        state.last = Some(Instant::now());
        state.is_told = false;
    }

    /// True while the next one is not late.
    pub(super) fn come(&self) -> bool {
        let last = self.lock().last;
        last.is_some_and(|last| last.elapsed() < self.longest)
    }

    /// How long until the next one is late; none where none is waited for, or its lateness was told.
    pub(super) fn due(&self) -> Option<Duration> {
        let state = self.lock();
        let last = state.last.filter(|_| !state.is_told)?;
        Some(self.longest.saturating_sub(last.elapsed()))
    }

    /// Tells that one is late, if it is.
    pub(super) fn look(&self) {
        let mut state = self.lock();
        let is_late = state.last.is_some_and(|l| l.elapsed() >= self.longest);
        if is_late && !state.is_told {
            (state.is_told, state.is_news) = (true, true);
            self.missed.notify_all();
        }
    }

    /// Waits until one is late, and at most so long.
    pub(super) fn wait(&self, most: Duration) {
        let state = self.lock();
        let waited = self
            .missed
            .wait_timeout_while(state, most, |state| !state.is_news);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_news = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_ping_is_told_from_all_else() {
        let ping = |name: &str, sequence| {
            let mut output = Output::message(Kind::Call, name, sequence);
            output.stop();
            output.bytes().to_vec()
        };
        for number in [0, 7, -1, i32::MAX] {
            assert_eq!(sequence(&ping("ping", number)), Some(number));
        }
        let (one, other) = (ping("ping", 1), ping("pong", 1));
        assert_eq!(sequence(&other), None);
        assert_eq!(sequence(&[one.as_slice(), &one].concat()), None);
        assert_eq!(sequence(one.split_last().unwrap().1), None);
        assert_eq!(sequence(b""), None);
    }

    #[test]
    fn one_answer_serves_for_all_but_for_the_number() {
        let mut answer = Pong::default();
        for number in [7, -1, 0, i32::MAX] {
            assert_eq!(answer.to(number), pong(number));
        }
    }

    #[test]
    fn one_that_is_late_is_told_once() {
        let pings = Pings::new(MOMENT);
        // Where none ever came, none is waited for.
        pings.look();
        assert!(!pings.come());
        assert_eq!(pings.due(), None);
        for _ in 0..2 {
            pings.answered();
            assert!(pings.due().is_some_and(|due| due <= 2 * MOMENT));
            std::thread::sleep(2 * MOMENT);
            assert_eq!(pings.due(), Some(Duration::ZERO));
            pings.look();
            assert_eq!(pings.due(), None);
            let begun = Instant::now();
            pings.wait(LONG);
            assert!(begun.elapsed() < LONG && !pings.come());
            // It is no news any more.
            pings.look();
            let begun = Instant::now();
            pings.wait(MOMENT);
            assert!(begun.elapsed() >= MOMENT);
        }
    }

    #[test]
    fn nobody_hears_of_pings_that_come() {
        let pings = Pings::new(LONG);
        pings.answered();
        pings.look();
        let begun = Instant::now();
        pings.wait(MOMENT);
        assert!(begun.elapsed() >= MOMENT && pings.come());
        assert!(pings.due().is_some_and(|due| due > LONG));
    }
}
