//! What the file system says of one entry.

use std::fmt;

/// A point in time as the file system stores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds of Unix time.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A socket, FIFO or device: never opened.
    Other(Special),
}

/// What is neither a directory, a file nor a link. No digest of content says which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Special {
    /// A FIFO: whoever opens it waits.
    Fifo,
    /// A socket: nobody can open it.
    Socket,
    /// A block device, by its numbers.
    BlockDevice {
        /// Which driver.
        major: u16,
        /// Which of its devices.
        minor: u32,
    },
    /// A character device, by its numbers.
    CharacterDevice {
        /// Which driver.
        major: u16,
        /// Which of its devices.
        minor: u32,
    },
    /// It is not known which of them.
    Unknown,
}

/// The bits of a mode that say what kind of an entry it is.
pub const FORMAT: u32 = 0o170_000;
const FIFO: u32 = 0o010_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const BLOCK_DEVICE: u32 = 0o060_000;
const SOCKET: u32 = 0o140_000;

impl Special {
    /// What those bits say, of a device with its numbers.
    pub fn of(format: u32, major: u32, minor: u32) -> Self {
        match (format, u16::try_from(major)) {
            (FIFO, _) => Self::Fifo,
            (SOCKET, _) => Self::Socket,
            (BLOCK_DEVICE, Ok(major)) => Self::BlockDevice { major, minor },
            (CHARACTER_DEVICE, Ok(major)) => Self::CharacterDevice { major, minor },
            _ => Self::Unknown,
        }
    }

    /// Those bits, and the numbers of a device; nothing where it is not known.
    pub fn format(self) -> Option<(u32, u16, u32)> {
        match self {
            Self::Fifo => Some((FIFO, 0, 0)),
            Self::Socket => Some((SOCKET, 0, 0)),
            Self::BlockDevice { major, minor } => Some((BLOCK_DEVICE, major, minor)),
            Self::CharacterDevice { major, minor } => Some((CHARACTER_DEVICE, major, minor)),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fifo => f.write_str("FIFO"),
            Self::Socket => f.write_str("socket"),
            Self::BlockDevice { major, minor } => write!(f, "block device {major}:{minor}"),
            Self::CharacterDevice { major, minor } => write!(f, "character device {major}:{minor}"),
            Self::Unknown => f.write_str("socket, FIFO or device"),
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Directory,
        Self::File,
        Self::Symlink,
        Self::Other(Special::Unknown),
    ];

    /// The word for it, as the tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Symlink => "symlink",
            Self::Other(_) => "other",
        }
    }

    /// Which of sockets, FIFOs and devices it is, if one of these.
    pub fn special(self) -> Option<Special> {
        match self {
            Self::Other(special) => Some(special),
            Self::Directory | Self::File | Self::Symlink => None,
        }
    }

    /// True when it cannot be told from another: of one it is not known which socket, FIFO or device it is.
    pub fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => [a, b].contains(&Special::Unknown) || a == b,
            _ => self == other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(special) => special.fmt(f),
            _ => f.write_str(self.as_str()),
        }
    }
}

/// What `lstat` says of one entry. All of it but `ctime` and `ino` is whatever its owner wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Its kind.
    pub kind: Kind,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last write to it; `touch` sets it at will.
    pub mtime: Timestamp,
    /// Time of the last change of its status; only the clock decides it.
    pub ctime: Timestamp,
    /// Time of its creation in seconds, where the file system keeps one.
    pub btime: Option<i64>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, set-id and sticky bits included.
    pub mode: u32,
    /// Device that it stands on.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Names that it has, its hard links; of a directory that says nothing.
    pub names: u32,
}

/// Whom an entry belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// Who may do what with an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Permission bits, set-id and sticky bits included.
    pub mode: u32,
    /// Whom it belongs to.
    pub owner: Owner,
}

/// The device and the number of a directory or a file.
pub type FileId = (u64, u64);

impl Meta {
    /// By what it is told apart from all else, whatever its names.
    pub fn id(&self) -> FileId {
        (self.dev, self.ino)
    }

    /// Who may do what with it.
    pub fn rights(&self) -> Rights {
        let (uid, gid) = (self.uid, self.gid);
        Rights {
            mode: self.mode,
            owner: Owner { uid, gid },
        }
    }

    /// True when `other` is the same file with the same content, as far as the file system tells.
    pub fn is_unchanged(&self, other: &Self) -> bool {
        (
            self.kind, self.size, self.mtime, self.ctime, self.dev, self.ino,
        ) == (
            other.kind,
            other.size,
            other.mtime,
            other.ctime,
            other.dev,
            other.ino,
        )
    }

    /// True when any execute bit is set.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// The permission bits in octal, as osquery's `file` table shows them: `0755`.
    pub fn octal_mode(&self) -> String {
        format!("{:04o}", self.mode)
    }
}

/// Who can write something, weakest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WritableBy {
    /// Nobody but root.
    #[default]
    Root,
    /// An owner who is not root: an owner can always give himself the permission.
    Owner,
    /// A group.
    Group,
    /// Everybody.
    Others,
}

impl WritableBy {
    /// Who can write the entry itself, by its mode and owner; access control lists are not read.
    pub fn of(meta: &Meta) -> Self {
        // The mode of a symbolic link means nothing: only its owner and its directory do.
        let bits = if meta.kind == Kind::Symlink {
            0
        } else {
            meta.mode
        };
        if bits & 0o002 != 0 {
            Self::Others
        } else if bits & 0o020 != 0 {
            Self::Group
        } else if meta.uid != 0 {
            Self::Owner
        } else {
            Self::Root
        }
    }

    /// The word for it, as the tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Owner => "owner",
            Self::Group => "group",
            Self::Others => "others",
        }
    }
}
