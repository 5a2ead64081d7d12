//! The Info dictionary of a bundle or a plug-in folder, as CoreFoundation comes by it: which file, and
//! which of several keys counts.

use crate::directory::ReadError;
use crate::name::is_folded;
use crate::property_list::{Dictionary, Text, Value};

/// The file that wins where it can be read.
const PLATFORM_NAME: &[u8] = b"Info-macos.plist";
/// The file that is read else.
const PLAIN_NAME: &[u8] = b"Info.plist";

/// What is said of a directory of which it hangs on which letters are one whether a file is among them.
pub const FOLDED: &str = "has a name that is that of an Info.plist by letters beyond ASCII";

/// The files of a directory that may hold its Info dictionary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InfoNames {
    platform: Option<Vec<u8>>,
    plain: Option<Vec<u8>>,
    /// True when another name may be one of them.
    are_contested: bool,
}

impl InfoNames {
    /// Takes notice of one name in the directory. Names compare in any letters' case; the exact one
    /// comes first, of others the first in order. CoreFoundation folds letters beyond ASCII too, such as the long s
    /// (`CFStringCompareWithOptions`, built with its tables and asked), and not each disk has the file then.
    pub fn note(&mut self, name: &[u8]) {
        self.are_contested |= is_folded(name, &[PLATFORM_NAME, PLAIN_NAME]);
        for (slot, wanted) in [
            (&mut self.platform, PLATFORM_NAME),
            (&mut self.plain, PLAIN_NAME),
        ] {
            let is_better = slot
                .as_deref()
                .is_none_or(|best| name == wanted || (best != wanted && name < best));
            if is_better && name.eq_ignore_ascii_case(wanted) {
                *slot = Some(name.to_vec());
            }
        }
    }

    /// The files, in the order in which they are tried: the first that can be read is taken, whatever
    /// it says (`_CFBundleCopyInfoDictionaryInDirectoryWithVersion` of CFBundle_InfoPlist.c).
    pub fn in_order(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.platform.iter().chain(&self.plain)
    }

    /// True when the file that wins has another letter case than it is asked for by, and the other has not: a disk that
    /// tells letter case apart has the other read, whose name CoreFoundation opens when it has listed both.
    pub fn hang_on_letter_case(&self) -> bool {
        let is_other_case = self.platform.as_deref().is_some_and(|n| n != PLATFORM_NAME);
        is_other_case && self.plain.as_deref() == Some(PLAIN_NAME)
    }

    /// The same without the file that wins, where a Mac's disk does not find it `by_name`.
    pub fn as_found(
        &mut self,
        by_name: impl FnOnce(&[u8]) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        if self.hang_on_letter_case() && !by_name(PLATFORM_NAME)? {
            self.platform = None;
        }
        Ok(())
    }

    /// True when there is a name that may be one of them, or none.
    pub fn are_contested(&self) -> bool {
        self.are_contested
    }

    /// True when one of two files hides the other.
    pub fn are_two(&self) -> bool {
        self.platform.is_some() && self.plain.is_some()
    }
}

/// Keys that no other overrides.
const PLAIN_KEYS: &[&str] = &["CFBundleExecutable", "CFBundleIdentifier"];
/// How often a key may be overridden by one that is overridden itself.
const MOST_OVERRIDES: usize = 16;

/// The value of a key: that of the key for macOS in its place, where there is one, or of a key for the
/// product, whose name is empty on macOS
/// (`_CFBundleInfoPlistProcessInfoDictionary` of CFBundle_InfoPlist.c).
pub fn value<'d>(dictionary: &'d Dictionary, key: &str) -> Option<&'d Value> {
    if PLAIN_KEYS.contains(&key) {
        return dictionary.get(key);
    }
    overridden(dictionary, key, MOST_OVERRIDES)
}

fn overridden<'d>(dictionary: &'d Dictionary, key: &str, left: usize) -> Option<&'d Value> {
    let for_macos = format!("{key}-macos");
    // Without that key nothing is overridden, not even by one for the product.
    if left == 0 || dictionary.get(&for_macos).is_none() {
        return dictionary.get(key);
    }
    // A key for macOS that is overridden itself takes its own override for the product with it.
    let is_overridden = dictionary.get(&format!("{for_macos}-macos")).is_some();
    let both = dictionary.get(&format!("{for_macos}~"));
    both.filter(|_| !is_overridden)
        .or_else(|| dictionary.get(&format!("{key}~")))
        .or_else(|| overridden(dictionary, &for_macos, left.saturating_sub(1)))
}

/// True when a key that overrides this one is overridden itself: which is done first, and so what the
/// key has in the end, follows from the order in which CoreFoundation's hash table holds them.
pub fn is_overridden_twice(dictionary: &Dictionary, key: &str) -> bool {
    let chains = ["-macos-macos", "-macos~-macos", "~-macos"];
    let mut keys = dictionary.keys().map(Text::as_bytes);
    keys.any(|other| {
        let suffix = other.strip_prefix(key.as_bytes()).unwrap_or_default();
        chains
            .iter()
            .any(|chain| suffix.starts_with(chain.as_bytes()))
    })
}

/// The UUID that CoreFoundation makes of a text: what is no hexadecimal digit in front is skipped, one
/// character of any kind separates the groups, what follows or is missing does not matter
/// (`CFUUIDCreateFromString` of CFUUID.c). An empty text gives none.
pub fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<Option<u32>> = text
        .encode_utf16()
        .take(100)
        .map(|unit| char::from_u32(unit.into()).and_then(|c| c.to_digit(16)))
        .collect();
    if digits.is_empty() {
        return None;
    }
    let mut rest = digits.iter().skip_while(|d| d.is_none());
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            rest.next();
        }
        let mut pair = rest.clone();
        if let (Some(high), Some(low)) = (pair.next(), pair.next()) {
            rest = pair;
            let value = high.zip(*low).map_or(0, |(high, low)| high << 4 | low);
            *byte = u8::try_from(value).unwrap_or_default();
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_keys_one_counts() {
        // What CoreFoundation answered, with `K` for CFBundleName.
        for (keys, wanted) in [
            (&["K"][..], "K"),
            (&["K", "K~"], "K"),
            (&["K", "K-macosx"], "K"),
            (&["K", "K-macos~"], "K"),
            (&["K", "K-macos"], "K-macos"),
            (&["K-macos"], "K-macos"),
            (&["K", "K-macos", "K~"], "K~"),
            (&["K", "K-macos", "K~", "K-macos~"], "K-macos~"),
            (&["K", "K-macos-macos"], "K"),
            (&["K", "K-macos", "K-macos-macos"], "K-macos-macos"),
        ] {
            let mut dictionary = Dictionary::new();
            for key in keys {
                dictionary.insert(*key, *key);
            }
            let got = value(&dictionary, "K").and_then(Value::as_string);
            assert_eq!(got, Some(wanted), "{keys:?}");
        }
    }

    #[test]
    fn uuids_in_any_dress() {
        let plain = uuid("697B5D6C-87A1-1226-89CA-000502C1C736").unwrap();
        assert_eq!(plain[..4], [0x69, 0x7b, 0x5d, 0x6c]);
        for text in [
            "697b5d6c-87a1-1226-89ca-000502c1c736",
            "{697B5D6C-87A1-1226-89CA-000502C1C736}",
            "697B5D6C 87A1/1226x89CA-000502C1C736",
            "  697B5D6C-87A1-1226-89CA-000502C1C736 and more",
        ] {
            assert_eq!(uuid(text), Some(plain), "{text}");
        }
        assert_ne!(uuid("697B5D6C87A1122689CA000502C1C736"), Some(plain));
        assert_eq!(uuid(""), None);
        assert_eq!(uuid("xyz"), Some([0; 16]));
        assert_eq!(uuid("69").unwrap()[..2], [0x69, 0]);
    }

    #[test]
    fn the_exact_name_first() {
        let mut names = InfoNames::default();
        for name in ["INFO.PLIST", "info.plist", "Info.plist", "Info.plist.bak"] {
            names.note(name.as_bytes());
        }
        assert_eq!(names.in_order().collect::<Vec<_>>(), [b"Info.plist"]);
        names.note(b"info-MACOS.plist");
        assert_eq!(names.in_order().next().unwrap(), b"info-MACOS.plist");
        assert!(names.are_two());
    }
}
