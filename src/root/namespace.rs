//! What a path means to a Mac beyond what stands on its disk: prefixes and numbers of the kernel and of
//! CoreFoundation, and the paths that firm links have twice.

use crate::directory::Dir;
use crate::firm_links::{DATA, may_lie};
use crate::meta::{Kind, Meta};
use crate::name;

/// True where a path goes on by a number, whose meaning is not on the disk: `/.vol` is that of a file to
/// the kernel (xnu, `bsd/vfs/vfs_lookup.c`), `/.file` to CoreFoundation, which makes such a path a file
/// reference (`_pathHasFileIDPrefix` of CFURL.c); `/dev/fd` is a file that a process has open. Whether
/// anything of that name stands on the disk does not matter. What is left to walk stands the last first.
pub(super) fn is_by_number(above: &[Vec<u8>], name: &[u8], todo: &[Vec<u8>]) -> bool {
    let is_dev = |name: &[u8]| name::same(name, b"dev");
    match (above, todo) {
        ([], [.., _]) if matches!(name, b".vol" | b".file") => true,
        ([], [.., _, next]) => is_dev(name) && next == b"fd",
        ([first], [.., _]) => is_dev(first) && name == b"fd",
        _ => false,
    }
}

/// The kernel opens `/.nofollow/P` and `/.resolve/N/P` as `/P`, by rules on links that only refuse more,
/// since macOS 15.4. (xnu, `bsd/sys/paths.h`, `tests/vfs/resolve_namespace.c`: read, not seen.)
const NOFOLLOW: &[u8] = b".nofollow";
pub(super) const RESOLVE: &[u8] = b".resolve";

/// True when a name at the beginning of a path is such a prefix, by what comes after it, the last first.
pub(super) fn is_prefix(name: &[u8], todo: &[Vec<u8>]) -> bool {
    let is_number = |n: &Vec<u8>| n.iter().all(|b| b.is_ascii_hexdigit() || *b == b'x');
    match name {
        NOFOLLOW => !todo.is_empty(),
        RESOLVE => todo.len() > 1 && todo.last().is_some_and(is_number),
        _ => false,
    }
}

/// The names after those of the data volume, where these and one more lead to what may stand behind a firm link. A way
/// may be as long as whoever plants links makes it.
pub(super) fn on_data(above: &[Vec<u8>], name: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = above;
    for own in DATA.split(|b| *b == b'/').skip(1) {
        let (first, after) = rest.split_first()?;
        if !name::same(first, own) {
            return None;
        }
        rest = after;
    }
    let first = rest.first().map_or(name, Vec::as_slice);
    may_lie(first, rest.len().saturating_add(1)).then(|| [rest, &[name.to_vec()]].concat())
}

/// True when a directory of the data volume stands behind a firm link: by the same names from `/` a Mac has the very
/// same directory. Whoever asks the kernel for its path is told that one, and `..` leads up from there.
pub(super) fn is_firmlink(top: &Dir, names: &[Vec<u8>], meta: &Meta) -> bool {
    let Some((name, above)) = names.split_last() else {
        return false;
    };
    let mut dir = top.clone();
    for name in above {
        match dir.open_dir(name) {
            Ok(below) => dir = below,
            Err(_) => return false,
        }
    }
    dir.meta(name)
        .is_ok_and(|m| (m.kind, m.dev, m.ino) == (Kind::Directory, meta.dev, meta.ino))
}
