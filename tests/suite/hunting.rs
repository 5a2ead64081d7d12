//! The questions to the log of a fleet, and the panels over it, on engines that a registry has: DuckDB
//! and ClickHouse. What Trino and BigQuery take is checked by rewriting it.
#![allow(
    clippy::explicit_write,
    reason = "a panic is a test's report, and what is printed with a macro is hidden"
)]

use crate::common::python;

use python::check;

#[test]
fn each_question_gives_the_expected_rows_on_every_engine() {
    check("hunting/questions.py");
}

#[test]
fn trino_and_bigquery_read_each_question_and_view() {
    check("hunting/dialects.py");
}

#[test]
fn sigma_rules_find_what_their_queries_told() {
    check("hunting/sigma_rules.py");
}

#[test]
fn panels_show_what_the_log_holds() {
    check("hunting/panels.py");
}
