//! What comes and goes with nothing in it, without end: told at a bounded rate, and nothing else is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use dsplug::event::{Action, Event, Seen};
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug::watch::now::Now;
use dsplug::watch::tracker::Tracker;
use dsplug_fixtures::{Disk, Plugin, fifo};

use super::{Watcher, digest, make};

/// Lines of what holds nothing that there are at once.
const AT_ONCE: usize = 240;

/// A disk, and looks at it at moments that a test chooses.
struct Looks {
    disk: Disk,
    scanner: Scanner,
    tracker: Tracker,
    begun: Instant,
    millis: u64,
}

impl Looks {
    fn begin(disk: Disk) -> Self {
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root, Limits::STANDARD).remembering();
        let begun = Instant::now();
        let now = Now {
            steady: begun,
            wall_ms: 0,
        };
        let tracker = Tracker::base_line(&scanner.scan().bundles, now);
        Self {
            disk,
            scanner,
            tracker,
            begun,
            millis: 0,
        }
    }

    /// A look so much later, and what it had told.
    fn after(&mut self, millis: u64) -> Vec<Event> {
        self.millis += millis;
        let now = Now {
            steady: self.begun + Duration::from_millis(self.millis),
            wall_ms: 0,
        };
        let bundles = self.scanner.scan().bundles.clone();
        self.tracker.see(&bundles, Seen::Watched, now, &|_| true);
        self.tracker.settle(now).0
    }

    /// Looks until something new is told.
    fn settled(&mut self) -> Vec<Event> {
        let mut events = self.after(1);
        events.extend(self.after(300));
        events
    }

    /// Directories that come and go until there is no line left for them.
    fn exhausted(disk: Disk) -> Self {
        let mut looks = Self::begin(disk);
        let mut told = 0;
        for _ in 0..2 {
            looks.all(AT_ONCE, |path| fs::create_dir(path).unwrap());
            told += of_paths(&looks.settled()).len();
            looks.all(AT_ONCE, |path| fs::remove_dir(path).unwrap());
            told += of_paths(&looks.settled()).len();
        }
        assert!(told <= AT_ONCE, "{told}");
        looks
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
    let mut looks = Looks::begin(Disk::new());
    let mut events = Vec::new();
    let rounds = 12;
    for _ in 0..rounds {
        looks.all(200, |path| fs::create_dir(path).unwrap());
        events.extend(looks.after(1));
        events.extend(looks.after(300));
        looks.all(200, |path| fs::remove_dir(path).unwrap());
        events.extend(looks.after(10_000));
    }
    let told = of_paths(&events).len();
    let seconds = usize::try_from(looks.millis).unwrap() / 1_000;
    assert!(
        (AT_ONCE..AT_ONCE + seconds / 5 + 2).contains(&told),
        "{told}"
    );
    // Each of those that are told has come and gone.
    let count = |events: &[Event], action| events.iter().filter(|e| e.action == action).count();
    assert_eq!(count(&events, Action::Appeared), told / 2);
    assert_eq!(count(&events, Action::Gone), told / 2);
    // And nothing is silent.
    events.extend(looks.after(60_000));
    assert_eq!(more(&events) + told / 2, rounds * 200);
    assert!(count(&events, Action::More) <= seconds / 60 + 1);
    // The same of those that no look sees.
    let mut events = Vec::new();
    for second in 0..100 {
        for number in 0..100 {
            let path = format!("/Library/DirectoryServices/PlugIns/{second}-{number}.dsplug");
            looks.tracker.name(path.into_bytes(), &|_| true);
        }
        events.extend(looks.after(1_000));
    }
    events.extend(looks.after(60_000));
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
        let mut looks = Looks::exhausted(Disk::new());
        let path = looks.disk.plugin("Evil.dsplug");
        for _ in 0..2 {
            make(&looks.disk, &path);
            let events = looks.settled();
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
            let events = looks.settled();
            assert_eq!(of_paths(&events).len(), 1, "{what}: {events:#?}");
            assert_eq!(of_paths(&events)[0].action, Action::Gone);
        }
        // It came empty first, and gone are the lines for that; or is emptied before it goes.
        fs::create_dir(&path).unwrap();
        assert_eq!(of_paths(&looks.settled()).len(), 0, "{what}");
        fs::remove_dir(&path).unwrap();
        make(&looks.disk, &path);
        let events = looks.settled();
        assert_eq!(of_paths(&events).len(), 1, "{what}: {events:#?}");
        fs::remove_dir_all(&path)
            .or_else(|_| fs::remove_file(&path))
            .unwrap();
        fs::create_dir(&path).unwrap();
        let events = looks.settled();
        assert_eq!(of_paths(&events).len(), 1, "{what}: {events:#?}");
        assert_eq!(of_paths(&events)[0].action, Action::Changed);
        fs::remove_dir(&path).unwrap();
        assert_eq!(of_paths(&looks.settled()).len(), 1, "{what}");
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
        let mut looks = Looks::exhausted(Disk::new());
        let path = looks.disk.plugin("Evil.dsplug");
        make(&path);
        assert_eq!(of_paths(&looks.settled()).len(), 0);
        fs::remove_dir_all(&path)
            .or_else(|_| fs::remove_file(&path))
            .unwrap();
        assert_eq!(of_paths(&looks.settled()).len(), 0);
        // One that stays is told once there is a line for it.
        make(&path);
        assert_eq!(of_paths(&looks.settled()).len(), 0);
        let events = looks.after(30_000);
        assert_eq!(of_paths(&events).len(), 1, "{events:#?}");
        // And how often it changes nothing is bounded too.
        let mut told = 0;
        for round in 0..20 {
            if path.is_dir() {
                dsplug_fixtures::chmod(&path, 0o700 + round % 8);
                told += of_paths(&looks.after(1)).len() + of_paths(&looks.after(3_000)).len();
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
    let looks = Looks::begin(disk);
    looks.all(600, |path| {
        symlink("/Users/Shared/Real.dsplug", path).unwrap()
    });
    let evil = looks.disk.plugin("Evil.dsplug");
    make(&evil, b"good");
    let evil_code = evil.join("Contents/MacOS/Evil");
    let mut looks = Looks::begin(looks.disk);
    let mut told = 0;
    for round in 1..6 {
        fs::write(&code, round.to_string()).unwrap();
        fs::write(&evil_code, format!("evil {round}")).unwrap();
        let events = [looks.settled(), looks.after(3_000)].concat();
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
        fs::rename(&evil, looks.disk.at("away")).unwrap();
        events.extend(looks.settled());
        fs::rename(looks.disk.at("away"), &evil).unwrap();
        events.extend(looks.settled());
    }
    events.extend(looks.after(60_000));
    let of_evil = events.iter().filter(|e| e.path.ends_with("/Evil.dsplug"));
    let actions: Vec<_> = of_evil.map(|e| e.action).collect();
    assert_eq!(actions.first(), Some(&Action::Gone), "{events:#?}");
    assert!(more(&events) > 0 || actions.len() == 8, "{events:#?}");
}

/// One that waits for a line because it is what was told, and is another before it has one.
#[test]
fn what_waits_as_one_of_many_is_told_when_it_is_another() {
    let make = |path: &Path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("x"), "same").unwrap();
    };
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |path| fs::write(path.join("x"), "evil").unwrap(),
        // What cannot be read whole is not known.
        |path| {
            let hole = fs::File::create(path.join("hole")).unwrap();
            hole.set_len(3 << 30).unwrap();
            fs::write(path.join("x"), "evil").unwrap();
        },
        // A rest of what stood there.
        |path| fs::remove_file(path.join("x")).unwrap(),
    ];
    for change in changes {
        let mut looks = Looks::begin(Disk::new());
        looks.all(300, make);
        let told = of_paths(&looks.settled()).len();
        assert!((121..130).contains(&told), "{told}");
        let evil = looks.disk.plugin("zz.dsplug");
        make(&evil);
        assert_eq!(of_paths(&looks.settled()).len(), 0);
        change(&evil);
        let events = looks.settled();
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
    let mut looks = Looks::begin(disk);
    let bundles = |looks: &Looks| {
        (0..50)
            .map(|n| looks.disk.plugin(format!("V{n}.dsplug")))
            .collect::<Vec<_>>()
    };
    for path in bundles(&looks) {
        fs::remove_dir_all(path).unwrap();
    }
    let gone = looks.settled();
    assert_eq!(of_paths(&gone).len(), 50);
    for path in bundles(&looks) {
        fs::create_dir(path).unwrap();
    }
    let empty = looks.settled();
    assert_eq!(of_paths(&empty).len(), 50);
    for path in bundles(&looks) {
        make(&path, b"new");
    }
    let events = looks.settled();
    assert_eq!(of_paths(&events).len(), 50);
    for (event, path) in events.iter().zip({
        let mut paths = bundles(&looks);
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
