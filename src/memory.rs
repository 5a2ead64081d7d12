//! What earlier scans learned of each candidate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::bundle::Bundle;
use crate::evidence::{ReadAt, code_bytes};
use crate::folders::{FOLDERS, Folder, FolderError, Known};
use crate::order;

/// Bytes of code that one scan reads again for its age; of candidates, one at least.
const CODE_A_SCAN: u64 = 128 << 20;
/// For how many entries all that is remembered may count: while a scan runs it is held beside what has changed
/// since.
const MOST_ENTRIES: usize = 24_000;

/// What the scans before found, by the candidate's path.
#[derive(Debug, Default)]
pub struct Memory {
    bundles: BTreeMap<Vec<u8>, Arc<Bundle>>,
    /// Every candidate that had a row, of each plug-in folder.
    shown: [Known; FOLDERS.len()],
}

impl Memory {
    /// Keeps what a scan found in place of what was kept before.
    pub fn keep(&mut self, bundles: &[Arc<Bundle>], folders: &[Folder]) {
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
        let mut left = MOST_ENTRIES;
        let kept = by_weight.into_iter().map_while(|(weight, bundle)| {
            left = left.checked_sub(weight)?;
            Some(bundle)
        });
        let mut known = std::mem::take(&mut self.bundles);
        self.bundles = order::gather(kept.map(|b| {
            let path = b.evidence.candidate.path.clone();
            // What there was no time to look at is as it was known.
            let old = known.remove(&path).filter(|_| b.evidence.is_unsurveyed);
            (path, old.unwrap_or_else(|| Arc::clone(b)))
        }));
    }

    /// What the last scan had rows of, of a plug-in folder.
    pub fn shown(&self, folder: usize) -> Option<&Known> {
        self.shown.get(folder)
    }

    /// The candidates whose code is read again because that is `age` ago: the oldest first, as much as
    /// one scan may take. A page that is dirty already and is written through a shared mapping leaves
    /// every time of the file as it was.
    pub fn due(&self, now: &ReadAt, age: Duration) -> BTreeSet<Vec<u8>> {
        let mut old: Vec<_> = self
            .bundles
            .iter()
            .map(|(path, bundle)| (bundle.evidence.code_read_at.age(now), path, bundle))
            .filter(|(old, ..)| *old >= age)
            .collect();
        order::sort_by_key(&mut old, |(age, ..)| std::cmp::Reverse(*age));
        let mut due = BTreeSet::new();
        let mut left = CODE_A_SCAN;
        for (_, path, bundle) in old {
            let bytes = code_bytes(&bundle.evidence);
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None if due.is_empty() => left = 0,
                None => break,
            }
            due.insert(path.clone());
        }
        due
    }

    /// What is still worth something of a candidate.
    pub fn of(&self, path: &[u8], now: &ReadAt) -> Option<&Arc<Bundle>> {
        let bundle = self.bundles.get(path)?;
        bundle.evidence.read_at.is_fresh(now).then_some(bundle)
    }
}
