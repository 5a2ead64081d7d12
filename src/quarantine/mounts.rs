//! What is mounted in a thing: it belongs to another volume, and is neither moved nor removed with it.

use crate::directory::{Dir, ReadError};
use crate::meta::Kind;
use crate::text::escape;

/// Directories below one another that are looked into: nothing deeper is ever copied or removed.
const DEPTH: usize = 96;

/// Says so when something is mounted on what has that name, or in it.
///
/// # Errors
/// With a line that says where; or when the system cannot say.
pub fn refuse(above: &Dir, name: &[u8]) -> Result<(), String> {
    let found = first(above, name, 0).map_err(|error| error.to_string())?;
    found.map_or(Ok(()), |path| Err(line(&path)))
}

/// What is said of something that is mounted.
pub fn line(path: &[u8]) -> String {
    format!(
        "a volume is mounted at {}: nothing on it is moved or removed; look at what it is (df, mount), unmount it and call again",
        escape(path)
    )
}

fn first(above: &Dir, name: &[u8], depth: usize) -> Result<Option<Vec<u8>>, ReadError> {
    let device = above.own_meta()?.dev;
    let (meta, is_mount) = match above.meta_and_mount(name, device) {
        Err(error) if error.is_absent() => return Ok(None),
        looked => looked?,
    };
    if is_mount {
        return Ok(Some(above.join(name)));
    }
    if meta.kind != Kind::Directory || depth > DEPTH {
        return Ok(None);
    }
    // What cannot be listed is not removed either, and moves as it is.
    let names = above.open_dir(name).and_then(|dir| {
        let (names, _) = dir.names(usize::MAX)?;
        Ok((dir, names))
    });
    let Ok((dir, names)) = names else {
        return Ok(None);
    };
    for name in names {
        let found = first(&dir, &name, depth.saturating_add(1))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
