//! The layout of a bundle: where its seal begins, and what may stand around what it covers.
//!
//! Sources: `BundleDiskRep::setup` and `validateFrameworkRoot`, `bundlediskrep.cpp` of Apple; the
//! names are CoreFoundation's (`CFBundle.c`).

use super::view::{BundleEntry, BundleView, EntryKind, MainExecutable, join, split_name};
use crate::codesign::verdict::ProblemCode;
use crate::property_list::{self, Bounds, Dictionary, Value};

/// Bounds on an Info.plist.
const INFO_BOUNDS: Bounds = Bounds {
    depth: 32,
    values: 200_000,
    text: 2 << 20,
};

/// How a bundle is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Everything stands in `Contents`.
    Deep,
    /// Everything stands in `Support Files`, as it did before Mac OS X 10.2.
    SupportFiles,
    /// Everything stands at the root.
    Flat,
    /// Everything stands in a folder of `Versions`, as in a framework.
    Versioned,
}

/// One bundle within a view.
#[derive(Clone, Debug)]
pub(super) struct Layout<'v> {
    pub form: Form,
    /// The bundle's own directory; `b""` for the whole view.
    pub root: Vec<u8>,
    /// The folder that the seal covers, and in which `_CodeSignature` stands.
    pub base: Vec<u8>,
    /// The folder of resources relative to [`base`](Self::base), with its slash: `Resources/`, or
    /// `""` in a flat bundle that has none.
    pub resources: &'static str,
    pub info_plist: Option<Vec<u8>>,
    pub executable: MainExecutable<'v>,
    pub resource_fork: bool,
    pub finder_info: bool,
}

impl<'v> Layout<'v> {
    /// The layout of the whole view, with the executable and the Info.plist that the view names.
    pub fn of_view(view: &BundleView<'v>) -> Self {
        let (form, base) = form(view, b"");
        Self {
            resources: resources(view, form, &base),
            form,
            root: Vec::new(),
            base,
            // In a versioned bundle the loader comes to it by the links at the root.
            info_plist: view
                .info_plist
                .map(|path| view.resolve(path).unwrap_or_else(|| path.to_vec())),
            executable: view.main_executable,
            resource_fork: view.resource_fork,
            finder_info: view.finder_info,
        }
    }

    /// The layout of the bundle in a directory of the view, as CoreFoundation would see it.
    pub fn of_directory(view: &BundleView<'v>, root: &[u8]) -> Self {
        let (form, base) = form(view, root);
        let entry = view.find(root).map(|(_, entry)| entry);
        let info_plist = info_plist(view, form, &base);
        Self {
            resources: resources(view, form, &base),
            form,
            executable: executable(view, root, &base, info_plist.as_deref()),
            root: root.to_vec(),
            base,
            info_plist,
            resource_fork: entry.is_some_and(|e| e.resource_fork),
            finder_info: entry.is_some_and(|e| e.finder_info),
        }
    }

    /// What stands around the sealed folder and may not: a code, a path, and why.
    pub fn check(&self, view: &BundleView<'v>) -> Vec<Stray> {
        match self.form {
            Form::Flat => Vec::new(),
            Form::Deep | Form::SupportFiles => self.check_root(view),
            Form::Versioned => self.check_versions(view),
        }
    }

    /// The root beside the one folder in which everything stands.
    fn check_root(&self, view: &BundleView<'v>) -> Vec<Stray> {
        let mut stray = Vec::new();
        for (index, entry) in children(view, &self.root) {
            let name = split_name(entry.path).1;
            let why = if entry.path == self.base {
                (entry.kind != EntryKind::Directory).then_some("is no directory")
            } else {
                let allowed = matches!(
                    name,
                    b".LSOverride" | b".DS_Store" | b"Icon\r" | b".SoftwareDepot.tracking"
                );
                match entry.kind {
                    EntryKind::File if allowed && is_harmless(entry) => None,
                    EntryKind::File if allowed => Some("is executable"),
                    _ => Some("stands beside what is sealed"),
                }
            };
            stray.extend(why.map(|why| Stray::new(index, entry, why)));
        }
        stray
    }

    /// The root of a versioned bundle, where only links into the current version may stand.
    fn check_versions(&self, view: &BundleView<'v>) -> Vec<Stray> {
        let current = split_name(&self.base).1;
        let versions = join(&self.root, b"Versions");
        let mut stray = Vec::new();
        for (index, entry) in children(view, &self.root) {
            let name = split_name(entry.path).1;
            let fine = match entry.kind {
                EntryKind::Directory => name == b"Versions",
                EntryKind::Symlink => entry.target.is_some_and(|target| {
                    let target = target.strip_prefix(b"./").unwrap_or(target);
                    target == join(&join(b"Versions", b"Current"), name)
                        || target == join(&join(b"Versions", current), name)
                }),
                EntryKind::File => {
                    matches!(name, b".DS_Store" | b"module.map") && is_harmless(entry)
                }
                EntryKind::Other => false,
            };
            if !fine {
                stray.push(Stray::new(
                    index,
                    entry,
                    "is no link into the current version",
                ));
            }
        }
        for (index, entry) in children(view, &versions) {
            let name = split_name(entry.path).1;
            let fine = match entry.kind {
                EntryKind::Directory => name != b"Current",
                EntryKind::Symlink => name == b"Current",
                EntryKind::File => name == b".DS_Store" && is_harmless(entry),
                EntryKind::Other => false,
            };
            if !fine {
                stray.push(Stray::new(index, entry, "is no version"));
            }
        }
        stray
    }

    /// The directories of the versions that are not the current one.
    pub fn other_versions(&self, view: &BundleView<'v>) -> Vec<Vec<u8>> {
        if self.form != Form::Versioned {
            return Vec::new();
        }
        children(view, &join(&self.root, b"Versions"))
            .filter(|(_, e)| e.kind == EntryKind::Directory && e.path != self.base)
            .map(|(_, e)| e.path.to_vec())
            .collect()
    }
}

/// Something that stands where nothing may.
#[derive(Clone, Debug)]
pub(super) struct Stray {
    pub index: usize,
    pub path: Vec<u8>,
    pub code: ProblemCode,
    pub why: &'static str,
}

impl Stray {
    fn new(index: usize, entry: &BundleEntry<'_>, why: &'static str) -> Self {
        let name = split_name(entry.path).1;
        Self {
            index,
            path: entry.path.to_vec(),
            code: if name.starts_with(b"._") && entry.kind == EntryKind::File {
                ProblemCode::AppleDouble
            } else {
                ProblemCode::BundleLayout
            },
            why,
        }
    }
}

/// Neither executable, as Apple asks, nor code that something could load.
fn is_harmless(entry: &BundleEntry<'_>) -> bool {
    !entry.executable && entry.code.is_none()
}

/// The entries that stand directly in `directory`.
fn children<'v>(
    view: &BundleView<'v>,
    directory: &[u8],
) -> impl Iterator<Item = (usize, &'v BundleEntry<'v>)> {
    let range = view.below(directory);
    let skip = if directory.is_empty() {
        0
    } else {
        directory.len().saturating_add(1)
    };
    let start = range.start;
    let entries = view.entries.get(range).unwrap_or_default();
    (start..)
        .zip(entries)
        .filter(move |(_, e)| !e.path.get(skip..).unwrap_or_default().contains(&b'/'))
}

/// The form of the bundle at `root`, and the folder that its seal covers.
fn form(view: &BundleView<'_>, root: &[u8]) -> (Form, Vec<u8>) {
    let contents = join(root, b"Contents");
    if view.find(&contents).is_some() {
        return (Form::Deep, contents);
    }
    let has_resources = view.find(&join(root, b"Resources")).is_some();
    let support = join(root, b"Support Files");
    if !has_resources && view.find(&support).is_some() {
        return (Form::SupportFiles, support);
    }
    let versions = join(root, b"Versions");
    let current = view
        .find(&join(&versions, b"Current"))
        .and_then(|(_, entry)| entry.target)
        .map(|target| target.strip_prefix(b"./").unwrap_or(target))
        .map(|target| target.strip_suffix(b"/").unwrap_or(target))
        .filter(|name| !matches!(*name, b"" | b"." | b".." | b"Current") && !name.contains(&b'/'))
        .map(|name| join(&versions, name));
    match current.filter(|path| is_directory(view, path)) {
        Some(base) => (Form::Versioned, base),
        None => (Form::Flat, root.to_vec()),
    }
}

fn is_directory(view: &BundleView<'_>, path: &[u8]) -> bool {
    view.find(path)
        .is_some_and(|(_, e)| e.kind == EntryKind::Directory)
}

/// Source: `BundleDiskRep::resourcesRelativePath`, `bundlediskrep.cpp` of Apple.
fn resources(view: &BundleView<'_>, form: Form, base: &[u8]) -> &'static str {
    match form {
        Form::Deep | Form::SupportFiles => "Resources/",
        Form::Flat | Form::Versioned if view.find(&join(base, b"Resources")).is_some() => {
            "Resources/"
        }
        Form::Flat | Form::Versioned => "",
    }
}

/// The Info.plist of a nested bundle, in CoreFoundation's order.
fn info_plist(view: &BundleView<'_>, form: Form, base: &[u8]) -> Option<Vec<u8>> {
    let resources = join(base, b"Resources");
    let folders = match form {
        Form::Deep | Form::SupportFiles => vec![base.to_vec()],
        Form::Flat | Form::Versioned => vec![resources, base.to_vec()],
    };
    folders
        .iter()
        .flat_map(|folder| {
            [b"Info-macos.plist".as_slice(), b"Info.plist"].map(|name| join(folder, name))
        })
        .find(|path| view.find(path).is_some())
}

/// The main executable of a nested bundle, in CoreFoundation's order.
fn executable<'v>(
    view: &BundleView<'v>,
    root: &[u8],
    base: &[u8],
    info_plist: Option<&[u8]>,
) -> MainExecutable<'v> {
    let entry = info_plist.and_then(|path| view.find(path));
    let is_unread = |e: &BundleEntry<'_>| e.kind == EntryKind::File && e.sha256.is_none();
    if entry.is_some_and(|(_, entry)| is_unread(entry)) {
        return MainExecutable::Unread;
    }
    let info = entry
        .and_then(|(_, entry)| entry.bytes)
        .and_then(info_dictionary);
    let name = info
        .as_ref()
        .and_then(executable_name)
        .map(|name| name.as_bytes().to_vec())
        .unwrap_or_else(|| {
            let name = split_name(root).1;
            let dot = name.iter().rposition(|&b| b == b'.').filter(|&dot| dot > 0);
            name.get(..dot.unwrap_or(name.len()))
                .unwrap_or(name)
                .to_vec()
        });
    if name.is_empty() {
        return MainExecutable::Missing;
    }
    let found = [join(&join(base, b"MacOS"), &name), join(base, &name)]
        .iter()
        .find_map(|path| view.find(path));
    match found {
        Some((_, entry)) if entry.kind == EntryKind::File => MainExecutable::Inside(entry.path),
        Some(_) => MainExecutable::Irregular,
        None if name.contains(&b'/') => MainExecutable::Irregular,
        None => MainExecutable::Missing,
    }
}

/// An Info.plist's dictionary, when its bytes are one.
pub(super) fn info_dictionary(bytes: &[u8]) -> Option<Dictionary> {
    match property_list::parse(bytes, &INFO_BOUNDS) {
        Ok(Value::Dictionary(info)) => Some(info),
        _ => None,
    }
}

/// The executable's name that an Info.plist gives.
pub(super) fn executable_name(info: &Dictionary) -> Option<&str> {
    ["CFBundleExecutable", "NSExecutable"]
        .iter()
        .find_map(|key| info.get(key)?.as_string())
        .filter(|name| !name.is_empty())
}
