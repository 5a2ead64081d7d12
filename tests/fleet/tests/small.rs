//! A small fleet lives three days, and what must hold of the large one holds of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's panic is its report"
)]

#[expect(dead_code, reason = "other scripts take no argument")]
#[path = "../../common/python.rs"]
mod python;

use std::collections::BTreeSet;

use dsplug_fleet::host;
use dsplug_fleet::log::Log;
use dsplug_fleet::plan::{self, Size};
use dsplug_fleet::report::{Report, Why};

const SIZE: Size = Size {
    hosts: 200,
    days: 3,
    mishaps: 8,
    seed: 1,
};

#[test]
fn all_attacks_are_found_and_nothing_else_raises_an_alert() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = plan::make(SIZE);
    let kinds = fleet
        .truth
        .iter()
        .map(|fact| fact["kind"].as_str().unwrap());
    let kinds: BTreeSet<&str> = kinds.collect();
    // Whatever is not there proves nothing.
    for kind in [
        "attack",
        "imaged",
        "full_disk_access_back",
        "clock_right",
        "database_emptied",
        "silent",
        "removed",
    ] {
        assert!(kinds.contains(kind), "no Mac has {kind}");
    }
    let mut log = Log::create(directory.path(), SIZE.days).unwrap();
    for host in &fleet.hosts {
        host::live(host, &mut fleet.world, &mut log).unwrap();
    }
    log.finish(&fleet.truth).unwrap();
    let report = Report::of(directory.path()).unwrap();
    assert_eq!(report.failures(), Vec::<String>::new(), "\n{report}");
    assert_eq!(report.attacks.len(), 40);
    // The updates came, and each was told once.
    let told = report.releases.iter().filter(|r| r.signed && r.after == 1);
    assert!(told.count() >= 3, "\n{report}");
    for why in [Why::Removal, Why::Blind] {
        assert!(report.alerts.iter().any(|a| a.why == why), "{why:?}");
    }
    // The questions of packs/hunting find what happened, with the same rows on each engine.
    python::check_with("hunting/month.py", Some(directory.path()));
}
