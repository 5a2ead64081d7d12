//! `dsplug_status`: one row on the extension itself.

use super::column::{TableOf, Value, number, text};
use crate::scan::Status;

/// The table `dsplug_status`.
pub const STATUS: TableOf<Status> = TableOf {
    name: "dsplug_status",
    meaning: "One row on the running program itself: its version, its scans, its exceptions.",
    bundle: None,
    columns: &[
        text("version", "Version of dsplug.", |_| {
            env!("CARGO_PKG_VERSION").into()
        }),
        number("started", "When it started, in seconds.", |s| {
            s.started.into()
        }),
        number(
            "scans",
            "Scans since then, with those that the watch spared: all is watched, and nothing was written since the one before.",
            |s| s.scans.into(),
        ),
        number(
            "last_scan",
            "When the last scan began, or was spared, in seconds.",
            |s| s.last_scan.into(),
        ),
        number("last_scan_ms", "How long it took, in milliseconds.", |s| {
            s.last_scan_ms.into()
        }),
        number("files_read", "Files that it read to their end.", |s| {
            s.files_read.into()
        }),
        number(
            "files_reused",
            "Files that it did not read, because nothing of them had changed.",
            |s| s.files_reused.into(),
        ),
        text(
            "exceptions_path",
            "Where exceptions were read; empty when there are none.",
            |s| s.exceptions_path.as_str().into(),
        ),
        text(
            "exceptions_state",
            "What became of them: none, active, or error.",
            |s| s.exceptions_state.into(),
        ),
        number("exceptions", "How many of them are active.", |s| {
            s.exceptions.into()
        }),
        text(
            "error",
            "The last error of a scan since the start, or where one hangs, or else that somebody asked over the socket and did not take the answer; empty without one. This table does not wait for a scan that runs.",
            |s| s.error.as_str().into(),
        ),
        text("architecture", "Architecture that it runs as.", |_| {
            std::env::consts::ARCH.into()
        }),
        text(
            "commit",
            "Commit that it was built from; empty when the build did not say.",
            |_| option_env!("DSPLUG_COMMIT").unwrap_or_default().into(),
        ),
        number(
            "files_skipped",
            "Files that the last scan could not read, or not within its limits.",
            |s| s.files_skipped.into(),
        ),
        text(
            "limits",
            "Paths of the candidates that met a limit in the last scan, the first few, separated by ;.",
            |s| Value::from(s.limits.join(";")),
        ),
        text(
            "watch",
            "What is watched: all that is wanted; the plug-in folders' own directories and some of the bundles; nothing but by the tick of 30 s; empty where nobody watches.",
            |s| s.watch.state.into(),
        ),
        number(
            "watched",
            "How many directories and files are watched.",
            |s| s.watch.places.into(),
        ),
        text("watch_error", "Why not all is watched.", |s| {
            s.watch.error.as_str().into()
        }),
        text(
            "journal",
            "How events are kept: kept in the file, in memory alone because nothing is to be kept, error when they ought to be in the file and are not; empty where nobody watches.",
            |s| s.journal.state.into(),
        ),
        text(
            "journal_path",
            "The file in which events are kept; empty when they are not.",
            |s| s.journal.path.as_str().into(),
        ),
        text(
            "journal_error",
            "The last error with that file since the start.",
            |s| s.journal.error.as_str().into(),
        ),
    ],
    each: |snapshot, sink| sink(&snapshot.status),
};
