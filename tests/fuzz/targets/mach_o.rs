//! A Mach-O file and its signature: what is found does not depend on how the bytes come.
#![no_main]

use std::sync::LazyLock;

use dsplug::codesign::Roots;
use dsplug_fuzz::{check, roots};
use libfuzzer_sys::fuzz_target;

static ROOTS: LazyLock<Roots> = LazyLock::new(roots);

fuzz_target!(|file: &[u8]| {
    let whole = check(file, file.len().max(1), &ROOTS);
    assert_eq!(whole, check(file, 1021, &ROOTS));
    let mut alone = whole.clone();
    alone.judge_standalone();
    for slice in &alone.slices {
        let _ = (slice.cdhash(), slice.state());
    }
});
