//! When a look was made.

use std::time::Instant;

/// The time of a look, by the clock that cannot be set and by the one that can.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The one that cannot.
    pub steady: Instant,
    /// Milliseconds of Unix time.
    pub wall_ms: i64,
}
