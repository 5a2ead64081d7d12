//! A property list in the binary format, as CoreFoundation reads it.
//!
//! Source: `CFBinaryPList.c` of Apple: `__CFBinaryPlistGetTopLevelInfo` checks the trailer,
//! `__CFBinaryPlistCreateObjectFiltered` makes the objects.

use std::collections::HashSet;

use super::date::Date;
use super::error::PropertyListError;
use super::exact::{Reading, TWICE};
use super::limits::Budget;
use super::take::Take;
use super::text::Text;
use super::value::{Dictionary, Value};

/// What a list in this format begins with; any one character may follow.
const MAGIC: &[u8] = b"bplist0";
/// Length of the trailer.
const TRAILER: usize = 32;
/// Length of the magic and its version, in front of the first object.
const HEADER: usize = 8;

/// Reads a list; `Ok(None)` when it is none of this format to CoreFoundation, or damaged, in which
/// case that goes on to the formats in text.
///
/// # Errors
/// When it passes a bound, or could be read in another way and the reading is exact.
pub(super) fn read(
    bytes: &[u8],
    reading: Reading,
    budget: &mut Budget,
    take: &mut Take<'_>,
) -> Result<Option<Value>, PropertyListError> {
    let Some(list) = List::new(bytes) else {
        return Ok(None);
    };
    if reading == Reading::Exact && !bytes.starts_with(b"bplist00") {
        return Err(PropertyListError::Ambiguous("another version than 00"));
    }
    list.value(reading, budget, take)
}

/// References that may be followed once more than each of a list's bytes is one: no list that Apple's code writes
/// names a collection in two places, and one that does can be as dear to read as thousands of bytes are not.
const MORE_REFERENCES: usize = 4_096;

/// The parts of a list whose trailer holds.
struct List<'a> {
    /// The bytes up to the table of offsets: magic and objects.
    objects: &'a [u8],
    /// The offsets of the objects.
    offsets: Vec<u32>,
    /// The offset of the object that the whole list is.
    top: usize,
    /// Bytes of a reference to an object.
    reference_size: usize,
}

/// A collection whose members have not all been read.
struct Frame<'a> {
    offset: usize,
    /// References to the members that are left; of a dictionary those to its values.
    references: std::slice::ChunksExact<'a, u8>,
    members: Members<'a>,
}

/// The members of a collection that have been read. Each value of a dictionary comes right behind its key, so that
/// keys are not held beside it.
enum Members<'a> {
    Array(Vec<Value>),
    Set(Vec<Value>),
    Dictionary {
        /// References to the keys that are left, in the list all before the values.
        keys: std::slice::ChunksExact<'a, u8>,
        /// The key whose value comes next.
        key: Option<Value>,
        values: Dictionary,
    },
}

#[derive(Clone, Copy)]
enum Kind {
    Array,
    Set,
    Dictionary,
}

/// An object: a value that is whole, or a collection.
enum Object<'a> {
    Value(Value),
    Collection(Frame<'a>),
}

impl<'a> List<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (body, trailer) = bytes.split_last_chunk::<TRAILER>()?;
        if body.len() <= HEADER || !body.starts_with(MAGIC) {
            return None;
        }
        let [.., offset_size, reference_size, _, _, _, _, _, _, _, _] =
            trailer.first_chunk::<16>()?;
        let (offset_size, reference_size) =
            (usize::from(*offset_size), usize::from(*reference_size));
        let number = |at: usize| {
            let bytes = trailer.get(at..)?.first_chunk::<8>()?;
            usize::try_from(u64::from_be_bytes(*bytes)).ok()
        };
        let (count, top, table) = (number(8)?, number(16)?, number(24)?);
        let (objects, offsets) = body.split_at_checked(table)?;
        let reaches = |size: usize, most: usize| {
            let bits = u32::try_from(size).ok()?.checked_mul(8)?;
            Some(bits >= 64 || 1_u64.checked_shl(bits)? > u64::try_from(most).ok()?)
        };
        if count == 0
            || top >= count
            || table <= HEADER
            || offset_size == 0
            || reference_size == 0
            || offsets.len() != count.checked_mul(offset_size)?
            || !reaches(reference_size, count)?
            || !reaches(offset_size, table)?
        {
            return None;
        }
        // Half of a list may be these: they have the room that they take, and no more.
        let mut found = Vec::with_capacity(count);
        for offset in offsets.chunks_exact(offset_size) {
            let offset = u32::try_from(sized(offset)).ok();
            found.push(offset.filter(|offset| to_usize(*offset) < table)?);
        }
        let top = to_usize(*found.get(top)?);
        Some(Self {
            objects,
            offsets: found,
            top,
            reference_size,
        })
    }

    /// The value that the whole list is.
    fn value(
        &self,
        reading: Reading,
        budget: &mut Budget,
        take: &mut Take<'_>,
    ) -> Result<Option<Value>, PropertyListError> {
        let mut frames: Vec<Frame<'_>> = Vec::new();
        let mut path = HashSet::new();
        let mut left = self.objects.len().saturating_add(MORE_REFERENCES);
        let mut next = self.top;
        budget.value()?;
        loop {
            if let Some(frame) = frames.last() {
                // Those of an array were counted when it began.
                match &frame.members {
                    Members::Dictionary { .. } => budget.value()?,
                    Members::Array(_) | Members::Set(_) => {}
                }
                if frame.is_at_key() {
                    budget.key()?;
                }
            }
            let mut value = match self.object(next, budget)? {
                None => return Ok(None),
                Some(Object::Value(Value::String(text)))
                    if reading == Reading::Exact && text.is_ill_formed() =>
                {
                    return Err(PropertyListError::Ambiguous("text that is no Unicode"));
                }
                // Of 16 bytes, 8 are left out there.
                Some(Object::Value(Value::Integer(_)))
                    if reading == Reading::Exact && self.objects.get(next) == Some(&0x14) =>
                {
                    return Err(PropertyListError::Ambiguous("a number of 16 bytes"));
                }
                Some(Object::Value(value)) => Some(value),
                // A collection that holds itself.
                Some(Object::Collection(frame)) if !path.insert(frame.offset) => return Ok(None),
                Some(Object::Collection(mut frame)) => {
                    let is_key = frames.last().is_some_and(Frame::is_at_key);
                    if is_key {
                        return Ok(None);
                    }
                    match &mut frame.members {
                        Members::Dictionary { .. } => budget.dictionary()?,
                        Members::Array(members) | Members::Set(members) => {
                            budget.array()?;
                            // Room for as many as there will be, which counts at once: one that grows takes three
                            // times that.
                            let count = frame.references.len();
                            budget.values(count)?;
                            members.reserve_exact(count);
                        }
                    }
                    let fewer = left.checked_sub(frame.left());
                    left = fewer.ok_or(PropertyListError::TooLarge("many values"))?;
                    frames.push(frame);
                    if frames.len() == 2 {
                        budget.opens();
                    }
                    None
                }
            };
            let depth = frames.len();
            next = loop {
                let Some((frame, around)) = frames.split_last_mut() else {
                    return Ok(value);
                };
                if let Some(value) = value.take() {
                    frame.put(value, around, reading, budget, take)?;
                }
                match frame.next() {
                    Some(_) if depth > budget.depth => {
                        return Err(PropertyListError::TooLarge("deep nesting"));
                    }
                    Some(reference) => match self.offset_of(reference) {
                        Some(offset) => break offset,
                        None => return Ok(None),
                    },
                    None => {
                        path.remove(&frame.offset);
                        if let Some(frame) = frames.pop() {
                            value = Some(frame.whole(reading)?);
                        }
                    }
                }
            };
        }
    }

    fn offset_of(&self, reference: &[u8]) -> Option<usize> {
        let number = usize::try_from(sized(reference)).ok()?;
        self.offsets.get(number).copied().map(to_usize)
    }

    /// The object at an offset; `None` when it is none.
    fn object(
        &self,
        offset: usize,
        budget: &mut Budget,
    ) -> Result<Option<Object<'a>>, PropertyListError> {
        let Some(object) = self.parts(offset) else {
            return Ok(None);
        };
        if let Object::Value(Value::String(_) | Value::Data(_)) = &object {
            let bytes = match &object {
                Object::Value(Value::String(text)) => text.as_bytes().len(),
                Object::Value(Value::Data(data)) => data.len(),
                _ => 0,
            };
            budget.text(bytes)?;
        }
        Ok(Some(object))
    }

    fn parts(&self, offset: usize) -> Option<Object<'a>> {
        if offset < HEADER {
            return None;
        }
        let (marker, rest) = self.objects.get(offset..)?.split_first()?;
        let (kind, low) = (marker >> 4, marker & 0x0f);
        let value = match kind {
            0x0 => match low {
                0 => Value::Null,
                8 => Value::Boolean(false),
                9 => Value::Boolean(true),
                _ => return None,
            },
            0x1 => Value::Integer(integer(rest, low)?),
            0x2 => match low {
                2 => Value::Real(f32::from_be_bytes(*rest.first_chunk()?).into()),
                3 => Value::Real(f64::from_be_bytes(*rest.first_chunk()?)),
                _ => return None,
            },
            0x3 if low == 3 => Value::Date(Date(f64::from_be_bytes(*rest.first_chunk()?))),
            0x4 => {
                let (count, rest) = count(low, rest)?;
                Value::Data(rest.get(..count)?.to_vec())
            }
            // It is called ASCII, and read as ISO 8859-1.
            0x5 => {
                let (count, rest) = count(low, rest)?;
                let characters = rest.get(..count)?.iter().map(|byte| char::from(*byte));
                Value::String(characters.collect::<String>().into())
            }
            0x6 => {
                let (count, rest) = count(low, rest)?;
                // Room for no unit cannot be had there (`CFAllocatorAllocate`), and the list is
                // refused.
                if count == 0 {
                    return None;
                }
                let (units, _) = rest.get(..count.checked_mul(2)?)?.as_chunks::<2>();
                Value::String(Text::from_utf16(
                    units.iter().map(|unit| u16::from_be_bytes(*unit)),
                ))
            }
            0x8 => {
                let number = rest.get(..usize::from(low).checked_add(1)?)?;
                Value::Uid(u32::try_from(sized(number)).ok()?)
            }
            0xa => return self.collection(offset, Kind::Array, low, rest),
            0xc => return self.collection(offset, Kind::Set, low, rest),
            0xd => return self.collection(offset, Kind::Dictionary, low, rest),
            _ => return None,
        };
        Some(Object::Value(value))
    }

    fn collection(&self, offset: usize, kind: Kind, low: u8, rest: &'a [u8]) -> Option<Object<'a>> {
        let (count, rest) = count(low, rest)?;
        let length = count.checked_mul(self.reference_size)?;
        let (first, rest) = rest.split_at_checked(length)?;
        let of = |references: &'a [u8]| references.chunks_exact(self.reference_size);
        let (references, members) = match kind {
            Kind::Array => (first, Members::Array(Vec::new())),
            Kind::Set => (first, Members::Set(Vec::new())),
            Kind::Dictionary => {
                let members = Members::Dictionary {
                    keys: of(first),
                    key: None,
                    values: Dictionary::new(),
                };
                (rest.get(..length)?, members)
            }
        };
        Some(Object::Collection(Frame {
            offset,
            references: of(references),
            members,
        }))
    }
}

impl<'a> Frame<'a> {
    /// True when the member that comes next is a key of a dictionary, which no collection may be.
    fn is_at_key(&self) -> bool {
        matches!(self.members, Members::Dictionary { key: None, .. })
    }

    /// How many members are left.
    fn left(&self) -> usize {
        let keys = match &self.members {
            Members::Dictionary { keys, .. } => keys.len(),
            _ => 0,
        };
        keys.saturating_add(self.references.len())
    }

    /// The reference to the member that comes next.
    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.members {
            Members::Dictionary {
                keys, key: None, ..
            } => keys.next(),
            _ => self.references.next(),
        }
    }

    /// Puts a member to the others, in a collection that `around` stand around.
    fn put(
        &mut self,
        value: Value,
        around: &[Frame<'_>],
        reading: Reading,
        budget: &mut Budget,
        take: &mut Take<'_>,
    ) -> Result<(), PropertyListError> {
        let ambiguous = |why| match reading {
            Reading::Lenient => Ok(()),
            Reading::Exact => Err(PropertyListError::Ambiguous(why)),
        };
        let (key, values) = match &mut self.members {
            Members::Array(members) | Members::Set(members) => {
                members.push(value);
                return Ok(());
            }
            Members::Dictionary { key, values, .. } => match key.take() {
                Some(key) => (key, values),
                None => {
                    *key = Some(value);
                    return Ok(());
                }
            },
        };
        let Value::String(key) = key else {
            ambiguous("a key that is no text")?;
            values.other_keys = values.other_keys.saturating_add(1);
            return Ok(());
        };
        let left = match under(around) {
            Some(under) => take(under, key, value),
            None => Some((key, value)),
        };
        match left {
            // `CFDictionaryAddValue`: the first of equal keys stays.
            Some((key, value)) => match values.add(key, value) {
                true => Ok(()),
                false => ambiguous(TWICE),
            },
            None => {
                budget.taken();
                Ok(())
            }
        }
    }

    fn whole(self, reading: Reading) -> Result<Value, PropertyListError> {
        match self.members {
            Members::Array(members) => Ok(Value::Array(members)),
            Members::Set(_) if reading == Reading::Exact => {
                Err(PropertyListError::Ambiguous("a set"))
            }
            Members::Set(members) => Ok(Value::Set(members)),
            Members::Dictionary { values, .. } => Ok(Value::Dictionary(values)),
        }
    }
}

/// The key under which a dictionary stands in the topmost one; `None` where it stands elsewhere.
fn under<'f>(around: &'f [Frame<'_>]) -> Option<&'f Text> {
    match around {
        [
            Frame {
                members:
                    Members::Dictionary {
                        key: Some(Value::String(key)),
                        ..
                    },
                ..
            },
        ] => Some(key),
        _ => None,
    }
}

fn to_usize(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// A number of any length in bytes, of which the last 64 bits count. Source: `_getSizedInt`.
fn sized(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A whole number of two to the power of `low` bytes. Those of 8 have a sign, shorter and longer
/// ones have none.
fn integer(bytes: &[u8], low: u8) -> Option<i128> {
    let bytes = bytes.get(..1_usize.checked_shl(low.into())?)?;
    match bytes.len() {
        8 => Some(i64::from_be_bytes(*bytes.first_chunk()?).into()),
        0..=16 => Some(sized(bytes).into()),
        _ => None,
    }
}

/// How many members or characters an object has, and what follows: the marker's low half, or where
/// that is full the number behind it.
fn count(low: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    if low != 0x0f {
        return Some((low.into(), rest));
    }
    let (marker, rest) = rest.split_first()?;
    if marker >> 4 != 1 {
        return None;
    }
    let (number, rest) = rest.split_at_checked(1_usize.checked_shl((marker & 0x0f).into())?)?;
    Some((usize::try_from(sized(number)).ok()?, rest))
}
