//! Whether all stands as the last look found it: everything that is wanted is watched, and nothing hints at a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the thread that watches says, for those who ask.
#[derive(Clone, Debug, Default)]
pub struct Calm(Arc<AtomicBool>);

impl Calm {
    /// True while it is so.
    pub fn is(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Says whether it is so now.
    pub fn set(&self, is_calm: bool) {
        self.0.store(is_calm, Ordering::SeqCst);
    }
}

/// Somebody watches: with that it ends, however that ends.
pub(super) struct Watching<'a>(pub &'a Calm);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
