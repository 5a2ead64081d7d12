//! Result lines as osqueryd logs them: `serializeQueryLogItem` of osquery's `core/query.cpp`.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::differential::Row;
use crate::report::time;
use crate::spool::Spool;

/// When and where a run was made.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The host's name.
    pub host: String,
    /// Seconds of Unix time.
    pub seconds: u64,
}

impl Stamp {
    /// Here and now.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            seconds: since.map_or(0, |d| d.as_secs()),
        }
    }

    fn fields(&self, line: &mut Map<String, Value>, name: &str, counter: u64) {
        line.insert("name".into(), name.into());
        line.insert("hostIdentifier".into(), self.host.as_str().into());
        line.insert("calendarTime".into(), calendar(self.seconds).into());
        line.insert("unixTime".into(), self.seconds.into());
        line.insert("epoch".into(), 0.into());
        line.insert("counter".into(), counter.into());
        line.insert("numerics".into(), false.into());
    }
}

/// The line of a row that went (`removed`) or came (`added`) with the difference of that number. osqueryd leaves
/// `decorations` out where its configuration asks for none, and so does this.
pub fn of_row(name: &str, row: &Row, action: &str, counter: u64, stamp: &Stamp) -> String {
    let mut line = Map::new();
    stamp.fields(&mut line, name, counter);
    line.insert("columns".into(), columns(row));
    line.insert("action".into(), action.into());
    Value::Object(line).to_string()
}

/// One line for all rows of a snapshot, which are held as text alone: nothing is written before the query has
/// given its last row.
#[derive(Default)]
pub struct Snapshot {
    rows: Spool,
    has_rows: bool,
    failed: Option<io::Error>,
}

impl Snapshot {
    /// Adds a row.
    pub fn add(&mut self, row: &Row) {
        let comma = if self.has_rows { "," } else { "" };
        self.has_rows = true;
        let added = write!(self.rows, "{comma}{}", columns(row));
        self.failed = self.failed.take().or(added.err());
    }

    /// Writes the whole line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self, name: &str, stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
        let mut rest = Map::new();
        rest.insert("action".into(), "snapshot".into());
        stamp.fields(&mut rest, name, 0);
        let rest = Value::Object(rest).to_string();
        let rest = rest.strip_prefix('{').unwrap_or(&rest);
        self.failed.map_or(Ok(()), Err)?;
        let (mut rows, _) = self.rows.finish()?;
        out.write_all(br#"{"snapshot":["#)?;
        io::copy(&mut rows, out)?;
        writeln!(out, "],{rest}")
    }
}

fn columns(row: &Row) -> Value {
    let texts = row.iter().map(|(k, v)| (k.clone(), json!(v.to_string())));
    Value::Object(texts.collect())
}

/// `Tue Nov  3 09:04:05 2026 UTC`, as `asctime` and osquery write it.
fn calendar(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS
        .iter()
        .cycle()
        .nth(usize::try_from(days % 7).unwrap_or(0));
    let (year, month, day) = time::civil(i64::try_from(days).unwrap_or(i64::MAX));
    let month = usize::try_from(month.saturating_sub(1)).unwrap_or(0);
    let month = MONTHS.get(month).copied().unwrap_or_default();
    format!(
        "{} {month} {:2} {:02}:{:02}:{:02} {year} UTC",
        weekday.copied().unwrap_or_default(),
        day,
        rest / 3600,
        rest % 3600 / 60,
        rest % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::calendar;

    /// Expected values from `LC_ALL=C date -u -d @SECONDS '+%a %b %e %T %Y UTC'` of coreutils.
    #[test]
    fn calendar_time_is_that_of_asctime() {
        for (seconds, text) in [
            (0, "Thu Jan  1 00:00:00 1970 UTC"),
            (951_782_400, "Tue Feb 29 00:00:00 2000 UTC"),
            (1_583_020_799, "Sat Feb 29 23:59:59 2020 UTC"),
            (1_735_689_599, "Tue Dec 31 23:59:59 2024 UTC"),
            (1_793_696_645, "Tue Nov  3 09:04:05 2026 UTC"),
            (4_107_542_400, "Mon Mar  1 00:00:00 2100 UTC"),
        ] {
            assert_eq!(calendar(seconds), text);
        }
    }
}
