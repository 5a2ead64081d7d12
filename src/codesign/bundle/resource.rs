//! One file, symlink or piece of nested code against what the seal says of it.
//!
//! Source: `SecStaticCode::validateResource`, `StaticCode.cpp` of Apple.

use std::collections::BTreeSet;

use super::judge::{Judge, standalone};
use super::layout::Layout;
use super::listed::{Digests, Resource, SealedResource};
use super::rules::Version;
use super::signature::Sealed;
use super::view::{BundleEntry, EntryKind, join, split_name};
use crate::codesign::hash::HashType;
use crate::codesign::verdict::{CodeFacts, Findings, ProblemCode, SignatureState, SliceFacts};
use crate::order;

impl<'v> Judge<'_, 'v> {
    /// A file or symlink that the rules take in.
    pub fn resource(
        &mut self,
        index: usize,
        entry: &BundleEntry<'v>,
        code: &CodeFacts,
        sealed: Option<SealedResource<'_>>,
        version: Version,
        findings: &mut Findings,
    ) -> Sealed {
        let is_link = entry.kind == EntryKind::Symlink;
        let Some(sealed) = sealed else {
            // Version 1 does not look at symlinks.
            if !(is_link && version == Version::One) {
                self.added(entry, findings);
            }
            return Sealed::Unsealed;
        };
        match sealed.resource {
            Resource::File(_) if is_link => {
                findings.broken(
                    ProblemCode::ResourceModified,
                    entry.path,
                    "a symlink stands where a file was sealed",
                );
                Sealed::Altered
            }
            Resource::Symlink(_) if !is_link => {
                findings.broken(
                    ProblemCode::SymlinkAltered,
                    entry.path,
                    "a file stands where a symlink was sealed",
                );
                Sealed::Altered
            }
            Resource::Code(_) if is_link => {
                findings.broken(
                    ProblemCode::NestedCode,
                    entry.path,
                    "a symlink stands where code was sealed",
                );
                Sealed::Altered
            }
            Resource::File(digests) => file(entry, digests, code, findings),
            Resource::Symlink(target) => symlink(entry, target, findings),
            Resource::Code(cdhashes) => self.nested_file(index, entry, cdhashes, findings),
        }
    }

    /// Says of a sealed symlink that it leads to what this bundle does not seal.
    ///
    /// The signer sealed its text, and that holds: only with `kSecCSRestrictSymlinks` does
    /// `SecStaticCode::validateSymlinkResource` (`StaticCode.cpp` of Apple) ask for more.
    pub fn link_target(
        &self,
        layout: &Layout<'v>,
        entry: &BundleEntry<'_>,
        findings: &mut Findings,
    ) {
        let target = entry.target.unwrap_or_default();
        let real = match target.starts_with(b"/") {
            true => None,
            false => self.view.follow(entry.path),
        };
        if real.is_none_or(|real| below(&layout.base, &real).is_none()) {
            let text = "a sealed symlink that leads out of what is sealed, or nowhere";
            findings.note(entry.path, text);
        }
    }

    /// A file that the seal does not list.
    fn added(&self, entry: &BundleEntry<'_>, findings: &mut Findings) {
        findings.broken(ProblemCode::ResourceAdded, entry.path, "is not in the seal");
        let (directory, name) = split_name(entry.path);
        let other = name.strip_prefix(b"._").map(|other| join(directory, other));
        if other.is_some_and(|other| self.view.find(&other).is_some()) {
            findings.broken(
                ProblemCode::AppleDouble,
                entry.path,
                "holds another file's extended attributes",
            );
        }
        if entry.code.is_some() {
            findings.broken(
                ProblemCode::UnsealedCode,
                entry.path,
                "is code, and not in the seal",
            );
        }
    }

    /// A Mach-O file with a signature of its own.
    fn nested_file(
        &mut self,
        index: usize,
        entry: &BundleEntry<'_>,
        cdhashes: &[[u8; 20]],
        findings: &mut Findings,
    ) -> Sealed {
        let Some(facts) = entry.code else {
            if entry.sha256.is_none() {
                findings.unreadable(ProblemCode::Unreadable, entry.path, "could not be read");
                return Sealed::Unknown;
            }
            findings.broken(
                ProblemCode::NestedCode,
                entry.path,
                "was sealed as code, and carries no signature",
            );
            return Sealed::Altered;
        };
        let code = standalone(facts);
        self.keep_code(index, &code);
        let mut own = Findings::default();
        code.all_problems().for_each(|p| own.problem(p.clone()));
        findings.nested(entry.path, own);
        compare_code(entry.path, code.state(), Some(&code), cdhashes, findings)
    }
}

/// The hash types of the code directories of all slices.
fn hash_types(code: &CodeFacts) -> impl Iterator<Item = HashType> {
    let directories = code.slices.iter().flat_map(|s| &s.directories);
    directories.map(|d| d.hash_type)
}

/// Compares a file with each digest that Apple compares it with: one by each hash type of the code
/// directories (`SecStaticCode::validateResource`, `StaticCode.cpp`).
fn file(
    entry: &BundleEntry<'_>,
    digests: Digests<'_>,
    code: &CodeFacts,
    findings: &mut Findings,
) -> Sealed {
    let mut kinds: BTreeSet<HashType> = order::gather(hash_types(code));
    if kinds.is_empty() {
        kinds.extend(digests.best());
    }
    let mut is_told = true;
    for kind in kinds {
        let altered = match (digests.get(kind), found(entry, kind)) {
            (None, _) => "was sealed without a digest of each kind that the code has",
            (Some(sealed), Some(found)) if sealed != found => "has other content",
            (Some(_), Some(_)) => continue,
            (Some(_), None) => {
                is_told = false;
                continue;
            }
        };
        findings.broken(ProblemCode::ResourceModified, entry.path, altered);
        return Sealed::Altered;
    }
    if is_told {
        return Sealed::Sealed;
    }
    let why = match entry.sha256 {
        None => "could not be read",
        Some(_) => "is sealed by a digest that is not computed here",
    };
    findings.unreadable(ProblemCode::Unreadable, entry.path, why);
    Sealed::Unknown
}

/// The digest of a file's content by that type, where it was computed.
fn found<'e>(entry: &'e BundleEntry<'_>, kind: HashType) -> Option<&'e [u8]> {
    match kind {
        HashType::Sha1 => entry.sha1.as_ref().map(<[u8; 20]>::as_slice),
        HashType::Sha256 => entry.sha256.as_ref().map(<[u8; 32]>::as_slice),
        HashType::Sha256Truncated => entry.sha256.as_ref()?.get(..kind.length()),
        HashType::Sha384 => None,
    }
}

/// Symlinks are compared as text, and never followed: what they lead to may stand outside.
fn symlink(entry: &BundleEntry<'_>, target: &[u8], findings: &mut Findings) -> Sealed {
    match entry.target {
        Some(found) if found == target => Sealed::Sealed,
        Some(_) => {
            findings.broken(ProblemCode::SymlinkAltered, entry.path, "points elsewhere");
            Sealed::Altered
        }
        None => {
            findings.unreadable(ProblemCode::Unreadable, entry.path, "could not be read");
            Sealed::Unknown
        }
    }
}

/// A path relative to a directory that it stands in, `b""` for the directory itself.
fn below<'p>(directory: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    match path.strip_prefix(directory)? {
        rest if directory.is_empty() || rest.is_empty() => Some(rest),
        rest => rest.strip_prefix(b"/"),
    }
}

/// Compares nested code with what the seal pins.
///
/// Apple evaluates the requirement in the seal, for which code by the same signer may take the
/// sealed code's place. Here the cdhash decides: of one slice at least, and every other slice is
/// pinned too or is signed by the same signer, with the same identifier, as in what `codesign` requires of it.
pub(super) fn compare_code(
    path: &[u8],
    state: SignatureState,
    code: Option<&CodeFacts>,
    cdhashes: &[[u8; 20]],
    findings: &mut Findings,
) -> Sealed {
    if state == SignatureState::Unreadable {
        findings.unreadable(
            ProblemCode::NestedCode,
            path,
            "nested code that could not be read whole",
        );
        return Sealed::Unknown;
    }
    let Some(code) = code.filter(|_| state.holds()) else {
        findings.broken(
            ProblemCode::NestedCode,
            path,
            format!("nested code that is {state}"),
        );
        return Sealed::Altered;
    };
    let (pinned, others): (Vec<_>, Vec<_>) = code.slices.iter().partition(|slice| {
        slice
            .directories
            .iter()
            .any(|d| cdhashes.contains(&d.cdhash))
    });
    let is_same = |other: &SliceFacts| pinned.iter().any(|slice| slice.is_of_the_same(other));
    let why = if pinned.is_empty() {
        "is not the code that was sealed"
    } else if !others.into_iter().all(is_same) {
        "has a slice that the seal does not pin"
    } else {
        return Sealed::Sealed;
    };
    findings.broken(ProblemCode::NestedCode, path, why);
    Sealed::Altered
}
