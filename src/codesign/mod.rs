//! Code signatures: from bytes to facts and problems, without any I/O.
//!
//! A Mach-O file is checked by [`FileCheck`], which gives [`CodeFacts`]; a bundle is judged by
//! [`judge`](fn@judge) from what its files say; [`InMemory`] does all of it for a bundle whose
//! bytes are at hand. The rooms, each knowing only those above it:
//!
//! - here: `bytes`, which alone computes offsets, `ber`, a reader of encodings, and `hash`;
//! - `verdict`: facts, findings and problems, the plain data that comes of all this;
//! - `container`: from the file to its code: universal files, Mach-O, architectures;
//! - `signature`: its own parts: superblob, code directory, pages, entitlements;
//! - `signer`: who signed: object identifiers, X.509, CMS, chain, roots, timestamp;
//! - here: `slice` holds the parts of one signature against each other, `check` does so for a file;
//! - `bundle`: what stands in it, its layout, rules and their expressions, seal, and what is sealed;
//! - here: `in_memory` puts the two together for who has no disk.
//!
//! Nothing here knows of revocation or notarization: both need Apple's servers, and are unknown.

mod ber;
pub mod bundle;
mod bytes;
mod check;
mod container;
mod hash;
mod in_memory;
mod signature;
mod signer;
mod slice;

mod verdict;

pub use bundle::{
    Automata, BundleEntry, BundleSignature, BundleView, CodeVerdict, EntryKind, MainExecutable,
    SealLimits, Sealed, judge, sha1_entries, wants_bytes,
};
pub use check::{FileCheck, Limits, is_macho};
pub(crate) use container::mach_o::MH_EXECUTE;
pub use container::unsigned::unsigned_digest;
pub use hash::{HashType, Hasher};
pub use in_memory::{InMemory, check_bytes};
pub use signer::Roots;
pub use verdict::{
    Anchor, CodeFacts, CodeFlags, DirectoryFacts, EmbeddedFacts, Note, Place, Problem, ProblemCode,
    SignatureState, SliceFacts, SpecialSlot, slot,
};
pub(crate) use verdict::{is_system, plain_above};
