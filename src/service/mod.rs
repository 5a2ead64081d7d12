//! The tables as the extension serves them: one scan for all calls within a few seconds, and the watch's last look for
//! as long as nothing hints at a change.

mod files;
mod rows;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::extension::{Rows, Shared, Source, TableSpec};
use crate::journal::{self, Ahead, Events, Journal};
use crate::limits::Whereabouts;
use crate::quarantine::ledger::Ledger;
use crate::root::Root;
use crate::scan::{Scanner, Snapshot, Status, WatchStatus};
use crate::since::Since;
use crate::table::{EVENTS, FILES, QUARANTINE, STATUS, TABLES, Table, by_name};
use crate::text::escape;
use crate::watch::Watch;
use crate::watch::calm::Calm;
use files::files;
use rows::rows;

/// For how long a scan answers. A join of core's calls once for each of its rows.
const HOLDS: Duration = Duration::from_secs(4);

/// For how long it does so while the watch has all that it wants and is told of no change, from one look of the watch to
/// the next.
const STANDS: Duration = crate::watch::MOST_QUIET;

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
/// The same for the watch between two waits. It may copy much to a slow disk.
const WATCHED: Duration = Duration::from_secs(60);
const WATCH_HUNG: Duration = Duration::from_secs(120);
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
    /// Since when the thread is at work.
    working: Arc<Since>,
}

/// What the journal knew, until a scan takes it.
type Remembered = Arc<Mutex<Option<Ahead>>>;

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

    /// That the thread has not come back for longer than `most`, but for the journal: events are not told meanwhile.
    fn works(&self, most: Duration) -> Option<String> {
        let long = self.working.elapsed().filter(|long| *long > most)?;
        let seconds = long.as_secs();
        Some(format!(
            "the watch has not come back for {seconds} s: a volume on the way to what a bundle reaches may not answer"
        ))
    }

    /// How it stands with the watch, whether or not that answers.
    fn watch(&self) -> WatchStatus {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let mut status = status.clone();
        if let Some(why) = self.works(WATCHED) {
            status.error = why;
        }
        status
    }

    /// What has not come back for longer than it is let live.
    fn hung(&self) -> Option<String> {
        let journal = || self.events()?.hung(HUNG);
        self.opens(HUNG)
            .or_else(journal)
            .or_else(|| self.works(WATCH_HUNG))
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
            if let Some(ahead) = remembered.take() {
                scanner.0.know(&ahead);
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

    /// Waits until the journal has said what was known, for which it has its own time: what is scanned before may give
    /// the room of that to what is new.
    fn await_known(&self) {
        let begun = Instant::now();
        let is_open = |watching: &Arc<Watching>| watching.events().is_some();
        while !self.watch.as_ref().is_none_or(is_open) && begun.elapsed() < OPENING {
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
            status.watch = watching.watch();
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
        watch.working(Arc::clone(&shared.working));
        watch.saying(Box::new(move |status| {
            *say.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        }));
        let open = || {
            let _opening = shared.opening.begin();
            let mut journal = match place {
                Some(place) => Journal::kept_at(place, root),
                None => Journal::in_memory(),
            };
            // A watch that begins anew finds rows that others have by now.
            if shared.events().is_none() {
                *known.lock().unwrap_or_else(PoisonError::into_inner) = Some(journal.ahead());
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
        self.await_known();
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
        self.hung(HUNG).or_else(|| self.watch.as_ref()?.hung())
    }

    fn tick(&self) -> bool {
        self.scans.tick()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use dsplug_fixtures::{Disk, PLUGINS, Plugin};

    /// A service over an empty disk, and what a thread that watched it would share with it.
    fn watched() -> (Disk, Service, Arc<Watching>) {
        let disk = Disk::new();
        let root = Root::open(disk.path()).unwrap();
        let mut service = Service::new(Scanner::new(root, Limits::STANDARD));
        let watching = Arc::new(Watching::default());
        service.watch = Some(Arc::clone(&watching));
        (disk, service, watching)
    }

    #[test]
    fn a_journal_that_is_not_opened_is_told_and_ends_the_process() {
        let (_disk, service, watching) = watched();
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

    /// A volume that answers scans and not the watch.
    #[test]
    fn a_watch_that_does_not_come_back_is_told_and_ends_the_process() {
        let (_disk, service, watching) = watched();
        let work = watching.working.begin();
        assert_eq!(service.status().watch.error, "");
        watching.working.begun_before(WATCHED);
        let told = "the watch has not come back for 60 s: a volume ";
        let error = service.status().watch.error;
        assert!(error.starts_with(told), "{error}");
        assert_eq!(service.hangs(), None);
        watching.working.begun_before(WATCH_HUNG);
        assert!(service.hangs().unwrap().contains(" for 120 s"));
        drop(work);
        assert_eq!(service.status().watch.error, "");
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
            .ahead()
            .paths
            .is_empty()
        {
            assert!(begun.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(50));
        }
        for name in ["a", "b", "c", "d"] {
            Plugin::new(name).write(disk.plugin(""));
        }
        let shown = |service: &Service| {
            service.await_known();
            let snapshot = service.scans.renew().unwrap();
            let paths = snapshot.bundles.iter().map(|b| &b.evidence.candidate.path);
            let shown = paths.filter(|path| path.ends_with(b"/z.dsplug")).count();
            (shown, snapshot.unreadable().is_some())
        };
        assert_eq!(shown(&service(2)), (1, false));
        // Nor by a folder that cannot be listed when it begins.
        let (folder, aside) = (disk.at(PLUGINS), disk.at("aside"));
        std::fs::rename(&folder, &aside).unwrap();
        std::os::unix::fs::symlink("/dev/fd/3", &folder).unwrap();
        let third = service(2);
        assert_eq!(shown(&third), (0, true));
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
        assert_eq!(shown(&third), (1, false));
    }

    /// What scanned before may lack what stands.
    #[test]
    fn a_table_waits_until_the_journal_has_said_what_was_known() {
        let (_disk, service, watching) = watched();
        let asked = Instant::now();
        let opens = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            *watching.events.lock().unwrap() = Some(Journal::in_memory().events());
        });
        service
            .generate("dsplug_bundles", &mut Rows::default())
            .unwrap();
        assert!(asked.elapsed() >= Duration::from_millis(300));
        opens.join().unwrap();
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
}
