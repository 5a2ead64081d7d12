//! Entitlements, which a signature carries in XML and in DER: both must say the same.
//!
//! Readers that disagree on one form were bypasses before: the kernel reads the DER, other code
//! the XML. Source of the DER form: the entitlements' format of Apple's `CoreEntitlements`, in
//! which a dictionary is a list of pairs in the tag `[16]`.

use std::collections::BTreeSet;

use crate::codesign::ber::{self, Element, Reader};
use crate::property_list::{self, Bounds, Value};

/// `UTF8String`.
const UTF8_STRING: u8 = 0x0c;
/// The tag that all of it stands in, `[APPLICATION 16]`.
const WHOLE: u8 = 0x70;
/// The tag of a dictionary.
const DICTIONARY: u8 = 0xb0;
/// Collections inside each other.
const MOST_DEPTH: u32 = 16;

/// The entitlements in XML; `None` when they are damaged, are no dictionary, or could be read in
/// several ways.
pub(crate) fn parse_xml(xml: &[u8]) -> Option<Value> {
    let value = property_list::parse_exact(xml, &Bounds::OF_SIGNATURE).ok()?;
    value.as_dictionary().is_some().then_some(value)
}

/// True when the XML and the DER say the same.
pub(crate) fn agree(xml: &[u8], der: &[u8]) -> bool {
    parse_xml(xml).is_some_and(|xml| all_of(der).is_some_and(|der| is_same(&xml, der, MOST_DEPTH)))
}

/// The outermost dictionary.
fn all_of(der: &[u8]) -> Option<Element<'_>> {
    let mut outer = Reader::new(der);
    let whole = outer.next()?;
    if !outer.is_empty() {
        return None;
    }
    if whole.tag == ber::SET {
        // The form before macOS 12.
        return Some(whole);
    }
    let mut reader = (whole.tag == WHOLE).then(|| whole.reader())?;
    reader.expect(ber::INTEGER)?;
    let all = reader.expect(DICTIONARY)?;
    reader.is_empty().then_some(all)
}

/// True when an element says what the XML says. Nothing is made of the DER, which may hold what it likes: each of its elements
/// stands for a value of the XML, of which there are not too many.
fn is_same(xml: &Value, der: Element<'_>, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    match (xml, der.tag) {
        (Value::Boolean(xml), ber::BOOLEAN) => match der.content {
            [0] => !xml,
            // The tools of before 2022 wrote 1, which BER has for true as well.
            [1 | 0xff] => *xml,
            _ => false,
        },
        (Value::Integer(xml), ber::INTEGER) => {
            integer(der.content).is_some_and(|der| *xml == der.into())
        }
        (Value::String(xml), UTF8_STRING) => xml.as_bytes() == der.content,
        (Value::Data(xml), ber::OCTET_STRING) => xml == der.content,
        (Value::Array(xml), ber::SEQUENCE) => {
            let mut reader = der.reader();
            let mut xml = xml.iter();
            xml.all(|xml| reader.next().is_some_and(|der| is_same(xml, der, depth)))
                && reader.is_empty()
        }
        (Value::Dictionary(xml), DICTIONARY | ber::SET) => {
            let mut reader = der.reader();
            let mut keys = BTreeSet::new();
            while !reader.is_empty() {
                let Some((key, value)) = reader.expect(ber::SEQUENCE).and_then(pair) else {
                    return false;
                };
                let same = xml.get(key).is_some_and(|xml| is_same(xml, value, depth));
                if !same || !keys.insert(key) {
                    return false;
                }
            }
            keys.len() == xml.len()
        }
        _ => false,
    }
}

/// Key and value of one entry of a dictionary.
fn pair(entry: Element<'_>) -> Option<(&str, Element<'_>)> {
    let mut reader = entry.reader();
    let key = std::str::from_utf8(reader.expect(UTF8_STRING)?.content).ok()?;
    let value = reader.next()?;
    reader.is_empty().then_some((key, value))
}

fn integer(content: &[u8]) -> Option<i64> {
    let first = i64::from(*content.first()?);
    if content.len() > 8 {
        return None;
    }
    let sign = if first >= 0x80 { -1 } else { 0 };
    Some(
        content
            .iter()
            .fold(sign, |n: i64, &byte| n << 8 | i64::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // com.example.a = true, com.example.b = [ "x" ], written by hand from the format.
    const DER: &[u8] = b"\x70\x2e\x02\x01\x01\xb0\x29\
        \x30\x12\x0c\x0dcom.example.a\x01\x01\xff\
        \x30\x13\x0c\x0dcom.example.b\x30\x02\x0c\x00";

    fn xml(b: &str) -> Vec<u8> {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict>\
             <key>com.example.a</key><true/><key>com.example.b</key>\
             <array><string>{b}</string></array></dict></plist>"
        )
        .into_bytes()
    }

    /// Several threads read them at once, and whoever signed chose how many there are.
    #[test]
    fn more_than_any_need_are_damaged() {
        let of = |count: usize| {
            let array = "<true/>".repeat(count);
            let xml = format!("<plist><dict><key>a</key><array>{array}</array></dict></plist>");
            parse_xml(xml.as_bytes()).is_some()
        };
        assert!(of(19_000) && !of(20_000));
    }

    #[test]
    fn the_same_in_both_forms_agrees() {
        assert!(agree(&xml(""), DER));
        assert!(!agree(&xml("x"), DER));
        assert!(!agree(b"", DER));
        assert!(!agree(&xml(""), &DER[..DER.len() - 1]));
    }

    /// As the signature of Node.js 16.13.0 for arm64 has it.
    #[test]
    fn true_may_be_one_and_nothing_else() {
        for (byte, agrees) in [
            (1, true),
            (0xff, true),
            (0, false),
            (2, false),
            (0x7f, false),
        ] {
            let mut der = DER.to_vec();
            let at = der.iter().position(|&b| b == 0xff).unwrap();
            der[at] = byte;
            assert_eq!(agree(&xml(""), &der), agrees, "{byte}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let of = |depth: usize| {
            let mut der = vec![ber::SEQUENCE, 0];
            for _ in 1..depth {
                let len = u8::try_from(der.len()).unwrap();
                der.splice(0..0, [ber::SEQUENCE, len]);
            }
            let xml = (0..depth).fold(Value::Array(Vec::new()), |inner, n| {
                Value::Array(if n == 0 { Vec::new() } else { vec![inner] })
            });
            is_same(&xml, Reader::new(&der).next().unwrap(), MOST_DEPTH)
        };
        assert!(of(15) && of(16));
        assert!(!of(17) && !of(30));
    }

    /// Each key stands there once, and every one.
    #[test]
    fn keys_are_those_of_the_xml() {
        let xml = parse_xml(b"<plist><dict><key>a</key><true/><key>b</key><true/></dict></plist>");
        let xml = xml.unwrap();
        let entry = |key: u8| [0x30, 6, 0x0c, 1, key, 1, 1, 0xff];
        let says = |keys: &[u8]| {
            let entries = keys.iter().flat_map(|key| entry(*key)).collect::<Vec<u8>>();
            let len = u8::try_from(entries.len()).unwrap();
            let der = [&[DICTIONARY, len][..], &entries].concat();
            is_same(&xml, Reader::new(&der).next().unwrap(), MOST_DEPTH)
        };
        assert!(says(b"ab") && says(b"ba"));
        for keys in [&b"a"[..], b"aa", b"aab", b"abb", b"abc", b"ac", b""] {
            assert!(!says(keys), "{keys:?}");
        }
    }
}
