//! The journal of events: what was seen is kept, and shown after the end of this process as before.
//!
//! One process at a time writes it, held apart by a lock: whose `turn` it is, it is until it ends. Where the
//! `file` cannot be written, events are held in memory, bounded as the file is, and so is what is known after
//! them (`unwritten`); both are put into the file once that can be written. A file that is
//! damaged, or that others could have written, is kept aside and a new one begun; that of a newer
//! version of this program is left alone. One that takes the place of the journal while that is open, which `ids`
//! tell, is put aside too, and what was written to the one that is open is written anew; where the process is killed
//! before that has its place, the next one puts it there.
//!
//! `events` are read from the file, or as they are `remembered`, and from what is `in_memory`; `status` says how it
//! stands, and what they `share` with the thread that writes, whether one of both hangs.

mod batch;
mod events;
mod file;
mod ids;
mod in_memory;
mod remembered;
mod share;
mod status;
#[cfg(test)]
mod tests;
mod turn;
mod unwritten;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::sqlite::store::{AllKnown, Change};
pub use batch::Batch;
pub use events::Events;
pub use file::now_ms;
pub use status::Status;

use crate::event::Event;
use crate::order;
use crate::root::Root;
use crate::sqlite::store::{Altered, MOST_ID, StoreError};
use file::{Last, Open, Refusal, known_at, open, write_anew};
use ids::FILE;
use in_memory::Held;
use share::Share;
use turn::Turn;
use unwritten::Unwritten;

/// Between two attempts to use a file that could not be used.
const AGAIN: Duration = Duration::from_secs(20);

/// The journal as it is written, by one thread.
#[derive(Debug)]
pub struct Journal {
    /// Where it is to be kept, and the root that is read.
    place: Option<(PathBuf, Root)>,
    open: Option<Open>,
    /// That of this process, once it has had it: let go of last.
    turn: Option<Turn>,
    /// Between two attempts.
    pause: Duration,
    tried: Option<Instant>,
    busy: bool,
    /// True until something is to be written: another process may be about to end.
    awaits_turn: bool,
    /// When the one that was open had last lost its place.
    displaced: Option<Instant>,
    last: Last,
    /// True when the file was tried before: events may have been told that it does not have.
    was_open: bool,
    next: i64,
    unwritten: Unwritten,
    /// True when the file does not have all that is known.
    lacks_known: bool,
    /// True when a write into the file has failed: taken back, it looks as if another process had written.
    has_failed: bool,
    /// When all that is known was told last, and could not be written.
    told_all: Option<Instant>,
    /// What one in memory alone begins with.
    known: Option<(AllKnown, bool)>,
    held: Arc<Share>,
}

/// What a scan is to know of an earlier process.
#[derive(Debug, Default)]
pub struct Ahead {
    /// The paths of what stood in plug-in folders, what had stood for longest first: those planted may be the last.
    pub paths: Vec<Vec<u8>>,
    /// Bytes of all that is known, which are held until the first look is compared with them.
    pub held: usize,
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
        if place.is_none() {
            held.state = "memory";
        }
        let mut journal = Self {
            place,
            open: None,
            turn: None,
            pause: AGAIN,
            tried: None,
            busy: false,
            awaits_turn: true,
            displaced: None,
            last: Last::Never,
            was_open: false,
            // Milliseconds: so that numbers grow over the end of a journal that left no trace.
            next: now_ms(),
            unwritten: Unwritten::default(),
            lacks_known: false,
            has_failed: false,
            told_all: None,
            known: None,
            held: Arc::new(Share::new(held)),
        };
        journal.reopen();
        journal
    }

    /// The same with another pause between two attempts to use a file that could not be used.
    #[must_use]
    pub fn trying_again_after(self, pause: Duration) -> Self {
        Self { pause, ..self }
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
            let share = Arc::clone(&self.held);
            let _writing = share.writing();
            self.tried = None;
            self.reopen();
        }
    }

    /// Where it is kept.
    pub fn place(&self) -> Option<&Path> {
        self.place.as_ref().map(|(place, _)| place.as_path())
    }

    /// What was last known of the bundles, and whether that is not all that was; nothing when
    /// nobody has looked before. Where another process writes the file, or merely has its lock, it is read.
    pub fn known(&mut self) -> Option<(AllKnown, bool)> {
        if let Some(known) = self.known.take() {
            return Some(known);
        }
        let share = Arc::clone(&self.held);
        let _writing = share.writing();
        let known = match (&self.open, &self.place) {
            (Some(open), _) => open.store.known().map_err(Refusal::from),
            (None, Some((place, root))) if self.busy => known_at(place, root),
            _ => return None,
        };
        known.unwrap_or_else(|refusal| {
            self.fail(&refusal);
            None
        })
    }

    /// What a scan is to know of all that was known.
    pub fn ahead(&mut self) -> Ahead {
        let known = self.known();
        let all = known.iter().flat_map(|(all, _)| all);
        let held = all
            .clone()
            .map(|(path, known)| path.len().saturating_add(known.held()));
        let held = held.fold(0, usize::saturating_add);
        let mut all: Vec<_> = all.map(|(path, known)| (known.since_ms, path)).collect();
        order::sort_by_key(&mut all, |(since, _)| *since);
        let paths = all.into_iter().map(|(_, path)| path.clone()).collect();
        // It need not be read twice. What another process writes may be more by then.
        if !self.busy {
            self.known = known;
        }
        Ahead { paths, held }
    }

    /// One in memory alone, which begins with what this one knows: for whoever is not to write the file, ever.
    #[must_use]
    pub fn apart(mut self) -> Self {
        Self {
            known: self.known(),
            ..Self::in_memory()
        }
    }

    /// True when what is known has to be told to the file again, whole: it was begun anew, has room again for
    /// all, or could not be written for so long that not all of it is held.
    pub fn lacks_known(&self) -> bool {
        let lacks = self.lacks_known || self.unwritten.is_cut();
        let told = self.told_all.map(|told| told.elapsed());
        // What cannot be written is not to be asked for at each look.
        lacks && self.open.is_some() && told.is_none_or(|told| told >= self.pause)
    }

    /// Gives events their numbers and writes them, with what is known after them; gives them back
    /// once they can be shown.
    pub fn write(&mut self, batch: Batch) -> Vec<Event> {
        let share = Arc::clone(&self.held);
        let _writing = share.writing();
        let Batch {
            mut events,
            changes,
            is_all,
        } = batch;
        for event in &mut events {
            event.id = self.next;
            self.next = self.next.saturating_add(1);
        }
        self.unwritten.extend(changes, is_all);
        if is_all {
            self.told_all = Some(Instant::now());
        }
        self.heed_displacement();
        self.heed_others();
        let mut written = self.try_write(&events);
        if matches!(written, Err(Refusal::Store(StoreError::Taken(_)))) {
            self.number_anew(&mut events);
            written = self.try_write(&events);
        }
        if let Err(refusal) = written {
            if self.place.is_some() {
                self.fail(&refusal);
            }
            let mut held = self.held.lock();
            events.iter().for_each(|event| held.push(event.clone()));
            drop(held);
            if self.last == Last::Displaced {
                // A new file is told all.
                self.unwritten.let_go();
            } else {
                self.unwritten.hold();
            }
        }
        // What went into a file that had lost its place goes into the one that has it.
        if self.heed_displacement()
            && let Err(refusal) = self.try_write(&[])
        {
            self.fail(&refusal);
        }
        if self.place.is_none() {
            self.unwritten.clear();
        }
        events
    }

    /// Gives what is not in the file other numbers, above all that are: root can put rows into it. Where
    /// there are none above, the file is opened anew, and put aside for that.
    fn number_anew(&mut self, events: &mut [Event]) {
        let last = self.open.as_ref().map(|open| open.store.last_id());
        let last = last.and_then(Result::ok).unwrap_or_default();
        if last < MOST_ID {
            self.next = self.next.max(last.saturating_add(1));
        } else {
            self.open = None;
            self.tried = None;
        }
        let mut number = || {
            let number = self.next;
            self.next = number.saturating_add(1);
            number
        };
        let mut held = self.held.lock();
        for mut event in held.take() {
            event.id = number();
            held.push(event);
        }
        for event in events {
            event.id = number();
        }
    }

    /// Looks whether the file is still there, and puts into it what could not be before.
    pub fn tick(&mut self) {
        if self.place.is_none() {
            return;
        }
        let share = Arc::clone(&self.held);
        let writing = share.writing();
        self.heed_readers();
        self.heed_displacement();
        self.heed_others();
        drop(writing);
        let waits = !self.unwritten.is_empty() || !self.held.lock().events.is_empty();
        if waits || self.open.is_none() {
            self.write(Batch::default());
        }
    }

    /// Looks whether the files that are open have their place still, and can be read; true when not. What stands in
    /// them is written anew then, or held: root can put older ones there, take one away, or lock it.
    fn heed_displacement(&mut self) -> bool {
        self.heed_turn();
        let (Some(open), Some((place, root))) = (&self.open, &self.place) else {
            return false;
        };
        let mut held = self.held.lock();
        let unreadable = held.take_unreadable();
        let why = match (open.ids.displaced(&open.path), unreadable) {
            (Some(became), _) => became,
            (None, Some(why)) => format!("{} could not be read ({why})", open.path.display()),
            (None, None) => return false,
        };
        let since = self.displaced.replace(Instant::now());
        let is_first = since.is_none_or(|since| since.elapsed() >= self.pause);
        // Nobody reads meanwhile, so that no answer is without what was there.
        let anew = is_first.then(|| write_anew(open, place, root));
        if let Some(Ok((anew, aside))) = anew {
            let aside = aside.map(|aside| format!("; {aside}")).unwrap_or_default();
            let why = format!("{why}; what it held is written anew{aside}");
            held.errors.file(why);
            held.opened(anew.ids, anew.store.texts());
            held.path = anew.path.to_string_lossy().into_owned();
            drop(held);
            self.open = Some(anew);
            self.last = Last::InPlace;
            self.tried = Some(Instant::now());
            return true;
        }
        let later = held.take();
        let read = open.store.each(&mut |event| {
            held.push(event);
            Ok(())
        });
        later.for_each(|event| held.push(event));
        (held.file, held.is_apart) = (None, true);
        let mut became = "what it held is held in memory".to_owned();
        if let Some(Err(refusal)) = anew {
            became = format!("{became} ({refusal})");
        }
        if let Err(error) = read {
            became = format!("not all that it held could be saved: {error}");
        }
        held.errors.file(format!("{why}; {became}"));
        drop(held);
        self.open = None;
        self.last = Last::Displaced;
        if is_first {
            self.tried = None;
        }
        true
    }

    /// Looks whether others have written into the file; what they did is put right as far as that is possible.
    fn heed_others(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        match open.store.heed_others() {
            Ok(None) => {}
            Ok(Some(altered)) => {
                let mut held = self.held.lock();
                held.wrote(open.store.texts());
                if !std::mem::take(&mut self.has_failed) || altered != Altered::default() {
                    held.errors.file(altered.to_string());
                }
                self.lacks_known = true;
            }
            Err(error) => {
                if matches!(error, StoreError::Damaged(_)) {
                    self.open = None;
                    self.tried = None;
                }
                self.fail(&error.into());
            }
        }
    }

    /// Looks whether the lock that this process has is the one that others would have to take.
    fn heed_turn(&mut self) {
        let (Some(turn), Some((place, root))) = (&mut self.turn, &self.place) else {
            return;
        };
        if let Some(became) = turn.heed(place, root) {
            self.held.lock().errors.lock(became);
        }
    }

    /// Opens the file anew where a reader found it damaged: it is looked through then, and put aside.
    fn heed_readers(&mut self) {
        if std::mem::take(&mut self.held.lock().is_damaged) {
            self.open = None;
            self.tried = None;
        }
    }

    fn try_write(&mut self, events: &[Event]) -> Result<(), Refusal> {
        self.heed_readers();
        if std::mem::take(&mut self.awaits_turn) && self.busy {
            self.tried = None;
        }
        if self.open.is_none() {
            self.reopen();
        }
        let (Some(open), Some((changes, is_all))) = (&mut self.open, self.unwritten.get()) else {
            return Err(Refusal::Said);
        };
        let mut batch: Vec<Event> = self.held.lock().events.values().cloned().collect();
        batch.extend_from_slice(events);
        match open.store.write(&batch, changes, is_all) {
            Ok(()) => {
                self.unwritten.clear();
                self.lacks_known &= !is_all;
                self.lacks_known |= open.store.has_room_again();
                self.told_all = None;
                let mut held = self.held.lock();
                held.clear();
                held.written = open.store.recent();
                held.wrote(open.store.texts());
                held.state = "kept";
                held.errors.room(open.store.is_cut());
                Ok(())
            }
            Err(error) => {
                self.has_failed = true;
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
        if self.tried.is_some_and(|tried| tried.elapsed() < self.pause) {
            return;
        }
        let was_open = std::mem::replace(&mut self.was_open, true);
        self.tried = Some(Instant::now());
        let opened = open(place, root, &mut self.turn, self.last);
        self.busy = matches!(opened, Err(Refusal::Busy(_)));
        // Nothing has been told yet of what another process keeps.
        self.was_open &= !self.busy;
        match opened {
            Ok((open, told)) => {
                let last = open.store.last_id().unwrap_or_default();
                self.next = self.next.max(last.saturating_add(1));
                self.lacks_known |= was_open || told.is_some();
                let is_told = open.store.is_told().unwrap_or(true);
                if !is_told {
                    // It knows nothing that events would have to wait for.
                    self.lacks_known |= self.unwritten.is_cut();
                    self.unwritten.begin();
                }
                let mut held = self.held.lock();
                held.path = open.path.to_string_lossy().into_owned();
                held.state = "kept";
                held.opened(open.ids, open.store.texts());
                held.errors.room(open.store.is_cut());
                if !is_told && last > 0 {
                    let what = format!(
                        "what {} knew of the bundles was taken out of it: what changed before now is not told",
                        held.path
                    );
                    held.errors.file(what);
                }
                if let Some(told) = told {
                    if self.last == Last::Displaced {
                        held.errors.file_as_well(&told);
                    } else {
                        held.errors.file(told);
                    }
                }
                drop(held);
                self.open = Some(open);
                self.last = Last::InPlace;
            }
            Err(Refusal::Busy(_)) if self.awaits_turn => {}
            Err(refusal) => self.fail(&refusal),
        }
    }

    fn fail(&mut self, refusal: &Refusal) {
        let mut held = self.held.lock();
        held.state = "error";
        if !matches!(refusal, Refusal::Said) && held.errors.failed(&refusal.to_string()) {
            log::error!("{refusal}; events are held in memory");
        }
    }
}
