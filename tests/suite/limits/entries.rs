//! A bundle of very many entries.

use std::fs;

use super::{with_evil, within_the_promise};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

/// So many entries, some code behind them by name.
fn full_of_entries(count: usize) -> Disk {
    let disk = with_evil();
    let code = MachO::bundle(Cpu::X86_64).unsigned();
    let bundle = Plugin::new("A")
        .file("Contents/z/code", code)
        .write(disk.plugin(""));
    for folder in 0..count / 2_000 {
        let folder = bundle.join(format!("Contents/{folder:03}"));
        fs::create_dir(&folder).unwrap();
        for number in 0..2_000 {
            let name = format!("{}{number:04}", "y".repeat(40));
            fs::File::create(folder.join(name)).unwrap();
        }
    }
    disk
}

/// What tells most is shown, and how the rest is asked for.
#[test]
fn a_report_on_very_many_entries_is_bounded() {
    let disk = full_of_entries(96_000);
    let path = format!("/{PLUGINS}/A.dsplug");
    let report = within_the_promise(disk.path(), &["explain", &path, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), 2_000);
    let shown = |end: &str| {
        files
            .iter()
            .any(|f| f["path"].as_str().unwrap().ends_with(end))
    };
    assert!(shown("/Contents/z/code"));
    let more = report["files_more"][0].as_str().unwrap();
    assert!(
        more.contains(" more; code comes first") && more.contains("dsplug query"),
        "{more}"
    );
    // Of a few, all are shown, and nothing else is said.
    let few = full_of_entries(0);
    let report = within_the_promise(few.path(), &["explain", &path, "--format", "json"]);
    assert!(!report.contains("files_more"));
}
