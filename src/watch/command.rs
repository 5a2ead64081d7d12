//! `dsplug watch`: each event as it happens, for a person or another program.

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Map, Value as Json};

use super::Watch;
use crate::detect::wait::Stop;
use crate::disk::Disk;
use crate::event::{Action, Event};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::report::time::rfc3339;
use crate::state_dir;
use crate::table::{EVENTS, Value};

/// How events are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line each, for a person
    #[default]
    Text,
    /// One object of strings a line
    Json,
}

/// What `watch` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How events are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Shows each event as it happens, until stopped. Where another process, such as the extension, writes the
/// journal of this place, or merely has its lock, what is seen is shown all the same, and kept by that one alone.
///
/// # Errors
/// When there is no such disk, or the place that was named cannot hold state.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    let stop = Stop::watch(Some(1))?;
    let mut scanner = disk.scanner()?.remembering();
    let root = scanner.root().clone();
    let place = state_dir::place(disk.state_dir.as_deref(), &root);
    if disk.state_dir.is_some() {
        // What was asked for by name is not done without.
        disk.state(&root)?;
    }
    let mut journal = match &place {
        Some(place) => Journal::kept_at(place, &root),
        None => Journal::in_memory(),
    };
    scanner.know(&journal.ahead());
    if journal.is_busy() {
        say(
            "another dsplug keeps the journal here; what is seen is shown, and not kept by this one",
        );
        journal = journal.apart();
    }
    let format = options.format;
    let written = Arc::new(Mutex::new(Ok(())));
    let result = Arc::clone(&written);
    let tell = move |event: &Event| {
        let printed = print(event, format);
        let goes_on = printed.is_ok();
        if !goes_on {
            *result.lock().unwrap_or_else(PoisonError::into_inner) = printed;
            // The watch ends as it does when it is told to.
            let _ = kill_process(getpid(), Signal::TERM);
        }
        goes_on
    };
    let mut looks = 0_u32;
    let look = Box::new(move || {
        // The second look follows at once: by then it is known what stands there.
        if looks == 1 {
            say("watching; Ctrl-C ends it");
        }
        looks = looks.saturating_add(1);
        Ok(Arc::new(scanner.scan()))
    });
    Watch::new(root, look).run(move || journal, stop.fd(), Box::new(tell))?;
    let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
    match std::mem::replace(&mut *written, Ok(())) {
        // A reader that has gone, such as `head`, ends it as well.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}

fn say(line: &str) {
    // Nothing is left to do where even this cannot be written.
    let _ = writeln!(io::stderr(), "dsplug: {line}");
}

fn print(event: &Event, format: Format) -> io::Result<()> {
    let line = match format {
        Format::Text => text(event),
        Format::Json => json(event),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())
}

/// An event as a line for a person.
pub fn text(event: &Event) -> String {
    let state = &event.state;
    let mut words = vec![
        rfc3339(event.time),
        format!("{:8}", event.action.as_str()),
        event.path.clone(),
    ];
    match event.action {
        Action::Changed => words.push(event.changed.clone()),
        Action::Gone => words.extend(event.stood_ms.map(|ms| format!("stood {ms} ms"))),
        Action::Exceptions => words.push(state.kind.to_string()),
        Action::Appeared | Action::More | Action::Dropped => {}
    }
    words.push(state.signature_state.to_string());
    if !state.signer.is_empty() {
        words.push(format!("by {}", state.signer));
    }
    words.push(state.load_verdict.to_string());
    if !state.exception.is_empty() {
        words.push(format!("accepted by {}", state.exception));
    }
    if !state.hash.is_empty() {
        words.push(format!("hash {}", state.hash));
    }
    if !event.kept.is_empty() {
        words.push(format!("kept in {}", event.kept));
    }
    if !state.error.is_empty() {
        words.push(format!("error {}", state.error));
    }
    words.retain(|word| !word.is_empty());
    words.join("  ")
}

/// An event as an object of strings, as osquery prints a row.
fn json(event: &Event) -> String {
    let mut object = Map::new();
    for column in EVENTS.columns() {
        let text = match (column.get)(event) {
            Value::Null => String::new(),
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text,
        };
        object.insert(column.name.to_owned(), Json::String(text));
    }
    Json::Object(object).to_string()
}
