//! What load commands name in `__LINKEDIT`: tables of symbols, of fixups, of exports, each by offset and size.
//!
//! dyld looks for each where it is said to be, and refuses an image of which two pieces overlap, the code signature
//! among them, or one ends behind `__LINKEDIT`; a size of 0 names nothing (`Image::validStructureLinkedit` of
//! mach_o/Image.cpp and `Layout::isValidLinkeditLayout` of common/MachOLayout.cpp, dyld-1378). Neither has pieces that
//! dyld itself does not read, or that came later: these are held to the same. The kernel reads none of them
//! (`parse_machfile` of bsd/kern/mach_loader.c, xnu).

use object::macho::{
    LC_ATOM_INFO, LC_DATA_IN_CODE, LC_DYLD_CHAINED_FIXUPS, LC_DYLD_EXPORTS_TRIE, LC_DYLD_INFO,
    LC_DYLD_INFO_ONLY, LC_DYLIB_CODE_SIGN_DRS, LC_DYSYMTAB, LC_FUNCTION_STARTS,
    LC_LINKER_OPTIMIZATION_HINT, LC_SEGMENT_SPLIT_INFO, LC_SYMTAB, LC_TWOLEVEL_HINTS,
    LoadCommandType,
};

use crate::codesign::bytes::{Bytes, Order};

/// `LC_LAZY_LOAD_DYLIB_INFO` of mach_o/UnsafeHeader.h of dyld-1378: a library that is loaded when it is first called.
pub(super) const LC_LAZY_LOAD_DYLIB_INFO: LoadCommandType = LoadCommandType(0x3a);
/// `LC_FUNCTION_VARIANTS` and `LC_FUNCTION_VARIANT_FIXUPS` of the same.
const LC_FUNCTION_VARIANTS: LoadCommandType = LoadCommandType(0x37);
const LC_FUNCTION_VARIANT_FIXUPS: LoadCommandType = LoadCommandType(0x38);

/// One piece: where a command has its offset, behind which its size or count stands, and the bytes of each.
struct Piece(u64, u64);

const SYMTAB: &[Piece] = &[Piece(8, 12), Piece(16, 1)];
const SYMTAB_64: &[Piece] = &[Piece(8, 16), Piece(16, 1)];
/// The table of contents, modules, references, indirect symbols, external and local relocations.
const DYSYMTAB: &[Piece] = &[
    Piece(32, 8),
    Piece(40, 52),
    Piece(48, 4),
    Piece(56, 4),
    Piece(64, 8),
    Piece(72, 8),
];
const DYSYMTAB_64: &[Piece] = &[
    Piece(32, 8),
    Piece(40, 56),
    Piece(48, 4),
    Piece(56, 4),
    Piece(64, 8),
    Piece(72, 8),
];
const TWOLEVEL_HINTS: &[Piece] = &[Piece(8, 4)];
/// What to rebase, to bind, to bind weakly and lazily, and what is exported.
const DYLD_INFO: &[Piece] = &[
    Piece(8, 1),
    Piece(16, 1),
    Piece(24, 1),
    Piece(32, 1),
    Piece(40, 1),
];
/// A `linkedit_data_command`.
const DATA: &[Piece] = &[Piece(8, 1)];

fn pieces(kind: LoadCommandType, wide: bool) -> &'static [Piece] {
    match kind {
        LC_SYMTAB if wide => SYMTAB_64,
        LC_SYMTAB => SYMTAB,
        LC_DYSYMTAB if wide => DYSYMTAB_64,
        LC_DYSYMTAB => DYSYMTAB,
        LC_TWOLEVEL_HINTS => TWOLEVEL_HINTS,
        LC_DYLD_INFO | LC_DYLD_INFO_ONLY => DYLD_INFO,
        LC_SEGMENT_SPLIT_INFO
        | LC_FUNCTION_STARTS
        | LC_DATA_IN_CODE
        | LC_DYLIB_CODE_SIGN_DRS
        | LC_LINKER_OPTIMIZATION_HINT
        | LC_DYLD_EXPORTS_TRIE
        | LC_DYLD_CHAINED_FIXUPS
        | LC_ATOM_INFO
        | LC_FUNCTION_VARIANTS
        | LC_FUNCTION_VARIANT_FIXUPS
        | LC_LAZY_LOAD_DYLIB_INFO => DATA,
        _ => &[],
    }
}

/// Where the last piece ends that a command names, in bytes of the slice: 0 when it names none. What is too short for
/// its fields, which dyld refuses, ends nowhere.
pub(super) fn end(kind: LoadCommandType, command: Bytes<'_>, order: Order, wide: bool) -> u64 {
    let ends = pieces(kind, wide).iter().map(|Piece(field, each)| {
        let number = |at| command.u32(at, order).map(u64::from);
        let offset = number(*field)?;
        match number(field.saturating_add(4))? {
            0 => Some(0),
            many => Some(offset.saturating_add(many.saturating_mul(*each))),
        }
    });
    ends.map(|end| end.unwrap_or(u64::MAX)).max().unwrap_or(0)
}
