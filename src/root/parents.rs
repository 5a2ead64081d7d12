//! The directories that one scan has open, and the steps that it has left.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::seen::Seen;
use super::volume::Volume;
use crate::directory::Dir;

/// How many directories are kept open.
const MOST_PARENTS: usize = 8;

/// What one scan keeps of the paths that it resolves.
#[derive(Debug)]
pub(super) struct Parents {
    /// The directories that were resolved last, by the paths that led to them without a link, the last
    /// first.
    kept: Mutex<Vec<(Vec<u8>, Dir, Volume)>>,
    /// Steps that are left to paths that lead far.
    steps: AtomicUsize,
    /// What is known to stand where its path says.
    pub(super) seen: Seen,
}

impl Parents {
    pub(super) fn new(steps: usize) -> Self {
        Self {
            kept: Mutex::default(),
            steps: AtomicUsize::new(steps),
            seen: Seen::default(),
        }
    }

    /// Takes steps; false when they are not left.
    pub(super) fn take_steps(&self, count: usize) -> bool {
        let less = |left: usize| left.checked_sub(count);
        self.steps
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    pub(super) fn of(&self, path: &[u8]) -> Option<(Dir, Volume)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(of, ..)| of == path)?;
        kept.get_mut(..=at)?.rotate_right(1);
        let (_, dir, volume) = kept.first()?;
        Some((dir.clone(), volume.clone()))
    }

    /// The nearest directory above a path that is kept, and how much of the path leads to it.
    pub(super) fn above(&self, path: &[u8]) -> Option<(usize, Dir, Volume)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let leads_on = |of: &[u8]| {
            let below = path.strip_prefix(of);
            of.len() > 1 && below.is_some_and(|below| below.starts_with(b"/"))
        };
        let above = kept.iter().filter(|(of, ..)| leads_on(of));
        let (of, dir, volume) = above.max_by_key(|(of, ..)| of.len())?;
        Some((of.len(), dir.clone(), volume.clone()))
    }

    pub(super) fn keep(&self, path: &[u8], dir: &Dir, volume: &Volume) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().all(|(of, ..)| of != path) {
            kept.truncate(MOST_PARENTS.saturating_sub(1));
            kept.insert(0, (path.to_vec(), dir.clone(), volume.clone()));
        }
    }
}
