//! A date of a property list.

/// Seconds between the epoch of Unix, 1970, and that of CoreFoundation, 2001.
const EPOCH: f64 = 978_307_200.0;

/// A `CFDate`: seconds since the beginning of 2001, UTC, before it or after; in a binary list it may
/// be no number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Date(pub f64);

impl Date {
    /// Whole seconds of Unix time, the nearest before; `None` when it is no number.
    pub fn unix_seconds(self) -> Option<i64> {
        let seconds = (self.0 + EPOCH).floor();
        #[expect(
            clippy::as_conversions,
            reason = "it saturates, and what is no number is left out"
        )]
        (!seconds.is_nan()).then_some(seconds as i64)
    }

    /// What a date's numbers come to, within their bounds or not: the months 0 and 14 and beyond add
    /// no days, 13 stands for the year after, a day 99 for 99 days.
    ///
    /// Source: `CFGregorianDateGetAbsoluteTime` and `__CFAbsoluteFromYMD`, `CFDate.c` of Apple.
    pub(super) fn from_gregorian(year: i32, rest: [u8; 5]) -> Self {
        let [month, day, hour, minute, second] = rest;
        let year = i64::from(year.wrapping_sub(2001));
        let cycles = year / 400;
        let year = year % 400;
        let leap = |year: i64| {
            let year = (year + 1) % 400;
            year % 4 == 0 && !matches!(year.abs(), 100 | 200 | 300)
        };
        let days_of = |year: i64| if leap(year) { 366 } else { 365 };
        let years: i64 = if year < 0 {
            -(year..0).map(days_of).sum::<i64>()
        } else {
            (0..year).map(days_of).sum()
        };
        let before = [
            0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365,
        ];
        let months = match before.get(usize::from(month)) {
            Some(days) => days + i64::from(month > 2 && leap(year)),
            None => 0,
        };
        let days = cycles * 146_097 + years + months + i64::from(day) - 1;
        let seconds =
            days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        #[expect(clippy::as_conversions, reason = "far below 2^53")]
        Self(seconds as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_to_seconds() {
        let at = |year, rest| Date::from_gregorian(year, rest).unix_seconds();
        // date -u -d … +%s
        assert_eq!(at(1970, [1, 1, 0, 0, 0]), Some(0));
        assert_eq!(at(2024, [2, 29, 12, 34, 56]), Some(1_709_210_096));
        assert_eq!(at(2000, [12, 31, 23, 59, 59]), Some(978_307_199));
        assert_eq!(at(1600, [3, 1, 0, 0, 0]), Some(-11_670_912_000));
        assert_eq!(at(9999, [12, 31, 0, 0, 0]), Some(253_402_214_400));
        // The month after December, and a day too many.
        assert_eq!(at(2023, [13, 1, 0, 0, 0]), at(2024, [1, 1, 0, 0, 0]));
        assert_eq!(at(2023, [1, 32, 0, 0, 0]), at(2023, [2, 1, 0, 0, 0]));
        assert_eq!(at(2023, [99, 1, 0, 0, 0]), at(2023, [1, 1, 0, 0, 0]));
        assert_eq!(Date(f64::NAN).unix_seconds(), None);
        assert_eq!(Date(-0.5).unix_seconds(), Some(978_307_199));
    }
}
