//! A report made of sections, printed for a terminal, as Markdown or as JSON.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::shell;

use super::markdown::{block, cell, code, prose};

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    #[default]
    Text,
    /// For a ticket
    Markdown,
    /// For another program
    Json,
}

/// A report: its title and sections, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What it is about.
    pub title: String,
    /// The sections.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its key in JSON.
    pub key: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// What it says.
    pub body: Body,
}

/// What a section says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Names with values; an empty value is shown as `-`.
    Facts(Vec<(String, String)>),
    /// Sentences of our own, in which names from disk are escaped.
    Lines(Vec<String>),
    /// Steps in an order.
    Steps(Vec<Step>),
    /// Rows below the names of their columns, and what is said where there is none.
    Rows(Vec<&'static str>, Vec<Vec<String>>, &'static str),
    /// Lines of queries, each with its columns, and what is said where there is none.
    Told(Vec<Line>, &'static str),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// A sentence of our own, in which names from disk are escaped.
    pub says: String,
    /// Lines that are pasted into a shell: no reader may show another text for one.
    commands: Vec<String>,
}

impl Step {
    /// A step, with what is run for it; of what cannot be pasted it says why.
    pub fn new<const N: usize>(says: impl Into<String>, run: [shell::Line; N]) -> Self {
        let (mut says, mut commands) = (says.into(), Vec::new());
        let mut lacks = None;
        for line in &run {
            match line.written() {
                Ok(line) => commands.push(line.to_owned()),
                Err(why) => lacks = Some(why),
            }
        }
        if let Some(why) = lacks {
            let _ = write!(says, " No line is given: {why}.");
        }
        Self { says, commands }
    }
}

/// A line of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The query.
    pub query: String,
    /// Names and values of its columns.
    pub columns: Vec<(String, String)>,
}

impl Line {
    /// Its columns as one text.
    fn text(&self) -> String {
        let columns = self
            .columns
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        columns.collect::<Vec<_>>().join(" ")
    }
}

impl Document {
    /// The report in a format.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Markdown => self.markdown(),
            Format::Json => format!("{:#}\n", self.json()),
        }
    }

    fn text(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for section in &self.sections {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(out, "\n{}", section.heading.to_uppercase());
            match &section.body {
                Body::Facts(facts) => {
                    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                    for (name, value) in facts {
                        let _ = writeln!(out, "  {name:width$}  {}", or_dash(value));
                    }
                }
                Body::Lines(lines) => {
                    for line in lines {
                        let _ = writeln!(out, "  {line}");
                    }
                }
                Body::Steps(steps) => {
                    for (index, step) in steps.iter().enumerate() {
                        let _ = writeln!(out, "  {}. {}", index.saturating_add(1), step.says);
                        for command in &step.commands {
                            let _ = writeln!(out, "       {command}");
                        }
                    }
                }
                Body::Told(lines, none) => {
                    for line in lines {
                        let _ = writeln!(out, "  {}\n      {}", line.query, line.text());
                    }
                    say_none(&mut out, "  ", lines.is_empty(), none);
                }
                Body::Rows(names, rows, none) => {
                    say_none(&mut out, "  ", rows.is_empty(), none);
                    for row in rows {
                        let mut cells = row.iter();
                        let _ = writeln!(out, "  {}", cells.next().map_or("", String::as_str));
                        for (name, cell) in names.iter().skip(1).zip(cells) {
                            if !cell.is_empty() {
                                let _ = writeln!(out, "      {name}: {cell}");
                            }
                        }
                    }
                }
            }
        }
        out
    }

    fn markdown(&self) -> String {
        let mut out = format!("# {}\n", code(&self.title));
        for section in &self.sections {
            let _ = writeln!(out, "\n## {}\n", section.heading);
            match &section.body {
                Body::Facts(facts) => {
                    let _ = writeln!(out, "| what | value |\n|---|---|");
                    for (name, value) in facts {
                        let _ = writeln!(out, "| {name} | {} |", cell(value));
                    }
                }
                Body::Lines(lines) => {
                    for line in lines {
                        let _ = writeln!(out, "- {}", prose(line));
                    }
                }
                Body::Steps(steps) => {
                    for (index, step) in steps.iter().enumerate() {
                        let number = format!("{}. ", index.saturating_add(1));
                        let _ = writeln!(out, "{number}{}", prose(&step.says));
                        if !step.commands.is_empty() {
                            out.push_str(&block(&step.commands, number.len()));
                        }
                    }
                }
                Body::Told(lines, none) => {
                    for line in lines {
                        let text = code(&line.text());
                        let colon = if text.is_empty() { "" } else { ": " };
                        let _ = writeln!(out, "- `{}`{colon}{text}", line.query);
                    }
                    say_none(&mut out, "", lines.is_empty(), none);
                }
                Body::Rows(_, rows, none) if rows.is_empty() => {
                    say_none(&mut out, "", true, none);
                }
                Body::Rows(names, rows, _) => {
                    let _ = writeln!(out, "| {} |", names.join(" | "));
                    let _ = writeln!(out, "|{}", "---|".repeat(names.len()));
                    for row in rows {
                        let cells: Vec<String> = row.iter().map(|c| cell(c)).collect();
                        let _ = writeln!(out, "| {} |", cells.join(" | "));
                    }
                }
            }
        }
        out
    }

    fn json(&self) -> Value {
        let mut all = Map::new();
        all.insert("path".into(), json!(self.title));
        for section in &self.sections {
            let body = match &section.body {
                Body::Facts(facts) => {
                    let facts = facts.iter().map(|(k, v)| (k.clone(), json!(v)));
                    Value::Object(facts.collect())
                }
                Body::Lines(lines) => json!(lines),
                Body::Steps(steps) => steps
                    .iter()
                    .map(|step| json!({"says": step.says, "commands": step.commands}))
                    .collect(),
                Body::Told(lines, _) => lines
                    .iter()
                    .map(|line| {
                        let columns = line.columns.iter();
                        let columns = columns.map(|(k, v)| (k.clone(), json!(v)));
                        json!({"query": line.query, "line": Value::Object(columns.collect())})
                    })
                    .collect(),
                Body::Rows(names, rows, _) => rows
                    .iter()
                    .map(|row| {
                        let pairs = names.iter().zip(row);
                        let pairs = pairs.map(|(k, v)| ((*k).to_owned(), json!(v)));
                        Value::Object(pairs.collect())
                    })
                    .collect(),
            };
            all.insert(section.key.into(), body);
        }
        Value::Object(all)
    }
}

/// An absence is said in words that are true of it.
fn say_none(out: &mut String, indent: &str, is_empty: bool, none: &str) {
    if is_empty {
        let _ = writeln!(out, "{indent}{none}");
    }
}

fn or_dash(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}

/// Lines, or what is said where there are none.
pub fn or_say(lines: Vec<String>, otherwise: &str) -> Vec<String> {
    if lines.is_empty() {
        vec![otherwise.to_owned()]
    } else {
        lines
    }
}
