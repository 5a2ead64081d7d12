//! The code of a Mach-O file without its signature: what stays the same when it is signed anew.
//!
//! Of each slice everything up to the signature counts, but for what signing itself writes: the
//! load command that places the signature, with its share in the header's count, and the length
//! of `__LINKEDIT`, at whose end it stands (`codesign_allocate` of cctools, as read there).

use object::macho::{LC_CODE_SIGNATURE, LC_SEGMENT, LC_SEGMENT_64, LoadCommandType};
use sha2::{Digest, Sha256};

use super::fat::{self, Fat};
use super::mach_o::{self, Header};
use crate::codesign::bytes::{self, Bytes, Order};
use crate::order;

/// A signature begins at a multiple of this.
const ALIGNMENT: u64 = 16;
/// Load commands and slices that are read.
const MOST: u32 = 4096;
/// Zeros in place of what does not count.
const BLANK: [u8; 16] = [0; 16];

/// The SHA-256 of a file's code without its signature; `None` for what is no Mach-O file, or is
/// damaged.
pub fn unsigned_digest(file: &[u8]) -> Option<[u8; 32]> {
    let mut sha256 = Sha256::new();
    if fat::is_fat(file) {
        let fat = Fat::parse(Bytes::new(file, 0), bytes::length(file), MOST);
        if !fat.problems.is_empty() || fat.slices.is_empty() {
            return None;
        }
        for slice in &fat.slices {
            let len = slice.range.end.checked_sub(slice.range.start)?;
            let bytes = Bytes::new(file, 0).get(slice.range.start, len)?;
            sha256.update(slice.architecture.name().as_bytes());
            sha256.update(of_slice(bytes)?);
        }
    } else {
        sha256.update(of_slice(file)?);
    }
    Some(sha256.finalize().into())
}

/// A place whose bytes count as others.
struct Edit {
    at: u64,
    bytes: Vec<u8>,
}

fn of_slice(slice: &[u8]) -> Option<[u8; 32]> {
    if !mach_o::is_thin(slice) {
        return None;
    }
    let view = Bytes::new(slice, 0);
    let header = Header::parse(view)?;
    let order = header.order();
    let mut end = bytes::length(slice);
    let mut edits: Vec<Edit> = Vec::new();
    let mut at = header.commands_begin();
    let (mut count, mut len) = (header.commands(), header.commands_len());
    let mut signatures = 0_u32;
    for number in 0..count.min(MOST) {
        let kind = LoadCommandType(view.u32(at, order)?);
        let command_len = view.u32(at.checked_add(4)?, order)?;
        let command = view.part(at, command_len.into()).filter(|c| c.len() >= 8)?;
        match kind {
            LC_CODE_SIGNATURE => {
                signatures = signatures.checked_add(1)?;
                end = end.min(u64::from(command.u32(8, order)?));
                // Last, as it is written there: in an unsigned file zeros stand in its place.
                if number.checked_add(1)? != header.commands() || command_len != 16 {
                    return None;
                }
                edits.push(Edit {
                    at,
                    bytes: BLANK.to_vec(),
                });
                count = count.checked_sub(1)?;
                len = len.checked_sub(command_len)?;
            }
            LC_SEGMENT | LC_SEGMENT_64 if bytes::name(command.get(8, 16)?) == b"__LINKEDIT" => {
                // Its size in memory and in the file.
                let (memory, file, width) = match kind {
                    LC_SEGMENT_64 => (32, 48, 8),
                    _ => (28, 36, 4),
                };
                for field in [memory, file] {
                    command.get(field, width)?;
                    edits.push(Edit {
                        at: at.checked_add(field)?,
                        bytes: BLANK.get(..usize::try_from(width).ok()?)?.to_vec(),
                    });
                }
            }
            _ => {}
        }
        at = at.checked_add(command_len.into())?;
    }
    if signatures > 1 || header.commands() > MOST {
        return None;
    }
    let number = |number: u32| match order {
        Order::Big => number.to_be_bytes(),
        Order::Little => number.to_le_bytes(),
    };
    edits.push(Edit {
        at: 16,
        bytes: [number(count), number(len)].concat(),
    });
    order::sort_by_key(&mut edits, |edit| edit.at);
    let mut sha256 = Sha256::new();
    let mut from = 0_u64;
    for edit in &edits {
        sha256.update(view.get(from, edit.at.checked_sub(from)?)?);
        sha256.update(&edit.bytes);
        from = edit.at.checked_add(bytes::length(&edit.bytes))?;
    }
    sha256.update(view.get(from, end.checked_sub(from)?)?);
    let over = end % ALIGNMENT;
    if over != 0 {
        let padding = usize::try_from(ALIGNMENT.checked_sub(over)?).ok()?;
        sha256.update(BLANK.get(..padding)?);
    }
    Some(sha256.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::unsigned_digest;
    use dsplug_fixtures::macho::{Cpu, Fat, MachO};
    use dsplug_fixtures::signature::Signature;

    #[test]
    fn signing_anew_leaves_it_and_another_code_does_not() {
        let one = MachO::bundle(Cpu::Arm64e).code_len(5000);
        let a = one.signed(&Signature::adhoc("a"));
        let b = one.signed(&Signature::adhoc("another.name.that.is.longer"));
        assert_ne!(a, b);
        assert!(unsigned_digest(&a).is_some());
        assert_eq!(unsigned_digest(&a), unsigned_digest(&b));
        let universal = |slice: &[u8]| Fat::of(&[(Cpu::Arm64e, slice.to_vec())]).build();
        assert_eq!(
            unsigned_digest(&universal(&a)),
            unsigned_digest(&universal(&b))
        );
        for at in [12, 40, 4999] {
            let mut changed = b.clone();
            changed[at] ^= 1;
            assert_ne!(unsigned_digest(&a), unsigned_digest(&changed), "{at}");
        }
    }

    #[test]
    fn what_is_damaged_has_none() {
        assert_eq!(unsigned_digest(b""), None);
        assert_eq!(unsigned_digest(b"no code"), None);
        let whole = MachO::bundle(Cpu::Arm64e).signed(&Signature::adhoc("a"));
        for len in 0..200 {
            // Never a panic; a cut head says nothing.
            let _ = unsigned_digest(&whole[..len]);
        }
    }
}
