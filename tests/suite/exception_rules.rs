//! Any lists of exceptions against bundles of each kind, compared with a plain model of the
//! README's rules.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::chown;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dsplug::bundle::Bundle;
use dsplug::codesign::{Anchor, SignatureState};
use dsplug::exceptions::{Exceptions, LOCAL, MANAGED};
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug::text::hex;
use dsplug_fixtures::signature::{SHA256, digest};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle, cdhash};
use dsplug_fixtures::{ARM64E, Disk, PLUGINS, Plugin, chmod, mach_header, needs_root};
use plist::{Date, Dictionary, Value};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const NOW: i64 = 1_800_000_000;
const SIGNER: &str = "Developer ID Application: Example (Team123456)";
const TEAM: &str = "Team123456";
const IDS: &[&str] = &["one", "two", "three", "four", "five", "six"];
/// What an entry can ask for, and how many hexadecimal digits that has.
const FIELDS: [(&str, Option<usize>); 7] = [
    ("path", None),
    ("bundle_identifier", None),
    ("team_identifier", None),
    ("signer", None),
    ("cdhash", Some(40)),
    ("hash", Some(64)),
    ("executable_hash", Some(64)),
];

/// A bundle, and what of it counts by the rules.
struct Known {
    bundle: Bundle,
    counts: BTreeMap<&'static str, String>,
    /// What it says of itself besides.
    claims: BTreeMap<&'static str, String>,
    is_outside: bool,
}

/// A bundle that is unsigned, ad hoc, signed, signed with anybody's certificate, broken, a file, a link to nothing,
/// and one whose executable stands outside.
fn known(disk: &Disk) -> Vec<Known> {
    Plugin::new("Plain").write(disk.plugin(""));
    for name in ["Adhoc", "Signed", "Anybody", "Broken"] {
        SignedBundle::new(name, Form::Deep).write(disk.plugin(""));
    }
    disk.file(format!("{PLUGINS}/File.dsplug"), "a file");
    disk.link(format!("{PLUGINS}/Link.dsplug"), "/nowhere");
    Plugin::new("Outside")
        .key("CFBundleExecutable", "/opt/out")
        .without_executable()
        .write(disk.plugin(""));
    disk.file("opt/out", mach_header(ARM64E));
    let snapshot = Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD).scan();
    let known = |bundle: &Arc<Bundle>| {
        let mut bundle = Bundle::clone(bundle);
        let path = String::from_utf8(bundle.evidence.candidate.path.clone()).unwrap();
        let name = path.rsplit('/').next().unwrap().replace(".dsplug", "");
        let mut counts = BTreeMap::from([("path", path)]);
        let vendor = if name == "Plain" {
            "com.example"
        } else {
            "test"
        };
        let mut claims = BTreeMap::from([("bundle_identifier", format!("{vendor}.{name}"))]);
        if name != "Link" {
            counts.insert("hash", hex(&bundle.digest.unwrap()));
        }
        let is_outside = name == "Outside";
        let executable = disk.plugin(format!("{name}.dsplug/Contents/MacOS/{name}"));
        let executable = if is_outside {
            disk.at("opt/out")
        } else {
            executable
        };
        if let Ok(bytes) = fs::read(executable) {
            counts.insert("executable_hash", hex(&digest(SHA256, &bytes)));
            let cdhash = hex(&cdhash(&bytes));
            match name.as_str() {
                "Adhoc" | "Signed" | "Anybody" => counts.insert("cdhash", cdhash),
                _ => claims.insert("cdhash", cdhash),
            };
        }
        // As a chain that ends in Apple's root would be judged; no test can hold Apple's key. What
        // claims the same and does not hold counts for nothing.
        let signature = Arc::make_mut(&mut bundle.signature);
        if matches!(name.as_str(), "Signed" | "Anybody" | "Broken") {
            signature.signer = SIGNER.into();
            signature.team_identifier = TEAM.into();
            signature.state = SignatureState::Broken;
            claims.extend([("signer", SIGNER.into()), ("team_identifier", TEAM.into())]);
        }
        if name == "Anybody" {
            signature.state = SignatureState::Signed;
            signature.anchor = Anchor::Untrusted;
        }
        if name == "Signed" {
            signature.state = SignatureState::Signed;
            signature.anchor = Anchor::AppStore;
            counts.append(&mut claims);
        }
        Known {
            bundle,
            counts,
            claims,
            is_outside,
        }
    };
    snapshot.bundles.iter().map(known).collect()
}

/// What an entry says of a field.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// What counts of that bundle; else what it claims; else a text of no bundle's.
    Right(usize),
    /// The same in capitals.
    Capitals(usize),
    /// All but its last letter.
    Short(usize),
    Empty,
    NoText,
}

#[derive(Clone, Copy, Debug)]
enum Expires {
    Never,
    At(i64),
    NoDate,
}

#[derive(Clone, Debug)]
struct Entry {
    id: Option<&'static str>,
    says: BTreeMap<usize, Says>,
    expires: Expires,
    /// A key that is none.
    key: Option<&'static str>,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    None,
    Writable,
    Owner,
    Link,
    Directory,
    /// Cut there, in thousandths.
    Cut(usize),
    NoArray,
    NoKey,
}

const BUNDLES: usize = 8;

fn says(bundle: usize) -> impl Strategy<Value = Says> {
    prop_oneof![
        60 => Just(Says::Right(bundle)),
        6 => Just(Says::Capitals(bundle)),
        4 => (0..BUNDLES).prop_map(Says::Right),
        1 => Just(Says::Short(bundle)),
        1 => Just(Says::Empty),
        1 => Just(Says::NoText),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let id = prop_oneof![
        20 => prop::sample::select(IDS).prop_map(Some),
        1 => Just(Some("")),
        1 => Just(None),
    ];
    let expires = prop_oneof![
        8 => Just(Expires::Never),
        4 => (NOW - 1..=NOW + 1).prop_map(Expires::At),
        1 => Just(Expires::NoDate),
    ];
    let key = prop_oneof![15 => Just(None), 1 => Just(Some("Path"))];
    let says =
        (0..BUNDLES).prop_flat_map(|b| prop::collection::btree_map(0..FIELDS.len(), says(b), 0..4));
    (id, says, expires, key).prop_map(|(id, says, expires, key)| Entry {
        id,
        says,
        expires,
        key,
    })
}

fn source() -> impl Strategy<Value = Option<(Vec<Entry>, Damage, bool)>> {
    let damage = prop_oneof![
        12 => Just(Damage::None),
        1 => Just(Damage::Writable),
        1 => Just(Damage::Owner),
        1 => Just(Damage::Link),
        1 => Just(Damage::Directory),
        2 => (0_usize..1000).prop_map(Damage::Cut),
        1 => Just(Damage::NoArray),
        1 => Just(Damage::NoKey),
    ];
    prop::option::weighted(
        0.8,
        (prop::collection::vec(entry(), 0..5), damage, any::<bool>()),
    )
}

impl Says {
    /// The text of it; `None` where it is none.
    fn text(self, field: usize, known: &[Known]) -> Option<String> {
        let (name, digits) = FIELDS[field];
        let right = |bundle: usize| {
            let Known { counts, claims, .. } = &known[bundle];
            match counts.get(name).or_else(|| claims.get(name)) {
                Some(text) => text.clone(),
                None => "0".repeat(digits.unwrap_or(10)),
            }
        };
        match self {
            Self::Right(bundle) => Some(right(bundle)),
            Self::Capitals(bundle) => Some(right(bundle).to_uppercase()),
            Self::Short(bundle) => Some(right(bundle)).map(|mut text| {
                text.pop();
                text
            }),
            Self::Empty => Some(String::new()),
            Self::NoText => None,
        }
    }
}

impl Entry {
    fn value(&self, known: &[Known]) -> Value {
        let mut keys = Dictionary::new();
        if let Some(id) = self.id {
            keys.insert("id".into(), id.into());
        }
        for (field, says) in &self.says {
            let value = says
                .text(*field, known)
                .map_or(Value::Boolean(true), Value::String);
            keys.insert(FIELDS[*field].0.into(), value);
        }
        match self.expires {
            Expires::Never => {}
            Expires::At(end) => {
                let end = SystemTime::UNIX_EPOCH + Duration::from_secs(end as u64);
                keys.insert("expires".into(), Value::Date(Date::from(end)));
            }
            Expires::NoDate => {
                keys.insert("expires".into(), "2100-01-01".into());
            }
        }
        if let Some(key) = self.key {
            keys.insert(key.into(), "x".into());
        }
        Value::Dictionary(keys)
    }

    fn asks(&self, name: &str) -> bool {
        self.says.keys().any(|field| FIELDS[*field].0 == name)
    }

    /// Whether it is understood to the last key.
    fn is_sound(&self, known: &[Known]) -> bool {
        self.id.is_some_and(|id| !id.is_empty())
            && self.key.is_none()
            && !matches!(self.expires, Expires::NoDate)
            && self
                .says
                .keys()
                .any(|field| FIELDS[*field].0 != "executable_hash")
            && (!self.asks("bundle_identifier")
                || ["team_identifier", "hash", "cdhash"]
                    .iter()
                    .any(|f| self.asks(f)))
            && self.says.iter().all(|(field, says)| {
                let text = says.text(*field, known).unwrap_or_default();
                match FIELDS[*field].1 {
                    Some(digits) => text.len() == digits,
                    None => !text.is_empty(),
                }
            })
    }

    fn is_over(&self) -> bool {
        matches!(self.expires, Expires::At(end) if end <= NOW)
    }

    /// Whether all that it says counts of a bundle.
    fn holds(&self, of: &Known, known: &[Known]) -> bool {
        let pins_executable = self.says.contains_key(&6);
        (!of.is_outside || pins_executable)
            && self.says.iter().all(|(field, says)| {
                let (name, digits) = FIELDS[*field];
                let text = says.text(*field, known).unwrap();
                // Hexadecimal digits are the same in capitals.
                let text = if digits.is_some() {
                    text.to_lowercase()
                } else {
                    text
                };
                of.counts.get(name) == Some(&text)
            })
    }
}

/// Writes a file of exceptions with that damage.
fn write(
    disk: &Disk,
    path: &str,
    entries: &[Entry],
    damage: Damage,
    is_binary: bool,
    known: &[Known],
) {
    let entries = entries.iter().map(|entry| entry.value(known)).collect();
    let list = match damage {
        Damage::NoArray => ("Exceptions", Value::Dictionary(Dictionary::new())),
        Damage::NoKey => ("Others", Value::Array(entries)),
        _ => ("Exceptions", Value::Array(entries)),
    };
    let value = Value::Dictionary(Dictionary::from_iter([list]));
    let mut bytes = Vec::new();
    if is_binary && !matches!(damage, Damage::Cut(_)) {
        value.to_writer_binary(&mut bytes).unwrap();
    } else {
        value.to_writer_xml(&mut bytes).unwrap();
    }
    if let Damage::Cut(thousandths) = damage {
        // Before the end of the outermost dictionary; what is behind that says nothing.
        let end = bytes.windows(7).rposition(|w| w == b"</dict>").unwrap() + 6;
        bytes.truncate(end * thousandths / 1000);
    }
    let at = disk.at(&path[1..]);
    match damage {
        Damage::Directory => return drop(disk.dir(&path[1..])),
        Damage::Link => {
            chmod(disk.file("private/elsewhere.plist", bytes), 0o644);
            return drop(disk.link(&path[1..], "/private/elsewhere.plist"));
        }
        _ => chmod(disk.file(&path[1..], bytes), 0o644),
    }
    match damage {
        Damage::Writable => chmod(at, 0o664),
        Damage::Owner => chown(at, Some(501), None).unwrap(),
        _ => {}
    }
}

fn clear(disk: &Disk, path: &str) {
    let at = disk.at(&path[1..]);
    if fs::remove_file(&at).is_err() {
        let _ = fs::remove_dir(&at);
    }
}

#[test]
fn any_lists_accept_what_the_rules_say() {
    if !needs_root("a file of exceptions must belong to root") {
        return;
    }
    let disk = Disk::new();
    let known = known(&disk);
    assert_eq!(known.len(), BUNDLES);
    let root = Root::open(disk.path()).unwrap();
    let accepted = Cell::new(0);
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(1500)
    };
    let found = TestRunner::new(config).run(&(source(), source()), |(managed, local)| {
        let sources = [(MANAGED, managed), (LOCAL, local)];
        let (mut valid, mut ids) = (Vec::new(), BTreeSet::new());
        let (mut is_wrong, mut is_there) = (false, false);
        for (path, source) in &sources {
            clear(&disk, path);
            let Some((entries, damage, is_binary)) = source else {
                continue;
            };
            write(&disk, path, entries, *damage, *is_binary, &known);
            match damage {
                // Managed preferences of that name may hold other things.
                Damage::NoKey if *path == MANAGED => continue,
                Damage::None => {}
                _ => is_wrong = true,
            }
            is_there = true;
            for entry in entries.iter().filter(|_| *damage == Damage::None) {
                if entry.is_sound(&known) && ids.insert(entry.id) {
                    valid.push(entry);
                } else {
                    is_wrong = true;
                }
            }
        }
        valid.retain(|entry| !entry.is_over());
        let read = Exceptions::read(&root, NOW);
        let state = match (is_wrong, is_there) {
            (true, _) => "error",
            (false, true) => "active",
            (false, false) => "none",
        };
        prop_assert_eq!((read.state(), read.active()), (state, valid.len()));
        for of in &known {
            let expected = valid.iter().find(|entry| entry.holds(of, &known));
            let expected = expected
                .and_then(|entry| entry.id)
                .map(std::sync::Arc::from);
            accepted.set(accepted.get() + usize::from(expected.is_some()));
            prop_assert_eq!(read.accept(&of.bundle), expected, "{:?}", of.counts);
        }
        Ok(())
    });
    found.unwrap();
    // Of what is never accepted nothing would be learned.
    assert!(accepted.get() > 100, "{accepted:?}");
}
