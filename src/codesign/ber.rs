//! A reader of BER (X.690), which Apple's signatures are encoded in, indefinite lengths included.
//!
//! Nothing recurses: the end of an element of indefinite length is found by counting, so neither
//! depth nor size of a hostile encoding costs more than one pass over it for each level that is read.

use std::borrow::Cow;

use super::bytes;

/// `BOOLEAN`.
pub(crate) const BOOLEAN: u8 = 0x01;
/// `INTEGER`.
pub(crate) const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub(crate) const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`.
pub(crate) const OCTET_STRING: u8 = 0x04;
/// `OCTET STRING` in pieces.
const OCTET_STRING_IN_PIECES: u8 = 0x24;
/// `OBJECT IDENTIFIER`.
pub(crate) const OID: u8 = 0x06;
/// `UTCTime`.
pub(crate) const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`.
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
/// `SEQUENCE`.
pub(crate) const SEQUENCE: u8 = 0x30;
/// `SET`.
pub(crate) const SET: u8 = 0x31;

/// The bit of a tag that says that the content is made of elements.
const CONSTRUCTED: u8 = 0x20;
/// The number in a tag that says that the number follows in more bytes: nothing read here has one.
const HIGH_NUMBER: u8 = 0x1f;
/// Elements of indefinite length inside each other.
const MOST_DEPTH: u32 = 32;

/// The tag `[number]` of an element that is made of others.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    /// Its tag, with class and form.
    pub(crate) tag: u8,
    /// What it holds.
    pub(crate) content: &'a [u8],
    /// All its bytes.
    pub(crate) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader of what it is made of.
    pub(crate) fn reader(self) -> Reader<'a> {
        Reader::new(self.content)
    }

    /// The octets of an `OCTET STRING`, in one piece or in several.
    pub(crate) fn octets(self) -> Option<Cow<'a, [u8]>> {
        octets(self, OCTET_STRING, OCTET_STRING_IN_PIECES)
    }

    /// The octets of an `OCTET STRING` with the implicit tag `[number]`.
    pub(crate) fn tagged_octets(self, number: u8) -> Option<Cow<'a, [u8]>> {
        octets(self, 0x80 | number, context(number))
    }
}

fn octets(element: Element<'_>, whole: u8, in_pieces: u8) -> Option<Cow<'_, [u8]>> {
    if element.tag == whole {
        return Some(Cow::Borrowed(element.content));
    }
    if element.tag != in_pieces {
        return None;
    }
    let mut octets = Vec::new();
    let mut reader = element.reader();
    while !reader.is_empty() {
        octets.extend(reader.expect(OCTET_STRING)?.content);
    }
    Some(Cow::Owned(octets))
}

/// Reads elements, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of elements.
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// True when nothing is left.
    pub(crate) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// The next element.
    pub(crate) fn next(&mut self) -> Option<Element<'a>> {
        let header = Header::read(self.rest)?;
        let (content_len, end_len) = match header.len {
            Some(len) => (len, 0),
            None => (indefinite_len(bytes::split(self.rest, header.size).1)?, 2),
        };
        let (_, after) = bytes::split(self.rest, header.size);
        let (content, after) = exactly(after, content_len)?;
        let (_, after) = exactly(after, end_len)?;
        let raw_len = self.rest.len().checked_sub(after.len())?;
        let raw = bytes::first(self.rest, raw_len);
        self.rest = after;
        Some(Element {
            tag: header.tag,
            content,
            raw,
        })
    }

    /// The next element, which must have the tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next element when it has the tag; else nothing is taken.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.rest.first() == Some(&tag) {
            self.next()
        } else {
            None
        }
    }
}

struct Header {
    tag: u8,
    /// Length of the content; `None` when it is indefinite.
    len: Option<u64>,
    /// Length of the header.
    size: u64,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        if tag & HIGH_NUMBER == HIGH_NUMBER {
            return None;
        }
        let (len, size) = match first {
            0..=0x7f => (Some(u64::from(first)), 2),
            0x80 if tag & CONSTRUCTED != 0 => (None, 2),
            0x81..=0x84 => {
                let count = u64::from(first & 0x7f);
                let (octets, _) = exactly(rest, count)?;
                let len = octets
                    .iter()
                    .fold(0u64, |len, &octet| len << 8 | u64::from(octet));
                (Some(len), count.checked_add(2)?)
            }
            _ => return None,
        };
        Some(Self { tag, len, size })
    }
}

/// The length of what stands before the end-of-contents octets that end the element.
fn indefinite_len(bytes: &[u8]) -> Option<u64> {
    let mut rest = bytes;
    let mut depth = 0u32;
    loop {
        if rest.starts_with(&[0, 0]) {
            if depth == 0 {
                return Some(bytes::count(bytes.len().checked_sub(rest.len())?));
            }
            depth = depth.checked_sub(1)?;
            rest = exactly(rest, 2)?.1;
            continue;
        }
        let header = Header::read(rest)?;
        rest = exactly(rest, header.size)?.1;
        match header.len {
            Some(len) => rest = exactly(rest, len)?.1,
            None => depth = depth.checked_add(1).filter(|&depth| depth < MOST_DEPTH)?,
        }
    }
}

fn exactly(bytes: &[u8], len: u64) -> Option<(&[u8], &[u8])> {
    (bytes::length(bytes) >= len).then(|| bytes::split(bytes, len))
}

/// The bytes of a `BIT STRING` of whole bytes.
pub(crate) fn bits(element: Element<'_>) -> Option<&[u8]> {
    match element.content.split_first() {
        Some((0, bits)) => Some(bits),
        _ => None,
    }
}

/// A definite-length `SET OF` with that content: what a signature over attributes is made over,
/// however the attributes are tagged where they stand (RFC 5652, section 5.4).
pub(crate) fn set_of(content: &[u8]) -> Vec<u8> {
    let len = bytes::length(content);
    let octets: Vec<u8> = len
        .to_be_bytes()
        .into_iter()
        .skip_while(|&octet| octet == 0)
        .collect();
    let mut set = vec![SET];
    match (len, u8::try_from(octets.len())) {
        (0..=0x7f, _) => set.push(octets.first().copied().unwrap_or(0)),
        (_, Ok(count)) => {
            set.push(0x80 | count);
            set.extend(octets);
        }
        (_, Err(_)) => {}
    }
    set.extend(content);
    set
}

/// Seconds of Unix time that a `UTCTime` or a `GeneralizedTime` in UTC tells; fractions are cut off.
pub(crate) fn time(element: Element<'_>) -> Option<i64> {
    let digits = element.content.strip_suffix(b"Z")?;
    let (whole, fraction) = match digits.iter().position(|&byte| byte == b'.') {
        Some(at) => digits.split_at_checked(at)?,
        None => (digits, &[][..]),
    };
    let fraction_is_digits = fraction.iter().skip(1).all(u8::is_ascii_digit);
    if !fraction_is_digits || !whole.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let numbers: Vec<i64> = whole
        .chunks_exact(2)
        .map(|two| {
            two.iter()
                .fold(0, |n, &digit| n * 10 + i64::from(digit.wrapping_sub(b'0')))
        })
        .collect();
    let (year, rest) = match (element.tag, whole.len(), numbers.as_slice()) {
        (UTC_TIME, 12, [year, rest @ ..]) => (if *year < 50 { 2000 } else { 1900 } + year, rest),
        (GENERALIZED_TIME, 14, [century, year, rest @ ..]) => (century * 100 + year, rest),
        _ => return None,
    };
    let [month, day, hour, minute, second] = rest.try_into().ok()?;
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    valid.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that
/// a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let in_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_lengths_nest() {
        let bytes = [
            0x30, 0x80, 0x24, 0x80, 4, 1, 7, 4, 1, 8, 0, 0, 2, 1, 0, 0, 0, 5,
        ];
        let mut reader = Reader::new(&bytes);
        let mut inner = reader.expect(SEQUENCE).unwrap().reader();
        assert_eq!(*inner.next().unwrap().octets().unwrap(), [7, 8]);
        assert_eq!(inner.expect(INTEGER).unwrap().content, [0]);
        assert!(inner.is_empty());
        assert_eq!(reader.rest, [5]);
    }

    #[test]
    fn depth_and_lengths_are_bounded() {
        assert!(Reader::new(&[0x30, 0x80].repeat(1_000)).next().is_none());
        assert!(
            Reader::new(&[4, 0x84, 255, 255, 255, 255, 1])
                .next()
                .is_none()
        );
        assert!(Reader::new(&[4, 0x80, 0, 0]).next().is_none());
    }

    #[test]
    fn times_are_told_in_seconds() {
        let tell = |tag, content: &[u8]| {
            time(Element {
                tag,
                content,
                raw: &[],
            })
        };
        // `date -u -d 2024-02-29T12:34:56Z +%s`
        assert_eq!(tell(UTC_TIME, b"240229123456Z"), Some(1_709_210_096));
        assert_eq!(
            tell(GENERALIZED_TIME, b"20240229123456.25Z"),
            Some(1_709_210_096)
        );
        // `date -u -d 1999-12-31T23:59:59Z +%s`
        assert_eq!(tell(UTC_TIME, b"991231235959Z"), Some(946_684_799));
        assert_eq!(tell(UTC_TIME, b"991331235959Z"), None);
        assert_eq!(tell(UTC_TIME, b"9912312359Z"), None);
    }

    #[test]
    fn a_set_has_a_definite_length() {
        assert_eq!(set_of(&[]), [0x31, 0]);
        assert_eq!(set_of(&[5; 200])[..3], [0x31, 0x81, 200]);
        assert_eq!(set_of(&[5; 300])[..4], [0x31, 0x82, 1, 44]);
    }
}
