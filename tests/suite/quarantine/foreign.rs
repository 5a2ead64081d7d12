//! A ledger that came from another computer, or that an attacker wrote: it sends nothing anywhere.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod};
use serde_json::{Value, json};

use super::scene::{DSPLUG, Scene, picture};

/// A scene with an honest entry, another bundle, and a directory of this computer that is nobody's business.
struct Foreign {
    scene: Scene,
    victim: tempfile::TempDir,
    honest: Value,
}

impl Foreign {
    fn new() -> Self {
        let scene = Scene::new(Disk::new());
        for name in ["A", "B"] {
            Plugin::new(name).write(scene.disk.plugin(""));
        }
        scene.done(&["quarantine", &Scene::path("A.dsplug")]);
        let id = &scene.ledger()[0]["id"];
        let file = scene.state().join(format!("ledger/{id}.json"));
        let honest = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let victim = tempfile::tempdir().unwrap();
        Self {
            scene,
            victim,
            honest,
        }
    }

    fn id(&self) -> &str {
        self.honest["id"].as_str().unwrap()
    }

    fn victim(&self) -> PathBuf {
        fs::canonicalize(self.victim.path()).unwrap()
    }

    /// Plants a copy of the honest entry under another name, with some of its keys changed.
    fn plant(&self, id: &str, keys: Value) {
        let mut entry = self.honest.clone();
        entry["id"] = id.into();
        for (key, value) in keys.as_object().unwrap() {
            entry[key] = value.clone();
        }
        let file = self.scene.state().join(format!("ledger/{id}.json"));
        fs::write(&file, entry.to_string()).unwrap();
        chmod(&file, 0o600);
    }

    /// Plants an item; gives what an entry says of it.
    fn item(&self, id: &str, text: &str) -> Value {
        let folder = self.scene.state().join("vault").join(id);
        fs::create_dir(&folder).unwrap();
        chmod(&folder, 0o700);
        fs::write(folder.join("item"), text).unwrap();
        let meta = folder.join("item").metadata().unwrap();
        json!({"kind": "file", "dev": meta.dev(), "ino": meta.ino(), "digest": "", "link": ""})
    }

    /// Every step that a call would finish or undo, at a place of this computer, with what it would move or remove.
    fn plant_every_step(&self, root: &Path, suffix: &str) {
        let victim = self.victim();
        let directory = format!("/{}", victim.strip_prefix(root).unwrap().display());
        for step in [
            "moving",
            "copying",
            "aside",
            "clearing",
            "returning",
            "placing",
            "emptying",
        ] {
            let id = format!("{step}{suffix}");
            self.item(&id, "evil");
            let from = json!({"root": root, "directory": directory, "name": id});
            let path = format!("{}/{id}", directory.trim_end_matches('/'));
            let keys = json!({"step": step, "from": from, "to": from, "path": path});
            self.plant(&id, keys);
            for name in [format!(".dsplug-{id}"), format!(".dsplug-{id}.part")] {
                fs::create_dir(victim.join(&name)).unwrap();
                fs::write(victim.join(name).join("precious"), "").unwrap();
            }
        }
        // What is moved here by its root and directory, and there by its path.
        let from = json!({"root": root, "directory": directory, "name": "odd"});
        self.plant("odd", json!({"step": "moving", "from": from}));
        self.item("odd", "evil");
    }

    /// Every call that would finish or undo something, over the scene's disk and over that of this computer.
    fn call_all(&self) -> String {
        let other = tempfile::tempdir().unwrap();
        let to = other.path().to_str().unwrap();
        let mut said = String::new();
        let mut hear = |output: std::process::Output| {
            said += &String::from_utf8_lossy(&output.stdout);
            said += &String::from_utf8_lossy(&output.stderr);
        };
        for call in [
            ["doctor"].as_slice(),
            &["doctor", "--yes-write-image"],
            &["restore", "none"],
            &["restore", "none", "--to", to],
            &["quarantine", &Scene::path("B.dsplug")],
        ] {
            hear(self.scene.call(call));
        }
        for call in [
            ["doctor"].as_slice(),
            &["restore", "none"],
            &["restore", "none", "--to", to],
        ] {
            let mut command = Command::new(DSPLUG);
            let state = self.scene.state();
            hear(
                command
                    .args(call)
                    .arg("--state-dir")
                    .arg(state)
                    .output()
                    .unwrap(),
            );
        }
        said
    }
}

#[test]
fn no_ledger_that_came_from_elsewhere_writes_to_this_computer() {
    for suffix in ["", "-executable"] {
        let foreign = Foreign::new();
        foreign.plant_every_step(Path::new("/"), suffix);
        let before = picture(&foreign.victim());
        let said = foreign.call_all();
        assert_eq!(picture(&foreign.victim()), before, "{said}");
        let line = format!("moving{suffix} was interrupted");
        assert!(said.contains(&line), "{said}");
        assert!(said.contains("was taken from the root /,"), "{said}");
    }
}

/// The honest root, and a directory of it where no plug-in stands.
#[test]
fn no_ledger_moves_what_no_plug_in_is() {
    let mut foreign = Foreign::new();
    let root = fs::canonicalize(foreign.scene.disk.path()).unwrap();
    foreign.victim = tempfile::tempdir_in(&root).unwrap();
    foreign.plant_every_step(&root, "");
    let before = picture(&foreign.victim());
    let said = foreign.call_all();
    assert_eq!(picture(&foreign.victim()), before, "{said}");
    assert!(said.contains("where no plug-in"), "{said}");
}

/// An item that is not the one of the ledger is kept, and goes nowhere by itself.
#[test]
fn what_is_not_the_ledgers_own_stays_in_the_vault() {
    let foreign = Foreign::new();
    let name = "evil.dsplug";
    let mut from = foreign.honest["from"].clone();
    from["name"] = name.into();
    for (id, step) in [
        ("evil1", "moving"),
        ("evil2", "clearing"),
        ("evil3", "aside"),
    ] {
        foreign.item(id, "evil");
        let path = Scene::path(name);
        foreign.plant(id, json!({"step": step, "from": from, "path": path}));
    }
    for id in ["evil2", "evil3"] {
        let aside = format!("{PLUGINS}/.dsplug-{id}/precious");
        foreign.scene.disk.file(aside, "");
    }
    let before = foreign.scene.picture();
    let said = foreign.scene.call(&["doctor", "--yes-write-image"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(foreign.scene.picture(), before, "{said}");
    for id in ["evil1", "evil2", "evil3"] {
        let item = foreign.scene.state().join("vault").join(id).join("item");
        assert!(item.exists(), "{id}: {said}");
        assert!(said.contains(&format!("{id} was interrupted")), "{said}");
    }
    assert!(said.contains("is not what was looked at"), "{said}");
}

/// An image is evidence: to examine it changes nothing.
#[test]
fn an_image_is_not_written_by_doctor_nor_by_what_goes_elsewhere() {
    let foreign = Foreign::new();
    let id = foreign.id().to_owned();
    let aside = foreign.scene.disk.plugin(format!(".dsplug-{id}"));
    let item = foreign.scene.state().join("vault").join(&id).join("item");
    fs::rename(&item, &aside).unwrap();
    Plugin::new("A").write_as(&item);
    foreign.plant(&id, json!({"step": "clearing"}));
    let before = foreign.scene.picture();
    let said = foreign.scene.call(&["doctor"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("was interrupted"), "{said}");
    assert!(said.contains("--yes-write-image"), "{said}");
    let other = tempfile::tempdir().unwrap();
    let output = Command::new(DSPLUG)
        .args(["restore", "none", "--root"])
        .arg(foreign.scene.disk.path())
        .arg("--state-dir")
        .arg(foreign.scene.state())
        .arg("--to")
        .arg(other.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(foreign.scene.picture(), before);
    assert_eq!(foreign.scene.ledger()[0]["state"], "incomplete");
    // Where that is said, the rest goes.
    let said = foreign.scene.call(&["doctor", "--yes-write-image"]);
    assert!(!aside.exists(), "{said:?}");
    assert_eq!(foreign.scene.ledger()[0]["state"], "quarantined");
}

/// Another directory is named: what goes there has a name, and no way.
#[test]
fn no_name_of_the_ledger_leads_out_of_a_directory() {
    let foreign = Foreign::new();
    for (number, name) in ["../pwned", "/pwned", "..", ""].iter().enumerate() {
        let id = format!("evil{number}");
        let seen = foreign.item(&id, "evil");
        let mut from = foreign.honest["from"].clone();
        from["name"] = (*name).into();
        foreign.plant(&id, json!({"seen": seen, "from": from}));
        let to = foreign.victim().join("to");
        let _ = fs::create_dir(&to);
        let before = picture(&foreign.victim());
        let line = foreign
            .scene
            .refused(&["restore", &id, "--to", to.to_str().unwrap()]);
        assert!(line.contains("damaged"), "{name}: {line}");
        assert_eq!(picture(&foreign.victim()), before, "{name}");
    }
}

/// Two entries of one path and one digest: that of the ledger is a text.
#[test]
fn what_goes_back_is_held_to_the_digest_that_was_expected() {
    let foreign = Foreign::new();
    let hash = foreign.honest["hash"].as_str().unwrap().to_owned();
    let seen = foreign.item("evil", "evil");
    foreign.plant("evil", json!({"seen": seen}));
    let before = foreign.scene.picture();
    for (id, expect) in [("evil", &*hash), (foreign.id(), "00")] {
        let line = foreign.scene.refused(&["restore", id, "--expect", expect]);
        let says = format!("{id} is not what was expected: its digest is ");
        assert!(line.contains(&says), "{line}");
        assert!(line.contains("it stays in the vault"), "{line}");
        let to = foreign.victim.path().to_str().unwrap();
        let to = ["restore", id, "--expect", expect, "--to", to];
        foreign.scene.refused(&to);
    }
    assert_eq!(foreign.scene.picture(), before);
    assert_eq!(fs::read_dir(foreign.victim()).unwrap().count(), 0);
    // A program that the ledger has beside it is not what was expected.
    let (id, daemons) = (
        format!("{}-executable", foreign.id()),
        "/Library/LaunchDaemons",
    );
    foreign.scene.disk.dir(&daemons[1..]);
    let mut from = foreign.honest["from"].clone();
    (from["directory"], from["name"]) = (daemons.into(), "x".into());
    let path = format!("{daemons}/x");
    let seen = foreign.item(&id, "evil");
    foreign.plant(&id, json!({"seen": seen, "from": from, "path": path}));
    let upper = hash.to_uppercase();
    let said = foreign
        .scene
        .done(&["restore", foreign.id(), "--expect", &upper]);
    assert!(said.contains(&format!("dsplug restore {id}")), "{said}");
    assert!(foreign.scene.disk.plugin("A.dsplug").exists());
    assert!(!foreign.scene.disk.at("Library/LaunchDaemons/x").exists());
    // By its own digest it goes back.
    let sum = ring::digest::digest(&ring::digest::SHA256, b"evil");
    let sum: String = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    foreign.scene.done(&["restore", &id, "--expect", &sum]);
    assert!(foreign.scene.disk.at("Library/LaunchDaemons/x").exists());
}

/// An entry that says another path than its place, or a place of no plug-in, is refused before anything is moved.
#[test]
fn no_entry_is_put_back_where_no_plug_in_is() {
    let foreign = Foreign::new();
    let daemons = "/Library/LaunchDaemons";
    foreign.scene.disk.dir(&daemons[1..]);
    let from = |directory: &str, name: &str| {
        let mut from = foreign.honest["from"].clone();
        (from["directory"], from["name"]) = (directory.into(), name.into());
        from
    };
    let way = format!("/{PLUGINS}/../../LaunchDaemons");
    for (id, directory, path) in [
        ("evil1", daemons, Scene::path("x")),
        ("evil2", daemons, format!("{daemons}/x")),
        ("evil3", daemons, format!("{way}/x")),
        ("evil4", &*way, format!("{way}/x")),
        // Of a bundle that the ledger does not have.
        ("evil5-executable", daemons, format!("{daemons}/x")),
    ] {
        let seen = foreign.item(id, "evil");
        foreign.plant(
            id,
            json!({"seen": seen, "from": from(directory, "x"), "path": path}),
        );
        let before = foreign.scene.picture();
        let line = foreign.scene.refused(&["restore", id]);
        assert!(
            line.contains("where no plug-in can be taken from"),
            "{line}"
        );
        assert_eq!(foreign.scene.picture(), before, "{id}");
    }
}

/// A plug-in folder that a link leads to has its bundles back: the path of the row leads to the place.
#[test]
fn what_was_taken_through_a_link_goes_back() {
    let disk = Disk::new();
    let real = disk.dir("Library/Real");
    fs::remove_dir_all(disk.at("Library/DirectoryServices")).unwrap();
    disk.link("Library/DirectoryServices", "/Library/Real");
    fs::create_dir(real.join("PlugIns")).unwrap();
    let bundle = Plugin::new("A").write(real.join("PlugIns"));
    let scene = Scene::new(disk);
    let before = picture(&bundle);
    scene.done(&["quarantine", &Scene::path("A.dsplug")]);
    assert!(!bundle.exists());
    let id = scene.ledger()[0]["id"].clone();
    scene.done(&["restore", &id]);
    assert_eq!(picture(&bundle), before);
}
