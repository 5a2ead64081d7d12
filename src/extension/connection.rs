//! One connection from osquery, and the requests that come over it.

use std::io::{self, BufRead as _, BufReader, Chain, Read as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::socket::Until;
use super::wire::Message;

/// The largest request. A query's constraints are the largest part of one.
const MAX_REQUEST: u64 = 1 << 20;

/// Bytes of the requests of all connections together, beyond a little for each: whoever sends half of many large ones
/// has the rest refused.
const IN_FLIGHT: usize = 2 << 20;

/// Bytes of a request that count for nothing.
const FREE: usize = 16 << 10;

/// How long a request may take to arrive once it has begun.
pub(super) const ARRIVAL: Duration = Duration::from_secs(5);

/// How long the next request is waited for by whoever has answered one. osquery closes at once.
const LINGER: Duration = Duration::from_millis(100);

/// One connection from osquery, whose requests a thread answers.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    /// Since when it has had no whole request; none while one is answered.
    idle_since: Mutex<Option<Instant>>,
    /// True once we ended it.
    is_ended: AtomicBool,
    /// True when osquery itself is at the other end.
    pub(super) is_osquerys: bool,
}

impl Connection {
    /// One that has just come.
    pub(super) fn new(stream: UnixStream, is_osquerys: bool) -> Self {
        Self {
            stream,
            idle_since: Mutex::new(Some(Instant::now())),
            is_ended: AtomicBool::new(false),
            is_osquerys,
        }
    }

    /// Since when it has been idle; none while a request is answered.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        *self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, whatever is being read from it or written.
    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
        // An error says that the other side has closed it already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// True once we ended it.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }

    /// Whether it is idle from now on.
    pub(super) fn set_idle(&self, is_idle: bool) {
        let mut since = self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = is_idle.then(Instant::now);
    }
}

/// The room that is left for requests.
#[derive(Debug)]
pub(super) struct InFlight(AtomicUsize);

impl Default for InFlight {
    fn default() -> Self {
        Self(AtomicUsize::new(IN_FLIGHT))
    }
}

/// What one request takes of the room, for as long as it is held.
pub(super) struct Share<'a> {
    of: &'a InFlight,
    read: usize,
    taken: usize,
}

impl Share<'_> {
    /// Counts what was read; false where there is no room for it.
    fn grow(&mut self, bytes: usize) -> bool {
        self.read = self.read.saturating_add(bytes);
        let more = self.read.saturating_sub(FREE).saturating_sub(self.taken);
        let less = |left: usize| left.checked_sub(more);
        let (on_success, on_failure) = (Ordering::Relaxed, Ordering::Relaxed);
        let has = self.of.0.fetch_update(on_success, on_failure, less).is_ok();
        if has {
            self.taken = self.taken.saturating_add(more);
        }
        has
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.of.0.fetch_add(self.taken, Ordering::Relaxed);
    }
}

/// What is read of a request, counted.
struct Counted<'a, 's, R> {
    from: &'a mut R,
    share: &'a mut Share<'s>,
}

impl<R: io::Read> io::Read for Counted<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if self.share.grow(count) {
            return Ok(count);
        }
        Err(io::Error::other("other requests have the room"))
    }
}

/// What comes next over a connection.
pub(super) enum Next<'a> {
    /// A whole request, with its share of the room.
    Request(Message, Share<'a>),
    /// Nothing for now.
    Quiet,
    /// Nothing any more.
    End,
}

/// The requests of a connection, read by few calls of the system.
pub(super) struct Requests<'a> {
    in_flight: &'a InFlight,
    from: Chain<&'a [u8], BufReader<Until<'a>>>,
}

impl<'a> Requests<'a> {
    /// Those that begin with what was `seen` of the stream already.
    pub(super) fn new(stream: &'a UnixStream, seen: &'a [u8], in_flight: &'a InFlight) -> Self {
        let rest = BufReader::new(Until::new(stream, ARRIVAL));
        Self {
            in_flight,
            from: seen.chain(rest),
        }
    }

    /// True when nothing was read of the next one.
    pub(super) fn is_read_up(&self) -> bool {
        let (seen, rest) = self.from.get_ref();
        seen.is_empty() && rest.buffer().is_empty()
    }

    /// Waits a moment for the next one to begin, and then for all of it.
    ///
    /// # Errors
    /// When it does not arrive in time, passes a limit or is no message, and the stream's own errors.
    pub(super) fn next(&mut self) -> io::Result<Next<'a>> {
        self.from.get_mut().1.get_mut().end_in(LINGER);
        match self.from.fill_buf() {
            Ok([]) => return Ok(Next::End),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(Next::Quiet),
            Err(error) => return Err(error),
        }
        self.from.get_mut().1.get_mut().end_in(ARRIVAL);
        let mut share = Share {
            of: self.in_flight,
            read: 0,
            taken: 0,
        };
        let mut from = Counted {
            from: &mut self.from,
            share: &mut share,
        };
        let message = Message::read(&mut from, MAX_REQUEST)?;
        Ok(Next::Request(message, share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::wire::{Kind, Output};
    use std::io::Write as _;

    fn ping(number: i32) -> Vec<u8> {
        let mut output = Output::message(Kind::Call, "ping", number);
        output.stop();
        output.bytes().to_vec()
    }

    #[test]
    fn requests_are_read_one_by_one_however_they_come() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let sent = [ping(1), ping(2), ping(3)].concat();
        // One whole and a part of the next were seen, and what follows is not whole either.
        let (seen, rest) = sent.split_at(20);
        let (rest, last) = rest.split_at(20);
        theirs.write_all(rest).unwrap();
        let in_flight = InFlight::default();
        let mut requests = Requests::new(&ours, seen, &in_flight);
        for number in 1..=2 {
            match requests.next().unwrap() {
                Next::Request(request, _) => assert_eq!(request.header.sequence, number),
                _ => panic!("no request {number}"),
            }
        }
        theirs.write_all(last).unwrap();
        assert!(matches!(requests.next().unwrap(), Next::Request(..)));
        assert!(matches!(requests.next().unwrap(), Next::Quiet));
        drop(theirs);
        assert!(matches!(requests.next().unwrap(), Next::End));
    }

    #[test]
    fn what_is_cut_off_is_no_request() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&ping(1)[..9]).unwrap();
        drop(theirs);
        let in_flight = InFlight::default();
        assert!(Requests::new(&ours, b"", &in_flight).next().is_err());
    }

    /// What is held of a request counts until it is answered, and so do those that never end.
    #[test]
    fn large_requests_over_many_connections_have_one_room() {
        let in_flight = InFlight::default();
        let large = || {
            let mut output = Output::message(Kind::Call, "call", 1);
            output.field(crate::extension::wire::Type::Text, 1);
            output.text(&"x".repeat(768 << 10));
            output.stop();
            output.bytes().to_vec()
        };
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let sent = large();
        let next = || Requests::new(&ours, &sent, &in_flight).next();
        let held = [next().unwrap(), next().unwrap()];
        assert!(held.iter().all(|next| matches!(next, Next::Request(..))));
        assert!(next().is_err());
        // A small one has always room.
        let small = ping(1);
        assert!(Requests::new(&ours, &small, &in_flight).next().is_ok());
        drop(held);
        assert!(next().is_ok());
        assert_eq!(in_flight.0.into_inner(), IN_FLIGHT);
    }
}
