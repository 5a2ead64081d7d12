//! `dsplug compare`: two bundles, or a bundle and what was collected of one, file by file.
//!
//! The same is what has the same bundle digest, and the same resource forks, permission bits, owners, sockets, FIFOs and
//! devices, of which that says nothing, and leads to the same outside of it by the same links, as far as one of both is a
//! plug-in of the disk or collected; owners count where both are. A file whose code is the same and whose signature is another is told from one whose code was altered.

mod archive;
mod change;
mod lines;
mod manifest;
mod outside;
mod plug_in;
mod records;
mod side;
mod source;

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use lines::Told;
use plug_in::Place;
use side::Side;
use source::Source;

use crate::codesign::Roots;
use crate::collect::{Bounds, Outside};
use crate::disk::Disk;
use crate::failure::Failure;
use crate::meta::Kind;
use crate::output::print;
use crate::text::{escape, hex};
use crate::tree::Tree;

/// What `compare` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The bundle: as the tables show it, or a path of this computer
    pub path: PathBuf,
    /// What it is held against, on this computer: another bundle, or an archive that collect wrote; or a plug-in of
    /// the disk, as the tables show it
    pub other: PathBuf,
}

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Compares, and prints a line for each difference, then from what.
///
/// # Errors
/// When they are not the same, or not known to be; when there is nothing to compare.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    let root = disk.open_root()?;
    let roots = Roots::apple();
    let from = &source::path(&options.path, disk, &root)?;
    let to = &source::other(&options.other, disk, &root)?;
    // Before they are read, as a scan judges before it collects.
    let [live, held] = [from, to].map(|source| source.place.as_ref()?.outside(disk));
    // Of an archive of many that which was named of the disk.
    let of_disk = [from, to].map(|source| source.place.as_ref()?.candidate());
    let wanted = of_disk.into_iter().flatten().next();
    let wanted = escape(&wanted.unwrap_or_else(|| from.path.clone()));
    let read = |source: &Source, own: Option<Outside>, also: Option<&Outside>| {
        let side = read(source, disk, &wanted, &roots, also)?;
        let outside = side.outside.clone().or(own);
        let is_plug_in = source
            .place
            .as_ref()
            .is_some_and(|place| *place != Place::Elsewhere);
        let has_owners = side.has_owners || is_plug_in;
        Ok::<_, Failure>(Side {
            outside,
            has_owners,
            ..side
        })
    };
    let one = read(from, live, held.as_ref())?;
    let other = read(to, held, one.outside.as_ref())?;
    let [a, b] = [&one, &other].map(|side| side.outside.as_ref());
    let name = |source: &Source, side: &Side| match &side.of {
        Some(path) => last_component(path.as_bytes()).to_vec(),
        None => escape(last_component(&source.path)).into_bytes(),
    };
    let outside = outside::compare(a, b, name(from, &one) == name(to, &other));
    let Told {
        text,
        counts,
        unknown: untold,
    } = Told::of(&one, &other, &outside.changes);
    print(&text)?;
    let unknown = one.unknown.iter().chain(&other.unknown);
    let unknown = unknown.chain(&untold).chain(&outside.unknown);
    for line in unknown.clone() {
        print(&format!("{:<10}{line}\n", "unknown"))?;
    }
    let verdict = match (one.digest(), other.digest()) {
        (Some(a), Some(b))
            if a == b && counts.is_empty() && untold.is_empty() && outside.unknown.is_empty() =>
        {
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
    };
    for (word, source, side) in [("path", from, &one), ("other", to, &other)] {
        let shown = source.shown(disk);
        let of = side.of.as_ref();
        let of = of.map_or_else(String::new, |of| format!(": {of} as it was collected"));
        print(&format!("{word:<10}{shown}{of}\n"))?;
    }
    verdict
}

fn last_component(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// Reads one side.
fn read(
    source: &Source,
    disk: &Disk,
    wanted: &str,
    roots: &Roots,
    also: Option<&Outside>,
) -> Result<Side, Failure> {
    let found = &source.found;
    if found.meta.kind == Kind::File && source.may_be_archive(disk) {
        let mut file = std::fs::File::from(found.open_file()?.fd);
        let mut head = [0; 2];
        let is_archive = file.read_exact(&mut head).is_ok() && head == GZIP;
        if is_archive {
            file.seek(SeekFrom::Start(0))?;
            let shown = escape(&source.path);
            return archive::read(&shown, file, wanted, roots, also).map_err(Failure::wrong_call);
        }
    }
    let (above, name) = found.place();
    let reading = Bounds::of(disk.thorough).reading();
    let tree = Tree::survey(above, name, reading.entries)?;
    Ok(Side::of_tree(&tree, &reading, roots))
}
