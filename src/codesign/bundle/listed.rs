//! What a seal lists, by path. A seal may list files by the ten thousand, and one is judged while all the bundle's bytes
//! are held, so that an entry takes its path, its digests and 16 bytes.

use crate::codesign::hash::HashType;
use crate::property_list::{Dictionary, Text, Value};
use crate::text::unhex;

/// Longest path in a seal, in bytes: `PATH_MAX` of macOS.
const MAX_PATH: usize = 1024;

/// Most cdhashes that the requirement on nested code may name: one for each slice.
const MAX_CDHASHES: usize = 64;

/// What was sealed at one path.
///
/// Source: `ResourceSeal`, `resources.cpp` of Apple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'s> {
    /// A regular file, by its digests; there is at least one.
    File(Digests<'s>),
    /// A symlink, by its text.
    Symlink(&'s [u8]),
    /// Code with a signature of its own, by the cdhashes that the seal pins.
    Code(&'s [[u8; 20]]),
}

/// The digests of a file, each of its type's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests<'s> {
    kinds: [bool; HashType::ALL.len()],
    /// One after another, in the order of [`HashType::ALL`].
    bytes: &'s [u8],
}

impl<'s> Digests<'s> {
    /// Each with its type, the best last.
    fn iter(&self) -> impl Iterator<Item = (HashType, &'s [u8])> {
        let mut rest = self.bytes;
        let kinds = HashType::ALL.into_iter().zip(self.kinds);
        kinds.filter(|(_, has)| *has).map_while(move |(kind, _)| {
            let (digest, after) = rest.split_at_checked(kind.length())?;
            rest = after;
            Some((kind, digest))
        })
    }

    /// The digest of that type.
    pub fn get(&self, kind: HashType) -> Option<&'s [u8]> {
        self.iter().find(|(k, _)| *k == kind).map(|(_, d)| d)
    }

    /// The best type that it has.
    pub fn best(&self) -> Option<HashType> {
        self.iter().last().map(|(kind, _)| kind)
    }
}

/// One entry of a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedResource<'s> {
    /// What it is.
    pub resource: Resource<'s>,
    /// Whether it may be missing.
    pub optional: bool,
}

/// What a seal lists.
#[derive(Default)]
pub struct Listed {
    /// Of each entry its path, and behind that what was sealed there.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where an entry stands, and what it is.
struct Entry {
    at: u32,
    /// Length of its path.
    path: u32,
    /// Length of what was sealed.
    sealed: u32,
    form: Form,
}

/// What an entry is.
#[derive(Clone, Copy)]
struct Form {
    kind: Kind,
    is_optional: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    /// With the digests of those types: a bit for each of [`HashType::ALL`].
    File(u8),
    Symlink,
    Code,
    /// The path leads elsewhere, or the entry has the wrong form.
    Refused,
    /// It was taken out.
    Taken,
}

impl Listed {
    /// Adds an entry as it stands in the seal.
    pub fn add(&mut self, path: &Text, value: &Value) {
        let at = self.bytes.len();
        // A path without UTF-8 is an empty one.
        self.bytes.extend_from_slice(path.as_str().as_bytes());
        let sealed = self.bytes.len();
        let form = match check_path(path.as_str()) {
            Ok(()) => write(value, &mut self.bytes),
            Err(_) => None,
        };
        if form.is_none() {
            self.bytes.truncate(sealed);
        }
        let length = |from: usize, to: usize| u32::try_from(to.saturating_sub(from)).ok();
        let length = |from, to| length(from, to).unwrap_or(u32::MAX);
        self.entries.push(Entry {
            at: length(0, at),
            path: length(at, sealed),
            sealed: length(sealed, self.bytes.len()),
            form: form.unwrap_or(Form {
                kind: Kind::Refused,
                is_optional: false,
            }),
        });
    }

    /// Puts the entries in order; false when a path stands there twice.
    pub fn sort(&mut self) -> bool {
        let bytes = &self.bytes;
        let path = |entry: &Entry| entry.parts(bytes).0;
        self.entries.sort_unstable_by(|a, b| path(a).cmp(path(b)));
        self.entries.is_sorted_by(|a, b| path(a) != path(b))
    }

    /// Takes out what is listed at a path.
    pub fn take(&mut self, path: &[u8]) -> Option<SealedResource<'_>> {
        let bytes = &self.bytes;
        let compare = |entry: &Entry| entry.parts(bytes).0.cmp(path);
        let at = self.entries.binary_search_by(compare).ok()?;
        let entry = self.entries.get_mut(at)?;
        let sealed = entry.sealed(bytes)?;
        entry.form.kind = Kind::Taken;
        Some(sealed)
    }

    /// What is listed and was not taken out, in order of path.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SealedResource<'_>)> {
        let bytes = &self.bytes;
        let all = self.entries.iter();
        all.filter_map(|entry| Some((entry.parts(bytes).0, entry.sealed(bytes)?)))
    }

    /// The paths of what cannot be taken for anything, and why.
    pub fn refused(&self) -> impl Iterator<Item = (&str, Option<&'static str>)> {
        let bytes = &self.bytes;
        let all = self.entries.iter();
        let refused = all.filter(|entry| matches!(entry.form.kind, Kind::Refused));
        refused.map(|entry| {
            let path = std::str::from_utf8(entry.parts(bytes).0).unwrap_or_default();
            (path, check_path(path).err())
        })
    }
}

impl Entry {
    /// Its path, and the bytes of what was sealed.
    fn parts<'b>(&self, bytes: &'b [u8]) -> (&'b [u8], &'b [u8]) {
        let length = |length: u32| usize::try_from(length).unwrap_or(usize::MAX);
        let own = bytes.get(length(self.at)..).unwrap_or_default();
        let (path, rest) = own.split_at_checked(length(self.path)).unwrap_or_default();
        (path, rest.get(..length(self.sealed)).unwrap_or_default())
    }

    fn sealed<'b>(&self, bytes: &'b [u8]) -> Option<SealedResource<'b>> {
        let (_, sealed) = self.parts(bytes);
        let resource = match self.form.kind {
            Kind::File(kinds) => Resource::File(Digests {
                kinds: HashType::ALL.map(|kind| kinds & bit(kind) != 0),
                bytes: sealed,
            }),
            Kind::Symlink => Resource::Symlink(sealed),
            Kind::Code => Resource::Code(sealed.as_chunks().0),
            Kind::Refused | Kind::Taken => return None,
        };
        Some(SealedResource {
            resource,
            optional: self.form.is_optional,
        })
    }
}

/// The bit of a hash type among those that an entry has.
fn bit(kind: HashType) -> u8 {
    match kind {
        HashType::Sha1 => 1,
        HashType::Sha256Truncated => 2,
        HashType::Sha256 => 4,
        HashType::Sha384 => 8,
    }
}

/// A path that stays inside of the folder that the seal covers, written in the one way in which
/// a folder's listing writes it.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > MAX_PATH {
        return Err("is too long");
    }
    if path.contains('\0') {
        return Err("holds a NUL");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("is not a plain relative path");
    }
    Ok(())
}

/// Writes what an entry says, and gives its form; `None` when that is wrong.
fn write(value: &Value, to: &mut Vec<u8>) -> Option<Form> {
    let entry = match value {
        // The old form: SHA-1 alone.
        Value::Data(digest) => {
            write_digest(HashType::Sha1, digest, to)?;
            return Some(Form {
                kind: Kind::File(bit(HashType::Sha1)),
                is_optional: false,
            });
        }
        Value::Dictionary(entry) => entry,
        _ => return None,
    };
    let is_optional = match entry.get("optional") {
        None => false,
        Some(value) => value.as_boolean()?,
    };
    let kind = if let Some(requirement) = entry.get("requirement") {
        to.extend(cdhashes(requirement.as_string()?).into_iter().flatten());
        if let Some(cdhash) = digest::<20>(entry, "cdhash")? {
            to.extend(cdhash);
        }
        Kind::Code
    } else if let Some(target) = entry.get("symlink") {
        to.extend_from_slice(target.as_string()?.as_bytes());
        Kind::Symlink
    } else {
        let mut kinds = 0;
        for kind in HashType::ALL {
            if let Some(value) = entry.get(key_of(kind)) {
                write_digest(kind, value.as_data()?, to)?;
                kinds |= bit(kind);
            }
        }
        if kinds == 0 {
            return None;
        }
        Kind::File(kinds)
    };
    Some(Form { kind, is_optional })
}

/// Under which key an entry lists the digest by a code directory's hash type.
///
/// Source: `ResourceBuilder::hashName`, `resources.cpp` of Apple.
fn key_of(kind: HashType) -> &'static str {
    match kind {
        HashType::Sha1 => "hash",
        HashType::Sha256 => "hash2",
        HashType::Sha256Truncated => "hash3",
        HashType::Sha384 => "hash4",
    }
}

/// Writes a digest of that type; `None` when it is longer or shorter.
fn write_digest(kind: HashType, digest: &[u8], to: &mut Vec<u8>) -> Option<()> {
    (digest.len() == kind.length()).then(|| to.extend_from_slice(digest))
}

/// The digest under `key`: `Some(None)` without one, `None` when it has the wrong form.
fn digest<const N: usize>(entry: &Dictionary, key: &str) -> Option<Option<[u8; N]>> {
    match entry.get(key) {
        None => Some(None),
        Some(Value::Data(digest)) => Some(Some(digest.as_slice().try_into().ok()?)),
        Some(_) => None,
    }
}

/// The cdhashes of a requirement that names nothing else, as it is written for ad-hoc code:
/// `cdhash H"…" or cdhash H"…"`, one for each slice, or the same with a pair of parentheses around
/// each. Empty for any other requirement.
fn cdhashes(requirement: &str) -> Vec<[u8; 20]> {
    requirement
        .split(" or ")
        .take(MAX_CDHASHES)
        .map(|term| {
            let term = term.trim();
            let term = match term.strip_prefix('(') {
                Some(inner) => inner.strip_suffix(')')?.trim(),
                None => term,
            };
            let hex = term.strip_prefix("cdhash ")?.trim();
            let hex = hex.strip_prefix("H\"")?.strip_suffix('"')?;
            unhex(hex)
        })
        .collect::<Option<_>>()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_that_names_more_pins_nothing_by_itself() {
        let hash = "cdhash H\"0101010101010101010101010101010101010101\"";
        assert_eq!(cdhashes(hash), [[1; 20]]);
        assert_eq!(cdhashes(&format!("({hash}) or ({hash})")), [[1; 20]; 2]);
        for other in [
            format!("{hash} or anchor apple"),
            format!("! {hash}"),
            format!("{hash} or"),
            format!("({hash}"),
            format!("{hash})"),
            format!("!({hash})"),
            format!("({hash} or {hash})"),
            "cdhash H\"01\"".into(),
            "cdhash H\"+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1\"".into(),
            String::new(),
        ] {
            assert_eq!(cdhashes(&other), <[[u8; 20]; 0]>::default(), "{other}");
        }
    }
}
