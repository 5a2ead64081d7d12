//! Property lists, format by format. What CoreFoundation itself answered is in
//! `tests/corefoundation`.

mod bounds;
mod encoding;
mod xml;

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
