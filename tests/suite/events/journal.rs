//! The journal: what was shown is there afterwards, once, whatever happens to the process or the file.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dsplug::event::{Action, Event, Known, Seen, State};
use dsplug::journal::{Batch, Change, Events, Journal};
use dsplug::root::Root;
use dsplug_fixtures::{Disk, chmod, fifo, needs_root};
use plist::{Dictionary, Value};

use super::{Line, Watcher, digest};

fn ids(lines: &[Line]) -> Vec<i64> {
    lines.iter().map(|l| l["id"].parse().unwrap()).collect()
}

#[test]
fn what_happened_while_nothing_ran_is_told_at_the_start() {
    let mut watcher = Watcher::new(Disk::new());
    let stays = watcher.make("Stays.dsplug", b"stays");
    let changes = watcher.make("Changes.dsplug", b"before");
    let goes = watcher.make("Goes.dsplug", b"goes");
    watcher.start();
    assert!(watcher.stop().is_empty(), "the first look is the base line");
    let before = digest(&changes);
    fs::write(changes.join("Contents/MacOS/Changes"), "after").unwrap();
    fs::remove_dir_all(goes).unwrap();
    let comes = watcher.make("Comes.dsplug", b"comes");
    watcher.start();
    let changed = watcher.wait("changed", "Changes.dsplug");
    assert_eq!(changed["previous_hash"], before);
    assert_eq!(changed["hash"], digest(&changes));
    watcher.stop();
    let rows = watcher.rows();
    assert!(rows.iter().all(|r| r["seen"] == "start"), "{rows:#?}");
    let told: BTreeSet<(&str, &str)> = rows
        .iter()
        .map(|r| (&*r["action"], r["path"].rsplit('/').next().unwrap()))
        .collect();
    let expected = [
        ("appeared", "Comes.dsplug"),
        ("changed", "Changes.dsplug"),
        ("gone", "Goes.dsplug"),
    ];
    assert_eq!(told, BTreeSet::from(expected));
    // And nothing of it a second time.
    watcher.start();
    assert!(watcher.stop().is_empty());
    assert_eq!(watcher.rows(), rows);
    let _ = (stays, comes);
}

/// Kills at any moment of a storm. `DSPLUG_FULL` asks for twenty.
#[test]
fn no_kill_loses_or_doubles_what_was_shown() {
    let mut watcher = Watcher::new(Disk::new());
    let kills = if std::env::var_os("DSPLUG_FULL").is_some() {
        20
    } else {
        4
    };
    let mut shown: Vec<Line> = Vec::new();
    for round in 0..kills {
        watcher.start();
        for number in 0..6 {
            let name = format!("R{round}N{number}.dsplug");
            let bundle = watcher.make(&name, name.as_bytes());
            thread::sleep(Duration::from_millis(40 + 13 * round));
            if number % 2 == 0 {
                fs::remove_dir_all(bundle).unwrap();
            }
        }
        watcher.kill();
        // All that it printed before.
        let printed = watcher.lines.take().unwrap();
        shown.extend(printed.iter());
        let rows = watcher.rows();
        let all = ids(&rows);
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        for line in &shown {
            assert_eq!(rows.iter().filter(|r| *r == line).count(), 1, "{line:?}");
        }
    }
    println!("{kills} kills, {} events shown", shown.len());
    watcher.start();
    watcher.stop();
    // What stands there now has been told, and nothing stands as told that is gone.
    let last = |name: &str| {
        let rows = watcher.rows();
        let row = rows.into_iter().rev().find(|r| r["path"].ends_with(name));
        row.map(|r| r["action"].clone())
    };
    assert_eq!(last("R0N1.dsplug").as_deref(), Some("appeared"));
}

/// Changes a journal by SQL.
fn altered(path: &std::path::Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// A trigger that comes while the journal is open takes nothing out of it.
#[test]
fn no_trigger_takes_events_out() {
    let mut watcher = Watcher::started();
    altered(
        &watcher.journal(),
        "CREATE TRIGGER t BEFORE INSERT ON events BEGIN SELECT raise(IGNORE); END",
    );
    watcher.make("A.dsplug", b"a");
    watcher.wait("appeared", "A.dsplug");
    watcher.stop();
    let connection = rusqlite::Connection::open(watcher.journal()).unwrap();
    let count = connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0));
    assert_eq!(count, Ok(1_i64));
}

/// What is done to the file.
type Damage = fn(&std::path::Path);

#[test]
fn a_damaged_or_foreign_file_is_kept_aside_and_events_go_on() {
    let breaks: [(&str, Damage); 8] = [
        ("garbled", |path| {
            let mut file = OpenOptions::new().write(true).open(path).unwrap();
            file.seek(SeekFrom::Start(100)).unwrap();
            file.write_all(&[0x5a; 9000]).unwrap();
        }),
        ("truncated", |path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(5000).unwrap();
        }),
        ("another's", |path| {
            fs::write(
                path,
                "no database at all, but long enough to be one ".repeat(200),
            )
            .unwrap();
        }),
        ("a link", |path| {
            fs::rename(path, path.with_extension("moved")).unwrap();
            symlink("journal.moved", path).unwrap();
        }),
        ("a FIFO", |path| {
            fs::remove_file(path).unwrap();
            fifo(path);
        }),
        ("writable", |path| chmod(path, 0o666)),
        ("with a trigger", |path| {
            altered(
                path,
                "CREATE TRIGGER t BEFORE INSERT ON events WHEN new.path LIKE '%B.dsplug'
                 BEGIN SELECT raise(IGNORE); END",
            );
        }),
        ("with a view that never ends", |path| {
            altered(
                path,
                "DROP TABLE events; CREATE VIEW events AS WITH RECURSIVE n(id) AS
                   (SELECT 1 UNION ALL SELECT id + 1 FROM n)
                 SELECT id, 0 AS time, '' AS path, '' AS event FROM n",
            );
        }),
    ];
    for (what, damage) in breaks {
        let mut watcher = Watcher::started();
        watcher.make("A.dsplug", b"a");
        let first = watcher.wait("appeared", "A.dsplug");
        watcher.stop();
        damage(&watcher.journal());
        watcher.start();
        watcher.make("B.dsplug", b"b");
        let second = watcher.wait("appeared", "B.dsplug");
        watcher.stop();
        let aside = fs::read_dir(watcher.place()).unwrap().flatten();
        let aside = aside.filter(|e| {
            e.file_name()
                .to_string_lossy()
                .starts_with("journal.aside-")
        });
        assert!(aside.count() >= 1, "{what}");
        assert!(ids(&[second])[0] > ids(&[first])[0], "{what}");
        assert_eq!(watcher.rows().len(), 1, "{what}");
    }
}

#[test]
fn a_newer_versions_file_is_left_alone() {
    let mut watcher = Watcher::started();
    watcher.make("A.dsplug", b"a");
    watcher.wait("appeared", "A.dsplug");
    watcher.stop();
    // user_version stands at byte 60 of the header (sqlite.org/fileformat.html).
    let mut file = OpenOptions::new()
        .write(true)
        .open(watcher.journal())
        .unwrap();
    file.seek(SeekFrom::Start(60)).unwrap();
    file.write_all(&99_u32.to_be_bytes()).unwrap();
    drop(file);
    let before = fs::read(watcher.journal()).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["watch", "--root"])
        .arg(watcher.disk.path())
        .arg("--state-dir")
        .arg(watcher.place())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_secs(1));
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is of version 99"), "{said}");
    assert_eq!(fs::read(watcher.journal()).unwrap(), before);
}

#[test]
fn a_file_that_is_taken_away_is_begun_anew() {
    let mut watcher = Watcher::started();
    watcher.make("A.dsplug", b"a");
    watcher.wait("appeared", "A.dsplug");
    watcher.stop();
    fs::remove_file(watcher.journal()).unwrap();
    let id = {
        watcher.start();
        watcher.make("B.dsplug", b"b");
        let line = watcher.wait("appeared", "B.dsplug");
        watcher.stop();
        line["id"].clone()
    };
    assert_eq!(watcher.rows().len(), 1);
    assert_eq!(watcher.rows()[0]["id"], id);
}

#[test]
fn one_that_comes_second_shows_what_it_sees_itself() {
    let watcher = Watcher::started();
    let mut second = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["watch", "--root"])
        .arg(watcher.disk.path())
        .arg("--state-dir")
        .arg(watcher.place())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_secs(1));
    watcher.make("A.dsplug", b"a");
    watcher.wait("appeared", "A.dsplug");
    thread::sleep(Duration::from_secs(1));
    let id = rustix::process::Pid::from_child(&second);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert!(second.wait().unwrap().success());
    let output = second.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("appeared  /Library/DirectoryServices/PlugIns/A.dsplug"));
    assert_eq!(watcher.rows().len(), 1);
}

/// Whoever merely holds the lock, and keeps nothing.
#[test]
fn a_lock_that_is_held_while_a_watch_begins_hides_nothing() {
    let mut watcher = Watcher::new(Disk::new());
    let changes = watcher.make("Changes.dsplug", b"before");
    watcher.start();
    watcher.stop();
    let lock = fs::File::open(watcher.place().join("journal.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let before = digest(&changes);
    fs::write(changes.join("Contents/MacOS/Changes"), "after").unwrap();
    watcher.start();
    assert!(
        watcher.said.contains("keeps the journal"),
        "{}",
        watcher.said
    );
    let changed = watcher.wait("changed", "Changes.dsplug");
    assert_eq!(changed["seen"], "start");
    assert_eq!(changed["previous_hash"], before);
    watcher.make("Comes.dsplug", b"comes");
    assert_eq!(watcher.wait("appeared", "Comes.dsplug")["seen"], "watched");
    watcher.stop();
    // The file is another's: it is told there once that one looks.
    assert!(watcher.rows().is_empty());
    drop(lock);
    watcher.start();
    watcher.stop();
    assert_eq!(watcher.rows().len(), 2);
}

#[test]
fn copies_are_kept_where_that_is_asked_for_and_of_what_no_exception_accepts() {
    if !needs_root("a file of preferences must belong to root") {
        return;
    }
    let mut watcher = Watcher::new(Disk::new());
    let keys = Dictionary::from_iter([("KeepCopies", Value::Boolean(true))]);
    let mut bytes = Vec::new();
    Value::Dictionary(keys).to_writer_xml(&mut bytes).unwrap();
    let plist = "Library/Managed Preferences/com.dsplug.plist";
    chmod(watcher.disk.file(plist, bytes), 0o644);
    watcher.start();
    let begun = Instant::now();
    let bundle = watcher.make("A.dsplug", b"payload");
    let hash = digest(&bundle);
    let life = Duration::from_secs(2);
    thread::sleep(life.saturating_sub(begun.elapsed()));
    fs::remove_dir_all(bundle).unwrap();
    watcher.wait("gone", "A.dsplug");
    watcher.stop();
    let rows = watcher.query("SELECT kept, hash FROM dsplug_events WHERE action = 'appeared'");
    assert_eq!(rows[0]["hash"], hash);
    let kept = std::path::PathBuf::from(&rows[0]["kept"]);
    assert_eq!(
        kept,
        fs::canonicalize(watcher.place())
            .unwrap()
            .join("copies")
            .join(&hash)
    );
    let manifest = fs::read(kept.join("manifest")).unwrap();
    assert_eq!(super::sha256(&manifest), hash);
    let code = kept.join(super::sha256(b"payload"));
    assert_eq!(fs::read(&code).unwrap(), b"payload");
    for entry in fs::read_dir(&kept).unwrap().flatten() {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o7777,
            0o600
        );
    }
}

fn event(path: &str) -> Event {
    Event {
        id: 0,
        time: 1,
        action: Action::Changed,
        path: path.to_owned(),
        changed: "linked".to_owned(),
        seen: Some(Seen::Watched),
        state: Arc::new(State {
            bundle_identifier: "i".repeat(1_000).into(),
            ..State::default()
        }),
        previous_hash: "".into(),
        stood_ms: None,
        kept: String::new(),
    }
}

fn all(events: &Events) -> Vec<Event> {
    let mut all = Vec::new();
    events
        .each(&mut |event| {
            all.push(event.clone());
            Ok(())
        })
        .unwrap();
    all
}

/// Root puts a row into the file that no event is as long as: whoever reads it would hold it in memory.
#[test]
fn what_a_reader_finds_damaged_is_put_right_and_events_go_on() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let root = Root::open(disk.path()).unwrap();
    let mut journal = Journal::kept_at(&place.path().join("state"), &root);
    let one = |path: &str| Batch {
        events: vec![event(path)],
        ..Batch::default()
    };
    journal.write(all_known(Vec::new()));
    journal.write(one("/first"));
    let events = journal.events();
    assert_eq!(all(&events).len(), 1);
    let file = rusqlite::Connection::open(place.path().join("state/journal.db")).unwrap();
    file.execute(
        "INSERT INTO events SELECT id + 1, time, path, hex(zeroblob(5000000)) FROM events",
        [],
    )
    .unwrap();
    drop(file);
    let error = events.each(&mut |_| Ok(())).unwrap_err();
    assert!(error.contains("too big"), "{error}");
    journal.write(one("/second"));
    let told = all(&events);
    assert_eq!(told.last().unwrap().path, "/second");
    let status = events.status();
    assert_eq!(status.state, "kept");
    assert!(status.error.contains("taken out"), "{status:?}");
}

/// A journal with an event, and an older copy of its file.
struct Exchanged {
    disk: Disk,
    place: tempfile::TempDir,
    journal: Journal,
}

impl Exchanged {
    fn new() -> Self {
        let disk = Disk::new();
        let place = tempfile::tempdir().unwrap();
        let root = Root::open(disk.path()).unwrap();
        let journal = Journal::kept_at(&place.path().join("state"), &root);
        // However slow this machine is, it is not tried again meanwhile.
        let mut journal = journal.trying_again_after(Duration::from_secs(3_600));
        journal.write(Batch {
            events: one("/first").events,
            ..all_known(Vec::new())
        });
        let older = place.path().join("older.db");
        let reader = rusqlite::Connection::open(place.path().join("state/journal.db")).unwrap();
        reader
            .execute("VACUUM INTO ?", [older.to_str().unwrap()])
            .unwrap();
        journal.write(one("/second"));
        Self {
            disk,
            place,
            journal,
        }
    }

    fn file(&self) -> std::path::PathBuf {
        self.place.path().join("state/journal.db")
    }

    /// What SQLite keeps beside the file.
    fn beside(&self, what: &str) -> std::path::PathBuf {
        self.place.path().join(format!("state/journal.db-{what}"))
    }

    /// Puts the older copy in the place of the file, and nothing in that of its log.
    fn exchange(&self) {
        exchange(self.place.path());
    }

    fn exchange_alone(&self) {
        fs::rename(self.place.path().join("older.db"), self.file()).unwrap();
    }

    /// What another process finds in the file.
    fn kept(&self) -> Vec<(i64, String)> {
        let file = rusqlite::Connection::open(self.file()).unwrap();
        let mut rows = file
            .prepare("SELECT id, path FROM events ORDER BY id")
            .unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }
}

fn exchange(place: &std::path::Path) {
    fs::rename(place.join("older.db"), place.join("state/journal.db")).unwrap();
    fs::remove_file(place.join("state/journal.db-wal")).unwrap();
    fs::remove_file(place.join("state/journal.db-shm")).unwrap();
}

fn one(path: &str) -> Batch {
    Batch {
        events: vec![event(path)],
        ..Batch::default()
    }
}

/// What is known of a bundle that stands there.
fn known(name: &str) -> Change {
    let known = Known {
        state: event(name).state,
        since_ms: None,
    };
    (name.as_bytes().to_owned(), Some(known))
}

fn all_known(changes: Vec<Change>) -> Batch {
    Batch {
        changes,
        is_all: true,
        ..Batch::default()
    }
}

fn paths(events: &[(i64, String)]) -> Vec<&str> {
    events.iter().map(|(_, path)| path.as_str()).collect()
}

#[test]
fn what_is_in_a_journal_that_loses_its_place_is_written_anew() {
    type Way<'a> = (&'static str, &'a dyn Fn(&Exchanged));
    let ways: [Way<'_>; 14] = [
        ("replaced", &Exchanged::exchange),
        ("taken away", &|e| fs::remove_file(e.file()).unwrap()),
        ("replaced", &|e| {
            fs::remove_file(e.file()).unwrap();
            symlink("/etc/hosts", e.file()).unwrap();
        }),
        ("taken away", &|e| {
            let state = e.place.path().join("state");
            fs::rename(&state, e.place.path().join("away")).unwrap();
        }),
        ("journal.db was replaced", &|e| {
            fs::remove_file(e.file()).unwrap();
            fs::create_dir(e.file()).unwrap();
        }),
        // What SQLite keeps beside it is found by its name by whoever reads.
        ("journal.db-wal was taken away", &|e| {
            fs::remove_file(e.beside("wal")).unwrap();
        }),
        ("journal.db-wal was replaced", &|e| {
            fs::remove_file(e.beside("wal")).unwrap();
            fs::write(e.beside("wal"), b"").unwrap();
        }),
        ("journal.db-wal was replaced", &|e| {
            fs::remove_file(e.beside("wal")).unwrap();
            fifo(e.beside("wal"));
        }),
        ("journal.db-wal was replaced", &|e| {
            fs::remove_file(e.beside("wal")).unwrap();
            fs::create_dir(e.beside("wal")).unwrap();
        }),
        ("journal.db-shm was taken away", &|e| {
            fs::remove_file(e.beside("shm")).unwrap();
        }),
        // SQLite would roll it back, and wait for a FIFO for ever.
        ("journal.db-journal was put there", &|e| {
            fifo(e.beside("journal"));
        }),
        ("journal.db-journal was put there", &|e| {
            fs::write(e.beside("journal"), "x".repeat(600)).unwrap();
        }),
        ("journal.db-journal was put there", &|e| {
            fs::create_dir(e.beside("journal")).unwrap();
        }),
        ("journal.db-journal was put there", &|e| {
            symlink("/etc/hosts", e.beside("journal")).unwrap();
        }),
    ];
    for (how, exchange) in ways {
        for looks in [false, true] {
            let mut exchanged = Exchanged::new();
            let events = exchanged.journal.events();
            let before = all(&events);
            assert_eq!(before.len(), 2);
            exchange(&exchanged);
            // No answer is without what was there, nor with what was put there.
            let error = events.each(&mut |_| Ok(())).unwrap_err();
            assert!(error.contains("replaced or taken away"), "{error}");
            if looks {
                exchanged.journal.tick();
            } else {
                exchanged.journal.write(one("/third"));
            }
            let expected = if looks {
                vec!["/first", "/second"]
            } else {
                vec!["/first", "/second", "/third"]
            };
            let kept = exchanged.kept();
            assert_eq!(paths(&kept), expected, "{how}");
            assert_eq!(kept[0].0, before[0].id);
            assert_eq!(kept[1].0, before[1].id);
            assert_eq!(all(&events).len(), expected.len());
            let status = events.status();
            assert_eq!(status.state, "kept");
            assert!(status.error.contains(how), "{status:?}");
        }
    }
}

/// What SQLite would wait for, or roll back, is there when a process starts.
#[test]
fn what_stands_in_the_place_of_sqlites_own_journal_is_put_aside_and_nothing_is_lost() {
    let mut exchanged = Exchanged::new();
    let state = exchanged.place.path().join("state");
    let root = Root::open(exchanged.disk.path()).unwrap();
    let there = exchanged.beside("journal");
    exchanged.journal.write(Batch {
        is_all: true,
        ..Batch::default()
    });
    let makes: [&dyn Fn(); 5] = [
        &|| fifo(&there),
        &|| fs::write(&there, "x".repeat(600)).unwrap(),
        &|| symlink("/etc/hosts", &there).unwrap(),
        &|| fifo(&there),
        &|| fs::create_dir(&there).unwrap(),
    ];
    for make in makes {
        drop(std::mem::replace(
            &mut exchanged.journal,
            Journal::in_memory(),
        ));
        make();
        // Those who only read wait for nothing either, and say so.
        let reads = Command::new(crate::common::DSPLUG)
            .args(["query", "--root"])
            .arg(exchanged.disk.path())
            .arg("--state-dir")
            .arg(&state)
            .arg("SELECT * FROM dsplug_events")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&reads.stderr);
        assert!(told.contains("journal.db-journal was put there"), "{told}");
        exchanged.journal = Journal::kept_at(&state, &root);
        let events = exchanged.journal.events();
        assert_eq!(all(&events).len(), 2);
        let status = events.status();
        assert_eq!(status.state, "kept");
        assert!(status.error.contains("put there by another"), "{status:?}");
        assert!(fs::symlink_metadata(&there).is_err());
        // What is known of the bundles as well.
        assert!(exchanged.journal.known().is_some());
        exchanged.journal.write(one("/third"));
        let file = rusqlite::Connection::open(exchanged.file()).unwrap();
        file.execute("DELETE FROM events WHERE path = '/third'", [])
            .unwrap();
    }
    let names = fs::read_dir(&state).unwrap().flatten();
    let aside = names.filter(|e| {
        e.file_name()
            .as_encoded_bytes()
            .starts_with(b"journal.aside")
    });
    assert_eq!(aside.count(), 2);
}

/// Nothing of a full journal is lost, nor is it held in memory.
#[test]
fn a_full_journal_that_loses_its_place_is_written_anew_whole() {
    let mut exchanged = Exchanged::new();
    // Of what others write meanwhile nothing would be taken for ours.
    drop(std::mem::replace(
        &mut exchanged.journal,
        Journal::in_memory(),
    ));
    let file = rusqlite::Connection::open(exchanged.file()).unwrap();
    file.execute(
        "INSERT INTO events
         WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 7000)
         SELECT id + n, time, '/' || n, json_set(event, '$.path', '/' || n) FROM n, events
         WHERE path = '/second'",
        [],
    )
    .unwrap();
    file.execute(
        "INSERT INTO notes VALUES ('dropped', 7), ('dropped_id', 1)",
        [],
    )
    .unwrap();
    drop(file);
    let root = Root::open(exchanged.disk.path()).unwrap();
    exchanged.journal = Journal::kept_at(&exchanged.place.path().join("state"), &root);
    let before = all(&exchanged.journal.events());
    assert_eq!(before.len(), 7_003);
    assert_eq!(before[0].action, Action::Dropped);
    fs::remove_file(exchanged.file()).unwrap();
    exchanged.journal.tick();
    assert_eq!(all(&exchanged.journal.events()), before);
}

/// Another begins to write and does not end.
#[test]
fn a_journal_that_others_lock_is_told() {
    let mut exchanged = Exchanged::new();
    let events = exchanged.journal.events();
    // That who asked takes no more is no error of it.
    events.each(&mut |_| Err("no more".into())).unwrap_err();
    assert_eq!(events.status().state, "kept");

    let writes = rusqlite::Connection::open(exchanged.file()).unwrap();
    writes.execute_batch("BEGIN EXCLUSIVE").unwrap();
    exchanged.journal.write(one("/third"));
    let status = events.status();
    assert_eq!(status.state, "error");
    assert!(status.error.contains("locked"), "{status:?}");
    assert_eq!(all(&events).len(), 3);
    drop(writes);
    exchanged.journal.tick();
    assert_eq!(events.status().state, "kept");
    assert_eq!(paths(&exchanged.kept()), ["/first", "/second", "/third"]);
}

/// It is exchanged after it was looked at and before the write is on the disk.
#[test]
fn a_write_into_a_journal_that_is_losing_its_place_is_not_lost() {
    let mut exchanged = Exchanged::new();
    let holds = rusqlite::Connection::open(exchanged.file()).unwrap();
    holds.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread::scope(|scope| {
        let journal = &mut exchanged.journal;
        let writes = scope.spawn(|| journal.write(one("/third")));
        thread::sleep(Duration::from_millis(300));
        exchange(exchanged.place.path());
        holds.execute_batch("ROLLBACK").unwrap();
        writes.join().unwrap();
    });
    assert_eq!(paths(&exchanged.kept()), ["/first", "/second", "/third"]);
}

/// Whoever exchanges it again and again has it written anew so often, and no oftener.
#[test]
fn a_journal_that_loses_its_place_again_at_once_is_held_in_memory() {
    let mut exchanged = Exchanged::new();
    let events = exchanged.journal.events();
    for path in ["/third", "/fourth"] {
        fs::remove_file(exchanged.file()).unwrap();
        exchanged.journal.write(one(path));
        let told = all(&events);
        assert_eq!(told.last().unwrap().path, path);
    }
    assert!(!exchanged.file().exists());
    // What stands there is none of its own.
    exchanged.exchange_alone();
    assert_eq!(all(&events).len(), 4);
    let status = events.status();
    assert_eq!(status.state, "error");
    assert!(status.error.contains("taken away"), "{status:?}");
    // What is wrong is said in the same words for as long as it is wrong.
    exchanged.journal.write(one("/fifth"));
    assert_eq!(events.status(), status);
    assert_eq!(all(&events).len(), 5);
}

/// Puts a file in the place of the lock that another process may hold.
fn exchange_lock(place: &std::path::Path) -> fs::File {
    let file = place.join("other.lock");
    let other = fs::File::create(&file).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    fs::rename(file, place.join("state/journal.lock")).unwrap();
    other
}

/// Whoever holds a lock in the place of this one's waits for the moment in which that is let go.
#[test]
fn a_lock_that_another_puts_in_its_place_costs_no_event() {
    let mut exchanged = Exchanged::new();
    let events = exchanged.journal.events();
    exchanged.journal.tick();
    assert_eq!(events.status().error, "");
    let other = exchange_lock(exchanged.place.path());
    fs::rename(exchanged.file(), exchanged.place.path().join("away.db")).unwrap();
    exchanged.journal.write(one("/third"));
    let expected = ["/first", "/second", "/third"];
    let told = all(&events);
    let told: Vec<_> = told.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(told, expected);
    assert_eq!(paths(&exchanged.kept()), expected);
    let status = events.status();
    assert_eq!(status.state, "kept");
    for word in [
        "journal.lock was replaced",
        "another process holds",
        "journal.db was taken away",
    ] {
        assert!(status.error.contains(word), "{word}: {status:?}");
    }
    // What a second dsplug that came first would be the reason for.
    assert!(!status.error.contains("another dsplug"), "{status:?}");
    // It is said in the same words for as long as it is so.
    exchanged.journal.tick();
    assert_eq!(events.status(), status);
    drop(other);
    exchanged.journal.tick();
    let status = events.status();
    assert!(status.error.contains("is locked anew"), "{status:?}");
    let second = Journal::kept_at(
        &exchanged.place.path().join("state"),
        &Root::open(exchanged.disk.path()).unwrap(),
    );
    assert!(second.is_busy());
}

/// What was done to it is not hidden by what follows from that.
#[test]
fn a_place_that_is_no_longer_safe_hides_no_event_nor_what_came_before() {
    let mut exchanged = Exchanged::new();
    let events = exchanged.journal.events();
    fs::remove_file(exchanged.file()).unwrap();
    chmod(exchanged.place.path().join("state"), 0o777);
    for (path, count) in [("/third", 3), ("/fourth", 4)] {
        exchanged.journal.write(one(path));
        assert_eq!(all(&events).len(), count);
        let status = events.status();
        assert_eq!(status.state, "error");
        for word in ["journal.db was taken away", "no state is kept"] {
            assert!(status.error.contains(word), "{word}: {status:?}");
        }
    }
}

/// More comes and goes while the file cannot be written than that would keep.
#[test]
fn what_comes_and_goes_while_the_file_cannot_be_written_is_asked_anew() {
    let mut exchanged = Exchanged::new();
    let events = exchanged.journal.events();
    let written = all_known(vec![known("/stays"), known("/goes")]);
    exchanged.journal.write(written);
    let holds = rusqlite::Connection::open(exchanged.file()).unwrap();
    holds.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut changes = vec![(b"/goes".to_vec(), None)];
    changes.extend((0..12_000).map(|n| (format!("/fleeting {n}").into_bytes(), None)));
    exchanged.journal.write(Batch {
        events: vec![event("/goes")],
        changes,
        is_all: false,
    });
    drop(holds);
    // An event and what is known after it are written together.
    exchanged.journal.tick();
    assert_eq!(paths(&exchanged.kept()), ["/first", "/second"]);
    assert_eq!(all(&events).len(), 3);
    assert!(exchanged.journal.lacks_known());
    exchanged.journal.write(all_known(vec![known("/stays")]));
    assert!(!exchanged.journal.lacks_known());
    assert_eq!(paths(&exchanged.kept()), ["/first", "/second", "/goes"]);
    let (known, is_cut) = exchanged.journal.known().unwrap();
    let known: Vec<_> = known.into_iter().map(|(path, _)| path).collect();
    assert_eq!((known, is_cut), (vec![b"/stays".to_vec()], false));
    assert_eq!(events.status().state, "kept");
}

/// The process was killed between two steps: what it had saved is not in its place yet.
#[test]
fn what_a_killed_process_had_saved_is_taken_up() {
    /// What stands there when the next one starts, and what is told of it.
    struct Left<'a> {
        what: &'a str,
        make: &'a dyn Fn(&Exchanged),
        events: &'a [&'a str],
        aside: usize,
        error: &'a str,
    }
    let all_three: &[&str] = &["/first", "/second", "/third"];
    let saved = |e: &Exchanged| e.place.path().join("state/journal.saved");
    let save = |e: &Exchanged| {
        let to = saved(e);
        let reader = rusqlite::Connection::open(e.file()).unwrap();
        let to = to.to_str().unwrap();
        reader.execute("VACUUM INTO ?", [to]).unwrap();
    };
    let older = |e: &Exchanged| {
        let to = saved(e);
        fs::rename(e.place.path().join("older.db"), to).unwrap();
    };
    let take_away = |e: &Exchanged| {
        for file in [e.file(), e.beside("wal"), e.beside("shm")] {
            let _ = fs::remove_file(file);
        }
    };
    let left = [
        Left {
            what: "the file is not there",
            make: &|e| {
                save(e);
                take_away(e);
            },
            events: all_three,
            aside: 0,
            error: "was killed",
        },
        Left {
            what: "an older copy stands there",
            make: &|e| {
                save(e);
                take_away(e);
                e.exchange_alone();
            },
            events: all_three,
            aside: 1,
            error: "was killed",
        },
        Left {
            what: "no journal stands there",
            make: &|e| {
                save(e);
                take_away(e);
                fs::write(e.file(), "x".repeat(9_000)).unwrap();
            },
            events: all_three,
            aside: 1,
            error: "was killed",
        },
        Left {
            what: "the log was taken away",
            make: &|e| {
                save(e);
                let _ = fs::remove_file(e.beside("wal"));
            },
            events: all_three,
            aside: 1,
            error: "was killed",
        },
        Left {
            what: "the journal is newer",
            make: &older,
            events: all_three,
            aside: 0,
            error: "",
        },
        Left {
            what: "it is damaged",
            make: &|e| fs::write(saved(e), "x".repeat(9_000)).unwrap(),
            events: all_three,
            aside: 0,
            error: "",
        },
        Left {
            what: "it was only begun",
            make: &|e| fs::write(saved(e), "").unwrap(),
            events: all_three,
            aside: 0,
            error: "",
        },
        Left {
            what: "others could have written it",
            make: &|e| {
                save(e);
                take_away(e);
                chmod(saved(e), 0o666);
            },
            events: &[],
            aside: 0,
            error: "",
        },
        Left {
            what: "a link",
            make: &|e| {
                let away = e.place.path().join("away.db");
                save(e);
                fs::rename(saved(e), &away).unwrap();
                take_away(e);
                symlink(away, saved(e)).unwrap();
            },
            events: &[],
            aside: 0,
            error: "",
        },
        Left {
            what: "a FIFO where SQLite looks for what it had begun",
            make: &|e| {
                save(e);
                take_away(e);
                fifo(saved(e).with_extension("saved-journal"));
            },
            events: all_three,
            aside: 1,
            error: "was killed",
        },
        Left {
            what: "SQLite had not written it whole",
            make: &|e| {
                save(e);
                fs::write(saved(e).with_extension("saved-journal"), "").unwrap();
            },
            events: all_three,
            aside: 0,
            error: "",
        },
        Left {
            what: "an older one, and what keeps the newer from being opened",
            make: &|e| {
                older(e);
                fifo(e.beside("journal"));
            },
            events: all_three,
            aside: 1,
            error: "put there by another",
        },
        Left {
            what: "a FIFO",
            make: &|e| fifo(saved(e)),
            events: all_three,
            aside: 0,
            error: "",
        },
    ];
    for left in left {
        let mut exchanged = Exchanged::new();
        exchanged.journal.write(one("/third"));
        let state = exchanged.place.path().join("state");
        let old = std::mem::replace(&mut exchanged.journal, Journal::in_memory());
        // SQLite puts its log into the file where it ends in order.
        let copy = exchanged.place.path().join("copy");
        fs::create_dir(&copy).unwrap();
        for name in ["journal.db", "journal.db-wal"] {
            fs::copy(state.join(name), copy.join(name)).unwrap();
        }
        drop(old);
        take_away(&exchanged);
        for name in ["journal.db", "journal.db-wal"] {
            fs::rename(copy.join(name), state.join(name)).unwrap();
        }
        (left.make)(&exchanged);
        let root = Root::open(exchanged.disk.path()).unwrap();
        exchanged.journal = Journal::kept_at(&state, &root);
        let events = exchanged.journal.events();
        let told = all(&events);
        let told: Vec<_> = told.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(told, left.events, "{}", left.what);
        let names = fs::read_dir(&state).unwrap().flatten();
        let names: Vec<_> = names
            .map(|e| e.file_name().into_string().unwrap())
            .collect();
        let aside = names.iter().filter(|name| {
            name.starts_with("journal.aside-") && !name.contains("-wal") && !name.contains("-shm")
        });
        assert_eq!(aside.count(), left.aside, "{}", left.what);
        let saved = names.iter().any(|name| name.starts_with("journal.saved"));
        assert!(!saved, "{}: {names:?}", left.what);
        let status = events.status();
        assert_eq!(status.state, "kept", "{}", left.what);
        assert_eq!(status.error.is_empty(), left.error.is_empty(), "{status:?}");
        assert!(status.error.contains(left.error), "{status:?}");
        let third = all(&events).last().map_or(0, |event| event.id);
        let fourth = exchanged.journal.write(one("/fourth"));
        assert!(fourth[0].id > third);
    }
}

/// osqueryd starts the extension anew while the old one ends.
#[test]
fn one_that_waits_for_its_turn_is_no_error() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let root = Root::open(disk.path()).unwrap();
    let old = Journal::kept_at(place.path(), &root);
    let mut new = Journal::kept_at(place.path(), &root);
    assert!(new.is_busy());
    assert!(new.known().is_none(), "nobody has looked");
    let status = new.events().status();
    assert_eq!((status.state, status.error.as_str()), ("", ""));
    drop(old);
    new.retry();
    let status = new.events().status();
    assert_eq!((status.state, status.error.as_str()), ("kept", ""));
    // Once something is to be written it is.
    let mut third = Journal::kept_at(place.path(), &root);
    third.write(one("/first"));
    let status = third.events().status();
    assert_eq!(status.state, "error");
    assert!(status.error.contains("another dsplug"), "{status:?}");
    third.write(one("/second"));
    assert_eq!(third.events().status(), status);
}

/// An extension that starts while the lock is held: what was exchanged before is told, and kept later.
#[test]
fn one_that_waits_for_its_turn_begins_with_what_the_file_knows() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let root = Root::open(disk.path()).unwrap();
    let mut old = Journal::kept_at(place.path(), &root);
    old.write(all_known(vec![known("/old")]));
    let mut new = Journal::kept_at(place.path(), &root);
    assert!(new.is_busy());
    let (bundles, is_cut) = new.known().unwrap();
    let paths: Vec<_> = bundles.iter().map(|(path, _)| path.as_slice()).collect();
    assert_eq!((paths, is_cut), (vec![&b"/old"[..]], false));
    new.write(Batch {
        events: one("/new").events,
        ..all_known(vec![known("/old"), known("/new")])
    });
    let shown = all(&new.events());
    assert_eq!(shown.len(), 1);
    drop(old);
    new.retry();
    new.tick();
    assert_eq!(all(&new.events()), shown);
    drop(new);
    let mut last = Journal::kept_at(place.path(), &root);
    assert_eq!(all(&last.events()), shown);
    assert_eq!(last.known().unwrap().0.len(), 2);
}

/// While the file is open, by SQLite: rows are taken out, changed and put there.
#[test]
fn what_others_write_into_the_journal_is_told_and_put_right() {
    let mut exchanged = Exchanged::new();
    let events = exchanged.journal.events();
    let before = all(&events);
    exchanged.journal.tick();
    assert_eq!(events.status().error, "");
    altered(
        &exchanged.file(),
        "DELETE FROM events WHERE path = '/first';
         UPDATE events SET event = replace(event, 'appeared', 'gone'), path = '/other' WHERE path = '/second';
         INSERT INTO events SELECT id + 1, time, '/made up', event FROM events;
         DELETE FROM known; DELETE FROM notes",
    );
    // Of what was written last nothing that stands in the file is believed, even before that is noticed.
    let shown = all(&events);
    assert!(
        before.iter().all(|event| shown.contains(event)),
        "{shown:#?}"
    );
    exchanged.journal.tick();
    assert_eq!(all(&events), before);
    let error = events.status().error;
    for part in ["2 events are written anew", "0 are lost", "1 of its own"] {
        assert!(error.contains(part), "{error}");
    }
    // What is known is asked for again.
    assert!(exchanged.journal.lacks_known());
    exchanged.journal.write(all_known(vec![known("/stays")]));
    assert!(!exchanged.journal.lacks_known());
    exchanged.journal.write(one("/third"));
    exchanged.journal.tick();
    assert_eq!(all(&events).len(), 3);
    assert_eq!(events.status().error, error);
    // What is no longer at hand is lost, and that is told.
    let old = std::mem::replace(&mut exchanged.journal, Journal::in_memory());
    drop(old);
    let root = Root::open(exchanged.disk.path()).unwrap();
    exchanged.journal = Journal::kept_at(&exchanged.place.path().join("state"), &root);
    altered(
        &exchanged.file(),
        "DELETE FROM events WHERE path = '/third'",
    );
    exchanged.journal.tick();
    let error = exchanged.journal.events().status().error;
    assert!(error.contains("1 are lost"), "{error}");
}

/// Whoever changes rows that are no longer at hand has each told once more at the most, and loses it.
#[test]
fn old_rows_that_others_change_are_taken_out_and_told() {
    let mut exchanged = Exchanged::new();
    // More than can be written anew.
    let many = (0..1_000).map(|n| event(&format!("/{n} {}", "x".repeat(900))));
    exchanged.journal.write(Batch {
        events: many.collect(),
        ..Batch::default()
    });
    exchanged.journal.tick();
    let events = exchanged.journal.events();
    let mut before = all(&events);
    assert_eq!(before.len(), 1_002);
    for round in 1..=2 {
        altered(
            &exchanged.file(),
            &format!("UPDATE events SET event = replace(event, '\"time\":', '\"time\":{round}')"),
        );
        // Nobody who asks before that is noticed is told of it either.
        assert!(all(&events).iter().all(|event| before.contains(event)));
        exchanged.journal.tick();
        let after = all(&events);
        assert!(after.iter().all(|event| before.contains(event)));
        assert!(after.len() < 200, "{}", after.len());
        let (restored, lost) = (after.len(), before.len() - after.len());
        let told = format!("{restored} events are written anew, {lost} are lost, 0 of its own");
        let error = events.status().error;
        assert!(error.contains(&told), "{error}");
        before = after;
    }
    // Nor are other columns changed unseen.
    altered(
        &exchanged.file(),
        "UPDATE events SET path = path || 'x'; INSERT INTO events SELECT id + 5000, time, path, event FROM events LIMIT 3",
    );
    assert_eq!(all(&events), before);
    exchanged.journal.tick();
    assert_eq!(all(&events), before);
    assert!(events.status().error.contains(" 3 of its own"));
}

/// SQLite cannot put its log into the file meanwhile, and writes on.
#[test]
fn a_reader_that_does_not_end_fills_no_disk() {
    let mut exchanged = Exchanged::new();
    let events = exchanged.journal.events();
    let log = || fs::metadata(exchanged.place.path().join("state/journal.db-wal"));
    let log = || log().unwrap().len();
    let reader = rusqlite::Connection::open(exchanged.file()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM events").unwrap();
    let many = |round: usize| Batch {
        events: (0..2_000)
            .map(|n| event(&format!("/{round} {n} {}", "x".repeat(900))))
            .collect(),
        ..Batch::default()
    };
    let mut largest = 0;
    for round in 0..12 {
        exchanged.journal.write(many(round));
        largest = largest.max(log());
    }
    assert!(largest < 32 << 20, "{largest}");
    let status = events.status();
    assert_eq!(status.state, "error");
    assert!(status.error.contains("does not end"), "{status:?}");
    drop(reader);
    exchanged.journal.write(one("/last"));
    assert_eq!(events.status().state, "kept");
    assert_eq!(all(&events).last().unwrap().path, "/last");
    assert!(log() < 17 << 20);
}

/// While nothing runs, so that what was exchanged then becomes the base line.
#[test]
fn a_journal_that_was_made_to_know_nothing_is_told() {
    let mut exchanged = Exchanged::new();
    exchanged.journal.write(all_known(vec![known("/stays")]));
    let place = exchanged.place.path().join("state");
    let root = Root::open(exchanged.disk.path()).unwrap();
    let again = |exchanged: &mut Exchanged| {
        drop(std::mem::replace(
            &mut exchanged.journal,
            Journal::in_memory(),
        ));
        exchanged.journal = Journal::kept_at(&place, &root);
        exchanged.journal.events().status().error
    };
    assert_eq!(again(&mut exchanged), "");
    drop(std::mem::replace(
        &mut exchanged.journal,
        Journal::in_memory(),
    ));
    altered(
        &place.join("journal.db"),
        "DELETE FROM known; DELETE FROM notes",
    );
    let error = again(&mut exchanged);
    assert!(error.contains("was taken out of it"), "{error}");
}

/// Root puts rows into the file that have the numbers of events to come.
#[test]
fn no_row_takes_the_number_of_an_event_to_come() {
    // Above the last number there are others, or none at all.
    for far in ["id + 1000000", "9223372036854775807"] {
        let disk = Disk::new();
        let place = tempfile::tempdir().unwrap();
        let root = Root::open(disk.path()).unwrap();
        let mut journal = Journal::kept_at(&place.path().join("state"), &root);
        let events = journal.events();
        let mut write = |path: &str| {
            let written = journal.write(Batch {
                events: vec![event(path)],
                ..Batch::default()
            });
            written[0].id
        };
        let first = write("/first");
        let file = rusqlite::Connection::open(place.path().join("state/journal.db")).unwrap();
        for id in ["id + 1", far] {
            let row = format!("SELECT {id}, time, path, event FROM events WHERE id = {first}");
            file.execute(&format!("INSERT INTO events {row}"), [])
                .unwrap();
        }
        drop(file);
        for path in ["/second", "/third"] {
            let id = write(path);
            let told = all(&events);
            let told: Vec<_> = told.iter().filter(|e| e.path == path).collect();
            assert_eq!(told.len(), 1, "{far}: {path}");
            assert_eq!(told[0].id, id);
            assert_eq!(events.status().state, "kept", "{far}");
        }
    }
}

/// Four hundred bundles with a link to a busy log each.
#[test]
fn what_happened_once_is_kept_whoever_makes_noise() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let root = Root::open(disk.path()).unwrap();
    let journals = [
        Journal::kept_at(&place.path().join("state"), &root),
        Journal::in_memory(),
    ];
    for mut journal in journals {
        let batch = |paths: Vec<String>| Batch {
            events: paths.iter().map(|path| event(path)).collect(),
            ..Batch::default()
        };
        journal.write(batch(vec!["/Evil.dsplug".to_owned(); 2]));
        for round in 0..15 {
            let paths = (0..800).map(|n| format!("/busy {}", (n + round) % 400));
            journal.write(batch(paths.collect()));
        }
        let events = all(&journal.events());
        let evil = events.iter().filter(|e| e.path == "/Evil.dsplug");
        assert_eq!(evil.count(), 2);
        let ids: Vec<i64> = events.iter().map(|e| e.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        let gone = events.iter().find(|e| e.action == Action::Dropped).unwrap();
        let count = 12_002 - (events.len() - 1);
        let says = format!("limit: of the events up to this one, {count} are no longer kept");
        assert_eq!(gone.state.error, says.into());
        // It stands in its number's place, behind what is older and kept.
        assert!(events.first().unwrap().id < gone.id && gone.id < events.last().unwrap().id);
    }
    let size = fs::metadata(place.path().join("state/journal.db"))
        .unwrap()
        .len();
    assert!(size < 16 << 20, "{size}");
    // Opened anew, it goes on in the same way.
    let mut journal = Journal::kept_at(&place.path().join("state"), &root);
    for _ in 0..5 {
        journal.write(Batch {
            events: vec![event("/busy"); 1_000],
            ..Batch::default()
        });
    }
    let evil = all(&journal.events()).into_iter();
    assert_eq!(evil.filter(|e| e.path == "/Evil.dsplug").count(), 2);
}

/// Where not all that stands can be remembered, what comes while nothing runs cannot be told: only
/// for as long as that is so.
#[test]
fn all_is_known_again_once_there_is_room() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let root = Root::open(disk.path()).unwrap();
    let mut journal = Journal::kept_at(&place.path().join("state"), &root);
    let known = |name: &str| -> Change {
        let known = Known {
            state: event(name).state,
            since_ms: None,
        };
        (name.as_bytes().to_owned(), Some(known))
    };
    let junk: Vec<String> = (0..6_000).map(|n| format!("/junk {n}")).collect();
    let all = |changes: Vec<Change>| Batch {
        changes,
        is_all: true,
        ..Batch::default()
    };
    // Events have all the room first: what is known gets its own all the same.
    for _ in 0..8 {
        journal.write(Batch {
            events: vec![event("/busy"); 1_000],
            ..Batch::default()
        });
    }
    let mut changes: Vec<Change> = junk.iter().map(|name| known(name)).collect();
    changes.push(known("/z.dsplug"));
    journal.write(all(changes));
    let (before, is_cut) = journal.known().unwrap();
    assert!(is_cut && before.len() < 6_000, "{}", before.len());
    assert!(!journal.lacks_known(), "it would be written without end");
    // The junk goes.
    let gone = junk.iter().map(|name| (name.as_bytes().to_owned(), None));
    journal.write(Batch {
        changes: gone.collect(),
        ..Batch::default()
    });
    assert!(journal.lacks_known());
    journal.write(all(vec![known("/z.dsplug")]));
    assert!(!journal.lacks_known());
    let (after, is_cut) = journal.known().unwrap();
    assert_eq!((after.len(), is_cut), (1, false));
}
