//! The calls by which `detect` remembers what it told.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use dsplug_fixtures::watch::{lines_of, told};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, Told, Watch, skipped};

use super::strace::{self, Call, Run};

const DSPLUG: &str = env!("CARGO_BIN_EXE_dsplug");
/// Of more calls of one name than this, so many are made to fail, spread evenly.
const MOST: usize = 20;

/// A watch that has taken its base line, the state of that, and a bundle that came since.
struct Scene {
    watch: Watch,
    base: Vec<u8>,
    /// What a run tells that nothing befalls.
    expected: Vec<Told>,
}

impl Scene {
    fn new() -> Self {
        let disk = Disk::new();
        for name in ["A", "B"] {
            Plugin::new(name).write(disk.plugin(""));
        }
        let watch = Watch::new(DSPLUG, disk);
        watch.told();
        let base = fs::read(watch.state()).unwrap();
        Plugin::new("New").write(watch.disk.plugin(""));
        let expected = watch.told();
        let mut scene = Self {
            watch,
            base,
            expected,
        };
        scene.expected.retain(|told| told.0 != "folder_changed");
        assert!(!scene.expected.is_empty());
        scene
    }

    fn program(&self) -> Vec<OsString> {
        let mut program: Vec<OsString> = [DSPLUG, "detect", "--root"].map(Into::into).into();
        program.extend([self.watch.disk.path().into(), "--state".into()]);
        program.push(self.watch.state().into());
        program
    }

    /// Back to the base line.
    fn reset(&self) {
        fs::write(self.watch.state(), &self.base).unwrap();
        let _ = fs::remove_file(self.watch.state().with_extension("json.new"));
    }

    /// What must hold of a run of which one call failed, and of the run after it.
    fn check(&self, run: &Run, call: &Call, is_interruption: bool) -> Result<(), String> {
        if let Some(crash) = run.crash() {
            return Err(crash);
        }
        let failed = run.output.status.code() == Some(1);
        // One of its outputs is what failed.
        let is_output =
            call.path.starts_with("pipe:") || call.path.to_string_lossy().contains("pipe:[");
        if failed && !is_output {
            let line = run.refusal()?;
            let state = self.watch.state();
            if call.path.starts_with(state.parent().unwrap())
                && !line.contains(&state.display().to_string())
            {
                return Err(format!("it does not name the state: {line}"));
            }
        }
        // What was given before an output failed may be cut, and counts for nothing.
        let first = match failed && is_output {
            true => Vec::new(),
            false => told(&lines_of(&run.output)),
        };
        let next = self.watch.call(&[]);
        if !next.status.success() {
            return Err(format!("the run after it fails: {next:?}"));
        }
        let second = told(&lines_of(&next));
        // The row of a folder that could not be looked through came with the fault, and goes with it.
        let of_folder = |told: &Told| told.0 == "presence" && told.2 == format!("/{PLUGINS}");
        let came = first
            .iter()
            .any(|told| of_folder(told) && told.1 == "added");
        let all: BTreeSet<&Told> = first.iter().chain(&second).collect();
        if let Some(lost) = self.expected.iter().find(|told| !all.contains(told)) {
            return Err(format!("lost: {lost:?}"));
        }
        if let Some(gone) = all
            .iter()
            .filter(|told| !(came && of_folder(told)))
            .find(|told| told.0 == "presence" && told.1 == "removed")
        {
            return Err(format!("told to be gone: {gone:?}"));
        }
        let again = |told: &&Told| {
            told.0 == "presence" && !self.expected.contains(told) && !(came && of_folder(told))
        };
        if let Some(again) = second.iter().find(again) {
            return Err(format!("told again: {again:?}"));
        }
        let quiet = second.iter().all(|told| told.0 == "folder_changed");
        if is_interruption && (failed || !quiet) {
            return Err(format!(
                "an interrupted call changed what is told: {second:?}"
            ));
        }
        Ok(())
    }

    fn fail(&self, name: &str, faults: &[&str], is_meant: impl Fn(&Path) -> bool) {
        let program = self.program();
        self.reset();
        let calls = strace::calls(&program, &format!("{name},openat"));
        let first = calls.iter().position(|call| {
            let state = self.watch.state();
            call.path.starts_with(state.parent().unwrap())
        });
        let calls: Vec<&Call> = calls[first.unwrap()..]
            .iter()
            .filter(|call| call.name == name && is_meant(&call.path))
            .collect();
        if calls.is_empty() {
            return skipped(format_args!("detect makes no call of {name} here"));
        }
        let (mut runs, mut wrong) = (0, Vec::new());
        for call in calls.iter().step_by(calls.len().div_ceil(MOST)) {
            for fault in faults {
                self.reset();
                let run = strace::run(&program, name, call.number, fault);
                runs += 1;
                if let Err(why) = self.check(&run, call, *fault == "error=EINTR") {
                    let Call { number, path, .. } = call;
                    wrong.push(format!(
                        "{name} {number} of {}, {fault}: {why}",
                        path.display()
                    ));
                }
            }
        }
        println!("{runs} runs, of {} calls of {name}", calls.len());
        assert!(
            wrong.is_empty(),
            "{} of {runs}:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

#[test]
fn a_state_that_cannot_be_kept_loses_nothing() {
    if !strace::is_usable() {
        return;
    }
    let scene = Scene::new();
    let state = scene.watch.state();
    let beside = |path: &Path| path.starts_with(state.parent().unwrap());
    let opened = [
        "error=EACCES",
        "error=EIO",
        "error=EMFILE",
        "error=ENOSPC",
        "error=EINTR",
    ];
    scene.fail("openat", &opened, beside);
    scene.fail("read", &["error=EIO", "error=EINTR", "retval=0"], beside);
    let written = ["error=ENOSPC", "error=EIO", "error=EDQUOT", "error=EINTR"];
    scene.fail("write", &written, beside);
    scene.fail(
        "fsync",
        &["error=EIO", "error=ENOSPC", "error=EINTR"],
        beside,
    );
    let locked = ["error=EIO", "error=EAGAIN", "error=EINTR"];
    scene.fail("flock", &locked, beside);
    scene.fail(
        "renameat",
        &["error=EIO", "error=EACCES", "error=ENOSPC"],
        beside,
    );
}

#[test]
fn lines_that_nobody_took_come_again() {
    if !strace::is_usable() {
        return;
    }
    let scene = Scene::new();
    let is_output = |path: &Path| path.to_string_lossy().contains("pipe:[");
    scene.fail(
        "write",
        &["error=EIO", "error=ENOSPC", "error=EPIPE"],
        is_output,
    );
}

#[test]
fn a_disk_that_cannot_be_read_is_not_told_to_be_empty() {
    if !strace::is_usable() {
        return;
    }
    let scene = Scene::new();
    let disk = |path: &Path| path.starts_with(scene.watch.disk.path());
    for name in ["openat", "statx", "getdents64", "read"] {
        scene.fail(name, &["error=EIO", "error=ENOMEM"], disk);
    }
    // No thread can be had, for whatever it may be wanted.
    let run = strace::run(&scene.program(), "clone3", 1, "error=EAGAIN");
    assert_eq!(run.crash(), None);
}
