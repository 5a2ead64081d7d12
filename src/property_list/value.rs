//! A value of a property list.

use super::{Date, Dictionary, Text};

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
