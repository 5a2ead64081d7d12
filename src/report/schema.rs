//! Every table and column with its meaning, for people and for the README.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::json;

use crate::table::{TABLES, Table};

/// How the schema is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    #[default]
    Table,
    /// An array of tables with their columns
    Json,
    /// As in the README
    Markdown,
}

/// The schema as text.
pub fn render(format: Format) -> String {
    match format {
        Format::Table => plain(),
        Format::Json => json(),
        Format::Markdown => markdown(),
    }
}

fn plain() -> String {
    let mut out = String::new();
    for (number, table) in TABLES.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}: {}", table.name(), table.meaning());
        for column in table.headings() {
            let kind = column.kind.as_str();
            let _ = writeln!(out, "  {:<20} {kind:<6}  {}", column.name, column.meaning);
        }
    }
    out
}

fn json() -> String {
    let tables: Vec<_> = TABLES
        .iter()
        .map(|table| {
            let columns: Vec<_> = table
                .headings()
                .iter()
                .map(|c| json!({"name": c.name, "type": c.kind.as_str(), "meaning": c.meaning}))
                .collect();
            json!({"name": table.name(), "meaning": table.meaning(), "columns": columns})
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(tables))
}

fn markdown() -> String {
    let tables: Vec<String> = TABLES.iter().map(|t| markdown_table(*t)).collect();
    tables.join("\n")
}

fn markdown_table(table: &dyn Table) -> String {
    let mut out = format!("### `{}`\n\n{}\n\n", table.name(), table.meaning());
    out.push_str("| column | type | meaning |\n|---|---|---|\n");
    for column in table.headings() {
        let kind = column.kind.as_str();
        let _ = writeln!(out, "| `{}` | {kind} | {} |", column.name, column.meaning);
    }
    out
}
