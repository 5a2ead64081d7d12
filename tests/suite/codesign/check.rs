//! How a test has bytes checked, and says what it expects.

use dsplug::codesign::{CodeFacts, FileCheck, Limits, ProblemCode, Roots, SignatureState};
use dsplug::sha256::Sha256;

/// The bytes checked as a caller does it, in chunks of an odd size.
pub fn facts_with(bytes: &[u8], roots: &Roots, limits: Limits) -> CodeFacts {
    let mut check = FileCheck::new(u64::try_from(bytes.len()).unwrap(), roots, limits);
    while let Some(range) = check.wants() {
        let index = |offset| usize::try_from(offset).unwrap();
        check.supply(bytes.get(index(range.start)..index(range.end)).unwrap());
    }
    for chunk in bytes.chunks(4099) {
        check.update(chunk);
    }
    let mut facts = check.finish();
    // The hash of the whole file may stand for that of a page, and nothing else changes by it.
    {
        let size = [1_000, 4_096, 70_000][bytes.len() % 3];
        let mut check = FileCheck::new(u64::try_from(bytes.len()).unwrap(), roots, limits);
        while let Some(range) = check.wants() {
            let index = |offset| usize::try_from(offset).unwrap();
            check.supply(bytes.get(index(range.start)..index(range.end)).unwrap());
        }
        let mut whole = Sha256::new();
        for chunk in bytes.chunks(size) {
            check.update_hashing(chunk, &mut whole);
        }
        assert_eq!(check.finish(), facts);
        assert_eq!(whole.finish(), Sha256::digest(bytes));
    }
    facts.judge_standalone();
    facts
}

/// The bytes checked against Apple's roots.
pub fn facts(bytes: &[u8]) -> CodeFacts {
    facts_with(bytes, &Roots::apple(), Limits::default())
}

/// All problem codes, each once.
pub fn codes(facts: &CodeFacts) -> Vec<ProblemCode> {
    let mut codes: Vec<_> = facts.all_problems().map(|p| p.code).collect();
    codes.sort();
    codes.dedup();
    codes
}

/// Expects the state, and that these problems and no others are named.
#[track_caller]
pub fn expect(facts: &CodeFacts, state: SignatureState, problems: &[ProblemCode]) {
    let said: Vec<String> = facts.all_problems().map(ToString::to_string).collect();
    let mut expected = problems.to_vec();
    expected.sort();
    assert_eq!(
        (facts.state(), codes(facts)),
        (state, expected),
        "{said:#?}"
    );
    if state != SignatureState::Signed {
        assert_eq!(facts.signer(), "");
        assert!(facts.authority().is_empty());
        assert_eq!(facts.signing_time(), None);
    }
    if !state.holds() {
        assert_eq!(
            (facts.cdhash(), facts.identifier(), facts.team_identifier()),
            (String::new(), "", "")
        );
    }
}
