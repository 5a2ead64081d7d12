//! More candidates than have rows: who plants them hides nothing that may load, and nothing that was shown.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{Row, pack, query_in, scan_with};
use dsplug::journal::Ahead;
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};
use proptest::prelude::*;

const FOLDER: &str = "/Library/DirectoryServices/PlugIns";
const SYSTEM: &str = "/System/Library/Frameworks/DirectoryService.framework/Resources/Plugins";
const LIMITS: Limits = Limits {
    candidates: 100,
    ..Limits::STANDARD
};

/// The paths that have rows, that of the folder apart.
fn shown(snapshot: &Snapshot) -> Vec<String> {
    let rows = query_in(
        snapshot,
        "SELECT path FROM dsplug_bundles WHERE kind <> 'folder'",
    );
    rows.into_iter().map(|row| row["path"].clone()).collect()
}

fn row(snapshot: &Snapshot, name: &str) -> Option<Row> {
    let sql =
        format!("SELECT hash, load_verdict, error FROM dsplug_bundles WHERE path LIKE '%/{name}'");
    query_in(snapshot, &sql).pop()
}

#[track_caller]
fn is_shown(snapshot: &Snapshot, name: &str) -> String {
    let row = row(snapshot, name).unwrap_or_else(|| panic!("{name} has no row"));
    // What is in an `.lproj` loads for its language.
    assert_ne!(row["load_verdict"], "not_loadable");
    row["hash"].clone()
}

/// How many are left out, as the folder's row says.
#[track_caller]
fn left_out(snapshot: &Snapshot) -> usize {
    let rows = query_in(
        snapshot,
        "SELECT path, error FROM dsplug_bundles WHERE kind = 'folder'",
    );
    assert_eq!(rows[0]["path"], FOLDER);
    let error = rows[0]["error"].strip_prefix("limit: ").unwrap();
    error.split(' ').next().unwrap().parse().unwrap()
}

fn plant(at: &Path, count: usize, what: impl Fn(&Path)) {
    (0..count).for_each(|number| what(&at.join(format!("a{number}.dsplug"))));
}

#[test]
fn what_has_nothing_of_a_bundle_takes_no_row_from_what_may_load() {
    type Junk = fn(&Path);
    let kinds: [(&str, Junk); 5] = [
        ("", |path| fs::create_dir(path).unwrap()),
        ("", |path| fs::write(path, "").unwrap()),
        ("", |path| symlink("/nowhere", path).unwrap()),
        ("", |path| symlink("/Library", path).unwrap()),
        ("de.lproj", |path| fs::create_dir(path).unwrap()),
    ];
    for (index, (below, junk)) in kinds.into_iter().enumerate() {
        // As many as have no row, those that fill all rows, and beyond.
        for count in [60, 100, 300] {
            let disk = Disk::new();
            plant(&disk.dir(format!("{PLUGINS}/{below}")), count, junk);
            Plugin::new("zz").write(disk.dir(format!("{PLUGINS}/zz.lproj")));
            Plugin::new("zy").write(disk.dir("Users/Shared"));
            symlink("/Users/Shared/zy.dsplug", disk.plugin("zy.dsplug")).unwrap();
            Plugin::new("zx").write(disk.plugin(""));
            let first = scan_with(disk.path(), LIMITS);
            for name in ["zx.dsplug", "zy.dsplug", "zz.dsplug"] {
                is_shown(&first, name);
            }
            let rows = shown(&first);
            assert_eq!(
                rows.len() + left_out(&first),
                count + 3,
                "kind {index}, {count} of it"
            );
            assert!(rows.len() <= 100);
            assert_eq!(rows, shown(&scan_with(disk.path(), LIMITS)));
        }
    }
}

#[test]
fn junk_of_long_names_takes_no_row_from_what_may_load() {
    let disk = Disk::new();
    for number in 0..60 {
        let name = format!("a{number:0200}.dsplug");
        fs::create_dir(disk.plugin(name)).unwrap();
    }
    Plugin::new("zz").write(disk.plugin(""));
    let limits = Limits {
        candidate_paths: 8 << 10,
        ..Limits::STANDARD
    };
    let snapshot = scan_with(disk.path(), limits);
    is_shown(&snapshot, "zz.dsplug");
    assert_eq!(shown(&snapshot).len() + left_out(&snapshot), 61);
}

#[test]
fn what_had_a_row_keeps_it_while_it_stands() {
    let disk = Disk::new();
    let root = Root::open(disk.path()).unwrap();
    let mut scanner = Scanner::new(root, LIMITS).remembering();
    let bundle = Plugin::new("zz").write(disk.plugin(""));
    // It is come upon when the junk of another place has taken all room.
    Plugin::new("00").write(disk.plugin(""));
    Plugin::new("zn").write(disk.dir(format!("{PLUGINS}/other")));
    Plugin::new("zr").write(disk.dir(format!("{PLUGINS}/Contents/Resources")));
    let before = is_shown(&scan_alone(&disk), "zr.dsplug");
    assert_eq!(is_shown(&scanner.scan(), "zr.dsplug"), before);
    // Each of them seems to load, and each place has its own.
    let junk = |path: &Path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("Info.plist"), "").unwrap();
    };
    for below in ["", "other", "Contents/Resources"] {
        plant(&disk.plugin(below), 600, junk);
    }
    for _ in 0..3 {
        let snapshot = scanner.scan();
        for name in ["zz.dsplug", "00.dsplug", "zn.dsplug", "zr.dsplug"] {
            assert!(row(&snapshot, name).is_some(), "{name} has no row");
        }
        let rows = shown(&snapshot);
        assert!(rows.len() <= 100, "{}", rows.len());
        assert_eq!(rows.len() + left_out(&snapshot), 1_804);
    }
    // Without that, the answer is the same each time.
    assert_eq!(shown(&scan_alone(&disk)), shown(&scan_alone(&disk)));
    let old = row(&scanner.scan(), "zz.dsplug").unwrap()["hash"].clone();
    fs::write(bundle.join("Contents/MacOS/zz"), "other").unwrap();
    assert_ne!(row(&scanner.scan(), "zz.dsplug").unwrap()["hash"], old);
    fs::remove_dir_all(bundle).unwrap();
    assert!(row(&scanner.scan(), "zz.dsplug").is_none());
}

/// Whoever has it away for one look does not have it come back behind the crowd.
#[test]
fn what_goes_and_comes_back_beside_a_crowd_has_its_row_again() {
    let disk = Disk::new();
    let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), LIMITS).remembering();
    let bundle = Plugin::new("zz").write(disk.plugin(""));
    let _ = scanner.scan();
    let junk = |path: &Path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("Info.plist"), "").unwrap();
    };
    plant(&disk.plugin(""), 300, junk);
    assert!(row(&scanner.scan(), "zz.dsplug").is_some());
    let (aside, folder) = (disk.at("aside"), disk.at(PLUGINS));
    for (from, to) in [(&bundle, &aside), (&folder, &disk.at("Library/away"))] {
        fs::rename(from, to).unwrap();
        for _ in 0..2 {
            assert!(row(&scanner.scan(), "zz.dsplug").is_none());
        }
        fs::rename(to, from).unwrap();
        let snapshot = scanner.scan();
        assert!(row(&snapshot, "zz.dsplug").is_some());
        assert_eq!(shown(&snapshot).len(), 100);
    }
    // One that never had a row stands behind those that have.
    Plugin::new("zy").write(disk.plugin(""));
    assert!(row(&scanner.scan(), "zy.dsplug").is_none());
}

/// What stands behind a link is where nobody searches, and keeps its row; it was never left out.
#[test]
fn what_keeps_its_row_takes_the_place_of_nothing_that_is_left_out() {
    let disk = Disk::new();
    let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), LIMITS).remembering();
    let (nested, away) = (disk.dir(format!("{PLUGINS}/n")), disk.at("away"));
    plant(&nested, 25, |path| fs::create_dir(path).unwrap());
    plant(&disk.plugin(""), 75, |path| {
        fs::create_dir_all(path.join("Contents")).unwrap();
    });
    let first = scanner.scan();
    assert_eq!(shown(&first).len(), 100);
    let is_of_folder = |snapshot: &Snapshot| !of_folder(snapshot).is_empty();
    assert!(!is_of_folder(&first));
    fs::rename(&nested, &away).unwrap();
    symlink("/away", &nested).unwrap();
    for (count, name) in ["yy", "zz"].into_iter().enumerate() {
        Plugin::new(name).write(disk.plugin(""));
        let snapshot = scanner.scan();
        assert_eq!(shown(&snapshot).len(), 100);
        assert_eq!(left_out(&snapshot), count + 1);
        assert!(of_folder(&snapshot).contains("(which: "));
    }
}

/// What the folder's row says; nothing where it has none.
fn of_folder(snapshot: &Snapshot) -> String {
    let sql = "SELECT error FROM dsplug_bundles WHERE kind = 'folder'";
    let rows = query_in(snapshot, sql);
    rows.into_iter().map(|row| row["error"].clone()).collect()
}

/// A step between two looks.
#[derive(Clone, Debug)]
enum Step {
    /// So many more bundles, in one of the directories.
    More(usize, usize),
    /// A directory becomes a link to what it was, or again a directory.
    Turn(usize),
    /// The first bundles of a directory go.
    Fewer(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_usize..4, 1_usize..30).prop_map(|(at, count)| Step::More(at, count)),
        2 => (1_usize..4).prop_map(Step::Turn),
        1 => (0_usize..4, 1_usize..20).prop_map(|(at, count)| Step::Fewer(at, count)),
    ];
    prop::collection::vec(step, 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, goes or becomes a link between two looks: each bundle where the loader looks has its row, or is
    /// among those of which the folder's row says how many are left out.
    #[test]
    fn no_bundle_is_left_out_in_silence(steps in steps()) {
        let limits = Limits { candidates: 24, ..LIMITS };
        let disk = Disk::new();
        let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), limits).remembering();
        let places = ["", "n1", "n2", "n3"].map(|name| disk.dir(format!("{PLUGINS}/{name}")));
        let mut number = 0;
        for step in steps {
            match step {
                Step::More(at, count) => for _ in 0..count {
                    number += 1;
                    fs::create_dir_all(places[at].join(format!("{number}.dsplug/Contents"))).unwrap();
                },
                Step::Turn(at) => {
                    let away = disk.at(format!("away{at}"));
                    if places[at].is_symlink() {
                        fs::remove_file(&places[at]).unwrap();
                        fs::rename(&away, &places[at]).unwrap();
                    } else {
                        fs::rename(&places[at], &away).unwrap();
                        symlink(format!("../../../away{at}"), &places[at]).unwrap();
                    }
                }
                Step::Fewer(at, count) => for entry in bundles(&places[at]).take(count) {
                    fs::remove_dir_all(entry).unwrap();
                },
            }
            let snapshot = scanner.scan();
            let rows = shown(&snapshot);
            let is_listed = |path: &&String| path.matches('/').count() == 4;
            let lacking = bundles(&places[0]).count() - rows.iter().filter(is_listed).count();
            let told = if of_folder(&snapshot).is_empty() { 0 } else { left_out(&snapshot) };
            prop_assert!(told >= lacking, "{lacking} lack a row, and {told} are told");
        }
    }
}

fn bundles(place: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "dsplug"))
}

/// As many as before, and not the same.
#[test]
fn which_are_left_out_is_told() {
    let disk = Disk::new();
    let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), LIMITS).remembering();
    let junk = |path: &Path| fs::write(path, "x").unwrap();
    plant(&disk.plugin(""), 300, junk);
    let mut told = || {
        let sql = "SELECT error FROM dsplug_bundles WHERE kind = 'folder'";
        query_in(&scanner.scan(), sql)[0]["error"].clone()
    };
    let first = told();
    assert_eq!(told(), first);
    fs::remove_file(disk.plugin("a99.dsplug")).unwrap();
    fs::write(disk.plugin("zz.dsplug"), "x").unwrap();
    let second = told();
    let count = |error: &str| error.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(count(&first), count(&second));
    assert_ne!(first, second);
}

/// What was found whole has its entries before what is new, and about as many as it had.
#[test]
fn a_crowd_takes_no_entries_from_what_was_known_whole() {
    let disk = Disk::new();
    let limits = Limits {
        scan_entries: 1_600,
        ..LIMITS
    };
    let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), limits).remembering();
    let bundle = Plugin::new("zz").write(disk.plugin(""));
    Plugin::new("zy").write(disk.plugin(""));
    let fill = |from: usize, to: usize| {
        (from..to).for_each(|n| fs::write(bundle.join(format!("Contents/{n}")), "").unwrap());
    };
    fill(0, 20);
    let before = is_shown(&scanner.scan(), "zz.dsplug");
    assert_eq!(before.len(), 64);
    for number in 0..90 {
        let name = format!("a{number}");
        let junk = Plugin::new(&name).write(disk.plugin(""));
        (0..9).for_each(|n| fs::create_dir(junk.join(format!("Contents/{n}"))).unwrap());
    }
    for _ in 0..3 {
        let snapshot = scanner.scan();
        assert_eq!(is_shown(&snapshot, "zz.dsplug"), before);
        assert!(row(&snapshot, "a89.dsplug").unwrap()["error"].starts_with("limit: "));
    }
    // An update of it fits.
    fill(20, 24);
    let updated = is_shown(&scanner.scan(), "zz.dsplug");
    assert!(updated.len() == 64 && updated != before);
    fs::write(bundle.join("Contents/MacOS/zz"), "other").unwrap();
    let hash = |snapshot: &Snapshot, name| row(snapshot, name).unwrap()["hash"].clone();
    let exchanged = hash(&scanner.scan(), "zz.dsplug");
    assert!(exchanged.len() == 64 && exchanged != updated);
    // Whoever makes much of it takes nothing from what is known beside it.
    fill(24, 600);
    for _ in 0..3 {
        let snapshot = scanner.scan();
        let row = row(&snapshot, "zz.dsplug").unwrap();
        assert!(row["error"].starts_with("limit: "), "{row:?}");
        assert_eq!(is_shown(&snapshot, "zy.dsplug").len(), 64);
    }
    (24..600).for_each(|n| fs::remove_file(bundle.join(format!("Contents/{n}"))).unwrap());
    assert_eq!(hash(&scanner.scan(), "zz.dsplug"), exchanged);
}

/// Whichever is filled first.
#[test]
fn two_folders_have_one_room_and_each_some_of_it() {
    let full = |disk: &Disk, folder: &str| {
        (0..150).for_each(|n| {
            Plugin::new(&format!("a{n}")).write(disk.dir(folder.trim_start_matches('/')));
        });
    };
    let count = |snapshot: &Snapshot, folder: &str| {
        let rows = shown(snapshot).into_iter();
        rows.filter(|path| path.starts_with(folder)).count()
    };
    let [first, second] = [FOLDER, SYSTEM];
    for order in [[first, second], [second, first]] {
        let disk = Disk::new();
        let mut scanner = Scanner::new(Root::open(disk.path()).unwrap(), LIMITS).remembering();
        let mut had = Vec::new();
        for folder in order {
            full(&disk, folder);
            let snapshot = scanner.scan();
            assert!(had.iter().all(|path| shown(&snapshot).contains(path)));
            had = shown(&snapshot);
        }
        let snapshot = scanner.scan();
        let counts = order.map(|folder| count(&snapshot, folder));
        assert_eq!(counts, [100, 9]);
        let sql = "SELECT error FROM dsplug_bundles WHERE kind = 'folder' ORDER BY error";
        let told = query_in(&snapshot, sql).into_iter();
        let told: Vec<_> = told.map(|row| row["error"].clone()).collect();
        assert!(told[0].starts_with("limit: 141 more"), "{told:?}");
        assert!(told[1].starts_with("limit: 50 more"), "{told:?}");
        let alone = scan_alone(&disk);
        assert_eq!([first, second].map(|f| count(&alone, f)), [100, 9]);
    }
}

fn scan_alone(disk: &Disk) -> Snapshot {
    scan_with(disk.path(), LIMITS)
}

/// A directory that has too many names to be listed whole.
#[test]
fn what_had_a_row_keeps_it_in_a_folder_that_is_not_listed_to_its_end() {
    let disk = Disk::new();
    let limits = Limits {
        listed_entries: 50,
        ..Limits::STANDARD
    };
    let root = Root::open(disk.path()).unwrap();
    let mut scanner = Scanner::new(root, limits).remembering();
    for number in 0..20 {
        Plugin::new(&format!("z{number}")).write(disk.plugin(""));
    }
    let before = shown(&scanner.scan());
    assert_eq!(before.len(), 20);
    for number in 0..2_000 {
        fs::write(disk.plugin(format!("{number}")), "").unwrap();
    }
    assert_eq!(shown(&scanner.scan()), before);
    assert_eq!(shown(&scanner.scan()), before);
}

/// A directory that 28 links of long ways lead to, each of which a Mac follows, and forty names of a language that lead
/// there.
fn plant_long_ways(disk: &Disk) {
    disk.dir("Users/Shared/d");
    disk.dir("Users/Shared/empty");
    let way = "d/../".repeat(190);
    for number in 0..28 {
        let next = match number {
            27 => "empty".to_owned(),
            _ => format!("l{}", number + 1),
        };
        disk.link(format!("Users/Shared/l{number}"), way.clone() + &next);
    }
    for number in 0..40 {
        let name = format!("{PLUGINS}/A{number:03}.lproj");
        disk.link(name, "/Users/Shared/l0");
    }
}

#[test]
fn names_that_lead_far_take_no_steps_from_what_is_listed_for_everybody() {
    let disk = Disk::new();
    Plugin::new("L").write(disk.dir("Users/Shared/e"));
    let way = format!("/Users/Shared/{}e", "d/../".repeat(190));
    disk.link(format!("{PLUGINS}/Base.lproj"), way);
    plant_long_ways(&disk);
    let folder_says = |limits| {
        let snapshot = scan_with(disk.path(), limits);
        let error = row(&snapshot, "PlugIns").map(|row| row["error"].clone());
        (row(&snapshot, "L.dsplug"), error)
    };
    // However slow the machine is, so that it is the steps that end.
    let (one, error) = folder_says(Limits {
        time: Duration::from_secs(600),
        ..Limits::STANDARD
    });
    let one = one.unwrap();
    assert!(
        one["error"].is_empty() && !one["hash"].is_empty(),
        "{one:?}"
    );
    let error = error.unwrap();
    assert!(error.contains("follow so far"), "{error}");
    assert!(error.ends_with("dsplug --thorough shows more"), "{error}");
    let (one, error) = folder_says(Limits::THOROUGH);
    assert_eq!((one.unwrap()["error"].as_str(), error), ("", None));
    // Where that is not followed either, it is named first.
    let (one, error) = folder_says(Limits {
        steps: 0,
        ..Limits::STANDARD
    });
    let (first, _) = error.as_ref().unwrap().split_once(';').unwrap();
    assert!(one.is_none() && first.contains("/Base.lproj"), "{first}");
}

/// As where its directory leads by a number, on a volume that an image lacks, or further than is followed.
#[test]
fn what_had_a_row_and_cannot_be_looked_at_has_not_gone() {
    let far = format!("/Users/Shared/{}l0", "d/../".repeat(190));
    for leads in ["/.vol/16777233/1234", "/net/host/e", &far] {
        let disk = Disk::new();
        let base = disk.plugin("Base.lproj");
        Plugin::new("L").write(disk.dir(format!("{PLUGINS}/Base.lproj")));
        plant_long_ways(&disk);
        let limits = Limits {
            steps: 0,
            ..Limits::STANDARD
        };
        let scanner = || Scanner::new(Root::open(disk.path()).unwrap(), limits).remembering();
        let mut same = scanner();
        assert!(row(&same.scan(), "L.dsplug").unwrap()["error"].is_empty());
        fs::rename(&base, disk.at("Users/Shared/was")).unwrap();
        symlink(leads, &base).unwrap();
        let mut next = scanner();
        next.know(&Ahead {
            paths: vec![format!("{FOLDER}/Base.lproj/L.dsplug").into_bytes()],
            held: 0,
        });
        for scanner in [&mut same, &mut next] {
            for _ in 0..2 {
                let one = row(&scanner.scan(), "L.dsplug").unwrap();
                assert!(one["error"].contains("cannot "), "{leads}: {one:?}");
                assert_eq!(
                    (one["hash"].as_str(), one["load_verdict"].as_str()),
                    ("", "unknown")
                );
            }
        }
        // What is not there has gone, whatever else is not followed.
        fs::remove_file(&base).unwrap();
        for scanner in [&mut same, &mut next] {
            assert!(row(&scanner.scan(), "L.dsplug").is_none());
        }
    }
}

/// One of the rows that a pack's query gives says the day.
#[test]
fn that_something_is_left_out_is_told_daily() {
    let disk = Disk::new();
    plant(&disk.plugin(""), 300, |path| fs::create_dir(path).unwrap());
    let snapshot = scan_with(disk.path(), LIMITS);
    let queries = pack::queries();
    let modified = queries.iter().find(|q| q.name == "modified").unwrap();
    let rows = query_in(&snapshot, &modified.sql);
    let folder = rows.iter().find(|row| row["path"] == FOLDER).unwrap();
    assert!(folder["unread"].contains(";unwatched="), "{folder:?}");
    assert_eq!(left_out(&snapshot), 250);
}

/// A folder whose own list in `info` names these languages.
fn put_languages(disk: &Disk, info: &str, names: impl Iterator<Item = String>) {
    let languages = plist::Value::Array(names.map(plist::Value::from).collect());
    let list = [("CFBundleLocalizations".to_owned(), languages)];
    let list = plist::Dictionary::from_iter(list);
    plist::to_file_binary(
        disk.dir(format!("{PLUGINS}/{info}")).join("Info.plist"),
        &list,
    )
    .unwrap();
}

/// What the row of the folder says was not looked at.
fn unlisted(snapshot: &Snapshot) -> String {
    let sql = "SELECT error FROM dsplug_folders WHERE path LIKE '/Library/%'";
    query_in(snapshot, sql)[0]["error"].clone()
}

/// A name costs whoever writes the list nothing.
#[test]
fn languages_that_lead_nowhere_take_the_place_of_none_that_stands() {
    for (info, resources) in [
        ("", ""),
        ("Contents", "/Contents/Resources"),
        ("Resources", "/Resources"),
    ] {
        let disk = Disk::new();
        disk.dir(format!("{PLUGINS}{resources}"));
        Plugin::new("X").write(disk.dir("Users/Shared/zz.lproj"));
        let up = "../".repeat(3 + resources.matches('/').count());
        let names = (0..4_000).map(|n| format!("{n:04}"));
        let names = names.chain(["zz".to_owned()]);
        put_languages(
            &disk,
            info,
            names.map(|name| format!("{up}Users/Shared/{name}")),
        );
        let snapshot = scan_with(disk.path(), Limits::STANDARD);
        assert_eq!(unlisted(&snapshot), "", "{info}");
        is_shown(&snapshot, "X.dsplug");
        assert_eq!(shown(&snapshot).len(), 1, "{info}");
    }
}

/// Beyond what is looked for it is told that there is more.
#[test]
fn of_more_languages_than_are_looked_for_the_folder_tells() {
    for (standing, nowhere, told) in [
        (256, 0, ""),
        (257, 0, "more than 256 languages"),
        (0, 4_096, ""),
        (0, 4_097, "names more than 4096 languages"),
    ] {
        let disk = Disk::new();
        let shared = disk.dir("Users/Shared");
        for number in 0..standing {
            fs::create_dir(shared.join(format!("s{number}.lproj"))).unwrap();
        }
        let names = (0..nowhere).map(|n| format!("n{n}"));
        let names = (0..standing).map(|n| format!("s{n}")).chain(names);
        let names = names.map(|name| format!("../../../Users/Shared/{name}"));
        put_languages(&disk, "Contents", names);
        for place in ["", "below/e.lproj"] {
            Plugin::new("B").write(disk.plugin(place));
        }
        let snapshot = scan_with(disk.path(), Limits::STANDARD);
        let error = unlisted(&snapshot);
        assert!(error.contains(told), "{standing}: {error}");
        assert_eq!(error.is_empty(), told.is_empty(), "{error}");
        // No longer look would look for more.
        assert!(!error.contains("--thorough"), "{error}");
        // One of the rest may list them.
        let sql = "SELECT load_verdict FROM dsplug_bundles WHERE kind <> 'folder'";
        let verdicts = query_in(&snapshot, sql);
        let verdict = match told {
            "" => "not_loadable",
            _ => "unknown",
        };
        assert_eq!(verdicts.len(), 2);
        for row in verdicts {
            assert_eq!(row["load_verdict"], verdict, "{standing} {nowhere}");
        }
    }
}

/// Of a list of the folder that CoreFoundation may read, and that is not read here, nothing is proved not to be listed.
#[test]
fn a_list_of_languages_that_is_not_read_proves_nothing() {
    let language = "<key>CFBundleLocalizations</key><array><string>../sub/en</string></array>";
    let list = |rest: &str| format!("<plist version=\"1.0\"><dict>{language}{rest}</dict></plist>");
    let much = |of: &str, times: usize| format!("<key>x</key><array>{}</array>", of.repeat(times));
    let verdict = |info: String| {
        let disk = Disk::new();
        fs::write(
            disk.dir(format!("{PLUGINS}/Contents")).join("Info.plist"),
            info,
        )
        .unwrap();
        disk.dir(format!("{PLUGINS}/Contents/Resources"));
        for place in ["Contents/sub/en.lproj", "below"] {
            Plugin::new("B").write(disk.plugin(place));
        }
        let snapshot = scan_with(disk.path(), Limits::STANDARD);
        let sql =
            "SELECT path, load_verdict FROM dsplug_bundles WHERE kind <> 'folder' ORDER BY path";
        let rows = query_in(&snapshot, sql);
        let verdicts: Vec<_> = rows
            .into_iter()
            .map(|row| row["load_verdict"].clone())
            .collect();
        (verdicts, unlisted(&snapshot))
    };
    let unknown = ["unknown", "unknown"].map(String::from).to_vec();
    for (rest, told) in [
        (
            much("<string>abcdef</string>", 200_000),
            "could not be read whole",
        ),
        (
            much("<dict><key>a</key><true/></dict>", 60_000),
            "too many dictionaries",
        ),
        (
            "<key>x</key>".to_owned() + &"<array>".repeat(600) + &"</array>".repeat(600),
            "too",
        ),
    ] {
        let (verdicts, error) = verdict(list(&rest));
        assert!(error.contains(told), "{error}");
        assert_eq!(verdicts, unknown, "{told}");
    }
    // What CoreFoundation reads nothing of names no language.
    let (verdicts, error) = verdict(list("<key>"));
    assert!(error.contains("not a property list"), "{error}");
    assert_eq!(verdicts, ["not_loadable", "not_loadable"]);
    // One that is read does.
    let (verdicts, error) = verdict(list(""));
    assert_eq!(
        (verdicts.as_slice(), error.as_str()),
        (["unknown", "not_loadable"].map(String::from).as_slice(), "")
    );
}
