//! osqueryd's differential semantics, against a plain model and step by step.
//!
//! The expected values are those of osquery's `Query::addNewResults` and `diff`, as read there and
//! as seen in a real osqueryd's log.

use dsplug::differential::{Comparison, Memory, Row};
use dsplug::engine::Cell;
use proptest::prelude::*;

/// What came of a run.
struct Difference {
    counter: u64,
    removed: Vec<Row>,
    added: Vec<Row>,
}

/// Compares the rows of a run with what is remembered, and remembers them.
fn advance(memory: &mut Option<Memory>, rows: Vec<Row>, removed: bool) -> Difference {
    let mut comparison = Comparison::new(memory.as_ref(), usize::MAX).unwrap();
    let counter = comparison.counter();
    let is_new = |row: &Row| comparison.take(row).unwrap();
    let added: Vec<Row> = rows.into_iter().filter(is_new).collect();
    let mut gone = Vec::new();
    let found = comparison.finish(removed, |row| {
        gone.push(row);
        Ok(())
    });
    let found = found.unwrap();
    assert_eq!(found.removed, gone.len());
    if let Some(new) = found.memory {
        assert_eq!(new.counter, counter);
        *memory = Some(new);
    }
    Difference {
        counter: memory.as_ref().unwrap().counter,
        removed: gone,
        added,
    }
}

fn row(text: &str, number: i64) -> Row {
    Row::from([
        ("a".to_owned(), Cell::Text(text.to_owned())),
        ("b".to_owned(), Cell::Int(number)),
    ])
}

#[test]
fn the_first_run_gives_every_row_with_counter_0() {
    let mut memory = None;
    let first = advance(&mut memory, vec![row("x", 2), row("x", 1)], true);
    assert_eq!((first.counter, first.removed.len()), (0, 0));
    // In the order of the query, not sorted.
    assert_eq!(first.added, [row("x", 2), row("x", 1)]);
}

#[test]
fn a_first_run_without_rows_is_a_base_line_too() {
    let mut memory = None;
    assert_eq!(advance(&mut memory, vec![], true).added, []);
    let second = advance(&mut memory, vec![row("x", 1)], true);
    assert_eq!((second.counter, second.added), (1, vec![row("x", 1)]));
}

#[test]
fn a_changed_row_goes_and_comes() {
    let mut memory = None;
    advance(&mut memory, vec![row("x", 1)], true);
    let second = advance(&mut memory, vec![row("x", 2)], true);
    assert_eq!(second.counter, 1);
    assert_eq!(second.removed, [row("x", 1)]);
    assert_eq!(second.added, [row("x", 2)]);
}

/// Of two that are the same, one came again.
#[test]
fn a_row_that_is_kept_neither_goes_nor_comes() {
    let mut memory = None;
    advance(
        &mut memory,
        vec![row("x", 1), row("x", 1), row("y", 1)],
        true,
    );
    let mut comparison = Comparison::new(memory.as_ref(), usize::MAX).unwrap();
    assert!(!comparison.take(&row("x", 1)).unwrap());
    comparison.keep(|kept| *kept == row("x", 1)).unwrap();
    let mut gone = Vec::new();
    let found = comparison.finish(true, |row| {
        gone.push(row);
        Ok(())
    });
    assert_eq!(gone, [row("y", 1)]);
    memory = found.unwrap().memory;
    let next = advance(&mut memory, vec![row("x", 1), row("x", 1)], true);
    assert_eq!(
        (next.counter, next.added, next.removed),
        (1, vec![], vec![])
    );
}

#[test]
fn a_run_like_the_last_gives_nothing_and_does_not_count() {
    let mut memory = None;
    advance(&mut memory, vec![row("x", 1), row("y", 1)], true);
    let same = advance(&mut memory, vec![row("y", 1), row("x", 1)], true);
    assert!(same.added.is_empty() && same.removed.is_empty());
    assert_eq!(advance(&mut memory, vec![], true).counter, 1);
}

#[test]
fn duplicate_rows_are_counted() {
    let mut memory = None;
    advance(&mut memory, vec![row("x", 1), row("x", 1)], true);
    let fewer = advance(&mut memory, vec![row("x", 1)], true);
    assert_eq!(fewer.removed, [row("x", 1)]);
    let more = advance(&mut memory, vec![row("x", 1); 3], true);
    assert_eq!(more.added, vec![row("x", 1); 2]);
}

#[test]
fn dropped_removals_count_as_a_difference() {
    let mut memory = None;
    advance(&mut memory, vec![row("x", 1)], false);
    let gone = advance(&mut memory, vec![], false);
    assert!(gone.removed.is_empty() && gone.added.is_empty());
    // osqueryd has counted the difference that it did not log.
    assert_eq!(advance(&mut memory, vec![row("x", 1)], false).counter, 2);
}

#[test]
fn a_number_and_the_same_digits_as_text_differ() {
    let mut memory = None;
    let number = Row::from([("a".to_owned(), Cell::Int(5))]);
    let text = Row::from([("a".to_owned(), Cell::Text("5".to_owned()))]);
    advance(&mut memory, vec![number.clone()], true);
    let second = advance(&mut memory, vec![text.clone()], true);
    assert_eq!((second.removed, second.added), (vec![number], vec![text]));
}

#[test]
fn a_new_column_gives_every_row_again() {
    let mut memory = None;
    let narrow = Row::from([("a".to_owned(), Cell::Int(5))]);
    advance(&mut memory, vec![narrow.clone()], true);
    let mut wide = narrow.clone();
    wide.insert("b".to_owned(), Cell::Int(6));
    let second = advance(&mut memory, vec![wide.clone()], true);
    assert_eq!(
        (second.counter, second.removed, second.added),
        (1, vec![narrow], vec![wide])
    );
}

#[test]
fn removed_rows_come_in_their_own_order() {
    let mut memory = None;
    // Numbers sort as numbers: osquery keeps their type.
    advance(
        &mut memory,
        vec![row("x", 10), row("x", 9), row("a", 11)],
        true,
    );
    let gone = advance(&mut memory, vec![], true);
    assert_eq!(gone.removed, [row("a", 11), row("x", 9), row("x", 10)]);
}

/// The model: lists, searched from the front, as plainly as can be.
#[derive(Default)]
struct Model {
    old: Option<Vec<Row>>,
    counter: u64,
}

impl Model {
    fn advance(&mut self, rows: &[Row]) -> (u64, Vec<Row>, Vec<Row>) {
        let Some(mut old) = self.old.replace(rows.to_vec()) else {
            return (0, vec![], rows.to_vec());
        };
        let mut added = Vec::new();
        for row in rows {
            match old.iter().position(|o| o == row) {
                Some(at) => drop(old.remove(at)),
                None => added.push(row.clone()),
            }
        }
        old.sort();
        if !(added.is_empty() && old.is_empty()) {
            self.counter += 1;
        }
        (self.counter, old, added)
    }
}

fn a_run() -> impl Strategy<Value = Option<Vec<Row>>> {
    let a_row = ("[xy]", 0_i64..3).prop_map(|(text, number)| row(&text, number));
    // None is a run that failed.
    prop::option::weighted(0.8, prop::collection::vec(a_row, 0..7))
}

proptest! {
    #[test]
    fn agrees_with_the_model(runs in prop::collection::vec(a_run(), 0..12)) {
        let (mut memory, mut model) = (None::<Memory>, Model::default());
        for rows in runs.into_iter().flatten() {
            let expected = model.advance(&rows);
            let found = advance(&mut memory, rows, true);
            prop_assert_eq!((found.counter, found.removed, found.added), expected);
            // What is remembered survives being written and read.
            let text = serde_json::to_string(&memory).unwrap();
            let read: Option<Memory> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &memory);
            memory = read;
        }
    }
}
