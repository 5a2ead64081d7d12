//! What reading one property list may cost, whoever wrote it.

use super::error::PropertyListError;

/// Bounds on a property list.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nested collections; never more than [`MOST_DEPTH`].
    pub depth: usize,
    /// Values and keys, each of some 32 bytes. A binary list can name one object a billion times over: each time
    /// counts. A collection, a key and a text count as the values that would take their room.
    pub values: usize,
    /// Bytes of text and data, over all values; and, of a list that is decoded before it is read, what that takes.
    pub text: usize,
}

impl Bounds {
    /// Far more than any Info.plist needs, and as many as CoreFoundation was seen to read.
    pub const STANDARD: Self = Self {
        depth: MOST_DEPTH,
        values: 600_000,
        text: 8 << 20,
    };
    /// The same where all that a scan finds leaves little room.
    pub const BESIDE_MUCH: Self = Self {
        values: 100_000,
        text: 2 << 20,
        ..Self::STANDARD
    };
    /// More than any entitlements or list of cdhashes need: several threads read them at once.
    pub const OF_SIGNATURE: Self = Self {
        values: 20_000,
        text: 2 << 20,
        ..Self::STANDARD
    };
}

/// Collections that CoreFoundation reads inside each other.
///
/// Source: `_CFPropertyListMaxRecursionDepth`, `CFPropertyList_Internal.h` of Apple, and `MAX_DEPTH`
/// of `CFOldStylePList.c`. The CoreFoundation of macOS 10.10 has no such bound, so what passes it is
/// not known to be refused.
pub const MOST_DEPTH: usize = 512;

/// What is left of the bounds.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) depth: usize,
    values: usize,
    text: usize,
    /// Values that may still be held at a time.
    held: usize,
    /// What was left of them when the dictionary was opened whose entries are taken.
    held_before: usize,
}

impl Budget {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            depth: bounds.depth.min(MOST_DEPTH),
            values: bounds.values,
            text: bounds.text,
            held: bounds.values,
            held_before: bounds.values,
        }
    }

    /// One for a list of which entries are taken as they are read, and no more than so many values are held.
    pub(super) fn holding(bounds: &Bounds, held: usize) -> Self {
        Self {
            held,
            held_before: held,
            ..Self::new(bounds)
        }
    }

    /// A dictionary begins whose entries may be taken.
    pub(super) fn opens(&mut self) {
        self.held_before = self.held;
    }

    /// An entry of it was taken, and is not held any more.
    pub(super) fn taken(&mut self) {
        self.held = self.held_before;
    }

    /// One more value or key.
    pub(super) fn value(&mut self) -> Result<(), PropertyListError> {
        self.values(1)
    }

    /// So many more.
    pub(super) fn values(&mut self, count: usize) -> Result<(), PropertyListError> {
        self.room(count, "many values")
    }

    /// So many bytes are held at once to decode a list, beside its own: as many as there is room for text, which it does
    /// not take from the list.
    pub(super) fn decodes(&self, bytes: usize) -> Result<(), PropertyListError> {
        left(self.text, bytes, "much text to decode").map(drop)
    }

    /// What a key takes beside itself: its share of a tree whose nodes are half empty, as where keys come in order.
    pub(super) fn key(&mut self) -> Result<(), PropertyListError> {
        self.room(3, "many keys")
    }

    /// The room that a dictionary takes whatever it holds: the first node of its tree.
    pub(super) fn dictionary(&mut self) -> Result<(), PropertyListError> {
        self.room(12, "many dictionaries")
    }

    /// The room that an array or a set takes whatever it holds.
    pub(super) fn array(&mut self) -> Result<(), PropertyListError> {
        self.room(4, "many arrays")
    }

    /// So many more bytes of text or data.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), PropertyListError> {
        self.text = left(self.text, bytes, "much text")?;
        self.room(bytes.div_ceil(32), "much text")
    }

    fn room(&mut self, values: usize, what: &'static str) -> Result<(), PropertyListError> {
        self.values = left(self.values, values, what)?;
        self.held = left(self.held, values, what)?;
        Ok(())
    }
}

fn left(of: usize, taken: usize, what: &'static str) -> Result<usize, PropertyListError> {
    of.checked_sub(taken)
        .ok_or(PropertyListError::TooLarge(what))
}
