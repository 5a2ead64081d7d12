//! The walk through a bundle: every entry's status, no link followed, no file opened.

use super::entry::{Content, Entry};
use super::facts::Evidence;
use super::trouble::Trouble;
use crate::directory::{Dir, OpenFile, ReadError};
use crate::limits::Budget;
use crate::meta::Kind;
use crate::text::escape;

/// Fills in the entries of a candidate that is a directory, at most `most` of them.
pub fn walk(evidence: &mut Evidence, most: usize, budget: &Budget) {
    let Some(dir) = evidence.dir.clone() else {
        return;
    };
    let device = evidence.resolved_meta.map(|m| m.dev);
    let (entries, troubles, full) = entries_of(&dir, device, most, budget);
    evidence.is_cut = full;
    evidence.entries = entries;
    evidence.is_whole = troubles.is_empty();
    // What is mounted may hold the Info.plist, or be in its place.
    evidence.is_doubtful |= troubles.iter().any(|t| matches!(t, Trouble::Mount(_)));
    evidence.troubles.extend(troubles);
}

/// The entries of a directory, sorted by path as bytes, at most `most` of them and none of another
/// device's; what could not be read; and whether there were more.
pub fn entries_of(
    dir: &Dir,
    device: Option<u64>,
    most: usize,
    budget: &Budget,
) -> (Vec<Entry>, Vec<Trouble>, bool) {
    let mut walk = Walk {
        entries: Vec::new(),
        troubles: Vec::new(),
        budget,
        most,
        device,
        full: false,
    };
    walk.directory(dir, b"", 0);
    let Walk {
        mut entries,
        troubles,
        full,
        ..
    } = walk;
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    entries.shrink_to_fit();
    (entries, troubles, full)
}

struct Walk<'a> {
    entries: Vec<Entry>,
    troubles: Vec<Trouble>,
    budget: &'a Budget,
    most: usize,
    /// The device of the candidate, which is not left.
    device: Option<u64>,
    full: bool,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &Dir, path: &[u8], depth: usize) {
        let limits = self.budget.limits;
        self.budget.at.set(dir.path());
        // One more than fits, so that what is cut is seen to be.
        let left = self.most.saturating_sub(self.entries.len());
        let names = match dir.names(left.saturating_add(1)) {
            Ok((names, _)) => names,
            Err(error) => return self.troubles.push(Trouble::of_entry(&error)),
        };
        for name in names {
            if self.full {
                return;
            }
            if self.entries.len() >= self.most {
                self.full = true;
                return self.troubles.push(Trouble::Limit(format!(
                    "more than {} entries; those after {} are left out",
                    self.entries.len(),
                    escape(dir.path())
                )));
            }
            if self.budget.is_late() {
                self.full = true;
                return self.troubles.push(Trouble::Limit(
                    "the time of the scan is spent; entries are left out".into(),
                ));
            }
            let path = if path.is_empty() {
                name.clone()
            } else {
                [path, b"/", &name].concat()
            };
            let meta = match dir.meta(&name) {
                Ok(meta) => meta,
                Err(error) => {
                    self.troubles.push(Trouble::of_entry(&error));
                    continue;
                }
            };
            let link = if meta.kind == Kind::Symlink {
                match dir.read_link(&name) {
                    Ok(target) => Some(target.into_boxed_slice()),
                    Err(error) => {
                        self.troubles.push(Trouble::of_entry(&error));
                        None
                    }
                }
            } else {
                None
            };
            self.entries.push(Entry {
                path: path.clone().into_boxed_slice(),
                meta,
                link,
                content: Content::Unread,
                attributes: None,
            });
            if meta.kind != Kind::Directory {
                continue;
            }
            if self.device.is_some_and(|device| device != meta.dev) {
                self.troubles.push(Trouble::Mount(format!(
                    "a volume is mounted at {} and was not read",
                    escape(&dir.join(&name))
                )));
                continue;
            }
            if depth >= limits.depth {
                self.troubles.push(Trouble::Limit(format!(
                    "deeper than {} directories at {}",
                    limits.depth,
                    escape(&dir.join(&name))
                )));
                continue;
            }
            match dir.open_dir(&name) {
                Ok(below) => self.directory(&below, &path, depth.saturating_add(1)),
                Err(error) => self.troubles.push(Trouble::of_entry(&error)),
            }
        }
    }
}

/// Opens files of a bundle in order of path, and keeps the directories of the last one open.
pub struct Cursor {
    top: Dir,
    open: Vec<(Vec<u8>, Dir)>,
}

impl Cursor {
    /// A cursor at the bundle's own directory.
    pub fn new(top: Dir) -> Self {
        Self {
            top,
            open: Vec::new(),
        }
    }

    /// Opens the file at a path in the bundle; a link anywhere on the way is refused.
    pub fn open_file(&mut self, path: &[u8]) -> Result<OpenFile, ReadError> {
        let mut names: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
        let name = names.pop().unwrap_or_default();
        let shared = self
            .open
            .iter()
            .zip(&names)
            .take_while(|((open, _), name)| open == *name)
            .count();
        self.open.truncate(shared);
        for name in names.iter().skip(shared) {
            let dir = self.last().open_dir(name)?;
            self.open.push((name.to_vec(), dir));
        }
        self.last().open_file(name)
    }

    fn last(&self) -> &Dir {
        self.open.last().map_or(&self.top, |(_, dir)| dir)
    }
}
