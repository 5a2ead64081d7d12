//! Elastic's rules over result documents as agents write them.
//!
//! The documents are made by hand from elastic/beats, `x-pack/osquerybeat`: `handleQueryResult` and
//! `queryResultMeta` (`beater/osquerybeat.go`) and `hitToEvent` (`internal/pub/publisher.go`), newest
//! and older. The rules' own query language is evaluated for the forms that they use.

use std::collections::BTreeSet;

use std::os::unix::fs::symlink;

use crate::common::scan;
use dsplug::engine::Engine;
use dsplug::pack::Query;
use dsplug_fixtures::{Disk, PLUGINS, Plugin};
use serde_json::{Value, json};

use super::files;

/// Who wrote a document.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Agent {
    /// Names of pack and query beside UUIDs.
    Newest,
    /// UUIDs, no name.
    WithSchedule,
    /// `action_id`, and nothing on the run.
    Old,
}

const AGENTS: [Agent; 3] = [Agent::Newest, Agent::WithSchedule, Agent::Old];

fn document(agent: Agent, columns: &Value, action: &str, counter: u64, query: &str) -> Value {
    let mut document = json!({
        "event": {"module": "osquery_manager"},
        "type": "osquerybeat",
        "response_id": "7d2f7c40-95c0-4a0d-9cde-5b1ce8e1f7c3",
        "host": {"name": "mac", "id": "5B5A"},
        "osquery": columns,
    });
    match agent {
        Agent::Newest | Agent::WithSchedule => {
            document["schedule_id"] = "0a7c2d94-2a8e-4a63-8f75-0b8f65d3a5bb".into();
            document["pack_id"] = "c1a3b8a6-64b4-4f0a-8d0b-3d5b0a4f7e11".into();
            document["space_id"] = "default".into();
            document["osquery_meta"] = json!({
                "type": "diff",
                "action": action,
                "calendar_type": "Sat Nov 28 00:00:00 2026 UTC",
                "unix_time": 1_795_824_000,
                "epoch": 0,
                "counter": counter,
                "schedule_execution_count": 7,
            });
        }
        Agent::Old => document["action_id"] = format!("pack_dsplug_{query}").into(),
    }
    if agent == Agent::Newest {
        document["pack_name"] = "default--dsplug".into();
        document["query_name"] = query.into();
    }
    document
}

/// The value of a field whose name has dots.
fn field<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.')
        .try_fold(document, |value, part| value.get(part))
}

/// True when a query of Kibana's language matches: terms `field : value` and `field < number`, each
/// maybe after `not`, all joined by `and`. Elastic's own evaluator (the library `kql` of
/// elastic/detection-rules) was run over such documents beside it and found the same.
fn matches(query: &str, document: &Value) -> bool {
    query.split(" and ").all(|term| {
        let (negated, term) = match term.strip_prefix("not ") {
            Some(rest) => (true, rest),
            None => (false, term),
        };
        if let Some((name, bound)) = term.split_once(" < ") {
            let found = field(document, name).and_then(Value::as_u64);
            return found.is_some_and(|n| n < bound.parse().unwrap()) != negated;
        }
        let (name, wanted) = term.split_once(" : ").unwrap();
        let found = field(document, name);
        let holds = match wanted {
            "*" => found.is_some(),
            text if text.starts_with('"') => found == Some(&json!(text.trim_matches('"'))),
            number => found == Some(&json!(number.parse::<u64>().unwrap())),
        };
        holds != negated
    })
}

fn rules() -> Vec<Value> {
    let rules = files::text("packs/elastic/dsplug.rules.ndjson");
    rules
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn matching(document: &Value) -> BTreeSet<String> {
    rules()
        .iter()
        .filter(|rule| matches(rule["query"].as_str().unwrap(), document))
        .map(|rule| rule["rule_id"].as_str().unwrap().to_owned())
        .collect()
}

/// A row of the query: its name, and something in every column.
fn row(query: &Query) -> Value {
    let database = files::database(&query.tables);
    let statement = database.prepare(&query.sql).unwrap();
    let columns = statement.column_names().map(|c| (c.to_owned(), json!("x")));
    let mut row: serde_json::Map<String, Value> = columns.collect();
    row["dsplug_query"] = query.name.as_str().into();
    row.into()
}

/// The rules over the fleet that match a document, by what their names end in.
fn fleet_rules(ends: &[&str]) -> BTreeSet<String> {
    let all = rules();
    ends.iter()
        .map(|end| {
            let found = all
                .iter()
                .find(|r| r["name"].as_str().unwrap().ends_with(end));
            found.unwrap_or_else(|| panic!("{end}"))["rule_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

const NEW_DIGEST: &str = "a digest that the fleet has not seen";
const NEW_SIGNER: &str = "a signer that the fleet has not seen";
const NEW_CDHASH: &str = "a cdhash that the fleet has not seen";
const CAME_AND_WENT: &str = "a bundle came and went";
const GONE: &str = "a bundle is gone";
const BASE_LINE: &str = "the base line of a host";

#[test]
fn every_rule_matches_the_lines_of_its_query_and_no_others() {
    for query in files::queries() {
        for agent in AGENTS {
            for counter in [0, 3] {
                let document = document(agent, &row(&query), "added", counter, &query.name);
                let mut expected = BTreeSet::new();
                // What an old agent writes does not say which run it is of.
                let base_line = counter == 0 && agent != Agent::Old;
                let is_no_news = base_line && query.has_base_line();
                if !query.snapshot && !is_no_news {
                    expected.insert(query.rule_id.clone());
                }
                if base_line && query.name != "inventory" {
                    expected.extend(fleet_rules(&[BASE_LINE]));
                }
                if query.name == "modified" {
                    // Also on the base line: what the fleet knows is no news.
                    expected.extend(fleet_rules(&[NEW_DIGEST, NEW_CDHASH]));
                }
                assert_eq!(
                    matching(&document),
                    expected,
                    "{} {agent:?} {counter}",
                    query.name
                );
            }
        }
    }
}

#[test]
fn rules_over_the_fleet_match_what_they_name() {
    let queries = files::queries();
    let of = |name: &str| queries.iter().find(|q| q.name == name).unwrap();
    let presence = document(
        Agent::Newest,
        &row(of("presence")),
        "removed",
        9,
        "presence",
    );
    let mut expected = fleet_rules(&[GONE]);
    expected.insert(of("presence").rule_id.clone());
    assert_eq!(matching(&presence), expected);
    let mut signed = row(of("modified"));
    signed["signature_state"] = "signed".into();
    let signed = document(Agent::Newest, &signed, "added", 9, "modified");
    assert!(matching(&signed).is_superset(&fleet_rules(&[NEW_DIGEST, NEW_SIGNER, NEW_CDHASH])));
    // What was seen to come and go between two looks, where the events are asked.
    if let Some(events) = queries.iter().find(|q| q.name == "events") {
        let mut gone = row(events);
        gone["action"] = "gone".into();
        for (stood, expected) in [(90_000, true), (600_000, false)] {
            gone["stood_ms"] = stood.into();
            let found = matching(&document(Agent::Newest, &gone, "added", 9, "events"));
            let rule = fleet_rules(&[CAME_AND_WENT]);
            assert_eq!(found.is_superset(&rule), expected, "{stood}");
        }
    }
    // A bundle that cannot be read has no digest: that is no digest that is new.
    let mut unread = row(of("modified"));
    unread["hash"] = "".into();
    unread["cdhash"] = "".into();
    let unread = document(Agent::Newest, &unread, "added", 9, "modified");
    assert_eq!(matching(&unread), [of("modified").rule_id.clone()].into());
    // Somebody else's results.
    let other = json!({"path": "/x", "hash": "x"});
    for agent in AGENTS {
        let other = document(agent, &other, "added", 9, "modified");
        assert_eq!(matching(&other), BTreeSet::new());
    }
}

/// One planted bundle gives lines in several queries; one rule of a query raises an alert on it.
#[test]
fn one_planted_bundle_is_one_alert_of_the_queries() {
    let planted = [
        "presence",
        "modified",
        "signature_changed",
        "loadable_unverified",
        "folder_changed",
        "oddities",
        "no_receipt",
        "files_written",
        "files_written_by",
        "signature_broken",
        "unsealed_code",
    ];
    let all = rules();
    let alerting: Vec<&str> = planted
        .into_iter()
        .filter(|name| {
            let query = files::queries()
                .into_iter()
                .find(|q| q.name == *name)
                .unwrap();
            let rule = all
                .iter()
                .find(|r| r["rule_id"] == query.rule_id.as_str())
                .unwrap();
            rule.get("building_block_type").is_none()
        })
        .collect();
    assert_eq!(alerting, ["modified"]);
}

/// What a rule for import needs, by Elastic's own package for rules (elastic/detection-rules,
/// `detection_rules/rule.py`: BaseRuleData, QueryRuleData, NewTermsRuleData), which was run over this
/// file and refused none of it.
#[test]
fn every_rule_is_whole() {
    let mut ids = BTreeSet::new();
    for rule in rules() {
        let name = rule["name"].as_str().unwrap();
        assert!(
            ids.insert(rule["rule_id"].as_str().unwrap().to_owned()),
            "{name}"
        );
        assert_eq!(rule["index"], json!(["logs-osquery_manager.result*"]));
        assert_eq!(rule["timestamp_override"], "event.ingested", "{name}");
        assert!(rule.get("version").is_none(), "{name}");
        for key in ["note", "setup", "description"] {
            assert!(rule[key].as_str().unwrap().len() > 50, "{name}: {key}");
        }
        assert_eq!(rule["author"], json!(["dsplug"]));
        // A Mac that was offline for a day: by the time of arrival its lines are in the window.
        let building_block = rule.get("building_block_type").is_some();
        let window = (
            rule["interval"].as_str().unwrap(),
            rule["from"].as_str().unwrap(),
        );
        let expected = if building_block {
            ("60m", "now-119m")
        } else {
            ("5m", "now-9m")
        };
        assert_eq!(window, expected, "{name}");
        assert_eq!(rule["max_signals"], 100);
        assert_eq!(rule["threat"][0]["tactic"]["id"], "TA0003");
        assert_eq!(rule["threat"][0]["technique"][0]["id"], "T1547");
        match rule["type"].as_str().unwrap() {
            "new_terms" => {
                let fields = rule["new_terms_fields"].as_array().unwrap().len();
                assert!((1..=3).contains(&fields) && rule["history_window_start"] == "now-30d");
            }
            kind => assert_eq!(kind, "query", "{name}"),
        }
        if let Some(suppression) = rule.get("alert_suppression") {
            let fields = suppression["group_by"].as_array().unwrap().len();
            assert!((1..=3).contains(&fields), "{name}");
            assert_eq!(suppression["missing_fields_strategy"], "doNotSuppress");
        }
    }
    let queries = files::queries();
    let of_queries = queries.iter().filter(|q| !q.snapshot).count();
    let of_fleet = 5 + usize::from(queries.iter().any(|q| q.name == "events"));
    assert_eq!(ids.len(), of_queries + of_fleet);
}

/// An update of one bundle on every Mac agrees in path and digest, and is one alert with a count, however
/// many days it takes to reach the last; a bundle that is led elsewhere with its content kept is none of
/// them.
#[test]
fn an_update_across_the_fleet_is_one_alert() {
    let modified = files::queries()
        .into_iter()
        .find(|q| q.name == "modified")
        .unwrap();
    let all = rules();
    let rule = all
        .iter()
        .find(|r| r["rule_id"] == modified.rule_id.as_str())
        .unwrap();
    assert_eq!(
        rule["alert_suppression"]["group_by"],
        json!(["osquery.path", "osquery.resolved_path", "osquery.runs"])
    );
    // Whatever else runs is none of it, wherever that stands; a day on which nothing can be watched is.
    let mut engine = Engine::new().unwrap();
    let disk = Disk::new();
    disk.file("opt/code", "code");
    disk.file("opt/l.dylib", "library");
    let path = Plugin::new("A")
        .key("CFBundleExecutable", "/opt/code")
        .without_executable()
        .write(disk.at(PLUGINS));
    symlink("/opt/l.dylib", path.join("Contents/l.dylib")).unwrap();
    let mut group = || {
        let snapshot = scan(disk.path());
        let answer = engine.query(&modified.sql, &snapshot).unwrap();
        let at = |name: &String| answer.columns.iter().position(|c| c == name).unwrap();
        let cells = modified
            .group
            .iter()
            .map(|name| answer.rows[0][at(name)].clone());
        cells.collect::<Vec<_>>()
    };
    let mut groups = BTreeSet::from([group()]);
    for (at, bytes) in [
        ("opt/code", "evil"),
        ("opt/l.dylib", "evil"),
        ("opt/code", "code"),
    ] {
        disk.file(at, bytes);
        assert!(groups.insert(group()), "{at}");
    }
    assert!(groups.contains(&group()));
    assert_eq!(
        rule["alert_suppression"]["duration"],
        json!({"value": 720, "unit": "h"})
    );
    let columns = row(&modified);
    // By a vendor whom the fleet knows it is no other rule's: that of new digests is for the rest.
    for (anchor, raised) in [("developer_id", false), ("untrusted", true), ("none", true)] {
        let mut update = columns.clone();
        update["anchor"] = anchor.into();
        let update = document(Agent::Newest, &update, "added", 3, "modified");
        let is_raised = matching(&update).is_superset(&fleet_rules(&[NEW_DIGEST]));
        assert_eq!(is_raised, raised, "{anchor}");
        assert!(matching(&update).contains(&modified.rule_id), "{anchor}");
    }
    for query in files::queries().iter().filter(|q| q.name == "modified") {
        for column in &query.group {
            assert!(columns.get(column).is_some(), "{column}");
        }
        for (column, _) in &query.graver {
            assert!(columns.get(column).is_some(), "{column}");
        }
    }
}

/// The body of the call that makes a pack, by Kibana's own schema of it
/// (`common/api/packs/create_pack_route.ts`, `shared_schemas.ts`).
#[test]
fn the_call_for_a_pack_has_what_kibana_takes() {
    let pack: Value = serde_json::from_str(&files::text("packs/elastic/dsplug.api.json")).unwrap();
    let keys: Vec<&String> = pack.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["name", "description", "enabled", "queries"]);
    for (name, query) in pack["queries"].as_object().unwrap() {
        for (key, value) in query.as_object().unwrap() {
            let fits = match key.as_str() {
                "query" | "platform" | "version" => value.is_string(),
                "interval" => value.is_u64(),
                "snapshot" | "removed" => value.is_boolean(),
                "ecs_mapping" => value
                    .as_object()
                    .unwrap()
                    .values()
                    .all(|m| m["field"].is_string()),
                _ => false,
            };
            assert!(fits, "{name}: {key}");
        }
    }
}
