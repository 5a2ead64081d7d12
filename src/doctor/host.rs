//! The host: who runs osqueryd on it, and where the files of each stand.

use std::fmt;
use std::str::FromStr;

use super::disk;
use super::finding::Finding;
use crate::root::Root;

/// The installed binary, as the installer places it.
pub const BINARY: &str = "/opt/dsplug/bin/dsplug.ext";
/// Where the installer keeps its receipts and, while it runs, its journal.
pub const STATE: &str = "/var/db/dsplug";

/// Who runs osqueryd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agent {
    /// osquery's own launchd job.
    Osquery,
    /// Fleet's orbit.
    Fleet,
    /// Kolide's launcher.
    Kolide,
    /// Elastic's Osquery Manager.
    Elastic,
}

impl Agent {
    /// Every agent.
    pub const ALL: [Self; 4] = [Self::Osquery, Self::Fleet, Self::Kolide, Self::Elastic];

    /// The word for it on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Osquery => "osquery",
            Self::Fleet => "fleet",
            Self::Kolide => "kolide",
            Self::Elastic => "elastic",
        }
    }

    /// Where its osqueryd listens for extensions, when that is a fixed place.
    pub fn socket(self) -> Option<&'static str> {
        match self {
            Self::Osquery => Some("/var/osquery/osquery.em"),
            Self::Fleet => Some("/opt/orbit/orbit-osquery.em"),
            Self::Kolide | Self::Elastic => None,
        }
    }

    /// The command that restarts it.
    pub fn restart(self) -> &'static str {
        match self {
            Self::Osquery => "launchctl kickstart -k system/io.osquery.agent",
            Self::Fleet => "launchctl kickstart -k system/com.fleetdm.orbit",
            Self::Kolide => "launchctl kickstart -k system/com.kolide-k2.launcher",
            Self::Elastic => "elastic-agent restart",
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Agent {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|agent| agent.as_str() == word)
            .ok_or_else(|| "not one of osquery, fleet, kolide, elastic".to_owned())
    }
}

/// Who runs osqueryd here: what the installer was told, or else what stands on the disk.
pub fn agent(root: &Root) -> Agent {
    if let Ok(Some(word)) = disk::read_text(root, &format!("{STATE}/receipts/host"))
        && let Ok(agent) = word.trim().parse()
    {
        return agent;
    }
    let stands = |path: &str| root.find(path.as_bytes()).is_ok();
    if stands("/opt/osquery/lib/osquery.app") {
        Agent::Osquery
    } else if stands("/opt/orbit/bin/orbit") {
        Agent::Fleet
    } else if stands("/usr/local/kolide-k2/Kolide.app") || stands("/etc/kolide-k2") {
        Agent::Kolide
    } else if stands("/Library/Elastic/Agent") {
        Agent::Elastic
    } else {
        Agent::Osquery
    }
}

/// An installation or removal that was cut short has left its journal.
pub fn unfinished(root: &Root, findings: &mut Vec<Finding>) {
    let journal = format!("{STATE}/journal");
    if root.find(journal.as_bytes()).is_ok() {
        findings.push(Finding::wrong(
            format!("{journal}: an installation was cut short"),
            "run install.sh or uninstall.sh again: it undoes the rest first",
        ));
    }
}
