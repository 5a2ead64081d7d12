//! What one scan may cost, whoever wrote the files.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bounds on a scan. What is cut by one of them says so in the `error` of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for the whole scan.
    pub time: Duration,
    /// Bytes read for one candidate. It does not depend on the machine's speed, so the same
    /// bundle is cut, or not, on every run.
    pub candidate_bytes: u64,
    /// Bytes read in one scan.
    pub scan_bytes: u64,
    /// Entries of one candidate. One with a long path or link counts for several, see [`weight`].
    pub candidate_entries: usize,
    /// Entries of all candidates, counted likewise.
    pub scan_entries: usize,
    /// Entries beyond those, of all candidates and of what their links lead to, of which the status alone is
    /// asked.
    pub watched_entries: usize,
    /// Names in the directories of a plug-in folder in which the loader looks.
    pub listed_entries: usize,
    /// Entries that are searched where the loader does not look.
    pub folder_entries: usize,
    /// Candidates that are shown of all plug-in folders together, but for a little that each has.
    pub candidates: usize,
    /// Bytes of their paths.
    pub candidate_paths: usize,
    /// Bytes of what is known of code, of all files that are code.
    pub code_facts: usize,
    /// Bytes of extended attributes, of all files.
    pub attributes: usize,
    /// Bytes of what is told of failures, and of signatures that do not hold, beyond a little for each.
    pub told: usize,
    /// Bytes of what stands on the ways that lead out of all candidates.
    pub ways: usize,
    /// Bytes of all of these and of long texts together.
    pub found: usize,
    /// Factories of all bundles that are told apart.
    pub factories: usize,
    /// What judging signatures takes, in about microseconds: the same on every machine, and so are the rows of those
    /// for which it does not suffice.
    pub judging: u64,
    /// Paths of libraries below run paths, beyond a few for each candidate: code names some hundred of both, and
    /// each is looked for below each.
    pub load_paths: usize,
    /// Bytes of the long texts of all Info.plists. One for which there is no room is cut: those of small
    /// lists come first, and then those of larger ones in order of size.
    pub texts: usize,
    /// Steps of all paths that lead far, beyond those that every path has: in the search through one plug-in folder, and
    /// again in all that comes after.
    pub steps: usize,
    /// Depth of directories in a candidate or a plug-in folder. Each level costs an open
    /// descriptor, of which launchd gives a job 256.
    pub depth: usize,
    /// Bytes of a property list that is parsed.
    pub plist_bytes: u64,
    /// Cores that reading leaves free for whoever works at the Mac.
    pub spare_cores: usize,
    /// After how long code is read again that seems unchanged, some of it with each scan.
    pub code_age: Duration,
}

impl Limits {
    /// For a scan that osqueryd waits for: under 8 s and 64 MB.
    pub const STANDARD: Self = Self {
        time: Duration::from_millis(6500),
        candidate_bytes: 2 << 30,
        scan_bytes: 6 << 30,
        candidate_entries: 45_000,
        scan_entries: 46_000,
        watched_entries: 400_000,
        listed_entries: 1_000_000,
        folder_entries: 50_000,
        candidates: 2_400,
        candidate_paths: 256 << 10,
        code_facts: 6 << 20,
        attributes: 2 << 20,
        told: 4 << 20,
        ways: 2 << 20,
        found: 10 << 20,
        factories: 65_536,
        judging: 2_000_000,
        load_paths: 1_000_000,
        texts: 2 << 20,
        steps: 200_000,
        depth: 96,
        plist_bytes: 4 << 20,
        spare_cores: 1,
        code_age: Duration::from_secs(30 * 60),
    };

    /// For a call that acts on what it finds, and for which a person waits.
    pub const PATIENT: Self = Self {
        time: Duration::from_secs(600),
        judging: 200_000_000,
        spare_cores: 0,
        ..Self::STANDARD
    };

    /// For a person who wants the whole answer from one call: no budget of time or size. What
    /// bounds memory stays.
    pub const THOROUGH: Self = Self {
        time: Duration::from_secs(365 * 24 * 3600),
        candidate_bytes: u64::MAX,
        scan_bytes: u64::MAX,
        candidate_entries: 5_000_000,
        scan_entries: 5_000_000,
        watched_entries: 20_000_000,
        listed_entries: 100_000_000,
        folder_entries: 5_000_000,
        candidates: 1_000_000,
        candidate_paths: 256 << 20,
        code_facts: 1 << 30,
        attributes: 256 << 20,
        told: 256 << 20,
        ways: 256 << 20,
        found: usize::MAX,
        factories: 1 << 20,
        judging: u64::MAX,
        load_paths: usize::MAX,
        texts: 64 << 20,
        steps: usize::MAX,
        spare_cores: 0,
        ..Self::STANDARD
    };
}

/// Parts of a hundred of a scan's time in which signatures are judged, at most: whoever makes that dear takes no digest
/// from anything.
const JUDGING: u32 = 50;
/// Parts of a hundred of the time that is left when contents are read, which they leave for what links and code lead to.
const LINKED: u32 = 20;
/// Parts of a hundred of the time and the bytes that are left then, which those leave whose links lead to what was read
/// whole before.
const UNSEEN: u32 = 25;
/// Part of the room for what is known of code that is there for what comes new.
const LITTLE: usize = 12;
/// Bytes of reading that are as good as none.
const LITTLE_BYTES: u64 = 1 << 20;
/// Bytes of path and link text that one entry has for nothing.
const LIGHT: usize = 64;
/// Bytes of [`Limits::found`] that a candidate takes by itself.
const EACH: usize = 2_800;
/// Entries that take nothing of that, and bytes of it that each beyond them does.
const FREE_ENTRIES: usize = 24_000;
const OF_MORE: usize = 64;
/// How often its path is held.
const COPIES: usize = 8;
/// Bytes that an entry takes, about, with what is known of it.
const OF_ENTRY: usize = 320;
/// For how many entries a candidate counts beside its own: for its paths, its Info.plist, its signature.
pub const CANDIDATE: usize = 22;

/// For how many entries one counts that has so many bytes of path and link text: a name may have 255
/// bytes, a path a hundred names, and all of it is held.
pub fn weight(bytes: usize) -> usize {
    bytes
        .checked_div(LIGHT)
        .unwrap_or_default()
        .saturating_add(1)
}

/// Where a scan is on the disk: what a call that does not come back was made on.
#[derive(Clone, Debug, Default)]
pub struct Whereabouts(Arc<Mutex<Vec<u8>>>);

impl Whereabouts {
    /// From now on it is here.
    pub fn set(&self, path: &[u8]) {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.clear();
        at.extend_from_slice(path);
    }

    /// The path that it was at last.
    pub fn get(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What is left of the limits that all candidates share.
#[derive(Debug)]
pub struct Budget {
    /// The limits.
    pub limits: Limits,
    /// Where the scan is.
    pub at: Whereabouts,
    until: Option<Instant>,
    /// When the time is up for all.
    end: Option<Instant>,
    /// Work of judging signatures that is left.
    judging: AtomicU64,
    /// Nanoseconds that are left to do it in.
    judging_time: AtomicU64,
    bytes: u64,
    /// Those of them that are kept for what was never read whole.
    kept_bytes: u64,
    entries: usize,
    watched: usize,
    code_facts: AtomicUsize,
    /// Bytes of those that may be held beside what the last scan found, until that is let go of.
    new_facts: AtomicUsize,
    changed_facts: AtomicUsize,
    attributes: AtomicUsize,
    told: AtomicUsize,
    ways: AtomicUsize,
    found: AtomicUsize,
    /// True when very many entries were found.
    is_crowded: bool,
    factories: AtomicUsize,
    load_paths: AtomicUsize,
    texts: AtomicUsize,
}

impl Budget {
    /// A full budget; the time runs from now.
    pub fn new(limits: Limits) -> Self {
        let end = Instant::now().checked_add(limits.time);
        Self {
            limits,
            at: Whereabouts::default(),
            until: end,
            end,
            judging: AtomicU64::new(limits.judging),
            judging_time: AtomicU64::new(nanos(limits.time).saturating_mul(JUDGING.into()) / 100),
            bytes: limits.scan_bytes,
            kept_bytes: 0,
            entries: limits.scan_entries,
            watched: limits.watched_entries,
            code_facts: AtomicUsize::new(limits.code_facts),
            new_facts: AtomicUsize::new(limits.code_facts),
            changed_facts: AtomicUsize::new(limits.code_facts / LITTLE),
            attributes: AtomicUsize::new(limits.attributes),
            told: AtomicUsize::new(limits.told),
            ways: AtomicUsize::new(limits.ways),
            found: AtomicUsize::new(limits.found),
            is_crowded: false,
            factories: AtomicUsize::new(limits.factories),
            load_paths: AtomicUsize::new(limits.load_paths),
            texts: AtomicUsize::new(limits.texts),
        }
    }

    /// From now on a part of the time that is left is kept for what bundles lead to: whoever plants what takes long to read
    /// takes no digest from what stands outside of the others, and however long the search took, contents have the most of
    /// it.
    pub fn begin_contents(&mut self) {
        let kept = |end: Instant| {
            let left = end.saturating_duration_since(Instant::now());
            left.saturating_mul(LINKED) / 100
        };
        self.until = self.end.and_then(|end| end.checked_sub(kept(end)));
    }

    /// From now on all that is left is there, but for a part where that `keeps` one for what was never read whole: whoever
    /// writes without end to what was takes no turn from that.
    pub fn begin_linked(&mut self, keeps: bool) {
        self.until = self.end;
        if keeps {
            let kept = |end: Instant| {
                let left = end.saturating_duration_since(Instant::now());
                left.saturating_mul(UNSEEN) / 100
            };
            self.until = self.end.and_then(|end| end.checked_sub(kept(end)));
            self.kept_bytes = (self.bytes / 100).saturating_mul(UNSEEN.into());
            self.bytes = self.bytes.saturating_sub(self.kept_bytes);
        }
    }

    /// From now on that is there too.
    pub fn begin_unseen(&mut self) {
        self.until = self.end;
        self.bytes = self.bytes.saturating_add(self.kept_bytes);
        self.kept_bytes = 0;
    }

    /// True where there is no time, or are too few bytes for anything but little.
    pub fn is_spent(&self) -> bool {
        self.is_late() || self.bytes < LITTLE_BYTES
    }

    /// A moment after which `share` parts of a hundred of the time are over.
    pub fn after(&self, share: u32) -> Option<Instant> {
        let part = self.limits.time.checked_mul(share)?.checked_div(100)?;
        Instant::now().checked_add(part)
    }

    /// Takes the time that some judging takes from that which there is for it.
    pub fn judging<T>(&self, judge: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let judged = judge();
        spend_time(&self.judging_time, nanos(began.elapsed()));
        judged
    }

    /// Takes the work of judging something, as much as is left.
    pub fn take_judging(&self, work: u64) {
        spend_time(&self.judging, work);
    }

    /// True while there is time to judge signatures. What is said of one candidate hangs on the work that is left
    /// before it, so that it is the same with every scan.
    pub fn may_judge(&self) -> bool {
        self.judging.load(Ordering::Relaxed) > 0 && self.has_time_to_judge()
    }

    /// True while there is time to judge more, however slow the machine is.
    pub fn has_time_to_judge(&self) -> bool {
        self.judging_time.load(Ordering::Relaxed) > 0
    }

    /// When the time to judge signatures is up, if nothing else comes in between.
    pub fn judges_until(&self) -> Option<Instant> {
        let left = Duration::from_nanos(self.judging_time.load(Ordering::Relaxed));
        let until = Instant::now().checked_add(left);
        until.into_iter().chain(self.until).min()
    }

    /// Takes bytes of what is learned of code; false, and nothing taken, when they are not left.
    pub fn take_code_facts(&self, bytes: usize) -> bool {
        if !take(&self.new_facts, bytes) {
            return false;
        }
        let has_room = self.hold_code_facts(bytes);
        if !has_room {
            self.new_facts.fetch_add(bytes, Ordering::Relaxed);
        }
        has_room
    }

    /// Takes bytes of what is learned of code that was known, in place of that, likewise: there is a little room of its own
    /// for what changes where another has taken all.
    pub fn replace_code_facts(&self, old: usize, new: usize) -> bool {
        for kind in [&self.code_facts, &self.found] {
            kind.fetch_add(old, Ordering::Relaxed);
        }
        self.take_code_facts(new) || take(&self.changed_facts, new) && self.hold_code_facts(new)
    }

    /// Takes bytes of what was known of code before, likewise.
    pub fn hold_code_facts(&self, bytes: usize) -> bool {
        self.take_found(&self.code_facts, bytes)
    }

    /// Candidates with paths of so many bytes are held, with so many bytes of what an earlier process knew, and so many of
    /// exceptions: all of that leaves less for what is found. Each candidate takes some of it by itself and by what the
    /// watch knows of it, which is what the earlier process did, or as much.
    pub fn hold_crowd(
        &mut self,
        paths: impl Iterator<Item = usize>,
        ahead: usize,
        exceptions: usize,
    ) {
        let of = |path: usize| EACH.saturating_add(path.saturating_mul(COPIES));
        let crowd = paths.map(of).fold(0, usize::saturating_add);
        for bytes in [crowd.max(ahead), exceptions] {
            let all = self.found.get_mut();
            *all = all.saturating_sub(bytes);
        }
        self.take_entries(exceptions / OF_ENTRY);
    }

    /// So many entries were found: where they are very many they leave less for what is found of them.
    pub fn hold_entries(&mut self, entries: usize) {
        self.is_crowded = entries > FREE_ENTRIES;
        let bytes = entries.saturating_sub(FREE_ENTRIES).saturating_mul(OF_MORE);
        let all = self.found.get_mut();
        *all = all.saturating_sub(bytes);
    }

    /// So much is known of code, and is held to the end of the scan whatever becomes of it. What comes new has the rest,
    /// and a little at least: whoever has all of the room keeps nobody out.
    pub fn begin_code_facts(&mut self, known: usize) {
        let all = self.limits.code_facts;
        let rest = all.saturating_sub(known).max(self.little_facts());
        self.new_facts = AtomicUsize::new(rest);
    }

    /// Bytes that are known of code which nothing takes the room of.
    pub fn safe_facts(&self) -> usize {
        self.limits.code_facts.saturating_sub(self.little_facts())
    }

    fn little_facts(&self) -> usize {
        self.limits.code_facts / LITTLE
    }

    /// Takes bytes of extended attributes; false, and nothing taken, when they are not left.
    pub fn take_attributes(&self, bytes: usize) -> bool {
        self.take_found(&self.attributes, bytes)
    }

    /// Takes bytes of what is told of failures, likewise.
    pub fn take_told(&self, bytes: usize) -> bool {
        self.take_found(&self.told, bytes)
    }

    /// Takes bytes of what stands on ways that lead out, likewise.
    pub fn take_ways(&self, bytes: usize) -> bool {
        self.take_found(&self.ways, bytes)
    }

    /// Takes factories, likewise.
    pub fn take_factories(&self, count: usize) -> bool {
        take(&self.factories, count)
    }

    /// Takes one path of a library below a run path, likewise.
    pub fn take_load_path(&self) -> bool {
        take(&self.load_paths, 1)
    }

    /// Takes bytes of long texts, likewise.
    pub fn take_texts(&self, bytes: usize) -> bool {
        self.take_found(&self.texts, bytes)
    }

    /// True while half of the room for all that is found is left, beside no more entries than take nothing of it.
    pub fn has_half(&self) -> bool {
        !self.is_crowded && self.found.load(Ordering::Relaxed) >= self.limits.found / 2
    }

    /// Takes bytes of one kind, and of all that is found.
    fn take_found(&self, kind: &AtomicUsize, bytes: usize) -> bool {
        if !take(kind, bytes) {
            return false;
        }
        let has_room = take(&self.found, bytes);
        if !has_room {
            kind.fetch_add(bytes, Ordering::Relaxed);
        }
        has_room
    }

    /// True when the time is up.
    pub fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// When the time is up; `None` when never.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Takes `bytes` of reading; false, and nothing taken, when they are not left.
    pub fn take_bytes(&mut self, bytes: u64) -> bool {
        match self.bytes.checked_sub(bytes) {
            Some(left) => self.bytes = left,
            None => return false,
        }
        true
    }

    /// Entries that are left.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Takes one entry of those whose status alone is asked; false when none is left.
    pub fn take_watched(&mut self) -> bool {
        match self.watched.checked_sub(1) {
            Some(left) => self.watched = left,
            None => return false,
        }
        true
    }

    /// Takes entries, as many as are left.
    pub fn take_entries(&mut self, entries: usize) {
        self.entries = self.entries.saturating_sub(entries);
    }
}

fn spend_time(left: &AtomicU64, count: u64) {
    let less = |left: u64| Some(left.saturating_sub(count));
    let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn take(left: &AtomicUsize, count: usize) -> bool {
    let less = |left: usize| left.checked_sub(count);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever plants rows in the journal has no more memory taken than without.
    #[test]
    fn what_is_held_besides_leaves_less_for_what_is_found() {
        let left = |count: usize, ahead, exceptions| {
            let mut budget = Budget::new(Limits::STANDARD);
            budget.hold_crowd(std::iter::repeat_n(50, count), ahead, exceptions);
            *budget.found.get_mut()
        };
        let all = Limits::STANDARD.found;
        assert_eq!(left(0, 0, 0), all);
        assert_eq!(left(3, 0, 0), all - 3 * 3_200);
        // What an earlier process knew of the same bundles is what the watch does.
        assert_eq!(left(1_000, 3_200_000, 0), left(1_000, 0, 0));
        assert_eq!(left(3, 4 << 20, 1 << 20), all - (5 << 20));
        assert_eq!(left(3, 20 << 20, 20 << 20), 0);
        let mut budget = Budget::new(Limits::STANDARD);
        budget.hold_entries(24_000);
        assert_eq!(*budget.found.get_mut(), all);
        budget.hold_entries(46_000);
        assert_eq!(*budget.found.get_mut(), all - 22_000 * 64);
    }

    /// Folders, surveys and what lies beyond them may take nine tenths together.
    #[test]
    fn what_is_left_after_a_long_search_is_shared_by_contents_and_what_they_lead_to() {
        let limits = Limits {
            time: Duration::from_secs(2),
            ..Limits::STANDARD
        };
        let mut budget = Budget::new(limits);
        let end = budget.until();
        std::thread::sleep(Duration::from_millis(1_800));
        let now = Instant::now();
        budget.begin_contents();
        assert!(Some(now) < budget.until() && budget.until() < end);
        budget.begin_linked(false);
        assert_eq!(budget.until(), end);
    }
}
