//! What is found in any tree, compared with a plain model of the rules that knows the tree as it was
//! made up and never looks at the disk.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::{Row, query, query_in, scan, scan_with};
use dsplug::limits::Limits;
use dsplug_fixtures::{ARM64E, Disk, PLUGINS, Plugin, fifo, mach_header};
use plist::Dictionary;
use proptest::prelude::*;

/// A name: its bytes, how it is shown, and whether what bears it is a candidate.
type Name = (&'static [u8], &'static str, bool);

/// Names of which each has a part in some rule, or looks as if it had.
const NAMES: &[Name] = &[
    (b"A.dsplug", "A.dsplug", true),
    (b"b.DSPLUG", "b.DSPLUG", true),
    (b".dsplug", ".dsplug", true),
    (b"\xff.dsplug", "\\xff.dsplug", true),
    (b"new\nline.dsplug", "new\\x0aline.dsplug", true),
    // It looks like the others to a person.
    (b"blank.dsplug ", "blank.dsplug ", true),
    (b"x.dsplug.bak", "x.dsplug.bak", false),
    (b"dsplug", "dsplug", false),
    (b"\xfe\xff", "\\xfe\\xff", false),
    (b"-rf", "-rf", false),
    (b"sub", "sub", false),
    (b"Contents", "Contents", false),
    (b"contents", "contents", false),
    (b"Resources", "Resources", false),
    (b"Support Files", "Support Files", false),
    (b"en.lproj", "en.lproj", false),
    (b"Base.LPROJ", "Base.LPROJ", false),
];

/// What links say: into the folder, beside it, upwards, out of the disk, to nothing, to themselves.
const TARGETS: &[&str] = &[
    "A.dsplug",
    "sub",
    "Resources",
    "en.lproj",
    ".",
    "..",
    "/opt/.",
    "/opt",
    "/opt/sub",
    "/opt/A.dsplug",
    "/Library/DirectoryServices/PlugIns/A.dsplug",
    "../../../../../../../../opt",
    "../../../../../../../../../../nowhere",
    "/nowhere",
];

/// Something on the disk.
#[derive(Clone, Debug)]
enum Node {
    Directory(BTreeMap<&'static [u8], Node>),
    File(usize),
    Link(&'static str),
    Fifo,
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        3 => (0_usize..40).prop_map(Node::File),
        3 => prop::sample::select(TARGETS).prop_map(Node::Link),
        1 => Just(Node::Fifo),
        2 => Just(Node::Directory(BTreeMap::new())),
    ];
    leaf.prop_recursive(5, 60, 7, |inner| directory(inner.boxed()))
}

fn directory(inner: BoxedStrategy<Node>) -> impl Strategy<Value = Node> {
    let name = prop_oneof![
        1 => prop::sample::select(NAMES),
        // Those by which the loader finds its way.
        1 => prop::sample::select(&NAMES[NAMES.len() - 6..]),
    ];
    let names = name.prop_map(|name| name.0);
    prop::collection::btree_map(names, inner, 0..8).prop_map(Node::Directory)
}

impl Node {
    fn one(name: &'static str, inner: Self) -> Self {
        Self::Directory(BTreeMap::from([(name.as_bytes(), inner)]))
    }

    fn has_links(&self) -> bool {
        let inner = self.inner().into_iter().flatten();
        matches!(self, Self::Link(_)) || inner.into_iter().any(|(_, node)| node.has_links())
    }

    /// Leaves no directory empty.
    fn furnish(&mut self) {
        if let Self::Directory(inner) = self {
            inner.values_mut().for_each(Self::furnish);
            if inner.is_empty() {
                inner.insert(b"z", Self::File(0));
            }
        }
    }

    fn write(&self, at: &Path) {
        match self {
            Self::Directory(inner) => {
                fs::create_dir_all(at).unwrap();
                for (name, node) in inner {
                    node.write(&at.join(OsStr::from_bytes(name)));
                }
            }
            Self::File(size) => fs::write(at, vec![b'x'; *size]).unwrap(),
            Self::Link(target) => symlink(target, at).unwrap(),
            Self::Fifo => fifo(at),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::File(_) => "file",
            Self::Link(_) => "symlink",
            Self::Fifo => "other",
        }
    }

    fn inner(&self) -> Option<&BTreeMap<&'static [u8], Self>> {
        match self {
            Self::Directory(inner) => Some(inner),
            _ => None,
        }
    }
}

/// A path of the Mac, by its names.
type Names = Vec<&'static [u8]>;

fn show(path: &[&'static [u8]]) -> String {
    let shown = |name: &&'static [u8]| match NAMES.iter().find(|known| known.0 == *name) {
        Some(known) => known.1.to_owned(),
        None => String::from_utf8(name.to_vec()).unwrap(),
    };
    let shown: Vec<String> = path.iter().map(shown).collect();
    format!("/{}", shown.join("/"))
}

fn names(path: &'static str) -> Names {
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    parts.map(str::as_bytes).collect()
}

/// A disk as it was made up.
struct Model {
    top: Node,
}

impl Model {
    fn at(&self, path: &[&'static [u8]]) -> Option<&Node> {
        path.iter()
            .try_fold(&self.top, |node, name| node.inner()?.get(name))
    }

    /// Where a path really leads, the disk being all there is.
    fn resolve(&self, path: &[&'static [u8]]) -> Option<(Names, &Node)> {
        let mut todo: Names = path.iter().rev().copied().collect();
        let (mut real, mut links) = (Names::new(), 0);
        while let Some(name) = todo.pop() {
            let directory = self.at(&real)?.inner()?;
            if name == b".." {
                real.pop();
                continue;
            }
            if let Node::Link(target) = directory.get(name)? {
                links += 1;
                if links > 32 {
                    return None;
                }
                if target.starts_with('/') {
                    real.clear();
                }
                todo.extend(names(target).iter().rev());
            } else {
                real.push(name);
            }
        }
        let node = self.at(&real)?;
        Some((real, node))
    }

    /// Every candidate of the folder, by its path, with how it is come upon.
    fn candidates(&self) -> BTreeMap<Names, &'static str> {
        let folder = names("/Library/DirectoryServices/PlugIns");
        let mut found = BTreeMap::new();
        let Some(top) = self.resolve(&folder).and_then(|(_, node)| node.inner()) else {
            return found;
        };
        let places = [
            (&b"Contents"[..], true, "contents_resources"),
            (b"Resources", false, "resources"),
            (b"Support Files", true, "support_files"),
        ];
        for (wanted, has_resources, via) in places {
            let Some(name) = top.keys().find(|name| name.eq_ignore_ascii_case(wanted)) else {
                continue;
            };
            let mut path = [folder.as_slice(), &[*name]].concat();
            if self
                .resolve(&path)
                .is_none_or(|(_, node)| node.inner().is_none())
            {
                continue;
            }
            if has_resources {
                path.push(b"Resources");
            }
            if let Some(inner) = self.resolve(&path).and_then(|(_, node)| node.inner()) {
                self.resources(inner, &path, via, &mut found);
            }
        }
        self.resources(top, &folder, "top_level", &mut found);
        found
    }

    /// One directory of resources, those for languages first.
    fn resources(
        &self,
        inner: &BTreeMap<&'static [u8], Node>,
        path: &[&'static [u8]],
        via: &'static str,
        found: &mut BTreeMap<Names, &'static str>,
    ) {
        for name in inner.keys() {
            if !name.to_ascii_lowercase().ends_with(b".lproj") {
                continue;
            }
            let path = [path, &[*name]].concat();
            if let Some(inner) = self.resolve(&path).and_then(|(_, node)| node.inner()) {
                search(inner, &path, "lproj", found);
            }
        }
        search(inner, path, via, found);
    }

    /// The rows of `dsplug_bundles` and of `dsplug_files`.
    fn rows(&self) -> (Vec<Row>, Vec<Row>) {
        let (mut bundles, mut files) = (Vec::new(), Vec::new());
        for (path, via) in self.candidates() {
            let directory = self.resolve(&path[..path.len() - 1]).unwrap().1;
            let itself = &directory.inner().unwrap()[path[path.len() - 1]];
            let target = match itself {
                Node::Link(target) => target,
                _ => "",
            };
            let found = self.resolve(&path);
            let mut entries = Vec::new();
            let (resolved, error) = match &found {
                None => (String::new(), "broken_symlink"),
                Some((real, node)) => {
                    let error = match node {
                        Node::Fifo => "not_regular",
                        // The top of an image is what another volume is mounted on.
                        _ if real.is_empty() => "mount",
                        _ => "",
                    };
                    list(node, &path, &mut entries);
                    (show(real), error)
                }
            };
            let sizes = entries.iter().filter(|e| e["kind"] == "file");
            let sizes: Vec<usize> = sizes.map(|e| e["size"].parse().unwrap()).collect();
            bundles.push(row(&[
                ("path", &show(&path)),
                ("kind", itself.kind()),
                ("symlink_target", target),
                ("resolved_path", &resolved),
                ("discovered_via", via),
                ("files", &sizes.len().to_string()),
                ("bytes", &sizes.iter().sum::<usize>().to_string()),
                (
                    "has_hash",
                    if matches!(error, "" | "mount") {
                        "1"
                    } else {
                        "0"
                    },
                ),
                ("error", error),
            ]));
            for mut entry in entries {
                entry.insert("bundle_path".into(), show(&path));
                files.push(entry);
            }
        }
        bundles.sort_by(|a, b| a["path"].cmp(&b["path"]));
        (bundles, files)
    }
}

/// Every candidate in a directory and in the directories below it; no link is followed, and nothing
/// in a candidate is another.
fn search(
    inner: &BTreeMap<&'static [u8], Node>,
    path: &[&'static [u8]],
    via: &'static str,
    found: &mut BTreeMap<Names, &'static str>,
) {
    for (name, node) in inner {
        let path = [path, &[*name]].concat();
        if NAMES.iter().any(|known| known.0 == *name && known.2) {
            found.entry(path).or_insert(via);
        } else if let Some(inner) = node.inner() {
            search(inner, &path, "nested", found);
        }
    }
}

/// The rows of what stands at a path: of a file itself, of a directory what is in it.
fn list(node: &Node, path: &[&'static [u8]], entries: &mut Vec<Row>) {
    match node {
        Node::Directory(inner) => {
            for (name, node) in inner {
                let path = [path, &[*name]].concat();
                entries.push(entry(node, &path));
                if node.inner().is_some() {
                    list(node, &path, entries);
                }
            }
        }
        Node::File(_) => entries.push(entry(node, path)),
        _ => {}
    }
}

fn entry(node: &Node, path: &[&'static [u8]]) -> Row {
    let (size, target) = match node {
        Node::File(size) => (size.to_string(), ""),
        Node::Link(target) => (String::new(), *target),
        _ => (String::new(), ""),
    };
    row(&[
        ("path", &show(path)),
        ("kind", node.kind()),
        ("size", &size),
        ("symlink_target", target),
        ("error", ""),
    ])
}

fn row(columns: &[(&str, &str)]) -> Row {
    let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    columns.iter().map(text).collect()
}

/// The order of entries within a bundle is that of the paths' bytes, and no matter here.
fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Files, directories, links in and out and in loops, FIFOs, and names of every kind.
    #[test]
    #[cfg_attr(
        target_os = "macos",
        ignore = "a Mac's volumes fold letter case and refuse names that are no UTF-8"
    )]
    fn any_tree_is_shown_as_it_is(
        folder in directory(node().boxed()),
        opt in directory(node().boxed()),
        sub in directory(node().boxed()),
        is_linked in prop::bool::weighted(0.2),
    ) {
        let (mut folder, mut opt, mut sub) = (folder, opt, sub);
        // What links lead to is there, and is no empty directory, which may be another volume's place.
        if is_linked || folder.has_links() || opt.has_links() || sub.has_links() {
            for tree in [&mut folder, &mut opt, &mut sub] {
                tree.furnish();
            }
        }
        let Node::Directory(mut opt) = opt else { unreachable!() };
        let Node::Directory(mut sub) = sub else { unreachable!() };
        sub.insert(b"z", Node::File(0));
        opt.insert(b"sub", Node::Directory(sub));
        // The folder may itself be a link; what stands in it is then named through it.
        let folder = if is_linked {
            opt.insert(b"real", folder);
            Node::Link("/opt/real")
        } else {
            folder
        };
        let library = Node::one("DirectoryServices", Node::one("PlugIns", folder));
        let top = BTreeMap::from([(&b"Library"[..], library), (b"opt", Node::Directory(opt))]);
        let model = Model { top: Node::Directory(top) };
        let disk = Disk::empty();
        model.top.write(disk.path());
        let snapshot = scan(disk.path());
        let found = query_in(
            &snapshot,
            "SELECT path, kind, symlink_target, resolved_path, discovered_via, files, bytes,
               hash != '' AS has_hash,
               CASE WHEN error = '' THEN '' ELSE substr(error, 1, instr(error, ':') - 1) END AS error
             FROM dsplug_bundles",
        );
        let (bundles, files) = model.rows();
        prop_assert_eq!(&found, &bundles);
        let found = query_in(
            &snapshot,
            "SELECT bundle_path, path, kind, CASE kind WHEN 'file' THEN size ELSE '' END AS size,
               symlink_target, error FROM dsplug_files",
        );
        prop_assert_eq!(sorted(found), sorted(files));
        let folders = query_in(&snapshot, "SELECT path, \"exists\", candidates, error FROM dsplug_folders");
        let count = bundles.len().to_string();
        let folder = format!("/{PLUGINS}");
        prop_assert_eq!(&folders[0], &row(&[
            ("path", &folder), ("exists", "1"), ("candidates", &count), ("error", ""),
        ]));
        prop_assert_eq!(&folders[1]["exists"], "0");
    }
}

/// Junk in a plug-in folder: so many entries of a kind, with names that come first.
fn junk() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0_u8..5, 1_usize..120), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever stands beside it, a bundle that the loader lists has its row, or the folder says what
    /// was left out; only other candidates can push it out.
    #[test]
    fn no_junk_hides_a_bundle(junk in junk()) {
        let disk = Disk::new();
        Plugin::new("Evil").write(disk.plugin(""));
        let limits = Limits { folder_entries: 300, candidates: 100, depth: 8, ..Limits::STANDARD };
        let mut candidates = 1;
        for (index, (kind, count)) in junk.iter().enumerate() {
            let at = disk.dir(format!("{PLUGINS}/AAA{index}"));
            for number in 0..*count {
                match kind {
                    0 => fs::write(at.join(number.to_string()), "").unwrap(),
                    1 => fs::create_dir(at.join(number.to_string())).unwrap(),
                    2 => fs::write(at.join(format!("{number}.dsplug")), "").unwrap(),
                    3 => drop(disk.dir(format!("{PLUGINS}/AAA{index}/{}", "d/".repeat(number % 12)))),
                    _ => {
                        candidates += 1;
                        fs::write(disk.plugin(format!("A{index}-{number}.dsplug")), "").unwrap();
                    }
                }
            }
        }
        let snapshot = scan_with(disk.path(), limits);
        let evil = snapshot.bundles.iter().find(|b| b.evidence.candidate.path.ends_with(b"/Evil.dsplug"));
        let is_told = snapshot.bundles.iter().any(|b| b.evidence.is_folder());
        match evil {
            Some(evil) => prop_assert!(evil.digest.is_some() && evil.load.as_str() == "loadable"),
            None => prop_assert!(is_told && candidates > limits.candidates),
        }
    }
}

#[test]
fn names_are_found_as_a_mac_finds_them() {
    let disk = Disk::empty();
    let plugins = disk.dir("library/DIRECTORYSERVICES/plugins");
    let bundle = Plugin::new("A").write(&plugins);
    fs::rename(bundle.join("Contents/MacOS"), bundle.join("Contents/macos")).unwrap();
    fs::rename(
        bundle.join("Contents/Info.plist"),
        bundle.join("Contents/INFO.plist"),
    )
    .unwrap();
    fs::rename(bundle.join("Contents"), bundle.join("contents")).unwrap();
    let rows = query(disk.path(), "SELECT * FROM dsplug_bundles");
    assert_eq!(rows.len(), 1);
    let told = ["path", "load_verdict", "info_plist", "executable"].map(|c| rows[0][c].as_str());
    let path = "/Library/DirectoryServices/PlugIns/A.dsplug";
    assert_eq!(told[0], path);
    assert_eq!(told[1], "loadable", "{rows:#?}");
    assert_eq!(told[2], format!("{path}/contents/INFO.plist"));
    assert_eq!(told[3], format!("{path}/contents/macos/A"));
    // Two that a Mac's disk takes for one.
    Plugin::new("A").write_as(plugins.join("a.dsplug"));
    let rows = query(disk.path(), "SELECT path, error FROM dsplug_bundles");
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(row["error"].starts_with("ambiguous: "), "{row:?}");
    }
}

#[test]
fn what_leads_through_another_name_of_the_volume_leads_into_it() {
    let targets = [
        "/System/Volumes/Data/Users/x/A.dsplug",
        "/Volumes/Macintosh HD/Users/x/A.dsplug",
        "/private/var/x/A.dsplug",
    ];
    for target in targets {
        let disk = Disk::new();
        Plugin::new("A").write(disk.dir(if target.contains("var") {
            "var/x"
        } else {
            "Users/x"
        }));
        disk.link(format!("{PLUGINS}/L.dsplug"), target);
        let rows = query(disk.path(), "SELECT load_verdict FROM dsplug_bundles");
        assert_eq!(rows[0]["load_verdict"], "loadable", "{target}");
    }
    // A fork, and a file by its number, are something that is not read here.
    // To CoreFoundation a path below `/.file` is such a number too, and a Mac has an empty file there.
    for executable in [
        "X/..namedfork/rsrc",
        "/.vol/16777220/2/x",
        "/.file/id=6571367.12904712871",
        "/dev/fd/3",
    ] {
        let disk = Disk::new();
        disk.file(".file", "");
        disk.dir("dev/fd");
        Plugin::new("A")
            .key("CFBundleExecutable", executable)
            .file("Contents/MacOS/X", "x")
            .write(disk.plugin(""));
        let rows = query(
            disk.path(),
            "SELECT load_verdict, error FROM dsplug_bundles",
        );
        assert_eq!(rows[0]["load_verdict"], "unknown", "{executable}");
        assert!(rows[0]["error"].contains(executable), "{rows:?}");
    }
}

/// An image of the data volume: by `/tmp` a Mac finds `/private/tmp`, by a link of the system's volume, and what the data
/// volume has of that name at its top is found by nobody.
#[test]
fn a_decoy_of_a_link_of_the_systems_at_the_top_is_no_proof() {
    for name in ["tmp", "var", "etc"] {
        let disk = Disk::new();
        Plugin::new("L").write(disk.dir(format!("private/{name}/x")));
        disk.link(format!("{PLUGINS}/L.dsplug"), format!("/{name}/x/L.dsplug"));
        disk.file(format!("private/{name}/x/code"), mach_header(ARM64E));
        Plugin::new("A")
            .key("CFBundleExecutable", format!("/{name}/x/code"))
            .write(disk.plugin(""));
        let told = || {
            let rows = query(
                disk.path(),
                "SELECT load_verdict, error FROM dsplug_bundles ORDER BY path",
            );
            let rows = rows.into_iter();
            rows.map(|row| [row["load_verdict"].clone(), row["error"].clone()])
                .collect::<Vec<_>>()
        };
        let honest = told();
        assert!(
            honest.iter().all(|[_, error]| error.is_empty()),
            "{honest:?}"
        );
        // An image of the system's volume too has the link.
        for text in [format!("private/{name}"), format!("/private/{name}")] {
            let link = disk.link(name, text);
            assert_eq!(told(), honest, "{name}");
            fs::remove_file(link).unwrap();
        }
        let is_no_proof = |what: &str| {
            for [verdict, error] in told() {
                assert_eq!(verdict, "unknown", "{name} {what}");
                let why = format!("cannot look on another volume for /{name}:");
                assert!(error.contains(&why), "{name} {what}: {error}");
            }
        };
        let decoy = disk.dir("Users/Shared/decoy/x");
        Plugin::new("L").key("CFPlugInTypes", "").write(decoy);
        disk.file("Users/Shared/decoy/x/code", "text");
        let link = disk.link(name, "/Users/Shared/decoy");
        is_no_proof("a link");
        fs::remove_file(link).unwrap();
        let shared = disk.at("Users/Shared/decoy");
        for spelling in [name.to_owned(), name.to_uppercase()] {
            fs::rename(&shared, disk.at(&spelling)).unwrap();
            is_no_proof("a directory");
            fs::rename(disk.at(&spelling), &shared).unwrap();
        }
        assert_eq!(told(), honest, "{name}");
    }
}

/// `/.nofollow/P` and `/.resolve/N/P` open `/P` since macOS 15.4: the kernel takes the prefix off
/// (xnu, `tests/vfs/resolve_namespace.c`; swift-system's `FilePath.Anchor` parses both). Nothing of that
/// name stands on a disk.
#[test]
fn the_kernels_prefixes_of_a_path_are_no_names() {
    for prefix in ["/.nofollow", "/.resolve/1"] {
        let disk = Disk::new();
        disk.file("Users/Shared/e", mach_header(ARM64E));
        Plugin::new("A")
            .key("CFBundleExecutable", format!("{prefix}/Users/Shared/e"))
            .write(disk.plugin(""));
        Plugin::new("H").write(disk.dir("Users/Shared/r.lproj"));
        let region = format!("../../..{prefix}/Users/Shared/r");
        let list = Dictionary::from_iter([("CFBundleDevelopmentRegion".to_owned(), region)]);
        plist::to_file_xml(disk.plugin("Info.plist"), &list).unwrap();
        let sql = "SELECT path, executable, executable_outside, load_verdict FROM dsplug_bundles \
                   WHERE kind = 'directory'";
        let rows = query(disk.path(), sql);
        let outside = rows.iter().find(|r| r["path"].ends_with("/A.dsplug"));
        let outside = outside.unwrap();
        assert_eq!(outside["executable"], "/Users/Shared/e", "{prefix}");
        assert_eq!(outside["executable_outside"], "1", "{prefix}");
        assert_ne!(outside["load_verdict"], "not_loadable", "{prefix}");
        assert!(
            rows.iter().any(|r| r["path"].ends_with("/H.dsplug")),
            "{prefix}: {rows:?}"
        );
    }
    // Where something has that name, an older system finds that.
    let disk = Disk::new();
    disk.file(".nofollow/Users/Shared/e", "other");
    disk.file("Users/Shared/e", mach_header(ARM64E));
    Plugin::new("A")
        .key("CFBundleExecutable", "/.nofollow/Users/Shared/e")
        .write(disk.plugin(""));
    let rows = query(disk.path(), "SELECT load_verdict FROM dsplug_bundles");
    assert_eq!(rows[0]["load_verdict"], "unknown");
}

/// The kernel takes a prefix off where a call begins, and not in a link's text (`namei` and `lookup_handle_symlink` of
/// xnu-11417, read): such a link leads nowhere, or to what an older system has there, and never to what it seems to.
#[test]
fn a_prefix_in_the_text_of_a_link_is_not_followed() {
    let disk = Disk::new();
    let a = Plugin::new("A").write(disk.plugin(""));
    let other = Plugin::new("A").without("CFPlugInTypes").info_plist();
    disk.file("Users/Shared/list", other);
    let link = |prefix: &str| {
        let at = a.join("Contents/Info-macos.plist");
        let _ = std::fs::remove_file(&at);
        std::os::unix::fs::symlink(format!("{prefix}/Users/Shared/list"), at).unwrap();
        let rows = query(
            disk.path(),
            "SELECT * FROM dsplug_bundles WHERE kind = 'directory'",
        );
        (
            rows[0]["load_verdict"].clone(),
            rows[0]["error"].contains("Info-macos"),
        )
    };
    for prefix in ["/.nofollow", "/.resolve/1"] {
        assert_eq!(link(prefix), ("unknown".to_owned(), true), "{prefix}");
    }
    assert_eq!(link("").0, "not_loadable");
    let disk = Disk::new();
    Plugin::new("A").write(disk.plugin(""));
    Plugin::new("B").write(disk.dir("Users/Shared/R"));
    disk.link(disk.plugin("Resources"), "/.nofollow/Users/Shared/R");
    let rows = query(
        disk.path(),
        "SELECT * FROM dsplug_bundles WHERE kind = 'directory'",
    );
    let a = rows.iter().find(|row| row["path"].ends_with("/A.dsplug"));
    assert_ne!(a.unwrap()["load_verdict"], "not_loadable");
}

/// What leads by another name of the data volume is no link to the kernel, which follows 32.
#[test]
fn only_links_are_counted_as_links() {
    for (links, leads) in [(20, true), (32, true), (33, false)] {
        let disk = Disk::new();
        Plugin::new("A").write(disk.dir("Users/Shared"));
        disk.link(
            "Users/Shared/1",
            "/System/Volumes/Data/Users/Shared/A.dsplug",
        );
        for number in 2..links {
            let text = format!("/System/Volumes/Data/Users/Shared/{}", number - 1);
            disk.link(format!("Users/Shared/{number}"), text);
        }
        let last = format!("/System/Volumes/Data/Users/Shared/{}", links - 1);
        disk.link(disk.plugin("A.dsplug"), last);
        let rows = query(
            disk.path(),
            "SELECT load_verdict, load_reasons FROM dsplug_bundles",
        );
        let verdict = if leads { "loadable" } else { "not_loadable" };
        assert_eq!(rows[0]["load_verdict"], verdict, "{links} {rows:?}");
    }
}

/// What a link's text and the rest of a path make together may have 1,024 bytes (`lookup_handle_symlink`); a few
/// processes may go on, and so it is not said to lead nowhere either.
#[test]
fn a_path_that_grows_too_long_by_a_link_is_unknown() {
    let verdict = |pad: usize, slashes: usize| {
        let disk = Disk::new();
        let a = Plugin::new("A").write(disk.plugin(""));
        let other = Plugin::new("A").without("CFPlugInTypes").info_plist();
        disk.file("Users/Shared/ssssssss/list", other);
        let text = format!("{}/Users/Shared", "/.".repeat(pad));
        disk.link("Users/long", text);
        let at = a.join("Contents/Info-macos.plist");
        let rest = "/".repeat(slashes);
        std::os::unix::fs::symlink(format!("/Users/long{rest}/ssssssss/list"), at).unwrap();
        query(disk.path(), "SELECT load_verdict FROM dsplug_bundles")[0]["load_verdict"].clone()
    };
    // Twice as many, 13, 14, and one for the end.
    assert_eq!(verdict(498, 0), "not_loadable");
    assert_eq!(verdict(499, 0), "unknown");
    assert_eq!(verdict(350, 100), "not_loadable");
    assert_eq!(verdict(400, 220), "unknown");
}

/// Which of a Mac's volumes an image is it does not say: what is shown may be a decoy in it.
#[test]
fn what_another_volume_may_hold_is_no_proof() {
    let verdict = |plugin: Plugin, target: &str| {
        let disk = Disk::new();
        plugin.write(disk.dir("Users/Shared"));
        disk.link(disk.plugin("A.dsplug"), target);
        let sql = "SELECT load_verdict, load_reasons, error FROM dsplug_bundles";
        let row = query(disk.path(), sql).remove(0);
        (
            [&*row["load_verdict"], &*row["load_reasons"]].join(" "),
            row["error"].contains("another volume may be meant by /Volumes/Other"),
        )
    };
    let target = "/Volumes/Other/Users/Shared/A.dsplug";
    let lacks = || {
        let one = Plugin::new("A").without("CFPlugInTypes");
        one.without("CFPluginNameString")
    };
    assert_eq!(
        verdict(Plugin::new("A"), target),
        ("loadable ".to_owned(), true)
    );
    let unknown = "unknown unreadable".to_owned();
    assert_eq!(verdict(lacks(), target), (unknown, true));
    let own = verdict(lacks(), "/System/Volumes/Data/Users/Shared/A.dsplug");
    let proved = "not_loadable no_plugin_types;no_plugin_name".to_owned();
    assert_eq!(own, (proved, false));
}

/// `synthetic.conf(5)` makes names at a Mac's `/` when it starts: they stand on no disk.
#[test]
fn a_name_that_a_mac_makes_at_its_top_is_not_absent() {
    for place in [
        "etc/synthetic.conf",
        "private/etc/synthetic.conf",
        "private/etc/synthetic.d/x",
    ] {
        let disk = Disk::new();
        Plugin::new("A").write(disk.dir("Users/Shared"));
        disk.link(disk.plugin("A.dsplug"), "/made/A.dsplug");
        let verdict = || {
            query(disk.path(), "SELECT load_verdict FROM dsplug_bundles")[0]["load_verdict"].clone()
        };
        assert_eq!(verdict(), "not_loadable");
        disk.file(place, "made\tUsers/Shared");
        assert_eq!(verdict(), "unknown", "{place}");
    }
}
