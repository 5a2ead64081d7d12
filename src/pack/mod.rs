//! The query pack: one `.sql` file per query, its header comment the metadata, and everything that is
//! generated from them.
//!
//! [`header`] reads a file; [`conf`] writes and reads osquery's pack, [`fleet`] and [`elastic`]
//! write what those import, [`markdown`] the tables for people. The binary holds the pack that was
//! generated, and a test keeps it the one that the files give.

pub mod conf;
pub mod elastic;
pub mod fleet;
pub mod header;
pub mod markdown;

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
    /// Tactics and techniques of MITRE ATT&CK, by number.
    pub mitre: Vec<String>,
    /// Web pages.
    pub references: Vec<String>,
    /// What gives a line and is no attack.
    pub false_positives: String,
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
    /// The query, in one line, without comments.
    pub sql: String,
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
