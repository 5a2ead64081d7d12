//! A plug-in of the disk that is read, by whichever path somebody names it: what it leads to outside of it.
//!
//! It is looked at alone. A scan of all has no row of it where others stand beside it by the thousand, and none of any
//! where a plug-in folder cannot be listed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::collect::Outside;
use crate::directory::ReadError;
use crate::disk::Disk;
use crate::folders::{Candidate, FOLDERS, Known, Room, list};
use crate::limits::{Budget, Limits};
use crate::meta::Kind;
use crate::order;
use crate::root::Root;

/// Directories above what stands outside that are looked at.
const MOST_ABOVE: usize = 4_096;

/// What a path of a disk is to its plug-in folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It leads into none.
    Elsewhere,
    /// It is one, or stands above one.
    Folder,
    /// It leads to what stands in one: the folder, and the path below it.
    Within(usize, Vec<u8>),
    /// There is no telling.
    Unknown,
}

impl Place {
    /// That of a path.
    pub fn of(root: &Root, path: &[u8]) -> Self {
        match find(root, Path::new(OsStr::from_bytes(path))) {
            Ok(None) => Self::Elsewhere,
            Ok(Some((_, below))) if below.is_empty() => Self::Folder,
            Ok(Some((folder, below))) => Self::Within(folder, below),
            Err(_) => Self::Unknown,
        }
    }

    /// The path of the candidate, as the Mac names it.
    pub fn candidate(&self) -> Option<Vec<u8>> {
        let Self::Within(folder, below) = self else {
            return None;
        };
        let folder = FOLDERS.get(*folder).copied().unwrap_or_default();
        Some([folder.as_bytes(), b"/", below].concat())
    }

    /// What is reached from what stands there, outside of it.
    pub fn outside(&self, disk: &Disk) -> Option<Outside> {
        let unknown = || {
            Some(Outside {
                is_cut: true,
                ..Outside::default()
            })
        };
        let (folder, candidate) = match (self, self.candidate()) {
            (Self::Elsewhere, _) => return None,
            (Self::Within(folder, _), Some(path)) => (*folder, path),
            _ => return unknown(),
        };
        let Ok(mut scanner) = disk.patient_scanner() else {
            return unknown();
        };
        let candidate = Candidate::asked_for(folder, candidate);
        let Some(bundle) = scanner.look_at(candidate) else {
            return unknown();
        };
        let mut outside = Outside::of(&bundle);
        look_at_ways(scanner.root(), &mut outside);
        Some(outside)
    }
}

/// Looks at the directories above the places, and above that where the bundle really stands.
fn look_at_ways(root: &Root, outside: &mut Outside) {
    let mut known = BTreeSet::new();
    let stands = outside.stands.iter();
    for place in outside.places.keys().chain(stands) {
        let ends = place
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, b)| **b == b'/');
        for above in ends.filter_map(|(end, _)| place.get(..end)) {
            if known.contains(above) || outside.places.contains_key(above) {
                continue;
            }
            if known.len() >= MOST_ABOVE {
                outside.is_cut = true;
                return;
            }
            known.insert(above.to_vec());
            let found = root.find_entry(above).map(|found| found.meta);
            if let Some(meta) = found.ok().filter(|meta| meta.kind == Kind::Directory) {
                outside.ways.insert(above.to_vec(), meta.rights());
            }
        }
    }
}

/// True for a path that is written as one into a plug-in folder, in any letter case.
pub fn is_written_into_one(path: &[u8]) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            _ => plain.push(component),
        }
    }
    let plain = plain.as_os_str().as_bytes().to_ascii_lowercase();
    FOLDERS.iter().any(|folder| {
        let below = plain.strip_prefix(folder.to_ascii_lowercase().as_bytes());
        below.is_some_and(|below| below.is_empty() || below.starts_with(b"/"))
    })
}

/// The names of all candidates, as far as they can be listed.
pub fn names(root: &Root) -> Vec<Vec<u8>> {
    let budget = Budget::new(Limits::PATIENT);
    let root = root.for_one_scan(budget.until(), budget.limits.steps);
    let room = Room::of(&budget.limits);
    let folders = 0..FOLDERS.len();
    let candidates =
        folders.flat_map(|folder| list(&root, folder, &budget, &Known::none(), room).1);
    order::gather(candidates.map(|candidate| candidate.path))
}

/// The plug-in folder that a path leads into, and the path below that, which is empty for the folder and all above it:
/// as it is written, then by where it really stands, a link in the last place followed last.
fn find(root: &Root, path: &Path) -> Result<Option<(usize, Vec<u8>)>, ReadError> {
    let plain: PathBuf = path.components().collect();
    let is_plain = !plain.components().any(|c| c == Component::ParentDir);
    for (index, folder) in FOLDERS.iter().enumerate().filter(|_| is_plain) {
        if let Ok(below) = plain.strip_prefix(folder) {
            return Ok(Some((index, below.as_os_str().as_bytes().to_vec())));
        }
    }
    let mut ways = Vec::new();
    if let (Some(above), Some(name)) = (plain.parent(), plain.file_name()) {
        let above = root.find(above.as_os_str().as_bytes())?.path();
        let above = above.strip_suffix(b"/").unwrap_or(&above);
        ways.push([above, b"/", name.as_bytes()].concat());
    }
    ways.push(root.find(plain.as_os_str().as_bytes())?.path());
    for way in &ways {
        for (index, folder) in FOLDERS.iter().enumerate() {
            // One that is not there, or is something else, holds nothing.
            let Ok(folder) = root.find(folder.as_bytes()) else {
                continue;
            };
            // What stands above it holds it.
            let rest = folder.path();
            let rest = rest.strip_prefix(way.as_slice());
            if rest.is_some_and(|rest| way == b"/" || rest.starts_with(b"/")) {
                return Ok(Some((index, Vec::new())));
            }
            // By what it is: a Mac's disk has many spellings of one name.
            let is_folder = |upto: &[u8]| {
                let found = root.find_entry(upto);
                found.map(|found| {
                    found.meta.kind == Kind::Directory && found.meta.id() == folder.meta.id()
                })
            };
            let ends = way.iter().enumerate().skip(1).filter(|(_, b)| **b == b'/');
            for end in ends.map(|(end, _)| end).chain([way.len()]) {
                let (upto, below) = way.split_at_checked(end).unwrap_or_default();
                if is_folder(upto)? {
                    let below = below.strip_prefix(b"/").unwrap_or(below);
                    return Ok(Some((index, below.to_vec())));
                }
            }
        }
    }
    Ok(None)
}
