//! One entry of a candidate: what the file system says of it, and what it holds.

use std::sync::Arc;

use super::attributes::Attributes;
use super::cpus::Cpus;
use super::trouble::Trouble;
use crate::codesign::CodeFacts;
use crate::limits;
use crate::meta::Meta;

/// One entry of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the bundle, without a leading `./`; empty for a candidate that is a file.
    pub path: Box<[u8]>,
    /// What the file system says of it.
    pub meta: Meta,
    /// The text of a symlink.
    pub link: Option<Box<[u8]>>,
    /// What it holds.
    pub content: Content,
    /// Its extended attributes, where they were read.
    pub attributes: Option<Arc<Attributes>>,
}

impl Entry {
    /// For how many entries it counts.
    pub(super) fn weight(&self) -> usize {
        let link = self.link.as_ref().map_or(0, |link| link.len());
        limits::weight(self.path.len().saturating_add(link))
    }

    /// True when it has a resource fork.
    pub(crate) fn has_fork(&self) -> bool {
        self.attributes.as_ref().is_some_and(|a| a.resource_fork)
    }

    /// True for a link that may lead out of where it stands.
    pub(super) fn may_lead_out(&self) -> bool {
        self.link.as_deref().is_some_and(may_lead_out)
    }

    /// The one entry of what is no directory.
    pub(super) fn itself(meta: Meta) -> Self {
        Self {
            path: Box::default(),
            meta,
            link: None,
            content: Content::Unread,
            attributes: None,
        }
    }
}

/// True for the text of a link that may lead out. One that stays below its own directory does so only by way
/// of another link, which is looked at by itself.
pub(super) fn may_lead_out(target: &[u8]) -> bool {
    target.starts_with(b"/") || target.split(|b| *b == b'/').any(|name| name == b"..")
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Not read, or nothing that can be.
    Unread,
    /// It could not be read.
    Failed(Arc<Trouble>),
    /// Read from its first byte to its last.
    Read {
        /// SHA-256 of it.
        sha256: [u8; 32],
        /// SHA-1 of it, for resource seals that know no better; only where the seal may need it.
        sha1: Option<Box<[u8; 20]>>,
        /// The CPUs that the loader would find in it.
        cpus: Cpus,
        /// The Mach-O file's slices and signatures, when it is one.
        code: Option<Arc<CodeFacts>>,
    },
}

impl Content {
    /// SHA-256 of the content.
    pub fn sha256(&self) -> Option<&[u8; 32]> {
        match self {
            Self::Read { sha256, .. } => Some(sha256),
            _ => None,
        }
    }

    /// SHA-1 of the content.
    pub fn sha1(&self) -> Option<&[u8; 20]> {
        match self {
            Self::Read { sha1, .. } => sha1.as_deref(),
            _ => None,
        }
    }

    /// The CPUs that the loader would find in it.
    pub fn cpus(&self) -> Cpus {
        match self {
            Self::Read { cpus, .. } => *cpus,
            _ => Cpus::None,
        }
    }

    /// What is known of it as code, to be held by another as well.
    pub(super) fn shared_code(&self) -> Option<&Arc<CodeFacts>> {
        match self {
            Self::Read { code, .. } => code.as_ref(),
            _ => None,
        }
    }

    /// What is known of it as code.
    pub fn code(&self) -> Option<&CodeFacts> {
        match self {
            Self::Read { code, .. } => code.as_deref(),
            _ => None,
        }
    }
}
