//! The signature that a release bears.

use std::fs;
use std::path::Path;

use super::program::{IDENTIFIER, both, program, sign, tool, universal};
use dsplug::codesign::CodeFlags;
use dsplug::codesign::{CodeFacts, FileCheck, Limits, Roots, SignatureState};
use dsplug_fixtures::macho::Cpu;

fn facts(path: &Path) -> CodeFacts {
    let bytes = fs::read(path).unwrap();
    let roots = Roots::apple();
    let mut check = FileCheck::new(
        u64::try_from(bytes.len()).unwrap(),
        &roots,
        Limits::default(),
    );
    while let Some(range) = check.wants() {
        let index = |offset| usize::try_from(offset).unwrap();
        check.supply(&bytes[index(range.start)..index(range.end)]);
    }
    check.update(&bytes);
    let mut facts = check.finish();
    facts.judge_standalone();
    facts
}

#[test]
fn an_adhoc_signature_holds_in_both_slices() {
    let Some(adhoc) = tool("adhoc.py") else {
        return;
    };
    let (_folder, path) = both(|program| program);
    sign(adhoc, &path);
    let facts = facts(&path);
    let problems: Vec<String> = facts.all_problems().map(ToString::to_string).collect();
    assert_eq!(
        (facts.state(), problems),
        (SignatureState::Adhoc, Vec::new())
    );
    assert_eq!(facts.slices.len(), 2);
    for slice in &facts.slices {
        let directory = slice.directory().unwrap();
        assert_eq!(directory.identifier, IDENTIFIER);
        assert!(
            directory.flags.contains(CodeFlags::RUNTIME),
            "{:?}",
            directory.flags
        );
        assert!(
            directory.flags.contains(CodeFlags::ADHOC),
            "{:?}",
            directory.flags
        );
    }
}

#[test]
fn signing_twice_gives_the_same_bytes() {
    let Some(adhoc) = tool("adhoc.py") else {
        return;
    };
    let (_folder, path) = both(|program| program);
    sign(adhoc, &path);
    let once = fs::read(&path).unwrap();
    sign(tool("adhoc.py").unwrap(), &path);
    assert_eq!(fs::read(&path).unwrap(), once);
}

#[test]
fn a_slice_without_room_for_the_load_command_is_refused() {
    let Some(mut adhoc) = tool("adhoc.py") else {
        return;
    };
    let (_folder, path) = universal(&[(Cpu::Arm64, program(Cpu::Arm64, 0x000B_0000).unsigned())]);
    let before = fs::read(&path).unwrap();
    let output = adhoc
        .args(["--identifier", IDENTIFIER])
        .arg(&path)
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no room for a load command"));
    assert_eq!(fs::read(&path).unwrap(), before);
}
