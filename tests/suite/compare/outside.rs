//! What runs with a bundle and stands outside of it: where that is another, the bundle is not the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{
    Disk, PLUGINS, Plugin, SYSTEM_PLUGINS, attribute, chmod, needs_root, sparse,
};
use tempfile::TempDir;

use super::{collect, compare, differences, is_same, path, told, unknown};
use crate::hostile::mounts::Mounted;

/// A disk with a plug-in that was good, a plain copy of that and an archive.
struct Good {
    disk: Disk,
    place: TempDir,
    copy: PathBuf,
    archive: PathBuf,
}

impl Good {
    fn of(disk: Disk) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut copied = Command::new("cp");
        let copied = copied.arg("-a").arg(disk.plugin("A.dsplug"));
        assert!(copied.arg(place.path()).status().unwrap().success());
        Self {
            copy: place.path().join("A.dsplug"),
            archive: collect(&disk, &path("A.dsplug"), place.path().join("a.tar.gz")),
            disk,
            place,
        }
    }

    /// What is told of how that which stands there now differs from the archive.
    #[track_caller]
    fn told(&self) -> Vec<(String, String)> {
        told(&differences(
            &compare(&self.disk, &path("A.dsplug"), &self.archive),
            1,
        ))
    }

    /// What is not known of the plug-in, when it is held against another.
    #[track_caller]
    fn unknown(&self, other: &Path) -> Vec<String> {
        unknown(&compare(&self.disk, &path("A.dsplug"), other))
    }
}

fn code() -> Vec<u8> {
    MachO::bundle(Cpu::X86_64).unsigned()
}

fn other_code() -> Vec<u8> {
    MachO::bundle(Cpu::X86_64).code_len(6_000).unsigned()
}

/// A plug-in whose main executable is that.
fn with_executable(path: &str) -> Plugin {
    Plugin::new("A")
        .key("CFBundleExecutable", path)
        .without_executable()
}

/// A plug-in with a link to a directory outside, in which code stands.
fn with_frameworks() -> Disk {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.plugin(""));
    symlink("/opt/fw", bundle.join("Contents/Frameworks")).unwrap();
    disk.file("opt/fw/l.dylib", code());
    disk
}

fn word(word: &str, path: &str) -> (String, String) {
    (word.to_owned(), path.to_owned())
}

/// The bundle is what it was, and the code that runs is not.
#[test]
fn what_runs_from_outside_and_differs_is_not_called_the_same() {
    let files = ["opt/fw/l.dylib", "opt/named.dylib", "opt/out"];
    let shown = ["/opt/fw", "/opt/named.dylib", "/opt/out"];
    let disk = Disk::new();
    let loads = MachO::bundle(Cpu::X86_64).dylib_path("/opt/named.dylib");
    let bundle = with_executable("/opt/out")
        .file("Contents/code", loads.unsigned())
        .write(disk.plugin(""));
    symlink("/opt/fw", bundle.join("Contents/Frameworks")).unwrap();
    for file in files {
        chmod(disk.file(file, code()), 0o755);
    }
    let first = disk.at("opt/fw/l.dylib");
    fs::hard_link(first, disk.at("opt/fw/m.dylib")).unwrap();
    let good = Good::of(disk);
    let disk = &good.disk;
    is_same(&compare(disk, &path("A.dsplug"), &good.archive));
    // A copy elsewhere does not say what it leads to.
    let unknown = good.unknown(&good.copy);
    assert_eq!(unknown.len(), 3, "{unknown:#?}");
    assert!(unknown.iter().all(|line| line.starts_with("/opt/")));
    for (file, shown) in files.iter().zip(shown) {
        let before = fs::read(disk.at(file)).unwrap();
        fs::write(disk.at(file), "other").unwrap();
        assert_eq!(good.told(), [word("altered", shown)]);
        fs::write(disk.at(file), before).unwrap();
        chmod(disk.at(file), 0o4755);
        assert_eq!(good.told(), [word("mode", shown)]);
        chmod(disk.at(file), 0o755);
    }
    is_same(&compare(disk, &path("A.dsplug"), &good.archive));
    // Code may stand in a resource fork, which nothing here is told of.
    let fork = "user.com.apple.ResourceFork";
    for (file, shown) in files.iter().zip(shown) {
        attribute(disk.at(file), fork, "code");
        let unknown = good.unknown(&good.archive);
        assert_eq!(unknown.len(), 1, "{unknown:#?}");
        assert!(unknown[0].starts_with(shown), "{unknown:#?}");
        let archive = collect(disk, "--all", good.place.path().join("fork.tar.gz"));
        rustix::fs::removexattr(disk.at(file), fork).unwrap();
        let unknown = good.unknown(&archive);
        assert!(unknown[0].starts_with(shown), "{unknown:#?}");
        fs::remove_file(archive).unwrap();
    }
    // What is gone is no more the same.
    fs::remove_file(disk.at("opt/out")).unwrap();
    let gone = good.told();
    assert_eq!(gone[0], word("altered", "the main executable"));
    assert!(gone[1].1.starts_with("/opt/out, outside"), "{gone:#?}");
}

/// All that it leads to is as it was, and another of that is what runs.
#[test]
fn what_leads_to_another_file_that_was_known_is_told() {
    let disk = Disk::new();
    let loads =
        ["/opt/1.dylib", "/opt/2.dylib"].map(|path| MachO::bundle(Cpu::X86_64).dylib_path(path));
    let bundle = with_executable("/Users/Shared/run")
        .file("Contents/1", loads[0].unsigned())
        .file("Contents/2", loads[1].unsigned())
        .write(disk.plugin(""));
    disk.file("Users/Shared/a", code());
    disk.file("Users/Shared/b", other_code());
    for name in ["a", "b"] {
        symlink(format!("/Users/Shared/{name}"), bundle.join(name)).unwrap();
    }
    disk.link("Users/Shared/run", "a");
    disk.link("opt/1.dylib", "/Users/Shared/a");
    disk.link("opt/2.dylib", "/Users/Shared/b");
    let good = Good::of(disk);
    let disk = &good.disk;
    let turn = |link: &str, target: &str| {
        fs::remove_file(disk.at(link)).unwrap();
        disk.link(link, target);
    };
    is_same(&compare(disk, &path("A.dsplug"), &good.archive));
    turn("Users/Shared/run", "b");
    let executable = word("altered", "the main executable");
    let run = word("altered", "/Users/Shared/run");
    assert_eq!(good.told(), [run, executable]);
    turn("Users/Shared/run", "a");
    is_same(&compare(disk, &path("A.dsplug"), &good.archive));
    turn("opt/1.dylib", "/Users/Shared/b");
    turn("opt/2.dylib", "/Users/Shared/a");
    let links = ["/opt/1.dylib", "/opt/2.dylib"].map(|path| word("altered", path));
    assert_eq!(good.told(), links);
}

/// The way to it leads out, and back into the bundle.
#[test]
fn a_way_that_leads_back_into_the_bundle_is_followed_as_well() {
    let disk = Disk::new();
    with_executable("/Users/Shared/run")
        .file("Contents/a", code())
        .file("Contents/b", other_code())
        .write(disk.plugin(""));
    let to = |name: &str| path(&format!("A.dsplug/Contents/{name}"));
    disk.link("Users/Shared/run", to("a"));
    let good = Good::of(disk);
    let disk = &good.disk;
    is_same(&compare(disk, &path("A.dsplug"), &good.archive));
    let unknown = good.unknown(&good.copy);
    assert!(unknown[0].starts_with("/Users/Shared/run"), "{unknown:#?}");
    fs::remove_file(disk.at("Users/Shared/run")).unwrap();
    disk.link("Users/Shared/run", to("b"));
    assert!(good.told().contains(&word("altered", "/Users/Shared/run")));
    // By the directories on the way alone, no link among them.
    fs::remove_file(disk.at("Users/Shared/run")).unwrap();
    disk.file("Users/Shared/run", code());
    assert_ne!(good.unknown(&good.copy), [""; 0]);
}

/// Nothing that is held differs, no link and no file: a directory that is passed on the way is gone.
#[test]
fn another_executable_is_told_though_all_files_are_as_they_were() {
    let disk = Disk::new();
    let bundle = with_executable("run")
        .file("Contents/run", other_code())
        .write(disk.plugin(""));
    disk.dir("srv/e/f/d");
    // An empty directory may be another volume's place.
    disk.file("srv/e/f/other", "");
    disk.file("srv/e/run", code());
    disk.link(
        format!("{PLUGINS}/A.dsplug/Contents/MacOS/run"),
        "/srv/e/f/d/../../run",
    );
    symlink("/srv/e/run", bundle.join("1")).unwrap();
    let good = Good::of(disk);
    is_same(&compare(&good.disk, &path("A.dsplug"), &good.archive));
    fs::remove_dir(good.disk.at("srv/e/f/d")).unwrap();
    assert_eq!(good.told(), [word("altered", "the main executable")]);
}

/// What an archive of an earlier version does not say is not known, where anything outside hangs on it.
#[test]
fn an_archive_that_does_not_say_what_runs_is_not_called_the_same() {
    let aged = |good: &Good| {
        let mut bytes = Vec::new();
        let file = fs::File::open(&good.archive).unwrap();
        std::io::copy(&mut flate2::read::GzDecoder::new(file), &mut bytes).unwrap();
        let field = b"\"executable_hex\"";
        let at = bytes.windows(field.len()).position(|w| w == field).unwrap();
        bytes[at + 1] = b'E';
        let archive = good.place.path().join("old.tar.gz");
        let file = fs::File::create(&archive).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &bytes).unwrap();
        gzip.finish().unwrap();
        archive
    };
    let disk = Disk::new();
    with_executable("/opt/out").write(disk.plugin(""));
    disk.file("opt/out", code());
    let good = Good::of(disk);
    let unknown = good.unknown(&aged(&good));
    assert_eq!(unknown.len(), 1, "{unknown:#?}");
    assert!(
        unknown[0].contains("main executable of OTHER"),
        "{unknown:#?}"
    );
    // Nothing does.
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let good = Good::of(disk);
    is_same(&compare(&good.disk, &path("A.dsplug"), &aged(&good)));
}

/// Whoever makes the scan fail, or has no room left for a row, hides nothing of what the one bundle leads to.
#[test]
fn what_stands_beside_keeps_nothing_from_being_compared() {
    let crowd = |disk: &Disk| {
        for number in 0..5_001 {
            disk.dir(format!("{PLUGINS}/A{number}.dsplug/Contents"));
        }
    };
    let file = |disk: &Disk| {
        fs::remove_dir_all(disk.at(SYSTEM_PLUGINS)).ok();
        disk.file(SYSTEM_PLUGINS, "no directory");
    };
    let no_room = [&crowd as &dyn Fn(&Disk), &file];
    for act in no_room {
        let disk = Disk::new();
        with_executable("/opt/out").write(disk.plugin(""));
        disk.file("opt/out", code());
        let good = Good::of(disk);
        fs::write(good.disk.at("opt/out"), other_code()).unwrap();
        act(&good.disk);
        assert_eq!(good.told(), [word("altered", "/opt/out")]);
        let unknown = good.unknown(&good.copy);
        assert!(unknown[0].starts_with("/opt/out"), "{unknown:#?}");
    }
}

/// By whichever path somebody names it, it is the plug-in that stands there.
#[test]
fn a_plug_in_is_known_by_any_path_that_leads_to_it() {
    let disk = Disk::new();
    let bundle = with_executable("/opt/out").write(disk.plugin(""));
    disk.file("opt/out", code());
    disk.link("Users/Shared/folder", format!("/{PLUGINS}"));
    disk.link("Users/Shared/bundle", path("A.dsplug"));
    let place = tempfile::tempdir().unwrap();
    symlink(&bundle, place.path().join("link")).unwrap();
    let good = Good::of(disk);
    let here = [
        bundle,
        place.path().join("link"),
        good.disk.plugin("../PlugIns/./A.dsplug"),
        good.disk.plugin("A.dsplug/Contents/.."),
    ];
    let here = here.iter().map(|path| path.to_str().unwrap().to_owned());
    let mac =
        ["Users/Shared/folder/A.dsplug", "Users/Shared/bundle"].map(|path| format!("/{path}"));
    for path in here.chain(mac).chain([path("../PlugIns/A.dsplug")]) {
        let unknown = unknown(&compare(&good.disk, &path, &good.copy));
        assert!(unknown[0].starts_with("/opt/out"), "{path}: {unknown:#?}");
    }
    // All of a folder, or of what that stands in.
    let copy = tempfile::tempdir().unwrap();
    let folder = copy.path().join("PlugIns");
    fs::create_dir(&folder).unwrap();
    fs::rename(&good.copy, folder.join("A.dsplug")).unwrap();
    for (path, copy) in [
        (PLUGINS, &*folder),
        ("Library/DirectoryServices", copy.path()),
    ] {
        chmod(copy, 0o755);
        let unknown = unknown(&compare(&good.disk, &format!("/{path}"), copy));
        assert!(unknown[0].contains("PATH"), "{path}: {unknown:#?}");
    }
}

/// A library outside that has no room in an archive, and is gone from the disk by the time that they are compared.
#[test]
fn what_an_archive_lacks_of_what_stands_outside_is_not_known() {
    let disk = with_frameworks();
    let large = disk.at("opt/fw/large.dylib");
    sparse(&large, b"", 5 << 30);
    let good = Good::of(disk);
    fs::remove_file(large).unwrap();
    let unknown = good.unknown(&good.archive);
    assert!(
        unknown[0].contains("/opt/fw/large.dylib holds 5368709120"),
        "{unknown:#?}"
    );
}

/// What is mounted there may be another thing for each who asks.
#[test]
fn what_a_volume_serves_that_is_mounted_outside_is_not_known() {
    let disk = with_frameworks();
    let good = Good::of(disk);
    let Some(_mounted) = Mounted::new(good.disk.at("opt/fw"), "tmpfs") else {
        return;
    };
    chmod(good.disk.at("opt/fw"), 0o755);
    good.disk.file("opt/fw/l.dylib", code());
    let unknown = good.unknown(&good.archive);
    assert!(unknown[0].contains("PATH"), "{unknown:#?}");
}

/// As those of synthetic.conf stand there.
#[test]
fn a_link_that_stands_at_the_top_on_the_way_is_held_against_another() {
    let loads = |path: &str| {
        let code = MachO::bundle(Cpu::X86_64).dylib_path(path).unsigned();
        Plugin::new("A").file("Contents/code", code)
    };
    for plugin in [loads("/nix/l.dylib"), with_executable("/nix/l.dylib")] {
        let disk = Disk::new();
        plugin.write(disk.plugin(""));
        disk.file("opt/1/l.dylib", code());
        disk.file("opt/2/l.dylib", code());
        let link = disk.link("nix", "opt/1");
        let good = Good::of(disk);
        is_same(&compare(&good.disk, &path("A.dsplug"), &good.archive));
        fs::remove_file(link).unwrap();
        good.disk.link("nix", "/opt/2");
        let output = compare(&good.disk, &path("A.dsplug"), &good.archive);
        let told = told(&differences(&output, 1));
        assert!(told.contains(&word("altered", "/nix")), "{told:#?}");
    }
}

/// Each directory above what stands in `/opt/a` becomes another's, against an archive from before.
#[track_caller]
fn tells_whose_the_directories_above_are(disk: Disk) {
    for path in ["opt", "opt/a"] {
        chmod(disk.at(path), 0o755);
    }
    let good = Good::of(disk);
    is_same(&compare(&good.disk, &path("A.dsplug"), &good.archive));
    for (path, shown) in [("opt", "/opt"), ("opt/a", "/opt/a")] {
        chmod(good.disk.at(path), 0o777);
        assert_eq!(good.told(), [word("mode", shown)]);
        let now = good.place.path().join(format!("{}.tar.gz", shown.len()));
        let now = collect(&good.disk, "--all", now);
        let archives = compare(&good.disk, now.to_str().unwrap(), &good.archive);
        assert_eq!(told(&differences(&archives, 1)), [word("mode", shown)]);
        chmod(good.disk.at(path), 0o755);
    }
    is_same(&compare(&good.disk, &path("A.dsplug"), &good.archive));
    if needs_root("giving a directory away needs root") {
        std::os::unix::fs::chown(good.disk.at("opt/a"), Some(501), Some(20)).unwrap();
        assert_eq!(good.told(), [word("owner", "/opt/a")]);
    }
}

/// Whoever can write a directory on the way puts another in the place of what stands there.
#[test]
fn a_directory_on_the_way_that_became_anothers_is_told() {
    let disk = Disk::new();
    with_executable("/opt/a/out").write(disk.plugin(""));
    disk.file("opt/a/out", code());
    tells_whose_the_directories_above_are(disk);
}

/// Whoever may write where a linked bundle stands exchanges all of it.
#[test]
fn a_directory_that_became_anothers_where_a_linked_bundle_stands_is_told() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.dir("opt/a"));
    disk.link(&path("A.dsplug")[1..], "/opt/a/A.dsplug");
    tells_whose_the_directories_above_are(disk);
}

/// All that it holds is what it was, and stands where somebody else may write it.
#[test]
fn a_bundle_that_became_a_link_to_itself_elsewhere_is_told() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    disk.dir("Users/Shared");
    let good = Good::of(disk);
    let disk = &good.disk;
    let elsewhere = disk.at("Users/Shared/A.dsplug");
    fs::rename(disk.plugin("A.dsplug"), &elsewhere).unwrap();
    disk.link(&path("A.dsplug")[1..], "/Users/Shared/A.dsplug");
    let itself = word("altered", "the bundle itself");
    assert_eq!(good.told(), std::slice::from_ref(&itself));
    // A copy that is no plug-in is held against what the bundle is alone.
    is_same(&compare(disk, &path("A.dsplug"), &good.copy));
    let linked = collect(disk, "--all", good.place.path().join("linked.tar.gz"));
    is_same(&compare(disk, &path("A.dsplug"), &linked));
    fs::remove_file(disk.plugin("A.dsplug")).unwrap();
    fs::rename(elsewhere, disk.plugin("A.dsplug")).unwrap();
    let told = told(&differences(&compare(disk, &path("A.dsplug"), &linked), 1));
    assert_eq!(told, [itself]);
}

/// The same bundle under another name runs another of its files, where its Info.plist names none.
#[test]
fn a_bundle_that_runs_by_its_name_is_the_same_under_that_name_alone() {
    let disk = Disk::new();
    Plugin::new("A")
        .without("CFBundleExecutable")
        .file("Contents/MacOS/Evil", other_code())
        .write(disk.plugin(""));
    let good = Good::of(disk);
    is_same(&compare(&good.disk, &path("A.dsplug"), &good.copy));
    is_same(&compare(&good.disk, &path("A.dsplug"), &good.archive));
    fs::rename(
        good.disk.plugin("A.dsplug"),
        good.disk.plugin("Evil.dsplug"),
    )
    .unwrap();
    let lines = unknown(&compare(&good.disk, &path("Evil.dsplug"), &good.copy));
    assert!(
        lines[0].starts_with("which file is the main executable of OTHER: "),
        "{lines:#?}"
    );
    // So it is of one that was collected.
    let place = good.place.path().join("evil.tar.gz");
    let evil = collect(&good.disk, &path("Evil.dsplug"), place);
    for (one, other) in [(&evil, &good.copy), (&good.copy, &evil)] {
        let compared = compare(&good.disk, one.to_str().unwrap(), other);
        assert_eq!(unknown(&compared).len(), 1);
    }
    // One that names its executable is what it is whatever it is called.
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let good = Good::of(disk);
    fs::rename(
        good.disk.plugin("A.dsplug"),
        good.disk.plugin("Evil.dsplug"),
    )
    .unwrap();
    is_same(&compare(&good.disk, &path("Evil.dsplug"), &good.copy));
}
