//! What the file system says of a candidate, and of what its links lead to, each in one digest:
//! writing to any of it changes the status of something, and reading changes nothing here.
//!
//! An attacker sets sizes and times as he likes, and with the clock or a volume of his own the status
//! change too, but not so that the newest of many stands for all: each entry counts by itself. The
//! device is left out, for a Mac numbers its volumes anew when it starts. That a volume is mounted where a Mac has none
//! counts: all that its server says of what stands there may be as it was.

use sha2::{Digest as _, Sha256};

use super::entry::Entry;
use super::facts::Evidence;
use super::sum::Sum;
use crate::folders::FolderError;
use crate::meta::{Meta, Special};

/// That of a candidate: itself, every entry, its Info.plist and its main executable.
pub fn of(evidence: &Evidence) -> [u8; 32] {
    let mut print = Print::default();
    print.add(&evidence.candidate.path, evidence.meta.as_ref());
    let target = evidence.symlink_target.as_deref();
    print.add(target.unwrap_or_default(), None);
    print.add(&evidence.resolved_path, evidence.resolved_meta.as_ref());
    print.entries(&evidence.entries);
    if let Some(executable) = &evidence.executable {
        print.add(&executable.path, Some(&executable.meta));
    }
    if let Some(plist) = &evidence.info_plist {
        print.add(&plist.path, plist.meta.as_ref());
    }
    print.rest(evidence);
    print.digest.finalize().into()
}

/// That of what a candidate resolves to, the same by whatever link it is come upon and wherever it was moved.
pub fn of_resolved(evidence: &Evidence) -> [u8; 32] {
    resolved(evidence, Print::default())
}

/// The same of what writing to it or replacing it changes, and a change of mode or owner does not. Who sets the times
/// back after a write has that undone, and those of a directory after two renames: its status change is left out as
/// well, for every `chmod -R` sets it, whether any mode is another then or not.
pub fn of_written(evidence: &Evidence) -> [u8; 32] {
    resolved(evidence, Print::of_writes())
}

fn resolved(evidence: &Evidence, mut print: Print) -> [u8; 32] {
    print.add(b"", evidence.resolved_meta.as_ref());
    print.entries(&evidence.entries);
    if let Some(executable) = &evidence.executable {
        let path = executable.relative.as_ref().unwrap_or(&executable.path);
        print.add(path, Some(&executable.meta));
    }
    if let Some(plist) = &evidence.info_plist {
        print.add(&plist.relative, plist.meta.as_ref());
    }
    print.rest(evidence);
    print.digest.finalize().into()
}

/// That of one entry.
pub fn of_one(path: &[u8], meta: &Meta) -> [u8; 32] {
    let mut print = Print::default();
    print.add(path, Some(meta));
    print.digest.finalize().into()
}

/// That of the places that its links lead to, of what lies beyond a limit there, and of its files with a
/// resource fork; nothing when no link leads out and there is no fork.
pub fn of_linked(evidence: &Evidence) -> Option<[u8; 32]> {
    linked(evidence, Print::default())
}

/// The same of what writing changes, as [`of_written`].
pub fn of_linked_written(evidence: &Evidence) -> Option<[u8; 32]> {
    linked(evidence, Print::of_writes())
}

fn linked(evidence: &Evidence, mut print: Print) -> Option<[u8; 32]> {
    let mut forks = evidence.forks().peekable();
    let is_empty = !evidence.reach.is_anywhere();
    if is_empty && forks.peek().is_none() {
        return None;
    }
    for (path, meta) in forks {
        print.add(path, Some(meta));
    }
    for (path, place) in evidence.reach.places.iter() {
        print.add(path, Some(&place.meta));
        print.entries(&place.entries);
    }
    for (path, place) in evidence.reach.beyond.iter() {
        print.add(path, Some(&place.meta));
        print.beyond(place.sum);
    }
    Some(print.digest.finalize().into())
}

/// That of which sockets, FIFOs and devices it holds: no digest of content says it. Nothing where it holds none.
pub fn of_specials(evidence: &Evidence) -> Option<[u8; 32]> {
    let all = evidence.specials();
    of_those(all.map(|(path, special)| (b"".as_slice(), path, special)))
}

/// The same, with those that are reached from it.
pub fn of_all_specials(evidence: &Evidence) -> Option<[u8; 32]> {
    let own = evidence.specials();
    let own = own.map(|(path, special)| (b"".as_slice(), path, special));
    of_those(own.chain(evidence.reached_specials()))
}

fn of_those<'e>(all: impl Iterator<Item = (&'e [u8], &'e [u8], Special)>) -> Option<[u8; 32]> {
    let mut all = all.peekable();
    all.peek()?;
    let mut print = Print::default();
    for (place, path, special) in all {
        print.add(place, None);
        print.add(path, None);
        print.special(special);
    }
    Some(print.digest.finalize().into())
}

/// That of the links on the ways to what is reached outside of it; nothing where not all of them are known.
pub fn of_ways(evidence: &Evidence) -> Option<[u8; 32]> {
    evidence.reach.ways.fingerprint()
}

#[derive(Default)]
struct Print {
    digest: Sha256,
    /// True when it leaves out what a change of mode or owner sets.
    is_of_writes: bool,
}

impl Print {
    fn of_writes() -> Self {
        Self {
            is_of_writes: true,
            ..Self::default()
        }
    }

    fn rest(&mut self, evidence: &Evidence) {
        self.beyond(evidence.beyond);
        if evidence.is_mounted {
            self.add(b"mounted", None);
        }
        for error in &evidence.candidate.left_out {
            self.left_out(error);
        }
    }

    /// Why a plug-in folder is not known whole, but for what hangs on time and numbers.
    fn left_out(&mut self, error: &FolderError) {
        match error {
            FolderError::Covered => self.add(b"covered", None),
            FolderError::Mount(path) => self.add(path, None),
            FolderError::Entry(error) | FolderError::Unreadable(error) => {
                self.add(&error.path, None);
            }
            FolderError::Limit(_) => {}
        }
    }

    fn beyond(&mut self, sum: Option<Sum>) {
        if let Some(sum) = sum {
            self.digest.update(sum.bytes());
        }
    }

    fn entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.add(&entry.path, Some(&entry.meta));
            self.add(entry.link.as_deref().unwrap_or_default(), None);
        }
    }

    fn special(&mut self, special: Special) {
        self.digest.update(special.to_string());
        self.digest.update([0]);
    }

    fn add(&mut self, path: &[u8], meta: Option<&Meta>) {
        let is_of_writes = self.is_of_writes;
        let digest = &mut self.digest;
        digest.update(path);
        digest.update([0]);
        let Some(meta) = meta else {
            return;
        };
        digest.update(meta.kind.as_str());
        digest.update([0]);
        if let Some(special) = meta.kind.special() {
            self.special(special);
        }
        let digest = &mut self.digest;
        for number in [meta.size, meta.ino] {
            digest.update(number.to_le_bytes());
        }
        let times = [Some(meta.mtime), Some(meta.ctime).filter(|_| !is_of_writes)];
        for time in times.into_iter().flatten() {
            digest.update(time.seconds.to_le_bytes());
            digest.update(time.nanoseconds.to_le_bytes());
        }
        if is_of_writes {
            return;
        }
        for number in [meta.uid, meta.gid, meta.mode] {
            digest.update(number.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::limits::Limits;
    use crate::root::Root;
    use crate::scan::Scanner;

    /// With all else as it was, times too.
    #[test]
    fn a_socket_in_the_place_of_a_fifo_is_another_state() {
        let root = Root::open(Path::new("tests/images/sample")).unwrap();
        let snapshot = Scanner::new(root, Limits::STANDARD).scan();
        let with = |special| {
            let mut evidence = Evidence::clone(&snapshot.bundles[0].evidence);
            let entries = std::sync::Arc::make_mut(&mut evidence.entries);
            entries[0].meta.kind = crate::meta::Kind::Other(special);
            let key = super::super::packed::Packed::of(&evidence.entries);
            (of(&evidence), key)
        };
        let (fifo, socket) = (with(Special::Fifo), with(Special::Socket));
        assert_eq!(with(Special::Fifo), fifo);
        assert_ne!(socket.0, fifo.0);
        assert_ne!(socket.1, fifo.1);
    }

    /// Its server has all else as it was.
    #[test]
    fn a_volume_that_is_mounted_over_it_is_another_state() {
        let root = Root::open(Path::new("tests/images/sample")).unwrap();
        let snapshot = Scanner::new(root, Limits::STANDARD).scan();
        let mut evidence = snapshot.bundles[0].evidence.clone();
        let before = of(&evidence);
        evidence.is_mounted = true;
        assert_ne!(of(&evidence), before);
    }
}
