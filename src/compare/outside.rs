//! What stands outside of what is compared and runs with it: the same bundle is not the same where that differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::side::Thing;
use crate::collect::{Outside, Sum};
use crate::digest::Records;
use crate::meta::Kind;
use crate::order;
use crate::report::named;
use crate::scan::Snapshot;
use crate::text::{escape, hex};

/// What a scan of the disk says of a plug-in there; `None` where none is found at the path.
pub fn of(snapshot: &Snapshot, root: &Path, path: &Path) -> Option<Outside> {
    let bundle = named::find(snapshot, root, path).ok()?;
    Some(Outside::of(bundle))
}

/// What an archive holds at a place, by the path below it.
type Members = BTreeMap<Vec<u8>, (Kind, [u8; 32])>;

/// What an archive holds at places that are asked for.
#[derive(Debug, Default)]
pub struct Held {
    places: BTreeMap<Vec<u8>, Members>,
    /// Those of which it says itself that its bundle leads there.
    named: BTreeSet<Vec<u8>>,
}

impl Held {
    /// Nothing yet, of these places and of those that are asked for also.
    pub fn at(named: BTreeSet<Vec<u8>>, also: Option<&Outside>) -> Self {
        let also = also.into_iter().flat_map(|also| also.places.keys());
        let all = named.iter().chain(also).cloned();
        Self {
            places: order::gather(all.map(|path| (path, Members::new()))),
            named,
        }
    }

    /// The places that a path is, or stands below, each with the path below it.
    fn places(&self, path: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/');
        let ends = ends.map(|(end, _)| end).chain([path.len()]);
        let above = ends.filter_map(|end| Some((path.get(..end)?, path.get(end..)?)));
        let known = above.filter(|(above, _)| self.places.contains_key(*above));
        let own = |(above, below): (&[u8], &[u8])| {
            let below = below.strip_prefix(b"/").unwrap_or(below);
            (above.to_vec(), below.to_vec())
        };
        known.map(own).collect()
    }

    /// True when something is held of that path.
    pub fn wants(&self, path: &[u8]) -> bool {
        !self.places(path).is_empty()
    }

    /// Holds a member.
    pub fn add(&mut self, path: &[u8], thing: &Thing) {
        for (place, below) in self.places(path) {
            let held = self.places.entry(place).or_default();
            held.insert(below, (thing.kind, thing.sha256));
        }
    }

    /// The SHA-256 of a member that another is a hard link to.
    pub fn sha256(&self, path: &[u8]) -> Option<[u8; 32]> {
        let (place, below) = self.places(path).pop()?;
        let (_, sha256) = self.places.get(&place)?.get(&below)?;
        Some(*sha256)
    }

    /// The digest of each place of which there is something; none of one that should be there.
    pub fn into_outside(self, is_cut: bool) -> Outside {
        let digest = |held: &Members| {
            let top = held.get(b"".as_slice());
            let is_directory = top.is_none_or(|(kind, _)| *kind == Kind::Directory);
            let mut records = Records::default();
            for (path, (kind, sha256)) in held {
                if !(is_directory && path.is_empty()) {
                    records.add(*kind, sha256, path);
                }
            }
            records.finish()
        };
        let places = self.places.into_iter().filter_map(|(path, held)| {
            let is_there = !held.is_empty();
            let is_known = is_there || self.named.contains(&path);
            is_known.then(|| (path, is_there.then(|| digest(&held))))
        });
        Outside {
            places: order::gather(places),
            is_cut,
        }
    }
}

/// What came of holding what stands outside of one against that of the other.
#[derive(Debug, Default)]
pub struct Compared {
    /// A line for each place that differs.
    pub altered: Vec<String>,
    /// What is not known to be the same, each in a line.
    pub unknown: Vec<String>,
}

/// Holds them against each other. Where nothing is known of one, it is not known what it leads to.
pub fn compare(one: Option<&Outside>, other: Option<&Outside>) -> Compared {
    let mut compared = Compared::default();
    let of = |side: Option<&Outside>, path: &Vec<u8>| -> Option<Sum> {
        side.and_then(|outside| outside.places.get(path).copied())
    };
    let sides = [(one, "PATH"), (other, "OTHER")];
    let places = sides.iter().filter_map(|(side, _)| *side);
    let paths: BTreeSet<&Vec<u8>> = order::gather(places.flat_map(|outside| outside.places.keys()));
    for path in paths {
        let shown = escape(path);
        match (of(one, path), of(other, path)) {
            (Some(Some(a)), Some(Some(b))) if a == b => {}
            (Some(Some(a)), Some(Some(b))) => {
                let (a, b) = (hex(&a), hex(&b));
                let line = format!("{shown}  outside, digest {a}, was {b}");
                compared.altered.push(line);
            }
            (Some(_), Some(_)) => {
                let line = format!("{shown}, outside: it could not be read whole");
                compared.unknown.push(line);
            }
            (Some(_), None) => compared.unknown.push(lacking(&shown, "PATH", "OTHER")),
            (None, _) => compared.unknown.push(lacking(&shown, "OTHER", "PATH")),
        }
    }
    for (side, name) in sides {
        if side.is_some_and(|outside| outside.is_cut) {
            let line = format!("not all was followed that {name} leads to outside of it");
            compared.unknown.push(line);
        }
    }
    compared
}

fn lacking(shown: &str, has: &str, lacks: &str) -> String {
    format!("{shown}, outside: {has} leads there, and of {lacks} it is not known what stands there")
}
