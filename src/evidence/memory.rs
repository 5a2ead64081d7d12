//! What earlier scans learned, so that what has not changed is not read again.
//!
//! A file is the same while its device, inode, size, mtime and ctime are, to the nanosecond: an
//! attacker can set all of them but the ctime, and that only by setting the system's clock at the very
//! nanosecond. Whoever writes through a mapping whose page is dirty already, or to the raw disk, passes
//! this by: so code is read again within the hour, and everything after a day or when the extension
//! is started anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::content::Content;
use super::{Entry, Evidence, Executable, InfoPlist};
use crate::bundle::Bundle;
use crate::meta::{Kind, Meta, Timestamp};

/// Bytes of code that one scan reads again for its age; of candidates, one at least.
const CODE_A_SCAN: u64 = 128 << 20;
/// After this long everything is read again.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A change this recent may be followed by another within the same tick of a coarse clock.
const RECENT: Duration = Duration::from_secs(2);
/// Candidates of more entries than this are not remembered, for the sake of memory.
const MOST_ENTRIES: usize = 20_000;

/// When evidence was read, by the clock that can be set and by the one that cannot.
#[derive(Clone, Copy, Debug)]
pub struct ReadAt {
    wall: SystemTime,
    steady: Instant,
}

impl ReadAt {
    /// Now.
    pub fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            steady: Instant::now(),
        }
    }

    /// True when what was read then may still be used now.
    fn is_fresh(&self, now: &Self) -> bool {
        let by_wall = now.wall.duration_since(self.wall);
        // A clock that was set back proves nothing.
        by_wall.is_ok_and(|age| age < DAY)
            && now.steady.saturating_duration_since(self.steady) < DAY
    }

    /// For how long it has been, by the clock that cannot be set.
    fn age(&self, now: &Self) -> Duration {
        now.steady.saturating_duration_since(self.steady)
    }

    /// True when what `meta` says had settled by then: its status changed neither just before nor
    /// in the future, and the file system keeps a time for that at all.
    fn settled(&self, meta: &Meta) -> bool {
        let Timestamp {
            seconds,
            nanoseconds,
        } = meta.ctime;
        let Ok(seconds) = u64::try_from(seconds) else {
            return false;
        };
        let ctime = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds));
        seconds != 0
            && ctime.is_some_and(|c| self.wall.duration_since(c).is_ok_and(|age| age > RECENT))
    }
}

/// What the scans before found, by the candidate's path.
#[derive(Debug, Default)]
pub struct Memory {
    bundles: BTreeMap<Vec<u8>, Arc<Bundle>>,
}

impl Memory {
    /// Keeps what a scan found in place of what was kept before.
    pub fn keep(&mut self, bundles: &[Arc<Bundle>]) {
        let kept = bundles
            .iter()
            .filter(|b| b.evidence.entries.len() <= MOST_ENTRIES);
        self.bundles = kept
            .map(|b| (b.evidence.candidate.path.clone(), Arc::clone(b)))
            .collect();
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
        old.sort_by_key(|(age, ..)| std::cmp::Reverse(*age));
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

/// True for what may run: a change of it is to show within the hour.
fn is_code(entry: &Entry) -> bool {
    entry.content.code().is_some() || entry.meta.is_executable()
}

fn code_bytes(evidence: &Evidence) -> u64 {
    let linked = evidence.linked.values().flat_map(|place| &place.entries);
    let files = evidence.entries.iter().chain(linked);
    let code = files.filter(|e| is_code(e)).map(|e| e.meta.size);
    let outside = evidence.executable.as_ref().filter(|e| e.is_outside());
    code.chain(outside.map(|e| e.meta.size))
        .fold(0, u64::saturating_add)
}

/// Fills in what is known of entries from `before`, but for code when it is to be read `again`; gives
/// the number of files that need not be read.
pub fn recall_entries(
    entries: &mut [Entry],
    olds: &[Entry],
    before: &Evidence,
    again: bool,
) -> u64 {
    let mut reused = 0_u64;
    let mut olds = olds.iter().peekable();
    for entry in entries {
        while olds.next_if(|old| old.path < entry.path).is_some() {}
        let Some(old) = olds.next_if(|old| old.path == entry.path) else {
            continue;
        };
        let is_known = matches!(old.content, Content::Read { .. })
            && entry.meta.is_unchanged(&old.meta)
            && before.scanned_at.settled(&entry.meta);
        if is_known && !(again && is_code(old)) {
            entry.content = old.content.clone();
            entry.attributes.clone_from(&old.attributes);
            reused = reused.saturating_add(1);
        }
    }
    reused
}

/// Fills in what is known from before; gives the number of files that need not be read.
///
/// When nothing at all has changed, the evidence is marked
/// [`is_unchanged`](Evidence::is_unchanged), so that its judgement can be used again as well. Else
/// the files whose bytes the judgement needs are left to be read.
pub fn recall(evidence: &mut Evidence, before: &Evidence, again: bool) -> u64 {
    // What was not settled then was read again, so the last scan's time holds for all of it.
    let at = before.scanned_at;
    let known = |meta: &Meta, old: &Meta| meta.is_unchanged(old) && at.settled(meta);
    let mut same = evidence.entries.len() == before.entries.len()
        && evidence.resolved_path == before.resolved_path
        && evidence.is_whole
        && before.troubles.is_empty()
        && evidence.troubles.is_empty()
        && same_metas(evidence.meta, before.meta)
        && same_metas(evidence.resolved_meta, before.resolved_meta);
    let same_entry = |(entry, old): (&Entry, &Entry)| {
        entry.path == old.path
            && entry.meta == old.meta
            && entry.link == old.link
            && at.settled(&entry.meta)
    };
    same = same && evidence.entries.iter().zip(&before.entries).all(same_entry);
    let mut reused = recall_entries(&mut evidence.entries, &before.entries, before, again);
    let is_read = |e: &Entry| e.meta.kind != Kind::File || e.content != Content::Unread;
    same = same && evidence.entries.iter().all(is_read);
    if !again {
        evidence.code_read_at = before.code_read_at;
    }
    if let (Some(executable), Some(old)) = (&mut evidence.executable, &before.executable)
        && !again
        && executable.path == old.path
        && matches!(old.outside, Content::Read { .. })
        && known(&executable.meta, &old.meta)
    {
        executable.outside.clone_from(&old.outside);
    }
    same = same
        && same_executable(evidence.executable.as_ref(), before.executable.as_ref())
        && same_plist(evidence.info_plist.as_ref(), before.info_plist.as_ref());
    evidence.is_unchanged = same;
    if same {
        evidence.read_at = before.read_at;
        return reused;
    }
    // The judgement of a bundle that changed needs the bytes of some files again.
    for entry in &mut evidence.entries {
        if crate::codesign::wants_bytes(&entry.path, entry.meta.size)
            && matches!(entry.content, Content::Read { .. })
        {
            entry.content = Content::Unread;
            reused = reused.saturating_sub(1);
        }
    }
    // What is reused stays as old as it is.
    if reused > 0 {
        evidence.read_at = before.read_at;
    }
    reused
}

fn same_metas(a: Option<Meta>, b: Option<Meta>) -> bool {
    // A directory's size and times are told by its entries, but its owner and mode are its own.
    a == b
}

fn same_executable(a: Option<&Executable>, b: Option<&Executable>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.path == b.path && a.meta == b.meta,
        _ => false,
    }
}

fn same_plist(a: Option<&InfoPlist>, b: Option<&InfoPlist>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.path == b.path && a.meta == b.meta && a.meta.is_some(),
        _ => false,
    }
}

/// The Info.plist as it was read before, if it is the same file. One that could not be read is read
/// again, and its trouble told again.
pub fn recall_plist(before: Option<&Evidence>, path: &[u8], meta: &Meta) -> Option<InfoPlist> {
    let before = before?;
    let plist = before.info_plist.as_ref()?;
    let same = plist.info.is_ok()
        && plist.path == path
        && plist.meta.is_some_and(|old| old.is_unchanged(meta))
        && before.scanned_at.settled(meta);
    same.then(|| plist.clone())
}
