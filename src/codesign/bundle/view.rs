//! The evidence on a bundle: what stands in it, as someone read it from a disk.

use crate::codesign::verdict::CodeFacts;

/// Most bytes of a list of sealed resources (`CodeResources`) that are judged: room for some ten
/// thousand files.
pub const MAX_SEAL_BYTES: u64 = 4 << 20;

/// Most bytes of an Info.plist that are judged.
pub const MAX_INFO_PLIST_BYTES: u64 = 1 << 20;

/// Most bytes of a ticket that are judged: room for the hashes of ten thousand files.
pub(super) const MAX_TICKET_BYTES: u64 = 256 << 10;

/// What an entry of a bundle is, symlinks not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A socket, a FIFO or a device.
    Other,
}

/// One entry of a bundle. All of it is in the hands of whoever wrote the bundle.
#[derive(Clone, Debug)]
pub struct BundleEntry<'a> {
    /// Its path relative to the bundle, as the bytes on disk, without a leading `./`.
    pub path: &'a [u8],
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes.
    pub size: u64,
    /// True when any of the three execute bits is set.
    pub executable: bool,
    /// SHA-256 of a regular file's content; `None` when it could not be read whole.
    pub sha256: Option<[u8; 32]>,
    /// SHA-1 of a regular file's content, for those that [`sha1_entries`](super::seal::sha1_entries)
    /// gives.
    pub sha1: Option<[u8; 20]>,
    /// A symlink's text; `None` when it could not be read.
    pub target: Option<&'a [u8]>,
    /// True when it carries the extended attribute `com.apple.ResourceFork`.
    pub resource_fork: bool,
    /// True when it carries the extended attribute `com.apple.FinderInfo`.
    pub finder_info: bool,
    /// The content, of the files that [`wants_bytes`] asks for.
    pub bytes: Option<&'a [u8]>,
    /// What the check of the file found, for files that [`is_macho`](crate::codesign::is_macho) takes for
    /// Mach-O. The slots that belong to a bundle are not judged in it: no
    /// [`judge_standalone`](CodeFacts::judge_standalone) before.
    pub code: Option<&'a CodeFacts>,
}

impl<'a> BundleEntry<'a> {
    /// An entry of which nothing else is known.
    pub fn new(path: &'a [u8], kind: EntryKind) -> Self {
        Self {
            path,
            kind,
            size: 0,
            executable: false,
            sha256: None,
            sha1: None,
            target: None,
            resource_fork: false,
            finder_info: false,
            bytes: None,
            code: None,
        }
    }
}

/// The main executable of a bundle, as the loader would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MainExecutable<'a> {
    /// A regular file inside of the bundle, at this relative path.
    Inside(&'a [u8]),
    /// It is a symlink, or it is no regular file, or it stands outside of the bundle.
    Irregular,
    /// There is none.
    Missing,
    /// Which it is could not be read.
    Unread,
}

/// A bundle as it was read.
#[derive(Clone, Debug)]
pub struct BundleView<'a> {
    /// Everything in it, at any depth, sorted by path as bytes, each path once.
    pub entries: &'a [BundleEntry<'a>],
    /// False when the enumeration was cut off or a directory could not be listed.
    pub complete: bool,
    /// The main executable.
    pub main_executable: MainExecutable<'a>,
    /// Relative path of the Info.plist that the loader would use.
    pub info_plist: Option<&'a [u8]>,
    /// True when the bundle's own directory carries `com.apple.ResourceFork`.
    pub resource_fork: bool,
    /// True when the bundle's own directory carries `com.apple.FinderInfo`.
    pub finder_info: bool,
}

impl<'a> BundleView<'a> {
    /// The entry at exactly that path, letter case included.
    ///
    /// A Mac's volumes mostly ignore letter case: there the loader would find `contents` where it
    /// asks for `Contents`. A signature must hold on any volume, so that such a name counts as
    /// another one here, and the seal does not hold.
    pub fn find(&self, path: &[u8]) -> Option<(usize, &'a BundleEntry<'a>)> {
        let index = self.entries.binary_search_by(|e| e.path.cmp(path)).ok()?;
        Some((index, self.entries.get(index)?))
    }

    /// The path at which what `path` names really stands, symlinks on the way to it followed, and
    /// not the last component; `None` when they lead out of the bundle or nowhere.
    pub fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.walk(path, false)
    }

    /// The same, with the last component followed too: where a symlink leads in the end.
    pub fn follow(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.walk(path, true)
    }

    fn walk(&self, path: &[u8], last_too: bool) -> Option<Vec<u8>> {
        // `MAXSYMLINKS` of macOS.
        const MOST_LINKS: usize = 32;
        let mut links = 0_usize;
        let mut rest: Vec<&[u8]> = path.split(|&b| b == b'/').rev().collect();
        let mut real: Vec<u8> = Vec::new();
        while let Some(part) = rest.pop() {
            match part {
                b"" | b"." => continue,
                b".." => {
                    if real.is_empty() {
                        return None;
                    }
                    real = split_name(&real).0.to_vec();
                    continue;
                }
                _ => {}
            }
            let next = join(&real, part);
            let (_, entry) = self.find(&next)?;
            if entry.kind != EntryKind::Symlink || rest.is_empty() && !last_too {
                real = next;
                continue;
            }
            links = links.saturating_add(1);
            let target = entry.target?;
            if links > MOST_LINKS || target.starts_with(b"/") {
                return None;
            }
            rest.extend(target.split(|&b| b == b'/').rev());
        }
        Some(real)
    }

    /// The range of the entries below `directory`; all of them for `b""`.
    pub fn below(&self, directory: &[u8]) -> std::ops::Range<usize> {
        if directory.is_empty() {
            return 0..self.entries.len();
        }
        let mut prefix = directory.to_vec();
        prefix.push(b'/');
        let start = self.entries.partition_point(|e| e.path < prefix.as_slice());
        let rest = self.entries.get(start..).unwrap_or_default();
        let count = rest.partition_point(|e| e.path.starts_with(&prefix));
        start..start.saturating_add(count)
    }
}

/// True for the files whose bytes the verdict needs: the parts of a signature that stand in
/// files of their own, notarization tickets, and every Info.plist, of nested bundles too.
///
/// The answer is about one file; the reader has to cap what it keeps in all. A file that was
/// wanted and not kept makes the state `unreadable`, never `signed`.
pub fn wants_bytes(path: &[u8], size: u64) -> bool {
    let (directory, name) = split_name(path);
    let (_, parent) = split_name(directory);
    if parent == b"_CodeSignature" {
        return size <= MAX_SEAL_BYTES;
    }
    if name == b"CodeResources" {
        return size <= MAX_TICKET_BYTES;
    }
    let name = name.to_ascii_lowercase();
    name.starts_with(b"info") && name.ends_with(b".plist") && size <= MAX_INFO_PLIST_BYTES
}

/// A path's directory, `b""` without one, and its last component.
pub(super) fn split_name(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => {
            let (directory, rest) = path.split_at(slash);
            (directory, rest.get(1..).unwrap_or_default())
        }
        None => (b"", path),
    }
}

/// `directory` and `name` joined by a slash; `name` alone when `directory` is `b""`.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    [directory, name].join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_within_the_view_alone() {
        let link = |path: &'static str, target: &'static str| BundleEntry {
            target: Some(target.as_bytes()),
            ..BundleEntry::new(path.as_bytes(), EntryKind::Symlink)
        };
        let plain = |path: &'static str, kind| BundleEntry::new(path.as_bytes(), kind);
        let mut entries = [
            link("Resources", "Versions/Current/Resources"),
            plain("Versions", EntryKind::Directory),
            link("Versions/Current", "A"),
            plain("Versions/A", EntryKind::Directory),
            plain("Versions/A/Resources", EntryKind::Directory),
            plain("Versions/A/Resources/Info.plist", EntryKind::File),
            link("Versions/A/Resources/last", "Info.plist"),
            link("loop", "loop/x"),
            link("out", "../x"),
            link("root", "/etc"),
        ];
        entries.sort_by(|a, b| a.path.cmp(b.path));
        let view = BundleView {
            entries: &entries,
            complete: true,
            main_executable: MainExecutable::Missing,
            info_plist: None,
            resource_fork: false,
            finder_info: false,
        };
        let resolve = |path: &str| view.resolve(path.as_bytes());
        let info = b"Versions/A/Resources/Info.plist".to_vec();
        assert_eq!(resolve("Resources/Info.plist"), Some(info.clone()));
        assert_eq!(
            resolve("./Versions/Current/../A//Resources/Info.plist"),
            Some(info)
        );
        assert_eq!(
            resolve("Resources/last"),
            Some(b"Versions/A/Resources/last".to_vec())
        );
        for path in ["loop/x", "out/x", "root/passwd", "Resources/none", "../x"] {
            assert_eq!(resolve(path), None, "{path}");
        }
        assert_eq!(view.below(b"Versions").len(), 5);
        assert_eq!(view.below(b"").len(), entries.len());
        assert_eq!(view.below(b"Version").len(), 0);
    }

    #[test]
    fn parts_of_a_signature_and_info_plists_are_wanted() {
        for path in [
            "Contents/Info.plist",
            "Info.plist",
            "x/INFO-macos.plist",
            "Contents/_CodeSignature/CodeResources",
            "_CodeSignature/CodeDirectory",
            "Contents/PlugIns/a.bundle/Contents/CodeResources",
            "CodeResources",
        ] {
            assert!(wants_bytes(path.as_bytes(), 100), "{path}");
            assert!(!wants_bytes(path.as_bytes(), MAX_SEAL_BYTES + 1), "{path}");
        }
        for path in [
            "Contents/x_CodeSignature/CodeDirectory",
            "a/b.plist",
            "Contents/coderesources",
        ] {
            assert!(!wants_bytes(path.as_bytes(), 100), "{path}");
        }
    }
}
