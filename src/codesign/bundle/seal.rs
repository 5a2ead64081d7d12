//! The list of a bundle's sealed resources: the file `_CodeSignature/CodeResources`.

use super::listed::{Listed, Resource, SealedResource};
use super::rules::{Compiled, Rules, RulesError, Version, shorten};
use super::view::join;
use crate::codesign::hash::HashType;
use crate::codesign::verdict::{MAX_OF_A_CODE, ProblemCode, SignatureState};
use crate::property_list::{self, Bounds, Dictionary, PropertyListError, Text, Value};

/// Room for the tens of thousands of files that a list of
/// [`MAX_SEAL_BYTES`](super::view::MAX_SEAL_BYTES) can hold.
const BOUNDS: Bounds = Bounds {
    depth: 8,
    values: 600_000,
    text: 4 << 20,
};

/// Values of a seal that are held at a time besides what it lists: far more than its rules need.
const MOST_HELD: usize = 60_000;

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
    pub resources: Listed,
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
        // No more of one code are told anywhere.
        for (path, why) in files.refused().take(MAX_OF_A_CODE.saturating_add(1)) {
            let path = shorten(path);
            faults.push(malformed(match why {
                Some(why) => format!("the path '{path}' {why}"),
                None => format!("the entry for '{path}' has the wrong form"),
            }));
        }
        Ok(Self {
            version,
            rules,
            resources: files,
        })
    }
}

/// Which of a bundle's entries are files whose SHA-1 is needed to judge a seal: those that it lists with such a digest.
///
/// `path` is that of the CodeResources file itself, relative to the bundle, and `bytes` its content. `entries` are all of
/// the bundle in order of their paths, which `path_of` tells; the answer is where in them they stand, in order. It
/// is empty for a seal that cannot be parsed.
pub fn sha1_entries<T>(
    path: &[u8],
    bytes: &[u8],
    entries: &[T],
    path_of: impl Fn(&T) -> &[u8],
) -> Vec<usize> {
    let Some(base) = path.strip_suffix(b"_CodeSignature/CodeResources") else {
        return Vec::new();
    };
    let Ok((_, _, files)) = parts(bytes) else {
        return Vec::new();
    };
    let base = base.strip_suffix(b"/").unwrap_or(base);
    let prefix = join(base, b"");
    let start = entries.partition_point(|e| path_of(e) < prefix.as_slice());
    let below = entries.get(start..).unwrap_or_default();
    let count = below.partition_point(|e| path_of(e).starts_with(&prefix));
    let below = below.get(..count).unwrap_or_default();
    // The way to a seal may be as long as the seal is large: it is passed over once for each that is compared.
    let relative = |entry| path_of(entry).get(prefix.len()..).unwrap_or_default();
    let sealed = files.iter().filter(|(_, sealed)| needs_sha1(sealed));
    let found = sealed.filter_map(|(path, _)| {
        let at = below.binary_search_by(|e| relative(e).cmp(path)).ok()?;
        Some(start.saturating_add(at))
    });
    found.collect()
}

fn needs_sha1(sealed: &SealedResource<'_>) -> bool {
    matches!(sealed.resource, Resource::File(digests) if digests.get(HashType::Sha1).is_some())
}

/// The version, the rules and the files of a seal: those of version 2 when there are any.
///
/// Source: `SecStaticCode::loadResources`, `StaticCode.cpp` of Apple.
fn parts(bytes: &[u8]) -> Result<(Version, Dictionary, Listed), SealFault> {
    let (mut one, mut two) = (Listed::default(), Listed::default());
    let mut take = |under: &Text, path: Text, value: Value| {
        match under.as_bytes() {
            b"files" => one.add(&path, &value),
            b"files2" => two.add(&path, &value),
            _ => return Some((path, value)),
        }
        None
    };
    let value = property_list::parse_exact_taking(bytes, &BOUNDS, MOST_HELD, &mut take);
    let value = value.and_then(|value| match one.sort() && two.sort() {
        true => Ok(value),
        false => Err(PropertyListError::Ambiguous(property_list::TWICE)),
    });
    let value = value.map_err(|why| match why {
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
    let (version, rules, files, listed) = if seal.contains_key("files2") {
        (
            Version::Two,
            seal.remove("rules2"),
            seal.remove("files2"),
            two,
        )
    } else {
        (
            Version::One,
            seal.remove("rules"),
            seal.remove("files"),
            one,
        )
    };
    match (rules, files) {
        (Some(Value::Dictionary(rules)), Some(Value::Dictionary(_))) => {
            Ok((version, rules, listed))
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
        let mut list = seal.unwrap().resources;
        assert_eq!(list.iter().count(), 4);
        let b = list.take(b"b").unwrap();
        assert!(b.optional);
        let Resource::File(digests) = b.resource else {
            panic!("{b:?}")
        };
        assert_eq!(digests.get(HashType::Sha256), Some([0; 32].as_slice()));
        assert_eq!(digests.get(HashType::Sha1), None);
        assert_eq!(digests.best(), Some(HashType::Sha256));
        assert_eq!(list.take(b"b"), None);
        let left: Vec<_> = list.iter().collect();
        let [(b"a", a), (b"c", c), (b"d", d)] = left[..] else {
            panic!("{left:?}")
        };
        let Resource::File(digests) = a.resource else {
            panic!("{a:?}")
        };
        assert_eq!(digests.get(HashType::Sha1), Some([0; 20].as_slice()));
        assert_eq!(digests.best(), Some(HashType::Sha1));
        assert_eq!(c.resource, Resource::Symlink(b"../x"));
        assert_eq!(d.resource, Resource::Code(&[[1; 20], [2; 20], [0; 20]]));
    }

    #[test]
    fn a_path_that_is_listed_twice_leaves_no_seal() {
        let digest = "<data>AAAAAAAAAAAAAAAAAAAAAAAAAAA=</data>";
        for twice in ["a", "../a"] {
            let entry = format!("<key>{twice}</key>{digest}");
            let (seal, faults) = two(&format!("{entry}<key>b</key>{digest}{entry}"));
            assert!(seal.is_none());
            assert_eq!(
                faults[0].detail,
                "it is a property list of several readings: a key stands there twice"
            );
            let one = format!("<key>files</key><dict>{entry}{entry}</dict><key>rules</key><dict/>");
            let (seal, _) = self::seal(&format!(
                "<dict>{one}<key>files2</key><dict/><key>rules2</key><dict/></dict>"
            ));
            assert!(seal.is_none());
        }
    }

    #[test]
    fn values_that_nobody_asks_for_are_held_within_a_bound() {
        let many = "<true/>".repeat(MOST_HELD);
        for place in ["<key>x</key>", "<key>rules2</key>"] {
            let (seal, faults) = seal(&format!("<dict>{ONE}{place}<array>{many}</array></dict>"));
            assert!(seal.is_none());
            assert_eq!(faults[0].code, ProblemCode::Limit);
        }
        let (seal, _) = two(&format!("<key>a</key><array>{many}</array>"));
        assert!(seal.is_none());
        let each = format!("<array>{}</array>", "<true/>".repeat(MOST_HELD / 8));
        let entries: String = (0..16).map(|n| format!("<key>{n}</key>{each}")).collect();
        let (seal, faults) = two(&entries);
        assert!(seal.is_some());
        assert_eq!(faults.len(), 16);
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        let long = "x".repeat(1_025);
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
        let entries: [&[u8]; 7] = [
            b"Contents",
            b"Contents/Resources/a",
            b"Contents/b",
            b"Contents/c",
            b"Contents0/c",
            b"Resources/a",
            b"c",
        ];
        let wanted = |path: &[u8], bytes: &[u8]| sha1_entries(path, bytes, &entries, |path| path);
        let xml = xml.as_bytes();
        assert_eq!(
            wanted(b"Contents/_CodeSignature/CodeResources", xml),
            [1, 3]
        );
        assert_eq!(wanted(b"_CodeSignature/CodeResources", xml), [5, 6]);
        assert_eq!(wanted(b"No/_CodeSignature/CodeResources", xml), [0; 0]);
        assert_eq!(wanted(b"x", xml), [0; 0]);
        assert_eq!(wanted(b"_CodeSignature/CodeResources", b""), [0; 0]);
    }
}
