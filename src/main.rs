//! The one binary: a command for people, and the extension that osqueryd starts.

use std::process::ExitCode;

fn main() -> ExitCode {
    dsplug::cli::run(std::env::args_os())
}
