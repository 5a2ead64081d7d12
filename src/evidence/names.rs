//! Other names of code. By each that it has as a hard link the system may tell dyld where a file stands that it has open, and
//! so where `@loader_path` leads (`F_GETPATH`, by `fixhardlink` of xnu's `bsd/vfs/vfs_cache.c`: read, not seen). Beside a link
//! that leads to it dyld looks before macOS 12, where no closure is built for the program (`loadPhase3` of src/dyld2.cpp,
//! dyld-852.2, read: it goes by the path that was asked for, and only then by the real one).

use std::collections::BTreeMap;

use super::entry::{Content, Entry};
use super::facts::Evidence;
use super::paths::join;
use crate::codesign::CodeFacts;
use crate::meta::FileId;
use crate::root::Root;

/// Links of one bundle of which it is asked where they lead.
const MOST_LINKS: usize = 256;

/// True for code that names libraries, or run paths, beside itself.
pub fn are_beside(facts: &CodeFacts) -> bool {
    beside(facts).next().is_some()
}

/// What code names beside itself.
fn beside(facts: &CodeFacts) -> impl Iterator<Item = &str> {
    let slices = facts.slices.iter();
    let texts = slices.flat_map(|slice| slice.rpaths.iter().chain(slice.dylibs.iter()));
    texts.filter_map(|text| text.strip_prefix("@loader_path"))
}

/// The paths of code below a directory to which a link in it leads, from where what that names beside itself is outside of
/// the directory.
pub fn behind_links(root: &Root, above: &[u8], entries: &[Entry]) -> Vec<Vec<u8>> {
    let code = entries.iter().filter_map(|entry| {
        let ups = beside(entry.content.code()?).map(ups).max()?;
        (ups > 0).then_some((entry, ups))
    });
    let code: Vec<(&Entry, usize)> = code.collect();
    let most = code.iter().map(|(_, ups)| *ups).max().unwrap_or_default();
    let is_near = |link: &&Entry| link.link.is_some() && depth(&link.path) < most;
    let links: Vec<&Entry> = entries.iter().filter(is_near).collect();
    let path = |entry: &Entry| join(above, &entry.path);
    if links.len() > MOST_LINKS {
        return code.iter().map(|(entry, _)| path(entry)).collect();
    }
    let behind = links.into_iter().filter_map(|link| {
        let at = path(link);
        let found = root.find(&at).ok()?;
        let real = found.path();
        let mut code = code.iter().filter(|(_, ups)| *ups > depth(&link.path));
        code.any(|(entry, _)| path(entry) == real && root.links_elsewhere(&at, &found))
            .then_some(real)
    });
    behind.collect()
}

/// How many directories above where it begins a text leads, at most.
fn ups(text: &str) -> usize {
    let (mut depth, mut lowest) = (0_isize, 0_isize);
    for name in text.split('/') {
        depth = match name {
            "" | "." => depth,
            ".." => depth.saturating_sub(1),
            _ => depth.saturating_add(1),
        };
        lowest = lowest.min(depth);
    }
    lowest.unsigned_abs()
}

/// How many directories of a path are above what stands there.
fn depth(path: &[u8]) -> usize {
    path.iter().filter(|b| **b == b'/').count()
}

/// The paths of code in a bundle, and of its main executable, that names libraries beside itself and has more names than
/// the bundle holds of it.
pub fn named_outside(evidence: &Evidence) -> Vec<Vec<u8>> {
    let is_beside = |content: &Content| content.code().is_some_and(are_beside);
    let entries = evidence.entries.iter();
    let code = entries.filter(|e| e.meta.names > 1 && is_beside(&e.content));
    let mut held: BTreeMap<FileId, u32> = BTreeMap::new();
    for entry in code.clone() {
        let count = held.entry(entry.meta.id()).or_default();
        *count = count.saturating_add(1);
    }
    let lacks = code.filter(|e| held.get(&e.meta.id()) < Some(&e.meta.names));
    let outside = evidence.executable.iter().filter(|e| e.is_outside());
    let outside = outside.filter(|e| e.meta.names > 1 && is_beside(&e.outside));
    lacks
        .map(|entry| evidence.path_of(entry))
        .chain(outside.map(|executable| executable.path.clone()))
        .collect()
}
