//! What a side is read from: the disk that `--root` names, or this computer, and never the one silently for the other.
//!
//! Whoever wrote an image could have put there what stands at the place of the responder's good copy, and made a path
//! lead nowhere on it that leads to the good one on his computer.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::plug_in::{self, Place};
use crate::directory::ReadError;
use crate::disk::Disk;
use crate::failure::Failure;
use crate::report::named::{Ways, by_name, more_than_one, spellings};
use crate::root::{Found, Root};
use crate::text::escape;

/// What somebody has given a path of.
pub struct Source {
    /// What stands there.
    pub found: Found,
    /// The path: of the disk, as the Mac names it, or of this computer.
    pub path: Vec<u8>,
    /// What it is to the plug-in folders of that disk; `None` for what stands elsewhere on this computer.
    pub place: Option<Place>,
}

impl Source {
    /// How it is shown: the path, where that leads, and on which disk.
    pub fn shown(&self, disk: &Disk) -> String {
        let leads = match self.found.path() {
            path if path == self.path => String::new(),
            path => format!(", which leads to {}", escape(&path)),
        };
        let on = match self.place {
            Some(_) => on(disk),
            None => "on this computer".to_owned(),
        };
        format!("{}{leads}, {on}", escape(&self.path))
    }

    /// True for what may be an archive that a responder made. What stands in a plug-in folder, or on an image, is
    /// what it is there.
    pub fn may_be_archive(&self, disk: &Disk) -> bool {
        match &self.place {
            Some(place) => *place == Place::Elsewhere && !disk.is_image(),
            None => true,
        }
    }

    fn on_disk(root: &Root, found: Found, path: Vec<u8>) -> Self {
        Self {
            found,
            place: Some(Place::of(root, &path)),
            path,
        }
    }
}

/// Finds what is compared: on the disk, or else on this computer.
///
/// # Errors
/// When nothing stands there, it cannot be told, or more than one thing is named so.
pub fn path(given: &Path, disk: &Disk, root: &Root) -> Result<Source, Failure> {
    let ways = Ways::following(given, &disk.root);
    let is_the_disks = is_the_disks(&ways);
    let here = || {
        let asked = (!is_the_disks).then(|| here(given));
        asked.transpose().map(Option::flatten)
    };
    let found = match on_disk(&ways.paths, disk, root)? {
        Some(source) if here().is_ok_and(|here| here.is_some()) => {
            return Err(Failure::wrong_call(format!(
                "{0} stands {1} and on this computer: name the one {2}, or the other by a relative path",
                given.display(),
                below_root(disk),
                through(disk, &source.path)
            )));
        }
        Some(source) => Some(source),
        None => here()?,
    };
    let candidates = if given.as_os_str().as_bytes().contains(&b'/') {
        Vec::new()
    } else {
        plug_in::names(root)
    };
    let called = by_name(candidates.iter().map(Vec::as_slice), root, given)?;
    match (called.as_slice(), found) {
        ([], Some(source)) => Ok(source),
        ([], None) => Err(nothing(given, disk, is_the_disks)),
        ([path], Some(source)) if source.place.is_some() && source.path == *path => Ok(source),
        ([path], None) => {
            let source = on_disk(&[path.to_vec()], disk, root)?;
            source.ok_or_else(|| nothing(given, disk, true))
        }
        (several, None) => Err(more_than_one(given, several)),
        (several, Some(_)) => {
            let paths: Vec<String> = several.iter().map(|path| escape(path)).collect();
            Err(Failure::wrong_call(format!(
                "{0} stands here, and a candidate is called so: name ./{0} or {1}",
                given.display(),
                paths.join(" or ")
            )))
        }
    }
}

/// Finds what that is held against: on this computer, but for what is named in a plug-in folder or through the root.
///
/// # Errors
/// As [`path`].
pub fn other(given: &Path, disk: &Disk, root: &Root) -> Result<Source, Failure> {
    let ways = Ways::following(given, &disk.root);
    if !is_the_disks(&ways) {
        if let Some(source) = here(given)? {
            return Ok(source);
        }
        return Err(match on_disk(&ways.paths, disk, root) {
            Ok(None) => nothing(given, disk, false),
            _ => Failure::wrong_call(format!(
                "nothing stands at {} on this computer, and what stands there {} may have been put there by whoever wrote that disk; {} names it",
                given.display(),
                below_root(disk),
                through(disk, given.as_os_str().as_bytes())
            )),
        });
    }
    let source = on_disk(&ways.paths, disk, root)?.ok_or_else(|| nothing(given, disk, true))?;
    // Who has the plug-in himself may mean that.
    if !ways.is_through && stands_here(given) {
        return Err(Failure::wrong_call(format!(
            "{} stands {} and on this computer: name the one {}, or an archive that dsplug collect makes of the other",
            given.display(),
            below_root(disk),
            through(disk, &source.path)
        )));
    }
    Ok(source)
}

/// True for a path that is never looked for elsewhere on this computer.
fn is_the_disks(ways: &Ways) -> bool {
    let mut paths = ways.paths.iter();
    ways.is_through || paths.any(|path| plug_in::is_written_into_one(path))
}

/// What stands first of some paths of the disk.
fn on_disk(paths: &[Vec<u8>], disk: &Disk, root: &Root) -> Result<Option<Source>, Failure> {
    for path in paths {
        match find(root, path) {
            Ok(Some(found)) => return Ok(Some(Source::on_disk(root, found, path.clone()))),
            Ok(None) => {}
            Err(error) => return Err(Failure::new(format!("{error}, {}", on(disk)))),
        }
    }
    Ok(None)
}

/// What stands at a path of this computer, which does not lead through the root.
fn here(given: &Path) -> Result<Option<Source>, Failure> {
    let host = Root::open(Path::new("/"))?;
    for path in spelled_here(given)? {
        let Some(found) = find(&host, &path)
            .map_err(|error| Failure::wrong_call(format!("{error}, on this computer")))?
        else {
            continue;
        };
        if matches!(Place::of(&host, &path), Place::Folder | Place::Within(..)) {
            return Err(Failure::wrong_call(format!(
                "{} is among this computer's own plug-ins, of which nothing is read with --root: collect it without, and name the archive",
                given.display()
            )));
        }
        return Ok(Some(Source {
            found,
            path,
            place: None,
        }));
    }
    Ok(None)
}

fn stands_here(given: &Path) -> bool {
    let host = Root::open(Path::new("/"));
    let paths = spelled_here(given).unwrap_or_default();
    host.is_ok_and(|host| paths.iter().any(|path| host.find_entry(path).is_ok()))
}

/// A path of this computer, as it may be meant.
fn spelled_here(given: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let plain: PathBuf = given.components().collect();
    let mut paths = Vec::new();
    for path in spellings(plain.as_os_str().as_bytes()) {
        let path = std::path::absolute(OsStr::from_bytes(&path))?;
        paths.push(path.as_os_str().as_bytes().to_vec());
    }
    Ok(paths)
}

/// What a path leads to; nothing where nothing stands, not even a link that leads nowhere.
fn find(root: &Root, path: &[u8]) -> Result<Option<Found>, ReadError> {
    match root.find(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) => match root.find_entry(path) {
            Err(entry) if entry.is_not_here() && error.is_not_here() => Ok(None),
            _ => Err(error),
        },
    }
}

fn nothing(given: &Path, disk: &Disk, is_the_disks: bool) -> Failure {
    let on = if is_the_disks {
        on(disk)
    } else {
        format!("neither {} nor on this computer", below_root(disk))
    };
    Failure::wrong_call(format!(
        "{}: No such file or directory, {on}; dsplug list shows which plug-ins there are",
        given.display()
    ))
}

/// Where what is on the disk stands.
fn on(disk: &Disk) -> String {
    if disk.is_image() {
        below_root(disk)
    } else {
        "on this computer".to_owned()
    }
}

fn below_root(disk: &Disk) -> String {
    format!("below --root {}", escape(disk.root.as_os_str().as_bytes()))
}

/// What names a path of the disk, and nothing of this computer.
fn through(disk: &Disk, path: &[u8]) -> String {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = disk.root.join(OsStr::from_bytes(path));
    escape(path.as_os_str().as_bytes())
}
