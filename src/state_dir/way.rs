//! The way from `/` to the place of state: each directory on it is held open, and nobody else can change it.

use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::error::StateDirError;
use super::owner::{foreign, foreign_owner};
use crate::directory::Dir;
use crate::meta::{Kind, Meta};
use crate::root::Root;

/// Links followed on the way, as `MAXSYMLINKS` of macOS.
const MOST_LINKS: u32 = 32;
/// Directories on the way. Each costs a descriptor while it is looked for.
const MOST_DIRECTORIES: usize = 64;
/// In a directory with this bit, an entry is renamed or removed by its owner alone.
const STICKY: u32 = 0o1000;

/// The directories from `/` down to that above a place, each open and found to be safe.
pub struct Way {
    stack: Vec<Dir>,
    root: Option<(u64, u64)>,
}

impl Way {
    /// The directory above a place, and the place's own name in it; nothing of it is below `root`.
    pub fn to(place: &Path, root: Option<&Root>) -> Result<(Above, Vec<u8>), StateDirError> {
        let io = |what, error| StateDirError::Io(what, place.to_owned(), error);
        let place = std::path::absolute(place).map_err(|error| io("find", error))?;
        let top = Dir::open_top(Path::new("/")).map_err(|error| io("open", error))?;
        let root = root.filter(|root| !is_own_disk(root)).and_then(root_id);
        let mut way = Self {
            stack: Vec::new(),
            root,
        };
        way.push(top)?;
        let mut todo = components(place.as_os_str().as_bytes());
        let mut links = 0_u32;
        while let Some(name) = todo.pop() {
            let dir = way.last(&place)?.clone();
            if name == b".." {
                if way.stack.len() > 1 {
                    way.stack.pop();
                }
                continue;
            }
            if todo.is_empty() {
                return way.end(dir, name);
            }
            let meta = dir
                .meta(&name)
                .map_err(|e| StateDirError::Io("find", path_of(&dir, &name), e.errno.into()))?;
            if meta.kind != Kind::Symlink {
                let below = dir
                    .open_dir(&name)
                    .map_err(|e| StateDirError::Io("open", path_of(&dir, &name), e.errno.into()))?;
                way.push(below)?;
                continue;
            }
            // The directory that holds the link is safe; in one with the sticky bit the link's own
            // owner decides.
            if let Some(why) = foreign_owner(&meta) {
                return Err(StateDirError::Unsafe(path_of(&dir, &name), why));
            }
            links = links.saturating_add(1);
            if links > MOST_LINKS {
                return Err(io("find", Errno::LOOP.into()));
            }
            let target = dir
                .read_link(&name)
                .map_err(|e| StateDirError::Io("find", path_of(&dir, &name), e.errno.into()))?;
            if target.starts_with(b"/") {
                way.stack.truncate(1);
            }
            todo.extend(components(&target));
        }
        let what = "is no place of its own; name a directory";
        Err(StateDirError::Unsafe(place, what.to_owned()))
    }

    fn last(&self, place: &Path) -> Result<&Dir, StateDirError> {
        self.stack.last().ok_or_else(|| {
            StateDirError::Io("find", place.to_owned(), io::ErrorKind::NotFound.into())
        })
    }

    fn push(&mut self, dir: Dir) -> Result<(), StateDirError> {
        let path = || path_of(&dir, b"");
        if self.stack.len() >= MOST_DIRECTORIES {
            return Err(StateDirError::Io("find", path(), Errno::NAMETOOLONG.into()));
        }
        let meta = dir
            .own_meta()
            .map_err(|e| StateDirError::Io("open", path(), e.errno.into()))?;
        let why = match foreign(&meta) {
            Some(_) if meta.mode & STICKY != 0 => foreign_owner(&meta),
            other => other,
        };
        match why {
            Some(why) => Err(StateDirError::Unsafe(path(), why)),
            None => {
                self.stack.push(dir);
                Ok(())
            }
        }
    }

    fn end(self, dir: Dir, name: Vec<u8>) -> Result<(Above, Vec<u8>), StateDirError> {
        let is_root = |d: &Dir| d.own_meta().is_ok_and(|m| Some(id(&m)) == self.root);
        if self.stack.iter().any(is_root) {
            return Err(StateDirError::BelowRoot(path_of(&dir, &name)));
        }
        let root = self.root;
        Ok((Above { dir, root }, name))
    }
}

/// The directory above a place.
pub struct Above {
    pub dir: Dir,
    /// Device and inode of the root that is read, where that is not this machine's own.
    pub root: Option<(u64, u64)>,
}

/// True when the root is the `/` of the machine that this runs on.
pub fn is_own_disk(root: &Root) -> bool {
    let own = Dir::open_top(Path::new("/")).ok();
    let own = own.and_then(|own| own.own_meta().ok()).map(|m| id(&m));
    own.is_some() && own == root_id(root)
}

fn root_id(root: &Root) -> Option<(u64, u64)> {
    root.find(b"/").ok().map(|found| id(&found.meta))
}

/// Device and inode.
pub fn id(meta: &Meta) -> (u64, u64) {
    (meta.dev, meta.ino)
}

/// The path of an entry, or of the directory itself for no name.
pub fn path_of(dir: &Dir, name: &[u8]) -> PathBuf {
    let path = if name.is_empty() {
        dir.path().to_vec()
    } else {
        dir.join(name)
    };
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

/// The components of a path, last first, without empty ones and dots.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/')
        .filter(|c| !c.is_empty() && *c != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}
