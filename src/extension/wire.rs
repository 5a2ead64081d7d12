//! Thrift's binary protocol, as far as osquery's RPC needs it, with limits.
//!
//! Lengths and counts come from the peer. Every byte read is taken from a
//! budget, and memory is reserved only for bytes that have arrived, so a length
//! of two gigabytes, or a negative one, costs nothing and is an error.
//!
//! Source of the format: Apache Thrift, `doc/specs/thrift-binary-protocol.md`.

use std::io::{self, Read};

/// Set in the first word of a strict message; the low byte is its kind.
const VERSION_1: u32 = 0x8001_0000;

/// Structures inside each other that are followed; osquery's own need five.
const MAX_DEPTH: u32 = 16;

/// What a message is, the low byte of its first word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A request that is answered.
    Call,
    /// An answer.
    Reply,
    /// An answer that says why there is none.
    Exception,
}

/// The type byte that stands before each field, element, key and value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Type {
    Bool,
    Byte,
    Double,
    I16,
    I32,
    I64,
    Text,
    Struct,
    Map,
    Set,
    List,
    Uuid,
}

impl Type {
    fn from_code(code: u8) -> io::Result<Self> {
        Ok(match code {
            2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::Double,
            6 => Self::I16,
            8 => Self::I32,
            10 => Self::I64,
            11 => Self::Text,
            12 => Self::Struct,
            13 => Self::Map,
            14 => Self::Set,
            15 => Self::List,
            16 => Self::Uuid,
            _ => return Err(invalid("a type that Thrift does not have")),
        })
    }

    const fn code(self) -> u8 {
        match self {
            Self::Bool => 2,
            Self::Byte => 3,
            Self::Double => 4,
            Self::I16 => 6,
            Self::I32 => 8,
            Self::I64 => 10,
            Self::Text => 11,
            Self::Struct => 12,
            Self::Map => 13,
            Self::Set => 14,
            Self::List => 15,
            Self::Uuid => 16,
        }
    }
}

/// The name, kind and sequence number that open a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) sequence: i32,
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads values from a stream or from bytes, never more than its budget.
pub(super) struct Input<R> {
    from: R,
    budget: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(from: R, budget: u64) -> Self {
        Self { from, budget }
    }

    fn spend(&mut self, bytes: u64) -> io::Result<()> {
        self.budget = self
            .budget
            .checked_sub(bytes)
            .ok_or_else(|| invalid("a message larger than its limit"))?;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.spend(u64::try_from(N).unwrap_or(u64::MAX))?;
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> io::Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn i32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> io::Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A length or count; a negative one is an error.
    fn length(&mut self) -> io::Result<u64> {
        u64::try_from(self.i32()?).map_err(|_| invalid("a negative length"))
    }

    /// Text; bytes that are not UTF-8 become replacement characters.
    pub(super) fn text(&mut self) -> io::Result<String> {
        let length = self.length()?;
        self.spend(length)?;
        let mut bytes = Vec::new();
        (&mut self.from).take(length).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).ok() != Some(length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn header(&mut self) -> io::Result<Header> {
        let [version_high, version_low, zero, kind] = self.array()?;
        if [version_high, version_low, zero] != [0x80, 0x01, 0] {
            return Err(invalid("not a strict Thrift message"));
        }
        let kind = match kind {
            1 => Kind::Call,
            2 => Kind::Reply,
            3 => Kind::Exception,
            _ => return Err(invalid("a kind of message that osquery does not send")),
        };
        Ok(Header {
            kind,
            name: self.text()?,
            sequence: self.i32()?,
        })
    }

    /// The next field of a struct: its type and number; none at the struct's end.
    pub(super) fn field(&mut self) -> io::Result<Option<(Type, i16)>> {
        match self.byte()? {
            0 => Ok(None),
            code => Ok(Some((
                Type::from_code(code)?,
                i16::from_be_bytes(self.array()?),
            ))),
        }
    }

    /// What a map's head says: key type, value type, count.
    pub(super) fn map(&mut self) -> io::Result<(Option<(Type, Type)>, u64)> {
        let [key, value] = self.array()?;
        match self.length()? {
            // The types of an empty map are nobody's business and may be zero.
            0 => Ok((None, 0)),
            count => Ok((
                Some((Type::from_code(key)?, Type::from_code(value)?)),
                count,
            )),
        }
    }

    /// What a list's or set's head says: element type and count.
    pub(super) fn list(&mut self) -> io::Result<(Option<Type>, u64)> {
        let element = self.byte()?;
        match self.length()? {
            0 => Ok((None, 0)),
            count => Ok((Some(Type::from_code(element)?), count)),
        }
    }

    /// Reads one value of a type and forgets it.
    pub(super) fn skip(&mut self, of: Type) -> io::Result<()> {
        self.skip_within(of, MAX_DEPTH)
    }

    fn skip_within(&mut self, of: Type, depth: u32) -> io::Result<()> {
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| invalid("structures too deep inside each other"))?;
        match of {
            Type::Bool | Type::Byte => drop(self.byte()?),
            Type::I16 => drop(self.array::<2>()?),
            Type::I32 => drop(self.array::<4>()?),
            Type::I64 | Type::Double => drop(self.array::<8>()?),
            Type::Uuid => drop(self.array::<16>()?),
            Type::Text => {
                let length = self.length()?;
                self.spend(length)?;
                let gone = io::copy(&mut (&mut self.from).take(length), &mut io::sink())?;
                if gone != length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Type::Struct => {
                while let Some((of, _)) = self.field()? {
                    self.skip_within(of, depth)?;
                }
            }
            Type::Map => {
                let (types, count) = self.map()?;
                if let Some((key, value)) = types {
                    for _ in 0..count {
                        self.skip_within(key, depth)?;
                        self.skip_within(value, depth)?;
                    }
                }
            }
            Type::Set | Type::List => {
                let (element, count) = self.list()?;
                if let Some(element) = element {
                    for _ in 0..count {
                        self.skip_within(element, depth)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Keeps a copy of every byte that passes through it.
struct Record<'a, R> {
    from: R,
    into: &'a mut Vec<u8>,
}

impl<R: Read> Read for Record<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.into
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// One whole message: its header, and the struct behind it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) header: Header,
    body: Vec<u8>,
}

impl Message {
    /// Reads one message of at most `limit` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` where the stream ends, `InvalidData` where what came is
    /// not Thrift or passes a limit, and the stream's own errors.
    pub(super) fn read(from: &mut impl Read, limit: u64) -> io::Result<Self> {
        let mut input = Input::new(from, limit);
        let header = input.header()?;
        let mut body = Vec::new();
        let mut rest = Input {
            from: Record {
                from: input.from,
                into: &mut body,
            },
            budget: input.budget,
        };
        rest.skip(Type::Struct)?;
        Ok(Self { header, body })
    }

    /// The struct behind the header: a call's arguments, or its result.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// A reader of [`Self::body`].
    pub(super) fn fields(&self) -> Input<&[u8]> {
        let body = self.body();
        Input::new(body, u64::try_from(body.len()).unwrap_or(u64::MAX))
    }
}

/// Builds a message.
#[derive(Debug, Default)]
pub(super) struct Output(Vec<u8>);

impl Output {
    /// Begins a message.
    pub(super) fn message(kind: Kind, name: &str, sequence: i32) -> Self {
        let kind = match kind {
            Kind::Call => 1,
            Kind::Reply => 2,
            Kind::Exception => 3,
        };
        let mut output = Self::default();
        output.0.extend((VERSION_1 | kind).to_be_bytes());
        output.text(name);
        output.i32(sequence);
        output
    }

    pub(super) fn field(&mut self, of: Type, number: i16) -> &mut Self {
        self.0.push(of.code());
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Text; what is beyond the two gigabytes that a length can say is cut off.
    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.i32(length);
        let length = usize::try_from(length).unwrap_or_default();
        self.raw(value.as_bytes().get(..length).unwrap_or_default())
    }

    /// What opens a map: its types and how many pairs follow, which no message has 2^31 of.
    pub(super) fn map(&mut self, key: Type, value: Type, count: usize) -> &mut Self {
        self.0.extend([key.code(), value.code()]);
        self.i32(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// What opens a list: its type and how many elements follow.
    pub(super) fn list(&mut self, element: Type, count: usize) -> &mut Self {
        self.0.push(element.code());
        self.i32(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// A map of texts.
    pub(super) fn texts<'t>(
        &mut self,
        pairs: impl ExactSizeIterator<Item = (&'t str, &'t str)>,
    ) -> &mut Self {
        self.map(Type::Text, Type::Text, pairs.len());
        for (key, value) in pairs {
            self.text(key).text(value);
        }
        self
    }

    /// Bytes that are a value already.
    pub(super) fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self
    }

    /// Ends a struct.
    pub(super) fn stop(&mut self) -> &mut Self {
        self.0.push(0);
        self
    }

    /// Begins anew after what was built so far: the rest of the same message.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The bytes built so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Vec<u8> {
        let mut output = Output::message(Kind::Call, "ping", 7);
        output.stop();
        output.bytes().to_vec()
    }

    #[test]
    fn a_call_without_arguments_is_laid_out_as_the_protocol_says() {
        // doc/specs/thrift-binary-protocol.md: version and kind, name, sequence,
        // then the stop byte of an empty struct.
        assert_eq!(ping(), b"\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07\0");
    }

    #[test]
    fn messages_are_told_apart_on_one_stream() {
        let mut stream = ping();
        stream.extend(ping());
        let mut stream = stream.as_slice();
        for _ in 0..2 {
            let message = Message::read(&mut stream, 1000).unwrap();
            assert_eq!(message.header.name, "ping");
            assert_eq!(message.header.sequence, 7);
            assert_eq!(message.body(), [0]);
        }
        let end = Message::read(&mut stream, 1000).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[track_caller]
    fn refused(body: &[u8], kind: io::ErrorKind) {
        let mut bytes = Output::message(Kind::Call, "call", 1).bytes().to_vec();
        bytes.extend(body);
        let error = Message::read(&mut bytes.as_slice(), 1 << 20).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }

    #[test]
    fn hostile_lengths_are_errors() {
        let huge = 0x7fff_ffff_u32.to_be_bytes();
        let negative = (-1_i32).to_be_bytes();
        for length in [huge, negative] {
            // A text, a map, a list and a set of that length.
            for head in [
                &[11, 0, 1][..],
                &[13, 0, 1, 11, 11],
                &[15, 0, 1, 3],
                &[14, 0, 1, 3],
            ] {
                let body = [head, &length, &[0; 32]].concat();
                let kind = if head.first() == Some(&11) || length == negative {
                    io::ErrorKind::InvalidData
                } else {
                    io::ErrorKind::UnexpectedEof
                };
                refused(&body, kind);
            }
        }
        // A method's name of two gigabytes.
        let bytes = [&b"\x80\x01\0\x01"[..], &huge, b"x"].concat();
        assert!(Message::read(&mut bytes.as_slice(), 1 << 20).is_err());
    }

    #[test]
    fn depth_and_size_have_limits() {
        refused(&[12, 0, 1].repeat(1000), io::ErrorKind::InvalidData);
        // Lists of lists, five bytes a level.
        refused(
            &[&[15, 0, 1][..], &[15, 0, 0, 0, 1].repeat(1000)].concat(),
            io::ErrorKind::InvalidData,
        );
        let mut stream = ping();
        stream.splice(
            stream.len() - 1..,
            [&[11, 0, 1, 0, 0, 0, 200][..], &[b'x'; 200], &[0]].concat(),
        );
        assert!(Message::read(&mut stream.as_slice(), 1000).is_ok());
        let error = Message::read(&mut stream.as_slice(), 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn old_and_unknown_messages_are_refused() {
        for bytes in [
            &b"\0\0\0\x04ping\x01\0\0\0\x01\0"[..],
            b"\x80\x01\0\x09\0\0\0\0\0\0\0\0\0",
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(Message::read(&mut { bytes }, 1000).is_err());
        }
        refused(&[1, 0, 1, 0], io::ErrorKind::InvalidData);
    }
}
