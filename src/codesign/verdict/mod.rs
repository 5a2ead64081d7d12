//! The verdict: what is known of code, and what is wrong with it. Plain data, which all the others fill.

mod facts;
mod findings;
mod library;
mod problem;
mod slice;
mod system_libraries;

pub use facts::CodeFacts;
pub(in crate::codesign) use findings::{Findings, MAX_OF_A_CODE};
pub(crate) use library::{is_system, plain_above};
pub use problem::{Note, Place, Problem, ProblemCode, SignatureState, weakest};
pub use slice::{Anchor, CodeFlags, DirectoryFacts, EmbeddedFacts, SliceFacts, SpecialSlot, slot};
