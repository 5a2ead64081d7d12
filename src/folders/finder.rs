//! The search through one plug-in folder: what it has found, and what may still be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::anomaly::Anomaly;
use super::candidate::{Candidate, Listed, Via};

use super::known::Known;
use super::language::Language;
use super::left_out::LeftOut;
use super::listing::{self, Listing};
use super::room::{Room, Rooms};
use super::way::Way;
use crate::directory::{Dir, ReadError};
use crate::limits::{Budget, Limits};
use crate::meta::{Kind, WritableBy};
use crate::name::Suffix;
use crate::root::{Found, Root};
use crate::text::escape;

/// Parts of a hundred of the scan's time that the search through one folder may take.
const SHARE: u32 = 20;
/// The same for what languages of the folder's own Info.plist lead to: names cost nothing, and the rest needs time too.
const LANGUAGES_SHARE: u32 = 10;
/// Links to a `.lproj` that are followed: each may lead far, and a Mac has none.
pub const MOST_LPROJ_LINKS: usize = 256;

/// Bytes of the paths of directories that wait to be searched: links of an attacker's lead to the same
/// thousands again and again.
const MOST_BRANCH_BYTES: usize = 4 << 20;

/// The search through one plug-in folder.
pub struct Finder<'a> {
    pub root: &'a Root,
    pub limits: &'a Limits,
    pub index: usize,
    pub found: BTreeMap<Vec<u8>, Candidate>,
    /// What an earlier scan had a row of.
    pub known: &'a Known,
    /// The room that is left before it is known which are shown, and after that.
    net: Room,
    /// The room of all that are shown.
    pub room: Room,
    pub rooms: Rooms,
    /// The loader's places that were read to their end and hold candidates: nothing more of them is to be found.
    pub places: BTreeSet<Vec<u8>>,
    /// Directories of which the loader lists something, or may, the first it reads first.
    pub listed_in: Vec<Vec<u8>>,
    /// What all of it hangs on.
    pub way: Way,
    pub anomalies: BTreeSet<Anomaly>,
    pub left_out: LeftOut,
    pub branches: Vec<Branch>,
    pub branch_bytes_left: usize,
    pub names_left: usize,
    pub lproj_links_left: usize,
    /// When the search has to leave the rest of the time to what is done with what it found.
    until: Option<Instant>,
    /// When it has to leave the rest of its time to other places than those of languages.
    languages_until: Option<Instant>,
    pub languages: Arc<[Language]>,
    /// What [`special`](Self::special) was answered.
    specials: Vec<(&'static [u8], Option<Vec<u8>>)>,
    /// True when the loader may list what was not seen, or from where nothing was looked for.
    pub is_unsure: bool,
}

/// A directory of the folder that is being searched.
#[derive(Debug)]
pub struct Place {
    /// Its path through the plug-in folder.
    pub path: Vec<u8>,
    pub via: Via,
    pub listed: Listed,
    pub writable_by: WritableBy,
    /// The device that it stands on.
    pub device: u64,
}

/// A directory that is still to be searched.
#[derive(Debug)]
pub struct Branch {
    /// Its path through the plug-in folder.
    pub path: Vec<u8>,
    /// The weakest of the directories above it.
    pub writable_by: WritableBy,
    /// The device that it should stand on, which is not left.
    pub device: u64,
}

impl<'a> Finder<'a> {
    pub fn new(
        root: &'a Root,
        budget: &'a Budget,
        index: usize,
        known: &'a Known,
        room: Room,
    ) -> Self {
        let limits = &budget.limits;
        Self {
            root,
            limits,
            index,
            found: BTreeMap::new(),
            known,
            net: Room::net(limits),
            room,
            rooms: Rooms::of(room),
            places: BTreeSet::new(),
            listed_in: Vec::new(),
            way: Way::default(),
            anomalies: BTreeSet::new(),
            left_out: LeftOut::default(),
            branches: Vec::new(),
            branch_bytes_left: MOST_BRANCH_BYTES,
            names_left: limits.listed_entries,
            lproj_links_left: MOST_LPROJ_LINKS,
            until: budget.after(SHARE),
            languages_until: budget.after(LANGUAGES_SHARE),
            languages: Arc::default(),
            specials: Vec::new(),
            is_unsure: false,
        }
    }

    /// Reads a directory to its end, as far as the names of all go.
    pub fn read(&mut self, dir: &Dir, path: &[u8], is_top: bool) -> Result<Listing, ReadError> {
        let is_known = |name: &[u8]| self.known.get(&join(path, name)).is_some();
        let listing = listing::read(
            dir,
            Room::net(self.limits),
            is_known,
            self.names_left,
            self.until,
            is_top,
        )?;
        self.names_left = self.names_left.saturating_sub(listing.count);
        if listing.is_cut {
            self.cut_short(format!(
                "{} has more than the {} entries that were looked at",
                escape(path),
                listing.count
            ));
        }
        Ok(listing)
    }

    /// Where a path of the folder leads; `None` when that is nowhere, or further than is followed:
    /// one link of an attacker's must not keep all else from being shown.
    pub fn reach(&mut self, path: &[u8]) -> Result<Option<Found>, ReadError> {
        let found = self.way.find(self.root, path);
        if self.way.is_mounted && self.anomalies.insert(Anomaly::Mounted) {
            self.unlisted(format!(
                "{} leads by way of another volume, which may show each who asks another thing",
                escape(path)
            ));
        }
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.leads_nowhere() => Ok(None),
            Err(error) if error.is_limit() || error.is_unfollowed() => {
                self.unfollowed(&error);
                Ok(None)
            }
            Err(error) => self.told(Err(error)),
        }
    }

    /// Tells a place of which is not known what the loader finds there. What stands there may lead it anywhere.
    pub fn unlisted(&mut self, why: String) {
        self.left_out.unlisted(why);
        self.is_unsure = true;
    }

    /// The same for want of time or steps.
    fn cut_short(&mut self, why: String) {
        self.left_out.cut_short(why);
        self.is_unsure = true;
    }

    /// Tells a place that a path leads to and that was not gone to.
    pub fn unfollowed(&mut self, error: &ReadError) {
        match error.is_limit() {
            true => self.cut_short(error.to_string()),
            false => self.unlisted(error.to_string()),
        }
    }

    /// When the time of the search is spent.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// True when the time of the search is spent; then that is told.
    pub fn is_late(&mut self) -> bool {
        let is_late = self.until.is_some_and(|until| Instant::now() >= until);
        if is_late {
            self.cut_short("the time of the search is spent, and not all was looked at".into());
        }
        is_late
    }

    /// The same of the time for languages.
    pub fn is_late_for_languages(&mut self) -> bool {
        let is_late = self
            .languages_until
            .is_some_and(|until| Instant::now() >= until);
        if is_late {
            self.cut_short(
                "the time for languages of its Info.plist is spent, and not all were looked for"
                    .into(),
            );
        }
        is_late
    }

    /// What the disk answers of something in the folder. What it refuses is told by the folder's own
    /// row, and all else is shown: one directory that cannot be read must not blind the rest. But a
    /// machine that has no room at the moment would make what stands there seem gone.
    pub fn told<T>(&mut self, answer: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_of_the_moment() => Err(error),
            Err(error) => {
                // What went meanwhile is no longer there to be told.
                if !error.leads_nowhere() {
                    self.left_out.entry(error);
                }
                self.is_unsure = true;
                Ok(None)
            }
        }
    }

    /// Opens a directory of the folder and reads it.
    pub fn open_and_read(
        &mut self,
        found: &Found,
        path: &[u8],
    ) -> Result<Option<(Dir, Listing)>, ReadError> {
        let Some(dir) = self.told(found.open_dir())? else {
            return Ok(None);
        };
        let listing = self.read(&dir, path, false);
        Ok(self.told(listing)?.map(|listing| (dir, listing)))
    }

    /// Puts a directory on the list of what is searched, where there is room.
    pub fn branch(&mut self, name: &[u8], place: &Place) {
        let path = join(&place.path, name);
        let Some(left) = self.branch_bytes_left.checked_sub(path.len()) else {
            return self.left_out.directories(1, &path);
        };
        self.branch_bytes_left = left;
        self.branches.push(Branch {
            path,
            writable_by: place.writable_by,
            device: place.device,
        });
    }

    /// How a name that tells the layout is spelled in the folder itself; `None` when it does not stand there. The
    /// disk is asked once, so that all that hangs on it sees the same.
    pub fn special(
        &mut self,
        dir: &Dir,
        wanted: &'static [u8],
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let mut known = self.specials.iter();
        if let Some((_, name)) = known.find(|(of, _)| *of == wanted) {
            return Ok(name.clone());
        }
        let name = self.told(dir.spelled(wanted))?.flatten();
        self.specials.push((wanted, name.clone()));
        Ok(name)
    }

    /// Goes down from the folder itself, which `dir` is, by names as a Mac finds them, links followed; `None` when
    /// there is no directory.
    pub fn spelled_path(
        &mut self,
        place: &mut Place,
        dir: &Dir,
        names: &[&'static [u8]],
    ) -> Result<Option<Found>, ReadError> {
        let mut last: Option<Found> = None;
        for wanted in names {
            let name = match &last {
                None => self.special(dir, wanted)?,
                Some(above) => {
                    let spelled = above.open_dir().and_then(|dir| dir.spelled(wanted));
                    self.told(spelled)?.flatten()
                }
            };
            let Some(name) = name else {
                return Ok(None);
            };
            place.path = join(&place.path, &name);
            let found = self.reach(&place.path)?;
            let Some(found) = found.filter(|found| found.meta.kind == Kind::Directory) else {
                return Ok(None);
            };
            place.writable_by = place.writable_by.max(WritableBy::of(&found.meta));
            place.device = found.meta.dev;
            last = Some(found);
        }
        Ok(last)
    }

    /// Takes one candidate, unless it was come upon before: the loader's places come first.
    pub fn take(
        &mut self,
        path: Vec<u8>,
        suffix: Suffix,
        place: &Place,
        listed: Listed,
        is_double: bool,
    ) {
        if self.found.contains_key(&path) {
            return;
        }
        let by_suffix = match suffix {
            Suffix::Exact => None,
            Suffix::OtherCase => Some(Anomaly::LetterCase),
            Suffix::Platform => Some(Anomaly::PlatformSuffix),
            _ => Some(Anomaly::LookAlike),
        };
        self.anomalies.extend(by_suffix);
        if is_double {
            self.anomalies.insert(Anomaly::SameLetters);
        }
        let has_room = match place.via {
            Via::Nested => {
                let is_known = self.known.get(&path).is_some();
                self.rooms.take_nested(&path, is_known)
            }
            _ => self.net.take(&path),
        };
        if !has_room {
            self.left_out.candidates(1);
            if self.known.get(&path).is_some() {
                self.left_out.known(path);
            }
            return;
        }
        let candidate = Candidate {
            path: path.clone(),
            via: place.via,
            suffix,
            listed,
            folder: self.index,
            ancestors_writable_by: place.writable_by,
            is_double,
            has_empty_names: false,
            left_out: Vec::new(),
        };
        self.found.insert(path, candidate);
    }
}

/// A path below a directory.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}
