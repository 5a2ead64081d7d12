//! A call of a plug-in: what osquery's `call` message asks for, and the message that answers it.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::answers::Taking;
use super::plugin::Answer;
use super::socket::Until;
use super::wire::{Kind, Message, Output, Type};

/// How long an answer may take to be read, once there is one.
const DEPARTURE: Duration = Duration::from_secs(20);

/// Bytes of rows that are written at once.
const PIECE: usize = 64 << 10;

/// Bytes of an answer around its rows.
const AROUND: usize = 512;

/// Bytes that it takes to unpack rows that are packed, and the next piece.
const UNPACKING: usize = 128 << 10;

/// A call of a plug-in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) registry: String,
    pub(super) item: String,
    pub(super) request: BTreeMap<String, String>,
}

impl Call {
    /// The call that a message holds.
    ///
    /// # Errors
    /// `InvalidData` for any other method, and where an argument is missing or of another type.
    pub(super) fn of(request: &Message) -> io::Result<Self> {
        let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if request.header.name != "call" {
            return invalid("a method that no extension has");
        }
        let (mut registry, mut item) = (None, None);
        let mut pairs = BTreeMap::new();
        let mut fields = request.fields();
        while let Some(field) = fields.field()? {
            match field {
                (Type::Text, 1) => registry = Some(fields.text()?),
                (Type::Text, 2) => item = Some(fields.text()?),
                (Type::Map, 3) => match fields.map()? {
                    (None, _) => {}
                    (Some((Type::Text, Type::Text)), count) => {
                        for _ in 0..count {
                            pairs.insert(fields.text()?, fields.text()?);
                        }
                    }
                    _ => return invalid("a request that is no map of texts"),
                },
                (_, 1..=3) => return invalid("an argument of another type"),
                (of, _) => fields.skip(of)?,
            }
        }
        let (Some(registry), Some(item)) = (registry, item) else {
            return invalid("a call of nothing");
        };
        Ok(Self {
            registry,
            item,
            request: pairs,
        })
    }
}

/// Bytes of memory that an answer takes until it is written.
pub(super) fn held(answer: &mut Answer) -> usize {
    answer.rows.settle().saturating_add(UNPACKING)
}

/// Where an answer is written, and what was taken of it is counted.
struct Counted<'a> {
    to: Until<'a>,
    taking: &'a Taking<'a>,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.taking.took(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes what a plug-in answered, piece by piece; what is short in one.
pub(super) fn answer(
    request: &Message,
    answer: Answer,
    stream: &UnixStream,
    taking: &Taking<'_>,
) -> io::Result<()> {
    let mut output = reply(request);
    output.field(Type::Struct, 0);
    output.field(Type::Struct, 1);
    answer.status.write(&mut output);
    output
        .field(Type::List, 2)
        .list(Type::Map, answer.rows.count());
    let bytes = usize::try_from(answer.rows.bytes()).unwrap_or(usize::MAX);
    let room = bytes.saturating_add(AROUND).min(PIECE);
    let to = Until::new(stream, DEPARTURE);
    let mut pieces = BufWriter::with_capacity(room, Counted { to, taking });
    pieces.write_all(output.bytes())?;
    io::copy(&mut answer.rows.into_bytes()?, &mut pieces)?;
    output.clear();
    output.stop().stop();
    pieces.write_all(output.bytes())?;
    pieces.flush()
}

/// What opens the answer to a request.
pub(super) fn reply(request: &Message) -> Output {
    Output::message(Kind::Reply, &request.header.name, request.header.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::answers::Answers;
    use crate::extension::connection::Connection;
    use std::sync::Arc;
    use std::thread;

    const MOST: u64 = 4 << 20;

    /// What is called by a message with these arguments.
    fn called(name: &str, arguments: &[&[u8]]) -> io::Result<Call> {
        let mut output = Output::message(Kind::Call, name, 1);
        output.raw(&arguments.concat()).stop();
        let mut rest = output.bytes();
        let message = Message::read(&mut rest, MOST).unwrap();
        assert!(rest.is_empty(), "not one whole message");
        Call::of(&message)
    }

    fn generate(item: &str) -> Call {
        Call {
            registry: "table".to_owned(),
            item: item.to_owned(),
            request: BTreeMap::from([("action".to_owned(), "generate".to_owned())]),
        }
    }

    // Field heads are type and number; types by `doc/specs/thrift-binary-protocol.md` of Apache
    // Thrift; arguments by osquery's `osquery.thrift`: 1 string, 2 string, 3 map of strings.
    const REGISTRY: &[u8] = b"\x0b\0\x01\0\0\0\x05table";
    const ITEM: &[u8] = b"\x0b\0\x02\0\0\0\x01t";
    const REQUEST: &[u8] = b"\x0d\0\x03\x0b\x0b\0\0\0\x01\0\0\0\x06action\0\0\0\x08generate";

    #[test]
    fn osquerys_own_calls_are_read() {
        assert_eq!(
            called("call", &[REGISTRY, ITEM, REQUEST]).unwrap(),
            generate("t")
        );
        // In another order, and with a field that a later osquery may add.
        let later = b"\x02\0\x04\x01";
        let other = called("call", &[REQUEST, later, ITEM, REGISTRY]);
        assert_eq!(other.unwrap(), generate("t"));
    }

    #[test]
    fn arguments_of_other_types_are_refused() {
        // Eight bytes that would be read as a text of 4294967295.
        for number in [1, 2] {
            let field = [10, 0, number, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
            assert!(
                called("call", &[REGISTRY, ITEM, &field]).is_err(),
                "{number}"
            );
        }
        // A uuid, a text and an empty struct where the map belongs.
        let uuid = [b"\x10\0\x03\x0b\x0b\x7f".as_slice(), &[0xff; 13]].concat();
        for field in [uuid.as_slice(), b"\x0b\0\x03\0\0\0\0", b"\x0c\0\x03\0"] {
            assert!(called("call", &[REGISTRY, ITEM, field]).is_err());
        }
        // Maps from numbers and to numbers.
        for types in [b"\x0a\x0b", b"\x0b\x0a"] {
            let head = [b"\x0d\0\x03".as_slice(), types, &[0, 0, 0, 1]].concat();
            assert!(called("call", &[REGISTRY, ITEM, &head, &[0; 12]]).is_err());
        }
        assert!(called("call", &[REGISTRY, REQUEST]).is_err());
        assert!(called("other", &[REGISTRY, ITEM, REQUEST]).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_skipped_or_refused() {
        // A uuid with a message in it, and a list of flags of which one is neither true nor false.
        let uuid = b"\x10\x10\x10\x80\x01\0\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0".as_slice();
        let flags = b"\x0f\0\x09\x02\0\0\0\x09\x07\x80\x01\0\x01\xff\xff\xff\xff".as_slice();
        for hidden in [uuid, flags] {
            let read = called("call", &[hidden, REGISTRY, ITEM, REQUEST]).unwrap();
            assert_eq!(read, generate("t"));
        }
        let not_utf8 = b"\x0b\0\x02\0\0\0\x01\xff";
        let read = called("call", &[REGISTRY, not_utf8, REQUEST]).unwrap();
        assert_eq!(read, generate("\u{fffd}"));
    }

    #[test]
    fn an_answer_of_many_rows_is_one_message() {
        let mut answer = Answer::default();
        for number in 0..20_000 {
            answer.rows.push(&[("path", format!("/{number}"))]);
        }
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut output = Output::message(Kind::Call, "call", 7);
        output.stop();
        let request = Message::read(&mut output.bytes(), MOST).unwrap();
        let written = thread::spawn(move || {
            let (answers, ours) = (Answers::default(), Arc::new(Connection::new(ours, true)));
            let taking = answers.taking(0, &ours, super::held(&mut answer));
            super::answer(&request, answer, &ours.stream, &taking)
        });
        let answer = Message::read(&mut theirs, u64::MAX).unwrap();
        written.join().unwrap().unwrap();
        assert_eq!(
            (answer.header.kind, answer.header.sequence),
            (Kind::Reply, 7)
        );
        let mut fields = answer.fields();
        assert_eq!(fields.field().unwrap(), Some((Type::Struct, 0)));
        assert_eq!(fields.field().unwrap(), Some((Type::Struct, 1)));
        fields.skip(Type::Struct).unwrap();
        assert_eq!(fields.field().unwrap(), Some((Type::List, 2)));
        assert_eq!(fields.list().unwrap(), (Some(Type::Map), 20_000));
        for number in 0..20_000 {
            assert_eq!(fields.map().unwrap().1, 1);
            let pair = (fields.text().unwrap(), fields.text().unwrap());
            assert_eq!(pair, ("path".to_owned(), format!("/{number}")));
        }
        assert_eq!(
            (fields.field().unwrap(), fields.field().unwrap()),
            (None, None)
        );
    }
}
