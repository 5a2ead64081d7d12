//! What the extension reads on the host: the plug-in folders, and the exceptions.

use std::time::{SystemTime, UNIX_EPOCH};

use super::finding::{Cure, Finding};
use super::host::Host;
use super::place;
use crate::exceptions::{Exceptions, SOURCES};
use crate::folders::{self, FOLDERS, FolderError, Known, Room};
use crate::limits::{Budget, Limits};
use crate::scan;
use crate::shell::Line;

/// A folder that is there and cannot be listed makes every query on bundles fail.
pub fn check_folders(host: &Host<'_>, findings: &mut Vec<Finding>) {
    for index in 0..FOLDERS.len() {
        let (folder, _) = folders::list(
            host.root,
            index,
            &Budget::new(Limits::STANDARD),
            &Known::none(),
            Room::of(&Limits::STANDARD),
        );
        match folder.error {
            None => {}
            Some(error @ FolderError::Unreadable(_)) => findings.push(Finding::wrong(
                format!("{}: {error}", folder.path),
                scan::cure(&error),
            )),
            Some(
                error @ (FolderError::Entry(_) | FolderError::Mount(_) | FolderError::Covered),
            ) => {
                findings.push(Finding::wrong(
                    format!("{}: {error}", folder.path),
                    "look at what stands there, and unmount or remove it",
                ));
            }
            Some(error @ FolderError::Limit(_)) => findings.push(Finding::note(
                format!("{}: {error}", folder.path),
                "dsplug list --thorough shows all of it",
            )),
        }
    }
}

/// A file of exceptions that others can write, or an entry that is not understood, excepts nothing.
pub fn check_exceptions(host: &Host<'_>, findings: &mut Vec<Finding>) {
    for path in SOURCES {
        let before = findings.len();
        if let Ok(found) = host.root.find(path.as_bytes()) {
            place::check_writable(host, path, &found.meta, findings);
        }
        if findings.len() > before {
            continue; // the cure is said, and what the file holds does not count before it
        }
        let exceptions = Exceptions::read(host.root, now());
        for entry in exceptions
            .entries
            .iter()
            .filter(|entry| entry.source == path)
        {
            if !entry.error.is_empty() {
                findings.push(Finding::wrong(
                    format!("{}: it excepts nothing: {}", entry.name(), entry.error),
                    Cure::by(
                        "fix it, let root alone write it, and check it",
                        Line::new("chown root:wheel")
                            .word(path)
                            .own("; chmod 0644")
                            .word(path)
                            .own("; plutil -lint")
                            .word(path),
                    ),
                ));
            } else if !entry.active {
                findings.push(Finding::note(
                    format!("{}: it has expired", entry.name()),
                    "take the entry out, or give it a later date",
                ));
            }
        }
    }
}

/// The time in seconds of Unix time.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}
