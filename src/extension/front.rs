//! The socket that osquery talks to.
//!
//! What comes is read whole and checked before anything is done with it. Whoever may open the socket
//! can at worst keep it busy until the limits below.
//!
//! One thread waits for all connections and answers the pings, of which osquery makes one every few
//! seconds for as long as it runs. Anything else gets a thread of its own.
//!
//! osquery makes a connection for each ping and each call, and ends it after the answer
//! (`ExtensionManagerWatcher::watch` and `callExtension` in its `extensions.cpp`). To wake for that end costs as
//! much as to answer a ping, so it is seen to with what comes next. What has ended is closed some at a time: by
//! then nothing of what a system has to do for that is in the processor's caches, and one costs as much as all.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use osquery_rust_ng::plugin::OsqueryPlugin as _;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::answered::Answered;
use super::answers::{After, Answers};
use super::call::{self, Call, reply};
use super::connection::{ARRIVAL, Connection, InFlight, Next, Requests};
use super::end::End;
use super::life::Ends;
use super::maker::Maker;
use super::peer;
use super::pings::{self, Pings, Pong};
use super::plugin::{self, Answer, Table};
use super::socket::Until;
use super::source::Source;
use super::waiting::{Held, IDLE, wait};
use super::wire::{Kind, Message};

/// Connections open at once. One more ends the one that has been idle longest.
const MAX_CONNECTIONS: usize = 64;

/// Bytes of rows that a thread may have made and still wait for the next call.
const SMALL: u64 = 64 << 10;

/// How long at most a connection rests: longer than osquery's own interval.
const REST: Duration = Duration::from_secs(4);

/// Bytes that are read at first: all of a ping, and of nearly all that osquery calls, which names each column of
/// the table.
const SEEN: usize = 8 << 10;

/// Connections that have ended and are not closed yet.
const MOST_ENDED: usize = 16;

/// The listener, with what its connections share.
pub(super) struct Front {
    ends: Ends,
    source: Arc<dyn Source>,
    tables: Vec<Table>,
    pings: Arc<Pings>,
    /// What was made for the calls, one at a time where a table is not ready at once: two would hold as many rows in
    /// memory again.
    answers: Answers,
    /// Who makes them where several ask, those that wait for a scan and others.
    makers: [Maker; 2],
    /// The room for the requests of all connections.
    in_flight: InFlight,
    /// The connections that threads answer.
    answered: Answered,
    /// osquery's process, where it is known.
    osquery: Option<i32>,
    /// Leads to the thread that waits for the next connection, where there is one.
    waiting: Mutex<Option<Sender<Job>>>,
    /// Connections that the listening thread is to look at again, and the bell that says so.
    quiet: Mutex<Vec<UnixStream>>,
    bell: UnixStream,
    /// True once somebody asked more after an answer: nothing rests from then on.
    is_restless: AtomicBool,
}

/// What the listening thread has before it.
#[derive(Default)]
struct Desk {
    /// What it waits for.
    held: Vec<Held>,
    /// What had a ping answered and should bring but its end, for which nobody wakes.
    resting: Vec<Held>,
    /// What is to be closed.
    ended: Vec<UnixStream>,
    /// What was read last, and the answer to a ping.
    bytes: Vec<u8>,
    pong: Pong,
    /// How many connections went to threads.
    number: u64,
}

/// A connection to be answered by a thread.
struct Job {
    number: u64,
    connection: Arc<Connection>,
    /// What was read of it already.
    seen: Vec<u8>,
    /// True when no other thread answers one.
    is_alone: bool,
}

/// What becomes of a connection that the listening thread has looked at.
enum Fate {
    /// Nothing came.
    Quiet,
    /// It had a ping answered.
    Pinged,
    /// It is over.
    Ends,
    /// It asks for more than a ping, or has not brought all of it yet; these bytes came.
    Asks(Vec<u8>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Front {
    /// Listens at `path`, from a thread of its own.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(super) fn open(
        path: &Path,
        ends: Ends,
        source: Arc<dyn Source>,
        tables: Vec<Table>,
        pings: Arc<Pings>,
        osquery: Option<i32>,
    ) -> io::Result<()> {
        let listener = UnixListener::bind(path)?;
        let (bell, rings) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rings.set_nonblocking(true)?;
        let front = Arc::new(Self {
            ends,
            source,
            tables,
            pings,
            answers: Answers::default(),
            makers: Default::default(),
            in_flight: InFlight::default(),
            answered: Answered::default(),
            osquery,
            waiting: Mutex::default(),
            quiet: Mutex::default(),
            bell,
            is_restless: AtomicBool::new(false),
        });
        thread::Builder::new()
            .name("front".to_owned())
            .spawn(move || front.listen(&listener, &rings))?;
        Ok(())
    }

    fn listen(self: &Arc<Self>, listener: &UnixListener, mut rings: &UnixStream) {
        let mut desk = Desk {
            bytes: vec![0; SEEN],
            ..Desk::default()
        };
        loop {
            let rest = (!desk.resting.is_empty()).then_some(REST);
            let due = self.pings.due().into_iter().chain(rest).min();
            let (is_called, is_rung, ready) = wait(listener, rings, &desk.held, due);
            let rested = std::mem::take(&mut desk.resting);
            let mut ready = ready.into_iter();
            for connection in std::mem::take(&mut desk.held) {
                if ready.next() == Some(true) {
                    self.attend(connection, &mut desk);
                } else if connection.since.elapsed() <= IDLE {
                    desk.held.push(connection);
                }
            }
            if is_rung {
                // Nothing to be read is no fault: the list is looked at.
                let _ = rings.read(&mut [0; MAX_CONNECTIONS]);
            }
            let quiet = std::mem::take(&mut *lock(&self.quiet));
            for connection in rested.into_iter().chain(quiet.into_iter().map(Held::new)) {
                if self.attend(connection, &mut desk) {
                    self.is_restless.store(true, Ordering::Relaxed);
                }
            }
            if !is_called || desk.ended.len() >= MOST_ENDED {
                desk.ended.clear();
            }
            if is_called {
                let taken = listener.accept().map(|(stream, _)| {
                    self.make_room(&mut desk);
                    Held::new(stream)
                });
                match taken {
                    // What osquery asks may have come by now.
                    Ok(new) => {
                        self.attend(new, &mut desk);
                    }
                    Err(error) => {
                        log::warn!("a connection could not be taken: {error}");
                        desk.ended.clear();
                        // Out of descriptors or threads: some are given back soon.
                        thread::sleep(Duration::from_millis(50));
                    }
                }
            }
            self.pings.look();
        }
    }

    /// True when a connection is osquery's own.
    fn is_osquerys(&self, stream: &UnixStream) -> bool {
        self.osquery.is_some() && peer::process(stream) == self.osquery
    }

    /// Ends the connection that has been idle longest, where there are as many as may be; osquery's only where there is
    /// no other.
    fn make_room(&self, desk: &mut Desk) {
        let Desk { held, resting, .. } = desk;
        let open = held.len().saturating_add(resting.len());
        if open.saturating_add(self.answered.len()) < MAX_CONNECTIONS {
            return;
        }
        held.append(resting);
        let rank = |one: &Held| (self.is_osquerys(&one.stream), one.since);
        let waiting = held.iter().enumerate().map(|(index, h)| (rank(h), index));
        let Some((rank, index)) = waiting.min() else {
            self.answered.end_one(false, &self.answers);
            return;
        };
        let goes = match rank {
            (true, _) if self.answered.has_strangers() => false,
            _ => self.answered.idle().is_none_or(|other| rank <= other),
        };
        if goes || !self.answered.end_one(false, &self.answers) {
            held.swap_remove(index);
        }
    }

    /// Sees to what came over a connection; true when that was a request.
    fn attend(self: &Arc<Self>, connection: Held, desk: &mut Desk) -> bool {
        match self.look_at(&connection.stream, desk) {
            Fate::Quiet => desk.held.push(connection),
            Fate::Ends => desk.ended.push(connection.stream),
            Fate::Pinged => {
                let pinged = Held::new(connection.stream);
                if self.is_restless.load(Ordering::Relaxed) {
                    desk.held.push(pinged);
                } else {
                    desk.resting.push(pinged);
                }
                return true;
            }
            Fate::Asks(seen) => {
                desk.number = desk.number.saturating_add(1);
                let is_osquerys = self.is_osquerys(&connection.stream);
                let connection = Connection::new(connection.stream, is_osquerys);
                self.hand_over(desk.number, connection, seen);
                return true;
            }
        }
        false
    }

    /// Answers what can be read from a connection if that is a whole ping and nothing else.
    fn look_at(&self, stream: &UnixStream, desk: &mut Desk) -> Fate {
        let seen = match recv(stream, desk.bytes.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Fate::Ends,
            Ok((_, count)) => desk.bytes.get(..count).unwrap_or_default(),
            Err(Errno::AGAIN | Errno::INTR) => return Fate::Quiet,
            Err(_) => return Fate::Ends,
        };
        let Some(sequence) = pings::sequence(seen) else {
            return Fate::Asks(seen.to_vec());
        };
        let pong = desk.pong.to(sequence);
        // An answer for which there is no room goes to somebody who does not read his answers.
        if !send(stream, pong, SendFlags::DONTWAIT).is_ok_and(|count| count == pong.len()) {
            return Fate::Ends;
        }
        self.pings.answered();
        Fate::Pinged
    }

    /// Has a thread answer what comes over a connection, until that is quiet again: the one that waits,
    /// or a new one.
    fn hand_over(self: &Arc<Self>, number: u64, connection: Connection, seen: Vec<u8>) {
        let connection = Arc::new(connection);
        let entering = Arc::clone(&connection);
        let yields = self.osquery.is_some() && !connection.is_osquerys;
        let answers = &self.answers;
        let Some(is_alone) = self.answered.enter(number, entering, yields, answers) else {
            return;
        };
        let job = Job {
            number,
            connection,
            seen,
            is_alone,
        };
        let waiting = lock(&self.waiting).take();
        let refused = match waiting {
            Some(thread) => thread.send(job).map_err(|refused| refused.0),
            None => Err(job),
        };
        if let Err(job) = refused {
            self.begin(job);
        }
    }

    /// Starts a thread that answers.
    fn begin(self: &Arc<Self>, job: Job) {
        let (front, number) = (Arc::clone(self), job.number);
        let thread = thread::Builder::new().name("connection".to_owned());
        if let Err(error) = thread.spawn(move || front.work(job)) {
            log::warn!("a connection cannot be answered: {error}");
            self.answered.leave(number);
        }
    }

    /// Answers one connection after the other. osquery's next call is a matter of seconds, and to start a
    /// thread costs more than most answers; but an allocator may keep for each what it has once used.
    fn work(self: &Arc<Self>, mut job: Job) {
        while self.answer(job) <= SMALL {
            let (sender, inbox) = channel();
            // Another one that waited ends: its only sender does.
            *lock(&self.waiting) = Some(sender);
            match inbox.recv() {
                Ok(next) => job = next,
                Err(_) => return,
            }
        }
    }

    /// Answers a connection until it is quiet, and gives it back then; returns the bytes of rows that
    /// this thread has made.
    fn answer(self: &Arc<Self>, job: Job) -> u64 {
        let mut made = 0;
        let ended = self.serve(&job, &mut made);
        self.answered.leave(job.number);
        match ended {
            Ok(()) => {
                let quiet = Arc::into_inner(job.connection).map(|c| c.stream);
                lock(&self.quiet).extend(quiet);
                // The next ping is soon enough, if one comes: only then nobody asks more.
                if self.is_restless.load(Ordering::Relaxed) || !self.pings.come() {
                    // Where there is no room, the bell has been rung often enough.
                    let _ = (&self.bell).write(&[0]);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => log::debug!("a connection ended: {error}"),
        }
        made
    }

    /// Answers the requests of one connection until it is quiet; counts the bytes of rows that this
    /// thread has `made`. Where it is not alone, one that makes all has them: so what an allocator keeps for
    /// each thread does not add up.
    ///
    /// # Errors
    /// `ConnectionAborted` when it is over.
    fn serve(self: &Arc<Self>, job: &Job, made: &mut u64) -> io::Result<()> {
        let connection = &job.connection;
        let stream = &connection.stream;
        let mut requests = Requests::new(stream, &job.seen, &self.in_flight);
        loop {
            let (request, _share) = match requests.next()? {
                Next::Request(request, share) => (request, share),
                Next::Quiet => return Ok(()),
                Next::End => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            connection.set_idle(false);
            if request.header.kind != Kind::Call {
                return Err(io::Error::other("an answer came where a call belongs"));
            }
            match request.header.name.as_str() {
                "ping" => {
                    let pong = pings::pong(request.header.sequence);
                    Until::new(stream, ARRIVAL).write_all(&pong)?;
                    self.pings.answered();
                }
                "shutdown" => {
                    let mut output = reply(&request);
                    output.stop();
                    Until::new(stream, ARRIVAL).write_all(output.bytes())?;
                    self.ends.send(End::Asked);
                }
                _ => {
                    let asked = Arc::new(Call::of(&request)?);
                    let answered = self.make_and_send(job, &request, &asked, made);
                    let is_late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
                    if connection.is_ended() || answered.as_ref().is_err_and(is_late) {
                        self.source.not_taken(&asked.item);
                    }
                    answered?;
                }
            }
            connection.set_idle(true);
            if requests.is_read_up() && !self.is_restless.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    /// Has the answer to a call made, and sends it.
    fn make_and_send(
        self: &Arc<Self>,
        job: &Job,
        request: &Message,
        asked: &Arc<Call>,
        made: &mut u64,
    ) -> io::Result<()> {
        let Job {
            number, connection, ..
        } = job;
        let after = match self.source.is_ready(&asked.item) {
            true => After::Nothing,
            false => After::Scan,
        };
        let turn = self.answers.turn(after, *number, connection)?;
        let mut answer = if job.is_alone {
            let answer = self.called(asked);
            *made = made.saturating_add(answer.rows.bytes());
            answer
        } else {
            let [scanned, ready] = &self.makers;
            let maker = match after {
                After::Scan => scanned,
                After::Nothing => ready,
            };
            let (front, asked) = (Arc::clone(self), Arc::clone(asked));
            maker.make(move || front.called(&asked))?
        };
        let taking = (self.answers).taking(*number, connection, call::held(&mut answer));
        drop(turn);
        call::answer(request, answer, &connection.stream, &taking)
    }

    /// What the plug-in answers that is called.
    fn called(&self, call: &Call) -> Answer {
        let is_called = |table: &&Table| {
            table.registry().to_string() == call.registry && table.name() == call.item
        };
        match self.tables.iter().find(is_called) {
            Some(table) => table.call(&call.request),
            None => plugin::failure(format!("there is no {} {}", call.registry, call.item)),
        }
    }
}
