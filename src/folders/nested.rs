//! The search for candidates where the loader does not look: each directory has its own share, so that
//! whoever fills one with junk takes nothing from another.

use std::time::Instant;

use super::anomaly::Anomaly;
use super::candidate::{Listed, Via};
use super::finder::{Branch, Finder, Place, join};
use crate::directory::{Dir, ReadError, is_over};
use crate::meta::{Kind, WritableBy};
use crate::name::{self, Suffix};

/// How many entries of a directory are looked at before the next has its turn.
const ROUNDS: [usize; 3] = [256, 8_192, usize::MAX];

/// What was found in a branch.
struct Search {
    found: Vec<(Vec<u8>, Suffix, WritableBy)>,
    left: usize,
    depth: usize,
    is_cut: bool,
    error: Option<ReadError>,
    device: u64,
    mount: Option<Vec<u8>>,
    paths_left: usize,
    until: Option<Instant>,
}

/// Bytes of a path that is searched: four times what a Mac follows (`PATH_MAX`).
const MOST_PATH: usize = 4_096;

impl Finder<'_> {
    /// Searches all branches.
    ///
    /// # Errors
    /// When the machine has no room for it at the moment: what stood there would seem to have gone.
    pub fn search(&mut self, branches: Vec<Branch>) -> Result<(), ReadError> {
        let mut left = self.limits.folder_entries;
        // As in the places of the loader (`doubt`).
        let listed = match self.is_unsure {
            true => Listed::Maybe,
            false => Listed::No,
        };
        let mut waiting = branches;
        for round in ROUNDS {
            let mut turns = waiting.len();
            for branch in std::mem::take(&mut waiting) {
                if self.is_late() {
                    self.left_out.directories(1, &branch.path);
                    continue;
                }
                let share = left.checked_div(turns).unwrap_or_default();
                turns = turns.saturating_sub(1);
                let most = share.min(round);
                let mut search = Search {
                    found: Vec::new(),
                    left: most,
                    depth: self.limits.depth,
                    is_cut: most == 0,
                    error: None,
                    device: branch.device,
                    mount: None,
                    paths_left: self.limits.candidate_paths,
                    until: self.until(),
                };
                search.branch(self, &branch);
                left = left.saturating_sub(most.saturating_sub(search.left).max(1));
                if let Some(error) = search.error.take_if(|e| e.is_of_the_moment()) {
                    return Err(error);
                }
                if search.is_cut && share > round {
                    waiting.push(branch);
                    continue;
                }
                self.take_found(&branch, search, listed);
            }
        }
        Ok(())
    }

    fn take_found(&mut self, branch: &Branch, search: Search, listed: Listed) {
        if search.is_cut {
            self.left_out.directories(1, &branch.path);
        }
        if let Some(error) = search.error {
            self.left_out.entry(error);
        }
        if let Some(mount) = search.mount {
            self.anomalies.insert(Anomaly::Mount);
            self.left_out.mount(&mount);
        }
        for (path, suffix, writable_by) in search.found {
            let above = path.rsplitn(2, |b| *b == b'/').last();
            if above.is_some_and(|above| self.places.contains(above)) {
                continue;
            }
            let place = Place {
                path: Vec::new(),
                via: Via::Nested,
                listed,
                writable_by,
                device: branch.device,
            };
            if !self.found.contains_key(&path) {
                self.anomalies.insert(Anomaly::Nested);
            }
            self.take(path, suffix, &place, listed, false);
        }
    }
}

impl Search {
    fn branch(&mut self, finder: &Finder<'_>, branch: &Branch) {
        if self.is_cut {
            return;
        }
        let found = match finder.root.find_entry(&branch.path) {
            Ok(found) if found.meta.dev == branch.device => found,
            Ok(found) if found.meta.kind != Kind::Directory => return,
            Ok(_) => {
                self.mount = Some(branch.path.clone());
                return;
            }
            Err(error) => return self.fail(error),
        };
        let writable_by = branch.writable_by.max(WritableBy::of(&found.meta));
        let dir = match found.open_dir() {
            Ok(dir) => dir,
            Err(error) => return self.fail(error),
        };
        self.directory(&dir, &branch.path, writable_by, 1);
    }

    fn fail(&mut self, error: ReadError) {
        // What went, or became a link, is nothing to be searched.
        if !error.leads_nowhere() {
            self.error.get_or_insert(error);
        }
    }

    fn directory(&mut self, dir: &Dir, path: &[u8], writable_by: WritableBy, depth: usize) {
        let mut below = Vec::new();
        let mut count = 0_usize;
        let whole = dir.each(|name, kind| {
            count = count.saturating_add(1);
            if self.left == 0 || is_over(self.until, count) {
                return false;
            }
            self.left = self.left.saturating_sub(1);
            let length = path.len().saturating_add(name.len());
            if length > MOST_PATH {
                self.is_cut = true;
                return true;
            }
            let suffix = name::suffix(name);
            if suffix != Suffix::Other {
                match self.paths_left.checked_sub(length) {
                    Some(left) => {
                        self.paths_left = left;
                        self.found.push((join(path, name), suffix, writable_by));
                    }
                    None => self.is_cut = true,
                }
            } else if kind.is_none_or(|kind| kind == Kind::Directory) {
                below.push(name.to_vec());
            }
            true
        });
        match whole {
            Ok(whole) => self.is_cut |= !whole,
            Err(error) => return self.fail(error),
        }
        below.sort_unstable();
        for name in below {
            let path = join(path, &name);
            if self.left == 0 || self.until.is_some_and(|until| Instant::now() >= until) {
                self.is_cut = true;
                return;
            }
            if depth >= self.depth {
                self.is_cut = true;
                continue;
            }
            // A link is not followed: opening it fails.
            let meta = match dir.meta(&name) {
                Ok(meta) if meta.kind != Kind::Directory => continue,
                Ok(meta) if meta.dev == self.device => meta,
                Ok(_) => {
                    self.mount.get_or_insert(path);
                    continue;
                }
                Err(error) => {
                    self.fail(error);
                    continue;
                }
            };
            match dir.open_dir(&name) {
                Ok(dir) => {
                    let writable_by = writable_by.max(WritableBy::of(&meta));
                    self.directory(&dir, &path, writable_by, depth.saturating_add(1));
                }
                Err(error) => self.fail(error),
            }
        }
    }
}
