//! What the log costs, what it raises, and whether that is what happened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use dsplug::pack::conf;
use serde_json::{Value, json};

use crate::log::{RESULTS, TRUTH};
use crate::rules::{self, Line, Outcome, Rules};
use crate::{BEGIN, DAY};

/// The rules that the pack has for Elastic.
pub const ELASTIC: &str = include_str!("../../../packs/elastic/dsplug.rules.ndjson");
/// An attack is found within so many intervals of the query that tells it.
pub const INTERVALS: f64 = 2.0;
/// Days of a month.
const MONTH: u64 = 30;
/// The most that a quiet Mac writes a day, in bytes, inventory apart.
pub const QUIET_BYTES: f64 = 200.0;

/// Lines and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amount {
    /// Lines.
    pub lines: u64,
    /// Bytes, line ends included.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, line: &Line) {
        self.lines += 1;
        self.bytes += line.bytes as u64;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Why an alert was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// An attack, or what was done about it.
    Attack,
    /// A vendor's bundle was installed or updated: which release.
    Release(usize),
    /// Somebody removed a plug-in on purpose.
    Removal,
    /// The folder could not be listed: somebody had taken the right to from dsplug.
    Blind,
    /// On the first day the fleet is not known yet.
    FirstDay,
    /// Nothing happened.
    False,
}

/// An alert that a person sees.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The rule's name.
    pub rule: String,
    /// When.
    pub time: i64,
    /// The Mac whose line raised it.
    pub host: String,
    /// What it names.
    pub path: String,
    /// The query whose line it was.
    pub query: String,
    /// Why.
    pub why: Why,
}

/// An attack, and the alert that found it.
#[derive(Clone, Debug)]
pub struct Attack {
    /// Which.
    pub name: String,
    /// What it is.
    pub what: String,
    host: String,
    time: i64,
    path: String,
    /// The alert, and after how many intervals of its query.
    pub found: Option<(String, f64)>,
}

/// A vendor's version.
#[derive(Clone, Debug)]
pub struct Release {
    /// Vendor and version.
    pub name: String,
    /// How often it was installed within the month.
    pub hosts: u64,
    /// True when it is signed.
    pub signed: bool,
    /// Lines that would each be an alert.
    pub before: u64,
    /// Alerts.
    pub after: u64,
    hash: String,
    path: String,
}

/// Everything.
#[derive(Debug)]
pub struct Report {
    hosts: u64,
    days: u64,
    /// By query: base line, the rest.
    amounts: BTreeMap<String, (Amount, Amount)>,
    inventory: Amount,
    by_day: Vec<(Amount, Amount)>,
    /// Alerts by day, before suppression and after.
    alerts_by_day: Vec<(u64, u64)>,
    /// Alerts that people see.
    pub alerts: Vec<Alert>,
    /// The attacks.
    pub attacks: Vec<Attack>,
    /// The vendors' versions.
    pub releases: Vec<Release>,
    /// Macs to which nothing happened but the vendors' updates: how many they are, their base lines,
    /// and what the updates gave; the inventory has no part in it.
    quiet: (u64, Amount, Amount),
}

impl Report {
    /// Reads the log and the truth in a directory.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let truth = fs::read_to_string(directory.join(TRUTH))?;
        let truth: Vec<Value> = truth
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let mut reader = Reader::new(&truth);
        rules::each_line(&directory.join(RESULTS), |line| reader.take(line))?;
        Ok(reader.report)
    }

    /// What ought to hold and does not.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for attack in &self.attacks {
            let (name, what) = (&attack.name, &attack.what);
            match &attack.found {
                None => failures.push(format!("{name} was not found: {what}")),
                Some((by, after)) if *after > INTERVALS => {
                    failures.push(format!(
                        "{name} was found after {after:.1} intervals, by {by}"
                    ));
                }
                Some(_) => {}
            }
        }
        let false_alarms = self.alerts.iter().filter(|a| a.why == Why::False);
        failures.extend(false_alarms.map(|alert| {
            let Alert {
                rule,
                host,
                path,
                time,
                query,
                ..
            } = alert;
            format!("a false alarm: {rule}, {query}, {path}, {host}, {time}")
        }));
        for release in self.releases.iter().filter(|r| r.signed && r.after > 1) {
            let Release {
                name, after, hosts, ..
            } = release;
            failures.push(format!(
                "{name}, installed {hosts} times, gave {after} alerts"
            ));
        }
        // The base lines come once.
        let quiet = self.quiet_bytes() * ratio(self.days, self.days.max(MONTH));
        if quiet >= QUIET_BYTES {
            failures.push(format!(
                "a quiet Mac writes {quiet:.0} bytes a day of a month"
            ));
        }
        failures
    }

    /// Bytes that a Mac writes a day on which nothing changes, the base line of its first run
    /// included and the inventory left out.
    pub fn quiet_bytes(&self) -> f64 {
        ratio(self.quiet.1.bytes, self.quiet.0 * self.days)
    }

    /// The numbers of each day, for a picture.
    pub fn days(&self) -> Value {
        let days = self.by_day.iter().zip(&self.alerts_by_day);
        let days = days.map(|((changes, inventory), (before, after))| {
            json!({
                "lines": changes.lines, "inventory": inventory.lines,
                "bytes": changes.bytes, "inventory_bytes": inventory.bytes,
                "alerts_before": before, "alerts": after,
            })
        });
        json!({"hosts": self.hosts, "days": days.collect::<Vec<_>>()})
    }
}

fn ratio(number: u64, of: u64) -> f64 {
    number as f64 / of.max(1) as f64
}

struct Reader {
    report: Report,
    rules: Rules,
    intervals: HashMap<String, f64>,
    attacked: HashMap<String, usize>,
    removed: HashSet<String>,
    blind: HashSet<String>,
    /// Macs to which something happened but updates.
    troubled: HashSet<String>,
}

impl Reader {
    fn new(truth: &[Value]) -> Self {
        let text = |fact: &Value, key: &str| fact[key].as_str().unwrap_or_default().to_owned();
        let of = |kind: &'static str| truth.iter().filter(move |fact| fact["kind"] == kind);
        let fleet = of("fleet").next().expect("a fleet");
        let days = fleet["days"].as_u64().expect("days");
        let hosts = fleet["hosts"].as_u64().expect("hosts");
        let attacks: Vec<Attack> = of("attack")
            .map(|fact| Attack {
                name: text(fact, "evasion"),
                what: text(fact, "what"),
                host: text(fact, "host"),
                time: fact["time"].as_i64().expect("a time"),
                path: text(fact, "path"),
                found: None,
            })
            .collect();
        let releases = of("release")
            .map(|fact| Release {
                name: format!("{} {}", text(fact, "vendor"), fact["version"]),
                hosts: fact["hosts"].as_u64().unwrap_or_default(),
                signed: fact["signed"] == true,
                before: 0,
                after: 0,
                hash: text(fact, "hash"),
                path: text(fact, "path"),
            })
            .collect();
        let pack = conf::read(conf::NAME, conf::EMBEDDED).expect("the pack");
        let intervals = pack.queries.into_iter().map(|query| {
            let name = query.name.trim_start_matches("pack_dsplug_").to_owned();
            (name, query.interval as f64)
        });
        let events = truth.iter().filter(|fact| fact["kind"] != "removed");
        Self {
            rules: Rules::new(rules::read(ELASTIC)),
            intervals: intervals.collect(),
            attacked: attacks
                .iter()
                .enumerate()
                .map(|(index, attack)| (attack.host.clone(), index))
                .collect(),
            removed: of("removed").map(|fact| text(fact, "host")).collect(),
            blind: of("full_disk_access_lost")
                .map(|fact| text(fact, "host"))
                .collect(),
            troubled: events.map(|fact| text(fact, "host")).collect(),
            report: Report {
                hosts,
                days,
                amounts: BTreeMap::new(),
                inventory: Amount::default(),
                by_day: vec![Default::default(); days as usize],
                alerts_by_day: vec![(0, 0); days as usize],
                alerts: Vec::new(),
                attacks,
                releases,
                quiet: Default::default(),
            },
        }
        .counted(hosts)
    }

    /// With the number of Macs to which nothing happened.
    fn counted(mut self, hosts: u64) -> Self {
        // The empty name stands for facts that are of no Mac.
        let troubled = self.troubled.iter().filter(|host| !host.is_empty()).count();
        self.report.quiet.0 = hosts - troubled as u64;
        self
    }

    fn take(&mut self, line: &Line) {
        let day = ((line.time - BEGIN) / DAY) as usize;
        let day = day.min(self.report.by_day.len() - 1);
        if line.action == "snapshot" {
            self.report.inventory.add(line);
            self.report.by_day[day].1.add(line);
            return;
        }
        self.report.by_day[day].0.add(line);
        let (base, later) = self.report.amounts.entry(line.query.clone()).or_default();
        if line.is_base_line() {
            base.add(line);
        } else {
            later.add(line);
        }
        if !self.troubled.contains(&line.host) {
            let (_, base, updates) = &mut self.report.quiet;
            let amount = if line.is_base_line() { base } else { updates };
            amount.add(line);
        }
        for (index, outcome) in self.rules.take(line) {
            self.outcome(index, outcome, line, day);
        }
    }

    fn outcome(&mut self, index: usize, outcome: Outcome, line: &Line, day: usize) {
        let rule = &self.rules.rules[index];
        if !rule.is_shown {
            return;
        }
        let why = self.why(line);
        let raised = outcome == Outcome::Raised;
        let counts = raised || !rule.is_of_new_terms();
        let report = &mut self.report;
        report.alerts_by_day[day].0 += u64::from(counts);
        report.alerts_by_day[day].1 += u64::from(raised);
        if let Why::Release(release) = why {
            report.releases[release].before += u64::from(counts);
            report.releases[release].after += u64::from(raised);
        }
        if !raised {
            return;
        }
        let alert = Alert {
            rule: rule.name.clone(),
            time: line.time,
            host: line.host.clone(),
            path: line.column("path").to_owned(),
            query: line.query.clone(),
            why,
        };
        if let Some(attack) = self.attacked.get(&line.host) {
            let attack = &mut report.attacks[*attack];
            let names =
                alert.path.starts_with(&attack.path) || attack.path.starts_with(&alert.path);
            if attack.found.is_none() && line.time >= attack.time && names {
                let interval = self.intervals[&line.query];
                let after = (line.time - attack.time) as f64 / interval;
                attack.found = Some((alert.rule.clone(), after));
            }
        }
        report.alerts.push(alert);
    }

    fn why(&self, line: &Line) -> Why {
        if let Some(attack) = self.attacked.get(&line.host)
            && line.time >= self.report.attacks[*attack].time
        {
            return Why::Attack;
        }
        if line.is_base_line() && line.time < BEGIN + DAY {
            return Why::FirstDay;
        }
        let (path, hash) = (line.column("path"), line.column("hash"));
        let releases = &self.report.releases;
        if let Some(release) = releases
            .iter()
            .position(|r| r.path == path && r.hash == hash)
        {
            return Why::Release(release);
        }
        if line.action == "removed" && self.removed.contains(&line.host) {
            return Why::Removal;
        }
        if line.query == "impaired" && self.blind.contains(&line.host) {
            return Why::Blind;
        }
        Why::False
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hosts, days, .. } = *self;
        let host_days = hosts * days;
        let all = self.amounts.values();
        let (base, later) = all.fold((Amount::default(), Amount::default()), |sum, amount| {
            (sum.0.plus(amount.0), sum.1.plus(amount.1))
        });
        writeln!(f, "| {hosts} Macs, {days} days | |")?;
        writeln!(f, "|---|---|")?;
        let mut row = |what: &str, value: String| writeln!(f, "| {what} | {value} |");
        row(
            "lines, the daily record (`inventory`) apart",
            format!(
                "{} ({:.2} a Mac a day)",
                base.plus(later).lines,
                ratio(base.plus(later).lines, host_days)
            ),
        )?;
        row(
            "the same in bytes",
            format!(
                "{:.1} MB ({:.0} a Mac a day)",
                base.plus(later).bytes as f64 / 1e6,
                ratio(base.plus(later).bytes, host_days)
            ),
        )?;
        row(
            "of them base lines, on the first run",
            format!("{} lines, {:.1} MB", base.lines, base.bytes as f64 / 1e6),
        )?;
        row(
            "a Mac on which nothing changes: its base lines",
            format!("{:.0} bytes a day", self.quiet_bytes()),
        )?;
        row(
            "the vendors' updates on it",
            format!(
                "{:.0} bytes a day",
                ratio(self.quiet.2.bytes, self.quiet.0 * days)
            ),
        )?;
        row(
            "`inventory`",
            format!(
                "{} lines, {:.0} MB ({:.2} lines and {:.0} bytes a Mac a day)",
                self.inventory.lines,
                self.inventory.bytes as f64 / 1e6,
                ratio(self.inventory.lines, host_days),
                ratio(self.inventory.bytes, host_days)
            ),
        )?;
        let sum = |days: &[(u64, u64)]| days.iter().fold((0, 0), |s, d| (s.0 + d.0, s.1 + d.1));
        let first = self.alerts_by_day[0];
        let rest = sum(&self.alerts_by_day[1..]);
        let most = self.alerts_by_day[1..]
            .iter()
            .fold((0, 0), |m, d| (m.0.max(d.0), m.1.max(d.1)));
        row(
            "alerts on the first day, before suppression and after",
            format!("{}, {}", first.0, first.1),
        )?;
        row(
            "alerts a day later, before suppression",
            format!("{:.1}, {} at most", ratio(rest.0, days - 1), most.0),
        )?;
        row(
            "alerts a day later, after suppression",
            format!("{:.1}, {} at most", ratio(rest.1, days - 1), most.1),
        )?;
        let count = |why: fn(&Why) -> bool| self.alerts.iter().filter(|a| why(&a.why)).count();
        row(
            "of the alerts for attacks",
            count(|w| *w == Why::Attack).to_string(),
        )?;
        row(
            "for vendors' bundles",
            count(|w| matches!(w, Why::Release(_))).to_string(),
        )?;
        row("for removals", count(|w| *w == Why::Removal).to_string())?;
        row(
            "for Macs that could not be looked at",
            count(|w| *w == Why::Blind).to_string(),
        )?;
        row("false alarms", count(|w| *w == Why::False).to_string())?;
        for release in self.releases.iter().filter(|r| r.hosts > 0) {
            row(
                &format!(
                    "{}, installed {} times: before suppression and after",
                    release.name, release.hosts
                ),
                format!("{}, {}", release.before, release.after),
            )?;
        }
        let found: Vec<f64> = self
            .attacks
            .iter()
            .filter_map(|a| Some(a.found.as_ref()?.1))
            .collect();
        let last = found.iter().copied().fold(0.0, f64::max);
        row(
            "attacks found",
            format!(
                "{} of {}, the last after {last:.2} intervals of its query",
                found.len(),
                self.attacks.len()
            ),
        )?;
        writeln!(f)?;
        writeln!(f, "| query | base lines | lines after | bytes a line |")?;
        writeln!(f, "|---|---|---|---|")?;
        for (query, (base, later)) in &self.amounts {
            let all = base.plus(*later);
            let each = ratio(all.bytes, all.lines);
            writeln!(
                f,
                "| `{query}` | {} | {} | {each:.0} |",
                base.lines, later.lines
            )?;
        }
        writeln!(f)?;
        writeln!(f, "| attack | what | found by | intervals |")?;
        writeln!(f, "|---|---|---|---|")?;
        for Attack {
            name, what, found, ..
        } in &self.attacks
        {
            let (by, after) = match found {
                Some((by, after)) => (by.as_str(), format!("{after:.2}")),
                None => ("nothing", "-".to_owned()),
            };
            writeln!(f, "| {name} | {what} | {by} | {after} |")?;
        }
        Ok(())
    }
}
