//! The code of a bundle: its main executable, and the Mach-O files that no seal leads to.

use std::collections::HashMap;

use super::judge::{Judge, Outcome, standalone};
use super::layout::Layout;
use super::signature::Sealed;
use super::slots;
use super::view::{BundleEntry, EntryKind, MainExecutable, split_name};
use crate::codesign::verdict::{
    CodeFacts, Findings, Place, Problem, ProblemCode, SignatureState, slot,
};
use crate::name;

impl<'v> Judge<'_, 'v> {
    /// The facts of the main executable, with the Info.plist and the seal compared with what its
    /// code directories bind.
    pub fn main_code(&self, layout: &Layout<'v>) -> Option<(usize, CodeFacts)> {
        let MainExecutable::Inside(path) = layout.executable else {
            return None;
        };
        let (index, entry) = self.view.find(path)?;
        let mut code = entry.code?.clone();
        for slot in [slot::INFO_PLIST, slot::RESOURCE_DIRECTORY] {
            slots::compare(self.view, layout, slot, &mut code);
        }
        Some((index, code))
    }

    /// A bundle whose main executable is no Mach-O file that could be read.
    pub fn without_code(&mut self, layout: &Layout<'v>) -> Outcome {
        let mut findings = Findings::default();
        // Code that was not read may bear any signature, or none.
        let is_unread = match layout.executable {
            MainExecutable::Unread => true,
            MainExecutable::Missing => !self.view.complete,
            MainExecutable::Inside(path) => {
                let entry = self.view.find(path);
                entry.is_none_or(|(_, entry)| entry.sha256.is_none())
            }
            MainExecutable::Irregular => false,
        };
        if is_unread {
            findings.problem(Problem::unreadable(
                ProblemCode::Unreadable,
                Place::Whole,
                "the main executable could not be read",
            ));
            return Outcome {
                state: SignatureState::Unreadable,
                code: None,
                findings,
            };
        }
        let sealed = self.view.find(&slots::seal_path(layout)).is_some();
        let detached = self.has_detached(layout, &mut findings);
        let state = match (detached, layout.executable) {
            (true, _) => SignatureState::Broken,
            (false, MainExecutable::Irregular) if sealed => {
                findings.broken(
                    ProblemCode::MainExecutable,
                    &layout.root,
                    "there is a seal, and the main executable is no regular file inside the bundle",
                );
                SignatureState::Broken
            }
            (false, MainExecutable::Missing) if sealed => {
                findings.broken(
                    ProblemCode::MainExecutable,
                    &layout.root,
                    "there is a seal, and the main executable is missing",
                );
                SignatureState::Broken
            }
            (false, _) => {
                self.note_loose_seal(layout, &mut findings);
                SignatureState::Unsigned
            }
        };
        if state == SignatureState::Unsigned {
            self.mark_below(&layout.root, Sealed::Unsealed);
        }
        Outcome {
            state,
            code: None,
            findings,
        }
    }

    /// True, and said, when the signature stands in files of its own: beside code that carries
    /// none, Apple reads these, and what they say is not verified here. Letter case does not count, as
    /// on a Mac's disk it does not, and a link in their folder's place leads Apple to others.
    ///
    /// Source: `BundleDiskRep::component` and `BundleDiskRep::metaPath`, `bundlediskrep.cpp`, and the names of
    /// `CodeDirectory::canonicalSlotName`, `codedirectory.cpp` of Apple.
    pub fn has_detached(&self, layout: &Layout<'v>, findings: &mut Findings) -> bool {
        let range = self.view.below(&layout.base);
        let entries = self.view.entries.get(range).unwrap_or_default();
        let mut detached = entries.iter().filter(|e| {
            let inner = e.path.get(layout.base.len()..).unwrap_or_default();
            let inner = inner.strip_prefix(b"/").unwrap_or(inner);
            let mut parts = inner.splitn(2, |b| *b == b'/');
            let folder = parts.next().unwrap_or_default();
            name::same(folder, b"_CodeSignature")
                && match parts.next() {
                    Some(path) => is_part_of_signature(split_name(path).1, e),
                    None => e.kind == EntryKind::Symlink,
                }
        });
        let Some(entry) = detached.next() else {
            return false;
        };
        findings.broken(
            ProblemCode::MainExecutable,
            entry.path,
            "the signature stands in files of its own, beside code that carries none: such a \
             signature is not accepted",
        );
        true
    }

    pub fn note_loose_seal(&self, layout: &Layout<'v>, findings: &mut Findings) {
        let path = slots::seal_path(layout);
        if self.view.find(&path).is_some() {
            findings.note(
                &path,
                "a list of sealed resources, and the main executable is unsigned",
            );
        }
    }

    /// Judges the Mach-O files that no seal led to: as the main executable of a bundle around
    /// them, or on their own.
    pub fn remaining_code(&mut self) {
        // Each directory's Info.plist is parsed once, whatever number of files ask for it.
        let mut layouts = HashMap::new();
        for (index, entry) in self.view.entries.iter().enumerate() {
            let (Some(facts), Some(None)) = (entry.code, self.code.get(index)) else {
                continue;
            };
            let for_a_bundle = facts
                .slices
                .iter()
                .any(|s| s.binds(slot::RESOURCE_DIRECTORY) || s.binds(slot::INFO_PLIST));
            // Whatever number of directories has a list beside code.
            if for_a_bundle && self.is_over() {
                return;
            }
            let code = for_a_bundle
                .then(|| self.as_main_executable(entry.path, &mut layouts))
                .flatten()
                .unwrap_or_else(|| standalone(facts));
            self.keep_code(index, &code);
        }
    }

    /// The facts of a file that is the main executable of a bundle at most three folders up.
    fn as_main_executable<'p>(
        &self,
        path: &'p [u8],
        layouts: &mut HashMap<&'p [u8], Layout<'v>>,
    ) -> Option<CodeFacts> {
        let mut directory = path;
        for _ in 0..3 {
            directory = split_name(directory).0;
            let layout = layouts.entry(directory).or_insert_with(|| {
                if directory.is_empty() {
                    Layout::of_view(self.view)
                } else {
                    Layout::of_directory(self.view, directory)
                }
            });
            if layout.executable == MainExecutable::Inside(path) {
                return self.main_code(layout).map(|(_, code)| code);
            }
            if directory.is_empty() {
                return None;
            }
        }
        None
    }
}

/// True for what Apple reads as a part of a signature where the code carries none.
fn is_part_of_signature(name: &[u8], entry: &BundleEntry<'_>) -> bool {
    let name = name::folded(name);
    let is_named = name.starts_with(b"code") && *name != *b"coderesources"
        || name.starts_with(b"launchconstraint")
        || *name == *b"libraryconstraint";
    // Signing ad hoc leaves it behind, empty.
    let is_left_behind =
        *name == *b"codesignature" && entry.kind == EntryKind::File && entry.size == 0;
    is_named && entry.kind != EntryKind::Directory && !is_left_behind
}
