//! A query's answer in the formats of osqueryi.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::engine::{Cell, Engine};
use crate::failure::Failure;
use crate::output::print_all;
use crate::scan::Snapshot;
use crate::spool::Spool;
use crate::table::Texts;
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

impl Format {
    /// How long the texts of an answer in it may be: of a table the longest is the width of every row.
    pub fn texts(self) -> Texts {
        match self {
            Self::Table => Texts::Narrow,
            Self::Json | Self::Csv | Self::Line => Texts::Whole,
        }
    }
}

/// Prints the answer to a query, once all of it is known.
///
/// # Errors
/// As the engine's and those of standard output.
pub fn give(engine: Engine, sql: &str, snapshot: &Snapshot, format: Format) -> Result<(), Failure> {
    let mut engine = engine.with(format.texts());
    let mut printer = Printer::new(format, engine.check(sql)?)?;
    let mut written = Ok(());
    engine.each(sql, snapshot, |row| {
        if written.is_ok() {
            written = printer.row(row.iter().map(Cell::to_string).collect());
        }
    })?;
    written?;
    print_all(&mut printer.finish()?)
}

/// An answer on its way out, row by row: packed until all of it is there, so that one which breaks off is
/// never seen and one of many rows is not held as it will be printed.
struct Printer {
    format: Format,
    columns: Vec<String>,
    rows: usize,
    /// Of a table the cells, and how wide its columns are: as their longest value, so that nothing can be printed
    /// before all is known.
    cells: Spool,
    widths: Vec<usize>,
    spool: Spool,
}

impl Printer {
    /// An answer with these columns and no rows.
    ///
    /// # Errors
    /// As the spool's.
    fn new(format: Format, columns: Vec<String>) -> io::Result<Self> {
        let mut spool = Spool::default();
        match format {
            Format::Json => write!(spool, "[")?,
            Format::Csv => write!(spool, "{}", csv(&columns))?,
            Format::Table | Format::Line => {}
        }
        Ok(Self {
            widths: {
                let widths = columns.iter().map(|name| name.chars().count().min(WIDEST));
                widths.collect()
            },
            format,
            columns,
            rows: 0,
            cells: Spool::default(),
            spool,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// As the spool's.
    fn row(&mut self, row: Vec<String>) -> io::Result<()> {
        let is_first = self.rows == 0;
        self.rows = self.rows.saturating_add(1);
        match self.format {
            Format::Table => {
                for (value, width) in row.iter().zip(&mut self.widths) {
                    let cell = visible(value);
                    *width = cell.chars().count().min(WIDEST).max(*width);
                    write!(self.cells, "{cell}{CELL}")?;
                }
                writeln!(self.cells)
            }
            Format::Json => {
                let before = if is_first { "" } else { "," };
                let pairs = self.columns.iter().cloned().zip(row);
                let object: Map<String, Value> =
                    pairs.map(|(name, text)| (name, text.into())).collect();
                write!(self.spool, "{before}\n  {}", Value::Object(object))
            }
            Format::Csv => write!(self.spool, "{}", csv(&row)),
            Format::Line => {
                let before = if is_first { "" } else { "\n" };
                write!(self.spool, "{before}{}", line(&self.columns, &row))
            }
        }
    }

    /// All of it, to be read.
    ///
    /// # Errors
    /// As the spool's.
    fn finish(mut self) -> io::Result<impl Read> {
        match self.format {
            Format::Table => {
                let rows = BufReader::new(self.cells.finish()?.0);
                table(&mut self.spool, &self.columns, &self.widths, rows)?;
            }
            Format::Json if self.rows == 0 => write!(self.spool, "\n\n]\n")?,
            Format::Json => write!(self.spool, "\n]\n")?,
            Format::Csv | Format::Line => {}
        }
        Ok(self.spool.finish()?.0)
    }
}

fn csv(row: &[String]) -> String {
    let fields: Vec<String> = row.iter().map(|field| csv_field(field)).collect();
    format!("{}\n", fields.join(","))
}

/// What begins a formula, in some locales in full width too.
const STARTS: &[char] = &['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r'];
/// Behind which a cell begins where a program does not part them at commas: it sees no quotes around ours then.
const PARTS: &[char] = &[';', '\t', '|', '\r', '\n'];

/// A spreadsheet takes a cell that begins as a formula does for one, and may run it: an apostrophe before it makes it
/// text there. Numbers stay as they are.
fn csv_field(field: &str) -> String {
    let is_number = field.starts_with('-') && field.parse::<i64>().is_ok();
    let mut harmless = String::with_capacity(field.len());
    for (number, part) in field.split_inclusive(PARTS).enumerate() {
        // Quotes around what follows may be taken off.
        let start = if number == 0 {
            part
        } else {
            part.trim_start_matches('"')
        };
        if start.starts_with(STARTS) && !is_number {
            harmless.push('\'');
        }
        harmless.push_str(part);
    }
    if harmless.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", harmless.replace('"', "\"\""))
    } else {
        harmless
    }
}

fn line(columns: &[String], row: &[String]) -> String {
    let width = columns.iter().map(|c| c.chars().count()).max();
    let width = width.unwrap_or_default().min(WIDEST);
    let mut out = String::new();
    for (name, value) in columns.iter().zip(row) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:>width$} = {}", visible(value));
    }
    out
}

/// Characters to which what is shorter is filled up, so that columns stand side by side: a longer text juts out.
const WIDEST: usize = 10_000;

/// What ends a cell that is held: no cell has a control character.
const CELL: char = '\0';

fn table(
    out: &mut impl Write,
    columns: &[String],
    widths: &[usize],
    rows: impl BufRead,
) -> io::Result<()> {
    let rule: Vec<String> = widths
        .iter()
        .map(|w| "-".repeat(w.saturating_add(2)))
        .collect();
    let rule = format!("+{}+\n", rule.join("+"));
    let format_row = |row: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = row
            .zip(widths)
            .map(|(cell, width)| format!(" {cell:<width$} "))
            .collect();
        format!("|{}|\n", cells.join("|"))
    };
    let head = format_row(&mut columns.iter().map(String::as_str));
    write!(out, "{rule}{head}{rule}")?;
    let mut is_empty = true;
    for row in rows.lines() {
        write!(out, "{}", format_row(&mut row?.split(CELL)))?;
        is_empty = false;
    }
    if !is_empty {
        write!(out, "{rule}")?;
    }
    Ok(())
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
    use crate::engine::Answer;

    fn answer() -> Answer {
        Answer {
            columns: vec!["path".into(), "n".into()],
            rows: vec![
                vec!["/a, \"b\"".into(), "1".into()],
                vec!["/é".into(), String::new()],
            ],
        }
    }

    fn render(answer: &Answer, format: Format) -> String {
        let mut printer = Printer::new(format, answer.columns.clone()).unwrap();
        for row in &answer.rows {
            printer.row(row.clone()).unwrap();
        }
        let mut text = String::new();
        let mut all = printer.finish().unwrap();
        all.read_to_string(&mut text).unwrap();
        text
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

    /// As long as any text that a query makes of many.
    #[test]
    fn a_cell_of_any_length_is_in_the_table() {
        let long = "é".repeat(70_000);
        let answer = Answer {
            columns: vec!["n".into(), "all".into(), "k".into()],
            rows: vec![
                vec!["1".into(), long.clone(), "2".into()],
                vec!["3".into(), "short".into(), "4".into()],
            ],
        };
        let table = render(&answer, Format::Table);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[3], format!("| 1 | {long} | 2 |"));
        assert!(lines[4].starts_with("| 3 | short ") && lines[4].ends_with("  | 4 |"));
        assert!(lines.iter().all(|line| line.chars().count() <= 70_020));
        let answer = Answer {
            columns: vec![long.clone()],
            rows: vec![vec!["1".into()]],
        };
        assert_eq!(render(&answer, Format::Line), format!("{long} = 1\n"));
        assert!(render(&answer, Format::Table).contains(&long));
    }

    /// A program that parts cells at another sign sees a cell begin behind each.
    #[test]
    fn no_part_of_a_cell_is_a_formula_whatever_parts_cells() {
        for field in [
            ";=1+1", "a;=1+1", "a;;@x", "a\t=1", "a|+1", "\t|=1", "a\n-x", "a\r\n-x", "a;\"=1\"",
            "a;\"\"=1", "=1;=2", "a;＝1", "a;-5", "-5;=1",
        ] {
            let text = csv_field(field);
            let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
            let inner = inner.unwrap_or(&text).replace("\"\"", "\"");
            for part in inner.split([';', '\t', '|', '\r', '\n']) {
                let part = part.trim_start_matches('"');
                assert!(
                    !part.starts_with(['=', '+', '-', '@', '＝']),
                    "{field:?} is {text:?}"
                );
            }
            assert_eq!(inner.replace('\'', ""), field);
        }
        for field in [
            "a;b", "a|b=c", "-5", "x=1;y=2", "a, -b", ";;", "", "\"=\"", "1;2",
        ] {
            assert!(!csv_field(field).contains('\''), "{field:?}");
        }
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
