//! The tools that make a release, the profiles, the workflows and the scripts: what can be checked of
//! them without a Mac and without building the release itself.
//!
//! The Mach-O files come from the fixtures, which share no code with the tools; signatures that the
//! tools make are judged by this crate, which shares none either.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dsplug::codesign::CodeFlags;
use dsplug::codesign::{CodeFacts, FileCheck, Limits, Roots, SignatureState};
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::skipped;
use plist::Value;
use tempfile::TempDir;

const IDENTIFIER: &str = "com.dsplug.extension";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A tool of the release, or nothing where there is no Python.
fn tool(name: &str) -> Option<Command> {
    if Command::new("python3").arg("--version").output().is_err() {
        skipped("no python3");
        return None;
    }
    let mut command = Command::new("python3");
    command
        .arg("-B")
        .arg(repository().join("install/tools").join(name));
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    Some(command)
}

#[track_caller]
fn succeed(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// `LC_BUILD_VERSION` for macOS (platform 1): minimum, SDK 14.0, no tools.
fn build_version(minimum: u32) -> Vec<u8> {
    [0x32_u32, 24, 1, minimum, 0x000E_0000, 0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect()
}

/// A program as a linker leaves it: signed ad hoc, so that the load command is there.
fn program(cpu: Cpu, minimum: u32) -> MachO {
    let mut program = MachO::execute(cpu).code_len(20_000);
    program.commands.push(build_version(minimum));
    program
}

fn linked(program: &MachO) -> Vec<u8> {
    program.signed(&Signature::adhoc("linker"))
}

/// A universal program on disk.
fn universal(programs: &[(Cpu, Vec<u8>)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dsplug.ext");
    fs::write(&path, Fat::of(programs).build()).unwrap();
    (folder, path)
}

fn both(change: impl Fn(MachO) -> MachO) -> (TempDir, PathBuf) {
    let slice = |cpu| (cpu, linked(&change(program(cpu, 0x000B_0000))));
    universal(&[slice(Cpu::X86_64), slice(Cpu::Arm64)])
}

#[track_caller]
fn sign(mut adhoc: Command, path: &Path) {
    succeed(
        &adhoc
            .args(["--identifier", IDENTIFIER])
            .arg(path)
            .output()
            .unwrap(),
    );
}

fn facts(path: &Path) -> CodeFacts {
    let bytes = fs::read(path).unwrap();
    let roots = Roots::apple();
    let mut check = FileCheck::new(
        u64::try_from(bytes.len()).unwrap(),
        &roots,
        Limits::default(),
    );
    while let Some(range) = check.wants() {
        let index = |offset| usize::try_from(offset).unwrap();
        check.supply(&bytes[index(range.start)..index(range.end)]);
    }
    check.update(&bytes);
    let mut facts = check.finish();
    facts.judge_standalone();
    facts
}

#[test]
fn an_adhoc_signature_holds_in_both_slices() {
    let Some(adhoc) = tool("adhoc.py") else {
        return;
    };
    let (_folder, path) = both(|program| program);
    sign(adhoc, &path);
    let facts = facts(&path);
    let problems: Vec<String> = facts.all_problems().map(ToString::to_string).collect();
    assert_eq!(
        (facts.state(), problems),
        (SignatureState::Adhoc, Vec::new())
    );
    assert_eq!(facts.slices.len(), 2);
    for slice in &facts.slices {
        let directory = slice.directory().unwrap();
        assert_eq!(directory.identifier, IDENTIFIER);
        assert!(
            directory.flags.contains(CodeFlags::RUNTIME),
            "{:?}",
            directory.flags
        );
        assert!(
            directory.flags.contains(CodeFlags::ADHOC),
            "{:?}",
            directory.flags
        );
    }
}

#[test]
fn signing_twice_gives_the_same_bytes() {
    let Some(adhoc) = tool("adhoc.py") else {
        return;
    };
    let (_folder, path) = both(|program| program);
    sign(adhoc, &path);
    let once = fs::read(&path).unwrap();
    sign(tool("adhoc.py").unwrap(), &path);
    assert_eq!(fs::read(&path).unwrap(), once);
}

#[test]
fn a_slice_without_room_for_the_load_command_is_refused() {
    let Some(mut adhoc) = tool("adhoc.py") else {
        return;
    };
    let (_folder, path) = universal(&[(Cpu::Arm64, program(Cpu::Arm64, 0x000B_0000).unsigned())]);
    let before = fs::read(&path).unwrap();
    let output = adhoc
        .args(["--identifier", IDENTIFIER])
        .arg(&path)
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no room for a load command"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// What `check.py` says of a file: its status, and its lines on standard error.
fn check(path: &Path) -> (bool, String) {
    let output = tool("check.py")
        .unwrap()
        .args(["--identifier", IDENTIFIER])
        .arg(path)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn every_promise_of_the_binary_is_checked() {
    if tool("check.py").is_none() {
        return;
    }
    let adhoc = || tool("adhoc.py").unwrap();
    let (_folder, path) = both(|program| program);
    sign(adhoc(), &path);
    assert_eq!(check(&path), (true, String::new()));

    // A flipped byte of code, in the slice that comes last.
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.len() - 10_000;
    bytes[place] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (held, said) = check(&path);
    assert!(!held && said.contains("does not match its hash"), "{said}");

    let fails = |path: &Path, fault: &str| {
        let (held, said) = check(path);
        assert!(!held && said.contains(fault), "{fault}: {said}");
    };
    let signed_fails = |(folder, path): (TempDir, PathBuf), fault: &str| {
        sign(adhoc(), &path);
        fails(&path, fault);
        drop(folder);
    };
    let framework = "/System/Library/Frameworks/Security.framework/Versions/A/Security";
    signed_fails(
        both(|program| program.dylib_path(framework)),
        "arm64: links /System/Library/Frameworks/Security",
    );
    signed_fails(
        both(|program| program.code_len(5_000_000)),
        "not under 5000000",
    );
    signed_fails(
        both(|mut program| {
            // LC_DYSYMTAB with three local symbols.
            let mut command = vec![0xB_u32, 80, 0, 3];
            command.resize(20, 0);
            program
                .commands
                .push(command.iter().flat_map(|n| n.to_le_bytes()).collect());
            program
        }),
        "not stripped: 3 local symbols",
    );
    let newer = |cpu, minimum| (cpu, linked(&program(cpu, minimum)));
    signed_fails(
        universal(&[
            newer(Cpu::X86_64, 0x000B_0000),
            newer(Cpu::Arm64, 0x000C_0000),
        ]),
        "arm64: names minimum macOS 12.0, not 11.0",
    );
    signed_fails(
        universal(&[newer(Cpu::Arm64, 0x000B_0000)]),
        "no x86_64 slice",
    );

    let (_folder, path) = both(|program| program);
    fails(&path, "signed without the hardened runtime");
    fails(&path, "signed as linker, not as com.dsplug.extension");
    let slice = |cpu| (cpu, program(cpu, 0x000B_0000).unsigned());
    let (_folder, path) = universal(&[slice(Cpu::X86_64), slice(Cpu::Arm64)]);
    fails(&path, "x86_64: not signed");
}

/// A folder as the payload of a package: an executable, a link, and more paths than one leaf of the
/// bill of materials holds.
fn payload() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("opt/many")).unwrap();
    fs::write(at("opt/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(
        at("opt/run"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    std::os::unix::fs::symlink("run", at("opt/link")).unwrap();
    for number in 0..300 {
        fs::write(
            at(&format!("opt/many/{number}")),
            format!("content {number}"),
        )
        .unwrap();
    }
    folder
}

fn package(payload: &Path, out: &Path) {
    let scripts = repository().join("install/pkg");
    let mut call = tool("package.py").unwrap();
    call.args([
        "--identifier",
        "com.dsplug.pkg",
        "--version",
        "1.2.3",
        "--payload",
    ]);
    call.arg(payload).arg("--scripts").arg(scripts).arg(out);
    succeed(&call.output().unwrap());
}

/// The crate `apple-bom` shares no code with the writer; the sums are those of `cksum`.
#[test]
fn the_bill_of_materials_of_a_package_is_read_by_another_reader() {
    if tool("bom.py").is_none() {
        return;
    }
    let (payload, work) = (payload(), tempfile::tempdir().unwrap());
    let out = work.path().join("Bom");
    let script = "import sys, bom, package; open(sys.argv[2], 'wb').write(bom.bom(package.entries(sys.argv[1], 1700000000)))";
    let call = Command::new("python3")
        .args(["-B", "-c", script])
        .arg(payload.path())
        .arg(&out)
        .env("PYTHONPATH", repository().join("install/tools"))
        .output()
        .unwrap();
    succeed(&call);
    let data = fs::read(&out).unwrap();
    let bom = apple_bom::ParsedBom::parse(&data).unwrap();
    let paths = bom.paths().unwrap();
    // ".", opt, run, link, many and what is in it.
    assert_eq!(paths.len(), 305);
    assert_eq!(bom.bom_info().unwrap().number_of_paths, 306);
    for other in [bom.hl_index(), bom.size64(), bom.vindex()] {
        assert_eq!(other.unwrap().len(), 0);
    }
    for path in &paths {
        assert_eq!((path.user_id(), path.group_id()), (0, 0), "{}", path.path());
        assert_eq!(path.modified_time().timestamp(), 1_700_000_000);
    }
    let find = |wanted: &str| paths.iter().find(|p| p.path() == wanted).unwrap();
    assert_eq!(find(".").file_mode(), 0o040_755);
    assert_eq!(find("./opt/many").file_mode(), 0o040_755);
    assert_eq!(find("./opt/run").file_mode(), 0o100_755);
    assert_eq!(find("./opt/link").link_name(), Some("run"));
    for name in ["run", "many/0", "many/299"] {
        let sums = Command::new("cksum")
            .arg(payload.path().join("opt").join(name))
            .output();
        let sums = String::from_utf8(sums.unwrap().stdout).unwrap();
        let mut words = sums.split(' ').map(|word| word.parse::<u32>());
        let path = find(&format!("./opt/{name}"));
        assert_eq!(path.crc32(), Some(words.next().unwrap().unwrap()), "{name}");
        let size = words.next().unwrap().unwrap();
        assert_eq!(path.size(), usize::try_from(size).unwrap(), "{name}");
    }
}

/// libarchive reads the package and the two archives in it.
#[test]
fn a_package_is_read_by_another_reader() {
    if tool("package.py").is_none() {
        return;
    }
    if Command::new("bsdtar").arg("--version").output().is_err() {
        skipped("no bsdtar");
        return;
    }
    let (payload, work) = (payload(), tempfile::tempdir().unwrap());
    let at = |name: &str| work.path().join(name);
    package(payload.path(), &at("a.pkg"));
    package(payload.path(), &at("b.pkg"));
    assert_eq!(
        fs::read(at("a.pkg")).unwrap(),
        fs::read(at("b.pkg")).unwrap()
    );
    let unpack = |archive: &str, into: &str| {
        fs::create_dir(at(into)).unwrap();
        let call = Command::new("bsdtar")
            .arg("-xf")
            .arg(at(archive))
            .arg("-C")
            .arg(at(into))
            .output();
        succeed(&call.unwrap());
    };
    let list = |archive: &str| {
        let call = Command::new("bsdtar")
            .args(["--numeric-owner", "-tvf"])
            .arg(at(archive))
            .output()
            .unwrap();
        succeed(&call);
        String::from_utf8(call.stdout).unwrap()
    };
    unpack("a.pkg", "package");
    let listed = list("a.pkg");
    for name in ["Bom", "PackageInfo", "Payload", "Scripts"] {
        assert!(
            listed
                .lines()
                .any(|line| line.ends_with(&format!(" {name}"))),
            "{listed}"
        );
    }
    let information = fs::read_to_string(at("package/PackageInfo")).unwrap();
    for part in [
        "identifier=\"com.dsplug.pkg\"",
        "version=\"1.2.3\"",
        "install-location=\"/\" auth=\"root\"",
        "numberOfFiles=\"305\"",
        "<preinstall file=\"./preinstall\"/>",
        "<postinstall file=\"./postinstall\"/>",
    ] {
        assert!(information.contains(part), "{information}");
    }
    for archive in ["package/Payload", "package/Scripts"] {
        for line in list(archive).lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(fields[2..4], ["0", "0"], "{line}");
            let modes = ["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxr-xr-x"];
            assert!(modes.contains(&fields[0]), "{line}");
        }
    }
    unpack("package/Payload", "payload");
    unpack("package/Scripts", "scripts");
    for name in ["run", "many/0", "many/299"] {
        let name = format!("opt/{name}");
        assert_eq!(
            fs::read(at("payload").join(&name)).unwrap(),
            fs::read(payload.path().join(&name)).unwrap()
        );
    }
    assert_eq!(
        fs::read_link(at("payload/opt/link")).unwrap(),
        Path::new("run")
    );
    for name in ["preinstall", "postinstall"] {
        let source = repository().join("install/pkg").join(name);
        assert_eq!(
            fs::read(at("scripts").join(name)).unwrap(),
            fs::read(source).unwrap()
        );
    }
}

/// What cannot sign is said before anything is built.
#[test]
fn a_release_that_cannot_be_signed_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let mut cases = vec![
        (
            vec![("DSPLUG_SIGN_P12", "/nowhere")],
            "there is no such file",
        ),
        (
            vec![("DSPLUG_SIGN_P12", file), ("DSPLUG_SIGN_IDENTITY", "x")],
            "are both set",
        ),
        (
            vec![("DSPLUG_NOTARY_KEY", file)],
            "an identity for the binary or the package is not",
        ),
        (
            vec![("DSPLUG_SIGN_P12", file)],
            "DSPLUG_P12_PASSWORD_FILE names no file",
        ),
    ];
    if cfg!(not(target_os = "macos")) {
        cases.push((vec![("DSPLUG_SIGN_IDENTITY", "x")], "on macOS alone"));
        cases.push((vec![("DSPLUG_INSTALLER_IDENTITY", "x")], "on macOS alone"));
    }
    // rcodesign is there as far as the script can tell, and rustup is not called.
    for name in ["rcodesign", "rustup", "cargo"] {
        let path = folder.path().join(name);
        fs::write(&path, "#!/bin/sh\necho called >&2\nexit 1\n").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").unwrap()
    );
    for (variables, why) in cases {
        let mut call = Command::new("sh");
        call.arg(repository().join("install/release"))
            .env("PATH", &path);
        for name in [
            "SIGN_IDENTITY",
            "SIGN_P12",
            "INSTALLER_IDENTITY",
            "INSTALLER_P12",
            "P12_PASSWORD_FILE",
            "NOTARY_KEY",
        ] {
            call.env_remove(format!("DSPLUG_{name}"));
        }
        let output = call.envs(variables).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains(why) && !error.contains("called"),
            "{why}: {error}"
        );
    }
}

#[test]
fn an_archive_depends_on_its_files_alone() {
    let Some(_) = tool("archive.py") else {
        return;
    };
    let pack = |order: &[&str], mode: u32| {
        let work = tempfile::tempdir().unwrap();
        let folder = work.path().join("dsplug-1");
        fs::create_dir_all(folder.join("sub")).unwrap();
        for name in order {
            fs::write(folder.join(name), name).unwrap();
            fs::set_permissions(
                folder.join(name),
                std::os::unix::fs::PermissionsExt::from_mode(mode),
            )
            .unwrap();
        }
        let out = work.path().join("out.tar.gz");
        succeed(
            &tool("archive.py")
                .unwrap()
                .arg(&folder)
                .arg(&out)
                .output()
                .unwrap(),
        );
        let list = Command::new("tar")
            .args(["--numeric-owner", "-tvzf"])
            .arg(&out)
            .output()
            .unwrap();
        (
            fs::read(out).unwrap(),
            String::from_utf8(list.stdout).unwrap(),
        )
    };
    let (first, list) = pack(&["a", "sub/b", "c"], 0o640);
    let (second, _) = pack(&["c", "a", "sub/b"], 0o604);
    assert_eq!(first, second);
    assert_eq!(list.lines().count(), 5, "{list}");
    for line in list.lines() {
        assert!(
            line.starts_with("drwxr-xr-x") || line.starts_with("-rw-r--r--"),
            "{line}"
        );
    }
}

#[test]
fn the_bill_of_materials_lists_what_is_shipped() {
    let Some(_) = tool("sbom.py") else {
        return;
    };
    let work = tempfile::tempdir().unwrap();
    let binary = work.path().join("binary");
    fs::write(&binary, "abc").unwrap();
    // Of all that Cargo.lock names, only what this machine builds with is sure to be on it.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let about = String::from_utf8(rustc.stdout).unwrap();
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let run = || {
        let output = tool("sbom.py")
            .unwrap()
            .current_dir(repository())
            .env("CARGO_NET_OFFLINE", "true")
            .arg("--binary")
            .arg(&binary)
            .args(["--target", host])
            .output()
            .unwrap();
        succeed(&output);
        output.stdout
    };
    let first = run();
    assert_eq!(first, run());
    let document: serde_json::Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(document["bomFormat"], "CycloneDX");
    assert_eq!(document["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(
        document["metadata"]["component"]["version"],
        env!("CARGO_PKG_VERSION")
    );
    // FIPS 180-2, appendix B.1: SHA-256 of "abc".
    assert_eq!(
        document["metadata"]["component"]["hashes"][0]["content"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let names: Vec<&str> = document["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    for shipped in [
        "osquery-rust-ng",
        "rusqlite",
        "libsqlite3-sys",
        "ring",
        "cc",
    ] {
        assert!(names.contains(&shipped), "{shipped} is missing");
    }
    // The last is of Windows alone.
    for not_shipped in [
        "dsplug",
        "dsplug-fixtures",
        "proptest",
        "tempfile",
        "windows-sys",
    ] {
        assert!(!names.contains(&not_shipped), "{not_shipped} is listed");
    }
    for part in document["components"].as_array().unwrap() {
        assert!(part["licenses"][0]["expression"].is_string(), "{part}");
        assert_eq!(
            part["hashes"][0]["content"].as_str().unwrap().len(),
            64,
            "{part}"
        );
    }
}

fn profile(name: &str) -> plist::Dictionary {
    let value = Value::from_file(repository().join("install/mdm").join(name)).unwrap();
    let profile = value.into_dictionary().unwrap();
    assert_eq!(profile["PayloadType"].as_string(), Some("Configuration"));
    assert_eq!(profile["PayloadScope"].as_string(), Some("System"));
    let payload = profile["PayloadContent"].as_array().unwrap()[0]
        .as_dictionary()
        .unwrap();
    for part in [&profile, payload] {
        let uuid = part["PayloadUUID"].as_string().unwrap();
        assert_eq!(
            uuid.split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12],
            "{uuid}"
        );
        assert!(
            part["PayloadIdentifier"]
                .as_string()
                .unwrap()
                .starts_with("com.dsplug.")
        );
        assert_eq!(part["PayloadVersion"].as_signed_integer(), Some(1));
    }
    payload.clone()
}

#[test]
fn the_profile_of_exceptions_delivers_preferences() {
    let payload = profile("exceptions.mobileconfig");
    assert_eq!(
        payload["PayloadType"].as_string(),
        Some("com.apple.ManagedClient.preferences")
    );
    let domain = payload["PayloadContent"].as_dictionary().unwrap()["com.dsplug"]
        .as_dictionary()
        .unwrap();
    let forced = domain["Forced"].as_array().unwrap()[0]
        .as_dictionary()
        .unwrap();
    assert!(
        !forced["mcx_preference_settings"]
            .as_dictionary()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_profile_of_full_disk_access_names_osqueryd_and_its_signer() {
    let payload = profile("full-disk-access.mobileconfig");
    assert_eq!(
        payload["PayloadType"].as_string(),
        Some("com.apple.TCC.configuration-profile-policy")
    );
    let service = payload["Services"].as_dictionary().unwrap()["SystemPolicyAllFiles"]
        .as_array()
        .unwrap();
    let entry = service[0].as_dictionary().unwrap();
    assert_eq!(entry["Identifier"].as_string(), Some("io.osquery.agent"));
    assert_eq!(entry["IdentifierType"].as_string(), Some("bundleID"));
    assert_eq!(entry["Authorization"].as_string(), Some("Allow"));
    let requirement = entry["CodeRequirement"].as_string().unwrap();
    // An identifier alone is anyone's to claim.
    for part in [
        "identifier \"io.osquery.agent\"",
        "anchor apple generic",
        "subject.OU] = \"3522FA9PXF\"",
    ] {
        assert!(requirement.contains(part), "{requirement}");
    }
}

#[test]
fn every_action_is_pinned_by_a_commit() {
    let mut seen = 0;
    for name in ["ci.yml", "release.yml"] {
        let text = fs::read_to_string(repository().join(".github/workflows").join(name)).unwrap();
        assert!(
            text.contains("\npermissions:"),
            "{name} takes the default permissions"
        );
        for line in text.lines() {
            let Some(action) = line.trim().trim_start_matches("- ").strip_prefix("uses: ") else {
                continue;
            };
            let (pin, tag) = action
                .split_once('@')
                .unwrap()
                .1
                .split_once(" # v")
                .unwrap();
            assert!(
                pin.len() == 40 && pin.bytes().all(|b| b.is_ascii_hexdigit()),
                "{name}: {line}"
            );
            assert!(!tag.is_empty(), "{name}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}

/// Every script of ours, by its first line.
fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["install", ".ci", ".github", "tests"] {
        for entry in walkdir::WalkDir::new(repository().join(folder))
            .into_iter()
            .filter_entry(|e| e.file_name() != ".venv")
        {
            let entry = entry.unwrap();
            if !entry.file_type().is_file() {
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap();
            if bytes.starts_with(b"#!/bin/sh\n") || entry.file_name() == "common.sh" {
                found.push(entry.into_path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn shellcheck_has_nothing_to_say() {
    let own = repository().join("tests/.venv/bin/shellcheck");
    let program = if own.exists() {
        own
    } else {
        PathBuf::from("shellcheck")
    };
    if Command::new(&program).arg("--version").output().is_err() {
        skipped("no shellcheck; run tests/setup/python.sh");
        return;
    }
    let scripts = scripts();
    assert!(scripts.len() >= 10, "{scripts:?}");
    let output = Command::new(program)
        .current_dir(repository())
        .args(["--shell=sh", "--external-sources", "--source-path=."])
        .args(&scripts)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
