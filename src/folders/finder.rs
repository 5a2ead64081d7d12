//! The search through one plug-in folder: what it has found, and what may still be looked at.

use std::collections::BTreeMap;

use super::candidate::{Candidate, Listed, Via};
use super::left_out::LeftOut;
use super::listing::{self, Listing};
use crate::directory::{Dir, ReadError};
use crate::limits::Limits;
use crate::meta::{Kind, WritableBy};
use crate::name::Suffix;
use crate::root::{Found, Root};
use crate::text::escape;

/// The search through one plug-in folder.
pub struct Finder<'a> {
    pub root: &'a Root,
    pub limits: &'a Limits,
    pub index: usize,
    pub found: BTreeMap<Vec<u8>, Candidate>,
    pub anomalies: Vec<&'static str>,
    pub left_out: LeftOut,
    pub branches: Vec<Branch>,
    pub names_left: usize,
    pub languages: Vec<Vec<u8>>,
    /// True when a way that the loader may go was too long to be followed.
    pub is_unsure: bool,
}

/// A directory of the folder that is being searched.
#[derive(Debug)]
pub struct Place {
    /// Its path through the plug-in folder.
    pub path: Vec<u8>,
    pub via: Via,
    pub listed: Listed,
    pub writable_by: WritableBy,
    /// The device that it stands on.
    pub device: u64,
}

/// A directory that is still to be searched.
#[derive(Debug)]
pub struct Branch {
    /// Its path through the plug-in folder.
    pub path: Vec<u8>,
    /// The weakest of the directories above it.
    pub writable_by: WritableBy,
    /// The device that it should stand on, which is not left.
    pub device: u64,
}

impl<'a> Finder<'a> {
    pub fn new(root: &'a Root, limits: &'a Limits, index: usize) -> Self {
        Self {
            root,
            limits,
            index,
            found: BTreeMap::new(),
            anomalies: Vec::new(),
            left_out: LeftOut::default(),
            branches: Vec::new(),
            names_left: limits.listed_entries,
            languages: Vec::new(),
            is_unsure: false,
        }
    }

    /// Reads a directory to its end, as far as the names of all go.
    pub fn read(&mut self, dir: &Dir, path: &[u8]) -> Result<Listing, ReadError> {
        let listing = listing::read(dir, self.limits, self.names_left)?;
        self.names_left = self.names_left.saturating_sub(listing.count);
        if listing.is_cut {
            self.left_out.unlisted(format!(
                "{} has more than the {} entries that were looked at",
                escape(path),
                listing.count
            ));
        }
        Ok(listing)
    }

    /// Where a path of the folder leads; `None` when that is nowhere, or further than is followed:
    /// one link of an attacker's must not keep all else from being shown.
    pub fn reach(&mut self, path: &[u8]) -> Result<Option<Found>, ReadError> {
        match self.root.find(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.leads_nowhere() => Ok(None),
            Err(error) if error.is_limit() || error.is_unfollowed() => {
                self.left_out.unlisted(error.to_string());
                self.is_unsure = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Goes down from a place by names as a Mac finds them, links followed; `None` when there is no
    /// directory.
    pub fn spelled_path(
        &mut self,
        place: &mut Place,
        names: &[&[u8]],
    ) -> Result<Option<Found>, ReadError> {
        let mut last = None;
        for wanted in names {
            let Some(above) = self.reach(&place.path)? else {
                return Ok(None);
            };
            if above.meta.kind != Kind::Directory {
                return Ok(None);
            }
            let Some(name) = above.open_dir()?.spelled(wanted)? else {
                return Ok(None);
            };
            place.path = join(&place.path, &name);
            let Some(found) = self.reach(&place.path)? else {
                return Ok(None);
            };
            place.writable_by = place.writable_by.max(WritableBy::of(&found.meta));
            place.device = found.meta.dev;
            last = Some(found);
        }
        Ok(last.filter(|found| found.meta.kind == Kind::Directory))
    }

    /// Takes one candidate, unless it was come upon before: the loader's places come first.
    pub fn take(
        &mut self,
        path: Vec<u8>,
        suffix: Suffix,
        place: &Place,
        listed: Listed,
        is_double: bool,
    ) {
        if self.found.contains_key(&path) {
            return;
        }
        match suffix {
            Suffix::Exact => {}
            Suffix::OtherCase => self.anomalies.push("letter_case"),
            Suffix::Platform => self.anomalies.push("platform_suffix"),
            _ => self.anomalies.push("look_alike"),
        }
        if is_double {
            self.anomalies.push("same_letters");
        }
        if self.found.len() >= self.limits.candidates {
            return self.left_out.candidate();
        }
        let candidate = Candidate {
            path: path.clone(),
            via: place.via,
            suffix,
            listed,
            folder: self.index,
            ancestors_writable_by: place.writable_by,
            is_double,
            left_out: Vec::new(),
        };
        self.found.insert(path, candidate);
    }
}

/// A path below a directory.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}
