//! Where a path leads, and what it passes on its way there.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::volume::Volume;
use crate::directory::{Dir, OpenFile, ReadError};
use crate::meta::{Kind, Meta};

/// What stands at a path below a directory, when no link and no `..` is on the way: those may lead
/// anywhere.
pub(crate) fn straight_down(dir: &Dir, path: &[u8]) -> Option<Found> {
    let mut names = dir.strip(path)?.split(|b| *b == b'/').peekable();
    let mut dir = dir.clone();
    while let Some(name) = names.next().filter(|n| !matches!(*n, b"" | b"." | b"..")) {
        let stands = dir.meta_and_top(name).ok();
        let (meta, is_top) = stands.filter(|(m, _)| m.kind != Kind::Symlink)?;
        if names.peek().is_none() {
            return Some(Found {
                dir,
                name: name.to_vec(),
                meta,
                is_top,
                links: 0,
                is_another: false,
                volume: Volume::default(),
            });
        }
        dir = dir.open_dir(name).ok()?;
    }
    None
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
    /// Where a volume is mounted on the way to it.
    pub mount: Option<&'a [u8]>,
}

impl<'a> Passed<'a> {
    pub(super) fn over(dir: &'a Dir, name: &'a [u8], meta: Option<&'a Meta>) -> Self {
        Self {
            dir: dir.path(),
            name,
            meta,
            text: None,
            mount: None,
        }
    }

    /// The same, with what is known of the volume that it stands on, and of one that led here.
    pub(super) fn behind(self, volume: &'a Volume, passed: Option<&'a Arc<[u8]>>) -> Self {
        let mount = passed.or(volume.mount()).map(AsRef::as_ref);
        Self { mount, ..self }
    }
}

/// Takes in what a path passes.
pub type Note<'a> = &'a mut dyn FnMut(Passed<'_>);

/// Where a path leads.
#[derive(Clone, Debug)]
pub struct Found {
    pub(super) dir: Dir,
    pub(super) name: Vec<u8>,
    /// What stands there.
    pub meta: Meta,
    /// True where the system says that a volume is mounted on it; Linux does.
    pub(super) is_top: bool,
    /// How many links were followed on the way.
    pub links: u32,
    /// True when in an image another volume is on the way, or may be.
    pub(super) is_another: bool,
    /// What is known of the volume of the directory, and of all that was passed on the way.
    pub(super) volume: Volume,
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

    /// True when it stands on another device than the directory that it is in, or the system says it: a volume is
    /// mounted there.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn is_mount_point(&self) -> Result<bool, ReadError> {
        let device = match self.volume.device() {
            Some(device) => device,
            None => self.dir.own_meta()?.dev,
        };
        Ok(self.is_top || device != self.meta.dev)
    }

    /// Where on the way to it, or in its own place, a volume is mounted that a Mac has not there; what links led
    /// through counts, and of several the first.
    pub fn mount(&self) -> Option<Arc<[u8]>> {
        let volume = self
            .volume
            .below(&self.dir, &self.name, (&self.meta, self.is_top));
        volume.mount().cloned()
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
