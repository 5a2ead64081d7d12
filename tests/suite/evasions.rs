//! The evasions that are known, one test each, by their number: a line of the pack names each.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dsplug::exceptions::{LOCAL, baseline};
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::{
    Disk, Plugin, Watch, X86_64, chmod, fifo, mach_header, needs_root, set_mtime,
};
use serde_json::Value;

const FOLDER: &str = "/Library/DirectoryServices/PlugIns";
const LONG_AGO: u64 = 1_500_000_000;

fn watch(disk: Disk) -> Watch {
    set_mtime(disk.plugin(""), LONG_AGO);
    let watch = Watch::new(env!("CARGO_BIN_EXE_dsplug"), disk);
    watch.told();
    watch
}

/// Asserts that one of the lines is of that query, of that path below the folder, and has these
/// columns.
#[track_caller]
fn names(lines: &[Value], query: &str, path: &str, columns: &[(&str, &str)]) {
    let path = match path {
        "" => FOLDER.to_owned(),
        path => format!("{FOLDER}/{path}"),
    };
    let is_it = |line: &&Value| {
        line["name"] == format!("pack_dsplug_{query}")
            && line["columns"]["path"] == path
            && columns
                .iter()
                .all(|(name, value)| line["columns"][name] == *value)
    };
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    assert!(
        lines.iter().any(|l| is_it(&l)),
        "{query} {path} {columns:?}:\n{}",
        text.join("\n")
    );
}

#[track_caller]
fn odd(lines: &[Value], path: &str, oddity: &str, detail: &str) {
    names(
        lines,
        "oddities",
        path,
        &[("oddity", oddity), ("detail", detail)],
    );
}

/// The folder's anomalies; a folder that is not root's is one that others can write.
fn anomalies(words: &str) -> String {
    let owner = if rustix::process::geteuid().is_root() {
        ""
    } else {
        ";writable"
    };
    format!("{words}{owner}")
}

#[test]
fn e01_an_inner_file_changes_and_the_bundles_own_time_stays() {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.plugin(""));
    set_mtime(&bundle, LONG_AGO);
    let watch = watch(disk);
    fs::write(bundle.join("Contents/MacOS/A"), mach_header(X86_64)).unwrap();
    set_mtime(&bundle, LONG_AGO);
    names(&watch.lines(), "modified", "A.dsplug", &[]);
}

#[test]
fn e02_staged_elsewhere_and_renamed_in() {
    let disk = Disk::new();
    let staged = Plugin::new("A").write(disk.dir("tmp"));
    let watch = watch(disk);
    fs::rename(staged, watch.disk.plugin("A.dsplug")).unwrap();
    let lines = watch.lines();
    names(&lines, "presence", "A.dsplug", &[]);
    names(&lines, "folder_changed", "", &[]);
}

#[test]
fn e03_times_are_set_back() {
    let watch = watch(Disk::new());
    let bundle = Plugin::new("A").write(watch.disk.plugin(""));
    for entry in walkdir::WalkDir::new(&bundle) {
        set_mtime(entry.unwrap().path(), LONG_AGO);
    }
    odd(
        &watch.lines(),
        "A.dsplug",
        "backdated",
        &LONG_AGO.to_string(),
    );
}

#[test]
fn e04_it_stands_where_only_the_loader_looks() {
    let watch = watch(Disk::new());
    Plugin::new("A").write(watch.disk.plugin("Contents/Resources"));
    Plugin::new("B").write(watch.disk.plugin("Base.lproj"));
    let lines = watch.lines();
    odd(
        &lines,
        "Contents/Resources/A.dsplug",
        "place",
        "contents_resources",
    );
    odd(&lines, "Base.lproj/B.dsplug", "place", "lproj");
    names(
        &lines,
        "folder_changed",
        "",
        &[("anomalies", &anomalies("contents;lproj"))],
    );
}

#[test]
fn e05_a_directory_on_the_way_is_a_symlink() {
    let watch = watch(Disk::new());
    Plugin::new("A").write(watch.disk.dir("hidden/Resources"));
    watch
        .disk
        .link("Library/DirectoryServices/PlugIns/Contents", "/hidden");
    let lines = watch.lines();
    let path = "Contents/Resources/A.dsplug";
    odd(
        &lines,
        path,
        "symlinked_ancestor",
        "/hidden/Resources/A.dsplug",
    );
    names(
        &lines,
        "folder_changed",
        "",
        &[("anomalies", &anomalies("contents;symlinked_contents"))],
    );
    // The folder itself as a link.
    fs::rename(
        watch
            .disk
            .plugin("")
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches('/'),
        watch.disk.at("moved"),
    )
    .unwrap();
    watch
        .disk
        .link("Library/DirectoryServices/PlugIns", "/moved");
    names(
        &watch.lines(),
        "folder_changed",
        "",
        &[
            ("resolved_path", "/moved"),
            (
                "anomalies",
                &anomalies("contents;symlinked;symlinked_contents"),
            ),
        ],
    );
}

#[test]
fn e06_a_symlinks_target_is_swapped() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.dir("opt"));
    disk.link(
        "Library/DirectoryServices/PlugIns/L.dsplug",
        "/opt/A.dsplug",
    );
    let watch = watch(disk);
    fs::write(
        watch.disk.at("opt/A.dsplug/Contents/MacOS/A"),
        mach_header(X86_64),
    )
    .unwrap();
    chmod(watch.disk.at("opt/A.dsplug"), 0o777);
    let lines = watch.lines();
    names(
        &lines,
        "modified",
        "L.dsplug",
        &[("resolved_path", "/opt/A.dsplug")],
    );
    odd(&lines, "L.dsplug", "writable_by", "others");
    fs::remove_file(watch.disk.plugin("L.dsplug")).unwrap();
    symlink("/opt/../opt/A.dsplug", watch.disk.plugin("L.dsplug")).unwrap();
    odd(
        &watch.lines(),
        "L.dsplug",
        "symlink",
        "/opt/../opt/A.dsplug",
    );
}

#[test]
fn e07_the_executable_stands_outside() {
    let disk = Disk::new();
    disk.file("Users/Shared/x", mach_header(X86_64));
    let watch = watch(disk);
    Plugin::new("A")
        .key("CFBundleExecutable", "../../../../../../Users/Shared/x")
        .without_executable()
        .write(watch.disk.plugin(""));
    let lines = watch.lines();
    odd(&lines, "A.dsplug", "executable_outside", "/Users/Shared/x");
    // The bundle's digest does not hold that file: the executable's does.
    watch
        .disk
        .file("Users/Shared/x", [mach_header(X86_64), vec![0]].concat());
    names(
        &watch.lines(),
        "modified",
        "A.dsplug",
        &[("executable_outside", "1")],
    );
}

#[test]
fn e08_a_decoy_stands_beside_the_plist_that_wins() {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.plugin(""));
    let watch = watch(disk);
    let real = Plugin::new("A")
        .key("CFBundleIdentifier", "com.example.real")
        .info_plist();
    fs::write(bundle.join("Contents/Info-macos.plist"), real).unwrap();
    let lines = watch.lines();
    let plist = format!("{FOLDER}/A.dsplug/Contents/Info-macos.plist");
    odd(&lines, "A.dsplug", "info_plist", &plist);
    names(
        &lines,
        "modified",
        "A.dsplug",
        &[
            ("info_plist", plist.as_str()),
            ("bundle_identifier", "com.example.real"),
        ],
    );
}

#[test]
fn e09_an_odd_layout_and_a_fall_back_name() {
    let watch = watch(Disk::new());
    Plugin::new("A")
        .flat()
        .without("CFBundleExecutable")
        .write(watch.disk.plugin(""));
    let lines = watch.lines();
    odd(
        &lines,
        "A.dsplug",
        "info_plist",
        &format!("{FOLDER}/A.dsplug/Info.plist"),
    );
    let executable = format!("{FOLDER}/A.dsplug/A");
    names(
        &lines,
        "loadable_unverified",
        "A.dsplug",
        &[("executable", &executable)],
    );
}

#[test]
fn e10_an_identifier_of_apples() {
    let watch = watch(Disk::new());
    let identifier = "com.apple.DirectoryService.Local";
    Plugin::new("A")
        .key("CFBundleIdentifier", identifier)
        .write(watch.disk.plugin(""));
    odd(&watch.lines(), "A.dsplug", "identifier", identifier);
}

#[test]
fn e11_an_ad_hoc_signature() {
    let watch = watch(Disk::new());
    SignedBundle::new("A", Form::Deep).write(watch.disk.plugin(""));
    let state = [("signature_state", "adhoc")];
    let lines = watch.lines();
    names(&lines, "modified", "A.dsplug", &state);
}

#[test]
fn e12_one_good_slice_and_one_bad() {
    let watch = watch(Disk::new());
    SignedBundle::new("A", Form::Deep)
        .executable(|signature| {
            let good = MachO::bundle(Cpu::X86_64).code_len(5000).signed(signature);
            let mut bad = MachO::bundle(Cpu::Arm64e).code_len(5000).signed(signature);
            // A page of code that is not the one that was signed.
            bad[4500] ^= 1;
            Fat::of(&[(Cpu::X86_64, good), (Cpu::Arm64e, bad)]).build()
        })
        .write(watch.disk.plugin(""));
    names(
        &watch.lines(),
        "signature_broken",
        "A.dsplug",
        &[("signature_state", "broken")],
    );
}

#[test]
fn e13_code_outside_of_the_seal() {
    let disk = Disk::new();
    let bundle = SignedBundle::full("A").write(disk.plugin(""));
    let watch = watch(disk);
    let dylib = MachO::dylib(Cpu::Arm64e).unsigned();
    fs::write(bundle.join("Contents/Resources/payload.dylib"), dylib).unwrap();
    let lines = watch.lines();
    names(&lines, "signature_broken", "A.dsplug", &[]);
    names(
        &lines,
        "unsealed_code",
        "A.dsplug/Contents/Resources/payload.dylib",
        &[],
    );
}

#[test]
fn e14_an_older_version_of_a_known_plug_in() {
    let disk = Disk::new();
    let plugin = Plugin::new("A").key("CFBundleShortVersionString", "2.0");
    let bundle = plugin.write(disk.plugin(""));
    let watch = watch(disk);
    fs::remove_dir_all(&bundle).unwrap();
    Plugin::new("A")
        .key("CFBundleShortVersionString", "1.0")
        .write(watch.disk.plugin(""));
    names(
        &watch.lines(),
        "modified",
        "A.dsplug",
        &[("version", "1.0")],
    );
}

#[test]
fn e15_the_name_of_another_plug_in_is_taken() {
    let disk = Disk::new();
    Plugin::new("A")
        .key("CFPluginNameString", "Known")
        .write(disk.plugin(""));
    let watch = watch(disk);
    Plugin::new("Z")
        .key("CFPluginNameString", "Known")
        .write(watch.disk.plugin(""));
    let lines = watch.lines();
    odd(&lines, "A.dsplug", "name_shadowed", "Known");
    // What was there before has not changed itself.
    let modified = lines.iter().filter(|l| l["name"] == "pack_dsplug_modified");
    assert_eq!(modified.count(), 1);
}

#[test]
fn e16_created_loaded_and_deleted_between_two_runs() {
    let watch = watch(Disk::new());
    let bundle = Plugin::new("A").write(watch.disk.plugin(""));
    fs::remove_dir_all(bundle).unwrap();
    names(&watch.lines(), "folder_changed", "", &[]);
}

#[test]
fn e17_what_cannot_be_read_is_a_line() {
    let watch = watch(Disk::new());
    let bundle = Plugin::new("A").write(watch.disk.plugin(""));
    fifo(bundle.join("Contents/pipe"));
    fifo(watch.disk.plugin("pipe.dsplug"));
    watch.disk.link(
        "Library/DirectoryServices/PlugIns/loop.dsplug",
        "loop.dsplug",
    );
    Plugin::new("B").write(watch.disk.plugin(""));
    watch.disk.file(
        "Library/DirectoryServices/PlugIns/B.dsplug/Contents/Info.plist",
        "<plist>",
    );
    let lines = watch.lines();
    for name in ["A.dsplug", "B.dsplug", "pipe.dsplug", "loop.dsplug"] {
        names(&lines, "presence", name, &[]);
    }
    odd(&lines, "B.dsplug", "incomplete", "malformed");
    odd(&lines, "pipe.dsplug", "incomplete", "not_regular");
    odd(&lines, "loop.dsplug", "incomplete", "broken_symlink");
}

#[test]
fn e18_a_plain_file() {
    let watch = watch(Disk::new());
    watch
        .disk
        .file("Library/DirectoryServices/PlugIns/A.dsplug", "staged");
    let lines = watch.lines();
    names(&lines, "presence", "A.dsplug", &[]);
    odd(&lines, "A.dsplug", "not_a_bundle", "file");
}

#[test]
fn e19_names_that_only_look_right() {
    let watch = watch(Disk::new());
    for name in ["A.DSPLUG", "B.dsplug ", "C.d\u{455}plug"] {
        Plugin::new("X").write_as(watch.disk.plugin(name));
    }
    let lines = watch.lines();
    for name in ["A.DSPLUG", "B.dsplug ", "C.d\u{455}plug"] {
        odd(&lines, name, "name", "name");
    }
}

/// This query needs osquery's table `file`: here it is run on such a table, filled by hand.
#[test]
fn e20_open_directory_modules() {
    let pack = include_str!("../../packs/dsplug.conf");
    let pack: Value = serde_json::from_str(pack).unwrap();
    let sql = pack["queries"]["open_directory_modules"]["query"]
        .as_str()
        .unwrap();
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database
        .execute_batch(
            "CREATE TABLE file (path, directory, type, uid, gid, mode, symlink_target_path);
             INSERT INTO file VALUES
               ('/Library/OpenDirectory/Modules/evil.xpc', '/Library/OpenDirectory/Modules', 'directory', 0, 0, '0755', ''),
               ('/Library/Other/x', '/Library/Other', 'directory', 0, 0, '0755', '');",
        )
        .unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let path: String = rows.next().unwrap().unwrap().get("path").unwrap();
    assert_eq!(path, "/Library/OpenDirectory/Modules/evil.xpc");
    assert!(rows.next().unwrap().is_none());
}

/// `X/..namedfork/rsrc` opens the fork like a file, and `dlopen` takes such a path.
#[test]
fn e21_code_in_a_resource_fork() {
    let disk = Disk::new();
    let bundle = Plugin::new("A").file("Contents/data", "x");
    let bundle = bundle.write(disk.plugin(""));
    let fork = |value: &[u8]| {
        let name = "user.com.apple.ResourceFork";
        let none = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(bundle.join("Contents/data"), name, value, none)
    };
    if fork(b"one").is_err() {
        return dsplug_fixtures::skipped("the file system has no extended attributes");
    }
    let watch = watch(disk);
    assert!(fork(b"two").is_ok());
    names(&watch.lines(), "modified", "A.dsplug", &[]);
    assert!(watch.lines().is_empty());
    // And one that comes to a bundle which had none.
    let other = watch
        .disk
        .file("Library/DirectoryServices/PlugIns/B.dsplug/data", "x");
    watch.lines();
    let none = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(other, "user.com.apple.ResourceFork", b"f", none).unwrap();
    let lines = watch.lines();
    names(&lines, "modified", "B.dsplug", &[]);
    odd(&lines, "B.dsplug", "incomplete", "limit");
}

/// Writes resource forks of a file on which a bundle depends, and holds that each write is told once.
fn forks_are_told(disk: Disk, file: &Path) {
    let fork = |value: &[u8]| {
        let none = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(file, "user.com.apple.ResourceFork", value, none)
    };
    let watch = watch(disk);
    if fork(b"one").is_err() {
        return dsplug_fixtures::skipped("the file system has no extended attributes");
    }
    let lines = watch.lines();
    names(&lines, "modified", "A.dsplug", &[]);
    odd(&lines, "A.dsplug", "incomplete", "limit");
    assert!(fork(b"two").is_ok());
    names(&watch.lines(), "modified", "A.dsplug", &[]);
    assert!(watch.lines().is_empty());
}

/// The same of a main executable that stands outside of the bundle.
#[test]
fn e21_code_in_a_resource_fork_of_an_executable_outside() {
    let disk = Disk::new();
    let code = MachO::bundle(Cpu::X86_64).unsigned();
    let outside = disk.file("Users/Shared/x", code);
    Plugin::new("A")
        .key("CFBundleExecutable", "/Users/Shared/x")
        .write(disk.plugin(""));
    forks_are_told(disk, &outside);
}

/// The same where a link leads that leads out, into a directory or to a file.
#[test]
fn e21_code_in_a_resource_fork_behind_a_link() {
    for target in ["/Users/Shared/fw", "/Users/Shared/fw/data"] {
        let disk = Disk::new();
        let data = disk.file("Users/Shared/fw/data", "x");
        let bundle = Plugin::new("A").write(disk.plugin(""));
        std::os::unix::fs::symlink(target, bundle.join("Contents/fw")).unwrap();
        forks_are_told(disk, &data);
    }
}

#[test]
fn e22_a_library_outside() {
    let disk = Disk::new();
    let code = MachO::bundle(Cpu::X86_64)
        .dylib_path("/usr/lib/libSystem.B.dylib")
        .dylib_path("/Users/Shared/x.dylib");
    Plugin::new("A")
        .executable(code.unsigned())
        .write(disk.plugin(""));
    let watch = watch(disk);
    // Where there was none, where it is exchanged, and what it loads in its turn.
    let more = MachO::dylib(Cpu::X86_64).dylib_path("@loader_path/y.dylib");
    watch.disk.file("Users/Shared/x.dylib", more.unsigned());
    let lines = watch.lines();
    names(&lines, "modified", "A.dsplug", &[]);
    for content in ["one", "other"] {
        watch.disk.file("Users/Shared/y.dylib", content);
        names(&watch.lines(), "modified", "A.dsplug", &[]);
    }
    watch.disk.file("Users/Shared/x.dylib", "other");
    names(&watch.lines(), "modified", "A.dsplug", &[]);
    assert!(watch.lines().is_empty());
    // And one that comes to be named.
    let other = Plugin::new("B").executable(code.unsigned());
    other.write(watch.disk.plugin(""));
    odd(
        &watch.lines(),
        "B.dsplug",
        "loads_outside",
        "/Users/Shared/x.dylib",
    );
}

/// An exception accepts what stands there, and not that others may put something else there.
#[test]
fn e23_others_can_write_an_accepted_bundle() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let root = Root::open(disk.path()).unwrap();
    let snapshot = Scanner::new(root, Limits::STANDARD).scan();
    let baseline = baseline::write(&snapshot).unwrap();
    chmod(disk.file(&LOCAL[1..], &baseline.plist), 0o644);
    let watch = watch(disk);
    let inner = watch.disk.plugin("A.dsplug/Contents/MacOS");
    chmod(inner.join("A"), 0o777);
    chmod(inner, 0o777);
    let lines = watch.lines();
    odd(&lines, "A.dsplug", "writable_by", "others");
    // That is all, and it is told once.
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(watch.lines().is_empty());
}
