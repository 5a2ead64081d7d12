//! A property list, in any of its formats: what is read is written and read again as the same.
#![no_main]

use std::time::SystemTime;

use dsplug::property_list::{Bounds, PropertyListError, parse};
use libfuzzer_sys::fuzz_target;
use plist::Value;

/// Few, so that an input of few bytes can pass them.
const SMALL: Bounds = Bounds {
    depth: 4,
    events: 64,
    text: 256,
};

fuzz_target!(|bytes: &[u8]| {
    let standard = parse(bytes, &Bounds::STANDARD);
    // Narrower bounds refuse, and change nothing else.
    match parse(bytes, &SMALL) {
        Err(PropertyListError::TooLarge(_)) => {}
        small => assert_eq!(small.as_ref().map(text), standard.as_ref().map(text)),
    }
    let Ok(value) = standard else { return };
    let mut written = Vec::new();
    if value.to_writer_binary(&mut written).is_ok() {
        let again = parse(&written, &Bounds::STANDARD).unwrap();
        assert_eq!(text(&again), text(&value));
    }
});

/// A value as text: a number that is none is not equal to itself. A date is written as a time,
/// because the crate panics where it writes one before the year 0.
fn text(value: &Value) -> String {
    match value {
        Value::Date(date) => format!("{:?}", SystemTime::from(*date)),
        Value::Array(values) => format!("[{}]", values.iter().map(text).collect::<String>()),
        Value::Dictionary(values) => {
            let pairs = values
                .iter()
                .map(|(key, value)| format!("{key:?}{}", text(value)));
            format!("{{{}}}", pairs.collect::<String>())
        }
        value => format!("{value:?}"),
    }
}
