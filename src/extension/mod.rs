//! The face towards osquery, and the only module that knows it.
//!
//! The extension is built on osquery-rust-ng: its plug-in trait, its server,
//! which encodes the routes, dispatches calls and writes the answers. Around
//! that server stands what it lacks for years of unattended work, so that it
//! deals with nobody but us:
//!
//! * `session` in the manager's place: it waits for osquery's socket, clears
//!   a dead entry of our name or leaves to a living one, registers with our own
//!   version, and afterwards looks every interval whether osquery still knows
//!   us. The server ignores a registration that was refused, does not retry,
//!   waits without limit for a silent manager, and never learns that it was
//!   forgotten.
//! * `front` at the socket that osquery calls: it lets only whole, checked
//!   requests through. The server's ten threads would each serve one open
//!   connection, and lengths are taken as they come.
//! * `plugin` in its tables: a panic, or a scan that failed, is a status that
//!   fails the query, and one thread makes all rows.
//! * `shared` in front of the scan: nobody waits longer for it than it was given.
//! * [`run`] ends the process: on a signal, with the parent, when asked to, on two misses and
//!   with a scan that does not come back, so that osqueryd starts it anew. Nothing that hangs can
//!   keep it alive, for the main thread does nothing but wait for the end.

mod front;
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
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use session::{Session, Traces};
pub use shared::Shared;
pub use source::{Row, Source, TableSpec};
pub use stderr::{Stderr, last_line};

/// The name under which the extension registers.
pub const NAME: &str = "dsplug";

/// How often the parent is looked at.
const PARENT: Duration = Duration::from_millis(500);

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
    /// The server of osquery-rust-ng ended.
    Server(Option<String>),
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
            Self::Server(Some(error)) => write!(f, "the extension's server failed: {error}"),
            Self::Server(None) => write!(f, "the extension's server ended"),
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
            | Self::Server(_)
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
    let (ends, end) = channel();
    let session = Session {
        options,
        source,
        ends: ends.clone(),
        traces: Arc::clone(&traces),
    };
    let end = match begin(session, &ends) {
        Ok(()) => end.recv().unwrap_or(End::Failed(Error::Server(None))),
        Err(error) => End::Failed(Error::Thread(error)),
    };
    match end {
        End::Signal(number) => {
            log::info!("ends on signal {number}");
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

/// Starts the threads of which one will send the end.
fn begin(session: Session, ends: &Sender<End>) -> io::Result<()> {
    // An error from `send` means that the end has begun already.
    let signalled = ends.clone();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            if let Some(number) = signals.forever().next() {
                let _ = signalled.send(End::Signal(number));
                thread::sleep(ORDERLY);
                std::process::exit(1);
            }
        })?;
    let orphaned = ends.clone();
    let parent = rustix::process::getppid();
    // Started by launchd itself, there is no parent to lose.
    if parent.is_some_and(|parent| !parent.is_init()) {
        thread::Builder::new()
            .name("parent".to_owned())
            .spawn(move || {
                while rustix::process::getppid() == parent {
                    thread::sleep(PARENT);
                }
                let _ = orphaned.send(End::Failed(Error::Orphaned));
            })?;
    }
    thread::Builder::new()
        .name("session".to_owned())
        .spawn(move || session.run())?;
    Ok(())
}
