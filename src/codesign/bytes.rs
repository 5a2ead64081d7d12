//! A view of hostile bytes: every offset that comes from a file is added, compared and cut here.
//!
//! Whoever wrote the file chose every number in it. So nothing here panics or wraps: what does
//! not fit is `None`.

use std::ops::Range;

/// The order of bytes in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Most significant byte first.
    Big,
    /// Least significant byte first.
    Little,
}

/// Bytes, and where they begin in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    data: &'a [u8],
    base: u64,
}

impl<'a> Bytes<'a> {
    /// A view of `data`, which begins at the file's offset `base`.
    pub(crate) fn new(data: &'a [u8], base: u64) -> Self {
        Self { data, base }
    }

    /// All of it.
    pub(crate) fn all(self) -> &'a [u8] {
        self.data
    }

    /// Its length.
    pub(crate) fn len(self) -> u64 {
        length(self.data)
    }

    /// Where the offset `offset` of this view stands in the file.
    pub(crate) fn place(self, offset: u64) -> u64 {
        self.base.saturating_add(offset)
    }

    /// The part of `len` bytes at `offset`.
    pub(crate) fn part(self, offset: u64, len: u64) -> Option<Bytes<'a>> {
        let range = index(offset)?..index(offset.checked_add(len)?)?;
        Some(Self {
            data: self.data.get(range)?,
            base: self.base.checked_add(offset)?,
        })
    }

    /// The bytes of length `len` at `offset`.
    pub(crate) fn get(self, offset: u64, len: u64) -> Option<&'a [u8]> {
        Some(self.part(offset, len)?.data)
    }

    /// What follows `offset`; nothing when that is past the end.
    pub(crate) fn from(self, offset: u64) -> &'a [u8] {
        index(offset)
            .and_then(|at| self.data.get(at..))
            .unwrap_or_default()
    }

    /// The byte at `offset`.
    pub(crate) fn u8(self, offset: u64) -> Option<u8> {
        self.data.get(index(offset)?).copied()
    }

    /// The number of 4 bytes at `offset`.
    pub(crate) fn u32(self, offset: u64, order: Order) -> Option<u32> {
        let bytes = self.get(offset, 4)?.try_into().ok()?;
        Some(match order {
            Order::Big => u32::from_be_bytes(bytes),
            Order::Little => u32::from_le_bytes(bytes),
        })
    }

    /// The number of 8 bytes at `offset`.
    pub(crate) fn u64(self, offset: u64, order: Order) -> Option<u64> {
        let bytes = self.get(offset, 8)?.try_into().ok()?;
        Some(match order {
            Order::Big => u64::from_be_bytes(bytes),
            Order::Little => u64::from_le_bytes(bytes),
        })
    }

    /// The text from `offset` to a NUL, without it; `None` when no NUL follows.
    pub(crate) fn c_string(self, offset: u64) -> Option<&'a [u8]> {
        let rest = self.data.get(index(offset)?..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        rest.get(..end)
    }

    /// The text from `offset` to a NUL or to the end of the view.
    pub(crate) fn padded_string(self, offset: u64) -> &'a [u8] {
        name(self.from(offset))
    }
}

/// The range of `len` bytes at `offset`, when it ends within `limit`.
pub(crate) fn range_within(offset: u64, len: u64, limit: u64) -> Option<Range<u64>> {
    let end = offset.checked_add(len)?;
    (end <= limit).then_some(offset..end)
}

/// The range moved up by `by`.
pub(crate) fn moved(range: &Range<u64>, by: u64) -> Option<Range<u64>> {
    Some(range.start.checked_add(by)?..range.end.checked_add(by)?)
}

/// True when the ranges have a byte in common.
pub(crate) fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// What a chunk that begins at `at` has of `range`.
pub(crate) fn cut<'c>(chunk: &'c [u8], at: u64, range: &Range<u64>) -> &'c [u8] {
    let relative = |offset: u64| {
        let offset = offset.saturating_sub(at);
        index(offset).map_or(chunk.len(), |o| o.min(chunk.len()))
    };
    chunk
        .get(relative(range.start)..relative(range.end))
        .unwrap_or_default()
}

/// The first `len` bytes, or all when there are fewer, and what follows them.
pub(crate) fn split(bytes: &[u8], len: u64) -> (&[u8], &[u8]) {
    index(len)
        .and_then(|at| bytes.split_at_checked(at))
        .unwrap_or((bytes, &[]))
}

/// A length as a number that is compared with a file's.
pub(crate) fn length(bytes: &[u8]) -> u64 {
    count(bytes.len())
}

/// A number of things in memory as one that is compared with a file's.
pub(crate) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The first 20 bytes of a code directory's hash.
pub(crate) fn cdhash(hash: &[u8]) -> [u8; 20] {
    hash.first_chunk().copied().unwrap_or_default()
}

/// An offset as an index into memory.
pub(crate) fn index(offset: u64) -> Option<usize> {
    usize::try_from(offset).ok()
}

/// A name in a field of fixed length: what stands before a NUL, or all.
pub(crate) fn name(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The first `n` bytes, or all when there are fewer.
pub(crate) fn first(bytes: &[u8], n: usize) -> &[u8] {
    bytes.get(..n).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_offset_wraps_or_passes_the_end() {
        let bytes = Bytes::new(&[1, 2, 3, 4], u64::MAX - 1);
        assert_eq!(bytes.get(u64::MAX, u64::MAX), None);
        assert_eq!(bytes.get(4, 0), None);
        assert_eq!(bytes.get(1, 4), None);
        assert_eq!(bytes.u32(1, Order::Big), None);
        assert_eq!(bytes.place(9), u64::MAX);
        assert_eq!(Bytes::new(&[1, 2, 3, 4], 0).get(4, 0), Some(&[][..]));
        assert_eq!(range_within(u64::MAX, 1, u64::MAX), None);
        assert_eq!(moved(&(0..1), u64::MAX), None);
    }

    #[test]
    fn a_chunk_is_cut_to_a_range_on_either_side() {
        let chunk = b"cdef";
        assert_eq!(cut(chunk, 2, &(0..3)), b"c");
        assert_eq!(cut(chunk, 2, &(3..99)), b"def");
        assert_eq!(cut(chunk, 2, &(0..2)), b"");
        assert_eq!(cut(chunk, 2, &(6..9)), b"");
    }
}
