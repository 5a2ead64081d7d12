//! The cryptographic signature, its certificates and its timestamp, in a file that is whole.
#![no_main]

use std::sync::LazyLock;

use dsplug::codesign::Roots;
use dsplug_fuzz::{Frame, check, roots};
use libfuzzer_sys::fuzz_target;

static ROOTS: LazyLock<Roots> = LazyLock::new(roots);

thread_local! {
    static FRAME: Frame = Frame::new();
}

fuzz_target!(|cms: &[u8]| {
    let Some(file) = FRAME.with(|frame| frame.with_cms(cms)) else {
        return;
    };
    let facts = check(&file, file.len(), &ROOTS);
    assert_eq!(facts.slices.len(), 1);
});
