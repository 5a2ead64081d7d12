//! Each system call failing, and the program killed at each: nothing is lost, and the next call
//! finishes or undoes.

use std::fs;

use dsplug_fixtures::{Disk, Plugin, skipped};

use super::scene::{Picture, Scene};
use super::strace::{self, Call};

/// Of more calls of one name than this, so many are tried, spread evenly.
const MOST: usize = 3;
/// Set it, and every one of them is.
const ALL: &str = "DSPLUG_EVERY_FAULT";

/// What is done, and done again from the same beginning.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    Quarantine,
    Restore,
}

struct Trial {
    scene: Scene,
    work: Work,
    before: Picture,
}

impl Trial {
    fn new(work: Work, across: bool) -> Option<Self> {
        let disk = Disk::new();
        let path = Plugin::new("A")
            .file("Contents/Resources/x", "1")
            .write(disk.plugin(""));
        std::os::unix::fs::symlink("x", path.join("Contents/Resources/link")).unwrap();
        let scene = match across {
            true => Scene::across(disk)?,
            false => Scene::new(disk),
        };
        let before = scene.picture();
        if work == Work::Restore {
            scene.done(&["quarantine", &Scene::path("A.dsplug")]);
        }
        Some(Self {
            scene,
            work,
            before,
        })
    }

    /// Back to the beginning, on a disk of its own.
    fn reset(&mut self) {
        let work = self.work;
        let across = self.scene.place.path().starts_with("/dev/shm");
        *self = Self::new(work, across).unwrap();
    }

    fn arguments(&self) -> Vec<std::ffi::OsString> {
        match self.work {
            Work::Quarantine => self
                .scene
                .arguments(&["quarantine", &Scene::path("A.dsplug")]),
            Work::Restore => {
                let id = self.scene.ledger()[0]["id"].clone();
                self.scene.arguments(&["restore", &id])
            }
        }
    }

    /// Where it stands, at its place or in the vault, whole; never nowhere, and never both when a
    /// call has come to its end.
    fn check(&self) -> Result<&'static str, String> {
        let ledger = self.scene.ledger();
        let states: Vec<&str> = ledger.iter().map(|r| r["state"].as_str()).collect();
        let vault = self.scene.state().join("vault");
        let held: Vec<_> = fs::read_dir(&vault).map_or(Vec::new(), |entries| {
            entries.map(|e| e.unwrap().path().join("item")).collect()
        });
        let here = self.scene.picture() == self.before;
        let items: Vec<_> = held.iter().filter(|item| item.exists()).collect();
        match (here, items.as_slice(), states.as_slice()) {
            (true, [], [] | ["restored"]) => Ok("at its place"),
            (false, [item], ["quarantined"]) => {
                let inside = super::scene::picture(item);
                let was = self.before.iter().filter_map(|(path, text)| {
                    let path = path
                        .strip_prefix("Library/DirectoryServices/PlugIns/A.dsplug")
                        .ok()?;
                    Some((path.to_owned(), text.clone()))
                });
                if inside != was.collect() {
                    return Err("what is in the vault is not what it was".into());
                }
                if self.scene.disk.plugin("A.dsplug").exists() {
                    return Err("it stands in both places".into());
                }
                Ok("in the vault")
            }
            _ => Err(format!(
                "here: {here}, in the vault: {items:?}, ledger: {ledger:?}"
            )),
        }
    }
}

fn trials(work: Work, across: bool, names: &[&str], faults: &[&str]) {
    if !strace::is_usable() {
        return;
    }
    let Some(mut trial) = Trial::new(work, across) else {
        return skipped("/dev/shm is no volume of its own");
    };
    let program = trial.arguments();
    let mut calls = strace::calls(&program, &names.join(","));
    let (state, disk) = (trial.scene.place.path(), trial.scene.disk.path());
    calls.retain(|call| {
        let path = &call.path;
        path.starts_with(state) || path.starts_with(disk) || path.as_os_str().is_empty()
    });
    let (mut runs, mut wrong) = (0, Vec::new());
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for name in names {
        let calls: Vec<&Call> = calls.iter().filter(|call| call.name == *name).collect();
        let step = match std::env::var_os(ALL) {
            Some(_) => 1,
            None => calls.len().div_ceil(MOST).max(1),
        };
        for call in calls.iter().step_by(step) {
            for fault in faults {
                trial.reset();
                let program = trial.arguments();
                let run = strace::run(&program, name, call.number, fault);
                runs += 1;
                let is_kill = fault.contains("signal=");
                let mut found = match run.crash() {
                    Some(crash) if !is_kill => Err(crash),
                    _ => Ok(""),
                };
                if found.is_ok() {
                    // Any next call will do; doctor is one, and so is a restoration of nothing.
                    let next = trial.scene.call(&["restore", "none"]);
                    assert_eq!(next.status.code(), Some(1));
                    found = trial.check();
                }
                match found {
                    Ok(place) => *seen.entry(place.to_owned()).or_default() += 1,
                    Err(why) => {
                        wrong.push(format!(
                            "{name} {} {:?}, {fault}: {why}",
                            call.number, call.path
                        ));
                    }
                }
            }
        }
    }
    println!("{runs} runs: {seen:?}");
    assert!(runs > 0);
    assert!(
        wrong.is_empty(),
        "{} of {runs}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

const CHANGING: &[&str] = &[
    "mkdirat",
    "renameat",
    "renameat2",
    "fsync",
    "unlinkat",
    "write",
    "flock",
];
/// Killed when the call is done, and before it is.
const KILL: &[&str] = &["signal=KILL", "error=EIO:signal=KILL"];
const ERRORS: &[&str] = &["error=EIO", "error=ENOSPC"];

#[test]
fn quarantine_killed_at_each_step() {
    trials(Work::Quarantine, false, CHANGING, KILL);
}

#[test]
fn restore_killed_at_each_step() {
    trials(Work::Restore, false, CHANGING, KILL);
}

#[test]
fn quarantine_across_volumes_killed_at_each_step() {
    trials(
        Work::Quarantine,
        true,
        &["mkdirat", "renameat2", "unlinkat", "fsync"],
        KILL,
    );
}

#[test]
fn restore_across_volumes_killed_at_each_step() {
    trials(
        Work::Restore,
        true,
        &["mkdirat", "renameat2", "unlinkat", "fsync"],
        KILL,
    );
}

#[test]
fn quarantine_with_each_call_failing() {
    trials(Work::Quarantine, false, CHANGING, ERRORS);
    trials(
        Work::Quarantine,
        false,
        &["openat", "statx", "read", "getdents64"],
        &["error=EIO"],
    );
}

#[test]
fn restore_with_each_call_failing() {
    trials(Work::Restore, false, CHANGING, ERRORS);
}

#[test]
fn quarantine_across_volumes_with_each_call_failing() {
    let names = [
        "mkdirat",
        "renameat2",
        "unlinkat",
        "fsync",
        "fchownat",
        "fchmod",
        "utimensat",
    ];
    trials(Work::Quarantine, true, &names, &["error=EIO"]);
}

#[test]
fn the_doctor_finishes_what_was_interrupted() {
    if !strace::is_usable() {
        return;
    }
    let trial = Trial::new(Work::Quarantine, false).unwrap();
    // The first such call names the archive, the second moves the bundle, and is done.
    let program = trial.arguments();
    let calls = strace::calls(&program, "renameat2");
    assert_eq!(calls.len(), 2, "{calls:?}");
    let mut trial = trial;
    trial.reset();
    let run = strace::run(&trial.arguments(), "renameat2", 2, "signal=KILL");
    assert!(run.crash().is_some());
    assert_eq!(trial.scene.ledger()[0]["state"], "incomplete");
    let said = trial.scene.call(&["doctor", "--yes-write-image"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("was interrupted: "), "{said}");
    trial.check().unwrap();
}
