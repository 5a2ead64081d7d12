//! Whether what stands at a path stands where the path says: at no link, and on no volume that a Mac has not there.
//! Code names the same ten libraries of the system everywhere, so each is looked at once in a scan.

use super::Root;
use super::seen::Stand;
use crate::directory::ReadError;

impl Root {
    /// True where a path without dots leads to what stands at it, or to nothing: no link is on the way, and no volume
    /// is mounted there that a Mac has not. Directories above it, by the lengths of their paths, are asked for first:
    /// what is not there holds nothing. Beyond a bound on the paths of a scan it is false.
    ///
    /// # Errors
    /// When something on the way cannot be read.
    pub(crate) fn is_as_written(&self, path: &[u8], above: &[usize]) -> Result<bool, ReadError> {
        let above = above.iter().filter_map(|length| path.get(..*length));
        for part in above.chain([path]) {
            match self.stand(part)? {
                Stand::Nothing => return Ok(true),
                Stand::Itself => {}
                Stand::Other => return Ok(false),
            }
        }
        Ok(true)
    }

    fn stand(&self, path: &[u8]) -> Result<Stand, ReadError> {
        let look = || self.look_at(path);
        match &self.parents {
            Some(parents) => parents.seen.stand(path, look),
            None => look(),
        }
    }

    fn look_at(&self, path: &[u8]) -> Result<Stand, ReadError> {
        let mut is_other = false;
        let found = self.find_noting(path, &mut |passed| {
            is_other |= passed.text.is_some() || passed.mount.is_some();
        });
        match found {
            _ if is_other => Ok(Stand::Other),
            Ok(_) => Ok(Stand::Itself),
            Err(error) if error.leads_nowhere() => Ok(Stand::Nothing),
            Err(error) => Err(error),
        }
    }
}
