//! The watch: looks whenever the system hints that something was written, and once or twice a minute anyway
//! (more rarely where a look takes long), and writes down what happened to each bundle.
//!
//! - `hints` come from the system, for the `places` that are worth a watch, of which `watches` has those
//!   that can be had;
//! - [`tracker`] compares looks with what was told of each bundle that is `watched`, by what `state`
//!   says of it, and
//!   [`writer`] hands the events to the journal;
//! - `crowd` says how much is told of what comes and goes with nothing in it, or is `alike` what was told;
//! - `lists` does the same as `tracker` for the lists of exceptions;
//! - `pace` says when the next look is due, and `calm` whether all stands as the last one found it;
//! - [`copies`] keeps what goes, where that is asked for;
//! - [`command`] shows events to a person.
//!
//! A look is an ordinary scan, which opens no file that has not changed. Looks take no more than a
//! fourth of the time, however much is written.

mod alike;
pub mod calm;
mod code;
pub mod command;
pub mod copies;
mod crowd;
mod hints;
mod lists;
mod moving;
pub mod now;
mod pace;
mod places;
mod state;
pub mod tracker;
mod turns;
mod wanted;
mod watched;
mod watches;
pub mod writer;

pub use pace::MOST_QUIET;
pub use watches::Say;

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::Seen;
use crate::evidence::Ways;
use crate::journal::{AllKnown, Batch, Journal, now_ms};
use crate::root::Root;
use crate::scan::Snapshot;
use crate::since::Since;
use calm::{Calm, Watching};
use copies::Copies;
use hints::{MOST_NAMES, Woken};
use now::Now;
use pace::{Pace, TICK};
use tracker::Tracker;
use watches::Watches;
use writer::{Tell, Writer};

/// The same where all is watched, and where nothing stands that could be written without a hint.
const CALM_TICK: Duration = Duration::from_secs(60);
const EMPTY_TICK: Duration = Duration::from_secs(300);
/// How long the end of another process that writes the journal is waited for.
const TURN: Duration = Duration::from_secs(3);

/// Makes a look.
pub type Look = Box<dyn FnMut() -> Result<Arc<Snapshot>, String> + Send>;

/// A watch over one disk.
pub struct Watch {
    root: Root,
    look: Look,
    copies: Option<Copies>,
    watches: Watches,
    calm: Calm,
    /// Since when it is at work, and does not wait.
    work: Arc<Since>,
    tick: Duration,
    tracker: Option<Tracker>,
    /// The ways to what bundles reach outside, as the last look saw them.
    reaching: Vec<Arc<Ways>>,
}

impl Watch {
    /// A watch that looks by `look`.
    pub fn new(root: Root, look: Look) -> Self {
        Self {
            watches: Watches::none(root.clone()),
            root,
            look,
            copies: None,
            calm: Calm::default(),
            work: Arc::default(),
            tick: TICK,
            tracker: None,
            reaching: Vec::new(),
        }
    }

    /// Has `say` told how it stands with the watch.
    pub fn saying(&mut self, say: Say) {
        self.watches.saying(say);
    }

    /// Has `calm` say whether all stands as the last look found it.
    pub fn calming(&mut self, calm: Calm) {
        self.calm = calm;
    }

    /// Has `work` say since when it is at work, while it does not wait.
    pub(crate) fn working(&mut self, work: Arc<Since>) {
        self.work = work;
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
        let calm = self.calm.clone();
        let _watching = Watching(&calm);
        let work = Arc::clone(&self.work);
        let _working = work.begin();
        self.watches.begin();
        // The folders are watched before the first look, so that nothing comes in between; and the journal is
        // open before that, since what it knows has room before what is new.
        self.watches.place(&Snapshot::default());
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
                let woken = work.rests(|| self.watches.wait_in_doubt(left, stop));
                if heed(woken, &mut pace, &mut names) {
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
            if pace.hinted && work.rests(|| hints::stops_within(left, stop)) {
                break;
            }
            let left = pace.left(moving, self.tick);
            calm.set(self.tick > TICK && !moving && !pace.hinted && !pace.is_in_doubt);
            let woken = work.rests(|| self.watches.wait(left, stop));
            if heed(woken, &mut pace, &mut names) {
                break;
            }
            let is_due = pace.left(moving, self.tick).is_zero();
            if is_due || pace.hinted || pace.is_in_doubt {
                calm.set(false);
            }
            if !is_due {
                continue;
            }
            let seen = if pace.hinted {
                Seen::Watched
            } else {
                Seen::Scan
            };
            let began = Instant::now();
            let found = (self.look)();
            let (batch, moves) = self.take_in(found, seen, &mut names, moving, &mut known);
            pace.looked(began, moves || !batch.is_empty());
            // What was exchanged before it was watched gave no hint.
            pace.is_in_doubt = self.watches.take_new();
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

    /// Takes in what a look found; gives what is to be written, and whether something moves. The
    /// first look is compared with what was `known`. The names wait for a look that succeeds.
    fn take_in(
        &mut self,
        found: Result<Arc<Snapshot>, String>,
        seen: Seen,
        names: &mut Vec<Vec<u8>>,
        was_moving: bool,
        known: &mut Option<(AllKnown, bool)>,
    ) -> (Batch, bool) {
        let found = found.inspect_err(|error| log::error!("a look of the watch failed: {error}"));
        // What cannot be listed has not gone.
        let is_whole = |found: &Arc<Snapshot>| found.unreadable().is_none();
        let Some(snapshot) = found.as_ref().ok().filter(|found| is_whole(found)) else {
            names.truncate(MOST_NAMES);
            // What hinted may be watched no more.
            self.tick = TICK;
            if let Ok(found) = &found {
                self.watches.place(found);
            }
            return (Batch::default(), false);
        };
        let reaching = snapshot.bundles.iter().map(|b| &b.evidence.reach.ways);
        self.reaching = reaching.filter(|ways| !ways.is_empty()).cloned().collect();
        let now = now();
        let names = std::mem::take(names);
        let is_first = self.tracker.is_none();
        let when = if is_first { Seen::Start } else { seen };
        let root = &self.root;
        let whole = snapshot.folders.iter().all(|f| f.error.is_none());
        let is_gone = |path: &[u8]| whole || root.has_gone(path);
        let tracker = self.tracker.get_or_insert_with(|| match known.take() {
            Some((known, cut)) => Tracker::begin(known, &snapshot.bundles, cut, now, &is_gone),
            None => Tracker::base_line(&snapshot.bundles, now),
        });
        if !is_first {
            tracker.see(&snapshot.bundles, seen, now, &is_gone);
        }
        for name in names {
            tracker.name(name, &is_gone);
        }
        tracker.see_lists(&snapshot.exceptions.lists, when);
        let copies = self.copies.as_mut().map(|copies| (copies, &*self.work));
        keep(copies, &self.root, snapshot, tracker);
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
        // Whether all is watched, on which the calm hangs, is asked of what is there now.
        let has_settled = !was_moving || !moves;
        if is_first || seen == Seen::Watched || has_settled || !batch.is_empty() {
            self.watches.place(snapshot);
        }
        self.tick = tick(snapshot, self.watches.are_all());
        (batch, moves)
    }
}

/// Takes in what waiting came to; true when it is to end.
fn heed(woken: Woken, pace: &mut Pace, names: &mut Vec<Vec<u8>>) -> bool {
    pace.hinted |= woken.hinted;
    pace.is_in_doubt |= woken.doubtful;
    names.extend(woken.names);
    woken.stopped
}

fn now() -> Now {
    Now {
        steady: Instant::now(),
        wall_ms: now_ms(),
    }
}

/// Between two looks when nothing hints at anything: a write into a file of a bundle, or behind a link,
/// may be without a hint, and all that is not watched.
fn tick(snapshot: &Snapshot, all_is_watched: bool) -> Duration {
    let mut folders = snapshot.folders.iter();
    let is_plain = folders.all(|f| f.anomalies.is_empty() && f.error.is_none());
    match is_plain && all_is_watched {
        true if snapshot.bundles.is_empty() => EMPTY_TICK,
        true => CALM_TICK,
        false => TICK,
    }
}

/// Makes the copies that are asked for.
fn keep(
    copies: Option<(&mut Copies, &Since)>,
    root: &Root,
    snapshot: &Snapshot,
    tracker: &mut Tracker,
) {
    let Some((copies, work)) = copies.filter(|_| snapshot.exceptions.keep_copies) else {
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
        work.runs();
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

    /// A watch in a thread of its own, until it is dropped.
    struct Watching {
        events: std::sync::mpsc::Receiver<crate::event::Event>,
        stop: Option<std::io::PipeWriter>,
        thread: Option<std::thread::JoinHandle<()>>,
    }

    impl Watching {
        fn begin(root: Root, look: Look) -> Self {
            Self::begin_calming(root, look, &Calm::default())
        }

        fn begin_calming(root: Root, look: Look, calm: &Calm) -> Self {
            let calm = calm.clone();
            let (stopped, stop) = std::io::pipe().unwrap();
            let (sender, events) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                let tell: Tell = Box::new(move |event| sender.send(event.clone()).is_ok());
                let stopped = std::os::fd::AsFd::as_fd(&stopped);
                let mut watch = Watch::new(root, look);
                watch.calming(calm);
                watch.run(Journal::in_memory, Some(stopped), tell).unwrap();
            });
            Self {
                events,
                stop: Some(stop),
                thread: Some(thread),
            }
        }

        fn next(&self) -> crate::event::Event {
            self.events.recv_timeout(TURN * 2).unwrap()
        }
    }

    impl Drop for Watching {
        fn drop(&mut self) {
            drop(self.stop.take());
            let ended = self.thread.take().map(std::thread::JoinHandle::join);
            assert!(std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()));
        }
    }

    #[test]
    fn looks_are_rarer_only_where_all_is_watched() {
        let disk = Disk::new();
        let looked = |all_is_watched| {
            let root = Root::open(disk.path()).unwrap();
            let snapshot = Scanner::new(root, Limits::STANDARD).scan();
            tick(&snapshot, all_is_watched)
        };
        assert_eq!((looked(true), looked(false)), (EMPTY_TICK, TICK));
        Plugin::new("A").write(disk.plugin(""));
        assert_eq!((looked(true), looked(false)), (CALM_TICK, TICK));
        let other = disk.plugin("").join("other");
        std::os::unix::fs::symlink("/nowhere", &other).unwrap();
        assert_eq!((looked(true), looked(false)), (TICK, TICK));
    }

    #[test]
    fn it_is_calm_when_a_look_found_all_still_and_never_while_one_is_made() {
        let disk = Disk::new();
        let bundle = Plugin::new("A").write(disk.plugin(""));
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD);
        let calm = Calm::default();
        let inside = calm.clone();
        let (sender, looks) = std::sync::mpsc::channel();
        let look = move || {
            sender.send(inside.is()).unwrap();
            Ok(Arc::new(scanner.scan()))
        };
        let watching = Watching::begin_calming(root, Box::new(look), &calm);
        let until = |is_calm: bool| {
            let begun = Instant::now();
            while calm.is() != is_calm {
                assert!(begun.elapsed() < TURN * 2, "{is_calm}");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        until(true);
        // Until a hint has a look made at once.
        std::thread::sleep(Duration::from_millis(300));
        std::fs::write(bundle.join("Contents/new"), "").unwrap();
        assert_eq!(watching.next().action, crate::event::Action::Changed);
        until(true);
        // What may be anything keeps it from being calm.
        let other = disk.plugin("other");
        std::os::unix::fs::symlink("/nowhere", &other).unwrap();
        until(false);
        std::thread::sleep(Duration::from_millis(600));
        assert!(!calm.is());
        std::fs::remove_file(other).unwrap();
        until(true);
        drop(watching);
        assert!(!calm.is());
        assert!(looks.iter().all(|is_calm| !is_calm));
    }

    /// Whoever asks sees a call that does not come back, and no wait.
    #[test]
    fn it_is_at_work_while_it_does_not_wait() {
        let disk = Disk::new();
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD);
        let (go_on, held) = std::sync::mpsc::channel::<()>();
        let look = move || {
            let _ = held.recv();
            Ok(Arc::new(scanner.scan()))
        };
        let (stopped, stop) = std::io::pipe().unwrap();
        let work = Arc::new(Since::default());
        let mut watch = Watch::new(root, Box::new(look));
        watch.working(Arc::clone(&work));
        let watch = std::thread::spawn(move || {
            let stopped = Some(std::os::fd::AsFd::as_fd(&stopped));
            let tell: Tell = Box::new(|_| true);
            watch.run(Journal::in_memory, stopped, tell).unwrap();
        });
        let long = Duration::from_millis(500);
        let begun = Instant::now();
        while work.elapsed().is_none_or(|at_work| at_work < long) {
            assert!(begun.elapsed() < TURN * 2);
        }
        drop(go_on);
        let begun = Instant::now();
        while work.elapsed().is_some() {
            assert!(begun.elapsed() < TURN * 2);
        }
        drop(stop);
        watch.join().unwrap();
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
            assert!(watch.watches.wait_in_doubt(TURN * 2, stopped).stopped);
            assert!(watch.watches.wait_in_doubt(TURN * 2, None).hinted);
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
        let watching = Watching::begin(root, Box::new(look));
        let (away, back) = (watching.next(), watching.next());
        for event in [&away, &back] {
            assert_eq!(event.action, crate::event::Action::Exceptions);
            assert_eq!(event.path, crate::exceptions::LOCAL);
            assert_eq!(event.seen, Some(Seen::Watched));
        }
        assert_eq!(
            (&*away.state.kind, &*away.state.hash.to_string()),
            ("none", "")
        );
        assert_eq!(
            (&*back.state.kind, &*back.previous_hash.to_string()),
            ("active", "")
        );
        assert_eq!(back.state.hash, away.previous_hash);
        assert_eq!(back.state.hash.to_string().len(), 64);
    }

    /// What hinted may have gone with what cannot be read.
    #[test]
    fn after_a_look_that_failed_the_next_is_due_soon_and_nothing_is_calm() {
        let disk = Disk::new();
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD).remembering();
        let mut watch = Watch::new(root, Box::new(|| Err(String::new())));
        watch.watches.begin();
        let mut look = |found| {
            let batch = watch.take_in(found, Seen::Scan, &mut Vec::new(), false, &mut None);
            (batch.1, watch.tick)
        };
        assert_eq!(look(Ok(Arc::new(scanner.scan()))), (false, EMPTY_TICK));
        assert_eq!(look(Err("it failed".to_owned())), (false, TICK));
        assert_eq!(look(Ok(Arc::new(scanner.scan()))), (false, EMPTY_TICK));
        std::fs::remove_dir(disk.at(dsplug_fixtures::PLUGINS)).unwrap();
        disk.link(dsplug_fixtures::PLUGINS, disk.too_far());
        let failed = scanner.scan();
        assert!(failed.unreadable().is_some());
        assert!(!scanner.holds(&failed));
        assert_eq!(look(Ok(Arc::new(failed))), (false, TICK));
    }

    /// Whoever has a look fail has what came and went meanwhile told by the next; and so has who comes and goes while the
    /// first one is made.
    #[test]
    fn what_came_and_went_before_a_look_that_failed_is_told() {
        let disk = Disk::new();
        disk.dir(dsplug_fixtures::PLUGINS);
        let fleeting = ["1.dsplug", "2.dsplug"].map(|name| disk.plugin(name));
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD);
        let mut looks = 0;
        let look = move || {
            looks += 1;
            if looks == 3 {
                return Err("it failed".to_owned());
            }
            let snapshot = scanner.scan();
            if let Some(path) = fleeting.get(looks - 1) {
                std::fs::create_dir(path).unwrap();
                std::fs::remove_dir(path).unwrap();
            }
            Ok(Arc::new(snapshot))
        };
        let other = disk.plugin("other");
        let watching = Watching::begin(root, Box::new(look));
        let wait_for = |name: &str| while !watching.next().path.ends_with(name) {};
        wait_for("/1.dsplug");
        std::thread::sleep(Duration::from_secs(1));
        // A hint for another look.
        std::fs::write(other, "").unwrap();
        wait_for("/2.dsplug");
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
