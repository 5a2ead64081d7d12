//! Who could change what is kept: root and the caller, and nobody else.

use crate::meta::Meta;

/// Writable by the group, writable by others.
const WRITABLE: u32 = 0o022;

/// Why others than root and the caller could change it.
pub(super) fn foreign(meta: &Meta) -> Option<String> {
    let writable = || {
        format!(
            "can be written by others (mode {}); chmod go-w",
            meta.octal_mode()
        )
    };
    foreign_owner(meta).or_else(|| (meta.mode & WRITABLE != 0).then(writable))
}

pub(super) fn foreign_owner(meta: &Meta) -> Option<String> {
    let caller = rustix::process::geteuid().as_raw();
    let ours = meta.uid == 0 || meta.uid == caller;
    (!ours).then(|| format!("belongs to uid {}, not to root or the caller", meta.uid))
}
