//! `dsplug_quarantine`: one row per entry of the ledger.

use super::column::{TableOf, Value, number, text};
use crate::quarantine::ledger::{Entry, Read};
use crate::text::escape;

/// The table `dsplug_quarantine`.
pub const QUARANTINE: TableOf<Read> = TableOf {
    name: "dsplug_quarantine",
    meaning: "One row per entry of the quarantine's ledger: what was taken out, when, by whom and why.",
    bundle: Some("path"),
    columns: &[
        text(
            "id",
            "Its name, by which dsplug restore puts it back.",
            |e| match e {
                Ok(entry) => escape(entry.id.as_bytes()).into(),
                Err((id, _)) => escape(id.as_bytes()).into(),
            },
        ),
        text("path", "Where it stood.", |e| of(e, |e| shown(&e.path))),
        number("time", "When it was taken, in seconds.", |e| {
            e.as_ref().map_or(Value::Null, |e| e.time.into())
        }),
        text(
            "hash",
            "The bundle digest of what was taken; of an executable that was taken with its bundle, the SHA-256.",
            |e| of(e, |e| shown(&e.hash)),
        ),
        text("signer", "Who had signed it, verified.", |e| {
            of(e, |e| shown(&e.signer))
        }),
        text(
            "signature_state",
            "What its signature was worth, in the words of dsplug_bundles.",
            |e| of(e, |e| shown(&e.signature_state)),
        ),
        text("reason", "Why it was taken.", |e| {
            of(e, |e| shown(&e.reason))
        }),
        number("uid", "The user who asked, through sudo as well.", |e| {
            e.as_ref().map_or(Value::Null, |e| e.uid.into())
        }),
        text(
            "state",
            "quarantined, restored, or incomplete: a call was interrupted, or the entry is damaged.",
            |e| e.as_ref().map_or("incomplete", |e| e.step.as_str()).into(),
        ),
        text(
            "evidence",
            "The archive that holds everything on it.",
            |e| of(e, |e| shown(&e.evidence)),
        ),
        text("evidence_hash", "SHA-256 of that archive.", |e| {
            of(e, |e| shown(&e.evidence_hash))
        }),
        text("error", "What went wrong.", |e| match e {
            Ok(entry) => shown(&entry.error),
            Err((_, why)) => shown(why),
        }),
    ],
    each: |snapshot, sink| snapshot.quarantine.read()?.iter().try_for_each(sink),
};

fn of(entry: &Read, get: fn(&Entry) -> Value) -> Value {
    entry.as_ref().map_or_else(|_| "".into(), get)
}

fn shown(text: &str) -> Value {
    escape(text.as_bytes()).into()
}
