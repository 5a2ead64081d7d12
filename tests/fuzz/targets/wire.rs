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
        // What is passed on is what came, byte for byte.
        assert!(
            bytes
                .windows(message.bytes().len())
                .any(|w| w == message.bytes())
        );
        let mut fields = message.fields();
        while let Ok(Some((of, _))) = fields.field() {
            if fields.skip(of).is_err() {
                break;
            }
        }
    }
});
