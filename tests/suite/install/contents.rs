//! What the installer writes, and what the uninstaller gives back.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::mac::{Mac, assert_same, source, succeed};
use dsplug::table::TABLES;
use dsplug_fixtures::{needs_root, skipped};

#[test]
fn a_bare_mac_gets_exactly_these_files() {
    let mac = Mac::new();
    let before = mac.tree();
    mac.install();

    let directory = |path: &str| (PathBuf::from(path), (0o040_755, Vec::new()));
    let file = |path: &str, mode: u32, text: &str| {
        (
            PathBuf::from(path),
            (0o100_000 | mode, text.as_bytes().to_vec()),
        )
    };
    let script = |name: &str| fs::read_to_string(source(name)).unwrap();
    let mut expected = before.clone();
    expected.extend([
        directory("opt/dsplug"),
        directory("opt/dsplug/bin"),
        file("opt/dsplug/bin/dsplug.ext", 0o755, "the first binary"),
        directory("opt/dsplug/share"),
        directory("opt/dsplug/share/install"),
        file(
            "opt/dsplug/share/install/common.sh",
            0o644,
            &script("common.sh"),
        ),
        file(
            "opt/dsplug/share/install/uninstall.sh",
            0o755,
            &script("uninstall.sh"),
        ),
        file(
            "var/osquery/extensions.load",
            0o644,
            "/opt/dsplug/bin/dsplug.ext\n",
        ),
        file(
            "var/osquery/osquery.flags",
            0o644,
            "--extensions_require=dsplug\n--extensions_timeout=10\n",
        ),
        file("var/osquery/osquery.conf", 0o644, "{}\n"),
        directory("var/osquery/osquery.conf.d"),
        file(
            "var/osquery/osquery.conf.d/dsplug.conf",
            0o644,
            "{\"packs\": {\"dsplug\": \"/var/osquery/packs/dsplug.conf\"}}\n",
        ),
        directory("var/osquery/packs"),
        file(
            "var/osquery/packs/dsplug.conf",
            0o644,
            "{\"queries\": {}}\n",
        ),
    ]);
    let mut found = mac.tree();
    // The receipts are the scripts' own matter.
    found.retain(|path, _| !path.starts_with("var/db/dsplug"));
    assert_same(&found, &expected);

    mac.uninstall();
    assert_same(&mac.tree(), &before);
    assert_eq!(
        fs::read_dir(mac.aside.path().join("tmp")).unwrap().count(),
        0,
        "drafts left behind"
    );
}

#[test]
fn what_the_admin_wrote_stays_and_comes_back() {
    let mac = Mac::with_admin();
    let before = mac.tree();
    mac.install();
    assert_eq!(
        mac.read("var/osquery/osquery.flags"),
        "--verbose=false\r\n--extensions_require=other,more,dsplug\n# end\n--extensions_timeout=10\n"
    );
    assert_eq!(
        mac.read("var/osquery/extensions.load"),
        "# mine\n/opt/other/other.ext\n/opt/dsplug/bin/dsplug.ext\n"
    );
    assert_eq!(
        mac.read("var/osquery/osquery.conf"),
        "// a comment\n{\"options\": {}}"
    );
    assert_eq!(
        mac.path("var/osquery/osquery.flags")
            .metadata()
            .unwrap()
            .mode()
            & 0o777,
        0o640
    );
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn again_and_update_change_only_what_is_new() {
    let mac = Mac::with_admin();
    let before = mac.tree();
    mac.install();
    let installed = mac.tree();
    let inode = mac
        .path("opt/dsplug/bin/dsplug.ext")
        .metadata()
        .unwrap()
        .ino();
    let said = mac.install();
    assert!(!said.contains("replace"), "{said}");
    assert_same(&mac.tree(), &installed);
    assert_eq!(
        mac.path("opt/dsplug/bin/dsplug.ext")
            .metadata()
            .unwrap()
            .ino(),
        inode
    );

    // osqueryd may be running the old file: the new one must be another inode.
    let running = fs::File::open(mac.path("opt/dsplug/bin/dsplug.ext")).unwrap();
    mac.aside("dsplug.ext", "the second binary");
    mac.install();
    let mut expected = installed;
    expected.insert(
        "opt/dsplug/bin/dsplug.ext".into(),
        (0o100_755, b"the second binary".to_vec()),
    );
    assert_same(&mac.tree(), &expected);
    assert_eq!(
        std::io::read_to_string(running).unwrap(),
        "the first binary"
    );
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn a_line_that_is_there_already_is_not_added_and_not_taken() {
    let mac = Mac::new();
    mac.write(
        "var/osquery/extensions.load",
        "/opt/dsplug/bin/dsplug.ext\n",
    );
    mac.write(
        "var/osquery/osquery.flags",
        "--extensions_timeout=30\n-extensions_require=dsplug\n",
    );
    let before = mac.tree();
    mac.install();
    assert_eq!(
        mac.read("var/osquery/extensions.load"),
        "/opt/dsplug/bin/dsplug.ext\n"
    );
    assert_eq!(
        mac.read("var/osquery/osquery.flags"),
        "--extensions_timeout=30\n-extensions_require=dsplug\n"
    );
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn extensions_load_names_dsplug_once() {
    let mac = Mac::new();
    mac.write(
        "var/osquery/extensions.load",
        "/usr/local/bin/dsplug.ext\n/opt/other.ext\n  /opt/dsplug/bin/dsplug.ext \n#/old/dsplug.ext\n",
    );
    let before = mac.tree();
    mac.install();
    assert_eq!(
        mac.read("var/osquery/extensions.load"),
        "/opt/dsplug/bin/dsplug.ext\n/opt/other.ext\n#/old/dsplug.ext\n"
    );
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn flags_may_name_other_files() {
    let mac = Mac::new();
    mac.write(
        "var/osquery/osquery.flags",
        "--extensions_autoload=/etc/osquery/load\n--config_path=/etc/osquery/main.conf\n",
    );
    mac.write("etc/osquery/main.conf", "{}");
    let before = mac.tree();
    mac.install();
    assert_eq!(mac.read("etc/osquery/load"), "/opt/dsplug/bin/dsplug.ext\n");
    assert!(mac.path("etc/osquery/main.conf.d/dsplug.conf").is_file());
    assert!(!mac.path("var/osquery/extensions.load").exists());
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn a_configuration_may_be_named_in_a_directory_that_is_not_there_yet() {
    let mac = Mac::new();
    mac.write(
        "var/osquery/osquery.flags",
        "--config_path=/opt/our/own/main.conf\n",
    );
    let before = mac.tree();
    mac.install();
    assert_eq!(mac.read("opt/our/own/main.conf"), "{}\n");
    assert!(mac.path("opt/our/own/main.conf.d/dsplug.conf").is_file());
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn a_server_that_configures_osqueryd_keeps_the_pack() {
    let mac = Mac::new();
    mac.write("var/osquery/osquery.flags", "--config_plugin=tls\n");
    let output = mac.installer(&[]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("from 'tls'"));
    assert!(output.status.success());
    assert!(!mac.path("var/osquery/packs").exists());
    assert!(!mac.path("var/osquery/osquery.conf").exists());
}

#[test]
fn edits_made_since_survive_the_uninstaller() {
    let mac = Mac::with_admin();
    mac.install();
    let flags = mac.read("var/osquery/osquery.flags");
    mac.write("var/osquery/osquery.flags", &format!("{flags}--utc=true\n"));
    mac.write(
        "var/osquery/extensions.load",
        "/opt/dsplug/bin/dsplug.ext\n/opt/new/new.ext\n",
    );
    // A second run of the installer must not take the new lines for its own.
    mac.aside("dsplug.ext", "the second binary");
    mac.install();
    mac.uninstall();
    assert_eq!(
        mac.read("var/osquery/osquery.flags"),
        "--verbose=false\r\n--extensions_require=other,more\n# end\n--utc=true\n"
    );
    assert_eq!(
        mac.read("var/osquery/extensions.load"),
        "/opt/new/new.ext\n"
    );
    assert_eq!(mac.read("var/osquery/packs/dsplug.conf"), "an older pack");
}

#[test]
fn files_made_for_us_and_used_by_the_admin_since_stay() {
    let mac = Mac::new();
    mac.install();
    mac.write(
        "var/osquery/osquery.conf",
        "{\"options\": {\"utc\": true}}\n",
    );
    mac.write(
        "var/osquery/osquery.flags",
        "--extensions_require=dsplug\n--extensions_timeout=10\n--utc=true\n",
    );
    mac.write("var/osquery/packs/other.conf", "{}");
    mac.uninstall();
    assert_eq!(
        mac.read("var/osquery/osquery.conf"),
        "{\"options\": {\"utc\": true}}\n"
    );
    assert_eq!(mac.read("var/osquery/osquery.flags"), "--utc=true\n");
    assert!(mac.path("var/osquery/packs/other.conf").is_file());
    assert!(!mac.path("var/osquery/packs/dsplug.conf").exists());
    assert!(!mac.path("opt/dsplug").exists());
    assert!(!mac.path("var/db/dsplug").exists());
}

/// gflags takes a dash in a name for an underscore, and all after the first carriage return for lines that end so.
#[test]
fn flags_are_read_as_osqueryd_reads_them() {
    let mac = Mac::new();
    let flags = "--extensions-autoload=/etc/osq/load\r\n-extensions-require=other\r\n--extensions-timeout=30\r\n--utc\r\n";
    mac.write("var/osquery/osquery.flags", flags);
    let before = mac.tree();
    mac.install();
    assert_eq!(mac.read("etc/osq/load"), "/opt/dsplug/bin/dsplug.ext\n");
    assert_eq!(
        mac.read("var/osquery/osquery.flags"),
        flags.replace("=other", "=other,dsplug")
    );
    let twin = mac.twin();
    mac.uninstall();
    assert_same(&mac.tree(), &before);

    let edited = twin.read("var/osquery/osquery.flags") + "--verbose\r\n";
    twin.write("var/osquery/osquery.flags", &edited);
    twin.uninstall();
    let left = format!("{flags}--verbose\r\n");
    assert_eq!(twin.read("var/osquery/osquery.flags"), left);
}

#[test]
fn extensions_that_are_disabled_are_told_in_every_word_for_it() {
    for (flags, is_told) in [
        ("--disable_extensions", true),
        ("--disable-extensions=t", true),
        ("--disable_extensions=Yes", true),
        ("--disable_extensions=y", true),
        ("--disable_extensions=TRUE", true),
        ("--disable_extensions\n--nodisable_extensions", false),
        ("--disable_extensions=false", false),
    ] {
        let mac = Mac::new();
        mac.write("var/osquery/osquery.flags", &format!("{flags}\n"));
        let output = mac.installer(&["--dry-run"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            said.contains("no extension runs"),
            is_told,
            "{flags}: {said}"
        );
    }
}

#[test]
fn flags_that_silence_what_is_installed_are_told() {
    let tables: Vec<&str> = TABLES.iter().map(|table| table.name()).collect();
    let all = tables.join(", ");
    let all_but_one = tables[1..].join(",");
    let left_out = format!("leaves {} out", tables[0]);
    for (flags, told) in [
        ("--enable-tables=time", "leaves dsplug_bundles out"),
        (&format!("--enable_tables={all_but_one}"), &left_out),
        (&format!("--enable_tables={all},time"), ""),
        ("--enable_tables=", ""),
        (
            "--disable_tables=time,dsplug_events",
            "leaves dsplug_events out",
        ),
        ("--disable_tables=dsplug_event", ""),
        ("--disable-logging", "logs no line"),
        ("--disable_logging\n--nodisable_logging", ""),
        ("--config_path=\n--config-plugin=tls", "add the pack there"),
    ] {
        let mac = Mac::new();
        mac.write("var/osquery/osquery.flags", &format!("{flags}\n"));
        let output = mac.installer(&["--dry-run"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{flags}: {said}");
        assert!(said.contains(told), "{flags}: {said}");
        assert_eq!(said.is_empty(), told.is_empty(), "{flags}: {said}");
    }
}

/// What a file is to the installer goes by what it did there, never by what the flags call the file.
#[test]
fn a_list_of_extensions_may_have_any_name() {
    for name in ["ext.conf", "x.flags", "dsplug.conf", "list"] {
        for is_older in [false, true] {
            let mac = Mac::new();
            let load = format!("etc/osq.d/{name}");
            mac.write(
                "var/osquery/osquery.flags",
                &format!("--extensions_autoload=/{load}\n"),
            );
            mac.write(&load, "/opt/other/other.ext\n");
            mac.install();
            mac.write(&load, &format!("{}/opt/third/third.ext\n", mac.read(&load)));
            if is_older {
                forget_roles(&mac);
            }
            mac.uninstall();
            let left = "/opt/other/other.ext\n/opt/third/third.ext\n";
            assert_eq!(mac.read(&load), left, "{name}, {is_older}");
            assert!(!mac.path("var/db/dsplug").exists());
        }
    }
}

#[test]
fn a_configuration_of_the_admins_stays_whatever_it_is_called() {
    for config in [
        "etc/osq/dsplug.conf",
        "etc/x.d/dsplug.conf",
        "etc/osq/plain",
    ] {
        for is_older in [false, true] {
            let mac = Mac::new();
            mac.write(
                "var/osquery/osquery.flags",
                &format!("--config_path=/{config}\n"),
            );
            mac.install();
            let wrote = "{\"schedule\": {\"mine\": {\"query\": \"SELECT 1\", \"interval\": 60}}}\n";
            mac.write(config, wrote);
            if is_older {
                forget_roles(&mac);
            }
            mac.uninstall();
            assert_eq!(mac.read(config), wrote, "{config}, {is_older}");
            assert!(!mac.path(&format!("{config}.d")).exists(), "{config}");
            assert!(!mac.path("var/osquery/packs").exists());
        }
    }
}

/// Earlier releases wrote no roles: what they left is updated and taken away like the rest.
#[test]
fn an_installation_without_roles_is_updated_and_removed() {
    let mac = Mac::with_admin();
    let before = mac.tree();
    mac.install();
    forget_roles(&mac);
    let role = "var/db/dsplug/receipts/var%osquery%extensions.load.role";
    assert!(!mac.path(role).exists());
    mac.install();
    assert_eq!(mac.read(role), "load\n");
    forget_roles(&mac);
    mac.write("var/osquery/packs/dsplug.conf", "edited since");
    mac.write(
        "var/osquery/osquery.conf.d/dsplug.conf",
        "{\"packs\": {\"dsplug\": \"/elsewhere\"}}",
    );
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

/// Takes away what earlier releases did not write.
fn forget_roles(mac: &Mac) {
    for entry in fs::read_dir(mac.path("var/db/dsplug/receipts")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "role") {
            fs::remove_file(path).unwrap();
        }
    }
}

/// Of the names of extensions that are required, what the admin wrote stays to the letter, wherever ours stands.
#[test]
fn our_name_alone_is_taken_from_those_that_are_required() {
    for (names, left) in [
        ("dsplug,other", "other"),
        ("other,dsplug,dsplug,dsplug,more", "other,more"),
        ("a&b,dsplug", "a&b"),
        (r"a\\b,,dsplug", r"a\\b,"),
        ("dsplugin,dsplug", "dsplugin"),
    ] {
        let mac = Mac::new();
        mac.install();
        mac.write(
            "var/osquery/osquery.flags",
            &format!("--utc=true\n--extensions_require={names}\n"),
        );
        mac.uninstall();
        assert_eq!(
            mac.read("var/osquery/osquery.flags"),
            format!("--utc=true\n--extensions_require={left}\n")
        );
    }
}

#[test]
fn a_dry_run_says_and_changes_nothing() {
    let mac = Mac::with_admin();
    let before = mac.tree();
    let said = succeed(mac.installer(&["--dry-run", "--restart"]).output().unwrap());
    assert!(said.contains("> --extensions_timeout=10"), "{said}");
    assert!(said.contains("would restart io.osquery.agent"), "{said}");
    assert_same(&mac.tree(), &before);
    mac.install();
    let installed = mac.tree();
    let said = succeed(mac.uninstaller(&["--dry-run"]).output().unwrap());
    assert!(said.contains("would remove"), "{said}");
    assert_same(&mac.tree(), &installed);
    assert!(
        !mac.calls().iter().any(|call| call.starts_with("launchctl")),
        "{:?}",
        mac.calls()
    );
}

/// Without a DESTDIR, as on a Mac: in a mount namespace of its own, with empty /opt and /var.
#[test]
fn without_a_destdir_it_is_the_same() {
    let script = r#"set -eu
mount -t tmpfs -o mode=755 none /opt
mount -t tmpfs -o mode=755 none /var
umask 022
mkdir -p /var/osquery /var/db /opt/osquery/lib/osquery.app
printf -- '--utc=true' > /var/osquery/osquery.flags
list() { find /opt /var -type f -exec sha256sum {} + | sort; find /opt /var | sort; }
list > "$1/before"
sh "$2" --binary "$1/dsplug.ext" --pack "$1/dsplug.conf"
cat /var/osquery/extensions.load > "$1/load"
sh /opt/dsplug/share/install/uninstall.sh
list > "$1/after"
"#;
    let mac = Mac::new();
    let unshare = |arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new("unshare");
        command
            .arg("-m")
            .args(arguments)
            .env_remove("DESTDIR")
            .env("TMPDIR", mac.aside.path().join("tmp"));
        command.output()
    };
    let installer = source("install.sh");
    let hidden = |path: &Path| path.starts_with("/opt") || path.starts_with("/var");
    if !unshare(&["true".as_ref()]).is_ok_and(|output| output.status.success())
        || hidden(&installer)
        || hidden(mac.aside.path())
    {
        skipped("no mount namespace can be had");
        return;
    }
    let arguments: [&std::ffi::OsStr; 6] = [
        "sh".as_ref(),
        "-c".as_ref(),
        script.as_ref(),
        "sh".as_ref(),
        mac.aside.path().as_ref(),
        installer.as_ref(),
    ];
    succeed(unshare(&arguments).unwrap());
    let read = |name: &str| fs::read_to_string(mac.aside.path().join(name)).unwrap();
    assert_eq!(read("load"), "/opt/dsplug/bin/dsplug.ext\n");
    assert_eq!(read("after"), read("before"));
}

#[test]
fn what_was_installed_is_well_to_the_doctor() {
    if !needs_root("the doctor wants root's files") {
        return;
    }
    let mac = Mac::new();
    fs::create_dir(mac.path("Library")).unwrap();
    let mut binary = vec![0xCA, 0xFE, 0xBA, 0xBE];
    binary.resize(9_000_000, 0);
    fs::write(mac.aside.path().join("dsplug.ext"), binary).unwrap();
    // Of the pack that stands there otherwise no query runs.
    let pack = include_str!("../../../packs/dsplug.conf");
    fs::write(mac.aside.path().join("dsplug.conf"), pack).unwrap();
    mac.install();
    let doctor = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["doctor", "--root"])
        .arg(mac.disk.path())
        .output()
        .unwrap();
    assert_eq!(succeed(doctor), "nothing is wrong\n");
}

#[test]
fn uninstalling_what_is_not_there_changes_nothing() {
    let mac = Mac::with_admin();
    let before = mac.tree();
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}

#[test]
fn the_installed_uninstaller_works_by_itself() {
    let mac = Mac::with_admin();
    let before = mac.tree();
    mac.install();
    let script = mac.path("opt/dsplug/share/install/uninstall.sh");
    succeed(mac.command(&script, &[]).output().unwrap());
    assert_same(&mac.tree(), &before);
}
