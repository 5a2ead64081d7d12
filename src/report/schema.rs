//! Every table and column with its meaning, for people and for the tables' page.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::json;

use crate::failure::Failure;
use crate::table::{TABLES, Table};
use crate::text::escape;

/// How the schema is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    #[default]
    Table,
    /// An array of tables with their columns
    Json,
    /// For a page of documentation
    Markdown,
}

/// The schema of one table, or of all, as text.
///
/// # Errors
/// When there is no such table.
pub fn render(table: Option<&str>, format: Format) -> Result<String, Failure> {
    let mut tables = TABLES.to_vec();
    if let Some(name) = table {
        tables.retain(|table| table.name() == name);
        if tables.is_empty() {
            let names: Vec<&str> = TABLES.iter().map(|table| table.name()).collect();
            let (name, names) = (escape(name.as_bytes()), names.join(", "));
            let why = format!("there is no table {name}; the tables are {names}");
            return Err(Failure::new(why));
        }
    }
    Ok(match format {
        Format::Table => plain(&tables),
        Format::Json => json(&tables),
        Format::Markdown => markdown(&tables),
    })
}

fn plain(tables: &[&dyn Table]) -> String {
    let mut out = String::new();
    for (number, table) in tables.iter().enumerate() {
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

fn json(tables: &[&dyn Table]) -> String {
    let tables: Vec<_> = tables
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

fn markdown(tables: &[&dyn Table]) -> String {
    let tables: Vec<String> = tables.iter().map(|t| markdown_table(*t)).collect();
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
