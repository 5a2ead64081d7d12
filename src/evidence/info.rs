//! What an Info.plist says to the loader, and to CoreFoundation on its behalf.

use std::collections::BTreeSet;

use super::nodes::{self, NODES, Nodes};
use super::trouble::Trouble;
use crate::order;
use sha2::{Digest as _, Sha256};

use crate::info_dictionary;
use crate::limits::Budget;
use crate::meta::Meta;
use crate::property_list::{Dictionary, Text, Value};

/// Bytes of a text that are kept however much there is of others.
const SHORT_TEXT: usize = 96;
/// Bytes of the name of the main executable that are kept likewise.
const SHORT_EXECUTABLE: usize = 128;
/// The key of the main executable's name.
const EXECUTABLE: &str = "CFBundleExecutable";
/// That of the factories.
const FACTORIES: &str = "CFPlugInFactories";
/// Factories of one bundle that are told apart from those of others.
const MOST_FACTORIES: usize = 1_024;

/// What decides whether a plug-in loads, but for what cannot be overridden.
const LOADER_KEYS: &[&str] = &[
    "NSExecutable",
    "CFPlugInDynamicRegistration",
    "CFPlugInTypes",
    "CFPlugInFactories",
    "CFBundleShortVersionString",
    "CFBundleConfigAvail",
    "CFBundleConfigFile",
    "CFPluginNameString",
];

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
    /// False when CoreFoundation may wait at another for ever, and never come to this one.
    pub is_certain: bool,
    /// What the file system says of it, links followed.
    pub meta: Option<Meta>,
    /// What it says, or why it says nothing.
    pub info: Result<Info, Trouble>,
}

/// How much of a key is given that must be a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Given {
    /// It is missing.
    #[default]
    No,
    /// It is something else, or a text that has no UTF-8: the loader asks only whether it is there, and
    /// then takes it for a text.
    NoText,
    /// It is a text, maybe an empty one.
    Text,
}

impl Given {
    fn of(value: Option<&Value>) -> Self {
        match value {
            None => Self::No,
            Some(Value::String(text)) if !text.is_ill_formed() => Self::Text,
            Some(_) => Self::NoText,
        }
    }
}

/// What an Info.plist says, `-macos` keys applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// `CFBundleIdentifier`. Of a long text for which there is no room, here and below, its beginning
    /// and a digest of the whole.
    pub identifier: Text,
    /// `CFBundleName`.
    pub name: Text,
    /// `CFBundleShortVersionString`.
    pub version: Text,
    /// `CFPluginNameString`: the name that the loader knows the plug-in by.
    pub plugin_name: Text,
    /// SHA-256 of that name as it stands in the list, up to the first NUL.
    pub plugin_name_digest: [u8; 32],
    /// The keys whose texts were cut.
    pub cut: Vec<&'static str>,
    /// `CFBundleExecutable`, or `NSExecutable` where that is missing, when it is a text and not empty;
    /// an empty text for one that has no UTF-8.
    pub executable: Option<String>,
    /// True when there was no room for that text, so that where it leads is not known.
    pub has_long_executable: bool,
    /// True when `CFPlugInTypes` is there.
    pub has_types: bool,
    /// True when `CFPlugInFactories` is there.
    pub has_factories: bool,
    /// Whether `CFBundleShortVersionString` is there.
    pub has_version: Given,
    /// Whether `CFPluginNameString` is there.
    pub has_plugin_name: Given,
    /// Whether `CFBundleConfigAvail` is there, which the loader asks for between the two.
    pub has_config_avail: Given,
    /// Whether `CFBundleConfigFile` is there.
    pub has_config_file: Given,
    /// True when a key that the loader asks for is overridden by one that is overridden itself, so that
    /// what it has is not known.
    pub is_overridden_twice: bool,
    /// The UUIDs of the factories that are declared, `None` for an empty text.
    pub factories: Vec<Option<[u8; 16]>>,
    /// True when there are more than are kept, so that it is not known which others have them too.
    pub has_more_factories: bool,
    /// True when a factory is registered for `MODULE_TYPE`, to older macOS alone where it `is_template`.
    pub has_module_factory: bool,
    /// True when the factory of Apple's template is among them.
    pub is_template: bool,
    /// True when factories are declared by what is no text: CoreFoundation takes any value for an
    /// identifier.
    pub declares_odd: bool,
    /// True when what is no text is named for `MODULE_TYPE`, its own or another bundle's.
    pub names_odd: bool,
    /// The UUIDs that are named for `MODULE_TYPE` and that it does not declare: those of another bundle.
    pub names_for_others: Box<[Option<[u8; 16]>]>,
    /// `CFPlugInDynamicRegistration`: the code registers factories itself.
    pub registers_dynamically: bool,
    /// `DSNodesToRegister`: nodes registered before the code is mapped.
    pub nodes: Nodes,
}

impl Info {
    pub(super) fn from_dictionary(keys: &Dictionary) -> Self {
        let get = |key: &str| info_dictionary::value(keys, key);
        let get_text = |key| get(key).and_then(Value::as_text);
        let text = |key| get_text(key).cloned().unwrap_or_default();
        let types = get("CFPlugInTypes");
        let factories = get("CFPlugInFactories");
        // `_CFBundleCopyExecutableName`: a key that is there is asked, whatever it holds, and after
        // it none but the bundle's own name.
        let executable = get("CFBundleExecutable").or_else(|| get("NSExecutable"));
        let executable = executable.and_then(Value::as_text);
        let factories_of_it = factories.and_then(Value::as_dictionary);
        let declared = factories_of_it.map(declared_factories);
        let declared = declared.unwrap_or_default();
        let modules = types.and_then(Value::as_dictionary).map(module_factories);
        let modules = modules.unwrap_or_default();
        let own: BTreeSet<&Option<_>> = order::gather(&declared);
        let others = modules.named.iter().filter(|id| !own.contains(id));
        let others: Box<[_]> = others
            .take(MOST_FACTORIES.saturating_add(1))
            .copied()
            .collect();
        Self {
            identifier: text("CFBundleIdentifier"),
            name: text("CFBundleName"),
            version: text("CFBundleShortVersionString"),
            plugin_name: text("CFPluginNameString"),
            plugin_name_digest: get_text("CFPluginNameString").map_or([0; 32], digest),
            cut: Vec::new(),
            has_long_executable: false,
            executable: executable
                .filter(|e| !e.is_empty())
                .map(|e| e.as_str().to_owned()),
            has_types: types.is_some(),
            has_factories: factories.is_some(),
            has_version: Given::of(get("CFBundleShortVersionString")),
            has_plugin_name: Given::of(get("CFPluginNameString")),
            has_config_avail: Given::of(get("CFBundleConfigAvail")),
            has_config_file: Given::of(get("CFBundleConfigFile")),
            has_module_factory: modules.named.iter().any(|id| own.contains(id)),
            is_template: factories_of_it.is_some_and(is_template),
            declares_odd: factories_of_it.is_some_and(|factories| factories.other_keys > 0),
            names_odd: modules.has_odd,
            has_more_factories: declared.len() > MOST_FACTORIES || others.len() > MOST_FACTORIES,
            names_for_others: others,
            is_overridden_twice: LOADER_KEYS
                .iter()
                .any(|key| info_dictionary::is_overridden_twice(keys, key)),
            factories: declared.into_iter().take(MOST_FACTORIES).collect(),
            registers_dynamically: get("CFPlugInDynamicRegistration")
                .and_then(Value::as_string)
                .is_some_and(may_be_yes),
            nodes: get(NODES).map(Nodes::of).unwrap_or_default(),
        }
    }

    /// Takes room for what it says; gives the keys for whose values there is none. What is short has
    /// it for nothing.
    pub(super) fn lacks_room(&self, budget: &Budget) -> Vec<&'static str> {
        let texts = self.texts().map(|(key, text)| (key, text.as_bytes().len()));
        let executable = self.executable.as_ref().map_or(0, String::len);
        let lengths = texts
            .into_iter()
            .chain([(NODES, self.nodes.shown.len()), (EXECUTABLE, executable)]);
        let lacks = lengths.filter(|(key, bytes)| {
            *bytes > short(key) && !self.cut.contains(key) && !budget.take_texts(*bytes)
        });
        let mut lacks: Vec<_> = lacks.map(|(key, _)| key).collect();
        let factories = self
            .factories
            .len()
            .saturating_add(self.names_for_others.len());
        if !budget.take_factories(factories) {
            lacks.push(FACTORIES);
        }
        lacks
    }

    /// Cuts the values of some keys to what they have for nothing.
    pub(super) fn shorten(&mut self, keys: &[&'static str]) {
        for key in keys {
            match *key {
                EXECUTABLE => (self.executable, self.has_long_executable) = (None, true),
                FACTORIES => {
                    (self.factories, self.has_more_factories) = (Vec::new(), true);
                    self.names_for_others = Box::default();
                }
                NODES => self.nodes.shorten(),
                _ => {}
            }
            if !matches!(*key, EXECUTABLE | FACTORIES) {
                self.cut.push(key);
            }
        }
        for (key, text) in [
            ("CFBundleIdentifier", &mut self.identifier),
            ("CFBundleName", &mut self.name),
            ("CFBundleShortVersionString", &mut self.version),
            ("CFPluginNameString", &mut self.plugin_name),
        ] {
            if keys.contains(&key) {
                *text = text.cut(SHORT_TEXT);
            }
        }
    }

    /// The texts of it that may be of any length, by key.
    fn texts(&self) -> [(&'static str, &Text); 4] {
        [
            ("CFBundleIdentifier", &self.identifier),
            ("CFBundleName", &self.name),
            ("CFBundleShortVersionString", &self.version),
            ("CFPluginNameString", &self.plugin_name),
        ]
    }
}

/// Bytes of a key's value that are kept however much there is of others.
fn short(key: &str) -> usize {
    match key {
        NODES => nodes::SHORT,
        EXECUTABLE => SHORT_EXECUTABLE,
        _ => SHORT_TEXT,
    }
}

/// The digest of a name as the loader compares names: up to the first NUL (`CPlugInList::IsPresent` of
/// CPlugInList.cpp, by `strcmp`).
fn digest(text: &Text) -> [u8; 32] {
    let name = text.as_bytes().split(|b| *b == 0).next();
    Sha256::digest(name.unwrap_or_default()).into()
}

/// True for `YES` as `CFStringCompare` takes it without regard to case (`_CFBundleInitPlugIn`
/// of CFPlugIn.c, as read there). That folds signs beyond ASCII too, such as the long s: where there
/// are any, it may be.
fn may_be_yes(text: &str) -> bool {
    text.eq_ignore_ascii_case("YES") || !text.is_ascii()
}

/// True where the factory of Apple's template is among those declared, which makes it no plug-in
/// (`_CFBundleInitPlugIn` of CFPlugIn.c) to newer macOS: before "The Monterey Merge" it was one of them.
fn is_template(factories: &Dictionary) -> bool {
    let template = factories.get("00000000-0000-0000-0000-000000000000");
    template.and_then(Value::as_string) == Some("MyFactoryFunction")
}

/// The UUIDs of the factories that are declared.
fn declared_factories(factories: &Dictionary) -> Vec<Option<[u8; 16]>> {
    // One more, so that what is cut is seen to be.
    let ids = factories.keys().take(MOST_FACTORIES.saturating_add(1));
    ids.map(|id| info_dictionary::uuid(id.as_str())).collect()
}

/// What is named for the module type.
#[derive(Default)]
struct ModuleFactories {
    /// The UUIDs.
    named: BTreeSet<Option<[u8; 16]>>,
    /// True when something is named that is no text.
    has_odd: bool,
}

/// What the module type names, in an array or by itself (`_registerTypeLocked` of CFPlugIn.c).
fn module_factories(types: &Dictionary) -> ModuleFactories {
    let module = info_dictionary::uuid(MODULE_TYPE);
    let mut factories = ModuleFactories::default();
    let mut name = |id: &Value| match id.as_text() {
        Some(id) => drop(factories.named.insert(info_dictionary::uuid(id.as_str()))),
        None => factories.has_odd = true,
    };
    let types = types.iter();
    for (_, ids) in types.filter(|(id, _)| info_dictionary::uuid(id.as_str()) == module) {
        match ids.as_array() {
            Some(ids) => ids.iter().for_each(&mut name),
            None => name(ids),
        }
    }
    factories
}
