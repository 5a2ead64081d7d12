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
use crate::meta::{FileId, Kind};

/// So many files of one bundle, its main executable first: thousands of bundles are held, and of one with more code
/// its main executable alone counts.
const MOST: usize = 16;

/// One Mach-O file, or one that could not be read, as while somebody writes to it.
#[derive(Debug, PartialEq, Eq)]
struct File {
    sha256: Option<[u8; 32]>,
    id: FileId,
    is_main: bool,
    /// True when a part of it is not there.
    is_cut: bool,
}

/// Those of one bundle, and of its main executable where that stands outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code(Arc<[File]>);

impl Code {
    /// That of a bundle.
    pub fn of(bundle: &Bundle) -> Self {
        let evidence = &bundle.evidence;
        let executable = evidence.executable.as_ref();
        let outside = executable.filter(|e| e.is_outside());
        let outside = outside.map(|e| file(&e.outside, e.meta.id(), true));
        let relative = executable.and_then(|e| e.relative.as_deref());
        let main = relative.and_then(|path| evidence.entry(path));
        let files = evidence
            .entries
            .iter()
            .filter(|e| e.meta.kind == Kind::File);
        let main = main.map(|entry| file(&entry.content, entry.meta.id(), true));
        let others = files.map(|entry| file(&entry.content, entry.meta.id(), false));
        let all = outside.into_iter().chain(main).chain(others).flatten();
        Self(all.take(MOST).collect())
    }

    /// True when it holds a file that is in none of `others`, and not merely a part of one that somebody goes on
    /// writing to in `next`.
    pub fn is_lost<'a>(&self, next: &Self, mut others: impl Iterator<Item = &'a Self>) -> bool {
        let is_lost = |file: &&File| file.sha256.is_some() && !file.goes_on(next);
        let mut files: Vec<&File> = self.0.iter().filter(is_lost).collect();
        let mut leave_known = |other: &Self| {
            files.retain(|file| !other.has(file) && (file.is_main || !other.is_full()));
            !files.is_empty()
        };
        leave_known(next) && others.all(leave_known)
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MOST
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

fn file(content: &Content, id: FileId, is_main: bool) -> Option<File> {
    let sha256 = content.sha256().copied();
    let code = content.code();
    (sha256.is_none() || code.is_some()).then(|| File {
        sha256,
        id,
        is_main,
        is_cut: code.is_some_and(CodeFacts::is_cut),
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
