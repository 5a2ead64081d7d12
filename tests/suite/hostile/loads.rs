//! Libraries that load commands name outside of a bundle. Where dyld looks was read in dyld/Loader.cpp of
//! dyld-1378, and seen on no Mac.

use std::fs;
use std::os::unix::fs::symlink;

use super::{A, code};
use crate::common::{only_bundle, query_in, scan, scan_with};
use dsplug::limits::Limits;
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod};

#[track_caller]
fn leads(dylib: &str, rpaths: &[&str], outside: &str) {
    let disk = Disk::new();
    let plugin = Plugin::new("A").executable(code(&[dylib], rpaths));
    plugin
        .file("Contents/Frameworks/x.dylib", "library")
        .write(disk.at(PLUGINS));
    let row = only_bundle(disk.path());
    assert_eq!(row["loads_outside"], outside, "{dylib} {rpaths:?}");
    assert_eq!((row["error"].as_str(), row["unread"].as_str()), ("", ""));
}

#[test]
fn where_dyld_looks_is_told_when_that_is_outside() {
    // The system's own, and what stays in the bundle.
    leads("/usr/lib/libSystem.B.dylib", &[], "");
    leads(
        "/System/Library/Frameworks/Security.framework/Versions/A/Security",
        &[],
        "",
    );
    leads("@loader_path/../Frameworks/x.dylib", &[], "");
    leads(
        "@rpath/x.dylib",
        &["@loader_path/../Frameworks", "/usr/lib/swift"],
        "",
    );
    leads("@executable_path/../Frameworks/x.dylib", &[], "");
    leads("@rpath/none.dylib", &[], "");
    leads(&format!("{A}/Contents/Frameworks/x.dylib"), &[], "");
    // By a path, whatever it begins with.
    leads("/Users/Shared/x.dylib", &[], "/Users/Shared/x.dylib");
    leads(
        "/usr/lib/../../Users/Shared/x.dylib",
        &[],
        "/Users/Shared/x.dylib",
    );
    leads("/usr/local/lib/x.dylib", &[], "/usr/local/lib/x.dylib");
    leads(
        "/System/Library/Caches/x.dylib",
        &[],
        "/System/Library/Caches/x.dylib",
    );
    leads(
        "/Library/Frameworks/X.framework/Versions/A/X",
        &[],
        "/Library/Frameworks/X.framework/Versions/A/X",
    );
    // By the working directory, and behind the system's cryptex without a slash between.
    let cryptexes = "/System/Volumes/Preboot/Cryptexes";
    leads("x.dylib", &[], &format!("{cryptexes}/OSx.dylib;/x.dylib"));
    leads(
        "usr/lib/x.dylib",
        &[],
        &format!("{cryptexes}/OSusr/lib/x.dylib"),
    );
    leads(
        "usr/lib/../../Users/x.dylib",
        &[],
        &format!("{cryptexes}/Users/x.dylib;/Users/x.dylib"),
    );
    leads("@loader_pathx/x.dylib", &[], "/@loader_pathx/x.dylib");
    // By what stands for a directory.
    leads(
        "@loader_path/../../../x.dylib",
        &[],
        "/Library/DirectoryServices/PlugIns/x.dylib",
    );
    leads(
        "@loader_path/../Frameworks/../../../../x.dylib",
        &[],
        "/Library/DirectoryServices/x.dylib",
    );
    leads(
        "@executable_path/../../Users/Shared/x.dylib",
        &[],
        "/Users/Shared/x.dylib",
    );
    leads(
        "@executable_path/../local/x.dylib",
        &[],
        "/usr/local/x.dylib",
    );
    leads(
        "@executable_path/cups/x.dylib",
        &[],
        "/usr/libexec/cups/x.dylib",
    );
    // By run paths, the first of which is the attacker's.
    leads(
        "@rpath/x.dylib",
        &[
            "/Users/Shared",
            "@loader_path/../Frameworks",
            "@loader_path/../../..",
            "opt",
        ],
        "/Library/DirectoryServices/PlugIns/x.dylib;/Users/Shared/x.dylib;/opt/x.dylib",
    );
    leads("@rpath/../x.dylib", &["/opt/lib"], "/opt/x.dylib");
    // The system's volume does not tell letter case apart, and parts of it are root's.
    for path in ["/System/Library/caches/x.dylib", "/usr/LOCAL/lib/x.dylib"] {
        leads(path, &[], path);
    }
    leads(
        "@executable_path/../LOCAL/lib/x.dylib",
        &[],
        "/usr/LOCAL/lib/x.dylib",
    );
    leads(
        "@executable_path/CUPS/c.dylib",
        &[],
        "/usr/libexec/CUPS/c.dylib",
    );
}

#[test]
fn a_library_outside_is_a_place_that_is_read() {
    let disk = Disk::new();
    let slices = [
        (
            Cpu::X86_64,
            code(&["/Users/Shared/x.dylib", "/opt/directory"], &["/opt/run"]),
        ),
        (
            Cpu::Arm64e,
            MachO::bundle(Cpu::Arm64e)
                .dylib_path("/Users/Shared/l.dylib")
                .unsigned(),
        ),
    ];
    // Not the main executable alone: what it loads in the bundle names libraries as well.
    let inner = MachO::dylib(Cpu::X86_64)
        .dylib_path("@rpath/inner.dylib")
        .unsigned();
    Plugin::new("A")
        .executable(Fat::of(&slices).build())
        .file("Contents/Frameworks/inner.dylib", inner)
        .write(disk.at(PLUGINS));
    for at in ["Users/Shared/x.dylib", "real/l.dylib", "opt/directory/file"] {
        disk.file(at, "library");
    }
    disk.link("Users/Shared/l.dylib", "/real/l.dylib");
    let first = only_bundle(disk.path());
    assert_eq!(
        first["loads_outside"],
        "/Users/Shared/l.dylib;/Users/Shared/x.dylib;/opt/directory;/opt/run/inner.dylib"
    );
    assert_eq!(first["linked_paths"], "/Users/Shared/x.dylib;/real/l.dylib");
    assert_eq!(
        (first["linked_hash"].len(), first["links_outside"].as_str()),
        (64, "0")
    );
    for at in ["Users/Shared/x.dylib", "real/l.dylib"] {
        let before = only_bundle(disk.path());
        disk.file(at, "another");
        let after = only_bundle(disk.path());
        assert_ne!(before["linked_hash"], after["linked_hash"], "{at}");
        assert_eq!(before["hash"], after["hash"]);
    }
    assert!(scan(disk.path()).bundles[0].evidence.reaches_out());
}

/// Both libraries are what they were, and each stands where it stood: which of them is loaded is another.
#[test]
fn two_links_that_change_places_are_another_linked_hash() {
    // What stands at `/` was anybody's who is root, before the system had a volume of its own.
    for above in ["Users/Shared/", ""] {
        let disk = Disk::new();
        let path = Plugin::new("A")
            .executable(code(&[&format!("/{above}l.dylib")], &[]))
            .write(disk.at(PLUGINS));
        symlink(format!("/{above}other.dylib"), path.join("Contents/out")).unwrap();
        disk.file(format!("{above}good.dylib"), "good");
        disk.file(format!("{above}evil.dylib"), "evil");
        let lead = |good: &str, evil: &str| {
            for (link, target) in [(good, "good"), (evil, "evil")] {
                let link = disk.at(format!("{above}{link}.dylib"));
                let _ = fs::remove_file(&link);
                symlink(format!("{target}.dylib"), link).unwrap();
            }
            only_bundle(disk.path())
        };
        let first = lead("l", "other");
        let second = lead("other", "l");
        for column in ["hash", "linked_paths", "loads_outside"] {
            assert_eq!(first[column], second[column], "{column}");
        }
        assert_ne!(first["linked_hash"], second["linked_hash"], "/{above}");
        assert_eq!(first["linked_hash"], lead("l", "other")["linked_hash"]);
    }
}

/// What is asked for stands in the bundle, and what runs is chosen outside of it: by the link that is asked for, by one
/// that a link leads to, and on the way of a path that is the bundle's own as its text has it.
#[test]
fn what_leads_back_into_the_bundle_is_another_linked_hash_when_it_leads_elsewhere_in_it() {
    let around = format!("/Users/Shared/l/../../..{A}/Contents/a.dylib");
    // The bundle itself, and four steps up from there: its text leaves it at none.
    let up = "in/in/in/in/../../../../Users/Shared/l";
    for (asked, link) in [
        (&*format!("@loader_path/{up}"), None),
        ("/usr/lib/x.dylib", Some(&*format!("MacOS/{up}"))),
        ("/Users/Shared/l", None),
        ("/usr/lib/x.dylib", Some("/Users/Shared/l")),
        (around.as_str(), None),
        ("/usr/lib/x.dylib", Some(around.as_str())),
    ] {
        let disk = Disk::new();
        let path = Plugin::new("A")
            .executable(code(&[asked], &[]))
            .file("Contents/a.dylib", "good")
            .file("Contents/b.dylib", "evil")
            .file("Contents/c/a.dylib", "evil")
            .write(disk.at(PLUGINS));
        if let Some(text) = link {
            symlink(text, path.join("Contents/l")).unwrap();
        }
        disk.dir(format!("{}/Contents/MacOS/in/in/in", &A[1..]));
        symlink(A, path.join("Contents/MacOS/in/in/in/in")).unwrap();
        disk.dir("x/y/z");
        disk.dir("Users/Shared/x/y/z");
        disk.link(
            format!("Users/Shared{A}/Contents"),
            format!("{A}/Contents/c"),
        );
        let lead = |to: &str| {
            let _ = fs::remove_file(disk.at("Users/Shared/l"));
            disk.link("Users/Shared/l", to);
            only_bundle(disk.path())
        };
        let is_around = asked == around || link == Some(around.as_str());
        let (good, evil) = match is_around {
            true => ("/x/y/z", "/Users/Shared/x/y/z"),
            false => (
                &*format!("{A}/Contents/a.dylib"),
                &*format!("{A}/Contents/b.dylib"),
            ),
        };
        let (first, second) = (lead(good), lead(evil));
        for column in ["hash", "linked_paths", "loads_outside", "unread", "error"] {
            assert_eq!(first[column], second[column], "{asked} {link:?} {column}");
        }
        assert_eq!(first["linked_paths"], "");
        assert_ne!(first["linked_hash"], "", "{asked} {link:?}");
        assert_ne!(
            first["linked_hash"], second["linked_hash"],
            "{asked} {link:?}"
        );
        assert_eq!(first["linked_hash"], lead(good)["linked_hash"]);
        assert!(scan(disk.path()).bundles[0].evidence.comes_back);
    }
}

/// Directories on the way to what the system has on its own volume and that root writes all the same, by macOS 13's
/// `/usr/share/firmlinks`.
const FIRM: [&str; 11] = [
    "/System/Library/Assets",
    "/System/Library/AssetsV2",
    "/System/Library/Caches",
    "/System/Library/CoreServices/CoreTypes.bundle/Contents/Library",
    "/System/Library/PreinstalledAssets",
    "/System/Library/PreinstalledAssetsV2",
    "/System/Library/Speech",
    "/usr/local",
    "/USR/Local",
    "/usr/libexec/cups",
    "/usr/share/snmp",
];

/// A link right in it, and what is missing right in it.
#[test]
fn what_stands_right_where_root_writes_on_the_systems_volume_is_not_the_systems() {
    for dir in FIRM {
        let disk = Disk::new();
        let path = Plugin::new("A")
            .executable(code(&[&format!("{dir}/lib/x.dylib")], &[]))
            .file("Contents/a/x", "good")
            .file("Contents/b/x", "evil")
            .write(disk.at(PLUGINS));
        symlink(format!("{dir}/l"), path.join("Contents/l")).unwrap();
        let lead = |to: &str| {
            let _ = fs::remove_file(disk.at(&format!("{dir}/l")[1..]));
            disk.link(&format!("{dir}/l")[1..], format!("{A}/Contents/{to}"));
            only_bundle(disk.path())["linked_hash"].clone()
        };
        let good = lead("a");
        assert_ne!(good, lead("b"), "{dir}: which of its files a link opens");
        assert_eq!(good, lead("a"), "{dir}");
        // A library that is not there may come by a link.
        disk.link(&format!("{dir}/lib")[1..], format!("{A}/Contents/a"));
        assert_ne!(
            good,
            only_bundle(disk.path())["linked_hash"],
            "{dir}: where a library is named"
        );
        let by = || only_bundle(disk.path())["writable_by"].clone();
        let usual = by();
        chmod(disk.at(&dir[1..]), 0o777);
        assert_ne!(usual, by(), "{dir}: who can exchange the link");
    }
}

/// Whoever has more on the ways than is kept has the rest exchanged unseen.
#[test]
fn what_is_on_more_ways_than_are_kept_is_not_taken_for_known() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .executable(code(&["/Users/Shared/l"], &[]))
        .file("Contents/a.dylib", "good")
        .write(disk.at(PLUGINS));
    disk.link("Users/Shared/l", format!("{A}/Contents/a.dylib"));
    let is_known = || {
        let snapshot = scan(disk.path());
        let evidence = &snapshot.bundles[0].evidence;
        (!evidence.is_blind, snapshot.bundles[0].unread().is_empty())
    };
    assert_eq!(is_known(), (true, true));
    disk.dir("Users/Shared/k");
    for number in 0..700 {
        let at = |name: &str| format!("Users/Shared/{name}/{number}");
        disk.link(at("j"), format!("/{}", at("k")));
        symlink(
            format!("/{}", at("j")),
            path.join(format!("Contents/{number}")),
        )
        .unwrap();
    }
    assert_eq!(is_known(), (false, false));
    let row = only_bundle(disk.path());
    assert!(row["unread"].contains("unwatched="), "{}", row["unread"]);
    assert!(
        row["error"].contains("more names than are kept"),
        "{}",
        row["error"]
    );
}

/// An image of the data volume lacks the links that the system's own volume has at `/`.
#[test]
fn the_links_of_the_system_are_in_no_linked_hash() {
    let disk = Disk::new();
    Plugin::new("A")
        .executable(code(&["/var/l.dylib"], &[]))
        .write(disk.at(PLUGINS));
    disk.file("private/var/l.dylib", "library");
    let image = only_bundle(disk.path());
    let var = disk.link("var", "private/var");
    let mac = only_bundle(disk.path());
    fs::remove_file(var).unwrap();
    disk.link("var", "/private/var");
    let other = only_bundle(disk.path());
    for column in ["linked_paths", "linked_hash"] {
        assert_eq!(image[column], mac[column], "{column}");
    }
    assert_eq!(other["linked_paths"], mac["linked_paths"]);
    assert_ne!(other["linked_hash"], mac["linked_hash"]);
}

/// A link on the way, of the system's volume or in the bundle, hides nothing.
#[test]
fn links_on_the_way_are_followed() {
    let disk = Disk::new();
    let path = Plugin::new("A")
        .executable(code(
            &[
                "@loader_path/../out/x.dylib",
                "@loader_path/../out/../y.dylib",
            ],
            &[],
        ))
        .write(disk.at(PLUGINS));
    disk.file("Users/Shared/fw/x.dylib", "library");
    disk.file("Users/Shared/y.dylib", "library");
    symlink("/Users/Shared/fw", path.join("Contents/out")).unwrap();
    let row = only_bundle(disk.path());
    assert_eq!(
        row["linked_paths"],
        "/Users/Shared/fw;/Users/Shared/y.dylib"
    );
    assert_eq!(row["links_outside"], "1");
    assert!(
        row["loads_outside"].ends_with("y.dylib"),
        "{}",
        row["loads_outside"]
    );
    fs::remove_file(path.join("Contents/out")).unwrap();
    assert_eq!(only_bundle(disk.path())["loads_outside"], "");
}

/// More libraries than are looked up are said, and accepted by nobody.
#[test]
fn libraries_by_the_thousand() {
    let many: Vec<String> = (0..2_000).map(|n| format!("/usr/lib/{n}")).collect();
    let long = format!("/{}x", "./".repeat(600));
    for dylibs in [
        many.iter()
            .map(String::as_str)
            .chain(["/Users/Shared/x"])
            .collect(),
        vec![long.as_str()],
        ["/Users/Shared/x"].repeat(100),
    ] {
        let disk = Disk::new();
        Plugin::new("A")
            .executable(code(&dylibs, &[]))
            .write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        assert!(
            row["error"].starts_with("limit: code names more"),
            "{}",
            row["error"]
        );
        assert!(row["unread"].contains("unwatched="), "{}", row["unread"]);
    }
}

/// What a bundle with this main executable, and this besides, leads to outside.
#[track_caller]
fn is_read(main: Vec<u8>, besides: &[(&str, Vec<u8>)], library: &str) {
    let disk = Disk::new();
    Plugin::new("A").executable(main).write(disk.at(PLUGINS));
    for (path, bytes) in besides {
        disk.file(path, bytes);
    }
    disk.file(library, "library");
    let row = only_bundle(disk.path());
    let linked: Vec<&str> = row["linked_paths"].split(';').collect();
    assert!(
        linked.contains(&format!("/{library}").as_str()),
        "{linked:?}"
    );
    let before = row["linked_hash"].clone();
    disk.file(library, "other library");
    assert_ne!(only_bundle(disk.path())["linked_hash"], before);
}

const IN_BUNDLE: &str = "Library/DirectoryServices/PlugIns/A.dsplug/Contents";

/// dyld asks the run paths of all that led to a library (`forEachResolvedAtPathVar`: the `LoadChain`).
#[test]
fn the_run_paths_of_all_code_count() {
    // Those of the main executable, for a library outside.
    is_read(
        code(&["/Users/Shared/a.dylib"], &["/Users/Shared/run"]),
        &[("Users/Shared/a.dylib", code(&["@rpath/b.dylib"], &[]))],
        "Users/Shared/run/b.dylib",
    );
    // Those of a library between.
    is_read(
        code(&["@loader_path/i.dylib"], &[]),
        &[
            (
                &format!("{IN_BUNDLE}/MacOS/i.dylib"),
                code(&["@loader_path/j.dylib"], &["/Users/Shared/run"]),
            ),
            (
                &format!("{IN_BUNDLE}/MacOS/j.dylib"),
                code(&["@rpath/b.dylib"], &[]),
            ),
        ],
        "Users/Shared/run/b.dylib",
    );
}

/// Of a library in `Versions/A` the path without that (dyld/Loader.cpp, "missing the /Versions/A/ part").
#[test]
fn a_version_may_be_missing() {
    is_read(
        code(&[], &[]),
        &[(
            &format!("{IN_BUNDLE}/Versions/A/x.dylib"),
            code(&["@loader_path/../../c.dylib"], &[]),
        )],
        "Library/DirectoryServices/PlugIns/c.dylib",
    );
    // How far before the end it is looked for the library says itself.
    is_read(
        code(&[], &[]),
        &[(
            &format!("{IN_BUNDLE}/Versions/x.dylib"),
            code(&["@loader_path/../../lib/c.dylib"], &[]),
        )],
        "Library/DirectoryServices/PlugIns/lib/c.dylib",
    );
}

#[test]
fn code_in_a_directory_that_a_link_leads_to_names_libraries_too() {
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    symlink("/Users/Shared/fw", path.join("Contents/Frameworks")).unwrap();
    let names = code(&["/Users/Shared/other/c.dylib"], &[]);
    disk.file("Users/Shared/fw/sub/b.dylib", names);
    disk.file("Users/Shared/other/c.dylib", "library");
    let row = only_bundle(disk.path());
    assert_eq!(
        row["linked_paths"],
        "/Users/Shared/fw;/Users/Shared/other/c.dylib"
    );
}

/// Links of the system's volume that lead to the data volume.
#[test]
fn a_link_of_the_systems_own_is_followed() {
    let disk = Disk::new();
    let main = code(&["/usr/lib/cron/c.dylib"], &[]);
    Plugin::new("A").executable(main).write(disk.at(PLUGINS));
    disk.file("usr/lib/none", "");
    disk.file("private/var/at/c.dylib", "library");
    symlink("../../private/var/at", disk.at("usr/lib/cron")).unwrap();
    let row = only_bundle(disk.path());
    assert_eq!(row["loads_outside"], "/usr/lib/cron/c.dylib");
    assert_eq!(row["linked_paths"], "/private/var/at/c.dylib");
}

/// What was not read of a file may name libraries: more slices than are read, one that the header
/// does not count, commands that end too early.
#[test]
fn what_hides_load_commands_is_never_taken_for_none() {
    let slices = |count: u32| {
        let slices: Vec<_> = (0..count)
            .map(|n| {
                (
                    if n == 0 { Cpu::Arm64 } else { Cpu::X86_64 },
                    code(&[], &[]),
                )
            })
            .collect();
        Fat::of(&slices).build()
    };
    let mut uncounted = slices(2);
    // The count in the header; the second slice stands there all the same.
    uncounted[7] = 1;
    // Many, of which the first is for no CPU that is known.
    let mut strange = slices(60);
    strange[8..12].copy_from_slice(&[9; 4]);
    for file in [slices(20), slices(60), uncounted, strange] {
        let disk = Disk::new();
        let plugin = Plugin::new("A").file("Contents/Frameworks/x.dylib", file);
        plugin.write(disk.at(PLUGINS));
        let row = only_bundle(disk.path());
        assert!(row["unread"].contains("unwatched="), "{}", row["unread"]);
        let files = crate::common::query(
            disk.path(),
            "SELECT macho FROM dsplug_files WHERE path LIKE '%/x.dylib'",
        );
        assert_ne!(files[0]["macho"], "");
    }
}

/// Run paths and names are multiplied, and what comes of it is bounded in number and told in part.
#[test]
fn run_paths_times_names_are_bounded() {
    let disk = Disk::new();
    let plugin = (0..10).fold(Plugin::new("A"), |plugin, n| {
        let runs: Vec<String> = (0..60)
            .map(|r| format!("/{n}/{r}/{}", "d/".repeat(400)))
            .collect();
        let names: Vec<String> = (0..34).map(|d| format!("@rpath/{n}/{d}")).collect();
        let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        plugin.file(
            &format!("Contents/Frameworks/{n}.dylib"),
            code(&names, &runs),
        )
    });
    plugin.write(disk.at(PLUGINS));
    let snapshot = scan(disk.path());
    let evidence = &snapshot.bundles[0].evidence;
    assert!((1..=64).contains(&evidence.reach.loads.len()));
    let row = only_bundle(disk.path());
    assert!(
        row["error"].starts_with("limit: code names more libraries"),
        "{}",
        row["error"]
    );
    assert!(row["unread"].contains("unwatched="), "{}", row["unread"]);
    // Run paths alone, which nothing is looked up by, are not held without bound either.
    let disk = Disk::new();
    let plugin = (0..12).fold(Plugin::new("A"), |plugin, n| {
        let runs: Vec<String> = (0..60).map(|r| format!("/{n}/{r}")).collect();
        let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
        plugin.file(&format!("Contents/Frameworks/{n}.dylib"), code(&[], &runs))
    });
    plugin.write(disk.at(PLUGINS));
    let row = only_bundle(disk.path());
    assert!(
        row["error"].starts_with("limit: code names more libraries"),
        "{}",
        row["error"]
    );
}

/// What stays in the bundle has to be made all the same to be known to.
#[test]
fn paths_that_stay_in_the_bundle_are_bounded_as_well() {
    let disk = Disk::new();
    let write = |name: &str, count: usize| {
        let runs: Vec<String> = (0..count).map(|r| format!("@loader_path/{r}")).collect();
        let names: Vec<String> = (0..count).map(|d| format!("@rpath/{d}")).collect();
        let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let plugin = Plugin::new(name).executable(code(&names, &runs));
        plugin.write(disk.at(PLUGINS));
    };
    // Few are free, and the small one comes first.
    write("Few", 15);
    write("Many", 40);
    let error = |load_paths| {
        let snapshot = scan_with(
            disk.path(),
            Limits {
                load_paths,
                ..Limits::STANDARD
            },
        );
        let rows = query_in(&snapshot, "SELECT error FROM dsplug_bundles ORDER BY path");
        let errors: Vec<String> = rows.iter().map(|row| row["error"].clone()).collect();
        assert_eq!(errors[0], "");
        errors[1].clone()
    };
    // 1,600 products, of which 256 are free.
    assert_eq!(error(1_344), "");
    assert!(error(1_343).starts_with("limit: code names more libraries"));
}

/// What a scan has no bytes or no time for is code for all that anybody knows.
#[test]
fn what_was_not_read_may_name_libraries() {
    let hole = |disk: &Disk, path: &str, len: u64| {
        let file = disk.file(path, "");
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_len(len).unwrap();
    };
    let unwatched = |disk: &Disk| {
        let row = only_bundle(disk.path());
        assert!(row["error"].starts_with("limit: "), "{}", row["error"]);
        assert!(row["unread"].contains("unwatched="), "{}", row["unread"]);
    };
    // In the bundle.
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    hole(&disk, &format!("{IN_BUNDLE}/Resources/junk"), 3 << 30);
    unwatched(&disk);
    // Deeper than it is read.
    let disk = Disk::new();
    Plugin::new("A").write(disk.at(PLUGINS));
    disk.file(format!("{IN_BUNDLE}/{}x", "d/".repeat(100)), "");
    unwatched(&disk);
    // Named by a link.
    let disk = Disk::new();
    let path = Plugin::new("A").write(disk.at(PLUGINS));
    hole(&disk, "Users/Shared/x.dylib", 300 << 20);
    symlink("/Users/Shared/x.dylib", path.join("Contents/x.dylib")).unwrap();
    unwatched(&disk);
}

/// A library that a path in the bundle names and that stands behind a link, among more than is read there.
#[test]
fn a_library_behind_a_link_is_read_by_itself() {
    let disk = Disk::new();
    let main = code(&["@loader_path/../FRAMEWORKS/z.dylib"], &[]);
    let path = Plugin::new("A").executable(main).write(disk.at(PLUGINS));
    symlink("/Users/Shared/fw", path.join("Contents/Frameworks")).unwrap();
    for number in 0..4_200 {
        disk.file(format!("Users/Shared/fw/{number}"), "");
    }
    let names = code(&["/Users/Shared/other/c.dylib"], &[]);
    disk.file("Users/Shared/fw/z.dylib", names);
    disk.file("Users/Shared/other/c.dylib", "library");
    let row = only_bundle(disk.path());
    let linked: Vec<&str> = row["linked_paths"].split(';').collect();
    for place in ["/Users/Shared/fw/z.dylib", "/Users/Shared/other/c.dylib"] {
        assert!(linked.contains(&place), "{linked:?}");
    }
}

/// A path in the bundle leads out of it by any links, however it is spelled.
#[test]
fn no_spelling_of_a_path_in_the_bundle_hides_a_link() {
    for (links, named) in [
        (&[("d/Fw", "/Users/Shared/fw")][..], "d/Fw"),
        (&[("d/Fw", "/Users/Shared/fw")], "D/fW"),
        (&[("d/Fw", "/Users/Shared/fw")], "d/./Fw"),
        (&[("d/Fw", "/Users/Shared/fw")], "d//Fw/."),
        (&[("d/Fw", "/Users/Shared/fw")], "none/../d/Fw"),
        (&[("d/B", "/Users/Shared/fw"), ("d/A", "B")], "d/A"),
        (&[("d/B", "/Users/Shared/fw"), ("d/A", "B")], "d/./A/"),
        (&[("F\u{17f}", "/Users/Shared/fw")], "Fs"),
        (&[("d/\u{212a}/B", "/Users/Shared/fw"), ("A", "d/k")], "A/b"),
        (&[("\u{e9}", "/Users/Shared/fw")], "e\u{301}"),
    ] {
        let disk = Disk::new();
        let main = code(&[&format!("@loader_path/../{named}/l.dylib")], &[]);
        let path = Plugin::new("A").executable(main).write(disk.at(PLUGINS));
        for (link, target) in links {
            let link = path.join("Contents").join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
        disk.file("Users/Shared/fw/l.dylib", "library");
        let row = only_bundle(disk.path());
        if named.contains("none/..") {
            // As for the kernel: nothing leads through what is not there.
            assert_eq!(row["loads_outside"], "", "{named}");
            continue;
        }
        assert_eq!(
            row["loads_outside"].matches("/l.dylib").count(),
            1,
            "{links:?} {named}"
        );
        assert!(
            row["linked_paths"].contains("/Users/Shared/fw"),
            "{}",
            row["linked_paths"]
        );
    }
}

/// Whoever plants links by the hundred thousand, with the longest paths, gains neither room nor time.
#[test]
fn links_by_the_thousand_cost_a_bounded_amount() {
    let disk = Disk::new();
    let libraries: Vec<String> = (0..64)
        .map(|n| format!("@loader_path/../{n}/l.dylib"))
        .collect();
    let names: Vec<&str> = libraries.iter().map(String::as_str).collect();
    let path = Plugin::new("A")
        .executable(code(&names, &[]))
        .write(disk.at(PLUGINS));
    let deep = path.join("Contents").join(["d"; 40].join("/"));
    fs::create_dir_all(&deep).unwrap();
    for number in 0..17_000 {
        symlink("x", deep.join(number.to_string())).unwrap();
    }
    symlink("/Users/Shared/fw", path.join("Contents/63")).unwrap();
    disk.file("Users/Shared/fw/l.dylib", "library");
    // More than are told from each other: then all is looked up, and nothing is hidden.
    let row = only_bundle(disk.path());
    assert_eq!(row["loads_outside"], format!("{A}/Contents/63/l.dylib"));
    assert_eq!(row["error"], "");
}

/// Each place is held: where there is no room for more, nothing is watched there, and that is said.
#[test]
fn places_take_room_like_entries() {
    let disk = Disk::new();
    for number in 0..20 {
        let libraries: Vec<String> = (0..30)
            .map(|n| format!("/opt/{number}/{n}.dylib"))
            .collect();
        let names: Vec<&str> = libraries.iter().map(String::as_str).collect();
        let plugin = Plugin::new(&format!("A{number:02}"));
        plugin.executable(code(&names, &[])).write(disk.at(PLUGINS));
        for library in &libraries {
            disk.file(library.trim_start_matches('/'), "library");
        }
    }
    let limits = dsplug::limits::Limits {
        scan_entries: 1_000,
        ..dsplug::limits::Limits::STANDARD
    };
    let snapshot = crate::common::scan_with(disk.path(), limits);
    let all = snapshot.bundles.iter();
    let places: usize = all.map(|bundle| bundle.evidence.reach.places.len()).sum();
    assert!((100..400).contains(&places), "{places}");
    let sql = "SELECT unread FROM dsplug_bundles ORDER BY path DESC LIMIT 1";
    let last = crate::common::query_in(&snapshot, sql);
    assert!(last[0]["unread"].contains("unwatched="), "{last:?}");
}

fn lazy(paths: &[&str], rpaths: &[&str]) -> MachO {
    let code = paths.iter().fold(MachO::bundle(Cpu::X86_64), |code, path| {
        code.lazy_path(path)
    });
    rpaths.iter().fold(code, |code, path| code.rpath(path))
}

/// What a bundle's row says of a main executable.
fn row_of(main: Vec<u8>) -> std::collections::BTreeMap<String, String> {
    let disk = Disk::new();
    Plugin::new("A").executable(main).write(disk.at(PLUGINS));
    only_bundle(disk.path())
}

/// A library that is loaded when it is first called (`APIs::_dyld_lazy_load` of dyld-1378: `dlopen_from`).
#[test]
fn what_is_loaded_late_is_told_as_well() {
    // Every one of them, in every slice, signed or not.
    let paths = ["/Users/Shared/a.dylib", "@loader_path/../../../b.dylib"];
    let main = [
        (Cpu::X86_64, lazy(&paths, &[]).unsigned()),
        (
            Cpu::Arm64,
            MachO::bundle(Cpu::Arm64)
                .lazy_path("/opt/c.dylib")
                .signed(&dsplug_fixtures::signature::Signature::adhoc("a")),
        ),
    ];
    let row = row_of(Fat::of(&main).build());
    assert_eq!(
        row["loads_outside"],
        "/Library/DirectoryServices/PlugIns/b.dylib;/Users/Shared/a.dylib;/opt/c.dylib"
    );
    assert_eq!((row["error"].as_str(), row["unread"].as_str()), ("", ""));
    // The system's own.
    let row = row_of(lazy(&["/usr/lib/libz.1.dylib"], &[]).unsigned());
    assert_eq!(
        (row["loads_outside"].as_str(), row["error"].as_str()),
        ("", "")
    );
    // `dlopen` looks for a relative path below the run paths before the working directory.
    let row = row_of(lazy(&["x.dylib"], &["/Users/Shared"]).unsigned());
    assert_eq!(
        row["loads_outside"],
        "/System/Volumes/Preboot/Cryptexes/OSx.dylib;/Users/Shared/x.dylib;/x.dylib"
    );
    is_read(
        lazy(&["@rpath/l.dylib"], &["/Users/Shared"]).unsigned(),
        &[],
        "Users/Shared/l.dylib",
    );
}

/// Where the path of such a library cannot be read, or a later dyld may load more, nobody knows what is loaded.
#[test]
fn what_may_be_loaded_late_is_never_taken_for_nothing() {
    const PATH: &str = "/usr/lib/libz.dylib";
    let whole = lazy(&[PATH], &[]).unsigned();
    // The blob is the end of the file: 24 bytes, the path, a NUL, up to a multiple of eight.
    let blob = whole.len() - 48;
    let altered = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = whole.clone();
        change(&mut file);
        file
    };
    let command = whole
        .windows(8)
        .position(|bytes| bytes == [0x3a, 0, 0, 0, 16, 0, 0, 0])
        .unwrap();
    let one_more = |kind: u32| {
        let mut code = MachO::bundle(Cpu::X86_64);
        let words = [kind, 16, 0, 0];
        code.commands
            .push(words.iter().flat_map(|word| word.to_le_bytes()).collect());
        code.unsigned()
    };
    let too_many = [PATH; 65];
    let mut in_text = MachO::bundle(Cpu::X86_64);
    in_text.code = whole[blob..].to_vec();
    let mut in_text = in_text.lazy_path(PATH).unsigned();
    let at = in_text
        .windows(48)
        .position(|bytes| bytes == &whole[blob..]);
    let text = u32::try_from(at.unwrap()).unwrap().to_le_bytes();
    in_text[command + 8..command + 12].copy_from_slice(&text);
    let unknown = [
        // The path begins behind the blob, has no end in it, or is no text.
        altered(&|file| file[blob..blob + 4].copy_from_slice(&48_u32.to_le_bytes())),
        altered(&|file| file[blob + 24 + PATH.len()..].fill(b'x')),
        altered(&|file| file[blob + 24] = 0xff),
        // The blob is too short for an offset, ends behind the slice, or is not in `__LINKEDIT`.
        altered(&|file| file[command + 12..command + 16].copy_from_slice(&[3, 0, 0, 0])),
        altered(&|file| file[command + 12..command + 16].copy_from_slice(&[49, 0, 0, 0])),
        in_text,
        // More than are read; a path longer than the kernel takes.
        lazy(&too_many, &[]).unsigned(),
        lazy(&[&format!("/{}", "d/".repeat(600))], &[]).unsigned(),
        // What a later dyld must understand.
        one_more(0x8000_003b),
    ];
    for (n, file) in unknown.into_iter().enumerate() {
        let row = row_of(file);
        assert!(
            row["error"].starts_with("limit: code names more"),
            "{n}: {}",
            row["error"]
        );
        assert!(
            row["unread"].contains("unwatched="),
            "{n}: {}",
            row["unread"]
        );
    }
    // What dyld-1378 knows is none of that: exports, fixups, function variants and their fixups, a target triple.
    for kind in [0x8000_0033, 0x8000_0034, 0x37, 0x38, 0x39] {
        assert_eq!(row_of(one_more(kind))["error"], "", "{kind:#x}");
    }
    assert_eq!(row_of(whole)["error"], "");
}

/// Whoever has the link lead nowhere yet has nothing in any digest, and everything prepared.
#[test]
fn what_a_link_leads_to_is_told_before_anything_is_there() {
    let frameworks = format!("{PLUGINS}/A.dsplug/Contents/Frameworks");
    let up = "../".repeat(6);
    for (text, name, place) in [
        ("/Users/Shared/F", "l", "/Users/Shared/F"),
        (&format!("{up}Users/Shared/F"), "l", "/Users/Shared/F"),
        ("/Users/Shared/none", "l/x.dylib", "/Users/Shared/none"),
        ("/Users/none/../x", "l", "/Users/none"),
    ] {
        let disk = Disk::new();
        disk.dir("Users/Shared");
        Plugin::new("A")
            .executable(code(&[&format!("@loader_path/../Frameworks/{name}")], &[]))
            .file("Contents/Frameworks/x.dylib", "library")
            .write(disk.at(PLUGINS));
        disk.link(format!("{frameworks}/l"), text);
        let row = only_bundle(disk.path());
        let told = ["loads_outside", "links_outside", "linked_paths", "error"];
        let told = told.map(|column| row[column].as_str());
        assert_eq!(told, [place, "1", "", ""], "{text}");
        // One that stays in the bundle says nothing of outside.
        fs::remove_file(disk.at(format!("{frameworks}/l"))).unwrap();
        disk.link(format!("{frameworks}/l"), "none");
        let row = only_bundle(disk.path());
        assert_eq!((&*row["loads_outside"], &*row["links_outside"]), ("", "0"));
    }
}

/// The system tells dyld where code stands that it has open by any of the names of that file
/// (`fixhardlink` of xnu's bsd/vfs/vfs_cache.c; conda's hard links show it, pytorch/pytorch#92737).
#[test]
fn code_that_has_another_name_may_load_what_stands_beside_that() {
    let row = |code: Vec<u8>, is_inside: bool| {
        let disk = Disk::new();
        let plugin = Plugin::new("A").executable(code);
        let bundle = plugin
            .file("Contents/MacOS/x.dylib", "library")
            .write(disk.at(PLUGINS));
        let other = match is_inside {
            true => bundle.join("Contents/other"),
            false => disk.dir("Users/Shared/h").join("A"),
        };
        fs::hard_link(bundle.join("Contents/MacOS/A"), other).unwrap();
        only_bundle(disk.path())
    };
    for (dylib, rpaths) in [
        ("@loader_path/x.dylib", [].as_slice()),
        ("@rpath/x.dylib", &["@loader_path/../Frameworks"]),
    ] {
        let outside = row(code(&[dylib], rpaths), false);
        let why = "ambiguous: /Library/DirectoryServices/PlugIns/A.dsplug/Contents/MacOS/A has other names";
        assert!(outside["error"].starts_with(why), "{}", outside["error"]);
        assert!(outside["unread"].contains("unwatched="), "{dylib}");
        assert_eq!(outside["linked_hash"], "");
        // Both places are looked at.
        let inside = row(code(&[dylib], rpaths), true);
        assert_eq!((&*inside["error"], &*inside["unread"]), ("", ""), "{dylib}");
    }
    let plain = row(code(&["/usr/lib/libSystem.B.dylib"], &[]), false);
    assert_eq!(plain["error"], "");
}

/// Before macOS 12 dyld goes by the path that was asked for, and only then by the real one (`loadPhase3` of src/dyld2.cpp,
/// dyld-852.2).
#[test]
fn code_that_a_link_leads_to_may_load_what_stands_beside_that() {
    let error =
        |main: Vec<u8>, name: Option<&str>, besides: &[(&str, Vec<u8>)], link: &str, to: &str| {
            let disk = Disk::new();
            let plugin = Plugin::new("A").executable(main);
            let plugin = name.into_iter().fold(plugin, |plugin, name| {
                plugin.key("CFBundleExecutable", name)
            });
            plugin.write(disk.at(PLUGINS));
            for (path, bytes) in besides {
                disk.file(path, bytes);
            }
            disk.link(link, to);
            let row = only_bundle(disk.path());
            assert_eq!(row["unread"].is_empty(), row["error"].is_empty(), "{row:?}");
            row["error"].clone()
        };
    let beside = || code(&["@loader_path/e.dylib"], &[]);
    let below = || code(&["@rpath/e.dylib"], &["@loader_path/../fw"]);
    let plain = || code(&["/usr/lib/libSystem.B.dylib"], &[]);
    let real = "Users/Shared/real/x";
    let of_real =
        "ambiguous: a link leads or may lead to /Users/Shared/real/x, and before macOS 12";
    for code in [beside(), below()] {
        let asked = |library: Vec<u8>, link: &str, to: &str| {
            // By the Info.plist, by code, and by a link in the bundle.
            let name = Some(format!("/{link}"));
            let by_name = error(
                plain(),
                name.as_deref(),
                &[(real, library.clone())],
                link,
                to,
            );
            let main = super::code(&[&format!("/{link}")], &[]);
            let by_code = error(main, None, &[(real, library)], link, to);
            [by_name, by_code]
        };
        for error in asked(code.clone(), "Users/Shared/link/x", "../real/x") {
            assert!(error.starts_with(of_real), "{error}");
        }
        // In the same directory it is the same place.
        for (link, to) in [
            ("Users/Shared/real/y", "x"),
            ("Users/Shared/z", "/Users/Shared/real/x"),
        ] {
            let is_same = link.ends_with('y');
            for error in asked(code.clone(), link, to) {
                assert_eq!(error.is_empty(), is_same, "{link}: {error}");
            }
        }
        for error in asked(plain(), "Users/Shared/link/x", "../real/x") {
            assert_eq!(error, "");
        }
        let link = format!("{IN_BUNDLE}/Frameworks/x");
        let by_link = error(plain(), None, &[(real, code)], &link, &format!("/{real}"));
        assert!(by_link.starts_with(of_real), "{by_link}");
    }
    // As frameworks have it: beside the link it stays in the bundle, or does not.
    let framework = format!("{IN_BUNDLE}/Frameworks/F.framework");
    for (ups, is_told) in [(1, false), (3, false), (4, true), (5, true)] {
        let code = code(
            &[&format!("@loader_path/{}e.dylib", "../".repeat(ups))],
            &[],
        );
        let file = format!("{framework}/Versions/A/F");
        for to in ["Versions/A/F", "../F.framework/Versions/A/F"] {
            let link = format!("{framework}/F");
            let told = error(plain(), None, &[(&file, code.clone())], &link, to);
            assert_eq!(!told.is_empty(), is_told, "{ups}: {told}");
        }
    }
    // In a directory outside that a link leads to, which is read as a whole.
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.at(PLUGINS));
    symlink("/Users/Shared/fw", bundle.join("Contents/Frameworks")).unwrap();
    disk.file(
        "Users/Shared/fw/F.framework/Versions/A/F",
        code(&["@loader_path/../../e.dylib"], &[]),
    );
    assert_eq!(only_bundle(disk.path())["error"], "");
    disk.link("Users/Shared/fw/F.framework/F", "Versions/A/F");
    let error = &only_bundle(disk.path())["error"];
    let why = "ambiguous: a link leads or may lead to /Users/Shared/fw/F.framework/Versions/A/F, and before macOS 12";
    assert!(error.starts_with(why), "{error}");
}

/// Code of the bundle may start a program that it holds, and `@executable_path` is where that stands, for whatever it loads.
#[test]
fn a_program_of_the_bundle_has_all_code_look_beside_it() {
    let place = "/Library/DirectoryServices/PlugIns";
    let program = |dylib: &str| MachO::execute(Cpu::X86_64).dylib_path(dylib).unsigned();
    let told = |files: &[(&str, Vec<u8>)]| {
        let disk = Disk::new();
        Plugin::new("A").write(disk.at(PLUGINS));
        for (path, bytes) in files {
            disk.file(format!("{IN_BUNDLE}/{path}"), bytes);
        }
        disk.file(format!("{PLUGINS}/ev.dylib"), "code");
        let row = only_bundle(disk.path());
        assert_eq!((&*row["error"], &*row["unread"]), ("", ""), "{row:?}");
        assert_eq!(
            row["linked_hash"].is_empty(),
            row["linked_paths"].is_empty()
        );
        (row["loads_outside"].clone(), row["linked_paths"].clone())
    };
    let beside = format!("{place}/ev.dylib");
    for library in [
        code(&["@executable_path/../../../ev.dylib"], &[]),
        code(&["@rpath/ev.dylib"], &["@executable_path/../../.."]),
    ] {
        let tool = ("Helpers/tool", program("@loader_path/L.dylib"));
        // Whichever of them is looked at first.
        for name in ["Helpers/L.dylib", "A/L.dylib"] {
            let (loads, linked) = told(&[tool.clone(), (name, library.clone())]);
            assert_eq!(loads, format!("{beside};/ev.dylib"));
            assert_eq!(linked, beside);
        }
        // Without one it is the system's that loads plug-ins.
        let (loads, linked) = told(&[("Helpers/L.dylib", library)]);
        assert_eq!((&*loads, &*linked), ("/ev.dylib", ""));
    }
    // What stays in the bundle is none.
    let tool = ("Helpers/tool", program("@executable_path/../Frameworks/x"));
    assert_eq!(told(&[tool]), (String::new(), String::new()));
}

/// What a program has dyld heed by its load commands is not followed, and so not known.
#[test]
fn a_program_that_says_where_libraries_are_is_not_known_whole() {
    let error = |file_type: u32, kind: u32, text: &str| {
        let disk = Disk::new();
        let command = [
            kind.to_le_bytes(),
            64_u32.to_le_bytes(),
            12_u32.to_le_bytes(),
        ]
        .concat();
        let mut command = [command, text.into()].concat();
        command.resize(64, 0);
        let header = [0xfeed_facf, 0x0100_0007, 3, file_type, 1, 64, 0, 0];
        let header = header.iter().flat_map(|word: &u32| word.to_le_bytes());
        let file: Vec<u8> = header.chain(command).collect();
        Plugin::new("A").write(disk.at(PLUGINS));
        disk.file(format!("{IN_BUNDLE}/Helpers/tool"), file);
        only_bundle(disk.path())["error"].clone()
    };
    let (program, library) = (2, 6);
    let (environment, linker) = (0x27, 0xe);
    let text = "DYLD_INSERT_LIBRARIES=/Users/Shared/x";
    assert!(error(program, environment, text).contains("not all its load commands"));
    assert_eq!(error(library, environment, text), "");
    assert!(error(program, linker, "/Users/Shared/dyld").contains("not all its load commands"));
    assert_eq!(error(program, linker, "/usr/lib/dyld"), "");
}

/// Links that say the same lead to the same, each from its own directory.
#[test]
fn code_that_a_second_link_leads_to_may_load_what_stands_beside_that() {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.at(PLUGINS));
    let library = "/Users/Shared/fw/x";
    disk.file(&library[1..], code(&["@loader_path/e.dylib"], &[]));
    disk.link("Users/Shared/fw/a", library);
    // By it the directory is looked at; the first link there stands beside what it leads to.
    symlink("/Users/Shared/fw", bundle.join("Contents/Frameworks")).unwrap();
    assert_eq!(only_bundle(disk.path())["error"], "");
    disk.link("Users/Shared/fw/sub/b", library);
    let error = &only_bundle(disk.path())["error"];
    let why = format!("ambiguous: a link leads or may lead to {library}, and before macOS 12");
    assert!(error.starts_with(&why), "{error}");
}

/// A link outside leads back into the bundle, and beside it is outside.
#[test]
fn code_in_the_bundle_that_a_link_outside_leads_to_may_load_what_stands_beside_that() {
    let inside = format!("/{IN_BUNDLE}/x");
    let why = format!("ambiguous: a link leads or may lead to {inside}, and before macOS 12");
    let error = |main: Vec<u8>, library: Vec<u8>, by_link: bool| {
        let disk = Disk::new();
        let bundle = Plugin::new("A").executable(main).write(disk.at(PLUGINS));
        disk.file(&inside[1..], library);
        disk.link("Users/Shared/link/x", &inside);
        if by_link {
            symlink("/Users/Shared/link", bundle.join("Contents/Link")).unwrap();
        }
        only_bundle(disk.path())["error"].clone()
    };
    let beside = || code(&["@loader_path/e.dylib"], &[]);
    let plain = || code(&["/usr/lib/libSystem.B.dylib"], &[]);
    let by_link = error(plain(), beside(), true);
    assert!(by_link.contains(&why), "{by_link}");
    let by_code = error(code(&["/Users/Shared/link/x"], &[]), beside(), false);
    assert!(by_code.contains(&why), "{by_code}");
    for by_link in [true, false] {
        let main = code(&["/Users/Shared/link/x"], &[]);
        let error = error(main, plain(), by_link);
        assert!(!error.contains("macOS 12"), "{error}");
    }
}

/// Of more links than are looked at each may lead to code.
#[test]
fn links_beside_code_are_bounded() {
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.at(PLUGINS));
    let library = code(&["@loader_path/../../../e.dylib"], &[]);
    disk.file(format!("{IN_BUNDLE}/a/b/x"), library);
    let link =
        |number: usize| symlink("Info.plist", bundle.join(format!("Contents/l{number}"))).unwrap();
    (0..256).for_each(link);
    assert_eq!(only_bundle(disk.path())["error"], "");
    link(256);
    let error = &only_bundle(disk.path())["error"];
    assert!(
        error.starts_with("ambiguous: a link leads or may lead to "),
        "{error}"
    );
}
