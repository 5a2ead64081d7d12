//! The pax records of an archive's member: each says its own length, so that what it holds may be of any
//! bytes. Whoever wrote them may be hostile: what is not asked for is read past.

use std::io::{self, BufRead, BufReader, Read};

use crate::attribute::{is_compressed, is_fork};
use crate::collect::ATTRIBUTE;
use crate::sha256::Sha256;

/// Digits of a record's length.
const MOST_DIGITS: u64 = 20;
/// Bytes of a keyword that are held: those that are asked for are shorter.
const MOST_KEYWORD: u64 = 256;
/// Bytes of a path or link: a Mac takes no more than a few kilobytes.
const MOST_PATH: u64 = 1 << 20;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The member's name, where the old header has no room for it.
    pub path: Option<Vec<u8>>,
    /// The text of a link, likewise.
    pub link: Option<Vec<u8>>,
    /// The SHA-256 of the resource fork.
    pub fork: Option<[u8; 32]>,
    /// True when it was compressed by its file system, and not unpacked when it was put there.
    pub is_compressed: bool,
    /// The user that it belongs to, where the old header has no room for that.
    pub uid: Option<u32>,
    /// The group, likewise.
    pub gid: Option<u32>,
}

impl Records {
    /// Reads all records of a member.
    ///
    /// # Errors
    /// When they are none, or one that is asked for is too large; with a line.
    pub fn read(from: impl Read) -> Result<Self, String> {
        let mut records = Self::default();
        let mut from = BufReader::new(from);
        let fail = |error: io::Error| error.to_string();
        while !from.fill_buf().map_err(fail)?.is_empty() {
            records.one(&mut from)?;
        }
        Ok(records)
    }

    fn one(&mut self, from: &mut impl BufRead) -> Result<(), String> {
        let damaged = || "a record in it is damaged".to_owned();
        let fail = |error: io::Error| error.to_string();
        let mut digits = Vec::new();
        let mut number = from.take(MOST_DIGITS);
        number.read_until(b' ', &mut digits).map_err(fail)?;
        let text = digits.strip_suffix(b" ").ok_or_else(damaged)?;
        let text = std::str::from_utf8(text).map_err(|_| damaged())?;
        let length: u64 = text.parse().map_err(|_| damaged())?;
        let digits = u64::try_from(digits.len()).unwrap_or(u64::MAX);
        // All but the line's end.
        let rest = length.checked_sub(digits).and_then(|n| n.checked_sub(1));
        let mut record = from.take(rest.ok_or_else(damaged)?);
        let mut keyword = Vec::new();
        let mut begin = record.by_ref().take(MOST_KEYWORD);
        begin.read_until(b'=', &mut keyword).map_err(fail)?;
        let attribute = keyword.strip_prefix(ATTRIBUTE.as_bytes());
        let attribute = attribute.and_then(|name| name.strip_suffix(b"="));
        self.is_compressed |= attribute.is_some_and(is_compressed);
        match keyword.as_slice() {
            b"path=" => self.path = Some(text_of(&mut record)?),
            b"linkpath=" => self.link = Some(text_of(&mut record)?),
            b"uid=" => self.uid = Some(id_of(&mut record)?),
            b"gid=" => self.gid = Some(id_of(&mut record)?),
            _ if attribute.is_some_and(is_fork) => {
                let mut sha256 = Summed(Sha256::new());
                io::copy(&mut record, &mut sha256).map_err(fail)?;
                self.fork = Some(sha256.0.finish());
            }
            _ => drop(io::copy(&mut record, &mut io::sink()).map_err(fail)?),
        }
        let is_whole = record.limit() == 0;
        let mut end = [0];
        from.read_exact(&mut end).map_err(fail)?;
        if is_whole && end == *b"\n" {
            return Ok(());
        }
        Err(damaged())
    }
}

fn text_of(record: &mut io::Take<impl Read>) -> Result<Vec<u8>, String> {
    if record.limit() > MOST_PATH {
        return Err("a path in it is too long".into());
    }
    let mut text = Vec::new();
    record.read_to_end(&mut text).map_err(|e| e.to_string())?;
    Ok(text)
}

fn id_of(record: &mut io::Take<impl Read>) -> Result<u32, String> {
    let text = String::from_utf8(text_of(record)?).ok();
    let id = text.and_then(|text| text.parse().ok());
    id.ok_or_else(|| "an owner in it is no number".into())
}

/// What is written is hashed.
struct Summed(Sha256);

impl io::Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(keyword: &str, value: &[u8]) -> Vec<u8> {
        let rest = keyword.len() + value.len() + 3;
        let mut length = rest + rest.to_string().len();
        length = rest + length.to_string().len();
        [format!("{length} {keyword}=").as_bytes(), value, b"\n"].concat()
    }

    #[test]
    fn a_record_is_as_long_as_it_says_whatever_it_holds() {
        let fork = b"9 path=x\n\n=\0";
        let all = [
            record("SCHILY.xattr.user.evil", b"a\n11 path=/b\n"),
            record("path", b"new\nline="),
            record(&format!("SCHILY.xattr.{}", "n".repeat(5_000)), b"path=x"),
            record("SCHILY.xattr.user.large", &vec![b'\n'; 3 << 20]),
            record("SCHILY.xattr.com.apple.ResourceFork", fork),
            record("SCHILY.xattr.osx.com.apple.decmpfs", b"fpmc"),
            record("linkpath", b""),
            record("uid", b"4294967294"),
        ];
        let read = Records::read(all.concat().as_slice()).unwrap();
        let expected = Records {
            path: Some(b"new\nline=".to_vec()),
            link: Some(Vec::new()),
            fork: Some(Sha256::digest(fork)),
            is_compressed: true,
            uid: Some(4_294_967_294),
            gid: None,
        };
        assert_eq!(read, expected);
        assert_eq!(Records::read(&b""[..]).unwrap(), Records::default());
        for damaged in [
            &b"x"[..],
            b"9 path=x",
            b"9 path=xx",
            b"3 p=x\n",
            b"1 \n",
            b"9 gid=-1\n",
            b"-5 a=b\n",
            b"99 path=x\n",
            b"18446744073709551615 path=x\n",
            b"99999999999999999999999999 path=x\n",
        ] {
            let text = String::from_utf8_lossy(damaged);
            assert!(Records::read(damaged).is_err(), "{text}");
        }
        let long = record("path", &vec![b'x'; (1 << 20) + 1]);
        assert!(Records::read(long.as_slice()).is_err_and(|why| why.contains("too long")));
    }
}
