//! Names: which end in `.dsplug`, or seem to, and which are one for a Mac's file system.

use std::borrow::Cow;

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;

/// How a name ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suffix {
    /// In `.dsplug`: the loader compares it exactly.
    Exact,
    /// It is `_CFBT_.dsplug-macos`: without its suffix for the platform it is the key under which
    /// CoreFoundation keeps the list of that type, and so it may be listed.
    Platform,
    /// In `.dsplug` in other letters' case: it does not load as named.
    OtherCase,
    /// In something that looks like `.dsplug` to a person: trailing blanks, invisible or foreign
    /// letters. It does not load as named.
    LookAlike,
    /// In nothing of the kind.
    Other,
}

const SUFFIX: &[u8] = b".dsplug";

/// How `name` ends.
pub fn suffix(name: &[u8]) -> Suffix {
    if name.ends_with(SUFFIX) {
        return Suffix::Exact;
    }
    if name == b"_CFBT_.dsplug-macos" {
        return Suffix::Platform;
    }
    if has_suffix(name, SUFFIX) {
        return Suffix::OtherCase;
    }
    if looks_alike(name) {
        return Suffix::LookAlike;
    }
    Suffix::Other
}

/// True when a name seems to end in [`SUFFIX`]. Asked of every name in a directory, of which an attacker
/// puts as many there as he likes: so from its end on, and no further than it takes.
fn looks_alike(name: &[u8]) -> bool {
    // What is no UTF-8 is seen, and looks like no letter.
    let Some(end) = name.utf8_chunks().last().filter(|c| c.invalid().is_empty()) else {
        return false;
    };
    let seen = end.valid().chars().rev().filter_map(look);
    let mut seen = seen.skip_while(u8::is_ascii_whitespace);
    let mut wanted = SUFFIX.iter().rev();
    wanted.all(|w| seen.next().is_some_and(|s| s.eq_ignore_ascii_case(w)))
}

/// True when `name` ends in `suffix` in any ASCII letters' case.
pub fn has_suffix(name: &[u8], suffix: &[u8]) -> bool {
    name.len()
        .checked_sub(suffix.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// True when a Mac's file system takes both names for one: it tells apart neither letter case nor
/// Unicode's canonical forms.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    // Names that differ do so early, and so nearly all of many long ones cost next to nothing.
    match (std::str::from_utf8(a), std::str::from_utf8(b)) {
        (Ok(a), Ok(b)) => folded_characters(a).eq(folded_characters(b)),
        _ => a == b,
    }
}

/// True when a name is one of those by letters beyond ASCII alone.
pub fn is_folded(name: &[u8], of: &[&[u8]]) -> bool {
    !name.is_ascii() && of.iter().any(|one| same(name, one))
}

/// The characters of [`folded`], one by one.
fn folded_characters(text: &str) -> impl Iterator<Item = char> {
    text.nfd().flat_map(folded_character).nfd()
}

/// What a character becomes by folding: three at most.
fn folded_character(c: char) -> impl Iterator<Item = char> {
    let mut three = [Some(c.to_ascii_lowercase()), None, None];
    if !c.is_ascii() {
        let mut bytes = [0; 4];
        let folded = UniCase::unicode(&*c.encode_utf8(&mut bytes)).to_folded_case();
        let mut folded = folded.chars();
        three = std::array::from_fn(|_| folded.next());
    }
    three.into_iter().flatten()
}

/// What all names have in common that are [`same`]: decomposed, case folded. Bytes that are no UTF-8
/// stand for themselves.
pub fn folded(name: &[u8]) -> Cow<'_, [u8]> {
    if name.is_ascii() {
        return if name.iter().any(u8::is_ascii_uppercase) {
            name.to_ascii_lowercase().into()
        } else {
            name.into()
        };
    }
    match std::str::from_utf8(name) {
        Ok(text) => {
            let apart: String = text.nfd().collect();
            let folded = UniCase::unicode(apart).to_folded_case();
            folded.nfd().collect::<String>().into_bytes().into()
        }
        Err(_) => name.into(),
    }
}

/// The ASCII letter that a character looks like, for the letters of `.dsplug` alone; `None` for
/// a character that is not seen at all. Chosen from Unicode's `confusables.txt`.
fn look(c: char) -> Option<u8> {
    let seen = match c {
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{61c}'
        | '\u{300}'..='\u{36f}'
        | '\u{e0000}'..='\u{e007f}' => return None,
        '․' | '．' | '。' | '｡' | '﹒' | '∙' | '·' => b'.',
        'ԁ' | 'ⅾ' | 'ḍ' | 'ｄ' | 'Ｄ' | 'ď' | 'đ' => b'd',
        'ѕ' | 'ｓ' | 'Ｓ' | 'ꜱ' | 'Ѕ' | 'ş' | 'š' | 'ṣ' => b's',
        'р' | 'ρ' | 'ｐ' | 'Ｐ' | 'Р' | 'Ρ' | 'ṗ' => b'p',
        'I' | '1' | '|' | 'ⅼ' | 'ӏ' | 'Ӏ' | 'І' | 'ｌ' | 'Ｌ' | 'ı' | 'ł' | 'ḷ' | 'Ι' => {
            b'l'
        }
        'υ' | 'ս' | 'ｕ' | 'Ｕ' | 'ü' | 'ù' | 'ú' | 'û' | 'ʋ' | 'ᴜ' => b'u',
        'ɡ' | 'ց' | 'ｇ' | 'Ｇ' | 'ğ' | 'ǵ' | 'ģ' => b'g',
        c if c.is_whitespace() || c.is_control() => b' ',
        c if c.is_ascii() => u8::try_from(u32::from(c)).unwrap_or(b'?'),
        _ => b'?',
    };
    Some(seen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exact_and_not() {
        assert_eq!(suffix(b"x.dsplug"), Suffix::Exact);
        assert_eq!(suffix(b".dsplug"), Suffix::Exact);
        assert_eq!(suffix(b"x.DSPlug"), Suffix::OtherCase);
        for other in [
            &b"x.dsplug.bak"[..],
            b"dsplug",
            b"xdsplug",
            b"x.dsplu",
            b"x.plug",
            b"",
        ] {
            assert_eq!(suffix(other), Suffix::Other, "{other:?}");
        }
    }

    #[test]
    fn one_name_for_a_mac() {
        for (a, b) in [
            ("Contents", "contents"),
            ("Contents", "Content\u{17f}"),
            ("Caf\u{e9}", "CAFE\u{301}"),
            ("\u{1e9e}", "ss"),
        ] {
            assert!(same(a.as_bytes(), b.as_bytes()), "{a:?} {b:?}");
        }
        for (a, b) in [
            ("Contents", "Contents "),
            // A dotless i is another letter, and so is one with a mark.
            ("Info", "\u{131}nfo"),
            ("Info", "\u{130}nfo"),
            ("", "a"),
        ] {
            assert!(!same(a.as_bytes(), b.as_bytes()), "{a:?} {b:?}");
        }
        assert!(!same(b"\xff", b"\xfe"));
    }

    const FOLDING: &str = "[aAsſßﬀéÉe\u{301}\u{323}\u{1e9e}K\u{212a}xİiı]{0,4}";

    proptest! {
        /// The quick ways agree with the plain ones.
        #[test]
        fn what_is_told_from_the_end(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    &b"."[..], b"d", b"s", b"p", b"l", b"u", b"g", b".dsp", b"lug", b" ", b"\n", b"x",
                    b"\xff", b"\xe2\x80", "\u{200b}".as_bytes(), "\u{455}".as_bytes(),
                    "\u{301}".as_bytes(), "\u{261}".as_bytes(), "\u{a0}".as_bytes(), b"I", b"1",
                ]),
                0..12,
            ),
        ) {
            let name = parts.concat();
            let text = String::from_utf8_lossy(&name);
            let looks: Vec<u8> = text.chars().filter_map(look).collect();
            let looks = String::from_utf8(looks).unwrap();
            let looks = looks.trim_end().to_ascii_lowercase();
            prop_assert_eq!(suffix(&name) != Suffix::Other, looks.ends_with(".dsplug"));
        }

        #[test]
        fn same_is_what_folds_to_the_same(a in FOLDING, b in FOLDING) {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            prop_assert_eq!(same(a, b), folded(a) == folded(b));
            prop_assert!(same(a, &folded(a)));
        }
    }

    /// Every character folds as it does within a text.
    #[test]
    fn characters_fold_one_by_one() {
        for c in ('\0'..='\u{1ffff}').filter(|c| !c.is_ascii()) {
            let text = c.to_string();
            let by_one: String = folded_characters(&text).collect();
            assert_eq!(by_one.as_bytes(), folded(text.as_bytes()).as_ref(), "{c:?}");
        }
    }

    #[test]
    fn look_alikes() {
        for name in [
            "x.dsplug ",
            "x.dsplug\n",
            "x.dsp\u{200b}lug",
            "x.d\u{455}plug",
            "x\u{ff0e}dsplug",
            "x.dspIug",
            "x.dsplug\u{202e}",
            "x.dsplu\u{261}",
            "x.dsplug\u{a0}",
        ] {
            assert_eq!(suffix(name.as_bytes()), Suffix::LookAlike, "{name:?}");
        }
    }
}
