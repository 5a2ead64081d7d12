//! How osqueryd is told of the extension: its flags, `extensions.load`, and the pack.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::finding::{Cure, Finding};
use super::flags::Flags;
use super::host::{Agent, BINARY, Host};
use super::{disk, place};
use crate::meta::Kind;
use crate::order;
use crate::pack::conf::osquery_json;
use crate::root::Root;
use crate::shell::Line;
use crate::text::escape;

const FLAGS: &str = "/var/osquery/osquery.flags";
const LOAD: &str = "/var/osquery/extensions.load";
const CONFIG: &str = "/var/osquery/osquery.conf";
/// The list that orbit writes, and passes to osqueryd whenever it is not empty.
const ORBIT_LOAD: &str = "/opt/orbit/extensions.load";
/// Names that are read of one directory of drop-ins or extensions; a host has a handful.
const MOST_NAMES: usize = 1000;
/// Directories below one that `extensions.load` names.
const DEPTH: usize = 4;

/// The flags that osqueryd starts with, as far as a file on the host says.
pub fn flags(root: &Root, agent: Agent, findings: &mut Vec<Finding>) -> Flags {
    if agent != Agent::Osquery {
        return Flags::default();
    }
    match disk::read_text(root, FLAGS) {
        Ok(text) => Flags::parse(&text.unwrap_or_default()),
        Err(error) => {
            findings.push(Finding::wrong(error.to_string(), "run as root"));
            Flags::default()
        }
    }
}

/// Checks `extensions.load`; gives the binaries that it names, or where one should be.
pub fn autoload(
    host: &Host<'_>,
    agent: Agent,
    flags: &Flags,
    findings: &mut Vec<Finding>,
) -> Vec<String> {
    if agent == Agent::Elastic {
        findings.push(Finding::note(
            "Osquery Manager names its extensions in the agent policy, which is not read here",
            "see that elastic_options.extensions.paths holds the path of dsplug.ext",
        ));
        return vec![BINARY.to_owned()];
    }
    let orbit = agent == Agent::Fleet
        && disk::read_text(host.root, ORBIT_LOAD)
            .is_ok_and(|text| text.is_some_and(|text| !text.trim().is_empty()));
    let path = if orbit {
        ORBIT_LOAD
    } else {
        flags.get("extensions_autoload").unwrap_or(LOAD)
    };
    let shown = escape(path.as_bytes());
    let text = match disk::read_text(host.root, path) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            findings.push(Finding::wrong(error.to_string(), "run as root"));
            return vec![BINARY.to_owned()];
        }
    };
    if let Ok(found) = host.root.find(path.as_bytes()) {
        place::check_writable(host, path, &found.meta, findings);
    }
    let is_ours = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name == "dsplug" || name.starts_with("dsplug.")
    };
    let mut named: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with(';'))
        .flat_map(|line| match host.root.find_dir(line.as_bytes()) {
            Ok(_) if !is_ours(line) => extensions_below(host.root, line, DEPTH),
            _ => vec![line.to_owned()],
        })
        .filter(|path| is_ours(path))
        .collect();
    // osquery keeps a set: a line that stands twice starts one.
    order::sort(&mut named);
    named.dedup();
    if named.len() > 1 {
        findings.push(Finding::wrong(
            format!(
                "{shown}: names dsplug {} times, and only one can register",
                named.len()
            ),
            "leave one line, /opt/dsplug/bin/dsplug.ext",
        ));
    }
    if named.is_empty() {
        findings.push(if orbit {
            Finding::wrong(
                format!("{shown}: Fleet's update server ships extensions to this host, and dsplug is not among them; {LOAD} is not read"),
                "add dsplug to the update server and to agent_options.extensions: install/fleet/README.md",
            )
        } else {
            Finding::wrong(
                format!("{shown}: has no line for dsplug, and osqueryd does not start it"),
                Cure::by(
                    "add the line /opt/dsplug/bin/dsplug.ext",
                    Line::new("echo").own(BINARY).own(">>").word(&shown),
                ),
            )
        });
        return vec![BINARY.to_owned()];
    }
    named
}

/// The extensions in a directory that a line of `extensions.load` names, and below it, as osquery
/// expands it (`loadExtensions` of extensions.cpp).
fn extensions_below(root: &Root, path: &str, depth: usize) -> Vec<String> {
    let Some((names, _)) = root
        .find_dir(path.as_bytes())
        .ok()
        .and_then(|dir| dir.names(MOST_NAMES).ok())
    else {
        return Vec::new();
    };
    let path = path.trim_end_matches('/');
    let mut found = Vec::new();
    for name in names {
        let at = format!("{path}/{}", String::from_utf8_lossy(&name));
        let is_directory = root
            .find_entry(at.as_bytes())
            .is_ok_and(|found| found.meta.kind == Kind::Directory);
        if is_directory && depth > 0 {
            found.extend(extensions_below(root, &at, depth.saturating_sub(1)));
        } else if !is_directory && at.ends_with(".ext") {
            found.push(at);
        }
    }
    found
}

/// Checks the flags that an extension needs.
pub fn check_flags(agent: Agent, flags: &Flags, findings: &mut Vec<Finding>) {
    if agent != Agent::Osquery {
        return;
    }
    if flags.is_true("disable_extensions") {
        findings.push(Finding::wrong(
            format!("{FLAGS}: --disable_extensions is set, and no extension runs"),
            "take the line out, and restart osqueryd",
        ));
    }
    if !flags.lists("extensions_require", "dsplug") {
        findings.push(Finding::wrong(
            format!("{FLAGS}: --extensions_require does not name dsplug: queries may run before its tables are there"),
            "add --extensions_require=dsplug, or run install.sh again",
        ));
    }
    match flags.get("extensions_timeout").map(str::parse::<u64>) {
        Some(Ok(seconds)) if seconds >= 10 => {}
        Some(Ok(seconds)) => findings.push(Finding::note(
            format!("{FLAGS}: --extensions_timeout={seconds} may be short on a busy start"),
            "set --extensions_timeout=10",
        )),
        Some(Err(_)) => findings.push(Finding::wrong(
            format!("{FLAGS}: --extensions_timeout is not a number of seconds"),
            "set --extensions_timeout=10",
        )),
        None => findings.push(Finding::wrong(
            format!("{FLAGS}: no --extensions_timeout: the default of 3 seconds is short on a busy start"),
            "add --extensions_timeout=10, or run install.sh again",
        )),
    }
}

/// Checks that some configuration of osqueryd names the pack, and that the pack is there.
pub fn check_pack(host: &Host<'_>, agent: Agent, flags: &Flags, findings: &mut Vec<Finding>) {
    match agent {
        Agent::Osquery => {}
        Agent::Elastic => return, // said with its extensions
        Agent::Fleet | Agent::Kolide => {
            findings.push(Finding::note(
                format!("{agent}'s osqueryd takes its flags and queries from a server: they are not read here"),
                match agent {
                    Agent::Kolide => "see there that the queries of dsplug run: install/kolide/README.md",
                    _ => "see there that the queries of dsplug run: install/fleet/README.md",
                },
            ));
            return;
        }
    }
    let plugin = flags.get("config_plugin").unwrap_or("filesystem");
    if plugin != "filesystem" {
        findings.push(Finding::note(
            format!(
                "osqueryd takes its configuration from '{}', which is not read here",
                escape(plugin.as_bytes())
            ),
            "see that its configuration holds the pack dsplug",
        ));
        return;
    }
    let config = flags.get("config_path").unwrap_or(CONFIG);
    let shown = escape(config.as_bytes());
    // Without it, osqueryd reads none of its drop-ins either.
    if host
        .root
        .find(config.as_bytes())
        .is_err_and(|error| error.is_absent())
    {
        findings.push(Finding::wrong(
            format!("{shown}: there is no such file, and without it osqueryd reads no pack"),
            Cure::by(
                "make one that holds {}",
                Line::new("echo '{}' >").word(&shown),
            ),
        ));
    }
    let mut sources = vec![config.to_owned()];
    let folder = format!("{config}.d");
    if let Ok(dir) = host.root.find_dir(folder.as_bytes())
        && let Ok((names, _)) = dir.names(MOST_NAMES)
    {
        let drop_ins = names
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        sources.extend(
            drop_ins
                .filter(|name| name.ends_with(".conf"))
                .map(|name| format!("{folder}/{name}")),
        );
    }
    let mut named = false;
    for source in sources {
        match config_of(host.root, &source, MOST_CONFIG) {
            Ok(Some(value)) => named |= check_reference(host, &source, &value, findings),
            Ok(None) => {}
            Err(why) => findings.push(Finding::wrong(
                why,
                "fix the file: osqueryd stops reading its configuration there",
            )),
        }
    }
    if !named {
        findings.push(Finding::wrong(
            format!("{shown}: neither it nor its drop-ins name the pack dsplug: no query of it runs"),
            "run install.sh again, or add \"packs\": {\"dsplug\": \"/var/osquery/packs/dsplug.conf\"}",
        ));
    }
}

/// True when this configuration names the pack; checks the file that it names.
fn check_reference(
    host: &Host<'_>,
    source: &str,
    config: &Config,
    findings: &mut Vec<Finding>,
) -> bool {
    let packs = &config.packs;
    // `"*": "/folder/*"` takes every file of a folder as a pack.
    if packs
        .get("*")
        .and_then(Part::file)
        .is_some_and(|glob| glob.starts_with("/var/osquery/packs/"))
    {
        return host.root.find(b"/var/osquery/packs/dsplug.conf").is_ok();
    }
    match packs.get("dsplug") {
        None => return false,
        Some(Part::File(path)) => {
            let shown = escape(path.as_bytes());
            match config_of(host.root, path, usize::MAX) {
                Ok(Some(pack)) if pack.queries == Some(Part::Object) => {}
                Ok(Some(_)) => findings.push(Finding::wrong(
                    format!("{shown}: a pack without queries"),
                    "run install.sh again",
                )),
                Ok(None) => findings.push(Finding::wrong(
                    format!(
                        "{shown}: there is no such file; {} names it",
                        escape(source.as_bytes())
                    ),
                    "run install.sh again",
                )),
                Err(why) => findings.push(Finding::wrong(why, "run install.sh again")),
            }
            if let Ok(found) = host.root.find(path.as_bytes()) {
                place::check_writable(host, path, &found.meta, findings);
            }
        }
        Some(Part::Object | Part::Other) => {} // written out where it is named
    }
    true
}

/// What is asked of a configuration or a pack; the rest, which is other people's, is passed over.
#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    packs: BTreeMap<String, Part>,
    queries: Option<Part>,
}

/// A part of a configuration: the file that holds it, or the thing itself.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    File(String),
    Object,
    Other,
}

impl Part {
    fn file(&self) -> Option<&str> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Part;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_str<E>(self, text: &str) -> Result<Part, E> {
                Ok(Part::File(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Part::Object)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Part::Other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Part, E> {
                Ok(Part::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Part, E> {
                Ok(Part::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Part, E> {
                Ok(Part::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
                Ok(Part::Other)
            }
            fn visit_unit<E>(self) -> Result<Part, E> {
                Ok(Part::Other)
            }
        }
        deserializer.deserialize_any(Shape)
    }
}

/// The most bytes of a configuration, without its comments, that any osqueryd takes (osquery:
/// `kMaxConfigSize` of config.cpp, 1 MiB until August 2026). Packs that it names have no such bound.
const MOST_CONFIG: usize = 4 * 1024 * 1024;

/// A configuration of osquery, or a pack, which may have `most` bytes.
fn config_of(root: &Root, path: &str, most: usize) -> Result<Option<Config>, String> {
    let Some(text) = disk::read_text(root, path).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let json = osquery_json(&text);
    if json.len() > most {
        let path = escape(path.as_bytes());
        return Err(format!(
            "{path}: more than {most} bytes, and osqueryd takes no such configuration"
        ));
    }
    serde_json::from_str(&json)
        .map(Some)
        .map_err(|error| format!("{}: not JSON: {error}", escape(path.as_bytes())))
}
