//! `dsplug doctor`: what is wrong with this host's installation, each finding with its cure.
//!
//! It reads the disk and asks osqueryd's socket, and changes nothing but what an interrupted
//! quarantine left on the disk that was asked for; on an image, or in a state directory that is named, where that is
//! said. What it holds the host
//! against is what `install/install.sh` leaves behind and what osquery 5 asks of an extension.

mod config;
mod disk;
mod evidence;
mod finding;
mod flags;
mod glob;
mod host;
mod log;
mod numbers;
mod osqueryd;
mod ours;
mod pack;
mod place;
mod quarantine;
mod registration;

use clap::ValueEnum;
use serde_json::{Value, json};

pub use finding::{Cure, Finding, Severity};
pub use host::{Agent, Host, Registry};
pub use quarantine::interrupted;
pub use registration::Osqueryd;

/// Everything that is wrong with a host, and what else its admin should know.
pub fn examine(host: &Host<'_>) -> Vec<Finding> {
    if let Some(why) = host.root.why_no_mac() {
        return vec![Finding::wrong(
            format!("this is not the / of a Mac: {why}"),
            "--root DIR examines the disk of one",
        )];
    }
    let mut findings = Vec::new();
    host::unfinished(host.root, &mut findings);
    match host.agent.or_else(|| host::agent(host.root)) {
        Some(agent) => installation(host, agent, &mut findings),
        None => findings.push(host::nobody()),
    }
    evidence::check_folders(host, &mut findings);
    evidence::check_exceptions(host, &mut findings);
    if host.is_image {
        findings = findings.into_iter().map(Finding::of_image).collect();
    }
    findings
}

/// What the installer leaves behind for an agent.
fn installation(host: &Host<'_>, agent: Agent, findings: &mut Vec<Finding>) {
    let flags = osqueryd::flags(host.root, agent, findings);
    let binaries = osqueryd::autoload(host, agent, &flags, findings);
    for binary in &binaries {
        place::check(host, binary, findings);
    }
    osqueryd::check_flags(agent, &flags, findings);
    osqueryd::check_pack(host, agent, &flags, findings);
    registration::check(host, agent, &flags, findings);
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

/// How the findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person
    #[default]
    Text,
    /// An array of objects: severity, what, cure
    Json,
}

/// The findings as text.
pub fn render(findings: &[Finding], format: Format) -> String {
    if format == Format::Json {
        let objects = findings
            .iter()
            .map(|f| json!({"severity": f.severity.as_str(), "what": f.what, "cure": f.cure.to_string()}));
        return format!("{:#}\n", Value::Array(objects.collect()));
    }
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
