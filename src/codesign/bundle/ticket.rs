//! The notarization ticket that `stapler` writes beside what is sealed, at `CodeResources`.
//!
//! Apple's verifier leaves a file of that name out, whatever stands in it
//! (`BundleDiskRep::adjustResources`, `bundlediskrep.cpp`), and hands what stands at
//! `Contents/CodeResources` to the system as a ticket (`copyStapledTicketInBundle`,
//! `notarization.cpp`). The form of a ticket is not published: it was seen in files of real
//! bundles. A header (`s8ch`, version, two lengths; all little-endian) is followed by
//! certificates in DER, by the ticket itself (`g8tk`, version, length of a hash, number of hashes,
//! flags, time; then for each hash its type and 20 bytes), and by an ECDSA signature.

use super::view::{BundleView, EntryKind};
use crate::codesign::bytes::{self, Bytes, Order};
use crate::codesign::verdict::{CodeFacts, SliceFacts};

/// Where Apple looks for a bundle's ticket, in every form of bundle.
const PATH: &[u8] = b"Contents/CodeResources";

const MAGIC: &[u8] = b"s8ch";
const HEADER_LEN: u64 = 16;
const LIST_MAGIC: &[u8] = b"g8tk";
const LIST_HEADER_LEN: u64 = 24;
/// Length of a hash and of the number of its type before it.
const ENTRY_LEN: usize = 21;
/// Longest ECDSA signature: that of a P-521 key, padded.
const MOST_SIGNATURE: u64 = 144;

/// True when a ticket is stapled to the whole view.
///
/// That says nothing of whether Apple issued the ticket, or for this code.
pub(super) fn is_stapled(view: &BundleView<'_>) -> bool {
    view.find(PATH)
        .is_some_and(|(_, entry)| entry.kind == EntryKind::File && entry.bytes.is_some_and(claims))
}

/// True when a file says of itself that it is a ticket.
pub(super) fn claims(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The list of hashes of a ticket that has the form of one to its last byte.
///
/// Whoever wrote the bundle may have written the ticket: its signature is not verified.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    hashes: Bytes<'a>,
}

impl<'a> Ticket<'a> {
    /// Reads a ticket; `None` when it has another form.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let all = Bytes::new(bytes, 0);
        let certificates = u64::from(all.u32(8, Order::Little)?);
        let list = u64::from(all.u32(12, Order::Little)?);
        let list_at = HEADER_LEN.checked_add(certificates)?;
        let list_end = list_at.checked_add(list)?;
        let signature = all.len().checked_sub(list_end)?;
        let list = all.part(list_at, list)?;
        let count = u64::from(list.u32(8, Order::Little)?);
        let hashes = count.checked_mul(bytes::count(ENTRY_LEN))?;
        let fine = claims(bytes)
            && all.u32(4, Order::Little)? == 1
            && list.get(0, 4)? == LIST_MAGIC
            && list.u32(4, Order::Little)? == 0x0014_0002
            && list.len() == LIST_HEADER_LEN.checked_add(hashes)?
            && (1..=MOST_SIGNATURE).contains(&signature);
        fine.then(|| list.part(LIST_HEADER_LEN, hashes))
            .flatten()
            .map(|hashes| Self { hashes })
    }

    /// True when it lists a cdhash of every slice.
    pub fn names(&self, code: &CodeFacts) -> bool {
        let (entries, _) = self.hashes.all().as_chunks::<ENTRY_LEN>();
        let lists = |cdhash: &[u8]| entries.iter().any(|entry| entry.get(1..) == Some(cdhash));
        let names = |slice: &SliceFacts| slice.directories.iter().any(|d| lists(&d.cdhash));
        !code.slices.is_empty() && code.slices.iter().all(names)
    }
}

#[cfg(test)]
mod tests {
    use dsplug_fixtures::ticket::ticket;

    use super::*;

    #[test]
    fn what_is_cut_or_has_other_lengths_is_refused() {
        let whole = ticket(&[[1; 20], [2; 20]]);
        assert!(Ticket::parse(&whole).is_some());
        // 72 bytes of signature, of which one is enough.
        for cut in 0..whole.len() - 72 {
            assert!(Ticket::parse(&whole[..cut]).is_none(), "{cut}");
        }
        let long = [whole.as_slice(), &[0; 73]].concat();
        assert!(Ticket::parse(&long).is_none());
        // Magics, versions, lengths and the number of hashes; certificates, flags and time are free.
        for at in (0..16).chain(20..32) {
            for byte in [1, 0x7f, 0x80, 0xff] {
                let mut other = whole.clone();
                other[at] ^= byte;
                assert!(Ticket::parse(&other).is_none(), "{byte:#x} at {at}");
            }
        }
    }
}
