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
use crate::meta::Kind;

/// Links followed in one resolution, as `MAXSYMLINKS` of macOS.
const MAX_LINKS: u32 = 32;
/// Steps of one resolution: a path and the texts of as many links as are followed, every second byte of
/// them a slash. No kernel of a Mac goes further.
const MOST_STEPS: usize = 33 * PATH_MAX / 2;

impl Root {
    /// Whether `..` leads from a name to the directory above it. Of an image nobody knows which directories of the data
    /// volume stand behind firm links.
    fn may_go_up(&self, above: &[Vec<u8>], name: &[u8], path: &[u8]) -> Result<(), ReadError> {
        if self.is_image() && on_data(above, name).is_some() {
            return Err(ReadError::up(path));
        }
        Ok(())
    }

    /// By the data volume's own name the system's links do not stand, nor that volume once more.
    fn detour(
        &self,
        dir: &Dir,
        name: &[u8],
        todo: &mut Vec<Vec<u8>>,
        asked: Asked,
    ) -> Option<Detour> {
        self.image.as_ref().filter(|_| !asked.by_data)?;
        detour(&self.top, dir, name, todo)
    }

    pub(super) fn walk(
        &self,
        path: &[u8],
        how: (bool, Notes),
        note: Note<'_>,
    ) -> Result<Found, ReadError> {
        let mut another = Another::default();
        let found = self.walk_by(path, how, note, &mut another);
        // What is not where another volume may be is not absent.
        found.map_err(|error| match another.place() {
            Some(_) if error.leads_nowhere() => ReadError::elsewhere(&error.path),
            _ => error,
        })
    }

    /// What an image has for the Mac at a name below the directory at which a way is, or at that directory.
    fn standing(&self, way: &Descent, name: Option<&[u8]>, asked: Asked) -> Standing {
        let names = way.names();
        let count = names.len().saturating_add(usize::from(name.is_some()));
        match &self.image {
            Some(image) if count < NAMES_OF_A_PLACE => {
                let names = names.iter().map(Vec::as_slice).chain(name);
                image.place(&names.collect::<Vec<_>>(), asked)
            }
            _ => Standing::Own,
        }
    }

    /// The same where a link of the system's volume may stand there.
    ///
    /// # Errors
    /// When something else stands in its place.
    fn standing_of(
        &self,
        way: &Descent,
        dir: &Dir,
        name: &[u8],
        asked: Asked,
    ) -> Result<Standing, ReadError> {
        let has_links = self.is_image() && !asked.by_data && way.names().len() < NAMES_OF_A_PLACE;
        let place = || dir.join(name);
        match has_links.then(|| covered(&self.top, dir, name)).flatten() {
            Some(Covered::No) => Ok(Standing::Own),
            Some(Covered::Yes) => Err(ReadError::elsewhere(&place())),
            Some(Covered::Perhaps) => Ok(Standing::Another(place().into())),
            None => Ok(self.standing(way, Some(name), asked)),
        }
    }

    /// The place of a firm link, in which a link stands that is followed.
    fn firm_links_place(&self, way: &Descent, name: &[u8]) -> Option<Arc<[u8]>> {
        let image = self.image.as_ref()?;
        if way.names().len() >= NAMES_OF_A_PLACE {
            return None;
        }
        let names = way.names().iter().map(Vec::as_slice).chain([name]);
        image.in_place_of_a_firm_link(&names.collect::<Vec<_>>())
    }

    /// Takes in that an image has nothing by a name on a way, which was to go on by what is left, the last first.
    fn note_lack(
        &self,
        another: &mut Another,
        way: &Descent,
        (name, todo): (&[u8], &[Vec<u8>]),
        asked: Asked,
    ) {
        let Some(image) = &self.image else {
            return;
        };
        if another.is_in_doubt() {
            let straight = todo.iter().rev().take_while(|name| *name != b"..");
            let above = way.names().iter().map(Vec::as_slice);
            let names = above.chain([name]).chain(straight.map(Vec::as_slice));
            another.lacks(image, &names.collect::<Vec<_>>(), asked);
        }
        if way.names().is_empty() {
            another.lacks_at_top(name, asked);
        }
    }

    /// Walks, and says by the place of which other volume, where it may be one.
    fn walk_by(
        &self,
        path: &[u8],
        (follow_last, notes): (bool, Notes),
        note: Note<'_>,
        another: &mut Another,
    ) -> Result<Found, ReadError> {
        let fail = |errno| ReadError {
            operation: "resolve",
            path: path.to_vec(),
            errno,
        };
        let mut todo = components(path);
        let mut ups = path::ups(&todo);
        // What a trailing slash or a dot asks for is a directory, so its link is followed.
        let mut is_directory = path::asks_for_directory(path);
        let follow_last = follow_last || is_directory;
        let mut way = Descent::new(self.top.clone());
        // What `..` may lead out of again is to be noted, and is passed name by name.
        let kept = self
            .parents
            .as_ref()
            .filter(|_| ups == 0 && notes == Notes::Few);
        let mut volume = Volume::default();
        if let Some((length, dir, of_dir)) = kept.and_then(|parents| parents.above(path)) {
            todo = components(path.get(length..).unwrap_or_default());
            way.begin_at(dir);
            volume = of_dir;
        }
        // What a link says that a mounted volume serves is no more worth than the rest there.
        let mut passed: Option<Arc<[u8]>> = None;
        let (mut links, mut steps, mut paid) = (0_u32, 0_usize, FREE_STEPS);
        // From one spelling of a path to another, as by a firm link: no kernel counts that.
        let mut turns = 0_u32;
        let mut asked = self.asked(path);
        // Bytes of the texts beyond their names: slashes that are written twice, and dots.
        let mut more = path::beyond_names(path);
        while let Some(name) = todo.pop() {
            // A directory that is gone down to again costs as much as one more name.
            steps = steps.saturating_add(1);
            let all = steps.saturating_add(way.reopened());
            if let unpaid @ 1.. = all.saturating_sub(paid) {
                let is_left = self.parents.as_ref().is_none_or(|p| p.take_steps(unpaid));
                if all > MOST_STEPS || !is_left {
                    return Err(ReadError::too_far(path));
                }
                paid = all;
            }
            if name == b".." {
                ups = ups.saturating_sub(1);
                if let Some((last, above)) = way.names().split_last() {
                    self.may_go_up(above, last, path)?;
                }
                // Above a firm link a Mac is no more on the data volume.
                if asked.by_data && way.names().len() <= 2 {
                    return Err(ReadError::up(path));
                }
                way.up();
                volume = volume.above(way.names().len());
                another.comes_to(self.standing(&way, None, asked));
                continue;
            }
            let dir = way.here()?;
            if is_by_number(way.names(), &name, &todo) {
                return Err(ReadError::by_number(path));
            }
            let image = self.image.as_ref();
            if way.names().is_empty() && is_prefix(&name, &todo) {
                let may_be_made = image.is_some_and(|image| image.is_synthetic());
                match dir.meta(&name) {
                    // The kernel takes it off where a call begins, and not in a link's text.
                    Err(error) if error.is_absent() && links == 0 && !may_be_made => {}
                    _ => return Err(ReadError::prefix(path)),
                }
                if name == RESOLVE {
                    todo.pop();
                }
                turns = turns.saturating_add(1);
                continue;
            }
            another.comes_to(self.standing_of(&way, &dir, &name, asked)?);
            let (name, (meta, is_top)) = match dir.meta_and_top(&name) {
                Ok(stands) => (name, stands),
                Err(_) if name == b"..namedfork" => return Err(ReadError::fork(path)),
                Err(error) if error.is_absent() => {
                    let next = todo.last().cloned();
                    if let Some(name) = dir.spelled_otherwise(&name)? {
                        let stands = dir.meta_and_top(&name)?;
                        (name, stands)
                    } else if let Some(by) = self.detour(&dir, &name, &mut todo, asked) {
                        if by != Detour::Link && todo.iter().any(|name| name == b"..") {
                            return Err(ReadError::up(path));
                        }
                        turns = turns.saturating_add(1);
                        if by == Detour::Volume {
                            another.leads_on_to(next.as_deref());
                        }
                        asked.by_data = by == Detour::Data;
                        way.restart();
                        volume = Volume::default();
                        continue;
                    } else {
                        self.note_lack(another, &way, (&name, &todo), asked);
                        let led = another.place().or(passed.as_ref());
                        note(Passed::over(&dir, &name, None).behind(&volume, led));
                        if let Some(parents) = self.parents.as_ref().filter(|_| {
                            links.max(turns) == 0 && another.place().is_none() && self.keeps()
                        }) {
                            parents.keep(dir.path(), &dir, &volume);
                        }
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            };
            if meta.kind == Kind::Symlink && (follow_last || !todo.is_empty()) {
                links = links.saturating_add(1);
                if links > MAX_LINKS {
                    return Err(fail(Errno::LOOP));
                }
                let target = dir.read_link(&name)?;
                another.leads_on();
                let firm = self.firm_links_place(&way, &name);
                another.passed = another.passed.take().or(firm);
                note(Passed {
                    text: Some(&target),
                    ..Passed::over(&dir, &name, Some(&meta))
                        .behind(&volume, another.place().or(passed.as_ref()))
                });
                passed = passed.or_else(|| volume.mount().cloned());
                if target.is_empty() {
                    return Err(fail(Errno::NOENT));
                }
                // The kernel refuses what grows beyond that (`lookup_handle_symlink` of xnu's bsd/vfs/vfs_lookup.c), but
                // for the few processes that may have long paths.
                let left = todo.iter().map(|name| name.len().saturating_add(1));
                let left = left.fold(more, usize::saturating_add);
                if target.len().saturating_add(left) >= PATH_MAX {
                    return Err(ReadError::too_far(path));
                }
                more = more.saturating_add(path::beyond_names(&target));
                is_directory |= todo.is_empty() && path::asks_for_directory(&target);
                if target.starts_with(b"/") {
                    asked.by_data = false;
                    way.restart();
                    volume = Volume::default();
                }
                let target = components(&target);
                ups = ups.saturating_add(path::ups(&target));
                todo.extend(target);
                continue;
            }
            let rest = (meta.kind == Kind::Directory).then(|| on_data(way.names(), &name));
            if let Some(rest) = rest.flatten()
                && is_firmlink(&self.top, &rest, &meta)
            {
                turns = turns.saturating_add(1);
                todo.extend(rest.into_iter().rev());
                asked.by_data = false;
                way.restart();
                volume = Volume::default();
                continue;
            }
            let itself = volume.below(&dir, &name, (&meta, is_top));
            let is_asked = ups > 0 || notes == Notes::All;
            if todo.is_empty() || is_asked || meta.kind != Kind::Directory {
                let led = match todo.is_empty() {
                    true => another.place(),
                    false => another.passed.as_ref(),
                };
                note(
                    Passed::over(&dir, &name, Some(&meta)).behind(&itself, led.or(passed.as_ref())),
                );
            }
            if todo.is_empty() {
                if is_directory && meta.kind != Kind::Directory {
                    return Err(fail(Errno::NOTDIR));
                }
                return Ok(Found {
                    dir,
                    name,
                    meta,
                    is_top,
                    links: links.saturating_add(turns),
                    is_another: another.place().is_some(),
                    volume: volume.passing(another.place().cloned().or(passed)),
                });
            }
            if meta.kind != Kind::Directory {
                return Err(match todo.last() {
                    Some(next) if next == b"..namedfork" => ReadError::fork(path),
                    _ => fail(Errno::NOTDIR),
                });
            }
            // Where it only leads up again, nothing has to be opened.
            if todo.last().is_some_and(|next| next == b"..") {
                self.may_go_up(way.names(), &name, path)?;
                ups = ups.saturating_sub(1);
                todo.pop();
                continue;
            }
            way.down(&name)?;
            volume = itself;
        }
        // The path ended in `..` or is the root itself: a directory that is open already.
        another.comes_to(self.standing(&way, None, asked));
        let dir = way.here()?;
        let meta = dir.own_meta()?;
        Ok(Found {
            dir,
            name: b".".to_vec(),
            meta,
            // What leads to it is known of its volume.
            is_top: false,
            links: links.saturating_add(turns),
            is_another: another.place().is_some(),
            volume: volume.passing(another.place().cloned().or(passed)),
        })
    }
}
