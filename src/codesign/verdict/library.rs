//! Paths of libraries: which of them the system itself holds.

use crate::firm_links::leads_behind;

/// Where the system's own libraries stand (dyld-1378, `mightBeInSharedCache` of dyld/Loader.cpp).
const SYSTEM: &[&[u8]] = &[
    b"/usr/lib/",
    b"/System/Library/",
    b"/System/iOSSupport/usr/lib/",
    b"/System/iOSSupport/System/Library/",
    b"/System/DriverKit/",
];

/// True for a path, without `.` and `..` in it, of the system's own volume. One in letters beyond ASCII's is none: a
/// Mac's disk takes a long s for an s.
pub fn is_system(path: &[u8]) -> bool {
    path.is_ascii() && SYSTEM.iter().any(|above| path.starts_with(above)) && !leads_behind(path)
}

/// Where of that no link of the system's leads to the data volume, as `/usr/lib/cron` and `/System/Library/User Template`
/// do, but for a framework as a whole.
const PLAIN: &[&[u8]] = &[
    // Not there, on no macOS: what was built to stand beside a program looks there.
    b"/usr/Frameworks/",
    b"/usr/lib/swift/",
    b"/usr/lib/system/",
    b"/System/Library/Frameworks/",
    b"/System/Library/PrivateFrameworks/",
    b"/System/iOSSupport/usr/lib/",
    b"/System/iOSSupport/System/Library/Frameworks/",
    b"/System/iOSSupport/System/Library/PrivateFrameworks/",
    b"/System/DriverKit/",
    UNIX,
];
const UNIX: &[u8] = b"/usr/lib/";

/// True for a path as a load command has it that leads to the system's own volume, unless what stands on the way is a
/// link or another volume.
pub fn is_plainly_system(path: &[u8]) -> bool {
    plain_above(path).is_some()
}

/// For such a path the lengths of two directories above it: of that which holds libraries, and of a framework there.
pub fn plain_above(path: &[u8]) -> Option<[usize; 2]> {
    let above = PLAIN.iter().find(|above| path.starts_with(above))?;
    let rest = path.get(above.len()..)?;
    let mut names = path.split(|b| *b == b'/').skip(1);
    let is_plain = path.is_ascii()
        && (**above != *UNIX || !rest.contains(&b'/'))
        && names.all(|name| !matches!(name, b"" | b"." | b".."));
    let first = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
    let holds = above.len().saturating_sub(1);
    is_plain.then(|| [holds, above.len().saturating_add(first)])
}
