//! A text of a property list: to CoreFoundation a row of UTF-16 units, of which a surrogate may
//! stand alone.

use std::borrow::Borrow;
use std::fmt;

use crate::text::{end_of_cut, escape, start_of_cut};

/// Text, kept as UTF-8 in which a lone surrogate is the three bytes that would spell it (WTF-8). Two
/// texts are equal when CoreFoundation's are: unit by unit, letter case and Unicode forms told
/// apart.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// The text that UTF-16 units spell.
    pub fn from_utf16(units: impl IntoIterator<Item = u16>) -> Self {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4];
        for unit in char::decode_utf16(units) {
            match unit {
                Ok(c) => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
                Err(lone) => {
                    // `1110xxxx 10xxxxxx 10xxxxxx`, of which the first is ED for all surrogates.
                    let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                    let middle = 0x80 | (high & 0x0f) << 2 | low >> 6;
                    bytes.extend_from_slice(&[0xed, middle, 0x80 | low & 0x3f]);
                }
            }
        }
        Self(bytes)
    }

    /// The text as CoreFoundation gives it to those who ask for UTF-8 (`CFStringGetCString`):
    /// nothing at all where a surrogate stands alone. It may hold NULs; a path ends at the first.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text as it is shown: what those get who ask CoreFoundation for UTF-8, escaped.
    pub fn shown(&self) -> String {
        escape(self.as_str().as_bytes())
    }

    /// The text, one that is longer than `most` bytes cut there; see [`text::cut`](crate::text::cut).
    pub fn cut(&self, most: usize) -> Self {
        if self.0.len() <= most {
            return self.clone();
        }
        let start = self
            .0
            .get(..start_of_cut(&self.0, most))
            .unwrap_or_default();
        Self([start, end_of_cut(&self.0).as_bytes()].concat())
    }

    /// Its bytes, those of lone surrogates too: no two texts have the same.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True when a surrogate stands alone, so that it has no UTF-8, and nothing on disk has its name.
    pub fn is_ill_formed(&self) -> bool {
        std::str::from_utf8(&self.0).is_err()
    }

    /// True when it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", escape(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogates_that_stand_alone_are_told_apart() {
        let lone = Text::from_utf16([0x61, 0xd800]);
        assert_eq!(lone.as_bytes(), b"a\xed\xa0\x80");
        assert_eq!(Text::from_utf16([0xdfff]).as_bytes(), b"\xed\xbf\xbf");
        assert_eq!(lone.as_str(), "");
        assert!(lone.is_ill_formed());
        assert_ne!(lone, Text::from_utf16([0x61, 0xd801]));
        assert_ne!(lone, Text::from("a\u{fffd}"));
        assert_eq!(Text::from_utf16([0xd83d, 0xde00]).as_str(), "😀");
    }

    #[test]
    fn what_is_cut_stays_well_or_ill_formed() {
        let cut = Text::from("aé").cut(2);
        assert!(cut.as_str().starts_with("a… (3 bytes, sha256 "), "{cut:?}");
        assert!(Text::from_utf16([0xd800, 0x61]).cut(3).is_ill_formed());
        assert_eq!(Text::from("aé").cut(3), Text::from("aé"));
    }
}
