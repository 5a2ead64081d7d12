//! A candidate's claim to a row, where there are more candidates than rows.

use std::cmp::Ordering;

use super::candidate::{Candidate, Listed};
use super::known::Known;
use crate::meta::{Kind, Meta};
use crate::root::Root;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// It had a row.
    Known,
    /// It had one lately, was away, and stands again.
    Back,
    New,
}

/// What comes first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// The loader may list it, and it has something of a bundle.
    MayLoad,
    /// Nobody has looked.
    Unseen,
    /// It has nothing, or the loader does not list it.
    Bare,
}

/// A candidate, and what is known of its claim.
#[derive(Debug)]
pub struct Claim {
    pub candidate: Candidate,
    pub turn: Turn,
    pub worth: Worth,
    /// What the file system says of it, a link not followed.
    pub meta: Option<Meta>,
}

impl Claim {
    /// That of a candidate that nobody has looked into.
    pub fn of(candidate: Candidate, known: &Known, root: &Root) -> Self {
        let turn = match known.get(&candidate.path) {
            Some(_) => Turn::Known,
            None if known.has_departed(&candidate.path) => Turn::Back,
            None => Turn::New,
        };
        let entry = root.find_entry(&candidate.path).ok();
        Self {
            turn,
            worth: Worth::Unseen,
            meta: entry.map(|entry| entry.meta),
            candidate,
        }
    }

    pub fn path(&self) -> &[u8] {
        &self.candidate.path
    }

    pub fn is_link(&self) -> bool {
        self.meta.is_some_and(|meta| meta.kind == Kind::Symlink)
    }

    /// True where the loader may list it.
    pub fn is_listed(&self) -> bool {
        self.candidate.listed != Listed::No
    }

    /// Which has a row before another: of equals the first by path, so that it is the same each time.
    pub fn cmp(&self, other: &Self) -> Ordering {
        let key = |claim: &Self| (claim.turn, claim.worth, !claim.is_listed());
        let by_key = key(self).cmp(&key(other));
        by_key.then_with(|| self.path().cmp(other.path()))
    }
}
