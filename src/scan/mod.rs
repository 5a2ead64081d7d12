//! One scan: the folders, the candidates in them, and the judgement of each, in one snapshot.

mod snapshot;
mod survey;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::bundle::{self, Bundle};
use crate::codesign::{Automata, Roots};
use crate::evidence::{self, Again, Before, Entry, Evidence, ReadAt, Reader};
use crate::exceptions::{Exceptions, Lists};
use crate::folders::{self, Candidate, FOLDERS, Known, Room, Via};
use crate::journal::{Ahead, Events};
use crate::limits::{Budget, Limits, Whereabouts};
use crate::load;
use crate::memory::{Memory, Turns, Wait};
use crate::order;
use crate::quarantine::ledger::Ledger;
use crate::root::Root;

pub use snapshot::{Snapshot, Status, WatchStatus, cure};

/// What is scanned, how far, and what is remembered from scan to scan.
#[derive(Debug)]
pub struct Scanner {
    root: Root,
    roots: Roots,
    limits: Limits,
    memory: Option<Memory>,
    lists: Lists,
    at: Whereabouts,
    state: Option<PathBuf>,
    started: i64,
    scans: u64,
    error: String,
    /// Bytes of what is known of an earlier process.
    ahead: usize,
}

/// Bytes that what the loader does not list is taken to cost more than it does.
const NESTED: u64 = 1 << 20;

/// Bytes that are read where links of a candidate lead that waits and never had its turn.
const FIRST_TURN: u64 = 8 << 20;

impl Scanner {
    /// A scanner of a Mac's disk that judges signatures by Apple's roots.
    pub fn new(root: Root, limits: Limits) -> Self {
        Self {
            root,
            roots: Roots::apple(),
            limits,
            memory: None,
            lists: Lists::default(),
            at: Whereabouts::default(),
            state: None,
            started: now(),
            scans: 0,
            error: String::new(),
            ahead: 0,
        }
    }

    /// The same with other roots.
    #[must_use]
    pub fn with_roots(self, roots: Roots) -> Self {
        Self { roots, ..self }
    }

    /// The same, and what one scan read the next does not read again unless it changed.
    #[must_use]
    pub fn remembering(self) -> Self {
        let memory = Some(Memory::default());
        Self { memory, ..self }
    }

    /// This is known of an earlier process: the next scan that lists the folders has all of it beside itself.
    pub fn know(&mut self, ahead: &Ahead) {
        self.ahead = ahead.held;
        if let Some(memory) = &mut self.memory {
            memory.know(&ahead.paths, &self.limits);
        }
    }

    /// Where a scan is, for those who wait for it.
    pub fn whereabouts(&self) -> Whereabouts {
        self.at.clone()
    }

    /// How far it goes.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// When it started, in seconds of Unix time.
    pub fn started(&self) -> i64 {
        self.started
    }

    /// The same, with what is kept at a place of state.
    #[must_use]
    pub fn keeping(self, state: Option<PathBuf>) -> Self {
        Self { state, ..self }
    }

    /// A snapshot of what is kept alone: no bundle is looked at.
    pub fn ledger_alone(&self) -> Snapshot {
        Snapshot {
            quarantine: self.ledger(),
            ..Snapshot::default()
        }
    }

    /// The ledger of the quarantine.
    pub fn ledger(&self) -> Ledger {
        Ledger::of(self.state.as_deref(), &self.root)
    }

    /// The disk that is scanned.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// For how many entries a candidate may count before what is new has any.
    fn seat(&self, path: &[u8]) -> Option<usize> {
        self.memory.as_ref()?.seat(path)
    }

    /// What an earlier scan found of a candidate, maybe without its entries.
    fn before(&self, path: &[u8], now: &ReadAt) -> Option<&Evidence> {
        self.memory.as_ref()?.of(path, now)
    }

    /// True when the last scan found all that there is, and holding that takes no more memory.
    pub fn holds(&self, last: &Snapshot) -> bool {
        let is_all = last.unreadable().is_none()
            && last.status.files_skipped == 0
            && last.status.limits.is_empty();
        let memory = self.memory.as_ref();
        is_all && memory.is_some_and(|memory| memory.is_whole(&last.bundles))
    }

    /// What the last scan found, as a scan of its own, for those who know that nothing was written since; where its
    /// exceptions are those that stand there.
    pub fn still(&mut self, last: &Snapshot) -> Option<Snapshot> {
        let now = now();
        if !last.exceptions.are_still(&self.root, now) {
            return None;
        }
        self.scans = self.scans.saturating_add(1);
        let mut snapshot = last.clone();
        let reused = last
            .status
            .files_read
            .saturating_add(last.status.files_reused);
        snapshot.status.scans = self.scans;
        snapshot.status.last_scan = now;
        snapshot.status.last_scan_ms = 0;
        snapshot.status.files_read = 0;
        snapshot.status.files_reused = reused;
        Some(snapshot)
    }

    /// Scans once.
    pub fn scan(&mut self) -> Snapshot {
        self.look(None)
    }

    /// Looks at one candidate alone: what stands beside it takes nothing from it, and no failure there keeps it from
    /// being looked at.
    pub fn look_at(&mut self, candidate: Candidate) -> Option<Arc<Bundle>> {
        self.look(Some(candidate)).bundles.pop()
    }

    /// Looks at a candidate, or else at all.
    fn look(&mut self, alone: Option<Candidate>) -> Snapshot {
        let (began, last_scan) = (Instant::now(), now());
        // One moment for all of it: what is known is known from its beginning to its end, whoever sets the clock.
        let at = ReadAt::now();
        let mut budget = Budget::new(self.limits);
        budget.at = self.at.clone();
        let until = budget.until();
        let for_itself = || self.root.for_one_scan(until, self.limits.steps);
        let mut all_folders = Vec::new();
        let mut found = Vec::new();
        let nothing = Known::none();
        let folders = if alone.is_some() { &[][..] } else { FOLDERS };
        found.extend(alone);
        for (index, path) in folders.iter().enumerate() {
            self.at.set(path.as_bytes());
            let known = self.memory.as_ref().and_then(|m| m.shown(index));
            // What stands in one folder, and had a row in one that comes later, leaves less for another.
            let later = (index.saturating_add(1)..folders.len())
                .filter_map(|later| self.memory.as_ref()?.shown(later));
            let others = found.iter().chain(later.flat_map(Known::iter));
            let room = Room::beside(&self.limits, others.map(|c: &Candidate| c.path.as_slice()));
            let known = known.unwrap_or(&nothing);
            // Whatever leads far in one folder takes no steps of the other, nor of what is done with what was found.
            let (folder, candidates) = folders::list(&for_itself(), index, &budget, known, room);
            all_folders.push(folder);
            found.extend(candidates);
        }
        let root = for_itself();
        // Reading a list takes three times what it holds: that is over before the rest fills memory.
        let mut exceptions = Exceptions::read(&root, last_scan);
        exceptions.note(&mut self.lists, last_scan);
        let crowd = found.iter().map(|c| c.path.len());
        budget.hold_crowd(crowd, self.ahead, exceptions.held());
        let mut found = self.survey(&root, found, &at, &mut budget);
        let entries = found.iter().map(|evidence| evidence.weight());
        budget.hold_entries(entries.fold(0, usize::saturating_add));
        order::sort_by_key(&mut found, |e| crate::text::escape(&e.candidate.path));
        let until = budget.after(evidence::BEYOND);
        for evidence in found.iter_mut().filter(|e| e.is_left_out) {
            self.at.set(&evidence.candidate.path);
            let before = self.before(&evidence.candidate.path, &at);
            evidence::look_beyond(&root, evidence, before, until, &mut budget);
        }
        let mut reader = Reader::new(&self.roots);
        // Each is read and judged before the next, the smallest first: whoever plants a huge one, or
        // one that is hard to judge, takes the time of none but those that are larger.
        let mut in_turn: Vec<_> = found.iter_mut().enumerate().collect();
        order::sort_by_key(&mut in_turn, |(_, e)| cost(e));
        let due = self
            .memory
            .as_ref()
            .map(|m| m.due(&at, self.limits.code_age));
        let due = due.unwrap_or_default();
        // What a bundle holds and what it reaches outside have each their own time.
        let is_old = |read: ReadAt| read.age(&at) >= self.limits.code_age;
        let memory = self.memory.as_ref();
        let (known_facts, safe) = memory
            .map(|m| m.code_facts(budget.safe_facts(), &at))
            .unwrap_or_default();
        budget.begin_code_facts(known_facts);
        let paths = in_turn.iter().map(|(_, e)| &e.candidate.path);
        for facts in paths.filter_map(|path| safe.get(path.as_slice())) {
            budget.hold_code_facts(*facts);
        }
        budget.begin_contents();
        let mut files_reused = 0_u64;
        let automata = Automata::default();
        let mut signatures = BTreeMap::new();
        for (index, evidence) in &mut in_turn {
            self.at.set(&evidence.candidate.path);
            // Reading a list is over before what is known of the entries stands beside them.
            let before = self.before(&evidence.candidate.path, &at);
            evidence::read_list(&root, evidence, before, &budget);
            let kept = self.memory.as_ref().and_then(|m| m.whole(evidence, &at));
            let old = kept.as_ref().map(|b| b.evidence.as_ref());
            let before = kept.as_ref().filter(|b| b.is_fresh);
            let again = due.contains(&evidence.candidate.path) && !budget.is_late();
            let known = before.as_ref().map(|b| b.evidence.as_ref());
            let again = again && known.is_none_or(|known| is_old(known.code_read_at));
            let told = evidence.troubles.len();
            let mut crowded = Vec::new();
            if let Some(known) = known {
                let again = again.then(|| Again::of(&root, evidence, known, &budget));
                if !safe.contains_key(evidence.candidate.path.as_slice()) {
                    crowded = evidence::crowded(evidence, known, &budget);
                }
                let reused = evidence::recall(evidence, known, again.as_ref(), &crowded);
                files_reused = files_reused.saturating_add(reused);
                evidence::hold_attributes(evidence, &budget);
            }
            reader.verifies = budget.may_judge();
            let old = old.map(|old| (old, crowded.as_slice()));
            evidence::read_contents(&root, evidence, old, &mut reader, &mut budget);
            if let Some(known) = known.filter(|_| again) {
                evidence::give_up(evidence, known, told);
                evidence::confirm(evidence, known);
            }
            evidence::tell_forks(evidence);
            evidence::tell_attributes(evidence);
            evidence::weigh_writers(&root, evidence, &budget);
            let signature = before.as_ref().map(|b| b.signature);
            let mut signature = match signature.filter(|_| evidence.is_unchanged) {
                Some(signature) => Arc::clone(signature),
                None if budget.is_late() || !reader.verifies => {
                    Arc::new(bundle::unjudged_signature(evidence))
                }
                None => {
                    evidence::tell_unverified(evidence);
                    let until = budget.judges_until();
                    let signature =
                        budget.judging(|| bundle::judge_signature(evidence, until, &automata));
                    budget.take_judging(signature.work);
                    Arc::new(signature)
                }
            };
            bundle::settle_signature(&mut signature, &budget);
            evidence::settle(evidence, &budget);
            signatures.insert(*index, signature);
        }
        // What links lead to comes after all that is a bundle's own: a link costs nothing to plant. Where least was found
        // is looked at first, and last what nobody has seen whole: whatever was seen so has room again. That has a part of
        // the time for itself. Of it those that never had a turn come first, for so little each that the turn comes to
        // many, then the one that waits longest, what is new, and the others.
        let turn = |had_turn| Wait {
            since: self.scans,
            had_turn,
        };
        let waits = |e: &Evidence| {
            let memory = self.memory.as_ref();
            memory.and_then(|memory| memory.waits(&e.candidate.path))
        };
        let (mut whole, mut first, mut new, mut unseen) = (vec![], vec![], vec![], vec![]);
        for (_, evidence) in in_turn {
            match (self.before(&evidence.candidate.path, &at), waits(evidence)) {
                (Some(known), _) if !known.is_linked_late && !known.is_linked_cut => {
                    whole.push((known.reach.bytes(), evidence));
                }
                (Some(_), Some(wait)) if !wait.had_turn => first.push((wait, evidence)),
                (Some(_), wait) => unseen.push((wait.unwrap_or(turn(true)), evidence)),
                (None, _) => new.push(evidence),
            }
        }
        order::sort_by_key(&mut whole, |(bytes, _)| *bytes);
        order::sort_by_key(&mut first, |(wait, _)| *wait);
        order::sort_by_key(&mut unseen, |(wait, _)| *wait);
        let later = unseen.split_off(unseen.len().min(1));
        budget.begin_linked(!(first.is_empty() && unseen.is_empty() && new.is_empty()));
        let whole = whole.into_iter().map(|(_, e)| (None, u64::MAX, e));
        let first = first
            .into_iter()
            .map(|(wait, e)| (Some(wait), FIRST_TURN, e));
        let new = new.into_iter().map(|e| (Some(turn(false)), u64::MAX, e));
        let [unseen, later] =
            [unseen, later].map(|all| all.into_iter().map(|(wait, e)| (Some(wait), u64::MAX, e)));
        let mut turns = Turns::new();
        for (wait, most, evidence) in whole.chain(first).chain(unseen).chain(new).chain(later) {
            if let Some(wait) = wait {
                budget.begin_unseen();
                let is_left = budget.is_spent();
                let wait = if is_left { wait } else { turn(true) };
                turns.insert(evidence.candidate.path.clone(), wait);
            }
            self.at.set(&evidence.candidate.path);
            let known = self.before(&evidence.candidate.path, &at);
            // A round that has begun goes on, however long it takes.
            let goes_on =
                |known: &Evidence| known.linked_turn.is_some() || is_old(known.linked_read_at);
            let is_due = due.contains(&evidence.candidate.path) && known.is_none_or(goes_on);
            let is_safe = safe.contains_key(evidence.candidate.path.as_slice());
            let known = known.map(|evidence| Before {
                evidence,
                is_due,
                is_safe,
            });
            reader.verifies = budget.may_judge();
            evidence::read_linked(&root, evidence, known, most, &mut reader, &mut budget);
            evidence::weigh_ways(&root, evidence, &budget);
            evidence::settle(evidence, &budget);
        }
        let verdicts = load::judge(&found);
        let (files_read, files_skipped) = (reader.files, skipped(&found));
        let judged = found
            .into_iter()
            .zip(signatures.into_values())
            .zip(verdicts);
        let bundles: Vec<_> = judged
            .map(|((evidence, signature), load)| {
                let mut bundle = Bundle::new(evidence, signature, load);
                bundle.exception = exceptions.accept(&bundle);
                Arc::new(bundle)
            })
            .collect();
        if let Some(memory) = &mut self.memory {
            memory.keep(&bundles, &all_folders, &self.limits);
            memory.tried(due, at);
            memory.wait(turns);
        }
        let mut snapshot = Snapshot {
            folders: all_folders,
            bundles,
            exceptions,
            quarantine: self.ledger(),
            status: Status::default(),
            events: Events::default(),
            foreign: None,
        };
        if snapshot.folders.iter().all(|f| !f.exists) {
            snapshot.foreign = root.why_no_mac();
        }
        self.scans = self.scans.saturating_add(1);
        match snapshot.unreadable() {
            Some(error) => {
                log::error!("{error}");
                self.error = error;
            }
            None => self.ahead = 0,
        }
        snapshot.status = Status {
            started: self.started,
            scans: self.scans,
            last_scan,
            last_scan_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            files_read,
            files_reused,
            files_skipped,
            exceptions_path: snapshot.exceptions.path(),
            exceptions_state: snapshot.exceptions.state(),
            exceptions: u64::try_from(snapshot.exceptions.active()).unwrap_or(u64::MAX),
            limits: snapshot.limits_met(),
            error: self.error.clone(),
            ..Status::default()
        };
        snapshot
    }
}

/// What the reading and judging of a candidate costs, in bytes that are read: what an attacker makes
/// dear comes last. A property list takes some sixty times as long as a file of its size.
fn cost(evidence: &Evidence) -> u64 {
    let list = evidence.list_cost().saturating_mul(64);
    let nested = if evidence.candidate.via == Via::Nested {
        NESTED
    } else {
        0
    };
    evidence.bytes().saturating_add(list).saturating_add(nested)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Files that could not be read, or not within the limits.
fn skipped(found: &[Box<Evidence>]) -> u64 {
    let unread = |e: &&Entry| e.content.sha256().is_none();
    let count = found.iter().flat_map(|e| e.files()).filter(unread).count();
    u64::try_from(count).unwrap_or(u64::MAX)
}
