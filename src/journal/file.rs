//! The journal's file: opened by one process at a time, put aside when it is damaged, and written anew when it
//! has lost its place.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ids::{BESIDE, FILE, Id, Ids, LOG, ROLLBACK, id_at};
use super::turn::Turn;
use crate::order;
use crate::root::Root;
use crate::sqlite::store::{self, AllKnown, Store, StoreError};
use crate::state_dir::{StateDir, StateDirError};

/// What was in files that lost their place, on the way to that.
const SAVED: &str = "journal.saved";
/// A copy of one that is to be read alone.
const READ: &str = "journal.read";
/// What the name of a file that was put aside begins with.
const ASIDE: &str = "journal.aside-";
/// Files that were put aside and are kept, the newest; each has at most [`LARGEST`] bytes.
const MOST_ASIDE: usize = 2;
/// A larger file is none of ours, in bytes.
const LARGEST: u64 = 32 << 20;
/// Names in the directory that are looked through for files put aside.
const MOST_NAMES: usize = 1_000;

/// Why there is no journal to be written.
#[derive(Debug)]
pub enum Refusal {
    /// The place cannot hold it.
    Place(StateDirError),
    /// The file cannot be used.
    Store(StoreError),
    /// Another process writes it.
    Busy(PathBuf),
    /// It was tried a moment ago, and what is wrong has been said; or it waits for what is known.
    Said,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Busy(path) => {
                write!(f, "another dsplug writes the journal in {}", path.display())
            }
            Self::Said => f.write_str("the journal cannot be used yet"),
        }
    }
}

impl From<StateDirError> for Refusal {
    fn from(error: StateDirError) -> Self {
        Self::Place(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The file, open to be written.
#[derive(Debug)]
pub struct Open {
    /// What it holds.
    pub store: Store,
    /// Another file in its place, or in that of what is beside it, is noticed by them.
    pub ids: Ids,
    /// Where it is.
    pub path: PathBuf,
    /// Where it came from what was saved: closed after it, since with any descriptor of a file that a process
    /// closes all its locks on that go (POSIX, `fcntl`), and SQLite has some.
    saved_as: Option<File>,
}

/// What became of the files that this process had open last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It has had none.
    Never,
    /// They stand where they stood.
    InPlace,
    /// They have lost their place: what stands there is none of ours.
    Displaced,
}

/// Opens the journal in a place, when it is this process's `turn`, which it takes where it has not; with it, what
/// was done with what stood there, for people.
pub fn open(
    place: &Path,
    root: &Root,
    turn: &mut Option<Turn>,
    last: Last,
) -> Result<(Open, Option<String>), Refusal> {
    let state = StateDir::open(place, root)?;
    if turn.is_none() {
        let taken = Turn::take(&state)?;
        *turn = Some(taken.ok_or_else(|| Refusal::Busy(state.path().to_owned()))?);
    }
    let foreign = put_rollback_aside(&state, FILE)?;
    let told = match last {
        Last::Never => take_up(&state)?,
        Last::InPlace => None,
        Last::Displaced => {
            let aside = clear(&state)?;
            // What was saved and found no place is held in memory.
            remove(&state, SAVED);
            aside
        }
    };
    let told = match (foreign, told) {
        (Some(foreign), Some(told)) => Some(format!("{foreign}; {told}")),
        (foreign, told) => foreign.or(told),
    };
    match open_store(&state, FILE) {
        Err(Refusal::Store(StoreError::Damaged(why))) => {
            let name = put_aside(&state)?;
            let aside = state.path().join(name);
            let why = format!(
                "the journal was damaged ({why}); it is kept aside as {} and a new one begun",
                aside.display()
            );
            Ok((open_store(&state, FILE)?, Some(why)))
        }
        // It is this process's turn, and whoever holds the file itself would have it know nothing.
        Err(Refusal::Store(StoreError::Locked(why))) if last == Last::Never => {
            let (open, aside) = copied(&state)?;
            let aside = aside.map(|aside| format!("; {aside}")).unwrap_or_default();
            let why = format!(
                "another process holds the journal ({why}); what it has goes on in a copy{aside}"
            );
            Ok((open, Some(why)))
        }
        other => Ok((other?, told)),
    }
}

/// What the file in a place last knew of the bundles, and whether that is not all that was: of a file that another
/// process writes.
pub fn known_at(place: &Path, root: &Root) -> Result<Option<(AllKnown, bool)>, Refusal> {
    let state = StateDir::open(place, root)?;
    match state.file(FILE)? {
        Some(file)
            if file
                .metadata()
                .is_ok_and(|meta| (1..=LARGEST).contains(&meta.len())) =>
        {
            match store::read_known(&state.path().join(FILE)) {
                Err(StoreError::Locked(_)) => {
                    let known = copy(&state, READ).and_then(|open| Ok(open.store.known()?));
                    remove(&state, READ);
                    known
                }
                known => Ok(known?),
            }
        }
        _ => Ok(None),
    }
}

/// Writes what an open file holds, which has lost its place, into another, which gets that place; with it, what was
/// done with what stood there. The old one is open all the while: where this fails, it still has all.
pub fn write_anew(
    open: &Open,
    place: &Path,
    root: &Root,
) -> Result<(Open, Option<String>), Refusal> {
    let state = StateDir::open(place, root)?;
    let saved = save(open, &state)?;
    put_in_place(&state, saved)
}

/// Copies a file that another has locked, and gives the copy its place.
fn copied(state: &StateDir) -> Result<(Open, Option<String>), Refusal> {
    let copied = copy(state, SAVED).and_then(|open| {
        drop(open);
        // Its log of writes is in it by now.
        match id_at(&state.path().join(format!("{SAVED}{LOG}"))) {
            None => state.file(SAVED)?.ok_or_else(exchanged),
            Some(_) => Err(damaged("its log of writes could not be put into it".into())),
        }
    });
    match copied {
        Ok(saved) => put_in_place(state, saved),
        Err(refusal) => {
            remove(state, SAVED);
            Err(refusal)
        }
    }
}

/// Copies the file, with its log of writes, and opens the copy: a lock of SQLite's keeps nobody from reading the bytes.
fn copy(state: &StateDir, to: &str) -> Result<Open, Refusal> {
    remove(state, to);
    for suffix in ["", LOG] {
        let Some(from) = state.file_to_read(&format!("{FILE}{suffix}"))? else {
            continue;
        };
        let name = format!("{to}{suffix}");
        let path = state.path().join(&name);
        let fail = |error| StateDirError::Io("copy to", path, error);
        let mut file = state.create(&name)?;
        let bytes = std::io::copy(&mut from.take(LARGEST.saturating_add(1)), &mut file);
        let bytes = bytes.and_then(|bytes| file.sync_all().map(|()| bytes));
        if bytes.map_err(fail)? > LARGEST {
            return Err(damaged(format!(
                "{FILE}{suffix} has more than {LARGEST} bytes"
            )));
        }
    }
    open_store(state, to)
}

/// Saves what a file holds. Open, it is known by its inode, which goes to no other file.
fn save(open: &Open, state: &StateDir) -> Result<File, Refusal> {
    // An older one, if any.
    remove(state, SAVED);
    let saved = state.create(SAVED)?;
    if let Err(error) = open.store.copy_to(&state.path().join(SAVED)) {
        // It takes room that may be what is lacking.
        remove(state, SAVED);
        return Err(error.into());
    }
    Ok(saved)
}

/// Gives what was saved its place, and opens it. Whatever else stands at either name is none of ours.
fn put_in_place(state: &StateDir, saved: File) -> Result<(Open, Option<String>), Refusal> {
    let id = id_of(&saved);
    if id.is_none() || id_at(&state.path().join(SAVED)) != id {
        return Err(exchanged());
    }
    let aside = clear(state)?;
    state.rename(SAVED, FILE)?;
    state.sync()?;
    let mut open = open_store(state, FILE)?;
    if open.ids.file() == id {
        open.saved_as = Some(saved);
        Ok((open, aside))
    } else {
        Err(exchanged())
    }
}

/// Takes up what a process had saved that was killed before that had its place: it is put there, unless what stands
/// there has newer events. What is told of it, for people; where nothing was lost, the log alone is told.
fn take_up(state: &StateDir) -> Result<Option<String>, Refusal> {
    let path = state.path().join(SAVED);
    if id_at(&path).is_none() {
        return Ok(None);
    }
    let newest = |name| open_store(state, name).and_then(|open| Ok(open.store.last_id()?));
    let rollback = state.path().join(format!("{SAVED}{ROLLBACK}"));
    // One that SQLite has made says that what it wrote is not whole; another is none of its.
    let is_begun = std::fs::symlink_metadata(rollback).is_ok_and(|meta| meta.is_file());
    if !is_begun {
        put_rollback_aside(state, SAVED)?;
    }
    let found = match state.file(SAVED) {
        Ok(Some(_)) if is_begun => Err(damaged("it was only begun".to_owned())),
        Ok(Some(saved)) if saved.metadata().is_ok_and(|meta| meta.len() > 0) => {
            newest(SAVED).map(|newest| (saved, newest))
        }
        Ok(_) => Err(damaged("it was only begun".to_owned())),
        Err(StateDirError::Unsafe(_, why)) => Err(damaged(format!("it {why}"))),
        Err(error) => Err(error.into()),
    };
    let why = match found {
        Ok((saved, newest_saved)) => {
            let there = id_at(&state.path().join(FILE)).map(|_| newest(FILE));
            let is_newer = match there {
                None | Some(Err(Refusal::Store(StoreError::Damaged(_)))) => false,
                Some(newest) => newest? > newest_saved,
            };
            if !is_newer {
                let (_, aside) = put_in_place(state, saved)?;
                let aside = aside.map(|aside| format!("; {aside}")).unwrap_or_default();
                return Ok(Some(format!(
                    "the process that wrote the journal was killed when that had lost its place; what it had saved is put there{aside}"
                )));
            }
            "the journal is newer".to_owned()
        }
        Err(Refusal::Store(StoreError::Damaged(why))) => why,
        // Another time, perhaps.
        Err(refusal) => {
            log::warn!("{} is not used: {refusal}", path.display());
            return Ok(None);
        }
    };
    log::warn!("{} is not used and is removed: {why}", path.display());
    remove(state, SAVED);
    Ok(None)
}

/// Makes the file's place free; gives what was done with what stood there.
fn clear(state: &StateDir) -> Result<Option<String>, StateDirError> {
    if id_at(&state.path().join(FILE)).is_none() {
        put_rollback_aside(state, FILE)?;
        // SQLite would take what is left there for its own.
        remove_beside(state, FILE);
        return Ok(None);
    }
    let aside = state.path().join(put_aside(state)?);
    let aside = aside.display();
    Ok(Some(format!(
        "what stood in its place is kept aside as {aside}"
    )))
}

/// Removes a file and what is beside it. There may be none.
fn remove(state: &StateDir, name: &str) {
    let _ = state.remove(name);
    remove_beside(state, name);
}

fn remove_beside(state: &StateDir, name: &str) {
    for suffix in BESIDE {
        let _ = state.remove(&format!("{name}{suffix}"));
    }
}

fn damaged(why: String) -> Refusal {
    Refusal::Store(StoreError::Damaged(why))
}

fn exchanged() -> Refusal {
    damaged("another file has taken its place".to_owned())
}

fn id_of(file: &File) -> Option<Id> {
    let meta = file.metadata().ok()?;
    Some((meta.dev(), meta.ino()))
}

fn open_store(state: &StateDir, file: &str) -> Result<Open, Refusal> {
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("{file}{suffix}");
        match state.file(&name) {
            Ok(Some(file)) => {
                let size = file.metadata().map_or(u64::MAX, |m| m.len());
                if size > LARGEST {
                    return Err(damaged(format!("{name} has {size} bytes")));
                }
            }
            Ok(None) if name == file => drop(state.create(file)?),
            Ok(None) => {}
            // Neither followed nor waited for.
            Err(StateDirError::Unsafe(_, why)) => return Err(damaged(format!("{name} {why}"))),
            Err(error) => return Err(error.into()),
        }
    }
    let path = state.path().join(file);
    let before = id_at(&path);
    let store = Store::open(&path)?;
    // Whoever exchanges it in this moment is noticed as well.
    let ids = Ids::at(&path);
    if before.is_some() && ids.file() == before {
        Ok(Open {
            store,
            ids,
            path,
            saved_as: None,
        })
    } else {
        Err(exchanged())
    }
}

/// Renames the journal's file and what is beside it; gives the new name.
fn put_aside(state: &StateDir) -> Result<String, StateDirError> {
    let name = format!("{ASIDE}{}", now_ms());
    state.rename(FILE, &name)?;
    for suffix in BESIDE {
        match state.rename(&format!("{FILE}{suffix}"), &format!("{name}{suffix}")) {
            Err(StateDirError::Io(_, _, error)) if error.kind() == std::io::ErrorKind::NotFound => {
            }
            other => other?,
        }
    }
    remove_stale(state)?;
    state.sync()?;
    Ok(name)
}

/// Renames what stands where SQLite looks for a journal to roll back, which is none of ours, so that what we wrote is
/// opened without it; says so, for people.
fn put_rollback_aside(state: &StateDir, file: &str) -> Result<Option<String>, StateDirError> {
    let (there, aside) = (
        format!("{file}{ROLLBACK}"),
        format!("{ASIDE}{}{ROLLBACK}", now_ms()),
    );
    if id_at(&state.path().join(&there)).is_none() {
        return Ok(None);
    }
    state.rename(&there, &aside)?;
    remove_stale(state)?;
    state.sync()?;
    let [there, aside] = [there, aside].map(|name| state.path().join(name));
    Ok(Some(format!(
        "{} was put there by another; it is kept aside as {}",
        there.display(),
        aside.display()
    )))
}

/// Removes what was put aside but for the newest.
fn remove_stale(state: &StateDir) -> Result<(), StateDirError> {
    let (names, _) = state.names(MOST_NAMES)?;
    let names: Vec<String> = names
        .into_iter()
        .filter_map(|name| String::from_utf8(name).ok())
        .filter(|name| name.starts_with(ASIDE))
        .collect();
    let own = |name: &str| {
        let suffix = BESIDE.into_iter().find(|suffix| name.ends_with(suffix));
        name.strip_suffix(suffix.unwrap_or_default())
            .map(str::to_owned)
    };
    let times: BTreeSet<String> = order::gather(names.iter().filter_map(|name| own(name)));
    let old = times.len().saturating_sub(MOST_ASIDE);
    for stale in times.iter().take(old) {
        for name in names.iter().filter(|name| name.starts_with(stale.as_str())) {
            // One that is a directory stays.
            let _ = state.remove(name);
        }
    }
    Ok(())
}

/// Milliseconds of Unix time.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("Library")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    /// On most Macs there are no events, and what is known is all that there is to lose.
    #[test]
    fn what_was_only_begun_takes_the_place_of_no_journal_without_events() {
        let (_folder, root) = root();
        let place = tempfile::tempdir().unwrap();
        let place = place.path().join("state");
        let open = || open(&place, &root, &mut None, Last::Never).unwrap();
        let (mut journal, _) = open();
        let known = [(b"/a".to_vec(), Some(crate::event::Known::default()))];
        journal.store.write(&[], &known.into(), true).unwrap();
        drop(journal);
        std::fs::write(place.join(SAVED), b"").unwrap();
        let (journal, told) = open();
        assert_eq!(told, None);
        assert_eq!(journal.store.known().unwrap().unwrap().0.len(), 1);
        assert_eq!(id_at(&place.join(SAVED)), None);
    }

    /// Whoever exchanges what was saved before it has its place, or puts an older copy where it goes.
    #[test]
    fn nothing_but_what_was_saved_gets_its_place() {
        let (_folder, root) = root();
        type Attack<'a> = (&'a str, &'a dyn Fn(&Path), bool);
        let attacks: [Attack<'_>; 4] = [
            ("none", &|_| (), true),
            (
                "exchanged",
                &|state| {
                    std::fs::copy(state.join(FILE), state.join("older")).unwrap();
                    std::fs::rename(state.join("older"), state.join(SAVED)).unwrap();
                },
                false,
            ),
            (
                "taken away",
                &|state| std::fs::remove_file(state.join(SAVED)).unwrap(),
                false,
            ),
            (
                "another in its place",
                &|state| std::fs::write(state.join(FILE), b"other").unwrap(),
                true,
            ),
        ];
        for (what, attack, is_placed) in attacks {
            let place = tempfile::tempdir().unwrap();
            let place = place.path().join("state");
            let mut turn = None;
            let (old, _) = open(&place, &root, &mut turn, Last::Never).unwrap();
            let state = StateDir::open(&place, &root).unwrap();
            let saved = save(&old, &state).unwrap();
            let (kept, id) = (saved.try_clone().unwrap(), id_of(&saved));
            attack(&place);
            let placed = put_in_place(&state, saved);
            assert_eq!(placed.is_ok(), is_placed, "{what}");
            let is_ours = id_at(&place.join(FILE)) == id;
            assert_eq!(is_ours, is_placed, "{what}");
            // And what this process then finds there is put aside.
            drop(placed);
            let (new, aside) = open(&place, &root, &mut turn, Last::Displaced).unwrap();
            assert!(aside.is_some(), "{what}");
            assert_ne!(new.ids.file(), id, "{what}");
            assert_eq!(id_at(&place.join(SAVED)), None, "{what}");
            drop(kept);
        }
    }
}
