//! The way out of the vault: one rename on the same volume, a copy to another.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{AtFlags, Mode};
use rustix::io::{Errno, retry_on_intr};

use super::call::bundle_id;
use super::copy::copy_and_compare;
use super::ledger::{Entry, Place, Seen, Step};
use super::rest::{self, Rest};
use super::vault::{ITEM, Open, Vault, differs, is_same, look, remove_tree, rename, reopen, sync};
use crate::collect::said;
use crate::directory::Dir;
use crate::meta::Kind;
use crate::state_dir::StateDir;
use crate::text::{escape, hex};
use crate::tree::{self, Tree};

/// The name of the directory of a copy that is not whole yet: no loader looks for it.
pub fn part(entry: &Entry) -> Vec<u8> {
    format!(".dsplug-{}.part", entry.id).into_bytes()
}

/// Puts a thing that is in the vault into a directory, where nothing of its name may stand. Of what stands there then
/// `expect` is the digest, where a person gave it.
///
/// # Errors
/// With a line; then it is in the vault, or the line says that the next call has to undo the rest.
pub fn put_back(
    vault: &Vault,
    entry: &mut Entry,
    to: &Open,
    place: Place,
    expect: Option<&str>,
) -> Result<(), String> {
    let folder = vault.folder(&entry.id)?;
    let inside = look(&folder)?;
    let copied = !is_same(&inside, ITEM.as_bytes(), &entry.seen);
    let was = inside
        .meta(ITEM.as_bytes())
        .map(|meta| Seen {
            dev: meta.dev,
            ino: meta.ino,
            ..entry.seen.clone()
        })
        .map_err(|e| e.to_string());
    let differs = differs(
        &inside,
        ITEM.as_bytes(),
        &entry.seen,
        copied,
        &vault.reading,
    );
    let was = differs.map_or(was, Err).map_err(|why| {
        format!(
            "the vault does not hold what was put there as {}: {why}; its evidence is {}",
            entry.id, entry.evidence
        )
    })?;
    if to.dir.meta(&place.name).is_ok() {
        return Err(format!(
            "something stands at {} now; take it away first, or name another directory with --to",
            place.shown()
        ));
    }
    // Left by a call that was killed.
    remove_part(vault, entry, to)?;
    let name = place.name.clone();
    entry.to = Some(place);
    vault.set(entry, Step::Returning)?;
    let placed = match rename(&folder, ITEM.as_bytes(), &to.fd, &name) {
        Ok(()) => return keep(vault, entry, to, &folder, (&was, expect)),
        Err(Errno::XDEV) => copied_out(vault, entry, to, &folder, expect),
        Err(errno) => Err(format!(
            "cannot put it back to {}: {}; it stays in the vault",
            shown(entry),
            said(errno)
        )),
    };
    if let Err(why) = &placed
        && matches!(entry.step, Step::Returning | Step::Placing)
    {
        remove_part(vault, entry, to).map_err(|more| format!("{why}; and {more}"))?;
        entry.to = None;
        vault.set(entry, Step::Quarantined)?;
    }
    placed
}

/// Looks again at what was renamed: what was put into the vault between look and move goes back there, and so does what
/// was put there since.
fn keep(
    vault: &Vault,
    entry: &mut Entry,
    to: &Open,
    folder: &StateDir,
    (was, expect): (&Seen, Option<&str>),
) -> Result<(), String> {
    let name = name(entry);
    // By device and inode too: not of everything is a digest known.
    let held = is_it(vault, entry, (was, false), expect, (&to.dir, &name));
    let Err(why) = held else {
        sync(&to.fd)?;
        sync(folder)?;
        vault.set(entry, Step::Restored)?;
        return vault.close(&entry.id);
    };
    let why = format!("{} changed while it was put back: {why}", entry.id);
    match rename(&to.fd, &name, folder, ITEM.as_bytes()) {
        Ok(()) => {
            sync(folder)?;
            sync(&to.fd)?;
            entry.to = None;
            vault.set(entry, Step::Quarantined)?;
            Err(format!("{why}; it is in the vault again"))
        }
        Err(errno) => {
            entry.error = format!(
                "{why}; what stands at {} is not known to be what it was, and it stands there, for it cannot go back into the vault: {}",
                shown(entry),
                said(errno)
            );
            // The next call looks where it is.
            vault.set(entry, Step::Returning)?;
            Err(escape(entry.error.as_bytes()))
        }
    }
}

/// Holds what was moved or copied to what was seen, and to the digest that a person gave.
fn is_it(
    vault: &Vault,
    entry: &Entry,
    (seen, copied): (&Seen, bool),
    expect: Option<&str>,
    place: (&Dir, &[u8]),
) -> Result<(), String> {
    differs(place.0, place.1, seen, copied, &vault.reading).map_or(Ok(()), Err)?;
    hold_expected(vault, entry, expect, place).map_err(|why| format!("it {why}"))
}

/// Holds what an item is to the digest that a person gave of it: the ledger may say anything.
///
/// # Errors
/// With a line about what is not so, or not known.
pub fn hold_expected(
    vault: &Vault,
    entry: &Entry,
    expect: Option<&str>,
    place: (&Dir, &[u8]),
) -> Result<(), String> {
    let Some(expect) = expect else {
        return Ok(());
    };
    match hash(vault, entry, place).map(|hash| hex(&hash)) {
        Ok(hash) if hash.eq_ignore_ascii_case(expect) => Ok(()),
        Ok(hash) => Err(format!("is not what was expected: its digest is {hash}")),
        Err(why) => Err(format!(
            "is not known to be what was expected: its digest is not known: {why}"
        )),
    }
}

/// The digest of an item as the column `hash` has it.
fn hash(vault: &Vault, entry: &Entry, (dir, name): (&Dir, &[u8])) -> Result<[u8; 32], String> {
    let meta = dir.meta(name).map_err(|e| e.to_string())?;
    match meta.kind {
        Kind::Symlink => Err("it is a link, and what it leads to is not in the vault".into()),
        _ if bundle_id(&entry.id).is_some() => {
            tree::sha256(dir, name, &mut vault.reading.portion())
        }
        _ => tree::digest(dir, name, &vault.reading),
    }
}

fn name(entry: &Entry) -> Vec<u8> {
    let name = entry.to.as_ref().map(|to| to.name.clone());
    name.unwrap_or_default()
}

fn shown(entry: &Entry) -> String {
    entry.to.as_ref().map_or_else(String::new, Place::shown)
}

fn copied_out(
    vault: &Vault,
    entry: &mut Entry,
    to: &Open,
    folder: &StateDir,
    expect: Option<&str>,
) -> Result<(), String> {
    vault.set(entry, Step::Placing)?;
    let inside = look(folder)?;
    let tree =
        Tree::survey(&inside, ITEM.as_bytes(), vault.reading.entries).map_err(|e| e.to_string())?;
    let part = part(entry);
    // The directory may be another's, who could exchange what is made in it.
    let own = private(to, &part)?;
    copy_and_compare(&tree, &own.fd, &own.dir, ITEM.as_bytes(), &vault.reading)?;
    drop(tree);
    // What was copied may be another by now than what was looked at, and never stands where it loads.
    let seen = entry.seen.clone();
    let copied = (&own.dir, ITEM.as_bytes());
    is_it(vault, entry, (&seen, true), expect, copied).map_err(|why| {
        format!(
            "{} changed while it was copied: {why}; it stays in the vault",
            entry.id
        )
    })?;
    let name = name(entry);
    rename(&own.fd, ITEM.as_bytes(), &to.fd, &name).map_err(|errno| {
        format!(
            "cannot put it there: {}; it stays in the vault",
            said(errno)
        )
    })?;
    // Whose the directory is exchanges it as soon as it stands there.
    let there = (&to.dir, name.as_slice());
    let held = vault.hold(entry, Rest::Whole, there);
    if let Err(why) = held.and_then(|()| is_it(vault, entry, (&seen, true), expect, there)) {
        let stands = match rename(&to.fd, &name, &own.fd, ITEM.as_bytes()) {
            Ok(()) => sync(&to.fd).and_then(|()| remove_part(vault, entry, to)),
            Err(errno) => {
                let place = shown(entry);
                entry.error = format!("what stands at {place} is not it: {why}");
                Err(format!("it stands there: {}", said(errno)))
            }
        };
        let stands = stands.map_or_else(|more| format!("; {more}"), |()| String::new());
        let place = shown(entry);
        // The vault has all of it.
        entry.to = None;
        vault.set(entry, Step::Quarantined)?;
        return Err(format!(
            "what stood at {place} is not the copy that was put there: {why}; {} stays in the vault{stands}",
            entry.id
        ));
    }
    // It is empty, or by now another's.
    let _ = remove_private(to, &part).or_else(|_| remove_private(to, &part));
    sync(&to.fd)?;
    empty(vault, entry)
}

/// Removes a copy that is not whole, where it is one of what the vault holds: its name is in the ledger, and what has
/// that name may be anybody's.
///
/// # Errors
/// With a line about what is not known to be in the vault, or cannot be removed.
pub fn remove_part(vault: &Vault, entry: &Entry, to: &Open) -> Result<(), String> {
    let part = part(entry);
    let item = ITEM.as_bytes();
    let held = match to.dir.open_dir(&part) {
        Err(error) if error.is_absent() => return Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(own) => {
            let (names, more) = own.names(1).map_err(|e| e.to_string())?;
            if more || names.iter().any(|name| name != item) {
                Err("it holds something else".to_owned())
            } else {
                let inside = look(&vault.folder(&entry.id)?)?;
                rest::hold(Rest::Begun, (&own, item), (&inside, item), &vault.reading)
            }
        }
    };
    held.map_err(|why| {
        format!(
            "{} is not known to be a part of a copy of what is in the vault: {why}; see what it is, and take it away first",
            escape(&to.dir.join(&part))
        )
    })?;
    remove_tree(&to.fd, &part)
}

/// Makes a directory in one that may be another's, in which nobody else can write.
fn private(to: &Open, name: &[u8]) -> Result<Open, String> {
    let path = OsStr::from_bytes(name);
    let fail = |why: &str| format!("cannot make {} there: {why}", path.display());
    retry_on_intr(|| rustix::fs::mkdirat(&to.fd, path, Mode::RWXU))
        .map_err(|errno| fail(&said(errno)))?;
    let own = to.dir.open_dir(name).map_err(|e| fail(&e.to_string()))?;
    let meta = own.own_meta().map_err(|e| fail(&e.to_string()))?;
    let is_own = meta.uid == rustix::process::geteuid().as_raw();
    let is_empty = own.names(1).is_ok_and(|(names, _)| names.is_empty());
    if !is_own || meta.mode & 0o077 != 0 || !is_empty {
        return Err(fail("something else was put in its place"));
    }
    reopen(own)
}

fn remove_private(to: &Open, name: &[u8]) -> Result<(), Errno> {
    let name = OsStr::from_bytes(name);
    retry_on_intr(|| rustix::fs::unlinkat(&to.fd, name, AtFlags::REMOVEDIR))
}

/// Removes from the vault what this call has copied elsewhere and held against it.
fn empty(vault: &Vault, entry: &mut Entry) -> Result<(), String> {
    vault.set(entry, Step::Emptying)?;
    vault.clear(&entry.id)?;
    vault.set(entry, Step::Restored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_made_where_nobody_else_can_write() {
        let top = tempfile::tempdir().unwrap();
        let to = reopen(Dir::open_top(top.path()).unwrap()).unwrap();
        let own = private(&to, b"part").unwrap();
        assert_eq!(own.dir.own_meta().unwrap().mode, 0o700);
        // It stays the one that was made, whatever is put under its name.
        std::fs::rename(top.path().join("part"), top.path().join("away")).unwrap();
        std::fs::create_dir(top.path().join("part")).unwrap();
        rustix::fs::mkdirat(&own.fd, "item", Mode::RWXU).unwrap();
        assert!(top.path().join("away/item").exists());
        assert!(private(&to, b"part").is_err());
    }
}
