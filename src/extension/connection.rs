//! One connection from osquery, and the requests that come over it.

use std::io::{self, BufRead as _, BufReader, Chain, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::socket::Until;
use super::wire::Message;

/// The largest request. A query's constraints are the largest part of one.
const MAX_REQUEST: u64 = 4 << 20;

/// How long a request may take to arrive once it has begun.
pub(super) const ARRIVAL: Duration = Duration::from_secs(5);

/// How long the next request is waited for by whoever has answered one. osquery closes at once.
const LINGER: Duration = Duration::from_millis(100);

/// One connection from osquery, whose requests a thread answers.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    /// Since when it has had no whole request; none while one is answered.
    idle_since: Mutex<Option<Instant>>,
}

impl Connection {
    /// One that has just come.
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            idle_since: Mutex::new(Some(Instant::now())),
        }
    }

    /// Since when it has been idle; none while a request is answered.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        *self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

/// What comes next over a connection.
pub(super) enum Next {
    /// A whole request.
    Request(Message),
    /// Nothing for now.
    Quiet,
    /// Nothing any more.
    End,
}

/// The requests of a connection, read by few calls of the system.
pub(super) struct Requests<'a> {
    from: Chain<&'a [u8], BufReader<Until<'a>>>,
}

impl<'a> Requests<'a> {
    /// Those that begin with what was `seen` of the stream already.
    pub(super) fn new(stream: &'a UnixStream, seen: &'a [u8]) -> Self {
        let rest = BufReader::new(Until::new(stream, ARRIVAL));
        Self {
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
    pub(super) fn next(&mut self) -> io::Result<Next> {
        self.from.get_mut().1.get_mut().end_in(LINGER);
        match self.from.fill_buf() {
            Ok([]) => return Ok(Next::End),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(Next::Quiet),
            Err(error) => return Err(error),
        }
        self.from.get_mut().1.get_mut().end_in(ARRIVAL);
        Message::read(&mut self.from, MAX_REQUEST).map(Next::Request)
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
        let mut requests = Requests::new(&ours, seen);
        for number in 1..=2 {
            match requests.next().unwrap() {
                Next::Request(request) => assert_eq!(request.header.sequence, number),
                _ => panic!("no request {number}"),
            }
        }
        theirs.write_all(last).unwrap();
        assert!(matches!(requests.next().unwrap(), Next::Request(_)));
        assert!(matches!(requests.next().unwrap(), Next::Quiet));
        drop(theirs);
        assert!(matches!(requests.next().unwrap(), Next::End));
    }

    #[test]
    fn what_is_cut_off_is_no_request() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&ping(1)[..9]).unwrap();
        drop(theirs);
        assert!(Requests::new(&ours, b"").next().is_err());
    }
}
