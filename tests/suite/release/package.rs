//! The package, read by other readers.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::program::{repository, succeed, tool};
use dsplug_fixtures::skipped;
use tempfile::TempDir;

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
