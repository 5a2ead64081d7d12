//! The check of one Mach-O file: asks for the ranges it needs, then hashes the file as it streams by.

use std::ops::Range;

use super::facts::CodeFacts;
use super::roots::Roots;

/// Bounds on the work and the memory that one file may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of headers, load commands, signatures and `__info_plist` sections held in memory,
    /// over all slices.
    pub held_bytes: u64,
    /// Slices of a universal file.
    pub slices: u32,
    /// Load commands of a slice.
    pub load_commands: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            held_bytes: 24 << 20,
            slices: 16,
            load_commands: 16_384,
        }
    }
}

/// True when a file that begins with `head` (8 bytes suffice) is to be checked as a Mach-O file.
pub fn is_macho(head: &[u8]) -> bool {
    let _ = head;
    false
}

/// The check of one Mach-O file, without I/O.
///
/// 1. While [`wants`](Self::wants) gives a range, read it and [`supply`](Self::supply) the bytes.
/// 2. Read the whole file once, from its first byte, and pass each chunk to
///    [`update`](Self::update).
/// 3. [`finish`](Self::finish).
///
/// The file's owner may change it between 1 and 2: what streams by must be what was supplied, or the
/// state is `unreadable`.
#[derive(Debug)]
pub struct FileCheck<'r> {
    roots: &'r Roots,
}

impl<'r> FileCheck<'r> {
    /// A check of a file of `len` bytes.
    pub fn new(len: u64, roots: &'r Roots, limits: Limits) -> Self {
        let _ = (len, limits);
        Self { roots }
    }

    /// The next range to read, in bytes of the file; `None` when the streaming may begin.
    pub fn wants(&self) -> Option<Range<u64>> {
        None
    }

    /// Takes in the bytes of the range that [`wants`](Self::wants) gave; fewer when the file
    /// ended or could not be read further.
    pub fn supply(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// Takes in the next chunk of the whole file.
    pub fn update(&mut self, chunk: &[u8]) {
        let _ = chunk;
    }

    /// What is known of the file.
    pub fn finish(self) -> CodeFacts {
        let _ = self.roots;
        CodeFacts::default()
    }
}
