//! Under which names the entries of a directory stand for a Mac, kept for as long as one scan lasts.
//!
//! Where the file system tells letter case apart, a name that is not there costs a listing of its
//! directory: it may stand there in other letters. The same few directories are asked for many names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::name;

/// Names of one directory that are kept; of a larger one none are.
const MOST_OF_ONE: usize = 4_096;
/// Names of all directories that are kept.
const MOST: usize = 16_384;
/// Names of large directories that are listed in one scan, those of one and the same as often as it is
/// listed. Each byte that has to be folded to be compared counts as well.
const MOST_OF_A_SCAN: usize = 500_000;

/// The names of one directory, unless they are too many.
#[derive(Debug, Default)]
pub struct Names {
    all: Vec<Vec<u8>>,
    is_cut: bool,
}

impl Names {
    /// Takes one name.
    pub fn note(&mut self, name: &[u8]) {
        if self.is_cut {
            return;
        }
        if self.all.len() < MOST_OF_ONE {
            self.all.push(name.to_vec());
        } else {
            *self = Self {
                all: Vec::new(),
                is_cut: true,
            };
        }
    }

    /// Of all that a Mac takes for one the first in order, by what they have in common.
    fn first(self) -> First {
        let all = self.all.into_iter();
        let mut all: Vec<_> = all
            .map(|name| (name::folded(&name).into(), name.into_boxed_slice()))
            .collect();
        all.sort_unstable();
        all.dedup_by(|later, first| later.0 == first.0);
        First(all.into_boxed_slice())
    }
}

/// Names by what they fold to, in order of that: a tree would take ten times the room for the few that most
/// directories have.
#[derive(Debug)]
struct First(Box<[(Name, Name)]>);

type Name = Box<[u8]>;

impl First {
    fn get(&self, folded: &[u8]) -> Option<&[u8]> {
        let at = self.0.binary_search_by(|(own, _)| own.as_ref().cmp(folded));
        self.0.get(at.ok()?).map(|(_, name)| name.as_ref())
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The names of the directories of one disk that were listed so far.
#[derive(Debug)]
pub struct Spellings {
    kept: Mutex<BTreeMap<Vec<u8>, First>>,
    left: AtomicUsize,
}

impl Default for Spellings {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            left: AtomicUsize::new(MOST_OF_A_SCAN),
        }
    }
}

impl Spellings {
    /// Takes one name that is listed; false when none is left.
    pub fn take(&self) -> bool {
        self.take_all(1)
    }

    /// Takes one name that is compared with another; false when there is no room for what that costs.
    pub fn take_compared(&self, a: &[u8], b: &[u8]) -> bool {
        if a.is_ascii() && b.is_ascii() {
            return true;
        }
        self.take_all(a.len().saturating_add(b.len()))
    }

    fn take_all(&self, names: usize) -> bool {
        let less = |left: usize| left.checked_sub(names);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    /// True when the names of one more directory may be kept.
    pub fn has_room(&self) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        count(&kept) < MOST
    }

    /// How the name that folds to `folded` is spelled in the directory at a path, or that it is not
    /// there; `None` when that directory's names are not kept.
    pub fn of(&self, directory: &[u8], folded: &[u8]) -> Option<Option<Vec<u8>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Some(kept.get(directory)?.get(folded).map(<[u8]>::to_vec))
    }

    /// Keeps the names of a directory, as far as there is room.
    pub fn keep(&self, directory: &[u8], names: Names) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let more = names.all.len().max(1);
        if !names.is_cut && count(&kept).saturating_add(more) <= MOST {
            kept.insert(directory.to_vec(), names.first());
        }
    }
}

fn count(kept: &BTreeMap<Vec<u8>, First>) -> usize {
    let counts = kept.values().map(|names| names.len().max(1));
    counts.fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Names {
        let mut names = Names::default();
        all.into_iter().for_each(|name| names.note(name.as_ref()));
        names
    }

    #[test]
    fn the_first_in_order_of_those_that_are_one() {
        let kept = Spellings::default();
        kept.keep(b"/a", names(["plugins", "PLUGINS", "PlugIns", "E\u{301}"]));
        let spelled = |name: &str| kept.of(b"/a", &name::folded(name.as_bytes())).unwrap();
        assert_eq!(spelled("plugIns").unwrap(), b"PLUGINS");
        assert_eq!(spelled("é").unwrap(), "E\u{301}".as_bytes());
        assert_eq!(spelled("other"), None);
        assert_eq!(kept.of(b"/b", b"plugins"), None);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let kept = Spellings::default();
        let many = |count: usize| names((0..count).map(|n| n.to_string()));
        kept.keep(b"/many", many(MOST_OF_ONE + 1));
        assert_eq!(kept.of(b"/many", b"1"), None);
        for n in 0..10_u8 {
            kept.keep(&[b'/', n], many(MOST_OF_ONE));
        }
        let held = (0..10_u8).filter(|n| kept.of(&[b'/', *n], b"1").is_some());
        assert_eq!(held.count(), MOST / MOST_OF_ONE);
        assert!(!kept.has_room());
    }

    #[test]
    fn what_is_listed_has_a_bound() {
        let kept = Spellings::default();
        assert!((0..MOST_OF_A_SCAN).all(|_| kept.take()));
        assert!(!kept.take());
        let kept = Spellings::default();
        let long = "\u{455}".repeat(127);
        let compared =
            (0..MOST_OF_A_SCAN).take_while(|_| kept.take_compared(long.as_bytes(), b"x"));
        assert_eq!(compared.count(), MOST_OF_A_SCAN / 255);
        assert!(kept.take_compared(b"x", b"y"));
    }
}
