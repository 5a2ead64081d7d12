//! What an archive is, and says, of a disk that changes while it is written.

use std::fs;
use std::io::{self, Read as _, Write};

use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::{Disk, PLUGINS, Plugin};

use super::*;
use crate::limits::Limits;
use crate::scan::Scanner;

/// Does something once so much was written.
struct Meanwhile<F> {
    out: Vec<u8>,
    after: usize,
    act: Option<F>,
}

impl<F: FnOnce()> Write for Meanwhile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        if self.out.len() > self.after
            && let Some(act) = self.act.take()
        {
            act();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Scans, and collects all that was found, with something that happens once so many bytes are written, or before the
/// first; gives the members' names, and what the manifest says is left out.
fn collected(disk: &Disk, after: usize, act: impl FnOnce()) -> (Vec<String>, Vec<String>) {
    collected_within(Bounds::STANDARD, disk, after, act)
}

/// The same within some bounds.
fn collected_within(
    bounds: Bounds,
    disk: &Disk,
    after: usize,
    act: impl FnOnce(),
) -> (Vec<String>, Vec<String>) {
    let root = Root::open(disk.path()).unwrap();
    let snapshot = Scanner::new(root.clone(), Limits::STANDARD).scan();
    let mut act = Some(act);
    if let Some(act) = act.take_if(|_| after == 0) {
        act();
    }
    let out = Meanwhile {
        out: Vec::new(),
        after,
        act,
    };
    let archive = Archive::new(out, "top", bounds);
    let (bundles, case) = (snapshot.bundles.clone(), Circumstances::default());
    let collected = collect(archive, &root, snapshot, bundles, &case, None, 1_000).unwrap();
    let out = collected.written.out;
    assert!(out.act.is_none());
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(out.out.as_slice()));
    let (mut names, mut left_out) = (Vec::new(), Vec::new());
    for member in tar.entries().unwrap() {
        let mut member = member.unwrap();
        let name = member.path().unwrap().display().to_string();
        if name.ends_with(MANIFEST) {
            let mut text = String::new();
            member.read_to_string(&mut text).unwrap();
            let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
            let lines = manifest["left_out"].as_array().unwrap();
            left_out.extend(lines.iter().map(|line| line.as_str().unwrap().to_owned()));
        }
        names.push(name);
    }
    (names, left_out)
}

/// An executable, a library and what a link leads to: each is held to what was judged.
#[test]
fn what_stands_outside_and_is_not_what_was_judged_is_said() {
    let outside = ["/opt/out", "/opt/named.dylib", "/opt/fw"];
    let disk = || {
        let disk = Disk::new();
        Plugin::new("Out")
            .key("CFBundleExecutable", "/opt/out")
            .without_executable()
            .write(disk.plugin(""));
        let loads = MachO::bundle(Cpu::X86_64).dylib_path("/opt/named.dylib");
        let loads = Plugin::new("Loads").executable(loads.unsigned());
        let loads = loads.write(disk.plugin(""));
        std::os::unix::fs::symlink("/opt/fw", loads.join("Contents/Frameworks")).unwrap();
        disk.file("opt/out", MachO::bundle(Cpu::X86_64).unsigned());
        disk.file("opt/named.dylib", "library");
        disk.file("opt/fw/l.dylib", "another");
        disk
    };
    let (_, left_out) = collected(&disk(), 0, || ());
    assert_eq!(left_out, [""; 0]);
    let changed = disk();
    let (_, left_out) = collected(&changed, 0, || {
        changed.file("opt/out", "other");
        changed.file("opt/named.dylib", "other");
        changed.file("opt/fw/l.dylib", "other");
    });
    for path in outside {
        let begin = format!("{path}: what was collected is not what was judged");
        assert!(
            left_out.iter().any(|line| line.starts_with(&begin)),
            "{path}: {left_out:?}"
        );
    }
    let gone = disk();
    let (_, left_out) = collected(&gone, 0, || {
        fs::remove_dir_all(gone.at("opt")).unwrap();
    });
    for path in outside {
        assert!(
            left_out.iter().any(|line| line.contains(path)),
            "{path}: {left_out:?}"
        );
    }
}

/// A link is in the archive when a directory takes its place: unpacked, what stands in that would be written
/// where the link leads.
#[test]
fn nothing_stands_below_a_link_in_an_archive() {
    let disk = Disk::new();
    let shared = disk.dir("Users/Shared");
    let mut number = 1_u32;
    let noise = std::iter::repeat_with(|| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        number.to_be_bytes()[0]
    });
    let noise = noise.take(1 << 20).collect::<Vec<_>>();
    Plugin::new("A")
        .file("Contents/noise", noise)
        .write(&shared);
    Plugin::new("B").write(&shared);
    let link = disk.link(format!("{PLUGINS}/x.lproj"), "/Users/Shared");
    let (names, left_out) = collected(&disk, 500_000, || {
        fs::remove_file(&link).unwrap();
        Plugin::new("B").file("Contents/planted", "").write(&link);
    });
    let is = |name: &str| names.iter().any(|n| n.ends_with(name));
    assert!(
        is("Users/Shared/A.dsplug/Contents/noise") && is("/x.lproj"),
        "{names:#?}"
    );
    assert!(
        !names.iter().any(|name| name.contains("x.lproj/")),
        "{names:#?}"
    );
    let said = left_out.iter().any(|line| {
        line.contains("x.lproj/B.dsplug/Contents/planted stands below what was no directory")
    });
    assert!(said, "{left_out:#?}");
}

/// A large one, and one that is a link into a bundle.
#[test]
fn what_stands_beside_takes_nothing_from_a_bundle() {
    let search = "Library/Preferences/OpenDirectory/Configurations/Search.plist";
    let disk = Disk::new();
    let bytes = Plugin::new("A").file("Contents/data", vec![b'x'; 4_000]);
    bytes.write(disk.plugin(""));
    let file = disk.file(search, vec![b'y'; 8_000]);
    let bounds = Bounds {
        bytes: 9_000,
        ..Bounds::STANDARD
    };
    let (names, left_out) = collected_within(bounds, &disk, 0, || ());
    let has = |names: &[String], name: &str| names.iter().any(|n| n.ends_with(name));
    assert!(has(&names, "Contents/data") && !has(&names, search));
    assert!(
        left_out.iter().all(|line| line.contains(search)),
        "{left_out:?}"
    );
    assert_eq!(left_out.len(), 1);
    fs::remove_file(&file).unwrap();
    let data = format!("/{PLUGINS}/A.dsplug/Contents/data");
    std::os::unix::fs::symlink(data, &file).unwrap();
    // Two bundles that share a file: it stands in the archive once, and both are whole.
    std::os::unix::fs::symlink("A.dsplug", disk.plugin("B.dsplug")).unwrap();
    let (names, left_out) = collected(&disk, 0, || ());
    assert_eq!(left_out, [""; 0]);
    assert!(has(&names, search));
}
