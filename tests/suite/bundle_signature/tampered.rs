//! One change to a good bundle at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use dsplug::codesign::{Anchor, ProblemCode as P, SealLimits, Sealed, SignatureState};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::seal::dictionary;
use dsplug_fixtures::signature::{SHA1, SHA256, SHA256_TRUNCATED, SHA384, Signature};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle, cdhash};
use plist::Value;

use super::check::{judged, judged_with, put, relink};

fn full() -> SignedBundle {
    SignedBundle::full("Acme")
}

#[test]
fn a_bundle_with_one_of_everything_holds() {
    let verdict = judged(&full(), |_| {});
    verdict.holds();
    verdict.words(
        Sealed::Sealed,
        &[
            "Contents/Info.plist",
            "Contents/MacOS/Acme",
            "Contents/_CodeSignature/CodeResources",
            "Contents/version.plist",
            "Contents/Resources/schema.txt",
            "Contents/Resources/latest.txt",
            "Contents/Resources/de.lproj/main.strings",
            "Contents/Frameworks/libhelp.dylib",
            "Contents/PlugIns/Inner.bundle/Contents/MacOS/Inner",
            "Contents/PlugIns/Inner.bundle/Contents/Resources/inner.txt",
            "Contents/Frameworks/Kit.framework/Versions/A/Kit",
            "Contents/Frameworks/Kit.framework/Versions/A/Resources/Info.plist",
        ],
    );
    verdict.words(
        Sealed::Excluded,
        &[
            "Contents",
            "Contents/PkgInfo",
            "Contents/Resources/.DS_Store",
            "Contents/Resources/de.lproj/locversion.plist",
            "Contents/Frameworks/Kit.framework/Kit",
            "Contents/Frameworks/Kit.framework/Versions/Current",
        ],
    );
    let signature = &verdict.signature;
    assert_eq!(signature.unsealed_files, 0);
    assert_eq!(signature.signing_identifier, "test.Acme");
    assert_eq!(signature.anchor, Anchor::None);
    let codes: Vec<_> = signature.code.iter().flatten().map(|c| c.state).collect();
    assert_eq!(codes, [SignatureState::Adhoc; 4]);
}

#[test]
fn flat_and_versioned_bundles_hold() {
    let flat = SignedBundle::new("Flat", Form::Flat).file("notes.txt", b"x");
    judged(&flat, |_| {})
        .holds()
        .words(Sealed::Sealed, &["Flat", "Info.plist", "notes.txt"]);
    let versioned = SignedBundle::new("Kit", Form::Versioned).file("Resources/a", b"x");
    judged(&versioned, |_| {})
        .holds()
        .words(
            Sealed::Sealed,
            &["Versions/A/Kit", "Versions/A/Resources/a"],
        )
        .words(Sealed::Excluded, &["Kit", "Resources", "Versions/Current"]);
}

#[test]
fn what_apple_allows_at_the_root_does_no_harm() {
    judged(&full(), |root| {
        for name in [
            ".DS_Store",
            "Icon\r",
            ".LSOverride",
            ".SoftwareDepot.tracking",
        ] {
            put(root.join(name), b"x");
        }
    })
    .holds()
    .words(Sealed::Excluded, &[".DS_Store", "Icon\r"]);
}

#[test]
fn what_may_be_missing_may_be_missing() {
    judged(&full(), |root| {
        fs::remove_dir_all(root.join("Contents/Resources/de.lproj")).unwrap();
        fs::remove_file(root.join("Contents/PkgInfo")).unwrap();
    })
    .holds();
}

#[test]
fn the_link_of_old_and_the_receipt_do_no_harm() {
    judged(&full(), |root| {
        relink(
            root.join("Contents/CodeResources"),
            "_CodeSignature/CodeResources",
        );
        put(root.join("Contents/_MASReceipt/receipt"), b"x");
    })
    .holds()
    .words(
        Sealed::Excluded,
        &["Contents/CodeResources", "Contents/_MASReceipt/receipt"],
    );
}

#[test]
fn an_empty_code_signature_file_does_no_harm() {
    judged(&full(), |root| {
        put(root.join("Contents/_CodeSignature/CodeSignature"), b"")
    })
    .holds();
}

#[test]
fn an_unsigned_bundle_seals_nothing() {
    let bundle = SignedBundle::new("Bare", Form::Deep)
        .file("Resources/a", b"x")
        .executable(|_| MachO::bundle(Cpu::Arm64e).unsigned());
    let verdict = judged(&bundle, |_| {});
    verdict.expect(SignatureState::Unsigned, &[]).words(
        Sealed::Unsealed,
        &["Contents/Resources/a", "Contents/MacOS/Bare"],
    );
    // Info.plist, the executable, the seal, and the resource.
    assert_eq!(verdict.signature.unsealed_files, 4);
    assert_eq!(verdict.signature.notes.len(), 1);
}

#[test]
fn a_script_is_unsigned() {
    let bundle = SignedBundle::new("Script", Form::Deep).executable(|_| b"#!/bin/sh\n".to_vec());
    judged(&bundle, |_| {}).expect(SignatureState::Unsigned, &[]);
}

#[test]
fn a_signature_in_files_of_its_own_is_not_accepted() {
    let bundle = SignedBundle::new("Script", Form::Deep).executable(|_| b"#!/bin/sh\n".to_vec());
    judged(&bundle, |root| {
        put(root.join("Contents/_CodeSignature/CodeDirectory"), b"x")
    })
    .broken(&[P::MainExecutable]);
}

#[test]
fn a_missing_or_irregular_executable_breaks_the_seal() {
    judged(&full(), |root| {
        fs::remove_file(root.join("Contents/MacOS/Acme")).unwrap()
    })
    .broken(&[P::MainExecutable]);
    judged(&full(), |root| {
        fs::rename(
            root.join("Contents/MacOS/Acme"),
            root.join("Contents/MacOS/Other"),
        )
        .unwrap();
        relink(root.join("Contents/MacOS/Acme"), "Other");
    })
    .broken(&[P::MainExecutable]);
}

#[test]
fn a_changed_executable_is_named() {
    judged(&full(), |root| {
        let path = root.join("Contents/MacOS/Acme");
        let mut bytes = fs::read(&path).unwrap();
        bytes[2000] ^= 1;
        fs::write(path, bytes).unwrap();
    })
    .broken(&[P::PageHash])
    .words(Sealed::Altered, &["Contents/MacOS/Acme"]);
}

#[test]
fn a_changed_info_plist_is_named() {
    let change = |root: &std::path::Path| {
        let path = root.join("Contents/Info.plist");
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(b'\n');
        fs::write(path, bytes).unwrap();
    };
    judged(&full(), change)
        .broken(&[P::InfoPlist])
        .words(Sealed::Altered, &["Contents/Info.plist"]);
}

#[test]
fn a_missing_info_plist_is_named() {
    judged(&full(), |root| {
        fs::remove_file(root.join("Contents/Info.plist")).unwrap()
    })
    .broken(&[P::InfoPlist]);
    judged(&full(), |root| {
        fs::rename(
            root.join("Contents/Info.plist"),
            root.join("Contents/Resources/.DS_Store"),
        )
        .unwrap();
        relink(root.join("Contents/Info.plist"), "Resources/.DS_Store");
    })
    .broken(&[P::InfoPlist]);
}

#[test]
fn an_info_plist_that_is_not_bound_is_named() {
    let bundle = full().edit_signature(|mut s| {
        s.info_plist = None;
        s
    });
    judged(&bundle, |_| {})
        .broken(&[P::InfoPlist])
        .words(Sealed::Unsealed, &["Contents/Info.plist"]);
}

#[test]
fn an_info_plist_bound_by_one_directory_alone_is_named() {
    let bundle = full().by_sha1_too().edit_signature(|s| {
        s.hash_types(&[SHA1, SHA256])
            .edit_directory(|i, directory| {
                // Slot −1 stands right before the page hashes.
                if i == 0 {
                    let hashes = usize::from(directory[18]) << 8 | usize::from(directory[19]);
                    directory[hashes - 20..hashes].fill(0);
                }
            })
    });
    judged(&bundle, |_| {}).broken(&[P::InfoPlist]);
}

#[test]
fn an_executable_name_that_is_a_path_is_named() {
    let info = b"<plist version=\"1.0\"><dict><key>CFBundleExecutable</key><string>../MacOS/Acme</string></dict></plist>";
    let bundle = full().edit_signature(|s| s.info_plist(info));
    judged(&bundle, |root| {
        fs::write(root.join("Contents/Info.plist"), info).unwrap()
    })
    .broken(&[P::MainExecutable]);
}

#[test]
fn a_changed_seal_is_named_and_seals_nothing() {
    judged(&full(), |root| {
        let path = root.join("Contents/_CodeSignature/CodeResources");
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(b'\n');
        fs::write(path, bytes).unwrap();
    })
    .broken(&[P::ResourceDirectory])
    .words(Sealed::Altered, &["Contents/_CodeSignature/CodeResources"])
    .words(Sealed::Unknown, &["Contents/Resources/schema.txt"]);
}

#[test]
fn a_missing_seal_is_named() {
    judged(&full(), |root| {
        fs::remove_dir_all(root.join("Contents/_CodeSignature")).unwrap()
    })
    .broken(&[P::ResourceDirectory])
    .words(Sealed::Unknown, &["Contents/Resources/schema.txt"]);
    let linker_signed = full().edit_signature(|mut s| {
        s.resources = None;
        s
    });
    judged(&linker_signed, |root| {
        fs::remove_dir_all(root.join("Contents/_CodeSignature")).unwrap();
    })
    .broken(&[P::ResourceDirectory]);
    judged(&linker_signed, |_| {})
        .broken(&[P::ResourceDirectory])
        .words(Sealed::Unsealed, &["Contents/_CodeSignature/CodeResources"]);
}

#[test]
fn a_seal_that_is_no_regular_file_is_named() {
    judged(&full(), |root| {
        let seal = root.join("Contents/_CodeSignature/CodeResources");
        fs::rename(&seal, root.join("Contents/Resources/.DS_Store")).unwrap();
        relink(seal, "../Resources/.DS_Store");
    })
    .broken(&[P::ResourceDirectory, P::BundleLayout]);
    judged(&full(), |root| {
        let folder = root.join("Contents/_CodeSignature");
        fs::rename(&folder, root.join("Contents/Resources/de.lproj/x")).unwrap();
        relink(folder, "Resources/de.lproj/x");
    })
    .broken(&[P::ResourceDirectory, P::BundleLayout]);
}

#[test]
fn guests_in_the_signature_folder_are_named() {
    for name in [
        "CodeDirectory",
        "payload",
        "coderesources",
        "CodeSignature",
        "sub/x",
    ] {
        judged(&full(), |root| {
            put(root.join("Contents/_CodeSignature").join(name), b"x")
        })
        .broken(&[P::BundleLayout])
        .words(
            Sealed::Unsealed,
            &[&format!("Contents/_CodeSignature/{name}")],
        );
    }
    judged(&full(), |root| {
        put(root.join("Contents/_CodeSignature/._CodeResources"), b"x")
    })
    .broken(&[P::AppleDouble]);
}

#[test]
fn guests_at_the_root_are_named() {
    judged(&full(), |root| put(root.join("payload"), b"x"))
        .broken(&[P::BundleLayout])
        .words(Sealed::Unsealed, &["payload"]);
    judged(&full(), |root| put(root.join("Extra/payload"), b"x"))
        .broken(&[P::BundleLayout])
        .words(Sealed::Unsealed, &["Extra/payload"]);
    judged(&full(), |root| {
        relink(root.join("Resources"), "Contents/Resources")
    })
    .broken(&[P::BundleLayout]);
    judged(&full(), |root| {
        let path = root.join(".DS_Store");
        put(&path, b"x");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    })
    .broken(&[P::BundleLayout]);
    judged(&full(), |root| put(root.join("._Contents"), b"x")).broken(&[P::AppleDouble]);
}

#[test]
fn guests_beside_the_versions_are_named() {
    let bundle = || SignedBundle::new("Kit", Form::Versioned).file("Resources/a", b"x");
    judged(&bundle(), |root| put(root.join("payload"), b"x")).broken(&[P::BundleLayout]);
    judged(&bundle(), |root| {
        relink(root.join("Resources"), "Versions/A/Other")
    })
    .broken(&[P::BundleLayout]);
    judged(&bundle(), |root| relink(root.join("Versions/Other"), "A")).broken(&[P::BundleLayout]);
    judged(&bundle(), |root| put(root.join("Versions/B/payload"), b"x")).broken(&[P::NestedCode]);
}

#[test]
fn a_changed_resource_is_named() {
    judged(&full(), |root| {
        put(root.join("Contents/Resources/schema.txt"), b"two schema")
    })
    .broken(&[P::ResourceModified])
    .words(Sealed::Altered, &["Contents/Resources/schema.txt"])
    .words(Sealed::Sealed, &["Contents/Resources/sub/deep.txt"]);
    // What may be missing may not be another.
    judged(&full(), |root| {
        put(root.join("Contents/Resources/de.lproj/main.strings"), b"x")
    })
    .broken(&[P::ResourceModified]);
}

#[test]
fn an_added_file_is_named() {
    for name in [
        "Resources/new",
        "new",
        "MacOS/new",
        "Resources/en.lproj/new",
        "Helpers/new",
    ] {
        let path = format!("Contents/{name}");
        let verdict = judged(&full(), |root| put(root.join(&path), b"x"));
        verdict
            .broken(&[P::ResourceAdded])
            .words(Sealed::Unsealed, &[&path]);
        assert_eq!(verdict.signature.unsealed_files, 1);
    }
}

#[test]
fn added_code_is_named() {
    let code = MachO::dylib(Cpu::Arm64e).signed(&Signature::adhoc("evil"));
    judged(&full(), |root| put(root.join("Contents/MacOS/evil"), &code))
        .broken(&[P::ResourceAdded, P::UnsealedCode]);
    let bundle = SignedBundle::new("Evil", Form::Deep);
    judged(&full(), |root| {
        let path = bundle.write(root.join("Contents/PlugIns"));
        fs::rename(path, root.join("Contents/PlugIns/Evil.bundle")).unwrap();
    })
    .broken(&[P::ResourceAdded])
    .words(
        Sealed::Unsealed,
        &["Contents/PlugIns/Evil.bundle/Contents/MacOS/Evil"],
    );
}

#[test]
fn an_added_symlink_is_named() {
    judged(&full(), |root| {
        relink(root.join("Contents/Resources/new"), "schema.txt")
    })
    .broken(&[P::ResourceAdded])
    .words(Sealed::Unsealed, &["Contents/Resources/new"]);
    judged(&full(), |root| {
        fs::create_dir(root.join("Contents/Resources/x")).unwrap();
        relink(root.join("Contents/Resources/x/.DS_Store"), "/tmp");
    })
    .broken(&[P::ResourceAdded]);
}

#[test]
fn an_apple_double_file_is_named() {
    judged(&full(), |root| {
        put(root.join("Contents/Resources/._schema.txt"), b"x")
    })
    .broken(&[P::ResourceAdded, P::AppleDouble]);
}

#[test]
fn a_fifo_is_named() {
    judged(&full(), |root| {
        dsplug_fixtures::fifo(root.join("Contents/Resources/fifo"))
    })
    .broken(&[P::ResourceAdded]);
}

#[test]
fn a_missing_resource_is_named() {
    for name in ["schema.txt", "latest.txt", "Base.lproj/main.strings"] {
        judged(&full(), |root| {
            fs::remove_file(root.join("Contents/Resources").join(name)).unwrap()
        })
        .broken(&[P::ResourceMissing]);
    }
    judged(&full(), |root| {
        fs::remove_file(root.join("Contents/Frameworks/libhelp.dylib")).unwrap()
    })
    .broken(&[P::ResourceMissing]);
    judged(&full(), |root| {
        fs::remove_dir_all(root.join("Contents/PlugIns")).unwrap()
    })
    .broken(&[P::ResourceMissing]);
}

#[test]
fn what_stands_where_no_seal_covers_is_named() {
    judged(&full(), |root| {
        put(root.join("Contents/CodeResources/payload"), b"x")
    })
    .broken(&[P::ResourceAdded])
    .words(Sealed::Unsealed, &["Contents/CodeResources/payload"]);
    judged(&full(), |root| {
        relink(root.join("Contents/CodeResources"), "/tmp")
    })
    .broken(&[P::ResourceAdded]);
    judged(&full(), |root| {
        put(root.join("Contents/_MASReceipt/payload"), b"x")
    })
    .broken(&[P::ResourceAdded]);
}

#[test]
fn a_symlink_that_was_changed_is_named() {
    judged(&full(), |root| {
        relink(root.join("Contents/Resources/latest.txt"), "schema.txt")
    })
    .broken(&[P::SymlinkAltered])
    .words(Sealed::Altered, &["Contents/Resources/latest.txt"]);
    // The same file by another text.
    judged(&full(), |root| {
        relink(root.join("Contents/Resources/latest.txt"), "./sub/deep.txt")
    })
    .broken(&[P::SymlinkAltered]);
}

#[test]
fn one_kind_in_the_place_of_another_is_named() {
    let latest = "Contents/Resources/latest.txt";
    judged(&full(), |root| {
        fs::remove_file(root.join(latest)).unwrap();
        put(root.join(latest), b"deep");
    })
    .broken(&[P::SymlinkAltered]);
    judged(&full(), |root| {
        fs::remove_file(root.join(latest)).unwrap();
        fs::create_dir(root.join(latest)).unwrap();
    })
    .broken(&[P::SymlinkAltered]);
    // A link to the very content is no file.
    judged(&full(), |root| {
        let from = root.join("Contents/Resources/schema.txt");
        fs::rename(&from, root.join("Contents/Resources/.DS_Store")).unwrap();
        relink(from, ".DS_Store");
    })
    .broken(&[P::ResourceModified]);
    judged(&full(), |root| {
        let path = root.join("Contents/Resources/schema.txt");
        fs::remove_file(&path).unwrap();
        fs::create_dir(path).unwrap();
    })
    .broken(&[P::ResourceModified]);
    judged(&full(), |root| {
        let path = root.join("Contents/Frameworks/libhelp.dylib");
        fs::rename(&path, root.join("Contents/Resources/.DS_Store")).unwrap();
        relink(path, "../Resources/.DS_Store");
    })
    .broken(&[P::NestedCode, P::UnsealedCode]);
    judged(&full(), |root| {
        let path = root.join("Contents/PlugIns/Inner.bundle");
        fs::rename(&path, root.join("Contents/Resources/de.lproj/x")).unwrap();
        relink(path, "../Resources/de.lproj/x");
    })
    .broken(&[P::NestedCode, P::ResourceAdded, P::UnsealedCode]);
}

#[test]
fn a_symlink_that_leads_out_of_what_is_sealed_is_said() {
    // Source: `SecStaticCode::validateSymlinkResource` of Apple, which refuses it only when asked.
    let notes = |target| {
        let verdict = judged(&full().link("Resources/new", target), |_| {});
        verdict.holds();
        verdict.signature.notes.len()
    };
    for target in [
        "schema.txt",
        "./sub/../schema.txt",
        "sub",
        "latest.txt",
        "../MacOS/Acme",
        "../Frameworks/Kit.framework/Kit",
    ] {
        assert_eq!(notes(target), 0, "{target}");
    }
    for target in [
        "nothing",
        "new",
        "../..",
        "../../../etc",
        "../../../../../../etc/passwd",
        "/etc/passwd",
        "/Library/Frameworks",
    ] {
        assert_eq!(notes(target), 1, "{target}");
    }
}

#[test]
fn changed_nested_code_is_named() {
    judged(&full(), |root| {
        let path = root.join("Contents/Frameworks/libhelp.dylib");
        let mut bytes = fs::read(&path).unwrap();
        bytes[2000] ^= 1;
        fs::write(path, bytes).unwrap();
    })
    .broken(&[P::NestedCode, P::PageHash])
    .words(Sealed::Altered, &["Contents/Frameworks/libhelp.dylib"]);
}

#[test]
fn other_nested_code_that_holds_is_named() {
    let other = MachO::dylib(Cpu::Arm64e)
        .code_len(3001)
        .signed(&Signature::adhoc("test.nested"));
    judged(&full(), |root| {
        put(root.join("Contents/Frameworks/libhelp.dylib"), &other)
    })
    .broken(&[P::NestedCode]);
    let inner = SignedBundle::new("Inner", Form::Deep).file("Resources/inner.txt", b"another");
    judged(&full(), |root| {
        let place = root.join("Contents/PlugIns");
        fs::remove_dir_all(place.join("Inner.bundle")).unwrap();
        fs::rename(inner.write(&place), place.join("Inner.bundle")).unwrap();
    })
    .broken(&[P::NestedCode]);
}

#[test]
fn unsigned_nested_code_is_named() {
    let unsigned = MachO::dylib(Cpu::Arm64e).code_len(3000).unsigned();
    judged(&full(), |root| {
        put(root.join("Contents/Frameworks/libhelp.dylib"), &unsigned)
    })
    .broken(&[P::NestedCode]);
    judged(&full(), |root| {
        put(root.join("Contents/Frameworks/libhelp.dylib"), b"no code")
    })
    .broken(&[P::NestedCode]);
    judged(&full(), |root| {
        put(
            root.join("Contents/PlugIns/Inner.bundle/Contents/MacOS/Inner"),
            &unsigned,
        )
    })
    .broken(&[P::NestedCode]);
}

#[test]
fn a_change_inside_a_nested_bundle_is_named() {
    let inner = "Contents/PlugIns/Inner.bundle";
    judged(&full(), |root| {
        put(root.join(inner).join("Contents/Resources/inner.txt"), b"x")
    })
    .broken(&[P::NestedCode, P::ResourceModified])
    .words(
        Sealed::Altered,
        &[&format!("{inner}/Contents/Resources/inner.txt")],
    );
    judged(&full(), |root| {
        put(root.join(inner).join("Contents/Resources/new"), b"x")
    })
    .broken(&[P::NestedCode, P::ResourceAdded]);
    judged(&full(), |root| put(root.join(inner).join("payload"), b"x"))
        .broken(&[P::NestedCode, P::BundleLayout]);
    judged(&full(), |root| {
        put(root.join(inner).join("Contents/Info.plist"), b"x")
    })
    .broken(&[P::NestedCode, P::InfoPlist]);
    let kit = "Contents/Frameworks/Kit.framework";
    judged(&full(), |root| {
        put(root.join(kit).join("Versions/A/Resources/kit.txt"), b"x")
    })
    .broken(&[P::NestedCode, P::ResourceModified]);
    judged(&full(), |root| {
        put(root.join(kit).join("Versions/B/Kit"), b"x")
    })
    .broken(&[P::NestedCode]);
    judged(&full(), |root| put(root.join(kit).join("payload"), b"x"))
        .broken(&[P::NestedCode, P::BundleLayout]);
}

#[test]
fn a_slice_of_nested_code_that_the_seal_does_not_pin_is_named() {
    let good = MachO::dylib(Cpu::Arm64e)
        .code_len(3000)
        .signed(&Signature::adhoc("test.nested"));
    let evil = MachO::dylib(Cpu::X86_64)
        .code_len(3000)
        .signed(&Signature::adhoc("test.nested"));
    let both = Fat::of(&[(Cpu::Arm64e, good.clone()), (Cpu::X86_64, evil.clone())]).build();
    let path = "Frameworks/libfat.dylib";
    let bundle = SignedBundle::new("Fat", Form::Deep).code_bytes(path, both.clone(), cdhash(&good));
    judged(&bundle, |_| {}).broken(&[P::NestedCode]);
    // Pinned by the requirement, as codesign does for universal ad-hoc code.
    let hex = |hash: [u8; 20]| hash.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let requirement = format!(
        "cdhash H\"{}\" or cdhash H\"{}\"",
        hex(cdhash(&good)),
        hex(cdhash(&evil))
    );
    let pinned = bundle.edit_seal(move |seal| {
        let files = seal.get_mut("files2").unwrap().as_dictionary_mut().unwrap();
        let entry = files.get_mut(path).unwrap().as_dictionary_mut().unwrap();
        entry.insert("requirement".into(), requirement.clone().into());
    });
    judged(&pinned, |_| {}).holds();
}

#[test]
fn nested_code_that_the_seal_does_not_pin_at_all_is_named() {
    let bundle = full().edit_seal(|seal| {
        let files = seal.get_mut("files2").unwrap().as_dictionary_mut().unwrap();
        let entry = files.get_mut("Frameworks/libhelp.dylib").unwrap();
        *entry = dictionary([("requirement", "anchor apple".into())]);
    });
    judged(&bundle, |_| {}).broken(&[P::NestedCode]);
}

#[test]
fn forbidden_attributes_are_named() {
    for path in [
        "Contents/Resources/schema.txt",
        "Contents/MacOS/Acme",
        "Contents/Frameworks/libhelp.dylib",
        "Contents/PlugIns/Inner.bundle",
    ] {
        let limits = SealLimits::default();
        let inner = path.ends_with(".bundle");
        let codes: &[P] = if inner {
            &[P::ExtendedAttribute, P::NestedCode]
        } else {
            &[P::ExtendedAttribute]
        };
        judged_with(
            &full(),
            |_| {},
            |l| l.at(path).resource_fork = true,
            &limits,
        )
        .broken(codes);
        judged_with(&full(), |_| {}, |l| l.at(path).finder_info = true, &limits).broken(codes);
    }
    judged_with(
        &full(),
        |_| {},
        |l| l.finder_info = true,
        &SealLimits::default(),
    )
    .broken(&[P::ExtendedAttribute]);
}

#[test]
fn what_could_not_be_read_is_said() {
    let limits = SealLimits::default();
    for path in [
        "Contents/Resources/schema.txt",
        "Contents/Resources/latest.txt",
        "Contents/Info.plist",
    ] {
        judged_with(&full(), |_| {}, |l| l.at(path).readable = false, &limits)
            .expect(SignatureState::Unreadable, &[P::Unreadable])
            .words(Sealed::Unknown, &[path]);
    }
    judged_with(
        &full(),
        |_| {},
        |l| l.at("Contents/_CodeSignature/CodeResources").readable = false,
        &limits,
    )
    .expect(SignatureState::Unreadable, &[P::Unreadable]);
    judged_with(&full(), |_| {}, |l| l.complete = false, &limits)
        .expect(SignatureState::Unreadable, &[P::Unreadable]);
    judged_with(
        &full(),
        |root| fs::remove_file(root.join("Contents/Resources/schema.txt")).unwrap(),
        |l| l.complete = false,
        &limits,
    )
    .expect(
        SignatureState::Unreadable,
        &[P::Unreadable, P::ResourceMissing],
    );
}

#[test]
fn limits_are_said() {
    let standard = SealLimits::default();
    let limits = SealLimits {
        depth: 0,
        ..standard
    };
    judged_with(&full(), |_| {}, |_| {}, &limits)
        .expect(SignatureState::Unreadable, &[P::Limit, P::NestedCode]);
    let limits = SealLimits {
        matched_bytes: 50,
        ..standard
    };
    judged_with(&full(), |_| {}, |_| {}, &limits).expect(SignatureState::Unreadable, &[P::Limit]);
    let limits = SealLimits {
        seal_bytes: 50,
        ..standard
    };
    judged_with(&full(), |_| {}, |_| {}, &limits).expect(SignatureState::Unreadable, &[P::Limit]);
    let limits = SealLimits {
        rules: 3,
        ..standard
    };
    judged_with(&full(), |_| {}, |_| {}, &limits).broken(&[P::SealRules]);
}

/// A bundle whose seal's rules have one more.
fn with_rule(pattern: &str, rule: Value) -> SignedBundle {
    let pattern = pattern.to_owned();
    full().edit_seal(move |seal| {
        let rules = seal.get_mut("rules2").unwrap().as_dictionary_mut().unwrap();
        rules.insert(pattern.clone(), rule.clone());
    })
}

#[test]
fn weak_rules_are_named() {
    let omit = || dictionary([("omit", true.into()), ("weight", 3000.into())]);
    judged(&with_rule("^Resources/none$", omit()), |_| {}).broken(&[P::SealRules]);
    judged(&with_rule("^Resources/none$", false.into()), |_| {}).broken(&[P::SealRules]);
    judged(
        &with_rule("^.*", dictionary([("weight", 1.into())])),
        |_| {},
    )
    .broken(&[P::SealRules]);
    judged(
        &with_rule("^.*", dictionary([("optional", true.into())])),
        |_| {},
    )
    .broken(&[P::SealRules]);
    let without = full().edit_seal(|seal| {
        seal.get_mut("rules2")
            .unwrap()
            .as_dictionary_mut()
            .unwrap()
            .remove("^.*");
    });
    judged(&without, |_| {}).broken(&[P::SealRules]);
    // A payload that a rule of its own hides.
    judged(&with_rule("^Resources/new$", omit()), |root| {
        put(root.join("Contents/Resources/new"), b"x")
    })
    .broken(&[P::SealRules])
    .words(Sealed::Excluded, &["Contents/Resources/new"]);
}

#[test]
fn rules_that_cannot_be_evaluated_are_named() {
    for pattern in ["(", "a**", "(?i)x", "((((.{255}){255}){255}){255})", "\\d"] {
        judged(&with_rule(pattern, true.into()), |_| {}).broken(&[P::SealRules]);
    }
    judged(&with_rule("^x", 5.into()), |_| {}).broken(&[P::SealRules]);
}

#[test]
fn version_1_alone_is_too_weak_and_still_compared() {
    let old = || {
        SignedBundle::new("Old", Form::Deep)
            .file("Resources/a", b"a")
            .edit_seal(|seal| {
                seal.remove("files2");
                seal.remove("rules2");
            })
            .edit_signature(|s| s.hash_types(&[SHA1]))
    };
    judged(&old(), |_| {})
        .broken(&[P::WeakSeal])
        .words(Sealed::Sealed, &["Contents/Resources/a"]);
    judged(&old(), |root| put(root.join("Contents/Resources/a"), b"b"))
        .broken(&[P::WeakSeal, P::ResourceModified]);
    judged(&old(), |root| {
        put(root.join("Contents/Resources/new"), b"b")
    })
    .broken(&[P::WeakSeal, P::ResourceAdded]);
    // It does not see what stands beside the resources, nor symlinks.
    judged(&old(), |root| {
        put(root.join("Contents/MacOS/new"), b"b");
        relink(root.join("Contents/Resources/link"), "a");
    })
    .broken(&[P::WeakSeal])
    .words(
        Sealed::Unsealed,
        &["Contents/MacOS/new", "Contents/Resources/link"],
    );
}

#[test]
fn sha1_alone_is_compared() {
    let digest = dsplug_fixtures::signature::digest(SHA1, b"one schema");
    let bundle = full().by_sha1_too().edit_seal(move |seal| {
        let files = seal.get_mut("files2").unwrap().as_dictionary_mut().unwrap();
        let entry = dictionary([("hash", Value::Data(digest.clone()))]);
        files.insert("Resources/schema.txt".into(), entry);
    });
    let old = bundle.clone().edit_signature(|s| s.hash_types(&[SHA1]));
    judged(&old, |_| {}).holds();
    judged(&old, |root| {
        put(root.join("Contents/Resources/schema.txt"), b"x")
    })
    .broken(&[P::ResourceModified]);
    // Code with a better hash wants that of its resources too.
    for hash_types in [&[SHA256][..], &[SHA1, SHA256]] {
        let new = bundle.clone();
        let new = new.edit_signature(move |s| s.hash_types(hash_types));
        judged(&new, |_| {})
            .broken(&[P::ResourceModified])
            .words(Sealed::Altered, &["Contents/Resources/schema.txt"]);
    }
    judged(&full().edit_signature(|s| s.hash_types(&[SHA384])), |_| {})
        .broken(&[P::ResourceModified]);
}

/// `SecStaticCode::validateResource` verifies each of `hashAlgorithms()`, not the best alone.
#[test]
fn each_digest_is_compared_that_the_code_has_a_directory_for() {
    let schema = "Contents/Resources/schema.txt";
    let listed = |key: &'static str, digest: Vec<u8>| {
        full().by_sha1_too().edit_seal(move |seal| {
            let files = seal.get_mut("files2").unwrap().as_dictionary_mut().unwrap();
            let entry = files.get_mut("Resources/schema.txt").unwrap();
            let entry = entry.as_dictionary_mut().unwrap();
            entry.insert(key.into(), Value::Data(digest.clone()));
        })
    };
    let wrong = || listed("hash", vec![0; 20]);
    judged(
        &full()
            .by_sha1_too()
            .edit_signature(|s| s.hash_types(&[SHA1, SHA256])),
        |_| {},
    )
    .holds();
    judged(
        &wrong().edit_signature(|s| s.hash_types(&[SHA1, SHA256])),
        |_| {},
    )
    .broken(&[P::ResourceModified])
    .words(Sealed::Altered, &[schema]);
    // Which SHA-1 is listed does not matter to code that has none.
    judged(&wrong(), |_| {}).holds();
    let by_one = |key: &'static str, digest: Vec<u8>, hash_type: u8| {
        SignedBundle::new("One", Form::Deep)
            .file("Resources/schema.txt", b"one schema")
            .edit_seal(move |seal| {
                let files = seal.get_mut("files2").unwrap().as_dictionary_mut().unwrap();
                let entry = dictionary([(key, Value::Data(digest.clone()))]);
                files.insert("Resources/schema.txt".into(), entry);
            })
            .edit_signature(move |s| s.hash_types(&[hash_type]))
    };
    let mut cut = dsplug_fixtures::signature::digest(SHA256_TRUNCATED, b"one schema");
    judged(&by_one("hash3", cut.clone(), SHA256_TRUNCATED), |_| {}).holds();
    cut[0] ^= 1;
    judged(&by_one("hash3", cut, SHA256_TRUNCATED), |_| {}).broken(&[P::ResourceModified]);
    // SHA-384 of files is not computed: nothing is claimed.
    judged(&by_one("hash4", vec![0; 48], SHA384), |_| {})
        .expect(SignatureState::Unreadable, &[P::Unreadable])
        .words(Sealed::Unknown, &[schema]);
}

/// `ResourceBuilder::scan` throws before it asks a rule.
#[test]
fn a_sealed_ds_store_that_is_a_symlink_is_named() {
    let bundle = full()
        .link("Resources/sub/.ds_store", "deep.txt")
        .file("Resources/sub/.DS_Store.txt", b"x");
    judged(&bundle, |_| {})
        .broken(&[P::ResourceAdded])
        .words(Sealed::Unsealed, &["Contents/Resources/sub/.ds_store"]);
}

#[test]
fn an_entry_that_the_rules_leave_out_is_named() {
    let bundle = full().edit_seal(|seal| {
        let files = seal.get_mut("files2").unwrap().as_dictionary_mut().unwrap();
        let entry = dictionary([("hash2", Value::Data(vec![0; 32]))]);
        files.insert("PkgInfo".into(), entry);
    });
    judged(&bundle, |_| {}).broken(&[P::ResourceMissing]);
}

#[test]
fn code_that_the_rules_leave_out_is_named() {
    let code = MachO::dylib(Cpu::Arm64e).signed(&Signature::adhoc("a"));
    for (path, problem) in [
        ("Contents/PkgInfo", P::UnsealedCode),
        ("Contents/Resources/.DS_Store", P::UnsealedCode),
        (
            "Contents/Resources/de.lproj/locversion.plist",
            P::UnsealedCode,
        ),
        ("Contents/_MASReceipt/receipt", P::ResourceAdded),
        (".DS_Store", P::BundleLayout),
    ] {
        judged(&full(), |root| put(root.join(path), &code))
            .broken(&[problem])
            .words(Sealed::Unsealed, &[path]);
    }
    let map = "Contents/Frameworks/Kit.framework/module.map";
    judged(&full(), |root| put(root.join(map), b"x")).holds();
    judged(&full(), |root| put(root.join(map), &code)).broken(&[P::BundleLayout, P::NestedCode]);
}

#[test]
fn the_weakest_slice_speaks_for_the_bundle() {
    let bundle = full().executable(|signature| {
        Fat::of(&[
            (Cpu::X86_64, MachO::bundle(Cpu::X86_64).unsigned()),
            (Cpu::Arm64e, MachO::bundle(Cpu::Arm64e).signed(signature)),
        ])
        .build()
    });
    judged(&bundle, |_| {}).expect(SignatureState::Unsigned, &[]);
    judged(&bundle, |root| {
        put(root.join("Contents/Resources/schema.txt"), b"x")
    })
    .broken(&[P::ResourceModified]);
    // One slice binds the Info.plist and the seal, the other neither.
    let bundle = full().executable(|signature| {
        Fat::of(&[
            (
                Cpu::X86_64,
                MachO::bundle(Cpu::X86_64).signed(&Signature::adhoc("test.Acme")),
            ),
            (Cpu::Arm64e, MachO::bundle(Cpu::Arm64e).signed(signature)),
        ])
        .build()
    });
    judged(&bundle, |_| {}).broken(&[P::InfoPlist, P::ResourceDirectory]);
}
