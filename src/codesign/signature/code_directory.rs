//! A code directory: the hashes of the code's pages and of the signature's other parts.
//!
//! Source of the layout and of its versions: `codedirectory.h` and `codedirectory.cpp`
//! (`CodeDirectory::checkIntegrity`) of Apple's Security.

use std::borrow::Cow;
use std::ops::Range;

use super::superblob::Blob;
use crate::codesign::bytes::{self, Bytes, Order};
use crate::codesign::hash::HashType;
use crate::codesign::verdict::{
    CodeFlags, DirectoryFacts, Place, Problem, ProblemCode, SpecialSlot,
};
use crate::text;

const EARLIEST_VERSION: u32 = 0x2_0001;
const COMPATIBILITY_LIMIT: u32 = 0x2_f000;
const SUPPORTS_SCATTER: u32 = 0x2_0100;
const SUPPORTS_TEAM: u32 = 0x2_0200;
const SUPPORTS_CODE_LIMIT_64: u32 = 0x2_0300;
const SUPPORTS_EXEC_SEGMENT: u32 = 0x2_0400;
const SUPPORTS_PRE_ENCRYPT: u32 = 0x2_0500;
/// More special slots than there are kinds of them.
const MOST_SPECIAL_SLOTS: u32 = 64;
/// Bytes of an identifier or a team identifier that are kept. Apple's teams have ten; `codesign` makes an
/// identifier of a bundle's own or of a file's name and a digest, which is some 310 at most. Of a longer one
/// there is the beginning and a digest of the whole, so that two that differ stay different.
const MOST_TEXT: usize = 512;
/// The greatest page size that a loader could use, as a power of two.
const MOST_PAGE_BITS: u8 = 30;

/// A parsed code directory.
#[derive(Debug)]
pub(crate) struct CodeDirectory<'a> {
    /// What is told of it.
    pub(crate) facts: DirectoryFacts,
    /// All of it.
    pub(crate) bytes: &'a [u8],
    /// Where its page hashes stand, relative to its beginning.
    pub(crate) page_hashes: Range<u64>,
    /// What must be the same in every code directory of a slice besides identifier, team, flags
    /// and code limit: platform and executable segment.
    pub(crate) agreed: (u8, Option<[u64; 3]>),
}

impl<'a> CodeDirectory<'a> {
    /// Parses the part in a code directory's slot.
    pub(crate) fn parse(blob: Blob<'a>) -> Result<Self, Problem> {
        let reader = Reader { bytes: blob.bytes };
        let version = reader.u32(8)?;
        if !(EARLIEST_VERSION..=COMPATIBILITY_LIMIT).contains(&version) {
            return Err(reader.say(8, format!("unknown version {version:#x}")));
        }
        let hash_type = reader.u8(37)?;
        let hash_type = HashType::from_number(hash_type)
            .ok_or_else(|| reader.say(37, format!("unknown hash type {hash_type}")))?;
        let hash_len = bytes::count(hash_type.length());
        if u64::from(reader.u8(36)?) != hash_len {
            return Err(reader.say(36, "the length of its hashes is not that of their type"));
        }
        if version >= SUPPORTS_SCATTER && reader.u32(44)? != 0 {
            return Err(reader.say(44, "a scatter vector, which Mach-O files do not have"));
        }
        let header_end = header_len(version);
        let identifier = reader.text(20, header_end)?;
        if identifier.is_empty() {
            return Err(reader.say(20, "the identifier is empty"));
        }
        let team_identifier = if version >= SUPPORTS_TEAM && reader.u32(48)? != 0 {
            reader.text(48, header_end)?
        } else {
            String::new()
        };
        let (page_size, pages, code_limit) = reader.pages(version)?;
        let (page_hashes, special_slots) = reader.slots(hash_type, pages, header_end)?;
        let exec_segment = if version >= SUPPORTS_EXEC_SEGMENT {
            Some([reader.u64(64)?, reader.u64(72)?, reader.u64(80)?])
        } else {
            None
        };
        if version >= SUPPORTS_PRE_ENCRYPT && reader.u32(92)? != 0 {
            return Err(reader.say(92, "pages that are encrypted, which macOS does not load"));
        }
        let hash = hash_type.digest(blob.bytes.all());
        Ok(Self {
            facts: DirectoryFacts {
                offset: blob.bytes.place(0),
                slot: blob.slot,
                version,
                flags: CodeFlags(reader.u32(12)?),
                hash_type,
                identifier,
                team_identifier,
                cdhash: bytes::cdhash(&hash),
                page_size,
                pages,
                code_limit,
                special_slots,
            },
            bytes: blob.bytes.all(),
            page_hashes,
            agreed: (reader.u8(38)?, exec_segment),
        })
    }
}

/// Length of the fixed part.
fn header_len(version: u32) -> u64 {
    match version {
        v if v >= 0x2_0600 => 108,
        v if v >= SUPPORTS_PRE_ENCRYPT => 96,
        v if v >= SUPPORTS_EXEC_SEGMENT => 88,
        v if v >= SUPPORTS_CODE_LIMIT_64 => 64,
        v if v >= SUPPORTS_TEAM => 52,
        v if v >= SUPPORTS_SCATTER => 48,
        _ => 44,
    }
}

struct Reader<'a> {
    bytes: Bytes<'a>,
}

impl Reader<'_> {
    fn u8(&self, at: u64) -> Result<u8, Problem> {
        self.bytes.u8(at).ok_or_else(|| self.cut_off(at))
    }

    fn u32(&self, at: u64) -> Result<u32, Problem> {
        self.bytes
            .u32(at, Order::Big)
            .ok_or_else(|| self.cut_off(at))
    }

    fn u64(&self, at: u64) -> Result<u64, Problem> {
        self.bytes
            .u64(at, Order::Big)
            .ok_or_else(|| self.cut_off(at))
    }

    /// The text at the offset that stands at `at`.
    fn text(&self, at: u64, header_end: u64) -> Result<String, Problem> {
        let offset = u64::from(self.u32(at)?);
        let text = self
            .bytes
            .c_string(offset)
            .filter(|_| offset >= header_end)
            .ok_or_else(|| self.say(at, "a text is out of bounds"))?;
        match std::str::from_utf8(text) {
            Ok(text) => Ok(text::cut(text, MOST_TEXT)),
            Err(_) => Err(self.say(offset, "a text is not UTF-8")),
        }
    }

    /// Page size, number of pages and code limit, which must agree.
    fn pages(&self, version: u32) -> Result<(u64, u32, u64), Problem> {
        let mut code_limit = u64::from(self.u32(32)?);
        if version >= SUPPORTS_CODE_LIMIT_64 {
            let wide = self.u64(56)?;
            if wide != 0 {
                code_limit = wide;
            }
        }
        let pages = self.u32(28)?;
        let bits = self.u8(39)?;
        if bits > MOST_PAGE_BITS {
            return Err(self.say(39, format!("a page size of 2^{bits} bytes")));
        }
        let page_size = if bits == 0 {
            0
        } else {
            1u64.checked_shl(bits.into()).unwrap_or(0)
        };
        let needed = match page_size {
            0 => u64::from(code_limit > 0),
            size => code_limit.div_ceil(size),
        };
        if u64::from(pages) != needed {
            let detail = format!("{pages} page hashes, {needed} pages up to its code limit");
            return Err(self.say(28, detail));
        }
        Ok((page_size, pages, code_limit))
    }

    /// Where the page hashes stand, and the special slots that are bound.
    fn slots(
        &self,
        hash_type: HashType,
        pages: u32,
        header_end: u64,
    ) -> Result<(Range<u64>, Vec<SpecialSlot>), Problem> {
        let out = || self.say(16, "its hashes are out of bounds");
        let hash_len = bytes::count(hash_type.length());
        let start = u64::from(self.u32(16)?);
        let special = self.u32(24)?;
        if special > MOST_SPECIAL_SLOTS {
            return Err(self.say(24, format!("{special} special slots")));
        }
        let len = u64::from(pages).checked_mul(hash_len).ok_or_else(out)?;
        let page_hashes = bytes::range_within(start, len, self.bytes.len()).ok_or_else(out)?;
        let mut bound = Vec::new();
        for slot in 1..=special {
            let back = u64::from(slot).checked_mul(hash_len).ok_or_else(out)?;
            let digest = start
                .checked_sub(back)
                .filter(|&at| at >= header_end)
                .and_then(|at| self.bytes.get(at, hash_len))
                .ok_or_else(out)?;
            if digest.iter().any(|&byte| byte != 0) {
                let digest = digest.to_vec();
                bound.push(SpecialSlot { slot, digest });
            }
        }
        Ok((page_hashes, bound))
    }

    fn cut_off(&self, at: u64) -> Problem {
        self.say(at, "it is cut off")
    }

    fn say(&self, at: u64, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::malformed(
            ProblemCode::CodeDirectory,
            Place::Offset(self.bytes.place(at)),
            detail,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_stays_itself() {
        let text = |last: char| {
            let bytes = format!("\0\0\0\x04{}{last}\0", "T".repeat(1_000_000));
            let bytes = Bytes::new(bytes.as_bytes(), 0);
            Reader { bytes }.text(0, 4).unwrap()
        };
        assert!(text('a').len() < 2 * MOST_TEXT, "{}", text('a').len());
        assert_ne!(text('a'), text('b'));
    }
}
