//! The Info.plist of a bundle, as CoreFoundation chooses and reads it.
//!
//! The layout is told by which of `Contents`, `Resources` and `Support Files` stands in the bundle
//! (`_CFBundleGetBundleVersionForURL` of CFBundle.c); names compare in any letters' case, and
//! `Info-macos.plist` wins over `Info.plist` (`_CFBundleCopyInfoDictionaryInDirectoryWithVersion`
//! of CFBundle_InfoPlist.c).

use super::content::read_small;
use super::memory::recall_plist;
use super::{Evidence, Trouble};
use crate::directory::ReadError;
use crate::limits::Budget;
use crate::meta::{Kind, Meta};
use crate::property_list::{self, Bounds, Dictionary, Value};
use crate::root::{Found, Root};

/// The UUID of the module type that a DirectoryService plug-in registers a factory for.
pub const MODULE_TYPE: &str = "697B5D6C-87A1-1226-89CA-000502C1C736";

/// The Info.plist that CoreFoundation would use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoPlist {
    /// Where, through the candidate.
    pub path: Vec<u8>,
    /// Its path in the bundle.
    pub relative: Vec<u8>,
    /// True when an `Info-macos.plist` hides an `Info.plist`.
    pub hides_another: bool,
    /// What the file system says of it, links followed.
    pub meta: Option<Meta>,
    /// What it says, or why it says nothing.
    pub info: Result<Info, Trouble>,
}

/// What an Info.plist says, `-macos` keys applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// `CFBundleIdentifier`.
    pub identifier: String,
    /// `CFBundleName`.
    pub name: String,
    /// `CFBundleShortVersionString`.
    pub version: String,
    /// `CFPluginNameString`: the name that the loader knows the plug-in by.
    pub plugin_name: String,
    /// `CFBundleExecutable`.
    pub executable: String,
    /// `NSExecutable`, which serves when that is missing.
    pub old_executable: String,
    /// True when `CFPlugInTypes` is a dictionary.
    pub has_types: bool,
    /// True when `CFPlugInFactories` is a dictionary.
    pub has_factories: bool,
    /// True when a factory is registered for [`MODULE_TYPE`].
    pub has_module_factory: bool,
    /// `CFPlugInDynamicRegistration`: the code registers factories itself.
    pub registers_dynamically: bool,
    /// `DSNodesToRegister`: nodes registered before the code is mapped.
    pub nodes: Vec<String>,
}

/// Finds and reads the Info.plist.
pub fn find(root: &Root, evidence: &mut Evidence, before: Option<&Evidence>, budget: &Budget) {
    let (relative, hides_another) = match locate(root, evidence) {
        Ok(Some(located)) => located,
        Ok(None) => return,
        Err(error) => return evidence.doubt(Trouble::of_entry(&error)),
    };
    let path = [&evidence.candidate.path, b"/".as_slice(), &relative].concat();
    let found = evidence.find(root, &path);
    let meta = found.as_ref().ok().map(|f| f.meta);
    if let Some(known) = meta.and_then(|meta| recall_plist(before, &path, &meta)) {
        evidence.info_plist = Some(known);
        return;
    }
    let info = read(found, &path, budget.limits.plist_bytes);
    match &info {
        // It may name another executable than the one that is found without it.
        Err(trouble @ (Trouble::Unreadable(_) | Trouble::Limit(_))) => {
            evidence.doubt(trouble.clone())
        }
        // A link to nothing is as good as none; a file that was there a moment ago is not.
        Err(trouble @ Trouble::Changed(_)) if !is_link(evidence, &relative) => {
            evidence.doubt(trouble.clone());
        }
        Err(trouble) => evidence.trouble(trouble.clone()),
        Ok(_) => {}
    }
    evidence.info_plist = Some(InfoPlist {
        path,
        relative,
        hides_another,
        meta,
        info,
    });
}

/// True when the entry at a path, or a directory on the way to it, is a link.
fn is_link(evidence: &Evidence, relative: &[u8]) -> bool {
    let mut entries = evidence.entries.iter();
    let is_on_the_way = |path: &[u8]| {
        let rest = relative.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    entries.any(|e| e.meta.kind == Kind::Symlink && is_on_the_way(&e.path))
}

/// The path in the bundle of the Info.plist that wins.
fn locate(root: &Root, evidence: &Evidence) -> Result<Option<(Vec<u8>, bool)>, ReadError> {
    let mut directory = Vec::new();
    for wanted in [b"Contents".as_slice(), b"Resources", b"Support Files"] {
        if let Some(found) = subdirectory(root, evidence, wanted)? {
            directory = found;
            break;
        }
    }
    let names = names_in(root, evidence, &directory)?;
    let find = |wanted: &[u8]| {
        let exact = names.iter().find(|n| n.as_slice() == wanted);
        exact.or_else(|| names.iter().find(|n| n.eq_ignore_ascii_case(wanted)))
    };
    let (special, plain) = (find(b"Info-macos.plist"), find(b"Info.plist"));
    let Some(name) = special.or(plain) else {
        return Ok(None);
    };
    let relative = if directory.is_empty() {
        name.clone()
    } else {
        [&directory, b"/".as_slice(), name].concat()
    };
    Ok(Some((relative, special.is_some() && plain.is_some())))
}

/// The name of an entry of the bundle that matches in any case and is a directory, or leads to one.
fn subdirectory(
    root: &Root,
    evidence: &Evidence,
    wanted: &[u8],
) -> Result<Option<Vec<u8>>, ReadError> {
    let entries = evidence.entries.iter();
    for entry in entries.filter(|e| e.path.eq_ignore_ascii_case(wanted)) {
        let kind = match entry.meta.kind {
            Kind::Symlink => match root.find(&evidence.path_of(entry)) {
                Ok(found) => found.meta.kind,
                Err(error) if error.leads_nowhere() => continue,
                Err(error) => return Err(error),
            },
            kind => kind,
        };
        if kind == Kind::Directory {
            return Ok(Some(entry.path.to_vec()));
        }
    }
    Ok(None)
}

/// The names in a directory of the bundle, which may be a link.
fn names_in(root: &Root, evidence: &Evidence, directory: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
    let link = evidence
        .entry(directory)
        .is_some_and(|e| e.meta.kind == Kind::Symlink);
    if !link {
        let prefix = if directory.is_empty() {
            Vec::new()
        } else {
            [directory, b"/"].concat()
        };
        let below = evidence.entries.iter().map(|e| e.path.as_ref());
        let names = below.filter_map(|path| path.strip_prefix(prefix.as_slice()));
        let names = names.filter(|name| !name.contains(&b'/'));
        return Ok(names.map(<[u8]>::to_vec).collect());
    }
    let path = [&evidence.candidate.path, b"/".as_slice(), directory].concat();
    let (names, _) = root.find_dir(&path)?.names(100_000)?;
    Ok(names)
}

fn read(found: Result<Found, ReadError>, path: &[u8], most: u64) -> Result<Info, Trouble> {
    let file = found
        .and_then(|found| found.open_file())
        .map_err(|e| Trouble::of_entry(&e))?;
    let bytes = read_small(&file, most, path)?;
    let value =
        property_list::parse(&bytes, &Bounds::STANDARD).map_err(|e| Trouble::of_list(path, &e))?;
    match value.into_dictionary() {
        Some(keys) => Ok(Info::from_dictionary(&keys)),
        None => Err(Trouble::Malformed(format!(
            "{}: not a dictionary",
            crate::text::escape(path)
        ))),
    }
}

impl Info {
    fn from_dictionary(keys: &Dictionary) -> Self {
        // `_processInfoDictionary`: a key for the platform replaces the plain one, but these two.
        let get = |key: &str| match key {
            "CFBundleExecutable" | "CFBundleIdentifier" => keys.get(key),
            _ => keys.get(&format!("{key}-macos")).or_else(|| keys.get(key)),
        };
        let text = |key| {
            get(key)
                .and_then(Value::as_string)
                .unwrap_or_default()
                .to_owned()
        };
        let types = get("CFPlugInTypes").and_then(Value::as_dictionary);
        let factories = get("CFPlugInFactories").and_then(Value::as_dictionary);
        Self {
            identifier: text("CFBundleIdentifier"),
            name: text("CFBundleName"),
            version: text("CFBundleShortVersionString"),
            plugin_name: text("CFPluginNameString"),
            executable: text("CFBundleExecutable"),
            old_executable: text("NSExecutable"),
            has_types: types.is_some(),
            has_factories: factories.is_some(),
            has_module_factory: match (types, factories) {
                (Some(types), Some(factories)) => has_module_factory(types, factories),
                _ => false,
            },
            registers_dynamically: get("CFPlugInDynamicRegistration").is_some_and(is_true),
            nodes: get("DSNodesToRegister")
                .and_then(Value::as_array)
                .map(|nodes| {
                    let nodes = nodes.iter().filter_map(Value::as_string).take(64);
                    nodes.map(str::to_owned).collect()
                })
                .unwrap_or_default(),
        }
    }
}

/// True when the module type names a factory that is declared.
fn has_module_factory(types: &Dictionary, factories: &Dictionary) -> bool {
    let declared = |id: &str| {
        factories
            .keys()
            .any(|f| f.as_str().eq_ignore_ascii_case(id))
    };
    types
        .iter()
        .filter(|(id, _)| id.as_str().eq_ignore_ascii_case(MODULE_TYPE))
        .filter_map(|(_, ids)| ids.as_array())
        .flatten()
        .filter_map(Value::as_string)
        .any(declared)
}

/// CoreFoundation takes a boolean or the text of one (`_CFBundleGetBooleanValue`).
fn is_true(value: &Value) -> bool {
    match value {
        Value::Boolean(b) => *b,
        Value::String(s) => ["true", "yes", "1"]
            .iter()
            .any(|t| s.as_str().eq_ignore_ascii_case(t)),
        Value::Integer(i) => *i != 0,
        _ => false,
    }
}
