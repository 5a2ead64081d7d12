//! The directories above a place, each looked at once: whoever makes a place chooses how deep it stands.

use super::path::components;
use super::{FREE_STEPS, Root};
use crate::directory::ReadError;
use crate::meta::Meta;

impl Root {
    /// What the file system says of each directory above an absolute path in which no link is, from the top down.
    /// False where there were no steps left to a deep one.
    ///
    /// # Errors
    /// When one of them is no directory any more, or cannot be opened.
    pub fn each_above(&self, path: &[u8], note: &mut dyn FnMut(&Meta)) -> Result<bool, ReadError> {
        let mut names = components(path);
        let deep = names.len().saturating_sub(FREE_STEPS);
        if self.parents.as_ref().is_some_and(|p| !p.take_steps(deep)) {
            return Ok(false);
        }
        let mut dir = self.top.clone();
        while names.len() > 1 {
            let name = names.pop().unwrap_or_default();
            note(&dir.meta(&name)?);
            dir = dir.open_dir(&name)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn each_directory_above_is_told_once_and_no_link_is_followed() {
        let disk = tempfile::tempdir().unwrap();
        let at = |path: &str| disk.path().join(path);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::os::unix::fs::symlink("b", at("a/l")).unwrap();
        let root = Root::open(disk.path()).unwrap();
        let above = |path: &str| {
            let mut inodes = Vec::new();
            let all = root.each_above(path.as_bytes(), &mut |meta| inodes.push(meta.ino));
            all.map(|all| (inodes, all)).ok()
        };
        let inode = |path: &Path| rustix::fs::lstat(path).unwrap().st_ino;
        let both = vec![inode(&at("a")), inode(&at("a/b"))];
        assert_eq!(above("/a/b/c"), Some((both, true)));
        assert_eq!(above("/a"), Some((Vec::new(), true)));
        assert_eq!(above("/a/l/c"), None);
        assert_eq!(above("/a/none/c"), None);
    }

    /// It takes its steps of the scan's, as every path that leads far.
    #[test]
    fn a_deep_place_has_the_steps_of_a_scan_and_no_more() {
        let disk = tempfile::tempdir().unwrap();
        let deep = "/d".repeat(FREE_STEPS + 50);
        let mut dir = std::fs::File::open(disk.path()).unwrap();
        for _ in 0..FREE_STEPS + 50 {
            rustix::fs::mkdirat(&dir, "d", rustix::fs::Mode::RWXU).unwrap();
            let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY;
            let below = rustix::fs::openat(&dir, "d", flags, rustix::fs::Mode::empty());
            dir = std::fs::File::from(below.unwrap());
        }
        let root = Root::open(disk.path()).unwrap().for_one_scan(None);
        let mut most = 0;
        while root.each_above(deep.as_bytes(), &mut |_| ()).unwrap() {
            most += 1;
            assert!(most <= super::super::STEPS_OF_A_SCAN / 50);
        }
        assert!(root.each_above(b"/d/d/d", &mut |_| ()).unwrap());
        assert!(most > 1_000, "{most}");
    }
}
