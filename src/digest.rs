//! The bundle digest: one SHA-256 over what a bundle holds, which a shell can compute as well.
//!
//! Over one record per regular file and symlink, sorted by path as bytes:
//! `KIND SP SHA256 SP PATH NUL`. KIND is `f` or `l`, SHA256 that of the content or of the link's
//! text, PATH relative with a leading `./`. A directory adds nothing; a socket, FIFO or device adds
//! `o`, sixty-four zeros and its path.

use sha2::{Digest, Sha256};

use crate::evidence::{Entry, Evidence};
use crate::meta::Kind;
use crate::text::hex;

/// The digest of a candidate; `None` when any part of it could not be read.
///
/// That of a plain file is its SHA-256, and that of a symlink its target's.
pub fn digest(evidence: &Evidence) -> Option<[u8; 32]> {
    if !evidence.is_whole {
        return None;
    }
    if !evidence.is_bundle() {
        let [file] = evidence.entries.as_slice() else {
            return None;
        };
        return file.content.sha256().copied();
    }
    let mut digest = Sha256::new();
    for entry in &evidence.entries {
        let (kind, sha256) = match record(entry) {
            Record::None => continue,
            Record::Unknown => return None,
            Record::Some(kind, sha256) => (kind, sha256),
        };
        digest.update([kind, b' ']);
        digest.update(hex(&sha256));
        digest.update(b" ./");
        digest.update(&entry.path);
        digest.update([0]);
    }
    Some(digest.finalize().into())
}

enum Record {
    None,
    Unknown,
    Some(u8, [u8; 32]),
}

fn record(entry: &Entry) -> Record {
    match (entry.meta.kind, &entry.link) {
        (Kind::Directory, _) => Record::None,
        (Kind::Other, _) => Record::Some(b'o', [0; 32]),
        (Kind::Symlink, Some(target)) => Record::Some(b'l', Sha256::digest(target).into()),
        (Kind::Symlink, None) => Record::Unknown,
        (Kind::File, _) => match entry.content.sha256() {
            Some(sha256) => Record::Some(b'f', *sha256),
            None => Record::Unknown,
        },
    }
}
