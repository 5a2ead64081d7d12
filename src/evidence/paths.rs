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

/// Where a bundle is, and where it really stands: a path below either is its own, as its text has it.
#[derive(Clone, Debug, Default)]
pub struct Homes([Vec<u8>; 2]);

impl Homes {
    /// Those of a bundle.
    pub fn new(candidate: &[u8], resolved: &[u8]) -> Self {
        Self([resolved.to_vec(), candidate.to_vec()])
    }

    /// True for a path of the bundle's own.
    pub fn have(&self, path: &[u8]) -> bool {
        self.below(path).is_some()
    }

    /// True for a path that leaves the bundle at no step, as its text has it.
    pub fn stay(&self, path: &[u8]) -> bool {
        self.below(path).is_some_and(stays_below)
    }

    /// The rest of a path of its own, which begins with a slash or is empty.
    pub fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let mut homes = self.0.iter().filter(|home| is_below(path, home));
        homes.next().and_then(|home| path.get(home.len()..))
    }
}

/// True when a path below a directory leads out of it at no step, as its text has it.
fn stays_below(rest: &[u8]) -> bool {
    let mut depth = Some(0_usize);
    for name in rest.split(|b| *b == b'/') {
        depth = match name {
            b"" | b"." => depth,
            b".." => depth.and_then(|depth| depth.checked_sub(1)),
            _ => depth.and_then(|depth| depth.checked_add(1)),
        };
    }
    depth.is_some()
}

/// A path below a directory, of which an empty one is the beginning.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match (directory, name) {
        (b"", _) => name.to_vec(),
        (_, b"") => directory.to_vec(),
        _ => [directory, b"/", name].concat(),
    }
}
