//! Property lists from hostile files: the crate `plist` reads the formats, and here its stream of
//! events is built into a value within bounds.
//!
//! The crate's own way to a value recurses as deep as the input says, and a binary list can name one
//! object a billion times over; so events are counted, and depth is.

use std::fmt;
use std::io::Cursor;

use plist::stream::{Event, Reader};
use plist::{Dictionary, Value};

/// Bounds on what a property list may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nested collections.
    pub depth: usize,
    /// Values, keys and ends of collections.
    pub events: usize,
    /// Bytes of text and data, over all values.
    pub text: usize,
}

impl Bounds {
    /// Far more than any Info.plist needs.
    pub const STANDARD: Self = Self {
        depth: 32,
        events: 400_000,
        text: 16 << 20,
    };
}

/// Why a property list gives no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyListError {
    /// It is not one, as the crate `plist` says.
    Malformed(String),
    /// It passes a bound.
    TooLarge(&'static str),
}

impl fmt::Display for PropertyListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not a property list: {why}"),
            Self::TooLarge(what) => write!(f, "a property list with too {what}"),
        }
    }
}

impl std::error::Error for PropertyListError {}

/// Parses a property list in XML, in UTF-8 or UTF-16, in the binary format, or in the old style.
///
/// # Errors
/// When it is damaged or passes a bound.
pub fn parse(bytes: &[u8], bounds: &Bounds) -> Result<Value, PropertyListError> {
    read(bytes, bounds, Reading::Lenient)
}

/// Parses a property list that a signature is judged by: the same, and what readers take in
/// different ways is refused. That is a key that stands twice, a second value behind the first, a
/// CDATA section, a comment within text or of an odd form, a tag with a `>` in quotes, a processing
/// instruction, and declarations of one's own; `codesign` writes none of them. NULs behind the text
/// are passed over.
///
/// # Errors
/// When it is damaged, passes a bound, or could be read in another way.
pub fn parse_exact(bytes: &[u8], bounds: &Bounds) -> Result<Value, PropertyListError> {
    if bytes.starts_with(b"bplist") {
        return read(bytes, bounds, Reading::Exact);
    }
    let decoded = utf16(bytes);
    let mut text = decoded.as_deref().unwrap_or(bytes);
    while let [rest @ .., 0] = text {
        text = rest;
    }
    match ambiguity(text) {
        Some(why) => Err(PropertyListError::Malformed(why.into())),
        None => read(text, bounds, Reading::Exact),
    }
}

/// What is to be done about that which readers take in different ways.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The last of equal keys stays, and what follows the first value is not looked at.
    Lenient,
    /// It is refused.
    Exact,
}

/// The one declaration that is plain.
const DOCTYPE: &[u8] = b"<!DOCTYPE";

/// What CoreFoundation's XML reader takes in another way than the crate's. To it a DOCTYPE ends at
/// the first `>`, whatever quotes are around that (`skipDTD`, `CFPropertyList.c` of Apple); every
/// tag is held to the same.
fn ambiguity(xml: &[u8]) -> Option<&'static str> {
    let mut rest = xml;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        let (before, markup) = rest.split_at_checked(at)?;
        if markup.starts_with(b"<![") {
            return Some("a CDATA section");
        }
        let Some(comment) = markup.strip_prefix(b"<!--") else {
            let end = markup.iter().position(|byte| matches!(byte, b'>' | b'['))?;
            let (tag, after) = markup.split_at_checked(end)?;
            if tag.starts_with(b"<!") && (after.starts_with(b"[") || !tag.starts_with(DOCTYPE)) {
                return Some("declarations of its own");
            }
            if tag.starts_with(b"<?") && !(tag.starts_with(b"<?xml ") && tag.ends_with(b"?")) {
                return Some("a processing instruction");
            }
            if after.starts_with(b"[") || ends_in_quotes(tag) {
                return Some("a tag of an odd form");
            }
            rest = after;
            continue;
        };
        let in_text = |near: Option<&u8>, tag| near.is_some_and(|byte| *byte != tag);
        let odd = comment.starts_with(b">") || comment.starts_with(b"->");
        let end = comment.windows(3).position(|three| three == b"-->");
        let after = comment.get(end?.saturating_add(3)..)?;
        if odd
            || in_text(before.trim_ascii_end().last(), b'>')
            || in_text(after.trim_ascii_start().first(), b'<')
        {
            return Some("a comment within text or of an odd form");
        }
        // What comes next stands behind a tag's end, like what stood before.
        rest = after;
    }
    None
}

/// Whether a quote in a tag is still open where it ends.
fn ends_in_quotes(tag: &[u8]) -> bool {
    let quotes = tag.iter().filter(|byte| matches!(byte, b'"' | b'\''));
    let open = quotes.fold(None, |open, quote| match open {
        None => Some(quote),
        Some(open) if open == quote => None,
        open => open,
    });
    open.is_some()
}

fn read(bytes: &[u8], bounds: &Bounds, reading: Reading) -> Result<Value, PropertyListError> {
    use PropertyListError::{Malformed, TooLarge};
    let decoded = utf16(bytes);
    let bytes = decoded.as_deref().unwrap_or(bytes);
    // CoreFoundation skips a byte order mark and blanks before the XML.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut open: Vec<Open> = Vec::new();
    let mut text = 0_usize;
    let mut reader = Reader::new(Cursor::new(bytes));
    for count in 0_usize.. {
        let Some(event) = reader.next() else {
            return Err(Malformed("it ends early".into()));
        };
        let event = event.map_err(|e| Malformed(e.to_string()))?;
        if count >= bounds.events {
            return Err(TooLarge("many values"));
        }
        if let Event::String(s) = &event {
            text = text.saturating_add(s.len());
        }
        if let Event::Data(d) = &event {
            text = text.saturating_add(d.len());
        }
        if text > bounds.text {
            return Err(TooLarge("much text"));
        }
        let value = match event {
            Event::StartArray(_) | Event::StartDictionary(_) if open.len() >= bounds.depth => {
                return Err(TooLarge("deep nesting"));
            }
            Event::StartArray(_) => {
                open.push(Open::Array(Vec::new()));
                continue;
            }
            Event::StartDictionary(_) => {
                open.push(Open::Dictionary(Dictionary::new(), None));
                continue;
            }
            Event::EndCollection => match open.pop() {
                Some(Open::Array(values)) => Value::Array(values),
                Some(Open::Dictionary(values, None)) => Value::Dictionary(values),
                _ => return Err(Malformed("a key without a value".into())),
            },
            Event::Boolean(b) => Value::Boolean(b),
            Event::Data(d) => Value::Data(d.into_owned()),
            Event::Date(d) => Value::Date(d),
            Event::Integer(i) => Value::Integer(i),
            Event::Real(r) => Value::Real(r),
            Event::String(s) => Value::String(s.into_owned()),
            Event::Uid(u) => Value::Uid(u),
            _ => return Err(Malformed("an unknown kind of value".into())),
        };
        match (open.last_mut(), value) {
            (None, value) if reading == Reading::Lenient || reader.next().is_none() => {
                return Ok(value);
            }
            (None, _) => return Err(Malformed("something stands behind its value".into())),
            (Some(Open::Array(values)), value) => values.push(value),
            (Some(Open::Dictionary(_, key @ None)), Value::String(name)) => *key = Some(name),
            (Some(Open::Dictionary(_, None)), _) => {
                return Err(Malformed("a key that is no text".into()));
            }
            (Some(Open::Dictionary(values, key)), value) => {
                if let Some(key) = key.take() {
                    let before = values.insert(key, value);
                    if before.is_some() && reading == Reading::Exact {
                        return Err(Malformed("a key stands there twice".into()));
                    }
                }
            }
        }
    }
    Err(TooLarge("many values"))
}

/// A collection that has begun and not ended.
enum Open {
    Array(Vec<Value>),
    /// With the key whose value comes next.
    Dictionary(Dictionary, Option<String>),
}

/// UTF-8 of a text in UTF-16 that begins with a byte order mark, which CoreFoundation accepts.
fn utf16(bytes: &[u8]) -> Option<Vec<u8>> {
    let (little, rest) = match bytes {
        [0xff, 0xfe, rest @ ..] => (true, rest),
        [0xfe, 0xff, rest @ ..] => (false, rest),
        _ => return None,
    };
    let (pairs, _) = rest.as_chunks::<2>();
    let units = pairs.iter().map(|pair| match little {
        true => u16::from_le_bytes(*pair),
        false => u16::from_be_bytes(*pair),
    });
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    // The declaration would contradict the bytes that the parser sees.
    let body = match text.trim_start().strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, body)| body),
        None => &text,
    };
    Some(body.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">";

    fn xml(body: &str) -> Vec<u8> {
        format!("{HEAD}{body}</plist>").into_bytes()
    }

    #[test]
    fn reads_what_the_crate_reads() {
        let bytes = xml(
            "<dict><key>a</key><array><integer>1</integer><true/></array><key>b</key><string>x</string></dict>",
        );
        let ours = parse(&bytes, &Bounds::STANDARD).unwrap();
        assert_eq!(ours, Value::from_reader_xml(Cursor::new(&bytes)).unwrap());
        let mut binary = Vec::new();
        ours.to_writer_binary(&mut binary).unwrap();
        assert_eq!(parse(&binary, &Bounds::STANDARD).unwrap(), ours);
    }

    #[test]
    fn reads_utf16() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><plist version=\"1.0\"><string>é</string></plist>";
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(
            parse(&bytes, &Bounds::STANDARD),
            Ok(Value::String("é".into()))
        );
    }

    #[test]
    fn deep_and_wide_lists_are_refused() {
        let deep = xml(&format!(
            "{}{}",
            "<array>".repeat(100_000),
            "</array>".repeat(100_000)
        ));
        assert_eq!(
            parse(&deep, &Bounds::STANDARD),
            Err(PropertyListError::TooLarge("deep nesting"))
        );
        let wide = xml(&format!("<array>{}</array>", "<true/>".repeat(400_001)));
        assert_eq!(
            parse(&wide, &Bounds::STANDARD),
            Err(PropertyListError::TooLarge("many values"))
        );
    }

    #[test]
    fn a_binary_list_that_names_its_objects_again_and_again_is_refused() {
        // Twelve arrays, each of sixteen references to the next: 16^12 values.
        let mut bytes = b"bplist00".to_vec();
        let mut offsets = Vec::new();
        for level in 0..12_u8 {
            offsets.push(u8::try_from(bytes.len()).unwrap());
            bytes.extend([0xaf, 0x10, 14]);
            bytes.extend(vec![level + 1; 14]);
        }
        offsets.push(u8::try_from(bytes.len()).unwrap());
        bytes.push(0x09);
        let table = u64::try_from(bytes.len()).unwrap();
        bytes.extend(&offsets);
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
        bytes.extend(13_u64.to_be_bytes());
        bytes.extend(0_u64.to_be_bytes());
        bytes.extend(table.to_be_bytes());
        assert_eq!(
            parse(&bytes, &Bounds::STANDARD),
            Err(PropertyListError::TooLarge("many values"))
        );
    }

    #[test]
    fn what_readers_take_in_different_ways_is_refused_where_it_counts() {
        let exact = |bytes: &[u8]| parse_exact(bytes, &Bounds::STANDARD).is_ok();
        let good = "<dict><key>a</key> <!-- - x --> <true/><!--y--></dict>";
        assert!(exact(&xml(good)));
        let doctype = "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"x\">";
        assert!(exact(
            format!("{doctype}<plist>{good}</plist>\n\0\0").as_bytes()
        ));
        let mut binary = Vec::new();
        let value = parse(&xml(good), &Bounds::STANDARD).unwrap();
        value.to_writer_binary(&mut binary).unwrap();
        assert!(exact(&binary));
        assert!(exact(
            b"<?xml version='1.0' ?><plist version='1.0'><string a=\"'\">it's > [</string></plist>"
        ));
        for body in [
            "<dict><key>a</key><true/><key>a</key><true/></dict>",
            "<dict/><dict/>",
            "<dict/></plist><plist><dict/>",
            "<dict/>x",
            "<dict/></plist>x",
            "<dict><key>a<!-- --></key><true/></dict>",
            "<dict><key><!-- -->a</key><true/></dict>",
            "<dict><key>a</key><!--><true/><!-- --><false/></dict>",
            "<dict><key>a</key><!---><true/><!-- --><false/></dict>",
            "<dict><key>a</key><!-- --><![CDATA[x]]><true/></dict>",
            "<string><![CDATA[x]]></string>",
            "<dict a=\"><key>a</key><true/></dict>\"/>",
            "<dict a='><key>a</key><true/></dict>'/>",
            "<?a?><dict/>",
        ] {
            assert!(parse(&xml(body), &Bounds::STANDARD).is_ok(), "{body}");
            assert!(!exact(&xml(body)), "{body}");
        }
        for doctype in [
            "<!DOCTYPE plist \"><plist><dict><key>a</key><true/></dict></plist>\">",
            "<!DOCTYPE plist '><plist><dict><key>a</key><true/></dict></plist>'>",
            "<!DOCTYPE plist \">\" [<!ENTITY a \"b\">]>",
        ] {
            let text = format!("{doctype}<plist><dict/></plist>");
            assert!(!exact(text.as_bytes()), "{doctype}");
        }
        let entity = "<!DOCTYPE plist [<!ENTITY a \"b\">]><plist><dict/></plist>";
        assert!(!exact(entity.as_bytes()));
    }

    /// CoreFoundation takes it, and so a list with one must not be called damaged. The crate panics
    /// where it writes one as text, which nothing here does.
    #[test]
    fn a_date_before_the_year_0_is_a_date() {
        // A marker of eight bytes of date, the table of one offset, and the trailer.
        let seconds = -70_000_000_000_f64;
        let mut bytes = [b"bplist00\x33".as_slice(), &seconds.to_be_bytes(), &[8]].concat();
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
        for number in [1_u64, 0, 17] {
            bytes.extend(number.to_be_bytes());
        }
        let Ok(Value::Date(date)) = parse(&bytes, &Bounds::STANDARD) else {
            panic!("no date");
        };
        let before = std::time::UNIX_EPOCH.duration_since(date.into()).unwrap();
        // From 1970 to 2001, CoreFoundation's reference date.
        assert_eq!(before.as_secs(), 70_000_000_000 - 978_307_200);
    }

    #[test]
    fn the_last_of_two_equal_keys_stays() {
        let bytes = xml("<dict><key>a</key><true/><key>a</key><false/></dict>");
        let value = parse(&bytes, &Bounds::STANDARD).unwrap();
        assert_eq!(
            value.as_dictionary().unwrap().get("a"),
            Some(&Value::Boolean(false))
        );
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes, &Bounds::STANDARD);
            let mut binary = b"bplist00".to_vec();
            binary.extend(&bytes);
            let _ = parse(&binary, &Bounds::STANDARD);
            let _ = parse(&xml(&String::from_utf8_lossy(&bytes)), &Bounds::STANDARD);
        }
    }
}
