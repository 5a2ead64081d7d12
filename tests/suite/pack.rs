//! The pack: every generated file is what the `.sql` files give, and is valid where it is imported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dsplug::engine::Engine;
use dsplug::pack::{
    NAME_COLUMN, OLDEST_OSQUERY, conf, elastic, elastic_rules, fleet, grafana, hunting, kibana,
    markdown, sigma,
};
use dsplug::table::TABLES;
use dsplug_fixtures::generated::{held, parts_held};
use rusqlite::types::ValueRef;
use serde_json::Value;

use crate::common::pack as files;
use files::{database, investigation, queries, top};

#[test]
fn generated_files_are_current() {
    let queries = queries();
    held("packs/dsplug.conf", &conf::write(&queries));
    held("packs/fleet/dsplug.reports.yml", &fleet::reports(&queries));
    held(
        "packs/fleet/dsplug.policies.yml",
        &fleet::policies(&queries),
    );
    held(
        "packs/fleet/dsplug-investigation.reports.yml",
        &fleet::reports(&investigation()),
    );
    held("packs/elastic/dsplug.pack.conf", &elastic::pack(&queries));
    held(
        "packs/elastic/dsplug.api.json",
        &elastic::api_pack(&queries),
    );
    held(
        "packs/elastic/dsplug.rules.ndjson",
        &elastic_rules::write(&queries),
    );
    held("install/elastic/osquery-config.json", &elastic::settings());
    held("packs/dsplug-quiet.conf", &conf::write_quiet(&queries));
    held(
        "packs/fleet/dsplug.agent-options.yml",
        &fleet::agent_options(),
    );
    let rules = sigma::rules(&queries);
    for (path, rule) in &rules {
        held(path, rule);
    }
    let kept = fs::read_dir(top().join("packs/sigma")).unwrap();
    let kept = kept.filter(|e| e.as_ref().unwrap().path().is_file());
    assert_eq!(kept.count(), rules.len(), "a rule whose query is gone");
}

/// The questions to the log of a fleet.
fn hunts() -> Vec<hunting::Hunt> {
    let files = fs::read_dir(top().join("packs/hunting")).unwrap();
    let mut files: Vec<_> = files.map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "sql"));
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        hunting::parse(name, &fs::read_to_string(path).unwrap()).unwrap()
    };
    files.iter().map(read).collect()
}

#[test]
fn what_asks_the_log_of_a_fleet_is_current() {
    let views = hunting::views::files();
    for (path, statement) in &views {
        held(path, statement);
    }
    let kept = fs::read_dir(top().join("packs/hunting/views")).unwrap();
    assert_eq!(kept.count(), views.len(), "a view whose engine is gone");
    parts_held(
        "packs/hunting/README.md",
        &[("hunts", hunting::index(&hunts()))],
    );
    held(
        "packs/grafana/dsplug.json",
        &grafana::dashboard(&hunts()).unwrap(),
    );
    held("packs/kibana/dsplug.ndjson", &kibana::objects());
}

#[test]
fn the_page_is_current() {
    parts_held(
        "packs/README.md",
        &[
            ("queries", markdown::queries(&queries())),
            ("investigation", markdown::queries(&investigation())),
        ],
    );
}

#[test]
fn every_query_is_valid_against_the_tables_that_it_names() {
    for query in queries().iter().chain(&investigation()) {
        let database = database(&query.tables);
        let statement = database
            .prepare(&query.sql)
            .unwrap_or_else(|e| panic!("{}: {e}", query.name));
        assert!(statement.readonly(), "{}", query.name);
        let columns: BTreeSet<&str> = statement.column_names().collect();
        assert_eq!(
            columns.len(),
            statement.column_count(),
            "{}: a column twice",
            query.name
        );
        // Which query a line is of: the header's reader holds the value to the name.
        assert_eq!(
            statement.column_names().next(),
            Some(NAME_COLUMN),
            "{}",
            query.name
        );
        for (field, column) in &query.ecs {
            assert!(
                columns.contains(column.as_str()),
                "{}: {field}={column}",
                query.name
            );
        }
        for table in &query.tables {
            assert!(
                query.sql.contains(table.as_str()),
                "{}: {table} is not used",
                query.name
            );
        }
        // Explicit columns: a new column of a table must not change what is logged.
        assert!(
            !query.sql.contains('*') || query.sql.contains("count(*)"),
            "{}",
            query.name
        );
        assert!(!query.sql.contains("SELECT *"), "{}", query.name);
    }
}

/// What a query of the pack answers, as text, over rows that are put in by hand.
fn answer(name: &str, rows: &[(&str, &[(&str, &str)])]) -> Vec<String> {
    let query = queries().into_iter().find(|q| q.name == name).unwrap();
    let database = database(&query.tables);
    for (table, cells) in rows {
        let (names, values): (Vec<_>, Vec<_>) = cells.iter().copied().unzip();
        let holes = vec!["?"; names.len()].join(", ");
        let sql = format!(
            "INSERT INTO {table} (\"{}\") VALUES ({holes})",
            names.join("\", \"")
        );
        database
            .execute(&sql, rusqlite::params_from_iter(values))
            .unwrap();
    }
    let mut statement = database.prepare(&query.sql).unwrap();
    let count = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells: Vec<String> = (0..count)
            .map(|i| {
                Ok(match row.get_ref(i)? {
                    ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str_or_null()?.unwrap_or_default().to_owned(),
                })
            })
            .collect::<rusqlite::Result<_>>()?;
        Ok(cells.join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Apple gives a certificate to any account, under any name: that is nobody known.
#[test]
fn a_certificate_that_any_account_gets_silences_nothing() {
    for (state, anchor, told) in [
        ("signed", "untrusted", true),
        ("signed", "developer_id", false),
        ("signed", "app_store", false),
        ("signed", "apple", false),
    ] {
        let row: &[(&str, &str)] = &[
            ("path", "/A.dsplug"),
            ("kind", "directory"),
            ("discovered_via", "top_level"),
            ("resolved_path", "/A.dsplug"),
            ("load_verdict", "loadable"),
            ("signature_state", state),
            ("anchor", anchor),
            ("exception", ""),
            ("error", ""),
            ("writable_by", "root"),
        ];
        for query in ["loadable_unverified", "signature_broken", "oddities"] {
            let lines = answer(query, &[("dsplug_bundles", row)]);
            assert_eq!(!lines.is_empty(), told, "{query} {anchor}: {lines:?}");
        }
    }
    // A policy asks what its query asks.
    let policies = fleet::policies(&queries());
    for policy in policies.split("- name: ").filter(|p| {
        ["dsplug loadable unverified", "dsplug signature broken"]
            .iter()
            .any(|name| p.contains(name))
    }) {
        assert!(policy.contains("'developer_id'"), "{policy}");
    }
}

#[test]
fn images_on_the_writable_volumes_are_told() {
    let mapped = |path: &str, permissions: &str| {
        let process: &[(&str, &str)] = &[("pid", "7"), ("path", "/usr/libexec/dspluginhelperd")];
        let image = [("pid", "7"), ("path", path), ("permissions", permissions)];
        let rows = [("processes", process), ("process_memory_map", &image[..])];
        !answer("helper_images", &rows).is_empty()
    };
    for path in [
        "/System/Volumes/Data/Users/Shared/x.dylib",
        "/System/Volumes/Preboot/x.dylib",
        "/private/var/db/x.dylib",
        "/Library/x.dylib",
    ] {
        assert!(mapped(path, "r-x"), "{path}");
    }
    // Wherever a library is taken for one that root can write, an image is told.
    let list = include_str!("../../src/firm_links.rs");
    let (_, list) = list.split_once("const FURTHER_DOWN: &[&str] = &[").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    let places: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(places.len() >= 10, "{places:?}");
    for place in places {
        assert!(mapped(&format!("{place}/x.dylib"), "r-x"), "{place}");
    }
    for path in [
        "/System/Library/Frameworks/x",
        "/System/Volumes/Preboot/Cryptexes/OS/System/Library/dyld/dyld_shared_cache_arm64e",
        "/private/var/db/dyld/dyld_shared_cache_x86_64h",
        "/usr/lib/dyld",
        "/usr/share/icu/icudt72l.dat",
    ] {
        assert!(!mapped(path, "r-x"), "{path}");
    }
    assert!(!mapped(
        "/private/var/db/timezone/zoneinfo/Europe/Berlin",
        "r--"
    ));
}

/// A key of an exception that is not asked for could be taken away, and widen it, without a line.
#[test]
fn every_column_of_the_exceptions_is_watched_for_changes() {
    let asked = queries();
    let asked = asked
        .iter()
        .find(|q| q.name == "exceptions_changed")
        .unwrap();
    let database = database(&asked.tables);
    let statement = database.prepare(&asked.sql).unwrap();
    // What several of them say together is no column.
    let asked = statement.column_names().skip(1);
    let asked: BTreeSet<&str> = asked.filter(|name| *name != "accepts").collect();
    let table = TABLES.iter().find(|t| t.name() == "dsplug_exceptions");
    let headings = table.unwrap().headings();
    let columns: BTreeSet<&str> = headings.iter().map(|h| h.name).collect();
    assert_eq!(asked, columns);
}

/// A Mac on which all works has no row, from the first moment on, and one on which something does not has
/// the same row for as long as that is so.
#[test]
fn what_does_not_work_is_told_and_nothing_else() {
    let healthy = [
        ("error", ""),
        ("watch", "all"),
        ("watch_error", ""),
        ("journal", "kept"),
        ("journal_error", ""),
        ("exceptions_path", "/a.plist"),
        ("exceptions_state", "active"),
    ];
    let told = |changes: &[(&str, &str)]| {
        let mut row = healthy.to_vec();
        for (column, value) in changes {
            row.iter_mut().find(|(name, _)| name == column).unwrap().1 = value;
        }
        answer("impaired", &[("dsplug_status", &row)])
    };
    let more = "limit: 12 places are left to the tick";
    for quiet in [
        &[][..],
        // Before the watch and the journal have begun, and where nobody watches or keeps.
        &[("watch", ""), ("journal", ""), ("exceptions_state", "none")],
        &[("journal", "memory")],
        // More bundles than can be watched.
        &[("watch", "directories"), ("watch_error", more)],
    ] {
        assert_eq!(told(quiet), [""; 0], "{quiet:?}");
    }
    let named = "cannot list /it hangs at nowhere, all scans work: Not a directory";
    let hangs = "a scan has not come back for 73 s; it hangs at /Library/DirectoryServices";
    for (changes, row) in [
        (&[("watch", "tick")][..], "watch it is left to the clock"),
        (&[("error", "x")], "scan x"),
        // However long it has hung.
        (
            &[("error", hangs)],
            "scan it hangs at /Library/DirectoryServices",
        ),
        (
            &[("error", named)],
            "scan cannot list /it hangs at nowhere, all scans work: Not a directory",
        ),
        (&[("watch_error", "x")], "watch x"),
        (&[("watch", "tick"), ("watch_error", "x")], "watch x"),
        (&[("journal", "error")], "journal events are not kept"),
        // It is kept again, and what has happened is said still.
        (&[("journal_error", "x")], "journal x"),
        (&[("journal", "error"), ("journal_error", "x")], "journal x"),
        (
            &[("journal_error", "the journal has not answered for 73 s")],
            "journal the journal has not answered",
        ),
        (
            &[("journal_error", "the journal has not been opened for 73 s")],
            "journal the journal has not been opened",
        ),
        (
            &[(
                "journal_error",
                "cannot open /the journal has not x for 7 s",
            )],
            "journal cannot open /the journal has not x for 7 s",
        ),
        (
            &[("exceptions_state", "error")],
            "exceptions something is refused of /a.plist",
        ),
    ] {
        assert_eq!(told(changes), [format!("impaired {row}")]);
    }
    assert_eq!(told(&[("watch", "tick"), ("journal_error", "x")]).len(), 2);
}

/// Root sets the clock back, does something, and sets it forward again; or the other way round. What an
/// event's time says then must not decide whether it is a line, now or later.
#[test]
fn no_clock_hides_an_event() {
    for name in ["events", "signature_changed"] {
        let query = queries().into_iter().find(|q| q.name == name).unwrap();
        assert!(!query.sql.contains("time >") && !query.sql.contains("'now'"));
        for time in ["0", "4070908800", "-9"] {
            let row: &[(&str, &str)] = &[
                ("id", "7"),
                ("time", time),
                ("action", "changed"),
                ("changed", "signer"),
                ("exception", ""),
            ];
            let lines = answer(name, &[("dsplug_events", row)]);
            assert_eq!(lines.len(), 1, "{name} at {time}");
        }
    }
}

/// Two writes within one second are two.
#[test]
fn a_folder_that_was_written_again_within_the_second_differs() {
    let told = |nanoseconds: &str| {
        let row: &[(&str, &str)] = &[
            ("anomalies", "x"),
            ("ctime", "1800000000"),
            ("ctime_nanoseconds", nanoseconds),
        ];
        answer("folder_changed", &[("dsplug_folders", row)])
    };
    assert_ne!(told("1"), told("2"));
}

#[test]
fn a_misspelt_column_would_be_found() {
    let database = database(&["file_events".to_owned()]);
    assert!(
        database
            .prepare("SELECT target_paht FROM file_events")
            .is_err()
    );
}

#[test]
fn queries_over_our_tables_alone_run_on_the_embedded_engine() {
    let engine = Engine::new().unwrap();
    for query in queries().iter().chain(&investigation()) {
        let foreign = engine.names_foreign_table(&query.sql);
        if query.tables.is_empty() {
            engine
                .check(&query.sql)
                .unwrap_or_else(|e| panic!("{}: {e}", query.name));
            assert_eq!(foreign, None);
        } else {
            let foreign = foreign.unwrap_or_else(|| panic!("{}", query.name));
            assert!(query.tables.contains(&foreign), "{}: {foreign}", query.name);
        }
    }
}

#[test]
fn names_and_logging_are_those_that_users_rely_on() {
    let queries = queries();
    let shape = |name: &str| {
        let query = queries.iter().find(|q| q.name == name).unwrap();
        (query.interval, query.snapshot, query.removed)
    };
    assert_eq!(shape("presence"), (300, false, true));
    assert_eq!(shape("modified"), (300, false, false));
    assert_eq!(shape("folder_changed"), (300, false, false));
    assert_eq!(shape("inventory"), (86_400, true, false));
}

#[test]
fn detections_leave_accepted_bundles_out_and_the_inventory_keeps_them() {
    for query in queries() {
        let reads_bundles = query.sql.contains("FROM dsplug_bundles");
        let asks_only_whether = query.sql.contains("count(*) FROM dsplug_bundles");
        if query.name == "inventory" {
            assert!(!query.sql.contains("WHERE"));
        } else if reads_bundles && !asks_only_whether {
            assert!(query.sql.contains("exception = ''"), "{}", query.name);
        }
    }
}

/// Numbers that change while a Mac is quiet.
#[test]
fn no_differential_has_a_volatile_column() {
    for query in queries().iter().filter(|q| !q.snapshot) {
        if query.tables.iter().any(|t| t.ends_with("_events")) {
            // Lines of events are never compared with one another.
            continue;
        }
        let database = database(&query.tables);
        for column in database.prepare(&query.sql).unwrap().column_names() {
            let volatile = [
                "pid",
                "atime",
                "start_time",
                "bytes",
                "files",
                "last_scan",
                "error",
            ];
            // What is said of an exception, and of an event, stays as it is.
            let excused = [("exceptions_changed", "error"), ("events", "error")]
                .contains(&(query.name.as_str(), column));
            assert!(
                !volatile.contains(&column) || excused,
                "{}: {column}",
                query.name
            );
        }
    }
}

#[test]
fn the_pack_is_what_osquery_takes() {
    let text = fs::read_to_string(top().join("packs/dsplug.conf")).unwrap();
    let pack: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(pack["platform"], "darwin");
    assert_eq!(pack["version"], OLDEST_OSQUERY);
    assert!(pack["file_paths"]["dsplug"].as_array().unwrap().len() > 1);
    let known = [
        "query",
        "interval",
        "platform",
        "version",
        "snapshot",
        "removed",
        "denylist",
        "description",
        "value",
    ];
    for (name, query) in pack["queries"].as_object().unwrap() {
        let keys: Vec<&str> = query
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, known, "{name}");
        assert_eq!(query["platform"], "darwin");
        assert_eq!(query["denylist"], false);
        let sql = query["query"].as_str().unwrap();
        assert!(
            !sql.contains("--") && !sql.contains('\n') && !sql.contains("  "),
            "{name}"
        );
        let interval = query["interval"].as_u64().unwrap();
        assert!((1..=604_800).contains(&interval), "{name}");
    }
    let scheduled = conf::read("dsplug", &text).unwrap().queries;
    assert_eq!(scheduled.len(), queries().len());
    for query in queries() {
        let name = format!("pack_dsplug_{}", query.name);
        let read = scheduled.iter().find(|s| s.name == name).unwrap();
        assert_eq!(
            (&read.sql, read.interval, read.snapshot, read.removed),
            (
                &query.sql,
                u64::from(query.interval),
                query.snapshot,
                query.removed
            )
        );
    }
}

#[test]
fn a_pack_that_osquery_would_not_take_is_refused() {
    for (text, why) in [
        ("{", "no JSON"),
        ("{\"queries\": /* x */ {}}", "no JSON"),
        ("[]", "no object `queries`"),
        (r#"{"queries": {"a": {"interval": 1}}}"#, "no `query`"),
        (
            r#"{"queries": {"a": {"query": "SELECT 1", "interval": 0}}}"#,
            "from 1 to 604800",
        ),
        (
            r#"{"queries": {"a": {"query": "SELECT 1", "interval": "x"}}}"#,
            "no number",
        ),
        (
            r#"{"queries": {"a": {"query": "SELECT 1", "removed": 7}}}"#,
            "neither true nor false",
        ),
        (
            r#"{"queries": {"aepoch": {"query": "SELECT 1"}}}"#,
            "for itself",
        ),
    ] {
        let error = conf::read("p", text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    let defaults = conf::read("p", r#"{"queries": {"a": {"query": "SELECT 1"}}}"#)
        .unwrap()
        .queries;
    let one = &defaults[0];
    assert_eq!(
        (one.interval, one.snapshot, one.removed),
        (3600, false, true)
    );
}

/// A list in YAML whose values are JSON: each item's keys with their values.
fn items(path: &Path) -> Vec<Vec<(String, Value)>> {
    let mut items: Vec<Vec<(String, Value)>> = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        if line.starts_with('#') {
            continue;
        }
        let rest = match line.strip_prefix("- ") {
            Some(rest) => {
                items.push(Vec::new());
                rest
            }
            None => line.strip_prefix("  ").unwrap(),
        };
        let (key, value) = rest.split_once(": ").unwrap();
        let value = serde_json::from_str(value).unwrap();
        items.last_mut().unwrap().push((key.to_owned(), value));
    }
    items
}

/// Fleet's rules, from its documentation of YAML files.
#[test]
fn fleet_takes_the_reports_and_policies() {
    let mut names = BTreeSet::new();
    for (file, known) in [
        (
            "dsplug.reports.yml",
            "name description query interval platform min_osquery_version observer_can_run automations_enabled logging discard_data",
        ),
        (
            "dsplug-investigation.reports.yml",
            "name description query interval platform min_osquery_version observer_can_run automations_enabled logging discard_data",
        ),
        (
            "dsplug.policies.yml",
            "name description resolution query platform critical",
        ),
    ] {
        let known: Vec<&str> = known.split(' ').collect();
        let path = top().join("packs/fleet").join(file);
        assert!(!fs::read_to_string(&path).unwrap().contains('$'), "{file}");
        for item in items(&path) {
            let keys: Vec<&str> = item.iter().map(|(k, _)| k.as_str()).collect();
            assert_eq!(keys, known, "{file}");
            let item: BTreeMap<String, Value> = item.into_iter().collect();
            let name = item["name"].as_str().unwrap();
            assert!(name.is_ascii() && !name.is_empty());
            assert!(
                names.insert((file.contains("policies"), name.to_owned())),
                "{name} twice"
            );
            assert_eq!(item["platform"], "darwin");
            assert!(!item["query"].as_str().unwrap().is_empty());
            if let Some(logging) = item.get("logging") {
                let words = ["snapshot", "differential", "differential_ignore_removals"];
                assert!(words.contains(&logging.as_str().unwrap()));
            }
        }
    }
}

#[test]
fn policies_are_valid_queries() {
    for item in items(&top().join("packs/fleet/dsplug.policies.yml")) {
        let item: BTreeMap<String, Value> = item.into_iter().collect();
        let sql = item["query"].as_str().unwrap();
        let database = database(&POLICY_TABLES.map(str::to_owned));
        let mut statement = database
            .prepare(sql)
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
        // Nothing stands in these tables, and none is osquery's: all policies hold but those that
        // ask for what is to be there.
        let passes = statement.exists([]).unwrap();
        let name = item["name"].as_str().unwrap();
        let asks = [
            "dsplug is registered",
            "dsplug has every table",
            "dsplug is configured by Fleet",
            "dsplug is scheduled",
        ];
        assert_eq!(passes, !asks.contains(&name), "{sql}");
    }
}

/// The tables of osquery's that Fleet's policies ask.
const POLICY_TABLES: [&str; 3] = ["osquery_registry", "osquery_schedule", "osquery_flags"];

/// The flags of orbit and of Fleet's agent options pass, as do loggers of a host's own.
#[test]
fn policies_fail_where_flags_have_nothing_logged_and_nowhere_else() {
    let logged = "dsplug is logged";
    let configured = "dsplug is configured by Fleet";
    let orbit = [
        ("disable_logging", "false"),
        ("schedule_timeout", "0"),
        ("config_plugin", "tls"),
        ("logger_plugin", "tls"),
        ("logger_tls_endpoint", "/api/v1/osquery/log"),
        ("logger_tls_period", "10"),
        ("logger_tls_max_lines", "1024"),
        ("logger_tls_max_linesize", "1048576"),
        ("buffered_log_max", "1000000"),
    ];
    for (flag, value, fails) in [
        ("config_plugin", "tls", None),
        ("config_plugin", "kolide_grpc", Some(configured)),
        ("config_plugin", "tls,other", Some(configured)),
        ("config_plugin", "", Some(configured)),
        ("config_plugin", "filesystem", Some(configured)),
        ("config_plugin", "tls,filesystem", Some(configured)),
        ("disable_logging", "true", Some(logged)),
        ("schedule_timeout", "0", None),
        ("schedule_timeout", "30", Some(logged)),
        ("logger_plugin", "filesystem", None),
        ("logger_plugin", "tls,filesystem", None),
        ("logger_plugin", "aws_firehose", None),
        ("logger_plugin", "stdout,syslog", None),
        ("logger_plugin", "", Some(logged)),
        ("logger_plugin", " , ", Some(logged)),
        ("logger_plugin", "stdout", Some(logged)),
        ("logger_plugin", "stdout\t", Some(logged)),
        (
            "logger_plugin",
            "\u{b}stdout\r\n, stdout\u{c}",
            Some(logged),
        ),
        ("logger_tls_endpoint", "/api/osquery/log", None),
        ("logger_tls_endpoint", "/prefix/api/osquery/log", None),
        ("logger_tls_endpoint", "", Some(logged)),
        ("logger_tls_endpoint", "/nowhere", Some(logged)),
        ("logger_tls_endpoint", "/a?b=/osquery/log", Some(logged)),
        ("logger_tls_endpoint", "/a#/osquery/log", Some(logged)),
        ("logger_tls_period", "3600", None),
        ("logger_tls_period", "3601", Some(logged)),
        ("logger_tls_period", "31536000", Some(logged)),
        ("logger_tls_period", "18446744073709551615", Some(logged)),
        ("logger_tls_max_lines", "100", None),
        ("logger_tls_max_lines", "99", Some(logged)),
        ("logger_tls_max_lines", "0", Some(logged)),
        ("logger_tls_max_linesize", "10485760", None),
        ("logger_tls_max_linesize", "16384", None),
        ("logger_tls_max_linesize", "16383", Some(logged)),
        ("buffered_log_max", "0", None),
        ("buffered_log_max", "1000", None),
        ("buffered_log_max", "999", Some(logged)),
        ("buffered_log_max", "1", Some(logged)),
    ] {
        let database = database(&POLICY_TABLES.map(str::to_owned));
        let set = |flag: &str, value: &str| {
            let sql = "INSERT INTO osquery_flags (name, value) VALUES (?, ?)";
            database.execute(sql, [flag, value]).unwrap();
        };
        for (name, normal) in orbit {
            set(name, if name == flag { value } else { normal });
        }
        for item in items(&top().join("packs/fleet/dsplug.policies.yml")) {
            let item: BTreeMap<String, Value> = item.into_iter().collect();
            let name = item["name"].as_str().unwrap();
            if [logged, configured].contains(&name) {
                let mut policy = database.prepare(item["query"].as_str().unwrap()).unwrap();
                let passes = policy.exists([]).unwrap();
                assert_eq!(passes, fails != Some(name), "{name}: {flag}={value}");
            }
        }
    }
    // What is not sent by TLS needs no address for it.
    let database = database(&POLICY_TABLES.map(str::to_owned));
    let sql = "INSERT INTO osquery_flags (name, value) VALUES ('logger_plugin', 'filesystem'), ('logger_tls_endpoint', '')";
    database.execute_batch(sql).unwrap();
    let policies = items(&top().join("packs/fleet/dsplug.policies.yml"));
    let policy = policies.iter().find(|item| item[0].1 == logged).unwrap();
    let (_, sql) = policy.iter().find(|(key, _)| key == "query").unwrap();
    let mut policy = database.prepare(sql.as_str().unwrap()).unwrap();
    assert!(policy.exists([]).unwrap());
}

#[test]
fn elastic_takes_the_pack() {
    let read = |name: &str| fs::read_to_string(top().join("packs/elastic").join(name)).unwrap();
    let pack: Value = serde_json::from_str(&read("dsplug.pack.conf")).unwrap();
    let api: Value = serde_json::from_str(&read("dsplug.api.json")).unwrap();
    for (name, query) in pack["queries"].as_object().unwrap() {
        assert!(query["snapshot"].is_boolean(), "{name}");
        assert_eq!(api["queries"][name]["query"], query["query"]);
        assert_eq!(api["queries"][name]["version"], query["version"]);
    }
}

#[test]
fn the_small_pack_is_four_queries_of_the_other_as_they_are() {
    let read = |path: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(top().join(path)).unwrap()).unwrap()
    };
    let (whole, quiet) = (read("packs/dsplug.conf"), read("packs/dsplug-quiet.conf"));
    let queries = quiet["queries"].as_object().unwrap();
    for (name, query) in queries {
        assert_eq!(query, &whole["queries"][name], "{name}");
    }
    let names: Vec<&String> = queries.keys().collect();
    let four = [
        "events",
        "inventory",
        "loadable_unverified",
        "signature_broken",
    ];
    assert_eq!(names, four);
    assert!(conf::read("dsplug", &quiet.to_string()).is_ok());
}

/// A change of the signature has a before: what appears, and what is changed in its content alone, or
/// is excepted, or long past, is none.
#[test]
fn a_signature_changes_only_where_there_was_one_before() {
    let queries = queries();
    let query = queries
        .iter()
        .find(|q| q.name == "signature_changed")
        .unwrap();
    let database = database(&query.tables);
    let now = "CAST(strftime('%s', 'now') AS INTEGER)";
    for (id, action, changed, state, exception, age) in [
        (1, "appeared", "", "adhoc", "", 10),
        (2, "changed", "content;executable", "adhoc", "", 10),
        (3, "changed", "content;signature", "broken", "", 10),
        (4, "changed", "signer", "signed", "", 10),
        (5, "changed", "signer", "signed", "known", 10),
        // Its age counts for nothing.
        (6, "changed", "signer", "signed", "", 90_000),
        (7, "gone", "", "adhoc", "", 10),
        // An update by the same vendor has another cdhash.
        (
            8,
            "changed",
            "content;executable;signature",
            "signed",
            "",
            10,
        ),
    ] {
        let sql = format!(
            "INSERT INTO dsplug_events (id, action, changed, signature_state, anchor, exception, time)
             VALUES ({id}, '{action}', '{changed}', '{state}', 'developer_id', '{exception}', {now} - {age})"
        );
        database.execute_batch(&sql).unwrap();
    }
    let mut statement = database.prepare(&query.sql).unwrap();
    let found = statement.query_map([], |row| row.get::<_, i64>("id"));
    let found: Vec<i64> = found.unwrap().map(Result::unwrap).collect();
    assert_eq!(found, [3, 4, 6]);
}

/// Back is where it stood before: what appears for the first time, changes on and on, is put back after
/// it could not be read, or stood there on another path, is not back. No clock decides.
#[test]
fn a_bundle_goes_back_only_to_what_it_was() {
    let queries = queries();
    let query = queries.iter().find(|q| q.name == "went_back").unwrap();
    let database = database(&query.tables);
    let now = "CAST(strftime('%s', 'now') AS INTEGER)";
    for (id, action, path, previous, hash, age) in [
        (1, "appeared", "/a", "", "one", 90_000),
        (2, "changed", "/a", "one", "two", 90_000),
        (3, "changed", "/a", "two", "three", 50),
        // Swapped and put back.
        (4, "changed", "/a", "three", "evil", 40),
        (5, "changed", "/a", "evil", "three", 30),
        // Taken away, and an older one put there.
        (6, "gone", "/a", "three", "three", 20),
        (7, "appeared", "/a", "", "one", 10),
        // On another path, and a second time without anything in between.
        (8, "appeared", "/b", "", "two", 10),
        (9, "gone", "/b", "two", "two", 10),
        (10, "appeared", "/b", "", "two", 10),
        // Not to be read for a while.
        (11, "changed", "/b", "two", "", 10),
        (12, "changed", "/b", "", "two", 10),
        // The same as 4 and 5, while the clock was set back.
        (13, "changed", "/c", "five", "six", 95_000),
        (14, "changed", "/c", "six", "five", 94_000),
    ] {
        let sql = format!(
            "INSERT INTO dsplug_events (id, action, path, previous_hash, hash, exception, time)
             VALUES ({id}, '{action}', '{path}', '{previous}', '{hash}', '', {now} - {age})"
        );
        database.execute_batch(&sql).unwrap();
    }
    let found = || ids(&database, &query.sql);
    assert_eq!(found(), [5, 7, 14]);
    // As many as are kept of one path that change nothing of the content: compared with each other,
    // they would be some 50 million pairs.
    database
        .execute_batch(
            "WITH RECURSIVE n(id) AS (SELECT 100 UNION ALL SELECT id + 1 FROM n WHERE id < 10000)
             INSERT INTO dsplug_events (id, action, path, previous_hash, hash, exception, time)
             SELECT id, 'changed', '/m', 'same', 'same', '', 0 FROM n",
        )
        .unwrap();
    let mut statement = database.prepare(&query.sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while rows.next().unwrap().is_some() {}
    drop(rows);
    let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
    assert!(steps < 1_000_000, "{steps}");
    drop(statement);
    assert_eq!(found(), [5, 7, 14]);
    // That what it went back to is accepted does not say that what stood in between was.
    let accept = |id: i64| {
        let accept = format!("UPDATE dsplug_events SET exception = 'known' WHERE id = {id}");
        database.execute_batch(&accept).unwrap();
    };
    accept(5);
    assert_eq!(found(), [5, 7, 14]);
    accept(4);
    assert_eq!(found(), [7, 14]);
}

/// The ids of the lines of a query, in order.
fn ids(database: &rusqlite::Connection, sql: &str) -> Vec<i64> {
    let mut statement = database.prepare(sql).unwrap();
    let found = statement.query_map([], |row| row.get::<_, i64>("id"));
    let mut found: Vec<i64> = found.unwrap().map(Result::unwrap).collect();
    found.sort_unstable();
    found
}

/// An exception silences the way back only of what never was anything that it does not accept.
#[test]
fn an_accepted_bundle_that_was_exchanged_for_a_while_went_back() {
    let queries = queries();
    let query = queries.iter().find(|q| q.name == "went_back").unwrap();
    // Action, what changed, hash before and after, exception; and which of these events are lines.
    type Story = &'static [(
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    )];
    let stories: &[(&str, Story, &[i64])] = &[
        (
            "exchanged for four seconds",
            &[
                ("appeared", "", "", "good", "x"),
                ("changed", "content;exception", "good", "evil", ""),
                ("changed", "content;exception", "evil", "good", "x"),
            ],
            &[3],
        ),
        (
            "an admin's update",
            &[
                ("appeared", "", "", "one", "x"),
                ("changed", "content", "one", "two", "x"),
            ],
            &[],
        ),
        (
            "an update that is written slowly, and accepted when it is whole",
            &[
                ("appeared", "", "", "one", "x"),
                ("changed", "content;exception", "one", "half", ""),
                ("changed", "content", "half", "two", ""),
                ("changed", "exception", "two", "two", "y"),
            ],
            &[],
        ),
        (
            "put back to an older one, both accepted",
            &[
                ("appeared", "", "", "one", "x"),
                ("changed", "content", "one", "two", "x"),
                ("changed", "content", "two", "one", "x"),
            ],
            &[],
        ),
        (
            "exchanged, with another accepted one before or after",
            &[
                ("appeared", "", "", "good", "x"),
                ("changed", "content", "good", "old", "x"),
                ("changed", "content;exception", "old", "evil", ""),
                ("changed", "content;exception", "evil", "good", "x"),
            ],
            &[4],
        ),
        (
            "and after",
            &[
                ("appeared", "", "", "good", "x"),
                ("changed", "content;exception", "good", "evil", ""),
                ("changed", "content;exception", "evil", "old", "x"),
                ("changed", "content", "old", "good", "x"),
            ],
            &[4],
        ),
        (
            "taken away in between",
            &[
                ("appeared", "", "", "good", "x"),
                ("gone", "", "good", "good", "x"),
                ("appeared", "", "", "evil", ""),
                ("gone", "", "evil", "evil", ""),
                ("appeared", "", "", "good", "x"),
            ],
            &[5],
        ),
        (
            "removed and installed again",
            &[
                ("appeared", "", "", "good", "x"),
                ("gone", "", "good", "good", "x"),
                ("appeared", "", "", "good", "x"),
            ],
            &[],
        ),
        (
            "accepted but while somebody looks at the list",
            &[
                ("appeared", "", "", "evil", "x"),
                ("changed", "exception", "evil", "evil", ""),
                ("changed", "owner", "evil", "evil", ""),
                ("changed", "exception", "evil", "evil", "x"),
                ("changed", "mode", "evil", "evil", "x"),
            ],
            &[4],
        ),
        (
            "accepted, and later by another entry",
            &[
                ("appeared", "", "", "good", ""),
                ("changed", "exception", "good", "good", "x"),
                ("changed", "exception", "good", "good", "y"),
                ("changed", "exception", "good", "good", "x"),
                ("changed", "exception", "good", "good", ""),
            ],
            &[],
        ),
    ];
    for (story, events, lines) in stories {
        let database = database(&query.tables);
        for (id, (action, changed, previous, hash, exception)) in (1_i64..).zip(*events) {
            let sql = format!(
                "INSERT INTO dsplug_events (id, action, path, changed, previous_hash, hash, exception, time)
                 VALUES ({id}, '{action}', '/a', '{changed}', '{previous}', '{hash}', '{exception}', 0)"
            );
            database.execute_batch(&sql).unwrap();
        }
        assert_eq!(ids(&database, &query.sql), *lines, "{story}");
    }
}
