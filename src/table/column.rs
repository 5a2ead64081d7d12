//! A column, declared once with its name, type, meaning and accessor, and a table of columns.

use crate::scan::Snapshot;
use crate::text;

/// The type of a column, as osquery and SQLite name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Text, never NULL.
    Text,
    /// A number of 64 bits, or NULL.
    BigInt,
}

impl Type {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::BigInt => "BIGINT",
        }
    }
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A number that is not known, or does not exist.
    Null,
    /// A number.
    Int(i64),
    /// Text.
    Text(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Null, Self::Int)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        i64::try_from(number).map_or(Self::Null, Self::Int)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Int(yes.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A column of rows made of `R`.
pub struct Column<R: ?Sized + 'static> {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// Its value in a row.
    pub get: fn(&R) -> Value,
}

/// A column that holds text.
pub(super) const fn text<R>(
    name: &'static str,
    meaning: &'static str,
    get: fn(&R) -> Value,
) -> Column<R> {
    let kind = Type::Text;
    Column {
        name,
        kind,
        meaning,
        get,
    }
}

/// A column that holds a number.
pub(super) const fn number<R>(
    name: &'static str,
    meaning: &'static str,
    get: fn(&R) -> Value,
) -> Column<R> {
    let kind = Type::BigInt;
    Column {
        name,
        kind,
        meaning,
        get,
    }
}

/// A table, whatever its rows are made of.
pub trait Table: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What one row of it is, in one sentence.
    fn meaning(&self) -> &'static str;
    /// Name, type and meaning of each column, in order.
    fn headings(&self) -> Vec<Heading>;
    /// The column that has the path of the bundle which a row is about; `None` when its rows are about
    /// no bundle in particular.
    fn bundle(&self) -> Option<&'static str>;
    /// Passes each row of it to `sink`, its values in the order of the columns, long texts cut.
    ///
    /// # Errors
    /// With a message when what the table shows could not be read: an empty answer would be taken for
    /// a removal. The sink's own error ends it as well.
    fn rows(&self, snapshot: &Snapshot, texts: Texts, sink: &mut Sink<'_>) -> Result<(), String>;
}

/// How long the texts in rows may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Texts {
    /// As short as a terminal shows them side by side.
    Narrow,
    /// As short as a log takes them. What loggers and indexes do with a long
    /// line is to drop it: a text of an attacker's must not make his row such a line.
    #[default]
    Short,
    /// Whole, for a program that reads them, while there is room.
    Whole,
}

/// Takes in the rows of a table.
pub type Sink<'a> = dyn FnMut(Vec<Value>) -> Result<(), String> + 'a;

/// Takes in what the rows of a table are made of.
pub(super) type RowSink<'a, R> = dyn FnMut(&R) -> Result<(), String> + 'a;

/// What is told of a column to those who do not see rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

/// A table whose rows are made of `R`.
pub struct TableOf<R: ?Sized + 'static> {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) bundle: Option<&'static str>,
    pub(super) columns: &'static [Column<R>],
    pub(super) each: fn(&Snapshot, &mut RowSink<'_, R>) -> Result<(), String>,
}

impl<R: ?Sized> TableOf<R> {
    /// Its columns, in order.
    pub fn columns(&self) -> &'static [Column<R>] {
        self.columns
    }
}

impl<R: ?Sized> Table for TableOf<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn bundle(&self) -> Option<&'static str> {
        self.bundle
    }

    fn headings(&self) -> Vec<Heading> {
        let heading = |c: &Column<R>| Heading {
            name: c.name,
            kind: c.kind,
            meaning: c.meaning,
        };
        self.columns.iter().map(heading).collect()
    }

    fn rows(&self, snapshot: &Snapshot, texts: Texts, sink: &mut Sink<'_>) -> Result<(), String> {
        let mut room = Room::new(texts);
        (self.each)(snapshot, &mut |row| {
            let values = self.columns.iter().map(|c| (c.get)(row));
            sink(values.map(|value| room.bound(value)).collect())
        })
    }
}

/// Bytes of a short text: more than four times the longest path of a Mac.
const MOST_VALUE: usize = 8_192;
/// Bytes of texts after which those of further rows are cut sooner: the rows of a table are held all
/// at once, here, by SQLite and by osquery.
const ROOM: usize = 8 << 20;
/// Bytes of a text that are shown then.
const LEAST_VALUE: usize = 512;
/// Bytes of texts that are longer and shown whole.
const LONG: usize = 2 << 20;

/// The room that is left for the texts of a table.
struct Room {
    most: usize,
    short: usize,
    long: usize,
}

impl Room {
    fn new(texts: Texts) -> Self {
        let (most, long) = match texts {
            Texts::Narrow => (LEAST_VALUE, 0),
            Texts::Short => (MOST_VALUE, 0),
            Texts::Whole => (MOST_VALUE, LONG),
        };
        let short = ROOM;
        Self { most, short, long }
    }

    /// A value that is shown: long texts, which are an attacker's, are cut and say so.
    fn bound(&mut self, value: Value) -> Value {
        let Value::Text(text) = value else {
            return value;
        };
        if text.len() > MOST_VALUE
            && let Some(left) = self.long.checked_sub(text.len())
        {
            self.long = left;
            return Value::Text(text);
        }
        let most = match self.short {
            0 => LEAST_VALUE,
            _ => self.most,
        };
        let text = text::cut(text, most);
        self.short = self.short.saturating_sub(text.len());
        Value::Text(text)
    }
}
