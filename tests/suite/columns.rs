//! The contract's tables and columns, and the page that shows them.

use std::collections::BTreeSet;

use dsplug::codesign::ProblemCode;
use dsplug::load::Reason;
use dsplug::report::schema;
use dsplug::table::{TABLES, Type, by_name};
use dsplug::{Anomaly, Trouble};
use dsplug_fixtures::generated::parts_held;

/// Names and order as users rely on them; a column that is new comes after these.
const CONTRACT: &[(&str, &str)] = &[
    (
        "dsplug_bundles",
        "path mtime signer hash ctime btime bundle_mtime bundle_ctime newest_path kind \
         symlink_target resolved_path discovered_via bundle_identifier bundle_name version \
         plugin_name info_plist load_verdict load_reasons executable executable_hash \
         executable_outside architectures signature_state signature_problems anchor \
         claimed_signer authority team_identifier signing_identifier cdhash signing_time \
         unsealed_files uid gid mode writable_by quarantine provenance files bytes \
         notarization_ticket exception error linked_paths linked_hash unread",
    ),
    (
        "dsplug_files",
        "bundle_path path kind size mtime ctime btime uid gid mode hash symlink_target sealed \
         macho signature_state signer cdhash quarantine error",
    ),
    (
        "dsplug_folders",
        "path exists resolved_path mtime ctime btime uid gid mode writable_by entries candidates \
         anomalies error ctime_nanoseconds way",
    ),
    (
        "dsplug_events",
        "id time action path changed seen kind hash previous_hash executable executable_hash \
         bundle_identifier signature_state signer anchor team_identifier cdhash load_verdict \
         exception stood_ms kept error",
    ),
];

#[test]
fn the_tables_have_the_columns_of_the_contract() {
    for (table, columns) in CONTRACT {
        let headings = by_name(table).unwrap().headings();
        let columns: Vec<&str> = columns.split_whitespace().collect();
        let names = headings.iter().map(|h| h.name).take(columns.len());
        assert_eq!(names.collect::<Vec<_>>(), columns, "{table}");
    }
}

#[test]
fn every_column_says_what_it_means() {
    for table in TABLES {
        assert!(table.meaning().ends_with('.'), "{}", table.name());
        if let Some(key) = table.bundle() {
            assert!(table.headings().iter().any(|h| h.name == key), "{key}");
        }
        let mut seen = BTreeSet::new();
        for column in table.headings() {
            assert!(seen.insert(column.name), "{} twice", column.name);
            assert!(column.meaning.ends_with('.'), "{}", column.name);
            assert!(!column.meaning.contains('|'), "{}", column.name);
        }
    }
}

#[test]
fn numbers_are_big() {
    // osquery cuts INTEGER to 32 bits.
    for table in TABLES {
        for column in table.headings() {
            assert!(matches!(column.kind, Type::Text | Type::BigInt));
            assert_ne!(column.kind.as_str(), "INTEGER");
        }
    }
}

/// The generated parts of the tables' page.
#[test]
fn the_page_is_current() {
    let words = |rows: Vec<(&str, &str)>| {
        let rows = rows
            .iter()
            .map(|(word, meaning)| format!("| `{word}` | {meaning} |\n"));
        format!(
            "| word | meaning |\n|---|---|\n{}",
            rows.collect::<String>()
        )
    };
    let problems = ProblemCode::ALL.iter().map(|c| (c.as_str(), c.meaning()));
    let anomalies = Anomaly::ALL.iter().map(|a| (a.as_str(), a.meaning()));
    let reasons = Reason::ALL.iter().map(|r| (r.as_str(), r.meaning()));
    parts_held(
        "src/table/README.md",
        &[
            (
                "columns",
                schema::render(None, schema::Format::Markdown).unwrap(),
            ),
            ("codes", words(Trouble::CODES.to_vec())),
            ("anomalies", words(anomalies.collect())),
            ("problems", words(problems.collect())),
            ("reasons", words(reasons.collect())),
        ],
    );
}
