//! The same scenarios under a real osqueryd and under `detect`: the two logs must agree.
//!
//! Runs where `OSQUERYD` names an osqueryd, or PATH holds one.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dsplug::extension::Row;
use dsplug_fixtures::osqueryd::{self, Osqueryd};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, X86_64, chmod, mach_header, needs_root, skipped};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::osqueryd::query;

const DSPLUG: &str = env!("CARGO_BIN_EXE_dsplug");
/// A snapshot in the derived pack by which runs are counted, and scans told from each other.
const TICK: &str = "zz_tick";

/// The queries whose rows are events, as the log names them.
const EVENT_QUERIES: [&str; 3] = [
    "pack_dsplug_events",
    "pack_dsplug_signature_changed",
    "pack_dsplug_went_back",
];

/// The pack, for any platform, every query each second, and without those that need macOS.
fn derived() -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packs/dsplug.conf"));
    let pack: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let engine = dsplug::engine::Engine::new().unwrap();
    let mut queries = serde_json::Map::new();
    for (name, query) in pack["queries"].as_object().unwrap() {
        let sql = query["query"].as_str().unwrap();
        if engine.names_foreign_table(sql).is_some() {
            continue;
        }
        let mut query = query.as_object().unwrap().clone();
        query.remove("platform");
        query.insert("interval".into(), 1.into());
        queries.insert(name.clone(), query.into());
    }
    // osqueryd asks queries in the order of their names: this one comes last.
    queries.insert(
        TICK.into(),
        json!({"query": "SELECT last_scan FROM dsplug_status", "interval": 1, "snapshot": true}),
    );
    json!({ "queries": queries })
}

/// When the scan that each run ended with had begun.
fn ticks(osqueryd: &Osqueryd) -> Vec<u64> {
    let name = format!("pack_dsplug_{TICK}");
    let log = osqueryd.read("logs/osqueryd.snapshots.log");
    let lines = log.lines().filter(|l| l.contains(&name));
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let last_scan = line["snapshot"][0]["last_scan"].as_str().unwrap();
            last_scan.parse().unwrap()
        })
        .collect()
}

/// Waits until every query was asked of a scan that began after now.
fn runs_again(osqueryd: &Osqueryd) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    let until = Instant::now() + Duration::from_secs(60);
    // The run that such a scan came up in may have begun with the one before.
    while ticks(osqueryd).iter().filter(|scan| **scan > now).count() < 2 {
        assert!(
            Instant::now() < until,
            "osqueryd stands still: {}",
            osqueryd.read("out")
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The events that the extension tells of, once there are so many: a watch tells what has settled.
fn events(osqueryd: &Osqueryd, count: usize) -> Vec<Row> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let rows = query(osqueryd, "SELECT id, action, path FROM dsplug_events");
        match rows {
            Ok(rows) if rows.len() >= count => return rows,
            // Meanwhile the extension may be gone.
            rows => assert!(Instant::now() < until, "{count} events: {rows:?}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Lines of differentials by query, without times and host.
fn by_query(log: &str) -> BTreeMap<String, Vec<Value>> {
    let mut queries: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in log.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if line["action"] == "snapshot" {
            continue;
        }
        let fields = line.as_object_mut().unwrap();
        for volatile in ["hostIdentifier", "calendarTime", "unixTime"] {
            assert!(fields.shift_remove(volatile).is_some(), "{volatile}");
        }
        let name = fields["name"].as_str().unwrap().to_owned();
        queries.entry(name).or_default().push(line);
    }
    queries
}

#[test]
fn detect_and_osqueryd_agree_line_by_line() {
    let Some(program) = osqueryd::program() else {
        skipped("no osqueryd on PATH or in OSQUERYD");
        return;
    };
    if !needs_root("osqueryd wants to be root") {
        return;
    }
    let disk = Disk::new();
    Plugin::new("Old")
        .file("Contents/Resources/data", "1")
        .write(disk.plugin(""));
    let stage = disk.dir("stage");
    let pack = derived();
    let pack_file = disk.file("dsplug.conf", pack.to_string());
    let kept = tempfile::tempdir().unwrap();
    let state = kept.path().join("state.json");
    let osqueryd = Osqueryd::start(
        &program,
        Path::new(DSPLUG),
        disk.path(),
        &json!({ "dsplug": pack }),
    );
    let mut ours = String::new();
    let mut failures = 0;
    let mut both = || {
        runs_again(&osqueryd);
        let output = Command::new(DSPLUG)
            .args(["detect", "--root"])
            .arg(disk.path())
            .arg("--pack")
            .arg(&pack_file)
            .arg("--state")
            .arg(&state)
            .arg("--state-dir")
            .arg(osqueryd.at("state"))
            .output()
            .unwrap();
        failures += usize::from(!output.status.success());
        ours.push_str(std::str::from_utf8(&output.stdout).unwrap());
    };
    // Each step is one rename: no query sees half of it.
    let replace = |path: &str, content: &[u8], mtime: Option<SystemTime>| {
        let new = stage.join("new");
        fs::write(&new, content).unwrap();
        chmod(&new, 0o755);
        if let Some(time) = mtime {
            fs::File::open(&new).unwrap().set_modified(time).unwrap();
        }
        fs::rename(new, disk.plugin(path)).unwrap();
    };
    both();
    // A bundle is created: staged, and renamed in.
    let new = Plugin::new("New").write(&stage);
    fs::rename(new, disk.plugin("New.dsplug")).unwrap();
    both();
    // An inner file is modified.
    replace("Old.dsplug/Contents/Resources/data", b"2", None);
    both();
    // The executable is replaced, and its time kept.
    let executable = disk.plugin("Old.dsplug/Contents/MacOS/Old");
    let time = fs::metadata(executable).unwrap().modified().unwrap();
    replace(
        "Old.dsplug/Contents/MacOS/Old",
        &mach_header(X86_64),
        Some(time),
    );
    both();
    // A symlink appears, and is swapped.
    for target in ["/stage/a.dsplug", "/stage/b.dsplug"] {
        Plugin::new("Link")
            .file("Contents/which", target)
            .write_as(disk.at(&target[1..]));
        symlink(target, stage.join("link")).unwrap();
        fs::rename(stage.join("link"), disk.plugin("Link.dsplug")).unwrap();
        both();
    }
    // A bundle comes and goes between two runs.
    fs::rename(disk.plugin("New.dsplug"), stage.join("gone")).unwrap();
    both();
    fs::rename(stage.join("gone"), disk.plugin("New.dsplug")).unwrap();
    fs::rename(disk.plugin("New.dsplug"), stage.join("gone")).unwrap();
    both();
    // The folder cannot be listed, and can again. (Root is refused nothing by a mode.)
    let file = disk.file("stage/file", "no directory");
    let exchange = || {
        renameat_with(CWD, &file, CWD, disk.at(PLUGINS), RenameFlags::EXCHANGE).unwrap();
    };
    exchange();
    both();
    exchange();
    both();
    let theirs = osqueryd.read("logs/osqueryd.results.log");
    assert_eq!(failures, 1);
    let refused = "Error executing scheduled query pack_dsplug_presence";
    assert!(
        osqueryd.read("out").contains(refused)
            || osqueryd.read("logs/osqueryd.INFO").contains(refused)
    );
    let (mut ours, mut theirs) = (by_query(&ours), by_query(&theirs));
    // Both read one journal, which the extension's watch writes when it is sure of something: of two
    // events of one step, osqueryd may be told in two runs, and so with two counters.
    for (name, lines) in ours.iter_mut().chain(&mut theirs) {
        if EVENT_QUERIES.contains(&name.as_str()) {
            for line in lines {
                let fields = line.as_object_mut().unwrap();
                assert!(fields.shift_remove("counter").is_some());
            }
        }
    }
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        theirs.keys().collect::<Vec<_>>()
    );
    for (name, lines) in &ours {
        let short = |lines: &[Value]| {
            let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
            lines.join("\n")
        };
        assert!(
            lines == &theirs[name],
            "{name}\ndetect:\n{}\nosqueryd:\n{}",
            short(lines),
            short(&theirs[name])
        );
        println!("{name}: {} lines agree", lines.len());
    }
    // The comparison compares something.
    assert!(ours["pack_dsplug_modified"].len() >= 6);
    assert_eq!(ours["pack_dsplug_presence"].len(), 4);
    assert!(ours["pack_dsplug_events"].len() >= 6);
}

/// A disk with one bundle, a place to stage others, and an osqueryd that asks the pack each second.
fn asked_each_second() -> Option<(Disk, Osqueryd)> {
    let Some(program) = osqueryd::program() else {
        skipped("no osqueryd on PATH or in OSQUERYD");
        return None;
    };
    if !needs_root("osqueryd wants to be root") {
        return None;
    }
    let disk = Disk::new();
    Plugin::new("Old").write(disk.plugin(""));
    disk.dir("stage");
    let packs = json!({ "dsplug": derived() });
    let osqueryd = Osqueryd::start(&program, Path::new(DSPLUG), disk.path(), &packs);
    runs_again(&osqueryd);
    Some((disk, osqueryd))
}

/// What the lines of a query say, each as its action and these columns.
fn lines(osqueryd: &Osqueryd, name: &str, columns: &[&str]) -> Vec<String> {
    let lines = by_query(&osqueryd.read("logs/osqueryd.results.log")).remove(name);
    let line = |line: Value| {
        let mut words = vec![line["action"].as_str().unwrap().to_owned()];
        let column = |name: &&str| line["columns"][name].as_str().unwrap().to_owned();
        words.extend(columns.iter().map(column));
        words.join(" ")
    };
    lines.unwrap_or_default().into_iter().map(line).collect()
}

#[test]
fn each_event_is_one_line_across_restarts() {
    let Some((disk, mut osqueryd)) = asked_each_second() else {
        return;
    };
    let path = |name: &str| format!("/{PLUGINS}/{name}.dsplug");
    let come = |name: &str| {
        let staged = Plugin::new(name).write(disk.at("stage"));
        fs::rename(staged, disk.plugin(format!("{name}.dsplug"))).unwrap();
    };
    let go = |name: &str| {
        let aside = disk.at(format!("stage/{name}.gone"));
        fs::rename(disk.plugin(format!("{name}.dsplug")), aside).unwrap();
    };
    let mut wanted = Vec::new();
    let mut told = |osqueryd: &Osqueryd, action: &str, name: &str| {
        wanted.push((action.to_owned(), path(name)));
        events(osqueryd, wanted.len());
        runs_again(osqueryd);
        let events = events(osqueryd, wanted.len());
        let seen: Vec<_> = events
            .iter()
            .map(|row| (row["action"].clone(), row["path"].clone()))
            .collect();
        assert_eq!(seen, wanted);
        let rows: Vec<_> = events
            .iter()
            .map(|row| format!("added {} {} {}", row["id"], row["action"], row["path"]))
            .collect();
        let columns = ["id", "action", "path"];
        assert_eq!(lines(osqueryd, "pack_dsplug_events", &columns), rows);
    };
    come("First");
    told(&osqueryd, "appeared", "First");
    go("First");
    told(&osqueryd, "gone", "First");
    // The extension is killed, and started again by osqueryd.
    let extension = || {
        let program = osqueryd.at("dsplug.real");
        let sql = format!(
            "SELECT pid FROM processes WHERE path = '{}'",
            program.display()
        );
        let rows = query(&osqueryd, &sql).unwrap();
        assert_eq!(rows.len(), 1, "{rows:?}");
        Pid::from_raw(rows[0]["pid"].parse().unwrap()).unwrap()
    };
    let killed = extension();
    kill_process(killed, Signal::KILL).unwrap();
    come("Second");
    told(&osqueryd, "appeared", "Second");
    assert_ne!(extension(), killed);
    // osqueryd ends with it and starts again; meanwhile something goes.
    osqueryd.stop();
    go("Second");
    osqueryd.restart();
    told(&osqueryd, "gone", "Second");
    come("Third");
    told(&osqueryd, "appeared", "Third");
    // None of that is taken for something that does not work.
    let impaired = || lines(&osqueryd, "pack_dsplug_impaired", &["part"]);
    assert_eq!(impaired(), [""; 0]);
    fs::remove_file(osqueryd.at("state/journal.db")).unwrap();
    come("Fourth");
    told(&osqueryd, "appeared", "Fourth");
    assert_eq!(impaired(), ["added journal"]);
}

#[test]
fn what_is_quarantined_is_told() {
    let Some((disk, osqueryd)) = asked_each_second() else {
        return;
    };
    let path = format!("/{PLUGINS}/Old.dsplug");
    let presence = || lines(&osqueryd, "pack_dsplug_presence", &["path"]);
    assert_eq!(presence(), [format!("added {path}")]);
    let output = Command::new(DSPLUG)
        .args(["quarantine", &path, "--yes-write-image", "--root"])
        .arg(disk.path())
        .arg("--state-dir")
        .arg(osqueryd.at("state"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    events(&osqueryd, 1);
    runs_again(&osqueryd);
    assert_eq!(
        presence(),
        [format!("added {path}"), format!("removed {path}")]
    );
    let told = lines(&osqueryd, "pack_dsplug_events", &["action", "path"]);
    assert_eq!(told, [format!("added gone {path}")]);
    let rows = query(&osqueryd, "SELECT path, state FROM dsplug_quarantine").unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (&rows[0]["path"], &*rows[0]["state"]),
        (&path, "quarantined")
    );
}
