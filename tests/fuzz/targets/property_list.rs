//! A property list, in any of its formats: what is read is written and read again as the same.
#![no_main]

use dsplug::property_list::{Bounds, PropertyListError, parse};
use libfuzzer_sys::fuzz_target;

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
        small => assert_eq!(format!("{small:?}"), format!("{standard:?}")),
    }
    let Ok(value) = standard else { return };
    let mut written = Vec::new();
    if value.to_writer_binary(&mut written).is_ok() {
        let again = parse(&written, &Bounds::STANDARD).unwrap();
        // As text: a number that is none is not equal to itself.
        assert_eq!(format!("{again:?}"), format!("{value:?}"));
    }
});
