//! Whoever runs osqueryd, and whoever runs the scripts: Fleet, Kolide, Elastic, the package.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::mac::{Mac, assert_same, refused, source, succeed};
use dsplug_fixtures::needs_root;

#[test]
fn fleets_own_list_of_extensions_is_a_conflict() {
    let mac = Mac::new();
    mac.write(
        "opt/orbit/extensions.load",
        "/opt/orbit/bin/extensions/other/macos/stable/other.ext\n",
    );
    let command = mac.installer(&["--for", "fleet"]);
    refused(&mac, command, "/opt/orbit/extensions.load is not empty");
    // An empty one is what orbit leaves when the server sends none.
    mac.write("opt/orbit/extensions.load", "");
    let before = mac.tree();
    succeed(mac.installer(&["--for", "fleet"]).output().unwrap());
    assert_eq!(
        mac.read("var/osquery/extensions.load"),
        "/opt/dsplug/bin/dsplug.ext\n"
    );
    assert!(
        !mac.path("var/osquery/osquery.flags").exists(),
        "the flags are Fleet's"
    );
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn who_runs_osqueryd_is_found_out() {
    for (stands, host) in [
        ("opt/orbit/bin/orbit/macos/stable/orbit", "fleet"),
        ("etc/kolide-k2/launcher.flags", "kolide"),
        ("Library/Elastic/Agent/elastic-agent", "elastic"),
    ] {
        let mac = Mac::new();
        fs::remove_dir_all(mac.path("opt/osquery")).unwrap();
        mac.write(stands, "");
        mac.install();
        assert_eq!(mac.read("var/db/dsplug/receipts/host"), format!("{host}\n"));
        assert!(!mac.path("var/osquery/osquery.flags").exists(), "{host}");
        assert_eq!(
            mac.path("var/osquery/extensions.load").exists(),
            host != "elastic",
            "{host}"
        );
    }
}

#[test]
fn fleets_script_leaves_orbit_running() {
    if !needs_root("Fleet's scripts run as root") {
        return;
    }
    let fleet = |mac: &Mac| mac.command(&source("fleet/install.sh"), &[]);
    let mac = Mac::new();
    mac.shim("installer", "exit 0");
    mac.shim("sleep", "exit 0");
    mac.write("opt/orbit/extensions.load", "/other.ext\n");
    let command = fleet(&mac);
    refused(&mac, command, "ships extensions already");
    fs::remove_file(mac.path("opt/orbit/extensions.load")).unwrap();

    let command = fleet(&mac);
    refused(&mac, command, "fill in url and sha256");
    succeed(
        fleet(&mac)
            .env("INSTALLER_PATH", "/tmp/dsplug-1.pkg")
            .output()
            .unwrap(),
    );
    let calls = mac.calls();
    assert_eq!(calls[0], "installer -pkg /tmp/dsplug-1.pkg -target DESTDIR");
    // What restarts orbit waits first, and is not waited for.
    let wait = |call: &str| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !mac.calls().iter().any(|c| c == call) {
            assert!(
                std::time::Instant::now() < deadline,
                "{call}: {:?}",
                mac.calls()
            );
            std::thread::yield_now();
        }
    };
    wait("sleep 10");
    wait("launchctl kickstart -k system/com.fleetdm.orbit");

    succeed(mac.installer(&["--for", "fleet"]).output().unwrap());
    succeed(
        mac.command(&source("fleet/uninstall.sh"), &[])
            .output()
            .unwrap(),
    );
    assert!(!mac.path("opt/dsplug").exists());
    let output = mac
        .command(&source("fleet/uninstall.sh"), &[])
        .output()
        .unwrap();
    assert_eq!(succeed(output), "dsplug is not installed\n");
}

/// The scripts of the package, laid out as install/release lays them out.
#[test]
fn the_package_installs_as_the_installer_does() {
    let mac = Mac::with_admin();
    let scripts = mac.aside.path().join("scripts");
    let dsplug = scripts.join("dsplug");
    fs::create_dir_all(dsplug.join("install")).unwrap();
    fs::create_dir(dsplug.join("packs")).unwrap();
    fs::copy(source("pkg/preinstall"), scripts.join("preinstall")).unwrap();
    fs::copy(source("pkg/postinstall"), scripts.join("postinstall")).unwrap();
    for name in ["install.sh", "uninstall.sh", "common.sh"] {
        fs::copy(source(name), dsplug.join("install").join(name)).unwrap();
    }
    fs::copy(
        mac.aside.path().join("dsplug.ext"),
        dsplug.join("dsplug.ext"),
    )
    .unwrap();
    fs::copy(
        mac.aside.path().join("dsplug.conf"),
        dsplug.join("packs/dsplug.conf"),
    )
    .unwrap();
    let sums = Command::new("sha256sum")
        .arg("dsplug.ext")
        .current_dir(&dsplug)
        .output()
        .unwrap();
    fs::write(dsplug.join("SHA256SUMS"), succeed(sums)).unwrap();

    let twin = mac.twin();
    twin.install();
    let disk = mac.disk.path().display().to_string();
    let run = |script: &str| {
        // As macOS Installer calls it, with another volume as the target.
        let mut command = mac.command(&scripts.join(script), &["dsplug.pkg", &disk, &disk, "/"]);
        command.env_remove("DESTDIR");
        command
    };
    let before = mac.tree();
    succeed(run("preinstall").output().unwrap());
    assert_same(&mac.tree(), &before);
    succeed(run("postinstall").output().unwrap());
    assert_same(&mac.tree(), &twin.tree());
    mac.uninstall();

    fs::write(dsplug.join("dsplug.ext"), "another binary").unwrap();
    refused(&mac, run("preinstall"), "does not match SHA256SUMS");
    fs::set_permissions(mac.path("opt"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(dsplug.join("dsplug.ext"), "the first binary").unwrap();
    refused(&mac, run("preinstall"), "/opt/ is writable by everyone");
}

#[test]
fn elastic_gets_the_binary_alone() {
    let mac = Mac::new();
    let before = mac.tree();
    succeed(mac.installer(&["--for", "elastic"]).output().unwrap());
    assert!(mac.path("opt/dsplug/bin/dsplug.ext").is_file());
    assert_eq!(fs::read_dir(mac.path("var/osquery")).unwrap().count(), 0);
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn macos_commands_are_called_so_and_not_otherwise() {
    let mac = Mac::new();
    mac.install();
    let calls = mac.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(
        calls[0].starts_with("codesign --verify --strict "),
        "{calls:?}"
    );
    assert_eq!(
        calls[1],
        "xattr -d com.apple.quarantine DESTDIR/opt/dsplug/bin/dsplug.ext"
    );

    succeed(mac.installer(&["--restart"]).output().unwrap());
    assert_eq!(
        mac.calls().last().unwrap(),
        "launchctl kickstart -k system/io.osquery.agent"
    );

    succeed(mac.uninstaller(&["--restart"]).output().unwrap());
    assert_eq!(
        mac.calls()[mac.calls().len() - 3..],
        [
            "pkgutil --volume DESTDIR --pkg-info com.dsplug.pkg",
            "pkgutil --volume DESTDIR --forget com.dsplug.pkg",
            "launchctl kickstart -k system/io.osquery.agent",
        ]
    );
}

/// Each script says of itself what it does, and of a run that had nothing to do that it had nothing.
#[test]
fn what_is_said_is_so() {
    let mac = Mac::new();
    for (script, word) in [
        ("install.sh", "change nothing"),
        ("uninstall.sh", "change nothing"),
    ] {
        let help = succeed(mac.command(&source(script), &["--help"]).output().unwrap());
        assert!(help.contains(word), "{help}");
    }
    assert!(
        mac.install().contains(
            "write DESTDIR/opt/dsplug/bin/dsplug.ext"
                .replace("DESTDIR", &mac.disk.path().display().to_string())
                .as_str()
        )
    );
    assert_eq!(
        mac.install(),
        "nothing to change: dsplug is installed as this release has it\n"
    );
    assert!(mac.uninstall().contains("launchctl kickstart"));
    assert_eq!(
        mac.uninstall(),
        "nothing to remove: dsplug is not installed here\n"
    );
}
