//! The pages of a slice's code, hashed as the file streams by and compared with one code directory.

use std::ops::Range;
use std::sync::Arc;

use crate::codesign::bytes;
use crate::codesign::hash::{HashType, Hasher};

/// The pages of one slice under one code directory.
#[derive(Debug)]
pub(crate) struct Pages {
    hash_type: HashType,
    /// The code that is left, in bytes of the file.
    rest: Range<u64>,
    page_size: u64,
    /// The page that is being filled: where it begins, what is missing, and its hash so far when
    /// it came in pieces.
    page_start: u64,
    missing: u64,
    pieces: Option<Hasher>,
    /// Where the first page ends, as long as its hash is waited for: it begins with the file, whose own
    /// hash up to there it is.
    shared: Option<u64>,
    /// What the pages' hashes are compared with, one after the other.
    signature: Arc<Vec<u8>>,
    expected: Range<u64>,
    /// Pages that differ.
    pub(crate) altered: u64,
    /// Where the first of them begins, in bytes of the file.
    pub(crate) first_altered: Option<u64>,
}

impl Pages {
    /// The pages of `code`, in bytes of the file; their hashes stand at `expected` of `signature`.
    ///
    /// A page size of 0 makes all the code one page.
    pub(crate) fn new(
        hash_type: HashType,
        page_size: u64,
        code: Range<u64>,
        signature: Arc<Vec<u8>>,
        expected: Range<u64>,
    ) -> Self {
        let mut pages = Self {
            hash_type,
            page_start: code.start,
            rest: code,
            page_size: if page_size == 0 { u64::MAX } else { page_size },
            missing: 0,
            pieces: None,
            shared: None,
            signature,
            expected,
            altered: 0,
            first_altered: None,
        };
        pages.begin_page();
        pages
    }

    /// Takes in what a chunk that begins at the file's offset `at` has of the code. Chunks come in
    /// file order and without gaps.
    pub(crate) fn update(&mut self, at: u64, chunk: &[u8]) {
        let mut code = bytes::cut(chunk, at, &self.rest);
        self.rest.start = self.rest.start.saturating_add(bytes::length(code));
        while !code.is_empty() {
            let (piece, after) = bytes::split(code, self.missing);
            code = after;
            self.missing = self.missing.saturating_sub(bytes::length(piece));
            if self.missing > 0 {
                self.pieces
                    .get_or_insert_with(|| Hasher::new(self.hash_type))
                    .update(piece);
                continue;
            }
            let holds = match self.pieces.take() {
                Some(mut hasher) => {
                    hasher.update(piece);
                    hasher.matches(self.next_expected())
                }
                None => self.hash_type.matches(piece, self.next_expected()),
            };
            self.end_page(holds);
        }
    }

    /// Has the first page wait for the hash of the file up to its end, which it gives, if that is its own
    /// hash as well. For the beginning of the file alone.
    pub(crate) fn share(&mut self) -> Option<u64> {
        let is_sha256 = matches!(self.hash_type, HashType::Sha256 | HashType::Sha256Truncated);
        if is_sha256 && self.rest.start == 0 && self.missing > 0 && self.pieces.is_none() {
            self.rest.start = self.missing;
            self.shared = Some(self.missing);
        }
        self.shared
    }

    /// Takes the SHA-256 of the file up to `end` for that of the first page, if it waits for that.
    pub(crate) fn take_shared(&mut self, end: u64, sha256: &[u8; 32]) {
        if self.shared.take_if(|shared| *shared == end).is_some() {
            let digest = sha256.get(..self.hash_type.length());
            let holds = digest == Some(self.next_expected());
            self.missing = 0;
            self.end_page(holds);
        }
    }

    /// True when all the code was seen.
    pub(crate) fn is_complete(&self) -> bool {
        self.rest.is_empty() && self.pieces.is_none() && self.shared.is_none()
    }

    fn next_expected(&self) -> &[u8] {
        let len = bytes::count(self.hash_type.length());
        let next = bytes::cut(&self.signature, 0, &self.expected);
        bytes::split(next, len).0
    }

    fn end_page(&mut self, holds: bool) {
        if !holds {
            self.altered = self.altered.saturating_add(1);
            self.first_altered.get_or_insert(self.page_start);
        }
        let len = bytes::count(self.hash_type.length());
        self.expected.start = self.expected.start.saturating_add(len);
        self.page_start = self.page_start.saturating_add(self.page_size);
        self.begin_page();
    }

    fn begin_page(&mut self) {
        let end = self.page_start.saturating_add(self.page_size);
        self.missing = end.min(self.rest.end).saturating_sub(self.page_start);
    }
}
