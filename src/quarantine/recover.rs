//! What a call finishes or undoes that was killed, or met a disk that failed.
//!
//! The ledger says where it got, and may have been written by anybody: nothing is removed but what was looked at now
//! and is the same as what stands elsewhere. All else stays, and a line says so.

use super::asked::Asked;
use super::ledger::{self, Entry, Step};
use super::put_back;
use super::rest::Rest;
use super::take::{self, aside};
use super::vault::{
    ITEM, Open, PART, Vault, differs, hold_seen, is_same, look, open, rename, sync,
};
use crate::collect::said;
use crate::meta::Kind;
use crate::reading::Reading;
use crate::state_dir::StateDir;
use crate::text::escape;

/// What became of what was unfinished, each in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// What was finished or undone.
    pub done: Vec<String>,
    /// What could be neither, and stays as it is.
    pub open: Vec<String>,
}

/// Finishes or undoes what is unfinished on the disk that was asked for. Where that is not to be written, it is told
/// alone, and there is no vault. `reading` says until when that goes on: the vault's own, where there is one.
///
/// # Errors
/// When the ledger cannot be listed.
pub fn recover(
    ledger: &StateDir,
    vault: Option<&Vault>,
    asked: &Asked<'_>,
    reading: &Reading,
) -> Result<Recovered, String> {
    let mut recovered = Recovered::default();
    let mut unfinished = Vec::new();
    let rest = ledger::each(ledger, &mut |entry, _| {
        // A damaged entry is shown by the table; nobody knows what it says.
        let entry = entry.ok().filter(|entry| entry.step.is_unfinished());
        unfinished.extend(entry.map(|entry| entry.id));
        true
    })
    .map_err(|e| e.to_string())?;
    let all = unfinished.len();
    for (number, id) in unfinished.into_iter().enumerate() {
        if reading.is_spent() {
            let left = all.saturating_sub(number);
            recovered.open.push(format!(
                "{left} more that were interrupted are neither finished nor undone: the time for them is spent; dsplug doctor --thorough takes as long as it needs"
            ));
            break;
        }
        let Ok(Some(mut entry)) = ledger::one(ledger, &id) else {
            continue;
        };
        reading.begin();
        let held = asked.hold_unfinished(ledger, &entry);
        let became = held.and_then(|()| match vault {
            Some(vault) => match asked.hold_place(&entry) {
                Ok(()) => one(vault, &mut entry),
                Err(why) => stay_elsewhere(vault, &mut entry, &why),
            },
            None => Err("the vault is not written".into()),
        });
        let id = escape(id.as_bytes());
        match became {
            Ok(line) => recovered.done.push(format!("{id} was interrupted: {line}")),
            Err(why) => recovered.open.push(format!(
                "{id} was interrupted, and is neither finished nor undone: {why}"
            )),
        }
    }
    recovered.open.extend(rest.unlisted(ledger));
    if let Some(vault) = vault {
        recovered.open.extend(vault.tidy()?);
    }
    Ok(recovered)
}

fn one(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    match entry.step {
        Step::Moving => moving(vault, entry),
        Step::Copying => copying(vault, entry),
        Step::Aside | Step::Clearing => match open(&entry.from) {
            Ok(from) if entry.step == Step::Aside => set_aside(vault, entry, &from),
            Ok(from) => clearing(vault, entry, &from),
            Err(why) => {
                let name = escape(&aside(entry));
                let why = format!("whether something stands aside as {name} is not known: {why}");
                stay(vault, entry, &why)
            }
        },
        Step::Returning => returning(vault, entry),
        Step::Placing => placing(vault, entry),
        Step::Emptying => emptying(vault, entry),
        Step::Quarantined | Step::Restored | Step::Lost => Ok(String::new()),
    }
}

fn moving(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    let from = open(&entry.from);
    if vault.has(&entry.id, ITEM)? {
        let folder = vault.folder(&entry.id)?;
        let (dir, item) = (look(&folder)?, ITEM.as_bytes());
        let differs = differs(&dir, item, &entry.seen, false, &vault.reading);
        sync(&folder)?;
        from.map_or(Ok(()), |from| sync(&from.fd))?;
        if let Some(why) = &differs {
            entry.error.clone_from(why);
        }
        vault.set(entry, Step::Quarantined)?;
        let is_in = is_in(entry);
        // Nobody knows any more whether it is what stood there.
        return differs.map_or(Ok(with_error(is_in.clone(), entry)), |why| {
            Err(format!("{is_in} and stays there: {why}"))
        });
    }
    match from {
        Ok(from) if stands(&from, &entry.from.name) => return forget(vault, entry, &from),
        Ok(_) => {}
        // The directory may have gone with it: that is no reason to keep an entry of nothing.
        Err(why) => return stay(vault, entry, &why),
    }
    entry.error = "it went before it could be moved; the evidence is kept".into();
    vault.set(entry, Step::Lost)?;
    vault.close(&entry.id)?;
    Ok(format!("{} went before it could be moved", entry.path))
}

/// The copy alone is removed, where what was copied still stands.
fn copying(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    match open(&entry.from) {
        Ok(from) => forget(vault, entry, &from),
        Err(why) => stay(vault, entry, &why),
    }
}

/// Goes on where a call was killed after the copy was whole.
fn set_aside(vault: &Vault, entry: &mut Entry, from: &Open) -> Result<String, String> {
    let name = aside(entry);
    let own = entry.from.name.clone();
    if !stands(from, &name) {
        if stands(from, &own) {
            return forget(vault, entry, from);
        }
        let why = "nothing stands at its place";
        if !vault.has(&entry.id, ITEM)? {
            return stay(vault, entry, why);
        }
        if let Err(item) = hold_item(vault, entry)? {
            return stay_unknown(vault, entry, &format!("{why}; in the vault: {item}"));
        }
        entry.error = "it went while it was copied; the vault holds the copy".into();
        vault.set(entry, Step::Quarantined)?;
        return Ok(format!("{} as {}", is_in(entry), entry.id));
    }
    if !stands(from, &own) && hold_copied(vault, entry, Rest::Whole, (from, &name)).is_ok() {
        rename(&from.fd, &name, &from.fd, &own).map_err(said)?;
        sync(&from.fd)?;
        return forget(vault, entry, from);
    }
    // Something else stands there or aside by now: what was copied is removed where it stands aside.
    let differs = differs(&from.dir, &name, &entry.seen, false, &vault.reading);
    let held = differs.map_or(Ok(()), Err);
    if let Err(why) = held.and_then(|()| take::hold_aside(vault, entry, from, Rest::Removed)) {
        let name = escape(&name);
        let why = format!("what stands aside as {name} is not known to be what was copied: {why}");
        return stay(vault, entry, &why);
    }
    take::clear(vault, entry, from)?;
    let line = format!("{} as {}", is_in(entry), entry.id);
    Ok(with_error(line, entry))
}

/// Goes on where a call was killed while it removed what stands aside; what stands there and is another stays.
fn clearing(vault: &Vault, entry: &mut Entry, from: &Open) -> Result<String, String> {
    let name = aside(entry);
    if !vault.has(&entry.id, ITEM)? {
        return stay(vault, entry, "there is nothing in the vault");
    }
    if stands(from, &name) {
        let shown = escape(&name);
        if !is_same(&from.dir, &name, &entry.seen) {
            let why = format!("what stands aside as {shown} is not known to be what was looked at");
            return stay(vault, entry, &why);
        }
        if let Err(why) = take::hold_aside(vault, entry, from, Rest::Removed) {
            let why =
                format!("what stands aside as {shown} is not known to be in the vault: {why}");
            return stay(vault, entry, &why);
        }
    }
    let Err(why) = take::clear(vault, entry, from) else {
        return Ok(with_error(is_in(entry), entry));
    };
    // Tried twice: what cannot be removed keeps nobody from putting the copy back.
    entry.error.clone_from(&why);
    vault.set(entry, Step::Quarantined)?;
    Ok(format!("{}, {why}; remove it by hand", is_in(entry)))
}

fn returning(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    if vault.has(&entry.id, ITEM)? {
        entry.to = None;
        vault.set(entry, Step::Quarantined)?;
        return Ok(with_error(is_in(entry), entry));
    }
    let (to, name) = destination(entry)?;
    if let Err(why) = hold_seen(&to.dir, &name, &entry.seen, &vault.reading) {
        return stay(vault, entry, &why);
    }
    sync(&to.fd)?;
    vault.set(entry, Step::Restored)?;
    vault.close(&entry.id)?;
    Ok(with_error(is_back(entry), entry))
}

fn placing(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    let mut rest = None;
    // Where the directory is gone, so is whatever was put there.
    if let (Ok((to, name)), Some(place)) = (destination(entry), entry.to.clone()) {
        let part = put_back::part(entry);
        // Where somebody named another directory, the entry alone says so.
        let is_removed = place == entry.from && put_back::remove_part(vault, entry, &to).is_ok();
        if !is_removed && stands(&to, &part) {
            rest = Some(format!(
                "a part of a copy stands beside {} as {}; see what it is, and remove it by hand",
                place.shown(),
                escape(&part)
            ));
        }
        let is_known = !entry.seen.digest.is_empty() || !entry.seen.link.is_empty();
        let differs = is_known.then(|| differs(&to.dir, &name, &entry.seen, true, &vault.reading));
        if vault.reading.was_short() {
            let why = differs.flatten().or(rest).unwrap_or_default();
            return stay(vault, entry, &why);
        }
        if differs.is_some_and(|differs| differs.is_none()) {
            let became = emptying(vault, entry);
            return match (became, rest) {
                (Ok(line), Some(rest)) => Err(format!("{line}, and {rest}")),
                (became, _) => became,
            };
        }
        sync(&to.fd)?;
    }
    if !vault.has(&entry.id, ITEM)? {
        return stay(vault, entry, "nothing is known to stand where it was put");
    }
    entry.to = None;
    vault.set(entry, Step::Quarantined)?;
    let line = is_in(entry);
    rest.map_or(Ok(line.clone()), |rest| Err(format!("{line}, and {rest}")))
}

/// The rest of it in the vault is removed, where what was put elsewhere still stands there. That it is a rest from now
/// on is written before it is one.
fn emptying(vault: &Vault, entry: &mut Entry) -> Result<String, String> {
    let held = destination(entry).and_then(|(to, name)| {
        if vault.has(&entry.id, ITEM)? {
            differs(&to.dir, &name, &entry.seen, true, &vault.reading).map_or(Ok(()), Err)?;
        } else {
            hold_seen(&to.dir, &name, &entry.seen, &vault.reading)?;
        }
        vault.hold(entry, Rest::Removed, (&to.dir, &name))
    });
    if let Err(why) = held {
        return stay(vault, entry, &why);
    }
    if entry.step != Step::Emptying {
        vault.set(entry, Step::Emptying)?;
    }
    if let Err(why) = vault.clear(&entry.id) {
        let is_back = is_back(entry);
        return Err(format!(
            "{is_back}, and not all that the vault has of it is removed: {why}"
        ));
    }
    vault.set(entry, Step::Restored)?;
    Ok(is_back(entry))
}

fn is_in(entry: &Entry) -> String {
    format!("{} is in the vault", entry.path)
}

/// What the call that was interrupted had to tell as well: a volume covers what stands there.
fn with_error(line: String, entry: &Entry) -> String {
    if entry.error.is_empty() {
        return line;
    }
    format!("{line}; {}", escape(entry.error.as_bytes()))
}

/// Says where it was put, which is not where it stood when somebody named another directory.
fn is_back(entry: &Entry) -> String {
    match entry.to.as_ref().filter(|to| **to != entry.from) {
        None => format!("{} was put back", entry.path),
        Some(to) => {
            let root = escape(&to.root);
            let to = to.shown();
            format!("{} was put to {to} of the root {root}", entry.path)
        }
    }
}

/// Where the system cannot say, it is not known to be gone.
fn stands(open: &Open, name: &[u8]) -> bool {
    !open.dir.meta(name).is_err_and(|error| error.is_absent())
}

fn destination(entry: &Entry) -> Result<(Open, Vec<u8>), String> {
    let to = entry.to.as_ref().ok_or("the entry does not say where to")?;
    Ok((open(to)?, to.name.clone()))
}

/// Holds what stands at a place to what was seen, and what the vault holds of it to what stands there.
fn hold_copied(
    vault: &Vault,
    entry: &Entry,
    item: Rest,
    (from, name): (&Open, &[u8]),
) -> Result<(), String> {
    hold_seen(&from.dir, name, &entry.seen, &vault.reading)?;
    vault.hold(entry, item, (&from.dir, name))
}

/// Forgets what is known to stand where it stood, with what the vault holds of it: of that a call that was killed here
/// has removed a part.
fn forget(vault: &Vault, entry: &mut Entry, from: &Open) -> Result<String, String> {
    let place = (from, entry.from.name.as_slice());
    if let Err(why) = hold_copied(vault, entry, Rest::Removed, place) {
        return stay(vault, entry, &why);
    }
    let line = format!("{} stands where it stood", entry.path);
    let cleared = vault.clear(&entry.id);
    cleared
        .map_err(|why| format!("{line}, and not all that the vault has of it is removed: {why}"))?;
    vault.forget(entry)?;
    Ok(line)
}

/// True while what the vault holds may be a rest: a call may have been killed that removed it.
fn may_be_a_rest(step: Step) -> bool {
    matches!(step, Step::Copying | Step::Aside | Step::Emptying)
}

/// Holds what is in the vault to what was seen, with a line where it is not known to be the whole of that.
fn hold_item(vault: &Vault, entry: &Entry) -> Result<Result<(), String>, String> {
    let inside = look(&vault.folder(&entry.id)?)?;
    if entry.seen.kind == Kind::Directory.as_str() && entry.seen.digest.is_empty() {
        return Ok(Err("its digest was not known".into()));
    }
    let differs = differs(&inside, ITEM.as_bytes(), &entry.seen, true, &vault.reading);
    Ok(differs.map_or(Ok(()), Err))
}

/// Leaves what is put to a place that is not looked at. What the vault still holds while that is emptied may be a rest
/// alone, and where it holds nothing, the whole may stand there: neither is said to be what it is not known to be.
fn stay_elsewhere(vault: &Vault, entry: &mut Entry, why: &str) -> Result<String, String> {
    if entry.step != Step::Emptying && vault.has(&entry.id, ITEM)? {
        return stay(vault, entry, why);
    }
    stay_unknown(vault, entry, why)
}

/// Leaves everything as it is, and so that the next call looks at it again.
fn stay_unknown(vault: &Vault, entry: &Entry, why: &str) -> Result<String, String> {
    let rest = if may_be_a_rest(entry.step) && vault.has(&entry.id, ITEM)? {
        let folder = vault.folder(&entry.id)?;
        let folder = folder.path().display();
        format!("; {folder}/{ITEM} may be a rest of it: see what it is, and move it elsewhere")
    } else {
        String::new()
    };
    Err(format!("{} stays as it is: {why}{rest}", entry.path))
}

/// Leaves everything where it is, for it is not known to be what the ledger says; always with a line.
fn stay(vault: &Vault, entry: &mut Entry, why: &str) -> Result<String, String> {
    // What was not read may be what the ledger says, and is told again by the next call.
    if vault.reading.was_short() {
        return stay_unknown(vault, entry, why);
    }
    if vault.has(&entry.id, ITEM)? {
        if may_be_a_rest(entry.step)
            && let Err(item) = hold_item(vault, entry)?
        {
            return stay_unknown(vault, entry, &format!("{why}; in the vault: {item}"));
        }
        why.clone_into(&mut entry.error);
        entry.to = None;
        vault.set(entry, Step::Quarantined)?;
        return Err(format!(
            "{}, and stays there: {why}; restore --to takes it out",
            is_in(entry)
        ));
    }
    if vault.has(&entry.id, PART)? {
        let folder = vault.folder(&entry.id)?;
        return Err(format!(
            "a part of a copy of {} is in the vault as {}/{PART}, and stays there: {why}; see what it is, and move it elsewhere",
            entry.path,
            folder.path().display()
        ));
    }
    entry.error = format!("it is neither in the vault nor known to stand elsewhere: {why}");
    vault.set(entry, Step::Lost)?;
    // Nothing is in it.
    let _ = vault.close(&entry.id);
    Err(format!(
        "{}: {}; the evidence is kept",
        entry.path, entry.error
    ))
}
