//! The socket that osquery talks to.
//!
//! What comes is read whole and checked before anything is done with it. Whoever may open the socket
//! can at worst keep it busy until the limits below.
//!
//! One thread waits for all connections and answers the pings, of which osquery makes one every few
//! seconds for as long as it runs. Anything else gets a thread of its own.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use osquery_rust_ng::plugin::OsqueryPlugin as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::RecvFlags;

use super::end::End;
use super::life::Ends;
use super::manager::Status;
use super::plugin::{self, Answer, Table};
use super::socket::Until;
use super::source::Source;
use super::wire::{Kind, Message, Output, Type};

/// Connections open at once. One more ends the one that has been idle longest.
const MAX_CONNECTIONS: usize = 64;

/// The largest request. A query's constraints are the largest part of one.
const MAX_REQUEST: u64 = 4 << 20;

/// How long a connection may stay open without a request.
const IDLE: Duration = Duration::from_secs(300);

/// How long a request may take to arrive once it has begun.
const ARRIVAL: Duration = Duration::from_secs(5);

/// How long an answer may take to be read, once there is one.
const DEPARTURE: Duration = Duration::from_secs(20);

/// Bytes of a request that are looked at for a ping: one has 17.
const PING: usize = 64;

/// The listener, with what its connections share.
pub(super) struct Front {
    ends: Ends,
    source: Arc<dyn Source>,
    tables: Vec<Table>,
    pinged: Arc<Pinged>,
    connections: Mutex<BTreeMap<u64, Arc<Connection>>>,
    /// Held by the one call that is answered, of a table that is not ready at once. A second would
    /// hold as many rows in memory again.
    call: Mutex<()>,
    number: AtomicU64,
}

/// When a ping was answered last.
#[derive(Default)]
pub(super) struct Pinged(Mutex<Option<Instant>>);

impl Pinged {
    fn now(&self) {
        *lock(&self.0) = Some(Instant::now());
    }

    /// When that was.
    pub(super) fn last(&self) -> Option<Instant> {
        *lock(&self.0)
    }
}

/// What becomes of a connection that the listening thread has looked at.
enum Next {
    /// It may bring more.
    Stays,
    /// It is over.
    Ends,
    /// It asks for more than a ping, or has not brought all of it yet.
    Asks,
}

/// A connection that the listening thread waits for, and its number.
type Held = (u64, Arc<Connection>);

/// One connection from osquery.
struct Connection {
    stream: UnixStream,
    /// Since when it has had no whole request; none while one is answered.
    idle_since: Mutex<Option<Instant>>,
}

impl Connection {
    fn is_idle_for(&self, time: Duration) -> bool {
        lock(&self.idle_since).is_some_and(|since| since.elapsed() > time)
    }
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
        pinged: Arc<Pinged>,
    ) -> io::Result<()> {
        let listener = UnixListener::bind(path)?;
        let front = Arc::new(Self {
            ends,
            source,
            tables,
            pinged,
            connections: Mutex::default(),
            call: Mutex::default(),
            number: AtomicU64::default(),
        });
        thread::Builder::new()
            .name("front".to_owned())
            .spawn(move || front.listen(&listener))?;
        Ok(())
    }

    fn listen(self: &Arc<Self>, listener: &UnixListener) {
        let mut held: Vec<Held> = Vec::new();
        loop {
            let mut ready = wait(listener, &held).into_iter();
            let is_called = ready.next().unwrap_or(true);
            held.retain(|(number, connection)| {
                let next = match ready.next() {
                    Some(true) => self.attend(&connection.stream),
                    _ if connection.is_idle_for(IDLE) => Next::Ends,
                    _ => return true,
                };
                match next {
                    Next::Stays => {
                        *lock(&connection.idle_since) = Some(Instant::now());
                        return true;
                    }
                    Next::Ends => drop(lock(&self.connections).remove(number)),
                    Next::Asks => self.hand_over(*number, connection),
                }
                false
            });
            if !is_called {
                continue;
            }
            match listener.accept().and_then(|(stream, _)| self.take(stream)) {
                Ok(new) => held.push(new),
                Err(error) => {
                    log::warn!("a connection could not be taken: {error}");
                    // Out of descriptors or threads: some are given back soon.
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }

    fn take(&self, stream: UnixStream) -> io::Result<Held> {
        stream.set_nonblocking(true)?;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            stream,
            idle_since: Mutex::new(Some(Instant::now())),
        });
        let mut connections = lock(&self.connections);
        if connections.len() >= MAX_CONNECTIONS {
            let idle = connections
                .iter()
                .filter_map(|(number, other)| Some(((*lock(&other.idle_since))?, *number)))
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
    fn attend(&self, mut stream: &UnixStream) -> Next {
        let mut bytes = [0; PING];
        let flags = RecvFlags::PEEK;
        let count = match retry_on_intr(|| rustix::net::recv(stream, &mut bytes, flags)) {
            Ok((0, _)) => return Next::Ends,
            Ok((count, _)) => count,
            Err(Errno::AGAIN) => return Next::Stays,
            Err(_) => return Next::Ends,
        };
        let seen = bytes.get(..count).unwrap_or_default();
        let mut rest = seen;
        let request = match Message::read(&mut rest, MAX_REQUEST) {
            Ok(request) if is_ping(&request) && rest.is_empty() => request,
            _ => return Next::Asks,
        };
        let mut read = [0; PING];
        let read = read.get_mut(..count).unwrap_or_default();
        let pong = pong(&request);
        // An answer for which there is no room goes to somebody who does not read his answers.
        let is_answered = stream.read_exact(read).is_ok()
            && stream
                .write(pong.bytes())
                .is_ok_and(|c| c == pong.bytes().len());
        if !is_answered {
            return Next::Ends;
        }
        self.pinged.now();
        Next::Stays
    }

    /// Has a thread answer what comes over a connection.
    fn hand_over(self: &Arc<Self>, number: u64, connection: &Arc<Connection>) {
        let (front, served) = (Arc::clone(self), Arc::clone(connection));
        let spawned = served.stream.set_nonblocking(false).and_then(|()| {
            let thread = thread::Builder::new().name("connection".to_owned());
            thread.spawn(move || {
                if let Err(error) = front.serve(&served) {
                    log::debug!("a connection ended: {error}");
                }
                lock(&front.connections).remove(&number);
            })
        });
        if let Err(error) = spawned {
            log::warn!("a connection cannot be answered: {error}");
            lock(&self.connections).remove(&number);
        }
    }

    /// Answers the requests of one connection until it ends.
    fn serve(&self, connection: &Connection) -> io::Result<()> {
        let stream = &connection.stream;
        loop {
            *lock(&connection.idle_since) = Some(Instant::now());
            let mut first = [0];
            if Until::new(stream, IDLE).read(&mut first)? == 0 {
                return Ok(());
            }
            let rest = Until::new(stream, ARRIVAL);
            let request = Message::read(&mut first.as_slice().chain(rest), MAX_REQUEST)?;
            *lock(&connection.idle_since) = None;
            if request.header.kind != Kind::Call {
                return Err(io::Error::other("an answer came where a call belongs"));
            }
            match request.header.name.as_str() {
                "ping" => {
                    Until::new(stream, ARRIVAL).write_all(pong(&request).bytes())?;
                    self.pinged.now();
                }
                "shutdown" => {
                    let mut output = reply(&request);
                    output.stop();
                    Until::new(stream, ARRIVAL).write_all(output.bytes())?;
                    self.ends.send(End::Asked);
                }
                _ => {
                    let call = Call::of(&request)?;
                    let _one = (!self.source.is_ready(&call.item)).then(|| lock(&self.call));
                    answer_call(&request, &self.called(&call), stream)?;
                }
            }
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

/// A call of a plug-in.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    registry: String,
    item: String,
    request: BTreeMap<String, String>,
}

impl Call {
    /// The call that a message holds.
    fn of(request: &Message) -> io::Result<Self> {
        let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if request.header.name != "call" {
            return invalid("a method that no extension has");
        }
        let (mut registry, mut item) = (None, None);
        let mut pairs = BTreeMap::new();
        let mut fields = request.fields();
        while let Some(field) = fields.field()? {
            match field {
                (Type::Text, 1) => registry = Some(fields.text()?),
                (Type::Text, 2) => item = Some(fields.text()?),
                (Type::Map, 3) => match fields.map()? {
                    (None, _) => {}
                    (Some((Type::Text, Type::Text)), count) => {
                        for _ in 0..count {
                            pairs.insert(fields.text()?, fields.text()?);
                        }
                    }
                    _ => return invalid("a request that is no map of texts"),
                },
                (_, 1..=3) => return invalid("an argument of another type"),
                (of, _) => fields.skip(of)?,
            }
        }
        let (Some(registry), Some(item)) = (registry, item) else {
            return invalid("a call of nothing");
        };
        Ok(Self {
            registry,
            item,
            request: pairs,
        })
    }
}

/// Writes what a plug-in answered, piece by piece.
fn answer_call(request: &Message, answer: &Answer, stream: &UnixStream) -> io::Result<()> {
    let mut until = Until::new(stream, DEPARTURE);
    let mut output = reply(request);
    output.field(Type::Struct, 0);
    output.field(Type::Struct, 1);
    answer.status.write(&mut output);
    output
        .field(Type::List, 2)
        .list(Type::Map, answer.rows.count());
    until.write_all(output.bytes())?;
    for piece in answer.rows.pieces() {
        until.write_all(piece)?;
    }
    output.clear();
    output.stop().stop();
    until.write_all(output.bytes())
}

/// What opens the answer to a request.
fn reply(request: &Message) -> Output {
    Output::message(Kind::Reply, &request.header.name, request.header.sequence)
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

/// Waits until the listener or a connection has something, or one of these has been idle for too
/// long; gives which have, the listener first.
fn wait(listener: &UnixListener, held: &[Held]) -> Vec<bool> {
    let first = held.iter().filter_map(|(_, c)| *lock(&c.idle_since)).min();
    let left = first.map(|since| {
        let left = IDLE.saturating_sub(since.elapsed());
        Timespec {
            tv_sec: i64::try_from(left.as_secs().saturating_add(1)).unwrap_or(i64::MAX),
            tv_nsec: 0,
        }
    });
    let streams = held.iter().map(|(_, connection)| connection.stream.as_fd());
    let fds = std::iter::once(listener.as_fd()).chain(streams);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is called by a message with these arguments.
    fn called(name: &str, arguments: &[&[u8]]) -> io::Result<Call> {
        let mut output = Output::message(Kind::Call, name, 1);
        output.raw(&arguments.concat()).stop();
        let mut rest = output.bytes();
        let message = Message::read(&mut rest, MAX_REQUEST).unwrap();
        assert!(rest.is_empty(), "not one whole message");
        Call::of(&message)
    }

    fn generate(item: &str) -> Call {
        Call {
            registry: "table".to_owned(),
            item: item.to_owned(),
            request: BTreeMap::from([("action".to_owned(), "generate".to_owned())]),
        }
    }

    // Field heads are type and number; types by `doc/specs/thrift-binary-protocol.md` of Apache
    // Thrift; arguments by osquery's `osquery.thrift`: 1 string, 2 string, 3 map of strings.
    const REGISTRY: &[u8] = b"\x0b\0\x01\0\0\0\x05table";
    const ITEM: &[u8] = b"\x0b\0\x02\0\0\0\x01t";
    const REQUEST: &[u8] = b"\x0d\0\x03\x0b\x0b\0\0\0\x01\0\0\0\x06action\0\0\0\x08generate";

    #[test]
    fn osquerys_own_calls_are_read() {
        assert_eq!(
            called("call", &[REGISTRY, ITEM, REQUEST]).unwrap(),
            generate("t")
        );
        // In another order, and with a field that a later osquery may add.
        let later = b"\x02\0\x04\x01";
        let other = called("call", &[REQUEST, later, ITEM, REGISTRY]);
        assert_eq!(other.unwrap(), generate("t"));
    }

    #[test]
    fn arguments_of_other_types_are_refused() {
        // Eight bytes that would be read as a text of 4294967295.
        for number in [1, 2] {
            let field = [10, 0, number, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
            assert!(
                called("call", &[REGISTRY, ITEM, &field]).is_err(),
                "{number}"
            );
        }
        // A uuid, a text and an empty struct where the map belongs.
        let uuid = [b"\x10\0\x03\x0b\x0b\x7f".as_slice(), &[0xff; 13]].concat();
        for field in [uuid.as_slice(), b"\x0b\0\x03\0\0\0\0", b"\x0c\0\x03\0"] {
            assert!(called("call", &[REGISTRY, ITEM, field]).is_err());
        }
        // Maps from numbers and to numbers.
        for types in [b"\x0a\x0b", b"\x0b\x0a"] {
            let head = [b"\x0d\0\x03".as_slice(), types, &[0, 0, 0, 1]].concat();
            assert!(called("call", &[REGISTRY, ITEM, &head, &[0; 12]]).is_err());
        }
        assert!(called("call", &[REGISTRY, REQUEST]).is_err());
        assert!(called("other", &[REGISTRY, ITEM, REQUEST]).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_skipped_or_refused() {
        // A uuid with a message in it, and a list of flags of which one is neither true nor false.
        let uuid = b"\x10\x10\x10\x80\x01\0\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0".as_slice();
        let flags = b"\x0f\0\x09\x02\0\0\0\x09\x07\x80\x01\0\x01\xff\xff\xff\xff".as_slice();
        for hidden in [uuid, flags] {
            let read = called("call", &[hidden, REGISTRY, ITEM, REQUEST]).unwrap();
            assert_eq!(read, generate("t"));
        }
        let not_utf8 = b"\x0b\0\x02\0\0\0\x01\xff";
        let read = called("call", &[REGISTRY, not_utf8, REQUEST]).unwrap();
        assert_eq!(read, generate("\u{fffd}"));
    }

    #[test]
    fn an_answer_of_many_rows_is_one_message() {
        let mut answer = Answer::default();
        for number in 0..20_000 {
            answer.rows.push(&[("path", format!("/{number}"))]);
        }
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut output = Output::message(Kind::Call, "call", 7);
        output.stop();
        let request = Message::read(&mut output.bytes(), MAX_REQUEST).unwrap();
        let written = thread::spawn(move || answer_call(&request, &answer, &ours));
        let answer = Message::read(&mut theirs, u64::MAX).unwrap();
        written.join().unwrap().unwrap();
        assert_eq!(
            (answer.header.kind, answer.header.sequence),
            (Kind::Reply, 7)
        );
        let mut fields = answer.fields();
        assert_eq!(fields.field().unwrap(), Some((Type::Struct, 0)));
        assert_eq!(fields.field().unwrap(), Some((Type::Struct, 1)));
        fields.skip(Type::Struct).unwrap();
        assert_eq!(fields.field().unwrap(), Some((Type::List, 2)));
        assert_eq!(fields.list().unwrap(), (Some(Type::Map), 20_000));
        for number in 0..20_000 {
            assert_eq!(fields.map().unwrap().1, 1);
            let pair = (fields.text().unwrap(), fields.text().unwrap());
            assert_eq!(pair, ("path".to_owned(), format!("/{number}")));
        }
        assert_eq!(
            (fields.field().unwrap(), fields.field().unwrap()),
            (None, None)
        );
    }
}
