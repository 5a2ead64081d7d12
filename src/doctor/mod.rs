//! `dsplug doctor`: what is wrong with this host's installation, each finding with its cure.
//!
//! It reads the disk and asks osqueryd's socket, and changes nothing but what an interrupted
//! quarantine left. What it holds the host
//! against is what `install/install.sh` leaves behind and what osquery 5 asks of an extension.

mod disk;
mod evidence;
mod finding;
mod flags;
mod host;
mod osqueryd;
mod place;
mod quarantine;
mod registration;

use std::path::{Path, PathBuf};

pub use finding::{Finding, Severity};
pub use host::Agent;
pub use quarantine::interrupted;
pub use registration::{Osqueryd, Registry};

use crate::root::Root;

/// A host to examine.
pub struct Host<'a> {
    /// Its disk.
    pub root: &'a Root,
    /// Where that disk is mounted: sockets are connected by path.
    pub mount: &'a Path,
    /// The user who must own what osqueryd runs: 0, save in a test without root.
    pub owner: u32,
    /// Who runs osqueryd here; found out when absent.
    pub agent: Option<Agent>,
    /// The extension socket of osqueryd; that of the agent when absent.
    pub socket: Option<PathBuf>,
    /// Who knows which extensions are registered.
    pub registry: &'a dyn Registry,
}

/// Everything that is wrong with a host, and what else its admin should know.
pub fn examine(host: &Host<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let agent = host.agent.unwrap_or_else(|| host::agent(host.root));
    let flags = osqueryd::flags(host.root, agent, &mut findings);
    host::unfinished(host.root, &mut findings);
    let binaries = osqueryd::autoload(host, agent, &flags, &mut findings);
    for binary in &binaries {
        place::check(host, binary, &mut findings);
    }
    osqueryd::check_flags(agent, &flags, &mut findings);
    osqueryd::check_pack(host, agent, &flags, &mut findings);
    registration::check(host, agent, &flags, &mut findings);
    evidence::check_folders(host, &mut findings);
    evidence::check_exceptions(host, &mut findings);
    findings
}

/// What the calling user's rights leave unseen.
pub fn rights() -> Option<Finding> {
    (!rustix::process::geteuid().is_root()).then(|| {
        Finding::note(
            "not run as root: what only root can read counts as unreadable",
            "sudo dsplug doctor",
        )
    })
}

/// The findings, for a person to read.
pub fn render(findings: &[Finding]) -> String {
    match findings {
        [] => "nothing is wrong\n".to_owned(),
        _ => findings
            .iter()
            .map(|finding| format!("{finding}\n"))
            .collect(),
    }
}

/// How many findings say that something is wrong.
pub fn wrongs(findings: &[Finding]) -> usize {
    findings
        .iter()
        .filter(|finding| finding.severity == Severity::Wrong)
        .count()
}
