//! What is on disk of one candidate, read once: plain data, judged elsewhere.
//!
//! First the status of every entry of every candidate is taken ([`survey`]), then contents are read
//! ([`read_contents`]), both the smallest candidates first: so a huge one starves only itself.

mod again;
mod attributes;
mod beyond;
mod by_path;
mod content;
mod cpus;
mod entry;
mod executable;
mod facts;
pub mod fingerprint;
mod info;
mod info_plist;
mod known;
mod libraries;
mod linked;
mod load_path;
mod loads;
mod names;
mod nodes;
mod opener;
mod packed;
mod packing;
mod paths;
mod reach;
mod read_at;
mod reading;
mod recall;
mod roles;
mod sum;
mod trials;
mod trouble;
mod turn;
mod walk;
mod ways;
mod writers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

pub use again::{Again, code_bytes};
pub use attributes::Attributes;
pub use by_path::ByPath;
pub use content::Reader;
pub use cpus::Cpus;
pub use entry::{Content, Entry};
pub use facts::{Evidence, Executable};
pub use info::{Given, Info, InfoPlist};
pub use known::Before;
pub use loads::is_sealed;
pub use nodes::Nodes;
pub use packing::PackedEvidence;
pub use paths::directory_of;
pub use reach::{Linked, Places, Reach};
pub use read_at::ReadAt;
pub use recall::{confirm, crowded, give_up, hold_attributes, recall};
pub use roles::{Role, Stands};
pub use trials::{TURN, Trials};
pub use trouble::Trouble;

use crate::directory::ReadError;
use crate::folders::{self, Candidate, FolderError};
use crate::layout::Layout;
use crate::limits::Budget;
use crate::meta::{Kind, Special, WritableBy};
use crate::root::Root;
use crate::text::{self, escape};
use facts::{CHEAP_LIST, Opened};
pub use ways::Ways;
pub use writers::{weigh_ways, weigh_writers};

/// A candidate of which nothing was read.
fn nothing_yet(candidate: Candidate) -> Evidence {
    let now = ReadAt::now();
    Evidence {
        writable_by: candidate.ancestors_writable_by,
        candidate,
        meta: None,
        symlink_target: None,
        resolved_path: Vec::new(),
        resolved_meta: None,
        entries: Arc::default(),
        attributes: Attributes::default(),
        info_plist: None,
        executable: None,
        reach: Reach::nothing(),
        is_linked_late: false,
        comes_back: false,
        is_linked_cut: false,
        is_pending: false,
        is_cut: false,
        is_whole: true,
        is_doubtful: false,
        is_left_out: false,
        beyond: None,
        links_beyond: Vec::new(),
        ways: Ways::default(),
        is_blind: false,
        is_mounted: false,
        is_unsurveyed: false,
        layout: Layout::Flat,
        troubles: Vec::new(),
        troubles_taken: 0,
        kept: BTreeMap::new(),
        read_at: now,
        code_read_at: now,
        linked_read_at: now,
        linked_turn: None,
        scanned_at: now,
        is_unchanged: false,
        opened: None,
    }
}

/// A candidate that there was no time to look at.
pub fn unsurveyed(candidate: Candidate) -> Evidence {
    let mut evidence = nothing_yet(candidate);
    evidence.is_whole = false;
    evidence.is_unsurveyed = true;
    let path = escape(&evidence.candidate.path);
    evidence.doubt(Trouble::Limit(format!(
        "{path} was not looked at: the time of the scan is spent"
    )));
    evidence
}

/// Takes the status of a candidate and of everything in it, at most `most` entries, and finds its
/// Info.plist and its main executable. Reads no content but the Info.plist's, and that only when it
/// is not the one that was read `before`. As a trial, of one that has more entries nothing else is found.
pub fn survey(
    root: &Root,
    candidate: Candidate,
    most: usize,
    trials: Option<&mut Trials>,
    before: Option<&Evidence>,
    budget: &Budget,
) -> Evidence {
    let is_trial = trials.is_some();
    let mut evidence = nothing_yet(candidate);
    if evidence.is_folder() {
        survey_folder(root, &mut evidence);
        return evidence;
    }
    if evidence.candidate.is_double {
        let path = escape(&evidence.candidate.path);
        evidence.trouble(Trouble::Ambiguous(format!(
            "another name stands beside {path} that a Mac's disk takes for the same"
        )));
    }
    if let Err(error) = survey_itself(root, before, &mut evidence, budget) {
        evidence.is_whole = false;
        evidence.is_blind = !error.leads_nowhere();
        let link = evidence.kind() == Kind::Symlink;
        let trouble = if link && error.leads_nowhere() {
            Trouble::BrokenSymlink(error.to_string())
        } else {
            Trouble::of_entry(&error)
        };
        evidence.trouble(trouble);
        return evidence;
    }
    match evidence.resolved_meta.map(|m| m.kind) {
        Some(Kind::Directory) => {
            match trials {
                Some(trials) => trials.walk(&mut evidence, most, budget),
                None => walk::walk(&mut evidence, most, budget),
            }
            if evidence.is_cut && is_trial {
                evidence.close();
                return evidence;
            }
            if evidence.list_cost() > CHEAP_LIST {
                evidence.is_pending = true;
            } else {
                info_plist::find(root, &mut evidence, before, budget);
                executable::find(root, &mut evidence, budget);
            }
        }
        Some(Kind::File) => {
            if let Some(meta) = evidence.resolved_meta {
                evidence.entries = Arc::new(vec![Entry::itself(meta)]);
            }
        }
        kind => {
            evidence.is_whole = false;
            let kind = kind.unwrap_or(Kind::Other(Special::Unknown));
            let path = escape(&evidence.candidate.path);
            evidence.trouble(Trouble::NotRegular(format!("{path} is a {kind}")));
        }
    }
    if let Some(before) = before {
        recall::share(&mut evidence, before);
    }
    evidence.close();
    evidence
}

/// How often the path is held that a link leads to.
const PATHS: usize = 3;
/// Bytes of such paths that each link has for nothing.
const FREE_PATHS: usize = 1_024;
/// Bytes of the text of a link that are kept where there is no room for it.
const MOST_WITHOUT_ROOM: usize = 96;

/// What stands for a plug-in folder that could not be looked at whole.
fn survey_folder(root: &Root, evidence: &mut Evidence) {
    evidence.is_whole = false;
    evidence.is_blind = true;
    if let Ok(found) = root.find(&evidence.candidate.path) {
        evidence.meta = Some(found.meta);
        evidence.resolved_path = found.path();
    }
    for error in evidence.candidate.left_out.clone() {
        let text = error.to_string();
        let text = text
            .split_once(": ")
            .map_or("", |(_, text)| text)
            .to_owned();
        evidence.trouble(match error {
            FolderError::Limit(_) => Trouble::Limit(text),
            FolderError::Mount(_) | FolderError::Covered => Trouble::Mount(text),
            FolderError::Entry(_) | FolderError::Unreadable(_) => Trouble::Unreadable(text),
        });
    }
}

/// Counts the text of a link and the path that it leads to, with which its Info.plist and its executable are named as
/// well; where there is no room for them the text is cut.
fn has_room_for_paths(evidence: &mut Evidence, resolved: &[u8], budget: &Budget) -> bool {
    let Some(target) = &evidence.symlink_target else {
        return true;
    };
    let held = resolved.len().saturating_mul(PATHS);
    let long = held.saturating_add(target.len()).saturating_sub(FREE_PATHS);
    let has_room = long == 0 || budget.take_ways(long);
    if !has_room {
        let cut = text::cut(escape(target), MOST_WITHOUT_ROOM);
        evidence.symlink_target = Some(cut.into_bytes());
    }
    has_room
}

fn survey_itself(
    root: &Root,
    before: Option<&Evidence>,
    evidence: &mut Evidence,
    budget: &Budget,
) -> Result<(), ReadError> {
    let path = evidence.candidate.path.clone();
    let itself = folders::entry(root, &path)?;
    evidence.meta = Some(itself.meta);
    // That of a file's own place as well, which is none of a Mac's.
    let own = || Ok(itself.is_mount_point()?.then(|| path.as_slice().into()));
    if let Some(mount) = itself.mount().map_or_else(own, |mount| Ok(Some(mount)))? {
        evidence.is_mounted = true;
        evidence.tell_mount(root, &mount);
    }
    evidence.writable_by = evidence.writable_by.max(WritableBy::of(&itself.meta));
    let found = if itself.meta.kind == Kind::Symlink {
        evidence.symlink_target = Some(itself.read_link()?);
        let found = evidence.ways.find(root, &path, budget);
        found.map_err(|error| root.of_image(error))?
    } else {
        itself
    };
    let resolved = found.path();
    if !has_room_for_paths(evidence, &resolved, budget) {
        return Err(ReadError::too_far(&path));
    }
    if let Some(mount) = found.mount() {
        evidence.is_mounted = true;
        evidence.tell_mount(root, &mount);
    }
    evidence.resolved_path = resolved;
    evidence.ways.leave(root, &path, &evidence.resolved_path);
    evidence.resolved_meta = Some(found.meta);
    evidence.writable_by = evidence.writable_by.max(WritableBy::of(&found.meta));
    if found.meta.kind == Kind::Directory {
        evidence.opened = Some(Box::new(Opened::Directory(found.open_dir()?)));
    }
    // Writing an attribute changes the ctime.
    let is_same = |b: &&Evidence| b.resolved_meta == evidence.resolved_meta && !b.is_doubtful;
    if let Some(before) = before.filter(is_same) {
        evidence.attributes = before.attributes.clone();
    } else if matches!(found.meta.kind, Kind::Directory | Kind::File) {
        let attributes = found.open_for_attributes().and_then(|fd| {
            attributes::read(&fd).map_err(|errno| ReadError {
                operation: "read the attributes of",
                path: evidence.resolved_path.clone(),
                errno,
            })
        });
        match attributes {
            Ok(attributes) => {
                if let Some(why) = attributes.error.strip_prefix("limit: ") {
                    let path = escape(&evidence.resolved_path);
                    evidence.trouble(Trouble::Limit(format!("{path}: {why}")));
                }
                evidence.attributes = attributes;
            }
            Err(error) => evidence.doubt(Trouble::of_entry(&error)),
        }
    }
    if found.meta.kind == Kind::File {
        evidence.opened = Some(Box::new(Opened::File(found)));
    }
    Ok(())
}

/// Looks at what a survey left out of a candidate, until then, by the status of each entry alone. Where that
/// ends too, what was seen `before` stands.
pub fn look_beyond(
    root: &Root,
    evidence: &mut Evidence,
    before: Option<&Evidence>,
    until: Option<Instant>,
    budget: &mut Budget,
) {
    beyond::look_at(root, evidence, before, until, budget);
}

/// Parts of a hundred of a scan's time that this has for all candidates.
pub const BEYOND: u32 = 15;

/// Looks for the Info.plist and the main executable of a candidate whose survey left them for later,
/// because its list may be dear to read.
pub fn read_list(root: &Root, evidence: &mut Evidence, before: Option<&Evidence>, budget: &Budget) {
    if !std::mem::take(&mut evidence.is_pending) {
        return;
    }
    if budget.is_late() {
        let path = escape(&evidence.candidate.path);
        return evidence.doubt(Trouble::Limit(format!(
            "the Info.plist of {path} was not read: the time of the scan is spent"
        )));
    }
    match evidence.open(root) {
        Ok(()) => {
            info_plist::find(root, evidence, before, budget);
            executable::find(root, evidence, budget);
        }
        Err(error) => evidence.doubt(Trouble::of_entry(&error)),
    }
    evidence.close();
}

/// Counts what is told of a candidate: where there is no room, the first of each code stays.
pub fn settle(evidence: &mut Evidence, budget: &Budget) {
    let taken = evidence.troubles_taken;
    evidence.troubles_taken = trouble::settle(&mut evidence.troubles, taken, budget);
}

/// Tells that there was no room for the extended attributes of some of its files.
pub fn tell_attributes(evidence: &mut Evidence) {
    let attributes = evidence
        .entries
        .iter()
        .filter_map(|e| e.attributes.as_ref());
    if attributes.into_iter().any(|a| a.lack_texts()) {
        let path = escape(&evidence.candidate.path);
        evidence.trouble(Trouble::Limit(format!(
            "there is no room for the extended attributes of all files of {path}; dsplug --thorough has more"
        )));
    }
}

/// Tells of resource forks in a candidate and of its main executable, in which code can stand and be exchanged.
pub fn tell_forks(evidence: &mut Evidence) {
    let forks = evidence.forks().count();
    let Some((first, _)) = evidence.forks().next() else {
        return;
    };
    let more = match forks.saturating_sub(1) {
        0 => String::new(),
        more => format!(", and so have {more} more"),
    };
    let path = escape(first);
    evidence.trouble(Trouble::Limit(format!(
        "{path} has a resource fork, which no digest reaches{more}"
    )));
}

/// Tells of code in a candidate of which there was no time to verify who signed it.
pub fn tell_unverified(evidence: &mut Evidence) {
    let own = evidence.entries.iter().map(|e| &e.content);
    let outside = evidence.executable.as_ref().map(|e| &e.outside);
    let mut code = own.chain(outside).filter_map(Content::code);
    if code.any(|code| code.is_unverified) {
        let path = escape(&evidence.candidate.path);
        evidence.trouble(Trouble::Limit(format!(
            "who signed the code of {path}, or what it is entitled to, was not verified: the time of the scan for that is spent"
        )));
    }
}

/// Finds and reads what links in a candidate lead to outside of it. With what was learned `before`
/// comes whether code is to be read again, as much of it as there is room for. No more bytes than `most` are read.
pub fn read_linked(
    root: &Root,
    evidence: &mut Evidence,
    before: Option<Before<'_>>,
    most: u64,
    reader: &mut Reader<'_>,
    budget: &mut Budget,
) {
    linked::read(root, evidence, before, most, reader, budget);
}

/// Reads the main executable of a candidate of which nothing else is read: it is what runs.
fn read_executable_alone(
    root: &Root,
    evidence: &mut Evidence,
    before: Option<(&Evidence, &[usize])>,
    reader: &mut Reader<'_>,
    budget: &mut Budget,
) {
    let executable = evidence.executable.as_ref();
    let Some(relative) = executable.and_then(|e| e.relative.clone()) else {
        return;
    };
    let Some(size) = evidence
        .entry(&relative)
        .filter(|e| e.meta.kind == Kind::File && e.content == Content::Unread)
        .map(|e| e.meta.size)
    else {
        return;
    };
    if size > budget.limits.candidate_bytes || budget.is_late() || !budget.take_bytes(size) {
        return;
    }
    match evidence.open(root) {
        Ok(()) => reading::read_entries(evidence, before, Some(&relative), reader, budget),
        Err(error) => evidence.trouble(Trouble::of_entry(&error)),
    }
    evidence.close();
}

/// Reads the contents of a candidate's files that are not known yet, one streaming pass each, and
/// of its main executable where that stands outside. `before` is what was known of them, but for those by number of
/// which there was no room to hold it.
pub fn read_contents(
    root: &Root,
    evidence: &mut Evidence,
    before: Option<(&Evidence, &[usize])>,
    reader: &mut Reader<'_>,
    budget: &mut Budget,
) {
    let limit = budget.limits.candidate_bytes;
    let bytes = evidence.bytes();
    let unread = |e: &&Entry| matches!(e.content, Content::Unread);
    let left = evidence.files().filter(unread).map(|e| e.meta.size);
    let left = left.fold(0, u64::saturating_add);
    let path = escape(&evidence.candidate.path);
    let refused = if bytes > limit {
        Some(format!("{path} holds {bytes} bytes, and {limit} are read"))
    } else if left > 0 && budget.is_late() {
        Some(format!(
            "{path} was not read: the time of the scan is spent"
        ))
    } else if !budget.take_bytes(left) {
        Some(format!(
            "{path} was not read: the bytes of the scan are spent"
        ))
    } else {
        None
    };
    if let Some(why) = refused {
        let why = format!("{why}; dsplug --thorough reads all");
        evidence.trouble(Trouble::Limit(why));
        read_executable_alone(root, evidence, before, reader, budget);
    } else if evidence.files().any(|e| e.content == Content::Unread) {
        match evidence.open(root) {
            Ok(()) => reading::read_entries(evidence, before, None, reader, budget),
            Err(error) => evidence.trouble(Trouble::of_entry(&error)),
        }
        evidence.close();
    }
    executable::read(root, evidence, before.map(|b| b.0), reader, budget);
}
