//! Real signed files with one byte changed: who signed them is not said any more, but where the
//! byte is one that nobody signs and nothing reads.
//!
//! A run over every byte of their signatures is long; here it is every byte of the universal
//! header and of the first blobs, each [`STEP`]th of the rest of a signature, and each
//! [`PAGE_STEP`]th of the pages, all the same in each run. Which bytes are idle is told from the
//! file's own structure, by [`idle`].

use std::ops::Range;

use dsplug::codesign::{CodeFacts, SignatureState};

use super::check::facts;
use super::real::real;

const STEP: usize = 11;
const PAGE_STEP: usize = 9_973;
/// What is read first of a signature: the index and the head of the first code directory.
const DENSE: usize = 128;

/// What a changed byte leaves of the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idle {
    /// All of it.
    Nothing,
    /// All but the time: the attribute with the timestamp is not found under its name, and nothing
    /// but the timestamp itself says that there was one.
    Time,
}

/// A part of a BER encoding: its tag, all its bytes, and its content.
struct Part {
    tag: u8,
    all: Range<usize>,
    content: Range<usize>,
}

/// The parts in `range`, which end there or at end-of-contents octets.
fn parts(bytes: &[u8], range: Range<usize>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = range.start;
    while at < range.end && bytes[at..at + 2] != [0, 0] {
        let (tag, first) = (bytes[at], usize::from(bytes[at + 1]));
        let octets = first.saturating_sub(0x80);
        let start = at + 2 + octets;
        let (end, next) = if first == 0x80 {
            let inner = parts_end(bytes, start..range.end);
            (inner, inner + 2)
        } else {
            let len = bytes[at + 2..start]
                .iter()
                .fold(0, |len, &octet| len << 8 | usize::from(octet));
            let end = start + if octets > 0 { len } else { first };
            (end, end)
        };
        parts.push(Part {
            tag,
            all: at..next,
            content: start..end,
        });
        at = next;
    }
    parts
}

fn parts_end(bytes: &[u8], range: Range<usize>) -> usize {
    let start = range.start;
    parts(bytes, range)
        .last()
        .map_or(start, |part| part.all.end)
}

/// What nobody signs of the CMS in `range`, and of the timestamp's in it: its version, the announced
/// digest algorithms and the algorithms' parameters (RFC 5652, section 5.1), the name of the
/// timestamp's attribute, and certificates that the chain does not need. The root that came along
/// is one of these, for a chain ends in the verifier's own.
fn idle_in_cms(bytes: &[u8], range: Range<usize>, idle: &mut Vec<(Range<usize>, Idle)>) {
    let inside = |part: &Part| parts(bytes, part.content.clone());
    let info = inside(&parts(bytes, range)[0]);
    let data = inside(&inside(&info[1])[0]);
    idle.push((data[0].all.clone(), Idle::Nothing));
    idle.push((data[1].all.clone(), Idle::Nothing));
    let certificates = data.iter().find(|part| part.tag == 0xa0).unwrap();
    for certificate in inside(certificates) {
        let signed = inside(&inside(&certificate)[0]);
        // Behind version, serial number and algorithm: issuer, validity, subject.
        let (issuer, subject) = (signed[3].all.clone(), signed[5].all.clone());
        if bytes[issuer] == bytes[subject] {
            idle.push((certificate.all, Idle::Nothing));
        }
    }
    let signer = inside(&inside(data.last().unwrap())[0]);
    for algorithm in signer.iter().filter(|part| part.tag == 0x30).skip(1) {
        if let Some(parameters) = inside(algorithm).get(1) {
            idle.push((parameters.all.clone(), Idle::Nothing));
        }
    }
    if let Some(unsigned) = signer.iter().find(|part| part.tag == 0xa1) {
        let attribute = inside(&inside(unsigned)[0]);
        idle.push((attribute[0].content.clone(), Idle::Time));
        idle_in_cms(bytes, attribute[1].content.clone(), idle);
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    let number = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    usize::try_from(number).unwrap()
}

/// The signature of each slice, as it stands in the file.
fn signatures(facts: &CodeFacts) -> Vec<Range<usize>> {
    let offset = |offset: u64| usize::try_from(offset).unwrap();
    facts
        .slices
        .iter()
        .map(|s| offset(s.offset + s.directories[0].code_limit)..offset(s.offset + s.size))
        .collect()
}

/// The bytes that can change while the signature holds: of the universal header the capabilities
/// and the alignment, which place nothing; of a signature what stands behind its SuperBlob; and what
/// [`idle_in_cms`] tells.
fn idle(bytes: &[u8], facts: &CodeFacts) -> Vec<(Range<usize>, Idle)> {
    let mut idle = Vec::new();
    for i in 0..facts.slices.len() * usize::from(facts.universal) {
        let arch = 8 + 20 * i;
        idle.push((arch + 4..arch + 5, Idle::Nothing));
        idle.push((arch + 16..arch + 20, Idle::Nothing));
    }
    for signature in signatures(facts) {
        let start = signature.start;
        idle.push((
            start + number(bytes, start + 4)..signature.end,
            Idle::Nothing,
        ));
        for i in 0..number(bytes, start + 8) {
            let entry = start + 12 + 8 * i;
            if number(bytes, entry) == 0x1_0000 {
                let cms = start + number(bytes, entry + 4);
                idle_in_cms(bytes, cms + 8..cms + number(bytes, cms + 4), &mut idle);
            }
        }
    }
    idle
}

/// Changes one byte after the other, and expects that what it was signed by is not said.
#[track_caller]
fn no_flip_goes_unseen(name: &str) {
    let Some(mut bytes) = real(name) else {
        return;
    };
    let intact = facts(&bytes);
    assert_eq!(intact.state(), SignatureState::Signed);
    let idle = idle(&bytes, &intact);
    let mut positions: Vec<usize> = (0..bytes.len()).step_by(PAGE_STEP).collect();
    if intact.universal {
        positions.extend(0..8 + 20 * intact.slices.len() + 32);
    }
    for signature in signatures(&intact) {
        positions.extend(signature.start..signature.start + DENSE);
        positions.extend(signature.step_by(STEP));
    }
    let mut held = 0;
    for at in positions {
        let bit = if at % 2 == 0 { 1 } else { 0x80 };
        bytes[at] ^= bit;
        let facts = facts(&bytes);
        bytes[at] ^= bit;
        if !facts.state().holds() {
            assert_eq!(facts.signer(), "", "{at:#x}");
            continue;
        }
        let found = idle.iter().find(|(range, _)| range.contains(&at));
        let (_, left) =
            found.unwrap_or_else(|| panic!("{bit:#x} of {at:#x} in {name} goes unseen"));
        held += 1;
        assert_eq!(facts.authority(), intact.authority(), "{at:#x}");
        assert_eq!(facts.cdhash(), intact.cdhash(), "{at:#x}");
        assert_eq!(facts.team_identifier(), intact.team_identifier());
        let undated = facts.slices.iter().any(|s| s.signing_time.is_none());
        match left {
            Idle::Nothing => assert_eq!(facts.signing_time(), intact.signing_time(), "{at:#x}"),
            Idle::Time => assert!(undated, "{at:#x}"),
        }
    }
    assert!(held > 0, "the sample meets idle bytes too");
}

#[test]
fn of_a_file_by_apple() {
    no_flip_goes_unseen("XCUnit.framework/XCUnit");
}

#[test]
fn of_a_file_with_sha1_alone() {
    no_flip_goes_unseen("crashlytics-run");
}

#[test]
fn of_a_file_with_one_slice() {
    no_flip_goes_unseen("msal-python");
}

/// One bit makes code ad hoc, and Apple's verifier does not look at the CMS then
/// (`SecStaticCode::verifySignature`). It is said, and nobody is its signer.
#[test]
fn the_ad_hoc_flag_takes_the_signer_away() {
    let Some(mut bytes) = real("msal-python") else {
        return;
    };
    let offset = facts(&bytes).slices[0].directories[0].offset;
    bytes[usize::try_from(offset).unwrap() + 15] ^= 2;
    let facts = facts(&bytes);
    assert_eq!(facts.state(), SignatureState::Adhoc);
    assert_eq!((facts.signer(), facts.authority().len()), ("", 0));
    assert_eq!(facts.slices[0].notes.len(), 1);
}
