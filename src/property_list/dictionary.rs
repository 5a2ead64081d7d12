//! A dictionary of a property list.

use std::collections::{BTreeMap, btree_map};

use super::{Text, Value};

/// Keys and their values, in the order of the keys: CoreFoundation's have none.
///
/// A binary list may have keys of other types, which nobody asks for by a text; they are counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dictionary {
    entries: BTreeMap<Text, Value>,
    /// Keys that are no text.
    pub other_keys: usize,
}

impl Dictionary {
    /// One without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key.as_bytes())
    }

    /// True when it has the key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.entries.contains_key(key.as_bytes())
    }

    /// Takes the value under a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.entries.remove(key.as_bytes())
    }

    /// Puts a value under a key, and gives the one that was there.
    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Value>) -> Option<Value> {
        self.entries.insert(key.into(), value.into())
    }

    /// Puts a value under a key that is not there yet; false when it is.
    pub(super) fn add(&mut self, key: Text, value: Value) -> bool {
        match self.entries.entry(key) {
            btree_map::Entry::Vacant(free) => {
                free.insert(value);
                true
            }
            btree_map::Entry::Occupied(_) => false,
        }
    }

    /// The keys that are text.
    pub fn keys(&self) -> btree_map::Keys<'_, Text, Value> {
        self.entries.keys()
    }

    /// The entries whose keys are text.
    pub fn iter(&self) -> btree_map::Iter<'_, Text, Value> {
        self.entries.iter()
    }

    /// How many keys there are, of all types.
    pub fn len(&self) -> usize {
        self.entries.len().saturating_add(self.other_keys)
    }

    /// True without any key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl IntoIterator for Dictionary {
    type Item = (Text, Value);
    type IntoIter = btree_map::IntoIter<Text, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a> IntoIterator for &'a Dictionary {
    type Item = (&'a Text, &'a Value);
    type IntoIter = btree_map::Iter<'a, Text, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Dictionary {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut dictionary = Self::new();
        for (key, value) in entries {
            dictionary.insert(key, value);
        }
        dictionary
    }
}
