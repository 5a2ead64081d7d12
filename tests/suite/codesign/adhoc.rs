//! Signatures without a signer: everything but the CMS.

use dsplug::codesign::{Anchor, ProblemCode, SignatureState, is_macho};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::{SHA1, SHA256, SHA256_TRUNCATED, SHA384, Signature, blob, digest};

use super::check::{expect, facts};

const PLIST: &[u8] = b"<plist version=\"1.0\"><dict/></plist>";

fn small() -> Vec<u8> {
    MachO::bundle(Cpu::Arm64).signed(&Signature::adhoc("org.example.plugin"))
}

#[test]
fn a_small_one_holds() {
    let signature = Signature::adhoc("org.example.plugin");
    let file = MachO::bundle(Cpu::Arm64).signed(&signature);
    let facts = facts(&file);
    expect(&facts, SignatureState::Adhoc, &[]);
    assert_eq!(facts.identifier(), "org.example.plugin");
    assert_eq!(facts.architectures(), "arm64");
    assert_eq!(facts.file_type_name(), "bundle");
    assert_eq!(facts.anchor(), Anchor::None);
    let code = facts.slices[0].directory().unwrap().code_limit;
    let code = usize::try_from(code).unwrap();
    let directory = &signature.directories(&file[..code])[0];
    let cdhash = digest(SHA256, directory)[..20].to_vec();
    assert_eq!(facts.cdhash(), dsplug::text::hex(&cdhash));
}

#[test]
fn every_cpu_file_type_hash_and_page_size_holds() {
    for cpu in [Cpu::X86_64, Cpu::Arm64, Cpu::Arm64e, Cpu::I386, Cpu::Ppc] {
        for hash_types in [
            &[SHA1][..],
            &[SHA256],
            &[SHA1, SHA256],
            &[SHA1, SHA256, SHA256_TRUNCATED, SHA384],
        ] {
            for page_bits in [0, 12, 14] {
                for version in [0x2_0001, 0x2_0100, 0x2_0200, 0x2_0300, 0x2_0400] {
                    let mut signature = Signature::adhoc("a").hash_types(hash_types);
                    signature.page_bits = page_bits;
                    signature.version = version;
                    let file = MachO::dylib(cpu).code_len(50_000).signed(&signature);
                    expect(&facts(&file), SignatureState::Adhoc, &[]);
                }
            }
        }
    }
}

/// The kernel refuses each of them (`cs_validate_codedirectory` of bsd/kern/ubc_subr.c, xnu-11417), and pages of two bytes
/// cost many times what the code does.
#[test]
fn a_page_size_that_no_kernel_maps_by_does_not_hold() {
    for page_bits in (1..12).chain(15..=20) {
        let mut signature = Signature::adhoc("a");
        signature.page_bits = page_bits;
        let file = MachO::dylib(Cpu::Arm64).code_len(50_000).signed(&signature);
        let facts = facts(&file);
        let codes: Vec<_> = facts.all_problems().map(|p| p.code).collect();
        assert_eq!(facts.state(), SignatureState::Broken, "2^{page_bits}");
        assert_eq!(codes, [ProblemCode::CodeDirectory], "2^{page_bits}");
    }
}

/// Each is hashed for each code directory.
#[test]
fn parts_that_are_bound_are_hashed_up_to_a_limit() {
    for (count, state) in [(3, SignatureState::Adhoc), (4, SignatureState::Unreadable)] {
        let parts = 0x10..0x10 + count;
        let signature = parts.fold(Signature::adhoc("a"), |signature, slot| {
            signature.part(slot, blob(0xfade_0001, &vec![0; 1 << 20]))
        });
        let file = MachO::dylib(Cpu::Arm64).signed(&signature);
        let facts = facts(&file);
        let codes: Vec<_> = facts.all_problems().map(|p| p.code).collect();
        assert_eq!(facts.state(), state, "{count}");
        assert_eq!(codes.is_empty(), count == 3, "{count}: {codes:?}");
    }
}

#[test]
fn unsigned_is_unsigned() {
    let file = MachO::execute(Cpu::X86_64).unsigned();
    expect(&facts(&file), SignatureState::Unsigned, &[]);
}

#[test]
fn the_weakest_slice_speaks() {
    let x86 = MachO::dylib(Cpu::X86_64).unsigned();
    let arm = MachO::dylib(Cpu::Arm64).signed(&Signature::adhoc("a"));
    let file = Fat::of(&[(Cpu::X86_64, x86), (Cpu::Arm64, arm)]).build();
    let facts = facts(&file);
    expect(&facts, SignatureState::Unsigned, &[]);
    assert_eq!(facts.architectures(), "x86_64,arm64");
    assert_eq!(facts.slices[1].state(), SignatureState::Adhoc);
}

#[test]
fn no_flip_and_no_truncation_goes_unseen() {
    let file = small();
    let end = file.len();
    let cdhash = facts(&file).cdhash();
    // Behind the SuperBlob stands padding, which nothing reads.
    let directory = facts(&file).slices[0].directory().unwrap().offset;
    let superblob = usize::try_from(directory).unwrap() - 28;
    let len = u32::from_be_bytes(file[superblob + 4..superblob + 8].try_into().unwrap());
    let len = usize::try_from(len).unwrap();
    for at in 0..superblob + len {
        for bit in [1, 0x80] {
            let mut file = file.clone();
            file[at] ^= bit;
            let facts = facts(&file);
            // Nobody signed the code directory: another one is other code, with another cdhash.
            let other = facts.state() == SignatureState::Adhoc && facts.cdhash() != cdhash;
            assert!(
                facts.state() < SignatureState::Adhoc || other && at > superblob,
                "bit {bit:#x} of {at:#x}"
            );
        }
    }
    for at in 0..end {
        let facts = facts(&file[..at]);
        assert!(facts.state() < SignatureState::Unsigned, "cut at {at:#x}");
    }
}

#[test]
fn each_altered_page_is_counted() {
    let mut file = MachO::bundle(Cpu::Arm64)
        .code_len(20_000)
        .signed(&Signature::adhoc("a"));
    file[4096] ^= 1;
    file[12_300] ^= 1;
    let facts = facts(&file);
    expect(&facts, SignatureState::Broken, &[ProblemCode::PageHash]);
    let said = facts.slices[0].problems[0].to_string();
    assert_eq!(
        said,
        "page_hash [arm64] at 0x1000: 2 pages are not those that were signed"
    );
}

#[test]
fn parts_are_bound_both_ways() {
    let signature = Signature::adhoc("a")
        .entitlements(PLIST)
        .hash_types(&[SHA1, SHA256]);
    let sign = |s: &Signature| facts(&MachO::bundle(Cpu::Arm64).signed(s));
    expect(&sign(&signature), SignatureState::Adhoc, &[]);
    let cases = [
        (2, ProblemCode::Requirements),
        (5, ProblemCode::Entitlements),
        (8, ProblemCode::EmbeddedComponent),
    ];
    for (slot, code) in cases {
        let magic = if slot == 8 {
            0xfade_8181
        } else if slot == 2 {
            0xfade_0c01
        } else {
            0xfade_7171
        };
        let part = if slot == 5 { PLIST } else { b"part" };
        let signature = signature.clone().part(slot, blob(magic, part));
        expect(&sign(&signature), SignatureState::Adhoc, &[]);
        let gone = signature
            .clone()
            .edit_parts(move |parts| parts.retain(|(s, _)| *s != slot));
        expect(&sign(&gone), SignatureState::Broken, &[code]);
        let other = signature.clone().edit_parts(move |parts| {
            for (s, part) in parts.iter_mut() {
                if *s == slot {
                    *part = blob(magic, b"trap");
                }
            }
        });
        expect(&sign(&other), SignatureState::Broken, &[code]);
        let mut unbound = signature.clone();
        unbound.parts.retain(|(s, _)| *s != slot);
        let unbound = unbound.edit_parts(move |parts| parts.push((slot, blob(magic, part))));
        let mut unbound = unbound;
        unbound.slack_len = 64;
        expect(&sign(&unbound), SignatureState::Broken, &[code]);
    }
}

#[test]
fn entitlements_are_read_in_one_way() {
    let sign = |xml: &str| {
        let signature = Signature::adhoc("a").entitlements(xml.as_bytes());
        facts(&MachO::bundle(Cpu::Arm64).signed(&signature))
    };
    let list = |body: &str| format!("<plist version=\"1.0\">{body}</plist>");
    let good = "<dict><!-- why --><key>a</key><true/></dict>";
    for xml in [list(good), list(good) + "\n\0", String::new()] {
        expect(&sign(&xml), SignatureState::Adhoc, &[]);
    }
    for xml in [
        list("<dict><key>a</key><true/><key>a</key><false/></dict>"),
        list("<dict/><dict><key>a</key><true/></dict>"),
        list("<dict/>") + &list("<dict/>"),
        list("<dict><!--><key>a</key><true/><!-- --></dict>"),
        list("<array/>"),
        "x".into(),
    ] {
        expect(
            &sign(&xml),
            SignatureState::Broken,
            &[ProblemCode::Entitlements],
        );
    }
}

#[test]
fn java_is_no_macho() {
    assert!(!is_macho(&[
        0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52, 1, 0, 7, 0
    ]));
    assert!(is_macho(&small()[..8]));
}
