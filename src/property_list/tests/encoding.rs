//! By which encoding a list is read.

use super::*;

#[test]
fn an_encoding_whose_name_goes_on_beyond_ascii_is_not_taken_for_its_beginning() {
    // CoreFoundation reads the first and knows no encoding of the other names.
    let declared =
        |name| format!("<?xml version='1.0' encoding='{name}'?><string>a</string>").into_bytes();
    reads(&declared("ISO-8859-1e"), "a");
    for name in ["ISO-8859-1é", "windows-1252é", "cp1252é", "macintoshé"] {
        let error = parse(&declared(name), &Bounds::STANDARD).unwrap_err();
        assert!(!error.is_certain(), "{name}: {error}");
    }
}

#[test]
fn encodings_are_told_as_there() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><string>é</string>";
    let units = |mark: u16, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let mark = std::iter::once(mark);
        mark.chain(text.encode_utf16()).flat_map(order).collect()
    };
    reads(&units(0xfeff, u16::to_le_bytes), "é");
    reads(&units(0xfeff, u16::to_be_bytes), "é");
    // Without a mark the first character is lost.
    reads(&units(0x20, u16::to_le_bytes), "é");
    refuses(&units(0x20, u16::to_be_bytes));
    refuses(&units(0x20, u16::to_le_bytes)[2..]);
    let wide = |mark: char, order: fn(u32) -> [u8; 4]| -> Vec<u8> {
        let mark = std::iter::once(mark);
        mark.chain(text.chars())
            .flat_map(|c| order(c.into()))
            .collect()
    };
    reads(&wide('\u{feff}', u32::to_le_bytes), "é");
    reads(&wide('\u{feff}', u32::to_be_bytes), "é");
    let declared = |name: &str, byte: u8| {
        let head = format!("<?xml encoding='{name}'?><string>");
        [head.as_bytes(), &[byte], b"</string>"].concat()
    };
    for (name, byte, value) in [
        ("ISO-8859-1", 0xe9, "é"),
        ("us-ascii", 0x80, "\u{80}"),
        ("windows-1252", 0x80, "€"),
        ("cp65001x", b'a', "a"),
        ("x-nextstep", 0xdd, "é"),
        ("koi8-r", b'a', "a"),
        ("utf8", b'a', "a"),
    ] {
        reads(&declared(name, byte), value);
    }
    for (name, byte) in [
        ("macintosh", b'a'),
        ("", b'a'),
        ("utf-8", 0xe9),
        ("utf-16", b'a'),
        ("windows-1252", 0x81),
    ] {
        refuses(&declared(name, byte));
    }
    for (name, byte) in [
        ("koi8-r", 0xe9),
        ("utf-7", b'a'),
        ("shift_jis", b'a'),
        ("foo", b'a'),
    ] {
        let error = lenient(&declared(name, byte)).unwrap_err();
        assert!(
            matches!(error, PropertyListError::NotKnown(_)),
            "{name}: {error}"
        );
    }
    refuses(b"<?xml enc");
}
