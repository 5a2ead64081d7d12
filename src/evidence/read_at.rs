//! When evidence was read, and whether what was read then still holds.

use std::time::{Duration, Instant, SystemTime};

use crate::meta::{Meta, Timestamp};

/// After this long everything is read again.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A change this recent may be followed by another within the same tick of a coarse clock.
const RECENT: Duration = Duration::from_secs(2);

/// When evidence was read, by the clock that can be set and by the one that cannot.
#[derive(Clone, Copy, Debug)]
pub struct ReadAt {
    wall: SystemTime,
    steady: Instant,
}

/// Where the next scan goes on, of what is read again in parts.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Bytes of what is read again that come before, in the order in which a scan comes upon it.
    pub passed: u64,
    /// When what was read first was.
    pub began: ReadAt,
}

impl ReadAt {
    /// Now.
    pub fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            steady: Instant::now(),
        }
    }

    /// The day of Unix time, by the clock that can be set.
    pub fn day(&self) -> u64 {
        let since = self.wall.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs() / DAY.as_secs())
    }

    /// True when what was read then may still be used now.
    pub fn is_fresh(&self, now: &Self) -> bool {
        let by_wall = now.wall.duration_since(self.wall);
        // A clock that was set back proves nothing.
        by_wall.is_ok_and(|age| age < DAY)
            && now.steady.saturating_duration_since(self.steady) < DAY
    }

    /// For how long it has been, by the clock that cannot be set.
    pub fn age(&self, now: &Self) -> Duration {
        now.steady.saturating_duration_since(self.steady)
    }

    /// True when what `meta` says had settled by then: its status changed not just before, and the file system keeps a
    /// time for that at all. A time to come is from a clock that was set: what is written next has another, as it has
    /// after one that has been.
    pub fn settled(&self, meta: &Meta) -> bool {
        let Timestamp {
            seconds,
            nanoseconds,
        } = meta.ctime;
        let Ok(seconds) = u64::try_from(seconds) else {
            return false;
        };
        let ctime = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds));
        let apart = |c| match self.wall.duration_since(c) {
            Ok(age) => age,
            Err(error) => error.duration(),
        };
        seconds != 0 && ctime.is_some_and(|c| apart(c) > RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use dsplug_fixtures::Disk;

    /// Whoever has the time of a file lie ahead would have it read with each scan, and others wait for that.
    #[test]
    fn what_changed_by_a_clock_that_was_set_forward_has_settled() {
        let disk = Disk::new();
        disk.file("x", "");
        let root = Root::open(disk.path()).unwrap();
        let mut meta = root.find_entry(b"/x").unwrap().meta;
        let now = ReadAt::now();
        let seconds = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seconds = i64::try_from(seconds.as_secs()).unwrap();
        for (ahead, is_settled) in [(-3_600, true), (-1, false), (1, false), (3_600, true)] {
            meta.ctime.seconds = seconds + ahead;
            assert_eq!(now.settled(&meta), is_settled, "{ahead}");
        }
        meta.ctime.seconds = 0;
        assert!(!now.settled(&meta));
    }
}
