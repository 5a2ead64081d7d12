//! What holds of the evidence of an earlier scan, so that what has not changed is not read again.
//!
//! A file is the same while its device, inode, size, mtime and ctime are, to the nanosecond: an
//! attacker can set all of them but the ctime, and that only by setting the system's clock at the very
//! nanosecond. Whoever writes through a mapping whose page is dirty already, or to the raw disk, passes
//! this by: so code is read again within the hour, and everything after a day or when the extension
//! is started anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::again::Again;
use super::attributes::Attributes;
use super::entry::{Content, Entry};
use super::facts::{Evidence, Executable};
use super::info::InfoPlist;
use super::known::{is_known, is_unverified, with_old};
use crate::limits::Budget;
use crate::meta::{Kind, Meta};

/// Attributes without texts among which the same are looked for.
const MOST_LESSER: usize = 16;

/// Holds the entries of an earlier scan in place of equal ones, so that what stays as it is takes memory
/// once: those of which all is known.
pub fn share(evidence: &mut Evidence, before: &Evidence) {
    let at = before.scanned_at;
    let is_known = |(entry, old): (&Entry, &Entry)| {
        entry.path == old.path
            && entry.meta == old.meta
            && entry.link == old.link
            && at.settled(&entry.meta)
            && (old.meta.kind != Kind::File || matches!(old.content, Content::Read { .. }))
    };
    let mut pairs = evidence.entries.iter().zip(before.entries.iter());
    if evidence.entries.len() == before.entries.len() && pairs.all(is_known) {
        evidence.entries = Arc::clone(&before.entries);
    }
}

/// Fills in what is known of entries from `before`, but for what is to be read again; gives
/// the number of files that need not be read.
pub fn recall_entries(
    entries: &mut [Entry],
    olds: &[Entry],
    before: &Evidence,
    is_again: impl Fn(usize, &Entry) -> bool,
) -> u64 {
    let mut reused = 0_u64;
    for (number, entry, old) in with_old(entries, olds) {
        if is_known(entry, old, before) && !is_again(number, old) {
            take_over(entry, old);
            reused = reused.saturating_add(1);
        }
    }
    reused
}

/// Takes what was known in place of what is read again.
pub fn take_over(entry: &mut Entry, old: &Entry) {
    entry.content = old.content.clone();
    entry.attributes.clone_from(&old.attributes);
}

/// Takes over what was learned `before` and still holds, but for what is to be read `again` and for what is `crowded`;
/// gives the number of files that need not be read.
///
/// When nothing at all has changed, the evidence is marked
/// [`is_unchanged`](Evidence::is_unchanged), so that its judgement can be used again as well. Else
/// the files whose bytes the judgement needs are left to be read.
pub fn recall(
    evidence: &mut Evidence,
    before: &Evidence,
    again: Option<&Again>,
    crowded: &[usize],
) -> u64 {
    let is_again = |number: usize, old: &Entry| {
        again.is_some_and(|again| again.includes(number, old))
            || crowded.binary_search(&number).is_ok()
    };
    // One that was packed has its entries only now.
    share(evidence, before);
    // What was not settled then was read again, so the last scan's time holds for all of it.
    let mut reused = if Arc::ptr_eq(&evidence.entries, &before.entries) {
        forget(evidence, |number, entry| {
            is_again(number, entry) || is_unverified(&entry.content)
        });
        known_files(evidence)
    } else {
        let entries = Arc::make_mut(&mut evidence.entries);
        recall_entries(entries, &before.entries, before, is_again)
    };
    if again.is_none_or(Again::is_cut) {
        evidence.code_read_at = before.code_read_at;
    }
    if again.is_none() {
        recall_outside(evidence, before);
    }
    evidence.is_unchanged = is_same(evidence, before);
    if evidence.is_unchanged {
        evidence.read_at = before.read_at;
        return reused;
    }
    // The judgement of a bundle that changed needs the bytes of some files again.
    let again = forget(evidence, |_, entry| {
        crate::codesign::wants_bytes(&entry.path, entry.meta.size)
    });
    reused = reused.saturating_sub(again);
    // What is reused stays as old as it is.
    if reused > 0 {
        evidence.read_at = before.read_at;
    }
    reused
}

/// Takes over what was known `before` of code that the scan had no room to read again for its age, and forgets what was
/// told of that since: another scan will, and nothing else says that it is not what it was. What was read again stands.
pub fn give_up(evidence: &mut Evidence, before: &Evidence, told: usize) {
    if !is_cut_short(evidence) {
        return;
    }
    let mut given_up = false;
    let entries = Arc::make_mut(&mut evidence.entries).as_mut_slice();
    for (_, entry, old) in with_old(entries, &before.entries) {
        if is_cut(&entry.content) && is_known(entry, old, before) {
            take_over(entry, old);
            given_up = true;
        }
    }
    if evidence
        .executable
        .as_ref()
        .is_some_and(|e| is_cut(&e.outside))
    {
        recall_outside(evidence, before);
        given_up |= evidence
            .executable
            .as_ref()
            .is_some_and(|e| !is_cut(&e.outside));
    }
    if given_up {
        evidence.code_read_at = before.code_read_at;
    }
    // What was not known before is cut short still, and told.
    let has_failed = |entry: &Entry| matches!(entry.content, Content::Failed(_));
    if given_up && !is_cut_short(evidence) && !evidence.entries.iter().any(has_failed) {
        evidence.troubles.truncate(told);
    }
}

/// True where a limit kept what is to be read from being read. What was read and has no room is not what it was.
fn is_cut(content: &Content) -> bool {
    *content == Content::Unread
}

/// The same of any file of a candidate.
fn is_cut_short(evidence: &Evidence) -> bool {
    let outside = evidence.executable.as_ref();
    let outside = outside.filter(|e| e.is_outside() && e.meta.kind == Kind::File);
    evidence.files().any(|file| is_cut(&file.content))
        || outside.is_some_and(|e| is_cut(&e.outside))
}

/// Takes over what was known `before` of code that was read again and holds the same bytes, so that no time needs to be
/// left to judge them anew.
pub fn confirm(evidence: &mut Evidence, before: &Evidence) {
    let is_same_code = |new: &Content, old: &Content| {
        new.sha256().is_some() && new.sha256() == old.sha256() && !is_unverified(old)
    };
    let entries = Arc::make_mut(&mut evidence.entries).as_mut_slice();
    for (_, entry, old) in with_old(entries, &before.entries) {
        if is_same_code(&entry.content, &old.content) {
            entry.content = old.content.clone();
        }
    }
    if let (Some(executable), Some(old)) = (&mut evidence.executable, &before.executable)
        && is_same_code(&executable.outside, &old.outside)
    {
        executable.outside.clone_from(&old.outside);
    }
    if is_same(evidence, before) {
        evidence.is_unchanged = true;
        evidence.entries = Arc::clone(&before.entries);
        evidence.kept.clear();
    }
}

/// True when all that is known is what was known before, the main executable outside apart.
fn is_same(evidence: &Evidence, before: &Evidence) -> bool {
    let at = before.scanned_at;
    let is_read = |e: &Entry| e.meta.kind != Kind::File || e.content != Content::Unread;
    let same_entry =
        |(entry, old): (&Entry, &Entry)| entry == old && at.settled(&entry.meta) && is_read(entry);
    let mut pairs = evidence.entries.iter().zip(before.entries.iter());
    evidence.entries.len() == before.entries.len()
        && evidence.resolved_path == before.resolved_path
        && evidence.is_whole
        && before.is_whole
        && before.troubles.is_empty()
        && evidence.troubles.is_empty()
        && same_metas(evidence.meta, before.meta)
        && same_metas(evidence.resolved_meta, before.resolved_meta)
        && pairs.all(same_entry)
        && same_executable(evidence.executable.as_ref(), before.executable.as_ref())
        && same_plist(evidence.info_plist.as_ref(), before.info_plist.as_ref())
}

/// Takes over what was known of a main executable that stands outside and is the same file.
fn recall_outside(evidence: &mut Evidence, before: &Evidence) {
    let at = before.scanned_at;
    if let (Some(executable), Some(old)) = (&mut evidence.executable, &before.executable)
        && executable.path == old.path
        && matches!(old.outside, Content::Read { .. })
        && !is_unverified(&old.outside)
        && executable.meta.is_unchanged(&old.meta)
        && at.settled(&executable.meta)
    {
        executable.outside.clone_from(&old.outside);
        executable.has_fork = old.has_fork;
    }
}

/// Takes the room of what was known of the code of a candidate, and gives by number those of its files for which there is
/// none left.
pub fn crowded(evidence: &Evidence, before: &Evidence, budget: &Budget) -> Vec<usize> {
    if let Some(code) = before.executable.as_ref().and_then(|e| e.outside.code()) {
        budget.hold_code_facts(code.weight());
    }
    crowded_of(&evidence.entries, &before.entries, budget)
}

/// The same of some entries.
pub fn crowded_of(entries: &[Entry], olds: &[Entry], budget: &Budget) -> Vec<usize> {
    let known = with_old(entries, olds).filter_map(|(n, _, old)| Some((n, old.content.code()?)));
    let crowded = known.filter(|(_, code)| !budget.hold_code_facts(code.weight()));
    crowded.map(|(number, _)| number).collect()
}

/// Takes the room of the extended attributes that are known of a candidate's files; where there is none they lose their
/// texts.
pub fn hold_attributes(evidence: &mut Evidence, budget: &Budget) {
    if budget.take_attributes(evidence.attributes_held()) {
        return;
    }
    let (mut known, mut lesser) = (BTreeMap::new(), Vec::<Arc<Attributes>>::new());
    for entry in Arc::make_mut(&mut evidence.entries) {
        let Some(own) = &mut entry.attributes else {
            continue;
        };
        let kept = known.entry(Arc::as_ptr(own)).or_insert_with(|| {
            if budget.take_attributes(own.weight()) {
                return Arc::clone(own);
            }
            let less = Attributes::clone(own).without_texts();
            let same = lesser.iter().find(|known| ***known == less).map(Arc::clone);
            same.unwrap_or_else(|| {
                let less = Arc::new(less);
                if lesser.len() < MOST_LESSER {
                    lesser.push(Arc::clone(&less));
                }
                less
            })
        });
        *own = Arc::clone(kept);
    }
}

/// How many files of a candidate are known.
fn known_files(evidence: &Evidence) -> u64 {
    let read = |e: &&Entry| matches!(e.content, Content::Read { .. });
    let count = evidence.entries.iter().filter(read).count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Lets go of what is known of some files of a candidate, and gives their number.
fn forget(evidence: &mut Evidence, which: impl Fn(usize, &Entry) -> bool) -> u64 {
    let is_meant = |(number, e): &(usize, &Entry)| {
        matches!(e.content, Content::Read { .. }) && which(*number, e)
    };
    let mut count = 0_u64;
    let mut meant = evidence.entries.iter().enumerate();
    if !meant.any(|e| is_meant(&e)) {
        return count;
    }
    let entries = Arc::make_mut(&mut evidence.entries);
    let meant = entries.iter_mut().enumerate();
    for (_, entry) in meant.filter(|(number, e)| is_meant(&(*number, &**e))) {
        entry.content = Content::Unread;
        entry.attributes = None;
        count = count.saturating_add(1);
    }
    count
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

fn same_plist(a: Option<&Arc<InfoPlist>>, b: Option<&Arc<InfoPlist>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.path == b.path && a.meta == b.meta && a.meta.is_some(),
        _ => false,
    }
}

/// The Info.plist as it was read before, if it is the same file. One that could not be read is read
/// again, and its trouble told again.
pub fn recall_plist(before: Option<&Evidence>, path: &[u8], meta: &Meta) -> Option<Arc<InfoPlist>> {
    let before = before?;
    let plist = before.info_plist.as_ref()?;
    let same = plist.info.is_ok()
        && plist.path == path
        && plist.meta.is_some_and(|old| old.is_unchanged(meta))
        && before.scanned_at.settled(meta);
    same.then(|| Arc::clone(plist))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::survey;
    use super::super::trouble::{Trouble, tell};
    use super::*;
    use crate::evidence::Cpus;
    use crate::folders::Candidate;
    use crate::limits::Limits;
    use crate::meta::Timestamp;
    use crate::root::Root;

    /// Two files that were read long ago, of which the first is to be read again and was not.
    fn of_two() -> (Evidence, Evidence) {
        let disk = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::create_dir_all(disk.path().join("A.dsplug")).unwrap();
            fs::write(disk.path().join("A.dsplug").join(name), name).unwrap();
        }
        let root = Root::open(disk.path()).unwrap();
        let candidate = Candidate::asked_for(0, b"/A.dsplug".to_vec());
        let budget = Budget::new(Limits::STANDARD);
        let mut before = survey(&root, candidate, 100, None, None, &budget);
        for entry in Arc::make_mut(&mut before.entries) {
            entry.meta.ctime = Timestamp {
                seconds: 1,
                ..entry.meta.ctime
            };
            entry.content = Content::Read {
                sha256: [7; 32],
                sha1: None,
                cpus: Cpus::None,
                code: None,
            };
        }
        let mut now = before.clone();
        Arc::make_mut(&mut now.entries)[0].content = Content::Unread;
        (before, now)
    }

    #[test]
    fn what_was_given_up_is_as_it_was_and_what_failed_beside_it_is_told() {
        let (before, mut now) = of_two();
        let late = || Trouble::Limit("it was not read to the end".into());
        now.trouble(late());
        give_up(&mut now, &before, 0);
        assert_eq!(now.entries, before.entries);
        assert_eq!(now.troubles, []);

        let (before, mut now) = of_two();
        let failed = Trouble::Unreadable("b: Input/output error".into());
        Arc::make_mut(&mut now.entries)[1].content = Content::Failed(Arc::new(failed.clone()));
        tell(&mut now.troubles, failed.clone());
        tell(&mut now.troubles, late());
        give_up(&mut now, &before, 0);
        assert_eq!(now.entries[0], before.entries[0]);
        assert!(now.troubles.contains(&failed), "{:?}", now.troubles);
    }
}
