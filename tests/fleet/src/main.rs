//! Makes the month of a fleet and prints what it tells. See `README.md` beside.
#![allow(clippy::expect_used, reason = "a panic is this program's report")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dsplug_fleet::host;
use dsplug_fleet::log::Log;
use dsplug_fleet::plan::{self, Size};
use dsplug_fleet::report::Report;

/// Makes the result log of a fleet of Macs, and prints what it costs, raises and finds
#[derive(Debug, Parser)]
struct Options {
    /// Macs
    #[arg(long, default_value_t = 20_000)]
    hosts: usize,
    /// Days
    #[arg(long, default_value_t = 30)]
    days: i64,
    /// How much oftener than usual something goes wrong with a Mac
    #[arg(long, default_value_t = 1)]
    mishaps: i64,
    /// Another fleet of the same kind
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the log goes
    #[arg(long, default_value = "target/fleet")]
    out: PathBuf,
    /// Makes no log, and reports on the one that is there
    #[arg(long)]
    report: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let begun = Instant::now();
    let say = |what: &str| {
        let _ = writeln!(
            std::io::stderr(),
            "{:6.1} s  {what}",
            begun.elapsed().as_secs_f64()
        );
    };
    if !options.report {
        let mut fleet = plan::make(Size {
            hosts: options.hosts,
            days: options.days,
            mishaps: options.mishaps,
            seed: options.seed,
        });
        say("the disks are scanned");
        let mut log = Log::create(&options.out, options.days).expect("a directory for the log");
        for host in &fleet.hosts {
            host::live(host, &mut fleet.world, &mut log).expect("a log");
        }
        let lines = log.lines;
        say("the Macs have lived");
        log.finish(&fleet.truth).expect("a log");
        say(&format!("{lines} lines are in {}", options.out.display()));
    }
    let report = Report::of(&options.out).expect("a report");
    say("the log is read");
    let days = format!("{:#}\n", report.days());
    fs::write(options.out.join("days.json"), days).expect("a file");
    let text = report.to_string();
    fs::write(options.out.join("report.md"), &text).expect("a file");
    let _ = write!(std::io::stdout(), "{text}");
    let failures = report.failures();
    for failure in &failures {
        say(failure);
    }
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
