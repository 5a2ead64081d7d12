//! The root certificates that a chain may end in.

/// Trusted root certificates, known by the SHA-256 of their DER.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    certificates: Vec<Vec<u8>>,
}

impl Roots {
    /// Apple's roots.
    pub fn apple() -> Self {
        Self::default()
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
