//! Detection rules for Elastic: one for each query over the results of Osquery Manager, and a few
//! over the whole fleet.
//!
//! A rule finds its lines by the constant column [`NAME_COLUMN`], which every version of the agent
//! passes on as `osquery.dsplug_query`; what else names a query differs from version to version.

use serde_json::{Map, Value, json};

use super::{MITRE, NAME_COLUMN, Query, Severity};

/// The indices that Osquery Manager writes results to.
pub(super) const INDEX: &str = "logs-osquery_manager.result*";
/// Of a host's first answer to a query, of which nothing is news; agents before 8.15 or so do not say it.
const BASE_LINE: &str = "osquery_meta.counter : 0";

/// A rule over the fleet.
struct Fleet {
    /// The query whose lines it asks; empty for all.
    of: &'static str,
    id: &'static str,
    name: &'static str,
    description: &'static str,
    query: &'static str,
    high: bool,
    /// The fields whose combination must be new within thirty days; empty for a plain query.
    new_terms: &'static [&'static str],
    building_block: bool,
    suppress_by: &'static [&'static str],
}

/// What one host alone cannot tell. The first three ask the base lines too: a Mac that is imaged
/// again raises nothing that the fleet knows, and one that comes with a plug-in nobody knows does.
const FLEET: &[Fleet] = &[
    Fleet {
        id: "38ded027-8c80-4bd7-ac7e-8301299792a1",
        of: "modified",
        name: "a digest that the fleet has not seen",
        description: "A bundle whose content no Mac of the fleet has had within thirty days, and that nobody known has signed. A known vendor's update is the one alert of modified, whatever the number of Macs that get it.",
        query: "osquery.dsplug_query : \"modified\" and osquery.hash : * and not osquery.hash : \"\" and not osquery.anchor : \"apple\" and not osquery.anchor : \"developer_id\" and not osquery.anchor : \"app_store\"",
        high: true,
        new_terms: &["osquery.hash"],
        building_block: false,
        suppress_by: &[],
    },
    Fleet {
        id: "92fbf691-22a5-48c5-905c-ae56e6173886",
        of: "modified",
        name: "a signer that the fleet has not seen",
        description: "A bundle whose signature holds and names a signer and team that no Mac of the fleet has had within thirty days.",
        query: "osquery.dsplug_query : \"modified\" and osquery.signature_state : \"signed\"",
        high: true,
        new_terms: &["osquery.signer", "osquery.team_identifier"],
        building_block: false,
        suppress_by: &[],
    },
    Fleet {
        id: "666c9b00-9fab-48e2-97e0-cf05c0e0bdd4",
        of: "modified",
        name: "a cdhash that the fleet has not seen",
        description: "Signed code, ad hoc or by somebody, that no Mac of the fleet has had within thirty days. It stays the same where a bundle differs in what its seal leaves out.",
        query: "osquery.dsplug_query : \"modified\" and osquery.cdhash : * and not osquery.cdhash : \"\"",
        high: false,
        new_terms: &["osquery.cdhash"],
        building_block: true,
        suppress_by: &[],
    },
    Fleet {
        id: "77c04d8e-afd4-4d6f-a684-9107ff88c325",
        of: "presence",
        name: "a bundle is gone",
        description: "A bundle that stood in a plug-in folder stands there no more, or an exception has come to accept it.",
        query: "osquery.dsplug_query : \"presence\" and osquery_meta.action : \"removed\"",
        high: false,
        new_terms: &[],
        building_block: false,
        suppress_by: &["osquery.path"],
    },
    Fleet {
        id: "8da8783b-a8e3-4e9a-b974-9bafbe36e6da",
        of: "events",
        name: "a bundle came and went",
        description: "A bundle that stood in a plug-in folder for less than ten minutes: no query that looks every five minutes need have seen it. Its digest, signer and executable are in the line.",
        query: "osquery.dsplug_query : \"events\" and osquery.action : \"gone\" and osquery.stood_ms < 600000 and not osquery_meta.counter : 0",
        high: true,
        new_terms: &[],
        building_block: false,
        suppress_by: &["osquery.path"],
    },
    Fleet {
        id: "55f8aaa1-0103-4d8d-8c62-93279ea3350d",
        of: "",
        name: "the base line of a host",
        description: "What a host has when it is asked for the first time: a new Mac, one that was imaged again, one whose osqueryd lost its database, and each after a query has changed.",
        query: "osquery.dsplug_query : * and osquery_meta.counter : 0 and not osquery.dsplug_query : \"inventory\"",
        high: false,
        new_terms: &[],
        building_block: true,
        suppress_by: &[],
    },
];

/// The rules, one a line, as Kibana imports them. They come disabled.
pub fn write(queries: &[Query]) -> String {
    let own = queries.iter().filter(|q| !q.snapshot).map(rule);
    let asked = |fleet: &&Fleet| fleet.of.is_empty() || queries.iter().any(|q| q.name == fleet.of);
    let fleet = FLEET.iter().filter(asked).map(fleet_rule);
    own.chain(fleet)
        .map(|rule| format!("{}\n", Value::Object(rule)))
        .collect()
}

/// The rule for the lines of one query.
fn rule(query: &Query) -> Map<String, Value> {
    let mut rule = common(&Common {
        id: &query.rule_id,
        name: &query.summary,
        description: &query.detects,
        severity: query.severity,
        risk_score: query.risk_score,
        false_positives: &query.false_positives,
        building_block: !query.alert,
        mitre: &query.mitre,
        references: &query.references,
    });
    let lines = format!("osquery.{NAME_COLUMN} : \"{}\"", query.name);
    rule.insert("type".into(), "query".into());
    rule.insert(
        "query".into(),
        if query.has_base_line() {
            format!("{lines} and not {BASE_LINE}").into()
        } else {
            lines.into()
        },
    );
    rule.insert("note".into(), note(query).into());
    if !query.graver.is_empty() {
        let mapping = query.graver.iter().map(|(column, value)| {
            json!({
                "field": format!("osquery.{column}"),
                "operator": "equals",
                "value": value,
                "severity": Severity::High.as_str(),
            })
        });
        rule.insert("severity_mapping".into(), mapping.collect());
    }
    if query.alert && !query.group.is_empty() {
        let fields: Vec<String> = query.group.iter().map(|c| format!("osquery.{c}")).collect();
        rule.insert(
            "alert_suppression".into(),
            suppression(&fields, query.group_hours),
        );
    }
    rule
}

fn fleet_rule(fleet: &Fleet) -> Map<String, Value> {
    let (severity, risk_score) = match (fleet.high, fleet.building_block) {
        (true, _) => (Severity::High, 73),
        (false, false) => (Severity::Medium, 47),
        (false, true) => (Severity::Low, 21),
    };
    let numbers = ["TA0003", "T1547", "T1574"].map(String::from);
    let mut rule = common(&Common {
        id: fleet.id,
        name: fleet.name,
        description: fleet.description,
        severity,
        risk_score,
        false_positives: "An update or a removal of directory software; the first days, before the fleet is known.",
        building_block: fleet.building_block,
        mitre: &numbers,
        references: &[],
    });
    rule.insert("query".into(), fleet.query.into());
    rule.insert("note".into(), steps(fleet.description, "", "").into());
    if fleet.new_terms.is_empty() {
        rule.insert("type".into(), "query".into());
    } else {
        rule.insert("type".into(), "new_terms".into());
        rule.insert("new_terms_fields".into(), json!(fleet.new_terms));
        rule.insert("history_window_start".into(), "now-30d".into());
    }
    if !fleet.suppress_by.is_empty() {
        rule.insert(
            "alert_suppression".into(),
            suppression(fleet.suppress_by, 24),
        );
    }
    rule
}

/// One alert with a count for all lines that agree in these fields within so many hours.
fn suppression(fields: &[impl AsRef<str>], hours: u32) -> Value {
    let fields: Vec<&str> = fields.iter().map(AsRef::as_ref).collect();
    json!({
        "group_by": fields,
        "duration": {"value": hours, "unit": "h"},
        "missing_fields_strategy": "doNotSuppress",
    })
}

struct Common<'a> {
    id: &'a str,
    name: &'a str,
    description: &'a str,
    severity: Severity,
    risk_score: u8,
    false_positives: &'a str,
    building_block: bool,
    mitre: &'a [String],
    references: &'a [String],
}

/// What every rule has. `timestamp_override` is what makes a line of a Mac that was offline an alert:
/// the window is laid over the time of arrival.
fn common(of: &Common<'_>) -> Map<String, Value> {
    let mut rule = Map::new();
    let mut put = |key: &str, value: Value| rule.insert(key.to_owned(), value);
    put("rule_id", of.id.into());
    put(
        "name",
        format!("DirectoryService plug-ins: {}", of.name).into(),
    );
    put("description", of.description.into());
    put("author", json!(["dsplug"]));
    put("license", "MIT OR Apache-2.0".into());
    put("language", "kuery".into());
    put("index", json!([INDEX]));
    put("timestamp_override", "event.ingested".into());
    put("severity", of.severity.as_str().into());
    put("risk_score", of.risk_score.into());
    // Elastic's own rules ask that of building blocks; each finds its lines in the index meanwhile.
    let (interval, from) = if of.building_block {
        ("60m", "now-119m")
    } else {
        ("5m", "now-9m")
    };
    put("interval", interval.into());
    put("from", from.into());
    put("max_signals", 100.into());
    put("threat", threat(of.mitre));
    put("references", json!(of.references));
    put("false_positives", json!([of.false_positives]));
    put("tags", json!(tags(of)));
    put("setup", SETUP.into());
    put(
        "required_fields",
        json!(REQUIRED.map(|(name, kind)| json!({"name": name, "type": kind}))),
    );
    put(
        "related_integrations",
        json!([{"package": "osquery_manager", "version": "^1.0.0"}]),
    );
    put("investigation_fields", json!({"field_names": INVESTIGATED}));
    put("enabled", false.into());
    if of.building_block {
        put("building_block_type", "default".into());
    }
    rule
}

/// What the rules match on, with the types that the integration gives.
const REQUIRED: [(&str, &str); 2] = [
    ("osquery.dsplug_query", "keyword"),
    ("osquery_meta.counter", "long"),
];

/// What an analyst sees first.
const INVESTIGATED: &[&str] = &[
    "host.name",
    "osquery.dsplug_query",
    "osquery_meta.action",
    "osquery.path",
    "osquery.hash",
    "osquery.signature_state",
    "osquery.signer",
    "osquery.team_identifier",
    "osquery.load_verdict",
    "osquery.executable",
    "osquery.executable_hash",
];

const SETUP: &str = "## Setup

This rule reads the results of the pack `dsplug` under Osquery Manager.

- Put the extension on the Macs and name it in the policy of the integration (`install/elastic` of dsplug). Elastic Agent 9.6 or later starts it.
- Upload `packs/elastic/dsplug.pack.conf`, assign the pack to the policy and switch it on. The rule finds its lines by the column `dsplug_query`, whatever the pack is called and whatever the space.
- Rules that need files watched ask for `file_paths` as well: they stand in `install/elastic/osquery-config.json`.
";

fn note(query: &Query) -> String {
    let detects = format!("{} {}", query.detects, query.adds);
    steps(&detects, &query.false_positives, &query.resolution)
}

/// The investigation guide.
fn steps(what: &str, false_positives: &str, resolution: &str) -> String {
    let mut text = format!(
        "## Triage and analysis

### What it tells

{what}

### Possible investigation steps

- Run `sudo /opt/dsplug/bin/dsplug.ext list` on the Mac, or ask by a live query: `SELECT * FROM dsplug_bundles`. It says who signed each bundle, whether it would load and what it holds.
- `explain` says all of one, and ends in the commands to run next. Put no path of an alert into a command or a query, in quotes neither: whoever names a bundle can have his own run there. Let the shell read it: `IFS= read -r bundle`, then the path as it is shown, then `sudo /opt/dsplug/bin/dsplug.ext explain \"$bundle\"`.
- Look at `resolved_path`, `executable` and `executable_outside`: code may stand elsewhere than the bundle.
- Compare the digest across the fleet: `osquery.hash` in the results of `inventory` tells which other Macs have it, and since when.
- Find who wrote it: the results of `files_written_by` and `no_receipt`, and the live queries of `packs/investigation` on origin, installs and writers.
- Find whether it was used: the results of `helper_running` and `helper_opened`, and the live query `investigate_log`. An empty answer of `helper_images` says nothing on a Mac with system integrity protection.
"
    );
    if !false_positives.is_empty() {
        text.push_str("\n### False positive analysis\n\n");
        text.push_str(false_positives);
        text.push_str(" Accept what is known and wanted by an exception for its digest, not by one of this rule: then the pack is silent everywhere.\n");
    }
    text.push_str("\n### Response and remediation\n\n");
    if !resolution.is_empty() {
        text.push_str("- ");
        text.push_str(resolution);
        text.push('\n');
    }
    text.push_str("- Isolate the Mac, and keep a copy of the bundle before anything is changed: what could write there was root.\n- Move the bundle out of the folder and stop the process that has it: `sudo launchctl kill SIGKILL system/com.apple.dspluginhelperd`.\n- Look for the same digest, signer and executable on the other Macs.\n");
    text
}

fn tags(of: &Common<'_>) -> Vec<&'static str> {
    let mut tags = vec![
        "Domain: Endpoint",
        "OS: macOS",
        "Use Case: Threat Detection",
        "Tactic: Persistence",
        "Data Source: Osquery Manager",
        "Resources: Investigation Guide",
    ];
    if of.building_block {
        tags.push("Rule Type: BBR");
    }
    tags
}

fn threat(mitre: &[String]) -> Value {
    let named = |tactics: bool| {
        MITRE
            .iter()
            .filter(move |(number, _)| number.starts_with("TA") == tactics)
            .filter(|(number, _)| mitre.iter().any(|m| m == number))
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
