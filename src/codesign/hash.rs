//! The hashes that a code directory may use.

use sha1::{Digest as _, Sha1};
use sha2::Sha384;

use crate::held;
use crate::sha256::Sha256;

/// A code directory's hash type.
///
/// Those that `CodeDirectory::hashFor` (Apple's `codedirectory.cpp`) computes; numbers from
/// `cs_blobs.h` (`CS_HASHTYPE_*`). Their order is Apple's order of preference, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashType {
    /// SHA-1, number 1.
    Sha1,
    /// SHA-256 cut to 20 bytes, number 3.
    Sha256Truncated,
    /// SHA-256, number 2.
    Sha256,
    /// SHA-384, number 4.
    Sha384,
}

held::plain!(HashType);

impl HashType {
    /// Each of them, the best last.
    pub const ALL: [Self; 4] = [
        Self::Sha1,
        Self::Sha256Truncated,
        Self::Sha256,
        Self::Sha384,
    ];

    /// The type of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha1),
            2 => Some(Self::Sha256),
            3 => Some(Self::Sha256Truncated),
            4 => Some(Self::Sha384),
            _ => None,
        }
    }

    /// Its number in a code directory.
    pub fn number(self) -> u8 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 2,
            Self::Sha256Truncated => 3,
            Self::Sha384 => 4,
        }
    }

    /// Length of a digest in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 | Self::Sha256Truncated => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// True when `digest` is the digest of `content`.
    pub fn matches(self, content: &[u8], digest: &[u8]) -> bool {
        let mut hasher = Hasher::new(self);
        hasher.update(content);
        hasher.matches(digest)
    }

    /// The digest of `content`, of [`length`](Self::length) bytes.
    pub fn digest(self, content: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(self);
        hasher.update(content);
        hasher.finish()
    }
}

/// A hash in the making.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// SHA-1.
    Sha1(Sha1),
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-256, to be cut to 20 bytes.
    Sha256Truncated(Sha256),
    /// SHA-384.
    Sha384(Sha384),
}

impl Hasher {
    /// A hash of nothing yet.
    pub fn new(hash_type: HashType) -> Self {
        match hash_type {
            HashType::Sha1 => Self::Sha1(Sha1::new()),
            HashType::Sha256 => Self::Sha256(Sha256::new()),
            HashType::Sha256Truncated => Self::Sha256Truncated(Sha256::new()),
            HashType::Sha384 => Self::Sha384(Sha384::new()),
        }
    }

    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(h) => h.update(bytes),
            Self::Sha256(h) | Self::Sha256Truncated(h) => h.update(bytes),
            Self::Sha384(h) => h.update(bytes),
        }
    }

    /// True when `digest` is the digest of what was taken in.
    pub fn matches(self, digest: &[u8]) -> bool {
        match self {
            Self::Sha1(h) => h.finalize().as_slice() == digest,
            Self::Sha256(h) => h.finish() == digest,
            Self::Sha256Truncated(h) => h.finish().get(..20) == Some(digest),
            Self::Sha384(h) => h.finalize().as_slice() == digest,
        }
    }

    /// The digest of what was taken in.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(h) => h.finalize().to_vec(),
            Self::Sha256(h) => h.finish().to_vec(),
            Self::Sha256Truncated(h) => {
                let mut digest = h.finish().to_vec();
                digest.truncate(20);
                digest
            }
            Self::Sha384(h) => h.finalize().to_vec(),
        }
    }
}
