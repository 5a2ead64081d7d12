//! The archive: a `tar.gz` in POSIX's pax format, which macOS and Linux open by themselves, with a
//! manifest of what stands in it.
//!
//! What the old header cannot hold stands in pax records: long names, times to the
//! nanosecond, extended attributes (`SCHILY.xattr.*`, which both GNU tar and libarchive know).
//! A socket or device, which nobody should make anew from evidence, stands as a FIFO, as which it
//! counts the same in the bundle digest; the manifest and the member's own header say which it was.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::Builder;

use super::manifest::Manifest;
use super::member::Member;
use crate::directory::ReadError;
use crate::evidence::directory_of;
use crate::meta::Kind;
use crate::order;
use crate::reading::Reading;
use crate::sha256::Sha256;
use crate::spool::Spool;
use crate::text::escape;
use crate::tree::{Entry, Tree};

/// The manifest's name in the archive, the last member.
pub const MANIFEST: &str = "manifest.json";
/// How a line calls them that says of which not all are kept.
pub const ATTRIBUTES: &str = "extended attributes";
/// Below it the Mac's own paths stand: unpacked, it is a `--root`.
pub const FILES: &str = "files";
/// Below it stand the copies that were kept of earlier states, at this computer's own paths.
const KEPT: &str = "kept";
/// Bytes of the extended attributes of one entry: all of them are in memory at once.
const MOST_ATTRIBUTES: usize = 2 << 20;
/// Bytes of them that each entry has for nothing, so that whoever spends the room of the archive on one file
/// takes nothing from another: an honest one has some two hundred.
const FREE_ATTRIBUTES: usize = 4 << 10;
/// Files that are in the archive, by device and inode: the member and its SHA-256.
type Links = BTreeMap<(u64, u64), (Vec<u8>, [u8; 32])>;

/// The first half of a path's SHA-256: nobody finds two paths with the same, and paths are long.
type PathKey = [u8; 16];

/// A member, as what it is told again.
struct Seen {
    kind: Kind,
    /// Its SHA-256, of a file that is whole.
    sha256: Option<[u8; 32]>,
}

/// How much an archive may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of files, before they are packed.
    pub bytes: u64,
    /// Entries of one tree.
    pub entries: usize,
    /// Bytes of extended attributes, beyond a little for each entry.
    pub attributes: usize,
}

impl Bounds {
    /// For one call: more than any plug-in that is known.
    pub const STANDARD: Self = Self {
        bytes: 4 << 30,
        entries: 200_000,
        attributes: 64 << 20,
    };
    /// For a person who wants all of it.
    pub const THOROUGH: Self = Self {
        bytes: u64::MAX,
        entries: 5_000_000,
        attributes: usize::MAX,
    };

    /// Those of a call.
    pub fn of(thorough: bool) -> Self {
        if thorough {
            Self::THOROUGH
        } else {
            Self::STANDARD
        }
    }

    /// So much of one thing is read at most.
    pub fn reading(self) -> Reading {
        Reading::new(self.entries, self.bytes)
    }
}

/// An archive that is being written.
pub struct Archive<W: Write> {
    tar: Builder<GzEncoder<Hashed<W>>>,
    top: String,
    below: &'static str,
    manifest: Manifest,
    bounds: Bounds,
    /// True when a file of the tree may have a resource fork that its file system does not show.
    hides_forks: bool,
    /// What stands in it already, by where it stands there: what is kept hides nothing of the disk's.
    seen: BTreeMap<PathKey, Seen>,
    /// The last directory that was found to stand below directories alone: most entries have their neighbour's.
    below_directories: Vec<u8>,
}

/// What came of an archive.
pub struct Written<W> {
    /// Where it was written.
    pub out: W,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// How many members it has.
    pub members: u64,
    /// How many things were left out or cut.
    pub left_out: u64,
}

impl<W: Write> Archive<W> {
    /// Begins an archive whose members stand below the directory `top`.
    pub fn new(out: W, top: &str, bounds: Bounds) -> Self {
        let hashed = Hashed {
            out,
            sha256: Sha256::new(),
        };
        let mut tar = Builder::new(GzEncoder::new(hashed, Compression::new(4)));
        tar.sparse(false);
        Self {
            tar,
            top: top.to_owned(),
            below: FILES,
            manifest: Manifest::default(),
            bounds,
            hides_forks: false,
            seen: BTreeMap::new(),
            below_directories: Vec::new(),
        }
    }

    /// Says that something is not in it, or not whole.
    pub fn leave_out(&mut self, line: String) {
        self.manifest.leave_out(line);
    }

    /// Adds a text of ours.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_text(&mut self, name: &str, text: &str) -> io::Result<()> {
        let mut spool = Spool::default();
        spool.write_all(text.as_bytes())?;
        self.add_spool(name, spool)
    }

    /// Adds a text of ours that was gathered.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_spool(&mut self, name: &str, spool: Spool) -> io::Result<()> {
        let (text, len) = spool.finish()?;
        let member = Member::ours(name, len);
        let sha256 = self.append(&member, text, len)?;
        self.manifest.add(&member, Some(&sha256), None)
    }

    /// Adds a tree of the Mac's disk at its own path. Where not all fits, the smallest files have their
    /// turn first: whoever plants a huge one has it left out and no other.
    ///
    /// # Errors
    /// When the archive cannot be written; what cannot be read is said in the manifest.
    pub fn add_tree(&mut self, tree: &Tree) -> io::Result<()> {
        for line in &tree.left_out {
            self.manifest.leave_out(line.clone());
        }
        let most = self.largest_that_fits(tree);
        // Each directory with all that it holds before the next: GNU tar sets its time after that.
        let mut entries: Vec<&Entry> = tree.entries.iter().collect();
        entries.sort_by(|a, b| components(&a.path).cmp(components(&b.path)));
        let mut links = Links::new();
        for entry in entries {
            let real = tree.real_path(entry);
            let kind = entry.meta.kind;
            let key = self.key(&real);
            if self.seen.contains_key(&key) {
                continue;
            }
            // Whoever unpacks it would write where the link leads.
            if self.stands_below_another(&real) {
                let real = escape(&real);
                self.leave_out(format!(
                    "{real} stands below what was no directory a moment ago"
                ));
                continue;
            }
            let sha256 = if kind == Kind::File {
                self.add_file(tree, entry, most, &mut links)?
            } else {
                self.add_entry(tree, entry)?;
                None
            };
            self.seen.insert(key, Seen { kind, sha256 });
        }
        if std::mem::take(&mut self.hides_forks) {
            let path = escape(
                &tree
                    .top()
                    .map(|top| tree.real_path(top))
                    .unwrap_or_default(),
            );
            self.leave_out(format!(
                "{path}: its file system does not show whether resource forks are among its {ATTRIBUTES}"
            ));
        }
        Ok(())
    }

    /// The SHA-256 of a file of a tree as it stands in the archive; `None` where it is not whole there.
    pub fn sha256(&self, tree: &Tree, entry: &Entry) -> Option<[u8; 32]> {
        self.seen.get(&self.key(&tree.real_path(entry)))?.sha256
    }

    /// Adds a copy that was kept of an earlier state.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn add_kept(&mut self, tree: &Tree) -> io::Result<()> {
        self.below = KEPT;
        self.below_directories.clear();
        let added = self.add_tree(tree);
        self.below = FILES;
        self.below_directories.clear();
        added
    }

    /// What stands for a path among the members.
    fn key(&self, path: &[u8]) -> PathKey {
        let place = [self.below.as_bytes(), path].concat();
        let [key @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = Sha256::digest(&place);
        key
    }

    /// True when what stands above a path is in the archive as something else than a directory: it was exchanged
    /// since.
    fn stands_below_another(&mut self, path: &[u8]) -> bool {
        let directory = directory_of(path);
        if directory == self.below_directories {
            return false;
        }
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/');
        let mut above = ends.filter_map(|(end, _)| self.seen.get(&self.key(path.get(..end)?)));
        let is_below = above.any(|seen| seen.kind != Kind::Directory);
        if !is_below {
            self.below_directories = directory.to_vec();
        }
        is_below
    }

    /// The size up to which files of a tree are taken.
    fn largest_that_fits(&self, tree: &Tree) -> u64 {
        let files = tree.entries.iter().filter(|e| e.meta.kind == Kind::File);
        let mut sizes: Vec<u64> = files.map(|e| e.meta.size).collect();
        sizes.sort_unstable();
        let mut left = self.bounds.bytes;
        for size in sizes {
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => return size.saturating_sub(1),
            }
        }
        u64::MAX
    }

    /// Adds a directory, link or other entry without content.
    fn add_entry(&mut self, tree: &Tree, entry: &Entry) -> io::Result<()> {
        let mut member = Member::of(self.below, &tree.real_path(entry), entry);
        self.read_attributes(tree, entry, &mut member);
        self.append(&member, io::empty(), 0)?;
        self.manifest.add(&member, None, None)
    }

    /// Adds a file, or a link to an earlier member that is the same file.
    fn add_file(
        &mut self,
        tree: &Tree,
        entry: &Entry,
        most: u64,
        links: &mut Links,
    ) -> io::Result<Option<[u8; 32]>> {
        let real = tree.real_path(entry);
        let mut member = Member::of(self.below, &real, entry);
        let id = (entry.meta.dev, entry.meta.ino);
        if let Some((first, sum)) = links.get(&id) {
            member.hard_link = Some(first.clone());
            member.size = 0;
            self.append(&member, io::empty(), 0)?;
            self.manifest.add(&member, Some(sum), None)?;
            return Ok(Some(*sum));
        }
        let file = match tree.open_file(entry) {
            Ok(file) => file,
            Err(error) => {
                self.manifest.leave_out(error.to_string());
                return Ok(None);
            }
        };
        let left = self.bounds.bytes.checked_sub(file.meta.size);
        let Some(left) = left.filter(|_| file.meta.size <= most) else {
            self.manifest.leave_out(format!(
                "{} holds {} bytes, for which there is no room within the bounds; --thorough takes all",
                escape(&real),
                file.meta.size
            ));
            return Ok(None);
        };
        self.bounds.bytes = left;
        member.meta = Some(file.meta);
        member.size = file.meta.size;
        self.read_attributes(tree, entry, &mut member);
        let before = file.meta;
        let mut content = Content {
            file: std::fs::File::from(file.fd),
            left: before.size,
            error: None,
        };
        let sum = self.append(&member, &mut content, before.size)?;
        let now = crate::directory::meta_of(&content.file, b"");
        let changed = || "changed while it was read".to_owned();
        let error = content
            .error
            .or_else(|| (!now.is_ok_and(|now| now.is_unchanged(&before))).then(changed));
        if let Some(error) = &error {
            self.manifest
                .leave_out(format!("{} is not whole: {error}", escape(&real)));
        }
        self.manifest.add(&member, Some(&sum), error.as_deref())?;
        if error.is_some() {
            return Ok(None);
        }
        if content.file.metadata().is_ok_and(|meta| meta.nlink() > 1) {
            links.insert(id, (member.name.clone(), sum));
        }
        Ok(Some(sum))
    }

    fn read_attributes(&mut self, tree: &Tree, entry: &Entry, member: &mut Member) {
        let line = match self.attributes(tree, entry, member) {
            Ok(0) => return,
            Ok(left) => format!(
                "{}: for {left} of its {ATTRIBUTES} there is no room within the bounds",
                tree.path_of(entry)
            ),
            Err(error) => format!("{}: its {ATTRIBUTES}: {error}", tree.path_of(entry)),
        };
        self.manifest.leave_out(line);
    }

    /// Takes the extended attributes of an entry for which there is room, the smallest first; says how many are left.
    fn attributes(
        &mut self,
        tree: &Tree,
        entry: &Entry,
        member: &mut Member,
    ) -> Result<usize, ReadError> {
        let attributes = tree.attributes(entry)?;
        self.hides_forks |= attributes.may_hide_fork() && entry.meta.kind == Kind::File;
        let mut names = Vec::new();
        for name in attributes.names() {
            names.push((attributes.size(name)?.saturating_add(name.len()), name));
        }
        order::sort(&mut names);
        let (mut taken, mut left) = (0_usize, 0_usize);
        for (size, name) in names {
            let with_it = taken.saturating_add(size);
            let cost = if with_it <= FREE_ATTRIBUTES { 0 } else { size };
            let rest = self.bounds.attributes.checked_sub(cost);
            let rest = rest.filter(|_| with_it <= MOST_ATTRIBUTES);
            // It may have grown since.
            let value = match rest {
                Some(_) => attributes.value(name, size)?,
                None => None,
            };
            let Some((rest, value)) = rest.zip(value) else {
                left = left.saturating_add(1);
                continue;
            };
            self.bounds.attributes = rest;
            taken = with_it;
            member.attributes.push((name.clone(), value));
        }
        order::sort(&mut member.attributes);
        Ok(left)
    }

    /// Writes header and content of a member; gives the content's SHA-256.
    fn append(&mut self, member: &Member, content: impl Read, len: u64) -> io::Result<[u8; 32]> {
        let top = self.top.as_bytes();
        let name = [top, b"/", &member.name].concat();
        let target = match (&member.hard_link, &member.link) {
            (Some(first), _) => Some([top, b"/", first].concat()),
            (None, link) => link.as_ref().map(|l| l.to_vec()),
        };
        let (header, records) = member.header(&name, target.as_deref().unwrap_or_default());
        let records = records.iter().map(|(k, v)| (k.as_str(), v.as_ref()));
        self.tar.append_pax_extensions(records)?;
        let mut content = Summed {
            content: content.take(len),
            sha256: Sha256::new(),
        };
        self.tar.append(&header, &mut content)?;
        Ok(content.sha256.finish())
    }

    /// Writes the manifest and the archive's end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<Written<W>> {
        let manifest = std::mem::take(&mut self.manifest);
        let (members, left_out) = (manifest.members, manifest.left_out());
        let (text, len) = manifest.finish()?;
        self.append(&Member::ours(MANIFEST, len), text, len)?;
        let hashed = self.tar.into_inner()?.finish()?;
        Ok(Written {
            out: hashed.out,
            sha256: hashed.sha256.finish(),
            members,
            left_out,
        })
    }
}

/// A writer that knows the SHA-256 of what went through it.
pub struct Hashed<W> {
    out: W,
    sha256: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.sha256.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A reader that knows the SHA-256 of what went through it.
struct Summed<R> {
    content: R,
    sha256: Sha256,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.sha256.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// A file of exactly the length that its header says: what cannot be read, or is gone, is zeros.
struct Content {
    file: std::fs::File,
    left: u64,
    error: Option<String>,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = buffer.len().min(most);
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = if self.error.is_some() {
            Ok(0)
        } else {
            self.file.read(buffer)
        };
        let count = match read {
            Ok(0) => {
                let short = || "it became shorter while it was read".to_owned();
                self.error.get_or_insert_with(short);
                buffer.fill(0);
                buffer.len()
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.error = Some(format!("cannot read it to the end: {error}"));
                buffer.fill(0);
                buffer.len()
            }
        };
        let done = u64::try_from(count).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(done);
        Ok(count)
    }
}

/// The names on a path, for an order in which a directory comes with all that it holds.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|name| !name.is_empty())
}
