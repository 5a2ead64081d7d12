//! The binary and where it stands: osqueryd runs it as root, so only root may be able to change it.

use super::disk;
use super::finding::{Cure, Finding};
use super::host::Host;
use crate::meta::{Kind, Meta};
use crate::shell::Line;
use crate::text::escape;

/// Checks one binary that osqueryd is told to run.
pub fn check(host: &Host<'_>, path: &str, findings: &mut Vec<Finding>) {
    let shown = escape(path.as_bytes());
    if !path.ends_with(".ext") {
        findings.push(Finding::wrong(
            format!("{shown}: the name does not end in .ext, and osqueryd does not run it"),
            "install again with install.sh, which names it dsplug.ext",
        ));
    }
    let found = match host.root.find(path.as_bytes()) {
        Ok(found) => found,
        Err(error) if error.is_not_here() => {
            findings.push(Finding::wrong(
                format!("{shown}: there is no such file"),
                "install with install.sh",
            ));
            return;
        }
        Err(error) => {
            findings.push(Finding::wrong(
                error.to_string(),
                "run as root, or install again with install.sh",
            ));
            return;
        }
    };
    if found.meta.kind != Kind::File {
        findings.push(Finding::wrong(
            format!("{shown}: a {}, not a file", found.meta.kind),
            "move it away and install again with install.sh",
        ));
        return;
    }
    if found.meta.mode & 0o100 == 0 {
        findings.push(Finding::wrong(
            format!("{shown}: not executable (mode {})", found.meta.octal_mode()),
            Cure::by("let root run it", Line::new("chmod 0755").word(&shown)),
        ));
    }
    check_content(host, path, &shown, findings);
    let real = String::from_utf8_lossy(&found.path()).into_owned();
    check_writable(host, &real, &found.meta, findings);
    let mut ancestors = ancestors(&real);
    for ancestor in self::ancestors(path) {
        if !ancestors.contains(&ancestor) {
            ancestors.push(ancestor);
        }
    }
    for (index, ancestor) in ancestors.iter().enumerate() {
        let Ok(found) = host.root.find(ancestor.as_bytes()) else {
            continue;
        };
        if found.path() != ancestor.as_bytes() {
            continue; // a link: where it leads is an ancestor of the real path
        }
        check_writable(host, ancestor, &found.meta, findings);
        // osquery's safePermissions refuses a sticky parent: what stands there can be anyone's.
        if index == 0 && found.meta.mode & 0o1000 != 0 {
            findings.push(Finding::wrong(
                format!(
                    "{}: a sticky directory, from which osqueryd runs nothing",
                    escape(ancestor.as_bytes())
                ),
                "install with install.sh, which uses /opt/dsplug/bin",
            ));
        }
    }
}

/// A download that was cut short, or another system's binary, is no Mach-O.
fn check_content(host: &Host<'_>, path: &str, shown: &str, findings: &mut Vec<Finding>) {
    const MAGICS: [[u8; 4]; 2] = [[0xCA, 0xFE, 0xBA, 0xBE], [0xCF, 0xFA, 0xED, 0xFE]];
    match disk::begins::<4>(host.root, path) {
        Ok(Some(magic)) if MAGICS.contains(&magic) => {}
        Ok(_) => findings.push(Finding::wrong(
            format!("{shown}: not a Mach-O file for 64-bit Macs"),
            "fetch the release again, check SHA256SUMS, and install it with install.sh",
        )),
        Err(error) => findings.push(Finding::wrong(error.to_string(), "run as root")),
    }
}

/// Whoever can write this can replace what root runs.
pub fn check_writable(host: &Host<'_>, path: &str, meta: &Meta, findings: &mut Vec<Finding>) {
    let shown = escape(path.as_bytes());
    if meta.uid != 0 && meta.uid != host.owner {
        findings.push(Finding::wrong(
            format!("{shown}: belongs to uid {}, not to root", meta.uid),
            Cure::by(
                "give it to root",
                Line::new("chown root:wheel").word(&shown),
            ),
        ));
    }
    let by = match meta.mode {
        mode if mode & 0o002 != 0 => "everyone".to_owned(),
        // On a Mac, group 0 is wheel, whose one member is root.
        mode if mode & 0o020 != 0 && meta.gid != 0 => format!("group {}", meta.gid),
        _ => return,
    };
    findings.push(Finding::wrong(
        format!("{shown}: writable by {by} (mode {})", meta.octal_mode()),
        Cure::by(
            "let root alone write there",
            Line::new("chmod go-w").word(&shown),
        ),
    ));
}

/// The directories above a path, nearest first.
fn ancestors(path: &str) -> Vec<String> {
    std::path::Path::new(path)
        .ancestors()
        .skip(1)
        .map(|ancestor| ancestor.to_string_lossy().into_owned())
        .filter(|ancestor| !ancestor.is_empty())
        .collect()
}
