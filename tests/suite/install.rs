//! The installer and the uninstaller, run under a temporary DESTDIR, with shims for
//! the commands that only macOS has: each writes down how it was called.
//!
//! What a tree must look like is written out here or was read before the scripts
//! ran; nothing is asked of the scripts themselves.

mod agents;
mod contents;
mod interrupted;
mod mac;
mod refused;
mod volume;
