//! The embedded engine: SQLite with our tables, for those who have no osquery.
//!
//! The tables that a query names are filled from a snapshot before it runs. They live in a
//! temporary database on disk, so that a bundle of a hundred thousand files costs no memory.

use std::fmt;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, limits::Limit, params_from_iter};

use serde::{Deserialize, Serialize};

use crate::scan::Snapshot;
use crate::table::{TABLES, Table, Texts, Value};

/// Why a query gave no answer.
#[derive(Debug)]
pub enum EngineError {
    /// SQLite refused the query.
    Sql(String),
    /// SQLite could not run it.
    Failed(String),
    /// The call holds no query, or more than one, or one that would write.
    NotOneQuery(&'static str),
    /// What the query asks for could not be read.
    Unreadable(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(why) => write!(f, "the query is not valid: {why}"),
            Self::Failed(why) => write!(
                f,
                "the query could not be run: {why}; SQLite needs room for a temporary file, in TMPDIR or /var/tmp"
            ),
            Self::NotOneQuery(why) => f.write_str(why),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for EngineError {}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        // Its own text repeats the whole query, over as many lines.
        if let rusqlite::Error::SqlInputError { msg, offset, .. } = &error {
            return Self::Sql(match usize::try_from(*offset) {
                Ok(offset) => format!("{msg}, at character {}", offset.saturating_add(1)),
                Err(_) => msg.clone(),
            });
        }
        if let rusqlite::Error::SqliteFailure(_, Some(msg)) = &error
            && msg.starts_with(NO_TABLE)
        {
            return Self::Sql(format!("{msg}{}", tables()));
        }
        match error.sqlite_error_code() {
            Some(Code::DiskFull | Code::SystemIoFailure | Code::CannotOpen | Code::OutOfMemory) => {
                Self::Failed(error.to_string())
            }
            _ => Self::Sql(error.to_string()),
        }
    }
}

/// How SQLite says that a table is not there.
const NO_TABLE: &str = "no such table: ";

/// Which tables there are.
fn tables() -> String {
    let names: Vec<&str> = TABLES.iter().map(|table| table.name()).collect();
    format!(
        "; the tables here are {}, and those of osquery itself are to be had from osqueryd and osqueryi alone",
        names.join(", ")
    )
}

/// An answer: the names of its columns and its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Names, in order.
    pub columns: Vec<String>,
    /// Rows; NULL is the empty text, as osquery prints it.
    pub rows: Vec<Vec<String>>,
}

/// One value of an answer, as SQLite types it: what osquery compares when it looks for differences.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A whole number.
    Int(i64),
    /// Anything else; NULL is the empty text.
    Text(String),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A database with our tables, empty until a query names them.
pub struct Engine {
    connection: Connection,
    texts: Texts,
}

impl Engine {
    /// A new database.
    ///
    /// # Errors
    /// When SQLite cannot make one.
    pub fn new() -> Result<Self, EngineError> {
        // The empty name is SQLite's for a temporary database that goes when it is closed.
        let connection = Connection::open("")?;
        connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        for table in TABLES {
            connection.execute_batch(&create(*table))?;
        }
        // A query must not reach any file but its own database.
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        Ok(Self {
            connection,
            texts: Texts::Short,
        })
    }

    /// The same, with the long texts of rows whole.
    #[must_use]
    pub fn with(self, texts: Texts) -> Self {
        Self { texts, ..self }
    }

    /// Runs one query over a snapshot.
    ///
    /// # Errors
    /// When it is not valid, is not a single query, or a table that it names could not be read.
    pub fn query(&mut self, sql: &str, snapshot: &Snapshot) -> Result<Answer, EngineError> {
        let (columns, cells) = self.cells(sql, snapshot)?;
        let show = |row: Vec<Cell>| row.iter().map(Cell::to_string).collect();
        let rows = cells.into_iter().map(show).collect();
        Ok(Answer { columns, rows })
    }

    /// The same with typed values: the columns' names and the rows.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn cells(
        &mut self,
        sql: &str,
        snapshot: &Snapshot,
    ) -> Result<(Vec<String>, Vec<Vec<Cell>>), EngineError> {
        let (columns, mut rows) = (self.check(sql)?, Vec::new());
        self.each(sql, snapshot, |row| rows.push(row))?;
        Ok((columns, rows))
    }

    /// The same, each row passed to `sink` as it is found: whoever plants many bundles does not have all
    /// of an answer held at once.
    ///
    /// # Errors
    /// As [`query`](Self::query), when some rows may have been passed.
    pub fn each(
        &mut self,
        sql: &str,
        snapshot: &Snapshot,
        mut sink: impl FnMut(Vec<Cell>),
    ) -> Result<(), EngineError> {
        self.check(sql)?;
        self.fill(sql, snapshot)?;
        let mut statement = self.connection.prepare(sql)?;
        let count = statement.column_count();
        let mut answer = statement.query([])?;
        while let Some(row) = answer.next()? {
            let values = (0..count).map(|i| row.get_ref(i).map(cell));
            sink(values.collect::<Result<_, _>>()?);
        }
        Ok(())
    }

    /// Checks that `sql` is one valid query that only reads, and gives the names of its columns.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, sql: &str) -> Result<Vec<String>, EngineError> {
        const NONE: &str = "there is no query; give one, such as SELECT path FROM dsplug_bundles";
        let mut batch = Batch::new(&self.connection, sql);
        let Some(statement) = batch.next()? else {
            return Err(EngineError::NotOneQuery(NONE));
        };
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(EngineError::NotOneQuery(
                "only a query that reads, a SELECT, is run",
            ));
        }
        let names = statement.column_names();
        let names = names.into_iter().map(str::to_owned).collect();
        if batch.next()?.is_some() {
            return Err(EngineError::NotOneQuery(
                "there is more than one query; give one at a time",
            ));
        }
        Ok(names)
    }

    /// True when the query names a table that is not one of ours.
    pub fn names_foreign_table(&self, sql: &str) -> Option<String> {
        match self.check(sql) {
            Err(EngineError::Sql(why)) => why.split_once(NO_TABLE).map(|(_, rest)| {
                rest.split([' ', ',', ';'])
                    .next()
                    .unwrap_or(rest)
                    .to_owned()
            }),
            _ => None,
        }
    }

    /// Fills the tables whose names stand in the query; the others stay empty.
    fn fill(&mut self, sql: &str, snapshot: &Snapshot) -> Result<(), EngineError> {
        let sql = sql.to_ascii_lowercase();
        for table in TABLES.iter().filter(|t| sql.contains(t.name())) {
            let transaction = self.connection.transaction()?;
            transaction.execute_batch(&format!("DELETE FROM {}", table.name()))?;
            let marks = vec!["?"; table.headings().len()].join(",");
            let insert = format!("INSERT INTO {} VALUES ({marks})", table.name());
            let mut insert = transaction.prepare(&insert)?;
            let mut sink = |row: Vec<Value>| {
                let done = insert.execute(params_from_iter(row.into_iter().map(stored)));
                done.map(|_| ())
                    .map_err(|e| EngineError::from(e).to_string())
            };
            table
                .rows(snapshot, self.texts, &mut sink)
                .map_err(EngineError::Unreadable)?;
            drop(insert);
            transaction.commit()?;
        }
        Ok(())
    }
}

fn create(table: &dyn Table) -> String {
    let columns: Vec<String> = table
        .headings()
        .iter()
        .map(|c| format!("\"{}\" {}", c.name, c.kind.as_str()))
        .collect();
    format!("CREATE TABLE {} ({})", table.name(), columns.join(", "))
}

fn stored(value: Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Int(number) => rusqlite::types::Value::Integer(number),
        Value::Text(text) => rusqlite::types::Value::Text(text),
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Text(String::new()),
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Real(number) => Cell::Text(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Cell::Text(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}
