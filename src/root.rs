//! The disk of a Mac: paths resolved inside one directory that plays its `/`, and never out of it.
//!
//! Every path component is opened by itself, without following links; links are
//! read and resolved here, an absolute one from the root. So neither a link nor `..`
//! nor a directory that is swapped for a link in the middle of a scan leads out of the root.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::meta::{Kind, Meta, Timestamp};
use crate::text::escape;

/// Links followed in one resolution, as `MAXSYMLINKS` of macOS.
const MAX_LINKS: u32 = 32;
/// Components walked in one resolution. Each costs a descriptor while it lasts.
const MAX_COMPONENTS: usize = 160;

/// What was tried where a path has more components than are walked.
const TOO_FAR: &str = "follow so far";

/// Something on disk could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// What was tried: `open`, `list`, `read`.
    pub operation: &'static str,
    /// Where, as the Mac would name it.
    pub path: Vec<u8>,
    /// The system's answer.
    pub errno: Errno,
}

impl ReadError {
    /// True when there is nothing at the path.
    pub fn is_absent(&self) -> bool {
        self.errno == Errno::NOENT
    }

    /// True when a path leads further than is followed here: a Mac may follow it.
    pub fn is_limit(&self) -> bool {
        self.operation == TOO_FAR
    }

    /// True when nothing can stand where the path leads, for whoever follows it: it is absent or no
    /// directory on the way, the links go in a circle, or a name is none that the file system
    /// could hold. An attacker brings about any of these by a link, and between listing and
    /// opening.
    pub fn leads_nowhere(&self) -> bool {
        matches!(
            self.errno,
            Errno::NOENT
                | Errno::NOTDIR
                | Errno::LOOP
                | Errno::NAMETOOLONG
                | Errno::INVAL
                | Errno::ILSEQ
        ) && !self.is_limit()
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = io::Error::from_raw_os_error(self.errno.raw_os_error());
        let why = why.to_string();
        let why = why.split(" (os error").next().unwrap_or_default();
        write!(f, "cannot {} {}: {why}", self.operation, escape(&self.path))
    }
}

impl std::error::Error for ReadError {}

/// A directory that plays the `/` of a Mac.
#[derive(Clone, Debug)]
pub struct Root {
    top: Dir,
}

impl Root {
    /// Opens the directory. Its own path may hold symlinks: the caller chose it.
    ///
    /// # Errors
    /// When it is no directory or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = directory_flags() - OFlags::NOFOLLOW;
        let fd = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        Ok(Self {
            top: Dir {
                fd: Arc::new(fd),
                path: Vec::new(),
            },
        })
    }

    /// Resolves an absolute path, every link in it followed.
    ///
    /// # Errors
    /// When something on the way is not there or cannot be read.
    pub fn find(&self, path: &[u8]) -> Result<Found, ReadError> {
        self.resolve(path, true)
    }

    /// Resolves an absolute path as [`find`](Self::find) does, and sooner where it leads straight
    /// down from a directory that is open.
    ///
    /// # Errors
    /// When something on the way is not there or cannot be read.
    pub fn find_below(&self, dir: &Dir, path: &[u8]) -> Result<Found, ReadError> {
        straight_down(dir, path).map_or_else(|| self.find(path), Ok)
    }

    /// Resolves an absolute path; a link in its last component is not followed.
    ///
    /// # Errors
    /// When something on the way is not there or cannot be read.
    pub fn find_entry(&self, path: &[u8]) -> Result<Found, ReadError> {
        self.resolve(path, false)
    }

    /// Opens the directory at an absolute path, every link followed.
    ///
    /// # Errors
    /// When it is not there, is no directory, or cannot be opened.
    pub fn find_dir(&self, path: &[u8]) -> Result<Dir, ReadError> {
        self.find(path)?.open_dir()
    }

    fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Found, ReadError> {
        let fail = |errno| ReadError {
            operation: "resolve",
            path: path.to_vec(),
            errno,
        };
        let mut todo = components(path);
        // What a trailing slash or a dot asks for is a directory, so its link is followed.
        let follow_last = follow_last || path.ends_with(b"/");
        let mut stack: Vec<Dir> = Vec::new();
        let (mut links, mut steps) = (0_u32, 0_usize);
        while let Some(name) = todo.pop() {
            steps = steps.saturating_add(1);
            if steps > MAX_COMPONENTS {
                return Err(ReadError {
                    operation: TOO_FAR,
                    ..fail(Errno::NAMETOOLONG)
                });
            }
            if name == b".." {
                stack.pop();
                continue;
            }
            let dir = stack.last().unwrap_or(&self.top).clone();
            let meta = dir.meta(&name)?;
            if meta.kind == Kind::Symlink && (follow_last || !todo.is_empty()) {
                links = links.saturating_add(1);
                if links > MAX_LINKS {
                    return Err(fail(Errno::LOOP));
                }
                let target = dir.read_link(&name)?;
                if target.is_empty() {
                    return Err(fail(Errno::NOENT));
                }
                if target.starts_with(b"/") {
                    stack.clear();
                }
                todo.extend(components(&target));
                continue;
            }
            if todo.is_empty() {
                return Ok(Found {
                    dir,
                    name,
                    meta,
                    links,
                });
            }
            if meta.kind != Kind::Directory {
                return Err(fail(Errno::NOTDIR));
            }
            stack.push(dir.open_dir(&name)?);
        }
        // The path ended in `..` or is the root itself: a directory that is open already.
        let dir = stack.last().unwrap_or(&self.top).clone();
        let meta = dir.own_meta()?;
        Ok(Found {
            dir,
            name: b".".to_vec(),
            meta,
            links,
        })
    }
}

/// What stands at a path below a directory, when no link and no `..` is on the way: those may lead
/// anywhere.
fn straight_down(dir: &Dir, path: &[u8]) -> Option<Found> {
    let below = path.strip_prefix(dir.path.as_slice())?.strip_prefix(b"/")?;
    let mut names = below.split(|b| *b == b'/').peekable();
    let mut dir = dir.clone();
    while let Some(name) = names.next().filter(|n| !matches!(*n, b"" | b"." | b"..")) {
        let meta = dir.meta(name).ok().filter(|m| m.kind != Kind::Symlink)?;
        if names.peek().is_none() {
            return Some(Found {
                dir,
                name: name.to_vec(),
                meta,
                links: 0,
            });
        }
        dir = dir.open_dir(name).ok()?;
    }
    None
}

/// The components of a path, last first, without empty ones and dots.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/')
        .filter(|c| !c.is_empty() && *c != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

/// Where a path leads.
#[derive(Clone, Debug)]
pub struct Found {
    dir: Dir,
    name: Vec<u8>,
    /// What stands there.
    pub meta: Meta,
    /// How many links were followed on the way.
    pub links: u32,
}

impl Found {
    /// Where it really stands, as the Mac would name it.
    pub fn path(&self) -> Vec<u8> {
        if self.name == b"." {
            return self.dir.path().to_vec();
        }
        self.dir.join(&self.name)
    }

    /// The text of it, a link.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn read_link(&self) -> Result<Vec<u8>, ReadError> {
        self.dir.read_link(&self.name)
    }

    /// Opens it, a file or a directory, to be asked for its extended attributes.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_for_attributes(&self) -> Result<OwnedFd, ReadError> {
        self.dir.open_for_attributes(&self.name)
    }

    /// Opens it as a directory.
    ///
    /// # Errors
    /// When it is none, or cannot be opened.
    pub fn open_dir(&self) -> Result<Dir, ReadError> {
        if self.name == b"." {
            return Ok(self.dir.clone());
        }
        self.dir.open_dir(&self.name)
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// When it is no regular file or cannot be opened.
    pub fn open_file(&self) -> Result<OpenFile, ReadError> {
        self.dir.open_file(&self.name)
    }
}

/// An open directory inside the root.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Arc<OwnedFd>,
    /// Empty for the root itself.
    path: Vec<u8>,
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
    /// Where it really stands, as the Mac would name it.
    pub fn path(&self) -> &[u8] {
        if self.path.is_empty() {
            b"/"
        } else {
            &self.path
        }
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
        let fail = |e| self.fail("list", b"", e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = open_at(&self.fd, b".", flags).map_err(fail)?;
        let mut names = Vec::new();
        let mut more = false;
        for entry in rustix::fs::Dir::new(fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if names.len() >= most {
                more = true;
                break;
            }
            names.push(name.to_vec());
        }
        names.sort_unstable();
        Ok((names, more))
    }

    /// Opens a file or a directory, to be asked for its extended attributes.
    fn open_for_attributes(&self, name: &[u8]) -> Result<OwnedFd, ReadError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open_at(&self.fd, name, flags).map_err(|e| self.fail("open", name, e))
    }
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

/// `lstat` of an entry, or of the descriptor itself when the name is empty.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn meta_of(fd: impl AsFd, name: &[u8]) -> Result<Meta, Errno> {
    use rustix::fs::StatxFlags;
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = retry_on_intr(|| rustix::fs::statx(&fd, name, flags, mask))?;
    let mode = u32::from(stat.stx_mode);
    let has_btime = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    let time = |t: rustix::fs::StatxTimestamp| Timestamp {
        seconds: t.tv_sec,
        nanoseconds: t.tv_nsec,
    };
    Ok(Meta {
        kind: kind_of(mode),
        size: stat.stx_size,
        mtime: time(stat.stx_mtime),
        ctime: time(stat.stx_ctime),
        btime: has_btime.then_some(stat.stx_btime.tv_sec),
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        mode: mode & 0o7777,
        dev: (u64::from(stat.stx_dev_major) << 32) | u64::from(stat.stx_dev_minor),
        ino: stat.stx_ino,
    })
}

/// `lstat` of an entry, or of the descriptor itself when the name is empty.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn meta_of(fd: impl AsFd, name: &[u8]) -> Result<Meta, Errno> {
    let stat = if name.is_empty() {
        retry_on_intr(|| rustix::fs::fstat(&fd))?
    } else {
        retry_on_intr(|| rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW))?
    };
    let mode = u32::from(stat.st_mode);
    let time = |seconds: i64, nanoseconds: i64| Timestamp {
        seconds,
        nanoseconds: u32::try_from(nanoseconds).unwrap_or_default(),
    };
    Ok(Meta {
        kind: kind_of(mode),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        btime: Some(stat.st_birthtime),
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: mode & 0o7777,
        dev: u64::try_from(stat.st_dev).unwrap_or_default(),
        ino: stat.st_ino,
    })
}

fn kind_of(mode: u32) -> Kind {
    match mode & 0o170_000 {
        0o040_000 => Kind::Directory,
        0o100_000 => Kind::File,
        0o120_000 => Kind::Symlink,
        _ => Kind::Other,
    }
}
