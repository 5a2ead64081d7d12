//! An X.509 certificate (RFC 5280): what a chain of code-signing certificates is judged by.

use std::ops::RangeInclusive;

use super::crypto::{self, Digest, PublicKey};
use super::oid;
use crate::codesign::ber::{self, Element, Reader};
use crate::text;

/// Bytes of a part of a name that are kept: RFC 5280 allows 64 characters. Of a longer one there is the
/// beginning and a digest of the whole.
const MOST_NAME: usize = 256;
/// Extensions of a certificate; real ones have a dozen.
const MOST_EXTENSIONS: usize = 64;

/// The bit of keyUsage for signatures, counted from the most significant.
const DIGITAL_SIGNATURE: u8 = 0x80;
/// The bit of keyUsage for certificates.
const KEY_CERT_SIGN: u8 = 0x04;

/// A parsed certificate. Its texts are what its issuer wrote: they are worth something only once
/// the chain holds.
#[derive(Clone, Debug)]
pub(crate) struct Certificate<'a> {
    /// All its bytes.
    pub(crate) raw: &'a [u8],
    /// What its issuer signed.
    signed: &'a [u8],
    /// The serial number.
    pub(crate) serial: &'a [u8],
    /// The issuer's name, encoded.
    pub(crate) issuer: &'a [u8],
    /// Its own name, encoded.
    pub(crate) subject: &'a [u8],
    /// First and last second of validity, in Unix time.
    pub(crate) validity: RangeInclusive<i64>,
    /// Its key.
    pub(crate) key: PublicKey<'a>,
    extensions: Vec<Extension<'a>>,
    algorithm: &'a [u8],
    signature: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Parses one certificate, which must be all of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(bytes);
        let certificate = outer.expect(ber::SEQUENCE)?;
        if !outer.is_empty() {
            return None;
        }
        let mut reader = certificate.reader();
        let signed = reader.expect(ber::SEQUENCE)?;
        let algorithm = reader.expect(ber::SEQUENCE)?;
        let signature = ber::bits(reader.expect(ber::BIT_STRING)?)?;
        if !reader.is_empty() {
            return None;
        }
        let mut tbs = signed.reader();
        let version = tbs.optional(ber::context(0));
        let version = version.map_or(Some(0), |v| match v.content {
            [ber::INTEGER, 1, version @ 0..=2] => Some(*version),
            _ => None,
        })?;
        let serial = tbs.expect(ber::INTEGER)?.content;
        if tbs.expect(ber::SEQUENCE)?.raw != algorithm.raw {
            return None;
        }
        let issuer = tbs.expect(ber::SEQUENCE)?.raw;
        let mut validity = tbs.expect(ber::SEQUENCE)?.reader();
        let validity = ber::time(validity.next()?)?..=ber::time(validity.next()?)?;
        let subject = tbs.expect(ber::SEQUENCE)?.raw;
        let key = PublicKey::parse(tbs.expect(ber::SEQUENCE)?)?;
        let mut extensions = Vec::new();
        while let Some(element) = tbs.next() {
            if element.tag == ber::context(3) && version == 2 {
                extensions = read_extensions(element)?;
            }
        }
        if !tbs.is_empty() {
            return None;
        }
        Some(Self {
            raw: certificate.raw,
            signed: signed.raw,
            serial,
            issuer,
            subject,
            validity,
            key,
            extensions,
            algorithm: algorithm.reader().expect(ber::OID)?.content,
            signature,
        })
    }

    /// True when `issuer` has the name and the key that signed it.
    pub(crate) fn is_signed_by(&self, issuer: &Certificate<'_>) -> bool {
        self.issuer == issuer.subject
            && Digest::of_signature(self.algorithm).is_some_and(|digest| {
                crypto::verify(
                    &issuer.key,
                    self.algorithm,
                    digest,
                    self.signed,
                    self.signature,
                )
            })
    }

    /// The common name, else the most special part of the name that there is.
    pub(crate) fn name(&self) -> String {
        [
            oid::COMMON_NAME,
            oid::ORGANIZATIONAL_UNIT,
            oid::ORGANIZATION,
        ]
        .iter()
        .find_map(|kind| self.subject_part(kind))
        .unwrap_or_default()
    }

    /// The first part of that kind in its name.
    pub(crate) fn subject_part(&self, kind: &[u8]) -> Option<String> {
        let mut names = Reader::new(self.subject).expect(ber::SEQUENCE)?.reader();
        while let Some(set) = names.next() {
            let mut set = set.reader();
            while let Some(part) = set.next() {
                let mut part = part.reader();
                if part.expect(ber::OID)?.content == kind {
                    return Some(text::cut(directory_string(part.next()?)?, MOST_NAME));
                }
            }
        }
        None
    }

    /// True when it has the extension.
    pub(crate) fn has(&self, oid: &[u8]) -> bool {
        self.extension(oid).is_some()
    }

    /// The subject key identifier.
    pub(crate) fn subject_key_id(&self) -> Option<&'a [u8]> {
        let value = self.extension(oid::SUBJECT_KEY_ID)?;
        Some(Reader::new(value).expect(ber::OCTET_STRING)?.content)
    }

    /// True when it may issue certificates with `below` authorities between it and the leaf.
    pub(crate) fn may_issue(&self, below: u64) -> bool {
        let constraints = self
            .extension(oid::BASIC_CONSTRAINTS)
            .and_then(|value| Reader::new(value).expect(ber::SEQUENCE));
        let Some(constraints) = constraints else {
            return false;
        };
        let mut reader = constraints.reader();
        let authority = reader
            .optional(ber::BOOLEAN)
            .is_some_and(|flag| flag.content == [0xff]);
        let length = match reader.optional(ber::INTEGER).map(|n| n.content) {
            None => Some(u64::MAX),
            Some([length]) => Some(u64::from(*length)),
            Some(_) => None,
        };
        authority && length.is_some_and(|length| below <= length) && self.key_usage(KEY_CERT_SIGN)
    }

    /// True when its key may sign data.
    pub(crate) fn may_sign(&self) -> bool {
        self.key_usage(DIGITAL_SIGNATURE)
    }

    /// True when it names that purpose.
    pub(crate) fn is_for(&self, purpose: &[u8]) -> bool {
        let purposes = self
            .extension(oid::EXTENDED_KEY_USAGE)
            .and_then(|value| Reader::new(value).expect(ber::SEQUENCE));
        let mut found = false;
        if let Some(purposes) = purposes {
            let mut reader = purposes.reader();
            while let Some(element) = reader.next() {
                found |= element.tag == ber::OID && element.content == purpose;
            }
        }
        found
    }

    /// True when every critical extension is one that is judged here, or a mark of Apple's.
    pub(crate) fn criticals_are_known(&self) -> bool {
        let known = [
            oid::KEY_USAGE,
            oid::BASIC_CONSTRAINTS,
            oid::EXTENDED_KEY_USAGE,
            oid::CERTIFICATE_POLICIES,
            oid::SUBJECT_ALT_NAME,
        ];
        self.extensions
            .iter()
            .filter(|extension| extension.critical)
            .all(|e| known.contains(&e.oid) || e.oid.starts_with(oid::APPLE_EXTENSION_ARC))
    }

    fn key_usage(&self, bit: u8) -> bool {
        match self.extension(oid::KEY_USAGE) {
            None => true,
            Some(value) => Reader::new(value)
                .expect(ber::BIT_STRING)
                .and_then(|usage| usage.content.get(1))
                .is_some_and(|usage| usage & bit != 0),
        }
    }

    fn extension(&self, oid: &[u8]) -> Option<&'a [u8]> {
        let extension = self.extensions.iter().find(|e| e.oid == oid)?;
        Some(extension.value)
    }
}

fn read_extensions(element: Element<'_>) -> Option<Vec<Extension<'_>>> {
    let mut reader = element.reader().expect(ber::SEQUENCE)?.reader();
    let mut extensions: Vec<Extension<'_>> = Vec::new();
    while !reader.is_empty() {
        let mut extension = reader.expect(ber::SEQUENCE)?.reader();
        let oid = extension.expect(ber::OID)?.content;
        let critical = extension
            .optional(ber::BOOLEAN)
            .is_some_and(|flag| flag.content != [0]);
        let value = extension.expect(ber::OCTET_STRING)?.content;
        let twice = extensions.iter().any(|e| e.oid == oid);
        if twice || extensions.len() >= MOST_EXTENSIONS {
            return None;
        }
        extensions.push(Extension {
            oid,
            critical,
            value,
        });
    }
    Some(extensions)
}

/// The text of a `DirectoryString`.
fn directory_string(element: Element<'_>) -> Option<String> {
    const UTF8_STRING: u8 = 0x0c;
    const PRINTABLE_STRING: u8 = 0x13;
    const TELETEX_STRING: u8 = 0x14;
    const IA5_STRING: u8 = 0x16;
    const BMP_STRING: u8 = 0x1e;
    let content = element.content;
    match element.tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => {
            Some(String::from_utf8_lossy(content).into_owned())
        }
        TELETEX_STRING => Some(content.iter().map(|&byte| char::from(byte)).collect()),
        BMP_STRING => {
            let units: Vec<u16> = content
                .chunks_exact(2)
                .filter_map(|two| Some(u16::from_be_bytes(two.try_into().ok()?)))
                .collect();
            Some(String::from_utf16_lossy(&units))
        }
        _ => None,
    }
}
