//! What the extension's journal says after a disk went through states, and what the queries over events
//! answer then.
//!
//! The tracker of the watch is driven as the watch drives it, but for the time between two looks.
//! An event's time and number are replaced by its place in the journal, [`EVENT`] and on: each Mac
//! puts in when it saw it, and its own numbers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dsplug::differential::Row;
use dsplug::engine::Cell;
use dsplug::event::{Event, Seen};
use dsplug::journal::{Batch, Journal};
use dsplug::scan::Snapshot;
use dsplug::watch::now::Now;
use dsplug::watch::tracker::Tracker;

use crate::asker::{Answer, Asker};
use crate::story::Story;

/// The time that stands for the first event of a journal, and its number; the next is one more.
pub const EVENT: i64 = 2_100_000_000;
/// More events than a journal has here.
pub const MOST_EVENTS: i64 = 64;

/// A state of a story, and how long the one before had stood, in seconds.
pub type Visit = (usize, i64);

/// A journal after some visits.
#[derive(Debug)]
pub struct History {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// What was answered, by query.
    answers: RefCell<HashMap<usize, Answer>>,
}

/// All journals that were asked for.
#[derive(Debug, Default)]
pub struct Histories(HashMap<(usize, Vec<Visit>), Rc<History>>);

impl Histories {
    /// The journal of a Mac whose disk went through those states of a story.
    pub fn of(&mut self, story: usize, told: &Story, visits: &[Visit]) -> Rc<History> {
        let key = (story, visits.to_vec());
        let made = || {
            Rc::new(History {
                events: follow(told, visits),
                answers: RefCell::default(),
            })
        };
        Rc::clone(self.0.entry(key).or_insert_with(made))
    }
}

/// The events of a walk through a story.
fn follow(story: &Story, visits: &[Visit]) -> Vec<Event> {
    let begun = Instant::now();
    let mut at = Duration::ZERO;
    let now = |at: Duration| Now {
        steady: begun + at,
        wall_ms: i64::try_from(at.as_millis()).expect("a time"),
    };
    let mut events = Vec::new();
    let Some((first, _)) = visits.first() else {
        return events;
    };
    let mut tracker = Tracker::base_line(&story.states[*first].bundles, now(at));
    for (state, stood) in &visits[1..] {
        at += Duration::from_secs(u64::try_from(*stood).expect("a time"));
        let bundles = &story.states[*state].bundles;
        tracker.see(bundles, Seen::Watched, now(at), &|_| true);
        // It looks again while something moves.
        for later in [0, 100, 400] {
            let later = now(at + Duration::from_millis(later));
            events.extend(tracker.settle(later).0);
        }
        assert!(!tracker.is_moving(), "it has not settled");
    }
    assert!(events.len() < MOST_EVENTS as usize, "too many events");
    events
}

impl History {
    /// The answer of a query.
    pub fn answer(&self, asker: &mut Asker, query: usize) -> Answer {
        if let Some(answer) = self.answers.borrow().get(&query) {
            return answer.clone();
        }
        let answer = self.asked(asker, query);
        self.answers.borrow_mut().insert(query, answer.clone());
        answer
    }

    fn asked(&self, asker: &mut Asker, query: usize) -> Answer {
        let hour = 3600;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let now = i64::try_from(now.as_secs()).expect("a time");
        let mut events = self.events.clone();
        for (index, event) in events.iter_mut().enumerate() {
            event.time = now - hour + index as i64;
        }
        let mut journal = Journal::in_memory();
        let written = journal.write(Batch {
            events,
            changes: Vec::new(),
            is_all: false,
        });
        let snapshot = Snapshot {
            events: journal.events(),
            ..Snapshot::default()
        };
        let rows = asker.one(query, &snapshot)?;
        let place = |row: &Row| {
            let Some(Cell::Int(id)) = row.get("id") else {
                panic!("a row over events has no number");
            };
            let index = written.iter().position(|event| event.id == *id);
            EVENT + index.expect("an event") as i64
        };
        let replaced = rows.iter().map(|row| {
            let place = place(row);
            let mut row = row.clone();
            row.insert("id".into(), Cell::Int(place));
            row.insert("time".into(), Cell::Int(place));
            row
        });
        Some(Rc::new(replaced.collect()))
    }
}
