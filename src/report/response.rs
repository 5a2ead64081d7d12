//! The response to a plug-in that is not wanted, step by step.

use super::document::Step;
use crate::bundle::Bundle;
use crate::shell::Line;
use crate::text::escape;

/// What to do about a bundle at a path, in order; `disk` is what names its disk in a line that is pasted.
pub fn steps(bundle: &Bundle, path: &str, disk: &Line) -> Vec<Step> {
    if bundle.evidence.is_folder() {
        return of_folder(disk);
    }
    let mut steps = Vec::new();
    if bundle.exception.is_some() {
        steps.push(Step::new(
            "It is accepted: check that the exception is meant, and by whom it was written.",
            [],
        ));
    }
    let quarantine = Line::new("sudo dsplug quarantine").word(path);
    let quarantine = match &bundle.digest {
        Some(digest) => quarantine.own("--expect").digest(digest),
        None => quarantine,
    };
    let outside = bundle.evidence.executable.as_ref();
    let outside = outside.filter(|e| e.is_outside());
    steps.extend([
        Step::new(
            "Keep the evidence before anything is changed, and the log:",
            [
                Line::new("sudo dsplug collect").word(path).end(disk),
                Line::new("log show --last 1d --predicate 'process == \"dspluginhelperd\"'"),
            ],
        ),
        Step::new(
            "See whether its code is in use, by this or the pack's helper_running and helper_images queries; and whether its node is in the search policy:",
            [
                Line::new("sudo vmmap dspluginhelperd"),
                Line::new("dscl /Search -read / CSPSearchPath"),
            ],
        ),
        Step::new(
            "Compare it, by digest and cdhash and not by names, with OTHER: the vendor's own, a backup, or what was collected before:",
            [Line::new("dsplug compare").word(path).own("OTHER").end(disk)],
        ),
        Step::new(
            "If it is not wanted, take the Mac off the network, or isolate it by its MDM or EDR.",
            [],
        ),
        Step::new(
            "Take it out of the folder, into a vault from which nothing loads, and end the process that has loaded it:",
            [quarantine.clone().own("--reason TEXT").end(disk)],
        ),
    ]);
    if let Some(outside) = outside {
        // The attacker has chosen it: no line that is pasted as it stands may move it.
        let place = escape(&outside.path);
        steps.push(Step::new(
            format!(
                "Its main executable stands outside of it and stays there: whoever made the bundle chose it, and it may belong to another program, such as the one that watches this Mac{}. See who else uses it, and which package installed it:",
                match bundle.outside_signer() {
                    Some((anchor, signer)) => format!("; it is signed by {} ({})", escape(signer.as_bytes()), anchor.as_str()),
                    None => String::new(),
                }
            ),
            [
                Line::new("sudo lsof").word(&place),
                Line::new("pkgutil --file-info").word(&place),
            ],
        ));
        if let Some(sha256) = outside.content(&bundle.evidence).sha256() {
            steps.push(Step::new(
                "Only if nobody else uses it, take both in place of the bundle alone:",
                [quarantine
                    .own("--with-executable --expect-executable")
                    .digest(sha256)
                    .own("--reason TEXT")
                    .end(disk)],
            ));
        }
    }
    if let Some(target) = &bundle.evidence.symlink_target {
        steps.push(Step::new(
            format!(
                "It is a symlink, and what it leads to stays when it is moved: {}",
                escape(target)
            ),
            [],
        ));
    }
    steps.extend([
        Step::new(
            "Should the process that has loaded it still run, end it; opendirectoryd starts it again when it is needed, without the plug-in. On macOS 10.6 and earlier it is com.apple.DirectoryServices instead:",
            [Line::new("sudo launchctl kill SIGKILL system/com.apple.dspluginhelperd")],
        ),
        Step::new(
            "Should it prove to be good, put it back as it was, by the ID that the list shows:",
            [
                Line::new("dsplug quarantine --list").end(disk),
                Line::new("sudo dsplug restore ID").end(disk),
            ],
        ),
        Step::new(
            "Find who wrote it: the queries of packs/investigation on writers, installs and origin, and the accounts that were root at that time. Whoever could write here was root.",
            [],
        ),
        Step::new(
            "Look for the rest: other persistence, modules in /Library/OpenDirectory/Modules and the same digest on other Macs.",
            [],
        ),
        Step::new(
            "Keep watching: run the pack; accept what is known to be good by an exception that pins its digest (dsplug baseline).",
            [],
        ),
    ]);
    steps
}

/// What to do about the row of a plug-in folder, which no line that is pasted may move: it may lead to any directory.
fn of_folder(disk: &Line) -> Vec<Step> {
    vec![
        Step::new(
            "It is the plug-in folder itself, of which something is not as it should be: see error. Nothing is to be taken away as a whole.",
            [],
        ),
        Step::new(
            "Read all of it:",
            [Line::new("dsplug --thorough list").end(disk)],
        ),
        Step::new(
            "See where it leads, and what stands there that no Mac has by itself: an Info.plist, a Contents, a link on the way, thousands of names. Collect and quarantine bundles in it, one by one.",
            [],
        ),
        Step::new(
            "Find who wrote it: the queries of packs/investigation on writers, installs and origin.",
            [],
        ),
    ]
}
