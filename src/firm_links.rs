//! The firm links: what of the system's paths is the data volume's, where root writes. Whoever goes by another list takes
//! for sealed what is not.

use crate::name;

/// Where the data volume stands as a whole.
pub const DATA: &[u8] = b"/System/Volumes/Data";

/// Those further down than at a Mac's top (`/usr/share/firmlinks` of macOS 10.15 to 13).
pub const FURTHER_DOWN: &[&str] = &[
    "/System/Library/Assets",
    "/System/Library/AssetsV2",
    "/System/Library/Caches",
    "/System/Library/CoreServices/CoreTypes.bundle/Contents/Library",
    "/System/Library/PreinstalledAssets",
    "/System/Library/PreinstalledAssetsV2",
    "/System/Library/Speech",
    "/usr/local",
    "/usr/libexec/cups",
    "/usr/share/snmp",
];
/// Names of which there are more with each version: a later one's count before they are known.
const VERSIONED: &[&[u8]] = &[
    b"/System/Library/Assets",
    b"/System/Library/PreinstalledAssets",
];

/// What follows the data volume's own path in one, in whatever letter case: a Mac's disk does not tell it apart.
pub fn below_data(path: &[u8]) -> Option<&[u8]> {
    below(path, DATA)
}

/// True for a path that is itself a firm link further down than at the top.
pub fn is_one(path: &[u8]) -> bool {
    FURTHER_DOWN
        .iter()
        .any(|l| path.eq_ignore_ascii_case(l.as_bytes()))
}

/// True for the path of such a firm link and for all below it, and for what may be one.
pub fn leads_behind(path: &[u8]) -> bool {
    let is_versioned = |name: &&[u8]| {
        let head = path.get(..name.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(name))
    };
    FURTHER_DOWN
        .iter()
        .any(|l| below(path, l.as_bytes()).is_some())
        || VERSIONED.iter().any(is_versioned)
}

/// True where one of these may lie so many names below the top, of which this is the first. One at the top may have any
/// name.
pub fn may_lie(first: &[u8], names: usize) -> bool {
    let names_of = |link: &&'static str| link.split('/').map(str::as_bytes).skip(1);
    names == 1
        || FURTHER_DOWN.iter().map(names_of).any(|mut link| {
            let is_first = link.next().is_some_and(|n| name::same(n, first));
            is_first && names <= link.count().saturating_add(1)
        })
}

fn below<'a>(path: &'a [u8], above: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = path.split_at_checked(above.len())?;
    let is_below = head.eq_ignore_ascii_case(above) && (rest.is_empty() || rest.starts_with(b"/"));
    is_below.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_behind_one_is_told_in_any_letter_case_and_of_later_versions() {
        for path in [
            "/usr/local",
            "/USR/local/lib/x",
            "/System/Library/AssetsV2/x",
            "/System/Library/AssetsV9/x",
            "/System/Library/PreinstalledAssetsV9",
            "/System/Library/Speech/x",
        ] {
            assert!(leads_behind(path.as_bytes()), "{path}");
        }
        for path in ["/usr/localx", "/usr/lib", "/System/Library/Speechx", "/usr"] {
            assert!(!leads_behind(path.as_bytes()), "{path}");
        }
        assert!(is_one(b"/Usr/Local") && !is_one(b"/usr/local/lib"));
    }

    #[test]
    fn one_may_lie_at_the_top_or_as_deep_as_any_below_the_same_name() {
        assert!(may_lie(b"Users", 1) && !may_lie(b"Users", 2));
        assert!(may_lie(b"USR", 3) && !may_lie(b"usr", 4));
        assert!(may_lie(b"System", 6) && !may_lie(b"System", 7));
    }

    #[test]
    fn what_follows_the_data_volume_begins_at_a_name() {
        let below = |path: &'static str| below_data(path.as_bytes());
        assert_eq!(below("/system/volumes/DATA/Users"), Some(&b"/Users"[..]));
        assert_eq!(below("/System/Volumes/Data"), Some(&b""[..]));
        assert_eq!(below("/System/Volumes/Data2"), None);
    }
}
