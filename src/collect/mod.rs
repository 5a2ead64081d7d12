//! `dsplug collect`: one file that holds everything on a bundle, for who judges it later and
//! elsewhere.
//!
//! Nothing is changed, no link leads out of the root, and the file is whole or not there.

mod archive;
mod case;
mod manifest;
mod member;
mod output;
mod outside;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use archive::{ATTRIBUTES, Archive, Bounds, FILES, MANIFEST};
pub use case::{CASE, Circumstances, Collected, collect};
pub use member::{ATTRIBUTE, special_of};
pub use output::{Output, said};
pub use outside::{MOST_NAMED, MOST_PATHS, Outside, Sum};

use crate::bundle::Bundle;
use crate::disk::Disk;
use crate::failure::Failure;
use crate::output::print;
use crate::report::named::find;
use crate::root::Root;
use crate::scan::Snapshot;
use crate::text::{escape, hex};

/// What `collect` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The bundles, as the Mac names them, or where they stand below --root
    #[arg(required_unless_present = "all", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Take every bundle
    #[arg(long, conflicts_with = "paths")]
    pub all: bool,
    /// Fail unless this is the digest of the one bundle, the column hash, as it was taken; the archive stands all the same
    #[arg(long, value_name = "HASH", conflicts_with = "all")]
    pub expect: Option<String>,
    /// The archive to write; without it, dsplug-HOST-TIME.tar.gz in the current directory
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Collects, and prints the archive's SHA-256 and path as `shasum` does.
///
/// # Errors
/// When there is no such bundle, the archive cannot be written, or holds another bundle than was expected.
pub fn run(disk: &Disk, options: &Options) -> Result<(), Failure> {
    if options.expect.is_some() && options.paths.len() != 1 {
        return Err(Failure::new(
            "--expect is the digest of one bundle: name one PATH",
        ));
    }
    let mut scanner = disk.patient_scanner()?;
    let mut snapshot = scanner.scan();
    snapshot.events = disk.events(scanner.root());
    if let Some(why) = snapshot.unreadable() {
        return Err(Failure::new(why));
    }
    let bundles: Vec<Arc<Bundle>> = if options.all {
        snapshot.bundles.clone()
    } else {
        let found = options.paths.iter();
        let found = found.map(|path| find(&snapshot, scanner.root(), &disk.root, path).cloned());
        found.collect::<Result<_, _>>()?
    };
    let circumstances = Circumstances::now(&disk.root);
    let name = format!(
        "dsplug-{}-{}",
        plain(&circumstances.host),
        circumstances.stamp()
    );
    let path = match &options.output {
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{name}.tar.gz")),
    };
    disk.refuse_below(&path, "--output")?;
    let output = Output::begin(&path).map_err(Failure::new)?;
    let root = scanner.root().clone();
    // It remembers what it has found.
    drop(scanner);
    let kept = write(
        disk,
        output,
        &name,
        &root,
        snapshot,
        bundles,
        &circumstances,
    )?;
    let _ = writeln!(
        io::stderr(),
        "dsplug: {} in {} members",
        match kept.bundles.len() {
            1 => "one bundle".to_owned(),
            many => format!("{many} bundles"),
        },
        kept.members
    );
    if kept.left_out > 0 {
        let _ = writeln!(
            io::stderr(),
            "dsplug: not everything could be taken: {MANIFEST} in it lists {} under left_out",
            kept.left_out
        );
    }
    let mut line = hex(&kept.sha256).into_bytes();
    line.extend_from_slice(b"  ");
    line.extend_from_slice(path.as_os_str().as_bytes());
    line.push(b'\n');
    print(&String::from_utf8_lossy(&line))?;
    let expect = options.expect.as_deref();
    expect.map_or(Ok(()), |expect| expected(&kept, expect.trim(), &path))
}

/// Holds what went into an archive to the digest that was expected: what stood there before or stands there behind it
/// is whatever somebody put there.
fn expected(kept: &Kept, expect: &str, archive: &Path) -> Result<(), Failure> {
    let bundle = kept.bundles.first();
    let path = bundle.map_or_else(String::new, |b| escape(&b.evidence.candidate.path));
    let archive = archive.display();
    match kept.digests.first().copied().flatten().map(|d| hex(&d)) {
        Some(hash) if hash.eq_ignore_ascii_case(expect) => Ok(()),
        Some(hash) => Err(Failure::new(format!(
            "{path} is not what was expected: {archive} holds another, whose digest is {hash}"
        ))),
        None => Err(Failure::new(format!(
            "{path} is not known to be what was expected: {archive} does not hold all of it, and {MANIFEST} in it says why"
        ))),
    }
}

/// An archive that is in its place.
pub struct Kept {
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// How many members it has.
    pub members: u64,
    /// How many things were left out or cut.
    pub left_out: u64,
    /// The bundle digest of each bundle as it stands in it.
    pub digests: Vec<Option<[u8; 32]>>,
    /// The bundles, without what was known of their entries.
    pub bundles: Vec<Bundle>,
}

/// Writes an archive into its place.
///
/// # Errors
/// When it cannot be written; nothing is left of it then.
pub fn write(
    disk: &Disk,
    output: Output,
    name: &str,
    root: &Root,
    snapshot: Snapshot,
    bundles: Vec<Arc<Bundle>>,
    circumstances: &Circumstances,
) -> Result<Kept, Failure> {
    let bounds = Bounds::of(disk.thorough);
    // Where it cannot be opened, its journal was not read either.
    let state = disk.state_to_read(root).ok().flatten();
    let state = state.as_ref();
    let out = BufWriter::with_capacity(256 << 10, output);
    let archive = Archive::new(out, name, bounds);
    let most = bounds.entries;
    let collected = collect(archive, root, snapshot, bundles, circumstances, state, most);
    let Collected {
        written,
        digests,
        bundles,
    } = collected.map_err(Failure::new)?;
    let output = written
        .out
        .into_inner()
        .map_err(|e| Failure::new(format!("cannot write the archive: {}", e.error())))?;
    output.finish().map_err(Failure::new)?;
    Ok(Kept {
        sha256: written.sha256,
        members: written.members,
        left_out: written.left_out,
        digests,
        bundles,
    })
}

/// A host's name as part of a file's.
fn plain(host: &str) -> String {
    let sign = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => c,
        _ => '_',
    };
    host.chars().map(sign).take(64).collect()
}

/// A name in a directory that is open: of an archive that is kept beside others.
pub fn archive_name(id: &str) -> OsString {
    let mut name = OsStr::new(id).to_owned();
    name.push(".tar.gz");
    name
}

/// That name, and the one that the archive has while it is written.
pub fn archive_names(id: &str) -> [OsString; 2] {
    let name = archive_name(id);
    let beside = output::beside(&name);
    [name, beside]
}
