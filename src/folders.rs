//! The plug-in folders, and what stands in them that the loader, or a person, would take for a plug-in.
//!
//! The loader asks CoreFoundation for resources of type `dsplug` and treats the folder itself as
//! a bundle, so that `Contents/Resources`, `Resources`, `Support Files/Resources` or a `.lproj` in
//! it can hold what loads. An attacker may use any of them, or a link in their place.

use std::collections::BTreeMap;

use crate::directory::{Dir, ReadError};
use crate::limits::Limits;
use crate::meta::{Kind, Meta, WritableBy};
use crate::name::{self, Suffix};
use crate::root::{Found, Root};
use crate::text::escape;

/// The folders that are looked at: that of `dspluginhelperd` (macOS 10.7 and later), and the
/// system's own of `DirectoryService` (macOS 10.6 and earlier, which read both).
pub const FOLDERS: &[&str] = &[
    "/Library/DirectoryServices/PlugIns",
    "/System/Library/Frameworks/DirectoryService.framework/Resources/Plugins",
];

/// Where in a plug-in folder a candidate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// In the folder itself.
    TopLevel,
    /// In `Contents/Resources`.
    ContentsResources,
    /// In `Resources`.
    Resources,
    /// In `Support Files/Resources`.
    SupportFiles,
    /// In a `.lproj` where localized resources are looked for.
    Lproj,
    /// Anywhere else: the loader does not look there.
    Nested,
}

impl Via {
    /// Every place.
    pub const ALL: [Self; 6] = [
        Self::TopLevel,
        Self::ContentsResources,
        Self::Resources,
        Self::SupportFiles,
        Self::Lproj,
        Self::Nested,
    ];

    /// The word for it, as the tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TopLevel => "top_level",
            Self::ContentsResources => "contents_resources",
            Self::Resources => "resources",
            Self::SupportFiles => "support_files",
            Self::Lproj => "lproj",
            Self::Nested => "nested",
        }
    }
}

/// Whether the loader's enumeration lists a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listed {
    /// It does.
    Yes,
    /// It does when the user's language is that of the `.lproj`.
    ForItsLanguage,
    /// It does not.
    No,
}

/// Something that stands in a plug-in folder and looks like a plug-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where, as a path of the Mac through the plug-in folder.
    pub path: Vec<u8>,
    /// Where in the folder.
    pub via: Via,
    /// How its name ends.
    pub suffix: Suffix,
    /// Whether the loader's enumeration lists it, its name apart.
    pub listed: Listed,
    /// The plug-in folder that it belongs to, an index into [`FOLDERS`].
    pub folder: usize,
    /// The weakest of the folder and the directories between it and the candidate.
    pub ancestors_writable_by: WritableBy,
    /// Which layout the loader would read the folder by.
    pub layout: Layout,
}

/// How CoreFoundation reads a plug-in folder as a bundle (`_CFBundleGetBundleVersionForURL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Nothing special: the top level.
    Flat,
    /// There is a `Contents`: `Contents/Resources` instead of the top level.
    Contents,
    /// There is a `Resources`: it, and the top level if it has none.
    Resources,
    /// There is a `Support Files`: `Support Files/Resources`.
    SupportFiles,
}

/// One plug-in folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its path.
    pub path: &'static str,
    /// True when a directory stands there, links followed.
    pub exists: bool,
    /// Where it really stands.
    pub resolved_path: Vec<u8>,
    /// What stands there, the last link followed.
    pub meta: Option<Meta>,
    /// Who can write it.
    pub writable_by: WritableBy,
    /// Number of its entries.
    pub entries: usize,
    /// Number of its candidates.
    pub candidates: usize,
    /// What is unusual, in words, sorted.
    pub anomalies: Vec<&'static str>,
    /// Why it could not be listed, or what of it was cut off.
    pub error: Option<FolderError>,
}

/// Why a plug-in folder is not known whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderError {
    /// It is there, and it cannot be listed. Every query on the bundles must fail.
    Unreadable(ReadError),
    /// It holds more than the limits allow: what was found stands.
    Limit(&'static str),
    /// One entry of it cannot be looked at: what was found beside it stands.
    Entry(ReadError),
    /// A volume is mounted in it, and was not searched.
    Mount(Vec<u8>),
}

impl std::fmt::Display for FolderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) | Self::Entry(error) => write!(f, "unreadable: {error}"),
            Self::Mount(path) => {
                let path = escape(path);
                write!(
                    f,
                    "mount: a volume is mounted at {path} and was not searched"
                )
            }
            Self::Limit(what) => write!(f, "limit: {what}"),
        }
    }
}

/// Lists one plug-in folder, by its index in [`FOLDERS`].
pub fn list(root: &Root, index: usize, limits: &Limits) -> (Folder, Vec<Candidate>) {
    let path = FOLDERS.get(index).copied().unwrap_or_default();
    let mut folder = Folder {
        path,
        exists: false,
        resolved_path: Vec::new(),
        meta: None,
        writable_by: WritableBy::Root,
        entries: 0,
        candidates: 0,
        anomalies: Vec::new(),
        error: None,
    };
    let mut finder = Finder {
        root,
        limits,
        index,
        entries: 0,
        found: BTreeMap::new(),
        anomalies: Vec::new(),
        cut: None,
    };
    match finder.run(path, &mut folder) {
        // Absent, or a link to nothing: the loader finds nothing there either.
        Err(error) if error.leads_nowhere() && folder.meta.is_none() => {
            if root.find_entry(path.as_bytes()).is_ok() {
                finder.anomalies.push("broken_symlink");
            }
        }
        Err(error) => folder.error = Some(FolderError::Unreadable(error)),
        Ok(()) => folder.error = finder.cut.take(),
    }
    folder.anomalies = finder.anomalies;
    folder.anomalies.sort_unstable();
    folder.anomalies.dedup();
    folder.candidates = finder.found.len();
    (folder, finder.found.into_values().collect())
}

/// The search through one plug-in folder.
struct Finder<'a> {
    root: &'a Root,
    limits: &'a Limits,
    index: usize,
    entries: usize,
    found: BTreeMap<Vec<u8>, Candidate>,
    anomalies: Vec<&'static str>,
    /// The first thing of it that is not known.
    cut: Option<FolderError>,
}

/// A directory of the folder that is being searched.
struct Place {
    /// Its path through the plug-in folder.
    path: Vec<u8>,
    via: Via,
    listed: Listed,
    writable_by: WritableBy,
    layout: Layout,
    /// The device that it stands on, which is not left.
    device: u64,
}

impl Finder<'_> {
    fn run(&mut self, path: &str, folder: &mut Folder) -> Result<(), ReadError> {
        let found = self.root.find(path.as_bytes())?;
        folder.exists = found.meta.kind == Kind::Directory;
        folder.resolved_path = found.path();
        folder.meta = Some(found.meta);
        folder.writable_by = WritableBy::of(&found.meta);
        if found.links > 0 && self.goes_through_foreign_link(path) {
            self.anomalies.push("symlinked");
        }
        if folder.writable_by > WritableBy::Root {
            self.anomalies.push("writable");
        }
        let dir = found.open_dir()?;
        let (names, more) = dir.names(self.limits.folder_entries)?;
        folder.entries = names.len();
        if more {
            self.cut(FolderError::Limit(
                "the folder has more entries than are read",
            ));
        }
        let special = self.special(&dir, &names, path.as_bytes())?;
        let layout = if special.contents.is_some() {
            Layout::Contents
        } else if special.resources.is_some() {
            Layout::Resources
        } else if special.support_files.is_some() {
            Layout::SupportFiles
        } else {
            Layout::Flat
        };
        let place = |path: Vec<u8>, via, listed| Place {
            path,
            via,
            listed,
            writable_by: folder.writable_by,
            layout,
            device: found.meta.dev,
        };
        let if_layout = |l: Layout| {
            if l == layout { Listed::Yes } else { Listed::No }
        };
        // Where the loader looks. These follow links, as it does.
        if let Some(contents) = special.contents {
            let listed = if_layout(Layout::Contents);
            self.resource_directory(place(
                join(&contents, b"Resources"),
                Via::ContentsResources,
                listed,
            ))?;
        }
        if let Some(resources) = special.resources {
            let listed = if_layout(Layout::Resources);
            self.resource_directory(place(resources, Via::Resources, listed))?;
        }
        if let Some(support) = special.support_files {
            let listed = if_layout(Layout::SupportFiles);
            let path = join(&support, b"Resources");
            self.resource_directory(place(path, Via::SupportFiles, listed))?;
        }
        // The top level is read when it is plain, and when `Resources` has nothing that loads.
        let resources_have_some = self
            .found
            .values()
            .any(|c| c.via == Via::Resources && c.suffix == Suffix::Exact);
        let top = match layout {
            Layout::Flat => Listed::Yes,
            Layout::Resources if !resources_have_some => Listed::Yes,
            _ => Listed::No,
        };
        let top = place(path.as_bytes().to_vec(), Via::TopLevel, top);
        self.localized(&dir, &names, &top)?;
        self.search(&dir, &names, &top, 0)
    }

    /// Where a path of the folder leads; `None` when that is nowhere, or further than is followed:
    /// one link of an attacker's must not keep all else from being shown.
    fn reach(&mut self, path: &[u8]) -> Result<Option<Found>, ReadError> {
        match self.root.find(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.leads_nowhere() => Ok(None),
            Err(error) if error.is_limit() => {
                self.cut(FolderError::Limit(
                    "a link in the folder leads further than is followed",
                ));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Something of the folder is not known: the first is told.
    fn cut(&mut self, why: FolderError) {
        self.cut.get_or_insert(why);
    }

    /// Searches one of the directories in which the loader looks for resources.
    fn resource_directory(&mut self, mut place: Place) -> Result<(), ReadError> {
        let Some(found) = self.reach(&place.path)? else {
            return Ok(());
        };
        if found.meta.kind != Kind::Directory {
            return Ok(());
        }
        place.writable_by = place.writable_by.max(WritableBy::of(&found.meta));
        place.device = found.meta.dev;
        let dir = match found.open_dir() {
            Ok(dir) => dir,
            Err(error) if error.leads_nowhere() => return Ok(()),
            Err(error) => return Err(error),
        };
        let (names, more) = dir.names(self.limits.folder_entries)?;
        if more {
            self.cut(FolderError::Limit(
                "a directory of the folder has more entries than are read",
            ));
        }
        self.localized(&dir, &names, &place)?;
        self.search(&dir, &names, &place, 1)
    }

    /// Searches the `.lproj` directories of a resource directory.
    fn localized(&mut self, dir: &Dir, names: &[Vec<u8>], of: &Place) -> Result<(), ReadError> {
        for name in names.iter().filter(|n| name::has_suffix(n, b".lproj")) {
            let listed = match of.listed {
                Listed::No => Listed::No,
                _ if name.eq_ignore_ascii_case(b"Base.lproj") => Listed::Yes,
                _ => Listed::ForItsLanguage,
            };
            let path = join(&of.path, name);
            let is_link = dir.meta(name).is_ok_and(|m| m.kind == Kind::Symlink);
            let Some(found) = self.reach(&path)? else {
                continue;
            };
            if found.meta.kind != Kind::Directory {
                continue;
            }
            self.anomalies.push("lproj");
            if is_link {
                self.anomalies.push("symlinked_lproj");
            }
            let place = Place {
                path,
                via: Via::Lproj,
                listed,
                writable_by: of.writable_by.max(WritableBy::of(&found.meta)),
                layout: of.layout,
                device: found.meta.dev,
            };
            let lproj = found.open_dir()?;
            let (names, _) = lproj.names(self.limits.folder_entries)?;
            self.search(&lproj, &names, &place, 1)?;
        }
        Ok(())
    }

    /// Takes the candidates of an open directory and searches the directories below it, links
    /// not followed. What another search has found already keeps its place.
    fn search(
        &mut self,
        dir: &Dir,
        names: &[Vec<u8>],
        place: &Place,
        depth: usize,
    ) -> Result<(), ReadError> {
        for name in names {
            self.entries = self.entries.saturating_add(1);
            if self.entries > self.limits.folder_entries {
                self.cut(FolderError::Limit(
                    "the folder holds more entries than are searched",
                ));
                return Ok(());
            }
            let path = join(&place.path, name);
            let suffix = name::suffix(name);
            if suffix != Suffix::Other {
                self.take(path, suffix, place);
                continue;
            }
            let kind = match dir.meta(name) {
                Ok(meta) => meta,
                Err(error) if error.leads_nowhere() => continue,
                Err(error) => {
                    self.cut(FolderError::Entry(error));
                    continue;
                }
            };
            if depth == 0 && !is_expected(name) {
                self.anomalies.push("other_entries");
            }
            if kind.kind != Kind::Directory {
                continue;
            }
            if kind.dev != place.device {
                self.anomalies.push("mount");
                self.cut(FolderError::Mount(path));
                continue;
            }
            if depth >= self.limits.depth {
                self.cut(FolderError::Limit("the folder is deeper than is searched"));
                continue;
            }
            let below = match dir.open_dir(name) {
                Ok(below) => below,
                Err(error) if error.leads_nowhere() => continue,
                Err(error) => {
                    self.cut(FolderError::Entry(error));
                    continue;
                }
            };
            let (names, more) = match below.names(self.limits.folder_entries) {
                Ok(listed) => listed,
                Err(error) => {
                    self.cut(FolderError::Entry(error));
                    continue;
                }
            };
            if more {
                self.cut(FolderError::Limit(
                    "a directory of the folder has more entries than are read",
                ));
            }
            let nested = Place {
                path,
                via: Via::Nested,
                listed: Listed::No,
                writable_by: place.writable_by.max(WritableBy::of(&kind)),
                layout: place.layout,
                device: place.device,
            };
            self.search(&below, &names, &nested, depth.saturating_add(1))?;
        }
        Ok(())
    }

    fn take(&mut self, path: Vec<u8>, suffix: Suffix, place: &Place) {
        if self.found.contains_key(&path) {
            return;
        }
        if self.found.len() >= self.limits.candidates {
            self.cut(FolderError::Limit(
                "the folder holds more candidates than are read",
            ));
            return;
        }
        match suffix {
            Suffix::Exact => {}
            Suffix::OtherCase => self.anomalies.push("letter_case"),
            _ => self.anomalies.push("look_alike"),
        }
        if place.via == Via::Nested {
            self.anomalies.push("nested");
        }
        let candidate = Candidate {
            path: path.clone(),
            via: place.via,
            suffix,
            listed: place.listed,
            folder: self.index,
            ancestors_writable_by: place.writable_by,
            layout: place.layout,
        };
        self.found.insert(path, candidate);
    }

    /// The directories whose presence changes how the folder is read.
    fn special(
        &mut self,
        dir: &Dir,
        names: &[Vec<u8>],
        folder: &[u8],
    ) -> Result<Special, ReadError> {
        let mut find = |wanted: &[u8], word, link_word| {
            let Some(name) = names.iter().find(|n| n.eq_ignore_ascii_case(wanted)) else {
                return Ok(None);
            };
            let path = join(folder, name);
            let Some(found) = self.reach(&path)? else {
                return Ok(None);
            };
            if dir.meta(name)?.kind == Kind::Symlink {
                self.anomalies.push(link_word);
            }
            if found.meta.kind != Kind::Directory {
                return Ok(None);
            }
            self.anomalies.push(word);
            Ok(Some(path))
        };
        Ok(Special {
            contents: find(b"Contents", "contents", "symlinked_contents")?,
            resources: find(b"Resources", "resources", "symlinked_resources")?,
            support_files: find(b"Support Files", "support_files", "symlinked_support_files")?,
        })
    }

    /// True when a link on the way to the folder is not one of a framework's own
    /// (`Resources` → `Versions/Current/Resources` → `Versions/A/Resources`).
    fn goes_through_foreign_link(&self, path: &str) -> bool {
        let Some((framework, below)) = path.split_once(".framework/") else {
            return true;
        };
        let framework = format!("{framework}.framework");
        let plain = |p: &str| {
            self.root
                .find(p.as_bytes())
                .is_ok_and(|f| f.links == 0 && f.meta.kind == Kind::Directory)
        };
        let versions = format!("{framework}/Versions/A/{below}");
        !(plain(&framework) && plain(&versions))
    }
}

/// The paths of the special directories that are there.
struct Special {
    contents: Option<Vec<u8>>,
    resources: Option<Vec<u8>>,
    support_files: Option<Vec<u8>>,
}

/// Names that a plug-in folder may hold without a word: what Finder leaves, and what is
/// reported by words of its own.
fn is_expected(name: &[u8]) -> bool {
    name == b".DS_Store"
        || name == b".localized"
        || name::has_suffix(name, b".lproj")
        || [b"Contents".as_slice(), b"Resources", b"Support Files"]
            .iter()
            .any(|special| name.eq_ignore_ascii_case(special))
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}
