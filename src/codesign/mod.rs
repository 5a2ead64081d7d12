//! Code signatures: from bytes to facts and problems, without any I/O.

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
mod ere;
pub mod facts;
mod fat;
mod findings;
pub mod hash;
mod judge;
mod layout;
mod mach_o;
mod oid;
mod pages;
mod resources;
pub mod roots;
mod rules;
mod seal;
mod signature;
mod signer;
mod superblob;
mod timestamp;
mod view;
mod x509;

pub use bundle::{BundleSignature, CodeVerdict, SealLimits, Sealed, judge};
pub use check::{FileCheck, Limits, is_macho};
pub use facts::{
    Anchor, CodeFacts, CodeFlags, DirectoryFacts, EmbeddedFacts, Note, Place, Problem, ProblemCode,
    SignatureState, SliceFacts, SpecialSlot, slot,
};
pub use hash::{HashType, Hasher};
pub use roots::Roots;
pub use seal::sha1_paths;
pub use view::{BundleEntry, BundleView, EntryKind, MainExecutable, wants_bytes};
