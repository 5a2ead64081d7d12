//! What is mounted in a thing: it belongs to another volume, and is neither moved nor removed with it. And what is mounted on
//! the way to it, which covers what stands there otherwise.

use crate::directory::{Dir, ReadError};
use crate::meta::Kind;
use crate::root::Found;
use crate::text::escape;

/// Directories below one another that are looked into: nothing deeper is ever copied or removed.
const DEPTH: usize = 96;
/// Names of directories that are held at once. What is mounted behind so many is moved with the thing, or the system refuses
/// that; it is not removed.
const MOST_HELD: usize = 100_000;

/// Says so when something is mounted on what has that name, or in it.
///
/// # Errors
/// With a line that says where; or when the system cannot say.
pub fn refuse(above: &Dir, name: &[u8]) -> Result<(), String> {
    let device = above.own_meta().map_err(|error| error.to_string())?.dev;
    let mut left = MOST_HELD;
    let found = match above.meta_and_mount(name, device) {
        Err(error) if error.is_absent() => Ok(None),
        Ok((_, true)) => Ok(Some(above.join(name))),
        Ok((meta, false)) if meta.kind == Kind::Directory => first(above, name, 0, &mut left),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    };
    let found = found.map_err(|error| error.to_string())?;
    found.map_or(Ok(()), |path| Err(line(&path)))
}

/// What is said of something that is mounted.
pub fn line(path: &[u8]) -> String {
    format!(
        "a volume is mounted at {}: nothing on it is moved or removed; look at what it is (df, mount), unmount it and call again",
        escape(path)
    )
}

/// What is said of a thing that stands on a volume which a Mac has not there: it is taken, for it may be what runs, and what
/// the volume covers is seen by nobody before that goes.
pub fn on_the_way(found: &Found) -> Option<String> {
    let mount = found.mount()?;
    Some(format!(
        "a volume is mounted at {}: what it covers was not taken, and may load when it goes; look at what it is (df, mount), unmount it and call again",
        escape(&mount)
    ))
}

/// The first thing below a directory that is mounted there.
fn first(
    above: &Dir,
    name: &[u8],
    depth: usize,
    left: &mut usize,
) -> Result<Option<Vec<u8>>, ReadError> {
    // What cannot be opened or listed is not removed either, and moves as it is.
    let Ok(dir) = above.open_dir(name) else {
        return Ok(None);
    };
    let device = dir.own_meta()?.dev;
    let (mut found, mut below) = (Ok(None), Vec::new());
    // Of what is no directory no name is held: there may be any number.
    let listed = dir.each(|name, _| {
        match dir.meta_and_mount(name, device) {
            Err(error) if error.is_absent() => {}
            Err(error) => found = Err(error),
            Ok((_, true)) => found = Ok(Some(dir.join(name))),
            Ok((meta, false)) if meta.kind == Kind::Directory && *left > 0 => {
                *left = left.saturating_sub(1);
                below.push(name.to_vec());
            }
            Ok(_) => {}
        }
        matches!(found, Ok(None))
    });
    if listed.is_err() || !matches!(found, Ok(None)) || depth >= DEPTH {
        return found;
    }
    for name in &below {
        let found = first(&dir, name, depth.saturating_add(1), left)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    *left = left.saturating_add(below.len());
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    /// By a volume that most systems have there: none has to be mounted.
    #[test]
    fn a_volume_on_the_way_is_told_however_far_above() {
        let device = |path: &str| Path::new(path).metadata().map(|meta| meta.dev());
        let there = (device("/dev"), device("/dev/shm"));
        let (Ok(above), Ok(below)) = there else {
            return;
        };
        let Ok(place) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        if above == below {
            return;
        }
        let inner = place.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let root = Root::open(Path::new("/")).unwrap();
        for path in [inner.as_path(), place.path()] {
            let found = root.find_entry(path.as_os_str().as_encoded_bytes());
            let line = on_the_way(&found.unwrap()).unwrap();
            assert!(
                line.starts_with("a volume is mounted at /dev/shm: "),
                "{line}"
            );
        }
        // `/dev` itself is another volume on many, as a Mac has them at its `/`.
        let found = root.find_entry(b"/dev/null").unwrap();
        assert_eq!(on_the_way(&found), None);
    }
}
