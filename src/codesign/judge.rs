//! The judgement of one bundle after the other: code, layout, signature folder, and what is nested.

use std::collections::HashMap;
use std::time::Instant;

use super::bundle::{SealLimits, Sealed};
use super::facts::{CodeFacts, Place, Problem, ProblemCode, SignatureState, slot, weakest};
use super::findings::Findings;
use super::layout::{Layout, executable_name, info_dictionary};
use super::rules::Compiled;
use super::seal::Seal;
use super::slots;
use super::view::{
    BundleEntry, BundleView, EntryKind, MAX_SEAL_BYTES, MainExecutable, join, split_name,
};

/// The judgement of a view as it goes on.
pub(super) struct Judge<'j, 'v> {
    pub view: &'j BundleView<'v>,
    pub limits: &'j SealLimits,
    /// What the seals say of each entry.
    pub words: Vec<Sealed>,
    /// The facts of each Mach-O file, once its place is judged.
    pub code: Vec<Option<CodeFacts>>,
    pub compiled: Compiled,
    /// Bytes of paths that may still be matched against rules.
    pub matching_left: u64,
    /// True once the time was spent.
    pub is_cut_off: bool,
    seal_bytes_left: u64,
}

/// What was found about one bundle or one file.
pub(super) struct Outcome {
    pub state: SignatureState,
    /// The facts of its code.
    pub code: Option<CodeFacts>,
    pub findings: Findings,
}

impl<'j, 'v> Judge<'j, 'v> {
    pub fn new(view: &'j BundleView<'v>, limits: &'j SealLimits) -> Self {
        Self {
            view,
            limits,
            words: view
                .entries
                .iter()
                .map(|entry| match entry.kind {
                    EntryKind::Directory => Sealed::Excluded,
                    _ => Sealed::Unknown,
                })
                .collect(),
            code: vec![None; view.entries.len()],
            compiled: Compiled::new(),
            matching_left: limits.matched_bytes,
            is_cut_off: false,
            seal_bytes_left: limits.seal_bytes,
        }
    }

    /// True, and said of the folder, when the time is spent.
    pub fn is_late(&mut self, folder: &[u8], findings: &mut Findings) -> bool {
        let until = self.limits.until;
        if !self.is_cut_off && until.is_none_or(|until| Instant::now() < until) {
            return false;
        }
        self.is_cut_off = true;
        let why = "the time of the scan was spent before all was judged";
        findings.unreadable(ProblemCode::Limit, folder, why);
        true
    }

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

    /// The facts of the main executable, with the Info.plist and the seal compared with what its
    /// code directories bind.
    fn main_code(&self, layout: &Layout<'v>) -> Option<(usize, CodeFacts)> {
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
    fn without_code(&mut self, layout: &Layout<'v>) -> Outcome {
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
    /// none, Apple reads these, and what they say is not verified here.
    ///
    /// Source: `BundleDiskRep::component`, `bundlediskrep.cpp`, and the names of
    /// `CodeDirectory::canonicalSlotName`, `codedirectory.cpp` of Apple.
    fn has_detached(&self, layout: &Layout<'v>, findings: &mut Findings) -> bool {
        let range = self.view.below(&join(&layout.base, b"_CodeSignature"));
        let entries = self.view.entries.get(range).unwrap_or_default();
        let detached = entries.iter().find(|e| {
            let name = split_name(e.path).1;
            e.kind != EntryKind::Directory
                && name != b"CodeResources"
                && (name.starts_with(b"Code")
                    || name.starts_with(b"LaunchConstraint")
                    || name == b"LibraryConstraint")
                // Signing ad hoc leaves it behind, empty.
                && !(name == b"CodeSignature" && e.kind == EntryKind::File && e.size == 0)
        });
        if let Some(entry) = detached {
            findings.broken(
                ProblemCode::MainExecutable,
                entry.path,
                "the signature stands in files of its own, beside code that carries none: such a \
                 signature is not accepted",
            );
        }
        detached.is_some()
    }

    fn note_loose_seal(&self, layout: &Layout<'v>, findings: &mut Findings) {
        let path = slots::seal_path(layout);
        if self.view.find(&path).is_some() {
            findings.note(
                &path,
                "a list of sealed resources, and the main executable is unsigned",
            );
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

    /// What is allowed to stand beside the sealed folder is left out by the seal.
    fn exclude_unknown_around(&mut self, layout: &Layout<'v>) {
        let inside = self.view.below(&layout.base);
        for index in self.view.below(&layout.root) {
            if inside.contains(&index) {
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
    /// same requirement (`SecStaticCode::validateOtherVersions`). Here: by the same signer.
    fn other_version(
        &mut self,
        path: &[u8],
        current: &CodeFacts,
        depth: u32,
        findings: &mut Findings,
    ) {
        let outcome = self.nested_bundle(path, depth);
        let same = outcome.state == SignatureState::Signed
            && current.state() == SignatureState::Signed
            && outcome.code.as_ref().is_some_and(|other| {
                other.authority() == current.authority()
                    && other.team_identifier() == current.team_identifier()
            });
        findings.nested(path, outcome.findings);
        if !same {
            findings.broken(
                ProblemCode::NestedCode,
                path,
                format!(
                    "is another version, is {}, and is not by the same signer",
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

    pub fn keep_code(&mut self, index: usize, code: &CodeFacts) {
        if let Some(kept) = self.code.get_mut(index) {
            *kept = Some(code.clone());
        }
    }

    pub fn mark(&mut self, index: usize, word: Sealed) {
        if let Some(kept) = self.words.get_mut(index) {
            *kept = word;
        }
    }

    /// Marks all that is no directory below `directory`.
    pub fn mark_below(&mut self, directory: &[u8], word: Sealed) {
        self.mark_range(self.view.below(directory), word);
    }

    fn mark_range(&mut self, range: std::ops::Range<usize>, word: Sealed) {
        for index in range {
            if self
                .view
                .entries
                .get(index)
                .is_some_and(|e| e.kind != EntryKind::Directory)
            {
                self.mark(index, word);
            }
        }
    }
}

/// The facts of a file that is no main executable.
pub(super) fn standalone(facts: &CodeFacts) -> CodeFacts {
    let mut code = facts.clone();
    code.judge_standalone();
    code
}
