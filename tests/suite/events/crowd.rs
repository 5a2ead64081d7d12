//! What comes and goes with nothing in it, without end: told at a bounded rate, and nothing else is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dsplug::bundle::Bundle;
use dsplug::event::{Action, Event, Seen};
use dsplug::limits::Limits;
use dsplug::load::{LoadVerdict, Reason};
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug::watch::now::Now;
use dsplug::watch::tracker::Tracker;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, fifo};

use super::looks::Looks;
use super::{Watcher, digest, make, sha256};

/// Lines of what holds nothing that there are at once.
pub(super) const AT_ONCE: usize = 240;

/// A disk, and looks at it one after the other.
pub(super) struct Crowd {
    pub(super) disk: Disk,
    looks: Looks,
    millis: u64,
}

impl Crowd {
    pub(super) fn begin(disk: Disk) -> Self {
        Self {
            looks: Looks::begin(&disk),
            disk,
            millis: 0,
        }
    }

    /// A look so much later, and what it had told.
    pub(super) fn after(&mut self, millis: u64) -> Vec<Event> {
        self.millis += millis;
        self.looks.events_at(self.millis)
    }

    /// Looks until something new is told.
    pub(super) fn settled(&mut self) -> Vec<Event> {
        let mut events = self.after(1);
        events.extend(self.after(300));
        events
    }

    /// Directories that come and go until there is no line left for them.
    fn exhausted(disk: Disk) -> Self {
        let mut crowd = Self::begin(disk);
        let mut told = 0;
        for _ in 0..2 {
            crowd.all(AT_ONCE, |path| fs::create_dir(path).unwrap());
            told += of_paths(&crowd.settled()).len();
            crowd.all(AT_ONCE, |path| fs::remove_dir(path).unwrap());
            told += of_paths(&crowd.settled()).len();
        }
        assert!(told <= AT_ONCE, "{told}");
        crowd
    }

    /// Writes again and again to code that hundreds lead to: each time it is told at once, and of all of them as many
    /// as there are lines.
    #[track_caller]
    fn tells_in_part_what_changes(&mut self, code: &Path) {
        let mut told = 0;
        for round in 1..6 {
            fs::write(code, round.to_string()).unwrap();
            let events = [self.settled(), self.after(3_000)].concat();
            let new = sha256(round.to_string().as_bytes());
            assert!(events.iter().any(|e| e.state.executable_hash == *new));
            told += events.len();
        }
        assert!((AT_ONCE..290).contains(&told), "{told}");
    }

    fn all(&self, number: usize, what: impl Fn(&Path)) {
        (0..number).for_each(|n| what(&self.disk.plugin(format!("x{n}.dsplug"))));
    }
}

/// The events that are of one path, not those that say how many more there were.
fn of_paths(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|e| e.action != Action::More).collect()
}

/// How many more events say there were.
fn more(events: &[Event]) -> usize {
    let more = events.iter().filter(|e| e.action == Action::More);
    more.map(|event| {
        assert_eq!(event.path, "/Library/DirectoryServices/PlugIns");
        let count = event.state.error.strip_prefix("limit: at least ").unwrap();
        let (count, rest) = count.split_once(' ').unwrap();
        assert!(rest.starts_with("more came and went"), "{rest}");
        count.parse::<usize>().unwrap()
    })
    .sum()
}

#[test]
fn what_comes_and_goes_with_nothing_in_it_is_told_together() {
    let mut crowd = Crowd::begin(Disk::new());
    let mut events = Vec::new();
    let rounds = 12;
    for _ in 0..rounds {
        crowd.all(200, |path| fs::create_dir(path).unwrap());
        events.extend(crowd.after(1));
        events.extend(crowd.after(300));
        crowd.all(200, |path| fs::remove_dir(path).unwrap());
        events.extend(crowd.after(10_000));
    }
    let told = of_paths(&events).len();
    let seconds = usize::try_from(crowd.millis).unwrap() / 1_000;
    assert!(
        (AT_ONCE..AT_ONCE + seconds / 5 + 2).contains(&told),
        "{told}"
    );
    // Each of those that are told has come and gone.
    let count = |events: &[Event], action| events.iter().filter(|e| e.action == action).count();
    assert_eq!(count(&events, Action::Appeared), told / 2);
    assert_eq!(count(&events, Action::Gone), told / 2);
    // And nothing is silent.
    events.extend(crowd.after(60_000));
    assert_eq!(more(&events) + told / 2, rounds * 200);
    assert!(count(&events, Action::More) <= seconds / 60 + 1);
    // The same of those that no look sees.
    let mut events = Vec::new();
    for second in 0..100 {
        for number in 0..100 {
            let path = format!("/Library/DirectoryServices/PlugIns/{second}-{number}.dsplug");
            crowd.looks.tracker.name(path.into_bytes(), &|_| true);
        }
        events.extend(crowd.after(1_000));
    }
    events.extend(crowd.after(60_000));
    let told = of_paths(&events).len();
    // They have lines of their own.
    assert!((AT_ONCE..AT_ONCE + 60).contains(&told), "{told}");
    assert_eq!(more(&events) + told / 2, 10_000);
    let last = events.iter().rfind(|e| e.action == Action::More).unwrap();
    let error = &last.state.error;
    assert!(error.ends_with("/PlugIns/99-99.dsplug last"), "{error}");
}

/// What waits for its minute is told before the watch ends.
#[test]
fn how_many_more_there_were_is_told_at_the_end() {
    let mut watcher = Watcher::started();
    let come_and_go = |watcher: &Watcher, round: usize| {
        for number in 0..300 {
            let path = watcher.disk.plugin(format!("x{round}-{number}.dsplug"));
            fs::create_dir(&path).unwrap();
            fs::remove_dir(path).unwrap();
        }
        // Once this is told, all that was before has been looked at.
        watcher.make(&format!("V{round}.dsplug"), b"code");
        let name = format!("/V{round}.dsplug");
        watcher.wait_for(|line| line["path"].ends_with(&name))
    };
    come_and_go(&watcher, 0);
    come_and_go(&watcher, 1);
    let begun = Instant::now();
    let lines = watcher.stop();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(lines.last().unwrap()["action"], "more", "{lines:#?}");
    let all = watcher.rows();
    let more: Vec<_> = all.iter().filter(|row| row["action"] == "more").collect();
    assert_eq!(more.len(), 2, "{all:#?}");
    let of_bundles = all
        .iter()
        .filter(|row| !row["hash"].is_empty() && row["path"].contains("/V"));
    assert!(of_bundles.count() >= 2);
    assert!(all.len() < 2 * AT_ONCE + 20, "{}", all.len());
}

/// While the crowd comes and goes, each of these is told at once and whole, as often as it comes.
#[test]
fn what_holds_anything_is_told_in_full_whatever_comes_and_goes() {
    type Make = fn(&Disk, &Path);
    let kinds: [(&str, Make); 9] = [
        ("code", |_, path| drop(make(path, b"code"))),
        ("a byte", |_, path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("x"), "x").unwrap();
        }),
        ("an empty file in it", |_, path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("x"), "").unwrap();
        }),
        ("a file with a byte", |_, path| {
            fs::write(path, "x").unwrap()
        }),
        ("a link in it", |_, path| {
            fs::create_dir(path).unwrap();
            symlink("/nowhere", path.join("x")).unwrap();
        }),
        ("a link to code", |disk, path| {
            make(&disk.at("Users/Shared/Real.dsplug"), b"linked");
            symlink("/Users/Shared/Real.dsplug", path).unwrap();
        }),
        ("a link to a file", |disk, path| {
            disk.file("Users/Shared/code", "code");
            symlink("/Users/Shared/code", path).unwrap();
        }),
        ("a list alone", |_, path| {
            fs::create_dir_all(path.join("Contents")).unwrap();
            fs::write(path.join("Contents/Info.plist"), "").unwrap();
        }),
        ("deeper than is gone", |_, path| {
            fs::create_dir_all(path.join("d/".repeat(600))).unwrap();
        }),
    ];
    for (what, make) in kinds {
        let mut crowd = Crowd::exhausted(Disk::new());
        let path = crowd.disk.plugin("Evil.dsplug");
        for _ in 0..2 {
            make(&crowd.disk, &path);
            let events = crowd.settled();
            let [appeared] = of_paths(&events)[..] else {
                panic!("{what}: {events:#?}");
            };
            assert_eq!(appeared.action, Action::Appeared);
            if what == "code" {
                assert_eq!(appeared.state.hash, digest(&path));
            }
            fs::remove_dir_all(&path)
                .or_else(|_| fs::remove_file(&path))
                .unwrap();
            let events = crowd.settled();
            assert_eq!(of_paths(&events).len(), 1, "{what}: {events:#?}");
            assert_eq!(of_paths(&events)[0].action, Action::Gone);
        }
        // It came empty first, and gone are the lines for that; or is emptied before it goes.
        fs::create_dir(&path).unwrap();
        assert_eq!(of_paths(&crowd.settled()).len(), 0, "{what}");
        fs::remove_dir(&path).unwrap();
        make(&crowd.disk, &path);
        let events = crowd.settled();
        assert_eq!(of_paths(&events).len(), 1, "{what}: {events:#?}");
        fs::remove_dir_all(&path)
            .or_else(|_| fs::remove_file(&path))
            .unwrap();
        fs::create_dir(&path).unwrap();
        let events = crowd.settled();
        assert_eq!(of_paths(&events).len(), 1, "{what}: {events:#?}");
        assert_eq!(of_paths(&events)[0].action, Action::Changed);
        fs::remove_dir(&path).unwrap();
        assert_eq!(of_paths(&crowd.settled()).len(), 1, "{what}");
    }
}

#[test]
fn all_that_holds_nothing_is_of_the_crowd() {
    type Make = fn(&Path);
    let kinds: [Make; 5] = [
        |path| fs::create_dir(path).unwrap(),
        |path| fs::create_dir_all(path.join("Contents/MacOS")).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| symlink("/nowhere", path).unwrap(),
        |path| fifo(path),
    ];
    for make in kinds {
        let mut crowd = Crowd::exhausted(Disk::new());
        let path = crowd.disk.plugin("Evil.dsplug");
        make(&path);
        assert_eq!(of_paths(&crowd.settled()).len(), 0);
        fs::remove_dir_all(&path)
            .or_else(|_| fs::remove_file(&path))
            .unwrap();
        assert_eq!(of_paths(&crowd.settled()).len(), 0);
        // One that stays is told once there is a line for it.
        make(&path);
        assert_eq!(of_paths(&crowd.settled()).len(), 0);
        let events = crowd.after(30_000);
        assert_eq!(of_paths(&events).len(), 1, "{events:#?}");
        // And how often it changes nothing is bounded too.
        let mut told = 0;
        for round in 0..20 {
            if path.is_dir() {
                dsplug_fixtures::chmod(&path, 0o700 + round % 8);
                told += of_paths(&crowd.after(1)).len() + of_paths(&crowd.after(3_000)).len();
            }
        }
        assert!(told <= 18, "{told}");
    }
}

/// One write changes all that lead there: the first is told, and of the others as many as there are lines.
#[test]
fn what_changes_alike_is_told_in_part_and_hides_nothing_else() {
    let disk = Disk::new();
    let real = disk.at("Users/Shared/Real.dsplug");
    make(&real, b"0");
    let code = real.join("Contents/MacOS/Real");
    let crowd = Crowd::begin(disk);
    crowd.all(600, |path| {
        symlink("/Users/Shared/Real.dsplug", path).unwrap()
    });
    let evil = crowd.disk.plugin("Evil.dsplug");
    make(&evil, b"good");
    let evil_code = evil.join("Contents/MacOS/Evil");
    let mut crowd = Crowd::begin(crowd.disk);
    let mut told = 0;
    for round in 1..6 {
        fs::write(&code, round.to_string()).unwrap();
        fs::write(&evil_code, format!("evil {round}")).unwrap();
        let events = [crowd.settled(), crowd.after(3_000)].concat();
        let of_evil = events.iter().filter(|e| e.path.ends_with("/Evil.dsplug"));
        let hashes: Vec<_> = of_evil.map(|e| e.state.hash.to_string()).collect();
        assert_eq!(hashes, [digest(&evil)]);
        // Whatever is new is told once.
        let new = events.iter().any(|e| e.state.hash == *digest(&real));
        assert!(new, "{round}");
        told += events.len() - 1;
    }
    assert!((240..280).contains(&told), "{told}");
    // And what came and went before comes and goes with the others.
    let mut events = Vec::new();
    for _ in 0..4 {
        fs::rename(&evil, crowd.disk.at("away")).unwrap();
        events.extend(crowd.settled());
        fs::rename(crowd.disk.at("away"), &evil).unwrap();
        events.extend(crowd.settled());
    }
    events.extend(crowd.after(60_000));
    let of_evil = events.iter().filter(|e| e.path.ends_with("/Evil.dsplug"));
    let actions: Vec<_> = of_evil.map(|e| e.action).collect();
    assert_eq!(actions.first(), Some(&Action::Gone), "{events:#?}");
    assert!(more(&events) > 0 || actions.len() == 8, "{events:#?}");
}

/// A directory with what many others hold.
fn same(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::write(path.join("x"), "same").unwrap();
}

/// A file that is too large to be read.
fn hole(path: &Path) {
    fs::File::create(path).unwrap().set_len(3 << 30).unwrap();
}

/// By whatever text each leads there, and where it is too much to be read.
#[test]
fn links_of_other_texts_change_alike_and_so_do_those_to_what_is_not_read_whole() {
    for is_whole in [true, false] {
        let disk = Disk::new();
        let real = make(&disk.at("Users/Shared/Real.dsplug"), b"0");
        let code = real.join("Contents/MacOS/Real");
        if !is_whole {
            hole(&real.join("hole"));
        }
        for number in 0..600 {
            let text = format!("/Users/Shared/{}Real.dsplug", "./".repeat(number % 300));
            disk.link(format!("{PLUGINS}/x{number}.dsplug"), text);
        }
        let mut crowd = Crowd::begin(disk);
        crowd.tells_in_part_what_changes(&code);
        // None of that is another one: there, its very copy elsewhere, or more of it behind a link.
        let evil = make(&crowd.disk.at("Users/Shared/Evil.dsplug"), b"evil");
        hole(&evil.join("hole"));
        crowd
            .disk
            .link(format!("{PLUGINS}/zz.dsplug"), "/Users/Shared/Evil.dsplug");
        let events = crowd.settled();
        let of_evil = events.iter().filter(|e| e.path.ends_with("/zz.dsplug"));
        assert_eq!(of_evil.count(), 1);
        let copy = make(&crowd.disk.at("Users/Shared/Copy/Real.dsplug"), b"5");
        if !is_whole {
            hole(&copy.join("hole"));
        }
        let link = crowd.disk.plugin("x599.dsplug");
        fs::remove_file(&link).unwrap();
        symlink("/Users/Shared/Copy/Real.dsplug", link).unwrap();
        let events = [crowd.settled(), crowd.after(3_000)].concat();
        let leads_there = |e: &Event| e.state.resolved_path.starts_with("/Users/Shared/Copy/");
        assert!(events.iter().any(leads_there), "{events:#?}");
    }
}

/// What stands behind a link and is too large to be read is another by what the file system says of it.
#[test]
fn no_two_bundles_are_alike_by_what_nobody_has_read_behind_a_link() {
    let disk = Disk::new();
    let big = disk.file("Users/Shared/big", "");
    hole(&big);
    let mut crowd = Crowd::begin(disk);
    let make = |path: &Path| {
        fs::create_dir(path).unwrap();
        symlink("/Users/Shared/big", path.join("l")).unwrap();
    };
    // There is no line left for what was told.
    crowd.all(300, same);
    assert!(crowd.settled().len() < 130);
    make(&crowd.disk.plugin("z.dsplug"));
    assert_eq!(of_paths(&crowd.settled()).len(), 1);
    let file = fs::File::options().write(true).open(big).unwrap();
    file.set_len((3 << 30) + 1).unwrap();
    make(&crowd.disk.plugin("zz.dsplug"));
    let events = crowd.settled();
    let has = |name: &str| events.iter().any(|e| e.path.ends_with(name));
    assert!(has("/zz.dsplug"), "{events:#?}");
}

/// Bundles by the thousand, each of other content, with a tracker that has seen them.
struct Thousands {
    all: Vec<Arc<Bundle>>,
    tracker: Tracker,
    begun: Instant,
    seconds: u64,
}

impl Thousands {
    fn begin(content: impl Fn(&Disk, usize)) -> Self {
        let disk = Disk::new();
        (0..2_300).for_each(|number| content(&disk, number));
        let root = Root::open(disk.path()).unwrap();
        let limits = Limits {
            time: Duration::from_secs(3_600),
            ..Limits::STANDARD
        };
        let all = Scanner::new(root, limits).scan().bundles;
        assert_eq!(all.len(), 2_300);
        let begun = Instant::now();
        let now = Now {
            steady: begun,
            wall_ms: 0,
        };
        Self {
            tracker: Tracker::base_line(&all, now),
            all,
            begun,
            seconds: 0,
        }
    }

    /// What is told when nothing but these stands there, and of how many nothing is known any more.
    fn look(&mut self, bundles: &[Arc<Bundle>]) -> (Vec<Event>, usize) {
        let mut told = Vec::new();
        let mut forgotten = 0;
        for _ in 0..2 {
            self.seconds += 3;
            let now = Now {
                steady: self.begun + Duration::from_secs(self.seconds),
                wall_ms: 0,
            };
            self.tracker.see(bundles, Seen::Watched, now, &|_| true);
            let (events, changes) = self.tracker.settle(now);
            told.extend(events);
            forgotten += changes.iter().filter(|(_, known)| known.is_none()).count();
        }
        (told, forgotten)
    }

    /// How many lines there are when all go and come back, each for so many seconds.
    fn away_and_back(&mut self, seconds: u64) -> [usize; 2] {
        let all = self.all.clone();
        [&[][..], &all].map(|bundles| {
            let lines = self.look(bundles).0.len();
            self.seconds += seconds;
            lines
        })
    }
}

fn other_content(disk: &Disk, number: usize) {
    disk.file(
        format!("{PLUGINS}/{number:04}.dsplug/Contents/Info.plist"),
        number.to_string(),
    );
}

/// One rename of the folder.
#[test]
fn thousands_that_go_and_come_back_are_told_in_part() {
    let mut looks = Thousands::begin(other_content);
    let all = looks.all.clone();
    let (events, forgotten) = looks.look(&[]);
    let gone = of_paths(&events);
    assert!(
        (AT_ONCE..AT_ONCE + 10).contains(&gone.len()),
        "{}",
        gone.len()
    );
    assert!(gone.iter().all(|e| e.action == Action::Gone));
    // Nothing that went is known to stand, and it is said how many more there were.
    assert_eq!((forgotten, looks.tracker.known().len()), (all.len(), 0));
    let error = format!(
        "limit: at least {} more that stood there are gone",
        all.len() - AT_ONCE
    );
    let more: Vec<_> = events.iter().filter(|e| e.action == Action::More).collect();
    assert_eq!(more.len(), 1);
    assert_eq!(&*more[0].state.error, &error);
    let (events, _) = looks.look(&all);
    let came = of_paths(&events);
    assert!(
        (AT_ONCE / 2..AT_ONCE).contains(&came.len()),
        "{}",
        came.len()
    );
    // What was told of as come has its line when it goes.
    let (events, _) = looks.look(&[]);
    assert!((came.len()..came.len() + 5).contains(&of_paths(&events).len()));
    looks.look(&all);
    for _ in 0..5 {
        let lines = looks.away_and_back(0);
        assert!(lines.iter().all(|lines| *lines <= 12), "{lines:?}");
    }
    // And whoever takes his time.
    for _ in 0..5 {
        let lines = looks.away_and_back(1_300);
        assert!(lines.iter().all(|lines| *lines <= 2 * AT_ONCE), "{lines:?}");
    }
}

/// Where others stood there, where they were not read, and where they load now.
#[test]
fn what_comes_back_as_another_is_told_whatever_went_with_it() {
    let mut looks = Thousands::begin(other_content);
    let all = looks.all.clone();
    looks.away_and_back(0);
    looks.look(&[]);
    type Change = fn(&mut Bundle);
    let changes: [(Change, bool); 7] = [
        (|_| (), false),
        (|bundle| bundle.load = LoadVerdict::default(), true),
        // It may load now, by what stands beside it, or is accepted.
        (
            |bundle| bundle.load.reasons = vec![Reason::MaybeListed],
            true,
        ),
        (|bundle| bundle.exception = Some("one".into()), true),
        // On a volume whose server says that nobody has written to it.
        (|bundle| bundle.digest = Some([7; 32]), true),
        // There was no time to read it.
        (|bundle| bundle.digest = None, false),
        (
            |bundle| {
                bundle.digest = None;
                bundle.evidence.entries = Arc::default();
            },
            true,
        ),
    ];
    for (change, is_told) in changes {
        let mut now = all.clone();
        change(Arc::make_mut(now.last_mut().unwrap()));
        let (events, _) = looks.look(&now);
        let of_it = events.iter().filter(|e| e.path.ends_with("/2299.dsplug"));
        assert_eq!(of_it.count(), usize::from(is_told));
        // Once it was read it is another after all.
        if !is_told && now.last().unwrap().digest.is_none() {
            Arc::make_mut(now.last_mut().unwrap()).digest = Some([8; 32]);
            let (events, _) = looks.look(&now);
            assert!(events.iter().any(|e| e.path.ends_with("/2299.dsplug")));
        }
        looks.look(&[]);
    }
}

/// What is not told of before the folder goes is told with it.
#[test]
fn what_is_new_as_it_goes_is_told_whatever_goes_with_it() {
    let mut looks = Thousands::begin(other_content);
    let mut now = looks.all.clone();
    Arc::make_mut(now.last_mut().unwrap()).digest = Some([7; 32]);
    let at = Now {
        steady: looks.begun,
        wall_ms: 0,
    };
    looks.tracker.see(&now, Seen::Watched, at, &|_| true);
    let (events, _) = looks.look(&[]);
    let of_it = events.iter().filter(|e| e.path.ends_with("/2299.dsplug"));
    let actions: Vec<_> = of_it.map(|e| e.action).collect();
    assert_eq!(actions, [Action::Changed, Action::Gone]);
}

/// What stands beside them all decides whether they load.
#[test]
fn thousands_that_load_and_do_not_load_are_told_in_part_after_the_first_time() {
    let mut looks = Thousands::begin(other_content);
    let all = looks.all.clone();
    let mut loads = all.clone();
    for bundle in &mut loads {
        Arc::make_mut(bundle).load = LoadVerdict::default();
    }
    for bundles in [&loads, &all] {
        assert_eq!(of_paths(&looks.look(bundles).0).len(), all.len());
    }
    for bundles in [&loads, &all, &loads, &all] {
        looks.seconds += 1_300;
        let told = looks.look(bundles).0.len();
        assert!(told <= AT_ONCE + 5, "{told}");
    }
}

/// Where a directory goes that each of them leads into, each leads nowhere.
#[test]
fn thousands_of_links_into_a_directory_that_goes_are_told_in_part() {
    let disk = Disk::new();
    let others = disk.dir("Users/Shared/others");
    // An empty directory of an image may be another volume's place.
    disk.file("Users/Shared/file", "");
    for number in 0..600 {
        fs::write(others.join(number.to_string()), number.to_string()).unwrap();
        disk.link(
            format!("{PLUGINS}/{number}.dsplug"),
            format!("/Users/Shared/others/{number}"),
        );
    }
    let mut crowd = Crowd::begin(disk);
    let mut told = 0;
    for _ in 0..3 {
        fs::rename(&others, crowd.disk.at("away")).unwrap();
        told += [crowd.settled(), crowd.after(3_000)].concat().len();
        fs::rename(crowd.disk.at("away"), &others).unwrap();
        told += [crowd.settled(), crowd.after(3_000)].concat().len();
    }
    assert!((AT_ONCE..3 * AT_ONCE).contains(&told), "{told}");
}

/// Each of them another, with nothing in common but the executable outside that they run.
#[test]
fn what_changes_outside_of_hundreds_is_told_in_part() {
    let disk = Disk::new();
    let outside = disk.file("Users/Shared/h", "0");
    for number in 0..600 {
        Plugin::new(&format!("x{number}"))
            .key("CFBundleExecutable", "/Users/Shared/h")
            .write(disk.plugin(""));
    }
    let mut crowd = Crowd::begin(disk);
    crowd.tells_in_part_what_changes(&outside);
    // Whoever changes anything of his own beside that is none of them.
    let own = crowd.disk.plugin("x599.dsplug/Contents/own");
    fs::write(own, "").unwrap();
    fs::write(&outside, "last").unwrap();
    let events = [crowd.settled(), crowd.after(3_000)].concat();
    assert!(events.iter().any(|e| e.path.ends_with("/x599.dsplug")));
}

/// One that waits for a line because it is what was told, and is another before it has one.
#[test]
fn what_waits_as_one_of_many_is_told_when_it_is_another() {
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |path| fs::write(path.join("x"), "evil").unwrap(),
        // What cannot be read whole is not known.
        |path| {
            hole(&path.join("hole"));
            fs::write(path.join("x"), "evil").unwrap();
        },
        // A rest of what stood there.
        |path| fs::remove_file(path.join("x")).unwrap(),
    ];
    for change in changes {
        let mut crowd = Crowd::begin(Disk::new());
        crowd.all(300, same);
        let told = of_paths(&crowd.settled()).len();
        assert!((121..130).contains(&told), "{told}");
        let evil = crowd.disk.plugin("zz.dsplug");
        same(&evil);
        assert_eq!(of_paths(&crowd.settled()).len(), 0);
        change(&evil);
        let events = crowd.settled();
        let of_evil = events.iter().filter(|e| e.path.ends_with("/zz.dsplug"));
        assert_eq!(of_evil.count(), 1, "{events:#?}");
    }
}

/// An update makes directories first, and fills them then.
#[test]
fn an_update_of_fifty_bundles_is_told_in_full() {
    let disk = Disk::new();
    for number in 0..50 {
        Plugin::new(&format!("V{number}")).write(disk.plugin(""));
    }
    let mut crowd = Crowd::begin(disk);
    let bundles = |crowd: &Crowd| {
        (0..50)
            .map(|n| crowd.disk.plugin(format!("V{n}.dsplug")))
            .collect::<Vec<_>>()
    };
    for path in bundles(&crowd) {
        fs::remove_dir_all(path).unwrap();
    }
    let gone = crowd.settled();
    assert_eq!(of_paths(&gone).len(), 50);
    for path in bundles(&crowd) {
        fs::create_dir(path).unwrap();
    }
    let empty = crowd.settled();
    assert_eq!(of_paths(&empty).len(), 50);
    for path in bundles(&crowd) {
        make(&path, b"new");
    }
    let events = crowd.settled();
    assert_eq!(of_paths(&events).len(), 50);
    for (event, path) in events.iter().zip({
        let mut paths = bundles(&crowd);
        paths.sort();
        paths
    }) {
        assert_eq!(event.state.hash, digest(&path));
    }
    let all = [gone, empty, events].concat();
    assert_eq!(of_paths(&all).len(), all.len());
}

/// Who fills a folder with more than has rows would have what stands told as gone.
#[test]
fn what_is_left_out_of_the_rows_is_told_as_gone_when_it_goes() {
    let disk = Disk::new();
    for number in 0..30 {
        Plugin::new(&format!("a{number}")).write(disk.plugin(""));
    }
    let root = Root::open(disk.path()).unwrap();
    let limits = Limits {
        candidates: 20,
        ..Limits::STANDARD
    };
    let mut scanner = Scanner::new(root.clone(), limits).remembering();
    let begun = Instant::now();
    let at = |millis| Now {
        steady: begun + Duration::from_millis(millis),
        wall_ms: 0,
    };
    let mut tracker = Tracker::base_line(&scanner.scan().bundles, at(0));
    let hidden = make(&disk.plugin("zz.dsplug"), b"code");
    let path = "/Library/DirectoryServices/PlugIns/zz.dsplug";
    let mut look = |millis, name: Option<&str>| {
        let is_gone = |path: &[u8]| root.has_gone(path);
        let now = at(millis);
        tracker.see(&scanner.scan().bundles, Seen::Watched, now, &is_gone);
        if let Some(name) = name {
            tracker.name(name.into(), &is_gone);
        }
        let events = tracker.settle(now).0;
        let of_it = events.into_iter().filter(|e| e.path == path);
        of_it.map(|e| e.action).collect::<Vec<_>>()
    };
    assert_eq!(look(1_000, Some(path)), []);
    assert_eq!(look(9_000, None), []);
    fs::remove_dir_all(hidden).unwrap();
    assert_eq!(look(10_000, None), [Action::Appeared, Action::Gone]);
}
