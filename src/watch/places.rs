//! The places where a hint is wanted, the most important first: the plug-in folders and what leads to
//! them, then each bundle, then what is in it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::evidence::{Evidence, directory_of};
use crate::folders::FOLDERS;
use crate::meta::{Kind, Meta};
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
/// Places in one bundle: whoever plants a huge one takes nobody else's watch.
const MOST_INNER: usize = 32;
/// Directories on the way to what one bundle reaches outside, and on the way of one path, likewise.
const MOST_WAYS: usize = 32;

/// A place to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory, as the Mac names it.
    pub path: Vec<u8>,
    /// The file in it that is watched instead of it.
    pub file: Option<Vec<u8>>,
    /// Device and inode of what is watched.
    pub id: (u64, u64),
    /// True when what comes in it may be a candidate.
    pub holds_candidates: bool,
    /// True when it only leads to a plug-in folder.
    pub is_ancestor: bool,
    /// True when it only leads to what a bundle reaches outside: what comes and goes in it may be anybody's.
    pub is_way: bool,
}

/// What is asked of the watch of a place, whatever it is called.
pub type Wish = (bool, bool, bool);

impl Place {
    /// What is asked of its watch.
    pub fn wish(&self) -> Wish {
        (self.holds_candidates, self.is_ancestor, self.is_way)
    }

    /// Takes over what is asked of the same place by another name: it is watched once.
    fn also(&mut self, other: Self) {
        let leads = |place: &Self| place.is_ancestor || place.is_way;
        let only_leads = leads(self) && leads(&other);
        // Of the two, a way to a plug-in folder asks for more.
        self.is_way &= other.is_way;
        self.is_ancestor = only_leads && !self.is_way;
        if other.holds_candidates && !self.holds_candidates {
            // As the candidates in it are called.
            (self.path, self.holds_candidates) = (other.path, true);
        }
    }

    fn directory(path: &[u8], meta: &Meta) -> Self {
        Self {
            path: path.to_vec(),
            file: None,
            id: (meta.dev, meta.ino),
            holds_candidates: false,
            is_ancestor: false,
            is_way: false,
        }
    }

    fn file(path: &[u8], meta: &Meta) -> Option<Self> {
        let at = path.iter().rposition(|b| *b == b'/')?;
        let (directory, name) = path.split_at_checked(at)?;
        Some(Self {
            file: Some(name.strip_prefix(b"/")?.to_vec()),
            ..Self::directory(
                if directory.is_empty() {
                    b"/"
                } else {
                    directory
                },
                meta,
            )
        })
    }
}

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
    let mut places = Places::new(most);
    for folder in FOLDERS {
        ancestors(root, folder.as_bytes(), &mut places);
    }
    // Where something may load, before what is only searched.
    for path in snapshot.folders.iter().flat_map(|f| &f.listed_in) {
        held(root, path, &mut places);
    }
    let mut left = 0_usize;
    for folder in FOLDERS {
        left = left.saturating_add(search(root, folder.as_bytes(), &mut places));
    }
    let folders = places.list.len();
    for bundle in &snapshot.bundles {
        let evidence = &bundle.evidence;
        let meta = evidence.resolved_meta.as_ref();
        match meta.map(|m| m.kind) {
            Some(Kind::Directory) => {
                places.extend(meta.map(|m| Place::directory(&evidence.candidate.path, m)));
            }
            // Where a directory tells of its files, that of a candidate is watched already, but
            // not that of what it links to.
            Some(Kind::File) if !tells_writes || evidence.symlink_target.is_some() => {
                places.extend(meta.and_then(|m| Place::file(&evidence.resolved_path, m)));
            }
            _ => {}
        }
        if let Some(executable) = evidence.executable.as_ref().filter(|e| e.is_outside()) {
            places.extend(regular(&executable.path, &executable.meta));
        }
    }
    for bundle in &snapshot.bundles {
        linked(&bundle.evidence, tells_writes, &mut places);
    }
    if !tells_writes {
        // What would be loaded, before all the rest.
        for bundle in &snapshot.bundles {
            let evidence = &bundle.evidence;
            if let Some(executable) = evidence.executable.as_ref().filter(|e| !e.is_outside()) {
                places.extend(regular(&executable.path, &executable.meta));
            }
            let plist = evidence.info_plist.as_ref();
            places.extend(plist.and_then(|p| regular(&p.path, p.meta.as_ref()?)));
        }
    }
    left = left.saturating_add(ways(root, snapshot, most, &mut places));
    for bundle in &snapshot.bundles {
        let evidence = &bundle.evidence;
        let inner = evidence.entries.iter();
        let mut inner: Vec<_> = inner.filter(|e| e.meta.kind == Kind::Directory).collect();
        order::sort_by_key(&mut inner, |e| {
            e.path.iter().filter(|b| **b == b'/').count()
        });
        for entry in inner.into_iter().take(MOST_INNER) {
            places.extend([Place::directory(&evidence.path_of(entry), &entry.meta)]);
        }
    }
    Wanted {
        folders,
        left: left.saturating_add(places.left),
        places: places.list,
    }
}

/// The directories on the way to what bundles reach outside of them; gives how many there was no room for. One
/// that is renamed tells it itself, and a link is exchanged in its directory.
fn ways(root: &Root, snapshot: &Snapshot, most: usize, places: &mut Places) -> usize {
    let mut known: BTreeSet<&[u8]> = BTreeSet::new();
    let mut left = 0_usize;
    for bundle in &snapshot.bundles {
        let mut own = 0_usize;
        for path in bundle.evidence.reach.ways.directories() {
            if !known.insert(path) {
                continue;
            }
            own = own.saturating_add(1);
            if own > MOST_WAYS || places.list.len() >= most {
                left = left.saturating_add(1);
                continue;
            }
            let found = root.find_entry(path).ok();
            let found = found.filter(|found| found.meta.kind == Kind::Directory);
            places.extend(found.map(|found| Place {
                is_way: true,
                ..Place::directory(path, &found.meta)
            }));
        }
    }
    left
}

/// What links lead to outside of a bundle: the directory, or the file, and the code in it where the
/// directory does not tell of writes to that.
fn linked(evidence: &Evidence, tells_writes: bool, places: &mut Places) {
    for (path, place) in evidence.reach.places.iter() {
        match place.meta.kind {
            Kind::Directory => places.extend([Place::directory(path, &place.meta)]),
            Kind::File => places.extend(Place::file(path, &place.meta)),
            Kind::Symlink | Kind::Other => {}
        }
        let inner = place.entries.iter().filter(|e| {
            let is_code = e.content.code().is_some();
            e.meta.kind == Kind::Directory || (is_code && !tells_writes)
        });
        for entry in inner.filter(|e| !e.path.is_empty()).take(MOST_INNER) {
            let at = [path, b"/".as_slice(), &entry.path].concat();
            match entry.meta.kind {
                Kind::Directory => places.extend([Place::directory(&at, &entry.meta)]),
                _ => places.extend(regular(&at, &entry.meta)),
            }
        }
    }
}

fn regular(path: &[u8], meta: &Meta) -> Option<Place> {
    (meta.kind == Kind::File).then(|| Place::file(path, meta))?
}

/// The directories of the links on the way to a path, in which those are exchanged, and that in which it is not
/// there; and all above them and above where the links lead, of which one that is renamed takes with it what
/// stands below.
fn note_links(root: &Root, path: &[u8], places: &mut Places) -> Option<Found> {
    let mut steps = Vec::new();
    let found = root.find_noting(path, &mut |passed| {
        let is_step = passed.text.is_some() || passed.meta.is_none();
        if is_step && steps.len() < MOST_WAYS {
            steps.push(passed.dir.to_vec());
        }
    });
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
        let found = root.find_entry(dir).ok();
        places.extend(found.map(|found| Place {
            is_ancestor: is_step,
            is_way: !is_step,
            ..Place::directory(dir, &found.meta)
        }));
    }
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
        if depth >= DEPTH || waiting.len() > MOST_SEARCHED {
            continue;
        }
        let others = names.iter().filter(|n| name::suffix(n) == Suffix::Other);
        let mut ways: Vec<_> = others
            .filter_map(|name| Some((dir.meta(name).ok()?.kind, name)))
            .filter(|(kind, _)| matches!(kind, Kind::Directory | Kind::Symlink))
            .collect();
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

struct Places {
    list: Vec<Place>,
    /// How many of them there may be.
    most: usize,
    /// Where each stands in the list, and what is beyond it.
    seen: BTreeMap<(u64, u64), Option<usize>>,
    /// How many those are.
    left: usize,
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            list: Vec::new(),
            most,
            seen: BTreeMap::new(),
            left: 0,
        }
    }

    fn extend(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            match self.seen.entry(place.id) {
                Entry::Occupied(known) => {
                    let known = known.get().and_then(|at| self.list.get_mut(at));
                    if let Some(known) = known {
                        known.also(place);
                    }
                }
                Entry::Vacant(new) => {
                    let has_room = self.list.len() < self.most;
                    new.insert(has_room.then_some(self.list.len()));
                    if has_room {
                        self.list.push(place);
                    } else {
                        self.left = self.left.saturating_add(1);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::scan::Scanner;
    use dsplug_fixtures::Disk;

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
}
