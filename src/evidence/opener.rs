//! Opens the files of a place that a link leads to.

use super::walk::Cursor;
use crate::directory::{OpenFile, ReadError};
use crate::meta::Kind;
use crate::root::Found;

/// Opens files of a place: in its directory, or the place itself.
pub enum Opener<'a> {
    Below(Option<Cursor>),
    Itself(&'a Found),
}

impl<'a> Opener<'a> {
    /// Opens files of what was found.
    pub fn new(found: &'a Found) -> Self {
        if found.meta.kind == Kind::Directory {
            Self::Below(found.open_dir().ok().map(Cursor::new))
        } else {
            Self::Itself(found)
        }
    }

    /// Opens a file by its path in the place.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn file(&mut self, path: &[u8]) -> Result<OpenFile, ReadError> {
        match self {
            Self::Below(Some(cursor)) => cursor.open_file(path),
            Self::Below(None) => Err(ReadError::too_far(path)),
            Self::Itself(found) => found.open_file(),
        }
    }
}
