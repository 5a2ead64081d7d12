//! What an image of a Mac's disk does not say: it may be of one volume alone, with nothing in the places of the others,
//! and whoever is root on that Mac puts what he wants where no Mac looks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::path::{last_component, without_dots};
use super::place::{self, Asked, Place};
use crate::directory::{Dir, ReadError};
use crate::firm_links::{self, DATA};
use crate::meta::{Kind, Meta};
use crate::name;

/// Firm links by which an image may be merged: no Mac runs where these are none.
const BY_LINKS: &[&[u8]] = &[b"/Library", b"/private"];
/// Places that are asked whether a volume is mounted there; whoever has paths lead to more of them chooses their names.
const MOST_ASKED: usize = 64;

/// What stands for the Mac at a place of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// What the image has there, or nothing where that has nothing.
    Own,
    /// That is not known where the path ends here, nor of a link; of what it goes on to it may be.
    Way(Arc<[u8]>),
    /// Nobody knows: here begins what may be another volume's.
    Another(Arc<[u8]>),
}

/// What is known of the volumes of an image.
#[derive(Debug)]
pub(super) struct Image {
    top: Dir,
    /// The data volume, where the image has it at its own place and no firm link leads there: each name at the top may be
    /// there twice, and a Mac goes by that of the data.
    data: Option<Dir>,
    /// What stands there by the names of firm links.
    twins: Mutex<BTreeMap<Vec<u8>, Twin>>,
    /// Whether a volume is mounted at a place.
    mounted: Mutex<BTreeMap<Vec<u8>, bool>>,
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
        let is_synthetic = has_synthetic(top) || data.as_ref().is_some_and(has_synthetic);
        Self {
            top: top.clone(),
            data,
            twins: Mutex::default(),
            mounted: Mutex::default(),
            is_synthetic,
        }
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

    /// What stands for the Mac at a place, by its names from the top.
    pub(super) fn place(&self, names: &[&[u8]], asked: Asked) -> Standing {
        let first = |count: usize| path_of(names.get(..count).unwrap_or(names));
        let count = match place::place(names, asked) {
            Place::Own(0) => return Standing::Own,
            Place::Own(count) => {
                let below_data = place::below_data(names);
                let is_short = !asked.by_data && below_data.is_none();
                let own = below_data.unwrap_or(names);
                let link = path_of(own.get(..count).unwrap_or(own));
                let is_other = match self.twin(&link) {
                    Twin::Same => false,
                    Twin::Missing => !is_short,
                    // A library that stands there alone is the one, or there is none.
                    Twin::Alone => is_short || !asked.trusts_system,
                    Twin::Other => true,
                };
                match is_other {
                    true => names.len(),
                    false => return Standing::Own,
                }
            }
            Place::Way => return Standing::Way(first(names.len()).into()),
            Place::Mounted(count) if self.is_mounted(&first(count)) => return Standing::Own,
            Place::Mounted(count) | Place::Another(count) => count,
        };
        Standing::Another(first(count).into())
    }

    /// The place of a firm link, in which a link stands. Nobody knows whether a Mac follows that; an image may be merged by
    /// some.
    pub(super) fn in_place_of_a_firm_link(&self, names: &[&[u8]]) -> Option<Arc<[u8]>> {
        let is_one = place::by_firm_links(names) == Place::Own(names.len());
        let path = path_of(names);
        (is_one && !merges(&self.top, &path)).then(|| path.into())
    }

    /// True for a link at the top by which the image is merged.
    pub(super) fn merges(&self, path: &[u8]) -> bool {
        self.data.is_some() && merges(&self.top, path)
    }

    /// True where somebody has mounted a volume in the image, too.
    pub(super) fn has_mounted(&self, place: &[u8]) -> bool {
        let device = |path: &[u8]| Some(stands(&self.top, path).ok()??.dev);
        let above = last_component(place).and_then(|(above, _)| device(above));
        above.is_some_and(|above| device(place).is_some_and(|here| here != above))
    }

    /// The same of a place that somebody else chooses.
    fn is_mounted(&self, place: &[u8]) -> bool {
        let mut mounted = self.mounted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = mounted.get(place) {
            return *known;
        }
        if mounted.len() >= MOST_ASKED {
            return false;
        }
        let is = self.has_mounted(place);
        mounted.insert(place.to_vec(), is);
        is
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
        if twins.len() >= MOST_ASKED {
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
            merges(top, link) && there.kind == Kind::Directory
        }
        (Some(here), Some(there)) => (here.dev, here.ino) == (there.dev, there.ino),
    };
    if is_same { Twin::Same } else { Twin::Other }
}

/// True for a link at the top by which an image is merged: it leads to its own name on the data volume.
fn merges(top: &Dir, link: &[u8]) -> bool {
    if !BY_LINKS.iter().any(|own| name::same(own, link)) {
        return false;
    }
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

/// The absolute path of names.
fn path_of(names: &[&[u8]]) -> Vec<u8> {
    [b"/", names.join(b"/".as_slice()).as_slice()].concat()
}

/// What stands at a path below a directory. A link on the way is none that is followed.
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
            return Err(ReadError::elsewhere(path));
        }
        dir = dir.open_dir(&name)?;
    }
    Ok(None)
}
