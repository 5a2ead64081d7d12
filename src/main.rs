//! The one binary: a command for people, and the extension that osqueryd starts.

use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are asked for. launchd gives 256, of which the watch alone takes 96; a scan needs a
/// few for each level of a bundle.
const DESCRIPTORS: u64 = 2_048;

fn main() -> ExitCode {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        // Without them what is short of one says so.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    dsplug::cli::run(std::env::args_os())
}
