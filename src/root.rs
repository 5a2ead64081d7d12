//! The disk of a Mac: paths resolved inside one directory that plays its `/`, and never out of it.
//!
//! Every path component is opened by itself, without following links; links are
//! read and resolved here, an absolute one from the root. So neither a link nor `..`
//! nor a directory that is swapped for a link in the middle of a scan leads out of the root.
//!
//! A Mac finds names in any letter case, and one volume of it under several names: what an image does
//! not hold where a path says is looked for where the Mac would have found it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::io::Errno;

use crate::descent::Descent;
use crate::directory::{Dir, OpenFile, ReadError};
use crate::meta::{Kind, Meta};
use crate::name;

/// Links followed in one resolution, as `MAXSYMLINKS` of macOS.
const MAX_LINKS: u32 = 32;
/// Bytes of a path and of the text of a link, its end included, as `PATH_MAX` of macOS.
const PATH_MAX: usize = 1024;
/// Steps of one resolution: a path and the texts of as many links as are followed, every second byte of
/// them a slash. No kernel of a Mac goes further.
const MOST_STEPS: usize = 33 * PATH_MAX / 2;
/// Steps that every resolution has for nothing: no honest path has more.
const FREE_STEPS: usize = 160;
/// Steps of all resolutions of a scan beyond those: a link that leads far is planted for nothing, and by
/// the thousand.
const STEPS_OF_A_SCAN: usize = 200_000;

/// A directory that plays the `/` of a Mac.
#[derive(Clone, Debug)]
pub struct Root {
    top: Dir,
    /// True when it is not the machine's own `/`, whose file system knows its names.
    is_image: bool,
    /// Directories that are kept open for as long as one scan lasts.
    parents: Option<Arc<Parents>>,
}

/// What one scan keeps of the paths that it resolves.
#[derive(Debug)]
struct Parents {
    /// The directories that were resolved last, by the paths that led to them without a link, the last
    /// first.
    kept: Mutex<Vec<(Vec<u8>, Dir)>>,
    /// Steps that are left to paths that lead far.
    steps: AtomicUsize,
}

/// How many directories are kept open.
const MOST_PARENTS: usize = 8;

impl Parents {
    fn new() -> Self {
        Self {
            kept: Mutex::default(),
            steps: AtomicUsize::new(STEPS_OF_A_SCAN),
        }
    }

    /// Takes steps; false when they are not left.
    fn take_steps(&self, count: usize) -> bool {
        let less = |left: usize| left.checked_sub(count);
        self.steps
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn of(&self, path: &[u8]) -> Option<Dir> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(of, _)| of == path)?;
        kept.get_mut(..=at)?.rotate_right(1);
        kept.first().map(|(_, dir)| dir.clone())
    }

    fn keep(&self, path: &[u8], dir: &Dir) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().all(|(of, _)| of != path) {
            kept.truncate(MOST_PARENTS.saturating_sub(1));
            kept.insert(0, (path.to_vec(), dir.clone()));
        }
    }
}

impl Root {
    /// Opens the directory. Its own path may hold symlinks: the caller chose it.
    ///
    /// # Errors
    /// When it is no directory or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let is_image = path != Path::new("/");
        Dir::open_top(path).map(|top| Self {
            top,
            is_image,
            parents: None,
        })
    }

    /// The same root for as long as one scan lasts, which is over at `until`: the directories that paths lead through are
    /// opened once, and listed once. Each name in them is still asked of the disk.
    #[must_use]
    pub fn for_one_scan(&self, until: Option<Instant>) -> Self {
        Self {
            top: self.top.for_one_scan(until),
            is_image: self.is_image,
            parents: Some(Arc::new(Parents::new())),
        }
    }

    /// True when it may be the `/` of a Mac: `Library` or `System` stands in it, in any letter case.
    pub fn is_mac(&self) -> bool {
        let stands = |name: &[u8]| !matches!(self.top.spelled(name), Ok(None));
        stands(b"Library") || stands(b"System")
    }

    /// Resolves an absolute path, every link in it followed.
    ///
    /// # Errors
    /// When something on the way is not there or cannot be read.
    pub fn find(&self, path: &[u8]) -> Result<Found, ReadError> {
        self.resolve(path, true, &mut |_| ())
    }

    /// Resolves an absolute path as [`find`](Self::find) does, and has what is on its way noted: each link,
    /// what it ends at, and what is not there. Of the directories between those alone are noted that `..`
    /// may lead out of again.
    ///
    /// # Errors
    /// When something on the way is not there or cannot be read.
    pub fn find_noting(&self, path: &[u8], note: Note<'_>) -> Result<Found, ReadError> {
        self.resolve(path, true, note)
    }

    /// Resolves an absolute path as [`find`](Self::find) does, and sooner where it leads straight
    /// down from a directory that is open.
    ///
    /// # Errors
    /// When something on the way is not there or cannot be read.
    pub fn find_below(&self, dir: &Dir, path: &[u8]) -> Result<Found, ReadError> {
        straight_down(dir, path).map_or_else(|| self.find(path), Ok)
    }

    /// Resolves an absolute path; a link in its last component is not followed.
    ///
    /// # Errors
    /// When something on the way is not there or cannot be read.
    pub fn find_entry(&self, path: &[u8]) -> Result<Found, ReadError> {
        self.resolve(path, false, &mut |_| ())
    }

    /// Opens the directory at an absolute path, every link followed.
    ///
    /// # Errors
    /// When it is not there, is no directory, or cannot be opened.
    pub fn find_dir(&self, path: &[u8]) -> Result<Dir, ReadError> {
        self.find(path)?.open_dir()
    }

    fn resolve(&self, path: &[u8], follow_last: bool, note: Note<'_>) -> Result<Found, ReadError> {
        let (Some(parents), Some((above, name))) = (&self.parents, last_component(path)) else {
            return self.walk(path, follow_last, note);
        };
        if let Some(dir) = parents.of(above)
            && let Ok(meta) = dir.meta(name)
            && !(follow_last && meta.kind == Kind::Symlink)
        {
            note(Passed::over(&dir, name, Some(&meta)));
            let name = name.to_vec();
            return Ok(Found {
                dir,
                name,
                meta,
                links: 0,
            });
        }
        let found = self.walk(path, follow_last, note)?;
        if found.links == 0 {
            parents.keep(above, &found.dir);
        }
        Ok(found)
    }

    fn walk(&self, path: &[u8], follow_last: bool, note: Note<'_>) -> Result<Found, ReadError> {
        let fail = |errno| ReadError {
            operation: "resolve",
            path: path.to_vec(),
            errno,
        };
        let mut todo = components(path);
        let mut ups = ups(&todo);
        // What a trailing slash or a dot asks for is a directory, so its link is followed.
        let follow_last = follow_last || path.ends_with(b"/");
        let mut way = Descent::new(self.top.clone());
        let (mut links, mut steps, mut paid) = (0_u32, 0_usize, FREE_STEPS);
        while let Some(name) = todo.pop() {
            // A directory that is gone down to again costs as much as one more name.
            steps = steps.saturating_add(1);
            let all = steps.saturating_add(way.reopened());
            if let more @ 1.. = all.saturating_sub(paid) {
                let is_left = self.parents.as_ref().is_none_or(|p| p.take_steps(more));
                if all > MOST_STEPS || !is_left {
                    return Err(ReadError::too_far(path));
                }
                paid = all;
            }
            if name == b".." {
                ups = ups.saturating_sub(1);
                way.up();
                continue;
            }
            let dir = way.here()?;
            if is_by_number(way.names(), &name, &todo) {
                return Err(ReadError::by_number(path));
            }
            if way.names().is_empty() && is_prefix(&name, &todo) {
                match dir.meta(&name) {
                    Err(error) if error.is_absent() => {}
                    _ => return Err(ReadError::prefix(path)),
                }
                if name == RESOLVE {
                    todo.pop();
                }
                // Like a link, it leads from one spelling of the path to another.
                links = links.saturating_add(1);
                continue;
            }
            let (name, meta) = match dir.meta(&name) {
                Ok(meta) => (name, meta),
                Err(_) if name == b"..namedfork" => return Err(ReadError::fork(path)),
                Err(error) if error.is_absent() => match dir.spelled_otherwise(&name)? {
                    Some(name) => {
                        let meta = dir.meta(&name)?;
                        (name, meta)
                    }
                    None if self.is_image && self.detour(&dir, &name, &mut todo) => {
                        links = links.saturating_add(1);
                        if links > MAX_LINKS {
                            return Err(fail(Errno::LOOP));
                        }
                        way.restart();
                        continue;
                    }
                    None => {
                        note(Passed::over(&dir, &name, None));
                        return Err(error);
                    }
                },
                Err(error) => return Err(error),
            };
            if meta.kind == Kind::Symlink && (follow_last || !todo.is_empty()) {
                links = links.saturating_add(1);
                if links > MAX_LINKS {
                    return Err(fail(Errno::LOOP));
                }
                let target = dir.read_link(&name)?;
                note(Passed {
                    text: Some(&target),
                    ..Passed::over(&dir, &name, Some(&meta))
                });
                if target.is_empty() {
                    return Err(fail(Errno::NOENT));
                }
                if target.starts_with(b"/") {
                    way.restart();
                }
                let target = components(&target);
                ups = ups.saturating_add(self::ups(&target));
                todo.extend(target);
                continue;
            }
            if todo.is_empty() || ups > 0 || meta.kind != Kind::Directory {
                note(Passed::over(&dir, &name, Some(&meta)));
            }
            if todo.is_empty() {
                return Ok(Found {
                    dir,
                    name,
                    meta,
                    links,
                });
            }
            if meta.kind != Kind::Directory {
                return Err(match todo.last() {
                    Some(next) if next == b"..namedfork" => ReadError::fork(path),
                    _ => fail(Errno::NOTDIR),
                });
            }
            // Where it only leads up again, nothing has to be opened.
            if todo.last().is_some_and(|next| next == b"..") {
                ups = ups.saturating_sub(1);
                todo.pop();
                continue;
            }
            way.down(&name)?;
        }
        // The path ended in `..` or is the root itself: a directory that is open already.
        let dir = way.here()?;
        let meta = dir.own_meta()?;
        Ok(Found {
            dir,
            name: b".".to_vec(),
            meta,
            links,
        })
    }
}

/// True where a path goes on by a number, whose meaning is not on the disk: `/.vol` is that of a file to
/// the kernel (xnu, `bsd/vfs/vfs_lookup.c`), `/.file` to CoreFoundation, which makes such a path a file
/// reference (`_pathHasFileIDPrefix` of CFURL.c); `/dev/fd` is a file that a process has open. Whether
/// anything of that name stands on the disk does not matter. What is left to walk stands the last first.
fn is_by_number(above: &[Vec<u8>], name: &[u8], todo: &[Vec<u8>]) -> bool {
    let is_dev = |name: &[u8]| name::same(name, b"dev");
    match (above, todo) {
        ([], [.., _]) if matches!(name, b".vol" | b".file") => true,
        ([], [.., _, next]) => is_dev(name) && next == b"fd",
        ([first], [.., _]) => is_dev(first) && name == b"fd",
        _ => false,
    }
}

/// The kernel opens `/.nofollow/P` and `/.resolve/N/P` as `/P`, by rules on links that only refuse more,
/// since macOS 15.4. (xnu, `bsd/sys/paths.h`, `tests/vfs/resolve_namespace.c`: read, not seen.)
const NOFOLLOW: &[u8] = b".nofollow";
const RESOLVE: &[u8] = b".resolve";

/// True when a name at the beginning of a path is such a prefix, by what comes after it, the last first.
fn is_prefix(name: &[u8], todo: &[Vec<u8>]) -> bool {
    let is_number = |n: &Vec<u8>| n.iter().all(|b| b.is_ascii_hexdigit() || *b == b'x');
    match name {
        NOFOLLOW => !todo.is_empty(),
        RESOLVE => todo.len() > 1 && todo.last().is_some_and(is_number),
        _ => false,
    }
}

/// The directories of `/private` that a Mac shows at its `/` as well, by links of the system volume.
const PRIVATE: &[&[u8]] = &[b"etc", b"tmp", b"var"];

/// Links of the system volume that lead to the data volume, and where (macOS 11 and later).
const SYSTEM_LINKS: &[(&str, &str)] = &[
    ("usr/lib/cron", "private/var/at"),
    ("usr/X11", "private/var/select/X11"),
    ("usr/X11R6", "private/var/select/X11"),
    ("System/Library/User Template", "Library/User Template"),
];

/// Where a link of the system volume leads that is on the way: by a name that a directory has not, and what comes
/// after it, the last first. How many names of that are the link's, too.
fn system_link(dir: &[u8], name: &[u8], todo: &[Vec<u8>]) -> Option<(usize, &'static str)> {
    let here = dir.split(|b| *b == b'/').filter(|n| !n.is_empty());
    let here: Vec<&[u8]> = here.chain([name]).collect();
    SYSTEM_LINKS.iter().find_map(|(link, target)| {
        let link: Vec<&str> = link.split('/').collect();
        let after = link.len().checked_sub(here.len())?;
        let way = here.iter().copied();
        let mut way = way.chain(todo.iter().rev().map(Vec::as_slice)).zip(&link);
        let is_on_it = todo.len() >= after && way.all(|(a, b)| name::same(a, b.as_bytes()));
        is_on_it.then_some((after, *target))
    })
}

impl Root {
    /// True when it is not the machine's own `/`: it may lack what stands on another volume of that Mac.
    pub(crate) fn is_image(&self) -> bool {
        self.is_image
    }

    /// Where a Mac goes on from its `/` for a name that an image does not hold: the data volume stands
    /// at `/System/Volumes/Data` too, each volume at `/Volumes` by its name, `/var` is `/private/var`, and
    /// the system volume has links. Changes what is left to walk, the last first; false when there is no such way.
    fn detour(&self, dir: &Dir, name: &[u8], todo: &mut Vec<Vec<u8>>) -> bool {
        let is_next = |todo: &[Vec<u8>], names: &[&[u8]]| {
            let next = todo.iter().rev().take(names.len());
            todo.len() >= names.len() && next.zip(names).all(|(a, b)| name::same(a, b))
        };
        if let Some((passed, target)) = system_link(dir.path(), name, todo) {
            todo.truncate(todo.len().saturating_sub(passed));
            todo.extend(components(target.as_bytes()));
            return true;
        }
        let passed = match dir.path() {
            b"/" if name::same(name, b"System") && is_next(todo, &[b"Volumes", b"Data"]) => 2,
            b"/System" if name::same(name, b"Volumes") && is_next(todo, &[b"Data"]) => 1,
            b"/System/Volumes" if name::same(name, b"Data") => 0,
            b"/System/Volumes/Data" => {
                todo.push(name.to_vec());
                0
            }
            b"/" if name::same(name, b"private") => {
                if !PRIVATE.iter().any(|p| is_next(todo, &[p])) {
                    return false;
                }
                0
            }
            b"/" if PRIVATE.iter().any(|p| name::same(name, p)) => {
                if !matches!(self.top.spelled(b"private"), Ok(Some(_))) {
                    return false;
                }
                todo.push(name.to_vec());
                todo.push(b"private".to_vec());
                0
            }
            // Which name is the system's own, the image does not say.
            b"/" if name::same(name, b"Volumes") && todo.len() > 1 => 1,
            b"/Volumes" if !todo.is_empty() => 0,
            _ => return false,
        };
        todo.truncate(todo.len().saturating_sub(passed));
        true
    }
}

/// What stands at a path below a directory, when no link and no `..` is on the way: those may lead
/// anywhere.
pub(crate) fn straight_down(dir: &Dir, path: &[u8]) -> Option<Found> {
    let mut names = dir.strip(path)?.split(|b| *b == b'/').peekable();
    let mut dir = dir.clone();
    while let Some(name) = names.next().filter(|n| !matches!(*n, b"" | b"." | b"..")) {
        let meta = dir.meta(name).ok().filter(|m| m.kind != Kind::Symlink)?;
        if names.peek().is_none() {
            return Some(Found {
                dir,
                name: name.to_vec(),
                meta,
                links: 0,
            });
        }
        dir = dir.open_dir(name).ok()?;
    }
    None
}

/// The path of the directory above, and the name in it, where the path ends in one.
fn last_component(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|b| *b == b'/')?;
    let (above, name) = (path.get(..slash)?, path.get(slash.saturating_add(1)..)?);
    (!matches!(name, b"" | b"." | b"..")).then_some((above, name))
}

/// The components of a path, last first, without empty ones and dots.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/')
        .filter(|c| !c.is_empty() && *c != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

/// How many of the components lead up.
fn ups(components: &[Vec<u8>]) -> usize {
    components.iter().filter(|c| *c == b"..").count()
}

/// What is come upon on the way of a path.
#[derive(Clone, Copy, Debug)]
pub struct Passed<'a> {
    /// The directory, as the Mac names it: no link is in that.
    pub dir: &'a [u8],
    /// The name in it.
    pub name: &'a [u8],
    /// What stands there, if anything.
    pub meta: Option<&'a Meta>,
    /// The text of a link that is followed.
    pub text: Option<&'a [u8]>,
}

impl<'a> Passed<'a> {
    fn over(dir: &'a Dir, name: &'a [u8], meta: Option<&'a Meta>) -> Self {
        Self {
            dir: dir.path(),
            name,
            meta,
            text: None,
        }
    }
}

/// Takes in what a path passes.
pub type Note<'a> = &'a mut dyn FnMut(Passed<'_>);

/// Where a path leads.
#[derive(Clone, Debug)]
pub struct Found {
    dir: Dir,
    name: Vec<u8>,
    /// What stands there.
    pub meta: Meta,
    /// How many links were followed on the way.
    pub links: u32,
}

impl Found {
    /// Where it really stands, as the Mac would name it.
    pub fn path(&self) -> Vec<u8> {
        if self.name == b"." {
            return self.dir.path().to_vec();
        }
        self.dir.join(&self.name)
    }

    /// The directory that it stands in, and its name there; `.` for one that was asked for by `..`.
    pub fn place(&self) -> (&Dir, &[u8]) {
        (&self.dir, &self.name)
    }

    /// True when it stands on another device than the directory that it is in: a volume is mounted
    /// there.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn is_mount_point(&self) -> Result<bool, ReadError> {
        Ok(self.dir.own_meta()?.dev != self.meta.dev)
    }

    /// The text of it, a link.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn read_link(&self) -> Result<Vec<u8>, ReadError> {
        self.dir.read_link(&self.name)
    }

    /// Opens it, a file or a directory, to be asked for its extended attributes.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_for_attributes(&self) -> Result<OwnedFd, ReadError> {
        self.dir.open_for_attributes(&self.name)
    }

    /// Opens it as a directory.
    ///
    /// # Errors
    /// When it is none, or cannot be opened.
    pub fn open_dir(&self) -> Result<Dir, ReadError> {
        if self.name == b"." {
            return Ok(self.dir.clone());
        }
        self.dir.open_dir(&self.name)
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// When it is no regular file or cannot be opened.
    pub fn open_file(&self) -> Result<OpenFile, ReadError> {
        self.dir.open_file(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn one_scan_opens_and_lists_a_directory_once() {
        let disk = tempfile::tempdir().unwrap();
        let at = |path: &str| disk.path().join(path);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "").unwrap();
        let root = Root::open(disk.path()).unwrap();
        let scan = root.for_one_scan(None);
        let path = |root: &Root, path: &[u8]| root.find(path).map(|found| found.path()).ok();
        assert_eq!(path(&scan, b"/a/b/file").unwrap(), b"/a/b/file");
        assert_eq!(path(&scan, b"/a/b/Other"), None);
        fs::write(at("a/b/OTHER"), "").unwrap();
        assert_eq!(path(&scan, b"/a/b/Other"), None);
        let next = root.for_one_scan(None);
        assert_eq!(path(&next, b"/a/b/Other").unwrap(), b"/a/b/OTHER");
        assert_eq!(path(&next, b"/a/b/FILE").unwrap(), b"/a/b/file");
        // The directory that was opened stays the one that is looked at; the next scan sees another.
        fs::rename(at("a/b"), at("a/c")).unwrap();
        fs::write(at("a/c/exact"), "").unwrap();
        assert!(path(&scan, b"/a/b/exact").is_some());
        assert_eq!(path(&root, b"/a/b/exact"), None);
        assert_eq!(path(&root.for_one_scan(None), b"/a/b/exact"), None);
    }

    #[test]
    fn links_lead_where_they_lead_within_a_scan() {
        let disk = tempfile::tempdir().unwrap();
        let at = |path: &str| disk.path().join(path);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at("x")).unwrap();
        fs::write(at("x/file"), "").unwrap();
        symlink("../../x", at("a/b/up")).unwrap();
        symlink("/a/b/up", at("a/link")).unwrap();
        let plain = Root::open(disk.path()).unwrap();
        let scan = plain.for_one_scan(None);
        for path in [
            "/a/b",
            "/a/b/",
            "/a/b/.",
            "/a/b/..",
            "/a/b/up",
            "/a/b/up/",
            "/a/b/up/file",
            "/a/link",
            "/a/link/file",
            "/a/link/../a/b",
            "/a/./b/up",
            "//a/b/up/file",
            "/a/b/none",
            "/",
        ] {
            for _ in 0..2 {
                let of = |root: &Root| {
                    let shown = |found: Result<Found, ReadError>| {
                        found.map(|f| (f.path(), f.meta.ino, f.links))
                    };
                    (
                        shown(root.find(path.as_bytes())),
                        shown(root.find_entry(path.as_bytes())),
                    )
                };
                assert_eq!(of(&scan), of(&plain), "{path}");
            }
        }
    }
}
