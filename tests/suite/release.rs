//! The tools that make a release, the profiles, the workflows and the scripts: what can be checked of
//! them without a Mac and without building the release itself.
//!
//! The Mach-O files come from the fixtures, which share no code with the tools; signatures that the
//! tools make are judged by this crate, which shares none either.

mod archive;
mod package;
mod profiles;
mod program;
mod promises;
mod scripts;
mod signing;
