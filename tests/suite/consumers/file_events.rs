//! What `file_paths` make osquery tell on a Mac, by the rules of its FSEvents publisher
//! (`osquery/events/darwin/fsevents.cpp`: `transformSubscription`, `shouldFire`), as read at 5.23.

use dsplug::pack::conf::WATCHED_PATHS;

/// True when osquery tells an event at that path for that entry of `file_paths`.
///
/// A path that ends in `%%` fires for all that begins, in its letter case, with what stands before.
/// Any other is matched with a `*` behind it, `*` not matching `/`, letter case folded.
fn fires(entry: &str, path: &str) -> bool {
    let glob = entry.replace('%', "*");
    if let Some(before) = glob.strip_suffix("**") {
        return path.starts_with(before);
    }
    matches(
        glob.to_lowercase().as_bytes(),
        path.to_lowercase().as_bytes(),
    )
}

/// fnmatch with FNM_PATHNAME of the pattern and a `*` behind it.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, _) => !path.contains(&b'/'),
        (Some((b'*', rest)), _) => {
            matches(rest, path)
                || path
                    .split_first()
                    .is_some_and(|(c, behind)| *c != b'/' && matches(pattern, behind))
        }
        (Some((p, rest)), Some((c, behind))) => p == c && matches(rest, behind),
        (Some(_), None) => false,
    }
}

#[test]
fn whatever_is_done_to_the_folders_is_an_event() {
    for path in [
        // The folder as a whole: made, renamed, replaced, by its own name or in another case.
        "/Library/DirectoryServices",
        "/Library/DirectoryServices/PlugIns",
        "/Library/DirectoryServices/plugins",
        "/Library/DirectoryServices/PlugIns.old",
        "/Library/OpenDirectory/Modules",
        "/Library/OpenDirectory/modules",
        // What stands in it.
        "/Library/DirectoryServices/PlugIns/A.dsplug",
        "/Library/DirectoryServices/PlugIns/A.dsplug/Contents/MacOS/A",
        "/Library/DirectoryServices/plugins/A.dsplug",
        "/Library/OpenDirectory/Modules/A.xpc/Contents/MacOS/A",
    ] {
        assert!(WATCHED_PATHS.iter().any(|e| fires(e, path)), "{path}");
    }
    for path in [
        "/Library/Caches/x",
        "/Library/DirectoryServicesX/PlugIns/A.dsplug",
        "/Library/OpenDirectory/Other/x",
    ] {
        assert!(!WATCHED_PATHS.iter().any(|e| fires(e, path)), "{path}");
    }
}

/// The paths that stood there before: these made no event.
#[test]
fn a_path_that_ends_in_two_percent_signs_does_not_tell_its_own_folder() {
    let alone = "/Library/DirectoryServices/PlugIns/%%";
    assert!(!fires(alone, "/Library/DirectoryServices/PlugIns"));
    assert!(!fires(alone, "/Library/DirectoryServices/plugins/A.dsplug"));
    assert!(!fires(
        "/Library/DirectoryServices",
        "/Library/DirectoryServices/PlugIns"
    ));
}

/// `files_written` asks for the category, whoever delivers the paths.
#[test]
fn each_way_of_delivery_has_the_same_paths_in_the_same_category() {
    use super::files::text;
    let json = |path: &str| -> serde_json::Value { serde_json::from_str(&text(path)).unwrap() };
    let osquery = json("packs/dsplug.conf");
    let elastic = json("install/elastic/osquery-config.json");
    assert_eq!(osquery["file_paths"], elastic["file_paths"]);
    let fleet = text("packs/fleet/dsplug.agent-options.yml");
    for path in osquery["file_paths"]["dsplug"].as_array().unwrap() {
        assert!(fleet.contains(&format!("\n      - {path}\n")), "{path}");
    }
    assert!(fleet.contains("\n  file_paths:\n    dsplug:\n"));
    assert!(text("packs/queries/files_written.sql").contains("category = 'dsplug'"));
}
