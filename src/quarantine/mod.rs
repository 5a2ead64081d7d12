//! `dsplug quarantine` and `dsplug restore`: out of the folder into a vault, and back.
//!
//! A thing is moved by one rename on its own volume. Every step is written to the [`ledger`] before
//! it is done, so that whoever is killed leaves what the next call can finish or undo:
//!
//! | the ledger says | it may stand | the next call |
//! |---|---|---|
//! | `moving` | at its place, or in the vault | keeps what is in the vault, and says so if it is not what was looked at; forgets what stands at its place |
//! | `copying` | at its place, a part of a copy in the vault, or a rest of it | removes the copy, where it is one of what stands there |
//! | `aside` | at its place or beside it, and in the vault, or a rest there | puts it back and removes the copy |
//! | `clearing` | in the vault, a rest of it beside its place | removes the rest |
//! | `quarantined` | in the vault | does nothing |
//! | `returning` | in the vault, or put back | leaves it where it is, and says so |
//! | `placing` | in the vault, a copy or a part of one elsewhere | keeps the copy if it is whole, and else removes it, or says where it is if that is not where the thing stood |
//! | `emptying` | put back, a rest of it in the vault | removes the rest |
//! | `restored` | put back | does nothing |
//! | `lost` | nowhere that is known: others took it before it was moved | does nothing |
//!
//! The ledger itself may be an attacker's, or have come with the state of another computer: an entry
//! of another root than was asked for, or of a place where no plug-in stands, is left as it is and
//! told, and an image, or a state directory that was named, is written only where that is said
//! ([`Asked`]). Whatever the ledger says, nothing is removed but what was looked at now and stands
//! elsewhere with the same content ([`rest`]); else it stays in the vault as `quarantined`, and a
//! line says so. Where the vault may hold a rest, only what has the digest that was seen becomes
//! `quarantined`; else the entry stays, and each call says so. An archive that is whole is never
//! removed by a later call.
//!
//! Of each thing as much is read as `collect` takes, and of all that earlier calls left for a minute,
//! unless `--thorough` is given: what is larger stays as it is, with a line.
//!
//! Between look and move an
//! attacker may swap the bundle, so what was moved is looked at again, on both ways: by device and
//! inode, kind, link and digest, and what went back by the digest that a person gave. What is not
//! that goes back where it was; where it cannot, its entry is `returning`, and has the error.

pub mod ledger;

mod asked;
mod call;
mod copy;
mod loader;
mod mounts;
mod options;
mod put_back;
mod recover;
mod rest;
mod take;
mod vault;

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

pub use asked::Asked;
pub use options::{Options, RestoreOptions};
pub use recover::Recovered;

use crate::bundle::Bundle;
use crate::collect::Bounds;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::print;
use crate::reading::Reading;
use crate::report::answer;
use crate::report::named::find;
use crate::root::Root;
use crate::state_dir::StateDir;
use crate::text::{escape, hex, tame};
use call::{Call, absolute, executable_id};
use ledger::{Place, Step};
use vault::Vault;

/// Time in which what earlier calls left is read, all together: whoever writes the ledger makes it as much as they like.
const TIME_FOR_EARLIER: Duration = Duration::from_secs(60);
/// What `--list` shows.
const LIST: &str = "SELECT id, state, path, time, hash, signer, signature_state, reason, uid, \
                    evidence, evidence_hash, error FROM dsplug_quarantine";

/// Takes a bundle out of its folder, or shows what was taken.
///
/// # Errors
/// When it cannot be taken: it stands where it stood then. When its loader could not be ended, or a volume is mounted over
/// where it stood: it is taken then.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    let Some(path) = options.path.as_ref().filter(|_| !options.list) else {
        return list(disk, options.format);
    };
    let mut scanner = disk.patient_scanner()?;
    may_write(disk, options.yes_write_image)?;
    let mut snapshot = scanner.scan();
    snapshot.events = disk.events(scanner.root());
    if let Some(why) = snapshot.unreadable() {
        return Err(Failure::new(why));
    }
    let bundle = Arc::clone(find(&snapshot, scanner.root(), &disk.root, path)?);
    if bundle.evidence.is_folder() {
        return Err(Failure::new(format!(
            "{} is the plug-in folder itself, of which that row tells, and stands where it may lead; it was left alone: name a bundle in it",
            escape(&bundle.evidence.candidate.path)
        )));
    }
    expected(&bundle, options.expect.as_deref())?;
    may_take_executable(&bundle, options)?;
    let root = scanner.root().clone();
    // It remembers what it has found.
    drop(scanner);
    let asked = Asked::new(disk, &root, options.yes_write_image)?;
    let vault = open(disk, &root, Some(&asked))?;
    let call = Call {
        disk,
        options,
        root: &root,
        vault: &vault,
    };
    let (taken, bundle) = call.bundle(snapshot, bundle)?;
    let executable = if options.with_executable {
        call.executable(&bundle, &taken)?
    } else {
        None
    };
    let ended = if options.keep_loader || disk.is_image() {
        Ok(())
    } else {
        loader::end()
    };
    // What was taken and has an error is covered where it stood: that may load again.
    let covered = [Some(&taken), executable.as_ref()].into_iter().flatten();
    let mut but: Vec<String> = covered.map(|entry| entry.error.clone()).collect();
    but.retain(|why| !why.is_empty());
    but.dedup();
    but.extend(ended.err().map(|why| {
        format!(
            "the process that loads plug-ins was not ended: {why}; {}",
            loader::BY_HAND
        )
    }));
    if but.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "it is in the vault as {}, but {}",
        taken.id,
        but.join("; and ")
    )))
}

/// Puts something back.
///
/// # Errors
/// When it cannot be put back: it is in the vault then.
pub fn restore(disk: &Disk, options: &RestoreOptions) -> Result<(), Failure> {
    let root = disk.open_root()?;
    if options.to.is_none() {
        may_write(disk, options.yes_write_image)?;
    }
    let asked = Asked::new(disk, &root, options.yes_write_image)?;
    // Who takes one thing out elsewhere wants that, and nothing else done.
    let settles = options.to.is_none().then_some(&asked);
    let vault = open(disk, &root, settles)?;
    let id = options.id.as_str();
    let entry = ledger::one(&vault.ledger, id).map_err(Failure::new)?;
    let entry = entry.ok_or_else(|| {
        Failure::new(format!(
            "the ledger {} has no entry {}; dsplug quarantine --list shows which there are",
            vault.ledger.path().display(),
            escape(id.as_bytes())
        ))
    })?;
    if entry.step.is_unfinished() {
        return Err(Failure::new(format!(
            "{id} was interrupted, and was left as it is: {}; dsplug doctor finishes or undoes it, with --yes-write-image where --root or --state-dir is named",
            entry.path
        )));
    }
    if entry.step != Step::Quarantined {
        return Err(Failure::new(format!(
            "{id} is {}, not in the vault: {}",
            entry.step.as_str(),
            entry.path
        )));
    }
    let executable = ledger::one(&vault.ledger, &executable_id(id)).map_err(Failure::new)?;
    let mut executable = executable.filter(|e| e.step == Step::Quarantined);
    let mut left = None;
    let expect = options.expect.as_deref().map(str::trim);
    if expect.is_some() {
        expected_item(&vault, &entry, expect)
            .map_err(|why| Failure::new(format!("{id} {why}; it stays in the vault")))?;
        // Nobody has said what that is.
        left = executable.take();
    }
    if options.to.is_none() {
        for entry in executable.iter().chain([&entry]) {
            let held = asked.hold(&vault.ledger, entry);
            held.map_err(|why| {
                let id = &entry.id;
                Failure::new(format!("{id}: {why}, or name another directory with --to"))
            })?;
        }
    }
    // The bundle last: as long as it is not there, nothing of it loads.
    for entry in executable.into_iter().chain([entry.clone()]) {
        let mut entry = entry;
        let place = match &options.to {
            None => entry.from.clone(),
            Some(to) => Place {
                root: b"/".to_vec(),
                directory: absolute(to)?.as_os_str().as_bytes().to_vec(),
                name: entry.from.name.clone(),
            },
        };
        let to = vault::open(&place).map_err(Failure::new)?;
        put_back::put_back(&vault, &mut entry, &to, place, expect).map_err(Failure::new)?;
        let to = entry.to.as_ref().map_or_else(String::new, Place::shown);
        print(&format!("restored  {}\nto        {to}\n", entry.id))?;
    }
    if let Some(left) = left {
        let path = tame(&left.path);
        print(&format!(
            "left      {path}: its main executable is in the vault; dsplug restore {} puts it back\n",
            left.id
        ))?;
    }
    Ok(())
}

/// Holds what the vault has of an entry to the digest that was expected.
fn expected_item(vault: &Vault, entry: &ledger::Entry, expect: Option<&str>) -> Result<(), String> {
    let inside = vault::look(&vault.folder(&entry.id)?)?;
    let item = (&inside, vault::ITEM.as_bytes());
    put_back::hold_expected(vault, entry, expect, item)
}

/// Finishes or undoes what earlier calls left, where there is a state directory; for `doctor`.
///
/// # Errors
/// When the vault or the ledger cannot be opened.
pub fn recover(state: &StateDir, asked: &Asked<'_>, thorough: bool) -> Result<Recovered, String> {
    let ledger = state
        .find_folder(ledger::FOLDER)
        .map_err(|e| e.to_string())?;
    let Some(ledger) = ledger else {
        return Ok(Recovered::default());
    };
    let mut unfinished = false;
    let rest = ledger::each(&ledger, &mut |entry, _| {
        unfinished = entry.is_ok_and(|entry| entry.step.is_unfinished());
        !unfinished
    })
    .map_err(|e| e.to_string())?;
    if !unfinished {
        return Ok(Recovered {
            open: rest.unlisted(&ledger).into_iter().collect(),
            ..Recovered::default()
        });
    }
    if !asked.may_write() {
        return recover::recover(&ledger, None, asked, &earlier(thorough));
    }
    let vault = Vault::open(state, earlier(thorough))?;
    recover::recover(&vault.ledger, Some(&vault), asked, &vault.reading)
}

/// What is read of what earlier calls left: no more than keeps nobody waiting for what was asked for.
fn earlier(thorough: bool) -> Reading {
    let reading = Bounds::of(thorough).reading();
    if thorough {
        reading
    } else {
        reading.within(TIME_FOR_EARLIER)
    }
}

fn list(disk: &Disk, format: answer::Format) -> Result<(), Failure> {
    let snapshot = disk.scanner()?.ledger_alone();
    answer::give(Engine::new()?, LIST, &snapshot, format)
}

fn may_write(disk: &Disk, yes: bool) -> Result<(), Failure> {
    if !disk.is_image() {
        return Ok(());
    }
    if !yes {
        return Err(Failure::new(format!(
            "{} is read with --root, and an image is evidence; --yes-write-image says that it may be written",
            disk.root.display()
        )));
    }
    if disk.state_dir.is_none() {
        return Err(Failure::new(
            "with --root nothing is kept by itself; name a place for vault and ledger with --state-dir",
        ));
    }
    Ok(())
}

fn expected(bundle: &Bundle, expect: Option<&str>) -> Result<(), Failure> {
    let Some(expect) = expect.map(str::trim) else {
        return Ok(());
    };
    let path = escape(&bundle.evidence.candidate.path);
    let hash = bundle.digest.as_ref().map(|d| hex(d));
    match hash {
        Some(hash) if hash.eq_ignore_ascii_case(expect) => Ok(()),
        Some(hash) => Err(Failure::new(format!(
            "{path} is not what was expected, and was left alone: its digest is {hash}"
        ))),
        None => Err(Failure::new(format!(
            "{path} is not known to be what was expected, and was left alone: its digest is not known; dsplug --thorough reads all"
        ))),
    }
}

/// Holds what is said of a main executable that stands outside to what is there. Whoever planted the
/// bundle has chosen it: it may be the very program that would find him.
///
/// # Errors
/// When it is not named by its digest, or has been signed by somebody known; with a line.
pub fn may_take_executable(bundle: &Bundle, options: &Options) -> Result<(), Failure> {
    let executable = bundle.evidence.executable.as_ref();
    let executable = executable.filter(|e| options.with_executable && e.is_outside());
    let Some(executable) = executable else {
        return Ok(());
    };
    let path = escape(&executable.path);
    let sha256 = executable.content(&bundle.evidence).sha256();
    let Some(hash) = sha256.map(|digest| hex(digest)) else {
        return Err(Failure::new(format!(
            "{path} is not known to be what was expected, and nothing was moved: it could not be read as a file; dsplug --thorough reads all"
        )));
    };
    let Some(expect) = options.expect_executable.as_deref().map(str::trim) else {
        return Err(Failure::new(format!(
            "{path} was named by the bundle and may be somebody else's, and nothing was moved; see who uses it, and then say --expect-executable {hash}"
        )));
    };
    if !hash.eq_ignore_ascii_case(expect) {
        return Err(Failure::new(format!(
            "{path} is not what was expected, and nothing was moved: its SHA-256 is {hash}"
        )));
    }
    match bundle.outside_signer() {
        Some((anchor, signer)) if !options.force_executable => Err(Failure::new(format!(
            "{path} is signed by {} ({}), and nothing was moved: a bundle may name another's program to have it removed; --force-executable moves it all the same",
            escape(signer.as_bytes()),
            anchor.as_str()
        ))),
        _ => Ok(()),
    }
}

/// Opens the vault, and first finishes or undoes what earlier calls left on the disk that was asked for.
fn open(disk: &Disk, root: &Root, asked: Option<&Asked<'_>>) -> Result<Vault, Failure> {
    let rights = |why: String| {
        let is_root = rustix::process::geteuid().is_root();
        let cure = if is_root {
            ""
        } else {
            "; run it as root: sudo dsplug …"
        };
        Failure::new(format!("{why}{cure}"))
    };
    let state = disk.state(root).map_err(|e| rights(e.to_string()))?;
    let state = state.ok_or_else(|| {
        Failure::new(
            "nothing is kept here by itself; name a place for vault and ledger with --state-dir",
        )
    })?;
    let mut vault = Vault::open(&state, earlier(disk.thorough)).map_err(rights)?;
    let own = Bounds::of(disk.thorough).reading();
    let Some(asked) = asked else {
        vault.reading = own;
        return Ok(vault);
    };
    let may_write = asked.may_write().then_some(&vault);
    let recovered =
        recover::recover(&vault.ledger, may_write, asked, &vault.reading).map_err(Failure::new)?;
    for line in recovered.done.iter().chain(&recovered.open) {
        log::warn!("{line}");
    }
    vault.reading = own;
    Ok(vault)
}
