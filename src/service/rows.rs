//! Rows of a table, as the extension hands them out.

use crate::extension::Rows;
use crate::scan::Snapshot;
use crate::table::{Heading, Table, Texts, Value};

/// All rows of a table.
pub(super) fn rows(table: &dyn Table, snapshot: &Snapshot, to: &mut Rows) -> Result<(), String> {
    let headings = table.headings();
    table.rows(snapshot, Texts::Short, &mut |values| {
        to.push(&row(&headings, values));
        Ok(())
    })
}

/// One row: a number that is absent is left out.
pub(super) fn row(headings: &[Heading], values: Vec<Value>) -> Vec<(&'static str, String)> {
    let pairs = headings.iter().zip(values);
    let texts = pairs.filter_map(|(heading, value)| match value {
        Value::Null => None,
        Value::Int(number) => Some((heading.name, number.to_string())),
        Value::Text(text) => Some((heading.name, text)),
    });
    texts.collect()
}
