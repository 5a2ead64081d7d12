//! How a test has a bundle judged, and says what it expects.

use std::fs;
use std::path::Path;

use dsplug::codesign::{BundleSignature, ProblemCode, Roots, SealLimits, Sealed, SignatureState};
use dsplug_fixtures::signed_bundle::SignedBundle;

use super::load::{Loaded, load};

/// A bundle written, tampered with on disk, and judged.
pub fn judged(bundle: &SignedBundle, tamper: impl FnOnce(&Path)) -> Verdict {
    judged_with(bundle, tamper, |_| {}, &SealLimits::default())
}

/// The same, with the evidence changed too.
pub fn judged_with(
    bundle: &SignedBundle,
    tamper: impl FnOnce(&Path),
    change: impl FnOnce(&mut Loaded),
    limits: &SealLimits,
) -> Verdict {
    judged_by(bundle, &Roots::apple(), tamper, change, limits)
}

/// The same, with other roots too.
pub fn judged_by(
    bundle: &SignedBundle,
    roots: &Roots,
    tamper: impl FnOnce(&Path),
    change: impl FnOnce(&mut Loaded),
    limits: &SealLimits,
) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let root = bundle.write(directory.path());
    tamper(&root);
    let mut loaded = load(
        &root,
        &bundle.executable_path(),
        &bundle.info_plist_path(),
        roots,
    );
    change(&mut loaded);
    Verdict {
        signature: loaded.judge(limits),
        paths: loaded.entries.into_iter().map(|e| e.path).collect(),
    }
}

/// A judgement, and the paths that it is about.
pub struct Verdict {
    pub signature: BundleSignature,
    pub paths: Vec<Vec<u8>>,
}

impl Verdict {
    /// The word for an entry.
    #[track_caller]
    pub fn word(&self, path: &str) -> Sealed {
        let index = self.paths.iter().position(|p| p == path.as_bytes());
        self.signature.sealed[index.unwrap_or_else(|| panic!("no entry {path}"))]
    }

    /// Expects the state, and that these problems and no others are named.
    #[track_caller]
    pub fn expect(&self, state: SignatureState, problems: &[ProblemCode]) -> &Self {
        let signature = &self.signature;
        let said: Vec<String> = signature.problems.iter().map(ToString::to_string).collect();
        let mut codes: Vec<_> = signature.problems.iter().map(|p| p.code).collect();
        codes.sort();
        codes.dedup();
        let mut expected = problems.to_vec();
        expected.sort();
        assert_eq!((signature.state, codes), (state, expected), "{said:#?}");
        assert_eq!(signature.sealed.len(), self.paths.len());
        for ((path, word), code) in self
            .paths
            .iter()
            .zip(&signature.sealed)
            .zip(&signature.code)
        {
            let path = String::from_utf8_lossy(path);
            assert!(code.is_none() || *word != Sealed::Excluded, "{path}");
        }
        if state != SignatureState::Signed {
            assert_eq!(signature.signer, "");
            assert!(signature.authority.is_empty());
            assert_eq!(signature.signing_time, None);
        }
        if !state.holds() {
            assert!(signature.cdhashes.is_empty());
            assert_eq!(signature.signing_identifier, "");
            assert_eq!(signature.team_identifier, "");
        }
        self
    }

    /// Expects an ad-hoc signature that holds.
    #[track_caller]
    pub fn holds(&self) -> &Self {
        self.expect(SignatureState::Adhoc, &[])
    }

    /// Expects a signature that is broken by these problems and no others.
    #[track_caller]
    pub fn broken(&self, problems: &[ProblemCode]) -> &Self {
        self.expect(SignatureState::Broken, problems)
    }

    /// Expects the word for each of the entries.
    #[track_caller]
    pub fn words(&self, word: Sealed, paths: &[&str]) -> &Self {
        for path in paths {
            assert_eq!(self.word(path), word, "{path}");
        }
        self
    }
}

/// Writes a file with its folders.
pub fn put(path: impl AsRef<Path>, content: &[u8]) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Makes a symlink, where something may stand already.
pub fn relink(path: impl AsRef<Path>, target: &str) {
    let path = path.as_ref();
    let _ = fs::remove_file(path);
    std::os::unix::fs::symlink(target, path).unwrap();
}
