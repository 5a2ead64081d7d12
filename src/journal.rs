//! The journal of events: what was seen is kept, and shown after the end of this process as before.
//!
//! One process at a time writes it, held apart by a lock. Where it cannot be written, events are held
//! in memory, bounded as the file is, and put into the file once that can be written. A file that is
//! damaged, or that others could have written, is kept aside and a new one begun; that of a newer
//! version of this program is left alone.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::event::{Event, Known};
use crate::root::Root;
use crate::sqlite::store::{self, Dropped, Store, StoreError};
pub use crate::sqlite::store::{AllKnown, Change};
use crate::state_dir::{Lock, StateDir, StateDirError};

/// The file.
const FILE: &str = "journal.db";
/// What SQLite puts beside it.
const BESIDE: [&str; 2] = ["journal.db-wal", "journal.db-shm"];
/// Locked by the process that writes.
const LOCK: &str = "journal.lock";
/// What the name of a file that was put aside begins with.
const ASIDE: &str = "journal.aside-";
/// Files that were put aside and are kept, the newest; each has at most [`LARGEST`] bytes.
const MOST_ASIDE: usize = 2;
/// A larger file is none of ours, in bytes.
const LARGEST: u64 = 32 << 20;
/// Names in the directory that are looked through for files put aside.
const MOST_NAMES: usize = 1_000;
/// Events that are held in memory.
const MOST_HELD: usize = 10_000;
/// Bytes of them.
const HELD_BYTES: usize = 6 << 20;
/// Between two attempts to use a file that could not be used.
const AGAIN: Duration = Duration::from_secs(20);

/// How it stands with the journal, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The file; empty when nothing is kept.
    pub path: String,
    /// `kept` in the file, in `memory` alone because nothing is to be kept, `error` when it ought to
    /// be in the file and is not; empty where nobody watches.
    pub state: &'static str,
    /// The last error since the start.
    pub error: String,
}

/// What is not in the file.
#[derive(Debug, Default)]
struct Held {
    events: VecDeque<Event>,
    bytes: usize,
    dropped: Dropped,
    status: Status,
}

impl Held {
    fn push(&mut self, event: Event) {
        self.bytes = self.bytes.saturating_add(weight(&event));
        self.events.push_back(event);
        while self.events.len() > MOST_HELD || self.bytes > HELD_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(weight(&oldest));
            self.dropped.add(oldest.id, oldest.time);
        }
    }

    fn clear(&mut self) {
        self.events = VecDeque::new();
        self.bytes = 0;
    }
}

/// Bytes that an event takes in memory, about.
fn weight(event: &Event) -> usize {
    let s = &event.state;
    let texts = [
        &event.path,
        &event.previous_hash,
        &event.kept,
        &s.hash,
        &s.executable,
        &s.executable_hash,
        &s.bundle_identifier,
        &s.signer,
        &s.cdhash,
        &s.error,
        &s.info_plist,
        &s.info_plist_hash,
        &s.symlink_target,
        &s.resolved_path,
        &s.fingerprint,
    ];
    let bytes = texts.iter().map(|t| t.len());
    bytes.fold(size_of::<Event>(), usize::saturating_add)
}

/// The events as they are read: those of the file, and those that are held by the process itself.
#[derive(Clone, Debug, Default)]
pub struct Events {
    file: Option<PathBuf>,
    held: Option<Arc<Mutex<Held>>>,
    /// Why they cannot be read.
    refused: Option<String>,
}

impl Events {
    /// The events that are kept in a directory, for those who only read.
    pub fn kept_in(state: &StateDir) -> Self {
        Self {
            file: Some(state.path().join(FILE)),
            ..Self::default()
        }
    }

    /// Events that cannot be read, for this reason.
    pub fn refused(why: String) -> Self {
        Self {
            refused: Some(why),
            ..Self::default()
        }
    }

    /// Passes each event to `sink`, oldest first.
    ///
    /// # Errors
    /// When they cannot be read; the sink's own error as well.
    pub fn each(&self, sink: &mut dyn FnMut(&Event) -> Result<(), String>) -> Result<(), String> {
        if let Some(why) = &self.refused {
            return Err(why.clone());
        }
        // Held for as long as the file is read: what moves from here to there in between is
        // seen at least once, and told once.
        let held = self.held.as_ref().map(|held| lock(held));
        let mut last = 0_i64;
        if let Some(path) = &self.file {
            let is_there = std::fs::symlink_metadata(path).is_ok_and(|m| m.len() > 0);
            if is_there {
                store::read(path, &mut |event| {
                    last = event.id;
                    sink(&event)
                })
                .map_err(|error| error.to_string())?;
            }
        }
        let Some(held) = held else {
            return Ok(());
        };
        if let Some(gone) = held.dropped.event() {
            sink(&gone)?;
        }
        let mut rest = held.events.iter().filter(|event| event.id > last);
        rest.try_for_each(sink)
    }

    /// How it stands with them.
    pub fn status(&self) -> Status {
        let held = self.held.as_ref();
        held.map_or_else(Status::default, |held| lock(held).status.clone())
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is written at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events, in order.
    pub events: Vec<Event>,
    /// What is known after them, where that changed.
    pub changes: Vec<Change>,
    /// True when `changes` has all that is known.
    pub is_all: bool,
}

impl Batch {
    /// Adds what came after it.
    pub fn extend(&mut self, later: Self) {
        self.events.extend(later.events);
        self.changes.extend(later.changes);
        self.is_all |= later.is_all;
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.changes.is_empty()
    }
}

/// Why there is no journal to be written.
#[derive(Debug)]
enum Refusal {
    /// The place cannot hold it.
    Place(StateDirError),
    /// The file cannot be used.
    Store(StoreError),
    /// Another process writes it.
    Busy(PathBuf),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Busy(path) => {
                write!(f, "another dsplug writes the journal in {}", path.display())
            }
        }
    }
}

impl From<StateDirError> for Refusal {
    fn from(error: StateDirError) -> Self {
        Self::Place(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The file, open to be written.
#[derive(Debug)]
struct Open {
    store: Store,
    /// Device and inode: another file in its place is noticed.
    id: (u64, u64),
    path: PathBuf,
    _lock: Lock,
}

/// The journal as it is written, by one thread.
#[derive(Debug)]
pub struct Journal {
    /// Where it is to be kept, and the root that is read.
    place: Option<(PathBuf, Root)>,
    open: Option<Open>,
    tried: Option<Instant>,
    busy: bool,
    /// True when the file was tried before: events may have been told that it does not have.
    was_open: bool,
    next: i64,
    /// What is known after events that are not in the file.
    unwritten: BTreeMap<Vec<u8>, Option<Known>>,
    /// True when the file does not have all that is known.
    lacks_known: bool,
    held: Arc<Mutex<Held>>,
}

impl Journal {
    /// A journal in memory alone.
    pub fn in_memory() -> Self {
        Self::new(None)
    }

    /// A journal in the directory at a place, or in memory for as long as that cannot be used.
    pub fn kept_at(place: &Path, root: &Root) -> Self {
        Self::new(Some((place.to_owned(), root.clone())))
    }

    fn new(place: Option<(PathBuf, Root)>) -> Self {
        let mut held = Held::default();
        held.status.state = "memory";
        let mut journal = Self {
            place,
            open: None,
            tried: None,
            busy: false,
            was_open: false,
            // Milliseconds: so that numbers grow over the end of a journal that left no trace.
            next: now_ms(),
            unwritten: BTreeMap::new(),
            lacks_known: false,
            held: Arc::new(Mutex::new(held)),
        };
        journal.reopen();
        journal
    }

    /// The events, to be read by others.
    pub fn events(&self) -> Events {
        let place = self.place.as_ref().map(|(place, _)| place.join(FILE));
        Events {
            file: self.open.as_ref().map(|o| o.path.clone()).or(place),
            held: Some(Arc::clone(&self.held)),
            refused: None,
        }
    }

    /// True when another process writes the journal of this place.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Tries again to write where another process did.
    pub fn retry(&mut self) {
        if self.busy {
            self.tried = None;
            self.reopen();
        }
    }

    /// Where it is kept.
    pub fn place(&self) -> Option<&Path> {
        self.place.as_ref().map(|(place, _)| place.as_path())
    }

    /// What was last known of the bundles, and whether that is not all that was; nothing when
    /// nobody has looked before.
    pub fn known(&mut self) -> Option<(AllKnown, bool)> {
        let store = &self.open.as_ref()?.store;
        let read = store
            .known()
            .and_then(|known| Ok((known, store.is_known_cut()?)));
        match read {
            Ok((known, cut)) => known.map(|known| (known, cut)),
            Err(error) => {
                self.fail(&error.into());
                None
            }
        }
    }

    /// True when the file was begun anew, and what is known has to be told to it again, whole.
    pub fn lacks_known(&self) -> bool {
        self.lacks_known
    }

    /// Gives events their numbers and writes them, with what is known after them; gives them back
    /// once they can be shown.
    pub fn write(&mut self, batch: Batch) -> Vec<Event> {
        let Batch {
            mut events,
            changes,
            is_all,
        } = batch;
        for event in &mut events {
            event.id = self.next;
            self.next = self.next.saturating_add(1);
        }
        self.unwritten.extend(changes);
        if let Err(refusal) = self.try_write(&events, is_all) {
            if self.place.is_some() {
                self.fail(&refusal);
            }
            let mut held = lock(&self.held);
            events.iter().for_each(|event| held.push(event.clone()));
        }
        if self.place.is_none() {
            self.unwritten.clear();
        }
        events
    }

    /// Looks whether the file is still there, and puts into it what could not be before.
    pub fn tick(&mut self) {
        if self.place.is_none() {
            return;
        }
        if let Some(open) = &self.open {
            let there = std::fs::symlink_metadata(&open.path);
            if there.map(|m| (m.dev(), m.ino())).ok() != Some(open.id) {
                log::error!("the journal {} was taken away", open.path.display());
                self.open = None;
                self.tried = None;
            }
        }
        let waits = !self.unwritten.is_empty() || !lock(&self.held).events.is_empty();
        if waits || self.open.is_none() {
            self.write(Batch::default());
        }
    }

    fn try_write(&mut self, events: &[Event], is_all: bool) -> Result<(), Refusal> {
        if self.open.is_none() {
            self.reopen();
        }
        let Some(open) = &mut self.open else {
            // What is wrong has been said.
            let why = lock(&self.held).status.error.clone();
            return Err(Refusal::Store(StoreError::Failed(why)));
        };
        let changes: Vec<Change> = self
            .unwritten
            .iter()
            .map(|(path, known)| (path.clone(), known.clone()))
            .collect();
        let mut batch: Vec<Event> = lock(&self.held).events.iter().cloned().collect();
        batch.extend_from_slice(events);
        match open.store.write(&batch, &changes) {
            Ok(()) => {
                self.unwritten.clear();
                self.lacks_known &= !is_all;
                let mut held = lock(&self.held);
                held.clear();
                held.status.state = "kept";
                Ok(())
            }
            Err(error) => {
                if matches!(error, StoreError::Damaged(_)) {
                    // Opened anew, it is looked through, and put aside if need be.
                    self.open = None;
                    self.tried = None;
                }
                Err(error.into())
            }
        }
    }

    /// Opens the file, unless that was tried a moment ago.
    fn reopen(&mut self) {
        let Some((place, root)) = &self.place else {
            return;
        };
        if self.tried.is_some_and(|tried| tried.elapsed() < AGAIN) {
            return;
        }
        let was_open = std::mem::replace(&mut self.was_open, true);
        self.tried = Some(Instant::now());
        let opened = open(place, root);
        self.busy = matches!(opened, Err(Refusal::Busy(_)));
        // Nothing has been told yet of what another process keeps.
        self.was_open &= !self.busy;
        match opened {
            Ok((open, aside)) => {
                let last = open.store.last_id().unwrap_or_default();
                self.next = self.next.max(last.saturating_add(1));
                self.lacks_known = was_open || aside.is_some();
                let mut held = lock(&self.held);
                held.status.path = open.path.to_string_lossy().into_owned();
                held.status.state = "kept";
                if let Some(why) = aside {
                    log::error!("{why}");
                    held.status.error = why;
                }
                drop(held);
                self.open = Some(open);
            }
            Err(refusal) => self.fail(&refusal),
        }
    }

    fn fail(&mut self, refusal: &Refusal) {
        let mut held = lock(&self.held);
        let why = refusal.to_string();
        if held.status.error != why {
            log::error!("{why}; events are held in memory");
            held.status.error = why;
        }
        held.status.state = "error";
    }
}

/// Opens the journal in a place; with it, why a file was put aside.
fn open(place: &Path, root: &Root) -> Result<(Open, Option<String>), Refusal> {
    let state = StateDir::open(place, root)?;
    let lock = state.lock(LOCK)?;
    let lock = lock.ok_or_else(|| Refusal::Busy(state.path().to_owned()))?;
    let (store, aside) = match open_store(&state) {
        Err(Refusal::Store(StoreError::Damaged(why))) => {
            let name = put_aside(&state)?;
            let aside = state.path().join(name);
            let why = format!(
                "the journal was damaged ({why}); it is kept aside as {} and a new one begun",
                aside.display()
            );
            (open_store(&state)?, Some(why))
        }
        other => (other?, None),
    };
    let path = state.path().join(FILE);
    let file = state.file_to_read(FILE)?;
    let meta = file.and_then(|file| file.metadata().ok());
    let id = meta.map(|m| (m.dev(), m.ino()));
    let open = Open {
        store,
        id: id.unwrap_or_default(),
        path,
        _lock: lock,
    };
    Ok((open, aside))
}

fn open_store(state: &StateDir) -> Result<Store, Refusal> {
    let damaged = |why: String| Refusal::Store(StoreError::Damaged(why));
    for name in [FILE].into_iter().chain(BESIDE) {
        match state.file(name) {
            Ok(Some(file)) => {
                let size = file.metadata().map_or(u64::MAX, |m| m.len());
                if size > LARGEST {
                    return Err(damaged(format!("{name} has {size} bytes")));
                }
            }
            Ok(None) if name == FILE => drop(state.create(FILE)?),
            Ok(None) => {}
            // Neither followed nor waited for.
            Err(StateDirError::Unsafe(_, why)) => return Err(damaged(format!("{name} {why}"))),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Store::open(&state.path().join(FILE))?)
}

/// Renames the journal's file and what is beside it; gives the new name.
fn put_aside(state: &StateDir) -> Result<String, StateDirError> {
    let name = format!("{ASIDE}{}", now_ms());
    state.rename(FILE, &name)?;
    for beside in BESIDE {
        let suffix = beside.strip_prefix(FILE).unwrap_or_default();
        match state.rename(beside, &format!("{name}{suffix}")) {
            Err(StateDirError::Io(_, _, error)) if error.kind() == std::io::ErrorKind::NotFound => {
            }
            other => other?,
        }
    }
    let (names, _) = state.names(MOST_NAMES)?;
    let names: Vec<String> = names
        .into_iter()
        .filter_map(|name| String::from_utf8(name).ok())
        .filter(|name| name.starts_with(ASIDE))
        .collect();
    let times = names
        .iter()
        .filter(|name| !name.contains("-wal") && !name.contains("-shm"));
    let old = times.clone().count().saturating_sub(MOST_ASIDE);
    for stale in times.take(old) {
        for name in names.iter().filter(|name| name.starts_with(stale.as_str())) {
            // One that is a directory stays.
            let _ = state.remove(name);
        }
    }
    state.sync()?;
    Ok(name)
}

/// Milliseconds of Unix time.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
