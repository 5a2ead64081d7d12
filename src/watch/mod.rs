//! The watch: looks whenever the system hints that something was written, and twice a minute anyway,
//! and writes down what happened to each bundle.
//!
//! - `hints` come from the system, for the `places` that are worth a watch;
//! - [`tracker`] compares looks with what was told of each bundle that is `watched`, by what `state`
//!   says of it, and
//!   [`writer`] hands the events to the journal;
//! - `crowd` says how much is told of what comes and goes with nothing in it;
//! - `lists` does the same as `tracker` for the lists of exceptions;
//! - `pace` says when the next look is due;
//! - [`copies`] keeps what goes, where that is asked for;
//! - [`command`] shows events to a person.
//!
//! A look is an ordinary scan, which opens no file that has not changed. Looks take no more than a
//! fourth of the time, however much is written.

pub mod command;
pub mod copies;
mod crowd;
mod hints;
mod lists;
pub mod now;
mod pace;
mod places;
mod state;
pub mod tracker;
mod watched;
pub mod writer;

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::event::Seen;
use crate::evidence::Ways;
use crate::journal::{AllKnown, Batch, Journal, now_ms};
use crate::root::Root;
use crate::scan::{Snapshot, WatchStatus};
use copies::Copies;
use hints::{Hints, Woken};
use now::Now;
use pace::{POLL, Pace, TICK};
use places::{Place, Wish};
use tracker::Tracker;
use writer::{Tell, Writer};

/// The same where nothing stands that could be written without a hint.
const LONG_TICK: Duration = Duration::from_secs(60);
/// How long the end of another process that writes the journal is waited for.
const TURN: Duration = Duration::from_secs(3);

/// Takes in how it stands with the watch, whenever that changes.
pub type Say = Box<dyn FnMut(WatchStatus) + Send>;

/// Makes a look.
pub type Look = Box<dyn FnMut() -> Result<Arc<Snapshot>, String> + Send>;

/// A watch over one disk.
pub struct Watch {
    root: Root,
    look: Look,
    copies: Option<Copies>,
    status: WatchStatus,
    say: Say,
    hints: Option<Hints>,
    /// What is watched, by device and inode, and what for.
    watched: BTreeMap<(u64, u64), Wish>,
    tick: Duration,
    tracker: Option<Tracker>,
    /// The ways to what bundles reach outside, as the last look saw them.
    reaching: Vec<Ways>,
    /// True when something is watched since the last look.
    has_new_places: bool,
}

impl Watch {
    /// A watch that looks by `look`.
    pub fn new(root: Root, look: Look) -> Self {
        Self {
            root,
            look,
            copies: None,
            status: WatchStatus::default(),
            say: Box::new(|_| ()),
            hints: None,
            watched: BTreeMap::new(),
            tick: TICK,
            tracker: None,
            reaching: Vec::new(),
            has_new_places: false,
        }
    }

    /// Has `say` told how it stands with the watch.
    pub fn saying(&mut self, say: Say) {
        self.say = say;
    }

    /// Watches until `stop` can be read, and writes down what it sees in the journal that `open`
    /// gives; each event is told once it is there.
    ///
    /// # Errors
    /// When the thread that writes cannot be started, or has failed.
    pub fn run(
        &mut self,
        open: impl FnOnce() -> Journal,
        stop: Option<BorrowedFd<'_>>,
        tell: Tell,
    ) -> std::io::Result<()> {
        match Hints::new() {
            Ok(hints) => self.hints = Some(hints),
            Err(error) => log::error!("nothing can be watched: {error}"),
        }
        // The folders are watched before the first look, so that nothing comes in between; and that
        // look is made before the journal is opened, which may take the disk a while.
        self.place(&Snapshot::default());
        let mut first = Some((self.look)());
        let mut journal = open();
        let begun = Instant::now();
        while journal.is_busy() && begun.elapsed() < TURN {
            std::thread::sleep(Duration::from_millis(100));
            journal.retry();
        }
        self.copies = journal.place().map(|place| Copies::at(place, &self.root));
        let mut known = journal.known();
        let writer = Writer::start(journal, tell)?;
        let mut pace = Pace::new();
        let mut names = Vec::new();
        let mut handed = Instant::now();
        loop {
            let moving = self.tracker.as_ref().is_some_and(Tracker::is_moving);
            if pace.is_in_doubt && !pace.hinted {
                let left = pace.left_in_doubt().min(pace.left(moving, self.tick));
                let woken = self.wait_in_doubt(left, stop);
                if self.heed(woken, &mut pace, &mut names) {
                    break;
                }
                if !pace.hinted && pace.left_in_doubt().is_zero() {
                    let began = Instant::now();
                    let mut reaching = self.reaching.iter();
                    pace.hinted = !reaching.all(|ways| ways.are_still(&self.root));
                    pace.looked_at_ways(began);
                }
            }
            let left = pace.left(moving, self.tick);
            // More hints would not bring the look forward.
            if pace.hinted && hints::stops_within(left, stop) {
                break;
            }
            let left = pace.left(moving, self.tick);
            let woken = self.wait(left, stop);
            if self.heed(woken, &mut pace, &mut names) {
                break;
            }
            if !pace.left(moving, self.tick).is_zero() {
                continue;
            }
            let seen = if pace.hinted {
                Seen::Watched
            } else {
                Seen::Scan
            };
            let began = Instant::now();
            let names = std::mem::take(&mut names);
            let found = first.take().unwrap_or_else(|| (self.look)());
            let (batch, moves) = self.take_in(found, seen, names, moving, &mut known);
            pace.looked(began, moves || !batch.is_empty());
            // What was exchanged before it was watched gave no hint.
            pace.is_in_doubt = std::mem::take(&mut self.has_new_places);
            let is_quiet = seen == Seen::Scan && !moving;
            // Whoever makes hints come without end keeps nobody from looking after the file.
            if !batch.is_empty() || is_quiet || handed.elapsed() >= TICK {
                writer.write(batch)?;
                handed = Instant::now();
            }
            if let Some(tracker) = self.tracker.as_ref().filter(|_| writer.lacks_known()) {
                writer.write(Batch {
                    changes: tracker.known(),
                    is_all: true,
                    ..Batch::default()
                })?;
            }
        }
        if let Some(tracker) = &mut self.tracker {
            let (events, changes) = tracker.end(now());
            writer.write(Batch {
                events,
                changes,
                is_all: false,
            })?;
        }
        Ok(())
    }

    /// Takes in what waiting came to; true when it is to end.
    fn heed(&mut self, woken: Woken, pace: &mut Pace, names: &mut Vec<Vec<u8>>) -> bool {
        pace.hinted |= woken.hinted;
        pace.is_in_doubt |= woken.doubtful;
        names.extend(woken.names);
        for id in woken.ended {
            self.forget(id);
        }
        woken.stopped
    }

    /// Waits until the ways are to be looked at, or for a hint that has all looked at. Of what is doubtful more
    /// would not bring that forward: whoever writes into a directory on a way all day wakes nobody by it.
    fn wait_in_doubt(&mut self, time: Duration, stop: Option<BorrowedFd<'_>>) -> Woken {
        let begun = Instant::now();
        let mut woken = Woken::default();
        while !woken.hinted && !woken.stopped {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            if hints::stops_within(left.min(POLL), stop) {
                woken.stopped = true;
            } else {
                woken = self.wait(Duration::ZERO, stop);
            }
        }
        woken
    }

    fn wait(&mut self, timeout: Duration, stop: Option<BorrowedFd<'_>>) -> Woken {
        match &mut self.hints {
            Some(hints) => hints.wait(timeout, stop),
            None => Woken {
                stopped: hints::stops_within(timeout, stop),
                ..Woken::default()
            },
        }
    }

    /// Takes in what a look found; gives what is to be written, and whether something moves. The
    /// first look is compared with what was `known`.
    fn take_in(
        &mut self,
        found: Result<Arc<Snapshot>, String>,
        seen: Seen,
        names: Vec<Vec<u8>>,
        was_moving: bool,
        known: &mut Option<(AllKnown, bool)>,
    ) -> (Batch, bool) {
        let snapshot = match found {
            Ok(snapshot) => snapshot,
            Err(error) => {
                log::error!("a look of the watch failed: {error}");
                return (Batch::default(), false);
            }
        };
        // What cannot be listed has not gone.
        if snapshot.unreadable().is_some() {
            return (Batch::default(), false);
        }
        let reaching = snapshot.bundles.iter().map(|b| &b.evidence.ways);
        self.reaching = reaching.filter(|ways| !ways.is_empty()).cloned().collect();
        let now = now();
        let is_first = self.tracker.is_none();
        let when = if is_first { Seen::Start } else { seen };
        let tracker = self.tracker.get_or_insert_with(|| match known.take() {
            Some((known, cut)) => Tracker::begin(known, &snapshot.bundles, cut, now),
            None => Tracker::base_line(&snapshot.bundles, now),
        });
        if !is_first {
            let (root, whole) = (
                &self.root,
                snapshot.folders.iter().all(|f| f.error.is_none()),
            );
            let is_gone = |path: &[u8]| {
                whole
                    || root
                        .find_entry(path)
                        .is_err_and(|error| error.leads_nowhere())
            };
            tracker.see(&snapshot.bundles, seen, now, &is_gone);
            names.into_iter().for_each(|name| tracker.name(name));
        }
        tracker.see_lists(&snapshot.exceptions.lists, when);
        keep(self.copies.as_mut(), &self.root, &snapshot, tracker);
        let (events, changes) = tracker.settle(now);
        let mut batch = Batch {
            events,
            changes,
            is_all: false,
        };
        if is_first {
            batch.changes.extend(tracker.known());
            batch.is_all = true;
        }
        let moves = tracker.is_moving();
        if is_first || seen == Seen::Watched || !was_moving || !batch.is_empty() {
            self.place(&snapshot);
        }
        self.tick = tick(&snapshot, &self.status);
        (batch, moves)
    }

    /// Watches the places that are wanted now, and no others.
    fn place(&mut self, snapshot: &Snapshot) {
        let wanted = places::wanted(&self.root, snapshot, Hints::TELLS_WRITES, Hints::BUDGET);
        let (folders, left) = (wanted.folders, wanted.left);
        let mut wanted = wanted.places;
        let Some(hints) = &mut self.hints else {
            return self.say("tick", "the system gives no hints".to_owned());
        };
        let all = wanted.len().saturating_add(left);
        wanted.truncate(Hints::BUDGET);
        let wishes: BTreeMap<(u64, u64), Wish> = wanted.iter().map(|p| (p.id, p.wish())).collect();
        // One of which more is asked than before is watched anew.
        self.watched.retain(|id, wish| {
            let stays = wishes.get(id) == Some(wish);
            if !stays {
                hints.remove(*id);
            }
            stays
        });
        let mut refused = None;
        let mut own = 0_usize;
        for (index, place) in wanted.iter().enumerate() {
            if !self.watched.contains_key(&place.id) && refused.is_none() {
                match add(&self.root, hints, place) {
                    Ok(true) => {
                        self.watched.insert(place.id, place.wish());
                        self.has_new_places = true;
                    }
                    // It went meanwhile.
                    Ok(false) => {}
                    Err(error) => refused = Some(error),
                }
            }
            if index < folders && self.watched.contains_key(&place.id) {
                own = own.saturating_add(1);
            }
        }
        let own_all = own >= folders.min(Hints::BUDGET);
        let watched = self.watched.len();
        match refused {
            None if watched >= all => self.say("all", String::new()),
            None => {
                let more = all.saturating_sub(watched);
                // Some may have gone since the look; what is over the budget has not.
                let over = left > 0 || all > Hints::BUDGET;
                let (state, why) = if over {
                    (
                        "directories",
                        format!("limit: {more} places are left to the tick"),
                    )
                } else {
                    ("all", String::new())
                };
                self.say(state, why);
            }
            Some(why) if own_all && own > 0 => {
                self.say("directories", format!("no more can be watched: {why}"));
            }
            Some(why) => self.say("tick", format!("no more can be watched: {why}")),
        }
    }

    fn forget(&mut self, id: (u64, u64)) {
        if let Some(hints) = &mut self.hints {
            hints.remove(id);
        }
        self.watched.remove(&id);
    }

    fn say(&mut self, state: &'static str, error: String) {
        let status = WatchStatus {
            state,
            places: self.watched.len(),
            error,
        };
        if self.status == status {
            return;
        }
        if self.status.state != status.state && !status.error.is_empty() {
            log::warn!("not all is watched: {}", status.error);
        }
        self.status = status.clone();
        (self.say)(status);
    }
}

fn now() -> Now {
    Now {
        steady: Instant::now(),
        wall_ms: now_ms(),
    }
}

/// Between two looks when nothing hints at anything: a write into a file of a bundle, or behind a link,
/// may be without a hint, and all that is not watched.
fn tick(snapshot: &Snapshot, watch: &WatchStatus) -> Duration {
    let mut folders = snapshot.folders.iter();
    let is_plain = folders.all(|f| f.anomalies.is_empty() && f.error.is_none());
    if is_plain && snapshot.bundles.is_empty() && watch.state == "all" {
        LONG_TICK
    } else {
        TICK
    }
}

/// Watches one place; false when something else stands there by now.
fn add(root: &Root, hints: &mut Hints, place: &Place) -> Result<bool, std::io::Error> {
    let Ok(found) = root.find(&place.path) else {
        return Ok(false);
    };
    let Ok(dir) = found.open_dir() else {
        return Ok(false);
    };
    let meta = match &place.file {
        Some(name) => dir.meta(name),
        None => dir.own_meta(),
    };
    if !meta.is_ok_and(|m| (m.dev, m.ino) == place.id) {
        return Ok(false);
    }
    match hints.add(place, &dir) {
        Ok(()) => Ok(true),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NOTSUP | Errno::ACCESS) => {
                Ok(false)
            }
            _ => Err(error),
        },
    }
}

/// Makes the copies that are asked for.
fn keep(copies: Option<&mut Copies>, root: &Root, snapshot: &Snapshot, tracker: &mut Tracker) {
    let Some(copies) = copies.filter(|_| snapshot.exceptions.keep_copies) else {
        return;
    };
    for (path, hash) in tracker.unsettled() {
        let bundle = snapshot
            .bundles
            .iter()
            .find(|b| b.evidence.candidate.path == path);
        let Some(bundle) = bundle else {
            continue;
        };
        let place = copies.keep(root, bundle, &hash).unwrap_or_else(|why| {
            log::warn!("no copy of {} is kept: {why}", crate::text::escape(&path));
            String::new()
        });
        tracker.copied(&path, &hash, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::scan::Scanner;
    use dsplug_fixtures::{Disk, Plugin};

    #[test]
    fn looks_are_rarer_only_where_nothing_stands() {
        let disk = Disk::new();
        let looked = |state| {
            let root = Root::open(disk.path()).unwrap();
            let snapshot = Scanner::new(root, Limits::STANDARD).scan();
            let status = WatchStatus {
                state,
                ..WatchStatus::default()
            };
            tick(&snapshot, &status)
        };
        assert_eq!(looked("all"), LONG_TICK);
        assert_eq!(looked("directories"), TICK);
        let other = disk.plugin("").join("other");
        std::os::unix::fs::symlink("/nowhere", &other).unwrap();
        assert_eq!(looked("all"), TICK);
        std::fs::remove_file(other).unwrap();
        Plugin::new("A").write(disk.plugin(""));
        assert_eq!(looked("all"), TICK);
    }

    /// Whoever makes looks or ways dear has the watch rest for three times as long: neither an end nor a
    /// hint waits for that.
    #[test]
    fn no_rest_is_deaf_to_the_stop_or_to_hints() {
        let disk = Disk::new();
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD);
        let (sender, looks) = std::sync::mpsc::channel();
        let look = move || {
            sender.send(()).unwrap();
            std::thread::sleep(Duration::from_secs(1));
            Ok(Arc::new(scanner.scan()))
        };
        let (stopped, stop) = std::io::pipe().unwrap();
        let mut watch = Watch::new(root, Box::new(look));
        let watch = std::thread::spawn(move || {
            let stopped = Some(std::os::fd::AsFd::as_fd(&stopped));
            let tell: Tell = Box::new(|_| true);
            watch.run(Journal::in_memory, stopped, tell).unwrap();
            // Ways that take two seconds.
            let mut pace = Pace::new();
            pace.looked_at_ways(Instant::now().checked_sub(TURN).unwrap());
            assert!(pace.left_in_doubt() > TURN * 2);
            let begun = Instant::now();
            assert!(watch.wait_in_doubt(TURN * 2, stopped).stopped);
            assert!(watch.wait_in_doubt(TURN * 2, None).hinted);
            begun.elapsed()
        });
        looks.recv().unwrap();
        looks.recv().unwrap();
        std::thread::sleep(Duration::from_millis(1_200));
        drop(stop);
        let begun = Instant::now();
        std::thread::sleep(Duration::from_millis(300));
        std::fs::create_dir(disk.plugin("A.dsplug")).unwrap();
        let waited = watch.join().unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }

    #[test]
    fn what_only_led_on_and_holds_candidates_now_is_watched_for_these() {
        if !Hints::TELLS_WRITES {
            return;
        }
        let disk = Disk::new();
        let elsewhere = disk.dir("Users/Shared/d");
        disk.file("Users/Shared/d/code", "code");
        let bundle = Plugin::new("A").write(disk.plugin(""));
        std::os::unix::fs::symlink("/Users/Shared/d/code", bundle.join("link")).unwrap();
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD);
        let mut watch = Watch::new(root, Box::new(|| unreachable!()));
        watch.hints = Some(Hints::new().unwrap());
        watch.place(&scanner.scan());
        disk.link(
            "Library/DirectoryServices/PlugIns/Contents/Resources/en.lproj",
            "/Users/Shared/d",
        );
        let snapshot = scanner.scan();
        watch.place(&snapshot);
        while watch.wait(Duration::ZERO, None).hinted {}
        std::fs::create_dir(elsewhere.join("Evil.dsplug")).unwrap();
        let woken = watch.wait(TURN, None);
        let [name] = woken.names.as_slice() else {
            panic!("{woken:?}");
        };
        assert!(name.ends_with(b"/Contents/Resources/en.lproj/Evil.dsplug"));
        // And what is watched as it is wished stays so.
        watch.place(&snapshot);
        assert!(!watch.wait(Duration::ZERO, None).hinted);
    }

    /// Whoever has a list there while some queries are asked, and away while others are: each has a scan of
    /// its own, and the watch looks before and after.
    #[test]
    fn a_list_of_exceptions_that_is_away_between_two_looks_is_told() {
        if !dsplug_fixtures::needs_root("a list of exceptions must belong to root") {
            return;
        }
        let disk = Disk::new();
        disk.dir(dsplug_fixtures::PLUGINS);
        let list = crate::exceptions::LOCAL.trim_start_matches('/');
        let entry =
            "<dict><key>id</key><string>x</string><key>path</key><string>/x</string></dict>";
        let text = format!(
            "<plist version=\"1.0\"><dict><key>Exceptions</key><array>{entry}</array></dict></plist>"
        );
        let file = disk.file(list, &text);
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD);
        let mut looks = 0;
        let look = move || {
            looks += 1;
            if looks == 2 {
                std::fs::remove_file(&file).unwrap();
                scanner.scan();
                disk.file(list, &text);
            }
            Ok(Arc::new(scanner.scan()))
        };
        let (stopped, stop) = std::io::pipe().unwrap();
        let (sender, events) = std::sync::mpsc::channel();
        let watch = std::thread::spawn(move || {
            let tell: Tell = Box::new(move |event| sender.send(event.clone()).is_ok());
            let stopped = std::os::fd::AsFd::as_fd(&stopped);
            let mut watch = Watch::new(root, Box::new(look));
            watch.run(Journal::in_memory, Some(stopped), tell).unwrap();
        });
        let next = || events.recv_timeout(TURN).unwrap();
        let (away, back) = (next(), next());
        drop(stop);
        watch.join().unwrap();
        for event in [&away, &back] {
            assert_eq!(event.action, crate::event::Action::Exceptions);
            assert_eq!(event.path, crate::exceptions::LOCAL);
            assert_eq!(event.seen, Some(Seen::Watched));
        }
        assert_eq!(
            (away.state.kind.as_str(), away.state.hash.as_str()),
            ("none", "")
        );
        assert_eq!(
            (back.state.kind.as_str(), back.previous_hash.as_str()),
            ("active", "")
        );
        assert_eq!(back.state.hash, away.previous_hash);
        assert_eq!(back.state.hash.len(), 64);
    }

    #[test]
    fn a_watch_whose_events_are_no_longer_written_ends() {
        let disk = Disk::new();
        disk.dir(dsplug_fixtures::PLUGINS);
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD);
        let mut number = 0;
        let look = move || {
            number += 1;
            Plugin::new(&format!("A{number}")).write(disk.plugin(""));
            Ok(Arc::new(scanner.scan()))
        };
        let mut watch = Watch::new(root, Box::new(look));
        let tell: Tell = Box::new(|_| panic!("the thread that writes ends here"));
        let error = watch.run(Journal::in_memory, None, tell).unwrap_err();
        assert!(error.to_string().contains("failed inside"), "{error}");
    }
}
