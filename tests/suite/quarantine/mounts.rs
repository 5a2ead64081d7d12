//! What is mounted in a bundle belongs to another volume, and stays there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dsplug_fixtures::{Disk, PLUGINS, Plugin, needs_root, skipped};

use super::moves::leaves_nothing;
use super::scene::Scene;
use super::strace;
use crate::hostile::mounts::Mounted;

/// A file of somebody else's, whose directory is mounted elsewhere until this is dropped.
struct Victim {
    place: tempfile::TempDir,
    at: Vec<PathBuf>,
}

impl Victim {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("precious"), "1").unwrap();
        let at = Vec::new();
        Self { place, at }
    }

    /// Mounts it on a directory, which may come to stand elsewhere after that.
    fn mount(&mut self, at: &Path, stands: &Path) -> bool {
        self.at.extend([at.to_owned(), stands.to_owned()]);
        let mut call = Command::new("mount");
        call.arg("--bind").arg(self.place.path()).arg(at);
        call.output().is_ok_and(|output| output.status.success())
    }

    #[track_caller]
    fn is_whole(&self) {
        assert!(self.place.path().join("precious").exists());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        for at in &self.at {
            let _ = Command::new("umount").arg(at).output();
        }
    }
}

/// A bundle with a directory over which something can be mounted; from another volume where there is one.
fn with_a_place(across: bool) -> Option<(Scene, PathBuf)> {
    let disk = Disk::new();
    let bundle = Plugin::new("A")
        .file("Contents/Resources/here/x", "")
        .write(disk.plugin(""));
    let scene = if across {
        Scene::across(disk)
    } else {
        Some(Scene::new(disk))
    };
    Some((scene?, bundle))
}

/// On its volume and from another, with one of its own file system and one of another.
#[test]
fn a_bundle_in_which_something_is_mounted_is_refused_before_anything_is_touched() {
    if !needs_root("a volume is mounted") {
        return;
    }
    for across in [false, true] {
        let Some((scene, bundle)) = with_a_place(across) else {
            return skipped("/dev/shm is no volume of its own");
        };
        let mut victim = Victim::new();
        let at = bundle.join("Contents/Resources/here");
        if !victim.mount(&at, &at) {
            return skipped("cannot mount");
        }
        let before = scene.picture();
        let line = scene.refused(&["quarantine", &Scene::path("A.dsplug")]);
        assert!(
            line.contains("A.dsplug was left alone: a volume is mounted at /Library/")
                && line.contains("/A.dsplug/Contents/Resources/here: "),
            "{line}"
        );
        assert_eq!(scene.picture(), before);
        assert_eq!(scene.ledger(), []);
        assert!(leaves_nothing(&scene.state()));
        // What is collected of it says what it lacks.
        let archive = scene.place.path().join("a.tar.gz");
        let output = archive.to_str().unwrap();
        scene.done(&["collect", &Scene::path("A.dsplug"), "--output", output]);
        let names = Command::new("tar").arg("tzf").arg(&archive).output();
        let names = String::from_utf8(names.unwrap().stdout).unwrap();
        assert!(names.contains("/here/") && !names.contains("precious"));
        let compared = scene.call(&["compare", &Scene::path("A.dsplug"), output]);
        let told = String::from_utf8(compared.stdout).unwrap();
        assert_eq!(compared.status.code(), Some(1), "{told}");
        assert!(told.contains("unknown   a volume is mounted at"), "{told}");
        victim.is_whole();
    }
}

/// Starts a call that waits a while before its rename of that number.
fn held_up(scene: &Scene, rename: u32) -> Child {
    let call = scene.arguments(&["quarantine", &Scene::path("A.dsplug")]);
    Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=renameat2", "-o", "/dev/null"])
        .arg("-e")
        .arg(format!(
            "inject=renameat2:delay_enter=3000000:when={rename}"
        ))
        .args(&call)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_is_mounted_between_look_and_move_stops_it() {
    if !needs_root("a volume is mounted") || !strace::is_usable() {
        return;
    }
    // The first rename names the archive, the second moves the bundle; from another volume that fails, the third
    // names the copy, and the fourth puts the bundle aside.
    for (across, rename) in [(false, 2), (true, 4)] {
        let Some((scene, bundle)) = with_a_place(across) else {
            return skipped("/dev/shm is no volume of its own");
        };
        let mut child = held_up(&scene, rename);
        let ledger = scene.state().join("ledger");
        let began = Instant::now();
        let step = if across { "aside" } else { "moving" };
        let is_there = || {
            let mut entries = fs::read_dir(&ledger).into_iter().flatten().flatten();
            let text = |e: fs::DirEntry| fs::read_to_string(e.path()).unwrap_or_default();
            entries.any(|e| text(e).contains(&format!("\"step\": \"{step}\"")))
        };
        while !is_there() {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(300));
        let mut victim = Victim::new();
        let at = bundle.join("Contents/Resources/here");
        if !victim.mount(&at, &at) {
            child.kill().unwrap();
            child.wait().unwrap();
            return skipped("cannot mount");
        }
        let before = scene.picture();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        victim.is_whole();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("a volume is mounted at"), "{error}");
        assert!(error.contains("it stands where it stood"), "{error}");
        assert_eq!(scene.picture(), before);
        assert_eq!(scene.ledger(), []);
    }
}

/// Quarantines it by a call that is killed once it begins to remove what stood there.
fn is_killed_in_the_removal(scene: &Scene) {
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=unlinkat", "-o", "/dev/null"])
        .arg("-P")
        .arg(scene.disk.plugin(""))
        .args(["-e", "inject=unlinkat:signal=KILL"])
        .args(scene.arguments(&["quarantine", &Scene::path("A.dsplug")]))
        .output()
        .unwrap();
    assert!(!output.status.success());
}

/// A call was ended in the midst of the removal, and something is mounted in the rest.
#[test]
fn the_next_call_goes_on_with_no_removal_in_which_something_is_mounted() {
    if !needs_root("a volume is mounted") || !strace::is_usable() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A")
        .file("Contents/Resources/here/x", "")
        .write(disk.plugin(""));
    let Some(scene) = Scene::across(disk) else {
        return skipped("/dev/shm is no volume of its own");
    };
    is_killed_in_the_removal(&scene);
    let mut rest = fs::read_dir(scene.disk.plugin("")).unwrap();
    let rest = rest.next().unwrap().unwrap().path();
    let mut victim = Victim::new();
    let at = rest.join("Contents/Resources/here");
    if !victim.mount(&at, &at) {
        return skipped("cannot mount");
    }
    let before = scene.picture();
    let error = scene.call(&["restore", "none"]).stderr;
    let error = String::from_utf8(error).unwrap();
    assert!(error.contains("a volume is mounted at"), "{error}");
    victim.is_whole();
    assert_eq!(scene.picture(), before);
    assert_eq!(scene.ledger()[0]["state"], "quarantined");
}

/// The copy that runs is taken; the one that the volume covers comes to light when that goes.
#[test]
fn what_a_volume_on_the_way_covers_is_told_as_not_taken() {
    for place in [PLUGINS, "Library/DirectoryServices"] {
        let disk = Disk::new();
        let covered = Plugin::new("A").write(disk.plugin(""));
        let Some(mounted) = Mounted::new(disk.at(place), "tmpfs") else {
            return;
        };
        Plugin::new("A").write(disk.plugin(""));
        let scene = Scene::new(disk);
        // Ends before what it stands on.
        let mounted = mounted;
        let call = scene.call(&["quarantine", &Scene::path("A.dsplug")]);
        let told = String::from_utf8(call.stdout).unwrap();
        let error = String::from_utf8(call.stderr).unwrap();
        assert_eq!(call.status.code(), Some(1), "{told}{error}");
        assert!(!covered.exists(), "{told}{error}");
        let row = &scene.ledger()[0];
        assert_eq!(row["state"], "quarantined");
        let line = format!(
            "a volume is mounted at /{place}: what it covers was not taken, and may load when it goes; \
             look at what it is (df, mount), unmount it and call again"
        );
        assert_eq!(row["error"], line);
        assert!(told.contains(&format!("covered     {line}\n")), "{told}");
        let line = format!("it is in the vault as {}, but {line}\n", row["id"]);
        assert!(error.contains(&line), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        drop(mounted);
        assert!(covered.exists());
        let told = scene.done(&["quarantine", &Scene::path("A.dsplug")]);
        assert!(!told.contains("covered"), "{told}");
        let rows = scene.ledger();
        let errors: Vec<_> = rows.iter().filter(|row| row["error"].is_empty()).collect();
        assert_eq!((rows.len(), errors.len()), (2, 1));
    }
}

/// The call that would have told it was killed in the midst of the removal.
#[test]
fn what_a_volume_covers_is_told_by_the_call_that_finishes() {
    if !strace::is_usable() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let Some(mounted) = Mounted::new(disk.at(PLUGINS), "tmpfs") else {
        return;
    };
    Plugin::new("A").write(disk.plugin(""));
    let scene = Scene::new(disk);
    // Ends before what it stands on.
    let _mounted = mounted;
    is_killed_in_the_removal(&scene);
    assert_eq!(scene.ledger()[0]["state"], "incomplete");
    let error = scene.call(&["restore", "none"]).stderr;
    let error = String::from_utf8(error).unwrap();
    let row = &scene.ledger()[0];
    assert_eq!(row["state"], "quarantined", "{error}");
    let line = format!("a volume is mounted at /{PLUGINS}: what it covers was not taken");
    assert!(row["error"].starts_with(&line), "{row:?}");
    assert!(
        error.contains(&format!("is in the vault; {line}")),
        "{error}"
    );
}
