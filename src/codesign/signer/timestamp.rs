//! The secure timestamp (RFC 3161): when the signature existed, told by Apple's own authority.

use super::chain::Chain;
use super::cms::{self, SignedData};
use super::crypto::Digest;
use super::oid;
use super::roots::Roots;
use crate::codesign::ber::{self, Reader};

/// What a TSTInfo says.
struct TstInfo<'a> {
    digest: &'a [u8],
    imprint: &'a [u8],
    time: i64,
}

/// The time in seconds of Unix time that a token gives to the signature, when all of the token holds.
pub(crate) fn verify(token: &[u8], signature: &[u8], roots: &Roots) -> Result<i64, &'static str> {
    let token = SignedData::parse(token)?;
    let content = token
        .content
        .as_deref()
        .ok_or("the timestamp token has no content")?;
    let info = TstInfo::parse(content).ok_or("the timestamp token is damaged")?;
    let digest = Digest::of(info.digest).ok_or("the timestamp has an unknown digest algorithm")?;
    if info.imprint != digest.digest(signature) {
        return Err("the timestamp is over another signature");
    }
    token.verify(oid::TST_INFO, content)?;
    let leaf = token
        .leaf()
        .ok_or("the timestamp's certificate is missing")?;
    let chain = Chain::build(leaf, &token.certificates, roots, oid::TIME_STAMPING)?;
    if chain.validity().contains(&info.time) {
        Ok(info.time)
    } else {
        Err("a certificate of the timestamp was not valid at its time")
    }
}

impl<'a> TstInfo<'a> {
    fn parse(content: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(content);
        let mut info = outer.expect(ber::SEQUENCE)?.reader();
        if !outer.is_empty() || info.expect(ber::INTEGER)?.content != [1] {
            return None;
        }
        info.expect(ber::OID)?;
        let mut imprint = info.expect(ber::SEQUENCE)?.reader();
        let digest = cms::algorithm(imprint.expect(ber::SEQUENCE)?)?;
        let imprint = imprint.expect(ber::OCTET_STRING)?.content;
        info.expect(ber::INTEGER)?;
        let time = ber::time(info.expect(ber::GENERALIZED_TIME)?)?;
        Some(Self {
            digest,
            imprint,
            time,
        })
    }
}
