//! When the next look is due: soon after a hint, ever more rarely where hints come and nothing is found, and
//! never so often that looks take all of the time.

use std::time::{Duration, Instant};

/// Between two looks when nothing hints at anything, and not all is watched.
pub const TICK: Duration = Duration::from_secs(30);
/// The same by how long a look takes.
const QUIET_REST: u32 = 3_000;
/// Between two looks at the most, for that.
pub const MOST_QUIET: Duration = Duration::from_secs(120);
/// Between two looks while something has not settled.
pub const POLL: Duration = Duration::from_millis(40);
/// Between two looks at the least.
const GAP: Duration = Duration::from_millis(15);
/// Between two looks, by how long one takes.
const REST: u32 = 3;
/// Between two looks at the most, when hints come and nothing is found, and looks are quick.
const BARREN_GAP: Duration = Duration::from_millis(240);
/// After so long without a hint a directory that leads on is busy no more.
const CALM: Duration = Duration::from_secs(1);

/// When the next look is due.
pub struct Pace {
    ended: Instant,
    took: Duration,
    gap: Duration,
    pub hinted: bool,
    /// True when a look is due where the ways to what is reached outside are not as they were. Anybody may
    /// write to a directory on them, all day.
    pub is_in_doubt: bool,
    ways_ended: Instant,
    ways_gap: Duration,
    barren: u32,
    first: bool,
}

impl Pace {
    pub fn new() -> Self {
        Self {
            ended: Instant::now(),
            took: Duration::ZERO,
            gap: GAP,
            hinted: true,
            is_in_doubt: false,
            ways_ended: Instant::now(),
            ways_gap: GAP,
            barren: 0,
            first: true,
        }
    }

    /// How long until then.
    pub fn left(&self, moving: bool, tick: Duration) -> Duration {
        let pause = match (self.first, self.hinted, moving) {
            (true, _, _) => Duration::ZERO,
            (_, true, _) => self.gap,
            (_, false, true) => self.gap.max(POLL),
            (_, false, false) => quiet(self.took, tick),
        };
        pause.saturating_sub(self.ended.elapsed())
    }

    pub fn looked(&mut self, began: Instant, found: bool) {
        let took = began.elapsed();
        self.took = took;
        self.barren = if found {
            0
        } else {
            self.barren.saturating_add(1)
        };
        let rest = took.saturating_mul(REST).clamp(GAP, TICK);
        let barren = GAP
            .saturating_mul(1_u32.checked_shl(self.barren.min(4)).unwrap_or(1))
            .min(BARREN_GAP);
        self.gap = rest.max(barren);
        // The second look closes the gap between the first and the watches.
        self.hinted = std::mem::take(&mut self.first);
        self.is_in_doubt = false;
        self.ended = Instant::now();
    }

    /// How long until the ways are looked at.
    pub fn left_in_doubt(&self) -> Duration {
        self.ways_gap.saturating_sub(self.ways_ended.elapsed())
    }

    pub fn looked_at_ways(&mut self, began: Instant) {
        let is_busy = began.saturating_duration_since(self.ways_ended) < CALM;
        let gap = if is_busy {
            self.ways_gap.saturating_mul(2)
        } else {
            GAP
        };
        let rest = began.elapsed().saturating_mul(REST).clamp(GAP, TICK);
        self.ways_gap = rest.max(gap.min(BARREN_GAP));
        self.is_in_doubt = false;
        self.ways_ended = Instant::now();
    }
}

/// Between two looks when nothing hints at anything, by how long one takes: a tree of many bundles is not to cost a laptop's
/// battery more than what asks for it.
fn quiet(took: Duration, tick: Duration) -> Duration {
    tick.max(took.saturating_mul(QUIET_REST).min(MOST_QUIET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_look_takes_long_looks_without_a_hint_are_rarer_and_never_rarer_than_that() {
        let ms = Duration::from_millis;
        assert_eq!(quiet(ms(10), TICK), TICK);
        assert_eq!(quiet(ms(30), TICK), ms(90_000));
        assert_eq!(quiet(ms(30), ms(300_000)), ms(300_000));
        assert_eq!(quiet(ms(8_000), TICK), MOST_QUIET);
        let mut pace = Pace::new();
        for _ in 0..2 {
            pace.looked(Instant::now() - ms(20), true);
        }
        assert!(!pace.hinted);
        let left = pace.left(false, TICK);
        assert!(left > ms(58_000) && left <= MOST_QUIET, "{left:?}");
        // What moves, and what hints, waits for none of that.
        assert!(pace.left(true, TICK) <= ms(20) * REST * 2);
        pace.hinted = true;
        assert!(pace.left(false, TICK) <= ms(20) * REST * 2);
    }
}
