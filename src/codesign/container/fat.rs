//! The header of a universal file: which slices it holds.

use std::ops::Range;

use super::architecture::Architecture;
use crate::codesign::bytes::{self, Bytes, Order};
use crate::codesign::verdict::{Place, Problem, ProblemCode};
use crate::order;

const FAT_MAGIC: u32 = 0xcafe_babe;
const FAT_MAGIC_64: u32 = 0xcafe_babf;
const HEADER_LEN: u64 = 8;
const ARCH_LEN: u64 = 20;
const ARCH_LEN_64: u64 = 32;

/// Java's class files begin with the same magic, and then with a version that is 45 at least.
const FIRST_JAVA_VERSION: u32 = 45;
/// A greater number of slices than any loader takes, and than any Java version.
const MOST_SLICES: u32 = 4096;
/// Slices that dyld reads.
const MOST_READ: u32 = 204;

/// One slice, as the universal header places it.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    /// What it says it holds.
    pub(crate) architecture: Architecture,
    /// Where, in bytes of the file.
    pub(crate) range: Range<u64>,
    /// What its beginning is aligned to, in bytes.
    align: u64,
}

/// A universal header.
#[derive(Debug, Default)]
pub(crate) struct Fat {
    /// The slices that stand inside the file and overlap nothing, in the header's order.
    pub(crate) slices: Vec<Slice>,
    /// Bytes between header and slices: they must be zero.
    pub(crate) gaps: Vec<Range<u64>>,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
}

/// True when a file that begins with `head` is universal.
pub(crate) fn is_fat(head: &[u8]) -> bool {
    let head = Bytes::new(head, 0);
    match head.u32(0, Order::Big) {
        Some(FAT_MAGIC_64) => true,
        Some(FAT_MAGIC) => match head.u32(4, Order::Big) {
            Some(count) if count < FIRST_JAVA_VERSION => true,
            Some(count) if count < MOST_SLICES => holds_slice(head, count),
            _ => false,
        },
        _ => false,
    }
}

/// True when one of the slices is for a CPU that is known and stands behind the header: a class file of Java has
/// names and numbers there. dyld reads one slice more than are counted, and no more than
/// [`MOST_READ`] (`FatFile::forEachSlice` of common/MachOFile.cpp).
fn holds_slice(head: Bytes<'_>, count: u32) -> bool {
    let table = u64::from(count).saturating_mul(ARCH_LEN);
    (0..u64::from(count.min(MOST_READ)).saturating_add(1)).any(|index| {
        let at = HEADER_LEN.saturating_add(index.saturating_mul(ARCH_LEN));
        read_arch(head, at, false).is_some_and(|arch| {
            arch.architecture.is_known()
                && arch.align < 32
                && arch.offset >= HEADER_LEN.saturating_add(table)
        }) || index == 0
            && head
                .u32(at, Order::Big)
                .is_some_and(|cpu| Architecture::new(cpu, 0).is_known())
    })
}

impl Fat {
    /// Reads the header from the file's first bytes.
    pub(crate) fn parse(head: Bytes<'_>, file_len: u64, most_slices: u32) -> Self {
        let mut fat = Self::default();
        let wide = head.u32(0, Order::Big) == Some(FAT_MAGIC_64);
        let arch_len = if wide { ARCH_LEN_64 } else { ARCH_LEN };
        let Some(count) = head.u32(4, Order::Big) else {
            fat.say(4, "the universal header is cut off");
            return fat;
        };
        if count == 0 {
            fat.say(4, "the universal header names no slice");
        }
        if count > most_slices {
            fat.problems.push(Problem::malformed(
                ProblemCode::Limit,
                Place::Offset(4),
                format!("{count} slices, {most_slices} are read"),
            ));
        }
        let table = u64::from(count).saturating_mul(arch_len);
        let header_end = HEADER_LEN.saturating_add(table);
        for i in 0..u64::from(count.min(most_slices)) {
            let at = HEADER_LEN.saturating_add(i.saturating_mul(arch_len));
            match read_arch(head, at, wide) {
                Some(arch) => fat.place(arch, at, header_end, file_len),
                None => {
                    fat.say(at, "the universal header is cut off");
                    return fat;
                }
            }
        }
        fat.find_gaps(header_end, file_len);
        fat
    }

    fn place(&mut self, arch: RawArch, at: u64, header_end: u64, file_len: u64) {
        let architecture = arch.architecture;
        let name = architecture.name();
        if arch.reserved != 0 {
            self.say(
                at,
                format!("slice {name} has something in a reserved field"),
            );
        }
        if !architecture.is_known() {
            self.say(at, format!("unknown CPU type of slice {name}"));
        }
        if self
            .slices
            .iter()
            .any(|s| s.architecture.same_kind(architecture))
        {
            self.say(at, format!("two slices for {name}"));
        }
        let aligned = 1u64.checked_shl(arch.align).filter(|_| arch.align < 32);
        if aligned.is_none_or(|to| !arch.offset.is_multiple_of(to)) {
            self.say(
                at,
                format!("slice {name} is not aligned as its header says"),
            );
        }
        let range = bytes::range_within(arch.offset, arch.size, file_len)
            .filter(|range| !range.is_empty() && range.start >= header_end);
        let Some(range) = range else {
            self.say(at, format!("slice {name} is empty or out of bounds"));
            return;
        };
        if self.slices.iter().any(|s| bytes::overlap(&s.range, &range)) {
            self.say(at, format!("slice {name} overlaps another"));
            return;
        }
        self.slices.push(Slice {
            architecture,
            range,
            align: aligned.unwrap_or(0),
        });
    }

    /// What stands between the slices: padding, and between one and the next no more than
    /// aligns that (`Universal::Universal`, `macho++.cpp` of Apple).
    fn find_gaps(&mut self, header_end: u64, file_len: u64) {
        let mut slices: Vec<_> = self
            .slices
            .iter()
            .map(|s| (s.range.clone(), s.align))
            .collect();
        order::sort_by_key(&mut slices, |(range, _)| range.start);
        let mut end = header_end;
        for (range, align) in slices {
            let gap = range.start.saturating_sub(end);
            if gap > 0 {
                self.gaps.push(end..range.start);
            }
            if end != header_end && gap >= align {
                self.say(end, "more padding than aligns the next slice");
            }
            end = range.end;
        }
        if end < file_len {
            self.say(end, "bytes stand behind the last slice");
        }
    }

    fn say(&mut self, at: u64, detail: impl Into<std::borrow::Cow<'static, str>>) {
        self.problems.push(Problem::malformed(
            ProblemCode::FatHeader,
            Place::Offset(at),
            detail,
        ));
    }
}

struct RawArch {
    architecture: Architecture,
    offset: u64,
    size: u64,
    align: u32,
    reserved: u32,
}

fn read_arch(head: Bytes<'_>, at: u64, wide: bool) -> Option<RawArch> {
    let field = |offset: u64| head.u32(at.checked_add(offset)?, Order::Big);
    let long = |offset: u64| head.u64(at.checked_add(offset)?, Order::Big);
    let (offset, size, align, reserved) = if wide {
        (long(8)?, long(16)?, field(24)?, field(28)?)
    } else {
        (field(8)?.into(), field(12)?.into(), field(16)?, 0)
    };
    Some(RawArch {
        architecture: Architecture::new(field(0)?, field(4)?),
        offset,
        size,
        align,
        reserved,
    })
}
