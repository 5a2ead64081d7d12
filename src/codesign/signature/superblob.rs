//! The SuperBlob: the container of a signature's parts, each in a numbered slot.
//!
//! Source of the layout: `cs_blobs.h` (`CS_SuperBlob`) and `superblob.h` of Apple's Security.

use std::borrow::Cow;
use std::ops::Range;

use crate::codesign::bytes::{self, Bytes, Order};
use crate::codesign::verdict::{Place, Problem, ProblemCode, slot};

const MAGIC: u32 = 0xfade_0cc0;
const HEADER_LEN: u64 = 12;
const INDEX_LEN: u64 = 8;
const BLOB_HEADER_LEN: u64 = 8;
/// More parts than any signature has.
const MOST_BLOBS: u32 = 64;

/// Bytes of a part that is more than a list of hashes: many times what any has. What is made of one takes a multiple of it.
const MOST_PART: usize = 1 << 20;

/// The slot of the first code directory.
pub(crate) const CODE_DIRECTORY: u32 = 0;
/// The slot of the first of the alternate code directories.
pub(crate) const ALTERNATE: u32 = 0x1000;
/// Alternate code directories at the most, as `kSecCodeDirectoryMaxAlternates` has it.
pub(crate) const MOST_ALTERNATES: u32 = 5;
/// The slot of the CMS.
pub(crate) const CMS: u32 = 0x1_0000;

/// One part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blob<'a> {
    /// Its slot.
    pub(crate) slot: u32,
    /// All its bytes, header included: what a slot's hash is made of.
    pub(crate) bytes: Bytes<'a>,
}

impl<'a> Blob<'a> {
    /// What follows its header, to be taken apart; a problem when that is more than any part has.
    pub(crate) fn payload(self) -> Result<&'a [u8], Problem> {
        let payload = self.bytes.from(BLOB_HEADER_LEN);
        if payload.len() > MOST_PART {
            let detail = format!(
                "the part in slot {:#x} is larger than any that is read",
                self.slot
            );
            let place = Place::Offset(self.bytes.place(0));
            return Err(Problem::unreadable(ProblemCode::Limit, place, detail));
        }
        Ok(payload)
    }
}

/// A parsed SuperBlob.
#[derive(Debug)]
pub(crate) struct SuperBlob<'a> {
    blobs: Vec<Blob<'a>>,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// True when what the command reserves behind it is not all zeros.
    pub(crate) slack: bool,
}

impl<'a> SuperBlob<'a> {
    /// Parses what LC_CODE_SIGNATURE points to.
    pub(crate) fn parse(signature: Bytes<'a>) -> Result<Self, Problem> {
        let cut_off = || say(signature, 0, "the signature is cut off");
        let field = |offset| signature.u32(offset, Order::Big).ok_or_else(cut_off);
        if field(0)? != MAGIC {
            return Err(say(signature, 0, "the signature is no SuperBlob"));
        }
        let len = u64::from(field(4)?);
        let inside = signature.part(0, len).ok_or_else(|| {
            say(
                signature,
                4,
                "the SuperBlob is longer than its command says",
            )
        })?;
        let count = field(8)?;
        if count > MOST_BLOBS {
            return Err(say(signature, 8, format!("{count} parts in the SuperBlob")));
        }
        let index_end = u64::from(count)
            .saturating_mul(INDEX_LEN)
            .saturating_add(HEADER_LEN);
        let mut blobs: Vec<Blob<'a>> = Vec::new();
        let index = 0..index_end;
        let mut ranges = Vec::from([index]);
        for i in 0..u64::from(count) {
            let at = i.saturating_mul(INDEX_LEN).saturating_add(HEADER_LEN);
            let (blob, range) = read_blob(inside, at)?;
            if blobs.iter().any(|b| b.slot == blob.slot) {
                let detail = format!("two parts in slot {:#x}", blob.slot);
                return Err(say(inside, at, detail));
            }
            if ranges.iter().any(|r| bytes::overlap(r, &range)) {
                let detail = format!("the part in slot {:#x} overlaps another", blob.slot);
                return Err(say(inside, at, detail));
            }
            ranges.push(range);
            blobs.push(blob);
        }
        if ranges.iter().map(|r| r.end).max() != Some(len) {
            return Err(say(
                signature,
                4,
                "the SuperBlob does not end where its last part ends",
            ));
        }
        Ok(Self {
            blobs,
            len,
            slack: signature.from(len).iter().any(|&byte| byte != 0),
        })
    }

    /// The part in a slot.
    pub(crate) fn blob(&self, slot: u32) -> Option<Blob<'a>> {
        self.blobs.iter().find(|b| b.slot == slot).copied()
    }

    /// The parts that code directories bind in special slots.
    pub(crate) fn special(&self) -> impl Iterator<Item = Blob<'a>> + '_ {
        let special = slot::INFO_PLIST..ALTERNATE;
        self.blobs
            .iter()
            .filter(move |b| special.contains(&b.slot))
            .copied()
    }

    /// The code directories' parts in order of slot; an alternate one stands only behind all
    /// the alternate slots before its own.
    pub(crate) fn directories(&self) -> Result<Vec<Blob<'a>>, Problem> {
        let mut directories = Vec::new();
        directories.extend(self.blob(CODE_DIRECTORY));
        let alternates = self.blobs.iter().filter(|b| is_alternate(b.slot)).count();
        for slot in (ALTERNATE..).take(alternates) {
            match self.blob(slot) {
                Some(blob) => directories.push(blob),
                None => {
                    return Err(Problem::malformed(
                        ProblemCode::CodeDirectory,
                        Place::Whole,
                        format!("no code directory in slot {slot:#x}, and one behind it"),
                    ));
                }
            }
        }
        if self.blob(CODE_DIRECTORY).is_none() {
            return Err(Problem::malformed(
                ProblemCode::CodeDirectory,
                Place::Whole,
                "there is no code directory",
            ));
        }
        Ok(directories)
    }
}

fn is_alternate(slot: u32) -> bool {
    (ALTERNATE..ALTERNATE.saturating_add(MOST_ALTERNATES)).contains(&slot)
}

fn read_blob(superblob: Bytes<'_>, at: u64) -> Result<(Blob<'_>, Range<u64>), Problem> {
    let cut_off = || say(superblob, at, "the SuperBlob's index is cut off");
    let part = superblob.part(at, INDEX_LEN).ok_or_else(cut_off)?;
    let slot = part.u32(0, Order::Big).ok_or_else(cut_off)?;
    let offset = u64::from(part.u32(4, Order::Big).ok_or_else(cut_off)?);
    let out = || {
        let detail = format!("the part in slot {slot:#x} is out of bounds");
        say(superblob, at, detail)
    };
    let header = superblob.part(offset, BLOB_HEADER_LEN).ok_or_else(out)?;
    let magic = header.u32(0, Order::Big).ok_or_else(out)?;
    let len = u64::from(header.u32(4, Order::Big).ok_or_else(out)?);
    if len < BLOB_HEADER_LEN {
        let detail = format!("the part in slot {slot:#x} is shorter than its header");
        return Err(say(superblob, offset, detail));
    }
    let range = bytes::range_within(offset, len, superblob.len()).ok_or_else(out)?;
    match magic_of(slot) {
        Expected::Magic(expected) if expected == magic => {}
        Expected::Any => {}
        Expected::Magic(_) => {
            let detail = format!("the part in slot {slot:#x} is of another kind ({magic:#010x})");
            return Err(say(superblob, offset, detail));
        }
        Expected::Nothing => {
            let detail = format!("no part belongs in slot {slot:#x}");
            return Err(say(superblob, at, detail));
        }
    }
    let bytes = superblob.part(offset, len).ok_or_else(out)?;
    Ok((Blob { slot, bytes }, range))
}

enum Expected {
    Magic(u32),
    Any,
    Nothing,
}

/// The magic of the part in a slot, as `cs_blobs.h` numbers them.
fn magic_of(slot: u32) -> Expected {
    match slot {
        CODE_DIRECTORY => Expected::Magic(0xfade_0c02),
        slot if is_alternate(slot) => Expected::Magic(0xfade_0c02),
        slot::REQUIREMENTS => Expected::Magic(0xfade_0c01),
        slot::ENTITLEMENTS => Expected::Magic(0xfade_7171),
        slot::ENTITLEMENTS_DER => Expected::Magic(0xfade_7172),
        slot::LAUNCH_CONSTRAINT_SELF..=slot::LIBRARY_CONSTRAINT => Expected::Magic(0xfade_8181),
        CMS => Expected::Magic(0xfade_0b01),
        // These stand in the bundle, and nowhere else.
        slot::INFO_PLIST | slot::RESOURCE_DIRECTORY => Expected::Nothing,
        slot if slot < ALTERNATE => Expected::Any,
        _ => Expected::Nothing,
    }
}

fn say(bytes: Bytes<'_>, at: u64, detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::malformed(
        ProblemCode::Superblob,
        Place::Offset(bytes.place(at)),
        detail,
    )
}
