//! From the first look for osquery's socket to the last miss.
//!
//! The server of osquery-rust-ng believes that it speaks with the manager. It
//! speaks with the session, which hands its registration on once the way is
//! clear, answers its pings, and finds out by itself whether osquery still
//! knows the extension.

use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use osquery_rust_ng::Server;

use super::front::{Front, not_there};
use super::manager::{self, Extension, Manager, Status};
use super::plugin::Table;
use super::socket::{Until, connect};
use super::source::Source;
use super::wire::{Input, Kind, Message, Output, Type};
use super::{End, Error, NAME, Options};

/// How long one call to osquery, or to ourselves, may take.
const CALL: Duration = Duration::from_secs(3);

/// How long the farewell may take: a signal must end the process in two seconds.
const FAREWELL: Duration = Duration::from_millis(400);

/// Between two looks for a socket that is not there yet.
const POLL: Duration = Duration::from_millis(10);

/// Between a miss and the look that confirms it; also between two ticks.
const SOON: Duration = Duration::from_secs(1);

/// How often a name that is taken by a dead extension is cleared again.
const ATTEMPTS: u32 = 3;

/// The largest registration: tables, columns, types.
const MAX_REGISTRATION: u64 = 1 << 20;

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
    pub(super) ends: Sender<End>,
    pub(super) traces: Arc<Traces>,
}

impl Session {
    /// Registers, serves, and sends the end once osquery and we have lost each
    /// other.
    pub(super) fn run(&self) {
        // Held until the end is sent: without it the server ends as well, and
        // its complaint would come before the reason.
        let mut server_side = None;
        let error = match self.establish(&mut server_side) {
            Ok(uuid) => self.watch(uuid),
            Err(error) => error,
        };
        // Nobody listens once the end has begun.
        let _ = self.ends.send(End::Failed(error));
        drop(server_side);
    }

    fn establish(&self, held: &mut Option<Arc<UnixStream>>) -> Result<i64, Error> {
        let mut manager = self.wait()?;
        let socket = &self.options.socket;
        let private = private_socket(socket);
        let behind = with_suffix(&private, "0");
        let folder = private.parent().unwrap_or(Path::new("."));
        sweep(folder);

        let listener =
            UnixListener::bind(&private).map_err(|error| Error::Socket(private.clone(), error))?;
        self.traces.socket(&private);
        self.traces.socket(&behind);
        let path = private.to_str().ok_or_else(|| {
            Error::Socket(private.clone(), io::Error::other("the path is not UTF-8"))
        })?;
        let of_socket = |error| Error::Socket(private.clone(), error);
        let mut server = Server::<Table>::new(Some(NAME), path).map_err(of_socket)?;
        let server_side = Arc::new(listener.accept().map_err(of_socket)?.0);
        *held = Some(Arc::clone(&server_side));
        let _ = std::fs::remove_file(&private);
        for table in Table::all(Arc::clone(&self.source)).map_err(Error::Thread)? {
            server.register_plugin(table);
        }
        let ends = self.ends.clone();
        spawn("server", move || {
            let result = server.run();
            // Nobody listens once the end has begun.
            let _ = ends.send(End::Failed(Error::Server(
                result.err().map(|error| error.to_string()),
            )));
        })?;

        let request = Message::read(&mut Until::new(&server_side, CALL), MAX_REGISTRATION)
            .map_err(of_socket)?;
        let uuid = self.register(&mut manager, &request)?;
        self.traces.registered(uuid);
        let front = with_suffix(socket, &uuid.to_string());
        remove_socket(&front);
        Front::open(&front, &behind, self.ends.clone(), Arc::clone(&self.source))
            .map_err(|error| Error::Socket(front.clone(), error))?;
        self.traces.socket(&front);
        // The server listens at the path that it spoke to, with this number.
        let status = Status {
            uuid: Some(0),
            ..Status::default()
        };
        respond(&request, &*server_side, &status).map_err(of_socket)?;
        spawn("manager", move || {
            if let Err(error) = stand_in(&server_side) {
                log::debug!("the server has gone: {error}");
            }
        })?;

        self.look(uuid)?;
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

    /// Hands the server's registration on, with our own version in it.
    fn register(&self, manager: &mut Manager, request: &Message) -> Result<i64, Error> {
        let (extension, registry) = registration(request)
            .map_err(|error| Error::Server(Some(format!("its registration: {error}"))))?;
        let mut refusal = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(Duration::from_millis(100));
            }
            self.clear_name(manager)?;
            let status = manager.register(&extension, registry)?;
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

    /// Looks every interval, and soon again after a miss; returns after two.
    fn watch(&self, uuid: i64) -> Error {
        let mut missed = false;
        loop {
            let pause = self.options.interval.max(POLL);
            let pause = if missed { pause.min(SOON) } else { pause };
            let begun = Instant::now();
            while begun.elapsed() < pause {
                thread::sleep(pause.saturating_sub(begun.elapsed()).min(SOON));
                self.source.tick();
                if let Some(why) = self.source.hangs() {
                    return Error::Hung(why);
                }
            }
            match self.look(uuid) {
                Ok(()) => missed = false,
                Err(error) if missed => return error,
                Err(error) => {
                    log::warn!("{error}; looking again");
                    missed = true;
                }
            }
        }
    }

    /// One look: osquery knows us, and we answer where osquery will ask.
    fn look(&self, uuid: i64) -> Result<(), Error> {
        let socket = &self.options.socket;
        let known = Manager::connect(socket, CALL)?.extensions()?;
        if known
            .get(&uuid)
            .is_none_or(|extension| extension.name != NAME)
        {
            return Err(Error::Forgotten(uuid));
        }
        Manager::connect(&with_suffix(socket, &uuid.to_string()), CALL)?.ping()?;
        Ok(())
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map(drop)
        .map_err(Error::Thread)
}

/// The path at which an extension listens: the manager's, a dot, its number.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// What our private sockets' names begin with.
const PRIVATE: &str = ".dsplug-";

/// Where the server of osquery-rust-ng finds the session. It is a short name in
/// the manager's folder: a socket's whole path has 103 bytes on macOS.
fn private_socket(manager: &Path) -> PathBuf {
    manager.with_file_name(format!("{PRIVATE}{}", std::process::id()))
}

/// Removes private sockets whose process was killed before it could.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PRIVATE)
            && connect(&entry.path(), FAREWELL).is_err_and(|error| not_there(&error))
        {
            remove_socket(&entry.path());
        }
    }
}

/// Removes a socket, and nothing that is not one.
fn remove_socket(path: &Path) {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        let _ = std::fs::remove_file(path);
    }
}

/// What the server wants to register: who it is, and its routes as they came.
fn registration(request: &Message) -> io::Result<(Extension, &[u8])> {
    let mut extension = Extension::default();
    let body = request.body();
    let mut rest = body;
    let mut registry = None;
    loop {
        let mut input = Input::new(&mut rest, MAX_REGISTRATION);
        match input.field()? {
            None => break,
            Some((Type::Struct, 1)) => extension = Extension::read(&mut input)?,
            Some((of, number)) => {
                let begin = body.len().saturating_sub(rest.len());
                Input::new(&mut rest, MAX_REGISTRATION).skip(of)?;
                let end = body.len().saturating_sub(rest.len());
                if (of, number) == (Type::Map, 2) {
                    registry = body.get(begin..end);
                }
            }
        }
    }
    extension.version = env!("CARGO_PKG_VERSION").to_owned();
    let registry = registry.ok_or(io::ErrorKind::InvalidData)?;
    Ok((extension, registry))
}

fn respond(request: &Message, mut to: impl Write, status: &Status) -> io::Result<()> {
    let mut output = Output::message(Kind::Reply, &request.header.name, request.header.sequence);
    output.field(Type::Struct, 0);
    status.write(&mut output);
    output.stop();
    to.write_all(output.bytes())
}

/// Answers the server's pings for as long as it sends them.
fn stand_in(server: &UnixStream) -> io::Result<()> {
    server.set_read_timeout(None)?;
    let mut reader = server;
    loop {
        let request = Message::read(&mut reader, MAX_REGISTRATION)?;
        respond(&request, server, &Status::default())?;
    }
}

impl From<manager::Error> for Error {
    fn from(error: manager::Error) -> Self {
        Self::Manager(error)
    }
}
