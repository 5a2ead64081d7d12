//! One call of `quarantine`: a bundle is collected, and then taken into the vault.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::ledger::{self, Entry, Place, Seen};
use super::mounts;
use super::options::Options;
use super::take;
use super::vault::{self, Vault};
use crate::bundle::Bundle;
use crate::collect::{self, Circumstances, MANIFEST, Output, archive_name};
use crate::disk::Disk;
use crate::failure::Failure;
use crate::output::print;
use crate::root::{Found, Root};
use crate::scan::Snapshot;
use crate::shell::Line;
use crate::text::{escape, hex, tame};
use crate::tree::Tree;

/// The longest reason that is kept.
const MOST_REASON: usize = 2000;
/// How often another name is tried for an entry: one is found at once unless the vault cannot be read.
const MOST_TRIES: u32 = 8;

/// A path of this computer without links.
///
/// # Errors
/// When nothing stands there.
pub fn absolute(path: &std::path::Path) -> Result<PathBuf, Failure> {
    path.canonicalize()
        .map_err(|error| Failure::new(format!("cannot find {}: {error}", path.display())))
}

/// The entry of a bundle's main executable, by that of the bundle.
pub fn executable_id(id: &str) -> String {
    format!("{id}-executable")
}

/// The name of the bundle's entry, by that of its main executable; `None` for an entry of a bundle.
pub fn bundle_id(id: &str) -> Option<&str> {
    id.strip_suffix("-executable")
}

/// One call of `quarantine`.
pub struct Call<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// What was asked for.
    pub options: &'a Options,
    /// The root of the disk.
    pub root: &'a Root,
    /// Where it is taken.
    pub vault: &'a Vault,
}

impl Call<'_> {
    /// Collects a bundle of what stands there and takes it into the vault; gives the bundle without its entries.
    ///
    /// # Errors
    /// When it cannot be taken: it stands where it stood then.
    pub fn bundle(
        &self,
        snapshot: Snapshot,
        bundle: Arc<Bundle>,
    ) -> Result<(Entry, Bundle), Failure> {
        let evidence = &bundle.evidence;
        let path = &evidence.candidate.path;
        let found = self.root.find_entry(path)?;
        if evidence
            .meta
            .is_none_or(|meta| !meta.is_unchanged(&found.meta))
        {
            return Err(changed(path));
        }
        let (above, name) = found.place();
        mounts::refuse(above, name)
            .map_err(|why| Failure::new(format!("{} was left alone: {why}", escape(path))))?;
        let covers = mounts::on_the_way(&found);
        let circumstances = Circumstances::now(&self.disk.root);
        let id = self.new_id(&circumstances, &bundle);
        let mut entry = self.entry(id, &found, bundle.digest)?;
        entry.path = escape(path);
        entry.error = covers.unwrap_or_default();
        entry.time = circumstances.time;
        entry.hash = bundle.digest.as_ref().map_or_else(String::new, |d| hex(d));
        entry.signer.clone_from(&bundle.signature.signer);
        bundle
            .signature
            .state
            .as_str()
            .clone_into(&mut entry.signature_state);
        let from = self.open_above(&found)?;
        let (lacks, bundle) = self.collect(snapshot, bundle, &circumstances, &mut entry)?;
        if let Err(why) = take::take(self.vault, &mut entry, &from) {
            if matches!(ledger::one(&self.vault.ledger, &entry.id), Ok(None)) {
                let name = archive_name(&entry.id);
                let _ = self.vault.evidence.remove(&name.to_string_lossy());
            }
            return Err(Failure::new(why));
        }
        let mut disk = self.disk.named();
        // Without it an image is not written.
        if self.disk.is_image() {
            disk = disk.own("--yes-write-image");
        }
        say(&entry, &bundle, lacks, &disk)?;
        Ok((entry, bundle))
    }

    /// Takes the main executable of a bundle that was taken, where it stands outside; gives its entry.
    ///
    /// # Errors
    /// When it cannot be taken, and was left.
    pub fn executable(&self, bundle: &Bundle, taken: &Entry) -> Result<Option<Entry>, Failure> {
        let executable = bundle.evidence.executable.as_ref();
        let Some(executable) = executable.filter(|e| e.is_outside()) else {
            return Ok(None);
        };
        let left = |why: String| {
            Failure::new(format!(
                "the bundle is in the vault as {}, but its main executable was left: {why}",
                taken.id
            ))
        };
        let found = self.root.find_entry(&executable.path);
        let found = found.map_err(|e| left(e.to_string()))?;
        if !found.meta.is_unchanged(&executable.meta) {
            return Err(left(format!("{} has changed", escape(&executable.path))));
        }
        let (above, name) = found.place();
        let tree = Tree::survey(above, name, 1).map_err(|e| left(e.to_string()))?;
        let digest = tree.digest(&self.vault.reading).ok();
        let sha256 = executable.content(&bundle.evidence).sha256();
        let mut entry = self.entry(executable_id(&taken.id), &found, digest)?;
        entry.error = mounts::on_the_way(&found).unwrap_or_default();
        entry.time = taken.time;
        entry.hash = sha256.map_or_else(String::new, |d| hex(d));
        entry.evidence_hash.clone_from(&taken.evidence_hash);
        let from = self.open_above(&found)?;
        take::take(self.vault, &mut entry, &from).map_err(left)?;
        print(&format!(
            "executable  {} is in the vault as {}\n{}",
            entry.path,
            entry.id,
            covered(&entry)
        ))?;
        Ok(Some(entry))
    }

    /// An entry of what stands somewhere.
    fn entry(&self, id: String, found: &Found, digest: Option<[u8; 32]>) -> Result<Entry, Failure> {
        let (above, name) = found.place();
        let tree = Tree::itself(above, name)?;
        let link = tree.top().and_then(|top| top.link.as_deref());
        let digest = digest.as_ref().map_or_else(String::new, |d| hex(d));
        let from = Place {
            root: absolute(&self.disk.root)?.as_os_str().as_bytes().to_vec(),
            directory: above.path().to_vec(),
            name: name.to_vec(),
        };
        let mut entry = Entry::new(id, from, Seen::new(&found.meta, link, digest));
        entry.reason = self.options.reason.chars().take(MOST_REASON).collect();
        entry.uid = caller();
        Ok(entry)
    }

    fn open_above(&self, found: &Found) -> Result<vault::Open, Failure> {
        let (above, name) = found.place();
        if name == b"." {
            return Err(Failure::new("the root itself is not moved"));
        }
        vault::reopen(above.clone()).map_err(Failure::new)
    }

    fn new_id(&self, circumstances: &Circumstances, bundle: &Bundle) -> String {
        let digest = bundle.digest.as_ref().map(|d| hex(d));
        let short = digest
            .as_deref()
            .and_then(|d| d.get(..8))
            .unwrap_or("unknown");
        let stem = format!("{}-{short}", circumstances.stamp());
        let is_taken = |id: &String| self.vault.knows(id) || self.vault.knows(&executable_id(id));
        let mut id = stem.clone();
        // Whoever plants the names of all seconds to come does not know which one this will have.
        let mut tries = 0..MOST_TRIES;
        while is_taken(&id) && tries.next().is_some() {
            let number = RandomState::new().hash_one(&id);
            id = format!("{stem}-{number:016x}");
        }
        id
    }

    /// Keeps the evidence, and says how many things it lacks. What changed since it was judged is not moved on.
    fn collect(
        &self,
        snapshot: Snapshot,
        bundle: Arc<Bundle>,
        circumstances: &Circumstances,
        entry: &mut Entry,
    ) -> Result<(u64, Bundle), Failure> {
        let evidence = &self.vault.evidence;
        let name = archive_name(&entry.id);
        let path = evidence.path().join(&name);
        let directory = rustix::io::dup(evidence)?;
        let output = Output::begin_in(directory, &name, &path).map_err(Failure::new)?;
        let mut kept = collect::write(
            self.disk,
            output,
            &entry.id,
            self.root,
            snapshot,
            vec![bundle],
            circumstances,
        )?;
        let bundle = kept.bundles.pop();
        let bundle = bundle.ok_or_else(|| Failure::new("nothing was collected"))?;
        let collected = kept.digests.first().copied().flatten();
        if bundle.digest.is_some() && collected != bundle.digest {
            evidence.remove(&name.to_string_lossy())?;
            return Err(changed(&bundle.evidence.candidate.path));
        }
        entry.evidence = path.display().to_string();
        entry.evidence_hash = hex(&kept.sha256);
        Ok((kept.left_out, bundle))
    }
}

fn changed(path: &[u8]) -> Failure {
    Failure::new(format!(
        "{} changed while it was looked at, and was left alone; call again",
        escape(path)
    ))
}

/// The user who asked: who called sudo, where that is known.
fn caller() -> u32 {
    let own = rustix::process::getuid().as_raw();
    let sudo = std::env::var("SUDO_UID")
        .ok()
        .and_then(|uid| uid.parse().ok());
    sudo.filter(|_| own == 0).unwrap_or(own)
}

/// The line about a volume on the way to what was taken, where there is one.
fn covered(entry: &Entry) -> String {
    if entry.error.is_empty() {
        return String::new();
    }
    format!("{:<12}{}\n", "covered", tame(&entry.error))
}

/// Says what was taken; `disk` is the end of a line that puts it back.
fn say(entry: &Entry, bundle: &Bundle, lacks: u64, disk: &Line) -> Result<(), Failure> {
    let mut text = String::new();
    let rows = [
        ("quarantined", entry.id.as_str()),
        ("path", &entry.path),
        ("hash", &entry.hash),
        ("evidence", &entry.evidence),
        ("sha256", &entry.evidence_hash),
    ];
    for (name, value) in rows {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "{name:<12}{}", tame(value));
    }
    if lacks > 0 {
        let what = format!("{lacks} things that could not be taken: {MANIFEST} in it lists them");
        let _ = writeln!(
            text,
            "{:<12}{what}; the vault holds the bundle whole",
            "lacks"
        );
    }
    if let Some(target) = &bundle.evidence.symlink_target {
        let target = escape(target);
        let _ = writeln!(
            text,
            "{:<12}{target}: the link was moved, and not what it leads to",
            "left"
        );
    }
    let outside = bundle
        .evidence
        .executable
        .as_ref()
        .filter(|e| e.is_outside());
    if let Some(executable) = outside {
        let path = escape(&executable.path);
        let _ = writeln!(
            text,
            "{:<12}{path}: its main executable was left there",
            "outside"
        );
    }
    text.push_str(&covered(entry));
    let back = Line::new("dsplug restore").word(&entry.id).end(disk);
    let back = back.written().unwrap_or_else(|why| why);
    let _ = writeln!(text, "{:<12}{back}", "back");
    print(&text)
}
