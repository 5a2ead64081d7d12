//! What the listening thread waits for: the listener, a bell, and connections over which nothing has come yet.

use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long a connection may stay open without a request.
pub(super) const IDLE: Duration = Duration::from_secs(300);

/// A connection that the listening thread waits for.
pub(super) struct Held {
    pub(super) stream: UnixStream,
    /// Since when nothing has come.
    pub(super) since: Instant,
}

impl Held {
    pub(super) fn new(stream: UnixStream) -> Self {
        let since = Instant::now();
        Self { stream, since }
    }
}

/// Waits until the listener, the bell or a connection has something, one of these has been idle for
/// too long, or a ping is `due`; gives which have, in that order.
pub(super) fn wait(
    listener: &UnixListener,
    rings: &UnixStream,
    held: &[Held],
    due: Option<Duration>,
) -> (bool, bool, Vec<bool>) {
    let first = held.iter().map(|connection| connection.since).min();
    // A second more, so that the time is over by then.
    let end = first.map(|since| {
        let left = IDLE.saturating_sub(since.elapsed());
        left.saturating_add(Duration::from_secs(1))
    });
    let left = end.into_iter().chain(due).min().map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let own = [readable(listener.as_fd()), readable(rings.as_fd())];
    let streams = held.iter().map(|held| readable(held.stream.as_fd()));
    let (mut few, mut all);
    let fds: &mut [PollFd<'_>] = if held.is_empty() {
        few = own;
        &mut few
    } else {
        all = own.into_iter().chain(streams).collect::<Vec<_>>();
        &mut all
    };
    match poll(fds, left.as_ref()) {
        Ok(_) => {
            let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
            let is_called = ready.next().unwrap_or(true);
            (is_called, ready.next().unwrap_or(true), ready.collect())
        }
        Err(error) => {
            if error != Errno::INTR {
                // Out of memory for a moment.
                thread::sleep(Duration::from_millis(50));
            }
            (false, false, vec![false; held.len()])
        }
    }
}
