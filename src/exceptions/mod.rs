//! The exceptions: bundles that are known to be good, as those who run the Mac have written down.
//!
//! Whoever can write them can silence every detection. So a file counts only when root owns it
//! and nobody else can write it, an entry only when it is understood to the last key, and an
//! identity only when the signature that lends it verifies.

pub mod baseline;
mod entry;
mod lists;
mod offer;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Instant;

pub use entry::Exception;
pub use lists::{List, Lists};
use offer::Offer;

use crate::attribute::refuse_compressed;
use crate::bundle::Bundle;
use crate::directory::ReadError;
use crate::meta::{FileId, Kind, Timestamp};
use crate::property_list::{self, Bounds, Value};
use crate::root::Root;
use crate::text;

/// Where MDM's managed preferences of the domain `com.dsplug` stand.
pub const MANAGED: &str = "/Library/Managed Preferences/com.dsplug.plist";
/// Where a host's own exceptions stand.
pub const LOCAL: &str = "/Library/Application Support/dsplug/exceptions.plist";
/// The key of the list of entries, in both.
pub const KEY: &str = "Exceptions";
/// The key of the wish that bundles which no exception accepts be copied, in both: a truth value. The
/// first file that has it decides.
pub const KEEP_COPIES: &str = "KeepCopies";
/// Where exceptions are read; the first entry that accepts a bundle is named.
pub const SOURCES: [&str; 2] = [MANAGED, LOCAL];

/// The most that is read of one file, in bytes.
const MOST_BYTES: u64 = 4 << 20;
/// The most entries of one file: each is compared with every bundle.
const MOST_ENTRIES: usize = 4_096;
/// Some eighty values for each of them, as many as one of a baseline has, and a kilobyte of text.
const BOUNDS: Bounds = Bounds {
    values: 320_000,
    text: 4 << 20,
    ..Bounds::STANDARD
};
/// Entries of one file that except nothing which have a row each.
const MOST_REFUSED: usize = 100;
/// Bytes of all entries of all files: the usual entries of two full ones have room.
const ROOM: usize = 8 << 20;
/// Entries that except nothing of which the log tells one by one.
const MOST_TOLD: usize = 16;
/// Bytes of a line in the log.
const MOST_LINE: usize = 512;
/// The owner that a file must have.
const OWNER: u32 = 0;
/// Permission bits that it must not have: writable by the group, writable by others.
const WRITABLE: u32 = 0o022;

/// What was read at all sources.
#[derive(Clone, Debug, Default)]
pub struct Exceptions {
    /// The entries, in order; a file that excepts nothing stands here as one entry with an error, and
    /// what a file says of copies as one that is not active.
    pub entries: Vec<Exception>,
    /// The sources that are there.
    pub sources: Vec<&'static str>,
    /// True when copies are to be kept of what is not accepted.
    pub keep_copies: bool,
    /// The lists that the last scans saw, each other than the one before, this one last; empty where scans do
    /// not remember.
    pub lists: Vec<Arc<List>>,
    /// What stood at each source before it was read; `None` where that cannot be told.
    stood: [Option<Stood>; SOURCES.len()],
}

/// What stands at a source: device, inode, size and times of a file, and whether root alone can write every folder above
/// it; or nothing.
type Stood = Option<(FileId, u64, Timestamp, Timestamp, bool)>;

impl Exceptions {
    /// Reads the exceptions of a disk. `now` is in seconds of Unix time: it decides what is expired.
    pub fn read(root: &Root, now: i64) -> Self {
        let mut exceptions = Self::default();
        let mut room = Room {
            left: ROOM,
            ids: BTreeSet::new(),
        };
        let mut keep_copies = None;
        exceptions.stood = SOURCES.map(|source| at(root, source));
        for source in SOURCES {
            let mut wish = None;
            let read = read_source(root, source, &mut wish);
            let said = wish.map(|wish| Exception::wish(source, wish));
            exceptions.entries.extend(said);
            keep_copies = keep_copies.or(wish);
            match read {
                Ok(None) => continue,
                Ok(Some(entries)) => exceptions.take(source, entries, now, &mut room),
                Err(error) => exceptions.entries.push(Exception::refused(source, error)),
            }
            exceptions.sources.push(source);
        }
        exceptions.keep_copies = keep_copies.unwrap_or_default();
        exceptions.entries.shrink_to_fit();
        exceptions
    }

    /// True when the same files stand at all sources as when they were read, in folders that root alone can write or
    /// not as then, and no entry has expired since by `now`, in seconds of Unix time.
    pub fn are_still(&self, root: &Root, now: i64) -> bool {
        let mut sources = SOURCES.into_iter().zip(&self.stood);
        let mut ends = self.entries.iter();
        sources.all(|(source, stood)| stood.is_some() && *stood == at(root, source))
            && ends.all(|entry| entry.is_still(now))
    }

    /// Has `lists` take in what was read at that time, and bears all that they remember. Says in the log what
    /// excepts nothing, where that is news.
    pub fn note(&mut self, lists: &mut Lists, now: i64) {
        self.lists = lists.see(&self.entries, (self.path(), self.state()), now);
        for line in lists.news(self.refused(), Instant::now()) {
            log::warn!("{line}");
        }
    }

    /// A line for each of the first entries that except nothing, and one for the rest.
    fn refused(&self) -> Vec<String> {
        let mut refused = self.entries.iter().filter(|e| !e.error.is_empty());
        let told = refused.by_ref().take(MOST_TOLD);
        let told = told.map(|e| format!("{}: it excepts nothing: {}", e.name(), e.error));
        let mut lines: Vec<_> = told.map(|line| text::cut(line, MOST_LINE)).collect();
        let more = refused.count();
        if more > 0 {
            lines.push(format!(
                "dsplug_exceptions has {more} more rows of what excepts nothing"
            ));
        }
        lines
    }

    /// The identifier of the first exception that accepts a bundle: the same piece of memory for all that it
    /// accepts.
    pub fn accept(&self, bundle: &Bundle) -> Option<Arc<str>> {
        let offer = Offer::of(bundle);
        let entry = self.entries.iter().find(|e| e.accepts(&offer))?;
        Some(Arc::clone(&entry.id))
    }

    /// Bytes that the entries take, about.
    pub fn held(&self) -> usize {
        let sizes = self.entries.iter().map(Exception::size);
        sizes.fold(0, usize::saturating_add)
    }

    /// Where they were read, for people; empty when there are none.
    pub fn path(&self) -> String {
        self.sources.join(";")
    }

    /// What became of them, in a word: `none`, `active`, `error`.
    pub fn state(&self) -> &'static str {
        if self.entries.iter().any(|e| !e.error.is_empty()) {
            "error"
        } else if self.sources.is_empty() {
            "none"
        } else {
            "active"
        }
    }

    /// How many entries are active.
    pub fn active(&self) -> usize {
        self.entries.iter().filter(|e| e.active).count()
    }

    /// Takes in the entries of a file, each let go of before the next is read.
    fn take(&mut self, source: &'static str, entries: Vec<Value>, now: i64, room: &mut Room) {
        let mut refused = 0_usize;
        for (index, value) in entries.into_iter().enumerate() {
            let position = index.saturating_add(1);
            let mut entry = room.name(Exception::read(source, position, &value, now));
            if entry.error.is_empty() || refused < MOST_REFUSED {
                entry = room.hold(entry, position);
            }
            refused = refused.saturating_add(usize::from(!entry.error.is_empty()));
            if entry.error.is_empty() || refused <= MOST_REFUSED {
                self.entries.push(entry);
            }
        }
        let more = refused.saturating_sub(MOST_REFUSED);
        if more > 0 {
            let error = format!("{more} more of its entries except nothing");
            self.entries.push(Exception::refused(source, error));
        }
    }
}

/// What the entries of all files share.
struct Room {
    /// Bytes that are left.
    left: usize,
    /// The identifiers that are taken.
    ids: BTreeSet<Arc<str>>,
}

impl Room {
    /// Two entries of one identifier could not be told apart where it is logged.
    fn name(&mut self, mut entry: Exception) -> Exception {
        if entry.error.is_empty() && !self.ids.insert(Arc::clone(&entry.id)) {
            entry.refuse("its id is that of an entry before it");
        }
        entry
    }

    /// An entry that has its place, or what stands for it.
    fn hold(&mut self, entry: Exception, position: usize) -> Exception {
        if let Some(left) = self.left.checked_sub(entry.size()) {
            self.left = left;
            return entry;
        }
        let error = match entry.error {
            error if !error.is_empty() => error,
            _ => format!("entry {position}: the lists up to it take more than {ROOM} bytes"),
        };
        Exception::refused(entry.source, error)
    }
}

/// The entries of one file; `None` when there is no file, or one that has other preferences alone.
fn read_source(
    root: &Root,
    source: &str,
    keep_copies: &mut Option<bool>,
) -> Result<Option<Vec<Value>>, String> {
    let Some(bytes) = read_file(root, source)? else {
        return Ok(None);
    };
    let value = property_list::parse(&bytes, &BOUNDS).map_err(|e| e.to_string())?;
    let Value::Dictionary(mut keys) = value else {
        return Err("its top is no dictionary".into());
    };
    *keep_copies = match keys.remove(KEEP_COPIES) {
        None => None,
        Some(Value::Boolean(wish)) => Some(wish),
        Some(_) => return Err(format!("its {KEEP_COPIES} is neither true nor false")),
    };
    match keys.remove(KEY) {
        Some(Value::Array(entries)) if entries.len() > MOST_ENTRIES => {
            Err(format!("it has more than {MOST_ENTRIES} entries"))
        }
        Some(Value::Array(entries)) => Ok(Some(entries)),
        Some(_) => Err(format!("its {KEY} is no array")),
        // A managed domain may hold other preferences.
        None if source == MANAGED || keep_copies.is_some() => Ok(None),
        None => Err(format!("it has no array {KEY}")),
    }
}

/// What stands at a source.
fn at(root: &Root, source: &str) -> Option<Stood> {
    match root.find_entry(source.as_bytes()) {
        Ok(found) => {
            let meta = found.meta;
            let is_roots = ancestors_are_roots(root, source).is_ok();
            Some(Some((
                meta.id(),
                meta.size,
                meta.mtime,
                meta.ctime,
                is_roots,
            )))
        }
        Err(error) => error.is_not_here().then_some(None),
    }
}

/// Holds every directory on the way to a rule: whoever can write one of them can put an older list,
/// or another directory, in the place of this one.
fn ancestors_are_roots(root: &Root, path: &str) -> Result<(), String> {
    for (end, _) in path.match_indices('/').skip(1) {
        let ancestor = path.get(..end).unwrap_or_default();
        if let Some(merged) = root.merged(ancestor) {
            ancestors_are_roots(root, &[&merged, "/"].concat())?;
            continue;
        }
        let found = root
            .find_entry(ancestor.as_bytes())
            .map_err(|error| error.to_string())?;
        let meta = found.meta;
        let why = if meta.kind != Kind::Directory {
            "is no directory of its own".to_owned()
        } else if meta.uid != OWNER {
            format!("belongs to uid {}, not to root", meta.uid)
        } else if meta.mode & WRITABLE != 0 {
            format!(
                "can be written by others than root (mode {})",
                meta.octal_mode()
            )
        } else {
            continue;
        };
        return Err(format!("its folder {ancestor} {why}"));
    }
    Ok(())
}

fn read_file(root: &Root, path: &str) -> Result<Option<Vec<u8>>, String> {
    let say = |error: ReadError| error.to_string();
    let found = match root.find_entry(path.as_bytes()) {
        Ok(found) => found,
        Err(error) if error.is_not_here() => return Ok(None),
        Err(error) => return Err(say(error)),
    };
    if found.meta.kind != Kind::File {
        return Err("it is no regular file".into());
    }
    ancestors_are_roots(root, path)?;
    let file = found.open_file().map_err(say)?;
    // Asked of the open file: what stands under the name may be swapped meanwhile.
    if file.meta.uid != OWNER {
        return Err(format!("it belongs to uid {}, not to root", file.meta.uid));
    }
    if file.meta.mode & WRITABLE != 0 {
        let mode = file.meta.octal_mode();
        return Err(format!("others than root can write it (mode {mode})"));
    }
    refuse_compressed(&file.fd, path.as_bytes())?;
    let mut bytes = Vec::new();
    std::fs::File::from(file.fd)
        .take(MOST_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(format!("it is larger than {MOST_BYTES} bytes"));
    }
    Ok(Some(bytes))
}
