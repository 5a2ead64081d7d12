//! A pack of osqueryd's that is called as ours, held against the one that this program holds.

use super::config::{Object, Part};
use super::finding::Finding;
use super::ours::{OURS, QUIET};
use crate::pack::conf::{self, Scheduled};

/// The most names in one line.
const MOST_NAMED: usize = 6;

/// Checks the pack that stands at a place: which queries are not there or do not run, and which are other than
/// this program has them.
pub fn check(place: &str, pack: &Part, findings: &mut Vec<Finding>) {
    if let Some(why) = pack.why_nothing_runs() {
        findings.push(Finding::wrong(format!("{place}: {why}"), AGAIN));
        return;
    }
    let Part::Object(pack) = pack else {
        return;
    };
    let Some(Part::Object(found)) = pack.get("queries") else {
        return;
    };
    let found = |name: &str| match found.get(name) {
        Some(Part::Object(query)) => Some(query),
        _ => None,
    };
    let mut missing = Vec::new();
    let mut idle = Vec::new();
    let mut other = Vec::new();
    for (name, ours) in OURS.iter() {
        let Some(query) = found(name) else {
            missing.push(name.clone());
            continue;
        };
        if let Some(why) = query.why_not_run() {
            idle.push(format!("{name} ({why})"));
            continue;
        }
        let differs = differences(query, ours);
        if !differs.is_empty() {
            other.push(format!("{name} ({})", differs.join(", ")));
        }
    }
    let is_quiet = !missing.is_empty()
        && missing.iter().all(|name| !QUIET.contains_key(name))
        && QUIET.keys().all(|name| found(name).is_some());
    if is_quiet {
        findings.push(Finding::note(
            format!(
                "{place}: the small pack: {} has no query here",
                listed(&missing)
            ),
            "nothing, where that is wanted; else run install.sh again",
        ));
    } else if !missing.is_empty() {
        findings.push(Finding::wrong(
            format!("{place}: of our queries there is no {}", listed(&missing)),
            AGAIN,
        ));
    }
    if !idle.is_empty() {
        findings.push(Finding::wrong(
            format!("{place}: osqueryd does not run {}", listed(&idle)),
            AGAIN,
        ));
    }
    if !other.is_empty() {
        findings.push(Finding::note(
            format!(
                "{place}: other than this release has it: {}",
                listed(&other)
            ),
            "see whether you changed it; else run install.sh again",
        ));
    }
    let is_bounded = |key| match pack.get(key) {
        Some(Part::List) => true,
        Some(part) => key == "shard" && part.number().is_some_and(|shard| shard > 0),
        None => false,
    };
    let bounds: Vec<&str> = ["discovery", "shard"]
        .into_iter()
        .filter(|key| is_bounded(key))
        .collect();
    if !bounds.is_empty() {
        findings.push(Finding::note(
            format!(
                "{place}: whether the pack runs here goes by its {}, which is not asked",
                bounds.join(" and ")
            ),
            "see whether you wrote that; else run install.sh again",
        ));
    }
}

const AGAIN: &str = "run install.sh again";

/// In what a query that runs is other than ours.
fn differences(query: &Object, ours: &Scheduled) -> Vec<&'static str> {
    let is_yes = |key, default| query.get(key).map_or(default, Part::is_yes);
    let interval = query
        .get("interval")
        .map_or(Some(conf::DEFAULT_INTERVAL), Part::number);
    let shard = query
        .get("shard")
        .and_then(Part::number)
        .unwrap_or_default();
    let differs = [
        (
            "query",
            query.get("query").and_then(Part::text) != Some(&ours.sql),
        ),
        ("interval", interval != Some(ours.interval)),
        ("snapshot", is_yes("snapshot", false) != ours.snapshot),
        ("removed", is_yes("removed", true) != ours.removed),
        // Ours are asked again, whatever a run of theirs came to.
        ("denylist", is_yes("denylist", true)),
        ("shard", shard > 0),
    ];
    let differs = differs.into_iter().filter(|(_, differs)| *differs);
    differs.map(|(key, _)| key).collect()
}

/// Some names, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().map(String::as_str).take(MOST_NAMED).collect();
    let mut text = shown.join(", ");
    let more = names.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
