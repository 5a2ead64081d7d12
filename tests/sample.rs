//! The sample image in the repository is the one that the fixtures build.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a panic is a test's report"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use walkdir::WalkDir;

/// Every file and link below a directory, with its content.
fn tree(top: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    WalkDir::new(top)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| !e.file_type().is_dir())
        .map(|e| {
            let path = e.path().strip_prefix(top).unwrap().to_owned();
            let content = if e.path_is_symlink() {
                fs::read_link(e.path())
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else {
                fs::read(e.path()).unwrap()
            };
            (path, content)
        })
        .collect()
}

/// Where the sample stands; with `DSPLUG_BLESS=1` it is first laid out anew.
fn sample() -> PathBuf {
    static BLESSED: Once = Once::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/sample");
    BLESSED.call_once(|| {
        if std::env::var_os("DSPLUG_BLESS").is_some() {
            let _ = fs::remove_dir_all(&path);
            dsplug_fixtures::sample::lay_out(&path);
        }
    });
    path
}

#[test]
fn the_sample_is_what_the_fixtures_build() {
    let built = dsplug_fixtures::Disk::empty();
    dsplug_fixtures::sample::lay_out(built.path());
    let (built, kept) = (tree(built.path()), tree(&sample()));
    assert!(!built.is_empty());
    assert_eq!(
        built.keys().collect::<Vec<_>>(),
        kept.keys().collect::<Vec<_>>()
    );
    for (path, content) in built {
        assert_eq!(kept[&path], content, "{}", path.display());
    }
}

/// What the README's first command prints.
fn listed() -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["list", "--root"])
        .arg(sample())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

/// The README quotes it, without the times and owners of a clone, and without what its folder is
/// to an owner who is not root. `DSPLUG_BLESS=1` writes it.
#[test]
fn the_readme_quotes_what_is_printed() {
    const SHOWN: &[&str] = &[
        "Directory.dsplug",
        "Helper.dsplug",
        "Kanaka.dsplug",
        "LWEDSPlugIn.dsplug",
    ];
    let listed = listed();
    let (bundles, folders) = listed.rsplit_once("\n\n").unwrap();
    let shown = bundles
        .split("\n\n")
        .filter(|b| SHOWN.iter().any(|s| b.lines().next().unwrap().ends_with(s)))
        .chain([folders.trim_end()]);
    let quiet = |line: &&str| !line.starts_with("  changed ") && !line.starts_with("  owner ");
    let shown: Vec<String> = shown
        .map(|b| b.lines().filter(quiet).collect::<Vec<_>>().join("\n"))
        .collect();
    let shown = shown.join("\n\n").replace(", writable", "");
    let text = format!("\n```text\n{shown}\n```\n\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let old = fs::read_to_string(&path).unwrap();
    let (before, rest) = old.split_once("<!-- sample:begin -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- sample:end -->").unwrap();
    let new = format!("{before}<!-- sample:begin -->\n{text}<!-- sample:end -->{after}");
    if std::env::var_os("DSPLUG_BLESS").is_some() {
        fs::write(&path, new).unwrap();
    } else {
        assert!(
            old == new,
            "README.md has drifted; run DSPLUG_BLESS=1 cargo test --test sample"
        );
    }
}

#[test]
fn the_readme_s_command_shows_it() {
    let out = listed();
    for expected in [
        "/Library/DirectoryServices/PlugIns/LWEDSPlugIn.dsplug",
        "outside the bundle",
        "resource_modified",
        "name_shadowed",
        "broken_symlink",
        "malformed_info_plist",
        "/Library/DirectoryServices/PlugIns/Base.lproj/Localized.dsplug",
    ] {
        assert!(out.contains(expected), "no {expected} in\n{out}");
    }
}
