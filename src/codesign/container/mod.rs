//! From the container to the code: the slices of a file, and where each has its code and its signature.

pub(super) mod architecture;
pub(super) mod fat;
mod linkedit;
pub(super) mod mach_o;
mod sections;
pub(super) mod unsigned;
