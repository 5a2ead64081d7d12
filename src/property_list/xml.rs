//! A property list in XML, as CoreFoundation's own reader takes it: no XML parser, and both more
//! lenient and stricter than one.
//!
//! Source: `CFPropertyList.c` of Apple, function by function; what depth or bounds leave open is not
//! called damaged.

use super::error::PropertyListError;
use super::exact::{Reading, TWICE};
use super::limits::Budget;
use super::scalar;
use super::take::Take;
use super::text::Text;
use super::value::{Dictionary, Value};

/// `<plist>` within `<plist>` is no deeper to CoreFoundation, which calls itself for each, until its
/// stack ends.
const MOST_PLISTS: usize = 512;

/// What an element came to.
enum Item {
    /// A collection, or a `<plist>`, whose content follows.
    Opened(Frame),
    /// A value; a key is a text that may stand in a key's place.
    Value { value: Value, is_key: bool },
}

/// An element whose end has not come.
enum Frame {
    Plist(Option<Value>),
    Array(Vec<Value>),
    /// With the key whose value comes next.
    Dictionary(Dictionary, Option<Text>),
}

impl Frame {
    fn tag(&self) -> &'static [u8] {
        match self {
            Self::Plist(_) => b"plist",
            Self::Array(_) => b"array",
            Self::Dictionary(..) => b"dict",
        }
    }
}

/// The bytes of a list, and how far they have been read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    reading: Reading,
    budget: &'a mut Budget,
    take: &'a mut Take<'a>,
}

/// Reads the first element of a list. What stands behind it is not looked at, unless the reading is
/// exact.
///
/// # Errors
/// When there is none, or when it is damaged or passes a bound.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    reading: Reading,
    budget: &'a mut Budget,
    take: &'a mut Take<'a>,
) -> Result<Value, PropertyListError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        reading,
        budget,
        take,
    };
    reader.prolog()?;
    let is_in_none = reader.rest().starts_with(b"dict");
    let value = match reader.element_and_content() {
        // `parseDictTag` of the source before "The Monterey Merge" takes an error where a key is due for the end, if its
        // closing tag stands there, and only `parsePListTag` asks for errors after it.
        Err(PropertyListError::Malformed { .. }) if is_in_none => {
            return Err(PropertyListError::Ambiguous(
                "a damaged dictionary in no plist, which older macOS may take for whole",
            ));
        }
        read => read?,
    };
    if reading == Reading::Exact {
        reader.end()?;
    }
    Ok(value)
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn fail<T>(&self, why: &'static str) -> Result<T, PropertyListError> {
        Err(PropertyListError::Malformed { why, at: self.at })
    }

    /// What CoreFoundation takes and another reader may take in another way.
    fn odd(&self, why: &'static str) -> Result<(), PropertyListError> {
        match self.reading {
            Reading::Lenient => Ok(()),
            Reading::Exact => Err(PropertyListError::Ambiguous(why)),
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.skip(1);
        }
    }

    /// Up to the first element, behind its `<`. Source: `parseXMLPropertyList`.
    fn prolog(&mut self) -> Result<(), PropertyListError> {
        loop {
            self.skip_blanks();
            match self.rest() {
                [] | [_] => return self.fail("no element"),
                [b'<', b'!', b'-', b'-', ..] => {
                    // One character more than the mark is passed over here, so that `<!---->` has
                    // no end.
                    self.skip(5);
                    self.comment()?;
                }
                [b'<', b'!', ..] => {
                    self.skip(2);
                    self.document_type()?;
                }
                [b'<', b'?', ..] => {
                    self.skip(2);
                    self.instruction()?;
                }
                [b'<', ..] => {
                    self.skip(1);
                    return Ok(());
                }
                _ => return self.fail("text in front of the first element"),
            }
        }
    }

    /// Past a comment's end, of which the very last three bytes of the list are none. Source:
    /// `skipXMLComment`. Up to "The Monterey Merge" of the published source both callers began one
    /// byte earlier: what is a whole comment there goes on here, and hides keys from the one or the
    /// other.
    fn comment(&mut self) -> Result<(), PropertyListError> {
        let earlier = self.bytes.get(self.at.saturating_sub(1)..);
        if earlier.is_some_and(|rest| rest.starts_with(b"-->")) {
            return Err(PropertyListError::Ambiguous(
                "a comment that older macOS ends elsewhere",
            ));
        }
        self.past(b"-->", 1, "a comment without an end")
    }

    /// Past an instruction's end. Source: `skipXMLProcessingInstruction`.
    fn instruction(&mut self) -> Result<(), PropertyListError> {
        self.past(b"?>", 1, "an instruction without an end")
    }

    /// Past the next of some bytes, behind which so many more must stand.
    fn past(
        &mut self,
        end: &[u8],
        more: usize,
        why: &'static str,
    ) -> Result<(), PropertyListError> {
        let rest = self.rest();
        let within = rest.get(..rest.len().saturating_sub(more));
        let found = within.and_then(|rest| rest.windows(end.len()).position(|w| w == end));
        match found {
            Some(found) => self.skip(found.saturating_add(end.len())),
            None => return self.fail(why),
        }
        Ok(())
    }

    /// Past the first `>`, whatever quotes are around that. Source: `skipDTD`, which refuses any
    /// declarations inside.
    fn document_type(&mut self) -> Result<(), PropertyListError> {
        if !self.rest().starts_with(b"DOCTYPE") {
            return self.fail("a declaration that is no DOCTYPE");
        }
        let end = self.rest().iter().position(|b| matches!(b, b'>' | b'['));
        match end {
            Some(end) if self.rest().get(end) == Some(&b'>') => self.skip(end.saturating_add(1)),
            Some(_) => return self.fail("declarations inside of the DOCTYPE"),
            None => return self.fail("a DOCTYPE without an end"),
        }
        Ok(())
    }

    /// The element whose `<` is read, with all its content. Source: `parseXMLElement`,
    /// `parsePListTag`, `parseArrayTag` and `parseDictTag`, which call each other.
    fn element_and_content(&mut self) -> Result<Value, PropertyListError> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut depth = 0_usize;
        let mut item = self.element()?;
        loop {
            match item {
                Item::Opened(frame) => {
                    match frame {
                        Frame::Plist(_) => (),
                        Frame::Array(_) => self.budget.array()?,
                        Frame::Dictionary(..) => self.budget.dictionary()?,
                    }
                    if !matches!(frame, Frame::Plist(_)) {
                        depth = depth.saturating_add(1);
                    } else if frames.len().saturating_sub(depth) >= MOST_PLISTS {
                        return Err(PropertyListError::TooLarge("deep nesting"));
                    }
                    if depth > self.budget.depth {
                        return Err(PropertyListError::TooLarge("deep nesting"));
                    }
                    frames.push(frame);
                    if depth == 2 {
                        self.budget.opens();
                    }
                }
                Item::Value { value, is_key } => match frames.split_last_mut() {
                    None => return Ok(value),
                    Some((frame, around)) => self.put(frame, around, value, is_key)?,
                },
            }
            item = match self.content()? {
                Some(item) => item,
                None => match frames.pop() {
                    Some(frame) => {
                        if !matches!(frame, Frame::Plist(_)) {
                            depth = depth.saturating_sub(1);
                        }
                        self.close(frame)?
                    }
                    None => return self.fail("no element"),
                },
            };
        }
    }

    /// Puts a value into the element that it stands in, which `around` stand around.
    fn put(
        &mut self,
        frame: &mut Frame,
        around: &[Frame],
        value: Value,
        is_key: bool,
    ) -> Result<(), PropertyListError> {
        match (frame, value) {
            (Frame::Plist(place @ None), value) => *place = Some(value),
            (Frame::Plist(Some(_)), _) => return self.fail("a second value"),
            (Frame::Array(values), value) => values.push(value),
            (Frame::Dictionary(_, key @ None), Value::String(text)) if is_key => *key = Some(text),
            (Frame::Dictionary(_, None), _) => return self.fail("a key that is none"),
            (Frame::Dictionary(values, key @ Some(_)), value) => {
                let left = match (key.take(), under(around)) {
                    (Some(key), Some(under)) => (self.take)(under, key, value),
                    (Some(key), None) => Some((key, value)),
                    (None, _) => None,
                };
                match left {
                    // `CFDictionarySetValue`: the last of equal keys stays.
                    Some((key, value)) => {
                        if values.insert(key, value).is_some() {
                            self.odd(TWICE)?;
                        }
                    }
                    None => self.budget.taken(),
                }
            }
        }
        Ok(())
    }

    /// The end of an element, and the value that it gives.
    fn close(&mut self, frame: Frame) -> Result<Item, PropertyListError> {
        let tag = frame.tag();
        let value = match frame {
            Frame::Plist(None) => return self.fail("a plist without a value"),
            Frame::Dictionary(_, Some(_)) => return self.fail("a key without a value"),
            Frame::Plist(Some(value)) => value,
            Frame::Array(values) => Value::Array(values),
            Frame::Dictionary(values, None) => match uid(&values) {
                Some(uid) => {
                    self.odd("a dictionary that stands for a UID")?;
                    Value::Uid(uid)
                }
                None => Value::Dictionary(values),
            },
        };
        self.close_tag(tag)?;
        let is_key = false;
        Ok(Item::Value { value, is_key })
    }

    /// The next element within another, or `None` at that one's end. Source: `getContentObject`.
    fn content(&mut self) -> Result<Option<Item>, PropertyListError> {
        loop {
            self.skip_blanks();
            match self.rest() {
                [b'<', b'/', ..] => return Ok(None),
                [b'<', b'!', b'-', b'-', ..] => {
                    self.skip(4);
                    self.comment()?;
                }
                [b'<', b'!', ..] => return self.fail("a declaration or CDATA among elements"),
                [b'<', b'?', ..] => {
                    // From the question mark itself, so that `<?>` is whole.
                    self.skip(1);
                    self.instruction()?;
                }
                [b'<', _, ..] => {
                    self.skip(1);
                    return self.element().map(Some);
                }
                [] | [b'<'] => return self.fail("it ends within an element"),
                _ => return self.fail("text among elements"),
            }
        }
    }

    /// An element whose `<` is read: its tag, and its content unless it is a collection. Source:
    /// `parseXMLElement`.
    fn element(&mut self) -> Result<Item, PropertyListError> {
        let rest = self.rest();
        let Some(end) = rest.iter().position(|b| *b == b'>') else {
            return self.fail("a tag without an end");
        };
        let tag = rest.get(..end).unwrap_or_default();
        let is_empty = tag.ends_with(b"/");
        let name_end = tag.iter().position(|b| b" \t\n\r".contains(b));
        let name = match name_end {
            Some(end) => tag.get(..end).unwrap_or_default(),
            None => tag.strip_suffix(b"/").unwrap_or(tag),
        };
        let opens = match name {
            b"plist" if is_empty => return self.fail("a plist without a value"),
            b"plist" => Some(Frame::Plist(None)),
            b"array" => Some(Frame::Array(Vec::new())),
            b"dict" => Some(Frame::Dictionary(Dictionary::new(), None)),
            b"key" | b"string" | b"data" | b"date" | b"true" | b"false" | b"real" | b"integer" => {
                None
            }
            _ => return self.fail("a tag that is not known"),
        };
        self.skip(end.saturating_add(1));
        if name != b"plist" {
            self.budget.value()?;
        }
        if name == b"key" {
            self.budget.key()?;
        }
        let value = match (opens, name, is_empty) {
            (Some(frame), _, false) => return Ok(Item::Opened(frame)),
            (Some(Frame::Array(_)), ..) => Value::Array(Vec::new()),
            (Some(_), ..) => Value::Dictionary(Dictionary::new()),
            (None, b"key" | b"string", true) => Value::String(Text::default()),
            (None, b"true", true) => Value::Boolean(true),
            (None, b"false", true) => Value::Boolean(false),
            (None, _, true) => return self.fail("an element without content"),
            (None, name, false) => {
                let value = self.scalar(name)?;
                self.close_tag(name)?;
                value
            }
        };
        let is_key = name == b"key";
        Ok(Item::Value { value, is_key })
    }

    /// What stands in an element that is no collection, up to its end.
    fn scalar(&mut self, name: &[u8]) -> Result<Value, PropertyListError> {
        let start = self.at;
        let value = match name {
            b"key" | b"string" => return self.text().map(Value::String),
            b"true" => return Ok(Value::Boolean(true)),
            b"false" => return Ok(Value::Boolean(false)),
            b"real" => scalar::real(&self.text()?)?.map(|number| (Value::Real(number), true)),
            b"data" => {
                let text = self.up_to_tag();
                self.budget.text(text.len())?;
                scalar::base64(text).map(|(bytes, is_plain)| (Value::Data(bytes), is_plain))
            }
            b"date" => scalar::date(self.up_to_tag()).map(|date| (Value::Date(date), true)),
            _ => scalar::integer(self.up_to_tag())
                .map(|(number, is_plain)| (Value::Integer(number), is_plain)),
        };
        let (value, is_plain) = value.ok_or(PropertyListError::Malformed {
            why: "a number, a date or data that is none",
            at: start,
        })?;
        if !is_plain {
            self.odd("a number or data of an odd form")?;
        }
        Ok(value)
    }

    /// The bytes up to the next `<`.
    fn up_to_tag(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|b| *b == b'<').unwrap_or(rest.len());
        self.skip(end);
        rest.get(..end).unwrap_or_default()
    }

    /// Text up to the next tag, with its entities and its CDATA. Source: `parseStringTag`.
    fn text(&mut self) -> Result<Text, PropertyListError> {
        let start = self.at;
        let mut gathered: Vec<u8> = Vec::new();
        loop {
            let rest = self.rest();
            let end = rest.iter().position(|b| matches!(b, b'<' | b'&'));
            let plain = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            self.skip(plain.len());
            let is_all = gathered.is_empty();
            match self.rest() {
                [b'&', ..] => {
                    gathered.extend_from_slice(plain);
                    let (c, length) = match scalar::reference(self.rest()) {
                        Some(reference) => reference,
                        None => return self.fail("a reference that is none"),
                    };
                    if c == '\0' {
                        self.odd("a reference to NUL")?;
                    }
                    gathered.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    self.skip(length);
                }
                [b'<', b'!', ..] => {
                    gathered.extend_from_slice(plain);
                    self.odd("a CDATA section")?;
                    gathered.extend_from_slice(self.cdata()?);
                }
                _ => {
                    let bytes = if is_all {
                        plain
                    } else {
                        gathered.extend_from_slice(plain);
                        &gathered
                    };
                    self.budget.text(bytes.len())?;
                    return match scalar::utf8(bytes) {
                        Some((text, true)) => Ok(text),
                        Some((text, false)) => self.odd("text of an odd form").map(|()| text),
                        None => Err(PropertyListError::Malformed {
                            why: "text that is no UTF-8",
                            at: start,
                        }),
                    };
                }
            }
        }
    }

    /// The content of a CDATA section. Source: `parseCDSect_pl`.
    fn cdata(&mut self) -> Result<&'a [u8], PropertyListError> {
        let Some(content) = self.rest().strip_prefix(b"<![CDATA[") else {
            return self.fail("a comment or declaration within text");
        };
        let Some(end) = content.windows(3).position(|three| three == b"]]>") else {
            return self.fail("CDATA without an end");
        };
        self.skip(end.saturating_add(12));
        Ok(content.get(..end).unwrap_or_default())
    }

    /// The closing tag of an element. Source: `checkForCloseTag`.
    fn close_tag(&mut self, name: &[u8]) -> Result<(), PropertyListError> {
        let rest = self.rest();
        let Some(after) = rest
            .strip_prefix(b"</")
            .and_then(|rest| rest.strip_prefix(name))
        else {
            return self.fail("not the closing tag that is due");
        };
        self.at = self.bytes.len().saturating_sub(after.len());
        self.skip_blanks();
        if self.peek() != Some(b'>') {
            return self.fail("a closing tag without an end");
        }
        self.skip(1);
        Ok(())
    }

    /// Nothing but blanks, comments and NULs to the end.
    fn end(&mut self) -> Result<(), PropertyListError> {
        loop {
            self.skip_blanks();
            match self.rest() {
                [b'<', b'!', b'-', b'-', ..] => {
                    self.skip(4);
                    self.past(b"-->", 0, "a comment without an end")?;
                }
                rest if rest.iter().all(|b| *b == 0) => return Ok(()),
                _ => return self.odd("something stands behind its value"),
            }
        }
    }
}

/// The key under which a dictionary stands in the topmost one; `None` where it stands elsewhere.
fn under(around: &[Frame]) -> Option<&Text> {
    let mut around = around.iter().filter(|f| !matches!(f, Frame::Plist(_)));
    match (around.next(), around.next()) {
        (Some(Frame::Dictionary(_, key)), None) => key.as_ref(),
        _ => None,
    }
}

/// The number of a dictionary whose one key is `CF$UID`: the 32 bits that are lowest.
fn uid(values: &Dictionary) -> Option<u32> {
    let value = values.get("CF$UID").filter(|_| values.len() == 1)?;
    match value {
        Value::Integer(number) => u32::try_from(number & 0xffff_ffff).ok(),
        #[expect(clippy::as_conversions, reason = "it is cut to 32 bits there as well")]
        Value::Real(number) => Some(*number as i32 as u32),
        _ => None,
    }
}
