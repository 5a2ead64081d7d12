//! The binary as an extension of a manager that is made of osquery's official Python bindings: a
//! peer that shares no code with it. The checks themselves are in `tests/peer/checks.py`.
#![allow(
    clippy::explicit_write,
    reason = "a panic is a test's report, and what is printed with a macro is hidden"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsplug_fixtures::skipped;

/// The interpreter that `tests/setup/python.sh` makes, and the checks.
fn python() -> Option<Command> {
    with_python("peer/checks.py")
}

/// The same with another script.
fn with_python(script: &str) -> Option<Command> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let interpreter: PathBuf = tests.join(".venv/bin/python");
    interpreter.exists().then(|| {
        let mut command = Command::new(interpreter);
        command.arg("-B").arg(tests.join(script));
        command
    })
}

const NO_PYTHON: &str = "no tests/.venv; run tests/setup/python.sh";

#[track_caller]
fn check(name: &str) {
    let Some(mut python) = python() else {
        return skipped(NO_PYTHON);
    };
    let output = python
        .args([env!("CARGO_BIN_EXE_dsplug"), name])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{told}", output.status);
    for line in told.lines().filter(|line| line.starts_with("skipped: ")) {
        writeln!(std::io::stderr(), "{line}").unwrap();
    }
}

macro_rules! checks {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        /// A check that is written and not run would be a comfort and no more.
        #[test]
        fn every_check_is_run() {
            let Some(mut python) = python() else {
                return skipped(NO_PYTHON);
            };
            let output = python.arg("--names").output().unwrap();
            let names = String::from_utf8(output.stdout).unwrap();
            assert_eq!(names.lines().collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

/// The soak, as short as it shows that each answer is what stood there: by itself it takes a quarter of an hour.
#[test]
fn what_changes_under_the_extension_is_shown_as_it_stood() {
    let Some(mut python) = with_python("soak/soak.py") else {
        return skipped(NO_PYTHON);
    };
    let soak = python.args([env!("CARGO_BIN_EXE_dsplug"), "300"]);
    let output = soak.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

checks! {
    registers_every_table_with_its_columns
    generates_rows
    accepts_any_context
    unknown_actions_and_tables_fail
    a_folder_that_cannot_be_listed_fails_the_query
    waits_for_the_socket
    gives_up_when_nobody_listens
    gives_up_on_a_manager_that_is_silent_from_the_start
    clears_a_dead_entry_of_its_name
    leaves_to_a_living_one_of_its_name
    comes_back_after_each_kill
    ends_when_the_manager_restarts_and_returns
    ends_when_the_manager_is_gone
    ends_when_it_was_deregistered
    ends_when_its_socket_is_gone
    ends_when_the_manager_falls_silent
    one_miss_is_forgiven
    ends_with_its_parent
    ends_on_sigterm_in_the_middle_of_a_scan
    ends_on_sigint_in_the_middle_of_a_scan
    ends_on_sigterm_while_the_manager_is_silent
    ends_on_sigterm_while_it_waits_for_the_socket
    ends_when_osquery_asks
    answers_pings_while_it_scans
    its_socket_is_its_owners_whatever_the_umask_says
    a_scan_that_hangs_is_told_and_ends_the_process
    idle_connections_hold_nothing_up
    who_does_not_read_holds_nobody_up
    many_who_ask_without_a_pause_hold_little
    osquery_is_answered_before_those_who_ask_ever_anew
    who_is_stopped_for_seconds_has_his_answer
    hostile_lengths_are_survived
    a_socket_that_fails_gives_no_half_answer
    what_one_scan_could_not_read_the_next_one_reads
    stderr_may_be_closed
    stderr_may_be_a_pipe_whose_reader_has_gone
    stderr_may_be_a_pipe_that_nobody_reads
    what_excepts_nothing_is_logged_once_and_shortly
    unknown_flags_are_ignored
    many_queries_leave_nothing_behind
    many_rows_stay_within_64_megabytes
    what_stands_for_half_a_second_is_an_event
    a_storm_holds_no_query_up_and_loses_no_last_state
}
