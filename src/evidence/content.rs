//! The one streaming pass over a file's bytes: its digests, its code signature's page hashes, and
//! what is kept.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use sha1::{Digest as _, Sha1};

use super::attributes::{self, Attributes};
use super::cpus::Cpus;
use super::entry::{Content, Entry};
use super::paths::join;
use super::trouble::Trouble;
use crate::attribute::refuse_compressed;
use crate::codesign::{CodeFacts, FileCheck, Limits as CodeLimits, Roots, is_macho};
use crate::directory::{OpenFile, ReadError};
use crate::limits::Budget;
use crate::sha256::Sha256;
use crate::text::escape;

/// Bytes read at once: few enough that they are still in the processor's nearest caches when they are
/// hashed. With eight times as many, the copy out of the system's cache took three times as long.
const CHUNK: usize = 32 << 10;
/// Bytes that are held of one file's headers and signatures beyond which it has to be its turn.
const MANY: u64 = 1 << 20;
/// Bytes of a part of these that has room of its own.
const LARGE: u64 = 64 << 10;
/// Room for a large part, in bytes. The C library of Linux maps what is larger than 32 MB by itself
/// and gives it back when it is freed; what is smaller each thread keeps (`M_MMAP_THRESHOLD`,
/// mallopt(3)). Only what is filled takes memory.
const ROOM: usize = 33 << 20;
/// Attributes among which the same are looked for.
const MOST_RECENT: usize = 16;
/// Bytes of a file that is kept whole.
pub const MAX_KEPT: u64 = 8 << 20;

/// What one pass gives.
pub struct Passed {
    /// What the file holds.
    pub content: Content,
    /// Its extended attributes, when it has any that matter.
    pub attributes: Option<Arc<Attributes>>,
    /// Its bytes, when they were asked for and are not too many.
    pub kept: Option<Vec<u8>>,
}

/// What is wanted of a file besides its SHA-256.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants<'k> {
    /// Its bytes.
    pub bytes: bool,
    /// Its SHA-1.
    pub sha1: bool,
    /// The path of what it stands in; empty where the entry has its own.
    pub above: &'k [u8],
    /// What it held when it was read before: where it does still, what is known of its code stands, and takes no room
    /// beside that.
    pub known: Option<&'k Content>,
}

/// Why a file has no content here.
#[derive(Debug)]
pub enum NotRead {
    /// It was not read to its end, and what was known of it is as good as it was.
    Cut(Trouble),
    /// It is not what it was, or nobody can tell.
    Failed(Trouble),
}

impl From<ReadError> for NotRead {
    fn from(error: ReadError) -> Self {
        let trouble = Trouble::of_entry(&error);
        if error.is_limit() {
            Self::Cut(trouble)
        } else {
            Self::Failed(trouble)
        }
    }
}

/// Reads files; holds the buffer and what is needed to judge code.
pub struct Reader<'r> {
    roots: &'r Roots,
    buffer: Vec<u8>,
    /// Held by the one reader that holds much of a file.
    large: Arc<Mutex<()>>,
    /// The attributes that were come upon last: most files of a bundle have the same.
    recent: VecDeque<Arc<Attributes>>,
    /// False when it is not verified who signed code: for a whole candidate, or for none of it.
    pub verifies: bool,
    /// Files read to their end.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl<'r> Reader<'r> {
    /// A reader that judges signatures by these roots.
    pub fn new(roots: &'r Roots) -> Self {
        Self {
            roots,
            buffer: vec![0; CHUNK],
            large: Arc::default(),
            recent: VecDeque::new(),
            verifies: true,
            files: 0,
            bytes: 0,
        }
    }

    /// Another reader for another thread, its counts at nought.
    pub fn another(&self) -> Self {
        Self {
            large: Arc::clone(&self.large),
            verifies: self.verifies,
            ..Self::new(self.roots)
        }
    }

    /// Adds what another reader read.
    pub fn count(&mut self, other: &Self) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// Reads a file that the survey has seen as `entry`.
    ///
    /// # Errors
    /// When it cannot be read, is not what the survey saw, or changes while it is read.
    pub fn read(
        &mut self,
        file: &OpenFile,
        entry: &Entry,
        wants: Wants<'_>,
        budget: &Budget,
    ) -> Result<Passed, NotRead> {
        let real = || join(wants.above, &entry.path);
        let path = || escape(&real());
        let changed = || {
            let why = format!("{} changed while it was read", path());
            NotRead::Failed(Trouble::Changed(why))
        };
        let refused = |e: Errno| NotRead::Failed(Trouble::Unreadable(cannot_read(&real(), e)));
        if !file.meta.is_unchanged(&entry.meta) {
            return Err(changed());
        }
        // One that comes later changes a time of the file. A signature that holds without a fork may not hold with it.
        let attributes = attributes::read(&file.fd).map_err(refused)?;
        if let Some(trouble) = attributes.refusal(path) {
            return Err(NotRead::Failed(trouble));
        }
        let len = file.meta.size;
        let large = Arc::clone(&self.large);
        let mut turn = None;
        let mut code = None;
        let mut cpus = Cpus::None;
        let mut sha256 = Sha256::new();
        let mut sha1 = wants.sha1.then(Sha1::new);
        let mut kept = (wants.bytes && len <= MAX_KEPT).then(Vec::new);
        let mut seen = 0_u64;
        // What is behind `len` by now is told by the status that is taken at the end.
        while seen < len {
            let left = usize::try_from(len.saturating_sub(seen)).unwrap_or(usize::MAX);
            let room = left.min(self.buffer.len());
            let buffer = self.buffer.get_mut(..room).unwrap_or_default();
            let count =
                fill(buffer, |rest, _| rustix::io::read(&file.fd, rest)).map_err(refused)?;
            if count < room {
                return Err(changed());
            }
            let chunk = self.buffer.get(..count).unwrap_or_default();
            if seen == 0 {
                cpus = Cpus::of(chunk);
                code = self
                    .begin_code(file, chunk, &large, &mut turn, budget)
                    .map_err(refused)?;
            }
            seen = seen.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if let Some(sha1) = &mut sha1 {
                sha1.update(chunk);
            }
            match &mut code {
                Some(code) => code.update_hashing(chunk, &mut sha256),
                None => sha256.update(chunk),
            }
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(chunk);
            }
            if budget.is_late() {
                return Err(NotRead::Cut(Trouble::Limit(format!(
                    "{} was not read to its end: the time of the scan is spent",
                    path()
                ))));
            }
        }
        let now = file.meta_now().map_err(refused)?;
        if seen != len || !now.is_unchanged(&entry.meta) {
            return Err(changed());
        }
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(len);
        let sha256 = sha256.finish();
        let old = wants.known.and_then(Content::shared_code);
        let is_same = |old: &Content| old.sha256() == Some(&sha256);
        let known = old.filter(|_| wants.known.is_some_and(is_same));
        let code = match (code, known) {
            // The same bytes are the same code, and have been judged.
            (Some(_), Some(known)) if !known.is_unverified => Some(Arc::clone(known)),
            (code, _) => code.map(|code| {
                let mut code = code.finish();
                budget.take_judging(code.work());
                code.shorten_lists();
                Arc::new(code)
            }),
        };
        let is_known = |code: &Arc<CodeFacts>| known.is_some_and(|old| Arc::ptr_eq(old, code));
        let new = code.as_ref().filter(|code| !is_known(code));
        let new = new.map_or(0, |code| code.weight());
        let has_room = match old {
            Some(old) if new > 0 => budget.replace_code_facts(old.weight(), new),
            _ => budget.take_code_facts(new),
        };
        if !has_room {
            return Err(NotRead::Failed(Trouble::Limit(format!(
                "{}: there is no room for what is known of its code; dsplug --thorough has more",
                path()
            ))));
        }
        Ok(Passed {
            content: Content::Read {
                sha256,
                sha1: sha1.map(|s| Box::new(s.finalize().into())),
                cpus,
                code,
            },
            attributes: (!attributes.is_empty()).then(|| self.share(attributes, budget)),
            kept,
        })
    }

    /// Attributes to be held, those that are the same once. Their texts are whatever somebody wrote, and where
    /// there is no room for them what a signature is judged by stays.
    fn share(&mut self, attributes: Attributes, budget: &Budget) -> Arc<Attributes> {
        if let Some(same) = self.recent.iter().find(|known| ***known == attributes) {
            return Arc::clone(same);
        }
        let attributes = if budget.take_attributes(attributes.weight()) {
            attributes
        } else {
            let less = attributes.without_texts();
            if let Some(same) = self.recent.iter().find(|known| ***known == less) {
                return Arc::clone(same);
            }
            less
        };
        let attributes = Arc::new(attributes);
        if self.recent.len() >= MOST_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::clone(&attributes));
        attributes
    }

    /// Supplies what the check of a Mach-O file asks for before the pass.
    ///
    /// Each thread may come upon as much as the check allows, and only one at a time holds it.
    fn begin_code<'l>(
        &self,
        file: &OpenFile,
        chunk: &[u8],
        large: &'l Mutex<()>,
        turn: &mut Option<MutexGuard<'l, ()>>,
        budget: &Budget,
    ) -> Result<Option<FileCheck<'r>>, Errno> {
        if !is_macho(chunk) {
            return Ok(None);
        }
        let limits = CodeLimits {
            verifies: self.verifies && budget.has_time_to_judge(),
            ..CodeLimits::default()
        };
        let mut check = FileCheck::new(file.meta.size, self.roots, limits);
        let mut held = 0_u64;
        while let Some(range) = check.wants() {
            let size = range.end.saturating_sub(range.start);
            held = held.saturating_add(size);
            if held > MANY && turn.is_none() {
                *turn = Some(large.lock().unwrap_or_else(PoisonError::into_inner));
            }
            let room = if size > LARGE { ROOM } else { 0 };
            let bytes = read_range(&file.fd, range.start, size, room)?;
            budget.judging(|| check.supply_owned(bytes));
        }
        Ok(Some(check))
    }
}

/// Fills a buffer by as many reads as it takes, each told how far it is; gives how much there was.
fn fill(
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8], usize) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
        match read(rest, filled) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Reads a range of a file; fewer bytes when it ends before. `room` is the least that is allocated,
/// where there is as much.
fn read_range(fd: impl AsFd, start: u64, len: u64, room: usize) -> Result<Vec<u8>, Errno> {
    let len = usize::try_from(len).map_err(|_| Errno::FBIG)?;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len.max(room))
        .or_else(|_| bytes.try_reserve_exact(len))
        .map_err(|_| Errno::NOMEM)?;
    bytes.resize(len, 0);
    let filled = fill(&mut bytes, |rest, filled| {
        let at = start.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        rustix::io::pread(fd.as_fd(), rest, at)
    })?;
    bytes.truncate(filled);
    Ok(bytes)
}

/// Reads a small file whole.
///
/// # Errors
/// When it cannot be read, is compressed, is larger than `most`, or shrinks while it is read.
pub fn read_small(file: &OpenFile, most: u64, path: &[u8]) -> Result<Vec<u8>, Trouble> {
    if file.meta.size > most {
        return Err(Trouble::Limit(format!(
            "{} is larger than {most} bytes",
            escape(path)
        )));
    }
    refuse_compressed(&file.fd, path).map_err(Trouble::Unreadable)?;
    let bytes = read_range(&file.fd, 0, file.meta.size, 0)
        .map_err(|e| Trouble::Unreadable(cannot_read(path, e)))?;
    if u64::try_from(bytes.len()) != Ok(file.meta.size) {
        return Err(Trouble::Changed(format!(
            "{} shrank while it was read",
            escape(path)
        )));
    }
    Ok(bytes)
}

fn cannot_read(path: &[u8], errno: Errno) -> String {
    let error = ReadError {
        operation: "read",
        path: path.to_vec(),
        errno,
    };
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn attributes_that_are_the_same_are_held_once_and_many_lose_their_texts() {
        let budget = Budget::new(Limits {
            attributes: 64 << 10,
            ..Limits::STANDARD
        });
        let roots = Roots::apple();
        let mut reader = Reader::new(&roots);
        let of = |text: String| Attributes {
            quarantine: text,
            resource_fork: true,
            ..Attributes::default()
        };
        let same = of("flags=0083;time=1;agent=Safari;uuid=7E".into());
        let first = reader.share(same.clone(), &budget);
        assert!(Arc::ptr_eq(&first, &reader.share(same, &budget)));
        let all: Vec<_> = (0..10_000)
            .map(|i| reader.share(of(format!("{i:0200}")), &budget))
            .collect();
        let each: std::collections::BTreeMap<_, _> =
            all.iter().map(|a| (Arc::as_ptr(a), a.weight())).collect();
        assert!(each.values().sum::<usize>() < 66 << 10);
        assert!(all.iter().all(|a| a.resource_fork));
        let last = all.last().unwrap();
        assert!(last.lack_texts() && last.error.starts_with("limit: "));
    }
}
