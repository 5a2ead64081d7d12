//! Notarization tickets, which `stapler` writes where no seal covers.

use std::path::Path;

use dsplug::codesign::{ProblemCode as P, Roots, SealLimits, Sealed, SignatureState};
use dsplug_fixtures::cms::Signer;
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle, cdhash};
use dsplug_fixtures::ticket::ticket;

use super::check::{Verdict, judged, judged_by, put, relink};

const TICKET: &str = "Contents/CodeResources";
const INNER: &str = "Contents/PlugIns/Inner.bundle/Contents/CodeResources";

fn full() -> SignedBundle {
    SignedBundle::full("Acme")
}

#[track_caller]
fn expect_note(verdict: &Verdict, text: &str) {
    let notes = &verdict.signature.notes;
    assert!(notes.iter().any(|n| n.text.contains(text)), "{notes:#?}");
}

fn own_cdhash(root: &Path) -> [u8; 20] {
    cdhash(&std::fs::read(root.join("Contents/MacOS/Acme")).unwrap())
}

#[test]
fn a_stapled_bundle_is_signed() {
    let name = "Developer ID Application: Example (TEAM123456)";
    let signer = Signer::developer_id(name, "TEAM123456");
    let inner = SignedBundle::new("Inner", Form::Deep).signer(&signer);
    let bundle = SignedBundle::new("Acme", Form::Deep)
        .signer(&signer)
        .bundle("PlugIns/Inner.bundle", &inner);
    let roots = Roots::of(signer.roots());
    let staple = |root: &Path| {
        put(root.join(TICKET), &ticket(&[[1; 20], own_cdhash(root)]));
        put(root.join(INNER), &ticket(&[[1; 20]]));
    };
    let verdict = judged_by(&bundle, &roots, staple, |_| {}, &SealLimits::default());
    verdict
        .expect(SignatureState::Signed, &[])
        .words(Sealed::Excluded, &[TICKET, INNER]);
    assert!(verdict.signature.notarization_ticket);
    assert_eq!(verdict.signature.unsealed_files, 0);
    assert_eq!(verdict.signature.team_identifier, "TEAM123456");
    expect_note(&verdict, "a notarization ticket that lists this code");
    expect_note(
        &verdict,
        "a notarization ticket that does not list this code",
    );
}

#[test]
fn a_nested_ticket_and_one_elsewhere_are_not_the_bundles_own() {
    let verdict = judged(&full(), |root| put(root.join(INNER), &ticket(&[[1; 20]])));
    verdict.holds();
    assert!(!verdict.signature.notarization_ticket);
    // Apple's `copyStapledTicketInBundle` looks in Contents alone.
    let flat = SignedBundle::new("Acme", Form::Flat);
    let verdict = judged(&flat, |root| {
        put(root.join("CodeResources"), &ticket(&[[1; 20]]));
    });
    verdict.holds().words(Sealed::Excluded, &["CodeResources"]);
    assert!(!verdict.signature.notarization_ticket);
}

#[test]
fn an_unsigned_bundle_may_be_stapled() {
    let bundle = full().executable(|_| MachO::bundle(Cpu::Arm64e).unsigned());
    let verdict = judged(&bundle, |root| put(root.join(TICKET), &ticket(&[[1; 20]])));
    assert_eq!(verdict.signature.state, SignatureState::Unsigned);
    assert!(verdict.signature.notarization_ticket);
    assert_eq!(verdict.word(TICKET), Sealed::Unsealed);
}

#[test]
fn a_ticket_lists_the_code_when_it_lists_every_slice() {
    let bundle = full().executable(|signature| {
        let slice = |cpu| MachO::bundle(cpu).signed(signature);
        Fat::of(&[
            (Cpu::X86_64, slice(Cpu::X86_64)),
            (Cpu::Arm64e, slice(Cpu::Arm64e)),
        ])
        .build()
    });
    let verdict = judged(&bundle, |root| {
        put(root.join(TICKET), &ticket(&[own_cdhash(root)]));
    });
    expect_note(verdict.holds(), "does not list this code");
}

/// Apple leaves the file out, so whoever put a payload there would have a bundle that verifies.
#[test]
fn what_only_begins_like_a_ticket_is_unsealed() {
    let whole = ticket(&[[1; 20]]);
    let mut behind = whole.clone();
    behind.extend(std::iter::repeat_n(b'x', 4000));
    let mut elsewhere = whole.clone();
    // The length of the certificates.
    elsewhere[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let payload = b"s8ch\n#!/bin/sh\n".to_vec();
    for bytes in [
        payload,
        behind,
        elsewhere,
        whole[..60].to_vec(),
        b"s8ch".to_vec(),
    ] {
        let verdict = judged(&full(), |root| put(root.join(TICKET), &bytes));
        verdict.holds().words(Sealed::Unsealed, &[TICKET]);
        assert_eq!(verdict.signature.unsealed_files, 1);
        expect_note(&verdict, "does not have its form");
    }
}

#[test]
fn what_is_no_ticket_breaks_the_bundle() {
    let code = MachO::dylib(Cpu::Arm64e).signed(&Signature::adhoc("a"));
    let large = [ticket(&[[1; 20]]), vec![0; 256 << 10]].concat();
    for bytes in [code, b"#!/bin/sh".to_vec(), Vec::new(), large] {
        let verdict = judged(&full(), |root| put(root.join(TICKET), &bytes));
        verdict
            .broken(&[P::ResourceAdded])
            .words(Sealed::Unsealed, &[TICKET]);
        assert!(!verdict.signature.notarization_ticket);
    }
    let verdict = judged(&full(), |root| {
        put(root.join("ticket"), &ticket(&[[1; 20]]));
        relink(root.join(TICKET), "../ticket");
    });
    verdict.broken(&[P::BundleLayout, P::ResourceAdded]);
    let payload = format!("{TICKET}/payload");
    let verdict = judged(&full(), |root| put(root.join(&payload), &ticket(&[])));
    verdict.broken(&[P::ResourceAdded]);
    assert!(!verdict.signature.notarization_ticket);
}
