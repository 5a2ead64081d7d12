//! Files of a host: configurations read whole, of binaries the first bytes.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::io::Errno;

use crate::directory::ReadError;
use crate::root::Root;

/// The most that is read of one file: what osquery itself reads (its flag `read_max`, 50 MiB).
const MOST: u64 = 50 << 20;

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
/// When it is there and cannot be read, or is larger than osquery reads.
pub fn read(root: &Root, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
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
        .take(MOST.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| failed(path, &error))?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > MOST {
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
pub fn read_text(root: &Root, path: &str) -> Result<Option<String>, ReadError> {
    Ok(read(root, path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
