//! What a call finishes or undoes that was killed, or met a disk that failed.

use super::asked::Asked;
use super::ledger::{self, Entry, Step};
use super::put_back;
use super::take;
use super::vault::{ITEM, Open, Vault, differs, look, open, remove_tree, sync};
use crate::text::escape;

/// What became of what was unfinished, each in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// What was finished or undone.
    pub done: Vec<String>,
    /// What could be neither, and stays as it is.
    pub open: Vec<String>,
}

/// Finishes or undoes what is unfinished on the disk that was asked for.
///
/// # Errors
/// When the ledger cannot be listed.
pub fn recover(vault: &Vault, asked: &Asked<'_>) -> Result<Recovered, String> {
    let mut recovered = Recovered::default();
    let mut unfinished = Vec::new();
    let rest = ledger::each(&vault.ledger, &mut |entry, _| {
        // A damaged entry is shown by the table; nobody knows what it says.
        let entry = entry.ok().filter(|entry| entry.step.is_unfinished());
        unfinished.extend(entry.map(|entry| entry.id));
        true
    })
    .map_err(|e| e.to_string())?;
    for id in unfinished {
        let Ok(Some(mut entry)) = ledger::one(&vault.ledger, &id) else {
            continue;
        };
        let held = asked.hold_unfinished(&vault.ledger, &entry);
        let id = escape(id.as_bytes());
        match held.and_then(|()| one(vault, &mut entry)) {
            Ok(line) => recovered.done.push(format!("{id} was interrupted: {line}")),
            Err(why) => recovered.open.push(format!(
                "{id} was interrupted, and is neither finished nor undone: {why}"
            )),
        }
    }
    recovered.open.extend(rest.unlisted(&vault.ledger));
    recovered.open.extend(vault.tidy()?);
    Ok(recovered)
}

fn one(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    match entry.step {
        Step::Moving => moving(vault, entry),
        Step::Copying => {
            // The copy alone is removed, whatever stands where it stood.
            vault.clear(&entry.id)?;
            vault.forget(entry)?;
            Ok(format!("{} stands where it stood", entry.path))
        }
        Step::Aside => take::resume_aside(vault, entry, &open(&entry.from)?),
        Step::Clearing => take::resume_clear(vault, entry, &open(&entry.from)?),
        Step::Returning => {
            if is_kept(vault, entry)? {
                entry.to = None;
                vault.set(entry, Step::Quarantined)?;
                return Ok(format!("{} is in the vault", entry.path));
            }
            sync(&destination(entry)?.fd)?;
            vault.set(entry, Step::Restored)?;
            vault.close(&entry.id)?;
            Ok(format!("{} was put back", entry.path))
        }
        Step::Placing => placing(vault, entry),
        Step::Emptying => {
            put_back::empty(vault, entry)?;
            Ok(format!("{} was put back", entry.path))
        }
        Step::Quarantined | Step::Restored | Step::Lost => Ok(String::new()),
    }
}

/// True when the vault holds something under the name of an entry.
fn is_kept(vault: &Vault, entry: &Entry) -> Result<bool, String> {
    let inside = look(&vault.folder(&entry.id)?)?;
    match inside.meta(ITEM.as_bytes()) {
        Ok(_) => Ok(true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn moving(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    let from = open(&entry.from);
    if is_kept(vault, entry)? {
        let folder = vault.folder(&entry.id)?;
        let (dir, item) = (look(&folder)?, ITEM.as_bytes());
        let differs = differs(&dir, item, &entry.seen, false, vault.most);
        sync(&folder)?;
        from.map_or(Ok(()), |from| sync(&from.fd))?;
        entry.error = differs.clone().unwrap_or_default();
        vault.set(entry, Step::Quarantined)?;
        let is_in = format!("{} is in the vault", entry.path);
        // Nobody knows any more whether it is what stood there.
        return differs.map_or(Ok(is_in.clone()), |why| {
            Err(format!("{is_in} and stays there: {why}"))
        });
    }
    // The directory may have gone with it: that is no reason to keep an entry of nothing.
    let stands = |from: &Open| from.dir.meta(&entry.from.name).is_ok();
    if let Some(from) = from.ok().filter(stands) {
        take::undo(vault, entry, &from)?;
        return Ok(format!("{} stands where it stood", entry.path));
    }
    entry.error = "it went before it could be moved; the evidence is kept".into();
    vault.set(entry, Step::Lost)?;
    vault.close(&entry.id)?;
    Ok(format!("{} went before it could be moved", entry.path))
}

fn destination(entry: &Entry) -> Result<Open, String> {
    let to = entry.to.as_ref().ok_or("the entry does not say where to")?;
    open(to)
}

fn placing(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    let mut rest = None;
    // Where the directory is gone, so is whatever was put there.
    if let (Ok(to), Some(place)) = (destination(entry), entry.to.clone()) {
        let part = put_back::part(entry);
        // Where somebody named another directory, the entry alone says so.
        if place == entry.from {
            remove_tree(&to.fd, &part)?;
        } else if to.dir.meta(&part).is_ok() {
            rest = Some(format!(
                "a part of a copy stands beside {} as {}; see what it is, and remove it by hand",
                place.shown(),
                String::from_utf8_lossy(&part)
            ));
        }
        let is_known = !entry.seen.digest.is_empty() || !entry.seen.link.is_empty();
        if is_known && differs(&to.dir, &place.name, &entry.seen, true, vault.most).is_none() {
            put_back::empty(vault, entry)?;
            let line = format!("{} was put back", entry.path);
            return rest.map_or(Ok(line.clone()), |rest| Err(format!("{line}, and {rest}")));
        }
        sync(&to.fd)?;
    }
    entry.to = None;
    vault.set(entry, Step::Quarantined)?;
    let line = format!("{} is in the vault", entry.path);
    rest.map_or(Ok(line.clone()), |rest| Err(format!("{line}, and {rest}")))
}
