//! What a person names: one rule for all commands.
//!
//! People copy what the tables show, which is escaped and names one alone. A name that bears another's escapes as its
//! own signs is a decoy: it comes second.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::failure::Failure;
use crate::root::Root;
use crate::scan::Snapshot;
use crate::text::{escape, unescape};

/// Links of this computer that are followed to see whether a path leads through the root.
const MOST_LINKS: usize = 32;

/// What a path or a name may mean, in the order in which it counts: what is shown so, then what is called so.
pub fn spellings(given: &[u8]) -> Vec<Vec<u8>> {
    let shown = unescape(given).filter(|raw| raw != given);
    shown.into_iter().chain([given.to_vec()]).collect()
}

/// Where on the disk a path may lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// As the Mac names it, in the order in which it counts.
    pub paths: Vec<Vec<u8>>,
    /// True when it was given as a path of this computer, that leads through the directory which plays the `/`.
    pub is_through: bool,
}

impl Ways {
    /// Those of a path: through the root, or as the Mac names it. A link in the last place is what is named.
    pub fn of(path: &Path, root: &Path) -> Self {
        Self::by(path, below(path, root, false))
    }

    /// The same of a path whose last link leads on.
    pub fn following(path: &Path, root: &Path) -> Self {
        Self::by(path, below(path, root, true))
    }

    fn by(path: &Path, through: Option<PathBuf>) -> Self {
        let is_through = through.is_some();
        let path = through.or_else(|| path.is_absolute().then(|| path.to_owned()));
        let plain = path.map(|path| path.components().collect::<PathBuf>());
        let paths = plain.map(|path| spellings(path.as_os_str().as_bytes()));
        Self {
            paths: paths.unwrap_or_default(),
            is_through,
        }
    }
}

/// The path of the disk by where the caller stands, its links followed as on this computer; a link in the last place
/// is what is named.
fn from_here(path: &Path, root: &Path) -> Option<Vec<Vec<u8>>> {
    let above = path.parent().filter(|p| !p.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new(".")).canonicalize().ok()?;
    let above = above.strip_prefix(root.canonicalize().ok()?).ok()?;
    let above = Path::new("/").join(above);
    let names = spellings(path.file_name()?.as_bytes()).into_iter();
    let paths = names.map(|name| above.join(OsStr::from_bytes(&name)));
    Some(
        paths
            .map(|path| path.as_os_str().as_bytes().to_vec())
            .collect(),
    )
}

/// The path below the root, of one that leads through it by whichever names and links of this computer. What stands in
/// the root has no say in that: a link there leads elsewhere than on this computer.
fn below(path: &Path, root: &Path, follow_last: bool) -> Option<PathBuf> {
    let id = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    let root = id(root)?;
    let mut rest = std::path::absolute(path).ok()?;
    let mut at = PathBuf::new();
    let mut links = 0_usize;
    loop {
        if id(&at) == Some(root) && stays_below(&rest) {
            return Some(Path::new("/").join(rest));
        }
        let mut components = rest.components();
        let component = components.next()?;
        let behind = components.as_path().to_owned();
        if component == Component::ParentDir {
            at.pop();
        } else {
            at.push(component);
        }
        let is_followed = follow_last || !behind.as_os_str().is_empty();
        rest = match std::fs::read_link(&at).ok().filter(|_| is_followed) {
            Some(text) => {
                links = links.checked_add(1).filter(|links| *links <= MOST_LINKS)?;
                at.pop();
                text.join(behind)
            }
            None => behind,
        };
    }
}

/// True for a path that leads on from where it begins, and never up out of that.
fn stays_below(path: &Path) -> bool {
    let mut components = path.components();
    let depth = components.try_fold(0_usize, |depth, component| match component {
        Component::ParentDir => depth.checked_sub(1),
        Component::RootDir => None,
        Component::CurDir => Some(depth),
        _ => depth.checked_add(1),
    });
    depth.is_some()
}

/// The candidate at a path, which may be given through the root, or by its name alone where only
/// one bears it. `top` is the directory `root`, opened.
///
/// # Errors
/// When none stands there, or it has no row, and another would stand in for it.
pub fn find<'a>(
    snapshot: &'a Snapshot,
    top: &Root,
    root: &Path,
    path: &Path,
) -> Result<&'a Arc<Bundle>, Failure> {
    let bundles = &snapshot.bundles;
    let by_text = Ways::of(path, root).paths;
    let from_here = from_here(path, root).unwrap_or_default();
    for paths in [by_text, from_here] {
        for (sooner, path) in paths.iter().enumerate() {
            let mut bundles = bundles.iter();
            if let Some(bundle) = bundles.find(|b| b.evidence.candidate.path == *path) {
                let before = paths.iter().take(sooner);
                return stands_alone(path, before, top).map(|()| bundle);
            }
        }
    }
    let paths = bundles.iter().map(|b| b.evidence.candidate.path.as_slice());
    let called = by_name(paths, top, path)?;
    let [at] = called.as_slice() else {
        return Err(match called.as_slice() {
            [] => none(path),
            several => more_than_one(path, several),
        });
    };
    let mut bundles = bundles.iter();
    let bundle = bundles.find(|b| b.evidence.candidate.path == *at);
    bundle.ok_or_else(|| none(path))
}

fn none(path: &Path) -> Failure {
    let shown = path.display();
    Failure::new(format!(
        "no candidate stands at {shown}; dsplug list shows which there are"
    ))
}

/// Says of a name that several candidates bear it.
pub fn more_than_one(name: &Path, paths: &[&[u8]]) -> Failure {
    let paths = paths.iter().map(|path| escape(path));
    let paths = paths.collect::<Vec<_>>().join(", ");
    Failure::new(format!(
        "more than one candidate is called {}; name one of {paths}",
        name.display()
    ))
}

/// Holds a path that somebody has named to what that would have been sooner: whoever has no row there, among too much
/// that stands beside it, has no other take its place.
fn stands_alone<'p>(
    path: &[u8],
    mut before: impl Iterator<Item = &'p Vec<u8>>,
    top: &Root,
) -> Result<(), Failure> {
    match before.find(|path| top.find_entry(path).is_ok()) {
        Some(sooner) => Err(Failure::new(format!(
            "{} stands there and is not among what could be shown; dsplug --thorough list shows all, and {} is named as it is shown here",
            escape(sooner),
            escape(path)
        ))),
        None => Ok(()),
    }
}

/// Those of some candidates' paths that end in a name, which is given without a folder; a few of them where there are
/// many.
///
/// # Errors
/// When another would be meant sooner that is not among them.
pub fn by_name<'p>(
    paths: impl Iterator<Item = &'p [u8]> + Clone,
    top: &Root,
    name: &Path,
) -> Result<Vec<&'p [u8]>, Failure> {
    const MOST: usize = 8;
    let name = name.as_os_str().as_bytes();
    if name.contains(&b'/') {
        return Ok(Vec::new());
    }
    let names = spellings(name);
    for (sooner, name) in names.iter().enumerate() {
        let ends = |path: &&[u8]| path.rsplit(|b| *b == b'/').next() == Some(name);
        let called: Vec<&[u8]> = paths.clone().filter(ends).take(MOST).collect();
        for path in &called {
            let above = path.strip_suffix(name.as_slice()).unwrap_or_default();
            let before: Vec<Vec<u8>> = names
                .iter()
                .take(sooner)
                .map(|name| [above, name].concat())
                .collect();
            stands_alone(path, before.iter(), top)?;
        }
        if !called.is_empty() {
            return Ok(called);
        }
    }
    Ok(Vec::new())
}
