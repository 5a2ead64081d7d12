//! Text that is written before all of it is known, kept packed in memory.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Bytes that are held as they are: packing takes time, and few answers are longer.
const MOST_PLAIN: usize = 1 << 20;

/// Text on its way out.
#[derive(Debug, Default)]
pub struct Spool {
    /// What comes after what is packed.
    plain: Vec<u8>,
    packed: Option<GzEncoder<Vec<u8>>>,
    len: u64,
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.plain.extend_from_slice(bytes);
        if self.plain.len() > MOST_PLAIN {
            self.pack()?;
        }
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.len = self.len.saturating_add(count);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool {
    fn pack(&mut self) -> io::Result<()> {
        let new = || GzEncoder::new(Vec::new(), Compression::fast());
        let packed = self.packed.get_or_insert_with(new);
        packed.write_all(&self.plain)?;
        self.plain.clear();
        Ok(())
    }

    /// Packs the rest of what is packed in part; gives the bytes of memory that it takes.
    ///
    /// # Errors
    /// Never in memory.
    pub fn settle(&mut self) -> io::Result<usize> {
        if self.packed.is_some() {
            self.pack()?;
            self.plain = Vec::new();
        }
        let packed = self.packed.as_ref().map_or(0, |p| p.get_ref().capacity());
        Ok(packed.saturating_add(self.plain.capacity()))
    }

    /// Bytes that were written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// What was written, to be read, and its length in bytes.
    ///
    /// # Errors
    /// Never in memory; the type says so of every writer.
    pub fn finish(self) -> io::Result<(impl Read, u64)> {
        let packed = self.packed.map(GzEncoder::finish).transpose()?;
        let packed = packed.map(io::Cursor::new).map(GzDecoder::new);
        let packed: Box<dyn Read> = match packed {
            Some(packed) => Box::new(packed),
            None => Box::new(io::empty()),
        };
        Ok((packed.chain(io::Cursor::new(self.plain)), self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for size in [0, 10, MOST_PLAIN, 3 * MOST_PLAIN + 7] {
            let text: Vec<u8> = (0_u8..=250).cycle().take(size).collect();
            let mut spool = Spool::default();
            for piece in text.chunks(1 << 20) {
                spool.write_all(piece).unwrap();
            }
            let held = spool.settle().unwrap();
            assert!(held >= size.min(1) && held <= 2 * MOST_PLAIN + 10, "{held}");
            let (mut read, len) = spool.finish().unwrap();
            let mut all = Vec::new();
            read.read_to_end(&mut all).unwrap();
            assert_eq!((all == text, len), (true, size.try_into().unwrap()));
        }
    }
}
