//! Workflows and scripts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::program::repository;
use dsplug_fixtures::skipped;

#[test]
fn every_action_is_pinned_by_a_commit() {
    let mut seen = 0;
    for name in ["ci.yml", "release.yml"] {
        let text = fs::read_to_string(repository().join(".github/workflows").join(name)).unwrap();
        assert!(
            text.contains("\npermissions:"),
            "{name} takes the default permissions"
        );
        for line in text.lines() {
            let Some(action) = line.trim().trim_start_matches("- ").strip_prefix("uses: ") else {
                continue;
            };
            let (pin, tag) = action
                .split_once('@')
                .unwrap()
                .1
                .split_once(" # v")
                .unwrap();
            assert!(
                pin.len() == 40 && pin.bytes().all(|b| b.is_ascii_hexdigit()),
                "{name}: {line}"
            );
            assert!(!tag.is_empty(), "{name}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}

/// Every script of ours, by its first line.
fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["install", ".ci", ".github", "tests"] {
        for entry in walkdir::WalkDir::new(repository().join(folder))
            .into_iter()
            .filter_entry(|e| e.file_name() != ".venv")
        {
            let entry = entry.unwrap();
            if !entry.file_type().is_file() {
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            if bytes.starts_with(b"#!/bin/sh\n") || entry.file_name() == "common.sh" {
                found.push(entry.into_path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn shellcheck_has_nothing_to_say() {
    let own = repository().join("tests/.venv/bin/shellcheck");
    let program = if own.exists() {
        own
    } else {
        PathBuf::from("shellcheck")
    };
    if Command::new(&program).arg("--version").output().is_err() {
        skipped("no shellcheck; run tests/setup/python.sh");
        return;
    }
    let scripts = scripts();
    assert!(scripts.len() >= 10, "{scripts:?}");
    let output = Command::new(program)
        .current_dir(repository())
        .args(["--shell=sh", "--external-sources", "--source-path=."])
        .args(&scripts)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
