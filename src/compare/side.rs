//! One of two things that are compared, entry by entry, with what its code is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use crate::attribute;
use crate::codesign::{CodeFacts, FileCheck, Limits, Roots, is_macho, unsigned_digest};
use crate::collect::Outside;
use crate::digest::Records;
use crate::meta::{Kind, Rights};
use crate::reading::Reading;
use crate::sha256::Sha256;
use crate::tree::{Entry, Tree};

/// Bytes of a Mach-O file whose code is told from its signature: it is held in memory for that, and parts of it twice.
const MOST_CODE: u64 = 16 << 20;
/// Bytes of a resource fork: the system gives all of it at once.
const MOST_FORK: usize = 16 << 20;
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Its kind.
    pub kind: Kind,
    /// Who may do what with it.
    pub rights: Rights,
    /// SHA-256 of a file's content, or of a link's text; zeros for the others.
    pub sha256: [u8; 32],
    /// SHA-256 of a file's resource fork, of which the bundle digest says nothing.
    pub fork: Option<Box<[u8; 32]>>,
    /// True for what its file system has compressed, and nobody unpacked: its content is not known.
    pub is_compressed: bool,
    /// What it is as code. Few are any, and very many are held.
    pub code: Option<Box<Code>>,
    /// True for a file that begins as a Mach-O file does, whether more of it is known as code or not.
    pub is_macho: bool,
    /// True for code that is too large for its signature to be told from it.
    pub is_large_code: bool,
}

/// What a file is as code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// SHA-256 of the code without its signature.
    pub unsigned: [u8; 32],
    /// What the signature is worth, and whose it is.
    pub signature: String,
}

/// What was read of one side.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// What it holds, by path below it; empty for itself.
    pub things: BTreeMap<Vec<u8>, Thing>,
    /// Entries that are compressed: what they hold is not known, and so it differs from nothing.
    pub compressed: BTreeSet<Vec<u8>>,
    /// What could not be read, each in a line.
    pub unknown: Vec<String>,
    /// Of an archive, which bundle it is, as the tables show it.
    pub of: Option<String>,
    /// True when whom its entries belong to is as it was on the Mac: a copy belongs to whoever made it.
    pub has_owners: bool,
    /// What is reached from it outside of it, where that is known.
    pub outside: Option<Outside>,
}

impl Side {
    /// Reads what stands on a disk.
    pub fn of_tree(tree: &Tree, reading: &Reading, roots: &Roots) -> Self {
        let mut side = Self {
            unknown: tree.left_out.clone(),
            ..Self::default()
        };
        let (mut hidden, mut portion) = (None, reading.portion());
        for entry in &tree.entries {
            let mut thing = Thing::new(entry.meta.kind, entry.meta.rights(), entry.link.as_deref());
            if entry.meta.kind == Kind::File {
                match fork(tree, entry) {
                    Ok(Fork::Compressed) => {
                        let path = tree.path_of(entry);
                        side.unknown.push(attribute::compressed(&path));
                        side.compressed.insert(entry.path.to_vec());
                        continue;
                    }
                    Ok(Fork::Known(sha256)) => thing.fork = sha256.map(Box::new),
                    Ok(Fork::Hidden) => hidden = hidden.or(Some(entry)),
                    Err(line) => side.unknown.push(line),
                }
                let read = tree
                    .open_file(entry)
                    .map_err(|e| e.to_string())
                    .and_then(|file| {
                        let len = file.meta.size;
                        portion.take(len, || tree.real_path(entry))?;
                        // What grows meanwhile has no end.
                        let most = len.saturating_add(1);
                        let mut file = std::fs::File::from(file.fd).take(most);
                        thing
                            .read(&mut file, len, roots)
                            .map_err(|e| format!("cannot read {}: {e}", tree.path_of(entry)))
                    });
                if let Err(line) = read {
                    side.unknown.push(line);
                    continue;
                }
            }
            side.things.insert(entry.path.to_vec(), thing);
        }
        side.unknown.extend(hidden.map(|entry| {
            let path = tree.path_of(entry);
            format!("the resource fork of {path}, and of what else that file system does not show")
        }));
        side
    }

    /// What counts in the bundle digest: all, but for a bundle's own directory.
    pub fn entries(&self) -> impl Iterator<Item = (&Vec<u8>, &Thing)> {
        let things = self.things.iter();
        things.filter(|(path, thing)| !(path.is_empty() && thing.kind == Kind::Directory))
    }

    /// Its bundle digest; `None` when a part of it is not known.
    pub fn digest(&self) -> Option<[u8; 32]> {
        if !self.unknown.is_empty() {
            return None;
        }
        let mut records = Records::default();
        for (path, thing) in self.entries() {
            records.add(thing.kind, &thing.sha256, path);
        }
        Some(records.finish())
    }
}

/// What is known of a resource fork.
enum Fork {
    /// Its SHA-256, where there is one.
    Known(Option<[u8; 32]>),
    /// The file system does not show it.
    Hidden,
    /// The content of the file may stand in it, or elsewhere: it is compressed.
    Compressed,
}

fn fork(tree: &Tree, entry: &Entry) -> Result<Fork, String> {
    let attributes = tree.attributes(entry).map_err(|e| e.to_string())?;
    if attributes.say_compressed() {
        return Ok(Fork::Compressed);
    }
    let Some(name) = attributes.fork() else {
        return Ok(if attributes.may_hide_fork() {
            Fork::Hidden
        } else {
            Fork::Known(None)
        });
    };
    let value = attributes.value(name, MOST_FORK);
    let value = value.map_err(|e| e.to_string())?.ok_or_else(|| {
        let path = tree.path_of(entry);
        format!("the resource fork of {path} has more than {MOST_FORK} bytes")
    })?;
    Ok(Fork::Known(Some(Sha256::digest(&value))))
}

impl Thing {
    /// A thing whose content is not read yet.
    pub fn new(kind: Kind, rights: Rights, link: Option<&[u8]>) -> Self {
        Self {
            kind,
            rights,
            sha256: link.map_or([0; 32], Sha256::digest),
            fork: None,
            is_compressed: false,
            code: None,
            is_macho: false,
            is_large_code: false,
        }
    }

    /// Reads its content, which must be of that length.
    pub fn read(&mut self, content: &mut impl Read, len: u64, roots: &Roots) -> io::Result<()> {
        let mut sha256 = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut whole = Vec::new();
        let mut seen = 0_u64;
        let fits = len <= MOST_CODE;
        let mut is_code = true;
        loop {
            let count = fill(content, &mut buffer)?;
            if count == 0 {
                break;
            }
            let chunk = buffer.get(..count).unwrap_or_default();
            sha256.update(chunk);
            is_code = is_code && (seen > 0 || is_macho(chunk));
            seen = seen.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if is_code && fits && seen <= MOST_CODE {
                whole.extend_from_slice(chunk);
            }
        }
        if seen != len {
            return Err(io::Error::other("it changed while it was read"));
        }
        self.sha256 = sha256.finish();
        self.is_macho = seen > 0 && is_code;
        self.is_large_code = self.is_macho && !fits;
        self.code = unsigned_digest(&whole).filter(|_| is_code).map(|unsigned| {
            Box::new(Code {
                unsigned,
                signature: signature(&facts(&whole, roots)),
            })
        });
        Ok(())
    }
}

/// Reads until a buffer is full, or all is read: what stands at the beginning of a file is to be seen at once, in
/// however small pieces an archive gives it.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0_usize;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match content.read(rest) {
            Ok(0) => break,
            Ok(more) => count = count.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

fn facts(whole: &[u8], roots: &Roots) -> CodeFacts {
    let len = u64::try_from(whole.len()).unwrap_or(u64::MAX);
    let mut check = FileCheck::new(len, roots, Limits::default());
    while let Some(range) = check.wants() {
        let (from, to) = (usize::try_from(range.start), usize::try_from(range.end));
        let part = from.ok().zip(to.ok()).and_then(|(a, b)| whole.get(a..b));
        check.supply(part.unwrap_or_default());
    }
    for chunk in whole.chunks(CHUNK) {
        check.update(chunk);
    }
    let mut facts = check.finish();
    facts.judge_standalone();
    facts
}

/// What a signature is worth, and whose it is, in one phrase.
fn signature(facts: &CodeFacts) -> String {
    let state = facts.state().as_str();
    let name = match (facts.signer(), facts.claimed_signer()) {
        ("", "") => facts.identifier().to_owned(),
        ("", claimed) => format!("claims {claimed}"),
        (signer, _) => signer.to_owned(),
    };
    let name = crate::text::escape(name.as_bytes());
    match (name.as_str(), facts.team_identifier()) {
        ("", _) => state.to_owned(),
        (name, "") => format!("{state} ({name})"),
        (name, team) => format!("{state} ({name}, team {team})"),
    }
}
