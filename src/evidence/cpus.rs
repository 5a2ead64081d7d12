//! What the loader learns of a main executable: the CPUs that CoreFoundation reads in its head.

/// Bytes of a file that CoreFoundation looks at (`MAGIC_BYTES_TO_READ`).
pub const HEAD: usize = 512;
/// Bytes below which it takes nothing for Mach-O: those of a 64-bit header.
const LEAST: usize = 32;
/// Bytes of a universal header.
const FAT_HEADER: usize = 8;
/// Bytes of one slice in it.
const FAT_ARCH: usize = 20;
/// x86_64, arm64 and ppc64: those of which the loader, or today's, wants one.
const WANTED: [u32; 3] = [0x0100_0007, 0x0100_000c, 0x0100_0012];

/// The CPUs that a file's head names. It is far more lenient than what maps the code: no slice needs
/// to be there.
///
/// Source: `_CFBundleGrokFileType`, `_CFBundleGrokMachType` and `_CFBundleGrokMachTypeForFatFile` of
/// CFBundle_Grok.c.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cpus {
    /// It is no Mach-O file.
    #[default]
    None,
    /// None that the loader takes.
    Unwanted,
    /// One at least that it takes.
    Wanted,
}

impl Cpus {
    /// Reads them in a file's first bytes, of which `HEAD` are looked at.
    pub fn of(head: &[u8]) -> Self {
        let head = head.get(..HEAD).unwrap_or(head);
        let Some((magic, rest)) = head.split_first_chunk::<4>() else {
            return Self::None;
        };
        if head.len() < LEAST {
            return Self::None;
        }
        match u32::from_be_bytes(*magic) {
            0xfeed_face | 0xfeed_facf => Self::among(cpu(rest, u32::from_be_bytes)),
            0xcefa_edfe | 0xcffa_edfe => Self::among(cpu(rest, u32::from_le_bytes)),
            // One with more is a class file of Java.
            0xcafe_babe if rest.first_chunk() == Some(&[0, 0]) => {
                Self::in_slices(head, u32::from_be_bytes)
            }
            0xbeba_feca => Self::in_slices(head, u32::from_le_bytes),
            _ => Self::None,
        }
    }

    fn in_slices(head: &[u8], order: fn([u8; 4]) -> u32) -> Self {
        let count = head.get(4..).and_then(|rest| cpu(rest, order));
        let count = count.and_then(|count| usize::try_from(count).ok());
        let slices = head.get(FAT_HEADER..).unwrap_or_default();
        let slices = slices.chunks_exact(FAT_ARCH).take(count.unwrap_or(0));
        Self::among(slices.filter_map(|slice| cpu(slice, order)))
    }

    fn among(cpus: impl IntoIterator<Item = u32>) -> Self {
        cpus.into_iter()
            .fold(Self::None, |found, cpu| match WANTED.contains(&cpu) {
                true => Self::Wanted,
                false if found == Self::None => Self::Unwanted,
                false => found,
            })
    }
}

/// The number that some bytes begin with.
fn cpu(bytes: &[u8], order: fn([u8; 4]) -> u32) -> Option<u32> {
    bytes.first_chunk().copied().map(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fat(magic: [u8; 4], count: u32, cpus: &[u32], order: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let mut file = [magic, order(count)].concat();
        for cpu in cpus {
            file.extend(order(*cpu));
            file.extend([0; 16]);
        }
        file
    }

    /// Each of these CoreFoundation was asked, built from its source.
    #[test]
    fn what_corefoundation_finds() {
        let big = [0xca, 0xfe, 0xba, 0xbe];
        let little = [0xbe, 0xba, 0xfe, 0xca];
        let x86_64 = 0x0100_0007;
        let mut many = vec![7; 25];
        many[24] = x86_64;
        assert_eq!(
            Cpus::of(&fat(big, 25, &many, u32::to_be_bytes)),
            Cpus::Wanted
        );
        // The twenty-sixth does not stand in the head whole.
        many.insert(0, 7);
        assert_eq!(
            Cpus::of(&fat(big, 26, &many, u32::to_be_bytes)),
            Cpus::Unwanted
        );
        let one = [7, x86_64];
        assert_eq!(
            Cpus::of(&fat(little, 2, &one, u32::to_le_bytes)),
            Cpus::Wanted
        );
        assert_eq!(
            Cpus::of(&fat(big, 1, &one, u32::to_be_bytes)),
            Cpus::Unwanted
        );
        assert_eq!(Cpus::of(&fat(big, 0, &one, u32::to_be_bytes)), Cpus::None);
        // More are named than there are: those that are there count.
        assert_eq!(
            Cpus::of(&fat(big, 65_535, &one, u32::to_be_bytes)),
            Cpus::Wanted
        );
        assert_eq!(
            Cpus::of(&fat(big, 65_536, &one, u32::to_be_bytes)),
            Cpus::None
        );
        // A header of 28 bytes is too short for anything; that of 64-bit offsets is not known.
        assert_eq!(
            Cpus::of(&fat(big, 1, &[x86_64], u32::to_be_bytes)),
            Cpus::None
        );
        let wide = [0xca, 0xfe, 0xba, 0xbf];
        assert_eq!(Cpus::of(&fat(wide, 2, &one, u32::to_be_bytes)), Cpus::None);
        assert_eq!(Cpus::of(&[]), Cpus::None);
    }

    #[test]
    fn thin_files_in_both_orders() {
        for magic in [0xfeed_face_u32, 0xfeed_facf] {
            for (cpu, found) in [
                (0x0100_000c_u32, Cpus::Wanted),
                (0x0100_0012, Cpus::Wanted),
                (0x0200_000c, Cpus::Unwanted),
                (0x8100_0007, Cpus::Unwanted),
                (7, Cpus::Unwanted),
            ] {
                for order in [u32::to_be_bytes, u32::to_le_bytes] {
                    let mut file = [order(magic), order(cpu)].concat();
                    file.resize(LEAST, 0);
                    assert_eq!(Cpus::of(&file), found, "{cpu:x}");
                    assert_eq!(Cpus::of(&file[..LEAST - 1]), Cpus::None);
                }
            }
        }
    }
}
