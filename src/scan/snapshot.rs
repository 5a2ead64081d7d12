//! What one scan found, and what is told of the program itself.

use std::sync::Arc;

use rustix::io::Errno;

use crate::bundle::Bundle;
use crate::directory::ReadError;
use crate::evidence::Trouble;
use crate::exceptions::Exceptions;
use crate::folders::{Folder, FolderError};
use crate::journal::{self, Events};
use crate::quarantine::ledger::Ledger;
use crate::text::escape;

/// How many paths of candidates that met a limit are told.
const MOST_LIMITS_TOLD: usize = 8;

/// Everything that one scan found.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// One for each of `FOLDERS`.
    pub folders: Vec<Folder>,
    /// The candidates, in order of path.
    pub bundles: Vec<Arc<Bundle>>,
    /// The exceptions, as they were at the time.
    pub exceptions: Exceptions,
    /// The ledger of the quarantine, read when it is asked for.
    pub quarantine: Ledger,
    /// What is told of the program itself.
    pub status: Status,
    /// The events that were kept, or those of the process itself.
    pub events: Events,
    /// Why the root is no `/` of a Mac, if it is none: what is not in it was never looked at.
    pub foreign: Option<&'static str>,
}

impl Snapshot {
    /// Why the bundles are not known: the root is not that of a Mac, or a plug-in folder that is
    /// there cannot be listed.
    pub fn unreadable(&self) -> Option<String> {
        if let Some(why) = self.foreign {
            return Some(format!(
                "this is not the / of a Mac: {why}; --root DIR reads a mounted disk image or a collected folder as one"
            ));
        }
        self.folders.iter().find_map(|folder| match &folder.error {
            Some(error @ FolderError::Unreadable(_)) => {
                Some(format!("{}: {error}; {}", folder.path, cure(error)))
            }
            _ => None,
        })
    }

    /// Paths of candidates that met a limit, the first few.
    pub(super) fn limits_met(&self) -> Vec<String> {
        let cut = |t: &Trouble| matches!(t, Trouble::Limit(_));
        let folders = self.folders.iter().filter_map(|f| match f.error {
            Some(FolderError::Limit(_)) => Some(f.path.to_owned()),
            _ => None,
        });
        let bundles = self.bundles.iter().map(|b| &b.evidence);
        let bundles = bundles.filter(|e| e.troubles.iter().any(cut));
        folders
            .chain(bundles.map(|e| escape(&e.candidate.path)))
            .take(MOST_LIMITS_TOLD)
            .collect()
    }
}

/// What is told of the program itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// When it started, in seconds of Unix time.
    pub started: i64,
    /// Scans since then.
    pub scans: u64,
    /// When the last scan began, in seconds of Unix time.
    pub last_scan: i64,
    /// How long it took, in milliseconds.
    pub last_scan_ms: u64,
    /// Files read to their end.
    pub files_read: u64,
    /// Files known from before.
    pub files_reused: u64,
    /// Files that could not be read.
    pub files_skipped: u64,
    /// Where exceptions were read.
    pub exceptions_path: String,
    /// What became of them, in a word.
    pub exceptions_state: &'static str,
    /// How many of them are active.
    pub exceptions: u64,
    /// Paths of candidates that met a limit, the first few.
    pub limits: Vec<String>,
    /// The last error of a scan since the start.
    pub error: String,
    /// How it stands with the watch.
    pub watch: WatchStatus,
    /// How it stands with the journal of events.
    pub(crate) journal: journal::Status,
}

/// How it stands with the watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchStatus {
    /// What is watched: `all` that is wanted, the plug-in folders' own `directories` and some of the
    /// bundles, nothing but the `tick`; empty where nobody watches.
    pub state: &'static str,
    /// How many directories and files are watched.
    pub places: usize,
    /// Why it is not all.
    pub error: String,
}

/// What to do about a plug-in folder that cannot be listed.
pub fn cure(error: &FolderError) -> &'static str {
    match error {
        FolderError::Unreadable(ReadError { errno, .. })
            if !matches!(*errno, Errno::ACCESS | Errno::PERM) =>
        {
            "look at what stands in the folder's place"
        }
        _ if rustix::process::geteuid().is_root() => {
            "root is refused: give Full Disk Access to osqueryd, or to the program that this is run from (install/mdm/)"
        }
        _ => "run it as root: sudo",
    }
}
