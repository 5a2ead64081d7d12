//! A file that is whole, or not there: written beside its place, forced to the disk, then given its
//! name at once.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

/// Where a file will stand.
#[derive(Debug)]
pub struct Output {
    directory: OwnedFd,
    name: OsString,
    beside: OsString,
    path: PathBuf,
    file: File,
    done: bool,
}

impl Output {
    /// Begins to write a file that will stand at `path`, where nothing may stand yet but an empty
    /// file. What an earlier call left half-written is replaced.
    ///
    /// # Errors
    /// With a line that says what and where.
    pub fn begin(path: &Path) -> Result<Self, String> {
        let fail = |why: &str| format!("cannot write {}: {why}", path.display());
        let name = path.file_name().ok_or_else(|| fail("it names no file"))?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = retry_on_intr(|| rustix::fs::open(parent, flags, Mode::empty()))
            .map_err(|errno| fail(&said(errno)))?;
        Self::begin_in(directory, name, path)
    }

    /// The same in an open directory; `path` is for what is said.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_in(directory: OwnedFd, name: &OsStr, path: &Path) -> Result<Self, String> {
        let fail = |why: &str| format!("cannot write {}: {why}", path.display());
        if stands(&directory, name).map_err(|errno| fail(&said(errno)))? {
            return Err(fail(
                "something stands there already; name another file with --output",
            ));
        }
        let beside = beside(name);
        let file = part(&directory, &beside).map_err(|errno| match errno {
            Errno::WOULDBLOCK => fail("another call is writing it"),
            errno => fail(&said(errno)),
        })?;
        Ok(Self {
            directory,
            name: name.to_owned(),
            beside,
            path: path.to_owned(),
            file,
            done: false,
        })
    }

    /// Gives the file its name, when all of it is on the disk.
    ///
    /// # Errors
    /// When the system refuses, or something was put in its place meanwhile; nothing is left then.
    pub fn finish(mut self) -> Result<(), String> {
        let placed = self.place();
        self.done = placed.is_ok();
        placed.map_err(|errno| format!("cannot write {}: {}", self.path.display(), said(errno)))
    }

    fn place(&self) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::fsync(&self.file))?;
        let (directory, beside, name) = (&self.directory, &self.beside, &self.name);
        let renamed =
            rustix::fs::renameat_with(directory, beside, directory, name, RenameFlags::NOREPLACE);
        match renamed {
            Ok(()) => {}
            // An empty file, or a file system that cannot promise not to replace.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)
                if stands(directory, name) == Ok(false) =>
            {
                rustix::fs::renameat(directory, beside, directory, name)?;
            }
            Err(errno) => return Err(errno),
        }
        retry_on_intr(|| rustix::fs::fsync(directory))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.done {
            // Half of it is of no use, and where the disk is full it takes the room.
            let _ = rustix::fs::unlinkat(&self.directory, &self.beside, AtFlags::empty());
        }
    }
}

/// The system's answer in its own words.
pub fn said(errno: Errno) -> String {
    let error = io::Error::from(errno).to_string();
    error
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The name that an archive has while it is written.
pub(super) fn beside(name: &OsStr) -> OsString {
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(".part");
    beside
}

/// True when anything but an empty file has that name.
fn stands(directory: &OwnedFd, name: &OsStr) -> Result<bool, Errno> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => {
            let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
            Ok(kind != rustix::fs::FileType::RegularFile || stat.st_size != 0)
        }
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Makes the half-written file, locked as long as it is open.
fn part(directory: &OwnedFd, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let make = || {
        let fd = retry_on_intr(|| {
            rustix::fs::openat(directory, name.as_bytes(), flags, Mode::RUSR | Mode::WUSR)
        })?;
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
        Ok(File::from(fd))
    };
    match make() {
        Err(Errno::EXIST) => {}
        made => return made,
    }
    // Left by a call that was killed, unless one still holds its lock.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let old =
        retry_on_intr(|| rustix::fs::openat(directory, name.as_bytes(), flags, Mode::empty()))?;
    rustix::fs::flock(&old, FlockOperation::NonBlockingLockExclusive)?;
    rustix::fs::unlinkat(directory, name.as_bytes(), AtFlags::empty())?;
    make()
}
