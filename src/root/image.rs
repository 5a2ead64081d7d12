//! What an image of a Mac's disk does not say: it may be of one volume alone, with nothing in the places of the others,
//! and whoever is root on that Mac puts what he wants where no Mac looks for it.

use std::sync::Arc;

use super::path::{last_component, without_dots};
use crate::directory::{Dir, ReadError};
use crate::firm_links::{self, DATA};
use crate::meta::{Kind, Meta};
use crate::name;

/// The one place of the system's volume that is looked at: an old plug-in folder, and what stands in it.
const FOLDER: &[u8] = b"/System/Library/Frameworks/DirectoryService.framework";
/// Below these each name is another volume, or a share that is mounted when it is asked for (`/etc/auto_master`).
const MOUNTED: &[&[u8]] = &[b"Volumes", b"Network", b"net", b"home"];
/// What stands on the system's volume, where a Mac's root writes nothing and an image of the data has what he wrote.
const SYSTEM: &[&[u8]] = &[b"System", b"bin", b"sbin", b"usr"];

/// What is known of the volumes of an image.
#[derive(Clone, Debug)]
pub(super) struct Image {
    top: Dir,
    /// The data volume, where the image has it at its own place and no firm link leads there: each name at the top may be
    /// there twice, and a Mac goes by that of the data.
    data: Option<Dir>,
}

impl Image {
    /// What the directory that plays the `/` shows of it.
    pub(super) fn of(top: &Dir) -> Self {
        let names = DATA.split(|b| *b == b'/').skip(1);
        let data = names.map(Some).try_fold(top.clone(), |dir, name| {
            let name = dir.spelled(name?).ok().flatten()?;
            dir.open_dir(&name).ok()
        });
        Self {
            top: top.clone(),
            data,
        }
    }

    /// Why the plug-ins of the Mac are on another volume than this.
    pub(super) fn lacks_data(&self) -> Option<&'static str> {
        let data = self.data.as_ref()?;
        let is_empty = |dir: &Dir| dir.names(0).is_ok_and(|(_, has_more)| !has_more);
        let library = self.top.spelled(b"Library").ok().flatten();
        let library = library.and_then(|name| self.top.open_dir(&name).ok());
        if library.is_some_and(|library| !is_empty(&library)) {
            return None;
        }
        Some(if is_empty(data) {
            "it has no Library, and nothing is in its System/Volumes/Data, where the data volume belongs"
        } else {
            "its Library is in its System/Volumes/Data, which is the data volume"
        })
    }

    /// The place of another volume that an absolute path leads through, if it does: what an image has there need not be
    /// what the Mac finds, and what it lacks may be there.
    pub(super) fn served(&self, path: &[u8]) -> Option<Arc<[u8]>> {
        let path = without_dots(path);
        let place = mounted(&path).or_else(|| self.double(&path))?;
        (!self.is_mounted(place)).then(|| place.into())
    }

    /// True where somebody has mounted a volume in the image, too.
    fn is_mounted(&self, place: &[u8]) -> bool {
        let device = |path: &[u8]| Some(stands(&self.top, path).ok()??.dev);
        let above = last_component(place).and_then(|(above, _)| device(above));
        above.is_some_and(|above| device(place).is_some_and(|here| here != above))
    }

    /// The firm link that a path begins with, where the data volume has something else by its name.
    fn double<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let (data, link) = (self.data.as_ref()?, firm_links::first(path)?);
        let on_data = stands(data, link).ok().flatten()?;
        let is_other = match stands(&self.top, link) {
            Ok(Some(here)) => {
                here.kind == Kind::Directory && (here.dev, here.ino) != (on_data.dev, on_data.ino)
            }
            Ok(None) | Err(_) => true,
        };
        is_other.then_some(link)
    }
}

/// The place below which a path without dots leads to another volume than the system's and that of the data.
fn mounted(path: &[u8]) -> Option<&[u8]> {
    let names: Vec<&[u8]> = path.split(|b| *b == b'/').skip(1).collect();
    let is = |number: usize, own: &[u8]| names.get(number).is_some_and(|n| name::same(n, own));
    let is_own = is(0, b"System") && is(1, b"Volumes");
    let count = match () {
        () if MOUNTED.iter().any(|own| is(0, own)) => 2,
        // Cryptexes are volumes of the system's, and no path leads out of them.
        () if is_own && !is(2, b"Data") && !is(3, b"Cryptexes") => 3,
        () => return None,
    };
    let names = names.get(..count)?;
    let bytes = names.iter().map(|name| name.len().saturating_add(1)).sum();
    path.get(..bytes)
}

/// True for a path without dots to the system's own volume, but for the plug-in folder there: a Mac's root writes nothing
/// there, and an image of the data has what he wrote in its place.
pub(super) fn is_of_the_system(path: &[u8]) -> bool {
    let first = path.split(|b| *b == b'/').nth(1);
    let is_there = first.is_some_and(|first| SYSTEM.iter().any(|own| name::same(first, own)));
    let is_of_data = firm_links::below_data(path).is_some() || firm_links::leads_behind(path);
    is_there && !is_of_data && !is_way(FOLDER, path)
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
        if names.peek().is_none() {
            return dir.meta(&name).map(Some);
        }
        dir = dir.open_dir(&name)?;
    }
    Ok(None)
}
