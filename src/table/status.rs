//! `dsplug_status`: one row on the extension itself.

use super::{TableOf, Value, number, text};
use crate::scan::Status;

/// The table `dsplug_status`.
pub const STATUS: TableOf<Status> = TableOf {
    name: "dsplug_status",
    meaning: "One row on the running program itself: its version, its scans, its exceptions.",
    columns: &[
        text("version", "Version of dsplug.", |_| {
            env!("CARGO_PKG_VERSION").into()
        }),
        number("started", "When it started, in seconds.", |s| {
            s.started.into()
        }),
        number("scans", "Scans since then.", |s| s.scans.into()),
        number("last_scan", "When the last scan began, in seconds.", |s| {
            s.last_scan.into()
        }),
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
            "The last error of a scan since the start; empty without one.",
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
    ],
    each: |snapshot, sink| sink(&snapshot.status),
};
