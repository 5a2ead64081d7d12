//! What is mounted in a thing: it belongs to another volume, and is neither moved nor removed with it. And what is mounted on
//! the way to it, which covers what stands there otherwise.

use crate::directory::{Dir, ReadError};
use crate::meta::Kind;
use crate::root::Found;
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

/// What is said of a thing that stands on a volume which a Mac has not there: it is taken, for it may be what runs, and what
/// the volume covers is seen by nobody before that goes.
pub fn on_the_way(found: &Found) -> Option<String> {
    let mount = found.mount()?;
    Some(format!(
        "a volume is mounted at {}: what it covers was not taken, and may load when it goes; look at what it is (df, mount), unmount it and call again",
        escape(&mount)
    ))
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
