//! The places where a hint is wanted, the most important first: the plug-in folders and what leads to
//! them, then each bundle, then what is in it.

use std::collections::{BTreeSet, VecDeque};

use super::places::{Place, Places};
use super::turns;
use crate::evidence::directory_of;
use crate::folders::FOLDERS;
use crate::meta::Kind;
use crate::name::{self, Suffix};
use crate::order;
use crate::root::{Found, Root};
use crate::scan::Snapshot;

/// Directories of a plug-in folder that are no bundles and are watched.
const MOST_SEARCHED: usize = 64;
/// How deep those are.
const DEPTH: usize = 3;
/// Names of one such directory that are looked through.
const MOST_NAMES: usize = 4_096;
/// Directories on the way of one path: whoever leads a link far takes nobody else's watch.
const MOST_WAYS: usize = 32;

/// The places that are wanted.
pub struct Wanted {
    /// Each once, the most important first, as many as can be watched.
    pub places: Vec<Place>,
    /// How many of them are the folders' own.
    pub folders: usize,
    /// How many more there would be.
    pub left: usize,
}

/// The places that are wanted, of which `most` can be watched. Where the watch of a directory `tells_writes`
/// to its files as well, these are not watched themselves.
pub fn wanted(root: &Root, snapshot: &Snapshot, tells_writes: bool, most: usize) -> Wanted {
    // Whoever plants links that lead far, by the hundred, takes no more time.
    let root = &root.for_one_watch();
    let mut places = Places::new(most);
    for folder in FOLDERS {
        ancestors(root, folder.as_bytes(), &mut places);
    }
    // Whoever has links there lead far takes the watch of no bundle.
    places.limit = places.share(2);
    let left = inside(root, snapshot, &mut places);
    places.limit = most;
    let folders = places.list.len();
    let is_short = places.left() > 0;
    let left = left.saturating_add(turns::take(root, snapshot, tells_writes, &mut places));
    if is_short {
        inside(root, snapshot, &mut places);
    }
    Wanted {
        folders,
        left: left.saturating_add(places.left()),
        places: places.list,
    }
}

/// Where in the plug-in folders candidates are looked for; gives how many there was no room for, beside those that the
/// places know of.
fn inside(root: &Root, snapshot: &Snapshot, places: &mut Places) -> usize {
    // Where something may load, before what is only searched.
    for path in snapshot.folders.iter().flat_map(|f| &f.listed_in) {
        held(root, path, places);
    }
    let mut left = 0_usize;
    for folder in FOLDERS {
        left = left.saturating_add(search(root, folder.as_bytes(), places));
    }
    left
}

/// The directories of the links on the way to a path, in which those are exchanged, and that in which it is not
/// there; and all above them and above where the links lead, of which one that is renamed takes with it what
/// stands below.
fn note_links(root: &Root, path: &[u8], places: &mut Places) -> Option<Found> {
    let mut steps = Vec::new();
    let mut is_far = false;
    let found = root.find_noting(path, &mut |passed| {
        let is_step = passed.text.is_some() || passed.meta.is_none();
        if is_step && steps.len() < MOST_WAYS {
            steps.push(passed.dir.to_vec());
        }
    });
    is_far |= found.as_ref().is_err_and(|error| error.is_limit());
    let end = found.as_ref().ok().filter(|found| found.links > 0);
    let end = end.map(Found::path);
    let mut above = BTreeSet::new();
    for below in steps.iter().chain(&end) {
        let mut dir = directory_of(below);
        while !dir.is_empty() && above.len() < MOST_WAYS && above.insert(dir) {
            dir = directory_of(dir);
        }
    }
    let steps = steps.iter().map(|dir| (dir.as_slice(), true));
    let above = above.into_iter().map(|dir| (dir, false));
    for (dir, is_step) in steps.chain(above) {
        let found = root.find_entry(dir);
        is_far |= found.as_ref().is_err_and(|error| error.is_limit());
        let found = found.ok();
        places.extend(found.map(|found| Place {
            is_ancestor: is_step,
            is_way: !is_step,
            ..Place::directory(dir, &found.meta)
        }));
    }
    places.far(is_far);
    found.ok()
}

/// Each directory on the way to a plug-in folder: one that is renamed, or replaced by a link, takes
/// the folder with it.
fn ancestors(root: &Root, folder: &[u8], places: &mut Places) {
    let ends = folder.iter().enumerate().filter(|(_, b)| **b == b'/');
    for (end, _) in ends {
        let path = folder.get(..end.max(1)).unwrap_or_default();
        let Some(found) = note_links(root, path, places) else {
            return;
        };
        if found.meta.kind == Kind::Directory {
            places.extend([Place {
                is_ancestor: true,
                ..Place::directory(path, &found.meta)
            }]);
        }
    }
}

/// A directory in which candidates are looked for.
fn held(root: &Root, path: &[u8], places: &mut Places) -> Option<Found> {
    let found = note_links(root, path, places)?;
    if found.meta.kind != Kind::Directory {
        return None;
    }
    places.extend([Place {
        holds_candidates: true,
        ..Place::directory(path, &found.meta)
    }]);
    Some(found)
}

/// The directories of a plug-in folder in which candidates are looked for, the near before the deep; gives how many
/// there was no room for, as far as that is known.
fn search(root: &Root, folder: &[u8], places: &mut Places) -> usize {
    let mut waiting = VecDeque::from([(folder.to_vec(), 0)]);
    let mut left = 0_usize;
    // A link that leads nowhere costs as much as one that leads far.
    for _ in 0..MOST_SEARCHED {
        let Some((path, depth)) = waiting.pop_front() else {
            return left;
        };
        let Some(found) = held(root, &path, places) else {
            continue;
        };
        let listed = found
            .open_dir()
            .and_then(|dir| Ok((dir.names(MOST_NAMES)?, dir)));
        let Ok(((names, is_cut), dir)) = listed else {
            continue;
        };
        // Any of those that are not looked at may lead on.
        left = left.saturating_add(usize::from(is_cut));
        let others = names.iter().filter(|n| name::suffix(n) == Suffix::Other);
        let mut ways: Vec<_> = others
            .filter_map(|name| Some((dir.meta(name).ok()?.kind, name)))
            .filter(|(kind, _)| matches!(kind, Kind::Directory | Kind::Symlink))
            .collect();
        if depth >= DEPTH || waiting.len() > MOST_SEARCHED {
            left = left.saturating_add(ways.len());
            continue;
        }
        // Directories first: whoever plants links takes no watch from them.
        order::sort_by_key(&mut ways, |(kind, _)| *kind == Kind::Symlink);
        let below = ways.into_iter().map(|(_, name)| {
            let below = [path.as_slice(), b"/", name].concat();
            (below, depth.saturating_add(1))
        });
        waiting.extend(below);
    }
    left.saturating_add(waiting.len())
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::limits::Limits;
    use crate::scan::Scanner;
    use dsplug_fixtures::{Disk, PLUGINS, Plugin};

    /// Whoever renames one of them has another folder stand there, and back, without a write to either.
    #[test]
    fn what_stands_above_the_end_of_a_link_to_a_folder_is_watched() {
        let disk = Disk::empty();
        let link = "Library/DirectoryServices";
        disk.dir("Users/a/b/DS/PlugIns");
        disk.link(link, "/Users/a/b/DS");
        let root = Root::open(disk.path()).unwrap();
        let wish = |path: &str| {
            let snapshot = Scanner::new(root.clone(), Limits::STANDARD).scan();
            let meta = root.find_entry(path.as_bytes()).unwrap().meta;
            let places = wanted(&root, &snapshot, true, 1_000).places;
            let place = places.into_iter().find(|place| place.id == meta.id());
            place.map(|place| place.wish())
        };
        let way = Some((false, false, true));
        let ancestor = Some((false, true, false));
        for path in ["/Users", "/Users/a", "/Users/a/b"] {
            assert_eq!(wish(path), way, "{path}");
        }
        assert_eq!(wish("/Library"), ancestor);
        assert_eq!(wish("/Users/a/b/DS"), ancestor);
        assert_eq!(wish("/Users/a/b/DS/PlugIns"), Some((true, false, false)));
        // Where it leads nowhere, what comes there is awaited in the directory that lacks it.
        std::fs::remove_dir_all(disk.at("Users/a/b")).unwrap();
        assert_eq!(wish("/Users/a"), ancestor);
        assert_eq!(wish("/Users"), way);
    }

    /// Each costs as much as the whole chain of links that it leads down; what is near is watched all the same.
    #[test]
    fn links_that_lead_far_take_few_steps_and_no_watch_of_what_is_near() {
        let disk = Disk::new();
        Plugin::new("A").write(disk.plugin(""));
        let far = disk.far(8, 450);
        for number in 0..MOST_SEARCHED {
            disk.link(disk.plugin(format!("x{number}")), &far);
        }
        let root = Root::open(disk.path()).unwrap();
        let snapshot = Scanner::new(root.clone(), Limits::STANDARD).scan();
        let wanted = wanted(&root, &snapshot, true, 1_000);
        assert!(wanted.left >= MOST_SEARCHED - 20, "{}", wanted.left);
        for below in ["A.dsplug", "A.dsplug/Contents/MacOS", ""] {
            let path = format!("/{PLUGINS}/{below}");
            let id = root.find_entry(path.as_bytes()).unwrap().meta.id();
            let is_watched = wanted.places.iter().any(|place| place.id == id);
            assert!(is_watched, "{path}");
        }
    }

    /// As the honest ones of many languages have; what has no room is counted.
    #[test]
    fn every_directory_of_a_bundle_of_many_is_wanted_and_of_what_its_links_lead_to() {
        let disk = Disk::new();
        let bundle = Plugin::new("A").write(disk.plugin(""));
        disk.link(bundle.join("Contents/out"), "/Users/Shared/out");
        for number in 0..50 {
            std::fs::create_dir(bundle.join(format!("Contents/{number}"))).unwrap();
            disk.dir(format!("Users/Shared/out/{number}"));
        }
        let deep = "Contents/Frameworks/F.framework/Versions/A";
        std::fs::create_dir_all(bundle.join(deep)).unwrap();
        let library = bundle.join(deep).join("F");
        std::fs::write(
            &library,
            dsplug_fixtures::mach_header(dsplug_fixtures::X86_64),
        )
        .unwrap();
        let root = Root::open(disk.path()).unwrap();
        let snapshot = Scanner::new(root.clone(), Limits::STANDARD).scan();
        let is_wanted = |path: &str, tells_writes| {
            let wanted = wanted(&root, &snapshot, tells_writes, 1_000);
            assert_eq!(wanted.left, 0);
            let id = root.find_entry(path.as_bytes()).unwrap().meta.id();
            wanted.places.iter().any(|place| place.id == id)
        };
        let below = format!("/{PLUGINS}/A.dsplug/{deep}");
        for path in [&below, "/Users/Shared/out/49"] {
            assert!(is_wanted(path, true), "{path}");
        }
        // Where directories do not tell of writes, each file of code is.
        let library = format!("{below}/F");
        assert!(is_wanted(&library, false) && !is_wanted(&library, true));
        assert!(wanted(&root, &snapshot, true, 100).left > 0);
    }

    /// Among the names that are not looked at a directory of candidates may stand.
    #[test]
    fn a_directory_of_more_names_than_are_looked_at_is_not_watched_whole() {
        let disk = Disk::new();
        let root = Root::open(disk.path()).unwrap();
        let snapshot = Scanner::new(root.clone(), Limits::STANDARD).scan();
        let left = || wanted(&root, &snapshot, true, 1_000).left;
        for number in 0..MOST_NAMES {
            disk.file(format!("{}/{number}", dsplug_fixtures::PLUGINS), "");
        }
        assert_eq!(left(), 0);
        disk.file(format!("{}/more", dsplug_fixtures::PLUGINS), "");
        assert_eq!(left(), 1);
    }

    #[test]
    fn directories_deeper_than_candidates_are_looked_for_are_counted() {
        let disk = Disk::new();
        let root = Root::open(disk.path()).unwrap();
        let snapshot = Scanner::new(root.clone(), Limits::STANDARD).scan();
        let left = || wanted(&root, &snapshot, true, 1_000).left;
        disk.dir(format!("{PLUGINS}/a/b/c"));
        assert_eq!(left(), 0);
        disk.dir(format!("{PLUGINS}/a/b/c/d"));
        assert_eq!(left(), 1);
    }

    /// A directory that is wished for twice is watched for both: whoever has a link in a plug-in folder
    /// lead there has it looked at as a mere step of the way first.
    #[test]
    fn a_folder_that_is_reached_through_itself_is_watched_as_a_folder() {
        let disk = Disk::empty();
        let folder = "Library/Real/PlugIns";
        disk.dir(folder);
        disk.link(format!("{folder}/loop"), "..");
        disk.link("Library/DirectoryServices", "/Library/Real/PlugIns/loop");
        let root = Root::open(disk.path()).unwrap();
        let meta = root.find(format!("/{folder}").as_bytes()).unwrap().meta;
        let id = (meta.dev, meta.ino);
        let snapshot = Scanner::new(root.clone(), Limits::STANDARD).scan();
        let places = wanted(&root, &snapshot, true, 1_000).places;
        let place: Vec<_> = places.iter().filter(|place| place.id == id).collect();
        assert_eq!(place.len(), 1);
        assert!(place[0].holds_candidates, "{place:?}");
        // As candidates in it are named.
        assert_eq!(place[0].path, b"/Library/DirectoryServices/PlugIns");
        assert!(!place[0].is_ancestor && !place[0].is_way, "{place:?}");
    }

    /// As many as a Mac has.
    const FEW: usize = 96;
    const FW: &str = "Users/Shared/zz/fw";

    /// A bundle that reaches through a directory, by whatever name, and stands there before all that comes later.
    fn legit(disk: &Disk, name: &str) {
        disk.file(format!("{FW}/sub/code"), "code");
        Plugin::new(name).write_as(disk.plugin(format!("{name}.dsplug")));
        let link = format!("{PLUGINS}/{name}.dsplug/Contents/x");
        disk.link(link, format!("/{FW}/sub/code"));
        later();
    }

    /// File systems tell times apart by the ticks of the kernel's clock.
    fn later() {
        thread::sleep(Duration::from_millis(20));
    }

    /// A bundle with so many ways of its own.
    fn junk(disk: &Disk, name: &str, ways: usize) {
        Plugin::new(name).write_as(disk.plugin(format!("{name}.dsplug")));
        for number in 0..ways {
            let file = format!("Users/Shared/{name}{number:02}/f");
            disk.file(&file, "x");
            let link = format!("{PLUGINS}/{name}.dsplug/Contents/l{number:02}");
            disk.link(link, format!("/{file}"));
        }
    }

    #[track_caller]
    fn are_watched(disk: &Disk, tells_writes: bool, most: usize, paths: &[&str]) {
        let root = Root::open(disk.path()).unwrap();
        let snapshot = Scanner::new(root.clone(), Limits::STANDARD).scan();
        let wanted = wanted(&root, &snapshot, tells_writes, most);
        assert!(wanted.places.len() <= most);
        for path in paths {
            let id = root.find_entry(path.as_bytes()).unwrap().meta.id();
            let is_watched = wanted.places.iter().any(|place| place.id == id);
            assert!(is_watched, "{path}, {tells_writes}");
        }
    }

    const WAYS: [&str; 3] = [
        "/Users/Shared/zz",
        "/Users/Shared/zz/fw",
        "/Users/Shared/zz/fw/sub",
    ];

    /// What one has no room for another has.
    #[test]
    fn a_bundle_of_many_ways_takes_the_watch_off_no_way_of_another() {
        let disk = Disk::new();
        junk(&disk, "AAA", 40);
        let link = format!("{PLUGINS}/AAA.dsplug/Contents/z");
        disk.link(link, format!("/{FW}/sub/code"));
        later();
        legit(&disk, "Legit");
        are_watched(&disk, true, 1_000, &WAYS);
        // Nor where there is no room for more.
        for tells_writes in [false, true] {
            are_watched(&disk, tells_writes, FEW, &WAYS);
        }
    }

    /// Neither copies of one, nor of which each is another.
    #[test]
    fn no_number_of_bundles_takes_a_place_of_what_stood_there() {
        for are_copies in [true, false] {
            let disk = Disk::new();
            legit(&disk, "Legit");
            for number in 0..100 {
                let (name, code) = match are_copies {
                    true => ("X".to_owned(), "code".to_owned()),
                    false => (format!("X{number}"), format!("code{number}")),
                };
                Plugin::new(&name)
                    .executable(code)
                    .write_as(disk.plugin(format!("A{number:03}.dsplug")));
            }
            let [own, code, within] = ["", "/MacOS/Legit", "/MacOS"].map(|rest| {
                let contents = if rest.is_empty() { "" } else { "/Contents" };
                format!("/{PLUGINS}/Legit.dsplug{contents}{rest}")
            });
            let mut paths = WAYS.to_vec();
            paths.push(&own);
            are_watched(&disk, true, FEW, &[&paths[..], &[&within]].concat());
            are_watched(&disk, false, FEW, &[&paths[..], &[&code]].concat());
        }
    }

    /// Of copies the first stands for all, whichever came first of the others.
    #[test]
    fn copies_come_behind_what_came_after_them() {
        let disk = Disk::new();
        for number in 0..100 {
            Plugin::new("X").write_as(disk.plugin(format!("A{number:03}.dsplug")));
        }
        later();
        legit(&disk, "Legit");
        for tells_writes in [false, true] {
            are_watched(&disk, tells_writes, FEW, &WAYS);
        }
    }

    /// However much one holds that stood there first, it has its part of the room for whole bundles.
    #[test]
    fn a_bundle_that_stood_there_first_takes_no_more_than_its_part() {
        let disk = Disk::new();
        junk(&disk, "AAA", 32);
        for number in 0..32 {
            disk.dir(format!("{PLUGINS}/AAA.dsplug/Contents/{number}"));
        }
        later();
        legit(&disk, "Legit");
        for number in 0..100 {
            Plugin::new(&format!("X{number}")).write_as(disk.plugin(format!("X{number}.dsplug")));
        }
        are_watched(&disk, true, FEW, &WAYS);
    }

    /// Whole bundles in turn leave room for what counts most of all others.
    #[test]
    fn those_that_stood_there_first_leave_room_for_those_that_come() {
        let disk = Disk::new();
        for number in 0..12 {
            junk(&disk, &format!("A{number}"), 30);
        }
        later();
        legit(&disk, "Legit");
        let own = format!("/{PLUGINS}/Legit.dsplug");
        are_watched(&disk, true, FEW, &[&own]);
    }

    /// Each that leads far is looked at before any bundle.
    #[test]
    fn links_in_the_folder_take_the_watch_of_no_bundle() {
        let disk = Disk::new();
        legit(&disk, "Legit");
        for number in 0..10 {
            let deep = format!("Users/Shared/{number}{}", "/d".repeat(30));
            disk.dir(&deep);
            disk.link(format!("{PLUGINS}/{number}"), format!("/{deep}"));
        }
        for tells_writes in [false, true] {
            are_watched(&disk, tells_writes, FEW, &WAYS);
        }
    }
}
