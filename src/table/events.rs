//! `dsplug_events`: one row per event.

use super::column::{TableOf, number, text};
use crate::event::Event;

/// The table `dsplug_events`.
pub const EVENTS: TableOf<Event> = TableOf {
    name: "dsplug_events",
    meaning: "One row per event, oldest first: a bundle appeared, changed or went, or the list of exceptions is another, whether a query ran then or not.",
    bundle: Some("path"),
    columns: &[
        number(
            "id",
            "Its number, which grows and is never used twice.",
            |e| e.id.into(),
        ),
        number("time", "When it was seen, in seconds.", |e| e.time.into()),
        text(
            "action",
            "What happened: appeared, changed, gone; exceptions, of no bundle, says that a scan saw another list of exceptions; more, of a plug-in folder, says in error how many at least came and went in it with nothing in them, with what was told before or before a look could come, and how many that stood there are gone, beyond those that are told one by one; dropped, of no bundle, says how many events up to this one are no longer kept.",
            |e| e.action.as_str().into(),
        ),
        text(
            "path",
            "Where the bundle stands, or stood; of exceptions their file, or files separated by ;; of more the folder.",
            |e| e.path.as_str().into(),
        ),
        text(
            "changed",
            "What changed, as words separated by ;: content (another socket, FIFO or device too, of which hash says nothing), executable, info_plist, signer, signature, symlink, owner, mode (of the bundle or, where it holds what it held, of something in it), load (whether it would load, whatever changed for that), exception, linked (what a link in it leads to outside of it), rewritten (alone, or beside what does not explain it such as mode or owner: it was written or replaced and holds what it held; what stood there meanwhile was not seen).",
            |e| e.changed.as_str().into(),
        ),
        text(
            "seen",
            "How it was seen: watched as it happened, by a regular scan, or at the start, which means that it happened while nothing ran.",
            |e| e.seen.map_or("", |seen| seen.as_str()).into(),
        ),
        text(
            "kind",
            "What it is, here and below as in dsplug_bundles; of what is gone, what it was; of exceptions what became of them: none, active, or error.",
            |e| (&*e.state.kind).into(),
        ),
        text(
            "hash",
            "The bundle digest; empty when not all could be read. Of exceptions one over their entries, empty when there are none.",
            |e| e.state.hash.to_string().into(),
        ),
        text("previous_hash", "The bundle digest before.", |e| {
            e.previous_hash.to_string().into()
        }),
        text("executable", "The main executable.", |e| {
            (&*e.state.executable).into()
        }),
        text("executable_hash", "SHA-256 of the main executable.", |e| {
            e.state.executable_hash.to_string().into()
        }),
        text(
            "bundle_identifier",
            "CFBundleIdentifier; anyone can write any identifier.",
            |e| (&*e.state.bundle_identifier).into(),
        ),
        text("signature_state", "What the signature is worth.", |e| {
            (&*e.state.signature_state).into()
        }),
        text(
            "signer",
            "Common name of the leaf certificate, only when the signature verifies.",
            |e| (&*e.state.signer).into(),
        ),
        text("anchor", "What the verified chain ends in.", |e| {
            (&*e.state.anchor).into()
        }),
        text(
            "team_identifier",
            "Team identifier of the verified code directory.",
            |e| (&*e.state.team_identifier).into(),
        ),
        text(
            "cdhash",
            "cdhash of the verified or ad-hoc code directory.",
            |e| (&*e.state.cdhash).into(),
        ),
        text("load_verdict", "Whether the system would load it.", |e| {
            (&*e.state.load_verdict).into()
        }),
        text(
            "exception",
            "Identifier of the exception that accepts it.",
            |e| (&*e.state.exception).into(),
        ),
        number(
            "stood_ms",
            "Of what is gone, how long it had stood, in milliseconds; NULL when that is not known.",
            |e| e.stood_ms.into(),
        ),
        text(
            "kept",
            "Where a copy of it is kept; empty without one.",
            |e| e.kept.as_str().into(),
        ),
        text("error", "What could not be read, as code: detail.", |e| {
            (&*e.state.error).into()
        }),
    ],
    each: |snapshot, sink| snapshot.events.each(sink),
};
