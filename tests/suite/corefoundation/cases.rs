//! Cases with CoreFoundation's answers, one JSON object a line.

use std::path::PathBuf;

use serde_json::Value;

/// The cases of a file of this folder; or, where the environment variable names a path, those of
/// that file, for a run over more of them than the repository holds.
pub fn read(name: &str, variable: &str) -> Vec<Value> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corefoundation");
    let path = std::env::var_os(variable).map_or(beside.join(name), PathBuf::from);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
