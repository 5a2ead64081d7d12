//! The archive, and what is told of its contents.

use std::fs;
use std::process::Command;

use super::program::{repository, succeed, tool};

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
