//! One bundle, part by part: its code, what stands around what is sealed, the signature's own folder, the
//! seal, and the bundles in it.

use super::judge::{Judge, Outcome};
use super::layout::{Layout, executable_name, info_dictionary};
use super::seal::Seal;
use super::signature::Sealed;
use super::slots;
use super::view::{BundleEntry, EntryKind, MAX_SEAL_BYTES, MainExecutable, join, split_name};
use crate::codesign::verdict::{
    CodeFacts, Findings, Place, Problem, ProblemCode, SignatureState, SliceFacts, slot, weakest,
};

impl<'v> Judge<'_, 'v> {
    /// Judges one bundle and everything in it.
    pub fn bundle(&mut self, layout: &Layout<'v>, depth: u32) -> Outcome {
        let mut findings = Findings::default();
        let Some((index, code)) = self.main_code(layout) else {
            return self.without_code(layout);
        };
        code.all_problems()
            .for_each(|p| findings.problem(p.clone()));
        findings.notes.extend(
            code.notes
                .iter()
                .chain(code.slices.iter().flat_map(|s| &s.notes))
                .cloned(),
        );
        if code.slices.iter().all(|s| s.directories.is_empty()) {
            let mut state = code.state();
            if state == SignatureState::Unsigned {
                self.mark_below(&layout.root, Sealed::Unsealed);
                if self.has_detached(layout, &mut findings) {
                    state = SignatureState::Broken;
                } else {
                    self.note_loose_seal(layout, &mut findings);
                }
            }
            self.keep_code(index, &code);
            return Outcome {
                state,
                code: Some(code),
                findings,
            };
        }
        let code_state = code.state();
        self.mark(
            index,
            match code_state {
                SignatureState::Unreadable => Sealed::Unknown,
                state if state.holds() => Sealed::Sealed,
                _ => Sealed::Altered,
            },
        );
        self.layout(layout, &mut findings);
        self.info_plist(layout, &code, &mut findings);
        self.signature_folder(layout, &code, &mut findings);
        if depth == 0 && !self.view.complete {
            findings.problem(Problem::unreadable(
                ProblemCode::Unreadable,
                Place::Whole,
                "not all of the bundle could be listed",
            ));
        }
        if let Some((seal, bound)) = self.seal(layout, &code, &mut findings) {
            self.resources(layout, &code, seal, bound, depth, &mut findings);
        }
        for version in layout.other_versions(self.view) {
            self.other_version(&version, &code, depth, &mut findings);
        }
        let state = weakest(code_state, &findings.problems);
        self.keep_code(index, &code);
        Outcome {
            state,
            code: Some(code),
            findings,
        }
    }

    /// What stands around the sealed folder, and the bundle's own attributes.
    fn layout(&mut self, layout: &Layout<'v>, findings: &mut Findings) {
        for stray in layout.check(self.view) {
            let entry = self.view.entries.get(stray.index);
            if entry.is_some_and(|e| e.kind == EntryKind::Symlink && e.target.is_none()) {
                let why = "a symlink that could not be read";
                findings.unreadable(ProblemCode::Unreadable, &stray.path, why);
                continue;
            }
            let below = self.view.below(&stray.path);
            self.mark(stray.index, Sealed::Unsealed);
            self.mark_range(below, Sealed::Unsealed);
            findings.broken(stray.code, &stray.path, stray.why);
        }
        if layout.base != layout.root {
            self.exclude_unknown_around(layout);
        }
        if layout.resource_fork || layout.finder_info {
            findings.broken(
                ProblemCode::ExtendedAttribute,
                &layout.root,
                "the bundle carries a resource fork or Finder information",
            );
        }
        if let MainExecutable::Inside(path) = layout.executable
            && let Some((_, entry)) = self.view.find(path)
        {
            self.attributes(entry, findings);
        }
    }

    /// What is allowed to stand beside the sealed folder is left out by the seal. Code there is of a version that is
    /// judged by itself: should that not come to pass, it stays unknown.
    fn exclude_unknown_around(&mut self, layout: &Layout<'v>) {
        let inside = self.view.below(&layout.base);
        for index in self.view.below(&layout.root) {
            let is_code = |entry: &BundleEntry<'_>| entry.code.is_some();
            if inside.contains(&index) || self.view.entries.get(index).is_some_and(is_code) {
                continue;
            }
            if let Some(word @ Sealed::Unknown) = self.words.get_mut(index) {
                *word = Sealed::Excluded;
            }
        }
    }

    /// The attributes that signed code must not carry.
    pub fn attributes(&self, entry: &BundleEntry<'_>, findings: &mut Findings) {
        let which = match (entry.resource_fork, entry.finder_info) {
            (false, false) => return,
            (true, _) => "carries a resource fork",
            (false, true) => "carries Finder information",
        };
        findings.broken(ProblemCode::ExtendedAttribute, entry.path, which);
    }

    /// The word for the Info.plist, and the executable's name in it.
    fn info_plist(&mut self, layout: &Layout<'v>, code: &CodeFacts, findings: &mut Findings) {
        let Some((path, (index, entry))) = layout
            .info_plist
            .as_deref()
            .and_then(|path| Some((path, self.view.find(path)?)))
        else {
            return;
        };
        let word = slots::word(code, path, slot::INFO_PLIST);
        self.mark(index, word);
        let info = entry.bytes.and_then(info_dictionary);
        if let Some(name) = info.as_ref().and_then(executable_name)
            && name.contains('/')
        {
            findings.broken(
                ProblemCode::MainExecutable,
                path,
                "CFBundleExecutable is not a plain name",
            );
        }
    }

    /// The folder `_CodeSignature`, which holds only what is in use.
    ///
    /// Source: `BundleDiskRep::validateMetaDirectory`, `bundlediskrep.cpp` of Apple.
    fn signature_folder(&mut self, layout: &Layout<'v>, code: &CodeFacts, findings: &mut Findings) {
        let folder = join(&layout.base, b"_CodeSignature");
        if let Some((index, entry)) = self.view.find(&folder)
            && entry.kind != EntryKind::Directory
        {
            self.mark(index, Sealed::Unsealed);
            findings.broken(ProblemCode::BundleLayout, &folder, "is no directory");
        }
        let range = self.view.below(&folder);
        for (index, entry) in range
            .clone()
            .zip(self.view.entries.get(range).unwrap_or_default())
        {
            let name = entry
                .path
                .get(folder.len().saturating_add(1)..)
                .unwrap_or_default();
            let word = match (entry.kind, name) {
                (EntryKind::File, b"CodeResources") => {
                    slots::word(code, entry.path, slot::RESOURCE_DIRECTORY)
                }
                // Signing ad hoc leaves it behind, empty.
                (EntryKind::File, b"CodeSignature") if entry.size == 0 => Sealed::Excluded,
                _ => {
                    let code = if split_name(name).1.starts_with(b"._") {
                        ProblemCode::AppleDouble
                    } else {
                        ProblemCode::BundleLayout
                    };
                    findings.broken(code, entry.path, "is no part of the signature");
                    Sealed::Unsealed
                }
            };
            self.mark(index, word);
        }
    }

    /// The seal, and whether the signature binds it.
    fn seal(
        &mut self,
        layout: &Layout<'v>,
        code: &CodeFacts,
        findings: &mut Findings,
    ) -> Option<(Seal, bool)> {
        let path = slots::seal_path(layout);
        let (_, entry) = self.view.find(&path)?;
        if self.is_late(&layout.base, findings) {
            return None;
        }
        let bytes = entry.bytes.filter(|_| entry.kind == EntryKind::File)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self.seal_bytes_left.checked_sub(length) {
            Some(left) if length <= MAX_SEAL_BYTES => self.seal_bytes_left = left,
            _ => {
                findings.unreadable(
                    ProblemCode::Limit,
                    &path,
                    "the seals are too large to judge",
                );
                return None;
            }
        }
        let (seal, faults) = Seal::parse(
            bytes,
            layout.resources,
            self.limits.rules,
            &mut self.compiled,
        );
        for fault in faults {
            let mut problem = Problem::broken(fault.code, Place::Path(path.clone()), fault.detail);
            problem.weakens_to = fault.weakens_to;
            findings.problem(problem);
        }
        let bound = code
            .all_problems()
            .all(|p| p.code != ProblemCode::ResourceDirectory);
        Some((seal?, bound))
    }

    /// A version of a framework beside the current one: Apple has it verified too, and held to the
    /// same requirement (`SecStaticCode::validateOtherVersions`). Here: by the same signer
    /// and with the same identifier, as that requirement has it unless `codesign` was told otherwise.
    fn other_version(
        &mut self,
        path: &[u8],
        current: &CodeFacts,
        depth: u32,
        findings: &mut Findings,
    ) {
        let outcome = self.nested_bundle(path, depth);
        let slices = outcome.code.iter().flat_map(|other| &other.slices);
        let is_same = |other: &SliceFacts| current.slices.iter().any(|s| s.is_of_the_same(other));
        let same = outcome.state == SignatureState::Signed
            && current.state() == SignatureState::Signed
            && slices.into_iter().all(is_same);
        findings.nested(path, outcome.findings);
        if !same {
            findings.broken(
                ProblemCode::NestedCode,
                path,
                format!(
                    "is another version, is {}, and is not by the same signer with the same identifier",
                    outcome.state
                ),
            );
        }
    }

    /// Judges the bundle in a directory of this one.
    pub fn nested_bundle(&mut self, path: &[u8], depth: u32) -> Outcome {
        let depth = depth.saturating_add(1);
        if depth > self.limits.depth {
            let mut findings = Findings::default();
            findings.unreadable(ProblemCode::Limit, path, "bundles are nested too deep");
            return Outcome {
                state: SignatureState::Unreadable,
                code: None,
                findings,
            };
        }
        let layout = Layout::of_directory(self.view, path);
        let outcome = self.bundle(&layout, depth);
        if self.view.complete || outcome.state.holds() {
            return outcome;
        }
        // What is missing here may be what could not be listed.
        self.mark_below(path, Sealed::Unknown);
        let mut findings = Findings::default();
        findings.unreadable(
            ProblemCode::Unreadable,
            path,
            "a nested bundle that does not hold, as far as it could be listed",
        );
        Outcome {
            state: SignatureState::Unreadable,
            code: outcome.code,
            findings,
        }
    }
}
