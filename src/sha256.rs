//! SHA-256 of the bulk of bytes: files whole, and the pages of code.
//!
//! By ring. With a processor's instructions for SHA it is as fast as sha2, which hashes everything
//! small here; without them, as on Intel Macs before 2020, half again as fast: its code for AVX and
//! SSSE3 is OpenSSL's.

use std::fmt;

use ring::digest::{Context, SHA256};

/// A hash in the making.
#[derive(Clone)]
pub struct Sha256(Context);

impl Sha256 {
    /// A hash of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// The digest of bytes.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> [u8; 32] {
        let mut hash = Self::new();
        hash.update(bytes);
        hash.finish()
    }

    /// Takes in bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of what was taken in.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(self.0.finish().as_ref()) {
            *to = *from;
        }
        digest
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::Sha256;
    use crate::text::hex;

    #[test]
    fn as_the_standard_says_and_as_another_code_does() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            hex(&Sha256::digest(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let bytes: Vec<u8> = (0..70_000_u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        for len in [0, 1, 55, 56, 63, 64, 65, 119, 4_096, 70_000] {
            let bytes = &bytes[..len];
            let mut pieces = Sha256::new();
            bytes.chunks(1_000).for_each(|piece| pieces.update(piece));
            let so_far = pieces.clone().finish();
            assert_eq!(so_far, pieces.finish());
            assert_eq!(
                so_far,
                <[u8; 32]>::from(sha2::Sha256::digest(bytes)),
                "{len}"
            );
        }
    }
}
