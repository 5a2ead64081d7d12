//! A ledger in which an entry was set back to an earlier step, as if a call had been interrupted: what the vault alone
//! holds stays there, and so does the evidence.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use dsplug_fixtures::{Disk, Plugin, chmod, sparse};
use serde_json::{Value, json};

use super::scene::{DSPLUG, Picture, Scene, picture};
use crate::common::only_bundle;
use crate::faults::strace;

const STEPS: [&str; 7] = [
    "moving",
    "copying",
    "aside",
    "clearing",
    "returning",
    "placing",
    "emptying",
];

/// A scene in which one bundle was taken.
struct SetBack {
    scene: Scene,
    id: String,
}

impl SetBack {
    fn new() -> Self {
        let scene = Scene::new(Disk::new());
        Plugin::new("A").write(scene.disk.plugin(""));
        scene.done(&["quarantine", &Scene::path("A.dsplug")]);
        let id = scene.ledger()[0]["id"].clone();
        Self { scene, id }
    }

    fn file(&self) -> PathBuf {
        self.scene.state().join(format!("ledger/{}.json", self.id))
    }

    fn set(&self, change: impl Fn(&mut Value)) {
        let text = fs::read(self.file()).unwrap();
        let mut entry: Value = serde_json::from_slice(&text).unwrap();
        change(&mut entry);
        fs::write(self.file(), entry.to_string()).unwrap();
    }

    /// The step is another, and everything else what it was.
    fn to(&self, step: &str) {
        self.set(|entry| {
            entry["to"] = entry["from"].clone();
            entry["step"] = step.into();
        });
    }

    fn folder(&self) -> PathBuf {
        self.scene.state().join("vault").join(&self.id)
    }

    fn archive(&self) -> PathBuf {
        let evidence = self.scene.state().join("evidence");
        evidence.join(format!("{}.tar.gz", self.id))
    }

    /// What the vault holds, and the evidence.
    fn kept(&self) -> (Picture, Vec<u8>) {
        let mut vault = picture(&self.folder());
        vault.remove(Path::new(""));
        (vault, fs::read(self.archive()).unwrap_or_default())
    }

    /// The row is of something that is in the vault, or is not known where.
    #[track_caller]
    fn is_told(&self, said: &str) {
        for lie in ["stands where it stood", "was put back"] {
            assert!(!said.contains(lie), "{said}");
        }
        let rows = self.scene.ledger();
        assert_eq!(rows.len(), 1, "{said}");
        assert_ne!(rows[0]["state"], "restored", "{said}");
    }
}

pub fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(both).unwrap()
}

/// A call over the disk of this computer.
fn here(state: &Path, arguments: &[&str]) -> Output {
    let mut call = Command::new(DSPLUG);
    call.args(arguments).arg("--state-dir").arg(state);
    call.output().unwrap()
}

type Before = fn(&SetBack);

/// What stands where it stood: nothing, another of that name, and one that is the same but for one thing.
const STANDS: [(&str, Before); 4] = [
    ("nothing", |_| {}),
    ("another", |set_back| {
        let disk = &set_back.scene.disk;
        Plugin::new("A")
            .file("Contents/x", "")
            .write(disk.plugin(""));
    }),
    ("another of the digest that the ledger says", |set_back| {
        let disk = &set_back.scene.disk;
        Plugin::new("B").write_as(disk.plugin("A.dsplug"));
        let digest = only_bundle(disk.path())["hash"].clone();
        set_back.set(|entry| entry["seen"]["digest"] = digest.clone().into());
    }),
    ("another, and no digest is known", |set_back| {
        use std::os::unix::fs::MetadataExt as _;
        let disk = &set_back.scene.disk;
        let path = Plugin::new("B").write_as(disk.plugin("A.dsplug"));
        let meta = path.metadata().unwrap();
        set_back.set(|entry| {
            let (dev, ino) = (meta.dev(), meta.ino());
            entry["seen"] =
                json!({"kind": "directory", "dev": dev, "ino": ino, "digest": "", "link": ""});
        });
    }),
];

#[test]
fn no_entry_that_was_set_back_loses_what_the_vault_alone_holds() {
    for step in STEPS {
        for (stands, before) in STANDS {
            for call in [
                ["doctor", "--yes-write-image"].as_slice(),
                &["restore", "none"],
            ] {
                let set_back = SetBack::new();
                before(&set_back);
                set_back.to(step);
                let (kept, disk) = (set_back.kept(), set_back.scene.picture());
                let said = text(&set_back.scene.call(call));
                let case = format!("{step}, {stands}, {call:?}: {said}");
                assert!(set_back.folder().exists(), "{case}");
                assert_eq!(set_back.kept(), kept, "{case}");
                assert_eq!(set_back.scene.picture(), disk, "{case}");
                set_back.is_told(&case);
                // Another call of the same changes nothing.
                set_back.scene.call(call);
                assert_eq!(set_back.kept(), kept, "{case}");
            }
        }
    }
}

/// What stands aside is removed where the vault has it, whatever the ledger says that it is.
#[test]
fn what_stands_aside_alone_is_not_removed() {
    for step in ["aside", "clearing"] {
        for moved in [true, false] {
            let set_back = SetBack::new();
            let item = set_back.folder().join("item");
            let aside = set_back
                .scene
                .disk
                .plugin(format!(".dsplug-{}", set_back.id));
            fs::rename(&item, &aside).unwrap();
            if !moved {
                Plugin::new("B").write_as(&item);
            }
            Plugin::new("A").write(set_back.scene.disk.plugin(""));
            set_back.to(step);
            let before = picture(&aside);
            let said = text(&set_back.scene.call(&["doctor", "--yes-write-image"]));
            assert_eq!(picture(&aside), before, "{step}: {said}");
            assert!(set_back.archive().exists(), "{step}: {said}");
            set_back.is_told(&said);
        }
    }
}

/// Nothing is in the vault any more, and what the ledger says stands nowhere.
#[test]
fn evidence_outlives_what_it_is_of() {
    for step in STEPS {
        for (stands, before) in STANDS {
            let set_back = SetBack::new();
            before(&set_back);
            fs::remove_dir_all(set_back.folder()).unwrap();
            set_back.to(step);
            let archive = fs::read(set_back.archive()).unwrap();
            for _ in 0..2 {
                let said = text(&set_back.scene.call(&["doctor", "--yes-write-image"]));
                let case = format!("{step}, {stands}: {said}");
                let now = fs::read(set_back.archive()).unwrap_or_default();
                assert!(now == archive, "{case}");
            }
        }
    }
}

/// Nobody knows any more whose they are.
#[test]
fn archives_without_an_entry_are_kept_and_told() {
    let set_back = SetBack::new();
    fs::remove_file(set_back.file()).unwrap();
    let kept = set_back.kept();
    let evidence = set_back.scene.state().join("evidence");
    fs::write(evidence.join(".half.tar.gz.part"), "half").unwrap();
    let said = text(&set_back.scene.call(&["restore", "none"]));
    assert_eq!(set_back.kept(), kept);
    let name = format!("evidence/{}.tar.gz", set_back.id);
    assert!(said.contains(&name), "{said}");
    assert!(said.contains("has no entry"), "{said}");
    assert_eq!(fs::read_dir(evidence).unwrap().count(), 1);
}

/// The root of a Mac is `/`, and that is what a call on the responder's own computer asks for.
#[test]
fn no_state_that_was_brought_along_is_changed_unless_that_is_said() {
    for step in STEPS {
        let set_back = SetBack::new();
        set_back.to(step);
        set_back.set(|entry| {
            for place in ["from", "to"] {
                entry[place]["root"] = "/".into();
            }
        });
        let state = set_back.scene.state();
        // One that was never opened for writing here.
        fs::remove_file(state.join("quarantine.lock")).unwrap();
        let before = picture(&state);
        let said = text(&here(&state, &["doctor"]));
        assert_eq!(picture(&state), before, "{step}: {said}");
        assert!(said.contains("--yes-write-image"), "{step}: {said}");
        let other = tempfile::tempdir().unwrap();
        let to = other.path().to_str().unwrap();
        let output = here(&state, &["restore", &set_back.id, "--to", to]);
        let said = text(&output);
        let kept = set_back.kept();
        assert_eq!(output.status.code(), Some(1), "{step}: {said}");
        assert!(said.contains("doctor"), "{step}: {said}");
        assert!(set_back.folder().join("item").exists(), "{step}: {said}");
        // Where that is said, it is known to be in the vault, and comes out of it.
        let said = text(&here(&state, &["doctor", "--yes-write-image"]));
        assert_eq!(set_back.kept(), kept, "{step}: {said}");
        let output = here(&state, &["restore", &set_back.id, "--to", to]);
        assert!(output.status.success(), "{step}: {}", text(&output));
        assert!(other.path().join("A.dsplug/Contents").exists());
        assert!(set_back.archive().exists());
    }
}

/// What is asked for comes out, and no other entry is touched.
#[test]
fn what_is_put_elsewhere_settles_nothing_else() {
    let set_back = SetBack::new();
    let text_of = fs::read_to_string(set_back.file()).unwrap();
    let id = "0-other";
    let planted = text_of
        .replace(&set_back.id, id)
        .replace("\"quarantined\"", "\"copying\"");
    let file = set_back.scene.state().join(format!("ledger/{id}.json"));
    fs::write(&file, &planted).unwrap();
    chmod(&file, 0o600);
    let item = set_back.scene.state().join(format!("vault/{id}/item"));
    fs::create_dir(item.parent().unwrap()).unwrap();
    chmod(item.parent().unwrap(), 0o700);
    Plugin::new("A").write_as(&item);
    let other = tempfile::tempdir().unwrap();
    let to = other.path().to_str().unwrap();
    set_back.scene.done(&["restore", &set_back.id, "--to", to]);
    assert!(other.path().join("A.dsplug").exists());
    assert!(item.exists());
    assert_eq!(fs::read_to_string(&file).unwrap(), planted);
}

/// The directory that is named has something beside it that an entry calls its own.
#[test]
fn no_part_of_a_copy_is_removed_but_one_of_what_the_vault_holds() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let Some(scene) = Scene::across(disk) else {
        return dsplug_fixtures::skipped("/dev/shm is no volume of its own");
    };
    scene.done(&["quarantine", &Scene::path("A.dsplug")]);
    let id = scene.ledger()[0]["id"].clone();
    let other = tempfile::tempdir().unwrap();
    let part = other.path().join(format!(".dsplug-{id}.part"));
    fs::create_dir(&part).unwrap();
    fs::write(part.join("precious"), "").unwrap();
    let to = other.path().to_str().unwrap();
    let said = scene.refused(&["restore", &id, "--to", to]);
    assert!(part.join("precious").exists(), "{said}");
    assert_eq!(scene.ledger()[0]["state"], "quarantined");
    fs::remove_dir_all(&part).unwrap();
    scene.done(&["restore", &id, "--to", to]);
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
}

/// What came with an image proves nothing by what stands on the computer that reads it.
#[test]
fn no_copy_of_the_responders_computer_empties_the_vault_of_an_image() {
    for step in ["returning", "placing", "emptying"] {
        let set_back = SetBack::new();
        let other = tempfile::tempdir().unwrap();
        let item = set_back.folder().join("item");
        let mut copy = Command::new("cp");
        let copy = copy.arg("-a").arg(item).arg(other.path().join("c"));
        assert!(copy.status().unwrap().success());
        set_back.to(step);
        set_back.set(|entry| {
            let directory = other.path().to_str().unwrap();
            entry["to"] = json!({"root": "/", "directory": directory, "name": "c"});
        });
        let kept = set_back.kept();
        let said = text(&set_back.scene.call(&["doctor", "--yes-write-image"]));
        assert_eq!(set_back.kept(), kept, "{step}: {said}");
        assert!(
            said.contains(other.path().to_str().unwrap()),
            "{step}: {said}"
        );
        set_back.is_told(&said);
        // What the vault holds by then may be a rest.
        let is_in_vault = set_back.scene.ledger()[0]["state"] == "quarantined";
        assert_eq!(is_in_vault, step != "emptying", "{step}: {said}");
    }
}

/// A hole takes no disk and has no end: whatever is planted, the call does what it was asked for, and says what it left.
#[test]
fn what_is_planted_with_a_hole_in_it_holds_up_no_call() {
    for (step, digest) in STEPS.iter().flat_map(|step| [(step, "0"), (step, "")]) {
        let set_back = SetBack::new();
        let scene = &set_back.scene;
        let item = set_back.folder().join("item");
        // Where no digest is known, both places are read and held against each other.
        if digest.is_empty() {
            Plugin::new("A").write(scene.disk.plugin(""));
            let hole = scene.disk.plugin("A.dsplug/Contents/hole");
            sparse(hole, b"", 15 << 40);
        }
        sparse(item.join("Contents/hole"), b"", 15 << 40);
        set_back.to(step);
        let meta = item.metadata().unwrap();
        set_back.set(|entry| {
            let ids = entry["seen"].as_object_mut().unwrap();
            ids["digest"] = digest.repeat(64).into();
            ids["dev"] = meta.dev().into();
            ids["ino"] = meta.ino().into();
        });
        Plugin::new("B").write(scene.disk.plugin(""));
        let b = Scene::path("B.dsplug");
        for call in [["doctor", "--yes-write-image"], ["quarantine", &b]] {
            let all = scene.arguments(&call);
            let output = Command::new("timeout").arg("20").args(all).output();
            let output = output.unwrap();
            let said = text(&output);
            assert_ne!(output.status.code(), Some(124), "{step} {digest:?}: {said}");
            for lie in ["stands where it stood", "was put back"] {
                assert!(!said.contains(lie), "{step} {digest:?}: {said}");
            }
        }
        assert!(!scene.disk.plugin("B.dsplug").exists(), "{step}");
        assert!(item.join("Contents/hole").exists(), "{step} {digest:?}");
        let said = text(&scene.call(&["restore", &set_back.id, "--expect", "00"]));
        let is_told = said.contains("larger than is read") || said.contains("interrupted");
        assert!(is_told, "{step} {digest:?}: {said}");
    }
}

/// Runs a call that waits a while at its rename of that number, and does something meanwhile.
pub fn meanwhile(
    scene: &Scene,
    call: &[&str],
    delay: &str,
    rename: u32,
    step: &str,
    act: &dyn Fn(),
) -> Output {
    let child = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=renameat2", "-o", "/dev/null"])
        .arg("-e")
        .arg(format!("inject=renameat2:{delay}=3000000:when={rename}"))
        .args(scene.arguments(call))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let step = format!("\"step\": \"{step}\"");
    let began = Instant::now();
    let is_there = || {
        let entries = fs::read_dir(scene.state().join("ledger")).into_iter();
        let mut entries = entries.flatten().flatten();
        entries.any(|e| fs::read_to_string(e.path()).is_ok_and(|text| text.contains(&step)))
    };
    while !is_there() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(500));
    act();
    child.wait_with_output().unwrap()
}

/// Whoever owns the directory exchanges it as soon as it stands there; and a mode is in no digest.
#[test]
fn what_is_removed_behind_a_copy_is_looked_at_when_that_stands() {
    if !strace::is_usable() {
        return;
    }
    let disk = Disk::new();
    let bundle = Plugin::new("A")
        .file("Contents/x", "x")
        .write(disk.plugin(""));
    let Some(scene) = Scene::across(disk) else {
        return dsplug_fixtures::skipped("/dev/shm is no volume of its own");
    };
    // The third rename names the copy in the vault, and the fourth puts the bundle aside.
    let quarantine = ["quarantine", &Scene::path("A.dsplug")];
    let mode = || chmod(bundle.join("Contents/x"), 0o4755);
    let said = text(&meanwhile(
        &scene,
        &quarantine,
        "delay_enter",
        4,
        "aside",
        &mode,
    ));
    assert!(said.contains("it stands where it stood"), "{said}");
    assert_eq!(scene.ledger(), [], "{said}");
    assert!(bundle.join("Contents/x").exists(), "{said}");
    scene.done(&quarantine);
    let id = scene.ledger()[0]["id"].clone();
    let item = scene.state().join("vault").join(&id).join("item");
    let before = picture(&item);
    let other = tempfile::tempdir().unwrap();
    let to = ["restore", &id, "--to", other.path().to_str().unwrap()];
    let exchange = || {
        let placed = other.path().join("A.dsplug/Contents/x");
        fs::write(placed, "y").unwrap();
    };
    // The first is refused between volumes, and the second gives the copy its name.
    let output = meanwhile(&scene, &to, "delay_exit", 2, "placing", &exchange);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stays in the vault"), "{said}");
    assert_eq!(picture(&item), before, "{said}");
    assert_eq!(scene.ledger()[0]["state"], "quarantined", "{said}");
}
