//! What osqueryd and the extension are told of each other.

use std::path::PathBuf;
use std::time::Duration;

/// The name under which the extension registers.
pub const NAME: &str = "dsplug";

/// What osqueryd says on the command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The manager's socket, `--socket`.
    pub socket: PathBuf,
    /// How long to wait for that socket, `--timeout`.
    pub timeout: Duration,
    /// How often to look whether all is well, `--interval`.
    pub interval: Duration,
}
