//! What ends the extension, and why it could not go on.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::manager;
use super::options::NAME;

/// Why the extension could not go on.
#[derive(Debug)]
pub enum Error {
    /// Nobody answered at the manager's socket in this time.
    NoManager(Duration, manager::Error),
    /// A call to osquery failed.
    Manager(manager::Error),
    /// A living extension has our name, under this identifier.
    Taken(i64),
    /// osquery did not take the registration, for the reason it gave.
    Refused(String),
    /// osquery no longer knows us under this identifier.
    Forgotten(i64),
    /// One of our own sockets could not be made or used.
    Socket(PathBuf, io::Error),
    /// No thread could be started.
    Thread(io::Error),
    /// What makes the rows does not come back.
    Hung(String),
    /// The process that started us has gone.
    Orphaned,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoManager(waited, error) => write!(
                f,
                "no osquery answers after {} s: {error}; is osqueryd running, with this --extensions_socket?",
                waited.as_secs_f32()
            ),
            Self::Manager(error) => write!(f, "lost osquery: {error}"),
            Self::Taken(uuid) => write!(
                f,
                "osquery already has an extension {NAME} that answers (identifier {uuid}); stop that one first"
            ),
            Self::Refused(message) => write!(f, "osquery refused the registration: {message}"),
            Self::Forgotten(uuid) => {
                write!(
                    f,
                    "osquery no longer knows this extension (identifier {uuid})"
                )
            }
            Self::Socket(path, error) => write!(f, "the socket {}: {error}", path.display()),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Self::Hung(why) => write!(f, "{why}; osqueryd starts the extension anew"),
            Self::Orphaned => write!(f, "the process that started this extension has ended"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoManager(_, error) | Self::Manager(error) => Some(error),
            Self::Socket(_, error) | Self::Thread(error) => Some(error),
            Self::Taken(_)
            | Self::Refused(_)
            | Self::Forgotten(_)
            | Self::Hung(_)
            | Self::Orphaned => None,
        }
    }
}

/// What ends the extension.
pub(super) enum End {
    /// A signal.
    Signal(i32),
    /// osquery's shutdown call.
    Asked,
    /// Everything else.
    Failed(Error),
}
