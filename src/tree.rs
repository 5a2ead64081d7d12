//! Everything that stands at one place, entry by entry: no link is followed, and until a file is
//! asked for nothing is opened but directories.
//!
//! What is collected, compared, moved or copied is read through this, each file opened by its own
//! name below directories that are no links.

use std::io::{self, Read as _};

use sha2::{Digest, Sha256};

use crate::attribute::Attributes;
use crate::digest::Records;
use crate::directory::{Dir, OpenFile, ReadError};
use crate::limits;
use crate::meta::{Kind, Meta};
use crate::reading::{Portion, Reading};
use crate::text::escape;

/// Directories below one another that are walked. Each costs an open descriptor, of which a job
/// of launchd's has 256.
const DEPTH: usize = 96;
/// Bytes of a file that are read at once.
const CHUNK: usize = 128 << 10;

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the top; empty for the top itself.
    pub path: Box<[u8]>,
    /// What the file system says of it.
    pub meta: Meta,
    /// The text of a symlink.
    pub link: Option<Box<[u8]>>,
}

/// A tree whose entries are known.
#[derive(Clone, Debug)]
pub struct Tree {
    above: Dir,
    name: Vec<u8>,
    /// Its entries in order of path, the top itself first.
    pub entries: Vec<Entry>,
    /// What could not be looked at, and why, each in a line.
    pub left_out: Vec<String>,
    /// For how many entries those count that it has.
    taken: usize,
    /// True when there is more than is taken.
    is_full: bool,
}

impl Tree {
    /// Looks at an entry of a directory alone.
    ///
    /// # Errors
    /// When nothing stands there, or the system cannot say what.
    pub fn itself(above: &Dir, name: &[u8]) -> Result<Self, ReadError> {
        Ok(Self {
            above: above.clone(),
            name: name.to_vec(),
            entries: vec![look(above, name, Box::default())?],
            left_out: Vec::new(),
            taken: 1,
            is_full: false,
        })
    }

    /// Looks at an entry of a directory and everything below it on its volume, at most `most` entries. One with a long
    /// path or link counts for several: all of it is held, and a path has a hundred names.
    ///
    /// # Errors
    /// When nothing stands there, or the system cannot say what.
    pub fn survey(above: &Dir, name: &[u8], most: usize) -> Result<Self, ReadError> {
        let mut tree = Self::itself(above, name)?;
        if tree.top().is_some_and(|e| e.meta.kind == Kind::Directory) {
            match above.open_dir(name) {
                Ok(dir) => tree.walk(&dir, b"", 0, most),
                Err(error) => tree.left_out.push(error.to_string()),
            }
        }
        tree.entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn walk(&mut self, dir: &Dir, path: &[u8], depth: usize, most: usize) {
        let left = most.saturating_sub(self.taken);
        let (names, more) = match dir.names(left) {
            Ok(names) => names,
            Err(error) => return self.left_out.push(error.to_string()),
        };
        if more {
            self.fill(dir);
        }
        let device = match dir.own_meta() {
            Ok(meta) => meta.dev,
            Err(error) => return self.left_out.push(error.to_string()),
        };
        for name in names {
            if self.taken >= most {
                return self.fill(dir);
            }
            let path = join(path, &name);
            let (entry, is_mount) = match look_in(dir, &name, device, path.clone()) {
                Ok(looked) => looked,
                Err(error) => {
                    self.left_out.push(error.to_string());
                    continue;
                }
            };
            let is_directory = entry.meta.kind == Kind::Directory;
            let text = entry.link.as_ref().map_or(0, |link| link.len());
            let weight = limits::weight(entry.path.len().saturating_add(text));
            self.taken = self.taken.saturating_add(weight);
            self.entries.push(entry);
            if is_mount {
                self.left_out.push(mounted(&dir.join(&name)));
                continue;
            }
            if !is_directory {
                continue;
            }
            if depth >= DEPTH {
                self.left_out.push(too_deep(dir.join(&name)));
                continue;
            }
            match dir.open_dir(&name) {
                Ok(below) => self.walk(&below, &path, depth.saturating_add(1), most),
                Err(error) => self.left_out.push(error.to_string()),
            }
        }
    }

    /// Tells once that there is more than is taken.
    fn fill(&mut self, dir: &Dir) {
        if !std::mem::replace(&mut self.is_full, true) {
            self.left_out.push(format!(
                "{} and what comes after it hold more entries than are taken, of which long ones count for several; --thorough takes all",
                escape(dir.path())
            ));
        }
    }

    /// What stands at its top.
    pub fn top(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// The directory that an entry stands in, and its name there.
    fn place(&self, path: &[u8]) -> Result<(Dir, Vec<u8>), ReadError> {
        let (mut dir, mut name) = (self.above.clone(), self.name.clone());
        for next in path.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            dir = dir.open_dir(&name)?;
            name = next.to_vec();
        }
        Ok((dir, name))
    }

    /// Opens one of its files.
    ///
    /// # Errors
    /// When no file stands there any more, or it cannot be opened.
    pub fn open_file(&self, entry: &Entry) -> Result<OpenFile, ReadError> {
        let (dir, name) = self.place(&entry.path)?;
        dir.open_file(&name)
    }

    /// True for an entry that nobody removes by its name: a flag forbids it.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn holds_fast(&self, entry: &Entry) -> Result<bool, ReadError> {
        let (dir, name) = self.place(&entry.path)?;
        dir.holds_fast(&name)
    }

    /// True when one of its entries is a FIFO.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn is_fifo(&self, entry: &Entry) -> Result<bool, ReadError> {
        let (dir, name) = self.place(&entry.path)?;
        dir.is_fifo(&name)
    }

    /// The extended attributes of a file or directory; other kinds are not opened and give none.
    ///
    /// # Errors
    /// When it cannot be opened, or the system cannot say.
    pub fn attributes(&self, entry: &Entry) -> Result<Attributes, ReadError> {
        if !matches!(entry.meta.kind, Kind::File | Kind::Directory) {
            return Ok(Attributes::default());
        }
        let (dir, name) = self.place(&entry.path)?;
        Attributes::of(dir.open_for_attributes(&name)?, dir.join(&name))
    }

    /// The bundle digest of what stands there now.
    ///
    /// # Errors
    /// As [`digest`].
    pub fn digest(&self, reading: &Reading) -> Result<[u8; 32], String> {
        digest(&self.above, &self.name, reading)
    }

    /// The bundle digest, by the SHA-256 of each file; `None` when one is not known.
    pub fn digest_by(&self, sha256: impl Fn(&Entry) -> Option<[u8; 32]>) -> Option<[u8; 32]> {
        let mut records = Records::default();
        let is_bundle = self.top().is_some_and(|e| e.meta.kind == Kind::Directory);
        for entry in &self.entries {
            if is_bundle && entry.path.is_empty() {
                continue;
            }
            let sum = match (entry.meta.kind, &entry.link) {
                (Kind::File, _) => sha256(entry)?,
                (_, Some(link)) => Sha256::digest(link).into(),
                _ => [0; 32],
            };
            records.add(entry.meta.kind, &sum, &entry.path);
        }
        Some(records.finish())
    }

    /// Where an entry stands, as the Mac names it, to be shown.
    pub fn path_of(&self, entry: &Entry) -> String {
        escape(&self.real_path(entry))
    }

    /// Where an entry really stands, as the Mac names it.
    pub fn real_path(&self, entry: &Entry) -> Vec<u8> {
        let top = self.above.join(&self.name);
        if entry.path.is_empty() {
            return top;
        }
        [&top, b"/".as_slice(), &entry.path].concat()
    }
}

/// The bundle digest of what stands there now: of a directory, or of a file. Of a directory no more than its own names
/// are held at once, and no more is read than that allows.
///
/// # Errors
/// When a part of it cannot be read: there is no digest of a part.
pub fn digest(above: &Dir, name: &[u8], reading: &Reading) -> Result<[u8; 32], String> {
    let mut digesting = Digesting {
        records: Records::default(),
        left: reading.entries,
        portion: reading.portion(),
    };
    let top = look(above, name, Box::default()).map_err(|e| e.to_string())?;
    if top.meta.kind == Kind::Directory {
        let dir = above.open_dir(name).map_err(|e| e.to_string())?;
        digesting.below(&dir, b"", 0)?;
    } else {
        digesting.add(above, name, &top)?;
    }
    Ok(digesting.records.finish())
}

/// A digest that is being made.
struct Digesting<'r> {
    records: Records,
    /// Names that may still come.
    left: usize,
    /// Bytes that may.
    portion: Portion<'r>,
}

impl Digesting<'_> {
    /// Adds what stands in a directory. What a directory holds comes where its path with a slash would: behind
    /// `a-b`, where that is a neighbour of `a`.
    fn below(&mut self, dir: &Dir, path: &[u8], depth: usize) -> Result<(), String> {
        if depth > DEPTH {
            return Err(too_deep(dir.path().to_vec()));
        }
        let (names, more) = dir.names(self.left).map_err(|e| e.to_string())?;
        if more {
            let path = escape(dir.path());
            return Err(format!(
                "{path} and what came before it hold too many entries"
            ));
        }
        self.left = self.left.saturating_sub(names.len());
        let device = dir.own_meta().map_err(|e| e.to_string())?.dev;
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        for name in names {
            while let Some(last) = waiting.pop_if(|last| with_slash(last) < name) {
                self.inside(dir, &last, path, depth)?;
            }
            let looked = look_in(dir, &name, device, join(path, &name));
            let (entry, is_mount) = looked.map_err(|e| e.to_string())?;
            if is_mount {
                return Err(mounted(&dir.join(&name)));
            }
            self.add(dir, &name, &entry)?;
            if entry.meta.kind == Kind::Directory {
                waiting.push(name);
            }
        }
        while let Some(last) = waiting.pop() {
            self.inside(dir, &last, path, depth)?;
        }
        Ok(())
    }

    fn inside(&mut self, dir: &Dir, name: &[u8], path: &[u8], depth: usize) -> Result<(), String> {
        let below = dir.open_dir(name).map_err(|e| e.to_string())?;
        self.below(&below, &join(path, name), depth.saturating_add(1))
    }

    fn add(&mut self, dir: &Dir, name: &[u8], entry: &Entry) -> Result<(), String> {
        // However many there are that hold nothing, they take their time as well.
        self.portion.room(0, || dir.join(name))?;
        let sum = match (entry.meta.kind, &entry.link) {
            (Kind::File, _) => sha256(dir, name, &mut self.portion)?,
            (_, Some(link)) => Sha256::digest(link).into(),
            _ => [0; 32],
        };
        self.records.add(entry.meta.kind, &sum, &entry.path);
        Ok(())
    }
}

fn with_slash(name: &[u8]) -> Vec<u8> {
    [name, b"/"].concat()
}

/// The path of an entry below the top.
fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        name.to_vec()
    } else {
        [path, b"/", name].concat()
    }
}

fn too_deep(path: Vec<u8>) -> String {
    format!("{} is deeper than {DEPTH} directories", escape(&path))
}

/// The SHA-256 of a file.
///
/// # Errors
/// When it cannot be read, changes meanwhile, or is larger than is read.
pub fn sha256(dir: &Dir, name: &[u8], portion: &mut Portion<'_>) -> Result<[u8; 32], String> {
    let path = || escape(&dir.join(name));
    let mut file = dir.open_file(name).map_err(|e| e.to_string())?;
    portion.room(file.meta.size, || dir.join(name))?;
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut source = std::fs::File::from(file.fd);
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let taken = u64::try_from(count).unwrap_or(u64::MAX);
                portion.take(taken, || dir.join(name))?;
                sha256.update(buffer.get(..count).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot read {}: {error}", path())),
        }
    }
    file.fd = source.into();
    match file.meta_now() {
        Ok(now) if now.is_unchanged(&file.meta) => Ok(sha256.finalize().into()),
        _ => Err(format!("{} changed while it was read", path())),
    }
}

/// What is said of an entry on which a volume is mounted.
fn mounted(path: &[u8]) -> String {
    format!(
        "a volume is mounted at {}, and nothing on it was read",
        escape(path)
    )
}

fn look(dir: &Dir, name: &[u8], path: Box<[u8]>) -> Result<Entry, ReadError> {
    entry(dir, name, dir.meta(name)?, path)
}

/// Looks at an entry of a directory on that device; true when something is mounted on it.
fn look_in(dir: &Dir, name: &[u8], device: u64, path: Vec<u8>) -> Result<(Entry, bool), ReadError> {
    let (meta, is_mount) = dir.meta_and_mount(name, device)?;
    Ok((entry(dir, name, meta, path.into())?, is_mount))
}

fn entry(dir: &Dir, name: &[u8], meta: Meta, path: Box<[u8]>) -> Result<Entry, ReadError> {
    let link = match meta.kind {
        Kind::Symlink => Some(dir.read_link(name)?.into_boxed_slice()),
        _ => None,
    };
    Ok(Entry { path, meta, link })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the order of whole paths, though it is read directory by directory.
    #[test]
    fn a_digest_is_that_of_all_records_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("A");
        for path in [
            "a", "a--", "a-", "a-/a", "a.x/b", "a/a/a-", "a/a/a", "a0", "b",
        ] {
            std::fs::create_dir_all(top.join(path)).unwrap();
            std::fs::write(top.join(path).join("a!"), path).unwrap();
            std::fs::write(top.join(path).join("a~"), path).unwrap();
        }
        std::os::unix::fs::symlink("x", top.join("a/l")).unwrap();
        let above = Dir::open_top(folder.path()).unwrap();
        let tree = Tree::survey(&above, b"A", 1_000).unwrap();
        let known = |entry: &Entry| {
            let content = std::fs::read(folder.path().join(&tree.path_of(entry)[1..])).unwrap();
            Some(Sha256::digest(content).into())
        };
        let entries = tree.entries.len() - 1;
        let read = |entries, bytes| digest(&above, b"A", &Reading::new(entries, bytes));
        let files = tree.entries.iter().filter(|e| e.meta.kind == Kind::File);
        let bytes = files.map(|e| e.meta.size).sum();
        assert_eq!(read(entries, bytes).ok(), tree.digest_by(known));
        let why = read(entries - 1, bytes).unwrap_err();
        assert!(why.contains("too many entries"), "{why}");
        let why = read(entries, bytes - 1).unwrap_err();
        assert!(why.contains("larger than is read"), "{why}");
    }

    /// Links and directories hold no byte, and whoever plants them plants as many as are taken.
    #[test]
    fn what_holds_nothing_takes_its_time_as_well() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("A/a")).unwrap();
        std::os::unix::fs::symlink("x", folder.path().join("A/l")).unwrap();
        let above = Dir::open_top(folder.path()).unwrap();
        let reading = Reading::new(10, 10);
        assert!(digest(&above, b"A", &reading).is_ok());
        let reading = reading.within(std::time::Duration::ZERO);
        let why = digest(&above, b"A", &reading).unwrap_err();
        assert!(
            why.contains("the time for what was interrupted is spent"),
            "{why}"
        );
        assert!(reading.was_short() && reading.is_spent());
    }

    /// All of it is held, and an entry costs whoever plants it nothing but its name.
    #[test]
    fn long_paths_count_for_several_entries() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("A");
        let deep = top.join(format!("{}/", "n".repeat(250)).repeat(10));
        std::fs::create_dir_all(&deep).unwrap();
        for number in 0..500 {
            std::fs::write(deep.join(number.to_string()), "").unwrap();
        }
        let above = Dir::open_top(folder.path()).unwrap();
        let survey = |most| Tree::survey(&above, b"A", most).unwrap();
        let cut = survey(2_000);
        let bytes: usize = cut.entries.iter().map(|entry| entry.path.len()).sum();
        assert!((100_000..130_000).contains(&bytes), "{bytes}");
        assert_eq!(cut.left_out.len(), 1, "{:?}", cut.left_out);
        let whole = survey(usize::MAX);
        assert_eq!((whole.entries.len(), whole.left_out.len()), (511, 0));
    }
}
