//! osquery's extension manager, asked over its socket.
//!
//! Source of the calls: osquery, `osquery/extensions/thrift/osquery.thrift`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::peer;
use super::rows::{Row, read_row};
use super::socket::{Until, connect};
use super::wire::{Input, Kind, Message, Output, Type};

/// The largest answer that is read: rows of a query are the largest.
const MAX_ANSWER: u64 = 16 << 20;

/// Why a call to the manager, or to an extension, gave nothing.
#[derive(Debug)]
pub enum Error {
    /// The socket could not be connected.
    Connect(PathBuf, io::Error),
    /// The connection broke, took too long, or carried what is not Thrift.
    Call(&'static str, PathBuf, io::Error),
    /// The other side answered that it will not.
    Refused(&'static str, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(path, error) => {
                write!(f, "cannot connect to {}: {error}", path.display())
            }
            Self::Call(call, path, error) => {
                write!(f, "{call} at {} failed: {error}", path.display())
            }
            Self::Refused(call, message) => write!(f, "{call} was refused: {message}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(_, error) | Self::Call(_, _, error) => Some(error),
            Self::Refused(..) => None,
        }
    }
}

/// One extension that is registered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Extension {
    /// The name under which it registered.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The version of the library it is built on.
    pub sdk_version: String,
}

/// What a call ended with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Status {
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) uuid: Option<i64>,
}

impl Status {
    fn read(input: &mut Input<impl Read>) -> io::Result<Self> {
        let mut status = Self::default();
        while let Some(field) = input.field()? {
            match field {
                (Type::I32, 1) => status.code = input.i32()?,
                (Type::Text, 2) => status.message = input.text()?,
                (Type::I64, 3) => status.uuid = Some(input.i64()?),
                (other, _) => input.skip(other)?,
            }
        }
        Ok(status)
    }

    /// Writes the status as the fields of a struct, its end included.
    pub(super) fn write(&self, output: &mut Output) {
        output.field(Type::I32, 1).i32(self.code);
        output.field(Type::Text, 2).text(&self.message);
        if let Some(uuid) = self.uuid {
            output.field(Type::I64, 3).i64(uuid);
        }
        output.stop();
    }

    fn into_result(self, call: &'static str) -> Result<Self, Error> {
        if self.code == 0 {
            Ok(self)
        } else {
            Err(Error::Refused(call, self.message))
        }
    }
}

/// A connection to a manager, or to an extension: both answer a ping.
#[derive(Debug)]
pub struct Manager {
    path: PathBuf,
    stream: UnixStream,
    timeout: Duration,
    sequence: i32,
}

impl Manager {
    /// Connects to the socket at `path`. No call will take longer than `timeout`.
    ///
    /// # Errors
    /// [`Error::Connect`].
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, Error> {
        let stream =
            connect(path, timeout).map_err(|error| Error::Connect(path.to_owned(), error))?;
        Ok(Self::over(path, stream, timeout))
    }

    /// Calls over a stream that is connected to `path` already.
    pub(super) fn over(path: &Path, stream: UnixStream, timeout: Duration) -> Self {
        Self {
            path: path.to_owned(),
            stream,
            timeout,
            sequence: 0,
        }
    }

    /// The process that answers, once it has: osquery's own, which asks us as well.
    pub(super) fn process(&self) -> Option<i32> {
        peer::process(&self.stream)
    }

    /// Changes how long a call may take from now on.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Sends one call and reads its result with `read`, which is given the
    /// result struct's field 0.
    fn call<T>(
        &mut self,
        name: &'static str,
        arguments: impl FnOnce(&mut Output),
        read: impl FnOnce(Type, &mut Input<&[u8]>) -> io::Result<T>,
    ) -> Result<T, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = Output::message(Kind::Call, name, self.sequence);
        arguments(&mut request);
        request.stop();
        let answer = self.exchange(request.bytes());
        answer
            .and_then(|answer| {
                if answer.header.kind == Kind::Exception {
                    return Ok(Err(Error::Refused(name, exception(&answer)?)));
                }
                if answer.header.sequence != self.sequence || answer.header.name != name {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the answer belongs to another call",
                    ));
                }
                let mut fields = answer.fields();
                while let Some((of, number)) = fields.field()? {
                    if number == 0 {
                        return Ok(Ok(read(of, &mut fields)?));
                    }
                    fields.skip(of)?;
                }
                Ok(Err(Error::Refused(
                    name,
                    "an answer without a result".to_owned(),
                )))
            })
            .map_err(|error| Error::Call(name, self.path.clone(), error))?
    }

    fn exchange(&self, request: &[u8]) -> io::Result<Message> {
        let mut until = Until::new(&self.stream, self.timeout);
        until.write_all(request)?;
        Message::read(&mut BufReader::new(until), MAX_ANSWER)
    }

    fn call_for_status(
        &mut self,
        name: &'static str,
        arguments: impl FnOnce(&mut Output),
    ) -> Result<Status, Error> {
        self.call(name, arguments, |of, input| match of {
            Type::Struct => Status::read(input),
            _ => Err(io::ErrorKind::InvalidData.into()),
        })
    }

    /// Asks whether anyone is there.
    ///
    /// # Errors
    /// When no answer, or not a good one, comes in time.
    pub fn ping(&mut self) -> Result<(), Error> {
        self.call_for_status("ping", |_| ())?.into_result("ping")?;
        Ok(())
    }

    /// The extensions that are registered, by their route identifiers. The
    /// manager itself is among them, as `core` with the identifier 0.
    ///
    /// # Errors
    /// When no answer, or not a good one, comes in time.
    pub fn extensions(&mut self) -> Result<BTreeMap<i64, Extension>, Error> {
        self.call(
            "extensions",
            |_| (),
            |of, input| {
                let (Type::Map, (types, count)) = (of, input.map()?) else {
                    return Err(io::ErrorKind::InvalidData.into());
                };
                let mut extensions = BTreeMap::new();
                match types {
                    None => (),
                    Some((Type::I64, Type::Struct)) => {
                        for _ in 0..count {
                            extensions.insert(input.i64()?, Extension::read(input)?);
                        }
                    }
                    Some(_) => return Err(io::ErrorKind::InvalidData.into()),
                }
                Ok(extensions)
            },
        )
    }

    /// Registers an extension. `registry` is the routes as a Thrift map. The
    /// status is the manager's own, good or not.
    pub(super) fn register(
        &mut self,
        extension: &Extension,
        registry: &[u8],
    ) -> Result<Status, Error> {
        self.call_for_status("registerExtension", |output| {
            output.field(Type::Struct, 1);
            output.field(Type::Text, 1).text(&extension.name);
            output.field(Type::Text, 2).text(&extension.version);
            output.field(Type::Text, 3).text(&extension.sdk_version);
            output.field(Type::Text, 4).text("0.0.0");
            output.stop();
            output.field(Type::Map, 2).raw(registry);
        })
    }

    /// Makes the manager forget an extension.
    ///
    /// # Errors
    /// When no answer, or not a good one, comes in time.
    pub fn deregister(&mut self, uuid: i64) -> Result<(), Error> {
        self.call_for_status("deregisterExtension", |output| {
            output.field(Type::I64, 1).i64(uuid);
        })?
        .into_result("deregisterExtension")?;
        Ok(())
    }

    /// The rows of a query, at most 16 MB of them.
    ///
    /// # Errors
    /// The query's own failure, or that no answer came in time.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        let (status, rows) = self.call(
            "query",
            |output| {
                output.field(Type::Text, 1).text(sql);
            },
            |of, input| {
                let mut status = Status::default();
                let mut rows = Vec::new();
                if of != Type::Struct {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                while let Some(field) = input.field()? {
                    match field {
                        (Type::Struct, 1) => status = Status::read(input)?,
                        (Type::List, 2) => rows = read_rows(input)?,
                        (other, _) => input.skip(other)?,
                    }
                }
                Ok((status, rows))
            },
        )?;
        status.into_result("query")?;
        Ok(rows)
    }
}

impl Extension {
    pub(super) fn read(input: &mut Input<impl Read>) -> io::Result<Self> {
        let mut extension = Self::default();
        while let Some(field) = input.field()? {
            match field {
                (Type::Text, 1) => extension.name = input.text()?,
                (Type::Text, 2) => extension.version = input.text()?,
                (Type::Text, 3) => extension.sdk_version = input.text()?,
                (other, _) => input.skip(other)?,
            }
        }
        Ok(extension)
    }
}

fn read_rows(input: &mut Input<impl Read>) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let (element, count) = input.list()?;
    match element {
        None => return Ok(rows),
        Some(Type::Map) => (),
        Some(_) => return Err(io::ErrorKind::InvalidData.into()),
    }
    for _ in 0..count {
        rows.push(read_row(input)?);
    }
    Ok(rows)
}

/// What a Thrift exception says: its field 1.
fn exception(answer: &Message) -> io::Result<String> {
    let mut fields = answer.fields();
    while let Some(field) = fields.field()? {
        match field {
            (Type::Text, 1) => return fields.text(),
            (other, _) => fields.skip(other)?,
        }
    }
    Ok("an exception without a message".to_owned())
}
