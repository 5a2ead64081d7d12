//! The extended attributes of a file or directory: their names at once, and what each holds when it is
//! asked for.
//!
//! Whoever plants a file gives it as many as its file system takes, so that one alone is in memory.

use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, retry_on_intr};

use crate::directory::ReadError;
use crate::text::escape;

/// Bytes of the names of one entry's attributes.
const MOST_NAMES: usize = 64 << 10;
/// Bytes of names for which there is room at first: few files have more.
const FEW_NAMES: usize = 256;
/// The attribute that is a resource fork: macOS reads it as a file of its own, and code may stand in it.
const FORK: &[u8] = b"com.apple.ResourceFork";
/// The attribute that says that HFS+ or APFS has compressed a file: a Mac's kernel hides it, and gives what it or the
/// resource fork holds in the place of the file's own bytes (`decmpfs_hides_xattr` of xnu's `bsd/kern/decmpfs.c`).
const COMPRESSED: &[u8] = b"com.apple.decmpfs";

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
        let names = match names(&fd) {
            Ok(names) => names,
            Err(Errno::NOTSUP) => {
                attributes.may_hide_fork = true;
                Vec::new()
            }
            Err(errno) => return Err(attributes.fail(errno)),
        };
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

    /// True for a file that was compressed, and is not unpacked where it is read.
    pub fn say_compressed(&self) -> bool {
        self.names.iter().any(|name| is_compressed(name))
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
        cannot_read(&self.path, errno)
    }
}

/// The names of the attributes of an open file or directory, each with a NUL behind it.
///
/// # Errors
/// When the system cannot say, as where they are too many (`RANGE`, `TOOBIG`) or the file system has none (`NOTSUP`).
pub fn names(fd: &impl AsFd) -> Result<Vec<u8>, Errno> {
    let mut names = Vec::with_capacity(FEW_NAMES);
    loop {
        match retry_on_intr(|| rustix::fs::flistxattr(fd, spare_capacity(&mut names))) {
            Ok(_) => return Ok(names),
            Err(Errno::RANGE) if names.capacity() < MOST_NAMES => {
                names.clear();
                names.reserve(MOST_NAMES);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The name of an attribute as a Mac has it. On Linux it has a prefix: `user.` on most file systems and in archives,
/// `osx.` on mounted HFS+.
pub fn plain(name: &[u8]) -> &[u8] {
    let plain = name
        .strip_prefix(b"user.")
        .or_else(|| name.strip_prefix(b"osx."));
    plain.unwrap_or(name)
}

/// True for the name of a resource fork.
pub fn is_fork(name: &[u8]) -> bool {
    plain(name) == FORK
}

/// True for the name of what says that a file was compressed. Where it is seen nothing unpacks that, and the file's own
/// bytes are none, or what somebody wrote beside it.
pub fn is_compressed(name: &[u8]) -> bool {
    plain(name) == COMPRESSED
}

/// Why a compressed file is not read, which is called so in the line.
pub fn compressed(shown: &str) -> String {
    format!(
        "{shown} is compressed by the file system (com.apple.decmpfs), and is not unpacked here: read it on a Mac"
    )
}

/// The same of a file with more attributes than are read, of which one may be that. A Mac does not show it.
pub fn may_be_compressed(shown: &str) -> String {
    format!("{shown} has more extended attributes than are read, and may be compressed")
}

/// Refuses an open file that was compressed.
///
/// # Errors
/// With a line when it was, or that is not known.
pub fn refuse_compressed(fd: &impl AsFd, path: &[u8]) -> Result<(), String> {
    match names(fd) {
        Ok(names) if names.split(|b| *b == 0).any(is_compressed) => Err(compressed(&escape(path))),
        Ok(_) | Err(Errno::NOTSUP) => Ok(()),
        Err(Errno::RANGE | Errno::TOOBIG) if cfg!(target_os = "macos") => Ok(()),
        Err(Errno::RANGE | Errno::TOOBIG) => Err(may_be_compressed(&escape(path))),
        Err(errno) => Err(cannot_read(path, errno).to_string()),
    }
}

fn cannot_read(path: &[u8], errno: Errno) -> ReadError {
    ReadError {
        operation: "read the extended attributes of",
        path: path.to_vec(),
        errno,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_known_under_the_names_that_linux_gives_it() {
        for prefix in ["", "user.", "osx."] {
            let name = |plain: &str| format!("{prefix}{plain}").into_bytes();
            assert!(is_compressed(&name("com.apple.decmpfs")));
            assert!(is_fork(&name("com.apple.ResourceFork")));
            assert!(!is_compressed(&name("com.apple.decmpfs2")));
        }
    }
}
