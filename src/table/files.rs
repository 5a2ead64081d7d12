//! `dsplug_files`: one row per entry of each candidate.

use std::sync::Arc;

use super::bundles::{cdhashes, digits};
use super::column::{TableOf, Value, number, text};
use crate::bundle::Bundle;
use crate::codesign::{CodeVerdict, Sealed};
use crate::evidence::{Content, Entry};
use crate::meta::Kind;
use crate::text::escape;

/// One entry of a candidate.
pub struct FileRow {
    /// The candidate.
    pub bundle: Arc<Bundle>,
    /// Which of the entries of its evidence.
    pub index: usize,
}

impl FileRow {
    fn get<T: Into<Value>>(&self, get: impl FnOnce(&Entry) -> T) -> Value {
        let entry = self.bundle.evidence.entries.get(self.index);
        entry.map_or(Value::Null, |e| get(e).into())
    }

    fn code(&self) -> Option<&CodeVerdict> {
        self.bundle.signature.code.get(self.index)?.as_deref()
    }
}

/// The table `dsplug_files`.
pub const FILES: TableOf<FileRow> = TableOf {
    name: "dsplug_files",
    meaning: "One row per entry of each candidate: file, directory, symlink or other.",
    bundle: Some("bundle_path"),
    columns: &[
        text("bundle_path", "The candidate that it belongs to.", |f| {
            escape(&f.bundle.evidence.candidate.path).into()
        }),
        text("path", "Where it stands, through the candidate.", |f| {
            f.get(|e| escape(&f.bundle.evidence.path_of(e)))
        }),
        text(
            "kind",
            "What it is: directory, file, symlink, other.",
            |f| f.get(|e| e.meta.kind.as_str()),
        ),
        number("size", "Its size in bytes.", |f| f.get(|e| e.meta.size)),
        number("mtime", "Its modification time, in seconds.", |f| {
            f.get(|e| e.meta.mtime.seconds)
        }),
        number("ctime", "Its status-change time, in seconds.", |f| {
            f.get(|e| e.meta.ctime.seconds)
        }),
        number(
            "btime",
            "Its creation time, in seconds; NULL where the file system has none.",
            |f| f.get(|e| e.meta.btime),
        ),
        number("uid", "Its owner.", |f| f.get(|e| e.meta.uid)),
        number("gid", "Its group.", |f| f.get(|e| e.meta.gid)),
        text("mode", "Its permission bits, in octal.", |f| {
            f.get(|e| e.meta.octal_mode())
        }),
        text(
            "hash",
            "SHA-256 of a regular file's content; empty when it could not be read.",
            |f| f.get(|e| digits(e.content.sha256().map(<[u8; 32]>::as_slice))),
        ),
        text("symlink_target", "The text of a symlink, as stored.", |f| {
            f.get(|e| escape(e.link.as_deref().unwrap_or_default()))
        }),
        text(
            "sealed",
            "What the bundle's seal says of it: sealed, altered, unsealed, excluded (by Apple's rules; code is unsealed then), unknown.",
            |f| {
                let sealed = f.bundle.signature.sealed.get(f.index);
                sealed.copied().unwrap_or(Sealed::Unknown).as_str().into()
            },
        ),
        text(
            "macho",
            "The file type of a Mach-O file, such as bundle, dylib, execute; empty for others.",
            |f| {
                f.get(|e| {
                    let slice = e.content.code().and_then(|c| c.slices.first());
                    slice.map_or("", |s| s.file_type_name())
                })
            },
        ),
        text(
            "signature_state",
            "What a Mach-O file's own signature is worth, in the words of dsplug_bundles; empty for others.",
            |f| f.code().map_or("", |c| c.state.as_str()).into(),
        ),
        text(
            "signer",
            "Common name of the leaf certificate, only when the signature verifies.",
            |f| escape(f.code().map_or("", |c| &c.signer).as_bytes()).into(),
        ),
        text(
            "cdhash",
            "cdhash of a Mach-O file whose signature holds; of several slices all that differ, separated by ;.",
            |f| {
                f.code()
                    .map_or_else(String::new, |c| cdhashes(&c.cdhashes))
                    .into()
            },
        ),
        text(
            "quarantine",
            "The extended attribute com.apple.quarantine of a file that was read, decoded.",
            |f| {
                f.get(|e| {
                    e.attributes
                        .as_ref()
                        .map(|a| a.quarantine.clone())
                        .unwrap_or_default()
                })
            },
        ),
        text(
            "error",
            "Why it, or an attribute of it, could not be read, as code: detail.",
            |f| {
                f.get(|e| match &e.content {
                    Content::Failed(trouble) => trouble.to_string(),
                    Content::Unread if e.meta.kind == Kind::File => {
                        "limit: not read; the error of the bundle says why".into()
                    }
                    _ => e
                        .attributes
                        .as_ref()
                        .map(|a| a.error.clone())
                        .unwrap_or_default(),
                })
            },
        ),
    ],
    each: |snapshot, sink| {
        if let Some(why) = snapshot.unreadable() {
            return Err(why);
        }
        for bundle in &snapshot.bundles {
            let bundle = Arc::clone(bundle);
            let mut row = FileRow { bundle, index: 0 };
            while row.index < row.bundle.evidence.entries.len() {
                sink(&row)?;
                row.index = row.index.saturating_add(1);
            }
        }
        Ok(())
    },
};
