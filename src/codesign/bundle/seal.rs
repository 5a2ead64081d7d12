//! The list of a bundle's sealed resources: the file `_CodeSignature/CodeResources`.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{Compiled, Rules, RulesError, Version, shorten};
use super::view::join;
use crate::codesign::hash::HashType;
use crate::codesign::verdict::{ProblemCode, SignatureState};
use crate::order;
use crate::property_list::{self, Bounds, Dictionary, PropertyListError, Value};
use crate::text::unhex;

/// Room for the tens of thousands of files that a list of
/// [`MAX_SEAL_BYTES`](super::view::MAX_SEAL_BYTES) can hold.
const BOUNDS: Bounds = Bounds {
    depth: 8,
    values: 600_000,
    text: 4 << 20,
};

/// Longest path in a seal, in bytes: `PATH_MAX` of macOS.
const MAX_PATH: usize = 1024;

/// Most cdhashes that the requirement on nested code may name: one for each slice.
const MAX_CDHASHES: usize = 64;

/// What was sealed at one path.
///
/// Source: `ResourceSeal`, `resources.cpp` of Apple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A regular file, by its digests, each of its type's length; there is at least one.
    File(BTreeMap<HashType, Vec<u8>>),
    /// A symlink, by its text.
    Symlink(Vec<u8>),
    /// Code with a signature of its own, by the cdhashes that the seal pins.
    Code(Vec<[u8; 20]>),
}

/// One entry of a seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedResource {
    /// What it is.
    pub resource: Resource,
    /// Whether it may be missing.
    pub optional: bool,
}

/// What is wrong with a seal, before any file is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealFault {
    /// What it is about.
    pub code: ProblemCode,
    /// How weak it makes the signature.
    pub weakens_to: SignatureState,
    /// One line for a person to read.
    pub detail: String,
}

/// A parsed list of sealed resources.
pub struct Seal {
    /// Its version.
    pub version: Version,
    /// Its rules.
    pub rules: Rules,
    /// What is sealed, by path relative to the folder that the seal covers.
    pub resources: BTreeMap<Vec<u8>, SealedResource>,
}

impl Seal {
    /// Parses a seal with at most `most_rules` rules. `resources` is the folder of resources
    /// relative to what the seal covers: `Resources/`, or `""`.
    ///
    /// Faults that leave it usable are in the list; without a seal the list is never empty.
    pub fn parse(
        bytes: &[u8],
        resources: &str,
        most_rules: usize,
        compiled: &mut Compiled<'_>,
    ) -> (Option<Self>, Vec<SealFault>) {
        let mut faults = Vec::new();
        let seal = Self::read(bytes, resources, most_rules, compiled, &mut faults);
        (seal.map_err(|fault| faults.push(fault)).ok(), faults)
    }

    fn read(
        bytes: &[u8],
        resources: &str,
        most_rules: usize,
        compiled: &mut Compiled<'_>,
        faults: &mut Vec<SealFault>,
    ) -> Result<Self, SealFault> {
        let (version, rules, files) = parts(bytes)?;
        if version == Version::One {
            faults.push(SealFault {
                code: ProblemCode::WeakSeal,
                weakens_to: SignatureState::Broken,
                detail: "it is of version 1 alone, which covers only part of the bundle".into(),
            });
        }
        let rules = Rules::parse(&rules, most_rules, compiled).map_err(|why| {
            let (code, weakens_to) = match why {
                // Another seal of the bundle took the room.
                RulesError::TooLarge => (ProblemCode::Limit, SignatureState::Unreadable),
                _ => (ProblemCode::SealRules, SignatureState::Broken),
            };
            SealFault {
                code,
                weakens_to,
                detail: why.to_string(),
            }
        })?;
        if let Some(weakness) = rules.weakness(version, resources) {
            faults.push(SealFault {
                code: ProblemCode::SealRules,
                weakens_to: SignatureState::Broken,
                detail: weakness,
            });
        }
        let mut list = BTreeMap::new();
        for (key, value) in files {
            let key = key.as_str();
            match (check_path(key), resource(&value)) {
                (Ok(()), Some(resource)) => {
                    list.insert(key.into(), resource);
                }
                (Err(why), _) => {
                    faults.push(malformed(format!("the path '{}' {why}", shorten(key))))
                }
                (Ok(()), None) => faults.push(malformed(format!(
                    "the entry for '{}' has the wrong form",
                    shorten(key)
                ))),
            }
        }
        Ok(Self {
            version,
            rules,
            resources: list,
        })
    }
}

/// The paths, relative to the bundle, of the files whose SHA-1 is needed to judge a seal: those
/// that it lists with no better digest.
///
/// `path` is that of the CodeResources file itself, relative to the bundle, and `bytes` its
/// content. The answer is empty for a seal that cannot be parsed.
pub fn sha1_paths(path: &[u8], bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let Some(base) = path.strip_suffix(b"_CodeSignature/CodeResources") else {
        return BTreeSet::new();
    };
    let base = base.strip_suffix(b"/").unwrap_or(base);
    let Ok((_, _, files)) = parts(bytes) else {
        return BTreeSet::new();
    };
    let paths = files
        .into_iter()
        .filter(|(key, value)| check_path(key.as_str()).is_ok() && needs_sha1(value))
        .map(|(key, _)| join(base, key.as_bytes()));
    order::gather(paths)
}

fn needs_sha1(value: &Value) -> bool {
    matches!(
        resource(value).map(|r| r.resource),
        Some(Resource::File(digests)) if digests.contains_key(&HashType::Sha1)
    )
}

/// The version, the rules and the files of a seal: those of version 2 when there are any.
///
/// Source: `SecStaticCode::loadResources`, `StaticCode.cpp` of Apple.
fn parts(bytes: &[u8]) -> Result<(Version, Dictionary, Dictionary), SealFault> {
    let value = property_list::parse_exact(bytes, &BOUNDS).map_err(|why| match why {
        PropertyListError::Malformed { .. }
        | PropertyListError::Ambiguous(_)
        | PropertyListError::NotKnown(_) => malformed(format!("it is {why}")),
        PropertyListError::TooLarge(_) => SealFault {
            code: ProblemCode::Limit,
            weakens_to: SignatureState::Unreadable,
            detail: format!("it is {why}"),
        },
    })?;
    let Value::Dictionary(mut seal) = value else {
        return Err(malformed("it is no dictionary".into()));
    };
    // Without those of version 1 Apple takes the seal for none: `SecStaticCode::resourceDictionary`.
    let is_dictionary = |key| seal.get(key).is_some_and(|v| v.as_dictionary().is_some());
    if !is_dictionary("rules") || !is_dictionary("files") {
        return Err(malformed("it has no files or no rules of version 1".into()));
    }
    let (version, rules, files) = if seal.contains_key("files2") {
        (Version::Two, seal.remove("rules2"), seal.remove("files2"))
    } else {
        (Version::One, seal.remove("rules"), seal.remove("files"))
    };
    match (rules, files) {
        (Some(Value::Dictionary(rules)), Some(Value::Dictionary(files))) => {
            Ok((version, rules, files))
        }
        _ => Err(malformed("it has no files or no rules".into())),
    }
}

fn malformed(detail: String) -> SealFault {
    SealFault {
        code: ProblemCode::Seal,
        weakens_to: SignatureState::Malformed,
        detail,
    }
}

/// A path that stays inside of the folder that the seal covers, written in the one way in which
/// a folder's listing writes it.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > MAX_PATH {
        return Err("is too long");
    }
    if path.contains('\0') {
        return Err("holds a NUL");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("is not a plain relative path");
    }
    Ok(())
}

/// One entry; `None` when it has the wrong form.
fn resource(value: &Value) -> Option<SealedResource> {
    let entry = match value {
        // The old form: SHA-1 alone.
        Value::Data(digest) => {
            return Some(SealedResource {
                resource: Resource::File(order::gather([of_length(HashType::Sha1, digest)?])),
                optional: false,
            });
        }
        Value::Dictionary(entry) => entry,
        _ => return None,
    };
    let optional = match entry.get("optional") {
        None => false,
        Some(value) => value.as_boolean()?,
    };
    let resource = if let Some(requirement) = entry.get("requirement") {
        let mut cdhashes = cdhashes(requirement.as_string()?);
        if let Some(cdhash) = digest::<20>(entry, "cdhash")? {
            cdhashes.push(cdhash);
        }
        Resource::Code(cdhashes)
    } else if let Some(target) = entry.get("symlink") {
        Resource::Symlink(target.as_string()?.as_bytes().to_vec())
    } else {
        let mut digests = BTreeMap::new();
        for kind in HashType::ALL {
            if let Some(value) = entry.get(key_of(kind)) {
                digests.extend([of_length(kind, value.as_data()?)?]);
            }
        }
        if digests.is_empty() {
            return None;
        }
        Resource::File(digests)
    };
    Some(SealedResource { resource, optional })
}

/// Under which key an entry lists the digest by a code directory's hash type.
///
/// Source: `ResourceBuilder::hashName`, `resources.cpp` of Apple.
fn key_of(kind: HashType) -> &'static str {
    match kind {
        HashType::Sha1 => "hash",
        HashType::Sha256 => "hash2",
        HashType::Sha256Truncated => "hash3",
        HashType::Sha384 => "hash4",
    }
}

/// A digest of that type; `None` when it is longer or shorter.
fn of_length(kind: HashType, digest: &[u8]) -> Option<(HashType, Vec<u8>)> {
    (digest.len() == kind.length()).then(|| (kind, digest.to_vec()))
}

/// The digest under `key`: `Some(None)` without one, `None` when it has the wrong form.
fn digest<const N: usize>(entry: &Dictionary, key: &str) -> Option<Option<[u8; N]>> {
    match entry.get(key) {
        None => Some(None),
        Some(Value::Data(digest)) => Some(Some(digest.as_slice().try_into().ok()?)),
        Some(_) => None,
    }
}

/// The cdhashes of a requirement that names nothing else, as it is written for ad-hoc code:
/// `cdhash H"…" or cdhash H"…"`, one for each slice, or the same with a pair of parentheses around
/// each. Empty for any other requirement.
fn cdhashes(requirement: &str) -> Vec<[u8; 20]> {
    requirement
        .split(" or ")
        .take(MAX_CDHASHES)
        .map(|term| {
            let term = term.trim();
            let term = match term.strip_prefix('(') {
                Some(inner) => inner.strip_suffix(')')?.trim(),
                None => term,
            };
            let hex = term.strip_prefix("cdhash ")?.trim();
            let hex = hex.strip_prefix("H\"")?.strip_suffix('"')?;
            unhex(hex)
        })
        .collect::<Option<_>>()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codesign::bundle::ere::Automata;

    fn seal(body: &str) -> (Option<Seal>, Vec<SealFault>) {
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\">{body}</plist>"
        );
        Seal::parse(
            xml.as_bytes(),
            "Resources/",
            48,
            &mut Compiled::new(&Automata::default()),
        )
    }

    /// What a seal has for verifiers of old.
    const ONE: &str = "<key>files</key><dict/><key>rules</key><dict/>";

    fn two(files: &str) -> (Option<Seal>, Vec<SealFault>) {
        seal(&format!(
            "<dict>{ONE}<key>files2</key><dict>{files}</dict><key>rules2</key><dict><key>^.*</key><true/></dict></dict>"
        ))
    }

    #[track_caller]
    fn fault(parsed: (Option<Seal>, Vec<SealFault>), code: ProblemCode, usable: bool) {
        assert_eq!(parsed.0.is_some(), usable);
        assert_eq!(
            parsed.1.first().map(|f| f.code),
            Some(code),
            "{:?}",
            parsed.1
        );
    }

    #[test]
    fn every_form_of_entry_is_read() {
        let (seal, faults) = two(concat!(
            "<key>a</key><data>AAAAAAAAAAAAAAAAAAAAAAAAAAA=</data>",
            "<key>b</key><dict><key>hash2</key><data>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</data><key>optional</key><true/></dict>",
            "<key>c</key><dict><key>symlink</key><string>../x</string></dict>",
            "<key>d</key><dict><key>cdhash</key><data>AAAAAAAAAAAAAAAAAAAAAAAAAAA=</data>",
            "<key>requirement</key><string>cdhash H\"0101010101010101010101010101010101010101\" or cdhash H\"0202020202020202020202020202020202020202\"</string></dict>",
        ));
        assert_eq!(faults, []);
        let list = seal.unwrap().resources;
        let resource = |path: &[u8]| list[path].resource.clone();
        assert_eq!(
            resource(b"a"),
            Resource::File(BTreeMap::from([(HashType::Sha1, vec![0; 20])]))
        );
        assert_eq!(
            resource(b"b"),
            Resource::File(BTreeMap::from([(HashType::Sha256, vec![0; 32])]))
        );
        assert!(list[b"b".as_slice()].optional);
        assert_eq!(resource(b"c"), Resource::Symlink(b"../x".to_vec()));
        assert_eq!(
            resource(b"d"),
            Resource::Code(vec![[1; 20], [2; 20], [0; 20]])
        );
    }

    #[test]
    fn a_requirement_that_names_more_pins_nothing_by_itself() {
        let hash = "cdhash H\"0101010101010101010101010101010101010101\"";
        assert_eq!(cdhashes(hash), [[1; 20]]);
        assert_eq!(cdhashes(&format!("({hash}) or ({hash})")), [[1; 20]; 2]);
        for other in [
            format!("{hash} or anchor apple"),
            format!("! {hash}"),
            format!("{hash} or"),
            format!("({hash}"),
            format!("{hash})"),
            format!("!({hash})"),
            format!("({hash} or {hash})"),
            "cdhash H\"01\"".into(),
            "cdhash H\"+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1\"".into(),
            String::new(),
        ] {
            assert_eq!(cdhashes(&other), <[[u8; 20]; 0]>::default(), "{other}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        let long = "x".repeat(MAX_PATH + 1);
        for path in ["../a", "a/../b", "/a", "a//b", "a/", "", ".", "./a", &long] {
            let entry =
                format!("<key>{path}</key><dict><key>symlink</key><string>x</string></dict>");
            fault(two(&entry), ProblemCode::Seal, true);
        }
    }

    #[test]
    fn wrong_types_are_refused() {
        for value in [
            "<true/>",
            "<string>x</string>",
            "<data>AAAA</data>",
            "<dict/>",
            "<dict><key>hash2</key><data>AAAA</data></dict>",
            "<dict><key>hash2</key><string>x</string></dict>",
            "<dict><key>symlink</key><data>AAAA</data></dict>",
            "<dict><key>requirement</key><true/></dict>",
            "<dict><key>requirement</key><string>x</string><key>cdhash</key><data>AAAA</data></dict>",
            "<dict><key>symlink</key><string>x</string><key>optional</key><integer>1</integer></dict>",
        ] {
            fault(
                two(&format!("<key>a</key>{value}")),
                ProblemCode::Seal,
                true,
            );
        }
        for body in [
            "<array/>",
            "<dict/>",
            "<dict><key>files2</key><dict/></dict>",
            // Without what is there for verifiers of old Apple sees no seal at all.
            "<dict><key>files2</key><dict/><key>rules2</key><dict/></dict>",
            "<dict><key>files2</key><dict/><key>rules2</key><dict/><key>files</key><dict/></dict>",
            "<dict><key>files2</key><dict/><key>rules2</key><dict/><key>rules</key><dict/></dict>",
        ] {
            fault(seal(body), ProblemCode::Seal, false);
        }
        for body in [
            "<key>files2</key><array/><key>rules2</key><dict/>",
            "<key>files2</key><dict/>",
        ] {
            let body = format!("<dict>{ONE}{body}</dict>");
            fault(seal(&body), ProblemCode::Seal, false);
        }
        fault(
            seal(&format!(
                "<dict>{ONE}<key>files2</key><dict/><key>rules2</key><dict><key>(</key><true/></dict></dict>",
            )),
            ProblemCode::SealRules,
            false,
        );
        fault(
            two("<key><![CDATA[a]]></key><true/>"),
            ProblemCode::Seal,
            false,
        );
    }

    #[test]
    fn version_1_alone_is_weak() {
        fault(
            seal(
                "<dict><key>files</key><dict/><key>rules</key><dict><key>^Resources/</key><true/></dict></dict>",
            ),
            ProblemCode::WeakSeal,
            true,
        );
    }

    #[test]
    fn sha1_is_asked_for_wherever_it_is_listed() {
        let xml = concat!(
            "<plist version=\"1.0\"><dict><key>files</key><dict/><key>rules</key><dict/>",
            "<key>rules2</key><dict/><key>files2</key><dict>",
            "<key>Resources/a</key><data>AAAAAAAAAAAAAAAAAAAAAAAAAAA=</data>",
            "<key>../b</key><data>AAAAAAAAAAAAAAAAAAAAAAAAAAA=</data>",
            "<key>c</key><dict><key>hash</key><data>AAAAAAAAAAAAAAAAAAAAAAAAAAA=</data>",
            "<key>hash2</key><data>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</data></dict>",
            "</dict></dict></plist>",
        );
        let paths = sha1_paths(b"Contents/_CodeSignature/CodeResources", xml.as_bytes());
        let wanted = [b"Contents/Resources/a".to_vec(), b"Contents/c".to_vec()];
        assert_eq!(paths, BTreeSet::from(wanted));
        let paths = sha1_paths(b"_CodeSignature/CodeResources", xml.as_bytes());
        let wanted = [b"Resources/a".to_vec(), b"c".to_vec()];
        assert_eq!(paths, BTreeSet::from(wanted));
        assert_eq!(sha1_paths(b"x", xml.as_bytes()), BTreeSet::new());
        assert_eq!(
            sha1_paths(b"_CodeSignature/CodeResources", b""),
            BTreeSet::new()
        );
    }
}
