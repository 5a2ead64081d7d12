//! A rule's regular expression: it matches what the C library's `regcomp` says it matches.
#![no_main]

use std::ffi::CString;
use std::mem::MaybeUninit;

use dsplug::codesign::bundle::ere;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (expression, path) = match bytes.iter().position(|b| *b == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, b"Resources/de.lproj/locversion.plist".as_slice()),
    };
    let Ok(expression) = std::str::from_utf8(expression) else {
        return;
    };
    let Ok(compiled) = ere::compile(expression) else {
        return;
    };
    let path = &path[..path.len().min(64)];
    let Ok(ours) = compiled.is_match(path) else {
        return;
    };
    if !is_small(expression) || is_beyond_glibc(expression, path) {
        return;
    }
    // A NUL ends what the C library sees.
    if let (Ok(expression), Ok(path)) = (CString::new(expression), CString::new(path)) {
        assert_eq!(
            Some(ours),
            theirs(&expression, &path),
            "{expression:?} on {path:?}"
        );
    }
});

/// Whether the C library may be asked, whose time and memory have no bound: a short expression that
/// repeats little, and no number of two digits.
fn is_small(expression: &str) -> bool {
    let repeats = expression.matches(['{', '*', '+', '?']).count();
    let mut pairs = expression.as_bytes().windows(2);
    expression.len() <= 48
        && repeats <= 3
        && expression.matches('{').count() <= 1
        && !pairs.any(|two| two.iter().all(u8::is_ascii_digit))
}

/// Whether glibc is known to find an anchor where POSIX has none: it finds `(A|.$){3}` in any text,
/// and `.^` behind a line's end, which is a byte like any other without `REG_NEWLINE`.
fn is_beyond_glibc(expression: &str, path: &[u8]) -> bool {
    expression.contains(['^', '$']) && (expression.contains('{') || path.contains(&b'\n'))
}

/// Whether `regexec` finds it, as `ResourceBuilder::Rule` asks; none when `regcomp` refuses it.
fn theirs(expression: &CString, path: &CString) -> Option<bool> {
    let mut regex = MaybeUninit::uninit();
    // SAFETY: both texts end in a NUL, and `regex` is used and freed only where it was compiled.
    unsafe {
        let flags = libc::REG_EXTENDED | libc::REG_NOSUB;
        if libc::regcomp(regex.as_mut_ptr(), expression.as_ptr(), flags) != 0 {
            return None;
        }
        let found = libc::regexec(regex.as_ptr(), path.as_ptr(), 0, std::ptr::null_mut(), 0);
        libc::regfree(regex.as_mut_ptr());
        Some(found == 0)
    }
}
