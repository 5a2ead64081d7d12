//! One Mac, for the length of the month: osqueryd's differential over the states of its disk.
//!
//! Between two changes every run of a query answers the same, and a difference of the same is none: so
//! only the first run after each change is made, and each run of a snapshot.

use std::io;
use std::rc::Rc;

use dsplug::detect::line::{self, Stamp};
use dsplug::differential::{Comparison, Memory, Row};
use dsplug::engine::Cell;

use crate::asker::{Answer, Asker, Of};
use crate::history::{EVENT, Histories, History, MOST_EVENTS, Visit};
use crate::log::Log;
use crate::schedule::{Schedule, Start};
use crate::story::{MOST_STEPS, STEP, Story};
use crate::{BEGIN, DAY};

/// Something that happens to a Mac.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its disk comes to a state of its story.
    Step(usize),
    /// Its disk is made anew, in a state of a story; osqueryd and its database with it.
    Image {
        /// The story.
        story: usize,
        /// The state.
        state: usize,
    },
    /// osqueryd starts with an empty database.
    EmptyDatabase,
    /// The plug-in folder can be listed, or no longer.
    Readable(bool),
    /// The clock is that many seconds off from now on.
    Clock(i64),
}

/// A Mac, and what happens to it.
#[derive(Debug)]
pub struct Host {
    /// What osqueryd calls it.
    pub name: String,
    /// When it is awake.
    pub spans: Vec<(i64, i64)>,
    /// When osqueryd starts on it for the first time.
    pub begins: i64,
    /// When it falls silent.
    pub ends: i64,
    /// When its disk came to its first state.
    pub installed: i64,
    /// The story of its disk, and where that begins.
    pub story: usize,
    /// The state.
    pub state: usize,
    /// True when the events of its story must be told with the time between them as it was here.
    pub alone: bool,
    /// What happens, in order.
    pub changes: Vec<(i64, Change)>,
    /// For its own chance.
    pub seed: u64,
}

/// What all Macs are made of.
pub struct World {
    /// The queries.
    pub asker: Asker,
    /// The stories.
    pub stories: Vec<Story>,
    /// The journals.
    pub histories: Histories,
}

/// What is remembered of a query on a Mac.
type Remembered = Option<(u64, Rc<Vec<Row>>)>;

struct Life<'a> {
    host: &'a Host,
    world: &'a mut World,
    story: usize,
    state: usize,
    /// When each step of the story was on this Mac, by its clock.
    steps: Vec<i64>,
    readable: bool,
    offset: i64,
    memories: Vec<Remembered>,
    history: Rc<History>,
    visits: Vec<Visit>,
    visited: i64,
    /// When each event was seen, by its clock.
    seen: Vec<i64>,
    first_id: i64,
}

/// Lives through the month of one Mac.
///
/// # Errors
/// When a line cannot be written.
pub fn live(host: &Host, world: &mut World, log: &mut Log) -> io::Result<()> {
    let schedule = schedule(host);
    let mut life = Life::new(host, world);
    let mut changes = host.changes.iter().copied().peekable();
    for (time, query) in runs(host, life.world, &schedule) {
        while let Some((at, change)) = changes.next_if(|(at, _)| *at <= time) {
            life.change(at, change);
        }
        life.run(query, time, log)?;
    }
    Ok(())
}

/// When osqueryd starts on a Mac, and runs its queries.
fn schedule(host: &Host) -> Schedule {
    let mut starts = vec![Start {
        time: host.begins,
        offset: 0,
        empty: true,
    }];
    let mut offset = 0;
    for (time, change) in &host.changes {
        match change {
            Change::Clock(seconds) => offset = *seconds,
            Change::Image { .. } => {
                offset = 0;
                starts.push(Start {
                    time: *time,
                    offset,
                    empty: true,
                });
            }
            Change::EmptyDatabase => starts.push(Start {
                time: *time,
                offset,
                empty: true,
            }),
            Change::Step(_) | Change::Readable(_) => {}
        }
    }
    Schedule::new(&host.spans, &starts, host.seed)
}

/// The runs that may give a line, in order.
fn runs(host: &Host, world: &World, schedule: &Schedule) -> Vec<(i64, usize)> {
    let mut runs = Vec::new();
    let times = std::iter::once(host.begins).chain(host.changes.iter().map(|(time, _)| *time));
    let times: Vec<i64> = times.collect();
    for (index, query) in world.asker.queries.iter().enumerate() {
        let interval = query.interval as i64;
        let next = |time| schedule.next(index, interval, time);
        if query.snapshot {
            let mut time = host.begins;
            while let Some(at) = next(time) {
                runs.push((at, index));
                time = at;
            }
            continue;
        }
        runs.extend(times.iter().filter_map(|time| Some((next(*time)?, index))));
    }
    runs.retain(|(time, _)| *time < host.ends);
    runs.sort_unstable();
    runs.dedup();
    runs
}

impl<'a> Life<'a> {
    fn new(host: &'a Host, world: &'a mut World) -> Self {
        let (story, state) = (host.story, host.state);
        let visits = vec![(state, 0)];
        let history = world.histories.of(story, &world.stories[story], &visits);
        Self {
            steps: vec![host.installed; world.stories[story].states.len()],
            memories: vec![None; world.asker.queries.len()],
            first_id: host.begins * 1000,
            host,
            world,
            story,
            state,
            readable: true,
            offset: 0,
            history,
            visits,
            visited: host.installed,
            seen: Vec::new(),
        }
    }

    fn change(&mut self, time: i64, change: Change) {
        match change {
            Change::Clock(offset) => self.offset = offset,
            Change::EmptyDatabase => self.memories.fill(None),
            Change::Readable(readable) => {
                self.readable = readable;
                self.look(time);
            }
            Change::Step(state) => {
                let now = time + self.offset;
                let passed = (self.state + 1).min(state)..=state;
                self.steps[passed].fill(now);
                self.state = state;
                self.look(time);
            }
            Change::Image { story, state } => {
                (self.story, self.state, self.offset) = (story, state, 0);
                self.steps = vec![time; self.world.stories[story].states.len()];
                self.memories.fill(None);
                self.visits = vec![(state, 0)];
                self.visited = time;
                self.seen.clear();
                self.first_id = time * 1000;
                self.history = self.journal();
            }
        }
    }

    /// The watch looks, if it can, and writes down what it sees.
    fn look(&mut self, time: i64) {
        let known = self.visits.last().map(|(state, _)| *state);
        if !self.readable || known == Some(self.state) {
            return;
        }
        let stood = if self.host.alone {
            time - self.visited
        } else {
            DAY
        };
        self.visits.push((self.state, stood));
        self.visited = time;
        self.history = self.journal();
        let now = time + self.offset;
        self.seen.resize(self.history.events.len(), now);
    }

    fn journal(&mut self) -> Rc<History> {
        let world = &mut *self.world;
        let story = &world.stories[self.story];
        world.histories.of(self.story, story, &self.visits)
    }

    fn run(&mut self, query: usize, time: i64, log: &mut Log) -> io::Result<()> {
        let Some(rows) = self.answer(query) else {
            return Ok(());
        };
        let asked = &self.world.asker.queries[query];
        let stamp = Stamp {
            host: self.host.name.clone(),
            seconds: u64::try_from(time + self.offset).expect("a time"),
        };
        if asked.snapshot {
            let mut line = line::Snapshot::default();
            rows.iter().for_each(|row| line.add(&self.own(row)));
            let mut text = Vec::new();
            line.finish(&asked.name, &stamp, &mut text)?;
            let text = String::from_utf8(text).expect("text");
            return log.take(time, text.trim_end_matches('\n'));
        }
        let remembered = self.memories[query].take();
        let memory = remembered.map(|(counter, rows)| remember(counter, &rows));
        let memory = memory.transpose()?;
        let mut comparison = Comparison::new(memory.as_ref(), usize::MAX)?;
        let counter = comparison.counter();
        let line = |row: &Row, action: &str| {
            line::of_row(&asked.name, &self.own(row), action, counter, &stamp)
        };
        let mut added = Vec::new();
        for row in rows.iter() {
            if comparison.take(row)? {
                added.push(line(row, "added"));
            }
        }
        let mut removed = Vec::new();
        let found = comparison.finish(asked.removed, |row| {
            removed.push(line(&row, "removed"));
            Ok(())
        })?;
        for line in removed.into_iter().chain(added) {
            log.take(time, &line)?;
        }
        let counter = found.memory.or(memory).map_or(0, |memory| memory.counter);
        self.memories[query] = Some((counter, rows));
        Ok(())
    }

    fn answer(&mut self, query: usize) -> Answer {
        if self.world.asker.of[query] == Of::Events {
            return self.history.answer(&mut self.world.asker, query);
        }
        let state = &self.world.stories[self.story].states[self.state];
        if self.readable {
            state.answers[query].clone()
        } else {
            state.blind[query].clone()
        }
    }

    /// A row with the times and numbers of this Mac.
    fn own(&self, row: &Row) -> Row {
        let mut row = row.clone();
        for (name, cell) in &mut row {
            match cell {
                Cell::Int(number) => {
                    let step = *number - STEP;
                    let event = *number - EVENT;
                    if (0..MOST_STEPS).contains(&step) {
                        *number = self.steps[step as usize];
                    } else if (0..MOST_EVENTS).contains(&event) {
                        *number = if name == "id" {
                            self.first_id + event
                        } else {
                            self.seen[event as usize]
                        };
                    }
                }
                Cell::Text(text) if name == "unread" && text.starts_with("ctime=20") => {
                    let end = text.find('.').unwrap_or(text.len());
                    let step = text["ctime=".len()..end].parse().unwrap_or(0) - STEP;
                    if (0..MOST_STEPS).contains(&step) {
                        let time = self.steps[step as usize];
                        text.replace_range("ctime=".len()..end, &time.to_string());
                    }
                }
                Cell::Text(_) => {}
            }
        }
        row
    }
}

/// The end of a month of so many days.
pub fn end_of(days: i64) -> i64 {
    BEGIN + days * DAY
}

/// What is remembered of a run that gave these rows.
fn remember(counter: u64, rows: &[Row]) -> io::Result<Memory> {
    let mut all = Comparison::new(None, usize::MAX)?;
    for row in rows {
        all.take(row)?;
    }
    let rows = all
        .finish(false, |_| Ok(()))?
        .memory
        .expect("a base line")
        .rows;
    Ok(Memory { counter, rows })
}
