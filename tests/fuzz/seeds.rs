//! Writes the seeds of every fuzz target, made by the fixtures' builders, into `corpus/`.

use std::fs;
use std::path::Path;

use dsplug_fixtures::certificate::{Identity, Subject};
use dsplug_fixtures::cms::{CODE_SIGNING, Signer, tst_info};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::{SHA256, Signature, blob};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::ticket::ticket;
use dsplug_fixtures::{Disk, Plugin};
use dsplug_fuzz::signer::{IMPRINT_SHA1, Part, Resigned, part};
use dsplug_fuzz::{Frame, Kind, NAME, PLACES, TEAM, call, corpus, encode, root_path};

fn main() {
    let root = Identity::root(Subject::authority("Fuzz Root CA"));
    let signer = Signer::under(&root, "Developer ID Application: Fuzz", TEAM);
    fs::write(root_path(), &signer.roots()[0]).unwrap();
    mach_o(&signer);
    cms(&signer);
    parts();
    expressions();
    property_lists();
    messages();
    texts();
    bundles(&signer);
}

fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let folder = corpus().join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn mach_o(signer: &Signer) {
    let bundle = MachO::bundle(Cpu::Arm64e)
        .info_plist(b"<plist/>")
        .rpath("@loader_path");
    let signed = |s: &Signature| bundle.signed(s);
    seed("mach_o", "unsigned", bundle.unsigned());
    seed("mach_o", "adhoc", signed(&Signature::adhoc(NAME)));
    seed(
        "mach_o",
        "sha1",
        signed(&Signature::adhoc(NAME).hash_types(&[1, 2])),
    );
    seed(
        "mach_o",
        "all-hashes",
        signed(&Signature::adhoc(NAME).hash_types(&[1, 2, 3, 4])),
    );
    seed(
        "mach_o",
        "entitled",
        signed(&Signature::adhoc(NAME).entitlements(b"<plist><dict/></plist>")),
    );
    // The same in DER: {"a": true}.
    let der = b"\x70\x0d\x02\x01\x01\xb0\x08\x30\x06\x0c\x01\x61\x01\x01\xff";
    let xml = b"<plist><dict><key>a</key><true/></dict></plist>";
    let both = Signature::adhoc(NAME)
        .entitlements(xml)
        .part(7, blob(0xfade_7172, der));
    seed("mach_o", "entitled-twice", signed(&both));
    seed("mach_o", "signed", signed(&Signature::by(signer, NAME)));
    for version in [0x2_0001, 0x2_0100, 0x2_0200, 0x2_0300] {
        let mut signature = Signature::adhoc(NAME);
        signature.version = version;
        seed(
            "mach_o",
            &format!("version-{version:x}"),
            signed(&signature),
        );
    }
    for cpu in [Cpu::I386, Cpu::X86_64, Cpu::Arm64] {
        let slice = MachO::dylib(cpu).signed(&Signature::adhoc(NAME));
        seed("mach_o", &format!("{cpu:?}"), slice);
    }
    let slices = [Cpu::X86_64, Cpu::Arm64e]
        .map(|cpu| (cpu, MachO::bundle(cpu).signed(&Signature::adhoc(NAME))));
    let mut fat = Fat::of(&slices);
    fat.align = 4;
    seed("mach_o", "universal", fat.build());
    fat.wide = true;
    seed("mach_o", "universal-64", fat.build());
}

fn cms(signer: &Signer) {
    let frame = Frame::new();
    let sign = |signer: &Signer| signer.sign(&[(2, frame.directory())]);
    seed("cms", "developer-id", sign(signer));
    let mut other = signer.clone();
    other.timestamp = None;
    seed("cms", "without-timestamp", sign(&other));
    other.indefinite = false;
    seed("cms", "definite", sign(&other));
    other.attached = true;
    seed("cms", "attached", sign(&other));
    other.hashes = false;
    other.cdhashes = false;
    seed("cms", "without-attributes", sign(&other));
}

/// Each part of a signature as it is, and some that are another.
fn parts() {
    let good = Resigned::new();
    let all = [
        Part::LeafHead,
        Part::LeafTail,
        Part::IssuerHead,
        Part::IssuerTail,
        Part::StampHead,
        Part::StampTail,
        Part::StamperHead,
        Part::StamperTail,
        Part::Attributes,
        Part::Info,
        Part::InfoAttributes,
        Part::Id,
        Part::StampId,
        Part::Certificates,
        Part::Unsigned,
        Part::Signed,
    ];
    for of in all {
        seed("signer", &format!("{of:?}"), part(of, good.part(of)));
    }
    let signer = Signer::developer_id("Developer ID Application: Fuzz", TEAM);
    let attributes = |over: &Vec<u8>| signer.attributes(&[(SHA256, over)]);
    let frame = Frame::new();
    let ([kind, digest, cdhashes, hashes], other) = (
        <[_; 4]>::try_from(attributes(frame.directory())).unwrap(),
        attributes(&b"else".to_vec()),
    );
    for (name, attributes) in [
        ("other-cdhashes", vec![&kind, &digest, &other[2], &hashes]),
        ("other-hashes", vec![&kind, &digest, &cdhashes, &other[3]]),
        ("other-digest", vec![&kind, &other[1]]),
        ("no-type", vec![&digest, &cdhashes]),
        ("no-digest", vec![&kind, &hashes]),
        ("no-hashes", vec![&digest, &kind]),
        ("digest-twice", vec![&kind, &digest, &digest]),
    ] {
        let bytes: Vec<u8> = attributes.into_iter().flatten().copied().collect();
        seed("signer", name, part(Part::Attributes, &bytes));
    }
    for (name, unit, from, to) in [
        (
            "other-team",
            "OTHER67890",
            "20200101000000",
            "20250101000000",
        ),
        ("valid-later", TEAM, "20250101000000", "20300101000000"),
        ("never-valid", TEAM, "20500101000000", "20510101000000"),
    ] {
        let mut leaf = signer.leaf.subject.clone();
        leaf.unit = Some(unit.into());
        leaf.validity = (from.into(), to.into());
        let head = signer.intermediate.issues(leaf).head;
        seed("signer", name, part(Part::LeafHead, &head));
    }
    let later = tst_info("1.3.14.3.2.26", &IMPRINT_SHA1, "20600101000000");
    seed("signer", "later", part(Part::Info, &later));
    let sha1 = tst_info("1.3.14.3.2.26", &IMPRINT_SHA1, "20240229123456");
    seed("signer", "sha1", part(Part::Info, &sha1));
    for (name, mark) in [
        ("app-store", "1.2.840.113635.100.6.1.9"),
        ("testflight", "1.2.840.113635.100.6.1.25.1"),
        ("development", "1.2.840.113635.100.6.1.12"),
    ] {
        let mut leaf = Subject::leaf("Fuzz", CODE_SIGNING);
        leaf.marks = vec![(mark.into(), true)];
        seed(
            "signer",
            name,
            part(Part::LeafTail, &Identity::root(leaf).tail),
        );
    }
}

/// The rules that Apple writes, and each construct of the grammar.
fn expressions() {
    let rules = [
        "^Resources/",
        "^Resources/.*\\.lproj/",
        "^Resources/.*\\.lproj/locversion.plist$",
        "^version.plist$",
        "^.*",
        "^(Frameworks|SharedFrameworks|PlugIns|Plug-ins|XPCServices|Helpers|MacOS|Library/(Automator|Spotlight|LoginItems))/",
        "^Info\\.plist$",
        "^[^/]+$",
        "^PkgInfo$",
        "\\.dSYM($|/)",
        "^(.*/)?\\.DS_Store$",
        "^Resources/Base\\.lproj/",
        "[[:alpha:]]+[]a-z-]",
        "(a|bc){2,3}",
        "a{2}b{1,}",
        "[^[:digit:][:space:]]?",
    ];
    for (number, rule) in rules.iter().enumerate() {
        seed("ere", &format!("{number}"), rule);
        seed(
            "ere",
            &format!("{number}-on-a-path"),
            format!("{rule}\nResources/a.lproj/bcbc"),
        );
    }
}

fn property_lists() {
    let plugin = Plugin::new(NAME);
    let (xml, binary) = (
        plugin.info_plist(),
        plugin.clone().binary_plist().info_plist(),
    );
    for (name, bytes) in [("xml", &xml), ("binary", &binary)] {
        seed("property_list", name, bytes);
    }
    let text = String::from_utf8(xml).unwrap();
    let utf16 = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(order)
            .collect()
    };
    seed("property_list", "utf16-be", utf16(u16::to_be_bytes));
    seed("property_list", "utf16-le", utf16(u16::to_le_bytes));
    seed(
        "property_list",
        "old-style",
        "{ CFBundleName = Fuzz; Types = (1, \"two\", <00ff>); }",
    );
    let entry = "<key>id</key><string>a</string><key>reason</key><string>b</string>\
        <key>path</key><string>/Library/DirectoryServices/PlugIns/Fuzz.dsplug</string>\
        <key>hash</key><string>00</string><key>team_identifier</key><string>FUZZ012345</string>\
        <key>expires</key><date>2030-01-01T00:00:00Z</date>";
    let list = |entries: &str| {
        format!(
            "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>Exceptions</key><array>{entries}</array></dict></plist>"
        )
    };
    seed("exceptions", "one", list(&format!("<dict>{entry}</dict>")));
    seed(
        "exceptions",
        "two",
        list(&format!("<dict>{entry}</dict><dict>{entry}</dict>")),
    );
    seed("exceptions", "none", list(""));
}

fn messages() {
    let text = |t: &str| [&u32::try_from(t.len()).unwrap().to_be_bytes(), t.as_bytes()].concat();
    let head = |name: &str| [b"\x80\x01\0\x01", text(name).as_slice(), &[0, 0, 0, 1]].concat();
    seed("wire", "ping", [head("ping"), vec![0]].concat());
    seed("wire", "shutdown", [head("shutdown"), vec![0]].concat());
    let contexts = [
        r#"{"constraints":[{"name":"path","list":[{"op":2,"expr":"/Library"}],"affinity":"TEXT"}]}"#,
        r#"{"constraints":[{"name":"size","list":[{"op":73,"expr":"0"},{"op":74,"expr":"5"}],"affinity":"BIGINT"}],"colsUsed":["path"],"colsUsedBitset":1}"#,
        r#"{"constraints":null}"#,
        "",
    ];
    seed(
        "wire",
        "generate",
        call("dsplug_bundles", "generate", Some(contexts[0].as_bytes())),
    );
    for (number, context) in (0_u8..).zip(contexts) {
        seed(
            "context",
            &format!("{number}"),
            [&[0, number], context.as_bytes()].concat(),
        );
    }
    for action in ["generate", "columns", "update", ""] {
        seed(
            "context",
            &format!("call-{action}"),
            call("fuzzed", action, None),
        );
    }
    seed("context", "ping", [head("ping"), vec![0]].concat());
    let kinds = [
        b"\x02\0\x01\x01".as_slice(),
        b"\x03\0\x02\x01",
        b"\x04\0\x03\0\0\0\0\0\0\0\0",
        b"\x06\0\x04\0\0",
        b"\x0a\0\x05\0\0\0\0\0\0\0\0",
        b"\x0c\0\x06\0",
        b"\x0f\0\x07\x08\0\0\0\x01\0\0\0\0",
        b"\x0e\0\x08\x03\0\0\0\x01\0",
        b"\0",
    ];
    seed(
        "wire",
        "every-type",
        [head("call"), kinds.concat()].concat(),
    );
}

fn texts() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for entry in fs::read_dir(top.join("packs/queries")).unwrap() {
        let path = entry.unwrap().path();
        seed(
            "pack",
            path.file_name().unwrap().to_str().unwrap(),
            fs::read(&path).unwrap(),
        );
    }
    seed(
        "pack",
        "conf",
        fs::read(top.join("packs/dsplug.conf")).unwrap(),
    );
    seed(
        "pack",
        "small",
        r#"{"queries":{"a":{"query":"SELECT 1;","interval":"60","snapshot":true,"removed":false}}}"#,
    );
    let folder = tempfile_of_state();
    seed("state", "empty", folder);
    seed(
        "state",
        "rows",
        r#"{"version":1,"queries":{"a":{"counter":2,"rows":[{"path":"/x","size":"1"}]}},"snapshots":{"b":1}}"#,
    );
}

/// A state that has never been written, as the program writes it.
fn tempfile_of_state() -> Vec<u8> {
    let disk = Disk::empty();
    let path = disk.at("state");
    dsplug::detect::state::State::default().save(&path).unwrap();
    fs::read(path).unwrap()
}

fn bundles(signer: &Signer) {
    let bundle = |bundle: SignedBundle| bundle.with_info_plist(dsplug_fuzz::info_plist());
    for (name, bundle) in [
        ("full", bundle(SignedBundle::full(NAME))),
        ("signed", bundle(SignedBundle::full(NAME).signer(signer))),
        ("small", bundle(SignedBundle::new(NAME, Form::Deep))),
        ("flat", bundle(SignedBundle::new(NAME, Form::Flat))),
    ] {
        let disk = Disk::new();
        let path = bundle.write(disk.path());
        seed("bundle", name, entries(&path));
        let seal = path.join("Contents/_CodeSignature/CodeResources");
        if let Ok(seal) = fs::read(seal) {
            seed("seal", name, seal);
        }
    }
    let disk = Disk::new();
    let stapled = bundle(SignedBundle::full(NAME)).write(disk.path());
    fs::write(stapled.join("Contents/CodeResources"), ticket(&[[1; 20]])).unwrap();
    seed("bundle", "stapled", entries(&stapled));
    let disk = Disk::new();
    let unsigned = entries(&Plugin::new(NAME).write(disk.path()));
    let attributes: [&[u8]; 4] = [
        b"\x000083;5f3d2a1b;Safari;7E2C0F6E",
        b"\x01\x01\x02\0abcdefgh",
        b"\x02fork",
        b"\x03info",
    ];
    let attributes = attributes
        .map(|content| encode(0, Kind::Attribute, content))
        .concat();
    seed(
        "bundle",
        "attributes",
        [unsigned.as_slice(), &attributes].concat(),
    );
    seed("bundle", "unsigned", unsigned);
}

/// A bundle on disk, as the bytes that stand for it.
fn entries(bundle: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, place) in (0_u8..).zip(PLACES) {
        let path = bundle.join(place);
        let through_link = path.parent().is_none_or(|p| !is_real(bundle, p));
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        if through_link {
            continue;
        }
        bytes.extend(if meta.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            encode(number, Kind::Link, target.as_os_str().as_encoded_bytes())
        } else if meta.is_dir() {
            encode(number, Kind::Directory, b"")
        } else {
            encode(number, Kind::File, &fs::read(&path).unwrap())
        });
    }
    bytes
}

fn is_real(bundle: &Path, path: &Path) -> bool {
    path.canonicalize().ok()
        == bundle
            .canonicalize()
            .ok()
            .map(|b| b.join(path.strip_prefix(bundle).unwrap()))
}
