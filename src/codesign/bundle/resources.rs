//! All of a bundle's files against its seal.
//!
//! Source: `SecStaticCode::validateResources` and `validateResource`, `StaticCode.cpp`, and
//! `ResourceBuilder::scan`, `resources.cpp` of Apple.

use super::judge::Judge;
use super::layout::Layout;
use super::listed::{Resource, SealedResource};
use super::resource::compare_code;
use super::seal::Seal;
use super::signature::Sealed;
use super::ticket::{self, Ticket};
use super::view::{BundleEntry, EntryKind, MAX_TICKET_BYTES, MainExecutable, join, split_name};
use crate::codesign::verdict::{CodeFacts, Findings, ProblemCode};

/// A nested bundle that is judged once the seal is let go of that pins it.
struct Nested<'v> {
    entry: &'v BundleEntry<'v>,
    cdhashes: Vec<[u8; 20]>,
    /// How many problems and notes were found before it.
    problems: usize,
    notes: usize,
}

impl<'v> Judge<'_, 'v> {
    /// Compares everything below the sealed folder with the seal. A seal that the signature does
    /// not bind seals nothing: what agrees with it is unknown then.
    pub fn resources(
        &mut self,
        layout: &Layout<'v>,
        code: &CodeFacts,
        mut seal: Seal,
        bound: bool,
        depth: u32,
        findings: &mut Findings,
    ) {
        let mut nested = Vec::new();
        self.compare(layout, code, &mut seal, bound, &mut nested, findings);
        // However deep bundles are nested, one seal is held at a time.
        drop(seal);
        if !nested.is_empty() {
            self.nested_bundles(nested, depth, findings);
        }
    }

    /// Compares all but nested bundles.
    fn compare(
        &mut self,
        layout: &Layout<'v>,
        code: &CodeFacts,
        seal: &mut Seal,
        bound: bool,
        nested: &mut Vec<Nested<'v>>,
        findings: &mut Findings,
    ) {
        let version = seal.version;
        let range = self.view.below(&layout.base);
        let start = range.start;
        let entries = self.view.entries.get(range).unwrap_or_default();
        let skip_prefix = match layout.base.len() {
            0 => 0,
            length => length.saturating_add(1),
        };
        // Entries of nested bundles, which their own seals cover.
        let mut handled = vec![false; entries.len()];
        for (offset, entry) in entries.iter().enumerate() {
            let index = start.saturating_add(offset);
            let path = entry.path.get(skip_prefix..).unwrap_or_default();
            if handled.get(offset) == Some(&true) || stands_apart(layout, entry, path) {
                continue;
            }
            if self.is_late(&layout.base, findings) {
                return;
            }
            if self.excluded(index, entry, path, code, findings) {
                continue;
            }
            if !self.may_match(seal, path) {
                findings.unreadable(
                    ProblemCode::Limit,
                    &layout.base,
                    "too many files and rules to compare",
                );
                return;
            }
            let Ok(verdict) = seal.rules.find(path) else {
                findings.unreadable(
                    ProblemCode::Limit,
                    &layout.base,
                    "a rule of the seal costs too much to evaluate",
                );
                return;
            };
            let Some(verdict) = verdict else {
                if entry.kind != EntryKind::Directory {
                    self.mark(index, Sealed::Unsealed);
                }
                continue;
            };
            match entry.kind {
                EntryKind::Directory => {
                    if !(verdict.nested && split_name(path).1.contains(&b'.')) {
                        continue;
                    }
                    let below = self.view.below(entry.path);
                    for index in below {
                        if let Some(done) = handled.get_mut(index.saturating_sub(start)) {
                            *done = true;
                        }
                    }
                    let sealed = seal.resources.take(path);
                    self.nested_directory(entry, sealed, nested, findings);
                }
                EntryKind::File | EntryKind::Symlink => {
                    if is_link_for_the_finder(entry) {
                        findings.broken(
                            ProblemCode::ResourceAdded,
                            entry.path,
                            "a .DS_Store that is a symlink",
                        );
                        seal.resources.take(path);
                        self.mark(index, Sealed::Unsealed);
                        continue;
                    }
                    if verdict.omit {
                        self.omitted(layout, index, entry, findings);
                        continue;
                    }
                    let sealed = seal.resources.take(path);
                    let word = self.resource(index, entry, code, sealed, version, findings);
                    if word == Sealed::Sealed && entry.kind == EntryKind::Symlink {
                        self.link_target(layout, entry, findings);
                    }
                    let word = match word {
                        Sealed::Sealed if !bound => Sealed::Unknown,
                        word => word,
                    };
                    self.mark(index, word);
                    self.attributes(entry, findings);
                }
                EntryKind::Other => {
                    findings.broken(
                        ProblemCode::ResourceAdded,
                        entry.path,
                        "is neither a file nor a directory nor a symlink",
                    );
                    self.mark(index, Sealed::Unsealed);
                }
            }
        }
        self.leftovers(layout, seal, findings);
    }

    /// Judges the bundles that a seal pins. What is found of each stands where it would if it had been judged when the
    /// comparison came to it.
    fn nested_bundles(&mut self, nested: Vec<Nested<'v>>, depth: u32, findings: &mut Findings) {
        let mut own = std::mem::take(findings);
        let (mut problems, mut notes) = (0, 0);
        for bundle in nested {
            findings.take_over(
                &mut own,
                bundle.problems.saturating_sub(problems),
                bundle.notes.saturating_sub(notes),
            );
            (problems, notes) = (bundle.problems, bundle.notes);
            let path = bundle.entry.path;
            let outcome = self.nested_bundle(path, depth);
            findings.nested(path, outcome.findings);
            let code = outcome.code.as_ref();
            compare_code(path, outcome.state, code, &bundle.cdhashes, findings);
            self.pinned_left = self.pinned_left.saturating_add(bundle.cdhashes.len());
        }
        findings.take_over(&mut own, usize::MAX, usize::MAX);
    }

    /// What no seal covers by Apple's choice: `CodeResources`, which is a link of old or a
    /// notarization ticket, and the App Store's receipt. Apple passes over anything of these
    /// names; here it must be just that.
    ///
    /// Source: `BundleDiskRep::adjustResources`, `bundlediskrep.cpp` of Apple.
    fn excluded(
        &mut self,
        index: usize,
        entry: &BundleEntry<'_>,
        path: &[u8],
        code: &CodeFacts,
        findings: &mut Findings,
    ) -> bool {
        let top = path.split(|&b| b == b'/').next().unwrap_or_default();
        if path == b"CodeResources" && entry.kind == EntryKind::File {
            self.ticket(index, entry, code, findings);
            return true;
        }
        let fine = match top {
            b"CodeResources" => {
                entry.kind == EntryKind::Symlink
                    && entry.target == Some(b"_CodeSignature/CodeResources")
            }
            b"_MASReceipt" => match path {
                b"_MASReceipt" => entry.kind == EntryKind::Directory,
                b"_MASReceipt/receipt" => entry.kind == EntryKind::File,
                _ => false,
            },
            _ => return false,
        };
        if fine && entry.code.is_none() {
            self.mark(index, Sealed::Excluded);
            return true;
        }
        findings.broken(
            ProblemCode::ResourceAdded,
            entry.path,
            "stands in a place that no seal covers",
        );
        if entry.kind != EntryKind::Directory {
            self.mark(index, Sealed::Unsealed);
        }
        true
    }

    /// A file `CodeResources` beside what is sealed. Nothing vouches for what is in it: it must
    /// say of itself that it is a ticket, and what is none to its last byte has room for anything.
    fn ticket(
        &mut self,
        index: usize,
        entry: &BundleEntry<'_>,
        code: &CodeFacts,
        findings: &mut Findings,
    ) {
        let word = match entry.bytes {
            None if entry.sha256.is_none() => {
                findings.unreadable(ProblemCode::Unreadable, entry.path, "could not be read");
                Sealed::Unknown
            }
            None if entry.size <= MAX_TICKET_BYTES => {
                let why = "was not kept, for there is too much else";
                findings.unreadable(ProblemCode::Limit, entry.path, why);
                Sealed::Unknown
            }
            Some(bytes) if ticket::claims(bytes) => match Ticket::parse(bytes) {
                Some(ticket) => {
                    let text = match ticket.names(code) {
                        true => {
                            "a notarization ticket that lists this code; whether Apple issued it was not checked"
                        }
                        false => "a notarization ticket that does not list this code",
                    };
                    findings.note(entry.path, text);
                    Sealed::Excluded
                }
                None => {
                    let text = "begins like a notarization ticket and does not have its form: no seal covers it";
                    findings.note(entry.path, text);
                    Sealed::Unsealed
                }
            },
            _ => {
                let why = "stands in a place that no seal covers, and is no notarization ticket";
                findings.broken(ProblemCode::ResourceAdded, entry.path, why);
                Sealed::Unsealed
            }
        };
        self.mark(index, word);
    }

    /// Whether the work of matching one more path is within the limits.
    fn may_match(&mut self, seal: &Seal, path: &[u8]) -> bool {
        let length = path.len().saturating_add(1);
        let cost = length.saturating_mul(seal.rules.count());
        let left = u64::try_from(cost)
            .ok()
            .and_then(|cost| self.matching_left.checked_sub(cost));
        self.matching_left = left.unwrap_or(0);
        left.is_some()
    }

    /// A file that a rule leaves out.
    fn omitted(
        &mut self,
        layout: &Layout<'v>,
        index: usize,
        entry: &BundleEntry<'_>,
        findings: &mut Findings,
    ) {
        if entry.code.is_some() {
            findings.broken(
                ProblemCode::UnsealedCode,
                entry.path,
                "is code, and the seal's rules leave it out",
            );
            self.mark(index, Sealed::Unsealed);
            return;
        }
        // The Info.plist has its word from the slot that binds it.
        if layout.info_plist.as_deref() != Some(entry.path) {
            self.mark(index, Sealed::Excluded);
        }
    }

    /// A directory that the rules take for a nested bundle.
    fn nested_directory(
        &mut self,
        entry: &'v BundleEntry<'v>,
        sealed: Option<SealedResource<'_>>,
        nested: &mut Vec<Nested<'v>>,
        findings: &mut Findings,
    ) {
        match sealed.map(|s| s.resource) {
            None => {
                findings.broken(ProblemCode::ResourceAdded, entry.path, "is not in the seal");
                self.mark_below(entry.path, Sealed::Unsealed);
            }
            Some(Resource::File(_)) => {
                findings.broken(
                    ProblemCode::ResourceModified,
                    entry.path,
                    "a directory stands where a file was sealed",
                );
                self.mark_below(entry.path, Sealed::Unsealed);
            }
            Some(Resource::Symlink(_)) => {
                findings.broken(
                    ProblemCode::SymlinkAltered,
                    entry.path,
                    "a directory stands where a symlink was sealed",
                );
                self.mark_below(entry.path, Sealed::Unsealed);
            }
            Some(Resource::Code(cdhashes)) => {
                let Some(left) = self.pinned_left.checked_sub(cdhashes.len()) else {
                    let why = "too many cdhashes are sealed to be compared";
                    findings.unreadable(ProblemCode::Limit, entry.path, why);
                    return;
                };
                self.pinned_left = left;
                nested.push(Nested {
                    entry,
                    cdhashes: cdhashes.to_vec(),
                    problems: findings.problems.len(),
                    notes: findings.notes.len(),
                });
            }
        }
    }

    /// What the seal lists and the scan did not meet: it must be optional.
    fn leftovers(&self, layout: &Layout<'v>, seal: &Seal, findings: &mut Findings) {
        for (path, sealed) in seal.resources.iter() {
            let path = join(&layout.base, path);
            let entry = self.view.find(&path).map(|(_, entry)| entry);
            match (entry.map(|e| e.kind), sealed.resource) {
                (None, _) if sealed.optional => {}
                (None, _) if !self.view.complete => findings.unreadable(
                    ProblemCode::ResourceMissing,
                    &path,
                    "was sealed, and was not found in what could be listed",
                ),
                (None, _) => {
                    findings.broken(
                        ProblemCode::ResourceMissing,
                        &path,
                        "was sealed, and is missing",
                    );
                }
                (Some(EntryKind::Directory), Resource::Symlink(_)) => findings.broken(
                    ProblemCode::SymlinkAltered,
                    &path,
                    "a directory stands where a symlink was sealed",
                ),
                (Some(EntryKind::Directory), Resource::File(_)) => findings.broken(
                    ProblemCode::ResourceModified,
                    &path,
                    "a directory stands where a file was sealed",
                ),
                (Some(EntryKind::Directory), Resource::Code(_)) => findings.broken(
                    ProblemCode::NestedCode,
                    &path,
                    "was sealed as nested code, and the rules do not take it for that",
                ),
                (Some(_), _) if sealed.optional => {}
                (Some(_), _) => findings.broken(
                    ProblemCode::ResourceMissing,
                    &path,
                    "is listed in the seal, and the seal's own rules leave it out",
                ),
            }
        }
    }
}

/// A `.DS_Store` that is a symlink, which Apple refuses whatever the rules say of it
/// (`ResourceBuilder::scan`).
fn is_link_for_the_finder(entry: &BundleEntry<'_>) -> bool {
    entry.kind == EntryKind::Symlink && split_name(entry.path).1.eq_ignore_ascii_case(b".DS_Store")
}

/// The main executable and the signature's own folder, which are judged elsewhere.
fn stands_apart(layout: &Layout<'_>, entry: &BundleEntry<'_>, path: &[u8]) -> bool {
    layout.executable == MainExecutable::Inside(entry.path)
        || path == b"_CodeSignature"
        || path.starts_with(b"_CodeSignature/")
}
