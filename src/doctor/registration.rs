//! Whether osqueryd runs, and whether dsplug is registered with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::finding::{Cure, Finding};
use super::flags::Flags;
use super::host::{Agent, Host, Registry};
use crate::extension::NAME;
use crate::extension::manager::Manager;
use crate::meta::{Kind, Special};
use crate::shell::Line;
use crate::text::escape;

/// osqueryd itself, asked over its extension socket.
#[derive(Clone, Copy, Debug)]
pub struct Osqueryd {
    /// How long it may take to answer.
    pub timeout: Duration,
}

impl Registry for Osqueryd {
    fn extensions(&self, socket: &Path) -> Result<Vec<String>, String> {
        Manager::connect(socket, self.timeout)
            .and_then(|mut manager| manager.extensions())
            .map(|extensions| {
                extensions
                    .into_values()
                    .map(|extension| extension.name)
                    .collect()
            })
            .map_err(|error| error.to_string())
    }
}

/// Checks the socket, and asks behind it. On a disk at rest nothing listens, and what stands there
/// may be anyone's: it is left alone.
pub fn check(host: &Host<'_>, agent: Agent, flags: &Flags, findings: &mut Vec<Finding>) {
    let Some(registry) = host.registry else {
        return;
    };
    let socket = host.socket.clone().or_else(|| {
        flags
            .get("extensions_socket")
            .or(agent.socket())
            .map(PathBuf::from)
    });
    let Some(socket) = socket else {
        findings.push(Finding::note(
            format!("the socket of {agent}'s osqueryd has no fixed place: whether dsplug is registered was not asked"),
            "dsplug doctor --socket PATH",
        ));
        return;
    };
    let text = socket.to_string_lossy().into_owned();
    let shown = escape(text.as_bytes());
    match host.root.find(text.as_bytes()) {
        Ok(found) if found.meta.kind == Kind::Other(Special::Socket) => {}
        Ok(found) => {
            findings.push(Finding::wrong(
                format!("{shown}: a {}, not a socket", found.meta.kind),
                restart(agent, "move it away, and restart osqueryd"),
            ));
            return;
        }
        Err(error) if error.is_not_here() => {
            findings.push(Finding::wrong(
                format!(
                    "{shown}: there is no socket: osqueryd does not run, or runs without extensions"
                ),
                restart(agent, "restart osqueryd"),
            ));
            return;
        }
        Err(error) => {
            findings.push(Finding::wrong(error.to_string(), "run as root"));
            return;
        }
    }
    let path = host.mount.join(text.trim_start_matches('/'));
    match registry.extensions(&path) {
        Ok(names) if names.iter().any(|name| name == NAME) => {}
        Ok(_) => findings.push(Finding::wrong(
            format!("{shown}: osqueryd answers, and dsplug is not registered with it"),
            restart(agent, "fix what else is found, and restart osqueryd"),
        )),
        Err(why) => findings.push(Finding::wrong(
            format!("{shown}: osqueryd does not answer: {why}"),
            restart(agent, "restart osqueryd"),
        )),
    }
}

fn restart(agent: Agent, says: &'static str) -> Cure {
    Cure::by(says, Line::new(agent.restart()))
}
