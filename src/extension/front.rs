//! The socket that osquery talks to.
//!
//! What comes is read whole and checked before anything is done with it. Whoever may open the socket
//! can at worst keep it busy until the limits below.
//!
//! One thread waits for all connections and answers the pings, of which osquery makes one every few
//! seconds for as long as it runs. Anything else gets a thread of its own.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use osquery_rust_ng::plugin::OsqueryPlugin as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::call::{self, Call, reply};
use super::connection::{ARRIVAL, Connection, MAX_REQUEST, Next, Requests};
use super::end::End;
use super::life::Ends;
use super::manager::Status;
use super::pings::Pings;
use super::plugin::{self, Answer, Table};
use super::socket::Until;
use super::source::Source;
use super::wire::{Kind, Message, Output, Type};

/// Connections open at once. One more ends the one that has been idle longest.
const MAX_CONNECTIONS: usize = 64;

/// How long a connection may stay open without a request.
const IDLE: Duration = Duration::from_secs(300);

/// Bytes of a request that are looked at for a ping: one has 17.
const PING: usize = 64;

/// The listener, with what its connections share.
pub(super) struct Front {
    ends: Ends,
    source: Arc<dyn Source>,
    tables: Vec<Table>,
    pings: Arc<Pings>,
    connections: Mutex<BTreeMap<u64, Arc<Connection>>>,
    /// Held by the one call that is answered, of a table that is not ready at once. A second would
    /// hold as many rows in memory again.
    call: Mutex<()>,
    number: AtomicU64,
    /// Connections that threads answer.
    answered: AtomicUsize,
    /// Connections that the listening thread waits for again, and the bell that says so.
    quiet: Mutex<Vec<Held>>,
    bell: UnixStream,
}

/// What becomes of a connection that the listening thread has looked at.
enum Fate {
    /// It may bring more.
    Stays,
    /// It is over.
    Ends,
    /// It asks for more than a ping, or has not brought all of it yet; these bytes came.
    Asks(Vec<u8>),
}

/// A connection that the listening thread waits for, and its number.
type Held = (u64, Arc<Connection>);

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
            connections: Mutex::default(),
            call: Mutex::default(),
            number: AtomicU64::default(),
            answered: AtomicUsize::default(),
            quiet: Mutex::default(),
            bell,
        });
        thread::Builder::new()
            .name("front".to_owned())
            .spawn(move || front.listen(&listener, &rings))?;
        Ok(())
    }

    fn listen(self: &Arc<Self>, listener: &UnixListener, mut rings: &UnixStream) {
        let mut held: Vec<Held> = Vec::new();
        loop {
            let mut ready = wait(listener, rings, &held, self.pings.due()).into_iter();
            let is_called = ready.next().unwrap_or(true);
            let is_rung = ready.next().unwrap_or(true);
            held.retain(|(number, connection)| match ready.next() {
                Some(true) => self.is_kept(*number, connection),
                _ if connection.is_idle_for(IDLE) => {
                    lock(&self.connections).remove(number);
                    false
                }
                _ => true,
            });
            if is_rung {
                // Nothing to be read is no fault: the list is looked at.
                let _ = rings.read(&mut [0; PING]);
                held.append(&mut lock(&self.quiet));
            }
            if is_called {
                match listener.accept().and_then(|(stream, _)| self.take(stream)) {
                    // What osquery asks has mostly come by now.
                    Ok((number, new)) if self.is_kept(number, &new) => held.push((number, new)),
                    Ok(_) => {}
                    Err(error) => {
                        log::warn!("a connection could not be taken: {error}");
                        // Out of descriptors or threads: some are given back soon.
                        thread::sleep(Duration::from_millis(50));
                    }
                }
            }
            self.pings.look();
        }
    }

    /// Attends to a connection; true when it is to be waited for again.
    fn is_kept(self: &Arc<Self>, number: u64, connection: &Arc<Connection>) -> bool {
        match self.attend(connection) {
            Fate::Stays => return true,
            Fate::Ends => drop(lock(&self.connections).remove(&number)),
            Fate::Asks(seen) => self.hand_over(number, connection, seen),
        }
        false
    }

    fn take(&self, stream: UnixStream) -> io::Result<Held> {
        stream.set_nonblocking(true)?;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::new(stream));
        let mut connections = lock(&self.connections);
        if connections.len() >= MAX_CONNECTIONS {
            let idle = connections
                .iter()
                .filter_map(|(number, other)| Some((other.idle_since()?, *number)))
                .min();
            let Some((_, idle)) = idle else {
                return Err(io::Error::other("too many are busy"));
            };
            if let Some(idle) = connections.remove(&idle) {
                // An error says that the other side has closed it already.
                let _ = idle.stream.shutdown(Shutdown::Both);
            }
        }
        connections.insert(number, Arc::clone(&connection));
        Ok((number, connection))
    }

    /// Answers what can be read from a connection if that is a whole ping and nothing else.
    fn attend(&self, connection: &Connection) -> Fate {
        let mut stream = &connection.stream;
        let mut bytes = [0; PING];
        let seen = match stream.read(&mut bytes) {
            Ok(0) => return Fate::Ends,
            Ok(count) => bytes.get(..count).unwrap_or_default(),
            Err(error) if is_for_now(&error) => return Fate::Stays,
            Err(_) => return Fate::Ends,
        };
        let mut rest = seen;
        let request = match Message::read(&mut rest, MAX_REQUEST) {
            Ok(request) if is_ping(&request) && rest.is_empty() => request,
            _ => return Fate::Asks(seen.to_vec()),
        };
        let pong = pong(&request);
        // An answer for which there is no room goes to somebody who does not read his answers.
        let written = stream.write(pong.bytes());
        if !written.is_ok_and(|count| count == pong.bytes().len()) {
            return Fate::Ends;
        }
        connection.set_idle(true);
        self.pings.answered();
        Fate::Stays
    }

    /// Has a thread answer what comes over a connection, until that is quiet again.
    fn hand_over(self: &Arc<Self>, number: u64, connection: &Arc<Connection>, seen: Vec<u8>) {
        let (front, served) = (Arc::clone(self), Arc::clone(connection));
        let is_alone = self.answered.fetch_add(1, Ordering::Relaxed) == 0;
        let spawned = served.stream.set_nonblocking(false).and_then(|()| {
            let thread = thread::Builder::new().name("connection".to_owned());
            thread.spawn(move || {
                let ended = front.serve(&served, &seen, is_alone);
                front.answered.fetch_sub(1, Ordering::Relaxed);
                let back = ended.and_then(|()| served.stream.set_nonblocking(true));
                if let Err(error) = back {
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        log::debug!("a connection ended: {error}");
                    }
                    lock(&front.connections).remove(&number);
                    return;
                }
                lock(&front.quiet).push((number, served));
                // Where there is no room, the bell has been rung often enough.
                let _ = (&front.bell).write(&[0]);
            })
        });
        if let Err(error) = spawned {
            self.answered.fetch_sub(1, Ordering::Relaxed);
            log::warn!("a connection cannot be answered: {error}");
            lock(&self.connections).remove(&number);
        }
    }

    /// Answers the requests of one connection until it is quiet.
    ///
    /// An allocator may keep memory for each thread, for as long as that lives. So rows are made by a
    /// thread that ends with them, where there are more of these than the one that `is_alone`.
    ///
    /// # Errors
    /// `ConnectionAborted` when it is over.
    fn serve(&self, connection: &Connection, seen: &[u8], is_alone: bool) -> io::Result<()> {
        let stream = &connection.stream;
        let mut requests = Requests::new(stream, seen);
        loop {
            let request = match requests.next()? {
                Next::Request(request) => request,
                Next::Quiet => return Ok(()),
                Next::End => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            connection.set_idle(false);
            if request.header.kind != Kind::Call {
                return Err(io::Error::other("an answer came where a call belongs"));
            }
            match request.header.name.as_str() {
                "ping" => {
                    Until::new(stream, ARRIVAL).write_all(pong(&request).bytes())?;
                    self.pings.answered();
                }
                "shutdown" => {
                    let mut output = reply(&request);
                    output.stop();
                    Until::new(stream, ARRIVAL).write_all(output.bytes())?;
                    self.ends.send(End::Asked);
                }
                _ => {
                    let asked = Call::of(&request)?;
                    let _one = (!self.source.is_ready(&asked.item)).then(|| lock(&self.call));
                    let answer = if is_alone {
                        self.called(&asked)
                    } else {
                        apart(|| self.called(&asked))?
                    };
                    call::answer(&request, &answer, stream)?;
                }
            }
            connection.set_idle(true);
        }
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

/// Has a thread of its own do something.
///
/// # Errors
/// When none can be started.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let rows = thread::Builder::new().name("rows".to_owned());
        let done = rows.spawn_scoped(scope, work)?.join();
        done.map_err(|_| io::Error::other("a table failed inside"))
    })
}

/// The answer to a ping.
fn pong(request: &Message) -> Output {
    let mut output = reply(request);
    output.field(Type::Struct, 0);
    Status::default().write(&mut output);
    output.stop();
    output
}

fn is_ping(request: &Message) -> bool {
    request.header.kind == Kind::Call && request.header.name == "ping"
}

/// True for a read that has nothing to give at the moment.
fn is_for_now(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Waits until the listener, the bell or a connection has something, one of these has been idle for
/// too long, or a ping is `due`; gives which have, in that order.
fn wait(
    listener: &UnixListener,
    rings: &UnixStream,
    held: &[Held],
    due: Option<Duration>,
) -> Vec<bool> {
    let first = held.iter().filter_map(|(_, c)| c.idle_since()).min();
    // A second more, so that the time is over by then.
    let end = first.map(|since| {
        let left = IDLE.saturating_sub(since.elapsed());
        left.saturating_add(Duration::from_secs(1))
    });
    let left = end.into_iter().chain(due).min().map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    let streams = held.iter().map(|(_, connection)| connection.stream.as_fd());
    let fds = [listener.as_fd(), rings.as_fd()].into_iter().chain(streams);
    let mut fds: Vec<_> = fds
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    match poll(&mut fds, left.as_ref()) {
        Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
        Err(error) => {
            if error != Errno::INTR {
                // Out of memory for a moment.
                thread::sleep(Duration::from_millis(50));
            }
            vec![false; fds.len()]
        }
    }
}
