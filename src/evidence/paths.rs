//! Paths of the Mac's as bytes.

/// The directory of what stands at a path.
pub fn directory_of(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b == b'/').unwrap_or_default();
    path.get(..end).unwrap_or_default()
}

/// True when a path is another, or stands below it.
pub fn is_below(path: &[u8], above: &[u8]) -> bool {
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || above == b"/")
}
