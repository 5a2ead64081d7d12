//! The judgement of a whole bundle: its main executable's signature, its layout, and its seal.
//!
//! `view` is the evidence; `layout`, `seal`, `listed`, `rules`, `ere`, `ticket` and `slots` read of it what their
//! names say. `judge` keeps account, `parts` goes through one bundle, `main_code` through its code, and
//! `resources` through its files, each by `resource`; bundles in it go through `parts` again.
//! `signature` is what comes of it.

pub mod ere;
mod judge;
mod layout;
mod listed;
mod main_code;
mod parts;
mod resource;
mod resources;
mod rules;
mod seal;
mod signature;
mod slots;
mod ticket;
mod view;

use crate::codesign::verdict::{Anchor, CodeFacts, SignatureState};
use judge::Judge;
use layout::Layout;

pub use ere::Automata;
pub use judge::SealLimits;
pub use seal::sha1_entries;
pub use signature::{BundleSignature, CodeVerdict, Sealed};
pub use view::{BundleEntry, BundleView, EntryKind, MainExecutable, wants_bytes};

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
///
/// What is compiled of its rules is kept in `automata` for the bundles after it.
pub fn judge(view: &BundleView<'_>, limits: &SealLimits, automata: &Automata) -> BundleSignature {
    let mut judge = Judge::new(view, limits, automata);
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
    let work = judge.work();
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
        code: judge
            .code
            .iter()
            .map(|c| c.as_ref().map(|c| Box::new(verdict(c))))
            .collect(),
        unsealed_files: u64::try_from(unsealed).unwrap_or(u64::MAX),
        is_cut_off: judge.is_cut_off,
        work,
    }
}

fn verdict(code: &CodeFacts) -> CodeVerdict {
    CodeVerdict {
        state: code.state(),
        signer: code.signer().to_owned(),
        cdhashes: code.cdhashes(),
    }
}
