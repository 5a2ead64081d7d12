//! The investigation of one bundle: everything that an analyst is asked to look at, in one report.
//!
//! What stands in the tables is taken from the tables, and what the pack says from the pack, so
//! that the report cannot say otherwise than they do.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use super::changes::{self, NO_STATE, changes};
use super::document::{Body, Document, Format, Section, Step, or_say};
use super::named::find;
use super::told::{Told, told};
use super::{response, time};
use crate::bundle::Bundle;
use crate::codesign::{Place, Sealed, SignatureState};
use crate::detect::state::State;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::journal::Events;
use crate::load::Reason;
use crate::order;
use crate::output::print;
use crate::pack::conf;
use crate::scan::Snapshot;
use crate::shell::Line;
use crate::table::{BUNDLES, FILES, FileRow, Value};
use crate::text::{self, escape, tame};
use crate::watch::command;

/// What `explain` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The bundle, as the Mac names it, or where it stands below --root
    pub path: PathBuf,
    /// Say what changed since this state of detect was written
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Facts: key, heading, and the columns of `dsplug_bundles` that they are.
const FACTS: &[(&str, &str, &[&str])] = &[
    (
        "where",
        "Where it stands",
        &[
            "path",
            "kind",
            "discovered_via",
            "symlink_target",
            "resolved_path",
            "error",
        ],
    ),
    (
        "when",
        "When it was written",
        &[
            "mtime",
            "newest_path",
            "ctime",
            "btime",
            "bundle_mtime",
            "bundle_ctime",
        ],
    ),
    (
        "owner",
        "Who owns it and can write it",
        &["uid", "gid", "mode", "writable_by"],
    ),
    (
        "origin",
        "Where it came from",
        &["quarantine", "provenance"],
    ),
    (
        "signature",
        "Who signed it",
        &[
            "signature_state",
            "signature_problems",
            "anchor",
            "signer",
            "claimed_signer",
            "authority",
            "team_identifier",
            "signing_identifier",
            "cdhash",
            "signing_time",
            "unsealed_files",
            "notarization_ticket",
        ],
    ),
    (
        "load",
        "Whether it would load",
        &[
            "load_verdict",
            "load_reasons",
            "bundle_identifier",
            "bundle_name",
            "version",
            "plugin_name",
            "info_plist",
            "executable",
            "executable_hash",
            "executable_outside",
            "architectures",
        ],
    ),
    ("content", "What it holds", &["hash", "files", "bytes"]),
];

/// Columns that are points in time.
const TIMES: &[&str] = &[
    "mtime",
    "ctime",
    "btime",
    "bundle_mtime",
    "bundle_ctime",
    "signing_time",
];

/// Bytes of a fact that are told; `dsplug query` has all of it.
const MOST_TEXT: usize = 8_192;

/// What is told of an entry: columns of `dsplug_files`.
const ENTRY: &[&str] = &[
    "path",
    "kind",
    "size",
    "mtime",
    "mode",
    "hash",
    "symlink_target",
    "sealed",
    "macho",
    "signature_state",
    "signer",
    "quarantine",
    "error",
];

/// Entries that are told: those that say most.
const MOST_ENTRIES: usize = 2_000;

/// Bytes of what is told of them.
const MOST_ENTRY_TEXT: usize = 1 << 20;

/// Bundles of which the lines of the pack are held at a time.
const AT_ONCE: usize = 256;

/// Events that are told, the newest.
const MOST_EVENTS: usize = 20;

/// Prints the report.
///
/// # Errors
/// When no candidate stands at the path, or the folders or the state cannot be read.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    let state = options.state.as_deref().map(changes::memory).transpose()?;
    let mut scanner = disk.scanner()?;
    let snapshot = scanner.scan();
    if let Some(why) = snapshot.unreadable() {
        return Err(Failure::new(why));
    }
    let bundle = find(&snapshot, scanner.root(), &disk.root, &options.path)?;
    let mut document = explain(&snapshot, bundle, state.as_ref(), &disk.named())?;
    let happened = happened(&disk.events(scanner.root()), &document.title);
    let last = document.sections.len().saturating_sub(1);
    document
        .sections
        .insert(last, lines("events", "What happened to it", happened));
    print(&document.render(options.format))
}

/// The newest events of a bundle, oldest first.
fn happened(events: &Events, path: &str) -> Vec<String> {
    let mut told = VecDeque::new();
    let mut earlier = 0_usize;
    let read = events.each(&mut |event| {
        if event.path == path {
            told.push_back(command::text(event));
        }
        if told.len() > MOST_EVENTS {
            told.pop_front();
            earlier = earlier.saturating_add(1);
        }
        Ok(())
    });
    if earlier > 0 {
        told.push_front(format!("{earlier} earlier events stand in dsplug_events."));
    }
    match read {
        Err(why) => vec![format!("The events cannot be read: {why}")],
        Ok(()) => or_say(told.into(), "No event of it has been kept."),
    }
}

/// The report on one bundle of a snapshot, with `disk` in each line that is to be pasted.
///
/// # Errors
/// When the pack cannot be asked.
pub fn explain(
    snapshot: &Snapshot,
    bundle: &Arc<Bundle>,
    state: Option<&State>,
    disk: &Line,
) -> Result<Document, Failure> {
    let path = escape(&bundle.evidence.candidate.path);
    let mut engine = Engine::new()?;
    let pack = conf::read(conf::NAME, conf::EMBEDDED)?.queries;
    let told = told(&mut engine, &pack, snapshot, std::slice::from_ref(&path))?;
    let changes = changes(&mut engine, &pack, snapshot, &path, state)?;
    let told = told.into_iter().next().unwrap_or_default();
    Ok(document(snapshot, bundle, &told, changes, disk))
}

/// The reports on several bundles of a snapshot, given one after the other with their numbers.
///
/// # Errors
/// Where `each` gives one.
pub fn explain_each<E>(
    snapshot: &Snapshot,
    bundles: &[Arc<Bundle>],
    mut each: impl FnMut(usize, Result<Document, Failure>) -> Result<(), E>,
) -> Result<(), E> {
    for (turn, some) in bundles.chunks(AT_ONCE).enumerate() {
        let of_some = || -> Result<_, Failure> {
            let paths = some.iter().map(|b| escape(&b.evidence.candidate.path));
            let pack = conf::read(conf::NAME, conf::EMBEDDED)?.queries;
            let mut engine = Engine::new()?;
            told(&mut engine, &pack, snapshot, &paths.collect::<Vec<_>>())
        };
        let mut told = of_some().map(Vec::into_iter);
        for (index, bundle) in some.iter().enumerate() {
            let number = turn.saturating_mul(AT_ONCE).saturating_add(index);
            let report = match &mut told {
                Ok(told) => {
                    let told = told.next().unwrap_or_default();
                    Ok(document(
                        snapshot,
                        bundle,
                        &told,
                        vec![NO_STATE.to_owned()],
                        &Line::default(),
                    ))
                }
                Err(why) => Err(Failure::new(why.to_string())),
            };
            each(number, report)?;
        }
    }
    Ok(())
}

/// The report, of what the pack says of it and of what changed.
fn document(
    snapshot: &Snapshot,
    bundle: &Arc<Bundle>,
    told: &[Told],
    changes: Vec<String>,
    disk: &Line,
) -> Document {
    let path = escape(&bundle.evidence.candidate.path);
    let mut sections = vec![
        Section {
            key: "pack",
            heading: "What the pack says of it",
            body: Body::Told(
                told.iter().map(Told::line).collect(),
                silence(bundle, "It says nothing of it."),
            ),
        },
        lines(
            "evasions",
            "What it may be hiding",
            or_say(
                told.iter().filter_map(Told::evasion).collect(),
                silence(bundle, "Nothing that the pack knows of."),
            ),
        ),
    ];
    for (key, heading, columns) in FACTS {
        let body = Body::Facts(facts(bundle, columns));
        sections.push(Section { key, heading, body });
        match *key {
            "origin" => sections.push(steps(
                "package",
                "Which package brought it",
                vec![package(&path)],
            )),
            "signature" => {
                sections.push(lines("problems", "What does not hold", problems(bundle)));
                sections.push(lines(
                    "notes",
                    "What else there is to say of it",
                    notes(bundle),
                ));
            }
            "load" => {
                let heading = match bundle.load.as_str() {
                    "unknown" => "Why that is not known",
                    _ => "Why it would not load",
                };
                sections.push(lines("reasons", heading, reasons(bundle)));
            }
            _ => {}
        }
    }
    sections.extend(entries(bundle, &path, disk));
    sections.push(lines("folder", "The folder", folder(snapshot, bundle)));
    sections.push(lines(
        "exception",
        "Whether it is accepted",
        exception(snapshot, bundle),
    ));
    sections.push(lines("changes", "What changed", changes));
    let response = response::steps(bundle, &path, disk);
    sections.push(steps("response", "What to do next", response));
    Document {
        title: path,
        sections,
    }
}

fn lines(key: &'static str, heading: &'static str, lines: Vec<String>) -> Section {
    let body = Body::Lines(lines);
    Section { key, heading, body }
}

fn steps(key: &'static str, heading: &'static str, steps: Vec<Step>) -> Section {
    let body = Body::Steps(steps);
    Section { key, heading, body }
}

fn facts(bundle: &Bundle, names: &[&str]) -> Vec<(String, String)> {
    let columns = names.iter().filter_map(|name| {
        let column = BUNDLES.columns().iter().find(|c| c.name == *name)?;
        let value = match (column.get)(bundle) {
            Value::Null => String::new(),
            Value::Int(seconds) if TIMES.contains(name) => time::rfc3339(seconds),
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text::cut(text, MOST_TEXT),
        };
        Some(((*name).to_owned(), value))
    });
    columns.collect()
}

fn package(path: &str) -> Step {
    Step::new(
        "Receipts are not read here: on the Mac this names the package, and the pack's query no_receipt finds bundles without one.",
        [Line::new("pkgutil --file-info").word(path)],
    )
}

/// What is said where the pack gives no line. It leaves out what an exception accepts.
fn silence(bundle: &Bundle, otherwise: &'static str) -> &'static str {
    match bundle.exception {
        Some(_) => "An exception accepts it, and the pack does not speak of what is accepted.",
        None => otherwise,
    }
}

/// What is said where no problem was found, which is all clear only for what was checked.
fn no_problem(state: SignatureState) -> &'static str {
    match state {
        SignatureState::Unsigned => {
            "There is no signature that could hold: nothing vouches for what it holds."
        }
        SignatureState::Unreadable => {
            "It is not known: it could not be read whole, and was not checked."
        }
        SignatureState::Adhoc => {
            "Nothing that was checked. It names no signer: whoever wrote it can have made it."
        }
        _ => "Nothing that was checked. Revocation and notarization are not checked.",
    }
}

fn problems(bundle: &Bundle) -> Vec<String> {
    let problems = bundle.signature.problems.iter();
    let problems: Vec<String> = problems
        .map(|p| escape(format!("{p} ({})", p.code.meaning()).as_bytes()))
        .collect();
    or_say(problems, no_problem(bundle.signature.state))
}

/// What is no failure of the signature: a ticket, a part that is not bound, a team that counts for
/// nothing. Whoever wrote the bundle can make many of them.
fn notes(bundle: &Bundle) -> Vec<String> {
    const MOST: usize = 50;
    let notes = &bundle.signature.notes;
    let mut lines: Vec<String> = notes
        .iter()
        .take(MOST)
        .map(|note| match &note.place {
            Place::Whole => note.text.to_string(),
            Place::Offset(offset) => format!("at {offset:#x}: {}", note.text),
            // A path is copied, and what follows it in the same word with it.
            Place::Path(path) => format!("{} \u{2014} {}", escape(path), note.text),
        })
        .collect();
    if notes.len() > MOST {
        lines.push(format!("and {} more", notes.len().saturating_sub(MOST)));
    }
    or_say(lines, "Nothing.")
}

fn reasons(bundle: &Bundle) -> Vec<String> {
    let info = bundle.evidence.info_plist.as_ref();
    let nodes = info.and_then(|p| p.info.as_ref().ok()).map(|i| &i.nodes);
    let registered = nodes.map_or("", |nodes| &nodes.shown).lines().map(|node| {
        format!("It registers the node {node} before its code is mapped: look for it in the search policy.")
    });
    let odd = "DSNodesToRegister holds what the loader takes for no node: from there on it registers none.";
    let odd = nodes.filter(|nodes| nodes.has_odd).map(|_| odd.to_owned());
    let reasons = bundle.load.reasons.iter();
    let say = |r: &Reason| format!("{}: {}", r.as_str(), r.meaning());
    let mut lines = or_say(
        reasons.map(say).collect(),
        "Nothing keeps it from loading. The loader runs as root and checks no signature.",
    );
    lines.extend(registered.chain(odd));
    lines
}

/// The entries that tell most, and a line about those that are left out: of a bundle there may be very many.
fn entries(bundle: &Arc<Bundle>, path: &str, disk: &Line) -> Vec<Section> {
    let entries = &bundle.evidence.entries;
    let mut all: Vec<(u8, u32)> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let sealed = bundle.signature.sealed.get(index);
        let rank = match sealed {
            _ if entry.content.code().is_some() => 0,
            Some(Sealed::Altered | Sealed::Unsealed) => 1,
            _ => 2,
        };
        all.push((rank, u32::try_from(index).unwrap_or(u32::MAX)));
    }
    if all.len() > MOST_ENTRIES {
        order::sort(&mut all);
    }
    let columns = ENTRY
        .iter()
        .filter_map(|name| FILES.columns().iter().find(|column| column.name == *name));
    let columns: Vec<_> = columns.collect();
    let (mut rows, mut left) = (Vec::new(), MOST_ENTRY_TEXT);
    for (_, index) in all.iter().take(MOST_ENTRIES) {
        let row = FileRow {
            bundle: Arc::clone(bundle),
            index: usize::try_from(*index).unwrap_or(usize::MAX),
        };
        let cells = columns.iter().map(|column| match (column.get)(&row) {
            Value::Null => String::new(),
            Value::Int(seconds) if TIMES.contains(&column.name) => time::rfc3339(seconds),
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text::cut(text, MOST_TEXT),
        });
        let cells: Vec<String> = cells.collect();
        let size = cells.iter().map(String::len).fold(0, usize::saturating_add);
        let Some(rest) = left.checked_sub(size) else {
            break;
        };
        left = rest;
        rows.push(cells);
    }
    let more = entries.len().saturating_sub(rows.len());
    let body = Body::Rows(ENTRY.to_vec(), rows, "None that could be read.");
    let mut sections = vec![Section {
        key: "files",
        heading: "Each entry",
        body,
    }];
    if more > 0 {
        let sql = format!(
            "SELECT * FROM dsplug_files WHERE bundle_path = '{}'",
            path.replace('\'', "''")
        );
        let step = Step::new(
            format!(
                "{more} more; code comes first above, then what was altered or no seal covers. All:"
            ),
            [Line::new("dsplug query").end(disk).word(&sql)],
        );
        let heading = "Entries that are not shown";
        sections.push(steps("files_more", heading, vec![step]));
    }
    sections
}

fn folder(snapshot: &Snapshot, bundle: &Bundle) -> Vec<String> {
    let Some(folder) = snapshot.folders.get(bundle.evidence.candidate.folder) else {
        return Vec::new();
    };
    let mut lines = vec![format!(
        "{} really stands at {} and can be written by {}.",
        folder.path,
        escape(&folder.resolved_path),
        folder.writable_by.as_str()
    )];
    if let Some(meta) = &folder.meta {
        lines.push(format!(
            "Something in it came or went last at {} and its status changed last at {}.",
            time::rfc3339(meta.mtime.seconds),
            time::rfc3339(meta.ctime.seconds)
        ));
    }
    for anomaly in &folder.anomalies {
        lines.push(format!("Unusual: {anomaly}. {}", anomaly.meaning()));
    }
    lines
}

fn exception(snapshot: &Snapshot, bundle: &Bundle) -> Vec<String> {
    let mut lines = Vec::new();
    match &bundle.exception {
        None => lines.push("No exception accepts it.".to_owned()),
        Some(id) => {
            let entries = &snapshot.exceptions.entries;
            let entry = entries.iter().find(|e| e.active && e.id == *id);
            let entry = entry.map(|e| (escape(e.reason.as_bytes()), e.source));
            let (reason, source) = entry.unwrap_or_default();
            lines.push(format!(
                "The exception {} of {source} accepts it; reason: {reason}",
                escape(id.as_bytes())
            ));
        }
    }
    for entry in snapshot
        .exceptions
        .entries
        .iter()
        .filter(|e| !e.error.is_empty())
    {
        lines.push(format!(
            "{} excepts nothing: {}",
            entry.source,
            tame(&entry.error)
        ));
    }
    lines
}
