//! Property lists from hostile files, as CoreFoundation reads them: the values that it gets, and
//! nothing where it gets none.
//!
//! `CFPropertyListCreateWithData` tries the binary format, then XML, then the old style
//! (`_CFPropertyListCreateWithData`, `CFPropertyList.c` of Apple). None of them is read there as its
//! specification has it, and what the loader sees is what counts: a list that is called damaged here
//! and is read there would hide a plug-in. The answers of the published CoreFoundation, built and run,
//! are held against this in `tests/suite/corefoundation.rs`.

mod binary;
mod date;
mod encoding;
mod error;
mod exact;
mod limits;
mod old_style;
mod scalar;
mod take;
mod text;
mod value;
mod xml;

pub use date::Date;
pub use error::PropertyListError;
pub use exact::TWICE;
pub use limits::{Bounds, MOST_DEPTH};
pub use text::Text;
pub use value::{Dictionary, Value};

use encoding::Characters;
use exact::Reading;
use limits::Budget;
use take::{Take, leave};

/// Parses a property list of any format.
///
/// # Errors
/// When it is damaged or passes a bound; [`PropertyListError::is_certain`] tells whether
/// CoreFoundation could still read it.
pub fn parse(bytes: &[u8], bounds: &Bounds) -> Result<Value, PropertyListError> {
    let mut budget = Budget::new(bounds);
    if let Some(value) = binary::read(bytes, Reading::Lenient, &mut budget, &mut leave)? {
        return Ok(value);
    }
    let characters = encoding::characters(bytes, &Budget::new(bounds))?;
    let decoded = match &characters {
        Characters::Utf8 { .. } => Vec::new(),
        Characters::Units(units) => encoding::utf8_of(units),
    };
    let body = match &characters {
        Characters::Utf8 { body, .. } => body,
        Characters::Units(_) => decoded.as_slice(),
    };
    let malformed = |why| PropertyListError::Malformed { why, at: 0 };
    if body.is_empty() {
        return Err(malformed("it is empty"));
    }
    // What an attempt took is given back for the next.
    let error = match xml::read(body, Reading::Lenient, &mut Budget::new(bounds), &mut leave) {
        Err(error) if error.is_certain() => error,
        result => return result,
    };
    // In the old style these are data, with a letter that is no digit.
    if let [b'<', b'?' | b'!' | b'p', ..] = body.trim_ascii_start() {
        return Err(error);
    }
    let budget = &mut Budget::new(bounds);
    let units = match characters {
        Characters::Units(units) => units,
        Characters::Utf8 { whole, .. } => {
            // A unit of two bytes for each, and the text of which they are made.
            budget.decodes(whole.len().saturating_mul(3))?;
            match scalar::utf8(whole) {
                Some((text, _)) => {
                    let mut units = Vec::with_capacity(whole.len());
                    units.extend(text.as_str().encode_utf16());
                    units
                }
                None => return Err(error),
            }
        }
    };
    match old_style::read(&units, budget) {
        Err(old_style) if old_style.is_certain() => Err(match body.trim_ascii_start() {
            _ if bytes.starts_with(b"bplist") => malformed("a damaged list of the binary format"),
            [b'<', ..] => error,
            _ => old_style,
        }),
        result => result,
    }
}

/// Parses a property list that a signature is judged by, in XML of UTF-8 or UTF-16 or in the binary
/// format: with CoreFoundation's values, for Apple's code reads it so too, but what another reader
/// takes in another way is refused. That is a key that stands twice, a second value behind the first,
/// a CDATA section, a comment within text or of an odd form, a tag with a `>` in quotes, a processing
/// instruction, declarations of one's own, numbers and data of an odd form, an encoding that is
/// declared and is not UTF-8, the old style, and in a binary list keys that are no text. `codesign`
/// writes none of them. NULs behind the text are passed over.
///
/// # Errors
/// When it is damaged, passes a bound, or could be read in another way.
pub fn parse_exact(bytes: &[u8], bounds: &Bounds) -> Result<Value, PropertyListError> {
    exact(bytes, &mut Budget::new(bounds), &mut leave)
}

/// The same of a list whose entries are taken as they are read, and of which no more than `held` values are held
/// at a time. That no key stands twice among what is taken is for whoever takes it to see.
///
/// # Errors
/// When it is damaged, passes a bound, or could be read in another way.
pub fn parse_exact_taking(
    bytes: &[u8],
    bounds: &Bounds,
    held: usize,
    take: &mut Take<'_>,
) -> Result<Value, PropertyListError> {
    exact(bytes, &mut Budget::holding(bounds, held), take)
}

fn exact(
    bytes: &[u8],
    budget: &mut Budget,
    take: &mut Take<'_>,
) -> Result<Value, PropertyListError> {
    if bytes.starts_with(b"bplist") {
        let value = binary::read(bytes, Reading::Exact, budget, take)?;
        return value.ok_or(PropertyListError::Malformed {
            why: "a damaged list of the binary format",
            at: 0,
        });
    }
    let marked = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let decoded;
    let mut text = match encoding::characters(bytes, budget)? {
        Characters::Utf8 { body, .. } => body,
        Characters::Units(units) if marked => {
            decoded = encoding::utf8_of(&units);
            &decoded
        }
        Characters::Units(_) => return Err(PropertyListError::Ambiguous("its encoding")),
    };
    while let [rest @ .., 0] = text {
        text = rest;
    }
    match exact::ambiguity(text) {
        Some(why) => Err(PropertyListError::Ambiguous(why)),
        None => xml::read(text, Reading::Exact, budget, take),
    }
}

#[cfg(test)]
mod tests;
