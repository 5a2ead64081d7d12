//! The parts of a property list in XML that are no elements: text, references, numbers, dates, data.
//!
//! Source: `CFPropertyList.c` of Apple, and what each function names beside.

use super::date::Date;
use super::error::PropertyListError;
use super::text::Text;

/// UTF-8 as text, and whether it is plain UTF-8.
///
/// A mark at its front is no part of it. A byte A9 where a character should begin is U+FFFD: the ©
/// of old applications (`__CFFromUTF8`, `CFBuiltinConverters.c`). All else that is no UTF-8 is
/// refused.
pub(super) fn utf8(bytes: &[u8]) -> Option<(Text, bool)> {
    let body = bytes.strip_prefix(b"\xef\xbb\xbf");
    let is_whole = body.is_none();
    let body = body.unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(body) {
        return Some((text.into(), is_whole));
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        match chunk.invalid() {
            [] => {}
            [0xa9] => text.push(char::REPLACEMENT_CHARACTER),
            _ => return None,
        }
    }
    Some((text.into(), false))
}

/// The character that a reference stands for, and its length. Source: `parseEntityReference_pl`.
///
/// A number without digits is 0.
pub(super) fn reference(bytes: &[u8]) -> Option<(char, usize)> {
    for (name, c) in [
        (b"&lt;".as_slice(), '<'),
        (b"&gt;", '>'),
        (b"&amp;", '&'),
        (b"&apos;", '\''),
        (b"&quot;", '"'),
    ] {
        if bytes.starts_with(name) {
            return Some((c, name.len()));
        }
    }
    let number = bytes.strip_prefix(b"&#")?;
    let (digits, radix) = match number.strip_prefix(b"x") {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let end = digits.iter().take(9).position(|b| *b == b';')?;
    let code = digits.get(..end)?.iter().try_fold(0_u32, |code, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        code.checked_mul(radix)?.checked_add(digit)
    })?;
    let length = bytes.len().checked_sub(digits.len())?;
    Some((
        char::from_u32(code)?,
        length.checked_add(end)?.checked_add(1)?,
    ))
}

/// A number with a fraction; `None` when it is none. Source: `parseRealTag` and
/// `__CFStringScanDouble`, `CFStringScanner.c`.
///
/// # Errors
/// When it holds letters that CoreFoundation may fold to those of `infinity`.
pub(super) fn real(text: &Text) -> Result<Option<f64>, PropertyListError> {
    let text = text.as_str();
    let named = match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    if named.is_some() {
        return Ok(named);
    }
    // `__CFIsWhitespace`.
    let text = text.trim_start_matches(
        |c| matches!(c, '\0'..='\x20' | '\x7f'..='\u{a0}' | '\u{2000}'..='\u{200b}' | '\u{3000}'),
    );
    if !text.is_ascii() {
        return Err(PropertyListError::NotKnown(
            "a number of foreign letters".into(),
        ));
    }
    let is_number = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
    Ok(text.parse().ok().filter(|_| text.bytes().all(is_number)))
}

/// A whole number, and whether it is written plainly. Source: `parseIntegerTag`.
pub(super) fn integer(bytes: &[u8]) -> Option<(i128, bool)> {
    let unsigned = skip_spaces(bytes);
    let (is_negative, digits) = match unsigned {
        [sign @ (b'-' | b'+'), rest @ ..] => (*sign == b'-', skip_spaces(rest)),
        rest => (false, rest),
    };
    let (digits, radix) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        rest => (rest, 10),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits {
        let digit = char::from(*digit).to_digit(radix)?;
        value = value.checked_mul(radix.into())?.checked_add(digit.into())?;
    }
    if is_negative && value > i64::MIN.unsigned_abs() {
        return None;
    }
    let value = i128::from(value);
    let is_plain = bytes.strip_prefix(b"-").unwrap_or(bytes) == digits;
    Some((if is_negative { -value } else { value }, is_plain))
}

/// Past what is a space there. Source: `isWhitespace`.
fn skip_spaces(mut bytes: &[u8]) -> &[u8] {
    loop {
        bytes = match bytes {
            [0..=0x20 | 0x7f..=0xa0, rest @ ..] => rest,
            // Of three bytes the first alone is passed over; the others are looked at in turn.
            [0xe2, 0x80, 80..=0x8b | 0xaf, ..]
            | [0xe2, 0x81, 0x9f, ..]
            | [0xe3, 0x80, 0x80, ..] => bytes.get(1..).unwrap_or_default(),
            _ => return bytes,
        };
    }
}

/// A date. Source: `parseDateTag`: a year of any length, with a sign or without, and all else of two
/// digits, within its bounds or not.
pub(super) fn date(bytes: &[u8]) -> Option<Date> {
    let unsigned = bytes.strip_prefix(b"-");
    let is_negative = unsigned.is_some();
    let rest = unsigned.unwrap_or(bytes);
    let digits = rest.iter().take_while(|b| b.is_ascii_digit());
    // It overflows there as well.
    let (length, year) = digits.fold((0_usize, 0_i32), |(length, year), digit| {
        let digit = i32::from(digit.wrapping_sub(b'0'));
        (
            length.saturating_add(1),
            year.wrapping_mul(10).wrapping_add(digit),
        )
    });
    let year = if is_negative {
        year.wrapping_neg()
    } else {
        year
    };
    let [
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b'Z',
    ] = rest.get(length..)?
    else {
        return None;
    };
    let pair = |a: &u8, b: &u8| {
        let digit = |c: &u8| c.is_ascii_digit().then(|| c.wrapping_sub(b'0'));
        Some(digit(a)?.saturating_mul(10).saturating_add(digit(b)?))
    };
    let rest = [
        pair(m1, m2)?,
        pair(d1, d2)?,
        pair(h1, h2)?,
        pair(n1, n2)?,
        pair(s1, s2)?,
    ];
    Some(Date::from_gregorian(year, rest))
}

/// What a digit of base64 counts for.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte.wrapping_sub(b'A')),
        b'a'..=b'z' => Some(byte.wrapping_sub(b'a').wrapping_add(26)),
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0').wrapping_add(52)),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Data in base64, and whether it is written plainly. Source: `parseDataTag`.
///
/// Characters that are none of it are passed over; `=` counts as the digit 0, and takes a byte off
/// the group of four that it ends; a group of less than four gives nothing.
pub(super) fn base64(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut data = Vec::with_capacity(bytes.len() / 4 * 3);
    let (mut group, mut digits, mut padding) = (0_u32, 0_usize, 0_usize);
    let mut is_plain = true;
    let mut rest = bytes;
    loop {
        // Nearly all that there is are whole groups.
        if digits % 4 == 0 && padding == 0 {
            while let Some(([a, b, c, d], after)) = rest.split_first_chunk()
                && let (Some(a), Some(b), Some(c), Some(d)) =
                    (digit(*a), digit(*b), digit(*c), digit(*d))
            {
                let group =
                    u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
                let [_, three @ ..] = group.to_be_bytes();
                data.extend_from_slice(&three);
                rest = after;
            }
        }
        let Some((byte, after)) = rest.split_first() else {
            break;
        };
        rest = after;
        match byte {
            b'=' => padding = padding.saturating_add(1),
            b' ' | b'\t'..=b'\r' => continue,
            byte => {
                is_plain &= padding == 0;
                padding = 0;
                if !byte.is_ascii() {
                    return None;
                }
            }
        }
        let digit = match digit(*byte) {
            Some(digit) => digit,
            None if *byte == b'=' => 0,
            None => {
                is_plain = false;
                continue;
            }
        };
        group = group << 6 | u32::from(digit);
        digits = digits.saturating_add(1);
        if digits % 4 == 0 {
            let [_, first, second, third] = group.to_be_bytes();
            data.push(first);
            if padding < 2 {
                data.push(second);
            }
            if padding < 1 {
                data.push(third);
            }
            is_plain &= padding <= 2;
        }
    }
    Some((data, is_plain && digits % 4 == 0))
}
