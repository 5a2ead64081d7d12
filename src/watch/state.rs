//! What a bundle is, as events tell it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::now::Now;
use crate::bundle::Bundle;
use crate::event::{Action, Digits, Event, NOT_LOOKED, Seen, State};
use crate::evidence::{Entry, Evidence, fingerprint};
use crate::table::{BUNDLES, Value};
use crate::text::{self, escape};

/// Bytes of a text that an event keeps: the journal holds thousands.
const MOST_TEXT: usize = 512;

/// A digest of a [`Key`].
pub type Print = [u8; 32];

/// What tells two looks at one bundle apart, without the cost of words.
#[derive(Debug)]
pub struct Key {
    fingerprint: [u8; 32],
    digest: Option<[u8; 32]>,
    outside: Option<[u8; 32]>,
    /// What stands where links lead, and what the file system says of it.
    linked: [Option<[u8; 32]>; 2],
    ways: Option<[u8; 32]>,
    is_linked_late: bool,
    exception: Option<Arc<str>>,
    verdict: &'static str,
}

impl Key {
    /// That of a bundle.
    pub fn of(bundle: &Bundle) -> Self {
        let executable = bundle.evidence.executable.as_ref();
        Self {
            fingerprint: fingerprint::of(&bundle.evidence),
            digest: bundle.digest,
            outside: executable.and_then(|e| e.outside.sha256().copied()),
            linked: [
                bundle.linked_digest(),
                fingerprint::of_linked(&bundle.evidence),
            ],
            ways: fingerprint::of_ways(&bundle.evidence),
            is_linked_late: bundle.evidence.is_linked_late,
            exception: bundle.exception.clone(),
            verdict: bundle.load.as_str(),
        }
    }

    /// What stands for it where thousands are held: nobody finds two with the same.
    pub fn print(&self) -> Print {
        let Self {
            fingerprint,
            digest,
            outside,
            linked: [linked, linked_print],
            ways,
            is_linked_late,
            exception,
            verdict,
        } = self;
        let mut all = Sha256::new();
        all.update(fingerprint);
        for part in [digest, outside, linked, linked_print, ways] {
            all.update([u8::from(part.is_some())]);
            all.update(part.unwrap_or_default());
        }
        all.update([u8::from(*is_linked_late), u8::from(exception.is_some())]);
        all.update(exception.as_deref().unwrap_or_default());
        all.update([0]);
        all.update(verdict);
        all.finalize().into()
    }

    fn linked_fingerprint(&self) -> Digits {
        match self.linked {
            _ if self.is_linked_late => NOT_LOOKED.into(),
            [_, print] => print.into(),
        }
    }

    fn way_fingerprint(&self) -> Digits {
        self.ways.filter(|_| !self.is_linked_late).into()
    }

    /// What a bundle with this key is. Its texts are those of one that is `like` it, where they are the same: what is made
    /// only to be let go of leaves holes between what thousands hold for long.
    pub fn state(&self, bundle: &Bundle, like: Option<&State>) -> State {
        let mut state = State {
            fingerprint: self.fingerprint.into(),
            linked_fingerprint: self.linked_fingerprint(),
            way_fingerprint: self.way_fingerprint(),
            ..State::default()
        };
        // The columns of `dsplug_bundles` say it all, and in the same words.
        for column in BUNDLES.columns() {
            let digest = match column.name {
                "hash" => Some(&mut state.hash),
                "linked_hash" => Some(&mut state.linked_hash),
                "executable_hash" => Some(&mut state.executable_hash),
                _ => None,
            };
            if let (Some(place), Value::Text(digits)) = (digest, (column.get)(bundle)) {
                *place = digits.as_str().into();
                continue;
            }
            let place = match column.name {
                "kind" => &mut state.kind,
                "executable" => &mut state.executable,
                "bundle_identifier" => &mut state.bundle_identifier,
                "signature_state" => &mut state.signature_state,
                "signer" => &mut state.signer,
                "anchor" => &mut state.anchor,
                "team_identifier" => &mut state.team_identifier,
                "cdhash" => &mut state.cdhash,
                "load_verdict" => &mut state.load_verdict,
                "exception" => &mut state.exception,
                "error" => &mut state.error,
                "info_plist" => &mut state.info_plist,
                "symlink_target" => &mut state.symlink_target,
                "resolved_path" => &mut state.resolved_path,
                "mode" => &mut state.mode,
                _ => continue,
            };
            // One that is empty takes no memory until it is made anew.
            if let Value::Text(text) = (column.get)(bundle)
                && !text.is_empty()
            {
                let text = text::cut(text, MOST_TEXT);
                let known = like.and_then(|like| like.text(&text));
                *place = known.unwrap_or_else(|| text.into());
            }
        }
        if bundle.digest.is_some() {
            let entries = bundle.evidence.entries.iter();
            state.code_hash = code_hash(entries.map(|e| (b"".as_slice(), e)));
            let specials = fingerprint::of_specials(&bundle.evidence);
            state.specials = specials.map(|print| Box::new(print.into()));
            state.inside = Some(inside(&bundle.evidence));
            state.written = Some(number_of(fingerprint::of_written(&bundle.evidence)));
        }
        if !self.is_linked_late {
            let linked = bundle.evidence.reach.places.iter();
            let places = linked.flat_map(|(path, place)| {
                let entries = place.entries.iter();
                entries.map(move |e| (path, e))
            });
            state.linked_code_hash = code_hash(places);
            let print = fingerprint::of_linked_written(&bundle.evidence);
            state.linked_written = Some(print.map_or(0, number_of));
            let has_content = bundle.evidence.reach.has_content();
            let content = bundle.linked_content().filter(|_| has_content);
            state.linked_content = content.and_then(|all| all.first_chunk().copied());
        }
        let evidence = &bundle.evidence;
        // What was not looked at may be anything.
        let is_known = evidence.resolved_meta.is_some() && !evidence.is_unsurveyed;
        if is_known && (!bundle.is_read() || evidence.is_linked_cut) {
            state.unread = Some(Box::new(fingerprint::of_resolved(evidence)));
        }
        let meta = evidence.meta.as_ref();
        (state.uid, state.gid) = (meta.map(|m| m.uid), meta.map(|m| m.gid));
        let plist = evidence.info_plist.as_ref();
        let plist = plist.and_then(|p| evidence.entry(&p.relative));
        let plist = plist.and_then(|entry| entry.content.sha256());
        state.info_plist_hash = plist.copied().into();
        state
    }
}

/// An event of what is in a state.
pub fn event(path: &[u8], action: Action, seen: Seen, state: Arc<State>, now: Now) -> Event {
    Event {
        seen: Some(seen),
        ..Event::new(now.wall_ms / 1000, action, escape(path), state)
    }
}

/// One digest over the code among entries, each below a path.
fn code_hash<'a>(entries: impl Iterator<Item = (&'a [u8], &'a Entry)>) -> Digits {
    let mut all = Sha256::new();
    for (above, entry) in entries {
        if let (Some(_), Some(digest)) = (entry.content.code(), entry.content.sha256()) {
            for part in [above, b"/", &entry.path, b"\0", digest] {
                all.update(part);
            }
        }
    }
    Digits::Sha256(all.finalize().into())
}

/// Eight bytes of a print: whoever makes two that are alike could as well set the times back.
fn number_of(print: [u8; 32]) -> u64 {
    print.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// A number for the modes of all that is in a bundle, and one for whose that is.
fn inside(evidence: &Evidence) -> [u32; 2] {
    let mut all = [Sha256::new(), Sha256::new()];
    let metas = evidence.entries.iter().map(|entry| &entry.meta);
    for meta in metas.chain(&evidence.resolved_meta) {
        let [modes, owners] = &mut all;
        modes.update(meta.mode.to_le_bytes());
        owners.update(meta.uid.to_le_bytes());
        owners.update(meta.gid.to_le_bytes());
    }
    all.map(|all| {
        let all = all.finalize();
        u32::from_le_bytes(all.first_chunk().copied().unwrap_or_default())
    })
}

/// What a bundle holds: one number for each entry with its content, sorted.
pub type Records = Arc<[u64]>;

/// The records of a bundle.
pub fn records(bundle: &Bundle) -> Records {
    let entries = bundle.evidence.entries.iter();
    let mut records: Vec<u64> = entries
        .map(|entry| {
            // Whoever makes two entries share a number gains nothing that a deletion would not give.
            let mut hasher = DefaultHasher::new();
            (&entry.path, entry.content.sha256(), &entry.link).hash(&mut hasher);
            hasher.finish()
        })
        .collect();
    records.sort_unstable();
    records.into()
}

/// True when `new` holds nothing but what `old` held, and not all of it: what is left of it while it
/// is deleted.
pub fn is_rest(new: &[u64], old: &[u64]) -> bool {
    new.len() < old.len() && new.iter().all(|record| old.binary_search(record).is_ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Nothing that tells two looks apart is missing in what stands for it.
    #[test]
    fn two_keys_that_differ_have_no_print_in_common() {
        let none = || Key {
            fingerprint: [0; 32],
            digest: None,
            outside: None,
            linked: [None; 2],
            ways: None,
            is_linked_late: false,
            exception: None,
            verdict: "",
        };
        let changes: [fn(&mut Key); 11] = [
            |_| (),
            |key| key.fingerprint = [1; 32],
            |key| key.digest = Some([0; 32]),
            |key| key.outside = Some([0; 32]),
            |key| key.linked[0] = Some([0; 32]),
            |key| key.linked[1] = Some([0; 32]),
            |key| key.ways = Some([0; 32]),
            |key| key.is_linked_late = true,
            |key| key.exception = Some("".into()),
            |key| key.exception = Some("unknown".into()),
            |key| key.verdict = "unknown",
        ];
        let prints = changes.map(|change| {
            let mut key = none();
            change(&mut key);
            key.print()
        });
        let others: BTreeSet<Print> = prints.into_iter().collect();
        assert_eq!(others.len(), prints.len());
    }
}
