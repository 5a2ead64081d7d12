//! Under which names the entries of a directory stand for a Mac, kept for as long as one scan lasts.
//!
//! Where the file system tells letter case apart, a name that is not there costs a listing of its
//! directory: it may stand there in other letters. The same few directories are asked for many names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::name;

/// Names of one directory that are kept; of a larger one none are.
const MOST_OF_ONE: usize = 4_096;
/// Names of all directories that are kept.
const MOST: usize = 16_384;

/// The names of one directory: of all that a Mac takes for one, the first in order, by what they have
/// in common.
#[derive(Debug, Default)]
pub struct Names {
    first: BTreeMap<Vec<u8>, Vec<u8>>,
    is_cut: bool,
}

impl Names {
    /// Takes one name.
    pub fn note(&mut self, name: &[u8]) {
        if self.is_cut {
            return;
        }
        let key = name::folded(name);
        let has_room = self.first.len() < MOST_OF_ONE;
        match self.first.get_mut(key.as_ref()) {
            Some(best) if name < best.as_slice() => *best = name.to_vec(),
            Some(_) => {}
            None if has_room => {
                self.first.insert(key.into_owned(), name.to_vec());
            }
            None => {
                self.first.clear();
                self.is_cut = true;
            }
        }
    }
}

/// The names of the directories of one disk that were listed so far.
#[derive(Debug, Default)]
pub struct Spellings(Mutex<BTreeMap<Vec<u8>, Names>>);

impl Spellings {
    /// How the name that folds to `folded` is spelled in the directory at a path, or that it is not
    /// there; `None` when that directory's names are not kept.
    pub fn of(&self, directory: &[u8], folded: &[u8]) -> Option<Option<Vec<u8>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(kept.get(directory)?.first.get(folded).cloned())
    }

    /// Keeps the names of a directory, as far as there is room.
    pub fn keep(&self, directory: &[u8], names: Names) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = kept.values().map(|n| n.first.len().max(1));
        let count = count.fold(names.first.len().max(1), usize::saturating_add);
        if !names.is_cut && count <= MOST {
            kept.insert(directory.to_vec(), names);
        }
    }
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
    }
}
