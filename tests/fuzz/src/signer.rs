//! A signature of which any part can be any bytes, and which is signed after that.
//!
//! Bytes that are only changed never get behind the first signature that no longer holds. So a
//! signature begins as a good one, the input says what other bytes a part of it has, and then every
//! key signs what is there: what is judged last is reached as well.

use dsplug::codesign::{CodeFacts, Roots};
use dsplug_fixtures::certificate::{Identity, Subject, certificate};
use dsplug_fixtures::cms::{self, DATA, SignedData, Signer, TST_INFO};
use dsplug_fixtures::der;
use dsplug_fixtures::signature::{SHA256, digest};

use crate::{Frame, TEAM, check};

/// The name of the root.
pub const ROOT: &str = "Fuzz Root CA";
/// The time that the timestamp tells: 2024-02-29 12:34:56 UTC.
pub const TIME: i64 = 1_709_210_096;
/// The largest input: what is longer does not fit the frame.
pub const LIMIT: usize = 16 << 10;

/// A part of a signature, as its number in the input.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Part {
    /// The signer's certificate up to its key.
    LeafHead,
    /// The signer's certificate behind its key.
    LeafTail,
    /// The certificate of its issuer up to the key.
    IssuerHead,
    /// The certificate of its issuer behind the key.
    IssuerTail,
    /// The timestamp's certificate up to its key.
    StampHead,
    /// The timestamp's certificate behind its key.
    StampTail,
    /// The certificate of the timestamp's issuer up to the key.
    StamperHead,
    /// The certificate of the timestamp's issuer behind the key.
    StamperTail,
    /// The signed attributes.
    Attributes,
    /// What the timestamp says.
    Info,
    /// The signed attributes of the timestamp.
    InfoAttributes,
    /// Which certificate is the signer's.
    Id,
    /// Which certificate is the timestamp's.
    StampId,
    /// Certificates that come along besides.
    Certificates,
    /// Attributes that nothing signs, besides the timestamp.
    Unsigned,
    /// What the signer's key signs instead of the attributes; when it is not empty.
    Signed,
}

const PARTS: usize = 16;

/// Stands in the timestamp for the hash of the signature, by SHA-256.
const IMPRINT: [u8; 32] = [0xd1; 32];
/// The same by SHA-1.
pub const IMPRINT_SHA1: [u8; 20] = [0xd2; 20];
/// Stands in the timestamp's attributes for the hash of what it says.
const INFO_DIGEST: [u8; 32] = [0xd3; 32];

/// A part in the input: its number, its length, its bytes.
pub fn part(part: Part, bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[part as u8], len.as_slice(), bytes].concat()
}

/// A file, who signs it, and the parts of a good signature.
pub struct Resigned {
    frame: Frame,
    leaf: Identity,
    issuer: Identity,
    stamp: Identity,
    stamper: Identity,
    root: Identity,
    roots: Roots,
    parts: [Vec<u8>; PARTS],
}

impl Resigned {
    /// A Developer ID with keys of this run.
    pub fn new() -> Self {
        let frame = Frame::new();
        let root = Identity::root(Subject::authority(ROOT));
        let signer = Signer::under(&root, "Developer ID Application: Fuzz", TEAM);
        let stamp = signer.timestamp.clone().unwrap();
        let (leaf, issuer) = (signer.leaf.clone(), signer.intermediate.clone());
        let [stamper] = stamp.certificates.try_into().unwrap();
        let info = cms::tst_info("2.16.840.1.101.3.4.2.1", &IMPRINT, &stamp.time);
        let stamp = stamp.authority;
        let of = |identity: &Identity| [identity.head.clone(), identity.tail.clone()];
        let [leaf_head, leaf_tail] = of(&leaf);
        let [issuer_head, issuer_tail] = of(&issuer);
        let [stamp_head, stamp_tail] = of(&stamp);
        let [stamper_head, stamper_tail] = of(&stamper);
        let parts = [
            leaf_head,
            leaf_tail,
            issuer_head,
            issuer_tail,
            stamp_head,
            stamp_tail,
            stamper_head,
            stamper_tail,
            signer.attributes(&[(SHA256, frame.directory())]).concat(),
            info,
            cms::tst_attributes(&INFO_DIGEST),
            leaf.issuer_and_serial(),
            stamp.issuer_and_serial(),
            Vec::new(),
            Vec::new(),
            Vec::new(),
        ];
        let roots = Roots::of(signer.roots());
        Self {
            frame,
            leaf,
            issuer,
            stamp,
            stamper,
            root,
            roots,
            parts,
        }
    }

    /// The bytes of a part as they are when the input does not say otherwise.
    pub fn part(&self, part: Part) -> &[u8] {
        &self.parts[part as usize]
    }

    /// What is found in the file when it has that signature; none when that does not fit.
    pub fn judge(&self, input: &[u8]) -> Option<CodeFacts> {
        let file = self.frame.with_cms(&self.cms(input)?)?;
        Some(check(&file, file.len(), &self.roots))
    }

    fn cms(&self, mut input: &[u8]) -> Option<Vec<u8>> {
        if input.len() > LIMIT {
            return None;
        }
        let mut parts: [&[u8]; PARTS] = std::array::from_fn(|n| self.parts[n].as_slice());
        while let [number, high, low, rest @ ..] = input {
            let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
            let (bytes, rest) = rest.split_at(len);
            parts[usize::from(*number) % PARTS] = bytes;
            input = rest;
        }
        let at = |part: Part| parts[part as usize];
        let issue = |head, tail, of: &Identity, issuer: &Identity| {
            certificate(at(head), &of.key, at(tail), &issuer.key)
        };
        let leaf = issue(Part::LeafHead, Part::LeafTail, &self.leaf, &self.issuer);
        let issuer = issue(Part::IssuerHead, Part::IssuerTail, &self.issuer, &self.root);
        let stamp = issue(Part::StampHead, Part::StampTail, &self.stamp, &self.stamper);
        let stamper = issue(
            Part::StamperHead,
            Part::StamperTail,
            &self.stamper,
            &self.root,
        );

        let over = match at(Part::Signed) {
            [] => der::element(0x31, at(Part::Attributes)),
            other => other.to_vec(),
        };
        let signature = self.leaf.key.sign(&over);

        let imprint = digest(SHA256, &signature);
        let info = replace(at(Part::Info), &IMPRINT, &imprint);
        let sha1 = digest(dsplug_fixtures::signature::SHA1, &signature);
        let info = replace(&info, &IMPRINT_SHA1, &sha1);
        let signed = replace(
            at(Part::InfoAttributes),
            &INFO_DIGEST,
            &digest(SHA256, &info),
        );
        let token = SignedData {
            content_type: TST_INFO,
            content: Some(&info),
            certificates: &[stamp, stamper].concat(),
            signer: at(Part::StampId),
            signed: &signed,
            signature: &self.stamp.key.sign(&der::element(0x31, &signed)),
            unsigned: &[],
            indefinite: false,
        };
        let unsigned = [
            cms::token_attribute(&token.build()).as_slice(),
            at(Part::Unsigned),
        ]
        .concat();
        let signed = SignedData {
            content_type: DATA,
            content: None,
            certificates: &[&leaf, &issuer, at(Part::Certificates)].concat(),
            signer: at(Part::Id),
            signed: at(Part::Attributes),
            signature: &signature,
            unsigned: &unsigned,
            indefinite: false,
        };
        Some(signed.build())
    }
}

impl Default for Resigned {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes with the first `from` in them made `to`, of the same length.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
    bytes
}
