//! What is known about the signature of one Mach-O file: plain data, without bytes or I/O.

use std::borrow::Cow;
use std::fmt;

use super::library::is_plainly_system;
use super::problem::{Note, Place, Problem, ProblemCode, SignatureState, weakest};
use crate::codesign::hash::HashType;
use crate::held::{self, Held};
use crate::text::hex;

/// What the signer's certificate chain ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// Apple's own code: the root is Apple's and the intermediate is Apple's code-signing CA.
    Apple,
    /// A Developer ID certificate of Apple's.
    DeveloperId,
    /// A certificate of the Mac App Store, or of its TestFlight.
    AppStore,
    /// A chain that does not verify, or that ends in a root that is not Apple's. A chain that
    /// does verify but whose leaf is of none of the kinds above, such as
    /// an Apple Development certificate, which Apple issues to any of its accounts, is here too;
    /// its state stays [`SignatureState::Signed`].
    Untrusted,
    /// There is no certificate: unsigned or ad hoc.
    None,
}

impl Anchor {
    /// True when Apple vouches for who signed: its own code, or a certificate that it gives for
    /// distribution. Any account gets an Apple Development certificate, under any name.
    pub fn names_somebody_known(self) -> bool {
        matches!(self, Self::Apple | Self::DeveloperId | Self::AppStore)
    }

    /// The word for it, as the tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apple => "apple",
            Self::DeveloperId => "developer_id",
            Self::AppStore => "app_store",
            Self::Untrusted => "untrusted",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The flags of a code directory, as `CSCommon.h` (`SecCodeSignatureFlags`) numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CodeFlags(pub u32);

impl CodeFlags {
    /// `adhoc`: there is no signer.
    pub const ADHOC: Self = Self(0x2);
    /// `library-validation`: only Apple's or the same team's code may be loaded.
    pub const LIBRARY_VALIDATION: Self = Self(0x2000);
    /// `runtime`: the hardened runtime.
    pub const RUNTIME: Self = Self(0x1_0000);
    /// `linker-signed`: the linker made the signature, nobody signed on purpose.
    pub const LINKER_SIGNED: Self = Self(0x2_0000);

    /// True when all of `other`'s flags are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Numbers of special slots, as in a code directory: its slot −1 is number 1 here.
///
/// Source: `codedirectory.h` of Apple's Security.
pub mod slot {
    /// The Info.plist: of the bundle for a bundle's main executable, else of the section
    /// `__TEXT,__info_plist`.
    pub const INFO_PLIST: u32 = 1;
    /// The internal requirements.
    pub const REQUIREMENTS: u32 = 2;
    /// `_CodeSignature/CodeResources` of the bundle.
    pub const RESOURCE_DIRECTORY: u32 = 3;
    /// Application-specific; nothing uses it.
    pub const APPLICATION: u32 = 4;
    /// Entitlements in XML.
    pub const ENTITLEMENTS: u32 = 5;
    /// Data of the disk representation (a disk image's header; not in Mach-O files).
    pub const REP_SPECIFIC: u32 = 6;
    /// Entitlements in DER.
    pub const ENTITLEMENTS_DER: u32 = 7;
    /// Launch constraint on the code itself.
    pub const LAUNCH_CONSTRAINT_SELF: u32 = 8;
    /// Launch constraint on the parent process.
    pub const LAUNCH_CONSTRAINT_PARENT: u32 = 9;
    /// Launch constraint on the responsible process.
    pub const LAUNCH_CONSTRAINT_RESPONSIBLE: u32 = 10;
    /// Constraint on the libraries that may be loaded.
    pub const LIBRARY_CONSTRAINT: u32 = 11;
}

/// A digest that a code directory holds for one special slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialSlot {
    /// The slot's number, as in [`slot`].
    pub slot: u32,
    /// The digest, of [`DirectoryFacts::hash_type`]. Never all zeros: that means not bound, and
    /// such a slot is left out.
    pub digest: Vec<u8>,
}

/// One code directory of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// Where it begins, in bytes from the beginning of the file.
    pub offset: u64,
    /// Its slot in the SuperBlob: 0, or 0x1000 and up for the alternate ones.
    pub slot: u32,
    /// Its version, such as 0x20400.
    pub version: u32,
    /// Its flags.
    pub flags: CodeFlags,
    /// The hash of its pages and special slots.
    pub hash_type: HashType,
    /// Its identifier.
    pub identifier: String,
    /// Its team identifier; `""` without one.
    pub team_identifier: String,
    /// The first 20 bytes of the hash of it, by its own hash type.
    pub cdhash: [u8; 20],
    /// Size of a page in bytes; 0 when all the code is one page.
    pub page_size: u64,
    /// Number of its page hashes.
    pub pages: u32,
    /// Bytes of the slice that its pages cover.
    pub code_limit: u64,
    /// The special slots that are bound, by number.
    pub special_slots: Vec<SpecialSlot>,
}

impl DirectoryFacts {
    /// The digest bound for a special slot, numbered as in [`slot`].
    pub fn special_slot(&self, slot: u32) -> Option<&[u8]> {
        self.special_slots
            .iter()
            .find(|s| s.slot == slot)
            .map(|s| s.digest.as_slice())
    }
}

/// What is known of the entitlements and requirements that the signature carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbeddedFacts {
    /// Length in bytes of the internal requirements' blob.
    pub requirements: Option<u64>,
    /// The entitlements' XML, without its blob header; capped in length.
    pub entitlements: Option<Vec<u8>>,
    /// Length in bytes of the entitlements' DER blob.
    pub entitlements_der: Option<u64>,
}

/// One slice of a Mach-O file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceFacts {
    /// The architecture as `lipo -archs` names it: `arm64e`, `x86_64`.
    pub architecture: Cow<'static, str>,
    /// Where the slice begins in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// The Mach-O file type (`MH_EXECUTE` is 2, `MH_BUNDLE` 8); 0 when the header cannot be read.
    pub file_type: u32,
    /// What the slice would be if it had no problem: [`Unsigned`](SignatureState::Unsigned),
    /// [`Adhoc`](SignatureState::Adhoc) or [`Signed`](SignatureState::Signed).
    pub claim: SignatureState,
    /// Every code directory that could be parsed, in order of slot.
    pub directories: Vec<DirectoryFacts>,
    /// Which of [`directories`](Self::directories) decides: the one with the best hash.
    pub best: Option<usize>,
    /// What else the signature carries.
    pub embedded: EmbeddedFacts,
    /// Whether the section `__TEXT,__info_plist` is what every code directory binds as Info.plist,
    /// when there is one and the limits allow it.
    pub info_plist: Option<bool>,
    /// Common names of the chain, leaf to root, when the CMS and the chain verify.
    pub authority: Vec<String>,
    /// The leaf's common name as found, verified or not; `""` without one.
    pub claimed_signer: String,
    /// What the chain ends in.
    pub anchor: Anchor,
    /// The team that Apple issued the leaf to, its organizational unit, when the chain verifies;
    /// `""` without one.
    pub issued_to: String,
    /// Time of the secure timestamp, when it verifies, in seconds of Unix time.
    pub signing_time: Option<i64>,
    /// Libraries that it loads (`LC_LOAD_DYLIB` and its kin), as written; capped in number and length.
    pub dylibs: Vec<String>,
    /// Its run paths (`LC_RPATH`), as written; capped likewise.
    pub rpaths: Vec<String>,
    /// True when it has more libraries or run paths than are kept, longer ones, or some that are no text.
    pub is_list_cut: bool,
    /// What does not hold.
    pub problems: Vec<Problem>,
    /// What is worth saying besides.
    pub notes: Vec<Note>,
}

impl SliceFacts {
    /// The state: what it claims, or what its worst problem weakens it to.
    pub fn state(&self) -> SignatureState {
        weakest(self.claim, &self.problems)
    }

    /// The code directory that decides, verified or not.
    pub fn directory(&self) -> Option<&DirectoryFacts> {
        self.directories.get(self.best?)
    }

    /// The signing identifier as found; `""` without one.
    pub fn identifier(&self) -> &str {
        self.directory().map_or("", |d| &d.identifier)
    }

    /// The team identifier as found; `""` without one.
    pub fn team_identifier(&self) -> &str {
        self.directory().map_or("", |d| &d.team_identifier)
    }

    /// The cdhash as found.
    pub fn cdhash(&self) -> Option<[u8; 20]> {
        self.directory().map(|d| d.cdhash)
    }

    /// The flags as found.
    pub fn flags(&self) -> CodeFlags {
        self.directory().map_or(CodeFlags::default(), |d| d.flags)
    }

    /// The signer's common name, only when the state is [`Signed`](SignatureState::Signed).
    pub fn signer(&self) -> Option<&str> {
        if self.state() != SignatureState::Signed {
            return None;
        }
        self.authority.first().map(String::as_str)
    }

    /// True when some code directory binds the special slot, numbered as in [`slot`].
    pub fn binds(&self, slot: u32) -> bool {
        self.directories
            .iter()
            .any(|d| d.special_slot(slot).is_some())
    }

    /// True when `content` is what every code directory binds for the special slot; false when
    /// one of them binds other content or, while another binds it, nothing.
    ///
    /// A slot that no directory binds matches nothing: ask [`binds`](Self::binds) first.
    pub fn matches(&self, slot: u32, content: &[u8]) -> bool {
        !self.directories.is_empty()
            && self.directories.iter().all(|d| {
                d.special_slot(slot)
                    .is_some_and(|digest| d.hash_type.digest(content) == digest)
            })
    }

    /// The Mach-O file type in a word: `execute`, `dylib`, `bundle`.
    pub fn file_type_name(&self) -> &'static str {
        match self.file_type {
            1 => "object",
            2 => "execute",
            3 => "fvmlib",
            4 => "core",
            5 => "preload",
            6 => "dylib",
            7 => "dylinker",
            8 => "bundle",
            9 => "dylib_stub",
            10 => "dsym",
            11 => "kext_bundle",
            12 => "fileset",
            _ => "unknown",
        }
    }
}

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
}

impl CodeFacts {
    /// Lets go of what nothing is judged by: libraries of the system, and the entitlements; what is left of
    /// the lists of libraries and run paths is bounded, for whoever made the file chose their length.
    pub(crate) fn shorten_lists(&mut self) {
        for slice in &mut self.slices {
            slice.embedded.entitlements = None;
            slice
                .dylibs
                .retain(|path| !is_plainly_system(path.as_bytes()));
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
        for slice in &mut self.slices {
            judge_standalone(slice);
        }
    }
}

held::plain!(Anchor, CodeFlags);

impl Held for SpecialSlot {
    fn held(&self) -> usize {
        let Self { slot, digest } = self;
        held::sum(&[slot, digest])
    }
}

impl Held for DirectoryFacts {
    fn held(&self) -> usize {
        let Self {
            offset,
            slot,
            version,
            flags,
            hash_type,
            identifier,
            team_identifier,
            cdhash,
            page_size,
            pages,
            code_limit,
            special_slots,
        } = self;
        held::sum(&[
            offset,
            slot,
            version,
            flags,
            hash_type,
            identifier,
            team_identifier,
            cdhash,
            page_size,
            pages,
            code_limit,
            special_slots,
        ])
    }
}

impl Held for EmbeddedFacts {
    fn held(&self) -> usize {
        let Self {
            requirements,
            entitlements,
            entitlements_der,
        } = self;
        held::sum(&[requirements, entitlements, entitlements_der])
    }
}

impl Held for SliceFacts {
    fn held(&self) -> usize {
        let Self {
            architecture,
            offset,
            size,
            file_type,
            claim,
            directories,
            best,
            embedded,
            info_plist,
            authority,
            claimed_signer,
            anchor,
            issued_to,
            signing_time,
            dylibs,
            rpaths,
            is_list_cut,
            problems,
            notes,
        } = self;
        held::sum(&[
            architecture,
            offset,
            size,
            file_type,
            claim,
            directories,
            best,
            embedded,
            info_plist,
            authority,
            claimed_signer,
            anchor,
            issued_to,
            signing_time,
            dylibs,
            rpaths,
            is_list_cut,
            problems,
            notes,
        ])
    }
}

impl Held for CodeFacts {
    fn held(&self) -> usize {
        let Self {
            slices,
            universal,
            problems,
            notes,
        } = self;
        held::sum(&[slices, universal, problems, notes])
    }
}

fn judge_standalone(slice: &mut SliceFacts) {
    let place = Place::Offset(slice.offset);
    let say = |code, detail: &'static str| {
        Problem::broken(code, place.clone(), detail).in_slice(slice.architecture.clone())
    };
    let mut problems = Vec::new();
    match (slice.info_plist, slice.binds(slot::INFO_PLIST)) {
        (Some(false), true) => {
            problems.push(say(
                ProblemCode::InfoPlist,
                "the section __info_plist is not the signed one",
            ));
        }
        (None, true) => slice.notes.push(Note {
            place: place.clone(),
            text: "an Info.plist is signed, and the file holds none: it was not checked".into(),
        }),
        (Some(_), false) if !slice.directories.is_empty() => slice.notes.push(Note {
            place: place.clone(),
            text: "the section __info_plist is not bound as Info.plist".into(),
        }),
        _ => {}
    }
    if slice.binds(slot::RESOURCE_DIRECTORY) {
        slice.notes.push(Note {
            place: place.clone(),
            text: "sealed resources are signed, and a file has none: they were not checked".into(),
        });
    }
    slice.problems.extend(problems);
}

#[cfg(test)]
mod tests {
    use super::*;

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
