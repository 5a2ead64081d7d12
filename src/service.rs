//! The tables as the extension serves them: one scan for all calls within a few seconds, and the watch's last look for
//! as long as nothing hints at a change.

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::bundle::Bundle;
use crate::codesign::Sealed;
use crate::evidence::Entry;
use crate::extension::{Rows, Shared, Source, TableSpec};
use crate::journal::{self, Events, Journal, Since};
use crate::limits::Whereabouts;
use crate::order;
use crate::quarantine::ledger::Ledger;
use crate::root::Root;
use crate::scan::{Scanner, Snapshot, Status, WatchStatus};
use crate::table::{
    EVENTS, FILES, Heading, QUARANTINE, STATUS, TABLES, Table, Texts, Value, by_name,
};
use crate::text::escape;
use crate::watch::Watch;
use crate::watch::calm::Calm;

/// For how long a scan answers. A join of core's calls once for each of its rows.
const HOLDS: Duration = Duration::from_secs(4);

/// For how long it does so while the watch has all that it wants and is told of no change, from one look of the watch to
/// the next.
const STANDS: Duration = Duration::from_secs(60);

/// Entries of `dsplug_files` that are served in one answer: each costs some 2.5 kB here and
/// in osquery. The command line has no such limit.
const MOST_FILES: usize = 8_000;

/// How much longer than its own limit a scan is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much longer than its own limit a scan is let live, and for how long a turn of the journal. What holds it is a
/// call of the system that does not come back: only a new process has a thread that is free.
const HUNG: Duration = Duration::from_secs(20);
/// How long the table on the program itself waits for a scan to be made; for one that runs, not at
/// all.
const STATUS_WAITS: Duration = Duration::from_millis(500);

/// How long a call for events waits at the start for the journal to be opened, which then is an error of that.
const OPENING: Duration = Duration::from_secs(5);
/// After a watch that failed inside, the next one begins.
const ANEW: Duration = Duration::from_secs(30);

/// The source of the extension's rows.
pub struct Service {
    scans: Arc<Shared<Snapshot>>,
    status: Arc<Mutex<Status>>,
    at: Whereabouts,
    limit: Duration,
    watch: Option<Arc<Watching>>,
    calm: Calm,
    known: Remembered,
    ledger: Ledger,
    /// The first table whose answer was not taken.
    not_taken: Mutex<Option<String>>,
}

/// What the thread that watches shares with those who ask.
#[derive(Default)]
struct Watching {
    /// The events, once the journal is open.
    events: Mutex<Option<Events>>,
    status: Mutex<WatchStatus>,
    /// Since when the journal is being opened.
    opening: Since,
}

/// Paths that have rows before what is new, for the next scan: the journal knew them.
type Remembered = Arc<Mutex<Vec<Vec<u8>>>>;

impl Watching {
    /// How it stands with the journal, whether or not that answers.
    fn journal(&self) -> journal::Status {
        match self.opens(OPENING) {
            Some(error) => journal::Status {
                state: "error",
                error,
                ..journal::Status::default()
            },
            None => self.events().map(|e| e.status()).unwrap_or_default(),
        }
    }

    /// That the journal is not open yet, when it has been waited for for longer than `most`.
    fn opens(&self, most: Duration) -> Option<String> {
        let long = self.opening.elapsed().filter(|long| *long > most)?;
        let seconds = long.as_secs();
        Some(format!("the journal has not been opened for {seconds} s"))
    }

    /// What has not come back for longer than `most`.
    fn hung(&self, most: Duration) -> Option<String> {
        self.opens(most).or_else(|| self.events()?.hung(most))
    }

    /// Waits until the journal has said what was known: a scan before that may give the room of that to what is new. One
    /// that does not open holds up nothing for longer than that.
    fn await_known(&self) {
        let begun = Instant::now();
        while self.events().is_none() && self.opens(OPENING).is_none() && begun.elapsed() < OPENING
        {
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn events(&self) -> Option<Events> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.clone()
    }
}

impl Service {
    /// A service over a scanner.
    pub fn new(scanner: Scanner) -> Self {
        let (at, limit) = (scanner.whereabouts(), scanner.limits().time);
        let status = Arc::new(Mutex::new(Status {
            started: scanner.started(),
            exceptions_state: "none",
            ..Status::default()
        }));
        let last = Arc::clone(&status);
        let ledger = scanner.ledger();
        let scanner = scanner.remembering();
        let scanner = Mutex::new((scanner, None));
        let calm = Calm::default();
        let is_calm = calm.clone();
        let known = Remembered::default();
        let remembered = Arc::clone(&known);
        let scan = move || {
            let mut scanner = scanner.lock().unwrap_or_else(PoisonError::into_inner);
            let mut remembered = remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if !remembered.is_empty() {
                scanner.0.know(&std::mem::take(&mut *remembered));
            }
            drop(remembered);
            let snapshot = scan(&mut scanner, &is_calm);
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            last.clone_from(&snapshot.status);
            Ok(snapshot)
        };
        Self {
            scans: Arc::new(Shared::new(HOLDS, limit.saturating_add(PATIENCE), scan)),
            status,
            at,
            limit,
            watch: None,
            calm,
            known,
            ledger,
            not_taken: Mutex::default(),
        }
    }

    /// A service over a scanner, with a thread that watches its disk and keeps a journal of events
    /// in the state directory at a place, or in memory where there is none.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn watching(scanner: Scanner, place: Option<PathBuf>) -> io::Result<Self> {
        let root = scanner.root().clone();
        let service = Self::new(scanner);
        let watching = Arc::new(Watching::default());
        let (scans, shared) = (Arc::clone(&service.scans), Arc::clone(&watching));
        let (calm, known) = (service.calm.clone(), Arc::clone(&service.known));
        thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || watch(&root, &scans, place.as_deref(), &shared, (&calm, &known)))?;
        Ok(Self {
            watch: Some(watching),
            ..service
        })
    }

    /// The events, which are never empty because the journal is not open yet: rows that go and come
    /// again would be logged twice.
    fn events(&self) -> Result<Events, String> {
        let Some(watching) = &self.watch else {
            return Ok(Events::default());
        };
        let begun = Instant::now();
        loop {
            if let Some(events) = watching.events() {
                return Ok(events);
            }
            if begun.elapsed() > OPENING {
                return Err("the journal of events is not open yet".to_owned());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// For how long a scan has hung, and where.
    fn hung(&self, beyond: Duration) -> Option<String> {
        let since = self.scans.running_for()?;
        let at = escape(&self.at.get());
        (since > self.limit.saturating_add(beyond)).then(|| {
            let seconds = since.as_secs();
            format!("a scan has not come back for {seconds} s; it hangs at {at}")
        })
    }

    /// What is known of the program itself, a scan that runs left alone: it may never end.
    fn status(&self) -> Status {
        let mut status = self.scan_status();
        if let Some(watching) = &self.watch {
            let watch = watching
                .status
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            status.watch = watch.clone();
            status.journal = watching.journal();
        }
        let not_taken = self.not_taken.lock();
        let not_taken = not_taken.unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = not_taken.as_ref() {
            // What a scan says goes first, and hides nothing.
            if !status.error.is_empty() {
                status.error.push_str("; ");
            }
            status.error.push_str(&format!(
                "somebody asked for {table} over the extension's socket and did not take the answer"
            ));
        }
        drop(not_taken);
        status
    }

    fn scan_status(&self) -> Status {
        if let Some(snapshot) = self.scans.get_soon(STATUS_WAITS) {
            return snapshot.status.clone();
        }
        let last = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let mut status = last.clone();
        drop(last);
        if let Some(why) = self.hung(Duration::ZERO) {
            status.error = why;
        }
        status
    }
}

/// What a scan finds; or what the last one found, while that stands.
fn scan((scanner, last): &mut (Scanner, Option<(Instant, Snapshot)>), calm: &Calm) -> Snapshot {
    if let Some((began, found)) = last
        && calm.is()
        && began.elapsed() < STANDS
        && let Some(found) = scanner.still(found)
    {
        return found;
    }
    // What it held goes before the next scan fills memory.
    *last = None;
    let began = Instant::now();
    let found = scanner.scan();
    *last = scanner.holds(&found).then(|| (began, found.clone()));
    found
}

/// Watches for ever.
fn watch(
    root: &Root,
    scans: &Arc<Shared<Snapshot>>,
    place: Option<&Path>,
    shared: &Arc<Watching>,
    (calm, known): (&Calm, &Remembered),
) {
    loop {
        let look = Arc::clone(scans);
        let say = Arc::clone(shared);
        let mut watch = Watch::new(root.clone(), Box::new(move || look.renew()));
        watch.calming(calm.clone());
        watch.saying(Box::new(move |status| {
            *say.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        }));
        let open = || {
            let _opening = shared.opening.begin();
            let mut journal = match place {
                Some(place) => Journal::kept_at(place, root),
                None => Journal::in_memory(),
            };
            if scans.get().is_ok_and(|found| found.is_short()) {
                *known.lock().unwrap_or_else(PoisonError::into_inner) = journal.known_paths();
                // Nobody has been answered yet by what the first look had room for.
                let _ = scans.renew();
            }
            *shared.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(journal.events());
            journal
        };
        let run = || watch.run(open, None, Box::new(|_| true));
        let why = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("the watch cannot go on: {error}")),
            Err(_) => Some("the watch failed inside; it begins anew".to_owned()),
        };
        drop(watch);
        if let Some(error) = why {
            log::error!("{error}");
            // Nobody watches now.
            *shared.status.lock().unwrap_or_else(PoisonError::into_inner) = WatchStatus {
                error,
                ..WatchStatus::default()
            };
        }
        thread::sleep(ANEW);
    }
}

impl Source for Service {
    fn tables(&self) -> Vec<TableSpec> {
        TABLES
            .iter()
            .map(|table| TableSpec {
                name: table.name(),
                columns: table.headings().iter().map(|h| (h.name, h.kind)).collect(),
            })
            .collect()
    }

    fn generate(&self, name: &str, to: &mut Rows) -> Result<(), String> {
        let table = by_name(name).ok_or_else(|| format!("there is no table {name}"))?;
        if name == STATUS.name() {
            let status = self.status();
            let snapshot = Snapshot {
                status,
                ..Snapshot::default()
            };
            return rows(table, &snapshot, to);
        }
        if name == EVENTS.name() {
            let events = self.events()?;
            let snapshot = Snapshot {
                events,
                ..Snapshot::default()
            };
            return rows(table, &snapshot, to);
        }
        if name == QUARANTINE.name() {
            let snapshot = Snapshot {
                quarantine: self.ledger.clone(),
                ..Snapshot::default()
            };
            return rows(table, &snapshot, to);
        }
        if let Some(watching) = &self.watch {
            watching.await_known();
        }
        let snapshot = self
            .scans
            .get()
            .map_err(|error| self.hung(Duration::ZERO).unwrap_or(error))?;
        if name == FILES.name() {
            return files(&snapshot, to);
        }
        rows(table, &snapshot, to)
    }

    fn is_ready(&self, name: &str) -> bool {
        name == STATUS.name() || name == EVENTS.name()
    }

    fn not_taken(&self, name: &str) {
        // What it is called with is whoever's to choose.
        let name = by_name(name).map_or("no table", |table| table.name());
        let mut first = self
            .not_taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| name.to_owned());
    }

    fn hangs(&self) -> Option<String> {
        let journal = || self.watch.as_ref()?.hung(HUNG);
        self.hung(HUNG).or_else(journal)
    }

    fn tick(&self) -> bool {
        self.scans.tick()
    }
}

fn rows(table: &dyn Table, snapshot: &Snapshot, to: &mut Rows) -> Result<(), String> {
    let headings = table.headings();
    table.rows(snapshot, Texts::Short, &mut |values| {
        to.push(&row(&headings, values));
        Ok(())
    })
}

fn row(headings: &[Heading], values: Vec<Value>) -> Vec<(&'static str, String)> {
    let pairs = headings.iter().zip(values);
    let texts = pairs.filter_map(|(heading, value)| match value {
        Value::Null => None,
        Value::Int(number) => Some((heading.name, number.to_string())),
        Value::Text(text) => Some((heading.name, text)),
    });
    texts.collect()
}

/// The rows of `dsplug_files`, cut where one bundle holds too many: so that it does not push out
/// those of others, and with a row that says so.
fn files(snapshot: &Snapshot, to: &mut Rows) -> Result<(), String> {
    let headings = FILES.headings();
    let counts: Vec<usize> = snapshot
        .bundles
        .iter()
        .map(|b| b.evidence.entries.len())
        .collect();
    let each = share(&counts, MOST_FILES);
    // By their place and not by their path, of which a row may show the beginning alone.
    let served: Vec<Option<BTreeSet<usize>>> = snapshot
        .bundles
        .iter()
        .map(|b| (b.evidence.entries.len() > each).then(|| foremost(b, each)))
        .collect();
    let mut is_served = counts.iter().zip(&served).flat_map(|(count, served)| {
        (0..*count).map(move |index| served.as_ref().is_none_or(|s| s.contains(&index)))
    });
    FILES.rows(snapshot, Texts::Short, &mut |values| {
        if is_served.next().unwrap_or(false) {
            to.push(&row(&headings, values));
        }
        Ok(())
    })?;
    let cut = snapshot.bundles.iter().zip(counts).zip(&served);
    for ((bundle, count), _) in cut.filter(|(_, served)| served.is_some()) {
        let bundle = escape(&bundle.evidence.candidate.path);
        let left_out = count.saturating_sub(each);
        let error = format!("limit: {left_out} more entries; dsplug query shows them all");
        let texts = headings.iter().map(|heading| {
            let value = match heading.name {
                "bundle_path" | "path" => bundle.clone(),
                "kind" => "other".to_owned(),
                "sealed" => "unknown".to_owned(),
                "error" => error.clone(),
                _ => String::new(),
            };
            (heading.name, value)
        });
        to.push(&texts.collect::<Vec<_>>());
    }
    Ok(())
}

/// The entries of a bundle that are served where not all are: code that no seal covers, other code,
/// other things that no seal covers, and then the first in order of path. So junk does not push
/// out what loads.
fn foremost(bundle: &Bundle, most: usize) -> BTreeSet<usize> {
    let rank = |(index, (entry, sealed, _)): (usize, (&Entry, Option<Sealed>, _))| {
        let is_code = entry.content.code().is_some();
        let is_odd = matches!(sealed, Some(Sealed::Unsealed | Sealed::Altered));
        (!(is_code && is_odd), !is_code, !is_odd, index)
    };
    let mut ranks: Vec<_> = bundle.entries().enumerate().map(rank).collect();
    ranks.sort_unstable();
    order::gather(ranks.into_iter().take(most).map(|(.., index)| index))
}

/// The largest number of entries of each bundle with which all together stay within `most`.
fn share(counts: &[usize], most: usize) -> usize {
    let mut sorted = counts.to_vec();
    order::sort(&mut sorted);
    let mut left = most;
    for (index, count) in sorted.iter().enumerate() {
        let bundles = sorted.len().saturating_sub(index);
        let even = left.checked_div(bundles).unwrap_or_default();
        if *count > even {
            return even.max(1);
        }
        left = left.saturating_sub(*count);
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::Row;
    use crate::limits::Limits;
    use dsplug_fixtures::{ARM64E, Disk, Plugin, mach_header};

    #[test]
    fn a_journal_that_is_not_opened_is_told_and_ends_the_process() {
        let disk = Disk::new();
        let root = Root::open(disk.path()).unwrap();
        let mut service = Service::new(Scanner::new(root, Limits::STANDARD));
        let watching = Arc::new(Watching::default());
        service.watch = Some(Arc::clone(&watching));
        // The first look, which may take long, comes before.
        assert_eq!(service.status().journal.state, "");
        assert_eq!(service.hangs(), None);
        let opening = watching.opening.begin();
        assert_eq!(service.status().journal.state, "");
        watching.opening.begun_before(OPENING + ANEW);
        let status = service.status().journal;
        let told = "the journal has not been opened for 35 s";
        assert_eq!((status.state, &*status.error), ("error", told));
        assert_eq!(service.hangs().as_deref(), Some(told));
        drop(opening);
        *watching.events.lock().unwrap() = Some(Journal::in_memory().events());
        assert_eq!(service.status().journal.state, "memory");
        assert_eq!(service.hangs(), None);
    }

    /// Whoever has the program begin anew beside a crowd takes the row of nothing that had one.
    #[test]
    fn what_the_journal_knows_has_rows_before_what_is_new() {
        let disk = Disk::new();
        Plugin::new("z").write(disk.plugin(""));
        let state = tempfile::tempdir().unwrap();
        let place = || Some(state.path().join("state"));
        let service = |candidates| {
            let root = Root::open(disk.path()).unwrap();
            let limits = Limits {
                candidates,
                ..Limits::STANDARD
            };
            Service::watching(Scanner::new(root, limits), place()).unwrap()
        };
        let _first = service(100);
        let root = Root::open(disk.path()).unwrap();
        let begun = Instant::now();
        while Journal::kept_at(&place().unwrap(), &root)
            .known_paths()
            .is_empty()
        {
            assert!(begun.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(50));
        }
        for name in ["a", "b", "c", "d"] {
            Plugin::new(name).write(disk.plugin(""));
        }
        let second = service(2);
        second.watch.as_ref().unwrap().await_known();
        let snapshot = second.scans.get().unwrap();
        let paths = snapshot.bundles.iter().map(|b| &b.evidence.candidate.path);
        let shown = paths.filter(|path| path.ends_with(b"/z.dsplug")).count();
        assert_eq!(shown, 1, "{:?}", snapshot.folders);
    }

    /// A write by another name of a file is no hint: what is shown after one is what was held.
    #[test]
    fn a_scan_stands_while_the_watch_is_calm_and_no_longer() {
        let disk = Disk::new();
        let bundle = Plugin::new("A").write(disk.plugin(""));
        let file = bundle.join("Contents/file");
        std::fs::write(&file, "0").unwrap();
        let other_name = disk.at("other");
        std::fs::hard_link(&file, &other_name).unwrap();
        let root = Root::open(disk.path()).unwrap();
        let scanner = Scanner::new(root, Limits::STANDARD).remembering();
        let mut held = (scanner, None);
        let calm = Calm::default();
        let mut scans = 0;
        let mut hash = |held: &mut _| {
            scans += 1;
            let found = scan(held, &calm);
            assert_eq!(found.status.scans, scans);
            found.bundles[0].digest
        };
        let first = hash(&mut held);
        std::fs::write(&other_name, "1").unwrap();
        let second = hash(&mut held);
        assert_ne!(first, second);
        calm.set(true);
        std::fs::write(&other_name, "2").unwrap();
        assert_eq!(hash(&mut held), second);
        // Exceptions have no watch.
        disk.file(crate::exceptions::LOCAL.trim_start_matches('/'), "");
        let third = hash(&mut held);
        assert_ne!(third, second);
        std::fs::write(&other_name, "3").unwrap();
        assert_eq!(hash(&mut held), third);
        held.1.as_mut().unwrap().0 -= STANDS;
        let fourth = hash(&mut held);
        assert_ne!(fourth, third);
        std::fs::write(&other_name, "4").unwrap();
        calm.set(false);
        assert_ne!(hash(&mut held), fourth);
    }

    /// Another scan may read what this one did not.
    #[test]
    fn what_was_not_all_read_does_not_stand() {
        let disk = Disk::new();
        let bundle = Plugin::new("A").write(disk.plugin(""));
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root, Limits::STANDARD).remembering();
        let first = scanner.scan();
        assert!(scanner.holds(&first));
        dsplug_fixtures::sparse(bundle.join("Contents/x"), b"", 3 << 30);
        let second = scanner.scan();
        assert!(second.status.files_skipped > 0);
        assert!(!scanner.holds(&second));
        // Nor does what is remembered no more as it was found.
        assert!(!scanner.holds(&first));
    }

    #[test]
    fn a_huge_bundle_does_not_push_out_the_others() {
        assert_eq!(share(&[10, 20], 100), usize::MAX);
        assert_eq!(share(&[10, 100_000], 100), 90);
        assert_eq!(share(&[100, 100, 1], 101), 50);
        assert_eq!(share(&[], 100), usize::MAX);
        assert_eq!(share(&[5; 1000], 100), 1);
    }

    /// However long its path is: of a long one rows show the beginning alone.
    #[test]
    fn junk_does_not_push_out_code() {
        let deep = format!("{}.lproj/{}", "l".repeat(245), "d".repeat(245));
        for below in ["", &deep] {
            junk_below(below);
        }
    }

    fn junk_below(folder: &str) {
        let disk = Disk::new();
        let path = Plugin::new("A").write(disk.plugin(folder));
        for number in 0..super::MOST_FILES {
            std::fs::write(path.join(format!("Contents/{number}")), "").unwrap();
        }
        std::fs::write(path.join("Contents/z.dylib"), mach_header(ARM64E)).unwrap();
        let root = Root::open(disk.path()).unwrap();
        let snapshot = Scanner::new(root, Limits::STANDARD).scan();
        let mut rows = super::Rows::default();
        files(&snapshot, &mut rows).unwrap();
        let rows = rows.maps();
        assert_eq!(rows.len(), super::MOST_FILES + 1);
        let is_code = |row: &&Row| !row["macho"].is_empty();
        assert_eq!(rows.iter().filter(is_code).count(), 2);
        let last = rows.last().unwrap();
        assert!(last["error"].starts_with("limit: "), "{last:?}");
    }
}
