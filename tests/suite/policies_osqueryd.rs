//! Fleet's policies on what the others need, asked of a real osqueryd: each passes where all is well,
//! and fails where somebody has turned osqueryd against dsplug.
//!
//! Runs where `OSQUERYD` names an osqueryd, or PATH holds one.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dsplug_fixtures::osqueryd::{self, Osqueryd};
use dsplug_fixtures::{Disk, needs_root, skipped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::osqueryd::query;
use crate::common::pack::text;

/// The SQL of a policy.
fn policy(name: &str) -> String {
    let policies = text("packs/fleet/dsplug.policies.yml");
    let (_, policy) = policies
        .split_once(&format!("- name: {}\n", json!(name)))
        .unwrap();
    let mut lines = policy.lines();
    let query = lines.find_map(|line| line.strip_prefix("  query: "));
    serde_json::from_str(query.unwrap()).unwrap()
}

/// Waits until a policy passes, or fails; one without an answer does neither.
#[track_caller]
fn comes_to(osqueryd: &Osqueryd, name: &str, passes: bool) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let rows = query(osqueryd, &policy(name));
        if rows.as_ref().is_ok_and(|rows| rows.is_empty() != passes) {
            return;
        }
        assert!(Instant::now() < until, "{name}, {passes}: {rows:?}");
        sleep(Duration::from_millis(50));
    }
}

fn start(disk: &Disk, packs: &Value) -> Option<Osqueryd> {
    let Some(program) = osqueryd::program() else {
        skipped("no osqueryd on PATH or in OSQUERYD");
        return None;
    };
    let dsplug = Path::new(env!("CARGO_BIN_EXE_dsplug"));
    needs_root("osqueryd wants to be root")
        .then(|| Osqueryd::start(&program, dsplug, disk.path(), packs))
}

#[test]
fn a_table_that_osqueryd_is_told_not_to_have_fails_a_policy() {
    let disk = Disk::new();
    let Some(mut osqueryd) = start(&disk, &json!({})) else {
        return;
    };
    let (registered, tables) = ("dsplug is registered", "dsplug has every table");
    comes_to(&osqueryd, registered, true);
    comes_to(&osqueryd, tables, true);
    for (flags, views) in [
        ("--disable_tables=dsplug_events\n", json!({})),
        (
            "--enable_tables=dsplug_bundles,osquery_registry,osquery_schedule,osquery_flags\n",
            json!({}),
        ),
        // What the other policies ask.
        ("--disable_tables=osquery_schedule\n", json!({})),
        ("--disable_tables=osquery_flags\n", json!({})),
        // What stands in its place answers, and is no table.
        (
            "--disable_tables=dsplug_events\n",
            json!({"temp.dsplug_events": "SELECT 1 AS id WHERE 0"}),
        ),
    ] {
        fs::write(osqueryd.at("flags"), flags).unwrap();
        fs::write(osqueryd.at("conf"), json!({ "views": views }).to_string()).unwrap();
        osqueryd.restart();
        comes_to(&osqueryd, registered, true);
        comes_to(&osqueryd, tables, false);
    }
}

#[test]
fn a_query_that_is_denied_fails_a_policy() {
    let disk = Disk::new();
    // It does not come back, as none does whose extension was stopped, and Fleet gives no `denylist`.
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
               SELECT 'impaired' AS dsplug_query, count(*) AS n FROM n";
    // Late enough for the policy to be asked before it: while it runs nothing else is answered.
    let packs = json!({"Global": {"queries": {"slow": {"query": sql, "interval": 30}}}});
    let Some(mut osqueryd) = start(&disk, &packs) else {
        return;
    };
    let name = "dsplug runs every query";
    comes_to(&osqueryd, name, true);
    let until = Instant::now() + Duration::from_secs(60);
    while !osqueryd.read("out").contains("pack_Global_slow: ") {
        assert!(Instant::now() < until, "it does not run");
        sleep(Duration::from_millis(20));
    }
    for worker in children(&osqueryd) {
        let _ = kill_process(worker, Signal::KILL);
    }
    osqueryd.restart();
    comes_to(&osqueryd, name, false);
}

#[test]
fn a_schedule_without_the_reports_fails_a_policy() {
    let disk = Disk::new();
    let Some(mut osqueryd) = start(&disk, &json!({})) else {
        return;
    };
    let name = "dsplug is scheduled";
    comes_to(&osqueryd, "dsplug is registered", true);
    comes_to(&osqueryd, name, false);
    // As Fleet gives them: in a pack for all hosts, or in one of a team. Which they are is not asked.
    let quiet: Value = serde_json::from_str(&text("packs/dsplug-quiet.conf")).unwrap();
    let mut reports = serde_json::Map::new();
    for (name, query) in quiet["queries"].as_object().unwrap() {
        let report = json!({"query": query["query"], "interval": 3600});
        reports.insert(format!("dsplug {name}"), report);
    }
    for (pack, left_out, passes) in [
        ("Global", "", true),
        ("team-7", "", true),
        ("team-7", "dsplug events", false),
    ] {
        let mut queries = reports.clone();
        queries.remove(left_out);
        let conf = json!({
            "options": {"pack_delimiter": "/"},
            "packs": {pack: {"queries": queries}},
        });
        fs::write(osqueryd.at("conf"), conf.to_string()).unwrap();
        osqueryd.restart();
        comes_to(&osqueryd, name, passes);
    }
}

#[test]
fn logging_that_is_turned_off_fails_a_policy() {
    let disk = Disk::new();
    let Some(mut osqueryd) = start(&disk, &json!({})) else {
        return;
    };
    let name = "dsplug is logged";
    comes_to(&osqueryd, name, true);
    for (flags, options) in [
        ("--disable_logging\n", json!({})),
        ("", json!({"disable_logging": true})),
        ("", json!({"logger_tls_period": 9_999_999})),
        ("", json!({"logger_tls_max_lines": 1})),
        ("--logger_tls_max_linesize=1\n", json!({})),
    ] {
        fs::write(osqueryd.at("flags"), flags).unwrap();
        let conf = json!({ "options": options });
        fs::write(osqueryd.at("conf"), conf.to_string()).unwrap();
        osqueryd.restart();
        comes_to(&osqueryd, name, false);
    }
}

#[test]
fn a_configuration_from_a_file_of_the_host_fails_a_policy() {
    let disk = Disk::new();
    let Some(osqueryd) = start(&disk, &json!({})) else {
        return;
    };
    comes_to(&osqueryd, "dsplug is configured by Fleet", false);
}

/// The worker of an osqueryd, and its extension.
fn children(osqueryd: &Osqueryd) -> Vec<Pid> {
    let watcher = osqueryd.child.id().to_string();
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid="])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let of_it = text.lines().filter_map(|line| {
        let (pid, parent) = line.trim().split_once(char::is_whitespace)?;
        (parent.trim() == watcher).then(|| Pid::from_raw(pid.parse().ok()?))?
    });
    of_it.collect()
}
