//! What is known about the signature of one slice of a Mach-O file: plain data, without bytes or I/O.

use std::borrow::Cow;
use std::fmt;

use super::problem::{Note, Place, Problem, ProblemCode, SignatureState, weakest};
use crate::codesign::bytes;
use crate::codesign::hash::HashType;
use crate::held;

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

/// Bytes of entitlements that are compared however little time there is.
const DEAR_ENTITLEMENTS: u64 = 64 << 10;
/// Bytes of them that are compared in a microsecond, about.
const ENTITLEMENTS_A_MICROSECOND: u64 = 128;

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
    /// True when it ends before what its header, its load commands or its segments say: it is still being written, or
    /// cannot be loaded.
    pub is_cut: bool,
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

    /// Bytes of the entitlements in XML, which the DER is compared with.
    fn entitlements_len(&self) -> u64 {
        let entitlements = self.embedded.entitlements.as_ref();
        entitlements.map_or(0, |xml| bytes::length(xml))
    }

    /// True where it takes long to take the entitlements apart: those of real programs have a few kilobytes.
    pub(crate) fn has_dear_entitlements(&self) -> bool {
        self.entitlements_len() > DEAR_ENTITLEMENTS
    }

    /// About how many microseconds that takes at most, where it takes long.
    pub(crate) fn entitlements_work(&self) -> u64 {
        let is_dear = self.has_dear_entitlements();
        let len = Some(self.entitlements_len()).filter(|_| is_dear);
        len.unwrap_or_default() / ENTITLEMENTS_A_MICROSECOND
    }

    /// True when the same signed both, for the same team and by the same identifier, as what `codesign` requires of
    /// nested code has it unless it is told otherwise.
    pub(crate) fn is_of_the_same(&self, other: &Self) -> bool {
        self.signer().is_some()
            && self.signer() == other.signer()
            && self.authority == other.authority
            && self.issued_to == other.issued_to
            && self.team_identifier() == other.team_identifier()
            && self.identifier() == other.identifier()
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

    /// Judges the slots −1 and −3 of a slice whose file is not seen as the main executable of a bundle: see
    /// [`CodeFacts::judge_standalone`](super::CodeFacts::judge_standalone).
    pub(super) fn judge_standalone(&mut self) {
        let place = Place::Offset(self.offset);
        let say = |code, detail: &'static str| {
            Problem::broken(code, place.clone(), detail).in_slice(self.architecture.clone())
        };
        let mut problems = Vec::new();
        match (self.info_plist, self.binds(slot::INFO_PLIST)) {
            (Some(false), true) => {
                problems.push(say(
                    ProblemCode::InfoPlist,
                    "the section __info_plist is not the signed one",
                ));
            }
            (None, true) => self.notes.push(Note {
                place: place.clone(),
                text: "an Info.plist is signed, and the file holds none: it was not checked".into(),
            }),
            (Some(_), false) if !self.directories.is_empty() => self.notes.push(Note {
                place: place.clone(),
                text: "the section __info_plist is not bound as Info.plist".into(),
            }),
            _ => {}
        }
        if self.binds(slot::RESOURCE_DIRECTORY) {
            self.notes.push(Note {
                place: place.clone(),
                text: "sealed resources are signed, and a file has none: they were not checked"
                    .into(),
            });
        }
        self.problems.extend(problems);
    }
}

held::plain!(Anchor, CodeFlags);
held::fields!(SpecialSlot { slot, digest });
held::fields!(DirectoryFacts {
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
});
held::fields!(EmbeddedFacts {
    requirements,
    entitlements,
    entitlements_der,
});
held::fields!(SliceFacts {
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
    is_cut,
    problems,
    notes,
});
