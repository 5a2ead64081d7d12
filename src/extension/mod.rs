//! The face towards osquery, and the only module that knows it.
//!
//! Its tables are plug-ins of osquery-rust-ng, by that crate's trait and types. Its server is not
//! used: it starts ten threads at once and keeps them, wakes twice a second, gives each
//! open connection a thread, takes lengths as they come, ignores a registration that was refused, waits
//! without limit for a silent manager, and never learns that it was forgotten. In its place stand:
//!
//! * `session`: it waits for osquery's socket, clears a dead entry of our name or leaves to a living
//!   one, registers, and afterwards finds out whether osquery still knows us: osquery's own
//!   pings say so, and where none came within an interval, a look.
//! * `front` at the socket that osquery calls: whole, checked requests are answered, each connection
//!   in a thread of its own that ends with it.
//! * `plugin` in its tables: a panic, or a scan that failed, is a status that fails the query.
//! * `shared` in front of the scan: nobody waits longer for it than it was given.
//! * `life` and [`run`] end the process: on a signal, with the parent, when asked to, on two misses and
//!   with a scan that does not come back, so that osqueryd starts it anew. Nothing that hangs can
//!   keep it alive, for the main thread does nothing but wait for the end.
//!
//! Nothing here wakes by the clock but the session, once an interval.

mod front;
mod life;
pub mod manager;
mod plugin;
mod session;
mod shared;
mod socket;
mod source;
mod stderr;
mod wire;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use life::Life;
use session::{Session, Traces};
pub use shared::Shared;
pub use source::{Row, Source, TableSpec};
pub use stderr::{Stderr, last_line};

/// The name under which the extension registers.
pub const NAME: &str = "dsplug";

/// How long a signal waits for the orderly end.
const ORDERLY: Duration = Duration::from_millis(1500);

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
enum End {
    /// A signal.
    Signal(i32),
    /// osquery's shutdown call.
    Asked,
    /// Everything else.
    Failed(Error),
}

/// Runs the extension until something ends it. The caller's process must exit
/// at once with the status returned: threads may still be in a scan.
///
/// The status is 0 after a signal or osquery's shutdown call, otherwise 1 with
/// one line on standard error.
pub fn run(options: Options, source: Arc<dyn Source>) -> ExitCode {
    // The usual report of a panic waits for standard error, which may be full.
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    let socket = options.socket.clone();
    let traces = Arc::new(Traces::default());
    let end = Life::begin().and_then(|(life, ends)| {
        let session = Session {
            options,
            source,
            ends,
            traces: Arc::clone(&traces),
        };
        thread::Builder::new()
            .name("session".to_owned())
            .spawn(move || session.run())?;
        Ok(life.wait())
    });
    let end = end.unwrap_or_else(|error| End::Failed(Error::Thread(error)));
    match end {
        End::Signal(number) => {
            log::info!("ends on signal {number}");
            end_at_once_after(ORDERLY);
            traces.remove(Some(&socket));
            ExitCode::SUCCESS
        }
        End::Asked => {
            log::info!("osquery asked to end");
            traces.remove(None);
            ExitCode::SUCCESS
        }
        End::Failed(error) => {
            traces.remove(Some(&socket));
            stderr::last_line(format!("{NAME}: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Ends the process after a time, whatever it does then.
fn end_at_once_after(time: Duration) {
    // Without another thread the orderly end has no limit but its own.
    let _ = thread::Builder::new().spawn(move || {
        thread::sleep(time);
        std::process::exit(1);
    });
}
