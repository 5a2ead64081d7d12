//! Two bundles, or a bundle and a collected archive, file by file.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{DSPLUG, call};
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, attribute, chmod, skipped};

fn compare(disk: &Disk, path: &str, other: &Path) -> Output {
    call("compare", disk.path())
        .arg(path)
        .arg(other)
        .output()
        .unwrap()
}

#[track_caller]
fn lines(output: &Output, code: i32) -> Vec<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The words and paths of the lines, without digests.
fn told(lines: &[String]) -> Vec<(String, String)> {
    let pair = |line: &String| {
        let (word, rest) = line.split_at(10);
        let path = rest.split("  ").next().unwrap();
        (word.trim().to_owned(), path.to_owned())
    };
    lines.iter().map(pair).collect()
}

fn path(name: &str) -> String {
    format!("/{PLUGINS}/{name}")
}

#[test]
fn each_difference_has_its_word() {
    let disk = Disk::new();
    let other = tempfile::tempdir().unwrap();
    Plugin::new("A")
        .file("Contents/altered", "1")
        .file("Contents/added", "")
        .write(disk.plugin(""));
    let known = Plugin::new("A")
        .file("Contents/altered", "2")
        .file("Contents/gone", "")
        .write(other.path());
    fs::create_dir(known.join("Contents/empty")).unwrap();
    std::os::unix::fs::symlink("x", known.join("Contents/kind")).unwrap();
    fs::write(disk.plugin("A.dsplug/Contents/kind"), "x").unwrap();
    chmod(known.join("Contents/Info.plist"), 0o600);
    let output = compare(&disk, &path("A.dsplug"), &known);
    let lines = lines(&output, 1);
    let word = |word: &str, path: &str| (word.to_owned(), format!("Contents/{path}"));
    let expected = [
        word("mode", "Info.plist"),
        word("added", "added"),
        word("altered", "altered"),
        word("missing", "empty"),
        word("missing", "gone"),
        word("altered", "kind"),
    ];
    assert_eq!(told(&lines), expected, "{lines:#?}");
    let error = String::from_utf8(output.stderr).unwrap();
    let line = "dsplug: they are not the same: 1 added, 2 missing, 2 altered, 1 mode\n";
    assert_eq!(error, line);
}

#[test]
fn the_same_is_the_same_whoever_owns_it() {
    let disk = Disk::new();
    let other = tempfile::tempdir().unwrap();
    Plugin::new("A").write(disk.plugin(""));
    let known = Plugin::new("A").write(other.path());
    let output = compare(&disk, &path("A.dsplug"), &known);
    let lines = lines(&output, 0);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("same      4 entries, digest "),
        "{lines:?}"
    );
    // By a path of this computer as well, and the other way round.
    let here = disk.plugin("A.dsplug");
    assert!(
        compare(&disk, known.to_str().unwrap(), &here)
            .status
            .success()
    );
}

/// An image has what its writer put there, at the place of the good copy as well.
#[test]
fn the_good_copy_is_that_of_this_computer() {
    let disk = Disk::new();
    let other = tempfile::tempdir().unwrap();
    Plugin::new("A")
        .file("Contents/more", "")
        .write(disk.plugin(""));
    let known = Plugin::new("A").write(other.path());
    let below = known.strip_prefix("/").unwrap();
    let decoy = disk.path().join(below.parent().unwrap());
    fs::create_dir_all(&decoy).unwrap();
    Plugin::new("A").file("Contents/more", "").write(&decoy);
    let output = compare(&disk, &path("A.dsplug"), &known);
    let told = told(&lines(&output, 1));
    assert_eq!(told, [("added".to_owned(), "Contents/more".to_owned())]);
    // What this computer does not have is looked for on the disk.
    fs::remove_dir_all(&known).unwrap();
    let output = compare(&disk, &path("A.dsplug"), &known);
    assert!(lines(&output, 0)[0].starts_with("same "));
}

#[test]
fn code_that_was_signed_anew_is_told_from_code_that_was_altered() {
    let disk = Disk::new();
    let other = tempfile::tempdir().unwrap();
    SignedBundle::new("A", Form::Deep).write(disk.plugin(""));
    let known = SignedBundle::new("A", Form::Deep)
        .edit_signature(|_| Signature::adhoc("somebody.else"))
        .write(other.path());
    let output = compare(&disk, &path("A.dsplug"), &known);
    let re_signed = lines(&output, 1);
    assert_eq!(
        told(&re_signed),
        [("re-signed".to_owned(), "Contents/MacOS/A".to_owned())],
        "{re_signed:#?}"
    );
    assert!(
        re_signed[0].contains("adhoc (somebody.else)"),
        "{re_signed:#?}"
    );
    let executable = known.join("Contents/MacOS/A");
    let mut bytes = fs::read(&executable).unwrap();
    bytes[4000] ^= 1;
    fs::write(&executable, bytes).unwrap();
    let altered = lines(&compare(&disk, &path("A.dsplug"), &known), 1);
    assert_eq!(told(&altered)[0].0, "altered", "{altered:#?}");
}

#[test]
fn a_collected_archive_is_a_side() {
    let disk = Disk::new();
    for name in ["A", "B"] {
        let bundle = Plugin::new(name)
            .file(&format!("Contents/{0}/{0}", "long".repeat(40)), "1")
            .file("Contents/new\nline", "2")
            .file("Contents/one", "3")
            .write(disk.plugin(""));
        fs::hard_link(bundle.join("Contents/one"), bundle.join("Contents/two")).unwrap();
        std::os::unix::fs::symlink("l".repeat(150), bundle.join("Contents/link")).unwrap();
    }
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let collect = |arguments: &[&str], archive: &Path| {
        let done = Command::new(DSPLUG)
            .args(["collect", "--root"])
            .arg(disk.path())
            .arg("--output")
            .arg(archive)
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success());
    };
    collect(&["--all"], &archive);
    let output = compare(&disk, &path("A.dsplug"), &archive);
    assert!(lines(&output, 0)[0].starts_with("same "), "{output:?}");
    fs::write(disk.plugin("A.dsplug/Contents/one"), "4").unwrap();
    let changed = lines(&compare(&disk, &path("A.dsplug"), &archive), 1);
    let word = |path: &str| ("altered".to_owned(), format!("Contents/{path}"));
    assert_eq!(told(&changed), [word("one"), word("two")]);
    assert!(compare(&disk, &path("B.dsplug"), &archive).status.success());
    // Of another name, where the archive holds one alone.
    let one = place.path().join("b.tar.gz");
    collect(&[&path("B.dsplug")], &one);
    fs::rename(disk.plugin("B.dsplug"), disk.plugin("C.dsplug")).unwrap();
    assert!(compare(&disk, &path("C.dsplug"), &one).status.success());
    // What the archive does not hold, and what is no archive.
    let wrong = |other: &Path, why: &str| {
        let output = compare(&disk, &path("C.dsplug"), other);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(why) && error.lines().count() == 1, "{error}");
    };
    wrong(&archive, "it holds not /Library");
    wrong(&place.path().join("none"), "No such file");
    let mut whole = fs::read(&one).unwrap();
    for len in [3, 200, whole.len() / 2, whole.len() - 20] {
        let cut = place.path().join("cut.tar.gz");
        fs::write(&cut, &whole[..len]).unwrap();
        let output = compare(&disk, &path("C.dsplug"), &cut);
        assert_eq!(output.status.code(), Some(2), "{len}: {output:?}");
    }
    whole.extend_from_slice(b"garbage");
    let mut foreign = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    foreign.write_all(&[0; 1024]).unwrap();
    let empty = place.path().join("empty.tar.gz");
    fs::write(&empty, foreign.finish().unwrap()).unwrap();
    wrong(&empty, "cannot read");
}

#[test]
fn what_cannot_be_read_is_not_called_the_same() {
    let disk = Disk::new();
    let other = tempfile::tempdir().unwrap();
    let mut deep = String::from("Contents");
    for _ in 0..120 {
        deep.push_str("/d");
    }
    for place in [disk.plugin(""), other.path().to_owned()] {
        Plugin::new("A").file(&format!("{deep}/f"), "").write(place);
    }
    let output = compare(&disk, &path("A.dsplug"), &other.path().join("A.dsplug"));
    let lines = lines(&output, 1);
    assert!(
        lines.iter().all(|line| line.starts_with("unknown ")),
        "{lines:?}"
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("they are not known to be the same"),
        "{error}"
    );
}

/// A file that has no room in an archive, and is gone from the disk by the time that they are compared.
#[test]
fn an_archive_that_is_not_whole_is_not_called_the_same() {
    let disk = Disk::new();
    for name in ["A", "B"] {
        Plugin::new(name).write(disk.plugin(""));
    }
    let large = disk.plugin("A.dsplug/Contents/MacOS/evil.dylib");
    let file = fs::File::create(&large).unwrap();
    file.set_len(5 << 30).unwrap();
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let done = call("collect", disk.path())
        .args(["--all", "--output"])
        .arg(&archive)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    fs::remove_file(&large).unwrap();
    let output = compare(&disk, &path("A.dsplug"), &archive);
    let unknown = lines(&output, 1);
    assert!(
        unknown[0].starts_with("unknown ") && unknown[0].contains("evil.dylib holds 5368709120"),
        "{unknown:?}"
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("not known to be the same"), "{error}");
    // What is not there of one bundle says nothing of another.
    let whole = lines(&compare(&disk, &path("B.dsplug"), &archive), 0);
    assert!(whole[0].starts_with("same "), "{whole:?}");
}

/// Code may stand in a resource fork, of which the bundle digest says nothing.
#[test]
fn a_resource_fork_that_differs_is_not_called_the_same() {
    let disk = Disk::new();
    let other = tempfile::tempdir().unwrap();
    let live = Plugin::new("A").write(disk.plugin(""));
    let known = Plugin::new("A").write(other.path());
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let done = call("collect", disk.path())
        .args(["--all", "--output"])
        .arg(&archive)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let file = "Contents/MacOS/A";
    attribute(live.join(file), "user.com.apple.ResourceFork", "one");
    for other in [&known, &archive] {
        let told_of = lines(&compare(&disk, &path("A.dsplug"), other), 1);
        assert_eq!(told(&told_of), [("altered".to_owned(), file.to_owned())]);
        assert!(told_of[0].contains("  resource fork "), "{told_of:?}");
        assert!(told_of[0].contains(", was none"), "{told_of:?}");
    }
    attribute(known.join(file), "user.com.apple.ResourceFork", "one");
    attribute(known.join(file), "user.com.apple.provenance", "other");
    let told_of = lines(&compare(&disk, &path("A.dsplug"), &known), 0);
    assert!(told_of[0].starts_with("same "), "{told_of:?}");
}

/// Permission bits are in no digest, and decide who can write it and as whom it runs.
#[test]
fn a_mode_that_differs_is_not_called_the_same() {
    let disk = Disk::new();
    let other = tempfile::tempdir().unwrap();
    let live = Plugin::new("A").write(disk.plugin(""));
    let known = Plugin::new("A").write(other.path());
    chmod(live.join("Contents/MacOS/A"), 0o4755);
    chmod(known.join("Contents/MacOS/A"), 0o755);
    let output = compare(&disk, &path("A.dsplug"), &known);
    let told_of = told(&lines(&output, 1));
    assert_eq!(
        told_of,
        [("mode".to_owned(), "Contents/MacOS/A".to_owned())]
    );
}

/// The bundle is what it was, and the code that runs is not.
#[test]
fn what_runs_from_outside_and_differs_is_not_called_the_same() {
    let outside = ["opt/fw/l.dylib", "opt/named.dylib", "opt/out"];
    let disk = Disk::new();
    let loads = MachO::bundle(Cpu::X86_64).dylib_path("/opt/named.dylib");
    let bundle = Plugin::new("A")
        .key("CFBundleExecutable", "/opt/out")
        .without_executable()
        .file("Contents/code", loads.unsigned())
        .write(disk.plugin(""));
    std::os::unix::fs::symlink("/opt/fw", bundle.join("Contents/Frameworks")).unwrap();
    for file in outside {
        disk.file(file, MachO::bundle(Cpu::X86_64).unsigned());
    }
    let first = disk.at("opt/fw/l.dylib");
    fs::hard_link(first, disk.at("opt/fw/m.dylib")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let done = call("collect", disk.path())
        .args(["--all", "--output"])
        .arg(&archive)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let same = lines(&compare(&disk, &path("A.dsplug"), &archive), 0);
    assert!(same[0].starts_with("same "), "{same:?}");
    // A copy elsewhere does not say what it leads to.
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&bundle)
        .arg(place.path())
        .status();
    assert!(copied.unwrap().success());
    let unknown = lines(
        &compare(&disk, &path("A.dsplug"), &place.path().join("A.dsplug")),
        1,
    );
    assert_eq!(unknown.len(), 3, "{unknown:#?}");
    let is_unknown = |line: &String| line.starts_with("unknown   /opt/");
    assert!(unknown.iter().all(is_unknown), "{unknown:#?}");
    for (file, shown) in outside
        .iter()
        .zip(["/opt/fw", "/opt/named.dylib", "/opt/out"])
    {
        let before = fs::read(disk.at(file)).unwrap();
        fs::write(disk.at(file), "other").unwrap();
        let altered = lines(&compare(&disk, &path("A.dsplug"), &archive), 1);
        assert_eq!(told(&altered), [("altered".to_owned(), shown.to_owned())]);
        fs::write(disk.at(file), before).unwrap();
    }
    // What is gone is no more the same.
    fs::remove_file(disk.at("opt/out")).unwrap();
    let output = compare(&disk, &path("A.dsplug"), &archive);
    let gone = lines(&output, 1);
    assert_eq!(gone.len(), 1, "{gone:#?}");
    assert!(
        gone[0].starts_with("unknown   /opt/out, outside"),
        "{gone:#?}"
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("not known to be the same"), "{error}");
}

/// Whoever plants a bundle chooses what its files carry.
#[test]
fn an_archive_of_any_attributes_is_read() {
    let Some(disk) = Disk::with_room_for_attributes() else {
        return skipped("no file system here has room for them");
    };
    let live = Plugin::new("A")
        .file("Contents/b", "")
        .write(disk.plugin(""));
    let file = live.join("Contents/MacOS/A");
    attribute(&file, "user.lines", "a\n17 path=elsewhere\n\n=");
    attribute(&file, "user.new\nline", "x");
    attribute(&file, &format!("user.{}", "\u{ff}%=".repeat(60)), "x");
    attribute(&file, "user.com.apple.ResourceFork", [b'\n'; 60_000]);
    for number in 0..25 {
        attribute(&file, &format!("user.{number}"), [b'\n'; 60_000]);
    }
    let place = tempfile::tempdir().unwrap();
    let archive = |name: &str| {
        let archive = place.path().join(name);
        let mut call = call("collect", disk.path());
        let done = call.args(["--all", "--output"]).arg(&archive).output();
        assert!(done.unwrap().status.success());
        archive
    };
    let whole = archive("whole.tar.gz");
    let told_of = lines(&compare(&disk, &path("A.dsplug"), &whole), 0);
    assert!(told_of[0].starts_with("same "), "{told_of:?}");
    attribute(&file, "user.com.apple.ResourceFork", [b'x'; 60_000]);
    let told_of = lines(&compare(&disk, &path("A.dsplug"), &whole), 1);
    assert_eq!(told(&told_of)[0].0, "altered", "{told_of:?}");
    // What has no room in an archive is not known.
    for number in 0..25 {
        attribute(&file, &format!("user.z{number}"), [0; 60_000]);
    }
    let cut = archive("cut.tar.gz");
    let told_of = lines(&compare(&disk, &path("A.dsplug"), &cut), 1);
    let unknown = told_of.iter().find(|line| line.starts_with("unknown "));
    assert!(
        unknown.is_some_and(|line| line.contains("no room")),
        "{told_of:?}"
    );
}
