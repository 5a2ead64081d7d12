//! The names to which a list of plug-ins is narrowed by what stands elsewhere.

use std::collections::BTreeMap;

use super::candidate::Listed;
use super::listing::Listing;
use crate::name::{self, Suffix};

/// Whether a place has any plug-in for the loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Has {
    None,
    Maybe,
    Some,
}

/// The names to which the list of a directory is narrowed, folded; all when there are none.
#[derive(Debug, Default)]
pub struct Only {
    names: BTreeMap<Vec<u8>, Has>,
    is_certain: bool,
}

impl Only {
    pub fn note(&mut self, listing: &Listing, has: Has) {
        for (name, suffix) in &listing.candidates {
            let counts = match suffix {
                Suffix::Exact => !name.starts_with(b"._"),
                other => *other == Suffix::Platform,
            };
            if counts {
                let is_exact = *suffix == Suffix::Exact;
                self.is_certain |= has == Has::Some && is_exact;
                let slot = self.names.entry(name::folded(name).into_owned());
                let has = if is_exact { has } else { Has::Maybe };
                let slot = slot.or_insert(has);
                *slot = (*slot).max(has);
            }
        }
        if listing.is_cut || listing.more_candidates > 0 {
            self.forget();
        }
    }

    /// True when it narrows nothing.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Any name may be among those that were not seen.
    pub fn forget(&mut self) {
        self.is_certain = false;
        self.names.entry(Vec::new()).or_insert(Has::Maybe);
    }

    /// Any names, or none.
    pub fn unknown() -> Self {
        let mut only = Self::default();
        only.forget();
        only
    }

    pub fn narrow(&self, folded: &[u8], listed: Listed) -> Listed {
        match self.names.get(folded) {
            _ if self.is_empty() => listed,
            Some(Has::Some) => listed,
            Some(_) => Listed::Maybe,
            None if self.is_certain => Listed::No,
            None => Listed::Maybe,
        }
    }
}
