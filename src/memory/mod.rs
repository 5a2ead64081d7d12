//! What earlier scans learned of each candidate.

mod seats;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::bundle::Bundle;
use crate::codesign::BundleSignature;
use crate::evidence::{Evidence, PackedEvidence, ReadAt, code_bytes};
use crate::folders::{Candidate, FOLDERS, Folder, FolderError, Known};
use crate::limits::Limits;
use crate::order;
use seats::Seats;

/// Bytes of code that one scan reads again for its age, of candidates that have at most so many: no number of large ones
/// holds up a small one. Of those that are larger than a room it is one.
const ROOMS: [(u64, u64); 4] = [
    (1 << 20, 128 << 20),
    (8 << 20, 128 << 20),
    (128 << 20, 128 << 20),
    (u64::MAX, u64::MAX),
];
/// How often it is tried within the time after which code is to be read again, where it could not be.
const TRIES: u32 = 3;
/// For how many entries all that is remembered may count, but for entries that are packed: while a scan runs it is
/// held beside what has changed since.
const MOST_ENTRIES: usize = 16_000;
/// For how many one candidate counts whose entries are packed. One that counts for no more is kept as it was found, for
/// which it takes less.
const PACKED: usize = 24;
/// Bytes of the entries that are packed: as many as a scan may find fit in.
const MOST_PACKED: usize = 7 << 20;
/// Bytes that a signature takes for each entry.
const OF_SIGNATURE: usize = 9;

/// What the scans before found, by the candidate's path.
#[derive(Debug, Default)]
pub struct Memory {
    bundles: BTreeMap<Vec<u8>, Kept>,
    /// When code was last tried to be read again.
    tried: BTreeMap<Vec<u8>, ReadAt>,
    /// Every candidate that had a row, of each plug-in folder.
    shown: [Known; FOLDERS.len()],
    /// Those of which it is not known what their links lead to, or not all of it.
    turns: Turns,
    seats: Seats,
}

/// Candidates that wait for a turn.
pub type Turns = BTreeMap<Vec<u8>, Wait>;

/// How one waits for its turn: the less, the longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// The number of the scan in which it had its last turn, or in which it came.
    pub since: u64,
    /// True when it had one.
    pub had_turn: bool,
}

/// What is kept of one candidate.
#[derive(Debug)]
enum Kept {
    Whole(Arc<Bundle>),
    Packed(PackedEvidence, Arc<BundleSignature>),
}

/// What an earlier scan found of a candidate.
#[derive(Debug)]
pub struct Past<'m> {
    /// All of it.
    pub evidence: Cow<'m, Evidence>,
    /// What its signature was worth.
    pub signature: &'m Arc<BundleSignature>,
    /// True while it is worth something.
    pub is_fresh: bool,
}

impl Kept {
    /// What was found of it; the entries may be missing.
    fn facts(&self) -> &Evidence {
        match self {
            Self::Whole(bundle) => &bundle.evidence,
            Self::Packed(packed, _) => &packed.facts,
        }
    }

    fn is_fresh(&self, now: &ReadAt) -> bool {
        self.facts().read_at.is_fresh(now)
    }

    /// For how many entries it counts where it is kept as it was found.
    fn weight(&self) -> usize {
        match self {
            Self::Whole(bundle) => bundle.evidence.held_for(),
            Self::Packed(..) => 0,
        }
    }

    /// Bytes of all that may run of it.
    fn code_bytes(&self) -> u64 {
        match self {
            Self::Whole(bundle) => code_bytes(&bundle.evidence),
            Self::Packed(packed, _) => packed.code_bytes,
        }
    }

    /// Bytes of what is known of that.
    fn code_facts(&self) -> usize {
        match self {
            Self::Whole(bundle) => {
                let own = bundle.evidence.code_facts();
                own.saturating_add(bundle.evidence.linked_facts())
            }
            Self::Packed(packed, _) => packed.code_facts,
        }
    }

    /// Packs what was found.
    fn pack(bundle: &Bundle, old: Option<Self>) -> Self {
        let old = match old {
            Some(Self::Packed(packed, _)) => Some(packed),
            _ => None,
        };
        let packed = PackedEvidence::of(&bundle.evidence, old);
        Self::Packed(packed, Arc::clone(&bundle.signature))
    }

    /// Bytes that it takes where it is packed.
    fn packed_bytes(&self) -> usize {
        match self {
            Self::Whole(_) => 0,
            Self::Packed(packed, signature) => {
                let signature = signature.sealed.len().saturating_mul(OF_SIGNATURE);
                packed.held().saturating_add(signature)
            }
        }
    }
}

impl Memory {
    /// Keeps what a scan found in place of what was kept before.
    pub fn keep(&mut self, bundles: &[Arc<Bundle>], folders: &[Folder], limits: &Limits) {
        self.seats.keep(bundles, limits.scan_entries);
        for (index, (shown, folder)) in self.shown.iter_mut().zip(folders).enumerate() {
            // What stands in a folder that could not be listed may stand there still.
            if matches!(folder.error, Some(FolderError::Unreadable(_))) {
                continue;
            }
            let candidates = bundles.iter().map(|b| &b.evidence.candidate);
            let candidates = candidates.filter(|c| c.folder == index && c.left_out.is_empty());
            shown.replace(candidates);
        }
        let mut by_weight: Vec<_> = bundles.iter().map(|b| (b.evidence.held_for(), b)).collect();
        order::sort_by_key(&mut by_weight, |(weight, _)| *weight);
        by_weight.truncate(MOST_ENTRIES / PACKED);
        let own = by_weight.len().saturating_mul(PACKED);
        let (mut left, mut left_packed) = (MOST_ENTRIES.saturating_sub(own), MOST_PACKED);
        let mut known = std::mem::take(&mut self.bundles);
        self.bundles = order::gather(by_weight.into_iter().map_while(|(weight, b)| {
            let path = b.evidence.candidate.path.clone();
            // Let go of one by one, as what takes their place comes.
            let kept = match known.remove(&path) {
                // What there was no time to look at is as it was known.
                Some(old) if b.evidence.is_unsurveyed => {
                    left = left.saturating_sub(old.weight().saturating_sub(PACKED));
                    old
                }
                old => match left.checked_sub(weight.saturating_sub(PACKED)) {
                    Some(rest) => {
                        left = rest;
                        Kept::Whole(Arc::clone(b))
                    }
                    None => Kept::pack(b, old),
                },
            };
            left_packed = left_packed.checked_sub(kept.packed_bytes())?;
            Some((path, kept))
        }));
    }

    /// For how many entries a candidate may count before what is new has any; nothing where it was not found whole.
    pub fn seat(&self, path: &[u8]) -> Option<usize> {
        self.seats.of(path)
    }

    /// These had rows in an earlier process: what stands of them has one again before what is new, as far as there is room.
    pub fn know(&mut self, paths: &[Vec<u8>], limits: &Limits) {
        let mut bytes = 0_usize;
        let candidates = paths.iter().filter_map(|path| Candidate::remembered(path));
        let candidates: Vec<_> = candidates
            .take(limits.candidates)
            .take_while(|candidate| {
                bytes = bytes.saturating_add(candidate.path.len());
                bytes <= limits.candidate_paths
            })
            .collect();
        for (index, shown) in self.shown.iter_mut().enumerate() {
            shown.replace(candidates.iter().filter(|c| c.folder == index));
        }
    }

    /// True when all that the last scan found is kept as it was found: holding it takes no more memory.
    pub fn is_whole(&self, bundles: &[Arc<Bundle>]) -> bool {
        let is_kept = |bundle: &Arc<Bundle>| match self.bundles.get(&bundle.evidence.candidate.path)
        {
            Some(Kept::Whole(kept)) => Arc::ptr_eq(kept, bundle),
            _ => false,
        };
        bundles.iter().all(is_kept)
    }

    /// What the last scan had rows of, of a plug-in folder.
    pub fn shown(&self, folder: usize) -> Option<&Known> {
        self.shown.get(folder)
    }

    /// The candidates whose code is read again because that is `age` ago: those first that were tried longest ago, as
    /// much of each size as one scan may take, and one that is larger. A page that is dirty already and is written
    /// through a shared mapping leaves every time of the file as it was.
    pub fn due(&self, now: &ReadAt, age: Duration) -> BTreeSet<Vec<u8>> {
        let old = self.bundles.iter().filter_map(|(path, kept)| {
            let facts = kept.facts();
            let read = facts
                .code_read_at
                .age(now)
                .max(facts.linked_read_at.age(now));
            let tried = self.tried.get(path).map_or(read, |tried| tried.age(now));
            let goes_on = facts.linked_turn.is_some();
            (read >= age && (goes_on || tried >= age / TRIES)).then_some((tried, path, kept))
        });
        let mut old: Vec<_> = old.collect();
        order::sort_by_key(&mut old, |(tried, ..)| std::cmp::Reverse(*tried));
        let mut rooms = ROOMS;
        let mut due = BTreeSet::new();
        for (_, path, kept) in old {
            let bytes = kept.code_bytes();
            let room = rooms.iter_mut().find(|(most, _)| bytes <= *most);
            let Some((most, left)) = room.filter(|(_, left)| bytes <= *left) else {
                continue;
            };
            *left = if *most == u64::MAX {
                0
            } else {
                left.saturating_sub(bytes)
            };
            due.insert(path.clone());
        }
        due
    }

    /// These were tried to be read again, and may not have been.
    pub fn tried(&mut self, due: BTreeSet<Vec<u8>>, now: ReadAt) {
        self.tried.retain(|path, _| self.bundles.contains_key(path));
        self.tried.extend(due.into_iter().map(|path| (path, now)));
    }

    /// How a candidate waits for its turn.
    pub fn waits(&self, path: &[u8]) -> Option<Wait> {
        self.turns.get(path).copied()
    }

    /// These wait from now on.
    pub fn wait(&mut self, turns: Turns) {
        self.turns = turns;
    }

    /// Bytes of what is known of all code, and those candidates whose part has room whatever comes new: the ones of which
    /// there is least to know.
    pub fn code_facts(&self, room: usize, now: &ReadAt) -> (usize, BTreeMap<&[u8], usize>) {
        let each = self.bundles.iter();
        let each = each.filter(|(_, kept)| kept.is_fresh(now));
        let mut each: Vec<_> = each.map(|(path, kept)| (kept.code_facts(), path)).collect();
        order::sort_by_key(&mut each, |(facts, _)| *facts);
        let (mut all, mut safe) = (0_usize, BTreeMap::new());
        for (facts, path) in each {
            all = all.saturating_add(facts);
            if all <= room {
                safe.insert(path.as_slice(), facts);
            }
        }
        (all, safe)
    }

    /// What is still worth something of a candidate; its entries may be missing.
    pub fn of(&self, path: &[u8], now: &ReadAt) -> Option<&Evidence> {
        self.fresh(path, now).map(Kept::facts)
    }

    /// The same of one that was looked at by now, with its entries: those that are packed are known by what stands
    /// there. Of what is worth nothing any more what the same bytes are as code holds still.
    pub fn whole(&self, evidence: &Evidence, now: &ReadAt) -> Option<Past<'_>> {
        let kept = self.bundles.get(&evidence.candidate.path)?;
        let is_fresh = kept.is_fresh(now);
        Some(match kept {
            Kept::Whole(bundle) => Past {
                evidence: Cow::Borrowed(&bundle.evidence),
                signature: &bundle.signature,
                is_fresh,
            },
            Kept::Packed(packed, signature) => Past {
                evidence: Cow::Owned(packed.unpack(&evidence.entries)),
                signature,
                is_fresh,
            },
        })
    }

    fn fresh(&self, path: &[u8], now: &ReadAt) -> Option<&Kept> {
        self.bundles.get(path).filter(|kept| kept.is_fresh(now))
    }
}
