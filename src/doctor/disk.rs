//! Files of a host: configurations read whole, of binaries the first bytes. Whoever fills one has `doctor` read no more than
//! a bound.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::io::Errno;

use crate::directory::ReadError;
use crate::root::Root;

/// The most bytes that are read of a list of flags or extensions, of which a host has a handful.
pub const MOST_LIST: u64 = 1 << 20;
/// The most that are read of a configuration or a pack, with its comments. osquery itself reads 50 MiB (its flag `read_max`).
pub const MOST_CONFIG: u64 = 16 << 20;

/// The first `N` bytes of a file, however large it is, links followed; `None` when it is shorter.
///
/// # Errors
/// When it is not there or cannot be read.
pub fn begins<const N: usize>(root: &Root, path: &str) -> Result<Option<[u8; N]>, ReadError> {
    let file = root.find(path.as_bytes())?.open_file()?;
    let mut bytes = [0; N];
    match File::from(file.fd).read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

fn failed(path: &str, error: &io::Error) -> ReadError {
    ReadError {
        operation: "read",
        path: path.as_bytes().to_vec(),
        errno: Errno::from_io_error(error).unwrap_or(Errno::IO),
    }
}

/// The content of a file, links followed; `None` when there is nothing at the path.
///
/// # Errors
/// When it is there and cannot be read, or has more bytes than `most`: [`is_too_large`] then.
fn read(root: &Root, path: &str, most: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let file = match root
        .find(path.as_bytes())
        .and_then(|found| found.open_file())
    {
        Ok(file) => file,
        Err(error) if error.is_not_here() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    File::from(file.fd)
        .take(most.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| failed(path, &error))?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
        return Err(ReadError {
            operation: "read",
            path: path.as_bytes().to_vec(),
            errno: Errno::FBIG,
        });
    }
    Ok(Some(content))
}

/// The same as text; bytes that are not UTF-8 become replacement characters.
///
/// # Errors
/// As [`read`].
pub fn read_text(root: &Root, path: &str, most: u64) -> Result<Option<String>, ReadError> {
    let bytes = read(root, path, most)?;
    Ok(bytes.map(|bytes| {
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }))
}

/// True when a file was not read because it has more bytes than are read of it.
pub fn is_too_large(error: &ReadError) -> bool {
    error.errno == Errno::FBIG
}
