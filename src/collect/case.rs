//! What goes into an archive of evidence, and in which order: what is small and says most first.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::archive::{Archive, Written};
use super::outside::{MOST_NAMED, MOST_PATHS, Outside};
use crate::bundle::Bundle;
use crate::digest::of_entries;
use crate::directory::ReadError;
use crate::evidence::Reach;
use crate::journal::Events;
use crate::meta::Kind;
use crate::order;
use crate::report::document::Format;
use crate::report::{explain, time};
use crate::root::{Found, PATH_MAX, Root};
use crate::scan::Snapshot;
use crate::spool::Spool;
use crate::state_dir::StateDir;
use crate::table::{TABLES, Table, Texts, Value};
use crate::text::{escape, escape_json, hex};
use crate::tree::Tree;
use crate::watch::copies;

/// The first member: what the archive is about.
pub const CASE: &str = "case.json";
/// Links followed where the way to a bundle leads through some.
const MOST_LINKS: usize = 32;
/// Entries of one place that a link leads to: twice as many as were read there.
const MOST_OF_PLACE: usize = 8_192;
/// What else of the disk helps to judge: who is accepted, which system it is, and which nodes are
/// searched for accounts.
const BESIDE: &[&str] = &[
    crate::exceptions::MANAGED,
    crate::exceptions::LOCAL,
    "/System/Library/CoreServices/SystemVersion.plist",
    "/Library/Preferences/OpenDirectory/Configurations/Search.plist",
];
const README: &str = "\
Evidence on DirectoryService plug-ins, collected by dsplug.

case.json      when, where and by whom it was collected; the bundles by number
reports/N.md   the report on bundle N, and reports/N.json for a program
rows/          the rows of each table that concern the bundles
kept/          copies of earlier states of the bundles, where the watch kept any
files/         the bundles and what belongs to them, at the Mac's own paths:
               dsplug list --root files shows them
manifest.json  each member with its SHA-256, owner, mode and times, and what was left out

Sockets and devices stand as FIFOs; the manifest says which each was (`special`). The code in files/
is what was found: do not run it.
";

/// Where and by whom evidence is collected.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// When, in seconds of Unix time.
    pub time: i64,
    /// The computer that collects.
    pub host: String,
    /// What was read as the `/` of a Mac.
    pub root: String,
    /// Who collects.
    pub euid: u32,
}

impl Circumstances {
    /// Those of this call.
    pub fn now(root: &std::path::Path) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let name = rustix::system::uname();
        Self {
            time: since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)),
            host: escape(name.nodename().to_bytes()),
            root: root.display().to_string(),
            euid: rustix::process::geteuid().as_raw(),
        }
    }

    /// A name for an archive, or an entry: the host, where that is wanted, and the time.
    pub fn stamp(&self) -> String {
        let digits = |c: &char| c.is_ascii_alphanumeric();
        time::rfc3339(self.time).chars().filter(digits).collect()
    }

    fn json(&self, bundles: &[Arc<Bundle>]) -> String {
        let mut left = MOST_PATHS;
        let bundle = |(index, bundle): (usize, &Arc<Bundle>)| {
            let evidence = &bundle.evidence;
            let hash = bundle.digest.as_ref().map_or_else(String::new, |d| hex(d));
            let Outside {
                places,
                executable,
                mut is_cut,
                ..
            } = Outside::of(bundle);
            let mut outside = Vec::new();
            for path in places.keys() {
                let is_short = path.len() < PATH_MAX && outside.len() < MOST_NAMED;
                match left.checked_sub(path.len()).filter(|_| is_short) {
                    Some(rest) => {
                        left = rest;
                        outside.push(hex(path));
                    }
                    None => is_cut = true,
                }
            }
            json!({
                "number": index.saturating_add(1),
                "path": escape(&evidence.candidate.path),
                "resolved_path": escape(&evidence.resolved_path),
                "resolved_path_hex": hex(&evidence.resolved_path),
                "hash": hash,
                "runs_by_name": evidence.runs_by_name(),
                "executable_hex": executable.as_ref().map(|path| hex(path)),
                "outside_hex": outside,
                "outside_cut": is_cut,
            })
        };
        let bundles: Vec<Json> = bundles.iter().enumerate().map(bundle).collect();
        let case = json!({
            "dsplug": env!("CARGO_PKG_VERSION"),
            "commit": option_env!("DSPLUG_COMMIT").unwrap_or_default(),
            "time": time::rfc3339(self.time),
            "host": self.host,
            "root": self.root,
            "euid": self.euid,
            "bundles": bundles,
        });
        format!("{}\n", escape_json(&format!("{case:#}")))
    }
}

/// What came of a collection.
pub struct Collected<W> {
    /// The archive.
    pub written: Written<W>,
    /// The bundle digest of each bundle as it stands in the archive, in their order; `None` when a
    /// part of it could not be read.
    pub digests: Vec<Option<[u8; 32]>>,
    /// The bundles, without what was known of their entries.
    pub bundles: Vec<Bundle>,
}

/// Collects everything on these bundles of a snapshot.
///
/// # Errors
/// When the archive cannot be written, or a report not be made; what cannot be read of the disk is
/// said in the archive.
pub fn collect<W: Write>(
    mut archive: Archive<W>,
    root: &Root,
    snapshot: Snapshot,
    bundles: Vec<Arc<Bundle>>,
    circumstances: &Circumstances,
    state: Option<&StateDir>,
    most: usize,
) -> Result<Collected<W>, String> {
    let unwritable = |error: io::Error| format!("cannot write the archive: {error}");
    let add = |archive: &mut Archive<W>, name: &str, text: &str| {
        archive.add_text(name, text).map_err(unwritable)
    };
    add(&mut archive, CASE, &circumstances.json(&bundles))?;
    add(&mut archive, "README.txt", README)?;
    explain::explain_each(&snapshot, &bundles, |index, report| {
        let number = index.saturating_add(1);
        match report {
            Ok(report) => {
                let json = report.render(Format::Json);
                let json = escape_json(&json);
                add(&mut archive, &format!("reports/{number}.json"), &json)?;
                let text = report.render(Format::Markdown);
                add(&mut archive, &format!("reports/{number}.md"), &text)?;
            }
            Err(why) => archive.leave_out(format!("the report on bundle {number}: {why}")),
        }
        Ok::<(), String>(())
    })?;
    let paths: BTreeSet<String> =
        order::gather(bundles.iter().map(|b| escape(&b.evidence.candidate.path)));
    for table in TABLES {
        match rows(*table, &snapshot, &paths) {
            Ok(spool) => archive
                .add_spool(&format!("rows/{}.json", table.name()), spool)
                .map_err(unwritable)?,
            Err(why) => archive.leave_out(format!("the rows of {}: {why}", table.name())),
        }
    }
    // What a scan holds of their entries, and the entries that are taken, are not held at once.
    let Snapshot { events, .. } = without_bundles(snapshot);
    let bundles: Vec<Bundle> = bundles.into_iter().map(without_entries).collect();
    let mut digests = Vec::new();
    for bundle in &bundles {
        let digest = add_bundle(&mut archive, root, bundle, most).map_err(unwritable)?;
        digests.push(digest);
    }
    // Behind them: whoever can write one, or lead it elsewhere, takes no room from a bundle.
    for path in BESIDE {
        // What an image lacks of the system's own volume is no loss.
        let root = root.trusting_system();
        add_file(&mut archive, &root, path.as_bytes()).map_err(unwritable)?;
    }
    add_kept(&mut archive, &events, state, &paths, most).map_err(unwritable)?;
    let written = archive.finish().map_err(unwritable)?;
    Ok(Collected {
        written,
        digests,
        bundles,
    })
}

fn without_bundles(mut snapshot: Snapshot) -> Snapshot {
    snapshot.bundles = Vec::new();
    snapshot
}

/// A bundle without what is known of each entry.
fn without_entries(bundle: Arc<Bundle>) -> Bundle {
    let mut bundle = Arc::unwrap_or_clone(bundle);
    bundle.evidence.entries = Arc::default();
    bundle
}

/// The rows of a table that concern the bundles: those that name one of them, or all of a table
/// that is on no bundle.
fn rows(table: &dyn Table, snapshot: &Snapshot, paths: &BTreeSet<String>) -> Result<Spool, String> {
    let headings = table.headings();
    let key = table.bundle();
    let key = key.and_then(|key| headings.iter().position(|h| h.name == key));
    let mut spool = Spool::default();
    let mut before = "[\n";
    table.rows(snapshot, Texts::Whole, &mut |values| {
        if let Some(Value::Text(path)) = key.and_then(|key| values.get(key))
            && !paths.contains(path)
        {
            return Ok(());
        }
        let pairs = headings.iter().zip(values).map(|(heading, value)| {
            let text = match value {
                Value::Null => String::new(),
                Value::Int(number) => number.to_string(),
                Value::Text(text) => text,
            };
            (heading.name.to_owned(), Json::String(text))
        });
        let row = Json::Object(pairs.collect::<Map<_, _>>()).to_string();
        write!(spool, "{before}{}", escape_json(&row)).map_err(|e| e.to_string())?;
        before = ",\n";
        Ok(())
    })?;
    let end = if before == "[\n" { "[]\n" } else { "\n]\n" };
    write!(spool, "{end}").map_err(|e| e.to_string())?;
    Ok(spool)
}

/// Adds a bundle at its own place, with the way to it, what it links to, its Info.plist and its main
/// executable where these stand outside, and what links in it and its libraries lead to. Gives the digest of what now
/// stands in the archive.
fn add_bundle<W: Write>(
    archive: &mut Archive<W>,
    root: &Root,
    bundle: &Bundle,
    most: usize,
) -> io::Result<Option<[u8; 32]>> {
    let evidence = &bundle.evidence;
    let path = &evidence.candidate.path;
    add_way(archive, root, path, MOST_LINKS)?;
    // Whoever can replace a plug-in folder by a link chooses what would be taken for it.
    if evidence.is_folder() && evidence.resolved_path != *path {
        archive.leave_out(format!(
            "{} is a plug-in folder that leads to {}: what stands there beside the bundles was not taken",
            escape(path),
            escape(&evidence.resolved_path)
        ));
        return Ok(None);
    }
    let digest = match root.find(path).and_then(|found| survey(&found, most)) {
        Ok(tree) => {
            archive.add_tree(&tree)?;
            digest(archive, &tree)
        }
        Err(error) => {
            archive.leave_out(error.to_string());
            None
        }
    };
    hold(archive, path, bundle.digest, digest);
    let outside = evidence.executable.iter().filter(|e| e.is_outside());
    let outside = outside.map(|e| (&e.path, &e.meta, e.outside.sha256()));
    let plist = evidence.info_plist.iter();
    let plist = plist.filter_map(|p| Some((&p.path, p.meta.as_ref()?, None)));
    let files = outside
        .chain(plist)
        .filter(|(_, meta, _)| meta.kind != Kind::Directory);
    for (path, _, judged) in files {
        match root.find(path) {
            // It was there.
            Err(error) if error.leads_nowhere() => miss(archive, path, &error),
            _ => {
                let sha256 = add_file(archive, root, path)?;
                hold(archive, path, judged.copied(), sha256);
            }
        }
    }
    add_reach(archive, root, &evidence.reach, most)?;
    Ok(digest)
}

/// Adds what is reached from a bundle outside of it, with the links on the way there.
fn add_reach<W: Write>(
    archive: &mut Archive<W>,
    root: &Root,
    reach: &Reach,
    most: usize,
) -> io::Result<()> {
    for (dir, name, _) in reach.ways.links().into_iter().flatten() {
        add_way(archive, root, &[dir, b"/", name].concat(), MOST_LINKS)?;
    }
    for (path, place) in reach.places.iter() {
        add_way(archive, root, path, MOST_LINKS)?;
        match root
            .find(path)
            .and_then(|found| survey(&found, most.min(MOST_OF_PLACE)))
        {
            Ok(tree) => {
                archive.add_tree(&tree)?;
                let is_directory = place.meta.kind == Kind::Directory;
                let judged = of_entries(&place.entries, is_directory).filter(|_| place.is_whole);
                hold(archive, path, judged, digest(archive, &tree));
            }
            Err(error) => miss(archive, path, &error),
        }
    }
    for path in reach.beyond.paths() {
        archive.leave_out(format!(
            "{}, where a link leads: of what lies there beyond a limit nothing was read",
            escape(path)
        ));
    }
    Ok(())
}

/// Says so where something else stands in the archive than what the reports are on.
fn hold<W: Write>(
    archive: &mut Archive<W>,
    path: &[u8],
    judged: Option<[u8; 32]>,
    collected: Option<[u8; 32]>,
) {
    if judged.is_some() && collected != judged {
        let now = collected.map_or_else(|| "not known".to_owned(), |d| hex(&d));
        archive.leave_out(format!(
            "{}: what was collected is not what was judged; its digest is {now}",
            escape(path)
        ));
    }
}

/// Says that what was judged cannot be collected.
fn miss<W: Write>(archive: &mut Archive<W>, path: &[u8], error: &ReadError) {
    archive.leave_out(format!("{}: {error}", escape(path)));
}

fn survey(found: &Found, most: usize) -> Result<Tree, ReadError> {
    let (above, name) = found.place();
    Tree::survey(above, name, most)
}

/// The bundle digest of a tree as it stands in the archive.
fn digest<W: Write>(archive: &Archive<W>, tree: &Tree) -> Option<[u8; 32]> {
    if !tree.left_out.is_empty() {
        return None;
    }
    tree.digest_by(|entry| archive.sha256(tree, entry))
}

/// Adds the copies that were kept of these bundles. Whoever can write the journal names any place of this computer:
/// but for the copies beside the journal itself, none is read.
fn add_kept<W: Write>(
    archive: &mut Archive<W>,
    events: &Events,
    state: Option<&StateDir>,
    paths: &BTreeSet<String>,
    most: usize,
) -> io::Result<()> {
    let mut kept = BTreeSet::new();
    // That the journal cannot be read is said with its rows.
    let _ = events.each(&mut |event| {
        if paths.contains(&event.path) && !event.kept.is_empty() {
            kept.insert(event.kept.clone());
        }
        Ok(())
    });
    for path in kept {
        let found = copies::find(state, &path);
        match found.and_then(|found| survey(&found, most).map_err(|e| e.to_string())) {
            Ok(tree) => archive.add_kept(&tree)?,
            Err(why) => {
                let path = escape(path.as_bytes());
                archive.leave_out(format!("the copy {path}: {why}"));
            }
        }
    }
    Ok(())
}

/// Adds a file of the disk, when one stands there, with the way to it; gives the SHA-256 of what is in the archive.
fn add_file<W: Write>(
    archive: &mut Archive<W>,
    root: &Root,
    path: &[u8],
) -> io::Result<Option<[u8; 32]>> {
    let found = match root.find(path) {
        Ok(found) => found,
        Err(error) if error.leads_nowhere() => return Ok(None),
        Err(error) => {
            archive.leave_out(error.to_string());
            return Ok(None);
        }
    };
    if found.meta.kind == Kind::Directory {
        return Ok(None);
    }
    add_way(archive, root, path, MOST_LINKS)?;
    match survey(&found, 1) {
        Ok(tree) => {
            archive.add_tree(&tree)?;
            Ok(tree.top().and_then(|top| archive.sha256(&tree, top)))
        }
        Err(error) => {
            archive.leave_out(error.to_string());
            Ok(None)
        }
    }
}

/// Adds the directories on the way to a path, and the links, with where these lead: so that what
/// is unpacked resolves as the disk did.
fn add_way<W: Write>(
    archive: &mut Archive<W>,
    root: &Root,
    path: &[u8],
    links: usize,
) -> io::Result<()> {
    let mut upto = Vec::new();
    for name in path.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
        upto.push(b'/');
        upto.extend_from_slice(name);
        // Where the way ends is said by whoever wants what stands there.
        let Ok(found) = root.find_entry(&upto) else {
            return Ok(());
        };
        if !matches!(found.meta.kind, Kind::Directory | Kind::Symlink) {
            continue;
        }
        let (above, name) = found.place();
        if name == b"." {
            continue;
        }
        let Ok(tree) = Tree::itself(above, name) else {
            return Ok(());
        };
        archive.add_tree(&tree)?;
        let link = tree.top().and_then(|top| top.link.clone());
        if let Some((link, links)) = link.zip(links.checked_sub(1)) {
            let target = if link.starts_with(b"/") {
                link.to_vec()
            } else {
                above.join(&link)
            };
            add_way(archive, root, &target, links)?;
        }
    }
    Ok(())
}
