//! The directories above places, each looked at once: whoever makes a place chooses how deep it stands.

use std::collections::BTreeSet;

use super::path::components;
use super::{FREE_STEPS, Root};
use crate::descent::Descent;
use crate::meta::{Kind, Meta};

impl Root {
    /// What the file system says of each directory above absolute paths in which no link is. What was put in its place
    /// meanwhile is passed over. False where there were no steps left to a deep one.
    pub fn each_above(&self, paths: &BTreeSet<Vec<u8>>, note: &mut dyn FnMut(&Meta)) -> bool {
        let mut way = Descent::new(self.top.clone());
        let (mut steps, mut paid) = (0_usize, FREE_STEPS);
        // In order, so that most of the way to one is that to the one before it.
        for path in paths {
            let names = components(path);
            let above: Vec<&Vec<u8>> = names.iter().skip(1).rev().collect();
            let same = way.names().iter().zip(&above);
            let same = same.take_while(|(here, there)| here == *there).count();
            while way.names().len() > same {
                way.up();
            }
            for name in above.iter().skip(same) {
                steps = steps.saturating_add(1);
                let all = steps.saturating_add(way.reopened());
                let more = all.saturating_sub(paid);
                if self.parents.as_ref().is_some_and(|p| !p.take_steps(more)) {
                    return false;
                }
                paid = paid.max(all);
                let meta = way.here().and_then(|dir| dir.meta(name));
                let Some(meta) = meta.ok().filter(|meta| meta.kind == Kind::Directory) else {
                    break;
                };
                note(&meta);
                if way.down(name).is_err() {
                    break;
                }
            }
        }
        true
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
        let above = |paths: &[&str]| {
            let paths = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
            let mut inodes = Vec::new();
            assert!(root.each_above(&paths, &mut |meta| inodes.push(meta.ino)));
            inodes
        };
        let inode = |path: &Path| rustix::fs::lstat(path).unwrap().st_ino;
        let [a, b] = ["a", "a/b"].map(|path| inode(&at(path)));
        assert_eq!(above(&["/a/b/c"]), [a, b]);
        assert_eq!(above(&["/a"]), [0; 0]);
        assert_eq!(above(&["/a/l/c"]), [a]);
        assert_eq!(above(&["/a/none/c"]), [a]);
        assert_eq!(above(&["/a/b/c/x", "/a/b/x", "/a/l/c/x", "/a/x"]).len(), 3);
    }

    /// It takes its steps of the scan's, as every path that leads far.
    #[test]
    fn a_deep_place_has_the_steps_of_a_scan_and_no_more() {
        let disk = tempfile::tempdir().unwrap();
        let deep = "/d".repeat(FREE_STEPS + 51);
        let mut dir = std::fs::File::open(disk.path()).unwrap();
        for _ in 0..FREE_STEPS + 51 {
            rustix::fs::mkdirat(&dir, "d", rustix::fs::Mode::RWXU).unwrap();
            let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY;
            let below = rustix::fs::openat(&dir, "d", flags, rustix::fs::Mode::empty());
            dir = std::fs::File::from(below.unwrap());
        }
        let root = Root::open(disk.path()).unwrap().for_one_scan(None, 10_000);
        let mut most = 0;
        let of = |path: &str| BTreeSet::from([path.as_bytes().to_vec()]);
        while root.each_above(&of(&deep), &mut |_| ()) {
            most += 1;
            assert!(most <= 10_000 / 50);
        }
        assert!(root.each_above(&of("/d/d/d"), &mut |_| ()));
        assert!(most > 100, "{most}");
    }
}
