//! A real directory read into the evidence that the judgement takes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dsplug::codesign::{
    Automata, BundleEntry, BundleSignature, BundleView, CodeFacts, EntryKind, FileCheck, Limits,
    MainExecutable, Roots, SealLimits, is_macho, judge, sha1_entries, wants_bytes,
};
use dsplug_fixtures::signature::{SHA1, SHA256, digest};

/// What was read of one entry.
pub struct Owned {
    pub path: Vec<u8>,
    kind: EntryKind,
    executable: bool,
    content: Vec<u8>,
    code: Option<CodeFacts>,
    pub resource_fork: bool,
    pub finder_info: bool,
    pub readable: bool,
}

/// What was read of a bundle.
pub struct Loaded {
    pub entries: Vec<Owned>,
    pub complete: bool,
    pub executable: Option<String>,
    pub executable_irregular: bool,
    pub info_plist: Option<String>,
    pub finder_info: bool,
}

/// Reads a bundle, its main executable and Info.plist named.
pub fn load(root: &Path, executable: &str, info_plist: &str, roots: &Roots) -> Loaded {
    let mut entries: Vec<Owned> = walkdir::WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path();
            let kind = entry.file_type();
            let (kind, content) = if kind.is_file() {
                (EntryKind::File, fs::read(path).unwrap())
            } else if kind.is_symlink() {
                let target = fs::read_link(path).unwrap();
                (EntryKind::Symlink, target.as_os_str().as_bytes().to_vec())
            } else if kind.is_dir() {
                (EntryKind::Directory, Vec::new())
            } else {
                (EntryKind::Other, Vec::new())
            };
            let is_code = kind == EntryKind::File && is_macho(&content[..content.len().min(8)]);
            Owned {
                path: path
                    .strip_prefix(root)
                    .unwrap()
                    .as_os_str()
                    .as_bytes()
                    .to_vec(),
                kind,
                executable: entry.metadata().unwrap().permissions().mode() & 0o111 != 0,
                code: is_code.then(|| check(&content, roots)),
                content,
                resource_fork: false,
                finder_info: false,
                readable: true,
            }
        })
        .collect();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let path = |path: &str| {
        root.join(path)
            .symlink_metadata()
            .is_ok()
            .then(|| path.to_owned())
    };
    Loaded {
        entries,
        complete: true,
        executable: path(executable),
        executable_irregular: false,
        info_plist: path(info_plist),
        finder_info: false,
    }
}

fn check(bytes: &[u8], roots: &Roots) -> CodeFacts {
    let mut check = FileCheck::new(
        u64::try_from(bytes.len()).unwrap(),
        roots,
        Limits::default(),
    );
    while let Some(range) = check.wants() {
        let index = |offset| usize::try_from(offset).unwrap();
        check.supply(&bytes[index(range.start)..index(range.end)]);
    }
    check.update(bytes);
    check.finish()
}

impl Loaded {
    /// The entry at a path.
    pub fn at(&mut self, path: &str) -> &mut Owned {
        self.entries
            .iter_mut()
            .find(|e| e.path == path.as_bytes())
            .unwrap_or_else(|| panic!("no entry {path}"))
    }

    /// The verdict, within limits.
    pub fn judge(&self, limits: &SealLimits) -> BundleSignature {
        let is_seal = |e: &&Owned| e.path.ends_with(b"_CodeSignature/CodeResources");
        let wanted: BTreeSet<usize> = self
            .entries
            .iter()
            .filter(is_seal)
            .flat_map(|e| sha1_entries(&e.path, &e.content, &self.entries, |e| &e.path))
            .collect();
        let entries = self.entries.iter().enumerate();
        let entries: Vec<BundleEntry<'_>> = entries
            .map(|(number, e)| view(e, wanted.contains(&number)))
            .collect();
        let executable = self.executable.as_deref().map(str::as_bytes);
        let view = BundleView {
            entries: &entries,
            complete: self.complete,
            main_executable: match executable {
                _ if self.executable_irregular => MainExecutable::Irregular,
                Some(path) => match self.entries.iter().find(|e| e.path == path) {
                    Some(e) if e.kind == EntryKind::File => MainExecutable::Inside(path),
                    _ => MainExecutable::Irregular,
                },
                None => MainExecutable::Missing,
            },
            info_plist: self.info_plist.as_deref().map(str::as_bytes),
            resource_fork: false,
            finder_info: self.finder_info,
        };
        judge(&view, limits, &Automata::default())
    }
}

fn view(entry: &Owned, sha1: bool) -> BundleEntry<'_> {
    let size = u64::try_from(entry.content.len()).unwrap();
    let is_file = entry.kind == EntryKind::File && entry.readable;
    BundleEntry {
        size,
        executable: entry.executable,
        sha256: is_file.then(|| digest(SHA256, &entry.content).try_into().unwrap()),
        sha1: (is_file && sha1).then(|| digest(SHA1, &entry.content).try_into().unwrap()),
        target: (entry.kind == EntryKind::Symlink && entry.readable)
            .then_some(entry.content.as_slice()),
        resource_fork: entry.resource_fork,
        finder_info: entry.finder_info,
        bytes: (is_file && wants_bytes(&entry.path, size)).then_some(entry.content.as_slice()),
        code: entry.code.as_ref(),
        ..BundleEntry::new(&entry.path, entry.kind)
    }
}
