//! Why a property list gives no value, and whether that is certain.

use std::fmt;

/// Why a property list gives no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyListError {
    /// CoreFoundation reads none either.
    Malformed {
        /// What is wrong.
        why: &'static str,
        /// At which byte, or in a list of the old style at which UTF-16 unit.
        at: usize,
    },
    /// It could be read in another way: by another reader, where
    /// [`parse_exact`](super::parse_exact) says so, or by CoreFoundation on another macOS.
    Ambiguous(&'static str),
    /// It passes a bound. CoreFoundation has few, and may read it.
    TooLarge(&'static str),
    /// CoreFoundation may read it: it is written in a way that is not read here.
    NotKnown(String),
}

impl PropertyListError {
    /// True when it is certain that CoreFoundation gets no value out of these bytes either.
    ///
    /// Where it is false, nothing is known of what the list says: whoever judges by the list has to
    /// say `unknown`, never that it is damaged.
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Malformed { .. })
    }
}

impl fmt::Display for PropertyListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { why, at } => write!(f, "not a property list: {why} at {at}"),
            Self::Ambiguous(why) => write!(f, "a property list of several readings: {why}"),
            Self::TooLarge(what) => write!(f, "a property list with too {what}"),
            Self::NotKnown(why) => write!(f, "a property list that is not read here: {why}"),
        }
    }
}

impl std::error::Error for PropertyListError {}
