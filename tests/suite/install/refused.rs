//! What is refused, and leaves everything as it was.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::mac::{Mac, refused, source};
use dsplug_fixtures::needs_root;

#[test]
fn unsafe_places_are_refused() {
    let writable = |path: &str| {
        let mac = Mac::with_admin();
        mac.write("opt/dsplug/bin/.keep", "");
        fs::set_permissions(mac.path(path), fs::Permissions::from_mode(0o777)).unwrap();
        let command = mac.installer(&[]);
        refused(&mac, command, "writable by everyone");
    };
    for path in [
        "opt",
        "opt/dsplug",
        "opt/dsplug/bin",
        "var/osquery",
        "var/osquery/osquery.flags",
        "var/db",
    ] {
        writable(path);
    }
}

#[test]
fn foreign_owners_and_groups_are_refused() {
    if !needs_root("giving a file away needs root") {
        return;
    }
    let mac = Mac::new();
    std::os::unix::fs::chown(mac.path("opt"), Some(501), Some(20)).unwrap();
    let command = mac.installer(&[]);
    refused(&mac, command, "belongs to uid 501");
    let mac = Mac::new();
    std::os::unix::fs::chown(mac.path("opt"), Some(0), Some(80)).unwrap();
    fs::set_permissions(mac.path("opt"), fs::Permissions::from_mode(0o775)).unwrap();
    let command = mac.installer(&[]);
    refused(&mac, command, "writable by group 80");
}

#[test]
fn links_are_not_written_through() {
    let mac = Mac::new();
    mac.write("etc/managed.flags", "--utc=true\n");
    symlink(
        "../../etc/managed.flags",
        mac.path("var/osquery/osquery.flags"),
    )
    .unwrap();
    let command = mac.installer(&[]);
    refused(&mac, command, "is a symbolic link");
}

/// What stands behind a link may be another's further up, however safe its own directory looks.
#[test]
fn a_link_on_the_way_is_refused() {
    for (at, real) in [("opt/dsplug", "Users/bob/dsplug"), ("opt", "Users/bob/opt")] {
        let mac = Mac::new();
        let _ = fs::remove_dir_all(mac.path(at));
        fs::create_dir_all(mac.path(real)).unwrap();
        symlink(mac.path(real), mac.path(at)).unwrap();
        let command = mac.installer(&[]);
        refused(&mac, command, "is a symbolic link: whoever can change");
    }
}

#[test]
fn a_second_run_at_the_same_time_waits_its_turn() {
    let mac = Mac::new();
    // A process of that number is alive, and its command line names the installer.
    let mut other = Command::new("sh")
        .args(["-c", "read line; : install", "install.sh"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    mac.write("var/db/dsplug/lock", &format!("{}\n", other.id()));
    let command = mac.installer(&[]);
    refused(&mac, command, "another run");
    other.kill().unwrap();
    other.wait().unwrap();
    mac.install();
}

#[test]
fn a_binary_that_codesign_rejects_is_refused() {
    let mac = Mac::new();
    mac.shim("codesign", "exit 1");
    let command = mac.installer(&[]);
    refused(&mac, command, "codesign does not accept");
}

#[test]
fn wrong_calls_end_with_status_two() {
    let mac = Mac::new();
    for arguments in [&["--what"][..], &["--for", "windows"], &["--for"]] {
        let output = mac
            .command(&source("install.sh"), arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(
        mac.uninstaller(&["--what"]).output().unwrap().status.code(),
        Some(2)
    );
}
