//! The disk of a Mac: paths resolved inside one directory that plays its `/`, and never out of it.
//!
//! Every path component is opened by itself, without following links; links are
//! read and resolved here, an absolute one from the root. So neither a link nor `..`
//! nor a directory that is swapped for a link in the middle of a scan leads out of the root.
//!
//! A Mac finds names in any letter case, and one volume of it under several names: what an image does
//! not hold where a path says is looked for where the Mac would have found it.

mod above;
mod another;
mod as_written;
mod detour;
mod found;
mod image;
mod namespace;
mod parents;
mod path;
mod place;
mod seen;
mod url_path;
mod volume;
mod walk;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::directory::{Dir, ReadError};
use crate::firm_links::DATA;
use crate::meta::Kind;
pub(crate) use found::straight_down;
pub use found::{Found, Note, Passed};
use image::{Image, Standing, is_empty};
use parents::Parents;
pub(crate) use path::last_component;
pub use path::without_dots;
use place::Asked;
pub use url_path::{leads_up, url_path};

/// Bytes of a path and of the text of a link, its end included, as `PATH_MAX` of macOS.
pub(crate) const PATH_MAX: usize = 1024;
/// Steps that every resolution has for nothing: no honest path has more.
const FREE_STEPS: usize = 160;
/// Steps of all resolutions beyond those when the places of a watch are found: a link that leads far is planted for
/// nothing, and by the thousand.
const STEPS_OF_A_WATCH: usize = 20_000;

/// A directory that plays the `/` of a Mac.
#[derive(Clone, Debug)]
pub struct Root {
    top: Dir,
    /// What is known of it when it is not the machine's own `/`, whose file system knows its names.
    image: Option<Arc<Image>>,
    /// True where an image's own words are taken for what the system's volume has.
    trusts_system: bool,
    /// True where others chose the paths that are asked for.
    is_named: bool,
    /// Directories that are kept open for as long as one scan lasts.
    parents: Option<Arc<Parents>>,
}

/// Which directories on a way are noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notes {
    /// Those that `..` may lead out of again.
    Few,
    All,
}

impl Root {
    /// Opens the directory. Its own path may hold symlinks: the caller chose it.
    ///
    /// # Errors
    /// When it is no directory or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let is_image = path != Path::new("/");
        Dir::open_top(path).map(|top| Self {
            image: is_image.then(|| Arc::new(Image::of(&top))),
            trusts_system: false,
            is_named: false,
            top,
            parents: None,
        })
    }

    /// The same root for as long as one scan lasts, which is over at `until`: the directories that paths lead through
    /// are opened once, and listed once. Each name in them is still asked of the disk. All paths together have so many
    /// steps beyond those that every path has: a link that leads far is planted for nothing, and by the thousand.
    #[must_use]
    pub fn for_one_scan(&self, until: Option<Instant>, steps: usize) -> Self {
        let top = self.top.for_one_scan(until);
        Self {
            image: self.image.as_ref().map(|_| Arc::new(Image::of(&top))),
            top,
            trusts_system: self.trusts_system,
            is_named: self.is_named,
            parents: Some(Arc::new(Parents::new(steps))),
        }
    }

    /// The same for as long as it takes to find the places of a watch, which waits for no hint meanwhile.
    #[must_use]
    pub fn for_one_watch(&self) -> Self {
        self.for_one_scan(None, STEPS_OF_A_WATCH)
    }

    /// Why it is no `/` of a Mac with its plug-ins: neither `Library` nor `System` stands in it, in any letter case, or it is
    /// the system's volume of an image that has the data on another.
    pub fn why_no_mac(&self) -> Option<&'static str> {
        let stands = |name: &[u8]| !matches!(self.top.spelled(name), Ok(None));
        if !stands(b"Library") && !stands(b"System") {
            return Some("neither Library nor System stands in it");
        }
        let library = self.find_dir(b"/Library").ok();
        self.image.as_ref()?.lacks_data(library.as_ref())
    }

    /// True when it is not the machine's own `/`: it may lack what stands on another volume of that Mac.
    pub(crate) fn is_image(&self) -> bool {
        self.image.is_some()
    }

    /// Where the directory stands that a Mac has at this path, of an image that is merged by links and has one here.
    pub(crate) fn merged(&self, path: &str) -> Option<String> {
        let image = self.image.as_ref()?;
        let data = str::from_utf8(DATA).ok()?;
        image.merges(path.as_bytes()).then(|| [data, path].concat())
    }

    /// The same for libraries, and for what tells of the system: nobody asks whether that is on a volume of its own.
    #[must_use]
    pub(crate) fn trusting_system(&self) -> Self {
        Self {
            trusts_system: true,
            ..self.clone()
        }
    }

    /// The same for what a bundle names that does not stand in the system's own plug-in folder: an image of the data volume
    /// may have anything in the place of that.
    #[must_use]
    pub(crate) fn for_what_is_named(&self) -> Self {
        Self {
            is_named: true,
            ..self.clone()
        }
    }

    /// True where a place was named of which an image need not have what the Mac finds.
    pub(crate) fn is_of_another(&self, place: &[u8]) -> bool {
        let image = self.image.as_ref();
        image.is_some_and(|image| !image.has_mounted(place)) && !self.is_own(place)
    }

    /// True for a place of which an image has what the Mac finds.
    fn is_own(&self, place: &[u8]) -> bool {
        let Some(image) = &self.image else {
            return true;
        };
        let plain = without_dots(place);
        let names: Vec<&[u8]> = plain
            .split(|b| *b == b'/')
            .filter(|name| !name.is_empty())
            .collect();
        image.place(&names, self.asked(place)) == Standing::Own
    }

    /// What an error says of an image: what an empty directory of it lacks may stand on another volume, which the Mac mounts
    /// there.
    pub(crate) fn of_image(&self, error: ReadError) -> ReadError {
        let is_in_empty = || {
            let (above, _) = last_component(&error.path)?;
            Some(is_empty(&self.find_dir(above).ok()?))
        };
        match self.is_image() && error.is_absent() && is_in_empty() == Some(true) {
            true => ReadError::elsewhere(&error.path),
            false => error,
        }
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

    /// Resolves an absolute path as [`find`](Self::find) does, and has everything on its way noted, each directory as well.
    ///
    /// # Errors
    /// When something on the way is not there or cannot be read.
    pub fn find_step_by_step(&self, path: &[u8], note: Note<'_>) -> Result<Found, ReadError> {
        self.walk(path, (true, Notes::All), note)
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

    /// True when a link stands at an absolute path, in another directory than what was found by it.
    pub(crate) fn links_elsewhere(&self, path: &[u8], found: &Found) -> bool {
        let link = self.find_entry(path);
        let link = link.ok().filter(|link| link.meta.kind == Kind::Symlink);
        link.is_some_and(|link| link.dir.path() != found.dir.path())
    }

    /// True when nothing stands at an absolute path, by the very name that its last component is: a listing gave
    /// that, so no other spelling of it is meant, and none is searched for among however many others. What a mounted
    /// volume does not show may stand below it.
    pub fn has_gone(&self, path: &[u8]) -> bool {
        let Some((above, name)) = last_component(path) else {
            return false;
        };
        let mut is_mounted = false;
        let mut note = |passed: Passed<'_>| is_mounted |= passed.mount.is_some();
        let has_gone = match self
            .find_noting(above, &mut note)
            .and_then(|at| at.open_dir())
        {
            Ok(dir) => dir.meta(name).is_err_and(|error| error.is_absent()),
            Err(error) => error.leads_nowhere(),
        };
        has_gone && !is_mounted
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
            return self.walk(path, (follow_last, Notes::Few), note);
        };
        if let Some((dir, volume)) = parents.of(above)
            && self.is_own(path)
            && let Ok((meta, is_top)) = dir.meta_and_top(name)
            && !(follow_last && meta.kind == Kind::Symlink)
        {
            let itself = volume.below(&dir, name, (&meta, is_top));
            note(Passed::over(&dir, name, Some(&meta)).behind(&itself, None));
            let name = name.to_vec();
            return Ok(Found {
                dir,
                name,
                meta,
                is_top,
                links: 0,
                is_another: false,
                volume,
            });
        }
        let found = self.walk(path, (follow_last, Notes::Few), note)?;
        if found.links == 0 && !found.is_another && self.keeps() {
            parents.keep(above, &found.dir, &found.volume);
        }
        Ok(found)
    }

    fn asked(&self, path: &[u8]) -> Asked {
        Asked {
            trusts_system: self.trusts_system,
            is_of_folder: self.is_image() && !self.is_named && place::is_of_folder(path),
            makes_names: self
                .image
                .as_ref()
                .is_some_and(|image| image.is_synthetic()),
            by_data: false,
        }
    }

    /// True when what it passes may be gone on from by all: of an image whose system is trusted only libraries may.
    fn keeps(&self) -> bool {
        !(self.trusts_system && self.is_image())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn one_scan_opens_and_lists_a_directory_once() {
        let disk = tempfile::tempdir().unwrap();
        let at = |path: &str| disk.path().join("Users").join(path);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "").unwrap();
        let root = Root::open(disk.path()).unwrap();
        let scan = root.for_one_scan(None, 1_000);
        let path = |root: &Root, path: &[u8]| root.find(path).map(|found| found.path()).ok();
        assert_eq!(path(&scan, b"/Users/a/b/file").unwrap(), b"/Users/a/b/file");
        assert_eq!(path(&scan, b"/Users/a/b/Other"), None);
        fs::write(at("a/b/OTHER"), "").unwrap();
        assert_eq!(path(&scan, b"/Users/a/b/Other"), None);
        let next = root.for_one_scan(None, 1_000);
        assert_eq!(
            path(&next, b"/Users/a/b/Other").unwrap(),
            b"/Users/a/b/OTHER"
        );
        assert_eq!(path(&next, b"/Users/a/b/FILE").unwrap(), b"/Users/a/b/file");
        // The directory that was opened stays the one that is looked at; the next scan sees another.
        fs::rename(at("a/b"), at("a/c")).unwrap();
        fs::write(at("a/c/exact"), "").unwrap();
        assert!(path(&scan, b"/Users/a/b/exact").is_some());
        assert_eq!(path(&root, b"/Users/a/b/exact"), None);
        assert_eq!(
            path(&root.for_one_scan(None, 1_000), b"/Users/a/b/exact"),
            None
        );
        // So does one further above, and one in which something was not found.
        let scan = root.for_one_scan(None, 1_000);
        assert_eq!(path(&scan, b"/Users/a/none/file"), None);
        fs::rename(at("a"), at("z")).unwrap();
        assert!(path(&scan, b"/Users/a/c/exact").is_some());
        assert_eq!(path(&root, b"/Users/a/c/exact"), None);
    }

    /// What libraries are looked for by keeps directories open that others ask for as well.
    #[test]
    fn what_is_trusted_for_libraries_is_trusted_for_nothing_else() {
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir_all(disk.path().join("usr/lib")).unwrap();
        fs::write(disk.path().join("usr/lib/x"), "").unwrap();
        let scan = Root::open(disk.path()).unwrap().for_one_scan(None, 1_000);
        let libraries = scan.trusting_system();
        for path in [b"/usr/lib/x", b"/usr/lib/y"] {
            let _ = libraries.find(path);
        }
        assert!(!libraries.find(b"/usr/lib/x").unwrap().is_another);
        assert!(scan.find(b"/usr/lib/x").unwrap().is_another);
        assert!(
            scan.find(b"/usr/lib/y")
                .is_err_and(|error| error.is_unfollowed())
        );
    }

    /// On a disk that tells letter case apart, a name that is not there is searched for in other spellings.
    #[test]
    fn what_was_listed_has_gone_however_many_names_stand_there() {
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir_all(disk.path().join("Users/a")).unwrap();
        let one = disk.path().join("one");
        fs::write(&one, "").unwrap();
        for number in 0..20_001 {
            fs::hard_link(&one, disk.path().join(format!("Users/a/{number}"))).unwrap();
        }
        fs::write(disk.path().join("Users/a/EVIL"), "").unwrap();
        let root = Root::open(disk.path()).unwrap();
        let found = root.find_entry(b"/Users/a/gone");
        assert!(found.is_err_and(|error| !error.leads_nowhere()));
        assert!(root.has_gone(b"/Users/a/gone") && root.has_gone(b"/Users/b/gone"));
        assert!(root.has_gone(b"/Users/a/Evil") && !root.has_gone(b"/Users/a/EVIL"));
        assert!(!root.has_gone(b"/Users/a/20000"));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(96))]
        /// Held against the running kernel, which reads paths and links without `/` in front as a Mac's does.
        #[test]
        fn links_lead_where_the_kernel_goes(
            texts in proptest::collection::vec("(f|d|l0|l1|l2|l3|[.]|[.][.])(/(f|e|l0|l1|[.]|[.][.]|)){0,3}", 4),
            path in "(f|d|l0|l1|l2|l3)(/(f|e|l0|l1|[.]|[.][.]|)){0,3}",
        ) {
            let disk = tempfile::tempdir().unwrap();
            // So deep that no chain leads above the top.
            let below = "b/".repeat(24);
            let at = disk.path().join(&below);
            fs::create_dir_all(at.join("d/e")).unwrap();
            for file in ["f", "d/f", "d/e/f"] {
                fs::write(at.join(file), "").unwrap();
            }
            for (number, text) in texts.iter().enumerate() {
                let _ = symlink(text, at.join(format!("l{number}")));
            }
            let root = Root::open(disk.path()).unwrap();
            let asked = format!("/{below}{path}");
            let by_kernel = fs::metadata(disk.path().join(&asked[1..]));
            let by_kernel = by_kernel.ok().map(|meta| std::os::unix::fs::MetadataExt::ino(&meta));
            for root in [&root, &root.for_one_scan(None, 100_000)] {
                for _ in 0..2 {
                    let found = root.find(asked.as_bytes()).map(|found| found.meta.ino);
                    // Linux follows eight links more.
                    if found.as_ref().is_err_and(|error| error.errno == Errno::LOOP) {
                        continue;
                    }
                    proptest::prop_assert_eq!(found.as_ref().ok(), by_kernel.as_ref(), "{} {:?}", path, found);
                }
            }
        }
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
        let scan = plain.for_one_scan(None, 1_000);
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
