//! What a journal does where its file is lost, locked or damaged.

use super::*;
use crate::event::{Action, Known, State};
use ids::Ids;

fn journal() -> (tempfile::TempDir, Journal) {
    let place = tempfile::tempdir().unwrap();
    let disk = place.path().join("disk");
    std::fs::create_dir_all(disk.join("Library")).unwrap();
    let root = Root::open(&disk).unwrap();
    let journal = Journal::kept_at(&place.path().join("state"), &root);
    (place, journal)
}

fn event() -> Event {
    Event::new(1, Action::Appeared, "/a".to_owned(), Arc::default())
}

/// It has lost its place, and gets no other: a new one is to be told all.
#[test]
fn nothing_known_is_held_for_a_journal_that_is_lost() {
    let (place, mut journal) = journal();
    std::fs::remove_file(place.path().join("state/journal.db")).unwrap();
    std::fs::remove_file(place.path().join("state/journal.lock")).unwrap();
    std::fs::remove_dir_all(place.path().join("state")).unwrap();
    std::fs::write(place.path().join("state"), b"no directory").unwrap();
    for number in 0..10 {
        journal.write(Batch {
            changes: vec![(vec![number], None)],
            ..Batch::default()
        });
        assert!(journal.unwritten.is_cut());
    }
    std::fs::remove_file(place.path().join("state")).unwrap();
    journal = journal.trying_again_after(Duration::ZERO);
    journal.tick();
    assert!(journal.lacks_known() && !journal.unwritten.is_cut());
    journal.write(Batch {
        is_all: true,
        ..Batch::default()
    });
    assert!(!journal.lacks_known());
    assert_eq!(journal.known(), Some((Vec::new(), false)));
}

/// Whoever plants a crowd has what stood before keep its row.
#[test]
fn of_known_paths_those_come_first_that_stood_longest() {
    let (_place, mut journal) = journal();
    let known = |path: &[u8], since_ms| {
        let state = Arc::default();
        (path.to_vec(), Some(Known { state, since_ms }))
    };
    journal.write(Batch {
        changes: vec![
            known(b"/a", Some(3)),
            known(b"/b", Some(2)),
            known(b"/c", None),
        ],
        is_all: true,
        ..Batch::default()
    });
    let paths = [b"/c", b"/b", b"/a"].map(|path| path.to_vec());
    assert_eq!(journal.ahead().paths, paths);
    // They are there for the watch as well.
    assert_eq!(journal.known().map(|(all, _)| all.len()), Some(3));
}

/// The disk is full, or another has locked the file.
#[test]
fn what_cannot_be_written_is_not_asked_for_at_each_look() {
    let (_place, mut journal) = journal();
    journal.lacks_known = true;
    assert!(journal.lacks_known());
    let all = || Batch {
        is_all: true,
        ..Batch::default()
    };
    let open = journal.open.as_ref().unwrap();
    let locks = rusqlite::Connection::open(&open.path).unwrap();
    locks.execute_batch("BEGIN EXCLUSIVE").unwrap();
    journal.write(all());
    assert!(!journal.lacks_known());
    journal = journal.trying_again_after(Duration::ZERO);
    assert!(journal.lacks_known());
    drop(locks);
    journal.write(all());
    assert!(!journal.lacks_known());
    journal.lacks_known = true;
    assert!(journal.lacks_known());
    // What no file is open for is not asked for.
    journal.open = None;
    assert!(!journal.lacks_known());
}

/// Whoever holds the file while the program begins would have what it knew forgotten, and the exchange of that untold.
#[test]
fn what_a_file_knew_that_another_holds_goes_on_in_a_copy() {
    let (place, mut journal) = journal();
    let known = || (b"/a".to_vec(), Some(Known::default()));
    journal.write(Batch {
        events: vec![event()],
        changes: vec![known()],
        is_all: true,
    });
    let path = journal.open.as_ref().unwrap().path.clone();
    let log = path.with_file_name("journal.db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    // As one that is killed leaves them.
    let killed = [path, log].map(|path| (std::fs::read(&path).unwrap(), path));
    drop(journal);
    for (bytes, path) in &killed {
        std::fs::write(path, bytes).unwrap();
    }
    let locks = rusqlite::Connection::open(&killed[0].1).unwrap();
    locks
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE notes SET number = number",
        )
        .unwrap();
    let root = Root::open(&place.path().join("disk")).unwrap();
    let open = || Journal::kept_at(&place.path().join("state"), &root);
    // Nor whoever holds this program's own lock as well.
    let turn = std::fs::File::open(place.path().join("state/journal.lock")).unwrap();
    turn.lock().unwrap();
    let mut apart = open();
    assert!(apart.is_busy());
    assert_eq!(apart.ahead().paths, [b"/a"]);
    drop((turn, apart));
    let names = std::fs::read_dir(place.path().join("state")).unwrap();
    let mut names = names.map(|name| name.unwrap().file_name());
    assert!(names.all(|name| !name.to_string_lossy().contains("read")));
    let mut journal = open();
    let status = journal.events().status();
    assert_eq!(status.state, "kept", "{status:?}");
    assert!(status.error.contains("goes on in a copy"), "{status:?}");
    assert_eq!(journal.ahead().paths, [b"/a"]);
    let mut told = Vec::new();
    let read = journal.events().each(&mut |event| {
        told.push(event.path.clone());
        Ok::<_, String>(())
    });
    assert!(read.is_ok(), "{read:?}");
    assert_eq!(told, ["/a"]);
    // Whoever holds what is kept aside holds nobody up.
    assert_eq!(
        journal
            .write(Batch {
                events: vec![event()],
                ..Batch::default()
            })
            .len(),
        1
    );
    assert_eq!(journal.events().status().state, "kept");
    drop(locks);
}

/// Whoever plants bundles by the thousand has it know nothing of those that come after.
#[test]
fn that_there_is_no_room_for_all_bundles_is_an_error_while_it_is_so() {
    let (_place, mut journal) = journal();
    let known = || Known {
        state: Arc::new(State {
            signer: "s".repeat(2_000).into(),
            ..State::default()
        }),
        since_ms: None,
    };
    let all = |count: u32| Batch {
        changes: (0..count)
            .map(|number| (number.to_be_bytes().to_vec(), Some(known())))
            .collect(),
        is_all: true,
        ..Batch::default()
    };
    for (count, is_said) in [(10, false), (3_000, true), (10, false)] {
        journal.write(all(count));
        let error = journal.events().status().error;
        assert_eq!(
            error.contains("no room for all bundles"),
            is_said,
            "{error}"
        );
    }
}

/// A FIFO that was put there in the moment in which it was looked for: the call never comes back.
#[test]
fn whoever_hangs_in_the_journal_takes_nobody_along() {
    let (_place, journal) = journal();
    let events = journal.events();
    let second = Duration::from_secs(1);
    assert_eq!(events.hung(Duration::ZERO), None);
    let hangs = journal.held.lock();
    assert_eq!(events.hung(second), None);
    journal.held.taken_before(30 * second);
    let told = "the journal has not answered for 30 s";
    let status = events.status();
    assert_eq!((status.state, &*status.error), ("error", told));
    assert!(status.path.ends_with("journal.db"));
    assert_eq!(events.each(&mut |_| Ok(())), Err(told.to_owned()));
    assert_eq!(events.hung(20 * second).as_deref(), Some(told));
    assert_eq!(events.hung(40 * second), None);
    // One who has it for a moment is waited for.
    std::thread::scope(|scope| {
        journal.held.taken_before(second);
        let status = scope.spawn(|| events.status());
        std::thread::sleep(second / 5);
        drop(hangs);
        assert_eq!(status.join().unwrap().state, "kept");
    });
    assert_eq!(events.hung(Duration::ZERO), None);
    // The thread that writes hangs, and lets others read.
    let writing = journal.held.writing();
    assert_eq!(events.status().state, "kept");
    assert!(events.hung(Duration::ZERO).is_some());
    drop(writing);
    assert_eq!(events.hung(Duration::ZERO), None);
}

/// Whoever exchanges what is beside it in the moment in which it is opened is not noticed by that.
#[test]
fn a_journal_that_cannot_be_read_for_long_is_written_anew() {
    let (_place, mut journal) = journal();
    let events = journal.events();
    let count = || {
        let mut count = 0;
        let read = events.each(&mut |_| {
            count += 1;
            Ok(())
        });
        read.map(|()| count)
    };
    journal.write(Batch {
        events: vec![event()],
        ..Batch::default()
    });
    assert_eq!(count(), Ok(1));
    let open = journal.open.as_mut().unwrap();
    std::fs::remove_file(open.path.with_file_name("journal.db-wal")).unwrap();
    std::fs::write(open.path.with_file_name("journal.db-wal"), b"").unwrap();
    open.ids = Ids::at(&open.path);
    journal.held.lock().file = Some(open.ids);
    count().unwrap_err();
    assert_eq!(events.status().state, "error");
    // Not at once.
    journal.tick();
    let error = count().unwrap_err();
    assert!(error.contains("disk I/O"), "{error}");
    journal.held.lock().unread_since(Duration::from_secs(20));
    count().unwrap_err();
    journal.tick();
    assert_eq!(count(), Ok(1));
    let status = events.status();
    assert_eq!(status.state, "kept");
    assert!(status.error.contains("could not be read"), "{status:?}");
}

/// Root puts a row there that opens well and that nobody can read, whether or not a process writes.
#[test]
fn a_row_that_nobody_can_read_blinds_no_event() {
    for is_live in [false, true] {
        let (place, mut journal) = journal();
        let root = journal.place.as_ref().unwrap().1.clone();
        let path = journal.open.as_ref().unwrap().path.clone();
        let write = |journal: &mut Journal| {
            journal.write(Batch {
                events: vec![event()],
                ..Batch::default()
            });
        };
        write(&mut journal);
        drop(journal);
        let plant = || {
            let other = rusqlite::Connection::open(&path).unwrap();
            let sql = r#"UPDATE events SET event = '{"action":"x","changed":""}'"#;
            assert_eq!(other.execute(sql, []).unwrap(), 1);
        };
        if !is_live {
            plant();
        }
        let mut journal = Journal::kept_at(&place.path().join("state"), &root);
        if is_live {
            plant();
        }
        let events = journal.events();
        let read = || {
            let mut paths = Vec::new();
            let read = events.each(&mut |event| {
                paths.push(event.path.clone());
                Ok(())
            });
            read.map(|()| paths)
        };
        // Whoever reads may come first, and takes it for nothing of ours.
        assert_eq!(read(), Ok(Vec::new()));
        journal.tick();
        let status = events.status();
        assert_eq!(status.state, "kept", "{status:?}");
        let told = if is_live { "1 are lost" } else { "kept aside" };
        assert!(status.error.contains(told), "{status:?}");
        write(&mut journal);
        assert_eq!(read(), Ok(vec!["/a".to_owned()]));
        assert!(journal.lacks_known());
    }
}
