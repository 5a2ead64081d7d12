//! What a path means to a Mac beyond what stands on its disk: prefixes and numbers of the kernel and of
//! CoreFoundation, and where an image lacks it, what one volume is called on another.

use super::path::components;
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

/// The directories of `/private` that a Mac shows at its `/` as well, by links of the system volume.
const PRIVATE: &[&[u8]] = &[b"etc", b"tmp", b"var"];

/// True where an image has something else at its top than a Mac finds by that name, which is a link of the system's
/// volume: on the data volume a directory of that name is reached by nobody, and whoever is root can make one.
pub(super) fn is_covered(top: &Dir, name: &[u8]) -> bool {
    let Some(own) = PRIVATE.iter().find(|own| name::same(name, own)) else {
        return false;
    };
    let is_the_systems = || match top.spelled(name) {
        Ok(Some(name)) => top.read_link(&name).is_ok_and(|text| {
            let names = components(&text);
            names
                .iter()
                .map(Vec::as_slice)
                .eq([*own, b"private".as_slice()])
        }),
        Ok(None) => true,
        Err(_) => false,
    };
    !matches!(top.spelled(b"private"), Ok(None)) && !is_the_systems()
}

/// Links of the system volume that lead to the data volume, and where (macOS 11 and later).
const SYSTEM_LINKS: &[(&str, &str)] = &[
    ("usr/lib/cron", "private/var/at"),
    ("usr/X11", "private/var/select/X11"),
    ("usr/X11R6", "private/var/select/X11"),
    ("System/Library/User Template", "Library/User Template"),
];

/// Where a link of the system volume leads that is on the way: by a name that a directory has not, and what comes
/// after it, the last first. How many names of that are the link's, too.
fn system_link(dir: &[u8], name: &[u8], todo: &[Vec<u8>]) -> Option<(usize, &'static str)> {
    let here = dir.split(|b| *b == b'/').filter(|n| !n.is_empty());
    let here: Vec<&[u8]> = here.chain([name]).collect();
    SYSTEM_LINKS.iter().find_map(|(link, target)| {
        let link: Vec<&str> = link.split('/').collect();
        let after = link.len().checked_sub(here.len())?;
        let way = here.iter().copied();
        let mut way = way.chain(todo.iter().rev().map(Vec::as_slice)).zip(&link);
        let is_on_it = todo.len() >= after && way.all(|(a, b)| name::same(a, b.as_bytes()));
        is_on_it.then_some((after, *target))
    })
}

/// The place of a volume below `/Volumes` that a way leads through, by the name that comes next in a directory and what
/// comes after it, the last first.
pub(super) fn by_volume(dir: &[u8], name: &[u8], todo: &[Vec<u8>]) -> Option<Vec<u8>> {
    let volume = match dir {
        b"/" if name::same(name, b"Volumes") => todo.last()?,
        b"/Volumes" => name,
        _ => return None,
    };
    Some([b"/Volumes/", volume].concat())
}

/// What every Mac has at its `/`, whatever an image of its data volume has.
const AT_TOP: &[&[u8]] = &[
    b"Applications",
    b"Library",
    b"Network",
    b"System",
    b"Users",
    b"Volumes",
    b"bin",
    b"cores",
    b"dev",
    b"etc",
    b"home",
    b"net",
    b"opt",
    b"private",
    b"sbin",
    b"tmp",
    b"usr",
    b"var",
];

/// True for a name that an image has not at its top and that a Mac may make there when it starts, where the image has
/// the file that says so (`synthetic.conf(5)`).
pub(super) fn is_synthetic(top: &Dir, dir: &Dir, name: &[u8]) -> bool {
    if dir.path() != b"/" || AT_TOP.iter().any(|own| name::same(name, own)) {
        return false;
    }
    let etc = |dir: &Dir| dir.open_dir(b"etc").ok();
    let private = top.open_dir(b"private").ok();
    let mut places = private.as_ref().and_then(etc).into_iter().chain(etc(top));
    places.any(|etc| {
        let stands = |name: &[u8]| etc.meta(name).is_ok();
        stands(b"synthetic.conf") || stands(b"synthetic.d")
    })
}

/// Where a Mac goes on from its `/` for a name that an image does not hold: the data volume stands
/// at `/System/Volumes/Data` too, each volume at `/Volumes` by its name, `/var` is `/private/var`, and
/// the system volume has links. Changes what is left to walk, the last first; false when there is no such way.
pub(super) fn detour(top: &Dir, dir: &Dir, name: &[u8], todo: &mut Vec<Vec<u8>>) -> bool {
    let is_next = |todo: &[Vec<u8>], names: &[&[u8]]| {
        let next = todo.iter().rev().take(names.len());
        todo.len() >= names.len() && next.zip(names).all(|(a, b)| name::same(a, b))
    };
    if let Some((passed, target)) = system_link(dir.path(), name, todo) {
        todo.truncate(todo.len().saturating_sub(passed));
        todo.extend(components(target.as_bytes()));
        return true;
    }
    let passed = match dir.path() {
        b"/" if name::same(name, b"System") && is_next(todo, &[b"Volumes", b"Data"]) => 2,
        b"/System" if name::same(name, b"Volumes") && is_next(todo, &[b"Data"]) => 1,
        b"/System/Volumes" if name::same(name, b"Data") => 0,
        b"/System/Volumes/Data" => {
            todo.push(name.to_vec());
            0
        }
        b"/" if name::same(name, b"private") => {
            if !PRIVATE.iter().any(|p| is_next(todo, &[p])) {
                return false;
            }
            0
        }
        b"/" if PRIVATE.iter().any(|p| name::same(name, p)) => {
            if !matches!(top.spelled(b"private"), Ok(Some(_))) {
                return false;
            }
            todo.push(name.to_vec());
            todo.push(b"private".to_vec());
            0
        }
        // Which name is the system's own, the image does not say.
        b"/" if name::same(name, b"Volumes") && todo.len() > 1 => 1,
        b"/Volumes" if !todo.is_empty() => 0,
        _ => return false,
    };
    todo.truncate(todo.len().saturating_sub(passed));
    true
}
