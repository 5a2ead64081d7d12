//! The ledger: one small file for each thing that was taken out, which says where it came from, how
//! far it has got and why. Each is written beside its place, forced to the disk and renamed, so
//! that it is as it was before or as it is after.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::meta::{Kind, Meta};
use crate::root::Root;
use crate::state_dir::{StateDir, StateDirError};
use crate::text::escape;

/// The folder of the ledger in the state directory.
pub const FOLDER: &str = "ledger";
/// The format of an entry, so that a later one is not misread.
const VERSION: u32 = 1;
/// Bytes of an entry that are read: an honest one has some two thousand.
const MOST_BYTES: u64 = 64 << 10;
/// Bytes of all entries that are read for a table.
const MOST_SHOWN: usize = 2 << 20;
/// Bytes for which each of them counts at least.
const LEAST: usize = 512;
/// Entries that are read.
const MOST_ENTRIES: usize = 20_000;
/// How the name of an entry's file ends.
const SUFFIX: &str = ".json";

/// How far a thing has got. What each means for the next call stands in the module
/// [`quarantine`](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It will be renamed into the vault.
    Moving,
    /// It is copied into the vault from another volume.
    Copying,
    /// The copy is whole; the thing itself is renamed aside and held against it.
    Aside,
    /// What was renamed aside is what was copied, and is removed.
    Clearing,
    /// It is in the vault.
    Quarantined,
    /// It will be renamed out of the vault.
    Returning,
    /// It is copied out of the vault to another volume.
    Placing,
    /// The copy stands; what is in the vault is removed.
    Emptying,
    /// It was put back.
    Restored,
    /// It stands neither where it stood nor in the vault: others took it.
    Lost,
}

impl Step {
    /// True while a call is at work on it, or was killed.
    pub fn is_unfinished(self) -> bool {
        !matches!(self, Self::Quarantined | Self::Restored | Self::Lost)
    }

    /// The word for it, as the tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Restored => "restored",
            _ => "incomplete",
        }
    }
}

/// A directory, and a name in it: where a thing stands, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The directory that plays the `/`.
    #[serde(with = "bytes")]
    pub root: Vec<u8>,
    /// The directory, as the Mac would name it.
    #[serde(with = "bytes")]
    pub directory: Vec<u8>,
    /// The name in it.
    #[serde(with = "bytes")]
    pub name: Vec<u8>,
}

impl Place {
    /// The path, to be shown.
    pub fn shown(&self) -> String {
        let slash: &[u8] = if self.directory.ends_with(b"/") {
            b""
        } else {
            b"/"
        };
        escape(&[&self.directory, slash, &self.name].concat())
    }

    /// True when its name is that of an entry of a directory.
    fn is_named(&self) -> bool {
        let name = self.name.as_slice();
        !matches!(name, b"" | b"." | b"..") && !name.iter().any(|b| matches!(b, b'/' | 0))
    }

    /// The root as a path.
    pub fn root(&self) -> PathBuf {
        std::ffi::OsString::from_vec(self.root.clone()).into()
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The format of the entry.
    pub version: u32,
    /// Its name, by which it is restored.
    pub id: String,
    /// How far it has got.
    pub step: Step,
    /// Its path, escaped.
    pub path: String,
    /// Where it stood.
    pub from: Place,
    /// Where it is being put, or was.
    pub to: Option<Place>,
    /// When it was taken, in seconds of Unix time.
    pub time: i64,
    /// The bundle digest; empty when it was not known.
    pub hash: String,
    /// Who signed it, verified.
    pub signer: String,
    /// What its signature was worth.
    pub signature_state: String,
    /// Why it was taken.
    pub reason: String,
    /// The user who asked.
    pub uid: u32,
    /// The archive of evidence; empty for an executable, which stands in that of its bundle.
    pub evidence: String,
    /// The SHA-256 of that.
    pub evidence_hash: String,
    /// What it was when it was looked at: that, and nothing else, is moved.
    pub seen: Seen,
    /// What went wrong.
    pub error: String,
}

/// What tells a thing from another that was put in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// `directory`, `file`, `symlink` or `other`.
    pub kind: String,
    /// Device and inode; they hold as long as it is renamed and not copied.
    pub dev: u64,
    /// See `dev`.
    pub ino: u64,
    /// The digest of the thing itself; empty for a symlink, and where it was not known.
    pub digest: String,
    /// The text of a symlink.
    #[serde(with = "bytes")]
    pub link: Vec<u8>,
}

impl Seen {
    /// What was seen.
    pub fn new(meta: &Meta, link: Option<&[u8]>, digest: String) -> Self {
        Self {
            kind: meta.kind.as_str().to_owned(),
            dev: meta.dev,
            ino: meta.ino,
            digest: if meta.kind == Kind::Symlink {
                String::new()
            } else {
                digest
            },
            link: link.unwrap_or_default().to_vec(),
        }
    }
}

impl Entry {
    /// An entry of a thing that is about to be taken.
    pub fn new(id: String, from: Place, seen: Seen) -> Self {
        Self {
            version: VERSION,
            id,
            step: Step::Moving,
            path: from.shown(),
            from,
            to: None,
            time: 0,
            hash: String::new(),
            signer: String::new(),
            signature_state: String::new(),
            reason: String::new(),
            uid: 0,
            evidence: String::new(),
            evidence_hash: String::new(),
            seen,
            error: String::new(),
        }
    }
}

/// Writes an entry in place of what the ledger has of it.
///
/// # Errors
/// When it cannot be written; what the ledger had stands.
pub fn write(ledger: &StateDir, entry: &Entry) -> Result<(), StateDirError> {
    let name = format!("{}{SUFFIX}", entry.id);
    let beside = format!(".{}.new", entry.id);
    let fail = |error| StateDirError::Io("write", ledger.path().join(&name), error);
    // Left by a call that was killed.
    ledger.remove(&beside)?;
    let written = (|| {
        let mut file = ledger.create(&beside)?;
        let mut text = serde_json::to_vec_pretty(entry).map_err(|e| fail(e.into()))?;
        text.push(b'\n');
        file.write_all(&text).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        ledger.rename(&beside, &name)
    })();
    if written.is_err() {
        let _ = ledger.remove(&beside);
    }
    written?;
    ledger.sync()
}

/// Removes an entry of something that stands where it stood.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(ledger: &StateDir, id: &str) -> Result<(), StateDirError> {
    ledger.remove(&format!("{id}{SUFFIX}"))?;
    ledger.sync()
}

/// An entry, or the name of one that cannot be read, and why.
pub type Read = Result<Entry, (String, String)>;

/// The ledger of a disk, not read yet: nobody reads it but for its table.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    place: Option<(PathBuf, Root)>,
}

impl Ledger {
    /// That of a place of state on a disk; an empty one where there is none.
    pub fn of(state: Option<&Path>, root: &Root) -> Self {
        Self {
            place: state.map(|state| (state.to_owned(), root.clone())),
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn read(&self) -> Result<Vec<Read>, String> {
        let Some((place, root)) = &self.place else {
            return Ok(Vec::new());
        };
        let read_all = || {
            let state = StateDir::find(place, root)?;
            let folder = state.map(|s| s.find_folder(FOLDER)).transpose()?;
            folder
                .flatten()
                .map_or(Ok(Vec::new()), |f| read(&f, MOST_SHOWN))
        };
        read_all().map_err(|error: StateDirError| error.to_string())
    }
}

/// Every entry, in order of its name, which begins with its time, as far as so many bytes go.
///
/// # Errors
/// When the ledger cannot be listed.
fn read(ledger: &StateDir, mut left: usize) -> Result<Vec<Read>, StateDirError> {
    let mut entries = Vec::new();
    let rest = each(ledger, &mut |entry, bytes| {
        // One of a byte costs a call of the system too.
        left = left.saturating_sub(bytes.max(LEAST));
        entries.push(entry);
        left > 0
    })?;
    let mut told = |why| entries.push(Err((String::new(), why)));
    if rest.unread > 0 {
        told(format!(
            "limit: {} entries are left out: all together they are larger than is read",
            rest.unread
        ));
    }
    if let Some(line) = rest.unlisted(ledger) {
        told(format!("limit: {line}"));
    }
    Ok(entries)
}

/// What of a ledger was not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Entries for which there was no call.
    pub unread: usize,
    /// Entries beyond those that are listed.
    pub more: usize,
}

impl Rest {
    /// A line about entries that were not even listed.
    pub fn unlisted(self, ledger: &StateDir) -> Option<String> {
        let line = || {
            format!(
                "{} entries of {} are left out, for {MOST_ENTRIES} are read; what was interrupted among them stays so until those that are restored are moved elsewhere",
                self.more,
                ledger.path().display()
            )
        };
        (self.more > 0).then(line)
    }
}

/// Passes each entry to `sink`, in order of its name, with the bytes that were read of it, as long as that says
/// so.
///
/// # Errors
/// When the ledger cannot be listed.
pub fn each(
    ledger: &StateDir,
    sink: &mut dyn FnMut(Read, usize) -> bool,
) -> Result<Rest, StateDirError> {
    let (names, more) = ledger.names(MOST_ENTRIES)?;
    let ids = names.iter().filter_map(|name| {
        let name = OsStr::from_bytes(name).to_str()?;
        let id = name.strip_suffix(SUFFIX)?;
        (!id.starts_with('.')).then_some(id)
    });
    let (mut unread, mut goes_on) = (0_usize, true);
    for id in ids {
        if !goes_on {
            unread = unread.saturating_add(1);
            continue;
        }
        let mut bytes = 0;
        goes_on = match sized(ledger, id, &mut bytes) {
            Ok(Some(entry)) => sink(Ok(entry), bytes),
            // It went while the others were read.
            Ok(None) => true,
            Err(why) => sink(Err((escape(id.as_bytes()), why)), bytes),
        };
    }
    Ok(Rest { unread, more })
}

/// The entry of that name; `None` when there is none.
///
/// # Errors
/// With a line when it cannot be read, or is no entry.
pub fn one(ledger: &StateDir, id: &str) -> Result<Option<Entry>, String> {
    sized(ledger, id, &mut 0)
}

/// The same; says how many bytes were read.
fn sized(ledger: &StateDir, id: &str, bytes: &mut usize) -> Result<Option<Entry>, String> {
    // It may come from the command line, and names a file here and nowhere else.
    if id.contains('/') || id.starts_with('.') {
        return Ok(None);
    }
    let name = format!("{id}{SUFFIX}");
    let Some(file) = ledger.file_to_read(&name).map_err(|e| e.to_string())? else {
        return Ok(None);
    };
    let mut text = Vec::new();
    let read = file.take(MOST_BYTES).read_to_end(&mut text);
    *bytes = text.len();
    let damaged = |why: String| format!("damaged: {}: {why}", ledger.path().join(&name).display());
    read.map_err(|e: io::Error| damaged(e.to_string()))?;
    let entry: Entry = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    if entry.version != VERSION || entry.id != id {
        return Err(damaged("it is not the entry that its name says".into()));
    }
    // A name with a way in it would lead out of the directory that it is put into.
    if !(entry.from.is_named() && entry.to.as_ref().is_none_or(Place::is_named)) {
        return Err(damaged(
            "it names nothing that stands in a directory".into(),
        ));
    }
    Ok(Some(entry))
}

/// Bytes as text where they are UTF-8, and as hexadecimal digits behind a NUL where they are not: a
/// path holds none.
mod bytes {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_str(&format!("\0{}", crate::text::hex(bytes))),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Some(hex) = text.strip_prefix('\0') else {
            return Ok(text.into_bytes());
        };
        let pairs = hex.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(D::Error::custom)?;
            u8::from_str_radix(pair, 16).map_err(D::Error::custom)
        });
        pairs.collect()
    }
}
