//! The look-up of the libraries that code of a bundle names: what stands where dyld looks for them, outside of
//! the bundle, runs with it.
//!
//! Code names as many as whoever built it likes, below as many run paths: there is a bound on both, and where it
//! is met that is told.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::facts::Evidence;
use super::load_path::{LoadPath, has_dots};
use super::loads::{self, Asked, Code, RunPath};
use super::paths::{Homes, directory_of};
use super::trouble::Trouble;
use super::ways::Ways;
use crate::codesign::plain_above;
use crate::directory::ReadError;
use crate::limits::Budget;
use crate::meta::Kind;
use crate::root::{Found, Root, without_dots};

/// Paths of libraries of one candidate that are looked at.
const MOST_LOADS: usize = 512;
/// Paths of libraries of one candidate that are made for nothing, however many there are of others.
const FEW_PATHS: usize = 256;
/// Paths of libraries of one candidate that are told.
const MOST_TOLD: usize = 64;

/// Links of one candidate that are told from its other entries; where there are more, each path is looked up.
const MOST_LINKS: usize = 16_384;

/// What came of a look-up: what stands outside and is no directory, or what outside leads to in the bundle, by the path that was asked for and where it really
/// stands, or why it is not known what does.
pub type Answer = Result<(Vec<u8>, Vec<u8>, Found), Trouble>;

/// Where paths are resolved, and what is on their way is kept.
pub type OnWay<'a> = (&'a Root, &'a mut Ways);

/// Looks up the libraries that code of one candidate names, each path once.
#[derive(Default)]
pub struct Libraries {
    homes: Homes,
    /// Links in the bundle.
    links: Links,
    /// Paths that were looked at, and those of them that lead out of the bundle.
    looked_up: BTreeSet<Vec<u8>>,
    outside: BTreeSet<Vec<u8>>,
    /// Paths that were made, wherever they lead.
    made: usize,
    /// The directories of programs, and what is asked for below them, as a run path or not.
    programs: BTreeSet<Vec<u8>>,
    below_programs: BTreeSet<(Vec<u8>, bool)>,
    /// Run paths of all code, and what is asked for below them.
    run_paths: BTreeSet<RunPath>,
    below_run_paths: BTreeSet<Vec<u8>>,
    /// True when not all libraries were looked up.
    has_missed: bool,
    /// True when a path was cut off by dyld.
    has_cut: bool,
    /// True when a path leads out of the bundle, and what stands there back into it.
    comes_back: bool,
}

impl Libraries {
    /// Nothing looked up yet of a candidate.
    pub fn of(evidence: &Evidence) -> Self {
        Self {
            homes: evidence.homes(),
            programs: [loads::PROGRAM.to_vec()].into(),
            ..Self::default()
        }
    }

    /// True for a path that leaves the bundle at no step, as its text has it.
    pub fn stay_home(&self, path: &[u8]) -> bool {
        self.homes.stay(path)
    }

    /// True when something outside leads back into the bundle.
    pub fn come_back(&self) -> bool {
        self.comes_back
    }

    /// Where dyld looks outside of the bundle.
    pub fn into_outside(self) -> BTreeSet<Vec<u8>> {
        self.outside
    }

    /// Takes note of a link in the bundle, by its path in it: what is named behind it may not be inside, wherever
    /// it leads, for there may be another.
    pub fn note_link(&mut self, path: &[u8]) {
        self.links.add(path);
    }

    /// Takes note that there are links of which nothing is known.
    pub fn note_more_links(&mut self) {
        self.links.paths = None;
    }

    /// Looks up all that a file of code asks for.
    pub fn ask(
        &mut self,
        code: Code<'_>,
        on_way: OnWay<'_>,
        budget: &Budget,
        answer: &mut dyn FnMut(Answer),
    ) {
        let (root, ways) = on_way;
        for path in code.facts.system.paths() {
            if !self.has_missed && stands_plainly(root, &path) != Ok(true) {
                self.load(&LoadPath::plain(&path), (root, ways), budget, answer);
            }
        }
        let mut is_whole = true;
        if loads::is_program(code.facts) && self.programs.insert(code.at.to_vec()) {
            let below = self.below_programs.iter();
            let below = below.map(|(rest, is_run_path)| below_program(code.at, rest, *is_run_path));
            let below = below.collect();
            is_whole = self.take(below, (root, ways), budget, answer);
        }
        is_whole &= loads::each(code, &mut |asked| {
            self.take(vec![asked], (root, ways), budget, answer)
        });
        if !is_whole {
            self.miss(answer);
        }
    }

    /// Looks up what is asked for, and what follows from that; false when there is more than is looked up.
    fn take(
        &mut self,
        mut todo: Vec<Asked>,
        on_way: OnWay<'_>,
        budget: &Budget,
        answer: &mut dyn FnMut(Answer),
    ) -> bool {
        let (root, ways) = on_way;
        while let Some(asked) = todo.pop() {
            let held = [
                self.programs.len(),
                self.below_programs.len(),
                self.run_paths.len(),
                self.below_run_paths.len(),
            ];
            let held = held.into_iter().fold(0, usize::saturating_add);
            if self.has_missed || held >= MOST_LOADS {
                return false;
            }
            let mut paths = Vec::new();
            match asked {
                Asked::Library(path) => paths.push(path),
                Asked::BelowProgram { rest, is_run_path } => {
                    if self.below_programs.insert((rest.clone(), is_run_path)) {
                        let programs = self.programs.iter();
                        todo.extend(programs.map(|at| below_program(at, &rest, is_run_path)));
                    }
                }
                Asked::RunPath(above) => {
                    if self.run_paths.insert(above.clone()) {
                        let below = self.below_run_paths.iter();
                        paths.extend(below.flat_map(|tail| above.paths(tail)));
                    }
                }
                Asked::BelowRunPaths(tail) => {
                    if self.below_run_paths.insert(tail.clone()) {
                        let above = self.run_paths.iter();
                        paths.extend(above.flat_map(|above| above.paths(&tail)));
                    }
                }
            }
            for path in paths {
                self.load(&path, (root, ways), budget, answer);
            }
        }
        true
    }

    /// Tells, once, that not all libraries were looked up.
    fn miss(&mut self, answer: &mut dyn FnMut(Answer)) {
        if !std::mem::replace(&mut self.has_missed, true) {
            answer(Err(Trouble::Limit("code names more libraries than are looked up, not all its load commands could be read, or the time of the scan is spent".into())));
        }
    }

    /// Looks where a library is. When that is outside of the bundle and of the system's own volume it is told,
    /// and a file there is taken up.
    fn load(
        &mut self,
        path: &LoadPath,
        on_way: OnWay<'_>,
        budget: &Budget,
        answer: &mut dyn FnMut(Answer),
    ) {
        let (root, ways) = on_way;
        if self.has_missed {
            return;
        }
        self.made = self.made.saturating_add(1);
        if self.made > FEW_PATHS && !budget.take_load_path() {
            return self.miss(answer);
        }
        if path.is_cut && !std::mem::replace(&mut self.has_cut, true) {
            answer(Err(Trouble::Limit(
                "code names a library by a longer path than dyld opens, which it cuts".into(),
            )));
        }
        let path = path.resolved();
        let plain = without_dots(&path);
        let leads_out = |path: &[u8]| !self.homes.have(path) && !loads::is_sealed(path);
        let is_outside = leads_out(&plain);
        let rest = self.homes.below(&path);
        let is_inside = rest.is_some_and(|rest| !has_dots(rest) && !self.links.may_be_above(rest));
        if is_inside || self.looked_up.contains(&path) {
            return;
        }
        match stands_plainly(root, &path) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                self.tell(plain, budget);
                return answer(Err(Trouble::of_entry(&error)));
            }
        }
        if self.looked_up.len() >= MOST_LOADS || budget.is_late() {
            return self.miss(answer);
        }
        self.looked_up.insert(path.clone());
        match ways.find(root, &path, budget) {
            Ok(found) => {
                let real = found.path();
                // On a volume that a Mac has not there, nothing is the system's.
                let is_covered = found.mount().is_some() && !self.homes.have(&real);
                if !leads_out(&real) && !is_covered {
                    if is_outside {
                        self.tell(plain, budget);
                    }
                    let is_astray = ways.has_strayed() || !self.homes.stay(&path);
                    if self.homes.have(&real) && is_astray {
                        self.comes_back = true;
                        answer(Ok((path, real, found)));
                    }
                    return;
                }
                self.tell(plain, budget);
                if found.meta.kind != Kind::Directory {
                    answer(Ok((path, real, found)));
                }
            }
            // When something stands there one day, it is a new place.
            Err(error) if error.leads_nowhere() => {
                if is_outside && !loads::is_in_cryptex(&plain) {
                    return self.tell(plain, budget);
                }
                // A link on the way may lead out, to what is not there.
                let end = ways.last_end();
                let is_out = |path: &[u8]| leads_out(path) && !loads::is_in_cryptex(path);
                let is_known = rest.is_some() || plain_above(&path).is_some();
                let ends_out = is_known && is_out(&end);
                let stays_home = self.homes.stay(&path);
                match root.find(directory_of(&path)) {
                    Ok(above) => {
                        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
                        let real = without_dots(&[&above.path(), b"/".as_slice(), name].concat());
                        if is_out(&real) {
                            self.tell(real, budget);
                        } else if ends_out {
                            self.tell(end, budget);
                        }
                    }
                    Err(_) if ends_out => self.tell(end, budget),
                    Err(_) if stays_home || loads::is_in_cryptex(&plain) => {}
                    // An image of the data volume alone lacks the links of the system's own.
                    Err(_) => self.tell(plain, budget),
                }
            }
            Err(error) => {
                self.tell(plain, budget);
                answer(Err(Trouble::of_entry(&error)));
            }
        }
    }

    /// Keeps the path of a library outside, for people: one in any case, and as many as there is room for.
    fn tell(&mut self, path: Vec<u8>, budget: &Budget) {
        let is_first = self.outside.is_empty();
        let has_room = self.outside.len() < MOST_TOLD && budget.take_texts(path.len());
        if is_first || has_room {
            self.outside.insert(path);
        }
    }
}

/// What is asked for below the directory of one program.
fn below_program(at: &[u8], rest: &[u8], is_run_path: bool) -> Asked {
    match is_run_path {
        true => Asked::RunPath(RunPath::below_program(at, rest)),
        false => Asked::Library(LoadPath::below_program(at, rest)),
    }
}

/// True where a library is the system's by its path, and nothing stands on the way that leads elsewhere.
///
/// # Errors
/// When something on the way cannot be read.
fn stands_plainly(root: &Root, path: &[u8]) -> Result<bool, ReadError> {
    plain_above(path).map_or(Ok(false), |above| root.is_as_written(path, &above))
}

/// The links of a bundle: whoever planted them chose how many there are, and how long their paths.
struct Links {
    /// Nobody can choose paths that share a number.
    number: RandomState,
    /// The numbers of their paths in lower case; nothing when they are too many, or one has other letters than
    /// ASCII's, which may be spelled in more than one way.
    paths: Option<HashSet<u64>>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            number: RandomState::new(),
            paths: Some(HashSet::new()),
        }
    }
}

impl Links {
    fn add(&mut self, path: &[u8]) {
        let number = self.numbers(path).last();
        let has_room = |paths: &HashSet<u64>| path.is_ascii() && paths.len() < MOST_LINKS;
        self.paths = self.paths.take().filter(has_room);
        if let (Some(paths), Some(number)) = (&mut self.paths, number) {
            paths.insert(number);
        }
    }

    /// True when one may stand on the way to a path in the bundle, or at its end.
    fn may_be_above(&self, path: &[u8]) -> bool {
        let Some(links) = &self.paths else {
            return true;
        };
        !path.is_ascii() || self.numbers(path).any(|number| links.contains(&number))
    }

    /// The number of what each name of a path leads to.
    fn numbers(&self, path: &[u8]) -> impl Iterator<Item = u64> {
        let names = path.split(|b| *b == b'/');
        let names = names.filter(|name| !matches!(*name, b"" | b"."));
        let mut hasher = self.number.build_hasher();
        names.map(move |name| {
            hasher.write(&name.to_ascii_lowercase());
            hasher.write_u8(b'/');
            hasher.finish()
        })
    }
}
