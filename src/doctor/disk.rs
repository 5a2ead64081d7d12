//! Small files of a host, read whole.

use std::fs::File;
use std::io::Read as _;

use rustix::io::Errno;

use crate::directory::ReadError;
use crate::root::Root;

/// The most that is read of one file. A configuration is far below it.
const MOST: u64 = 8 << 20;

/// The content of a file, links followed; `None` when there is nothing at the path.
///
/// # Errors
/// When it is there and cannot be read, or is larger than a configuration can be.
pub fn read(root: &Root, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let file = match root
        .find(path.as_bytes())
        .and_then(|found| found.open_file())
    {
        Ok(file) => file,
        Err(error) if error.is_absent() => return Ok(None),
        Err(error) => return Err(error),
    };
    let fail = |errno| ReadError {
        operation: "read",
        path: path.as_bytes().to_vec(),
        errno,
    };
    let mut content = Vec::new();
    File::from(file.fd)
        .take(MOST)
        .read_to_end(&mut content)
        .map_err(|error| fail(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) >= MOST {
        return Err(fail(Errno::FBIG));
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
