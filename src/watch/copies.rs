//! Copies of bundles that may go: plain files, never executable, in a folder of root's alone.
//!
//! A copy is a folder named by the bundle digest. In it stands each file by its own SHA-256, and
//! `manifest`, the records that the digest is of: who has them knows where each file stood, and
//! `shasum -a 256 manifest` prints the folder's name.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::bundle::Bundle;
use crate::digest;
use crate::meta::Kind;
use crate::order;
use crate::root::{Found, Root};
use crate::sha256::Sha256;
use crate::state_dir::{StateDir, StateDirError};
use crate::text::hex;

/// The folder of all copies.
const FOLDER: &str = "copies";
/// The list of what stood where.
const MANIFEST: &str = "manifest";
/// What the name of a copy that is being made begins with.
const NEW: &str = "new-";
/// Bytes of one bundle that are copied.
pub const MOST_BUNDLE: u64 = 64 << 20;
/// Bytes of all copies.
pub const MOST_ALL: u64 = 256 << 20;
/// Files of one bundle that are copied.
const MOST_FILES: usize = 5_000;
/// Copies that are looked through for the oldest.
const MOST_COPIES: usize = 20_000;

/// The copies in one place.
#[derive(Debug)]
pub struct Copies {
    place: PathBuf,
    root: Root,
    /// Bytes of all copies, once they have been counted.
    bytes: Option<u64>,
}

impl Copies {
    /// Those in the state directory at a place.
    pub fn at(place: &Path, root: &Root) -> Self {
        Self {
            place: place.to_owned(),
            root: root.clone(),
            bytes: None,
        }
    }

    /// Copies a bundle that has that digest; gives the copy's path.
    ///
    /// # Errors
    /// When it is too large, has changed, or cannot be copied; nothing is then left of it.
    pub fn keep(&mut self, root: &Root, bundle: &Bundle, hash: &str) -> Result<String, String> {
        let state = StateDir::open(&self.place, &self.root).map_err(say)?;
        let all = state.folder(FOLDER).map_err(say)?;
        let place = all.path().join(hash);
        let shown = place.to_string_lossy().into_owned();
        if all.find_folder(hash).map_err(say)?.is_some() {
            return Ok(shown);
        }
        let size = size(bundle);
        if size > MOST_BUNDLE {
            return Err(format!("it holds {size} bytes, and {MOST_BUNDLE} are kept"));
        }
        self.make_room(&all, size)?;
        let new = format!("{NEW}{hash}");
        remove(&all, &new)?;
        let made = all.folder(&new).map_err(say).and_then(|folder| {
            fill(root, bundle, &folder)?;
            folder.sync().map_err(say)
        });
        let done = made.and_then(|()| {
            all.rename(&new, hash).map_err(say)?;
            all.sync().map_err(say)
        });
        if let Err(why) = done {
            // Half a copy is of no use.
            remove(&all, &new)?;
            return Err(why);
        }
        self.bytes = self.bytes.map(|bytes| bytes.saturating_add(size));
        Ok(shown)
    }

    /// Lets the oldest copies go until there is room for so many bytes.
    fn make_room(&mut self, all: &StateDir, size: u64) -> Result<(), String> {
        if self
            .bytes
            .is_some_and(|b| b.saturating_add(size) <= MOST_ALL)
        {
            return Ok(());
        }
        let (names, _) = all.names(MOST_COPIES).map_err(say)?;
        let mut copies = Vec::new();
        for name in names.into_iter().filter_map(|n| String::from_utf8(n).ok()) {
            if name.starts_with(NEW) {
                remove(all, &name)?;
            } else if let Some(folder) = all.find_folder(&name).map_err(say)? {
                let path = folder.path().join(MANIFEST);
                let time = std::fs::symlink_metadata(path).and_then(|m| m.modified());
                copies.push((time.ok(), name, bytes_in(&folder)?));
            }
        }
        order::sort(&mut copies);
        let mut bytes = copies.iter().map(|c| c.2).fold(0, u64::saturating_add);
        for (_, name, its) in &copies {
            if bytes.saturating_add(size) <= MOST_ALL {
                break;
            }
            log::info!("the copy {name} goes: there is room for {MOST_ALL} bytes");
            remove(all, name)?;
            bytes = bytes.saturating_sub(*its);
        }
        self.bytes = Some(bytes);
        Ok(())
    }
}

/// Finds a copy in a state directory by the path that an event has of it, which whoever wrote the journal chose: no
/// other place is looked at, and no link followed.
///
/// # Errors
/// When no such copy is there, with a line.
pub fn find(state: Option<&StateDir>, path: &str) -> Result<Found, String> {
    let state = state.ok_or("no state directory is read")?;
    let all = state.path().join(FOLDER);
    let foreign = || {
        format!(
            "it is none of the copies in {}, and was not read",
            all.display()
        )
    };
    let name = Path::new(path)
        .file_name()
        .and_then(|name| name.to_str())
        .filter(|name| is_digest(name))
        .ok_or_else(foreign)?;
    let place = all.join(name);
    if place.as_os_str() != path {
        return Err(foreign());
    }
    let folder = state.find_folder(FOLDER).map_err(say)?;
    let copy = folder.map(|all| all.find_folder(name)).transpose();
    copy.map_err(say)?.flatten().ok_or("it is gone")?;
    let host = Root::open(Path::new("/")).map_err(|e| e.to_string())?;
    let found = host.find_entry(path.as_bytes());
    let found = found.map_err(|e| e.to_string())?;
    if found.links > 0 || found.meta.kind != Kind::Directory {
        return Err(foreign());
    }
    Ok(found)
}

/// True of the name of a copy.
fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

fn say(error: StateDirError) -> String {
    error.to_string()
}

/// Bytes of what would be copied.
fn size(bundle: &Bundle) -> u64 {
    let evidence = &bundle.evidence;
    let outside = evidence.executable.as_ref().filter(|e| e.is_outside());
    let outside = outside.map_or(0, |e| e.meta.size);
    evidence.bytes().saturating_add(outside)
}

fn bytes_in(folder: &StateDir) -> Result<u64, String> {
    let (names, _) = folder.names(MOST_FILES).map_err(say)?;
    let sizes = names.iter().filter_map(|name| {
        let name = std::str::from_utf8(name).ok()?;
        let meta = std::fs::symlink_metadata(folder.path().join(name)).ok()?;
        Some(meta.len())
    });
    Ok(sizes.fold(0, u64::saturating_add))
}

/// Removes a copy.
fn remove(all: &StateDir, name: &str) -> Result<(), String> {
    let Some(folder) = all.find_folder(name).map_err(say)? else {
        return Ok(());
    };
    loop {
        let (names, more) = folder.names(MOST_FILES).map_err(say)?;
        for file in names.iter().filter_map(|n| std::str::from_utf8(n).ok()) {
            folder.remove(file).map_err(say)?;
        }
        if more == 0 {
            break;
        }
    }
    all.remove_folder(name).map_err(say)
}

/// Puts the files of a bundle and its manifest into a folder.
fn fill(root: &Root, bundle: &Bundle, folder: &StateDir) -> Result<(), String> {
    let evidence = &bundle.evidence;
    let files = evidence.files().count();
    if files > MOST_FILES {
        return Err(format!("it holds {files} files, and {MOST_FILES} are kept"));
    }
    let top = root
        .find(&evidence.candidate.path)
        .map_err(|e| e.to_string())?;
    let dir = evidence.is_bundle().then(|| top.open_dir());
    let dir = dir.transpose().map_err(|e| e.to_string())?;
    for entry in evidence
        .entries
        .iter()
        .filter(|e| e.meta.kind == Kind::File)
    {
        let sha256 = entry.content.sha256().ok_or("it was not read whole")?;
        let found = match &dir {
            Some(dir) => root.find_below(dir, &dir.join(&entry.path)),
            None => Ok(top.clone()),
        };
        let found = found.map_err(|e| e.to_string())?;
        copy(&found, folder, sha256)?;
    }
    let outside = evidence.executable.as_ref().filter(|e| e.is_outside());
    if let Some(executable) = outside
        && let Some(sha256) = executable.outside.sha256()
    {
        let found = root.find(&executable.path).map_err(|e| e.to_string())?;
        copy(&found, folder, sha256)?;
    }
    let records = digest::records(evidence).ok_or("it was not read whole")?;
    let mut manifest = folder.create(MANIFEST).map_err(say)?;
    let written = manifest.write_all(&records);
    written
        .and_then(|()| manifest.sync_all())
        .map_err(|e| e.to_string())
}

/// Copies one file under the name of its SHA-256, which it must have.
fn copy(found: &Found, folder: &StateDir, sha256: &[u8; 32]) -> Result<(), String> {
    let name = hex(sha256);
    if folder.file_to_read(&name).map_err(say)?.is_some() {
        return Ok(());
    }
    let source = found.open_file().map_err(|e| e.to_string())?;
    let mut source = File::from(source.fd);
    let mut copy = cloned(&source, folder, &name)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0_u8; 64 << 10];
    let (from, mut to) = match &mut copy {
        // What was cloned is read again: it may be another content than was scanned.
        (copy, true) => (copy, None),
        (copy, false) => (&mut source, Some(copy)),
    };
    let mut left = MOST_BUNDLE;
    loop {
        let read = from.read(&mut buffer).map_err(|e| e.to_string())?;
        let Some(bytes) = buffer.get(..read).filter(|b| !b.is_empty()) else {
            break;
        };
        left = left
            .checked_sub(u64::try_from(read).unwrap_or(u64::MAX))
            .ok_or("it grows while it is copied")?;
        digest.update(bytes);
        if let Some(to) = &mut to {
            to.write_all(bytes).map_err(|e| e.to_string())?;
        }
    }
    if digest.finish() != *sha256 {
        return Err("it changed before it could be copied".to_owned());
    }
    copy.0.sync_all().map_err(|e| e.to_string())
}

/// A new file, and whether it shares the source's content already: a clone takes no time and no room.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn cloned(source: &File, folder: &StateDir, name: &str) -> Result<(File, bool), String> {
    let mut file = folder.create(name).map_err(say)?;
    let cloned = rustix::fs::ioctl_ficlone(&file, source).is_ok();
    file.rewind().map_err(|e| e.to_string())?;
    Ok((file, cloned))
}

/// A new file, and whether it shares the source's content already: a clone takes no time and no room.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn cloned(source: &File, folder: &StateDir, name: &str) -> Result<(File, bool), String> {
    use rustix::fs::{CloneFlags, Mode, OFlags};
    // Neither the owner nor the access control list of the source.
    if rustix::fs::fclonefileat(source, folder, name, CloneFlags::NOOWNERCOPY).is_ok() {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(folder, name, flags, Mode::empty());
        let opened = opened.map_err(|e| e.to_string())?;
        // A clone has the source's mode.
        rustix::fs::fchmod(&opened, Mode::RUSR | Mode::WUSR).map_err(|e| e.to_string())?;
        let mut file = File::from(opened);
        file.rewind().map_err(|e| e.to_string())?;
        return Ok((file, true));
    }
    Ok((folder.create(name).map_err(say)?, false))
}
