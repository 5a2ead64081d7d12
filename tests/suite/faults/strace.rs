//! strace, which makes one system call of a program fail.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dsplug_fixtures::skipped;

/// A program that takes longer hangs.
const SECONDS: &str = "20";
/// What `timeout` exits with when it had to kill.
const KILLED: i32 = 137;

/// A system call that a program made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Which of that name it was, counted from 1.
    pub number: usize,
    /// What it was made on: a path, where it names one.
    pub path: PathBuf,
}

/// What comes of a program of which one call failed.
#[derive(Debug)]
pub struct Run {
    /// Its end and what it wrote.
    pub output: Output,
    /// True when it came to that call.
    pub met: bool,
}

/// True when strace can be used here; else the test is skipped.
pub fn is_usable() -> bool {
    let probe = strace(Path::new("/dev/null"), &["-e", "trace=openat"])
        .arg("true")
        .output();
    let why = match probe {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let setup = "run tests/setup/strace.sh, where programs may be traced";
    skipped(format_args!("no strace ({why}); {setup}"));
    false
}

fn strace(log: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", SECONDS, "strace", "-f"]);
    // Faster, but a signal is not sent where it stops a program.
    if !options.iter().any(|option| option.contains("signal=")) {
        command.arg("--seccomp-bpf");
    }
    command.args(["-y", "-qq", "-s", "256", "-o"]).arg(log);
    command.args(options);
    command
}

/// The calls of these names that a program's first thread makes, in order.
pub fn calls(program: &[OsString], names: &str) -> Vec<Call> {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let trace = format!("trace={names}");
    let output = strace(log.path(), &["-e", &trace]).args(program).output();
    let output = output.expect("strace");
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(log.path()).expect("a log in UTF-8");
    let first = text.split(' ').next().unwrap_or_default();
    let mut calls: Vec<Call> = Vec::new();
    for line in text.lines() {
        let Some((name, arguments)) = line
            .strip_prefix(first)
            .and_then(|line| line.trim_start().split_once('('))
        else {
            continue;
        };
        let of_name = calls.iter().filter(|call| call.name == name);
        calls.push(Call {
            name: name.to_owned(),
            number: of_name.count() + 1,
            path: path(arguments),
        });
    }
    calls
}

/// The path that a call's arguments name: of its descriptor, its first text, or both joined.
fn path(arguments: &str) -> PathBuf {
    let between = |open: char, close: char| {
        let (_, rest) = arguments.split_once(open)?;
        Some(rest.split_once(close)?.0)
    };
    let descriptor = arguments
        .starts_with(|first: char| first.is_ascii_digit() || first == 'A')
        .then(|| between('<', '>'))
        .flatten();
    let is_name = |text: &&str| !text.is_empty() && *text != ".";
    // What read() gave stands in quotation marks as well, behind a descriptor alone.
    let is_at = arguments
        .split_once(", ")
        .is_some_and(|(_, second)| second.starts_with('"') && second.contains("\", "));
    let name = between('"', '"').filter(is_name);
    match (descriptor, name) {
        (Some(descriptor), Some(name)) if is_at => Path::new(descriptor).join(name),
        (Some(descriptor), _) => descriptor.into(),
        (None, Some(name)) => name.into(),
        (None, None) => PathBuf::new(),
    }
}

/// Runs a program with the call of that name and number failing in each of its threads.
/// `fault` is strace's: `error=EIO`, `retval=0`.
pub fn run(program: &[OsString], name: &str, number: usize, fault: &str) -> Run {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let trace = format!("trace={name}");
    let inject = format!("inject={name}:{fault}:when={number}");
    let output = strace(log.path(), &["-e", &trace, "-e", &inject])
        .args(program)
        .output()
        .expect("strace");
    let met = fs::read(log.path())
        .expect("a log")
        .windows(10)
        .any(|w| w == b"(INJECTED)");
    Run { output, met }
}

impl Run {
    /// How it ended where no program of ours may end: hanging, by a signal, by a panic.
    pub fn crash(&self) -> Option<String> {
        let Output { status, stderr, .. } = &self.output;
        let text = String::from_utf8_lossy(stderr);
        match status.code() {
            Some(KILLED) => Some(format!("it was still there after {SECONDS} s")),
            _ if text.contains("panicked") => Some(format!("it panicked: {text}")),
            Some(0 | 1) => None,
            Some(code) => Some(format!("it ended with {code}: {text}")),
            None => Some(format!(
                "it ended by the signal {:?}: {text}",
                status.signal()
            )),
        }
    }

    /// The line that says why it could not do it, with what and where; `Err` when there is none.
    pub fn refusal(&self) -> Result<String, String> {
        let text = String::from_utf8_lossy(&self.output.stderr);
        let line = text.lines().last().unwrap_or_default();
        match line.strip_prefix("dsplug: ") {
            Some(line) if line.contains(" /") || line.starts_with('/') => Ok(line.to_owned()),
            _ => Err(format!("it does not say what failed: {text}")),
        }
    }
}
