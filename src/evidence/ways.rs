//! The ways to what a bundle reaches outside of it: the links that lead there, and the names that are asked
//! for on the way and at its end, whether anything stands there or not. Whoever exchanges one of them exchanges
//! what runs, and writes to nothing that stands behind it.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::loads::is_sealed;
use super::paths::{directory_of, is_below};
use crate::directory::ReadError;
use crate::limits::Budget;
use crate::meta::{Kind, Meta, Timestamp};
use crate::order;
use crate::root::{Found, Passed, Root, without_dots};

/// Names of one candidate that are kept.
const MOST: usize = 1_024;

/// What is passed on the way to one candidate: as many links as one path may have.
const MOST_OWN: usize = 64;

/// Places of one candidate that are told at which a volume is mounted.
const MOST_MOUNTS: usize = 8;

/// Bytes that a name takes beside its own, and a directory beside its names.
const NAME: usize = 128;
const DIRECTORY: usize = 256;

/// The links that a Mac's system has at its `/`, with their texts.
const SYSTEM_LINKS: [(&[u8], &[u8]); 4] = [
    (b"etc", b"private/etc"),
    (b"home", b"/System/Volumes/Data/home"),
    (b"tmp", b"private/tmp"),
    (b"var", b"private/var"),
];

/// True for one of these, by its name and the digest of its text: with another text it is somebody else's.
fn is_of_system(dir: &[u8], name: &[u8], text: &[u8; 32]) -> bool {
    let is_it = |(own, to): &(&[u8], &[u8])| *own == name && Sha256::digest(to)[..] == text[..];
    dir == b"/" && SYSTEM_LINKS.iter().any(is_it)
}

/// A number that nobody finds another path for.
fn number_of(path: &[u8]) -> u64 {
    let digest = Sha256::digest(path);
    digest.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

fn path_of(passed: &Passed<'_>) -> Vec<u8> {
    match passed.dir {
        b"/" => [b"/", passed.name].concat(),
        dir => [dir, b"/", passed.name].concat(),
    }
}

/// What stands at each name of one directory.
type Names = Vec<(Box<[u8]>, Step)>;

/// The ways of one candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// What is needed while paths are asked for: what is remembered of thousands of bundles is held without it.
    asking: Option<Box<Asking>>,
    /// The names that were asked for, in order, by the directories that they were asked for in: trees would take
    /// ten times the room for the few of most bundles.
    names: Vec<(Box<[u8]>, Names)>,
    count: usize,
    /// True when there was no room for all of them.
    is_cut: bool,
    /// Where on them volumes are mounted that a Mac has not there, the first few.
    mounts: BTreeSet<Box<[u8]>>,
}

/// Where the bundle stands of whose ways paths are asked for, and the last of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asking {
    /// Where the bundle really stands: what is in it is among its entries.
    home: Vec<u8>,
    /// Where the path that was asked for last ended.
    end: Vec<u8>,
    /// True when it passed what is neither in the bundle nor on the way to it.
    is_astray: bool,
    /// The candidate's path, and numbers for what was passed on the way to it: paths would be long, of thousands of links.
    candidate: Vec<u8>,
    own: Vec<u64>,
}

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Link {
        ino: u64,
        ctime: Timestamp,
        text: [u8; 32],
    },
    Other {
        ino: u64,
    },
}

impl Step {
    fn of(passed: &Passed<'_>) -> Self {
        match (passed.meta, passed.text) {
            (None, _) => Self::Nothing,
            (Some(meta), Some(text)) => Self::Link {
                ino: meta.ino,
                ctime: meta.ctime,
                text: Sha256::digest(text).into(),
            },
            // The times of a directory are its entries': what others put in one would be news each time. A rename
            // sets its time of change alone, but so does a change of mode, and the next entry has both times be the
            // same again: that too would be news, and whoever renamed it can make that entry.
            (Some(meta), None) => Self::Other { ino: meta.ino },
        }
    }

    fn is_still(&self, meta: Option<Meta>) -> bool {
        match (*self, meta) {
            (Self::Nothing, None) => true,
            (Self::Link { ino, ctime, .. }, Some(meta)) => {
                meta.kind == Kind::Symlink && (meta.ino, meta.ctime) == (ino, ctime)
            }
            (Self::Other { ino }, Some(meta)) => meta.ino == ino,
            _ => false,
        }
    }
}

/// Where a name stands in a list in order of name, or would.
fn position<T>(list: &[(Box<[u8]>, T)], name: &[u8]) -> Result<usize, usize> {
    list.binary_search_by(|(own, _)| own.as_ref().cmp(name))
}

impl Asking {
    /// One more name on the way.
    fn pass(&mut self, passed: &Passed<'_>) {
        if self.home.is_empty() {
            self.own(passed);
        } else {
            self.is_astray |= self.is_foreign(passed);
        }
        if passed.text.is_none() {
            self.end.clear();
            self.end.extend_from_slice(passed.dir);
            self.end.push(b'/');
            self.end.extend_from_slice(passed.name);
        }
    }

    /// True for what is in the bundle.
    fn has(&self, passed: &Passed<'_>) -> bool {
        !self.home.is_empty() && is_below(passed.dir, &self.home)
    }

    fn own(&mut self, passed: &Passed<'_>) {
        if self.own.len() < MOST_OWN {
            self.own.push(number_of(&path_of(passed)));
        }
    }

    fn is_foreign(&self, passed: &Passed<'_>) -> bool {
        let path = path_of(passed);
        let is_above = |below: &[u8]| passed.text.is_none() && is_below(below, &path);
        let is_of_system = || {
            let text = passed.text.map(|text| Sha256::digest(text).into());
            text.is_some_and(|text| is_of_system(passed.dir, passed.name, &text))
        };
        let is_own = is_below(&path, &self.home)
            || is_above(&self.home)
            || is_above(&self.candidate)
            || self.own.contains(&number_of(&path));
        !is_own && !is_of_system()
    }
}

impl Ways {
    /// From here on, what is in the bundle that stands there is passed over.
    pub(super) fn leave(&mut self, root: &Root, candidate: &[u8], home: &[u8]) {
        // By links on the way to its folder.
        let asking = self.asking.get_or_insert_default();
        if candidate != home && asking.own.is_empty() {
            let _ = root.find_noting(candidate, &mut |passed| asking.own(&passed));
        }
        asking.candidate = candidate.to_vec();
        asking.home = home.to_vec();
    }

    /// All was asked for.
    pub(super) fn end(&mut self) {
        self.asking = None;
        self.names.shrink_to_fit();
        for (_, names) in &mut self.names {
            names.shrink_to_fit();
        }
    }

    /// Resolves a path, and keeps what is on its way.
    pub(super) fn find(
        &mut self,
        root: &Root,
        path: &[u8],
        budget: &Budget,
    ) -> Result<Found, ReadError> {
        self.asking.get_or_insert_default().is_astray = false;
        root.find_noting(path, &mut |passed| {
            let asking = self.asking.get_or_insert_default();
            asking.pass(&passed);
            if !asking.has(&passed) {
                self.note(&passed, budget);
            }
        })
    }

    /// Where the path that was resolved last ended: at what is not there, when it leads nowhere.
    pub(super) fn last_end(&self) -> Vec<u8> {
        let end = self.asking.as_ref().map(|asking| asking.end.as_slice());
        without_dots(end.unwrap_or_default())
    }

    /// True when the path that was resolved last passed what is neither in the bundle nor on the way to it: whoever
    /// exchanges that has it end elsewhere.
    pub(super) fn has_strayed(&self) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.is_astray)
    }

    /// True when not all of them are kept.
    pub(super) fn are_cut(&self) -> bool {
        self.is_cut
    }

    fn note(&mut self, passed: &Passed<'_>, budget: &Budget) {
        if let Some(mount) = passed.mount.filter(|_| self.mounts.len() < MOST_MOUNTS) {
            self.mounts.insert(mount.into());
        }
        if is_sealed(passed.dir) || self.is_cut {
            return;
        }
        let dir = position(&self.names, passed.dir);
        let known = dir.ok().and_then(|at| self.names.get(at));
        let known = known.map_or(&[][..], |(_, names)| names);
        let Err(at) = position(known, passed.name) else {
            return;
        };
        let mut held = NAME.saturating_add(passed.name.len());
        if dir.is_err() {
            held = held
                .saturating_add(DIRECTORY)
                .saturating_add(passed.dir.len());
        }
        if self.count >= MOST || !budget.take_ways(held) {
            self.is_cut = true;
            return;
        }
        self.count = self.count.saturating_add(1);
        let step = (passed.name.into(), Step::of(passed));
        match dir {
            Ok(dir) => {
                if let Some((_, names)) = self.names.get_mut(dir) {
                    names.insert(at, step);
                }
            }
            Err(dir) => self.names.insert(dir, (passed.dir.into(), vec![step])),
        }
    }

    /// Where on them volumes are mounted that a Mac has not there.
    pub(super) fn mounts(&self) -> impl Iterator<Item = &[u8]> {
        self.mounts.iter().map(AsRef::as_ref)
    }

    /// For how many entries they count.
    pub(super) fn weight(&self) -> usize {
        let mounts = self.mounts.len();
        self.count
            .saturating_add(self.names.len())
            .saturating_add(mounts)
    }

    /// True when there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The directories in which names are asked for.
    fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(|(dir, _)| dir.as_ref())
    }

    /// The directories on the ways: those in which names are asked for, then all above them.
    pub(crate) fn directories(&self) -> Vec<&[u8]> {
        let mut list: Vec<&[u8]> = self.paths().collect();
        let mut known: BTreeSet<&[u8]> = order::gather(list.iter().copied());
        for dir in self.paths() {
            let mut above = directory_of(dir);
            while !above.is_empty() && known.insert(above) {
                list.push(above);
                above = directory_of(above);
            }
        }
        list
    }

    /// True when nothing on them is known to be another by now.
    pub(crate) fn are_still(&self, root: &Root) -> bool {
        let mut dirs = self.names.iter();
        !self.is_cut
            && dirs.all(|(path, names)| {
                let found = root.find(path).ok();
                let found = found.filter(|found| found.path() == **path);
                let Some(dir) = found.and_then(|found| found.open_dir().ok()) else {
                    return false;
                };
                let mut names = names.iter();
                names.all(|(name, step)| step.is_still(dir.meta(name).ok()))
            })
    }

    /// The links on them, each by its directory, its name, and the digest of its text; nothing when not all are
    /// known. Those that the system has at `/` are left out: an image of the data volume lacks them.
    pub(crate) fn links(&self) -> Option<impl Iterator<Item = (&[u8], &[u8], &[u8; 32])>> {
        let dirs = self.names.iter();
        let names = dirs.flat_map(|(dir, names)| names.iter().map(move |name| (dir, name)));
        let links = names.filter_map(|(dir, (name, step))| match step {
            Step::Link { text, .. } => Some((dir.as_ref(), name.as_ref(), text)),
            Step::Nothing | Step::Other { .. } => None,
        });
        let links = links.filter(|(dir, name, text)| !is_of_system(dir, name, text));
        (!self.is_cut).then_some(links)
    }

    /// The directories in which links on them stand.
    pub(super) fn linked_in(&self) -> impl Iterator<Item = &[u8]> {
        let has_link = |(_, step): &(_, Step)| matches!(step, Step::Link { .. });
        let dirs = self.names.iter();
        let dirs = dirs.filter(move |(_, names)| names.iter().any(has_link));
        dirs.map(|(dir, _)| dir.as_ref())
    }

    /// What the file system says of the links on them: another when one was exchanged and put back, and the
    /// same whatever else is done in their directories. Nothing when not all are known. An update of the system
    /// makes its own links at `/` anew, and no other there is left out. A volume that is mounted on them counts by its place:
    /// what the file system says there is what its server says.
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        if self.is_cut {
            return None;
        }
        let mut print = Sha256::new();
        for (dir, names) in &self.names {
            for (name, step) in names {
                let Step::Link { ino, ctime, text } = step else {
                    continue;
                };
                for part in [dir, name] {
                    print.update(part);
                    print.update([0]);
                }
                print.update(text);
                if !is_of_system(dir, name, text) {
                    print.update(ino.to_le_bytes());
                    print.update(ctime.seconds.to_le_bytes());
                    print.update(ctime.nanoseconds.to_le_bytes());
                }
            }
        }
        for mount in &self.mounts {
            print.update(mount);
            print.update([0, 0]);
        }
        Some(print.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    /// Its server has all else as it was.
    #[test]
    fn a_volume_that_is_mounted_on_them_is_another_state() {
        let budget = Budget::new(Limits::STANDARD);
        let print = |mount: Option<&[u8]>| {
            let mut ways = Ways::default();
            let passed = Passed {
                dir: b"/Users/Shared/fw",
                name: b"libx.dylib",
                meta: None,
                text: None,
                mount,
            };
            ways.note(&passed, &budget);
            ways.fingerprint()
        };
        assert_ne!(print(None), print(Some(b"/Users/Shared/fw")));
        assert_ne!(
            print(Some(b"/Users/Shared")),
            print(Some(b"/Users/Shared/fw"))
        );
    }

    /// Names are an attacker's, and cost him a byte each.
    #[test]
    fn what_is_kept_of_all_candidates_has_a_bound() {
        let limits = Limits {
            ways: 1 << 20,
            ..Limits::STANDARD
        };
        let budget = Budget::new(limits);
        let mut count = 0;
        for candidate in 0..100 {
            let mut ways = Ways::default();
            for number in 0..MOST {
                let (dir, name) = (format!("/x/{}", number % 20), number.to_string());
                let passed = Passed {
                    dir: dir.as_bytes(),
                    name: name.as_bytes(),
                    meta: None,
                    text: None,
                    mount: None,
                };
                ways.note(&passed, &budget);
            }
            assert_eq!(ways.fingerprint().is_none(), ways.is_cut, "{candidate}");
            count += ways.count;
        }
        assert!((5_000..10_000).contains(&count), "{count}");
    }
}
