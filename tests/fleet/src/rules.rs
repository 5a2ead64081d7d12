//! The alerts that Elastic's rules of the pack raise over the log.
//!
//! A rule of the kind `query` raises one alert for each line that meets its condition. With
//! `alert_suppression` the first line of a group raises it, and those that come within the duration are
//! counted in it (Kibana: `create_persistence_rule_type_wrapper.ts` and `group_and_bulk_create.ts`).
//! One of the kind `new_terms` raises one for each combination of values that no line which meets its
//! condition had within its window. Building blocks raise none that a person sees. How often a rule is
//! run, and how many alerts one run makes at most, has no part in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use crate::DAY;
use crate::kql::Condition;

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What people see, without the words that all have.
    pub name: String,
    /// True when a person sees its alerts.
    pub is_shown: bool,
    condition: Condition,
    /// The fields whose combination must be new, and for how long, in seconds.
    new_terms: Option<(Vec<String>, i64)>,
    /// The fields that a group shares, and for how long, in seconds.
    suppression: Option<(Vec<String>, i64)>,
}

impl Rule {
    /// True when it raises alerts for what is new to the fleet.
    pub fn is_of_new_terms(&self) -> bool {
        self.new_terms.is_some()
    }
}

/// Reads rules, one a line.
pub fn read(text: &str) -> Vec<Rule> {
    text.lines()
        .map(|line| {
            let rule: Value = serde_json::from_str(line).expect("a rule");
            let fields = |value: &Value| -> Vec<String> {
                let fields = value.as_array().expect("fields").iter();
                fields
                    .map(|f| f.as_str().expect("a field").to_owned())
                    .collect()
            };
            let name = rule["name"].as_str().expect("a name");
            let query = rule["query"].as_str().expect("a query");
            let new_terms = (rule["type"] == "new_terms").then(|| {
                let window = rule["history_window_start"].as_str();
                let days = window.and_then(|w| w.strip_prefix("now-")?.strip_suffix('d'));
                let days: i64 = days.and_then(|d| d.parse().ok()).expect("days");
                (fields(&rule["new_terms_fields"]), days * DAY)
            });
            let suppression = rule.get("alert_suppression").map(|suppression| {
                let duration = &suppression["duration"];
                let unit = match duration["unit"].as_str() {
                    Some("h") => 3600,
                    Some("m") => 60,
                    other => panic!("an unknown unit {other:?}"),
                };
                let length = duration["value"].as_i64().expect("a number") * unit;
                (fields(&suppression["group_by"]), length)
            });
            Rule {
                name: name
                    .trim_start_matches("DirectoryService plug-ins: ")
                    .to_owned(),
                is_shown: rule.get("building_block_type").is_none(),
                condition: Condition::parse(query).unwrap_or_else(|e| panic!("{name}: {e}")),
                new_terms,
                suppression,
            }
        })
        .collect()
}

/// A line of the log.
#[derive(Debug)]
pub struct Line {
    /// The line as it stands there.
    pub bytes: usize,
    /// When it arrived.
    pub time: i64,
    /// The query.
    pub query: String,
    /// The Mac.
    pub host: String,
    /// `added`, `removed` or `snapshot`.
    pub action: String,
    counter: String,
    columns: Map<String, Value>,
}

impl Line {
    /// A field by the name that Elastic gives it.
    pub fn get(&self, field: &str) -> Option<&str> {
        match field {
            "host.name" => Some(&self.host),
            "osquery_meta.action" => Some(&self.action),
            "osquery_meta.counter" => Some(&self.counter),
            _ => self.columns.get(field.strip_prefix("osquery.")?)?.as_str(),
        }
    }

    /// A column, or nothing.
    pub fn column(&self, name: &str) -> &str {
        self.columns
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// True when it is of a Mac's first answer to a query.
    pub fn is_base_line(&self) -> bool {
        self.counter == "0" && self.action != "snapshot"
    }
}

/// Passes each line of a log on.
///
/// # Errors
/// When it cannot be read.
pub fn each_line(path: &Path, mut take: impl FnMut(&Line)) -> io::Result<()> {
    // A clock may have been set back; the fleet's lines come in order.
    let mut now = i64::MIN;
    for text in BufReader::with_capacity(1 << 20, File::open(path)?).lines() {
        let text = text?;
        let bytes = text.len() + 1;
        let mut value: Value = serde_json::from_str(&text)?;
        let of = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (name, host, action) = (of("name"), of("hostIdentifier"), of("action"));
        now = now.max(value["unixTime"].as_i64().unwrap_or(now));
        let counter = value["counter"].to_string();
        let columns = match value["columns"].take() {
            Value::Object(columns) => columns,
            _ => Map::new(),
        };
        take(&Line {
            bytes,
            time: now,
            query: name.trim_start_matches("pack_dsplug_").to_owned(),
            host,
            action,
            counter,
            columns,
        });
    }
    Ok(())
}

/// What a rule does with a line that meets its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It raises an alert.
    Raised,
    /// It is counted in one that was raised before, or known.
    Counted,
}

/// The rules at work.
#[derive(Debug)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
    /// When each group was raised last, or each combination seen, by rule.
    since: Vec<HashMap<Vec<String>, i64>>,
}

impl Rules {
    /// Rules that have seen nothing.
    pub fn new(rules: Vec<Rule>) -> Self {
        let since = vec![HashMap::new(); rules.len()];
        Self { rules, since }
    }

    /// What the rules do with a line, by their index.
    pub fn take(&mut self, line: &Line) -> Vec<(usize, Outcome)> {
        let mut found = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            if line.action == "snapshot" || !rule.condition.holds(|field| line.get(field)) {
                continue;
            }
            let values = |fields: &[String]| -> Option<Vec<String>> {
                fields
                    .iter()
                    .map(|f| line.get(f).map(str::to_owned))
                    .collect()
            };
            let since = &mut self.since[index];
            let (fields, length, slides) = match (&rule.new_terms, &rule.suppression) {
                (Some((fields, length)), _) => (fields, *length, true),
                (None, Some((fields, length))) => (fields, *length, false),
                (None, None) => {
                    found.push((index, Outcome::Raised));
                    continue;
                }
            };
            let Some(values) = values(fields) else {
                // No field, no combination that could be new; and `doNotSuppress`.
                if !slides {
                    found.push((index, Outcome::Raised));
                }
                continue;
            };
            let before = since.get(&values).copied();
            let is_known = before.is_some_and(|before| line.time - before < length);
            if !is_known || slides {
                since.insert(values, line.time);
            }
            let outcome = if is_known {
                Outcome::Counted
            } else {
                Outcome::Raised
            };
            found.push((index, outcome));
        }
        found
    }
}
