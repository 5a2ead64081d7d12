//! `dsplug compare`: two bundles, or a bundle and what was collected of one, file by file.
//!
//! The same is what has the same bundle digest, and the same resource forks and permission bits, of which that says
//! nothing, and leads to the same outside of it by the same links, as far as one of both is a plug-in of the disk or
//! collected. A file whose code is the same and whose signature is another is told from one whose code was altered.

mod archive;
mod change;
mod manifest;
mod outside;
mod plug_in;
mod records;
mod side;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use change::Change;
use side::{Side, Thing};

use crate::codesign::Roots;
use crate::collect::{Bounds, Outside};
use crate::disk::Disk;
use crate::failure::Failure;
use crate::meta::Kind;
use crate::order;
use crate::output::print;
use crate::root::{Found, Root};
use crate::text::{escape, hex};
use crate::tree::Tree;

/// What `compare` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The bundle: as the Mac names it, or a path of this computer
    pub path: PathBuf,
    /// What it is held against: another bundle, or an archive that collect wrote; looked for on this computer first
    pub other: PathBuf,
}

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Compares, and prints a line for each difference.
///
/// # Errors
/// When they are not the same, or not known to be; when there is nothing to compare.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    let root = disk.open_root()?;
    let roots = Roots::apple();
    let most = Bounds::of(disk.thorough).entries;
    let wanted = escape(mac_path(&options.path, &disk.root).as_os_str().as_bytes());
    let read = |given: &Given, path: &Path, own: Option<Outside>, also: Option<&Outside>| {
        let side = read(&given.found, path, &wanted, &roots, most, also)?;
        let outside = side.outside.clone().or(own);
        Ok::<_, Failure>(Side { outside, ..side })
    };
    let one = find(&options.path, disk, &root)?;
    let other = find_other(&options.other, disk, &root)?;
    // Before they are read, as a scan judges before it collects.
    let [live, held] = [&one, &other].map(|given| {
        let inside = given.inside.as_ref()?;
        plug_in::outside(disk, &root, inside)
    });
    let one = read(&one, &options.path, live, held.as_ref())?;
    let other = read(&other, &options.other, held, one.outside.as_ref())?;
    let outside = outside::compare(one.outside.as_ref(), other.outside.as_ref());
    let (text, counts) = render(&one, &other, &outside.changes);
    print(&text)?;
    let unknown = one.unknown.iter().chain(&other.unknown);
    let unknown = unknown.chain(&outside.unknown);
    for line in unknown.clone() {
        print(&format!("{:<10}{line}\n", "unknown"))?;
    }
    match (one.digest(), other.digest()) {
        (Some(a), Some(b)) if a == b && counts.is_empty() && outside.unknown.is_empty() => {
            print(&format!(
                "{:<10}{} entries, digest {}\n",
                "same",
                one.entries().count(),
                hex(&a)
            ))
        }
        (Some(_), Some(_)) if !counts.is_empty() => {
            Err(Failure::new(format!("they are not the same: {counts}")))
        }
        _ => Err(Failure::new(format!(
            "they are not known to be the same: {} could not be read{}",
            unknown.count(),
            if counts.is_empty() {
                String::new()
            } else {
                format!("; {counts}")
            }
        ))),
    }
}

/// The path as the Mac names it.
fn mac_path(path: &Path, root: &Path) -> PathBuf {
    match path.strip_prefix(root) {
        Ok(below) => Path::new("/").join(below),
        Err(_) => path.to_owned(),
    }
}

/// Reads one side, that was found by a path.
fn read(
    found: &Found,
    path: &Path,
    wanted: &str,
    roots: &Roots,
    most: usize,
    also: Option<&Outside>,
) -> Result<Side, Failure> {
    if found.meta.kind == Kind::File {
        let mut file = std::fs::File::from(found.open_file()?.fd);
        let mut head = [0; 2];
        let is_archive = file.read_exact(&mut head).is_ok() && head == GZIP;
        if is_archive {
            file.seek(SeekFrom::Start(0))?;
            return archive::read(path, file, wanted, roots, also).map_err(Failure::wrong_call);
        }
    }
    let (above, name) = found.place();
    let tree = Tree::survey(above, name, most)?;
    Ok(Side::of_tree(&tree, roots))
}

/// What somebody gives a path of.
struct Given {
    found: Found,
    /// Where it stands on the disk that is read, as the Mac names it; nothing for what stands elsewhere.
    inside: Option<PathBuf>,
}

/// Finds a path of the Mac, or else of this computer.
fn find(path: &Path, disk: &Disk, root: &Root) -> Result<Given, Failure> {
    find_on_mac(path, disk, root).map_or_else(|| find_here(path, disk), Ok)
}

/// Finds what the bundle is held against: a path of this computer, or else of the Mac. Whoever wrote
/// the disk that is read could have put there what stands at the place of the good copy.
fn find_other(path: &Path, disk: &Disk, root: &Root) -> Result<Given, Failure> {
    find_here(path, disk).or_else(|failure| find_on_mac(path, disk, root).ok_or(failure))
}

fn find_on_mac(path: &Path, disk: &Disk, root: &Root) -> Option<Given> {
    let inside = mac_path(path, &disk.root);
    let is_absolute = inside.is_absolute();
    let find = || root.find(inside.as_os_str().as_bytes()).ok();
    let found = is_absolute.then(find).flatten()?;
    Some(Given {
        found,
        inside: Some(inside),
    })
}

fn find_here(path: &Path, disk: &Disk) -> Result<Given, Failure> {
    let host = Root::open(Path::new("/"))?;
    let absolute = std::path::absolute(path)?;
    let found = host
        .find(absolute.as_os_str().as_bytes())
        .map_err(|error| Failure::wrong_call(error.to_string()))?;
    // A link in the last place may be the plug-in, or lead to it.
    let itself = || path.canonicalize().ok();
    let by_link = || {
        let above = absolute.parent()?.canonicalize().ok()?;
        Some(above.join(absolute.file_name()?))
    };
    let top = disk.root.canonicalize().ok();
    let below = |path: PathBuf| {
        let below = path.strip_prefix(top.as_ref()?).ok()?;
        Some(Path::new("/").join(below))
    };
    let inside = by_link()
        .and_then(below)
        .or_else(|| itself().and_then(below));
    Ok(Given { found, inside })
}

/// A line for each difference, those outside last, and how many there are of each.
fn render(one: &Side, other: &Side, outside: &[(Change, String)]) -> (String, String) {
    let mut text = String::new();
    let mut counts = [0_usize; 5];
    let mut count = |change: Change| {
        for (count, of) in counts.iter_mut().zip(Change::ALL) {
            *count = count.saturating_add(usize::from(of == change));
        }
    };
    let paths: BTreeSet<&Vec<u8>> = order::gather(one.things.keys().chain(other.things.keys()));
    for path in paths {
        let shown = if path.is_empty() {
            ".".to_owned()
        } else {
            escape(path)
        };
        let (a, b) = (one.things.get(path), other.things.get(path));
        if let Some(change) = Change::of(path, a, b) {
            count(change);
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "{:<10}{shown}{}", change.as_str(), detail(a, b));
        }
        if let (Some(a), Some(b)) = (a, b)
            && a.kind == b.kind
            && a.kind != Kind::Symlink
            && a.mode != b.mode
        {
            count(Change::Mode);
            let word = Change::Mode.as_str();
            let _ = writeln!(
                text,
                "{word:<10}{shown}  {:04o}, was {:04o}",
                a.mode, b.mode
            );
        }
    }
    for (change, line) in outside {
        count(*change);
        let _ = writeln!(text, "{:<10}{line}", change.as_str());
    }
    let counted = counts
        .iter()
        .zip(Change::ALL)
        .filter(|(count, _)| **count > 0);
    let counted: Vec<String> = counted
        .map(|(n, c)| format!("{n} {}", c.as_str()))
        .collect();
    (text, counted.join(", "))
}

fn detail(one: Option<&Thing>, other: Option<&Thing>) -> String {
    let mut text = String::new();
    let signature = |t: Option<&Thing>| {
        let code = t.and_then(|t| t.code.as_ref());
        code.map(|c| c.signature.clone())
    };
    if let (Some(a), Some(b)) = (one, other) {
        if a.kind != b.kind {
            let _ = write!(text, "  {}, was {}", a.kind, b.kind);
        } else if a.sha256 != b.sha256 {
            let _ = write!(text, "  {}, was {}", hex(&a.sha256), hex(&b.sha256));
        }
        if a.fork != b.fork {
            let fork = |t: &Thing| t.fork.map_or_else(|| "none".to_owned(), |sum| hex(&sum));
            let _ = write!(text, "  resource fork {}, was {}", fork(a), fork(b));
        }
    }
    if one.is_some_and(|t| t.is_large_code) || other.is_some_and(|t| t.is_large_code) {
        text.push_str("  too large to tell its signature from its code");
    }
    match (signature(one), signature(other)) {
        (Some(a), Some(b)) if a == b => {
            let _ = write!(text, "  {a}");
        }
        (Some(a), Some(b)) => {
            let _ = write!(text, "  {a}, was {b}");
        }
        (Some(a), None) | (None, Some(a)) => {
            let _ = write!(text, "  {a}");
        }
        (None, None) => {}
    }
    text
}
