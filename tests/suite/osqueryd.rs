//! The binary under a real osqueryd: one that `OSQUERYD` names, or that is on PATH.
//!
//! The daemon starts it from an autoload file, as on a Mac. `DSPLUG_QUERIES` says how many queries the
//! longest test makes; 2,000 when it is not set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dsplug::extension::Row;
use dsplug_fixtures::osqueryd::{self, Osqueryd};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, skipped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::osqueryd::query;

/// Waits for something to come about, and fails when it does not in time.
#[track_caller]
fn within<T>(seconds: u64, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(seconds),
            "not within {seconds} s: {what}"
        );
        sleep(Duration::from_millis(20));
    }
}

/// A daemon with a folder of its own, and a Mac's disk that its extension reads.
struct Daemon {
    osqueryd: Osqueryd,
    disk: Disk,
}

impl Daemon {
    /// Starts it with a schedule, or says that the test is skipped.
    fn start(schedule: &Value) -> Option<Self> {
        let Some(program) = osqueryd::program() else {
            skipped("no osqueryd on PATH or in OSQUERYD");
            return None;
        };
        let disk = Disk::new();
        Plugin::new("Example").write(disk.at(PLUGINS));
        let binary = Path::new(env!("CARGO_BIN_EXE_dsplug"));
        let packs = json!({"test": {"queries": schedule}});
        let osqueryd = Osqueryd::start(&program, binary, disk.path(), &packs);
        Some(Self { osqueryd, disk })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.osqueryd.at(name)
    }

    fn query(&self, sql: &str) -> Result<Vec<Row>, String> {
        query(&self.osqueryd, sql)
    }

    /// One query by osquery's own shell.
    fn shell(&self, sql: &str) -> Vec<Row> {
        let output = Command::new(&self.osqueryd.program)
            .args(["-S", "--json", "--connect"])
            .arg(self.at("em"))
            .arg(sql)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let begin = text
            .find('[')
            .unwrap_or_else(|| panic!("{sql}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        serde_json::from_str(&text[begin..]).unwrap()
    }

    /// The identifier under which the extension is registered.
    fn uuid(&self) -> Option<String> {
        let rows = self.query("SELECT uuid FROM osquery_extensions WHERE name = 'dsplug'");
        Some(rows.ok()?.first()?["uuid"].clone())
    }

    /// The processes that a condition on parent and command holds for; zombies are none.
    fn processes(wanted: impl Fn(Pid, &str) -> bool) -> Vec<Pid> {
        let output = Command::new("ps")
            .args(["-Aww", "-o", "pid=,ppid=,stat=,command="])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let mut pid = || Pid::from_raw(words.next()?.parse().ok()?);
                let (pid, parent) = (pid()?, pid()?);
                let alive = !words.next()?.starts_with('Z');
                (alive && wanted(parent, line)).then_some(pid)
            })
            .collect()
    }

    /// The processes of the extension.
    fn extensions(&self) -> Vec<Pid> {
        let file = self.at("dsplug.real");
        Self::processes(|_, command| command.contains(file.to_str().unwrap()))
    }

    /// The one process of the extension.
    fn extension(&self) -> Pid {
        within(10, "one extension runs", || match self.extensions()[..] {
            [pid] => Some(pid),
            _ => None,
        })
    }

    /// Waits until the extension answers.
    #[track_caller]
    fn answering(&self, seconds: u64) {
        within(seconds, "a table that answers", || {
            let rows = self.query("SELECT path FROM dsplug_bundles").ok()?;
            (rows.len() == 1).then_some(())
        });
    }

    /// The result lines so far: query, action and path of each.
    fn results(&self) -> Vec<(String, String, String)> {
        let text = self.osqueryd.read("logs/osqueryd.results.log");
        text.lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                let word = |value: &Value| value.as_str().unwrap().to_owned();
                (
                    word(&line["name"]),
                    word(&line["action"]),
                    word(&line["columns"]["path"]),
                )
            })
            .collect()
    }

    fn log(&self) -> String {
        self.osqueryd.read("out")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.osqueryd.stop();
        for pid in self.extensions() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn nothing() -> Value {
    json!({})
}

#[test]
fn registers_within_a_second_of_the_socket() {
    let Some(daemon) = Daemon::start(&nothing()) else {
        return;
    };
    within(10, "osquery's socket", || {
        daemon.at("em").exists().then_some(())
    });
    within(1, "registered after the socket appeared", || daemon.uuid());
    let rows = daemon.shell("SELECT version FROM osquery_extensions WHERE name = 'dsplug'");
    assert_eq!(rows[0]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_table_answers_whatever_the_constraints() {
    let Some(daemon) = Daemon::start(&nothing()) else {
        return;
    };
    Plugin::new("Second").write(daemon.disk.at(PLUGINS));
    within(10, "registered", || daemon.uuid());
    let rows = daemon
        .shell("SELECT name FROM osquery_registry WHERE registry = 'table' AND owner_uuid != 0");
    let mut served: Vec<_> = rows.into_iter().map(|row| row["name"].clone()).collect();
    served.sort();
    let mut declared: Vec<_> = dsplug::table::TABLES
        .iter()
        .map(|table| table.name())
        .collect();
    declared.sort_unstable();
    assert_eq!(served, declared);
    for table in declared {
        let rows = daemon.shell(&format!("SELECT count(*) AS n FROM {table}"));
        assert!(rows[0]["n"].parse::<u32>().is_ok(), "{table}: {rows:?}");
        // osquery knows each column, by its name and type.
        let rows = daemon.shell(&format!(
            "SELECT name, type FROM pragma_table_info('{table}')"
        ));
        let known: Vec<_> = rows
            .iter()
            .map(|row| (row["name"].as_str(), row["type"].as_str()))
            .collect();
        let headings = dsplug::table::by_name(table).unwrap().headings();
        let wanted: Vec<_> = headings.iter().map(|h| (h.name, h.kind.as_str())).collect();
        assert_eq!(known, wanted, "{table}");
    }

    let paths = |condition: &str| -> Vec<String> {
        let rows = daemon.shell(&format!("SELECT path FROM dsplug_bundles {condition}"));
        rows.into_iter()
            .map(|row| row["path"].replace(&format!("/{PLUGINS}/"), ""))
            .collect()
    };
    let first = format!("path = '/{PLUGINS}/Example.dsplug'");
    let second = format!("path = '/{PLUGINS}/Second.dsplug'");
    let both = ["Example.dsplug", "Second.dsplug"];
    assert_eq!(paths(""), both);
    assert_eq!(paths(&format!("WHERE {first}")), both[..1]);
    assert_eq!(paths(&format!("WHERE {first} OR {second}")), both);
    assert_eq!(paths(&format!("WHERE {first} OR mtime > 0")), both);
    assert_eq!(
        paths(&format!("WHERE {first} AND {second}")),
        Vec::<String>::new()
    );
    assert_eq!(paths("WHERE path LIKE '%Second%'"), both[1..]);
    assert_eq!(
        paths("WHERE kind IN ('directory', 'file') AND mtime BETWEEN 1 AND 9000000000"),
        both
    );
    assert_eq!(paths("LIMIT 1"), both[..1]);
    assert_eq!(paths("LIMIT 1 OFFSET 1"), both[1..]);
    // Once for each process, and each time the same rows.
    let rows = daemon.shell(
        "SELECT count(*) AS joined, (SELECT count(*) FROM processes) AS alone \
         FROM processes CROSS JOIN dsplug_bundles ON mtime > processes.pid * 0",
    );
    let number = |name: &str| rows[0][name].parse::<i64>().unwrap();
    assert!(
        (number("joined") - 2 * number("alone")).abs() <= 20,
        "{rows:?}"
    );
}

#[test]
fn an_unreadable_folder_is_an_error_and_no_result_lines() {
    let query = json!({"present": {"query": "SELECT path FROM dsplug_bundles", "interval": 1}});
    let Some(daemon) = Daemon::start(&query) else {
        return;
    };
    let line = |action: &str, name: &str| {
        let path = format!("/{PLUGINS}/{name}.dsplug");
        ("pack_test_present".to_owned(), action.to_owned(), path)
    };
    let mut wanted = vec![line("added", "Example")];
    within(15, "the base line", || {
        (daemon.results() == wanted).then_some(())
    });
    Plugin::new("Later").write(daemon.disk.at(PLUGINS));
    wanted.push(line("added", "Later"));
    within(15, "an added one", || {
        (daemon.results() == wanted).then_some(())
    });

    // ENOTDIR, which stops even root.
    let (folder, aside) = (daemon.disk.at(PLUGINS), daemon.disk.at("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    let failures = || {
        let log = daemon.log();
        let failed = |line: &&str| line.contains("pack_test_present") && line.contains("PlugIns: ");
        log.lines().filter(failed).count()
    };
    within(20, "errors in the log", || (failures() >= 2).then_some(()));
    assert_eq!(daemon.results(), wanted);

    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    fs::remove_dir_all(daemon.disk.at(format!("{PLUGINS}/Later.dsplug"))).unwrap();
    // Had anything else been logged meanwhile, it would stand before this line.
    wanted.push(line("removed", "Later"));
    within(20, "a removed one", || {
        (daemon.results() == wanted).then_some(())
    });
}

#[test]
fn comes_back_after_each_of_twenty_kills() {
    let Some(daemon) = Daemon::start(&nothing()) else {
        return;
    };
    daemon.answering(10);
    for _ in 0..20 {
        let (pid, uuid) = (daemon.extension(), daemon.uuid());
        kill_process(pid, Signal::KILL).unwrap();
        // The watcher looks every three seconds.
        within(10, "a new registration", || {
            let new = daemon.uuid();
            (new.is_some() && new != uuid).then_some(())
        });
        daemon.answering(2);
    }
}

#[test]
fn comes_back_after_the_worker_is_killed() {
    let Some(daemon) = Daemon::start(&nothing()) else {
        return;
    };
    daemon.answering(10);
    let watcher = Pid::from_child(&daemon.osqueryd.child);
    let extension = daemon.extension();
    let children = Daemon::processes(|parent, _| parent == watcher);
    let worker = *children.iter().find(|pid| **pid != extension).unwrap();
    kill_process(worker, Signal::KILL).unwrap();
    within(10, "the socket's end", || {
        daemon.uuid().is_none().then_some(())
    });
    daemon.answering(30);
}

#[test]
fn does_not_outlive_a_killed_osqueryd() {
    let Some(mut daemon) = Daemon::start(&nothing()) else {
        return;
    };
    daemon.answering(10);
    daemon.osqueryd.child.kill().unwrap();
    daemon.osqueryd.child.wait().unwrap();
    within(5, "no extension runs", || {
        daemon.extensions().is_empty().then_some(())
    });
}

#[test]
fn ends_with_osqueryd() {
    let Some(mut daemon) = Daemon::start(&nothing()) else {
        return;
    };
    daemon.answering(10);
    kill_process(Pid::from_child(&daemon.osqueryd.child), Signal::TERM).unwrap();
    within(10, "osqueryd's end", || {
        daemon.osqueryd.child.try_wait().unwrap()
    });
    within(5, "no extension runs", || {
        daemon.extensions().is_empty().then_some(())
    });
}

#[test]
fn many_queries_do_not_make_it_grow() {
    let Some(daemon) = Daemon::start(&nothing()) else {
        return;
    };
    let many: u32 = std::env::var("DSPLUG_QUERIES").map_or(2000, |many| many.parse().unwrap());
    daemon.answering(10);
    let pid = daemon.extension();
    let kilobytes = || -> u64 {
        let pid = pid.as_raw_nonzero().to_string();
        let output = Command::new("ps")
            .args(["-o", "rss=", "-p", &pid])
            .output()
            .unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    // Where there is no /proc, memory alone is looked at.
    let count = |what: &str| {
        let entries = fs::read_dir(format!("/proc/{}/{what}", pid.as_raw_nonzero()));
        entries.map_or(0, Iterator::count)
    };
    // Who has asked leaves a connection behind that rests for seconds, osquery's own pings as well.
    let fewest = || {
        let begun = Instant::now();
        let mut fewest = (usize::MAX, usize::MAX);
        while begun.elapsed() < Duration::from_secs(6) {
            fewest = (fewest.0.min(count("task")), fewest.1.min(count("fd")));
            sleep(Duration::from_millis(20));
        }
        fewest
    };
    let queries = |many: u32| {
        for _ in 0..many {
            let rows = daemon
                .query("SELECT path, mtime, signer, hash FROM dsplug_bundles")
                .unwrap();
            assert_eq!(rows.len(), 1);
        }
    };
    queries(200);
    let (memory, (threads, files)) = (kilobytes(), fewest());
    queries(many);
    let now = fewest();
    assert!(
        now.0 <= threads && now.1 <= files,
        "{now:?} threads and descriptors, where there were {threads} and {files}"
    );
    let growth = kilobytes().saturating_sub(memory);
    assert!(growth < 4096, "{growth} kB more after {many} queries");
    assert_eq!(daemon.extension(), pid, "it is the same process");
}

/// A process that has nothing to do: its threads, and how often they were switched so far.
fn switches(pid: Pid) -> Option<(usize, u64)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).ok()?;
    let mut threads = 0;
    let mut switches = 0;
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
        let counts = status.lines().filter(|l| l.contains("ctxt_switches:"));
        let counts = counts.map(|l| l.rsplit('\t').next().unwrap().parse::<u64>().unwrap());
        switches += counts.sum::<u64>();
        threads += 1;
    }
    Some((threads, switches))
}

#[test]
fn it_sleeps_while_nobody_asks() {
    let Some(daemon) = Daemon::start(&nothing()) else {
        return;
    };
    daemon.answering(30);
    let pid = daemon.extension();
    // The threads of the calls end, and the look after what has settled is over.
    sleep(Duration::from_secs(4));
    let Some((_, before)) = switches(pid) else {
        return skipped("there is no /proc");
    };
    sleep(Duration::from_secs(10));
    let (threads, after) = switches(pid).unwrap();
    assert!(threads <= 8, "{threads} threads");
    // osqueryd pings every two seconds here; a look of the watch may fall into the time.
    let count = after.saturating_sub(before);
    assert!(count <= 40, "{count} switches in ten seconds");
    assert_eq!(daemon.extension(), pid, "it is the same process");
}
