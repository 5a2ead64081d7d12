//! What is reached from a bundle outside of it, through links that lead out and by the libraries that its code
//! names (`libraries`): no digest of the bundle's own reaches that, and a library behind
//! `Contents/Frameworks -> /Users/Shared/fw` loads all the same.
//!
//! Each place is walked and read like a bundle, bounded by itself, and links in it are followed on to
//! further places: files first, for a link to one costs little, and above it may stand what fills every limit.
//! Of a place beyond a limit the status alone is asked. Where a link leads is resolved in the root, as
//! everywhere.

mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::codesign::CodeFacts;
use crate::evidence::beyond::{self, Seen};
use crate::evidence::content::Reader;
use crate::evidence::entry::{Content, Entry};
use crate::evidence::facts::Evidence;
use crate::evidence::known::Before;
use crate::evidence::libraries::Libraries;
use crate::evidence::loads::Code;
use crate::evidence::names::{are_beside, behind_links, named_outside};
use crate::evidence::paths::{directory_of, is_below, join};
use crate::evidence::reach::{Beyond, Linked, Reach};
use crate::evidence::roles::{By, Roles};
use crate::evidence::sum::Sum;
use crate::evidence::trouble::{Trouble, tell};
use crate::evidence::turn::Part;
use crate::evidence::ways::Ways;
use crate::limits::Budget;
use crate::meta::{Kind, Meta};
use crate::root::{Found, Root};
use crate::text::escape;

/// Places that are looked at for one candidate.
const MOST_PLACES: usize = 32;
/// Links of one candidate that are followed, of those that differ: each may lead far.
const MOST_FOLLOWED: usize = 1_024;
/// For how many entries a place counts, besides its path and what it holds.
const PLACE_WEIGHT: usize = 2;
/// Entries of all of them together.
const MOST_ENTRIES: usize = 4096;
/// Bytes of all of them together.
const MOST_BYTES: u64 = 256 << 20;

/// Finds and reads the places that links of a bundle lead to. What was read `before` and has not
/// changed since is not read again, but for code when it is to be read `again`. No more bytes than `most` are read.
pub fn read(
    root: &Root,
    evidence: &mut Evidence,
    before: Option<Before<'_>>,
    most: u64,
    reader: &mut Reader<'_>,
    budget: &mut Budget,
) {
    let mut search = Search {
        root,
        library_root: &root.trusting_system(),
        home: evidence.resolved_path.clone(),
        candidate: evidence.candidate.path.clone(),
        files: Vec::new(),
        directories: Vec::new(),
        places: BTreeMap::new(),
        left: BTreeMap::new(),
        beyond: BTreeMap::new(),
        troubles: Vec::new(),
        is_full: false,
        is_cut: false,
        is_unsure: false,
        is_blind: false,
        comes_back: false,
        followed: BTreeMap::new(),
        by_links: BTreeSet::new(),
        behind_links: BTreeSet::new(),
        ways: std::mem::take(&mut evidence.ways),
        libraries: Libraries::of(evidence),
        roles: Roles::of(evidence.homes()),
        entries: MOST_ENTRIES,
        bytes: MOST_BYTES.min(most),
        part: Part::of(before),
    };
    for link in evidence.entries.iter().filter(|e| e.link.is_some()) {
        search.libraries.note_link(&link.path);
    }
    if evidence.is_left_out {
        search.libraries.note_more_links();
    }
    let links = evidence.entries.iter().filter(|e| e.may_lead_out());
    for link in links {
        let text = link.link.as_deref().unwrap_or_default();
        search.follow(&evidence.path_of(link), text, budget);
    }
    // They are of no use once they are followed, and whoever planted them chose how many there are.
    for (path, text) in std::mem::take(&mut evidence.links_beyond) {
        let link = [&evidence.candidate.path, b"/".as_slice(), &path].concat();
        search.follow(&link, &text, budget);
    }
    search.load_all(evidence, budget);
    loop {
        let waiting = search.files.pop().or_else(|| search.directories.pop());
        if let Some((path, found)) = waiting {
            search.take(path, &found, before, reader, budget);
        } else if let Some((path, meta)) = search.left.pop_first() {
            let old = before.and_then(|before| before.evidence.reach.beyond.get(&path));
            search.look(path, meta, old, budget);
        } else {
            break;
        }
    }
    search.doubt_links(evidence);
    search.fold();
    if search.is_full {
        search.troubles.push(Trouble::Limit(format!(
            "links and libraries lead to more than {MOST_PLACES} places outside of the bundle"
        )));
        search.places.values_mut().for_each(|p| p.is_whole = false);
    }
    if search.is_cut {
        search.troubles.push(Trouble::Limit(format!(
            "not all links were followed, of which there are more than {MOST_FOLLOWED}, or the time of the scan is spent"
        )));
    }
    if search.ways.are_cut() {
        search.is_unsure = true;
        search.troubles.push(Trouble::Limit(
            "what leads out of it passes more names than are kept, and can be exchanged unseen"
                .into(),
        ));
    }
    evidence.is_linked_cut = search.is_cut || search.is_unsure;
    evidence.is_blind |= search.is_blind || search.is_cut || search.is_unsure;
    let comes_back = search.comes_back || search.libraries.come_back();
    evidence.comes_back |= comes_back;
    evidence.troubles.append(&mut search.troubles);
    for mount in search.ways.mounts() {
        evidence.tell_mount(root, mount);
    }
    search.ways.end();
    let places = search.places.into();
    let reach = Reach {
        roles: search.roles.all(&places, &evidence.entries),
        places,
        beyond: search.beyond.into(),
        links: search.by_links.len(),
        loads: search.libraries.into_outside(),
        ways: Arc::new(search.ways),
        comes_back,
    };
    evidence.reach = reach.shared(before.map(|before| &before.evidence.reach));
    evidence.is_linked_late = budget.is_late();
    if let Some(Before {
        evidence: before, ..
    }) = before
    {
        let is_cut = search.is_cut && evidence.is_linked_late;
        search.part.end(evidence, before, is_cut);
    }
}

struct Search<'a> {
    root: &'a Root,
    /// By which libraries are looked for.
    library_root: &'a Root,
    /// Where the bundle really stands.
    home: Vec<u8>,
    /// Its path.
    candidate: Vec<u8>,
    /// Places that are yet to be read: what is no directory, and what is one.
    files: Vec<(Vec<u8>, Found)>,
    directories: Vec<(Vec<u8>, Found)>,
    places: BTreeMap<Vec<u8>, Linked>,
    /// Places that are yet to be looked at, because something there is beyond a limit.
    left: BTreeMap<Vec<u8>, Meta>,
    beyond: BTreeMap<Vec<u8>, Beyond>,
    troubles: Vec<Trouble>,
    /// True when there are more places than are looked at.
    is_full: bool,
    /// True when not all links were followed.
    is_cut: bool,
    /// True when it is not known where one of them leads.
    is_unsure: bool,
    /// True when something was not looked at.
    is_blind: bool,
    /// True when one leads out, and back into the bundle from there.
    comes_back: bool,
    /// The links that were followed, by where they lead; with the path of what they lead to where that is a file which
    /// none of them leads to from another directory.
    followed: BTreeMap<[u8; 32], Option<Box<[u8]>>>,
    /// Places outside of the bundle that links lead to.
    by_links: BTreeSet<Vec<u8>>,
    /// Files to which a link that stands outside, or leads there, leads from another directory.
    behind_links: BTreeSet<Vec<u8>>,
    ways: Ways,
    libraries: Libraries,
    roles: Roles,
    entries: usize,
    bytes: u64,
    /// What is read again of what is known.
    part: Part,
}

impl Search<'_> {
    /// Looks where a link leads; a place that is new is taken up.
    fn follow(&mut self, link: &[u8], text: &[u8], budget: &Budget) {
        // Where it leads hangs on its text, and for a relative one on where it stands.
        let above = if text.starts_with(b"/") {
            b"".as_slice()
        } else {
            directory_of(link)
        };
        let mut key = Sha256::new();
        key.update(above);
        key.update([0]);
        key.update(text);
        let key: [u8; 32] = key.finalize().into();
        if self.is_cut || self.is_followed(&key, link) {
            return;
        }
        self.followed.insert(key, None);
        if self.followed.len() > MOST_FOLLOWED || budget.is_late() {
            self.is_cut = true;
            return;
        }
        let found = match self.ways.find(self.root, link, budget) {
            Ok(found) => found,
            // When something stands there one day, it is a new place.
            Err(error) if error.leads_nowhere() => {
                self.roles.add(By::Link, link, None);
                let end = self.ways.last_end();
                if !is_below(&end, &self.home) {
                    self.by_links.insert(end);
                }
                return;
            }
            // A Mac may find something there all the same.
            Err(error) => {
                self.is_unsure = true;
                return tell(&mut self.troubles, Trouble::of_entry(&error));
            }
        };
        let path = found.path();
        if !self.note_link(link, &path, &found) && found.meta.kind == Kind::File {
            self.followed.insert(key, Some(path.clone().into()));
        }
        if !is_below(&path, &self.home) {
            self.roles.add(By::Link, link, Some(&path));
            self.by_links.insert(path.clone());
            self.take_up(path, found, budget);
        } else {
            let at = match above {
                b"" => text.to_vec(),
                _ => [above, b"/".as_slice(), text].concat(),
            };
            if self.ways.has_strayed() || !self.libraries.stay_home(&at) {
                self.comes_back = true;
                self.roles.add(By::Link, link, Some(&path));
            }
        }
    }

    /// True when one that leads to the same was followed; takes note of it where this one stands in another directory.
    fn is_followed(&mut self, key: &[u8; 32], link: &[u8]) -> bool {
        let Some(to) = self.followed.get_mut(key) else {
            return false;
        };
        let is_elsewhere = |path: &mut Box<[u8]>| directory_of(path) != directory_of(link);
        if let Some(path) = to.take_if(is_elsewhere)
            && self.is_outside(link, &path)
        {
            self.behind_links.insert(path.into());
        }
        true
    }

    /// Has a place outside of the bundle read, unless it is known.
    fn take_up(&mut self, path: Vec<u8>, found: Found, budget: &Budget) {
        if self.is_known(&path, found.meta.kind) {
            return;
        }
        let waiting = self.files.len().saturating_add(self.directories.len());
        if self.places.len().saturating_add(waiting) >= MOST_PLACES {
            self.is_full = true;
            self.leave(path, found.meta, budget);
        } else if found.meta.kind == Kind::Directory {
            self.directories.push((path, found));
        } else {
            self.files.push((path, found));
        }
    }

    /// Leaves a place to be looked at by its status alone.
    fn leave(&mut self, path: Vec<u8>, meta: Meta, budget: &Budget) {
        if budget.take_texts(path.len()) {
            self.left.insert(path, meta);
        } else {
            self.is_blind = true;
        }
    }

    /// Looks up the libraries that all code of a bundle names.
    fn load_all(&mut self, evidence: &Evidence, budget: &Budget) {
        for path in named_outside(evidence) {
            self.doubt_name(&path);
        }
        let own = evidence.entries.iter().filter_map(|entry| {
            let above = directory_of(&entry.path);
            let at = match above {
                b"" => self.home.clone(),
                _ => [&self.home, b"/".as_slice(), above].concat(),
            };
            Some((entry.content.code()?, at))
        });
        let executable = evidence.executable.as_ref();
        let outside = executable.filter(|e| e.is_outside());
        let outside =
            outside.and_then(|e| Some((e.outside.code()?, directory_of(&e.path).to_vec())));
        let all: Vec<(&CodeFacts, Vec<u8>)> = own.chain(outside).collect();
        // What code names that was not read nobody knows.
        let is_unread = |content: &Content| content.sha256().is_none();
        let mut files = evidence.files();
        self.is_blind |= evidence.is_left_out;
        self.is_unsure |= files.any(|file| is_unread(&file.content))
            || executable.is_some_and(|e| e.is_outside() && is_unread(&e.outside));
        for (facts, at) in &all {
            self.ask(Code { facts, at }, budget);
        }
    }

    /// Code that names libraries beside itself has another name, and so another directory, of which nothing is known.
    fn doubt_name(&mut self, path: &[u8]) {
        self.is_unsure = true;
        let path = escape(path);
        let why = format!(
            "{path} has other names, and dyld may look beside any of them for the libraries that it names by @loader_path"
        );
        tell(&mut self.troubles, Trouble::Ambiguous(why));
    }

    /// Takes note of a file that a link leads to from another directory; true when there is nothing more to note of it.
    fn note_link(&mut self, asked: &[u8], path: &[u8], found: &Found) -> bool {
        let is_behind = found.meta.kind == Kind::File
            && self.is_outside(asked, path)
            && self.root.links_elsewhere(asked, found);
        if is_behind {
            self.behind_links.insert(path.to_vec());
        }
        is_behind
    }

    /// True when a link or what it leads to is not of the bundle; those that are, are looked at together.
    fn is_outside(&self, link: &[u8], path: &[u8]) -> bool {
        let is_own = is_below(link, &self.candidate) || is_below(link, &self.home);
        !is_own || !is_below(path, &self.home)
    }

    /// Code that names libraries beside itself, and stands behind a link.
    fn doubt_links(&mut self, evidence: &Evidence) {
        let mut doubtful = behind_links(self.root, &self.home, &evidence.entries);
        doubtful.extend(self.behind_outside(&self.home, &evidence.entries));
        for (path, place) in &self.places {
            doubtful.extend(behind_links(self.root, path, &place.entries));
            doubtful.extend(self.behind_outside(path, &place.entries));
        }
        let executable = evidence.executable.iter();
        let executable = executable.filter(|e| {
            let is_behind = e.is_behind_link || self.behind_links.contains(&e.path);
            is_behind && e.outside.code().is_some_and(are_beside)
        });
        doubtful.extend(executable.map(|executable| executable.path.clone()));
        for path in doubtful {
            self.is_unsure = true;
            let path = escape(&path);
            let why = format!(
                "a link leads or may lead to {path}, and before macOS 12 dyld may look beside that for the libraries that it names by @loader_path"
            );
            tell(&mut self.troubles, Trouble::Ambiguous(why));
        }
    }

    /// The paths of code below a directory that names libraries beside itself, to which a link leads that was noted.
    fn behind_outside<'b>(
        &'b self,
        above: &'b [u8],
        entries: &'b [Entry],
    ) -> impl Iterator<Item = Vec<u8>> + 'b {
        let code = entries.iter();
        let code = code.filter(|entry| entry.content.code().is_some_and(are_beside));
        code.map(|entry| join(above, &entry.path))
            .filter(|path| self.behind_links.contains(path))
    }

    /// Looks up the libraries that code names; what stands outside is taken up.
    fn ask(&mut self, code: Code<'_>, budget: &Budget) {
        let mut libraries = std::mem::take(&mut self.libraries);
        let mut ways = std::mem::take(&mut self.ways);
        libraries.ask(
            code,
            (self.library_root, &mut ways),
            budget,
            &mut |answer| match answer {
                Ok((asked, path, found)) => {
                    self.roles.add(By::Code, &asked, Some(&path));
                    self.note_link(&asked, &path, &found);
                    if !is_below(&path, &self.home) {
                        self.take_up(path, found, budget);
                    }
                }
                Err(trouble) => {
                    self.is_unsure = true;
                    tell(&mut self.troubles, trouble);
                }
            },
        );
        self.libraries = libraries;
        self.ways = ways;
    }

    /// True when a place is taken up already, or stands in one. A file is read by itself unless all of the
    /// directory above it was.
    fn is_known(&self, path: &[u8], kind: Kind) -> bool {
        let is_waiting = self.files.iter().any(|(known, _)| known == path);
        if is_waiting
            || self.places.contains_key(path)
            || self.left.contains_key(path)
            || self.beyond.contains_key(path)
        {
            return true;
        }
        let taken = self.places.iter();
        let mut taken = taken.filter(|(_, p)| p.is_whole || kind == Kind::Directory);
        let waiting = self.directories.iter().map(|(p, _)| p);
        let mut waiting = waiting.filter(|_| kind == Kind::Directory);
        taken.any(|(known, _)| is_below(path, known)) || waiting.any(|known| is_below(path, known))
    }

    /// Lets go of each file that stands in a directory which was read whole as well.
    fn fold(&mut self) {
        let whole = |place: &Linked| place.is_whole && place.meta.kind == Kind::Directory;
        let above: Vec<Vec<u8>> = self
            .places
            .iter()
            .filter(|(_, p)| whole(p))
            .map(|(p, _)| p.clone())
            .collect();
        self.places.retain(|path, place| {
            let is_in = |above: &Vec<u8>| path != above && is_below(path, above);
            place.meta.kind == Kind::Directory || !above.iter().any(is_in)
        });
    }

    /// Looks at a place by the status of each entry alone.
    fn look(&mut self, path: Vec<u8>, meta: Meta, old: Option<&Beyond>, budget: &mut Budget) {
        budget.at.set(&path);
        let mut seen = Seen {
            sum: Some(Sum::default()),
            links: Vec::new(),
        };
        if meta.kind == Kind::Directory {
            let dir = self
                .root
                .find_entry(&path)
                .and_then(|found| found.open_dir());
            seen = dir
                .map(|dir| beyond::look(&dir, meta.dev, None, budget))
                .unwrap_or_default();
        }
        self.is_blind |= seen.sum.is_none();
        let sum = seen.sum.or_else(|| old?.sum);
        for (link, text) in &seen.links {
            self.follow(&[&path, b"/".as_slice(), link].concat(), text, budget);
        }
        self.beyond.insert(path, Beyond { meta, sum });
    }
}
