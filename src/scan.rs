//! One scan: the folders, the candidates in them, and the judgement of each, in one snapshot.

use std::sync::Arc;
use std::time::Instant;

use crate::bundle::Bundle;
use crate::codesign::Roots;
use crate::evidence::{self, Reader};
use crate::folders::{self, FOLDERS, Folder, FolderError};
use crate::limits::{Budget, Limits};
use crate::load;
use crate::root::Root;

/// What is scanned, and how far.
#[derive(Clone, Debug)]
pub struct Scanner {
    root: Root,
    roots: Roots,
    limits: Limits,
}

/// Everything that one scan found.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// One for each of [`FOLDERS`].
    pub folders: Vec<Folder>,
    /// The candidates, in order of path.
    pub bundles: Vec<Arc<Bundle>>,
    /// Files read to their end.
    pub files_read: u64,
    /// How long it took.
    pub milliseconds: u64,
}

impl Snapshot {
    /// Why the bundles are not known: a plug-in folder that is there cannot be listed.
    pub fn unreadable(&self) -> Option<String> {
        self.folders.iter().find_map(|folder| match &folder.error {
            Some(error @ FolderError::Unreadable(_)) => Some(format!(
                "{}: {error}; give osqueryd Full Disk Access or mend the folder",
                folder.path
            )),
            _ => None,
        })
    }
}

impl Scanner {
    /// A scanner of a Mac's disk that judges signatures by Apple's roots.
    pub fn new(root: Root, limits: Limits) -> Self {
        Self {
            root,
            roots: Roots::apple(),
            limits,
        }
    }

    /// The same with other roots.
    #[must_use]
    pub fn with_roots(self, roots: Roots) -> Self {
        Self { roots, ..self }
    }

    /// The disk that is scanned.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Scans once.
    pub fn scan(&self) -> Snapshot {
        let began = Instant::now();
        let mut budget = Budget::new(self.limits);
        let mut all_folders = Vec::new();
        let mut found = Vec::new();
        for index in 0..FOLDERS.len() {
            let (folder, candidates) = folders::list(&self.root, index, &self.limits);
            all_folders.push(folder);
            for candidate in candidates {
                found.push(evidence::survey(&self.root, candidate, &mut budget));
            }
        }
        found.sort_by_cached_key(|e| crate::text::escape(&e.candidate.path));
        let mut reader = Reader::new(&self.roots);
        // The smallest first: a huge bundle can only starve itself.
        let mut order: Vec<_> = found.iter_mut().collect();
        order.sort_by_key(|e| e.bytes());
        for evidence in order {
            evidence::read_contents(evidence, &mut reader, &mut budget);
        }
        let verdicts = load::judge(&found);
        let bundles = found.into_iter().zip(verdicts);
        Snapshot {
            folders: all_folders,
            bundles: bundles
                .map(|(e, load)| Arc::new(Bundle::judge(e, load)))
                .collect(),
            files_read: reader.files,
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}
