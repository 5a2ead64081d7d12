//! A pretended Mac: its disk, shims for the commands that only macOS has, and what it looks like.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dsplug_fixtures::safe_umask;
use tempfile::TempDir;

/// Commands of macOS that the scripts may call.
pub const MACOS_COMMANDS: [&str; 4] = ["launchctl", "codesign", "xattr", "pkgutil"];

/// Every path below a directory: its mode, and a file's bytes or a link's text.
pub type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// The disk of a pretended Mac, and a place outside it for shims and drafts.
pub struct Mac {
    pub disk: TempDir,
    pub aside: TempDir,
}

impl Mac {
    /// The directories that every Mac with osquery has.
    pub fn new() -> Self {
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
    pub fn with_admin() -> Self {
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
    pub fn twin(&self) -> Self {
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

    pub fn path(&self, path: &str) -> PathBuf {
        self.disk.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub fn aside(&self, name: &str, text: &str) -> PathBuf {
        let path = self.aside.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A command that writes down its arguments and then does `body`.
    pub fn shim(&self, name: &str, body: &str) {
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
    pub fn calls(&self) -> Vec<String> {
        let disk = self.disk.path().display().to_string();
        let text = fs::read_to_string(self.aside.path().join("calls")).unwrap_or_default();
        text.lines()
            .map(|line| line.replace(&disk, "DESTDIR"))
            .collect()
    }

    pub fn command(&self, script: &Path, arguments: &[&str]) -> Command {
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

    pub fn installer(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&source("install.sh"), arguments);
        command
            .arg("--binary")
            .arg(self.aside.path().join("dsplug.ext"));
        command
            .arg("--pack")
            .arg(self.aside.path().join("dsplug.conf"));
        command
    }

    pub fn uninstaller(&self, arguments: &[&str]) -> Command {
        self.command(&source("uninstall.sh"), arguments)
    }

    #[track_caller]
    pub fn install(&self) -> String {
        succeed(self.installer(&[]).output().unwrap())
    }

    #[track_caller]
    pub fn uninstall(&self) -> String {
        succeed(self.uninstaller(&[]).output().unwrap())
    }

    pub fn tree(&self) -> Tree {
        tree(self.disk.path())
    }
}

pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("install")
        .join(name)
}

pub fn tree(root: &Path) -> Tree {
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
pub fn succeed(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The run ends with status 1, says `text`, and leaves the disk as it was.
#[track_caller]
pub fn refused(mac: &Mac, mut command: Command, text: &str) {
    let before = mac.tree();
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(text), "{errors}");
    assert_same(&mac.tree(), &before);
}

/// Two trees are the same; the first difference is what a failure shows.
#[track_caller]
pub fn assert_same(left: &Tree, right: &Tree) {
    for path in left.keys().chain(right.keys()) {
        let show = |tree: &Tree| {
            tree.get(path)
                .map(|(mode, bytes)| format!("{mode:o} {}", String::from_utf8_lossy(bytes)))
        };
        assert_eq!(show(left), show(right), "{}", path.display());
    }
}
