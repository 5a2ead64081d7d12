//! What the loader lists of a plug-in folder, by CoreFoundation's search for resources of a type.
//!
//! `CFBundleCopyResourceURLsOfTypeInDirectory` of CFBundle_Resources.c: the layout tells the directory
//! of resources, and beside it one `.lproj` for each language is read, of which the user's languages
//! and the folder's own Info.plist say which. Names that begin `._` do not count.

use std::borrow::Cow;

use super::anomaly::Anomaly;
use super::candidate::{Folder, Listed, Via};
use super::finder::{Finder, Place, join};
use super::listing::Listing;
use super::localized::MOST_LANGUAGES;
use super::only::{Has, Only};
use crate::directory::{Dir, ReadError};
use crate::layout::Layout;
use crate::meta::{Kind, WritableBy};
use crate::name::{self, Suffix};
use crate::text::escape;

/// Directories of a folder that are told as places of the loader.
const MOST_LISTED_IN: usize = 256;
/// The directories of resources that a layout may make the loader read.
const PLACES: [(Layout, Via); 5] = [
    (Layout::Contents, Via::ContentsResources),
    (Layout::Resources, Via::Resources),
    (Layout::SupportFiles, Via::SupportFiles),
    (Layout::WrappedContents, Via::ContentsResources),
    (Layout::WrappedFlat, Via::Resources),
];

impl Finder<'_> {
    pub fn run(&mut self, path: &str, folder: &mut Folder) -> Result<(), ReadError> {
        let found = self.way.find(self.root, path.as_bytes());
        // Where it is not there, a mounted volume may say so to some alone.
        if self.way.is_mounted {
            self.anomalies.insert(Anomaly::Mounted);
            self.left_out.covered();
            self.is_unsure = true;
        }
        if self.way.is_mounted && found.as_ref().is_err_and(ReadError::leads_nowhere) {
            self.recall(false)?;
            self.recall(true)?;
        }
        let found = found?;
        folder.exists = found.meta.kind == Kind::Directory;
        folder.resolved_path = found.path();
        folder.meta = Some(found.meta);
        folder.writable_by = WritableBy::of(&found.meta).max(self.way.weakest);
        if found.links > 0 && self.goes_through_foreign_link(path) {
            self.anomalies.insert(Anomaly::Symlinked);
        }
        if folder.writable_by > WritableBy::Root {
            self.anomalies.insert(Anomaly::Writable);
        }
        let dir = found.open_dir()?;
        let path = path.as_bytes();
        let top = self.read(&dir, path, true)?;
        folder.entries = top.count;
        if top.has_others {
            self.anomalies.insert(Anomaly::OtherEntries);
        }
        let layout = if top.is_cut {
            None
        } else {
            match top.marks.layout(self.root, path, &folder.resolved_path) {
                Ok(layout) => Some(layout),
                Err(error) if error.is_limit() || error.is_unfollowed() => {
                    self.unfollowed(&error);
                    None
                }
                Err(error) => self.told(Err(error))?,
            }
        };
        if top.marks.are_wrapped() {
            self.anomalies.insert(Anomaly::Wrapped);
        }
        if let Some(why) = layout.and_then(|layout| top.marks.doubt(layout)) {
            self.unlisted(format!("{} {why}", escape(path)));
        }
        let decides = self.specials(&dir, path, layout)?;
        if let Some(layout) = layout {
            self.read_languages(path, layout, &dir, &top)?;
        }
        self.listed((path, folder), &dir, top, layout, decides)?;
        self.doubt();

        self.recall(false)?;
        self.cut();
        let branches = std::mem::take(&mut self.branches);
        self.search(branches)?;
        self.recall(true)
    }

    /// A language that was not looked for, or a link that was not followed, may lead the loader anywhere: then nothing is
    /// proved not to be listed, but by its own name.
    fn doubt(&mut self) {
        if !self.is_unsure {
            return;
        }
        for candidate in self.found.values_mut() {
            let name = candidate.path.rsplit(|b| *b == b'/').next();
            let is_passed_over = name.is_some_and(|name| name.starts_with(b"._"));
            if candidate.listed == Listed::No && !is_passed_over {
                candidate.listed = Listed::Maybe;
            }
        }
    }

    /// Takes what stands in the places of the loader, those that it reads first.
    fn listed(
        &mut self,
        (path, folder): (&[u8], &Folder),
        dir: &Dir,
        top: Listing,
        layout: Option<Layout>,
        decides: Special,
    ) -> Result<(), ReadError> {
        let writable_by = folder.writable_by;
        let device = folder.meta.map_or(0, |m| m.dev);
        let mut has = Has::None;
        for is_first in [true, false] {
            for (of, via) in PLACES {
                let listed = match layout {
                    None => Listed::Maybe,
                    Some(layout) if layout == of => Listed::Yes,
                    Some(_) => Listed::No,
                };
                if (listed == Listed::Yes) != is_first {
                    continue;
                }
                let mut place = Place {
                    path: path.to_vec(),
                    via,
                    listed,
                    writable_by,
                    device,
                };
                let Some(found) = self.spelled_path(&mut place, dir, of.resource_directory())?
                else {
                    continue;
                };
                let Some((dir, listing)) = self.open_and_read(&found, &place.path)? else {
                    continue;
                };
                let only = match of {
                    Layout::SupportFiles => self.unlocalized(&dir, &place)?,
                    _ => Only::default(),
                };
                let some = self.resources(&dir, listing, &place, &only)?;
                if is_first {
                    has = some;
                }
            }
            if is_first {
                let listed = match layout {
                    None => Listed::Maybe,
                    Some(Layout::Flat) => Listed::Yes,
                    // The top level is read when `Resources` has nothing.
                    Some(Layout::Resources) => match has {
                        Has::None if !self.is_unsure => Listed::Yes,
                        Has::None | Has::Maybe => Listed::Maybe,
                        Has::Some => Listed::No,
                    },
                    // A network's file system may not say in a listing what is a link; then one that
                    // leads to no directory does not tell the layout.
                    Some(_) if decides == Special::LeadsNowhere => Listed::Maybe,
                    Some(_) => Listed::No,
                };
                let place = Place {
                    path: path.to_vec(),
                    via: Via::TopLevel,
                    listed,
                    writable_by,
                    device,
                };
                self.take_all(&top, &place, &Only::default());
                self.localized(dir, &top.lprojs, &place)?;
            }
        }
        Ok(())
    }

    /// Takes one of the directories in which the loader looks for resources.
    fn resources(
        &mut self,
        dir: &Dir,
        listing: Listing,
        place: &Place,
        only: &Only,
    ) -> Result<Has, ReadError> {
        let has = self.take_all(&listing, place, only);
        Ok(has.max(self.localized(dir, &listing.lprojs, place)?))
    }

    /// Takes the candidates of a directory, and puts its directories on the list of what is searched.
    pub fn take_all(&mut self, listing: &Listing, place: &Place, only: &Only) -> Has {
        let mut has = if listing.is_cut {
            Has::Maybe
        } else {
            Has::None
        };
        if place.listed != Listed::No {
            if self.listed_in.len() < MOST_LISTED_IN {
                self.listed_in.push(place.path.clone());
            }
            if place.writable_by > WritableBy::Root {
                self.anomalies.insert(Anomaly::Writable);
            }
        }
        if !listing.is_cut && !listing.candidates.is_empty() {
            self.places.insert(place.path.clone());
        }
        for (name, suffix) in &listing.candidates {
            // Of thousands of long names, that takes a while.
            let folded = if only.is_empty() && listing.doubles.is_empty() {
                Cow::default()
            } else {
                name::folded(name)
            };
            let listed = match place.listed {
                Listed::No => Listed::No,
                // Whether the list keeps it hangs on what the disk names first.
                _ if *suffix == Suffix::Platform => Listed::Maybe,
                _ if name.starts_with(b"._") => Listed::No,
                // CoreFoundation leaves out what it has no text for; the file systems of a Mac
                // refuse such names.
                _ if std::str::from_utf8(name).is_err() => Listed::Maybe,
                listed => only.narrow(&folded, listed),
            };
            if matches!(suffix, Suffix::Exact | Suffix::Platform) && listed != Listed::No {
                has = has.max(if listed == Listed::Yes {
                    Has::Some
                } else {
                    Has::Maybe
                });
            }
            let is_double = listing.doubles.contains(folded.as_ref());
            self.take(join(&place.path, name), *suffix, place, listed, is_double);
        }
        self.left_out.candidates(listing.more_candidates);
        for name in &listing.more_known {
            self.left_out.known(join(&place.path, name));
        }
        if listing.more_candidates > 0 {
            has = has.max(Has::Maybe);
        }
        self.left_out
            .directories(listing.more_directories, &place.path);
        for name in &listing.directories {
            self.branch(name, place);
        }
        has
    }

    /// The names that `Non-localized Resources` has: where it has any, of `Support Files/Resources`
    /// only these are listed (`_copyResourceURLsFromBundle`).
    fn unlocalized(&mut self, dir: &Dir, of: &Place) -> Result<Only, ReadError> {
        let mut only = Only::default();
        let name = match self.told(dir.spelled(b"Non-localized Resources"))? {
            Some(Some(name)) => name,
            Some(None) => return Ok(only),
            None => return Ok(Only::unknown()),
        };
        let path = join(&of.path, &name);
        let Some(found) = self.reach(&path)? else {
            return Ok(only);
        };
        if found.meta.kind != Kind::Directory {
            return Ok(only);
        }
        let Some((_, listing)) = self.open_and_read(&found, &path)? else {
            return Ok(Only::unknown());
        };
        only.note(&listing, Has::Some);
        let lprojs = listing.lprojs.iter().map(|name| (join(&path, name), false));
        let languages = self.languages.iter().map(|l| (l.listed_in(&path), true));
        let lprojs: Vec<(Vec<u8>, bool)> = lprojs.chain(languages).collect();
        let mut left = MOST_LANGUAGES;
        let mut lacking = None;
        for (lproj, is_named) in lprojs {
            let is_late = match is_named {
                true => left == 0 || self.is_late_for_languages(),
                false => self.is_late(),
            };
            if is_late {
                only.forget();
                return Ok(only);
            }
            let found = match is_named {
                true => self.stands(&lproj, &mut lacking)?,
                false => self.reach(&lproj)?,
            };
            if let Some(found) = found.filter(|found| found.meta.kind == Kind::Directory) {
                left = left.saturating_sub(usize::from(is_named));
                match self.open_and_read(&found, &path)? {
                    Some((_, listing)) => only.note(&listing, Has::Maybe),
                    None => only.forget(),
                }
            }
        }
        Ok(only)
    }

    /// Names the directories whose presence changes how the folder is read, and says whether the one
    /// that does is a directory.
    fn specials(
        &mut self,
        dir: &Dir,
        folder: &[u8],
        layout: Option<Layout>,
    ) -> Result<Special, ReadError> {
        let mut decides = Special::IsDirectory;
        for (of, wanted, word, link_word) in [
            (
                Layout::Contents,
                b"Contents".as_slice(),
                Anomaly::Contents,
                Anomaly::SymlinkedContents,
            ),
            (
                Layout::Resources,
                b"Resources",
                Anomaly::Resources,
                Anomaly::SymlinkedResources,
            ),
            (
                Layout::SupportFiles,
                b"Support Files",
                Anomaly::SupportFiles,
                Anomaly::SymlinkedSupportFiles,
            ),
        ] {
            let Some(name) = self.special(dir, wanted)? else {
                continue;
            };
            let is_link = dir.meta(&name).is_ok_and(|m| m.kind == Kind::Symlink);
            if is_link {
                self.anomalies.insert(link_word);
            }
            let found = self.reach(&join(folder, &name))?;
            if found.is_some_and(|found| found.meta.kind == Kind::Directory) {
                self.anomalies.insert(word);
            } else if is_link && layout == Some(of) {
                self.anomalies.insert(Anomaly::BrokenLayout);
                decides = Special::LeadsNowhere;
            }
        }
        Ok(decides)
    }

    /// True when a link on the way to the folder is not one of a framework's own
    /// (`Resources` → `Versions/Current/Resources` → `Versions/A/Resources`).
    fn goes_through_foreign_link(&self, path: &str) -> bool {
        let Some((framework, below)) = path.split_once(".framework/") else {
            return true;
        };
        let framework = format!("{framework}.framework");
        let plain = |p: &str| {
            self.root
                .find(p.as_bytes())
                .is_ok_and(|f| f.links == 0 && f.meta.kind == Kind::Directory)
        };
        let versions = format!("{framework}/Versions/A/{below}");
        !(plain(&framework) && plain(&versions))
    }
}

/// What stands under the name that tells the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    IsDirectory,
    LeadsNowhere,
}
