//! What stands outside of what is compared and runs with it: the same bundle is not the same where that differs.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::change::Change;
use super::side::Thing;
use crate::collect::{Outside, Sum};
use crate::digest::Records;
use crate::meta::{Kind, Rights};
use crate::order;
use crate::text::{escape, hex};

/// A member of an archive, as it counts in the sum of a place.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    kind: Kind,
    rights: Rights,
    /// SHA-256 of its content, or of its text.
    pub sha256: [u8; 32],
    /// That of its resource fork.
    pub fork: Option<[u8; 32]>,
}

/// What an archive holds at a place, by the path below it.
type Members = BTreeMap<Vec<u8>, Member>;

/// What an archive holds at places that are asked for.
#[derive(Debug, Default)]
pub struct Held {
    places: BTreeMap<Vec<u8>, Members>,
    /// Those of which it says itself that its bundle leads there.
    named: BTreeSet<Vec<u8>>,
    /// They, as lines show them.
    shown: Vec<String>,
    /// Bytes that are yet looked through for these: whoever wrote an archive chose how many lines there are, and places.
    left: Cell<usize>,
}

/// Bytes of lines that are looked through for places, each line for each.
const MOST_LOOKED_THROUGH: usize = 256 << 20;

impl Held {
    /// Nothing yet, of these places and of those that are asked for also.
    pub fn at(named: BTreeSet<Vec<u8>>, also: Option<&Outside>) -> Self {
        let shown = named.iter().map(|path| escape(path)).collect();
        let also = also.into_iter().flat_map(|also| also.places.keys());
        let all = named.iter().chain(also).cloned();
        Self {
            places: order::gather(all.map(|path| (path, Members::new()))),
            shown,
            named,
            left: Cell::new(MOST_LOOKED_THROUGH),
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

    /// True for a line that names one of these places, or what stands below one; and for any, once too much was looked
    /// through.
    pub fn tells_of(&self, line: &str) -> bool {
        let work = line.len().saturating_mul(self.shown.len());
        let left = self.left.get().checked_sub(work);
        self.left.set(left.unwrap_or_default());
        let mut shown = self.shown.iter();
        left.is_none() || shown.any(|place| line.contains(place.as_str()))
    }

    /// Holds a member.
    pub fn add(&mut self, path: &[u8], thing: &Thing) {
        for (place, below) in self.places(path) {
            let held = self.places.entry(place).or_default();
            let member = Member {
                kind: thing.kind,
                rights: thing.rights,
                sha256: thing.sha256,
                fork: thing.fork.as_deref().copied(),
            };
            held.insert(below, member);
        }
    }

    /// The member that another is a hard link to.
    pub fn first(&self, path: &[u8]) -> Option<Member> {
        let (place, below) = self.places(path).pop()?;
        self.places.get(&place)?.get(&below).copied()
    }

    /// What stands at each place of which there is something; nothing is known of one at which there should be.
    pub fn into_outside(self, executable: Option<Vec<u8>>, is_cut: bool) -> Outside {
        let places = self.places.into_iter().filter_map(|(path, held)| {
            let is_known = !held.is_empty() || self.named.contains(&path);
            is_known.then(|| (path, sum(&held)))
        });
        Outside {
            places: order::gather(places),
            executable,
            is_by_name: false,
            is_cut,
        }
    }
}

/// That of what is held of a place; `None` where nothing is, or not all that counts: of a resource fork a scan says
/// that it is there, and not what is in it.
fn sum(held: &Members) -> Option<Sum> {
    let mut members = held.values();
    if held.is_empty() || members.any(|member| member.fork.is_some()) {
        return None;
    }
    let top = held.get(b"".as_slice());
    let is_directory = top.is_none_or(|member| member.kind == Kind::Directory);
    let mut records = Records::default();
    for (path, member) in held {
        if !(is_directory && path.is_empty()) {
            records.add(member.kind, &member.sha256, path);
        }
    }
    let entries = held.iter();
    let entries = entries.map(|(path, member)| (path.as_slice(), member.kind, member.rights));
    Some(Sum::new(records.finish(), entries))
}

/// What came of holding what stands outside of one against that of the other.
#[derive(Debug, Default)]
pub struct Compared {
    /// A line for each difference.
    pub changes: Vec<(Change, String)>,
    /// What is not known to be the same, each in a line.
    pub unknown: Vec<String>,
}

/// Holds them against each other. Where nothing is known of one, it is not known what it leads to. `have_one_name` says
/// whether both bundles are called the same.
pub fn compare(one: Option<&Outside>, other: Option<&Outside>, have_one_name: bool) -> Compared {
    let mut compared = Compared::default();
    let of = |side: Option<&Outside>, path: &Vec<u8>| -> Option<Option<Sum>> {
        side.and_then(|outside| outside.places.get(path).copied())
    };
    let sides = [(one, "PATH"), (other, "OTHER")];
    let places = sides.iter().filter_map(|(side, _)| *side);
    let paths: BTreeSet<&Vec<u8>> = order::gather(places.flat_map(|outside| outside.places.keys()));
    for path in &paths {
        let shown = escape(path);
        match (of(one, path), of(other, path)) {
            (Some(Some(a)), Some(Some(b))) => {
                if a.content != b.content {
                    let (a, b) = (hex(&a.content), hex(&b.content));
                    let line = format!("{shown}  outside, digest {a}, was {b}");
                    compared.changes.push((Change::Altered, line));
                }
                for (change, differs) in [
                    (Change::Mode, a.modes != b.modes),
                    (Change::Owner, a.owners != b.owners),
                ] {
                    let line = || format!("{shown}  outside, of it or of what stands in it");
                    compared.changes.extend(differs.then(|| (change, line())));
                }
            }
            (Some(_), Some(_)) => {
                let line = format!("{shown}, outside: it could not be read whole");
                compared.unknown.push(line);
            }
            (Some(_), None) => compared.unknown.push(lacking(&shown, "PATH", "OTHER")),
            (None, _) => compared.unknown.push(lacking(&shown, "OTHER", "PATH")),
        }
    }
    let executable = |side: Option<&Outside>| side.and_then(|side| side.executable.clone());
    let by_name = |side: Option<&Outside>| side.is_some_and(|side| side.is_by_name);
    let is_by_name = !have_one_name && (by_name(one) || by_name(other));
    let is_said = one.is_some() && other.is_some() && !paths.is_empty();
    match (executable(one), executable(other)) {
        (Some(a), Some(b)) if a == b => {}
        (Some(a), Some(b)) => {
            let [a, b] = [a, b].map(|path| match path.as_slice() {
                b"" => "none".to_owned(),
                path => escape(path),
            });
            let line = format!("the main executable  {a}, was {b}");
            compared.changes.push((Change::Altered, line));
        }
        (a, _) if is_by_name || is_said => {
            let name = if a.is_none() { "PATH" } else { "OTHER" };
            let why = if is_by_name {
                "the Info.plist names none, so the bundle's own name tells, and they have not the same"
            } else {
                "an archive of an earlier version does not say it"
            };
            let line = format!("which file is the main executable of {name}: {why}");
            compared.unknown.push(line);
        }
        // Nothing outside has a part in it: of two that hold the same it is the same.
        _ => {}
    }
    for (side, name) in sides {
        if side.is_some_and(|outside| outside.is_cut) {
            let line = format!("not all is known that {name} leads to outside of it");
            compared.unknown.push(line);
        }
    }
    compared
}

fn lacking(shown: &str, has: &str, lacks: &str) -> String {
    format!("{shown}, outside: {has} leads there, and of {lacks} it is not known what stands there")
}
