//! What lies beyond a limit: its contents are not read and its entries are not held, but what the file system
//! says of each goes into one number. So nobody writes there unseen.
//!
//! Whoever fills a directory chooses how much lies there. So this has limits of its own, and where they are
//! met it is said that nothing can be watched.

use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::entry::may_lead_out;
use super::facts::Evidence;
use super::fingerprint::of_one;
use super::reach::Link;
use super::sum::Sum;
use crate::descent::Descent;
use crate::directory::{Dir, ReadError};
use crate::limits::Budget;
use crate::meta::Kind;
use crate::root::Root;

/// Entries of one candidate, or of one place that its links lead to.
const MOST_OF_ONE: usize = 200_000;
/// Depth of directories: a path of the Mac's has 1,024 bytes, and each name a slash.
const MOST_DEPTH: usize = 512;
/// Bytes of the names of directories that wait to be gone into.
const MOST_WAITING: usize = 2 << 20;
/// Links that may lead out, and the bytes of their paths and texts.
const MOST_LINKS: usize = 1_024;
const MOST_LINK_BYTES: usize = 1 << 20;

/// What is known of all that lies at a place.
#[derive(Debug, Default)]
pub struct Seen {
    /// `None` when it was not looked at to its end.
    pub sum: Option<Sum>,
    /// The links in it that may lead out of it.
    pub links: Vec<Link>,
}

/// Looks at a candidate of which something was left out.
pub fn look_at(
    root: &Root,
    evidence: &mut Evidence,
    before: Option<&Evidence>,
    until: Option<Instant>,
    budget: &mut Budget,
) {
    if !evidence.is_left_out {
        return;
    }
    let seen = root
        .find(&evidence.candidate.path)
        .and_then(|found| Ok((found.open_dir()?, found.meta.dev)))
        .map(|(dir, device)| look(&dir, device, until, budget))
        .unwrap_or_default();
    evidence.is_blind |= seen.sum.is_none();
    // A scan that ran out of time must not be taken for a change.
    evidence.beyond = seen.sum.or_else(|| before?.beyond);
    evidence.links_beyond = seen.links;
}

/// Looks at everything in a directory, and leaves its device never.
pub fn look(dir: &Dir, device: u64, until: Option<Instant>, budget: &mut Budget) -> Seen {
    let mut look = Look {
        budget,
        until,
        device,
        left: MOST_OF_ONE,
        sum: Sum::default(),
        waiting: Vec::new(),
        waiting_bytes: 0,
        links: Vec::new(),
        link_bytes: 0,
        is_whole: true,
    };
    if look.all(dir).is_err() {
        look.is_whole = false;
    }
    Seen {
        sum: look.is_whole.then_some(look.sum),
        links: look.links,
    }
}

struct Look<'a> {
    budget: &'a mut Budget,
    until: Option<Instant>,
    device: u64,
    left: usize,
    sum: Sum,
    /// Directories that are yet to be gone into, with how deep they stand.
    waiting: Vec<(usize, Vec<u8>)>,
    waiting_bytes: usize,
    links: Vec<Link>,
    link_bytes: usize,
    is_whole: bool,
}

impl Look<'_> {
    fn all(&mut self, top: &Dir) -> Result<(), ReadError> {
        let mut way = Descent::new(top.clone());
        self.directory(top, b"", 0)?;
        while let Some((depth, name)) = self.waiting.pop() {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(name.len());
            if !self.is_whole {
                break;
            }
            while way.names().len() >= depth {
                way.up();
            }
            way.down(&name)?;
            let path = way.names().join(b"/".as_slice());
            self.directory(&way.here()?, &path, depth)?;
        }
        Ok(())
    }

    /// Takes one entry; false when there is no room or no time for it.
    fn take(&mut self) -> bool {
        let is_late = self.until.is_some_and(|until| Instant::now() >= until);
        self.left = self.left.saturating_sub(1);
        self.is_whole = self.is_whole
            && self.left > 0
            && !is_late
            && !self.budget.is_late()
            && self.budget.take_watched();
        self.is_whole
    }

    fn directory(&mut self, dir: &Dir, path: &[u8], depth: usize) -> Result<(), ReadError> {
        self.budget.at.set(dir.path());
        let above = Sha256::digest(path);
        let mut failed = None;
        dir.each(|name, _| {
            if !self.take() {
                return false;
            }
            if let Err(error) = self.entry(dir, path, &above, name, depth) {
                failed = Some(error);
            }
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn entry(
        &mut self,
        dir: &Dir,
        path: &[u8],
        above: &[u8],
        name: &[u8],
        depth: usize,
    ) -> Result<(), ReadError> {
        let meta = match dir.meta(name) {
            // It went meanwhile, which its directory's times tell.
            Err(error) if error.is_absent() => return Ok(()),
            other => other?,
        };
        // Names alone do not tell directories apart.
        self.sum.add(&of_one(&[above, b"/", name].concat(), &meta));
        match meta.kind {
            Kind::Directory if meta.dev != self.device || depth >= MOST_DEPTH => {
                self.is_whole = false;
            }
            Kind::Directory => {
                self.waiting_bytes = self.waiting_bytes.saturating_add(name.len());
                self.is_whole &= self.waiting_bytes <= MOST_WAITING;
                self.waiting.push((depth.saturating_add(1), name.to_vec()));
            }
            Kind::Symlink => {
                let text = dir.read_link(name)?;
                if may_lead_out(&text) {
                    let path = match path {
                        b"" => name.to_vec(),
                        _ => [path, b"/", name].concat(),
                    };
                    let bytes = path.len().saturating_add(text.len());
                    self.link_bytes = self.link_bytes.saturating_add(bytes);
                    if self.links.len() >= MOST_LINKS
                        || self.link_bytes > MOST_LINK_BYTES
                        || !self.budget.take_texts(bytes)
                    {
                        self.is_whole = false;
                        return Ok(());
                    }
                    self.links.push((path, text));
                }
            }
            Kind::File | Kind::Other(_) => {}
        }
        Ok(())
    }
}
