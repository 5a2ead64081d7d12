//! Lists in XML, element by element.

use super::*;

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
