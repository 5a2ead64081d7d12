//! What a bundle has to offer to the entries of a list of exceptions.

use crate::bundle::Bundle;
use crate::codesign::SignatureState;
use crate::text::{escape, hex};

/// What an entry can ask for but for the cdhashes.
pub(super) const FIELDS: usize = 10;

/// What a bundle has to offer, made once for all entries.
pub(super) struct Offer {
    /// True when no entry can accept it: for the row that says what of a folder was left out, which
    /// nobody has seen, and for a bundle of which something that it is judged by was not read, can be
    /// exchanged unseen, may be another thing for each who asks, or is a socket, FIFO or device, of which no digest
    /// says which.
    pub(super) is_unknown: bool,
    /// True when its main executable stands outside of it.
    pub(super) is_outside: bool,
    /// True when under another name another file of it runs.
    pub(super) runs_by_name: bool,
    /// True when code of it can stand where no digest of its own reaches.
    pub(super) reaches_out: bool,
    /// For each thing that can be asked, in the order in which an entry asks; `None` where nothing vouches for it.
    pub(super) fields: [Option<String>; FIELDS],
    /// Those of all slices; none where no signature holds.
    pub(super) cdhashes: Vec<[u8; 20]>,
}

impl Offer {
    /// That of a bundle.
    pub(super) fn of(bundle: &Bundle) -> Self {
        let signature = &bundle.signature;
        let verified =
            signature.state == SignatureState::Signed && signature.anchor.names_somebody_known();
        let evidence = &bundle.evidence;
        let info = evidence.info_plist.as_ref();
        let info = info.and_then(|p| p.info.as_ref().ok());
        let vouched = |text: &str| (verified && !text.is_empty()).then(|| text.to_owned());
        let cdhashes = signature.cdhashes.iter().copied();
        Self {
            is_unknown: evidence.is_folder()
                || evidence.is_doubtful
                || evidence.is_blind
                || evidence.comes_back
                || evidence.has_specials()
                || evidence.is_served(),
            is_outside: evidence.executable.as_ref().is_some_and(|e| e.is_outside()),
            runs_by_name: evidence.runs_by_name(),
            reaches_out: evidence.reaches_out(),
            fields: [
                Some(escape(&evidence.candidate.path)),
                info.and_then(|i| vouched(i.identifier.as_str())),
                vouched(&signature.team_identifier),
                bundle.digest.map(|digits| hex(&digits)),
                vouched(&signature.signer),
                executable_digest(bundle).map(|digits| hex(digits)),
                Some(bundle.load.as_str().to_owned()),
                Some(evidence.kind().as_str().to_owned()),
                Some(evidence.candidate.via.as_str().to_owned()),
                bundle.linked_digest().map(|digits| hex(&digits)),
            ],
            cdhashes: cdhashes.filter(|_| signature.state.holds()).collect(),
        }
    }
}

/// SHA-256 of the main executable, wherever it stands.
pub(super) fn executable_digest(bundle: &Bundle) -> Option<&[u8; 32]> {
    let executable = bundle.evidence.executable.as_ref()?;
    executable.content(&bundle.evidence).sha256()
}
