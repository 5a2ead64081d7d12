//! What was found of a candidate, with its entries packed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::again::code_bytes;
use super::entry::Entry;
use super::facts::Evidence;
use super::packed::Packed;
use super::reach::{Linked, Reach};
use crate::order;

/// What was found of a candidate, packed.
#[derive(Debug)]
pub struct PackedEvidence {
    /// All of it but the entries.
    pub facts: Box<Evidence>,
    /// Those.
    entries: Packed,
    /// Bytes of all that may run of it.
    pub code_bytes: u64,
    /// Bytes of what is known of that.
    pub code_facts: usize,
}

impl PackedEvidence {
    /// Packs what was found; of what has not changed `before` has the entries already.
    pub fn of(evidence: &Evidence, before: Option<Self>) -> Self {
        let lack_texts = |e: &Entry| e.attributes.as_ref().is_some_and(|a| a.lack_texts());
        let is_same = evidence.is_unchanged && !evidence.entries.iter().any(lack_texts);
        let before = before.filter(|_| is_same);
        let entries = before.map_or_else(|| Packed::of(&evidence.entries), |b| b.entries);
        let mut facts = Box::new(evidence.clone());
        facts.entries = Arc::default();
        facts.reach = packed_reach(&evidence.reach);
        Self {
            facts,
            entries,
            code_bytes: code_bytes(evidence),
            code_facts: evidence
                .code_facts()
                .saturating_add(evidence.linked_facts()),
        }
    }

    /// What was found, with what was known of the entries that stand there now.
    pub fn unpack(&self, now: &[Entry]) -> Evidence {
        let mut evidence = self.facts.as_ref().clone();
        let (entries, is_all) = self.entries.unpack(now);
        evidence.entries = Arc::new(entries);
        evidence.is_whole &= is_all;
        evidence
    }

    /// Bytes that it takes in memory, likewise.
    pub fn held(&self) -> usize {
        let facts = self.facts.as_ref();
        let paths = [&facts.candidate.path, &facts.resolved_path];
        let paths = paths.map(|path| path.len()).iter().sum::<usize>();
        let places = facts.reach.places.iter().map(|(path, place)| {
            let packed = place.packed.as_ref().map_or(0, |packed| packed.held());
            path.len()
                .saturating_add(size_of::<Linked>())
                .saturating_add(size_of::<Packed>())
                .saturating_add(packed)
        });
        let own = size_of::<Self>().saturating_add(size_of::<Evidence>());
        let own = own
            .saturating_add(paths)
            .saturating_add(self.entries.held());
        places.fold(own, usize::saturating_add)
    }
}

/// Of what is reached outside that which saves reading.
fn packed_reach(reach: &Arc<Reach>) -> Arc<Reach> {
    if reach.places.is_empty() {
        return Arc::clone(reach);
    }
    let places = reach.places.iter().map(|(path, place)| {
        let packed = Linked {
            meta: place.meta,
            entries: Vec::new(),
            packed: Some(Box::new(Packed::of(&place.entries))),
            is_whole: place.is_whole,
        };
        (path.to_vec(), packed)
    });
    Arc::new(Reach {
        places: order::gather::<BTreeMap<_, _>, _>(places).into(),
        beyond: reach.beyond.clone(),
        ..Reach::default()
    })
}
