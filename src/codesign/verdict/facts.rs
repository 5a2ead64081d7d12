//! What is known about the signature of one Mach-O file, which is what is known of its slices: plain data,
//! without bytes or I/O.

use super::library::is_plainly_system;
use super::problem::{Note, Place, Problem, ProblemCode, SignatureState, weakest};
use super::slice::{Anchor, SliceFacts};
use super::system_libraries::SystemLibraries;
use crate::held::{self, Held};
use crate::text::hex;

/// Libraries and run paths of a slice that are kept for as long as its facts are: an honest plug-in has a
/// handful beside those of the system.
const MOST_PATHS: usize = 64;
/// Bytes of a path and the NUL at its end: `PATH_MAX` of macOS.
const MOST_PATH_BYTES: usize = 1_024;

/// What is known about one Mach-O file.
///
/// The slots that bind what stands outside of the file, the Info.plist and CodeResources, are
/// not judged yet: for a main executable of a bundle the bundle's check compares them by
/// [`SliceFacts::matches`]; for a file on its own call [`judge_standalone`](Self::judge_standalone).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeFacts {
    /// Its slices, in file order.
    pub slices: Vec<SliceFacts>,
    /// True for a universal file, even one with a single slice.
    pub universal: bool,
    /// Problems of the file as a whole.
    pub problems: Vec<Problem>,
    /// What is worth saying of the file as a whole.
    pub notes: Vec<Note>,
    /// True when there was no time to verify who signed.
    pub is_unverified: bool,
    /// Libraries plainly of the system that its slices name, once [`shorten_lists`](Self::shorten_lists) took them out
    /// of their lists.
    pub(crate) system: SystemLibraries,
}

/// About how many microseconds it takes at most to verify who signed one slice.
const VERIFYING: u64 = 1_000;

impl CodeFacts {
    /// How much there was to judge, in about microseconds: who signed its slices, and entitlements that are large. To be
    /// asked before these are let go of.
    pub(crate) fn work(&self) -> u64 {
        if self.is_unverified {
            return 0;
        }
        let entitlements = self.slices.iter().map(SliceFacts::entitlements_work);
        let entitlements = entitlements.fold(0, u64::saturating_add);
        let is_signed = |slice: &&SliceFacts| slice.claim == SignatureState::Signed;
        let slices = self.slices.iter().filter(is_signed).count();
        let verifying = crate::codesign::bytes::count(slices).saturating_mul(VERIFYING);
        verifying.saturating_add(entitlements)
    }

    /// True when a part of it is not there: it is still being written, or cannot be loaded.
    pub(crate) fn is_cut(&self) -> bool {
        let is_header = |problem: &Problem| problem.code == ProblemCode::FatHeader;
        let is_cut = |slice: &SliceFacts| slice.is_cut;
        self.slices.is_empty()
            || self.slices.iter().any(is_cut)
            || self.problems.iter().any(is_header)
    }

    /// Lets go of what nothing is judged by, the entitlements, and packs the libraries of the system; what is left of
    /// the lists of libraries and run paths is bounded, for whoever made the file chose their length.
    pub(crate) fn shorten_lists(&mut self) {
        let is_system =
            |path: &String| path.len() < MOST_PATH_BYTES && is_plainly_system(path.as_bytes());
        let dylibs = self.slices.iter().flat_map(|slice| &slice.dylibs);
        let system = dylibs.filter(|path| is_system(path));
        let (system, is_whole) = SystemLibraries::pack(system.map(String::as_bytes));
        self.system = system;
        for slice in &mut self.slices {
            slice.embedded.entitlements = None;
            slice.dylibs.retain(|path| !is_system(path));
            slice.is_list_cut |= !is_whole;
            for list in [&mut slice.dylibs, &mut slice.rpaths] {
                let fits = |path: &String| path.len() < MOST_PATH_BYTES;
                slice.is_list_cut |= list.len() > MOST_PATHS || !list.iter().all(fits);
                list.retain(fits);
                list.truncate(MOST_PATHS);
                list.shrink_to_fit();
            }
            slice.directories.shrink_to_fit();
            slice.authority.shrink_to_fit();
            slice.problems.shrink_to_fit();
            slice.notes.shrink_to_fit();
        }
        // A list grows to four at once, and what is kept for others counts.
        self.slices.shrink_to_fit();
        self.problems.shrink_to_fit();
        self.notes.shrink_to_fit();
    }

    /// True when nothing that dyld may find in the file was left out: no slice, and none of its load commands.
    pub(crate) fn has_all_loads(&self) -> bool {
        use ProblemCode::{FatHeader, FileChanged, Limit, LoadCommand, Unreadable};
        let hides = |problem: &Problem| {
            matches!(
                problem.code,
                FatHeader | FileChanged | Limit | LoadCommand | Unreadable
            )
        };
        let slices = self.slices.iter().flat_map(|s| &s.problems);
        !self.problems.iter().chain(slices).any(hides) && !self.slices.iter().any(|s| s.is_list_cut)
    }

    /// True when each slice that the file may hold is among [`slices`](Self::slices).
    pub(crate) fn has_all_slices(&self) -> bool {
        use ProblemCode::{FatHeader, FileChanged, Limit, Unreadable};
        let hides = |problem: &Problem| {
            matches!(problem.code, FatHeader | FileChanged | Limit | Unreadable)
        };
        !self.problems.iter().any(hides)
    }

    /// Bytes that it takes in memory, about, with what is judged of it later.
    pub(crate) fn weight(&self) -> usize {
        // The signer and the cdhashes come again in its verdict.
        let verdicts = self.slices.iter().map(|s| s.claimed_signer.len());
        verdicts.fold(
            Held::held(self).saturating_add(size_of::<Self>()),
            usize::saturating_add,
        )
    }

    /// The weakest state of the file's slices and of its own problems.
    pub fn state(&self) -> SignatureState {
        let slices = self.slices.iter().map(SliceFacts::state).min();
        weakest(slices.unwrap_or(SignatureState::Malformed), &self.problems)
    }

    /// The slice whose state is the weakest, the first of equals.
    pub fn weakest_slice(&self) -> Option<&SliceFacts> {
        self.slices.iter().min_by_key(|s| s.state())
    }

    /// The architectures in file order, as in `arm64e,x86_64`.
    pub fn architectures(&self) -> String {
        let names: Vec<&str> = self
            .slices
            .iter()
            .map(|s| s.architecture.as_ref())
            .collect();
        names.join(",")
    }

    /// Every problem, the file's own first, then those of each slice.
    pub fn all_problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .chain(self.slices.iter().flat_map(|s| &s.problems))
    }

    /// The slice that speaks for the file: the weakest, so that nothing is said of a file that
    /// does not hold for all of it; of equals the first. `None` when a problem of the file as a
    /// whole makes it weaker than any slice.
    pub fn deciding_slice(&self) -> Option<&SliceFacts> {
        self.weakest_slice().filter(|s| s.state() == self.state())
    }

    /// The Mach-O file type of the first slice in a word, such as `bundle`; `""` without slices.
    pub fn file_type_name(&self) -> &'static str {
        self.slices.first().map_or("", SliceFacts::file_type_name)
    }

    /// The signer's common name, only when the whole file is
    /// [`Signed`](SignatureState::Signed); `""` otherwise.
    pub fn signer(&self) -> &str {
        self.holding()
            .and_then(SliceFacts::signer)
            .unwrap_or_default()
    }

    /// The leaf's common name as found, verified or not: the deciding slice's, else the first
    /// that any slice has.
    pub fn claimed_signer(&self) -> &str {
        self.deciding_slice()
            .into_iter()
            .chain(&self.slices)
            .map(|s| s.claimed_signer.as_str())
            .find(|name| !name.is_empty())
            .unwrap_or_default()
    }

    /// Common names of the chain, leaf to root, only when the whole file is signed.
    pub fn authority(&self) -> &[String] {
        self.holding()
            .filter(|s| s.state() == SignatureState::Signed)
            .map_or(&[], |s| &s.authority)
    }

    /// What the verified chain ends in. A signature that does not hold but names a signer is
    /// `untrusted`.
    pub fn anchor(&self) -> Anchor {
        match self.state() {
            SignatureState::Signed => self.holding().map_or(Anchor::Untrusted, |s| s.anchor),
            SignatureState::Adhoc | SignatureState::Unsigned => Anchor::None,
            _ if self.claimed_signer().is_empty() => Anchor::None,
            _ => Anchor::Untrusted,
        }
    }

    /// The team identifier, only of a file that is signed or ad hoc; `""` otherwise.
    ///
    /// Of signed code it is the one that the leaf was issued to: a code directory may claim any
    /// other, for Apple compares the two for some kinds of certificates alone
    /// (`SecStaticCode::isAppleDeveloperCert`).
    pub fn team_identifier(&self) -> &str {
        let vouched = |s: &&SliceFacts| {
            s.state() != SignatureState::Signed || s.issued_to == s.team_identifier()
        };
        let slice = self.holding().filter(vouched);
        slice.map_or("", SliceFacts::team_identifier)
    }

    /// The signing identifier, only of a file that is signed or ad hoc; `""` otherwise.
    pub fn identifier(&self) -> &str {
        self.holding().map_or("", SliceFacts::identifier)
    }

    /// The cdhash of the deciding slice in lower-case hex, only of a file that is signed or ad
    /// hoc; `""` otherwise.
    pub fn cdhash(&self) -> String {
        self.holding()
            .and_then(SliceFacts::cdhash)
            .map_or_else(String::new, |hash| hex(&hash))
    }

    /// The cdhashes of all slices, each once, in file order; only of a file that is signed or ad
    /// hoc. The system runs the slice that fits its processor: who names one names no other.
    pub fn cdhashes(&self) -> Vec<[u8; 20]> {
        let mut cdhashes = Vec::new();
        if self.state().holds() {
            for cdhash in self.slices.iter().filter_map(SliceFacts::cdhash) {
                if !cdhashes.contains(&cdhash) {
                    cdhashes.push(cdhash);
                }
            }
        }
        cdhashes
    }

    /// The time of the secure timestamp, only of a file that is signed, in seconds of Unix time.
    pub fn signing_time(&self) -> Option<i64> {
        self.holding()
            .filter(|s| s.state() == SignatureState::Signed)?
            .signing_time
    }

    /// Judges the slices against each other: what one signer signed, another's slice must not
    /// stand beside, for a row has room for one signer and the system loads one slice.
    pub(crate) fn judge_slices_together(&mut self) {
        let signed = |s: &&SliceFacts| s.state() == SignatureState::Signed;
        let Some(first) = self.slices.iter().find(signed) else {
            return;
        };
        let differs = |s: &SliceFacts| {
            s.claimed_signer != first.claimed_signer
                || s.anchor != first.anchor
                || s.team_identifier() != first.team_identifier()
        };
        let problems: Vec<_> = self
            .slices
            .iter()
            .filter(signed)
            .filter(|s| differs(s))
            .map(|s| {
                let detail = format!(
                    "signed by {}, the slice {} by {}",
                    s.claimed_signer, first.architecture, first.claimed_signer
                );
                Problem::broken(ProblemCode::SlicesDiffer, Place::Offset(s.offset), detail)
                    .in_slice(s.architecture.clone())
            })
            .collect();
        self.problems.extend(problems);
    }

    /// The deciding slice of a file that is signed or ad hoc.
    fn holding(&self) -> Option<&SliceFacts> {
        self.deciding_slice().filter(|s| s.state().holds())
    }

    /// Judges the slots −1 and −3 of a file that is not seen as the main executable of a bundle:
    /// −1 must be the section `__TEXT,__info_plist` when there is one. What else they bind stands
    /// in the bundle that the file came from: it cannot be checked, and a note says so.
    pub fn judge_standalone(&mut self) {
        self.slices
            .iter_mut()
            .for_each(SliceFacts::judge_standalone);
    }
}

held::fields!(CodeFacts {
    slices,
    universal,
    problems,
    notes,
    is_unverified,
    system,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codesign::hash::HashType;
    use crate::codesign::verdict::slice::{CodeFlags, DirectoryFacts, EmbeddedFacts};

    #[test]
    fn every_text_weighs() {
        let slice = SliceFacts {
            architecture: "arm64".into(),
            offset: 0,
            size: 0,
            file_type: 8,
            claim: SignatureState::Adhoc,
            directories: vec![DirectoryFacts {
                offset: 0,
                slot: 0,
                version: 0,
                flags: CodeFlags::default(),
                hash_type: HashType::Sha256,
                identifier: String::new(),
                team_identifier: "T".repeat(1_000),
                cdhash: [0; 20],
                page_size: 0,
                pages: 0,
                code_limit: 0,
                special_slots: Vec::new(),
            }],
            best: Some(0),
            embedded: EmbeddedFacts::default(),
            info_plist: None,
            authority: Vec::new(),
            claimed_signer: "S".repeat(1_000),
            anchor: Anchor::Untrusted,
            issued_to: "I".repeat(1_000),
            signing_time: None,
            dylibs: Vec::new(),
            rpaths: Vec::new(),
            is_list_cut: false,
            is_cut: false,
            problems: vec![Problem::broken(
                ProblemCode::Cms,
                Place::Path(vec![1; 1_000]),
                "D".repeat(1_000),
            )],
            notes: Vec::new(),
        };
        let facts = CodeFacts {
            slices: vec![slice],
            ..CodeFacts::default()
        };
        // The signer's name comes again in the verdict.
        assert!(facts.weight() > 6_000, "{}", facts.weight());
    }
}
