//! A whole bundle on disk, scanned and shown: it has its row, and it is shown the same again.
#![no_main]

use std::fs;
use std::os::unix::fs::symlink;

use dsplug::codesign::Roots;
use dsplug::engine::Engine;
use dsplug::limits::Limits;
use dsplug::root::Root;
use dsplug::scan::Scanner;
use dsplug_fixtures::Disk;
use dsplug_fuzz::{ATTRIBUTES, Kind, decode, roots};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{XattrFlags, lsetxattr};
use std::cell::RefCell;
use std::sync::LazyLock;

static ROOTS: LazyLock<Roots> = LazyLock::new(roots);

thread_local! {
    static PLACE: RefCell<(Disk, Engine)> = RefCell::new((Disk::new(), Engine::new().unwrap()));
}

fuzz_target!(|bytes: &[u8]| {
    PLACE.with_borrow_mut(|(disk, engine)| {
        let bundle = disk.plugin("Fuzz.dsplug");
        let _ = fs::remove_dir_all(&bundle);
        fs::create_dir(&bundle).unwrap();
        for (place, kind, content) in decode(bytes) {
            let path = bundle.join(place);
            let _ = path.parent().map(fs::create_dir_all);
            // What the bytes ask for and the disk does not allow is left out.
            let _ = match kind {
                Kind::Directory => fs::create_dir(&path),
                // Never through a link: that would lead out of the disk.
                Kind::File if within(&bundle, &path) => fs::write(&path, content),
                Kind::File => Ok(()),
                Kind::Link => match std::str::from_utf8(content) {
                    Ok(target) if within(&bundle, &path) => symlink(target, &path),
                    _ => Ok(()),
                },
                Kind::Attribute => {
                    attribute(&bundle, &path, content);
                    Ok(())
                }
            };
        }
        let root = Root::open(disk.path()).unwrap();
        let mut scanner = Scanner::new(root, Limits::STANDARD)
            .with_roots(ROOTS.clone())
            .remembering();
        let [first, second] = [(); 2].map(|()| {
            let snapshot = scanner.scan();
            ["dsplug_bundles", "dsplug_files"].map(|table| {
                engine
                    .query(&format!("SELECT * FROM {table}"), &snapshot)
                    .unwrap()
                    .rows
            })
        });
        assert_eq!(first, second);
        assert!(!first[0].is_empty());
    });
});

/// Gives an attribute to what stands there, else to the bundle, where the disk takes attributes.
fn attribute(bundle: &std::path::Path, path: &std::path::Path, content: &[u8]) {
    let [name, value @ ..] = content else { return };
    let name = ATTRIBUTES[usize::from(*name) % ATTRIBUTES.len()];
    for path in [path, bundle] {
        if lsetxattr(path, name, value, XattrFlags::empty()).is_ok() {
            return;
        }
    }
}

/// True when nothing stands at the path yet, and its directory is no link's.
fn within(bundle: &std::path::Path, path: &std::path::Path) -> bool {
    path.symlink_metadata().is_err()
        && path.parent().is_some_and(|parent| {
            let real = parent.canonicalize().ok();
            real.is_some_and(|real| real.ends_with(parent.strip_prefix("/").unwrap()))
        })
        && path.starts_with(bundle)
}
