//! The bundle digest: one SHA-256 over what a bundle holds, which a shell can compute as well.
//!
//! Over one record per entry, sorted by path as bytes: `KIND SP SHA256 SP PATH NUL`. KIND is `f` or
//! `l`, SHA256 that of the content or of the link's text, PATH relative with a leading `./`. A
//! directory is `d` and a socket, FIFO or device `o`, each with sixty-four zeros: an empty `Contents`
//! changes where CoreFoundation looks, so its coming or going must not leave the digest as it was.
//! Which of them an `o` is the digest does not say: [`Bundle::unread`](crate::bundle::Bundle::unread) does.
//!
//! A candidate that is a file is the one record `f SHA256 .`: as its bare SHA-256 it would be that of
//! a bundle whose records somebody wrote into a file.

use sha2::{Digest, Sha256};

use crate::evidence::{Entry, Evidence, Reach, Role, Stands};
use crate::meta::Kind;
use crate::text::hex;

/// The path in the record of a candidate that is a file.
const ITSELF: &[u8] = b".";

/// The records of a digest, which are added in order of path as bytes.
#[derive(Clone, Debug, Default)]
pub struct Records(Sha256);

impl Records {
    /// Adds one entry. `sha256` is that of a file's content or of a link's text, and is not looked at
    /// for the others; `path` stands below the bundle, and is empty for a candidate that is a file.
    pub fn add(&mut self, kind: Kind, sha256: &[u8; 32], path: &[u8]) {
        self.0.update(record(kind, sha256, path));
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The digest of a candidate, that of a symlink its target's; `None` when any part of it could not be
/// read.
pub fn digest(evidence: &Evidence) -> Option<[u8; 32]> {
    if !evidence.is_whole {
        return None;
    }
    of_entries(&evidence.entries, evidence.is_bundle())
}

/// The digest of all entries of a directory, or of the one entry that is something else.
pub fn of_entries(entries: &[Entry], is_directory: bool) -> Option<[u8; 32]> {
    let mut records = Records::default();
    if !is_directory && entries.len() != 1 {
        return None;
    }
    for entry in entries {
        let sha256 = known(entry)?;
        records.add(entry.meta.kind, &sha256, &entry.path);
    }
    Some(records.finish())
}

/// One SHA-256 over what is reached from a bundle outside of it: by a record `DIGEST SP PATH NUL` for each place, in
/// order of path, and then by one `l DIGEST SP PATH NUL` for each link on the way there, of its text: what is called by
/// which name decides what runs, of the bundle's own too where a link outside leads back into it. `None` when one of them
/// could not be read whole.
pub fn of_reach(reach: &Reach) -> Option<[u8; 32]> {
    let mut all = Sha256::new();
    for (path, place) in reach.places.iter() {
        if !place.is_whole {
            return None;
        }
        let one = of_entries(&place.entries, place.meta.kind == Kind::Directory)?;
        all.update(hex(&one));
        all.update(b" ");
        all.update(path);
        all.update([0]);
    }
    if reach.has_content() {
        for (dir, name, text) in reach.ways.links()? {
            let parts = [
                b"l ".as_slice(),
                hex(text).as_bytes(),
                b" ",
                dir,
                b"/",
                name,
                b"\0",
            ]
            .concat();
            all.update(parts);
        }
    }
    Some(all.finalize().into())
}

/// One SHA-256 over what is reached from a bundle by way of outside, by what asks for it and wherever it stands: the same
/// for what was merely moved. `None` when not all of that is known.
pub fn of_reached_content(evidence: &Evidence) -> Option<[u8; 32]> {
    let reach = &evidence.reach;
    let roles = reach.roles.as_ref()?;
    let places = reach.places.iter().map(|(_, place)| {
        let is_directory = place.meta.kind == Kind::Directory;
        of_entries(place.is_whole.then_some(&place.entries)?, is_directory)
    });
    let places = places.collect::<Option<Vec<_>>>()?;
    let asked_for = |place: usize| {
        let is_it = |role: &Role| matches!(role.parts().1, Stands::Outside(own) if usize::from(own) == place);
        roles.iter().any(is_it)
    };
    let mut all = Sha256::new();
    // What no role leads to counts as well.
    let others = places.iter().enumerate();
    let mut others: Vec<_> = others.filter(|(place, _)| !asked_for(*place)).collect();
    others.sort_by_key(|(_, content)| **content);
    for (_, content) in others {
        all.update(content);
    }
    for role in roles {
        let (asked, stands, below) = role.parts();
        let content = match stands {
            Stands::Outside(place) => *places.get(usize::from(place))?,
            Stands::Inside(entry) => of_inside(evidence, usize::try_from(entry).ok()?)?,
            Stands::Nowhere => [0; 32],
        };
        all.update(asked);
        all.update(below);
        all.update(content);
    }
    Some(all.finalize().into())
}

/// The digest of what stands in a bundle, as of one that stands elsewhere: of a directory by what is below it.
fn of_inside(evidence: &Evidence, entry: usize) -> Option<[u8; 32]> {
    let entries = &evidence.entries;
    let entry = entries.get(entry)?;
    let mut records = Records::default();
    if entry.meta.kind != Kind::Directory {
        records.add(entry.meta.kind, &known(entry)?, b"");
        return Some(records.finish());
    }
    // What is missing may be below it.
    if !evidence.is_whole {
        return None;
    }
    let above = [entry.path.as_ref(), b"/"].concat();
    let first = entries.partition_point(|e| e.path.as_ref() < above.as_slice());
    for entry in entries.get(first..)? {
        let Some(below) = entry.path.strip_prefix(above.as_slice()) else {
            break;
        };
        records.add(entry.meta.kind, &known(entry)?, below);
    }
    Some(records.finish())
}

/// The records that the digest of a candidate is of; `None` when any part of it could not be read.
pub fn records(evidence: &Evidence) -> Option<Vec<u8>> {
    digest(evidence)?;
    let entries = evidence.entries.iter();
    let records = entries.map(|e| Some(record(e.meta.kind, &known(e)?, &e.path)));
    Some(records.collect::<Option<Vec<_>>>()?.concat())
}

/// The record of one entry.
fn record(kind: Kind, sha256: &[u8; 32], path: &[u8]) -> Vec<u8> {
    let (letter, sha256) = match kind {
        Kind::File => (b'f', sha256),
        Kind::Symlink => (b'l', sha256),
        Kind::Directory => (b'd', &[0; 32]),
        Kind::Other(_) => (b'o', &[0; 32]),
    };
    let begin = [letter, b' '];
    let hex = hex(sha256);
    let (below, path): (&[u8], &[u8]) = if path.is_empty() {
        (b"", ITSELF)
    } else {
        (b"./", path)
    };
    [&begin, hex.as_bytes(), b" ", below, path, b"\0"].concat()
}

/// What the record of an entry holds of it; `None` when its content is not known.
fn known(entry: &Entry) -> Option<[u8; 32]> {
    match entry.meta.kind {
        Kind::File => entry.content.sha256().copied(),
        Kind::Symlink => Some(Sha256::digest(entry.link.as_ref()?).into()),
        Kind::Directory | Kind::Other(_) => Some([0; 32]),
    }
}
