//! What is wrong with a signature, each problem with its code and its place, and what that makes of it.

use std::borrow::Cow;
use std::fmt;

use crate::held::{self, Held};

/// What a signature is worth, weakest first, so that `min` gives the weakest of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureState {
    /// The structure cannot be parsed.
    Malformed,
    /// It was parsed, and it does not hold.
    Broken,
    /// It could not be read whole: an error, a limit, or a change while reading.
    Unreadable,
    /// There is no signature at all.
    Unsigned,
    /// It holds, and names no signer.
    Adhoc,
    /// It holds, and its signer's chain ends in one of the given roots.
    Signed,
}

impl SignatureState {
    /// The word for it, as the tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Broken => "broken",
            Self::Unreadable => "unreadable",
            Self::Unsigned => "unsigned",
            Self::Adhoc => "adhoc",
            Self::Signed => "signed",
        }
    }

    /// True for the states whose code directory may lend its identifiers:
    /// [`Signed`](Self::Signed) and [`Adhoc`](Self::Adhoc).
    pub fn holds(self) -> bool {
        matches!(self, Self::Signed | Self::Adhoc)
    }
}

impl fmt::Display for SignatureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares each problem once: its variant, its word, and its one-sentence meaning.
macro_rules! problem_codes {
    ($($variant:ident $word:literal $meaning:literal)*) => {
        /// What a problem is about, for files and bundles alike.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProblemCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ProblemCode {
            /// Every code, in the order of the checks.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it, as the tables show it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

problem_codes! {
    Unreadable "unreadable" "A part that the verdict needs could not be read."
    Limit "limit" "A limit of size, count or depth was reached, so the verdict is incomplete."
    FileChanged "file_changed" "The file changed while it was being read."
    FatHeader "fat_header" "The universal header is damaged: unknown, duplicate, overlapping or out-of-bounds slices, or bytes that belong to no slice."
    MachHeader "mach_header" "The Mach-O header of a slice is damaged or contradicts the universal header."
    LoadCommand "load_command" "The load commands are damaged, or the one that places the signature does not put it at the end of the slice."
    Superblob "superblob" "The container of the signature's parts is damaged."
    CodeDirectory "code_directory" "A code directory is damaged, or the code directories contradict each other."
    CodeLimit "code_limit" "A code directory does not cover the code up to the signature, or a segment, a section or a load command names what stands in the signature or behind it."
    PageHash "page_hash" "A page of the code is not the one that was signed."
    InfoPlist "info_plist" "The Info.plist is not the one that was signed, or one that was signed is missing."
    Requirements "requirements" "The internal requirements are not the ones that were signed, or are damaged or missing."
    Entitlements "entitlements" "The entitlements are not the ones that were signed, are missing, or differ between their XML and their DER form."
    EmbeddedComponent "embedded_component" "Another part of the signature, such as a launch constraint, is not the one that was signed, or is missing."
    Cms "cms" "The cryptographic signature is damaged, or is not a signature over these code directories."
    CdhashAttribute "cdhash_attribute" "The code directories are not those that the signer listed: one was changed, added or taken away."
    DigestCoverage "digest_coverage" "The code directory that decides is not covered by the cryptographic signature."
    Chain "chain" "The certificates do not lead from a code-signing certificate to one of Apple's roots."
    TeamIdentifier "team_identifier" "The team identifier is not the one in the signer's certificate."
    Timestamp "timestamp" "The secure timestamp does not hold, or a certificate was not valid at its time."
    SlicesDiffer "slices_differ" "The slices of a universal file are signed by different signers or teams."
    BundleLayout "bundle_layout" "The bundle is not laid out as a signed bundle must be: stray files beside Contents, or an Info.plist or executable that is no regular file."
    MainExecutable "main_executable" "The main executable is missing, is no Mach-O file, or is not a plain name inside the bundle."
    ResourceDirectory "resource_directory" "The list of sealed resources (CodeResources) is not the one that was signed, or one that was signed is missing."
    Seal "seal" "The list of sealed resources is damaged."
    WeakSeal "weak_seal" "The list of sealed resources is of version 1 alone, which is too weak to hold."
    SealRules "seal_rules" "The rules of the seal leave out what Apple's rules do not let it leave out, or cannot be evaluated."
    ResourceModified "resource_modified" "A sealed file has other content."
    ResourceAdded "resource_added" "A file stands in the sealed part of the bundle that the seal does not list."
    ResourceMissing "resource_missing" "A sealed file or symlink is missing."
    SymlinkAltered "symlink_altered" "A sealed symlink points elsewhere, or something else stands in its place."
    NestedCode "nested_code" "Code inside the bundle is not signed, does not hold, or is not the code that was sealed."
    UnsealedCode "unsealed_code" "Code stands where no seal covers it."
    ExtendedAttribute "xattr" "A resource fork or Finder information, which a signed bundle must not carry."
    AppleDouble "apple_double" "An AppleDouble file (._name), which carries extended attributes that a signed bundle must not have."
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a problem stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file or bundle as a whole.
    Whole,
    /// An offset in bytes from the beginning of the file.
    Offset(u64),
    /// A path relative to the bundle, as the bytes on disk.
    Path(Vec<u8>),
}

/// One way in which a signature fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub code: ProblemCode,
    /// How weak it makes the signature: [`Malformed`](SignatureState::Malformed),
    /// [`Broken`](SignatureState::Broken) or [`Unreadable`](SignatureState::Unreadable).
    pub weakens_to: SignatureState,
    /// The slice's architecture, when it concerns one slice of a Mach-O file.
    pub slice: Option<Cow<'static, str>>,
    /// Where.
    pub place: Place,
    /// One line for a person to read.
    pub detail: Cow<'static, str>,
}

impl Problem {
    /// A structure that cannot be parsed.
    pub fn malformed(
        code: ProblemCode,
        place: Place,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(code, SignatureState::Malformed, place, detail)
    }

    /// Something that was parsed and does not hold.
    pub fn broken(code: ProblemCode, place: Place, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code, SignatureState::Broken, place, detail)
    }

    /// Something that could not be read or judged whole.
    pub fn unreadable(
        code: ProblemCode,
        place: Place,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(code, SignatureState::Unreadable, place, detail)
    }

    /// The same problem, said of the slice of that architecture.
    #[must_use]
    pub fn in_slice(mut self, architecture: impl Into<Cow<'static, str>>) -> Self {
        self.slice = Some(architecture.into());
        self
    }

    fn new(
        code: ProblemCode,
        weakens_to: SignatureState,
        place: Place,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            weakens_to,
            slice: None,
            place,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())?;
        if let Some(slice) = &self.slice {
            write!(f, " [{slice}]")?;
        }
        match &self.place {
            Place::Whole => {}
            Place::Offset(offset) => write!(f, " at {offset:#x}")?,
            Place::Path(path) => write!(f, " at {}", String::from_utf8_lossy(path))?,
        }
        write!(f, ": {}", self.detail)
    }
}

/// Something worth saying about a signature that is no failure: slack behind
/// it, a part that is not bound, a certificate that has expired since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub place: Place,
    /// One line for a person to read.
    pub text: Cow<'static, str>,
}

held::plain!(SignatureState, ProblemCode);

impl Held for Place {
    fn held(&self) -> usize {
        match self {
            Self::Whole | Self::Offset(_) => 0,
            Self::Path(path) => path.held(),
        }
    }
}

held::fields!(Problem {
    code,
    weakens_to,
    slice,
    place,
    detail,
});
held::fields!(Note { place, text });

/// The state that `problems` leave of `claim`.
pub fn weakest(claim: SignatureState, problems: &[Problem]) -> SignatureState {
    problems.iter().map(|p| p.weakens_to).fold(claim, Ord::min)
}
