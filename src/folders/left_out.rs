//! What of a plug-in folder was not looked at, so that nothing is cut off in silence.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::candidate::FolderError;
use super::claim::Claim;
use crate::directory::ReadError;
use crate::text::{escape, hex};

/// What was left out of one folder.
#[derive(Debug, Default)]
pub struct LeftOut {
    candidates: usize,
    /// Those of them that had a row.
    known: BTreeSet<Vec<u8>>,
    /// Which of them the loader may list, and what the file system says of each.
    which: Option<Sha256>,
    directories: usize,
    first_directory: Vec<u8>,
    unlisted: Vec<String>,
    /// True when that may be listed by a look that takes longer.
    is_cut_short: bool,
    entry: Option<ReadError>,
    mount: Option<Vec<u8>>,
    is_covered: bool,
}

/// How many of the places that could not be listed are named.
const MOST_NAMED: usize = 4;

impl LeftOut {
    /// So many candidates that there is no room for.
    pub fn candidates(&mut self, count: usize) {
        self.candidates = self.candidates.saturating_add(count);
    }

    /// One of them is that, which had a row.
    pub fn known(&mut self, path: Vec<u8>) {
        self.known.insert(path);
    }

    /// The same of one with a claim. Whoever exchanges what the loader may list for another changes what is said.
    pub fn refuse(&mut self, claim: &Claim) {
        self.candidates(1);
        if !claim.is_listed() {
            return;
        }
        let which = self.which.get_or_insert_default();
        which.update(claim.path());
        which.update([0]);
        if let Some(meta) = &claim.meta {
            which.update(meta.ino.to_le_bytes());
            which.update(meta.ctime.seconds.to_le_bytes());
            which.update(meta.ctime.nanoseconds.to_le_bytes());
        }
    }

    /// How many candidates there was no room for.
    pub fn count(&self) -> usize {
        self.candidates
    }

    /// What had a row keeps it. Where it was not among those that were left out, it is in the place of none of them.
    pub fn keep(&mut self, path: &[u8]) {
        let was_left_out = self.known.remove(path);
        self.candidates = self.candidates.saturating_sub(usize::from(was_left_out));
    }

    /// True when nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.candidates == 0
            && self.directories == 0
            && self.unlisted.is_empty()
            && self.entry.is_none()
            && self.mount.is_none()
            && !self.is_covered
    }

    /// Directories that were not searched, or not to their end, one of them by its path.
    pub fn directories(&mut self, count: usize, path: &[u8]) {
        if count > 0 && self.directories == 0 {
            self.first_directory = path.to_vec();
        }
        self.directories = self.directories.saturating_add(count);
    }

    /// A place of which is not known what the loader finds there, with the reason.
    pub fn unlisted(&mut self, why: String) {
        if self.unlisted.len() < MOST_NAMED && !self.unlisted.contains(&why) {
            self.unlisted.push(why);
        }
    }

    /// The same for want of time or steps.
    pub fn cut_short(&mut self, why: String) {
        self.is_cut_short = true;
        self.unlisted(why);
    }

    /// An entry that could not be looked at.
    pub fn entry(&mut self, error: ReadError) {
        self.entry.get_or_insert(error);
    }

    /// A directory where a volume is mounted, which was not searched.
    pub fn mount(&mut self, path: &[u8]) {
        self.mount.get_or_insert_with(|| path.to_vec());
    }

    /// All that a volume covers, over the folder or on the way to it.
    pub fn covered(&mut self) {
        self.is_covered = true;
    }

    /// All of it, by kinds: how much, an entry, a volume.
    pub fn errors(self) -> Vec<FolderError> {
        let text = self.text().map(FolderError::Limit);
        let entry = self.entry.map(FolderError::Entry);
        let mount = self.mount.map(FolderError::Mount);
        let covered = self.is_covered.then_some(FolderError::Covered);
        let all = [text, entry, mount, covered];
        all.into_iter().flatten().collect()
    }

    fn text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.candidates > 0 {
            let which = self.which.clone().map(|which| {
                let all = which.finalize();
                format!(" (which: {})", hex(all.get(..8).unwrap_or_default()))
            });
            parts.push(format!(
                "{} more candidates are left out{}: what has something of a bundle comes first, then the first by name",
                self.candidates,
                which.unwrap_or_default()
            ));
        }
        if self.directories > 0 {
            parts.push(format!(
                "{} directories were not searched to their end, {} first",
                self.directories,
                escape(&self.first_directory)
            ));
        }
        parts.extend(self.unlisted.iter().cloned());
        if self.candidates > 0 || self.directories > 0 || self.is_cut_short {
            parts.push("dsplug --thorough shows more".into());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
