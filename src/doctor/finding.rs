//! A finding: one thing that is so, and what to do about it.

use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// dsplug does not work, or is not safe, as long as this is so.
    Wrong,
    /// An admin should know it.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Note => "note",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What is so, and where: one line.
    pub what: String,
    /// What to do: one line, a command where one does it.
    pub cure: String,
}

impl Finding {
    /// Something that is wrong.
    pub fn wrong(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            severity: Severity::Wrong,
            what: what.into(),
            cure: cure.into(),
        }
    }

    /// Something to know.
    pub fn note(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            what: what.into(),
            cure: cure.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.severity.as_str();
        write!(f, "{word:5}  {}\n       cure: {}", self.what, self.cure)
    }
}
