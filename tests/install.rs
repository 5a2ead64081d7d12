//! The installer and the uninstaller, run under a temporary DESTDIR, with shims for
//! the commands that only macOS has: each writes down how it was called.
//!
//! What a tree must look like is written out here or was read before the scripts
//! ran; nothing is asked of the scripts themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a panic is a test's report"
)]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dsplug_fixtures::{needs_root, safe_umask, skipped};
use tempfile::TempDir;

/// Commands of macOS that the scripts may call.
const MACOS_COMMANDS: [&str; 4] = ["launchctl", "codesign", "xattr", "pkgutil"];

/// Every path below a directory: its mode, and a file's bytes or a link's text.
type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// The disk of a pretended Mac, and a place outside it for shims and drafts.
struct Mac {
    disk: TempDir,
    aside: TempDir,
}

impl Mac {
    /// The directories that every Mac with osquery has.
    fn new() -> Self {
        safe_umask();
        let mac = Self {
            disk: tempfile::tempdir().unwrap(),
            aside: tempfile::tempdir().unwrap(),
        };
        for folder in ["opt/osquery/lib/osquery.app", "var/osquery", "var/db"] {
            fs::create_dir_all(mac.path(folder)).unwrap();
        }
        fs::create_dir(mac.aside.path().join("bin")).unwrap();
        fs::create_dir(mac.aside.path().join("tmp")).unwrap();
        for command in MACOS_COMMANDS {
            mac.shim(command, "exit 0");
        }
        mac.aside("dsplug.ext", "the first binary");
        mac.aside("dsplug.conf", "{\"queries\": {}}\n");
        mac
    }

    /// A Mac whose admin wrote every file that the installer touches, in the way
    /// that is hardest to give back: no last newline, CRLF, a list of two.
    fn with_admin() -> Self {
        let mac = Self::new();
        mac.write(
            "var/osquery/osquery.flags",
            "--verbose=false\r\n--extensions_require=other,more\n# end",
        );
        mac.write(
            "var/osquery/extensions.load",
            "# mine\n/opt/other/other.ext",
        );
        mac.write(
            "var/osquery/osquery.conf",
            "// a comment\n{\"options\": {}}",
        );
        mac.write("var/osquery/packs/dsplug.conf", "an older pack");
        mac.write("var/osquery/osquery.conf.d/site.conf", "{}");
        fs::set_permissions(
            mac.path("var/osquery/osquery.flags"),
            fs::Permissions::from_mode(0o640),
        )
        .unwrap();
        mac
    }

    /// Another Mac with the same disk, and the same release beside it.
    fn twin(&self) -> Self {
        let twin = Self {
            disk: tempfile::tempdir().unwrap(),
            aside: tempfile::tempdir().unwrap(),
        };
        for (from, to) in [(&self.disk, &twin.disk), (&self.aside, &twin.aside)] {
            let from = from.path().join(".");
            succeed(
                Command::new("cp")
                    .arg("-a")
                    .arg(from)
                    .arg(to.path())
                    .output()
                    .unwrap(),
            );
        }
        // The shims write where the first one has them write; nobody asks twins for calls.
        twin
    }

    fn path(&self, path: &str) -> PathBuf {
        self.disk.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn aside(&self, name: &str, text: &str) -> PathBuf {
        let path = self.aside.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A command that writes down its arguments and then does `body`.
    fn shim(&self, name: &str, body: &str) {
        let log = self.aside.path().join("calls");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >> '{}'\n{body}\n",
            log.display()
        );
        let path = self.aside.path().join("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The calls of shims so far, DESTDIR cut out of them.
    fn calls(&self) -> Vec<String> {
        let disk = self.disk.path().display().to_string();
        let text = fs::read_to_string(self.aside.path().join("calls")).unwrap_or_default();
        text.lines()
            .map(|line| line.replace(&disk, "DESTDIR"))
            .collect()
    }

    fn command(&self, script: &Path, arguments: &[&str]) -> Command {
        let path = format!(
            "{}:{}",
            self.aside.path().join("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut command = Command::new("sh");
        command
            .arg(script)
            .args(arguments)
            .env("PATH", path)
            .env("DESTDIR", self.disk.path())
            .env("TMPDIR", self.aside.path().join("tmp"))
            .env_remove("DSPLUG_INSTALL_STOP_AFTER");
        command
    }

    fn installer(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&source("install.sh"), arguments);
        command
            .arg("--binary")
            .arg(self.aside.path().join("dsplug.ext"));
        command
            .arg("--pack")
            .arg(self.aside.path().join("dsplug.conf"));
        command
    }

    fn uninstaller(&self, arguments: &[&str]) -> Command {
        self.command(&source("uninstall.sh"), arguments)
    }

    #[track_caller]
    fn install(&self) -> String {
        succeed(self.installer(&[]).output().unwrap())
    }

    #[track_caller]
    fn uninstall(&self) -> String {
        succeed(self.uninstaller(&[]).output().unwrap())
    }

    fn tree(&self) -> Tree {
        tree(self.disk.path())
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("install")
        .join(name)
}

fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let meta = entry.path().symlink_metadata().unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(entry.path())
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else if meta.is_file() {
            fs::read(entry.path()).unwrap()
        } else {
            Vec::new()
        };
        found.insert(
            entry.path().strip_prefix(root).unwrap().to_owned(),
            (meta.mode(), content),
        );
    }
    found
}

#[track_caller]
fn succeed(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The run ends with status 1, says `text`, and leaves the disk as it was.
#[track_caller]
fn refused(mac: &Mac, mut command: Command, text: &str) {
    let before = mac.tree();
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(text), "{errors}");
    assert_same(&mac.tree(), &before);
}

/// Two trees are the same; the first difference is what a failure shows.
#[track_caller]
fn assert_same(left: &Tree, right: &Tree) {
    for path in left.keys().chain(right.keys()) {
        let show = |tree: &Tree| {
            tree.get(path)
                .map(|(mode, bytes)| format!("{mode:o} {}", String::from_utf8_lossy(bytes)))
        };
        assert_eq!(show(left), show(right), "{}", path.display());
    }
}

/// Runs with a kill after every number of steps until one run comes to its end.
/// After each kill, `mend` puts things right and says what must then be so.
fn killed_everywhere(
    world: impl Fn() -> Mac,
    run: impl Fn(&Mac) -> Command,
    mend: impl Fn(&Mac, usize),
) -> usize {
    for steps in 0.. {
        let mac = world();
        let output = run(&mac)
            .env("DSPLUG_INSTALL_STOP_AFTER", steps.to_string())
            .output()
            .unwrap();
        if output.status.success() {
            return steps;
        }
        assert_eq!(
            output.status.signal(),
            Some(9),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        mend(&mac, steps);
    }
    0
}

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

#[test]
fn killed_while_installing_a_second_run_mends_it() {
    let world = Mac::with_admin();
    let before = world.tree();
    let finished = world.twin();
    finished.install();
    let expected = finished.tree();
    let steps = killed_everywhere(
        || world.twin(),
        |mac| mac.installer(&[]),
        |mac, steps| {
            // Either script mends what the other left.
            if steps % 2 == 0 {
                mac.install();
                assert_same(&mac.tree(), &expected);
            } else {
                mac.uninstall();
                assert_same(&mac.tree(), &before);
            }
        },
    );
    assert!(steps > 50, "only {steps} steps were seen");
}

#[test]
fn killed_while_updating_a_second_run_mends_it() {
    let world = Mac::with_admin();
    let before = world.tree();
    world.install();
    world.aside("dsplug.ext", "the second binary");
    world.aside("dsplug.conf", "{\"queries\": {\"new\": {}}}\n");
    let finished = world.twin();
    finished.install();
    let expected = finished.tree();
    killed_everywhere(
        || world.twin(),
        |mac| mac.installer(&[]),
        |mac, steps| {
            // osqueryd never sees a half-written binary.
            let binary = mac.read("opt/dsplug/bin/dsplug.ext");
            assert!(
                binary == "the first binary" || binary == "the second binary",
                "{binary}"
            );
            if steps % 2 == 0 {
                mac.install();
                assert_same(&mac.tree(), &expected);
            } else {
                mac.uninstall();
                assert_same(&mac.tree(), &before);
            }
        },
    );
}

#[test]
fn killed_while_uninstalling_a_second_run_mends_it() {
    let world = Mac::with_admin();
    let before = world.tree();
    world.install();
    let without_receipts = |mut tree: Tree| {
        tree.retain(|path, _| !path.starts_with("var/db/dsplug"));
        tree
    };
    let installed = without_receipts(world.tree());
    killed_everywhere(
        || world.twin(),
        |mac| mac.uninstaller(&[]),
        |mac, steps| {
            if steps % 2 == 0 {
                mac.install();
                assert_same(&without_receipts(mac.tree()), &installed);
            }
            mac.uninstall();
            assert_same(&mac.tree(), &before);
        },
    );
}

#[test]
fn killed_while_undoing_a_third_run_mends_it() {
    let world = Mac::with_admin();
    let before = world.tree();
    // Killed late in the installation, and then again at each step of the undoing.
    let output = world
        .installer(&[])
        .env("DSPLUG_INSTALL_STOP_AFTER", "55")
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(9));
    killed_everywhere(
        || world.twin(),
        |mac| mac.uninstaller(&[]),
        |mac, _| {
            mac.uninstall();
            assert_same(&mac.tree(), &before);
        },
    );
}

#[test]
fn a_step_that_fails_leaves_what_was_there() {
    for file in [
        "osquery.flags",
        "extensions.load",
        "dsplug.ext",
        "packs/dsplug.conf",
    ] {
        let mac = Mac::with_admin();
        let real = succeed(
            Command::new("sh")
                .args(["-c", "command -v mv"])
                .output()
                .unwrap(),
        );
        // The disk is full, or read-only, just when this file is put in its place.
        let marker = mac.aside.path().join("failed");
        mac.shim(
            "mv",
            &format!(
                "case $* in *dsplug.new*/{file}) [ -e '{0}' ] || {{ : > '{0}'; exit 1; }} ;; esac\nexec {1} \"$@\"",
                marker.display(),
                real.trim()
            ),
        );
        let command = mac.installer(&[]);
        refused(&mac, command, "everything is as it was before");
        assert!(marker.exists(), "{file} was never reached");
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
