//! The sample image in the repository is the one that the fixtures build.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use dsplug_fixtures::generated;
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

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/sample")
}

/// Where the sample stands; it is first laid out anew where generated files are.
fn renewed_sample() -> PathBuf {
    static RENEWED: Once = Once::new();
    let path = sample();
    if generated::renews() {
        RENEWED.call_once(|| {
            let _ = fs::remove_dir_all(&path);
            dsplug_fixtures::sample::lay_out(&path);
        });
    }
    path
}

#[test]
fn the_sample_is_current() {
    let built = dsplug_fixtures::Disk::empty();
    dsplug_fixtures::sample::lay_out(built.path());
    let (built, kept) = (tree(built.path()), tree(&renewed_sample()));
    assert!(!built.is_empty());
    assert_eq!(
        built.keys().collect::<Vec<_>>(),
        kept.keys().collect::<Vec<_>>()
    );
    for (path, content) in built {
        assert_eq!(kept[&path], content, "{}", path.display());
    }
}

/// What the README's first command prints of the sample.
fn listed(sample: &Path) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_dsplug"))
        .args(["list", "--root"])
        .arg(sample)
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

/// The README quotes it, without the times and owners of a clone, and without what its folder is
/// to an owner who is not root.
#[test]
fn the_readme_s_quote_is_current() {
    const SHOWN: &[&str] = &[
        "Directory.dsplug",
        "Helper.dsplug",
        "Kanaka.dsplug",
        "LWEDSPlugIn.dsplug",
    ];
    let listed = listed(&renewed_sample());
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
    generated::parts_held(
        "README.md",
        &[("sample", format!("```text\n{shown}\n```\n"))],
    );
}

#[test]
fn the_readme_s_command_shows_it() {
    let out = listed(&sample());
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
