//! In which characters a property list is written, when it is not binary.
//!
//! Source: `encodingForXMLData`, `CFPropertyList.c`; `CFStringConvertIANACharSetNameToEncoding`,
//! `CFStringUtilities.c` and `CFStringEncodingDatabase.c`; `__CFStringDecodeByteStream3`,
//! `CFStringEncodings.c`; all of Apple.

use super::error::PropertyListError::{self, Malformed, NotKnown};
use super::limits::Budget;

/// Bytes that a unit takes: two, and three at most as UTF-8.
const OF_UNIT: usize = 5;

/// The characters of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Characters<'a> {
    /// UTF-8, which is read as it stands; what of it is a text is looked at when it is one.
    Utf8 {
        /// All of it, a mark at its front included.
        whole: &'a [u8],
        /// Without the mark.
        body: &'a [u8],
    },
    /// All else, as UTF-16.
    Units(Vec<u16>),
}

/// An encoding that a declaration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    /// UTF-16 in the order of the machine, with no look at a mark.
    Utf16,
    Utf16Be,
    Utf32,
    /// ASCII, of which CoreFoundation takes the upper half for that of ISO 8859-1, as well.
    Latin1,
    WindowsLatin1,
    NextStep,
    /// Its number in CoreFoundation is 0, by which this caller means that there is none.
    MacRoman,
    /// Its lower half is ASCII; the upper is not read here.
    AsciiBased,
}

/// Tells the encoding, and decodes all but UTF-8.
///
/// # Errors
/// When CoreFoundation gives up here, when it may know an encoding that is not known here, and when decoding takes too much.
pub(super) fn characters<'b>(
    bytes: &'b [u8],
    budget: &Budget,
) -> Result<Characters<'b>, PropertyListError> {
    let utf16 = |rest, order| utf16(rest, order, budget);
    let utf32 = |rest, order| utf32(rest, order, budget);
    // The order and the least lengths are CoreFoundation's.
    match bytes {
        [0, 0, 0xfe, 0xff, rest @ ..] if !rest.is_empty() => utf32(rest, u32::from_be_bytes),
        [0xff, 0xfe, 0, 0, rest @ ..] if !rest.is_empty() => utf32(rest, u32::from_le_bytes),
        [0xef, 0xbb, 0xbf, body @ ..] if !body.is_empty() => {
            Ok(Characters::Utf8 { whole: bytes, body })
        }
        [0xff, 0xfe, rest @ ..] if !rest.is_empty() => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] if !rest.is_empty() => utf16(rest, u16::from_be_bytes),
        // Without a mark the first character is passed over, and the order is the machine's:
        // every Mac of today is little-endian.
        [0, _, rest @ ..] | [_, 0, rest @ ..] if !rest.is_empty() => {
            utf16(rest, u16::from_le_bytes)
        }
        _ => declared(bytes, budget),
    }
}

fn utf16<'b>(
    bytes: &'b [u8],
    order: fn([u8; 2]) -> u16,
    budget: &Budget,
) -> Result<Characters<'b>, PropertyListError> {
    let (pairs, _) = bytes.as_chunks::<2>();
    if pairs.is_empty() {
        return Err(Malformed {
            why: "half a character",
            at: 0,
        });
    }
    budget.decodes(pairs.len().saturating_mul(OF_UNIT))?;
    let units = pairs.iter().map(|pair| order(*pair)).collect();
    Ok(Characters::Units(units))
}

fn utf32<'b>(
    bytes: &'b [u8],
    order: fn([u8; 4]) -> u32,
    budget: &Budget,
) -> Result<Characters<'b>, PropertyListError> {
    let (quads, _) = bytes.as_chunks::<4>();
    // A character takes two units at most.
    let most = quads.len().saturating_mul(2);
    budget.decodes(most.saturating_mul(OF_UNIT))?;
    let mut units = Vec::with_capacity(most);
    let mut buffer = [0; 2];
    for quad in quads {
        let c = char::from_u32(order(*quad)).ok_or(Malformed {
            why: "a character that is none",
            at: 0,
        })?;
        units.extend_from_slice(c.encode_utf16(&mut buffer));
    }
    if units.is_empty() {
        return Err(Malformed {
            why: "part of a character",
            at: 0,
        });
    }
    Ok(Characters::Units(units))
}

/// Bytes of the name of an encoding that are shown.
const MOST_NAME: usize = 64;

/// The characters of a list without a mark, by its declaration.
fn declared<'b>(bytes: &'b [u8], budget: &Budget) -> Result<Characters<'b>, PropertyListError> {
    let utf8 = || {
        Ok(Characters::Utf8 {
            whole: bytes,
            body: bytes,
        })
    };
    let Some(name) = declaration(bytes)? else {
        return utf8();
    };
    // Whoever writes it makes it as long as a list may be.
    let shown = || crate::text::escape_cut(name, MOST_NAME);
    let unknown = || NotKnown(format!("its encoding, '{}'", shown()));
    let encoding = match name {
        [] => {
            return Err(Malformed {
                why: "its encoding has no name",
                at: 0,
            });
        }
        name => named(name).ok_or_else(unknown)?,
    };
    let eight_bits = |upper: &dyn Fn(u8) -> Option<u16>| {
        let unit = |byte: &u8| match byte {
            0..0x80 => Some(u16::from(*byte)),
            byte => upper(*byte),
        };
        budget.decodes(bytes.len().saturating_mul(OF_UNIT))?;
        let mut units = Vec::with_capacity(bytes.len());
        let is_whole = bytes.iter().all(|byte| {
            let unit = unit(byte);
            units.extend(unit);
            unit.is_some()
        });
        is_whole
            .then_some(Characters::Units(units))
            .ok_or(Malformed {
                why: "a byte that its encoding has no character for",
                at: 0,
            })
    };
    match encoding {
        Encoding::Utf8 => utf8(),
        _ if encoding.is_ascii_based() && bytes.is_ascii() => utf8(),
        Encoding::Utf16 => utf16(bytes, u16::from_le_bytes, budget),
        Encoding::Utf16Be => utf16(bytes, u16::from_be_bytes, budget),
        Encoding::Utf32 => Err(Malformed {
            why: "a declaration of UTF-32 that is not written in it",
            at: 0,
        }),
        Encoding::Latin1 => eight_bits(&|byte| Some(byte.into())),
        Encoding::WindowsLatin1 => eight_bits(&windows_latin1),
        Encoding::NextStep => eight_bits(&next_step),
        Encoding::MacRoman => Err(Malformed {
            why: "its encoding is macintosh",
            at: 0,
        }),
        Encoding::AsciiBased => Err(unknown()),
    }
}

impl Encoding {
    fn is_ascii_based(self) -> bool {
        matches!(
            self,
            Self::Latin1 | Self::WindowsLatin1 | Self::NextStep | Self::AsciiBased
        )
    }
}

/// The name that follows `encoding=` in an XML declaration; `None` when that leaves it at UTF-8.
fn declaration(bytes: &[u8]) -> Result<Option<&[u8]>, PropertyListError> {
    let Some(mut rest) = bytes.strip_prefix(b"<?xml") else {
        return Ok(None);
    };
    while let [byte, after @ ..] = rest {
        if matches!(byte, b'?' | b'>') {
            return Ok(None);
        }
        if after.len() <= 8 {
            return Err(Malformed {
                why: "it ends in its declaration",
                at: bytes.len(),
            });
        }
        rest = after;
        let Some(name) = after.strip_prefix(b"ncoding=").filter(|_| *byte == b'e') else {
            continue;
        };
        let [quote @ (b'\'' | b'"'), name @ ..] = name else {
            return Ok(None);
        };
        let end = name.iter().position(|byte| byte == quote);
        return Ok(end.and_then(|end| name.get(..end)));
    }
    Ok(None)
}

/// The encoding of a name; `None` when ICU, which CoreFoundation asks last, may know it.
fn named(name: &[u8]) -> Option<Encoding> {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    // Beyond ASCII CoreFoundation knows no name, whatever that begins with.
    let name = std::str::from_utf8(name)
        .ok()
        .filter(|name| name.is_ascii())?;
    let name = name.to_ascii_lowercase();
    if let Some(part) = name.strip_prefix("iso-8859-") {
        return match leading_number(part)? {
            1 => Some(Encoding::Latin1),
            // Arabic is taken for no superset of ASCII.
            2..=5 | 7..=16 => Some(Encoding::AsciiBased),
            _ => None,
        };
    }
    if let Some(page) = name.strip_prefix("cp").or(name.strip_prefix("windows-")) {
        return code_page(leading_number(page)?);
    }
    if name.starts_with("macintosh") {
        return Some(Encoding::MacRoman);
    }
    match name.as_str() {
        // "utf8", "ascii", "latin1" and "l1" are ICU's; the others CoreFoundation's own.
        "utf-8" | "utf8" => Some(Encoding::Utf8),
        "utf-16" | "utf-16le" => Some(Encoding::Utf16),
        "utf-16be" => Some(Encoding::Utf16Be),
        "utf-32" | "utf-32be" | "utf-32le" => Some(Encoding::Utf32),
        "us-ascii" | "ascii" | "latin1" | "l1" => Some(Encoding::Latin1),
        "x-nextstep" => Some(Encoding::NextStep),
        "koi8-r" | "koi8-u" | "big5" | "euc-jp" | "euc-kr" | "gb2312" => Some(Encoding::AsciiBased),
        _ => None,
    }
}

/// An encoding by the number of its code page in Windows.
fn code_page(number: u32) -> Option<Encoding> {
    match number {
        1200 => Some(Encoding::Utf16),
        1201 => Some(Encoding::Utf16Be),
        1252 => Some(Encoding::WindowsLatin1),
        10000 => Some(Encoding::MacRoman),
        20127 | 28591 => Some(Encoding::Latin1),
        65001 => Some(Encoding::Utf8),
        437 | 737 | 775 | 850..=852 | 855 | 857 | 860..=866 | 869 | 874 => {
            Some(Encoding::AsciiBased)
        }
        1250..=1258 | 28592..=28595 | 28597..=28606 | 20866 | 21866 => Some(Encoding::AsciiBased),
        _ => None,
    }
}

/// The number that a text begins with, as C's `strtol` reads it.
fn leading_number(text: &str) -> Option<u32> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.get(..end.unwrap_or(text.len()))?.parse().ok()
}

/// `cp1252_to_uni`, `CFBuiltinConverters.c`: five bytes have no character.
fn windows_latin1(byte: u8) -> Option<u16> {
    const UPPER: [u16; 32] = [
        0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
        0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc,
        0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
    ];
    match UPPER.get(usize::from(byte.wrapping_sub(0x80))) {
        Some(0) => None,
        Some(unit) => Some(*unit),
        None => Some(byte.into()),
    }
}

/// The encoding of NeXT, in which the old style writes its octal numbers.
///
/// Source: `NSToPrecompUnicodeTable`, `CFBuiltinConverters.c`.
pub(super) fn next_step(byte: u8) -> Option<u16> {
    const UPPER: [u16; 126] = [
        0x00a0, 0x00c0, 0x00c1, 0x00c2, 0x00c3, 0x00c4, 0x00c5, 0x00c7, 0x00c8, 0x00c9, 0x00ca,
        0x00cb, 0x00cc, 0x00cd, 0x00ce, 0x00cf, 0x00d0, 0x00d1, 0x00d2, 0x00d3, 0x00d4, 0x00d5,
        0x00d6, 0x00d9, 0x00da, 0x00db, 0x00dc, 0x00dd, 0x00de, 0x00b5, 0x00d7, 0x00f7, 0x00a9,
        0x00a1, 0x00a2, 0x00a3, 0x2044, 0x00a5, 0x0192, 0x00a7, 0x00a4, 0x2019, 0x201c, 0x00ab,
        0x2039, 0x203a, 0xfb01, 0xfb02, 0x00ae, 0x2013, 0x2020, 0x2021, 0x00b7, 0x00a6, 0x00b6,
        0x2022, 0x201a, 0x201e, 0x201d, 0x00bb, 0x2026, 0x2030, 0x00ac, 0x00bf, 0x00b9, 0x02cb,
        0x00b4, 0x02c6, 0x02dc, 0x00af, 0x02d8, 0x02d9, 0x00a8, 0x00b2, 0x02da, 0x00b8, 0x00b3,
        0x02dd, 0x02db, 0x02c7, 0x2014, 0x00b1, 0x00bc, 0x00bd, 0x00be, 0x00e0, 0x00e1, 0x00e2,
        0x00e3, 0x00e4, 0x00e5, 0x00e7, 0x00e8, 0x00e9, 0x00ea, 0x00eb, 0x00ec, 0x00c6, 0x00ed,
        0x00aa, 0x00ee, 0x00ef, 0x00f0, 0x00f1, 0x0141, 0x00d8, 0x0152, 0x00ba, 0x00f2, 0x00f3,
        0x00f4, 0x00f5, 0x00f6, 0x00e6, 0x00f9, 0x00fa, 0x00fb, 0x0131, 0x00fc, 0x00fd, 0x0142,
        0x00f8, 0x0153, 0x00df, 0x00fe, 0x00ff,
    ];
    match byte {
        0..0x80 => Some(byte.into()),
        _ => UPPER.get(usize::from(byte.wrapping_sub(0x80))).copied(),
    }
}

/// UTF-8 of UTF-16 units, up to the first surrogate that stands alone: there CoreFoundation's own
/// conversion ends (`_createUTF8DataFromString` and `__CFToUTF8`).
pub(super) fn utf8_of(units: &[u16]) -> Vec<u8> {
    let characters = || char::decode_utf16(units.iter().copied()).map_while(Result::ok);
    // As much room as it takes: what grows takes up to twice that.
    let length = characters()
        .map(char::len_utf8)
        .fold(0, usize::saturating_add);
    let mut text = String::with_capacity(length);
    text.extend(characters());
    text.into_bytes()
}
