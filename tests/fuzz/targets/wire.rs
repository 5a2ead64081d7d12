//! A request, as osquery or whoever may open the socket sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, missing_docs, reason = "only its reader is wanted here")]
#[path = "../../../src/extension/wire.rs"]
mod wire;

/// As much as the socket takes.
const LIMIT: u64 = 4 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(message) = wire::Message::read(&mut rest, LIMIT) {
        // What is kept is what came, byte for byte.
        let taken = &bytes[..bytes.len() - rest.len()];
        assert!(taken.ends_with(message.body()));
        // It was checked whole: each field can be read.
        let mut fields = message.fields();
        while let Some((of, _)) = fields.field().unwrap() {
            fields.skip(of).unwrap();
        }
    }
});
