//! A copy to another volume that is the same in everything that can be set: content, links, owner,
//! mode, times and extended attributes, forced to the disk and held against what was copied.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, retry_on_intr};

use super::rest::MOST_VALUE;
use super::vault::sync;
use crate::collect::said;
use crate::directory::{Dir, ReadError};
use crate::meta::{Kind, Meta, Timestamp};
use crate::reading::Reading;
use crate::text::escape;
use crate::tree::{Entry, Tree};

/// Bytes that are copied at once; so many zeros become a hole.
const CHUNK: usize = 64 << 10;

/// Device and inode of what was made, and its links: owner and mode are given to that alone, whatever stands
/// under its name by then.
type Made = (u64, u64, u64);

/// Copies a tree to a name in a directory where nothing of that name may stand, and in which nobody else may
/// write.
///
/// # Errors
/// With a line about what could not be copied; what was written so far stands.
pub fn copy(tree: &Tree, to: &OwnedFd, name: &[u8]) -> Result<(), String> {
    let made = make(tree, to, name)?;
    dress_all(tree, to, name, &made)
}

/// Says so when a tree is not known whole, or holds what cannot be removed behind its copy.
///
/// # Errors
/// With a line about the first of these.
pub fn copyable(tree: &Tree) -> Result<(), String> {
    if let Some(line) = tree.left_out.first() {
        return Err(line.clone());
    }
    for entry in &tree.entries {
        if tree.holds_fast(entry).map_err(|e| e.to_string())? {
            return Err(format!(
                "{} could not be removed behind its copy: a flag forbids it (ls -lO, chflags nouchg)",
                tree.path_of(entry)
            ));
        }
    }
    Ok(())
}

/// Makes every entry, for its maker alone as yet.
fn make(tree: &Tree, to: &OwnedFd, name: &[u8]) -> Result<Vec<Made>, String> {
    if let Some(line) = tree.left_out.first() {
        return Err(line.clone());
    }
    let mut first: BTreeMap<(u64, u64), (&Entry, usize)> = BTreeMap::new();
    let mut made: Vec<Made> = Vec::with_capacity(tree.entries.len());
    let mut links = Vec::new();
    for entry in &tree.entries {
        let fail = |errno: Errno| format!("cannot copy {}: {}", tree.path_of(entry), said(errno));
        let (above, own) = place(to, name, &entry.path).map_err(fail)?;
        let own = OsStr::from_bytes(&own);
        made.push(match entry.meta.kind {
            Kind::Directory => {
                retry_on_intr(|| rustix::fs::mkdirat(&above, own, Mode::RWXU)).map_err(fail)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = retry_on_intr(|| rustix::fs::openat(&above, own, flags, Mode::empty()));
                made_of(&File::from(fd.map_err(fail)?)).map_err(fail)?
            }
            Kind::Symlink => {
                let text = OsStr::from_bytes(entry.link.as_deref().unwrap_or_default());
                retry_on_intr(|| rustix::fs::symlinkat(text, &above, own)).map_err(fail)?;
                Made::default()
            }
            Kind::File => {
                let id = (entry.meta.dev, entry.meta.ino);
                if let Some((first, number)) = first.get(&id) {
                    let (old, old_name) = place(to, name, &first.path).map_err(fail)?;
                    let old_name = OsStr::from_bytes(&old_name);
                    let flags = AtFlags::empty();
                    retry_on_intr(|| rustix::fs::linkat(&old, old_name, &above, own, flags))
                        .map_err(fail)?;
                    links.push((made.len(), *number));
                    made.push(Made::default());
                    continue;
                }
                first.insert(id, (entry, made.len()));
                file(tree, entry, &above, own)?
            }
            Kind::Other(_) => {
                fifo(tree, entry, &above, own)?;
                Made::default()
            }
        });
    }
    // Of one file all are the same, and of each the number of links is known by now.
    for (_, number) in &links {
        if let Some(first) = made.get_mut(*number) {
            first.2 = first.2.saturating_add(1);
        }
    }
    for (link, number) in links {
        let first = made.get(number).copied().unwrap_or_default();
        if let Some(made) = made.get_mut(link) {
            *made = first;
        }
    }
    Ok(made)
}

fn made_of(file: &File) -> Result<Made, Errno> {
    let meta = file.metadata();
    let meta = meta.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok((meta.dev(), meta.ino(), meta.nlink()))
}

/// Gives each entry what belongs to it. From below: what is made in a directory sets its time, and its mode may
/// forbid it.
fn dress_all(tree: &Tree, to: &OwnedFd, name: &[u8], made: &[Made]) -> Result<(), String> {
    for (entry, made) in tree.entries.iter().zip(made).rev() {
        let fail = |errno: Errno| format!("cannot copy {}: {}", tree.path_of(entry), said(errno));
        let (above, own) = place(to, name, &entry.path).map_err(fail)?;
        dress(tree, entry, &above, OsStr::from_bytes(&own), *made)?;
    }
    sync(to)
}

/// Says how a copy differs from what was copied, in what both should share; nothing when it does not.
///
/// # Errors
/// When either cannot be read.
pub fn compare(one: &Tree, other: &Tree, reading: &Reading) -> Result<Option<String>, String> {
    let set = |m: &Meta| {
        let mode = if m.kind == Kind::Symlink { 0 } else { m.mode };
        let size = if m.kind == Kind::File { m.size } else { 0 };
        (m.kind, size, m.mtime, m.uid, m.gid, mode)
    };
    if one.entries.len() != other.entries.len() || !other.left_out.is_empty() {
        return Ok(Some("the copy has not the same entries".into()));
    }
    for (a, b) in one.entries.iter().zip(&other.entries) {
        let same = a.path == b.path && a.link == b.link && set(&a.meta) == set(&b.meta);
        if !same || !has_same_attributes(one, a, other, b)? {
            return Ok(Some(format!(
                "the copy of {} is not the same",
                one.path_of(a)
            )));
        }
    }
    let digest = |tree: &Tree| tree.digest(reading);
    let is_plain = |t: &Tree| {
        let kind = t.top().map(|top| top.meta.kind);
        matches!(kind, Some(Kind::Directory | Kind::File))
    };
    if is_plain(one) && digest(one)? != digest(other)? {
        return Ok(Some("the copy has another digest".into()));
    }
    Ok(None)
}

/// True when two entries have the same extended attributes.
fn has_same_attributes(one: &Tree, a: &Entry, other: &Tree, b: &Entry) -> Result<bool, String> {
    let read = || -> Result<bool, ReadError> {
        let (one, other) = (one.attributes(a)?, other.attributes(b)?);
        if one.names() != other.names() {
            return Ok(false);
        }
        for name in one.names() {
            let value = one.value(name, MOST_VALUE)?;
            if value.is_none() || value != other.value(name, MOST_VALUE)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    read().map_err(|error| error.to_string())
}

/// The directory of an entry of a copy, and its name there.
fn place(to: &OwnedFd, name: &[u8], path: &[u8]) -> Result<(OwnedFd, Vec<u8>), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (mut dir, mut name) = (rustix::io::dup(to)?, name.to_vec());
    for next in path.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
        let own = OsStr::from_bytes(&name);
        dir = retry_on_intr(|| rustix::fs::openat(&dir, own, flags, Mode::empty()))?;
        name = next.to_vec();
    }
    Ok((dir, name))
}

fn file(tree: &Tree, entry: &Entry, above: &OwnedFd, own: &OsStr) -> Result<Made, String> {
    let fail = |error: io::Error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        format!("cannot copy {}: {}", tree.path_of(entry), said(errno))
    };
    let source = tree.open_file(entry).map_err(|e| e.to_string())?;
    let mut source = File::from(source.fd);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let target = retry_on_intr(|| rustix::fs::openat(above, own, flags, mode));
    let mut target = File::from(target.map_err(|errno| fail(errno.into()))?);
    let mut buffer = vec![0; CHUNK];
    let mut length = 0_u64;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(fail(error)),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        // What grows has no end.
        if length > entry.meta.size {
            return Err(format!(
                "{} changed while it was copied",
                tree.path_of(entry)
            ));
        }
        if count == CHUNK && bytes.iter().all(|b| *b == 0) {
            target.seek(SeekFrom::Start(length)).map_err(fail)?;
        } else {
            target.write_all(bytes).map_err(fail)?;
        }
    }
    target.set_len(length).map_err(fail)?;
    made_of(&target).map_err(|errno| fail(errno.into()))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn fifo(tree: &Tree, entry: &Entry, above: &OwnedFd, own: &OsStr) -> Result<(), String> {
    let fail = |why: &str| format!("cannot copy {}: {why}", tree.path_of(entry));
    if !tree.is_fifo(entry).map_err(|e| e.to_string())? {
        return Err(fail(
            "it is a socket or device, which is not made anew; remove it by hand",
        ));
    }
    let mode = Mode::RUSR | Mode::WUSR;
    retry_on_intr(|| rustix::fs::mkfifoat(above, own, mode)).map_err(|errno| fail(&said(errno)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn fifo(tree: &Tree, entry: &Entry, _: &OwnedFd, _: &OsStr) -> Result<(), String> {
    let is_fifo = tree.is_fifo(entry).map_err(|e| e.to_string())?;
    let what = if is_fifo { "FIFO" } else { "socket or device" };
    Err(format!(
        "cannot copy {}: it is a {what}, which is not made anew; remove it by hand",
        tree.path_of(entry)
    ))
}

/// Sets owner, mode, times and attributes, and forces the entry to the disk.
fn dress(
    tree: &Tree,
    entry: &Entry,
    above: &OwnedFd,
    own: &OsStr,
    made: Made,
) -> Result<(), String> {
    let fail = |errno: Errno| format!("cannot copy {}: {}", tree.path_of(entry), said(errno));
    let meta = &entry.meta;
    let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
    let times = Timestamps {
        last_access: timespec(meta.mtime),
        last_modification: timespec(meta.mtime),
    };
    if matches!(meta.kind, Kind::File | Kind::Directory) {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::openat(above, own, flags, Mode::empty()));
        let fd = File::from(fd.map_err(fail)?);
        let (dev, ino, links) = made_of(&fd).map_err(fail)?;
        // A directory's links are counted by each file system in its own way.
        let is_same_links = links == made.2 || meta.kind == Kind::Directory;
        if (dev, ino) != (made.0, made.1) || !is_same_links {
            let path = tree.path_of(entry);
            return Err(format!(
                "cannot copy {path}: something else was put in the place of the copy"
            ));
        }
        retry_on_intr(|| rustix::fs::fchown(&fd, Some(uid), Some(gid))).map_err(fail)?;
        attributes(tree, entry, &fd)?;
        let mode = mode_of(meta);
        retry_on_intr(|| rustix::fs::fchmod(&fd, mode)).map_err(fail)?;
        retry_on_intr(|| rustix::fs::futimens(&fd, &times)).map_err(fail)?;
        retry_on_intr(|| rustix::fs::fsync(&fd)).map_err(fail)
    } else {
        let follow = AtFlags::SYMLINK_NOFOLLOW;
        retry_on_intr(|| rustix::fs::chownat(above, own, Some(uid), Some(gid), follow))
            .map_err(fail)?;
        if meta.kind.special().is_some() {
            let mode = mode_of(meta);
            retry_on_intr(|| rustix::fs::chmodat(above, own, mode, AtFlags::empty()))
                .map_err(fail)?;
        }
        retry_on_intr(|| rustix::fs::utimensat(above, own, &times, follow)).map_err(fail)
    }
}

/// Gives a copy the attributes of what was copied. What the system itself put there may stay.
fn attributes(tree: &Tree, entry: &Entry, fd: &impl AsFd) -> Result<(), String> {
    let attributes = tree.attributes(entry).map_err(|e| e.to_string())?;
    for name in attributes.names() {
        let shown = escape(name);
        let fail = |why: &str| {
            let path = tree.path_of(entry);
            format!("cannot copy the attribute {shown} of {path}: {why}")
        };
        let value = attributes.value(name, MOST_VALUE);
        let value = value.map_err(|e| e.to_string())?;
        let value = value.ok_or_else(|| fail("it is larger than can be copied"))?;
        let name = OsStr::from_bytes(name);
        retry_on_intr(|| rustix::fs::fsetxattr(fd, name, &value, XattrFlags::empty()))
            .map_err(|errno| fail(&said(errno)))?;
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn mode_of(meta: &Meta) -> Mode {
    Mode::from_bits_retain(meta.mode)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn mode_of(meta: &Meta) -> Mode {
    Mode::from_bits_retain(u16::try_from(meta.mode).unwrap_or_default())
}

fn timespec(time: Timestamp) -> Timespec {
    Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    }
}

/// Copies a tree and holds the copy against it.
///
/// # Errors
/// With a line; what was written so far stands.
pub fn copy_and_compare(
    tree: &Tree,
    to: &OwnedFd,
    dir: &Dir,
    name: &[u8],
    reading: &Reading,
) -> Result<(), String> {
    let files = tree.entries.iter().filter(|e| e.meta.kind == Kind::File);
    let bytes = files.fold(0_u64, |sum, file| sum.saturating_add(file.meta.size));
    let top = || tree.top().map_or_else(Vec::new, |top| tree.real_path(top));
    reading.portion().room(bytes, top)?;
    copy(tree, to, name)?;
    let other = Tree::survey(dir, name, reading.entries).map_err(|e| e.to_string())?;
    match compare(tree, &other, reading)? {
        None => Ok(()),
        Some(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    /// Whoever can write where a copy is made exchanges what was made before it gets its owner and its mode.
    #[test]
    fn only_what_was_made_gets_owner_and_mode() {
        type Swap = fn(&Path, &Path);
        let swaps: [Swap; 3] = [
            |copy, secret| {
                std::fs::remove_file(copy.join("d/f")).unwrap();
                std::fs::hard_link(secret, copy.join("d/f")).unwrap();
            },
            |copy, secret| {
                std::fs::rename(copy.join("d"), copy.with_extension("away")).unwrap();
                std::fs::create_dir(copy.join("d")).unwrap();
                std::fs::hard_link(secret, copy.join("d/f")).unwrap();
            },
            // What was made has another name by then.
            |copy, secret| {
                std::fs::hard_link(copy.join("d/f"), secret.with_extension("link")).unwrap();
            },
        ];
        for swap in swaps {
            let top = tempfile::tempdir().unwrap();
            let (from, to) = (top.path().join("from"), top.path().join("to"));
            for made in [from.join("A/d"), to.clone()] {
                std::fs::create_dir_all(made).unwrap();
            }
            let file = from.join("A/d/f");
            std::fs::write(&file, "content").unwrap();
            std::fs::hard_link(&file, from.join("A/g")).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
            let secret = top.path().join("secret");
            std::fs::write(&secret, "content").unwrap();
            std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
            let tree = Tree::survey(&Dir::open_top(&from).unwrap(), b"A", usize::MAX).unwrap();
            let fd = Dir::open_top(&to).unwrap().reopen().unwrap();
            copy(&tree, &fd, b"whole").unwrap();
            let made = make(&tree, &fd, b"A").unwrap();
            swap(&to.join("A"), &secret);
            let why = dress_all(&tree, &fd, b"A", &made).unwrap_err();
            assert!(why.contains("something else"), "{why}");
            let mode = std::fs::metadata(&secret).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
        }
    }
}
