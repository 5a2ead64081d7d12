//! The scripts for fleets, run as a fleet's runner runs them.

use crate::common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod};

/// Runs a script with the lines at its top filled in, over a disk that a wrapper names.
fn run(script: &str, lines: &[(&str, &str)], disk: &Disk, place: &Path) -> Output {
    command(script, lines, disk, place).output().unwrap()
}

fn command(script: &str, lines: &[(&str, &str)], disk: &Disk, place: &Path) -> Command {
    let wrapper = place.join("dsplug");
    let text = format!(
        "#!/bin/sh\ncase \"$1\" in quarantine|restore) set -- \"$@\" --yes-write-image ;; esac\n\
         exec '{}' \"$@\" --root '{}' --state-dir '{}/state'\n",
        env!("CARGO_BIN_EXE_dsplug"),
        disk.path().display(),
        place.display()
    );
    fs::write(&wrapper, text).unwrap();
    chmod(&wrapper, 0o755);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("install/fleet")
        .join(script);
    let mut text = fs::read_to_string(source).unwrap();
    for (name, value) in lines {
        let old = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}=")))
            .unwrap()
            .to_owned();
        let quoted = value.replace('\'', "'\\''");
        text = text.replace(&old, &format!("{name}='{quoted}'"));
    }
    let filled = place.join(script);
    fs::write(&filled, text).unwrap();
    let mut call = Command::new("sh");
    call.arg(filled).env("DSPLUG", wrapper);
    call
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    error
}

#[test]
fn collect_quarantine_restore() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    // A name that a shell and SQL would trip over.
    let name = "It's $(id) \"odd\".dsplug";
    Plugin::new("X").write_as(disk.plugin(name));
    let path = format!("/{PLUGINS}/{name}");
    let hash = common::only_bundle(disk.path())["hash"].clone();
    let run = |script: &str, lines: &[(&str, &str)]| run(script, lines, &disk, place.path());

    let kept = place.path().join("collected");
    let kept = kept.to_str().unwrap();
    let lines = [("path", path.as_str()), ("expect", &hash), ("place", kept)];
    ended(&run("collect.sh", &lines), 0);
    let wrong = [("path", path.as_str()), ("expect", "00"), ("place", kept)];
    assert!(ended(&run("collect.sh", &wrong), 1).contains("is not what was expected"));
    ended(&run("collect.sh", &[("place", kept)]), 0);
    assert_eq!(fs::read_dir(kept).unwrap().count(), 3);

    assert!(ended(&run("quarantine.sh", &[]), 1).contains("fill in"));
    let wrong = [("path", path.as_str()), ("expect", "00")];
    assert!(ended(&run("quarantine.sh", &wrong), 1).contains("was left alone"));
    assert!(disk.plugin(name).exists());
    let right = [
        ("path", path.as_str()),
        ("expect", &hash),
        ("reason", "it's bad"),
    ];
    ended(&run("quarantine.sh", &right), 0);
    assert!(!disk.plugin(name).exists());
    // Where it is gone already.
    assert!(ended(&run("quarantine.sh", &right), 1).contains("no candidate stands"));

    assert!(
        ended(&run("restore.sh", &[("path", &path), ("expect", "00")]), 1).contains("holds no")
    );
    ended(&run("restore.sh", &[("path", &path), ("expect", &hash)]), 0);
    assert_eq!(common::only_bundle(disk.path())["hash"], hash);
}

/// Whoever owns a Mac names it.
#[test]
fn no_name_of_a_host_leads_out_of_the_place() {
    let disk = Disk::new();
    Plugin::new("X").write(disk.plugin(""));
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("collected");
    let commands = place.path().join("commands");
    fs::create_dir(&commands).unwrap();
    let hostname = commands.join("hostname");
    fs::write(&hostname, "#!/bin/sh\necho '/../../ev il$(id)'\n").unwrap();
    chmod(&hostname, 0o755);
    let lines = [("place", kept.to_str().unwrap())];
    let mut call = command("collect.sh", &lines, &disk, place.path());
    let path = std::env::var("PATH").unwrap();
    call.env("PATH", format!("{}:{path}", commands.display()));
    ended(&call.output().unwrap(), 0);
    let names: Vec<_> = fs::read_dir(&kept).unwrap().collect();
    assert_eq!(names.len(), 1);
    let name = names[0].as_ref().unwrap().file_name();
    let name = name.to_str().unwrap();
    assert!(name.starts_with("dsplug-evilid-2"), "{name}");
}

/// Each is pasted into a runner by itself, so that what they share stands in each.
#[test]
fn what_the_scripts_share_is_the_same() {
    let shared = |script: &str| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("install/fleet");
        let text = fs::read_to_string(source.join(script)).unwrap();
        let (_, rest) = text.split_once("\nfail() {").unwrap();
        let (shared, _) = rest.split_once("\nfind_dsplug\n").unwrap();
        shared.to_owned()
    };
    let of_one = shared("quarantine.sh");
    assert!(of_one.contains("find_dsplug()"));
    for script in ["collect.sh", "restore.sh"] {
        assert_eq!(shared(script), of_one, "{script}");
    }
}

#[test]
fn a_mac_without_dsplug_is_told() {
    if Path::new("/opt/dsplug/bin/dsplug.ext").exists() {
        return dsplug_fixtures::skipped("dsplug is installed here");
    }
    for script in ["collect.sh", "quarantine.sh", "restore.sh"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("install/fleet")
            .join(script);
        let output = Command::new("sh").arg(source).env_remove("DSPLUG").output();
        let error = ended(&output.unwrap(), 1);
        assert!(error.contains("not installed"), "{script}: {error}");
    }
}
