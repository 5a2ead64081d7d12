//! A CMS SignedData (RFC 5652) with one signer: the form of a code signature's cryptographic part
//! and of a timestamp token.

use std::borrow::Cow;

use super::crypto::{self, Digest};
use super::oid;
use super::x509::Certificate;
use crate::codesign::ber::{self, Element, Reader};

/// Certificates in one CMS; real ones have three or four.
const MOST_CERTIFICATES: usize = 32;
/// Attributes of a signer, signed or not; real ones have half a dozen.
const MOST_ATTRIBUTES: usize = 64;
/// Bytes of a signature by a signer's own key, which whoever made the certificate chooses: an RSA key of 4,096 bits,
/// twice as many as Apple's have.
const MOST_SIGNATURE: usize = 512;
/// Values of an attribute.
const MOST_VALUES: usize = 64;

/// A parsed CMS.
#[derive(Debug)]
pub(crate) struct SignedData<'a> {
    /// What kind of content is signed.
    content_type: &'a [u8],
    /// The content, when it stands inside.
    pub(crate) content: Option<Cow<'a, [u8]>>,
    /// The certificates that came along, in any order.
    pub(crate) certificates: Vec<Certificate<'a>>,
    /// Who signed.
    pub(crate) signer: SignerInfo<'a>,
}

/// The one signer.
#[derive(Debug)]
pub(crate) struct SignerInfo<'a> {
    id: SignerId<'a>,
    digest: &'a [u8],
    /// The attributes that the signature is over; without any it is over the content itself.
    signed: Option<Attributes<'a>>,
    algorithm: &'a [u8],
    /// The signature: what a timestamp is over.
    pub(crate) signature: Cow<'a, [u8]>,
    /// The attributes that nothing protects.
    pub(crate) unsigned: Attributes<'a>,
}

#[derive(Debug)]
enum SignerId<'a> {
    IssuerAndSerial(&'a [u8], &'a [u8]),
    SubjectKeyId(Cow<'a, [u8]>),
}

/// A set of attributes.
#[derive(Debug, Default)]
pub(crate) struct Attributes<'a> {
    content: &'a [u8],
    list: Vec<(&'a [u8], Vec<Element<'a>>)>,
}

/// What is wrong with a CMS, in a line.
pub(crate) type Fault = &'static str;

impl<'a> SignedData<'a> {
    /// Parses a ContentInfo that holds a SignedData, and nothing behind it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut outer = Reader::new(bytes);
        let info = outer
            .expect(ber::SEQUENCE)
            .ok_or("the CMS is damaged or cut off")?;
        if !outer.is_empty() {
            return Err("bytes stand behind the CMS");
        }
        let mut info = info.reader();
        let kind = info.expect(ber::OID).ok_or("the CMS has no type")?;
        if kind.content != oid::SIGNED_DATA {
            return Err("the CMS is no SignedData");
        }
        let explicit = only(info, ber::context(0)).ok_or("the CMS is damaged")?;
        let data = only(explicit.reader(), ber::SEQUENCE).ok_or("the CMS is damaged")?;
        Self::parse_data(data.reader())
    }

    fn parse_data(mut data: Reader<'a>) -> Result<Self, Fault> {
        let version = data.expect(ber::INTEGER).ok_or("the CMS has no version")?;
        if !matches!(version.content, [1 | 3 | 4 | 5]) {
            return Err("the CMS has an unknown version");
        }
        let digests = data
            .expect(ber::SET)
            .ok_or("the CMS has no digest algorithms")?;
        let encapsulated = data.expect(ber::SEQUENCE).ok_or("the CMS has no content")?;
        let (content_type, content) =
            read_content(encapsulated).ok_or("the content of the CMS is damaged")?;
        let mut certificates = Vec::new();
        if let Some(set) = data.optional(ber::context(0)) {
            let mut set = set.reader();
            while let Some(element) = set.next() {
                let certificate =
                    Certificate::parse(element.raw).ok_or("a certificate in the CMS is damaged")?;
                if certificates.len() >= MOST_CERTIFICATES {
                    return Err("the CMS has too many certificates");
                }
                certificates.push(certificate);
            }
            if !set.is_empty() {
                return Err("the certificates in the CMS are damaged");
            }
        }
        // Revocation lists are not used.
        data.optional(ber::context(1));
        let signers = data.expect(ber::SET).ok_or("the CMS has no signers")?;
        if !data.is_empty() {
            return Err("the CMS goes on behind its signers");
        }
        let signer = only(signers.reader(), ber::SEQUENCE).ok_or("the CMS has not one signer")?;
        let signer = SignerInfo::parse(signer.reader())?;
        if !names_digest(digests, signer.digest) {
            return Err("the CMS does not announce its signer's digest algorithm");
        }
        Ok(Self {
            content_type,
            content,
            certificates,
            signer,
        })
    }

    /// The signer's certificate.
    pub(crate) fn leaf(&self) -> Option<&Certificate<'a>> {
        self.certificates.iter().find(|c| match &self.signer.id {
            SignerId::IssuerAndSerial(issuer, serial) => c.issuer == *issuer && c.serial == *serial,
            SignerId::SubjectKeyId(id) => c.subject_key_id() == Some(id),
        })
    }

    /// Verifies that the signer's key signed `content`, which is of that type: its digest among the
    /// signed attributes, or where there are none, as in what Apple signed in 2012, itself.
    ///
    /// Source: RFC 5652, 5.4, and `SecCmsSignerInfoVerifyWithPolicy`, `cmssiginfo.c` of Apple.
    pub(crate) fn verify(&self, content_type: &[u8], content: &[u8]) -> Result<(), Fault> {
        if self.content_type != content_type {
            return Err("the CMS is over another kind of content");
        }
        let signer = &self.signer;
        let leaf = self.leaf().ok_or("the signer's certificate is missing")?;
        let digest = Digest::of(signer.digest).ok_or("an unknown digest algorithm")?;
        if signer.signature.len() > MOST_SIGNATURE {
            return Err("the signer's key is larger than any that is verified with");
        }
        let by_the_leaf = |message: &[u8]| {
            let (algorithm, signature) = (signer.algorithm, &signer.signature);
            crypto::verify(&leaf.key, algorithm, digest, message, signature)
                .then_some(())
                .ok_or("the signature is not by the key of the signer's certificate")
        };
        let Some(signed) = &signer.signed else {
            // Only plain data may go without (RFC 5652, 5.3). Attributes that someone signed
            // elsewhere are a SET to its first byte; they must not pass for a content.
            if content_type != oid::DATA || content.first() == Some(&ber::SET) {
                return Err("the CMS signs no attributes");
            }
            return by_the_leaf(content);
        };
        let of_type = signed
            .single(oid::CONTENT_TYPE)?
            .ok_or("the content type is not signed")?;
        if of_type.tag != ber::OID || of_type.content != content_type {
            return Err("another content type is signed");
        }
        let signed_digest = signed
            .single(oid::MESSAGE_DIGEST)?
            .ok_or("the message digest is not signed")?;
        if signed_digest.tag != ber::OCTET_STRING || signed_digest.content != digest.digest(content)
        {
            return Err("the message digest is not that of the signed content");
        }
        by_the_leaf(&ber::set_of(signed.content))
    }

    /// The values of a signed attribute; none when it is not there.
    pub(crate) fn signed_attribute(&self, kind: &[u8]) -> Result<&[Element<'a>], Fault> {
        match &self.signer.signed {
            Some(signed) => signed.values(kind),
            None => Ok(&[]),
        }
    }
}

impl<'a> SignerInfo<'a> {
    fn parse(mut info: Reader<'a>) -> Result<Self, Fault> {
        let damaged = "the signer in the CMS is damaged";
        let version = info.expect(ber::INTEGER).ok_or(damaged)?.content;
        let id = info.next().ok_or(damaged)?;
        let (id, expected) = if id.tag == ber::SEQUENCE {
            let mut id = id.reader();
            let issuer = id.expect(ber::SEQUENCE).ok_or(damaged)?.raw;
            let serial = id.expect(ber::INTEGER).ok_or(damaged)?.content;
            (SignerId::IssuerAndSerial(issuer, serial), 1)
        } else {
            let id = id.tagged_octets(0).ok_or(damaged)?;
            (SignerId::SubjectKeyId(id), 3)
        };
        if version != [expected] {
            return Err("the signer in the CMS has another version than its form");
        }
        let digest = algorithm(info.expect(ber::SEQUENCE).ok_or(damaged)?).ok_or(damaged)?;
        let signed = info.optional(ber::context(0));
        let signed = signed.map(Attributes::parse).transpose()?;
        let algorithm = algorithm(info.expect(ber::SEQUENCE).ok_or(damaged)?).ok_or(damaged)?;
        let signature = info.next().and_then(Element::octets).ok_or(damaged)?;
        let unsigned = match info.optional(ber::context(1)) {
            Some(unsigned) => Attributes::parse(unsigned)?,
            None => Attributes::default(),
        };
        if !info.is_empty() {
            return Err(damaged);
        }
        Ok(Self {
            id,
            digest,
            signed,
            algorithm,
            signature,
            unsigned,
        })
    }
}

impl<'a> Attributes<'a> {
    fn parse(element: Element<'a>) -> Result<Self, Fault> {
        let damaged = "the attributes in the CMS are damaged";
        let mut reader = element.reader();
        let mut list: Vec<(&[u8], Vec<Element<'_>>)> = Vec::new();
        while !reader.is_empty() {
            let mut attribute = reader.expect(ber::SEQUENCE).ok_or(damaged)?.reader();
            let kind = attribute.expect(ber::OID).ok_or(damaged)?.content;
            let set = only(attribute, ber::SET).ok_or(damaged)?;
            let mut set = set.reader();
            let mut values = Vec::new();
            let too_many = "the CMS has too many attributes";
            while !set.is_empty() {
                if values.len() >= MOST_VALUES {
                    return Err(too_many);
                }
                values.push(set.next().ok_or(damaged)?);
            }
            if list.len() >= MOST_ATTRIBUTES {
                return Err(too_many);
            }
            list.push((kind, values));
        }
        Ok(Self {
            content: element.content,
            list,
        })
    }

    /// The values of an attribute, which stands there once at the most.
    pub(crate) fn values(&self, kind: &[u8]) -> Result<&[Element<'a>], Fault> {
        let mut found = self.list.iter().filter(|(oid, _)| *oid == kind);
        let values = found.next().map_or(&[][..], |(_, values)| values);
        match found.next() {
            None => Ok(values),
            Some(_) => Err("an attribute stands in the CMS twice"),
        }
    }

    /// The one value of an attribute.
    pub(crate) fn single(&self, kind: &[u8]) -> Result<Option<Element<'a>>, Fault> {
        match self.values(kind)? {
            [] => Ok(None),
            [value] => Ok(Some(*value)),
            _ => Err("an attribute in the CMS has several values"),
        }
    }
}

/// The element that is all that is left, when it has the tag.
fn only(mut reader: Reader<'_>, tag: u8) -> Option<Element<'_>> {
    reader.expect(tag).filter(|_| reader.is_empty())
}

/// The type of what is signed, and the content itself when it stands inside.
type Content<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

fn read_content(element: Element<'_>) -> Option<Content<'_>> {
    let mut reader = element.reader();
    let kind = reader.expect(ber::OID)?.content;
    if reader.is_empty() {
        return Some((kind, None));
    }
    let mut explicit = only(reader, ber::context(0))?.reader();
    let content = explicit.next()?.octets()?;
    explicit.is_empty().then_some((kind, Some(content)))
}

/// The object identifier of an AlgorithmIdentifier.
pub(crate) fn algorithm(element: Element<'_>) -> Option<&[u8]> {
    let sequence = Some(element).filter(|e| e.tag == ber::SEQUENCE)?;
    Some(sequence.reader().expect(ber::OID)?.content)
}

fn names_digest(set: Element<'_>, digest: &[u8]) -> bool {
    let mut reader = set.reader();
    let mut found = false;
    while let Some(element) = reader.next() {
        found |= algorithm(element) == Some(digest);
    }
    found
}

#[cfg(test)]
mod tests {
    use dsplug_fixtures::cms::{DATA, SignedData as Built, Signer, TST_INFO};
    use dsplug_fixtures::der;

    use super::*;

    /// Whoever has a signature over attributes has one over their encoding, and could take the
    /// attributes away and give that encoding as the content.
    #[test]
    fn only_data_goes_without_attributes_and_signed_attributes_are_no_data() {
        let signer = Signer::developer_id("Anyone", "TEAM123456");
        let attributes = signer.attributes(&[(2, &b"code".to_vec())]).concat();
        let encoded = der::element(ber::SET, &attributes);
        let verify = |kind: &str, oid: &[u8], content: &[u8]| {
            let cms = Built {
                content_type: kind,
                content: None,
                certificates: &signer.leaf.der,
                signer: &signer.leaf.issuer_and_serial(),
                signed: &[],
                signature: &signer.leaf.key.sign(content),
                unsigned: &[],
                indefinite: false,
            }
            .build();
            SignedData::parse(&cms).unwrap().verify(oid, content)
        };
        assert_eq!(verify(DATA, oid::DATA, b"code"), Ok(()));
        let none = Err("the CMS signs no attributes");
        assert_eq!(verify(DATA, oid::DATA, &encoded), none);
        assert_eq!(verify(TST_INFO, oid::TST_INFO, b"code"), none);
    }
}
