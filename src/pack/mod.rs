//! The query pack: one `.sql` file per query, its header comment the metadata, and everything that is
//! generated from them.
//!
//! [`header`] reads a file; [`conf`] writes and reads osquery's pack, [`fleet`], [`elastic`],
//! [`elastic_rules`] and [`sigma`] write what those import, `restriction`
//! tells where a pack runs, [`hunting`] asks the log of a fleet, [`grafana`] and [`kibana`] show it, [`markdown`] the
//! tables for people. The binary holds the pack that was generated, and a test keeps it the one that the files give.

pub mod conf;
pub mod elastic;
pub mod elastic_rules;
pub mod fleet;
pub mod grafana;
pub mod header;
pub mod hunting;
pub mod kibana;
pub mod markdown;
pub(crate) mod restriction;
pub mod sigma;

use std::fmt;

/// The first column of every query: the query's own name, which every log, index and version passes
/// on. Rules and dashboards match on it.
pub const NAME_COLUMN: &str = "dsplug_query";

/// One query with its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Its name in the pack: lower-case letters and `_`.
    pub name: String,
    /// What it shows, in half a sentence.
    pub summary: String,
    /// What it detects.
    pub detects: String,
    /// What a line of it tells that no other query's does; empty for one that is run by hand.
    pub adds: String,
    /// True when a line is an alert; false when it is evidence beside the line of another query.
    pub alert: bool,
    /// The columns in which lines of many hosts must agree to be one alert.
    pub group: Vec<String>,
    /// For how many hours such lines are one alert: as long as a roll-out takes, where the columns say
    /// all that is new in a line, and a day elsewhere.
    pub group_hours: u32,
    /// Seconds between two runs; 0 for a query that is only run by hand.
    pub interval: u32,
    /// Where it runs: `darwin`.
    pub platform: String,
    /// True when each run is logged whole, false when the difference is.
    pub snapshot: bool,
    /// True when rows that go are logged.
    pub removed: bool,
    /// How grave a line of it is.
    pub severity: Severity,
    /// The same as a number from 0 to 100.
    pub risk_score: u8,
    /// Columns, each with a value that makes a line [`Severity::High`].
    pub graver: Vec<(String, String)>,
    /// Tactics and techniques of MITRE ATT&CK, by number.
    pub mitre: Vec<String>,
    /// Web pages.
    pub references: Vec<String>,
    /// What gives a line and is no attack.
    pub false_positives: String,
    /// The oldest osquery that has all its columns.
    pub osquery: String,
    /// Tables of osquery itself that it needs.
    pub tables: Vec<String>,
    /// Flags that osqueryd needs for them.
    pub flags: Vec<String>,
    /// Fields of the Elastic Common Schema, each with the column that fills it.
    pub ecs: Vec<(String, String)>,
    /// What holds on a Mac where it gives no row; empty when that is no matter of policy.
    pub policy: String,
    /// What to do where it does not hold.
    pub resolution: String,
    /// How to cap its lines in a flood; empty where there can be none.
    pub cap: String,
    /// Bytes that a line of it has in osqueryd's log for an ordinary bundle; 0 where nobody can say.
    pub line_bytes: u32,
    /// False when a row is news in the first answer of a host as well: then nobody has been told of it.
    pub base_line: bool,
    /// True when it is in the small pack, for those who pay by the byte.
    pub quiet: bool,
    /// The UUID of its rule for Elastic; empty for one without lines of its own.
    pub rule_id: String,
    /// The UUID of its Sigma rule, likewise.
    pub sigma_id: String,
    /// The query, in one line, without comments.
    pub sql: String,
}

impl Query {
    /// True when its lines are of events of osquery's: no run of it is compared with another, and
    /// the first is no base line.
    pub fn is_of_events(&self) -> bool {
        self.tables.iter().any(|table| table.ends_with("_events"))
    }

    /// True when its first answer on a host is no news: it says what was there already.
    pub fn has_base_line(&self) -> bool {
        self.base_line && !self.is_of_events()
    }
}

/// How grave a line is, as Elastic names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// A record, or a hint.
    #[default]
    Low,
    /// What the rule that this pack replaces would have raised.
    Medium,
    /// What an honest plug-in does not do.
    High,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// The oldest osquery that the pack is made for: the first that macOS takes as an application, with
/// an SQLite that knows every word of the queries (3.35.5).
pub const OLDEST_OSQUERY: &str = "5.0.1";

/// The tactics and techniques that queries may name: number and name.
pub const MITRE: &[(&str, &str)] = &[
    ("TA0003", "Persistence"),
    ("T1547", "Boot or Logon Autostart Execution"),
    ("T1574", "Hijack Execution Flow"),
];

/// Why a pack or a query of one is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackError {
    /// Which file or query.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl PackError {
    fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
        }
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for PackError {}
