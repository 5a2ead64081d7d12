//! A place where a hint is wanted, and the list of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::meta::Meta;

/// A place to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory, as the Mac names it.
    pub path: Vec<u8>,
    /// The file in it that is watched instead of it.
    pub file: Option<Vec<u8>>,
    /// Device and inode of what is watched.
    pub id: (u64, u64),
    /// True when what comes in it may be a candidate.
    pub holds_candidates: bool,
    /// True when it only leads to a plug-in folder.
    pub is_ancestor: bool,
    /// True when it only leads to what a bundle reaches outside: what comes and goes in it may be anybody's.
    pub is_way: bool,
}

/// What is asked of the watch of a place, whatever it is called.
pub type Wish = (bool, bool, bool);

impl Place {
    /// What is asked of its watch.
    pub fn wish(&self) -> Wish {
        (self.holds_candidates, self.is_ancestor, self.is_way)
    }

    /// Takes over what is asked of the same place by another name: it is watched once.
    fn also(&mut self, other: Self) {
        let leads = |place: &Self| place.is_ancestor || place.is_way;
        let only_leads = leads(self) && leads(&other);
        // Of the two, a way to a plug-in folder asks for more.
        self.is_way &= other.is_way;
        self.is_ancestor = only_leads && !self.is_way;
        if other.holds_candidates && !self.holds_candidates {
            // As the candidates in it are called.
            (self.path, self.holds_candidates) = (other.path, true);
        }
    }

    pub fn directory(path: &[u8], meta: &Meta) -> Self {
        Self {
            path: path.to_vec(),
            file: None,
            id: (meta.dev, meta.ino),
            holds_candidates: false,
            is_ancestor: false,
            is_way: false,
        }
    }

    pub fn file(path: &[u8], meta: &Meta) -> Option<Self> {
        let at = path.iter().rposition(|b| *b == b'/')?;
        let (directory, name) = path.split_at_checked(at)?;
        Some(Self {
            file: Some(name.strip_prefix(b"/")?.to_vec()),
            ..Self::directory(
                if directory.is_empty() {
                    b"/"
                } else {
                    directory
                },
                meta,
            )
        })
    }
}

/// The list of them as it grows.
pub struct Places {
    pub list: Vec<Place>,
    /// How many of them there may be.
    pub most: usize,
    /// How many there may be for now.
    pub limit: usize,
    /// Where each stands in the list.
    seen: BTreeMap<(u64, u64), usize>,
    /// What there has been no room for.
    missed: BTreeSet<(u64, u64)>,
    /// Paths that lead further than could be looked at.
    far: usize,
}

impl Places {
    pub fn new(most: usize) -> Self {
        Self {
            list: Vec::new(),
            most,
            limit: most,
            seen: BTreeMap::new(),
            missed: BTreeSet::new(),
            far: 0,
        }
    }

    /// How many there was no room for, or that stand too far.
    pub fn left(&self) -> usize {
        self.missed.len().saturating_add(self.far)
    }

    /// Takes note of a path where not all could be looked at.
    pub fn far(&mut self, is_far: bool) {
        self.far = self.far.saturating_add(usize::from(is_far));
    }

    /// True when there may be one more for now.
    pub fn has_room(&self) -> bool {
        self.list.len() < self.limit
    }

    /// How many there are once one of so many parts of the room that is left is taken.
    pub fn share(&self, parts: usize) -> usize {
        let len = self.list.len();
        let room = self.most.saturating_sub(len);
        len.saturating_add(room.checked_div(parts).unwrap_or(room))
    }

    pub fn extend(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            let known = self.seen.get(&place.id);
            if let Some(known) = known.and_then(|at| self.list.get_mut(*at)) {
                known.also(place);
            } else if self.has_room() {
                self.missed.remove(&place.id);
                self.seen.insert(place.id, self.list.len());
                self.list.push(place);
            } else {
                self.missed.insert(place.id);
            }
        }
    }
}
