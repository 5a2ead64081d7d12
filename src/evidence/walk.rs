//! The walk through a bundle: every entry's status, no link followed, no file opened.

use std::sync::Arc;

use super::entry::{Content, Entry};
use super::facts::Evidence;
use super::trouble::{MOST_TROUBLES, Trouble, tell};
use crate::descent::Descent;
use crate::directory::{Dir, OpenFile, ReadError};
use crate::limits::{self, Budget};
use crate::meta::Kind;
use crate::text::escape;

/// Fills in the entries of a candidate that is a directory, at most `most` of them.
pub fn walk(evidence: &mut Evidence, most: usize, budget: &Budget) {
    let Some(dir) = evidence.dir().cloned() else {
        return;
    };
    let device = evidence.resolved_meta.map(|m| m.dev);
    let Walked {
        entries,
        troubles,
        is_full,
        is_left_out,
        is_blind,
    } = entries_of(&dir, device, most, budget);
    evidence.is_cut = is_full;
    evidence.is_left_out = is_left_out;
    evidence.is_blind |= is_blind;
    evidence.entries = Arc::new(entries);
    evidence.is_whole = troubles.is_empty();
    // What is mounted may hold the Info.plist, or be in its place.
    evidence.is_doubtful |=
        troubles.iter().any(|t| matches!(t, Trouble::Mount(_))) || troubles.len() >= MOST_TROUBLES;
    evidence.troubles.extend(troubles);
}

/// What a walk through a directory gives.
pub struct Walked {
    /// The entries, sorted by path as bytes.
    pub entries: Vec<Entry>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// True when there were more than were asked for.
    pub is_full: bool,
    /// True when something was left out: for that, or because it stands too deep.
    pub is_left_out: bool,
    /// True when something could not be looked at.
    pub is_blind: bool,
}

/// Walks through a directory, at most `most` entries of it and none of another device's.
pub fn entries_of(dir: &Dir, device: Option<u64>, most: usize, budget: &Budget) -> Walked {
    let mut walk = Walk {
        entries: Vec::new(),
        troubles: Vec::new(),
        budget,
        most,
        taken: 0,
        device,
        full: false,
        late: false,
        is_too_deep: false,
        is_blind: false,
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
    Walked {
        entries,
        troubles,
        is_full: full,
        is_left_out: full || walk.is_too_deep,
        is_blind: walk.is_blind,
    }
}

struct Walk<'a> {
    entries: Vec<Entry>,
    troubles: Vec<Trouble>,
    budget: &'a Budget,
    most: usize,
    /// For how many entries those count that were listed so far.
    taken: usize,
    /// The device of the candidate, which is not left.
    device: Option<u64>,
    full: bool,
    late: bool,
    is_too_deep: bool,
    is_blind: bool,
}

impl Walk<'_> {
    /// Tells that there is more than is taken. What was listed is looked at all the same.
    fn fill(&mut self, dir: &Dir) {
        if !std::mem::replace(&mut self.full, true) {
            let trouble = Trouble::Limit(format!(
                "more than {} entries, of which long ones count for several; in {} and after it some are left out",
                self.most,
                escape(dir.path())
            ));
            // Said before all that is only a part of it.
            self.troubles.insert(0, trouble.shortened());
        }
    }

    /// Tells that something could not be looked at.
    fn miss(&mut self, trouble: Trouble) {
        self.is_blind = true;
        tell(&mut self.troubles, trouble);
    }

    /// The text of a link, where there is room for it.
    fn taking(&mut self, target: Vec<u8>, dir: &Dir) -> Option<Box<[u8]>> {
        let more = limits::weight(target.len()).saturating_sub(1);
        let taken = self.taken.saturating_add(more);
        if taken > self.most {
            self.fill(dir);
            return None;
        }
        self.taken = taken;
        Some(target.into_boxed_slice())
    }

    fn directory(&mut self, dir: &Dir, path: &[u8], depth: usize) {
        let limits = self.budget.limits;
        self.budget.at.set(dir.path());
        if self.full {
            return;
        }
        // What is listed counts before it is looked at: the names of all directories on the way are held
        // at once.
        let mut names = Vec::new();
        let listed = dir.each(|name, _| {
            let length = path.len().saturating_add(name.len()).saturating_add(1);
            let taken = self.taken.saturating_add(limits::weight(length));
            let fits = taken <= self.most;
            if fits {
                self.taken = taken;
                names.push(name.to_vec());
            }
            fits
        });
        names.sort_unstable();
        match listed {
            Ok(true) => {}
            Ok(false) => self.fill(dir),
            Err(error) => return self.miss(Trouble::of_entry(&error)),
        }
        for name in names {
            if self.late {
                return;
            }
            if self.budget.is_late() {
                (self.full, self.late) = (true, true);
                return tell(
                    &mut self.troubles,
                    Trouble::Limit("the time of the scan is spent; entries are left out".into()),
                );
            }
            let path = if path.is_empty() {
                name.clone()
            } else {
                [path, b"/", &name].concat()
            };
            let meta = match dir.meta(&name) {
                Ok(meta) => meta,
                Err(error) => {
                    self.miss(Trouble::of_entry(&error));
                    continue;
                }
            };
            let link = if meta.kind == Kind::Symlink {
                match dir.read_link(&name) {
                    Ok(target) => self.taking(target, dir),
                    Err(error) => {
                        self.miss(Trouble::of_entry(&error));
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
                self.miss(Trouble::Mount(format!(
                    "a volume is mounted at {} and was not read",
                    escape(&dir.join(&name))
                )));
                continue;
            }
            if depth >= limits.depth {
                self.is_too_deep = true;
                tell(
                    &mut self.troubles,
                    Trouble::Limit(format!(
                        "deeper than {} directories at {}",
                        limits.depth,
                        escape(&dir.join(&name))
                    )),
                );
                continue;
            }
            match dir.open_dir(&name) {
                Ok(below) => self.directory(&below, &path, depth.saturating_add(1)),
                Err(error) => self.miss(Trouble::of_entry(&error)),
            }
        }
    }
}

/// Opens files of a bundle in order of path, and keeps the last directories on the way open.
pub struct Cursor {
    way: Descent,
}

impl Cursor {
    /// A cursor at the bundle's own directory.
    pub fn new(top: Dir) -> Self {
        Self {
            way: Descent::new(top),
        }
    }

    /// Opens the file at a path in the bundle; a link anywhere on the way is refused.
    pub fn open_file(&mut self, path: &[u8]) -> Result<OpenFile, ReadError> {
        let mut names: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
        let name = names.pop().unwrap_or_default();
        let so_far = self.way.names().iter();
        let shared = so_far.zip(&names).take_while(|(a, b)| a == *b).count();
        while self.way.names().len() > shared {
            self.way.up();
        }
        for name in names.iter().skip(shared) {
            self.way.down(name)?;
        }
        self.way.here()?.open_file(name)
    }
}
