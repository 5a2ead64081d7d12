//! Real files from package registries, which `tests/setup/fetch_real_files.py` fetches.
//!
//! Where the values come from: identifiers, teams, flags, names of certificates, the hashes
//! in attribute 9.2 and the timestamp's time as `rcodesign print-signature-info` (apple-codesign 0.29.0)
//! prints them; cdhashes as `sha256sum` gives them of the code directory cut out of the file; and
//! `openssl cms -verify -binary -purpose any -no_check_time -ignore_critical` with the Apple root
//! accepts the CMS of each signed one over that code directory.

use std::fs;
use std::path::Path;

use dsplug::codesign::{Anchor, CodeFacts, CodeFlags, HashType, SignatureState};

use super::check::{expect, facts};

/// The file's bytes; `None`, and said so, when it was not fetched.
fn real(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cache")
        .join(name);
    match fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            println!("skipped: {name}: {error}; run tests/setup/fetch_real_files.py");
            None
        }
    }
}

fn hash_types(facts: &CodeFacts, slice: usize) -> Vec<HashType> {
    let directories = &facts.slices[slice].directories;
    directories.iter().map(|d| d.hash_type).collect()
}

#[test]
fn developer_id_with_sha1_sha256_and_timestamp() {
    let Some(mut bytes) = real("ngrok-arm64") else {
        return;
    };
    let facts = facts(&bytes);
    expect(&facts, SignatureState::Signed, &[]);
    assert_eq!(
        facts.signer(),
        "Developer ID Application: ngrok LLC (TEX8MHRDQ9)"
    );
    assert_eq!(
        facts.authority(),
        [
            "Developer ID Application: ngrok LLC (TEX8MHRDQ9)",
            "Developer ID Certification Authority",
            "Apple Root CA",
        ]
    );
    assert_eq!(facts.anchor(), Anchor::DeveloperId);
    assert_eq!(facts.team_identifier(), "TEX8MHRDQ9");
    assert_eq!(facts.identifier(), "darwin_arm64");
    assert_eq!(facts.cdhash(), "c06d0b06676e52f6797f978db32ed2867b033c87");
    // 2023-02-10T17:03:37Z
    assert_eq!(facts.signing_time(), Some(1_676_048_617));
    assert_eq!(hash_types(&facts, 0), [HashType::Sha1, HashType::Sha256]);
    assert_eq!(facts.slices[0].flags(), CodeFlags::RUNTIME);
    let last_page = usize::try_from(facts.slices[0].directories[0].code_limit).unwrap() - 1;
    bytes[last_page] ^= 1;
    let facts = super::check::facts(&bytes);
    expect(
        &facts,
        SignatureState::Broken,
        &[dsplug::codesign::ProblemCode::PageHash],
    );
    assert_eq!(facts.anchor(), Anchor::Untrusted);
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
        dsplug::codesign::facts::hex(&cdhash),
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
        dsplug::codesign::facts::hex(&cdhash),
        "578b0fe87dcd6aab1cea9f54f1990768bb7294d3"
    );
}
