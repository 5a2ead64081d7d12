//! Entitlements, which a signature carries in XML and in DER: both must say the same.
//!
//! Readers that disagree on one form were bypasses before: the kernel reads the DER, other code
//! the XML. Source of the DER form: the entitlements' format of Apple's `CoreEntitlements`, in
//! which a dictionary is a list of pairs in the tag `[16]`.

use crate::codesign::ber::{self, Element, Reader};
use crate::property_list::{self, Bounds, Dictionary, Value};

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
    parse_xml(xml).is_some_and(|xml| parse(der) == Some(xml))
}

fn parse(der: &[u8]) -> Option<Value> {
    let mut outer = Reader::new(der);
    let whole = outer.next()?;
    if !outer.is_empty() {
        return None;
    }
    if whole.tag == ber::SET {
        // The form before macOS 12.
        return value(whole, 0);
    }
    let mut reader = (whole.tag == WHOLE).then(|| whole.reader())?;
    reader.expect(ber::INTEGER)?;
    let all = reader.expect(DICTIONARY)?;
    reader.is_empty().then(|| value(all, 0)).flatten()
}

fn value(element: Element<'_>, depth: u32) -> Option<Value> {
    let deeper = depth.checked_add(1).filter(|&depth| depth < MOST_DEPTH)?;
    let mut reader = element.reader();
    match element.tag {
        ber::BOOLEAN => match element.content {
            [0] => Some(Value::Boolean(false)),
            // The tools of before 2022 wrote 1, which BER has for true as well.
            [1 | 0xff] => Some(Value::Boolean(true)),
            _ => None,
        },
        ber::INTEGER => integer(element.content).map(|n| Value::Integer(n.into())),
        UTF8_STRING => {
            let text = std::str::from_utf8(element.content).ok()?;
            Some(Value::String(text.into()))
        }
        ber::OCTET_STRING => Some(Value::Data(element.content.to_vec())),
        ber::SEQUENCE => {
            let mut array = Vec::new();
            while !reader.is_empty() {
                array.push(value(reader.next()?, deeper)?);
            }
            Some(Value::Array(array))
        }
        DICTIONARY | ber::SET => {
            let mut dictionary = Dictionary::new();
            while !reader.is_empty() {
                let mut pair = reader.expect(ber::SEQUENCE)?.reader();
                let key = std::str::from_utf8(pair.expect(UTF8_STRING)?.content).ok()?;
                let value = value(pair.next()?, deeper)?;
                let twice = dictionary.insert(key.to_owned(), value).is_some();
                if twice || !pair.is_empty() {
                    return None;
                }
            }
            Some(Value::Dictionary(dictionary))
        }
        _ => None,
    }
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
        let mut der = vec![ber::SEQUENCE, 0];
        for _ in 0..30 {
            let len = u8::try_from(der.len()).unwrap();
            der.splice(0..0, [ber::SEQUENCE, len]);
        }
        assert_eq!(value(Reader::new(&der).next().unwrap(), 0), None);
    }
}
