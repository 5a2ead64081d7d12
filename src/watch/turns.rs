//! The places of bundles, and whose turn it is: whoever plants bundles, however many, takes the watch of none that stood
//! there before.

use std::collections::BTreeSet;

use super::places::{Place, Places};
use crate::bundle::Bundle;
use crate::evidence::{Entry, Evidence, is_sealed};
use crate::meta::{Kind, Meta};
use crate::order;
use crate::root::Root;
use crate::scan::Snapshot;

/// Places in one bundle before all have had their turn: whoever plants a huge one takes nobody else's watch.
const MOST_INNER: usize = 32;
/// Directories on the way to what one bundle reaches outside, likewise.
const MOST_WAYS: usize = 32;
/// One bundle's part of the room, while each has all of its places in turn.
const PARTS: usize = 8;

/// Takes the places of all bundles; gives how many directories on ways there was no room for.
///
/// Half of the room is for whole bundles in turn, so that what stood there first is watched in all it is and reaches. The
/// rest is taken by what counts most, of all of them.
pub fn take(root: &Root, snapshot: &Snapshot, tells_writes: bool, places: &mut Places) -> usize {
    let bundles = in_turn(snapshot);
    let mut ways = Ways::new(root);
    let half = places.share(2);
    let each = places.share(PARTS).saturating_sub(places.list.len());
    for bundle in &bundles {
        let evidence = &bundle.evidence;
        places.limit = half;
        if !places.has_room() {
            break;
        }
        // What nobody writes to waits.
        if is_sealed(&evidence.candidate.path) {
            continue;
        }
        places.limit = half.min(places.list.len().saturating_add(each));
        own(evidence, tells_writes, places);
        code(evidence, tells_writes, places);
        // What is exchanged on them and put back leaves less behind than what is written.
        ways.take(evidence, places);
        linked(evidence, (tells_writes, MOST_INNER), places);
        inner(evidence, MOST_INNER, places);
    }
    places.limit = places.most;
    let evidence = || bundles.iter().map(|bundle| &*bundle.evidence);
    evidence().for_each(|evidence| own(evidence, tells_writes, places));
    evidence().for_each(|evidence| linked(evidence, (tells_writes, MOST_INNER), places));
    // What would be loaded, before all the rest.
    evidence().for_each(|evidence| code(evidence, tells_writes, places));
    evidence().for_each(|evidence| ways.take(evidence, places));
    evidence().for_each(|evidence| inner(evidence, MOST_INNER, places));
    // Then all that there is: what has no room is counted, and nothing is taken for still that is not watched.
    for evidence in evidence().filter(|evidence| !is_sealed(&evidence.candidate.path)) {
        linked(evidence, (tells_writes, usize::MAX), places);
        inner(evidence, usize::MAX, places);
        other_code(evidence, tells_writes, places);
    }
    ways.left()
}

/// The bundles, what stood there first before all others, and copies of another behind them all. Only the clock sets the
/// time by which they are sorted: whoever writes to the folder, or copies or renames something there, comes last.
fn in_turn(snapshot: &Snapshot) -> Vec<&Bundle> {
    let mut bundles: Vec<&Bundle> = snapshot.bundles.iter().map(AsRef::as_ref).collect();
    order::sort_by_key(&mut bundles, |bundle| bundle.evidence.meta.map(|m| m.ctime));
    let mut known = BTreeSet::new();
    order::sort_by_key(&mut bundles, |bundle| {
        bundle.digest.is_some_and(|digest| !known.insert(digest))
    });
    bundles
}

/// The bundle itself, and its main executable where that stands outside.
fn own(evidence: &Evidence, tells_writes: bool, places: &mut Places) {
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

/// What would be loaded of it, where its directory does not tell of writes to that.
fn code(evidence: &Evidence, tells_writes: bool, places: &mut Places) {
    if tells_writes {
        return;
    }
    if let Some(executable) = evidence.executable.as_ref().filter(|e| !e.is_outside()) {
        places.extend(regular(&executable.path, &executable.meta));
    }
    let plist = evidence.info_plist.as_ref();
    places.extend(plist.and_then(|p| regular(&p.path, p.meta.as_ref()?)));
}

/// All that may run of it, likewise.
fn other_code(evidence: &Evidence, tells_writes: bool, places: &mut Places) {
    if tells_writes {
        return;
    }
    let may_run = |e: &&Entry| e.content.code().is_some() || e.meta.is_executable();
    for entry in evidence.entries.iter().filter(may_run) {
        places.extend(regular(&evidence.path_of(entry), &entry.meta));
    }
}

/// What links lead to outside of a bundle: the directory, or the file, and the code in it where the
/// directory does not tell of writes to that.
fn linked(evidence: &Evidence, (tells_writes, most): (bool, usize), places: &mut Places) {
    for (path, place) in evidence.reach.places.iter() {
        match place.meta.kind {
            Kind::Directory => places.extend([Place::directory(path, &place.meta)]),
            Kind::File => places.extend(Place::file(path, &place.meta)),
            Kind::Symlink | Kind::Other(_) => {}
        }
        let inner = place.entries.iter().filter(|e| {
            let is_code = e.content.code().is_some();
            e.meta.kind == Kind::Directory || (is_code && !tells_writes)
        });
        for entry in inner.filter(|e| !e.path.is_empty()).take(most) {
            let at = [path, b"/".as_slice(), &entry.path].concat();
            match entry.meta.kind {
                Kind::Directory => places.extend([Place::directory(&at, &entry.meta)]),
                _ => places.extend(regular(&at, &entry.meta)),
            }
        }
    }
}

/// The directories in it, the near before the deep.
fn inner(evidence: &Evidence, most: usize, places: &mut Places) {
    let inner = evidence.entries.iter();
    let mut inner: Vec<_> = inner.filter(|e| e.meta.kind == Kind::Directory).collect();
    order::sort_by_key(&mut inner, |e| {
        e.path.iter().filter(|b| **b == b'/').count()
    });
    for entry in inner.into_iter().take(most) {
        places.extend([Place::directory(&evidence.path_of(entry), &entry.meta)]);
    }
}

fn regular(path: &[u8], meta: &Meta) -> Option<Place> {
    (meta.kind == Kind::File).then(|| Place::file(path, meta))?
}

/// The directories on the way to what bundles reach outside of them. One that is renamed tells it itself, and a link is
/// exchanged in its directory.
struct Ways<'a> {
    root: &'a Root,
    /// Those that had their turn, whoever asked for them.
    known: BTreeSet<&'a [u8]>,
    /// Those that a bundle had no room for: another that reaches through one of them may have.
    missed: BTreeSet<&'a [u8]>,
}

impl<'a> Ways<'a> {
    fn new(root: &'a Root) -> Self {
        Self {
            root,
            known: BTreeSet::new(),
            missed: BTreeSet::new(),
        }
    }

    fn take(&mut self, evidence: &'a Evidence, places: &mut Places) {
        let mut own = 0_usize;
        for path in evidence.reach.ways.directories() {
            if self.known.contains(path) {
                continue;
            }
            if own >= MOST_WAYS || !places.has_room() {
                self.missed.insert(path);
                continue;
            }
            own = own.saturating_add(1);
            self.known.insert(path);
            let found = self.root.find_entry(path).ok();
            let found = found.filter(|found| found.meta.kind == Kind::Directory);
            places.extend(found.map(|found| Place {
                is_way: true,
                ..Place::directory(path, &found.meta)
            }));
        }
    }

    /// How many there was no room for.
    fn left(&self) -> usize {
        self.missed.difference(&self.known).count()
    }
}
