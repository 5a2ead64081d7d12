//! Signatures in files of their own, which Apple reads where the code carries none.

use std::path::Path;

use dsplug::codesign::{ProblemCode as P, Sealed, SignatureState};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::signed_bundle::SignedBundle;

use super::check::{judged, put};

const FOLDER: &str = "Contents/_CodeSignature";

/// The names of `CodeDirectory::canonicalSlotName`, `codedirectory.cpp` of Apple, but for
/// CodeResources, which never stands in the code.
const NAMES: [&str; 12] = [
    "CodeDirectory",
    "CodeSignature",
    "CodeRequirements",
    "CodeRequirements-1",
    "CodeEntitlements",
    "CodeEntitlementDER",
    "CodeTopDirectory",
    "CodeRepSpecific",
    "LaunchConstraintSelf",
    "LaunchConstraintParent",
    "LaunchConstraintResponsible",
    "LibraryConstraint",
];

fn unsigned() -> SignedBundle {
    SignedBundle::full("Acme").executable(|_| MachO::bundle(Cpu::Arm64e).unsigned())
}

fn detach(root: &Path, name: &str) {
    put(root.join(FOLDER).join(name), b"\xfa\xde\x0c\x02");
}

#[test]
fn beside_unsigned_code_it_is_broken_and_never_plain_unsigned() {
    for name in NAMES {
        let verdict = judged(&unsigned(), |root| detach(root, name));
        verdict
            .broken(&[P::MainExecutable])
            .words(Sealed::Unsealed, &["Contents/MacOS/Acme"]);
    }
    let fat = unsigned().executable(|_| {
        let slice = |cpu| (cpu, MachO::bundle(cpu).unsigned());
        Fat::of(&[slice(Cpu::X86_64), slice(Cpu::Arm64e)]).build()
    });
    judged(&fat, |root| detach(root, "CodeDirectory")).broken(&[P::MainExecutable]);
    let script = unsigned().executable(|_| b"#!/bin/sh".to_vec());
    judged(&script, |root| detach(root, "CodeDirectory")).broken(&[P::MainExecutable]);
}

/// A Mac's disk does not tell letter case apart, and a link in the folder's place is followed there.
#[test]
fn in_any_letter_case_and_behind_a_link_it_is_broken_too() {
    for path in [
        "_codesignature/codedirectory",
        "_Code\u{17f}ignature/Code\u{17f}ignature",
        "_CODESIGNATURE/CodeSignature",
    ] {
        let verdict = judged(&unsigned(), |root| {
            put(root.join("Contents").join(path), b"\xfa\xde\x0c\x02");
        });
        verdict.broken(&[P::MainExecutable]);
    }
    let verdict = judged(&unsigned(), |root| {
        let at = root.join(FOLDER);
        std::fs::remove_dir_all(&at).unwrap();
        std::os::unix::fs::symlink("Resources", at).unwrap();
    });
    verdict.broken(&[P::MainExecutable]);
}

#[test]
fn other_files_make_no_signature() {
    for name in ["CodeResources", "Notes", "Directory"] {
        let verdict = judged(&unsigned(), |root| detach(root, name));
        verdict.expect(SignatureState::Unsigned, &[]);
    }
    // Signing ad hoc leaves it behind, empty.
    let verdict = judged(&unsigned(), |root| {
        put(root.join(FOLDER).join("CodeSignature"), b"");
    });
    verdict.expect(SignatureState::Unsigned, &[]);
}

/// Apple's verifier takes all parts from one place and none from the other.
#[test]
fn beside_signed_code_it_is_no_part_of_the_signature() {
    for name in NAMES {
        let verdict = judged(&SignedBundle::full("Acme"), |root| detach(root, name));
        verdict.broken(&[P::BundleLayout]);
    }
    let one_signed = SignedBundle::full("Acme").executable(|signature: &Signature| {
        Fat::of(&[
            (Cpu::X86_64, MachO::bundle(Cpu::X86_64).unsigned()),
            (Cpu::Arm64e, MachO::bundle(Cpu::Arm64e).signed(signature)),
        ])
        .build()
    });
    let verdict = judged(&one_signed, |root| detach(root, "CodeDirectory"));
    verdict.broken(&[P::BundleLayout]);
}
