//! The judgement of a whole bundle: each check and each way to break it, by its name.
//!
//! Where nothing else is said, what is expected is what `codesign --verify --deep --strict` does by
//! Apple's published sources; nobody ran it.

mod apple;
mod check;
mod detached;
mod hostile;
mod load;
mod rcodesign;
mod signed;
mod tampered;
mod ticket;
