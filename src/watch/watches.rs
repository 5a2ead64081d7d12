//! The watches on places: on those that are wanted now, and on no others; and how it stands with them.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::hints::{self, Hints, Woken};
use super::pace::POLL;
use super::places::{Place, Wish};
use super::wanted;
use crate::order;
use crate::root::Root;
use crate::scan::{Snapshot, WatchStatus};

/// The same is no warning again for so long.
const WARNED: Duration = Duration::from_secs(3600);

/// Takes in how it stands with the watch, whenever that changes.
pub type Say = Box<dyn FnMut(WatchStatus) + Send>;

/// The watches on the places of one disk.
pub struct Watches {
    root: Root,
    hints: Option<Hints>,
    /// What is watched, by device and inode, and what for.
    held: BTreeMap<(u64, u64), Wish>,
    status: WatchStatus,
    say: Say,
    has_new: bool,
    /// What was warned of last, but for the numbers in it, and when.
    warned: Option<(String, Instant)>,
}

impl Watches {
    /// Nothing is watched yet.
    pub fn none(root: Root) -> Self {
        Self {
            root,
            hints: None,
            held: BTreeMap::new(),
            status: WatchStatus::default(),
            say: Box::new(|_| ()),
            has_new: false,
            warned: None,
        }
    }

    /// Has `say` told how it stands with them.
    pub fn saying(&mut self, say: Say) {
        self.say = say;
    }

    /// Begins to ask the system for hints.
    pub fn begin(&mut self) {
        match Hints::new() {
            Ok(hints) => self.hints = Some(hints),
            Err(error) => log::error!("nothing can be watched: {error}"),
        }
    }

    /// True when every place is watched that is wanted.
    pub fn are_all(&self) -> bool {
        self.status.state == "all"
    }

    /// True when something is watched since that was last asked.
    pub fn take_new(&mut self) -> bool {
        std::mem::take(&mut self.has_new)
    }

    /// Waits until the ways are to be looked at, or for a hint that has all looked at. Of what is doubtful more
    /// would not bring that forward: whoever writes into a directory on a way all day wakes nobody by it.
    pub fn wait_in_doubt(&mut self, time: Duration, stop: Option<BorrowedFd<'_>>) -> Woken {
        let begun = Instant::now();
        let mut woken = Woken::default();
        while !woken.hinted && !woken.stopped {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            if hints::stops_within(left.min(POLL), stop) {
                woken.stopped = true;
            } else {
                woken = self.wait(Duration::ZERO, stop);
            }
        }
        woken
    }

    /// Waits for a hint, for the stop, or until the time is up. What has gone is watched no more.
    pub fn wait(&mut self, timeout: Duration, stop: Option<BorrowedFd<'_>>) -> Woken {
        let woken = match &mut self.hints {
            Some(hints) => hints.wait(timeout, stop),
            None => Woken {
                stopped: hints::stops_within(timeout, stop),
                ..Woken::default()
            },
        };
        woken.ended.iter().for_each(|id| self.forget(*id));
        woken
    }

    /// Watches the places that are wanted now, and no others.
    pub fn place(&mut self, snapshot: &Snapshot) {
        let wanted = wanted::wanted(&self.root, snapshot, Hints::TELLS_WRITES, Hints::BUDGET);
        let (folders, left) = (wanted.folders, wanted.left);
        let wanted = wanted.places;
        let Some(hints) = &mut self.hints else {
            return self.say("tick", "the system gives no hints".to_owned());
        };
        let all = wanted.len().saturating_add(left);
        let wishes: BTreeMap<(u64, u64), Wish> =
            order::gather(wanted.iter().map(|p| (p.id, p.wish())));
        // One of which more is asked than before is watched anew.
        self.held.retain(|id, wish| {
            let stays = wishes.get(id) == Some(wish);
            if !stays {
                hints.remove(*id);
            }
            stays
        });
        let mut refused = None;
        let mut own = 0_usize;
        for (index, place) in wanted.iter().enumerate() {
            if !self.held.contains_key(&place.id) && refused.is_none() {
                match add(&self.root, hints, place) {
                    Ok(true) => {
                        self.held.insert(place.id, place.wish());
                        self.has_new = true;
                    }
                    // It went meanwhile.
                    Ok(false) => {}
                    Err(error) => refused = Some(error),
                }
            }
            if index < folders && self.held.contains_key(&place.id) {
                own = own.saturating_add(1);
            }
        }
        let own_all = own >= folders;
        let watched = self.held.len();
        match refused {
            None if watched >= all => self.say("all", String::new()),
            None => {
                let more = all.saturating_sub(watched);
                // Some may have gone since the look; what is over the budget has not.
                let (state, why) = if left > 0 {
                    (
                        "directories",
                        format!("limit: {more} places are left to the tick"),
                    )
                } else {
                    ("all", String::new())
                };
                self.say(state, why);
            }
            Some(why) if own_all && own > 0 => {
                self.say("directories", format!("no more can be watched: {why}"));
            }
            Some(why) => self.say("tick", format!("no more can be watched: {why}")),
        }
    }

    fn forget(&mut self, id: (u64, u64)) {
        if let Some(hints) = &mut self.hints {
            hints.remove(id);
        }
        self.held.remove(&id);
    }

    /// A warning, where that was not the last one within the hour: whoever renames a folder away and back has it come
    /// and go.
    fn level(&mut self, error: &str) -> log::Level {
        let text: String = error.chars().filter(|c| !c.is_ascii_digit()).collect();
        let again = self
            .warned
            .as_ref()
            .is_some_and(|(warned, at)| *warned == text && at.elapsed() < WARNED);
        if again {
            return log::Level::Debug;
        }
        self.warned = Some((text, Instant::now()));
        log::Level::Warn
    }

    fn say(&mut self, state: &'static str, error: String) {
        let status = WatchStatus {
            state,
            places: self.held.len(),
            error,
        };
        if self.status == status {
            return;
        }
        if self.status.state != status.state && !status.error.is_empty() {
            let level = self.level(&status.error);
            log::log!(level, "not all is watched: {}", status.error);
        }
        self.status = status.clone();
        (self.say)(status);
    }
}

/// Watches one place; false when something else stands there by now.
fn add(root: &Root, hints: &mut Hints, place: &Place) -> Result<bool, std::io::Error> {
    let Ok(found) = root.find(&place.path) else {
        return Ok(false);
    };
    let Ok(dir) = found.open_dir() else {
        return Ok(false);
    };
    let meta = match &place.file {
        Some(name) => dir.meta(name),
        None => dir.own_meta(),
    };
    if !meta.is_ok_and(|m| (m.dev, m.ino) == place.id) {
        return Ok(false);
    }
    match hints.add(place, &dir) {
        Ok(()) => Ok(true),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NOTSUP | Errno::ACCESS) => {
                Ok(false)
            }
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::scan::Scanner;
    use dsplug_fixtures::{Disk, Plugin};

    #[test]
    fn the_same_is_warned_of_once_an_hour() {
        let mut watches = Watches::none(Root::open(Disk::new().path()).unwrap());
        let [warn, debug] = [log::Level::Warn, log::Level::Debug];
        assert_eq!(watches.level("limit: 7 places are left to the tick"), warn);
        assert_eq!(
            watches.level("limit: 12 places are left to the tick"),
            debug
        );
        assert_eq!(watches.level("no more can be watched: no space"), warn);
        let (_, at) = watches.warned.as_mut().unwrap();
        *at = at.checked_sub(WARNED).unwrap();
        assert_eq!(watches.level("no more can be watched: no space"), warn);
    }

    #[test]
    fn what_only_led_on_and_holds_candidates_now_is_watched_for_these() {
        if !Hints::TELLS_WRITES {
            return;
        }
        let disk = Disk::new();
        let elsewhere = disk.dir("Users/Shared/d");
        disk.file("Users/Shared/d/code", "code");
        let bundle = Plugin::new("A").write(disk.plugin(""));
        std::os::unix::fs::symlink("/Users/Shared/d/code", bundle.join("link")).unwrap();
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root.clone(), Limits::STANDARD);
        let mut watches = Watches::none(root);
        watches.begin();
        watches.place(&scanner.scan());
        disk.link(
            "Library/DirectoryServices/PlugIns/Contents/Resources/en.lproj",
            "/Users/Shared/d",
        );
        let snapshot = scanner.scan();
        watches.place(&snapshot);
        while watches.wait(Duration::ZERO, None).hinted {}
        std::fs::create_dir(elsewhere.join("Evil.dsplug")).unwrap();
        let woken = watches.wait(Duration::from_secs(3), None);
        let [name] = woken.names.as_slice() else {
            panic!("{woken:?}");
        };
        assert!(name.ends_with(b"/Contents/Resources/en.lproj/Evil.dsplug"));
        // And what is watched as it is wished stays so.
        watches.place(&snapshot);
        assert!(!watches.wait(Duration::ZERO, None).hinted);
    }
}
