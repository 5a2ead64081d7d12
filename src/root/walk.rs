//! How a path is walked: name by name as the kernel does, each link read and followed here, and never out of the root.

use std::sync::Arc;

use rustix::io::Errno;

use super::another::Another;
use super::detour::{Covered, Detour, covered, detour};
use super::found::{Found, Note, Passed};
use super::image::Standing;
use super::namespace::{RESOLVE, is_by_number, is_firmlink, is_prefix, on_data};
use super::path::{self, components};
use super::place::{Asked, NAMES_OF_A_PLACE};
use super::volume::Volume;
use super::{FREE_STEPS, Notes, PATH_MAX, Root};
use crate::descent::Descent;
use crate::directory::{Dir, ReadError};
use crate::meta::{Kind, Meta};

/// Links followed in one resolution, as `MAXSYMLINKS` of macOS.
const MAX_LINKS: u32 = 32;
/// Steps of one resolution: a path and the texts of as many links as are followed, every second byte of
/// them a slash. No kernel of a Mac goes further.
const MOST_STEPS: usize = 33 * PATH_MAX / 2;

impl Root {
    pub(super) fn walk(
        &self,
        path: &[u8],
        how: (bool, Notes),
        note: Note<'_>,
    ) -> Result<Found, ReadError> {
        let mut walk = Walk::new(self, path, how);
        let found = walk.run(note);
        // What is not where another volume may be is not absent.
        found.map_err(|error| match walk.another.place() {
            Some(_) if error.leads_nowhere() => ReadError::elsewhere(&error.path),
            _ => error,
        })
    }
}

/// What stands in a directory: its name there, and whether a volume begins with it.
type Entry = (Vec<u8>, (Meta, bool));

/// A path that is walked, and how far.
struct Walk<'a> {
    root: &'a Root,
    path: &'a [u8],
    /// False when a link that it ends at is what is looked for.
    follow_last: bool,
    notes: Notes,
    /// The names that are left, the last first.
    todo: Vec<Vec<u8>>,
    /// How many of them are `..`.
    ups: usize,
    /// True when what it ends at is to be a directory.
    is_directory: bool,
    /// The directory that it has come to.
    way: Descent,
    volume: Volume,
    another: Another,
    /// The place of a mounted volume that served a link: what that says is no more worth than the rest there.
    passed: Option<Arc<[u8]>>,
    asked: Asked,
    links: u32,
    /// From one spelling of a path to another, as by a firm link: no kernel counts that.
    turns: u32,
    steps: usize,
    paid: usize,
    /// Bytes of the texts beyond their names: slashes that are written twice, and dots.
    more: usize,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Root, path: &'a [u8], (follow_last, notes): (bool, Notes)) -> Self {
        let mut todo = components(path);
        let ups = path::ups(&todo);
        let is_directory = path::asks_for_directory(path);
        let (mut way, mut volume) = (Descent::new(root.top.clone()), Volume::default());
        // What `..` may lead out of again is to be noted, and is passed name by name.
        let is_kept = ups == 0 && notes == Notes::Few;
        let kept = root.parents.as_ref().filter(|_| is_kept);
        if let Some((length, dir, of_dir)) = kept.and_then(|parents| parents.above(path)) {
            todo = components(path.get(length..).unwrap_or_default());
            way.begin_at(dir);
            volume = of_dir;
        }
        Self {
            root,
            path,
            // What a trailing slash or a dot asks for is a directory, so its link is followed.
            follow_last: follow_last || is_directory,
            notes,
            todo,
            ups,
            is_directory,
            way,
            volume,
            another: Another::default(),
            passed: None,
            asked: root.asked(path),
            links: 0,
            turns: 0,
            steps: 0,
            paid: FREE_STEPS,
            more: path::beyond_names(path),
        }
    }

    fn run(&mut self, note: Note<'_>) -> Result<Found, ReadError> {
        while let Some(name) = self.todo.pop() {
            self.step()?;
            if name == b".." {
                self.up()?;
                continue;
            }
            let dir = self.way.here()?;
            if is_by_number(self.way.names(), &name, &self.todo) {
                return Err(ReadError::by_number(self.path));
            }
            if self.passes_prefix(&dir, &name)? {
                continue;
            }
            let standing = self.standing_of(&dir, &name)?;
            self.another.comes_to(standing);
            let Some((name, (meta, is_top))) = self.stands(&dir, name, note)? else {
                continue;
            };
            if meta.kind == Kind::Symlink && (self.follow_last || !self.todo.is_empty()) {
                self.follow(&dir, &name, &meta, note)?;
                continue;
            }
            if self.passes_firm_link(&name, &meta) {
                continue;
            }
            let itself = self.volume.below(&dir, &name, (&meta, is_top));
            let is_asked = self.ups > 0 || self.notes == Notes::All;
            if self.todo.is_empty() || is_asked || meta.kind != Kind::Directory {
                let led = match self.todo.is_empty() {
                    true => self.another.place(),
                    false => self.another.passed.as_ref(),
                };
                let led = led.or(self.passed.as_ref());
                note(Passed::over(&dir, &name, Some(&meta)).behind(&itself, led));
            }
            match self.todo.last().map(Vec::as_slice) {
                None if self.is_directory && meta.kind != Kind::Directory => {
                    return Err(self.fails(Errno::NOTDIR));
                }
                None => return Ok(self.found(dir, name, (meta, is_top))),
                Some(b"..namedfork") if meta.kind != Kind::Directory => {
                    return Err(ReadError::fork(self.path));
                }
                Some(_) if meta.kind != Kind::Directory => return Err(self.fails(Errno::NOTDIR)),
                // Where it only leads up again, nothing has to be opened.
                Some(b"..") => {
                    self.may_go_up(self.way.names(), &name)?;
                    self.ups = self.ups.saturating_sub(1);
                    self.todo.pop();
                }
                Some(_) => {
                    self.way.down(&name)?;
                    self.volume = itself;
                }
            }
        }
        // The path ended in `..` or is the root itself: a directory that is open already.
        let standing = self.standing(None);
        self.another.comes_to(standing);
        let dir = self.way.here()?;
        let meta = dir.own_meta()?;
        // What leads to it is known of its volume.
        Ok(self.found(dir, b".".to_vec(), (meta, false)))
    }

    fn fails(&self, errno: Errno) -> ReadError {
        ReadError {
            operation: "resolve",
            path: self.path.to_vec(),
            errno,
        }
    }

    fn found(&self, dir: Dir, name: Vec<u8>, (meta, is_top): (Meta, bool)) -> Found {
        let place = self.another.place();
        Found {
            dir,
            name,
            meta,
            is_top,
            links: self.links.saturating_add(self.turns),
            is_another: place.is_some(),
            volume: self
                .volume
                .clone()
                .passing(place.or(self.passed.as_ref()).cloned()),
        }
    }

    /// Counts one more name.
    ///
    /// # Errors
    /// When the steps of this path, or of all that share them, are spent.
    fn step(&mut self) -> Result<(), ReadError> {
        // A directory that is gone down to again costs as much as one more name.
        self.steps = self.steps.saturating_add(1);
        let all = self.steps.saturating_add(self.way.reopened());
        if let unpaid @ 1.. = all.saturating_sub(self.paid) {
            let parents = self.root.parents.as_ref();
            let is_left = parents.is_none_or(|parents| parents.take_steps(unpaid));
            if all > MOST_STEPS || !is_left {
                return Err(ReadError::too_far(self.path));
            }
            self.paid = all;
        }
        Ok(())
    }

    /// Goes on from the top.
    fn restart(&mut self) {
        self.way.restart();
        self.volume = Volume::default();
    }

    fn up(&mut self) -> Result<(), ReadError> {
        self.ups = self.ups.saturating_sub(1);
        if let Some((last, above)) = self.way.names().split_last() {
            self.may_go_up(above, last)?;
        }
        // Above a firm link a Mac is no more on the data volume.
        if self.asked.by_data && self.way.names().len() <= 2 {
            return Err(ReadError::up(self.path));
        }
        self.way.up();
        self.volume = std::mem::take(&mut self.volume).above(self.way.names().len());
        let standing = self.standing(None);
        self.another.comes_to(standing);
        Ok(())
    }

    /// Whether `..` leads from a name to the directory above it. Of an image nobody knows which directories of the data
    /// volume stand behind firm links.
    fn may_go_up(&self, above: &[Vec<u8>], name: &[u8]) -> Result<(), ReadError> {
        match self.root.is_image() && on_data(above, name).is_some() {
            true => Err(ReadError::up(self.path)),
            false => Ok(()),
        }
    }

    /// True for a name at the top by which the kernel is asked for something else, with what belongs to it.
    ///
    /// # Errors
    /// Where the kernel may not take it for that.
    fn passes_prefix(&mut self, dir: &Dir, name: &[u8]) -> Result<bool, ReadError> {
        if !self.way.names().is_empty() || !is_prefix(name, &self.todo) {
            return Ok(false);
        }
        let image = self.root.image.as_ref();
        let may_be_made = image.is_some_and(|image| image.is_synthetic());
        match dir.meta(name) {
            // The kernel takes it off where a call begins, and not in a link's text.
            Err(error) if error.is_absent() && self.links == 0 && !may_be_made => {}
            _ => return Err(ReadError::prefix(self.path)),
        }
        if name == RESOLVE {
            self.todo.pop();
        }
        self.turns = self.turns.saturating_add(1);
        Ok(true)
    }

    /// What stands by a name in the directory, by the name that it has there; nothing where the way goes on from the top.
    fn stands(
        &mut self,
        dir: &Dir,
        name: Vec<u8>,
        note: Note<'_>,
    ) -> Result<Option<Entry>, ReadError> {
        let error = match dir.meta_and_top(&name) {
            Ok(stands) => return Ok(Some((name, stands))),
            Err(_) if name == b"..namedfork" => return Err(ReadError::fork(self.path)),
            Err(error) if error.is_absent() => error,
            Err(error) => return Err(error),
        };
        if let Some(name) = dir.spelled_otherwise(&name)? {
            let stands = dir.meta_and_top(&name)?;
            return Ok(Some((name, stands)));
        }
        let next = self.todo.last().cloned();
        if let Some(by) = self.detour(dir, &name) {
            if by != Detour::Link && self.todo.iter().any(|name| name == b"..") {
                return Err(ReadError::up(self.path));
            }
            self.turns = self.turns.saturating_add(1);
            if by == Detour::Volume {
                self.another.leads_on_to(next.as_deref());
            }
            self.asked.by_data = by == Detour::Data;
            self.restart();
            return Ok(None);
        }
        self.note_lack(&name);
        let led = self.another.place().or(self.passed.as_ref());
        note(Passed::over(dir, &name, None).behind(&self.volume, led));
        let is_straight = self.links == 0 && self.turns == 0 && self.another.place().is_none();
        if let Some(parents) = &self.root.parents
            && is_straight
            && self.root.keeps()
        {
            parents.keep(dir.path(), dir, &self.volume);
        }
        Err(error)
    }

    /// By the data volume's own name the system's links do not stand, nor that volume once more.
    fn detour(&mut self, dir: &Dir, name: &[u8]) -> Option<Detour> {
        self.root.image.as_ref().filter(|_| !self.asked.by_data)?;
        detour(&self.root.top, dir, name, &mut self.todo)
    }

    /// Takes in that an image has nothing by a name on the way.
    fn note_lack(&mut self, name: &[u8]) {
        let Some(image) = &self.root.image else {
            return;
        };
        let above = self.way.names();
        if self.another.is_in_doubt() {
            let straight = self.todo.iter().rev().take_while(|name| *name != b"..");
            let names = above.iter().map(Vec::as_slice).chain([name]);
            let names = names.chain(straight.map(Vec::as_slice));
            let names: Vec<_> = names.collect();
            self.another.lacks(image, &names, self.asked);
        }
        if above.is_empty() {
            self.another.lacks_at_top(name, self.asked);
        }
    }

    /// Goes on where a link leads.
    fn follow(
        &mut self,
        dir: &Dir,
        name: &[u8],
        meta: &Meta,
        note: Note<'_>,
    ) -> Result<(), ReadError> {
        self.links = self.links.saturating_add(1);
        if self.links > MAX_LINKS {
            return Err(self.fails(Errno::LOOP));
        }
        let target = dir.read_link(name)?;
        self.another.leads_on();
        let firm = self.firm_links_place(name);
        self.another.passed = self.another.passed.take().or(firm);
        let led = self.another.place().or(self.passed.as_ref());
        note(Passed {
            text: Some(&target),
            ..Passed::over(dir, name, Some(meta)).behind(&self.volume, led)
        });
        self.passed = self.passed.take().or_else(|| self.volume.mount().cloned());
        if target.is_empty() {
            return Err(self.fails(Errno::NOENT));
        }
        // The kernel refuses what grows beyond that (`lookup_handle_symlink` of xnu's bsd/vfs/vfs_lookup.c), but
        // for the few processes that may have long paths.
        let left = self.todo.iter().map(|name| name.len().saturating_add(1));
        let left = left.fold(self.more, usize::saturating_add);
        if target.len().saturating_add(left) >= PATH_MAX {
            return Err(ReadError::too_far(self.path));
        }
        self.more = self.more.saturating_add(path::beyond_names(&target));
        self.is_directory |= self.todo.is_empty() && path::asks_for_directory(&target);
        if target.starts_with(b"/") {
            self.asked.by_data = false;
            self.restart();
        }
        let target = components(&target);
        self.ups = self.ups.saturating_add(path::ups(&target));
        self.todo.extend(target);
        Ok(())
    }

    /// True for a directory of the data volume to which a firm link leads, from where the way goes on.
    fn passes_firm_link(&mut self, name: &[u8], meta: &Meta) -> bool {
        if meta.kind != Kind::Directory {
            return false;
        }
        let rest = on_data(self.way.names(), name);
        let Some(rest) = rest.filter(|rest| is_firmlink(&self.root.top, rest, meta)) else {
            return false;
        };
        self.turns = self.turns.saturating_add(1);
        self.todo.extend(rest.into_iter().rev());
        self.asked.by_data = false;
        self.restart();
        true
    }

    /// What an image has for the Mac at a name below the directory at which the way is, or at that directory.
    fn standing(&self, name: Option<&[u8]>) -> Standing {
        let names = self.way.names();
        let count = names.len().saturating_add(usize::from(name.is_some()));
        match &self.root.image {
            Some(image) if count < NAMES_OF_A_PLACE => {
                let names = names.iter().map(Vec::as_slice).chain(name);
                image.place(&names.collect::<Vec<_>>(), self.asked)
            }
            _ => Standing::Own,
        }
    }

    /// The same where a link of the system's volume may stand there.
    ///
    /// # Errors
    /// When something else stands in its place.
    fn standing_of(&self, dir: &Dir, name: &[u8]) -> Result<Standing, ReadError> {
        let is_near = self.way.names().len() < NAMES_OF_A_PLACE;
        let has_links = self.root.is_image() && !self.asked.by_data && is_near;
        let place = || dir.join(name);
        let covered = has_links.then(|| covered(&self.root.top, dir, name));
        match covered.flatten() {
            Some(Covered::No) => Ok(Standing::Own),
            Some(Covered::Yes) => Err(ReadError::elsewhere(&place())),
            Some(Covered::Perhaps) => Ok(Standing::Another(place().into())),
            None => Ok(self.standing(Some(name))),
        }
    }

    /// The place of a firm link, in which a link stands that is followed.
    fn firm_links_place(&self, name: &[u8]) -> Option<Arc<[u8]>> {
        let image = self.root.image.as_ref()?;
        let above = self.way.names();
        if above.len() >= NAMES_OF_A_PLACE {
            return None;
        }
        let names = above.iter().map(Vec::as_slice).chain([name]);
        image.in_place_of_a_firm_link(&names.collect::<Vec<_>>())
    }
}
