//! Who signed a slice: the CMS over its code directories, the chain, the team and the timestamp.

mod chain;
mod cms;
mod crypto;
mod oid;
mod roots;
mod timestamp;
mod x509;

use std::borrow::Cow;

use crate::codesign::ber;
use crate::codesign::hash::HashType;
use crate::codesign::signature::code_directory::CodeDirectory;
use crate::codesign::signature::superblob::Blob;
use crate::codesign::verdict::{
    Anchor, Note, Place, Problem, ProblemCode, SignatureState, SliceFacts,
};
use crate::order;
use crate::property_list::{self, Bounds};
use chain::Chain;
use cms::SignedData;
use crypto::Digest;

pub use roots::Roots;

/// Judges the signer of a slice; without `roots` nothing is verified, for which there is no time.
///
/// Ad-hoc code has no signer even where a CMS stands: nothing binds that to the code.
pub(crate) fn judge(
    slice: &mut SliceFacts,
    directories: &[CodeDirectory<'_>],
    cms: Option<Blob<'_>>,
    roots: Option<&Roots>,
) {
    let cms = cms.filter(|blob| blob.payload().map_or(true, |payload| !payload.is_empty()));
    let at = Place::Offset(cms.map_or(slice.offset, |blob| blob.bytes.place(0)));
    let mut judgement = Judgement {
        slice,
        at,
        directories,
    };
    let adhoc = judgement.slice.claim == SignatureState::Adhoc;
    let Some(cms) = cms else {
        if !adhoc {
            judgement.slice.anchor = Anchor::None;
            judgement.say(
                ProblemCode::Cms,
                "the code is not ad hoc, and nobody signed it",
            );
        }
        return;
    };
    let data = cms.payload().map(SignedData::parse);
    if let Ok(Ok(data)) = &data {
        judgement.slice.claimed_signer = data.leaf().map(|leaf| leaf.name()).unwrap_or_default();
    }
    if adhoc {
        judgement.note("the code is ad hoc; a signer's CMS stands there and counts for nothing");
        return;
    }
    judgement.slice.anchor = Anchor::Untrusted;
    match data {
        Err(problem) => judgement.slice.problems.push(problem),
        Ok(Ok(data)) => match roots {
            Some(roots) => judgement.judge(&data, roots),
            None => judgement.slice.problems.push(Problem::unreadable(
                ProblemCode::Limit,
                judgement.at.clone(),
                "who signed was not verified: the time of the scan for that is spent",
            )),
        },
        Ok(Err(fault)) => judgement.slice.problems.push(Problem::malformed(
            ProblemCode::Cms,
            judgement.at.clone(),
            fault,
        )),
    }
}

struct Judgement<'j, 'd> {
    slice: &'j mut SliceFacts,
    at: Place,
    directories: &'j [CodeDirectory<'d>],
}

impl Judgement<'_, '_> {
    fn judge(&mut self, cms: &SignedData<'_>, roots: &Roots) {
        let Some(primary) = self.directories.first() else {
            return;
        };
        if cms.content.is_some() {
            self.say(ProblemCode::Cms, "the CMS signs a content of its own");
            return;
        }
        if let Err(fault) = cms.verify(oid::DATA, primary.bytes) {
            self.say(ProblemCode::Cms, fault);
            return;
        }
        if let Err(fault) = self.judge_coverage(cms) {
            self.say(ProblemCode::CdhashAttribute, fault);
        }
        let Some(leaf) = cms.leaf() else {
            return;
        };
        let chain = match Chain::build(leaf, &cms.certificates, roots, oid::CODE_SIGNING) {
            Ok(chain) => chain,
            Err(fault) => {
                self.say(ProblemCode::Chain, fault);
                return;
            }
        };
        self.slice.authority = chain.names();
        self.slice.anchor = chain.anchor();
        if chain.anchor() == Anchor::Untrusted {
            self.note("the chain ends in the root, but the certificate is not for distribution");
        }
        self.slice.issued_to = chain.team();
        self.judge_team(&chain);
        self.judge_time(cms, &chain, roots);
    }

    /// The CMS is over the primary code directory alone. The others, and above all the one that
    /// decides, count only as far as the signed attributes list them; and what they list must be
    /// there, or someone took the better hash away.
    fn judge_coverage(&mut self, cms: &SignedData<'_>) -> Result<(), cms::Fault> {
        let cdhashes = listed_cdhashes(cms)?;
        let hashes = listed_hashes(cms)?;
        if let Some(listed) = &cdhashes {
            let mut here: Vec<_> = self
                .directories
                .iter()
                .map(|d| d.facts.cdhash.to_vec())
                .collect();
            let mut listed = listed.clone();
            order::sort(&mut here);
            order::sort(&mut listed);
            if here != listed {
                return Err("the code directories are not those whose cdhashes the signer listed");
            }
        }
        if let Some(listed) = &hashes {
            let mut here: Vec<_> = self.directories.iter().map(|d| full_hash(d)).collect();
            let mut listed = listed.clone();
            order::sort(&mut here);
            order::sort(&mut listed);
            if here != listed {
                return Err("the code directories are not those whose hashes the signer listed");
            }
        }
        let best_is_primary = self.slice.best == Some(0);
        if cdhashes.is_none() && hashes.is_none() && !best_is_primary {
            self.say(
                ProblemCode::DigestCoverage,
                "the signer did not sign the code directory that decides",
            );
        }
        Ok(())
    }

    fn judge_team(&mut self, chain: &Chain<'_>) {
        let team = self.slice.team_identifier();
        let issued_to = &self.slice.issued_to;
        if team.is_empty() || issued_to == team {
            return;
        }
        if chain.is_developers() {
            let detail = format!("the team is {team:?}, the certificate's {issued_to:?}");
            self.say(ProblemCode::TeamIdentifier, detail);
        } else {
            self.note("the team is not the one in the certificate: it counts for nothing");
        }
    }

    /// A certificate must have been valid when it signed. Only a secure timestamp tells when that
    /// was; without one Apple tolerates an expired certificate, and so it is only said.
    fn judge_time(&mut self, cms: &SignedData<'_>, chain: &Chain<'_>, roots: &Roots) {
        let validity = chain.validity();
        if validity.is_empty() {
            self.say(
                ProblemCode::Chain,
                "its certificates were never valid at the same time",
            );
        }
        let token = cms.signer.unsigned.single(oid::TIMESTAMP_TOKEN);
        match token {
            Ok(None) => self.note("no secure timestamp: the certificates' dates were not judged"),
            Ok(Some(token)) => match timestamp::verify(token.raw, &cms.signer.signature, roots) {
                Ok(time) if validity.contains(&time) => self.slice.signing_time = Some(time),
                Ok(_) => self.say(
                    ProblemCode::Timestamp,
                    "a certificate was not valid at the time of the timestamp",
                ),
                Err(fault) => self.say(ProblemCode::Timestamp, fault),
            },
            Err(fault) => self.say(ProblemCode::Timestamp, fault),
        }
    }

    fn say(&mut self, code: ProblemCode, detail: impl Into<Cow<'static, str>>) {
        let problem = Problem::broken(code, self.at.clone(), detail);
        self.slice.problems.push(problem);
    }

    fn note(&mut self, text: &'static str) {
        self.slice.notes.push(Note {
            place: self.at.clone(),
            text: text.into(),
        });
    }
}

/// The digest algorithm and the whole hash of a code directory, as attribute 9.2 lists them.
type FullHash = (Vec<u8>, Vec<u8>);

fn full_hash(directory: &CodeDirectory<'_>) -> FullHash {
    let (algorithm, digest) = match directory.facts.hash_type {
        HashType::Sha1 => (oid::SHA1, Digest::Sha1),
        HashType::Sha256 | HashType::Sha256Truncated => (oid::SHA256, Digest::Sha256),
        HashType::Sha384 => (oid::SHA384, Digest::Sha384),
    };
    (algorithm.to_vec(), digest.digest(directory.bytes))
}

/// What attribute 9.1 lists: a property list with 20 bytes of each code directory's hash.
fn listed_cdhashes(cms: &SignedData<'_>) -> Result<Option<Vec<Vec<u8>>>, cms::Fault> {
    let damaged = "the signed list of cdhashes is damaged";
    let value = match cms.signed_attribute(oid::CDHASHES)? {
        [] => return Ok(None),
        [value] => value.octets().ok_or(damaged)?,
        _ => return Err(damaged),
    };
    cdhashes_in(&value).map(Some).ok_or(damaged)
}

fn cdhashes_in(list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let list = property_list::parse(list, &Bounds::OF_SIGNATURE).ok()?;
    let hashes = list.as_dictionary()?.get("cdhashes")?.as_array()?.iter();
    hashes
        .map(|hash| hash.as_data().map(<[u8]>::to_vec))
        .collect()
}

/// What attribute 9.2 lists: digest algorithm and whole hash of each code directory.
fn listed_hashes(cms: &SignedData<'_>) -> Result<Option<Vec<FullHash>>, cms::Fault> {
    let damaged = "the signed list of hashes is damaged";
    let values = cms.signed_attribute(oid::CDHASHES_2)?;
    if values.is_empty() {
        return Ok(None);
    }
    values
        .iter()
        .map(|value| {
            let mut pair = value.reader();
            let algorithm = pair.expect(ber::OID)?.content.to_vec();
            let hash = pair.expect(ber::OCTET_STRING)?.content.to_vec();
            pair.is_empty().then_some((algorithm, hash))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or(damaged)
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever signs chooses how many there are.
    #[test]
    fn more_cdhashes_than_any_slice_has_are_damaged() {
        let of = |count: usize| {
            let array = "<data>AAAA</data>".repeat(count);
            let list =
                format!("<plist><dict><key>cdhashes</key><array>{array}</array></dict></plist>");
            cdhashes_in(list.as_bytes()).map(|hashes| hashes.len())
        };
        assert_eq!((of(9_000), of(20_000)), (Some(9_000), None));
    }
}
