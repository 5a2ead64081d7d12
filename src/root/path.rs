//! The text of a path, taken apart.

/// The path of the directory above, and the name in it, where the path ends in one.
pub fn last_component(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|b| *b == b'/')?;
    let (above, name) = (path.get(..slash)?, path.get(slash.saturating_add(1)..)?);
    (!matches!(name, b"" | b"." | b"..")).then_some((above, name))
}

/// The components of a path, last first, without empty ones and dots.
pub(super) fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/')
        .filter(|c| !c.is_empty() && *c != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

/// True where the kernel takes nothing but a directory for what a path or the text of a link ends in
/// (`NAMEI_TRAILINGSLASH` of xnu's `bsd/vfs/vfs_cache.c`; `lookup` of `vfs_lookup.c` for a dot).
pub(super) fn asks_for_directory(path: &[u8]) -> bool {
    matches!(path.rsplit(|b| *b == b'/').next(), Some(b"" | b"."))
}

/// Bytes of a path beyond its components, each with a slash: slashes that are written twice, and dots.
pub(super) fn beyond_names(path: &[u8]) -> usize {
    let names = path.split(|b| *b == b'/');
    let names = names.filter(|c| !c.is_empty() && *c != b".");
    let bytes = names.map(|name| name.len().saturating_add(1));
    path.len()
        .saturating_sub(bytes.fold(0, usize::saturating_add))
}

/// How many of the components lead up.
pub(super) fn ups(components: &[Vec<u8>]) -> usize {
    components.iter().filter(|c| *c == b"..").count()
}

/// An absolute path with `.` and `..` resolved in the text alone (RFC 3986, section 5.2.4).
pub fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    [b"/", kept.join(b"/".as_slice()).as_slice()].concat()
}
