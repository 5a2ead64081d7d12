//! A property list, in any of its formats: what is read within narrow bounds is read within wide
//! ones, and what the crate `plist` reads of a list that is read exactly here is the same value.
#![no_main]

use std::io::Cursor;

use dsplug::property_list::{Bounds, PropertyListError, Value, parse, parse_exact};
use libfuzzer_sys::fuzz_target;
use plist::Value as Theirs;

/// Few, so that an input of few bytes can pass them.
const SMALL: Bounds = Bounds {
    depth: 4,
    values: 64,
    text: 256,
};

fuzz_target!(|bytes: &[u8]| {
    let standard = parse(bytes, &Bounds::STANDARD);
    // Narrower bounds refuse, and change nothing else.
    match parse(bytes, &SMALL) {
        Err(PropertyListError::TooLarge(_)) => {}
        small => assert_eq!(small.as_ref().map(text), standard.as_ref().map(text)),
    }
    // An exact reading refuses, and changes nothing else.
    let Ok(exact) = parse_exact(bytes, &Bounds::STANDARD) else {
        return;
    };
    assert_eq!(standard.as_ref().map(text), Ok(text(&exact)));
    if let Ok(theirs) = Theirs::from_reader(Cursor::new(bytes)) {
        assert!(agree(&exact, &theirs), "{exact:?} {theirs:?}");
    }
});

/// A value as text: a number that is none is not equal to itself.
fn text(value: &Value) -> String {
    format!("{value:?}")
}

/// True when the crate's value is ours. It keeps no order of numbers that are none, and its dates
/// are not held against ours: they have other bounds.
fn agree(ours: &Value, theirs: &Theirs) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Theirs::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| agree(a, b))
        }
        (Value::Dictionary(ours), Theirs::Dictionary(theirs)) => {
            ours.len() == theirs.len()
                && theirs
                    .iter()
                    .all(|(key, theirs)| ours.get(key).is_some_and(|ours| agree(ours, theirs)))
        }
        (Value::Boolean(a), Theirs::Boolean(b)) => a == b,
        (Value::Data(a), Theirs::Data(b)) => a == b,
        (Value::Date(_), Theirs::Date(_)) => true,
        (Value::Integer(a), Theirs::Integer(b)) => {
            b.as_signed()
                .map(i128::from)
                .or(b.as_unsigned().map(i128::from))
                == Some(*a)
        }
        (Value::Real(a), Theirs::Real(b)) => a == b || a.is_nan() && b.is_nan(),
        (Value::String(a), Theirs::String(b)) => a.as_str() == b,
        (Value::Uid(a), Theirs::Uid(b)) => u64::from(*a) == b.get(),
        _ => false,
    }
}
