//! Extended attributes: where a file came from, and what a signed bundle must not carry.

use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, retry_on_intr};

use super::trouble::Trouble;
use crate::attribute::{self, plain};
use crate::held::{self, Held};
use crate::text::{self, escape, hex};

/// Bytes of an attribute that are read: more than any that macOS writes here.
const MAX_VALUE: usize = 1024;
/// Bytes of one that are kept, decoded: an honest one has some ninety. Of a longer one there is the beginning
/// and a digest of the whole.
const MOST_TEXT: usize = 256;

/// The system's word for an attribute that is not there.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ABSENT: Errno = Errno::NODATA;
/// The system's word for an attribute that is not there.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const ABSENT: Errno = Errno::NOATTR;

/// The extended attributes that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `com.apple.quarantine`, decoded.
    pub quarantine: String,
    /// `com.apple.provenance`, decoded.
    pub provenance: String,
    /// True when there is a resource fork.
    pub resource_fork: bool,
    /// True when there is Finder information.
    pub finder_info: bool,
    /// True when the file was compressed by its file system, and is not unpacked here; or that may be.
    pub compressed: bool,
    /// Which of them are longer than is read; empty when none is.
    pub error: String,
}

impl Attributes {
    /// Those of a file of which a resource fork alone counts.
    pub(super) fn fork() -> Self {
        Self {
            resource_fork: true,
            ..Self::default()
        }
    }

    /// The same without their texts, where there is no room for these.
    pub(super) fn without_texts(self) -> Self {
        Self {
            resource_fork: self.resource_fork,
            finder_info: self.finder_info,
            error: NO_ROOM.into(),
            ..Self::default()
        }
    }

    /// Why the bytes of the file that has them are not what it holds, or may not be.
    pub(super) fn refusal(&self, shown: impl Fn() -> String) -> Option<Trouble> {
        let refusal = || match self.error == TOO_MANY {
            true => Trouble::Limit(attribute::may_be_compressed(&shown())),
            false => Trouble::Unreadable(attribute::compressed(&shown())),
        };
        self.compressed.then(refusal)
    }

    /// True when there was no room for their texts.
    pub(super) fn lack_texts(&self) -> bool {
        self.error == NO_ROOM
    }

    /// Bytes that they take in memory.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>().saturating_add(self.held())
    }

    /// True when none of them is there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is said of attributes for whose texts there was no room.
const NO_ROOM: &str =
    "limit: there is no room for its extended attributes; dsplug --thorough has more";

/// What is said of attributes of which not even the names are read.
const TOO_MANY: &str = "limit: it has more extended attributes than are read";

held::fields!(Attributes {
    quarantine,
    provenance,
    resource_fork,
    finder_info,
    compressed,
    error,
});

/// Reads the attributes of an open file or directory.
///
/// # Errors
/// When the system cannot say which there are, or what one of them holds. A file system without
/// attributes has none.
pub fn read(fd: &impl AsFd) -> Result<Attributes, Errno> {
    let mut attributes = Attributes::default();
    let names = match attribute::names(fd) {
        Ok(names) => names,
        Err(Errno::NOTSUP) => return Ok(attributes),
        // One of them may be what a signed bundle must not carry.
        Err(Errno::RANGE | Errno::TOOBIG) => {
            attributes.error = TOO_MANY.into();
            attributes.resource_fork = true;
            attributes.finder_info = true;
            attributes.compressed = cfg!(not(target_os = "macos"));
            return Ok(attributes);
        }
        Err(error) => return Err(error),
    };
    for name in names.split(|b| *b == 0) {
        attributes.compressed |= attribute::is_compressed(name);
        let plain = plain(name);
        let known = match plain {
            b"com.apple.quarantine" | b"com.apple.provenance" | b"com.apple.FinderInfo" => {
                value(fd, name)?
            }
            b"com.apple.ResourceFork" => Some(Vec::new()),
            _ => continue,
        };
        match (plain, known) {
            (b"com.apple.ResourceFork", _) => attributes.resource_fork = true,
            // It has 32 bytes; macOS does not tell all zeros from none.
            (b"com.apple.FinderInfo", known) => {
                attributes.finder_info = known.is_none_or(|v| v.iter().any(|b| *b != 0));
            }
            // A long one says nothing of the file that bears it.
            (_, None) => {
                let plain = escape(plain);
                attributes.error = format!("limit: {plain} has more than {MAX_VALUE} bytes");
            }
            (b"com.apple.quarantine", Some(v)) => {
                attributes.quarantine = text::cut(quarantine(&v), MOST_TEXT);
            }
            (_, Some(v)) => attributes.provenance = text::cut(provenance(&v), MOST_TEXT),
        }
    }
    Ok(attributes)
}

/// What an attribute holds; nothing when it went meanwhile, and `None` when it is longer than is read.
fn value(fd: &impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let mut bytes = Vec::with_capacity(MAX_VALUE);
    match retry_on_intr(|| rustix::fs::fgetxattr(fd, name, spare_capacity(&mut bytes))) {
        Ok(_) | Err(ABSENT) => Ok(Some(bytes)),
        Err(Errno::RANGE | Errno::TOOBIG) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Decodes `flags;time;agent;uuid`: flags and time are hexadecimal, the time in seconds.
fn quarantine(bytes: &[u8]) -> String {
    let text = escape(bytes);
    let mut fields = text.splitn(4, ';');
    let (Some(flags), Some(time), Some(agent)) = (fields.next(), fields.next(), fields.next())
    else {
        return text;
    };
    let uuid = fields.next().unwrap_or_default();
    let Ok(time) = i64::from_str_radix(time, 16) else {
        return text;
    };
    format!("flags={flags};time={time};agent={agent};uuid={uuid}")
}

/// Decodes the eleven bytes that macOS 13 and later write: three of version and flags, then the
/// number of the process's record in the system's `ExecPolicy` database, little-endian. (Read in
/// published analyses, not in a source of Apple's.)
fn provenance(bytes: &[u8]) -> String {
    match bytes {
        [_, _, _, rest @ ..] => match <[u8; 8]>::try_from(rest) {
            Ok(id) => format!("{:016x}", u64::from_le_bytes(id)),
            Err(_) => hex(bytes),
        },
        _ => hex(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarantine_is_decoded() {
        assert_eq!(
            quarantine(b"0083;5f3d2a1b;Safari;7E2C0F6E-1111-2222-3333-444455556666"),
            "flags=0083;time=1597843995;agent=Safari;uuid=7E2C0F6E-1111-2222-3333-444455556666"
        );
        assert_eq!(
            quarantine(b"0081;00000000;;"),
            "flags=0081;time=0;agent=;uuid="
        );
        assert_eq!(quarantine(b"nonsense\n"), "nonsense\\x0a");
    }

    #[test]
    fn provenance_is_decoded() {
        assert_eq!(
            provenance(&[1, 2, 0, 0xef, 0xbe, 0xad, 0xde, 0, 0, 0, 0x80]),
            "80000000deadbeef"
        );
        assert_eq!(provenance(&[1]), "01");
    }
}
