//! The root certificates that a chain may end in.

use sha2::{Digest as _, Sha256};

/// Apple's roots in DER, as <https://www.apple.com/certificateauthority/> publishes them, and the
/// SHA-256 that each is pinned by.
const APPLE: [(&[u8], &str); 3] = [
    (
        include_bytes!("roots/AppleIncRootCertificate.cer"),
        "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024",
    ),
    (
        include_bytes!("roots/AppleRootCA-G2.cer"),
        "c2b9b042dd57830e7d117dac55ac8ae19407d38e41d88f3215bc3a890444a050",
    ),
    (
        include_bytes!("roots/AppleRootCA-G3.cer"),
        "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179",
    ),
];

/// Trusted root certificates: known by all their bytes, never by a name.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    certificates: Vec<Vec<u8>>,
}

impl Roots {
    /// Apple's roots: Apple Root CA, G2 and G3. One that is not the pinned one is left out.
    pub fn apple() -> Self {
        let pinned = APPLE
            .iter()
            .filter(|(der, pin)| crate::text::hex(&Sha256::digest(der)) == *pin);
        Self::of(pinned.map(|(der, _)| der.to_vec()).collect())
    }

    /// Roots of one's own, each a certificate in DER.
    pub fn of(certificates: Vec<Vec<u8>>) -> Self {
        Self { certificates }
    }

    /// The certificates in DER.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }
}

#[cfg(test)]
mod tests {
    use super::super::x509::Certificate;
    use super::*;

    #[test]
    fn the_embedded_roots_are_the_pinned_ones() {
        assert_eq!(Roots::apple().certificates().len(), APPLE.len());
    }

    /// RSA with SHA-1, RSA with SHA-384, and ECDSA on P-384 with SHA-384: as Apple signed them.
    #[test]
    fn each_root_signed_itself_and_no_other() {
        let roots = APPLE.map(|(der, _)| Certificate::parse(der).unwrap());
        for (i, root) in roots.iter().enumerate() {
            for (j, other) in roots.iter().enumerate() {
                assert_eq!(root.is_signed_by(other), i == j, "{i} by {j}");
            }
        }
        for (der, _) in APPLE {
            let mut altered = der.to_vec();
            let last = altered.len() - 1;
            altered[last] ^= 1;
            let altered = Certificate::parse(&altered).unwrap();
            assert!(!altered.is_signed_by(&altered));
        }
    }
}
