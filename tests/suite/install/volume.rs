//! A volume that somebody else has filled, as the installer's target: nothing outside of it is touched, and
//! nothing on it is waited for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::mac::{Mac, Tree, assert_same, refused, tree};
use dsplug_fixtures::{chmod, needs_root};

/// What stands beside the volume, and is nobody's but the running system's.
struct Beside {
    place: PathBuf,
    before: Tree,
}

impl Beside {
    fn of(mac: &Mac) -> Self {
        let place = mac.aside.path().join("victim");
        for folder in ["sudoers.d", "var/osquery", "var/db"] {
            fs::create_dir_all(place.join(folder)).unwrap();
        }
        fs::write(place.join("list"), "root's own\n").unwrap();
        let before = tree(&place);
        Self { place, before }
    }

    /// A way there that begins in the volume.
    fn way(&self, mac: &Mac, path: &str) -> String {
        let up = "/..".repeat(mac.disk.path().components().count());
        format!("{up}{}/{path}", self.place.display())
    }

    #[track_caller]
    fn is_untouched(&self) {
        assert_same(&tree(&self.place), &self.before);
    }
}

/// Both scripts refuse it, and their dry runs.
#[track_caller]
fn all_refuse(mac: &Mac, text: &str) {
    for arguments in [&[][..], &["--dry-run"]] {
        refused(mac, mac.installer(arguments), text);
        refused(mac, mac.uninstaller(arguments), text);
    }
}

/// Plants the journal of a run that was cut short.
fn journal(mac: &Mac, operation: &str, path: &str) {
    let entry = |end: &str| format!("var/db/dsplug/journal/0001.{end}");
    mac.write(&entry("operation"), &format!("{operation}\n{path}\n"));
    mac.write(&entry("before"), "ALL ALL=(ALL) NOPASSWD: ALL\n");
    mac.write(&entry("after"), "root's own\n");
}

#[test]
fn a_planted_journal_leads_nowhere_outside() {
    for operation in ["put", "remove", "mkdir"] {
        for name in ["sudoers.d/evil", "list", "sudoers.d"] {
            let mac = Mac::new();
            let beside = Beside::of(&mac);
            journal(&mac, operation, &beside.way(&mac, name));
            all_refuse(&mac, "0001.operation is about ");
            beside.is_untouched();
        }
    }
    // The name of another volume begins as its own does.
    let mac = Mac::new();
    journal(&mac, "put", "2/sudoers.d/evil");
    all_refuse(&mac, "0001.operation is about ");
}

/// Whatever a journal says, its undoing writes what the installer writes.
#[test]
fn a_planted_journal_changes_nothing_that_the_installer_does_not_write() {
    for (operation, path) in [
        ("put", "/etc/sudoers.d/evil"),
        ("remove", "/opt/dsplug/bin/other"),
        ("put", "/var/db/dsplug/receipts/deep/host"),
        ("mkdir", "/etc/sudoers.d"),
        ("mkdir", ""),
        ("chmod", "/opt/dsplug/bin/dsplug.ext"),
        ("", ""),
    ] {
        let mac = Mac::new();
        mac.write("etc/sudoers.d/.keep", "");
        journal(&mac, operation, path);
        all_refuse(&mac, "0001.operation is about ");
    }
    let mac = Mac::new();
    symlink("/etc/hostname", mac.path("var/osquery/osquery.flags")).unwrap();
    journal(&mac, "put", "/var/osquery/osquery.flags");
    all_refuse(&mac, "osquery.flags is a symbolic link");
}

/// The list and the configuration that the flags name are the installer's to undo as well.
#[test]
fn what_the_flags_name_is_undone() {
    for flag in ["extensions_autoload", "config_path"] {
        let mac = Mac::new();
        mac.write(
            "var/osquery/osquery.flags",
            &format!("--{flag}=/opt/our/file\n"),
        );
        mac.write("opt/our/file", "root's own\n");
        journal(&mac, "put", "/opt/our/file");
        mac.uninstall();
        assert_eq!(mac.read("opt/our/file"), "ALL ALL=(ALL) NOPASSWD: ALL\n");
    }
}

#[test]
fn only_the_systems_own_link_at_the_top_is_followed() {
    let mac = Mac::with_admin();
    fs::create_dir(mac.path("private")).unwrap();
    fs::rename(mac.path("var"), mac.path("private/var")).unwrap();
    symlink("private/var", mac.path("var")).unwrap();
    let before = mac.tree();
    mac.install();
    assert!(
        mac.read("private/var/osquery/osquery.flags")
            .contains("dsplug")
    );
    mac.uninstall();
    assert_same(&mac.tree(), &before);
    let beside = Beside::of(&mac);
    let place = beside.place.display().to_string();
    let relink = |to: &str| {
        fs::remove_file(mac.path("var")).unwrap();
        symlink(to, mac.path("var")).unwrap();
    };
    let up = "../".repeat(mac.disk.path().components().count());
    for to in [
        format!("{place}/var"),
        format!("{up}{place}/var"),
        "/private/var".to_owned(),
        "private/./var".to_owned(),
    ] {
        relink(&to);
        all_refuse(&mac, "/var is a symbolic link");
    }
    relink("private/var");
    // The way on from there is looked at as any other.
    fs::rename(mac.path("private/var"), mac.path("private/real")).unwrap();
    symlink(format!("{place}/var"), mac.path("private/var")).unwrap();
    all_refuse(&mac, "/private/var is a symbolic link");
    fs::rename(mac.path("private"), mac.path("real")).unwrap();
    symlink(&place, mac.path("private")).unwrap();
    all_refuse(&mac, "/private is a symbolic link");
    fs::remove_file(mac.path("private")).unwrap();
    fs::rename(mac.path("real"), mac.path("private")).unwrap();
    fs::remove_file(mac.path("private/var")).unwrap();
    fs::rename(mac.path("private/real"), mac.path("private/var")).unwrap();
    chmod(mac.path("private"), 0o777);
    all_refuse(&mac, "/private/ is writable by everyone");
    beside.is_untouched();
}

#[test]
fn flags_name_nothing_outside() {
    for flag in ["extensions_autoload", "config_path"] {
        let mac = Mac::new();
        let beside = Beside::of(&mac);
        let line = format!("--{flag}={}\n", beside.way(&mac, "list"));
        mac.write("var/osquery/osquery.flags", &line);
        refused(&mac, mac.installer(&[]), "leads up again (..)");
        refused(&mac, mac.installer(&["--dry-run"]), "leads up again (..)");
        journal(&mac, "put", &beside.way(&mac, "list"));
        all_refuse(&mac, "leads up again (..)");
        beside.is_untouched();
    }
}

/// Receipts and lists of what was made are texts of the volume as well.
#[test]
fn the_uninstaller_takes_away_nothing_outside() {
    let mac = Mac::new();
    let beside = Beside::of(&mac);
    let way = format!("/opt{}", beside.way(&mac, "list"));
    let receipt = format!("var/db/dsplug/receipts/{}", way[1..].replace('/', "%"));
    mac.write(&format!("{receipt}.after"), "root's own\n");
    mac.write(&format!("{receipt}.before"), "another's\n");
    refused(&mac, mac.uninstaller(&[]), "leads up again (..)");
    let mac = Mac::new();
    let directory = beside.way(&mac, "sudoers.d");
    mac.write("var/db/dsplug/receipts/directories", &directory);
    refused(&mac, mac.uninstaller(&[]), "leads up again (..)");
    // What the state directory's own parents were made by.
    let mac = Mac::new();
    mac.write("var/db/dsplug/made", &format!("{directory}\n/var/db\n"));
    let _ = mac.uninstaller(&[]).output().unwrap();
    beside.is_untouched();
}

/// A file of ours that is a link to a directory: a rename would go into that.
#[test]
fn no_file_of_ours_is_renamed_into_a_directory_outside() {
    for name in ["bin/dsplug.ext", "share/install/common.sh"] {
        let mac = Mac::new();
        let beside = Beside::of(&mac);
        let at = mac.path("opt/dsplug").join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(&beside.place, at).unwrap();
        refused(&mac, mac.installer(&[]), "is a symbolic link");
        beside.is_untouched();
    }
}

/// Both scripts and a dry run end of themselves, and all refuse it.
#[track_caller]
fn all_end_and_refuse(mac: &Mac, text: &str) {
    for mut run in [
        mac.installer(&["--dry-run"]),
        mac.installer(&[]),
        mac.uninstaller(&[]),
    ] {
        let run = run.stdout(Stdio::null()).stderr(Stdio::null());
        ends(run.spawn().unwrap());
    }
    all_refuse(mac, text);
}

/// Ends it after ten seconds: it waits for somebody.
#[track_caller]
fn ends(mut child: Child) {
    let until = Instant::now() + Duration::from_secs(10);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it waits");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_no_file_of_roots_in_the_state_directory_is_refused() {
    for name in [
        "lock",
        "made",
        "receipts/host",
        "journal/0001.operation",
        "journal/0001.before",
    ] {
        let plant = |make: &dyn Fn(&Path)| {
            let mac = Mac::new();
            let at = mac.path("var/db/dsplug").join(name);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            make(&at);
            all_end_and_refuse(&mac, "regular file");
        };
        plant(&|at| assert!(Command::new("mkfifo").arg(at).status().unwrap().success()));
        plant(&|at| symlink("/etc/hostname", at).unwrap());
        plant(&|at| fs::create_dir(at).unwrap());
        if needs_root("giving a file away needs root") {
            plant(&|at| {
                fs::write(at, "").unwrap();
                std::os::unix::fs::chown(at, Some(501), Some(20)).unwrap();
            });
        }
    }
    for name in ["receipts", "journal", "journal.done"] {
        let mac = Mac::new();
        let beside = Beside::of(&mac);
        fs::create_dir_all(mac.path("var/db/dsplug")).unwrap();
        symlink(&beside.place, mac.path("var/db/dsplug").join(name)).unwrap();
        all_refuse(&mac, &format!("{name} is a symbolic link"));
        beside.is_untouched();
    }
}

/// Of any process whose command line merely has the word in it no run waits.
#[test]
fn a_lock_with_the_number_of_somebody_elses_process_blocks_nothing() {
    let mac = Mac::new();
    let mut other = Command::new("sh")
        .args(["-c", "read line; : installd", "uninstalled"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    mac.write("var/db/dsplug/lock", &format!("{}\n", other.id()));
    mac.install();
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Whoever fills a volume makes a file of any size there, of which nothing stands on the disk.
fn sparse(mac: &Mac, path: &str, size: u64) {
    mac.write(path, "");
    let file = fs::File::options().write(true).open(mac.path(path));
    file.unwrap().set_len(size).unwrap();
}

/// Runs a script that has ten seconds, is refused, and leaves the file of that size as it was.
#[track_caller]
fn refuses_its_size(mac: &Mac, mut run: Command, path: &str, size: u64) {
    let errors = mac.aside.path().join("errors");
    let log = fs::File::create(&errors).unwrap();
    ends(run.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let errors = fs::read_to_string(errors).unwrap();
    assert!(errors.contains(" has more than "), "{path}: {errors}");
    let meta = fs::symlink_metadata(mac.path(path)).unwrap();
    assert_eq!(meta.len(), size, "{path}");
    assert!(!mac.path("opt/dsplug/share").exists(), "{path}");
}

/// Whoever fills a volume names paths of hundreds of directories by the hundred.
#[test]
fn more_directories_than_any_run_touches_are_refused() {
    let mac = Mac::new();
    let deep: Vec<String> = (0..8)
        .map(|n| format!("/t{n}{}", "/a".repeat(490)))
        .collect();
    for path in &deep {
        fs::create_dir_all(mac.path(path.trim_start_matches('/'))).unwrap();
    }
    mac.write(
        "var/db/dsplug/receipts/directories",
        &(deep.join("\n") + "\n"),
    );
    let output = mac.uninstaller(&["--dry-run"]).output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("more directories than any run"), "{errors}");
}

/// A run that was killed leaves what it was writing.
#[test]
fn a_draft_of_a_copy_is_no_more_than_a_run_leaves() {
    let mac = Mac::new();
    mac.write("var/db/dsplug/receipts/host", "osquery\n");
    sparse(&mac, "var/db/dsplug/receipts/.dsplug.new", 70_000);
    let output = mac.installer(&["--dry-run"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!errors.contains("more than any run"), "{errors}");
}

#[test]
fn what_is_larger_than_any_honest_file_is_refused_unread() {
    for size in [1_048_577, 40 << 30] {
        for path in [
            "var/osquery/osquery.flags",
            "var/osquery/extensions.load",
            "var/osquery/packs/dsplug.conf",
            "var/osquery/osquery.conf.d/dsplug.conf",
        ] {
            let mac = Mac::new();
            sparse(&mac, path, size);
            refuses_its_size(&mac, mac.installer(&["--dry-run"]), path, size);
            refuses_its_size(&mac, mac.installer(&[]), path, size);
        }
    }
    let mac = Mac::new();
    let binary = "opt/dsplug/bin/dsplug.ext";
    sparse(&mac, binary, 40 << 30);
    refuses_its_size(&mac, mac.installer(&[]), binary, 40 << 30);
}

#[test]
fn a_state_directory_that_is_larger_than_any_run_leaves_it_is_refused_unread() {
    for name in [
        "made",
        "receipts/directories",
        "receipts/host",
        "receipts/var%osquery%osquery.flags.before",
        "receipts/var%osquery%osquery.flags.after",
        "journal/0001.operation",
        "journal/0001.before",
        "journal/0001.after",
        "journal/touches",
    ] {
        let mac = Mac::new();
        let path = format!("var/db/dsplug/{name}");
        if name.starts_with("journal") {
            journal(&mac, "put", "/var/osquery/osquery.flags");
            mac.write("var/osquery/osquery.flags", "root's own\n");
        } else {
            mac.write(
                "var/db/dsplug/receipts/var%osquery%osquery.flags.after",
                "--utc=true\n",
            );
        }
        sparse(&mac, &path, 40 << 30);
        for run in [
            mac.installer(&["--dry-run"]),
            mac.installer(&[]),
            mac.uninstaller(&[]),
        ] {
            refuses_its_size(&mac, run, &path, 40 << 30);
        }
    }
    // A binary may have more than a text, and is kept whole.
    let mac = Mac::new();
    journal(&mac, "put", "/opt/dsplug/bin/dsplug.ext");
    mac.write("opt/dsplug/bin/dsplug.ext", "root's own\n");
    sparse(&mac, "var/db/dsplug/journal/0001.before", 9_000_000);
    mac.uninstall();
    for name in ["journal", "receipts"] {
        let mac = Mac::new();
        for number in 0..600 {
            mac.write(
                &format!("var/db/dsplug/{name}/{number:04}.after"),
                "root's own\n",
            );
        }
        all_end_and_refuse(&mac, "more files than any run of this leaves");
    }
    let mac = Mac::new();
    let mut made = String::new();
    for number in 0..600 {
        made += &format!("/opt/{number}\n");
    }
    mac.write("var/db/dsplug/receipts/directories", &made);
    all_end_and_refuse(&mac, "more lines than any run of this writes");
}

/// The expression that finds the blanks at the end of a line begins anew at each of them.
#[test]
fn a_line_of_blanks_takes_no_time() {
    for (path, fill) in [("osquery.flags", " "), ("extensions.load", "\t\r")] {
        let mac = Mac::new();
        let line = format!("--x{}x\n", fill.repeat(1_000_000 / fill.len()));
        let path = format!("var/osquery/{path}");
        mac.write(&path, &line);
        let receipt = path.replace('/', "%");
        mac.write(
            &format!("var/db/dsplug/receipts/{receipt}.after"),
            "root's own\n",
        );
        all_end_and_refuse(&mac, "blanks in a row");
    }
}

/// What osqueryd alone reads is as large as its admin likes.
#[test]
fn a_configuration_of_any_size_is_left_alone() {
    let mac = Mac::new();
    mac.write("var/osquery/osquery.conf", &" ".repeat(2_000_000));
    let before = mac.tree();
    mac.install();
    mac.uninstall();
    assert_same(&mac.tree(), &before);
    // One that was made for us too.
    fs::remove_file(mac.path("var/osquery/osquery.conf")).unwrap();
    mac.install();
    mac.write("var/osquery/osquery.conf", &" ".repeat(2_000_000));
    mac.uninstall();
    assert_same(&mac.tree(), &before);
}
