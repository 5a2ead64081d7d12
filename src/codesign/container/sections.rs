//! Sections: what each says of itself, and whether it stands in the signature's room.
//!
//! dyld takes what it runs and fixes up from where a section says it is in memory, and lets any segment list it,
//! `__LINKEDIT` too (`MachOAnalyzer::forEachInitializer` of common/MachOAnalyzer.cpp and `validSegment` of
//! mach_o/UnsafeHeader.cpp, dyld-1378); one may end behind its segment in what was linked long ago. So an address counts,
//! and neither the type nor the segment: the runtimes look for sections by their names.

use std::ops::Range;

use crate::codesign::bytes::{self, Bytes, Order};

/// `SECTION_TYPE` of mach-o/loader.h, and the types that have nothing in the file: `S_ZEROFILL`, `S_GB_ZEROFILL` and
/// `S_THREAD_LOCAL_ZEROFILL`.
const TYPE: u32 = 0xff;
const ZERO_FILL: [u32; 3] = [0x1, 0xc, 0x12];
/// Bytes of the largest page: of the last of a segment, what follows in the file is mapped too.
const PAGE_LEN: u64 = 16 << 10;

/// One section.
pub(super) struct Section {
    /// True for `__TEXT,__info_plist`.
    pub(super) is_info_plist: bool,
    pub(super) offset: u64,
    pub(super) len: u64,
    address: u64,
    is_zero_fill: bool,
}

impl Section {
    /// Bytes of each in a segment's command.
    pub(super) fn bytes(wide: bool) -> u64 {
        if wide { 80 } else { 68 }
    }

    /// Reads one of those.
    pub(super) fn parse(section: Bytes<'_>, order: Order, wide: bool) -> Option<Self> {
        let is = |at, name: &[u8]| Some(bytes::name(section.get(at, 16)?) == name);
        let (address, len, offset, flags) = if wide {
            let (address, len) = (section.u64(32, order)?, section.u64(40, order)?);
            (address, len, 48, 64)
        } else {
            let (address, len) = (section.u32(32, order)?, section.u32(36, order)?);
            (address.into(), len.into(), 40, 56)
        };
        Some(Self {
            is_info_plist: is(0, b"__info_plist")? && is(16, b"__TEXT")?,
            offset: section.u32(offset, order)?.into(),
            len,
            address,
            is_zero_fill: ZERO_FILL.contains(&(section.u32(flags, order)? & TYPE)),
        })
    }

    /// Where it ends in the slice; 0 when it has nothing there. What looks for an Info.plist asks for no type.
    pub(super) fn end(&self) -> u64 {
        if self.len == 0 || self.is_zero_fill && !self.is_info_plist {
            return 0;
        }
        self.offset.saturating_add(self.len)
    }

    /// Where it is in memory; one of no bytes has an address too, which something may begin to read at.
    pub(super) fn memory(&self) -> Range<u64> {
        self.address..self.address.saturating_add(self.len.max(1))
    }
}

/// Where `__LINKEDIT`, of those ranges in file and memory, has in memory what stands in the slice from `signature` on.
/// Other segments end before the signature, or the slice is refused for that.
pub(super) fn room(signature: u64, file: &Range<u64>, memory: &Range<u64>) -> Range<u64> {
    let begin = signature.saturating_sub(file.start);
    let len = file.end.saturating_sub(file.start);
    let end = memory.start.saturating_add(len).max(memory.end);
    let mapped = end.checked_next_multiple_of(PAGE_LEN).unwrap_or(u64::MAX);
    memory.start.saturating_add(begin)..mapped
}
