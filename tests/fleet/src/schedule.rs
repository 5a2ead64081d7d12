//! When a Mac is awake, and when osqueryd runs a query there.
//!
//! osqueryd's scheduler (`SchedulerRunner::start` of its `dispatcher/scheduler.cpp`) begins with the
//! second at which it starts and counts one up for each second that it is awake; a query runs when
//! that number is a multiple of its interval, which was splayed by ten per cent when the query was
//! met for the first time, and is kept in the database (`restoreSplayedValue` of `config/packs.cpp`).
//! So time that a Mac sleeps does not count: a laptop writes its daily record less than once a day.

use crate::DAY;
use crate::dice::Dice;

/// osqueryd running without a break: from when to when.
#[derive(Clone, Copy, Debug)]
struct Period {
    start: i64,
    end: i64,
    /// The scheduler's number at the start.
    count: i64,
    /// How many databases there were before this one.
    database: u64,
}

/// A start of osqueryd.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// When.
    pub time: i64,
    /// How far the Mac's clock is off by then, in seconds.
    pub offset: i64,
    /// True when its database is empty.
    pub empty: bool,
}

/// How a Mac is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It never sleeps.
    Desktop,
    /// It is awake on workdays, with a break, and now and then at a weekend.
    Laptop,
}

/// When a Mac is awake: from when to when, in order.
pub fn awake(usage: Use, begin: i64, end: i64, dice: &mut Dice) -> Vec<(i64, i64)> {
    if usage == Use::Desktop {
        return vec![(begin, end)];
    }
    let mut spans = Vec::new();
    // Offices all over the world.
    let zone = dice.between(-9, 11) * 3600;
    // A holiday, of some.
    let holiday = dice.happens(200).then(|| {
        let from = dice.between(begin, end);
        (from, from + dice.between(3, 15) * DAY)
    });
    let mut day = begin - DAY;
    while day < end + DAY {
        // The epoch began on a Thursday.
        let weekday = (day / DAY + 3) % 7;
        let works = if weekday < 5 {
            dice.happens(950)
        } else {
            dice.happens(150)
        };
        let away = holiday.is_some_and(|(from, to)| (from..to).contains(&day));
        if works && !away {
            let up = day + 8 * 3600 - zone + dice.between(-3600, 3600);
            let noon = up + dice.between(3 * 3600, 5 * 3600);
            let back = noon + dice.between(900, 5400);
            let down = back + dice.between(3 * 3600, 7 * 3600);
            spans.extend([(up, noon), (back, down)]);
        }
        day += DAY;
    }
    spans.retain_mut(|(from, to)| {
        (*from, *to) = ((*from).max(begin), (*to).min(end));
        to > from
    });
    spans
}

/// The first moment from `time` on at which the Mac is awake and stays so for `room` seconds.
pub fn awake_for(spans: &[(i64, i64)], time: i64, room: i64) -> Option<i64> {
    spans
        .iter()
        .map(|(from, to)| ((*from).max(time), *to))
        .find(|(from, to)| from + room <= *to)
        .map(|(from, _)| from)
}

/// When osqueryd runs which query on one Mac.
#[derive(Debug)]
pub struct Schedule {
    periods: Vec<Period>,
    seed: u64,
}

impl Schedule {
    /// That of a Mac which is awake so, and on which osqueryd starts so.
    pub fn new(spans: &[(i64, i64)], starts: &[Start], seed: u64) -> Self {
        let mut periods: Vec<Period> = Vec::new();
        let mut database = 0;
        for (index, start) in starts.iter().enumerate() {
            let until = starts.get(index + 1).map_or(i64::MAX, |next| next.time);
            database += u64::from(start.empty);
            let mut count = start.time + start.offset;
            for (from, to) in spans {
                let (from, to) = ((*from).max(start.time), (*to).min(until));
                if from < to {
                    periods.push(Period {
                        start: from,
                        end: to,
                        count,
                        database,
                    });
                    count += to - from;
                }
            }
        }
        Self { periods, seed }
    }

    /// The first run of a query after `time`.
    pub fn next(&self, query: usize, interval: i64, time: i64) -> Option<i64> {
        let begin = self.periods.partition_point(|p| p.end <= time + 1);
        self.periods[begin..].iter().find_map(|period| {
            let splay = self.splayed(query, interval, period.database);
            let from = (time + 1).max(period.start);
            let count = period.count + from - period.start;
            let due = (count + splay - 1) / splay * splay;
            let at = from + due - count;
            (at < period.end).then_some(at)
        })
    }

    fn splayed(&self, query: usize, interval: i64, database: u64) -> i64 {
        let name = (query as u64) << 32 | database;
        let tenth = interval / 10;
        Dice::new(self.seed, name).between(interval - tenth, interval + tenth + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_does_not_count() {
        let start = Start {
            time: 0,
            offset: 0,
            empty: true,
        };
        let schedule = Schedule::new(&[(0, 1000), (5000, 9000)], &[start], 7);
        let interval = schedule.splayed(3, 600, 1);
        assert!((540..=660).contains(&interval));
        assert_eq!(schedule.next(3, 600, 0), Some(interval));
        // The second run is due 2 * interval seconds of being awake after the start.
        let second = 5000 + 2 * interval - 1000;
        assert_eq!(schedule.next(3, 600, interval), Some(second));
        assert_eq!(schedule.next(3, 600, 9000), None);
    }
}
