//! Bundles that bear a signer's name.

use std::path::Path;

use dsplug::codesign::{Anchor, ProblemCode as P, Roots, SealLimits, Sealed, SignatureState};
use dsplug_fixtures::certificate::{Identity, Subject};
use dsplug_fixtures::cms::Signer;
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle, cdhash};

use super::check::{Verdict, judged_by, put};

const NAME: &str = "Developer ID Application: Example (TEAM123456)";
const TEAM: &str = "TEAM123456";

fn root() -> Identity {
    Identity::root(Subject::authority("Example Root CA"))
}

/// Another signer under that root.
fn stranger(root: &Identity) -> Signer {
    let name = "Developer ID Application: Other (OTHER12345)";
    Signer::under(root, name, "OTHER12345")
}

/// A signed bundle, tampered with, and judged by the roots of its signer.
fn judged(bundle: &SignedBundle, signer: &Signer, tamper: impl FnOnce(&Path)) -> Verdict {
    judged_by(
        bundle,
        &Roots::of(signer.roots()),
        tamper,
        |_| {},
        &SealLimits::default(),
    )
}

fn bundle(signer: &Signer) -> SignedBundle {
    SignedBundle::new("Acme", Form::Deep)
        .signer(signer)
        .file("Resources/a", b"a")
        .bundle(
            "PlugIns/Inner.bundle",
            &SignedBundle::new("Inner", Form::Deep).signer(signer),
        )
}

#[test]
fn the_signer_is_named() {
    let signer = Signer::developer_id(NAME, TEAM);
    let verdict = judged(&bundle(&signer), &signer, |_| {});
    verdict.expect(SignatureState::Signed, &[]);
    let signature = &verdict.signature;
    assert_eq!(signature.signer, NAME);
    assert_eq!(signature.claimed_signer, NAME);
    assert_eq!(signature.authority.first().map(String::as_str), Some(NAME));
    assert_eq!(signature.anchor, Anchor::DeveloperId);
    assert_eq!(signature.team_identifier, TEAM);
    assert_eq!(signature.signing_identifier, "test.Acme");
    // `date -u -d 2024-02-29T12:34:56Z +%s`, the time of the builder's timestamp.
    assert_eq!(signature.signing_time, Some(1_709_210_096));
    assert_eq!(signature.unsealed_files, 0);
    for code in signature.code.iter().flatten() {
        assert_eq!(
            (code.state, code.signer.as_str()),
            (SignatureState::Signed, NAME)
        );
    }
}

#[test]
fn a_signature_that_does_not_hold_lends_nothing() {
    let signer = Signer::developer_id(NAME, TEAM);
    let verdict = judged(&bundle(&signer), &signer, |root| {
        put(root.join("Contents/Resources/a"), b"b");
    });
    verdict.broken(&[P::ResourceModified]);
    let signature = &verdict.signature;
    assert_eq!(signature.claimed_signer, NAME);
    assert_eq!(signature.anchor, Anchor::Untrusted);
    // The executable by itself is as it was signed.
    let code = verdict
        .paths
        .iter()
        .position(|p| p == b"Contents/MacOS/Acme");
    let code = signature.code[code.unwrap()].as_ref().unwrap();
    assert_eq!(code.state, SignatureState::Signed);
}

#[test]
fn a_chain_that_ends_elsewhere_breaks_the_bundle() {
    let signer = Signer::developer_id(NAME, TEAM);
    let other = Signer::developer_id(NAME, TEAM);
    let verdict = judged(&bundle(&signer), &other, |_| {});
    assert_eq!(verdict.signature.state, SignatureState::Broken);
    assert_eq!(verdict.signature.signer, "");
    assert!(
        verdict
            .signature
            .problems
            .iter()
            .any(|p| p.code == P::Chain)
    );
}

#[test]
fn nested_code_of_the_same_signer_that_was_not_sealed_is_named() {
    let signer = Signer::developer_id(NAME, TEAM);
    let path = "Frameworks/libhelp.dylib";
    let dylib = |len| {
        MachO::dylib(Cpu::Arm64)
            .code_len(len)
            .signed(&Signature::by(&signer, "test.help"))
    };
    let (sealed, other) = (dylib(2000), dylib(2001));
    let hash = cdhash(&sealed);
    let with = |bytes: Vec<u8>| {
        SignedBundle::new("Acme", Form::Deep)
            .signer(&signer)
            .code_bytes(path, bytes, hash)
    };
    judged(&with(sealed), &signer, |_| {}).expect(SignatureState::Signed, &[]);
    // Apple would take it, by the requirement; here the cdhash decides.
    judged(&with(other), &signer, |_| {})
        .broken(&[P::NestedCode])
        .words(Sealed::Altered, &["Contents/Frameworks/libhelp.dylib"]);
}

#[test]
fn a_slice_by_the_same_signer_goes_with_the_one_that_was_sealed() {
    let root = root();
    let signer = Signer::under(&root, NAME, TEAM);
    let stranger = stranger(&root);
    let slice =
        |cpu, signer: &Signer| MachO::dylib(cpu).signed(&Signature::by(signer, "test.help"));
    let arm = slice(Cpu::Arm64, &signer);
    let with = |intel: Vec<u8>| {
        let both = Fat::of(&[(Cpu::X86_64, intel), (Cpu::Arm64, arm.clone())]).build();
        SignedBundle::new("Acme", Form::Deep)
            .signer(&signer)
            .code_bytes("Frameworks/libhelp.dylib", both, cdhash(&arm))
    };
    judged(&with(slice(Cpu::X86_64, &signer)), &signer, |_| {}).expect(SignatureState::Signed, &[]);
    for intel in [
        slice(Cpu::X86_64, &stranger),
        // Apple's requirement names the identifier as well.
        MachO::dylib(Cpu::X86_64).signed(&Signature::by(&signer, "test.other")),
        MachO::dylib(Cpu::X86_64).signed(&Signature::adhoc("test.help")),
        MachO::dylib(Cpu::X86_64).unsigned(),
    ] {
        let verdict = judged(&with(intel), &signer, |_| {});
        assert_eq!(verdict.signature.state, SignatureState::Broken);
        let named = verdict
            .signature
            .problems
            .iter()
            .any(|p| p.code == P::NestedCode);
        assert!(named, "{:#?}", verdict.signature.problems);
    }
}

#[test]
fn slices_by_different_signers_name_nobody() {
    let root = root();
    let signer = Signer::under(&root, NAME, TEAM);
    let stranger = stranger(&root);
    let own = signer.clone();
    let bundle = SignedBundle::new("Acme", Form::Deep)
        .signer(&signer)
        .executable(move |signature| {
            let mut other = Signature::by(&stranger, &signature.identifier);
            other.info_plist.clone_from(&signature.info_plist);
            other.resources.clone_from(&signature.resources);
            Fat::of(&[
                (Cpu::X86_64, MachO::bundle(Cpu::X86_64).signed(signature)),
                (Cpu::Arm64, MachO::bundle(Cpu::Arm64).signed(&other)),
            ])
            .build()
        });
    judged(&bundle, &own, |_| {}).broken(&[P::SlicesDiffer]);
}

#[test]
fn another_version_of_a_framework_must_be_by_the_same_signer() {
    let root = root();
    let signer = Signer::under(&root, NAME, TEAM);
    let stranger = stranger(&root);
    let kit = |signer: &Signer| SignedBundle::new("Kit", Form::Versioned).signer(signer);
    let with = |signer: &Signer, other: Option<&Signer>| {
        let directory = tempfile::tempdir().unwrap();
        let second = other.map_or_else(|| SignedBundle::new("Kit", Form::Versioned), kit);
        let second = second.write(directory.path()).join("Versions/A");
        judged(&kit(signer), signer, |root| {
            std::fs::rename(second, root.join("Versions/B")).unwrap();
        })
    };
    with(&signer, Some(&signer)).expect(SignatureState::Signed, &[]);
    with(&signer, Some(&stranger)).broken(&[P::NestedCode]);
    with(&signer, None).broken(&[P::NestedCode]);
}

/// Apple holds it to the requirement that the seal has of the framework, which names the identifier
/// (`SecStaticCode::validateOtherVersions` of StaticCode.cpp).
#[test]
fn another_product_of_the_same_signer_is_no_version_of_a_framework() {
    let root = root();
    let signer = Signer::under(&root, NAME, TEAM);
    let kit = |name: &str| SignedBundle::new(name, Form::Versioned).signer(&signer);
    let directory = tempfile::tempdir().unwrap();
    let other = kit("Other").write(directory.path()).join("Versions/A");
    let verdict = judged(&kit("Kit"), &signer, |root| {
        std::fs::rename(other, root.join("Versions/B")).unwrap();
    });
    verdict.broken(&[P::NestedCode]);
}
