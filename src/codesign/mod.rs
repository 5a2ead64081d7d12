//! Code signatures: from bytes to facts and problems, without any I/O.
//!
//! A Mach-O file is checked by [`FileCheck`], which gives [`CodeFacts`]; from the outside in:
//! `fat`, `mach_o`, `superblob`, `code_directory` and `pages` hold the code to its hashes, `signer`
//! with `cms`, `chain` and `timestamp` says who signed these. `bytes` alone computes offsets.
//! A bundle is judged by [`judge`](fn@judge) from what its files say; [`InMemory`] does all of it for
//! a bundle whose bytes are at hand.
//!
//! Nothing here knows of revocation or notarization: both need Apple's servers, and are unknown.

mod architecture;
mod ber;
pub mod bundle;
mod bytes;
mod chain;
pub mod check;
mod cms;
mod code_directory;
mod crypto;
mod entitlements;
pub mod ere;
pub mod facts;
mod fat;
mod findings;
pub mod hash;
mod in_memory;
mod judge;
mod layout;
mod mach_o;
mod oid;
mod pages;
pub mod problem;
mod resources;
pub mod roots;
mod rules;
mod seal;
mod signature;
mod signer;
mod slots;
mod superblob;
mod ticket;
mod timestamp;
mod unsigned;
mod view;
mod x509;

pub use bundle::{BundleSignature, CodeVerdict, SealLimits, Sealed, judge};
pub use check::{FileCheck, Limits, is_macho};
pub use facts::{
    Anchor, CodeFacts, CodeFlags, DirectoryFacts, EmbeddedFacts, Note, Place, Problem, ProblemCode,
    SignatureState, SliceFacts, SpecialSlot, slot,
};
pub use hash::{HashType, Hasher};
pub use in_memory::{InMemory, check_bytes};
pub use roots::Roots;
pub use seal::sha1_paths;
pub use unsigned::unsigned_digest;
pub use view::{BundleEntry, BundleView, EntryKind, MainExecutable, wants_bytes};
