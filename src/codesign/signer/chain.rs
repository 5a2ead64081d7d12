//! The chain from a signer's certificate to a root, and what kind of signer it makes.

use std::ops::RangeInclusive;

use super::oid;
use super::roots::Roots;
use super::x509::Certificate;
use crate::codesign::verdict::Anchor;

/// Certificates in a chain, leaf and root included; Apple's have three.
const MOST_LENGTH: usize = 6;
/// Signatures that are verified in search of a chain.
const MOST_VERIFICATIONS: u32 = 16;

/// A chain whose every signature holds, from the leaf to one of the roots.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    certificates: Vec<Certificate<'a>>,
}

impl<'a> Chain<'a> {
    /// Builds the chain of `leaf`, whose key must be for that purpose, from the certificates that
    /// came along and the roots.
    ///
    /// A root that came along is not believed: a chain ends in one of `roots`, known by all
    /// its bytes.
    pub(crate) fn build(
        leaf: &Certificate<'a>,
        others: &[Certificate<'a>],
        roots: &'a Roots,
        purpose: &[u8],
    ) -> Result<Self, &'static str> {
        if !leaf.is_for(purpose) || !leaf.may_sign() {
            return Err("the signer's certificate is not for this purpose");
        }
        let roots: Vec<_> = roots
            .certificates()
            .iter()
            .filter_map(|der| Certificate::parse(der))
            .collect();
        let path = path_to(leaf, others, &roots)?;
        if !path.iter().all(Certificate::criticals_are_known) {
            return Err("a certificate has a critical extension that is not known");
        }
        Ok(Self { certificates: path })
    }

    /// Names from leaf to root.
    pub(crate) fn names(&self) -> Vec<String> {
        self.certificates.iter().map(Certificate::name).collect()
    }

    /// The seconds of Unix time in which all its certificates were valid, which may be none.
    pub(crate) fn validity(&self) -> RangeInclusive<i64> {
        let starts = self.certificates.iter().map(|c| *c.validity.start());
        let ends = self.certificates.iter().map(|c| *c.validity.end());
        starts.max().unwrap_or(i64::MAX)..=ends.min().unwrap_or(i64::MIN)
    }

    /// What kind of signer it makes.
    ///
    /// * Apple's own code: the intermediate below the root is the one that Apple's requirement
    ///   `anchor apple` names (`Requirement::Interpreter::appleSigned` of `reqinterp.cpp`). Its
    ///   name is all that tells: the certificate has no extension of Apple's arc, unlike Apple's
    ///   other authorities, and the leaf's, 1.2.840.113635.100.6.22, is not asked for.
    /// * Developer ID: the marks in leaf and intermediate of the requirement that `StaticCode.cpp`
    ///   calls `developerID`.
    /// * App Store: the mark of the store, or of TestFlight, in the leaf.
    ///
    /// Apple issues other certificates, such as Apple Development's, to whoever has an account,
    /// and macOS does not take such code as distributed: these chains are
    /// [`Anchor::Untrusted`] though they hold.
    pub(crate) fn anchor(&self) -> Anchor {
        let [leaf, issuer, ..] = self.certificates.as_slice() else {
            return Anchor::Untrusted;
        };
        let below_root = self.certificates.iter().rev().nth(1);
        let is_apples = below_root.is_some_and(|c| {
            c.may_issue(0)
                && c.subject_part(oid::COMMON_NAME).as_deref()
                    == Some("Apple Code Signing Certification Authority")
                && c.subject_part(oid::ORGANIZATION).as_deref() == Some("Apple Inc.")
        });
        if leaf.has(oid::DEVELOPER_ID) && issuer.has(oid::DEVELOPER_ID_AUTHORITY) {
            Anchor::DeveloperId
        } else if leaf.has(oid::MAC_APP_STORE) || leaf.has(oid::TESTFLIGHT) {
            Anchor::AppStore
        } else if is_apples {
            Anchor::Apple
        } else {
            Anchor::Untrusted
        }
    }

    /// The team that the leaf was issued to: its organizational unit; `""` without one.
    pub(crate) fn team(&self) -> String {
        let leaf = self.certificates.first();
        leaf.and_then(|leaf| leaf.subject_part(oid::ORGANIZATIONAL_UNIT))
            .unwrap_or_default()
    }

    /// True when the leaf is of a kind whose team a code directory must repeat
    /// (`SecStaticCode::isAppleDeveloperCert`).
    pub(crate) fn is_developers(&self) -> bool {
        let kinds = [
            oid::DEVELOPER_ID,
            oid::APPLE_DEVELOPMENT,
            oid::MAC_DEVELOPMENT,
            oid::MAC_SUBMISSION,
            oid::IPHONE_DISTRIBUTION,
        ];
        let leaf = self.certificates.first();
        leaf.is_some_and(|leaf| kinds.iter().any(|kind| leaf.has(kind)))
    }
}

/// The certificates from `leaf` to a root.
///
/// It is looked for from the roots downwards, so that nothing but a key that leads to one of them verifies
/// anything: whoever made the others would choose keys with which that takes long.
fn path_to<'a>(
    leaf: &Certificate<'a>,
    others: &[Certificate<'a>],
    roots: &[Certificate<'a>],
) -> Result<Vec<Certificate<'a>>, &'static str> {
    if roots.iter().any(|root| root.raw == leaf.raw) {
        return Ok(vec![leaf.clone()]);
    }
    // Each with the one that issued it.
    let mut known: Vec<(&Certificate<'a>, Option<usize>)> =
        roots.iter().map(|root| (root, None)).collect();
    let mut verifications = 0_u32;
    let mut at = 0_usize;
    while let Some((issuer, _)) = known.get(at).copied() {
        let above = path_above(&known, at);
        at = at.saturating_add(1);
        let below: Vec<_> = std::iter::once(leaf).chain(others).collect();
        for certificate in below {
            let is_leaf = certificate.raw == leaf.raw;
            if certificate.issuer != issuer.subject
                || !issuer.may_issue(0)
                || known.iter().any(|(known, _)| known.raw == certificate.raw)
                || above.len() >= MOST_LENGTH
                || is_leaf && !may_issue_in_turn(&above)
            {
                continue;
            }
            if verifications >= MOST_VERIFICATIONS {
                return Err("no chain to one of the roots was found within the limits");
            }
            verifications = verifications.saturating_add(1);
            if !certificate.is_signed_by(issuer) {
                continue;
            }
            if is_leaf {
                let above = above.into_iter().cloned();
                return Ok(std::iter::once(leaf.clone()).chain(above).collect());
            }
            known.push((certificate, Some(at.saturating_sub(1))));
        }
    }
    Err("the certificates do not lead to one of the roots")
}

/// One that is known, and what issued it, up to the root.
fn path_above<'k, 'a>(
    known: &[(&'k Certificate<'a>, Option<usize>)],
    at: usize,
) -> Vec<&'k Certificate<'a>> {
    let mut path = Vec::new();
    let mut next = Some(at);
    while let Some((certificate, issuer)) = next.and_then(|at| known.get(at)) {
        path.push(*certificate);
        next = *issuer;
    }
    path
}

/// True when each may have as many authorities below it as it has, the lowest first.
fn may_issue_in_turn(path: &[&Certificate<'_>]) -> bool {
    let mut below = path.iter().enumerate();
    below.all(|(below, issuer)| issuer.may_issue(crate::codesign::bytes::count(below)))
}
