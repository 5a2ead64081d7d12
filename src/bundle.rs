//! One candidate with everything that was found of it and judged: what a row is made of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use crate::codesign::{
    Anchor, Automata, BundleEntry, BundleSignature, BundleView, CodeVerdict, EntryKind,
    MainExecutable, Note, Place, Problem, ProblemCode, SealLimits, Sealed, SignatureState,
};
use crate::digest::{self, digest};
use crate::evidence::{Entry, Evidence, Executable, Trouble, fingerprint};
use crate::held::Held;
use crate::limits::Budget;
use crate::load::LoadVerdict;
use crate::meta::Kind;
use crate::order;
use crate::text::{self, escape, hex};

/// A candidate, its evidence judged.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What is on disk.
    pub evidence: Box<Evidence>,
    /// The bundle digest, when everything could be read.
    pub digest: Option<[u8; 32]>,
    /// What its signature is worth.
    pub signature: Arc<BundleSignature>,
    /// Whether it would load.
    pub load: LoadVerdict,
    /// The identifier of the exception that accepts it.
    pub exception: Option<Arc<str>>,
}

impl Bundle {
    /// A candidate of which everything but the digest has been judged.
    pub fn new(
        evidence: Box<Evidence>,
        signature: Arc<BundleSignature>,
        load: LoadVerdict,
    ) -> Self {
        Self {
            digest: digest(&evidence),
            signature,
            evidence,
            load,
            exception: None,
        }
    }

    /// The digest over what its links lead to; `None` when that could not be read whole, and where
    /// something that loads can stand in a resource fork.
    pub fn linked_digest(&self) -> Option<[u8; 32]> {
        if self.evidence.is_linked_cut || self.evidence.has_fork() {
            return None;
        }
        digest::of_reach(&self.evidence.reach)
    }

    /// The digest over what that holds, wherever it stands; `None` in the same cases.
    pub fn linked_content(&self) -> Option<[u8; 32]> {
        self.linked_digest()?;
        digest::of_reached_content(&self.evidence)
    }

    /// True when its digests say all of it, but for what its links lead to.
    pub fn is_read(&self) -> bool {
        let evidence = &self.evidence;
        let executable = evidence.executable.as_ref();
        self.digest.is_some()
            && !evidence.is_doubtful
            && !evidence.is_blind
            && executable.is_none_or(|e| !e.is_unread(evidence))
    }

    /// What stands for the digests where one of them is missing, so that a change shows all the same:
    /// the newest status change, the bytes, half a digest of what the file system says of each entry
    /// and of what links lead to, and the codes of why. One entry whose status change lies in the
    /// future must not stand for all. And where something can be exchanged without any of that, the day, so
    /// that it is told daily and not once.
    ///
    /// Where no digest is missing, half a digest of which sockets, FIFOs and devices there are: no other says it.
    pub fn unread(&self) -> String {
        let evidence = &self.evidence;
        if self.is_read() && self.linked_digest().is_some() {
            let specials = fingerprint::of_all_specials(evidence);
            return specials.map_or_else(String::new, |specials| {
                let (specials, _) = specials.split_at(16);
                format!("specials={}", hex(specials))
            });
        }
        let newest = evidence.newest_ctime_anywhere().unwrap_or_default();
        let mut entries = Sha256::new();
        entries.update(fingerprint::of(evidence));
        entries.update(fingerprint::of_linked(evidence).unwrap_or_default());
        let entries: [u8; 32] = entries.finalize().into();
        let (entries, _) = entries.split_at(16);
        let codes: BTreeSet<&str> = order::gather(evidence.troubles.iter().map(Trouble::code));
        let codes: Vec<&str> = codes.into_iter().collect();
        let blind = if evidence.is_blind {
            format!("unwatched={};", evidence.scanned_at.day())
        } else {
            String::new()
        };
        format!(
            "ctime={}.{:09};bytes={};entries={};{blind}{}",
            newest.seconds,
            newest.nanoseconds,
            evidence.bytes_anywhere(),
            hex(entries),
            codes.join(";")
        )
    }

    /// Who has signed a main executable that stands outside, by a chain to an anchor that is known:
    /// the anchor, and the leaf's name. Whether its pages hold as well is not asked.
    pub fn outside_signer(&self) -> Option<(Anchor, &str)> {
        let executable = self.evidence.executable.as_ref();
        let code = executable.filter(|e| e.is_outside())?.outside.code()?;
        let mut slices = code.slices.iter();
        let slice = slices.find(|slice| slice.anchor.names_somebody_known())?;
        Some((slice.anchor, &slice.claimed_signer))
    }

    /// The entries, each with what the seal says of it and its verdict as code.
    pub fn entries(&self) -> impl Iterator<Item = (&Entry, Option<Sealed>, Option<&CodeVerdict>)> {
        let signature = &self.signature;
        self.evidence.entries.iter().enumerate().map(|(i, entry)| {
            let sealed = signature.sealed.get(i).copied();
            let code = signature.code.get(i).and_then(Option::as_deref);
            (entry, sealed, code)
        })
    }
}

/// Judges the signature of a candidate whose contents were read, until the time is spent, and lets
/// go of the bytes that were kept for that.
pub fn judge_signature(
    evidence: &mut Evidence,
    until: Option<Instant>,
    automata: &Automata,
) -> BundleSignature {
    let mut signature = if evidence.is_bundle() {
        judge_bundle(evidence, until, automata)
    } else {
        judge_file(evidence)
    };
    // Thousands are held.
    signature.problems.shrink_to_fit();
    signature.notes.shrink_to_fit();
    evidence.kept.clear();
    if signature.is_cut_off {
        // What has a trouble is judged again by the next scan.
        let path = escape(&evidence.candidate.path);
        evidence.troubles.push(Trouble::Limit(format!(
            "the signature of {path} was not judged to the end: the time of the scan is spent"
        )));
    }
    signature
}

/// What is said of a signature for which the scan had no time left.
pub fn unjudged_signature(evidence: &mut Evidence) -> BundleSignature {
    evidence.kept.clear();
    // Said in the row as well; and what has a trouble is judged again by the next scan.
    let path = escape(&evidence.candidate.path);
    evidence.troubles.push(Trouble::Limit(format!(
        "the signature of {path} was not judged: the time of the scan is spent"
    )));
    let mut signature = nothing_known(evidence, Sealed::Unknown);
    signature.state = SignatureState::Unreadable;
    signature.problems.push(Problem::unreadable(
        ProblemCode::Limit,
        Place::Whole,
        "the time of the scan was spent before its turn",
    ));
    signature
}

/// Bytes of problems and notes that each bundle has for nothing.
const FREE: usize = 512;
/// Parts of the room for all that one bundle has at most.
const SHARE: usize = 8;
/// Bytes of a text where there is no room for more.
const MOST_WITHOUT_ROOM: usize = 96;

/// Counts the problems and notes of a signature, which whoever wrote the bundle can make as many and as long
/// as they like. Where there is no room for them the first problem of each code stays, and the state.
pub fn settle_signature(signature: &mut Arc<BundleSignature>, budget: &Budget) {
    let bytes = signature.problems.held();
    let bytes = bytes.saturating_add(signature.notes.held());
    let Some(more) = bytes.checked_sub(FREE) else {
        return;
    };
    let most = budget.limits.told.checked_div(SHARE).unwrap_or_default();
    if bytes <= most && budget.take_told(more) {
        return;
    }
    let signature = Arc::make_mut(signature);
    let mut codes = BTreeSet::new();
    signature.problems.retain(|p| codes.insert(p.code));
    for problem in &mut signature.problems {
        let detail = std::mem::take(&mut problem.detail).into_owned();
        problem.detail = text::cut(detail, MOST_WITHOUT_ROOM).into();
        if matches!(&problem.place, Place::Path(path) if path.len() > MOST_WITHOUT_ROOM) {
            problem.place = Place::Whole;
        }
    }
    signature.problems.shrink_to_fit();
    signature.notes = vec![Note {
        place: Place::Whole,
        text: "limit: there is no room for all that was found; dsplug --thorough has more".into(),
    }];
}

/// The signature of a candidate that has none, each of its entries with that word.
fn nothing_known(evidence: &Evidence, word: Sealed) -> BundleSignature {
    BundleSignature {
        state: SignatureState::Unsigned,
        problems: Vec::new(),
        notes: Vec::new(),
        signer: String::new(),
        claimed_signer: String::new(),
        authority: Vec::new(),
        anchor: Anchor::None,
        team_identifier: String::new(),
        signing_identifier: String::new(),
        cdhashes: Vec::new(),
        signing_time: None,
        notarization_ticket: false,
        sealed: vec![word; evidence.entries.len()],
        code: vec![None; evidence.entries.len()],
        unsealed_files: 0,
        is_cut_off: false,
        work: 0,
    }
}

fn judge_bundle(
    evidence: &Evidence,
    until: Option<Instant>,
    automata: &Automata,
) -> BundleSignature {
    let entries: Vec<BundleEntry<'_>> =
        evidence.entries.iter().map(|e| view(evidence, e)).collect();
    let main_executable = match &evidence.executable {
        _ if evidence.is_doubtful => MainExecutable::Unread,
        None => MainExecutable::Missing,
        Some(Executable {
            relative: Some(relative),
            meta,
            ..
        }) if meta.kind == Kind::File => MainExecutable::Inside(relative),
        Some(executable) if executable.is_unread(evidence) => MainExecutable::Unread,
        Some(_) => MainExecutable::Irregular,
    };
    let view = BundleView {
        entries: &entries,
        complete: evidence.is_whole && !evidence.is_doubtful,
        main_executable,
        info_plist: evidence.info_plist.as_ref().map(|p| p.relative.as_slice()),
        resource_fork: evidence.attributes.resource_fork,
        finder_info: evidence.attributes.finder_info,
    };
    let limits = SealLimits {
        until,
        ..SealLimits::default()
    };
    crate::codesign::judge(&view, &limits, automata)
}

fn view<'a>(evidence: &'a Evidence, entry: &'a Entry) -> BundleEntry<'a> {
    let attributes = entry.attributes.as_deref();
    BundleEntry {
        kind: match entry.meta.kind {
            Kind::File => EntryKind::File,
            Kind::Directory => EntryKind::Directory,
            Kind::Symlink => EntryKind::Symlink,
            Kind::Other(_) => EntryKind::Other,
        },
        size: entry.meta.size,
        executable: entry.meta.is_executable(),
        sha256: entry.content.sha256().copied(),
        sha1: entry.content.sha1().copied(),
        target: entry.link.as_deref(),
        resource_fork: attributes.is_some_and(|a| a.resource_fork),
        finder_info: attributes.is_some_and(|a| a.finder_info),
        bytes: evidence.kept.get(entry.path.as_ref()).map(Vec::as_slice),
        code: entry.content.code(),
        ..BundleEntry::new(&entry.path, EntryKind::File)
    }
}

/// What the signature of a candidate that is no bundle is worth: that of a Mach-O file on its own.
fn judge_file(evidence: &Evidence) -> BundleSignature {
    let mut signature = nothing_known(evidence, Sealed::Unsealed);
    let Some(entry) = evidence.entries.first() else {
        // A broken link or a device bears no signature; what could not be read may.
        let is_broken = |t: &Trouble| matches!(t, Trouble::BrokenSymlink(_));
        if evidence.resolved_meta.is_none() && !evidence.troubles.iter().any(is_broken) {
            signature.state = SignatureState::Unreadable;
        }
        return signature;
    };
    signature.unsealed_files = 1;
    let Some(facts) = entry.content.code() else {
        if entry.content.sha256().is_none() {
            signature.state = SignatureState::Unreadable;
        }
        return signature;
    };
    let mut facts = facts.clone();
    facts.judge_standalone();
    signature.state = facts.state();
    signature.problems = facts.all_problems().cloned().collect();
    signature.notes.clone_from(&facts.notes);
    if let Some(slice) = facts.weakest_slice() {
        signature.claimed_signer.clone_from(&slice.claimed_signer);
        signature.anchor = slice.anchor;
        if signature.state.holds() {
            signature.team_identifier = facts.team_identifier().to_owned();
            signature.signing_identifier = slice.identifier().to_owned();
            signature.cdhashes = facts.cdhashes();
            signature.unsealed_files = 0;
            signature.sealed = vec![Sealed::Sealed];
        }
        if signature.state == SignatureState::Signed {
            signature.authority.clone_from(&slice.authority);
            signature.signer = slice.signer().unwrap_or_default().to_owned();
            signature.signing_time = slice.signing_time;
        }
    }
    signature.code = vec![Some(Box::new(CodeVerdict {
        state: signature.state,
        signer: signature.signer.clone(),
        cdhashes: signature.cdhashes.clone(),
    }))];
    signature
}
