//! Events: what is seen of bundles that come, change and go, and what is kept of that.

mod code;
mod crowd;
mod journal;
mod looks;
mod mounts;
mod moved;
mod watching;
mod ways;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use dsplug_fixtures::{Disk, Plugin};
use tempfile::TempDir;

/// An event as `dsplug watch --format json` prints it.
pub type Line = BTreeMap<String, String>;

/// A disk, a place for state, and the program that watches.
pub struct Watcher {
    pub disk: Disk,
    pub state: TempDir,
    /// What it said at the start.
    pub said: String,
    process: Option<Child>,
    pub lines: Option<Receiver<Line>>,
}

impl Watcher {
    pub fn new(disk: Disk) -> Self {
        let state = tempfile::tempdir().unwrap();
        Self {
            disk,
            state,
            said: String::new(),
            process: None,
            lines: None,
        }
    }

    /// A disk with an empty plug-in folder, watched.
    pub fn started() -> Self {
        let mut watcher = Self::new(Disk::new());
        watcher.start();
        watcher
    }

    pub fn place(&self) -> PathBuf {
        self.state.path().join("state")
    }

    pub fn journal(&self) -> PathBuf {
        self.place().join("journal.db")
    }

    /// Starts the watch, and waits until it knows what stands there.
    pub fn start(&mut self) {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dsplug"))
            .args(["watch", "--format", "json", "--root"])
            .arg(self.disk.path())
            .arg("--state-dir")
            .arg(self.place())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        // What stands there is known by the time it says so.
        let mut said = BufReader::new(process.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains("dsplug: watching") {
            assert_ne!(said.read_line(&mut text).unwrap(), 0, "{text}");
        }
        self.said = text;
        thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
        self.process = Some(process);
        self.lines = Some(lines);
    }

    pub fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Has it end as Ctrl-C does, and gives what it printed meanwhile.
    pub fn stop(&mut self) -> Vec<Line> {
        let mut process = self.process.take().unwrap();
        let id = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        assert!(process.wait().unwrap().success());
        self.lines.take().unwrap().iter().collect()
    }

    /// Waits for the next event that is like this.
    #[track_caller]
    pub fn wait_for(&self, is: impl Fn(&Line) -> bool) -> Line {
        let begun = Instant::now();
        loop {
            let left = Duration::from_secs(20).saturating_sub(begun.elapsed());
            let line = self.lines.as_ref().unwrap().recv_timeout(left);
            let line = line.expect("no such event");
            if is(&line) {
                return line;
            }
        }
    }

    /// Waits for the next event of this action on a bundle in the plug-in folder.
    #[track_caller]
    pub fn wait(&self, action: &str, name: &str) -> Line {
        self.wait_for(|line| line["action"] == action && line["path"].ends_with(name))
    }

    /// The events as the table shows them.
    pub fn rows(&self) -> Vec<Line> {
        self.query("SELECT * FROM dsplug_events")
    }

    pub fn query(&self, sql: &str) -> Vec<Line> {
        serde_json::from_slice(&self.call(&["query", "--format", "json", sql])).unwrap()
    }

    pub fn explain(&self, path: &str) -> String {
        String::from_utf8(self.call(&["explain", path])).unwrap()
    }

    fn call(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(env!("CARGO_BIN_EXE_dsplug"))
            .args(arguments)
            .arg("--root")
            .arg(self.disk.path())
            .arg("--state-dir")
            .arg(self.place())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// Makes a bundle with code of its own.
    pub fn make(&self, name: &str, code: &[u8]) -> PathBuf {
        make(&self.disk.plugin(name), code)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Makes a bundle with code of its own at a path.
pub fn make(path: &Path, code: &[u8]) -> PathBuf {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let bundle = Plugin::new(name).write_as(path);
    fs::write(bundle.join("Contents/MacOS").join(name), code).unwrap();
    bundle
}

/// The digest of a bundle, by the README's rule and without the program's code.
pub fn digest(bundle: &Path) -> String {
    let mut records: Vec<(Vec<u8>, String)> = Vec::new();
    for entry in walkdir::WalkDir::new(bundle).min_depth(1) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(bundle).unwrap();
        let kind = entry.file_type();
        let record = if kind.is_dir() {
            format!("d {}", "0".repeat(64))
        } else {
            format!("f {}", sha256(&fs::read(entry.path()).unwrap()))
        };
        records.push((path.as_os_str().as_encoded_bytes().to_vec(), record));
    }
    records.sort();
    let mut all = Vec::new();
    for (path, record) in records {
        all.extend(record.as_bytes());
        all.extend(b" ./");
        all.extend(path);
        all.push(0);
    }
    sha256(&all)
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}
