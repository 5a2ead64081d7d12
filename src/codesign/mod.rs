//! Code signatures: from bytes to facts and problems, without any I/O.

mod architecture;
pub mod bundle;
mod bytes;
pub mod check;
mod code_directory;
pub mod facts;
mod fat;
pub mod hash;
mod mach_o;
mod pages;
pub mod roots;
pub mod seal;
mod signature;
mod superblob;
pub mod view;

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
