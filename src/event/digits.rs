//! A digest in an event: thousands are held, each in half the room of its digits.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::held::Held;
use crate::text::hex;

/// The digits of a SHA-256, held as the bytes that they stand for; or any other text, such as none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Digits {
    /// 64 digits in lower case.
    Sha256([u8; 32]),
    /// What is none of that.
    Other(Box<str>),
}

impl Digits {
    /// True for no text at all: the digest is not known.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Other(text) if text.is_empty())
    }
}

impl Default for Digits {
    fn default() -> Self {
        Self::Other(Box::default())
    }
}

impl From<[u8; 32]> for Digits {
    fn from(digest: [u8; 32]) -> Self {
        Self::Sha256(digest)
    }
}

impl From<Option<[u8; 32]>> for Digits {
    fn from(digest: Option<[u8; 32]>) -> Self {
        digest.map(Self::Sha256).unwrap_or_default()
    }
}

impl From<&str> for Digits {
    fn from(text: &str) -> Self {
        sha256(text).map_or_else(|| Self::Other(text.into()), Self::Sha256)
    }
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut digest = [0; 32];
    let (pairs, _) = digits.as_chunks::<2>();
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| match digit {
            b'0'..=b'9' | b'a'..=b'f' => char::from(digit).to_digit(16),
            _ => None,
        });
        *byte = u8::try_from(high?.checked_mul(16)?.checked_add(low?)?).ok()?;
    }
    Some(digest)
}

impl PartialEq<str> for Digits {
    fn eq(&self, text: &str) -> bool {
        match self {
            Self::Sha256(digest) => sha256(text).as_ref() == Some(digest),
            Self::Other(own) => **own == *text,
        }
    }
}

impl PartialEq<&str> for Digits {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

impl PartialEq<String> for Digits {
    fn eq(&self, text: &String) -> bool {
        *self == **text
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => f.write_str(&hex(digest)),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| text.as_str().into())
    }
}

impl Held for Digits {
    fn held(&self) -> usize {
        match self {
            Self::Sha256(_) => 0,
            Self::Other(text) => text.held(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever stood in a journal stands there after.
        #[test]
        fn every_text_is_what_it_was(text in "[0-9a-f]{64}|[0-9a-fA-F]{63,65}|.{0,70}") {
            let digits = Digits::from(text.as_str());
            prop_assert_eq!(digits.to_string(), text.as_str());
            prop_assert_eq!(digits.is_empty(), text.is_empty());
            let json = serde_json::to_string(&digits).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(serde_json::from_str::<Digits>(&json).unwrap(), digits);
        }
    }

    #[test]
    fn digits_of_a_digest_take_no_more_than_it() {
        let digits = Digits::from("ab".repeat(32).as_str());
        assert_eq!(digits, Digits::from([0xab; 32]));
        assert_eq!(digits.held(), 0);
        assert!(digits != "AB".repeat(32) && !digits.is_empty());
        assert!(digits == *"ab".repeat(32) && Digits::from(None).is_empty());
    }
}
