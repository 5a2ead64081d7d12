//! What is reached from a bundle outside of it: where links in it and libraries that its code names lead.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use super::by_path::ByPath;
use super::entry::Entry;
use super::packed::{Packed, bytes_of};
use super::paths::directory_of;
use super::roles::Role;
use super::sum::Sum;
use super::ways::Ways;
use crate::meta::{Meta, Timestamp};

/// All that is reached from one bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// What was read there.
    pub places: Places,
    /// Places of which something lies beyond a limit.
    pub(crate) beyond: ByPath<Beyond>,
    /// How many places links in the bundle lead to.
    pub links: usize,
    /// Where dyld looks for libraries that code in the bundle names.
    pub loads: BTreeSet<Vec<u8>>,
    /// What is on the way to all of it.
    pub(crate) ways: Arc<Ways>,
    /// True when something outside leads back into the bundle: what runs then is by the links on the way.
    pub(crate) comes_back: bool,
    /// What stands where each of it is asked for; nothing when not all is known.
    pub(crate) roles: Option<Box<[Role]>>,
}

static NOTHING: LazyLock<Arc<Reach>> = LazyLock::new(Arc::default);

impl Reach {
    /// Nothing is reached.
    pub(super) fn nothing() -> Arc<Self> {
        Arc::clone(&NOTHING)
    }

    /// Holds in its place what is known to be the same, so that what stays as it is takes memory once.
    pub(super) fn shared(self, before: Option<&Arc<Self>>) -> Arc<Self> {
        let known = before.into_iter().chain([&*NOTHING]);
        let mut same = known.filter(|known| ***known == self);
        same.next().map_or_else(|| Arc::new(self), Arc::clone)
    }

    /// True when there is a place.
    pub(super) fn is_anywhere(&self) -> bool {
        !self.places.is_empty() || !self.beyond.is_empty()
    }

    /// True when there is what its digest is of.
    pub(crate) fn has_content(&self) -> bool {
        !self.places.is_empty() || self.comes_back
    }

    /// All entries of all places.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().flat_map(|(_, place)| &place.entries)
    }

    /// What was read of a place, of what stands there now: of one by itself, or of a file in a directory that was
    /// read as well, after which the file by itself was let go of.
    pub(super) fn known_of(&self, path: &[u8], now: &[Entry]) -> Option<Cow<'_, [Entry]>> {
        if let Some(place) = self.places.get(path) {
            return Some(place.olds(now));
        }
        let [itself] = now else {
            return None;
        };
        let mut above = directory_of(path);
        while !above.is_empty() {
            let below = path.get(above.len().saturating_add(1)..)?;
            let place = self.places.get(above);
            if let Some(old) = place.and_then(|p| p.file(below, &itself.meta)) {
                return Some(Cow::Owned(vec![old]));
            }
            above = directory_of(above);
        }
        None
    }

    /// For how many entries it counts.
    pub(super) fn weight(&self) -> usize {
        let entries = self.entries().map(Entry::weight);
        entries.fold(self.ways.weight(), usize::saturating_add)
    }

    /// The newest status-change time of anything there.
    pub(super) fn newest_ctime(&self) -> Option<Timestamp> {
        let places = self.places.iter().map(|(_, place)| &place.meta);
        let all = places.chain(self.entries().map(|e| &e.meta));
        all.map(|meta| meta.ctime).max()
    }

    /// Bytes of the files there.
    pub(crate) fn bytes(&self) -> u64 {
        let places = self.places.iter().map(|(_, place)| place.bytes());
        places.fold(0, u64::saturating_add)
    }
}

/// One place outside of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// What the file system says of it.
    pub meta: Meta,
    /// What it holds; for a file, itself.
    pub entries: Vec<Entry>,
    /// What was read of those, where it is remembered without them.
    pub(super) packed: Option<Box<Packed>>,
    /// True when every entry is there.
    pub is_whole: bool,
}

impl Linked {
    /// The entry at a path below it.
    pub(super) fn entry(&self, path: &[u8]) -> Option<&Entry> {
        let search = |e: &Entry| e.path.as_ref().cmp(path);
        let at = self.entries.binary_search_by(search).ok()?;
        self.entries.get(at)
    }

    /// Bytes of its files.
    fn bytes(&self) -> u64 {
        let packed = self.packed.as_ref();
        packed.map_or_else(|| bytes_of(&self.entries), |packed| packed.bytes)
    }

    /// What was read of it, of the entries that stand there now.
    fn olds(&self, now: &[Entry]) -> Cow<'_, [Entry]> {
        match &self.packed {
            Some(packed) => Cow::Owned(packed.unpack(now).0),
            None => Cow::Borrowed(&self.entries),
        }
    }

    /// A file below it as it would be known by itself.
    fn file(&self, path: &[u8], meta: &Meta) -> Option<Entry> {
        if let Some(packed) = &self.packed {
            return packed.file(path, meta);
        }
        let entry = self.entry(path)?;
        let mut itself = Entry::itself(entry.meta);
        itself.content = entry.content.clone();
        itself.attributes.clone_from(&entry.attributes);
        Some(itself)
    }
}

/// A place outside of a bundle of which something lies beyond a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// What the file system says of it.
    pub meta: Meta,
    /// What it says of all that stands there; `None` when it was not looked at to its end.
    pub sum: Option<Sum>,
}

/// A link beyond a limit: its path below where it was come upon, and its text.
pub(super) type Link = (Vec<u8>, Vec<u8>);

/// Places outside of a bundle, by where they really stand.
pub type Places = ByPath<Linked>;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::directory::meta_of;
    use crate::meta::Kind;

    /// The order in which places are read hangs on them.
    #[test]
    fn what_is_packed_counts_for_as_many_bytes() {
        let meta = |path: &str| {
            let file = std::fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
            meta_of(file.unwrap(), b"").unwrap()
        };
        let entries = ["Cargo.toml", "README.md", "src"].map(|p| Entry::itself(meta(p)));
        let files = entries.iter().filter(|e| e.meta.kind == Kind::File);
        let bytes = files.map(|e| e.meta.size).sum::<u64>();
        let mut place = Linked {
            meta: meta("src"),
            entries: entries.to_vec(),
            packed: None,
            is_whole: true,
        };
        assert_eq!(place.bytes(), bytes);
        place.packed = Some(Box::new(Packed::of(&std::mem::take(&mut place.entries))));
        assert_eq!(place.bytes(), bytes);
    }
}
