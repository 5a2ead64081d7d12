//! From the first look for osquery's socket to the last miss.
//!
//! osquery pings each extension once an interval, and forgets one that does not answer. So a ping
//! says that it knows us; only where none came, the session looks for itself.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use osquery_rust_ng::plugin::OsqueryPlugin as _;

use super::end::{End, Error};
use super::front::Front;
use super::life::Ends;
use super::manager::{self, Extension, Manager};
use super::options::{NAME, Options};
use super::pings::Pings;
use super::plugin::Table;
use super::source::Source;
use super::wire::{Output, Type};

/// How long one call to osquery, or to ourselves, may take.
const CALL: Duration = Duration::from_secs(3);

/// How long the farewell may take: a signal must end the process in two seconds.
const FAREWELL: Duration = Duration::from_millis(400);

/// Between two looks for a socket that is not there yet.
const POLL: Duration = Duration::from_millis(10);

/// Between a miss and the look that confirms it.
const SOON: Duration = Duration::from_secs(1);

/// For how many intervals pings are taken for a look: others may ping as well.
const LOOKLESS: u32 = 20;

/// Between two ticks at most.
const TICK: Duration = Duration::from_secs(10);

/// Between two where the source has nothing for them.
const REST: Duration = Duration::from_secs(30);

/// How often a name that is taken by a dead extension is cleared again.
const ATTEMPTS: u32 = 3;

/// What has to be undone at the end.
#[derive(Default)]
pub(super) struct Traces(Mutex<(Option<i64>, Vec<PathBuf>)>);

impl Traces {
    fn socket(&self, path: &Path) {
        let mut traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        traces.1.push(path.to_owned());
    }

    fn registered(&self, uuid: i64) {
        let mut traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        traces.0 = Some(uuid);
    }

    /// Removes our sockets and, where `manager` is a socket's path, our entry.
    pub(super) fn remove(&self, manager: Option<&Path>) {
        let (uuid, sockets) = {
            let mut traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *traces)
        };
        if let (Some(path), Some(uuid)) = (manager, uuid) {
            let gone =
                Manager::connect(path, FAREWELL).and_then(|mut manager| manager.deregister(uuid));
            if let Err(error) = gone {
                log::debug!("farewell: {error}");
            }
        }
        for socket in sockets {
            // One that the manager has removed already is no loss.
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// One registration with osquery, and the look after it.
pub(super) struct Session {
    pub(super) options: Options,
    pub(super) source: Arc<dyn Source>,
    pub(super) ends: Ends,
    pub(super) traces: Arc<Traces>,
}

impl Session {
    /// Registers, serves, and sends the end once osquery and we have lost each
    /// other.
    pub(super) fn run(&self) {
        let pings = Arc::new(Pings::new(self.interval()));
        let error = match self.establish(&pings) {
            Ok(uuid) => self.watch(uuid, &pings),
            Err(error) => error,
        };
        self.ends.send(End::Failed(error));
    }

    /// Between two pings of osquery, and between two looks where none come.
    fn interval(&self) -> Duration {
        self.options.interval.max(POLL)
    }

    fn establish(&self, pings: &Arc<Pings>) -> Result<i64, Error> {
        let mut manager = self.wait()?;
        let osquery = manager.process();
        let socket = &self.options.socket;
        let tables = Table::all(&self.source);
        let uuid = self.register(&mut manager, &registry(&tables))?;
        self.traces.registered(uuid);
        let front = with_suffix(socket, &uuid.to_string());
        remove_socket(&front);
        let (ends, source) = (self.ends.clone(), Arc::clone(&self.source));
        Front::open(&front, ends, source, tables, Arc::clone(pings), osquery)
            .map_err(|error| Error::Socket(front.clone(), error))?;
        self.traces.socket(&front);
        log::info!(
            "registered as {NAME} {} with the identifier {uuid}",
            env!("CARGO_PKG_VERSION")
        );
        Ok(uuid)
    }

    /// Waits for the manager's socket until somebody answers there.
    fn wait(&self) -> Result<Manager, Error> {
        let begun = Instant::now();
        loop {
            let left = self.options.timeout.saturating_sub(begun.elapsed());
            let timeout = left.clamp(Duration::from_millis(100), CALL);
            let answering = Manager::connect(&self.options.socket, timeout)
                .and_then(|mut manager| manager.ping().map(|()| manager));
            match answering {
                Ok(mut manager) => {
                    manager.set_timeout(CALL);
                    return Ok(manager);
                }
                Err(error) if left.is_zero() => {
                    return Err(Error::NoManager(self.options.timeout, error));
                }
                Err(error) => log::trace!("{error}"),
            }
            thread::sleep(POLL);
        }
    }

    /// Registers the tables, once the name is free.
    fn register(&self, manager: &mut Manager, registry: &Output) -> Result<i64, Error> {
        let extension = Extension {
            name: NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sdk_version: "Unknown".to_owned(),
        };
        let mut refusal = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(Duration::from_millis(100));
            }
            self.clear_name(manager)?;
            let status = manager.register(&extension, registry.bytes())?;
            match status.uuid {
                Some(uuid) if status.code == 0 => return Ok(uuid),
                _ => refusal = status.message,
            }
            log::warn!("registration refused: {refusal}");
        }
        Err(Error::Refused(refusal))
    }

    /// Removes what dead extensions of our name have left with the manager.
    fn clear_name(&self, manager: &mut Manager) -> Result<(), Error> {
        for (uuid, extension) in manager.extensions()? {
            if extension.name != NAME {
                continue;
            }
            let path = with_suffix(&self.options.socket, &uuid.to_string());
            match Manager::connect(&path, CALL).and_then(|mut other| other.ping()) {
                Ok(()) => return Err(Error::Taken(uuid)),
                Err(error) => log::info!("clears a dead entry: {error}"),
            }
            // A refusal shows when we register.
            if let Err(error) = manager.deregister(uuid) {
                log::warn!("{error}");
            }
            remove_socket(&path);
        }
        Ok(())
    }

    /// Looks at once, then where no ping came for an interval, and soon again after a miss; returns
    /// after two.
    fn watch(&self, uuid: i64, pings: &Pings) -> Error {
        let interval = self.interval();
        let mut looked: Option<Instant> = None;
        let mut missed = false;
        let mut rest = TICK;
        loop {
            let left = match looked.map(|looked| looked.elapsed()) {
                None => Duration::ZERO,
                Some(looked) if missed => interval.min(SOON).saturating_sub(looked),
                Some(looked) => until_look(interval, looked, pings.come()),
            };
            if !left.is_zero() {
                pings.wait(left.min(rest));
                rest = if self.source.tick() { TICK } else { REST };
                if let Some(why) = self.source.hangs() {
                    return Error::Hung(why);
                }
                continue;
            }
            let look = self.look(uuid, pings.come());
            looked = Some(Instant::now());
            match look {
                Ok(()) => missed = false,
                Err(error) if missed => return error,
                Err(error) => {
                    log::warn!("{error}; looking again");
                    missed = true;
                }
            }
        }
    }

    /// One look: osquery knows us, and we answer where osquery will ask, unless somebody has just asked
    /// there.
    fn look(&self, uuid: i64, is_asked: bool) -> Result<(), Error> {
        let socket = &self.options.socket;
        let known = Manager::connect(socket, CALL)?.extensions()?;
        if known
            .get(&uuid)
            .is_none_or(|extension| extension.name != NAME)
        {
            return Err(Error::Forgotten(uuid));
        }
        if !is_asked {
            Manager::connect(&with_suffix(socket, &uuid.to_string()), CALL)?.ping()?;
        }
        Ok(())
    }
}

/// How long until the next look, by how long ago the last one was, and whether pings come.
fn until_look(interval: Duration, looked: Duration, pings: bool) -> Duration {
    let intervals = if pings { LOOKLESS } else { 1 };
    interval.saturating_mul(intervals).saturating_sub(looked)
}

/// The path at which an extension listens: the manager's, a dot, its number.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a socket, and nothing that is not one.
fn remove_socket(path: &Path) {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        let _ = std::fs::remove_file(path);
    }
}

/// The tables' routes as osquery's registration has them: a map of registries, each a map of items,
/// each a list of maps.
fn registry(tables: &[Table]) -> Output {
    let mut output = Output::default();
    let registries = tables.first().map(|table| table.registry().to_string());
    output.map(Type::Text, Type::Map, usize::from(registries.is_some()));
    if let Some(registry) = registries {
        output.text(&registry);
        output.map(Type::Text, Type::List, tables.len());
    }
    for table in tables {
        let routes = table.routes();
        output.text(&table.name()).list(Type::Map, routes.len());
        for route in &routes {
            output.texts(
                route
                    .iter()
                    .map(|(key, text)| (key.as_str(), text.as_str())),
            );
        }
    }
    output
}

impl From<manager::Error> for Error {
    fn from(error: manager::Error) -> Self {
        Self::Manager(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_stands_for_a_look() {
        let seconds = Duration::from_secs;
        let left = |looked, pings| until_look(seconds(3), seconds(looked), pings);
        // Without pings, once an interval.
        assert_eq!(left(0, false), seconds(3));
        assert_eq!(left(3, false), Duration::ZERO);
        // Pings that come are looks less, but do not do for ever.
        assert_eq!(left(3, true), seconds(57));
        assert_eq!(left(59, true), seconds(1));
        assert_eq!(left(60, true), Duration::ZERO);
    }
}
