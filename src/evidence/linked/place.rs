//! One place outside of a bundle, walked and read like that.

use std::sync::Arc;

use super::{PLACE_WEIGHT, Search};
use crate::evidence::attributes::Attributes;
use crate::evidence::content::{NotRead, Reader, Wants};
use crate::evidence::entry::{Content, Entry};
use crate::evidence::known::Before;
use crate::evidence::loads::Code;
use crate::evidence::names::are_beside;
use crate::evidence::opener::Opener;
use crate::evidence::paths::{directory_of, is_below};
use crate::evidence::reach::Linked;
use crate::evidence::recall::crowded_of;
use crate::evidence::trouble::{Trouble, tell};
use crate::evidence::turn::Due;
use crate::evidence::walk::entries_of;
use crate::limits::{self, Budget};
use crate::meta::Kind;
use crate::root::Found;
use crate::text::escape;

impl Search<'_> {
    /// Reads a place, and takes up what it leads to.
    pub(super) fn take(
        &mut self,
        path: Vec<u8>,
        found: &Found,
        before: Option<Before<'_>>,
        reader: &mut Reader<'_>,
        budget: &mut Budget,
    ) {
        budget.at.set(&path);
        // The place itself is held as well.
        let own = limits::weight(path.len()).saturating_add(PLACE_WEIGHT);
        if budget.entries() < own {
            // What stands there loads all the same, and more that it names.
            self.is_unsure = true;
            let why = format!(
                "{} was not read: the scan's entries are spent; dsplug --thorough reads more",
                escape(&path)
            );
            tell(&mut self.troubles, Trouble::Limit(why));
            return self.leave(path, found.meta, budget);
        }
        let (mut entries, is_walked) = self.walk(&path, found, budget);
        let weight = entries.iter().map(Entry::weight);
        let weight = weight.fold(own, usize::saturating_add);
        self.spend(weight, budget);
        let is_read = self.read(&path, found, &mut entries, before, reader, budget);
        self.tell_forks(&path, &entries);
        // What is kept of them counts as well.
        self.spend(entries.iter().filter(|e| e.has_fork()).count(), budget);
        let links = entries.iter().filter(|e| e.may_lead_out());
        let onward: Vec<(Vec<u8>, Box<[u8]>)> = links
            .filter_map(|link| Some((join(&path, &link.path), link.link.clone()?)))
            .collect();
        self.ask_all(&path, found.meta.kind, &entries, budget);
        let mut files = entries.iter().filter(|_| found.meta.kind == Kind::File);
        self.is_blind |= files.any(|file| file.content.sha256().is_none());
        let place = Linked {
            meta: found.meta,
            entries,
            packed: None,
            is_whole: is_walked && is_read,
        };
        self.places.insert(path, place);
        for (link, text) in onward {
            self.follow(&link, &text, budget);
        }
    }

    fn spend(&mut self, entries: usize, budget: &mut Budget) {
        self.entries = self.entries.saturating_sub(entries);
        budget.take_entries(entries);
    }

    /// What stands there, and whether that is all.
    fn walk(&mut self, path: &[u8], found: &Found, budget: &mut Budget) -> (Vec<Entry>, bool) {
        if found.meta.kind != Kind::Directory {
            return (vec![Entry::itself(found.meta)], true);
        }
        let dir = match found.open_dir() {
            Ok(dir) => dir,
            Err(error) => {
                self.is_blind = true;
                tell(&mut self.troubles, Trouble::of_entry(&error));
                return (Vec::new(), false);
            }
        };
        let most = self.entries.min(budget.entries());
        let walked = entries_of(&dir, Some(found.meta.dev), most, budget);
        self.is_blind |= walked.is_blind;
        if walked.is_left_out {
            self.left.insert(path.to_vec(), found.meta);
        }
        let is_whole = walked.troubles.is_empty();
        for trouble in walked.troubles {
            tell(&mut self.troubles, trouble);
        }
        (walked.entries, is_whole)
    }

    /// Reads what is not known of the files; false when not all could be.
    fn read(
        &mut self,
        path: &[u8],
        found: &Found,
        entries: &mut [Entry],
        before: Option<Before<'_>>,
        reader: &mut Reader<'_>,
        budget: &mut Budget,
    ) -> bool {
        let mut open = Opener::new(found);
        let olds = before.and_then(|before| before.evidence.reach.known_of(path, entries));
        let olds = olds.unwrap_or_default();
        let (mut due, mut crowded) = (Due::new(), Vec::new());
        if let Some(before) = before {
            if !before.is_safe {
                crowded = crowded_of(entries, &olds, budget);
            }
            let part = &mut self.part;
            due = part.recall(&mut open, entries, &olds, before, &crowded, budget);
        }
        self.read_already(path, entries);
        let (mut is_whole, mut refused) = (true, false);
        let files = entries.iter_mut().enumerate();
        for (number, entry) in files.filter(|(_, e)| e.meta.kind == Kind::File) {
            if entry.content != Content::Unread {
                continue;
            }
            let old = olds.binary_search_by(|old| old.path.cmp(&entry.path));
            let old = old.ok().and_then(|at| olds.get(at));
            let is_crowded = crowded.binary_search(&number).is_ok();
            let size = entry.meta.size;
            let fits = self.bytes.checked_sub(size).filter(|_| !budget.is_late());
            let Some(left) = fits.filter(|_| budget.take_bytes(size)) else {
                refused |= !self.part.give_up(&due, number, entry, old);
                continue;
            };
            self.bytes = left;
            let wants = Wants {
                above: path,
                known: old.filter(|_| !is_crowded).map(|old| &old.content),
                ..Wants::default()
            };
            let read = open
                .file(&entry.path)
                .map_err(NotRead::from)
                .and_then(|file| reader.read(&file, entry, wants, budget));
            match read {
                Ok(passed) => {
                    entry.content = passed.content;
                    // Of its attributes a fork alone counts: a seal reaches nothing here.
                    let has_fork = passed.attributes.is_some_and(|a| a.resource_fork);
                    entry.attributes = has_fork.then(|| Arc::new(Attributes::fork()));
                }
                Err(NotRead::Cut(_)) if self.part.give_up(&due, number, entry, old) => {}
                Err(NotRead::Cut(trouble) | NotRead::Failed(trouble)) => {
                    is_whole = false;
                    tell(&mut self.troubles, trouble);
                }
            }
        }
        if refused {
            self.troubles.push(Trouble::Limit(format!(
                "{}, where a link leads, was not read to its end; dsplug --thorough reads more",
                escape(path)
            )));
        }
        is_whole && !refused
    }

    /// Looks up what code there loads by itself.
    fn ask_all(&mut self, path: &[u8], kind: Kind, entries: &[Entry], budget: &Budget) {
        for entry in entries {
            let Some(facts) = entry.content.code() else {
                continue;
            };
            if entry.meta.names > 1 && are_beside(facts) {
                self.doubt_name(path);
            }
            let at = match kind {
                Kind::Directory => join(path, directory_of(&entry.path)),
                _ => directory_of(path).to_vec(),
            };
            let at = at.strip_suffix(b"/").unwrap_or(&at);
            self.ask(Code { facts, at }, budget);
        }
    }

    /// Tells of resource forks in a place.
    fn tell_forks(&mut self, above: &[u8], entries: &[Entry]) {
        let mut forks = entries.iter().filter(|e| e.has_fork());
        let Some(first) = forks.next() else {
            return;
        };
        let more = match forks.count() {
            0 => String::new(),
            more => format!(", and so have {more} more there"),
        };
        let path = match first.path.as_ref() {
            b"" => escape(above),
            name => escape(&join(above, name)),
        };
        tell(
            &mut self.troubles,
            Trouble::Limit(format!(
                "{path} has a resource fork, which no digest reaches{more}"
            )),
        );
    }

    /// Fills in what was read of files by themselves, whose directory comes after them.
    fn read_already(&self, above: &[u8], entries: &mut [Entry]) {
        let below = self.places.range([above, b"/"].concat()..);
        for (path, place) in below.take_while(|(path, _)| is_below(path, above)) {
            let name = path
                .get(above.len().saturating_add(1)..)
                .unwrap_or_default();
            let entry = entries.iter_mut().find(|e| *e.path == *name);
            if let (Some(entry), [known]) = (entry, place.entries.as_slice())
                && entry.meta == known.meta
                && entry.content == Content::Unread
            {
                entry.content = known.content.clone();
                entry.attributes.clone_from(&known.attributes);
            }
        }
    }
}

fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    [above, b"/", name].concat()
}
