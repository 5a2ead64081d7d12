//! One directory of a plug-in folder, read to its end: which of its names matter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::directory::{Dir, ReadError, is_over};
use crate::info_dictionary::InfoNames;
use crate::layout::Marks;
use crate::meta::Kind;
use crate::name::{self, Suffix};

use super::room::Room;

/// Directories and `.lproj`s of one directory that are kept.
const MOST_DIRECTORIES: usize = 20_000;

/// What stands in a directory.
#[derive(Debug, Default)]
pub struct Listing {
    /// Names of candidates, the first in order where there are too many.
    pub candidates: BTreeMap<Vec<u8>, Suffix>,
    /// How many candidates more there are.
    pub more_candidates: usize,
    /// Which of those are known.
    pub more_known: Vec<Vec<u8>>,
    /// Directories that are no candidates, in order.
    pub directories: BTreeSet<Vec<u8>>,
    /// How many directories more there are.
    pub more_directories: usize,
    /// What ends in `.lproj`, links included.
    pub lprojs: BTreeSet<Vec<u8>>,
    /// Candidates, folded, that another name stands for as well.
    pub doubles: BTreeSet<Vec<u8>>,
    /// The names that tell the layout.
    pub marks: Marks,
    /// The files that may hold the Info dictionary.
    pub info: InfoNames,
    /// How many entries there are.
    pub count: usize,
    /// True when there is an entry that has no part in any rule.
    pub has_others: bool,
    /// True when not all of it could be looked at.
    pub is_cut: bool,
}

/// Lists a directory, at most `most` entries of it, and until then. In the folder itself, which is its `top`,
/// further names are asked for. Of those that there is no room for it is asked which are known.
///
/// # Errors
/// When it cannot be listed.
pub fn read(
    dir: &Dir,
    mut room: Room,
    is_known: impl Fn(&[u8]) -> bool,
    most: usize,
    until: Option<Instant>,
    is_top: bool,
) -> Result<Listing, ReadError> {
    let mut listing = Listing::default();
    let take = |name: &[u8], kind: Option<Kind>| {
        if listing.count >= most || is_over(until, listing.count) {
            return false;
        }
        listing.count = listing.count.saturating_add(1);
        let suffix = name::suffix(name);
        if suffix != Suffix::Other {
            listing.candidates.insert(name.to_vec(), suffix);
            while !room.take(name) {
                let Some((last, _)) = listing.candidates.pop_last() else {
                    break;
                };
                room.give_back(&last);
                listing.more_candidates = listing.more_candidates.saturating_add(1);
                if is_known(&last) {
                    listing.more_known.push(last);
                }
            }
            return true;
        }
        let is_lproj = name::has_suffix(name, b".lproj");
        listing.has_others = listing.has_others || !(is_lproj || is_expected(name));
        listing.info.note(name);
        // A directory can be told from the listing, or by one more call to the system.
        let kind = kind.or_else(|| dir.meta(name).ok().map(|m| m.kind));
        let Some(kind) = kind else { return true };
        listing.marks.note(name, kind);
        let is_link = kind == Kind::Symlink;
        let set = match kind {
            Kind::Directory | Kind::Symlink if is_lproj => &mut listing.lprojs,
            Kind::Directory => &mut listing.directories,
            _ => return true,
        };
        set.insert(name.to_vec());
        if set.len() > MOST_DIRECTORIES {
            set.pop_last();
            listing.more_directories = listing.more_directories.saturating_add(1);
        } else if is_lproj && !is_link {
            // What stands deeper in it is searched like any other directory.
            listing.directories.insert(name.to_vec());
        }
        true
    };
    let whole = match is_top {
        true => dir.each_for_good(take)?,
        false => dir.each(take)?,
    };
    listing.is_cut = !whole || !find_doubles(&mut listing, until);
    Ok(listing)
}

/// Finds which of the candidates that are kept are one on a Mac's disk; false when the time did not reach.
fn find_doubles(listing: &mut Listing, until: Option<Instant>) -> bool {
    let mut folded = BTreeSet::new();
    for (count, name) in listing.candidates.keys().enumerate() {
        if is_over(until, count) {
            return false;
        }
        let key = name::folded(name).into_owned();
        if folded.contains(&key) {
            listing.doubles.insert(key);
        } else {
            folded.insert(key);
        }
    }
    true
}

/// Names that a plug-in folder may hold without a word: what Finder leaves, and what is reported by
/// words of its own.
fn is_expected(name: &[u8]) -> bool {
    name == b".DS_Store"
        || name == b".localized"
        || [b"Contents".as_slice(), b"Resources", b"Support Files"]
            .iter()
            .any(|special| name::same(name, special))
}
