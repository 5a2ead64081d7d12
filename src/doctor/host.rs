//! The host: who runs osqueryd on it, and where the files of each stand.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;

use super::disk;
use super::finding::Finding;
use crate::root::Root;

/// The installed binary, as the installer places it.
pub const BINARY: &str = "/opt/dsplug/bin/dsplug.ext";
/// Where the installer keeps its receipts and, while it runs, its journal.
pub const STATE: &str = "/var/db/dsplug";

/// Where osquery's own package stands.
const OSQUERY: &str = "/opt/osquery/lib/osquery.app";

/// A host to examine.
pub struct Host<'a> {
    /// Its disk.
    pub root: &'a Root,
    /// Where that disk is mounted: sockets are connected by path.
    pub mount: &'a Path,
    /// It is not the disk of the computer that examines it.
    pub is_image: bool,
    /// The user who must own what osqueryd runs: 0, save in a test without root.
    pub owner: u32,
    /// Who runs osqueryd here; found out when absent.
    pub agent: Option<Agent>,
    /// The extension socket of osqueryd; that of the agent when absent.
    pub socket: Option<PathBuf>,
    /// Who knows which extensions are registered; nobody where the disk is not that of a running
    /// system.
    pub registry: Option<&'a dyn Registry>,
}

/// Who knows which extensions are registered.
pub trait Registry {
    /// The names of the extensions that are registered with the osqueryd behind a socket.
    ///
    /// # Errors
    /// Why it does not answer: one line.
    fn extensions(&self, socket: &Path) -> Result<Vec<String>, String>;
}

/// Who runs osqueryd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
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

/// Who runs osqueryd here: what the installer was told, or else what stands on the disk; `None`
/// where nothing does.
pub fn agent(root: &Root) -> Option<Agent> {
    if let Ok(Some(word)) =
        disk::read_text(root, &format!("{STATE}/receipts/host"), disk::MOST_LIST)
        && let Ok(agent) = word.trim().parse()
    {
        return Some(agent);
    }
    let stands = |path: &str| root.find(path.as_bytes()).is_ok();
    if stands(OSQUERY) || stands("/usr/local/bin/osqueryd") {
        Some(Agent::Osquery)
    } else if stands("/opt/orbit/bin/orbit") {
        Some(Agent::Fleet)
    } else if stands("/usr/local/kolide-k2/Kolide.app") || stands("/etc/kolide-k2") {
        Some(Agent::Kolide)
    } else if stands("/Library/Elastic/Agent") {
        Some(Agent::Elastic)
    } else {
        None
    }
}

/// Where nothing runs osqueryd, an extension has nobody to answer to: one finding, not one for each
/// file that is therefore missing.
pub fn nobody() -> Finding {
    Finding::wrong(
        "there is neither osquery nor Fleet's orbit, Kolide's launcher or Elastic Agent here, and nothing starts the extension",
        "install one of them, then dsplug by install.sh; dsplug list, query, explain and detect work without",
    )
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
