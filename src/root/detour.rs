//! Where a Mac goes on for a name that an image lacks: by links of the system's volume, and from one volume to another.

use super::path::{components, without_dots};
use crate::directory::Dir;
use crate::name;

/// The directories of `/private` that a Mac shows at its `/` as well, by links of the system volume.
pub(super) const PRIVATE: &[&[u8]] = &[b"etc", b"tmp", b"var"];

/// Links of the system volume that lead to the data volume, and where (macOS 11 and later).
pub(super) const SYSTEM_LINKS: &[(&str, &str)] = &[
    ("usr/lib/cron", "private/var/at"),
    ("usr/X11", "private/var/select/X11"),
    ("usr/X11R6", "private/var/select/X11"),
    ("usr/share/zoneinfo", "var/db/timezone/zoneinfo"),
    ("System/Library/User Template", "Library/User Template"),
];

/// What an image has in the place of a link of the system's volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covered {
    /// That link, or nothing.
    No,
    /// Something else. On the data volume nobody reaches that, and whoever is root can put it there.
    Yes,
    /// The same, and the image lacks what the link leads to: it may be that, from a Mac of which links were followed.
    Perhaps,
}

/// What stands in the place of a link of the system's volume; nothing where that has none.
pub(super) fn covered(top: &Dir, dir: &Dir, name: &[u8]) -> Option<Covered> {
    let place = dir.join(name);
    let names = place.split(|b| *b == b'/').skip(1);
    let is = |link: &str| {
        let link = link.split('/').map(str::as_bytes);
        names.clone().count() == link.clone().count()
            && names.clone().zip(link).all(|(a, b)| name::same(a, b))
    };
    let private = PRIVATE.iter().filter(|_| dir.path() == b"/");
    let private = private.filter(|own| name::same(name, own));
    let private = private.map(|own| [b"/private/", *own].concat());
    let further = SYSTEM_LINKS.iter().filter(|(link, _)| is(link));
    let further = further.map(|(_, target)| [b"/", target.as_bytes()].concat());
    let target = private.chain(further).next()?;
    let is_the_systems = || match dir.spelled(name) {
        Ok(Some(name)) => dir.read_link(&name).is_ok_and(|text| {
            let whole = match text.starts_with(b"/") {
                true => text,
                false => dir.join(&text),
            };
            without_dots(&whole) == target
        }),
        Ok(None) => true,
        Err(_) => false,
    };
    Some(match is_the_systems() {
        true => Covered::No,
        false if matches!(top.spelled(b"private"), Ok(None)) => Covered::Perhaps,
        false => Covered::Yes,
    })
}

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

/// By what a Mac goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detour {
    /// A link of the system's volume.
    Link,
    /// The data volume's own name, which shows what no firm link leads to as well.
    Data,
    /// Another name of the volume.
    Volume,
}

/// Where a Mac goes on from its `/` for a name that an image does not hold: the data volume stands
/// at `/System/Volumes/Data` too, each volume at `/Volumes` by its name, `/var` is `/private/var`, and
/// the system volume has links. Changes what is left to walk, the last first.
pub(super) fn detour(top: &Dir, dir: &Dir, name: &[u8], todo: &mut Vec<Vec<u8>>) -> Option<Detour> {
    let is_next = |todo: &[Vec<u8>], names: &[&[u8]]| {
        let next = todo.iter().rev().take(names.len());
        todo.len() >= names.len() && next.zip(names).all(|(a, b)| name::same(a, b))
    };
    if let Some((passed, target)) = system_link(dir.path(), name, todo) {
        todo.truncate(todo.len().saturating_sub(passed));
        todo.extend(components(target.as_bytes()));
        return Some(Detour::Link);
    }
    let is_by_data = match dir.path() {
        b"/" => name::same(name, b"System"),
        path => matches!(
            path,
            b"/System" | b"/System/Volumes" | b"/System/Volumes/Data"
        ),
    };
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
                return None;
            }
            0
        }
        b"/" if PRIVATE.iter().any(|p| name::same(name, p)) => {
            if !matches!(top.spelled(b"private"), Ok(Some(_))) {
                return None;
            }
            todo.push(name.to_vec());
            todo.push(b"private".to_vec());
            return Some(Detour::Link);
        }
        // Which name is the system's own, the image does not say.
        b"/" if name::same(name, b"Volumes") && todo.len() > 1 => 1,
        b"/Volumes" if !todo.is_empty() => 0,
        _ => return None,
    };
    todo.truncate(todo.len().saturating_sub(passed));
    Some(match is_by_data {
        true => Detour::Data,
        false => Detour::Volume,
    })
}
