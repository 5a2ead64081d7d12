//! What is on disk of one candidate, read once: plain data, judged elsewhere.
//!
//! First the status of every entry of every candidate is taken ([`survey`]), then contents are read
//! ([`read_contents`]), both the smallest candidates first: so a huge one starves only itself.

mod attributes;
mod content;
mod cpus;
mod executable;
mod info_plist;
mod linked;
mod memory;
mod reading;
mod walk;

use std::collections::BTreeMap;
use std::fmt;

pub use attributes::Attributes;
pub use content::{Content, Reader};
pub use cpus::Cpus;
pub use executable::Executable;
pub use info_plist::{Given, Info, InfoPlist};
pub use linked::{Linked, Places};
pub use memory::{Memory, ReadAt};

use crate::directory::{Dir, ReadError};
use crate::folders::{Candidate, FolderError};
use crate::layout::Layout;
use crate::limits::Budget;
use crate::meta::{Kind, Meta, Timestamp, WritableBy};
use crate::property_list::PropertyListError;
use crate::root::{Found, Root};
use crate::text::escape;

/// One entry of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the bundle, without a leading `./`; empty for a candidate that is a file.
    pub path: Box<[u8]>,
    /// What the file system says of it.
    pub meta: Meta,
    /// The text of a symlink.
    pub link: Option<Box<[u8]>>,
    /// What it holds.
    pub content: Content,
    /// Its extended attributes, where they were read.
    pub attributes: Option<Box<Attributes>>,
}

impl Entry {
    /// The one entry of what is no directory.
    fn itself(meta: Meta) -> Self {
        Self {
            path: Box::default(),
            meta,
            link: None,
            content: Content::Unread,
            attributes: None,
        }
    }
}

/// Something that could not be read, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The system refused.
    Unreadable(String),
    /// It changed while it was read, or went.
    Changed(String),
    /// A limit was met.
    Limit(String),
    /// A link leads nowhere, or in a loop.
    BrokenSymlink(String),
    /// It is a socket, FIFO or device where a file or directory is needed.
    NotRegular(String),
    /// A property list is damaged.
    Malformed(String),
    /// A volume is mounted there.
    Mount(String),
    /// Two names are one on a Mac's disk.
    Ambiguous(String),
}

impl Trouble {
    /// Why a property list that stands at a path says nothing: damaged when that is certain, and else
    /// past a limit of what is read here.
    fn of_list(path: &[u8], error: &PropertyListError) -> Self {
        let detail = format!("{}: {error}", crate::text::escape(path));
        if error.is_certain() {
            Self::Malformed(detail)
        } else {
            Self::Limit(detail)
        }
    }

    /// The code for it, as the tables show it before the colon.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Changed(_) => "changed",
            Self::Limit(_) => "limit",
            Self::BrokenSymlink(_) => "broken_symlink",
            Self::NotRegular(_) => "not_regular",
            Self::Malformed(_) => "malformed",
            Self::Mount(_) => "mount",
            Self::Ambiguous(_) => "ambiguous",
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Unreadable(d)
            | Self::Changed(d)
            | Self::Limit(d)
            | Self::BrokenSymlink(d)
            | Self::NotRegular(d)
            | Self::Malformed(d)
            | Self::Mount(d)
            | Self::Ambiguous(d) => d,
        }
    }

    /// The trouble that an error of the system makes of something that was there before.
    fn of_entry(error: &ReadError) -> Self {
        use rustix::io::Errno;
        match error.errno {
            _ if error.is_limit() => Self::Limit(error.to_string()),
            _ if error.is_unfollowed() => Self::Unreadable(error.to_string()),
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NOTSUP => {
                Self::Changed(error.to_string())
            }
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.detail())
    }
}

/// What was found of one candidate.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Where it stands, and how the loader comes upon it.
    pub candidate: Candidate,
    /// What stands there, a link not followed. `None` when it went before it could be looked at.
    pub meta: Option<Meta>,
    /// The text of a candidate that is a symlink.
    pub symlink_target: Option<Vec<u8>>,
    /// Where it really stands, every link followed; empty for a broken link.
    pub resolved_path: Vec<u8>,
    /// What really stands there.
    pub resolved_meta: Option<Meta>,
    /// What it holds, sorted by path as bytes; for a file, itself.
    pub entries: Vec<Entry>,
    /// Its extended attributes.
    pub attributes: Attributes,
    /// The Info.plist that CoreFoundation would use.
    pub info_plist: Option<InfoPlist>,
    /// The main executable as CoreFoundation resolves it.
    pub executable: Option<Executable>,
    /// What links in it lead to outside of it, by where that really stands.
    pub linked: Places,
    /// True when its Info.plist and its main executable are yet to be looked for.
    pub(crate) is_pending: bool,
    /// The weakest of the candidate and the directories above it, up to the plug-in folder.
    pub writable_by: WritableBy,
    /// True when there were more entries than could be taken.
    pub is_cut: bool,
    /// True when every entry is among [`entries`](Self::entries).
    pub is_whole: bool,
    /// True when its attributes, its Info.plist or its main executable may be other than they
    /// seem, because something on the way to them could not be read.
    pub is_doubtful: bool,
    /// How CoreFoundation reads it as a bundle.
    pub(crate) layout: Layout,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// Bytes of files that the signature's check needs whole, by path in the bundle.
    pub(crate) kept: BTreeMap<Vec<u8>, Vec<u8>>,
    /// When the oldest part of it was read.
    pub(crate) read_at: ReadAt,
    /// When the oldest of the code in it was read.
    pub(crate) code_read_at: ReadAt,
    /// When it was looked at, before anything of it was read.
    pub(crate) scanned_at: ReadAt,
    /// True when nothing of it has changed since an earlier scan, so that its judgement stands.
    pub is_unchanged: bool,
    dir: Option<Dir>,
    file: Option<Found>,
}

impl Evidence {
    /// The kind of the candidate itself.
    pub fn kind(&self) -> Kind {
        self.meta.map_or(Kind::Other, |m| m.kind)
    }

    /// The word for its kind, as the tables show it.
    pub fn kind_word(&self) -> &'static str {
        if self.is_folder() {
            return "folder";
        }
        self.kind().as_str()
    }

    /// True when it stands for a plug-in folder of which something was left out.
    pub fn is_folder(&self) -> bool {
        !self.candidate.left_out.is_empty()
    }

    /// True when it is a directory, a link to one included.
    pub fn is_bundle(&self) -> bool {
        self.resolved_meta
            .is_some_and(|m| m.kind == Kind::Directory)
    }

    /// Bytes of its regular files.
    pub fn bytes(&self) -> u64 {
        self.files()
            .map(|e| e.meta.size)
            .fold(0, u64::saturating_add)
    }

    /// What the reading of its property list may cost, in bytes of it: what a link leads to may be as
    /// large as any.
    pub fn list_cost(&self) -> u64 {
        let near = |e: &&Entry| e.path.iter().filter(|b| **b == b'/').count() <= 1;
        let cost = |e: &Entry| match e.meta.kind {
            Kind::Symlink => UNKNOWN_LIST,
            Kind::File if ends_like_a_list(&e.path) => e.meta.size,
            _ => 0,
        };
        let costs = self.entries.iter().filter(near).map(cost);
        costs.fold(0, u64::saturating_add)
    }

    /// The newest status-change time of all that is told of it, wherever it stands.
    pub fn newest_ctime_anywhere(&self) -> Option<Timestamp> {
        let outside = self.executable.as_ref().map(|e| e.meta.ctime);
        let newest = self.newest_ctime().into_iter().chain(outside);
        newest.chain(linked::newest_ctime(&self.linked)).max()
    }

    /// Bytes of all that is told of it, wherever it stands.
    pub fn bytes_anywhere(&self) -> u64 {
        let outside = self.executable.as_ref().filter(|e| e.is_outside());
        let outside = outside.map_or(0, |e| e.meta.size);
        let own = self.bytes().saturating_add(outside);
        own.saturating_add(linked::bytes(&self.linked))
    }

    /// The digest over what its links lead to; `None` when that could not be read whole.
    pub fn linked_digest(&self) -> Option<[u8; 32]> {
        linked::digest_of(&self.linked)
    }

    /// Its regular files.
    pub fn files(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.meta.kind == Kind::File)
    }

    /// The entry at a path in the bundle.
    pub fn entry(&self, path: &[u8]) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by(|e| e.path.as_ref().cmp(path))
            .ok()?;
        self.entries.get(at)
    }

    /// The path of an entry as the Mac names it, through the candidate.
    pub fn path_of(&self, entry: &Entry) -> Vec<u8> {
        if entry.path.is_empty() {
            return self.candidate.path.clone();
        }
        [&self.candidate.path, b"/".as_slice(), &entry.path].concat()
    }

    /// The newest modification time of the candidate, of what it links to, or of anything in
    /// it, and the path that has it.
    pub fn newest_mtime(&self) -> Option<(Timestamp, Vec<u8>)> {
        let own = self.own_metas().map(|m| (m.mtime, None));
        let inner = self.entries.iter().map(|e| (e.meta.mtime, Some(e)));
        // Of equal times the first in order of path is named, the candidate before all.
        let (time, entry) = own
            .chain(inner)
            .reduce(|a, b| if b.0 > a.0 { b } else { a })?;
        let path = entry.map_or_else(|| self.candidate.path.clone(), |e| self.path_of(e));
        Some((time, path))
    }

    /// The newest status-change time, likewise.
    pub fn newest_ctime(&self) -> Option<Timestamp> {
        let inner = self.entries.iter().map(|e| e.meta.ctime);
        self.own_metas().map(|m| m.ctime).chain(inner).max()
    }

    fn own_metas(&self) -> impl Iterator<Item = &Meta> {
        self.meta.iter().chain(self.resolved_meta.iter())
    }

    /// Opens what was surveyed. When something else stands there by now, its files' own status tells.
    fn open(&mut self, root: &Root) -> Result<(), ReadError> {
        let found = root.find(&self.candidate.path)?;
        if self.is_bundle() {
            self.dir = Some(found.open_dir()?);
        } else {
            self.file = Some(found);
        }
        Ok(())
    }

    /// Resolves an absolute path, in the bundle or not.
    fn find(&self, root: &Root, path: &[u8]) -> Result<Found, ReadError> {
        match &self.dir {
            Some(dir) => root.find_below(dir, path),
            None => root.find(path),
        }
    }

    /// Between survey and reading nothing stays open: whoever plants many candidates could use
    /// up the descriptors, of which launchd gives a job 256.
    fn close(&mut self) {
        self.dir = None;
        self.file = None;
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }

    /// A trouble with what the whole is judged by.
    fn doubt(&mut self, trouble: Trouble) {
        self.is_doubtful = true;
        self.trouble(trouble);
    }
}

/// Bytes of a property list that is read with the survey: ten times an honest one.
const CHEAP_LIST: u64 = 16 << 10;
/// What a list behind a link is taken to cost.
const UNKNOWN_LIST: u64 = CHEAP_LIST + 1;

/// True for the names of property lists that CoreFoundation would read of a bundle.
fn ends_like_a_list(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"Info.plist") || name.eq_ignore_ascii_case(b"Info-macos.plist")
}

/// Takes the status of a candidate and of everything in it, at most `most` entries, and finds its
/// Info.plist and its main executable. Reads no content but the Info.plist's, and that only when it
/// is not the one that was read `before`.
pub fn survey(
    root: &Root,
    candidate: Candidate,
    most: usize,
    before: Option<&Evidence>,
    budget: &Budget,
) -> Evidence {
    let now = ReadAt::now();
    let mut evidence = Evidence {
        writable_by: candidate.ancestors_writable_by,
        candidate,
        meta: None,
        symlink_target: None,
        resolved_path: Vec::new(),
        resolved_meta: None,
        entries: Vec::new(),
        attributes: Attributes::default(),
        info_plist: None,
        executable: None,
        linked: Places::new(),
        is_pending: false,
        is_cut: false,
        is_whole: true,
        is_doubtful: false,
        layout: Layout::Flat,
        troubles: Vec::new(),
        kept: BTreeMap::new(),
        read_at: now,
        code_read_at: now,
        scanned_at: now,
        is_unchanged: false,
        dir: None,
        file: None,
    };
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
    if let Err(error) = survey_itself(root, before, &mut evidence) {
        evidence.is_whole = false;
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
            walk::walk(&mut evidence, most, budget);
            if evidence.list_cost() > CHEAP_LIST {
                evidence.is_pending = true;
            } else {
                info_plist::find(root, &mut evidence, before, budget);
                executable::find(root, &mut evidence);
            }
        }
        Some(Kind::File) => {
            if let Some(meta) = evidence.resolved_meta {
                evidence.entries.push(Entry::itself(meta));
            }
        }
        _ => {
            evidence.is_whole = false;
            let path = escape(&evidence.candidate.path);
            evidence.trouble(Trouble::NotRegular(format!(
                "{path} is a socket, FIFO or device"
            )));
        }
    }
    evidence.close();
    evidence
}

/// What stands for a plug-in folder that could not be looked at whole.
fn survey_folder(root: &Root, evidence: &mut Evidence) {
    evidence.is_whole = false;
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
            FolderError::Mount(_) => Trouble::Mount(text),
            FolderError::Entry(_) | FolderError::Unreadable(_) => Trouble::Unreadable(text),
        });
    }
}

fn survey_itself(
    root: &Root,
    before: Option<&Evidence>,
    evidence: &mut Evidence,
) -> Result<(), ReadError> {
    let path = evidence.candidate.path.clone();
    let itself = root.find_entry(&path)?;
    evidence.meta = Some(itself.meta);
    if itself.is_mount_point()? {
        evidence.trouble(Trouble::Mount(format!(
            "a volume is mounted at {}",
            escape(&path)
        )));
    }
    evidence.writable_by = evidence.writable_by.max(WritableBy::of(&itself.meta));
    let found = if itself.meta.kind == Kind::Symlink {
        evidence.symlink_target = Some(itself.read_link()?);
        root.find(&path)?
    } else {
        itself
    };
    evidence.resolved_path = found.path();
    evidence.resolved_meta = Some(found.meta);
    evidence.writable_by = evidence.writable_by.max(WritableBy::of(&found.meta));
    if found.meta.kind == Kind::Directory {
        evidence.dir = Some(found.open_dir()?);
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
        evidence.file = Some(found);
    }
    Ok(())
}

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
            executable::find(root, evidence);
        }
        Err(error) => evidence.doubt(Trouble::of_entry(&error)),
    }
    evidence.close();
}

/// Takes over what was learned `before` and still holds, but for code when it is to be read `again`;
/// gives the number of files that need not be read.
pub fn recall(evidence: &mut Evidence, before: &Evidence, again: bool) -> u64 {
    memory::recall(evidence, before, again)
}

/// Takes into account who can write what runs of it: code and executables in it with the directories
/// on their way, a main executable outside, and every directory above what stands elsewhere.
pub fn weigh_writers(root: &Root, evidence: &mut Evidence) {
    let mut weakest = evidence.writable_by;
    let runs = |e: &&Entry| {
        let is_code = e.content.code().is_some() || e.meta.is_executable();
        e.meta.kind == Kind::Directory || (e.meta.kind == Kind::File && is_code)
    };
    let inner = evidence.entries.iter().filter(runs);
    let executable = evidence.executable.as_ref();
    let metas = inner.map(|e| &e.meta).chain(executable.map(|e| &e.meta));
    weakest = metas.map(WritableBy::of).fold(weakest, WritableBy::max);
    let target = (evidence.kind() == Kind::Symlink).then_some(&evidence.resolved_path);
    let outside = executable.filter(|e| e.is_outside()).map(|e| &e.path);
    for path in target.into_iter().chain(outside) {
        for (end, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/').skip(1) {
            let above = path.get(..end).unwrap_or_default();
            // What cannot be looked at is told where it is read.
            if let Ok(found) = root.find_entry(above) {
                weakest = weakest.max(WritableBy::of(&found.meta));
            }
        }
    }
    evidence.writable_by = weakest;
}

/// Finds and reads what links in a candidate lead to outside of it. With what was learned `before`
/// comes whether code is to be read again.
pub fn read_linked(
    root: &Root,
    evidence: &mut Evidence,
    before: Option<(&Evidence, bool)>,
    reader: &mut Reader<'_>,
    budget: &mut Budget,
) {
    linked::read(root, evidence, before, reader, budget);
}

/// Reads the main executable of a candidate of which nothing else is read: it is what runs.
fn read_executable_alone(
    root: &Root,
    evidence: &mut Evidence,
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
    if size > budget.limits.candidate_bytes || !budget.take_bytes(size) {
        return;
    }
    match evidence.open(root) {
        Ok(()) => reading::read_entries(evidence, Some(&relative), reader, budget),
        Err(error) => evidence.trouble(Trouble::of_entry(&error)),
    }
    evidence.close();
}

/// Reads the contents of a candidate's files that are not known yet, one streaming pass each, and
/// of its main executable where that stands outside.
pub fn read_contents(
    root: &Root,
    evidence: &mut Evidence,
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
        read_executable_alone(root, evidence, reader, budget);
    } else if evidence.files().any(|e| e.content == Content::Unread) {
        match evidence.open(root) {
            Ok(()) => reading::read_entries(evidence, None, reader, budget),
            Err(error) => evidence.trouble(Trouble::of_entry(&error)),
        }
        evidence.close();
    }
    executable::read(root, evidence, reader, budget);
}
