//! What is moved, what is left, and what is refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dsplug::codesign::Roots;
use dsplug::limits::Limits;
use dsplug::quarantine::{Options, may_take_executable};
use dsplug::report::answer::Format;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug_fixtures::cms::Signer;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, fifo, needs_root, sample, set_mtime, skipped};
use sha2::{Digest as _, Sha256};

use super::scene::{DSPLUG, Scene, picture};
use super::strace;

/// A bundle with every odd entry that a disk can hold.
pub fn odd(disk: &Disk) {
    let path = Plugin::new("Odd")
        .file("Contents/Resources/e\u{301}", "decomposed")
        .file("Contents/Resources/new\nline", "2")
        .file("Contents/Resources/set", "3")
        .write(disk.plugin(""));
    let inside = |name: &str| path.join("Contents/Resources").join(name);
    fs::hard_link(inside("set"), inside("the same")).unwrap();
    symlink("/nowhere", inside("link")).unwrap();
    fs::create_dir(inside("no files")).unwrap();
    fifo(inside("pipe"));
    let sparse = fs::File::create(inside("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    chmod(inside("set"), 0o4711);
    set_mtime(inside("set"), 981_173_106);
    chmod(inside("no files"), 0o500);
    set_mtime(inside("no files"), 981_173_107);
    let none = rustix::fs::XattrFlags::empty();
    let _ = rustix::fs::setxattr(inside("sparse"), "user.com.apple.quarantine", b"a\0b", none);
    let _ = rustix::fs::setxattr(&path, "user.com.example", b"c", none);
}

/// What this program would remove as a leftover of its own, and cannot.
#[test]
fn directories_in_the_evidence_stop_nothing() {
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    let evidence = scene.state().join("evidence");
    scene.done(&["quarantine", &Scene::path("A.dsplug"), "--reason", "x"]);
    for name in ["x.tar.gz", ".x.part"] {
        fs::create_dir(evidence.join(name)).unwrap();
    }
    let id = scene.ledger()[0]["id"].clone();
    let output = scene.call(&["restore", &id]);
    assert!(output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    for name in ["x.tar.gz", ".x.part"] {
        assert!(told.contains(&format!("evidence/{name}")), "{told}");
    }
    scene.done(&["quarantine", &Scene::path("A.dsplug"), "--reason", "y"]);
}

/// The names of the coming minutes, of what is there whole and of what is being written.
#[test]
fn evidence_that_is_planted_refuses_no_bundle() {
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    let evidence = scene.state().join("evidence");
    let path = Scene::path("A.dsplug");
    scene.done(&["quarantine", &path, "--reason", "x"]);
    let plain = scene.ledger()[0]["id"].clone();
    scene.done(&["restore", &plain]);
    let (_, short) = plain.split_once('-').unwrap();
    let names =
        "now=$(date +%s); for i in $(seq 0 400); do date -u -d @$((now+i)) +%Y%m%dT%H%M%SZ; done";
    let seconds = Command::new("sh").args(["-c", names]).output().unwrap();
    let seconds = String::from_utf8(seconds.stdout).unwrap();
    assert!(
        seconds
            .lines()
            .all(|second| second.len() == plain.len() - short.len() - 1)
    );
    for (number, second) in seconds.lines().enumerate() {
        let name = format!("{second}-{short}.tar.gz");
        if number % 2 == 0 {
            fs::write(evidence.join(name), "x").unwrap();
        } else {
            fs::create_dir(evidence.join(format!(".{name}.part"))).unwrap();
        }
    }
    for _ in 0..2 {
        scene.done(&["quarantine", &path, "--reason", "y"]);
        let rows = scene.ledger();
        let taken = rows
            .iter()
            .find(|row| row["state"] == "quarantined")
            .unwrap();
        let number = taken["id"].rsplit('-').next().unwrap();
        assert!(
            taken["id"].len() == plain.len() + 17 && number.len() == 16,
            "{taken:?}"
        );
        assert!(fs::metadata(&taken["evidence"]).unwrap().len() > 100);
        scene.done(&["restore", &taken["id"]]);
    }
}

fn round_trip(scene: &Scene, names: &[&str]) {
    let before = scene.picture();
    for name in names {
        let path = Scene::path(name);
        let hash = {
            let rows =
                crate::common::query(scene.disk.path(), "SELECT path, hash FROM dsplug_bundles");
            rows.iter().find(|r| r["path"] == path).unwrap()["hash"].clone()
        };
        let mut call = vec!["quarantine", &path, "--reason", "a test"];
        if !hash.is_empty() {
            call.extend(["--expect", &hash]);
        }
        scene.done(&call);
        assert!(
            scene.disk.plugin(name).symlink_metadata().is_err(),
            "{name}"
        );
        let mut rows = scene.ledger().into_iter();
        let row = rows.find(|row| row["state"] == "quarantined").unwrap();
        let state = (
            row["state"].as_str(),
            row["hash"].as_str(),
            row["path"].as_str(),
        );
        assert_eq!(state, ("quarantined", hash.as_str(), path.as_str()));
        assert_eq!(row["reason"], "a test");
        let archive = fs::read(&row["evidence"]).unwrap();
        let sum = ring::digest::digest(&ring::digest::SHA256, &archive);
        let sum: String = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(row["evidence_hash"], sum);
        scene.done(&["restore", &row["id"]]);
        assert_eq!(scene.picture(), before, "{name}");
        assert!(scene.ledger().iter().all(|row| row["state"] == "restored"));
        assert_eq!(
            fs::read_dir(scene.state().join("vault")).unwrap().count(),
            0
        );
    }
}

#[test]
fn every_bundle_of_the_sample_comes_back_as_it_was() {
    let scene = Scene::new(Disk::empty());
    sample::lay_out(scene.disk.path());
    odd(&scene.disk);
    let names: Vec<String> = fs::read_dir(scene.disk.plugin(""))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.to_lowercase().ends_with(".dsplug"))
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    round_trip(&scene, &names);
}

#[test]
fn across_volumes_it_is_copied_and_comes_back_as_it_was() {
    if !needs_root("owners are set") {
        return;
    }
    let disk = Disk::new();
    odd(&disk);
    Plugin::new("T").write(disk.dir("opt"));
    disk.link(format!("{PLUGINS}/L.dsplug"), "/opt/T.dsplug");
    std::os::unix::fs::lchown(disk.plugin("L.dsplug"), Some(501), Some(20)).unwrap();
    disk.file(format!("{PLUGINS}/F.dsplug"), "a file");
    let Some(scene) = Scene::across(disk) else {
        return skipped("/dev/shm is no volume of its own");
    };
    round_trip(&scene, &["Odd.dsplug", "L.dsplug", "F.dsplug"]);
    // What cannot be made anew is refused, and left.
    let socket = scene.disk.plugin("Odd.dsplug/s");
    let _socket = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let before = scene.picture();
    let line = scene.refused(&["quarantine", &Scene::path("Odd.dsplug")]);
    assert!(line.contains("socket or device"), "{line}");
    assert_eq!(scene.picture(), before);
    assert_eq!(
        fs::read_dir(scene.state().join("vault")).unwrap().count(),
        0
    );
    assert!(scene.ledger().iter().all(|row| row["state"] == "restored"));
}

/// What its attacker can make so that it is copied in part, or not removed behind its copy.
#[test]
fn what_cannot_be_copied_and_removed_whole_is_left_as_it_was() {
    type Make = fn(&Path) -> bool;
    let makes: [(&str, Make); 4] = [
        ("deeper than 96 directories", |path| {
            fs::create_dir_all(path.join("d/".repeat(97))).is_ok()
        }),
        ("socket or device", |path| {
            std::os::unix::net::UnixListener::bind(path.join("z")).is_ok()
        }),
        ("socket or device", |path| {
            done("mknod", &[], path, &["c", "1", "3"])
        }),
        ("a flag forbids it", |path| {
            fs::write(path.join("z"), "").is_ok() && done("chattr", &["+i"], path, &[])
        }),
    ];
    for (why, make) in makes {
        let disk = Disk::new();
        let bundle = Plugin::new("A").write(disk.plugin(""));
        let Some(scene) = Scene::across(disk) else {
            return skipped("/dev/shm is no volume of its own");
        };
        let odd = bundle.join("Contents");
        if !make(&odd) {
            skipped(format_args!("cannot make what is refused as {why}"));
            continue;
        }
        let before = scene.picture();
        let line = scene.refused(&["quarantine", &Scene::path("A.dsplug")]);
        let after = scene.picture();
        let _ = done("chattr", &["-i"], &odd, &[]);
        assert!(line.contains(why), "{line}");
        assert!(line.contains("--state-dir on its own volume"), "{line}");
        assert_eq!(after, before, "{why}");
        assert_eq!(scene.ledger(), [], "{why}");
        assert!(leaves_nothing(&scene.state()), "{why}");
    }
}

/// Runs a program on the entry `z` of a directory.
fn done(program: &str, before: &[&str], path: &Path, behind: &[&str]) -> bool {
    let mut call = Command::new(program);
    call.args(before).arg(path.join("z")).args(behind);
    call.output().is_ok_and(|output| output.status.success())
}

/// A rest that cannot be removed: the copy in the vault can be put back all the same.
#[test]
fn a_rest_that_cannot_be_removed_keeps_nothing_in_the_vault() {
    if !strace::is_usable() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let Some(scene) = Scene::across(disk) else {
        return skipped("/dev/shm is no volume of its own");
    };
    let before = scene.picture();
    let call = scene.arguments(&["quarantine", &Scene::path("A.dsplug")]);
    // Each removal fails that is one of the rest: the copy and the ledger are written by renames.
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=unlinkat", "-o", "/dev/null"])
        .arg("-P")
        .arg(scene.disk.plugin(""))
        .args(["-e", "inject=unlinkat:error=EBUSY"])
        .args(&call)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("but a rest of it stands beside its place"),
        "{error}"
    );
    let id = scene.ledger()[0]["id"].clone();
    // The disk lets it be removed by now.
    scene.done(&["restore", &id]);
    assert_eq!(scene.picture(), before);
}

#[test]
fn what_was_not_expected_is_left_alone() {
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    let before = scene.picture();
    let path = Scene::path("A.dsplug");
    let line = scene.refused(&["quarantine", &path, "--expect", &"0".repeat(64)]);
    assert!(line.contains("was left alone: its digest is"), "{line}");
    assert_eq!(scene.picture(), before);
    assert!(!scene.state().exists(), "nothing is made either");
}

/// More entries than are read, of which one was interrupted: whoever calls is told.
#[test]
fn entries_beyond_those_that_are_read_are_told() {
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    scene.done(&["quarantine", &Scene::path("A.dsplug")]);
    let ledger = scene.state().join("ledger");
    for number in 0..20_002 {
        let path = ledger.join(format!("z{number}.json"));
        fs::File::create(path).unwrap();
    }
    let told = scene.call(&["restore", "none"]).stderr;
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("3 entries of ") && told.contains("are left out"),
        "{told}"
    );
    let told = scene.call(&["doctor"]).stdout;
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("3 entries of ") && told.contains("are left out"),
        "{told}"
    );
}

/// Where the folder leads to, its attacker has chosen: it may be a part of what watches this Mac.
#[test]
fn the_row_of_a_folder_moves_no_folder() {
    let disk = Disk::new();
    disk.file("Applications/EDR.app/Contents/PlugIns/Sensor.bundle", "1");
    disk.file(
        "Applications/EDR.app/Contents/PlugIns/Info.plist",
        "<plist><dict><key>",
    );
    fs::remove_dir_all(disk.at("Library/DirectoryServices")).unwrap();
    disk.link(
        "Library/DirectoryServices",
        "/Applications/EDR.app/Contents",
    );
    let scene = Scene::new(disk);
    let row = "/Library/DirectoryServices/PlugIns";
    let steps = scene.done(&["explain", row]);
    assert!(steps.contains("It is the plug-in folder itself"), "{steps}");
    assert!(!steps.contains("sudo dsplug quarantine"), "{steps}");
    let why = scene.refused(&["quarantine", row]);
    assert!(why.contains("left alone"), "{why}");
    assert!(
        scene
            .disk
            .at("Applications/EDR.app/Contents/PlugIns/Sensor.bundle")
            .exists()
    );
}

#[test]
fn an_image_is_not_written_unless_that_is_said() {
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    let before = scene.picture();
    let call = |arguments: &[&str]| {
        let output = Command::new(DSPLUG)
            .args(arguments)
            .arg("--root")
            .arg(scene.disk.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let path = Scene::path("A.dsplug");
    assert!(call(&["quarantine", &path]).contains("--yes-write-image"));
    assert!(call(&["restore", "x"]).contains("--yes-write-image"));
    assert!(call(&["quarantine", &path, "--yes-write-image"]).contains("--state-dir"));
    let below = scene.disk.at("state");
    let below = below.to_str().unwrap();
    let line = call(&[
        "quarantine",
        &path,
        "--yes-write-image",
        "--state-dir",
        below,
    ]);
    assert!(line.contains("below --root"), "{line}");
    assert_eq!(scene.picture(), before);
}

#[test]
fn a_link_is_moved_as_a_link_and_an_executable_outside_with_it() {
    let scene = Scene::new(Disk::new());
    Plugin::new("T").write(scene.disk.dir("opt"));
    scene
        .disk
        .link(format!("{PLUGINS}/L.dsplug"), "../../../opt/T.dsplug");
    Plugin::new("Out")
        .key("CFBundleExecutable", "/opt/out")
        .without_executable()
        .write(scene.disk.plugin(""));
    scene.disk.file(
        "opt/out",
        dsplug_fixtures::mach_header(dsplug_fixtures::ARM64E),
    );
    let before = scene.picture();
    let said = scene.done(&["quarantine", &Scene::path("L.dsplug")]);
    assert!(
        said.contains("../../../opt/T.dsplug: the link was moved"),
        "{said}"
    );
    assert!(scene.disk.at("opt/T.dsplug").is_dir());
    let said = scene.done(&["quarantine", &Scene::path("Out.dsplug")]);
    assert!(said.contains("/opt/out: its main executable"), "{said}");
    assert!(scene.disk.at("opt/out").exists());
    for row in scene.ledger() {
        scene.done(&["restore", &row["id"]]);
    }
    assert_eq!(scene.picture(), before);
    let out = fs::read(scene.disk.at("opt/out")).unwrap();
    let hash = dsplug::text::hex(&Sha256::digest(out));
    scene.done(&[
        "quarantine",
        &Scene::path("Out.dsplug"),
        "--with-executable",
        "--expect-executable",
        &hash,
    ]);
    assert!(!scene.disk.at("opt/out").exists());
    let ledger = scene.ledger();
    let id = ledger.iter().find(|r| r["state"] == "quarantined").unwrap()["id"].clone();
    scene.done(&["restore", id.trim_end_matches("-executable")]);
    assert_eq!(scene.picture(), before);
}

/// Whoever planted the bundle has chosen its main executable: it may be the program that would find him.
#[test]
fn an_executable_outside_is_moved_by_its_digest_and_no_known_signers() {
    let name = "Developer ID Application: Example (TEAM123456)";
    let signer = Signer::developer_id(name, "TEAM123456");
    let scene = Scene::new(Disk::new());
    let agent = SignedBundle::new("Agent", Form::Deep)
        .signer(&signer)
        .write(scene.disk.dir("opt"));
    let agent = agent.join("Contents/MacOS/Agent");
    let hash = dsplug::text::hex(&Sha256::digest(fs::read(&agent).unwrap()));
    let named = agent.strip_prefix(scene.disk.path()).unwrap();
    Plugin::new("Out")
        .key("CFBundleExecutable", format!("/{}", named.display()))
        .without_executable()
        .write(scene.disk.plugin(""));
    let before = scene.picture();
    let path = Scene::path("Out.dsplug");
    let call = ["quarantine", &path, "--with-executable"];
    let line = scene.refused(&call);
    assert!(
        line.contains(&format!("--expect-executable {hash}")),
        "{line}"
    );
    let wrong = [&call[..], &["--expect-executable", "00"]].concat();
    let line = scene.refused(&wrong);
    assert!(line.contains("is not what was expected"), "{line}");
    assert_eq!(scene.picture(), before);
    // Where its chain ends in a root that is known.
    let root = Root::open(scene.disk.path()).unwrap();
    let scanner = Scanner::new(root, Limits::STANDARD).with_roots(Roots::of(signer.roots()));
    let snapshot = { scanner }.scan();
    let mut bundles = snapshot.bundles.iter();
    let bundle = bundles.find(|b| b.evidence.candidate.path == path.as_bytes());
    let mut options = Options {
        path: None,
        expect: None,
        reason: String::new(),
        keep_loader: false,
        with_executable: true,
        expect_executable: Some(hash),
        force_executable: false,
        yes_write_image: false,
        list: false,
        format: Format::Line,
    };
    let line = may_take_executable(bundle.unwrap(), &options).unwrap_err();
    let line = line.to_string();
    assert!(
        line.contains(name) && line.contains("developer_id"),
        "{line}"
    );
    options.force_executable = true;
    assert!(may_take_executable(bundle.unwrap(), &options).is_ok());
}

#[test]
fn nothing_is_replaced_and_another_directory_can_be_named() {
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    scene.done(&["quarantine", &Scene::path("A.dsplug")]);
    let id = scene.ledger()[0]["id"].clone();
    Plugin::new("A")
        .file("new", "")
        .write(scene.disk.plugin(""));
    let before = scene.picture();
    let line = scene.refused(&["restore", &id]);
    assert!(line.contains("something stands at"), "{line}");
    assert_eq!(scene.picture(), before);
    assert_eq!(scene.ledger()[0]["state"], "quarantined");
    let other = tempfile::tempdir().unwrap();
    scene.done(&["restore", &id, "--to", other.path().to_str().unwrap()]);
    assert!(other.path().join("A.dsplug/Contents/Info.plist").exists());
    let line = scene.refused(&["restore", &id]);
    assert!(line.contains("is restored"), "{line}");
    for id in ["none", "../ledger/x", ""] {
        let line = scene.refused(&["restore", id]);
        assert!(line.contains("has no entry"), "{line}");
    }
    // What is no longer what was put there is not put back as if it were.
    scene.done(&["quarantine", &Scene::path("A.dsplug")]);
    let rows = scene.ledger();
    let id = &rows.iter().find(|r| r["state"] == "quarantined").unwrap()["id"];
    fs::write(
        scene.state().join("vault").join(id).join("item/new"),
        "altered",
    )
    .unwrap();
    let line = scene.refused(&["restore", id]);
    assert!(line.contains("does not hold what was put there"), "{line}");
}

/// What was taken goes where it stood, and not where a link leads that has come since.
#[test]
fn no_link_that_came_since_leads_what_is_put_back_away() {
    let scene = Scene::new(Disk::new());
    Plugin::new("X").write(scene.disk.plugin(""));
    let bundle = scene.disk.plugin("X.dsplug");
    let before = picture(&bundle);
    scene.done(&["quarantine", &Scene::path("X.dsplug")]);
    let id = scene.ledger()[0]["id"].clone();
    let etc = scene.disk.dir("etc");
    let away = scene.disk.dir("opt").join("away");
    for (link, target, leads) in [
        (PLUGINS, "/etc", "/etc"),
        (
            "Library/DirectoryServices",
            "/opt/away",
            "/opt/away/PlugIns",
        ),
    ] {
        let link = scene.disk.at(link);
        fs::rename(&link, &away).unwrap();
        std::os::unix::fs::symlink(target, &link).unwrap();
        let line = scene.refused(&["restore", &id]);
        let says = format!("/{PLUGINS} leads to {leads} by a link that was not there");
        assert!(line.contains(&says), "{line}");
        assert_eq!(fs::read_dir(&etc).unwrap().count(), 0);
        assert_eq!(scene.ledger()[0]["state"], "quarantined");
        fs::remove_file(&link).unwrap();
        fs::rename(&away, &link).unwrap();
    }
    scene.done(&["restore", &id]);
    assert_eq!(picture(&bundle), before);
}

#[test]
fn two_at_once() {
    let scene = Scene::new(Disk::new());
    for name in ["A", "B"] {
        Plugin::new(name).write(scene.disk.plugin(""));
    }
    scene.done(&["quarantine", &Scene::path("A.dsplug")]);
    let lock = fs::File::open(scene.state().join("quarantine.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let line = scene.refused(&["quarantine", &Scene::path("B.dsplug")]);
    assert!(
        line.contains("another quarantine or restore is at work"),
        "{line}"
    );
    assert!(scene.disk.plugin("B.dsplug").exists());
    drop(lock);
    scene.done(&["quarantine", &Scene::path("B.dsplug")]);
}

#[test]
fn what_is_put_there_between_look_and_move_goes_back() {
    if !strace::is_usable() {
        return;
    }
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    let program = scene.arguments(&["quarantine", &Scene::path("A.dsplug")]);
    // The second such call moves the bundle, the first has named the archive. It is held up.
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=renameat2", "-o"])
        .arg(log.path())
        .args(["-e", "inject=renameat2:delay_enter=3000000:when=2"])
        .args(&program)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let ledger = scene.state().join("ledger");
    let began = Instant::now();
    while fs::read_dir(&ledger).map_or(0, Iterator::count) == 0 {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    let aside = scene.disk.dir("aside");
    fs::rename(scene.disk.plugin("A.dsplug"), aside.join("A.dsplug")).unwrap();
    Plugin::new("A")
        .file("Contents/other", "")
        .write(scene.disk.plugin(""));
    let before = scene.picture();
    let output = child.wait_with_output_of();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("changed while it was moved"), "{error}");
    assert!(error.contains("it stands where it stood"), "{error}");
    assert_eq!(scene.picture(), before);
    assert_eq!(scene.ledger(), []);
    assert_eq!(
        fs::read_dir(scene.state().join("vault")).unwrap().count(),
        0
    );
    assert_eq!(
        fs::read_dir(scene.state().join("evidence"))
            .unwrap()
            .count(),
        0
    );
}

/// A child's end with what it wrote.
trait Ended {
    fn wait_with_output_of(&mut self) -> std::process::Output;
}

impl Ended for std::process::Child {
    fn wait_with_output_of(&mut self) -> std::process::Output {
        use std::io::Read as _;
        let mut stderr = Vec::new();
        let mut pipe = self.stderr.take().unwrap();
        pipe.read_to_end(&mut stderr).unwrap();
        let status = self.wait().unwrap();
        let stdout = Vec::new();
        std::process::Output {
            status,
            stdout,
            stderr,
        }
    }
}

#[test]
fn a_read_only_volume_is_said_and_nothing_is_left() {
    if !needs_root("a volume is mounted") {
        return;
    }
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    let before = scene.picture();
    let path = scene.disk.path();
    let mount = |arguments: &[&str]| {
        let done = Command::new("mount").args(arguments).output().unwrap();
        done.status.success()
    };
    let at = path.to_str().unwrap();
    if !mount(&["--bind", at, at]) || !mount(&["-o", "remount,bind,ro", at]) {
        let _ = Command::new("umount").arg(path).status();
        return skipped("cannot mount");
    }
    let line = scene.refused(&["quarantine", &Scene::path("A.dsplug")]);
    let umount = Command::new("umount").arg(path).status().unwrap();
    assert!(umount.success());
    assert!(line.contains("Read-only file system"), "{line}");
    assert_eq!(scene.picture(), before);
    assert_eq!(scene.ledger(), []);
    assert!(leaves_nothing(&scene.state()));
}

pub fn leaves_nothing(state: &Path) -> bool {
    ["vault", "ledger", "evidence"]
        .iter()
        .all(|folder| fs::read_dir(state.join(folder)).unwrap().count() == 0)
}

#[test]
fn no_query_writes() {
    let scene = Scene::new(Disk::new());
    Plugin::new("A").write(scene.disk.plugin(""));
    scene.done(&["quarantine", &Scene::path("A.dsplug")]);
    for sql in [
        "DELETE FROM dsplug_quarantine",
        "UPDATE dsplug_quarantine SET state = 'restored'",
        "INSERT INTO dsplug_quarantine (id) VALUES ('x')",
        "DROP TABLE dsplug_quarantine",
        "ATTACH 'x' AS y",
    ] {
        let line = scene.refused(&["query", sql]);
        assert!(line.contains("only a query that reads"), "{sql}: {line}");
    }
    let text = scene.done(&[
        "query",
        "--format",
        "json",
        "SELECT state, uid FROM dsplug_quarantine",
    ]);
    assert!(text.contains("quarantined"), "{text}");
}

/// Entries that root planted: the table shows as many as it may hold, and says that there are more.
#[test]
fn a_ledger_of_many_megabytes_is_cut_and_says_so() {
    let scene = Scene::new(Disk::new());
    Plugin::new("X").write(scene.disk.plugin(""));
    scene.done(&["quarantine", &Scene::path("X.dsplug"), "--reason", "why"]);
    let ledger = scene.state().join("ledger");
    let first = fs::read_dir(&ledger).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(first.path()).unwrap();
    let id = first.path().file_stem().unwrap().to_owned();
    let id = id.to_str().unwrap();
    for number in 0..100 {
        let other = format!("{id}z{number:03}");
        let reason = "r".repeat(60_000);
        let text = text
            .replace(id, &other)
            .replace("\"why\"", &format!("\"{reason}\""));
        let path = ledger.join(format!("{other}.json"));
        fs::write(&path, text).unwrap();
        chmod(&path, 0o600);
    }
    let rows = scene.ledger();
    assert!((30..45).contains(&rows.len()), "{}", rows.len());
    assert_eq!(rows[0]["id"], id);
    let last = rows.iter().find(|r| r["error"].starts_with("limit: "));
    assert!(last.is_some(), "{rows:#?}");
}

#[test]
fn the_report_gives_the_very_commands() {
    let scene = Scene::new(Disk::new());
    let name = "It's $(id) \u{202e}\n.dsplug";
    Plugin::new("X").write_as(scene.disk.plugin(name));
    let before = scene.picture();
    let report = scene.done(&["explain", &Scene::path(name), "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let steps = report["response"].as_array().unwrap().iter();
    let lines: Vec<&str> = steps
        .flat_map(|step| step["commands"].as_array().unwrap())
        .map(|line| line.as_str().unwrap())
        .collect();
    // A person pastes it into a shell.
    let paste = |word: &str, id: &str| {
        let begins = format!("sudo dsplug {word} ");
        let line = lines.iter().find(|line| line.starts_with(&begins));
        let line = line.unwrap().strip_prefix("sudo ").unwrap();
        let line = line.replace(" ID", &format!(" {id}"));
        let more = match word {
            "collect" => format!("--output '{}/a.tar.gz'", scene.place.path().display()),
            _ => "--yes-write-image".to_owned(),
        };
        let shell = format!("dsplug() {{ '{DSPLUG}' \"$@\"; }}\n{line} {more}");
        let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {error}");
    };
    paste("collect", "");
    paste("quarantine", "");
    assert!(scene.disk.plugin("").read_dir().unwrap().next().is_none());
    paste("restore", &scene.ledger()[0]["id"]);
    assert_eq!(scene.picture(), before);
}
