//! Lists of sealed resources with as many entries as they may have.

use std::fs;

use super::{rows, shows_evil, with_evil};
use dsplug_fixtures::Plugin;
use dsplug_fixtures::binary_list::binary_list;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use plist::Value;

/// Files that a seal can list with a digest each.
const MOST_LISTED: usize = 80_000;

/// A seal in the binary format that lists as many files, all with one digest that stands there once.
fn seal_of_many() -> Vec<u8> {
    let text = |text: &str| {
        let mut object = match text.len() {
            length @ 0..15 => vec![0x50 | u8::try_from(length).unwrap()],
            length => vec![0x5f, 0x10, u8::try_from(length).unwrap()],
        };
        object.extend_from_slice(text.as_bytes());
        object
    };
    let reference = |number: usize| u32::try_from(number).unwrap().to_be_bytes()[1..].to_vec();
    let count = u32::try_from(MOST_LISTED).unwrap();
    let mut list = [&[0xdf, 0x12], count.to_be_bytes().as_slice()].concat();
    list.extend((0..MOST_LISTED).flat_map(|number| reference(9 + number)));
    list.extend((0..MOST_LISTED).flat_map(|_| reference(7)));
    let mut objects = vec![
        [vec![0xd4], [1, 2, 3, 4, 5, 5, 8, 5].map(reference).concat()].concat(),
        text("files"),
        text("rules"),
        text("files2"),
        text("rules2"),
        vec![0xd0],
        vec![0x09],
        [vec![0x4f, 0x10, 20], vec![b'd'; 20]].concat(),
        list,
    ];
    objects.extend((0..MOST_LISTED).map(|number| text(&format!("a{number:06}"))));
    let objects: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    binary_list(3, &objects)
}

/// What a seal lists beside what stands there takes no room by the length of the way to it.
#[test]
fn seals_of_many_files_at_the_end_of_a_long_way() {
    let disk = with_evil();
    let path = Plugin::new("A").write(disk.plugin(""));
    let seal = seal_of_many();
    for first in ["a", "b"] {
        let name = first.repeat(240);
        let place = path.join(format!("Contents/{name}/{name}/{name}/_CodeSignature"));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("CodeResources"), &seal).unwrap();
    }
    let rows = rows(&disk);
    shows_evil(&rows);
    assert_eq!(rows[0]["signature_state"], "unsigned", "{:#?}", rows[0]);
}

/// Bundles in each other, each with a seal that lists the next and many files that are not there.
#[test]
fn nested_seals_of_many_files() {
    let disk = with_evil();
    let sealed = |name: &str| {
        SignedBundle::new(name, Form::Deep)
            .edit_seal(|seal| {
                let files = seal.get_mut("files2").unwrap();
                let files = files.as_dictionary_mut().unwrap();
                let digest = Value::Data(vec![b'd'; 20]);
                files.extend((0..MOST_LISTED).map(|n| (format!("a{n:06}"), digest.clone())));
            })
            .edit_seal_bytes(|bytes| {
                let list: Value = plist::from_bytes(bytes).unwrap();
                bytes.clear();
                list.to_writer_binary(bytes).unwrap();
            })
    };
    let mut bundle = sealed("N0");
    for level in 1..4 {
        let inner = format!("PlugIns/N{}.bundle", level - 1);
        bundle = sealed(&format!("N{level}")).bundle(&inner, &bundle);
    }
    bundle.write(disk.plugin(""));
    let rows = rows(&disk);
    shows_evil(&rows);
    let row = rows.iter().find(|row| row["path"].ends_with("/N3.dsplug"));
    let row = row.unwrap();
    assert_eq!(row["signature_state"], "broken", "{row:#?}");
    let problems = row["signature_problems"].as_str();
    // A machine that has much else to do comes to the end of the scan's time.
    let problems = problems.strip_prefix("limit;").unwrap_or(problems);
    assert_eq!(problems, "resource_missing;nested_code");
}

/// Of those of one bundle no more is held at once than a few have.
#[test]
fn seals_that_are_large() {
    let disk = with_evil();
    let path = Plugin::new("A").write(disk.plugin(""));
    let junk = vec![b'x'; 4_000_000];
    for number in 0..20 {
        let place = path.join(format!("Contents/{number}/_CodeSignature"));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("CodeResources"), &junk).unwrap();
    }
    let rows = rows(&disk);
    shows_evil(&rows);
    assert_eq!(rows[0]["hash"].len(), 64, "{:#?}", rows[0]);
}
