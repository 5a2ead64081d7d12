//! The sum of digests of many entries, whatever their order: nothing has to be held for it.

/// What the file system says of everything at a place, in one number.
///
/// Whoever would have other entries give the same sum has to choose the times at which their status
/// changed, and those cannot be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum([u64; 4]);

impl Sum {
    /// Adds the digest of one entry.
    pub fn add(&mut self, digest: &[u8; 32]) {
        for (sum, part) in self.0.iter_mut().zip(digest.as_chunks().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
    }

    /// It as bytes.
    pub fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, sum) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *place = sum.to_le_bytes();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_does_not_count_and_the_number_of_each_does() {
        let sum = |digests: &[u8]| {
            let mut sum = Sum::default();
            digests.iter().for_each(|d| sum.add(&[*d; 32]));
            sum.bytes()
        };
        assert_eq!(sum(&[1, 2, 3]), sum(&[3, 1, 2]));
        assert_ne!(sum(&[1, 1]), sum(&[]));
        assert_ne!(sum(&[1, 3]), sum(&[3]));
        assert_eq!(sum(&[255, 1]), [0, 1, 1, 1, 1, 1, 1, 1].repeat(4)[..]);
    }
}
