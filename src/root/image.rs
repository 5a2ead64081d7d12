//! What an image of a Mac's disk does not say: it may be of one volume alone, with nothing in the places of the others,
//! and whoever is root on that Mac puts what he wants where no Mac looks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::path::{last_component, without_dots};
use crate::directory::{Dir, ReadError};
use crate::firm_links::{self, DATA};
use crate::meta::{Kind, Meta};
use crate::name;

/// Names by which a place of another volume begins at most (`/System/Volumes/VM`).
pub(super) const NAMES_OF_A_PLACE: usize = 3;
/// The one place of the system's volume that is looked at: an old plug-in folder, and what stands in it.
const FOLDER: &[u8] = b"/System/Library/Frameworks/DirectoryService.framework";
/// Below these each name is another volume, or a share that is mounted when it is asked for (`/etc/auto_master`).
const MOUNTED: &[&[u8]] = &[b"Volumes", b"Network", b"net", b"home"];
/// What stands on the system's volume, where a Mac's root writes nothing and an image of the data has what he wrote.
const SYSTEM: &[&[u8]] = &[b"System", b"bin", b"sbin", b"usr"];
/// What every Mac has at its `/`, whatever an image of its data volume has.
const AT_TOP: &[&[u8]] = &[
    b"Applications",
    b"Library",
    b"Network",
    b"System",
    b"Users",
    b"Volumes",
    b"bin",
    b"cores",
    b"dev",
    b"etc",
    b"home",
    b"net",
    b"opt",
    b"private",
    b"sbin",
    b"tmp",
    b"usr",
    b"var",
];
/// Firm links that are compared with the data volume; whoever has a path lead by more of them chooses their names.
const MOST_COMPARED: usize = 64;

/// What is known of the volumes of an image.
#[derive(Debug)]
pub(super) struct Image {
    top: Dir,
    /// The data volume, where the image has it at its own place and no firm link leads there: each name at the top may be
    /// there twice, and a Mac goes by that of the data.
    data: Option<Dir>,
    /// What stands there by the names of firm links.
    twins: Mutex<BTreeMap<Vec<u8>, Twin>>,
    /// True when the Mac makes names at its `/` when it starts (`synthetic.conf(5)`), or may.
    is_synthetic: bool,
}

impl Image {
    /// What the directory that plays the `/` shows of it.
    pub(super) fn of(top: &Dir) -> Self {
        let names = DATA.split(|b| *b == b'/').skip(1);
        let data = names.map(Some).try_fold(top.clone(), |dir, name| {
            let name = dir.spelled(name?).ok().flatten()?;
            dir.open_dir(&name).ok()
        });
        let number = |dir: &Dir| dir.own_meta().ok().map(|meta| (meta.dev, meta.ino));
        let data = data.filter(|data| number(data) != number(top));
        Self {
            top: top.clone(),
            data,
            twins: Mutex::default(),
            is_synthetic: has_synthetic(top),
        }
    }

    /// The same for another scan, which looks anew.
    pub(super) fn anew(&self) -> Self {
        Self::of(&self.top)
    }

    /// True when the Mac makes names at its `/` when it starts, or may.
    pub(super) fn is_synthetic(&self) -> bool {
        self.is_synthetic
    }

    /// Why the plug-ins of the Mac are on another volume than this, where its `Library`, if it has one, is `library`.
    pub(super) fn lacks_data(&self, library: Option<&Dir>) -> Option<&'static str> {
        let data = self.data.as_ref()?;
        if library.is_some_and(|library| !is_empty(library)) {
            return None;
        }
        Some(if is_empty(data) {
            "it has no Library, and nothing is in its System/Volumes/Data, where the data volume belongs"
        } else {
            "its Library is in its System/Volumes/Data, which is the data volume"
        })
    }

    /// The place of another volume that an absolute path without `..` leads through, if it does: what an image has there
    /// need not be what the Mac finds, and what it lacks may be there.
    pub(super) fn another(&self, path: &[u8], is_system_trusted: bool) -> Option<Arc<[u8]>> {
        let path = without_dots(path);
        let place = match firm_links::below_data(&path) {
            Some(b"") => None,
            // By the volume's own name the same is meant as by the short one.
            Some(rest) => {
                let link = firm_links::first(rest).or_else(|| first_name(rest));
                let is_other = |link: &&[u8]| match self.twin(link) {
                    Twin::Same => false,
                    // A library that stands there alone is the one, or there is none.
                    Twin::Alone => !is_system_trusted,
                    Twin::Missing | Twin::Other => true,
                };
                let place = mounted(rest).or_else(|| link.filter(is_other));
                let length = place.map(|place| DATA.len().saturating_add(place.len()));
                length.and_then(|length| path.get(..length))
            }
            None => {
                let is_other = |link: &&[u8]| matches!(self.twin(link), Twin::Other | Twin::Alone);
                mounted(&path)
                    .filter(|place| !self.is_mounted(place))
                    .or_else(|| firm_links::first(&path).filter(is_other))
                    .or_else(|| self.made(&path))
                    .or_else(|| of_the_system(&path).filter(|_| !is_system_trusted))
            }
        };
        place.map(Arc::from)
    }

    /// True where somebody has mounted a volume in the image, too.
    pub(super) fn is_mounted(&self, place: &[u8]) -> bool {
        let device = |path: &[u8]| Some(stands(&self.top, path).ok()??.dev);
        let above = last_component(place).and_then(|(above, _)| device(above));
        above.is_some_and(|above| device(place).is_some_and(|here| here != above))
    }

    /// A name at the top that the Mac makes itself.
    fn made<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let first = first_name(path).filter(|_| self.is_synthetic)?;
        let name = first.get(1..).filter(|name| !name.is_empty())?;
        let is_known = AT_TOP.iter().any(|own| name::same(name, own));
        (!is_known).then_some(first)
    }

    /// What the data volume has by the name of a firm link.
    fn twin(&self, link: &[u8]) -> Twin {
        let Some(data) = &self.data else {
            return Twin::Same;
        };
        let mut twins = self.twins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = twins.get(link) {
            return *known;
        }
        if twins.len() >= MOST_COMPARED {
            return Twin::Other;
        }
        let twin = twin(&self.top, data, link);
        twins.insert(link.to_vec(), twin);
        twin
    }
}

/// True for a directory that has nothing in it, where another volume may be mounted.
pub(super) fn is_empty(dir: &Dir) -> bool {
    dir.names(0).is_ok_and(|(_, has_more)| !has_more)
}

/// What the data volume has by the name of a firm link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twin {
    /// The same, or one is a link to the other, or neither has anything.
    Same,
    /// Nothing, where there is something at the top.
    Missing,
    /// Something, where there is nothing at the top.
    Alone,
    /// Something else, or it cannot be told.
    Other,
}

fn twin(top: &Dir, data: &Dir, link: &[u8]) -> Twin {
    let (Ok(here), Ok(there)) = (stands(top, link), stands(data, link)) else {
        return Twin::Other;
    };
    let is_same = match (here, there) {
        (None, None) => true,
        (Some(_), None) => return Twin::Missing,
        (None, Some(_)) => return Twin::Alone,
        (Some(here), Some(there)) if here.kind == Kind::Symlink => {
            leads_to_data(top, link) && there.kind == Kind::Directory
        }
        (Some(here), Some(there)) => (here.dev, here.ino) == (there.dev, there.ino),
    };
    if is_same { Twin::Same } else { Twin::Other }
}

/// True where a link at the top leads to its own name on the data volume.
fn leads_to_data(top: &Dir, link: &[u8]) -> bool {
    let text = || {
        let name = top.spelled(link.get(1..)?).ok()??;
        top.read_link(&name).ok()
    };
    text().is_some_and(|text| {
        let whole = without_dots(&[b"/", text.as_slice()].concat());
        firm_links::below_data(&whole) == Some(link)
    })
}

/// True where the Mac of an image makes names at its `/`, or where that cannot be told.
fn has_synthetic(top: &Dir) -> bool {
    let may_have = |above: &Dir| match above.spelled(b"etc") {
        Ok(None) => false,
        Ok(Some(name)) => match above.meta(&name) {
            // That of `/` leads to `private`.
            Ok(meta) if meta.kind == Kind::Symlink => above.path() != b"/",
            _ => above.open_dir(&name).map_or(true, |etc| {
                let names: [&[u8]; 2] = [b"synthetic.conf", b"synthetic.d"];
                names
                    .iter()
                    .any(|name| !matches!(etc.spelled(name), Ok(None)))
            }),
        },
        Err(_) => true,
    };
    let private = match top.spelled(b"private") {
        Ok(None) => Ok(None),
        Ok(Some(name)) => top.open_dir(&name).map(Some),
        Err(error) => Err(error),
    };
    may_have(top) || private.map_or(true, |private| private.is_some_and(|dir| may_have(&dir)))
}

/// The first name of a path, and the slash before it.
fn first_name(path: &[u8]) -> Option<&[u8]> {
    let name = path.split(|b| *b == b'/').nth(1)?;
    path.get(..name.len().saturating_add(1))
}

/// The beginning of a path, of so many names.
fn names_of(path: &[u8], count: usize) -> Option<&[u8]> {
    let names: Vec<&[u8]> = path.split(|b| *b == b'/').skip(1).collect();
    let bytes = names
        .get(..count)?
        .iter()
        .map(|name| name.len().saturating_add(1));
    path.get(..bytes.sum())
}

/// The place below which a path without dots leads to another volume than the system's and that of the data.
fn mounted(path: &[u8]) -> Option<&[u8]> {
    let names: Vec<&[u8]> = path.split(|b| *b == b'/').skip(1).collect();
    let is = |number: usize, own: &[u8]| names.get(number).is_some_and(|n| name::same(n, own));
    let is_own = is(0, b"System") && is(1, b"Volumes");
    match () {
        () if MOUNTED.iter().any(|own| is(0, own)) => names_of(path, 2),
        // Cryptexes are volumes of the system's, and no path leads out of them.
        () if is_own && !is(2, b"Data") && !is(3, b"Cryptexes") => names_of(path, 3),
        () => None,
    }
}

/// The beginning of a path without dots to the system's own volume, but for the plug-in folder there, firm links and
/// cryptexes.
fn of_the_system(path: &[u8]) -> Option<&[u8]> {
    let names: Vec<&[u8]> = path.split(|b| *b == b'/').skip(1).collect();
    let is = |number: usize, own: &[u8]| names.get(number).is_some_and(|n| name::same(n, own));
    let is_there = SYSTEM.iter().any(|own| is(0, own));
    let is_volume = is(0, b"System") && (is(1, b"Volumes") || is(1, b"Cryptexes"));
    let is_way_there = is_way(path, FOLDER) || is_way(FOLDER, path);
    if !is_there || is_volume || is_way_there || firm_links::leads_behind(path) {
        return None;
    }
    names_of(path, 2).or_else(|| names_of(path, 1))
}

/// True when a path is another, or stands below it.
fn is_way(above: &[u8], below: &[u8]) -> bool {
    below
        .split_at_checked(above.len())
        .is_some_and(|(head, rest)| {
            head.eq_ignore_ascii_case(above) && matches!(rest, [] | [b'/', ..])
        })
}

/// What stands at a path below a directory.
fn stands(dir: &Dir, path: &[u8]) -> Result<Option<Meta>, ReadError> {
    let mut dir = dir.clone();
    let mut names = path.split(|b| *b == b'/').skip(1).peekable();
    while let Some(name) = names.next() {
        let Some(name) = dir.spelled(name)? else {
            return Ok(None);
        };
        let meta = dir.meta(&name)?;
        if names.peek().is_none() {
            return Ok(Some(meta));
        }
        if meta.kind != Kind::Directory {
            return Ok(None);
        }
        dir = dir.open_dir(&name)?;
    }
    Ok(None)
}
