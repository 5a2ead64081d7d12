//! What was found of one candidate: plain data, filled by those who read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attributes::Attributes;
use super::entry::{Content, Entry};
use super::info::InfoPlist;
use super::paths::Homes;
use super::reach::{Link, Reach};
use super::read_at::{ReadAt, Turn};
use super::sum::Sum;
use super::trouble::Trouble;
use super::ways::Ways;
use crate::codesign::CodeFacts;
use crate::directory::{Dir, ReadError};
use crate::folders::Candidate;
use crate::layout::Layout;
use crate::limits::{self, Budget};
use crate::meta::{Kind, Meta, Special, Timestamp, WritableBy};
use crate::order;
use crate::root::{Found, Root, straight_down};
use crate::text::escape;

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
    /// What it holds, sorted by path as bytes; for a file, itself. Shared with an earlier scan's while
    /// nothing has changed.
    pub entries: Arc<Vec<Entry>>,
    /// Its extended attributes.
    pub attributes: Attributes,
    /// The Info.plist that CoreFoundation would use.
    pub info_plist: Option<Arc<InfoPlist>>,
    /// The main executable as CoreFoundation resolves it.
    pub executable: Option<Executable>,
    /// What is reached from it outside of it. Shared with an earlier scan's while nothing has changed.
    pub reach: Arc<Reach>,
    /// True when the time of the scan was spent before all of those were looked at.
    pub is_linked_late: bool,
    /// True when not every link in it was followed to where it leads.
    pub is_linked_cut: bool,
    /// True when something outside leads back into it, and so decides which of its files is opened, by no byte of it.
    pub comes_back: bool,
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
    /// True when something of it lies beyond a limit of the walk.
    pub is_left_out: bool,
    /// What the file system says of all of it, where something lies beyond a limit.
    pub(crate) beyond: Option<Sum>,
    /// The links there that may lead out of it.
    pub(super) links_beyond: Vec<Link>,
    /// What is on the way to all that is reached outside of it, until that was looked at.
    pub(super) ways: Ways,
    /// True when something of it, or of what its links lead to, can be exchanged unseen: it was not looked
    /// at.
    pub is_blind: bool,
    /// True when a volume is mounted over it or on the way to it, where a Mac has none.
    pub is_mounted: bool,
    /// True when there was no time to look at it.
    pub is_unsurveyed: bool,
    /// How CoreFoundation reads it as a bundle.
    pub(crate) layout: Layout,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// Bytes of those that the scan's budget has given.
    pub(super) troubles_taken: usize,
    /// Bytes of files that the signature's check needs whole, by path in the bundle.
    pub(crate) kept: BTreeMap<Vec<u8>, Vec<u8>>,
    /// When the oldest part of it was read.
    pub(crate) read_at: ReadAt,
    /// When the oldest of the code in it was read.
    pub(crate) code_read_at: ReadAt,
    /// When the oldest of the code that its links lead to was, which may be long after.
    pub(crate) linked_read_at: ReadAt,
    /// How far what its links lead to is read again, while it is.
    pub(crate) linked_turn: Option<Turn>,
    /// When it was looked at, before anything of it was read.
    pub(crate) scanned_at: ReadAt,
    /// True when nothing of it has changed since an earlier scan, so that its judgement stands.
    pub is_unchanged: bool,
    /// What it is, between [`open`](Self::open) and [`close`](Self::close).
    pub(super) opened: Option<Box<Opened>>,
}

impl Evidence {
    /// The kind of the candidate itself.
    pub fn kind(&self) -> Kind {
        self.meta.map_or(Kind::Other(Special::Unknown), |m| m.kind)
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

    /// Where it is, and where it really stands.
    pub(super) fn homes(&self) -> Homes {
        Homes::new(&self.candidate.path, &self.resolved_path)
    }

    /// True when its own name says which file is the main executable: its Info.plist names none.
    pub fn runs_by_name(&self) -> bool {
        let info = self.info_plist.as_ref();
        let info = info.and_then(|list| list.info.as_ref().ok());
        self.is_bundle() && info.is_none_or(|info| info.executable.is_none())
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

    /// For how many entries it counts.
    pub fn weight(&self) -> usize {
        let weights = self.entries.iter().map(Entry::weight);
        weights.fold(0, usize::saturating_add)
    }

    /// For how many entries all that is known of it counts, what its links lead to included.
    pub fn held_for(&self) -> usize {
        let own = self.weight().saturating_add(limits::CANDIDATE);
        own.saturating_add(self.reach.weight())
    }

    /// Bytes of the extended attributes of its files, those that are the same once.
    pub fn attributes_held(&self) -> usize {
        let all = self.entries.iter().filter_map(|e| e.attributes.as_ref());
        let each: BTreeMap<_, _> = order::gather(all.map(|a| (Arc::as_ptr(a), a.weight())));
        each.values().copied().fold(0, usize::saturating_add)
    }

    /// Bytes of what is known of the code in it.
    pub fn code_facts(&self) -> usize {
        let contents = self.entries.iter().map(|e| &e.content);
        let outside = self.executable.as_ref().map(|e| &e.outside);
        let code = contents.chain(outside).filter_map(Content::code);
        code.map(CodeFacts::weight).fold(0, usize::saturating_add)
    }

    /// Bytes of what is known of the code that its links lead to.
    pub fn linked_facts(&self) -> usize {
        let code = self.reach.entries().filter_map(|e| e.content.code());
        code.map(CodeFacts::weight).fold(0, usize::saturating_add)
    }

    /// The newest status-change time of all that is told of it, wherever it stands.
    pub fn newest_ctime_anywhere(&self) -> Option<Timestamp> {
        let outside = self.executable.as_ref().map(|e| e.meta.ctime);
        let newest = self.newest_ctime().into_iter().chain(outside);
        newest.chain(self.reach.newest_ctime()).max()
    }

    /// Bytes of all that is told of it, wherever it stands.
    pub fn bytes_anywhere(&self) -> u64 {
        let outside = self.executable.as_ref().filter(|e| e.is_outside());
        let outside = outside.map_or(0, |e| e.meta.size);
        let own = self.bytes().saturating_add(outside);
        own.saturating_add(self.reach.bytes())
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
    pub(super) fn open(&mut self, root: &Root) -> Result<(), ReadError> {
        let found = root.find(&self.candidate.path)?;
        self.opened = Some(Box::new(if self.is_bundle() {
            Opened::Directory(found.open_dir()?)
        } else {
            Opened::File(found)
        }));
        Ok(())
    }

    /// Resolves an absolute path, in the bundle or not.
    pub(super) fn find(&self, root: &Root, path: &[u8]) -> Result<Found, ReadError> {
        let found = match self.dir() {
            Some(dir) => root.find_below(dir, path),
            None => root.find(path),
        };
        found.map_err(|error| self.of_image(root, error))
    }

    /// Resolves an absolute path likewise, and keeps what is on its way outside of the bundle.
    pub(super) fn find_on_way(
        &mut self,
        root: &Root,
        path: &[u8],
        budget: &Budget,
    ) -> Result<Found, ReadError> {
        let inside = self.dir().and_then(|dir| straight_down(dir, path));
        let found = inside.map_or_else(|| self.ways.find(root, path, budget), Ok);
        found.map_err(|error| self.of_image(root, error))
    }

    /// What an image lacks outside of a bundle is not always absent.
    fn of_image(&self, root: &Root, error: ReadError) -> ReadError {
        let is_inside = |above: &[u8]| {
            let rest = error.path.strip_prefix(above);
            rest.is_some_and(|rest| matches!(rest, [] | [b'/', ..]) || above == b"/")
        };
        match is_inside(&self.candidate.path) || is_inside(&self.resolved_path) {
            true => error,
            false => root.of_image(error),
        }
    }

    /// Between survey and reading nothing stays open: whoever plants many candidates could use
    /// up the descriptors, of which launchd gives a job 256.
    pub(super) fn close(&mut self) {
        self.opened = None;
    }

    /// The directory that it is, while that is open.
    pub(super) fn dir(&self) -> Option<&Dir> {
        match self.opened.as_deref()? {
            Opened::Directory(dir) => Some(dir),
            Opened::File(_) => None,
        }
    }

    /// The file that it is, likewise.
    pub(super) fn file(&self) -> Option<&Found> {
        match self.opened.as_deref()? {
            Opened::File(file) => Some(file),
            Opened::Directory(_) => None,
        }
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble.shortened());
    }

    /// True when it is, or something that it reaches is, what such a volume serves: that may be another thing for
    /// each who asks.
    pub fn is_served(&self) -> bool {
        self.is_mounted || self.reach.ways.mounts().next().is_some()
    }

    /// True when code of it can stand where no digest of its own reaches: a link leads out of it, or
    /// may, or a file has a resource fork.
    pub fn reaches_out(&self) -> bool {
        self.reach.is_anywhere() || self.is_linked_cut || self.has_fork()
    }

    /// What of its entries and of a main executable outside has a resource fork, by path: `..namedfork/rsrc`
    /// behind that opens it like a file, and no digest here reaches what is in it.
    pub fn forks(&self) -> impl Iterator<Item = (&[u8], &Meta)> {
        let own = self.entries.iter().filter(|e| e.has_fork());
        let outside = self.executable.iter().filter(|e| e.has_fork);
        let outside = outside.map(|e| (e.path.as_slice(), &e.meta));
        own.map(|e| (e.path.as_ref(), &e.meta)).chain(outside)
    }

    /// True when one of those has one, or a file where its links lead.
    pub fn has_fork(&self) -> bool {
        self.forks().next().is_some() || self.reach.entries().any(Entry::has_fork)
    }

    /// The sockets, FIFOs and devices among what it holds, by path, with the kind. One can take another's place, and every
    /// digest of content stays as it was.
    pub fn specials(&self) -> impl Iterator<Item = (&[u8], Special)> {
        let itself = self.resolved_meta.iter().map(|m| (b"".as_slice(), m));
        let own = self.entries.iter().map(|e| (e.path.as_ref(), &e.meta));
        let all = itself.chain(own);
        all.filter_map(|(path, meta)| Some((path, meta.kind.special()?)))
    }

    /// Those among what is reached from it, by where they stand: the place, and the path below that.
    pub fn reached_specials(&self) -> impl Iterator<Item = (&[u8], &[u8], Special)> {
        let reach = &self.reach;
        let executable = self.executable.iter().map(|e| (e.path.as_slice(), e.meta));
        let plist = self.info_plist.iter();
        let plist = plist.filter_map(|p| Some((p.path.as_slice(), p.meta?)));
        let places = reach.places.iter().map(|(path, p)| (path, p.meta));
        let beyond = reach.beyond.iter().map(|(path, p)| (path, p.meta));
        let tops = executable.chain(plist).chain(places).chain(beyond);
        let tops = tops.map(|(path, meta)| (path, b"".as_slice(), meta.kind));
        let below = reach.places.iter().flat_map(|(place, found)| {
            let entries = found.entries.iter();
            entries.map(move |e| (place, e.path.as_ref(), e.meta.kind))
        });
        let all = tops.chain(below);
        all.filter_map(|(place, path, kind)| Some((place, path, kind.special()?)))
    }

    /// True when there is one of those.
    pub fn has_specials(&self) -> bool {
        self.specials().next().is_some() || self.reached_specials().next().is_some()
    }

    /// Tells where a volume is mounted on the way to it, or to what it reaches, or may be on the Mac of an image.
    pub(super) fn tell_mount(&mut self, root: &Root, place: &[u8]) {
        let what = match root.is_of_another(place) {
            true => "another volume may be meant by",
            false => "a volume is mounted at",
        };
        let trouble = Trouble::Mount(format!("{what} {}", escape(place)));
        if !self.troubles.contains(&trouble) {
            self.trouble(trouble);
        }
    }

    /// A trouble with what the whole is judged by.
    pub(super) fn doubt(&mut self, trouble: Trouble) {
        self.is_doubtful = true;
        self.is_blind = true;
        self.trouble(trouble);
    }
}

/// A candidate that is open.
#[derive(Clone, Debug)]
pub(super) enum Opened {
    Directory(Dir),
    File(Found),
}

/// The main executable.
#[derive(Clone, Debug)]
pub struct Executable {
    /// Where: through the candidate when it stands in the bundle, else where it really is.
    pub path: Vec<u8>,
    /// Its path in the bundle, links resolved, when it stands there.
    pub relative: Option<Vec<u8>>,
    /// What stands there.
    pub meta: Meta,
    /// What it holds, when it stands outside: an inner one is among the entries.
    pub outside: Content,
    /// True when it has a resource fork and stands outside, likewise.
    pub has_fork: bool,
    /// True when a link leads to it from another directory.
    pub is_behind_link: bool,
}

impl Executable {
    /// True when it stands outside of the bundle.
    pub fn is_outside(&self) -> bool {
        self.relative.is_none()
    }

    /// True when it is a regular file that could not be read.
    pub fn is_unread(&self, evidence: &Evidence) -> bool {
        self.meta.kind == Kind::File && self.content(evidence).sha256().is_none()
    }

    /// What it holds.
    pub fn content<'a>(&'a self, evidence: &'a Evidence) -> &'a Content {
        match self.relative.as_deref().and_then(|r| evidence.entry(r)) {
            Some(entry) => &entry.content,
            None => &self.outside,
        }
    }
}

/// Bytes of a property list that is read with the survey: ten times an honest one.
pub(super) const CHEAP_LIST: u64 = 16 << 10;
/// What a list behind a link is taken to cost.
const UNKNOWN_LIST: u64 = CHEAP_LIST + 1;

/// True for the names of property lists that CoreFoundation would read of a bundle.
fn ends_like_a_list(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"Info.plist") || name.eq_ignore_ascii_case(b"Info-macos.plist")
}
