//! The pack on the embedded engine: what osqueryd would log, without osqueryd.
//!
//! Every run scans once, and every query sees that scan. Differential queries are asked on each
//! run, whatever their interval; a snapshot when its interval has passed since the last one. Lines
//! are written before the state is: a crash between the two repeats lines, and loses none.

pub mod discovery;
pub mod line;
mod progress;
mod reading;
pub mod standing;
pub mod state;
pub mod wait;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::differential::{self, Comparison, Row};
use crate::disk::Disk;
use crate::engine::{Cell, Engine, EngineError};
use crate::failure::Failure;
use crate::given;
use crate::order;
use crate::pack::conf::{self, Pack, Scheduled};
use crate::scan::Snapshot;
use crate::spool::Spool;
use discovery::Discovery;
use line::Stamp;
use progress::Progress;
use standing::Standing;
use state::State;
use wait::Stop;

/// As many lines of one run are more than a person reads.
const FLOOD: usize = 1000;

/// Bytes of paths that the first scan is to know of, as many as a journal knows: a thorough one holds what it finds.
const MOST_AHEAD: usize = 4 << 20;

/// What `detect` is told.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Run the queries of FILE, a pack in osquery's format, instead of the pack of this program
    #[arg(long, value_name = "FILE")]
    pub pack: Option<PathBuf>,
    /// Remember in FILE what was seen, so that the next call shows what changed since
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Go on, with a run every S seconds, until stopped
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub every: Option<u64>,
    /// Stop after N runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: Option<u64>,
}

/// Runs the pack, and prints what osqueryd would log.
///
/// # Errors
/// When the pack or the state cannot be used, a line cannot be written, or a query of the last
/// run failed.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    if let Some(path) = &options.state {
        disk.refuse_below(path, "--state")?;
    }
    let Pack {
        mut queries,
        discovery,
        left_out,
    } = pack(options)?;
    for (name, why) in left_out {
        say(&format!("left out {name}: {why}"));
    }
    let mut engine = Engine::new()?;
    let discovery = Discovery::new(&engine, discovery, say);
    queries.retain(|query| match engine.names_foreign_table(&query.sql) {
        None => true,
        Some(table) => {
            say(&format!(
                "skipped {}: it needs osquery's table {table}",
                query.name
            ));
            false
        }
    });
    let mut state = match &options.state {
        Some(path) => State::load(path, |name| queries.iter().any(|q| q.name == name))?,
        None => State::default(),
    };
    // What had a row keeps it, however much is planted before it by name, in this call as from the one before.
    let mut scanner = disk.scanner()?.remembering();
    let most = if disk.thorough {
        usize::MAX
    } else {
        MOST_AHEAD
    };
    scanner.know(&standing::ahead(&state, &queries, most)?);
    // Without --every or --runs one run is made.
    let runs = match (options.runs, options.every) {
        (Some(runs), _) => Some(runs),
        (None, Some(_)) => None,
        (None, None) => Some(1),
    };
    let stop = Stop::watch(options.every)?;
    let progress = Progress::new();
    let mut failed: Option<String> = None;
    let mut done = 0_u64;
    loop {
        done = done.saturating_add(1);
        progress.say(&format!("run {done}: scanning"));
        let mut snapshot = scanner.scan();
        snapshot.events = disk.events(scanner.root());
        progress.clear();
        let stamp = Stamp::now();
        let standing = Standing::beside(&snapshot, scanner.root());
        let outcome = match discovery.unmet(&mut engine, &snapshot) {
            Ok(None) => {
                let mut out = io::stdout().lock();
                let asked = ask(
                    &mut engine,
                    &queries,
                    (&snapshot, standing.as_ref()),
                    &mut state,
                    &stamp,
                    &mut out,
                );
                match asked.and_then(|outcome| out.flush().map(|()| outcome)) {
                    Ok(outcome) => outcome,
                    // The lines that nobody took must come again: the state is not saved.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                    Err(error) => {
                        let why = given::why(&error);
                        let why = format!("cannot write to standard output: {why}");
                        return Err(Failure::new(why));
                    }
                }
            }
            Ok(Some(sql)) => {
                let line =
                    format!("the pack does not run: no row from its discovery query {sql:?}");
                say(&line);
                Outcome::default()
            }
            Err((sql, error)) => {
                let names = vec![format!("the discovery query {sql:?}")];
                let failed = order::gather([(error.to_string(), names)]);
                Outcome {
                    failed,
                    ..Outcome::default()
                }
            }
        };
        if let Some(path) = &options.state {
            state.save(path)?;
        }
        let is_last = runs.is_some_and(|runs| done >= runs);
        report(done, &snapshot, &outcome, is_last);
        failed = outcome.failed.into_iter().next().map(|(why, names)| {
            let names = names.join(", ");
            format!("the last run failed in {names}: {why}")
        });
        if is_last {
            break;
        }
        progress.say(&format!("run {done} done; waiting for the next"));
        let is_over = stop.waits_for(options.every.unwrap_or_default());
        progress.clear();
        if is_over {
            break;
        }
    }
    failed.map_or(Ok(()), |why| Err(Failure::new(why)))
}

/// The pack that was asked for.
fn pack(options: &Options) -> Result<Pack, Failure> {
    let Some(path) = &options.pack else {
        return Ok(conf::read(conf::NAME, conf::EMBEDDED)?);
    };
    let text = given::read_text(path).map_err(|error| {
        let (path, why) = (path.display(), given::why(&error));
        Failure::new(format!("cannot read the pack {path}: {why}"))
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(conf::read(&name, &text)?)
}

/// What came of one run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many result lines there were.
    pub lines: usize,
    /// Names of the queries that failed, by the reason.
    pub failed: BTreeMap<String, Vec<String>>,
}

/// Asks each query of one snapshot, writes what came of it to `out`, a line each, and remembers the answers. A row of
/// what is `standing` though the snapshot does not show it has not gone, and is remembered as it was.
///
/// # Errors
/// When a line cannot be written: what is remembered must not be kept then.
pub fn ask(
    engine: &mut Engine,
    queries: &[Scheduled],
    (snapshot, standing): (&Snapshot, Option<&Standing<'_>>),
    state: &mut State,
    stamp: &Stamp,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    for query in queries {
        let last = state.snapshots.get(&query.name);
        // A clock that was set back must not silence a snapshot.
        let is_fresh = |last: u64| {
            stamp
                .seconds
                .checked_sub(last)
                .is_some_and(|age| age < query.interval)
        };
        if query.snapshot && last.is_some_and(|last| is_fresh(*last)) {
            continue;
        }
        let mut refuse = |error: EngineError| {
            let names = outcome.failed.entry(error.to_string()).or_default();
            names.push(query.name.clone());
        };
        if query.snapshot {
            match log_snapshot(engine, query, snapshot) {
                Ok(line) => {
                    line.finish(&query.name, stamp, out)?;
                    state.snapshots.insert(query.name.clone(), stamp.seconds);
                    outcome.lines = outcome.lines.saturating_add(1);
                }
                Err(error) => refuse(error),
            }
            continue;
        }
        let memory = state.queries.get(&query.name);
        let mut comparison = Comparison::new(memory, state.room_for(&query.name))?;
        let counter = comparison.counter();
        let line = |row: &Row, action| line::of_row(&query.name, row, action, counter, stamp);
        // What came is logged after what went, which is known when all rows are.
        let (mut added, mut count, mut taken) = (Spool::default(), 0_usize, Ok(()));
        let asked = each_row(engine, query, snapshot, |row| {
            if taken.is_ok() {
                taken = comparison.take(&row).and_then(|is_new| {
                    count = count.saturating_add(usize::from(is_new));
                    if is_new {
                        writeln!(added, "{}", line(&row, "added"))
                    } else {
                        Ok(())
                    }
                });
            }
        });
        if let Err(error) = asked {
            refuse(error);
            continue;
        }
        taken?;
        if let Some(standing) = standing.filter(|_| standing::is_of_bundles(query)) {
            comparison.keep(|row| standing.has(row))?;
        }
        if let Some(why) = comparison.overflow() {
            let why = format!("its answer is more than is remembered: {why}");
            refuse(EngineError::Unreadable(why));
            continue;
        }
        let difference = comparison.finish(query.removed, |row| {
            writeln!(out, "{}", line(&row, "removed"))
        })?;
        io::copy(&mut added.finish()?.0, out)?;
        let lines = count.saturating_add(difference.removed);
        outcome.lines = outcome.lines.saturating_add(lines);
        if let Some(memory) = difference.memory {
            state.queries.insert(query.name.clone(), memory);
        }
    }
    Ok(outcome)
}

/// Passes on each row of a differential query as it is found.
fn each_row(
    engine: &mut Engine,
    query: &Scheduled,
    snapshot: &Snapshot,
    mut take: impl FnMut(Row),
) -> Result<(), EngineError> {
    let columns = engine.check(&query.sql)?;
    engine.each(&query.sql, snapshot, |cells| {
        take(escaped(differential::row(&columns, cells)));
    })
}

/// The line of a snapshot. An inventory has every column of every bundle: its rows become text one by one.
fn log_snapshot(
    engine: &mut Engine,
    query: &Scheduled,
    snapshot: &Snapshot,
) -> Result<line::Snapshot, EngineError> {
    let columns = engine.check(&query.sql)?;
    let mut line = line::Snapshot::default();
    engine.each(&query.sql, snapshot, |cells| {
        line.add(&differential::row(&columns, cells));
    })?;
    Ok(line)
}

/// Control bytes as osquery escapes them before it compares: `\xHH`. Those of our own tables are
/// escaped already; a query can make others.
fn escaped(mut row: Row) -> Row {
    for cell in row.values_mut() {
        if let Cell::Text(text) = cell
            && text.bytes().any(|b| b < 0x20)
        {
            *text = text
                .chars()
                .map(|c| match c {
                    '\0'..='\x1f' => format!("\\x{:02X}", u32::from(c)),
                    _ => c.to_string(),
                })
                .collect();
        }
    }
    row
}

fn report(run: u64, snapshot: &Snapshot, outcome: &Outcome, is_last: bool) {
    // The first error of the last run is the line that the program ends with.
    for (why, names) in outcome.failed.iter().skip(usize::from(is_last)) {
        say(&format!("error in {}: {why}", names.join(", ")));
    }
    let (bundles, lines) = (snapshot.bundles.len(), outcome.lines);
    say(&format!("run {run}: {bundles} bundles, {lines} lines"));
    if lines >= FLOOD {
        let rest = match snapshot.folders.iter().all(|f| f.error.is_none()) {
            true => "nothing is lost: the inventory and dsplug query have every bundle",
            false => {
                "not all has a line: the row of the folder says what was left out, and dsplug query --thorough shows more"
            }
        };
        say(&format!(
            "that is a flood; --pack with a copy whose queries end in ORDER BY path LIMIT 100 caps it, and {rest}"
        ));
    }
}

fn say(line: &str) {
    // Nothing is left to do where even this cannot be written.
    let _ = writeln!(io::stderr(), "dsplug: {line}");
}
