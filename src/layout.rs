//! How CoreFoundation reads a directory as a bundle: by which of a few names stand in it.
//!
//! `_CFBundleGetBundleVersionForURL` of CFBundle_Resources.c tells the layout by the names alone,
//! links included, wherever they lead; where the Info.plist, the resources and the executable are
//! looked for follows from it (CFBundle_InfoPlist.c, CFBundle_Resources.c, CFBundle_Executable.c). An
//! attacker chooses the layout, of a bundle and of a plug-in folder alike.

use crate::directory::{Dir, ReadError};
use crate::meta::Kind;
use crate::name::is_folded;
use crate::root::Root;

/// Names of one directory that are looked at for its layout, or for its Info dictionary.
pub const MOST_NAMES: usize = 200_000;

/// What is said of a directory whose layout hangs on which macOS reads it.
const WRAPPED: &str = "is a wrapped bundle to newer macOS, and to older what stands around that";
/// What is said of one whose layout hangs on which letters are one.
const FOLDED: &str =
    "has a name that is Contents, Resources or Support Files by letters beyond ASCII";

/// The layout of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Nothing special (version 3).
    Flat,
    /// There is a `Contents` (version 2).
    Contents,
    /// There is a `Resources` (version 0).
    Resources,
    /// There is a `Support Files` (version 1).
    SupportFiles,
    /// `WrappedBundle` leads to a bundle with `Contents` below it (version 12).
    WrappedContents,
    /// `WrappedBundle` leads to a flat bundle below it (version 13).
    WrappedFlat,
}

impl Layout {
    /// Where the Info.plist stands, relative to the bundle.
    pub fn info_directory(self) -> &'static [&'static [u8]] {
        match self {
            Self::Flat => &[],
            Self::Contents => &[b"Contents"],
            Self::Resources => &[b"Resources"],
            Self::SupportFiles => &[b"Support Files"],
            Self::WrappedContents => &[b"WrappedBundle", b"Contents"],
            Self::WrappedFlat => &[b"WrappedBundle"],
        }
    }

    /// Where resources stand, relative to the bundle.
    pub fn resource_directory(self) -> &'static [&'static [u8]] {
        match self {
            Self::Flat => &[],
            Self::Contents => &[b"Contents", b"Resources"],
            Self::Resources => &[b"Resources"],
            Self::SupportFiles => &[b"Support Files", b"Resources"],
            Self::WrappedContents => &[b"WrappedBundle", b"Contents", b"Resources"],
            Self::WrappedFlat => &[b"WrappedBundle"],
        }
    }

    /// Where the main executable is looked for, relative to the bundle, in this order. (macOS 10.12
    /// and earlier looked in `MacOSClassic` and others beside `MacOS` as well.)
    pub fn executable_directories(self) -> &'static [&'static [u8]] {
        match self {
            Self::Flat | Self::WrappedContents | Self::WrappedFlat => &[b"MacOS", b""],
            Self::Contents => &[b"Contents/MacOS", b"Contents", b""],
            Self::Resources => &[b""],
            Self::SupportFiles => &[
                b"Support Files/Executables/MacOS",
                b"Support Files/Executables",
                b"",
            ],
        }
    }
}

/// The names in a directory that tell its layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    contents: bool,
    resources: bool,
    support_files: bool,
    wrapper: bool,
    wrapped: bool,
    are_contested: bool,
}

impl Marks {
    /// Takes notice of one entry of the directory.
    pub fn note(&mut self, name: &[u8], kind: Kind) {
        let is_link = kind == Kind::Symlink;
        if kind != Kind::Directory && !is_link {
            return;
        }
        match name {
            b"Wrapper" => self.wrapper = true,
            b"WrappedBundle" => self.wrapped |= is_link,
            _ if name.eq_ignore_ascii_case(b"Contents") => self.contents = true,
            _ if name.eq_ignore_ascii_case(b"Resources") => self.resources = true,
            _ if name.eq_ignore_ascii_case(b"Support Files") => self.support_files = true,
            // CoreFoundation folds letters beyond ASCII too, such as the long s (`CFStringCompareWithOptions`, built
            // with its tables and asked); what is found by the name then hangs on the disk.
            _ => {
                self.are_contested |=
                    is_folded(name, &[b"Contents", b"Resources", b"Support Files"])
            }
        }
    }

    /// True when a wrapped bundle is looked for, so that nothing else tells the layout.
    pub fn are_wrapped(self) -> bool {
        self.wrapper && self.wrapped
    }

    /// True when one of them stands there.
    pub fn are_any(self) -> bool {
        self.contents || self.resources || self.support_files || self.wrapped || self.are_contested
    }

    /// Why a layout by these may not be the one that a Mac sees.
    pub fn doubt(self, layout: Layout) -> Option<&'static str> {
        if self.are_contested {
            return Some(FOLDED);
        }
        (layout != self.plain_layout()).then_some(WRAPPED)
    }

    /// The layout of the directory that is called `path`, as the loader names it, and really stands at
    /// `real`. That is [`plain_layout`](Self::plain_layout) but for a wrapped bundle, of which the
    /// published CoreFoundation knows since "The Monterey Merge".
    ///
    /// # Errors
    /// When a wrapped bundle cannot be looked at.
    pub fn layout(self, root: &Root, path: &[u8], real: &[u8]) -> Result<Layout, ReadError> {
        if self.are_wrapped() {
            return wrapped(root, path, real);
        }
        Ok(self.plain_layout())
    }

    /// The layout by the names that older macOS looks for.
    pub fn plain_layout(self) -> Layout {
        if self.contents {
            Layout::Contents
        } else if self.resources {
            Layout::Resources
        } else if self.support_files {
            Layout::SupportFiles
        } else {
            Layout::Flat
        }
    }
}

/// The layout that a `WrappedBundle` gives: its link is relative, its text ends in the bundle's own
/// extension, and where it leads begins with the bundle's own path, as text; else it is flat.
fn wrapped(root: &Root, path: &[u8], real: &[u8]) -> Result<Layout, ReadError> {
    let link = [path, b"/WrappedBundle"].concat();
    let text = match root.find_entry(&link).and_then(|found| found.read_link()) {
        Ok(text) => text,
        Err(error) if error.leads_nowhere() => return Ok(Layout::Flat),
        Err(error) => return Err(error),
    };
    if text.len() < 2 || text.starts_with(b"/") || extension(&text) != extension(path) {
        return Ok(Layout::Flat);
    }
    let found = match root.find(&link) {
        Ok(found) => found,
        Err(error) if error.leads_nowhere() => return Ok(Layout::Flat),
        Err(error) => return Err(error),
    };
    let target = found.path();
    if target == real || !target.starts_with(real) {
        return Ok(Layout::Flat);
    }
    if found.meta.kind != Kind::Directory {
        return Ok(Layout::WrappedFlat);
    }
    let marks = marks_in(&found.open_dir()?)?;
    Ok(if marks.contents {
        Layout::WrappedContents
    } else {
        Layout::WrappedFlat
    })
}

/// What follows the last dot, anywhere in the path.
fn extension(path: &[u8]) -> Option<&[u8]> {
    let dot = path.iter().rposition(|b| *b == b'.')?;
    path.get(dot.saturating_add(1)..)
}

/// The marks that stand in a directory.
///
/// # Errors
/// When it cannot be listed, or not to its end.
pub fn marks_in(dir: &Dir) -> Result<Marks, ReadError> {
    let mut marks = Marks::default();
    dir.each_of(MOST_NAMES, |name, kind| {
        if let Some(kind) = kind.or_else(|| dir.meta(name).ok().map(|m| m.kind)) {
            marks.note(name, kind);
        }
    })?;
    Ok(marks)
}
