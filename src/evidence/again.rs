//! What is read again of a candidate for its age: all that may run, by what it was or by what it is to others, and what
//! its first bytes say has become code since, though no time of it does.

use super::entry::{Content, Entry};
use super::facts::Evidence;
use super::known::{is_known, with_old};
use super::opener::Opener;
use super::walk::Cursor;
use crate::codesign::is_macho;
use crate::directory::{OpenFile, ReadError};
use crate::limits::Budget;
use crate::meta::Kind;
use crate::root::Root;

/// Bytes that tell whether a file is Mach-O, the slices of a universal one with them.
const HEAD: usize = 1 << 10;
/// Bytes below which nothing is: those of a header of 32 bits.
const LEAST: u64 = 28;
/// For how many bytes of code a file counts of which no more than those is read.
const LOOK: u64 = 4 << 10;

/// What is read again.
#[derive(Debug, Default)]
pub struct Again {
    /// The main executable, by its path in the bundle.
    executable: Option<Vec<u8>>,
    /// What has become code, by number.
    new: Vec<usize>,
    /// True when there was no time to look at all.
    is_cut: bool,
}

/// True for what may run whatever it holds, and for what holds code.
fn may_run(entry: &Entry, executable: Option<&[u8]>) -> bool {
    // What stands by itself is a candidate, or what a link or code names.
    entry.content.code().is_some()
        || entry.meta.is_executable()
        || entry.path.is_empty()
        || executable == Some(&*entry.path)
}

/// True for what may become code.
fn may_become_code(entry: &Entry) -> bool {
    entry.meta.kind == Kind::File && entry.meta.size >= LEAST
}

impl Again {
    /// Looks at the first bytes of all that was known `before` of a candidate and is no code.
    pub fn of(root: &Root, evidence: &mut Evidence, before: &Evidence, budget: &Budget) -> Self {
        let executable = evidence.executable.as_ref();
        let mut again = Self {
            executable: executable.and_then(|e| e.relative.clone()),
            ..Self::default()
        };
        if !evidence.is_bundle() {
            return again;
        }
        // What cannot be opened is read again, which tells why.
        let _ = evidence.open(root);
        let mut cursor = evidence.dir().cloned().map(Cursor::new);
        let entries = &evidence.entries;
        again.look(entries, &before.entries, before, budget, |path| {
            Some(cursor.as_mut()?.open_file(path))
        });
        drop(cursor);
        evidence.close();
        again
    }

    /// Looks likewise at what stands at one place outside.
    pub fn of_place(
        open: &mut Opener<'_>,
        entries: &[Entry],
        olds: &[Entry],
        before: &Evidence,
        budget: &Budget,
    ) -> Self {
        let mut again = Self::default();
        again.look(entries, olds, before, budget, |path| Some(open.file(path)));
        again
    }

    fn look(
        &mut self,
        entries: &[Entry],
        olds: &[Entry],
        before: &Evidence,
        budget: &Budget,
        mut open: impl FnMut(&[u8]) -> Option<Result<OpenFile, ReadError>>,
    ) {
        for (number, entry, old) in with_old(entries, olds) {
            if !may_become_code(old)
                || may_run(old, self.executable.as_deref())
                || !is_known(entry, old, before)
            {
                continue;
            }
            if budget.is_late() {
                self.is_cut = true;
                return;
            }
            let is_same = |file: OpenFile| {
                file.meta.is_unchanged(&entry.meta) && starts_like_code(&file) == Ok(false)
            };
            if !open(&entry.path).is_some_and(|file| file.is_ok_and(is_same)) {
                self.new.push(number);
            }
        }
    }

    /// True for what is read again, of what was known before.
    pub fn includes(&self, number: usize, old: &Entry) -> bool {
        may_run(old, self.executable.as_deref()) || self.is_new(number)
    }

    /// True for what has become code.
    pub fn is_new(&self, number: usize) -> bool {
        self.new.binary_search(&number).is_ok()
    }

    /// True when there was no time to look at all.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }
}

fn starts_like_code(file: &OpenFile) -> Result<bool, rustix::io::Errno> {
    let mut head = [0; HEAD];
    let count = rustix::io::pread(&file.fd, head.as_mut_slice(), 0)?;
    Ok(is_macho(head.get(..count).unwrap_or_default()))
}

/// Bytes that it takes to read again what was read of a candidate: what was not, of whatever size, is not read again
/// either.
pub fn code_bytes(evidence: &Evidence) -> u64 {
    let executable = evidence.executable.as_ref();
    let relative = executable.and_then(|e| e.relative.as_deref());
    let own = evidence.entries.iter();
    let own = own.map(|entry| bytes_of(entry, relative));
    let reached = evidence.reach.entries().map(|entry| bytes_of(entry, None));
    let outside = executable.filter(|e| e.is_outside());
    let outside = outside.filter(|e| matches!(e.outside, Content::Read { .. }));
    own.chain(reached)
        .chain(outside.map(|e| e.meta.size))
        .fold(0, u64::saturating_add)
}

fn bytes_of(entry: &Entry, executable: Option<&[u8]>) -> u64 {
    match &entry.content {
        Content::Read { .. } if may_run(entry, executable) => entry.meta.size,
        Content::Read { .. } if may_become_code(entry) => entry.meta.size.min(LOOK),
        _ => 0,
    }
}
