//! The command line: what is asked for, and which face answers.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::collect;
use crate::compare;
use crate::detect;
use crate::disk::Disk;
use crate::doctor::{self, Agent};
use crate::engine::Engine;
use crate::exceptions::baseline;
use crate::failure::Failure;
use crate::given;
use crate::launch;
use crate::output::print;
use crate::quarantine::{self, Asked};
use crate::report::{answer, explain, list, schema};
use crate::scan::Snapshot;
use crate::watch::command;

/// Shows DirectoryService plug-in bundles: who signed them, what they hold, whether they would load.
///
/// Started by osqueryd with --socket, it is an osquery extension.
#[derive(Debug, Parser)]
#[command(name = "dsplug", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    disk: Disk,
    #[command(flatten)]
    extension: Extension,
    #[command(subcommand)]
    command: Command,
}

/// What osqueryd passes to its extensions. A call that names a socket before any command never
/// comes here ([`launch`]): these stand in the help.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "As an osquery extension")]
struct Extension {
    /// Serve the tables at the extension socket of osqueryd
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Wait for the socket for so long
    #[arg(long, value_name = "SECONDS", requires = "socket")]
    timeout: Option<f64>,
    /// Look so often whether osqueryd still knows of it
    #[arg(long, value_name = "SECONDS", requires = "socket")]
    interval: Option<f64>,
    /// Log more
    #[arg(long, requires = "socket")]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the plug-ins, for a person to read
    List {
        /// How they are printed
        #[arg(long, value_enum, default_value_t)]
        format: list::Format,
    },
    /// Run one SQL query over the tables
    Query {
        /// How the answer is printed
        #[arg(long, value_enum, default_value_t)]
        format: answer::Format,
        /// The query, such as: SELECT path, signer FROM dsplug_bundles; without it, or with -, it is
        /// read from standard input
        sql: Option<String>,
    },
    /// Run the pack's queries and print what osqueryd would log
    Detect(detect::Options),
    /// Say everything about one bundle, and what to do next
    Explain(explain::Options),
    /// Write one archive of all evidence on a bundle, and print its SHA-256
    Collect(collect::Options),
    /// Show each event as it happens: a bundle appears, changes, goes
    Watch(command::Options),
    /// Say file by file how a bundle differs from another, or from what was collected
    Compare(compare::Options),
    /// Keep the evidence on a bundle, move it out of its folder into a vault, end its loader
    Quarantine(quarantine::Options),
    /// Put back what quarantine took
    Restore(quarantine::RestoreOptions),
    /// Write an exceptions plist that pins what is there now
    Baseline,
    /// Say what is wrong with this host's installation, and how to fix it
    Doctor {
        /// Who runs osqueryd here; found out when left out
        #[arg(long = "for", value_enum, value_name = "AGENT")]
        agent: Option<Agent>,
        /// The extension socket of osqueryd; that of the agent when left out
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
        /// How the findings are printed
        #[arg(long, value_enum, default_value_t)]
        format: doctor::Format,
        /// Finish or undo what was interrupted on the image that --root names, or in what --state-dir names
        #[arg(long)]
        yes_write_image: bool,
    },
    /// Show every table and column with its meaning
    Schema {
        /// One table alone
        table: Option<String>,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: schema::Format,
    },
}

/// Runs the command that `arguments` name, the program's own name first. Gives 0 when it was done,
/// 1 when it could not be, 2 when the call was wrong.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    if let Some(code) = launch::run(arguments.get(1..).unwrap_or_default()) {
        return code;
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; clap knows where each goes.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(LOGGED)).init();
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to do where even this line cannot be written.
            let _ = writeln!(io::stderr(), "dsplug: {failure}");
            ExitCode::from(failure.status())
        }
    }
}

/// What is logged beside the answer. That a folder could not be listed is the answer.
const LOGGED: &str = "warn,dsplug::scan=off";

/// The command line as it is declared, for what is generated from it.
pub fn command() -> clap::Command {
    Arguments::command()
}

fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { disk, command, .. } = arguments;
    match command {
        Command::List { format } => match format {
            list::Format::Text => print(&list::render(&disk.scanner()?.scan(), style())?),
            list::Format::Json => {
                let snapshot = disk.scanner()?.scan();
                answer::give(Engine::new()?, list::ALL, &snapshot, answer::Format::Json)
            }
        },
        Command::Query { format, sql } => {
            let sql = match sql {
                Some(sql) if sql != "-" => sql,
                _ => sql_from_input()?,
            };
            let engine = Engine::new()?;
            // A wrong query is told before the disk is read.
            engine.check(&sql)?;
            let mut scanner = disk.scanner()?;
            let mut snapshot = scanner.scan();
            snapshot.events = disk.events(scanner.root());
            answer::give(engine, &sql, &snapshot, format)
        }
        Command::Detect(options) => detect::run(&disk, &options),
        Command::Explain(options) => explain::run(&disk, &options),
        Command::Collect(options) => collect::run(&disk, &options),
        Command::Watch(options) => command::run(&disk, &options),
        Command::Compare(options) => compare::run(&disk, &options),
        Command::Quarantine(options) => quarantine::run(&disk, &options),
        Command::Restore(options) => quarantine::restore(&disk, &options),
        Command::Baseline => pin(&disk.scanner()?.scan()),
        Command::Doctor {
            agent,
            socket,
            format,
            yes_write_image,
        } => examine(&disk, agent, socket, format, yes_write_image),
        Command::Schema { table, format } => print(&schema::render(table.as_deref(), format)?),
    }
}

/// The longest query that is read from standard input, as long as SQLite takes by default.
const LONGEST_QUERY: u64 = 1_000_000;

/// A query from standard input.
fn sql_from_input() -> Result<String, Failure> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(Failure::new(
            "there is no query; give one, such as: dsplug query 'SELECT path FROM dsplug_bundles'",
        ));
    }
    let sql = given::read_bounded(input.lock(), LONGEST_QUERY)
        .and_then(|sql| String::from_utf8(sql).map_err(io::Error::other));
    sql.map_err(|error| {
        let why = given::why(&error);
        Failure::new(format!("cannot read the query from standard input: {why}"))
    })
}

/// How long osqueryd may take to answer a person who waits for the doctor.
const ANSWER: Duration = Duration::from_secs(5);

/// Prints a baseline, and says what is not in it.
fn pin(snapshot: &Snapshot) -> Result<(), Failure> {
    if let Some(why) = snapshot.unreadable() {
        return Err(Failure::new(why));
    }
    let baseline = baseline::write(snapshot)?;
    for line in &baseline.left_out {
        let _ = writeln!(io::stderr(), "dsplug: {line}");
    }
    print(&String::from_utf8_lossy(&baseline.plist))
}

/// Examines this host's installation; a failure when something is wrong.
fn examine(
    disk: &Disk,
    agent: Option<Agent>,
    socket: Option<PathBuf>,
    format: doctor::Format,
    yes_write_image: bool,
) -> Result<(), Failure> {
    let (path, root) = (disk.root.as_path(), disk.open_root()?);
    // On a disk at rest, nobody listens.
    let osqueryd = doctor::Osqueryd { timeout: ANSWER };
    let asked = !disk.is_image() || socket.is_some();
    let host = doctor::Host {
        root: &root,
        mount: path,
        is_image: disk.is_image(),
        owner: 0,
        agent,
        socket,
        registry: asked.then_some(&osqueryd),
    };
    let mut findings: Vec<_> = doctor::rights().into_iter().collect();
    findings.extend(doctor::examine(&host));
    let asked = Asked::new(disk, &root, yes_write_image)?;
    findings.extend(doctor::interrupted(
        disk.state_to_read(&root),
        &asked,
        disk.thorough,
    ));
    print(&doctor::render(&findings, format))?;
    match doctor::wrongs(&findings) {
        0 => Ok(()),
        1 => Err(Failure::new("one thing is wrong with this installation")),
        many => Err(Failure::new(format!(
            "{many} things are wrong with this installation"
        ))),
    }
}

/// Colours on a terminal, unless NO_COLOR is set.
fn style() -> list::Style {
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        list::Style::Colour
    } else {
        list::Style::Plain
    }
}
