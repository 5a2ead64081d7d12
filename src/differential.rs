//! osqueryd's differential semantics: what changed between two runs of a query.
//!
//! As `Query::addNewResults` and `diff` of osquery's `core/query.cpp` and `diff_results.cpp` have
//! it: rows are compared whole, as a multiset; the first run gives every row as added, with
//! the counter 0; the counter grows with each difference, one that is not logged included; a
//! query that fails keeps what it remembers, and so does one whose text changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::engine::Cell;
use crate::order;
use crate::sha256::Sha256;

/// Bytes of rows that are held as they are.
const MOST_PLAIN: usize = 256 << 10;
/// Rows of one query that are remembered: a scan has fewer entries.
const MOST_ROWS: usize = 120_000;
/// Bytes of one row, as text.
const MOST_ROW: usize = 4 << 20;
/// Columns of an answer, as SQLite bounds them (`SQLITE_MAX_COLUMN`).
const MOST_COLUMNS: usize = 2_000;
/// Bytes of the rows that went, as text, that are held to be put in order.
const MOST_SORTED: usize = 2 << 20;
/// Bytes of all that is remembered, packed.
pub const MOST_PACKED: usize = 32 << 20;

/// A row: its columns in the order of their names, as osquery keeps and logs them.
pub type Row = BTreeMap<String, Cell>;

/// The row of what a query gives for those columns.
pub fn row(columns: &[String], cells: Vec<Cell>) -> Row {
    order::gather(columns.iter().cloned().zip(cells))
}

/// What is remembered of a query from its last run that succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Number of the last difference.
    pub counter: u64,
    /// Every row.
    pub rows: Rows,
}

/// Rows as text, packed: of thousands of bundles they are most of what a run would hold. Their order is the
/// query's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    packed: Vec<Vec<u8>>,
    /// What comes after those, a line for each row.
    plain: Vec<u8>,
    count: usize,
}

impl Rows {
    /// Bytes that they take.
    pub fn size(&self) -> usize {
        self.packed.iter().map(Vec::len).sum::<usize>() + self.plain.len()
    }

    /// Adds one; why it is not, where it is more than is remembered.
    fn add(&mut self, text: &[u8], most: usize) -> io::Result<Result<(), String>> {
        if text.len() > MOST_ROW {
            return Ok(Err(format!("a row has more than {MOST_ROW} bytes")));
        }
        if self.count >= MOST_ROWS {
            return Ok(Err(format!("there are more than {MOST_ROWS} rows")));
        }
        if self.plain.is_empty() && self.size() > most {
            let why =
                format!("what is remembered would take more than {MOST_PACKED} bytes, packed");
            return Ok(Err(why));
        }
        self.count += 1;
        self.plain.extend_from_slice(text);
        self.plain.push(b'\n');
        if self.plain.len() >= MOST_PLAIN {
            let mut block = GzEncoder::new(Vec::new(), Compression::fast());
            block.write_all(&self.plain)?;
            self.packed.push(block.finish()?);
            self.plain.clear();
        }
        Ok(Ok(()))
    }

    fn each_text(&self) -> impl Iterator<Item = io::Result<Cow<'_, [u8]>>> {
        let packed = self.packed.iter().map(|block| {
            let mut text = Vec::new();
            GzDecoder::new(block.as_slice()).read_to_end(&mut text)?;
            Ok(Cow::Owned(text))
        });
        packed.chain([Ok(Cow::Borrowed(self.plain.as_slice()))])
    }

    /// Passes each row on.
    ///
    /// # Errors
    /// Never of what was packed here.
    pub fn each(&self, mut take: impl FnMut(Row)) -> io::Result<()> {
        for text in self.each_text() {
            for line in lines(&text?) {
                take(serde_json::from_slice(line)?);
            }
        }
        Ok(())
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut rows = to.serialize_seq(None)?;
        for text in self.each_text() {
            for line in lines(&text.map_err(ser::Error::custom)?) {
                let row: Row = serde_json::from_slice(line).map_err(ser::Error::custom)?;
                rows.serialize_element(&row)?;
            }
        }
        rows.end()
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneByOne;
        impl<'de> Visitor<'de> for OneByOne {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("rows")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Rows, A::Error> {
                let mut rows = Rows::default();
                let mut columns = Vec::new();
                while let Some(row) = from.next_element_seed(OfColumns(&mut columns))? {
                    let text = serde_json::to_vec(&row).map_err(de::Error::custom)?;
                    let added = rows.add(&text, MOST_PACKED).map_err(de::Error::custom)?;
                    added.map_err(de::Error::custom)?;
                }
                Ok(rows)
            }
        }
        from.deserialize_seq(OneByOne)
    }
}

/// A row that has the columns of those before it, as all of a query have: the first one names them.
struct OfColumns<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for OfColumns<'_> {
    type Value = Row;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Row, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OfColumns<'_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Row, A::Error> {
        let (mut row, mut bytes) = (Row::new(), 0_usize);
        while let Some((name, cell)) = from.next_entry::<String, Cell>()? {
            let long = match &cell {
                Cell::Text(text) => text.len(),
                Cell::Int(_) => 0,
            };
            bytes = bytes.saturating_add(name.len()).saturating_add(long);
            row.insert(name, cell);
            if row.len() > MOST_COLUMNS || bytes > MOST_ROW {
                return Err(de::Error::custom("a row is larger than any of a query"));
            }
        }
        if self.0.is_empty() {
            *self.0 = row.keys().cloned().collect();
        }
        if row.is_empty() || !row.keys().eq(self.0.iter()) {
            let why = "a row has not the columns of the others of its query";
            return Err(de::Error::custom(why));
        }
        Ok(row)
    }
}

/// The comparison of one run of a query with what is remembered, row by row: neither is held but as text, packed,
/// for whoever plants many bundles chooses how long their rows are.
pub struct Comparison<'m> {
    old: Option<&'m Memory>,
    /// How many of each remembered row, by its digest, have not come again.
    left: HashMap<[u8; 32], usize>,
    rows: Rows,
    /// Bytes that those may take.
    most: usize,
    has_added: bool,
    /// Why they are more than is remembered.
    overflow: Option<String>,
}

/// What came of a comparison.
pub struct Difference {
    /// What is to be remembered; none where nothing differs, so that what was remembered stands.
    pub memory: Option<Memory>,
    /// How many rows went.
    pub removed: usize,
}

impl<'m> Comparison<'m> {
    /// With what is remembered, if the query was run before; the new rows may take `most` bytes, packed.
    ///
    /// # Errors
    /// Never of what was packed here.
    pub fn new(old: Option<&'m Memory>, most: usize) -> io::Result<Self> {
        let mut left = HashMap::new();
        for text in old.iter().flat_map(|old| old.rows.each_text()) {
            for line in lines(&text?) {
                let count: &mut usize = left.entry(Sha256::digest(line)).or_default();
                *count = count.saturating_add(1);
            }
        }
        Ok(Self {
            old,
            left,
            rows: Rows::default(),
            most,
            has_added: false,
            overflow: None,
        })
    }

    /// Number of the difference, if there is one; 0 is the base line.
    pub fn counter(&self) -> u64 {
        self.old.map_or(0, |old| old.counter.saturating_add(1))
    }

    /// Why the rows of the run are more than can be remembered: none of them may be told then.
    pub fn overflow(&self) -> Option<&str> {
        self.overflow.as_deref()
    }

    /// Takes the next row of the run; true when it came with this run.
    ///
    /// # Errors
    /// Never in memory.
    pub fn take(&mut self, row: &Row) -> io::Result<bool> {
        if self.overflow.is_some() {
            return Ok(false);
        }
        let text = serde_json::to_vec(row)?;
        if let Err(why) = self.rows.add(&text, self.most)? {
            self.overflow = Some(why);
            return Ok(false);
        }
        let is_new = match self.left.get_mut(&Sha256::digest(&text)) {
            Some(count) if *count > 0 => {
                *count = count.saturating_sub(1);
                false
            }
            _ => true,
        };
        self.has_added |= is_new;
        Ok(is_new)
    }

    /// Takes each remembered row that did not come again and that `stands` all the same, as if it had.
    ///
    /// # Errors
    /// Never of what was packed here.
    pub fn keep(&mut self, stands: impl Fn(&Row) -> bool) -> io::Result<()> {
        for text in self.old.iter().flat_map(|old| old.rows.each_text()) {
            for line in lines(&text?) {
                let left = self.left.get_mut(&Sha256::digest(line));
                let Some(left) = left.filter(|left| **left > 0) else {
                    continue;
                };
                if self.overflow.is_none() && stands(&serde_json::from_slice(line)?) {
                    *left = left.saturating_sub(1);
                    self.overflow = self.rows.add(line, self.most)?.err();
                }
            }
        }
        Ok(())
    }

    /// What differs, when all rows of the run were taken. Rows that went are passed to `gone`, in their own order
    /// for as far as they can be held at once: they are logged before those that came. `removed` is false for a
    /// query whose removed rows are dropped; they count as a difference all the same.
    ///
    /// # Errors
    /// That of `gone`.
    pub fn finish(
        mut self,
        removed: bool,
        mut gone: impl FnMut(Row) -> io::Result<()>,
    ) -> io::Result<Difference> {
        let has_gone = self.left.values().any(|count| *count > 0);
        let is_same = self.old.is_some() && !self.has_added && !has_gone;
        let (mut held, mut bytes, mut count) = (Vec::new(), 0_usize, 0_usize);
        let mut pass = |held: &mut Vec<Row>| {
            order::sort(held);
            held.drain(..).try_for_each(&mut gone)
        };
        let old = self.old.filter(|_| has_gone && removed);
        for text in old.iter().flat_map(|old| old.rows.each_text()) {
            for line in lines(&text?) {
                let left = self.left.get_mut(&Sha256::digest(line));
                let Some(left) = left.filter(|left| **left > 0) else {
                    continue;
                };
                *left = left.saturating_sub(1);
                held.push(serde_json::from_slice::<Row>(line)?);
                count = count.saturating_add(1);
                bytes = bytes.saturating_add(line.len());
                if bytes > MOST_SORTED {
                    pass(&mut held)?;
                    bytes = 0;
                }
            }
        }
        pass(&mut held)?;
        let counter = self.counter();
        let rows = self.rows;
        Ok(Difference {
            memory: (!is_same).then_some(Memory { counter, rows }),
            removed: count,
        })
    }
}
