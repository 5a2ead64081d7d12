//! `dsplug_exceptions`: one row per exception entry.

use super::column::{TableOf, Value, number, text};
use crate::exceptions::Exception;
use crate::text::{escape, tame};

/// The table `dsplug_exceptions`.
pub const EXCEPTIONS: TableOf<Exception> = TableOf {
    name: "dsplug_exceptions",
    meaning: "One row per exception entry, of those of a file that except nothing the first 100 and one that counts the others; a file that is refused has a row with its error alone, and the wish for copies has one of its own.",
    bundle: None,
    columns: &[
        text(
            "id",
            "Its name, which the column exception of dsplug_bundles shows.",
            |e| shown(&e.id),
        ),
        text("path", "The path that it asks for; empty for any.", |e| {
            shown(&e.path)
        }),
        text(
            "bundle_identifier",
            "The CFBundleIdentifier that it asks for, of a bundle whose signature verifies to an anchor that is known.",
            |e| shown(&e.bundle_identifier),
        ),
        text(
            "team_identifier",
            "The team that it asks for, of a bundle whose signature verifies to an anchor that is known.",
            |e| shown(&e.team_identifier),
        ),
        text(
            "cdhash",
            "The cdhashes that it asks for, one for each slice, of a bundle whose signature verifies or is ad hoc.",
            |e| shown(&e.cdhash),
        ),
        text("hash", "The bundle digest that it asks for.", |e| {
            shown(&e.hash)
        }),
        text(
            "signer",
            "The leaf certificate's common name that it asks for, of a bundle whose signature verifies to an anchor that is known.",
            |e| shown(&e.signer),
        ),
        number(
            "expires",
            "When it ends, in seconds; NULL when it does not.",
            |e| e.expires.into(),
        ),
        text("reason", "Why it was made.", |e| shown(&e.reason)),
        text("source", "The file that it stands in.", |e| e.source.into()),
        number(
            "active",
            "1 when it is without error and not expired.",
            |e| e.active.into(),
        ),
        text("error", "Why it excepts nothing.", |e| {
            // What it shows of the list is escaped already.
            (&*tame(&e.error)).into()
        }),
        text(
            "executable_hash",
            "The main executable's SHA-256 that it asks for; without it no bundle is accepted whose main executable stands outside.",
            |e| shown(&e.executable_hash),
        ),
        text(
            "linked_hash",
            "The linked_hash that it asks for; without it no bundle is accepted in which a link leads out or that loads a library from outside.",
            |e| shown(&e.linked_hash),
        ),
        text(
            "load_verdict",
            "The load verdict that it asks for: it ends when the folder around the bundle changes that.",
            |e| shown(&e.load_verdict),
        ),
        text("kind", "The kind of candidate that it asks for.", |e| {
            shown(&e.kind)
        }),
        text(
            "discovered_via",
            "The place in the folder that it asks for.",
            |e| shown(&e.discovered_via),
        ),
        number(
            "keep_copies",
            "1 or 0 in the row of a file that says whether copies are kept (KeepCopies); NULL for an exception.",
            |e| e.keep_copies.map(i64::from).into(),
        ),
    ],
    each: |snapshot, sink| snapshot.exceptions.entries.iter().try_for_each(sink),
};

fn shown(text: &str) -> Value {
    escape(text.as_bytes()).into()
}
