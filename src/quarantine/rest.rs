//! What may be removed: a rest or a part of a thing of which the whole stands elsewhere. Whoever can write the ledger
//! says where that is, and what it was, so that both are read now and held against each other.

use std::fs::File;
use std::io::{self, Read as _};

use crate::directory::{Dir, ReadError};
use crate::meta::Kind;
use crate::reading::{Portion, Reading};
use crate::tree::{Entry, Tree};

/// Bytes of an extended attribute that is copied, or held against another: it is in memory for that.
pub const MOST_VALUE: usize = 16 << 20;
/// Bytes of two files that are held against each other at once.
const CHUNK: u64 = 64 << 10;

/// What the system itself puts on a file that is made.
const OF_THE_SYSTEM: &[u8] = b"com.apple.provenance";

/// What of a thing may stand in one of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All of it.
    Whole,
    /// What a removal has left: entries are gone, and each that stands is as it was.
    Removed,
    /// A copy that was begun: a file may end early, and owner and mode come last.
    Begun,
}

/// Holds what may be removed to what stands elsewhere: each of its entries stands there too, with the same
/// content. What is not there at all is removed already.
///
/// # Errors
/// With a line about the first entry of which that is not so, or not known.
pub fn hold(
    rest: Rest,
    part: (&Dir, &[u8]),
    whole: (&Dir, &[u8]),
    reading: &Reading,
) -> Result<(), String> {
    let survey = |(dir, name): (&Dir, &[u8])| Tree::survey(dir, name, reading.entries);
    let mut portion = reading.portion();
    let part = match survey(part) {
        Err(error) if error.is_absent() => return Ok(()),
        surveyed => surveyed.map_err(|e| e.to_string())?,
    };
    let whole = survey(whole).map_err(|e| e.to_string())?;
    if let Some(line) = part.left_out.iter().chain(&whole.left_out).next() {
        return Err(line.clone());
    }
    let id = |tree: &Tree| tree.top().map(|top| (top.meta.dev, top.meta.ino));
    if id(&part) == id(&whole) {
        return Err("the other place is the very same, and there is one thing alone".into());
    }
    if rest == Rest::Whole && part.entries.len() != whole.entries.len() {
        return Err("the other has not the same entries".into());
    }
    // Both are in order of path.
    let mut stands = whole.entries.iter();
    for a in &part.entries {
        let b = stands
            .find(|b| b.path >= a.path)
            .filter(|b| b.path == a.path);
        let is_same = match b {
            Some(b) => is_like(rest, a, b) && has_all(&part, a, &whole, b, &mut portion)?,
            None => false,
        };
        if !is_same {
            return Err(format!(
                "{} stands there alone, or otherwise",
                part.path_of(a)
            ));
        }
    }
    Ok(())
}

/// True when what the file system says of two entries is the same; the time of a directory from which something was
/// removed is not.
fn is_like(rest: Rest, a: &Entry, b: &Entry) -> bool {
    let rights = |e: &Entry| {
        let mode = if e.meta.kind == Kind::Symlink {
            0
        } else {
            e.meta.mode
        };
        (e.meta.uid, e.meta.gid, mode)
    };
    a.meta.kind == b.meta.kind
        && a.link == b.link
        && (rest == Rest::Begun || (rights(a) == rights(b)))
        && match (a.meta.kind, rest) {
            (Kind::File, Rest::Begun) => a.meta.size <= b.meta.size,
            (Kind::File, _) => a.meta.size == b.meta.size,
            _ => true,
        }
}

/// True when one entry holds nothing that the other does not.
fn has_all(
    part: &Tree,
    a: &Entry,
    whole: &Tree,
    b: &Entry,
    portion: &mut Portion<'_>,
) -> Result<bool, String> {
    let size = if a.meta.kind == Kind::File {
        a.meta.size
    } else {
        0
    };
    portion.room(size, || part.real_path(a))?;
    Ok(
        has_attributes(part, a, whole, b).map_err(|e| e.to_string())?
            && (a.meta.kind != Kind::File || begins_with(part, a, whole, b, portion)?),
    )
}

fn has_attributes(part: &Tree, a: &Entry, whole: &Tree, b: &Entry) -> Result<bool, ReadError> {
    let (few, all) = (part.attributes(a)?, whole.attributes(b)?);
    for name in few.names().iter().filter(|name| *name != OF_THE_SYSTEM) {
        if !all.names().contains(name) {
            return Ok(false);
        }
        let value = few.value(name, MOST_VALUE)?;
        if value.is_none() || value != all.value(name, MOST_VALUE)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True when a file is another, or the beginning of it.
fn begins_with(
    part: &Tree,
    a: &Entry,
    whole: &Tree,
    b: &Entry,
    portion: &mut Portion<'_>,
) -> Result<bool, String> {
    let open = |tree: &Tree, entry| {
        let file = tree.open_file(entry).map_err(|e| e.to_string())?;
        Ok::<_, String>(File::from(file.fd))
    };
    let (mut few, mut all) = (open(part, a)?, open(whole, b)?);
    let fail = |error: io::Error| format!("cannot read {}: {error}", part.path_of(a));
    let (mut one, mut other) = (Vec::new(), Vec::new());
    loop {
        one.clear();
        other.clear();
        (&mut few).take(CHUNK).read_to_end(&mut one).map_err(fail)?;
        (&mut all)
            .take(CHUNK)
            .read_to_end(&mut other)
            .map_err(fail)?;
        let taken = u64::try_from(one.len()).unwrap_or(u64::MAX);
        portion.take(taken, || part.real_path(a))?;
        if !other.starts_with(&one) {
            return Ok(false);
        }
        if one.len() < other.len() || one.is_empty() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn held(rest: Rest, top: &Path, part: &str, whole: &str) -> Result<(), String> {
        let dir = Dir::open_top(top).unwrap();
        hold(
            rest,
            (&dir, part.as_bytes()),
            (&dir, whole.as_bytes()),
            &Reading::new(1000, 1000),
        )
    }

    fn write(path: std::path::PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_is_removed_stands_elsewhere_with_the_same_content() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        for text in ["a/one", "a/d/two"] {
            write(top.join("whole").join(text), text);
        }
        write(top.join("again/a/one"), "a/one");
        held(Rest::Whole, top, "again", "whole").unwrap_err();
        held(Rest::Removed, top, "again", "whole").unwrap();
        write(top.join("again/a/d/two"), "a/d/two");
        held(Rest::Whole, top, "again", "whole").unwrap();
        for (part, text, removed, begun) in [
            ("a/one", "a/one", true, true),
            ("a/d/two", "a/d/t", false, true),
            ("a/one", "", false, true),
            ("a/one", "a/one and more", false, false),
            ("a/one", "a/onf", false, false),
            ("a/three", "a/one", false, false),
            ("a/one/d", "a/one", false, false),
        ] {
            let _ = fs::remove_dir_all(top.join("part"));
            write(top.join("part").join(part), text);
            for (rest, is_held) in [(Rest::Removed, removed), (Rest::Begun, begun)] {
                let told = held(rest, top, "part", "whole");
                assert_eq!(told.is_ok(), is_held, "{part} {text:?} {rest:?}: {told:?}");
            }
        }
        held(Rest::Whole, top, "none", "whole").unwrap();
        held(Rest::Removed, top, "none", "none").unwrap();
        held(Rest::Removed, top, "whole", "none").unwrap_err();
    }

    /// A place that a link, or a name of the ledger, leads into the vault.
    #[test]
    fn a_thing_is_no_copy_of_itself() {
        let top = tempfile::tempdir().unwrap();
        write(top.path().join("a/b"), "");
        let why = held(Rest::Removed, top.path(), "a", "a").unwrap_err();
        assert!(why.contains("one thing alone"), "{why}");
    }

    #[test]
    fn what_an_attribute_holds_is_held_too() {
        let top = tempfile::tempdir().unwrap();
        for name in ["one", "other"] {
            write(top.path().join(name), "");
        }
        let none = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(top.path().join("one"), "user.x", b"1", none).is_err() {
            return;
        }
        held(Rest::Begun, top.path(), "one", "other").unwrap_err();
        held(Rest::Begun, top.path(), "other", "one").unwrap();
        rustix::fs::setxattr(top.path().join("other"), "user.x", b"1", none).unwrap();
        held(Rest::Begun, top.path(), "one", "other").unwrap();
    }
}
