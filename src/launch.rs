//! The extension as osqueryd starts it: `dsplug.ext --socket P --timeout S --interval S`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use log::{LevelFilter, info};
use rustix::fs::Mode;

use crate::extension::{self, Options, Stderr};
use crate::limits::Limits;
use crate::root::Root;
use crate::scan::Scanner;
use crate::service::Service;
use crate::state_dir;
use crate::system_log::SystemLog;

/// What the command line asks for; what it does not know is kept to be logged.
#[derive(Debug, Default, PartialEq, Eq)]
struct Launch {
    socket: Option<PathBuf>,
    timeout: Option<Duration>,
    interval: Option<Duration>,
    root: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    verbose: bool,
    thorough: bool,
    ignored: Vec<OsString>,
}

/// osquery's own defaults, for a start by hand.
const DEFAULT: Duration = Duration::from_secs(3);
/// A longer wait or interval than this is a slip of the pen.
const LONGEST: f64 = 86_400.0;

/// Runs the extension if `arguments`, the program's own name left out, call for it: they name a
/// socket before any command. A socket without its path is a wrong call, as any flag is.
pub fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let launch = Launch::parse(arguments)?;
    let level = if launch.verbose {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    };
    let stderr = env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .target(env_logger::Target::Pipe(Box::new(Stderr::start())))
        .build();
    log::set_max_level(stderr.filter());
    // Another logger can only be there already in a test.
    let _ = log::set_boxed_logger(Box::new(SystemLog::start(stderr)));
    Some(launch.start())
}

impl Launch {
    /// Unknown flags are kept as ignored: another version of osquery may pass others.
    fn parse(arguments: &[OsString]) -> Option<Self> {
        let mut launch = Self::default();
        let mut rest: VecDeque<&OsString> = arguments.iter().collect();
        while let Some(argument) = rest.pop_front() {
            let Some(text) = argument.to_str() else {
                launch.ignored.push(argument.clone());
                continue;
            };
            if !text.starts_with('-') && launch.ignored.is_empty() && launch.socket.is_none() {
                return None;
            }
            let (flag, inline) = match text.split_once('=') {
                Some((flag, value)) => (flag, Some(OsString::from(value))),
                None => (text, None),
            };
            let mut value = || inline.clone().or_else(|| rest.pop_front().cloned());
            match flag {
                "--socket" => launch.socket = value().map(PathBuf::from),
                "--timeout" => launch.timeout = value().and_then(seconds),
                "--interval" => launch.interval = value().and_then(seconds),
                "--root" => launch.root = value().map(PathBuf::from),
                "--state-dir" => launch.state_dir = value().map(PathBuf::from),
                "--verbose" => launch.verbose = inline.is_none_or(|v| v != "false"),
                "--thorough" => launch.thorough = true,
                _ => launch.ignored.push(argument.clone()),
            }
        }
        launch.socket.is_some().then_some(launch)
    }

    fn start(self) -> ExitCode {
        // Whatever this process makes is its owner's alone, its sockets from the first moment on.
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        for flag in &self.ignored {
            info!("ignored {}: an unknown flag", flag.display());
        }
        let path = self.root.unwrap_or_else(|| PathBuf::from("/"));
        let root = match Root::open(&path) {
            Ok(root) => match root.why_no_mac().filter(|_| path != Path::new("/")) {
                Some(why) => Err(why.to_owned()),
                None => Ok(root),
            },
            Err(error) => Err(error.to_string()),
        };
        let root = match root {
            Ok(root) => root,
            Err(why) => {
                let path = path.display();
                extension::last_line(format!("dsplug: cannot open the root {path}: {why}"));
                return ExitCode::FAILURE;
            }
        };
        let limits = if self.thorough {
            Limits::THOROUGH
        } else {
            Limits::STANDARD
        };
        let options = Options {
            socket: self.socket.unwrap_or_default(),
            timeout: self.timeout.unwrap_or(DEFAULT),
            interval: self.interval.unwrap_or(DEFAULT),
        };
        let place = state_dir::place(self.state_dir.as_deref(), &root);
        let service =
            match Service::watching(Scanner::new(root, limits).keeping(place.clone()), place) {
                Ok(service) => service,
                Err(error) => {
                    extension::last_line(format!("dsplug: cannot start a thread: {error}"));
                    return ExitCode::FAILURE;
                }
            };
        extension::run(options, Arc::new(service))
    }
}

fn seconds(value: OsString) -> Option<Duration> {
    let seconds: f64 = value.to_str()?.parse().ok()?;
    (0.0..=LONGEST)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Launch> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Launch::parse(&arguments)
    }

    #[test]
    fn as_osqueryd_calls_it() {
        let launch =
            parse("--verbose --socket /var/osquery/osquery.em --timeout 10 --interval 3").unwrap();
        assert_eq!(launch.socket, Some("/var/osquery/osquery.em".into()));
        assert_eq!(launch.timeout, Some(Duration::from_secs(10)));
        assert_eq!(launch.interval, Some(Duration::from_secs(3)));
        assert!(launch.verbose && launch.ignored.is_empty());
        assert_eq!(parse("--socket=/s").unwrap().socket, Some("/s".into()));
    }

    #[test]
    fn unknown_flags_are_ignored() {
        let launch = parse("--new_flag --socket /s --other=1 value").unwrap();
        assert_eq!(launch.socket, Some("/s".into()));
        assert_eq!(
            launch.ignored,
            ["--new_flag", "--other=1", "value"].map(OsString::from)
        );
    }

    #[test]
    fn a_command_is_no_launch() {
        assert_eq!(parse("doctor --socket /s"), None);
        assert_eq!(parse("list"), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse("--help"), None);
    }

    #[test]
    fn senseless_times_are_the_default() {
        let launch = parse("--socket /s --timeout -1 --interval x").unwrap();
        assert_eq!((launch.timeout, launch.interval), (None, None));
    }
}
