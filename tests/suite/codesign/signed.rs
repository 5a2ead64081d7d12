//! Signatures with a signer: the CMS, the chain, the team and the timestamp.

use std::cell::RefCell;
use std::rc::Rc;

use dsplug::codesign::{Anchor, CodeFacts, Limits, ProblemCode, Roots, SignatureState};
use dsplug_fixtures::certificate::{Identity, Subject};
use dsplug_fixtures::cms::{CODE_SIGNING, Signer};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::{ADHOC, SHA1, SHA256, SHA384, Signature};

use super::check::{expect, facts_with};

const NAME: &str = "Developer ID Application: Example (TEAM123456)";
const TEAM: &str = "TEAM123456";

fn signer() -> Signer {
    Signer::developer_id(NAME, TEAM)
}

fn judge(file: &[u8], signer: &Signer) -> CodeFacts {
    facts_with(file, &Roots::of(signer.roots()), Limits::default())
}

fn judge_signature(signature: &Signature, signer: &Signer) -> CodeFacts {
    judge(&MachO::bundle(Cpu::Arm64).signed(signature), signer)
}

fn judge_signer(signer: &Signer) -> CodeFacts {
    judge_signature(&Signature::by(signer, "org.example.plugin"), signer)
}

#[track_caller]
fn broken(facts: &CodeFacts, problems: &[ProblemCode]) {
    expect(facts, SignatureState::Broken, problems);
    assert_eq!(facts.anchor(), Anchor::Untrusted);
}

#[test]
fn a_signer_is_named_with_all_that_verifies() {
    let facts = judge_signer(&signer());
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!(facts.signer(), NAME);
    assert_eq!(facts.claimed_signer(), NAME);
    assert_eq!(facts.team_identifier(), TEAM);
    assert_eq!(facts.anchor(), Anchor::DeveloperId);
    assert_eq!(
        facts.authority(),
        [
            NAME,
            "Example Developer ID Certification Authority",
            "Example Root CA"
        ]
    );
    // `date -u -d 2024-02-29T12:34:56Z +%s`
    assert_eq!(facts.signing_time(), Some(1_709_210_096));
}

#[test]
fn other_shapes_hold() {
    let check = |change: &dyn Fn(&mut Signer), hash_types: &[u8]| {
        let mut signer = signer();
        change(&mut signer);
        let signature = Signature::by(&signer, "a").hash_types(hash_types);
        expect(
            &judge_signature(&signature, &signer),
            SignatureState::Signed,
            &[],
        );
    };
    check(&|s| s.indefinite = false, &[SHA256]);
    check(&|_| {}, &[SHA1, SHA256]);
    check(&|_| {}, &[SHA256, SHA1, SHA384]);
    check(&|s| s.cdhashes = false, &[SHA1, SHA256]);
    check(&|s| s.hashes = false, &[SHA1, SHA256]);
    check(
        &|s| {
            s.cdhashes = false;
            s.hashes = false;
        },
        &[SHA1],
    );
    check(&|s| s.timestamp.as_mut().unwrap().sha1 = false, &[SHA256]);
    // The root need not come along.
    check(&|s| s.certificates.truncate(2), &[SHA256]);
    check(&|s| s.certificates.reverse(), &[SHA256]);
}

/// RFC 5652, 5.4: the signature is over the content then, as Apple signed in 2012.
#[test]
fn without_signed_attributes_the_signature_is_over_the_code_directory() {
    let mut plain = signer();
    plain.plain = true;
    let facts = judge_signer(&plain);
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!((facts.signer(), facts.team_identifier()), (NAME, TEAM));
    assert_eq!(facts.signing_time(), Some(1_709_210_096));

    let by = |signer: &Signer| Signature::by(signer, "a").hash_types(&[SHA1, SHA256]);
    // Nothing lists the better directory: anyone could have added it.
    broken(
        &judge_signature(&by(&plain), &plain),
        &[ProblemCode::DigestCoverage],
    );
    plain.other_key = true;
    broken(&judge_signer(&plain), &[ProblemCode::Cms]);
    // A signature over this code, put on other code.
    let mut moved = signer();
    moved.plain = true;
    let kept: Rc<RefCell<Option<Vec<u8>>>> = Rc::default();
    let moved = moved.edit(move |bytes| {
        *bytes = kept
            .borrow_mut()
            .get_or_insert_with(|| bytes.clone())
            .clone();
    });
    expect(&judge_signer(&moved), SignatureState::Signed, &[]);
    broken(
        &judge_signature(&Signature::by(&moved, "org.example.other"), &moved),
        &[ProblemCode::Cms],
    );
}

#[test]
fn without_a_timestamp_there_is_no_time_and_a_note() {
    let mut signer = signer();
    signer.timestamp = None;
    let facts = judge_signer(&signer);
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!(facts.signing_time(), None);
    assert!(
        facts.slices[0]
            .notes
            .iter()
            .any(|n| n.text.contains("no secure timestamp"))
    );
}

#[test]
fn a_foreign_root_lends_nothing_but_its_claim() {
    let signer = signer();
    let file = MachO::bundle(Cpu::Arm64).signed(&Signature::by(&signer, "a"));
    let facts = facts_with(&file, &Roots::apple(), Limits::default());
    broken(&facts, &[ProblemCode::Chain]);
    assert_eq!(facts.claimed_signer(), NAME);
    // The same names over another key: roots are known by their bytes.
    let namesake = Identity::root(Subject::authority("Example Root CA"));
    let facts = facts_with(&file, &Roots::of(vec![namesake.der]), Limits::default());
    broken(&facts, &[ProblemCode::Chain]);
}

#[test]
fn a_self_signed_certificate_is_no_chain() {
    let mut leaf = Subject::leaf(NAME, CODE_SIGNING);
    leaf.unit = Some(TEAM.into());
    let alone = Identity::root(leaf);
    let mut signer = signer();
    signer.leaf = alone.clone();
    signer.certificates = vec![alone];
    broken(&judge_signer(&signer), &[ProblemCode::Chain]);
}

#[test]
fn every_link_of_the_chain_is_judged() {
    let root = Identity::root(Subject::authority("Example Root CA"));
    let authority = || Signer::under(&root, NAME, TEAM).intermediate.subject;
    let leaf = || Signer::under(&root, NAME, TEAM).leaf.subject;
    let check = |intermediate: Subject, leaf: Subject| {
        let signer = Signer::of(&root, intermediate, leaf);
        judge_signer(&signer)
    };
    expect(&check(authority(), leaf()), SignatureState::Signed, &[]);
    let mut no_authority = authority();
    no_authority.authority = false;
    broken(&check(no_authority, leaf()), &[ProblemCode::Chain]);
    let mut no_key_usage = authority();
    no_key_usage.key_usage = 0x80;
    broken(&check(no_key_usage, leaf()), &[ProblemCode::Chain]);
    let mut purpose = leaf();
    purpose.purposes = vec!["1.3.6.1.5.5.7.3.1".into()];
    broken(&check(authority(), purpose), &[ProblemCode::Chain]);
    let mut purpose = leaf();
    purpose.purposes.clear();
    broken(&check(authority(), purpose), &[ProblemCode::Chain]);
    let mut usage = leaf();
    usage.key_usage = 0x20;
    broken(&check(authority(), usage), &[ProblemCode::Chain]);
    let mut critical = leaf();
    critical.marks.push(("1.2.3.4".into(), true));
    broken(&check(authority(), critical), &[ProblemCode::Chain]);
    let mut never = authority();
    never.validity = ("20100101000000".into(), "20190101000000".into());
    broken(
        &check(never, leaf()),
        &[ProblemCode::Chain, ProblemCode::Timestamp],
    );
    let mut short = root.subject.clone();
    short.path_len = Some(0);
    let signer = Signer::under(&Identity::root(short), NAME, TEAM);
    broken(&judge_signer(&signer), &[ProblemCode::Chain]);
    let mut missing = self::signer();
    missing.certificates.remove(1);
    broken(&judge_signer(&missing), &[ProblemCode::Chain]);
    let mut missing = self::signer();
    missing.certificates.remove(0);
    let facts = judge_signer(&missing);
    expect(&facts, SignatureState::Broken, &[ProblemCode::Cms]);
    // An authority of the same name and another key.
    let mut grafted = self::signer();
    grafted.certificates[1] = Signer::under(&root, NAME, TEAM).intermediate;
    broken(&judge_signer(&grafted), &[ProblemCode::Chain]);
}

#[test]
fn the_marks_tell_the_anchor() {
    let root = Identity::root(Subject::authority("Example Root CA"));
    let check = |intermediate: &str, organization: &str, marks: &[&str], anchor| {
        let mut authority = Subject::authority(intermediate);
        authority.organization = Some(organization.into());
        let mut leaf = Subject::leaf("Software Signing", CODE_SIGNING);
        leaf.marks = marks.iter().map(|m| ((*m).to_owned(), true)).collect();
        let facts = judge_signer(&Signer::of(&root, authority, leaf));
        expect(&facts, SignatureState::Signed, &[]);
        assert_eq!(facts.anchor(), anchor);
    };
    let apples = "Apple Code Signing Certification Authority";
    check(
        apples,
        "Apple Inc.",
        &["1.2.840.113635.100.6.22"],
        Anchor::Apple,
    );
    check(apples, "Example Inc.", &[], Anchor::Untrusted);
    check(
        "WWDR",
        "Apple Inc.",
        &["1.2.840.113635.100.6.1.9"],
        Anchor::AppStore,
    );
    check(
        "WWDR",
        "Apple Inc.",
        &["1.2.840.113635.100.6.1.25.1"],
        Anchor::AppStore,
    );
    check(
        "WWDR",
        "Apple Inc.",
        &["1.2.840.113635.100.6.1.7"],
        Anchor::Untrusted,
    );
    // Without the authority's mark the leaf's says nothing.
    check(
        "WWDR",
        "Apple Inc.",
        &["1.2.840.113635.100.6.1.13"],
        Anchor::Untrusted,
    );
}

#[test]
fn the_cms_is_over_this_code_and_by_this_key() {
    use ProblemCode::Cms;
    let mut other_key = signer();
    other_key.other_key = true;
    broken(&judge_signer(&other_key), &[Cms]);
    let mut attached = signer();
    attached.attached = true;
    broken(&judge_signer(&attached), &[Cms]);
    for missing in [0, 1] {
        let signer = signer().edit_attributes(move |all| drop(all.remove(missing)));
        broken(&judge_signer(&signer), &[Cms]);
        let signer = self::signer().edit_attributes(move |all| all.push(all[missing].clone()));
        broken(&judge_signer(&signer), &[Cms]);
    }
    // A CMS grafted from other code.
    let signer = signer();
    let other = Signature::by(&signer, "other").superblob(b"other code");
    let from = other
        .windows(4)
        .rposition(|w| w == [0xfa, 0xde, 0x0b, 0x01])
        .unwrap();
    let graft = other[from..].to_vec();
    let signature = Signature::by(&signer, "a").edit_parts(move |parts| {
        parts.last_mut().unwrap().1 = graft.clone();
    });
    broken(&judge_signature(&signature, &signer), &[Cms]);
    // None, and an empty one.
    let none = Signature::by(&signer, "a").edit_parts(|parts| drop(parts.pop()));
    let facts = judge_signature(&none, &signer);
    expect(&facts, SignatureState::Broken, &[Cms]);
    assert_eq!(facts.anchor(), Anchor::None);
    let empty = Signature::by(&signer, "a").edit_parts(|parts| {
        parts.last_mut().unwrap().1 = dsplug_fixtures::signature::blob(0xfade_0b01, b"");
    });
    expect(
        &judge_signature(&empty, &signer),
        SignatureState::Broken,
        &[Cms],
    );
    // A code directory edited after it was signed.
    let edited = Signature::by(&signer, "org.example").edit_parts(|parts| {
        let at = parts[0].1.windows(4).position(|w| w == b"TEAM").unwrap();
        parts[0].1[at] = b'X';
    });
    broken(&judge_signature(&edited, &signer), &[Cms]);
}

#[test]
fn the_directory_that_decides_is_signed_too() {
    use ProblemCode::{CdhashAttribute, DigestCoverage};
    let hash_types = [SHA1, SHA256];
    let mut bare = signer();
    bare.cdhashes = false;
    bare.hashes = false;
    let signature = Signature::by(&bare, "a").hash_types(&hash_types);
    broken(&judge_signature(&signature, &bare), &[DigestCoverage]);
    // Another alternate directory: the same but for its identifier's flags.
    let signer = signer();
    let swapped = Signature::by(&signer, "a")
        .hash_types(&hash_types)
        .edit_parts(|parts| {
            let alternate = parts.iter_mut().find(|(slot, _)| *slot == 0x1000).unwrap();
            alternate.1[43] ^= 1;
        });
    broken(&judge_signature(&swapped, &signer), &[CdhashAttribute]);
    // The better hash taken away.
    let stripped = Signature::by(&signer, "a")
        .hash_types(&hash_types)
        .edit_parts(|parts| parts.retain(|(slot, _)| *slot != 0x1000));
    broken(&judge_signature(&stripped, &signer), &[CdhashAttribute]);
    for attribute in [2, 3] {
        let signer = self::signer().edit_attributes(move |all| {
            let at = all[attribute].len() - 40;
            all[attribute][at] ^= 1;
        });
        let signature = Signature::by(&signer, "a").hash_types(&hash_types);
        broken(&judge_signature(&signature, &signer), &[CdhashAttribute]);
    }
}

#[test]
fn the_team_is_the_certificates() {
    let signer = signer();
    let other = Signature::by(&signer, "a").team("OTHERTEAM1");
    broken(
        &judge_signature(&other, &signer),
        &[ProblemCode::TeamIdentifier],
    );
    let mut none = Signature::by(&signer, "a");
    none.team = None;
    expect(
        &judge_signature(&none, &signer),
        SignatureState::Signed,
        &[],
    );
}

#[test]
fn the_timestamp_is_judged_whole() {
    use ProblemCode::Timestamp;
    let check = |change: &dyn Fn(&mut dsplug_fixtures::cms::Timestamp)| {
        let mut signer = signer();
        change(signer.timestamp.as_mut().unwrap());
        judge_signer(&signer)
    };
    broken(&check(&|t| t.over_else = true), &[Timestamp]);
    // After the leaf's end, and before its beginning.
    broken(&check(&|t| t.time = "20250601000000".into()), &[Timestamp]);
    broken(&check(&|t| t.time = "20190601000000".into()), &[Timestamp]);
    broken(&check(&|t| t.time = "20241301000000".into()), &[Timestamp]);
    broken(&check(&|t| t.certificates.clear()), &[Timestamp]);
    broken(
        &check(&|t| {
            let root = Identity::root(Subject::authority("Foreign Root CA"));
            let purpose = dsplug_fixtures::cms::TIME_STAMPING;
            t.authority = root.issues(Subject::leaf("Foreign Timestamp Signer", purpose));
            t.certificates = vec![root];
        }),
        &[Timestamp],
    );
    broken(
        &check(&|t| {
            let issuer = t.certificates[0].clone();
            t.authority = issuer.issues(Subject::leaf("Not for time", CODE_SIGNING));
        }),
        &[Timestamp],
    );
}

#[test]
fn adhoc_code_has_no_signer_even_where_a_cms_stands() {
    let signer = signer();
    let facts = judge_signature(&Signature::by(&signer, "a").flags(ADHOC), &signer);
    expect(&facts, SignatureState::Adhoc, &[]);
    assert_eq!((facts.signer(), facts.anchor()), ("", Anchor::None));
    assert_eq!(facts.claimed_signer(), NAME);
}

#[test]
fn slices_have_one_signer() {
    let root = Identity::root(Subject::authority("Example Root CA"));
    let slice = |cpu, name, team| {
        let signer = Signer::under(&root, name, team);
        (cpu, MachO::bundle(cpu).signed(&Signature::by(&signer, "a")))
    };
    let roots = Roots::of(vec![root.der.clone()]);
    let fat =
        |slices: &[(Cpu, Vec<u8>)]| facts_with(&Fat::of(slices).build(), &roots, Limits::default());
    let one = [
        slice(Cpu::X86_64, NAME, TEAM),
        slice(Cpu::Arm64, NAME, TEAM),
    ];
    expect(&fat(&one), SignatureState::Signed, &[]);
    let two = [
        slice(Cpu::X86_64, NAME, TEAM),
        slice(Cpu::Arm64, "Else", "OTHERTEAM1"),
    ];
    broken(&fat(&two), &[ProblemCode::SlicesDiffer]);
}

#[test]
fn no_flip_and_no_truncation_is_signed() {
    let signer = signer();
    let mut signature = Signature::by(&signer, "a").hash_types(&[SHA1, SHA256]);
    signature.slack_len = 0;
    let file = MachO::bundle(Cpu::Arm64).signed(&signature);
    let root = signer.root.der.clone();
    // Nothing reads the padding behind the SuperBlob, and the root that comes along is not
    // believed: the one that the verifier was given is.
    let end = file.iter().rposition(|&byte| byte != 0).unwrap();
    let find = |part: &[u8]| {
        let at = file.windows(part.len()).position(|w| w == part).unwrap();
        at..at + part.len()
    };
    let idle = find(&root);
    // Nothing binds the timestamp to the signature but the timestamp itself: it can be taken away.
    let name = find(&dsplug_fixtures::der::oid("1.2.840.113549.1.9.16.2.14"));
    for at in (0..=end).filter(|at| !idle.contains(at)) {
        for bit in [1, 0x10, 0x80] {
            let mut file = file.clone();
            file[at] ^= bit;
            let facts = judge(&file, &signer);
            let undated = name.contains(&at) && facts.signing_time().is_none();
            assert!(
                facts.state() != SignatureState::Signed || undated,
                "bit {bit:#x} of {at:#x}"
            );
        }
    }
    for at in 0..file.len() {
        assert_ne!(
            judge(&file[..at], &signer).state(),
            SignatureState::Signed,
            "{at:#x}"
        );
    }
}

/// Apple compares the team with the certificate for some kinds of leaves alone; whoever has a leaf
/// of another kind writes any team into the code directory.
#[test]
fn a_team_counts_only_when_the_leaf_was_issued_to_it() {
    let root = Identity::root(Subject::authority("Example Root CA"));
    // An authority without Apple's mark, and a leaf of none of the kinds that Apple asks for.
    let of = |unit: Option<&str>| {
        let mut leaf = Subject::leaf("Anyone", CODE_SIGNING);
        leaf.unit = unit.map(Into::into);
        Signer::of(&root, Subject::authority("Example CA"), leaf)
    };
    let judge_team = |signer: &Signer, team: &str| {
        judge_signature(&Signature::by(signer, "a").team(team), signer)
    };
    for (unit, counts) in [
        (Some(TEAM), true),
        (Some("OTHERTEAM1"), false),
        (None, false),
    ] {
        let facts = judge_team(&of(unit), TEAM);
        expect(&facts, SignatureState::Signed, &[]);
        assert_eq!(facts.anchor(), Anchor::Untrusted);
        assert_eq!(facts.team_identifier(), if counts { TEAM } else { "" });
        let says = |n: &dsplug::codesign::Note| n.text.contains("counts for nothing");
        assert_eq!(facts.slices[0].notes.iter().any(says), !counts);
    }
    // Of the kinds that Apple asks for it breaks the signature, as there.
    broken(
        &judge_team(&signer(), "OTHERTEAM1"),
        &[ProblemCode::TeamIdentifier],
    );
}
