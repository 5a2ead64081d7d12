//! Standard output, which a person or a program reads.

use std::io::{self, Read, Write};

use crate::failure::Failure;

/// Prints to standard output; a reader that has gone, such as `head`, is no failure.
///
/// # Errors
/// When it cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    print_all(&mut text.as_bytes())
}

/// The same of what is read piece by piece.
///
/// # Errors
/// As [`print`].
pub fn print_all(text: &mut impl Read) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match io::copy(text, &mut out).and_then(|_| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}
