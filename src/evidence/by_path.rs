//! A few things by path, kept once they are all known.

use std::collections::BTreeMap;

/// Things in order of path. Most bundles have none, and of those that have some thousands are held, for which a
/// tree would take ten times the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByPath<T>(Box<[(Box<[u8]>, T)]>);

impl<T> ByPath<T> {
    /// Each with its path.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &T)> {
        self.0.iter().map(|(path, thing)| (path.as_ref(), thing))
    }

    /// Each, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&[u8], &mut T)> {
        let each = self.0.iter_mut();
        each.map(|(path, thing)| (&**path, thing))
    }

    /// Their paths.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(|(path, _)| path)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one at a path.
    pub fn get(&self, path: &[u8]) -> Option<&T> {
        let at = self.0.binary_search_by(|(own, _)| own.as_ref().cmp(path));
        self.0.get(at.ok()?).map(|(_, thing)| thing)
    }
}

impl<T> Default for ByPath<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T> From<BTreeMap<Vec<u8>, T>> for ByPath<T> {
    fn from(things: BTreeMap<Vec<u8>, T>) -> Self {
        let each = things.into_iter();
        Self(each.map(|(path, thing)| (path.into(), thing)).collect())
    }
}
