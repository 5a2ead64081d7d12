//! The volume that something stands on, and where on the way to it one is mounted that a Mac has not there.
//!
//! Whoever mounts one chooses by what program what is read: its server (NFS on this computer, FUSE) can give each
//! another file, with whatever numbers and times. So what it serves proves nothing, and only that it is there
//! counts. The device's number does not: a Mac numbers its volumes anew when it starts.

use std::sync::Arc;

use crate::directory::Dir;
use crate::firm_links;
use crate::meta::{Kind, Meta};

/// Where volumes and the shares of `autofs` are mounted (`/etc/auto_master`).
const IN_SIGHT: &[&[u8]] = &[b"/volumes", b"/network", b"/net", b"/home"];
/// Where the system has volumes of its own and its cryptexes, and what they are called there. Below them it has none that
/// anything of a bundle leads to.
const OWN: &[(&[u8], &[&[u8]])] = &[
    (
        b"/system/volumes/",
        &[
            b"basesystem",
            b"fieldservice",
            b"fieldservicediagnostic",
            b"fieldservicerepair",
            b"hardware",
            b"iscpreboot",
            b"preboot",
            b"recovery",
            b"update",
            b"vm",
            b"xarts",
        ],
    ),
    (b"/system/cryptexes/", CRYPTEXES),
    (b"/system/volumes/preboot/cryptexes/", CRYPTEXES),
];
const CRYPTEXES: &[&[u8]] = &[b"app", b"exclaveos", b"os"];

/// Names of `/` below which plug-in folders stand. That they stand on another volume than `/` says nothing, for a
/// firm link leads there; but the system says where that is mounted (`f_mntonname`, statfs(2)), and that is not here.
const ABOVE_FOLDERS: &[&[u8]] = &[b"/library", b"/system"];

/// What is known of the volume that a directory stands on.
#[derive(Clone, Debug, Default)]
pub(super) struct Volume {
    /// Its number; `None` where it was not asked.
    device: Option<u64>,
    /// The first place on the way to the directory at which one is mounted.
    mount: Option<Arc<[u8]>>,
}

impl Volume {
    /// Where the first volume is mounted on the way.
    pub(super) fn mount(&self) -> Option<&Arc<[u8]>> {
        self.mount.as_ref()
    }

    /// Its number, where it is known.
    pub(super) fn device(&self) -> Option<u64> {
        self.device
    }

    /// That of an entry of `dir`, of which this is known; `is_top` where the system says that one is mounted on it.
    pub(super) fn below(&self, dir: &Dir, name: &[u8], (meta, is_top): (&Meta, bool)) -> Self {
        let is_new = || {
            // No volume is mounted over a file on a Mac, and in an image a file's device may be that of a layer.
            let may_be = meta.kind == Kind::Directory && dir.path() != b"/" && name != b".";
            let device = || self.device.or_else(|| Some(dir.own_meta().ok()?.dev));
            may_be && (is_top || device().is_some_and(|device| device != meta.dev))
        };
        let mount = self.mount.clone().or_else(|| {
            if dir.path() == b"/" {
                let mounted_on = || dir.open_dir(name).ok()?.mounted_on();
                return is_over(&dir.join(name), mounted_on).then(|| dir.join(name).into());
            }
            let path = is_new().then(|| dir.join(name))?;
            (!is_of_a_mac(&path)).then(|| path.into())
        });
        Self {
            device: Some(meta.dev),
            mount,
        }
    }

    /// The same, with a place that was passed before a link led on.
    pub(super) fn passing(self, mount: Option<Arc<[u8]>>) -> Self {
        let mount = mount.or(self.mount);
        Self { mount, ..self }
    }

    /// That of a directory further up on the way, so many names below the root.
    pub(super) fn above(self, names: usize) -> Self {
        let depth = |path: &[u8]| path.iter().filter(|b| **b == b'/').count();
        Self {
            device: None,
            mount: self.mount.filter(|mount| depth(mount) <= names),
        }
    }
}

/// True where what stands above a plug-in folder is itself where its volume is mounted.
fn is_over(path: &[u8], mounted_on: impl FnOnce() -> Option<Vec<u8>>) -> bool {
    let path = path.to_ascii_lowercase();
    ABOVE_FOLDERS.contains(&path.as_slice())
        && mounted_on().is_some_and(|place| place.to_ascii_lowercase() == path)
}

/// True where a Mac has volumes mounted, or goes over to another by a firmlink: at its `/`, where volumes and
/// network homes are, which the path shows, and at what the system has for itself.
fn is_of_a_mac(path: &[u8]) -> bool {
    // A Mac finds names in any letter case.
    let path = path.to_ascii_lowercase();
    let is_below = |path: &[u8], above: &[u8]| {
        let rest = path.strip_prefix(above);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    let (path, is_on_data) = match firm_links::below_data(&path) {
        Some(b"") => return true,
        Some(rest) => (rest, true),
        None => (path.as_slice(), false),
    };
    let is_first = path.iter().filter(|b| **b == b'/').count() == 1;
    // A firm link's directory is another volume's, and below it a Mac has nothing mounted. What has these paths on the
    // data volume is no firm link, and no volume of the system's.
    let is_own = |(above, names): &(&[u8], &[&[u8]])| {
        let name = path.strip_prefix(*above);
        name.is_some_and(|name| names.contains(&name))
    };
    let is_of_system = !is_on_data && (firm_links::is_one(path) || OWN.iter().any(is_own));
    let is_in_sight = IN_SIGHT.iter().any(|above| is_below(path, above));
    is_first || is_of_system || is_in_sight
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `df` of macOS shows it: of `/Library` the data volume, unless something is mounted over it.
    #[test]
    fn a_volume_over_all_of_library_is_told_from_a_firm_link() {
        let is_over = |path: &[u8], place: &[u8]| is_over(path, || Some(place.to_vec()));
        assert!(is_over(b"/Library", b"/Library"));
        assert!(is_over(b"/library", b"/Library"));
        assert!(!is_over(b"/Library", b"/System/Volumes/Data"));
        assert!(!is_over(b"/System", b"/"));
        // Who has the homes on a volume of their own.
        assert!(!is_over(b"/Users", b"/Users"));
    }

    #[test]
    fn a_mac_has_volumes_in_some_places_alone() {
        for path in [
            "/Library",
            "/Users",
            "/nix",
            "/usr/local",
            "/usr/libexec/cups",
            "/Volumes/Work",
            "/volumes/Work/inner",
            "/Network/Servers/host/Users/a",
            "/System/Volumes/Data/home/a",
            "/System/Volumes/Data",
            "/System/Volumes/Data/Library",
            "/System/Volumes/Data/Volumes/Work",
            "/System/Volumes/Preboot/Cryptexes/OS",
            "/System/Cryptexes/OS",
            "/System/Library/AssetsV2",
            "/System/Library/Caches",
            "/System/Library/CoreServices/CoreTypes.bundle/Contents/Library",
            "/System/Volumes/VM",
            "/System/Volumes/iSCPreboot",
        ] {
            assert!(is_of_a_mac(path.as_bytes()), "{path}");
        }
        for path in [
            "/Library/DirectoryServices",
            "/Library/DirectoryServices/PlugIns",
            "/System/Volumes/Data/Library/DirectoryServices",
            "/System/Library",
            "/System/Library/Frameworks",
            "/System/Library/Frameworks/DirectoryService.framework/Resources",
            "/Users/Shared/fw",
            "/usr/local/lib",
            "/private/var/db",
            "/System/Volumes/Data/System/x",
            "/System/Volumes/Data/System/Library/Caches",
            "/System/Volumes/Data/usr/local",
            "/System/Library/CoreServices/CoreTypes.bundle",
            "/System/Volumes/VM/x",
            "/System/Volumes/Preboot/Cryptexes",
            "/System/Volumes/Preboot/Cryptexes/x",
            "/System/Cryptexes/OS/x",
            "/System/Volumes/x",
            "/VolumesToo/x",
        ] {
            assert!(!is_of_a_mac(path.as_bytes()), "{path}");
        }
    }
}
