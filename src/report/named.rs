//! The candidate that a person names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::failure::Failure;
use crate::scan::Snapshot;
use crate::text::escape;

/// The candidate at a path, which may be given through the root, or by its name alone where only
/// one bears it.
///
/// # Errors
/// When none stands there.
pub fn find<'a>(
    snapshot: &'a Snapshot,
    root: &Path,
    path: &Path,
) -> Result<&'a Arc<Bundle>, Failure> {
    let named = |path: &Path| {
        use std::os::unix::ffi::OsStrExt as _;
        let wanted = path.components().collect::<PathBuf>();
        let wanted = wanted.as_os_str().as_bytes();
        let stands = |is: &dyn Fn(&[u8]) -> bool| {
            let mut bundles = snapshot.bundles.iter();
            bundles.find(|b| is(&b.evidence.candidate.path))
        };
        // People copy what the tables show, which is escaped and names one alone. A name that bears
        // another's escapes as its own signs is a decoy: it comes second.
        stands(&|path| escape(path).as_bytes() == wanted).or_else(|| stands(&|path| path == wanted))
    };
    let below = |path: &Path, root: &Path| {
        let below = path.strip_prefix(root).ok();
        below.map(|below| Path::new("/").join(below))
    };
    // From where the caller stands; a link in the last place is the candidate.
    let from_here = || {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
        below(&parent.join(path.file_name()?), &root.canonicalize().ok()?)
    };
    let found = named(path)
        .or_else(|| below(path, root).as_deref().and_then(named))
        .or_else(|| from_here().as_deref().and_then(named));
    if let Some(bundle) = found {
        return Ok(bundle);
    }
    let shown = path.display();
    match by_name(snapshot, path).as_slice() {
        [bundle] => Ok(bundle),
        [] => Err(Failure::new(format!(
            "no candidate stands at {shown}; dsplug list shows which there are"
        ))),
        several => {
            let paths = several.iter().map(|b| escape(&b.evidence.candidate.path));
            let paths = paths.collect::<Vec<_>>().join(", ");
            Err(Failure::new(format!(
                "more than one candidate is called {shown}; name one of {paths}"
            )))
        }
    }
}

/// The candidates of that name, given without a folder; a few of them where there are many.
fn by_name<'a>(snapshot: &'a Snapshot, name: &Path) -> Vec<&'a Arc<Bundle>> {
    const MOST: usize = 8;
    let wanted = name.as_os_str().as_encoded_bytes();
    if wanted.contains(&b'/') {
        return Vec::new();
    }
    let called = |is: &dyn Fn(&[u8]) -> bool| {
        let bundles = snapshot.bundles.iter().filter(|bundle| {
            let path = &bundle.evidence.candidate.path;
            is(path.rsplit(|b| *b == b'/').next().unwrap_or_default())
        });
        bundles.take(MOST).collect::<Vec<_>>()
    };
    let shown = called(&|name| escape(name).as_bytes() == wanted);
    if shown.is_empty() {
        return called(&|name| name == wanted);
    }
    shown
}
