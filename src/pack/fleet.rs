//! What Fleet imports: reports and policies, as bare lists in YAML.
//!
//! Every value is written as JSON, which YAML takes as it stands.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{NAME_COLUMN, Query, conf};
use crate::order;
use crate::table::TABLES;

const GENERATED: &str = "# Generated from the .sql files in packs/; edit those.\n";

/// The name that Fleet shows for a query.
fn title(query: &Query) -> String {
    format!("dsplug {}", query.name.replace('_', " "))
}

/// Reports: `packs/fleet/*.reports.yml`. One whose interval is 0 is only run by hand.
pub fn reports(queries: &[Query]) -> String {
    let mut out = String::from(GENERATED);
    for query in queries {
        let scheduled = query.interval > 0;
        item(
            &mut out,
            &[
                ("name", json!(title(query))),
                ("description", json!(description(query))),
                ("query", json!(query.sql)),
                ("interval", json!(query.interval)),
                ("platform", json!(query.platform)),
                ("min_osquery_version", json!(query.osquery)),
                ("observer_can_run", json!(true)),
                ("automations_enabled", json!(scheduled)),
                ("logging", json!(logging(query))),
                ("discard_data", json!(false)),
            ],
        );
    }
    out
}

/// What a fleet's agent options need for `files_written` and its like: `packs/fleet/*.agent-options.yml`.
/// Fleet takes `file_paths` from there alone; it keeps the queries of a pack and drops the rest.
/// The other options are those that Fleet gives a new fleet, because the whole is replaced.
pub fn agent_options() -> String {
    let paths: Vec<String> = conf::WATCHED_PATHS
        .iter()
        .map(|path| format!("      - {}\n", json!(path)))
        .collect();
    format!(
        "# Generated; edit src/pack/fleet.rs. The agent options of a fleet, whole.\nconfig:
  decorators:
    load:
      - \"SELECT uuid AS host_uuid FROM system_info;\"
      - \"SELECT hostname AS hostname FROM system_info;\"
  options:
    disable_distributed: false
    distributed_interval: 10
    distributed_plugin: tls
    distributed_tls_max_attempts: 3
    logger_tls_endpoint: /api/osquery/log
    logger_tls_period: 10
    pack_delimiter: /
  file_paths:
    {}:
{}command_line_flags:
  # What files_written needs; it costs what osquery's file events cost.
  disable_events: false
  enable_file_events: true
",
        conf::WATCHED,
        paths.concat()
    )
}

/// Policies: `packs/fleet/*.policies.yml`. The first ones ask for what the others need: without the
/// tables, and where a folder cannot be listed, those stay unanswered.
pub fn policies(queries: &[Query]) -> String {
    let mut out = String::from(GENERATED);
    policy(
        &mut out,
        "dsplug is registered",
        "The tables of dsplug are there; without them the other policies give no answer.",
        "Run dsplug doctor on the Mac: it names what is wrong and its cure.",
        "SELECT 1 FROM osquery_registry WHERE registry = 'table' AND name = 'dsplug_bundles' AND active = 1;",
    );
    policy(
        &mut out,
        "dsplug has every table",
        "Each table of dsplug can be asked, and those of osquery's that these policies need. One that a flag of osqueryd turns off is registered all the same, and queries on it fail and tell nothing: somebody may want that.",
        "Take the tables of dsplug, osquery_flags, osquery_registry and osquery_schedule out of --disable_tables of osqueryd, or name them in --enable_tables, and restart it. Where no table is there, run dsplug doctor on the Mac.",
        &every_table(),
    );
    policy(
        &mut out,
        "dsplug is configured by Fleet",
        "osqueryd takes its configuration from Fleet. Where it takes it from a file of the Mac or from an extension, what it runs is what those say: somebody may want that. Leave this policy out where your own files hold the pack.",
        "Set --config_plugin=tls in the flags of osqueryd, as orbit does, and restart it.",
        "SELECT 1 FROM osquery_flags WHERE name = 'config_plugin' AND value = 'tls';",
    );
    policy(
        &mut out,
        "dsplug is scheduled",
        "The reports of dsplug are in osqueryd's schedule, those at least that the small pack has. Where they are not, nothing is asked between two policies, and nothing else tells: somebody may want that.",
        "Run SELECT name, query FROM osquery_schedule as a live query. Give the fleet of this host the reports of dsplug; where it has them, look at --config_plugin, --config_tls_endpoint and --tls_hostname of osqueryd.",
        &is_scheduled(queries),
    );
    policy(
        &mut out,
        "dsplug is logged",
        "osqueryd logs what its queries find. Where a flag has it log nothing, drop what it would send, or end before each report has run, reports may run and nobody reads them: somebody may want that.",
        "Run SELECT name, value FROM osquery_flags WHERE name IN ('disable_logging', 'schedule_timeout') OR name LIKE 'logger%' OR name = 'buffered_log_max' as a live query, take out of the flags and agent options what is not yours, and restart osqueryd.",
        LOGGED,
    );
    // Each query of the pack has a column `dsplug_query`, whatever Fleet or a pack calls it.
    policy(
        &mut out,
        "dsplug runs every query",
        "No query of dsplug is on osqueryd's denylist. One during which osqueryd was killed does not run for a day, and nothing else tells: somebody may want that.",
        "Run SELECT name FROM osquery_schedule WHERE denylisted = 1 as a live query, and look for what ended osqueryd. The report runs again a day after, or under another name at once.",
        "SELECT 1 WHERE NOT EXISTS (SELECT name FROM osquery_schedule WHERE denylisted = 1 AND query LIKE '%dsplug%');",
    );
    policy(
        &mut out,
        "dsplug reads every folder",
        "Every plug-in folder that exists can be listed. Where one cannot, the queries on bundles fail and tell nothing: somebody may want that.",
        "Run dsplug query 'SELECT path, error FROM dsplug_folders' on the Mac. Give osqueryd Full Disk Access, or look at what stands in the folder's place.",
        "SELECT 1 WHERE NOT EXISTS (SELECT path FROM dsplug_folders WHERE error <> '');",
    );
    for query in queries.iter().filter(|q| !q.policy.is_empty()) {
        let sql = query.sql.trim_end_matches(';');
        policy(
            &mut out,
            &title(query),
            &query.policy,
            &query.resolution,
            &format!("SELECT 1 WHERE NOT EXISTS ({sql});"),
        );
    }
    out
}

/// Passes where each table can be asked. What `--disable_tables` names is in `osquery_registry` all
/// the same, but not in SQLite's own list, which no flag turns off. A view that osquery's configuration
/// puts in a table's place is in that list too, as a view.
fn every_table() -> String {
    let names = TABLES.iter().map(|table| table.name()).chain(ASKED);
    let mut names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    order::sort(&mut names);
    format!(
        "SELECT 1 WHERE (SELECT count(*) FROM sqlite_temp_master WHERE type = 'table' AND name IN ({})) = {};",
        names.join(", "),
        names.len()
    )
}

/// The tables of osquery's own that these policies ask; without them they stay unanswered.
const ASKED: [&str; 3] = ["osquery_flags", "osquery_registry", "osquery_schedule"];

/// Passes where the queries of the small pack are scheduled. Fleet gives a host all its reports or
/// none, in the packs `Global` and `team-N` or in one that a user named: they are known by what they
/// ask. Who leaves out others has chosen to; and of another version's the names are the same.
fn is_scheduled(queries: &[Query]) -> String {
    let scheduled = queries.iter().filter(|query| query.quiet).map(|query| {
        format!(
            "EXISTS (SELECT name FROM osquery_schedule WHERE query LIKE '%''{}'' AS {NAME_COLUMN}%')",
            query.name
        )
    });
    let scheduled: Vec<String> = scheduled.collect();
    format!("SELECT 1 WHERE {};", scheduled.join(" AND "))
}

/// Passes where osqueryd logs. A list of loggers may be empty, `stdout` is kept by nobody, and the
/// limits are far from what anybody sets: they have lines dropped, or not sent in time. After a
/// `schedule_timeout` osqueryd ends. Fleet takes lines at `/api/osquery/log`, `/api/v1/osquery/log` and these
/// with a prefix; behind `?` or `#` its path may stand for show. Where another logger takes them is not asked.
const LOGGED: &str = "SELECT 1 WHERE NOT EXISTS (SELECT name FROM osquery_flags WHERE \
    (name = 'disable_logging' AND value <> 'false') \
    OR (name = 'schedule_timeout' AND CAST(value AS INTEGER) <> 0) \
    OR (name = 'logger_plugin' AND trim(replace(value, 'stdout', ''), ', ' || char(9, 10, 11, 12, 13)) = '') \
    OR (name = 'logger_tls_endpoint' AND (value NOT LIKE '%/osquery/log' OR value LIKE '%?%' OR value LIKE '%#%') \
    AND EXISTS (SELECT 1 FROM osquery_flags WHERE name = 'logger_plugin' AND value LIKE '%tls%')) \
    OR (name = 'logger_tls_period' AND CAST(value AS INTEGER) > 3600) \
    OR (name = 'logger_tls_max_lines' AND CAST(value AS INTEGER) < 100) \
    OR (name = 'logger_tls_max_linesize' AND CAST(value AS INTEGER) < 16384) \
    OR (name = 'buffered_log_max' AND CAST(value AS INTEGER) BETWEEN 1 AND 999));";

fn policy(out: &mut String, name: &str, description: &str, resolution: &str, sql: &str) {
    item(
        out,
        &[
            ("name", json!(name)),
            ("description", json!(description)),
            ("resolution", json!(resolution)),
            ("query", json!(sql)),
            ("platform", json!("darwin")),
            // Only paid versions of Fleet take a critical one.
            ("critical", json!(false)),
        ],
    );
}

fn item(out: &mut String, keys: &[(&str, Value)]) {
    for (index, (key, value)) in keys.iter().enumerate() {
        let lead = if index == 0 { "- " } else { "  " };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{lead}{key}: {value}");
    }
}

fn description(query: &Query) -> String {
    let mut text = conf::description(query);
    if !query.flags.is_empty() {
        text.push_str(" Needs ");
        text.push_str(&query.flags.join(" "));
        text.push('.');
    }
    text
}

fn logging(query: &Query) -> &'static str {
    match (query.snapshot, query.removed) {
        (true, _) => "snapshot",
        (false, true) => "differential",
        (false, false) => "differential_ignore_removals",
    }
}
