//! What the extension reads on the host: the plug-in folders, and the exceptions.

use super::finding::Finding;
use super::{Host, disk, place};
use crate::exceptions::SOURCES;
use crate::folders::{self, FOLDERS, FolderError};
use crate::limits::Limits;
use crate::property_list::{self, Bounds};

/// A folder that is there and cannot be listed makes every query on bundles fail.
pub fn check_folders(host: &Host<'_>, findings: &mut Vec<Finding>) {
    for index in 0..FOLDERS.len() {
        let (folder, _) = folders::list(host.root, index, &Limits::STANDARD);
        match folder.error {
            None => {}
            Some(error @ FolderError::Unreadable(_)) => findings.push(Finding::wrong(
                format!("{}: {error}", folder.path),
                "run as root; if root is refused, give osqueryd Full Disk Access (install/mdm/)",
            )),
            Some(error @ FolderError::Limit(_)) => findings.push(Finding::note(
                format!("{}: {error}", folder.path),
                "dsplug list --thorough shows all of it",
            )),
        }
    }
}

/// A file of exceptions that others can write, or that cannot be read, excepts nothing.
pub fn check_exceptions(host: &Host<'_>, findings: &mut Vec<Finding>) {
    for path in SOURCES {
        let bytes = match disk::read(host.root, path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(error) => {
                findings.push(Finding::wrong(error.to_string(), "run as root"));
                continue;
            }
        };
        if let Ok(found) = host.root.find(path.as_bytes()) {
            place::check_writable(host, path, &found.meta, findings);
        }
        if let Err(error) = property_list::parse(&bytes, &Bounds::STANDARD) {
            findings.push(Finding::wrong(
                format!("{path}: {error}; it excepts nothing"),
                format!("plutil -lint '{path}', and mend what it says"),
            ));
        }
    }
}
