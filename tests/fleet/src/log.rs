//! The log of the whole fleet: what each Mac writes, put in order of its arrival.
//!
//! Macs are simulated one after the other, so their lines are first put aside by the day.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{BEGIN, DAY};

/// The name of the log.
pub const RESULTS: &str = "results.ndjson";
/// The name of the file that says what happened.
pub const TRUTH: &str = "truth.ndjson";

/// Takes the lines of Macs.
pub struct Log {
    directory: PathBuf,
    days: Vec<BufWriter<File>>,
    /// Lines so far.
    pub lines: u64,
}

impl Log {
    /// A log of so many days in a directory, which is made.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn create(directory: &Path, days: i64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let part = |day| File::create(part(directory, day)).map(BufWriter::new);
        Ok(Self {
            directory: directory.to_owned(),
            days: (0..days as usize).map(part).collect::<io::Result<_>>()?,
            lines: 0,
        })
    }

    /// Takes a line that arrives at a time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn take(&mut self, time: i64, line: &str) -> io::Result<()> {
        let last = self.days.len() - 1;
        let day = usize::try_from((time - BEGIN) / DAY).map_or(0, |day| day.min(last));
        self.lines += 1;
        writeln!(self.days[day], "{time}\t{line}")
    }

    /// Puts all in order, and writes what happened beside it.
    ///
    /// # Errors
    /// When a file cannot be written or read.
    pub fn finish(self, truth: &[Value]) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(self.directory.join(RESULTS))?);
        for (day, mut writer) in self.days.into_iter().enumerate() {
            writer.flush()?;
            let path = part(&self.directory, day);
            let lines: io::Result<Vec<String>> =
                BufReader::new(File::open(&path)?).lines().collect();
            let mut lines: Vec<(i64, String)> = lines?
                .into_iter()
                .filter_map(|line| {
                    let (time, line) = line.split_once('\t')?;
                    Some((time.parse().ok()?, line.to_owned()))
                })
                .collect();
            lines.sort_by_key(|(time, _)| *time);
            for (_, line) in lines {
                writeln!(out, "{line}")?;
            }
            fs::remove_file(path)?;
        }
        out.flush()?;
        let mut out = BufWriter::new(File::create(self.directory.join(TRUTH))?);
        for fact in truth {
            writeln!(out, "{fact}")?;
        }
        out.flush()
    }
}

fn part(directory: &Path, day: usize) -> PathBuf {
    directory.join(format!("part-{day:02}"))
}
