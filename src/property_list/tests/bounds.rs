//! How much is read of a list, and that what is beyond is not called damaged.

use super::*;

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
