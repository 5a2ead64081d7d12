//! Sigma rules over osquery's result log, one for each query, as it writes them: `columns.*` for the
//! columns, `name`, `action` and `counter` beside them.
//!
//! Every value is written as JSON, which YAML takes as it stands. The files in
//! `packs/sigma/pipelines` give the fields the names that others call them by.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{NAME_COLUMN, Query, Severity};

/// Where the rule of each query stands, and what is in it.
pub fn rules(queries: &[Query]) -> Vec<(String, String)> {
    queries
        .iter()
        .filter(|q| !q.snapshot)
        .map(|q| (format!("packs/sigma/{}.yml", q.name), rule(q)))
        .collect()
}

fn rule(query: &Query) -> String {
    let lines = json!({ format!("columns.{NAME_COLUMN}"): query.name });
    let detection = if query.has_base_line() {
        json!({
            "lines": lines,
            "base_line": { "counter": 0 },
            "condition": "lines and not base_line",
        })
    } else {
        json!({ "lines": lines, "condition": "lines" })
    };
    let keys = [
        (
            "title",
            json!(format!(
                "macOS DirectoryService Plug-Ins: {}",
                capital(&query.summary)
            )),
        ),
        ("id", json!(query.sigma_id)),
        ("status", json!("experimental")),
        (
            "description",
            json!(format!("{} {}", query.detects, query.adds)),
        ),
        ("references", json!(query.references)),
        ("author", json!("dsplug")),
        ("date", json!("2026-11-28")),
        ("tags", json!(tags(query))),
        (
            "logsource",
            json!({ "product": "macos", "service": "osquery" }),
        ),
        ("detection", detection),
        ("falsepositives", json!([query.false_positives])),
        ("level", json!(level(query))),
    ];
    let mut out = String::from(
        "# Generated from the .sql file of the same name in packs/queries; edit that.\n",
    );
    for (key, value) in keys {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{key}: {value}");
    }
    out
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A line that is evidence beside another's is for looking up, not for an alert.
fn level(query: &Query) -> &'static str {
    match (query.alert, query.severity) {
        (false, _) => "informational",
        (true, Severity::Low) => "low",
        (true, Severity::Medium) => "medium",
        (true, Severity::High) => "high",
    }
}

/// Tactics by name and techniques by number, as Sigma's tags have them.
fn tags(query: &Query) -> Vec<Value> {
    let tag = |number: &String| match number.as_str() {
        "TA0003" => json!("attack.persistence"),
        other => json!(format!("attack.{}", other.to_ascii_lowercase())),
    };
    query.mitre.iter().map(tag).collect()
}
