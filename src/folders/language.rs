//! A language of a plug-in folder: where the loader lists it, and where it loads from what it found there.

use crate::root::url_path;

/// A language, as the Info.plist of a folder names it.
#[derive(Clone, Debug)]
pub struct Language(Vec<u8>);

impl Language {
    /// One of that name, which is any text.
    pub fn new(name: Vec<u8>) -> Self {
        Self(name)
    }

    /// True for one that is a path.
    pub fn is_path(&self) -> bool {
        self.0.contains(&b'/')
    }

    /// True for one of which a path of the system's has a part alone, and a URL all.
    pub fn has_nul(&self) -> bool {
        self.0.contains(&0)
    }

    /// The directory that the loader lists for it in a directory of resources, which the kernel is asked for
    /// (`_createQueryTableAtPath` of CFBundle_Resources.c). A path of the system's ends at a NUL.
    pub fn listed_in(&self, resources: &[u8]) -> Vec<u8> {
        let mut path = [resources, b"/", &self.0].concat();
        if let Some(nul) = path.iter().position(|b| *b == 0) {
            path.truncate(nul);
            return path;
        }
        while path.ends_with(b"/") {
            path.pop();
        }
        [path.as_slice(), b".lproj"].concat()
    }

    /// The directory from which it loads what it found there: a URL is made of the name, and its text decides
    /// (`_CFBundleCreateRelativeURLFromBaseAndPath`, `CFBundleCreate`).
    pub fn loaded_from(&self, resources: &[u8]) -> Vec<u8> {
        if self.has_nul() {
            return url_path(&self.listed_in(resources), b"");
        }
        url_path(resources, &[self.0.as_slice(), b".lproj"].concat())
    }
}
