//! A standard error that cannot stop the program.
//!
//! osqueryd hands its own on, and it may be closed, or a pipe that nobody reads.

use std::io::{self, Write};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::worker::Worker;

/// Lines that wait for a reader; more are dropped.
const WAITING: usize = 256;

/// How long the last line is given to be written.
const LAST: Duration = Duration::from_millis(200);

/// Writes to standard error from a thread of its own, never waiting for it: for
/// a logger's target.
pub struct Stderr {
    lines: Worker<Vec<u8>>,
}

impl Stderr {
    /// A standard error to which nothing was written yet.
    #[must_use]
    pub fn start() -> Self {
        let write = |line: Vec<u8>| {
            // Closed: there is nowhere to say so.
            let _ = io::stderr().write_all(&line);
        };
        Self {
            lines: Worker::new("stderr", WAITING, write),
        }
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Full: the reader is slow or gone, and a lost line is the lesser harm.
        let _ = self.lines.give(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a last line, and waits for it no longer than a moment.
///
/// The system log gets it by the logger.
pub fn last_line(line: String) {
    log::error!(target: crate::system_log::SYSTEM_ONLY, "{line}");
    let (written, wait) = sync_channel::<()>(1);
    let spawned = thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{line}");
        let _ = written.send(());
    });
    if spawned.is_ok() {
        let _ = wait.recv_timeout(LAST);
    }
}
