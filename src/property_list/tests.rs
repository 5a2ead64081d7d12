//! Property lists, format by format. What CoreFoundation itself answered is in
//! `tests/corefoundation`.

use super::*;
use proptest::prelude::*;
use std::io::Cursor;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">";

fn xml(body: &str) -> Vec<u8> {
    format!("{HEAD}{body}</plist>").into_bytes()
}

fn lenient(bytes: &[u8]) -> Result<Value, PropertyListError> {
    parse(bytes, &Bounds::STANDARD)
}

#[track_caller]
fn reads(bytes: &[u8], value: impl Into<Value>) {
    assert_eq!(lenient(bytes), Ok(value.into()));
}

#[track_caller]
fn refuses(bytes: &[u8]) {
    let error = lenient(bytes).unwrap_err();
    assert!(error.is_certain(), "{error}");
}

/// A binary list of some objects, of which the last is the whole.
fn binary(objects: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets.push(u8::try_from(bytes.len()).unwrap());
        bytes.extend(*object);
    }
    let table = u64::try_from(bytes.len()).unwrap();
    let count = u64::try_from(objects.len()).unwrap();
    bytes.extend(offsets);
    bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
    for number in [count, count - 1, table] {
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

#[test]
fn reads_what_the_crate_reads() {
    let body = "<dict><key>a</key><array><integer>1</integer><true/></array>\
                <key>b</key><string>x</string></dict>";
    let list = Value::Array(vec![1_i64.into(), true.into()]);
    let ours: Dictionary = [("a", list), ("b", "x".into())].into_iter().collect();
    reads(&xml(body), ours.clone());
    let mut binary = Vec::new();
    plist::Value::from_reader_xml(Cursor::new(xml(body)))
        .unwrap()
        .to_writer_binary(&mut binary)
        .unwrap();
    reads(&binary, ours);
}

#[test]
fn text_is_what_it_is_there() {
    for (text, value) in [
        ("a&lt;b&#65;&#x41;&#0000065;", "a<bAAA"),
        ("<![CDATA[<b>&amp;]]>", "<b>&amp;"),
        ("a<![CDATA[x]]>b<![CDATA[]]>", "axb"),
        ("&#0;&#;&#x;", "\0\0\0"),
        ("\u{feff}a", "a"),
        ("  \r\n\t ", "  \r\n\t "),
        ("]]>'\">", "]]>'\">"),
    ] {
        reads(&xml(&format!("<string>{text}</string>")), value);
    }
    for text in [
        "<!-- -->a",
        "a<?b?>",
        "&nbsp;",
        "& ",
        "&#xd800;",
        "&#x110000;",
        "&#X41;",
        "&#000000065;",
        "&#6 5;",
        "<![CDATA[x",
        "<![cdata[x]]>",
        "<br/>",
    ] {
        refuses(&xml(&format!("<string>{text}</string>")));
    }
    // The © of Mac Roman and of ISO 8859-1 alone is let pass.
    let bytes = |byte: u8| [b"<string>a".as_slice(), &[byte], b"b</string>"].concat();
    reads(&bytes(0xa9), "a\u{fffd}b");
    refuses(&bytes(0xaa));
}

#[test]
fn numbers_are_what_they_are_there() {
    let number = |text: &str| lenient(&xml(&format!("<integer>{text}</integer>")));
    for (text, value) in [
        ("0", 0),
        (" \u{2003}-\n 1", -1),
        ("+0X1f", 31),
        ("-0", 0),
        ("0x0", 0),
        ("18446744073709551615", u64::MAX.into()),
        ("-9223372036854775808", i64::MIN.into()),
    ] {
        assert_eq!(number(text), Ok(Value::Integer(value)), "{text}");
    }
    for text in [
        "",
        "-",
        "0x",
        "1 ",
        "1.0",
        "18446744073709551616",
        "-9223372036854775809",
        "1e3",
        "\u{a0}1",
        "<!-- -->1",
    ] {
        assert!(number(text).unwrap_err().is_certain(), "{text}");
    }
    let real = |text: &str| lenient(&xml(&format!("<real>{text}</real>")));
    for (text, value) in [
        ("1.", 1.0),
        (" \u{a0}.5", 0.5),
        ("+1E-1", 0.1),
        ("-Infinity", f64::NEG_INFINITY),
        ("&#49;<![CDATA[2]]>", 12.0),
    ] {
        assert_eq!(real(text), Ok(Value::Real(value)), "{text}");
    }
    for text in ["", ".", "1e", "1 ", "0x1", "1,5", "-"] {
        assert!(real(text).unwrap_err().is_certain(), "{text}");
    }
    // CoreFoundation compares by folding.
    assert!(!real("\u{130}nf").unwrap_err().is_certain());
}

#[test]
fn data_is_what_it_is_there() {
    let data = |text: &str| lenient(&xml(&format!("<data>{text}</data>")));
    for (text, bytes) in [
        ("aGVsbG8=", b"hello".as_slice()),
        (" aGV\n\tsbG8 = ", b"hello"),
        ("aGVsbG8", b"hel"),
        ("aGV-s_bG8=", b"hello"),
        ("aA==aA==", b"hh"),
        ("====", b"\0"),
        ("", b""),
    ] {
        assert_eq!(data(text), Ok(Value::Data(bytes.to_vec())), "{text}");
    }
    assert!(data("aGVsbG8é=").unwrap_err().is_certain());
}

#[test]
fn what_stands_around_elements_is_passed_over_as_there() {
    let list = "<plist a=b><dict/></plist>";
    let empty = Dictionary::new;
    for head in [
        "<?xml version='1.0'?><?a b?>\n",
        "<!DOCTYPE plist>",
        "<!-- -- --><!DOCTYPE x \"y\">",
        "\u{feff}",
    ] {
        reads(format!("{head}{list}</dict>\0x").as_bytes(), empty());
    }
    for head in [
        "<!--->",
        "<!DOCTYPE plist []>",
        "<!doctype plist>",
        "<!ELEMENT a>",
        "x",
        "\0\0",
        "\u{a0}",
        "<foo/>",
    ] {
        refuses(format!("{head}{list}").as_bytes());
    }
    reads(&xml("<dict ><?><!----><!-- <a> --></dict >"), empty());
    reads(b"<dict a=b/>", empty());
    for body in [
        "",
        "<dict/><dict/>",
        "<dict/>x",
        "<Dict/>",
        "< dict/>",
        "<dict/ >",
        "<dict></dict a=b>",
        "<dict><![CDATA[]]></dict>",
        "<dict><true/><true/></dict>",
        "<dict><key>a</key></dict>",
        "<true> </true>",
        "<data/>",
        "<integer/>",
        "<date/>",
        "<plist/>",
        "<null/>",
    ] {
        refuses(&xml(body));
    }
    // Whole to a CoreFoundation before "The Monterey Merge" (built and asked), and to one since then a
    // comment that has begun: nothing of it is certain.
    for list in [
        format!("<!---->{list}"),
        format!("<!---->{list}<!-- -->{list}"),
        "<plist><dict><!---></dict></plist>".to_owned(),
        "<plist><dict><!---><key>a</key><true/><!-- --></dict></plist>".to_owned(),
    ] {
        assert!(
            !lenient(list.as_bytes()).unwrap_err().is_certain(),
            "{list}"
        );
    }
    reads(&xml("<dict><!-- > -> ---><!----></dict>"), empty());
    refuses(format!("{HEAD}<dict/>").as_bytes());
    refuses(b"<plist><dict><!-- --");
    // The very last bytes end no comment.
    refuses(b"<plist><dict><!-- -->");
    // To an older CoreFoundation what is damaged may be whole, where no plist is around it.
    assert!(!lenient(b"<dict><</dict>").unwrap_err().is_certain());
}

#[test]
fn dates_are_what_they_are_there() {
    let date = |text: &str| match lenient(&xml(&format!("<date>{text}</date>"))) {
        Ok(Value::Date(date)) => date.unix_seconds(),
        Ok(value) => panic!("{value:?}"),
        Err(error) => {
            assert!(error.is_certain());
            None
        }
    };
    assert_eq!(date("2024-02-29T12:34:56Z"), Some(1_709_210_096));
    assert_eq!(date("2023-13-32T25:61:61Z"), Some(1_706_839_321));
    assert_eq!(date("-1-01-01T00:00:00Z"), Some(-62_198_755_200));
    assert!(date("12024-01-01T00:00:00Z").is_some());
    for text in [
        "",
        "2024-1-01T00:00:00Z",
        " 2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00.0Z",
    ] {
        assert_eq!(date(text), None, "{text}");
    }
}

#[test]
fn one_of_two_equal_keys_stays() {
    let keys = |value| Dictionary::from_iter([("a", value)]);
    reads(
        &xml("<dict><key>a</key><true/><key>a</key><false/></dict>"),
        keys(false),
    );
    reads(b"{a=1;a=2;}", Dictionary::from_iter([("a", "2")]));
    // Keys, then values.
    let twice = binary(&[b"\x51a", b"\x09", b"\x08", b"\xd2\0\0\x01\x02"]);
    reads(&twice, keys(true));
}

#[test]
fn binary_objects_are_what_they_are_there() {
    for (object, value) in [
        (b"\x00".as_slice(), Value::Null),
        (b"\x10\xff", 255_i64.into()),
        (b"\x13\xff\xff\xff\xff\xff\xff\xff\xff", (-1_i64).into()),
        (
            b"\x14\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            Value::Integer(u64::MAX.into()),
        ),
        (b"\x22\x3f\x80\0\0", 1.0.into()),
        (b"\x52\xe9a", "éa".into()),
        (b"\x5f\x11\0\x01a", "a".into()),
        (b"\x81\x01\x02", Value::Uid(258)),
        (b"\xc0", Value::Set(Vec::new())),
    ] {
        assert_eq!(lenient(&binary(&[object])), Ok(value), "{object:x?}");
    }
    let lone = lenient(&binary(&[b"\x61\xd8\x00"])).unwrap();
    assert_eq!(lone.as_string(), Some(""));
    assert!(lone.as_text().unwrap().is_ill_formed());
    let mut other = Dictionary::from_iter([("a", true)]);
    other.other_keys = 1;
    reads(&binary(&[b"\x51a", b"\x09", b"\xd2\0\x01\x01\x01"]), other);
    for objects in [
        [b"\x0f".as_slice()].as_slice(),
        &[b"\x15\0"],
        &[b"\x23\0"],
        &[b"\x30"],
        &[b"\x5f\x51"],
        &[b"\x60"],
        &[b"\x70"],
        &[b"\x84\x01\0\0\0\0"],
        // Itself, another that is not there, and a key that is an array.
        &[b"\xa1\0"],
        &[b"\xa1\x07"],
        &[b"\xa0", b"\xd1\0\0"],
    ] {
        refuses(&binary(objects));
    }
    // A version of any one character, and no trailer at all.
    let mut list = binary(&[b"\x09"]);
    list[7] = b'x';
    reads(&list, true);
    assert!(parse_exact(&list, &Bounds::STANDARD).is_err());
    list.pop();
    refuses(&list);
}

#[test]
fn the_old_style_is_what_it_is_there() {
    let list = |values: &[&str]| Value::Array(values.iter().map(|v| (*v).into()).collect());
    for (text, value) in [
        ("x.y-z", "x.y-z".into()),
        ("'a\"b'", "a\"b".into()),
        (r#""\U00e9\351\n\q\"""#, "éØ\nq\"".into()),
        (r#""\U1\376""#, "\u{1}\0".into()),
        ("(a, b,)", list(&["a", "b"])),
        ("<4e 4F\n>", Value::Data(b"NO".to_vec())),
        ("", Dictionary::new().into()),
        (" // c\r/* d", Dictionary::new().into()),
        ("k; // c", Dictionary::from_iter([("k", "k")]).into()),
        ("k = v; } x", Dictionary::from_iter([("k", "v")]).into()),
        // What is damaged ends its array, or its dictionary's keys.
        ("(a, \")", list(&["a"])),
        ("(<4)", list(&[])),
        ("({a=)", list(&[])),
        ("{k=v; '}", Dictionary::from_iter([("k", "v")]).into()),
    ] {
        let text = format!(" {text}");
        assert_eq!(lenient(text.as_bytes()), Ok(value), "{text}");
    }
    for text in [
        "{k=v}",
        "{k}",
        "(a b)",
        "<4>",
        "<zz>",
        "\"a",
        "{} x",
        "%",
        "a=",
        "{k=<*I1>;}",
    ] {
        refuses(text.as_bytes());
    }
}

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

/// What is beyond the bound may be read by CoreFoundation; what needs no decoding has as much room as before.
#[test]
fn decoding_takes_no_more_than_text_may() {
    let bounds = Bounds::BESIDE_MUCH;
    let xml = |encoding: &str, fill: &[u8]| {
        let head = format!("<?xml encoding='{encoding}'?><!--");
        [head.as_bytes(), &fill.repeat(500_000), b"--><true/>"].concat()
    };
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let old = |length: usize| format!("/*{}*/{{a=b;}}", "c".repeat(length)).into_bytes();
    let wide = "c".repeat(500_000);
    for list in [
        xml("x-nextstep", b"\xae"),
        xml("windows-1252", b"\xe9"),
        utf16(&format!("\u{feff}<true/><!--{wide}-->")),
        old(1_000_000),
    ] {
        let error = parse(&list, &bounds).unwrap_err();
        let told = "much text to decode";
        assert_eq!(error, PropertyListError::TooLarge(told));
        assert!(parse(&list, &Bounds::STANDARD).is_ok());
    }
    for list in [
        xml("x-nextstep", b"cccc"),
        xml("UTF-8", "é".as_bytes()),
        old(500_000),
    ] {
        assert!(parse(&list, &bounds).is_ok());
    }
    // A damaged one of XML is none of the old style, and is not decoded to see that.
    let damaged = [xml("UTF-8", "é".as_bytes()), b"<".to_vec()].concat();
    let damaged = String::from_utf8(damaged)
        .unwrap()
        .replace("<true/>", "<tru/>");
    assert!(parse(damaged.as_bytes(), &bounds).unwrap_err().is_certain());
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

#[test]
fn what_passes_a_bound_is_not_called_damaged() {
    let nested =
        |open: &str, close: &str, count| format!("{}{}", open.repeat(count), close.repeat(count));
    for (open, close, count) in [
        ("<array>", "</array>", MOST_DEPTH),
        ("<plist>", "</plist>", MOST_DEPTH - 1),
        ("(", ")", MOST_DEPTH + 1),
    ] {
        let inner = if open == "<plist>" { "<true/>" } else { "" };
        let list = format!("{}{inner}{}", open.repeat(count), close.repeat(count));
        assert!(lenient(list.as_bytes()).is_ok(), "{open}");
    }
    let many = nested("<plist>", "</plist>", 100_000);
    let wide = format!("<array>{}</array>", "<true/>".repeat(600_001));
    for list in [
        nested("<array>", "</array>", 100_000),
        nested("<dict><key>a</key>", "</dict>", MOST_DEPTH + 1),
        nested("(a,", ")", 100_000),
        nested("{a=", ";}", 100_000),
        many,
        wide,
    ] {
        let error = lenient(list.as_bytes()).unwrap_err();
        assert!(matches!(error, PropertyListError::TooLarge(_)), "{error}");
        assert!(!error.is_certain());
    }
}

/// A dictionary of one key takes the room of a dozen: a 4 MB list of them took 134 MB.
#[test]
fn a_collection_counts_as_the_room_that_it_takes() {
    let bounds = Bounds {
        values: 1_000,
        ..Bounds::STANDARD
    };
    let many = |element: &str| xml(&format!("<array>{}</array>", element.repeat(300)));
    assert!(parse(&many("<true/><true/><true/>"), &bounds).is_ok());
    for element in ["<dict><key/><true/></dict>", "<array><true/></array>"] {
        let error = parse(&many(element), &bounds).unwrap_err();
        assert!(!error.is_certain(), "{error}");
    }
    let old_style = format!("({}(a))", "{a=b;},".repeat(150));
    assert!(
        !parse(old_style.as_bytes(), &bounds)
            .unwrap_err()
            .is_certain()
    );
    let dictionary = b"\xd1\x01\x01".as_slice();
    let array = [b"\xaf\x10\x96".as_slice(), &[0; 150]].concat();
    let error = parse(&binary(&[dictionary, b"\x51a", &array]), &bounds).unwrap_err();
    assert!(!error.is_certain(), "{error}");
}

#[test]
fn a_binary_list_that_names_its_objects_again_and_again_is_bounded() {
    // Twelve arrays, each of fourteen references to the next: 14^12 values.
    let arrays: Vec<Vec<u8>> = (0..12_u8)
        .rev()
        .map(|level| [&[0xae], [11 - level; 14].as_slice()].concat())
        .collect();
    let mut objects = vec![b"\x09".as_slice()];
    objects.extend(arrays.iter().map(Vec::as_slice));
    assert_eq!(
        lenient(&binary(&objects)),
        Err(PropertyListError::TooLarge("many values"))
    );
}

/// No more is read than a list of so many bytes can hold that names each collection once: 2,000 bytes would
/// cost as much as half a million values.
#[test]
fn what_a_binary_list_costs_follows_from_its_bytes() {
    let list = |times: u8| {
        let array = [b"\xaf\x10\x64".as_slice(), &[0; 100]].concat();
        let top = [&[0xaf, 0x10, times], vec![1; times.into()].as_slice()].concat();
        lenient(&binary(&[b"\x09", &array, &top]))
    };
    assert_eq!(list(40).unwrap().as_array().map(<[_]>::len), Some(40));
    assert_eq!(list(60), Err(PropertyListError::TooLarge("many values")));
}

#[test]
fn what_readers_take_in_different_ways_is_refused_where_it_counts() {
    let exact = |bytes: &[u8]| parse_exact(bytes, &Bounds::STANDARD).is_ok();
    let good = "<dict><key>a</key> <!-- - x --> <true/><!--y--></dict>";
    assert!(exact(&xml(good)));
    let doctype = "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"x\">";
    assert!(exact(
        format!("{doctype}<plist>{good}</plist>\n<!-- z -->\0\0").as_bytes()
    ));
    assert!(exact(&binary(&[b"\x51a", b"\x09", b"\xd1\0\x01"])));
    assert!(exact(
        b"<?xml version='1.0' ?><plist version='1.0'><string a=\"'\">it's > [</string></plist>"
    ));
    assert!(exact(&xml(
        "<array><data> aGk= \n</data><integer>-12</integer></array>"
    )));
    for body in [
        "<dict><key>a</key><true/><key>a</key><true/></dict>",
        "<dict><key>a</key><!-- --><string><![CDATA[x]]></string></dict>",
        "<string><![CDATA[x]]></string>",
        "<?a?><dict/>",
        "<dict><key>CF$UID</key><integer>1</integer></dict>",
        "<string>&#0;</string>",
        "<string>\u{feff}a</string>",
        "<integer>0x1</integer>",
        "<integer>+1</integer>",
        "<data>aGk</data>",
        "<data>a-Gk=</data>",
    ] {
        assert!(lenient(&xml(body)).is_ok(), "{body}");
        assert!(!exact(&xml(body)), "{body}");
    }
    for body in [
        "<dict/><dict/>",
        "<dict/>x",
        "<dict><key>a<!-- --></key><true/></dict>",
        "<dict><key><!-- -->a</key><true/></dict>",
        "<dict><key>a</key><!--><true/><!-- --><false/></dict>",
        "<dict><key>a</key><!---><true/><!-- --><false/></dict>",
        "<dict a=\"><key>a</key><true/></dict>\"/>",
        "<dict a='><key>a</key><true/></dict>'/>",
    ] {
        assert!(!exact(&xml(body)), "{body}");
    }
    for list in [
        "<plist><dict/></plist>x",
        "<plist><dict/></plist><plist><dict/></plist>",
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><string>é</string>",
        "{ a = b; }",
        "<!DOCTYPE plist \"><plist><dict><key>a</key><true/></dict></plist>\"><plist><dict/></plist>",
        "<!DOCTYPE plist '><plist><dict><key>a</key><true/></dict></plist>'><plist><dict/></plist>",
        "<!DOCTYPE plist [<!ENTITY a \"b\">]><plist><dict/></plist>",
    ] {
        assert!(!exact(list.as_bytes()), "{list}");
    }
    for objects in [
        [b"\x51a".as_slice(), b"\x09", b"\xd2\0\0\x01\x01"].as_slice(),
        &[b"\x08", b"\x09", b"\xd1\0\x01"],
        &[b"\x61\xd8\0"],
        &[b"\xc0"],
        &[b"\x14\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01"],
    ] {
        assert!(lenient(&binary(objects)).is_ok());
        assert!(!exact(&binary(objects)));
    }
}

proptest! {
    /// With a blank behind each character, data is read character by character.
    #[test]
    fn whole_groups_of_base64_are_read_as_their_characters_are(text in "[A-Za-z0-9+/]{0,24}[=A-Za-z0-9+/ \n!.-]{0,12}") {
        let apart: String = text.chars().flat_map(|c| [c, ' ']).collect();
        prop_assert_eq!(scalar::base64(text.as_bytes()), scalar::base64(apart.as_bytes()));
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = lenient(&bytes);
        let _ = parse_exact(&bytes, &Bounds::STANDARD);
        let _ = lenient(&[b"bplist00", bytes.as_slice()].concat());
        let _ = lenient(&[b"\xff\xfe", bytes.as_slice()].concat());
        let _ = lenient(&xml(&String::from_utf8_lossy(&bytes)));
    }
}
