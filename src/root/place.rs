//! What an image of a Mac's disk proves of a place, by its names alone.
//!
//! An image may be of one volume of several, and whoever is root on that Mac puts what he wants where no Mac looks for it.
//! So a place is taken for the one that the Mac has only where every Mac since 10.15 has the data volume
//! (`/usr/share/firmlinks`), and not because nothing is known against it.

use super::detour::{PRIVATE, SYSTEM_LINKS};
use crate::firm_links::FURTHER_DOWN;
use crate::name;

/// Names of the longest place that is told from others, and one more.
pub(super) const NAMES_OF_A_PLACE: usize = 10;
/// Where the data volume stands as a whole.
const DATA: &str = "System/Volumes/Data";
/// Firm links at a Mac's top that every Mac has; those further down are known elsewhere.
const LINKS_AT_TOP: &[&str] = &["Applications", "Library", "Users", "opt", "private"];
/// The one place of the system's volume that is looked at: an old plug-in folder, and what stands in it.
const FOLDER: &str = "System/Library/Frameworks/DirectoryService.framework";
/// Below these each name is another volume, or a share that is mounted when it is asked for (`/etc/auto_master`).
const MOUNTED: &[&str] = &["Volumes", "Network", "net", "home", "System/Volumes"];
/// What stands on the system's volume.
const SYSTEM: &[&str] = &["System", "bin", "sbin", "usr"];
/// Volumes of the system's own in which libraries are.
const CRYPTEXES: &[&str] = &[
    "System/Cryptexes/App",
    "System/Cryptexes/ExclaveOS",
    "System/Cryptexes/OS",
    "System/Volumes/Preboot/Cryptexes/App",
    "System/Volumes/Preboot/Cryptexes/ExclaveOS",
    "System/Volumes/Preboot/Cryptexes/OS",
];
/// What else every Mac has at its `/`.
const AT_TOP: &[&str] = &["Network", "Volumes", "cores", "dev", "home", "net"];

/// What is asked of a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// What the system's volume has is taken as the image has it.
    pub trusts_system: bool,
    /// The way begins at the system's own plug-in folder.
    pub is_of_folder: bool,
    /// The Mac makes names at its `/` when it starts (`synthetic.conf(5)`), or may.
    pub makes_names: bool,
    /// The way has come to the top by the data volume's own name, which shows what no firm link leads to as well.
    pub by_data: bool,
}

/// What a place is to a Mac.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On the data volume, so many names of it being the firm link; none where what it has is asked of no other.
    Own(usize),
    /// Above another place: where a path ends here, or a link is here, the Mac may have something else.
    Way,
    /// It begins with so many names of a place where volumes are mounted.
    Mounted(usize),
    /// So many names of it may be another volume's.
    Another(usize),
}

/// What a Mac has at a place, by its names from the top.
pub(super) fn place(names: &[&[u8]], asked: Asked) -> Place {
    if asked.by_data {
        return place_on_data(names, asked);
    }
    // What stands at its top an image of the data volume does not say, but by names that are known.
    if names.is_empty() {
        return Place::Way;
    }
    if let Some(rest) = after(names, DATA) {
        let before = names.len().saturating_sub(rest.len());
        return match place_on_data(rest, asked) {
            Place::Another(count) => Place::Another(count.saturating_add(before)),
            other => other,
        };
    }
    let is_below = |own: &str| after(names, own).is_some();
    let is_above = |own: &str| is_above(names, own);
    let by_links = by_firm_links(names);
    if matches!(by_links, Place::Own(_)) {
        return by_links;
    }
    let is_private = |first: &&[u8]| PRIVATE.iter().any(|own| name::same(first, own));
    let is_of_folder = asked.is_of_folder && (is_below(FOLDER) || is_above(FOLDER));
    let is_cryptex = asked.trusts_system && CRYPTEXES.iter().any(|own| is_below(own));
    if names.first().is_some_and(is_private) || is_of_folder || is_cryptex {
        return Place::Own(0);
    }
    if is_trusted(names, asked) {
        return Place::Own(0);
    }
    let is_way = by_links == Place::Way
        || SYSTEM_LINKS.iter().any(|(own, _)| is_above(own))
        || MOUNTED
            .iter()
            .any(|own| after(names, own).is_some_and(<[_]>::is_empty))
        || asked.trusts_system && CRYPTEXES.iter().any(|own| is_above(own))
        || is_above(DATA);
    if is_way {
        return Place::Way;
    }
    if let Some(own) = MOUNTED.iter().find(|own| is_below(own)) {
        return Place::Mounted(count(own).saturating_add(1));
    }
    match names {
        _ if is_at_top(names) => of_the_system(names),
        // No Mac has another name there, but where it makes that itself.
        _ if !asked.makes_names => Place::Own(1),
        [_] => Place::Way,
        _ => Place::Another(1),
    }
}

/// The same by the data volume's own name.
fn place_on_data(names: &[&[u8]], asked: Asked) -> Place {
    match by_firm_links(names) {
        Place::Own(count) => Place::Own(count),
        _ if is_trusted(names, asked) => Place::Own(0),
        Place::Way => Place::Way,
        _ if is_at_top(names) => of_the_system(names),
        _ => Place::Own(1),
    }
}

/// Where every Mac has its data volume.
fn on_data() -> impl Iterator<Item = &'static str> + Clone {
    let further = FURTHER_DOWN.iter().map(|link| link.trim_start_matches('/'));
    LINKS_AT_TOP.iter().copied().chain(further)
}

pub(super) fn by_firm_links(names: &[&[u8]]) -> Place {
    let mut links = on_data();
    match links.clone().find(|own| after(names, own).is_some()) {
        Some(own) => Place::Own(count(own)),
        None if links.any(|own| is_above(names, own)) => Place::Way,
        None => Place::Another(1),
    }
}

/// True of what the system's volume has, where an image's own is taken for it: what is a volume of its own is none.
fn is_trusted(names: &[&[u8]], asked: Asked) -> bool {
    let is_below = |own: &str| after(names, own).is_some();
    let is_volume = is_below("System/Cryptexes") || is_below("System/Volumes");
    asked.trusts_system && !is_volume && SYSTEM.iter().any(|own| is_below(own))
}

pub(super) fn is_of_the_system(names: &[&[u8]]) -> bool {
    SYSTEM.iter().any(|own| after(names, own).is_some())
}

fn of_the_system(names: &[&[u8]]) -> Place {
    match is_of_the_system(names) {
        true => Place::Another(names.len().min(2)),
        false => Place::Another(1),
    }
}

fn count(own: &str) -> usize {
    own.split('/').count()
}

/// The names on the data volume, by its own name.
pub(super) fn below_data<'n, 'p>(names: &'n [&'p [u8]]) -> Option<&'n [&'p [u8]]> {
    after(names, DATA)
}

/// True for what begins with a name that every Mac has at its `/`.
pub(super) fn is_at_top(names: &[&[u8]]) -> bool {
    let is_below = |own: &&&str| after(names, own).is_some();
    let is_private = |first: &&[u8]| PRIVATE.iter().any(|own| name::same(first, own));
    // Of those that are not shown the system has some, and no bundle leads there.
    let is_hidden = |first: &&[u8]| first.starts_with(b".");
    let mut all = LINKS_AT_TOP.iter().chain(AT_TOP).chain(SYSTEM);
    let is_first = |first: &&[u8]| is_private(first) || is_hidden(first);
    names.first().is_some_and(is_first) || all.any(|own| is_below(&own))
}

/// True where an image that lacks it at its top is one of a part: every Mac has it, and not of the system's volume.
pub(super) fn is_of_each(name: &[u8]) -> bool {
    // That firm link may lead nowhere.
    is_at_top(&[name]) && !is_of_the_system(&[name]) && !name::same(name, b"opt")
}

/// True for a path to the system's own plug-in folder, or below it, that leads nowhere up.
pub(super) fn is_of_folder(path: &[u8]) -> bool {
    let names: Vec<&[u8]> = path
        .split(|b| *b == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .collect();
    let is_below = |folder: &str, from: &[&[u8]]| after(from, folder).is_some();
    let is_there = |rest: &[&[u8]]| match rest.get(..2) {
        Some([versions, _]) if name::same(versions, b"Versions") => {
            is_below("Resources/Plugins", rest.get(2..).unwrap_or_default())
        }
        _ => is_below("Resources/Plugins", rest),
    };
    !names.contains(&b"..".as_slice()) && after(&names, FOLDER).is_some_and(is_there)
}

/// What comes after the names of another place.
fn after<'n, 'p>(names: &'n [&'p [u8]], own: &str) -> Option<&'n [&'p [u8]]> {
    let mut rest = names;
    for own in own.split('/') {
        let (first, after) = rest.split_first()?;
        if !name::same(first, own.as_bytes()) {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

/// True for a place above another.
fn is_above(names: &[&[u8]], own: &str) -> bool {
    let own = own.split('/').map(str::as_bytes);
    own.clone().count() > names.len() && names.iter().zip(own).all(|(a, b)| name::same(a, b))
}
