//! What a difference is.

use super::side::Thing;
use crate::meta::Kind;

/// What a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Only PATH has it.
    Added,
    /// Only OTHER has it.
    Missing,
    /// Both have it, with other content, another resource fork, another link or of another kind.
    Altered,
    /// Its code is the same, its signature is not; or it is a part of the bundle's seal.
    Resigned,
    /// Both have it, with other permission bits.
    Mode,
    /// Both have it, and it belongs to another.
    Owner,
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 6] = [
        Self::Added,
        Self::Missing,
        Self::Altered,
        Self::Resigned,
        Self::Mode,
        Self::Owner,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Resigned => "re-signed",
            Self::Mode => "mode",
            Self::Owner => "owner",
        }
    }

    /// How what stands at a path on one side differs from what stands there on the other, who may do what with it apart.
    pub fn of(path: &[u8], one: Option<&Thing>, other: Option<&Thing>) -> Option<Self> {
        match (one, other) {
            (Some(_), None) => Some(Self::Added),
            (None, Some(_)) => Some(Self::Missing),
            (None, None) => None,
            (Some(a), Some(b)) if a.kind.may_be(b.kind) && a.sha256 == b.sha256 => {
                (a.fork != b.fork).then_some(Self::Altered)
            }
            (Some(a), Some(b)) => {
                let code = |t: &Thing| t.code.as_ref().map(|c| c.unsigned);
                let is_code = code(a).is_some() && code(a) == code(b);
                // Whoever calls code so alters code all the same.
                let is_seal = is_of_seal(path) && !a.is_macho && !b.is_macho;
                let both = a.kind == Kind::File && b.kind == Kind::File;
                Some(if both && a.fork == b.fork && (is_code || is_seal) {
                    Self::Resigned
                } else {
                    Self::Altered
                })
            }
        }
    }
}

/// True for the path of what the signature of a bundle consists of.
fn is_of_seal(path: &[u8]) -> bool {
    let mut names = path.rsplit(|c| *c == b'/');
    let name = names.next().unwrap_or_default();
    let is_part = matches!(
        name,
        b"CodeResources" | b"CodeSignature" | b"CodeEntitlements"
    ) || name.starts_with(b"CodeDirectory")
        || name.starts_with(b"CodeRequirements");
    is_part && names.next() == Some(b"_CodeSignature")
}
