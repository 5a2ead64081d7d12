//! Exceptions: each field, all of them together, the end of one, and files that except nothing.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dsplug::codesign::{Anchor, Roots, SignatureState};
use dsplug::exceptions::{Exceptions, LOCAL, MANAGED, baseline};
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::{Scanner, Snapshot};
use dsplug::text::hex;
use dsplug_fixtures::cms::Signer;
use dsplug_fixtures::macho::{Cpu, Fat, MachO};
use dsplug_fixtures::signed_bundle::{Form, SignedBundle, cdhash};
use dsplug_fixtures::ticket::ticket;
use dsplug_fixtures::{Disk, PLUGINS, Plugin, chmod, fifo, needs_root, skipped, socket};
use plist::{Date, Dictionary, Value};

use crate::common::query;

const A: &str = "/Library/DirectoryServices/PlugIns/A.dsplug";
const NOW: i64 = 1_800_000_000;

fn scan(disk: &Disk) -> Snapshot {
    Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD).scan()
}

/// Root's own files: these tests need them.
fn is_root() -> bool {
    needs_root("a file of exceptions must belong to root")
}

fn put(disk: &Disk, source: &str, entries: Vec<Value>) {
    let list = Dictionary::from_iter([("Exceptions", Value::Array(entries))]);
    let mut bytes = Vec::new();
    Value::Dictionary(list).to_writer_xml(&mut bytes).unwrap();
    chmod(disk.file(&source[1..], bytes), 0o644);
}

fn entry<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let mut entry = Dictionary::from_iter([("id", Value::from("one"))]);
    for (key, value) in keys {
        entry.insert(key.to_owned(), value.into());
    }
    Value::Dictionary(entry)
}

/// What accepts the only bundle of a disk with these entries.
fn accepts(disk: &Disk, entries: Vec<Value>) -> Option<String> {
    put(disk, LOCAL, entries);
    let snapshot = scan(disk);
    let bundle = snapshot
        .bundles
        .iter()
        .find(|b| b.evidence.candidate.path == A.as_bytes());
    bundle.unwrap().exception.as_deref().map(str::to_owned)
}

#[test]
fn path_and_digest_are_matched_and_all_given_fields_must_hold() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let digest = hex(&scan(&disk).bundles[0].digest.unwrap());
    let upper = digest.to_uppercase();
    let other = "0".repeat(64);
    let one = Some("one".to_owned());
    assert_eq!(accepts(&disk, vec![entry([("path", A)])]), one);
    assert_eq!(
        accepts(&disk, vec![entry([("hash", digest.as_str())])]),
        one
    );
    assert_eq!(accepts(&disk, vec![entry([("hash", upper.as_str())])]), one);
    assert_eq!(
        accepts(&disk, vec![entry([("path", A), ("hash", digest.as_str())])]),
        one
    );
    assert_eq!(
        accepts(&disk, vec![entry([("path", A), ("hash", other.as_str())])]),
        None
    );
    assert_eq!(
        accepts(
            &disk,
            vec![entry([("path", "/x"), ("hash", digest.as_str())])]
        ),
        None
    );
    // A part of a path is not the path.
    assert_eq!(
        accepts(
            &disk,
            vec![entry([("path", "/Library/DirectoryServices/PlugIns")])]
        ),
        None
    );
}

/// Identity counts only when the signature verifies: what is ad hoc or unsigned can claim anything.
#[test]
fn an_identifier_of_apples_on_a_bundle_that_apple_has_not_signed_does_not_match() {
    if !is_root() {
        return;
    }
    let identifier = "com.apple.DirectoryService.A";
    let disk = Disk::new();
    Plugin::new("A")
        .key("CFBundleIdentifier", identifier)
        .write(disk.plugin(""));
    assert_eq!(
        accepts(&disk, vec![entry([("bundle_identifier", identifier)])]),
        None
    );
    let disk = Disk::new();
    SignedBundle::new("A", Form::Deep).write(disk.plugin(""));
    let bundle = &scan(&disk).bundles[0];
    assert_eq!(bundle.signature.state, SignatureState::Adhoc);
    let info = bundle
        .evidence
        .info_plist
        .as_ref()
        .unwrap()
        .info
        .as_ref()
        .unwrap();
    let (identifier, name) = (
        info.identifier.clone(),
        bundle.signature.signing_identifier.clone(),
    );
    assert!(!identifier.is_empty() && !name.is_empty());
    assert_eq!(
        accepts(
            &disk,
            vec![entry([("bundle_identifier", identifier.as_str())])]
        ),
        None
    );
    for (field, value) in [("signer", ""), ("team_identifier", "")] {
        // An empty text would match what has no signer; it is refused.
        assert_eq!(accepts(&disk, vec![entry([(field, value)])]), None);
    }
    // A cdhash is a digest: it counts when the signature holds, ad hoc as well.
    let cdhash = hex(&bundle.signature.cdhashes[0]);
    assert_eq!(
        accepts(&disk, vec![entry([("cdhash", cdhash.as_str())])]).as_deref(),
        Some("one")
    );
    let other = "0".repeat(40);
    assert_eq!(
        accepts(&disk, vec![entry([("cdhash", other.as_str())])]),
        None
    );
}

/// The system runs the slice that fits its processor: a foreign one beside the one that was
/// accepted is other code.
#[test]
fn an_exception_by_cdhash_names_every_slice() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    SignedBundle::new("A", Form::Deep)
        .executable(|signature| {
            let slice = |cpu, len| (cpu, MachO::bundle(cpu).code_len(len).signed(signature));
            Fat::of(&[slice(Cpu::X86_64, 3000), slice(Cpu::Arm64e, 5000)]).build()
        })
        .write(disk.plugin(""));
    let cdhashes = scan(&disk).bundles[0].signature.cdhashes.clone();
    let [one, two] = cdhashes.as_slice() else {
        panic!("{cdhashes:?}");
    };
    let (one, two) = (hex(one), hex(two));
    let other = "0".repeat(40);
    let accepted = |cdhash: String| accepts(&disk, vec![entry([("cdhash", cdhash.as_str())])]);
    for (named, fits) in [
        (format!("{one};{two}"), true),
        (format!("{two};{one}").to_uppercase(), true),
        (format!("{one};{other};{two}"), true),
        (one.clone(), false),
        (two.clone(), false),
        (format!("{one};{other}"), false),
        (format!("{one};{two};"), false),
        (format!("{one}{two}"), false),
    ] {
        assert_eq!(accepted(named.clone()).is_some(), fits, "{named}");
    }
}

#[test]
fn an_executable_outside_is_accepted_only_where_it_is_pinned() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A")
        .key("CFBundleExecutable", "../../../../../../opt/out")
        .without_executable()
        .write(disk.plugin(""));
    disk.file("opt/out", "");
    // SHA-256 of nothing.
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let digest = hex(&scan(&disk).bundles[0].digest.unwrap());
    let bundle = [("path", A), ("hash", digest.as_str())];
    assert_eq!(accepts(&disk, vec![entry(bundle)]), None);
    let pinned = [bundle[0], bundle[1], ("executable_hash", empty)];
    assert_eq!(accepts(&disk, vec![entry(pinned)]).as_deref(), Some("one"));
    disk.file("opt/out", "other");
    assert_eq!(accepts(&disk, vec![entry(pinned)]), None);
}

/// Whoever renames it has another of its files run, by no byte.
#[test]
fn a_digest_alone_accepts_no_bundle_that_runs_by_its_name() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A")
        .without("CFBundleExecutable")
        .write(disk.plugin(""));
    let digest = hex(&scan(&disk).bundles[0].digest.unwrap());
    let by_digest = ("hash", digest.as_str());
    assert_eq!(accepts(&disk, vec![entry([by_digest])]), None);
    let named = accepts(&disk, vec![entry([by_digest, ("path", A)])]);
    assert_eq!(named.as_deref(), Some("one"));
    Plugin::new("A").write(disk.plugin(""));
    let digest = hex(&scan(&disk).bundles[0].digest.unwrap());
    let named = accepts(&disk, vec![entry([("hash", digest.as_str())])]);
    assert_eq!(named.as_deref(), Some("one"));
}

/// Whoever has that lead to another of its files has another run, by no byte of it.
#[test]
fn what_leads_out_and_back_in_is_accepted_by_no_entry() {
    if !is_root() {
        return;
    }
    let contents = "/Library/DirectoryServices/PlugIns/A.dsplug/Contents";
    let library = ["@loader_path/../Frameworks/l", "/Users/Shared/x"];
    let code = |path: &str| MachO::bundle(Cpu::X86_64).dylib_path(path).unsigned();
    let none = MachO::bundle(Cpu::X86_64).unsigned();
    let cases = [
        (none.clone(), "Contents/MacOS/A"),
        (code(library[0]), "Contents/Frameworks/l"),
        (code(library[1]), ""),
        (none, "executable"),
    ];
    for (code, link) in cases {
        let disk = Disk::new();
        let plugin = Plugin::new("A")
            .executable(code)
            .file("Contents/Resources/a", "a");
        let plugin = match link {
            "executable" => plugin.key("CFBundleExecutable", "/Users/Shared/x"),
            _ => plugin,
        };
        plugin.write(disk.plugin(""));
        disk.link("Users/Shared/x", format!("{contents}/Resources/a"));
        if link.starts_with("Contents") {
            let at = format!("{}/{link}", &A[1..]);
            let _ = fs::remove_file(disk.at(&at));
            disk.link(at, "/Users/Shared/x");
        }
        let digest = hex(&scan(&disk).bundles[0].digest.unwrap());
        let named = [("path", A), ("hash", digest.as_str())];
        assert_eq!(accepts(&disk, vec![entry(named)]), None, "{link}");
        let baseline = baseline::write(&scan(&disk)).unwrap();
        assert_eq!(baseline.left_out.len(), 1, "{link}");
    }
}

/// From the bytes on the disk to the exception: what an honest vendor ships is stapled.
#[test]
fn a_team_is_accepted_of_a_stapled_bundle() {
    if !is_root() {
        return;
    }
    let name = "Developer ID Application: Example (TEAM123456)";
    let signer = Signer::developer_id(name, "TEAM123456");
    let disk = Disk::new();
    let root = SignedBundle::new("A", Form::Deep)
        .signer(&signer)
        .write(disk.plugin(""));
    let code = cdhash(&fs::read(root.join("Contents/MacOS/A")).unwrap());
    fs::write(root.join("Contents/CodeResources"), ticket(&[code])).unwrap();
    let accepts = |team: &str| {
        put(&disk, LOCAL, vec![entry([("team_identifier", team)])]);
        let scanner = Scanner::new(Root::open(disk.path()).unwrap(), Limits::STANDARD);
        let snapshot = scanner.with_roots(Roots::of(signer.roots())).scan();
        let signature = &snapshot.bundles[0].signature;
        assert_eq!(signature.state, SignatureState::Signed);
        assert!(signature.notarization_ticket);
        snapshot.bundles[0].exception.clone()
    };
    assert_eq!(accepts("TEAM123456").as_deref(), Some("one"));
    assert_eq!(accepts("OTHERTEAM1"), None);
}

/// While nothing is written what was read of them answers on, but what expires, and what others come to be able to write.
#[test]
fn what_was_read_of_lists_stands_until_one_expires_or_its_folder_is_anybodys() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    let mut ending = Dictionary::from_iter([("id", Value::from("ending"))]);
    ending.insert("path".into(), A.into());
    ending.insert("hash".into(), "0".repeat(64).into());
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs() + 60);
    ending.insert("expires".into(), Date::from(end).into());
    put(&disk, LOCAL, vec![Value::Dictionary(ending)]);
    let root = Root::open(disk.path()).unwrap();
    let read = Exceptions::read(&root, NOW);
    assert_eq!((read.state(), read.active()), ("active", 1));
    assert!(read.are_still(&root, NOW + 59));
    assert!(!read.are_still(&root, NOW + 60));
    // By a clock that is set back it would except again.
    let expired = Exceptions::read(&root, NOW + 60);
    assert_eq!(expired.active(), 0);
    assert!(expired.are_still(&root, NOW + 90));
    assert!(!expired.are_still(&root, NOW));
    for folder in [
        "Library/Application Support/dsplug",
        "Library/Application Support",
    ] {
        let folder = disk.at(folder);
        chmod(&folder, 0o777);
        assert!(!read.are_still(&root, NOW), "{}", folder.display());
        chmod(&folder, 0o755);
        assert!(read.are_still(&root, NOW), "{}", folder.display());
    }
}

/// The fields of a verified signature, one at a time and together.
#[test]
fn the_fields_of_a_verified_signature_are_matched() {
    let disk = Disk::new();
    let signed = SignedBundle::new("A", Form::Deep);
    signed.write(disk.plugin(""));
    let snapshot = scan(&disk);
    let mut bundle = (*snapshot.bundles[0]).clone();
    // As a chain that ends in Apple's root would be judged; no test can hold Apple's key.
    Arc::make_mut(&mut bundle.signature).state = SignatureState::Signed;
    Arc::make_mut(&mut bundle.signature).anchor = Anchor::DeveloperId;
    Arc::make_mut(&mut bundle.signature).signer =
        "Developer ID Application: Example (TEAM123456)".into();
    Arc::make_mut(&mut bundle.signature).team_identifier = "TEAM123456".into();
    let with = |keys: &[(&str, &str)]| {
        if !is_root() {
            return None;
        }
        put(&disk, LOCAL, vec![entry(keys.iter().copied())]);
        let exceptions = Exceptions::read(&Root::open(disk.path()).unwrap(), NOW);
        Some(exceptions.accept(&bundle).is_some())
    };
    let signer = ("signer", "Developer ID Application: Example (TEAM123456)");
    let team = ("team_identifier", "TEAM123456");
    let identifier = signed.identifier();
    let identifier = ("bundle_identifier", identifier.as_str());
    if with(&[signer]).is_none() {
        return;
    }
    for right in [signer, team] {
        assert_eq!(with(&[right]), Some(true), "{right:?}");
        assert_eq!(with(&[(right.0, "another")]), Some(false), "{right:?}");
    }
    // Any account can sign any identifier: it takes a team, or something that pins more.
    assert_eq!(with(&[identifier]), Some(false));
    assert_eq!(with(&[identifier, signer]), Some(false));
    assert_eq!(with(&[identifier, team]), Some(true));
    assert_eq!(with(&[(identifier.0, "another"), team]), Some(false));
    let digest = hex(&bundle.digest.unwrap());
    assert_eq!(with(&[identifier, ("hash", &digest)]), Some(true));
    assert_eq!(with(&[signer, team, identifier]), Some(true));
    assert_eq!(
        with(&[signer, ("team_identifier", "OTHER12345"), identifier]),
        Some(false)
    );
    // As of a certificate that Apple gives to any account, under any name.
    Arc::make_mut(&mut bundle.signature).anchor = Anchor::Untrusted;
    for named in [&[signer][..], &[team], &[identifier, team]] {
        put(&disk, LOCAL, vec![entry(named.iter().copied())]);
        let exceptions = Exceptions::read(&Root::open(disk.path()).unwrap(), NOW);
        assert_eq!(exceptions.accept(&bundle), None, "{named:?}");
    }
    Arc::make_mut(&mut bundle.signature).anchor = Anchor::DeveloperId;
    Arc::make_mut(&mut bundle.signature).state = SignatureState::Broken;
    let exceptions = |keys: &[(&str, &str)]| {
        put(&disk, LOCAL, vec![entry(keys.iter().copied())]);
        Exceptions::read(&Root::open(disk.path()).unwrap(), NOW).accept(&bundle)
    };
    // What a broken signature claims counts for nothing, even where a reader left it in place.
    for claimed in [signer, team] {
        assert_eq!(exceptions(&[claimed]), None, "{claimed:?}");
    }
    assert_eq!(exceptions(&[identifier, team]), None);
}

#[test]
fn an_expired_entry_accepts_nothing_and_is_no_error() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW as u64);
    let mut one = Dictionary::from_iter([("id", Value::from("one")), ("path", Value::from(A))]);
    one.insert("expires".into(), Value::Date(Date::from(end)));
    put(&disk, LOCAL, vec![Value::Dictionary(one)]);
    let root = Root::open(disk.path()).unwrap();
    for (now, active) in [(NOW - 1, true), (NOW, false), (NOW + 1, false)] {
        let read = Exceptions::read(&root, now);
        assert_eq!(
            (read.entries[0].active, read.entries[0].error.as_str()),
            (active, "")
        );
        assert_eq!(
            (read.state(), read.active()),
            ("active", usize::from(active))
        );
    }
}

#[test]
fn a_file_that_others_could_have_written_excepts_nothing() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let file = disk.at(&LOCAL[1..]);
    assert!(accepts(&disk, vec![entry([("path", A)])]).is_some());
    let refused = |why: &str| {
        let snapshot = scan(&disk);
        assert_eq!(snapshot.bundles[0].exception, None);
        let row = &snapshot.exceptions.entries[0];
        assert!(row.error.contains(why) && !row.active, "{row:?}");
        assert_eq!(
            (row.source, snapshot.status.exceptions_state),
            (LOCAL, "error")
        );
        assert_eq!(
            (
                snapshot.status.exceptions_path.as_str(),
                snapshot.status.exceptions
            ),
            (LOCAL, 0)
        );
    };
    chmod(&file, 0o664);
    refused("others than root can write it (mode 0664)");
    chmod(&file, 0o646);
    refused("(mode 0646)");
    chmod(&file, 0o644);
    chown(&file, Some(501), None).unwrap();
    refused("it belongs to uid 501");
    chown(&file, Some(0), None).unwrap();
    assert!(scan(&disk).bundles[0].exception.is_some());
    // A link could be led to a file that root wrote for another purpose.
    let elsewhere = disk.at("elsewhere.plist");
    fs::rename(&file, &elsewhere).unwrap();
    disk.link(&LOCAL[1..], "/elsewhere.plist");
    refused("no regular file");
}

/// Whoever can write a folder on the way can put an old list back, or a whole folder that holds one.
#[test]
fn a_folder_on_the_way_that_others_could_have_written_excepts_nothing() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let pinned = vec![entry([("path", A)])];
    assert!(accepts(&disk, pinned.clone()).is_some());
    let refused = |why: &str| {
        let snapshot = scan(&disk);
        assert_eq!(snapshot.bundles[0].exception, None);
        let error = &snapshot.exceptions.entries[0].error;
        assert!(error.contains(why), "{error}");
    };
    for folder in [
        "Library",
        "Library/Application Support",
        "Library/Application Support/dsplug",
    ] {
        let at = disk.at(folder);
        for mode in [0o775, 0o757, 0o1777] {
            chmod(&at, mode);
            refused(&format!("its folder /{folder} can be written by others"));
        }
        chmod(&at, 0o755);
        chown(&at, Some(501), None).unwrap();
        refused(&format!("its folder /{folder} belongs to uid 501"));
        chown(&at, Some(0), None).unwrap();
    }
    assert!(scan(&disk).bundles[0].exception.is_some());
    let folder = disk.at("Library/Application Support/dsplug");
    fs::rename(&folder, disk.at("aside")).unwrap();
    disk.link("Library/Application Support/dsplug", "/aside");
    refused("is no directory of its own");
}

/// A bundle whose bytes stay as they were is made to load by what stands around it.
#[test]
fn an_exception_ends_when_the_folder_makes_something_else_of_the_bundle() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin("Resources"));
    // It keeps the top level out of what is listed.
    Plugin::new("B").write(disk.plugin(""));
    let snapshot = scan(&disk);
    let baseline = baseline::write(&snapshot).unwrap();
    chmod(disk.file(&LOCAL[1..], &baseline.plist), 0o644);
    let excepted = || -> Vec<bool> {
        let snapshot = scan(&disk);
        assert_eq!(snapshot.exceptions.state(), "active");
        snapshot
            .bundles
            .iter()
            .map(|b| b.exception.is_some())
            .collect()
    };
    assert_eq!(excepted(), [true, true]);
    // Now the loader looks in Contents/Resources alone: B, the first, did not load before either.
    disk.dir(format!("{PLUGINS}/Contents"));
    assert_eq!(excepted(), [true, false]);
    for (field, word) in [
        ("load_verdict", "loads"),
        ("kind", "folders"),
        ("discovered_via", "top"),
    ] {
        let bad = vec![entry([("path", A), (field, word)])];
        put(&disk, LOCAL, bad);
        let error = scan(&disk).exceptions.entries[0].error.clone();
        assert!(
            error.contains(&format!("its {field} is none of")),
            "{error}"
        );
    }
}

/// The row stands for what nobody has seen: no entry can know it to be good.
#[test]
fn what_was_left_out_of_a_folder_is_accepted_by_no_entry() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    for name in ["A", "B"] {
        Plugin::new(name).write(disk.plugin(""));
    }
    put(
        &disk,
        LOCAL,
        vec![entry([("path", "/Library/DirectoryServices/PlugIns")])],
    );
    let limits = Limits {
        candidates: 1,
        ..Limits::STANDARD
    };
    let snapshot = Scanner::new(Root::open(disk.path()).unwrap(), limits).scan();
    assert_eq!(snapshot.exceptions.active(), 1);
    let mut folders = snapshot.bundles.iter().filter(|b| b.evidence.is_folder());
    assert_eq!(folders.next().unwrap().exception, None);
}

#[test]
fn a_malformed_file_is_an_error_that_is_seen() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    for (text, why) in [
        ("", "not a property list"),
        ("<plist><dict>", "not a property list"),
        ("<plist><array/></plist>", "no dictionary"),
        ("<plist><dict/></plist>", "no array Exceptions"),
        (
            "<plist><dict><key>Exceptions</key><string/></dict></plist>",
            "is no array",
        ),
    ] {
        chmod(disk.file(&LOCAL[1..], text), 0o644);
        let snapshot = scan(&disk);
        let row = &snapshot.exceptions.entries[0];
        assert!(row.error.contains(why), "{text}: {}", row.error);
        assert_eq!(snapshot.bundles[0].exception, None);
    }
    let shown = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["query", "--format", "json", "--root"])
        .arg(disk.path())
        .arg("SELECT source, active, error FROM dsplug_exceptions")
        .output()
        .unwrap();
    let (out, log) = (
        String::from_utf8(shown.stdout).unwrap(),
        String::from_utf8(shown.stderr).unwrap(),
    );
    assert!(
        out.contains("is no array") && out.contains("\"active\":\"0\"")
            || out.contains("\"active\": \"0\""),
        "{out}"
    );
    assert!(log.contains("it excepts nothing"), "{log}");
}

/// Two escapes in a row would show a sign that nobody wrote.
#[test]
fn what_an_error_shows_is_escaped_once() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    put(&disk, LOCAL, vec![entry([("p\u{202e}\\x41\u{80}", "x")])]);
    let rows = query(disk.path(), "SELECT error FROM dsplug_exceptions");
    let error = "entry 1: its key p\\u{202e}\\x5cx41\\u{80} is not known";
    assert_eq!(rows[0]["error"], error);
    for command in [&["explain", "A.dsplug"][..], &["doctor"]] {
        let told = Command::new(env!("CARGO_BIN_EXE_dsplug"))
            .args(command)
            .arg("--root")
            .arg(disk.path())
            .output()
            .unwrap();
        let told = [told.stdout, told.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(error), "{command:?}: {told}");
        assert!(!told.contains("\\x5cu"), "{command:?}: {told}");
    }
}

#[test]
fn an_entry_that_is_not_understood_accepts_nothing_and_the_others_hold() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let long = "0".repeat(63);
    let bad = |key: &str, value: Value| {
        let mut bad = Dictionary::from_iter([("id", Value::from("bad")), ("path", Value::from(A))]);
        bad.insert(key.to_owned(), value);
        Value::Dictionary(bad)
    };
    for (entry_value, why) in [
        (entry([]), "names no path"),
        (entry([("reason", "because")]), "names no path"),
        (
            entry([("executable_hash", "0".repeat(64).as_str())]),
            "names no path",
        ),
        (entry([("kind", "directory")]), "names no path"),
        (
            entry([("bundle_identifier", "com.example.A")]),
            "needs a team_identifier",
        ),
        (bad("id", "".into()), "its id is empty"),
        (bad("pth", "x".into()), "key pth is not known"),
        (bad("hash", long.as_str().into()), "64 hexadecimal digits"),
        (bad("cdhash", "zz".into()), "40 hexadecimal digits"),
        (bad("signer", "".into()), "its signer is empty"),
        (bad("signer", Value::Boolean(true)), "its signer is no text"),
        (
            bad("expires", "2030-01-01".into()),
            "its expires is no date",
        ),
        (Value::from("text"), "is no dictionary"),
        (
            Value::Dictionary(Dictionary::from_iter([("path", Value::from(A))])),
            "has no id",
        ),
    ] {
        assert_eq!(
            accepts(&disk, vec![entry_value.clone()]),
            None,
            "{entry_value:?}"
        );
        let error = scan(&disk).exceptions.entries[0].error.clone();
        assert!(error.contains(why), "{error}");
        let good = Dictionary::from_iter([("id", Value::from("good")), ("path", Value::from(A))]);
        let both = vec![entry_value, Value::Dictionary(good)];
        assert_eq!(accepts(&disk, both).as_deref(), Some("good"));
    }
    let twice = vec![entry([("path", "/x")]), entry([("path", A)])];
    assert_eq!(accepts(&disk, twice), None);
}

#[test]
fn managed_preferences_come_first_and_may_hold_other_keys() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let named = |id: &str| {
        Value::Dictionary(Dictionary::from_iter([
            ("id", Value::from(id)),
            ("path", Value::from(A)),
        ]))
    };
    put(&disk, LOCAL, vec![named("local")]);
    assert_eq!(scan(&disk).bundles[0].exception.as_deref(), Some("local"));
    put(&disk, MANAGED, vec![named("managed")]);
    let snapshot = scan(&disk);
    assert_eq!(snapshot.bundles[0].exception.as_deref(), Some("managed"));
    assert_eq!(
        snapshot.status.exceptions_path,
        format!("{MANAGED};{LOCAL}")
    );
    chmod(
        disk.file(
            &MANAGED[1..],
            "<plist><dict><key>Other</key><true/></dict></plist>",
        ),
        0o644,
    );
    let snapshot = scan(&disk);
    assert_eq!(snapshot.bundles[0].exception.as_deref(), Some("local"));
    assert_eq!(snapshot.status.exceptions_state, "active");
}

/// Who turns the copies off hides what goes: `exceptions_changed` asks for every column of this.
#[test]
fn what_a_file_says_of_copies_is_a_row() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    for (wish, word) in [(true, "<true/>"), (false, "<false/>")] {
        let text = format!("<plist><dict><key>KeepCopies</key>{word}</dict></plist>");
        chmod(disk.file(&LOCAL[1..], text), 0o644);
        let snapshot = scan(&disk);
        let [row] = &snapshot.exceptions.entries[..] else {
            panic!("{:?}", snapshot.exceptions);
        };
        assert_eq!((row.keep_copies, row.source), (Some(wish), LOCAL));
        assert_eq!((row.active, row.error.as_str()), (false, ""));
        assert_eq!(snapshot.exceptions.keep_copies, wish);
        assert_eq!(snapshot.bundles[0].exception, None);
        assert_eq!(snapshot.status.exceptions_state, "none");
    }
}

/// Without a file there is nothing to say.
#[test]
fn no_file_is_no_error() {
    let snapshot = scan(&Disk::new());
    assert!(snapshot.exceptions.entries.is_empty());
    assert_eq!(
        (snapshot.status.exceptions_state, snapshot.status.exceptions),
        ("none", 0)
    );
}

#[test]
fn a_baseline_accepts_what_it_saw_and_nothing_else() {
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    Plugin::new("Odd 'name' \u{202e}").write(disk.plugin("Resources"));
    SignedBundle::new("S", Form::Deep).write(disk.plugin(""));
    disk.file("Library/DirectoryServices/PlugIns/file.dsplug", "x");
    // There is nothing to pin, so it is left out.
    disk.link(
        "Library/DirectoryServices/PlugIns/broken.dsplug",
        "/nowhere",
    );
    Plugin::new("Out")
        .key("CFBundleExecutable", "../../../../../../opt/out")
        .without_executable()
        .write(disk.plugin(""));
    disk.file("opt/out", "code");
    let snapshot = scan(&disk);
    let baseline = baseline::write(&snapshot).unwrap();
    assert_eq!(baseline.left_out.len(), 1, "{:?}", baseline.left_out);
    let output = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["baseline", "--root"])
        .arg(disk.path())
        .output()
        .unwrap();
    assert_eq!(output.stdout, baseline.plist);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("broken.dsplug is not in the baseline: it could not be read whole"));
    if !is_root() {
        return;
    }
    chmod(disk.file(&LOCAL[1..], &baseline.plist), 0o644);
    let accepted = |snapshot: &Snapshot| {
        let bundles = snapshot.bundles.iter().filter(|b| b.exception.is_some());
        bundles.count()
    };
    let snapshot = scan(&disk);
    assert_eq!(snapshot.exceptions.state(), "active");
    assert_eq!((snapshot.bundles.len(), accepted(&snapshot)), (6, 5));
    disk.file(
        "Library/DirectoryServices/PlugIns/A.dsplug/Contents/more",
        "x",
    );
    assert_eq!(accepted(&scan(&disk)), 4);
    // The executable outside is pinned by itself: the bundle's digest does not reach it.
    disk.file("opt/out", "other code");
    assert_eq!(accepted(&scan(&disk)), 3);
}

/// Where something that loads may stand, and was not looked at, no digest that was taken is one of all of it.
#[test]
fn what_was_not_followed_is_accepted_by_no_entry() {
    if !is_root() {
        return;
    }
    type Link<'a> = &'a dyn Fn(&Disk, &std::path::Path);
    let links: [Link<'_>; 5] = [
        &|disk, at| symlink(disk.too_far() + "/Users/Shared/x", at).unwrap(),
        &|_, at| symlink("/.vol/1/2", at).unwrap(),
        &|_, at| symlink("/.file/id=1.2", at).unwrap(),
        &|_, at| symlink("/dev/fd/3", at).unwrap(),
        &|_, at| {
            for number in 0..1100 {
                let before = at.with_file_name(format!("a{number}"));
                symlink(format!("/nowhere/{number}"), before).unwrap();
            }
            symlink("/Users/Shared/x", at).unwrap();
        },
    ];
    for (index, link) in links.into_iter().enumerate() {
        let disk = Disk::new();
        disk.file("Users/Shared/x", "library");
        let bundle = Plugin::new("A").write(disk.plugin(""));
        link(&disk, &bundle.join("Contents/zz"));
        never_accepted(&disk, index);
    }
    let disk = Disk::new();
    disk.file("Users/Shared/x", "executable");
    let far = disk.too_far() + "/Users/Shared/x";
    let plugin = Plugin::new("A").key("CFBundleExecutable", far);
    plugin.write(disk.plugin(""));
    never_accepted(&disk, 5);
    let disk = Disk::new();
    let bundle = Plugin::new("A").write(disk.plugin(""));
    let file = bundle.join("Contents/Info.plist");
    let none = rustix::fs::XattrFlags::empty();
    match rustix::fs::setxattr(file, "user.com.apple.ResourceFork", b"code", none) {
        Ok(()) => never_accepted(&disk, 6),
        Err(error) => skipped(format_args!("the file system takes no attributes: {error}")),
    }
}

/// What one macOS runs by the list, another does not, and it is not watched.
#[test]
fn what_older_macos_reads_in_another_way_is_accepted_by_no_entry() {
    if !is_root() {
        return;
    }
    let plugin = || Plugin::new("A");
    let text = String::from_utf8(plugin().info_plist()).unwrap();
    let other = "<key>CFBundleExecutable</key><string>../../../../../../Users/Shared/x</string>";
    let list = text.replacen("<dict>", &format!("<dict><!--->{other}<!-- -->"), 1);
    let disk = Disk::new();
    disk.file("Users/Shared/x", "executable");
    plugin()
        .file("Contents/Info.plist", list)
        .write(disk.plugin(""));
    never_accepted(&disk, 0);
    let disk = Disk::new();
    let bundle = plugin().write(disk.plugin(""));
    disk.dir(format!("{PLUGINS}/A.dsplug/Wrapper"));
    symlink("Wrapper", bundle.join("WrappedBundle")).unwrap();
    never_accepted(&disk, 1);
}

#[track_caller]
fn never_accepted(disk: &Disk, case: usize) {
    let snapshot = scan(disk);
    let bundle = &snapshot.bundles[0];
    assert!(!bundle.unread().is_empty(), "{case}");
    let digest = hex(&bundle.digest.unwrap());
    let entries = vec![entry([("path", A), ("hash", digest.as_str())])];
    assert_eq!(accepts(disk, entries), None, "{case}");
    let baseline = baseline::write(&scan(disk));
    assert!(baseline.is_ok_and(|b| b.left_out.len() == 1), "{case}");
}

/// One can take another's place, and every digest stays as it was: what a loader does at it does not.
#[test]
fn where_a_socket_fifo_or_device_stands_is_accepted_by_nothing() {
    if !is_root() {
        return;
    }
    let places: [fn(&Disk, &Path) -> PathBuf; 4] = [
        |_, bundle| bundle.join("Contents/Info-macos.plist"),
        |_, bundle| bundle.join("Contents/pipe"),
        |disk, bundle| {
            symlink("/opt/list", bundle.join("Contents/Info-macos.plist")).unwrap();
            disk.dir("opt").join("list")
        },
        |disk, bundle| {
            symlink("/opt/fw", bundle.join("Contents/Frameworks")).unwrap();
            disk.dir("opt/fw").join("l.dylib")
        },
    ];
    for (case, place) in places.into_iter().enumerate() {
        let disk = Disk::new();
        let bundle = Plugin::new("A").write(disk.plugin(""));
        let at = place(&disk, &bundle);
        fifo(&at);
        never_accepted(&disk, case);
        fs::remove_file(&at).unwrap();
        socket(&at);
        never_accepted(&disk, case);
    }
}

/// A list that would cost a scan its time excepts nothing.
#[test]
fn a_list_of_too_many_entries_is_refused() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let named = |number: usize| {
        let id = format!("n{number}");
        entry([("id", id.as_str()), ("path", A)])
    };
    let one = Some("n0".to_owned());
    assert_eq!(accepts(&disk, (0..4096).map(named).collect()), one);
    assert_eq!(accepts(&disk, (0..4097).map(named).collect()), None);
    let snapshot = scan(&disk);
    assert_eq!(snapshot.exceptions.entries.len(), 1);
    assert!(snapshot.exceptions.entries[0].error.contains("4096"));
}

/// What was not read, because others spent what a scan has, ends an exception as what was read does.
#[test]
fn a_library_that_there_is_no_room_for_ends_an_exception() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    let main = MachO::bundle(Cpu::X86_64)
        .dylib_path("@rpath/l.dylib")
        .rpath("/usr/local/lib")
        .rpath("@loader_path/../Frameworks");
    Plugin::new("A")
        .executable(main.unsigned())
        .file("Contents/Frameworks/l.dylib", "honest")
        .write(disk.plugin(""));
    let digest = hex(&scan(&disk).bundles[0].digest.unwrap());
    put(&disk, LOCAL, vec![entry([("hash", digest.as_str())])]);
    for number in 0..200 {
        disk.file(format!("{PLUGINS}/Junk.dsplug/{number}"), "");
    }
    let limits = Limits {
        scan_entries: 60,
        ..Limits::STANDARD
    };
    let accepted = || {
        let snapshot = Scanner::new(Root::open(disk.path()).unwrap(), limits).scan();
        let mut bundles = snapshot.bundles.into_iter();
        let bundle = bundles.find(|b| b.evidence.candidate.path == A.as_bytes());
        let bundle = bundle.unwrap();
        (bundle.exception.clone(), bundle.unread())
    };
    assert_eq!(accepted(), (Some("one".into()), String::new()));
    let library = disk.file("usr/local/lib/l.dylib", "evil");
    let (exception, unread) = accepted();
    assert_eq!(exception, None);
    assert!(unread.contains("unwatched="), "{unread}");
    // Its status is watched all the same.
    fs::write(library, "another").unwrap();
    assert_ne!(accepted().1, unread);
}

/// Whatever can be exchanged unseen, no entry accepts.
#[test]
fn what_is_blind_is_accepted_by_nothing() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    let entries = || vec![entry([("path", A)])];
    assert_eq!(accepts(&disk, entries()), Some("one".to_owned()));
    // Deeper than is gone down.
    disk.file(format!("{PLUGINS}/A.dsplug/{}x", "d/".repeat(600)), "");
    assert_eq!(accepts(&disk, entries()), None);
    let baseline = baseline::write(&scan(&disk)).unwrap();
    assert_eq!(baseline.left_out.len(), 1);
}

/// Where an image is merged by links, the list on its data volume is that of the Mac.
#[test]
fn the_list_of_an_image_that_is_merged_by_links_counts_where_root_alone_can_write_it() {
    if !is_root() {
        return;
    }
    let disk = Disk::empty();
    disk.dir("System/Volumes/Data/Library");
    disk.link("Library", "System/Volumes/Data/Library");
    Plugin::new("A").write(disk.dir(PLUGINS));
    let entries = || vec![entry([("path", A)])];
    assert_eq!(accepts(&disk, entries()), Some("one".to_owned()));
    for folder in ["System/Volumes", "System/Volumes/Data/Library"] {
        chmod(disk.at(folder), 0o777);
        assert_eq!(accepts(&disk, entries()), None, "{folder}");
        chmod(disk.at(folder), 0o755);
    }
    // A link to elsewhere is whoever's made it.
    fs::rename(disk.at("System/Volumes/Data/Library"), disk.at("Other")).unwrap();
    fs::remove_file(disk.at("Library")).unwrap();
    disk.link("Library", "Other");
    let error = &scan(&disk).exceptions.entries[0].error;
    assert!(error.contains("is no directory of its own"), "{error}");
}
