//! Warnings and errors to the system log as well: osqueryd's standard error often leads nowhere.
//!
//! Over the system's local socket (`/var/run/syslog` on macOS, whose daemon hands the lines to the unified
//! log: read in its documentation, not seen on a Mac), each line as RFC 3164 has it, without a time: the
//! daemon sets its own. A thread of its own writes, so that a log that is full or gone holds up nothing; a
//! flood is cut to a line a minute.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, process};

use log::{Level, Log, Metadata, Record};

use crate::text;
use crate::worker::Worker;

/// The target of records for the system log alone, which standard error gets in another way.
pub const SYSTEM_ONLY: &str = "dsplug::system_only";

/// Where a system listens: Linux, macOS, the BSDs.
const SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
/// The facility of daemons, as it stands in a priority.
const DAEMON: u8 = 3 << 3;

/// Lines that are written at once before the rate holds.
const BURST: u32 = 10;
/// After this long one more line is written.
const REFILL: Duration = Duration::from_secs(60);
/// Lines that wait to be written; more are dropped.
const WAITING: usize = 32;
/// Bytes of a line, of the 1,024 that RFC 3164 gives it with what stands before it: a datagram that is too long
/// is not taken at all.
const MOST_LINE: usize = 800;

/// A logger that hands everything to another one, and warnings and errors to the system log too.
pub struct SystemLog {
    stderr: env_logger::Logger,
    rate: Mutex<Rate>,
    lines: Worker<(Level, String)>,
}

impl SystemLog {
    /// A logger to which nothing was said yet. Where there is no system log, the other logger is left.
    pub fn start(stderr: env_logger::Logger) -> Self {
        let write = |(level, line): (Level, String)| write(level, &line);
        Self {
            stderr,
            rate: Mutex::new(Rate::new(Instant::now())),
            lines: Worker::new("system log", WAITING, write),
        }
    }
}

impl Log for SystemLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.stderr.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.stderr.matches(record) {
            return;
        }
        if record.target() != SYSTEM_ONLY {
            self.stderr.log(record);
        }
        if record.level() > Level::Warn {
            return;
        }
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = rate.take(Instant::now()) else {
            return;
        };
        let mut line = text::cut(record.args().to_string(), MOST_LINE);
        if left_out > 0 {
            line.push_str(&format!(" ({left_out} lines before it were left out)"));
        }
        // Full: the log is slow or gone, and a lost line is the lesser harm.
        let _ = self.lines.give((record.level(), line));
    }

    fn flush(&self) {
        self.stderr.flush();
    }
}

/// Connects for each line: lines are rare, and the daemon may be started anew at any time.
fn write(level: Level, line: &str) {
    // Without a system log there is nowhere to say so.
    let _ = SOCKETS
        .iter()
        .any(|socket| send(Path::new(socket), level, line).is_ok());
}

fn send(socket: &Path, level: Level, line: &str) -> io::Result<usize> {
    let severity = match level {
        Level::Error => 3,
        _ => 4,
    };
    let line = format!("<{}>dsplug[{}]: {line}", DAEMON | severity, process::id());
    UnixDatagram::unbound()?.send_to(line.as_bytes(), socket)
}

/// How many lines may still be written.
#[derive(Debug)]
struct Rate {
    left: u32,
    since: Instant,
    left_out: u64,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            since: now,
            left_out: 0,
        }
    }

    /// Takes one line, and gives how many were left out before it; `None` when it is left out itself.
    fn take(&mut self, now: Instant) -> Option<u64> {
        while self.left < BURST && now.saturating_duration_since(self.since) >= REFILL {
            self.left = self.left.saturating_add(1);
            self.since = self.since.checked_add(REFILL).unwrap_or(now);
        }
        if self.left == BURST {
            self.since = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(std::mem::take(&mut self.left_out))
            }
            None => {
                self.left_out = self.left_out.saturating_add(1);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_bears_its_severity_and_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        for (level, priority) in [(Level::Error, 27), (Level::Warn, 28)] {
            send(&path, level, "it is so").unwrap();
            let mut line = [0; 64];
            let read = daemon.recv(&mut line).unwrap();
            let wanted = format!("<{priority}>dsplug[{}]: it is so", process::id());
            assert_eq!(String::from_utf8_lossy(&line[..read]), wanted);
        }
    }

    #[test]
    fn a_flood_is_cut_to_a_line_a_minute_and_counted() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        for _ in 0..BURST {
            assert_eq!(rate.take(start), Some(0));
        }
        for _ in 0..500 {
            assert_eq!(rate.take(start + Duration::from_secs(59)), None);
        }
        assert_eq!(rate.take(start + Duration::from_secs(60)), Some(500));
        assert_eq!(rate.take(start + Duration::from_secs(61)), None);
        assert_eq!(rate.take(start + Duration::from_secs(120)), Some(1));
    }

    #[test]
    fn quiet_hours_give_the_burst_back_and_no_more() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        for _ in 0..BURST {
            rate.take(start);
        }
        let later = start + Duration::from_secs(24 * 3600);
        let written = (0..100).filter(|_| rate.take(later).is_some()).count();
        assert_eq!(written, 10);
    }
}
