//! What the code stands in, broken one field at a time: universal header, load commands, SuperBlob,
//! code directories; and the bounds of the check itself.

use dsplug::codesign::{CodeFacts, FileCheck, Limits, ProblemCode, Roots, SignatureState};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::{SHA1, SHA256, Signature};

use super::check::{codes, expect, facts, facts_with};

#[track_caller]
pub fn malformed(facts: &CodeFacts, code: ProblemCode) {
    let said: Vec<String> = facts.all_problems().map(ToString::to_string).collect();
    assert_eq!(facts.state(), SignatureState::Malformed, "{said:#?}");
    assert!(codes(facts).contains(&code), "{said:#?}");
    assert_eq!((facts.cdhash(), facts.identifier()), (String::new(), ""));
}

#[track_caller]
fn broken(facts: &CodeFacts, code: ProblemCode) {
    expect(facts, SignatureState::Broken, &[code]);
}

/// A change made to bytes.
type Edit = fn(&mut Vec<u8>);

fn slice(cpu: Cpu) -> (Cpu, Vec<u8>) {
    (cpu, MachO::bundle(cpu).signed(&Signature::adhoc("a")))
}

fn fat() -> Fat {
    Fat::of(&[slice(Cpu::X86_64), slice(Cpu::Arm64)])
}

/// Adds `by` to the big-endian number of 4 bytes at `at`.
fn add(bytes: &mut [u8], at: usize, by: u32) {
    let field = &mut bytes[at..at + 4];
    let number = u32::from_be_bytes(field.try_into().unwrap()).wrapping_add(by);
    field.copy_from_slice(&number.to_be_bytes());
}

#[test]
fn universal_files_hold_in_both_widths() {
    expect(&facts(&fat().build()), SignatureState::Adhoc, &[]);
    let mut wide = fat();
    wide.wide = true;
    expect(&facts(&wide.build()), SignatureState::Adhoc, &[]);
    let one = Fat::of(&[slice(Cpu::Ppc)]).build();
    expect(&facts(&one), SignatureState::Adhoc, &[]);
}

#[test]
fn each_field_of_the_universal_header_counts() {
    let file = fat().build();
    let edits: [(&str, Edit); 10] = [
        ("no slices", |f| add(f, 4, u32::MAX - 1)),
        ("one slice too many", |f| add(f, 4, 1)),
        ("one slice too few", |f| add(f, 4, u32::MAX)),
        ("another CPU", |f| add(f, 8, 99)),
        ("another subtype", |f| add(f, 12, 5)),
        ("offset off its alignment", |f| add(f, 16, 16)),
        ("offset in the header", |f| add(f, 16, u32::MAX - 4095)),
        ("slice past the end", |f| add(f, 40, 1)),
        ("slices that overlap", |f| add(f, 20, 4096)),
        ("alignment of 2^40", |f| add(f, 24, 28)),
    ];
    for (what, edit) in edits {
        let mut file = file.clone();
        edit(&mut file);
        let facts = facts(&file);
        assert_eq!(facts.state(), SignatureState::Malformed, "{what}");
    }
    let mut gap = file.clone();
    gap[100] = 1;
    malformed(&facts(&gap), ProblemCode::FatHeader);
    let mut tail = fat();
    tail.tail = vec![0];
    malformed(&facts(&tail.build()), ProblemCode::FatHeader);
    let twice = Fat::of(&[slice(Cpu::Arm64), slice(Cpu::Arm64)]);
    malformed(&facts(&twice.build()), ProblemCode::FatHeader);
    let mut wide = fat();
    wide.wide = true;
    let mut reserved = wide.build();
    reserved[8 + 31] = 1;
    malformed(&facts(&reserved), ProblemCode::FatHeader);
    // The padding before the second slice is more than its alignment, now of 1, asks for.
    let mut padded = file.clone();
    let align = 8 + 20 + 16;
    padded[align..align + 4].fill(0);
    malformed(&facts(&padded), ProblemCode::FatHeader);
}

#[test]
fn a_slice_is_what_the_universal_header_says() {
    let mut lie = fat();
    lie.slices[0].2 = slice(Cpu::I386).1;
    malformed(&facts(&lie.build()), ProblemCode::MachHeader);
    let mut text = fat();
    text.slices[0].2 = b"no Mach-O file, but a text".to_vec();
    malformed(&facts(&text.build()), ProblemCode::MachHeader);
    let mut mixed = fat();
    mixed.slices[1].2 = MachO::dylib(Cpu::Arm64).signed(&Signature::adhoc("a"));
    malformed(&facts(&mixed.build()), ProblemCode::MachHeader);
}

#[test]
fn a_cpu_that_macos_never_knew_is_named() {
    let mut file = slice(Cpu::Arm64).1;
    file[4] = 99;
    let facts = facts(&file);
    assert_eq!(
        codes(&facts),
        [ProblemCode::MachHeader, ProblemCode::PageHash]
    );
    assert_eq!(facts.state(), SignatureState::Malformed);
}

#[test]
fn the_load_commands_place_the_signature() {
    let check = |lie: &dyn Fn(&mut MachO)| {
        let mut macho = MachO::bundle(Cpu::Arm64);
        lie(&mut macho);
        facts(&macho.signed(&Signature::adhoc("a")))
    };
    let code = ProblemCode::LoadCommand;
    malformed(&check(&|m| m.lies.more_signatures = 1), code);
    malformed(&check(&|m| m.lies.signature_len = 1), code);
    malformed(&check(&|m| m.lies.signature_len = -16), code);
    malformed(&check(&|m| m.lies.linkedit_len = -16), code);
    malformed(&check(&|m| m.lies.linkedit_len = 16), code);
    malformed(&check(&|m| m.lies.signature_offset = 16), code);
    malformed(&check(&|m| m.lies.text_len = 64), ProblemCode::CodeLimit);
    malformed(&check(&|m| m.commands = vec![vec![0; 8]]), code);
    let command = |kind: u32, len: u32| [kind.to_le_bytes(), len.to_le_bytes()].concat();
    malformed(&check(&|m| m.commands = vec![command(0x32, 6)]), code);
    malformed(
        &check(&|m| m.commands = vec![command(0x32, u32::MAX - 3)]),
        code,
    );
    malformed(&check(&|m| m.commands = vec![command(0x19, 8)]), code);
}

#[test]
fn libraries_run_paths_and_the_plist_are_read() {
    let plist = b"<plist version=\"1.0\"><dict/></plist>";
    let macho = MachO::bundle(Cpu::Arm64)
        .dylib_path("@rpath/x.dylib")
        .rpath("/tmp")
        .info_plist(plist);
    let signature = Signature::adhoc("a").info_plist(plist);
    let facts = facts(&macho.signed(&signature));
    expect(&facts, SignatureState::Adhoc, &[]);
    let slice = &facts.slices[0];
    assert_eq!(
        slice.dylibs,
        ["/usr/lib/libSystem.B.dylib", "@rpath/x.dylib"]
    );
    assert_eq!(slice.rpaths, ["/tmp"]);
    assert_eq!(slice.info_plist, Some(true));
    let other = Signature::adhoc("a").info_plist(b"other");
    broken(
        &super::check::facts(&macho.signed(&other)),
        ProblemCode::InfoPlist,
    );
    // On its own, a file of a bundle is not judged by what stands in the bundle.
    let alone = MachO::bundle(Cpu::Arm64).signed(&other.resources(b"resources"));
    let facts = super::check::facts(&alone);
    expect(&facts, SignatureState::Adhoc, &[]);
    assert_eq!(facts.slices[0].notes.len(), 2);
    assert!(facts.slices[0].matches(1, b"other") && !facts.slices[0].matches(1, plist));
    assert!(facts.slices[0].matches(3, b"resources"));
}

#[test]
fn each_field_of_the_superblob_counts() {
    // magic, length, count, then slot and offset of the code directory and of the requirements
    for at in [0, 4, 8, 12, 16, 20, 24] {
        for by in [1, u32::MAX, 0x1000, 0x7fff_0000] {
            let signature = Signature::adhoc("a").edit_superblob(move |bytes| add(bytes, at, by));
            let facts = facts(&MachO::bundle(Cpu::Arm64).signed(&signature));
            assert!(facts.state() < SignatureState::Unsigned, "{at} by {by:#x}");
        }
    }
    let parts = |edit: fn(&mut Vec<(u32, Vec<u8>)>)| {
        let mut signature = Signature::adhoc("a").edit_parts(edit);
        signature.slack_len = 2048;
        facts(&MachO::bundle(Cpu::Arm64).signed(&signature))
    };
    malformed(&parts(|p| p.push(p[1].clone())), ProblemCode::Superblob);
    malformed(
        &parts(|p| p.push((1, p[1].1.clone()))),
        ProblemCode::Superblob,
    );
    malformed(
        &parts(|p| p.push((0x9999, p[1].1.clone()))),
        ProblemCode::Superblob,
    );
    malformed(&parts(|p| p[1].1[3] ^= 1), ProblemCode::Superblob);
    malformed(&parts(|p| add(&mut p[1].1, 4, 1)), ProblemCode::Superblob);
    malformed(&parts(|p| p[1].1[4..8].fill(0)), ProblemCode::Superblob);
    malformed(&parts(|p| drop(p.remove(0))), ProblemCode::CodeDirectory);
    malformed(
        &parts(|p| p.push((0x1001, p[0].1.clone()))),
        ProblemCode::CodeDirectory,
    );
    malformed(
        &parts(|p| p.push((0x1000, p[0].1.clone()))),
        ProblemCode::CodeDirectory,
    );
}

#[test]
fn slack_is_a_note() {
    let mut signature = Signature::adhoc("a");
    signature.slack_len = 100;
    signature.slack = 7;
    let facts = facts(&MachO::bundle(Cpu::Arm64).signed(&signature));
    expect(&facts, SignatureState::Adhoc, &[]);
    assert!(
        facts.slices[0]
            .notes
            .iter()
            .any(|n| n.text.contains("stand behind the signature's parts"))
    );
}

#[test]
fn each_field_of_the_code_directory_counts() {
    let edited = |edit: fn(&mut Vec<u8>)| {
        let signature = Signature::adhoc("a").edit_directory(move |_, bytes| edit(bytes));
        facts(&MachO::bundle(Cpu::Arm64).signed(&signature))
    };
    let code = ProblemCode::CodeDirectory;
    malformed(&edited(|d| add(d, 4, 1)), ProblemCode::Superblob);
    malformed(&edited(|d| add(d, 8, 0x10_0000)), code);
    malformed(&edited(|d| add(d, 8, u32::MAX - 0x1_0000)), code);
    malformed(&edited(|d| add(d, 16, 1)), code);
    malformed(&edited(|d| add(d, 16, u32::MAX - 60)), code);
    malformed(&edited(|d| add(d, 20, u32::MAX - 60)), code);
    malformed(&edited(|d| add(d, 20, 0x1000)), code);
    malformed(&edited(|d| add(d, 24, 3)), code);
    malformed(&edited(|d| add(d, 24, 1000)), code);
    malformed(&edited(|d| add(d, 28, 1)), code);
    malformed(&edited(|d| add(d, 28, u32::MAX)), code);
    malformed(&edited(|d| d[36] = 20), code);
    malformed(&edited(|d| d[37] = 9), code);
    malformed(&edited(|d| d[39] = 40), code);
    malformed(&edited(|d| d[39] = 4), code);
    malformed(&edited(|d| d[47] = 60), code);
    malformed(&edited(|d| d[88] = 0), code);
    malformed(&edited(|d| d[88] = 0xff), code);
    let short = edited(|d| add(d, 32, u32::MAX));
    let expected = [ProblemCode::CodeLimit, ProblemCode::PageHash];
    expect(&short, SignatureState::Broken, &expected);
}

#[test]
fn code_directories_agree() {
    let edited = |edit: fn(&mut Vec<u8>)| {
        let signature = Signature::adhoc("aa")
            .hash_types(&[SHA1, SHA256])
            .edit_directory(move |i, bytes| {
                if i == 1 {
                    edit(bytes)
                }
            });
        facts(&MachO::bundle(Cpu::Arm64).signed(&signature))
    };
    expect(&edited(|_| {}), SignatureState::Adhoc, &[]);
    broken(&edited(|d| d[88] = b'b'), ProblemCode::CodeDirectory);
    broken(&edited(|d| d[13] = 1), ProblemCode::CodeDirectory);
    broken(&edited(|d| d[38] = 1), ProblemCode::CodeDirectory);
    broken(&edited(|d| d[87] = 1), ProblemCode::CodeDirectory);
    // The alternate one says that it is not ad hoc: the first one counts, and they differ.
    broken(&edited(|d| d[15] ^= 2), ProblemCode::CodeDirectory);
    // An alternate directory with a page hash of its own.
    broken(
        &edited(|d| *d.last_mut().unwrap() ^= 1),
        ProblemCode::PageHash,
    );
    let twice = Signature::adhoc("a").hash_types(&[SHA256, SHA256]);
    let facts = facts(&MachO::bundle(Cpu::Arm64).signed(&twice));
    malformed(&facts, ProblemCode::CodeDirectory);
}

#[test]
fn code_behind_a_short_limit_is_seen() {
    let mut macho = MachO::bundle(Cpu::Arm64).code_len(9000);
    macho.file_type = 6;
    // The last page is left out, and its hash with it.
    let signature = Signature::adhoc("a").edit_directory(|_, d| {
        d[32..36].copy_from_slice(&0x2000_u32.to_be_bytes());
        add(d, 28, u32::MAX);
        add(d, 4, u32::MAX - 31);
        d.truncate(d.len() - 32);
    });
    broken(&facts(&macho.signed(&signature)), ProblemCode::CodeLimit);
}

/// The check of `first`, and then the stream of `second`.
fn swapped(first: &[u8], second: &[u8]) -> CodeFacts {
    let roots = Roots::apple();
    let mut check = FileCheck::new(first.len().try_into().unwrap(), &roots, Limits::default());
    while let Some(range) = check.wants() {
        let index = |offset| usize::try_from(offset).unwrap();
        check.supply(&first[index(range.start)..index(range.end)]);
    }
    second.chunks(1000).for_each(|chunk| check.update(chunk));
    check.finish()
}

#[test]
fn a_file_that_changes_while_it_is_read_is_unreadable() {
    let one = MachO::bundle(Cpu::Arm64).signed(&Signature::adhoc("one"));
    let two = MachO::bundle(Cpu::Arm64).signed(&Signature::adhoc("two"));
    assert_eq!(one.len(), two.len());
    expect(&swapped(&one, &one), SignatureState::Adhoc, &[]);
    for second in [
        &two[..],
        &one[..one.len() - 1],
        &[&one[..], &[0]].concat(),
        &[],
    ] {
        let facts = swapped(&one, second);
        assert!(codes(&facts).contains(&ProblemCode::FileChanged));
        assert!(facts.state() <= SignatureState::Unreadable);
    }
}

#[test]
fn a_range_that_cannot_be_read_is_unreadable() {
    let file = MachO::bundle(Cpu::Arm64).signed(&Signature::adhoc("one"));
    let roots = Roots::apple();
    for fail_at in 0..2 {
        let len = file.len().try_into().unwrap();
        let mut check = FileCheck::new(len, &roots, Limits::default());
        let mut reads = 0;
        while let Some(range) = check.wants() {
            let index = |offset| usize::try_from(offset).unwrap();
            let bytes = &file[index(range.start)..index(range.end)];
            check.supply(if reads == fail_at { &bytes[..1] } else { bytes });
            reads += 1;
        }
        check.update(&file);
        let facts = check.finish();
        assert!(facts.state() <= SignatureState::Unreadable);
        assert!(codes(&facts).contains(&ProblemCode::Unreadable));
    }
}

#[test]
fn limits_are_said() {
    let signature = Signature::adhoc("a");
    let small = MachO::bundle(Cpu::Arm64)
        .code_len(400_000)
        .signed(&signature);
    let check = |file: &[u8], limits| facts_with(file, &Roots::apple(), limits);
    let limits = Limits {
        held_bytes: 17_000,
        ..Limits::default()
    };
    expect(
        &check(&small, limits),
        SignatureState::Unreadable,
        &[ProblemCode::Limit],
    );
    let limits = Limits {
        load_commands: 2,
        ..Limits::default()
    };
    malformed(&check(&small, limits), ProblemCode::Limit);
    let limits = Limits {
        slices: 1,
        ..Limits::default()
    };
    malformed(&check(&fat().build(), limits), ProblemCode::Limit);
}
