//! An open directory inside the root, and what is asked of its entries: no name is ever followed
//! through a link.

mod error;
mod status;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::meta::{Kind, Meta, Special};
use crate::name;
use crate::spelling::{Names, Spellings};
pub use error::ReadError;
pub(crate) use status::{is_mounted_in, meta_of};

/// Names that are looked at in one directory for one that differs in letter case alone.
const MOST_SPELLED: usize = 20_000;
/// Names of one directory that do not count for what is listed in one scan.
const FREE_NAMES: usize = 512;
/// How many names are listed between two looks at the clock.
const NAMES_A_LOOK: usize = 256;

/// An open directory inside the root.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Arc<OwnedFd>,
    /// Empty for the root itself.
    path: Vec<u8>,
    /// Where the names of directories are kept, for as long as one scan lasts.
    spellings: Option<Arc<Spellings>>,
    /// When that scan is over: nothing is listed any longer.
    until: Option<Instant>,
}

/// A regular file, open for reading, with what `fstat` says of it.
#[derive(Debug)]
pub struct OpenFile {
    /// The descriptor.
    pub fd: OwnedFd,
    /// What stood there when it was opened.
    pub meta: Meta,
}

impl OpenFile {
    /// What stands there now.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn meta_now(&self) -> Result<Meta, Errno> {
        meta_of(&self.fd, b"")
    }
}

impl Dir {
    /// Opens the directory that plays `/`. The path to it may hold symlinks.
    ///
    /// # Errors
    /// When it is no directory or cannot be opened.
    pub fn open_top(path: &Path) -> io::Result<Self> {
        let flags = directory_flags() - OFlags::NOFOLLOW;
        let fd = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(Self {
            fd: Arc::new(fd),
            path: Vec::new(),
            spellings: None,
            until: None,
        })
    }

    /// The same directory for one scan, which is over at `until`: the names of it and of what is opened
    /// from it on are listed once, and no longer than that. What comes meanwhile in another letter case
    /// than it is asked for is not found.
    #[must_use]
    pub fn for_one_scan(&self, until: Option<Instant>) -> Self {
        let spellings = Some(Arc::default());
        Self {
            spellings,
            until,
            ..self.clone()
        }
    }

    /// Where it really stands, as the Mac would name it.
    pub fn path(&self) -> &[u8] {
        if self.path.is_empty() {
            b"/"
        } else {
            &self.path
        }
    }

    /// The path of an entry below it, relative to it, when `path` leads straight down from it.
    pub fn strip<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        path.strip_prefix(self.path.as_slice())?.strip_prefix(b"/")
    }

    /// The path of an entry of it.
    pub fn join(&self, name: &[u8]) -> Vec<u8> {
        [self.path.as_slice(), b"/", name].concat()
    }

    fn fail(&self, operation: &'static str, name: &[u8], errno: Errno) -> ReadError {
        let path = match name {
            b"" => self.path().to_vec(),
            _ => self.join(name),
        };
        ReadError {
            operation,
            path,
            errno,
        }
    }

    /// What stands under a name; a link is not followed.
    ///
    /// # Errors
    /// When nothing does, or the system cannot say.
    pub fn meta(&self, name: &[u8]) -> Result<Meta, ReadError> {
        meta_of(self.fd.as_fd(), name).map_err(|e| self.fail("stat", name, e))
    }

    /// What is known of the directory itself.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn own_meta(&self) -> Result<Meta, ReadError> {
        meta_of(self.fd.as_fd(), b".").map_err(|e| self.fail("stat", b"", e))
    }

    /// Where the volume that it stands on is mounted, as the system says; only a Mac is asked.
    #[cfg(target_os = "macos")]
    pub fn mounted_on(&self) -> Option<Vec<u8>> {
        let volume = retry_on_intr(|| rustix::fs::fstatfs(self.fd.as_fd())).ok()?;
        let place = volume.f_mntonname.iter().map(|c| c.cast_unsigned());
        Some(place.take_while(|byte| *byte != 0).collect())
    }

    /// Where the volume that it stands on is mounted; only a Mac is asked.
    #[cfg(not(target_os = "macos"))]
    pub fn mounted_on(&self) -> Option<Vec<u8>> {
        None
    }

    /// True when what stands under a name is a FIFO.
    ///
    /// # Errors
    /// When nothing does, or the system cannot say.
    pub fn is_fifo(&self, name: &[u8]) -> Result<bool, ReadError> {
        let stat =
            retry_on_intr(|| rustix::fs::statat(self.fd.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW));
        let stat = stat.map_err(|e| self.fail("stat", name, e))?;
        Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo)
    }

    /// The same, and true where the system says that something is mounted on it. Only Linux does, and for nothing: of a
    /// directory of the same device too.
    ///
    /// # Errors
    /// When nothing does, or the system cannot say.
    pub fn meta_and_top(&self, name: &[u8]) -> Result<(Meta, bool), ReadError> {
        let looked = status::meta_and_mount(self.fd.as_fd(), name);
        looked.map_err(|e| self.fail("stat", name, e))
    }

    /// The same, and true where it is on another device than its directory's as well.
    ///
    /// # Errors
    /// When nothing does, or the system cannot say.
    pub fn meta_and_mount(&self, name: &[u8], device: u64) -> Result<(Meta, bool), ReadError> {
        let (meta, is_mount) = self.meta_and_top(name)?;
        Ok((meta, is_mount || meta.dev != device))
    }

    /// True when a flag forbids to remove what stands under a name.
    ///
    /// # Errors
    /// When nothing does, or the system cannot say.
    pub fn holds_fast(&self, name: &[u8]) -> Result<bool, ReadError> {
        status::holds_fast(self.fd.as_fd(), name).map_err(|e| self.fail("stat", name, e))
    }

    /// The directory once more, open so that its names can be changed and forced to the disk.
    ///
    /// # Errors
    /// When it may not be read.
    pub fn reopen(&self) -> Result<OwnedFd, ReadError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open_at(&self.fd, b".", flags).map_err(|e| self.fail("open", b"", e))
    }

    /// The text of a link.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, ReadError> {
        retry_on_intr(|| rustix::fs::readlinkat(self.fd.as_fd(), name, Vec::new()))
            .map(std::ffi::CString::into_bytes)
            .map_err(|e| self.fail("read the link", name, e))
    }

    /// Opens a directory in it; a link is refused.
    ///
    /// # Errors
    /// When it is no directory or cannot be opened.
    pub fn open_dir(&self, name: &[u8]) -> Result<Self, ReadError> {
        let fd =
            open_at(&self.fd, name, directory_flags()).map_err(|e| self.fail("open", name, e))?;
        Ok(Self {
            fd: Arc::new(fd),
            path: self.join(name),
            spellings: self.spellings.clone(),
            until: self.until,
        })
    }

    /// Opens a regular file in it; a link is refused, and nothing that could block is waited for.
    ///
    /// # Errors
    /// When it is no regular file or cannot be opened.
    pub fn open_file(&self, name: &[u8]) -> Result<OpenFile, ReadError> {
        let fail = |e| self.fail("open", name, e);
        let flags =
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        // Opening a device can have effects of its own, so the kind is asked before and after.
        if meta_of(self.fd.as_fd(), name).map_err(fail)?.kind != Kind::File {
            return Err(fail(Errno::NOTSUP));
        }
        let fd = open_at(&self.fd, name, flags).map_err(fail)?;
        let meta = meta_of(&fd, b"").map_err(fail)?;
        if meta.kind != Kind::File {
            return Err(fail(Errno::NOTSUP));
        }
        Ok(OpenFile { fd, meta })
    }

    /// The names in it, sorted as bytes, at most `most` of them; true when there were more.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn names(&self, most: usize) -> Result<(Vec<Vec<u8>>, bool), ReadError> {
        let mut names = Vec::new();
        let whole = self.each(|name, _| {
            let fits = names.len() < most;
            if fits {
                names.push(name.to_vec());
            }
            fits
        })?;
        names.sort_unstable();
        Ok((names, !whole))
    }

    /// Calls `take` with each name in it and, where the listing says it, with the kind, in the order
    /// of the disk, until it gives false or the time of the scan is spent. True when neither came: an
    /// attacker puts as many names there as he likes.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn each(
        &self,
        mut take: impl FnMut(&[u8], Option<Kind>) -> bool,
    ) -> Result<bool, ReadError> {
        let fail = |e| self.fail("list", b"", e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = open_at(&self.fd, b".", flags).map_err(fail)?;
        for (count, entry) in rustix::fs::Dir::new(fd).map_err(fail)?.enumerate() {
            if is_over(self.until, count) {
                return Ok(false);
            }
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            let kind = match entry.file_type() {
                FileType::Directory => Some(Kind::Directory),
                FileType::RegularFile => Some(Kind::File),
                FileType::Symlink => Some(Kind::Symlink),
                FileType::Fifo => Some(Kind::Other(Special::Fifo)),
                FileType::Socket => Some(Kind::Other(Special::Socket)),
                // Of a device it says no numbers.
                _ => None,
            };
            if name != b"." && name != b".." && !take(name, kind) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Calls `take` with each name in it, as [`each`](Self::each) does. Where another spelling of a name is to be
    /// searched for, the directory is not listed again in this scan.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn each_for_good(
        &self,
        mut take: impl FnMut(&[u8], Option<Kind>) -> bool,
    ) -> Result<bool, ReadError> {
        let kept = self.spellings.as_deref();
        let kept = kept.filter(|k| !cfg!(target_os = "macos") && k.has_room());
        let mut names = kept.map(|_| Names::default());
        let whole = self.each(|name, kind| {
            if let Some(names) = &mut names {
                names.note(name);
            }
            take(name, kind)
        })?;
        if let (true, Some(kept), Some(names)) = (whole, kept, names) {
            kept.keep(&self.path, names);
        }
        Ok(whole)
    }

    /// Calls `take` with each name in it, as [`each`](Self::each) does, where it holds no more than `most`.
    /// Names beyond the first few are counted in a scan.
    ///
    /// # Errors
    /// When it cannot be listed, or not to its end.
    pub fn each_of(
        &self,
        most: usize,
        mut take: impl FnMut(&[u8], Option<Kind>),
    ) -> Result<(), ReadError> {
        self.each_while(most, |name, kind| {
            take(name, kind);
            true
        })
    }

    fn each_while(
        &self,
        most: usize,
        mut take: impl FnMut(&[u8], Option<Kind>) -> bool,
    ) -> Result<(), ReadError> {
        let kept = self.spellings.as_deref();
        let mut seen = 0_usize;
        let whole = self.each(|name, kind| {
            seen = seen.saturating_add(1);
            let counts = seen > FREE_NAMES;
            let fits = seen <= most && !(counts && kept.is_some_and(|k| !k.take()));
            fits && take(name, kind)
        })?;
        if whole {
            return Ok(());
        }
        Err(ReadError::too_far(self.path()))
    }

    /// The name under which `wanted` stands in it, where a Mac's disk would find it: the very one, or
    /// one that differs in letter case or in Unicode's form alone, of several the first in order. A
    /// Mac's own file system is asked once, and knows.
    ///
    /// # Errors
    /// When that cannot be told: it cannot be listed, or holds more than is looked at here or in one
    /// scan.
    pub fn spelled(&self, wanted: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        match self.meta(wanted) {
            Ok(_) => Ok(Some(wanted.to_vec())),
            Err(error) if !error.is_absent() => Err(error),
            Err(_) => self.spelled_otherwise(wanted),
        }
    }

    /// The same for a name that was asked for and does not stand there as it is.
    ///
    /// # Errors
    /// As [`spelled`](Self::spelled).
    pub fn spelled_otherwise(&self, wanted: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        if cfg!(target_os = "macos") {
            return Ok(None);
        }
        let folded = name::folded(wanted);
        let kept = self.spellings.as_deref();
        if let Some(known) = kept.and_then(|k| k.of(&self.path, &folded)) {
            return Ok(known);
        }
        let mut names = kept.filter(|k| k.has_room()).map(|_| Names::default());
        let mut found: Option<Vec<u8>> = None;
        let listed = self.each_while(MOST_SPELLED, |name, _| {
            if let Some(names) = &mut names {
                names.note(name);
            }
            // The order first: it costs less.
            if found.as_deref().is_some_and(|best| name > best) {
                return true;
            }
            if kept.is_some_and(|k| !k.take_compared(name, wanted)) {
                return false;
            }
            if name::same(name, wanted) {
                found = Some(name.to_vec());
            }
            true
        });
        listed.map_err(|error| match error.is_limit() {
            true => ReadError::too_far(&self.join(wanted)),
            false => error,
        })?;
        if let (Some(kept), Some(names)) = (kept, names) {
            kept.keep(&self.path, names);
        }
        Ok(found)
    }

    /// Opens a file or a directory, to be asked for its extended attributes.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_for_attributes(&self, name: &[u8]) -> Result<OwnedFd, ReadError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open_at(&self.fd, name, flags).map_err(|e| self.fail("open", name, e))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// True when after so many names the time is up. A directory of few is always listed to its end.
pub fn is_over(until: Option<Instant>, names: usize) -> bool {
    let is_look = names > 0 && names.is_multiple_of(NAMES_A_LOOK);
    is_look && until.is_some_and(|until| Instant::now() >= until)
}

/// Opens a name in a directory. A call that a signal broke off, as one on a file system of the
/// network can be, is made again, here as everywhere.
fn open_at(dir: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(dir, name, flags, Mode::empty()))
}

/// How a directory is opened to be walked through.
fn directory_flags() -> OFlags {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let flags = flags | OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK;
    flags
}
