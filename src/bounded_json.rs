//! JSON of which its reader holds no more than a bound, whoever wrote it.

use std::io::{self, Read};

/// Bytes of the longest text: no row has as many.
const MOST_TEXT: usize = 4 << 20;
/// Lists and objects in one another.
const MOST_DEEP: usize = 128;

/// JSON, no text of which is longer than is held, and no list deeper: its reader would hold it whole.
pub struct Bounded<R> {
    from: R,
    /// Bytes of the text that is open; none outside of one.
    text: Option<usize>,
    is_escaped: bool,
    depth: usize,
}

impl<R: Read> Bounded<R> {
    /// Reads on from there.
    pub fn new(from: R) -> Self {
        Self {
            from,
            text: None,
            is_escaped: false,
            depth: 0,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        for byte in into.iter().take(count) {
            let is_escaped = std::mem::take(&mut self.is_escaped);
            self.text = match (self.text, byte) {
                (None, b'"') => Some(0),
                (Some(_), b'"') if !is_escaped => None,
                (None, b'[' | b'{') => {
                    self.depth = self.depth.saturating_add(1);
                    None
                }
                (None, b']' | b'}') => {
                    self.depth = self.depth.saturating_sub(1);
                    None
                }
                (text, byte) => {
                    self.is_escaped = text.is_some() && !is_escaped && *byte == b'\\';
                    text.map(|length| length.saturating_add(1))
                }
            };
            let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
            if self.text.is_some_and(|length| length > MOST_TEXT) {
                return refused("a text in it is longer than any of a row");
            }
            if self.depth > MOST_DEEP {
                return refused("it nests deeper than anything of ours");
            }
        }
        Ok(count)
    }
}
