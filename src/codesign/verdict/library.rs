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

/// True for a path, without `.` and `..` in it, of the system's own volume.
pub fn is_system(path: &[u8]) -> bool {
    let is_below = |all: &[&[u8]]| all.iter().any(|above| path.starts_with(above));
    is_below(SYSTEM) && !is_below(WRITABLE)
}

/// True for a path as a load command has it that leads to the system's own volume, whatever links there are.
pub(in crate::codesign) fn is_plainly_system(path: &str) -> bool {
    let mut names = path.as_bytes().split(|b| *b == b'/').skip(1);
    is_system(path.as_bytes()) && names.all(|name| !matches!(name, b"" | b"." | b".."))
}
