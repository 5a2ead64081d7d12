//! One member of an archive: the old header, and the records of what that cannot hold.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tar::{EntryType, Header};

use crate::attribute::Attribute;
use crate::meta::{FORMAT, Kind, Meta, Special, Timestamp};
use crate::tree::Entry;

/// The longest name that the old header holds in one piece.
const SHORT: usize = 100;
/// The greatest owner or group that the old header holds.
const MOST_ID: u64 = 0o7_777_777;
/// The greatest number of a device that the old header holds.
const MOST_NUMBER: u32 = 0o7_777_777;
/// The greatest time that the old header holds.
const MOST_TIME: u64 = 0o77_777_777_777;
/// How the keyword of an extended attribute begins.
pub const ATTRIBUTE: &str = "SCHILY.xattr.";

/// A pax record: its keyword and its value.
type Record<'a> = (String, Cow<'a, [u8]>);

/// One member, before it is written.
pub struct Member {
    /// Its path below the archive's top.
    pub name: Vec<u8>,
    pub kind: Kind,
    pub size: u64,
    /// Absent for a text of ours.
    pub meta: Option<Meta>,
    /// The text of a symlink.
    pub link: Option<Box<[u8]>>,
    /// The member below the archive's top that is the same file.
    pub hard_link: Option<Vec<u8>>,
    pub attributes: Vec<Attribute>,
}

impl Member {
    pub fn ours(name: &str, size: u64) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            kind: Kind::File,
            size,
            meta: None,
            link: None,
            hard_link: None,
            attributes: Vec::new(),
        }
    }

    pub fn of(below: &str, real: &[u8], entry: &Entry) -> Self {
        let mut name = [below.as_bytes(), real].concat();
        if entry.meta.kind == Kind::Directory {
            name.push(b'/');
        }
        Self {
            name,
            kind: entry.meta.kind,
            size: 0,
            meta: Some(entry.meta),
            link: entry.link.clone(),
            hard_link: None,
            attributes: Vec::new(),
        }
    }

    /// The old header, and the pax records of what it cannot hold.
    pub fn header<'a>(&'a self, name: &'a [u8], target: &'a [u8]) -> (Header, Vec<Record<'a>>) {
        let mut header = Header::new_ustar();
        let mut records: Vec<Record<'a>> = Vec::new();
        let mut add = |key: &str, value: Cow<'a, [u8]>| records.push((key.to_owned(), value));
        header.set_entry_type(match (self.kind, &self.hard_link) {
            (Kind::File, Some(_)) => EntryType::Link,
            (Kind::File, None) => EntryType::Regular,
            (Kind::Directory, _) => EntryType::Directory,
            (Kind::Symlink, _) => EntryType::Symlink,
            (Kind::Other(_), _) => EntryType::Fifo,
        });
        let name_fits = header.set_path(Path::new(OsStr::from_bytes(name))).is_ok();
        let target_fits = header.set_link_name_literal(target).is_ok();
        let is_plain = |text: &[u8], fits: bool| fits || text.is_ascii();
        if !is_plain(name, name_fits) || !is_plain(target, target_fits) {
            // Without it libarchive composes or decomposes the letters of a record.
            add("hdrcharset", b"BINARY".into());
        }
        if !name_fits {
            add("path", name.into());
            // What those see who do not know of records.
            let short = name.get(name.len().saturating_sub(SHORT)..).unwrap_or(name);
            if let Some(old) = header.as_ustar_mut() {
                put(&mut old.name, short);
            }
        }
        if !target_fits {
            add("linkpath", target.into());
        }
        let mut fit = |key: &str, number: u64, most: u64| {
            if number > most {
                add(key, number.to_string().into_bytes().into());
                return 0;
            }
            number
        };
        // One that is too large stands there in base 256, which every tar reads.
        header.set_size(self.size);
        let meta = self.meta.as_ref();
        header.set_uid(fit("uid", meta.map_or(0, |m| m.uid.into()), MOST_ID));
        header.set_gid(fit("gid", meta.map_or(0, |m| m.gid.into()), MOST_ID));
        let format = self
            .kind
            .special()
            .and_then(|s| put_special(&mut header, s));
        header.set_mode(meta.map_or(0o600, |m| m.mode) | format.unwrap_or_default());
        let mtime = meta.map_or(0, |m| u64::try_from(m.mtime.seconds).unwrap_or_default());
        header.set_mtime(if mtime > MOST_TIME { 0 } else { mtime });
        if let Some(meta) = meta {
            add("mtime", decimal(meta.mtime).into_bytes().into());
            add("ctime", decimal(meta.ctime).into_bytes().into());
        }
        for (name, value) in &self.attributes {
            add(&format!("{ATTRIBUTE}{}", keyword(name)), value.into());
        }
        header.set_cksum();
        (header, records)
    }
}

/// Says which socket, FIFO or device a FIFO of the archive stands for, where it has room: the numbers of a device in
/// their fields, and by what is given here in that of the mode, as the oldest archives do. Whoever unpacks it looks at
/// neither.
fn put_special(header: &mut Header, special: Special) -> Option<u32> {
    let (format, major, minor) = special.format()?;
    if minor > MOST_NUMBER {
        return None;
    }
    header.set_device_major(major.into()).ok()?;
    header.set_device_minor(minor).ok()?;
    Some(format)
}

/// Which one a FIFO of an archive stands for: an earlier version did not say it.
pub fn special_of(header: &Header) -> Special {
    let number = |read: io::Result<Option<u32>>| read.ok().flatten();
    let numbers = number(header.device_major()).zip(number(header.device_minor()));
    match (header.mode(), numbers) {
        (Ok(mode), Some((major, minor))) => Special::of(mode & FORMAT, major, minor),
        _ => Special::Unknown,
    }
}

/// Copies what fits into a field of the old header; the rest stands in a record.
fn put(field: &mut [u8], text: &[u8]) {
    let fits = field.len().min(text.len());
    if let (Some(field), Some(text)) = (field.get_mut(..fits), text.get(..fits)) {
        field.copy_from_slice(text);
    }
}

/// A time as pax writes it. Nanoseconds count forward from the second, before 1970 as well.
pub fn decimal(time: Timestamp) -> String {
    let (seconds, nanoseconds) = (time.seconds, time.nanoseconds);
    match (seconds, nanoseconds) {
        (_, 0) => seconds.to_string(),
        (0.., _) => format!("{seconds}.{nanoseconds:09}"),
        _ => {
            let whole = seconds.saturating_add(1).unsigned_abs();
            let part = 1_000_000_000_u32.saturating_sub(nanoseconds);
            format!("-{whole}.{part:09}")
        }
    }
}

/// An attribute's name as a keyword: GNU tar's way for the signs that would end one.
fn keyword(name: &[u8]) -> String {
    let mut out = String::new();
    for chunk in name.utf8_chunks() {
        out.push_str(&chunk.valid().replace('%', "%25").replace('=', "%3D"));
        for byte in chunk.invalid() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_pax_writes_them() {
        let time = |seconds, nanoseconds| {
            decimal(Timestamp {
                seconds,
                nanoseconds,
            })
        };
        assert_eq!(time(5, 0), "5");
        assert_eq!(time(5, 7), "5.000000007");
        assert_eq!(time(-2, 500_000_000), "-1.500000000");
        assert_eq!(time(-1, 999_999_999), "-0.000000001");
        assert_eq!(time(-1, 0), "-1");
    }

    #[test]
    fn a_fifo_says_what_it_stands_for() {
        let of = |special: Special| {
            let mut header = Header::new_ustar();
            let format = put_special(&mut header, special).unwrap_or_default();
            header.set_mode(0o4_755 | format);
            special_of(&header)
        };
        let device = |minor| Special::BlockDevice { major: 255, minor };
        for special in [
            Special::Fifo,
            Special::Socket,
            device(MOST_NUMBER),
            Special::CharacterDevice { major: 1, minor: 3 },
            Special::Unknown,
        ] {
            assert_eq!(of(special), special);
        }
        // It has no room.
        assert_eq!(of(device(MOST_NUMBER + 1)), Special::Unknown);
    }

    #[test]
    fn keywords_hold_no_sign_that_ends_one() {
        assert_eq!(keyword(b"com.apple.quarantine"), "com.apple.quarantine");
        assert_eq!(keyword(b"a=b%\xff"), "a%3Db%25%FF");
    }
}
