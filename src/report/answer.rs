//! A query's answer in the formats of osqueryi.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::engine::Answer;
use crate::text::escape;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns side by side
    #[default]
    Table,
    /// An array of objects of strings
    Json,
    /// Comma-separated values, with a heading (RFC 4180)
    Csv,
    /// One line for each value
    Line,
}

/// The answer as text.
pub fn render(answer: &Answer, format: Format) -> String {
    match format {
        Format::Table => table(answer),
        Format::Json => json(answer),
        Format::Csv => csv(answer),
        Format::Line => line(answer),
    }
}

fn json(answer: &Answer) -> String {
    let objects: Vec<String> = answer
        .rows
        .iter()
        .map(|row| {
            let pairs = answer.columns.iter().zip(row);
            let object: Map<String, Value> = pairs
                .map(|(name, value)| (name.clone(), Value::String(value.clone())))
                .collect();
            format!("  {}", Value::Object(object))
        })
        .collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}

fn csv(answer: &Answer) -> String {
    let mut out = String::new();
    for row in std::iter::once(&answer.columns).chain(&answer.rows) {
        let fields: Vec<String> = row.iter().map(|field| csv_field(field)).collect();
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out
}

/// A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula,
/// and may run it: an apostrophe before it makes it text there. Numbers stay as they are.
fn csv_field(field: &str) -> String {
    let harmless;
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = field.starts_with('-') && field.parse::<i64>().is_ok();
    let field = if is_formula && !is_number {
        harmless = format!("'{field}");
        &harmless
    } else {
        field
    };
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn line(answer: &Answer) -> String {
    let width = answer.columns.iter().map(|c| c.chars().count()).max();
    let width = width.unwrap_or_default();
    let mut out = String::new();
    for (number, row) in answer.rows.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        for (name, value) in answer.columns.iter().zip(row) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name:>width$} = {}", visible(value));
        }
    }
    out
}

fn table(answer: &Answer) -> String {
    let rows: Vec<Vec<String>> = answer
        .rows
        .iter()
        .map(|row| row.iter().map(|v| visible(v)).collect())
        .collect();
    let widths: Vec<usize> = answer
        .columns
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let cells = rows.iter().filter_map(|row| row.get(i));
            cells
                .chain([name])
                .map(|c| c.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let rule: Vec<String> = widths
        .iter()
        .map(|w| "-".repeat(w.saturating_add(2)))
        .collect();
    let rule = format!("+{}+\n", rule.join("+"));
    let format_row = |row: &[String]| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!(" {cell:<width$} "))
            .collect();
        format!("|{}|\n", cells.join("|"))
    };
    let mut out = format!("{rule}{}{rule}", format_row(&answer.columns));
    for row in &rows {
        out.push_str(&format_row(row));
    }
    if !rows.is_empty() {
        out.push_str(&rule);
    }
    out
}

/// A value on one line of a terminal. What comes from disk was escaped before; what the query
/// itself made of it, by `char()` for one, was not.
fn visible(value: &str) -> String {
    if value.contains(char::is_control) {
        escape(value.as_bytes())
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer {
            columns: vec!["path".into(), "n".into()],
            rows: vec![
                vec!["/a, \"b\"".into(), "1".into()],
                vec!["/é".into(), String::new()],
            ],
        }
    }

    #[test]
    fn the_four_formats() {
        let a = answer();
        assert_eq!(
            render(&a, Format::Json),
            "[\n  {\"path\":\"/a, \\\"b\\\"\",\"n\":\"1\"},\n  {\"path\":\"/é\",\"n\":\"\"}\n]\n"
        );
        assert_eq!(
            render(&a, Format::Csv),
            "path,n\n\"/a, \"\"b\"\"\",1\n/é,\n"
        );
        assert_eq!(
            render(&a, Format::Line),
            "path = /a, \"b\"\n   n = 1\n\npath = /é\n   n = \n"
        );
        assert_eq!(
            render(&a, Format::Table),
            "+---------+---+\n| path    | n |\n+---------+---+\n| /a, \"b\" | 1 |\n| /é      |   |\n+---------+---+\n"
        );
    }

    #[test]
    fn no_rows_are_still_an_answer() {
        let none = Answer {
            columns: vec!["path".into()],
            rows: Vec::new(),
        };
        let parsed: Value = serde_json::from_str(&render(&none, Format::Json)).unwrap();
        assert_eq!(parsed, Value::Array(Vec::new()));
        assert_eq!(render(&none, Format::Csv), "path\n");
    }
}
