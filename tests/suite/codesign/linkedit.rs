//! What load commands name in `__LINKEDIT`, which the loader reads wherever it is said to be.

use dsplug::codesign::{CodeFacts, ProblemCode, SignatureState};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signature::Signature;

use super::check::{expect, facts};
use super::container::malformed;

/// A command that names one piece of data, by its offset and its size or count, and the bytes of each.
type Naming = (&'static str, u32, usize, usize, u32);

/// Each field that names data of `__LINKEDIT`: of a command of that kind and length, with the offset at that place, and
/// its size or count behind it.
const NAMING: [Naming; 27] = [
    ("LC_SYMTAB, symbols", 0x2, 24, 8, 16),
    ("LC_SYMTAB, strings", 0x2, 24, 16, 1),
    ("LC_DYSYMTAB, table of contents", 0xb, 80, 32, 8),
    ("LC_DYSYMTAB, modules", 0xb, 80, 40, 56),
    ("LC_DYSYMTAB, references", 0xb, 80, 48, 4),
    ("LC_DYSYMTAB, indirect symbols", 0xb, 80, 56, 4),
    ("LC_DYSYMTAB, external relocations", 0xb, 80, 64, 8),
    ("LC_DYSYMTAB, local relocations", 0xb, 80, 72, 8),
    ("LC_TWOLEVEL_HINTS", 0x16, 16, 8, 4),
    ("LC_SEGMENT_SPLIT_INFO", 0x1e, 16, 8, 1),
    ("LC_DYLD_INFO, rebase", 0x22, 48, 8, 1),
    ("LC_DYLD_INFO, bind", 0x22, 48, 16, 1),
    ("LC_DYLD_INFO, weak bind", 0x22, 48, 24, 1),
    ("LC_DYLD_INFO, lazy bind", 0x22, 48, 32, 1),
    ("LC_DYLD_INFO, export", 0x22, 48, 40, 1),
    ("LC_DYLD_INFO_ONLY, bind", 0x8000_0022, 48, 16, 1),
    ("LC_DYLD_INFO_ONLY, export", 0x8000_0022, 48, 40, 1),
    ("LC_FUNCTION_STARTS", 0x26, 16, 8, 1),
    ("LC_DATA_IN_CODE", 0x29, 16, 8, 1),
    ("LC_DYLIB_CODE_SIGN_DRS", 0x2b, 16, 8, 1),
    ("LC_LINKER_OPTIMIZATION_HINT", 0x2e, 16, 8, 1),
    ("LC_DYLD_EXPORTS_TRIE", 0x8000_0033, 16, 8, 1),
    ("LC_DYLD_CHAINED_FIXUPS", 0x8000_0034, 16, 8, 1),
    ("LC_ATOM_INFO", 0x36, 16, 8, 1),
    ("LC_FUNCTION_VARIANTS", 0x37, 16, 8, 1),
    ("LC_FUNCTION_VARIANT_FIXUPS", 0x38, 16, 8, 1),
    ("LC_LAZY_LOAD_DYLIB_INFO", 0x3a, 16, 8, 1),
];

/// A command that names so many from there.
fn naming((_, kind, len, field, _): Naming, from: usize, many: u32) -> Vec<u8> {
    let mut command = vec![0; len];
    let int = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    command[..4].copy_from_slice(&kind.to_le_bytes());
    command[4..8].copy_from_slice(&int(len));
    command[field..field + 4].copy_from_slice(&int(from));
    command[field + 4..field + 8].copy_from_slice(&many.to_le_bytes());
    command
}

fn with_commands(cpu: Cpu, commands: &dyn Fn(usize) -> Vec<Vec<u8>>) -> CodeFacts {
    made_for(cpu, &|macho, at| macho.commands = commands(at))
}

/// A signed slice, made for where its signature begins, behind whose parts there is room.
pub(super) fn made_for(cpu: Cpu, make: &dyn Fn(&mut MachO, usize)) -> CodeFacts {
    let built = |at| {
        let mut macho = MachO::bundle(cpu);
        make(&mut macho, at);
        let mut signature = Signature::adhoc("a");
        signature.slack_len = 4096;
        macho.signed(&signature)
    };
    let unplaced = built(1000);
    let signature = [0x1d_u32.to_le_bytes(), 16_u32.to_le_bytes()].concat();
    let at = unplaced.windows(8).rposition(|w| w == signature).unwrap() + 8;
    let at = u32::from_le_bytes(unplaced[at..at + 4].try_into().unwrap());
    facts(&built(at.try_into().unwrap()))
}

/// What the loader reads there could be anything, and the cdhash be the same.
#[test]
fn what_load_commands_name_ends_before_the_signature() {
    for naming_one in NAMING {
        let (name, _, _, _, each) = naming_one;
        let of = |from: i64, many: u32| {
            with_commands(Cpu::Arm64, &|at| {
                let at = i64::try_from(at).unwrap();
                let from = usize::try_from(at + from).unwrap();
                vec![naming(naming_one, from, many)]
            })
        };
        println!("{name}");
        // Up to the signature; and nothing at all, wherever that is said to be.
        expect(&of(-i64::from(each), 1), SignatureState::Adhoc, &[]);
        expect(&of(2000, 0), SignatureState::Adhoc, &[]);
        // One byte too far; all within the signature; from code that is covered to far behind its end.
        for (from, many) in [
            (1 - i64::from(each), 1),
            (2000, 16),
            (-16, u32::MAX / each),
            (0x7000_0000, u32::MAX),
        ] {
            malformed(&of(from, many), ProblemCode::CodeLimit);
        }
    }
}

#[test]
fn an_honest_slice_with_all_that_can_be_named_holds() {
    // What one command has fields for stands in one command.
    let all = |wide: bool| {
        move |at: usize| {
            let mut commands: Vec<Vec<u8>> = Vec::new();
            for one in NAMING {
                let (name, kind, len, field, each) = one;
                // The entries of both tables are shorter where addresses are.
                let each = match (name, wide) {
                    ("LC_SYMTAB, symbols", false) => 12,
                    ("LC_DYSYMTAB, modules", false) => 52,
                    _ => each as usize,
                };
                let command = naming(one, at - each, 1);
                let same = |c: &&mut Vec<u8>| c[..4] == kind.to_le_bytes();
                match commands.last_mut().filter(same) {
                    Some(last) => {
                        assert_eq!(last.len(), len);
                        last[field..field + 8].copy_from_slice(&command[field..field + 8]);
                    }
                    None => commands.push(command),
                }
            }
            commands
        }
    };
    for (cpu, wide) in [(Cpu::Arm64, true), (Cpu::X86_64, true), (Cpu::I386, false)] {
        let facts = with_commands(cpu, &all(wide));
        expect(&facts, SignatureState::Adhoc, &[]);
        assert_eq!(facts.cdhash().len(), 40);
    }
}
