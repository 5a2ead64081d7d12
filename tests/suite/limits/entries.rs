//! A bundle of very many entries, or of very large code.

use std::fs;
use std::io::Write as _;

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
    let disk = full_of_entries(42_000);
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
    let more = report["files_more"][0].to_string();
    assert!(
        more.contains(" more; code comes first") && more.contains("dsplug query"),
        "{more}"
    );
    // Of a few, all are shown, and nothing else is said.
    let few = full_of_entries(0);
    let report = within_the_promise(few.path(), &["explain", &path, "--format", "json"]);
    assert!(!report.contains("files_more"));
}

/// What was scanned is let go of before all of it is read again.
#[test]
fn very_many_entries_are_collected_within_the_promise() {
    let disk = full_of_entries(70_000);
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let path = format!("/{PLUGINS}/A.dsplug");
    let output = archive.to_str().unwrap();
    within_the_promise(disk.path(), &["collect", &path, "--output", output]);
    assert!(archive.exists());
}

/// All of it is hashed, and no more of it is held than fits.
#[test]
fn code_of_many_megabytes_is_compared_within_the_promise() {
    let place = tempfile::tempdir().unwrap();
    for large in [64 << 20, 65 << 20, 16 << 20] {
        let disk = Disk::new();
        let known = place.path().join(large.to_string());
        fs::create_dir(&known).unwrap();
        for (above, end) in [(disk.plugin(""), 1), (known.clone(), 2)] {
            let code = MachO::bundle(Cpu::X86_64).unsigned();
            let bundle = Plugin::new("A").executable(code).write(above);
            let file = fs::File::options()
                .append(true)
                .open(bundle.join("Contents/MacOS/A"));
            let file = file.unwrap();
            file.set_len(large - 1).unwrap();
            (&file).write_all(&[end]).unwrap();
        }
        let path = format!("/{PLUGINS}/A.dsplug");
        let other = known.join("A.dsplug");
        let told = within_the_promise(disk.path(), &["compare", &path, other.to_str().unwrap()]);
        assert!(told.starts_with("altered   Contents/MacOS/A  "), "{told}");
        let is_told = told.contains("too large to tell its signature from its code");
        assert_eq!(is_told, large > 16 << 20, "{told}");
    }
}
