//! Other names of code: by any of them the system may tell dyld where a file stands that it has open, and so where
//! `@loader_path` leads (`F_GETPATH`, by `fixhardlink` of xnu's `bsd/vfs/vfs_cache.c`: read, not seen).

use std::collections::BTreeMap;

use super::entry::Content;
use super::facts::Evidence;
use crate::codesign::CodeFacts;
use crate::meta::FileId;

/// True for code that names libraries, or run paths, beside itself.
pub fn are_beside(facts: &CodeFacts) -> bool {
    facts.slices.iter().any(|slice| {
        let mut texts = slice.rpaths.iter().chain(slice.dylibs.iter());
        texts.any(|text| text.starts_with("@loader_path"))
    })
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
