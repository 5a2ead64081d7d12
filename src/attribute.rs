//! The extended attributes of a file or directory: their names at once, and what each holds when it is
//! asked for.
//!
//! Whoever plants a file gives it as many as its file system takes, so that one alone is in memory.

use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, retry_on_intr};

use crate::directory::ReadError;

/// Bytes of the names of one entry's attributes.
const MOST_NAMES: usize = 64 << 10;
/// The attribute that is a resource fork: macOS reads it as a file of its own, and code may stand in it.
const FORK: &[u8] = b"com.apple.ResourceFork";

/// An extended attribute: its name as the system gives it, and what it holds.
pub type Attribute = (Vec<u8>, Vec<u8>);

/// What an entry has of them.
#[derive(Debug, Default)]
pub struct Attributes {
    /// Absent for what has none.
    fd: Option<OwnedFd>,
    path: Vec<u8>,
    names: Vec<Vec<u8>>,
    /// True where the file system has none, or may have a resource fork that it does not show.
    may_hide_fork: bool,
}

impl Attributes {
    /// Those of an open file or directory. A file system without attributes has none.
    ///
    /// # Errors
    /// When the system cannot say which there are.
    pub fn of(fd: OwnedFd, path: Vec<u8>) -> Result<Self, ReadError> {
        let mut attributes = Self {
            may_hide_fork: hides_forks(&fd),
            path,
            ..Self::default()
        };
        let mut names = Vec::with_capacity(MOST_NAMES);
        match retry_on_intr(|| rustix::fs::flistxattr(&fd, spare_capacity(&mut names))) {
            Ok(_) => {}
            Err(Errno::NOTSUP) => attributes.may_hide_fork = true,
            Err(errno) => return Err(attributes.fail(errno)),
        }
        let names = names.split(|b| *b == 0).filter(|name| !name.is_empty());
        attributes.names = names.map(<[u8]>::to_vec).collect();
        attributes.names.sort_unstable();
        attributes.fd = Some(fd);
        Ok(attributes)
    }

    /// Their names, in order.
    pub fn names(&self) -> &[Vec<u8>] {
        &self.names
    }

    /// The name under which one of them is a resource fork.
    pub fn fork(&self) -> Option<&[u8]> {
        let names = self.names.iter().map(Vec::as_slice);
        { names }.find(|name| is_fork(name))
    }

    /// True where there may be a resource fork that the system does not show.
    pub fn may_hide_fork(&self) -> bool {
        self.may_hide_fork
    }

    /// Bytes that one of them holds.
    ///
    /// # Errors
    /// When the system cannot say, as when it went meanwhile.
    pub fn size(&self, name: &[u8]) -> Result<usize, ReadError> {
        self.ask(|fd| rustix::fs::fgetxattr_query(fd, name))
    }

    /// What one of them holds; `None` when that is more than `most` bytes.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn value(&self, name: &[u8], most: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let size = self.size(name)?;
        if size > most {
            return Ok(None);
        }
        let mut value = Vec::with_capacity(size);
        match self.ask(|fd| rustix::fs::fgetxattr(fd, name, spare_capacity(&mut value))) {
            Ok(_) => Ok(Some(value)),
            // It grew meanwhile.
            Err(error) if error.errno == Errno::RANGE => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn ask(
        &self,
        mut ask: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> Result<usize, ReadError> {
        let fd = self.fd.as_ref().ok_or_else(|| self.fail(Errno::NOENT))?;
        retry_on_intr(|| ask(fd)).map_err(|errno| self.fail(errno))
    }

    fn fail(&self, errno: Errno) -> ReadError {
        ReadError {
            operation: "read the extended attributes of",
            path: self.path.clone(),
            errno,
        }
    }
}

/// True for the name of a resource fork. On Linux a Mac's attributes have a prefix: `user.` on most file
/// systems and in archives, `osx.` on mounted HFS+.
pub fn is_fork(name: &[u8]) -> bool {
    let plain = name
        .strip_prefix(b"user.")
        .or_else(|| name.strip_prefix(b"osx."));
    plain.unwrap_or(name) == FORK
}

/// True where Linux reads a disk whose forks it does not show: HFS, and HFS+.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn hides_forks(fd: &OwnedFd) -> bool {
    const HIDING: [u64; 2] = [0x4244, 0x482b];
    let kind = retry_on_intr(|| rustix::fs::fstatfs(fd)).map(|stat| stat.f_type);
    kind.is_ok_and(|kind| u64::try_from(kind).is_ok_and(|kind| HIDING.contains(&kind)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn hides_forks(_: &OwnedFd) -> bool {
    false
}
