//! What stands outside of what is compared and runs with it: the same bundle is not the same where that differs.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::change::Change;
use super::side::Thing;
use crate::collect::{Outside, Sum};
use crate::digest::Records;
use crate::meta::{Kind, Rights, Special};
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
    /// True for what its file system has compressed: of its content nothing is known.
    pub is_compressed: bool,
}

/// What an archive holds at a place, by the path below it.
type Members = BTreeMap<Vec<u8>, Member>;

/// A place that is asked for.
#[derive(Debug)]
struct Place {
    /// Its path as it is put in order.
    key: Vec<u8>,
    path: Vec<u8>,
    /// The next that stands above it.
    above: Option<usize>,
    /// True when the archive says itself that its bundle leads there.
    is_named: bool,
    members: Members,
}

/// What an archive holds at places that are asked for.
#[derive(Debug, Default)]
pub struct Held {
    /// In order: what stands below one comes directly behind it.
    places: Vec<Place>,
    /// Bytes of the longest of their paths.
    longest: usize,
    /// Where the bundle really stands, when that is elsewhere than it is called.
    stands: Option<Vec<u8>>,
    /// The directories above all of these.
    ways: BTreeMap<Vec<u8>, Rights>,
    /// Those that the archive names itself, as lines show them.
    shown: Vec<String>,
    /// Bytes that are yet looked through for these: whoever wrote an archive chose how many lines there are, and places.
    left: Cell<usize>,
}

/// Bytes of lines that are looked through for places, each line for each.
const MOST_LOOKED_THROUGH: usize = 256 << 20;
/// What a member takes at each place beside its path.
const COPY: usize = 192;

/// A path as it is put in order: its slash comes before all else.
fn key(path: &[u8]) -> Vec<u8> {
    let key = path.iter().map(|b| if *b == b'/' { 0 } else { *b });
    key.collect()
}

impl Held {
    /// Nothing yet, of these places and of those that are asked for also, and of the way to where the bundle stands.
    pub fn at(named: &[&[u8]], also: Option<&Outside>, stands: Option<Vec<u8>>) -> Self {
        let also = also.into_iter().flat_map(|also| also.places.keys());
        let also = also.map(|path| (path.as_slice(), false));
        let named = named.iter().map(|path| (*path, true));
        let all: BTreeMap<Vec<u8>, (&[u8], bool)> =
            order::gather(also.chain(named).map(|(path, is)| (key(path), (path, is))));
        let mut held = Self {
            stands,
            left: Cell::new(MOST_LOOKED_THROUGH),
            ..Self::default()
        };
        for (key, (path, is_named)) in all {
            held.longest = held.longest.max(path.len());
            if is_named {
                held.shown.push(escape(path));
            }
            let above = held.nearest(path);
            held.places.push(Place {
                key,
                path: path.to_vec(),
                above,
                is_named,
                members: Members::new(),
            });
        }
        held
    }

    /// The nearest place that a path is, or stands below. What that takes does not depend on how many stand above it.
    fn nearest(&self, path: &[u8]) -> Option<usize> {
        let most = self.longest.saturating_add(1);
        let start = path.get(..most).unwrap_or(path);
        let start_key = key(start);
        let after = self.places.partition_point(|place| place.key <= start_key);
        let mut near = after.checked_sub(1);
        // All that stand above the path stand above the last that comes before it.
        let last = near.and_then(|near| self.places.get(near))?;
        let common = last.path.iter().zip(start).take_while(|(a, b)| a == b);
        let common = common.count();
        while let Some(place) = near.and_then(|near| self.places.get(near)) {
            let len = place.path.len();
            if len <= common && matches!(path.get(len), None | Some(b'/')) {
                break;
            }
            near = place.above;
        }
        near
    }

    /// True for what stands above a place.
    fn leads_to_one(&self, path: &[u8]) -> bool {
        let rest = self.stands.as_ref().and_then(|s| s.strip_prefix(path));
        if !path.is_empty() && rest.is_some_and(|rest| rest.starts_with(b"/")) {
            return true;
        }
        if path.is_empty() || path.len() >= self.longest {
            return false;
        }
        let start = [key(path).as_slice(), &[0]].concat();
        let first = self.places.partition_point(|place| place.key < start);
        let first = self.places.get(first);
        first.is_some_and(|place| place.key.starts_with(&start))
    }

    /// True when something is held of that path.
    pub fn wants(&self, path: &[u8]) -> bool {
        self.nearest(path).is_some() || self.leads_to_one(path)
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

    /// Holds a member at each of its places, as long as there is room; `None` when there is not.
    pub fn add(&mut self, path: &[u8], thing: &Thing, room: &mut usize) -> Option<()> {
        let mut near = self.nearest(path);
        if near.is_none() && thing.kind == Kind::Directory {
            self.ways.insert(path.to_vec(), thing.rights);
        }
        let member = Member {
            kind: thing.kind,
            rights: thing.rights,
            sha256: thing.sha256,
            fork: thing.fork.as_deref().copied(),
            is_compressed: thing.is_compressed,
        };
        while let Some(place) = near.and_then(|near| self.places.get_mut(near)) {
            let below = below(path, &place.path);
            *room = room.checked_sub(below.len().saturating_add(COPY))?;
            place.members.insert(below.to_vec(), member);
            near = place.above;
        }
        Some(())
    }

    /// The member that another is a hard link to.
    pub fn first(&self, path: &[u8]) -> Option<Member> {
        let place = self.places.get(self.nearest(path)?)?;
        place.members.get(below(path, &place.path)).copied()
    }

    /// What stands at each place of which there is something; nothing is known of one at which there should be.
    pub fn into_outside(self) -> Outside {
        let places = self.places.into_iter().filter_map(|place| {
            let is_known = !place.members.is_empty() || place.is_named;
            is_known.then(|| (place.path, sum(&place.members)))
        });
        Outside {
            places: order::gather(places),
            ways: self.ways,
            ..Outside::default()
        }
    }
}

/// The path below a place of what stands there.
fn below<'p>(path: &'p [u8], place: &[u8]) -> &'p [u8] {
    let below = path.get(place.len()..).unwrap_or_default();
    below.strip_prefix(b"/").unwrap_or(below)
}

/// That of what is held of a place; `None` where nothing is, or not all that counts: of a resource fork a scan says
/// that it is there, and not what is in it; and what is compressed says nothing; and an earlier version did not say which socket, FIFO or device stood there.
fn sum(held: &Members) -> Option<Sum> {
    let mut members = held.values();
    let is_untold = |member: &Member| {
        member.fork.is_some()
            || member.is_compressed
            || member.kind == Kind::Other(Special::Unknown)
    };
    if held.is_empty() || members.any(is_untold) {
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
                if a.specials != b.specials {
                    let line =
                        format!("{shown}  outside, which socket, FIFO or device stands there");
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
    compared.changes.extend(ways(one, other));
    let stands = |side: Option<&Outside>| side.and_then(|side| side.stands.clone());
    if let (Some(a), Some(b)) = (stands(one), stands(other))
        && a != b
    {
        let [a, b] = [a, b].map(|path| match path.as_slice() {
            b"" => "where it is called".to_owned(),
            path => escape(path),
        });
        let line = format!("the bundle itself  stands {a}, stood {b}");
        compared.changes.push((Change::Altered, line));
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

/// A line for each directory on the way to what stands outside with which others may do something else. What one side
/// does not say of that is no difference.
fn ways(one: Option<&Outside>, other: Option<&Outside>) -> Vec<(Change, String)> {
    let mut changes = Vec::new();
    let (Some(one), Some(other)) = (one, other) else {
        return changes;
    };
    for (path, a) in &one.ways {
        let Some(b) = other.ways.get(path) else {
            continue;
        };
        let shown = escape(path);
        if a.mode != b.mode {
            let line = format!(
                "{shown}  on the way outside, {:04o}, was {:04o}",
                a.mode, b.mode
            );
            changes.push((Change::Mode, line));
        }
        if a.owner != b.owner {
            let line = format!("{shown}  on the way outside, {}, was {}", a.owner, b.owner);
            changes.push((Change::Owner, line));
        }
    }
    changes
}

fn lacking(shown: &str, has: &str, lacks: &str) -> String {
    format!("{shown}, outside: {has} leads there, and of {lacks} it is not known what stands there")
}
