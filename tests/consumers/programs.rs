//! The programs that take the files, where Python has them: Sigma's checker and back ends; and
//! Fleet's keys, by types taken from its source.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use dsplug_fixtures::skipped;

/// Runs a script of `tests/consumers` with the interpreter that `tests/setup/python.sh` makes.
#[track_caller]
fn check(script: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let interpreter = tests.join(".venv/bin/python");
    if !interpreter.exists() {
        return skipped("no tests/.venv; run tests/setup/python.sh");
    }
    let output = Command::new(interpreter)
        .arg("-B")
        .arg(tests.join("consumers").join(script))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{script}: {}\n{told}",
        output.status
    );
    for line in told.lines().filter(|line| line.starts_with("skipped: ")) {
        writeln!(std::io::stderr(), "{line}").unwrap();
    }
}

#[test]
fn sigma_rules_are_valid_and_every_back_end_converts_them() {
    check("sigma_rules.py");
}

#[test]
fn fleet_takes_each_file() {
    check("fleet_types.py");
}
