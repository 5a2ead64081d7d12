//! Asks the pack's queries of one state of a disk, by dsplug's own engine.
//!
//! Of the queries over osquery's own tables one is asked, `open_directory_modules`: the columns of
//! `file` that it needs are what `lstat` says of the same disk. The others are over processes, receipts,
//! events of the kernel: nothing here plays those.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::rc::Rc;

use dsplug::detect::ask;
use dsplug::detect::line::Stamp;
use dsplug::detect::state::State as Memories;
use dsplug::differential::Row;
use dsplug::engine::{Cell, Engine};
use dsplug::pack::conf::{self, Scheduled};
use dsplug::scan::Snapshot;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// The rows of a query; nothing when it failed.
pub type Answer = Option<Rc<Vec<Row>>>;

/// What a query is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The disk.
    Disk,
    /// The journal of events.
    Events,
    /// osquery's table `file`.
    Files,
}

/// Where a query looks for modules of OpenDirectory.
const MODULES: &str = "/Library/OpenDirectory/Modules";

/// The engine, and the queries that can be asked.
pub struct Asker {
    engine: Engine,
    /// The queries, in the order in which osqueryd runs them.
    pub queries: Vec<Scheduled>,
    /// What each is asked of.
    pub of: Vec<Of>,
    /// Names of the pack's queries that cannot be asked here.
    pub left_out: Vec<String>,
}

impl Asker {
    /// With the pack that dsplug holds.
    #[expect(clippy::new_without_default, reason = "it makes a database")]
    pub fn new() -> Self {
        let engine = Engine::new().expect("an engine");
        let pack = conf::read(conf::NAME, conf::EMBEDDED).expect("the pack");
        let (mut queries, mut of, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for query in pack.queries {
            let foreign = engine.names_foreign_table(&query.sql);
            let asked_of = match foreign.as_deref() {
                None if query.sql.contains("dsplug_events") => Of::Events,
                None => Of::Disk,
                Some("file") if query.name.ends_with("open_directory_modules") => Of::Files,
                Some(_) => {
                    left_out.push(query.name);
                    continue;
                }
            };
            queries.push(query);
            of.push(asked_of);
        }
        Self {
            engine,
            queries,
            of,
            left_out,
        }
    }

    /// The answers of all queries over a disk, by their index; those over events have none here.
    pub fn ask(&mut self, snapshot: &Snapshot, disk: &Path) -> Vec<Answer> {
        let each = 0..self.queries.len();
        each.map(|index| match self.of[index] {
            Of::Disk => self.one(index, snapshot),
            Of::Files => Some(Rc::new(modules(&self.queries[index].sql, disk))),
            Of::Events => None,
        })
        .collect()
    }

    /// The answer of one query over dsplug's tables: for a differential one what `detect` remembers of
    /// its first run.
    pub fn one(&mut self, index: usize, snapshot: &Snapshot) -> Answer {
        let query = &self.queries[index];
        if query.snapshot {
            let (columns, cells) = self.engine.cells(&query.sql, snapshot).ok()?;
            let row = |cells: Vec<Cell>| columns.iter().cloned().zip(cells).collect();
            return Some(Rc::new(cells.into_iter().map(row).collect()));
        }
        let mut memories = Memories::default();
        let stamp = Stamp {
            host: String::new(),
            seconds: 0,
        };
        let one = std::slice::from_ref(query);
        let mut none = std::io::sink();
        ask(
            &mut self.engine,
            one,
            (snapshot, None),
            &mut memories,
            &stamp,
            &mut none,
        )
        .expect("no place is full");
        let memory = memories.queries.remove(&query.name)?;
        let mut rows = Vec::new();
        memory
            .rows
            .each(|row| rows.push(row))
            .expect("what was packed");
        Some(Rc::new(rows))
    }
}

/// The query on `file` over what stands in the folder of modules.
fn modules(sql: &str, disk: &Path) -> Vec<Row> {
    let database = Connection::open_in_memory().expect("a database");
    let table = "CREATE TABLE file (path, directory, type, uid, gid, mode, symlink_target_path)";
    database.execute_batch(table).expect("a table");
    let folder = disk.join(MODULES.trim_start_matches('/'));
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let meta = path.symlink_metadata().expect("a status");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kind = if meta.is_symlink() {
            "symlink"
        } else if meta.is_dir() {
            "directory"
        } else {
            "regular"
        };
        let target = fs::read_link(&path).unwrap_or_default();
        database
            .execute(
                "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    format!("{MODULES}/{name}"),
                    MODULES,
                    kind,
                    meta.uid(),
                    meta.gid(),
                    format!("{:04o}", meta.mode() & 0o7777),
                    target.to_string_lossy(),
                ),
            )
            .expect("a row");
    }
    let mut statement = database.prepare(sql).expect("the query");
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query([]).expect("an answer");
    let mut found = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        let cell = |index: usize| match row.get_ref(index).expect("a cell") {
            ValueRef::Integer(number) => Cell::Int(number),
            other => Cell::Text(other.as_str().unwrap_or_default().to_owned()),
        };
        let cells = names.iter().enumerate();
        found.push(cells.map(|(i, name)| (name.clone(), cell(i))).collect());
    }
    found
}
