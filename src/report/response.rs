//! The response to a plug-in that is not wanted, step by step.

use crate::bundle::Bundle;
use crate::text::{escape, hex, quoted};

/// What to do about a bundle at a path, in order; `disk` is what names its disk in a line that is pasted.
pub fn steps(bundle: &Bundle, path: &str, disk: &str) -> Vec<String> {
    if bundle.evidence.is_folder() {
        return of_folder(disk);
    }
    let mut steps = Vec::new();
    let quoted = quoted(path);
    if bundle.exception.is_some() {
        steps.push(
            "It is accepted: check that the exception is meant, and by whom it was written."
                .to_owned(),
        );
    }
    let hash = bundle.digest.as_ref().map(|digest| hex(digest));
    let expect = hash.map_or_else(String::new, |hash| format!(" --expect {hash}"));
    let outside = bundle.evidence.executable.as_ref();
    let outside = outside.filter(|e| e.is_outside());
    steps.extend([
        format!("Keep the evidence before anything is changed: sudo dsplug collect {quoted}{disk} — and the log: log show --last 1d --predicate 'process == \"dspluginhelperd\"'"),
        "See whether its code is in use: sudo vmmap of dspluginhelperd, or the pack's queries helper_running and helper_images; and whether its node is in the search policy: dscl /Search -read / CSPSearchPath".to_owned(),
        format!("Compare it with the vendor's own, with a backup or with what was collected before: dsplug compare {quoted} OTHER{disk} — by digest and cdhash, not by names."),
        "If it is not wanted, take the Mac off the network, or isolate it by its MDM or EDR.".to_owned(),
        format!("Take it out of the folder, into a vault from which nothing loads, and end the process that has loaded it: sudo dsplug quarantine {quoted}{expect} --reason TEXT{disk}"),
    ]);
    if let Some(outside) = outside {
        // The attacker has chosen it: no line that is pasted as it stands may move it.
        let place = escape(&outside.path);
        steps.push(format!(
            "Its main executable stands outside of it, at {place}, and stays there: whoever made the bundle chose it, and it may belong to another program, such as the one that watches this Mac. See who else uses it (lsof, the package that installed it{}).",
            match bundle.outside_signer() {
                Some((anchor, signer)) => format!("; it is signed by {} ({})", escape(signer.as_bytes()), anchor.as_str()),
                None => String::new(),
            }
        ));
        if let Some(sha256) = outside.content(&bundle.evidence).sha256() {
            steps.push(format!(
                "Only if nobody else uses it, take both in place of the bundle alone: sudo dsplug quarantine {quoted}{expect} --with-executable --expect-executable {} --reason TEXT{disk}",
                hex(sha256)
            ));
        }
    }
    if let Some(target) = &bundle.evidence.symlink_target {
        steps.push(format!(
            "It is a symlink: what it leads to, {}, stays when it is moved.",
            escape(target)
        ));
    }
    steps.extend([
        "Should the process that has loaded it still run, end it; opendirectoryd starts it again when it is needed, without the plug-in: sudo launchctl kill SIGKILL system/com.apple.dspluginhelperd (macOS 10.6 and earlier: com.apple.DirectoryServices)".to_owned(),
        format!("Should it prove to be good, put it back as it was: sudo dsplug restore ID{disk} — dsplug quarantine --list{disk} shows the ID."),
        "Find who wrote it: the queries of packs/investigation on writers, installs and origin, and the accounts that were root at that time. Whoever could write here was root.".to_owned(),
        "Look for the rest: other persistence, /Library/OpenDirectory/Modules, and the same digest on other Macs.".to_owned(),
        "Keep watching: run the pack; accept what is known to be good by an exception that pins its digest (dsplug baseline).".to_owned(),
    ]);
    steps
}

/// What to do about the row of a plug-in folder, which no line that is pasted may move: it may lead to any directory.
fn of_folder(disk: &str) -> Vec<String> {
    let read = format!("Read all of it: dsplug --thorough list{disk}.");
    [
        "It is the plug-in folder itself, of which something is not as it should be: see error. Nothing is to be taken away as a whole.",
        &read,
        "See where it leads, and what stands there that no Mac has by itself: an Info.plist, a Contents, a link on the way, thousands of names. Collect and quarantine bundles in it, one by one.",
        "Find who wrote it: the queries of packs/investigation on writers, installs and origin.",
    ]
    .map(str::to_owned)
    .into()
}
