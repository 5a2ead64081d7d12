//! `dsplug compare`: two bundles, or a bundle and what was collected of one, file by file.
//!
//! The same is what has the same bundle digest, and the same resource forks and permission bits, of which that says
//! nothing, and leads to the same outside of it, as far as one of both is a plug-in of the disk or collected. A file whose code is the same and whose signature
//! is another is told from one whose code was altered.

mod archive;
mod manifest;
mod outside;
mod records;
mod side;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

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

/// What a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Only PATH has it.
    Added,
    /// Only OTHER has it.
    Missing,
    /// Both have it, with other content, another resource fork, another link or of another kind.
    Altered,
    /// Its code is the same, its signature is not; or it is a part of the bundle's seal.
    Resigned,
    /// Both have it, with other permission bits.
    Mode,
}

impl Change {
    const ALL: [Self; 5] = [
        Self::Added,
        Self::Missing,
        Self::Altered,
        Self::Resigned,
        Self::Mode,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Resigned => "re-signed",
            Self::Mode => "mode",
        }
    }
}

/// Compares, and prints a line for each difference.
///
/// # Errors
/// When they are not the same, or not known to be; when there is nothing to compare.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    let root = disk.open_root()?;
    let roots = Roots::apple();
    let most = Bounds::of(disk.thorough).entries;
    let wanted = escape(mac_path(&options.path, &disk.root).as_os_str().as_bytes());
    let [live, held] = outside(disk, &root, options);
    let read = |found: Found, path: &Path, own: Option<Outside>, also: Option<&Outside>| {
        let side = read(&found, path, &wanted, &roots, most, also)?;
        let outside = side.outside.clone().or(own);
        Ok::<_, Failure>(Side { outside, ..side })
    };
    let one = find(&options.path, disk, &root)?;
    let one = read(one, &options.path, live, held.as_ref())?;
    let other = find_other(&options.other, disk, &root)?;
    let other = read(other, &options.other, held, one.outside.as_ref())?;
    let outside = outside::compare(one.outside.as_ref(), other.outside.as_ref());
    let (text, counts) = render(&one, &other, &outside.altered);
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
                one.things.len(),
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

/// What a scan says that both lead to outside of them, where they are plug-ins of the disk that is read.
fn outside(disk: &Disk, root: &Root, options: &Options) -> [Option<Outside>; 2] {
    let Ok(mut scanner) = disk.patient_scanner() else {
        return [None, None];
    };
    let snapshot = scanner.scan();
    if snapshot.unreadable().is_some() {
        return [None, None];
    }
    let is_below = |path: &Path| {
        let (path, top) = (path.canonicalize().ok()?, disk.root.canonicalize().ok()?);
        Some(path.starts_with(top))
    };
    let is_on_mac = |path: &Path| find_on_mac(path, disk, root).is_some();
    // By its whole path: a name alone would be that of a plug-in elsewhere.
    let of = |path: &Path| {
        let absolute = std::path::absolute(path).ok()?;
        outside::of(&snapshot, &disk.root, &absolute)
    };
    let (path, other) = (options.path.as_path(), options.other.as_path());
    let one = is_on_mac(path) || is_below(path) == Some(true);
    // A path of this computer comes first here.
    let other_one = is_below(other).unwrap_or_else(|| is_on_mac(other));
    [
        one.then(|| of(path)).flatten(),
        other_one.then(|| of(other)).flatten(),
    ]
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

/// Finds a path of the Mac, or else of this computer.
fn find(path: &Path, disk: &Disk, root: &Root) -> Result<Found, Failure> {
    find_on_mac(path, disk, root).map_or_else(|| find_here(path), Ok)
}

/// Finds what the bundle is held against: a path of this computer, or else of the Mac. Whoever wrote
/// the disk that is read could have put there what stands at the place of the good copy.
fn find_other(path: &Path, disk: &Disk, root: &Root) -> Result<Found, Failure> {
    find_here(path).or_else(|failure| find_on_mac(path, disk, root).ok_or(failure))
}

fn find_on_mac(path: &Path, disk: &Disk, root: &Root) -> Option<Found> {
    let inside = mac_path(path, &disk.root);
    let is_absolute = inside.is_absolute();
    let find = || root.find(inside.as_os_str().as_bytes()).ok();
    is_absolute.then(find).flatten()
}

fn find_here(path: &Path) -> Result<Found, Failure> {
    let host = Root::open(Path::new("/"))?;
    let absolute = std::path::absolute(path)?;
    host.find(absolute.as_os_str().as_bytes())
        .map_err(|error| Failure::wrong_call(error.to_string()))
}

/// A line for each difference, those outside last, and how many there are of each.
fn render(one: &Side, other: &Side, outside: &[String]) -> (String, String) {
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
        if let Some(change) = change(path, a, b) {
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
    for line in outside {
        count(Change::Altered);
        let _ = writeln!(text, "{:<10}{line}", Change::Altered.as_str());
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

fn change(path: &[u8], one: Option<&Thing>, other: Option<&Thing>) -> Option<Change> {
    match (one, other) {
        (Some(_), None) => Some(Change::Added),
        (None, Some(_)) => Some(Change::Missing),
        (None, None) => None,
        (Some(a), Some(b)) if a.kind == b.kind && a.sha256 == b.sha256 => {
            (a.fork != b.fork).then_some(Change::Altered)
        }
        (Some(a), Some(b)) => {
            let code = |t: &Thing| t.code.as_ref().map(|c| c.unsigned);
            let is_code = code(a).is_some() && code(a) == code(b);
            let is_seal = path.split(|c| *c == b'/').rev().nth(1) == Some(b"_CodeSignature");
            let both = a.kind == Kind::File && b.kind == Kind::File;
            Some(if both && a.fork == b.fork && (is_code || is_seal) {
                Change::Resigned
            } else {
                Change::Altered
            })
        }
    }
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
