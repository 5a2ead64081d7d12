//! The rows of an answer, as the wire has them.
//!
//! They are encoded as they come: as maps of texts they take five times the memory, and thousands of
//! rows are what an attacker can plant.

use std::collections::BTreeMap;
use std::io::{self, Read, Write as _};

use super::wire::{Input, Output, Type};
use crate::spool::Spool;

/// One row of an answer: the values by column.
pub type Row = BTreeMap<String, String>;

/// Encoded rows, in the order in which they came. Those of a long answer are kept packed: they stand beside the
/// scan that they are of, and of two of their bytes one is the name of a column.
#[derive(Debug, Default)]
pub struct Rows {
    count: usize,
    spool: Spool,
    /// The last one, for whose place the next one is grateful.
    row: Output,
}

impl Rows {
    /// Adds a row: the columns and their values as text. A number that is absent is left out.
    pub fn push(&mut self, row: &[(&'static str, String)]) {
        self.row.clear();
        let pairs = row.iter().map(|(name, text)| (*name, text.as_str()));
        self.row.texts(pairs);
        // What is kept in memory does not fail.
        if self.spool.write_all(self.row.bytes()).is_ok() {
            self.count = self.count.saturating_add(1);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> u64 {
        self.spool.len()
    }

    /// Gets them ready to wait; gives the bytes of memory that they take.
    pub(super) fn settle(&mut self) -> usize {
        self.row = Output::default();
        // What is kept in memory does not fail.
        self.spool.settle().unwrap_or(usize::MAX)
    }

    /// Their bytes, to be read.
    ///
    /// # Errors
    /// Never in memory.
    pub(super) fn into_bytes(self) -> io::Result<impl Read> {
        self.spool.finish().map(|(bytes, _)| bytes)
    }

    /// As maps, which is what osquery-rust-ng's trait gives.
    pub(crate) fn maps(self) -> Vec<Row> {
        let count = self.count;
        let Ok(mut bytes) = self.into_bytes() else {
            return Vec::new();
        };
        let mut input = Input::new(&mut bytes, u64::MAX);
        let rows = (0..count).map_while(|_| read_row(&mut input).ok());
        rows.collect()
    }
}

/// Reads one row.
pub(super) fn read_row(input: &mut Input<impl Read>) -> io::Result<Row> {
    let mut row = Row::new();
    let (types, count) = input.map()?;
    match types {
        None => (),
        Some((Type::Text, Type::Text)) => {
            for _ in 0..count {
                row.insert(input.text()?, input.text()?);
            }
        }
        Some(_) => return Err(io::ErrorKind::InvalidData.into()),
    }
    Ok(row)
}
