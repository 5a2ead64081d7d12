//! The code that a bundle holds, file by file: by it code that stood for a moment is told from a file that was still
//! being written.
//!
//! Whoever copies a bundle leaves a part of a file at each look, and goes on writing to that very file. A Mach-O file
//! that is there to its end is none, and neither is one that another took the place of.

use std::sync::Arc;

use crate::bundle::Bundle;
use crate::codesign::CodeFacts;
use crate::event::State;
use crate::evidence::Content;
use crate::meta::FileId;

/// So many files of one bundle, its main executable first: thousands of bundles are held, and whoever fills one
/// with code has the rest told once it stood.
const MOST: usize = 16;

/// One Mach-O file.
#[derive(Debug)]
struct File {
    sha256: [u8; 32],
    id: FileId,
    /// True when a part of it is not there.
    is_cut: bool,
}

/// Those of one bundle, and of its main executable where that stands outside.
#[derive(Clone, Debug, Default)]
pub struct Code(Arc<[File]>);

impl Code {
    /// That of a bundle.
    pub fn of(bundle: &Bundle) -> Self {
        let evidence = &bundle.evidence;
        let executable = evidence.executable.as_ref();
        let outside = executable.map(|e| (&e.outside, e.meta.id()));
        let relative = executable.and_then(|e| e.relative.as_deref());
        let main = relative.and_then(|path| evidence.entry(path));
        let others = evidence.entries.iter();
        let entries = main.into_iter().chain(others);
        let all = entries.map(|entry| (&entry.content, entry.meta.id()));
        let files = outside.into_iter().chain(all).filter_map(file);
        Self(files.take(MOST).collect())
    }

    /// True when it holds a file that is in none of `others`, and not merely a part of one that somebody goes on
    /// writing to in `next`.
    pub fn is_lost<'a>(&self, next: &Self, mut others: impl Iterator<Item = &'a Self>) -> bool {
        let mut files: Vec<&File> = self.0.iter().filter(|file| !file.goes_on(next)).collect();
        others.all(|other| {
            files.retain(|file| !other.has(file));
            !files.is_empty()
        }) && !files.is_empty()
    }

    fn has(&self, file: &File) -> bool {
        self.0.iter().any(|own| own.sha256 == file.sha256)
    }
}

impl File {
    /// True when it is in `next` as it is, or is written to there.
    fn goes_on(&self, next: &Code) -> bool {
        let is_part_of = |new: &File| self.is_cut && new.id == self.id;
        next.has(self) || next.0.iter().any(is_part_of)
    }
}

fn file((content, id): (&Content, FileId)) -> Option<File> {
    let (code, sha256) = (content.code()?, content.sha256()?);
    Some(File {
        sha256: *sha256,
        id,
        is_cut: CodeFacts::is_cut(code),
    })
}

/// True when another Info.plist had another file run than before and after.
pub fn ran_another(old: &State, before: &State, after: &State) -> bool {
    let is_other = |than: &State| {
        old.info_plist_hash != than.info_plist_hash && old.executable != than.executable
    };
    !old.info_plist_hash.is_empty()
        && !old.executable_hash.is_empty()
        && is_other(before)
        && is_other(after)
}
