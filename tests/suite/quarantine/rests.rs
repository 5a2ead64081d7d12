//! A call that was killed in the midst of a removal leaves a rest in the vault, which is never said to be the whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsplug_fixtures::{Disk, Plugin, skipped};

use super::scene::{Scene, picture};
use super::strace;

/// A bundle whose vault is on another volume.
struct Killed {
    scene: Scene,
    bundle: PathBuf,
}

impl Killed {
    fn new() -> Option<Self> {
        if !strace::is_usable() {
            return None;
        }
        let mut plugin = Plugin::new("A");
        for name in ["x", "y", "z"] {
            plugin = plugin.file(&format!("Contents/Resources/{name}"), name);
        }
        let disk = Disk::new();
        let bundle = plugin.write(disk.plugin(""));
        let scene = Scene::across(disk);
        if scene.is_none() {
            skipped("/dev/shm is no volume of its own");
        }
        Some(Self {
            scene: scene?,
            bundle,
        })
    }

    fn id(&self) -> String {
        self.scene.ledger()[0]["id"].clone()
    }

    fn item(&self) -> PathBuf {
        self.scene
            .state()
            .join("vault")
            .join(self.id())
            .join("item")
    }

    /// A call is killed where it would remove the first, second or third thing in a directory.
    #[track_caller]
    fn at_removal(&self, call: &[&str], number: usize, directory: &Path) {
        let output = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=unlinkat", "-o", "/dev/null"])
            .arg("-P")
            .arg(directory)
            .arg("-e")
            .arg(format!("inject=unlinkat:signal=KILL:when={number}"))
            .args(self.scene.arguments(call))
            .output()
            .unwrap();
        assert!(!output.status.success() && output.status.code().is_none());
    }

    /// A call removes a part of what the vault holds, and is killed.
    #[track_caller]
    fn in_the_vault(&self, call: &[&str]) {
        let below = self.item().join("Contents/Resources");
        self.at_removal(call, 2, &below);
        assert_eq!(fs::read_dir(below).unwrap().count(), 2);
    }

    /// A call of another thing, which first finishes or undoes.
    fn next(&self) -> String {
        let output = self.scene.call(&["doctor", "--yes-write-image"]);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Each next call leaves the rest, and says what it is.
    #[track_caller]
    fn stays(&self, case: &str) {
        let rest = picture(&self.item());
        for _ in 0..2 {
            let said = self.next();
            let row = &self.scene.ledger()[0];
            assert_eq!(row["state"], "incomplete", "{case}: {said}");
            assert!(said.contains("may be a rest of it"), "{case}: {said}");
            for lie in ["is in the vault", "takes it out", "holds the copy"] {
                assert!(!said.contains(lie), "{case}: {said}");
            }
            assert_eq!(picture(&self.item()), rest, "{case}: {said}");
        }
    }
}

type Change = fn(&Path);

/// What becomes of what stands outside the vault, before the next call.
const CHANGES: [(&str, Change); 3] = [
    ("a byte more", |bundle| {
        fs::write(bundle.join("Contents/Resources/x"), "x1").unwrap();
    }),
    ("gone", |bundle| fs::remove_dir_all(bundle).unwrap()),
    ("another", |bundle| {
        fs::remove_dir_all(bundle).unwrap();
        Plugin::new("B").write_as(bundle);
    }),
];

#[test]
fn a_rest_of_what_was_put_back_is_never_said_to_be_the_whole() {
    for (case, change) in CHANGES {
        let Some(killed) = Killed::new() else { return };
        killed.scene.done(&["quarantine", &Scene::path("A.dsplug")]);
        killed.in_the_vault(&["restore", &killed.id()]);
        change(&killed.bundle);
        killed.stays(case);
        if case == "a byte more" {
            fs::write(killed.bundle.join("Contents/Resources/x"), "x").unwrap();
            let said = killed.next();
            assert_eq!(killed.scene.ledger()[0]["state"], "restored", "{said}");
        }
    }
}

/// It was killed before it removed anything: what the vault holds is looked at, and comes out of it.
#[test]
fn the_whole_is_known_by_its_own_digest_where_a_rest_may_be() {
    let Some(killed) = Killed::new() else { return };
    killed.scene.done(&["quarantine", &Scene::path("A.dsplug")]);
    let id = killed.id();
    let folder = killed.item();
    killed.at_removal(&["restore", &id], 1, folder.parent().unwrap());
    CHANGES[0].1(&killed.bundle);
    let said = killed.next();
    assert_eq!(killed.scene.ledger()[0]["state"], "quarantined", "{said}");
    let to = tempfile::tempdir().unwrap();
    let place = to.path().to_str().unwrap();
    killed.scene.done(&["restore", &id, "--to", place]);
    let restored = to.path().join("A.dsplug/Contents/Resources");
    assert_eq!(fs::read_dir(restored).unwrap().count(), 3);
}

/// The call that finishes is killed as well, and what was put back is changed after that.
#[test]
fn a_rest_that_a_next_call_leaves_is_never_said_to_be_the_whole() {
    for (case, change) in CHANGES {
        let Some(killed) = Killed::new() else { return };
        killed.scene.done(&["quarantine", &Scene::path("A.dsplug")]);
        // The copy has its name, and the directory in which it was made is not removed yet.
        let folder = killed.bundle.parent().unwrap();
        killed.at_removal(&["restore", &killed.id()], 1, folder);
        killed.in_the_vault(&["restore", "none"]);
        change(&killed.bundle);
        killed.stays(case);
    }
}

/// The call that undoes is killed: a rest of the copy is in the vault, and what was copied stands where it stood.
#[test]
fn a_rest_of_a_copy_that_is_undone_is_never_said_to_be_the_whole() {
    for (case, change) in CHANGES.into_iter().chain([("none", (|_| {}) as Change)]) {
        let Some(killed) = Killed::new() else { return };
        let quarantine = ["quarantine", &Scene::path("A.dsplug")];
        // The third names the copy in the vault, and the fourth would put the bundle aside.
        let arguments = killed.scene.arguments(&quarantine);
        let run = strace::run(&arguments, "renameat2", 4, "error=EIO:signal=KILL");
        assert!(run.output.status.code().is_none(), "{run:?}");
        killed.in_the_vault(&["restore", "none"]);
        change(&killed.bundle);
        if case == "none" {
            let said = killed.next();
            assert_eq!(killed.scene.ledger(), [], "{said}");
            assert!(killed.bundle.exists() && !said.contains("vault"), "{said}");
        } else {
            killed.stays(case);
        }
    }
}
