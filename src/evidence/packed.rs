//! What was read of entries, without their paths and what the file system says of them: a scan that follows takes
//! these anew, and where all of it is the same to the last number so are the bytes. A file takes some sixty bytes so,
//! where an entry takes four times as many.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::attributes::Attributes;
use super::cpus::Cpus;
use super::entry::{Content, Entry};
use crate::meta::{Kind, Meta};

/// Part of a digest by which a file is found: its path, and all that the file system says of it. Whoever looks for two
/// files of one has the sizes and the times of both to choose.
type Key = [u8; 24];

/// Files of which more is known than a digest: SHA-1, code, attributes.
type Other = (Key, Content, Option<Arc<Attributes>>);

/// What was read of one file.
type Known = (Content, Option<Arc<Attributes>>);

/// What was read of the entries of one candidate, or of one place outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Over every entry.
    all: [u8; 32],
    /// Bytes of all files, read or not.
    pub(super) bytes: u64,
    plain: Box<[(Key, [u8; 32])]>,
    others: Box<[Other]>,
}

impl Packed {
    /// That of entries that were read, as far as they were.
    pub fn of(entries: &[Entry]) -> Self {
        // As large as they become: what one that grows leaves behind stands beside all of it.
        let count = entries.iter().filter_map(plain_digest).count();
        let (mut plain, mut others) = (Vec::with_capacity(count), Vec::new());
        let all = each(entries, |entry, key| match &entry.content {
            content @ Content::Read { .. } => match plain_digest(entry) {
                Some(sha256) => plain.push((key, *sha256)),
                None => others.push((key, content.clone(), entry.attributes.clone())),
            },
            Content::Unread | Content::Failed(_) => {}
        });
        plain.sort_unstable();
        others.sort_unstable_by_key(|(key, ..)| *key);
        Self {
            all,
            bytes: bytes_of(entries),
            plain: plain.into(),
            others: others.into(),
        }
    }

    /// The entries as they were read, of those that stand there now and have no content; and whether they are all that
    /// there was. Where they are not those alone are given of which something is known: no room is taken for the others,
    /// whose times alone somebody changed.
    pub(super) fn unpack(&self, entries: &[Entry]) -> (Vec<Entry>, bool) {
        let mut known = 0_usize;
        let all = each(entries, |entry, key| {
            known = known.saturating_add(usize::from(self.known(entry, &key).is_some()));
        });
        let is_all = all == self.all;
        let mut olds = Vec::with_capacity(if is_all { entries.len() } else { known });
        each(entries, |entry, key| {
            let known = self.known(entry, &key);
            if is_all || known.is_some() {
                olds.push(filled(entry.clone(), known));
            }
        });
        (olds, is_all)
    }

    /// What was read of a file by itself, if something was.
    pub(super) fn file(&self, path: &[u8], meta: &Meta) -> Option<Entry> {
        let entry = Entry::itself(*meta);
        let known = self.known(&entry, &key_of(path, meta))?;
        Some(filled(entry, Some(known)))
    }

    /// What was read of an entry, if something was.
    fn known(&self, entry: &Entry, key: &Key) -> Option<Known> {
        if entry.meta.kind != Kind::File {
            return None;
        }
        if let Ok(at) = self.plain.binary_search_by(|(own, _)| own.cmp(key)) {
            let (_, sha256) = self.plain.get(at)?;
            let content = Content::Read {
                sha256: *sha256,
                sha1: None,
                cpus: Cpus::None,
                code: None,
            };
            return Some((content, None));
        }
        let at = self.others.binary_search_by(|(own, ..)| own.cmp(key));
        let (_, content, attributes) = self.others.get(at.ok()?)?;
        Some((content.clone(), attributes.clone()))
    }

    /// Bytes that it takes in memory, but for what a scan that finds the same holds as well.
    pub(super) fn held(&self) -> usize {
        size_of_val(&*self.plain).saturating_add(size_of_val(&*self.others))
    }
}

/// An entry with what is known of it.
fn filled(mut entry: Entry, known: Option<Known>) -> Entry {
    if let Some((content, attributes)) = known {
        entry.content = content;
        entry.attributes = attributes;
    }
    entry
}

/// The digest of a file of which nothing more is known.
fn plain_digest(entry: &Entry) -> Option<&[u8; 32]> {
    match &entry.content {
        Content::Read {
            sha256,
            sha1: None,
            cpus: Cpus::None,
            code: None,
        } if entry.attributes.is_none() => Some(sha256),
        _ => None,
    }
}

/// Bytes of the files among entries.
pub(super) fn bytes_of(entries: &[Entry]) -> u64 {
    let files = entries.iter().filter(|e| e.meta.kind == Kind::File);
    files.map(|e| e.meta.size).fold(0, u64::saturating_add)
}

/// Gives each entry with its key, and then the digest over all of them.
fn each(entries: &[Entry], mut take: impl FnMut(&Entry, Key)) -> [u8; 32] {
    let mut all = Sha256::new();
    for entry in entries {
        let key = key_of(&entry.path, &entry.meta);
        all.update(key);
        match &entry.link {
            Some(link) => all.update(Sha256::digest(link)),
            None => all.update([0]),
        }
        take(entry, key);
    }
    all.finalize().into()
}

fn key_of(path: &[u8], meta: &Meta) -> Key {
    let Meta {
        kind,
        size,
        mtime,
        ctime,
        btime,
        uid,
        gid,
        mode,
        dev,
        ino,
        names,
    } = meta;
    let mut print = Sha256::new();
    print.update(path);
    print.update([0]);
    print.update(kind.as_str());
    print.update([0]);
    if let Some(special) = kind.special() {
        print.update(special.to_string());
        print.update([0]);
    }
    for number in [size, dev, ino] {
        print.update(number.to_le_bytes());
    }
    for time in [mtime, ctime] {
        print.update(time.seconds.to_le_bytes());
        print.update(time.nanoseconds.to_le_bytes());
    }
    print.update(btime.unwrap_or(i64::MIN).to_le_bytes());
    for number in [uid, gid, mode, names] {
        print.update(number.to_le_bytes());
    }
    let digest: [u8; 32] = print.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}
