//! Sections, which the loader takes by their addresses, whatever segment lists them.

use dsplug::codesign::{CodeFacts, ProblemCode, SignatureState};
use dsplug_fixtures::macho::{Cpu, MachO};

use super::check::expect;
use super::container::malformed;
use super::linkedit::made_for;

const REGULAR: u32 = 0;
const ZERO_FILL: u32 = 1;
const THREAD_ZERO_FILL: u32 = 0x12;
const INIT_OFFSETS: u32 = 0x16;

/// A section to be listed: of that name and type, so many bytes at that address and that offset of the file.
struct Section(&'static str, u32, usize, usize, usize);

impl Section {
    fn bytes(&self, wide: bool) -> Vec<u8> {
        let Self(name, kind, address, len, offset) = *self;
        let name16 = |text: &str| text.bytes().chain([0; 16]).take(16).collect::<Vec<_>>();
        let int = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut section = [name16(name), name16("__TEXT")].concat();
        for number in [address, len] {
            section.extend(int(number));
            section.extend(wide.then_some([0; 4]).into_iter().flatten());
        }
        section.extend(int(offset));
        section.extend([0; 12]);
        section.extend(kind.to_le_bytes());
        section.resize(if wide { 80 } else { 68 }, 0);
        section
    }
}

/// A signed slice that lists the section in that segment. The fixture's addresses are its offsets.
fn listed(cpu: Cpu, segment: &'static str, section: &dyn Fn(usize) -> Section) -> CodeFacts {
    made_for(cpu, &|macho: &mut MachO, at| {
        let section = section(at).bytes(cpu != Cpu::I386);
        macho.sections.push((segment, section));
    })
}

/// The loader runs what such a section names, and the cdhash is the same whatever that is.
#[test]
fn no_section_stands_in_the_signatures_room() {
    for cpu in [Cpu::Arm64, Cpu::X86_64, Cpu::I386] {
        for segment in ["__LINKEDIT", "__TEXT"] {
            for (name, kind) in [
                ("__init_offsets", INIT_OFFSETS),
                ("__objc_classlist", REGULAR),
                // The runtimes look for some by their names, whatever their types.
                ("__interpose", ZERO_FILL),
                ("__thread_bss", THREAD_ZERO_FILL),
            ] {
                println!("{cpu:?} {segment} {name}");
                let of = |address: i64, len, offset: i64| {
                    let moved = |at: usize, by| {
                        let at = i64::try_from(at).unwrap();
                        usize::try_from(at + by).unwrap()
                    };
                    listed(cpu, segment, &|at| {
                        Section(name, kind, moved(at, address), len, moved(at, offset))
                    })
                };
                // Up to the signature, it is code as all is.
                expect(&of(-4, 4, -4), SignatureState::Adhoc, &[]);
                // By its address, at the signature, one byte too far, of no bytes, and across all that is mapped.
                for (address, len) in [(2000, 4), (0, 4), (-4, 5), (2000, 0), (-4, 0x7000_0000)] {
                    malformed(&of(address, len, -16), ProblemCode::CodeLimit);
                }
                // By its offset, where the file has it.
                let by_offset = of(-4, 4, 2000);
                if kind == ZERO_FILL || kind == THREAD_ZERO_FILL {
                    expect(&by_offset, SignatureState::Adhoc, &[]);
                } else {
                    malformed(&by_offset, ProblemCode::CodeLimit);
                }
            }
        }
    }
}

/// Those who look for it there ask for no type.
#[test]
fn an_info_plist_stands_before_the_signature_whatever_its_type() {
    for kind in [REGULAR, ZERO_FILL] {
        let facts = listed(Cpu::Arm64, "__TEXT", &|at| {
            Section("__info_plist", kind, at - 8, 8, at + 2000)
        });
        malformed(&facts, ProblemCode::CodeLimit);
    }
}

/// Sections of zeros stand behind what the file has of their segment, and are as large as they like.
#[test]
fn honest_sections_of_zeros_hold() {
    let bss = |cpu: Cpu| {
        made_for(cpu, &|macho: &mut MachO, _| {
            let section = Section("__bss", ZERO_FILL, 0x10_0040, 0xf_0000, 0).bytes(true);
            let mut command = [0x19_u32, 72 + 80].map(u32::to_le_bytes).concat();
            command.extend(b"__DATA\0\0\0\0\0\0\0\0\0\0");
            for number in [0x10_0000_u64, 0x10_0000, 0x40, 0x40] {
                command.extend(number.to_le_bytes());
            }
            command.extend([3_u32, 3, 1, 0].map(u32::to_le_bytes).concat());
            command.extend(section);
            macho.commands.push(command);
        })
    };
    for cpu in [Cpu::Arm64, Cpu::X86_64] {
        expect(&bss(cpu), SignatureState::Adhoc, &[]);
    }
}
