//! Digests and public keys: RSA and ECDSA signatures, verified by `ring`.
//!
//! `ring` because it verifies all that Apple's certificates use, RSA with SHA-1 included, in code
//! that is fast and widely read; it adds 19 crates where RustCrypto would add 52, and it
//! cross-builds to macOS, which an SDK-bound library does not. The hashes of pages come from
//! `sha2` and `sha1` instead, whose states are small and need no key.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha384, Sha512};

use super::oid;
use crate::codesign::ber::{self, Element};

/// A digest algorithm of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Digest {
    /// The digest algorithm that the object identifier names.
    pub(crate) fn of(algorithm: &[u8]) -> Option<Self> {
        match algorithm {
            oid::SHA1 => Some(Self::Sha1),
            oid::SHA256 => Some(Self::Sha256),
            oid::SHA384 => Some(Self::Sha384),
            oid::SHA512 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The digest that is part of a signature algorithm.
    pub(crate) fn of_signature(algorithm: &[u8]) -> Option<Self> {
        match algorithm {
            oid::RSA_SHA1 => Some(Self::Sha1),
            oid::RSA_SHA256 | oid::ECDSA_SHA256 => Some(Self::Sha256),
            oid::RSA_SHA384 | oid::ECDSA_SHA384 => Some(Self::Sha384),
            oid::RSA_SHA512 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The digest of `content`.
    pub(crate) fn digest(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(content).to_vec(),
            Self::Sha256 => Sha256::digest(content).to_vec(),
            Self::Sha384 => Sha384::digest(content).to_vec(),
            Self::Sha512 => Sha512::digest(content).to_vec(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
}

/// A public key of a kind that can be verified with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicKey<'a> {
    kind: Option<Kind>,
    bytes: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Parses a SubjectPublicKeyInfo. One of an unknown kind parses, and verifies nothing.
    pub(crate) fn parse(info: Element<'a>) -> Option<Self> {
        let mut reader = info.reader();
        let mut algorithm = reader.expect(ber::SEQUENCE)?.reader();
        let name = algorithm.expect(ber::OID)?.content;
        let curve = algorithm.optional(ber::OID).map(|curve| curve.content);
        let kind = match (name, curve) {
            (oid::RSA, None) => Some(Kind::Rsa),
            (oid::EC, Some(oid::P256)) => Some(Kind::P256),
            (oid::EC, Some(oid::P384)) => Some(Kind::P384),
            _ => None,
        };
        let bytes = ber::bits(reader.expect(ber::BIT_STRING)?)?;
        Some(Self { kind, bytes })
    }
}

/// True when `signature` is the key's over `message`, by a signature algorithm that goes with the
/// key and names either no digest or that one.
pub(crate) fn verify(
    key: &PublicKey<'_>,
    algorithm: &[u8],
    digest: Digest,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let named = Digest::of_signature(algorithm);
    let fits = match key.kind {
        Some(Kind::Rsa) => match algorithm {
            oid::RSA => true,
            oid::RSA_SHA1 | oid::RSA_SHA256 | oid::RSA_SHA384 | oid::RSA_SHA512 => {
                named == Some(digest)
            }
            _ => false,
        },
        Some(Kind::P256 | Kind::P384) => match algorithm {
            oid::EC => true,
            oid::ECDSA_SHA256 | oid::ECDSA_SHA384 => named == Some(digest),
            _ => false,
        },
        None => false,
    };
    let algorithm: Option<&'static dyn VerificationAlgorithm> = match (key.kind, digest) {
        (Some(Kind::Rsa), Digest::Sha1) => {
            Some(&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY)
        }
        (Some(Kind::Rsa), Digest::Sha256) => {
            Some(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY)
        }
        (Some(Kind::Rsa), Digest::Sha384) => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        (Some(Kind::Rsa), Digest::Sha512) => {
            Some(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY)
        }
        (Some(Kind::P256), Digest::Sha256) => Some(&signature::ECDSA_P256_SHA256_ASN1),
        (Some(Kind::P256), Digest::Sha384) => Some(&signature::ECDSA_P256_SHA384_ASN1),
        (Some(Kind::P384), Digest::Sha256) => Some(&signature::ECDSA_P384_SHA256_ASN1),
        (Some(Kind::P384), Digest::Sha384) => Some(&signature::ECDSA_P384_SHA384_ASN1),
        _ => None,
    };
    fits && algorithm.is_some_and(|algorithm| {
        UnparsedPublicKey::new(algorithm, key.bytes)
            .verify(message, signature)
            .is_ok()
    })
}
