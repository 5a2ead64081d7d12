//! Text that is written before all of it is known, kept packed in memory.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Text on its way out.
#[derive(Debug)]
pub struct Spool {
    packed: GzEncoder<Vec<u8>>,
    len: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            packed: GzEncoder::new(Vec::new(), Compression::fast()),
            len: 0,
        }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.packed.write_all(bytes)?;
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.len = self.len.saturating_add(count);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool {
    /// What was written, to be read, and its length in bytes.
    ///
    /// # Errors
    /// Never in memory; the type says so of every writer.
    pub fn finish(self) -> io::Result<(impl Read, u64)> {
        let packed = io::Cursor::new(self.packed.finish()?);
        Ok((GzDecoder::new(packed), self.len))
    }
}
