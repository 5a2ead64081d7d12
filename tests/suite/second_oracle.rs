//! Real bundles, whole with their seals, judged by dsplug and by `tests/oracle/signature.py`, which
//! shares no code with it.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::Command;

use dsplug_fixtures::skipped;

/// The small ones, which `tests/setup/real_files.sh` fetches; `tests/oracle/compare.py --all --fetch`
/// compares the others.
#[test]
fn both_say_the_same_of_real_bundles() {
    for (program, argument) in [("python3", "--version"), ("openssl", "version")] {
        let found = Command::new(program).arg(argument).output();
        if !found.is_ok_and(|o| o.status.success()) {
            skipped(format_args!("{program} is not there"));
            return;
        }
    }
    let compared = Command::new("python3")
        .arg("tests/oracle/compare.py")
        .arg(env!("CARGO_BIN_EXE_dsplug"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&compared.stdout);
    let errors = String::from_utf8_lossy(&compared.stderr);
    assert!(compared.status.success(), "{said}{errors}");
    for line in said.lines().filter(|line| line.starts_with("skipped")) {
        skipped(format_args!("{line}"));
    }
}
