//! osqueryd's differential semantics: what changed between two runs of a query.
//!
//! As `Query::addNewResults` and `diff` of osquery's `core/query.cpp` and `diff_results.cpp` have
//! it: rows are compared whole, as a multiset; the first run gives every row as added, with
//! the counter 0; the counter grows with each difference, one that is not logged included; a
//! query that fails keeps what it remembers, and so does one whose text changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::Cell;

/// A row: its columns in the order of their names, as osquery keeps and logs them.
pub type Row = BTreeMap<String, Cell>;

/// What is remembered of a query from its last run that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Number of the last difference.
    pub counter: u64,
    /// Every row, sorted.
    pub rows: Vec<Row>,
}

/// What is logged of a run: removed rows first, in their order, then added ones in the query's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Number of the difference; 0 is the base line.
    pub counter: u64,
    /// Rows that went.
    pub removed: Vec<Row>,
    /// Rows that came.
    pub added: Vec<Row>,
}

/// Compares the rows of a run with what is remembered, and remembers them. `removed` is false
/// for a query whose removed rows are dropped; they count as a difference all the same.
pub fn advance(memory: &mut Option<Memory>, rows: Vec<Row>, removed: bool) -> Difference {
    let Some(memory) = memory else {
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        *memory = Some(Memory {
            counter: 0,
            rows: sorted,
        });
        return Difference {
            added: rows,
            ..Difference::default()
        };
    };
    let mut old: BTreeMap<&Row, usize> = BTreeMap::new();
    for row in &memory.rows {
        let count = old.entry(row).or_default();
        *count = count.saturating_add(1);
    }
    let mut added = Vec::new();
    for row in &rows {
        match old.get_mut(row) {
            Some(count) if *count > 0 => *count = count.saturating_sub(1),
            _ => added.push(row.clone()),
        }
    }
    let gone: Vec<Row> = old
        .into_iter()
        .flat_map(|(row, count)| std::iter::repeat_n(row.clone(), count))
        .collect();
    if added.is_empty() && gone.is_empty() {
        return Difference {
            counter: memory.counter,
            ..Difference::default()
        };
    }
    memory.counter = memory.counter.saturating_add(1);
    memory.rows = rows;
    memory.rows.sort_unstable();
    Difference {
        counter: memory.counter,
        removed: if removed { gone } else { Vec::new() },
        added,
    }
}
