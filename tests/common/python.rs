//! Runs the tests' Python scripts with the interpreter that `tests/setup/python.sh` makes.
#![allow(
    clippy::explicit_write,
    reason = "what is printed with a macro is hidden"
)]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use dsplug_fixtures::skipped;

/// Runs a script, named from `tests` on: it fails when the script does, and is skipped where there is
/// no interpreter. What the script says that it skips is told.
#[track_caller]
pub fn check(script: &str) {
    check_with(script, None);
}

/// The same with an argument.
#[track_caller]
pub fn check_with(script: &str, argument: Option<&Path>) {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let top = above.find(|above| above.join("packs").is_dir()).unwrap();
    let tests = top.join("tests");
    let interpreter = tests.join(".venv/bin/python");
    if !interpreter.exists() {
        return skipped("no tests/.venv; run tests/setup/python.sh");
    }
    let output = Command::new(interpreter)
        .arg("-B")
        .arg(tests.join(script))
        .args(argument)
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
