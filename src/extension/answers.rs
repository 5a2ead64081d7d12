//! The answers of all connections: one of each kind is made at a time, and those that were made wait to be taken.
//!
//! Whoever may open the socket can ask and never read. So nobody waits for a reader but for want of memory, and then
//! for a moment: the slowest of them goes. Where nobody waits, a reader has all of his time; osquery may be stopped.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Connection;

/// Bytes of answers that wait to be taken while another is made.
const ROOM: usize = 2 << 20;

/// How long one that waits for room bears with a reader who takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// What that is halved to, each time that somebody was borne with in vain: of many who do not read, each would have
/// his second.
const LEAST: Duration = Duration::from_millis(125);

/// How long that is so.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Bytes in a second that are no taking: to read one now and then keeps the room as well.
const TRICKLE: u128 = 256 << 10;

/// All of them.
#[derive(Default)]
pub(super) struct Answers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    scanned: Queue,
    ready: Queue,
    waiting: BTreeMap<u64, Waiting>,
    /// How often somebody was borne with in vain, and when last.
    vain: u32,
    last_vain: Option<Instant>,
}

/// Those who ask for one kind of answer.
#[derive(Default)]
struct Queue {
    /// By number of connection, in the order in which they came: osquery's, and after these all others.
    osquerys: VecDeque<u64>,
    others: VecDeque<u64>,
    is_made: bool,
}

impl Queue {
    fn of(&mut self, connection: &Connection) -> &mut VecDeque<u64> {
        if connection.is_osquerys {
            &mut self.osquerys
        } else {
            &mut self.others
        }
    }

    fn next(&self) -> Option<u64> {
        self.osquerys.front().or(self.others.front()).copied()
    }
}

/// What an answer waits for while it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// A scan, which may take long.
    Scan,
    /// Nothing: it is made from what is at hand, and waits for no scan.
    Nothing,
}

/// An answer that waits to be taken.
struct Waiting {
    connection: Arc<Connection>,
    held: usize,
    taken: u64,
    since: Instant,
    /// When some of it was taken last.
    moved: Instant,
}

impl Waiting {
    /// True when fewer bytes of it than of another are taken in a time.
    fn is_slower(&self, other: &Self) -> bool {
        let left = u128::from(self.taken).saturating_mul(other.since.elapsed().as_micros());
        let right = u128::from(other.taken).saturating_mul(self.since.elapsed().as_micros());
        left < right
    }

    fn is_borne(&self, patience: Duration) -> bool {
        let whole = self.since.elapsed();
        let trickle = whole.as_millis().saturating_mul(TRICKLE) / 1_000;
        self.moved.elapsed() < patience
            && (whole < patience.saturating_mul(4) || u128::from(self.taken) >= trickle)
    }
}

impl State {
    fn queue(&mut self, after: After) -> &mut Queue {
        match after {
            After::Scan => &mut self.scanned,
            After::Nothing => &mut self.ready,
        }
    }

    fn held(&self) -> usize {
        let held = self.waiting.values().map(|w| w.held);
        held.fold(0, usize::saturating_add)
    }

    fn slowest<'a>(waiting: impl Iterator<Item = (&'a u64, &'a Waiting)>) -> Option<u64> {
        let slowest = waiting.reduce(
            |one, other| {
                if other.1.is_slower(one.1) { other } else { one }
            },
        );
        slowest.map(|(number, _)| *number)
    }

    fn patience(&self) -> Duration {
        let last = self.last_vain.filter(|last| last.elapsed() < REMEMBERED);
        let vain = last.map_or(0, |_| self.vain.min(8));
        PATIENCE.checked_div(1 << vain).unwrap_or(LEAST).max(LEAST)
    }

    /// Ends the slowest of those who are not borne with any more, where there is one.
    fn end_slowest(&mut self) {
        let patience = self.patience();
        let waiting = self.waiting.iter();
        let gone = waiting.filter(|(_, w)| !w.connection.is_ended() && !w.is_borne(patience));
        let (osquerys, others): (Vec<_>, Vec<_>) =
            gone.partition(|(_, w)| w.connection.is_osquerys);
        let slowest = Self::slowest(others.into_iter());
        let Some(number) = slowest.or_else(|| Self::slowest(osquerys.into_iter())) else {
            return;
        };
        let is_remembered = self.last_vain.is_some_and(|l| l.elapsed() < REMEMBERED);
        self.vain = if is_remembered {
            self.vain.saturating_add(1)
        } else {
            1
        };
        self.last_vain = Some(Instant::now());
        if let Some(waiting) = self.waiting.get(&number) {
            waiting.connection.end();
        }
    }
}

/// The turn of one connection to have an answer made.
pub(super) struct Turn<'a> {
    of: &'a Answers,
    after: After,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.of.lock().queue(self.after).is_made = false;
        self.of.changed.notify_all();
    }
}

/// One that was made, for as long as it is held.
pub(super) struct Taking<'a> {
    of: &'a Answers,
    number: u64,
}

impl Taking<'_> {
    /// So many bytes of it were taken.
    pub(super) fn took(&self, bytes: usize) {
        if let Some(waiting) = self.of.lock().waiting.get_mut(&self.number) {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            waiting.taken = waiting.taken.saturating_add(bytes);
            waiting.moved = Instant::now();
        }
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.of.lock().waiting.remove(&self.number);
        self.of.changed.notify_all();
    }
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the answer to a connection may be made.
    ///
    /// # Errors
    /// When it was ended meanwhile.
    pub(super) fn turn(
        &self,
        after: After,
        number: u64,
        connection: &Connection,
    ) -> io::Result<Turn<'_>> {
        let mut state = self.lock();
        state.queue(after).of(connection).push_back(number);
        loop {
            if connection.is_ended() {
                let asking = state.queue(after).of(connection);
                asking.retain(|other| *other != number);
                self.changed.notify_all();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let queue = state.queue(after);
            if queue.is_made || queue.next() != Some(number) {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
            } else if state.held() <= ROOM {
                let queue = state.queue(after);
                queue.of(connection).pop_front();
                queue.is_made = true;
                return Ok(Turn { of: self, after });
            } else {
                state.end_slowest();
                let waited = self.changed.wait_timeout(state, LEAST / 4);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Counts an answer that was made, and that takes so many bytes of memory.
    pub(super) fn taking(
        &self,
        number: u64,
        connection: &Arc<Connection>,
        held: usize,
    ) -> Taking<'_> {
        let now = Instant::now();
        let waiting = Waiting {
            connection: Arc::clone(connection),
            held,
            taken: 0,
            since: now,
            moved: now,
        };
        self.lock().waiting.insert(number, waiting);
        Taking { of: self, number }
    }

    /// The connection that takes its answer slowest, of those that `may_end` and had a moment to.
    pub(super) fn slowest(&self, may_end: impl Fn(&u64) -> bool) -> Option<u64> {
        let state = self.lock();
        State::slowest(
            state
                .waiting
                .iter()
                .filter(|(number, w)| may_end(number) && w.since.elapsed() >= LEAST),
        )
    }

    /// Has those who wait see that one was ended.
    pub(super) fn ended(&self) {
        let _state = self.lock();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::thread;

    fn connection() -> Arc<Connection> {
        from(false)
    }

    fn from(osquery: bool) -> Arc<Connection> {
        Arc::new(Connection::new(UnixStream::pair().unwrap().0, osquery))
    }

    #[test]
    fn answers_that_nobody_takes_hold_up_nobody_while_there_is_room() {
        let (answers, began) = (Answers::default(), Instant::now());
        let held: Vec<_> = (0..8)
            .map(|number| {
                let one = connection();
                let turn = answers.turn(After::Scan, number, &one).unwrap();
                let taking = answers.taking(number, &one, ROOM / 8);
                drop(turn);
                (one, taking)
            })
            .collect();
        drop(answers.turn(After::Scan, 8, &connection()).unwrap());
        assert!(began.elapsed() < PATIENCE);
        assert!(held.iter().all(|(one, _)| !one.is_ended()));
    }

    /// It is not held up by one that is made of a scan, and takes no more memory than that.
    #[test]
    fn what_waits_for_no_scan_waits_for_room() {
        let (answers, one, other) = (Answers::default(), connection(), connection());
        let scan = answers.turn(After::Scan, 0, &one).unwrap();
        drop(answers.turn(After::Nothing, 1, &other).unwrap());
        drop(scan);
        let began = Instant::now();
        thread::scope(|scope| {
            let taking = answers.taking(0, &one, ROOM + 1);
            scope.spawn(|| {
                while !one.is_ended() && began.elapsed() < 8 * PATIENCE {
                    thread::sleep(Duration::from_millis(5));
                }
                drop(taking);
            });
            drop(answers.turn(After::Nothing, 1, &other).unwrap());
            assert!(one.is_ended());
        });
    }

    /// One reads by the byte, and one as osquery does.
    #[test]
    fn for_want_of_room_the_slowest_reader_goes_after_a_second() {
        let answers = Answers::default();
        let (none, trickle, honest) = (connection(), connection(), connection());
        let (began, last) = (Instant::now(), connection());
        thread::scope(|scope| {
            let read = |number, by: &Arc<Connection>, bytes| {
                let (answers, by) = (&answers, Arc::clone(by));
                let taking = answers.taking(number, &by, ROOM / 2 + 1);
                scope.spawn(move || {
                    while !by.is_ended() && began.elapsed() < 8 * PATIENCE {
                        if bytes > 0 {
                            taking.took(bytes);
                        }
                        thread::sleep(Duration::from_millis(5));
                    }
                    by.is_ended()
                })
            };
            let ended = [
                read(0, &none, 0),
                read(1, &trickle, 1),
                read(2, &honest, 64 << 10),
            ];
            drop(answers.turn(After::Scan, 3, &last).unwrap());
            let long = began.elapsed();
            assert!(long >= PATIENCE && long < 5 * PATIENCE, "{long:?}");
            honest.end();
            let ended = ended.map(|thread| thread.join().unwrap());
            assert_eq!(ended, [true; 3]);
        });
    }

    #[test]
    fn many_who_do_not_read_have_not_a_second_each() {
        let (answers, began) = (Answers::default(), Instant::now());
        thread::scope(|scope| {
            for number in 0..20 {
                let one = connection();
                let turn = answers.turn(After::Scan, number, &one).unwrap();
                let taking = answers.taking(number, &one, ROOM + 1);
                drop(turn);
                scope.spawn(move || {
                    let _taking = taking;
                    while !one.is_ended() && began.elapsed() < 30 * PATIENCE {
                        thread::sleep(Duration::from_millis(5));
                    }
                });
            }
            drop(answers.turn(After::Scan, 20, &connection()).unwrap());
            assert!(began.elapsed() < 8 * PATIENCE, "{:?}", began.elapsed());
        });
    }

    /// Whoever else came before it.
    #[test]
    fn osquery_has_the_next_turn() {
        let (answers, first) = (Answers::default(), connection());
        let turn = answers.turn(After::Scan, 0, &first).unwrap();
        let (sender, order) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            for (number, is_osquerys) in [(1, false), (2, false), (3, true)] {
                let (answers, sender) = (&answers, sender.clone());
                scope.spawn(move || {
                    let turn = answers.turn(After::Scan, number, &from(is_osquerys));
                    sender.send(number).unwrap();
                    drop(turn);
                });
                thread::sleep(Duration::from_millis(100));
            }
            drop(turn);
        });
        drop(sender);
        assert_eq!(order.iter().collect::<Vec<_>>(), [3, 1, 2]);
    }

    #[test]
    fn who_was_ended_waits_no_more() {
        let (answers, one) = (Answers::default(), connection());
        let turn = answers.turn(After::Scan, 0, &one).unwrap();
        thread::scope(|scope| {
            let other = connection();
            let (asked, answers) = (Arc::clone(&other), &answers);
            let waits = scope.spawn(move || answers.turn(After::Scan, 1, &asked).is_err());
            thread::sleep(Duration::from_millis(50));
            other.end();
            answers.ended();
            assert!(waits.join().unwrap());
        });
        drop(turn);
        drop(answers.turn(After::Scan, 2, &one).unwrap());
    }
}
