//! A property list, in any of its formats.
#![no_main]

use dsplug::property_list::{Bounds, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse(bytes, &Bounds::STANDARD);
});
