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
        let mut search = Search {
            others,
            roots: &roots,
            verifications: 0,
        };
        let mut path = vec![leaf.clone()];
        if !search.extend(&mut path) {
            return Err(if search.verifications >= MOST_VERIFICATIONS {
                "no chain to one of the roots was found within the limits"
            } else {
                "the certificates do not lead to one of the roots"
            });
        }
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

struct Search<'s, 'a> {
    others: &'s [Certificate<'a>],
    roots: &'s [Certificate<'a>],
    verifications: u32,
}

impl<'a> Search<'_, 'a> {
    /// Extends the path to a root; false, with the path as it was, when there is none.
    fn extend(&mut self, path: &mut Vec<Certificate<'a>>) -> bool {
        let Some(last) = path.last().cloned() else {
            return false;
        };
        if self.roots.iter().any(|root| root.raw == last.raw) {
            return true;
        }
        if path.len() >= MOST_LENGTH {
            return false;
        }
        let below = crate::codesign::bytes::count(path.len().saturating_sub(1));
        let candidates: Vec<_> = self.roots.iter().chain(self.others).cloned().collect();
        for issuer in candidates {
            let useful = issuer.subject == last.issuer
                && issuer.may_issue(below)
                && path.iter().all(|c| c.raw != issuer.raw);
            if !useful || self.verifications >= MOST_VERIFICATIONS {
                continue;
            }
            self.verifications = self.verifications.saturating_add(1);
            if last.is_signed_by(&issuer) {
                path.push(issuer);
                if self.extend(path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
}
