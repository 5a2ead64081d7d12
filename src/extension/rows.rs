//! The rows of an answer, as the wire has them.
//!
//! They are encoded as they come: as maps of texts they take five times the memory, and thousands of
//! rows are what an attacker can plant.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::wire::{Input, Output, Type};

/// One row of an answer: the values by column.
pub type Row = BTreeMap<String, String>;

/// Bytes of a piece, about.
const PIECE: usize = 64 << 10;

/// Encoded rows, in the order in which they came.
#[derive(Debug, Default)]
pub struct Rows {
    count: usize,
    /// In pieces: one text that grows would be copied each time it does.
    pieces: Vec<Output>,
}

impl Rows {
    /// Adds a row: the columns and their values as text. A number that is absent is left out.
    pub fn push(&mut self, row: &[(&'static str, String)]) {
        if self.pieces.last().is_none_or(|p| p.bytes().len() >= PIECE) {
            self.pieces.push(Output::default());
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.texts(row.iter().map(|(name, text)| (*name, text.as_str())));
            self.count = self.count.saturating_add(1);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// Their bytes, piece by piece.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(Output::bytes)
    }

    /// As maps, which is what osquery-rust-ng's trait gives.
    pub(crate) fn maps(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for mut piece in self.pieces() {
            while !piece.is_empty() {
                let Ok(row) = read_row(&mut Input::new(&mut piece, u64::MAX)) else {
                    break;
                };
                rows.push(row);
            }
        }
        rows
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
