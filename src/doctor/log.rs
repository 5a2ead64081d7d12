//! Where the lines of osqueryd go.

use super::config::Config;
use super::finding::Finding;
use super::flags::Flags;
use crate::text::escape;

/// osquery's own loggers that keep lines on a Mac, or send them to who keeps them. The other one is `stdout`,
/// which nobody reads there.
const KEEPERS: &[&str] = &[
    "aws_firehose",
    "aws_kinesis",
    "filesystem",
    "kafka_producer",
    "syslog",
    "tls",
];
const FILESYSTEM: &str = "filesystem";
const STDOUT: &str = "stdout";
/// Where its package has osqueryd write.
const FOLDER: &str = "/var/log/osquery";

/// Checks which loggers the flags of that file name, and where they write.
pub fn check(file: &str, flags: &Flags, findings: &mut Vec<Finding>) {
    let named = flags.get("logger_plugin").unwrap_or(FILESYSTEM);
    let loggers = named.split(',').map(str::trim);
    let loggers: Vec<&str> = loggers.filter(|name| !name.is_empty()).collect();
    let other = loggers
        .iter()
        .find(|name| !KEEPERS.contains(name) && **name != STDOUT);
    if let Some(other) = other {
        findings.push(Finding::note(
            format!(
                "{file}: --logger_plugin names {:.200}, which is none of osquery's: what it keeps is not known here",
                escape(other.as_bytes())
            ),
            "see that it keeps the lines of dsplug",
        ));
    } else if loggers.iter().all(|name| *name == STDOUT) {
        findings.push(Finding::wrong(
            format!("{file}: --logger_plugin names none that keeps lines"),
            "name one, or take the line out, and restart osqueryd",
        ));
    }
    if loggers.contains(&FILESYSTEM) {
        for name in ["logger_path", "osquery_log_dir"] {
            let place = format!("{file}: --{name}");
            check_folder(&place, flags.get(name).unwrap_or(FOLDER), findings);
        }
    }
}

/// The same of the options of a configuration, of which osqueryd takes the folder alone.
pub fn check_options(source: &str, config: &Config, findings: &mut Vec<Finding>) {
    let folder = config.option("logger_path").filter(|path| !path.is_empty());
    let place = format!("{source}: the option logger_path");
    check_folder(&place, folder.unwrap_or(FOLDER), findings);
}

fn check_folder(place: &str, folder: &str, findings: &mut Vec<Finding>) {
    let path = folder.strip_prefix("/private").unwrap_or(folder);
    if path.trim_end_matches('/') != FOLDER {
        findings.push(Finding::note(
            format!(
                "{place}: log lines go to {:.200}",
                escape(folder.as_bytes())
            ),
            "see that what ships osqueryd's lines takes them from there",
        ));
    }
}
