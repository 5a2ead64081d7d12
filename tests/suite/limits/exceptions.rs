//! Lists of exceptions, in which whoever writes them makes each text as long and each error as frequent as he
//! likes.

use dsplug::exceptions::{LOCAL, MANAGED};
use dsplug_fixtures::binary_list::binary_list;
use dsplug_fixtures::{Disk, Plugin, chmod, needs_root};
use plist::{Dictionary, Value};

use super::{Row, rows, with_evil, within_the_promise};

fn is_root() -> bool {
    needs_root("a file of exceptions must belong to root")
}

fn put(disk: &Disk, source: &str, list: impl AsRef<[u8]>) {
    chmod(disk.file(&source[1..], list), 0o644);
}

fn list(entries: impl IntoIterator<Item = Vec<(&'static str, String)>>) -> Vec<u8> {
    let entries = entries.into_iter().map(|keys| {
        let keys = keys
            .into_iter()
            .map(|(k, v)| (k.to_owned(), Value::from(v)));
        Value::Dictionary(keys.collect())
    });
    let list = Dictionary::from_iter([("Exceptions", Value::Array(entries.collect()))]);
    let mut bytes = Vec::new();
    Value::Dictionary(list).to_writer_xml(&mut bytes).unwrap();
    bytes
}

/// A binary list of entries with an unknown key each, of so many C1 controls: one byte where it stands, two as
/// text, and six where it is shown.
fn of_unknown_keys(count: u16, length: usize) -> Vec<u8> {
    let text = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&b"\x5f\x12"[..], &length, bytes].concat()
    };
    let mut entries = [&[0xaf, 0x11][..], &count.to_be_bytes()].concat();
    let mut objects = vec![
        vec![0xd1, 0, 1, 0, 2],
        text(b"Exceptions"),
        Vec::new(),
        text(b"id"),
    ];
    for number in 0..count {
        let at = u16::try_from(objects.len()).unwrap();
        let [dictionary, id, key] = [at, at + 1, at + 2].map(u16::to_be_bytes);
        entries.extend(dictionary);
        let id_key = 3_u16.to_be_bytes();
        objects.push([&[0xd2][..], &id_key, &key, &id, &id].concat());
        objects.push(text(format!("id{number}").as_bytes()));
        let key = [vec![0x80; length], format!("{number}").into_bytes()].concat();
        objects.push(text(&key));
    }
    objects[2] = entries;
    let objects: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    binary_list(2, &objects)
}

/// The table, and every command that speaks of exceptions.
#[track_caller]
fn is_told_within_the_promise(disk: &Disk) -> Vec<Row> {
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let output = archive.to_str().unwrap();
    for arguments in [
        &["list"][..],
        &["detect"],
        &["doctor"],
        &["explain", "Evil.dsplug"],
        &["collect", "--all", "--output", output],
    ] {
        within_the_promise(disk.path(), arguments);
    }
    assert!(archive.exists());
    let sql = "SELECT * FROM dsplug_exceptions";
    let text = within_the_promise(disk.path(), &["query", "--format", "json", sql]);
    serde_json::from_str(&text).unwrap()
}

fn digest(disk: &Disk) -> String {
    rows(disk)[0]["hash"].clone()
}

#[test]
fn a_long_text_of_an_exception_is_held_for_no_bundle() {
    if !is_root() {
        return;
    }
    let disk = Disk::new();
    for number in 0..60 {
        Plugin::new("Evil").write_as(disk.plugin(format!("Evil{number:03}.dsplug")));
    }
    Plugin::new("Evil").write(disk.plugin(""));
    let hash = digest(&disk);
    put(
        &disk,
        LOCAL,
        list([vec![("id", "i".repeat(2 << 20)), ("hash", hash.clone())]]),
    );
    for row in rows(&disk) {
        assert_eq!(row["exception"], "", "{}", row["path"]);
    }
    let told = is_told_within_the_promise(&disk);
    let error = &told[0]["error"];
    assert!(
        error.starts_with("entry 1: its id has 2097152 bytes, and may have 256: iiii"),
        "{error}"
    );
    assert!(error.len() < 512, "{} bytes", error.len());
    // The longest that may be.
    put(
        &disk,
        LOCAL,
        list([vec![("id", "i".repeat(256)), ("hash", hash)]]),
    );
    for row in rows(&disk) {
        assert_eq!(row["exception"], "i".repeat(256), "{}", row["path"]);
    }
}

#[test]
fn each_text_of_an_exception_has_a_bound() {
    if !is_root() {
        return;
    }
    let disk = with_evil();
    for key in [
        "path",
        "bundle_identifier",
        "team_identifier",
        "cdhash",
        "hash",
        "signer",
        "executable_hash",
        "linked_hash",
        "load_verdict",
        "kind",
        "discovered_via",
        "reason",
    ] {
        let long = vec![("id", "a".to_owned()), (key, "0".repeat(10_000))];
        put(&disk, LOCAL, list([long]));
        let sql = "SELECT active, error, length(path || signer || reason || hash) AS held FROM dsplug_exceptions";
        let row = &super::common::query(disk.path(), sql)[0];
        assert!(
            row["error"].starts_with(&format!(
                "entry 1: its {key} has 10000 bytes, and may have "
            )),
            "{row:?}"
        );
        assert!(row["error"].len() < 512, "{row:?}");
        assert_eq!(
            (row["active"].as_str(), row["held"].as_str()),
            ("0", "0"),
            "{key}"
        );
    }
}

#[test]
fn errors_of_exceptions_are_short_whatever_they_are_about() {
    if !is_root() {
        return;
    }
    let disk = with_evil();
    let keys = of_unknown_keys(16, (2 << 20) / 16 - 100);
    for source in [MANAGED, LOCAL] {
        put(&disk, source, &keys);
    }
    let told = is_told_within_the_promise(&disk);
    assert_eq!(told.len(), 32);
    for row in &told {
        let error = &row["error"];
        assert!(
            error.contains("its key \\u{80}\\u{80}") && error.ends_with(" is not known"),
            "{error}"
        );
        assert!(error.len() < 1_024, "{} bytes", error.len());
    }
    // What declares a long encoding, and is no list of entries at all.
    let encoding = format!("<?xml encoding='{}'?><plist/>", "\u{1}".repeat(4_000_000));
    put(&disk, LOCAL, encoding);
    let told = is_told_within_the_promise(&disk);
    let error = &told[16]["error"];
    assert!(
        error.contains("that is not read here: its encoding") && error.len() < 1_024,
        "{error}"
    );
}

#[test]
fn of_very_many_errors_some_are_told_and_the_rest_is_counted() {
    if !is_root() {
        return;
    }
    let disk = with_evil();
    for source in [MANAGED, LOCAL] {
        put(&disk, source, of_unknown_keys(4_096, 480));
    }
    let told = is_told_within_the_promise(&disk);
    let of = |source: &str| {
        told.iter()
            .filter(|row| row["source"] == source)
            .cloned()
            .collect::<Vec<_>>()
    };
    for source in [MANAGED, LOCAL] {
        let rows = of(source);
        assert_eq!(rows.len(), 101);
        assert_eq!(
            rows[100]["error"],
            "3996 more of its entries except nothing"
        );
    }
    // What is good behind them holds.
    let hash = digest(&disk);
    let bad = (0..500).map(|n| vec![("id", format!("{n}")), ("pth", "x".to_owned())]);
    put(
        &disk,
        LOCAL,
        list(bad.chain([vec![("id", "good".to_owned()), ("hash", hash)]])),
    );
    assert_eq!(rows(&disk)[0]["exception"], "good");
}

/// As many entries as a list may have, of texts as long as there is room for in a file.
#[test]
fn full_lists_of_exceptions() {
    if !is_root() {
        return;
    }
    let disk = with_evil();
    let full = |prefix: &'static str, key: &'static str, text: String| {
        list((0..4_096).map(|n| {
            let id = format!("{prefix}{n}");
            vec![("id", id), ("path", format!("/{n}")), (key, text.clone())]
        }))
    };
    let is_room = |rows: &[Row]| rows.iter().filter(|row| row["active"] == "1").count();
    let (digits, words) = ("0".repeat(40), "r".repeat(800));
    for text in [("reason", words), ("cdhash", vec![digits; 18].join(";"))] {
        for (source, prefix) in [(MANAGED, "m"), (LOCAL, "l")] {
            let list = full(prefix, text.0, text.1.clone());
            assert!(list.len() <= 4 << 20, "{}", list.len());
            put(&disk, source, list);
        }
        let told = is_told_within_the_promise(&disk);
        eprintln!("{} of {} are active", is_room(&told), told.len());
        // The first list is whole, whatever the second holds.
        assert!(is_room(&told) >= 4_096, "{}", is_room(&told));
    }
    // Of usual entries both are.
    let usual = |prefix: &'static str| {
        list((0..4_096).map(|n| {
            vec![
                ("id", format!("{prefix}-{n} Directory.dsplug")),
                (
                    "path",
                    format!("/Library/DirectoryServices/PlugIns/{n}.dsplug"),
                ),
                ("hash", "0".repeat(64)),
                ("cdhash", "0".repeat(40)),
                ("load_verdict", "loadable".into()),
                ("kind", "directory".into()),
                ("discovered_via", "top_level".into()),
                ("reason", "stood here when the baseline was written".into()),
            ]
        }))
    };
    for (source, prefix) in [(MANAGED, "m"), (LOCAL, "l")] {
        put(&disk, source, usual(prefix));
    }
    let told = is_told_within_the_promise(&disk);
    assert_eq!(
        told.iter().filter(|row| row["error"].is_empty()).count(),
        8_192
    );
}
