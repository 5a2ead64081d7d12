//! The response to a plug-in that is not wanted, step by step.

use crate::bundle::Bundle;
use crate::text::escape;

/// What to do about a bundle at a path, in order.
pub fn steps(bundle: &Bundle, path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let quoted = format!("'{}'", path.replace('\'', "'\\''"));
    if bundle.exception.is_some() {
        steps.push(
            "It is accepted: check that the exception is meant, and by whom it was written."
                .to_owned(),
        );
    }
    steps.extend([
        "Keep the evidence before anything is changed: this report, a copy of the bundle (ditto keeps its extended attributes), and the log: log show --last 1d --predicate 'process == \"dspluginhelperd\"'".to_owned(),
        "See whether its code is in use: sudo vmmap of dspluginhelperd, or the pack's queries helper_running and helper_images; and whether its node is in the search policy: dscl /Search -read / CSPSearchPath".to_owned(),
        "Compare it with the vendor's own: by its digest, cdhash and version, not by its names.".to_owned(),
        "If it is not wanted, take the Mac off the network, or isolate it by its MDM or EDR.".to_owned(),
        format!("Move it out of the folder, to a place from which nothing loads: sudo mv {quoted} ~root/"),
    ]);
    if let Some(outside) = bundle
        .evidence
        .executable
        .as_ref()
        .filter(|e| e.is_outside())
    {
        steps.push(format!(
            "Its main executable stands outside of it, at {}: keep and remove that as well.",
            escape(&outside.path)
        ));
    }
    if let Some(target) = &bundle.evidence.symlink_target {
        steps.push(format!(
            "It is a symlink: what it leads to, {}, stays when it is moved.",
            escape(target)
        ));
    }
    steps.extend([
        "End the process that has loaded it; opendirectoryd starts it again when it is needed, without the plug-in: sudo launchctl kill SIGKILL system/com.apple.dspluginhelperd (macOS 10.6 and earlier: com.apple.DirectoryServices)".to_owned(),
        "Find who wrote it: the queries of packs/investigation on writers, installs and origin, and the accounts that were root at that time. Whoever could write here was root.".to_owned(),
        "Look for the rest: other persistence, /Library/OpenDirectory/Modules, and the same digest on other Macs.".to_owned(),
        "Keep watching: run the pack; accept what is known to be good by an exception that pins its digest (dsplug baseline).".to_owned(),
    ]);
    steps
}
