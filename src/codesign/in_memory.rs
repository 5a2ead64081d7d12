//! A bundle whose bytes are at hand: for those who have an archive, an upload or a database, and no
//! disk.

use std::collections::{BTreeMap, BTreeSet};

use super::bundle::{
    Automata, BundleEntry, BundleSignature, BundleView, EntryKind, MainExecutable, SealLimits,
    judge, sha1_entries, wants_bytes,
};
use super::check::{FileCheck, Limits, is_macho};
use super::hash::HashType;
use super::signer::Roots;
use super::verdict::CodeFacts;

/// A bundle that is held in memory, to be [judged](Self::judge).
///
/// Paths are relative to the bundle, as in [`BundleEntry::path`]. The directories above what is put
/// in need not be named. What cannot stand in one directory tree (a path with `..`, two things at one
/// path, a file below a file) makes the bundle one that could not be listed whole: its state is
/// `unreadable` at best, never `signed`.
#[derive(Clone, Debug, Default)]
pub struct InMemory<'a> {
    entries: BTreeMap<&'a [u8], Held<'a>>,
    is_impossible: bool,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held<'a> {
    File { bytes: &'a [u8], executable: bool },
    Symlink(&'a [u8]),
    Directory,
}

impl<'a> InMemory<'a> {
    /// A file with its content; `executable` when any of the three execute bits is set.
    pub fn file(&mut self, path: &'a [u8], bytes: &'a [u8], executable: bool) -> &mut Self {
        self.put(path, Held::File { bytes, executable })
    }

    /// A symlink with its text.
    pub fn symlink(&mut self, path: &'a [u8], text: &'a [u8]) -> &mut Self {
        self.put(path, Held::Symlink(text))
    }

    /// A directory, for one that is empty.
    pub fn directory(&mut self, path: &'a [u8]) -> &mut Self {
        self.put(path, Held::Directory)
    }

    fn put(&mut self, path: &'a [u8], held: Held<'a>) -> &mut Self {
        let is_plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
        self.is_impossible |= !path.split(|&b| b == b'/').all(is_plain);
        for (at, _) in path.iter().enumerate().filter(|&(_, &b)| b == b'/') {
            let above = path.get(..at).unwrap_or_default();
            let found = self.entries.entry(above).or_insert(Held::Directory);
            self.is_impossible |= *found != Held::Directory;
        }
        let before = self.entries.insert(path, held);
        self.is_impossible |= before.is_some_and(|before| before != held);
        self
    }

    /// What the bundle's signature is worth.
    ///
    /// `main_executable` and `info_plist` are the paths at which the loader would find them, such as
    /// `Contents/MacOS/NAME` and `Contents/Info.plist`. Chains must end in one of `roots`. Extended
    /// attributes are taken not to be there.
    pub fn judge(
        &self,
        main_executable: &[u8],
        info_plist: &[u8],
        roots: &Roots,
        limits: &SealLimits,
    ) -> BundleSignature {
        let code: BTreeMap<&[u8], CodeFacts> = self
            .files()
            .filter(|(_, bytes)| is_macho(bytes))
            .map(|(path, bytes)| (path, check_bytes(bytes, roots)))
            .collect();
        let paths: Vec<&[u8]> = self.entries.keys().copied().collect();
        let by_sha1: BTreeSet<usize> = self
            .files()
            .filter(|(path, bytes)| wants_bytes(path, len(bytes)))
            .flat_map(|(path, bytes)| sha1_entries(path, bytes, &paths, |path| path))
            .collect();
        let entries: Vec<BundleEntry<'_>> = self
            .entries
            .iter()
            .enumerate()
            .map(|(at, (path, held))| held.entry(path, code.get(path), by_sha1.contains(&at)))
            .collect();
        judge(
            &BundleView {
                entries: &entries,
                complete: !self.is_impossible,
                main_executable: match self.entries.get(main_executable) {
                    Some(Held::File { .. }) => MainExecutable::Inside(main_executable),
                    Some(_) => MainExecutable::Irregular,
                    None => MainExecutable::Missing,
                },
                info_plist: self.entries.contains_key(info_plist).then_some(info_plist),
                resource_fork: false,
                finder_info: false,
            },
            limits,
            &Automata::default(),
        )
    }

    fn files(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.entries.iter().filter_map(|(path, held)| match held {
            Held::File { bytes, .. } => Some((*path, *bytes)),
            _ => None,
        })
    }
}

impl<'a> Held<'a> {
    fn entry(self, path: &'a [u8], code: Option<&'a CodeFacts>, by_sha1: bool) -> BundleEntry<'a> {
        match self {
            Self::File { bytes, executable } => {
                let size = len(bytes);
                let digest = |hash: HashType| hash.digest(bytes);
                BundleEntry {
                    size,
                    executable,
                    sha256: digest(HashType::Sha256).try_into().ok(),
                    sha1: by_sha1
                        .then(|| digest(HashType::Sha1).try_into().ok())
                        .flatten(),
                    bytes: wants_bytes(path, size).then_some(bytes),
                    code,
                    ..BundleEntry::new(path, EntryKind::File)
                }
            }
            Self::Symlink(text) => BundleEntry {
                size: len(text),
                target: Some(text),
                ..BundleEntry::new(path, EntryKind::Symlink)
            },
            Self::Directory => BundleEntry::new(path, EntryKind::Directory),
        }
    }
}

/// What the check of one Mach-O file found, its bytes at hand.
///
/// What belongs to the bundle around it is not judged: for a file that stands by itself, call
/// [`judge_standalone`](CodeFacts::judge_standalone) on it.
pub fn check_bytes(bytes: &[u8], roots: &Roots) -> CodeFacts {
    let mut check = FileCheck::new(len(bytes), roots, Limits::default());
    while let Some(range) = check.wants() {
        let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
        let wanted = bytes.get(at(range.start)..at(range.end));
        check.supply(wanted.unwrap_or_default());
    }
    check.update(bytes);
    check.finish()
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codesign::SignatureState;

    fn state(bundle: &InMemory<'_>) -> SignatureState {
        let limits = SealLimits::default();
        let (executable, info) = (b"Contents/MacOS/A", b"Contents/Info.plist");
        let signature = bundle.judge(executable, info, &Roots::apple(), &limits);
        assert_eq!(signature.sealed.len(), bundle.entries.len());
        signature.state
    }

    #[test]
    fn what_cannot_stand_in_a_tree_is_never_a_whole_bundle() {
        let mut plain = InMemory::default();
        plain.file(b"Contents/Info.plist", b"<plist/>", false);
        plain.file(b"Contents/Info.plist", b"<plist/>", false);
        plain.directory(b"Contents/Empty");
        assert!(!plain.is_impossible);
        assert_eq!(state(&plain), SignatureState::Unsigned);
        type Change<'a> = fn(&mut InMemory<'a>);
        let changes: [Change<'_>; 8] = [
            |b| _ = b.file(b"../Info.plist", b"", false),
            |b| _ = b.file(b"/Contents/Info.plist", b"", false),
            |b| _ = b.file(b"Contents/./Info.plist", b"", false),
            |b| _ = b.file(b"Contents/\0", b"", false),
            |b| _ = b.file(b"", b"", false),
            |b| _ = b.file(b"Contents/Info.plist", b"other", false),
            |b| _ = b.file(b"Contents/Info.plist/below", b"", false),
            |b| _ = b.symlink(b"Contents/Empty", b"elsewhere"),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut bundle = plain.clone();
            change(&mut bundle);
            assert!(bundle.is_impossible, "{number}");
            assert_eq!(state(&bundle), SignatureState::Unreadable, "{number}");
        }
    }
}
