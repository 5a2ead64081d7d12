//! A value of a property list, and the dictionary of them, each of which holds the other.

use std::collections::{BTreeMap, btree_map};

use super::date::Date;
use super::text::Text;

/// A value, of one of the types that CoreFoundation makes from a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `CFArray`.
    Array(Vec<Value>),
    /// `CFBoolean`.
    Boolean(bool),
    /// `CFData`.
    Data(Vec<u8>),
    /// `CFDate`.
    Date(Date),
    /// `CFDictionary`.
    Dictionary(Dictionary),
    /// `CFNumber` of a whole number: of 64 bits, with a sign or without.
    Integer(i128),
    /// `CFNull`, in binary lists alone.
    Null,
    /// `CFNumber` of a number with a fraction.
    Real(f64),
    /// `CFSet`, in binary lists alone; members that are equal are not told.
    Set(Vec<Value>),
    /// `CFString`.
    String(Text),
    /// `CFKeyedArchiverUID`, which XML spells as a dictionary with the key `CF$UID` alone.
    Uid(u32),
}

impl Value {
    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// What a boolean says.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The bytes of data.
    pub fn as_data(&self) -> Option<&[u8]> {
        match self {
            Self::Data(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The dictionary that it is.
    pub fn as_dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Dictionary(values) => Some(values),
            _ => None,
        }
    }

    /// The dictionary that it is.
    pub fn into_dictionary(self) -> Option<Dictionary> {
        match self {
            Self::Dictionary(values) => Some(values),
            _ => None,
        }
    }

    /// A text as UTF-8; empty where it has none, see [`Text::as_str`].
    pub fn as_string(&self) -> Option<&str> {
        self.as_text().map(Text::as_str)
    }

    /// The text that it is.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<Dictionary> for Value {
    fn from(value: Dictionary) -> Self {
        Self::Dictionary(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value.into())
    }
}

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
