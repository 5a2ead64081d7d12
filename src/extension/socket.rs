//! Unix sockets on which nothing waits longer than it was told to.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Connects, waiting at most `timeout` where the listener's queue is full: a
/// stopped process on the other side would make a plain connect wait for ever.
///
/// # Errors
/// What the system says; `WouldBlock` when the time is over.
pub(super) fn connect(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::empty(),
        None,
    )?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    set_socket_timeout(&socket, Timeout::Send, Some(timeout))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// A stream that reads and writes until one moment, however the other side
/// spreads its bytes.
pub(super) struct Until<'a> {
    stream: &'a UnixStream,
    end: Instant,
}

impl<'a> Until<'a> {
    pub(super) fn new(stream: &'a UnixStream, within: Duration) -> Self {
        let mut until = Self {
            stream,
            end: Instant::now(),
        };
        until.end_in(within);
        until
    }

    /// From now on as long as that.
    pub(super) fn end_in(&mut self, within: Duration) {
        let now = Instant::now();
        self.end = now.checked_add(within).unwrap_or(now);
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        timed(|| {
            self.stream.set_read_timeout(Some(self.left()?))?;
            self.stream.read(buffer)
        })
    }
}

impl Write for Until<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        timed(|| {
            self.stream.set_write_timeout(Some(self.left()?))?;
            self.stream.write(buffer)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket whose time is over says "try again", which reads like a fault. One that has a time is never
/// taken up again by the system after a signal, whatever the handler asks for (signal(7) of Linux).
fn timed<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_silent_peer_costs_no_more_than_the_time_allowed() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let begun = Instant::now();
        let error = Until::new(&ours, Duration::from_millis(50))
            .read(&mut [0])
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= Duration::from_millis(40));
    }

    #[test]
    fn a_listener_that_never_accepts_does_not_hold_a_connect() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full");
        let _listener = UnixListener::bind(&path).unwrap();
        // Fills the queue: 128 by the standard library, 4096 at most by Linux.
        let mut held = Vec::new();
        let error = loop {
            match connect(&path, Duration::from_millis(50)) {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
            assert!(held.len() < 10_000);
        };
        assert!(
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused
            ),
            "{error}"
        );
    }
}
