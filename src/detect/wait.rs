//! Waiting for the next run, or for the signal that ends it.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// Told when the program is asked to stop.
pub struct Stop {
    /// Each signal writes a byte to the other end.
    told: Option<UnixStream>,
}

impl Stop {
    /// Watches the signals that ask a program to stop, where there is more than one run to make:
    /// the run that is under way is then finished. A single run ends as any program does.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch(every: Option<u64>) -> io::Result<Self> {
        if every.is_none() {
            return Ok(Self { told: None });
        }
        let (told, tell) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            pipe::register(signal, tell.try_clone()?)?;
        }
        Ok(Self { told: Some(told) })
    }

    /// Waits for so many seconds; true when a signal came first, or had come before.
    pub fn waits_for(&self, seconds: u64) -> bool {
        let time = Duration::from_secs(seconds);
        let Some(mut told) = self.told.as_ref() else {
            return false;
        };
        let until = Instant::now().checked_add(time);
        loop {
            let left = until.map_or(Duration::ZERO, |u| {
                u.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            if told.set_read_timeout(Some(left)).is_err() {
                return true;
            }
            match told.read(&mut [0]) {
                Ok(_) => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
    }

    /// Can be read once a signal has come.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.told.as_ref().map(AsFd::as_fd)
    }
}
