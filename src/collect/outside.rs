//! What runs with a bundle and stands outside of it, as it was judged.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::digest::{Records, of_entries};
use crate::evidence::Entry;
use crate::meta::{Kind, Rights};
use crate::order;
use crate::sha256::Sha256;

/// Places of one bundle that a case names: twice as many as are found of one.
pub const MOST_NAMED: usize = 4_096;
/// Bytes of their paths, of all bundles.
pub const MOST_PATHS: usize = 2 << 20;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Its digest, as that of a bundle.
    pub content: [u8; 32],
    /// One over the permission bits of all that stands there.
    pub modes: [u8; 32],
    /// One over whom that belongs to.
    pub owners: [u8; 32],
    /// One over which sockets, FIFOs and devices stand there, of which the digest does not say it.
    pub specials: [u8; 32],
}

impl Sum {
    /// That of a place: its digest, and each entry with who may do what with it, in order of path, beginning with itself.
    pub fn new<'a>(
        content: [u8; 32],
        entries: impl Iterator<Item = (&'a [u8], Kind, Rights)>,
    ) -> Self {
        let [mut modes, mut owners, mut specials] = [Sha256::new(), Sha256::new(), Sha256::new()];
        for (path, kind, rights) in entries {
            let is_link = kind == Kind::Symlink;
            // Of a link on the way nobody knows whom it belongs to.
            if !(is_link && path.is_empty()) {
                let owner = rights.owner;
                owners.update(path);
                owners.update(&[0]);
                owners.update(&owner.uid.to_le_bytes());
                owners.update(&owner.gid.to_le_bytes());
            }
            // The mode of one means nothing.
            if !is_link {
                modes.update(path);
                modes.update(&[0]);
                modes.update(&rights.mode.to_le_bytes());
            }
            if let Some(special) = kind.special() {
                specials.update(path);
                specials.update(&[0]);
                specials.update(special.to_string().as_bytes());
                specials.update(&[0]);
            }
        }
        Self {
            content,
            modes: modes.finish(),
            owners: owners.finish(),
            specials: specials.finish(),
        }
    }

    /// That of a file or a link, of whose content or text this is the SHA-256.
    fn of_one(kind: Kind, sha256: &[u8; 32], rights: Rights) -> Self {
        let mut records = Records::default();
        records.add(kind, sha256, b"");
        let itself = (b"".as_slice(), kind, rights);
        Self::new(records.finish(), std::iter::once(itself))
    }
}

/// What is reached from a bundle outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// What really stands where, as the Mac names it, and the links on the ways there: which file is called by which
    /// name decides what runs. `None` for what is not known whole.
    pub places: BTreeMap<Vec<u8>, Option<Sum>>,
    /// Which file is the main executable: its path below the bundle, or that where it stands outside; empty where there
    /// is none. `None` where nobody says.
    pub executable: Option<Vec<u8>>,
    /// Who may do what with the directories on the way to these places, as far as that is known.
    pub ways: BTreeMap<Vec<u8>, Rights>,
    /// Where the bundle really stands; empty where that is where it is called. `None` where nobody says.
    pub stands: Option<Vec<u8>>,
    /// True when under another name another file of it would be that.
    pub is_by_name: bool,
    /// True when there may be more than these.
    pub is_cut: bool,
}

impl Outside {
    /// That of a bundle: its main executable, what links in it and its libraries lead to, and the links on the ways to
    /// all of these, but for those on the way to the bundle itself.
    pub fn of(bundle: &Bundle) -> Self {
        let evidence = &bundle.evidence;
        let reach = &evidence.reach;
        let executable = evidence.executable.as_ref();
        let outside = executable.filter(|e| e.is_outside()).map(|executable| {
            // Code may stand in a fork, of which no digest says anything.
            let sha256 = executable.outside.sha256();
            let sha256 = sha256.filter(|_| !executable.has_fork);
            let meta = &executable.meta;
            let sum = sha256.map(|sha256| Sum::of_one(meta.kind, sha256, meta.rights()));
            (executable.path.clone(), sum)
        });
        let places = reach.places.iter().map(|(path, place)| {
            let top = (b"".as_slice(), place.meta.kind, place.meta.rights());
            let is_directory = place.meta.kind == Kind::Directory;
            let below = place.entries.iter().filter(|_| is_directory);
            let below = below.map(|e| (e.path.as_ref(), e.meta.kind, e.meta.rights()));
            let content = of_entries(&place.entries, is_directory)
                .filter(|_| place.is_whole && !place.entries.iter().any(Entry::has_fork));
            let entries = std::iter::once(top).chain(below);
            (
                path.to_vec(),
                content.map(|content| Sum::new(content, entries)),
            )
        });
        let beyond = reach.beyond.paths().map(|path| (path.to_vec(), None));
        let links = reach.ways.links();
        let is_cut = !evidence.is_whole
            || evidence.is_doubtful
            || evidence.is_linked_late
            || evidence.is_linked_cut
            || evidence.is_served()
            || links.is_none();
        let links = links.into_iter().flatten().map(|(dir, name, text)| {
            let sum = Sum::of_one(Kind::Symlink, text, Rights::default());
            // The top's own path is its slash.
            let dir = dir.strip_suffix(b"/").unwrap_or(dir);
            ([dir, b"/", name].concat(), Some(sum))
        });
        let itself = &evidence.candidate.path;
        let links = links.filter(|(path, _)| {
            let below = itself.strip_prefix(path.as_slice());
            below.is_none_or(|below| !below.is_empty() && !below.starts_with(b"/"))
        });
        let places = places.chain(links).chain(outside).chain(beyond);
        Self {
            places: order::gather(places),
            ways: BTreeMap::new(),
            stands: Some(if evidence.resolved_path == *itself {
                Vec::new()
            } else {
                evidence.resolved_path.clone()
            }),
            executable: Some(executable.map_or_else(Vec::new, |e| {
                e.relative.clone().unwrap_or_else(|| e.path.clone())
            })),
            is_by_name: evidence.runs_by_name(),
            is_cut,
        }
    }
}
