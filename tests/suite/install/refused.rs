//! What is refused, and leaves everything as it was.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::mac::{Mac, refused, source, succeed};
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

/// One mark stands behind the mode, and that of extended attributes hides that of a list.
#[test]
fn an_access_control_list_is_seen_behind_any_mark() {
    // As macOS prints them: ls(1) there shows the entries with -e, a line each.
    let pretend = |mac: &Mac, mark: &str, entries: &str| {
        let osquery = mac.path("var/osquery").display().to_string();
        mac.shim(
            "ls",
            &format!(
                "for last; do :; done\ncase $1:$last in\n-ldn:{osquery}/) /bin/ls \"$@\" | sed 's/^\\(..........\\)[.+@]*/\\1{mark}/' ;;\n\
                 -lde:*) {entries} ;;\n*) exec /bin/ls \"$@\" ;;\nesac"
            ),
        );
    };
    let list = |entry: &str| format!("/bin/ls -ld \"$last\"; echo ' 0: {entry}'");
    for mark in ["+", "@"] {
        for entry in [
            "user:mallory allow add_file,delete_child,write",
            "group:everyone inherited allow list,delete",
            "user:mallory allow chown",
        ] {
            let mac = Mac::with_admin();
            pretend(&mac, mark, &list(entry));
            refused(&mac, mac.installer(&[]), "lets others write");
        }
        let mac = Mac::with_admin();
        pretend(&mac, mark, "exit 1");
        refused(&mac, mac.installer(&[]), "cannot be read");
        for entry in ["group:everyone deny delete", "user:bob allow list,search"] {
            let mac = Mac::with_admin();
            pretend(&mac, mark, &list(entry));
            mac.install();
        }
    }
}

/// Runs the cure that a refusal names, in each shell that there is, and says what stands in the folder then.
fn pasted(mac: &Mac, command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let cure = errors.lines().find_map(|line| line.split_once("cure: "));
    let cure = cure.unwrap_or_else(|| panic!("{errors}")).1;
    let folder = mac.aside.path().join("pasted");
    fs::create_dir_all(&folder).unwrap();
    for shell in ["sh", "bash", "zsh", "fish"] {
        let mut paste = Command::new(shell);
        let _ = paste.args(["-c", cure]).current_dir(&folder).output();
    }
    let found = fs::read_dir(folder).unwrap();
    found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_cure_that_is_pasted_runs_nothing_that_a_volume_is_called() {
    for name in [
        "Vol'; touch PWN; echo '",
        r"Vol\'; touch PWN;#",
        "Vol$(touch PWN)",
    ] {
        let mac = Mac::new();
        let volume = mac.path(name);
        fs::create_dir_all(volume.join("var/osquery")).unwrap();
        let folder = volume.join("var/osquery");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let mut command = mac.installer(&[]);
        assert_eq!(
            pasted(&mac, command.env("DESTDIR", &volume)),
            [""; 0],
            "{name}"
        );
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "the cure of {name}");
        let mac = Mac::new();
        mac.write(
            "var/osquery/osquery.flags",
            &format!("--config_path=/opt/{name}/osquery.conf\n"),
        );
        mac.write(&format!("opt/{name}/osquery.conf"), "");
        let folder = mac.path(&format!("opt/{name}"));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(pasted(&mac, &mut mac.installer(&[])), [""; 0], "{name}");
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "the cure of {name}");
    }
}

/// A terminal obeys some of what it is told to show.
#[test]
fn no_control_character_of_a_volume_is_printed() {
    let odd = "a\u{1b}[31m\u{7}\u{9b}31m\u{202e}b";
    let said = |mut command: Command| {
        let output = command.output().unwrap();
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8(text).unwrap();
            let misleads = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(misleads), "{text:?}");
        }
        output.status.success()
    };
    for flag in ["config_plugin", "extensions_timeout", "verbose"] {
        let mac = Mac::new();
        mac.write("var/osquery/osquery.flags", &format!("--{flag}={odd}\n"));
        assert!(said(mac.installer(&["--dry-run"])));
        assert!(said(mac.installer(&[])));
    }
    for flag in ["config_path", "extensions_autoload"] {
        for path in [
            odd.to_owned(),
            format!("/opt/{odd}/x"),
            format!("/opt/../{odd}"),
        ] {
            let mac = Mac::new();
            mac.write("var/osquery/osquery.flags", &format!("--{flag}={path}\n"));
            assert!(!said(mac.installer(&["--dry-run"])), "{path}");
            assert!(!said(mac.installer(&[])), "{path}");
        }
    }
    for (name, text) in [
        ("journal/0001.operation", format!("put\n/etc/{odd}\n")),
        (&format!("receipts/{odd}"), String::new()),
        ("receipts/directories", format!("/opt/{odd}/../x\n")),
    ] {
        let mac = Mac::new();
        mac.write(&format!("var/db/dsplug/{name}"), &text);
        said(mac.installer(&[]));
        said(mac.uninstaller(&[]));
    }
    let mac = Mac::new();
    let volume = mac.path(odd);
    fs::create_dir_all(volume.join("var/osquery")).unwrap();
    let mut command = mac.installer(&[]);
    command.env("DESTDIR", &volume);
    assert!(!said(command));
    said(mac.installer(&["--for", odd]));
    said(mac.uninstaller(&[odd]));
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

/// A Mac with dsplug, whose list of extensions stands in a folder that others can write since, and in
/// it a link to a file of root's at the name that a new list would have.
fn with_a_folder_that_became_anothers() -> Mac {
    let mac = Mac::with_admin();
    mac.write("usr/local/etc/osq/extensions.load", "/opt/other.ext\n");
    mac.write(
        "var/osquery/osquery.flags",
        "--extensions_autoload=/usr/local/etc/osq/extensions.load\n",
    );
    mac.install();
    mac.write("etc/victim", "root's own\n");
    plant(&mac, "usr/local/etc/osq");
    mac
}

/// Lets everybody write a folder, and has somebody plant the link there.
fn plant(mac: &Mac, folder: &str) {
    fs::set_permissions(mac.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
    symlink(mac.path("etc/victim"), mac.path(folder).join(".dsplug.new")).unwrap();
}

/// Nobody else can write any more: what was refused is done, and root's own file was never touched.
fn uninstalls_once_the_folder_is_roots(mac: &Mac) {
    let folder = mac.path("usr/local/etc/osq");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    mac.uninstall();
    assert_eq!(mac.read("etc/victim"), "root's own\n");
    assert_eq!(
        mac.read("usr/local/etc/osq/extensions.load"),
        "/opt/other.ext\n"
    );
}

#[test]
fn the_uninstaller_writes_nothing_where_others_can_write_by_now() {
    let mac = with_a_folder_that_became_anothers();
    let command = mac.uninstaller(&[]);
    refused(&mac, command, "osq/ is writable by everyone");
    let command = mac.uninstaller(&["--dry-run"]);
    refused(&mac, command, "osq/ is writable by everyone");
    uninstalls_once_the_folder_is_roots(&mac);
}

/// A directory that the installer made is not removed where somebody may have put a link on the way.
#[test]
fn the_uninstaller_removes_no_directory_behind_a_link() {
    let mac = Mac::new();
    mac.write("usr/local/etc/.keep", "");
    mac.write(
        "var/osquery/osquery.flags",
        "--extensions_autoload=/usr/local/etc/osq/load/extensions.load\n",
    );
    mac.install();
    fs::remove_dir_all(mac.path("usr/local/etc/osq")).unwrap();
    fs::create_dir_all(mac.path("etc/precious/load")).unwrap();
    symlink(mac.path("etc/precious"), mac.path("usr/local/etc/osq")).unwrap();
    let command = mac.uninstaller(&[]);
    refused(&mac, command, "osq is a symbolic link");
}

/// What a run that was killed had changed is not undone through somebody's link either.
#[test]
fn nothing_is_undone_where_others_can_write_by_now() {
    let cut_short = |mac: &Mac| {
        let steps = (0..).find(|steps| {
            let mut run = mac.uninstaller(&[]);
            let run = run.env("DSPLUG_INSTALL_STOP_AFTER", steps.to_string());
            assert!(!run.output().unwrap().status.success());
            let Ok(mut journal) = fs::read_dir(mac.path("var/db/dsplug/journal")) else {
                return false;
            };
            let named = |entry: fs::DirEntry| {
                let path = entry.path();
                path.extension().is_some_and(|e| e == "operation")
                    && fs::read_to_string(path).unwrap().contains("osq/extensions")
            };
            journal.any(|e| named(e.unwrap()))
        });
        assert!(steps.is_some());
    };
    for again in ["install.sh", "uninstall.sh"] {
        let mac = with_a_folder_that_became_anothers();
        let folder = mac.path("usr/local/etc/osq");
        fs::remove_file(folder.join(".dsplug.new")).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        cut_short(&mac);
        fs::remove_file(mac.path("var/db/dsplug/lock")).unwrap();
        let _ = fs::remove_file(folder.join(".dsplug.new"));
        plant(&mac, "usr/local/etc/osq");
        let command = match again {
            "install.sh" => mac.installer(&[]),
            _ => mac.uninstaller(&[]),
        };
        refused(&mac, command, "osq/ is writable by everyone");
        uninstalls_once_the_folder_is_roots(&mac);
    }
}

/// Each operation asks for itself, whatever its script has asked before.
#[test]
fn no_operation_trusts_a_place_that_others_can_write() {
    for operation in [
        "put /dev/null /usr/local/file 0644",
        "put /dev/null /usr/local/file keep",
        "edit /dev/null /usr/local/file whole",
        "remove /usr/local/file",
        "make_directory /usr/local/made",
    ] {
        let mac = Mac::new();
        mac.write("usr/local/file", "theirs");
        mac.write("etc/victim", "root's own\n");
        plant(&mac, "usr/local");
        let script = format!(
            ". {}; begin; lock; open_journal; make_directory $RECEIPTS; {operation}",
            source("common.sh").display()
        );
        let command = mac.command(Path::new("-c"), &[&script]);
        refused(&mac, command, "local/ is writable by everyone");
    }
}

/// What stands at the name of a file to come goes; it is never written through.
#[test]
fn a_new_file_is_written_through_nothing() {
    let mac = Mac::with_admin();
    mac.write("etc/victim", "root's own\n");
    fs::create_dir_all(mac.path("opt/dsplug/bin")).unwrap();
    for folder in ["var/osquery", "var/osquery/packs", "opt/dsplug/bin"] {
        plant(&mac, folder);
        fs::set_permissions(mac.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    mac.install();
    assert_eq!(mac.read("etc/victim"), "root's own\n");
    assert_eq!(mac.read("opt/dsplug/bin/dsplug.ext"), "the first binary");
    for path in [
        "opt/dsplug/bin/dsplug.ext",
        "var/osquery/osquery.flags",
        "var/osquery/extensions.load",
        "var/osquery/packs/dsplug.conf",
    ] {
        let meta = fs::symlink_metadata(mac.path(path)).unwrap();
        assert!(meta.is_file(), "{path}");
    }
}

/// A draft that was checked cannot be exchanged by whoever owns the temporary directory.
#[test]
fn drafts_are_made_where_nobody_can_exchange_them() {
    let mac = Mac::new();
    let place = mac.aside.path().join("tmp");
    let made_in = |place: &Path| {
        let script = format!(
            ". {}; begin; echo \"$STAGE\"",
            source("common.sh").display()
        );
        let mut command = mac.command(Path::new("-c"), &[&script]);
        let stage = succeed(command.env("TMPDIR", place).output().unwrap());
        Path::new(stage.trim()).parent().unwrap().to_owned()
    };
    assert_eq!(made_in(&place), place);
    for (mode, trusted) in [(0o777, false), (0o775, false), (0o1777, true)] {
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(made_in(&place) == place, trusted, "{mode:o}");
    }
    assert_eq!(made_in(&place.join("missing")), Path::new("/tmp"));
    if needs_root("giving a directory away needs root") {
        std::os::unix::fs::chown(&place, Some(501), Some(20)).unwrap();
        assert_eq!(made_in(&place), Path::new("/tmp"));
    }
}

#[test]
fn flags_that_name_a_directory_are_refused() {
    for flag in ["config_path", "extensions_autoload"] {
        let mac = Mac::new();
        mac.write(
            "var/osquery/osquery.flags",
            &format!("--{flag}=/opt/our/own/\n"),
        );
        refused(&mac, mac.installer(&[]), "cure: name plain absolute paths");
    }
}

#[test]
fn flags_that_give_one_file_two_roles_are_refused() {
    for flags in [
        "--extensions_autoload=/etc/osq/one\n--config_path=/etc//osq/one\n",
        "--extensions_autoload=/etc/osq/main.conf.d/dsplug.conf\n--config_path=/etc/osq/main.conf\n",
        "--extensions_autoload=/var/osquery/osquery.flags\n",
        "--config_path=/var/osquery/packs/./dsplug.conf\n",
    ] {
        let mac = Mac::new();
        mac.write("var/osquery/osquery.flags", flags);
        refused(&mac, mac.installer(&[]), "names one file for two things");
    }
}

/// To gflags an empty value is a value.
#[test]
fn a_flag_without_a_value_is_not_taken_for_one_that_is_not_given() {
    for (flag, why) in [
        ("extensions_autoload", "osqueryd starts no extension"),
        ("config_path", "osqueryd reads no configuration"),
        ("config-plugin", "osqueryd reads no configuration"),
        ("extensions_timeout", "osqueryd does not start"),
    ] {
        let mac = Mac::new();
        let flags = format!("--{flag}=/x\n--{flag}=\n");
        mac.write("var/osquery/osquery.flags", &flags);
        refused(&mac, mac.installer(&[]), why);
    }
    // A line without `=` is none where a value is asked for.
    let mac = Mac::new();
    mac.write(
        "var/osquery/osquery.flags",
        "--config_path\n--extensions_autoload\n",
    );
    mac.install();
    assert!(mac.path("var/osquery/extensions.load").is_file());
}

/// `ProcessOptionsFromStringLocked` of gflags: lines that it takes for others than they seem.
#[test]
fn flags_that_osqueryd_would_not_see_are_refused() {
    for (flags, why) in [
        ("--utc=true\nzzz\n", "zzz is no flag and no comment"),
        ("\u{feff}--utc=true\n", "is no flag and no comment"),
        ("--utc=true\n# end\r\n", "ends lines in two ways"),
        ("--utc=true\r--verbose\n", "ends lines in two ways"),
        ("--utc=true\0\n", "holds a NUL"),
        ("--config_path=/etc/x \n", "ends in a blank"),
    ] {
        let mac = Mac::new();
        mac.write("var/osquery/osquery.flags", flags);
        refused(&mac, mac.installer(&[]), why);
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
fn what_could_not_be_updated_is_not_installed() {
    for (name, most) in [("dsplug.conf", 1 << 20), ("dsplug.ext", 64 << 20)] {
        let mac = Mac::new();
        let file = mac.aside.path().join(name);
        let file = fs::OpenOptions::new().append(true).open(file).unwrap();
        file.set_len(most + 1).unwrap();
        let text =
            format!("{name} has more than {most} bytes: it could be installed and not updated");
        refused(&mac, mac.installer(&[]), &text);
        file.set_len(most).unwrap();
        mac.install();
        mac.install();
    }
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
