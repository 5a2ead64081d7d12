//! Real files from package registries, which `tests/setup/fetch_real_files.py` fetches.
//!
//! Where the values come from: identifiers, teams, flags, names of certificates, the hashes in
//! attribute 9.2 and the timestamp's time as `rcodesign print-signature-info` (apple-codesign
//! 0.29.0) prints them; cdhashes as it prints them of the code directories, and as `sha256sum` or,
//! where SHA-1 is alone, `sha1sum` gives them of the code directory cut out of the file; and
//! `openssl cms -verify -binary -purpose any -no_check_time -ignore_critical` with the Apple root
//! accepts the CMS of each signed one over that code directory.

use std::fs;
use std::path::Path;

use dsplug::codesign::{Anchor, CodeFacts, CodeFlags, HashType, ProblemCode, SignatureState};
use dsplug_fixtures::skipped;

use super::check::{expect, facts};

/// The file's bytes; `None`, and said so, when it was not fetched.
pub fn real(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cache")
        .join(name);
    match fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            skipped(format_args!(
                "{name}: {error}; run tests/setup/fetch_real_files.py"
            ));
            None
        }
    }
}

fn hash_types(facts: &CodeFacts, slice: usize) -> Vec<HashType> {
    let directories = &facts.slices[slice].directories;
    directories.iter().map(|d| d.hash_type).collect()
}

/// The cdhash of each slice, in file order.
fn cdhashes(facts: &CodeFacts) -> Vec<String> {
    let slices = facts.slices.iter();
    slices
        .map(|slice| dsplug::text::hex(&slice.cdhash().unwrap()))
        .collect()
}

/// Expects that the file is broken, and nobody its signer, once a byte in the last page of the
/// slice is another.
#[track_caller]
fn expect_no_signer_when_altered(mut bytes: Vec<u8>, slice: usize) {
    let intact = facts(&bytes);
    let slice = &intact.slices[slice];
    let end = slice.offset + slice.directories[0].code_limit;
    bytes[usize::try_from(end).unwrap() - 1] ^= 1;
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Broken, &[ProblemCode::PageHash]);
    assert_eq!(facts.anchor(), Anchor::Untrusted);
}

#[test]
fn developer_id_in_each_of_three_slices_with_sha1_sha256_and_timestamp() {
    let Some(bytes) = real("steam-api") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!(facts.architectures(), "i386,x86_64,arm64");
    assert_eq!(
        facts.authority(),
        [
            "Developer ID Application: Valve Corporation (MXGJJ98X76)",
            "Developer ID Certification Authority",
            "Apple Root CA",
        ]
    );
    assert_eq!(facts.signer(), facts.authority()[0]);
    assert_eq!(facts.anchor(), Anchor::DeveloperId);
    assert_eq!(facts.team_identifier(), "MXGJJ98X76");
    assert_eq!(facts.identifier(), "com.valvesoftware.steam");
    assert_eq!(
        cdhashes(&facts),
        [
            "8cea7694a7e8cb807ce33a7086230e16e2aaa6c4",
            "e1cfaf604319d807e9de700096414540a3cd1f29",
            "f6de02fd0a27b1656e9ab6a9a1bf6335bf75d840",
        ]
    );
    // 2022-06-07T03:18:02Z
    assert_eq!(facts.signing_time(), Some(1_654_571_882));
    for slice in 0..3 {
        assert_eq!(
            hash_types(&facts, slice),
            [HashType::Sha1, HashType::Sha256]
        );
        assert_eq!(facts.slices[slice].flags(), CodeFlags::RUNTIME);
        expect_no_signer_when_altered(bytes.clone(), slice);
    }
}

#[test]
fn developer_id_with_sha1_alone() {
    let Some(bytes) = real("crashlytics-run") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!(facts.architectures(), "x86_64,i386");
    assert_eq!(
        facts.authority(),
        [
            "Developer ID Application: Crashlytics, Inc.",
            "Developer ID Certification Authority",
            "Apple Root CA",
        ]
    );
    assert_eq!(facts.anchor(), Anchor::DeveloperId);
    assert_eq!(facts.team_identifier(), "L8VKXC2S77");
    assert_eq!(facts.identifier(), "com.crashlytics.run");
    assert_eq!(
        cdhashes(&facts),
        [
            "3d3d2f36acd1f91f0c406f188fa1dc7bd8e970ff",
            "a2874f7bceb1376ae1230fc41afa0175e7a76662",
        ]
    );
    // 2015-05-26T17:30:30Z; the certificate expired in 2017
    assert_eq!(facts.signing_time(), Some(1_432_661_430));
    for slice in 0..2 {
        assert_eq!(hash_types(&facts, slice), [HashType::Sha1]);
        let notes = &facts.slices[slice].notes;
        assert!(notes.iter().any(|note| note.text.contains("SHA-1")));
        expect_no_signer_when_altered(bytes.clone(), slice);
    }
}

#[test]
fn developer_id_of_the_second_authority() {
    let Some(bytes) = real("dart-arm64") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!(
        facts.authority(),
        [
            "Developer ID Application: FLUTTER.IO LLC (S8QB4VV633)",
            "Developer ID Certification Authority",
            "Apple Root CA",
        ]
    );
    assert_eq!(facts.anchor(), Anchor::DeveloperId);
    assert_eq!(facts.team_identifier(), "S8QB4VV633");
    assert_eq!(facts.identifier(), "dartaotruntime");
    assert_eq!(facts.cdhash(), "823d9e268c7ae56f3c515fa063fa7a0241a99c5f");
    // 2025-03-11T12:56:40Z
    assert_eq!(facts.signing_time(), Some(1_741_697_800));
    assert_eq!(hash_types(&facts, 0), [HashType::Sha256]);
    expect_no_signer_when_altered(bytes, 0);
}

#[test]
fn signed_by_apple() {
    let Some(bytes) = real("XCUnit.framework/XCUnit") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!(facts.architectures(), "x86_64,arm64");
    assert_eq!(
        facts.authority(),
        [
            "Software Signing",
            "Apple Code Signing Certification Authority",
            "Apple Root CA",
        ]
    );
    assert_eq!(facts.anchor(), Anchor::Apple);
    // The certificate's unit is "Apple Software": only a developer's names the team.
    // The code directory claims it; Apple's own leaf was issued to no team.
    assert_eq!(facts.slices[0].team_identifier(), "59GAB85EFG");
    assert_eq!(facts.team_identifier(), "");
    assert_eq!(facts.identifier(), "com.apple.dt.XCUnit");
    assert_eq!(
        cdhashes(&facts),
        [
            "499003b2a3bc6cc12b99093fdcc95cee1a11f071",
            "d7c14fc128fc99c756923c15a5c2b0b47ce7e36d",
        ]
    );
    // Without a timestamp; leaf and intermediate expired on 2026-10-24.
    assert_eq!(facts.signing_time(), None);
    for slice in 0..2 {
        assert_eq!(hash_types(&facts, slice), [HashType::Sha256]);
        expect_no_signer_when_altered(bytes.clone(), slice);
    }
}

#[test]
fn signed_for_submission_to_the_store() {
    let Some(bytes) = real("msal-python") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!(
        facts.authority(),
        [
            "3rd Party Mac Developer Application: Microsoft Corporation (UBF8T346G9)",
            "Apple Worldwide Developer Relations Certification Authority",
            "Apple Root CA",
        ]
    );
    // The store signs anew what it distributes: this certificate is not its own.
    assert_eq!(facts.anchor(), Anchor::Untrusted);
    assert_eq!(facts.team_identifier(), "UBF8T346G9");
    assert_eq!(facts.identifier(), "pymsalruntime.cpython-311-darwin");
    assert_eq!(facts.cdhash(), "eff7fb1e6f9152746b4fbb4c54b0e6774525e42d");
    // 2026-10-23T09:29:07Z
    assert_eq!(facts.signing_time(), Some(1_792_747_747));
    expect_no_signer_when_altered(bytes, 0);
}

#[test]
fn unsigned_slices_beside_slices_signed_for_development() {
    let Some(bytes) = real("tns-widgets") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Unsigned, &[]);
    assert_eq!(facts.architectures(), "i386,x86_64,armv7,arm64");
    assert_eq!(facts.anchor(), Anchor::None);
    let cdhashes = [
        "632b250ed4f51c4d70b140082c4576c8837946e3",
        "6f8ad6ea5aa87fc8ea60391f71f3b691bf2c9c9b",
    ];
    for (slice, cdhash) in [2, 3].into_iter().zip(cdhashes) {
        assert_eq!(
            hash_types(&facts, slice),
            [HashType::Sha1, HashType::Sha256]
        );
        let slice = &facts.slices[slice];
        assert_eq!(slice.state(), SignatureState::Signed);
        assert_eq!(
            slice.authority,
            [
                "iPhone Developer: BuildUser NativeScript (6KCN5XZBJW)",
                "Apple Worldwide Developer Relations Certification Authority",
                "Apple Root CA",
            ]
        );
        assert_eq!(slice.anchor, Anchor::Untrusted);
        // The unit of the certificate, not what stands in its name.
        assert_eq!(slice.team_identifier(), "W7TGC3P93K");
        assert_eq!(dsplug::text::hex(&slice.cdhash().unwrap()), cdhash);
        assert_eq!(slice.signing_time, None);
    }
}

#[test]
fn signed_by_the_linker() {
    let Some(bytes) = real("rollup-arm64") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Adhoc, &[]);
    assert_eq!(facts.identifier(), "libbindings_napi.dylib");
    assert_eq!(facts.cdhash(), "00dcd108b3e348d41b8847f068995ed263ce9600");
    assert!(facts.slices[0].flags().contains(CodeFlags::LINKER_SIGNED));
}

#[test]
fn adhoc_with_entitlements_in_both_forms() {
    let Some(bytes) = real("ios-device-lib") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Adhoc, &[]);
    assert_eq!(facts.cdhash(), "61510cb1984367c1f09d158c5ee43f459eaa7d6a");
    let embedded = &facts.slices[0].embedded;
    assert!(embedded.entitlements.is_some() && embedded.entitlements_der.is_some());
}

#[test]
fn an_unsigned_slice_beside_an_adhoc_one() {
    let Some(bytes) = real("shiboken") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Unsigned, &[]);
    assert_eq!(facts.architectures(), "x86_64,arm64");
    assert_eq!(facts.slices[1].state(), SignatureState::Adhoc);
    let cdhash = facts.slices[1].cdhash().unwrap();
    assert_eq!(
        dsplug::text::hex(&cdhash),
        "2c1d1bf77ab36d91396cdece0d5d2c5ef7e1c930"
    );
}

#[test]
fn universal_and_adhoc() {
    let Some(bytes) = real("mssql-python") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Adhoc, &[]);
    assert_eq!(facts.identifier(), "ddbc_bindings.cp311-universal2");
    assert_eq!(facts.cdhash(), "142c79aff6665e3b0c15d3e97f298b12172bd24a");
    let cdhash = facts.slices[1].cdhash().unwrap();
    assert_eq!(
        dsplug::text::hex(&cdhash),
        "578b0fe87dcd6aab1cea9f54f1990768bb7294d3"
    );
}
