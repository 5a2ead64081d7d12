//! What of an entry is believed. The ledger may have come with the state of another computer, and whoever can write it
//! names any place: nothing is moved or removed but on the disk that was asked for, and where quarantine takes from.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::call::{absolute, bundle_id};
use super::ledger::{self, Entry};
use crate::disk::Disk;
use crate::failure::Failure;
use crate::folders::FOLDERS;
use crate::root::Root;
use crate::state_dir::StateDir;
use crate::text::{escape, unescape};

/// The disk that a call was asked to work on.
#[derive(Debug)]
pub struct Asked<'a> {
    root: &'a Root,
    path: PathBuf,
    may_write: bool,
    is_image: bool,
}

impl<'a> Asked<'a> {
    /// The disk of a call; an image, or state that was brought along, is written only where that is said.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn new(disk: &Disk, root: &'a Root, yes_write_image: bool) -> Result<Self, Failure> {
        Ok(Self {
            root,
            path: absolute(&disk.root)?,
            may_write: yes_write_image || !disk.is_image() && disk.keeps_own_state(),
            is_image: disk.is_image(),
        })
    }

    /// True when what an earlier call left may be finished or undone.
    pub fn may_write(&self) -> bool {
        self.may_write
    }

    /// Holds an entry to this disk, and to what quarantine takes.
    ///
    /// # Errors
    /// With a line about what does not hold.
    pub fn hold(&self, ledger: &StateDir, entry: &Entry) -> Result<(), String> {
        if entry.from.root != self.path.as_os_str().as_bytes() {
            return Err(format!(
                "it was taken from the root {}, and this is {}; name it with --root",
                escape(&entry.from.root),
                self.path.display()
            ));
        }
        let holds = match bundle_id(&entry.id) {
            None => self.is_of_a_folder(entry),
            Some(id) => {
                let bundle = ledger::one(ledger, id).ok().flatten();
                entry.path == entry.from.shown()
                    && entry.seen.kind == "file"
                    && bundle.is_some_and(|bundle| {
                        bundle.from.root == entry.from.root
                            && (bundle.time, &bundle.evidence_hash)
                                == (entry.time, &entry.evidence_hash)
                            && self.is_of_a_folder(&bundle)
                    })
            }
        };
        if holds {
            return Ok(());
        }
        Err(format!(
            "its entry says that {} stood as {}, where no plug-in can be taken from, and nothing was moved; see who wrote the ledger",
            entry.from.shown(),
            escape(entry.path.as_bytes())
        ))
    }

    /// The same for what an earlier call left.
    ///
    /// # Errors
    /// With a line about what does not hold, or says what lets it be written.
    pub fn hold_unfinished(&self, ledger: &StateDir, entry: &Entry) -> Result<(), String> {
        self.hold(ledger, entry)?;
        if self.may_write {
            return Ok(());
        }
        let cure = "--yes-write-image has it finished or undone";
        if self.is_image {
            let path = self.path.display();
            return Err(format!(
                "{path} is read with --root, and an image is evidence; {cure}"
            ));
        }
        Err(format!(
            "the state is named with --state-dir, and may be another computer's; {cure}"
        ))
    }

    /// Holds the place that an entry says a thing was put to, when it was interrupted: what came with an image proves
    /// nothing by what stands on the computer that reads it.
    ///
    /// # Errors
    /// With a line when that is not on the image.
    pub fn hold_place(&self, entry: &Entry) -> Result<(), String> {
        let own = self.path.as_os_str().as_bytes();
        match entry.to.as_ref().filter(|to| to.root != own) {
            Some(to) if self.is_image => Err(format!(
                "its entry says that it was put to {}, which is not on the image {}; see what stands there",
                to.shown(),
                self.path.display()
            )),
            _ => Ok(()),
        }
    }

    /// True when an entry's path stands below a plug-in folder, and is where the entry's place is, links followed.
    fn is_of_a_folder(&self, entry: &Entry) -> bool {
        let Some(path) = unescape(entry.path.as_bytes()) else {
            return false;
        };
        let Some(end) = path.iter().rposition(|b| *b == b'/') else {
            return false;
        };
        let (directory, name) = path.split_at(end);
        let is_below = FOLDERS.iter().any(|folder| {
            let rest = path.strip_prefix(folder.as_bytes());
            rest.is_some_and(|rest| rest.starts_with(b"/"))
        });
        let is_straight = !path.split(|b| *b == b'/').any(|n| n == b".." || n == b".");
        let stands = || self.root.find(directory).map(|found| found.path());
        is_below
            && is_straight
            && name.strip_prefix(b"/") == Some(&entry.from.name)
            && (directory == entry.from.directory
                || stands().is_ok_and(|stands| stands[..] == entry.from.directory))
    }
}
