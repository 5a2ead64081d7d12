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
//! * `front` at the socket that osquery calls, `waiting` for what comes: it answers the `pings` itself; a `call` is read whole and
//!   checked, and answered in a thread of its own until the `connection` is quiet. One such thread waits
//!   for the next call, unless it made many rows. `answers` are made one at a time; they wait for who reads them, and
//!   no other waits for him. Of those that are `answered` osquery's own, which the `peer`'s process tells, are before all
//!   others.
//! * `plugin` in its tables: a panic, or a scan that failed, is a status that fails the query; `rows` has
//!   what they answer as the wire carries it.
//! * `shared` in front of the scan: nobody waits longer for it than it was given.
//! * `life` and [`run`] end the process: on a signal, with the parent, when asked to, on two misses and
//!   with a scan that does not come back, so that osqueryd starts it anew. Nothing that hangs can
//!   keep it alive, for the main thread does nothing but wait for the end.
//!
//! Nothing here wakes by the clock but the session, for a look a minute, and where there is something that
//! is held too long.

mod answered;
mod answers;
mod call;
mod connection;
mod end;
mod front;
mod life;
mod maker;
pub mod manager;
mod options;
mod peer;
mod pings;
mod plugin;
mod rows;
mod session;
mod shared;
mod socket;
mod source;
mod stderr;
mod waiting;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use end::End;
pub use end::Error;
use life::Life;
pub use options::{NAME, Options};
pub use rows::{Row, Rows};
use session::{Session, Traces};
pub use shared::Shared;
pub use source::{Source, TableSpec};
pub use stderr::{Stderr, last_line};

/// How long a signal waits for the orderly end.
const ORDERLY: Duration = Duration::from_millis(1500);

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
