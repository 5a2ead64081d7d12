//! What `collect` writes: opened by the system's own tools, whole, and never half.

use crate::common;
use crate::faults::strace;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use dsplug::event::{Action, Event};
use dsplug::journal::{Batch, Journal};
use dsplug::root::Root;
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, fifo, skipped};
use serde_json::Value;

fn collect(disk: &Disk, arguments: &[&str], output: &Path) -> Output {
    common::call("collect", disk.path())
        .arg("--output")
        .arg(output)
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
fn whole(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A bundle with every odd entry that a disk can hold.
fn odd(disk: &Disk) -> PathBuf {
    let mut plugin = Plugin::new("Odd");
    for (name, content) in [
        ("with space", "1"),
        ("new\nline", "2"),
        ("-rf", "3"),
        ("e\u{301} decomposed", "4"),
        ("\u{202e}reversed", "5"),
        ("empty", ""),
    ] {
        plugin = plugin.file(&format!("Contents/Resources/{name}"), content);
    }
    let long = "d".repeat(120);
    let plugin = plugin.file(&format!("Contents/{long}/{long}"), "long");
    let path = plugin.write(disk.plugin(""));
    let inside = |name: &str| path.join("Contents/Resources").join(name);
    let raw = std::ffi::OsStr::from_bytes(b"Contents/Resources/\xff\xfe");
    fs::write(path.join(raw), "no UTF-8").unwrap();
    fs::hard_link(inside("with space"), inside("the same")).unwrap();
    symlink("with space", inside("link")).unwrap();
    symlink(format!("/{}", "t".repeat(200)), inside("long link")).unwrap();
    fs::create_dir(inside("no files")).unwrap();
    fifo(inside("pipe"));
    std::os::unix::net::UnixListener::bind(path.join("s")).unwrap();
    let sparse = fs::File::create(inside("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    dsplug_fixtures::chmod(inside("empty"), 0o4711);
    let file = fs::File::open(inside("empty")).unwrap();
    let odd_time = std::time::UNIX_EPOCH + std::time::Duration::new(981_173_106, 123_456_789);
    file.set_modified(odd_time).unwrap();
    let _ = rustix::fs::setxattr(
        inside("with space"),
        "user.com.apple.quarantine",
        b"0083;5f3d2a1b;Saf\0ari=\n;",
        rustix::fs::XattrFlags::empty(),
    );
    path
}

/// What the README's lines print for a bundle.
fn by_shell(bundle: &Path) -> String {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- digest:begin -->\n```sh\n").unwrap();
    let recipe = rest.split_once("```").unwrap().0;
    let out = Command::new("bash")
        .args(["-c", &format!("{recipe}\ndigest \"$1\""), "bash"])
        .arg(bundle)
        .output()
        .unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// The one directory that an archive unpacks to.
fn top(place: &Path) -> PathBuf {
    let mut entries = fs::read_dir(place).unwrap();
    let top = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    top
}

/// The programs that unpack an archive, each with what it is called with.
fn unpackers() -> Vec<(&'static str, Vec<&'static str>)> {
    let python = "import sys, tarfile\n\
                  with tarfile.open(sys.argv[1]) as t:\n    t.extractall(sys.argv[2], filter='fully_trusted')";
    vec![
        ("tar", vec!["--xattrs", "--xattrs-include=*", "-xpzf"]),
        ("bsdtar", vec!["-xpzf"]),
        ("python3", vec!["-c", python]),
    ]
}

fn unpack(program: &str, arguments: &[&str], archive: &Path, place: &Path) -> Option<Output> {
    let mut command = Command::new(program);
    command
        .env("LC_ALL", "C.UTF-8")
        .args(arguments)
        .arg(archive);
    if program != "python3" {
        command.arg("-C");
    }
    match command.arg(place).output() {
        Ok(output) => Some(output),
        Err(error) => {
            skipped(format_args!("no {program}: {error}"));
            None
        }
    }
}

#[test]
fn every_tar_unpacks_what_was_there() {
    let disk = Disk::new();
    let bundle = odd(&disk);
    let hash = common::only_bundle(disk.path())["hash"].clone();
    assert_eq!(hash.len(), 64);
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let said = whole(collect(&disk, &["--all"], &archive));
    let sum = Command::new("sha256sum").arg(&archive).output().unwrap();
    assert_eq!(said, String::from_utf8(sum.stdout).unwrap());
    for (program, arguments) in unpackers() {
        let place = tempfile::tempdir().unwrap();
        let Some(output) = unpack(program, &arguments, &archive, place.path()) else {
            continue;
        };
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {error}");
        // GNU tar does not know the record that tells libarchive of a name that is no UTF-8.
        let error = error.replace(
            "tar: Ignoring unknown extended header keyword 'hdrcharset'\n",
            "",
        );
        assert_eq!(error, "", "{program}");
        let top = top(place.path());
        let copy = top.join("files").join(PLUGINS).join("Odd.dsplug");
        assert_eq!(by_shell(&copy), hash, "{program}");
        same_metadata(&bundle, &copy, program);
        manifest_holds(&top, program);
        // What is unpacked is a root of its own.
        let row = common::only_bundle(&top.join("files"));
        assert_eq!(row["hash"], hash, "{program}");
        // The report and the rows are of this bundle.
        let rows: Vec<Value> =
            serde_json::from_slice(&fs::read(top.join("rows/dsplug_bundles.json")).unwrap())
                .unwrap();
        assert_eq!(rows[0]["hash"], hash);
        let report = fs::read_to_string(top.join("reports/1.md")).unwrap();
        assert!(report.contains(&hash));
    }
}

/// Modes, times and attributes of a tree and its copy.
fn same_metadata(one: &Path, other: &Path, program: &str) {
    use std::os::unix::fs::MetadataExt as _;
    for entry in walkdir::WalkDir::new(one) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(one).unwrap();
        let (a, b) = (
            entry.path().symlink_metadata().unwrap(),
            other.join(path).symlink_metadata().unwrap(),
        );
        let is_link = a.is_symlink();
        // The listening socket stands as a FIFO.
        if !a.file_type().is_file() && !a.is_dir() && !is_link {
            continue;
        }
        if !is_link {
            assert_eq!(a.mode() & 0o7777, b.mode() & 0o7777, "{program}: {path:?}");
        }
        let time = |m: &fs::Metadata| match program {
            // Python keeps a time in a float, and not that of a link.
            "python3" if is_link => (0, 0),
            "python3" => (m.mtime(), m.mtime_nsec() / 1000),
            _ => (m.mtime(), m.mtime_nsec()),
        };
        assert_eq!(time(&a).0, time(&b).0, "{program}: {path:?}");
        assert!(time(&a).1.abs_diff(time(&b).1) <= 1, "{program}: {path:?}");
        if a.is_file() {
            assert_eq!(a.nlink(), b.nlink(), "{program}: {path:?}");
        }
    }
    let value = |top: &Path| {
        let mut value = Vec::with_capacity(256);
        let path = top.join("Contents/Resources/with space");
        let name = "user.com.apple.quarantine";
        let read = rustix::fs::getxattr(path, name, rustix::buffer::spare_capacity(&mut value));
        read.map(|_| value).ok()
    };
    if program != "python3" && value(other.parent().unwrap()).is_none() {
        assert_eq!(value(one), value(other), "{program}");
    }
}

/// Each member that has content has the SHA-256 that the manifest says, and there is no other.
fn manifest_holds(top: &Path, program: &str) {
    let manifest: Value =
        serde_json::from_slice(&fs::read(top.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["left_out"], serde_json::json!([]));
    let mut named = std::collections::BTreeSet::new();
    for member in manifest["members"].as_array().unwrap() {
        let name = match member["member_hex"].as_str() {
            None => member["member"].as_str().unwrap().as_bytes().to_vec(),
            Some(hex) => (0..hex.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
                .collect(),
        };
        let path = top.join(std::ffi::OsStr::from_bytes(&name));
        if let Some(sum) = member["sha256"].as_str() {
            let content = fs::read(&path).unwrap();
            let ring = ring::digest::digest(&ring::digest::SHA256, &content);
            let hex: String = ring.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, sum, "{program}: {path:?}");
        }
        named.insert(path.components().collect::<PathBuf>());
    }
    for entry in walkdir::WalkDir::new(top).min_depth(1) {
        let path = entry.unwrap().into_path();
        // Only what leads to a member, and the manifest itself, is not in it.
        let is_way = path.is_dir() && named.iter().any(|n| n.starts_with(&path));
        let is_named = named.contains(&path) || path.ends_with("manifest.json");
        assert!(is_named || is_way, "{program}: {path:?}");
    }
}

#[test]
fn what_stands_outside_is_taken_and_nothing_out_of_the_root() {
    let disk = Disk::new();
    Plugin::new("Out")
        .key("CFBundleExecutable", "/opt/out")
        .without_executable()
        .write(disk.plugin(""));
    disk.file(
        "opt/out",
        dsplug_fixtures::mach_header(dsplug_fixtures::ARM64E),
    );
    Plugin::new("T").write(disk.dir("Users/Shared"));
    disk.link("opt/shared", "/Users/Shared");
    disk.link(
        format!("{PLUGINS}/L.dsplug"),
        "../../../opt/shared/T.dsplug",
    );
    disk.link(
        format!("{PLUGINS}/Away.dsplug"),
        "../../../../../../../../etc",
    );
    disk.link(format!("{PLUGINS}/Gone.dsplug"), "/nowhere");
    // A directory by two links, and a library by its name.
    disk.file("Users/Shared/fw/l.dylib", "library");
    disk.link("opt/fw", "/Users/Shared/fw");
    disk.link("Users/Shared/T.dsplug/Contents/Frameworks", "/opt/fw");
    disk.file("opt/named.dylib", "named");
    Plugin::new("Loads")
        .executable(
            MachO::dylib(Cpu::X86_64)
                .dylib_path("/opt/named.dylib")
                .unsigned(),
        )
        .write(disk.plugin(""));
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    whole(collect(&disk, &["--all"], &archive));
    let output = unpack("tar", &["-xpzf"], &archive, place.path()).unwrap();
    assert!(output.status.success());
    fs::remove_file(&archive).unwrap();
    let files = top(place.path()).join("files");
    let sql = "SELECT path, hash, executable_hash, symlink_target, linked_hash, linked_paths FROM dsplug_bundles";
    assert_eq!(
        common::query(&files, sql),
        common::query(disk.path(), sql),
        "the unpacked root shows the same"
    );
    assert!(!files.join("etc").exists());
}

#[test]
fn a_huge_file_is_left_out_and_said() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.plugin(""));
    let huge = fs::File::create(path.join("AAA")).unwrap();
    huge.set_len(5 << 30).unwrap();
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let output = collect(
        &disk,
        &["/Library/DirectoryServices/PlugIns/A.dsplug"],
        &archive,
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(error.contains("not everything could be taken"), "{error}");
    let list = Command::new("tar").arg("-tzf").arg(&archive).output();
    let list = String::from_utf8(list.unwrap().stdout).unwrap();
    assert!(list.contains("A.dsplug/Contents/MacOS/A\n"), "{list}");
    assert!(!list.contains("AAA"), "{list}");
}

/// What went into the archive counts, and no look before or after.
#[test]
fn what_was_collected_is_held_to_the_digest_that_was_expected() {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.plugin(""));
    Plugin::new("B").write(disk.plugin(""));
    let path = format!("/{PLUGINS}/A.dsplug");
    let sql = format!("SELECT hash FROM dsplug_bundles WHERE path = '{path}'");
    let right = common::query(disk.path(), &sql)[0]["hash"].clone();
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    for expect in [right.clone(), format!(" {} ", right.to_uppercase())] {
        whole(collect(&disk, &[&path, "--expect", &expect], &archive));
        fs::remove_file(&archive).unwrap();
    }
    let refused = |arguments: &[&str], code| {
        let output = collect(&disk, arguments, &archive);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        error
    };
    let two = format!("/{PLUGINS}/B.dsplug");
    let error = refused(&[&path, &two, "--expect", &right], 1);
    assert!(error.contains("one bundle"), "{error}");
    refused(&["--all", "--expect", &right], 2);
    assert!(!archive.exists());
    // It is kept, and said to be another.
    let error = refused(&[&path, "--expect", "00"], 1);
    let last = error.lines().last().unwrap();
    assert!(last.contains("is not what was expected"), "{error}");
    assert!(last.contains(archive.to_str().unwrap()), "{error}");
    assert!(last.contains(&right), "{error}");
    fs::remove_file(&archive).unwrap();
    // Of what was taken in part there is no digest.
    let huge = fs::File::create(bundle.join("AAA")).unwrap();
    huge.set_len(5 << 30).unwrap();
    let error = refused(&[&path, "--expect", &right], 1);
    assert!(error.contains("is not known to be what"), "{error}");
}

/// Exchanged when it was judged, and put back when the archive stands.
#[test]
fn what_was_exchanged_while_it_was_collected_is_not_what_was_expected() {
    if !strace::is_usable() {
        return;
    }
    let disk = Disk::new();
    let bundle = Plugin::new("A")
        .file("Contents/x", "evil")
        .write(disk.plugin(""));
    let hash = common::only_bundle(disk.path())["hash"].clone();
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    // The half-written archive is locked before anything of the bundle is read again. That is held up.
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=flock", "-o", "/dev/null"])
        .args(["-e", "inject=flock:delay_enter=3000000:when=1"])
        .arg(env!("CARGO_BIN_EXE_dsplug"))
        .args(["collect", "--root"])
        .arg(disk.path())
        .arg("--output")
        .arg(&archive)
        .args([&format!("/{PLUGINS}/A.dsplug"), "--expect", &hash])
        .spawn()
        .unwrap();
    let began = std::time::Instant::now();
    while !place.path().join(".a.tar.gz.part").exists() {
        assert!(began.elapsed().as_secs() < 20);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    fs::write(bundle.join("Contents/x"), "good").unwrap();
    let status = child.wait().unwrap();
    fs::write(bundle.join("Contents/x"), "evil").unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(common::only_bundle(disk.path())["hash"], hash);
}

#[test]
fn nothing_half_is_left_and_nothing_is_replaced() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    // Where a call was killed.
    fs::write(place.path().join(".a.tar.gz.part"), "half").unwrap();
    whole(collect(&disk, &["--all"], &archive));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    let before = fs::read(&archive).unwrap();
    let refused = |output: Output, why: &str| {
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(why) && error.lines().count() == 1, "{error}");
        assert_eq!(output.stdout, b"");
    };
    refused(collect(&disk, &["--all"], &archive), "stands there already");
    assert_eq!(fs::read(&archive).unwrap(), before);
    refused(
        collect(&disk, &["--all"], &disk.at("a.tar.gz")),
        "below --root",
    );
    refused(
        collect(&disk, &["--all"], Path::new("/nonexistent/a.tar.gz")),
        "No such file",
    );
    refused(
        collect(&disk, &["/B.dsplug"], &place.path().join("b.tar.gz")),
        "no candidate stands",
    );
    let wrong = collect(&disk, &[], &archive);
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

/// Whoever replaces the folder by a link would have another program's files taken, instead of a bundle's.
#[test]
fn what_a_folder_leads_to_is_not_taken_for_a_bundle() {
    let disk = Disk::new();
    disk.file("Applications/EDR.app/Contents/PlugIns/secret", "1");
    let list = "<plist><dict><key>";
    disk.file("Applications/EDR.app/Contents/PlugIns/Info.plist", list);
    Plugin::new("A").write(disk.at("Applications/EDR.app/Contents/PlugIns"));
    fs::remove_dir_all(disk.at("Library/DirectoryServices")).unwrap();
    let to = "/Applications/EDR.app/Contents";
    disk.link("Library/DirectoryServices", to);
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let output = collect(&disk, &["--all"], &archive);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(error.contains("not everything could be taken"), "{error}");
    let output = unpack("tar", &["-xpzf"], &archive, place.path()).unwrap();
    assert!(output.status.success());
    fs::remove_file(&archive).unwrap();
    let top = top(place.path());
    let at = top.join("files/Applications/EDR.app/Contents/PlugIns");
    assert!(at.join("A.dsplug/Contents/MacOS/A").exists());
    assert!(!at.join("secret").exists());
    let manifest = fs::read_to_string(top.join("manifest.json")).unwrap();
    assert!(
        manifest.contains("is a plug-in folder that leads to /Applications"),
        "{manifest}"
    );
}

/// What the tables show of another names that one, though it has no row among too much that stands beside it.
#[test]
fn a_decoy_is_not_collected_in_the_place_of_what_has_no_row() {
    let disk = Disk::new();
    for number in 0..2_399 {
        disk.dir(format!("{PLUGINS}/A{number}.dsplug/Contents"));
    }
    for name in ["i\\x7fj.dsplug", "i\u{7f}j.dsplug"] {
        Plugin::new("A").write_as(disk.plugin(name));
    }
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    for named in [
        format!("/{PLUGINS}/i\\x7fj.dsplug"),
        "i\\x7fj.dsplug".into(),
    ] {
        let output = collect(&disk, &[&named], &archive);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("i\\x5cx7fj.dsplug is named"), "{error}");
        assert!(!archive.exists());
    }
    whole(collect(&disk, &["i\\x5cx7fj.dsplug"], &archive));
}

/// Root on the Mac writes the journal, and the copies; who collects may sit at another computer.
#[test]
fn no_row_of_the_journal_has_another_place_of_this_computer_taken() {
    let disk = Disk::new();
    let place = tempfile::tempdir().unwrap();
    let state = fs::canonicalize(place.path()).unwrap().join("state");
    let copies = state.join("copies");
    let (own, link) = (copies.join("a".repeat(64)), copies.join("b".repeat(64)));
    let secret = fs::canonicalize(place.path()).unwrap().join("secret");
    let mut journal = Journal::kept_at(&state, &Root::open(disk.path()).unwrap());
    journal.write(Batch {
        is_all: true,
        ..Batch::default()
    });
    for directory in [&own, &secret] {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("manifest"), "").unwrap();
    }
    for directory in [&copies, &own] {
        chmod(directory, 0o700);
    }
    symlink(&secret, &link).unwrap();
    // What is kept hides nothing that stands on the disk at the same path.
    let bundle = Plugin::new("A").write(disk.plugin(""));
    disk.file(own.strip_prefix("/").unwrap().join("manifest"), "the Mac's");
    symlink(&own, bundle.join("Contents/Resources")).unwrap();
    let foreign = [
        secret.clone(),
        link,
        copies.join("../../secret"),
        own.join("manifest"),
        copies.clone(),
        state.clone(),
    ];
    let events = foreign.iter().chain([&own]).map(|kept| Event {
        id: 0,
        time: 1,
        action: Action::Appeared,
        path: format!("/{PLUGINS}/A.dsplug"),
        changed: String::new(),
        seen: None,
        state: Arc::default(),
        previous_hash: "".into(),
        stood_ms: None,
        kept: kept.to_str().unwrap().to_owned(),
    });
    journal.write(Batch {
        events: events.collect(),
        ..Batch::default()
    });
    drop(journal);
    let archive = place.path().join("a.tar.gz");
    whole(collect(
        &disk,
        &["--all", "--state-dir", state.to_str().unwrap()],
        &archive,
    ));
    let listed = Command::new("tar").arg("-tzf").arg(&archive).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let kept: Vec<&str> = listed
        .lines()
        .filter_map(|name| Some(name.split_once("/kept/")?.1))
        .collect();
    let of_own = own.strip_prefix("/").unwrap().to_str().unwrap();
    let expected = [format!("{of_own}/"), format!("{of_own}/manifest")];
    assert_eq!(kept, expected, "{listed}");
    assert!(listed.contains(&format!("/files/{of_own}/manifest")));
    let unpacked = tempfile::tempdir().unwrap();
    unpack("tar", &["-xpzf"], &archive, unpacked.path()).unwrap();
    let manifest = fs::read(top(unpacked.path()).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let left_out = manifest["left_out"].to_string();
    for path in foreign {
        let line = format!("the copy {}: ", path.display());
        assert!(left_out.contains(&line), "{line} {left_out}");
    }
}
