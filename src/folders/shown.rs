//! Which candidates have a row where there are more than are shown: an empty directory costs nothing to plant, and
//! a thousand of them must push out nothing that may load, nor what had a row before.

use std::time::Instant;

use super::candidate::{Candidate, Listed, Via};
use super::claim::{Claim, Turn, Worth};
use super::finder::Finder;
use super::room::Room;
use crate::directory::ReadError;
use crate::info_dictionary::InfoNames;
use crate::layout::Marks;
use crate::meta::Kind;
use crate::name::Suffix;
use crate::order;
use crate::root::{Found, Passed, Root};

/// Which part of all that are shown may have nothing of a bundle.
const BARE: usize = 2;
/// Names of a candidate that are looked at. One that has more of them has something.
const MOST_NAMES: usize = 256;

/// What stands at the path of a candidate. That a mounted volume shows nothing there is no proof that nothing is.
///
/// # Errors
/// When nothing stands there, or it is not known what does.
pub fn entry(root: &Root, path: &[u8]) -> Result<Found, ReadError> {
    let found = root.find_entry(path);
    if !found.as_ref().is_err_and(ReadError::leads_nowhere) {
        return found;
    }
    let mut is_mounted = false;
    let mut note = |passed: Passed<'_>| is_mounted |= passed.mount.is_some();
    // A link in its place would have been found: what is on the way is all that is noted.
    let _ = root.find_noting(path, &mut note);
    match is_mounted {
        true => Err(ReadError::elsewhere(path)),
        false => found,
    }
}

impl Finder<'_> {
    /// Cuts what the loader's places hold down to what is shown: what had a row before, then what may load, then what
    /// has nothing of a bundle, of which there is always less than all; of each the first by path, so that it is the
    /// same each time.
    pub fn cut(&mut self) {
        let mut bare = self.room.part(BARE);
        let mut fits = bare;
        if !self.found.keys().all(|path| fits.take(path)) {
            // It has its own steps and directories: what stands there takes those of no other.
            let root = self.for_itself();
            let claims = std::mem::take(&mut self.found).into_values();
            let claims = claims.map(|candidate| Claim::of(candidate, self.known, &root));
            // What links lead to takes time of nothing else.
            let (mut claims, links): (Vec<_>, Vec<_>) = claims.partition(|claim| !claim.is_link());
            claims.extend(links);
            for claim in &mut claims {
                claim.worth = self.worth(&root, &claim.candidate);
            }
            order::sort_by(&mut claims, Claim::cmp);
            let away = self.known.away(claims.iter().map(Claim::path));
            let mut away = Some(away.into_iter());
            let mut all = self.room_for_listed();
            for claim in claims {
                let path = claim.path();
                let is_bare = claim.worth == Worth::Bare;
                // What had a row and is away has its room when it comes back.
                if let Some(away) = away.take_if(|_| claim.turn == Turn::New) {
                    all.reserve(away, self.room);
                }
                let has_room = all.has(path) && (!is_bare || bare.has(path));
                if claim.turn != Turn::Known && !has_room {
                    self.left_out.refuse(&claim);
                    continue;
                }
                all.fill(path);
                if is_bare {
                    bare.fill(path);
                }
                self.found.insert(path.to_vec(), claim.candidate);
            }
        }
        self.rooms.all = self.room_for_listed();
        for path in self.found.keys() {
            self.rooms.all.fill(path);
        }
    }

    /// The room for all but what is known to stand where the loader does not look.
    fn room_for_listed(&self) -> Room {
        let mut all = self.room;
        let nested = self.known.iter().filter(|c| c.via == Via::Nested);
        nested.for_each(|c| all.fill(&c.path));
        all
    }

    /// The same root for a look of its own.
    fn for_itself(&self) -> Root {
        self.root.for_one_scan(self.until(), self.limits.steps)
    }

    /// Takes what is known and was not come upon, though not all could be looked at, or a mounted volume may hide it. What
    /// cannot be looked at either is not proved to have gone: its row says why.
    ///
    /// # Errors
    /// When the machine has no room for it at the moment: what stood there would seem to have gone.
    pub fn recall(&mut self, is_nested: bool) -> Result<(), ReadError> {
        if self.left_out.is_empty() {
            return Ok(());
        }
        let (known, root) = (self.known, self.for_itself());
        let is_wanted = |c: &&Candidate| (c.via == Via::Nested) == is_nested;
        for candidate in known.iter().filter(is_wanted) {
            if self.found.contains_key(&candidate.path) {
                continue;
            }
            match entry(&root, &candidate.path) {
                Ok(_) => self.left_out.keep(&candidate.path),
                Err(error) if error.is_of_the_moment() => return Err(error),
                Err(error) if error.leads_nowhere() => continue,
                Err(_) => {}
            }
            let mut candidate = candidate.clone();
            // What decides it was not looked at, or not whole.
            if candidate.listed != Listed::No {
                candidate.listed = Listed::Maybe;
            }
            self.found.insert(candidate.path.clone(), candidate);
        }
        Ok(())
    }

    /// One cheap look.
    fn worth(&self, root: &Root, candidate: &Candidate) -> Worth {
        let may_be_listed = candidate.listed != Listed::No
            && matches!(candidate.suffix, Suffix::Exact | Suffix::Platform);
        let is_late = || {
            let until = self.until();
            until.is_some_and(|until| Instant::now() >= until)
        };
        if !may_be_listed {
            return Worth::Bare;
        }
        if is_late() {
            return Worth::Unseen;
        }
        let may_load = match root.find(&candidate.path) {
            Ok(found) if found.meta.kind != Kind::Directory => false,
            Ok(found) => {
                let (mut marks, mut info) = (Marks::default(), InfoNames::default());
                let mut count = 0_usize;
                let whole = found.open_dir().and_then(|dir| {
                    dir.each(|name, kind| {
                        count = count.saturating_add(1);
                        // Where the listing does not say what it is, it may be a directory.
                        marks.note(name, kind.unwrap_or(Kind::Directory));
                        info.note(name);
                        let has_list = info.are_contested() || info.in_order().next().is_some();
                        count < MOST_NAMES && !marks.are_any() && !has_list
                    })
                });
                whole.map_or_else(|error| !error.leads_nowhere(), |whole| !whole)
            }
            Err(error) => !(error.leads_nowhere() || error.is_limit() || error.is_unfollowed()),
        };
        match may_load {
            true => Worth::MayLoad,
            false => Worth::Bare,
        }
    }
}
