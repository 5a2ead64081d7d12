//! A plug-in of the disk that is read, by whichever path somebody names it: what it leads to outside of it.
//!
//! It is looked at alone. A scan of all has no row of it where others stand beside it by the thousand, and none of any
//! where a plug-in folder cannot be listed.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::collect::Outside;
use crate::directory::ReadError;
use crate::disk::Disk;
use crate::folders::{Candidate, FOLDERS};
use crate::meta::Kind;
use crate::root::Root;

/// What is reached from what stands at a path of the Mac, when that is in a plug-in folder.
pub fn outside(disk: &Disk, root: &Root, path: &Path) -> Option<Outside> {
    let unknown = || {
        Some(Outside {
            is_cut: true,
            ..Outside::default()
        })
    };
    let candidate = match candidate(root, path) {
        Ok(None) => return None,
        Ok(Some((_, below))) if below.is_empty() => return unknown(),
        Ok(Some((folder, below))) => {
            let above = FOLDERS.get(folder).copied().unwrap_or_default();
            Candidate::asked_for(folder, [above.as_bytes(), b"/", &below].concat())
        }
        Err(_) => return unknown(),
    };
    let scanner = disk.patient_scanner().ok();
    let bundle = scanner.and_then(|mut scanner| scanner.look_at(candidate));
    bundle.map_or_else(unknown, |bundle| Some(Outside::of(&bundle)))
}

/// The plug-in folder that a path leads into, and the path below that, which is empty for the folder and all above it:
/// as it is written, then by where it really stands, a link in the last place followed last.
fn candidate(root: &Root, path: &Path) -> Result<Option<(usize, Vec<u8>)>, ReadError> {
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
