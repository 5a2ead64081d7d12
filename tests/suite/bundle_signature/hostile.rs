//! Seals that were made to hurt: no panic, bounded work, and never a signature that holds.

use std::path::Path;
use std::time::{Duration, Instant};

use dsplug::codesign::{ProblemCode as P, SealLimits, Sealed, SignatureState};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::seal::dictionary;
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use plist::{Dictionary, Value};
use proptest::prelude::*;

use super::check::{Verdict, judged, judged_with, put};

/// A bundle that is signed with these bytes for its seal.
fn sealed_by(bytes: Vec<u8>) -> Verdict {
    let bundle = SignedBundle::new("Acme", Form::Deep)
        .file("Resources/a", b"a")
        .edit_seal_bytes(move |seal| seal.clone_from(&bytes));
    judged(&bundle, |_| {})
}

/// A bundle whose seal is changed before it is signed.
fn edited(edit: impl Fn(&mut Dictionary) + 'static) -> Verdict {
    let bundle = SignedBundle::new("Acme", Form::Deep)
        .file("Resources/a", b"a")
        .edit_seal(edit);
    judged(&bundle, |_| {})
}

fn files(seal: &mut Dictionary) -> &mut Dictionary {
    seal.get_mut("files2").unwrap().as_dictionary_mut().unwrap()
}

fn rules(seal: &mut Dictionary) -> &mut Dictionary {
    seal.get_mut("rules2").unwrap().as_dictionary_mut().unwrap()
}

fn good_seal() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let bundle = SignedBundle::new("Acme", Form::Deep).file("Resources/a", b"a");
    let root = bundle.write(directory.path());
    std::fs::read(root.join("Contents/_CodeSignature/CodeResources")).unwrap()
}

#[test]
fn no_property_list() {
    for bytes in [&b""[..], b"x", b"<plist>", b"bplist00", &[0xff; 100]] {
        sealed_by(bytes.to_vec()).expect(SignatureState::Malformed, &[P::Seal]);
    }
}

/// What readers take in different ways, each time with a way in which `Resources/a` is sealed.
#[test]
fn seals_that_could_be_read_in_several_ways() {
    let good = String::from_utf8(good_seal()).unwrap();
    sealed_by(good.clone().into_bytes()).holds();
    let edits = [
        (
            "<key>Resources/a</key>",
            "<key>Resources/a</key><true/><key>Resources/a</key>",
        ),
        (
            "<key>files2</key>",
            "<key>files2</key><dict/><key>files2</key>",
        ),
        (
            "<key>rules2</key>",
            "<key>rules2</key><dict/><key>rules2</key>",
        ),
        ("</plist>", "<dict/></plist>"),
        ("</plist>", "</plist><plist><dict/></plist>"),
        ("</plist>", "</plist>x"),
        ("<key>Resources/a</key>", "<key>Resources/<!-- x -->a</key>"),
        (
            "<key>files2</key>",
            "<!--><key>x</key><true/><!-- --><key>files2</key>",
        ),
        ("<plist", "<!DOCTYPE plist [<!ENTITY a \"b\">]><plist"),
    ];
    for (from, to) in edits {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{to}");
        sealed_by(bad.into_bytes()).expect(SignatureState::Malformed, &[P::Seal]);
    }
}

#[test]
fn wrong_types() {
    for value in [
        Value::Boolean(true),
        Value::Array(Vec::new()),
        Value::String("x".into()),
    ] {
        for key in ["files2", "rules2"] {
            let value = value.clone();
            edited(move |seal| {
                seal.insert(key.into(), value.clone());
            })
            .expect(SignatureState::Malformed, &[P::Seal]);
        }
        let entry = value.clone();
        let bytes = edited(move |seal| {
            files(seal).insert("Resources/a".into(), entry.clone());
        });
        bytes.expect(SignatureState::Malformed, &[P::Seal, P::ResourceAdded]);
    }
    for key in ["files2", "rules2"] {
        let without = edited(move |seal| {
            seal.remove(key);
        });
        assert!(!without.signature.state.holds());
    }
}

#[test]
fn paths_that_lead_elsewhere() {
    for path in [
        "../PkgInfo",
        "Resources/../Resources/a",
        "/etc/passwd",
        "Resources//b",
        "b/",
        "",
    ] {
        let entry = dictionary([
            ("hash2", Value::Data(vec![0; 32])),
            ("optional", true.into()),
        ]);
        edited(move |seal| {
            files(seal).insert(path.into(), entry.clone());
        })
        .expect(SignatureState::Malformed, &[P::Seal]);
    }
}

#[test]
fn nested_code_sealed_at_odd_places() {
    // The bundle itself, its parts, and the signature's own folder.
    for path in [
        ".",
        "MacOS/Acme",
        "_CodeSignature",
        "_CodeSignature/CodeResources",
        "Resources",
    ] {
        let entry = dictionary([("requirement", "anchor apple".into())]);
        let verdict = edited(move |seal| {
            files(seal).insert(path.into(), entry.clone());
        });
        assert!(!verdict.signature.state.holds(), "{path}");
    }
}

#[test]
fn a_hundred_thousand_entries() {
    // More than the bounds on a seal: it is said that it was not judged.
    let verdict = edited(|seal| {
        for n in 0..100_000 {
            files(seal).insert(
                format!("Resources/{n:040}"),
                dictionary([("hash2", Value::Data(vec![0; 32]))]),
            );
        }
    });
    assert_eq!(verdict.signature.state, SignatureState::Unreadable);
    // Within the bounds, each of them is missing: the list of problems is cut off.
    let verdict = edited(|seal| {
        for n in 0..10_000 {
            files(seal).insert(
                format!("{n}"),
                dictionary([("hash2", Value::Data(vec![0; 32]))]),
            );
        }
    });
    verdict.broken(&[P::ResourceMissing]);
    assert!(verdict.signature.problems.len() < 1000);
}

#[test]
fn many_and_huge_rules() {
    edited(|seal| {
        for n in 0..1000 {
            rules(seal).insert(format!("^{n}"), true.into());
        }
    })
    .broken(&[P::SealRules]);
    for pattern in [
        "x".repeat(100_000),
        "(a*)*".repeat(200),
        "(".repeat(500) + &")".repeat(500),
        "[a-z]{255}".repeat(100),
        "(x+x+)+y".to_owned() + &"{255}".repeat(3),
    ] {
        let verdict = edited(move |seal| {
            rules(seal).insert(pattern.clone(), true.into());
        });
        let state = verdict.signature.state;
        assert!(matches!(
            state,
            SignatureState::Broken | SignatureState::Adhoc
        ));
    }
}

#[test]
fn expressions_that_choke_a_backtracking_engine() {
    // Exponential time in an engine that backtracks; linear here. The limit on the work holds too.
    let bundle = SignedBundle::new("Acme", Form::Deep)
        .file(&format!("Resources/{}", "a".repeat(200)), b"a")
        .edit_seal(|seal| {
            rules(seal).insert("^Resources/(a|a)*(a|aa)+$x".into(), true.into());
        });
    judged(&bundle, |_| {}).holds();
}

/// 47 rules like these took four and a half minutes: each byte of a path had some 400 states to
/// look at in each. Now a state is found once, and there is a bound on how many are.
#[test]
fn expressions_whose_states_are_many() {
    let hostile = |n: usize, repeat: usize| format!("(.?){{{repeat}}}c{n}N");
    for (count, repeat) in [(47, 200), (47, 30), (4, 200)] {
        let mut bundle = SignedBundle::new("Acme", Form::Deep).edit_seal(move |seal| {
            for n in 0..count {
                rules(seal).insert(hostile(n, repeat), true.into());
            }
        });
        for n in 0..300 {
            bundle = bundle.file(&format!("Resources/{}{n}", "cM".repeat(100)), b"a");
        }
        let began = Instant::now();
        let verdict = judged(&bundle, |_| {});
        let took = began.elapsed();
        // In a debug build, beside other tests.
        assert!(took.as_secs() < 20, "{count} of {repeat}: {took:?}");
        let state = verdict.signature.state;
        assert!(
            matches!(
                state,
                SignatureState::Unreadable | SignatureState::Broken | SignatureState::Adhoc
            ),
            "{state}"
        );
    }
}

/// No seal left it out: nobody looked.
#[test]
fn code_of_a_version_that_is_not_judged_is_unknown() {
    let shallow = SealLimits {
        depth: 0,
        ..SealLimits::default()
    };
    let code = MachO::dylib(Cpu::Arm64e).signed(&Signature::adhoc("a"));
    let bundle = SignedBundle::new("Kit", Form::Versioned);
    let other = |root: &Path| put(root.join("Versions/B/Kit"), &code);
    let verdict = judged_with(&bundle, other, |_| {}, &shallow);
    verdict.words(Sealed::Unknown, &["Versions/B/Kit"]);
}

#[test]
fn a_judgement_ends_when_its_time_is_spent() {
    let late = SealLimits {
        until: Some(Instant::now()),
        ..SealLimits::default()
    };
    let full = SignedBundle::full("Acme");
    let verdict = judged_with(&full, |_| {}, |_| {}, &late);
    verdict.expect(SignatureState::Unreadable, &[P::Limit]);
    assert!(verdict.signature.is_cut_off);
    let soon = SealLimits {
        until: Instant::now().checked_add(Duration::from_secs(3600)),
        ..SealLimits::default()
    };
    let verdict = judged_with(&full, |_| {}, |_| {}, &soon);
    verdict.holds();
    assert!(!verdict.signature.is_cut_off);
}

#[test]
fn many_files_that_no_seal_lists() {
    let bundle = SignedBundle::new("Acme", Form::Deep);
    let verdict = judged(&bundle, |root| {
        for n in 0..2000 {
            put(root.join(format!("Contents/Resources/{n}")), b"");
        }
    });
    verdict.broken(&[P::ResourceAdded]);
    assert_eq!(verdict.signature.unsealed_files, 2000);
    assert!(verdict.signature.problems.len() < 300);
}

#[test]
fn bundles_within_bundles() {
    let mut bundle = SignedBundle::new("B0", Form::Deep);
    for n in 1..12 {
        let name = format!("B{n}");
        bundle = SignedBundle::new(&name, Form::Deep).bundle("PlugIns/x.bundle", &bundle);
    }
    judged(&bundle, |_| {}).expect(SignatureState::Unreadable, &[P::Limit, P::NestedCode]);
    // As deep as allowed.
    let depth = SealLimits::default().depth;
    let mut bundle = SignedBundle::new("B", Form::Deep);
    for _ in 0..depth {
        bundle = SignedBundle::new("B", Form::Deep).bundle("PlugIns/x.bundle", &bundle);
    }
    judged(&bundle, |_| {}).holds();
}

#[test]
fn deep_property_lists() {
    let deep = format!(
        "<plist version=\"1.0\"><dict><key>files2</key>{}{}</dict></plist>",
        "<array>".repeat(50_000),
        "</array>".repeat(50_000)
    );
    sealed_by(deep.into_bytes()).expect(SignatureState::Unreadable, &[P::Limit]);
}

/// A binary property list of these objects; the first is the root.
fn binary(objects: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        bytes.extend(*object);
    }
    let table = u64::try_from(bytes.len()).unwrap();
    bytes.extend(offsets);
    bytes.extend([0, 0, 0, 0, 0, 0, 2, 1]);
    bytes.extend(u64::try_from(objects.len()).unwrap().to_be_bytes());
    bytes.extend(0_u64.to_be_bytes());
    bytes.extend(table.to_be_bytes());
    bytes
}

#[test]
fn binary_property_lists_with_cycles() {
    // A dictionary that is its own value, an array that holds itself, and two that hold each other.
    for bytes in [
        binary(&[&[0xd1, 1, 0], b"\x56files2"]),
        binary(&[&[0xa1, 0]]),
        binary(&[&[0xa1, 1], &[0xa1, 0]]),
        binary(&[&[0xd1, 7, 9]]),
        binary(&[&[0xdf, 0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]),
    ] {
        sealed_by(bytes).expect(SignatureState::Malformed, &[P::Seal]);
    }
    // The same objects named again and again: 15 to the power of 7 values.
    let rows: Vec<Vec<u8>> = (1..8)
        .map(|n| [vec![0xaf, 0x10, 15], vec![n; 15]].concat())
        .collect();
    let mut objects: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    objects.push(&[0x09]);
    sealed_by(binary(&objects)).expect(SignatureState::Unreadable, &[P::Limit]);
}

#[test]
fn a_binary_seal_is_as_good_as_one_in_xml() {
    let bundle = SignedBundle::new("Acme", Form::Deep)
        .file("Resources/a", b"a")
        .edit_seal_bytes(|seal| {
            let value = Value::from_reader_xml(seal.as_slice()).unwrap();
            seal.clear();
            value.to_writer_binary(seal).unwrap();
        });
    judged(&bundle, |_| {}).holds();
}

/// The bundle with this seal over one written already, which saves most of the time.
fn with_seals(seals: impl Iterator<Item = Vec<u8>>, check: impl Fn(&Verdict)) {
    for seal in seals {
        check(&sealed_by(seal));
    }
}

#[test]
fn truncated_at_every_byte() {
    let good = good_seal();
    let end = good.len();
    // What is lost behind the last dictionary is nothing to the parser, as to CoreFoundation's.
    let closed = good.windows(7).rposition(|w| w == b"</dict>").unwrap() + 7;
    let cuts = (0..end).step_by(41).chain(end - 20..end);
    with_seals(cuts.map(|cut| good[..cut].to_vec()), |verdict| {
        let state = verdict.signature.state;
        assert!(!state.holds() || verdict.signature.problems.is_empty());
    });
    for cut in (0..closed).step_by(61) {
        let verdict = sealed_by(good[..cut].to_vec());
        assert!(!verdict.signature.state.holds(), "{cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn flipped_anywhere(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut seal = good_seal();
        let at = at.index(seal.len());
        seal[at] ^= 1 << bit;
        let _ = sealed_by(seal);
    }
}
