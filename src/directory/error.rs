//! Why something on disk could not be read: a value in a row, and never the end of a scan.

use std::fmt;
use std::io;

use rustix::io::Errno;

use crate::text::escape;

/// What was tried where a path has more components than are walked.
const TOO_FAR: &str = "follow so far";
/// What was tried where a path names a file by its number on a volume.
const BY_NUMBER: &str = "follow the file number in";
/// What was tried where a path's beginning is a prefix to one system, and a name to another.
const PREFIX: &str = "tell the name from the prefix in";
/// What was tried where a path names a fork of a file.
const FORK: &str = "read the fork";
/// What was tried where an image lacks the volume that a path leads to.
const ELSEWHERE: &str = "look on another volume for";
/// What was tried where a path leads up on the data volume, whose directories may be known by another path.
const UP: &str = "go up on the data volume in";

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
    /// A path leads further than is followed here.
    pub fn too_far(path: &[u8]) -> Self {
        Self {
            operation: TOO_FAR,
            path: path.to_vec(),
            errno: Errno::NAMETOOLONG,
        }
    }

    /// A path of the Mac's that goes by file numbers (`/.vol`, `/.file`, `/dev/fd`): it leads somewhere, who
    /// knows where.
    pub fn by_number(path: &[u8]) -> Self {
        Self {
            operation: BY_NUMBER,
            path: path.to_vec(),
            errno: Errno::NOTSUP,
        }
    }

    /// A path to another volume of that Mac, which an image lacks.
    pub fn elsewhere(path: &[u8]) -> Self {
        Self {
            operation: ELSEWHERE,
            path: path.to_vec(),
            errno: Errno::NOTSUP,
        }
    }

    /// A path that begins with a prefix of the kernel's (`/.nofollow`), where something bears that name.
    pub fn prefix(path: &[u8]) -> Self {
        Self {
            operation: PREFIX,
            path: path.to_vec(),
            errno: Errno::NOTSUP,
        }
    }

    /// A path that leads up from a directory of an image's data volume: where that stands on the Mac behind a firm
    /// link, the kernel goes on above that link (`cache_lookup_path` of xnu's `bsd/vfs/vfs_cache.c`).
    pub fn up(path: &[u8]) -> Self {
        Self {
            operation: UP,
            path: path.to_vec(),
            errno: Errno::NOTSUP,
        }
    }

    /// A path of the Mac's into a fork of a file (`..namedfork/rsrc`): what is there is no file.
    pub fn fork(path: &[u8]) -> Self {
        Self {
            operation: FORK,
            path: path.to_vec(),
            errno: Errno::NOTSUP,
        }
    }

    /// True when a Mac finds something at the path by ways that are not gone here.
    pub fn is_unfollowed(&self) -> bool {
        matches!(self.operation, BY_NUMBER | PREFIX | FORK | ELSEWHERE | UP)
    }

    /// True when there is nothing at the path here, whatever the Mac of an image may have there.
    pub fn is_not_here(&self) -> bool {
        self.is_absent() || self.operation == ELSEWHERE
    }

    /// True when the machine has no memory or no descriptors left: the next try may succeed.
    pub fn is_of_the_moment(&self) -> bool {
        matches!(
            self.errno,
            Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::INTR
        )
    }

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
