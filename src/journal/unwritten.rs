//! What is known after events that are not in the file yet, and no more of that than the file would keep: whoever
//! hinders the writing and makes bundles come and go would fill the memory.

use crate::held::Held as _;
use crate::sqlite::store::{Change, Changes};

/// Paths.
const MOST: usize = 12_000;
/// Bytes of them and of what is known, about.
const MOST_BYTES: usize = 5 << 20;

/// What is known after events that are not in the file.
#[derive(Debug, Default)]
pub struct Unwritten {
    changes: Changes,
    /// True when that is all that is known.
    is_all: bool,
    /// True when some of it was let go: events wait for all that is known, with which they are written.
    is_cut: bool,
}

impl Unwritten {
    /// Takes in what changed later; all that is known with `is_all`.
    pub fn extend(&mut self, changes: Vec<Change>, is_all: bool) {
        if is_all {
            (self.is_all, self.is_cut) = (true, false);
            self.changes.clear();
        }
        if !self.is_cut {
            self.changes.extend(changes);
        }
    }

    /// What is to be written, and whether that is all that is known; nothing when that has to be asked for.
    pub fn get(&self) -> Option<(&Changes, bool)> {
        (!self.is_cut).then_some((&self.changes, self.is_all))
    }

    /// True when there is nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.is_all && !self.is_cut
    }

    /// True when some of it was let go, so that all that is known is to be told again.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Lets go of it all where it cannot be written now and is too much to be held.
    pub fn hold(&mut self) {
        let entry = size_of::<Change>();
        let weight = |(path, known): (&Vec<u8>, &Option<crate::event::Known>)| {
            let known = known.as_ref().map_or(0, |known| known.state.held());
            entry.saturating_add(path.len()).saturating_add(known)
        };
        let bytes = self.changes.iter().map(weight);
        let bytes = bytes.fold(0, usize::saturating_add);
        if self.changes.len() > MOST || bytes > MOST_BYTES {
            self.let_go();
        }
    }

    /// Lets go of it all: it has to be told again.
    pub fn let_go(&mut self) {
        *self = Self {
            is_cut: true,
            ..Self::default()
        };
    }

    /// The file knows nothing yet, so that nothing of it has to be written with events.
    pub fn begin(&mut self) {
        self.is_cut = false;
    }

    /// It is written, or is to be nowhere.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{Known, State};

    fn gone(number: usize) -> Change {
        (number.to_string().into_bytes(), None)
    }

    #[test]
    fn no_more_is_held_than_the_file_would_keep() {
        let long = |number: usize| {
            let state = Arc::new(State {
                error: "x".repeat(1_000).into(),
                ..State::default()
            });
            let known = Known {
                state,
                since_ms: None,
            };
            (number.to_string().into_bytes(), Some(known))
        };
        type Make<'a> = &'a dyn Fn(usize) -> Change;
        let long_path = |number| (format!("{number:01000}").into_bytes(), None);
        let cases: [(Make<'_>, usize, bool); 6] = [
            (&gone, MOST, false),
            (&gone, MOST + 1, true),
            (&long, 2_000, false),
            (&long, 6_000, true),
            (&long_path, 4_000, false),
            (&long_path, 6_000, true),
        ];
        for (make, count, is_cut) in cases {
            for is_all in [false, true] {
                let mut unwritten = Unwritten::default();
                unwritten.extend((0..count).map(make).collect(), is_all);
                // What can be written at once is not let go.
                assert_eq!(unwritten.get().unwrap().0.len(), count);
                unwritten.hold();
                assert_eq!(unwritten.get().is_none(), is_cut, "{count}");
                assert_eq!(unwritten.is_cut(), is_cut);
                assert!(!unwritten.is_empty());
            }
        }
    }

    #[test]
    fn what_was_let_go_is_held_again_once_all_is_told() {
        let mut unwritten = Unwritten::default();
        unwritten.let_go();
        unwritten.extend(vec![gone(1)], false);
        assert!(unwritten.changes.is_empty() && unwritten.get().is_none());
        unwritten.extend(vec![gone(2)], true);
        unwritten.extend(vec![gone(3)], false);
        let (changes, is_all) = unwritten.get().unwrap();
        assert_eq!((changes.len(), is_all), (2, true));
        unwritten.clear();
        assert!(unwritten.is_empty());
    }
}
