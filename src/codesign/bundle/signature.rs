//! What a bundle's signature is worth, and what its seal says of each entry.

use crate::codesign::verdict::{Anchor, Note, Problem, SignatureState};

/// What the seal says of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sealed {
    /// It is what was sealed: for code, its own signature holds too.
    Sealed,
    /// It was sealed, and it is not what was sealed.
    Altered,
    /// No seal covers it.
    Unsealed,
    /// The seal leaves it out, as Apple's rules allow, and it is no code; directories, which
    /// hold nothing of their own, are in this class.
    Excluded,
    /// It cannot be told: the signature or the seal itself does not hold, or a part was not read.
    Unknown,
}

impl Sealed {
    /// The word for it, as the tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Altered => "altered",
            Self::Unsealed => "unsealed",
            Self::Excluded => "excluded",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of one Mach-O file inside of a bundle, once its place in the bundle is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeVerdict {
    /// Its state.
    pub state: SignatureState,
    /// The signer's common name; `""` unless the state is [`SignatureState::Signed`].
    pub signer: String,
    /// The cdhashes of its slices, each once; only of a signature that holds.
    pub cdhashes: Vec<[u8; 20]>,
}

/// What a bundle's signature is worth.
///
/// A signature that does not hold lends nothing: the identifiers are empty then, and the anchor is
/// [`Anchor::Untrusted`] or [`Anchor::None`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSignature {
    /// The weakest of the main executable's slices and of all problems.
    pub state: SignatureState,
    /// What does not hold.
    pub problems: Vec<Problem>,
    /// What is worth saying besides.
    pub notes: Vec<Note>,
    /// The signer's common name; `""` unless the state is [`SignatureState::Signed`].
    pub signer: String,
    /// The leaf's common name as found, verified or not; `""` without one.
    pub claimed_signer: String,
    /// Common names of the verified chain, leaf to root; empty unless the state is
    /// [`SignatureState::Signed`].
    pub authority: Vec<String>,
    /// What the verified chain ends in.
    pub anchor: Anchor,
    /// The team identifier; `""` without one, and where the leaf was issued to another team.
    pub team_identifier: String,
    /// The signing identifier; `""` without one.
    pub signing_identifier: String,
    /// The cdhashes of the main executable's slices, each once, in file order.
    pub cdhashes: Vec<[u8; 20]>,
    /// Time of the secure timestamp, in seconds of Unix time.
    pub signing_time: Option<i64>,
    /// True when a notarization ticket is stapled to it, whatever the signature is worth. Whether
    /// Apple issued the ticket is not known.
    pub notarization_ticket: bool,
    /// What the seal says of each entry, in the order of [`BundleView::entries`](super::BundleView::entries).
    pub sealed: Vec<Sealed>,
    /// For each entry in the order of [`BundleView::entries`](super::BundleView::entries): the verdict, if it is a
    /// Mach-O file.
    pub code: Vec<Option<Box<CodeVerdict>>>,
    /// Files and symlinks whose word is [`Sealed::Unsealed`].
    pub unsealed_files: u64,
    /// True when the time was spent before all was judged: another judgement may find more.
    pub is_cut_off: bool,
    /// How much there was to judge, in about microseconds. It hangs on the bytes alone, and on no machine.
    pub work: u64,
}
