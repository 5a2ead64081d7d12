//! A pack that a person names, and a query's header.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let _ = dsplug::pack::conf::read("fuzz", &text);
    if let Ok(query) = dsplug::pack::header::parse("presence", &text) {
        let written = dsplug::pack::conf::write(&[query]);
        dsplug::pack::conf::read("fuzz", &written).unwrap();
    }
});
