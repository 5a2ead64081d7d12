//! Which entry is one that was known before.

use std::borrow::Borrow;

use super::entry::{Content, Entry};
use super::facts::Evidence;

/// What was known of what links of a candidate lead to.
#[derive(Clone, Copy, Debug)]
pub struct Before<'e> {
    /// What was found of it.
    pub evidence: &'e Evidence,
    /// True when code is to be read again.
    pub is_due: bool,
    /// True when there is room for what is known of code.
    pub is_safe: bool,
}

/// Each entry that stood there before at the same path, with its number and what it was; both lists are in order of
/// path.
pub fn with_old<E: Borrow<Entry>>(
    entries: impl IntoIterator<Item = E>,
    olds: &[Entry],
) -> impl Iterator<Item = (usize, E, &Entry)> {
    let mut olds = olds.iter().peekable();
    let entries = entries.into_iter().enumerate();
    entries.filter_map(move |(number, entry)| {
        let path = &entry.borrow().path;
        while olds.next_if(|old| old.path < *path).is_some() {}
        let old = olds.next_if(|old| old.path == *path)?;
        Some((number, entry, old))
    })
}

/// True where a file was read before and has not changed since.
pub fn is_known(entry: &Entry, old: &Entry, before: &Evidence) -> bool {
    matches!(old.content, Content::Read { .. })
        && entry.meta.is_unchanged(&old.meta)
        && before.scanned_at.settled(&entry.meta)
        && !is_unverified(&old.content)
}

/// True where an earlier scan had no time to verify who signed.
pub fn is_unverified(content: &Content) -> bool {
    content.code().is_some_and(|code| code.is_unverified)
}
