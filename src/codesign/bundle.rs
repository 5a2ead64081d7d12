//! The judgement of a whole bundle: its main executable's signature, its layout, and its seal.

use std::time::Instant;

use super::facts::{Anchor, CodeFacts, Note, Problem, SignatureState};
use super::judge::Judge;
use super::layout::Layout;
use super::ticket;
use super::view::{BundleView, EntryKind};

/// Bounds on the work that one bundle's seals may cost.
#[derive(Clone, Copy, Debug)]
pub struct SealLimits {
    /// Bytes of all the seals that are parsed, nested bundles' included.
    pub seal_bytes: u64,
    /// Nested bundles, one inside of the other.
    pub depth: u32,
    /// Rules of one seal.
    pub rules: usize,
    /// Bytes of paths matched against rules, over all of the bundle: each costs one step of an
    /// automaton, whose making has bounds of its own ([`ere`](super::ere)).
    pub matched_bytes: u64,
    /// When to leave off, whatever is left to judge.
    pub until: Option<Instant>,
}

impl Default for SealLimits {
    fn default() -> Self {
        Self {
            seal_bytes: 16 << 20,
            depth: 8,
            rules: 48,
            matched_bytes: 64 << 20,
            until: None,
        }
    }
}

/// What the seal says of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sealed {
    /// It is what was sealed: for code, its own signature holds too.
    Sealed,
    /// It was sealed, and it is not what was sealed.
    Altered,
    /// No seal covers it.
    Unsealed,
    /// The seal leaves it out, as Apple's rules allow; directories, which hold nothing
    /// of their own, are in this class.
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
    /// What the seal says of each entry, in the order of [`BundleView::entries`].
    pub sealed: Vec<Sealed>,
    /// For each entry in the order of [`BundleView::entries`]: the verdict, if it is a Mach-O file.
    pub code: Vec<Option<CodeVerdict>>,
    /// Files and symlinks whose word is [`Sealed::Unsealed`].
    pub unsealed_files: u64,
    /// True when the time was spent before all was judged: another judgement may find more.
    pub is_cut_off: bool,
}

/// Judges a bundle as `codesign --verify --deep --strict --all-architectures` would, by Apple's
/// published sources, and more strictly where they pass over something:
///
/// - an Info.plist that the signature does not bind is a problem (`info_plist`);
/// - nested code must have the cdhash in the seal: that it satisfies the seal's requirement is not
///   enough, so that a later version by the same signer counts as another (`nested_code`);
/// - `CodeResources` and `_MASReceipt` beside the sealed folders may be nothing but the link of
///   old, a notarization ticket, and the App Store's receipt (`resource_added`);
/// - a notarization ticket that is not one to its last byte counts as unsealed;
/// - what Apple's rules leave out, such as `PkgInfo` or a `.DS_Store`, may not be code
///   (`unsealed_code`, `bundle_layout`);
/// - a property list that readers take in different ways, such as one with a key twice, is
///   damaged (`seal`, `entitlements`);
/// - a signature in files of its own, beside code that carries none, is not accepted
///   (`main_executable`); one in extended attributes of code that is no Mach-O file is not seen.
///
/// Paths are compared as bytes, as Apple does: where a disk is read by something that changes the
/// Unicode form of its names, such as an HFS+ volume on another system, names beyond ASCII are not
/// found in the seal. Revocation and notarization are not looked at.
pub fn judge(view: &BundleView<'_>, limits: &SealLimits) -> BundleSignature {
    let mut judge = Judge::new(view, limits);
    let outcome = judge.bundle(&Layout::of_view(view), 0);
    judge.remaining_code();
    let state = outcome.state;
    let code = outcome.code.unwrap_or_default();
    let claimed_signer = code.claimed_signer().to_owned();
    let holds = if state.holds() {
        code
    } else {
        CodeFacts::default()
    };
    let anchor = match state {
        SignatureState::Signed => holds.anchor(),
        SignatureState::Adhoc | SignatureState::Unsigned => Anchor::None,
        _ if claimed_signer.is_empty() => Anchor::None,
        _ => Anchor::Untrusted,
    };
    let unsealed = view
        .entries
        .iter()
        .zip(&judge.words)
        .filter(|(entry, word)| {
            matches!(entry.kind, EntryKind::File | EntryKind::Symlink) && **word == Sealed::Unsealed
        })
        .count();
    BundleSignature {
        state,
        problems: outcome.findings.problems,
        notes: outcome.findings.notes,
        signer: holds.signer().to_owned(),
        claimed_signer,
        authority: holds.authority().to_vec(),
        anchor,
        team_identifier: holds.team_identifier().to_owned(),
        signing_identifier: holds.identifier().to_owned(),
        cdhashes: holds.cdhashes(),
        signing_time: holds.signing_time(),
        notarization_ticket: ticket::is_stapled(view),
        sealed: judge.words,
        code: judge.code.iter().map(|c| c.as_ref().map(verdict)).collect(),
        unsealed_files: u64::try_from(unsealed).unwrap_or(u64::MAX),
        is_cut_off: judge.is_cut_off,
    }
}

fn verdict(code: &CodeFacts) -> CodeVerdict {
    CodeVerdict {
        state: code.state(),
        signer: code.signer().to_owned(),
        cdhashes: code.cdhashes(),
    }
}
