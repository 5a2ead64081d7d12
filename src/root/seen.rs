//! What one scan has seen to stand at paths, each looked at once.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::directory::ReadError;

/// Paths that are kept, and so looked at, in one scan: all honest bundles name some hundred.
const MOST: usize = 16_384;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing; nothing stands below it.
    Nothing,
    /// What the path says.
    Itself,
    /// Something else: a link is on the way, or a volume is mounted there, or too much was looked at.
    Other,
}

/// What is known of paths, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Nobody can choose paths that share a number.
    number: RandomState,
    stands: Mutex<HashMap<u64, Stand>>,
}

impl Seen {
    /// What is known of a path, or else what a look at it says. Beyond the bound nothing is looked at, nor known.
    ///
    /// # Errors
    /// That of the look; the next one looks again.
    pub(super) fn stand(
        &self,
        path: &[u8],
        look: impl FnOnce() -> Result<Stand, ReadError>,
    ) -> Result<Stand, ReadError> {
        let number = self.number.hash_one(path);
        let mut stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stand) = stands.get(&number) {
            return Ok(*stand);
        }
        if stands.len() >= MOST {
            return Ok(Stand::Other);
        }
        let stand = look()?;
        stands.insert(number, stand);
        Ok(stand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_looked_at_once_and_no_more_than_are_kept() {
        let seen = Seen::default();
        let mut looks = 0;
        for _ in 0..2 {
            for number in 0..MOST + 10 {
                let path = number.to_string();
                let stand = seen.stand(path.as_bytes(), || {
                    looks += 1;
                    Ok(Stand::Itself)
                });
                assert_eq!(stand == Ok(Stand::Itself), number < MOST);
            }
        }
        assert_eq!(looks, MOST);
    }
}
