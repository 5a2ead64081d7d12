//! A bundle that `rcodesign` signed: it holds, and each tampering is named.
//!
//! What it is and where the expected values come from: `tests/images/rcodesign/PROVENANCE.md`.

use std::fs;
use std::path::{Path, PathBuf};

use dsplug::codesign::{ProblemCode as P, Roots, SealLimits, Sealed, SignatureState};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signature::Signature;

use super::check::{Verdict, put, relink};
use super::load::load;

fn image() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/rcodesign/Acme.dsplug")
}

/// The bundle copied, tampered with, and judged.
fn judged(tamper: impl FnOnce(&Path)) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("Acme.dsplug");
    for entry in walkdir::WalkDir::new(image()) {
        let entry = entry.unwrap();
        let to = root.join(entry.path().strip_prefix(image()).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir(to).unwrap();
        } else if entry.file_type().is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), to).unwrap();
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
    tamper(&root);
    let roots = Roots::apple();
    let loaded = load(&root, "Contents/MacOS/Acme", "Contents/Info.plist", &roots);
    Verdict {
        signature: loaded.judge(&SealLimits::default()),
        paths: loaded.entries.into_iter().map(|e| e.path).collect(),
    }
}

fn append(path: PathBuf) {
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(b'\n');
    fs::write(path, bytes).unwrap();
}

fn flip(path: PathBuf, at: usize) {
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

const INNER: &str = "Contents/PlugIns/Inner.bundle/Contents";
const KIT: &str = "Contents/Frameworks/Kit.framework/Versions/A";
const LIBRARY: &str = "Contents/Frameworks/libhelp.dylib";

#[test]
fn it_holds() {
    let verdict = judged(|_| {});
    verdict.holds();
    let signature = &verdict.signature;
    assert_eq!(signature.signing_identifier, "com.example.Acme");
    assert_eq!(signature.unsealed_files, 0);
    let hex = |hash: [u8; 20]| hash.map(|b| format!("{b:02x}")).concat();
    let acme = "1a100721f5af2d9eccafc4ecc03e14c6eef7618c";
    assert_eq!(hex(signature.cdhashes[0]), acme);
    let inner = format!("{INNER}/MacOS/Inner");
    let kit = format!("{KIT}/Kit");
    for (path, cdhash) in [
        ("Contents/MacOS/Acme", acme),
        (&inner, "07fa2f6cf2c25b50789c6a455e012b3545423000"),
        (&kit, "7dce20480c1811473c2df36ed4217429cc2261a1"),
        (LIBRARY, "69cae5d43b96a3a307daae4ecad7ddd2e836a372"),
    ] {
        let index = verdict
            .paths
            .iter()
            .position(|p| p == path.as_bytes())
            .unwrap();
        let code = signature.code[index].as_ref().unwrap();
        assert_eq!(code.state, SignatureState::Adhoc, "{path}");
        assert_eq!(hex(code.cdhashes[0]), cdhash, "{path}");
        assert_eq!(signature.sealed[index], Sealed::Sealed, "{path}");
    }
    verdict.words(
        Sealed::Excluded,
        &["Contents/PkgInfo", "Contents/Resources/.DS_Store"],
    );
}

#[test]
fn each_tampering_is_named() {
    let resource = "Contents/Resources/schema.txt";
    judged(|root| append(root.join(resource))).broken(&[P::ResourceModified]);
    judged(|root| fs::remove_file(root.join(resource)).unwrap()).broken(&[P::ResourceMissing]);
    judged(|root| put(root.join("Contents/Resources/new"), b"x")).broken(&[P::ResourceAdded]);
    judged(|root| put(root.join("new"), b"x")).broken(&[P::BundleLayout]);
    judged(|root| put(root.join("Contents/_CodeSignature/new"), b"x")).broken(&[P::BundleLayout]);
    judged(|root| relink(root.join("Contents/Resources/latest.txt"), "../PkgInfo"))
        .broken(&[P::SymlinkAltered]);
    judged(|root| append(root.join("Contents/Info.plist"))).broken(&[P::InfoPlist]);
    judged(|root| append(root.join("Contents/_CodeSignature/CodeResources")))
        .broken(&[P::ResourceDirectory]);
    judged(|root| fs::remove_dir_all(root.join("Contents/_CodeSignature")).unwrap())
        .broken(&[P::ResourceDirectory]);
    judged(|root| flip(root.join("Contents/MacOS/Acme"), 0x4600)).broken(&[P::PageHash]);
    judged(|root| {
        let unsigned = MachO::bundle(Cpu::X86_64).unsigned();
        fs::write(root.join("Contents/MacOS/Acme"), unsigned).unwrap();
    })
    .expect(SignatureState::Unsigned, &[]);
    judged(|root| {
        let other = MachO::bundle(Cpu::X86_64).signed(&Signature::adhoc("com.example.Acme"));
        fs::write(root.join("Contents/MacOS/Acme"), other).unwrap();
    })
    .broken(&[P::InfoPlist, P::ResourceDirectory]);
}

#[test]
fn each_tampering_with_nested_code_is_named() {
    judged(|root| flip(root.join(LIBRARY), 0x600)).broken(&[P::NestedCode, P::PageHash]);
    judged(|root| {
        let other = MachO::dylib(Cpu::X86_64).signed(&Signature::adhoc("libhelp"));
        fs::write(root.join(LIBRARY), other).unwrap();
    })
    .broken(&[P::NestedCode]);
    judged(|root| append(root.join(INNER).join("Resources/inner.txt")))
        .broken(&[P::NestedCode, P::ResourceModified]);
    judged(|root| append(root.join(INNER).join("Info.plist")))
        .broken(&[P::NestedCode, P::InfoPlist]);
    judged(|root| append(root.join(KIT).join("Resources/kit.txt")))
        .broken(&[P::NestedCode, P::ResourceModified]);
    judged(|root| put(root.join(KIT).join("Resources/new"), b"x"))
        .broken(&[P::NestedCode, P::ResourceAdded]);
    judged(|root| {
        let versions = root.join(KIT).parent().unwrap().to_owned();
        fs::create_dir(versions.join("B")).unwrap();
        relink(versions.join("Current"), "B");
    })
    .broken(&[P::NestedCode]);
}
