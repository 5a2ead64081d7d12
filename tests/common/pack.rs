//! The pack's files, read as the generator reads them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use dsplug::pack::{Query, header};
use dsplug::table::{Heading, TABLES};
use rusqlite::Connection;

/// The repository.
pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn text(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap()
}

fn queries_in(directory: &str) -> Vec<Query> {
    let entries = fs::read_dir(top().join(directory)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            assert_eq!(path.extension().unwrap(), "sql", "{path:?}");
            let name = path.file_stem().unwrap().to_str().unwrap();
            header::parse(name, &fs::read_to_string(path).unwrap()).unwrap()
        })
        .collect()
}

/// Scheduled queries.
pub fn queries() -> Vec<Query> {
    queries_in("packs/queries")
}

/// Queries of the investigation, run by hand.
pub fn investigation() -> Vec<Query> {
    queries_in("packs/investigation")
}

/// Column names of tables of osquery, from the committed list.
fn core_tables() -> BTreeMap<String, Vec<String>> {
    text("tests/data/osquery-tables.txt")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|line| {
            let (table, columns) = line.split_once(": ").unwrap();
            let columns = columns.split(' ').map(str::to_owned).collect();
            (table.to_owned(), columns)
        })
        .collect()
}

/// A database with our tables, and of those of osquery's that a query says it needs the columns
/// that `has` tells.
pub fn database_with(needed: &[String], has: impl Fn(&str, &str) -> bool) -> Connection {
    let core = core_tables();
    let database = Connection::open_in_memory().unwrap();
    let create = |name: &str, columns: Vec<String>| {
        let sql = format!("CREATE TABLE \"{name}\" ({})", columns.join(", "));
        database.execute_batch(&sql).unwrap();
    };
    for table in TABLES {
        // With its type, so that a number which a test puts in as text is one.
        let column = |h: &Heading| format!("\"{}\" {}", h.name, h.kind.as_str());
        create(table.name(), table.headings().iter().map(column).collect());
    }
    for table in needed {
        let columns = core.get(table).unwrap_or_else(|| {
            panic!("{table} is not in tests/data/osquery-tables.txt; add its columns")
        });
        let columns = columns.iter().filter(|c| has(table, c));
        let columns: Vec<String> = columns.map(|c| format!("\"{c}\"")).collect();
        if !columns.is_empty() {
            create(table, columns);
        }
    }
    database
}

/// The same with every column of today's osquery.
pub fn database(needed: &[String]) -> Connection {
    database_with(needed, |_, _| true)
}
