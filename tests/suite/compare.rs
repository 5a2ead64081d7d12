//! Two bundles, or a bundle and a collected archive, file by file.

mod archives;
mod compressed;
mod named;
mod outside;
mod owners;
mod specials;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::call;
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, attribute, chmod, skipped, sparse};
use tempfile::TempDir;

/// A disk with one plug-in, and a good copy of that elsewhere.
struct Pair {
    disk: Disk,
    /// The plug-in on the disk.
    live: PathBuf,
    known: PathBuf,
    place: TempDir,
}

impl Pair {
    fn of(plugin: &Plugin) -> Self {
        let (disk, place) = (Disk::new(), tempfile::tempdir().unwrap());
        let live = plugin.write(disk.plugin(""));
        let known = plugin.write(place.path());
        Self {
            disk,
            live,
            known,
            place,
        }
    }

    fn compare(&self, other: &Path) -> Output {
        compare(&self.disk, &path("A.dsplug"), other)
    }
}

/// Collects some bundles of a disk, or all of them, into an archive of that name.
#[track_caller]
fn collect(disk: &Disk, bundles: &str, archive: PathBuf) -> PathBuf {
    let mut call = call("collect", disk.path());
    let done = call.arg(bundles).arg("--output").arg(&archive).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{done:?}");
    archive
}

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

/// Takes the two lines off that say what was read.
#[track_caller]
fn differences(output: &Output, code: i32) -> Vec<String> {
    let mut lines = lines(output, code);
    let sources = lines.split_off(lines.len() - 2);
    let is = |line: &String, word: &str| line.starts_with(&format!("{word:<10}/"));
    assert!(
        is(&sources[0], "path") && is(&sources[1], "other"),
        "{sources:#?}"
    );
    lines
}

#[track_caller]
fn is_same(output: &Output) {
    let lines = differences(output, 0);
    assert!(
        lines.len() == 1 && lines[0].starts_with("same "),
        "{lines:#?}"
    );
}

/// Nothing was compared: the line that says why.
#[track_caller]
fn refused(output: &Output, code: i32) -> String {
    assert_eq!(lines(output, code), [""; 0]);
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// The lines of what is not known to be the same, each without its word.
#[track_caller]
fn unknown(output: &Output) -> Vec<String> {
    let lines = differences(output, 1);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("not known to be the same"), "{error}");
    let unknown = |line: &String| Some(line.strip_prefix("unknown   ")?.to_owned());
    let unknown: Option<Vec<String>> = lines.iter().map(unknown).collect();
    unknown.unwrap_or_else(|| panic!("{lines:#?}"))
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

/// A hole takes no disk: of what is larger than `collect` takes nothing is read, and nothing is known.
#[test]
fn what_is_larger_than_is_read_is_unknown() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    Plugin::new("A").write(disk.plugin(""));
    let good = collect(&disk, &path("A.dsplug"), place.path().join("a.tar.gz"));
    sparse(disk.plugin("A.dsplug/Contents/hole"), b"", 15 << 40);
    let other = Plugin::new("A").write(place.path());
    let file = place.path().join("file");
    sparse(&file, b"", 15 << 40);
    let bounded = |path: &str, other: &Path| {
        let mut bounded = Command::new("timeout");
        let bounded = bounded.args(["20", env!("CARGO_BIN_EXE_dsplug"), "compare"]);
        let bounded = bounded.arg(path).arg(other).arg("--root").arg(disk.path());
        bounded.output().unwrap()
    };
    for (one, other) in [
        (path("A.dsplug"), &good),
        (path("A.dsplug"), &other),
        (other.to_str().unwrap().to_owned(), &file),
    ] {
        let output = bounded(&one, other);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let hole = said
            .lines()
            .find(|line| line.contains("larger than is read"));
        assert!(hole.unwrap().starts_with("unknown"), "{said}");
        assert!(!said.contains("same "), "{said}");
    }
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
    let lines = differences(&output, 1);
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
fn the_same_is_the_same_by_any_path_and_either_way_round() {
    let pair = Pair::of(&Plugin::new("A"));
    let lines = differences(&pair.compare(&pair.known), 0);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("same      4 entries, digest "),
        "{lines:?}"
    );
    // By a path of this computer as well, and the other way round.
    let known = pair.known.to_str().unwrap();
    is_same(&compare(&pair.disk, known, &pair.live));
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
    let told = told(&differences(&output, 1));
    assert_eq!(told, [("added".to_owned(), "Contents/more".to_owned())]);
    // What this computer does not have is never silently that of the disk.
    fs::remove_dir_all(&known).unwrap();
    let error = refused(&compare(&disk, &path("A.dsplug"), &known), 2);
    let named = disk.path().join(below);
    assert!(error.contains(named.to_str().unwrap()), "{error}");
    is_same(&compare(&disk, &path("A.dsplug"), &named));
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
    let re_signed = differences(&output, 1);
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
    let altered = differences(&compare(&disk, &path("A.dsplug"), &known), 1);
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
    let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
    is_same(&compare(&disk, &path("A.dsplug"), &archive));
    fs::write(disk.plugin("A.dsplug/Contents/one"), "4").unwrap();
    let changed = differences(&compare(&disk, &path("A.dsplug"), &archive), 1);
    let word = |path: &str| ("altered".to_owned(), format!("Contents/{path}"));
    assert_eq!(told(&changed), [word("one"), word("two")]);
    is_same(&compare(&disk, &path("B.dsplug"), &archive));
    // Of another name, where the archive holds one alone.
    let one = collect(&disk, &path("B.dsplug"), place.path().join("b.tar.gz"));
    fs::rename(disk.plugin("B.dsplug"), disk.plugin("C.dsplug")).unwrap();
    is_same(&compare(&disk, &path("C.dsplug"), &one));
    // What the archive does not hold, and what is no archive.
    let wrong = |other: &Path, why: &str| {
        let output = compare(&disk, &path("C.dsplug"), other);
        let error = refused(&output, 2);
        assert!(error.contains(why), "{error}");
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
    let deep = format!("Contents{}/f", "/d".repeat(120));
    let pair = Pair::of(&Plugin::new("A").file(&deep, ""));
    unknown(&pair.compare(&pair.known));
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
    let archive = collect(&disk, "--all", place.path().join("a.tar.gz"));
    fs::remove_file(&large).unwrap();
    let unknown = unknown(&compare(&disk, &path("A.dsplug"), &archive));
    assert!(
        unknown[0].contains("evil.dylib holds 5368709120"),
        "{unknown:?}"
    );
    // What is not there of one bundle says nothing of another.
    is_same(&compare(&disk, &path("B.dsplug"), &archive));
}

/// Code may stand in a resource fork, of which the bundle digest says nothing.
#[test]
fn a_resource_fork_that_differs_is_not_called_the_same() {
    let pair = Pair::of(&Plugin::new("A"));
    let archive = collect(&pair.disk, "--all", pair.place.path().join("a.tar.gz"));
    let (known, file) = (&pair.known, "Contents/MacOS/A");
    attribute(pair.live.join(file), "user.com.apple.ResourceFork", "one");
    for other in [known, &archive] {
        let told_of = differences(&pair.compare(other), 1);
        assert_eq!(told(&told_of), [("altered".to_owned(), file.to_owned())]);
        assert!(told_of[0].contains("  resource fork "), "{told_of:?}");
        assert!(told_of[0].contains(", was none"), "{told_of:?}");
    }
    attribute(known.join(file), "user.com.apple.ResourceFork", "one");
    attribute(known.join(file), "user.com.apple.provenance", "other");
    is_same(&pair.compare(known));
}

/// Permission bits are in no digest, and decide who can write it and as whom it runs.
#[test]
fn a_mode_that_differs_is_not_called_the_same() {
    let pair = Pair::of(&Plugin::new("A"));
    for file in ["Contents/MacOS/A", ""] {
        chmod(pair.live.join(file), 0o4755);
        chmod(pair.known.join(file), 0o755);
        let told_of = told(&differences(&pair.compare(&pair.known), 1));
        // The directory that it is has them as well.
        let shown = if file.is_empty() { "." } else { file };
        assert_eq!(told_of, [("mode".to_owned(), shown.to_owned())]);
        chmod(pair.live.join(file), 0o755);
    }
}

/// What a signature consists of is told from code that somebody called so, and from what only stands beside it.
#[test]
fn what_stands_among_a_signature_is_not_taken_for_a_part_of_it() {
    let disk = Disk::new();
    let other = tempfile::tempdir().unwrap();
    let code = |len| MachO::bundle(Cpu::X86_64).code_len(len).unsigned();
    let [seal, library] =
        ["CodeResources", "CodeDirectory"].map(|name| format!("Contents/_CodeSignature/{name}"));
    let plugin = |text: &str, len: usize| {
        Plugin::new("A")
            .executable_at("Contents/MacOS/_CodeSignature/A")
            .executable(code(len))
            .file("Contents/_CodeSignature/more", text)
            .file(&seal, text)
            .file(&library, code(len))
    };
    plugin("1", 5_000).write(disk.plugin(""));
    let known = plugin("2", 6_000).write(other.path());
    let lines = differences(&compare(&disk, &path("A.dsplug"), &known), 1);
    let word = |word: &str, path: &str| (word.to_owned(), path.to_owned());
    let expected = [
        word("altered", "Contents/MacOS/_CodeSignature/A"),
        word("altered", &library),
        word("re-signed", &seal),
        word("altered", "Contents/_CodeSignature/more"),
    ];
    assert_eq!(told(&lines), expected, "{lines:#?}");
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
    let whole = collect(&disk, "--all", place.path().join("whole.tar.gz"));
    is_same(&compare(&disk, &path("A.dsplug"), &whole));
    attribute(&file, "user.com.apple.ResourceFork", [b'x'; 60_000]);
    let told_of = differences(&compare(&disk, &path("A.dsplug"), &whole), 1);
    assert_eq!(told(&told_of)[0].0, "altered", "{told_of:?}");
    // What has no room in an archive is not known.
    for number in 0..25 {
        attribute(&file, &format!("user.z{number}"), [0; 60_000]);
    }
    let cut = collect(&disk, "--all", place.path().join("cut.tar.gz"));
    let told_of = differences(&compare(&disk, &path("A.dsplug"), &cut), 1);
    let unknown = told_of.iter().find(|line| line.starts_with("unknown "));
    assert!(
        unknown.is_some_and(|line| line.contains("no room")),
        "{told_of:?}"
    );
}
