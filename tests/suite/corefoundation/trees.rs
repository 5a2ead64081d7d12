//! What is listed of a plug-in folder, and read of a bundle.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dsplug::root::Root;
use dsplug_fixtures::{Disk, PLUGINS, chmod, fifo};
use serde_json::Value;

use super::cases;
use crate::common::{Row, query};

/// Where this reader says `loadable` and the loader does not come as far, or CoreFoundation crashes: an
/// alert too many, and none too few.
///
/// Of the collection that these trees are a sample of there are six more, bundles of names with a newline
/// (`named 'X\n.dsplug'`, executable at `Contents/MacOS`, `Contents` or the root, its name given as none or
/// empty): the program that asked CoreFoundation took a path a line and could not ask for those, so no
/// answer says whether they load.
const OVER: &[&str] = &[
    // CoreFoundation asks an empty dictionary for its hash, and crashes.
    "type CFBundleIdentifier=emptydict ns=X",
];

/// A universal bundle of empty slices, arm64e and x86_64, without load commands.
fn mach_o() -> Vec<u8> {
    let thin = |cpu: u32, sub: u32| {
        let words = [0xFEED_FACF, cpu, sub, 8, 0, 0, 0, 0];
        words.map(u32::to_le_bytes).concat()
    };
    let fat: [u32; 12] = [
        0xCAFE_BABE,
        2,
        0x0100_000C,
        2,
        4096,
        32,
        12,
        0x0100_0007,
        3,
        8192,
        32,
        12,
    ];
    let mut bytes = fat.map(u32::to_be_bytes).concat();
    bytes.resize(4096, 0);
    bytes.extend(thin(0x0100_000C, 2));
    bytes.resize(8192, 0);
    bytes.extend(thin(0x0100_0007, 3));
    bytes
}

fn long(path: &str) -> String {
    match path.strip_prefix("P/") {
        Some(rest) => format!("{PLUGINS}/{rest}"),
        None => path.to_owned(),
    }
}

fn lay_out(tree: &Value, pieces: &[&str], disk: &Path) {
    for entry in tree.as_array().unwrap() {
        let at = disk.join(long(entry[0].as_str().unwrap()));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let content = entry[2].as_str().unwrap_or_default();
        match entry[1].as_str().unwrap() {
            "d" => fs::create_dir_all(&at).unwrap(),
            "l" => symlink(content, &at).unwrap(),
            "p" => fifo(&at),
            _ => {
                let bytes = match content {
                    "@macho" => mach_o(),
                    text => bytes(text, pieces),
                };
                fs::write(&at, bytes).unwrap();
                chmod(&at, 0o755);
            }
        }
    }
}

fn bytes(text: &str, pieces: &[&str]) -> Vec<u8> {
    let expand = |c: char| match u32::from(c).checked_sub(0xE000) {
        Some(number) => pieces[usize::try_from(number).unwrap()].to_owned(),
        None => c.to_string(),
    };
    let expanded: String = text.chars().map(expand).collect();
    let byte = |c: char| u8::try_from(u32::from(c)).unwrap();
    expanded.chars().map(byte).collect()
}

/// Where a path really leads, as a Mac finds it.
fn real(root: &Root, path: &str) -> Option<Vec<u8>> {
    let path = format!("/{}", long(path.trim_start_matches('/')));
    root.find(path.as_bytes()).ok().map(|found| found.path())
}

fn folder(root: &Root, rows: &[Row], accepted: &[Value]) -> Result<(), String> {
    for path in accepted {
        let path = path.as_str().unwrap();
        let shown = format!("/{}", long(path));
        let target = real(root, path);
        let row = rows
            .iter()
            .find(|row| row["path"] == shown)
            .or_else(|| rows.iter().find(|row| real(root, &row["path"]) == target))
            .ok_or_else(|| format!("{path} has no row"))?;
        if row["load_verdict"] == "not_loadable" {
            return Err(format!("{path}: {}", row["load_reasons"]));
        }
    }
    Ok(())
}

fn bundle(root: &Root, rows: &[Row], cf: &Value, name: &str) -> Result<(), String> {
    let path = format!("/{PLUGINS}/X.dsplug");
    let row = rows
        .iter()
        .find(|row| row["path"] == path)
        .or_else(|| rows.first())
        .ok_or("no row")?;
    let verdict = row["load_verdict"].as_str();
    if cf["process"] != "ok" {
        let is_over = verdict == "loadable" && !OVER.contains(&name);
        return if is_over {
            Err("is called loadable".into())
        } else {
            Ok(())
        };
    }
    if verdict == "not_loadable" {
        return Err(format!("is called not_loadable: {}", row["load_reasons"]));
    }
    for (key, column) in [
        ("CFBundleIdentifier", "bundle_identifier"),
        ("CFBundleName", "bundle_name"),
        ("CFBundleShortVersionString", "version"),
        ("CFPluginNameString", "plugin_name"),
    ] {
        let wanted = cf[key].as_str().unwrap_or_default();
        // What follows a NUL, and what is escaped, is not what these are about.
        let is_plain = wanted.chars().all(|c| !c.is_control());
        if is_plain && row[column] != wanted {
            return Err(format!("{column}: {wanted:?}, not {:?}", row[column]));
        }
    }
    for (key, column) in [("plist", "info_plist"), ("exe", "executable")] {
        let wanted = cf[key].as_str().unwrap_or_default();
        let (is, wanted_at) = (real(root, &row[column]), real(root, wanted));
        if wanted_at.is_some() && is != wanted_at {
            return Err(format!("{column}: {wanted}, not {}", row[column]));
        }
    }
    Ok(())
}

#[test]
fn nothing_that_the_loader_takes_is_hidden_or_called_not_loadable() {
    let cases = cases::read("trees.jsonl", "DSPLUG_COREFOUNDATION_TREES");
    let pieces: Vec<&str> = cases[0]["pieces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|piece| piece.as_str().unwrap())
        .collect();
    let mut wrong = Vec::new();
    for case in &cases[1..] {
        let disk = Disk::new();
        lay_out(&case["tree"], &pieces, disk.path());
        let rows = query(
            disk.path(),
            "SELECT * FROM dsplug_bundles WHERE kind <> 'folder'",
        );
        let root = Root::open(disk.path()).unwrap();
        let name = case["name"].as_str().unwrap();
        let found = match case["accepted"].as_array() {
            Some(accepted) => folder(&root, &rows, accepted),
            None => bundle(&root, &rows, &case["bundle"], name),
        };
        if let Err(why) = found {
            wrong.push(format!("{name}: {why}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len() - 1,
        wrong.join("\n")
    );
}
