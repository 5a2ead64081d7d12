//! The languages that a plug-in folder's own Info.plist names: the loader looks for a `.lproj` of each.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::slice;

use super::anomaly::Anomaly;
use super::candidate::{Listed, Via};
use super::finder::{Finder, Place, join};
use super::language::Language;
use super::listing::Listing;
use crate::attribute::refuse_compressed;
use crate::directory::{Dir, ReadError};
use crate::info_dictionary;
use crate::layout::Layout;
use crate::meta::{Kind, WritableBy};
use crate::property_list::{self, Bounds, Value};
use crate::text::escape;

/// Languages that the folder's Info.plist may name: each costs a few looks, and a name costs nobody anything.
const MOST_NAMED: usize = 4_096;

impl Finder<'_> {
    /// Reads which languages the Info.plist of the folder itself names. A path in the place of a
    /// language leads the loader anywhere.
    pub fn read_languages(
        &mut self,
        folder: &[u8],
        layout: Layout,
        dir: &Dir,
        top: &Listing,
    ) -> Result<(), ReadError> {
        let mut place = Place {
            path: folder.to_vec(),
            via: Via::TopLevel,
            listed: Listed::No,
            writable_by: WritableBy::Root,
            device: 0,
        };
        let listing;
        let info = match layout.info_directory() {
            [] => &top.info,
            names => {
                let Some(found) = self.spelled_path(&mut place, dir, names)? else {
                    return Ok(());
                };
                let Some((_, read)) = self.open_and_read(&found, &place.path)? else {
                    return Ok(());
                };
                self.is_unsure |= read.is_cut;
                listing = read;
                &listing.info
            }
        };
        let mut info = info.clone();
        if cfg!(target_os = "macos") {
            info.as_found(|name| Ok(self.reach(&join(&place.path, name))?.is_some()))?;
        }
        let is_contested = !cfg!(target_os = "macos") && info.hang_on_letter_case();
        if is_contested {
            let path = escape(&place.path);
            self.unlisted(format!(
                "{path}: which of its Info.plist is read hangs on whether the disk tells letter case apart"
            ));
        }
        if info.are_contested() {
            let path = escape(&place.path);
            self.unlisted(format!("{path} {}", info_dictionary::FOLDED));
        }
        for name in info.in_order() {
            self.anomalies.insert(Anomaly::InfoPlist);
            let path = join(&place.path, name);
            let Some(bytes) = self.small_file(&path)? else {
                continue;
            };
            match property_list::parse(&bytes, &Bounds::BESIDE_MUCH) {
                Ok(value) => self.languages_of(&value, &path),
                Err(error) => {
                    let why = format!("{}: {error}", escape(&path));
                    // CoreFoundation takes what it cannot read for an empty list, and asks no other.
                    match error.is_certain() {
                        true => self.left_out.unlisted(why),
                        false => self.unlisted(why),
                    }
                }
            }
            if !is_contested {
                break;
            }
        }
        Ok(())
    }

    fn small_file(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(found) = self.reach(path)? else {
            return Ok(None);
        };
        if found.meta.kind != Kind::File {
            return Ok(None);
        }
        let most = self.limits.plist_bytes;
        let mut bytes = Vec::new();
        let Some(file) = self.told(found.open_file())? else {
            return Ok(None);
        };
        if let Err(why) = refuse_compressed(&file.fd, path) {
            self.unlisted(why);
            return Ok(None);
        }
        let read = std::fs::File::from(file.fd)
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes);
        if read.is_ok() && u64::try_from(bytes.len()).is_ok_and(|len| len <= most) {
            return Ok(Some(bytes));
        }
        self.unlisted(format!("{} could not be read whole", escape(path)));
        Ok(None)
    }

    fn languages_of(&mut self, value: &Value, path: &[u8]) {
        let Some(keys) = value.as_dictionary() else {
            return;
        };
        let region = info_dictionary::value(keys, "CFBundleDevelopmentRegion");
        let others = info_dictionary::value(keys, "CFBundleLocalizations");
        // Of a key that is overridden twice any of the values may count.
        let doubtful = ["CFBundleDevelopmentRegion", "CFBundleLocalizations"];
        let doubtful = doubtful.map(|key| {
            let is_doubtful = info_dictionary::is_overridden_twice(keys, key);
            keys.iter()
                .filter(move |(k, _)| is_doubtful && k.as_bytes().starts_with(key.as_bytes()))
                .flat_map(|(_, value)| value.as_array().unwrap_or(slice::from_ref(value)))
        });
        let others = others.and_then(Value::as_array).into_iter().flatten();
        let others = others.chain(doubtful.into_iter().flatten());
        let mut languages: BTreeSet<Vec<u8>> = BTreeSet::new();
        for language in region.into_iter().chain(others) {
            let Some(language) = language.as_string().filter(|l| !l.is_empty()) else {
                continue;
            };
            languages.insert(language.as_bytes().to_vec());
            if languages.len() > MOST_NAMED {
                let path = escape(path);
                self.unlisted(format!("{path} names more than {MOST_NAMED} languages"));
                break;
            }
        }
        let languages = languages.into_iter().map(Language::new);
        self.languages = self.languages.iter().cloned().chain(languages).collect();
    }
}
