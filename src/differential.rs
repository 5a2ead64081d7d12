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
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::engine::Cell;
use crate::sha256::Sha256;

/// Bytes of rows that are held as they are.
const MOST_PLAIN: usize = 256 << 10;

/// A row: its columns in the order of their names, as osquery keeps and logs them.
pub type Row = BTreeMap<String, Cell>;

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
}

impl Rows {
    fn add(&mut self, text: &[u8]) -> io::Result<()> {
        self.plain.extend_from_slice(text);
        self.plain.push(b'\n');
        if self.plain.len() >= MOST_PLAIN {
            let mut block = GzEncoder::new(Vec::new(), Compression::fast());
            block.write_all(&self.plain)?;
            self.packed.push(block.finish()?);
            self.plain.clear();
        }
        Ok(())
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
                while let Some(row) = from.next_element::<Row>()? {
                    let text = serde_json::to_vec(&row).map_err(de::Error::custom)?;
                    rows.add(&text).map_err(de::Error::custom)?;
                }
                Ok(rows)
            }
        }
        from.deserialize_seq(OneByOne)
    }
}

/// The comparison of one run of a query with what is remembered, row by row: neither is held but as text, packed,
/// for whoever plants many bundles chooses how long their rows are.
pub struct Comparison<'m> {
    old: Option<&'m Memory>,
    /// How many of each remembered row, by its digest, have not come again.
    left: HashMap<[u8; 32], usize>,
    rows: Rows,
    has_added: bool,
}

/// What came of a comparison.
pub struct Difference {
    /// What is to be remembered; none where nothing differs, so that what was remembered stands.
    pub memory: Option<Memory>,
    /// Rows that went, in their order; they are logged before those that came.
    pub removed: Vec<Row>,
}

impl<'m> Comparison<'m> {
    /// With what is remembered, if the query was run before.
    ///
    /// # Errors
    /// Never of what was packed here.
    pub fn new(old: Option<&'m Memory>) -> io::Result<Self> {
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
            has_added: false,
        })
    }

    /// Number of the difference, if there is one; 0 is the base line.
    pub fn counter(&self) -> u64 {
        self.old.map_or(0, |old| old.counter.saturating_add(1))
    }

    /// Takes the next row of the run; true when it came with this run.
    ///
    /// # Errors
    /// Never in memory.
    pub fn take(&mut self, row: &Row) -> io::Result<bool> {
        let text = serde_json::to_vec(row)?;
        self.rows.add(&text)?;
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

    /// What differs, when all rows of the run were taken. `removed` is false for a query whose removed rows are
    /// dropped; they count as a difference all the same.
    ///
    /// # Errors
    /// Never of what was packed here.
    pub fn finish(mut self, removed: bool) -> io::Result<Difference> {
        let has_gone = self.left.values().any(|count| *count > 0);
        let is_same = self.old.is_some() && !self.has_added && !has_gone;
        let mut gone = Vec::new();
        let old = self.old.filter(|_| has_gone && removed);
        for text in old.iter().flat_map(|old| old.rows.each_text()) {
            for line in lines(&text?) {
                if let Some(count) = self.left.get_mut(&Sha256::digest(line)).filter(|c| **c > 0) {
                    *count = count.saturating_sub(1);
                    gone.push(serde_json::from_slice::<Row>(line)?);
                }
            }
        }
        gone.sort_unstable();
        let counter = self.counter();
        let rows = self.rows;
        Ok(Difference {
            memory: (!is_same).then_some(Memory { counter, rows }),
            removed: gone,
        })
    }
}
