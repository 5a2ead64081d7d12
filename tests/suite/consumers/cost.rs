//! What the headers say that a line costs, against the lines that `detect` writes of the sample.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::files;

#[test]
fn a_line_has_about_as_many_bytes_as_its_header_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["detect", "--root"])
        .arg(files::top().join("tests/images/sample"))
        .output()
        .unwrap();
    let mut lines: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let name = value["name"].as_str().unwrap();
        let name = name.strip_prefix("pack_dsplug_").unwrap().to_owned();
        // A snapshot is one line of many rows, and a header's number is of one.
        let rows = value["snapshot"].as_array().map_or(1, Vec::len);
        lines.entry(name).or_default().push(line.len() / rows);
    }
    for query in files::queries() {
        let Some(found) = lines.get(&query.name) else {
            // Of these the sample has no line, and nobody measured one.
            assert_eq!(query.line_bytes, 0, "{}", query.name);
            continue;
        };
        let mean = found.iter().sum::<usize>() / found.len();
        let told = query.line_bytes as usize;
        assert!(
            mean * 4 / 5 <= told && told <= mean * 5 / 4,
            "{}: its header says {told} bytes, and a line has {mean}",
            query.name
        );
    }
}
