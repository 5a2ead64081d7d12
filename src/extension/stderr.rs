//! A standard error that cannot stop the program.
//!
//! osqueryd hands its own on, and it may be closed, or a pipe that nobody reads.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::text;
use crate::worker::Worker;

/// Lines that wait for a reader; more are dropped.
const WAITING: usize = 256;
/// Bytes of all that wait; what is more is dropped as well.
const MOST_WAITING: usize = 256 << 10;
/// Bytes of a line: whoever plants what it tells of makes it as long as he likes.
const MOST_LINE: usize = 4 << 10;

/// How long the last line is given to be written.
const LAST: Duration = Duration::from_millis(200);

/// Writes to standard error from a thread of its own, never waiting for it: for
/// a logger's target.
pub struct Stderr {
    lines: Worker<Line>,
    waiting: Arc<AtomicUsize>,
}

/// A line that waits, and gives its room back when it goes.
struct Line {
    bytes: Vec<u8>,
    waiting: Arc<AtomicUsize>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl Stderr {
    /// A standard error to which nothing was written yet.
    #[must_use]
    pub fn start() -> Self {
        Self::to(|line| {
            // Closed: there is nowhere to say so.
            let _ = io::stderr().write_all(line);
        })
    }

    /// One that is written in that way.
    fn to(write: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        let write = move |line: Line| write(&line.bytes);
        Self {
            lines: Worker::new("stderr", WAITING, write),
            waiting: Arc::default(),
        }
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = cut(bytes);
        let before = self.waiting.fetch_add(line.len(), Ordering::Relaxed);
        let line = Line {
            bytes: line,
            waiting: Arc::clone(&self.waiting),
        };
        // Full: the reader is slow or gone, and a lost line is the lesser harm.
        if before.saturating_add(line.bytes.len()) <= MOST_WAITING {
            let _ = self.lines.give(line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line that is no longer than one may be.
fn cut(line: &[u8]) -> Vec<u8> {
    if line.len() <= MOST_LINE {
        return line.to_vec();
    }
    let start = line.get(..text::start_of_cut(line, MOST_LINE));
    let end = text::end_of_cut(line);
    [start.unwrap_or_default(), end.as_bytes(), b"\n"].concat()
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_long_line_is_cut_and_ends() {
        let (written, lines) = channel();
        let mut stderr = Stderr::to(move |line| written.send(line.to_vec()).unwrap());
        let long = "x".repeat(500_000) + "\n";
        for line in ["short\n", &long] {
            stderr.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(lines.recv_timeout(LONG).unwrap(), b"short\n");
        let cut = String::from_utf8(lines.recv_timeout(LONG).unwrap()).unwrap();
        assert!(
            cut.starts_with("xxxx") && cut.len() < 4_200,
            "{}",
            cut.len()
        );
        assert!(cut.contains("… (500001 bytes, sha256 ") && cut.ends_with("…)\n"));
    }

    /// With a reader that reads nothing, and then all.
    #[test]
    fn what_waits_is_bounded_by_bytes_and_its_room_comes_back() {
        let (read, reader) = sync_channel::<()>(0);
        let (written, lines) = channel();
        let reader = std::sync::Mutex::new(reader);
        let mut stderr = Stderr::to(move |line| {
            let _ = reader.lock().unwrap().recv();
            written.send(line.len()).unwrap();
        });
        for _ in 0..WAITING {
            stderr.write_all(&[b'x'; 4_000]).unwrap();
        }
        // What is being written counts.
        assert!(stderr.waiting.load(Ordering::Relaxed) <= MOST_WAITING);
        drop(read);
        let mut all = Vec::new();
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(500)) {
            all.push(line);
        }
        assert_eq!(all, [4_000; MOST_WAITING / 4_000]);
        assert_eq!(stderr.waiting.load(Ordering::Relaxed), 0);
        stderr.write_all(b"again").unwrap();
        assert_eq!(lines.recv_timeout(LONG).unwrap(), 5);
    }
}
