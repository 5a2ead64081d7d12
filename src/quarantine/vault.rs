//! The vault: a directory of root's alone in which each thing stands under a name that no loader
//! looks for, with the ledger and the evidence beside it, locked as long as a call is at work.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::ledger::{self, Entry, Place, Seen, Step};
use super::mounts;
use super::rest::{self, Rest};
use crate::collect::{archive_names, said};
use crate::directory::{Dir, is_mounted_in};
use crate::meta::Kind;
use crate::reading::Reading;
use crate::root::Root;
use crate::state_dir::{Lock, StateDir, StateDirError};
use crate::text::{escape, hex};
use crate::tree::{self, Tree};

/// The name of what is kept, in a folder of its own below the vault.
pub const ITEM: &str = "item";
/// The name of a copy that is not whole yet.
pub const PART: &str = "part";
/// The folder of the vault in the state directory.
const VAULT: &str = "vault";
/// The folder of the archives.
const EVIDENCE: &str = "evidence";
/// Names of one directory that are held while what they name is removed: whoever planted them makes any number.
const MOST_HELD: usize = 10_000;
/// Names of the vault, and of its archives, that one call looks at for what another left.
const MOST_TIDIED: usize = 100_000;
/// The lock that one call holds.
const LOCK: &str = "quarantine.lock";

/// The vault with its ledger, open and locked.
#[derive(Debug)]
pub struct Vault {
    vault: StateDir,
    /// The ledger.
    pub ledger: StateDir,
    /// The archives.
    pub evidence: StateDir,
    /// How much of one thing is read.
    pub reading: Reading,
    _lock: Lock,
}

/// A directory that things are taken from and put into.
#[derive(Debug)]
pub struct Open {
    /// Open for reading, so that it can be synced.
    pub fd: OwnedFd,
    /// The same, to be looked at.
    pub dir: Dir,
}

impl Vault {
    /// Opens the vault, and makes it when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or opened, or another call is at work.
    pub fn open(state: &StateDir, reading: Reading) -> Result<Self, String> {
        let open = |name| state.folder(name).map_err(|e: StateDirError| e.to_string());
        let lock = state.lock(LOCK).map_err(|e| e.to_string())?;
        let busy = || {
            let place = state.path().display();
            format!(
                "another quarantine or restore is at work in {place}; call again when it is done"
            )
        };
        Ok(Self {
            _lock: lock.ok_or_else(busy)?,
            vault: open(VAULT)?,
            ledger: open(ledger::FOLDER)?,
            evidence: open(EVIDENCE)?,
            reading,
        })
    }

    /// The folder of an entry in the vault, made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn folder(&self, id: &str) -> Result<StateDir, String> {
        self.vault.folder(id).map_err(|e| e.to_string())
    }

    /// Removes the folder of an entry that is empty, or holds the copy of what stands elsewhere.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn clear(&self, id: &str) -> Result<(), String> {
        if let Some(folder) = self.vault.find_folder(id).map_err(|e| e.to_string())? {
            for name in [PART, ITEM] {
                remove_tree(&folder, name.as_bytes())?;
            }
            self.vault.remove_folder(id).map_err(|e| e.to_string())?;
        }
        self.vault.sync().map_err(|e| e.to_string())
    }

    /// Removes the folder of an entry from which its item was renamed.
    ///
    /// # Errors
    /// When it cannot be removed, as when something is in it.
    pub fn close(&self, id: &str) -> Result<(), String> {
        let removed = self.vault.remove_folder(id);
        removed
            .and_then(|()| self.vault.sync())
            .map_err(|e| e.to_string())
    }

    /// Writes how far an entry has got.
    ///
    /// # Errors
    /// When it cannot be written; the ledger says what it said before.
    pub fn set(&self, entry: &mut Entry, step: Step) -> Result<(), String> {
        let next = Entry {
            step,
            ..entry.clone()
        };
        ledger::write(&self.ledger, &next).map_err(|e| e.to_string())?;
        *entry = next;
        Ok(())
    }

    /// Forgets an entry of something that stands where it stood. Its evidence is removed by the call that has just
    /// written it, and by no other: the ledger proves of no archive what it holds.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget(&self, entry: &Entry) -> Result<(), String> {
        ledger::remove(&self.ledger, &entry.id).map_err(|e| e.to_string())
    }

    /// True when the vault holds something of an entry under that name.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn has(&self, id: &str, name: &str) -> Result<bool, String> {
        let Some(folder) = self.vault.find_folder(id).map_err(|e| e.to_string())? else {
            return Ok(false);
        };
        match look(&folder)?.meta(name.as_bytes()) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Holds what the vault has of an entry to what stands elsewhere; `item` says how much of it there may be.
    ///
    /// # Errors
    /// With a line about what is not known to stand there.
    pub fn hold(
        &self,
        entry: &Entry,
        item: Rest,
        (dir, name): (&Dir, &[u8]),
    ) -> Result<(), String> {
        let folder = self.vault.find_folder(&entry.id);
        let Some(folder) = folder.map_err(|e| e.to_string())? else {
            return Ok(());
        };
        let inside = look(&folder)?;
        for (held, rest) in [(ITEM, item), (PART, Rest::Begun)] {
            rest::hold(rest, (&inside, held.as_bytes()), (dir, name), &self.reading)?;
        }
        Ok(())
    }

    /// Removes what a call left that was killed before the ledger knew of it: archives that are not whole, which
    /// have a name that no other has, and empty folders in the vault. A whole archive is evidence, whoever took its
    /// entry: it is told.
    ///
    /// # Errors
    /// When a folder cannot be listed. What cannot be removed is given back: whoever put it there keeps no bundle
    /// out of the vault by that.
    pub fn tidy(&self) -> Result<Vec<String>, String> {
        let mut left = Vec::new();
        let fail = |e: StateDirError| e.to_string();
        let is_known = |id: &str| !matches!(ledger::one(&self.ledger, id), Ok(None));
        let mut strays: Option<(String, usize)> = None;
        for name in self.evidence.names(MOST_TIDIED).map_err(fail)?.0 {
            let Ok(name) = std::str::from_utf8(&name) else {
                continue;
            };
            let is_part = name.starts_with('.') && name.ends_with(".part");
            let id = name.strip_suffix(".tar.gz");
            if is_part {
                let refused = self.evidence.remove(name).err();
                left.extend(refused.map(|why| format!("{why}; remove it by hand")));
            } else if id.is_some_and(|id| !is_known(id)) {
                let (_, more) = strays.get_or_insert_with(|| (escape(name.as_bytes()), 0));
                *more = more.saturating_add(1);
            }
        }
        left.extend(strays.map(|(name, number)| {
            let more = match number.saturating_sub(1) {
                0 => String::new(),
                more => format!(", like {more} more there"),
            };
            let evidence = self.evidence.path().display();
            format!(
                "{evidence}/{name} has no entry in the ledger{more}: a call was killed before it moved anything, or somebody took the entry; it is kept: see what it is, and move it elsewhere"
            )
        }));
        for name in self.vault.names(MOST_TIDIED).map_err(fail)?.0 {
            if let Some(id) = std::str::from_utf8(&name).ok().filter(|id| !is_known(id)) {
                // Where something is in it, it stays.
                let _ = self.vault.remove_folder(id);
            }
        }
        Ok(left)
    }

    /// True when an entry of that name is in the ledger or the vault, or something stands where its evidence would.
    pub fn knows(&self, id: &str) -> bool {
        let in_vault = self.vault.find_folder(id);
        !matches!(in_vault, Ok(None))
            || !matches!(ledger::one(&self.ledger, id), Ok(None))
            || archive_names(id).iter().any(|name| {
                let found = rustix::fs::statat(&self.evidence, name, AtFlags::SYMLINK_NOFOLLOW);
                !matches!(found, Err(Errno::NOENT))
            })
    }
}

/// Opens the directory of a place, which was written down without links: one that has come onto the way since is
/// another's.
///
/// # Errors
/// When it is not there, cannot be opened, or is led to elsewhere.
pub fn open(place: &Place) -> Result<Open, String> {
    let root = Root::open(&place.root()).map_err(|error| {
        let path = place.root();
        format!("cannot open {}: {error}", path.display())
    })?;
    let found = root.find(&place.directory).map_err(|e| e.to_string())?;
    if found.links > 0 {
        return Err(format!(
            "{} leads to {} by a link that was not there; see who put it on the way, or name another directory with --to",
            escape(&place.directory),
            escape(&found.path())
        ));
    }
    reopen(found.open_dir().map_err(|e| e.to_string())?)
}

/// Opens a directory for reading too.
///
/// # Errors
/// When it cannot be opened.
pub fn reopen(dir: Dir) -> Result<Open, String> {
    let fd = dir.reopen().map_err(|e| e.to_string())?;
    Ok(Open { fd, dir })
}

/// A directory of the vault, as one that is looked at.
///
/// # Errors
/// When it cannot be opened.
pub fn look(folder: &StateDir) -> Result<Dir, String> {
    Dir::open_top(folder.path())
        .map_err(|e| format!("cannot open {}: {e}", folder.path().display()))
}

/// Renames at once, and never over something else; both directories are forced to the disk.
///
/// # Errors
/// With the system's answer; nothing was renamed then, save where the disk itself fails.
pub fn rename(from: &impl AsFd, name: &[u8], to: &impl AsFd, new: &[u8]) -> Result<(), Errno> {
    let (name, new) = (OsStr::from_bytes(name), OsStr::from_bytes(new));
    retry_on_intr(|| rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE))
}

/// Forces the names in a directory to the disk.
///
/// # Errors
/// With the system's answer.
pub fn sync(directory: &impl AsFd) -> Result<(), String> {
    retry_on_intr(|| rustix::fs::fsync(directory))
        .map_err(|errno| format!("cannot force a directory to the disk: {}", said(errno)))
}

/// Says why what has that name is not what was seen, or holds what is mounted; nothing when neither is so. Where no
/// digest was known then, nothing of what it holds is read, and else no more than that allows.
pub fn differs(
    dir: &Dir,
    name: &[u8],
    seen: &Seen,
    copied: bool,
    reading: &Reading,
) -> Option<String> {
    let tree = match Tree::itself(dir, name) {
        Ok(tree) => tree,
        Err(error) => return Some(error.to_string()),
    };
    let Some(top) = tree.top() else {
        return Some("nothing is known of it".into());
    };
    let changed = || Some("it is not what was looked at: something else was put there".to_owned());
    if top.meta.kind.as_str() != seen.kind || top.link.as_deref().unwrap_or_default() != seen.link {
        return changed();
    }
    if !copied && (top.meta.dev, top.meta.ino) != (seen.dev, seen.ino) {
        return changed();
    }
    if top.meta.kind == Kind::Symlink {
        return None;
    }
    if let Err(line) = mounts::refuse(dir, name) {
        return Some(line);
    }
    if seen.digest.is_empty() {
        return None;
    }
    match tree::digest(dir, name, reading) {
        Ok(digest) if hex(&digest) == seen.digest => None,
        Ok(digest) => Some(format!(
            "its digest is {} and was {}",
            hex(&digest),
            seen.digest
        )),
        Err(why) => Some(why),
    }
}

/// Holds what has that name to what was seen, wherever it was copied to: by its digest or its link, and where none was
/// known by device and inode.
///
/// # Errors
/// With a line about what is not so.
pub fn hold_seen(dir: &Dir, name: &[u8], seen: &Seen, reading: &Reading) -> Result<(), String> {
    let is_known = !seen.digest.is_empty() || !seen.link.is_empty();
    differs(dir, name, seen, is_known, reading).map_or(Ok(()), Err)
}

/// True when what has that name is the very thing that was seen, whatever it holds by now.
pub fn is_same(dir: &Dir, name: &[u8], seen: &Seen) -> bool {
    dir.meta(name).is_ok_and(|meta| {
        meta.kind.as_str() == seen.kind && (meta.dev, meta.ino) == (seen.dev, seen.ino)
    })
}

/// Removes what has that name with everything below it; no link is followed, and no directory is entered on which
/// a volume is mounted, whenever it was. What is not there is removed already.
///
/// # Errors
/// With a line about the first thing that cannot be removed.
pub fn remove_tree(directory: &impl AsFd, name: &[u8]) -> Result<(), String> {
    use rustix::fs::{Mode, OFlags};
    let name = OsStr::from_bytes(name);
    let fail = |errno: Errno| format!("cannot remove {}: {}", name.display(), said(errno));
    let unlink = |flags| retry_on_intr(|| rustix::fs::unlinkat(directory, name, flags));
    let refused = match unlink(AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // The answers of Linux and of macOS for a directory.
        Err(errno @ (Errno::ISDIR | Errno::PERM)) => errno,
        Err(errno) => return Err(fail(errno)),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let below = retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()));
    let below = below.map_err(|errno| match errno {
        // It is no directory, and may not be removed.
        Errno::NOTDIR | Errno::LOOP => fail(refused),
        errno => fail(errno),
    })?;
    // Of the directory that is open here nobody makes another any more.
    if is_mounted_in(directory, &below).map_err(fail)? {
        return Err(format!(
            "cannot remove {}: a volume is mounted on it; unmount it",
            name.display()
        ));
    }
    // Nothing is removed while it is listed: what a list does then is the file system's secret. So many names are held.
    loop {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&below).map_err(fail)? {
            let entry = entry.map_err(fail)?.file_name().to_bytes().to_vec();
            if !matches!(entry.as_slice(), b"." | b"..") {
                names.push(entry);
            }
            if names.len() >= MOST_HELD {
                break;
            }
        }
        for name in &names {
            remove_tree(&below, name)?;
        }
        if names.len() < MOST_HELD {
            break;
        }
    }
    match unlink(AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(fail(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It may be mounted after everything was looked at.
    #[test]
    fn no_removal_enters_what_is_mounted() {
        let top = tempfile::tempdir().unwrap();
        let at = top.path().join("A/d/here");
        let other = top.path().join("other");
        for made in [&at, &other] {
            std::fs::create_dir_all(made).unwrap();
            std::fs::write(made.join("precious"), "").unwrap();
        }
        let mount = |program: &str, paths: &[&std::path::Path], option: Option<&str>| {
            let mut call = std::process::Command::new(program);
            let output = call.args(option).args(paths).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !mount("mount", &[&other, &at], Some("--bind")) {
            return;
        }
        let fd = Dir::open_top(top.path()).unwrap().reopen().unwrap();
        let why = remove_tree(&fd, b"A").unwrap_err();
        let is_whole = other.join("precious").exists();
        assert!(mount("umount", &[&at], None));
        assert!(why.contains("here: a volume is mounted on it"), "{why}");
        assert!(is_whole);
        remove_tree(&fd, b"A").unwrap();
    }
}
