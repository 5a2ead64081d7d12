//! The socket that osquery talks to, in front of osquery-rust-ng's server.
//!
//! That server gives each open connection one of its ten threads for as long as
//! it stays open, and reserves whatever length a message claims. So nothing
//! reaches it but whole requests, checked and written anew, each on a connection of its own that
//! ends with the answer. Whoever may open the socket can at worst keep it busy
//! until the limits below.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::End;
use super::manager::{Manager, Status};
use super::socket::{Until, connect};
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

/// How long a call may take: osquery's own limit, `--thrift_timeout`.
const CALL: Duration = Duration::from_secs(300);

/// How long an answer may take to be read, once there is one.
const DEPARTURE: Duration = Duration::from_secs(20);

/// How long the server behind may take to begin listening, and to answer a ping.
const BEHIND: Duration = Duration::from_secs(2);

/// The listener in front, with what its connections share.
pub(super) struct Front {
    /// Where the server of osquery-rust-ng listens.
    behind: PathBuf,
    ends: Sender<End>,
    source: Arc<dyn Source>,
    connections: Mutex<BTreeMap<u64, Arc<Connection>>>,
    /// Held by the one call that is answered, of a table that is not ready at once. A second would
    /// hold as many rows in memory again; the server's other threads stay free for pings.
    call: Mutex<()>,
    number: AtomicU64,
}

/// One connection from osquery.
struct Connection {
    stream: UnixStream,
    /// Since when it has had no whole request; none while one is answered.
    idle_since: Mutex<Option<Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Front {
    /// Listens at `path` for the server at `behind`, from a thread of its own.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(super) fn open(
        path: &Path,
        behind: &Path,
        ends: Sender<End>,
        source: Arc<dyn Source>,
    ) -> io::Result<()> {
        let listener = UnixListener::bind(path)?;
        let front = Arc::new(Self {
            behind: behind.to_owned(),
            ends,
            source,
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
        loop {
            let taken = listener.accept().and_then(|(stream, _)| self.take(stream));
            if let Err(error) = taken {
                log::warn!("a connection could not be taken: {error}");
                // Out of descriptors or threads: some are given back soon.
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn take(self: &Arc<Self>, stream: UnixStream) -> io::Result<()> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            stream,
            idle_since: Mutex::new(Some(Instant::now())),
        });
        {
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
        }
        let front = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("connection".to_owned())
            .spawn(move || {
                if let Err(error) = front.serve(&connection) {
                    log::debug!("a connection ended: {error}");
                }
                lock(&front.connections).remove(&number);
            });
        if spawned.is_err() {
            lock(&self.connections).remove(&number);
        }
        spawned.map(drop)
    }

    /// Answers the requests of one connection until it ends.
    fn serve(&self, connection: &Connection) -> io::Result<()> {
        let mut stream = &connection.stream;
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
                "ping" => self.ping(&request, stream)?,
                "shutdown" => {
                    answer(&request, stream, |output| {
                        output.stop();
                    })?;
                    // Nobody listens once the end has begun.
                    let _ = self.ends.send(End::Asked);
                    stream.flush()?;
                }
                _ => {
                    let (item, request) = rewritten(&request)?;
                    let _one = (!self.source.is_ready(&item)).then(|| lock(&self.call));
                    self.pass(&request, stream)?;
                }
            }
        }
    }

    /// Answers a ping when the server behind answers one. Its own answer leaves
    /// the code unset.
    fn ping(&self, request: &Message, stream: &UnixStream) -> io::Result<()> {
        let mut behind = Manager::over(&self.behind, self.reach()?, BEHIND);
        behind.ping().map_err(io::Error::other)?;
        answer(request, stream, |output| {
            output.field(Type::Struct, 0);
            Status::default().write(output);
            output.stop();
        })
    }

    /// Hands a request to the server behind, and its answer back.
    fn pass(&self, request: &Output, stream: &UnixStream) -> io::Result<()> {
        let behind = self.reach()?;
        Until::new(&behind, BEHIND).write_all(request.bytes())?;
        behind.shutdown(Shutdown::Write)?;
        let mut first = [0];
        Until::new(&behind, CALL).read_exact(&mut first)?;
        let mut rest = first.as_slice().chain(Until::new(&behind, DEPARTURE));
        io::copy(&mut rest, &mut Until::new(stream, DEPARTURE))?;
        Ok(())
    }

    /// Connects to the server behind, which begins to listen a moment after
    /// osquery has been told where.
    fn reach(&self) -> io::Result<UnixStream> {
        let begun = Instant::now();
        loop {
            match connect(&self.behind, BEHIND) {
                Err(error) if begun.elapsed() < BEHIND && not_there(&error) => {
                    thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }
}

/// The item that is called, and the call in a message of our own making: registry, item, request, and
/// nothing else.
///
/// The server behind reads arguments by their numbers and takes their types for granted, so that a
/// number's bytes become a length that nobody has checked; and where it cannot read on (a text that
/// is not UTF-8, a flag that is neither true nor false, a method that it does not have), it takes what
/// is left for the next message. So it is never given bytes that somebody else arranged.
fn rewritten(request: &Message) -> io::Result<(String, Output)> {
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
    let mut output = Output::message(Kind::Call, "call", request.header.sequence);
    output.field(Type::Text, 1).text(&registry);
    output.field(Type::Text, 2).text(&item);
    output
        .field(Type::Map, 3)
        .map(Type::Text, Type::Text, pairs.len());
    for (key, value) in &pairs {
        output.text(key).text(value);
    }
    output.stop();
    Ok((item, output))
}

/// Whether nobody listens at a socket's path.
pub(super) fn not_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn answer(
    request: &Message,
    stream: &UnixStream,
    result: impl FnOnce(&mut Output),
) -> io::Result<()> {
    let mut output = Output::message(Kind::Reply, &request.header.name, request.header.sequence);
    result(&mut output);
    Until::new(stream, ARRIVAL).write_all(output.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server behind is given for a message with these arguments.
    fn passed(name: &str, arguments: &[&[u8]]) -> io::Result<Vec<u8>> {
        let mut output = Output::message(Kind::Call, name, 1);
        output.raw(&arguments.concat()).stop();
        let mut rest = output.bytes();
        let message = Message::read(&mut rest, MAX_REQUEST).unwrap();
        assert!(rest.is_empty(), "not one whole message");
        Ok(rewritten(&message)?.1.bytes().to_vec())
    }

    // Field heads are type and number; types by `doc/specs/thrift-binary-protocol.md` of Apache
    // Thrift; arguments by osquery's `osquery.thrift`: 1 string, 2 string, 3 map of strings.
    const HEAD: &[u8] = b"\x80\x01\0\x01\0\0\0\x04call\0\0\0\x01";
    const REGISTRY: &[u8] = b"\x0b\0\x01\0\0\0\x05table";
    const ITEM: &[u8] = b"\x0b\0\x02\0\0\0\x01t";
    const REQUEST: &[u8] = b"\x0d\0\x03\x0b\x0b\0\0\0\x01\0\0\0\x06action\0\0\0\x08generate";

    #[test]
    fn osquerys_own_calls_pass_as_they_are() {
        let whole = [HEAD, REGISTRY, ITEM, REQUEST, b"\0"].concat();
        assert_eq!(passed("call", &[REGISTRY, ITEM, REQUEST]).unwrap(), whole);
        // In another order, and with a field that a later osquery may add.
        let later = b"\x02\0\x04\x01";
        assert_eq!(
            passed("call", &[REQUEST, later, ITEM, REGISTRY]).unwrap(),
            whole
        );
    }

    #[test]
    fn arguments_of_other_types_are_refused() {
        // Eight bytes that would be read as a text of 4294967295.
        for number in [1, 2] {
            let field = [10, 0, number, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
            assert!(
                passed("call", &[REGISTRY, ITEM, &field]).is_err(),
                "{number}"
            );
        }
        // A uuid, a text and an empty struct where the map belongs.
        let uuid = [b"\x10\0\x03\x0b\x0b\x7f".as_slice(), &[0xff; 13]].concat();
        for field in [uuid.as_slice(), b"\x0b\0\x03\0\0\0\0", b"\x0c\0\x03\0"] {
            assert!(passed("call", &[REGISTRY, ITEM, field]).is_err());
        }
        // Maps from numbers and to numbers.
        for types in [b"\x0a\x0b", b"\x0b\x0a"] {
            let head = [b"\x0d\0\x03".as_slice(), types, &[0, 0, 0, 1]].concat();
            assert!(passed("call", &[REGISTRY, ITEM, &head, &[0; 12]]).is_err());
        }
        assert!(passed("call", &[REGISTRY, REQUEST]).is_err());
        assert!(passed("other", &[REGISTRY, ITEM, REQUEST]).is_err());
    }

    #[test]
    fn no_message_hides_in_a_field_that_the_server_cannot_read() {
        // The server stops at the uuid, or at the flag 7, and goes on with what follows.
        let uuid = b"\x10\x10\x10\x80\x01\0\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0".as_slice();
        let flags = b"\x0f\0\x09\x02\0\0\0\x09\x07\x80\x01\0\x01\xff\xff\xff\xff".as_slice();
        let whole = [HEAD, REGISTRY, ITEM, REQUEST, b"\0"].concat();
        for hidden in [uuid, flags] {
            let given = passed("call", &[hidden, REGISTRY, ITEM, REQUEST]).unwrap();
            assert_eq!(given, whole);
        }
        let not_utf8 = b"\x0b\0\x02\0\0\0\x01\xff";
        let given = passed("call", &[REGISTRY, not_utf8, REQUEST]).unwrap();
        let replaced = b"\x0b\0\x02\0\0\0\x03\xef\xbf\xbd".as_slice();
        assert_eq!(given, [HEAD, REGISTRY, replaced, REQUEST, b"\0"].concat());
    }
}
