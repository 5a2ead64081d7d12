//! Parts of signatures, and what stands beside them, that are as large as a file may be.

use super::{rows, shows_evil, with_evil};
use dsplug_fixtures::cms::DATA;
use dsplug_fixtures::der::{bits, element, integer, octets, oid, sequence, set, text, time};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signature::{Signature, blob};
use dsplug_fixtures::{Disk, Plugin};

/// Bytes of a part that no signature has, and of one that is taken apart.
const SIZES: [usize; 2] = [20 << 20, 1_000_000];

/// What is told of the signature of an executable in a plug-in without any other part of one, beside another that has
/// its row.
#[track_caller]
fn told_of(executable: Vec<u8>) -> Vec<String> {
    let disk: Disk = with_evil();
    let plugin = Plugin::new("A").executable(executable);
    plugin.write(disk.plugin(""));
    let rows = rows(&disk);
    shows_evil(&rows);
    let row = rows.iter().find(|row| row["path"].ends_with("/A.dsplug"));
    let problems = row.unwrap()["signature_problems"].split(';');
    let of_bundle = ["info_plist", "resource_directory"];
    let of_code = problems.filter(|problem| !of_bundle.contains(problem));
    of_code.map(str::to_owned).collect()
}

fn signed(signature: &Signature) -> Vec<u8> {
    MachO::bundle(Cpu::X86_64).signed(signature)
}

/// A CMS that stands in the code directory's company, with these certificates and unsigned attributes.
fn cms(certificates: &[u8], unsigned: &[u8]) -> Vec<u8> {
    let name = sequence(&[&set(&[&sequence(&[&oid("2.5.4.3"), &text("x")])])]);
    let digest = sequence(&[&oid("2.16.840.1.101.3.4.2.1")]);
    let signer = sequence(&[
        &integer(1),
        &sequence(&[&name, &integer(1)]),
        &digest,
        &sequence(&[&oid("1.2.840.113549.1.1.11")]),
        &octets(b"signature"),
        unsigned,
    ]);
    let content = sequence(&[&oid(DATA)]);
    let data = sequence(&[
        &integer(1),
        &set(&[&digest]),
        &content,
        certificates,
        &set(&[&signer]),
    ]);
    sequence(&[&oid("1.2.840.113549.1.7.2"), &element(0xa0, &data)])
}

fn with_cms(cms: &[u8], flags: u32) -> Vec<u8> {
    let cms = blob(0xfade_0b01, cms);
    let mut signature = Signature::adhoc("a").edit_parts(move |parts| {
        parts.push((0x1_0000, cms.clone()));
    });
    signature.flags = flags;
    signature.slack_len = 21 << 20;
    signed(&signature)
}

#[test]
fn entitlements_of_very_many_values() {
    for size in SIZES {
        for (value, count) in [(&[0x30, 2, 0x30, 0][..], size / 4), (&[1, 1, 0], size / 3)] {
            let key_and_value = [text("a"), element(0x30, &value.repeat(count))].concat();
            let all = element(0xb0, &element(0x30, &key_and_value));
            let der = element(0x70, &[integer(1), all].concat());
            let signature = Signature::adhoc("a")
                .part(5, blob(0xfade_7171, b"<plist><dict/></plist>"))
                .part(7, blob(0xfade_7172, &der));
            let expected = if size == 1_000_000 {
                "entitlements"
            } else {
                "limit"
            };
            assert_eq!(told_of(signed(&signature)), [expected]);
        }
    }
}

#[test]
fn attributes_of_very_many_values() {
    for size in SIZES {
        let values = element(0x31, &[5, 0].repeat(size / 2));
        let attribute = sequence(&[&oid("1.2.3"), &values]);
        let cms = cms(&[], &element(0xa1, &attribute));
        assert_eq!(told_of(with_cms(&cms, 2)), [""; 0]);
        let expected = if size == 1_000_000 { "cms" } else { "limit" };
        assert_eq!(told_of(with_cms(&cms, 0)), [expected]);
    }
}

#[test]
fn certificates_with_a_very_long_name() {
    for size in SIZES {
        for tag in [0x0c, 0x14, 0x1e] {
            let part = sequence(&[&oid("2.5.4.3"), &element(tag, &vec![0xff; size])]);
            let algorithm = sequence(&[&oid("1.2.840.113549.1.1.11")]);
            let name = sequence(&[&set(&[&sequence(&[&oid("2.5.4.3"), &text("x")])])]);
            let validity = [time("200101000000"), time("400101000000")].concat();
            let key = sequence(&[&sequence(&[&oid("1.2.840.113549.1.1.1")]), &bits(b"key")]);
            let certificate = sequence(&[
                &sequence(&[
                    &element(0xa0, &integer(2)),
                    &integer(1),
                    &algorithm,
                    &name,
                    &element(0x30, &validity),
                    &sequence(&[&set(&[&part])]),
                    &key,
                ]),
                &algorithm,
                &bits(b"signature"),
            ]);
            let cms = cms(&element(0xa0, &certificate), &[]);
            assert_eq!(told_of(with_cms(&cms, 2)), [""; 0]);
        }
    }
}

/// Sections that are out of bounds, by the hundred thousand.
#[test]
fn very_many_damaged_sections() {
    let count = 340_000_u32;
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let name = |name: &str| {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(16, 0);
        bytes
    };
    let section = [
        name("__info_plist"),
        name("__TEXT"),
        words(&[0, u32::MAX, u32::MAX, 0, 0, 0, 0, 0, 0]),
    ]
    .concat();
    let sections = section.repeat(count.try_into().unwrap());
    let length = 56 + u32::try_from(sections.len()).unwrap();
    let command = [
        words(&[1, length]),
        name("__TEXT"),
        words(&[0, 0, 0, 0, 7, 5, count, 0]),
        sections,
    ]
    .concat();
    let header = words(&[0xfeed_face, 7, 3, 8, 1, length, 0]);
    assert_eq!(told_of([header, command].concat()), ["load_command"]);
}
