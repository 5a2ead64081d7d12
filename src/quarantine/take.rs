//! The way into the vault: one rename on the same volume, a copy from another.

use rustix::io::Errno;

use super::copy::{copy_and_compare, copyable};
use super::ledger::{Entry, Step};
use super::mounts;
use super::rest::{self, Rest};
use super::vault::{ITEM, Open, PART, Vault, differs, look, remove_tree, rename, sync};
use crate::collect::said;
use crate::state_dir::StateDir;
use crate::tree::Tree;

/// The name that a thing of another volume has while it is removed: no loader looks for it.
pub fn aside(entry: &Entry) -> Vec<u8> {
    format!(".dsplug-{}", entry.id).into_bytes()
}

/// Takes a thing into the vault. Its entry, at [`Step::Moving`], is not written yet.
///
/// # Errors
/// With a line; then it stands where it stood, and vault and ledger know nothing of it; or the line
/// says that the next call has to undo the rest.
pub fn take(vault: &Vault, entry: &mut Entry, from: &Open) -> Result<(), String> {
    let folder = vault.folder(&entry.id)?;
    let begun = vault.set(entry, Step::Moving);
    let moved =
        begun.and_then(
            |()| match rename(&from.fd, &entry.from.name, &folder, ITEM.as_bytes()) {
                Ok(()) => keep(vault, entry, from, &folder),
                Err(Errno::XDEV) => copied(vault, entry, from, &folder),
                Err(errno) => Err(refusal(entry, errno)),
            },
        );
    match moved {
        Ok(()) => Ok(()),
        // Copied and not removed, or removed in part: what is written says how to go on.
        Err(why) if matches!(entry.step, Step::Aside | Step::Clearing | Step::Quarantined) => {
            Err(why)
        }
        Err(why) => match undo(vault, entry, from) {
            Ok(()) => Err(why),
            Err(more) => Err(format!(
                "{why}; and not all could be undone ({more}): the next call does it"
            )),
        },
    }
}

/// Why a thing cannot be taken, and what to do.
fn refusal(entry: &Entry, errno: Errno) -> String {
    let cure = match errno {
        Errno::ROFS => {
            "its volume is read-only: on a Mac the system's own, or an image attached so"
        }
        Errno::PERM | Errno::ACCESS => {
            "run it as root; if it was, a flag (ls -lO, chflags nouchg) or the system protects the \
             folder (give the terminal or the agent Full Disk Access)"
        }
        Errno::NOSPC | Errno::DQUOT => "make room there, or name another place with --state-dir",
        Errno::NOENT => "it went meanwhile",
        Errno::INVAL | Errno::NOTSUP | Errno::NOSYS => {
            "its file system cannot rename without replacing; move it by hand"
        }
        _ => "nothing was changed",
    };
    format!("cannot move {}: {}; {cure}", entry.path, said(errno))
}

/// Looks again at what was renamed: what was put there between look and move goes back.
fn keep(vault: &Vault, entry: &mut Entry, from: &Open, folder: &StateDir) -> Result<(), String> {
    let looked = look(folder);
    let differs = match &looked {
        Ok(dir) => differs(dir, ITEM.as_bytes(), &entry.seen, false, &vault.reading),
        Err(why) => Some(why.clone()),
    };
    let synced = sync(folder).and_then(|()| sync(&from.fd));
    if let Some(why) = differs.or_else(|| synced.err()) {
        let why = format!("{} changed while it was moved: {why}", entry.path);
        return match rename(folder, ITEM.as_bytes(), &from.fd, &entry.from.name) {
            Ok(()) => {
                let _ = sync(&from.fd);
                Err(format!("{why}; it stands where it stood"))
            }
            Err(errno) => {
                entry.error.clone_from(&why);
                vault.set(entry, Step::Quarantined)?;
                Err(format!(
                    "{why}; it cannot be put back ({}) and is in the vault as {}",
                    said(errno),
                    entry.id
                ))
            }
        };
    }
    vault.set(entry, Step::Quarantined)
}

/// Forgets what stands where it stood; what was renamed into the vault by this call is renamed back first, and a copy
/// that it made is removed.
fn undo(vault: &Vault, entry: &Entry, from: &Open) -> Result<(), String> {
    if entry.step == Step::Moving {
        let folder = vault.folder(&entry.id)?;
        // Asked first: on another volume nothing was renamed, and the system would say just that.
        match look(&folder)?.meta(ITEM.as_bytes()) {
            Ok(_) => {
                let name = &entry.from.name;
                rename(&folder, ITEM.as_bytes(), &from.fd, name).map_err(said)?;
                sync(&from.fd)?;
            }
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error.to_string()),
        }
        vault.close(&entry.id)?;
    } else {
        vault.clear(&entry.id)?;
    }
    vault.forget(entry)
}

/// Copies, compares, renames what was copied aside, compares again, and removes it.
fn copied(vault: &Vault, entry: &mut Entry, from: &Open, folder: &StateDir) -> Result<(), String> {
    vault.set(entry, Step::Copying)?;
    let tree = Tree::survey(&from.dir, &entry.from.name, vault.reading.entries);
    let tree = tree.map_err(|e| e.to_string())?;
    let inside = look(folder)?;
    let fd = rustix::io::dup(folder).map_err(said)?;
    // What cannot be copied, or not removed behind the copy, is moved as it is on its own volume.
    copyable(&tree)
        .and_then(|()| copy_and_compare(&tree, &fd, &inside, PART.as_bytes(), &vault.reading))
        .map_err(|why| format!("{why}; a --state-dir on its own volume takes it as it is"))?;
    if let Some(why) = differs(&inside, PART.as_bytes(), &entry.seen, true, &vault.reading) {
        return Err(format!("{} changed while it was copied: {why}", entry.path));
    }
    // With very many entries it is large, and what stands aside is looked at anew.
    drop(tree);
    rename(folder, PART.as_bytes(), folder, ITEM.as_bytes()).map_err(said)?;
    sync(folder)?;
    vault.set(entry, Step::Aside)?;
    set_aside(vault, entry, from)
}

/// Renames aside what was copied; what is something else by now goes back, and the copy with it.
fn set_aside(vault: &Vault, entry: &mut Entry, from: &Open) -> Result<(), String> {
    let name = aside(entry);
    if let Err(errno) = rename(&from.fd, &entry.from.name, &from.fd, &name) {
        let why = refusal(entry, errno);
        undo(vault, entry, from)?;
        return Err(why);
    }
    sync(&from.fd)?;
    let differs = differs(&from.dir, &name, &entry.seen, false, &vault.reading);
    // A digest says nothing of modes and attributes, and is not always known.
    match differs.or_else(|| hold_aside(vault, entry, from, Rest::Whole).err()) {
        None => clear(vault, entry, from).or_else(|why| {
            // As long as nothing of it was removed, all of it goes back.
            if entry.step == Step::Aside
                && rename(&from.fd, &name, &from.fd, &entry.from.name).is_ok()
            {
                undo(vault, entry, from)?;
            }
            Err(why)
        }),
        Some(why) => {
            let why = format!("{} changed while it was copied: {why}", entry.path);
            match rename(&from.fd, &name, &from.fd, &entry.from.name) {
                Ok(()) => {
                    sync(&from.fd)?;
                    undo(vault, entry, from)?;
                    Err(format!("{why}; it stands where it stood"))
                }
                Err(errno) => {
                    entry.error = format!(
                        "{why}; it stands beside as {}, for it cannot be put back: {}",
                        String::from_utf8_lossy(&name),
                        said(errno)
                    );
                    vault.set(entry, Step::Quarantined)?;
                    Err(entry.error.clone())
                }
            }
        }
    }
}

/// Holds all that stands aside to what the vault has.
///
/// # Errors
/// With a line about what is not known to be in the vault.
pub fn hold_aside(vault: &Vault, entry: &Entry, from: &Open, rest: Rest) -> Result<(), String> {
    let name = aside(entry);
    mounts::refuse(&from.dir, &name)?;
    let inside = look(&vault.folder(&entry.id)?)?;
    let item = ITEM.as_bytes();
    rest::hold(rest, (&from.dir, &name), (&inside, item), &vault.reading)
}

/// Removes what was renamed aside and is known to be in the vault.
pub fn clear(vault: &Vault, entry: &mut Entry, from: &Open) -> Result<(), String> {
    let name = aside(entry);
    let rest = |why| {
        let name = String::from_utf8_lossy(&name);
        format!("but a rest of it stands beside its place as {name}: {why}")
    };
    let was_begun = entry.step == Step::Clearing;
    mounts::refuse(&from.dir, &name).map_err(|why| if was_begun { rest(why) } else { why })?;
    vault.set(entry, Step::Clearing)?;
    remove_tree(&from.fd, &name).map_err(rest)?;
    sync(&from.fd)?;
    vault.set(entry, Step::Quarantined)
}
