//! A bundle that Apple signed: it holds, and each tampering takes its signer away.
//!
//! `tests/setup/fetch_real_files.py` fetches it. Signer, authority, team and cdhash are as in
//! `tests/suite/codesign/real.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use dsplug::codesign::{Anchor, ProblemCode as P, Roots, SealLimits, Sealed, SignatureState};
use dsplug_fixtures::skipped;

use super::check::{Verdict, put};
use super::load::load;

const FILES: [&str; 4] = [
    "XCUnit",
    "Info.plist",
    "version.plist",
    "_CodeSignature/CodeResources",
];

/// The bundle copied, tampered with, and judged; `None`, and said so, when it was not fetched.
fn judged(tamper: impl FnOnce(&Path)) -> Option<Verdict> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cache/XCUnit.framework");
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("XCUnit.framework");
    fs::create_dir_all(root.join("_CodeSignature")).unwrap();
    for file in FILES {
        if let Err(error) = fs::copy(from.join(file), root.join(file)) {
            skipped(format_args!(
                "{file}: {error}; run tests/setup/fetch_real_files.py"
            ));
            return None;
        }
    }
    tamper(&root);
    let loaded = load(&root, "XCUnit", "Info.plist", &Roots::apple());
    Some(Verdict {
        signature: loaded.judge(&SealLimits::default()),
        paths: loaded.entries.into_iter().map(|e| e.path).collect(),
    })
}

fn append(path: PathBuf) {
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(b'\n');
    fs::write(path, bytes).unwrap();
}

#[test]
fn it_holds() {
    let Some(verdict) = judged(|_| {}) else {
        return;
    };
    verdict.expect(SignatureState::Signed, &[]);
    let signature = &verdict.signature;
    assert_eq!(signature.signer, "Software Signing");
    assert_eq!(
        signature.authority,
        [
            "Software Signing",
            "Apple Code Signing Certification Authority",
            "Apple Root CA",
        ]
    );
    assert_eq!(signature.anchor, Anchor::Apple);
    // The code directory claims 59GAB85EFG; Apple's own leaf was issued to no team.
    assert_eq!(signature.team_identifier, "");
    assert_eq!(signature.signing_identifier, "com.apple.dt.XCUnit");
    let hex = |hash: [u8; 20]| hash.map(|b| format!("{b:02x}")).concat();
    // Each slice's, as `rcodesign print-signature-info` has them.
    let cdhashes: Vec<_> = signature.cdhashes.iter().copied().map(hex).collect();
    assert!(
        cdhashes.contains(&"499003b2a3bc6cc12b99093fdcc95cee1a11f071".into()),
        "{cdhashes:?}"
    );
    assert_eq!(signature.unsealed_files, 0);
    verdict.words(Sealed::Sealed, &FILES);
}

#[test]
fn each_tampering_takes_the_signer_away() {
    type Tamper = fn(&Path);
    let tamperings: [(Tamper, P); 8] = [
        (
            |root| append(root.join("version.plist")),
            P::ResourceModified,
        ),
        (
            |root| fs::remove_file(root.join("version.plist")).unwrap(),
            P::ResourceMissing,
        ),
        (|root| put(root.join("new"), b"x"), P::ResourceAdded),
        (|root| append(root.join("Info.plist")), P::InfoPlist),
        (
            |root| fs::remove_file(root.join("Info.plist")).unwrap(),
            P::InfoPlist,
        ),
        (
            |root| append(root.join("_CodeSignature/CodeResources")),
            P::ResourceDirectory,
        ),
        (
            |root| fs::remove_dir_all(root.join("_CodeSignature")).unwrap(),
            P::ResourceDirectory,
        ),
        (
            |root| {
                let mut code = fs::read(root.join("XCUnit")).unwrap();
                // In the load commands of the first slice, which begins at 0x4000.
                code[0x4100] ^= 1;
                fs::write(root.join("XCUnit"), code).unwrap();
            },
            P::PageHash,
        ),
    ];
    for (tamper, problem) in tamperings {
        let Some(verdict) = judged(tamper) else {
            return;
        };
        verdict.broken(&[problem]);
        assert_ne!(verdict.signature.anchor, Anchor::Apple);
    }
}
