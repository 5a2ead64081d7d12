//! The investigation of one bundle: everything that an analyst is asked to look at, in one report.
//!
//! What stands in the tables is taken from the tables, and what the pack says from the pack, so
//! that the report cannot say otherwise than they do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::{Body, Document, Format, Section};
use super::{response, time};
use crate::bundle::Bundle;
use crate::cli::{Disk, Failure, print};
use crate::detect::state::State;
use crate::differential::Row;
use crate::engine::Engine;
use crate::load::Reason;
use crate::pack::conf::{self, Scheduled};
use crate::scan::Snapshot;
use crate::table::{BUNDLES, Value};
use crate::text::escape;

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

/// The differential query whose memory tells what changed.
const MODIFIED: &str = "pack_dsplug_modified";

/// Prints the report.
///
/// # Errors
/// When no candidate stands at the path, or the folders or the state cannot be read.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    let state = options.state.as_deref().map(State::load).transpose()?;
    let snapshot = disk.scanner()?.scan();
    if let Some(why) = snapshot.unreadable() {
        return Err(Failure::new(why));
    }
    let bundle = find(&snapshot, &disk.root, &options.path)?;
    let document = explain(&snapshot, bundle, state.as_ref())?;
    print(&document.render(options.format))
}

/// The candidate at a path, which may be given through the root.
fn find<'a>(snapshot: &'a Snapshot, root: &Path, path: &Path) -> Result<&'a Arc<Bundle>, Failure> {
    let named = |path: &Path| {
        use std::os::unix::ffi::OsStrExt as _;
        let wanted = path.components().collect::<PathBuf>();
        let wanted = wanted.as_os_str().as_bytes();
        let mut bundles = snapshot.bundles.iter();
        // People copy what the tables show, which is escaped.
        bundles.find(|b| {
            let path = &b.evidence.candidate.path;
            path == wanted || escape(path).as_bytes() == wanted
        })
    };
    let below = path.strip_prefix(root).ok();
    let below = below.map(|below| Path::new("/").join(below));
    named(path)
        .or_else(|| below.as_deref().and_then(named))
        .ok_or_else(|| {
            Failure::new(format!(
                "no candidate stands at {}; dsplug list shows which there are",
                path.display()
            ))
        })
}

/// The report on one bundle of a snapshot.
///
/// # Errors
/// When the pack cannot be asked.
pub fn explain(
    snapshot: &Snapshot,
    bundle: &Bundle,
    state: Option<&State>,
) -> Result<Document, Failure> {
    let path = escape(&bundle.evidence.candidate.path);
    let mut engine = Engine::new()?;
    let pack = conf::read(conf::NAME, conf::EMBEDDED)?;
    let told = told(&mut engine, &pack, snapshot, &path)?;
    let mut sections = vec![
        Section {
            key: "pack",
            heading: "What the pack says of it",
            body: Body::Rows(vec!["query", "line"], told.iter().map(Told::row).collect()),
        },
        lines("evasions", "What it may be hiding", evasions(&told)),
    ];
    for (key, heading, columns) in FACTS {
        let body = Body::Facts(facts(bundle, columns));
        sections.push(Section { key, heading, body });
        match *key {
            "origin" => sections.push(lines("package", "Which package brought it", packages())),
            "signature" => sections.push(lines("problems", "What does not hold", problems(bundle))),
            "load" => sections.push(lines("reasons", "Why it would not load", reasons(bundle))),
            _ => {}
        }
    }
    sections.push(Section {
        key: "files",
        heading: "Each entry",
        body: entries(&mut engine, snapshot, &path)?,
    });
    sections.push(lines("folder", "The folder", folder(snapshot, bundle)));
    sections.push(lines(
        "exception",
        "Whether it is accepted",
        exception(snapshot, bundle),
    ));
    let changes = changes(&mut engine, &pack, snapshot, &path, state)?;
    sections.push(lines("changes", "What changed", changes));
    sections.push(Section {
        key: "response",
        heading: "What to do next",
        body: Body::Steps(response::steps(bundle, &path)),
    });
    Ok(Document {
        title: path,
        sections,
    })
}

fn lines(key: &'static str, heading: &'static str, lines: Vec<String>) -> Section {
    let body = Body::Lines(lines);
    Section { key, heading, body }
}

fn facts(bundle: &Bundle, names: &[&str]) -> Vec<(String, String)> {
    let columns = names.iter().filter_map(|name| {
        let column = BUNDLES.columns().iter().find(|c| c.name == *name)?;
        let value = match (column.get)(bundle) {
            Value::Null => String::new(),
            Value::Int(seconds) if TIMES.contains(name) => time::rfc3339(seconds),
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text,
        };
        Some(((*name).to_owned(), value))
    });
    columns.collect()
}

/// What each word of the query `oddities` is evidence of.
const EVASIONS: &[(&str, &str)] = &[
    (
        "place",
        "It stands where only the loader's search for resources looks, or nothing does.",
    ),
    (
        "symlink",
        "It is a symlink: what it leads to can be swapped and the folder not be touched.",
    ),
    (
        "symlinked_ancestor",
        "A directory on its way is a symlink: its content really stands elsewhere.",
    ),
    (
        "not_a_bundle",
        "It is no bundle: it does not load, and may be staged or a probe.",
    ),
    (
        "name",
        "Its name only looks as if it ended in .dsplug: it does not load as named.",
    ),
    (
        "executable_outside",
        "Its code stands outside of it, where neither its digest nor its seal reaches.",
    ),
    (
        "info_plist",
        "Its Info.plist is not the one that people look at.",
    ),
    (
        "identifier",
        "It claims an identifier that its signature does not bear out.",
    ),
    (
        "name_shadowed",
        "Another plug-in bears its name: only one of the two loads.",
    ),
    (
        "unsealed_files",
        "It holds files that its signature does not cover.",
    ),
    ("writable_by", "Others than root can write it."),
    (
        "backdated",
        "Its times of modification are older than its status: they were kept or set. A hint, no verdict.",
    ),
    ("incomplete", "It could not be read whole."),
];

/// What a line of other queries is evidence of.
const SIGNS: &[(&str, &str, &str)] = &[
    (
        "signature_broken",
        "signature_problems",
        "Its signature does not hold: it was altered, or is made to look signed.",
    ),
    (
        "unsealed_code",
        "path",
        "Code in it stands outside of its seal: signed code may be made to load it.",
    ),
];

fn evasions(told: &[Told]) -> Vec<String> {
    let seen = told.iter().filter_map(evasion).collect();
    or_say(seen, "Nothing that the pack knows of.")
}

fn evasion(line: &Told) -> Option<String> {
    let say = |word: &str, column: &str, meaning: &str| {
        let detail = line.value(column).unwrap_or_default();
        Some(format!("{word} ({detail}): {meaning}"))
    };
    if let Some(word) = line.value("oddity") {
        let (_, meaning) = EVASIONS.iter().find(|(w, _)| *w == word)?;
        return say(word, "detail", meaning);
    }
    let (query, column, meaning) = SIGNS.iter().find(|(q, ..)| *q == line.query)?;
    say(query, column, meaning)
}

/// A line of the pack that names the bundle: the query, and the columns that say something.
struct Told {
    query: String,
    columns: Vec<(String, String)>,
}

impl Told {
    fn value(&self, column: &str) -> Option<&str> {
        let found = self.columns.iter().find(|(name, _)| name == column);
        found.map(|(_, value)| value.as_str())
    }

    fn row(&self) -> Vec<String> {
        let columns = self
            .columns
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        vec![self.query.clone(), columns.collect::<Vec<_>>().join(" ")]
    }
}

/// The pack's lines that name this bundle, as on a first run.
fn told(
    engine: &mut Engine,
    pack: &[Scheduled],
    snapshot: &Snapshot,
    path: &str,
) -> Result<Vec<Told>, Failure> {
    let mut told = Vec::new();
    for query in pack.iter().filter(|q| !q.snapshot) {
        if engine.names_foreign_table(&query.sql).is_some() {
            continue;
        }
        let answer = engine.query(&query.sql, snapshot)?;
        let Some(at) = answer.columns.iter().position(|c| c == "path") else {
            continue;
        };
        for row in answer.rows {
            // A line on a file in the bundle is one on the bundle.
            let rest = row.get(at).and_then(|p| p.strip_prefix(path));
            if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                continue;
            }
            let pairs = answer.columns.iter().cloned().zip(row);
            let says = |(name, value): &(String, String)| {
                !value.is_empty() && (name != "path" || value != path)
            };
            told.push(Told {
                query: query.name.trim_start_matches("pack_dsplug_").to_owned(),
                columns: pairs.filter(says).collect(),
            });
        }
    }
    Ok(told)
}

fn packages() -> Vec<String> {
    vec![
        "Receipts are not read here: pkgutil --file-info PATH on the Mac names the package, and the pack's query no_receipt finds bundles without one.".into(),
    ]
}

fn problems(bundle: &Bundle) -> Vec<String> {
    let problems = bundle.signature.problems.iter();
    let problems: Vec<String> = problems
        .map(|p| escape(format!("{p} ({})", p.code.meaning()).as_bytes()))
        .collect();
    or_say(
        problems,
        "Nothing that was checked. Revocation and notarization are not checked.",
    )
}

fn reasons(bundle: &Bundle) -> Vec<String> {
    let info = bundle.evidence.info_plist.as_ref();
    let nodes = info
        .and_then(|p| p.info.as_ref().ok())
        .map_or(&[][..], |i| &i.nodes);
    let nodes = nodes.iter().map(|node| {
        let node = escape(node.as_bytes());
        format!("It registers the node {node} before its code is mapped: look for it in the search policy.")
    });
    let reasons = bundle.load.reasons.iter();
    let say = |r: &Reason| format!("{}: {}", r.as_str(), r.meaning());
    let mut lines = or_say(
        reasons.map(say).collect(),
        "Nothing keeps it from loading. The loader runs as root and checks no signature.",
    );
    lines.extend(nodes);
    lines
}

fn or_say(lines: Vec<String>, otherwise: &str) -> Vec<String> {
    if lines.is_empty() {
        vec![otherwise.to_owned()]
    } else {
        lines
    }
}

fn entries(engine: &mut Engine, snapshot: &Snapshot, path: &str) -> Result<Body, Failure> {
    let columns = vec![
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
    let sql = format!(
        "SELECT {} FROM dsplug_files WHERE bundle_path = '{}'",
        columns.join(", "),
        path.replace('\'', "''")
    );
    let mut rows = engine.query(&sql, snapshot)?.rows;
    for row in &mut rows {
        for (column, cell) in columns.iter().zip(row) {
            if let Some(seconds) = cell.parse().ok().filter(|_| TIMES.contains(column)) {
                *cell = time::rfc3339(seconds);
            }
        }
    }
    Ok(Body::Rows(columns, rows))
}

fn folder(snapshot: &Snapshot, bundle: &Bundle) -> Vec<String> {
    let Some(folder) = snapshot.folders.get(bundle.evidence.candidate.folder) else {
        return Vec::new();
    };
    let mut lines = vec![format!(
        "{} really stands at {}; it can be written by {}.",
        folder.path,
        escape(&folder.resolved_path),
        folder.writable_by.as_str()
    )];
    if let Some(meta) = &folder.meta {
        lines.push(format!(
            "Something in it came or went last at {}; its status changed last at {}.",
            time::rfc3339(meta.mtime.seconds),
            time::rfc3339(meta.ctime.seconds)
        ));
    }
    if !folder.anomalies.is_empty() {
        lines.push(format!("Unusual: {}.", folder.anomalies.join(", ")));
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
            let entry = entry.map(|e| (escape(e.reason.as_bytes()), e.source.clone()));
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
            escape(entry.error.as_bytes())
        ));
    }
    lines
}

/// What differs from the last run of `detect`, column by column.
fn changes(
    engine: &mut Engine,
    pack: &[Scheduled],
    snapshot: &Snapshot,
    path: &str,
    state: Option<&State>,
) -> Result<Vec<String>, Failure> {
    let Some(state) = state else {
        return Ok(vec![
            "No state was given: --state FILE compares with the last run of detect.".into(),
        ]);
    };
    let Some(query) = pack.iter().find(|q| q.name == MODIFIED) else {
        return Ok(Vec::new());
    };
    let (columns, rows) = engine.cells(&query.sql, snapshot)?;
    let rows = rows
        .into_iter()
        .map(|cells| columns.iter().cloned().zip(cells).collect::<Row>());
    let is_it = |row: &Row| row.get("path").is_some_and(|p| p.to_string() == path);
    let memory = state.queries.get(MODIFIED);
    let old = memory.and_then(|m| m.rows.iter().find(|r| is_it(r)));
    let new = rows.into_iter().find(is_it);
    Ok(match (old, new) {
        (None, _) => vec!["It was not there, or was accepted, when detect ran last.".into()],
        (Some(_), None) => {
            vec!["An exception accepts it now; it did not when detect ran last.".into()]
        }
        (Some(old), Some(new)) => or_say(
            new.iter()
                .filter(|(column, value)| old.get(*column) != Some(*value))
                .map(|(column, value)| {
                    let was = old
                        .get(column)
                        .map_or_else(String::new, ToString::to_string);
                    format!("{column}: was '{was}', is '{value}'")
                })
                .collect(),
            "Nothing since detect ran last.",
        ),
    })
}
