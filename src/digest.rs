//! The bundle digest: one SHA-256 over what a bundle holds, which a shell can compute as well.
//!
//! Over one record per entry, sorted by path as bytes: `KIND SP SHA256 SP PATH NUL`. KIND is `f` or
//! `l`, SHA256 that of the content or of the link's text, PATH relative with a leading `./`. A
//! directory is `d` and a socket, FIFO or device `o`, each with sixty-four zeros: an empty `Contents`
//! changes where CoreFoundation looks, so its coming or going must not leave the digest as it was.
//!
//! A candidate that is a file is the one record `f SHA256 .`: as its bare SHA-256 it would be that of
//! a bundle whose records somebody wrote into a file.

use sha2::{Digest, Sha256};

use crate::evidence::{Entry, Evidence};
use crate::meta::Kind;
use crate::text::hex;

/// The path in the record of a candidate that is a file.
const ITSELF: &[u8] = b".";

/// The digest of a candidate, that of a symlink its target's; `None` when any part of it could not be
/// read.
pub fn digest(evidence: &Evidence) -> Option<[u8; 32]> {
    if !evidence.is_whole {
        return None;
    }
    let mut digest = Sha256::new();
    if evidence.is_bundle() {
        for entry in &evidence.entries {
            let path = [b"./", entry.path.as_ref()].concat();
            add(&mut digest, entry, &path)?;
        }
    } else {
        let [file] = evidence.entries.as_slice() else {
            return None;
        };
        add(&mut digest, file, ITSELF)?;
    }
    Some(digest.finalize().into())
}

/// Adds the record of one entry; `None` when its content is not known.
fn add(digest: &mut Sha256, entry: &Entry, path: &[u8]) -> Option<()> {
    let (kind, sha256) = match entry.meta.kind {
        Kind::File => (b'f', *entry.content.sha256()?),
        Kind::Symlink => (b'l', Sha256::digest(entry.link.as_ref()?).into()),
        Kind::Directory => (b'd', [0; 32]),
        Kind::Other => (b'o', [0; 32]),
    };
    digest.update([kind, b' ']);
    digest.update(hex(&sha256));
    digest.update(b" ");
    digest.update(path);
    digest.update([0]);
    Some(())
}
