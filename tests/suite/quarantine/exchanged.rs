//! What the vault holds is exchanged while it is put back: it goes into the vault again, and nothing is said to be
//! restored.

use std::fs;
use std::path::{Path, PathBuf};

use dsplug_fixtures::{Disk, Plugin, skipped};
use serde_json::Value;

use super::scene::{Picture, Scene, picture};
use super::set_back::{meanwhile, text};
use super::strace;

/// A bundle in the vault, and another beside it.
struct Exchange {
    scene: Scene,
    id: String,
    hash: String,
    other: PathBuf,
    good: Picture,
    evil: Picture,
}

impl Exchange {
    fn new(scene: Scene) -> Self {
        let path = Plugin::new("A")
            .file("Contents/x", "good")
            .write(scene.disk.plugin(""));
        let good = picture(&path);
        scene.done(&["quarantine", &Scene::path("A.dsplug")]);
        let row = scene.ledger().remove(0);
        let beside = scene.state().join("beside");
        fs::create_dir(&beside).unwrap();
        let other = Plugin::new("A").file("Contents/x", "evil").write(&beside);
        Self {
            id: row["id"].clone(),
            hash: row["hash"].clone(),
            good,
            evil: picture(&other),
            other,
            scene,
        }
    }

    fn item(&self) -> PathBuf {
        self.scene.state().join("vault").join(&self.id).join("item")
    }

    /// Exchanges two things at once.
    fn exchange(&self, path: &Path) {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        let cwd = rustix::fs::CWD;
        rustix::fs::renameat_with(cwd, path, cwd, &self.other, flags).unwrap();
    }

    /// The call fails with a line that says so, and nothing stands at its place.
    #[track_caller]
    fn is_refused(&self, output: &std::process::Output, says: &[&str]) {
        let said = text(output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!said.contains("restored"), "{said}");
        for says in says {
            assert!(said.contains(says), "{said}");
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!self.scene.disk.plugin("A.dsplug").exists(), "{said}");
    }

    /// With what was in the vault there again, it is put back.
    #[track_caller]
    fn comes_back(&self) {
        assert_eq!(self.scene.ledger()[0]["state"], "quarantined");
        let said = self
            .scene
            .done(&["restore", &self.id, "--expect", &self.hash]);
        assert!(said.contains("restored"), "{said}");
        assert_eq!(picture(&self.scene.disk.plugin("A.dsplug")), self.good);
    }
}

#[test]
fn what_is_put_into_the_vault_between_look_and_move_goes_back_there() {
    if !strace::is_usable() {
        return;
    }
    for expects in [false, true] {
        let is = Exchange::new(Scene::new(Disk::new()));
        let mut call = vec!["restore", &is.id];
        if expects {
            call.extend(["--expect", &is.hash]);
        }
        let swap = || is.exchange(&is.item());
        let output = meanwhile(&is.scene, &call, "delay_enter", 1, "returning", &swap);
        let says = ["changed while it was put back", "it is in the vault again"];
        is.is_refused(&output, &says);
        assert_eq!(picture(&is.item()), is.evil);
        swap();
        is.comes_back();
    }
}

/// Of what the ledger has no digest a part can be exchanged unseen, but not what a person has named by its own.
#[test]
fn what_went_back_has_the_digest_that_was_expected_whatever_the_ledger_says() {
    if !strace::is_usable() {
        return;
    }
    let is = Exchange::new(Scene::new(Disk::new()));
    let ledger = is.scene.state().join(format!("ledger/{}.json", is.id));
    let mut entry: Value = serde_json::from_slice(&fs::read(&ledger).unwrap()).unwrap();
    entry["seen"]["digest"] = "".into();
    fs::write(&ledger, entry.to_string()).unwrap();
    let call = ["restore", &is.id, "--expect", &is.hash];
    let evil = || fs::write(is.item().join("Contents/x"), "evil").unwrap();
    let output = meanwhile(&is.scene, &call, "delay_enter", 1, "returning", &evil);
    let says = ["is not what was expected", "it is in the vault again"];
    is.is_refused(&output, &says);
    let inside = fs::read(is.item().join("Contents/x")).unwrap();
    assert_eq!(inside, b"evil");
    assert_eq!(is.scene.ledger()[0]["state"], "quarantined");
}

/// What stands where it was put cannot go back, for something is in the vault again.
#[test]
fn what_cannot_go_back_into_the_vault_is_told_and_what_was_there_is_kept() {
    if !strace::is_usable() {
        return;
    }
    let is = Exchange::new(Scene::new(Disk::new()));
    // Behind the move, before it is looked at.
    let act = || {
        is.exchange(&is.scene.disk.plugin("A.dsplug"));
        fs::rename(&is.other, is.item()).unwrap();
    };
    let call = ["restore", &is.id];
    let output = meanwhile(&is.scene, &call, "delay_exit", 1, "returning", &act);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("restored"), "{said}");
    let says = "it stands there, for it cannot go back into the vault";
    assert!(said.contains(says), "{said}");
    assert_eq!(picture(&is.scene.disk.plugin("A.dsplug")), is.evil);
    let row = &is.scene.ledger()[0];
    assert_eq!(row["state"], "incomplete");
    assert!(row["error"].contains(says), "{row:?}");
    // The next call finds what was in the vault there.
    let said = text(&is.scene.call(&["doctor", "--yes-write-image"]));
    assert!(said.contains("is in the vault"), "{said}");
    assert_eq!(is.scene.ledger()[0]["state"], "quarantined");
    assert_eq!(picture(&is.item()), is.good);
    fs::remove_dir_all(is.scene.disk.plugin("A.dsplug")).unwrap();
    is.comes_back();
}

/// What is not there any more, and is not what stands where it was put, is nowhere that is known.
#[test]
fn what_cannot_go_back_and_is_in_no_vault_is_lost() {
    if !strace::is_usable() {
        return;
    }
    let is = Exchange::new(Scene::new(Disk::new()));
    let vault = is.item().parent().unwrap().to_owned();
    let act = || {
        is.exchange(&is.scene.disk.plugin("A.dsplug"));
        fs::write(is.item(), "").unwrap();
    };
    let call = ["restore", &is.id];
    let output = meanwhile(&is.scene, &call, "delay_exit", 1, "returning", &act);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    fs::remove_file(is.item()).unwrap();
    fs::remove_dir(&vault).unwrap();
    let said = text(&is.scene.call(&["doctor", "--yes-write-image"]));
    assert!(!said.contains("was put back"), "{said}");
    let row = &is.scene.ledger()[0];
    assert_eq!(row["state"], "incomplete", "{said}");
    assert!(row["error"].contains("neither in the vault"), "{row:?}");
}

/// What is copied is not what was looked at, and the copy is exchanged where it is made.
#[test]
fn what_is_copied_out_is_what_was_looked_at() {
    if !strace::is_usable() {
        return;
    }
    for (expects, copy) in [(false, false), (true, false), (false, true)] {
        let Some(scene) = Scene::across(Disk::new()) else {
            return skipped("/dev/shm is no volume of its own");
        };
        let mut is = Exchange::new(scene);
        let mut call = vec!["restore".to_owned(), is.id.clone()];
        if expects {
            call.extend(["--expect".to_owned(), is.hash.clone()]);
        }
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        // The first is refused between volumes, and the second gives the copy its name.
        let output = if copy {
            let there = is.scene.disk.dir("opt").join("A.dsplug");
            Plugin::new("A")
                .file("Contents/x", "evil")
                .write(there.parent().unwrap());
            is.other = there;
            let part = format!(".dsplug-{}.part/item", is.id);
            let act = || is.exchange(&is.scene.disk.plugin(&part));
            meanwhile(&is.scene, &call, "delay_enter", 2, "placing", &act)
        } else {
            let act = || is.exchange(&is.item());
            meanwhile(&is.scene, &call, "delay_enter", 1, "returning", &act)
        };
        is.is_refused(&output, &[]);
        if !copy {
            assert_eq!(picture(&is.item()), is.evil);
            let left = fs::read_dir(is.scene.disk.plugin("")).unwrap().count();
            assert_eq!(left, 0, "{}", text(&output));
            is.exchange(&is.item());
        } else {
            let said = text(&output);
            assert!(
                said.contains("is not the copy that was put there"),
                "{said}"
            );
            assert!(said.contains("see what it is, and take it away"), "{said}");
            let part = format!(".dsplug-{}.part", is.id);
            fs::remove_dir_all(is.scene.disk.plugin(&part)).unwrap();
        }
        is.comes_back();
    }
}
