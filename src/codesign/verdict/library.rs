//! Paths of libraries: which of them the system itself holds.

/// Where the system's own libraries stand (dyld-1378, `mightBeInSharedCache` of dyld/Loader.cpp).
const SYSTEM: &[&[u8]] = &[
    b"/usr/lib/",
    b"/System/Library/",
    b"/System/iOSSupport/usr/lib/",
    b"/System/iOSSupport/System/Library/",
    b"/System/DriverKit/",
];

/// What of it stands on the data volume, where root writes (`/usr/share/firmlinks` of macOS 13).
const WRITABLE: &[&[u8]] = &[
    b"/System/Library/Assets",
    b"/System/Library/Caches/",
    b"/System/Library/CoreServices/CoreTypes.bundle/Contents/Library/",
    b"/System/Library/PreinstalledAssets",
    b"/System/Library/Speech/",
];

/// True for a path, without `.` and `..` in it, of the system's own volume. One in letters beyond ASCII's is none: a
/// Mac's disk takes a long s for an s.
pub fn is_system(path: &[u8]) -> bool {
    path.is_ascii()
        && SYSTEM.iter().any(|above| path.starts_with(above))
        && !is_below_any(path, WRITABLE)
}

/// True for a path in ASCII's letters below one of these, or that of the directory itself, in whatever letter case: a
/// Mac's disk does not tell it apart, and what root writes has all its names.
pub fn is_below_any(path: &[u8], all: &[&[u8]]) -> bool {
    all.iter().any(|above| {
        let dir = above.strip_suffix(b"/").unwrap_or(above);
        let head = path.get(..above.len());
        path.eq_ignore_ascii_case(dir) || head.is_some_and(|head| head.eq_ignore_ascii_case(above))
    })
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
