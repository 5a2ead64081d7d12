//! What Elastic imports: the pack for Osquery Manager, and one detection rule for each query over
//! its results.

use serde_json::{Map, Value, json};

use super::{MITRE, Query, Severity, conf};

/// The indices that Osquery Manager writes results to.
const INDEX: &str = "logs-osquery_manager.result*";

/// The pack as Osquery Manager's upload takes it: a pack of osquery's.
pub fn pack(queries: &[Query]) -> String {
    let entries = queries.iter().map(|q| (q.name.clone(), conf::entry(q)));
    let entries: Map<String, Value> = entries.collect();
    conf::pretty(&json!({ "platform": "darwin", "queries": entries }))
}

/// The body of a call to Osquery Manager's interface for packs, with what an upload cannot carry: the
/// columns that fill fields of the Elastic Common Schema.
pub fn api_pack(queries: &[Query]) -> String {
    let entry = |q: &Query| {
        let ecs = q.ecs.iter();
        let ecs: Map<String, Value> = ecs
            .map(|(field, column)| (field.clone(), json!({ "field": column })))
            .collect();
        json!({
            "query": q.sql,
            "interval": q.interval,
            "platform": q.platform,
            "snapshot": q.snapshot,
            "removed": q.removed,
            "ecs_mapping": ecs,
        })
    };
    let entries = queries.iter().map(|q| (q.name.clone(), entry(q)));
    let entries: Map<String, Value> = entries.collect();
    conf::pretty(&json!({
        "name": conf::NAME,
        "description": "DirectoryService plug-ins",
        "enabled": true,
        "queries": entries,
    }))
}

/// The rules, one a line, as Kibana imports them. They come disabled.
pub fn rules(queries: &[Query]) -> String {
    let alerts = queries.iter().filter(|q| !q.snapshot);
    alerts.map(|q| format!("{}\n", rule(q))).collect()
}

fn rule(query: &Query) -> Value {
    let name = &query.name;
    let scheduled = format!("pack_{}_{name}", conf::NAME);
    json!({
        "rule_id": format!("{}-{}", conf::NAME, name.replace('_', "-")),
        "name": format!("DirectoryService plug-ins: {}", query.summary),
        "description": query.detects,
        "type": "query",
        "language": "kuery",
        "index": [INDEX],
        // Older versions name the query in action_id, newer ones in pack_id and schedule_id.
        "query": format!(
            "(action_id : {scheduled}* or (pack_id : *{}* and schedule_id : *{name}))",
            conf::NAME
        ),
        "severity": query.severity.as_str(),
        "risk_score": query.risk_score,
        "interval": "5m",
        "from": "now-9m",
        "max_signals": 100,
        "threat": threat(query),
        "references": query.references,
        "false_positives": [query.false_positives],
        "tags": tags(query),
        "enabled": false,
        "version": 1,
    })
}

fn tags(query: &Query) -> Vec<&'static str> {
    let mut tags = vec![
        "Domain: Endpoint",
        "OS: macOS",
        "Use Case: Threat Detection",
        "Tactic: Persistence",
        "Data Source: Osquery Manager",
    ];
    if query.severity == Severity::High {
        tags.push("Severity: High");
    }
    tags
}

fn threat(query: &Query) -> Value {
    let named = |tactics: bool| {
        MITRE
            .iter()
            .filter(move |(number, _)| number.starts_with("TA") == tactics)
            .filter(|(number, _)| query.mitre.iter().any(|m| m == number))
    };
    let techniques: Vec<Value> = named(false)
        .map(|(number, name)| attack(number, name, "techniques"))
        .collect();
    named(true)
        .map(|(number, name)| {
            json!({
                "framework": "MITRE ATT&CK",
                "tactic": attack(number, name, "tactics"),
                "technique": techniques,
            })
        })
        .collect()
}

fn attack(number: &str, name: &str, kind: &str) -> Value {
    json!({
        "id": number,
        "name": name,
        "reference": format!("https://attack.mitre.org/{kind}/{number}/"),
    })
}
