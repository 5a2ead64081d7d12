//! A property list in the old style of NeXT, as CoreFoundation reads it; with it the files of strings
//! that are a dictionary without braces.
//!
//! Where something within an array is damaged, the array ends there, and is whole if what stands
//! there happens to be its `)`; in a dictionary, a damaged key does the same. So it is read there.
//!
//! Source: `CFOldStylePList.c` of Apple, function by function.

use super::encoding::next_step;
use super::error::PropertyListError;
use super::limits::{Budget, MOST_DEPTH};
use super::text::Text;
use super::value::{Dictionary, Value};

const TAB: u16 = 0x09;
const NEW_LINE: u16 = 0x0a;
const RETURN: u16 = 0x0d;
const SPACE: u16 = 0x20;
const QUOTE: u16 = 0x22;
const APOSTROPHE: u16 = 0x27;
const OPEN: u16 = 0x28;
const CLOSE: u16 = 0x29;
const STAR: u16 = 0x2a;
const COMMA: u16 = 0x2c;
const SLASH: u16 = 0x2f;
const SEMICOLON: u16 = 0x3b;
const LESS: u16 = 0x3c;
const EQUALS: u16 = 0x3d;
const GREATER: u16 = 0x3e;
const BACKSLASH: u16 = 0x5c;
const OPEN_BRACE: u16 = 0x7b;
const CLOSE_BRACE: u16 = 0x7d;
const LINE_SEPARATOR: u16 = 0x2028;
const PARAGRAPH_SEPARATOR: u16 = 0x2029;

/// Reads a list of UTF-16 units. Nothing but blanks and comments is a dictionary without keys.
///
/// # Errors
/// When it is damaged or passes a bound.
pub(super) fn read(units: &[u16], budget: &mut Budget) -> Result<Value, PropertyListError> {
    let mut reader = Reader {
        units,
        at: 0,
        budget,
    };
    if units.is_empty() {
        return reader.fail("it is empty");
    }
    if !reader.advance() {
        return Ok(Value::Dictionary(Dictionary::new()));
    }
    let value = reader.value(Vec::new())?;
    let is_whole = !reader.advance();
    let value = match value {
        Some(Value::String(_)) if !is_whole => {
            reader.at = 0;
            let keys = Frame::Dictionary(Dictionary::new(), None);
            reader.value(vec![keys])?
        }
        Some(_) if !is_whole => return reader.fail("something behind the list"),
        value => value,
    };
    match value {
        Some(value) => Ok(value),
        None => reader.fail("not what a list of the old style is made of"),
    }
}

struct Reader<'a> {
    units: &'a [u16],
    at: usize,
    budget: &'a mut Budget,
}

/// A collection whose end has not come.
enum Frame {
    Array(Vec<Value>),
    /// With the key whose value comes next.
    Dictionary(Dictionary, Option<Text>),
}

/// What is to be done next.
enum Step {
    /// Read an object.
    Object,
    /// Read a key of the innermost dictionary, or find its end.
    Key,
    /// Pass the semicolon behind an entry of the innermost dictionary.
    Semicolon,
    /// Go on in the innermost collection with an object, or without one.
    Done(Option<Value>),
}

impl Reader<'_> {
    fn fail<T>(&self, why: &'static str) -> Result<T, PropertyListError> {
        Err(PropertyListError::Malformed { why, at: self.at })
    }

    fn peek(&self) -> Option<u16> {
        self.units.get(self.at).copied()
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// Passes a unit when it comes next.
    fn take(&mut self, unit: u16) -> bool {
        let is_next = self.peek() == Some(unit);
        if is_next {
            self.skip(1);
        }
        is_next
    }

    /// Past blanks and comments; false at the end. Source: `advanceToNonSpace`.
    fn advance(&mut self) -> bool {
        loop {
            let rest = self.units.get(self.at..).unwrap_or_default();
            match rest {
                [] => return false,
                [
                    TAB..=RETURN | SPACE | LINE_SEPARATOR | PARAGRAPH_SEPARATOR,
                    ..,
                ] => self.skip(1),
                [SLASH, SLASH, line @ ..] => {
                    let ends = [NEW_LINE, RETURN, LINE_SEPARATOR, PARAGRAPH_SEPARATOR];
                    let end = line.iter().position(|unit| ends.contains(unit));
                    self.skip(end.unwrap_or(line.len()).saturating_add(2));
                }
                [SLASH, STAR, comment @ ..] => {
                    let end = comment.windows(2).position(|two| two == [STAR, SLASH]);
                    let length = end.map_or(comment.len(), |end| end.saturating_add(2));
                    self.skip(length.saturating_add(2));
                }
                _ => return true,
            }
        }
    }

    /// Reads an object, or with a dictionary open its keys, to the end of the outermost. Source:
    /// `parsePlistObject`, `parsePlistArray`, `parsePlistDict` and `parsePlistDictContent`, which
    /// call each other.
    fn value(&mut self, mut frames: Vec<Frame>) -> Result<Option<Value>, PropertyListError> {
        let has_braces = frames.is_empty();
        let mut step = if has_braces { Step::Object } else { Step::Key };
        loop {
            if frames.len() > self.budget.depth && self.budget.depth < MOST_DEPTH {
                return Err(PropertyListError::TooLarge("deep nesting"));
            }
            step = match step {
                Step::Object => self.object(&mut frames)?,
                Step::Key => match self.string()? {
                    Some(key) => {
                        self.budget.key()?;
                        self.entry(&mut frames, key)?
                    }
                    None if frames.len() == 1 && !has_braces => {
                        return Ok(frames.pop().map(Frame::whole));
                    }
                    None => {
                        let is_whole = self.advance() && self.take(CLOSE_BRACE);
                        let value = frames.pop().filter(|_| is_whole);
                        Step::Done(value.map(Frame::whole))
                    }
                },
                Step::Semicolon => {
                    if self.advance() && self.take(SEMICOLON) {
                        Step::Key
                    } else {
                        frames.pop();
                        Step::Done(None)
                    }
                }
                Step::Done(value) => match (frames.last_mut(), value) {
                    (None, value) => return Ok(value),
                    (Some(Frame::Array(values)), value) => {
                        let is_value = value.is_some();
                        values.extend(value);
                        if is_value && self.advance() && self.take(COMMA) {
                            Step::Object
                        } else {
                            let is_whole = self.advance() && self.take(CLOSE);
                            let value = frames.pop().filter(|_| is_whole);
                            Step::Done(value.map(Frame::whole))
                        }
                    }
                    (Some(Frame::Dictionary(values, key)), Some(value)) => {
                        if let Some(key) = key.take() {
                            // `CFDictionarySetValue`: the last of equal keys stays.
                            values.insert(key, value);
                        }
                        Step::Semicolon
                    }
                    (Some(Frame::Dictionary(..)), None) => {
                        frames.pop();
                        Step::Done(None)
                    }
                },
            };
        }
    }

    /// Begins an object: a collection is opened, all else is read. Source: `parsePlistObject`.
    fn object(&mut self, frames: &mut Vec<Frame>) -> Result<Step, PropertyListError> {
        if !self.advance() {
            return Ok(Step::Done(None));
        }
        if frames.len() > MOST_DEPTH && self.peek() != Some(CLOSE) {
            return Err(PropertyListError::TooLarge("deep nesting"));
        }
        let value = match self.peek() {
            Some(OPEN_BRACE) => {
                self.skip(1);
                self.budget.value()?;
                self.budget.dictionary()?;
                frames.push(Frame::Dictionary(Dictionary::new(), None));
                return Ok(Step::Key);
            }
            Some(OPEN) => {
                self.skip(1);
                self.budget.value()?;
                self.budget.array()?;
                frames.push(Frame::Array(Vec::new()));
                return Ok(Step::Object);
            }
            Some(LESS) => {
                self.skip(1);
                self.budget.value()?;
                self.data()?.map(Value::Data)
            }
            _ => self.string()?.map(Value::String),
        };
        Ok(Step::Done(value))
    }

    /// What follows a key of the innermost dictionary. Source: `parsePlistDictContent`.
    fn entry(&mut self, frames: &mut Vec<Frame>, text: Text) -> Result<Step, PropertyListError> {
        if self.advance()
            && let Some(Frame::Dictionary(values, key)) = frames.last_mut()
        {
            if self.peek() == Some(SEMICOLON) {
                // A key alone stands for itself.
                self.budget.text(text.as_bytes().len())?;
                values.insert(text.clone(), Value::String(text));
                return Ok(Step::Semicolon);
            }
            if self.take(EQUALS) {
                *key = Some(text);
                return Ok(Step::Object);
            }
        }
        frames.pop();
        Ok(Step::Done(None))
    }

    /// A text in quotes or without. Source: `parsePlistString` and `parseUnquotedPlistString`.
    fn string(&mut self) -> Result<Option<Text>, PropertyListError> {
        if !self.advance() {
            return Ok(None);
        }
        self.budget.value()?;
        let text = match self.peek() {
            Some(quote @ (QUOTE | APOSTROPHE)) => {
                self.skip(1);
                self.quoted(quote)
            }
            _ => {
                let rest = self.units.get(self.at..).unwrap_or_default();
                let end = rest.iter().position(|unit| !is_plain(*unit));
                let plain = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                self.skip(plain.len());
                (!plain.is_empty()).then(|| Text::from_utf16(plain.iter().copied()))
            }
        };
        if let Some(text) = &text {
            self.budget.text(text.as_bytes().len())?;
        }
        Ok(text)
    }

    /// A text up to its quote. Without one it is none, and what follows is looked for right behind
    /// the first quote. Source: `parseQuotedPlistString`.
    fn quoted(&mut self, quote: u16) -> Option<Text> {
        let start = self.at;
        let mut units = Vec::new();
        loop {
            match self.peek() {
                None => {
                    self.at = start;
                    return None;
                }
                Some(unit) if unit == quote => {
                    self.skip(1);
                    return Some(Text::from_utf16(units));
                }
                Some(BACKSLASH) => {
                    self.skip(1);
                    self.peek()?;
                    units.push(self.escaped());
                }
                Some(unit) => {
                    self.skip(1);
                    units.push(unit);
                }
            }
        }
    }

    /// What stands behind a backslash. Source: `getSlashedChar`.
    fn escaped(&mut self) -> u16 {
        let Some(unit) = self.peek() else {
            return 0;
        };
        self.skip(1);
        match char::from_u32(unit.into()) {
            Some(digit @ '0'..='7') => {
                let mut number = digit.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let next = self.peek().and_then(|unit| char::from_u32(unit.into()));
                    let Some(digit) = next.and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    self.skip(1);
                    number = number << 3 | digit;
                }
                let [.., low] = number.to_be_bytes();
                // The two bytes that have no character become NUL.
                next_step(low).unwrap_or(0)
            }
            Some('U') => {
                let mut number = 0_u16;
                // What is no digit is not passed, and counts as one of the four.
                for _ in 0..4 {
                    let next = self.peek().and_then(|unit| char::from_u32(unit.into()));
                    let digit = next.and_then(|c| c.to_digit(16));
                    if let Some(digit) = digit.and_then(|digit| u16::try_from(digit).ok()) {
                        self.skip(1);
                        number = number << 4 | digit;
                    }
                }
                number
            }
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => NEW_LINE,
            Some('r') => RETURN,
            Some('t') => TAB,
            Some('v') => 0x0b,
            _ => unit,
        }
    }

    /// Data up to its `>`. Source: `parsePlistData` and `getDataBytes`, which look at the low half of
    /// a unit alone for a digit.
    fn data(&mut self) -> Result<Option<Vec<u8>>, PropertyListError> {
        let digit = |unit: u16| {
            let [_, low] = unit.to_be_bytes();
            let digit = char::from(low).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let mut bytes = Vec::new();
        loop {
            let Some(unit) = self.peek() else {
                return Ok(None);
            };
            if unit == GREATER {
                self.skip(1);
                return Ok(Some(bytes));
            }
            if let Some(high) = digit(unit) {
                self.skip(1);
                let Some(low) = self.peek().and_then(digit) else {
                    return Ok(None);
                };
                self.skip(1);
                self.budget.text(1)?;
                bytes.push(high << 4 | low);
                continue;
            }
            match unit {
                SPACE | NEW_LINE | TAB | RETURN | LINE_SEPARATOR | PARAGRAPH_SEPARATOR => {
                    self.skip(1);
                }
                _ => return Ok(None),
            }
        }
    }
}

impl Frame {
    fn whole(self) -> Value {
        match self {
            Self::Array(values) => Value::Array(values),
            Self::Dictionary(values, _) => Value::Dictionary(values),
        }
    }
}

/// True for what a text without quotes is made of: `isValidUnquotedStringCharacter`.
fn is_plain(unit: u16) -> bool {
    let byte = u8::try_from(unit).unwrap_or_default();
    byte.is_ascii_alphanumeric() || b"_$/:.-".contains(&byte)
}
