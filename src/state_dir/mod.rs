//! Where state is kept from run to run: the journal of events, kept copies, the vault of
//! quarantine and its ledger.
//!
//! Whoever can write there can make the program forget what it saw, or put an attacker's bundle in
//! the place of evidence. So nothing of it is used unless the directory, every directory above it
//! and every link on the way belong to root or to the caller, and nobody else can write them.
//!
//! For a command that keeps something:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use dsplug::root::Root;
//! use dsplug::state_dir::{self, StateDir};
//! # let (asked, path) = (None, std::path::Path::new("/"));
//! let root = Root::open(path)?;
//! // `None`: nothing is kept; a command that cannot do without says so.
//! if let Some(place) = state_dir::place(asked, &root) {
//!     let state = StateDir::open(&place, &root)?; // made when it is not there
//!     let vault = state.folder("vault")?; // a directory in it, 0700, held to the same rules
//!     let file = vault.create("1.tar.gz")?; // a new file, 0600; never what is there already
//!     drop(file);
//!     vault.sync()?; // the names themselves reach the disk
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A command that only reads uses [`StateDir::find`], which makes nothing. Everything is done
//! relative to open directories ([`AsFd`] lends theirs); [`StateDir::path`] is for what must have a
//! path, such as SQLite, and holds no link.

mod error;
mod owner;
mod way;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::meta::{Kind, Meta};
use crate::root::Root;
pub use error::StateDirError;
use owner::foreign;
use way::{Above, Way, id, is_own_disk, path_of};

/// Where state is kept on a live Mac.
pub const PLACE: &str = "/var/db/dsplug";

/// The mode of a directory that is made.
const DIRECTORY: Mode = Mode::RWXU;
/// The mode of a file that is made.
const FILE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Where state is kept when `root` is read: where `--state-dir` asks for it, or in [`PLACE`] on a
/// Mac that reads its own disk. `None` when nothing is kept.
pub fn place(asked: Option<&Path>, root: &Root) -> Option<PathBuf> {
    let live = || cfg!(target_os = "macos") && is_own_disk(root);
    match asked {
        Some(asked) => Some(asked.to_owned()),
        None => live().then(|| PathBuf::from(PLACE)),
    }
}

/// A directory in which state is kept; see the module.
#[derive(Debug)]
pub struct StateDir {
    fd: OwnedFd,
    path: PathBuf,
}

/// A lock that lasts until it is dropped, or its process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Device and inode of the file that is locked, in whose place another may stand by now; nothing when the
    /// system does not tell.
    pub fn id(&self) -> Option<(u64, u64)> {
        let meta = self.file.metadata().ok()?;
        Some((meta.dev(), meta.ino()))
    }
}

impl StateDir {
    /// Opens the directory at a place, and makes it, 0700, when it is not there; the directory
    /// above it must be.
    ///
    /// # Errors
    /// When it cannot be made or opened, others could change it, or it stands below `root`.
    pub fn open(place: &Path, root: &Root) -> Result<Self, StateDirError> {
        let (parent, name) = Way::to(place, Some(root))?;
        parent.enter(&name, true)?.ok_or_else(|| {
            let gone = io::ErrorKind::NotFound.into();
            StateDirError::Io("open", place.to_owned(), gone)
        })
    }

    /// Opens the directory at a place; `None` when it, or a directory above it, is not there.
    ///
    /// # Errors
    /// When it cannot be opened, others could change it, or it stands below `root`.
    pub fn find(place: &Path, root: &Root) -> Result<Option<Self>, StateDirError> {
        match Way::to(place, Some(root)) {
            Ok((parent, name)) => parent.enter(&name, false),
            Err(StateDirError::Io(_, _, error)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the directory that holds a file, which need not be there, and gives the file's name in it: for one file
    /// that is kept where its owner likes. With the sticky bit, where each may put what is theirs, it is somebody else's too:
    /// a name there can be taken, and an older file kept by another name.
    ///
    /// # Errors
    /// When the directory is not there or cannot be opened, others could change it, or the name is no UTF-8.
    pub fn of_file(path: &Path) -> Result<(Self, String), StateDirError> {
        let (above, name) = Way::to(path, None)?;
        let name = String::from_utf8(name).map_err(|_| {
            StateDirError::Unsafe(path.to_owned(), "has a name that is no UTF-8".into())
        })?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = path_of(&above.dir, b"");
        let own = above.dir.own_meta();
        let own = own.map_err(|e| StateDirError::Io("find", path.clone(), e.errno.into()))?;
        if let Some(why) = foreign(&own) {
            return Err(StateDirError::Unsafe(path, why));
        }
        match retry_on_intr(|| rustix::fs::openat(above.dir.as_fd(), ".", flags, Mode::empty())) {
            Ok(fd) => Ok((Self { fd, path }, name)),
            Err(errno) => Err(StateDirError::Io("open", path, errno.into())),
        }
    }

    /// Where it really stands; no link is on the way.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in it, made 0700 when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or opened, or others could change it.
    pub fn folder(&self, name: &str) -> Result<Self, StateDirError> {
        self.enter(name.as_bytes(), true)?.ok_or_else(|| {
            StateDirError::Io("open", self.path.join(name), io::ErrorKind::NotFound.into())
        })
    }

    /// A directory in it; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be opened, or others could change it.
    pub fn find_folder(&self, name: &str) -> Result<Option<Self>, StateDirError> {
        self.enter(name.as_bytes(), false)
    }

    fn enter(&self, name: &[u8], make: bool) -> Result<Option<Self>, StateDirError> {
        let path = self.path.join(std::ffi::OsStr::from_bytes(name));
        enter(self.fd.as_fd(), name, path, make)
    }

    /// Makes a file in it, 0600, open for reading and writing.
    ///
    /// # Errors
    /// When it cannot be made, or something of that name is there already.
    pub fn create(&self, name: &str) -> Result<File, StateDirError> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, FILE))
            .map(File::from)
            .map_err(|errno| self.fail("make", name, errno))
    }

    /// Opens a file in it for reading and writing; `None` when it is not there.
    ///
    /// # Errors
    /// When it is no regular file, cannot be opened, or others could have written it.
    pub fn file(&self, name: &str) -> Result<Option<File>, StateDirError> {
        self.open_file(name, OFlags::RDWR)
    }

    /// Opens a file in it for reading; `None` when it is not there.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn file_to_read(&self, name: &str) -> Result<Option<File>, StateDirError> {
        self.open_file(name, OFlags::RDONLY)
    }

    fn open_file(&self, name: &str, access: OFlags) -> Result<Option<File>, StateDirError> {
        // A FIFO that was put there must not be waited for.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, Mode::empty())) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::MLINK) => {
                return Err(StateDirError::Unsafe(
                    self.path.join(name),
                    "is a symlink".into(),
                ));
            }
            Err(errno) => return Err(self.fail("open", name, errno)),
        };
        let meta = meta(fd.as_fd()).map_err(|errno| self.fail("open", name, errno))?;
        let refused = if meta.kind == Kind::File {
            foreign(&meta)
        } else {
            Some("is no regular file".to_owned())
        };
        match refused {
            Some(why) => Err(StateDirError::Unsafe(self.path.join(name), why)),
            None => Ok(Some(fd.into())),
        }
    }

    /// Locks a file in it, which is made when it is not there; `None` when another process, or
    /// another lock of this one, holds it.
    ///
    /// # Errors
    /// When it cannot be made, opened or locked.
    pub fn lock(&self, name: &str) -> Result<Option<Lock>, StateDirError> {
        let file = match self.create(name) {
            Ok(file) => file,
            Err(StateDirError::Io(_, _, error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                let gone = || self.fail("open", name, Errno::NOENT);
                self.file(name)?.ok_or_else(gone)?
            }
            Err(error) => return Err(error),
        };
        Ok(self.locks(&file, name)?.then_some(Lock { file }))
    }

    /// Makes a file as [`create`](Self::create) does, in place of one that a crash has left, and locks it for as long as it
    /// is open; `None` when another process writes it, or has just taken it away.
    ///
    /// # Errors
    /// When it cannot be made, or what stands there cannot be removed.
    pub fn create_anew(&self, name: &str) -> Result<Option<File>, StateDirError> {
        let file = match self.create(name) {
            // What has been left is never written to: it may be a link to something else.
            Err(StateDirError::Io(_, _, error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                if let Ok(Some(left)) = self.file(name)
                    && !self.locks(&left, name)?
                {
                    return Ok(None);
                }
                self.remove(name)?;
                self.create(name)?
            }
            other => other?,
        };
        Ok(self.locks(&file, name)?.then_some(file))
    }

    /// Locks an open file until it is closed; false when another process, or another lock of this one, holds it.
    fn locks(&self, file: &File, name: &str) -> Result<bool, StateDirError> {
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        match retry_on_intr(|| rustix::fs::flock(file, exclusive)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(self.fail("lock", name, errno)),
        }
    }

    /// The names in it, sorted as bytes, at most `most` of them, and how many there are beyond those.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn names(&self, most: usize) -> Result<(Vec<Vec<u8>>, usize), StateDirError> {
        let fail = |errno| self.fail("list", "", errno);
        let (mut names, mut more) = (Vec::new(), 0_usize);
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if names.len() >= most {
                more = more.saturating_add(1);
                continue;
            }
            names.push(name.to_vec());
        }
        names.sort_unstable();
        Ok((names, more))
    }

    /// Renames an entry of it, in place of what has the new name.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), StateDirError> {
        retry_on_intr(|| rustix::fs::renameat(&self.fd, from, &self.fd, to))
            .map_err(|errno| self.fail("rename", from, errno))
    }

    /// Removes a file in it; one that is not there is removed already.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self, name: &str) -> Result<(), StateDirError> {
        self.unlink(name, AtFlags::empty())
    }

    /// Removes an empty directory in it; one that is not there is removed already.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_folder(&self, name: &str) -> Result<(), StateDirError> {
        self.unlink(name, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, name: &str, flags: AtFlags) -> Result<(), StateDirError> {
        match retry_on_intr(|| rustix::fs::unlinkat(&self.fd, name, flags)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.fail("remove", name, errno)),
        }
    }

    /// Waits until the names in it have reached the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&self) -> Result<(), StateDirError> {
        retry_on_intr(|| rustix::fs::fsync(&self.fd)).map_err(|errno| self.fail("sync", "", errno))
    }

    fn fail(&self, what: &'static str, name: &str, errno: Errno) -> StateDirError {
        let path = if name.is_empty() {
            self.path.clone()
        } else {
            self.path.join(name)
        };
        StateDirError::Io(what, path, errno.into())
    }
}

impl AsFd for StateDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Above {
    fn enter(&self, name: &[u8], make: bool) -> Result<Option<StateDir>, StateDirError> {
        let entered = enter(self.dir.as_fd(), name, path_of(&self.dir, name), make)?;
        match entered {
            Some(state) if meta(state.as_fd()).is_ok_and(|m| Some(id(&m)) == self.root) => {
                Err(StateDirError::BelowRoot(state.path))
            }
            other => Ok(other),
        }
    }
}

/// Opens a directory in one that is safe, and makes it when that is asked for.
fn enter(
    above: BorrowedFd<'_>,
    name: &[u8],
    path: PathBuf,
    make: bool,
) -> Result<Option<StateDir>, StateDirError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || retry_on_intr(|| rustix::fs::openat(above, name, flags, Mode::empty()));
    let fail = |what, errno: Errno| StateDirError::Io(what, path.clone(), errno.into());
    let mut made = false;
    let fd = match open() {
        Err(Errno::NOENT) if make => {
            match retry_on_intr(|| rustix::fs::mkdirat(above, name, DIRECTORY)) {
                Ok(()) => made = true,
                // Another process was quicker.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(fail("make", errno)),
            }
            open()
        }
        other => other,
    };
    let fd = match fd {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno @ (Errno::LOOP | Errno::MLINK | Errno::NOTDIR)) => {
            let link = rustix::fs::readlinkat(above, name, Vec::new()).is_ok();
            let what = if link {
                "is a symlink"
            } else if errno == Errno::NOTDIR {
                "is no directory"
            } else {
                return Err(fail("open", errno));
            };
            return Err(StateDirError::Unsafe(path, what.to_owned()));
        }
        Err(errno) => return Err(fail("open", errno)),
    };
    if made {
        // The caller's umask may have taken even the owner's own rights.
        retry_on_intr(|| rustix::fs::fchmod(&fd, DIRECTORY)).map_err(|e| fail("make", e))?;
    }
    let meta = meta(fd.as_fd()).map_err(|errno| fail("open", errno))?;
    match foreign(&meta) {
        Some(why) => Err(StateDirError::Unsafe(path, why)),
        None => Ok(Some(StateDir { fd, path })),
    }
}

/// What an open directory or file is, asked of itself: its name may be given to another meanwhile.
fn meta(fd: BorrowedFd<'_>) -> Result<Meta, Errno> {
    crate::directory::meta_of(fd, b"")
}
