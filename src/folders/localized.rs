//! The directories of a language (`.lproj`) beside a directory of resources: those that stand in it, and those that the
//! folder's own Info.plist names, wherever that leads.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::anomaly::Anomaly;
use super::candidate::{Listed, Via};
use super::finder::{Finder, MOST_LPROJ_LINKS, Place, join};
use super::language::Language;
use super::only::{Has, Only};
use crate::directory::{Dir, ReadError};
use crate::meta::{Kind, WritableBy};
use crate::name;
use crate::root::{Found, last_component, without_dots};

/// Languages of the folder's own Info.plist for which something stands beside one directory of resources.
pub const MOST_LANGUAGES: usize = 256;

/// A directory in which a language does not stand. Of thousands most name the same: it counts on the way once.
pub struct Lacking {
    path: Vec<u8>,
    dir: Dir,
}

impl Finder<'_> {
    /// Takes the `.lproj` directories of a resource directory: that which the loader lists for everybody, those that the
    /// folder's Info.plist names, wherever that leads, and the others that stand there. Whoever plants these by the
    /// thousand, each a link of a long way, takes the steps and the time of none before them.
    pub fn localized(
        &mut self,
        dir: &Dir,
        lprojs: &BTreeSet<Vec<u8>>,
        of: &Place,
    ) -> Result<Has, ReadError> {
        let (base, others): (Vec<_>, Vec<_>) = lprojs.iter().partition(|name| is_base(name));
        let has = self.standing(dir, &base, of)?;
        let has = has.max(self.named(of)?);
        Ok(has.max(self.standing(dir, &others, of)?))
    }

    /// Takes those of these names.
    fn standing(&mut self, dir: &Dir, lprojs: &[&Vec<u8>], of: &Place) -> Result<Has, ReadError> {
        let mut has = Has::None;
        for name in lprojs {
            if self.is_late() {
                return Ok(Has::Maybe.max(has));
            }
            let path = join(&of.path, name);
            let is_link = dir.meta(name).is_ok_and(|m| m.kind == Kind::Symlink);
            if is_link {
                let Some(left) = self.lproj_links_left.checked_sub(1) else {
                    self.unlisted(format!(
                        "more than {MOST_LPROJ_LINKS} .lproj are links; the rest was not followed"
                    ));
                    has = Has::Maybe.max(has);
                    continue;
                };
                self.lproj_links_left = left;
            }
            let Some(found) = self.reach(&path)? else {
                continue;
            };
            if found.meta.kind != Kind::Directory {
                continue;
            }
            self.anomalies.insert(Anomaly::Lproj);
            if is_link {
                self.anomalies.insert(Anomaly::SymlinkedLproj);
            }
            let listed = if is_base(name) {
                Listed::Yes
            } else {
                Listed::ForItsLanguage
            };
            has = has.max(self.lproj(&found, path, of, listed)?);
        }
        Ok(has)
    }

    /// Takes those of the languages that the folder's Info.plist names.
    fn named(&mut self, of: &Place) -> Result<Has, ReadError> {
        let mut has = Has::None;
        let mut left = MOST_LANGUAGES;
        let mut lacking = [None, None];
        for language in Arc::clone(&self.languages).iter() {
            if self.is_late_for_languages() {
                return Ok(Has::Maybe.max(has));
            }
            let Some(places) = self.places_of(language, of, &mut lacking)? else {
                continue;
            };
            left = match left.checked_sub(1) {
                Some(left) => left,
                None => {
                    self.unlisted(format!(
                        "more than {MOST_LANGUAGES} languages of its Info.plist lead to a directory; the rest was not listed"
                    ));
                    return Ok(Has::Maybe.max(has));
                }
            };
            has = has.max(self.language(language, places, of)?);
        }
        Ok(has)
    }

    /// Where the loader lists a language and where it loads from; nothing where no directory stands at either.
    fn places_of(
        &mut self,
        language: &Language,
        of: &Place,
        lacking: &mut [Option<Lacking>; 2],
    ) -> Result<Option<[Option<Found>; 2]>, ReadError> {
        let listed = language.listed_in(&of.path);
        let loaded = without_dots(&language.loaded_from(&of.path));
        let [beside, below] = lacking;
        let places = [self.stands(&listed, beside)?, self.stands(&loaded, below)?];
        Ok(places.iter().any(Option::is_some).then_some(places))
    }

    /// The directory that stands at a path; `lacking` is where the last one was not.
    pub fn stands(
        &mut self,
        path: &[u8],
        lacking: &mut Option<Lacking>,
    ) -> Result<Option<Found>, ReadError> {
        let Some((above, name)) = last_component(path) else {
            return Ok(None);
        };
        let known = lacking.as_ref().filter(|known| known.path == above);
        if known.is_some_and(|known| matches!(known.dir.spelled(name), Ok(None))) {
            return Ok(None);
        }
        let is_known = known.is_some();
        let found = self.reach(path)?;
        if found.is_none() && !is_known {
            let dir = self.root.find_dir(above).ok();
            *lacking = dir.map(|dir| Lacking {
                path: above.to_vec(),
                dir,
            });
        }
        Ok(found.filter(|found| found.meta.kind == Kind::Directory))
    }

    /// Takes what stands where the loader lists a language that the folder's Info.plist names, and what stands where it
    /// then loads it from: by links and `..` whoever writes the list has these be two places. Of neither is anything
    /// proved then.
    fn language(
        &mut self,
        language: &Language,
        [listed, loaded]: [Option<Found>; 2],
        of: &Place,
    ) -> Result<Has, ReadError> {
        let text = language.loaded_from(&of.path);
        let plain = without_dots(&text);
        if language.has_nul() {
            // What comes behind it is glued to the names of what was listed.
            let why =
                "a language of its Info.plist has a NUL in it: what is loaded for it is not known";
            self.unlisted(why.to_owned());
            if let Some(found) = &listed {
                self.glued(found, without_dots(&language.listed_in(&of.path)), of)?;
            }
        }
        if language.is_path() {
            self.anomalies.insert(Anomaly::LprojElsewhere);
        }
        self.anomalies.insert(Anomaly::Lproj);
        let [at, from] = [&listed, &loaded].map(|found| found.as_ref().map(Found::path));
        let mut has = Has::None;
        if at == from {
            if let Some(found) = loaded {
                has = self.lproj(&found, plain.clone(), of, Listed::ForItsLanguage)?;
            }
        } else {
            for (found, path) in [(loaded, Some(plain.clone())), (listed, at)] {
                if let (Some(found), Some(path)) = (found, path) {
                    has = has.max(self.lproj(&found, path, of, Listed::Maybe)?);
                }
            }
            has = has.min(Has::Maybe);
        }
        if text.windows(2).any(|two| two == b"//") {
            for candidate in self.found.values_mut() {
                let name = candidate.path.strip_prefix(plain.as_slice());
                candidate.has_empty_names |= name.is_some();
            }
        }
        Ok(has)
    }

    /// Takes what stands beside a directory by its name and that of a candidate in it, one glued to the other.
    fn glued(&mut self, found: &Found, path: Vec<u8>, of: &Place) -> Result<(), ReadError> {
        let place = Place {
            path,
            via: Via::Lproj,
            listed: Listed::Maybe,
            writable_by: of.writable_by,
            device: found.meta.dev,
        };
        let Some((_, listing)) = self.open_and_read(found, &place.path)? else {
            return Ok(());
        };
        for (name, suffix) in &listing.candidates {
            let path = [&place.path, name.as_slice()].concat();
            if self.reach(&path)?.is_some() {
                self.take(path, *suffix, &place, Listed::Maybe, false);
            }
        }
        Ok(())
    }

    fn lproj(
        &mut self,
        found: &Found,
        path: Vec<u8>,
        of: &Place,
        listed: Listed,
    ) -> Result<Has, ReadError> {
        let place = Place {
            path,
            via: Via::Lproj,
            listed: of.listed.max(listed),
            writable_by: of.writable_by.max(WritableBy::of(&found.meta)),
            device: found.meta.dev,
        };
        let Some((_, listing)) = self.open_and_read(found, &place.path)? else {
            return Ok(Has::Maybe);
        };
        Ok(self.take_all(&listing, &place, &Only::default()))
    }
}

/// True for the directory that the loader lists whatever the user's language.
fn is_base(name: &[u8]) -> bool {
    name::same(name, b"Base.lproj")
}
