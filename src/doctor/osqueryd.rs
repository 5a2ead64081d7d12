//! How osqueryd is told of the extension: its flags, `extensions.load`, and the pack.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::config::{self, Config, MOST_CONFIG, Part};
use super::finding::{Cure, Finding};
use super::flags::{Flags, is_yes};
use super::host::{Agent, BINARY, Host};
use super::{disk, glob, log, pack, place};
use crate::directory::ReadError;
use crate::meta::Kind;
use crate::order;
use crate::root::Root;
use crate::shell::Line;
use crate::table::TABLES;
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
/// Names that are looked at for the lines of `extensions.load`, all together.
const MOST_LOOKED_AT: usize = 20_000;
/// Extensions of ours that are examined: one is right.
const MOST_OURS: usize = 8;
/// How long drop-ins are read.
const TIME_FOR_DROP_INS: Duration = Duration::from_secs(5);

/// The flags that osqueryd starts with, as far as a file on the host says.
pub fn flags(root: &Root, agent: Agent, findings: &mut Vec<Finding>) -> Flags {
    if agent != Agent::Osquery {
        return Flags::default();
    }
    match disk::read_text(root, FLAGS, disk::MOST_LIST) {
        Ok(text) => Flags::parse(&text.unwrap_or_default()),
        Err(error) => {
            findings.push(unread(&error));
            Flags::default()
        }
    }
}

/// A list that was not read.
fn unread(error: &ReadError) -> Finding {
    let cure = match disk::is_too_large(error) {
        true => "see who has filled it: of such a list no more than 1 MiB is read here",
        false => "run as root",
    };
    Finding::wrong(error.to_string(), cure)
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
        && disk::read_text(host.root, ORBIT_LOAD, disk::MOST_LIST)
            .is_ok_and(|text| text.is_some_and(|text| !text.trim().is_empty()));
    let path = if orbit {
        ORBIT_LOAD
    } else {
        flags.get("extensions_autoload").unwrap_or(LOAD)
    };
    if path.is_empty() {
        findings.push(Finding::wrong(
            format!("{FLAGS}: --extensions_autoload is empty: osqueryd starts no extension"),
            "take the line out, and restart osqueryd",
        ));
        return vec![BINARY.to_owned()];
    }
    let shown = escape(path.as_bytes());
    let text = match disk::read_text(host.root, path, disk::MOST_LIST) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            findings.push(unread(&error));
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
    // osquery keeps a set: a line that stands twice starts one.
    let is_path =
        |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with(';');
    let lines: BTreeSet<&str> = order::gather(text.lines().map(str::trim).filter(is_path));
    let mut left = MOST_LOOKED_AT;
    let mut named = BTreeSet::new();
    for line in lines {
        // What names ours costs no look at the disk.
        if is_ours(line) {
            named.insert(line.to_owned());
        } else if left > 0 {
            left = left.saturating_sub(1);
            if host.root.find_dir(line.as_bytes()).is_ok() {
                let below = extensions_below(host.root, line, DEPTH, &mut left);
                named.extend(below.into_iter().filter(|path| is_ours(path)));
            }
        }
    }
    if left == 0 {
        findings.push(Finding::wrong(
            format!("{shown}: it, and the directories that it names, hold more than {MOST_LOOKED_AT} names: the rest was not looked at"),
            "see who has filled them: osqueryd goes through all of that at each start",
        ));
    }
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
    order::gather(named.into_iter().take(MOST_OURS))
}

/// The extensions in a directory that a line of `extensions.load` names, and below it, as osquery
/// expands it (`loadExtensions` of extensions.cpp).
fn extensions_below(root: &Root, path: &str, depth: usize, left: &mut usize) -> Vec<String> {
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
        if *left == 0 {
            break;
        }
        *left = left.saturating_sub(1);
        let at = format!("{path}/{}", String::from_utf8_lossy(&name));
        let is_directory = root
            .find_entry(at.as_bytes())
            .is_ok_and(|found| found.meta.kind == Kind::Directory);
        if is_directory && depth > 0 {
            found.extend(extensions_below(root, &at, depth.saturating_sub(1), left));
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
    check_reading(flags, findings);
    log::check(FLAGS, flags, findings);
    if flags.is_true("disable_extensions") {
        findings.push(Finding::wrong(
            format!("{FLAGS}: --disable_extensions is set, and no extension runs"),
            "take the line out, and restart osqueryd",
        ));
    }
    if flags.is_true("disable_logging") {
        findings.push(Finding::wrong(
            format!("{FLAGS}: --disable_logging is set, and osqueryd logs no line of any query"),
            "take the line out, and restart osqueryd",
        ));
    }
    if flags.get("schedule_timeout").is_some_and(ends) {
        findings.push(Finding::wrong(
            format!("{FLAGS}: --schedule_timeout is set, and osqueryd ends after so many seconds"),
            "take the line out, and restart osqueryd",
        ));
    }
    let disabled = tables(|name| flags.lists("disable_tables", name));
    if !disabled.is_empty() {
        findings.push(Finding::wrong(
            format!("{FLAGS}: --disable_tables names {disabled}: queries on it fail"),
            "take the tables of dsplug out of the line, and restart osqueryd",
        ));
    }
    let enables = flags.get("enable_tables").is_some_and(|v| !v.is_empty());
    let left = tables(|name| enables && !flags.lists("enable_tables", name));
    if !left.is_empty() {
        findings.push(Finding::wrong(
            format!("{FLAGS}: --enable_tables does not name {left}: queries on it fail"),
            "add the tables of dsplug to the line, or take it out, and restart osqueryd",
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

/// Checks that osqueryd takes the file for what it says.
fn check_reading(flags: &Flags, findings: &mut Vec<Finding>) {
    if let Some(first) = flags.for_others().first() {
        let first = escape(first.as_bytes());
        findings.push(Finding::wrong(
            format!("{FLAGS}: the line {first:.200} begins a part for other programs: osqueryd passes over the flags that follow"),
            "take the line out, and restart osqueryd",
        ));
    }
    for name in ["disable_extensions", "disable_logging"] {
        if let Some(value) = flags.illegal(name) {
            let value = escape(value.as_bytes());
            findings.push(Finding::wrong(
                format!("{FLAGS}: --{name}={value:.200} says neither yes nor no, and osqueryd does not start"),
                "take the line out, and restart osqueryd",
            ));
        }
    }
    for name in ["flagfile", "fromenv", "tryfromenv"] {
        if let Some(value) = flags.values(name).next() {
            let value = escape(value.as_bytes());
            findings.push(Finding::note(
                format!("{FLAGS}: the flags that --{name}={value:.200} brings are not read here"),
                "put them into this file, or see that they leave dsplug alone",
            ));
        }
    }
}

/// True when such a `schedule_timeout` has osqueryd end: before each query has run, again and again. None is 0.
fn ends(seconds: &str) -> bool {
    !seconds.is_empty() && seconds.trim().parse() != Ok(0)
}

/// The names of the tables for which that is so.
fn tables(is_so: impl Fn(&str) -> bool) -> String {
    let names = TABLES.iter().map(|table| table.name());
    names.filter(|n| is_so(n)).collect::<Vec<_>>().join(", ")
}

/// Checks the options of a configuration, which overrule the flags.
fn check_options(source: &str, config: &Config, findings: &mut Vec<Finding>) {
    let source = escape(source.as_bytes());
    for name in config.twice() {
        findings.push(Finding::wrong(
            format!("{source}: {name} stands there twice, and osqueryd takes one of the two"),
            "leave the one that you wrote, and restart osqueryd",
        ));
    }
    let option = |name| config.option(name).unwrap_or_default();
    if is_yes(option("disable_logging")) {
        findings.push(Finding::wrong(
            format!("{source}: the option disable_logging is set, and osqueryd logs no line of any query"),
            "take it out, and restart osqueryd",
        ));
    }
    if config.option("schedule_timeout").is_some_and(ends) {
        findings.push(Finding::wrong(
            format!("{source}: the option schedule_timeout is set, and osqueryd ends after so many seconds"),
            "take it out, and restart osqueryd",
        ));
    }
    log::check_options(&source, config, findings);
    let ours = |name| option(name).contains("dsplug");
    for (name, set) in [
        ("disable_extensions", is_yes(option("disable_extensions"))),
        ("disable_tables", ours("disable_tables")),
    ] {
        if set {
            findings.push(Finding::note(
                format!("{source}: the option {name} is set against dsplug; osqueryd takes it from its flags alone"),
                "take it out, and find out who wants it",
            ));
        }
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
    let config = flags.get("config_path").unwrap_or(CONFIG);
    for (name, value) in [("config_plugin", plugin), ("config_path", config)] {
        let is_asked = name == "config_plugin" || plugin == "filesystem";
        if value.is_empty() && is_asked {
            findings.push(Finding::wrong(
                format!("{FLAGS}: --{name} is empty: osqueryd reads no configuration"),
                "take the line out, and restart osqueryd",
            ));
            return;
        }
    }
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
    let shown = escape(config.as_bytes());
    // Without it, osqueryd reads none of its drop-ins either.
    if host
        .root
        .find(config.as_bytes())
        .is_err_and(|error| error.is_not_here())
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
                .filter(|name| glob::matches("*.conf", name))
                .map(|name| format!("{folder}/{name}")),
        );
    }
    let mut named = false;
    let begun = Instant::now();
    for source in sources {
        if begun.elapsed() > TIME_FOR_DROP_INS {
            let source = escape(source.as_bytes());
            findings.push(Finding::wrong(
                format!("{source}: neither it nor what comes after it was read: the time for drop-ins is spent"),
                "see who has filled the folder: osqueryd reads all of it at each start",
            ));
            break;
        }
        let read = match config::read(host.root, &source, MOST_CONFIG) {
            Ok(Some(part)) => Config::new(part)
                .ok_or_else(|| format!("{}: no JSON object", escape(source.as_bytes()))),
            Ok(None) => continue,
            Err(why) => Err(why),
        };
        match read {
            Ok(value) => {
                check_options(&source, &value, findings);
                named |= check_reference(host, &source, &value, findings);
            }
            Err(why) => findings.push(Finding::wrong(
                why,
                "fix the file: osqueryd stops reading its configuration there, or takes it for something else",
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
    // `"*": "/folder/*"` takes every file of a folder as a pack.
    let every = config.pack("*").and_then(Part::text);
    let one_of_all = every.and_then(|pattern| file_of_all(host.root, pattern));
    if let Some(path) = &one_of_all {
        check_file(host, source, path, findings);
    }
    match config.pack("dsplug") {
        // What is neither a path nor an object names nothing.
        None | Some(Part::Scalar(_) | Part::List | Part::Other) => return one_of_all.is_some(),
        Some(Part::Text(path)) => check_file(host, source, path, findings),
        // Written out where it is named.
        Some(written_out @ Part::Object(_)) => {
            let place = format!("{}: the pack dsplug", escape(source.as_bytes()));
            pack::check(&place, written_out, findings);
        }
    }
    true
}

/// The file that osquery calls dsplug among those that a pattern names: a pack is called as its file without
/// what stands behind the last dot, and the last of a name counts.
fn file_of_all(root: &Root, pattern: &str) -> Option<String> {
    let mut paths = vec!["/var/osquery/packs/dsplug.conf".to_owned()];
    if let Some((folder, _)) = pattern.rsplit_once('/')
        && let Ok(dir) = root.find_dir(folder.as_bytes())
        && let Ok((names, _)) = dir.names(MOST_NAMES)
    {
        let names = names.iter().map(|name| String::from_utf8_lossy(name));
        let ours = names.filter(|name| {
            name.rsplit_once('.')
                .map_or(name.as_ref(), |(stem, _)| stem)
                == "dsplug"
        });
        paths.extend(ours.map(|name| format!("{folder}/{name}")));
    }
    paths.retain(|path| glob::resolves_to(pattern, path) && root.find(path.as_bytes()).is_ok());
    order::sort(&mut paths);
    paths.pop()
}

/// Checks the file of the pack.
fn check_file(host: &Host<'_>, source: &str, path: &str, findings: &mut Vec<Finding>) {
    let shown = escape(path.as_bytes());
    let why = match config::read(host.root, path, usize::MAX) {
        Ok(Some(found)) => {
            pack::check(&shown, &found, findings);
            None
        }
        Ok(None) => Some(format!(
            "{shown}: there is no such file; {} names it",
            escape(source.as_bytes())
        )),
        Err(why) => Some(why),
    };
    if let Some(why) = why {
        findings.push(Finding::wrong(why, "run install.sh again"));
    }
    if let Ok(found) = host.root.find(path.as_bytes()) {
        place::check_writable(host, path, &found.meta, findings);
    }
}
