//! What a look at a plug-in folder hangs on, in one digest: each directory and each link on the ways to where the loader
//! looks, and what stands there.
//!
//! Whoever exchanges one of these for a moment, or has something stand in another place of the loader's, leaves the
//! times of the folder as they are. A rename sets those of what is renamed and of where it stands.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::directory::ReadError;
use crate::meta::{Kind, Meta, WritableBy};
use crate::root::{Found, Passed, Root, last_component};

/// All that was passed and found so far.
#[derive(Debug, Default)]
pub struct Way {
    all: Sha256,
    /// Directories without a link on the way to them, by their paths: what is on that way counts already.
    plain: BTreeSet<Vec<u8>>,
    /// Who can write a directory on it, and so exchange what stands there or a link: that writes to nothing behind it.
    pub weakest: WritableBy,
    /// True when a volume is mounted where a Mac has none.
    pub is_mounted: bool,
}

impl Way {
    /// Resolves a path, every link in it followed, and takes in what is on its way and what stands there.
    ///
    /// # Errors
    /// As [`Root::find`].
    pub fn find(&mut self, root: &Root, path: &[u8]) -> Result<Found, ReadError> {
        let (above, name) = last_component(path).unwrap_or((path, b"."));
        if self.plain.contains(above) {
            let found = match root.find_entry(path) {
                Ok(found) => found,
                Err(error) => {
                    if error.leads_nowhere() {
                        add(&mut self.all, &root.find_entry(above)?.meta);
                    }
                    return Err(error);
                }
            };
            if found.meta.kind != Kind::Symlink {
                let mount = found.mount();
                self.is_mounted |= mount.is_some();
                self.all.update(name);
                add_mount(&mut self.all, mount.as_deref());
                add(&mut self.all, &found.meta);
                return Ok(found);
            }
        }
        let mut lacks = None;
        let found = root.find_step_by_step(path, &mut |passed| {
            self.is_mounted |= passed.mount.is_some();
            lacks = passed.meta.is_none().then(|| passed.dir.to_vec());
            let directory = passed.meta.filter(|m| m.kind == Kind::Directory);
            let by = directory.map(WritableBy::of);
            self.weakest = by.map_or(self.weakest, |by| self.weakest.max(by));
            step(&mut self.all, &passed);
        });
        match &found {
            Ok(found) => {
                // One that ends at the top passes nothing there.
                self.is_mounted |= found.mount().is_some();
                add(&mut self.all, &found.meta);
                if found.links == 0 {
                    self.plain.insert(above.to_vec());
                }
            }
            // What comes and goes where nothing stands now is told by the directory that lacks it.
            Err(_) => match lacks.map(|dir| root.find_entry(&dir)) {
                Some(Ok(lacks)) => add(&mut self.all, &lacks.meta),
                Some(Err(error)) if !error.leads_nowhere() => return Err(error),
                Some(Err(_)) | None => {}
            },
        }
        found
    }

    /// Half of a SHA-256 over all of it.
    pub fn digest(self) -> [u8; 16] {
        let all = self.all.finalize();
        all.first_chunk().copied().unwrap_or_default()
    }
}

/// Takes in a directory or a link on the way. What stands at `/` is the system's own, and its updates make it anew; in a
/// directory that anybody may write something comes and goes all day.
fn step(all: &mut Sha256, passed: &Passed<'_>) {
    all.update(passed.name);
    all.update([0]);
    add_mount(all, passed.mount);
    if let Some(text) = passed.text {
        all.update(text);
        all.update([0]);
    }
    let Some(meta) = passed.meta.filter(|_| passed.dir != b"/") else {
        return;
    };
    if meta.kind == Kind::Directory && WritableBy::of(meta) == WritableBy::Others {
        all.update(meta.ino.to_le_bytes());
    } else {
        add(all, meta);
    }
}

/// Takes in where a volume is mounted on the way, which may have all of what it covers, numbers and times as well.
fn add_mount(all: &mut Sha256, mount: Option<&[u8]>) {
    if let Some(mount) = mount {
        all.update(b"mount");
        all.update(mount);
        all.update([0]);
    }
}

/// Takes in what stands there, as the file system tells it from what is put in its place or written into it.
fn add(all: &mut Sha256, meta: &Meta) {
    all.update(meta.ino.to_le_bytes());
    all.update(meta.ctime.seconds.to_le_bytes());
    all.update(meta.ctime.nanoseconds.to_le_bytes());
}
