//! `version` and `min_osquery_version`: the oldest osquery that has all that a query asks for.

use std::collections::BTreeMap;

use dsplug::pack::OLDEST_OSQUERY;

use super::files;

type Version = [u32; 3];

fn version(text: &str) -> Version {
    let numbers: Vec<u32> = text.split('.').map(|n| n.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// What is younger than the oldest osquery: a table, `table.column` or `--flag`, and since when.
fn younger() -> BTreeMap<String, Version> {
    files::text("tests/data/osquery-versions.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (what, since) = line.split_once(' ').unwrap();
            (what.to_owned(), version(since))
        })
        .collect()
}

/// Against the specifications of each version at which anything came, the query is valid from the
/// version on that its header names, and not before.
#[test]
fn each_query_names_the_oldest_osquery_that_has_what_it_asks_for() {
    let younger = younger();
    let mut versions: Vec<Version> = younger.values().copied().collect();
    versions.push(version(OLDEST_OSQUERY));
    versions.sort_unstable();
    versions.dedup();
    for query in files::queries().iter().chain(&files::investigation()) {
        let has = |what: &str, at: Version| younger.get(what).is_none_or(|since| *since <= at);
        // Between two of these nothing came: a version there would be a later one than is needed.
        assert!(
            versions.contains(&version(&query.osquery)),
            "{}: nothing that it asks for came with {}",
            query.name,
            query.osquery
        );
        for at in &versions {
            let database = files::database_with(&query.tables, |table, column| {
                has(table, *at) && has(&format!("{table}.{column}"), *at)
            });
            let flags = query.flags.iter().all(|flag| {
                let name = flag.split('=').next().unwrap();
                has(name, *at)
            });
            let valid = flags && database.prepare(&query.sql).is_ok();
            assert_eq!(
                valid,
                *at >= version(&query.osquery),
                "{} at {at:?}: its header names {}",
                query.name,
                query.osquery
            );
        }
    }
}
