//! A plug-in folder, and a candidate in it.

use std::collections::BTreeSet;

use super::anomaly::Anomaly;
use crate::directory::ReadError;
use crate::meta::{Meta, WritableBy};
use crate::name::{Suffix, suffix};
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
    /// In `Contents/Resources`, a wrapped bundle's as well.
    ContentsResources,
    /// In `Resources`, or in a flat bundle that is wrapped.
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
    /// It may: the order of the disk decides, or not all of what decides could be read.
    Maybe,
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
    /// The plug-in folder that it belongs to, an index into `FOLDERS`.
    pub folder: usize,
    /// The weakest of the folder and the directories between it and the candidate.
    pub ancestors_writable_by: WritableBy,
    /// True when another stands beside it whose name differs in letter case or in Unicode's form alone.
    pub is_double: bool,
    /// True when the loader may name it by a path with nothing between two slashes, of which `..` takes away that.
    pub has_empty_names: bool,
    /// What was left out of the folder, when this stands for the folder itself; else empty.
    pub left_out: Vec<FolderError>,
}

impl Candidate {
    /// What somebody asks for by its path, which stands below that folder: whether the loader lists it is not asked.
    pub fn asked_for(folder: usize, path: Vec<u8>) -> Self {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        Self {
            suffix: suffix(name),
            path,
            via: Via::TopLevel,
            listed: Listed::Maybe,
            folder,
            ancestors_writable_by: WritableBy::Root,
            is_double: false,
            has_empty_names: false,
            left_out: Vec::new(),
        }
    }

    /// True where it stands in a plug-in folder on the system's volume.
    pub fn is_of_the_system(&self) -> bool {
        let folder = FOLDERS.get(self.folder);
        folder.is_some_and(|folder| folder.starts_with("/System/"))
    }

    /// What an earlier process knew by its path; nothing where that is below no plug-in folder.
    pub fn remembered(path: &[u8]) -> Option<Self> {
        let below = |folder: &&str| {
            let rest = path.strip_prefix(folder.as_bytes())?;
            rest.strip_prefix(b"/").filter(|name| !name.is_empty())
        };
        let mut folders = FOLDERS.iter().enumerate();
        let (folder, name) = folders.find_map(|(at, folder)| Some((at, below(folder)?)))?;
        let via = match name.contains(&b'/') {
            true => Via::Nested,
            false => Via::TopLevel,
        };
        Some(Self {
            via,
            ..Self::asked_for(folder, path.to_vec())
        })
    }
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
    /// Half of a SHA-256 over what the file system says of the directories that it stands in, the first left out:
    /// anybody's installer writes in `/Library`.
    pub way: Option<[u8; 16]>,
    /// Number of its entries.
    pub entries: usize,
    /// Number of its candidates.
    pub candidates: usize,
    /// The directories of which the loader lists something, or may: what comes in them may load.
    pub listed_in: Vec<Vec<u8>>,
    /// What is unusual.
    pub anomalies: BTreeSet<Anomaly>,
    /// Why it could not be listed, or what of it was cut off.
    pub error: Option<FolderError>,
}

impl Folder {
    /// The words for what is unusual, in order.
    pub fn words(&self, between: &str) -> String {
        let words: Vec<&str> = self.anomalies.iter().map(|a| a.as_str()).collect();
        words.join(between)
    }
}

/// Why a plug-in folder is not known whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderError {
    /// It is there, and it cannot be listed. Every query on the bundles must fail.
    Unreadable(ReadError),
    /// One entry of it cannot be looked at: what was found beside it stands.
    Entry(ReadError),
    /// A volume is mounted in it, and was not searched.
    Mount(Vec<u8>),
    /// A volume is mounted over it, or on the way to it, or may be: others may be shown something else.
    Covered,
    /// It holds more than the limits allow: what was found stands.
    Limit(String),
}

impl std::fmt::Display for FolderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) | Self::Entry(error) => write!(f, "unreadable: {error}"),
            Self::Covered => f.write_str(
                "mount: another volume is on the way to it, or may be, and may show each who asks another thing",
            ),
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
