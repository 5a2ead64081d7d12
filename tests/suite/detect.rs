//! `dsplug detect`: for each thing that happens, exactly the lines that tell it, and no others.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use dsplug_fixtures::needs_root;
use dsplug_fixtures::signature::Signature;
use dsplug_fixtures::signed_bundle::{Form, SignedBundle};
use dsplug_fixtures::watch::{lines_of, told};
use dsplug_fixtures::{
    ARM64E, Disk, PLUGINS, Plugin, Watch, X86_64, chmod, mach_header, set_mtime, skipped,
};
use serde_json::Value;

use crate::hostile::mounts::Mounted;

const DSPLUG: &str = env!("CARGO_BIN_EXE_dsplug");
const FOLDER: &str = "/Library/DirectoryServices/PlugIns";
/// A time long before the test: what is written later has another, whatever the clock's grain.
const LONG_AGO: u64 = 1_500_000_000;

/// A watch over a disk, the base line taken.
fn watch(disk: Disk) -> Watch {
    age(&disk);
    let watch = Watch::new(DSPLUG, disk);
    watch.told();
    watch
}

fn age(disk: &Disk) {
    set_mtime(disk.plugin(""), LONG_AGO);
}

#[track_caller]
fn tells(watch: &Watch, expected: &[(&str, &str, &str)]) {
    let found = watch.told();
    let found: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|(q, a, p)| (q.as_str(), a.as_str(), p.as_str()))
        .collect();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    // Whatever happened is told once.
    assert_eq!(watch.told(), []);
}

const A: &str = "/Library/DirectoryServices/PlugIns/A.dsplug";

#[test]
fn a_bundle_is_created_and_goes() {
    let watch = watch(Disk::new());
    Plugin::new("A").write(watch.disk.plugin(""));
    tells(
        &watch,
        &[
            ("presence", "added", A),
            ("modified", "added", A),
            ("loadable_unverified", "added", A),
            ("folder_changed", "added", FOLDER),
        ],
    );
    age(&watch.disk);
    watch.told();
    fs::remove_dir_all(watch.disk.plugin("A.dsplug")).unwrap();
    tells(
        &watch,
        &[
            ("presence", "removed", A),
            ("folder_changed", "added", FOLDER),
        ],
    );
}

#[test]
fn an_inner_file_is_modified() {
    let disk = Disk::new();
    let plugin = Plugin::new("A")
        .file("Contents/Resources/data", "old")
        .write(disk.plugin(""));
    let watch = watch(disk);
    fs::write(plugin.join("Contents/Resources/data"), "new").unwrap();
    tells(&watch, &[("modified", "added", A)]);
}

#[test]
fn the_executable_is_replaced_and_keeps_its_mtime() {
    let disk = Disk::new();
    let executable = Plugin::new("A")
        .write(disk.plugin(""))
        .join("Contents/MacOS/A");
    let time = fs::metadata(&executable).unwrap().modified().unwrap();
    let watch = watch(disk);
    fs::write(&executable, mach_header(X86_64)).unwrap();
    fs::File::open(&executable)
        .unwrap()
        .set_modified(time)
        .unwrap();
    tells(
        &watch,
        &[
            ("modified", "added", A),
            ("loadable_unverified", "added", A),
        ],
    );
}

#[test]
fn a_bundle_is_signed_again() {
    let disk = Disk::new();
    let signed = SignedBundle::new("A", Form::Deep).file("Resources/data", b"x");
    signed.write(disk.plugin(""));
    let watch = watch(disk);
    let again = signed.edit_signature(|signature| Signature {
        identifier: "com.apple.another".into(),
        ..signature
    });
    again.write(watch.disk.plugin(""));
    tells(&watch, &[("modified", "added", A)]);
}

#[test]
fn a_bundle_is_staged_elsewhere_and_renamed_in() {
    let disk = Disk::new();
    let staged = Plugin::new("A").write(disk.dir("private/tmp"));
    for entry in walkdir::WalkDir::new(&staged) {
        set_mtime(entry.unwrap().path(), LONG_AGO);
    }
    let watch = watch(disk);
    fs::rename(&staged, watch.disk.plugin("A.dsplug")).unwrap();
    tells(
        &watch,
        &[
            ("presence", "added", A),
            ("modified", "added", A),
            ("loadable_unverified", "added", A),
            ("oddities:backdated", "added", A),
            ("folder_changed", "added", FOLDER),
        ],
    );
}

#[test]
fn a_symlink_is_swapped() {
    let disk = Disk::new();
    Plugin::new("A").write_as(disk.dir("opt").join("one.dsplug"));
    Plugin::new("A")
        .executable(mach_header(X86_64))
        .write_as(disk.dir("opt").join("two.dsplug"));
    let link = disk.link(
        "Library/DirectoryServices/PlugIns/A.dsplug",
        "/opt/one.dsplug",
    );
    let watch = watch(disk);
    fs::remove_file(&link).unwrap();
    symlink("/opt/two.dsplug", &link).unwrap();
    tells(
        &watch,
        &[
            ("modified", "added", A),
            ("loadable_unverified", "added", A),
            ("oddities:symlink", "added", A),
            ("folder_changed", "added", FOLDER),
        ],
    );
    // The link stays, and what it leads to changes.
    fs::write(watch.disk.at("opt/two.dsplug/Contents/more"), "x").unwrap();
    tells(&watch, &[("modified", "added", A)]);
}

#[test]
fn a_bundle_comes_and_goes_between_two_runs() {
    let watch = watch(Disk::new());
    let bundle = Plugin::new("A").write(watch.disk.plugin(""));
    fs::remove_dir_all(bundle).unwrap();
    tells(&watch, &[("folder_changed", "added", FOLDER)]);
}

/// Makes all of this, and has something done between two runs that leaves all as it was.
#[track_caller]
fn is_told_though_it_is_as_it_was(make: impl Fn(&Disk), between: impl Fn(&Disk)) {
    let disk = Disk::new();
    make(&disk);
    let watch = Watch::new(DSPLUG, disk);
    watch.told();
    assert_eq!(watch.told(), []);
    between(&watch.disk);
    tells(&watch, &[("folder_changed", "added", FOLDER)]);
}

fn comes_and_goes(place: &Path) {
    let bundle = Plugin::new("Evil").write(place);
    fs::remove_dir_all(bundle).unwrap();
}

/// Another directory stands at that path for a moment.
fn is_exchanged(disk: &Disk, path: &str) {
    let (at, aside) = (disk.at(path), disk.at("Users/aside"));
    fs::create_dir_all(disk.at("Users")).unwrap();
    fs::rename(&at, &aside).unwrap();
    fs::create_dir(&at).unwrap();
    fs::remove_dir(&at).unwrap();
    fs::rename(&aside, &at).unwrap();
}

/// What comes and goes there sets no time of the folder's.
#[test]
fn a_bundle_comes_and_goes_in_another_place_of_the_loader_between_two_runs() {
    for place in [
        "Contents/Resources",
        "Resources",
        "en.lproj",
        "Resources/en.lproj",
        "Support Files/Resources",
    ] {
        let at = |disk: &Disk| disk.plugin(place);
        is_told_though_it_is_as_it_was(
            |disk| drop(fs::create_dir_all(at(disk))),
            |disk| comes_and_goes(&at(disk)),
        );
    }
    let to = |disk: &Disk| disk.link(disk.plugin("Resources"), "/Users/x");
    is_told_though_it_is_as_it_was(
        |disk| drop((to(disk), disk.dir("Users/x"))),
        |disk| comes_and_goes(&disk.at("Users/x")),
    );
    // However many there are, and whoever may write there.
    let lproj = |disk: &Disk, name: &str| disk.dir(disk.plugin(format!("{name}.lproj")));
    is_told_though_it_is_as_it_was(
        |disk| {
            (0..300).for_each(|number| drop(lproj(disk, &format!("a{number}"))));
            lproj(disk, "en");
        },
        |disk| comes_and_goes(&disk.plugin("en.lproj")),
    );
    is_told_though_it_is_as_it_was(
        |disk| dsplug_fixtures::chmod(lproj(disk, "en"), 0o777),
        |disk| comes_and_goes(&disk.plugin("en.lproj")),
    );
    // And the names that decide what of it is listed.
    let names = "Support Files/Resources/Non-localized Resources";
    is_told_though_it_is_as_it_was(
        |disk| drop(disk.dir(disk.plugin(names))),
        |disk| comes_and_goes(&disk.plugin(names)),
    );
}

/// The loader looks wherever links lead, and each step on the way there may be another for a moment.
#[test]
fn a_step_on_the_way_is_exchanged_between_two_runs() {
    is_told_though_it_is_as_it_was(
        |disk| {
            fs::remove_dir_all(disk.at("Library/DirectoryServices")).unwrap();
            disk.dir("opt/x/PlugIns");
            disk.link("Library/DirectoryServices", "Fr/m/in/l");
            disk.link("Library/Fr/m/in/l", "/opt/x");
        },
        |disk| is_exchanged(disk, "Library/Fr/m"),
    );
    is_told_though_it_is_as_it_was(
        |disk| {
            disk.dir("Users/Shared/m/n/q");
            disk.link(disk.plugin("en.lproj"), "/Users/Shared/m/n/q");
        },
        |disk| is_exchanged(disk, "Users/Shared/m"),
    );
    is_told_though_it_is_as_it_was(
        |disk| {
            disk.dir(disk.plugin("Wrapper/PlugIns"));
            disk.link(disk.plugin("WrappedBundle"), "Wrapper/PlugIns");
        },
        |disk| is_exchanged(disk, &format!("{PLUGINS}/Wrapper/PlugIns")),
    );
}

/// It has no row of its own, and what stood in it none any more.
#[test]
fn a_folder_comes_and_goes_between_two_runs() {
    let gone = |disk: &Disk, path: &str| fs::remove_dir_all(disk.at(path)).unwrap();
    for missing in [PLUGINS, "Library/DirectoryServices"] {
        is_told_though_it_is_as_it_was(
            |disk| gone(disk, missing),
            |disk| {
                Plugin::new("Evil").write(disk.plugin(""));
                gone(disk, missing);
            },
        );
    }
    is_told_though_it_is_as_it_was(
        |disk| {
            gone(disk, PLUGINS);
            disk.link(PLUGINS, "/opt/x/P");
            disk.dir("opt/x");
        },
        |disk| {
            disk.dir("opt/x/P");
            gone(disk, "opt/x/P");
        },
    );
}

/// Whose it is, and that he may exchange what stands in it, is said; and what he exchanges as well.
#[test]
fn a_directory_above_that_is_another_users_is_exchanged_between_two_runs() {
    if !needs_root("it gives a directory away") {
        return;
    }
    let above = "Library/DirectoryServices";
    is_told_though_it_is_as_it_was(
        |disk| std::os::unix::fs::chown(disk.at(above), Some(501), None).unwrap(),
        |disk| is_exchanged(disk, above),
    );
    // What stands at `/` as well, which is the system's to make anew and nobody's to give away.
    for (dir, mode, by) in [
        (above, 0o755, "owner"),
        ("Library", 0o755, "owner"),
        ("Library", 0o775, "group"),
        ("Library", 0o1777, "others"),
    ] {
        let disk = Disk::new();
        let owner = if mode == 0o755 { 501 } else { 0 };
        std::os::unix::fs::chown(disk.at(dir), Some(owner), None).unwrap();
        chmod(disk.at(dir), mode);
        let sql = "SELECT writable_by, anomalies FROM dsplug_folders WHERE \"exists\" = 1";
        let row = &crate::common::query(disk.path(), sql)[0];
        assert_eq!(
            (&*row["writable_by"], &*row["anomalies"]),
            (by, "writable"),
            "{dir} {mode:o}"
        );
    }
}

/// One of the places that it names is there, and another comes where anybody may write.
#[test]
fn a_place_of_a_language_comes_and_goes_beside_one_that_is_there() {
    is_told_though_it_is_as_it_was(
        |disk| {
            disk.dir("Users/Shared/aa.lproj");
            chmod(disk.at("Users/Shared"), 0o1777);
            let languages = ["aa", "zz"]
                .map(|name| format!("<string>../../../../Users/Shared/{name}</string>"));
            let array = format!("<array>{}</array>", languages.concat());
            let keys = format!("<dict><key>CFBundleLocalizations</key>{array}</dict>");
            let text = format!("<plist version=\"1.0\">{keys}</plist>");
            disk.file(disk.plugin("Info.plist"), text);
        },
        |disk| {
            Plugin::new("Evil").write(disk.at("Users/Shared/zz.lproj"));
            fs::remove_dir_all(disk.at("Users/Shared/zz.lproj")).unwrap();
        },
    );
}

/// It may name any directory for a language, which the loader then reads.
#[test]
fn the_folders_own_list_is_another_between_two_runs() {
    let list = |disk: &Disk, name: &str| {
        let language = format!("../../../../Users/Shared/{name}");
        let array = format!("<array><string>{language}</string></array>");
        let keys = format!("<dict><key>CFBundleLocalizations</key>{array}</dict>");
        // In place: what makes it sets the times of the folder.
        let mut file = fs::File::options();
        let file = file.write(true).create(true).truncate(false);
        let mut file = file.open(disk.plugin("Info.plist")).unwrap();
        let text = format!("<plist version=\"1.0\">{keys}</plist>");
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    is_told_though_it_is_as_it_was(
        |disk| {
            disk.dir("Users/Shared/x1.lproj");
            Plugin::new("Evil").write(disk.at("Users/Shared/x2.lproj"));
            list(disk, "x1");
        },
        |disk| {
            list(disk, "x2");
            list(disk, "x1");
        },
    );
}

/// Anybody writes there, all day.
#[test]
fn what_others_write_beside_the_way_is_no_news() {
    let disk = Disk::empty();
    disk.dir("Users/Shared/DS/PlugIns");
    disk.link("Library/DirectoryServices", "../Users/Shared/DS");
    dsplug_fixtures::chmod(disk.at("Users/Shared"), 0o1777);
    let watch = watch(disk);
    watch.disk.file("Users/Shared/x", "");
    tells(&watch, &[]);
    // And what stands there is another all the same when it is exchanged.
    let at = |name: &str| watch.disk.at(format!("Users/Shared/{name}"));
    fs::rename(at("DS"), at("Aside")).unwrap();
    watch.disk.dir("Users/Shared/DS/PlugIns");
    let told = watch.told();
    assert!(
        told.iter().any(|line| line.0 == "folder_changed"),
        "{told:?}"
    );
}

/// What is renamed has another status change, and what stands in it has not.
#[test]
fn the_directory_above_is_exchanged_between_two_runs() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let other = disk.dir("Library/Other");
    let watch = watch(disk);
    let above = watch.disk.at("Library/DirectoryServices");
    let aside = watch.disk.at("Library/Aside");
    fs::rename(&above, &aside).unwrap();
    fs::rename(&other, &above).unwrap();
    fs::rename(&above, &other).unwrap();
    fs::rename(&aside, &above).unwrap();
    tells(&watch, &[("folder_changed", "added", FOLDER)]);
    // What is done beside it is nobody's news.
    watch.disk.file("Library/x", "");
    fs::rename(&other, watch.disk.at("Library/Else")).unwrap();
    tells(&watch, &[]);
}

/// So has a link that is made anew, wherever it led meanwhile.
#[test]
fn a_link_on_the_way_is_exchanged_between_two_runs() {
    let disk = Disk::empty();
    disk.dir("opt/a/PlugIns");
    disk.dir("opt/b/PlugIns");
    let link = disk.link("Library/DirectoryServices", "../opt/a");
    let watch = watch(disk);
    for to in ["../opt/b", "../opt/a"] {
        fs::remove_file(&link).unwrap();
        symlink(to, &link).unwrap();
    }
    tells(&watch, &[("folder_changed", "added", FOLDER)]);
}

/// The command, run as a user who is not root: root can read everything.
fn as_nobody() -> Option<Vec<&'static str>> {
    if !rustix::process::geteuid().is_root() {
        return Some(vec![]);
    }
    let setpriv = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let works = Command::new(setpriv[0])
        .args(&setpriv[1..])
        .args([DSPLUG, "--version"])
        .stdout(Stdio::null())
        .status();
    works.is_ok_and(|s| s.success()).then(|| setpriv.to_vec())
}

#[test]
fn permission_is_lost_and_regained() {
    let Some(prefix) = as_nobody() else {
        skipped("nobody but root can run the program");
        return;
    };
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let watch = Watch::new(DSPLUG, disk);
    chmod(watch.disk.path(), 0o755);
    if !prefix.is_empty() {
        let states = watch.state();
        std::os::unix::fs::chown(states.parent().unwrap(), Some(65534), None).unwrap();
    }
    let run = || {
        let mut call = prefix.clone();
        call.push(DSPLUG);
        Command::new(call[0])
            .args(&call[1..])
            .args(["detect", "--root"])
            .arg(watch.disk.path())
            .arg("--state")
            .arg(watch.state())
            .output()
            .unwrap()
    };
    let first = run();
    assert!(first.status.success(), "{first:?}");
    assert!(told(&lines_of(&first)).iter().any(|t| t.0 == "presence"));
    chmod(watch.disk.plugin(""), 0);
    for _ in 0..2 {
        let lost = run();
        let error = String::from_utf8_lossy(&lost.stderr);
        assert_eq!(lost.status.code(), Some(1));
        // That scans fail is what the query impaired tells.
        let told = told(&lines_of(&lost));
        assert!(told.iter().all(|t| t.0 == "impaired"), "{told:?}");
        assert!(
            error.contains("cannot list /Library/DirectoryServices/PlugIns: Permission denied"),
            "{error}"
        );
        assert!(
            error.contains("pack_dsplug_presence") && error.contains("pack_dsplug_folder_changed")
        );
    }
    chmod(watch.disk.plugin(""), 0o755);
    let regained = run();
    assert!(regained.status.success(), "{regained:?}");
    // The folder's status did change, when its second is another than before.
    let told = told(&lines_of(&regained));
    let expected = ["folder_changed", "impaired"];
    assert!(
        told.iter().all(|t| expected.contains(&t.0.as_str())),
        "{told:?}"
    );
}

#[test]
fn a_hundred_quiet_runs_tell_nothing() {
    let disk = Disk::new();
    let bundle = Plugin::new("A")
        .file("Contents/Resources/data", "x")
        .write(disk.plugin(""));
    Plugin::new("B")
        .executable(mach_header(ARM64E))
        .write(disk.plugin("Resources"));
    disk.link("Library/DirectoryServices/PlugIns/C.dsplug", "/nowhere");
    let watch = watch(disk);
    for file in ["Contents/Info.plist", "Contents/Resources/data"] {
        fs::read(bundle.join(file)).unwrap();
        let touched = Command::new("touch")
            .arg("-a")
            .arg(bundle.join(file))
            .status();
        assert!(touched.unwrap().success());
    }
    // A changed atime changes the ctime as well, and nothing that is logged.
    let output = watch.call(&["--runs", "100"]);
    assert!(output.status.success());
    assert_eq!(told(&lines_of(&output)), []);
    assert_eq!(lines_of(&output), Vec::<Value>::new());
}

/// That it is not there is its state, as of one that is.
#[test]
fn a_plug_in_folder_that_is_not_there_gives_its_base_line_alone() {
    let disk = Disk::empty();
    // Of a Mac's disk this is all that there is.
    disk.dir("Library");
    let watch = Watch::new(DSPLUG, disk);
    tells(&watch, &[("folder_changed", "added", FOLDER)]);
    watch.disk.file("Library/Preferences/x", "");
    watch.told();
    watch.disk.file("Library/Preferences/y", "");
    assert_eq!(watch.told(), []);
}

#[test]
fn a_root_that_is_no_macs_is_refused() {
    let disk = Disk::empty();
    disk.dir("home");
    let run = |disk: &Disk| {
        let mut command = std::process::Command::new(DSPLUG);
        let command = command.args(["query", "SELECT 1", "--root"]);
        command.arg(disk.path()).output().unwrap()
    };
    let refused = run(&disk);
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("neither Library nor System"), "{error}");
    // In any letter case, as a Mac finds it.
    disk.dir("SYSTEM");
    assert_eq!(run(&disk).status.code(), Some(0));
}

#[test]
fn without_a_state_each_call_is_a_first_run() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    for _ in 0..2 {
        let output = Command::new(DSPLUG)
            .args(["detect", "--root"])
            .arg(disk.path())
            .output()
            .unwrap();
        let lines = lines_of(&output);
        assert!(lines.iter().all(|l| l["counter"] == 0));
        let snapshots = lines.iter().filter(|l| l["action"] == "snapshot").count();
        assert_eq!(snapshots, 1);
        assert!(told(&lines).contains(&("presence".into(), "added".into(), A.into())));
    }
}

/// Neither by its own path nor by a link that leads there.
#[test]
fn a_state_below_the_root_is_refused() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    disk.dir("Users/st");
    let other = tempfile::tempdir().unwrap();
    symlink(disk.at("Users/st"), other.path().join("link")).unwrap();
    for state in [disk.at("Users/st/state"), other.path().join("link/state")] {
        let output = Command::new(DSPLUG)
            .args(["detect", "--root"])
            .arg(disk.path())
            .arg("--state")
            .arg(&state)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        assert!(
            error.contains("below --root") && error.contains("--state"),
            "{error}"
        );
        assert_eq!(fs::read_dir(disk.at("Users/st")).unwrap().count(), 0);
    }
}

/// Keys and types as a real osqueryd logs them, without decorators in its configuration.
#[test]
fn a_line_has_the_fields_of_osqueryd_in_its_order() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let lines = Watch::new(DSPLUG, disk).lines();
    let line = lines
        .iter()
        .find(|l| l["name"] == "pack_dsplug_presence")
        .unwrap();
    let keys: Vec<&str> = line
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "name",
        "hostIdentifier",
        "calendarTime",
        "unixTime",
        "epoch",
        "counter",
        "numerics",
        "columns",
        "action",
    ];
    assert_eq!(keys, expected);
    assert_eq!(
        (&line["epoch"], &line["counter"], &line["numerics"]),
        (&0.into(), &0.into(), &false.into())
    );
    assert!(line["unixTime"].as_u64().unwrap() > LONG_AGO);
    assert!(line["calendarTime"].as_str().unwrap().ends_with(" UTC"));
    let modified = lines
        .iter()
        .find(|l| l["name"] == "pack_dsplug_modified")
        .unwrap();
    let columns = modified["columns"].as_object().unwrap();
    assert!(columns.values().all(Value::is_string));
    let names: Vec<&String> = columns.keys().collect();
    assert!(names.is_sorted());
}

#[test]
fn queries_that_need_osquery_are_skipped_by_name() {
    let watch = Watch::new(DSPLUG, Disk::new());
    let error = String::from_utf8(watch.call(&[]).stderr).unwrap();
    assert!(
        error.contains("skipped pack_dsplug_files_written: it needs osquery's table file_events")
    );
    assert!(!error.contains("skipped pack_dsplug_presence"));
}

#[test]
fn another_pack_is_run_by_its_own_name() {
    let watch = Watch::new(DSPLUG, Disk::new());
    Plugin::new("A").write(watch.disk.plugin(""));
    let pack = watch.disk.file(
        "mine.conf",
        r#"{"queries": {
            "twice": {"query": "SELECT 1 AS one UNION ALL SELECT 1", "interval": 60},
            "wrong": {"query": "SELECT nothing FROM dsplug_bundles", "interval": 60},
            "odd": {"query": "SELECT char(10) || path AS p FROM dsplug_bundles", "interval": 60}
        }}"#,
    );
    let output = watch.call(&["--pack", pack.to_str().unwrap()]);
    let names: Vec<(String, String)> = lines_of(&output)
        .iter()
        .map(|l| (l["name"].as_str().unwrap().into(), l["columns"].to_string()))
        .collect();
    assert_eq!(
        names,
        [
            ("pack_mine_odd".into(), format!(r#"{{"p":"\\x0A{A}"}}"#)),
            ("pack_mine_twice".into(), r#"{"one":"1"}"#.into()),
            ("pack_mine_twice".into(), r#"{"one":"1"}"#.into()),
        ]
    );
    // One query failed: the others are told, and the call says so.
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("failed in pack_mine_wrong: the query is not valid"),
        "{error}"
    );
    assert!(error.contains("nothing"), "{error}");
    let missing = watch.call(&["--pack", "/nowhere.conf"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        String::from_utf8(missing.stderr)
            .unwrap()
            .contains("cannot read the pack /nowhere.conf")
    );
}

/// Who says whether it runs: osquery's `stripConfigComments`, `checkPlatform`, `versionAtLeast` and
/// `Pack::checkDiscovery`, which a Mac's osqueryd asks.
#[test]
fn a_pack_runs_where_osqueryd_would_run_it() {
    let watch = Watch::new(DSPLUG, Disk::new());
    Plugin::new("A").write(watch.disk.plugin(""));
    let run = |head: &str| {
        let queries = r#"
            // a comment
          # another
          "here": {"query": "SELECT 1 AS x", "platform": "posix", "version": "1.4.0"},
          "linux": {"query": "SELECT 2 AS x", "platform": "linux"},
          "newer": {"query": "SELECT 3 AS x", "version": "99.0.0"}"#;
        let pack = watch
            .disk
            .file("p.conf", format!("{{{head} \"queries\": {{{queries}\n}}}}"));
        let args = ["detect", "--pack", pack.to_str().unwrap(), "--root"];
        let mut command = std::process::Command::new(DSPLUG);
        let output = command.args(args).arg(watch.disk.path()).output().unwrap();
        let lines = lines_of(&output);
        let names: Vec<&str> = lines.iter().map(|l| l["name"].as_str().unwrap()).collect();
        let error = String::from_utf8(output.stderr.clone()).unwrap();
        (names.join(" "), output.status.code(), error)
    };
    let here = "pack_p_here";
    for (head, names, code, said) in [
        (
            "",
            here,
            0,
            "left out pack_p_linux: it is for the platform linux",
        ),
        (
            "",
            here,
            0,
            "left out pack_p_newer: it is for osquery 99.0.0",
        ),
        (r#""platform": "linux,darwin","#, here, 0, "run 1"),
        (r#""platform": "windows","#, "", 0, "left out the pack p"),
        (r#""version": "99","#, "", 0, "left out the pack p"),
        (
            r#""discovery": ["SELECT 1", "SELECT 1 FROM dsplug_bundles;"],"#,
            here,
            0,
            "run 1",
        ),
        (
            r#""discovery": ["SELECT 1", "SELECT 1 FROM dsplug_bundles WHERE path = 'x'"],"#,
            "",
            0,
            "the pack does not run: no row from its discovery query",
        ),
        (r#""discovery": ["SELECT nonsense"],"#, "", 1, "nonsense"),
        (
            r#""discovery": ["SELECT pid FROM processes"],"#,
            here,
            0,
            "taken as met: the discovery query \"SELECT pid FROM processes\" needs osquery's table processes",
        ),
        (
            r#""discovery": ["SELECT pid FROM processes", "SELECT 1 WHERE 0"],"#,
            "",
            0,
            "no row",
        ),
    ] {
        let (told, ended, error) = run(head);
        assert_eq!(
            (told.as_str(), ended),
            (names, Some(code)),
            "{head}: {error}"
        );
        assert!(error.contains(said), "{head}: {error}");
    }
}

#[test]
fn a_changed_query_keeps_what_it_remembers() {
    let watch = Watch::new(DSPLUG, Disk::new());
    let run = |sql: &str| {
        let text = format!(r#"{{"queries": {{"q": {{"query": "{sql}", "interval": 60}}}}}}"#);
        let pack = watch.disk.file("p.conf", text);
        let output = watch.call(&["--pack", pack.to_str().unwrap()]);
        let lines = lines_of(&output);
        let short = |l: &Value| format!("{} {} {}", l["counter"], l["action"], l["columns"]["x"]);
        lines.iter().map(short).collect::<Vec<_>>()
    };
    assert_eq!(run("SELECT 1 AS x"), [r#"0 "added" "1""#]);
    assert_eq!(run("SELECT 1 + 0 AS x"), [""; 0]);
    assert_eq!(run("SELECT nonsense AS x"), [""; 0]);
    assert_eq!(
        run("SELECT 2 AS x"),
        [r#"1 "removed" "1""#, r#"1 "added" "2""#]
    );
}

#[test]
fn a_damaged_state_is_told_and_left_alone() {
    let watch = Watch::new(DSPLUG, Disk::new());
    for text in [
        "",
        "{}",
        "[1, 2",
        r#"{"version":2,"queries":{},"snapshots":{}}"#,
    ] {
        fs::write(watch.state(), text).unwrap();
        let output = watch.call(&[]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        let error = String::from_utf8(output.stderr).unwrap();
        let file = format!("the state {} is damaged", watch.state().display());
        assert!(
            error.contains(&file) && error.contains("move it away"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(watch.state()).unwrap(), text);
    }
}

/// Root writes into the state what no run has left there, to have it told as removed or held in memory.
#[test]
fn a_state_that_no_run_has_left_is_damaged_and_what_the_pack_has_not_is_dropped() {
    let watch = watch(Disk::new());
    watch.call(&[]);
    let text = fs::read_to_string(watch.state()).unwrap();
    let base: Value = serde_json::from_str(&text).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut state = base.clone();
        change(&mut state);
        state
    };
    let rows = |rows: Vec<Value>| {
        with(&move |state| state["queries"]["pack_dsplug_presence"]["rows"] = rows.clone().into())
    };
    let columns = |count: usize| {
        let columns = (0..count).map(|n| (format!("{n:x}"), Value::from(1)));
        Value::Object(columns.collect())
    };
    for (state, why) in [
        (rows(vec![serde_json::json!({})]), "columns"),
        (rows(vec![columns(1), columns(2)]), "columns"),
        (rows(vec![columns(1); 120_001]), "more than 120000 rows"),
        (rows(vec![columns(2_001)]), "larger than any"),
        (
            rows(vec![serde_json::json!({ "a": "\\\"".repeat(2 << 20) })]),
            "longer than any",
        ),
    ] {
        let text = state.to_string();
        fs::write(watch.state(), &text).unwrap();
        let output = watch.call(&[]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains("is damaged") && error.contains(why),
            "{error}"
        );
        assert_eq!(fs::read_to_string(watch.state()).unwrap(), text);
    }
    let foreign = with(&|state| {
        for number in 0..1_000 {
            state["snapshots"][format!("{number}")] = 1.into();
            let rows = serde_json::json!({"counter": 0, "rows": [{}]});
            state["queries"][format!("{number}")] = rows;
        }
    });
    fs::write(watch.state(), foreign.to_string()).unwrap();
    assert_eq!(lines_of(&watch.call(&[])).len(), 0);
    assert_eq!(fs::read_to_string(watch.state()).unwrap(), text);
}

/// Anything may stand in the place of the state, or beside it; in a directory that others can write, an older one.
#[test]
fn a_state_that_another_could_have_written_is_refused() {
    let watch = watch(Disk::new());
    let path = watch.state();
    let good = fs::read(&path).unwrap();
    let refused = |why: &str| {
        let output = watch.call(&[]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(why), "{error}");
    };
    dsplug_fixtures::chmod(&path, 0o646);
    refused("can be written by others (mode 0646)");
    fs::remove_file(&path).unwrap();
    dsplug_fixtures::fifo(&path);
    refused("is no regular file");
    fs::remove_file(&path).unwrap();
    let elsewhere = path.with_file_name("elsewhere");
    fs::write(&elsewhere, &good).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    refused("is a symlink");
    fs::remove_file(&path).unwrap();
    let huge = fs::File::create(&path).unwrap();
    huge.set_len(300 << 20).unwrap();
    refused("it is larger than");
    if needs_root("giving a file away needs root") {
        fs::write(&path, &good).unwrap();
        std::os::unix::fs::chown(&path, Some(501), None).unwrap();
        refused("belongs to uid 501");
    }
    fs::remove_file(&path).unwrap();
    fs::write(&path, &good).unwrap();
    let above = path.parent().unwrap();
    for mode in [0o777, 0o720, 0o1777] {
        dsplug_fixtures::chmod(above, mode);
        refused(&format!("can be written by others (mode {mode:04o})"));
    }
    dsplug_fixtures::chmod(above, 0o700);
    assert!(watch.call(&[]).status.success());
    // What is written beside it goes through no link that was planted there.
    fs::remove_file(&path).unwrap();
    fs::write(&path, &good).unwrap();
    let victim = path.with_file_name("victim");
    fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, path.with_file_name("state.json.new")).unwrap();
    assert!(watch.call(&[]).status.success());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
}

/// A crash while the state is written leaves the old one in place, and the half-written one beside it.
#[test]
fn a_crash_while_writing_loses_nothing() {
    let disk = Disk::new();
    let watch = watch(disk);
    let before = fs::read(watch.state()).unwrap();
    let beside = watch.state().with_file_name("state.json.new");
    fs::write(&beside, &before[..before.len() / 2]).unwrap();
    Plugin::new("A").write(watch.disk.plugin(""));
    assert!(
        watch
            .told()
            .contains(&("presence".into(), "added".into(), A.into()))
    );
    assert!(!beside.exists());
    assert_eq!(watch.told(), []);
}

/// Two calls that share a state by mistake: what one has half written is never put in place by the other.
#[test]
fn calls_that_share_a_state_leave_it_whole() {
    let disk = Disk::new();
    let watch = watch(disk);
    Plugin::new("A").write(watch.disk.plugin(""));
    let beside = watch.state().with_file_name("state.json.new");
    let other = fs::File::create(&beside).unwrap();
    other.lock().unwrap();
    let before = fs::read(watch.state()).unwrap();
    let output = watch.call(&[]);
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let why = "state.json: another call of detect is writing there";
    assert!(error.contains(why), "{error}");
    assert_eq!(fs::read(watch.state()).unwrap(), before);
    assert!(beside.exists());
    drop(other);
    assert_eq!(told(&lines_of(&output)), watch.told());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| watch.call(&[]));
        }
    });
    assert_eq!(watch.told(), []);
}

/// A state that cannot be written: the lines come again, and the call says so.
#[test]
fn lines_that_could_not_be_remembered_come_again() {
    let disk = Disk::new();
    let watch = watch(disk);
    Plugin::new("A").write(watch.disk.plugin(""));
    let beside = watch.state().with_file_name("state.json.new");
    fs::create_dir(&beside).unwrap();
    let first = watch.call(&[]);
    assert_eq!(first.status.code(), Some(1));
    fs::remove_dir(&beside).unwrap();
    assert_eq!(told(&lines_of(&first)), watch.told());
}

#[test]
fn it_goes_on_until_it_is_told_to_stop() {
    let watch = watch(Disk::new());
    let mut child = Command::new(DSPLUG)
        .args(["detect", "--every", "1", "--root"])
        .arg(watch.disk.path())
        .arg("--state")
        .arg(watch.state())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Plugin::new("A").write(watch.disk.plugin(""));
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("presence") {
        line.clear();
        // A line comes when its run is done, not when the program ends.
        assert!(out.read_line(&mut line).unwrap() > 0);
    }
    let child_id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(child_id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // What was told before the end is remembered.
    let later = watch.told();
    assert!(!later.iter().any(|t| t.0 == "presence"), "{later:?}");
}

/// A thousand planted bundles: each has its lines, each time that they come and go, and a cap is one query away.
#[test]
fn a_flood_loses_nothing() {
    let watch = watch(Disk::new());
    for number in 0..1000 {
        fs::create_dir(watch.disk.plugin(format!("{number:04}.dsplug"))).unwrap();
    }
    let output = watch.call(&[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("that is a flood"));
    let told = told(&lines_of(&output));
    for query in ["presence", "modified"] {
        assert_eq!(told.iter().filter(|t| t.0 == query).count(), 1000);
    }
    let (folder, away) = (watch.disk.at(PLUGINS), watch.disk.at("away"));
    for _ in 0..2 {
        fs::rename(&folder, &away).unwrap();
        let gone = watch.told();
        assert_eq!(gone.iter().filter(|t| t.1 == "removed").count(), 1000);
        fs::rename(&away, &folder).unwrap();
        let back = watch.told();
        for query in ["presence", "modified"] {
            assert_eq!(back.iter().filter(|t| t.0 == query).count(), 1000);
        }
    }
    let pack = watch.disk.file(
        "capped.conf",
        r#"{"queries": {"presence": {"query": "SELECT path, (SELECT count(*) FROM dsplug_bundles) AS of FROM dsplug_bundles ORDER BY path LIMIT 100", "interval": 300}}}"#,
    );
    let capped = lines_of(&watch.call(&["--pack", pack.to_str().unwrap()]));
    assert_eq!(capped.len(), 100);
    assert_eq!(capped[0]["columns"]["of"], "1000");
}

/// More bundles than are shown, whose names come first.
fn crowd(disk: &Disk) {
    for number in 0..2_500 {
        disk.dir(format!("{PLUGINS}/A{number:04}.dsplug/Contents"));
    }
}

const Z: &str = "/Library/DirectoryServices/PlugIns/Z.dsplug";

fn lines_on_z(told: &[(String, String, String)]) -> Vec<(&str, &str)> {
    let on_z = told.iter().filter(|t| t.2.starts_with(Z));
    on_z.map(|t| (t.0.as_str(), t.1.as_str())).collect()
}

#[test]
fn no_crowd_makes_a_bundle_seem_to_go_from_one_call_to_the_next() {
    let disk = Disk::new();
    Plugin::new("Z").write(disk.plugin(""));
    let watch = watch(disk);
    crowd(&watch.disk);
    let output = watch.call(&[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("not all has a line"), "{error}");
    let all = told(&lines_of(&output));
    assert!(all.iter().all(|t| t.1 != "removed"));
    assert_eq!(watch.told(), []);
    // What is done to it is seen as before.
    fs::write(watch.disk.plugin("Z.dsplug/Contents/more"), "x").unwrap();
    assert_eq!(lines_on_z(&watch.told()), [("modified", "added")]);
    fs::remove_dir_all(watch.disk.plugin("Z.dsplug")).unwrap();
    assert_eq!(lines_on_z(&watch.told()), [("presence", "removed")]);
}

/// It may show each who asks something else, and what it covers stands.
#[test]
fn no_volume_over_the_folder_makes_a_bundle_seem_to_go() {
    for place in [PLUGINS, "Library/DirectoryServices"] {
        let disk = Disk::new();
        Plugin::new("Z").write(disk.plugin(""));
        let watch = watch(disk);
        let Some(mounted) = Mounted::new(watch.disk.at(place), "tmpfs") else {
            return;
        };
        let all = watch.told();
        assert!(all.iter().all(|t| t.1 != "removed"), "{place}: {all:?}");
        assert!(lines_on_z(&all).contains(&("modified", "added")), "{all:?}");
        drop(mounted);
        let all = watch.told();
        let of_folder = |t: &&(String, String, String)| t.0 == "presence" && t.2 != FOLDER;
        assert_eq!(all.iter().find(of_folder), None, "{place}: {all:?}");
    }
}

#[test]
fn no_crowd_makes_a_bundle_seem_to_go_from_one_run_to_the_next() {
    let disk = Disk::new();
    Plugin::new("Z").write(disk.plugin(""));
    let mut child = Command::new(DSPLUG)
        .args(["detect", "--every", "1", "--root"])
        .arg(disk.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = out.lines().map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        line
    });
    let is_on = |line: &Value, path: &str| {
        line["name"] == "pack_dsplug_presence" && line["columns"]["path"] == path
    };
    lines.find(|line| is_on(line, Z)).unwrap();
    crowd(&disk);
    // One of the last that are shown: what went is told before it.
    let last = format!("{FOLDER}/A2380.dsplug");
    let mut next = |path: &str| {
        let is_told = |line: &Value| line["action"] == "removed" || is_on(line, path);
        lines.find(is_told).unwrap()
    };
    let line = next(&last);
    assert_eq!(line["action"], "added", "{line}");
    fs::remove_dir_all(disk.plugin("A2380.dsplug")).unwrap();
    while next(&last)["action"] != "removed" {}
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Of what no scan was told to keep, and of which no other query is asked.
#[test]
fn what_is_left_out_has_gone_when_it_is_not_there() {
    let disk = Disk::new();
    Plugin::new("Z")
        .file("Contents/Resources/one", "1")
        .file("Contents/Resources/two", "2")
        .write(disk.plugin(""));
    let watch = Watch::new(DSPLUG, disk);
    let pack = watch.disk.file(
        "dsplug.conf",
        r#"{"queries": {"files": {"query": "SELECT path, hash FROM dsplug_files WHERE path LIKE '%Resources/%'", "interval": 300},
            "folders": {"query": "SELECT path, candidates FROM dsplug_folders", "interval": 300}}}"#,
    );
    let pack = pack.to_str().unwrap();
    let run = || told(&lines_of(&watch.call(&["--pack", pack])));
    assert_eq!(lines_on_z(&run()), [("files", "added"); 2]);
    crowd(&watch.disk);
    let changed = |path: &str| ["added", "removed"].map(|action| told_of("folders", action, path));
    assert_eq!(run(), changed(FOLDER));
    fs::remove_file(watch.disk.plugin("Z.dsplug/Contents/Resources/one")).unwrap();
    let one = format!("{Z}/Contents/Resources/one");
    assert_eq!(run(), [told_of("files", "removed", &one)]);
    // What was remembered is as it was when all is shown again.
    for number in 0..2_500 {
        fs::remove_dir_all(watch.disk.plugin(format!("A{number:04}.dsplug"))).unwrap();
    }
    assert_eq!(run(), changed(FOLDER));
}

fn told_of(query: &str, action: &str, path: &str) -> (String, String, String) {
    (query.into(), action.into(), path.into())
}
