//! Text from disk, made safe to show.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest as _, Sha256};

/// Shows bytes from disk as text in which nothing can hide and that no two byte strings share.
///
/// Control and invalid bytes become `\xHH`; bidirectional marks, C1 controls, line separators, whatever
/// is drawn as nothing and each blank but the blank itself become `\u{…}`. A backslash is shown as `\x5c` only where
/// it would otherwise read as the beginning of such an escape, so that names keep their looks and stay unique.
pub fn escape(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
    if bytes.iter().all(is_plain) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid().chars();
        while let Some(c) = rest.next() {
            if c == '\\' && (rest.as_str().starts_with('x') || rest.as_str().starts_with("u{")) {
                out.push_str("\\x5c");
            } else if c.is_ascii_control() {
                push_byte(&mut out, u32::from(c));
            } else if misleads(c) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            push_byte(&mut out, u32::from(*byte));
        }
    }
    out
}

/// The bytes that are shown as that text; `None` where none are: no two are shown alike.
pub fn unescape(shown: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(shown.len());
    let mut rest = shown;
    while let Some((first, behind)) = rest.split_first() {
        rest = match escaped(rest) {
            Some((meant, behind)) => {
                bytes.extend(meant);
                behind
            }
            None => {
                bytes.push(*first);
                behind
            }
        };
    }
    (escape(&bytes).as_bytes() == shown).then_some(bytes)
}

/// What an escape at the beginning of a text means, and what stands behind it.
fn escaped(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let number = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    if let Some(rest) = text.strip_prefix(b"\\x") {
        let (digits, behind) = rest.split_at_checked(2)?;
        return Some((vec![u8::try_from(number(digits)?).ok()?], behind));
    }
    let rest = text.strip_prefix(b"\\u{")?;
    let end = rest.iter().position(|byte| *byte == b'}')?;
    let (digits, behind) = rest.split_at_checked(end)?;
    let sign = char::from_u32(number(digits)?)?;
    Some((sign.to_string().into_bytes(), behind.get(1..)?))
}

/// Text that should have been escaped: what misleads in it is, and its backslashes stay as they are.
pub fn tame(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_ascii_control() || misleads(c)) {
        return text.into();
    }
    let pieces = text.split_inclusive('\\');
    let tamed = pieces.map(|piece| match piece.strip_suffix('\\') {
        Some(rest) => escape(rest.as_bytes()) + "\\",
        None => escape(piece.as_bytes()),
    });
    tamed.collect::<String>().into()
}

/// A text that is longer than `most` bytes, cut there, with its length and a digest of the whole: it
/// says that it was cut, and two that differ stay different.
pub fn cut<T: AsRef<str> + Into<String>>(text: T, most: usize) -> String {
    let whole = text.as_ref();
    if whole.len() <= most {
        return text.into();
    }
    let mut end = most;
    while !whole.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let start = whole.get(..end).unwrap_or_default();
    format!("{start}{}", end_of_cut(whole.as_bytes()))
}

/// The same of bytes from disk, of which no more than `most` are made safe to show: what is cut was never
/// made longer before.
pub fn escape_cut(bytes: &[u8], most: usize) -> String {
    if bytes.len() <= most {
        return escape(bytes);
    }
    let start = bytes.get(..start_of_cut(bytes, most)).unwrap_or_default();
    escape(start) + &end_of_cut(bytes)
}

/// How many bytes stay of a text that is cut: no more than `most`, and no character in part.
pub fn start_of_cut(whole: &[u8], most: usize) -> usize {
    let is_inside = |at: usize| whole.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // No character has more than four.
    let least = most.saturating_sub(3);
    let mut end = (least..=most).rev();
    end.find(|end| !is_inside(*end)).unwrap_or(most)
}

/// What stands behind the beginning of a text that was cut.
pub fn end_of_cut(whole: &[u8]) -> String {
    let digest = hex(&Sha256::digest(whole));
    let digest = digest.get(..CUT_DIGEST).unwrap_or(&digest);
    format!("… ({} bytes, sha256 {digest}…)", whole.len())
}

/// Digits of the digest that a text which was cut carries: nobody finds two with the same.
const CUT_DIGEST: usize = 40;

fn push_byte(out: &mut String, byte: u32) {
    let _ = write!(out, "\\x{byte:02x}");
}

/// Characters that reorder or break the line in which they stand, that nobody sees, or that look like
/// the blank which they are not: two names that look the same would be two names. Of Unicode 16:
/// C1 controls; the general categories `Cf`, `Zl`, `Zp` and `Zs` but for the blank itself
/// (`DerivedGeneralCategory.txt`); `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`), which
/// has all of `Bidi_Control`; and what is drawn as nothing by its name alone (`UnicodeData.txt`): the
/// empty Braille pattern, the null notehead, the fillers, the blanks of the hieroglyphs and of
/// ideographs, the object replacement character.
fn misleads(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}'
        | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{1680}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{303f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{13441}' | '\u{13442}'
        | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// JSON whose text misleads nobody who prints it: the same values, the signs that reorder a line
/// written as JSON's own `\\u` escapes.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // What misleads lies beyond ASCII.
    if json.is_ascii() {
        return json.into();
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if misleads(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.into()
}

/// The bytes that so many hexadecimal digits stand for, in either case.
pub fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high?.checked_mul(16)?.checked_add(low?)?).ok()?;
    }
    Some(bytes)
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_escaped_stays_and_what_was_not_is() {
        for text in ["plain é", "a\\x0ab", "\\u{202e}\\", "\\x5cx"] {
            assert_eq!(tame(text), text);
        }
        assert_eq!(
            tame("\u{1b}]0;x\\x0a\n\u{202e}"),
            "\\x1b]0;x\\x0a\\x0a\\u{202e}"
        );
    }

    #[test]
    fn shows_what_hides() {
        assert_eq!(escape(b"plain \xc3\xa9"), "plain é");
        assert_eq!(escape(b"a\nb\x7f"), "a\\x0ab\\x7f");
        assert_eq!(escape(b"\xff\xfe"), "\\xff\\xfe");
        assert_eq!(escape("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(escape("\u{85}".as_bytes()), "\\u{85}");
        for c in [
            '\u{200b}',
            '\u{200d}',
            '\u{2060}',
            '\u{feff}',
            '\u{ad}',
            '\u{e0041}',
            // A no-break space, and other blanks of the category Zs.
            '\u{a0}',
            '\u{1680}',
            '\u{2000}',
            '\u{200a}',
            '\u{202f}',
            '\u{205f}',
            '\u{3000}',
            // Signs of the category Cf that are not default-ignorable.
            '\u{600}',
            '\u{6dd}',
            '\u{70f}',
            '\u{891}',
            '\u{fff9}',
            '\u{110bd}',
            '\u{13430}',
            '\u{1343f}',
            // Drawn as nothing, of other categories.
            '\u{2800}',
            '\u{3164}',
            '\u{fffc}',
            '\u{13441}',
            '\u{16fe4}',
            '\u{1d159}',
        ] {
            let name = format!("Directory{c}.dsplug");
            let shown = escape(name.as_bytes());
            assert_eq!(shown, format!("Directory\\u{{{:x}}}.dsplug", u32::from(c)));
            let json = serde_json::to_string(&name).unwrap();
            let told = escape_json(&json);
            assert!(told.is_ascii(), "{told}");
            assert_eq!(serde_json::from_str::<String>(&told).unwrap(), name);
        }
    }

    /// What stands beside those in Unicode is seen, and shown as it is.
    #[test]
    fn what_is_seen_stays_itself() {
        let seen = "Café 日本語、「」 ｢ ｱ \u{a1}\u{606}\u{60c}\u{6de}\u{710}\u{167f}\u{2010}\u{2026}\u{2030}\u{205e}\u{2070}\u{2801}\u{3001}\u{fffd}\u{1342f}\u{1d158}\u{1d15a}";
        assert_eq!(escape(seen.as_bytes()), seen);
        assert_eq!(escape_json(seen), seen);
    }

    #[test]
    fn a_text_that_is_cut_says_so_and_stays_itself() {
        assert_eq!(cut("é".repeat(4), 8), "éééé");
        let told = cut("é".repeat(4), 7);
        // printf éééé | shasum -a 256
        let digest = "14cde7c9ad35de5a37fce2ac276742175028fd9f";
        assert_eq!(told, format!("ééé… (8 bytes, sha256 {digest}…)"));
        assert_ne!(cut("éééx1", 7), cut("éééx2", 7));
    }

    #[test]
    fn of_bytes_that_are_cut_no_more_is_made_safe() {
        assert_eq!(escape_cut(b"a\n", 2), "a\\x0a");
        assert!(
            escape_cut("\u{80}\u{80}\u{80}".as_bytes(), 5)
                .starts_with("\\u{80}\\u{80}… (6 bytes, ")
        );
        // What is no text is cut where it may be.
        assert!(escape_cut(&[0x80; 9], 5).starts_with(&("\\x80".repeat(5) + "… (9 bytes, ")));
        assert_eq!(unhex("00fFa1"), Some([0, 0xff, 0xa1]));
        for digits in ["00ff", "00ffa", "00ffa1b2", "00ffg1", "+0ffa1"] {
            assert_eq!(unhex::<3>(digits), None, "{digits}");
        }
    }

    #[test]
    fn a_backslash_is_escaped_only_where_it_would_deceive() {
        assert_eq!(escape(b"a\\b"), "a\\b");
        assert_eq!(escape(b"a\\x0a"), "a\\x5cx0a");
        assert_eq!(escape(b"\\u{202e}"), "\\x5cu{202e}");
        assert_eq!(escape(b"\\"), "\\");
    }

    #[test]
    fn what_is_shown_of_no_bytes_is_none() {
        assert_eq!(
            unescape(b"a\\u{a0}\\x5cx").unwrap(),
            "a\u{a0}\\x".as_bytes()
        );
        for text in [
            "\u{a0}",
            "\\x41",
            "\\xFF",
            "\\x+f",
            "\\x",
            "\\u{a0",
            "\\u{}",
            "\\u{A0}",
            "\\u{00a0}",
            "\\u{d800}",
            "\\xc2\\xa0",
        ] {
            assert_eq!(unescape(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_has_its_bytes_again(bytes in prop::collection::vec(prop::sample::select(b"\\xu{0a}\n5c\xff\xe2\x80\xae".to_vec()), 0..12)) {
            prop_assert_eq!(unescape(escape(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn distinct_bytes_stay_distinct(a in prop::collection::vec(prop::sample::select(b"\\xu{0a}\n5c\xff\xe2\x80\xae".to_vec()), 0..12),
                                        b in prop::collection::vec(prop::sample::select(b"\\xu{0a}\n5c\xff\xe2\x80\xae".to_vec()), 0..12)) {
            prop_assert_eq!(a == b, escape(&a) == escape(&b));
        }
    }
}
